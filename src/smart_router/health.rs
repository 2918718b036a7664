//! How a company's providers fared of late: the circuit breaker's side that decides.
//!
//! It never counts: the limiter's scripts do, once for all isolates, in the company's own day.

use serde_json::Value;

use crate::ids::ProviderId;
use crate::llm::LlmError;

/// The providers that are not simply well.
#[derive(Clone, Debug, Default)]
pub struct Health(Vec<(ProviderId, State)>);

/// Whether a provider may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As far as is known.
    Well,
    /// It failed three times in a row, or said that it is to be left alone.
    Open,
    /// It was left alone long enough: this turn, and no other at the same time, may try it.
    Probe,
}

impl Health {
    /// From the script's list: provider, state, provider, state, …
    #[must_use]
    pub fn read(list: &[Value]) -> Self {
        let pairs = list.chunks_exact(2).filter_map(|pair| match pair {
            [provider, state] => {
                let state = match state.as_str()? {
                    "open" => State::Open,
                    "probe" => State::Probe,
                    _ => return None,
                };
                Some((provider.as_str()?.parse().ok()?, state))
            }
            _ => None,
        });
        Self(pairs.collect())
    }

    /// Of one provider.
    #[must_use]
    pub fn of(&self, provider: ProviderId) -> State {
        self.0.iter().find(|(other, _)| *other == provider).map_or(State::Well, |(_, state)| *state)
    }
}

/// How one call of a provider ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Well,
    /// It did not; milliseconds for which to leave it alone at once, 0 when one failure is no reason yet.
    Failed(u64),
}

/// Milliseconds to leave a provider alone whose key or account is no good: somebody must mend it first.
const ACCOUNT_REST_MS: u64 = 60_000;
/// Longest that a provider's own wish to be left alone is followed, milliseconds.
const LONGEST_REST_MS: u64 = 300_000;

impl Outcome {
    /// What an error says of the provider's health; `None` when it says something of the request.
    #[must_use]
    pub fn of(error: LlmError) -> Option<Self> {
        Some(Self::Failed(match error {
            LlmError::Unauthorized | LlmError::OutOfCredit => ACCOUNT_REST_MS,
            LlmError::RateLimited { retry_after_s: Some(seconds) } => {
                (u64::from(seconds) * 1_000).min(LONGEST_REST_MS)
            }
            LlmError::RateLimited { retry_after_s: None }
            | LlmError::Overloaded
            | LlmError::Server { .. }
            | LlmError::Garbage
            | LlmError::Cut
            | LlmError::Unreachable => 0,
            LlmError::NotFound | LlmError::Refused | LlmError::BadRequest | LlmError::Address => return None,
        }))
    }

    /// As the script reads it.
    #[must_use]
    pub fn to_text(self) -> String {
        match self {
            Self::Well => "ok".to_owned(),
            Self::Failed(rest_ms) => format!("fail:{rest_ms}"),
        }
    }
}
