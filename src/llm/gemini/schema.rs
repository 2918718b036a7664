//! JSON Schema in the words that Gemini's function declarations take: a part of OpenAPI 3.0's.
//!
//! It never passes on a keyword that Gemini does not know: one of them, and the whole request is refused.

use serde_json::{Map, Value};

/// Keywords that mean the same in both (<https://ai.google.dev/api/caching#Schema>). `additionalProperties` is not among
/// them: a model's arguments are checked against the real schema anyway.
const SAME: &[&str] = &[
    "title",
    "description",
    "nullable",
    "required",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "default",
];

/// The arguments' schema; `None` for a function without any, since an object without properties is refused.
pub(super) fn parameters(schema: &Value) -> Option<Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| !properties.is_empty()).then(|| convert(schema))
}

fn convert(schema: &Value) -> Value {
    let mut out = Map::new();
    for (name, value) in schema.as_object().into_iter().flatten() {
        match name.as_str() {
            "type" => kind(value, &mut out),
            "const" => values(std::slice::from_ref(value), &mut out),
            "enum" => values(value.as_array().map(Vec::as_slice).unwrap_or_default(), &mut out),
            "format" if fitting(value) => {
                out.insert(name.clone(), value.clone());
            }
            "items" => {
                out.insert(name.clone(), convert(value));
            }
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                let properties = properties.map(|(name, schema)| (name.clone(), convert(schema)));
                out.insert(name.clone(), Value::Object(properties.collect()));
            }
            "anyOf" | "oneOf" => {
                let any = value.as_array().into_iter().flatten().map(convert).collect();
                out.insert("anyOf".to_owned(), Value::Array(any));
            }
            name if SAME.contains(&name) => {
                out.insert(name.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    Value::Object(out)
}

/// One type, not a list of them; that null is allowed has a keyword of its own.
fn kind(value: &Value, out: &mut Map<String, Value>) {
    let Some(kinds) = value.as_array() else {
        out.insert("type".to_owned(), value.clone());
        return;
    };
    if kinds.iter().any(|kind| kind == "null") {
        out.insert("nullable".to_owned(), true.into());
    }
    if let Some(kind) = kinds.iter().find(|kind| *kind != "null") {
        out.insert("type".to_owned(), kind.clone());
    }
}

/// Only texts can be listed.
fn values(values: &[Value], out: &mut Map<String, Value>) {
    let texts: Vec<Value> = values.iter().filter(|value| value.is_string()).cloned().collect();
    if !texts.is_empty() {
        out.insert("enum".to_owned(), Value::Array(texts));
    }
}

fn fitting(format: &Value) -> bool {
    ["date-time", "int32", "int64", "float", "double"].iter().any(|known| format == known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(property: Value, expected: Value) {
        let schema = json!({"type": "object", "properties": {"p": property}, "additionalProperties": false});
        assert_eq!(parameters(&schema), Some(json!({"type": "object", "properties": {"p": expected}})));
    }

    #[test]
    fn what_gemini_knows_stays_and_the_rest_goes() {
        check(json!({"type": "string", "minLength": 1}), json!({"type": "string", "minLength": 1}));
        check(json!({"type": ["string", "null"]}), json!({"type": "string", "nullable": true}));
        check(json!({"type": "string", "const": "a"}), json!({"type": "string", "enum": ["a"]}));
        check(json!({"type": "string", "enum": ["a", "b"]}), json!({"type": "string", "enum": ["a", "b"]}));
        check(json!({"type": "integer", "enum": [1, 2]}), json!({"type": "integer"}));
        check(json!({"type": "string", "format": "email"}), json!({"type": "string"}));
        check(
            json!({"type": "string", "format": "date-time"}),
            json!({"type": "string", "format": "date-time"}),
        );
        check(
            json!({"type": "array", "uniqueItems": true, "items": {"type": "object", "additionalProperties": false,
                   "properties": {"const": {"type": "string", "$comment": "x"}}}}),
            json!({"type": "array", "items": {"type": "object", "properties": {"const": {"type": "string"}}}}),
        );
        check(
            json!({"oneOf": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 0}]}),
            json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        );
        check(json!(true), json!({}));
    }

    #[test]
    fn a_function_without_arguments_has_no_schema() {
        for schema in
            [json!({}), json!(null), json!({"type": "object"}), json!({"type": "object", "properties": {}})]
        {
            assert_eq!(parameters(&schema), None);
        }
    }
}
