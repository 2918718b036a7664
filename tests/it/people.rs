//! Signing up and in, and what a company's people can do.

use bulkhead_tests::company::{Company, PASSWORD, event, text};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

async fn signup(stand: &Stand, body: Value) -> (u16, Value) {
    let response = stand.http("localhost", Method::POST, "/v1/signup").json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn application(slug: &str) -> Value {
    json!({ "company": "Acme & Söhne", "slug": slug, "industry": "plumbing", "name": "Olive", "email": "o@acme.example", "password": PASSWORD })
}

#[tokio::test]
async fn a_company_is_whole_and_live_as_soon_as_it_is_made() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let page = stand.http(&acme.host(), Method::GET, "/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert!(page.text().await.unwrap().contains(&acme.slug));
    for (table, least) in [
        ("agents", 12),
        ("knowledge_entries", 50),
        ("gpt_contexts", 4),
        ("services", 12),
        ("agent_knowledge_scopes", 20),
        ("site_pages", 10),
        ("glossary_terms", 20),
        ("opening_hours", 5),
        ("budgets", 1),
    ] {
        let rows = acme.rows(&format!("select from {table} where company_id = $1::text::uuid")).await;
        assert!(rows.len() >= least, "{table}: {}", rows.len());
    }
    let left = acme
        .rows("select from knowledge_entries where company_id = $1::text::uuid and answer like '%{{%'")
        .await;
    assert!(left.is_empty(), "a placeholder is left");
    let company = acme.owner(Method::GET, "/v1/company", None, 200).await;
    assert_eq!(company["you"]["role"], "owner");
    assert!(company["entries_to_confirm"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn signing_up_says_what_is_wrong_and_leaves_nothing_behind() {
    let stand = Stand::get();
    let slug = format!("s{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
    let cases = [
        (json!({ "slug": "www" }), 409, "platform"),
        (json!({ "slug": "a" }), 400, "slug"),
        (json!({ "slug": "Acme" }), 400, "slug"),
        (json!({ "industry": "alchemy" }), 400, "industry"),
        (json!({ "email": "nobody" }), 400, "e-mail"),
        (json!({ "password": "short" }), 400, "password"),
        (json!({ "company": "" }), 400, "name"),
        (json!({ "unknown": 1 }), 400, "unknown"),
    ];
    for (change, expected, word) in cases {
        let mut body = application(&slug);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, problem) = signup(stand, body).await;
        assert_eq!(status, expected, "{change}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{change}: {problem}");
    }
    assert_eq!(signup(stand, application(&slug)).await.0, 201, "nothing was left behind");
    let (status, problem) = signup(stand, application(&slug)).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("taken"), "{problem}");
}

#[tokio::test]
async fn signing_in_and_renewing() {
    let acme = Company::new(Stand::get(), "hvac").await;
    let login = |email: String, password: &str| {
        let body = json!({ "email": email, "password": password });
        let acme = &acme;
        async move { acme.call("", Method::POST, "/v1/login", Some(body)).await }
    };
    let email = format!("owner@{}.example", acme.slug);
    let (status, wrong) = login(email.clone(), "wrong password").await;
    assert_eq!(status, 401);
    let (status, unknown) = login("nobody@example.com".into(), "wrong password").await;
    assert_eq!(status, 401);
    assert_eq!(wrong["detail"], unknown["detail"], "which of the two is wrong is not said");
    assert_eq!(login(email.to_uppercase(), PASSWORD).await.0, 200);

    let renew = |token: Value| {
        let acme = &acme;
        async move {
            acme.call("", Method::POST, "/v1/token/refresh", Some(json!({ "refresh_token": token }))).await
        }
    };
    let (status, second) = renew(acme.refresh.clone().into()).await;
    assert_eq!(status, 200);
    let access = second["access_token"].as_str().unwrap().to_owned();
    assert_eq!(acme.call(&access, Method::GET, "/v1/company", None).await.0, 200);
    // The first one comes back: somebody has stolen a token, so the session ends for everybody.
    assert_eq!(renew(acme.refresh.clone().into()).await.0, 401);
    assert_eq!(renew(second["refresh_token"].clone()).await.0, 401);
    assert_eq!(acme.call(&access, Method::GET, "/v1/company", None).await.0, 401);
}

#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    let acme = Company::new(Stand::get(), "hvac").await;
    acme.owner(Method::POST, "/v1/logout", None, 204).await;
    acme.owner(Method::GET, "/v1/company", None, 401).await;
}

#[tokio::test]
async fn guessing_passwords_is_slowed_down() {
    let acme = Company::new(Stand::get(), "hvac").await;
    let mut last = 0;
    for _ in 0..12 {
        let body = json!({ "email": "victim@example.com", "password": "a guess of many" });
        last = acme.call("", Method::POST, "/v1/login", Some(body)).await.0;
    }
    assert_eq!(last, 429);
}

#[tokio::test]
async fn knowledge_that_is_written_is_answered_from() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let entry = json!({ "category": "faq", "question": "Do you unclog kaleidoscopes?", "answer": "Yes, for $42 a piece." });
    let made = acme.owner(Method::POST, "/v1/knowledge", Some(entry), 201).await;
    let visitor = acme.visitor().await;
    let events = visitor.ask("can you unclog my kaleidoscope").await;
    assert_eq!(text(&events), "Yes, for $42 a piece.");
    let path = format!("/v1/knowledge/{}", made["entry_id"].as_str().unwrap());
    let changed = acme.owner(Method::PATCH, &path, Some(json!({ "answer": "Not any more." })), 200).await;
    assert_eq!(
        (changed["answer"].as_str(), changed["origin"].as_str()),
        (Some("Not any more."), Some("company"))
    );
    assert_eq!(text(&visitor.ask("can you unclog my kaleidoscope").await), "Not any more.");
    acme.owner(Method::DELETE, &path, None, 204).await;
    acme.owner(Method::GET, &path, None, 404).await;
    let events = visitor.ask("can you unclog my kaleidoscope").await;
    assert_eq!(event(&events, "done")["source"], "none");
    let unknown = json!({ "category": "nothing", "question": "Where?", "answer": "Here." });
    acme.owner(Method::POST, "/v1/knowledge", Some(unknown), 400).await;
}

#[tokio::test]
async fn agents_are_added_changed_and_removed_but_never_the_default_one() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let new = json!({ "slug": "night", "name": "Nora", "role": "answers at night", "instructions": "Be kind.", "tier": "best", "scope": ["faq"] });
    let made = acme.owner(Method::POST, "/v1/agents", Some(new.clone()), 201).await;
    assert_eq!(made["scope"], json!(["faq"]));
    acme.owner(Method::POST, "/v1/agents", Some(new), 409).await;
    let path = format!("/v1/agents/{}", made["agent_id"].as_str().unwrap());
    let changed =
        acme.owner(Method::PATCH, &path, Some(json!({ "tier": "fast", "scope": ["pricing"] })), 200).await;
    assert_eq!((changed["tier"].as_str(), &changed["scope"]), (Some("fast"), &json!(["pricing"])));
    acme.owner(Method::DELETE, &path, None, 204).await;
    acme.owner(Method::GET, &path, None, 404).await;
    let agents = acme.owner(Method::GET, "/v1/agents", None, 200).await;
    let default =
        agents["agents"].as_array().unwrap().iter().find(|agent| agent["is_default"] == true).unwrap();
    let path = format!("/v1/agents/{}", default["agent_id"].as_str().unwrap());
    acme.owner(Method::DELETE, &path, None, 409).await;
    acme.owner(Method::GET, &path, None, 200).await;
}

