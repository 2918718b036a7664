//! Trials: staff ask an agent as a visitor would; it is a turn like any other, and counts for nothing but its cost.

use bulkhead_tests::company::{Company, with};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

async fn agent(company: &Company, default: bool) -> String {
    let agents = company.owner(Method::GET, "/v1/agents", None, 200).await;
    let agents = agents["agents"].as_array().unwrap();
    let agent = agents.iter().find(|agent| agent["is_default"] == default).unwrap();
    agent["agent_id"].as_str().unwrap().to_owned()
}

/// Sends a page's form; gives status, where it leads, and the page.
async fn send(company: &Company, token: &str, path: &str, fields: &Value) -> (u16, String, String) {
    let response = with(company.request(token, Method::POST, path), path, fields).send().await.unwrap();
    let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    (response.status().as_u16(), to.unwrap_or_default(), response.text().await.unwrap())
}

async fn page(company: &Company, token: &str, path: &str) -> String {
    let (status, html) = company.call(token, Method::GET, path, None).await;
    assert_eq!(status, 200, "{path}: {html}");
    html.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_trial_is_answered_and_paid_for_and_is_in_no_list_and_no_figure() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    acme.provider("openai", "test-ok-trial").await;
    let agent = agent(&acme, true).await;
    let address = format!("/dashboard/agents/{agent}");
    let (status, to, _) =
        send(&acme, &acme.owner, &format!("{address}/try"), &json!({ "message": "Do you fix leaks?" })).await;
    assert_eq!(status, 303);
    assert!(to.starts_with(&format!("{address}?trial=")), "{to}");
    let html = page(&acme, &acme.owner, &to).await;
    for part in ["Do you fix leaks?", "Worded by a model", "Rests on: ", "Why this model", "spent today"] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    // Paid for.
    let usage = acme.owner(Method::GET, "/v1/usage", None, 200).await;
    assert_eq!(usage["calls"].as_array().unwrap().len(), 1, "{usage}");
    assert!(acme.owner(Method::GET, "/v1/budget", None, 200).await["spent_microusd"].as_u64() > Some(0));
    // The next question goes on with it, and the agent knows what was said.
    let trial = to.split("trial=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let more = json!({ "message": "And how soon?", "conversation_id": trial });
    let (_, again, _) = send(&acme, &acme.owner, &format!("{address}/try"), &more).await;
    assert!(again.contains(&trial), "{again}");
    let asked = Stand::get().upstream.requests("test-ok-trial");
    assert!(format!("{:?}", asked.last().unwrap()).contains("Do you fix leaks?"));

    // Nobody finds it.
    let found = acme.owner(Method::GET, "/v1/conversations", None, 200).await;
    assert_eq!(found["conversations"], json!([]));
    let overview = page(&acme, &acme.owner, "/dashboard").await;
    assert!(overview.contains("Conversations: 0 in 30 days") && overview.contains("Answers: 0 in 30 days"));
    // A visitor's is found, and counts.
    acme.visitor().await.ask("Do you fix leaks?").await;
    let found = acme.owner(Method::GET, "/v1/conversations", None, 200).await;
    assert_eq!(found["conversations"].as_array().unwrap().len(), 1);
    assert!(page(&acme, &acme.owner, "/dashboard").await.contains("Conversations: 1 in 30 days"));
    // What tools left behind in a trial is no lead and no news.
    let leave = format!(
        "with k as (insert into contacts (company_id, contact_id, visitor_id, name, phone)
                    values ($1::text::uuid, gen_random_uuid(), gen_random_uuid(), 'Tess Trial', '555') returning contact_id),
              n as (insert into notices (company_id, notice_id, kind, conversation_id, body)
                    values ($1::text::uuid, gen_random_uuid(), 'lead', '{trial}', 'Tess Trial called.'))
         insert into leads (company_id, lead_id, contact_id, conversation_id, message)
         select $1::text::uuid, gen_random_uuid(), contact_id, '{trial}', '' from k returning 1"
    );
    acme.rows(&leave).await;
    assert_eq!(acme.owner(Method::GET, "/v1/leads", None, 200).await["leads"], json!([]));
    // Whoever tries an agent is no contact either.
    let be = format!(
        "update contacts k set visitor_id = c.visitor_id from conversations c
         where k.company_id = $1::text::uuid and c.company_id = k.company_id and c.conversation_id = '{trial}' returning 1"
    );
    assert_eq!(
        acme.owner(Method::GET, "/v1/contacts", None, 200).await["contacts"].as_array().unwrap().len(),
        1
    );
    acme.rows(&be).await;
    assert_eq!(acme.owner(Method::GET, "/v1/contacts", None, 200).await["contacts"], json!([]));
    assert!(!acme.owner(Method::GET, "/v1/notices", None, 200).await.to_string().contains("Tess"));
    let overview = page(&acme, &acme.owner, "/dashboard").await;
    assert!(overview.contains("Leads: 0 in 30 days") && !overview.contains("Tess"));
}

