//! Signing up: whole or not at all, at whichever statement it breaks, and the same company however often it is asked for.

use bulkhead_tests::company::{Company, PASSWORD};
use bulkhead_tests::core::Core;
use bulkhead_tests::native::{Fault, Part, run};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

fn unique() -> String {
    format!("s{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

fn application(slug: &str) -> Value {
    json!({ "company": "Acme & Söhne", "slug": slug, "industry": "plumbing", "name": "Olive", "email": "o@acme.example", "password": PASSWORD })
}

/// Status, JSON and whether it says to be an answer given before.
async fn sign_up(stand: &Stand, key: &str, body: &Value) -> (u16, Value, bool) {
    let request = stand.http("localhost", Method::POST, "/v1/signup").header("idempotency-key", key);
    let response = request.json(body).send().await.unwrap();
    let replayed = response.headers().contains_key("idempotency-replayed");
    (response.status().as_u16(), response.json().await.unwrap(), replayed)
}

/// How many rows there are with this company's id, in all tables.
async fn rows(anyone: &Company, company: &str) -> i64 {
    let tables = anyone.tables().await;
    let count = |table: &String| format!("(select count(*) from {table} where company_id = '{company}')");
    let counts: Vec<String> = tables.iter().map(count).collect();
    anyone.rows(&format!("select {} where $1::text is not null", counts.join(" + "))).await[0].get(0)
}

#[tokio::test]
async fn the_same_key_and_request_is_the_same_company() {
    let stand = Stand::get();
    let (slug, key) = (unique(), uuid::Uuid::new_v4().to_string());
    let body = application(&slug);
    let (status, first, replayed) = sign_up(stand, &key, &body).await;
    assert_eq!((status, replayed), (201, false), "{first}");
    for _ in 0..2 {
        let (status, again, replayed) = sign_up(stand, &key, &body).await;
        assert_eq!((status, replayed), (201, true), "{again}");
        assert_eq!(again, first);
    }
    // Each field counts, the password too; nothing of the company is said.
    for change in [
        json!({ "company": "Another" }),
        json!({ "slug": unique() }),
        json!({ "industry": "florist" }),
        json!({ "name": "Oliver" }),
        json!({ "password": "another password altogether" }),
    ] {
        let mut other = body.clone();
        other.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, problem, _) = sign_up(stand, &key, &other).await;
        assert_eq!(status, 409, "{change}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("another sign-up"), "{change}: {problem}");
        assert!(!problem.to_string().contains(&slug));
    }
    // Another's key with another address aims at another id: the slug is taken, and that is all there is to learn.
    let mut stranger = body.clone();
    stranger["email"] = "stranger@acme.example".into();
    let (status, problem, _) = sign_up(stand, &key, &stranger).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("taken"), "{problem}");
    let (status, problem, _) = sign_up(stand, &uuid::Uuid::new_v4().to_string(), &body).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("taken"), "{problem}");
}

#[tokio::test]
async fn the_same_sign_up_many_times_at_once_makes_one_company() {
    let stand = Stand::get();
    let (slug, key) = (unique(), uuid::Uuid::new_v4().to_string());
    let body = application(&slug);
    let answers = join_all((0..6).map(|_| sign_up(stand, &key, &body))).await;
    let first = answers.iter().filter(|(_, _, replayed)| !replayed).count();
    assert_eq!(first, 1, "{answers:?}");
    assert!(answers.iter().all(|(status, value, _)| *status == 201 && *value == answers[0].1), "{answers:?}");
}

#[tokio::test]
async fn a_key_that_could_be_guessed_is_none() {
    let stand = Stand::get();
    let long = "k".repeat(201);
    for key in ["", "1", "fifteen-letters", "sixteen letters and spaces", "sixteen,letters,and,commas", &long]
    {
        let (status, problem, _) = sign_up(stand, key, &application(&unique())).await;
        assert_eq!(status, 400, "{key}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{key}: {problem}");
    }
}

#[test]
fn a_lost_answer_is_given_again() {
    run(async {
        let core = Core::new(Stand::get());
        let (slug, key) = (unique(), uuid::Uuid::new_v4().to_string());
        core.native.break_once(Part::Postgres, Fault::AnswerLost);
        let body = application(&slug);
        let headers = [("idempotency-key", key.as_str())];
        let sign_up = || core.serve_with("localhost", "POST", "/v1/signup", &headers, Some(body.clone()));
        assert_eq!(sign_up().await.status(), 503);
        let again = sign_up().await;
        assert_eq!(again.status(), 201);
        assert!(again.headers().contains_key("idempotency-replayed"));
    });
}

#[test]
fn at_whichever_statement_it_breaks_nothing_is_left() {
    run(async {
        let core = Core::new(Stand::get());
        let anyone = Company::new(core.stand, "plumbing").await;
        let slug = unique();
        core.native.break_once(Part::Postgres, Fault::Down);
        core.native.take_sent();
        let response = core.serve_at("localhost", "POST", "/v1/signup", "", Some(application(&slug))).await;
        assert_eq!(response.status(), 503);
        let sent = core.native.take_sent();
        assert_eq!(sent.len(), 1, "a sign-up is one request");
        let batch: Value = serde_json::from_slice(&sent[0].body).unwrap();
        let statements = batch["queries"].as_array().unwrap();
        let company = statements[0]["params"][0].as_str().unwrap();
        for place in 0..=statements.len() {
            let mut broken = statements.clone();
            broken.insert(place, json!({ "query": "select refuse('BH999')", "params": [] }));
            assert_eq!(post(core.stand, &broken).await, 400, "statement {place}");
            assert_eq!(rows(&anyone, company).await, 0, "broken after {place} statements");
        }
        // The control: unbroken, the very same statements make it, and so the slug was free.
        assert_eq!(post(core.stand, statements).await, 200);
        assert!(rows(&anyone, company).await > 200);
        tally("all layers", "statements at which a sign-up broke, nothing left", statements.len() + 1, 20);
    });
}

/// Sends a batch as the worker does; the status.
async fn post(stand: &Stand, statements: &[Value]) -> u16 {
    let request = reqwest::Client::new()
        .post(format!("{}/sql", stand.gateway_url))
        .header("neon-connection-string", &stand.worker_database_url)
        .header("neon-raw-text-output", "true")
        .header("neon-array-mode", "true")
        .json(&json!({ "queries": statements }));
    request.send().await.unwrap().status().as_u16()
}
