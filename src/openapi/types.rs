//! Types in TypeScript's notation, read as JSON Schema: as much of it as `api.ts` is written in.
//!
//! It never looks at a request or an answer: it reads one text that is part of the program.

use serde_json::{Map, Value, json};

/// What `api.ts` says.
pub struct Api {
    /// The named types, in their order.
    pub types: Vec<Type>,
    /// The operations, in their order.
    pub operations: Vec<Operation>,
}

/// A named type.
pub struct Type {
    /// Its name.
    pub name: &'static str,
    /// What it is, in words; empty where the name says it.
    pub about: String,
    /// The media type of a body that is not JSON.
    pub media: Option<String>,
    /// As it is written.
    pub text: &'static str,
    /// The same as JSON Schema.
    pub schema: Value,
}

/// What an address takes and answers.
pub struct Operation {
    /// HTTP method.
    pub method: &'static str,
    /// Path, as the table of routes has it.
    pub path: &'static str,
    /// `query`, `takes`, or a status; how it is written, and the same as JSON Schema.
    pub parts: Vec<(&'static str, &'static str, Value)>,
}

impl Api {
    /// Reads the text.
    ///
    /// # Errors
    /// The byte at which it is not understood.
    pub fn read(text: &'static str) -> Result<Self, usize> {
        let mut reader = Reader { text, at: 0, doc: "" };
        reader.api().ok_or(reader.at)
    }

    /// The media type of a body of this schema.
    #[must_use]
    pub fn media(&self, schema: &Value) -> &str {
        let name = schema["$ref"].as_str().and_then(|to| to.strip_prefix(SCHEMAS));
        let named = self.types.iter().find(|known| Some(known.name) == name);
        named.and_then(|known| known.media.as_deref()).unwrap_or("application/json")
    }
}

/// Where a document keeps its named schemas.
pub const SCHEMAS: &str = "#/components/schemas/";

struct Reader {
    text: &'static str,
    at: usize,
    /// The comment for people that came last.
    doc: &'static str,
}

impl Reader {
    fn api(&mut self) -> Option<Api> {
        let mut api = Api { types: Vec::new(), operations: Vec::new() };
        while self.eat("export") {
            let doc = std::mem::take(&mut self.doc);
            self.wanted("type")?;
            let name = self.word()?;
            self.wanted("=")?;
            if name == "Api" {
                self.wanted("{")?;
                while !self.eat("}") {
                    api.operations.push(self.operation()?);
                }
            } else {
                let (text, mut schema) = self.told(Self::union)?;
                let (about, tags) = tagged(doc);
                let mut media = None;
                for (tag, value) in tags {
                    match tag {
                        "media" => media = Some(value.to_owned()),
                        "asType" => say(&mut schema, "type", value.into()),
                        "minimum" => say(&mut schema, tag, value.parse::<i64>().ok()?.into()),
                        _ => say(&mut schema, tag, value.into()),
                    }
                }
                if !about.is_empty() {
                    say(&mut schema, "description", about.clone().into());
                }
                api.types.push(Type { name, about, media, text, schema });
            }
            self.wanted(";")?;
            self.doc = "";
        }
        (self.at == self.text.len()).then_some(api)
    }

    fn operation(&mut self) -> Option<Operation> {
        let (method, path) = self.string()?.split_once(' ')?;
        self.wanted(":")?;
        self.wanted("{")?;
        let mut parts = Vec::new();
        while !self.eat("}") {
            let name = self.word()?;
            self.wanted(":")?;
            let (text, schema) = self.told(Self::union)?;
            parts.push((name, text, schema));
            self.eat(";");
        }
        self.wanted(";")?;
        Some(Operation { method, path, parts })
    }

    /// `A | B`, of which texts are an enumeration, and null makes the other one nullable.
    fn union(&mut self) -> Option<Value> {
        self.eat("|");
        let (mut texts, mut others, mut null) = (Vec::new(), Vec::new(), false);
        loop {
            let mut one = self.meeting()?;
            if let Some(text) = one.get_mut("enum").and_then(Value::as_array_mut) {
                texts.append(text);
            } else if one.get("type").is_some_and(|kind| kind == "null") {
                null = true;
            } else {
                others.push(one);
            }
            if !self.eat("|") {
                break;
            }
        }
        if !texts.is_empty() {
            others.push(json!({ "type": "string", "enum": texts }));
        }
        let one = match (others.pop(), others.is_empty()) {
            (None, _) => return Some(json!({ "type": "null" })),
            (Some(only), true) => only,
            (Some(last), false) => {
                others.push(last);
                json!({ "anyOf": others })
            }
        };
        Some(if null { nullable(one) } else { one })
    }

