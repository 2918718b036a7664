//! Canaries: every text that two companies have carries a word of its own, every route is called for both, with and
//! without faults, and one sink sees all that the core answers, sends and logs. One company's word on the other's side fails.
//!
//! The columns come from the catalogue: a new one is marked as well, or this test fails with its name.

use std::collections::BTreeMap;

use bulkhead::routes::{ROUTES, Run};
use bulkhead_tests::company::Company;
use bulkhead_tests::core::Core;
use bulkhead_tests::native::{Fault, Part, run};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use serde_json::{Value, json};

use super::access::kept;
use super::attacks_id::{body, ids};

/// Text columns that can carry no word: lists of fixed values, digests, colours, names of the platform's own things.
const FIXED: &[&str] = &[
    "account_links.purpose",
    "account_links.role",
    "agent_tools.tool",
    "agents.tier",
    "api_keys.last_four",
    "api_keys.scopes",
    "audit_events.actor",
    "budget_alerts.period",
    "checklist_items.kind",
    "companies.industry",
    "companies.slug",
    "companies.status",
    "companies.time_zone",
    "domains.host",
    "domains.token",
    "glossary_terms.origin",
    "follow_up_steps.message",
    "gpt_contexts.kind",
    "gpt_contexts.origin",
    "hosts.host",
    "hosts.kind",
    "knowledge_drafts.source",
    "knowledge_entries.origin",
    "labels.color",
    "leads.status",
    "memberships.role",
    "message_templates.channel",
    "message_templates.origin",
    "messages.author",
    "messages.source",
    "notices.kind",
    "notification_settings.channel",
    "notification_settings.event",
    "notification_settings.role",
    "pipeline_stages.outcome",
    "provider_models.tier",
    "providers.api",
    "providers.base_url",
    "providers.fingerprint",
    "providers.kind",
    "providers.last_four",
    "removals.kind",
    "role_permissions.permission",
    "role_permissions.role",
    "services.origin",
    "settled_questions.outcome",
    "site_pages.origin",
    "subscriptions.plan",
    "subscriptions.status",
    "webhooks.events",
    "widget_settings.accent_color",
    "widget_settings.side",
];

/// Where a word can show up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// Heads and bodies of the core's answers.
    Answer,
    /// What the model providers were sent.
    Model,
    /// What Postgres was sent.
    Postgres,
    /// What Redis was sent.
    Redis,
    /// What websites were sent.
    Website,
    /// What the operator reads.
    Log,
}

/// A company, its word, and who calls for it.
struct Marked {
    company: Company,
    word: String,
    owner: String,
    visitor: String,
    program: String,
    /// An id of each kind, by its column.
    ids: BTreeMap<String, String>,
}

#[test]
fn no_word_of_one_company_is_seen_at_the_other() {
    run(async {
        let core = Core::new(Stand::get());
        let one = Marked::new(&core, "plumbing").await;
        let other = Marked::new(&core, "plumbing").await;
        let mut seen = BTreeMap::new();
        for fault in [
            None,
            Some((Part::Model, Fault::Down)),
            Some((Part::Redis, Fault::Down)),
            Some((Part::Redis, Fault::AnswerLost)),
            Some((Part::Postgres, Fault::Down)),
            Some((Part::Postgres, Fault::AnswerLost)),
        ] {
            for (here, there) in [(&one, &other), (&other, &one)] {
                let mut sink = Sink { here, there, seen: &mut seen };
                if let Some((part, fault)) = fault {
                    core.native.break_requests(part, fault);
                }
                drive(&core, here, there, &mut sink).await;
                core.native.mend();
            }
        }
        // Whoever sees nothing at all cannot see what is wrong.
        for side in [Side::Answer, Side::Model, Side::Postgres, Side::Redis] {
            assert!(seen.get(&side).is_some_and(|words| *words >= 16), "blind on {side:?}: {seen:?}");
        }
        assert_eq!(seen.get(&Side::Log), None, "content in the log");
        for company in [&one, &other] {
            let values = redis_values(company);
            assert!(values.contains(&company.word), "the memory in Redis carries no word");
            let foreign = if company.word == one.word { &other.word } else { &one.word };
            assert!(!values.contains(foreign), "{foreign} in the other company's Redis values");
        }
        tally("all layers", "canaries looked for on the other side", seen.values().sum(), 500);
    });
}

