//! One call of a model: consumes a permit, sends the request, hands out pieces, and ends in a charge.
//!
//! It never calls without a permit, never spends more than the permit holds, and never ends without a charge.

use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::{Either, LocalBoxFuture, select};

use super::{Decoder, Event, LlmError, Prompt, StopReason, ToolCall, Usage};
use crate::config::{PROVIDER_HEAD_TIMEOUT_MS, PROVIDER_IDLE_TIMEOUT_MS};
use crate::limiter::{Charge, Permit, Spend};
use crate::platform::{Body, BodyError, Outbound, Part, Platform, SendError};
use crate::smart_router::Choice;
use crate::tenant::TenantScope;
use crate::tenant::vault::LlmKey;

/// Most bytes that are read of a provider's error.
const ERROR_LIMIT: usize = 16 * 1024;

/// Text is handed out at once, or so many milliseconds after the last: what comes in between goes with it. A screen shows no
/// more pictures than that, and each piece costs as much as many words do.
const FRAME_MS: u64 = 16;

/// A model's answer, on its way.
pub struct Stream<'choice> {
    permit: Permit,
    choice: &'choice Choice,
    platform: Rc<dyn Platform>,
    body: Body,
    decoder: Option<Decoder>,
    waiting: VecDeque<Event>,
    /// Text that waits for its time.
    text: String,
    /// When text was last handed out, and until when the next waits.
    told_ms: u64,
    pause: Option<LocalBoxFuture<'static, ()>>,
    /// An error that is told once what came before it has been.
    failed: Option<LlmError>,
    broken: bool,
    usage: Option<Usage>,
    stopped: Option<StopReason>,
}

/// A piece of a model's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// More text; never empty.
    Text(String),
    /// A call of a tool.
    Call(ToolCall),
}

/// Calls the chosen model. The permit is consumed: it comes back as a charge, here or at the stream's end.
///
/// # Errors
/// Why the model did not begin to answer, and the charge: nothing where the provider says so itself or was never reached,
/// the bound where nobody knows.
pub async fn start<'choice>(
    scope: &TenantScope,
    permit: Permit,
    choice: &'choice Choice,
    key: LlmKey,
    prompt: &Prompt,
) -> Result<Stream<'choice>, (LlmError, Charge)> {
    let bound = choice.bound();
    let fits = prompt.upper_bound_input_tokens() <= bound.input_tokens
        && prompt.max_output_tokens <= bound.output_tokens
        && choice.cost_microusd(bound) <= permit.microusd();
    if !fits {
        // The router does not choose such a model; were it to, nothing is spent.
        return Err((LlmError::BadRequest, permit.release()));
    }
    let request = choice
        .base_url(scope)
        .map_err(|_| LlmError::Address)
        .and_then(|url| choice.wire().request(&url, key.expose(), choice.model(), prompt));
    let request = match request {
        Ok(request) => request,
        Err(error) => return Err((error, permit.release())),
    };
    // The key leaves memory before the answer begins.
    drop(key);
    let sent = scope.platform().send(Outbound {
        part: Part::Model,
        request,
        head_timeout_ms: PROVIDER_HEAD_TIMEOUT_MS,
        idle_timeout_ms: PROVIDER_IDLE_TIMEOUT_MS,
    });
    let response = match sent.await {
        Ok(response) => response,
        // Nobody knows whether the provider took it: charged at the bound, as every unknown is.
        Err(SendError::TimedOut) => {
            return Err((LlmError::Unreachable, permit.charge(spend(choice, bound, true))));
        }
        Err(SendError::Unreachable) => return Err((LlmError::Unreachable, permit.release())),
    };
    let (head, body) = response.into_parts();
    if head.status != http::StatusCode::OK {
        let text = body.collect(ERROR_LIMIT).await.unwrap_or_default();
        return Err((choice.wire().error(head.status, &head.headers, &text), permit.release()));
    }
    Ok(Stream {
        permit,
        choice,
        platform: scope.platform_rc(),
        body,
        decoder: Some(choice.wire().decoder()),
        waiting: VecDeque::new(),
        text: String::new(),
        told_ms: 0,
        pause: None,
        failed: None,
        broken: false,
        usage: None,
        stopped: None,
    })
}

