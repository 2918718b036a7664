//! Retention: what is older than a company's window goes, what is younger stays, and so does all that another company has.

use bulkhead_tests::company::Company;
use bulkhead_tests::core::{CRON_TOKEN, Core};
use bulkhead_tests::native::{Fault, Part, alone, run};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

use super::visitors::found;
use crate::budget::redis;

/// A window of its own for each kind, so that none goes by another's.
fn windows() -> Value {
    json!({
        "conversations_days": 10, "leads_days": 20, "memories_days": 30, "drafts_days": 40, "deliveries_days": 5,
        "audit_days": 90,
    })
}

/// Where a row of each kind is that goes with its window.
const GOES: [&str; 13] = [
    "audit_events",
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
    "usage_ledger",
    "visitor_identities",
];

/// The operator's round, beginning with this company; its answer.
async fn round(core: &Core, company: &Company) -> Value {
    let before = uuid::Uuid::from_u128(uuid::Uuid::parse_str(&company.id).unwrap().as_u128() - 1);
    let response =
        core.serve_at("localhost", "POST", "/v1/cron", CRON_TOKEN, Some(json!({ "after": before }))).await;
    assert_eq!(response.status(), 200);
    let bytes = response.into_body().collect(1 << 20).await.unwrap();
    core.native.idle().await;
    serde_json::from_slice(&bytes).unwrap()
}

