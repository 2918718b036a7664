//! What a key tells the double to do before any word is said: fail, or call a tool.
//!
//! It never depends on anything but the key, what was asked, and how often the key was used.

use super::arguments;
use super::asked::Asked;
use super::formats::{Format, head};
use super::talk::Call;
use axum::body::Body;
use axum::response::Response;

/// The tools that this key makes the double call now; none, and it answers.
pub(super) fn calls(key: &str, asked: &Asked) -> Vec<Call> {
    let behaviour = key.strip_prefix("test-").unwrap_or_default();
    let (kind, rest) = behaviour.split_once('-').unwrap_or((behaviour, ""));
    let (first, done) = (asked.tools.first(), asked.result().is_some());
    let (name, schema) = match kind {
        "tool" if !done => {
            let name = rest.split('-').next().unwrap_or_default();
            // A model may call what is not there.
            let schema =
                asked.tools.iter().find(|(other, _)| other == name).map(|(_, schema)| schema.clone());
            (name.to_owned(), schema.unwrap_or_default())
        }
        "toolloop" | "badargs" if first.is_some() && (kind == "toolloop" || !done) => {
            first.cloned().unwrap_or_default()
        }
        _ => return Vec::new(),
    };
    let arguments = match kind {
        "badargs" => "{\"no such\": argu".to_owned(),
        _ => arguments::arguments(asked.question(), &schema).to_string(),
    };
    vec![Call { id: "0".to_owned(), name, arguments }]
}

/// The error with which this key fails at once, if it does. `number` requests came with the key before.
pub(super) fn fails(format: Format, key: &str, number: usize) -> Option<Response> {
    let behaviour = key.strip_prefix("test-").unwrap_or_default();
    let (kind, rest) = behaviour.split_once('-').unwrap_or((behaviour, ""));
    let flaky = kind.strip_prefix("flaky").and_then(|times| times.parse::<usize>().ok());
    let status = match (kind, flaky) {
        (_, Some(times)) if number < times => rest.split('-').next().unwrap_or_default(),
        (_, Some(_)) => return None,
        ("quota", _) => return Some(format.out_of_credit()),
        (kind, _) if KNOWN.contains(&kind) => return None,
        (kind, _) => kind,
    };
    let status = status.parse().ok().filter(|status| (300..600).contains(status)).unwrap_or(401);
    let mut response = format.error(status, "this key is told to fail");
    if (300..400).contains(&status) {
        response.headers_mut().insert(http::header::LOCATION, format.path().parse().unwrap());
    }
    if flaky.is_some() {
        response.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    Some(response)
}

/// What a key may be told beside a status.
const KNOWN: &[&str] = &[
    "ok",
    "slow",
    "steps",
    "nousage",
    "length",
    "refuse",
    "garbage",
    "midstream",
    "cut",
    "broken",
    "silent",
    "hang",
    "page",
    "tool",
    "toolloop",
    "badargs",
];

pub(super) fn page() -> Response {
    head(200, "text/html", Body::from("<!doctype html>\n<title>Welcome</title>\n"))
}
