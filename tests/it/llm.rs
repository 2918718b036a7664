//! The codecs against the provider's double, over real connections: each way to answer, and to fail.

use bulkhead::llm::{Event, LlmError, Prompt, StopReason, Turn, Usage, Wire};
use bulkhead_tests::upstream::{Pace, Upstream, answer};
use std::time::Duration;

const WIRES: [Wire; 3] =
    [Wire::OpenAiChat { compatible: false }, Wire::OpenAiChat { compatible: true }, Wire::AnthropicMessages];

/// Long enough that only a fault reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn prompt() -> Prompt {
    Prompt {
        system: "You answer for Acme Plumbing.".into(),
        turns: vec![
            Turn::User("Hi".into()),
            Turn::answer("Hello!".into()),
            Turn::User("What does a drain cost? 🔧".into()),
        ],
        tools: Vec::new(),
        max_output_tokens: 100,
    }
}

async fn send(wire: Wire, upstream: &Upstream, key: &str) -> reqwest::Response {
    let request = wire.request(upstream.url(), key, "model-1", &prompt()).unwrap();
    let request = reqwest::Request::try_from(request).unwrap();
    reqwest::Client::new().execute(request).await.unwrap()
}

async fn ask(wire: Wire, upstream: &Upstream, key: &str) -> (Vec<Event>, Result<(), LlmError>) {
    let mut response = send(wire, upstream, key).await;
    let (status, headers) = (response.status(), response.headers().clone());
    if status != 200 {
        return (vec![], Err(wire.error(status, &headers, &response.bytes().await.unwrap())));
    }
    let (mut decoder, mut events) = (wire.decoder(), Vec::new());
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                if let Err(error) = decoder.push(&chunk, &mut events) {
                    return (events, Err(error));
                }
            }
            Ok(None) => return (events, decoder.finish()),
            Err(_) => return (events, Err(LlmError::Cut)),
        }
    }
}

