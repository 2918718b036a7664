//! Layer 7: no spend without a permit, none over the limit, none at another company's cost.

use bulkhead_tests::company::{Company, event};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::{Fault, Part, run};
use bulkhead_tests::stand::Stand;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;

fn key(kind: &str) -> String {
    format!("test-{kind}-{}", uuid::Uuid::new_v4().simple())
}

/// A Redis command of a test's own, past the worker but through the gateway.
pub(crate) async fn redis(stand: &Stand, command: serde_json::Value) -> serde_json::Value {
    let request =
        reqwest::Client::new().post(&stand.gateway_url).bearer_auth(&stand.redis_token).json(&command);
    request.send().await.unwrap().json::<serde_json::Value>().await.unwrap()["result"].clone()
}

fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    bulkhead::limiter::day(u64::try_from(now.as_millis()).unwrap(), 0)
}

/// The key of a company's day.
fn day_key(company: &Company) -> String {
    format!("daily_spend:{{{}}}:{}", company.id, today())
}

/// What is reserved for a company now, micro-dollars.
pub(crate) async fn held(company: &Company) -> u64 {
    let day = redis(company.stand, json!(["HGETALL", day_key(company)])).await;
    let fields: Vec<&str> = day.as_array().into_iter().flatten().filter_map(|field| field.as_str()).collect();
    let holds =
        fields.chunks(2).filter(|pair| pair[0].starts_with("h:")).filter_map(|pair| pair[1].split_once(':'));
    holds.filter_map(|(amount, _)| amount.parse::<u64>().ok()).sum()
}

/// What Redis says was spent today, micro-dollars.
async fn spent(company: &Company) -> u64 {
    let spent = redis(company.stand, json!(["HGET", day_key(company), "spent"])).await;
    spent.as_str().map_or(0, |text| text.parse().unwrap())
}

async fn ledger(company: &Company) -> u64 {
    company.owner(Method::GET, "/v1/budget", None, 200).await["spent_microusd"].as_u64().unwrap()
}

#[tokio::test]
async fn redis_and_the_ledger_agree_on_what_was_spent() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    acme.provider("openai", &key("ok")).await;
    let visitor = acme.visitor().await;
    for question in ["Do you fix leaks?", "Do you work on Sundays?", "What does a drain cleaning cost?"] {
        assert_eq!(event(&visitor.ask(question).await, "done")["source"], "model");
    }
    let (redis, ledger) = (spent(&acme).await, ledger(&acme).await);
    assert!(redis > 0);
    assert_eq!(redis, ledger);
    assert_eq!(held(&acme).await, 0);
}

#[tokio::test]
async fn at_its_limit_a_company_gets_answers_without_a_model_and_another_is_untouched() {
    let stand = Stand::get();
    let (acme, bright) = (Company::new(stand, "plumbing").await, Company::new(stand, "plumbing").await);
    let (acme_key, bright_key) = (key("ok"), key("ok"));
    acme.provider("openai", &acme_key).await;
    bright.provider("openai", &bright_key).await;
    acme.owner(Method::PATCH, "/v1/budget", Some(json!({ "daily_limit_microusd": 0 })), 200).await;
    let question = "How much does it cost to replace a water heater?";
    let done = acme.visitor().await.ask(question).await;
    assert_eq!(event(&done, "done")["source"], "knowledge");
    assert_eq!(event(&done, "done")["reason"], "budget");
    assert_eq!(stand.upstream.requests(&acme_key).len(), 0, "no model is called without budget");
    let done = bright.visitor().await.ask(question).await;
    assert_eq!(event(&done, "done")["source"], "model");
    assert_eq!(ledger(&acme).await, 0);
    // The limit is raised: the next turn already has a model.
    acme.owner(Method::PATCH, "/v1/budget", Some(json!({ "daily_limit_microusd": 5_000_000 })), 200).await;
    let done = acme.visitor().await.ask(question).await;
    assert_eq!(event(&done, "done")["source"], "model");
}

