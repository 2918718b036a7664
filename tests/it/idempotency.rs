//! Idempotency keys: one key, one creation, one answer; whoever asks, however often, at once or one after the other.

use bulkhead::routes::{ROUTES, Route, Run};
use bulkhead_tests::company::{Company, with};
use bulkhead_tests::core::Core;
use bulkhead_tests::native::{Fault, Part, run};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use futures_util::future::join_all;
use http::Method;
use serde_json::{Value, json};

use super::access::office;

/// Routes that take a key, the table that shows what they made, and a body with a text of its own in it.
const CREATING: &[(&str, &str)] = &[
    ("/v1/agents", "agents"),
    ("/v1/api-keys", "api_keys"),
    ("/v1/invitations", "account_links"),
    ("/v1/knowledge", "knowledge_entries"),
    ("/v1/leads", "leads"),
    ("/v1/providers", "providers"),
    ("/v1/pipeline", "pipeline_stages"),
    ("/v1/labels", "labels"),
    ("/v1/replies", "message_templates"),
    ("/v1/closures", "closures"),
    ("/v1/services", "services"),
    ("/v1/terms", "glossary_terms"),
    ("/v1/pages", "site_pages"),
    ("/v1/lead-questions", "lead_questions"),
    ("/v1/quick-replies", "quick_replies"),
    ("/v1/webhooks", "webhooks"),
    ("/v1/domains", "domains"),
];

/// Those of them whose form shows a secret, to one of several that come at once.
const SHOWN_ONCE: &[&str] = &["/v1/api-keys", "/v1/webhooks"];

/// POST routes that make nothing a second time, or have a way of their own: each with why.
const OTHERS: &[(&str, &str)] = &[
    ("/v1/signup", "the company's id follows from the key: it/provisioning.rs"),
    ("/v1/visitor", "a token is signed, nothing is stored"),
    ("/signup", "the form's own key, as with /v1/signup: it/accounts.rs"),
    ("/enter", "a link is good once, and that must not be repeatable"),
    ("/v1/sign-in/reset", "each link takes the place of the one before"),
    ("/v1/sign-in/password", "a link is good once"),
    ("/v1/sign-in/email", "a link is good once"),
    ("/v1/sign-in/invitation", "a link is good once"),
    ("/v1/invitations/{id}/resend", "each link takes the place of the one before"),
    ("/v1/account/verification", "each link takes the place of the one before"),
    ("/v1/account/email", "each link takes the place of the one before"),
    ("/v1/support/{id}/end", "an end is an end: the next is told that there is none to end"),
    ("/v1/company/deletion", "harmless to repeat: the days begin anew"),
    ("/v1/account/totp", "each secret takes the place of the one before, until one is confirmed"),
    ("/v1/account/totp/confirm", "a code is good once"),
    ("/v1/account/totp/end", "a code is good once"),
    ("/v1/login", "a second session is a second sign-in"),
    ("/v1/token/refresh", "a refresh token is good once, and that must not be repeatable"),
    ("/v1/logout", "harmless to repeat"),
    ("/v1/chat", "a question is known by its own row, and its answer by it"),
    ("/v1/agents/{id}/try", "as /v1/chat: it/trials.rs"),
    ("/v1/conversations/{id}/hand-over", "harmless to repeat: people are told once"),
    ("/v1/identity", "harmless to repeat"),
    (
        "/v1/widget-settings/secret",
        "each takes the place of the one before; the next one mends a lost answer",
    ),
    ("/v1/cron", "harmless to repeat"),
    ("/v1/webhooks/{id}/secret", "each takes the place of the one before; the next one mends a lost answer"),
    ("/v1/webhooks/{id}/test", "says itself that nothing happened"),
    ("/v1/domains/{id}/verify", "harmless to repeat: the record is there or not"),
    ("/v1/deliveries/{id}/replay", "a delivery that waits goes on waiting; its receiver knows it by its id"),
    ("/v1/notices/{id}/seen", "harmless to repeat"),
    ("/v1/providers/{id}/test", "asks the provider and stores nothing but that it did"),
    ("/v1/templates/updates", "harmless to repeat"),
    ("/v1/knowledge/drafts/approve", "a draft is approved once, and no draft then"),
    ("/v1/knowledge/drafts/discard", "harmless to repeat"),
    ("/v1/knowledge/drafts/{id}/approve", "a draft is approved once, and no draft then"),
    ("/v1/knowledge/import", "the same text is a draft once: it/library.rs"),
    ("/v1/knowledge/import/website", "the same text is a draft once: it/library.rs"),
    ("/v1/unanswered/{id}/answer", "takes a key: it/library.rs"),
    ("/v1/unanswered/{id}/draft", "a question has one draft, whoever asks for it again: it/library.rs"),
    ("/v1/conversations/{id}/replies", "takes a key: it/inbox.rs"),
    ("/v1/conversations/{id}/notes", "takes a key: it/inbox.rs"),
];

