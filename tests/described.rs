//! What the API's description says of an answer: every answer that a test gets is held against it.

use std::sync::OnceLock;

use bulkhead::openapi::types::SCHEMAS;
use bulkhead::openapi::{Servers, api, document};
use serde_json::Value;

/// That the description has this answer: its status, and a body of that shape with no field more or less. Addresses that are
/// not of the API have no description, and are passed over.
///
/// # Panics
/// When it does not.
pub fn check(method: &str, path: &str, status: u16, kind: &str, body: &Value) {
    let path = path.split('?').next().unwrap();
    let Some(operation) = operation(method, path) else { return };
    let responses = &operation["responses"];
    let answer = match &responses[status.to_string()] {
        Value::Null if status >= 400 => &responses["default"],
        Value::Null => {
            panic!("{method} {path} answered {status}, which src/openapi/api.ts does not have: {body}")
        }
        answer => answer,
    };
    let content = match (&answer["content"], body) {
        (Value::Null, Value::Null) => return,
        (Value::Null, body) => {
            panic!("{method} {path} {status}: src/openapi/api.ts has no body, and here is one: {body}")
        }
        (content, _) => &content[kind.split(';').next().unwrap()],
    };
    assert!(content.is_object(), "{method} {path} {status}: {kind} is not described");
    if let Err(why) = fits(&content["schema"], body) {
        panic!("{method} {path} {status} is not as src/openapi/api.ts has it: {why}\nin {body}");
    }
}

/// The API's description.
pub fn described() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let servers =
            Servers { root: "http://localhost".into(), company: "http://{company}.localhost".into() };
        document(&api().unwrap(), &servers)
    })
}

fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let matches = |pattern: &str| {
        let (wanted, given) = (pattern.split('/'), path.split('/'));
        wanted.clone().count() == given.clone().count()
            && wanted.zip(given).all(|(wanted, given)| wanted == given || wanted.starts_with('{'))
    };
    let paths = described()["paths"].as_object().unwrap();
    // An address without a gap goes before one whose gap it would fill.
    let mut fitting: Vec<_> = paths.iter().filter(|(pattern, _)| matches(pattern)).collect();
    fitting.sort_by_key(|(pattern, _)| pattern.matches('{').count());
    fitting.into_iter().find_map(|(_, path)| path.get(method.to_lowercase()))
}

/// Whether a value is of a schema; why not.
///
/// # Errors
/// The path to what is wrong, and what it is.
pub fn fits(schema: &'static Value, value: &Value) -> Result<(), String> {
    let schema = followed(schema);
    if let Some(choices) = schema["anyOf"].as_array() {
        let tried: Vec<_> = choices.iter().map(|choice| fits(choice, value)).collect();
        let first = tried.iter().find_map(|one| one.as_ref().err()).cloned();
        return if tried.iter().any(Result::is_ok) { Ok(()) } else { Err(first.unwrap()) };
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if schema["allOf"].is_array() => vec!["object"],
        _ => return Ok(()),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !(kinds.contains(&kind) || kind == "integer" && kinds.contains(&"number")) {
        return Err(format!("{value} is not {}", kinds.join(" or ")));
    }
    if let Some(texts) = schema["enum"].as_array()
        && !texts.contains(value)
    {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    if value.as_f64().zip(schema["minimum"].as_f64()).is_some_and(|(value, least)| value < least) {
        return Err(format!("{value} is too small"));
    }
    match (value, schema["format"].as_str()) {
        (Value::String(text), Some("uuid")) if uuid::Uuid::parse_str(text).is_err() => {
            return Err(format!("{value} is no UUID"));
        }
        (Value::String(text), Some("date")) if text.len() != 10 || text.matches('-').count() != 2 => {
            return Err(format!("{value} is no day"));
        }
        _ => {}
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| fits(&schema["items"], item).map_err(|why| format!("[{at}]{why}"))),
        Value::Object(fields) => {
            let (mut known, mut required) = (Vec::new(), Vec::new());
            gathered(schema, &mut known, &mut required);
            for name in required {
                if !fields.contains_key(name) {
                    return Err(format!(".{name} is missing"));
                }
            }
            for (name, value) in fields {
                match known.iter().find(|(other, _)| other == name) {
                    Some((_, schema)) => fits(schema, value).map_err(|why| format!(".{name}: {why}"))?,
                    None if schema["additionalProperties"] == true => {}
                    None => return Err(format!(".{name} is not described")),
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The fields of an object, and those that must be there.
pub fn gathered(
    schema: &'static Value,
    known: &mut Vec<(&'static str, &'static Value)>,
    required: &mut Vec<&'static str>,
) {
    let schema = followed(schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        gathered(part, known, required);
    }
    known.extend(
        schema["properties"].as_object().into_iter().flatten().map(|(name, field)| (name.as_str(), field)),
    );
    required.extend(schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str));
}

/// The schema that a reference names.
fn followed(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str().and_then(|to| to.strip_prefix(SCHEMAS)) {
        Some(name) => &described()["components"]["schemas"][name],
        None => schema,
    }
}
