//! A model provider that answers every question alike: after a fixed time, word by word at a fixed rate. It checks nothing
//! and thinks of nothing, so that what is measured around it is not its own.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};

/// From the request's last byte to the first word.
pub const FIRST_WORD: Duration = Duration::from_millis(20);
/// From one word to the next.
pub const EACH_WORD: Duration = Duration::from_millis(5);
/// Words of an answer.
pub const WORDS: u32 = 20;

/// Serves for as long as this program runs; gives the base URL of an API like OpenAI's.
pub async fn start() -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on 127.0.0.1")?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    // A word is one small write that must not wait for the next.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    let router = Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// Chunks on a schedule of their own: a late one does not delay those after it.
async fn answer(_question: Bytes) -> Response {
    let first = Instant::now() + FIRST_WORD;
    let words = unfold(0, move |number| async move {
        if number > WORDS {
            return None;
        }
        let chunk = if number == WORDS { end() } else { word(&format!("word{number} ")) };
        sleep_until(first + EACH_WORD * number).await;
        Some((Ok::<_, Infallible>(chunk), number + 1))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(words)).into_response()
}

fn word(text: &str) -> String {
    chunk(&json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }]), &Value::Null)
}

fn end() -> String {
    let usage = json!({ "prompt_tokens": 900, "completion_tokens": WORDS, "total_tokens": 900 + WORDS });
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
