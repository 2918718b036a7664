//! One chat turn seen from outside the core: how many requests it makes, and what it does when a part is broken.
//!
//! The core runs natively here, over the stand's gateway, so that each request can be counted and broken.

use bulkhead::platform::Body;
use bulkhead_tests::company::{Company, Event, PASSWORD, event, text};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::{Fault, Native, Part, run, same_day};
use bulkhead_tests::stand::Stand;
use serde_json::{Value, json};

const HEATER: &str = "How much does it cost to replace a water heater?";

/// One company, one visitor, and the core that serves them.
struct Chat {
    core: Core,
    company: Company,
    visitor: String,
}

impl Chat {
    /// With a provider key of this kind, unless that is empty.
    async fn new(key_kind: &str) -> Self {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        let visitor = core.visitor(&company).await;
        if !key_kind.is_empty() {
            core.provider(&company, &format!("test-{key_kind}-{}", uuid::Uuid::new_v4().simple())).await;
        }
        Self { core, company, visitor }
    }

    fn native(&self) -> &Native {
        &self.core.native
    }

    async fn serve(&self, body: Value) -> http::Response<Body> {
        self.core.serve(&self.company, "POST", "/v1/chat", &self.visitor, Some(body)).await
    }

    async fn ask(&self) -> Vec<Event> {
        let response = self.serve(json!({ "message": HEATER })).await;
        assert_eq!(response.status(), 200);
        read(response.into_body()).await
    }

    async fn messages(&self) -> i64 {
        self.company.rows("select count(*) from messages where company_id = $1::text::uuid").await[0].get(0)
    }
}

#[test]
fn one_round_trip_before_the_model_is_called_and_one_after_its_last_token() {
    run(async {
        let chat = Chat::new("ok").await;
        // The first turn of a day also tells Redis the limits; from then on they are known.
        chat.ask().await;
        chat.native().take_sent();
        let events = chat.ask().await;
        assert_eq!(event(&events, "done")["source"], "model");
        let sent = chat.native().take_sent();
        let mut parts: Vec<_> = sent.iter().map(|sent| (sent.part, sent.answered_before)).collect();
        parts[..2].sort_unstable();
        parts[3..].sort_unstable();
        // In parallel: neither of a pair waited for the other's answer.
        let (postgres, redis) = (Part::Postgres, Part::Redis);
        assert_eq!(parts, [(postgres, 0), (redis, 0), (Part::Model, 2), (postgres, 3), (redis, 3)]);
        let first = chat.native().take_lines();
        assert!(
            !first.iter().any(|line| line.contains("\"error\"") && line.contains("level\":\"error")),
            "{first:?}"
        );
    });
}

#[test]
fn the_first_turn_of_a_day_needs_one_redis_call_more() {
    run(async {
        let chat = Chat::new("ok").await;
        chat.native().take_sent();
        chat.ask().await;
        assert_eq!(chat.native().take_sent().len(), 6);
    });
}

#[test]
fn without_redis_the_knowledge_base_answers_and_no_model_is_called() {
    run(async {
        let chat = Chat::new("ok").await;
        chat.ask().await;
        chat.native().take_sent();
        chat.native().break_requests(Part::Redis, Fault::Down);
        let events = chat.ask().await;
        assert!(text(&events).contains('$'));
        assert_eq!(event(&events, "done")["source"], "knowledge");
        assert_eq!(event(&events, "done")["reason"], "budget_unknown");
        assert!(!chat.native().take_sent().iter().any(|sent| sent.part == Part::Model));
        assert_eq!(chat.messages().await, 4, "the question and its answer are kept");
        chat.native().mend();
        assert_eq!(event(&chat.ask().await, "done")["source"], "model");
    });
}

#[test]
fn without_postgres_the_question_is_refused_and_the_reservation_given_back() {
    run(async {
        let chat = Chat::new("ok").await;
        chat.ask().await;
        chat.native().break_requests(Part::Postgres, Fault::Down);
        let body = Some(json!({ "message": HEATER }));
        let (status, problem) = chat.core.call(&chat.company, "POST", "/v1/chat", &chat.visitor, body).await;
        assert_eq!(status, 503);
        assert!(problem["detail"].as_str().unwrap().contains("try again"));
        chat.native().mend();
        assert_eq!(super::budget::held(&chat.company).await, 0);
        let lines = chat.native().take_lines();
        assert!(
            lines.iter().any(|line| line.contains("database")),
            "the operator is told which part: {lines:?}"
        );
    });
}

