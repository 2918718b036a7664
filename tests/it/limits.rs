//! Every limit but the day's money: each holds, tells the visitor calmly, and touches nobody else.

use bulkhead_tests::company::{Company, event, text};
use bulkhead_tests::core::{CRON_TOKEN, Core, read};
use bulkhead_tests::native::{alone, run};
use bulkhead_tests::stand::Stand;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::budget::redis;

/// A company with a model, and a visitor of it.
struct Chat {
    core: Core,
    company: Company,
    visitor: String,
    key: String,
}

impl Chat {
    async fn new(behaviour: &str) -> Self {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        let visitor = core.visitor(&company).await;
        let key = format!("test-{behaviour}-{}", uuid::Uuid::new_v4().simple());
        core.provider(&company, &key).await;
        Self { core, company, visitor, key }
    }

    async fn set(&self, what: &str) {
        self.company.rows(&format!("update {what} where company_id = $1::text::uuid returning 1")).await;
    }

    /// Status, and the `done` event or the problem.
    async fn ask_with(&self, headers: &[(&str, &str)], body: Value) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.visitor);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        let response = self.core.serve_with(&self.company.host(), "POST", "/v1/chat", &all, Some(body)).await;
        let status = response.status().as_u16();
        if status != 200 {
            let bytes = response.into_body().collect(1 << 20).await.unwrap();
            return (status, serde_json::from_slice(&bytes).unwrap());
        }
        let events = read(response.into_body()).await;
        let mut done = event(&events, "done").clone();
        done["text"] = text(&events).into();
        done["conversation_id"] = event(&events, "start")["conversation_id"].clone();
        (status, done)
    }

    async fn ask(&self) -> Value {
        self.ask_with(&[], json!({ "message": "Do you fix leaks?" })).await.1
    }

    fn calls(&self) -> usize {
        self.core.stand.upstream.requests(&self.key).len()
    }

    async fn count(&self, from: &str) -> i64 {
        self.company.rows(&format!("select count(*) from {from} where company_id = $1::text::uuid")).await[0]
            .get(0)
    }
}

#[test]
fn a_month_s_tokens() {
    run(async {
        let chat = Chat::new("ok").await;
        assert_eq!(chat.ask().await["source"], "model");
        chat.set("budgets set monthly_tokens = 100").await;
        assert_eq!(chat.ask().await["reason"], "budget");
        chat.set("budgets set monthly_tokens = null").await;
        assert_eq!(chat.ask().await["source"], "model");
    });
}

