//! Anthropic's messages, streamed: builds the request, reads the events.
//!
//! It never shows a model's thinking: only text blocks are the answer.

use super::tools::{self, Calls, Said};
use super::{Event, LlmError, Prompt, StopReason, Tool, ToolCall, Usage};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// <https://docs.anthropic.com/en/api/messages>
pub(super) fn request(
    base_url: &str,
    secret: &str,
    model: &str,
    prompt: &Prompt,
) -> Result<http::Request<Bytes>, LlmError> {
    // Anthropic refuses empty texts, and a conversation that the assistant begins.
    let messages = tools::paired(&prompt.turns).into_iter().map(|said| match said {
        Said::User(text) => Message { role: "user", content: Part::text(text).into_iter().collect() },
        Said::Assistant { text, calls } => {
            let content = Part::text(text).into_iter().chain(calls.into_iter().map(Part::call)).collect();
            Message { role: "assistant", content }
        }
        Said::Tools(results) => {
            Message { role: "user", content: results.into_iter().map(Part::result).collect() }
        }
    });
    let messages = messages.filter(|message| !message.content.is_empty());
    let messages = messages.skip_while(|message| !message.asks());
    // The cache holds everything up to a mark: tools come before the system text, and that before the conversation.
    let mut tools: Vec<_> = prompt.tools.iter().map(Function::new).collect();
    if let Some(last) = tools.last_mut() {
        last.cache_control = Some(EPHEMERAL);
    }
    let (stable, rest) = prompt.system.split_at_checked(prompt.stable_bytes).unwrap_or(("", &prompt.system));
    let system = [(stable, Some(EPHEMERAL)), (rest, None)].into_iter();
    let system = system.filter(|(text, _)| !text.trim().is_empty());
    let body = Request {
        model,
        tools,
        system: system
            .map(|(text, cache_control)| Part::Text { kind: "text", text, cache_control })
            .collect(),
        messages: messages.collect(),
        max_tokens: prompt.max_output_tokens,
        stream: true,
    };
    let mut request = super::post(super::address(base_url, "/messages", "")?, &body)?;
    sign(&mut request, secret)?;
    Ok(request)
}

/// Adds the headers that every request to Anthropic has.
pub(super) fn sign(request: &mut http::Request<Bytes>, secret: &str) -> Result<(), LlmError> {
    super::authorize(request, HeaderName::from_static("x-api-key"), "", secret)?;
    request
        .headers_mut()
        .insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
    Ok(())
}

/// How far one answer's stream has come.
#[derive(Debug, Default)]
pub(super) struct Stream {
    usage: Tokens,
    stopped: bool,
    calls: Calls,
}

impl Stream {
    /// Reads one event's data. Its `type` repeats the event's name, so the name is not needed.
    ///
    /// <https://docs.anthropic.com/en/docs/build-with-claude/streaming>; events of unknown types are to be ignored.
    pub(super) fn read(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), LlmError> {
        if self.stopped || data.is_empty() {
            return Ok(());
        }
        let event: StreamEvent<'_> = serde_json::from_str(data).map_err(|_| LlmError::Garbage)?;
        match &*event.kind {
            "message_start" => self.count(event.message.and_then(|message| message.usage), out),
            "content_block_start" => self.part(event.index, event.content_block, out)?,
            "content_block_delta" => self.part(event.index, event.delta, out)?,
            "message_delta" => {
                self.count(event.usage, out);
                if let Some(reason) = event.delta.and_then(|delta| delta.stop_reason) {
                    self.stop(&reason, out);
                }
            }
            "message_stop" => self.stopped = true,
            "error" => return Err(super::error::from_stream(&event.error.unwrap_or_default())),
            _ => {}
        }
        Ok(())
    }

    pub(super) const fn ended(&self) -> bool {
        self.stopped
    }

    /// The counts are cumulative, and each event brings only some of them; so each count's highest is the latest.
    fn count(&mut self, tokens: Option<Tokens>, out: &mut Vec<Event>) {
        let Some(tokens) = tokens else { return };
        self.usage = Tokens {
            input_tokens: self.usage.input_tokens.max(tokens.input_tokens),
            cache_creation_input_tokens: self
                .usage
                .cache_creation_input_tokens
                .max(tokens.cache_creation_input_tokens),
            cache_read_input_tokens: self.usage.cache_read_input_tokens.max(tokens.cache_read_input_tokens),
            output_tokens: self.usage.output_tokens.max(tokens.output_tokens),
        };
        out.push(Event::Usage(self.usage.into()));
    }