#[test]
fn an_answer_that_cannot_be_stored_is_not_called_done() {
    run(async {
        let chat = Chat::new("slow-30").await;
        chat.ask().await;
        let response = chat.serve(json!({ "message": HEATER })).await;
        chat.native().break_requests(Part::Postgres, Fault::Down);
        let events = read(response.into_body()).await;
        let last = events.last().unwrap();
        assert_eq!((last.name.as_str(), &last.data["status"]), ("error", &json!(503)), "{events:?}");
        chat.native().mend();
        assert_eq!(super::budget::held(&chat.company).await, 0, "the budget is settled all the same");
        assert_eq!(chat.messages().await, 3, "the acknowledged question is kept");
    });
}

#[test]
fn a_lost_reply_of_the_database_stores_and_charges_once() {
    run(async {
        let chat = Chat::new("slow-30").await;
        let response = chat.serve(json!({ "message": HEATER })).await;
        chat.native().break_once(Part::Postgres, Fault::AnswerLost);
        let events = read(response.into_body()).await;
        assert_eq!(events.last().unwrap().name, "done", "{events:?}");
        assert_eq!(chat.messages().await, 2);
        let ledger = chat.company.rows(
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
        let chat = Chat::new("slow-30").await;
        chat.ask().await;
        let response = chat.serve(json!({ "message": HEATER })).await;
        chat.native().break_requests(Part::Redis, Fault::AnswerLost);
        let events = read(response.into_body()).await;
        assert_eq!(events.last().unwrap().name, "done", "{events:?}");
        chat.native().mend();
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn a_reservation_that_nobody_settles_is_void_after_its_time() {
    run(async {
        same_day(5).await;
        let chat = Chat::new("slow-30").await;
        chat.ask().await;
        let response = chat.serve(json!({ "message": HEATER })).await;
        chat.native().break_requests(Part::Redis, Fault::Down);
        read(response.into_body()).await;
        chat.native().mend();
        let held = super::budget::held(&chat.company).await;
        assert!(held > 0, "it holds money as long as it may still be used");
        chat.native().set_ahead_ms(200_000);
        chat.ask().await;
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn a_memory_that_names_another_company_is_dropped_and_told() {
    run(async {
        let chat = Chat::new("ok").await;
        let events = chat.ask().await;
        let conversation = event(&events, "start")["conversation_id"].as_str().unwrap().to_owned();
        let memory = format!("memory:{{{}}}:{conversation}", chat.company.id);
        let forged = json!({ "company": uuid::Uuid::new_v4(), "visitor": uuid::Uuid::new_v4(), "question": "CANARY", "answer": "CANARY" });
        super::budget::redis(chat.core.stand, json!(["RPUSH", memory, forged.to_string()])).await;
        chat.native().take_sent();
        let body = json!({ "message": "And a tankless one?", "conversation_id": conversation });
        read(chat.serve(body).await.into_body()).await;
        let model = chat.native().take_sent().into_iter().find(|sent| sent.part == Part::Model).unwrap();
        assert!(!String::from_utf8_lossy(&model.body).contains("CANARY"));
        assert!(chat.native().take_lines().iter().any(|line| line.contains("memory not this company's")));
    });
}

#[test]
fn no_secret_and_no_content_is_logged() {
    run(async {
        for kind in ["ok", "401", "cut"] {
            let chat = Chat::new(kind).await;
            chat.ask().await;
            let lines = chat.native().take_lines().join("\n");
            for secret in [
                chat.visitor.as_str(),
                "test-",
                "water heater",
                &chat.core.stand.redis_token,
                PASSWORD,
                "postgres://",
            ] {
                assert!(!lines.contains(secret), "{secret} in {lines}");
            }
            assert!(lines.contains(&chat.company.id));
        }
    });
}
