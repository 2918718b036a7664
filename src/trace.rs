//! What one request took, and where its time went: counts and times by part, and the trace that it belongs to.
//!
//! It never reads a body, and of the headers `traceparent` alone.

use std::cell::Cell;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::ids::RequestId;
use crate::platform::{Body, Level, Outbound, Part, Platform, SendError};

/// The header that carries a trace (<https://www.w3.org/TR/trace-context/>).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The trace that a request belongs to: the caller's, or one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub id: String,
    /// What this request is called in it, 16 hexadecimal digits.
    span: String,
    /// Two hexadecimal digits.
    flags: String,
}

impl Trace {
    /// The trace that the headers name. One that is malformed, or named twice, is none: then the request begins its own,
    /// whose id is the request's.
    #[must_use]
    pub fn of(headers: &HeaderMap, request: RequestId) -> Self {
        let own = request.to_string().replace('-', "");
        // The last half of the request's id is random.
        let span = own.get(16..).unwrap_or_default().to_owned();
        let mut given = headers.get_all(TRACEPARENT).iter();
        let header = match (given.next(), given.next()) {
            (Some(header), None) => header.to_str().ok().and_then(read),
            _ => None,
        };
        match header {
            Some((id, flags)) => Self { id: id.to_owned(), span, flags: flags.to_owned() },
            None => Self { id: own, span, flags: "01".to_owned() },
        }
    }

    /// As the parts that answer this request are told of it.
    fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("00-{}-{}-{}", self.id, self.span, self.flags)).ok()
    }
}

/// Trace id and flags of a header; a later version may have more at its end.
#[must_use]
pub fn read(header: &str) -> Option<(&str, &str)> {
    let mut parts = header.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let some = |text: &str| text.bytes().any(|byte| byte != b'0');
    let whole = hex(version, 2) && hex(id, 32) && hex(parent, 16) && hex(flags, 2);
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    (whole && known && some(id) && some(parent)).then_some((id, flags))
}

/// What a request took of each part. It goes on counting while the answer streams.
#[derive(Default)]
pub struct Took([Cell<Sum>; Part::ALL.len()]);

#[derive(Clone, Copy, Default)]
struct Sum {
    calls: u32,
    /// Without an answer, or with one that says to come again.
    failed: u32,
    ms: u64,
}

impl Took {
    fn sums(&self) -> impl Iterator<Item = (Part, Sum)> {
        let sums = self.0.iter().map(Cell::get);
        Part::ALL.into_iter().zip(sums).filter(|(_, sum)| sum.calls > 0)
    }

    fn add(&self, part: Part, ms: u64, failed: bool) {
        if let Some((_, cell)) = Part::ALL.iter().zip(&self.0).find(|(other, _)| **other == part) {
            let sum = cell.get();
            let failed = sum.failed + u32::from(failed);
            cell.set(Sum { calls: sum.calls + 1, failed, ms: sum.ms + ms });
        }
    }

    /// Calls, failures and milliseconds of each part that was called, for the log.
    #[must_use]
    pub fn shown(&self) -> Map<String, Value> {
        let shown = |(part, Sum { calls, failed, ms }): (Part, Sum)| {
            (part.as_str().to_owned(), json!({ "calls": calls, "failed": failed, "ms": ms }))
        };
        self.sums().map(shown).collect()
    }

    /// The same as a `Server-Timing` header (<https://www.w3.org/TR/server-timing/>), after all that the request took.
    #[must_use]
    pub fn server_timing(&self, total_ms: u64) -> Option<HeaderValue> {
        let parts = self
            .sums()
            .map(|(part, sum)| format!(", {};dur={};desc=\"{} calls\"", part.as_str(), sum.ms, sum.calls));
        HeaderValue::from_str(&parts.fold(format!("total;dur={total_ms}"), |all, part| all + &part)).ok()
    }
}

