//! The dashboard's pages by which a company is set up: what is shown before it is saved, and what a form can say.

use bulkhead_tests::company::{Company, with};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

/// Sends a page's form; gives the answer.
async fn send(company: &Company, path: &str, fields: &Value) -> reqwest::Response {
    with(company.request(&company.owner, Method::POST, path), path, fields).send().await.unwrap()
}

async fn status(company: &Company, path: &str) -> u16 {
    company.stand.http(&company.host(), Method::GET, path).send().await.unwrap().status().as_u16()
}

async fn html(company: &Company, path: &str) -> String {
    company.stand.http(&company.host(), Method::GET, path).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_preview_is_the_site_s_own_page_saves_nothing_and_runs_nothing() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let before = acme.fingerprint().await;
    let evil = "# Hello **you**\n<script>alert(1)</script> ![](https://evil.example/x.png)";
    for page in ["", "home", "news"] {
        let path = format!("/dashboard/site-preview?page={page}");
        let answer = send(&acme, &path, &json!({ "title": "Unheard <b>of", "body": evil })).await;
        assert_eq!(answer.status(), 200, "{page}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("script-src 'none'") && policy.contains("frame-ancestors 'self'"),
            "{policy}"
        );
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let html = answer.text().await.unwrap();
        assert!(
            html.contains("Unheard &#60;b&#62;of") && html.contains("<h2>Hello <strong>you</strong></h2>"),
            "{html}"
        );
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        assert_eq!(html.contains("Services and prices"), page == "home");
    }
    let answer =
        send(&acme, "/dashboard/widget-preview", &json!({ "accent_color": "#ffee00", "side": "left" })).await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'") && policy.contains("frame-ancestors 'self'"), "{policy}");
    let html = answer.text().await.unwrap();
    // What is written on the colour can be read.
    assert!(
        html.contains("[&#34;#ffee00&#34;,&#34;#000000&#34;") && html.contains("&#34;left&#34;"),
        "{html}"
    );
    let wrong = send(&acme, "/dashboard/widget-preview", &json!({ "accent_color": "red" })).await;
    assert_eq!(wrong.status(), 200);
    let wrong = wrong.text().await.unwrap();
    assert!(wrong.contains("The colour is written as in #0f6ab4.") && !wrong.contains("<script"), "{wrong}");
    assert_eq!(acme.fingerprint().await, before);
    // No other page may be held in a frame, and pages that hold frames hold their own host's.
    let page = acme.request(&acme.owner, Method::GET, "/dashboard/site").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn a_page_is_hidden_shown_and_moved() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let menu = async || -> Vec<String> {
        let pages = acme.owner(Method::GET, "/v1/pages", None, 200).await;
        let slugs =
            pages["pages"].as_array().unwrap().iter().map(|page| page["slug"].as_str().unwrap().to_owned());
        slugs.filter(|slug| slug != "home").collect()
    };
    let id = async |slug: &str| -> String {
        let pages = acme.owner(Method::GET, "/v1/pages", None, 200).await;
        let pages = pages["pages"].as_array().unwrap();
        pages.iter().find(|page| page["slug"] == slug).unwrap()["page_id"].as_str().unwrap().to_owned()
    };
    let before = menu().await;
    let page = format!("/dashboard/site/{}", id(&before[2]).await);
    let public = format!("/pages/{}", before[2]);
    assert_eq!(status(&acme, &public).await, 200);
    assert_eq!(send(&acme, &page, &json!({ "shown": false })).await.status(), 303);
    assert_eq!(status(&acme, &public).await, 404);
    for address in ["/", "/sitemap.xml", &format!("/pages/{}", before[0])] {
        assert!(!html(&acme, address).await.contains(&format!("{public}\"")), "{address}");
        assert!(!html(&acme, address).await.contains(&format!("{public}<")), "{address}");
    }
    assert_eq!(send(&acme, &page, &json!({ "shown": true })).await.status(), 303);
    assert_eq!(status(&acme, &public).await, 200);
    // To each place and back; the others keep their order.
    for place in [0, 1, before.len() - 1, 2] {
        assert_eq!(send(&acme, &page, &json!({ "place": place })).await.status(), 303);
        let mut expected = before.clone();
        let moved = expected.remove(2);
        expected.insert(place, moved);
        assert_eq!(menu().await, expected, "to {place}");
    }
    // The front page is in no menu, and hidden it leaves what the company sells.
    let home = format!("/dashboard/site/{}", id("home").await);
    assert_eq!(send(&acme, &home, &json!({ "title": "Mark of the front page" })).await.status(), 303);
    assert!(html(&acme, "/").await.contains("Mark of the front page"));
    assert_eq!(send(&acme, &home, &json!({ "shown": false, "place": 3 })).await.status(), 303);
    let front = html(&acme, "/").await;
    assert!(!front.contains("Mark of the front page") && front.contains("Services and prices"), "{front}");
    assert_eq!(menu().await, before);
}

