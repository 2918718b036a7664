//! An answer's body, step by step, and who leaves before its end.
//!
//! It never ends a body that is told to stall or to break.

use super::Shared;
use axum::body::Body;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// One step of an answer's body.
pub(super) enum Step {
    Send(String),
    Pause(Duration),
    Wait(Arc<Semaphore>),
    Stall,
    Break,
}

pub(super) fn sends(events: Vec<String>) -> Vec<Step> {
    events.into_iter().map(Step::Send).collect()
}

/// The body that the steps make. The watch notices when it is dropped before its last step.
pub(super) fn play(steps: VecDeque<Step>, watch: Watch) -> Body {
    Body::from_stream(futures_util::stream::unfold((steps, watch), |(mut steps, mut watch)| async {
        loop {
            let step = steps.pop_front();
            watch.whole = steps.is_empty() && !matches!(step, Some(Step::Stall));
            match step? {
                Step::Send(text) => return Some((Ok(Bytes::from(text)), (steps, watch))),
                Step::Pause(time) if time.is_zero() => {}
                Step::Pause(time) => tokio::time::sleep(time).await,
                Step::Wait(steps) => steps.acquire().await.unwrap().forget(),
                Step::Stall => std::future::pending().await,
                Step::Break => return Some((Err("told to break"), (steps, watch))),
            }
        }
    }))
}

/// Notes a client that left before its answer was whole.
pub(super) struct Watch {
    pub(super) shared: Arc<Shared>,
    pub(super) key: String,
    pub(super) whole: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.whole {
            self.shared.record(|book| book.cancelled.push(std::mem::take(&mut self.key)));
        }
    }
}
