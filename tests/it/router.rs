//! The SmartRouter and its circuit breaker, over real parts: who is asked, again or instead, and who never is.

use bulkhead_tests::company::{Company, Event, event};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::{run, same_day};
use bulkhead_tests::stand::Stand;
use serde_json::{Value, json};

/// A company with providers that behave like these, in this order.
struct Chat {
    core: Core,
    company: Company,
    visitor: String,
    keys: Vec<String>,
    providers: Vec<String>,
}

impl Chat {
    async fn new(behaviours: &[&str]) -> Self {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        let visitor = core.visitor(&company).await;
        let (mut keys, mut providers) = (Vec::new(), Vec::new());
        for (position, behaviour) in behaviours.iter().enumerate() {
            let key = format!("test-{behaviour}-{}", uuid::Uuid::new_v4().simple());
            let id = core.provider(&company, &key).await;
            let sql = format!(
                "update providers set position = {position} where company_id = $1::text::uuid and provider_id = '{id}' returning 1"
            );
            company.rows(&sql).await;
            keys.push(key);
            providers.push(id);
        }
        Self { core, company, visitor, keys, providers }
    }

    async fn ask(&self) -> Vec<Event> {
        let ask = json!({ "message": "Do you fix leaks?" });
        let response = self.core.serve(&self.company, "POST", "/v1/chat", &self.visitor, Some(ask)).await;
        assert_eq!(response.status(), 200);
        read(response.into_body()).await
    }

    async fn done(&self) -> Value {
        event(&self.ask().await, "done").clone()
    }

    fn calls(&self) -> Vec<usize> {
        self.keys.iter().map(|key| self.core.stand.upstream.requests(key).len()).collect()
    }
}

#[test]
fn a_provider_with_a_fault_of_its_own_is_asked_again_and_then_the_next_one() {
    run(async {
        let chat = Chat::new(&["500", "ok"]).await;
        let done = chat.done().await;
        assert_eq!((&done["source"], &done["routing"]), (&json!("model"), &json!("fallback")));
        assert_eq!(chat.calls(), [2, 1]);
        let billed = chat
            .company
            .rows("select provider_id::text from usage_ledger where company_id = $1::text::uuid")
            .await;
        assert_eq!(billed.len(), 1, "a call that failed at once costs nothing");
        assert_eq!(billed[0].get::<_, &str>(0), chat.providers[1]);
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn a_wrong_key_is_not_tried_twice() {
    run(async {
        let chat = Chat::new(&["401", "ok"]).await;
        assert_eq!(chat.done().await["routing"], "fallback");
        assert_eq!(chat.calls(), [1, 1]);
    });
}

#[test]
fn one_that_asks_for_a_moment_gets_it() {
    run(async {
        let chat = Chat::new(&["flaky1-429"]).await;
        let done = chat.done().await;
        assert_eq!((&done["source"], &done["routing"]), (&json!("model"), &json!("easy")));
        assert_eq!(chat.calls(), [2]);
    });
}

#[test]
fn after_the_first_word_nobody_else_goes_on() {
    run(async {
        let chat = Chat::new(&["midstream-error", "ok"]).await;
        assert_eq!(chat.ask().await.last().unwrap().name, "error");
        assert_eq!(chat.calls(), [1, 0]);
    });
}

#[test]
fn a_provider_that_keeps_failing_is_left_alone_and_tried_by_one_turn_later() {
    run(async {
        same_day(3).await;
        let chat = Chat::new(&["500", "ok"]).await;
        for _ in 0..3 {
            assert_eq!(chat.done().await["routing"], "fallback");
        }
        let tried = chat.calls()[0];
        assert_eq!(chat.done().await["routing"], "easy");
        assert_eq!(chat.calls()[0], tried, "it is left alone");
        chat.core.native.set_ahead_ms(70_000);
        assert_eq!(chat.done().await["routing"], "fallback");
        assert!(chat.calls()[0] > tried, "one turn tries it again");
        // What the probe found holds for all.
        let tried = chat.calls()[0];
        chat.ask().await;
        assert_eq!(chat.calls()[0], tried);
    });
}

#[test]
fn another_company_s_provider_is_never_asked() {
    run(async {
        let (poor, rich) = (Chat::new(&["500"]).await, Chat::new(&["ok"]).await);
        let done = poor.done().await;
        assert_eq!((&done["source"], &done["reason"]), (&json!("knowledge"), &json!("provider")));
        assert_eq!(rich.calls(), [0]);
    });
}

#[test]
fn an_answer_is_cut_to_what_is_left_of_the_day_and_a_cheaper_model_gives_it() {
    run(async {
        let chat = Chat::new(&["ok"]).await;
        // The fast model costs a thousandth of the others; the day holds one of its turns and none of theirs.
        for sql in [
            "update provider_models set input_microusd_per_mtok = 1000000000, output_microusd_per_mtok = 1000000000
             where company_id = $1::text::uuid and tier <> 'fast' returning 1",
            "update provider_models set input_microusd_per_mtok = 1000000, output_microusd_per_mtok = 1000000
             where company_id = $1::text::uuid and tier = 'fast' returning 1",
            "update budgets set daily_limit_microusd = 60000 where company_id = $1::text::uuid returning 1",
        ] {
            chat.company.rows(sql).await;
        }
        let done = chat.done().await;
        assert_eq!(done["source"], "model", "{done}");
        assert_eq!(done["model"], "gpt-5-nano");
    });
}

#[test]
fn the_operator_s_models_answer_only_where_plan_and_company_allow() {
    run(async {
        let chat = Chat::new(&[]).await;
        assert_eq!(chat.done().await["reason"], "no_provider");
        let allow = "update budgets set platform_models = true where company_id = $1::text::uuid returning 1";
        chat.company.rows(allow).await;
        assert_eq!(chat.done().await["reason"], "no_provider", "the plan does not include them");
        let plan = "update subscriptions set plan = 'pro' where company_id = $1::text::uuid returning 1";
        chat.company.rows(plan).await;
        assert_eq!(chat.done().await["routing"], "platform");
        let refuse =
            "update budgets set platform_models = false where company_id = $1::text::uuid returning 1";
        chat.company.rows(refuse).await;
        assert_eq!(chat.done().await["reason"], "no_provider", "the company wants its own only");
        let billed = "select provider_id::text from usage_ledger where company_id = $1::text::uuid";
        let billed = chat.company.rows(billed).await;
        assert_eq!(billed[0].get::<_, &str>(0), uuid::Uuid::nil().to_string());
    });
}

#[test]
fn owners_see_why_each_model_was_chosen() {
    run(async {
        let chat = Chat::new(&["500", "ok"]).await;
        chat.ask().await;
        let owner = chat.core.owner(&chat.company).await;
        let (status, usage) = chat.core.call(&chat.company, "GET", "/v1/usage", &owner, None).await;
        assert_eq!(status, 200);
        assert_eq!(usage["calls"][0]["routing"], "fallback");
        assert_eq!(usage["calls"][0]["provider_id"], chat.providers[1].as_str());
        assert_eq!(usage["days"][0]["spent_microusd"], usage["calls"][0]["cost_microusd"]);
        assert!(chat.core.native.take_lines().iter().any(|line| line.contains("fallback")));
    });
}
