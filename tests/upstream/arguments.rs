//! Arguments that a model might give a tool: what the question says in JSON, else what fits the tool's schema.

use serde_json::{Map, Value, json};

/// An object that stands in the question, so that a test can say what the tool is called with; else a plausible one.
pub(super) fn arguments(question: &str, schema: &Value) -> Value {
    let said = question.find('{').zip(question.rfind('}'));
    let said =
        said.and_then(|(from, to)| question.get(from..=to)).and_then(|json| serde_json::from_str(json).ok());
    match said {
        Some(Value::Object(object)) => Value::Object(object),
        _ => value("", question, schema),
    }
}

fn value(name: &str, question: &str, schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str()).unwrap_or("object");
    match kind {
        "string" => text(name, question, schema["format"].as_str()).into(),
        "integer" | "number" => schema["minimum"].as_i64().unwrap_or(1).into(),
        "boolean" => true.into(),
        "array" => json!([value(name, question, &schema["items"])]),
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let properties = properties.map(|(name, schema)| (name.clone(), value(name, question, schema)));
            Value::Object(properties.collect::<Map<_, _>>())
        }
    }
}

fn text(name: &str, question: &str, format: Option<&str>) -> String {
    let known = [
        ("email", "vera@example.com"),
        ("phone", "555 0100"),
        ("name", "Vera Visitor"),
        ("date", "2026-12-01"),
        ("time", "10:00"),
    ];
    match (format, known.iter().find(|(part, _)| name.contains(part))) {
        (Some("date-time"), _) => "2026-12-01T10:00:00Z".to_owned(),
        (_, Some((_, text))) => (*text).to_owned(),
        _ => question.chars().take(100).collect(),
    }
}
