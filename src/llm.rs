//! Language models, whoever provides them: the prompt that goes out, the events that come back, the errors.
//!
//! It never sends anything: [`Wire`] builds the request and reads the answer, one codec file per wire format.

mod anthropic;
mod call;
mod catalog;
mod error;
mod gemini;
mod openai;
mod responses;
#[cfg(test)]
mod tests;
mod tools;

pub use call::{Piece, Stream, start};
pub use catalog::Catalog;
pub use error::LlmError;

use crate::sse;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};

/// A wire format that model providers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI's chat completions: <https://platform.openai.com/docs/api-reference/chat>.
    OpenAiChat {
        /// Not OpenAI itself but a server that speaks like it. Such servers know `max_tokens` rather than
        /// `max_completion_tokens`, and some close the stream without `[DONE]`.
        compatible: bool,
    },
    /// OpenAI's responses: <https://platform.openai.com/docs/api-reference/responses>. Some who speak like OpenAI
    /// speak this as well.
    OpenAiResponses,
    /// Anthropic's messages: <https://docs.anthropic.com/en/api/messages>.
    AnthropicMessages,
    /// Google's Gemini: <https://ai.google.dev/api/generate-content>.
    Gemini,
}

impl Wire {
    /// The request that asks the model to answer the prompt as a stream.
    ///
    /// `base_url` is everything before `/chat/completions`, `/responses`, `/messages` or `/models`, for example
    /// `https://api.openai.com/v1`. The header with the secret is marked sensitive, so Debug does not show it.
    ///
    /// # Errors
    /// [`LlmError::Address`] when the base URL is not one, [`LlmError::Unauthorized`] when the secret cannot
    /// stand in a header.
    pub fn request(
        self,
        base_url: &str,
        secret: &str,
        model: &str,
        prompt: &Prompt,
    ) -> Result<http::Request<Bytes>, LlmError> {
        match self {
            Self::OpenAiChat { compatible } => openai::request(base_url, secret, model, prompt, compatible),
            Self::OpenAiResponses => responses::request(base_url, secret, model, prompt),
            Self::AnthropicMessages => anthropic::request(base_url, secret, model, prompt),
            Self::Gemini => gemini::request(base_url, secret, model, prompt),
        }
    }

    /// A decoder for the body of a 200 answer.
    #[must_use]
    pub fn decoder(self) -> Decoder {
        let codec = match self {
            Self::OpenAiChat { compatible } => Codec::OpenAi(openai::Stream::new(compatible)),
            Self::OpenAiResponses => Codec::Responses(responses::Stream::default()),
            Self::AnthropicMessages => Codec::Anthropic(anthropic::Stream::default()),
            Self::Gemini => Codec::Gemini(gemini::Stream::default()),
        };
        Decoder { sse: sse::Decoder::new(MAX_EVENT_BYTES), codec, started: false }
    }

    /// What an answer with another status than 200 means; a prefix of its body is enough.
    #[must_use]
    pub fn error(self, status: http::StatusCode, headers: &http::HeaderMap, body: &[u8]) -> LlmError {
        // The formats' errors are alike enough to be read as one.
        match self {
            Self::OpenAiChat { .. } | Self::OpenAiResponses | Self::AnthropicMessages | Self::Gemini => {
                error::from_answer(status, headers, body)
            }
        }
    }
}

/// Reads one answer's stream, in chunks cut anywhere.
#[derive(Debug)]
pub struct Decoder {
    sse: sse::Decoder,
    codec: Codec,
    started: bool,
}

#[derive(Debug)]
enum Codec {
    OpenAi(openai::Stream),
    Responses(responses::Stream),
    Anthropic(anthropic::Stream),
    Gemini(gemini::Stream),
}

/// A provider's event is a few hundred bytes; nothing near this size is an answer.
const MAX_EVENT_BYTES: usize = 1 << 20;

impl Decoder {
    /// Adds the events of the chunk to `out`. Those added before an error are good; after one the stream is over.
    ///
    /// # Errors
    /// What the provider reports within its stream, or [`LlmError::Garbage`] when this is not its format.
    pub fn push(&mut self, mut chunk: &[u8], out: &mut Vec<Event>) -> Result<(), LlmError> {
        // Proxies answer 200 with a page or a JSON document of their own. As an event stream that would be
        // lines of unknown fields, so only its first byte tells.
        if !self.started
            && let Some(first) = chunk.first()
        {
            self.started = true;
            if matches!(first, b'<' | b'{' | b'[') {
                return Err(LlmError::Garbage);
            }
        }
        while let Some(event) = self.sse.decode(&mut chunk).map_err(|sse::TooLarge| LlmError::Garbage)? {
            match &mut self.codec {
                Codec::OpenAi(stream) => stream.read(event.data, out)?,
                Codec::Responses(stream) => stream.read(event.data, out)?,
                Codec::Anthropic(stream) => stream.read(event.data, out)?,
                Codec::Gemini(stream) => stream.read(event.data, out)?,
            }
        }
        Ok(())
    }