/// Puts a row of each kind under a word, as old as its window but for some minutes: more of them, or fewer. Gives the conversation.
async fn plant(company: &Company, word: &str, minutes: i32) -> String {
    let (conversation, visitor, other) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    for sql in [
        // It began long ago: what counts is when something was said last.
        "insert into conversations (company_id, conversation_id, agent_id, visitor_id, created_at)
         select company_id, 'CONVERSATION', agent_id, 'VISITOR', now() - interval '200 days'
         from agents where company_id = $1::text::uuid and is_default returning 1",
        "with asked as (
             insert into messages (company_id, message_id, conversation_id, author, body, created_at)
             select $1::text::uuid, gen_random_uuid(), 'CONVERSATION', 'visitor', body, AGED(10)
             from unnest(array['Do you mend WORD?', 'Do you mend what both ask for?']) body
             returning company_id, message_id, conversation_id, created_at
         )
         insert into messages (company_id, message_id, conversation_id, author, body, source, answers, created_at)
         select company_id, gen_random_uuid(), conversation_id, 'agent', 'Nobody knows WORD.', 'none', message_id, created_at
         from asked returning 1",
        "insert into message_ratings (company_id, message_id, good, remark)
         select company_id, message_id, false, 'WORD' from messages
         where company_id = $1::text::uuid and conversation_id = 'CONVERSATION' and author = 'agent' returning 1",
        "insert into tool_calls (company_id, message_id, call, tool, arguments, outcome, done)
         select company_id, message_id, 1, 'look_up_knowledge', '{}', 'WORD', false from messages
         where company_id = $1::text::uuid and conversation_id = 'CONVERSATION' and author = 'visitor' returning 1",
        "insert into conversation_notes (company_id, note_id, conversation_id, user_id, body)
         select company_id, gen_random_uuid(), 'CONVERSATION', user_id, 'WORD' from users
         where company_id = $1::text::uuid limit 1 returning 1",
        "insert into notices (company_id, notice_id, kind, conversation_id, body)
         values ($1::text::uuid, gen_random_uuid(), 'hand_over', 'CONVERSATION', 'WORD asks for a person.') returning 1",
        "insert into outbox (company_id, delivery_id, event_id, event, payload, user_id, next_at, delivered_at)
         select company_id, gen_random_uuid(), gen_random_uuid(), 'conversation.closed',
                jsonb_build_object('conversation_id', 'CONVERSATION', 'visitor', 'WORD'), user_id, null, now()
         from users where company_id = $1::text::uuid limit 1 returning 1",
        "insert into visitor_identities (company_id, visitor_id, subject, name, verified_at)
         values ($1::text::uuid, 'VISITOR', 'WORD', 'WORD', AGED(10)) returning 1",
        "insert into usage_ledger (company_id, reservation_id, day, conversation_id, provider_id, model, input_tokens, output_tokens,
                                   cost_microusd, estimated)
         values ($1::text::uuid, gen_random_uuid(), current_date, 'CONVERSATION', gen_random_uuid(), 'WORD', 1, 1, 0, false) returning 1",
        // A draft for what was asked in this conversation alone, which goes with it, and one that nobody looked at for so long.
        "insert into knowledge_drafts (company_id, draft_id, category_id, source, question, answer, unanswered_id, created_at)
         select c.company_id, gen_random_uuid(), c.category_id, 'model', 'Do you mend WORD?', 'WORD: ' || d.name, d.digest, d.made
         from (select company_id, category_id from knowledge_categories where company_id = $1::text::uuid limit 1) c
         cross join (values ('its own', text_digest('Do you mend WORD?'), now()), ('old', gen_random_uuid(), AGED(40))) d(name, digest, made)
         returning 1",
        "with person as (
             insert into contacts (company_id, contact_id, visitor_id, name, phone, created_at)
             values ($1::text::uuid, gen_random_uuid(), 'OTHER', 'WORD', '555 0100', AGED(20))
             returning company_id, contact_id, created_at
         )
         insert into leads (company_id, lead_id, contact_id, message, created_at)
         select company_id, gen_random_uuid(), contact_id, 'WORD', created_at from person returning 1",
        "insert into notices (company_id, notice_id, kind, body, created_at)
         values ($1::text::uuid, gen_random_uuid(), 'lead', 'WORD wants to hear from you.', AGED(20)) returning 1",
        "insert into memories (company_id, memory_id, agent_id, visitor_id, body, created_at, expires_at)
         select company_id, gen_random_uuid(), agent_id, 'OTHER', 'WORD', AGED(30), now() + interval '1 day'
         from agents where company_id = $1::text::uuid and is_default returning 1",
        // Delivered, and given up: by when that was, and not by when it happened. And told of a lead that has gone.
        "insert into outbox (company_id, delivery_id, event_id, event, payload, user_id, next_at, delivered_at, dead_at, created_at)
         select u.company_id, gen_random_uuid(), gen_random_uuid(), d.event, '{\"name\": \"WORD\"}', u.user_id, null, d.taken, d.dead, d.made
         from (select company_id, user_id from users where company_id = $1::text::uuid limit 1) u
         cross join (values ('budget.spent', AGED(5), null::timestamptz, now() - interval '29 days'),
                            ('budget.spent', null, AGED(5), now() - interval '29 days'),
                            ('lead.new', now(), null, AGED(20))) d(event, taken, dead, made)
         returning 1",
        "insert into audit_events (company_id, event_id, actor, action, target, created_at)
         values ($1::text::uuid, gen_random_uuid(), 'system', 'test', 'WORD', AGED(90)) returning 1",
    ] {
        let aged = |sql: &str| {
            let (mut whole, mut rest) = (String::new(), sql);
            while let Some((before, after)) = rest.split_once("AGED(") {
                let (days, after) = after.split_once(')').unwrap();
                whole += &format!("{before}now() - interval '{days} days {minutes} minutes'");
                rest = after;
            }
            whole + rest
        };
        let sql = aged(sql)
            .replace("CONVERSATION", &conversation.to_string())
            .replace("VISITOR", &visitor.to_string())
            .replace("OTHER", &other.to_string())
            .replace("WORD", word);
        assert!(!company.rows(&sql).await.is_empty(), "{sql}");
    }
    let key = memory(company, &conversation.to_string());
    redis(company.stand, json!(["RPUSH", key, word])).await;
    conversation.to_string()
}

fn memory(company: &Company, conversation: &str) -> String {
    format!("memory:{{{}}}:{conversation}", company.id)
}

fn word() -> String {
    format!("zq{}", &uuid::Uuid::new_v4().simple().to_string()[..12])
}

async fn count(company: &Company, from: &str) -> i64 {
    let sql = format!("select count(*) from {from} and company_id = $1::text::uuid");
    company.rows(&sql).await[0].get(0)
}

