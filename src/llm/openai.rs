//! OpenAI's chat completions, streamed: builds the request, reads the chunks.
//!
//! It never asks for more than one answer, so whatever choice a chunk names is the answer.

use super::{Event, LlmError, Prompt, StopReason, Turn, Usage};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// <https://platform.openai.com/docs/api-reference/chat/create>
pub(super) fn request(
    base_url: &str,
    secret: &str,
    model: &str,
    prompt: &Prompt,
    compatible: bool,
) -> Result<http::Request<Bytes>, LlmError> {
    let system = (!prompt.system.is_empty()).then_some(Message { role: "system", content: &prompt.system });
    let turns = prompt.turns.iter().filter_map(|turn| match turn {
        Turn::User(text) => Some(Message { role: "user", content: text }),
        Turn::Assistant { text, .. } => Some(Message { role: "assistant", content: text }),
        Turn::Tools(_) => None,
    });
    let body = Request {
        model,
        messages: system.into_iter().chain(turns).collect(),
        max_completion_tokens: (!compatible).then_some(prompt.max_output_tokens),
        max_tokens: compatible.then_some(prompt.max_output_tokens),
        stream: true,
        stream_options: StreamOptions { include_usage: true },
    };
    let mut request = super::post(base_url, "/chat/completions", &body)?;
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
}

impl Stream {
    pub(super) const fn new(compatible: bool) -> Self {
        Self { compatible, refused: false, stopped: false, done: false }
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
            let content = delta.content.filter(|text| !text.is_empty());
            out.extend(content.into_iter().chain(refusal).map(Event::Delta));
            if let Some(reason) = choice.finish_reason {
                self.stopped = true;
                out.push(Event::Stop(self.stop_reason(&reason)));
            }
        }
        out.extend(chunk.usage.map(|usage| Event::Usage(usage.into())));
        Ok(())
    }

    /// Compatible servers may leave `[DONE]` out; then the answer is whole once its finish reason is there.
    pub(super) const fn ended(&self) -> bool {
        self.done || (self.compatible && self.stopped)
    }

    fn stop_reason(&self, reason: &str) -> StopReason {
        match reason {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    content: &'a str,
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
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct ChunkUsage {
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    prompt_tokens_details: Option<PromptTokensDetails>,
}

#[derive(Deserialize)]
struct PromptTokensDetails {
    cached_tokens: Option<u32>,
}

impl From<ChunkUsage> for Usage {
    fn from(usage: ChunkUsage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens.unwrap_or(0),
            output_tokens: usage.completion_tokens.unwrap_or(0),
            cached_input_tokens: usage
                .prompt_tokens_details
                .and_then(|details| details.cached_tokens)
                .unwrap_or(0),
        }
    }
}