/// The runtime of one request, which counts what it is asked to send and tells the operator's own parts of the trace.
pub(crate) struct Traced {
    pub(crate) platform: Rc<dyn Platform>,
    pub(crate) trace: Trace,
    pub(crate) took: Rc<Took>,
}

impl Platform for Traced {
    fn send(
        &self,
        mut outbound: Outbound,
    ) -> LocalBoxFuture<'static, Result<http::Response<Body>, SendError>> {
        let part = outbound.part;
        // A provider or a website is not the operator's, and is told nothing.
        if matches!(part, Part::Postgres | Part::Redis)
            && let Some(header) = self.trace.header()
        {
            outbound.request.headers_mut().insert(TRACEPARENT, header);
        }
        let (platform, took) = (Rc::clone(&self.platform), Rc::clone(&self.took));
        let started_ms = platform.now_ms();
        let sent = platform.send(outbound);
        Box::pin(async move {
            let answer = sent.await;
            let failed = match &answer {
                Ok(answer) => answer.status().is_server_error() || answer.status().as_u16() == 429,
                Err(_) => true,
            };
            took.add(part, platform.now_ms().saturating_sub(started_ms), failed);
            answer
        })
    }

    fn now_ms(&self) -> u64 {
        self.platform.now_ms()
    }

    fn sleep(&self, ms: u32) -> LocalBoxFuture<'static, ()> {
        self.platform.sleep(ms)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.platform.fill_random(bytes);
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        self.platform.spawn(work);
    }

    fn log(&self, level: Level, line: &str) {
        self.platform.log(level, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_header_is_believed_when_it_is_whole() {
        for (header, read_as) in [
            (format!("00-{ID}-00f067aa0ba902b7-01"), Some((ID, "01"))),
            (format!("00-{ID}-00f067aa0ba902b7-00"), Some((ID, "00"))),
            (format!("cc-{ID}-00f067aa0ba902b7-01-what-comes"), Some((ID, "01"))),
            (format!("00-{ID}-00f067aa0ba902b7-01-more"), None),
            (format!("ff-{ID}-00f067aa0ba902b7-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", ID.to_uppercase()), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (format!("00-{ID}-0000000000000000-01"), None),
            (format!("00-{ID}-00f067aa0ba902b7-1"), None),
            (format!("00-{ID}-00f067aa0ba902b7"), None),
            (format!("00-{ID}\"-00f067aa0ba902b7-01"), None),
            (String::new(), None),
        ] {
            assert_eq!(read(&header), read_as, "{header}");
        }
    }

    #[test]
    fn a_request_without_a_trace_begins_its_own() {
        let request: RequestId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let mut headers = HeaderMap::new();
        let own = Trace::of(&headers, request);
        assert_eq!(own.header().unwrap(), "00-01890a5dac96774bbcceb302099a8057-bcceb302099a8057-01");
        headers.insert(TRACEPARENT, HeaderValue::from_str(&format!("00-{ID}-00f067aa0ba902b7-00")).unwrap());
        let given = Trace::of(&headers, request);
        assert_eq!(given.header().unwrap(), format!("00-{ID}-bcceb302099a8057-00").as_str());
        headers.append(TRACEPARENT, HeaderValue::from_str(&format!("00-{ID}-00f067aa0ba902b7-00")).unwrap());
        assert_eq!(Trace::of(&headers, request), own, "two are none");
    }

    #[test]
    fn what_was_taken_is_summed_by_part() {
        let took = Took::default();
        took.add(Part::Postgres, 3, false);
        took.add(Part::Postgres, 4, true);
        took.add(Part::Model, 900, false);
        let shown = Value::Object(took.shown());
        assert_eq!(
            shown,
            json!({ "postgres": { "calls": 2, "failed": 1, "ms": 7 }, "model": { "calls": 1, "failed": 0, "ms": 900 } })
        );
        let header = took.server_timing(950).unwrap();
        assert_eq!(header, "total;dur=950, postgres;dur=7;desc=\"2 calls\", model;dur=900;desc=\"1 calls\"");
    }
}
