//! Providers over the built worker: each kind answers, is charged, and fails in words; their keys are tried.

use bulkhead_tests::company::{Company, event, text};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::upstream::answer;
use http::Method;
use serde_json::{Value, json};

const QUESTION: &str = "Do you fix leaks?";

/// A key of this test's own that makes the double behave so.
fn key(behaviour: &str) -> String {
    format!("test-{behaviour}-{}", uuid::Uuid::new_v4().simple())
}

/// The kinds and APIs that there are, as a company's admin adds them.
fn kinds(stand: &Stand) -> Vec<(&'static str, Value)> {
    let model = json!({ "model": "m", "tier": "fast", "input_microusd_per_mtok": 1_000_000,
                        "output_microusd_per_mtok": 2_000_000, "context_tokens": 100_000 });
    vec![
        ("/v1/chat/completions", json!({ "kind": "openai" })),
        ("/v1/responses", json!({ "kind": "openai", "api": "responses" })),
        ("/v1/messages", json!({ "kind": "anthropic" })),
        ("/v1/models/{model}:streamGenerateContent", json!({ "kind": "gemini" })),
        (
            "/v1/chat/completions",
            json!({ "kind": "compatible", "base_url": stand.upstream.url(), "models": [model] }),
        ),
        (
            "/v1/responses",
            json!({ "kind": "compatible", "api": "responses", "base_url": stand.upstream.url(), "models": [model] }),
        ),
    ]
}

async fn add(company: &Company, kind: &Value, key: &str) -> Value {
    let mut body = kind.clone();
    body["name"] = "Test".into();
    body["api_key"] = key.into();
    company.owner(Method::POST, "/v1/providers", Some(body), 201).await
}

async fn test(company: &Company, id: &Value) -> Value {
    let path = format!("/v1/providers/{}/test", id.as_str().unwrap());
    company.owner(Method::POST, &path, None, 200).await
}

#[tokio::test]
async fn every_kind_answers_and_is_charged() {
    let stand = Stand::get();
    for (path, kind) in kinds(stand) {
        let company = Company::new(stand, "plumbing").await;
        let key = key("ok");
        let made = add(&company, &kind, &key).await;
        assert_eq!(made["api"], kind.get("api").unwrap_or(&json!("chat")).clone(), "{made}");
        let events = company.visitor().await.ask(QUESTION).await;
        let done = event(&events, "done");
        assert_eq!(
            (done["source"].as_str(), text(&events)),
            (Some("model"), answer(QUESTION)),
            "{kind}: {done}"
        );
        let [seen] = stand.upstream.requests(&key).try_into().unwrap();
        assert_eq!(seen.path, path);
        assert_eq!(done["input_tokens"], seen.input_tokens, "{kind}");
        assert_eq!(done["output_tokens"], seen.output_tokens, "{kind}");
        let model = made["models"].as_array().unwrap().iter().find(|m| m["model"] == done["model"]).unwrap();
        let price = |name: &str| model[name].as_u64().unwrap();
        let cost = u64::from(seen.input_tokens) * price("input_microusd_per_mtok")
            + u64::from(seen.output_tokens) * price("output_microusd_per_mtok");
        let ledger = "select cost_microusd, estimated from usage_ledger where company_id = $1::text::uuid";
        let rows = company.rows(ledger).await;
        let charged: Vec<(i64, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(charged, [(i64::try_from(cost.div_ceil(1_000_000)).unwrap(), false)], "{kind}");
    }
}

#[tokio::test]
async fn a_gemini_provider_brings_its_models() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let made = add(&company, &json!({ "kind": "gemini" }), &key("ok")).await;
    let models = made["models"].as_array().unwrap();
    let tiers: Vec<_> = models.iter().map(|model| model["tier"].as_str().unwrap()).collect();
    assert_eq!(tiers, ["best", "fast", "balanced"], "{made}");
    for model in models {
        let price = |name: &str| model[name].as_u64();
        assert!(
            price("cached_input_microusd_per_mtok").unwrap_or(0) < price("input_microusd_per_mtok").unwrap()
        );
    }
    for (kind, problem) in [
        (json!({ "kind": "gemini", "api": "responses" }), "Leave api out"),
        (json!({ "kind": "anthropic", "api": "chat" }), "Leave api out"),
        (json!({ "kind": "gemini", "base_url": "https://example.com/v1" }), "Only a compatible provider"),
        (json!({ "kind": "openai", "api": "assistants" }), "not what this address takes"),
    ] {
        let mut body = kind;
        body["name"] = "Test".into();
        body["api_key"] = key("ok").into();
        let problem_of = company.owner(Method::POST, "/v1/providers", Some(body), 400).await;
        assert!(problem_of["detail"].as_str().unwrap().contains(problem), "{problem_of}");
    }
}