#[test]
fn what_is_older_than_its_window_goes_and_nothing_else() {
    alone(async {
        let core = Core::new(Stand::get());
        let (acme, rival) =
            (Company::new(core.stand, "plumbing").await, Company::new(core.stand, "plumbing").await);
        let (young, old, stays) = (word(), word(), word());
        let kept = plant(&acme, &young, -30).await;
        let gone = plant(&acme, &old, 30).await;
        plant(&rival, &word(), 30).await;
        for sql in [
            // It was asked in both conversations; and what was imported is nobody's question.
            "insert into knowledge_drafts (company_id, draft_id, category_id, source, question, answer, unanswered_id)
             select company_id, gen_random_uuid(), category_id, 'model', 'Both', 'WORD', text_digest('Do you mend what both ask for?')
             from knowledge_categories where company_id = $1::text::uuid limit 1 returning 1",
            "insert into knowledge_drafts (company_id, draft_id, category_id, source, question, answer, created_at)
             select company_id, gen_random_uuid(), category_id, 'website', 'Imported', 'WORD, imported', now() - interval '1 year'
             from knowledge_categories where company_id = $1::text::uuid limit 1 returning 1",
            "insert into outbox (company_id, delivery_id, event_id, event, payload, user_id, next_at, created_at)
             select company_id, gen_random_uuid(), gen_random_uuid(), 'budget.spent', '{\"waits\": \"WORD\"}', user_id,
                    now() + interval '1 hour', now() - interval '20 days'
             from users where company_id = $1::text::uuid limit 1 returning 1",
        ] {
            assert_eq!(acme.rows(&sql.replace("WORD", &stays)).await.len(), 1, "{sql}");
        }
        let before = rival.fingerprint().await;
        round(&core, &acme).await;
        assert_eq!(found(&acme, &old).await, GOES, "no window is set");

        let owner = core.owner(&acme).await;
        let (status, set) = core.call(&acme, "PUT", "/v1/retention", &owner, Some(windows())).await;
        assert_eq!((status, &set), (200, &windows()));
        // Redis forgets first; where it does not answer, no conversation goes.
        core.native.break_requests(Part::Redis, Fault::Down);
        assert!(round(&core, &acme).await["failed"].as_u64().unwrap() >= 1);
        core.native.mend();
        assert!(found(&acme, &old).await.contains(&"messages".to_owned()));

        assert_eq!(round(&core, &acme).await["failed"], 0);
        assert_eq!(found(&acme, &old).await, ["usage_ledger"], "what it cost stays");
        assert_eq!(found(&acme, &young).await, GOES);
        assert_eq!(found(&acme, &stays).await, ["knowledge_drafts", "outbox"]);
        assert_eq!(count(&acme, &format!("knowledge_drafts where answer like '{stays}%'")).await, 2);
        for (conversation, there) in [(&kept, 1), (&gone, 0)] {
            assert_eq!(redis(core.stand, json!(["EXISTS", memory(&acme, conversation)])).await, json!(there));
        }
        let now = acme.fingerprint().await;
        round(&core, &acme).await;
        assert_eq!(acme.fingerprint().await, now, "the next round finds nothing");
        assert_eq!(rival.fingerprint().await, before);
    });
}

#[test]
fn a_round_takes_the_oldest_and_so_many_at_most() {
    alone(async {
        let core = Core::new(Stand::get());
        let acme = Company::new(core.stand, "plumbing").await;
        acme.owner(Method::PUT, "/v1/retention", Some(windows()), 200).await;
        for sql in [
            "insert into audit_events (company_id, event_id, actor, action, created_at)
             select $1::text::uuid, gen_random_uuid(), 'system', 'old', now() - make_interval(days => 100 + n)
             from generate_series(1, 501) n returning 1",
            "insert into conversations (company_id, conversation_id, agent_id, visitor_id, created_at)
             select company_id, gen_random_uuid(), agent_id, gen_random_uuid(), now() - make_interval(days => 100 + n)
             from agents cross join generate_series(1, 101) n where company_id = $1::text::uuid and is_default returning 1",
        ] {
            acme.rows(sql).await;
        }
        let left = async || {
            let old = "created_at < now() - interval '99 days'";
            let youngest = format!("{old} and created_at > now() - interval '102 days'");
            [
                count(&acme, &format!("audit_events where {old}")).await,
                count(&acme, &format!("audit_events where {youngest}")).await,
                count(&acme, &format!("conversations where {old}")).await,
                count(&acme, &format!("conversations where {youngest}")).await,
            ]
        };
        assert_eq!(left().await, [501, 1, 101, 1]);
        round(&core, &acme).await;
        assert_eq!(left().await, [1, 1, 1, 1], "the youngest is left");
        round(&core, &acme).await;
        assert_eq!(left().await, [0, 0, 0, 0]);
    });
}

