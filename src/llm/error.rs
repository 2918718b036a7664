//! What can go wrong with a model, told apart by what somebody can do about it.
//!
//! It never carries what a provider wrote: that may quote prompts or keys.

use crate::platform::{BodyError, SendError};
use serde_json::Value;

/// Why there is no answer, or no whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// The key is missing, wrong, revoked, or not permitted to do this (401, 403).
    #[error("the provider rejects the key")]
    Unauthorized,
    /// The account has nothing left to spend; waiting does not help.
    #[error("the provider account is out of credit")]
    OutOfCredit,
    /// The provider has no such model, or nothing at this address (404).
    #[error("the provider knows no such model or address")]
    NotFound,
    /// Too many requests or tokens in this minute or day (429).
    #[error("the provider limits the rate")]
    RateLimited {
        /// Seconds after which the provider says to try again.
        retry_after_s: Option<u32>,
    },
    /// The provider has too much to do (503, 529).
    #[error("the provider is overloaded")]
    Overloaded,
    /// The provider failed (any other 5xx).
    #[error("the provider failed with status {status}")]
    Server {
        /// The HTTP status; 500 where the failure was reported within a stream.
        status: u16,
    },
    /// The provider's content rules forbid this prompt.
    #[error("the provider's content rules forbid the prompt")]
    Refused,
    /// The provider does not accept the request as it is, for example because the prompt is too long (400, 413, 422).
    #[error("the provider does not accept the request")]
    BadRequest,
    /// The answer is not in the provider's format.
    #[error("the provider's answer is not in its format")]
    Garbage,
    /// The stream ended, broke or stalled before its end.
    #[error("the provider's answer broke off")]
    Cut,
    /// The provider's base URL is not one, or redirects elsewhere.
    #[error("the provider's base URL is not usable")]
    Address,
    /// No response came, or none in time.
    #[error("the provider cannot be reached")]
    Unreachable,
}

impl LlmError {
    /// The sentence for the company's owner: what is wrong and what to do.
    #[must_use]
    pub const fn public(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "The model provider does not accept the API key. Check the key or enter a new one."
            }
            Self::OutOfCredit => {
                "The account at the model provider has no credit left. Add credit at the provider."
            }
            Self::NotFound => {
                "The model provider does not know this model. Choose another model or check the provider's address."
            }
            Self::RateLimited { .. } => {
                "The model provider limits how often this account may ask. Wait a moment or raise the limit there."
            }
            Self::Overloaded => "The model provider is overloaded. Try again in a few minutes.",
            Self::Server { .. } => "The model provider has a fault of its own. Try again in a few minutes.",
            Self::Refused => {
                "The model provider's content rules do not allow this. Say it in another way or choose another provider."
            }
            Self::BadRequest => {
                "The model provider does not accept the request. Check that the model is a chat model and that \
                 the agent's instructions are not too long for it."
            }
            Self::Garbage => {
                "The model provider's answer cannot be read. Check the provider's kind and its address."
            }
            Self::Cut => "The model provider's answer broke off. Try again.",
            Self::Address => {
                "The model provider's address cannot be used. Enter it like https://api.example.com/v1."
            }
            Self::Unreachable => {
                "The model provider cannot be reached. Check its address or try again in a few minutes."
            }
        }
    }
}

impl From<SendError> for LlmError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Unreachable | SendError::TimedOut => Self::Unreachable,
        }
    }
}

impl From<BodyError> for LlmError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Broken | BodyError::Stalled => Self::Cut,
            BodyError::TooLarge => Self::Garbage,
        }
    }
}

/// An answer's status, headers and body. The formats wrap their errors alike: `{"error": {"type", "message"}}`; OpenAI's
/// have a `code` too, Google's a `status` and `details`, and Google may put the whole into a list.
pub(super) fn from_answer(status: http::StatusCode, headers: &http::HeaderMap, body: &[u8]) -> LlmError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let body = body.get(0).unwrap_or(&body);
    let error = body.get("error").unwrap_or(&Value::Null);
    let retry_after_s = retry_after_s(headers).or_else(|| retry_info_s(error));
    by_name(error, retry_after_s).unwrap_or_else(|| by_status(status.as_u16(), retry_after_s))
}

