//! Template updates: what a company has not edited follows its template; what it has edited or removed stays as it is.
//!
//! Each test has a trade of its own, so that no other company is meant.

use std::process::Command;

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::{Stand, tool};
use http::Method;
use serde_json::{Value, json};

/// A trade that only this test's companies are of.
struct Trade {
    stand: &'static Stand,
    slug: String,
}

impl Trade {
    async fn new() -> Self {
        let slug = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..9]);
        let trade = Self { stand: Stand::get(), slug };
        trade
            .run(
                "insert into templates (slug, kind, name, version, summary) values ('TRADE', 'industry', 'Trade', 1, 's');
                 insert into template_contexts values ('TRADE', 'rules', 'Rules of {{company}}.', 1);
                 insert into template_categories values ('TRADE', 'faq', 'Questions', 1);
                 insert into template_entries values
                     ('TRADE', 'kept', 'faq', 'What stays?', 'This stays.', 'k', false, 1),
                     ('TRADE', 'plain', 'faq', 'What is plain?', 'The old answer of {{company}}.', 'k', false, 2),
                     ('TRADE', 'edited', 'faq', 'What is edited?', 'The old answer.', 'k', false, 3),
                     ('TRADE', 'removed', 'faq', 'What is removed?', 'The old answer.', 'k', false, 4),
                     ('TRADE', 'gone', 'faq', 'What goes?', 'The old answer.', 'k', false, 5),
                     ('TRADE', 'gone-edited', 'faq', 'What goes but was edited?', 'The old answer.', 'k', false, 6);
                 insert into template_services values
                     ('TRADE', 'advice', 'Advice', 'An hour.', 1000, 1000, 'per hour', 60, 'Tea.', 1),
                     ('TRADE', 'visit', 'Visit', 'A visit.', 2000, null, 'per visit', 60, 'Tea.', 2);
                 insert into template_terms values ('TRADE', 'gadget', 'A thing.', 'gizmo', 1);
                 insert into template_pages values ('TRADE', 'about', 'About', 'The old page.', 1)",
            )
            .await;
        trade
    }

    /// As the schema's owner, as `bulkhead templates load` does.
    async fn run(&self, sql: &str) {
        let connected = tokio_postgres::connect(&self.stand.owner_database_url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        client.batch_execute(&sql.replace("TRADE", &self.slug)).await.unwrap();
    }

    /// A second version of everything.
    async fn publish(&self) {
        self.run(
            "update templates set version = 2 where slug = 'TRADE';
             update template_contexts set body = 'New rules of {{company}}.' where template = 'TRADE';
             update template_entries set answer = 'The new answer of {{company}}.'
                 where template = 'TRADE' and slug in ('plain', 'edited', 'removed');
             delete from template_entries where template = 'TRADE' and slug like 'gone%';
             insert into template_categories values ('TRADE', 'pricing', 'Prices', 2);
             insert into template_entries values
                 ('TRADE', 'fresh', 'faq', 'What is new?', 'This is new.', 'k', false, 7),
                 ('TRADE', 'fresh-price', 'pricing', 'What does it cost now?', 'It costs $9.', 'k', true, 8);
             update template_services set price_from_cents = 1500, price_to_cents = 1500 where template = 'TRADE';
             insert into template_services values ('TRADE', 'fitting', 'Fitting', 'A fitting.', 3000, 3000, 'each', 30, 'Tea.', 3);
             update template_terms set synonyms = 'gizmo, doohickey' where template = 'TRADE';
             update template_pages set body = 'The new page.' where template = 'TRADE'",
        )
        .await;
    }
}

/// A company of the trade that edited and removed something while version 1 was the latest.
async fn edited(trade: &Trade) -> Company {
    let company = Company::new(trade.stand, &trade.slug).await;
    for slug in ["edited", "gone-edited"] {
        let path = format!("/v1/knowledge/{}", id(&company, "knowledge_entries", "entry_id", slug).await);
        let change = json!({ "answer": "Our own answer." });
        company.owner(Method::PATCH, &path, Some(change), 200).await;
    }
    let removed = id(&company, "knowledge_entries", "entry_id", "removed").await;
    company.owner(Method::DELETE, &format!("/v1/knowledge/{removed}"), None, 204).await;
    let visit = id(&company, "services", "service_id", "visit").await;
    let price = json!({ "price_from_cents": 2_222 });
    company.owner(Method::PATCH, &format!("/v1/services/{visit}"), Some(price), 200).await;
    company
}

async fn id(company: &Company, table: &str, column: &str, slug: &str) -> String {
    let sql =
        format!("select {column}::text from {table} where company_id = $1::text::uuid and slug = '{slug}'");
    company.rows(&sql).await[0].get(0)
}