fn text(events: &[Event]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::Delta(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn usage(events: &[Event]) -> Option<Usage> {
    events.iter().rev().find_map(|event| match event {
        Event::Usage(usage) => Some(*usage),
        _ => None,
    })
}

fn stop(events: &[Event]) -> Option<StopReason> {
    events.iter().find_map(|event| match event {
        Event::Stop(reason) => Some(*reason),
        _ => None,
    })
}

#[tokio::test]
async fn an_answer_with_its_usage_and_its_record() {
    let upstream = Upstream::start();
    for (order, wire) in WIRES.into_iter().enumerate() {
        let key = format!("test-ok-{order}");
        let (events, end) = ask(wire, &upstream, &key).await;
        assert_eq!(end, Ok(()));
        assert_eq!(text(&events), answer("What does a drain cost? 🔧"));
        assert_eq!(stop(&events), Some(StopReason::End));
        let [recorded] = upstream.requests(&key).try_into().unwrap();
        assert_eq!((recorded.order, recorded.body["model"].as_str()), (order, Some("model-1")));
        let expected = Usage {
            input_tokens: recorded.input_tokens,
            output_tokens: recorded.output_tokens,
            cached_input_tokens: 0,
        };
        assert_eq!(usage(&events), Some(expected));
        assert!(expected.input_tokens > 0 && expected.input_tokens <= prompt().upper_bound_input_tokens());
        assert!(!upstream.cancelled(&key));
    }
    assert_eq!(upstream.requests_with("Acme Plumbing").len(), 3);
    assert!(upstream.requests_with("Bright Dental").is_empty());
}

#[tokio::test]
async fn every_way_to_fail() {
    let upstream = Upstream::start();
    for wire in WIRES {
        let openai = wire != Wire::AnthropicMessages;
        let server = LlmError::Server { status: 500 };
        let limited = LlmError::RateLimited { retry_after_s: Some(20) };
        let reported = if openai { server } else { LlmError::Overloaded };
        for (key, expected, begins) in [
            ("test-400-x", LlmError::BadRequest, false),
            ("test-401-x", LlmError::Unauthorized, false),
            ("sk-wrong", LlmError::Unauthorized, false),
            ("test-403-x", LlmError::Unauthorized, false),
            ("test-404-x", LlmError::NotFound, false),
            ("test-429-x", limited, false),
            ("test-quota-x", LlmError::OutOfCredit, false),
            ("test-500-x", server, false),
            ("test-529-x", LlmError::Overloaded, false),
            ("test-page-x", LlmError::Garbage, false),
            ("test-garbage-x", LlmError::Garbage, true),
            ("test-midstream-error-x", reported, true),
            ("test-cut-x", LlmError::Cut, true),
            ("test-broken-x", LlmError::Cut, true),
        ] {
            let (events, end) = ask(wire, &upstream, key).await;
            assert_eq!(end, Err(expected), "{wire:?} {key}");
            assert_eq!(text(&events).starts_with("Thank you"), begins, "{wire:?} {key}");
        }
    }
}

#[tokio::test]
async fn the_other_ways_to_answer() {
    let upstream = Upstream::start();
    for wire in WIRES {
        let (events, end) = ask(wire, &upstream, "test-nousage-x").await;
        assert_eq!((end, usage(&events), stop(&events)), (Ok(()), None, Some(StopReason::End)));
        let (events, end) = ask(wire, &upstream, "test-length-x").await;
        assert_eq!((end, stop(&events)), (Ok(()), Some(StopReason::Length)));
        let (events, end) = ask(wire, &upstream, "test-refuse-x").await;
        assert_eq!((end, stop(&events)), (Ok(()), Some(StopReason::Refusal)));
    }
}

#[tokio::test]
async fn words_come_one_by_one_and_a_client_that_leaves_is_noticed() {
    let upstream = Upstream::start();
    for (at, wire) in WIRES.into_iter().enumerate() {
        for kind in ["slow-20", "silent", "hang"] {
            let key = format!("test-{kind}-{at}");
            let (mut decoder, mut events) = (wire.decoder(), Vec::new());
            let reading = async {
                let mut response = send(wire, &upstream, &key).await;
                while text(&events).is_empty() {
                    decoder.push(&response.chunk().await.unwrap().unwrap(), &mut events).unwrap();
                }
                response
            };
            if kind == "hang" {
                tokio::select! {
                    _ = reading => panic!("an answer to {key}"),
                    () = upstream.until(|seen| !seen.requests(&key).is_empty()) => {}
                }
            } else {
                let response = tokio::time::timeout(PATIENCE, reading).await.unwrap();
                assert!(text(&events).len() < answer("").len(), "the words of {key} came all at once");
                assert!(!upstream.cancelled(&key));
                drop(response);
            }
            tokio::time::timeout(PATIENCE, upstream.until(|seen| seen.cancelled(&key))).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_double_is_as_strict_as_the_real_ones() {
    let upstream = Upstream::start();
    let client = reqwest::Client::new();
    let user = serde_json::json!([{"role": "user", "content": "Hi"}]);
    let whole = serde_json::json!({"model": "m", "messages": user, "max_tokens": 9, "stream": true});
    for (path, header) in [("/chat/completions", "authorization"), ("/messages", "x-api-key")] {
        let key = if header == "authorization" { "Bearer test-ok-s" } else { "test-ok-s" };
        let post = |body: serde_json::Value| {
            let post = client.post(format!("{}{path}", upstream.url())).json(&body);
            async { post.header("anthropic-version", "2023-06-01").header(header, key).send().await.unwrap() }
        };
        assert_eq!(post(whole.clone()).await.status(), 200);
        for missing in ["model", "messages", "max_tokens", "stream"] {
            let mut body = whole.clone();
            body.as_object_mut().unwrap().remove(missing);
            assert_eq!(post(body).await.status(), 400, "{path} without {missing}");
        }
        assert_eq!(post(serde_json::json!("no object")).await.status(), 400);
        let keyless = client.post(format!("{}{path}", upstream.url())).json(&whole).send().await.unwrap();
        assert_eq!(keyless.status(), 401);
    }
}

#[tokio::test]
async fn a_pace_for_measuring() {
    let upstream = Upstream::paced(Pace { first_word_ms: 5, word_ms: 1, words: Some(30) });
    for wire in WIRES {
        let (events, end) = ask(wire, &upstream, "test-ok-pace").await;
        assert_eq!((end, text(&events)), (Ok(()), "word ".repeat(30)));
        assert_eq!(usage(&events).unwrap().output_tokens, 30);
    }
}
