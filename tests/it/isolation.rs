//! Layer 1 and "not yours = not there": tokens of elsewhere, hosts of nobody, ids of another company.

use bulkhead::routes::{ROUTES, Route, Run};
use bulkhead_tests::company::Company;
use bulkhead_tests::core::Core;
use bulkhead_tests::native::{Part, Sent, run};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

use super::access::{delivery, domain, draft, kept, office, twin, unanswered, webhook};

fn without_request_id(mut value: Value) -> Value {
    if let Some(problem) = value.as_object_mut() {
        problem.remove("request_id");
    }
    value
}

/// A body that every write route accepts as far as it is looked at before the row is.
fn body(route: &Route) -> Option<Value> {
    let (method, path) = twin(route);
    match (method, path.as_str()) {
        ("PATCH", "/v1/agents/{id}" | "/v1/providers/{id}") => Some(json!({ "name": "Taken over" })),
        ("PATCH", "/v1/knowledge/{id}") => Some(json!({ "answer": "Taken over" })),
        ("PUT", "/v1/messages/{id}/rating") => Some(json!({ "good": false })),
        (method, path) => office(method, path, &uuid::Uuid::new_v4().simple().to_string()),
    }
}

/// An id of this company for each path that has one in it.
async fn id_of(company: &Company, route: &Route) -> String {
    let path = twin(route).1;
    let (table, column) = match path.as_str() {
        "/v1/agents/{id}" | "/v1/agents/{id}/try" => ("agents", "agent_id"),
        "/v1/knowledge/{id}" => ("knowledge_entries", "entry_id"),
        "/v1/providers/{id}" | "/v1/providers/{id}/test" => ("providers", "provider_id"),
        "/v1/api-keys/{id}" => ("api_keys", "api_key_id"),
        "/v1/support/{id}/end" => return company.support().await,
        path if path.starts_with("/v1/webhooks/{id}") => return webhook(company).await,
        path if path.starts_with("/v1/domains/{id}") => return domain(company).await,
        "/v1/deliveries/{id}/replay" => return delivery(company).await,
        path if path.starts_with("/v1/knowledge/drafts/{id}") => return draft(company).await,
        path if path.starts_with("/v1/unanswered/{id}") => return unanswered(company).await,
        path if path.starts_with("/v1/invitations/{id}") => {
            company.invited(&format!("{}@acme.example", uuid::Uuid::new_v4()), "member").await;
            let sql = "select link_id::text from account_links where company_id = $1::text::uuid and purpose = 'invite' limit 1";
            return company.rows(sql).await[0].get(0);
        }
        path if path.starts_with("/v1/conversations/{id}") => ("conversations", "conversation_id"),
        "/v1/messages/{id}/rating" => ("messages", "message_id"),
        "/v1/notices/{id}/seen" => {
            notice(company).await;
            ("notices", "notice_id")
        }
        // A page that only this company has.
        "/pages/{id}" => {
            let sql = "insert into site_pages (company_id, page_id, slug, title, body)
                       values ($1::text::uuid, gen_random_uuid(), 'p' || left(gen_random_uuid()::text, 8), 'T', 'B') returning slug";
            return company.rows(sql).await[0].get(0);
        }
        "/v1/leads/{id}"
            if company.rows("select from leads where company_id = $1::text::uuid").await.is_empty() =>
        {
            let body = json!({ "name": "Vera", "phone": "555 0100" });
            let visitor = company.visitor().await.token;
            assert_eq!(company.call(&visitor, Method::POST, "/v1/leads", Some(body)).await.0, 201);
            ("leads", "lead_id")
        }
        other => match kept(other) {
            Some(kept) => kept,
            None => panic!("{other} has an id in it and no row here"),
        },
    };
    let rows = company
        .rows(&format!("select {column}::text from {table} where company_id = $1::text::uuid limit 1"))
        .await;
    rows[0].get(0)
}

async fn notice(company: &Company) {
    company
        .rows(
            "insert into notices (company_id, notice_id, kind, body)
             values ($1::text::uuid, gen_random_uuid(), 'lead', 'Somebody called.') returning 1",
        )
        .await;
}

