//! A visitor's own data: all of it to read, all of it gone, and nobody else's touched.

use bulkhead_tests::company::{Company, Visitor, event};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::token::claims;
use http::Method;
use serde_json::{Value, json};

use crate::budget::redis;

/// What somebody left behind, under a word that only they said.
struct Left {
    id: String,
    word: String,
    conversation: String,
}

/// Somebody asks, rates the answer, leaves a number, says who they are, and is written a note about.
async fn leave(company: &Company, visitor: &Visitor<'_>) -> Left {
    let word = format!("zq{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    let events = visitor.ask(&format!("What does a first visit cost? I am {word}.")).await;
    let conversation = event(&events, "start")["conversation_id"].as_str().unwrap().to_owned();
    let message = event(&events, "done")["message_id"].as_str().unwrap().to_owned();
    let send = async |token: &str, method: Method, path: &str, body: Value, expected: u16| {
        let (status, answer) = company.call(token, method, path, Some(body)).await;
        assert_eq!(status, expected, "{path}: {answer}");
    };
    let rating = json!({ "good": false, "remark": format!("Too long, says {word}.") });
    send(&visitor.token, Method::PUT, &format!("/v1/messages/{message}/rating"), rating, 200).await;
    let lead = json!({
        "name": format!("Vera {word}"), "email": format!("{word}@example.com"), "message": format!("Call {word}."),
        "conversation_id": conversation,
    });
    send(&visitor.token, Method::POST, "/v1/leads", lead, 201).await;
    send(
        &visitor.token,
        Method::POST,
        "/v1/identity",
        json!({ "token": company.identity(&word).await }),
        200,
    )
    .await;
    let note = json!({ "body": format!("{word} is a good customer.") });
    send(&company.owner, Method::POST, &format!("/v1/conversations/{conversation}/notes"), note, 201).await;
    let id = claims(&visitor.token)["sub"].as_str().unwrap().to_owned();
    for sql in [
        "insert into notices (company_id, notice_id, kind, conversation_id, body)
         select company_id, gen_random_uuid(), 'lead', conversation_id, 'WORD wants to hear from you.'
         from conversations where company_id = $1::text::uuid and visitor_id = 'ID' returning 1",
        "insert into memories (company_id, memory_id, agent_id, visitor_id, body, expires_at)
         select company_id, gen_random_uuid(), agent_id, visitor_id, 'WORD likes mornings.', now() + interval '1 day'
         from conversations where company_id = $1::text::uuid and visitor_id = 'ID' returning 1",
        "insert into outbox (company_id, delivery_id, event_id, event, payload, user_id)
         select c.company_id, gen_random_uuid(), gen_random_uuid(), 'conversation.closed',
                jsonb_build_object('conversation_id', c.conversation_id, 'visitor', 'WORD'), u.user_id
         from conversations c join users u using (company_id)
         where company_id = $1::text::uuid and c.visitor_id = 'ID' limit 1 returning 1",
        "insert into outbox (company_id, delivery_id, event_id, event, payload, user_id)
         select l.company_id, gen_random_uuid(), gen_random_uuid(), 'lead.new',
                jsonb_build_object('lead_id', l.lead_id, 'name', 'WORD'), u.user_id
         from leads l join contacts k using (company_id, contact_id) join users u using (company_id)
         where company_id = $1::text::uuid and k.visitor_id = 'ID' limit 1 returning 1",
        // What a model wrote for what only they asked.
        "with asked as (
             insert into messages (company_id, message_id, conversation_id, author, body)
             select company_id, ('ffffffff' || substr(gen_random_uuid()::text, 9))::uuid, conversation_id, 'visitor', 'Do you mend WORD?'
             from conversations where company_id = $1::text::uuid and visitor_id = 'ID' returning company_id, body
         )
         insert into knowledge_drafts (company_id, draft_id, category_id, source, question, answer, unanswered_id)
         select a.company_id, gen_random_uuid(), k.category_id, 'model', a.body, 'WORD: yes.', text_digest(a.body)
         from asked a
         cross join lateral (select category_id from knowledge_categories where company_id = a.company_id limit 1) k
         returning 1",
        "insert into tool_calls (company_id, message_id, call, tool, arguments, outcome, done)
         select m.company_id, m.message_id, 99, 'look_up_knowledge', '{\"query\": \"WORD\"}', 'Of WORD.', true
         from messages m join conversations c using (company_id, conversation_id)
         where company_id = $1::text::uuid and c.visitor_id = 'ID' and m.author = 'visitor' limit 1 returning 1",
    ] {
        assert_eq!(company.rows(&sql.replace("WORD", &word).replace("ID", &id)).await.len(), 1, "{sql}");
    }
    // Redis hears of a turn after its answer has ended.
    let key = memory(company, &conversation);
    for tries in 0.. {
        if redis(company.stand, json!(["EXISTS", key])).await == json!(1) {
            break;
        }
        assert!(tries < 600, "Redis does not remember the turn");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Left { id, word, conversation }
}

fn memory(company: &Company, conversation: &str) -> String {
    format!("memory:{{{}}}:{conversation}", company.id)
}

/// Tables of the company in which a text stands in any column.
pub(super) async fn found(company: &Company, text: &str) -> Vec<String> {
    let tables = company.tables().await;
    let each = tables.iter().map(|table| {
        format!(
            "select '{table}' where exists (
                 select from {table} r where company_id = $1::text::uuid and strpos(r::text, '{text}') > 0)"
        )
    });
    let sql = format!("{} order by 1", each.collect::<Vec<_>>().join(" union all "));
    company.rows(&sql).await.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_visitor_s_data_is_shown_and_erased_and_nobody_else_s() {
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "plumbing").await, Company::new(stand, "plumbing").await);
    let (vera, walt) = (acme.visitor().await, acme.visitor().await);
    let (vera, walt) = (leave(&acme, &vera).await, leave(&acme, &walt).await);
    let there = rival.visitor().await;
    leave(&rival, &there).await;
    let before = rival.fingerprint().await;
    let path = |left: &Left| format!("/v1/visitors/{}", left.id);

    let shown = acme.owner(Method::GET, &path(&vera), None, 200).await;
    for part in ["contact", "identity", "leads", "conversations", "notes", "memories", "messages"] {
        assert!(!shown[part].as_array().unwrap().is_empty(), "{part}: {shown}");
    }
    assert_eq!((shown["messages"].as_array().unwrap().len(), &shown["more"]), (3, &json!(false)));
    let text = shown.to_string();
    assert!(text.contains(&vera.word) && !text.contains(&walt.word), "{text}");
    // What comes after the last message is nothing more, and all else is as it was.
    let last = shown["messages"][2]["message_id"].as_str().unwrap();
    let rest = acme.owner(Method::GET, &format!("{}?after={last}", path(&vera)), None, 200).await;
    assert_eq!(rest["messages"], json!([]));
    acme.owner(Method::GET, &format!("{}?after=x", path(&vera)), None, 400).await;

    let words = found(&acme, &vera.word).await;
    for table in [
        "contacts",
        "conversation_notes",
        "knowledge_drafts",
        "leads",
        "memories",
        "message_ratings",
        "messages",
        "notices",
        "outbox",
        "tool_calls",
        "visitor_identities",
    ] {
        assert!(words.iter().any(|found| found == table), "{table}: {words:?}");
    }
    let walts = acme.owner(Method::GET, &path(&walt), None, 200).await;
    // Another company's owner knows neither of them.
    assert_eq!(rival.call(&rival.owner, Method::DELETE, &path(&vera), None).await.0, 404);
    acme.owner(Method::DELETE, &path(&vera), None, 204).await;
    assert_eq!(found(&acme, &vera.word).await, Vec::<String>::new());
    assert_eq!(found(&acme, &vera.id).await, ["audit_events"]);
    assert_eq!(redis(stand, json!(["EXISTS", memory(&acme, &vera.conversation)])).await, json!(0));
    assert_eq!(redis(stand, json!(["EXISTS", memory(&acme, &walt.conversation)])).await, json!(1));
    acme.owner(Method::GET, &path(&vera), None, 404).await;
    acme.owner(Method::DELETE, &path(&vera), None, 404).await;
    assert_eq!(acme.owner(Method::GET, &path(&walt), None, 200).await, walts);
    assert_eq!(rival.fingerprint().await, before);
    // What it cost is still known, and the log says what was done, once each.
    let kept = format!(
        "select from usage_ledger where company_id = $1::text::uuid and conversation_id = '{}'",
        vera.conversation
    );
    let cost = acme.rows(&kept).await.len();
    let events = format!(
        "select action from audit_events where company_id = $1::text::uuid and target = '{}' order by created_at, action",
        vera.id
    );
    let events: Vec<String> = acme.rows(&events).await.iter().map(|row| row.get(0)).collect();
    assert_eq!(events, ["visitor.exported", "visitor.exported", "visitor.erased"], "cost rows: {cost}");
}