#[test]
fn a_word_on_the_wrong_side_is_noticed() {
    let word = |n: u8| format!("{}{n}", "canary");
    for side in [Side::Answer, Side::Model, Side::Postgres, Side::Redis, Side::Website, Side::Log] {
        assert!(leak(&word(1), side, &format!("all is well with {}", word(2))).is_none());
        assert!(leak(&word(1), side, &format!("{{\"a\":\"x{}y\"}}", word(1))).is_some());
    }
}

impl Marked {
    async fn new(core: &Core, industry: &str) -> Self {
        let company = Company::new(core.stand, industry).await;
        company.furnish().await;
        let word = format!("canary{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        core.provider(&company, &format!("test-ok-{word}")).await;
        let owner = core.owner(&company).await;
        let visitor = core.visitor(&company).await;
        let program = company.api_key(&["chat", "models"]).await;
        company.rows("update budgets set visitor_turns_per_minute = 600, daily_limit_microusd = 900000000 where company_id = $1::text::uuid returning 1").await;
        // The provider whose key the double knows here is the one that `core` sealed.
        company.rows("delete from providers p where company_id = $1::text::uuid and created_at < (select max(created_at) from providers o where o.company_id = p.company_id) returning 1").await;
        mark(&company, &word).await;
        let ids = ids(&company).await;
        Self { company, word, owner, visitor, program, ids }
    }
}

/// Writes the word into every text of the company's, in its own row's words where there is room.
async fn mark(company: &Company, word: &str) {
    let columns = company
        .rows(
            "select c.relname::text, a.attname::text, a.atttypid = 'text[]'::regtype
             from pg_attribute a
             join pg_class c on c.oid = a.attrelid and c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
             join pg_attribute k on k.attrelid = c.oid and k.attname = 'company_id'
             where a.atttypid in ('text'::regtype, 'text[]'::regtype) and a.attnum > 0 and not a.attisdropped
               and a.attgenerated = '' and $1::text is not null
             order by 1, 2",
        )
        .await;
    let (mut marked, mut wrong) = (0, Vec::new());
    for row in columns {
        let (table, column, list): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        let name = format!("{table}.{column}");
        if FIXED.contains(&name.as_str()) {
            continue;
        }
        // Each row's word has a number, since some columns are unique within the company.
        let values = if list {
            vec![format!("array['https://{word}.example']")]
        } else {
            vec![
                format!("{column} || ' {word}-' || n.n"),
                format!("'{word}-' || n.n"),
                format!("'{word}-' || n.n || '@example.com'"),
            ]
        };
        let mut done = false;
        for value in values {
            done |= try_rows(
                company,
                &format!(
                    "with n as (select ctid as at, row_number() over () as n from {table} where company_id = $1::text::uuid)
                     update {table} set {column} = {value} from n
                     where {table}.ctid = n.at and {table}.{column} is not null returning 1"
                ),
            )
            .await;
            if done {
                break;
            }
        }
        if done { marked += 1 } else { wrong.push(name) }
    }
    assert!(wrong.is_empty(), "columns that carry no canary, with none saying why: {wrong:?}");
    assert!(marked >= 40, "only {marked} columns are marked");
}

/// Whether the statement went through; the columns' own checks decide which value fits.
async fn try_rows(company: &Company, sql: &str) -> bool {
    let connected = tokio_postgres::connect(&company.stand.owner_database_url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    client.query(sql, &[&company.id]).await.is_ok()
}

/// Calls every route for `here`: with its own ids, then with those of `there`.
async fn drive(core: &Core, here: &Marked, there: &Marked, sink: &mut Sink<'_>) {
    for route in ROUTES.iter().filter(|route| !route.run.at_apex()) {
        // Signing out ends what the other calls need; guessing passwords is slow on purpose.
        let skipped = ["/v1/logout", "/v1/login", "/dashboard/sign-out"];
        let removes = route.method == "DELETE" || route.path.ends_with("/remove");
        if skipped.contains(&route.path)
            || removes
            || (route.path == "/dashboard/sign-in" && route.method == "POST")
        {
            continue;
        }
        let token = match route.run {
            Run::Apex(_) | Run::Operator(_) | Run::Guest(_) => "",
            Run::Visitor(_) => &here.visitor,
            Run::Member(..) | Run::Page(..) => &here.owner,
            Run::Program(..) => &here.program,
        };
        let ids = match kept(route.path) {
            // A list that is kept by hand: a row of it, here and there. Others' ids are tried in `attacks_id`.
            Some((_, column)) => {
                [here, there].iter().filter_map(|marked| marked.ids.get(column).cloned()).collect()
            }
            None if route.path == "/pages/{id}" => vec!["services".to_owned()],
            None if route.path.contains("{id}") => {
                here.ids.values().chain(there.ids.values()).cloned().collect()
            }
            None => vec![String::new()],
        };
        for id in ids {
            let path = route.path.replace("{id}", &id);
            let body = body(route).map(|body| personal(route.path, body, &here.word));
            let response = core.serve(&here.company, route.method, &path, token, body).await;
            sink.answer(&format!("{} {path}", route.method), response).await;
            sink.take(core);
        }
    }
    for message in
        ["What does a first visit cost?", "Are you open on Sunday?", "Do you have an emergency number?"]
    {
        let ask = json!({ "message": format!("{message} {}", here.word) });
        let response = core.serve(&here.company, "POST", "/v1/chat", &here.visitor, Some(ask)).await;
        sink.answer(message, response).await;
        sink.take(core);
    }
}

/// The body with the company's word in it, where it may say anything.
fn personal(path: &str, mut body: Value, word: &str) -> Value {
    for field in ["message", "question", "answer", "instructions"] {
        if let Some(text) = body.get(field).and_then(Value::as_str).map(|text| format!("{text} {word}")) {
            body[field] = text.into();
        }
    }
    if matches!(path, "/v1/providers" | "/dashboard/providers") {
        body["api_key"] = format!("test-ok-{word}").into();
    }
    if body.get("slug").is_some() {
        body["slug"] = format!("a{}", &uuid::Uuid::new_v4().simple().to_string()[..12]).into();
    }
    body
}

/// Sees everything that happens while one company is served.
struct Sink<'a> {
    here: &'a Marked,
    there: &'a Marked,
    /// How often a company's own word was seen where it belongs.
    seen: &'a mut BTreeMap<Side, usize>,
}

impl Sink<'_> {
    async fn answer(&mut self, what: &str, response: http::Response<bulkhead::platform::Body>) {
        let (head, mut body) = response.into_parts();
        let mut text = format!("{head:?}");
        while let Some(chunk) = body.next().await {
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap_or_default()));
        }
        self.look(what, Side::Answer, &text);
    }

    /// What the core sent and logged since the last look.
    fn take(&mut self, core: &Core) {
        for sent in core.native.take_sent() {
            let side = match sent.part {
                Part::Model => Side::Model,
                Part::Postgres => Side::Postgres,
                Part::Redis => Side::Redis,
                Part::Website => Side::Website,
            };
            self.look("a request", side, &String::from_utf8_lossy(&sent.body));
        }
        for line in core.native.take_lines() {
            self.look("a line", Side::Log, &line);
        }
    }

    fn look(&mut self, what: &str, side: Side, text: &str) {
        if let Some(leak) = leak(&self.there.word, side, text) {
            panic!("{what}: {leak}");
        }
        if text.contains(&self.here.word) {
            *self.seen.entry(side).or_default() += 1;
        }
    }
}

