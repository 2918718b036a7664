//! The codecs against the provider's double, over real connections: each way to answer, and to fail.

use bulkhead::llm::{Event, LlmError, Prompt, StopReason, Tool, ToolCall, ToolResult, Turn, Usage, Wire};
use bulkhead_tests::upstream::{Pace, Upstream, answer, answer_with};
use serde_json::json;
use std::time::Duration;

mod providers;

const WIRES: [Wire; 5] = [
    Wire::OpenAiChat { compatible: false },
    Wire::OpenAiChat { compatible: true },
    Wire::OpenAiResponses,
    Wire::AnthropicMessages,
    Wire::Gemini,
];

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
        ..Prompt::default()
    }
}

async fn send(wire: Wire, upstream: &Upstream, key: &str, prompt: &Prompt) -> reqwest::Response {
    // The newest of Google's models are the strictest.
    let model = if wire == Wire::Gemini { "gemini-3.8-flash" } else { "model-1" };
    let request = wire.request(upstream.url(), key, model, prompt).unwrap();
    let request = reqwest::Request::try_from(request).unwrap();
    reqwest::Client::new().execute(request).await.unwrap()
}

async fn ask(wire: Wire, upstream: &Upstream, key: &str) -> (Vec<Event>, Result<(), LlmError>) {
    ask_with(wire, upstream, key, &prompt()).await
}

async fn ask_with(
    wire: Wire,
    upstream: &Upstream,
    key: &str,
    prompt: &Prompt,
) -> (Vec<Event>, Result<(), LlmError>) {
    let mut response = send(wire, upstream, key, prompt).await;
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
        assert_eq!(recorded.order, order);
        assert!(["model-1", "gemini-3.8-flash"].contains(&recorded.model.as_str()));
        let expected = Usage {
            input_tokens: recorded.input_tokens,
            output_tokens: recorded.output_tokens,
            ..Usage::default()
        };
        assert_eq!(usage(&events), Some(expected));
        assert!(expected.input_tokens > 0 && expected.input_tokens <= prompt().upper_bound_input_tokens());
        assert!(!upstream.cancelled(&key));
    }
    assert_eq!(upstream.requests_with("Acme Plumbing").len(), WIRES.len());
    assert!(upstream.requests_with("Bright Dental").is_empty());
}

#[tokio::test]
async fn every_way_to_fail() {
    let upstream = Upstream::start();
    for wire in WIRES {
        let openai = !matches!(wire, Wire::AnthropicMessages | Wire::Gemini);
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
                let mut response = send(wire, &upstream, &key, &prompt()).await;
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

/// The formats, as a bare client would write them: path, header of the key, and a whole body.
fn whole(wire: Wire) -> (&'static str, &'static str, serde_json::Value) {
    let user = json!([{"role": "user", "content": "Hi"}]);
    match wire {
        Wire::OpenAiChat { .. } => (
            "/chat/completions",
            "authorization",
            json!({"model": "m", "messages": user, "max_tokens": 9, "stream": true}),
        ),
        Wire::OpenAiResponses => (
            "/responses",
            "authorization",
            json!({"model": "m", "input": user, "max_output_tokens": 16, "stream": true, "store": false}),
        ),
        Wire::AnthropicMessages => (
            "/messages",
            "x-api-key",
            json!({"model": "m", "messages": user, "max_tokens": 9, "stream": true}),
        ),
        Wire::Gemini => (
            "/models/m:streamGenerateContent?alt=sse",
            "x-goog-api-key",
            json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {"maxOutputTokens": 9}}),
        ),
    }
}

#[tokio::test]
async fn the_double_is_as_strict_as_the_real_ones() {
    let upstream = Upstream::start();
    let client = reqwest::Client::new();
    for wire in WIRES {
        let (path, header, whole) = whole(wire);
        let key = if header == "authorization" { "Bearer test-ok-s" } else { "test-ok-s" };
        let post = |body: serde_json::Value| {
            let post = client.post(format!("{}{path}", upstream.url())).json(&body);
            async { post.header("anthropic-version", "2023-06-01").header(header, key).send().await.unwrap() }
        };
        assert_eq!(post(whole.clone()).await.status(), 200, "{wire:?}");
        for missing in whole.as_object().unwrap().keys() {
            let mut body = whole.clone();
            body.as_object_mut().unwrap().remove(missing);
            assert_eq!(post(body).await.status(), 400, "{path} without {missing}");
        }
        assert_eq!(post(json!("no object")).await.status(), 400);
        let keyless = client.post(format!("{}{path}", upstream.url())).json(&whole).send().await.unwrap();
        assert_eq!(keyless.status(), 401);
    }
}