/// An error that a provider reports within a stream whose status was 200.
pub(super) fn from_stream(error: &Value) -> LlmError {
    by_name(error, retry_info_s(error)).unwrap_or_else(|| {
        // Routers of models put the status of the provider behind them here.
        match error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()) {
            Some(status @ 400..=599) => by_status(status, None),
            _ if error.get("type").and_then(Value::as_str) == Some("invalid_request_error") => {
                LlmError::BadRequest
            }
            _ => LlmError::Server { status: 500 },
        }
    })
}

/// What the error's `code` or `type` says by itself, whatever the status.
///
/// Sources: <https://platform.openai.com/docs/guides/error-codes>, <https://docs.anthropic.com/en/api/errors>,
/// <https://ai.google.dev/gemini-api/docs/troubleshooting>.
fn by_name(error: &Value, retry_after_s: Option<u32>) -> Option<LlmError> {
    let text = |name| error.get(name).and_then(Value::as_str);
    // Anthropic and Google report an empty account as something else that only the message tells from others.
    let says = |words| text("message").is_some_and(|message| message.contains(words));
    if says("credit balance is too low")
        || says("prepayment credits are depleted")
        || (says("enable billing") && text("status") == Some("FAILED_PRECONDITION"))
    {
        return Some(LlmError::OutOfCredit);
    }
    // To Google a wrong key is an invalid argument like others.
    if details(error).any(|detail| detail.get("reason").is_some_and(|reason| reason == "API_KEY_INVALID")) {
        return Some(LlmError::Unauthorized);
    }
    ["code", "type", "status"].into_iter().filter_map(text).find_map(|name| {
        Some(match name {
            "authentication_error"
            | "permission_error"
            | "invalid_api_key"
            | "UNAUTHENTICATED"
            | "PERMISSION_DENIED" => LlmError::Unauthorized,
            "insufficient_quota" | "billing_error" | "billing_hard_limit_reached" | "billing_not_active" => {
                LlmError::OutOfCredit
            }
            "model_not_found" | "not_found_error" | "NOT_FOUND" => LlmError::NotFound,
            "rate_limit_error" | "rate_limit_exceeded" | "RESOURCE_EXHAUSTED" => {
                LlmError::RateLimited { retry_after_s }
            }
            "overloaded_error" | "UNAVAILABLE" => LlmError::Overloaded,
            "content_filter" | "content_policy_violation" | "invalid_prompt" => LlmError::Refused,
            "context_length_exceeded" | "request_too_large" => LlmError::BadRequest,
            _ => return None,
        })
    })
}

fn by_status(status: u16, retry_after_s: Option<u32>) -> LlmError {
    match status {
        300..=399 => LlmError::Address,
        401 | 403 => LlmError::Unauthorized,
        402 => LlmError::OutOfCredit,
        404 => LlmError::NotFound,
        429 => LlmError::RateLimited { retry_after_s },
        503 | 529 => LlmError::Overloaded,
        // 408 is the provider's own time-out waiting for a request that was sent whole.
        408 | 500..=599 => LlmError::Server { status },
        400..=499 => LlmError::BadRequest,
        _ => LlmError::Garbage,
    }
}

/// Google's `details`: <https://cloud.google.com/apis/design/errors#error_details>.
fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error.get("details").and_then(Value::as_array).into_iter().flatten()
}

/// Seconds from Google's `RetryInfo`, whose delay is a text such as `34.4s`, rounded up.
fn retry_info_s(error: &Value) -> Option<u32> {
    let delay = details(error).find_map(|detail| detail.get("retryDelay"))?.as_str()?;
    seconds(delay.strip_suffix('s')?)
}

/// Seconds from `retry-after` (RFC 9110, section 10.2.3), rounded up. Its other form, a date, needs a clock: ignored.
pub(super) fn retry_after_s(headers: &http::HeaderMap) -> Option<u32> {
    seconds(headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim())
}

fn seconds(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let rounds_up = fraction.bytes().any(|digit| digit != b'0');
    whole.parse::<u32>().ok()?.checked_add(u32::from(rounds_up))
}