#[tokio::test]
async fn a_week_and_colleagues_are_given_as_numbered_things() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let hours = async || acme.owner(Method::GET, "/v1/hours", None, 200).await["hours"].clone();
    let week = "hours=&hours.1.weekday=1&hours.1.opens%3Aoptional=08:00&hours.1.closes%3Aoptional=12:00\
                &hours.2.weekday=1&hours.2.opens%3Aoptional=13:00&hours.2.closes%3Aoptional=00:00\
                &hours.3.weekday=2&hours.3.opens%3Aoptional=&hours.3.closes%3Aoptional=";
    let post = async |path: &str, body: &str| {
        let request = acme.request(&acme.owner, Method::POST, path);
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(post("/dashboard/hours", week).await.0, 303);
    let open = json!([
        { "weekday": 1, "opens": "08:00", "closes": "12:00" },
        { "weekday": 1, "opens": "13:00", "closes": "24:00" },
    ]);
    assert_eq!(hours().await, open);
    // Half a stretch is none, and said.
    let (code, page) = post(
        "/dashboard/hours",
        &week.replace("hours.3.opens%3Aoptional=", "hours.3.opens%3Aoptional=09:00"),
    )
    .await;
    assert!(code == 400 && page.contains("times such as 08:00"), "{page}");
    assert_eq!(hours().await, open);
    // Closed all week.
    assert_eq!(post("/dashboard/hours", "hours=&hours.1.weekday=1&hours.1.opens%3Aoptional=").await.0, 303);
    assert_eq!(hours().await, json!([]));

    let agents = acme.owner(Method::GET, "/v1/agents", None, 200).await;
    let agent = format!("/v1/agents/{}", agents["agents"][0]["agent_id"].as_str().unwrap());
    let form = agent.replace("/v1/", "/dashboard/");
    let body = "handoffs=&handoffs.1.agent=sales&handoffs.1.reason%3Aoptional=it+is+about+money\
                &handoffs.2.agent=scheduling&handoffs.2.reason%3Aoptional=&starters%3Alines=One%0D%0ATwo";
    assert_eq!(post(&form, body).await.0, 303);
    let changed = acme.owner(Method::GET, &agent, None, 200).await;
    assert_eq!(changed["handoffs"], json!([{ "agent": "sales", "reason": "it is about money" }]));
    assert_eq!(changed["starters"], json!(["One", "Two"]));
    assert_eq!(post(&form, "handoffs=&handoffs.1.agent=sales&handoffs.1.reason%3Aoptional=").await.0, 303);
    assert_eq!(acme.owner(Method::GET, &agent, None, 200).await["handoffs"], json!([]));
}

#[tokio::test]
async fn a_lead_s_page_keeps_what_somebody_may_not_read() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let visitor = acme.visitor().await;
    let events = visitor.ask("Do you fix leaks in the observatory?").await;
    let conversation = events[0].data["conversation_id"].as_str().unwrap().to_owned();
    let lead = json!({ "name": "Vera", "phone": "555 0100", "conversation_id": conversation });
    let made = acme.call(&visitor.token, Method::POST, "/v1/leads", Some(lead)).await.1;
    let page = format!("/dashboard/leads/{}", made["lead_id"].as_str().unwrap());
    let note = format!("/dashboard/inbox/{conversation}/notes?lead={}", made["lead_id"].as_str().unwrap());
    let noted = send(&acme, &note, &json!({ "body": "Has a dome." })).await;
    assert_eq!(noted.headers()["location"].to_str().unwrap(), format!("{page}?done=noted"));
    let contacts = acme.owner(Method::GET, "/v1/contacts", None, 200).await;
    assert_eq!(
        (&contacts["contacts"][0]["phone"], &contacts["contacts"][0]["leads"]),
        (&json!("555 0100"), &json!(1))
    );
    let csv = acme.call(&acme.owner, Method::GET, "/dashboard/contacts/export", None).await.1;
    assert!(
        csv.as_str().unwrap().starts_with("created_at,name,phone,email,leads\r\n")
            && csv.to_string().contains("Vera")
    );
    let member = acme.person("member").await;
    let member = acme.sign_in(&member.email).await.0;
    let read = async || acme.call(&member, Method::GET, &page, None).await.1.as_str().unwrap().to_owned();
    let html = read().await;
    assert!(
        html.contains("555 0100") && html.contains("observatory") && html.contains("Has a dome."),
        "{html}"
    );
    let denied = json!({ "role": "member", "permission": "conversations.read", "allowed": false });
    acme.owner(Method::PATCH, "/v1/roles", Some(denied), 200).await;
    let html = read().await;
    assert!(html.contains("555 0100") && !html.contains("observatory") && !html.contains("dome"), "{html}");
}

#[tokio::test]
async fn the_plan_says_what_it_allows_and_what_is_used() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    acme.provider("openai", "test-ok-plan").await;
    acme.visitor().await.ask("Do you fix leaks?").await;
    let plan = acme.owner(Method::GET, "/v1/plan", None, 200).await;
    assert_eq!((&plan["plan"], &plan["monthly_tokens"]), (&json!("starter"), &json!(5_000_000)));
    let budget = acme.owner(Method::GET, "/v1/budget", None, 200).await;
    assert!(plan["month_tokens"].as_u64() > Some(0));
    assert_eq!(plan["month_tokens"], budget["month_tokens"]);
    let (_, html) = acme.call(&acme.owner, Method::GET, "/dashboard/plan", None).await;
    assert!(html.as_str().unwrap().contains("Starter: $89.00 a month"), "{html}");
}