#[test]
fn windows_have_bounds_and_what_they_were_is_in_the_log() {
    run(async {
        let acme = Company::new(Stand::get(), "plumbing").await;
        let put = async |body: Value, expected| {
            acme.owner(Method::PUT, "/v1/retention", Some(body), expected).await
        };
        let nothing = acme.owner(Method::GET, "/v1/retention", None, 200).await;
        assert!(nothing.as_object().unwrap().values().all(Value::is_null), "{nothing}");
        put(json!({ "conversations_days": 30, "audit_days": 365 }), 200).await;
        put(json!({ "conversations_days": 60, "leads_days": 30, "audit_days": 365 }), 200).await;
        put(json!({}), 200).await;
        assert_eq!(
            acme.owner(Method::GET, "/v1/retention", None, 200).await,
            nothing,
            "what is not named is kept"
        );
        for wrong in [
            json!({ "conversations_days": 0 }),
            json!({ "leads_days": 3_651 }),
            json!({ "deliveries_days": 31 }),
            json!({ "audit_days": 89 }),
            json!({ "ledger_days": 30 }),
            json!({ "memories_days": -1 }),
        ] {
            put(wrong, 400).await;
        }
        let noted = "select target from audit_events where company_id = $1::text::uuid and action = 'retention.changed'
                     order by event_id";
        let noted: Vec<String> = acme.rows(noted).await.iter().map(|row| row.get(0)).collect();
        assert_eq!(
            noted,
            [
                "audit: kept to 365, conversations: kept to 30",
                "conversations: 30 to 60, leads: kept to 30",
                "audit: 365 to kept, conversations: 60 to kept, leads: 30 to kept",
            ]
        );
        // The same by the form, where an empty field is null.
        let form = "conversations_days:nullable=30&leads_days:nullable=&audit_days:nullable=90";
        let request = acme.request(&acme.owner, Method::POST, "/dashboard/retention");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        assert_eq!(request.send().await.unwrap().status(), 303);
        let set = acme.owner(Method::GET, "/v1/retention", None, 200).await;
        assert_eq!(
            [&set["conversations_days"], &set["leads_days"], &set["audit_days"]],
            [&json!(30), &Value::Null, &json!(90)]
        );
        let (_, page) = acme.call(&acme.owner, Method::GET, "/dashboard/company", None).await;
        assert!(page.as_str().unwrap().contains("How long things are kept"));
    });
}

/// As the worker's own role, past the core: whoever gets hold of the worker cannot hide what was done.
#[tokio::test]
async fn the_worker_s_role_takes_nothing_of_the_audit_log_but_what_is_older_than_the_window() {
    let stand = Stand::get();
    let acme = Company::new(stand, "plumbing").await;
    let rival = Company::new(stand, "plumbing").await;
    for company in [&acme, &rival] {
        company
            .rows(
                "insert into audit_events (company_id, event_id, actor, action, created_at)
                 select $1::text::uuid, gen_random_uuid(), 'system', 'old', now() - make_interval(days => n)
                 from unnest(array[1, 89, 91, 364, 366]) n returning 1",
            )
            .await;
    }
    rival
        .rows(
            "insert into retention_settings (company_id, audit_days) values ($1::text::uuid, 90) returning 1",
        )
        .await;
    let connected = tokio_postgres::connect(&stand.worker_database_url, tokio_postgres::NoTls).await;
    let (mut client, connection) = connected.unwrap();
    tokio::spawn(connection);
    // Each in a transaction that is rolled back: how many rows went, or why none may.
    let mut tried = async |before: &str, sql: &str| {
        let transaction = client.transaction().await.unwrap();
        let set = "select set_config('app.current_company_id', $1, true)";
        transaction.query(set, &[&acme.id]).await.unwrap();
        let mut outcome = Ok(0);
        for sql in [before, sql].into_iter().filter(|sql| !sql.is_empty()) {
            outcome = transaction.execute(sql, &[]).await;
            if outcome.is_err() {
                break;
            }
        }
        transaction.rollback().await.unwrap();
        outcome.map_err(|error| error.code().unwrap().code().to_owned())
    };
    let window = |days: &str| {
        format!(
            "insert into retention_settings (company_id, audit_days)
             values (current_setting('app.current_company_id')::uuid, {days})"
        )
    };
    let all = "delete from audit_events";
    for (days, rows) in [("null", 0), ("3650", 0), ("365", 1), ("90", 3)] {
        assert_eq!(tried(&window(days), all).await, Ok(rows), "{days}");
    }
    assert_eq!(tried("", all).await, Ok(0), "no window is none");
    assert_eq!(tried("", &window("89")).await, Err("23514".to_owned()));
    let denied = || Err("42501".to_owned());
    assert_eq!(tried("", "update audit_events set created_at = now() - interval '1 year'").await, denied());
    assert_eq!(tried("", "truncate audit_events").await, denied());
    assert_eq!(tried("", "drop policy aged on audit_events").await, denied());
    assert_eq!(tried("", "alter table audit_events disable row level security").await, denied());
    let others = format!("delete from audit_events where company_id = '{}'", rival.id);
    assert_eq!(tried(&window("90"), &others).await, Ok(0));
}