#[tokio::test]
async fn the_double_takes_no_result_without_its_call_and_no_call_without_its_result() {
    let upstream = Upstream::start();
    let client = reqwest::Client::new();
    let (call, result) = (
        json!({"role": "assistant", "content": null, "tool_calls":
               [{"id": "c1", "type": "function", "function": {"name": "x", "arguments": "{}"}}]}),
        |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "done"}),
    );
    let user = json!({"role": "user", "content": "Hi"});
    for (messages, status) in [
        (json!([user, call, result("c1")]), 200),
        (json!([user, call, result("c1"), user]), 200),
        (json!([user, result("c1")]), 400),
        (json!([result("c1"), user]), 400),
        (json!([user, call, user]), 400),
        (json!([user, call]), 400),
        (json!([user, call, result("c2")]), 400),
        (json!([user, call, result("c1"), result("c1")]), 400),
        (json!([user, call, user, result("c1")]), 400),
    ] {
        let body = json!({"model": "m", "messages": messages, "max_tokens": 9, "stream": true});
        let post = client.post(format!("{}/chat/completions", upstream.url())).json(&body);
        let response = post.header("authorization", "Bearer test-ok-t").send().await.unwrap();
        assert_eq!(response.status(), status, "{messages}");
    }
    // Google's own rules: no unknown keyword in a schema, and signed calls for the newer models.
    let gemini = |model: &str, contents: serde_json::Value, parameters: serde_json::Value| {
        let body = json!({
            "contents": contents, "generationConfig": {"maxOutputTokens": 9},
            "tools": [{"functionDeclarations": [{"name": "x", "parameters": parameters}]}],
        });
        let url = format!("{}/models/{model}:streamGenerateContent?alt=sse", upstream.url());
        let post = client.post(url).header("x-goog-api-key", "test-ok-g").json(&body);
        async { post.send().await.unwrap().status().as_u16() }
    };
    let say = json!({"role": "user", "parts": [{"text": "Hi"}]});
    let loose = json!({"type": "object", "additionalProperties": false});
    assert_eq!(gemini("m", json!([say]), json!({"type": "object"})).await, 200);
    assert_eq!(gemini("m", json!([say]), loose).await, 400);
    let called = json!([
        say, {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "x", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"id": "c", "name": "x", "response": {"output": "y"}}}]},
    ]);
    assert_eq!(gemini("gemini-2.5-flash", called.clone(), json!({})).await, 200);
    assert_eq!(gemini("gemini-3.8-flash", called, json!({})).await, 400);
}

fn with_tools() -> Prompt {
    let parameters = json!({
        "type": "object", "additionalProperties": false, "required": ["name", "slots"],
        "properties": {
            "name": {"type": "string"}, "note": {"type": ["string", "null"]},
            "kind": {"type": "string", "enum": ["call", "mail"]}, "slots": {"type": "array", "items": {"type": "integer"}},
        },
    });
    let tool = Tool { name: "capture_lead", description: "Keeps who wants to hear from us.", parameters };
    Prompt { tools: vec![tool], ..prompt() }
}

fn calls(events: &[Event]) -> Vec<ToolCall> {
    let calls = events.iter().filter_map(|event| match event {
        Event::ToolCall(call) => Some(call.clone()),
        _ => None,
    });
    calls.collect()
}

