//! Tools: what an agent does for a visitor, what it is told when it asks for nonsense, and that it comes to an end.

use bulkhead_tests::company::{Company, Event, event, text};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::run;
use bulkhead_tests::stand::Stand;
use serde_json::{Value, json};

/// A company whose model behaves like this, and a visitor of it.
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

    async fn ask(&self, message: &str) -> Vec<Event> {
        let ask = json!({ "message": message });
        let response = self.core.serve(&self.company, "POST", "/v1/chat", &self.visitor, Some(ask)).await;
        assert_eq!(response.status(), 200);
        read(response.into_body()).await
    }

    async fn one(&self, sql: &str) -> Value {
        let rows = self.company.rows(&format!("select to_jsonb(t) from ({sql}) t")).await;
        rows.first().map_or(Value::Null, |row| row.get(0))
    }

    fn calls(&self) -> usize {
        self.core.stand.upstream.requests(&self.key).len()
    }
}

#[test]
fn a_lead_is_captured_kept_and_told() {
    run(async {
        let chat = Chat::new("tool-capture_lead").await;
        let lead = json!({ "name": "Vera", "phone": "555 0100", "message": "A leak in the cellar" });
        let events = chat.ask(&format!("Please call me back. {lead}")).await;
        assert_eq!(event(&events, "tool"), &json!({ "name": "capture_lead", "done": true }));
        assert!(text(&events).contains("Noted"), "the model's answer rests on the tool's: {events:?}");
        assert_eq!(event(&events, "done")["calls"], 2);
        let kept = chat
            .one("select k.name, k.phone, l.message, l.conversation_id is not null as talked
                  from leads l join contacts k using (company_id, contact_id) where l.company_id = $1::text::uuid")
            .await;
        let expected =
            json!({ "name": "Vera", "phone": "555 0100", "message": "A leak in the cellar", "talked": true });
        assert_eq!(kept, expected);
        let call =
            chat.one("select tool, arguments, done from tool_calls where company_id = $1::text::uuid").await;
        assert_eq!(call, json!({ "tool": "capture_lead", "arguments": lead, "done": true }));
        let audit =
            "select actor from audit_events where company_id = $1::text::uuid and action = 'lead.captured'";
        assert_eq!(chat.one(audit).await, json!({ "actor": "system" }));
        let notice = chat.one("select kind, body from notices where company_id = $1::text::uuid").await;
        assert_eq!(notice, json!({ "kind": "lead", "body": "Vera wants to hear from you." }));
        let ledger = "select count(*) as calls, count(distinct reservation_id) as turns from usage_ledger where company_id = $1::text::uuid";
        assert_eq!(chat.one(ledger).await, json!({ "calls": 2, "turns": 1 }));
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn a_person_is_asked_for() {
    run(async {
        let chat = Chat::new("tool-hand_over").await;
        let events = chat.ask(&format!("I want a person! {}", json!({ "reason": "Wants a person." }))).await;
        assert_eq!(event(&events, "tool")["done"], true);
        assert!(text(&events).contains("asked to take over"), "{events:?}");
        let handed = "select handed_over_at is not null as handed from conversations where company_id = $1::text::uuid";
        assert_eq!(chat.one(handed).await, json!({ "handed": true }));
        let notice = chat.one("select kind, body from notices where company_id = $1::text::uuid").await;
        assert_eq!(notice, json!({ "kind": "hand_over", "body": "Wants a person." }));
        let owner = chat.core.owner(&chat.company).await;
        let (_, notices) = chat.core.call(&chat.company, "GET", "/v1/notices", &owner, None).await;
        let id = notices["notices"][0]["notice_id"].as_str().unwrap().to_owned();
        let path = format!("/v1/notices/{id}/seen");
        assert_eq!(chat.core.call(&chat.company, "POST", &path, &owner, None).await.0, 204);
        let (_, notices) = chat.core.call(&chat.company, "GET", "/v1/notices", &owner, None).await;
        assert!(notices["notices"][0]["seen_at"].is_string());
    });
}

#[test]
fn knowledge_is_looked_up_within_the_agent_s_scope_and_cited() {
    run(async {
        let chat = Chat::new("tool-look_up_knowledge").await;
        let query = json!({ "query": "How much does it cost to replace a water heater?" });
        let events = chat.ask(&format!("Tell me. {query}")).await;
        assert!(text(&events).contains('$'), "{events:?}");
        let cited = event(&events, "citations").to_string();
        assert!(cited.contains("water heater"), "{cited}");
    });
}

#[test]
fn appointments_are_proposed_when_the_company_is_open() {
    run(async {
        let chat = Chat::new("tool-propose_appointment").await;
        let events = chat.ask(&format!("When can you come? {}", json!({ "part_of_day": "morning" }))).await;
        let said = text(&events);
        assert!(said.contains("open at these times"), "{said}");
        let wrong = chat.ask(&format!("And then? {}", json!({ "from": "tomorrow" }))).await;
        assert_eq!(event(&wrong, "tool")["done"], false);
        assert!(text(&wrong).contains("2026-11-30"), "the model is told what a day looks like: {wrong:?}");
    });
}

#[test]
fn facts_of_the_company_are_looked_up_and_no_other_s() {
    run(async {
        for (tool, arguments, told) in [
            ("list_services", json!({ "about": "water heater" }), "$"),
            ("list_services", json!({}), "usually"),
            ("list_services", json!({ "about": "teeth whitening" }), "No service of the company's fits"),
            ("explain_term", json!({ "term": "hot water tank" }), "ater heater"),
            ("explain_term", json!({ "term": "molar" }), "does not have that word"),
            ("opening_hours", json!({}), "- Sunday: Closed"),
            ("payment_methods", json!({}), "heck"),
        ] {
            let chat = Chat::new(&format!("tool-{tool}")).await;
            let events = chat.ask(&format!("Tell me. {arguments}")).await;
            assert_eq!(event(&events, "tool"), &json!({ "name": tool, "done": true }), "{arguments}");
            assert!(text(&events).contains(told), "{tool} {arguments}: {}", text(&events));
        }
        let chat = Chat::new("tool-opening_hours").await;
        let events = chat.ask(&format!("Tell me. {}", json!({ "company_id": chat.company.id }))).await;
        assert_eq!(event(&events, "tool")["done"], false, "a tool that takes nothing takes no company");
    });
}

#[test]
fn on_a_closed_day_nobody_is_there_and_no_time_is_proposed() {
    run(async {
        let told = async |tool: &str, arguments: Value, closed: bool| {
            let chat = Chat::new(&format!("tool-{tool}")).await;
            // Open day and night, so that only the closed days decide.
            let week = "with gone as (delete from opening_hours where company_id = $1::text::uuid)
                 insert into opening_hours (company_id, weekday, opens, closes)
                 select $1::text::uuid, d, '00:00:01', '24:00' from generate_series(1, 7) d returning 1";
            chat.company.rows(week).await;
            if closed {
                let days = "insert into closures (company_id, closure_id, day, name)
                     select $1::text::uuid, gen_random_uuid(), current_date + d, 'Away' from generate_series(-1, 20) d
                     on conflict do nothing returning 1";
                chat.company.rows(days).await;
            }
            text(&chat.ask(&format!("Tell me. {arguments}")).await)
        };
        for (tool, arguments, open, closed) in [
            ("opening_hours", json!({}), "is open now", "is closed now"),
            ("hand_over", json!({ "reason": "Wants a person." }), "is open now", "is closed now"),
            ("propose_appointment", json!({}), "open at these times", "No times were found"),
        ] {
            let said = told(tool, arguments.clone(), false).await;
            assert!(said.contains(open), "{tool}: {said}");
            let said = told(tool, arguments, true).await;
            assert!(said.contains(closed), "{tool}: {said}");
        }
    });
}

#[test]
fn a_tool_that_is_not_there_cannot_be_given_to_an_agent() {
    run(async {
        let chat = Chat::new("ok").await;
        let owner = chat.core.owner(&chat.company).await;
        let (_, agents) = chat.core.call(&chat.company, "GET", "/v1/agents", &owner, None).await;
        let path = format!("/v1/agents/{}", agents["agents"][0]["agent_id"].as_str().unwrap());
        let tools = json!({ "tools": ["capture_lead", "drop_tables"] });
        let (status, problem) = chat.core.call(&chat.company, "PATCH", &path, &owner, Some(tools)).await;
        assert_eq!(status, 400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("drop_tables") && detail.contains("payment_methods"), "{detail}");
    });
}

#[test]
fn a_model_that_calls_tools_for_ever_is_made_to_answer() {
    run(async {
        let chat = Chat::new("toolloop").await;
        let events = chat.ask("Do you fix leaks?").await;
        assert_eq!(chat.calls(), 4);
        assert_eq!(events.last().unwrap().name, "done", "{events:?}");
        assert!(!text(&events).is_empty());
        assert_eq!(super::budget::held(&chat.company).await, 0);
    });
}

#[test]
fn what_a_model_makes_up_does_nothing_and_the_visitor_is_answered() {
    run(async {
        for behaviour in ["badargs", "tool-drop_tables"] {
            let chat = Chat::new(behaviour).await;
            let events = chat.ask("Do you fix leaks?").await;
            assert_eq!(event(&events, "tool")["done"], false, "{behaviour}");
            assert_eq!(events.last().unwrap().name, "done", "{behaviour}: {events:?}");
            let done = "select count(*) as done from tool_calls where company_id = $1::text::uuid and done";
            assert_eq!(chat.one(done).await, json!({ "done": 0 }), "{behaviour}");
        }
        // Another company's conversation in the arguments is no argument.
        let chat = Chat::new("tool-hand_over").await;
        let forged = json!({ "reason": "x", "conversation_id": uuid::Uuid::new_v4() });
        assert_eq!(event(&chat.ask(&format!("Hm. {forged}")).await, "tool")["done"], false);
    });
}

#[test]
fn an_agent_without_tools_is_offered_none() {
    run(async {
        let chat = Chat::new("tool-capture_lead").await;
        chat.company.rows("delete from agent_tools where company_id = $1::text::uuid returning 1").await;
        let events =
            chat.ask(&format!("Call me. {}", json!({ "name": "V", "phone": "555", "message": "m" }))).await;
        assert_eq!(event(&events, "tool")["done"], false);
        let leads = "select count(*) as leads from leads where company_id = $1::text::uuid";
        assert_eq!(chat.one(leads).await, json!({ "leads": 0 }));
        let request = &chat.core.stand.upstream.requests(&chat.key)[0].body;
        assert!(request.get("tools").is_none(), "{request}");
    });
}
