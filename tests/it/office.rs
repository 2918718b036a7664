//! The office: what a company has from its first minute, all of it read and changed over HTTP.

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_company_has_all_that_it_works_with() {
    for industry in ["plumbing", "chiropractic", "hvac"] {
        let company = Company::new(Stand::get(), industry).await;
        let (mut rows, mut kinds) = (0, 0);
        // What signing in leaves is not what it begins with.
        for table in company.tables().await.iter().filter(|table| *table != "sessions") {
            let count =
                company.rows(&format!("select from {table} where company_id = $1::text::uuid")).await.len();
            rows += count;
            kinds += usize::from(count > 0);
        }
        assert!(rows >= 700 && kinds >= 30, "{industry}: {rows} rows of {kinds} kinds");
    }
}

#[tokio::test]
async fn each_list_is_read() {
    let company = Company::new(Stand::get(), "florist").await;
    for (path, list, least) in [
        ("/v1/pipeline", "stages", 5),
        ("/v1/labels", "labels", 8),
        ("/v1/replies", "replies", 30),
        ("/v1/follow-ups", "steps", 8),
        ("/v1/notifications", "notifications", 20),
        ("/v1/checklist", "items", 30),
        ("/v1/appointment-types", "appointment_types", 12),
        ("/v1/services", "services", 12),
        ("/v1/payment-methods", "payment_methods", 4),
        ("/v1/terms", "terms", 20),
        ("/v1/contexts", "contexts", 4),
        ("/v1/pages", "pages", 8),
        ("/v1/lead-questions", "questions", 4),
        ("/v1/quick-replies", "quick_replies", 4),
        ("/v1/roles", "permissions", 40),
        ("/v1/hours", "closures", 4),
    ] {
        let value = company.owner(Method::GET, path, None, 200).await;
        let count = value[list].as_array().unwrap().len();
        assert!(count >= least, "{path}: {count}");
    }
}

#[tokio::test]
async fn an_agent_s_kit_is_replaced_by_what_is_given() {
    let company = Company::new(Stand::get(), "florist").await;
    let agents = company.owner(Method::GET, "/v1/agents", None, 200).await;
    for agent in agents["agents"].as_array().unwrap() {
        for kit in ["tools", "starters", "handoffs"] {
            assert!(!agent[kit].as_array().unwrap().is_empty(), "{} has no {kit}", agent["slug"]);
        }
    }
    let agent = &agents["agents"][0];
    let path = format!("/v1/agents/{}", agent["agent_id"].as_str().unwrap());
    let to = |agent: &str| json!({ "agent": agent, "reason": "it is about money" });
    let kit = json!({ "tools": ["hand_over"], "handoffs": [to("sales"), to("nobody")] });
    let changed = company.owner(Method::PATCH, &path, Some(kit), 200).await;
    assert_eq!(changed["tools"], json!(["hand_over"]));
    assert_eq!(changed["handoffs"], json!([to("sales")]));
    assert_eq!(changed["starters"], agent["starters"]);
    company.owner(Method::PATCH, &path, Some(json!({ "tools": ["Hand over"] })), 400).await;
}

#[tokio::test]
async fn a_lead_goes_its_way_and_its_words_say_what_it_is_about() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let visitor = company.visitor().await;
    let body = json!({ "name": "Vera", "phone": "555 0100", "message": "How much would it cost? It is an emergency!" });
    let (status, made) = company.call(&visitor.token, Method::POST, "/v1/leads", Some(body)).await;
    assert_eq!(status, 201, "{made}");
    let lead = company.owner(Method::GET, "/v1/leads", None, 200).await["leads"][0].clone();
    for (field, expected) in [("stage", json!("new")), ("status", json!("new")), ("stale", json!(false))] {
        assert_eq!(lead[field], expected, "{field}");
    }
    assert_eq!(lead["labels"], json!(["Urgent", "Wants a price"]));
    let path = format!("/v1/leads/{}", lead["lead_id"].as_str().unwrap());
    for (stage, status) in
        [("estimate", "contacted"), ("booked", "won"), ("declined", "lost"), ("new", "new")]
    {
        let moved = company.owner(Method::PATCH, &path, Some(json!({ "stage": stage })), 200).await;
        assert_eq!((&moved["stage"], &moved["status"]), (&json!(stage), &json!(status)));
    }
    let problem = company.owner(Method::PATCH, &path, Some(json!({ "stage": "nowhere" })), 400).await;
    assert!(problem["detail"].as_str().unwrap().contains("/v1/pipeline"), "{problem}");
    // One that waits too long says so.
    let ago =
        "update leads set moved_at = now() - interval '3 days' where company_id = $1::text::uuid returning 1";
    company.rows(ago).await;
    assert_eq!(company.owner(Method::GET, "/v1/leads", None, 200).await["leads"][0]["stale"], true);
}

