//! OpenAI's responses, streamed: builds the request, reads the events.
//!
//! It never leaves a conversation with the provider: `store` is false, and every request brings all of it.

use super::tools::{self, Calls, Said};
use super::{Event, LlmError, Prompt, StopReason, Tool, ToolCall, Usage};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// <https://platform.openai.com/docs/api-reference/responses/create>
pub(super) fn request(
    base_url: &str,
    secret: &str,
    model: &str,
    prompt: &Prompt,
) -> Result<http::Request<Bytes>, LlmError> {
    let mut input = Vec::with_capacity(prompt.turns.len());
    for said in tools::paired(&prompt.turns) {
        match said {
            Said::User(text) => input.extend(Item::message("user", text)),
            Said::Assistant { text, calls } => {
                input.extend(Item::message("assistant", text));
                input.extend(calls.into_iter().map(|call| Item::Call {
                    kind: "function_call",
                    call_id: tools::plain(&call.id),
                    name: tools::plain(&call.name),
                    arguments: Value::Object(tools::arguments(call)).to_string(),
                }));
            }
            Said::Tools(results) => input.extend(results.into_iter().map(|result| Item::Result {
                kind: "function_call_output",
                call_id: tools::plain(&result.call_id),
                output: &result.content,
            })),
        }
    }
    let body = Request {
        model,
        instructions: (!prompt.system.is_empty()).then_some(&prompt.system),
        input,
        tools: prompt.tools.iter().map(Function::new).collect(),
        max_output_tokens: prompt.max_output_tokens,
        store: false,
        stream: true,
    };
    let mut request = super::post(super::address(base_url, "/responses", "")?, &body)?;
    super::authorize(&mut request, http::header::AUTHORIZATION, "Bearer ", secret)?;
    Ok(request)
}

/// How far one answer's stream has come.
#[derive(Debug, Default)]
pub(super) struct Stream {
    refused: bool,
    done: bool,
    calls: Calls,
}

impl Stream {
    /// Reads one event's data. Its `type` repeats the event's name, so the name is not needed.
    ///
    /// <https://platform.openai.com/docs/api-reference/responses-streaming>; most events repeat what others bring.
    pub(super) fn read(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), LlmError> {
        if self.done || data.is_empty() || data.trim_ascii() == "[DONE]" {
            return Ok(());
        }
        let event: StreamEvent<'_> = serde_json::from_str(data).map_err(|_| LlmError::Garbage)?;
        match &*event.kind {
            "response.output_text.delta" => say(event.delta, out),
            "response.refusal.delta" => {
                self.refused = true;
                say(event.delta, out);
            }
            // An item that is whole; the call's id and name stand nowhere else beside all its arguments.
            "response.output_item.done" => self.call(event.item)?,
            "response.completed" | "response.incomplete" => {
                self.stop(event.response.unwrap_or_default(), out)
            }
            "response.failed" => {
                let error = event.response.and_then(|response| response.error);
                return Err(super::error::from_stream(&error.unwrap_or_default()));
            }
            // Told in an object of its own, or beside the type.
            "error" => {
                let beside = serde_json::json!({ "code": event.code, "message": event.message });
                return Err(super::error::from_stream(&event.error.unwrap_or(beside)));
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) const fn ended(&self) -> bool {
        self.done
    }

    fn call(&mut self, item: Option<Value>) -> Result<(), LlmError> {
        let Some(item) = item.filter(|item| item.get("type").is_some_and(|kind| kind == "function_call"))
        else {
            return Ok(());
        };
        let item: FunctionCall = serde_json::from_value(item).map_err(|_| LlmError::Garbage)?;
        let call = ToolCall {
            id: item.call_id.unwrap_or_default(),
            name: item.name.unwrap_or_default(),
            arguments: item.arguments.unwrap_or_default(),
            signature: None,
        };
        self.calls.begin(0, call)
    }

    fn stop(&mut self, response: Response, out: &mut Vec<Event>) {
        self.done = true;
        let reason = match response.incomplete_details.and_then(|details| details.reason).as_deref() {
            None if self.calls.any() => StopReason::ToolUse,
            None if self.refused => StopReason::Refusal,
            None => StopReason::End,
            Some("max_output_tokens") => StopReason::Length,
            Some("content_filter") => StopReason::Refusal,
            Some(_) => StopReason::Other,
        };
        if reason == StopReason::ToolUse {
            self.calls.finish(out);
        }
        out.extend(response.usage.map(|usage| Event::Usage(usage.into())));
        out.push(Event::Stop(reason));
    }
}

fn say(text: Option<String>, out: &mut Vec<Event>) {
    out.extend(text.filter(|text| !text.is_empty()).map(Event::Delta));
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a String>,
    input: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'a>>,
    max_output_tokens: u32,
    store: bool,
    stream: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Message {
        role: &'static str,
        content: &'a str,
    },
    Call {
        #[serde(rename = "type")]
        kind: &'static str,
        call_id: Cow<'a, str>,
        name: Cow<'a, str>,
        arguments: String,
    },
    Result {
        #[serde(rename = "type")]
        kind: &'static str,
        call_id: Cow<'a, str>,
        output: &'a str,
    },
}

impl<'a> Item<'a> {
    fn message(role: &'static str, content: &'a str) -> Option<Self> {
        (!content.is_empty()).then_some(Self::Message { role, content })
    }
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
    /// Strict schemas must require every property, and this API takes them for strict unless told otherwise.
    strict: bool,
}

impl<'a> Function<'a> {
    const fn new(tool: &'a Tool) -> Self {
        let (name, description, parameters) = (tool.name, tool.description, &tool.parameters);
        Self { kind: "function", name, description, parameters, strict: false }
    }
}

/// The fields of all events in one, as for Anthropic.
#[derive(Deserialize)]
struct StreamEvent<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(default, deserialize_with = "text_or_none")]
    delta: Option<String>,
    item: Option<Value>,
    response: Option<Response>,
    error: Option<Value>,
    code: Option<Value>,
    message: Option<Value>,
}

/// Some events that are not read here have a delta of another type.
fn text_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

#[derive(Deserialize)]
struct FunctionCall {
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Default, Deserialize)]
struct Response {
    usage: Option<ResponseUsage>,
    incomplete_details: Option<IncompleteDetails>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct IncompleteDetails {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct ResponseUsage {
    input_tokens: Option<u32>,
    output_tokens: Option<u32>,
    input_tokens_details: Option<InputTokensDetails>,
}

#[derive(Default, Deserialize)]
struct InputTokensDetails {
    cached_tokens: Option<u32>,
    cache_write_tokens: Option<u32>,
}

impl From<ResponseUsage> for Usage {
    fn from(usage: ResponseUsage) -> Self {
        let details = usage.input_tokens_details.unwrap_or_default();
        Self {
            input_tokens: usage.input_tokens.unwrap_or(0),
            output_tokens: usage.output_tokens.unwrap_or(0),
            cached_input_tokens: details.cached_tokens.unwrap_or(0),
            cache_write_input_tokens: details.cache_write_tokens.unwrap_or(0),
        }
    }
}
