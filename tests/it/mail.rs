//! Mail to a company's people: what is sent, to whom, how often, and what is said where it cannot be.

use bulkhead_tests::company::{Company, PASSWORD, link_token, mails};
use bulkhead_tests::core::Core;
use bulkhead_tests::native::run;
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

async fn body(response: http::Response<bulkhead::platform::Body>) -> (u16, Value) {
    let (head, body) = response.into_parts();
    let bytes = body.collect(1 << 20).await.unwrap();
    (head.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

#[tokio::test]
async fn signing_up_mails_a_link_that_confirms_the_address_and_reading_it_changes_nothing() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let email = format!("owner@{}.example", acme.slug);
    let mail = acme.mails(&email, 1).await.remove(0);
    assert_eq!(mail["to"], json!([email]));
    assert_eq!(mail["from"], "Bulkhead <mail@localhost>");
    let token = link_token(&mail);
    let link = format!("http://{}:{}/dashboard/sign-in/email?token={token}", acme.host(), acme.stand.port);
    assert!(mail["text"].as_str().unwrap().contains(&link), "{mail}");
    assert!(mail["html"].as_str().unwrap().contains(&format!("href=\"{link}\"")), "{mail}");
    // Only the hash is kept.
    let kept = format!(
        "select token_hash = sha256('{token}'), to_jsonb(l)::text from account_links l where company_id = $1::text::uuid"
    );
    let kept = acme.rows(&kept).await;
    assert!(kept[0].get::<_, bool>(0) && !kept[0].get::<_, String>(1).contains(&token));

    let confirmed =
        async || acme.owner(Method::GET, "/v1/account", None, 200).await["email_verified"].clone();
    let before = acme.fingerprint().await;
    for _ in 0..3 {
        let path = format!("/dashboard/sign-in/email?token={token}");
        let page = acme.request("", Method::GET, &path).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()["referrer-policy"], "no-referrer");
        assert!(page.text().await.unwrap().contains(&email));
    }
    assert_eq!(acme.fingerprint().await, before, "a mail program that opens the link uses it");
    assert_eq!(confirmed().await, false);
    let using =
        async || acme.call("", Method::POST, "/v1/sign-in/email", Some(json!({ "token": token }))).await.0;
    assert_eq!(using().await, 204);
    assert_eq!(confirmed().await, true);
    assert_eq!(using().await, 410);
    acme.owner(Method::POST, "/v1/account/verification", None, 409).await;
}

#[tokio::test]
async fn nobody_writes_a_header_of_a_mail() {
    let stand = Stand::get();
    let slug = format!("s{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let email = format!("o@{slug}.example");
    let signup = json!({
        "company": "Acme\r\nBcc: all@evil.example\r\n\r\n<b>Hello</b>", "slug": slug, "industry": "plumbing", "name": "Olive\nOwner",
        "email": email, "password": PASSWORD,
    });
    let made = stand.http("localhost", Method::POST, "/v1/signup").json(&signup).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let mail = mails(stand, &email, 1).await.remove(0);
    let subject = mail["subject"].as_str().unwrap();
    assert!(subject.contains("Acme") && !subject.contains(['\r', '\n']), "{subject:?}");
    assert!(!mail["html"].as_str().unwrap().contains("<b>"), "{mail}");
    assert!(!mail["text"].as_str().unwrap().contains("\nBcc"), "{mail}");

    let acme = Company::new(stand, "plumbing").await;
    for email in [
        "a@b.example\r\nbcc: c@d.example",
        "a@b.example,c@d.example",
        "A <a@b.example>",
        "a@b.example;c@d.example",
        "\"a\"@b.example",
    ] {
        let body = json!({ "email": email, "role": "member" });
        let problem = acme.owner(Method::POST, "/v1/invitations", Some(body), 400).await;
        assert!(problem["detail"].as_str().unwrap().contains("e-mail address"), "{problem}");
        let (status, _) =
            acme.call("", Method::POST, "/v1/sign-in/reset", Some(json!({ "email": email }))).await;
        assert_eq!(status, 400, "{email}");
    }
    assert!(mails(stand, "c@d.example", 0).await.is_empty());
}

#[tokio::test]
async fn an_address_gets_five_mails_an_hour_of_a_company() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let email = format!("owner@{}.example", acme.slug);
    // The first came with signing up.
    acme.mails(&email, 1).await;
    for _ in 1..5 {
        acme.owner(Method::POST, "/v1/account/verification", None, 202).await;
    }
    acme.owner(Method::POST, "/v1/account/verification", None, 429).await;
    assert_eq!(acme.mails(&email, 5).await.len(), 5);
    // Another address is another matter.
    let body = json!({ "email": format!("new@{}.example", acme.slug), "role": "member" });
    acme.owner(Method::POST, "/v1/invitations", Some(body), 201).await;
}

