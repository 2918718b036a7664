//! The model provider's double: one server that speaks OpenAI's chat completions and responses, Anthropic's messages
//! and Google's Gemini, and lists its models.
//!
//! It never lets two tests meet: the API key chooses how it behaves, and what it saw is asked for by key.
//!
//! | key begins with | behaviour |
//! |---|---|
//! | `test-ok-` | answers [`answer`] word by word, with usage |
//! | `test-slow-<ms>-` | the same, with a pause before each word |
//! | `test-steps-` | the same, each word when [`Upstream::step`] says so |
//! | `test-nousage-` | the same, without usage |
//! | `test-length-` | stops half-way: the limit on the answer |
//! | `test-refuse-` | declines in the format's own way |
//! | `test-<status>-` | answers with that status and the format's error body, 429 with `retry-after: 20`, 3xx with a `location` that leads back here |
//! | `test-quota-` | 429 (OpenAI) or 400 (Anthropic) as when the account has no credit |
//! | `test-page-` | 200 with an HTML page |
//! | `test-garbage-` | a stream that turns into nonsense half-way |
//! | `test-midstream-error-` | a stream that reports an error half-way |
//! | `test-cut-` | a stream that ends half-way, as if it were whole |
//! | `test-broken-` | the connection breaks half-way |
//! | `test-silent-` | stalls half-way, connection open |
//! | `test-hang-` | never answers at all |
//! | `test-tool-<name>-` | calls that tool, then answers with [`answer_with`] what the tool answered |
//! | `test-toolloop-` | calls the request's first tool, whatever is answered; without tools it answers |
//! | `test-badargs-` | as `test-tool-`, the first tool, with arguments that are no JSON (Gemini: that fit no schema) |
//! | `test-flaky<n>-<status>-` | the key's first n requests as `test-<status>-`, but with `retry-after: 1`; then as `test-ok-` |
//!
//! A tool is called with the JSON object that stands in the question, if one does; else with values that fit the tool's
//! schema. Any other key is rejected with 401, so a test that sends the wrong key fails. Asked for its models, the double
//! fails for the keys that are to fail at once, and lists them for the others.
//!
//! Like the real ones it is strict: OpenAI's usage comes only when asked for, Anthropic's version header and `max_tokens`
//! must be there, Responses must not store, Gemini takes no `additionalProperties`, alternating roles and signed calls; a
//! tool's result must follow its call, and every call its result.

mod arguments;
mod asked;
mod behaviour;
mod formats;
mod play;
mod talk;

use asked::Asked;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use behaviour::{calls, fails, page};
use bytes::Bytes;
use formats::{Format, head};
use http::HeaderMap;
use play::{Step, Watch, play, sends};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use talk::{Call, Stop, Talk};
use tokio::sync::{Semaphore, oneshot, watch};

/// A running double; dropping it stops it.
#[derive(Debug)]
pub struct Upstream {
    url: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How fast the double answers where the key does not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Milliseconds between the head of the answer and its first word.
    pub first_word_ms: u64,
    /// Milliseconds between two words.
    pub word_ms: u64,
    /// Words of the answer, whatever the question; `None` for [`answer`].
    pub words: Option<usize>,
}

/// One request that the double has seen.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its place among all requests to this double, from 0.
    pub order: usize,
    /// `/v1/chat/completions`, `/v1/responses`, `/v1/messages`, `/v1/models/{model}:streamGenerateContent` or `/v1/models`.
    pub path: &'static str,
    /// The API key; empty where none was sent.
    pub key: String,
    /// All headers, the key's included.
    pub headers: HeaderMap,
    /// The body; null where it was no JSON.
    pub body: Value,
    /// The model asked; empty where none was.
    pub model: String,
    /// What was said: the system text, and every turn.
    pub texts: Vec<String>,
    /// The input tokens that a whole answer reports.
    pub input_tokens: u32,
    /// The output tokens that a whole answer reports.
    pub output_tokens: u32,
}

/// What the double answers to a question.
#[must_use]
pub fn answer(question: &str) -> String {
    format!("Thank you for asking. You asked: {question}")
}

/// What the double answers once a tool has answered.
#[must_use]
pub fn answer_with(result: &str) -> String {
    format!("Thank you for asking. I found this: {result}")
}

impl Upstream {
    /// A double that answers as fast as it can, on a free port and a thread of its own.
    #[must_use]
    pub fn start() -> Self {
        Self::paced(Pace::default())
    }