#[tokio::test]
async fn a_provider_that_fails_leaves_the_answer_to_the_knowledge_base() {
    let stand = Stand::get();
    for (_, kind) in kinds(stand) {
        for behaviour in ["401", "503", "refuse", "midstream-error"] {
            let company = Company::new(stand, "plumbing").await;
            let key = key(behaviour);
            add(&company, &kind, &key).await;
            let events = company.visitor().await.ask(QUESTION).await;
            let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
            match behaviour {
                "midstream-error" => assert_eq!(names.last(), Some(&"error"), "{kind}"),
                _ => assert_eq!(names.last(), Some(&"done"), "{kind} {behaviour}"),
            }
            assert!(!text(&events).is_empty(), "{kind} {behaviour}");
        }
    }
}

#[tokio::test]
async fn a_key_is_tried_without_spending() {
    let stand = Stand::get();
    for (_, kind) in kinds(stand) {
        let company = Company::new(stand, "plumbing").await;
        for (behaviour, problem) in [
            ("ok", None),
            ("401", Some("does not accept the API key")),
            ("403", Some("does not accept the API key")),
            ("404", Some("no list of models")),
            ("400", Some("does not accept the question")),
            ("429", Some("limits how often")),
            ("quota", Some("no credit left")),
            ("500", Some("a fault of its own")),
            ("503", Some("overloaded")),
            ("302", Some("address cannot be used")),
            // Something else than a list: the key was taken, and of the models nothing is known.
            ("page", None),
        ] {
            let key = key(behaviour);
            let made = add(&company, &kind, &key).await;
            let outcome = test(&company, &made["provider_id"]).await;
            assert_eq!(outcome["ok"], problem.is_none(), "{kind} {behaviour}: {outcome}");
            match problem {
                Some(words) => assert!(
                    outcome["problem"].as_str().unwrap().contains(words),
                    "{kind} {behaviour}: {outcome}"
                ),
                None => assert_eq!(outcome["problem"], Value::Null),
            }
            assert!(outcome["latency_ms"].is_u64());
            // Nothing of what the provider wrote, and nothing of the key.
            let said = outcome.to_string();
            assert!(!said.contains("told to fail") && !said.contains(&key) && !said.contains("doctype"));
            let [seen] = stand.upstream.requests(&key).try_into().unwrap();
            assert_eq!((seen.path, seen.body), ("/v1/models", Value::Null), "a model was called");
        }
        let spent = company.rows("select from usage_ledger where company_id = $1::text::uuid").await;
        assert!(spent.is_empty());
        let audited =
            "select from audit_events where company_id = $1::text::uuid and action = 'provider.tested'";
        assert_eq!(company.rows(audited).await.len(), 11);
    }
}

#[tokio::test]
async fn a_model_that_the_provider_does_not_list_is_told() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    let model = |name: &str| {
        json!({ "model": name, "tier": "fast", "input_microusd_per_mtok": 1, "output_microusd_per_mtok": 1,
                "context_tokens": 1_000 })
    };
    let kind = json!({ "kind": "compatible", "base_url": stand.upstream.url(),
                       "models": [model("m"), model("llama-9"), model("mixtral-0")] });
    let made = add(&company, &kind, &key("ok")).await;
    let outcome = test(&company, &made["provider_id"]).await;
    let problem = outcome["problem"].as_str().unwrap();
    assert!(outcome["ok"] == false && problem.contains("accepts the key"), "{outcome}");
    assert!(problem.contains("list: llama-9, mixtral-0."), "{problem}");
}

#[tokio::test]
async fn the_presets_say_which_of_them_this_platform_takes() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    let listed = company.owner(Method::GET, "/v1/providers/presets", None, 200).await;
    let presets = listed["presets"].as_array().unwrap();
    let allowed = |name: &str| {
        let preset = presets.iter().find(|preset| preset["preset"] == name).unwrap();
        preset["allowed"].as_bool().unwrap()
    };
    assert_eq!(presets.len(), 7);
    for name in ["groq", "mistral", "together", "openrouter", "cloudflare"] {
        assert!(allowed(name), "{name}");
    }
    // The stand's operator lists the double's host only.
    assert!(!allowed("azure") && !allowed("ollama"));
    let azure = presets.iter().find(|preset| preset["preset"] == "azure").unwrap();
    assert_eq!((&azure["fill_in"], &azure["api"]), (&json!("resource"), &json!("responses")));
}