#[tokio::test]
async fn a_link_is_asked_for_five_times_an_hour_whether_or_not_somebody_has_the_address() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    for email in [acme.person("member").await.email, format!("nobody@{}.example", acme.slug)] {
        let mut statuses = Vec::new();
        for _ in 0..6 {
            let body = json!({ "email": email });
            statuses.push(acme.call("", Method::POST, "/v1/sign-in/reset", Some(body)).await.0);
        }
        assert_eq!(statuses, [202, 202, 202, 202, 202, 429]);
    }
}

#[test]
fn where_no_mail_can_be_sent_that_is_said_with_what_to_do() {
    run(async {
        let core = Core::new(Stand::get());
        let acme = Company::new(core.stand, "plumbing").await;
        let owner = core.owner(&acme).await;
        for (token, path, sent) in [
            (&*owner, "/v1/invitations", json!({ "email": "new@acme.example", "role": "member" })),
            (&owner, "/v1/account/verification", json!({})),
            (&owner, "/v1/account/email", json!({ "email": "new@acme.example", "password": PASSWORD })),
            ("", "/v1/sign-in/reset", json!({ "email": "new@acme.example" })),
        ] {
            let (status, problem) = body(core.serve(&acme, "POST", path, token, Some(sent)).await).await;
            assert_eq!(status, 409, "{path}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains("MAIL_URL"), "{path}: {problem}");
        }
        for path in ["/dashboard/team", "/dashboard/sessions", "/dashboard/sign-in/reset"] {
            let response = core.serve(&acme, "GET", path, &owner, None).await;
            let bytes = response.into_body().collect(1 << 20).await.unwrap();
            assert!(String::from_utf8_lossy(&bytes).contains("MAIL_URL"), "{path}");
        }
    });
}

#[test]
fn a_mail_that_cannot_be_handed_in_is_told_to_the_operator_without_its_address() {
    run(async {
        // Nobody listens there.
        let core = Core::posting(Stand::get(), "http://127.0.0.1:9");
        let acme = Company::new(core.stand, "plumbing").await;
        let owner = core.owner(&acme).await;
        core.native.take_lines();
        let invite = json!({ "email": "secret-person@acme.example", "role": "member" });
        let (status, problem) =
            body(core.serve(&acme, "POST", "/v1/invitations", &owner, Some(invite)).await).await;
        assert_eq!(status, 503, "{problem}");
        let person = acme.person("member").await;
        let reset = json!({ "email": person.email });
        let (status, _) = body(core.serve(&acme, "POST", "/v1/sign-in/reset", "", Some(reset)).await).await;
        assert_eq!(status, 202, "whether it can be sent is not said either");
        core.native.idle().await;
        let lines = core.native.take_lines().join("\n");
        assert!(lines.contains("mail not sent") && lines.contains("mail: "), "{lines}");
        assert!(!lines.contains("secret-person") && !lines.contains(&person.email), "{lines}");
    });
}
