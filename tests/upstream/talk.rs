//! The wire formats as the double writes them, event by event.
//!
//! It never uses the core's codecs: a mistake in them must not be answered by the same mistake.

use super::formats::Format;
use serde_json::{Value, json};

/// How an answer ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    End,
    Length,
    Refusal,
}

/// A call that the double makes.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON, unless it is told otherwise.
    pub(super) arguments: String,
}

/// One answer's stream.
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
            Format::Responses => {
                let item = json!({"id": "msg_double", "type": "message", "role": "assistant", "content": []});
                event(&json!({"type": "response.created", "response": self.response("in_progress", None)}))
                    + &event(&json!({"type": "response.output_item.added", "output_index": 0, "item": item}))
            }
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
            Format::Gemini => {
                self.candidate(&json!({"text": "Thinking about it.", "thought": true}), None, 0)
            }
        }
    }

    pub(super) fn word(&self, word: &str) -> String {
        match self.format {
            Format::OpenAi => self.chunk(&json!({"content": word}), None),
            Format::Responses => {
                event(&json!({"type": "response.output_text.delta", "output_index": 0, "delta": word}))
            }
            Format::Anthropic => {
                let delta = json!({"type": "text_delta", "text": word});
                event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
            }
            Format::Gemini => self.candidate(&json!({"text": word}), None, 1),
        }
    }

    /// What comes after the last word, each event by itself.
    pub(super) fn end(&self, stop: Stop) -> Vec<String> {
        match self.format {
            Format::OpenAi => {
                let refusal = (stop == Stop::Refusal)
                    .then(|| self.chunk(&json!({"refusal": "I can't help with that."}), None));
                let reason = if stop == Stop::Length { "length" } else { "stop" };
                refusal.into_iter().chain(self.openai_end(reason)).collect()
            }
            Format::Responses => {
                let refusal = (stop == Stop::Refusal).then(|| {
                    event(&json!({"type": "response.refusal.delta", "delta": "I can't help with that."}))
                });
                let end = match stop {
                    Stop::Length => {
                        let response = self.response("incomplete", Some("max_output_tokens"));
                        json!({"type": "response.incomplete", "response": response})
                    }
                    _ => json!({"type": "response.completed", "response": self.response("completed", None)}),
                };
                refusal.into_iter().chain([event(&end)]).collect()
            }
            Format::Anthropic => {
                let reason = match stop {
                    Stop::End => "end_turn",
                    Stop::Length => "max_tokens",
                    Stop::Refusal => "refusal",
                };
                let stop = event(&json!({"type": "content_block_stop", "index": 0}));
                std::iter::once(stop).chain(self.anthropic_end(reason)).collect()
            }
            Format::Gemini => {
                let reason = match stop {
                    Stop::End => "STOP",
                    Stop::Length => "MAX_TOKENS",
                    Stop::Refusal => "SAFETY",
                };
                vec![self.candidate(&json!({"text": ""}), Some(reason), self.output_tokens)]
            }
        }
    }

    /// Calls in place of an answer, each event by itself, to the answer's end. Arguments come in two fragments.
    pub(super) fn calls(&self, calls: &[Call]) -> Vec<String> {
        let mut events = Vec::new();
        for (at, call) in calls.iter().enumerate() {
            let half = call.arguments.char_indices().nth(call.arguments.chars().count() / 2);
            let (left, right) = call.arguments.split_at(half.map_or(0, |(at, _)| at));
            match self.format {
                Format::OpenAi => {
                    let begin = json!({"index": at, "id": call.id, "type": "function",
                                       "function": {"name": call.name, "arguments": left}});
                    let more = json!({"index": at, "function": {"arguments": right}});
                    events.extend([begin, more].map(|call| self.chunk(&json!({"tool_calls": [call]}), None)));
                }
                Format::Responses => {
                    let item = |arguments: &str| {
                        json!({"id": format!("fc_{}", call.id), "type": "function_call", "status": "completed",
                               "call_id": call.id, "name": call.name, "arguments": arguments})
                    };
                    let place = at + 1;
                    let begin = json!({"type": "response.output_item.added", "output_index": place, "item": item("")});
                    let delta = |text| json!({"type": "response.function_call_arguments.delta", "output_index": place, "delta": text});
                    let done = json!({"type": "response.output_item.done", "output_index": place,
                                      "item": item(&call.arguments)});
                    events.extend([begin, delta(left), delta(right), done].map(|e| event(&e)));
                }
                Format::Anthropic => {
                    let place = at + 1;
                    if at == 0 {
                        events.push(event(&json!({"type": "content_block_stop", "index": 0})));
                    }
                    let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
                    let begin =
                        json!({"type": "content_block_start", "index": place, "content_block": block});
                    let delta = |text| {
                        json!({"type": "content_block_delta", "index": place,
                               "delta": {"type": "input_json_delta", "partial_json": text}})
                    };
                    let stop = json!({"type": "content_block_stop", "index": place});
                    events.extend([begin, delta(left), delta(right), stop].map(|e| event(&e)));
                }
                Format::Gemini => {
                    // It has objects only, so nonsense is an object that fits no schema.
                    let args =
                        serde_json::from_str(&call.arguments).unwrap_or(json!({"no such": "argument"}));
                    let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": args}});
                    if at == 0 {
                        part["thoughtSignature"] = "c2lnbmF0dXJl".into();
                    }
                    events.push(self.candidate(&part, None, 1));
                }
            }
        }
        events.extend(match self.format {
            Format::OpenAi => self.openai_end("tool_calls"),
            Format::Responses | Format::Gemini => self.end(Stop::End),
            Format::Anthropic => self.anthropic_end("tool_use"),
        });
        events
    }

    pub(super) fn midstream_error(&self) -> String {
        match self.format {
            Format::OpenAi => data(&json!({"error": {
                "message": "The server had an error processing your request.",
                "type": "server_error", "param": null, "code": null,
            }})),
            Format::Responses => event(
                &json!({"type": "error", "code": "server_error", "message": "The server had an error."}),
            ),
            Format::Anthropic => event(
                &json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            ),
            Format::Gemini => {
                data(&json!({"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}))
            }
        }
    }

    fn openai_end(&self, reason: &str) -> Vec<String> {
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
        std::iter::once(stop).chain(usage).chain(["data: [DONE]\n\n".to_owned()]).collect()
    }

    fn anthropic_end(&self, reason: &str) -> Vec<String> {
        let mut delta =
            json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}});
        if self.wants_usage {
            delta["usage"] = json!({"output_tokens": self.output_tokens});
        }
        vec![event(&delta), event(&json!({"type": "message_stop"}))]
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

    fn response(&self, status: &str, incomplete: Option<&str>) -> Value {
        let usage = (self.wants_usage && status != "in_progress").then(|| {
            json!({
                "input_tokens": self.input_tokens, "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": self.output_tokens, "total_tokens": self.input_tokens + self.output_tokens,
            })
        });
        json!({
            "id": "resp_double", "object": "response", "model": "double", "status": status, "store": false,
            "error": null, "incomplete_details": incomplete.map(|reason| json!({"reason": reason})), "usage": usage,
        })
    }

    fn candidate(&self, part: &Value, reason: Option<&str>, output_tokens: usize) -> String {
        let mut candidate = json!({"content": {"parts": [part], "role": "model"}, "index": 0});
        if let Some(reason) = reason {
            candidate["finishReason"] = reason.into();
        }
        let mut chunk = json!({"candidates": [candidate], "modelVersion": "double", "responseId": "double"});
        if self.wants_usage {
            chunk["usageMetadata"] = json!({
                "promptTokenCount": self.input_tokens, "candidatesTokenCount": output_tokens,
                "totalTokenCount": self.input_tokens + output_tokens,
            });
        }
        data(&chunk).replace('\n', "\r\n")
    }
}

/// OpenAI's chunks and Google's have no name.
fn data(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// Other events are named after their type.
fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}
