//! One chat turn seen from outside the core: how many requests it makes, and what it does when a part is broken.
//!
//! The core runs natively here, over the stand's gateway, so that each request can be counted and broken.

use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use bulkhead::platform::Body;
use bulkhead::{App, config::Config};
use bulkhead_tests::company::{Company, Event, event, read_events, text};
use bulkhead_tests::native::{Fault, Native, Part, run};
use bulkhead_tests::stand::Stand;
use serde_json::{Value, json};

const HEATER: &str = "How much does it cost to replace a water heater?";
const PASSWORD: &str = bulkhead_tests::company::PASSWORD;

/// The core, native, for one company of its own.
struct Core {
    stand: &'static Stand,
    app: Rc<App>,
    native: Native,
    company: Company,
    visitor: String,
}

impl Core {
    /// With a provider key of this kind, unless that is empty.
    async fn new(key_kind: &str) -> Self {
        let stand = Stand::get();
        let company = Company::new(stand, "plumbing").await;
        let secret = Base64UrlUnpadded::encode_string(&[7; 32]);
        let config = Config::parse(&|name| match name {
            "ROOT_URL" => Some(stand.root_url.clone()),
            "DATABASE_URL" => Some(stand.worker_database_url.clone()),
            "SQL_URL" => Some(format!("{}/sql", stand.gateway_url)),
            "UPSTASH_REDIS_REST_URL" => Some(stand.gateway_url.clone()),
            "UPSTASH_REDIS_REST_TOKEN" => Some(stand.redis_token.clone()),
            "JWT_KEYS" => Some(format!("k:{secret}")),
            "MASTER_KEYS" => Some(format!("1:{secret}")),
            "OPENAI_URL" | "ANTHROPIC_URL" => Some(stand.upstream.url().to_owned()),
            _ => None,
        });
        let (app, native) = (Rc::new(App::new(config.unwrap())), Native::default());
        let mut core = Self { stand, app, native, company, visitor: String::new() };
        let (_, made) = core.call("POST", "/v1/visitor", "", None).await;
        core.visitor = made["token"].as_str().unwrap().to_owned();
        if !key_kind.is_empty() {
            let email = format!("owner@{}.example", core.company.slug);
            let login = json!({ "email": email, "password": PASSWORD });
            let (_, tokens) = core.call("POST", "/v1/login", "", Some(login)).await;
            let key = format!("test-{key_kind}-{}", uuid::Uuid::new_v4().simple());
            let provider = json!({ "kind": "openai", "name": "Test", "api_key": key });
            let owner = tokens["access_token"].as_str().unwrap().to_owned();
            let (status, made) = core.call("POST", "/v1/providers", &owner, Some(provider)).await;
            assert_eq!(status, 201, "{made}");
        }
        core
    }