#[tokio::test]
async fn a_trial_is_its_own_person_s_and_only_of_that_agent() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let (first, second) = (agent(&acme, true).await, agent(&acme, false).await);
    let question = json!({ "message": "Do you fix leaks?" });
    let (_, to, _) = send(&acme, &acme.owner, &format!("/dashboard/agents/{first}/try"), &question).await;
    let trial = to.split("trial=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let admin = acme.person("admin").await;
    let admin = acme.sign_in(&admin.email).await.0;
    let more = json!({ "message": "And how soon?", "conversation_id": trial });
    for (what, token, agent) in [("a colleague", &admin, &first), ("another agent", &acme.owner, &second)] {
        let (status, _) =
            acme.call(token, Method::GET, &format!("/dashboard/agents/{agent}?trial={trial}"), None).await;
        assert_eq!(status, 404, "{what}");
        let (status, _) =
            acme.call(token, Method::POST, &format!("/v1/agents/{agent}/try"), Some(more.clone())).await;
        assert_eq!(status, 404, "{what}");
    }
    // A visitor's conversation is no trial.
    let events = acme.visitor().await.ask("Do you fix leaks?").await;
    let theirs = events[0].data["conversation_id"].as_str().unwrap();
    let into = json!({ "message": "Hello?", "conversation_id": theirs });
    assert_eq!(
        acme.call(&acme.owner, Method::POST, &format!("/v1/agents/{first}/try"), Some(into)).await.0,
        404
    );
    let path = format!("/dashboard/agents/{first}?trial={theirs}");
    assert_eq!(acme.call(&acme.owner, Method::GET, &path, None).await.0, 404);
    // A paused agent says so.
    acme.owner(Method::PATCH, &format!("/v1/agents/{second}"), Some(json!({ "enabled": false })), 200).await;
    let problem =
        acme.owner(Method::POST, &format!("/v1/agents/{second}/try"), Some(question.clone()), 409).await;
    assert!(problem["detail"].as_str().unwrap().contains("paused"), "{problem}");
    // A member may not: it costs.
    let member = acme.person("member").await;
    let member = acme.sign_in(&member.email).await.0;
    let path = format!("/v1/agents/{first}/try");
    assert_eq!(acme.call(&member, Method::POST, &path, Some(question)).await.0, 403);
}

#[tokio::test]
async fn a_question_pressed_twice_is_asked_once() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    acme.provider("openai", "test-ok-trial-twice").await;
    let path = format!("/dashboard/agents/{}/try", agent(&acme, true).await);
    let fields = json!({ "message": "Do you fix leaks?", ":key": "0123456789abcdef" });
    let (_, first, _) = send(&acme, &acme.owner, &path, &fields).await;
    let (_, second, _) = send(&acme, &acme.owner, &path, &fields).await;
    assert_eq!(first, second);
    assert_eq!(Stand::get().upstream.requests("test-ok-trial-twice").len(), 1);
}
