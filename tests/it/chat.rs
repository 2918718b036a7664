//! The main job: a visitor asks under a company's own host name, and an answer streams.

use bulkhead_tests::company::{Company, event, read_events, text};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::upstream;
use futures_util::StreamExt;
use http::Method;
use serde_json::json;

const HEATER: &str = "How much does it cost to replace a water heater?";

fn key(kind: &str) -> String {
    format!("test-{kind}-{}", uuid::Uuid::new_v4().simple())
}

#[tokio::test]
async fn without_a_key_the_knowledge_base_answers_and_nothing_is_spent() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let events = acme.visitor().await.ask(HEATER).await;
    assert!(text(&events).contains('$'), "{events:?}");
    assert!(text(&events).to_lowercase().contains("heater"), "{events:?}");
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["start", "delta", "citations", "done"]);
    assert_eq!(event(&events, "done")["source"], "knowledge");
    assert_eq!(event(&events, "done")["reason"], "no_provider");
    assert!(event(&events, "citations")[0]["question"].as_str().unwrap().to_lowercase().contains("heater"));
    let budget = acme.owner(Method::GET, "/v1/budget", None, 200).await;
    assert_eq!(budget["spent_microusd"], 0);
}

#[tokio::test]
async fn another_trade_does_not_know_the_price_and_says_so() {
    let stand = Stand::get();
    let bright = Company::new(stand, "dental-practice").await;
    let events = bright.visitor().await.ask(HEATER).await;
    assert!(!text(&events).contains('$'), "{events:?}");
    assert_eq!(event(&events, "done")["source"], "none", "{events:?}");
}

#[tokio::test]
async fn a_model_s_tokens_stream_through_as_they_come_from_either_provider() {
    let stand = Stand::get();
    for (kind, model) in [("openai", "gpt-5-nano"), ("anthropic", "claude-haiku-4-5")] {
        let acme = Company::new(stand, "plumbing").await;
        let key = key("slow-40");
        acme.provider(kind, &key).await;
        let visitor = acme.visitor().await;
        let request =
            acme.request(&visitor.token, Method::POST, "/v1/chat").json(&json!({ "message": HEATER }));
        let mut chunks = request.send().await.unwrap().bytes_stream();
        let mut decoder = bulkhead::sse::Decoder::new(1 << 20);
        let (mut events, mut arrivals) = (Vec::new(), 0);
        while let Some(chunk) = chunks.next().await {
            read_events(&mut decoder, &chunk.unwrap(), &mut events);
            arrivals += 1;
        }
        assert_eq!(text(&events), upstream::answer(HEATER), "{kind}");
        let deltas = events.iter().filter(|event| event.name == "delta").count();
        // One chunk an event, give or take: nothing was held back until the end.
        assert!(arrivals > deltas / 2, "{deltas} deltas came in {arrivals} chunks");
        let done = event(&events, "done");
        assert_eq!((done["source"].as_str(), done["reason"].as_str()), (Some("model"), None));

        let sent = stand.upstream.requests(&key);
        assert_eq!(sent.len(), 1);
        let system = sent[0].body.to_string();
        assert!(
            system.contains("1,400") || system.contains("heater"),
            "the prompt has the knowledge: {system}"
        );
        assert!(system.contains(&format!("Company {}", acme.slug)), "the prompt names the company");
        let tier = done["model"].as_str().unwrap();
        assert!(tier.starts_with(model.split('-').next().unwrap()), "{done}");

        let budget = acme.owner(Method::GET, "/v1/budget", None, 200).await;
        assert!(budget["spent_microusd"].as_u64().unwrap() > 0);
        let ledger = acme.rows("select input_tokens, output_tokens, estimated from usage_ledger where company_id = $1::text::uuid").await;
        assert_eq!(ledger.len(), 1);
        assert_eq!(ledger[0].get::<_, i32>(0), i32::try_from(sent[0].input_tokens).unwrap());
        assert!(!ledger[0].get::<_, bool>(2));
    }
}

#[tokio::test]
async fn a_compatible_provider_is_called_where_the_operator_allows_it() {
    let stand = Stand::get();
    let acme = Company::new(stand, "hvac").await;
    let key = key("ok");
    let model = json!({ "model": "local-7b", "tier": "fast", "input_microusd_per_mtok": 1000,
        "output_microusd_per_mtok": 2000, "context_tokens": 64000 });
    let body = |url: &str| json!({ "kind": "compatible", "name": "Ours", "api_key": key, "base_url": url, "models": [model] });
    acme.owner(Method::POST, "/v1/providers", Some(body("https://169.254.169.254/v1")), 400).await;
    acme.owner(Method::POST, "/v1/providers", Some(body("https://evil.example/v1")), 400).await;
    acme.owner(Method::POST, "/v1/providers", Some(body(stand.upstream.url())), 201).await;
    let events = acme.visitor().await.ask("Do you repair furnaces?").await;
    assert_eq!(event(&events, "done")["model"], "local-7b");
    assert_eq!(stand.upstream.requests(&key).len(), 1);
}

