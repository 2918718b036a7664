//! One call of a model: consumes a permit, sends the request, hands out events, and ends in a bill.
//!
//! It never calls without a permit, never spends more than the permit holds, and never ends without a bill.

use std::collections::VecDeque;

use super::{Decoder, Event, LlmError, Prompt, Usage};
use crate::config::{PROVIDER_HEAD_TIMEOUT_MS, PROVIDER_IDLE_TIMEOUT_MS};
use crate::limiter::{Bill, Permit, Spend};
use crate::platform::{Body, BodyError, Outbound, Platform, SendError};
use crate::smart_router::Choice;
use crate::tenant::vault::LlmKey;

/// Most bytes that are read of a provider's error.
const ERROR_LIMIT: usize = 16 * 1024;

/// A model's answer, on its way.
pub struct Stream {
    permit: Permit,
    choice: Choice,
    body: Body,
    decoder: Option<Decoder>,
    waiting: VecDeque<Event>,
    /// An error that is told once the text before it has been.
    failed: Option<LlmError>,
    broken: bool,
    usage: Option<Usage>,
    bound: Usage,
}

/// Calls the chosen model. The permit is consumed: it comes back as a bill, here or at the stream's end.
///
/// # Errors
/// Why the model did not begin to answer, and the bill for it: nothing, since a provider charges nothing then.
pub async fn start(
    platform: &dyn Platform,
    permit: Permit,
    choice: Choice,
    key: LlmKey,
    prompt: &Prompt,
) -> Result<Stream, (LlmError, Bill)> {
    let bound = Usage {
        input_tokens: prompt.upper_bound_input_tokens(),
        output_tokens: prompt.max_output_tokens,
        ..Usage::default()
    };
    if choice.cost_microusd(bound) > permit.reserved_microusd() {
        // The router does not choose such a model; were it to, nothing is spent.
        return Err((LlmError::BadRequest, permit.release()));
    }
    let request = match choice.wire().request(choice.base_url(), key.expose(), choice.model(), prompt) {
        Ok(request) => request,
        Err(error) => return Err((error, permit.release())),
    };
    // The key leaves memory before the answer begins.
    drop(key);
    let sent = platform.send(Outbound {
        request,
        head_timeout_ms: PROVIDER_HEAD_TIMEOUT_MS,
        idle_timeout_ms: PROVIDER_IDLE_TIMEOUT_MS,
    });
    let response = match sent.await {
        Ok(response) => response,
        // Nobody knows whether the provider took it: charged at the bound, as every unknown is.
        Err(SendError::TimedOut) => {
            let bill = permit.charge(spend(choice, bound, true));
            return Err((LlmError::Unreachable, bill));
        }
        Err(SendError::Unreachable) => return Err((LlmError::Unreachable, permit.release())),
    };
    let (head, body) = response.into_parts();
    if head.status != http::StatusCode::OK {
        let text = body.collect(ERROR_LIMIT).await.unwrap_or_default();
        return Err((choice.wire().error(head.status, &head.headers, &text), permit.release()));
    }
    let decoder = Some(choice.wire().decoder());
    Ok(Stream {
        permit,
        choice,
        body,
        decoder,
        waiting: VecDeque::new(),
        failed: None,
        broken: false,
        usage: None,
        bound,
    })
}

impl Stream {
    /// The next piece of text, or `None` at the end.
    ///
    /// # Errors
    /// How the answer broke off; what came before it is good.
    pub async fn next(&mut self) -> Option<Result<String, LlmError>> {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                match event {
                    Event::Delta(text) => return Some(Ok(text)),
                    Event::Usage(usage) => self.usage = Some(usage),
                    Event::ToolCall(_) | Event::Stop(_) => {}
                }
            }
            if let Some(error) = self.failed.take() {
                self.decoder = None;
                self.broken = true;
                return Some(Err(error));
            }
            let decoder = self.decoder.as_mut()?;
            let mut events = Vec::new();
            match self.body.next().await {
                Some(Ok(chunk)) => self.failed = decoder.push(&chunk, &mut events).err(),
                Some(Err(BodyError::Broken | BodyError::Stalled | BodyError::TooLarge)) => {
                    self.failed = Some(LlmError::Cut);
                }
                None => self.failed = self.decoder.take().and_then(|decoder| decoder.finish().err()),
            }
            self.waiting.extend(events);
        }
    }

    /// Ends the call and says what is charged. Before the stream's end this cancels it. Usage that was not reported to
    /// the end is charged at the upper bound of this prompt and its longest answer.
    pub fn close(self) -> Bill {
        let ended = self.decoder.is_none() && !self.broken;
        let (usage, estimated) = match self.usage {
            Some(usage) if ended => (usage, false),
            _ => (self.bound, true),
        };
        self.permit.charge(spend(self.choice, usage, estimated))
    }
}

fn spend(choice: Choice, usage: Usage, estimated: bool) -> Spend {
    let cost_microusd = choice.cost_microusd(usage);
    let (provider, reason) = (choice.provider(), choice.reason());
    Spend { provider, model: choice.into_model(), reason, usage, cost_microusd, estimated }
}
