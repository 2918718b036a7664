//! The inbox: a person takes a conversation over and hands it back; who sees what of it.

use bulkhead_tests::company::{Company, Visitor, event, text};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

/// A conversation that has begun, and its address.
async fn begun(visitor: &Visitor<'_>) -> (String, String) {
    let events = visitor.ask("Do you fix leaks?").await;
    let id = event(&events, "start")["conversation_id"].as_str().unwrap().to_owned();
    let address = format!("/v1/conversations/{id}");
    (id, address)
}

async fn change(company: &Company, address: &str, body: Value) -> Value {
    company.owner(Method::PATCH, address, Some(body), 200).await
}

async fn messages(company: &Company, visitor: &Visitor<'_>, address: &str) -> Vec<Value> {
    let (status, said) =
        company.call(&visitor.token, Method::GET, &format!("{address}/messages"), None).await;
    assert_eq!(status, 200, "{said}");
    said["messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn while_a_person_has_it_the_agent_is_silent_and_nothing_is_spent() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    acme.provider("openai", "test-ok-inbox-silent").await;
    let visitor = acme.visitor().await;
    let (id, address) = begun(&visitor).await;
    let calls = Stand::get().upstream.requests("test-ok-inbox-silent").len();
    assert!(calls > 0, "the agent answers first");

    let taken = change(&acme, &address, json!({ "taken_over": true })).await;
    assert_eq!((&taken["state"], &taken["taken_over_by"]), (&json!("person"), &json!("Olive Owner")));
    let events = visitor.send(json!({ "message": "Is anybody there?", "conversation_id": id })).await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["start", "person", "done"], "{events:?}");
    assert_eq!(event(&events, "person")["name"], "Olive", "the first name alone");
    let done = event(&events, "done");
    assert_eq!((&done["message_id"], &done["reason"]), (&Value::Null, &json!("person")));
    assert_eq!(Stand::get().upstream.requests("test-ok-inbox-silent").len(), calls, "no model was called");
    let shown = acme.owner(Method::GET, &address, None, 200).await;
    assert_eq!(shown["conversation"]["state"], "waiting", "the question waits for the person");
    assert_eq!(shown["messages"].as_array().unwrap().last().unwrap()["body"], "Is anybody there?");

    let reply = json!({ "body": "Olive here. We come at nine." });
    acme.owner(Method::POST, &format!("{address}/replies"), Some(reply), 201).await;
    let said = messages(&acme, &visitor, &address).await;
    let last = said.last().unwrap();
    assert_eq!((&last["author"], &last["person"]), (&json!("member"), &json!("Olive")));
    assert_eq!(last["body"], "Olive here. We come at nine.");

    // Handed back, the agent knows what the person said, as its own side's words.
    let back = change(&acme, &address, json!({ "taken_over": false })).await;
    assert_eq!((&back["state"], &back["taken_over_by"]), (&json!("open"), &Value::Null));
    let events = visitor.send(json!({ "message": "Thank you. And on Sunday?", "conversation_id": id })).await;
    assert!(!text(&events).is_empty(), "{events:?}");
    let requests = Stand::get().upstream.requests("test-ok-inbox-silent");
    let prompt = requests.last().unwrap().body["messages"].as_array().unwrap().clone();
    let spoken: Vec<_> =
        prompt.iter().map(|turn| (turn["role"].as_str().unwrap(), turn["content"].to_string())).collect();
    let person = spoken.iter().find(|(_, said)| said.contains("We come at nine")).expect("the prompt has it");
    assert_eq!(person.0, "assistant");
    assert!(spoken.iter().any(|(role, said)| *role == "user" && said.contains("Is anybody there?")));
}

#[tokio::test]
async fn a_reply_takes_over_and_a_question_opens_what_was_closed() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let visitor = acme.visitor().await;
    let (id, address) = begun(&visitor).await;
    let state = async || acme.owner(Method::GET, &address, None, 200).await["conversation"]["state"].clone();
    acme.owner(Method::POST, &format!("{address}/replies"), Some(json!({ "body": "Hello." })), 201).await;
    assert_eq!(state().await, "person");
    assert_eq!(change(&acme, &address, json!({ "closed": true })).await["state"], "closed");
    // Closing handed back: whoever comes again is answered.
    let events = visitor.send(json!({ "message": "One more thing.", "conversation_id": id })).await;
    assert!(!text(&events).is_empty());
    assert_eq!(state().await, "open");
    // A person who was asked for is waited for, until somebody has come.
    acme.rows(
        "update conversations set handed_over_at = now() where company_id = $1::text::uuid returning 1",
    )
    .await;
    assert_eq!(state().await, "waiting");
    acme.owner(Method::POST, &format!("{address}/replies"), Some(json!({ "body": "Here I am." })), 201).await;
    assert_eq!(state().await, "person");
    acme.owner(Method::PATCH, &address, Some(json!({})), 400).await;
    acme.owner(Method::POST, &format!("{address}/replies"), Some(json!({ "body": " " })), 400).await;
    let actions = acme.rows("select action from audit_events where company_id = $1::text::uuid and action like 'conversation.%'").await;
    assert_eq!(actions.len(), 1, "closing is noted, replies are messages");
}

