//! Between a worker and its gateway: notes when each request came and went, and, when told to, answers a turn's requests at once
//! with what the gateway answered last. It understands nothing of what it hands on but which of a turn's four requests it is.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use http::{HeaderMap, StatusCode, Uri, header};
use tokio::net::TcpListener;

/// The relay, for as long as this program runs.
#[derive(Clone)]
pub struct Relay {
    /// Its base URL, as the gateway has one.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    gateway_url: String,
    client: reqwest::Client,
    state: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    replays: bool,
    /// How long answers are held back.
    hold: Duration,
    /// The last answer of each kind.
    last: [Option<Bytes>; 4],
    log: Vec<Exchange>,
}

/// The requests of a turn that go through a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The question stored, and what its answer needs read.
    Stored,
    /// The answer stored.
    Kept,
    /// The budget reserved.
    Reserved,
    /// The budget settled.
    Settled,
}

/// A request and its answer.
#[derive(Clone)]
pub struct Exchange {
    /// To Redis, else to Postgres.
    pub redis: bool,
    /// What it is in a turn, where it is known.
    pub request: Option<Request>,
    /// Its body, as it was sent.
    pub body: Bytes,
    /// Bytes of the answer.
    pub answered: usize,
    /// When it came.
    pub from: Instant,
    /// When it was answered.
    pub to: Instant,
}

impl Relay {
    /// Before this gateway.
    pub async fn start(gateway_url: &str) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on 127.0.0.1")?;
        let url = format!("http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        let client = reqwest::Client::builder().no_proxy().build()?;
        let shared = Shared { gateway_url: gateway_url.to_owned(), client, state: Mutex::default() };
        let relay = Self { url, shared: Arc::new(shared) };
        let router = Router::new().fallback(exchange).with_state(relay.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(relay)
    }

    /// Whether a turn's requests are answered at once, each with the last answer of its kind.
    pub fn replay(&self, replays: bool) {
        self.with(|seen| seen.replays = replays);
    }

    /// Holds answers back for so long from now on: requests that do not wait for each other are under way together then, however
    /// quick the gateway is.
    pub fn hold(&self, time: Duration) {
        self.with(|seen| seen.hold = time);
    }

    /// What went through since this was asked last; nothing while it replays.
    pub fn log(&self) -> Vec<Exchange> {
        self.with(|seen| std::mem::take(&mut seen.log))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(&mut self.shared.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Which of a turn's requests it is.
fn request(path: &str, body: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(body).ok()?;
    match path {
        "/sql" if text.contains("insert into conversations") => Some(Request::Stored),
        "/sql" if text.contains("insert into usage_ledger") => Some(Request::Kept),
        "/" if text.contains("local seeds, agent") => Some(Request::Reserved),
        "/" if text.contains("mark_ms") => Some(Request::Settled),
        _ => None,
    }
}

async fn exchange(State(relay): State<Relay>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let (from, request) = (Instant::now(), request(uri.path(), &body));
    let kept = relay.with(|seen| seen.replays.then(|| seen.last.get(request? as usize)?.clone()).flatten());
    if let Some(answer) = kept {
        return ([(header::CONTENT_TYPE, "application/json")], answer).into_response();
    }
    match forward(&relay, &uri, headers, body.clone()).await {
        Ok((status, answer)) => {
            let hold = relay.with(|seen| seen.hold);
            if !hold.is_zero() {
                tokio::time::sleep(hold).await;
            }
            let to = Instant::now();
            let redis = uri.path() != "/sql";
            relay.with(|seen| {
                if let (true, Some(last)) =
                    (status.is_success(), request.and_then(|request| seen.last.get_mut(request as usize)))
                {
                    *last = Some(answer.clone());
                }
                seen.log.push(Exchange { redis, request, body, answered: answer.len(), from, to });
            });
            (status, [(header::CONTENT_TYPE, "application/json")], answer).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn forward(
    relay: &Relay,
    uri: &Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> reqwest::Result<(StatusCode, Bytes)> {
    for name in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::ACCEPT_ENCODING] {
        headers.remove(name);
    }
    let address = format!("{}{uri}", relay.shared.gateway_url);
    let response = relay.shared.client.post(address).headers(headers).body(body).send().await?;
    Ok((response.status(), response.bytes().await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Should a turn's statements change beyond recognition, a replay would be none.
    #[test]
    fn a_turn_s_requests_are_known_by_what_is_in_them() {
        use bulkhead::limiter::scripts::{OPEN, SETTLE};
        let begin = bulkhead::conversations::CONVERSATION_BEGIN.text();
        assert_eq!(request("/sql", begin.as_bytes()), Some(Request::Stored));
        assert_eq!(request("/", OPEN.as_bytes()), Some(Request::Reserved));
        assert_eq!(request("/", SETTLE.as_bytes()), Some(Request::Settled));
        assert_eq!(request("/sql", b"select 1"), None);
    }
}
