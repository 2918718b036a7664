//! Google's Gemini, streamed: builds the request, reads the chunks.
//!
//! It never shows a model's thoughts, and never puts the key into the address: it goes into a header.

mod schema;

use super::tools::{self, Calls, Said};
use super::{Event, LlmError, Prompt, StopReason, ToolCall, ToolResult, Usage};
use bytes::Bytes;
use http::header::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What Google has a client say whose call has no signature, for example because another provider made it:
/// <https://ai.google.dev/gemini-api/docs/thought-signatures>.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>
pub(super) fn request(
    base_url: &str,
    secret: &str,
    model: &str,
    prompt: &Prompt,
) -> Result<http::Request<Bytes>, LlmError> {
    // The name is part of the path here, so it is one segment of it or none.
    if model.is_empty() || !model.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return Err(LlmError::NotFound);
    }
    let third = model.starts_with("gemini-3");
    let body = Request {
        system_instruction: (!prompt.system.trim().is_empty())
            .then(|| Content { role: None, parts: vec![Part::Text { text: &prompt.system }] }),
        contents: contents(prompt, !model.starts_with("gemini-1.") && !model.starts_with("gemini-2.")),
        tools: (!prompt.tools.is_empty())
            .then(|| Tools { function_declarations: prompt.tools.iter().map(Function::new).collect() })
            .into_iter()
            .collect(),
        generation_config: GenerationConfig {
            max_output_tokens: prompt.max_output_tokens,
            // Thoughts count against the limit: thinking long, these models reach it before their first word.
            thinking_config: third.then_some(ThinkingConfig { thinking_level: "low" }),
        },
    };
    let path = format!("/models/{model}:streamGenerateContent");
    let mut request = super::post(super::address(base_url, &path, "alt=sse")?, &body)?;
    sign(&mut request, secret)?;
    Ok(request)
}

/// Adds the header that every request to Gemini has.
pub(super) fn sign(request: &mut http::Request<Bytes>, secret: &str) -> Result<(), LlmError> {
    super::authorize(request, HeaderName::from_static("x-goog-api-key"), "", secret)
}

/// The conversation, begun by the person and with roles that alternate: a call must follow the person's words or a result.
fn contents(prompt: &Prompt, signed: bool) -> Vec<Content<'_>> {
    let mut contents: Vec<Content<'_>> = Vec::new();
    for said in tools::paired(&prompt.turns) {
        let (role, parts): (_, Vec<_>) = match said {
            Said::User(text) => ("user", Part::text(text).into_iter().collect()),
            Said::Assistant { text, calls } => {
                // The first call of an answer is signed, and stands for those beside it.
                let calls = calls.into_iter().enumerate();
                let calls = calls.map(|(at, call)| Part::call(call, signed && at == 0));
                ("model", Part::text(text).into_iter().chain(calls).collect())
            }
            Said::Tools(results) => ("user", results.into_iter().map(Part::result).collect()),
        };
        let begins = matches!((role, parts.first()), ("user", Some(Part::Text { .. })));
        match contents.last_mut() {
            Some(last) if last.role == Some(role) => last.parts.extend(parts),
            None if !begins => {}
            _ if parts.is_empty() => {}
            _ => contents.push(Content { role: Some(role), parts }),
        }
    }
    contents
}

/// How far one answer's stream has come.
#[derive(Debug, Default)]
pub(super) struct Stream {
    usage: UsageMetadata,
    stopped: bool,
    calls: Calls,
}

impl Stream {
    /// Reads one chunk. The stream has no end of its own: the answer is whole once its finish reason is there.
    ///
    /// <https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse>
    pub(super) fn read(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), LlmError> {
        if data.is_empty() || data.trim_ascii() == "[DONE]" {
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|_| LlmError::Garbage)?;
        if let Some(error) = chunk.error {
            return Err(super::error::from_stream(&error));
        }
        if chunk.candidates.is_none() && chunk.prompt_feedback.is_none() && chunk.usage_metadata.is_none() {
            return Err(LlmError::Garbage);
        }
        let mut reason = None;
        for candidate in chunk.candidates.unwrap_or_default() {
            let parts = candidate.content.and_then(|content| content.parts);
            for part in parts.unwrap_or_default() {
                self.part(part, out)?;
            }
            reason = candidate.finish_reason.or(reason);
        }
        self.count(chunk.usage_metadata, out);
        let blocked = chunk.prompt_feedback.and_then(|feedback| feedback.block_reason).is_some();
        if !self.stopped
            && let Some(reason) = if blocked { Some("SAFETY".to_owned()) } else { reason }
        {
            self.stop(&reason, out);
        }
        Ok(())
    }

    pub(super) const fn ended(&self) -> bool {
        self.stopped
    }

    fn part(&mut self, part: ChunkPart, out: &mut Vec<Event>) -> Result<(), LlmError> {
        if part.thought == Some(true) {
            return Ok(());
        }
        out.extend(part.text.filter(|text| !text.is_empty()).map(Event::Delta));
        let Some(call) = part.function_call else { return Ok(()) };
        let call = ToolCall {
            id: call.id.unwrap_or_default(),
            name: call.name.unwrap_or_default(),
            arguments: Value::Object(call.args.unwrap_or_default()).to_string(),
            signature: part.thought_signature,
        };
        self.calls.begin(0, call)
    }