#[tokio::test]
async fn another_company_s_id_and_no_id_look_the_same() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    acme.provider("openai", "test-ok-isolation").await;
    acme.api_key(&["chat"]).await;
    acme.visitor().await.ask("Do you fix leaks?").await;
    let bright_visitor = bright.visitor().await;
    let mut seen = 0;
    for route in ROUTES.iter().filter(|route| route.path.contains("{id}")) {
        let token = if matches!(route.run, Run::Visitor(_)) { &bright_visitor.token } else { &bright.owner };
        let method: Method = route.method.parse().unwrap();
        let theirs = route.path.replace("{id}", &id_of(&acme, route).await);
        let nowhere = route.path.replace("{id}", &uuid::Uuid::new_v4().to_string());
        let malformed = route.path.replace("{id}", "no-id");
        let mut answers = Vec::new();
        for path in [theirs, nowhere, malformed] {
            let (status, problem) = bright.call(token, method.clone(), &path, body(route)).await;
            assert_eq!(status, 404, "{} {path}", route.method);
            answers.push(without_request_id(problem));
        }
        assert!(
            answers.windows(2).all(|two| two[0] == two[1]),
            "{} {}: {answers:?}",
            route.method,
            route.path
        );
        seen += 1;
    }
    assert!(seen > 8);
    // Nothing was changed or removed on the way.
    let changed =
        acme.rows("select from agents where company_id = $1::text::uuid and name = 'Taken over'").await;
    assert!(changed.is_empty());
    let providers = ROUTES.iter().find(|route| route.path == "/v1/providers/{id}").unwrap();
    id_of(&acme, providers).await;
}

#[tokio::test]
async fn a_token_is_good_at_its_own_company_only() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let visitor = acme.visitor().await;
    let key = acme.api_key(&["chat", "models"]).await;
    for route in ROUTES {
        let method: Method = route.method.parse().unwrap();
        let path = route.path.replace("{id}", "01890a5d-ac96-774b-bcce-b302099a8057");
        let wrong: &[&str] = match route.run {
            Run::Apex(_) | Run::Operator(_) | Run::Guest(_) => continue,
            Run::Visitor(_) => &["", "x", &bright.owner, &acme.owner, &visitor.token, &key],
            Run::Member(..) | Run::Page(..) => &["", "x", &visitor.token, &acme.owner, &key],
            Run::Program(..) => &["", "x", &bright.owner, &acme.owner, &visitor.token, &key],
        };
        // A program's request is read before its key is looked at, in the batch.
        let body = match route.path {
            "/v1/chat/completions" => {
                json!({ "model": "sales", "messages": [{ "role": "user", "content": "Hello?" }] })
            }
            _ => json!({}),
        };
        for token in wrong {
            // Whoever reads a page is shown the door.
            let expected =
                if matches!((&route.run, route.method), (Run::Page(..), "GET")) { 303 } else { 401 };
            let (status, problem) = bright.call(token, method.clone(), &path, Some(body.clone())).await;
            assert_eq!(status, expected, "{} {} with {token:.20}: {problem}", route.method, route.path);
        }
    }
    // A refresh token is no access token, and one of another company renews nothing here.
    let (status, _) = acme.call(&acme.refresh, Method::GET, "/v1/company", None).await;
    assert_eq!(status, 401);
    let (status, _) = bright
        .call("", Method::POST, "/v1/token/refresh", Some(json!({ "refresh_token": acme.refresh })))
        .await;
    assert_eq!(status, 401);
    let (status, _) = acme
        .call("", Method::POST, "/v1/token/refresh", Some(json!({ "refresh_token": acme.refresh })))
        .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_membership_is_checked_in_each_transaction() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    acme.owner(Method::GET, "/v1/company", None, 200).await;
    acme.rows("update memberships set role = 'member' where company_id = $1::text::uuid returning 1").await;
    acme.owner(Method::GET, "/v1/company", None, 200).await;
    let problem = acme.owner(Method::GET, "/v1/providers", None, 403).await;
    assert!(problem["detail"].as_str().unwrap().contains("role"));
    acme.rows("update memberships set ended_at = now() where company_id = $1::text::uuid returning 1").await;
    acme.owner(Method::GET, "/v1/company", None, 401).await;
    let entry = json!({ "category": "faq", "question": "Written after leaving?", "answer": "No." });
    acme.owner(Method::POST, "/v1/knowledge", Some(entry), 401).await;
    let written = acme
        .rows("select from knowledge_entries where company_id = $1::text::uuid and question like 'Written%'")
        .await;
    assert!(written.is_empty(), "the batch was rolled back");
}

