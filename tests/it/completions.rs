//! `/v1/chat/completions`: a turn like any other, with a program's key; what it costs, whom it remembers, what ends it.

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use futures_util::StreamExt as _;
use http::Method;
use serde_json::{Value, json};

const PATH: &str = "/v1/chat/completions";

/// A company with a provider whose key begins with this, and a program's key.
async fn company(behaviour: &str) -> (Company, String, String) {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let key = format!("test-{behaviour}-{}", uuid::Uuid::new_v4().simple());
    acme.provider("openai", &key).await;
    let program = acme.api_key(&["chat"]).await;
    (acme, key, program)
}

fn ask(question: &str, more: Value) -> Value {
    let mut body =
        json!({ "model": "customer-service", "messages": [{ "role": "user", "content": question }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_program_s_turn_is_paid_for_like_any_other() {
    let (acme, key, program) = company("ok").await;
    let (status, answer) =
        acme.call(&program, Method::POST, PATH, Some(ask("Do you fix leaks?", json!({})))).await;
    assert_eq!(status, 200, "{answer}");
    assert!(
        answer["choices"][0]["message"]["content"].as_str().is_some_and(|text| !text.is_empty()),
        "{answer}"
    );
    let ledger = acme
        .rows("select sum(input_tokens)::bigint, sum(output_tokens)::bigint, sum(cost_microusd)::bigint from usage_ledger where company_id = $1::text::uuid")
        .await;
    let (input, output, cost): (i64, i64, i64) = (ledger[0].get(0), ledger[0].get(1), ledger[0].get(2));
    assert_eq!(
        (answer["usage"]["prompt_tokens"].as_i64(), answer["usage"]["completion_tokens"].as_i64()),
        (Some(input), Some(output))
    );
    assert!(cost > 0);
    assert_eq!(acme.stand.upstream.requests(&key).len(), 1);
}

#[tokio::test]
async fn a_program_is_told_why_the_answer_ended() {
    for (behaviour, expected) in [("ok", "stop"), ("length", "length"), ("refuse", "content_filter")] {
        let (acme, _, program) = company(behaviour).await;
        let body = ask("Do you fix leaks?", json!({}));
        let (status, answer) = acme.call(&program, Method::POST, PATH, Some(body)).await;
        assert_eq!((status, &answer["choices"][0]["finish_reason"]), (200, &json!(expected)), "{answer}");
    }
}

#[tokio::test]
async fn what_was_said_before_comes_from_the_program_and_what_is_remembered_stays_with_one_person() {
    let (acme, key, program) = company("ok").await;
    let prompt = async |body: Value| {
        let (status, answer) = acme.call(&program, Method::POST, PATH, Some(body)).await;
        assert_eq!(status, 200, "{answer}");
        acme.stand.upstream.requests(&key).last().unwrap().body.to_string()
    };
    let word = format!("word{}", uuid::Uuid::new_v4().simple());
    let said = json!({ "user": "vera", "messages": [
        { "role": "system", "content": "The till is in the shop." },
        { "role": "user", "content": "Hi" },
        { "role": "assistant", "content": "Hello from before" },
        { "role": "user", "content": format!("My {word} drips.") },
    ] });
    let first = prompt(ask("", said)).await;
    assert!(first.contains("The till is in the shop.") && first.contains("Hello from before"), "{first}");
    let again = prompt(ask("And now?", json!({ "user": "vera" }))).await;
    assert!(again.contains(&word), "the same person is remembered: {again}");
    for other in [json!({ "user": "oscar" }), json!({})] {
        let theirs = prompt(ask("And now?", other.clone())).await;
        assert!(!theirs.contains(&word), "{other}: {theirs}");
    }
    // Another key's person of the same name is somebody else.
    let second = acme.api_key(&["chat"]).await;
    let body = ask("And now?", json!({ "user": "vera" }));
    assert_eq!(acme.call(&second, Method::POST, PATH, Some(body)).await.0, 200);
    assert!(!acme.stand.upstream.requests(&key).last().unwrap().body.to_string().contains(&word));
}

#[tokio::test]
async fn a_key_revoked_in_the_middle_ends_nothing_that_was_begun_and_begins_nothing() {
    let (acme, _, program) = company("slow-60").await;
    let body = ask("Do you fix leaks?", json!({ "stream": true }));
    let request = acme.request(&program, Method::POST, PATH).json(&body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut chunks = response.bytes_stream();
    let mut text = String::from_utf8(chunks.next().await.unwrap().unwrap().to_vec()).unwrap();
    acme.rows("update api_keys set revoked_at = now() where company_id = $1::text::uuid returning 1").await;
    while let Some(chunk) = chunks.next().await {
        text.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let kept = "select from messages where company_id = $1::text::uuid and author = 'agent' and complete";
    assert_eq!(acme.rows(kept).await.len(), 1, "the answer is stored");
    assert_eq!(
        acme.rows("select from usage_ledger where company_id = $1::text::uuid").await.len(),
        1,
        "and paid for"
    );
    assert_eq!(acme.call(&program, Method::POST, PATH, Some(body)).await.0, 401);
}

#[tokio::test]
async fn a_turn_that_breaks_off_says_so_in_either_form() {
    let (acme, _, program) = company("broken").await;
    let (status, problem) =
        acme.call(&program, Method::POST, PATH, Some(ask("Do you fix leaks?", json!({})))).await;
    assert_eq!(status, 502, "{problem}");
    assert!(problem["error"]["message"].as_str().is_some_and(|text| text.contains("broke off")), "{problem}");
    let body = ask("Do you fix leaks?", json!({ "stream": true }));
    let stream =
        acme.request(&program, Method::POST, PATH).json(&body).send().await.unwrap().text().await.unwrap();
    assert!(stream.contains("\"error\":") && !stream.contains("[DONE]"), "{stream}");
    // A visitor's token and a member's are no key.
    for token in [acme.visitor().await.token, acme.owner.clone(), String::new()] {
        assert_eq!(acme.call(&token, Method::POST, PATH, Some(body.clone())).await.0, 401);
    }
}