    /// The counts are cumulative; a chunk may bring only some of them.
    fn count(&mut self, tokens: Option<UsageMetadata>, out: &mut Vec<Event>) {
        let Some(tokens) = tokens.filter(|tokens| tokens.prompt_token_count.is_some()) else { return };
        self.usage = UsageMetadata {
            prompt_token_count: self.usage.prompt_token_count.max(tokens.prompt_token_count),
            tool_use_prompt_token_count: self
                .usage
                .tool_use_prompt_token_count
                .max(tokens.tool_use_prompt_token_count),
            cached_content_token_count: self
                .usage
                .cached_content_token_count
                .max(tokens.cached_content_token_count),
            candidates_token_count: self.usage.candidates_token_count.max(tokens.candidates_token_count),
            thoughts_token_count: self.usage.thoughts_token_count.max(tokens.thoughts_token_count),
            total_token_count: self.usage.total_token_count.max(tokens.total_token_count),
        };
        out.push(Event::Usage(self.usage.into()));
    }

    /// <https://ai.google.dev/api/generate-content#FinishReason>
    fn stop(&mut self, reason: &str, out: &mut Vec<Event>) {
        self.stopped = true;
        let reason = match reason {
            "STOP" if self.calls.any() => StopReason::ToolUse,
            "STOP" => StopReason::End,
            "MAX_TOKENS" => StopReason::Length,
            "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "LANGUAGE" => {
                StopReason::Refusal
            }
            _ => StopReason::Other,
        };
        if reason == StopReason::ToolUse {
            self.calls.finish(out);
        }
        self.calls.forget();
        out.push(Event::Stop(reason));
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<Content<'a>>,
    contents: Vec<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    generation_config: GenerationConfig,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Part<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Text {
        text: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Call {
        function_call: FunctionCall<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought_signature: Option<&'a str>,
    },
    #[serde(rename_all = "camelCase")]
    Result {
        function_response: FunctionResponse<'a>,
    },
}

impl<'a> Part<'a> {
    fn text(text: &'a str) -> Option<Self> {
        (!text.trim().is_empty()).then_some(Self::Text { text })
    }

    fn call(call: &'a ToolCall, signed: bool) -> Self {
        let (id, name) = (tools::plain(&call.id), tools::plain(&call.name));
        let thought_signature = call.signature.as_deref().or_else(|| signed.then_some(UNSIGNED));
        Self::Call {
            function_call: FunctionCall { id, name, args: tools::arguments(call) },
            thought_signature,
        }
    }

    fn result(result: &'a ToolResult) -> Self {
        let (id, name) = (tools::plain(&result.call_id), tools::plain(&result.name));
        let response = Output { output: &result.content };
        Self::Result { function_response: FunctionResponse { id, name, response } }
    }
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    args: Map<String, Value>,
}

#[derive(Serialize)]
struct FunctionResponse<'a> {
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    response: Output<'a>,
}

#[derive(Serialize)]
struct Output<'a> {
    output: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Function<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Value>,
}

impl<'a> Function<'a> {
    fn new(tool: &'a super::Tool) -> Self {
        let parameters = schema::parameters(&tool.parameters);
        Self { name: tool.name, description: tool.description, parameters }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<ThinkingConfig>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    thinking_level: &'static str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    candidates: Option<Vec<Candidate>>,
    prompt_feedback: Option<PromptFeedback>,
    usage_metadata: Option<UsageMetadata>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    content: Option<ChunkContent>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct ChunkContent {
    parts: Option<Vec<ChunkPart>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChunkPart {
    text: Option<String>,
    thought: Option<bool>,
    thought_signature: Option<String>,
    function_call: Option<ChunkCall>,
}

#[derive(Deserialize)]
struct ChunkCall {
    id: Option<String>,
    name: Option<String>,
    args: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageMetadata {
    prompt_token_count: Option<u32>,
    tool_use_prompt_token_count: Option<u32>,
    cached_content_token_count: Option<u32>,
    candidates_token_count: Option<u32>,
    thoughts_token_count: Option<u32>,
    total_token_count: Option<u32>,
}

impl From<UsageMetadata> for Usage {
    /// Google counts thoughts apart from the answer and charges both alike; some models leave a count out, and then only
    /// the total tells. What was cached is among the prompt's tokens.
    fn from(tokens: UsageMetadata) -> Self {
        let sum = |a: Option<u32>, b: Option<u32>| a.unwrap_or(0).saturating_add(b.unwrap_or(0));
        let input_tokens = sum(tokens.prompt_token_count, tokens.tool_use_prompt_token_count);
        let output_tokens = sum(tokens.candidates_token_count, tokens.thoughts_token_count)
            .max(tokens.total_token_count.unwrap_or(0).saturating_sub(input_tokens));
        Self {
            input_tokens,
            output_tokens,
            cached_input_tokens: tokens.cached_content_token_count.unwrap_or(0),
            cache_write_input_tokens: 0,
        }
    }
}
