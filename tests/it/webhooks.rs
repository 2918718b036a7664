//! Webhooks and mails from the outbox: what a real receiver is told, signed how, and what nobody is told.

mod delivery;

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding};
use bulkhead_tests::company::{Company, PASSWORD, event};
use bulkhead_tests::core::{CRON_TOKEN, Core, read};
use bulkhead_tests::native::{alone, run};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::website::Page;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use serde_json::{Value, json};
use sha2::Sha256;

/// A company with a webhook at a path of its own, which answers as the test wants it.
struct Ground {
    core: Core,
    acme: Company,
    owner: String,
    visitor: String,
    path: String,
    webhook: String,
    secret: String,
}

impl Ground {
    async fn new(events: &[&str], page: Page) -> Self {
        Self::with(Core::new(Stand::get()), events, page).await
    }

    async fn with(core: Core, events: &[&str], page: Page) -> Self {
        let acme = Company::new(core.stand, "plumbing").await;
        let (owner, visitor) = (core.owner(&acme).await, core.visitor(&acme).await);
        let path = format!("/site/{}", uuid::Uuid::new_v4());
        core.stand.website.put(&path, page);
        let new = json!({ "url": core.stand.website.url(&path), "events": events });
        let (status, made) = core.call(&acme, "POST", "/v1/webhooks", &owner, Some(new)).await;
        assert_eq!(status, 201, "{made}");
        let webhook = made["webhook"]["webhook_id"].as_str().unwrap().to_owned();
        let secret = made["secret"].as_str().unwrap().to_owned();
        Self { core, acme, owner, visitor, path, webhook, secret }
    }

    fn answers(&self, page: Page) {
        self.core.stand.website.put(&self.path, page);
    }

