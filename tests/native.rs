//! The core at native speed: a `Platform` over tokio that records what the core sends and logs, and breaks it on demand.
//!
//! It never changes a request or an answer, unless a test asked for a fault.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bulkhead::platform::{Body, BodyError, Level, Outbound, Platform, SendError};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;

/// A platform for one test; give [`Native::platform`] to the core.
#[derive(Clone, Default)]
pub struct Native(Rc<Inner>);

#[derive(Default)]
struct Inner {
    client: Client,
    sent: RefCell<Vec<Sent>>,
    lines: RefCell<Vec<String>>,
    faults: RefCell<Vec<(Part, Fault, bool)>>,
    /// Requests to a part that pass before one meets a fault.
    later: RefCell<Vec<(Part, usize, Fault)>>,
    ahead_ms: Cell<i64>,
    /// Work that was spawned and has not ended.
    running: Rc<Cell<usize>>,
}

/// Follows no redirect, as no platform does.
struct Client(reqwest::Client);

impl Default for Client {
    fn default() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        Self(client.expect("a client"))
    }
}

/// One request that the core sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Where to.
    pub part: Part,
    /// Its headers.
    pub headers: http::HeaderMap,
    /// Its whole body.
    pub body: Bytes,
    /// Whether its answer's head had come when the next request was sent.
    pub answered: Rc<Cell<bool>>,
    /// How many requests before it had been answered when it was sent.
    pub answered_before: usize,
}

/// What the core speaks to, told by the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// SQL over HTTP.
    Postgres,
    /// Redis over REST.
    Redis,
    /// A model provider.
    Model,
    /// A website.
    Website,
}

impl Part {
    fn of(url: &str) -> Self {
        match url {
            _ if url.ends_with("/sql") => Self::Postgres,
            _ if url.ends_with("/chat/completions") || url.ends_with("/messages") => Self::Model,
            _ if url.ends_with("/robots.txt") || url.contains("/site/") || url.contains(crate::dns::PATH) => {
                Self::Website
            }
            _ => Self::Redis,
        }
    }

    /// The fault that a request to it meets now; one that was to happen once is over then.
    fn fault(self, faults: &mut Vec<(Self, Fault, bool)>) -> Option<Fault> {
        let at = faults.iter().position(|(part, ..)| *part == self)?;
        let (_, fault, once) = faults[at];
        if once {
            faults.remove(at);
        }
        Some(fault)
    }
}

/// What is done to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They are not sent: no connection.
    Down,
    /// They take effect, but their answer is lost.
    AnswerLost,
}

impl Native {
    /// As the core takes it.
    #[must_use]
    pub fn platform(&self) -> Rc<dyn Platform> {
        Rc::new(self.clone())
    }

    /// From now on, requests to this part meet this fault.
    pub fn break_requests(&self, part: Part, fault: Fault) {
        self.0.faults.borrow_mut().push((part, fault, false));
    }

    /// The next request to this part meets this fault.
    pub fn break_once(&self, part: Part, fault: Fault) {
        self.0.faults.borrow_mut().push((part, fault, true));
    }

    /// After so many requests to this part, the next one meets this fault.
    pub fn break_after(&self, part: Part, passing: usize, fault: Fault) {
        self.0.later.borrow_mut().push((part, passing, fault));
    }

    /// Ends all faults.
    pub fn mend(&self) {
        self.0.faults.borrow_mut().clear();
        self.0.later.borrow_mut().clear();
    }

    /// Moves the core's clock.
    pub fn set_ahead_ms(&self, ms: i64) {
        self.0.ahead_ms.set(ms);
    }

    /// Waits until all that the core left running has ended.
    ///
    /// # Panics
    /// When it has not after half a minute.
    pub async fn idle(&self) {
        for _ in 0..3_000 {
            if self.0.running.get() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} pieces of work go on and on", self.0.running.get());
    }

    /// What was sent since the last call.
    pub fn take_sent(&self) -> Vec<Sent> {
        self.0.sent.take()
    }

    /// What was logged since the last call.
    pub fn take_lines(&self) -> Vec<String> {
        self.0.lines.take()
    }
}

impl Platform for Native {
    fn send(&self, outbound: Outbound) -> LocalBoxFuture<'static, Result<http::Response<Body>, SendError>> {
        let inner = Rc::clone(&self.0);
        let (parts, body) = outbound.request.into_parts();
        let url = parts.uri.to_string();
        let answered = Rc::new(Cell::new(false));
        let answered_before = inner.sent.borrow().iter().filter(|sent| sent.answered.get()).count();
        inner.sent.borrow_mut().push(Sent {
            part: Part::of(&url),
            headers: parts.headers.clone(),
            body: body.clone(),
            answered: Rc::clone(&answered),
            answered_before,
        });
        let fault = Part::of(&url).fault(&mut inner.faults.borrow_mut());
        inner.later.borrow_mut().retain_mut(|(part, passing, fault)| {
            if *part != Part::of(&url) || *passing == 0 {
                return *part != Part::of(&url);
            }
            *passing -= 1;
            if *passing == 0 {
                inner.faults.borrow_mut().push((*part, *fault, true));
            }
            *passing > 0
        });
        Box::pin(async move {
            if fault == Some(Fault::Down) {
                return Err(SendError::Unreachable);
            }
            let request = inner.client.0.request(parts.method, url).headers(parts.headers).body(body);
            let head = Duration::from_millis(outbound.head_timeout_ms.into());
            let response = tokio::time::timeout(head, request.send()).await;
            let response = response.map_err(|_| SendError::TimedOut)?.map_err(|_| SendError::Unreachable)?;
            answered.set(true);
            if fault == Some(Fault::AnswerLost) {
                return Err(SendError::TimedOut);
            }
            let (status, headers) = (response.status(), response.headers().clone());
            let stream = response.bytes_stream().map(|chunk| chunk.map_err(|_| BodyError::Broken));
            let mut answer = http::Response::new(Body::Stream(stream.boxed_local()));
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        })
    }

    fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(now.as_millis()).unwrap_or_default().saturating_add_signed(self.0.ahead_ms.get())
    }

    fn sleep(&self, ms: u32) -> LocalBoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms.into())))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(16) {
            let random = uuid::Uuid::new_v4();
            let (part, _) = random.as_bytes().split_at(chunk.len());
            chunk.copy_from_slice(part);
        }
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        let running = Rc::clone(&self.0.running);
        running.set(running.get() + 1);
        tokio::task::spawn_local(async move {
            work.await;
            running.set(running.get() - 1);
        });
    }

    fn log(&self, _: Level, line: &str) {
        self.0.lines.borrow_mut().push(line.to_owned());
    }
}

/// Runs a test whose core lives in this thread.
///
/// # Panics
/// When no runtime can be made.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// Waits until midnight (UTC, as these companies have it) is more than so many minutes away, before and behind: for what moves the
/// clock on or back and counts one day's money.
pub async fn same_day(minutes: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (day, margin) = (86_400, minutes * 60);
    let second = now.as_secs() % day;
    let wait = if second < margin {
        margin - second
    } else if day - second <= margin {
        day - second + margin
    } else {
        0
    };
    tokio::time::sleep(Duration::from_secs(wait)).await;
}

/// Runs a test whose core goes round the companies, other tests' among them: no two such tests at the same time, and it must
/// leave nothing running.
///
/// # Panics
/// As [`run`].
pub fn alone<T>(test: impl Future<Output = T>) -> T {
    static ROUNDS: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = ROUNDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    run(test)
}