    /// A content block or a part of one. The calls of tools that run at Anthropic are of another type.
    fn part(
        &mut self,
        index: Option<u64>,
        block: Option<Block<'_>>,
        out: &mut Vec<Event>,
    ) -> Result<(), LlmError> {
        let Some(block) = block else { return Ok(()) };
        match &*block.kind {
            "text" | "text_delta" => {
                out.extend(block.text.filter(|text| !text.is_empty()).map(Event::Delta));
                Ok(())
            }
            "tool_use" => {
                // Empty in a stream, where the arguments follow; gateways may bring them here.
                let input = block.input.filter(|input| !input.is_empty());
                let call = ToolCall {
                    id: block.id.unwrap_or_default(),
                    name: block.name.unwrap_or_default(),
                    arguments: input.map(|input| Value::Object(input).to_string()).unwrap_or_default(),
                    signature: None,
                };
                self.calls.begin(index.unwrap_or(0), call)
            }
            "input_json_delta" => match self.calls.id(index.unwrap_or(0)) {
                Some(_) => self.calls.extend(index.unwrap_or(0), &block.partial_json.unwrap_or_default()),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn stop(&mut self, reason: &str, out: &mut Vec<Event>) {
        let reason = match reason {
            "tool_use" if self.calls.any() => StopReason::ToolUse,
            "end_turn" | "stop_sequence" => StopReason::End,
            "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
            "refusal" => StopReason::Refusal,
            _ => StopReason::Other,
        };
        if reason == StopReason::ToolUse {
            self.calls.finish(out);
        }
        self.calls.forget();
        out.push(Event::Stop(reason));
    }
}

/// Kept for five minutes after it was last used.
const EPHEMERAL: CacheControl = CacheControl { kind: "ephemeral" };

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Function<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Part<'a>>,
    messages: Vec<Message<'a>>,
    max_tokens: u32,
    stream: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Part<'a>>,
}

impl Message<'_> {
    /// Whether a conversation may begin with it: the person's words, not a result whose call was cut off.
    fn asks(&self) -> bool {
        self.role == "user" && matches!(self.content.first(), Some(Part::Text { .. }))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Text {
        #[serde(rename = "type")]
        kind: &'static str,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    Call {
        #[serde(rename = "type")]
        kind: &'static str,
        id: Cow<'a, str>,
        name: Cow<'a, str>,
        input: Map<String, Value>,
    },
    Result {
        #[serde(rename = "type")]
        kind: &'static str,
        tool_use_id: Cow<'a, str>,
        content: &'a str,
    },
}

impl<'a> Part<'a> {
    fn text(text: &'a str) -> Option<Self> {
        (!text.trim().is_empty()).then_some(Self::Text { kind: "text", text, cache_control: None })
    }

    fn call(call: &'a ToolCall) -> Self {
        let (id, name) = (tools::plain(&call.id), tools::plain(&call.name));
        Self::Call { kind: "tool_use", id, name, input: tools::arguments(call) }
    }

    fn result(result: &'a super::ToolResult) -> Self {
        let tool_use_id = tools::plain(&result.call_id);
        Self::Result { kind: "tool_result", tool_use_id, content: &result.content }
    }
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<CacheControl>,
}

impl<'a> Function<'a> {
    const fn new(tool: &'a Tool) -> Self {
        let (name, description) = (tool.name, tool.description);
        Self { name, description, input_schema: &tool.parameters, cache_control: None }
    }
}

#[derive(Clone, Copy, Serialize)]
struct CacheControl {
    #[serde(rename = "type")]
    kind: &'static str,
}

/// The fields of all events in one: a tagged enum would make serde buffer each event before reading it.
#[derive(Deserialize)]
struct StreamEvent<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    message: Option<MessageStart>,
    index: Option<u64>,
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    #[serde(borrow)]
    delta: Option<Block<'a>>,
    usage: Option<Tokens>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct MessageStart {
    usage: Option<Tokens>,
}

/// A content block, a part of one, or the message's own delta.
#[derive(Deserialize)]
struct Block<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Map<String, Value>>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Tokens {
    input_tokens: Option<u32>,
    cache_creation_input_tokens: Option<u32>,
    cache_read_input_tokens: Option<u32>,
    output_tokens: Option<u32>,
}

impl From<Tokens> for Usage {
    /// Anthropic counts apart what came from its cache, what went into it, and the rest.
    fn from(tokens: Tokens) -> Self {
        let cached = tokens.cache_read_input_tokens.unwrap_or(0);
        let created = tokens.cache_creation_input_tokens.unwrap_or(0);
        Self {
            input_tokens: tokens.input_tokens.unwrap_or(0).saturating_add(cached).saturating_add(created),
            output_tokens: tokens.output_tokens.unwrap_or(0),
            cached_input_tokens: cached,
            cache_write_input_tokens: created,
        }
    }
}
