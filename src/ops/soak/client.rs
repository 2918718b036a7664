//! Whoever asks the worker: sends, reads to the end or hangs up, and holds each refusal against what may be refused then. It never
//! tries anything twice by itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::bail;
use bulkhead::sse::Decoder;
use futures_util::StreamExt as _;
use http::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::companies::Company;
use super::ground::Ground;
use super::now;
use super::outages::Outages;

/// The client of everybody who takes part.
pub struct Client {
    http: reqwest::Client,
    url: String,
    port: u16,
    /// What owners sign in with.
    pub password: String,
    /// When parts were gone.
    pub outages: Rc<Outages>,
    seen: RefCell<Seen>,
}

/// What came of all requests.
#[derive(Default)]
pub struct Seen {
    /// Turns by where their answers came from, `left` where the visitor hung up, `broke off` where an `error` event ended it.
    pub turns: BTreeMap<String, u64>,
    /// Refusals by status.
    pub refused: BTreeMap<u16, u64>,
    /// Requests that the provider got.
    pub calls: usize,
    /// Companies that were made, and that were deleted.
    pub made: u64,
    /// The deleted ones.
    pub purged: u64,
    /// What should not have been, as many as fit on a page.
    pub wrong: Vec<String>,
    /// How many there were.
    pub wrong_number: usize,
}

/// How a turn goes on.
enum Ended {
    Left,
    Done(String),
    Error(Value),
}

/// Longer than any turn.
const TURN: Duration = Duration::from_secs(150);
const SHOWN: usize = 20;

impl Client {
    /// A client of this stand's worker.
    pub fn new(ground: &Ground, outages: Rc<Outages>) -> anyhow::Result<Self> {
        Ok(Self {
            http: reqwest::Client::builder().no_proxy().pool_idle_timeout(Duration::from_secs(2)).build()?,
            url: format!("http://127.0.0.1:{}", ground.port),
            port: ground.port,
            password: ground.password.clone(),
            outages,
            seen: RefCell::default(),
        })
    }

    /// The answer's JSON; `None` when it was refused, which has been judged. Nothing is sent for null; the platform's host is the
    /// empty slug.
    pub async fn call(
        &self,
        slug: &str,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
        leaving: impl Fn() -> bool,
    ) -> Option<Value> {
        let (what, started) = (format!("{method} {path}"), now());
        let request = self.request(slug, method, path, token);
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = async {
            let response = request.send().await?;
            let (status, kind) = (response.status().as_u16(), kind(&response));
            reqwest::Result::Ok((status, kind, response.text().await?))
        };
        match timeout(TURN, answer).await {
            Ok(Ok((200..300, _, text))) => Some(serde_json::from_str(&text).unwrap_or_default()),
            Ok(Ok((status, kind, text))) => {
                self.refused(&what, status, &kind, &text, started, leaving());
                None
            }
            Ok(Err(error)) => self.wrong(format!("{what}: no answer: {error:?}")),
            Err(_) => self.wrong(format!("{what}: no answer in {} s", TURN.as_secs())),
        }
    }