    /// `A & B`.
    fn meeting(&mut self) -> Option<Value> {
        let first = self.list()?;
        if !self.eat("&") {
            return Some(first);
        }
        Some(json!({ "allOf": [first, self.list()?] }))
    }

    /// `A[]`.
    fn list(&mut self) -> Option<Value> {
        let mut one = self.single()?;
        while self.eat("[]") {
            one = json!({ "type": "array", "items": one });
        }
        Some(one)
    }

    fn single(&mut self) -> Option<Value> {
        if self.eat("{") {
            return self.object();
        }
        if let Some(text) = self.string() {
            return Some(json!({ "type": "string", "enum": [text] }));
        }
        Some(match self.word()? {
            "unknown" => json!({}),
            name @ ("string" | "boolean" | "number" | "null") => json!({ "type": name }),
            name => json!({ "$ref": format!("{SCHEMAS}{name}") }),
        })
    }

    /// Fields; one that may be left out may also be null.
    fn object(&mut self) -> Option<Value> {
        let (mut properties, mut required, mut further) = (Map::new(), Vec::new(), false);
        while !self.eat("}") {
            if self.eat("[") {
                self.word()?;
                self.wanted(":")?;
                self.wanted("string")?;
                self.wanted("]")?;
                self.wanted(":")?;
                self.union()?;
                further = true;
            } else {
                let name = self.word()?;
                let may_lack = self.eat("?");
                self.wanted(":")?;
                let field = self.union()?;
                if !may_lack {
                    required.push(name);
                }
                properties.insert(name.to_owned(), if may_lack { nullable(field) } else { field });
            }
            self.eat(";");
        }
        let mut object = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            say(&mut object, "required", json!(required));
        }
        if further {
            say(&mut object, "additionalProperties", true.into());
        }
        Some(object)
    }

    /// What this reads, and how it is written.
    fn told(&mut self, read: fn(&mut Self) -> Option<Value>) -> Option<(&'static str, Value)> {
        self.skip();
        let from = self.at;
        let schema = read(self)?;
        Some((self.text.get(from..self.at)?.trim_end(), schema))
    }

    fn rest(&self) -> &'static str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Passes over blanks and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest().trim_start();
            self.at = self.text.len() - rest.len();
            let end = match (rest.strip_prefix("/**"), rest.starts_with("//")) {
                (Some(doc), _) => doc.find("*/").map(|end| {
                    self.doc = doc.get(..end).unwrap_or("").trim();
                    end + 5
                }),
                (None, true) => Some(rest.find('\n').unwrap_or(rest.len())),
                (None, false) => None,
            };
            let Some(end) = end else { return };
            self.at += end;
        }
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn wanted(&mut self, token: &str) -> Option<()> {
        self.eat(token).then_some(())
    }

    fn word(&mut self) -> Option<&'static str> {
        self.skip();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).filter(|word| !word.is_empty())
    }

    fn string(&mut self) -> Option<&'static str> {
        self.skip();
        let (text, _) = self.rest().strip_prefix('"')?.split_once('"')?;
        self.at += text.len() + 2;
        Some(text)
    }
}

/// The words of a comment, and its `@tag value` pairs.
fn tagged(doc: &'static str) -> (String, Vec<(&'static str, &'static str)>) {
    let mut parts = doc.split('@');
    let about = parts.next().unwrap_or("").trim().to_owned();
    (about, parts.filter_map(|part| part.trim().split_once(' ')).collect())
}

/// The same, or null.
fn nullable(mut schema: Value) -> Value {
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.to_owned(),
        Some(_) => return schema,
        None if schema.as_object().is_some_and(Map::is_empty) => return schema,
        None => return json!({ "anyOf": [schema, { "type": "null" }] }),
    };
    say(&mut schema, "type", json!([kind, "null"]));
    if let Some(texts) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        texts.push(Value::Null);
    }
    schema
}

/// Says one thing more in an object.
pub(super) fn say(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}