#[tokio::test]
async fn a_conversation_goes_on_and_its_memory_is_the_visitor_s_alone() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let key = key("ok");
    acme.provider("openai", &key).await;
    let visitor = acme.visitor().await;
    let first = visitor.ask("My canary is called Tweety-7431. Do you fix leaks?").await;
    let conversation = event(&first, "start")["conversation_id"].clone();
    visitor.send(json!({ "message": "What is its name?", "conversation_id": conversation })).await;
    let second = stand.upstream.requests(&key).pop().unwrap().body.to_string();
    assert!(second.contains("Tweety-7431"), "the second prompt has the first turn: {second}");

    // A new conversation of the same visitor: what was asked before is remembered.
    visitor.ask("Hello again, do you work on Sundays?").await;
    let third = stand.upstream.requests(&key).pop().unwrap().body.to_string();
    assert!(third.contains("asked earlier") && third.contains("Tweety-7431"), "{third}");

    // Another visitor of the same company.
    let other = acme.visitor().await;
    other.ask("Hello, do you work on Sundays?").await;
    let fourth = stand.upstream.requests(&key).pop().unwrap().body.to_string();
    assert!(!fourth.contains("Tweety"), "{fourth}");
    let (status, _) = other.refused(json!({ "message": "and now?", "conversation_id": conversation })).await;
    assert_eq!(status, 404);

    let path = format!("/v1/conversations/{}/messages", conversation.as_str().unwrap());
    let (status, said) = acme.call(&visitor.token, Method::GET, &path, None).await;
    assert_eq!(status, 200);
    let authors: Vec<_> =
        said["messages"].as_array().unwrap().iter().map(|m| m["author"].as_str().unwrap()).collect();
    assert_eq!(authors, ["visitor", "agent", "visitor", "agent"]);
    let (status, _) = acme.call(&other.token, Method::GET, &path, None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn an_agent_draws_only_from_its_scope() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let agent = json!({ "slug": "greeter", "name": "Greeter", "role": "greets", "instructions": "Greet.", "tier": "fast" });
    let made = acme.owner(Method::POST, "/v1/agents", Some(agent), 201).await;
    assert_eq!(made["scope"], json!([]));
    let visitor = acme.visitor().await;
    let ask = json!({ "message": HEATER, "agent": "greeter" });
    let events = visitor.send(ask.clone()).await;
    assert!(!text(&events).contains('$'), "no scope, no prices: {events:?}");
    let path = format!("/v1/agents/{}", made["agent_id"].as_str().unwrap());
    acme.owner(Method::PATCH, &path, Some(json!({ "scope": ["pricing", "services", "faq"] })), 200).await;
    assert!(text(&visitor.send(ask).await).contains('$'));
}

#[tokio::test]
async fn whatever_the_provider_does_the_turn_ends_well() {
    let stand = Stand::get();
    // How it misbehaves, what answers then, whether money is charged, whether the answer is whole.
    for (kind, source, charged, complete) in [
        ("401", "knowledge", false, true),
        ("429", "knowledge", false, true),
        ("500", "knowledge", false, true),
        ("page", "knowledge", true, true),
        ("garbage", "model", true, false),
        ("cut", "model", true, false),
        ("broken", "model", true, false),
        ("midstream-error", "model", true, false),
        ("nousage", "model", true, true),
        ("length", "model", true, true),
    ] {
        for provider in ["openai", "anthropic"] {
            let case = format!("{provider} {kind}");
            let acme = Company::new(stand, "plumbing").await;
            acme.provider(provider, &key(kind)).await;
            let visitor = acme.visitor().await;
            let events = visitor.ask(HEATER).await;
            let last = events.last().unwrap();
            assert_eq!(last.name, if complete { "done" } else { "error" }, "{case}: {events:?}");
            if complete {
                assert_eq!(last.data["source"], source, "{case}");
            } else {
                assert!(last.data["detail"].as_str().unwrap().contains("broke off"), "{case}: {last:?}");
            }
            let stored = acme
                .rows("select body, complete, source from messages where company_id = $1::text::uuid and author = 'agent'")
                .await;
            assert_eq!(stored.len(), 1, "{case}");
            assert_eq!(stored[0].get::<_, String>(0), text(&events), "{case}");
            assert_eq!(stored[0].get::<_, bool>(1), complete, "{case}");
            assert_eq!(stored[0].get::<_, String>(2), source, "{case}");
            let spent =
                acme.owner(Method::GET, "/v1/budget", None, 200).await["spent_microusd"].as_u64().unwrap();
            assert_eq!(spent > 0, charged, "{case}: {spent}");
            assert_eq!(super::budget::held(&acme).await, 0, "{case}: a reservation is left");
        }
    }
}

#[tokio::test]
async fn when_the_visitor_leaves_the_provider_is_cancelled_and_the_turn_settled() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let key = key("slow-50");
    acme.provider("openai", &key).await;
    let visitor = acme.visitor().await;
    {
        let request =
            acme.request(&visitor.token, Method::POST, "/v1/chat").json(&json!({ "message": HEATER }));
        let mut chunks = request.send().await.unwrap().bytes_stream();
        for _ in 0..4 {
            chunks.next().await.unwrap().unwrap();
        }
    }
    let cancelled = stand.upstream.until(|upstream| upstream.cancelled(&key).then_some(()).is_some());
    tokio::time::timeout(std::time::Duration::from_secs(20), cancelled)
        .await
        .expect("the provider is cancelled");
    let settled = async {
        while acme
            .rows("select from messages where company_id = $1::text::uuid and not complete")
            .await
            .is_empty()
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), settled)
        .await
        .expect("the part that came is stored");
    let ledger = acme.rows("select estimated from usage_ledger where company_id = $1::text::uuid").await;
    assert!(ledger[0].get::<_, bool>(0), "unknown usage is charged at its bound");
    assert_eq!(super::budget::held(&acme).await, 0);
}