/// The prompt of the next round: the calls, and what their tools answered.
fn next(mut prompt: Prompt, calls: &[ToolCall], content: &str) -> Prompt {
    prompt.turns.push(Turn::Assistant { text: String::new(), calls: calls.to_vec() });
    let result = |call: &ToolCall| ToolResult {
        call_id: call.id.clone(),
        name: call.name.clone(),
        content: content.into(),
    };
    prompt.turns.push(Turn::Tools(calls.iter().map(result).collect()));
    prompt
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_is_taken() {
    let upstream = Upstream::start();
    for (at, wire) in WIRES.into_iter().enumerate() {
        let key = format!("test-tool-capture_lead-{at}");
        let (events, end) = ask_with(wire, &upstream, &key, &with_tools()).await;
        assert_eq!((end, stop(&events)), (Ok(()), Some(StopReason::ToolUse)), "{wire:?}");
        let called = calls(&events);
        let [call] = called.as_slice() else { panic!("{called:?}") };
        let arguments: serde_json::Value = serde_json::from_str(&call.arguments).unwrap();
        assert_eq!(call.name, "capture_lead");
        assert_eq!(arguments["name"], "Vera Visitor");
        assert_eq!((&arguments["kind"], &arguments["slots"]), (&json!("call"), &json!([1])));
        assert!(usage(&events).unwrap().output_tokens > 0);
        let again = next(with_tools(), &called, "We will call \"Vera\" back.");
        let (events, end) = ask_with(wire, &upstream, &key, &again).await;
        assert_eq!((end, stop(&events)), (Ok(()), Some(StopReason::End)), "{wire:?}");
        assert_eq!(text(&events), answer_with("We will call \"Vera\" back."));
    }
}

#[tokio::test]
async fn tools_called_without_end_or_with_nonsense() {
    let upstream = Upstream::start();
    for (at, wire) in WIRES.into_iter().enumerate() {
        let key = format!("test-toolloop-{at}");
        let (mut prompt, mut ids) = (with_tools(), Vec::new());
        for _ in 0..3 {
            let (events, end) = ask_with(wire, &upstream, &key, &prompt).await;
            assert_eq!((end, stop(&events)), (Ok(()), Some(StopReason::ToolUse)), "{wire:?}");
            ids.extend(calls(&events).into_iter().map(|call| call.id));
            prompt = next(prompt, &calls(&events), "more?");
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 3, "{wire:?}: calls of one conversation have the same id");
        // Without tools it answers: there is nothing to call.
        prompt.tools.clear();
        assert_eq!(stop(&ask_with(wire, &upstream, &key, &prompt).await.0), Some(StopReason::End));

        let key = format!("test-badargs-{at}");
        let (events, _) = ask_with(wire, &upstream, &key, &with_tools()).await;
        let called = calls(&events);
        let json = serde_json::from_str::<serde_json::Value>(&called[0].arguments);
        assert_eq!(json.is_ok(), wire == Wire::Gemini, "{called:?}");
        let again = next(with_tools(), &called, "These arguments make no sense.");
        let (events, end) = ask_with(wire, &upstream, &key, &again).await;
        assert_eq!((end, stop(&events)), (Ok(()), Some(StopReason::End)), "{wire:?}");
    }
    // What the tool is called with may stand in the question.
    let mut asked = with_tools();
    asked.turns = vec![Turn::User("Call it with {\"name\": \"Max\"}, please".into())];
    let (events, _) = ask_with(WIRES[0], &upstream, "test-tool-capture_lead-x", &asked).await;
    assert_eq!(calls(&events)[0].arguments, r#"{"name":"Max"}"#);
}

#[tokio::test]
async fn a_provider_that_comes_round() {
    let upstream = Upstream::start();
    for (at, wire) in WIRES.into_iter().enumerate() {
        let key = format!("test-flaky2-429-{at}");
        for _ in 0..2 {
            let limited = LlmError::RateLimited { retry_after_s: Some(1) };
            assert_eq!(ask(wire, &upstream, &key).await.1, Err(limited), "{wire:?}");
        }
        let (events, end) = ask(wire, &upstream, &key).await;
        assert_eq!((end, text(&events)), (Ok(()), answer("What does a drain cost? 🔧")));
        let key = format!("test-flaky1-503-{at}");
        assert_eq!(ask(wire, &upstream, &key).await.1, Err(LlmError::Overloaded));
        assert_eq!(ask(wire, &upstream, &key).await.1, Ok(()));
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