impl Stream<'_> {
    /// The next piece, or `None` at the end.
    ///
    /// # Errors
    /// How the answer broke off; what came before it is good.
    pub async fn next(&mut self) -> Option<Result<Piece, LlmError>> {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                match event {
                    Event::Delta(text) => self.text.push_str(&text),
                    Event::ToolCall(call) if self.text.is_empty() => return Some(Ok(Piece::Call(call))),
                    Event::ToolCall(call) => {
                        self.waiting.push_front(Event::ToolCall(call));
                        return Some(Ok(self.tell()));
                    }
                    Event::Usage(usage) => self.usage = Some(usage),
                    Event::Stop(reason) => self.stopped = Some(reason),
                }
            }
            let over = self.failed.is_some() || self.decoder.is_none();
            if !self.text.is_empty() && (over || self.wait_ms() == 0) {
                return Some(Ok(self.tell()));
            }
            if let Some(error) = self.failed.take() {
                self.decoder = None;
                self.broken = true;
                return Some(Err(error));
            }
            self.decoder.as_ref()?;
            let Some(chunk) = self.chunk().await else { return Some(Ok(self.tell())) };
            let mut events = Vec::new();
            match (chunk, &mut self.decoder) {
                (Some(Ok(chunk)), Some(decoder)) => self.failed = decoder.push(&chunk, &mut events).err(),
                (Some(_), _) => self.failed = Some(LlmError::Cut),
                (None, _) => self.failed = self.decoder.take().and_then(|decoder| decoder.finish().err()),
            }
            self.waiting.extend(events);
        }
    }

    /// The next of the body, or `None` when the text that waits has waited long enough.
    async fn chunk(&mut self) -> Option<Option<Result<Bytes, BodyError>>> {
        if self.text.is_empty() {
            return Some(self.body.next().await);
        }
        let wait_ms = self.wait_ms();
        // One pause for all that comes within it.
        let pause =
            self.pause.get_or_insert_with(|| self.platform.sleep(u32::try_from(wait_ms).unwrap_or(0)));
        match select(pin!(self.body.next()), pause).await {
            Either::Left((chunk, _)) => Some(chunk),
            Either::Right(_) => None,
        }
    }

    /// The text that waited.
    fn tell(&mut self) -> Piece {
        self.told_ms = self.platform.now_ms();
        self.pause = None;
        Piece::Text(std::mem::take(&mut self.text))
    }

    /// How long text has still to wait, milliseconds.
    fn wait_ms(&self) -> u64 {
        FRAME_MS.saturating_sub(self.platform.now_ms().saturating_sub(self.told_ms))
    }

    /// Why the model stopped, once it has said so.
    #[must_use]
    pub const fn stopped(&self) -> Option<StopReason> {
        self.stopped
    }

    /// Ends the call and says what is charged. Before the stream's end this cancels it. Usage that was not reported to
    /// the end is charged at the upper bound of this prompt and its longest answer.
    pub fn close(self) -> Charge {
        let ended = self.decoder.is_none() && !self.broken;
        let (usage, estimated) = match self.usage {
            Some(usage) if ended => (usage, false),
            _ => (self.choice.bound(), true),
        };
        self.permit.charge(spend(self.choice, usage, estimated))
    }
}

fn spend(choice: &Choice, usage: Usage, estimated: bool) -> Spend {
    Spend {
        provider: choice.provider(),
        model: choice.model().to_owned(),
        reason: choice.reason(),
        usage,
        cost_microusd: choice.cost_microusd(usage),
        estimated,
    }
}
