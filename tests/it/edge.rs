//! What the core relies on in its runtime: chunks go through as they come, in both directions and no faster than they are
//! read; work goes on after the visitor has left; requests beside each other do not disturb each other.

use std::time::Duration;

use bulkhead_tests::company::{Company, Event, event, read_events, text};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::upstream;
use bulkhead_tests::wire;
use futures_util::future::join_all;
use futures_util::{Stream, StreamExt};
use http::Method;
use serde_json::json;

const QUESTION: &str = "How much does it cost to replace a water heater?";
/// Only a fault takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

fn key(kind: &str) -> String {
    format!("test-{kind}-{}", uuid::Uuid::new_v4().simple())
}

/// A company whose model answers as the key says, with money for every question here.
async fn company(stand: &'static Stand, key: &str) -> Company {
    let acme = Company::new(stand, "plumbing").await;
    acme.provider("openai", key).await;
    acme.rows(
        "update budgets set daily_limit_microusd = 1000000000, monthly_tokens = 1000000000, concurrent_turns = 1000,
                 company_turns_per_minute = 6000
         where company_id = $1::text::uuid returning 1",
    )
    .await;
    acme
}

/// An answer on its way.
struct Answer<S> {
    chunks: S,
    decoder: bulkhead::sse::Decoder,
    events: Vec<Event>,
}

/// Asks as a new visitor; gives the answer as soon as its head is there.
async fn ask(acme: &Company) -> Answer<impl Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin> {
    let visitor = acme.visitor().await;
    let request =
        acme.request(&visitor.token, Method::POST, "/v1/chat").json(&json!({ "message": QUESTION }));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    Answer {
        chunks: response.bytes_stream(),
        decoder: bulkhead::sse::Decoder::new(1 << 20),
        events: Vec::new(),
    }
}

impl<S: Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin> Answer<S> {
    /// Reads until the events are as wanted; panics at the answer's end.
    async fn until(&mut self, what: &str, wanted: impl Fn(&[Event]) -> bool) {
        while !wanted(&self.events) {
            let chunk = tokio::time::timeout(PATIENCE, self.chunks.next()).await;
            let chunk =
                chunk.unwrap_or_else(|_| panic!("no {what} after {:?}", self.events)).unwrap().unwrap();
            read_events(&mut self.decoder, &chunk, &mut self.events);
        }
    }

    async fn rest(mut self) -> Vec<Event> {
        while let Some(chunk) = tokio::time::timeout(PATIENCE, self.chunks.next()).await.unwrap() {
            read_events(&mut self.decoder, &chunk.unwrap(), &mut self.events);
        }
        self.events
    }
}

#[tokio::test]
async fn each_word_arrives_before_the_next_is_sent() {
    let stand = Stand::get();
    let key = key("steps");
    let acme = company(stand, &key).await;
    let mut answer = ask(&acme).await;
    answer.until("start", |events| !events.is_empty()).await;
    let said = upstream::answer(QUESTION);
    let mut heard = String::new();
    for word in said.split_inclusive(' ') {
        stand.upstream.step(&key, 1);
        heard.push_str(word);
        answer.until(word, |events| text(events) == heard).await;
    }
    assert_eq!(event(&answer.rest().await, "done")["source"], "model");
}