/// The answer of an entry; none when there is no such entry.
async fn answer(company: &Company, slug: &str) -> Option<String> {
    let sql =
        format!("select answer from knowledge_entries where company_id = $1::text::uuid and slug = '{slug}'");
    company.rows(&sql).await.first().map(|row| row.get(0))
}

/// State, kind and slug of each row that is offered.
async fn offered(company: &Company) -> Vec<[String; 3]> {
    let listed = company.owner(Method::GET, "/v1/templates/updates", None, 200).await;
    let rows = listed["updates"].as_array().unwrap().iter();
    rows.map(|row| ["state", "kind", "slug"].map(|name| row[name].as_str().unwrap().to_owned())).collect()
}

async fn apply(company: &Company, body: Value) -> Value {
    company.owner(Method::POST, "/v1/templates/updates", Some(body), 200).await
}

/// `bulkhead templates update`, over all companies of the stand.
fn command(trade: &Trade, options: &[&str]) -> String {
    let output = Command::new(tool())
        .args(["templates", "update"])
        .args(options)
        .env("DATABASE_OWNER_URL", &trade.stand.owner_database_url)
        .env("DATABASE_URL", &trade.stand.worker_database_url)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn what_is_unedited_follows_and_nothing_else() {
    let trade = Trade::new().await;
    let company = edited(&trade).await;
    let before = company.fingerprint().await;
    // A text that changed without a new version is not published yet.
    let set = |text: &str| {
        format!("update template_entries set answer = '{text}' where template = 'TRADE' and slug = 'kept'")
    };
    trade.run(&set("Unpublished.")).await;
    assert!(offered(&company).await.is_empty());
    assert!(command(&trade, &[]).contains("companies: "));
    assert_eq!(company.fingerprint().await, before);
    trade.run(&set("This stays.")).await;

    trade.publish().await;
    let now = offered(&company).await;
    let expected = [
        ["changed", "context", "rules"],
        ["edited", "entry", "edited"],
        ["new", "entry", "fresh"],
        ["new", "entry", "fresh-price"],
        ["gone", "entry", "gone"],
        ["edited", "entry", "gone-edited"],
        ["changed", "entry", "plain"],
        ["changed", "page", "about"],
        ["changed", "service", "advice"],
        ["new", "service", "fitting"],
        ["edited", "service", "visit"],
        ["changed", "term", "gadget"],
    ];
    for row in expected {
        assert!(now.iter().any(|offered| *offered == row), "{row:?} is not in {now:?}");
    }
    assert_eq!(now.len(), expected.len(), "{now:?}");

    let tried = command(&trade, &["--dry-run"]);
    assert!(tried.contains("would have changed"), "{tried}");
    assert_eq!(company.fingerprint().await, before, "trying has changed something");

    command(&trade, &[]);
    let own = Some("Our own answer.".to_owned());
    assert_eq!(answer(&company, "kept").await.as_deref(), Some("This stays."));
    let new = format!("The new answer of Company {}.", company.slug);
    assert_eq!(answer(&company, "plain").await, Some(new));
    assert_eq!(answer(&company, "edited").await, own);
    assert_eq!(answer(&company, "gone-edited").await, own);
    assert_eq!(answer(&company, "removed").await, None, "what was removed is back");
    assert_eq!(answer(&company, "gone").await, None);
    assert_eq!(answer(&company, "fresh").await.as_deref(), Some("This is new."));
    assert_eq!(answer(&company, "fresh-price").await.as_deref(), Some("It costs $9."));
    let seen = company
        .rows(
            "select from agent_knowledge_scopes s join knowledge_categories c using (company_id, category_id)
             where s.company_id = $1::text::uuid and c.slug = 'pricing'",
        )
        .await;
    assert!(seen.len() > 3, "the new category is seen by {} agents", seen.len());
    let prices = company
        .rows("select slug, price_from_cents from services where company_id = $1::text::uuid order by slug")
        .await;
    let prices: Vec<(String, i32)> = prices.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(prices, [("advice".into(), 1_500), ("fitting".into(), 3_000), ("visit".into(), 2_222)]);
    let phrases =
        company.rows("select phrase from search_synonyms where company_id = $1::text::uuid order by 1").await;
    let phrases: Vec<String> = phrases.iter().map(|row| row.get(0)).collect();
    assert_eq!(phrases, ["doohickey", "gadget", "gizmo"]);

    // Once more changes nothing.
    let after = company.fingerprint().await;
    command(&trade, &[]);
    assert_eq!(company.fingerprint().await, after);
    let left = offered(&company).await;
    assert_eq!(
        left.iter().map(|row| row[2].as_str()).collect::<Vec<_>>(),
        ["edited", "gone-edited", "visit"]
    );
    assert!(left.iter().all(|row| row[0] == "edited"), "{left:?}");
}

#[tokio::test]
async fn an_owner_accepts_or_keeps_what_was_edited() {
    let trade = Trade::new().await;
    let company = edited(&trade).await;
    trade.publish().await;
    // Both texts, side by side.
    let listed = company.owner(Method::GET, "/v1/templates/updates", None, 200).await;
    let row = listed["updates"].as_array().unwrap().iter().find(|row| row["slug"] == "edited").unwrap();
    assert!(row["yours"].as_str().unwrap().contains("Our own answer."), "{row}");
    assert!(row["template"].as_str().unwrap().contains("The new answer of Company"), "{row}");

    let named = |kind: &str, slug: &str| json!({ "kind": kind, "slug": slug });
    let done = apply(
        &company,
        json!({
            "accept": [named("entry", "edited"), named("entry", "gone-edited")], "keep": [named("service", "visit")],
        }),
    )
    .await;
    assert_eq!(done["updates"], json!([]), "{done}");
    assert!(done["applied"].as_u64().unwrap() >= 8, "{done}");
    let new = format!("The new answer of Company {}.", company.slug);
    assert_eq!(answer(&company, "edited").await, Some(new));
    assert_eq!(answer(&company, "gone-edited").await, None);
    assert_eq!(answer(&company, "removed").await, None);
    // What was accepted follows from now on; what was kept is offered again once there is something new.
    trade
        .run(
            "update templates set version = 3 where slug = 'TRADE';
             update template_entries set answer = 'The third answer.' where template = 'TRADE' and slug = 'edited';
             update template_services set price_from_cents = 9 where template = 'TRADE' and slug = 'visit'",
        )
        .await;
    assert_eq!(offered(&company).await, [["changed", "entry", "edited"], ["edited", "service", "visit"]]);
    apply(&company, json!({})).await;
    assert_eq!(answer(&company, "edited").await.as_deref(), Some("The third answer."));
    for wrong in [json!({ "accept": ["edited"] }), json!({ "accept": [named("agent", "sales")] })] {
        company.owner(Method::POST, "/v1/templates/updates", Some(wrong), 400).await;
    }
}

/// The page shows both texts, and its forms accept what was seen, one row or several of a kind.
#[tokio::test]
async fn a_page_shows_both_texts_and_its_forms_decide() {
    let trade = Trade::new().await;
    let company = edited(&trade).await;
    let path = "/dashboard/templates/updates";
    let page = async || {
        let (status, html) = company.call(&company.owner, Method::GET, path, None).await;
        assert_eq!(status, 200, "{html}");
        html.as_str().unwrap().to_owned()
    };
    assert!(page().await.contains("Everything is as the template has it."));
    trade.publish().await;
    let html = page().await;
    for text in [
        "Our own answer.",
        "The new answer of Company",
        "Entries that you edited: 2",
        "Comes by itself",
        "This is new.",
    ] {
        assert!(html.contains(text), "{text} is not in {html}");
    }
    // As the form of all rows of a kind sends them, and that of one.
    let post = async |body: Value| {
        let (status, html) = company.call(&company.owner, Method::POST, path, Some(body)).await;
        assert_eq!(status, 303, "{html}");
    };
    post(json!({ "accept": { "kind": "entry", "slugs": ["edited", "gone-edited"] } })).await;
    post(json!({ "keep": { "kind": "service", "slugs": ["visit"] } })).await;
    assert!(page().await.contains("Everything is as the template has it."));
    let new = format!("The new answer of Company {}.", company.slug);
    assert_eq!(answer(&company, "edited").await, Some(new));
    assert_eq!(answer(&company, "gone-edited").await, None);
    let kept = company
        .rows("select price_from_cents from services where company_id = $1::text::uuid and slug = 'visit'")
        .await;
    assert_eq!(kept[0].get::<_, i32>(0), 2_222);
}

#[tokio::test]
async fn one_company_s_update_is_none_of_another_s() {
    let trade = Trade::new().await;
    let (one, other) = (edited(&trade).await, edited(&trade).await);
    trade.publish().await;
    let before = other.fingerprint().await;
    apply(&one, json!({ "accept": [{ "kind": "entry", "slug": "edited" }] })).await;
    assert_eq!(other.fingerprint().await, before);
    assert_eq!(answer(&other, "edited").await.as_deref(), Some("Our own answer."));
}
