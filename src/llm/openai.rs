//! OpenAI's chat completions, streamed: builds the request, reads the chunks.
//!
//! It never asks for more than one answer, so whatever choice a chunk names is the answer.

use super::tools::{self, Calls, Said};
use super::{Event, LlmError, Prompt, StopReason, Tool, ToolCall, Usage};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Servers that refuse `stream_options` and report usage unasked: Mistral answers 422 to fields that it does not know.
const USAGE_UNASKED: &[&str] = &["https://api.mistral.ai/"];

/// <https://platform.openai.com/docs/api-reference/chat/create>
pub(super) fn request(
    base_url: &str,
    secret: &str,
    model: &str,
    prompt: &Prompt,
    compatible: bool,
) -> Result<http::Request<Bytes>, LlmError> {
    let mut messages = Vec::with_capacity(prompt.turns.len() + 1);
    if !prompt.system.is_empty() {
        messages.push(Message::new("system", &prompt.system));
    }
    for said in tools::paired(&prompt.turns) {
        match said {
            Said::User(text) => messages.push(Message::new("user", text)),
            Said::Assistant { text, calls } => {
                let mut message = Message::new("assistant", text);
                // Some servers take an empty text for an answer, and the calls for none.
                message.content = message.content.filter(|text| calls.is_empty() || !text.is_empty());
                message.tool_calls = calls.into_iter().map(Call::new).collect();
                messages.push(message);
            }
            Said::Tools(results) => messages.extend(results.into_iter().map(|result| Message {
                tool_call_id: Some(tools::plain(&result.call_id)),
                ..Message::new("tool", &result.content)
            })),
        }
    }
    let asked = !USAGE_UNASKED.iter().any(|server| base_url.starts_with(server));
    let body = Request {
        model,
        messages,
        tools: prompt.tools.iter().map(Function::new).collect(),
        max_completion_tokens: (!compatible).then_some(prompt.max_output_tokens),
        max_tokens: compatible.then_some(prompt.max_output_tokens),
        stream: true,
        stream_options: asked.then_some(StreamOptions { include_usage: true }),
    };
    let mut request = super::post(super::address(base_url, "/chat/completions", "")?, &body)?;
    super::authorize(&mut request, http::header::AUTHORIZATION, "Bearer ", secret)?;
    Ok(request)
}

/// How far one answer's stream has come.
#[derive(Debug)]
pub(super) struct Stream {
    compatible: bool,
    refused: bool,
    stopped: bool,
    done: bool,
    calls: Calls,
}

impl Stream {
    pub(super) fn new(compatible: bool) -> Self {
        Self { compatible, refused: false, stopped: false, done: false, calls: Calls::default() }
    }

    /// Reads one event's data: a chunk, or the end.
    ///
    /// <https://platform.openai.com/docs/api-reference/chat-streaming>
    pub(super) fn read(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), LlmError> {
        if self.done || data.is_empty() {
            return Ok(());
        }
        if data.trim_ascii() == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|_| LlmError::Garbage)?;
        if let Some(error) = chunk.error {
            return Err(super::error::from_stream(&error));
        }
        for choice in chunk.choices.unwrap_or_default() {
            let delta = choice.delta.unwrap_or_default();
            let refusal = delta.refusal.filter(|text| !text.is_empty());
            self.refused |= refusal.is_some();
            let content = delta.content.map(Content::into_text).filter(|text| !text.is_empty());
            out.extend(content.into_iter().chain(refusal).map(Event::Delta));
            for fragment in delta.tool_calls.unwrap_or_default() {
                self.call(fragment)?;
            }
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.stopped = true;
                let reason = self.stop_reason(&reason);
                if reason == StopReason::ToolUse {
                    self.calls.finish(out);
                }
                self.calls.forget();
                out.push(Event::Stop(reason));
            }
        }
        out.extend(chunk.usage.map(|usage| Event::Usage(usage.into())));
        Ok(())
    }

    /// Compatible servers may leave `[DONE]` out; then the answer is whole once its finish reason is there.
    pub(super) const fn ended(&self) -> bool {
        self.done || (self.compatible && self.stopped)
    }

    /// A fragment belongs to the call at its index, and begins it when it brings an id that is not that call's.
    /// Compatible servers leave the index out, or say 0 for each of several whole calls.
    fn call(&mut self, fragment: CallDelta) -> Result<(), LlmError> {
        let function = fragment.function.unwrap_or_default();
        let id = fragment.id.filter(|id| !id.is_empty());
        let index = fragment.index.or_else(|| self.calls.last()).unwrap_or(0);
        let begun = self.calls.id(index);
        if begun.is_none() || id.as_deref().is_some_and(|id| begun != Some(id)) {
            return self.calls.begin(
                index,
                ToolCall {
                    id: id.unwrap_or_default(),
                    name: function.name.unwrap_or_default(),
                    arguments: function.arguments.map(Arguments::into_text).unwrap_or_default(),
                    signature: None,
                },
            );
        }
        self.calls.extend(index, &function.arguments.map(Arguments::into_text).unwrap_or_default())
    }

    /// Some compatible servers say `stop` where OpenAI says `tool_calls`.
    fn stop_reason(&self, reason: &str) -> StopReason {
        match reason {
            "tool_calls" | "function_call" | "stop" if self.calls.any() => StopReason::ToolUse,
            "stop" if !self.refused => StopReason::End,
            "stop" | "content_filter" => StopReason::Refusal,
            "length" => StopReason::Length,
            _ => StopReason::Other,
        }
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
}