    /// One turn; gives the conversation. Whoever hangs up does so at the first word.
    pub async fn chat(
        &self,
        company: &Company,
        token: &str,
        conversation: Option<&str>,
        hangs_up: bool,
    ) -> Option<String> {
        let started = now();
        let body = match conversation {
            Some(id) => json!({ "message": "And what does it cost on Sundays?", "conversation_id": id }),
            None => json!({ "message": "How much does it cost to replace a water heater?" }),
        };
        let request = self.request(&company.slug, "POST", "/v1/chat", token).json(&body);
        let heard = async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            if status != 200 {
                let kind = kind(&response);
                self.refused("a turn", status, &kind, &response.text().await?, started, company.leaving());
                return Ok(None);
            }
            listened(response, hangs_up).await.map(Some)
        };
        let (conversation, ended) = match timeout(TURN, heard).await {
            Ok(Ok(heard)) => heard?,
            Ok(Err(error)) => return self.wrong(format!("a turn: {error:?}")),
            Err(_) => return self.wrong(format!("a turn did not end in {} s", TURN.as_secs())),
        };
        let ended = match ended {
            Ended::Left => "left".to_owned(),
            Ended::Done(source) => source,
            Ended::Error(problem) => {
                // 502: the provider broke off. 503: it could not be kept.
                let status = problem.get("status").and_then(Value::as_u64).unwrap_or_default();
                let title = problem.get("title").and_then(Value::as_str).unwrap_or_default();
                let gone = company.leaving() || self.outages.since(started);
                if title.is_empty() || !(status == 502 || status == 503 && gone) {
                    return self.wrong(format!("a turn ended with {problem}"));
                }
                "broke off".to_owned()
            }
        };
        *self.seen.borrow_mut().turns.entry(ended).or_default() += 1;
        Some(conversation)
    }

    /// Judges a refusal: a problem document that says the same as the status, of a kind for which there was a reason.
    fn refused(&self, what: &str, status: u16, kind: &str, text: &str, started: Instant, leaving: bool) {
        *self.seen.borrow_mut().refused.entry(status).or_default() += 1;
        let problem: Value = serde_json::from_str(text).unwrap_or_default();
        let whole = kind == "application/problem+json"
            && problem.get("status") == Some(&json!(status))
            && problem.get("title").and_then(Value::as_str).is_some_and(|title| !title.is_empty())
            && problem.get("request_id").is_some_and(Value::is_string);
        let reason = match status {
            429 => true,
            401 | 403 | 404 => leaving,
            503 => leaving || self.outages.since(started),
            _ => false,
        };
        if !whole || !reason {
            self.wrong::<()>(format!("{what}: {status} {text}"));
        }
    }

    /// Notes what should not have been; always `None`.
    pub fn wrong<T>(&self, what: String) -> Option<T> {
        let mut seen = self.seen.borrow_mut();
        seen.wrong_number += 1;
        if seen.wrong.len() < SHOWN {
            seen.wrong.push(what);
        }
        None
    }

    /// What was seen so far, to be changed or read.
    pub fn with<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(&mut self.seen.borrow_mut())
    }

    fn request(&self, slug: &str, method: &str, path: &str, token: &str) -> RequestBuilder {
        let host = if slug.is_empty() { "localhost".to_owned() } else { format!("{slug}.localhost") };
        let method = match method {
            "GET" => http::Method::GET,
            "PATCH" => http::Method::PATCH,
            _ => http::Method::POST,
        };
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = request.header("host", format!("{host}:{}", self.port));
        if token.is_empty() { request } else { request.bearer_auth(token) }
    }
}

impl Seen {
    /// In a line.
    pub fn text(&self) -> String {
        let turns: Vec<String> = self.turns.iter().map(|(what, number)| format!("{number} {what}")).collect();
        let refused: Vec<String> =
            self.refused.iter().map(|(status, number)| format!("{number} × {status}")).collect();
        format!(
            "turns: {}; refused: {}; companies: {} made, {} deleted; {} model calls; {} wrong",
            turns.join(", "),
            if refused.is_empty() { "none".to_owned() } else { refused.join(", ") },
            self.made,
            self.purged,
            self.calls,
            self.wrong_number
        )
    }
}

fn kind(response: &Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.unwrap_or_default().to_owned()
}

/// Reads an answer to its end, or to its first word; gives its conversation.
async fn listened(response: Response, hangs_up: bool) -> anyhow::Result<(String, Ended)> {
    let (mut chunks, mut decoder) = (response.bytes_stream(), Decoder::new(1 << 20));
    let (mut conversation, mut ended) = (String::new(), None);
    while let Some(chunk) = chunks.next().await.transpose()? {
        let mut chunk = &*chunk;
        while let Some(event) = decoder.decode(&mut chunk)? {
            let data: Value = serde_json::from_str(event.data)?;
            let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            match event.name {
                _ if ended.is_some() => bail!("{} came after the end of an answer", event.name),
                "start" => conversation = text("conversation_id"),
                "delta" if hangs_up => return Ok((conversation, Ended::Left)),
                "done" => ended = Some(Ended::Done(text("source"))),
                "error" => ended = Some(Ended::Error(data)),
                _ => {}
            }
        }
    }
    match ended {
        Some(ended) => Ok((conversation, ended)),
        None => bail!("an answer ended without a word"),
    }
}
