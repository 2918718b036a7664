//! Invariant 1: every statement of the core is prepared against the real schema, as the worker's own role.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bulkhead_tests::stand::Stand;
use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage};

#[tokio::test]
async fn every_statement_prepares_against_the_real_schema() {
    let stand = Stand::get();
    let connected = tokio_postgres::connect(&stand.worker_database_url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    let statements = statements(&root());
    // So that a change of the macro's spelling cannot make this test blind.
    assert!(statements.len() > 60, "only {} statements found", statements.len());
    let mut wrong = Vec::new();
    for (file, sql) in statements {
        if let Err(error) = client.prepare(&sql).await {
            let why =
                error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
            wrong.push(format!("{file}: {why}\n{sql}"));
        }
    }
    assert!(wrong.is_empty(), "{} statements do not prepare:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// By the planner's own account, and without row-level security, which would add it: whatever table a statement reads, it reads
/// this company's rows of. So a statement is one company's business even where the tables are spread by company, as in Citus.
#[tokio::test]
async fn every_statement_names_its_company_for_each_table_that_it_reads() {
    // With nothing in it, so that the plans are the same each time.
    let database = super::migrate::Database::new(Stand::get()).await;
    let owner = &database.owner;
    let tables: BTreeSet<String> =
        owner.query(COMPANY_TABLES, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(tables.len() > 30, "only {} tables found", tables.len());
    let (mut read, mut wrong) = (0, Vec::new());
    for (file, sql) in statements(&root()) {
        let plan = plan(owner, &sql).await;
        // What a hashed sub-select found is looked up by company.
        let hashed = |name: &str| plan.to_string().contains(&format!("company_id = (hashed {name})"));
        each_node(&plan, &mut |node, within| {
            let Some(table) = node["Relation Name"].as_str().filter(|table| tables.contains(*table)) else {
                return;
            };
            // What writes has its rows from the nodes below it.
            if node["Node Type"] == "ModifyTable" {
                return;
            }
            read += 1;
            if !names_company(node) && !within.is_some_and(hashed) {
                wrong.push(format!("{file}: {table} is read for whatever company: {node:#}\n{sql}"));
            }
        });
    }
    assert!(read > 100, "only {read} tables are read");
    assert!(wrong.is_empty(), "{} tables:\n\n{}", wrong.len(), wrong.join("\n\n"));

    let unsaid = plan(owner, "select name from companies where slug = $1").await;
    let mut noticed = 0;
    each_node(&unsaid, &mut |node, _| {
        noticed += usize::from(node["Relation Name"] == "companies" && !names_company(node))
    });
    assert_eq!(noticed, 1, "a statement for whatever company would not be noticed");
    database.remove(Stand::get()).await;
}

/// A conversation is looked up by its id and its visitor: by an index that has both, so that nobody's turn is slower for all that
/// they ever said. Sequential scans are put off, since there is next to nothing to read.
#[tokio::test]
async fn a_visitor_s_conversation_is_found_without_reading_their_others() {
    let database = super::migrate::Database::new(Stand::get()).await;
    let owner = &database.owner;
    owner.batch_execute("set enable_seqscan = off; set enable_bitmapscan = off").await.unwrap();
    let slow = async || {
        let (mut looked_up, mut slow) = (0, Vec::new());
        for (file, sql) in statements(&root()) {
            each_node(&plan(owner, &sql).await, &mut |node, _| {
                let told = |place: &str| node[place].as_str().unwrap_or_default();
                let both = format!("{} {}", told("Index Cond"), told("Filter"));
                let theirs = both.contains("conversation_id = $") && both.contains("visitor_id = $");
                if node["Relation Name"] == "conversations" && theirs {
                    looked_up += 1;
                    if !told("Index Cond").contains("conversation_id = $") {
                        slow.push(format!("{file}: {node:#}"));
                    }
                }
            });
        }
        assert!(looked_up > 5, "only {looked_up} statements look a visitor's conversation up");
        slow
    };
    let found = slow().await;
    assert!(found.is_empty(), "{}", found.join("\n"));

    let before =
        "drop index conversations_of_visitor; create index on conversations (company_id, visitor_id)";
    owner.batch_execute(before).await.unwrap();
    assert!(!slow().await.is_empty(), "an index without the conversation would not be noticed");
    database.remove(Stand::get()).await;
}

const COMPANY_TABLES: &str = "
select c.relname::text
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attname = 'company_id'
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')";

/// The plan that fits any values.
async fn plan(owner: &Client, sql: &str) -> Value {
    let answer = owner.simple_query(&format!("explain (generic_plan, costs off, format json) {sql}")).await;
    let answer = answer.unwrap_or_else(|error| panic!("{error:?}:\n{sql}"));
    let text = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    serde_json::from_str::<Value>(text.unwrap()).unwrap()[0]["Plan"].take()
}

/// Every node of a plan, with the name of the sub-select that it is in.
fn each_node(plan: &Value, see: &mut impl FnMut(&Value, Option<&str>)) {
    fn walk(node: &Value, within: Option<&str>, see: &mut impl FnMut(&Value, Option<&str>)) {
        let within = node["Subplan Name"].as_str().or(within);
        see(node, within);
        for below in node["Plans"].as_array().into_iter().flatten() {
            walk(below, within, see);
        }
    }
    walk(plan, None, see);
}

/// Whether a condition of this very table's is that its company is the first parameter, or the one of a row found before.
fn names_company(node: &Value) -> bool {
    ["Index Cond", "Recheck Cond", "Filter"].iter().filter_map(|place| node[*place].as_str()).any(
        |condition| {
            condition.split(['(', ')']).any(|part| {
                let mut sides = part.split(" = ");
                let is_company = |side: Option<&str>| {
                    side.is_some_and(|side| side.rsplit('.').next() == Some("company_id"))
                };
                let (left, right) = (sides.next(), sides.next());
                is_company(left) && (right == Some("$1") || is_company(right))
                    || is_company(right) && left == Some("$1")
            })
        },
    )
}

/// The core's source.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("src")
}

/// The literals given to `sql!` anywhere in a core's source, each with its file.
pub(crate) fn statements(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                for part in text.split("sql!(").skip(1) {
                    if let Some(sql) =
                        part.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                    {
                        found.push((name.clone(), sql.to_owned()));
                    }
                }
            }
        }
    }
    found
}