#[tokio::test]
async fn an_agent_that_has_talked_stays() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let new = json!({ "slug": "night", "name": "Nora", "role": "answers at night", "instructions": "Be kind.", "tier": "fast" });
    let made = acme.owner(Method::POST, "/v1/agents", Some(new), 201).await;
    acme.visitor().await.send(json!({ "message": "Hello?", "agent": "night" })).await;
    let path = format!("/v1/agents/{}", made["agent_id"].as_str().unwrap());
    let problem = acme.owner(Method::DELETE, &path, None, 409).await;
    assert!(problem["detail"].as_str().unwrap().contains("isable"), "{problem}");
}

#[tokio::test]
async fn a_provider_s_key_is_stored_sealed_and_never_read_back() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    let id = acme.provider("openai", &key).await;
    let path = format!("/v1/providers/{id}");
    let shown = acme.owner(Method::GET, &path, None, 200).await;
    assert!(!shown.to_string().contains(&key));
    assert_eq!(shown["last_four"].as_str().unwrap(), &key[key.len() - 4..]);
    let rows = acme.rows("select encode(sealed_key, 'escape') || sealed_key::text from providers where company_id = $1::text::uuid").await;
    assert!(!rows[0].get::<_, String>(0).contains(&key));
    // A new key takes over at once.
    let other = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    acme.owner(Method::PATCH, &path, Some(json!({ "api_key": other })), 200).await;
    acme.visitor().await.ask("Do you fix leaks?").await;
    assert_eq!((stand.upstream.requests(&key).len(), stand.upstream.requests(&other).len()), (0, 1));
    acme.owner(Method::PATCH, &path, Some(json!({ "enabled": false })), 200).await;
    let done = acme.visitor().await.ask("Do you fix leaks?").await;
    assert_eq!(event(&done, "done")["reason"], "no_provider");
    acme.owner(Method::DELETE, &path, None, 204).await;
    assert!(acme.rows("select from providers where company_id = $1::text::uuid").await.is_empty());
    let audit = acme
        .rows("select action from audit_events where company_id = $1::text::uuid order by event_id")
        .await;
    let actions: Vec<String> = audit.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        actions,
        ["company.made", "provider.added", "provider.changed", "provider.changed", "provider.removed"]
    );
}