#[test]
fn an_agent_s_own_money() {
    run(async {
        let chat = Chat::new("ok").await;
        chat.ask().await;
        chat.set("agents set daily_limit_microusd = case when is_default then 0 end").await;
        assert_eq!(chat.ask().await["reason"], "budget");
        let other = json!({ "message": "Do you fix leaks?", "agent": "sales" });
        assert_eq!(chat.ask_with(&[], other).await.1["source"], "model", "another agent still answers");
        chat.set("agents set daily_limit_microusd = 1000000").await;
        assert_eq!(chat.ask().await["source"], "model");
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn questions_from_one_network_address() {
    run(async {
        let chat = Chat::new("ok").await;
        chat.set("budgets set address_turns_per_minute = 2").await;
        let mut statuses = Vec::new();
        // A minute may turn over while this runs, once.
        for _ in 0..6 {
            // Each from a new visitor, and from another address of the same network.
            let visitor = Chat {
                visitor: chat.core.visitor(&chat.company).await,
                core: Core::new(chat.core.stand),
                company: clone(&chat.company),
                key: chat.key.clone(),
            };
            let last = statuses.len();
            let from = format!("2001:db8:1:2::{last}");
            let ask = json!({ "message": "Do you fix leaks?" });
            statuses.push(visitor.ask_with(&[("cf-connecting-ip", &from)], ask).await.0);
        }
        assert!(statuses.contains(&429), "{statuses:?}");
        let elsewhere = [("cf-connecting-ip", "203.0.113.9")];
        let ask = json!({ "message": "Do you fix leaks?" });
        assert_eq!(chat.ask_with(&elsewhere, ask).await.0, 200);
        // The address itself is nowhere in Redis.
        let sent = chat.core.native.take_sent();
        assert!(!sent.iter().any(|sent| String::from_utf8_lossy(&sent.body).contains("203.0.113")));
    });
}

/// However many visitors there are, a company that is over what all of them may ask costs one look at Redis and Postgres now and then.
#[test]
fn questions_of_all_visitors_together() {
    run(async {
        let mut chat = Chat::new("ok").await;
        let other = Chat::new("ok").await;
        chat.set("budgets set company_turns_per_minute = 1").await;
        // A minute may turn over while this runs, once.
        for attempt in 0..2 {
            let mut statuses = Vec::new();
            for _ in 0..3 {
                chat.visitor = chat.core.visitor(&chat.company).await;
                statuses.push(chat.ask_with(&[], json!({ "message": "Do you fix leaks?" })).await.0);
            }
            chat.visitor = chat.core.visitor(&chat.company).await;
            chat.core.native.take_sent();
            let (status, problem) = chat.ask_with(&[], json!({ "message": "Do you fix leaks?" })).await;
            let sent = chat.core.native.take_sent().len();
            if status == 429 && sent == 0 {
                assert!(statuses.contains(&429), "{statuses:?}");
                // The same isolate still asks for another company's.
                let elsewhere = Chat { core: chat.core, ..other };
                assert_eq!(elsewhere.ask().await["source"], "model");
                return;
            }
            assert_eq!(attempt, 0, "{status}, {sent} requests sent: {problem}");
        }
    });
}

fn clone(company: &Company) -> Company {
    Company {
        stand: company.stand,
        slug: company.slug.clone(),
        id: company.id.clone(),
        owner: company.owner.clone(),
        refresh: company.refresh.clone(),
    }
}

#[test]
fn visitor_tokens_for_one_network_address() {
    run(async {
        let chat = Chat::new("ok").await;
        let from = |address: &'static str| [("cf-connecting-ip", address)];
        let mut refused = 0;
        for _ in 0..130 {
            let minted = chat
                .core
                .serve_with(&chat.company.host(), "POST", "/v1/visitor", &from("198.51.100.7"), None)
                .await;
            refused += usize::from(minted.status() == 429);
        }
        assert!((1..=10).contains(&refused), "{refused} of 130 refused");
        let elsewhere = chat
            .core
            .serve_with(&chat.company.host(), "POST", "/v1/visitor", &from("198.51.100.8"), None)
            .await;
        assert_eq!(elsewhere.status(), 201);
    });
}

#[test]
fn a_conversation_s_questions() {
    run(async {
        let chat = Chat::new("ok").await;
        let first = chat.ask().await;
        chat.set("budgets set conversation_questions = 1").await;
        let more = json!({ "message": "And drains?", "conversation_id": first["conversation_id"] });
        let (status, problem) = chat.ask_with(&[], more).await;
        assert_eq!(status, 409, "{problem}");
        assert_eq!(chat.count("messages").await, 2, "what is refused is not kept");
        assert_eq!(chat.ask().await["source"], "model", "a new conversation goes on");
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn answers_on_their_way_at_once() {
    run(async {
        let chat = Chat::new("slow-40").await;
        chat.ask().await;
        chat.set("budgets set concurrent_turns = 1").await;
        let answers = join_all((0..4).map(|_| chat.ask())).await;
        let models = answers.iter().filter(|done| done["source"] == "model").count();
        let busy = answers.iter().filter(|done| done["reason"] == "busy").count();
        assert_eq!((models, busy), (1, 3), "{answers:?}");
        assert_eq!(chat.ask().await["source"], "model");
    });
}

#[test]
fn the_same_question_under_the_same_key_is_answered_once() {
    run(async {
        let chat = Chat::new("ok").await;
        let key = uuid::Uuid::new_v4().to_string();
        let headers = [("idempotency-key", key.as_str())];
        let ask = json!({ "message": "Do you fix leaks?" });
        let (_, first) = chat.ask_with(&headers, ask.clone()).await;
        let (status, again) = chat.ask_with(&headers, ask).await;
        assert_eq!((status, &again["text"]), (200, &first["text"]));
        assert_eq!(
            (&again["message_id"], &again["conversation_id"]),
            (&first["message_id"], &first["conversation_id"])
        );
        assert_eq!((chat.calls(), chat.count("messages").await), (1, 2));
        let (status, problem) = chat.ask_with(&headers, json!({ "message": "And drains?" })).await;
        assert_eq!(status, 409, "{problem}");
        // Another visitor's key of the same name is another key.
        let other = chat.core.visitor(&chat.company).await;
        let bearer = format!("Bearer {other}");
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", key.as_str())];
        let ask = Some(json!({ "message": "Do you fix leaks?" }));
        let response = chat.core.serve_with(&chat.company.host(), "POST", "/v1/chat", &headers, ask).await;
        read(response.into_body()).await;
        assert_eq!(chat.calls(), 2);
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn six_times_the_same_question_at_once_calls_one_model() {
    run(async {
        let chat = Chat::new("slow-30").await;
        let key = uuid::Uuid::new_v4().to_string();
        let headers = [("idempotency-key", key.as_str())];
        let asked =
            join_all((0..6).map(|_| chat.ask_with(&headers, json!({ "message": "Do you fix leaks?" }))))
                .await;
        let answered = asked.iter().filter(|(status, _)| *status == 200).count();
        assert!(answered >= 1 && asked.iter().all(|(status, _)| [200, 409].contains(status)), "{asked:?}");
        assert_eq!((chat.calls(), chat.count("messages").await), (1, 2));
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn each_share_of_the_day_is_told_once() {
    run(async {
        let chat = Chat::new("ok").await;
        chat.ask().await;
        assert_eq!(chat.count("budget_alerts").await, 0);
        // Four fifths of the day are gone, but for what the next turn costs; there is room for that turn's bound.
        chat.set("ledger_days set spent_microusd = 4000000").await;
        chat.set("budgets set daily_limit_microusd = 5000000").await;
        assert_eq!(chat.ask().await["source"], "model");
        chat.ask().await;
        let alerts = chat.company.rows("select percent::int from budget_alerts where company_id = $1::text::uuid and period = 'day' order by 1").await;
        let percents: Vec<i32> = alerts.iter().map(|row| row.get(0)).collect();
        assert_eq!(percents, [50, 80]);
        assert_eq!(chat.count("notices").await, 1, "of two at once people are told the higher");
        let owner = chat.core.owner(&chat.company).await;
        let (_, budget) = chat.core.call(&chat.company, "GET", "/v1/budget", &owner, None).await;
        assert_eq!(budget["alerts"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_day_is_the_company_s_own() {
    run(async {
        let chat = Chat::new("ok").await;
        let owner = chat.core.owner(&chat.company).await;
        let zone = |zone: &str| Some(json!({ "time_zone": zone }));
        let (status, problem) =
            chat.core.call(&chat.company, "PATCH", "/v1/company", &owner, zone("Mars/Olympus")).await;
        assert_eq!(status, 400, "{problem}");
        for (zone_name, hours) in [("Pacific/Kiritimati", 14), ("Pacific/Pago_Pago", -11)] {
            assert_eq!(
                chat.core.call(&chat.company, "PATCH", "/v1/company", &owner, zone(zone_name)).await.0,
                200
            );
            // A new core has nothing cached of the company.
            let core = Core::new(chat.core.stand);
            core.native.set_ahead_ms(0);
            let response = core
                .serve(
                    &chat.company,
                    "POST",
                    "/v1/chat",
                    &chat.visitor,
                    Some(json!({ "message": "Do you fix leaks?" })),
                )
                .await;
            read(response.into_body()).await;
            let day = bulkhead::limiter::day(core.native.platform().now_ms(), hours * 60);
            let spent = redis(
                core.stand,
                json!(["HGET", format!("daily_spend:{{{}}}:{day}", chat.company.id), "spent"]),
            )
            .await;
            assert!(spent.as_str().is_some_and(|spent| spent != "0"), "{zone_name}: {spent}");
        }
    });
}

#[test]
fn a_day_with_tens_of_thousands_of_turns_behind_it() {
    run(async {
        let chat = Chat::new("ok").await;
        chat.ask().await;
        let day = bulkhead::limiter::day(chat.core.native.platform().now_ms(), 0);
        let key = format!("daily_spend:{{{}}}:{day}", chat.company.id);
        // Marks of turns that were settled long ago, which the next turn takes away.
        let mut marks = vec![json!("HSET"), json!(key)];
        for turn in 0..20_000 {
            marks.extend([json!(format!("h:{turn}")), json!("s:0:1:")]);
        }
        redis(chat.core.stand, json!(marks)).await;
        assert_eq!(chat.ask().await["source"], "model");
        let left = redis(chat.core.stand, json!(["HLEN", key])).await;
        assert!(left.as_u64().unwrap() < 20, "{left}");
    });
}

#[test]
fn the_round_mends_redis_from_the_ledger_and_tells_what_differs() {
    alone(async {
        let chat = Chat::new("ok").await;
        chat.ask().await;
        let day = bulkhead::limiter::day(chat.core.native.platform().now_ms(), 0);
        let key = format!("daily_spend:{{{}}}:{day}", chat.company.id);
        let before = uuid::Uuid::from_u128(uuid::Uuid::parse_str(&chat.company.id).unwrap().as_u128() - 1);
        let round = async |token: &str| {
            let bearer = format!("Bearer {token}");
            let headers = [("authorization", bearer.as_str())];
            let after = Some(json!({ "after": before }));
            let response = chat.core.serve_with("localhost", "POST", "/v1/cron", &headers, after).await;
            let status = response.status().as_u16();
            let bytes = response.into_body().collect(1 << 20).await.unwrap();
            (status, serde_json::from_slice::<Value>(&bytes).unwrap())
        };
        let ledger = redis(chat.core.stand, json!(["HGET", key, "spent"])).await;
        redis(chat.core.stand, json!(["HSET", key, "spent", "0"])).await;
        let (status, told) = round(CRON_TOKEN).await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(
            redis(chat.core.stand, json!(["HGET", key, "spent"])).await,
            ledger,
            "the ledger is the truth"
        );
        assert!(told["drifts"].to_string().contains(ledger.as_str().unwrap()), "{told}");
        assert!(chat.core.native.take_lines().iter().any(|line| line.contains("budget drifted")));
        for wrong in ["", "x", &CRON_TOKEN[1..]] {
            assert_eq!(round(wrong).await.0, 404);
        }
        chat.core.native.idle().await;
    });
}

#[test]
fn an_owner_who_wants_no_entry_word_for_word_gets_the_lead_form() {
    run(async {
        let chat = Chat::new("500").await;
        chat.set("budgets set knowledge_answers = false").await;
        let done = chat
            .ask_with(&[], json!({ "message": "How much does it cost to replace a water heater?" }))
            .await
            .1;
        assert_eq!(done["source"], "none");
        assert!(done["text"].as_str().unwrap().contains("get back to you"));
    });
}