#[tokio::test]
async fn facts_are_confirmed_by_being_given_and_prices_with_their_service() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let item = async |slug: &str| -> Value {
        let items = company.owner(Method::GET, "/v1/checklist", None, 200).await;
        items["items"].as_array().unwrap().iter().find(|item| item["slug"] == slug).unwrap().clone()
    };
    let path = format!("/v1/checklist/{}", item("phone").await["item_id"].as_str().unwrap());
    // A fact without a value is not confirmed, however often one says so.
    for (change, confirmed) in [
        (json!({ "done": true }), false),
        (json!({ "value": "555 0199" }), true),
        (json!({ "value": "" }), false),
        (json!({ "value": "555 0199", "done": false }), false),
    ] {
        let changed = company.owner(Method::PATCH, &path, Some(change.clone()), 200).await;
        assert_eq!(changed["done_at"].is_string(), confirmed, "{change}: {changed}");
    }
    let services = company.owner(Method::GET, "/v1/services", None, 200).await;
    let service = &services["services"][0];
    let price = format!("price-{}", service["slug"].as_str().unwrap());
    assert!(item(&price).await["done_at"].is_null());
    let path = format!("/v1/services/{}", service["service_id"].as_str().unwrap());
    let change = json!({ "price_from_cents": 12_345 });
    let changed = company.owner(Method::PATCH, &path, Some(change), 200).await;
    assert_eq!((&changed["price_to_cents"], &changed["origin"]), (&Value::Null, &json!("company")));
    let priced = item(&price).await;
    assert!(priced["done_at"].is_string() && priced["value"] == "$123.45", "{priced}");
    for wrong in [
        json!({ "price_to_cents": 5 }),
        json!({ "price_from_cents": 9, "price_to_cents": 8 }),
        json!({ "name": "" }),
    ] {
        company.owner(Method::PATCH, &path, Some(wrong), 400).await;
    }
}

#[tokio::test]
async fn a_permission_takes_away_and_never_gives() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let person = company.person("member").await;
    let (member, _) = company.sign_in(&person.email).await;
    let get = async |path: &str| company.call(&member, Method::GET, path, None).await.0;
    let set = async |role: &str, permission: &str, allowed: bool, expected: u16| {
        let body = json!({ "role": role, "permission": permission, "allowed": allowed });
        company.owner(Method::PATCH, "/v1/roles", Some(body), expected).await
    };
    assert_eq!(get("/v1/leads").await, 200);
    set("member", "leads.read", false, 200).await;
    assert_eq!(get("/v1/leads").await, 403);
    assert_eq!(get("/v1/knowledge").await, 200, "only what was taken is gone");
    set("member", "leads.read", true, 200).await;
    assert_eq!(get("/v1/leads").await, 200);
    // What the route does not give to members, no permission does.
    set("member", "providers.read", true, 200).await;
    assert_eq!(get("/v1/providers").await, 403);
    // An owner cannot lock themselves out, nor name what there is not.
    set("owner", "roles.write", false, 400).await;
    set("member", "everything.write", true, 400).await;
    // Another company's roles are its own.
    set("admin", "agents.read", false, 200).await;
    let other = Company::new(Stand::get(), "plumbing").await;
    let admin = other.person("admin").await;
    let (token, _) = other.sign_in(&admin.email).await;
    assert_eq!(other.call(&token, Method::GET, "/v1/agents", None).await.0, 200);
}