    async fn serve(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> http::Response<Body> {
        let host = format!("{}:{}", self.company.host(), self.stand.port);
        let mut request = http::Request::builder().method(method).uri(path).header("host", host);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map_or(Body::empty(), |body| Body::from(body.to_string()));
        bulkhead::serve(Rc::clone(&self.app), self.native.platform(), request.body(body).unwrap()).await
    }

    async fn call(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let response = self.serve(method, path, token, body).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect(1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn ask(&self) -> Vec<Event> {
        let response =
            self.serve("POST", "/v1/chat", &self.visitor, Some(json!({ "message": HEATER }))).await;
        assert_eq!(response.status(), 200);
        read(response.into_body()).await
    }

    async fn messages(&self) -> i64 {
        self.company.rows("select count(*) from messages where company_id = $1::text::uuid").await[0].get(0)
    }
}

async fn read(mut body: Body) -> Vec<Event> {
    let (mut decoder, mut events) = (bulkhead::sse::Decoder::new(1 << 20), Vec::new());
    while let Some(chunk) = body.next().await {
        read_events(&mut decoder, &chunk.unwrap(), &mut events);
    }
    events
}

#[test]
fn one_round_trip_before_the_model_is_called_and_one_after_its_last_token() {
    run(async {
        let core = Core::new("ok").await;
        // The first turn of a day also tells Redis the limits; from then on they are known.
        core.ask().await;
        core.native.take_sent();
        let events = core.ask().await;
        assert_eq!(event(&events, "done")["source"], "model");
        let sent = core.native.take_sent();
        let mut parts: Vec<_> = sent.iter().map(|sent| (sent.part, sent.answered_before)).collect();
        parts[..2].sort_unstable();
        parts[3..].sort_unstable();
        // In parallel: neither of a pair waited for the other's answer.
        let (postgres, redis) = (Part::Postgres, Part::Redis);
        assert_eq!(parts, [(postgres, 0), (redis, 0), (Part::Model, 2), (postgres, 3), (redis, 3)]);
        let first = core.native.take_lines();
        assert!(
            !first.iter().any(|line| line.contains("\"error\"") && line.contains("level\":\"error")),
            "{first:?}"
        );
    });
}

#[test]
fn the_first_turn_of_a_day_needs_one_redis_call_more() {
    run(async {
        let core = Core::new("ok").await;
        core.native.take_sent();
        core.ask().await;
        assert_eq!(core.native.take_sent().len(), 6);
    });
}

#[test]
fn without_redis_the_knowledge_base_answers_and_no_model_is_called() {
    run(async {
        let core = Core::new("ok").await;
        core.ask().await;
        core.native.take_sent();
        core.native.break_requests(Part::Redis, Fault::Down);
        let events = core.ask().await;
        assert!(text(&events).contains('$'));
        assert_eq!(event(&events, "done")["source"], "knowledge");
        assert_eq!(event(&events, "done")["reason"], "budget_unknown");
        assert!(!core.native.take_sent().iter().any(|sent| sent.part == Part::Model));
        assert_eq!(core.messages().await, 4, "the question and its answer are kept");
        core.native.mend();
        assert_eq!(event(&core.ask().await, "done")["source"], "model");
    });
}

#[test]
fn without_postgres_the_question_is_refused_and_the_reservation_given_back() {
    run(async {
        let core = Core::new("ok").await;
        core.ask().await;
        core.native.break_requests(Part::Postgres, Fault::Down);
        let body = Some(json!({ "message": HEATER }));
        let (status, problem) = core.call("POST", "/v1/chat", &core.visitor, body).await;
        assert_eq!(status, 503);
        assert!(problem["detail"].as_str().unwrap().contains("try again"));
        core.native.mend();
        assert_eq!(super::budget::held(&core.company).await, 0);
        let lines = core.native.take_lines();
        assert!(
            lines.iter().any(|line| line.contains("database")),
            "the operator is told which part: {lines:?}"
        );
    });
}

#[test]
fn an_answer_that_cannot_be_stored_is_not_called_done() {
    run(async {
        let core = Core::new("slow-30").await;
        core.ask().await;
        let response =
            core.serve("POST", "/v1/chat", &core.visitor, Some(json!({ "message": HEATER }))).await;
        core.native.break_requests(Part::Postgres, Fault::Down);
        let events = read(response.into_body()).await;
        let last = events.last().unwrap();
        assert_eq!((last.name.as_str(), &last.data["status"]), ("error", &json!(503)), "{events:?}");
        core.native.mend();
        assert_eq!(super::budget::held(&core.company).await, 0, "the budget is settled all the same");
        assert_eq!(core.messages().await, 3, "the acknowledged question is kept");
    });
}

#[test]
fn a_lost_reply_of_the_database_stores_and_charges_once() {
    run(async {
        let core = Core::new("slow-30").await;
        let response =
            core.serve("POST", "/v1/chat", &core.visitor, Some(json!({ "message": HEATER }))).await;
        core.native.break_once(Part::Postgres, Fault::AnswerLost);
        let events = read(response.into_body()).await;
        assert_eq!(events.last().unwrap().name, "done", "{events:?}");
        assert_eq!(core.messages().await, 2);
        let ledger = core.company.rows(
            "select (select count(*) from usage_ledger where company_id = $1::text::uuid),
                    (select turns from ledger_days where company_id = $1::text::uuid)",
        );
        let row = &ledger.await[0];
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (1, 1));
    });
}

#[test]
fn a_settlement_whose_reply_is_lost_leaves_no_reservation() {
    run(async {
        let core = Core::new("slow-30").await;
        core.ask().await;
        let response =
            core.serve("POST", "/v1/chat", &core.visitor, Some(json!({ "message": HEATER }))).await;
        core.native.break_requests(Part::Redis, Fault::AnswerLost);
        let events = read(response.into_body()).await;
        assert_eq!(events.last().unwrap().name, "done", "{events:?}");
        core.native.mend();
        assert_eq!(super::budget::held(&core.company).await, 0);
    });
}

#[test]
fn a_reservation_that_nobody_settles_is_void_after_its_time() {
    run(async {
        let core = Core::new("slow-30").await;
        core.ask().await;
        let response =
            core.serve("POST", "/v1/chat", &core.visitor, Some(json!({ "message": HEATER }))).await;
        core.native.break_requests(Part::Redis, Fault::Down);
        read(response.into_body()).await;
        core.native.mend();
        let held = super::budget::held(&core.company).await;
        assert!(held > 0, "it holds money as long as it may still be used");
        core.native.set_ahead_ms(200_000);
        core.ask().await;
        assert_eq!(super::budget::held(&core.company).await, 0);
    });
}

#[test]
fn a_memory_that_names_another_company_is_dropped_and_told() {
    run(async {
        let core = Core::new("ok").await;
        let events = core.ask().await;
        let conversation = event(&events, "start")["conversation_id"].as_str().unwrap().to_owned();
        let memory = format!("memory:{{{}}}:{conversation}", core.company.id);
        let forged = json!({ "company": uuid::Uuid::new_v4(), "visitor": uuid::Uuid::new_v4(), "question": "CANARY", "answer": "CANARY" });
        super::budget::redis(core.stand, json!(["RPUSH", memory, forged.to_string()])).await;
        core.native.take_sent();
        let body = json!({ "message": "And a tankless one?", "conversation_id": conversation });
        read(core.serve("POST", "/v1/chat", &core.visitor, Some(body)).await.into_body()).await;
        let model = core.native.take_sent().into_iter().find(|sent| sent.part == Part::Model).unwrap();
        assert!(!String::from_utf8_lossy(&model.body).contains("CANARY"));
        assert!(core.native.take_lines().iter().any(|line| line.contains("memory not this company's")));
    });
}

#[test]
fn no_secret_and_no_content_is_logged() {
    run(async {
        for kind in ["ok", "401", "cut"] {
            let core = Core::new(kind).await;
            core.ask().await;
            let lines = core.native.take_lines().join("\n");
            for secret in [
                core.visitor.as_str(),
                "test-",
                "water heater",
                &core.stand.redis_token,
                PASSWORD,
                "postgres://",
            ] {
                assert!(!lines.contains(secret), "{secret} in {lines}");
            }
            assert!(lines.contains(&core.company.id));
        }
    });
}
