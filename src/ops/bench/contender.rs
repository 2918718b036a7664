//! Somebody who can be asked: what a question to them looks like, and when the first word of an answer comes. It decides
//! nothing about when and how often.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bulkhead::sse::Decoder;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::QUESTION;
use super::usage::{self, Usage};

/// One of those who are measured beside each other.
pub struct Contender {
    /// As the tables call it.
    pub name: &'static str,
    /// The process that it is; `None` for the provider, which is in this very process.
    pub process: Option<u64>,
    /// Whether it sends its statements through the stand's gateway.
    pub by_gateway: bool,
    client: reqwest::Client,
    url: String,
    wire: Wire,
    body: Bytes,
    /// One for each who asks, used in turns.
    callers: Vec<HeaderMap>,
}

/// What a question and its answer look like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// `/v1/chat`: events `start`, `delta`, `done`.
    Chat,
    /// `/v1/chat/completions`: OpenAI's chunks.
    OpenAi,
}

/// How a question was answered.
#[derive(Clone)]
pub struct Answer {
    /// The status; what follows is of 200 only.
    pub status: u16,
    /// From sending the question to the first word; to the end, if there was none.
    pub first_word: Duration,
    /// Pieces of text that came.
    pub words: usize,
    /// Where the answer came from, as `done` says.
    pub source: String,
}

impl Contender {
    /// Asked at this base URL with these headers, one set for each who asks; `model` is what OpenAI's format names.
    pub fn new(
        name: &'static str,
        url: &str,
        wire: Wire,
        model: &str,
        callers: Vec<Vec<(HeaderName, String)>>,
        process: Option<u64>,
    ) -> anyhow::Result<Self> {
        let (path, body) = match wire {
            Wire::Chat => ("v1/chat", json!({ "message": QUESTION })),
            Wire::OpenAi => ("v1/chat/completions", openai(model)),
        };
        let headers = |pairs: Vec<(HeaderName, String)>| {
            let mut headers =
                HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
            for (name, value) in pairs {
                headers.insert(name, value.parse()?);
            }
            anyhow::Ok(headers)
        };
        Ok(Self {
            name,
            process,
            by_gateway: false,
            // Node and uvicorn close a connection that was idle for five seconds; one used at that moment would be reset.
            client: reqwest::Client::builder()
                .no_proxy()
                .pool_idle_timeout(Duration::from_secs(2))
                .build()?,
            url: format!("{url}/{path}"),
            wire,
            body: body.to_string().into(),
            callers: callers.into_iter().map(headers).collect::<Result<_, _>>()?,
        })
    }

    /// The same, known to send its statements through the stand's gateway.
    pub fn by_gateway(self) -> Self {
        Self { by_gateway: true, ..self }
    }

    /// Asks, in a new conversation, and reads the answer to its end.
    ///
    /// # Errors
    /// When the answer is not a model's, or breaks off.
    pub async fn ask(&self, number: usize) -> anyhow::Result<Answer> {
        let caller =
            self.callers.iter().cycle().nth(number % self.callers.len().max(1)).context("nobody asks")?;
        let request = self.client.post(&self.url).headers(caller.clone()).body(self.body.clone());
        let answer = listen(request, self.wire).await.with_context(|| format!("{} failed", self.name))?;
        ensure!(answer.status == 200, "{} answered with {}", self.name, answer.status);
        ensure!(answer.source == "model", "{} answered by {}, not by the model", self.name, answer.source);
        ensure!(answer.words > 1, "{}: the answer did not stream", self.name);
        Ok(answer)
    }

    /// What it has used; `None` for the provider, and where no `/proc` tells.
    pub fn usage(&self) -> Option<Usage> {
        usage::of(self.process?)
    }
}

/// With a system text as long as the worker's, so that the provider reads as much.
pub fn openai(model: &str) -> Value {
    json!({
        "model": model, "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "system", "content": "x".repeat(4_000) }, { "role": "user", "content": QUESTION }],
    })
}

/// A token as a header.
pub fn bearer(token: &str) -> (HeaderName, String) {
    (AUTHORIZATION, format!("Bearer {token}"))
}

/// What an event is of an answer.
enum Heard {
    Word,
    /// With where the answer came from.
    End(String),
    Other,
}

impl Heard {
    fn new(wire: Wire, name: &str, data: &str) -> anyhow::Result<Self> {
        match (wire, name) {
            (Wire::OpenAi, _) if data == "[DONE]" => Ok(Self::End("model".to_owned())),
            (Wire::OpenAi, _) if data.contains(r#""content":"w"#) || data.contains(r#""content": "w"#) => {
                Ok(Self::Word)
            }
            (Wire::Chat, "delta") => Ok(Self::Word),
            (Wire::Chat, "done") => {
                let done: Value = serde_json::from_str(data)?;
                let source = done.get("source").and_then(Value::as_str).unwrap_or_default();
                Ok(Self::End(source.to_owned()))
            }
            (_, "error") => bail!("the turn failed: {data}"),
            _ => Ok(Self::Other),
        }
    }
}

/// Sends a question and reads the answer to its end.
///
/// # Errors
/// When it breaks off.
pub async fn listen(request: reqwest::RequestBuilder, wire: Wire) -> anyhow::Result<Answer> {
    let started = Instant::now();
    let response = request.send().await?;
    let status = response.status().as_u16();
    let mut answer = Answer { status, first_word: started.elapsed(), words: 0, source: String::new() };
    let mut chunks = response.bytes_stream();
    if status != 200 {
        // Read to its end, so that the connection can be used again.
        while chunks.next().await.transpose()?.is_some() {}
        return Ok(answer);
    }
    let mut decoder = Decoder::new(1 << 20);
    while let Some(chunk) = chunks.next().await.transpose()? {
        let mut chunk = &*chunk;
        while let Some(event) = decoder.decode(&mut chunk)? {
            match Heard::new(wire, event.name, event.data)? {
                Heard::Word => {
                    if answer.words == 0 {
                        answer.first_word = started.elapsed();
                    }
                    answer.words += 1;
                }
                Heard::End(source) => answer.source = source,
                Heard::Other => {}
            }
        }
    }
    ensure!(!answer.source.is_empty(), "an answer broke off");
    if answer.words == 0 {
        answer.first_word = started.elapsed();
    }
    Ok(answer)
}
