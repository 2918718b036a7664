//! The wire formats as the double receives them: paths, keys, what is not accepted, errors, lists of models.
//!
//! It never uses the core's codecs: a mistake in them must not be answered by the same mistake.

use super::asked::{Asked, Turn};
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// Which provider the double plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
}

/// The models that the double lists, beside those that the schema knows.
const MODELS: &[&str] = &[
    "m",
    "model-1",
    "gpt-5-nano",
    "gpt-5-mini",
    "gpt-5",
    "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5-20250929",
    "claude-opus-4-5-20251101",
    "gemini-3.5-flash-lite",
    "gemini-3.8-flash",
    "gemini-3.1-pro-preview",
];

impl Format {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Anthropic => "/v1/messages",
            Self::Gemini => "/v1/models/{model}:streamGenerateContent",
        }
    }

    /// Who is asked for its models: all have the same path, and each its own header.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key("x-goog-api-key") {
            Self::Gemini
        } else if headers.contains_key("x-api-key") {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }

    /// The API key; empty where there is none.
    pub(super) fn key(self, headers: &HeaderMap) -> String {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let key = match self {
            Self::OpenAi | Self::Responses => {
                text("authorization").and_then(|value| value.strip_prefix("Bearer "))
            }
            Self::Anthropic => text("x-api-key"),
            Self::Gemini => text("x-goog-api-key"),
        };
        key.unwrap_or_default().to_owned()
    }

    /// What the real provider would not accept in this request.
    pub(super) fn complaint(
        self,
        headers: &HeaderMap,
        body: &Value,
        model: &str,
        asked: &Asked,
    ) -> Option<(u16, &'static str)> {
        let is_json = headers.get("content-type").is_some_and(|kind| kind == "application/json");
        let positive = |value: &Value| value.as_u64().is_some_and(|number| number > 0);
        let begins = matches!(asked.turns.first(), Some(Turn::User(_)));
        let common = [
            (self.key(headers).is_empty(), 401, "there is no API key"),
            (!is_json || !body.is_object(), 400, "the body is not JSON"),
            (model.is_empty(), 400, "model: required"),
            (self != Self::Gemini && body["stream"] != true, 400, "stream: this double only streams"),
            (asked.turns.is_empty(), 400, "messages: at least one is required"),
        ];
        let own: &[(bool, &'static str)] = &match self {
            Self::OpenAi => {
                let (old, new) = (&body["max_tokens"], &body["max_completion_tokens"]);
                vec![
                    (positive(old) && positive(new), "max_tokens: given twice"),
                    (!positive(old) && !positive(new), "max_tokens: not bounded"),
                ]
            }
            Self::Responses => vec![
                (body["max_output_tokens"].as_u64().is_none_or(|n| n < 16), "max_output_tokens: at least 16"),
                (body["store"] != false, "store: a conversation would stay with the provider"),
            ],
            Self::Anthropic => vec![
                (headers.get("anthropic-version").is_none(), "anthropic-version: header is required"),
                (!positive(&body["max_tokens"]), "max_tokens: Field required"),
                (!begins, "messages: must begin with a user's"),
            ],
            Self::Gemini => vec![
                (!positive(&body["generationConfig"]["maxOutputTokens"]), "maxOutputTokens: not bounded"),
                (!begins, "contents: must begin with a user's"),
                (!alternate(&body["contents"]), "contents: roles must alternate"),
                (
                    unknown_keyword(&body["tools"]),
                    "Unknown name \"additionalProperties\": Cannot find field.",
                ),
                (unsigned(model, &body["contents"]), "Function call is missing a thought_signature"),
            ],
        };
        let own = own.iter().map(|(wrong, message)| (*wrong, 400, *message));
        let found = common.into_iter().chain(own).find(|(wrong, ..)| *wrong);
        let found = found.map(|(_, status, message)| (status, message));
        found.or_else(|| asked.complaint().map(|message| (400, message)))
    }

    /// The list of models.
    pub(super) fn models(self) -> Response {
        let body = match self {
            Self::OpenAi | Self::Responses => {
                let models =
                    MODELS.iter().map(|id| json!({"id": id, "object": "model", "owned_by": "double"}));
                json!({"object": "list", "data": models.collect::<Vec<_>>()})
            }
            Self::Anthropic => {
                let models = MODELS.iter().map(|id| json!({"type": "model", "id": id, "display_name": id}));
                json!({"data": models.collect::<Vec<_>>(), "has_more": false})
            }
            Self::Gemini => {
                let models =
                    MODELS.iter().map(|id| json!({"name": format!("models/{id}"), "displayName": id}));
                json!({"models": models.collect::<Vec<_>>()})
            }
        };
        head(200, "application/json", body.to_string().into())
    }

    pub(super) fn error(self, status: u16, message: &str) -> Response {
        let kind = match (self, status) {
            (Self::Anthropic, 401) => "authentication_error",
            (Self::Anthropic, 403) => "permission_error",
            (Self::Anthropic, 404) => "not_found_error",
            (Self::Anthropic, 429) => "rate_limit_error",
            (Self::Anthropic, 529) => "overloaded_error",
            (Self::Anthropic, 500..) => "api_error",
            (Self::Gemini, 401) => "UNAUTHENTICATED",
            (Self::Gemini, 403) => "PERMISSION_DENIED",
            (Self::Gemini, 404) => "NOT_FOUND",
            (Self::Gemini, 429) => "RESOURCE_EXHAUSTED",
            (Self::Gemini, 503) => "UNAVAILABLE",
            (Self::Gemini, 500..) => "INTERNAL",
            (Self::Gemini, _) => "INVALID_ARGUMENT",
            (Self::OpenAi | Self::Responses, 429) => "requests",
            (Self::OpenAi | Self::Responses, 500..) => "server_error",
            _ => "invalid_request_error",
        };
        let code = match status {
            401 => json!("invalid_api_key"),
            404 => json!("model_not_found"),
            429 => json!("rate_limit_exceeded"),
            _ => Value::Null,
        };
        let body = match self {
            // Google's status is not the one that the double is told to answer with where that is no status of Google's.
            Self::Gemini if status == 529 => "{}".to_owned(),
            _ => self.error_body(status, kind, message, &code),
        };
        let mut response = head(status, "application/json", body.into());
        if status == 429 {
            response.headers_mut().insert("retry-after", http::HeaderValue::from_static("20"));
        }
        response
    }

    pub(super) fn out_of_credit(self) -> Response {
        let (status, kind, message) = match self {
            Self::OpenAi | Self::Responses => (429, "insufficient_quota", "You exceeded your current quota."),
            Self::Anthropic => {
                (400, "invalid_request_error", "Your credit balance is too low to access the API.")
            }
            Self::Gemini => (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
        };
        head(status, "application/json", self.error_body(status, kind, message, &json!(kind)).into())
    }

    fn error_body(self, status: u16, kind: &str, message: &str, code: &Value) -> String {
        match self {
            Self::OpenAi | Self::Responses => {
                json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
            }
            Self::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
            Self::Gemini => json!({"error": {"code": status, "message": message, "status": kind}}),
        }
        .to_string()
    }
}

pub(super) fn head(status: u16, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(content_type));
    response
}

fn alternate(contents: &Value) -> bool {
    let contents = contents.as_array().map(Vec::as_slice).unwrap_or_default();
    contents.windows(2).all(|pair| pair[0]["role"] != pair[1]["role"])
}

/// Whether a function's schema has a keyword that Gemini does not know, or a list where it takes one value.
fn unknown_keyword(tools: &Value) -> bool {
    let text = tools.to_string();
    text.contains("\"additionalProperties\"") || text.contains("\"$schema\"") || text.contains("\"type\":[")
}

/// Whether the first call of an answer has no signature, where the model wants one.
fn unsigned(model: &str, contents: &Value) -> bool {
    let mut contents = contents.as_array().into_iter().flatten();
    model.starts_with("gemini-3")
        && contents.any(|content| {
            let calls = content["parts"].as_array().into_iter().flatten();
            let mut calls = calls.filter(|part| part["functionCall"].is_object());
            calls.next().is_some_and(|first| !first["thoughtSignature"].is_string())
        })
}