#[tokio::test]
async fn the_company_comes_from_the_host_and_from_nothing_else() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let page = |host: String| {
        let request =
            stand.http(&host, Method::GET, &format!("/?company_id={}&company={}", bright.id, bright.slug));
        let request = request
            .header("x-forwarded-host", bright.host())
            .header("forwarded", format!("host={}", bright.host()))
            .header("x-original-host", bright.host())
            .header("x-company-id", &bright.id)
            .header("x-middleware-subrequest", "src/middleware");
        async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        }
    };
    let (status, html) = page(acme.host()).await;
    assert_eq!(status, 200);
    assert!(html.contains(&acme.slug) && !html.contains(&bright.slug));
    let (status, html) = page(acme.host().to_uppercase()).await;
    assert_eq!((status, html.contains(&acme.slug)), (200, true));
    for nobody in [
        "nobody-here.localhost".to_owned(),
        format!("a.{}", acme.host()),
        format!("{}.evil.example", acme.slug),
    ] {
        let (status, problem) = page(nobody.clone()).await;
        assert_eq!(status, 404, "{nobody}");
        assert!(problem.contains("request_id"), "{nobody}: {problem}");
    }
}

#[tokio::test]
async fn a_suspended_company_is_not_there() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    acme.rows("update companies set status = 'suspended' where company_id = $1::text::uuid returning 1")
        .await;
    // Its host may be remembered for half a minute; one that was never asked for is looked up.
    let fresh = acme.rows("insert into hosts (company_id, host, kind) values ($1::text::uuid, 'x' || substr($1::text, 1, 8), 'slug') returning host").await;
    let host: String = fresh[0].get(0);
    let status = stand.http(&format!("{host}.localhost"), Method::GET, "/").send().await.unwrap().status();
    assert_eq!(status, 404);
}

/// What the database and Redis are asked says nothing either: the same statements, as many, in the same order.
#[test]
fn another_company_s_id_and_no_id_cost_the_same_calls() {
    run(async {
        let core = Core::new(Stand::get());
        let (acme, bright) =
            (Company::new(core.stand, "plumbing").await, Company::new(core.stand, "plumbing").await);
        core.provider(&acme, "test-ok-isolation").await;
        acme.api_key(&["chat"]).await;
        acme.visitor().await.ask("Do you fix leaks?").await;
        let (owner, visitor) = (core.owner(&bright).await, core.visitor(&bright).await);
        let mut seen = 0;
        for route in ROUTES.iter().filter(|route| route.path.contains("{id}")) {
            let token = if matches!(route.run, Run::Visitor(_)) { &visitor } else { &owner };
            let mut calls = Vec::new();
            for id in [id_of(&acme, route).await, uuid::Uuid::new_v4().to_string()] {
                core.native.take_sent();
                let path = route.path.replace("{id}", &id);
                let (status, _) = core.call(&bright, route.method, &path, token, body(route)).await;
                assert_eq!(status, 404, "{} {path}", route.method);
                // Whose host it is is asked anew every half minute, whatever the id.
                let sent = core.native.take_sent();
                let sent = sent.iter().map(what).filter(|(_, said)| !said[0].contains("company_by_host"));
                calls.push(sent.collect::<Vec<_>>());
            }
            assert!(
                !calls[0].is_empty() && calls[0] == calls[1],
                "{} {}: {calls:?}",
                route.method,
                route.path
            );
            seen += 1;
        }
        assert!(seen > 8);
    });
}

/// A request without what differs from id to id: its part and its statements, or its command.
fn what(sent: &Sent) -> (Part, Vec<String>) {
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    let statements = body["queries"].as_array().map_or_else(
        || vec![body[0].to_string(), body[1].to_string()],
        |queries| queries.iter().map(|query| query["query"].to_string()).collect(),
    );
    (sent.part, statements)
}
