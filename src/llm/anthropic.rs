//! Anthropic's messages, streamed: builds the request, reads the events.
//!
//! It never shows a model's thinking: only text blocks are the answer.

use super::{Event, LlmError, Prompt, StopReason, Turn, Usage};
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// <https://docs.anthropic.com/en/api/messages>
pub(super) fn request(
    base_url: &str,
    secret: &str,
    model: &str,
    prompt: &Prompt,
) -> Result<http::Request<Bytes>, LlmError> {
    // Anthropic refuses empty texts, and a conversation that the assistant begins.
    let turns = prompt.turns.iter().filter_map(|turn| match turn {
        Turn::User(text) => Some(Message { role: "user", content: text }),
        Turn::Assistant { text, .. } => Some(Message { role: "assistant", content: text }),
        Turn::Tools(_) => None,
    });
    let turns = turns.filter(|turn| !turn.content.trim().is_empty());
    let turns = turns.skip_while(|turn| turn.role == "assistant");
    let body = Request {
        model,
        system: (!prompt.system.trim().is_empty()).then_some(&prompt.system),
        messages: turns.collect(),
        max_tokens: prompt.max_output_tokens,
        stream: true,
    };
    let mut request = super::post(base_url, "/messages", &body)?;
    super::authorize(&mut request, HeaderName::from_static("x-api-key"), "", secret)?;
    request
        .headers_mut()
        .insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
    Ok(request)
}

/// How far one answer's stream has come.
#[derive(Debug, Default)]
pub(super) struct Stream {
    usage: Tokens,
    stopped: bool,
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
            "content_block_start" => say("text", event.content_block, out),
            "content_block_delta" => say("text_delta", event.delta, out),
            "message_delta" => {
                self.count(event.usage, out);
                let reason = event.delta.and_then(|delta| delta.stop_reason);
                out.extend(reason.map(|reason| Event::Stop(stop_reason(&reason))));
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
}

fn say(kind: &str, block: Option<Block<'_>>, out: &mut Vec<Event>) {
    let block = block.filter(|block| block.kind == kind);
    let text = block.and_then(|block| block.text).filter(|text| !text.is_empty());
    out.extend(text.map(Event::Delta));
}

fn stop_reason(reason: &str) -> StopReason {
    match reason {
        "end_turn" | "stop_sequence" => StopReason::End,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "refusal" => StopReason::Refusal,
        _ => StopReason::Other,
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a String>,
    messages: Vec<Message<'a>>,
    max_tokens: u32,
    stream: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

/// The fields of all events in one: a tagged enum would make serde buffer each event before reading it.
#[derive(Deserialize)]
struct StreamEvent<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    message: Option<MessageStart>,
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    #[serde(borrow)]
    delta: Option<Block<'a>>,
    usage: Option<Tokens>,
    error: Option<serde_json::Value>,
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
        }
    }
}