#[tokio::test]
async fn a_week_is_changed_whole() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let on = |weekday: u32, opens: &str, closes: &str| json!({ "weekday": weekday, "opens": opens, "closes": closes });
    let tuesday = json!({ "hours": [on(2, "13:00", "24:00"), on(2, "08:00", "12:00")] });
    let changed = company.owner(Method::PATCH, "/v1/hours", Some(tuesday), 200).await;
    assert_eq!(changed["hours"], json!([on(2, "08:00", "12:00"), on(2, "13:00", "24:00")]));
    for wrong in [
        vec![on(8, "08:00", "12:00")],
        vec![on(1, "12:00", "08:00")],
        vec![on(1, "08:00", "12:00"), on(1, "11:00", "13:00")],
        vec![on(1, "8", "12:00")],
    ] {
        company.owner(Method::PATCH, "/v1/hours", Some(json!({ "hours": wrong })), 400).await;
    }
    let closures = company.owner(Method::GET, "/v1/hours", None, 200).await;
    let first = &closures["closures"][0];
    let path = format!("/v1/closures/{}", first["closure_id"].as_str().unwrap());
    company.owner(Method::DELETE, &path, None, 204).await;
    company.owner(Method::DELETE, &path, None, 404).await;
    let again = json!({ "day": first["day"], "name": "Closed after all" });
    company.owner(Method::POST, "/v1/closures", Some(again.clone()), 201).await;
    company.owner(Method::POST, "/v1/closures", Some(again), 409).await;
}

/// Against calendars that are printed.
#[tokio::test]
async fn holidays_fall_where_the_calendar_says() {
    let company = Company::new(Stand::get(), "plumbing").await;
    for (from, rule, expected) in [
        ("2026-01-01", "11, null, 4, 4", "2026-11-26"),
        ("2026-11-26", "11, null, 4, 4", "2026-11-26"),
        ("2026-11-27", "11, null, 4, 4", "2027-11-25"),
        ("2026-01-01", "5, null, 1, 5", "2026-05-25"),
        ("2027-01-01", "5, null, 1, 5", "2027-05-31"),
        ("2026-01-01", "9, null, 1, 1", "2026-09-07"),
        ("2026-12-25", "12, 25, null, null", "2026-12-25"),
        ("2026-12-26", "12, 25, null, null", "2027-12-25"),
    ] {
        let sql = format!("select next_holiday('{from}', {rule})::text where $1::text is not null");
        assert_eq!(company.rows(&sql).await[0].get::<_, String>(0), expected, "{from}: {rule}");
    }
}

#[tokio::test]
async fn each_page_is_there_and_says_what_was_written() {
    let company = Company::new(Stand::get(), "florist").await;
    let read = async |path: &str| {
        let response = company.request("", Method::GET, path).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (_, home) = read("/").await;
    let pages = company.owner(Method::GET, "/v1/pages", None, 200).await;
    for page in pages["pages"].as_array().unwrap() {
        let path = format!("/pages/{}", page["slug"].as_str().unwrap());
        let (status, text) = read(&path).await;
        // The front page has one address.
        let expected = if path == "/pages/home" { 404 } else { 200 };
        assert_eq!(status, expected, "{path}");
        assert_eq!(home.contains(&format!("{path}\"")), expected == 200, "{path}");
        assert!(!text.contains("|---"), "{path} shows a table's dashes");
    }
    let evil = json!({
        "slug": "evil", "title": "<b>x</b>", "body": "| <script>a</script> | b |\n|---|---|\n| <img src=x> | d |",
    });
    company.owner(Method::POST, "/v1/pages", Some(evil), 201).await;
    let (_, text) = read("/pages/evil").await;
    assert!(text.contains("<table") && !text.contains("<script>a") && !text.contains("<img"), "{text}");
}
