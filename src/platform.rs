//! The one port: what the core asks of the world it runs in, and the bodies that cross it.
//!
//! It never names a runtime. Postgres, Redis and the model providers are HTTP behind [`Platform::send`].

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::LocalBoxStream;

/// What the core needs of a runtime: send a request, the time and a pause, random bytes, work after the response, and a log.
///
/// One value serves one incoming request. Nothing here is `Send`: a wasm isolate has one thread.
pub trait Platform {
    /// Sends one request and answers as soon as the response's head is there; its body streams.
    ///
    /// Redirects are never followed: a redirect could carry a company's key to another host.
    /// Dropping the future or the body cancels the request.
    ///
    /// # Errors
    /// [`SendError`] when no response came within the request's deadline.
    fn send(&self, request: Outbound) -> LocalBoxFuture<'static, Result<http::Response<Body>, SendError>>;

    /// Wall-clock time, milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64;

    /// Waits so many milliseconds, at least.
    fn sleep(&self, ms: u32) -> LocalBoxFuture<'static, ()>;

    /// Fills the slice from a cryptographically secure source.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Runs the future to its end, also after the response has been sent or its reader has left.
    fn spawn(&self, work: LocalBoxFuture<'static, ()>);

    /// Hands the operator one line: a JSON object without content, keys or tokens in it.
    fn log(&self, level: Level, line: &str);
}

/// How much a log line matters to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Normal course of events.
    Info,
    /// Somebody's fault outside (a client, a provider), worth counting.
    Warn,
    /// Our fault, or a dependency's of ours: somebody should look.
    Error,
}

impl Level {
    /// The word that stands in the log line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A request to somewhere else, with how long it may take.
#[derive(Debug)]
pub struct Outbound {
    /// What it is sent to.
    pub part: Part,
    /// Method, absolute URL, headers and the whole body.
    pub request: http::Request<Bytes>,
    /// Milliseconds until the response's head must be there.
    pub head_timeout_ms: u32,
    /// Milliseconds that may pass between two chunks of the response's body.
    pub idle_timeout_ms: u32,
}

/// What the core speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Postgres behind SQL over HTTP, the operator's.
    Postgres,
    /// Redis behind REST, the operator's.
    Redis,
    /// A model provider, with a company's key.
    Model,
    /// What sends mail.
    Mail,
    /// A website that somebody imports.
    Website,
    /// A program of a company's that is told of what happens.
    Webhook,
    /// The DNS, over HTTPS.
    Dns,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Postgres, Self::Redis, Self::Model, Self::Mail, Self::Website, Self::Webhook, Self::Dns];

    /// Its name in log lines and headers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Model => "model",
            Self::Mail => "mail",
            Self::Website => "website",
            Self::Webhook => "webhook",
            Self::Dns => "dns",
        }
    }
}

/// Why a request to somewhere else brought no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection, or it broke before the response's head.
    #[error("the connection could not be made or broke")]
    Unreachable,
    /// The response's head did not come in time.
    #[error("no response came in time")]
    TimedOut,
}

/// Why a body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The connection broke in the middle of the body.
    #[error("the body broke off")]
    Broken,
    /// The next chunk did not come in time.
    #[error("the body stalled")]
    Stalled,
    /// The body is longer than the reader accepts.
    #[error("the body is too large")]
    TooLarge,
}

/// The body of a request or response: whole, or chunk by chunk.
pub enum Body {
    /// All of it, in memory.
    Full(Bytes),
    /// Chunk by chunk, each as it comes.
    Stream(LocalBoxStream<'static, Result<Bytes, BodyError>>),
}

impl Body {
    /// A body without a byte.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Full(Bytes::new())
    }

    /// The next chunk, or `None` at the end. A full body is one chunk.
    ///
    /// # Errors
    /// [`BodyError`] when the body breaks off or stalls.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        match self {
            Self::Full(bytes) if bytes.is_empty() => None,
            Self::Full(bytes) => Some(Ok(std::mem::take(bytes))),
            Self::Stream(stream) => stream.next().await,
        }
    }

    /// The whole body, if it has at most `limit` bytes; reading stops at the first byte too many.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] over the limit, or how the body broke.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, BodyError> {
        if let Self::Full(bytes) = self {
            return if bytes.len() > limit { Err(BodyError::TooLarge) } else { Ok(bytes) };
        }
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.next().await {
            let chunk = chunk?;
            if whole.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Full(bytes.into())
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}
