//! What a release's worker does all day, on the schema of today. `scripts/previous` runs these with the last release's source and
//! worker, which `BULKHEAD_RELEASE` names; else they run with this tree's own, so that they cannot rot between releases.
//!
//! It asks nothing that the last release does not have, and never holds its answers against today's description of the API.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use bulkhead_tests::company::{Company, PASSWORD, event};
use bulkhead_tests::core::CRON_TOKEN;
use bulkhead_tests::stand::{Stand, release};
use bulkhead_tests::upstream::Upstream;
use bulkhead_tests::website::Page;
use bulkhead_tests::{company, token};
use http::Method;
use serde_json::{Value, json};

/// A stand of its own, on which the operator's round can be called for.
fn stand() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| {
        Stand::start(Upstream::start(), &[("JWT_KEYS", &token::ring()), ("CRON_TOKEN", CRON_TOKEN)])
    })
}

/// Where the release's source is.
fn source() -> PathBuf {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    release().unwrap_or_else(own)
}

/// Planned as the worker's role: a column or table that is gone fails here, and so does a grant.
#[tokio::test]
async fn every_statement_of_the_release_is_still_allowed() {
    let connected = tokio_postgres::connect(&stand().worker_database_url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    let nobody = uuid::Uuid::nil().to_string();
    client.query("select set_config('app.current_company_id', $1, false)", &[&nobody]).await.unwrap();
    let statements = super::statements::statements(&source().join("src"));
    assert!(statements.len() > 60, "only {} statements found", statements.len());
    let mut wrong = Vec::new();
    for (file, sql) in statements {
        let planned = client.simple_query(&format!("explain (generic_plan, costs off) {sql}")).await;
        if let Err(error) = planned {
            wrong.push(format!("{file}: {}\n{sql}", error.as_db_error().unwrap().message()));
        }
    }
    assert!(wrong.is_empty(), "{} statements fail:\n\n{}", wrong.len(), wrong.join("\n\n"));
    let refused = client.simple_query("explain (generic_plan) delete from companies where company_id = $1");
    assert!(refused.await.is_err(), "a statement that the worker may not run would not be noticed");
}

#[tokio::test]
async fn what_a_company_does_all_day() {
    let acme = Company::new(stand(), "plumbing").await;
    // Signing in, and again with the refresh token.
    let refresh = json!({ "refresh_token": acme.refresh });
    assert_eq!(call(&acme, "", Method::POST, "/v1/token/refresh", Some(refresh)).await.0, 200);
    let (access, _) = acme.sign_in(&format!("owner@{}.example", acme.slug)).await;

    // A provider's key is sealed, and a model answers with it.
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    let provider = json!({ "kind": "openai", "name": "Test", "api_key": key });
    assert_eq!(call(&acme, &access, Method::POST, "/v1/providers", Some(provider)).await.0, 201);
    let (status, visitor) = call(&acme, "", Method::POST, "/v1/visitor", None).await;
    assert_eq!(status, 201, "{visitor}");
    let visitor = visitor["token"].as_str().unwrap();
    let question = "How much does it cost to replace a water heater?";
    let first = ask(&acme, visitor, json!({ "message": question })).await;
    assert_eq!(event(&first, "done")["source"], "model");
    let conversation = &event(&first, "start")["conversation_id"];
    let again = json!({ "message": "And on Sundays?", "conversation_id": conversation });
    assert_eq!(event(&ask(&acme, visitor, again).await, "done")["source"], "model");
    let path = format!("/v1/conversations/{}/messages", conversation.as_str().unwrap());
    let (status, said) = call(&acme, visitor, Method::GET, &path, None).await;
    assert_eq!((status, said["messages"].as_array().map(Vec::len)), (200, Some(4)), "{said}");

    // What the turns cost is in the ledger and in Redis, and without money the company's knowledge answers.
    let (status, budget) = call(&acme, &access, Method::GET, "/v1/budget", None).await;
    assert_eq!(status, 200, "{budget}");
    assert_eq!(budget["spent_microusd"], json!(super::budget::spent(&acme).await));
    assert!(budget["spent_microusd"].as_u64().unwrap() > 0);
    let none = json!({ "daily_limit_microusd": 0 });
    assert_eq!(call(&acme, &access, Method::PATCH, "/v1/budget", Some(none)).await.0, 200);
    let poor = ask(&acme, visitor, json!({ "message": question })).await;
    assert_eq!(event(&poor, "done")["source"], "knowledge");

    let asked = "/v1/knowledge/search?q=water%20heater";
    let (status, found) = call(&acme, &access, Method::GET, asked, None).await;
    assert_eq!(status, 200, "{found}");
    assert!(found.to_string().contains("water heater"), "{found}");
}

#[tokio::test]
async fn a_lead_reaches_the_company_s_own_program_by_the_round() {
    let stand = stand();
    let acme = Company::new(stand, "plumbing").await;
    let path = format!("/site/{}", uuid::Uuid::new_v4());
    stand.website.put(&path, Page::Status(500));
    let webhook = json!({ "url": stand.website.url(&path), "events": ["lead.new"] });
    assert_eq!(call(&acme, &acme.owner, Method::POST, "/v1/webhooks", Some(webhook)).await.0, 201);
    let visitor = call(&acme, "", Method::POST, "/v1/visitor", None).await.1;
    let lead = json!({ "name": "Vera", "phone": "555 0100", "message": "A leak." });
    let token = visitor["token"].as_str().unwrap();
    assert_eq!(call(&acme, token, Method::POST, "/v1/leads", Some(lead)).await.0, 201);
    let told = async |times: usize| {
        // The worker tells it once it has answered.
        for _ in 0..600 {
            if stand.website.received(&path).len() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the webhook was not called {times} times");
    };
    told(1).await;
    stand.website.put(&path, Page::Status(204));
    // What came of the first try has to be in the books before it can be due again.
    let due = "update outbox set next_at = now() where company_id = $1::text::uuid and last_status = 500 and next_at is not null
               returning 1";
    for _ in 0..600 {
        if !acme.rows(due).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let round = stand.http("localhost", Method::POST, "/v1/cron").bearer_auth(CRON_TOKEN);
    let round = round.json(&json!({})).send().await.unwrap();
    assert_eq!(round.status(), 200);
    let round: Value = round.json().await.unwrap();
    assert_eq!(round["failed"], 0, "{round}");
    told(2).await;
    let (status, leads) = call(&acme, &acme.owner, Method::GET, "/v1/leads", None).await;
    assert_eq!(status, 200);
    assert!(leads.to_string().contains("Vera"), "{leads}");
}

/// Each list and each page that has no id in its address, as the release's own table has them.
#[tokio::test]
async fn what_its_people_open_opens() {
    let acme = Company::new(stand(), "plumbing").await;
    let login = json!({ "email": format!("owner@{}.example", acme.slug), "password": PASSWORD });
    let form = acme.request("", Method::POST, "/dashboard/sign-in").body(company::form(&login));
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(form.send().await.unwrap().status(), 303);
    let table = std::fs::read_to_string(source().join("src/routes/table.rs")).unwrap();
    let paths: Vec<&str> = table
        .split("\"GET\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1))
        .filter(|path| !path.contains('{'))
        .filter(|path| path.starts_with("/v1/") || path.starts_with("/dashboard"))
        .collect();
    assert!(paths.len() > 60, "only {} addresses found", paths.len());
    let (mut opened, mut wrong) = (0, Vec::new());
    for path in paths {
        let status = acme.request(&acme.owner, Method::GET, path).send().await.unwrap().status().as_u16();
        opened += usize::from(status == 200);
        if status >= 500 {
            wrong.push(format!("{path}: {status}"));
        }
    }
    assert!(wrong.is_empty() && opened > 40, "{opened} opened; {wrong:?}");
}

/// Status and JSON; null where there is none.
async fn call(
    company: &Company,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let request = company.request(token, method, path);
    let request = match &body {
        Some(body) => request.json(body),
        None => request,
    };
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

/// Asks, and reads the whole answer.
async fn ask(company: &Company, visitor: &str, body: Value) -> Vec<company::Event> {
    let response = company.request(visitor, Method::POST, "/v1/chat").json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let (mut decoder, mut events) = (bulkhead::sse::Decoder::new(1 << 20), Vec::new());
    company::read_events(&mut decoder, &response.bytes().await.unwrap(), &mut events);
    events
}