    /// To be called at the body's end.
    ///
    /// # Errors
    /// [`LlmError::Cut`] when the stream's own end has not been seen: the answer may be half a sentence.
    pub fn finish(self) -> Result<(), LlmError> {
        let ended = match self.codec {
            Codec::OpenAi(stream) => stream.ended(),
            Codec::Responses(stream) => stream.ended(),
            Codec::Anthropic(stream) => stream.ended(),
            Codec::Gemini(stream) => stream.ended(),
        };
        if ended { Ok(()) } else { Err(LlmError::Cut) }
    }
}

/// What a model is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Who the model is to be, and what it may know. May be empty.
    pub system: String,
    /// So many bytes at the system text's start are the same in the company's next turns, and so worth a place in the
    /// provider's cache. What is put there and never read again costs more than none: 0 when nothing is the same.
    pub stable_bytes: usize,
    /// The conversation so far, oldest first; the last turn is the question, or what tools answered.
    pub turns: Vec<Turn>,
    /// What the model may call instead of answering; none: it only answers.
    pub tools: Vec<Tool>,
    /// The most tokens the answer may have, hidden reasoning included.
    pub max_output_tokens: u32,
}

impl Prompt {
    /// No fewer input tokens than a provider will count for this prompt: see [`upper_bound_tokens`].
    #[must_use]
    pub fn upper_bound_input_tokens(&self) -> u32 {
        let tools = self.tools.iter().map(|tool| {
            let texts = [tool.name, tool.description, &tool.parameters.to_string()];
            texts.map(upper_bound_tokens).into_iter().sum::<u32>() + TOOL_OVERHEAD_TOKENS
        });
        let texts = self.turns.iter().flat_map(Turn::texts).chain([&*self.system]);
        let texts = texts.map(|text| upper_bound_tokens(text).saturating_add(TURN_OVERHEAD_TOKENS));
        let around = if self.tools.is_empty() { 0 } else { TOOLS_OVERHEAD_TOKENS };
        tools.chain(texts).fold(PROMPT_OVERHEAD_TOKENS + around, u32::saturating_add)
    }
}

/// No fewer tokens than any byte-level BPE tokenizer (OpenAI's and Anthropic's are) makes of the text: its bytes.
///
/// Such a tokenizer starts from one token per byte and only ever merges, so it cannot exceed that; nor can Google's,
/// which falls back to bytes where it has no longer piece. English has
/// about four bytes to a token: fit for reserving a budget, far too high for charging one. A tokenizer that first
/// normalizes can exceed it for a handful of rare ligatures.
#[must_use]
pub fn upper_bound_tokens(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}

/// Tokens that stand around each turn and around the system text: OpenAI's chat format has four (two markers, the
/// role, a line break), Anthropic's about as many. Twice that.
pub const TURN_OVERHEAD_TOKENS: u32 = 8;

/// Tokens that stand around the whole prompt: three in OpenAI's format before the answer; ten and more in
/// Anthropic's, whose shortest prompts count that many.
pub const PROMPT_OVERHEAD_TOKENS: u32 = 32;

/// Tokens that stand around a tool's description: its JSON.
pub const TOOL_OVERHEAD_TOKENS: u32 = 60;

/// Tokens with which providers tell a model about tools at all: Anthropic's page on tool use says 290 to 530.
pub const TOOLS_OVERHEAD_TOKENS: u32 = 600;

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The person who asks.
    User(String),
    /// The model: what it said, and the tools it called.
    Assistant {
        /// What it said; may be empty when it called tools.
        text: String,
        /// The calls, in the model's order; none for an answer.
        calls: Vec<ToolCall>,
    },
    /// What the tools answered to the calls of the turn before, in their order.
    Tools(Vec<ToolResult>),
}

impl Turn {
    /// A turn in which the model only spoke.
    #[must_use]
    pub const fn answer(text: String) -> Self {
        Self::Assistant { text, calls: Vec::new() }
    }

