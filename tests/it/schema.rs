//! Invariants 2 and 3, asked of Postgres's own catalogue: keys, row-level security, roles, grants, functions.
//!
//! Each rule is a query whose rows are offences, and comes with schemas that break it: made in a transaction, found by
//! exactly that rule, and rolled back. So a rule can neither be broken nor go blind.

mod lints;

use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use tokio_postgres::{Client, NoTls};

use lints::LINTS;

/// A rule about the schema.
pub struct Lint {
    /// What an offence is.
    rule: &'static str,
    /// A query that brings one text a row, each an offence. It may use what [`TABLES`] defines.
    sql: &'static str,
    /// Statements that break the rule, each with the offences that must be found then.
    broken: &'static [(&'static str, &'static [&'static str])],
}

#[tokio::test]
async fn the_schema_keeps_every_rule() {
    let client = owner().await;
    let row = client.query_one(&format!("with {TABLES} select count(*) from tables"), &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) >= 27, "the rules would be blind");
    let mut broken = Vec::new();
    for lint in LINTS {
        let offences = offences(&client, lint).await;
        if !offences.is_empty() {
            broken.push(format!("{}:\n  {}", lint.rule, offences.join("\n  ")));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    tally("3 row-level security", "rules kept", LINTS.len(), 26);
}

#[tokio::test]
async fn every_rule_notices_what_breaks_it() {
    let mut client = owner().await;
    let mut counted = 0;
    for lint in LINTS {
        assert!(
            !lint.broken.is_empty(),
            "no schema breaks this rule, so nobody knows that it works: {}",
            lint.rule
        );
        for (statements, expected) in lint.broken {
            let transaction = client.transaction().await.unwrap();
            transaction
                .batch_execute(statements)
                .await
                .unwrap_or_else(|error| panic!("{}: {error:?}:\n{statements}", lint.rule));
            let found = offences(transaction.client(), lint).await;
            transaction.rollback().await.unwrap();
            assert_eq!(found, *expected, "{}, broken by\n{statements}", lint.rule);
            counted += 1;
        }
    }
    tally("3 row-level security", "ways to break a rule, each noticed", counted, 78);
}

async fn offences(client: &Client, lint: &Lint) -> Vec<String> {
    let rows = client.query(&format!("with {TABLES} {}", lint.sql), &[]).await;
    let rows = rows.unwrap_or_else(|error| panic!("{}: {error:?}", lint.rule));
    let mut offences: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    offences.sort();
    offences
}

async fn owner() -> Client {
    let (client, connection) =
        tokio_postgres::connect(&Stand::get().owner_database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Tables with company data, and the few that are the platform's: that list may only shrink.
const TABLES: &str = "
platform(name) as (values ('plans'), ('models'), ('master_knowledge'), ('lexicon'), ('refinery_schema_history')),
tables as (
    select c.oid, c.relname::text as name, c.relkind, c.relrowsecurity, c.relforcerowsecurity
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
      and c.relname not in (select name from platform) and c.relname not like 'template%'
),
-- The worker's roles: what the migrations make, and what signs in with it. The schema's owner made them, and so is a
-- member as well.
workers as (
    select r.oid, r.rolname::text as name, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication
    from pg_roles r
    where not r.rolsuper and r.rolname <> (select tableowner from pg_tables where tablename = 'companies')
      and (pg_has_role(r.oid, 'bulkhead_runtime', 'member') or r.rolname = 'bulkhead_directory')
)";