#[tokio::test]
async fn conversations_are_found_by_text_state_and_label_and_paged_by_id() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let visitor = acme.visitor().await;
    let label = json!({ "name": "Pinball", "color": "#123456", "words": "pinball machine" });
    acme.owner(Method::POST, "/v1/labels", Some(label), 201).await;
    visitor.ask("Do you repair a pinball machine?").await;
    let (id, address) = begun(&visitor).await;
    let list = async |query: &str| {
        let found = acme.owner(Method::GET, &format!("/v1/conversations{query}"), None, 200).await;
        found["conversations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["question"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (pinball, leaks) = ("Do you repair a pinball machine?", "Do you fix leaks?");
    assert_eq!(list("").await, [leaks, pinball], "newest first");
    assert_eq!(list("?q=PINBALL").await, [pinball]);
    assert_eq!(list("?q=100%25_").await, [""; 0], "a text is no pattern");
    assert_eq!(list("?label=Pinball").await, [pinball]);
    assert_eq!(list(&format!("?before={id}")).await, [pinball]);
    change(&acme, &address, json!({ "taken_over": true })).await;
    assert_eq!(list("?state=person").await, [leaks]);
    acme.owner(Method::GET, "/v1/conversations?state=asleep", None, 400).await;
    acme.owner(Method::GET, "/v1/conversations?before=x", None, 400).await;
}

#[tokio::test]
async fn notes_are_for_colleagues_and_nobody_else_has_a_way_in() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let visitor = acme.visitor().await;
    let (_, address) = begun(&visitor).await;
    let key = uuid::Uuid::new_v4().to_string();
    let note = async |token: &str, body: &str| {
        let request = acme.request(token, Method::POST, &format!("{address}/notes"));
        let request = request.header("idempotency-key", &key).json(&json!({ "body": body }));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(note(&acme.owner, "Pays late.").await, 201);
    assert_eq!(note(&acme.owner, "Pays late.").await, 201, "the same again is the same");
    assert_eq!(note(&acme.owner, "Pays early.").await, 409, "another with its key is none");
    assert_eq!(note(&visitor.token, "Let me in.").await, 401);
    let shown = acme.owner(Method::GET, &address, None, 200).await;
    assert_eq!(shown["notes"].as_array().unwrap().len(), 1);
    assert_eq!(shown["notes"][0]["person"], "Olive Owner");
    let said = messages(&acme, &visitor, &address).await;
    assert!(!json!(said).to_string().contains("Pays late"), "{said:?}");
    // Another company's people, and another visitor of this one.
    for (method, path, body) in [
        (Method::GET, address.clone(), None),
        (Method::PATCH, address.clone(), Some(json!({ "taken_over": true }))),
        (Method::POST, format!("{address}/replies"), Some(json!({ "body": "x" }))),
        (Method::POST, format!("{address}/notes"), Some(json!({ "body": "x" }))),
    ] {
        bright.owner(method.clone(), &path, body.clone(), 404).await;
        assert_eq!(acme.call(&acme.visitor().await.token, method, &path, body).await.0, 401, "{path}");
    }
    let other = acme.visitor().await;
    let (status, _) = acme.call(&other.token, Method::GET, &format!("{address}/messages"), None).await;
    assert_eq!(status, 404);
}

/// A turn that is under way when a person takes over ends as it began; the next one is the person's.
#[tokio::test]
async fn the_same_question_sent_again_while_a_person_has_it_is_stored_once() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let visitor = acme.visitor().await;
    let (id, address) = begun(&visitor).await;
    change(&acme, &address, json!({ "taken_over": true })).await;
    let key = uuid::Uuid::new_v4().to_string();
    let ask = async || {
        let request = acme.request(&visitor.token, Method::POST, "/v1/chat").header("idempotency-key", &key);
        let body = json!({ "message": "Hello?", "conversation_id": id });
        request.json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!((ask().await, ask().await), (200, 409));
    let said = messages(&acme, &visitor, &address).await;
    assert_eq!(said.iter().filter(|message| message["body"] == "Hello?").count(), 1);
}