    /// All its texts, for counting.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let (text, calls, results): (Option<&str>, &[ToolCall], &[ToolResult]) = match self {
            Self::User(text) => (Some(text), &[], &[]),
            Self::Assistant { text, calls } => (Some(text), calls, &[]),
            Self::Tools(results) => (None, &[], results),
        };
        let calls = calls.iter().flat_map(|call| {
            [&*call.id, &*call.name, &*call.arguments, call.signature.as_deref().unwrap_or_default()]
        });
        let results = results.iter().flat_map(|result| [&*result.call_id, &*result.content]);
        text.into_iter().chain(calls).chain(results)
    }
}

/// Something that a model may call: its name, what it is for, and the arguments it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Name in the provider's API: letters, digits and `_`, at most 64.
    pub name: &'static str,
    /// What it does and when to call it, for the model.
    pub description: &'static str,
    /// The arguments, as a JSON Schema object (draft 2020-12), `additionalProperties` false.
    pub parameters: serde_json::Value,
}

/// A model's wish to call a tool. Nothing about it is to be believed: the name may be unknown, the arguments anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's id of this call; its result names it.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them: JSON, it is hoped.
    pub arguments: String,
    /// What the provider wants back with this call, unread: Gemini's thought signature, without which it refuses the
    /// call's result. `None` for providers that have none.
    pub signature: Option<String>,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The call's id.
    pub call_id: String,
    /// The called tool's name.
    pub name: String,
    /// The answer, for the model.
    pub content: String,
}

/// What comes back from a model, in the order it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// More text of the answer; never empty. A refusal's text comes this way too.
    Delta(String),
    /// A whole call of a tool; it comes before the stop.
    ToolCall(ToolCall),
    /// The tokens so far; a later one replaces an earlier one.
    Usage(Usage),
    /// Why the model stopped; usage may still follow.
    Stop(StopReason),
}

/// Tokens as the provider counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All tokens of the prompt, those from and to the provider's cache included.
    pub input_tokens: u32,
    /// All tokens of the answer, hidden reasoning included.
    pub output_tokens: u32,
    /// Those of the input tokens that the provider had in its cache and charges less for.
    pub cached_input_tokens: u32,
    /// Those of the input tokens that the provider put into its cache and charges more for: at most
    /// [`CACHE_WRITE_PERCENT`] of an input token's price.
    pub cache_write_input_tokens: u32,
}

impl Usage {
    /// The dearest that so many tokens can be: none came from the provider's cache, and all went into it.
    #[must_use]
    pub const fn dearest(input_tokens: u32, output_tokens: u32) -> Self {
        Self { input_tokens, output_tokens, cached_input_tokens: 0, cache_write_input_tokens: input_tokens }
    }
}

/// What an input token costs that goes into a provider's cache, in percent of one that does not: Anthropic's price for
/// five minutes, the only time that is asked for (<https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching>),
/// and OpenAI's for the models that charge for it at all.
pub const CACHE_WRITE_PERCENT: u64 = 125;

/// Why a model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It had said what it had to say.
    End,
    /// It ran into the limit on its answer, or into the model's own on prompt and answer together.
    Length,
    /// It, or the provider's filter, declined.
    Refusal,
    /// It waits for what the tools it called answer.
    ToolUse,
    /// Something that the prompt did not ask for.
    Other,
}

/// A POST of the body to the address, with the headers that all formats share.
fn post(address: http::Uri, body: &impl serde::Serialize) -> Result<http::Request<Bytes>, LlmError> {
    let body = serde_json::to_vec(body).map_err(|_| LlmError::BadRequest)?;
    http::Request::post(address)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "text/event-stream")
        .body(body.into())
        .map_err(|_| LlmError::Address)
}

/// `{base_url}{path}?{query}`. The query is a literal of a codec's: neither base URL nor path may bring one along.
fn address(base_url: &str, path: &str, query: &'static str) -> Result<http::Uri, LlmError> {
    let parse = |text: String| text.parse::<http::Uri>().map_err(|_| LlmError::Address);
    let uri = parse(format!("{}{path}", base_url.trim_end_matches('/')))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
        return Err(LlmError::Address);
    }
    if query.is_empty() { Ok(uri) } else { parse(format!("{uri}?{query}")) }
}

/// Adds the header that carries the secret.
fn authorize(
    request: &mut http::Request<Bytes>,
    name: HeaderName,
    scheme: &str,
    secret: &str,
) -> Result<(), LlmError> {
    // The header takes these bytes over, so no further copy of the secret is left behind.
    let value = Bytes::from([scheme, secret].concat());
    let mut value = HeaderValue::from_maybe_shared(value).map_err(|_| LlmError::Unauthorized)?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}
