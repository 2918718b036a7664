//! Row-level security attacked in SQL, as the worker's own role: layer 3 with layers 1 and 2 taken away.
//!
//! Every table with companies' data (from the catalogue) × every way to touch a row of another company × every state of
//! the setting: one company, the other, never set, empty. Each attack says what must come of it, by SQLSTATE.

mod table;

use std::collections::BTreeMap;

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use tokio_postgres::{Client, NoTls};

use table::tables;

/// What comes of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It ran, and touched or returned so many rows.
    Rows(u64),
    /// 42501: the role was never granted this.
    NoGrant,
    /// 42501: the policy refuses the row.
    Policy,
    /// 42704: no company was ever set.
    Unset,
    /// 22P02: the company that is set is empty.
    Empty,
    /// 23503: what the row refers to is not there.
    NoParent,
    /// 23505: the key is taken.
    Taken,
}
use Outcome::{Empty, NoGrant, NoParent, Policy, Rows, Taken, Unset};

/// The company that the transaction is set to.
#[derive(Clone, Copy)]
pub enum Setting<'company> {
    To(&'company Company),
    Never,
    ToNothing,
}

#[tokio::test]
async fn no_statement_reaches_another_company_s_row() {
    let stand = Stand::get();
    let (a, b) = (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    a.furnish().await;
    b.furnish().await;
    let before = (a.fingerprint().await, b.fingerprint().await);
    let (worker, fresh) = (connect(stand).await, connect(stand).await);
    let tables = tables(&a, &b).await;
    assert!(tables.len() >= 28, "only {} tables", tables.len());

    let mut counts: BTreeMap<Outcome, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (us, them) in [(&a, &b), (&b, &a)] {
        for table in &tables {
            for attack in table.attacks(us, them).into_iter().chain(table.controls(us)) {
                for setting in [Setting::To(us), Setting::Never, Setting::ToNothing] {
                    let expected = attack.expected(setting);
                    // A setting that was once made is empty afterwards, so "never" needs a connection of its own.
                    let client = if matches!(setting, Setting::Never) { &fresh } else { &worker };
                    let (outcome, why) = attempt(client, setting, &attack.sql).await;
                    *counts.entry(outcome).or_default() += 1;
                    if !expected.contains(&outcome) {
                        let what = (table.name.as_str(), attack.what, why);
                        wrong.push(format!("{what:?}: {outcome:?}, not {expected:?}\n  {}", attack.sql));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of the matrix is wrong:\n{}", wrong.len(), wrong.join("\n"));
    let total: u32 = counts.values().sum();
    tally("3 row-level security", "statements on every table", total.try_into().unwrap(), 2_000);
    for outcome in [Rows(0), NoGrant, Policy, Unset, Empty, NoParent] {
        assert!(counts.get(&outcome).is_some_and(|count| *count >= 10), "hardly any {outcome:?}: {counts:?}");
    }
    // Everything was rolled back; what was not, shows here.
    assert_eq!((a.fingerprint().await, b.fingerprint().await), before);
}

/// Ways around the policies that are of no one table.
#[tokio::test]
async fn the_worker_s_role_cannot_shed_its_policies() {
    let stand = Stand::get();
    let (a, b) = (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let client = connect(stand).await;
    let them = &b.id;
    let mut counted = 0;
    for (what, sql, expected) in [
        ("row security off", "set local row_security = off; select * from agents", "42501"),
        ("become the owner", "set local role bulkhead_owner", "42501"),
        ("become the directory", "set local role bulkhead_directory", "42501"),
        ("become a superuser", "set local role postgres", "42501"),
        ("another session user", "set local session authorization bulkhead_owner", "42501"),
        ("rights for itself", "alter role current_user bypassrls", "42501"),
        ("a role of its own", "create role mine superuser", "42501"),
        ("switch a table's security off", "alter table agents disable row level security", "42501"),
        ("no longer force it", "alter table agents no force row level security", "42501"),
        ("a policy of its own", "create policy mine on agents using (true)", "42501"),
        ("drop the policy", "drop policy company on agents", "42501"),
        ("change the policy", "alter policy company on agents using (true)", "42501"),
        (
            "grant itself more",
            "grant truncate on agents to bulkhead_runtime; truncate agents cascade",
            "42501",
        ),
        ("truncate", "truncate agents cascade", "42501"),
        (
            "a trigger",
            "create trigger t before insert on agents execute function suppress_redundant_updates_trigger()",
            "42501",
        ),
        (
            "a table that refers",
            "create temp table t (c uuid, id uuid, foreign key (c, id) references public.agents)",
            "42P16",
        ),
        ("a view in public", "create view public.v as select * from agents", "42501"),
        ("a table in public", "create table public.t (x int)", "42501"),
        (
            "a function in public",
            "create function public.f() returns int language sql as 'select 1'",
            "42501",
        ),
        ("a table that inherits", "create temp table t () inherits (public.agents)", "42501"),
        ("a schema", "create schema mine", "42501"),
        ("protect, as the migrations do", "call protect('agents')", "42501"),
        ("no foreign keys, no triggers", "set local session_replication_role = replica", "42501"),
        ("read a file", "select pg_read_file('/etc/passwd')", "42501"),
        ("run a program", "copy agents to program 'cat'", "42501"),
        ("write a file", "copy agents to '/dev/null'", "42501"),
        ("passwords", "select * from pg_authid", "42501"),
        ("the statistics' raw values", "select * from pg_statistic", "42501"),
        ("load a library", "load 'x'", "42501"),
        ("an untrusted language", "create extension plpython3u", "42501"),
        ("another database's rows", "create extension dblink", "42501"),
        ("change the migrations' history", "delete from refinery_schema_history", "42501"),
        ("change the templates", "update templates set name = 'x'", "42501"),
        ("change master knowledge", "update master_knowledge set answer = 'x'", "42501"),
        ("change the price list", "update models set input_microusd_per_mtok = 0", "42501"),
    ] {
        let sql = format!("begin; select set_config('app.current_company_id', '{}', true); {sql}", a.id);
        let outcome = client.batch_execute(&sql).await;
        let code = outcome.as_ref().err().and_then(|e| e.code()).map_or("", |code| code.code());
        client.batch_execute("rollback").await.unwrap();
        assert_eq!(code, expected, "{what}: {outcome:?}");
        counted += 1;
    }
    tally("3 row-level security", "ways to shed it", counted, 35);
    // What a statement can observe beside its rows: errors, notices, estimates, statistics, other sessions.
    let peek = "create function pg_temp.peek(what text) returns boolean language plpgsql cost 0.0000001 as $$
                begin raise exception 'seen: %', what using errcode = 'BH999'; end $$";
    client.batch_execute(peek).await.unwrap();
    let own = "select count(*) from users where pg_temp.peek(email)";
    let elsewhere = format!("{own} and company_id = '{them}'");
    assert_eq!(
        attempt_code(&client, &a, own).await,
        "BH999",
        "the control: a cheap function sees its own rows"
    );
    assert_eq!(attempt_code(&client, &a, &elsewhere).await, "", "a cheap function ran before the policy");
    let divide = format!("select 1 / (length(email) - length(email)) from users where company_id = '{them}'");
    assert_eq!(attempt_code(&client, &a, &divide).await, "", "an error told of another company's row");
    for (what, sql) in [
        ("statistics", "select from pg_stats where tablename = 'users' and attname = 'email'".to_owned()),
        (
            "an aggregate",
            format!("select email from users where company_id = '{them}' group by 1 having count(*) > 0"),
        ),
        ("a whole row", format!("select u from users u where u::text like '%{them}%'")),
        (
            "a correlated subquery",
            format!(
                "select from companies c where exists (select from users u where u.company_id <> c.company_id) or c.company_id = '{them}'"
            ),
        ),
        ("a prepared cursor", format!("select from agents where company_id = any(array['{them}'::uuid])")),
        (
            "a function's result",
            format!(
                "select from query_to_xml('select * from users where company_id = ''{them}''', false, false, '') x where x::text like '%email%'"
            ),
        ),
        ("a lock on a row", format!("select from agents where company_id = '{them}' for update")),
        ("ctid", format!("select from (select ctid, company_id from agents) t where company_id = '{them}'")),
        ("a sample", format!("select from agents tablesample system (100) where company_id = '{them}'")),
    ] {
        let (outcome, why) = attempt(&client, Setting::To(&a), &sql).await;
        assert_eq!(outcome, Rows(0), "{what}: {why}");
    }
    // A function of the migrations' own: of a host, only who is behind it, and nothing of what is not active.
    let told = client.query("select * from company_by_host($1, 'slug')", &[&b.slug]).await.unwrap();
    let columns: Vec<&str> = told[0].columns().iter().map(|column| column.name()).collect();
    assert_eq!(
        (told.len(), columns),
        (1, vec!["company_id", "slug", "name", "industry", "utc_offset_minutes"])
    );
    // And the other two: who there is, which is public, a page at a time; of the second, only those with something due.
    for function in ["companies_after", "companies_due"] {
        let nil = format!("select * from {function}('00000000-0000-0000-0000-000000000000', 100000)");
        let asked = client.prepare(&nil).await.unwrap();
        let columns: Vec<&str> = asked.columns().iter().map(|column| column.name()).collect();
        assert_eq!(columns, ["company_id", "slug", "name", "industry", "utc_offset_minutes"]);
        assert!(client.query(&asked, &[]).await.unwrap().len() <= 500);
    }
    for pattern in ["%", "_%", "*", "", "' or true --"] {
        assert!(
            client.query("select * from company_by_host($1, 'slug')", &[&pattern]).await.unwrap().is_empty()
        );
    }
}

/// A setting that holds something else than one company's id is no company's.
#[tokio::test]
async fn a_setting_that_is_no_company_sees_nothing() {
    let stand = Stand::get();
    let (a, b) = (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let client = connect(stand).await;
    for (setting, expected) in [
        (a.id.clone(), ""),
        (a.id.to_uppercase(), ""),
        (uuid::Uuid::new_v4().to_string(), "none"),
        ("00000000-0000-0000-0000-000000000000".to_owned(), "none"),
        ("null".to_owned(), "22P02"),
        ("*".to_owned(), "22P02"),
        ("%".to_owned(), "22P02"),
        ("true".to_owned(), "22P02"),
        (format!("{},{}", a.id, b.id), "22P02"),
        (format!("{} {}", a.id, b.id), "22P02"),
        (format!("{}' or true --", a.id), "22P02"),
        (format!("{{{},{}}}", a.id, b.id), "22P02"),
    ] {
        let sql = format!(
            "begin; select set_config('app.current_company_id', '{}', true); create temp table seen on commit drop as
             select company_id from agents",
            setting.replace('\'', "''")
        );
        let outcome = client.batch_execute(&sql).await;
        let code = outcome.as_ref().err().and_then(|e| e.code()).map_or("", |code| code.code()).to_owned();
        if code.is_empty() {
            let row = client
                .query_one(
                    "select count(*), count(*) filter (where company_id::text <> $1) from seen",
                    &[&a.id],
                )
                .await;
            let (all, others): (i64, i64) = row.map(|row| (row.get(0), row.get(1))).unwrap();
            assert_eq!((all > 0, others), (expected.is_empty(), 0), "{setting}");
        } else {
            assert_eq!(code, expected, "{setting}");
        }
        client.batch_execute("rollback").await.unwrap();
    }
}

/// Runs one statement under a setting, and takes it back.
async fn attempt(client: &Client, setting: Setting<'_>, sql: &str) -> (Outcome, String) {
    client.batch_execute("begin").await.unwrap();
    let set = match setting {
        Setting::To(company) => {
            format!("select set_config('app.current_company_id', '{}', true)", company.id)
        }
        Setting::ToNothing => "select set_config('app.current_company_id', '', true)".to_owned(),
        Setting::Never => "select 1".to_owned(),
    };
    client.batch_execute(&set).await.unwrap();
    // Counted by the server, for reads and writes alike.
    let outcome = match client.execute(sql, &[]).await {
        Ok(rows) => (Rows(rows), String::new()),
        Err(error) => {
            let database = error.as_db_error().unwrap_or_else(|| panic!("{error:?}: {sql}"));
            let (code, message) = (database.code().code(), database.message());
            let outcome = match code {
                "42501" if message.starts_with("permission denied") => NoGrant,
                "42501" if message.contains("row-level security policy") => Policy,
                "42704" if message.contains("app.current_company_id") => Unset,
                "22P02" if message.contains("uuid: \"\"") => Empty,
                "23503" => NoParent,
                "23505" => Taken,
                _ => panic!("{code} {message}: {sql}"),
            };
            (outcome, message.to_owned())
        }
    };
    client.batch_execute("rollback").await.unwrap();
    outcome
}

/// The SQLSTATE of a statement under a company, empty when it ran.
async fn attempt_code(client: &Client, company: &Company, sql: &str) -> String {
    let sql = format!("begin; select set_config('app.current_company_id', '{}', true); {sql}", company.id);
    let outcome = client.batch_execute(&sql).await;
    client.batch_execute("rollback").await.unwrap();
    outcome.err().map(|error| error.code().unwrap().code().to_owned()).unwrap_or_default()
}

async fn connect(stand: &Stand) -> Client {
    let (client, connection) = tokio_postgres::connect(&stand.worker_database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