/// What is said when the other company's word is in there.
fn leak(word: &str, side: Side, text: &str) -> Option<String> {
    let at = text.find(word)?;
    let around: String = text.chars().skip(at.saturating_sub(60)).take(160).collect();
    Some(format!("{word} of the other company on the side {side:?}: …{around}…"))
}

/// All values under the company's keys in Redis, as one text; asked past the gateway, which has no KEYS.
fn redis_values(marked: &Marked) -> String {
    let client = redis::Client::open(marked.company.stand.redis_native_url.as_str()).unwrap();
    let mut redis = client.get_connection().unwrap();
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("*{{{}}}*", marked.company.id)).query(&mut redis).unwrap();
    let mut values = String::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut redis).unwrap();
        let read = match kind.as_str() {
            "list" => redis::cmd("LRANGE").arg(&key).arg(0).arg(-1).query::<redis::Value>(&mut redis),
            "hash" => redis::cmd("HGETALL").arg(&key).query(&mut redis),
            _ => redis::cmd("GET").arg(&key).query(&mut redis),
        };
        values.push_str(&String::from_utf8_lossy(&words(&read.unwrap())));
    }
    values
}

/// The texts in a value of Redis, one after the other.
fn words(value: &redis::Value) -> Vec<u8> {
    match value {
        redis::Value::BulkString(bytes) => bytes.clone(),
        redis::Value::Array(values) => values.iter().flat_map(words).collect(),
        _ => Vec::new(),
    }
}