fn body(path: &str) -> Value {
    let word = format!("w{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    match path {
        "/v1/agents" => {
            json!({ "slug": word, "name": "N", "role": "r", "instructions": "i", "tier": "fast" })
        }
        "/v1/invitations" => json!({ "email": format!("{word}@acme.example"), "role": "member" }),
        "/v1/api-keys" => json!({ "name": word, "scopes": ["models"] }),
        "/v1/knowledge" => json!({ "category": "faq", "question": word, "answer": "Because." }),
        "/v1/leads" => json!({ "name": word, "phone": "555 0100" }),
        "/v1/providers" => json!({ "kind": "openai", "name": word, "api_key": format!("test-ok-{word}") }),
        "/v1/lead-questions" => json!({ "question": word }),
        "/v1/quick-replies" => json!({ "body": word }),
        other => office("POST", other, &uuid::Uuid::new_v4().simple().to_string())
            .unwrap_or_else(|| panic!("{other} has no body here")),
    }
}

fn key() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A company, and a token that may use each of the routes.
struct Ground {
    company: Company,
    visitor: String,
}

impl Ground {
    async fn new() -> Self {
        let company = Company::new(Stand::get(), "plumbing").await;
        let visitor = company.visitor().await.token;
        Self { company, visitor }
    }

    fn token(&self, path: &str) -> &str {
        if path == "/v1/leads" { &self.visitor } else { &self.company.owner }
    }

    /// Status, JSON, and whether it says to be an answer given before.
    async fn post(&self, token: &str, path: &str, key: &str, body: &Value) -> (u16, Value, bool) {
        let request = self.company.request(token, Method::POST, path).header("idempotency-key", key);
        let response = request.json(body).send().await.unwrap();
        let replayed = response.headers().get("idempotency-replayed").is_some_and(|value| value == "true");
        (response.status().as_u16(), response.json().await.unwrap(), replayed)
    }

    async fn count(&self, table: &str) -> usize {
        self.company.rows(&format!("select from {table} where company_id = $1::text::uuid")).await.len()
    }
}

#[test]
fn every_route_that_creates_takes_a_key() {
    // A form has its key in itself: see below.
    let posts = |route: &&Route| {
        route.method == "POST" && !matches!(route.run, Run::Program(..)) && !route.for_browsers()
    };
    for route in ROUTES.iter().filter(posts) {
        let known = CREATING.iter().chain(OTHERS).any(|(path, _)| *path == route.path);
        assert!(known, "POST {}: does it take an Idempotency-Key? Say so here", route.path);
    }
}