#[tokio::test]
async fn a_lead_is_left_and_read() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let (visitor, other) = (acme.visitor().await, acme.visitor().await);
    let asked = visitor.ask("Do you dig wells?").await;
    let conversation = event(&asked, "start")["conversation_id"].clone();
    let lead =
        json!({ "name": "Vera", "phone": "555 0100", "message": "Call me", "conversation_id": conversation });
    let leave = |token: &str, lead: Value| {
        let (acme, token) = (&acme, token.to_owned());
        async move { acme.call(&token, Method::POST, "/v1/leads", Some(lead)).await.0 }
    };
    assert_eq!(leave(&visitor.token, lead.clone()).await, 201);
    assert_eq!(leave(&other.token, lead).await, 404, "another visitor's conversation");
    assert_eq!(leave(&visitor.token, json!({ "name": "Vera" })).await, 400);
    let leads = acme.owner(Method::GET, "/v1/leads", None, 200).await;
    assert_eq!(leads["leads"].as_array().unwrap().len(), 1);
    assert_eq!(leads["leads"][0]["phone"], "555 0100");
}

#[tokio::test]
async fn security_txt_is_as_its_standard_has_it() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    for host in ["localhost".to_owned(), company.host()] {
        let response = stand.http(&host, Method::GET, "/.well-known/security.txt").send().await.unwrap();
        assert_eq!(response.status(), 200, "{host}");
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        let text = response.text().await.unwrap();
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let value = lines.next().unwrap_or_else(|| panic!("no {name} in {text}")).to_owned();
            assert!(lines.next().is_none(), "{name} twice in {text}");
            value
        };
        // RFC 9116, section 2.5: Contact and Expires must be there, Expires once and in the future.
        assert_eq!(field("Contact"), "mailto:security@localhost");
        let expires = field("Expires");
        assert!(expires.ends_with("T00:00:00Z") && expires[..10] > *"2026-11-24", "{expires}");
        assert_eq!(field("Canonical"), format!("{}/.well-known/security.txt", stand.root_url));
    }
}