    /// A double with a pace, for measuring.
    #[must_use]
    pub fn paced(pace: Pace) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            pace,
            book: Mutex::default(),
            steps: Mutex::default(),
            changed: watch::Sender::new(()),
        });
        let app = Router::new()
            .route(Format::OpenAi.path(), post(openai))
            .route(Format::Responses.path(), post(responses))
            .route(Format::Anthropic.path(), post(anthropic))
            .route("/v1/models/{call}", post(gemini))
            .route(MODELS, get(models))
            .with_state(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                // Without this the words of a stream would wait for each other's acknowledgements.
                let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
                tokio::select! {
                    served = axum::serve(listener, app) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { url, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// The base URL of all formats: `http://127.0.0.1:<port>/v1`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests that came with this key, in order.
    #[must_use]
    pub fn requests(&self, key: &str) -> Vec<Recorded> {
        self.requests_where(|request| request.key == key)
    }

    /// The requests whose system text or turns contain the text, in order, whatever their key.
    #[must_use]
    pub fn requests_with(&self, text: &str) -> Vec<Recorded> {
        self.requests_where(|request| request.texts.iter().any(|said| said.contains(text)))
    }

    fn requests_where(&self, wanted: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
        self.shared.book.lock().unwrap().requests.iter().filter(|request| wanted(request)).cloned().collect()
    }

    /// Whether a client with this key has left before its answer was whole.
    #[must_use]
    pub fn cancelled(&self, key: &str) -> bool {
        self.shared.book.lock().unwrap().cancelled.iter().any(|cancelled| cancelled == key)
    }

    /// Lets answers for this key, which begins with `test-steps-`, go on by so many words together.
    pub fn step(&self, key: &str, words: usize) {
        self.shared.steps(key).add_permits(words);
    }

    /// Holds answers for this key back again: words that nobody took are forgotten.
    pub fn hold(&self, key: &str) {
        self.shared.steps(key).forget_permits(usize::MAX);
    }

    /// Waits until the double has seen what the caller waits for; without end, so put a time-out around it.
    pub async fn until(&self, seen: impl Fn(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        while !seen(self) {
            changed.changed().await.unwrap();
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct Shared {
    pace: Pace,
    book: Mutex<Book>,
    steps: Mutex<HashMap<String, Arc<Semaphore>>>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Book {
    requests: Vec<Recorded>,
    cancelled: Vec<String>,
}

/// Where every provider lists its models.
const MODELS: &str = "/v1/models";

async fn openai(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    respond(Format::OpenAi, shared, headers, &body, None).await
}

async fn responses(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    respond(Format::Responses, shared, headers, &body, None).await
}

async fn anthropic(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    respond(Format::Anthropic, shared, headers, &body, None).await
}

async fn gemini(
    State(shared): State<Arc<Shared>>,
    Path(call): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match call.split_once(':') {
        Some((model, "streamGenerateContent")) if query.as_deref() == Some("alt=sse") => {
            respond(Format::Gemini, shared, headers, &body, Some(model.to_owned())).await
        }
        _ => Format::Gemini.error(404, "there is no such method, or not as server-sent events"),
    }
}

async fn models(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let format = Format::of(&headers);
    let key = format.key(&headers);
    let number = shared.book(&key, MODELS, headers, Value::Null, String::new(), &Asked::default(), (0, 0));
    match fails(format, &key, number) {
        Some(response) => response,
        None if key.starts_with("test-page-") => page(),
        None if key.starts_with("test-hang-") => std::future::pending().await,
        None => format.models(),
    }
}

async fn respond(
    format: Format,
    shared: Arc<Shared>,
    headers: HeaderMap,
    body: &[u8],
    model: Option<String>,
) -> Response {
    let key = format.key(&headers);
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let model = model.or_else(|| body["model"].as_str().map(str::to_owned)).unwrap_or_default();
    let asked = Asked::read(format, &body);
    let complaint = format.complaint(&headers, &body, &model, &asked);
    let calls = calls(&key, &asked);
    let said = match (shared.pace.words, asked.result()) {
        (Some(words), _) => "word ".repeat(words),
        (None, Some(result)) => answer_with(&result),
        (None, None) => answer(asked.question()),
    };
    let words: Vec<&str> = said.split_inclusive(' ').collect();
    let mut talk = Talk {
        format,
        input_tokens: asked.texts().iter().map(|text| text.split_whitespace().count()).sum(),
        output_tokens: if calls.is_empty() { words.len() } else { 5 },
        wants_usage: format != Format::OpenAi || body["stream_options"]["include_usage"] == true,
    };
    let tokens = (talk.input_tokens, talk.output_tokens);
    let number = shared.book(&key, format.path(), headers, body, model, &asked, tokens);
    let mut watch = Watch { shared: Arc::clone(&shared), key: key.clone(), whole: false };
    if let Some((status, message)) = complaint {
        watch.whole = true;
        return format.error(status, message);
    }
    if let Some(response) = fails(format, &key, number) {
        watch.whole = true;
        return response;
    }

    let behaviour = key.strip_prefix("test-").unwrap_or_default();
    let (kind, rest) = behaviour.split_once('-').unwrap_or((behaviour, ""));
    let half = words.len() / 2;
    let mut pace = shared.pace;
    let steps = (kind == "steps").then(|| shared.steps(&key));
    let (end, spoken) = match kind {
        _ if !calls.is_empty() => {
            let numbered =
                calls.into_iter().map(|call| Call { id: format!("call{number}x{}", call.id), ..call });
            (sends(talk.calls(&numbered.collect::<Vec<_>>())), 0)
        }
        "slow" => {
            let ms = rest.split('-').next().and_then(|ms| ms.parse().ok()).unwrap_or(50);
            pace = Pace { first_word_ms: ms, word_ms: ms, ..pace };
            (sends(talk.end(Stop::End)), words.len())
        }
        "nousage" => {
            talk.wants_usage = false;
            (sends(talk.end(Stop::End)), words.len())
        }
        "length" => {
            talk.output_tokens = half;
            (sends(talk.end(Stop::Length)), half)
        }
        "refuse" => {
            talk.output_tokens = 1;
            (sends(talk.end(Stop::Refusal)), 0)
        }
        "garbage" => (vec![Step::Send("data: {\"choices\":[{\"del\n\ndata: <oops>\n\n".into())], half),
        "midstream" => (vec![Step::Send(talk.midstream_error())], half),
        "cut" => (vec![], half),
        // The server writes what it has when there is nothing more to write; without a pause the break would come first.
        "broken" => (vec![Step::Pause(Duration::from_millis(10)), Step::Break], half),
        "silent" => (vec![Step::Stall], half),
        "hang" => return std::future::pending().await,
        "page" => {
            watch.whole = true;
            return page();
        }
        _ => (sends(talk.end(Stop::End)), words.len()),
    };
    let start = Step::Send(talk.start());
    let spoken = words.iter().take(spoken).enumerate().flat_map(|(at, word)| {
        let pause_ms = if at == 0 { pace.first_word_ms } else { pace.word_ms };
        let wait = match &steps {
            Some(steps) => Step::Wait(Arc::clone(steps)),
            None => Step::Pause(Duration::from_millis(pause_ms)),
        };
        [wait, Step::Send(talk.word(word))]
    });
    let steps: VecDeque<Step> = std::iter::once(start).chain(spoken).chain(end).collect();
    head(200, "text/event-stream; charset=utf-8", play(steps, watch))
}

impl Shared {
    fn steps(&self, key: &str) -> Arc<Semaphore> {
        let mut all = self.steps.lock().unwrap();
        Arc::clone(all.entry(key.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(0))))
    }

    /// Books a request, and says how many came with this key before.
    #[expect(clippy::too_many_arguments, reason = "all that is known of a request, from two places")]
    fn book(
        &self,
        key: &str,
        path: &'static str,
        headers: HeaderMap,
        body: Value,
        model: String,
        asked: &Asked,
        (input_tokens, output_tokens): (usize, usize),
    ) -> usize {
        let mut number = 0;
        self.record(|book| {
            number = book.requests.iter().filter(|request| request.key == key).count();
            book.requests.push(Recorded {
                order: book.requests.len(),
                path,
                key: key.to_owned(),
                headers,
                body,
                model,
                texts: asked.texts(),
                input_tokens: u32::try_from(input_tokens).unwrap(),
                output_tokens: u32::try_from(output_tokens).unwrap(),
            });
        });
        number
    }

    fn record(&self, write: impl FnOnce(&mut Book)) {
        write(&mut self.book.lock().unwrap());
        self.changed.send_replace(());
    }
}