#[tokio::test]
async fn the_same_request_again_is_answered_as_before_and_makes_nothing() {
    let ground = Ground::new().await;
    for (path, table) in CREATING {
        let (token, key, body) = (ground.token(path), key(), body(path));
        let before = ground.count(table).await;
        let (status, first, replayed) = ground.post(token, path, &key, &body).await;
        assert_eq!((status, replayed), (201, false), "{path}: {first}");
        for _ in 0..2 {
            let (status, again, replayed) = ground.post(token, path, &key, &body).await;
            assert_eq!((status, replayed), (201, true), "{path}: {again}");
            assert_eq!(again, first, "{path}");
        }
        assert_eq!(ground.count(table).await, before + 1, "{path}");
        // The key came with another request before.
        let other = self::body(path);
        let (status, problem, _) = ground.post(token, path, &key, &other).await;
        assert_eq!(status, 409, "{path}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains("another request"), "{path}: {problem}");
        assert_eq!(ground.count(table).await, before + 1, "{path}");
    }
    // Without a key, the same request twice is two.
    let body = body("/v1/knowledge");
    for _ in 0..2 {
        ground.company.owner(Method::POST, "/v1/knowledge", Some(body.clone()), 201).await;
    }
}

/// A form that is sent twice, one after the other or at once, creates once; a page loaded anew has another key.
#[tokio::test]
async fn a_form_pressed_twice_creates_once() {
    let ground = Ground::new().await;
    let owner = &ground.company.owner;
    let send = async |path: &str, fields: &Value| {
        let request = ground.company.request(owner, Method::POST, path);
        let response = with(request, path, fields).send().await.unwrap();
        let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (response.status().as_u16(), to.unwrap_or_default())
    };
    for (path, table) in CREATING.iter().filter(|(path, _)| {
        let form = path.replacen("/v1/", "/dashboard/", 1).replace("/pages", "/site");
        ROUTES.iter().any(|route| route.path == form && route.method == "POST")
    }) {
        let form = path.replacen("/v1/", "/dashboard/", 1).replace("/pages", "/site");
        let mut fields = body(path);
        fields[":key"] = key().into();
        let before = ground.count(table).await;
        let (status, to) = send(&form, &fields).await;
        let answers = join_all((0..4).map(|_| send(&form, &fields))).await;
        assert_eq!(ground.count(table).await, before + 1, "{form}: {answers:?}");
        assert!(
            answers.iter().all(|answer| *answer == (status, to.clone())),
            "{form}: {status} {to} {answers:?}"
        );
        // At once, with nothing before.
        let mut fields = body(path);
        fields[":key"] = key().into();
        let answers = join_all((0..4).map(|_| send(&form, &fields))).await;
        assert_eq!(ground.count(table).await, before + 2, "{form}: {answers:?}");
        let fine = |(status, _): &(u16, String)| [200, 303].contains(status) || SHOWN_ONCE.contains(path);
        assert!(answers.iter().all(fine), "{form}: {answers:?}");
    }
    // Of another page, the same fields are another form; so are other fields of the same page.
    let mut entry = body("/v1/knowledge");
    let before = ground.count("knowledge_entries").await;
    for (key, answer) in [("a", "One."), ("b", "One."), ("b", "Two."), ("b", "Two.")] {
        (entry[":key"], entry["answer"]) = (key.into(), answer.into());
        assert_eq!(send("/dashboard/knowledge", &entry).await.0, 303);
    }
    assert_eq!(ground.count("knowledge_entries").await, before + 3);
}

#[tokio::test]
async fn an_api_key_is_replayed_with_its_secret_and_never_stored_with_it() {
    let ground = Ground::new().await;
    let (key, body) = (key(), body("/v1/api-keys"));
    let owner = &ground.company.owner;
    let (_, first, _) = ground.post(owner, "/v1/api-keys", &key, &body).await;
    let (_, again, replayed) = ground.post(owner, "/v1/api-keys", &key, &body).await;
    assert!(replayed && first["key"].as_str().unwrap().starts_with("bk_"));
    assert_eq!(first, again);
    let stored =
        "select sealed_answer, to_jsonb(k)::text from idempotency_keys k where company_id = $1::text::uuid";
    let rows = ground.company.rows(stored).await;
    let (sealed, text): (Vec<u8>, String) = (rows[0].get(0), rows[0].get(1));
    let secret = first["key"].as_str().unwrap();
    assert!(
        !sealed.windows(8).any(|part| part == &secret.as_bytes()[..8]),
        "the answer lies there in the clear"
    );
    assert!(!text.contains(secret) && !text.contains(&key));
}

#[tokio::test]
async fn at_once_exactly_one_is_carried_out() {
    let ground = Ground::new().await;
    for (path, table) in CREATING {
        let (token, key, body) = (ground.token(path), key(), body(path));
        let before = ground.count(table).await;
        let answers = join_all((0..6).map(|_| ground.post(token, path, &key, &body))).await;
        assert_eq!(ground.count(table).await, before + 1, "{path}: {answers:?}");
        let made: Vec<&Value> =
            answers.iter().filter(|(status, ..)| *status == 201).map(|(_, v, _)| v).collect();
        let first = answers.iter().filter(|(status, _, replayed)| *status == 201 && !replayed).count();
        assert_eq!(first, 1, "{path}: {answers:?}");
        assert!(made.iter().all(|value| *value == made[0]), "{path}: {answers:?}");
        for (status, problem, _) in answers.iter().filter(|(status, ..)| *status != 201) {
            assert_eq!(*status, 409, "{path}: {problem}");
            assert!(problem["detail"].as_str().unwrap().contains("still on its way"), "{path}: {problem}");
        }
        // A moment later all of them would have been told.
        let (status, again, replayed) = ground.post(token, path, &key, &body).await;
        assert_eq!((status, replayed), (201, true), "{path}: {again}");
        assert_eq!(&again, made[0]);
    }
    tally("all layers", "requests sent six times at once, carried out once", CREATING.len(), 5);
}

#[tokio::test]
async fn another_sender_s_key_is_another_key() {
    let (one, other) = (Ground::new().await, Ground::new().await);
    let (key, path) = (key(), "/v1/knowledge");
    let body = body(path);
    let (_, first, _) = one.post(&one.company.owner, path, &key, &body).await;
    let (status, theirs, replayed) = other.post(&other.company.owner, path, &key, &body).await;
    assert_eq!((status, replayed), (201, false), "another company: {theirs}");
    assert_ne!(first["entry_id"], theirs["entry_id"]);
    let colleague = one.company.person("admin").await;
    let (token, _) = one.company.sign_in(&colleague.email).await;
    let (status, again, replayed) = one.post(&token, path, &key, &body).await;
    assert_eq!((status, replayed), (201, false), "a colleague: {again}");
    // The same person in another session is the same sender.
    let (token, _) = one.company.sign_in(&format!("owner@{}.example", one.company.slug)).await;
    let (status, again, replayed) = one.post(&token, path, &key, &body).await;
    assert_eq!((status, replayed), (201, true), "another session: {again}");
    let (lead, path) = (self::body("/v1/leads"), "/v1/leads");
    for token in [&one.visitor, &one.company.visitor().await.token] {
        let (status, made, replayed) = one.post(token, path, &key, &lead).await;
        assert_eq!((status, replayed), (201, false), "a visitor: {made}");
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_nothing_of_a_key() {
    let ground = Ground::new().await;
    let (key, path) = (key(), "/v1/knowledge");
    let body = body(path);
    let colleague = ground.company.person("admin").await;
    let (token, _) = ground.company.sign_in(&colleague.email).await;
    assert_eq!(ground.post(&token, path, &key, &body).await.0, 201);
    let left = format!(
        "update memberships set ended_at = now() where company_id = $1::text::uuid and user_id = '{}' returning 1",
        colleague.user
    );
    ground.company.rows(&left).await;
    let (status, problem, replayed) = ground.post(&token, path, &key, &body).await;
    assert_eq!((status, replayed), (401, false), "{problem}");
}

#[tokio::test]
async fn what_was_refused_may_be_tried_again_with_the_same_key() {
    let ground = Ground::new().await;
    let owner = &ground.company.owner;
    // Refused before the database is asked, by a unique key, and after the batch.
    let agent = json!({ "slug": "nora", "name": "N", "role": "r", "instructions": "i", "tier": "fast" });
    assert_eq!(ground.post(owner, "/v1/agents", &key(), &agent).await.0, 201);
    for (path, bad, status) in [
        ("/v1/knowledge", json!({ "category": "faq" }), 400),
        ("/v1/agents", agent.clone(), 409),
        ("/v1/knowledge", json!({ "category": "not-there", "question": "q", "answer": "a" }), 400),
    ] {
        let key = key();
        for _ in 0..2 {
            let (refused, problem, replayed) = ground.post(owner, path, &key, &bad).await;
            assert_eq!((refused, replayed), (status, false), "{path}: {problem}");
            assert!(!problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{path}: {problem}");
        }
        let (made, answer, replayed) = ground.post(owner, path, &key, &body(path)).await;
        assert_eq!((made, replayed), (201, false), "{path}: {answer}");
    }
    // A key that could be guessed is none.
    let (status, problem, _) = ground.post(owner, "/v1/knowledge", "short", &body("/v1/knowledge")).await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
}

#[tokio::test]
async fn after_its_day_a_key_is_new() {
    let ground = Ground::new().await;
    let (key, path) = (key(), "/v1/knowledge");
    let (first, second) = (body(path), body(path));
    let owner = &ground.company.owner;
    assert_eq!(ground.post(owner, path, &key, &first).await.0, 201);
    let past = "update idempotency_keys set expires_at = now() where company_id = $1::text::uuid returning 1";
    ground.company.rows(past).await;
    for replays in [false, true] {
        let (status, answer, replayed) = ground.post(owner, path, &key, &second).await;
        assert_eq!((status, replayed), (201, replays), "{answer}");
        assert_eq!(answer["question"], second["question"]);
    }
    // What is past its day can be removed, and only that, by the worker's role in its company.
    assert_eq!(ground.post(owner, path, &self::key(), &body(path)).await.0, 201);
    let row = ground.company.rows(
        "update idempotency_keys set expires_at = now() - interval '1 second'
         where company_id = $1::text::uuid and created_at = (select max(created_at) from idempotency_keys where company_id = $1::text::uuid)
         returning 1",
    );
    assert_eq!(row.await.len(), 1);
    let connected =
        tokio_postgres::connect(&ground.company.stand.worker_database_url, tokio_postgres::NoTls).await;
    let (mut client, connection) = connected.unwrap();
    tokio::spawn(connection);
    let transaction = client.transaction().await.unwrap();
    let set = "select set_config('app.current_company_id', $1, true)";
    transaction.execute(set, &[&ground.company.id]).await.unwrap();
    let id: uuid::Uuid = ground.company.id.parse().unwrap();
    let remove = bulkhead::idempotency::EXPIRED_REMOVE.text().replace("$1", &format!("'{id}'"));
    assert_eq!(transaction.execute(&remove, &[]).await.unwrap(), 1);
    transaction.commit().await.unwrap();
    assert_eq!(ground.count("idempotency_keys").await, 1);
}

/// Faults, where each request can be broken by itself.
#[test]
fn whatever_is_lost_on_the_way_nothing_is_made_twice() {
    run(async {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        let owner = core.owner(&company).await;
        let bearer = format!("Bearer {owner}");
        let path = "/v1/knowledge";
        let count = async || {
            let sql =
                "select from knowledge_entries where company_id = $1::text::uuid and origin = 'company'";
            company.rows(sql).await.len()
        };
        let post = async |key: &str, body: &Value| {
            let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
            let response = core.serve_with(&company.host(), "POST", path, &headers, Some(body.clone())).await;
            let replayed = response.headers().contains_key("idempotency-replayed");
            let status = response.status().as_u16();
            let bytes = response.into_body().collect(1 << 20).await.unwrap();
            (status, serde_json::from_slice::<Value>(&bytes).unwrap(), replayed)
        };
        let look = |problem: &Value| {
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("carried out") && detail.contains("GET /v1/knowledge"), "{problem}");
        };

        // The work's answer is lost: it is done, and nobody knows what came of it.
        let (key, body) = (self::key(), self::body(path));
        core.native.break_once(Part::Postgres, Fault::AnswerLost);
        assert_eq!(post(&key, &body).await.0, 503);
        for _ in 0..2 {
            let (status, problem, _) = post(&key, &body).await;
            assert_eq!(status, 409, "{problem}");
            look(&problem);
        }
        assert_eq!(count().await, 1);

        // The work is done and answered, but its answer could not be kept.
        let (key, body) = (self::key(), self::body(path));
        core.native.break_requests(Part::Postgres, Fault::Down);
        assert_eq!(post(&key, &body).await.0, 503, "nothing was done");
        core.native.mend();
        assert_eq!(count().await, 1);
        core.native.break_after(Part::Postgres, 1, Fault::Down);
        let (status, made, replayed) = post(&key, &body).await;
        assert_eq!((status, replayed), (201, false), "{made}");
        core.native.mend();
        let lines = core.native.take_lines().join("\n");
        assert!(lines.contains("answer not kept"), "{lines}");
        let (status, problem, _) = post(&key, &body).await;
        assert_eq!(status, 409, "{problem}");
        look(&problem);
        assert_eq!(count().await, 2);

        // The answer was kept, but the word that it was is lost.
        let (key, body) = (self::key(), self::body(path));
        core.native.break_after(Part::Postgres, 1, Fault::AnswerLost);
        let (_, first, _) = post(&key, &body).await;
        core.native.mend();
        let (status, again, replayed) = post(&key, &body).await;
        assert_eq!((status, replayed), (201, true), "{again}");
        assert_eq!(first, again);
        assert_eq!(count().await, 3);

        // Its master key is gone: an answer that does not open is a lost one.
        let spoil = "update idempotency_keys set sealed_answer = set_byte(sealed_answer, 2, 9)
                     where company_id = $1::text::uuid and sealed_answer is not null returning 1";
        company.rows(spoil).await;
        let (status, problem, _) = post(&key, &body).await;
        assert_eq!(status, 409, "{problem}");
        look(&problem);
        assert_eq!(count().await, 3);
    });
}