impl<'a> Message<'a> {
    const fn new(role: &'static str, content: &'a str) -> Self {
        Self { role, content: Some(content), tool_calls: Vec::new(), tool_call_id: None }
    }
}

#[derive(Serialize)]
struct Call<'a> {
    id: Cow<'a, str>,
    #[serde(rename = "type")]
    kind: &'static str,
    function: CallFunction<'a>,
}

#[derive(Serialize)]
struct CallFunction<'a> {
    name: Cow<'a, str>,
    arguments: String,
}

impl<'a> Call<'a> {
    fn new(call: &'a ToolCall) -> Self {
        let arguments = Value::Object(tools::arguments(call)).to_string();
        let function = CallFunction { name: tools::plain(&call.name), arguments };
        Self { id: tools::plain(&call.id), kind: "function", function }
    }
}

#[derive(Serialize)]
struct Function<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: FunctionFacts<'a>,
}

#[derive(Serialize)]
struct FunctionFacts<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

impl<'a> Function<'a> {
    const fn new(tool: &'a Tool) -> Self {
        let function =
            FunctionFacts { name: tool.name, description: tool.description, parameters: &tool.parameters };
        Self { kind: "function", function }
    }
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Every field may be missing or null: compatible servers leave out what they please.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<ChunkUsage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<Content>,
    refusal: Option<String>,
    tool_calls: Option<Vec<CallDelta>>,
}

/// A text; Mistral's thinking models send parts, some of which are thoughts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<ContentPart>),
}

#[derive(Deserialize)]
struct ContentPart {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
}

impl Content {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Parts(parts) => {
                let said = parts.into_iter().filter(|part| part.kind.as_deref() == Some("text"));
                said.filter_map(|part| part.text).collect()
            }
        }
    }
}

#[derive(Deserialize)]
struct CallDelta {
    index: Option<u64>,
    id: Option<String>,
    function: Option<FunctionDelta>,
}

#[derive(Default, Deserialize)]
struct FunctionDelta {
    name: Option<String>,
    arguments: Option<Arguments>,
}

/// A JSON text in fragments; some compatible servers send the object itself, whole.
#[derive(Deserialize)]
#[serde(untagged)]
enum Arguments {
    Text(String),
    Object(Map<String, Value>),
}

impl Arguments {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Object(object) => Value::Object(object).to_string(),
        }
    }
}

#[derive(Deserialize)]
struct ChunkUsage {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    prompt_tokens_details: Option<PromptTokensDetails>,
}

#[derive(Default, Deserialize)]
struct PromptTokensDetails {
    cached_tokens: Option<u32>,
    cache_write_tokens: Option<u32>,
}

impl From<ChunkUsage> for Usage {
    fn from(usage: ChunkUsage) -> Self {
        let details = usage.prompt_tokens_details.unwrap_or_default();
        Self {
            input_tokens: usage.prompt_tokens.unwrap_or(0),
            output_tokens: usage.completion_tokens.unwrap_or(0),
            cached_input_tokens: details.cached_tokens.unwrap_or(0),
            cache_write_input_tokens: details.cache_write_tokens.unwrap_or(0),
        }
    }
}