#[tokio::test]
async fn many_visitors_at_once_never_spend_more_than_the_limit() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let key = key("slow-5");
    acme.provider("anthropic", &key).await;
    let limit = 1_000_000;
    acme.owner(Method::PATCH, "/v1/budget", Some(json!({ "daily_limit_microusd": limit })), 200).await;
    let visitors = join_all((0..24).map(|_| acme.visitor())).await;
    let answers = join_all(visitors.iter().map(|visitor| visitor.ask("Do you fix leaks?"))).await;
    let models = answers.iter().filter(|events| event(events, "done")["source"] == "model").count();
    assert!(models > 0, "the budget holds some turns");
    assert!(models < 24, "the budget does not hold all turns at once");
    assert_eq!(stand.upstream.requests(&key).len(), models, "a turn without a permit calls nobody");
    assert!(ledger(&acme).await <= limit);
    assert_eq!(held(&acme).await, 0);
}

#[tokio::test]
async fn when_redis_forgets_the_ledger_remembers() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    acme.provider("openai", &key("ok")).await;
    let visitor = acme.visitor().await;
    visitor.ask("Do you fix leaks?").await;
    let before = ledger(&acme).await;
    redis(stand, json!(["DEL", day_key(&acme)])).await;
    visitor.ask("Do you work on Sundays?").await;
    assert_eq!(spent(&acme).await, ledger(&acme).await);
    assert!(ledger(&acme).await > before);
}

#[tokio::test]
async fn a_budget_that_names_another_company_is_no_budget() {
    let stand = Stand::get();
    let (acme, bright) = (Company::new(stand, "plumbing").await, Company::new(stand, "plumbing").await);
    let key = key("ok");
    acme.provider("openai", &key).await;
    redis(
        stand,
        json!([
            "HSET",
            day_key(&acme),
            "company",
            bright.id,
            "limits",
            "999999999:999999999:12:60:600:100",
            "bounds",
            "1:1:1:1",
            "spent",
            "0",
            "tokens",
            "0"
        ]),
    )
    .await;
    let events = acme.visitor().await.ask("Do you fix leaks?").await;
    assert_eq!(event(&events, "done")["reason"], "budget_unknown");
    assert_eq!(stand.upstream.requests(&key).len(), 0);
}

#[tokio::test]
async fn a_visitor_who_asks_too_often_waits() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    acme.owner(Method::PATCH, "/v1/budget", Some(json!({ "visitor_turns_per_minute": 2 })), 200).await;
    let (eager, calm) = (acme.visitor().await, acme.visitor().await);
    // A minute may turn over while this runs, once: then two more are let through.
    let mut refused = None;
    for _ in 0..6 {
        let response = acme
            .request(&eager.token, Method::POST, "/v1/chat")
            .json(&json!({ "message": "Do you fix leaks?" }))
            .send()
            .await
            .unwrap();
        if response.status() == 429 {
            refused = response
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            break;
        }
        response.bytes().await.unwrap();
    }
    assert!(refused.is_some_and(|seconds| (1..=60).contains(&seconds)), "{refused:?}");
    calm.ask("Do you fix leaks?").await;
}

#[test]
fn a_settlement_that_redis_never_heard_of_is_not_spent_again() {
    run(async {
        let core = Core::new(Stand::get());
        let acme = Company::new(core.stand, "plumbing").await;
        core.provider(&acme, &key("ok")).await;
        // A turn reserves 16 tokens' worth, 16,000 micro-dollars, and costs nearly that; the day holds three.
        for sql in [
            "update budgets set daily_limit_microusd = 48000, max_output_tokens = 16 where company_id = $1::text::uuid returning 1",
            "update provider_models set input_microusd_per_mtok = 0, output_microusd_per_mtok = 1000000000
             where company_id = $1::text::uuid returning 1",
        ] {
            acme.rows(sql).await;
        }
        let visitor = core.visitor(&acme).await;
        for turn in 0..12_i64 {
            let ask = json!({ "message": "Do you fix leaks? And drains, and boilers?" });
            let response = core.serve(&acme, "POST", "/v1/chat", &visitor, Some(ask)).await;
            // Each turn's own settlement is lost on the way, and its reservation void by the next.
            core.native.break_requests(Part::Redis, Fault::Down);
            read(response.into_body()).await;
            core.native.mend();
            core.native.set_ahead_ms((turn + 1) * 200_000);
        }
        let spent = ledger(&acme).await;
        assert!(spent > 16_000, "too little to show anything: {spent}");
        assert!(spent <= 48_000, "{spent} spent of 48000");
    });
}
