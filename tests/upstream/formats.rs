//! The two wire formats as the double writes them.
//!
//! It never uses the core's codecs: a mistake in them must not be answered by the same mistake.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// Which provider the double plays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    OpenAi,
    Anthropic,
}

/// How an answer ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    End,
    Length,
    Refusal,
}

impl Format {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::OpenAi => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
        }
    }

    /// The API key; empty where there is none.
    pub(super) fn key(self, headers: &HeaderMap) -> String {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let key = match self {
            Self::OpenAi => text("authorization").and_then(|value| value.strip_prefix("Bearer ")),
            Self::Anthropic => text("x-api-key"),
        };
        key.unwrap_or_default().to_owned()
    }

    /// What the real provider would not accept in this request.
    pub(super) fn complaint(self, headers: &HeaderMap, body: &Value) -> Option<(u16, &'static str)> {
        let is_json = headers.get("content-type").is_some_and(|kind| kind == "application/json");
        let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let speaks = |message: &Value, roles: &[&str]| {
            message["role"].as_str().is_some_and(|role| roles.contains(&role))
                && message["content"].is_string()
        };
        let positive = |name: &str| body[name].as_u64().is_some_and(|number| number > 0);
        let common = [
            (self.key(headers).is_empty(), 401, "there is no API key"),
            (!is_json || !body.is_object(), 400, "the body is not JSON"),
            (body["model"].as_str().is_none_or(str::is_empty), 400, "model: required"),
            (body["stream"] != true, 400, "stream: this double only streams"),
            (messages.is_empty(), 400, "messages: at least one is required"),
        ];
        let own = match self {
            Self::OpenAi => [
                (
                    !messages.iter().all(|m| speaks(m, &["system", "user", "assistant"])),
                    "messages: not valid",
                ),
                (positive("max_tokens") && positive("max_completion_tokens"), "max_tokens: given twice"),
                (!positive("max_tokens") && !positive("max_completion_tokens"), "max_tokens: not bounded"),
            ],
            Self::Anthropic => [
                (headers.get("anthropic-version").is_none(), "anthropic-version: header is required"),
                (!positive("max_tokens"), "max_tokens: Field required"),
                (
                    !messages.iter().all(|m| speaks(m, &["user", "assistant"]) && m["content"] != "")
                        || messages.first().is_some_and(|first| first["role"] != "user"),
                    "messages: not valid",
                ),
            ],
        };
        let own = own.map(|(wrong, message)| (wrong, 400, message));
        common.into_iter().chain(own).find(|(wrong, ..)| *wrong).map(|(_, status, message)| (status, message))
    }

    pub(super) fn error(self, status: u16, message: &str) -> Response {
        let kind = match (self, status) {
            (Self::Anthropic, 401) => "authentication_error",
            (Self::Anthropic, 403) => "permission_error",
            (Self::Anthropic, 404) => "not_found_error",
            (Self::Anthropic, 429) => "rate_limit_error",
            (Self::Anthropic, 529) => "overloaded_error",
            (Self::Anthropic, 500..) => "api_error",
            (Self::OpenAi, 429) => "requests",
            (Self::OpenAi, 500..) => "server_error",
            _ => "invalid_request_error",
        };
        let code = match status {
            401 => json!("invalid_api_key"),
            404 => json!("model_not_found"),
            429 => json!("rate_limit_exceeded"),
            _ => Value::Null,
        };
        let mut response = head(status, "application/json", self.error_body(kind, message, &code).into());
        if status == 429 {
            response.headers_mut().insert("retry-after", http::HeaderValue::from_static("20"));
        }
        response
    }

    pub(super) fn out_of_credit(self) -> Response {
        let (status, kind, message) = match self {
            Self::OpenAi => (429, "insufficient_quota", "You exceeded your current quota."),
            Self::Anthropic => {
                (400, "invalid_request_error", "Your credit balance is too low to access the API.")
            }
        };
        head(status, "application/json", self.error_body(kind, message, &json!(kind)).into())
    }

    fn error_body(self, kind: &str, message: &str, code: &Value) -> String {
        match self {
            Self::OpenAi => json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
            Self::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
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

/// One answer's stream, event by event.
pub(super) struct Talk {
    pub(super) format: Format,
    pub(super) input_tokens: usize,
    pub(super) output_tokens: usize,
    pub(super) wants_usage: bool,
}

impl Talk {
    /// What comes before the first word.
    pub(super) fn start(&self) -> String {
        match self.format {
            Format::OpenAi => self.chunk(&json!({"role": "assistant", "content": "", "refusal": null}), None),
            Format::Anthropic => {
                let mut message = json!({
                    "id": "msg_double", "type": "message", "role": "assistant", "model": "double",
                    "content": [], "stop_reason": null, "stop_sequence": null,
                });
                if self.wants_usage {
                    message["usage"] = json!({
                        "input_tokens": self.input_tokens, "cache_creation_input_tokens": 0,
                        "cache_read_input_tokens": 0, "output_tokens": 1,
                    });
                }
                let block = json!({"type": "text", "text": ""});
                event(&json!({"type": "message_start", "message": message}))
                    + &event(&json!({"type": "content_block_start", "index": 0, "content_block": block}))
                    + &event(&json!({"type": "ping"}))
            }
        }
    }

    pub(super) fn word(&self, word: &str) -> String {
        match self.format {
            Format::OpenAi => self.chunk(&json!({"content": word}), None),
            Format::Anthropic => {
                let delta = json!({"type": "text_delta", "text": word});
                event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
            }
        }
    }

    /// What comes after the last word, each event by itself.
    pub(super) fn end(&self, stop: Stop) -> Vec<String> {
        match self.format {
            Format::OpenAi => {
                let refusal = (stop == Stop::Refusal)
                    .then(|| self.chunk(&json!({"refusal": "I can't help with that."}), None));
                let reason = if stop == Stop::Length { "length" } else { "stop" };
                let usage = self.wants_usage.then(|| {
                    data(&json!({
                        "id": "chatcmpl-double", "object": "chat.completion.chunk", "model": "double", "choices": [],
                        "usage": {
                            "prompt_tokens": self.input_tokens, "completion_tokens": self.output_tokens,
                            "total_tokens": self.input_tokens + self.output_tokens,
                            "prompt_tokens_details": {"cached_tokens": 0},
                        },
                    }))
                });
                let stop = self.chunk(&json!({}), Some(reason));
                let done = "data: [DONE]\n\n".to_owned();
                refusal.into_iter().chain([stop]).chain(usage).chain([done]).collect()
            }
            Format::Anthropic => {
                let reason = match stop {
                    Stop::End => "end_turn",
                    Stop::Length => "max_tokens",
                    Stop::Refusal => "refusal",
                };
                let mut delta =
                    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}});
                if self.wants_usage {
                    delta["usage"] = json!({"output_tokens": self.output_tokens});
                }
                let stop = json!({"type": "content_block_stop", "index": 0});
                vec![event(&stop), event(&delta), event(&json!({"type": "message_stop"}))]
            }
        }
    }

    pub(super) fn midstream_error(&self) -> String {
        match self.format {
            Format::OpenAi => data(&json!({"error": {
                "message": "The server had an error processing your request.",
                "type": "server_error", "param": null, "code": null,
            }})),
            Format::Anthropic => event(
                &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            ),
        }
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> String {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        let mut chunk = json!({
            "id": "chatcmpl-double", "object": "chat.completion.chunk", "model": "double", "choices": [choice],
        });
        if self.wants_usage {
            chunk["usage"] = Value::Null;
        }
        data(&chunk)
    }
}

/// OpenAI's events have no name.
fn data(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// Anthropic's events are named after their type.
fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// The last thing that the user said.
pub(super) fn question(body: &Value) -> &str {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.iter().rev().find(|message| message["role"] == "user");
    last.and_then(|message| message["content"].as_str()).unwrap_or_default()
}

/// The texts of a request: what the system says, and every turn.
pub(super) fn texts(body: &Value) -> impl Iterator<Item = &str> {
    let turns = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let turns = turns.iter().filter_map(|message| message["content"].as_str());
    body["system"].as_str().into_iter().chain(turns)
}
