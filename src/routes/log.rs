//! The operator's line of a request: what was asked, what came of it, whose fault it was, and where its time went.
//!
//! It never has content, a query, a key or a token in it.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use http::{Method, Response};
use serde_json::json;

use crate::error::Error;
use crate::ids::{CompanyId, RequestId};
use crate::platform::{Body, Level, Platform};
use crate::trace::{Took, Trace};

/// One request's line. It is written when this is dropped: after the last byte of an answer that streams.
pub(super) struct Log {
    pub(super) platform: Rc<dyn Platform>,
    pub(super) request_id: RequestId,
    pub(super) trace: Trace,
    pub(super) company: Rc<Cell<Option<CompanyId>>>,
    pub(super) method: Method,
    pub(super) route: &'static str,
    pub(super) started_ms: u64,
    pub(super) took: Rc<Took>,
    pub(super) came: Came,
}

/// What came of a request.
pub(super) struct Came {
    status: u16,
    level: Level,
    /// Whose fault it was that it was not done.
    fault: Option<&'static str>,
    error: Option<String>,
    /// Milliseconds until the answer began.
    head_ms: u64,
}

impl Came {
    pub(super) fn of(outcome: Result<&Response<Body>, &Error>, head_ms: u64) -> Self {
        match outcome {
            Ok(response) => {
                let status = response.status().as_u16();
                Self { status, level: Level::Info, fault: None, error: None, head_ms }
            }
            Err(error) => {
                let facts = error.facts();
                let why = error.for_log().map(std::borrow::Cow::into_owned);
                let (status, level) = (facts.status.as_u16(), facts.level);
                Self { status, level, fault: Some(error.fault()), error: why, head_ms }
            }
        }
    }
}

impl Log {
    /// The body, which has the line with it while it streams.
    pub(super) fn with(self, body: Body) -> Body {
        match body {
            Body::Full(bytes) => Body::Full(bytes),
            Body::Stream(chunks) => Body::Stream(
                unfold((chunks, self), |(mut chunks, log)| async move {
                    let chunk = chunks.next().await?;
                    Some((chunk, (chunks, log)))
                })
                .boxed_local(),
            ),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let Came { status, level, fault, error, head_ms } = &self.came;
        let mut line = json!({
            "level": level.as_str(),
            "event": "request",
            "at_ms": self.started_ms,
            "request_id": self.request_id,
            "trace_id": self.trace.id,
            "company_id": self.company.get(),
            "method": self.method.as_str(),
            "route": self.route,
            "status": status,
            "fault": fault,
            "ms": self.platform.now_ms().saturating_sub(self.started_ms),
            "head_ms": head_ms,
            "error": error,
        });
        if let Some(fields) = line.as_object_mut() {
            fields.append(&mut self.took.shown());
        }
        self.platform.log(*level, &line.to_string());
    }
}