#[tokio::test]
async fn whenever_a_visitor_leaves_the_provider_is_cancelled_and_everything_settled() {
    let stand = Stand::get();
    let said = upstream::answer(QUESTION);
    let words: Vec<&str> = said.split_inclusive(' ').collect();
    join_all([0, 1, words.len() / 2, words.len() - 1].map(|heard| {
        let said = words.iter().take(heard).copied().collect::<String>();
        let last = heard == words.len() - 1;
        async move {
            let key = key("steps");
            let acme = company(stand, &key).await;
            let mut answer = ask(&acme).await;
            stand.upstream.step(&key, heard);
            answer.until("words", |events| !events.is_empty() && text(events) == said).await;
            drop(answer);
            let settled = async {
                let kept = "select from messages where company_id = $1::text::uuid and author = 'agent'";
                let mut looked = 0;
                while acme.rows(kept).await.is_empty() || super::budget::held(&acme).await > 0 {
                    // The worker notices at a word that nobody hears, or at the one after it; it gets a second for each.
                    if looked % 20 == 0 {
                        stand.upstream.step(&key, 1);
                    }
                    looked += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(PATIENCE, settled)
                .await
                .expect("what came is stored, and no reservation is left");
            // When the last word was on its way there was nothing left to cancel.
            assert!(stand.upstream.cancelled(&key) || last, "after {heard} words");
            let ledger = "select cost_microusd::bigint from usage_ledger where company_id = $1::text::uuid";
            let ledger = acme.rows(ledger).await;
            assert_eq!(ledger.len(), 1, "after {heard} words");
            assert_eq!(ledger[0].get::<_, i64>(0), i64::try_from(super::budget::spent(&acme).await).unwrap());
        }
    }))
    .await;
}

#[tokio::test]
async fn an_upload_is_answered_while_it_still_comes() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let token = acme.visitor().await.token;
    // The buffers on the way hold some megabytes; whoever waited for the end would wait for ever.
    let endless = 256 << 20;
    for (path, framing, expected) in [
        ("/v1/chat", "Transfer-Encoding: chunked".to_owned(), 413),
        ("/v1/chat", format!("Content-Length: {endless}"), 413),
        // Nobody reads what is sent here.
        ("/v1/visitor", "Transfer-Encoding: chunked".to_owned(), 201),
        ("/v1/visitor", format!("Content-Length: {endless}"), 201),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{framing}\r\n\r\n",
            acme.host()
        );
        let (answer, sent) = wire::upload(stand, &head, endless).await;
        assert_eq!(answer.status, expected, "{path} {framing}: {answer:?}");
        assert!(sent < endless / 4, "{path} {framing}: {sent} bytes were taken");
    }
}

#[tokio::test]
async fn two_hundred_answers_stream_at_once() {
    const MANY: usize = 200;
    let stand = Stand::get();
    let key = key("steps");
    let acme = company(stand, &key).await;
    let mut answers = join_all((0..MANY).map(|_| async {
        let mut answer = ask(&acme).await;
        answer.until("start", |events| !events.is_empty()).await;
        answer
    }))
    .await;
    let all_there = stand.upstream.until(|upstream| upstream.requests(&key).len() == MANY);
    tokio::time::timeout(PATIENCE, all_there).await.expect("every question is with the provider");
    let said = upstream::answer(QUESTION);
    // Not one has heard a word yet: they wait at the same time.
    stand.upstream.step(&key, MANY * said.split(' ').count());
    let heard = join_all(answers.drain(..).map(Answer::rest)).await;
    for events in heard {
        assert_eq!(text(&events), said);
        assert_eq!(events.last().unwrap().name, "done");
    }
    assert_eq!(super::budget::held(&acme).await, 0);
}

#[tokio::test]
async fn bad_requests_end_no_answer_beside_them() {
    let stand = Stand::get();
    let key = key("steps");
    let acme = company(stand, &key).await;
    let mut answers = join_all((0..8).map(|_| ask(&acme))).await;
    for answer in &mut answers {
        answer.until("start", |events| !events.is_empty()).await;
    }
    let token = acme.visitor().await.token;
    let host = acme.host();
    let post = |rest: &str| {
        format!("POST /v1/chat HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n{rest}")
            .into_bytes()
    };
    let get = |rest: &[u8]| [format!("GET / HTTP/1.1\r\nHost: {host}\r\n").as_bytes(), rest].concat();
    let bad = [
        post("Content-Length: 3\r\n\r\n{\"m"),
        [post("Content-Length: 40000\r\n\r\n"), b"[".repeat(40_000)].concat(),
        post("Transfer-Encoding: chunked\r\n\r\nZZ\r\n"),
        post("Transfer-Encoding: chunked\r\n\r\n5\r\n{\"mes\r\n"),
        post("Content-Length: 1000\r\n\r\n{\"message\":"),
        post("Content-Length: -1\r\n\r\n"),
        post("Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}"),
        post("Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
        get(b"X-A: \xff\xfe\r\n\r\n"),
        get(&[b"X-A: ".as_slice(), &[b'a'; 200_000], b"\r\n\r\n"].concat()),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"\r\n\r\n\0\0\0".to_vec(),
    ];
    for request in &bad {
        wire::leave(stand, request).await;
    }
    let words = upstream::answer(QUESTION).split(' ').count();
    stand.upstream.step(&key, 8 * words);
    for answer in answers {
        assert_eq!(event(&answer.rest().await, "done")["source"], "model");
    }
}