    fn received(&self) -> Vec<(HeaderMap, Bytes)> {
        let received = self.core.stand.website.received(&self.path);
        received.into_iter().map(|(_, headers, body)| (headers, body)).collect()
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>, expected: u16) -> Value {
        let token =
            if path == "/v1/leads" || path.ends_with("/hand-over") { &self.visitor } else { &self.owner };
        let (status, answer) = self.core.call(&self.acme, method, path, token, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
        answer
    }

    /// Leaves a lead, and waits until all that follows from it is done.
    async fn lead(&self, name: &str) {
        let lead = json!({ "name": name, "phone": "555 0100", "message": "A leak." });
        self.call("POST", "/v1/leads", Some(lead), 201).await;
        self.core.native.idle().await;
    }

    /// The operator's round, beginning with this company.
    async fn round(&self) {
        self.go_round(false).await;
    }

    /// The same, of each minute: only to those with something due.
    async fn round_of_due(&self) {
        self.go_round(true).await;
    }

    async fn go_round(&self, due: bool) {
        let before = uuid::Uuid::from_u128(uuid::Uuid::parse_str(&self.acme.id).unwrap().as_u128() - 1);
        let bearer = format!("Bearer {CRON_TOKEN}");
        let after = Some(json!({ "after": before, "due": due }));
        let headers = [("authorization", bearer.as_str())];
        let response = self.core.serve_with("localhost", "POST", "/v1/cron", &headers, after).await;
        assert_eq!(response.status(), 200);
        self.core.native.idle().await;
    }

    /// What waits is due now.
    async fn due(&self) {
        let sql = "update outbox set next_at = now() where company_id = $1::text::uuid and next_at is not null returning 1";
        self.acme.rows(sql).await;
    }

    /// It is due since so many minutes.
    async fn due_since(&self, minutes: usize) {
        let sql = format!(
            "update outbox set next_at = now() - interval '{minutes} minutes' where company_id = $1::text::uuid returning 1"
        );
        self.acme.rows(&sql).await;
    }

    async fn deliveries(&self, narrowed: &str) -> Vec<Value> {
        let path = format!("/v1/webhooks/{}/deliveries{narrowed}", self.webhook);
        self.call("GET", &path, None, 200).await["deliveries"].as_array().unwrap().clone()
    }

    async fn waits(&self) -> i64 {
        let sql = "select count(*) from outbox where company_id = $1::text::uuid and next_at is not null";
        self.acme.rows(sql).await[0].get(0)
    }
}

/// What is signed for, as whoever receives it works it out.
fn signature(secret: &str, headers: &HeaderMap, body: &[u8]) -> String {
    let key = Base64::decode_vec(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let text = |name: &str| headers[name].to_str().unwrap();
    let signed = format!("{}.{}.", text("webhook-id"), text("webhook-timestamp"));
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(signed).chain_update(body);
    format!("v1,{}", Base64::encode_string(&mac.finalize().into_bytes()))
}

fn ids(received: &[(HeaderMap, Bytes)]) -> BTreeSet<String> {
    received.iter().map(|(headers, _)| headers["webhook-id"].to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_lead_is_told_once_and_signed_and_its_secret_is_never_shown_again() {
    alone(async {
        let ground = Ground::new(&["lead.new"], Page::Status(204)).await;
        ground.lead("Vera").await;
        let received = ground.received();
        let [(headers, body)] = &received[..] else { panic!("{received:?}") };
        assert_eq!(headers["webhook-signature"], signature(&ground.secret, headers, body).as_str());
        assert_eq!(headers["content-type"], "application/json");
        let told: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(told["type"], "lead.new");
        assert_eq!(told["data"]["name"], "Vera");
        assert_eq!(told["data"]["phone"], "555 0100");
        assert_eq!(told["data"]["message"], "A leak.");
        assert_eq!(told["data"]["email"], Value::Null);
        assert!(
            !String::from_utf8_lossy(body).contains(&ground.acme.id),
            "the company's id is nobody's business"
        );
        let [delivery] = &ground.deliveries("?state=delivered").await[..] else { panic!("not delivered") };
        assert_eq!((&delivery["attempts"], &delivery["last_status"]), (&json!(1), &json!(204)));
        ground.round().await;
        assert_eq!(ground.received().len(), 1);

        let shown = ground.call("GET", "/v1/webhooks", None, 200).await;
        assert!(!shown.to_string().contains(&ground.secret[6..]) && shown["webhooks"][0]["secret"].is_null());
        let renew = format!("/v1/webhooks/{}/secret", ground.webhook);
        let renewed = ground.call("POST", &renew, None, 201).await["secret"].as_str().unwrap().to_owned();
        assert_ne!(renewed, ground.secret);
        ground.lead("Walter").await;
        let (headers, body) = ground.received().pop().unwrap();
        assert_eq!(headers["webhook-signature"], signature(&renewed, &headers, &body).as_str());
        // What it did not ask for it is not told.
        let only = json!({ "events": ["conversation.closed"] });
        ground.call("PATCH", &format!("/v1/webhooks/{}", ground.webhook), Some(only), 200).await;
        ground.lead("Xenia").await;
        assert_eq!(ground.received().len(), 2);
    });
}

#[test]
fn no_webhook_leads_into_an_inner_network_or_back_here() {
    run(async {
        let ground = Ground::new(&["lead.new"], Page::Status(200)).await;
        let here = format!("https://{}", ground.acme.host());
        let refused = [
            "",
            "http://example.com/",
            "https://localhost/",
            "https://127.0.0.1/",
            "https://10.0.0.1/x",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://metadata.google.internal/",
            "https://printer.local/",
            "https://user:secret@example.com/",
            "https://example.com:8443/",
            "https://ex\u{e4}mple.com/",
            "file:///etc/passwd",
            "ftp://example.com/",
            "https://exa mple.com/",
            &here,
            "http://127.0.0.1:1/",
        ];
        for url in refused {
            let new = json!({ "url": url, "events": ["lead.new"] });
            ground.call("POST", "/v1/webhooks", Some(new), 400).await;
            let change = json!({ "url": url });
            ground.call("PATCH", &format!("/v1/webhooks/{}", ground.webhook), Some(change), 400).await;
        }
        for events in [json!([]), json!(["lead.old"]), json!(["webhook.test"])] {
            let new = json!({ "url": "https://www.acme.com/", "events": events });
            ground.call("POST", "/v1/webhooks", Some(new), 400).await;
        }
        // One that came into the database some other way.
        let sql =
            "update webhooks set url = 'http://127.0.0.1:1/' where company_id = $1::text::uuid returning 1";
        ground.acme.rows(sql).await;
        ground.lead("Vera").await;
        let [dead] = &ground.deliveries("?state=dead").await[..] else { panic!("it was tried") };
        assert_eq!(dead["last_error"], "its address may not be used");
    });
}

#[test]
fn a_test_says_what_came_of_it_and_is_not_tried_again() {
    alone(async {
        let ground = Ground::new(&["lead.new"], Page::Status(200)).await;
        let test = format!("/v1/webhooks/{}/test", ground.webhook);
        let done = ground.call("POST", &test, None, 200).await;
        assert_eq!((&done["state"], &done["event"]), (&json!("delivered"), &json!("webhook.test")));
        ground.answers(Page::Status(404));
        let done = ground.call("POST", &test, None, 200).await;
        assert_eq!((&done["state"], &done["last_error"]), (&json!("dead"), &json!("it answered 404")));
        ground.round().await;
        assert_eq!(ground.received().len(), 2);
        let webhook = ground.call("GET", &format!("/v1/webhooks/{}", ground.webhook), None, 200).await;
        assert_eq!(webhook["failing_since"], Value::Null, "a test is no failure");
    });
}

#[test]
fn conversations_are_told_of_once_and_trials_are_not() {
    run(async {
        let events = ["lead.new", "conversation.handed_over", "conversation.closed"];
        let ground = Ground::new(&events, Page::Status(200)).await;
        for trial in [true, false] {
            let ask = json!({ "message": "Do you fix leaks?" });
            let response =
                ground.core.serve(&ground.acme, "POST", "/v1/chat", &ground.visitor, Some(ask)).await;
            let events = read(response.into_body()).await;
            let conversation = event(&events, "start")["conversation_id"].as_str().unwrap().to_owned();
            let sql = format!(
                "update conversations set trial = {trial}
                 where company_id = $1::text::uuid and conversation_id = '{conversation}' returning 1"
            );
            ground.acme.rows(&sql).await;
            for _ in 0..2 {
                ground.call("POST", &format!("/v1/conversations/{conversation}/hand-over"), None, 200).await;
            }
            let lead = json!({ "name": "Vera", "phone": "555 0100", "conversation_id": conversation });
            ground.call("POST", "/v1/leads", Some(lead), 201).await;
            for _ in 0..2 {
                let close = json!({ "closed": true });
                ground.call("PATCH", &format!("/v1/conversations/{conversation}"), Some(close), 200).await;
            }
            ground.core.native.idle().await;
            let mut told: Vec<Value> =
                ground.deliveries("").await.iter().map(|one| one["event"].clone()).collect();
            told.sort_by_key(Value::to_string);
            let all = ["conversation.closed", "conversation.handed_over", "lead.new"].map(Value::from);
            assert_eq!(told, if trial { &[][..] } else { &all[..] });
        }
    });
}

#[test]
fn a_mail_goes_to_whom_the_settings_name_and_who_may_read_of_it_at_a_confirmed_address() {
    run(async {
        let stand = Stand::get();
        let ground =
            Ground::with(Core::posting(stand, &stand.mail_url), &["budget.spent"], Page::Status(200)).await;
        let email = format!("owner@{}.example", ground.acme.slug);
        let subjects = async |least: usize| -> Vec<String> {
            let mails = ground.acme.mails(&email, least).await;
            mails.iter().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect()
        };
        ground.lead("Early").await;
        assert_eq!(ground.waits().await, 0);
        let confirmed =
            "update users set email_verified_at = now() where company_id = $1::text::uuid returning 1";
        ground.acme.rows(confirmed).await;
        ground.lead("Vera\r\nBcc: all@evil.example").await;
        // The first one came with signing up.
        let mail = ground.acme.mails(&email, 2).await.remove(0);
        let (subject, text) = (mail["subject"].as_str().unwrap(), mail["text"].as_str().unwrap());
        assert!(subject.contains("wants to hear from you") && !subject.contains(['\r', '\n']), "{subject:?}");
        assert!(
            text.contains("555 0100") && text.contains("A leak.") && text.contains("/dashboard/leads"),
            "{text}"
        );
        let off = "update notification_settings set enabled = false
                   where company_id = $1::text::uuid and event = 'lead.new' and channel = 'email' returning 1";
        ground.acme.rows(off).await;
        ground.lead("Late").await;
        assert!(
            !subjects(2).await.iter().any(|subject| subject.contains("Early") || subject.contains("Late"))
        );

        // A colleague who may not read leads is not told of one either.
        let colleague = ground.acme.person("member").await;
        ground.acme.rows(&off.replace("false", "true")).await;
        ground.acme.rows(confirmed).await;
        let denied = "insert into role_permissions (company_id, role, permission, allowed)
                      values ($1::text::uuid, 'member', 'leads.read', false)
                      on conflict (company_id, role, permission) do update set allowed = false returning 1";
        ground.acme.rows(denied).await;
        ground.lead("Walter").await;
        assert!(subjects(3).await[0].contains("Walter"));
        assert!(ground.acme.mails(&colleague.email, 0).await.is_empty());
    });
}

#[test]
fn who_may_not_read_something_gets_nothing_of_it_through_a_webhook() {
    run(async {
        let ground = Ground::new(&["lead.new"], Page::Status(200)).await;
        ground.lead("Vera").await;
        let colleague = ground.acme.person("admin").await;
        let login = json!({ "email": colleague.email, "password": PASSWORD });
        let (status, login) = ground.core.call(&ground.acme, "POST", "/v1/login", "", Some(login)).await;
        assert_eq!(status, 200, "{login}");
        let token = login["access_token"].as_str().unwrap().to_owned();
        let call = async |method: &str, path: &str, body: Option<Value>| {
            ground.core.call(&ground.acme, method, path, &token, body).await
        };
        let (path, deliveries) = (
            format!("/v1/webhooks/{}", ground.webhook),
            format!("/v1/webhooks/{}/deliveries", ground.webhook),
        );
        let replay = |of: &Value| format!("/v1/deliveries/{}/replay", of["delivery_id"].as_str().unwrap());
        let url = ground.core.stand.website.url(&format!("{}/elsewhere", ground.path));
        let new = |events: &[&str]| Some(json!({ "url": url, "events": events }));
        let told = ground.deliveries("").await;
        for allowed in [true, false] {
            let role = json!({ "role": "admin", "permission": "leads.read", "allowed": allowed });
            ground.call("PATCH", "/v1/roles", Some(role), 200).await;
            let refused = |otherwise: u16| if allowed { otherwise } else { 403 };
            let (status, made) = call("POST", "/v1/webhooks", new(&["budget.spent", "lead.new"])).await;
            assert_eq!(status, refused(201), "{made}");
            if let Some(id) = made["webhook"]["webhook_id"].as_str() {
                ground.call("DELETE", &format!("/v1/webhooks/{id}"), None, 204).await;
            }
            // What it is told already leads nowhere else.
            let (status, changed) = call("PATCH", &path, Some(json!({ "url": url }))).await;
            assert_eq!(status, refused(200), "{changed}");
            let back = json!({ "url": ground.core.stand.website.url(&ground.path) });
            ground.call("PATCH", &path, Some(back), 200).await;
            assert_eq!(call("POST", &replay(&told[0]), None).await.0, refused(202));
            ground.core.native.idle().await;
            let (status, listed) = call("GET", &deliveries, None).await;
            assert_eq!((status, listed.to_string().contains("555 0100")), (200, allowed), "{listed}");
        }
        // Nor does what waits, when it is told no more of it.
        ground.answers(Page::Status(500));
        ground.lead("Walter").await;
        let only = json!({ "events": ["budget.spent"] });
        ground.call("PATCH", &path, Some(only), 200).await;
        assert_eq!(call("PATCH", &path, Some(json!({ "url": url }))).await.0, 403);
        let (status, made) = call("POST", "/v1/webhooks", new(&["budget.spent"])).await;
        assert_eq!(status, 201, "{made}");
        let own = format!("/v1/webhooks/{}", made["webhook"]["webhook_id"].as_str().unwrap());
        assert_eq!(call("PATCH", &own, Some(json!({ "events": ["lead.new"] }))).await.0, 403);
        assert_eq!(call("PATCH", &own, Some(json!({ "enabled": false }))).await.0, 200);
        assert!(ground.core.stand.website.requests(&format!("{}/elsewhere", ground.path)).is_empty());
    });
}

#[test]
fn the_highest_share_of_the_budget_that_is_passed_is_told_once() {
    run(async {
        let ground = Ground::new(&["budget.nearly_spent", "budget.spent"], Page::Status(200)).await;
        let key = format!("test-steps-{}", uuid::Uuid::new_v4().simple());
        ground.core.provider(&ground.acme, &key).await;
        let sets = async |limit: u32| {
            let limit = format!(
                "update budgets set daily_limit_microusd = {limit} where company_id = $1::text::uuid returning 1"
            );
            ground.acme.rows(&limit).await;
        };
        let told = || -> Vec<Value> {
            let bodies = ground.received().into_iter().map(|(_, body)| serde_json::from_slice(&body));
            bodies.collect::<Result<_, _>>().unwrap()
        };
        // The budget becomes smaller than the answer that is on its way.
        for limit in [1_000_000, 1, 1] {
            sets(1_000_000).await;
            ground.core.stand.upstream.hold(&key);
            let ask = Some(json!({ "message": "Do you fix leaks?" }));
            let response = ground.core.serve(&ground.acme, "POST", "/v1/chat", &ground.visitor, ask).await;
            sets(limit).await;
            ground.core.stand.upstream.step(&key, 1_000);
            assert_eq!(event(&read(response.into_body()).await, "done")["source"], "model");
            ground.core.native.idle().await;
            assert_eq!(told().len(), if limit > 1 { 0 } else { 1 });
        }
        // Half and four fifths were passed with it.
        let [told] = &told()[..] else { panic!("{:?}", told()) };
        assert_eq!((&told["type"], &told["data"]["percent"]), (&json!("budget.spent"), &json!(100)));
        assert_eq!((&told["data"]["period"], &told["data"]["allowed"]), (&json!("day"), &json!(1)));
        assert!(told["data"]["used"].as_u64().unwrap() >= 1, "{told}");
    });
}
