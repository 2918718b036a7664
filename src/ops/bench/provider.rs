//! A model provider that answers every question alike: after a fixed time, word by word at a fixed rate. It checks nothing
//! and thinks of nothing, so that what is measured around it is not its own.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use futures_util::stream::unfold;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};

/// How it answers.
#[derive(Clone, Copy)]
pub struct Pace {
    /// From the request's last byte to the first word.
    pub first: Duration,
    /// From one word to the next.
    pub each: Duration,
    /// Words of an answer.
    pub words: u32,
}

/// What goes wrong with an answer.
#[derive(Clone, Copy)]
pub enum Mishap {
    /// It answers 500.
    Refuses,
    /// The answer ends half-way, as if it were whole.
    Cuts,
    /// The answer stops half-way, and the connection stays open.
    Stalls,
}

/// The provider, for as long as this program runs.
#[derive(Clone)]
pub struct Provider {
    /// The base URL of an API like OpenAI's, with its version.
    pub url: String,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    pace: Pace,
    asked: Vec<std::time::Instant>,
    mishaps: &'static [(usize, Mishap)],
    /// Questions so far.
    number: usize,
    /// Answers under way.
    open: usize,
}

impl Provider {
    /// Serves at this pace until told otherwise.
    pub async fn start(pace: Pace) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on 127.0.0.1")?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        // A word is one small write that must not wait for the next.
        let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
        let provider = Self { url, shared: Arc::new(Mutex::new(Shared::new(pace))) };
        let router = Router::new().route("/v1/chat/completions", post(answer)).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(provider)
    }

    /// How questions are answered from now on.
    pub fn set(&self, pace: Pace) {
        self.with(|shared| shared.pace = pace);
    }

    /// What goes wrong from now on: with each so many-th answer, this; the first that fits.
    pub fn misbehave(&self, mishaps: &'static [(usize, Mishap)]) {
        self.with(|shared| shared.mishaps = mishaps);
    }

    /// Answers that are under way.
    pub fn open(&self) -> usize {
        self.with(|shared| shared.open)
    }

    /// When questions came since this was asked last.
    pub fn asked(&self) -> Vec<std::time::Instant> {
        self.with(|shared| std::mem::take(&mut shared.asked))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        change(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    fn new(pace: Pace) -> Self {
        Self { pace, asked: Vec::new(), mishaps: &[], number: 0, open: 0 }
    }

    /// The next question.
    fn question(&mut self) -> (Pace, Option<Mishap>) {
        self.asked.push(std::time::Instant::now());
        self.number += 1;
        let mishap = self.mishaps.iter().find(|(every, _)| self.number.is_multiple_of(*every));
        (self.pace, mishap.map(|(_, mishap)| *mishap))
    }
}

/// An answer under way, until this is dropped.
struct Open(Provider);

impl Open {
    fn new(provider: &Provider) -> Self {
        provider.with(|shared| shared.open += 1);
        Self(provider.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.with(|shared| shared.open -= 1);
    }
}

/// Chunks on a schedule of their own: a late one does not delay those after it.
async fn answer(State(provider): State<Provider>, _question: Bytes) -> Response {
    let (pace, mishap) = provider.with(Shared::question);
    if let Some(Mishap::Refuses) = mishap {
        let error = json!({ "error": { "message": "The server had an error.", "type": "server_error" } });
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    let first = Instant::now() + pace.first;
    let words = unfold((0, Open::new(&provider)), move |(number, open)| async move {
        match mishap {
            _ if number > pace.words => return None,
            Some(Mishap::Cuts) if number > pace.words / 2 => return None,
            Some(Mishap::Stalls) if number > pace.words / 2 => std::future::pending().await,
            _ => {}
        }
        let chunk = if number == pace.words { end(pace.words) } else { word(&format!("word{number} ")) };
        if !(pace.first + pace.each).is_zero() {
            sleep_until(first + pace.each * number).await;
        }
        Some((Ok::<_, Infallible>(chunk), (number + 1, open)))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(words)).into_response()
}

fn word(text: &str) -> String {
    chunk(&json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }]), &Value::Null)
}

fn end(words: u32) -> String {
    let usage = json!({ "prompt_tokens": 900, "completion_tokens": words, "total_tokens": 900 + words });
    let stop = chunk(&json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]), &Value::Null);
    stop + &chunk(&json!([]), &usage) + "data: [DONE]\n\n"
}

fn chunk(choices: &Value, usage: &Value) -> String {
    let chunk = json!({
        "id": "chatcmpl-measured", "object": "chat.completion.chunk", "created": 1, "model": "measured",
        "choices": choices, "usage": usage,
    });
    format!("data: {chunk}\n\n")
}
