//! Row-level security attacked in SQL, as the worker's own role: layer 3 with layers 1 and 2 taken away.
//!
//! Every table with companies' data (from the catalogue) × every way to touch a row of another company × every state of
//! the setting: one company, the other, never set, empty. Each attack says what must come of it, by SQLSTATE.

use std::collections::BTreeMap;

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

/// What comes of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
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
enum Setting<'company> {
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
    println!("row-level security: {} tables, {total} statements: {counts:?}", tables.len());
    assert!(total >= 2_000, "only {total} statements: the generator has gone blind");
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
    println!("row-level security: {counted} ways to shed it refused");
    assert!(counted >= 35, "only {counted}");
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
    assert_eq!((told.len(), columns), (1, vec!["company_id", "slug", "name", "industry"]));
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

/// One statement against one table.
struct Attack {
    what: &'static str,
    sql: String,
    /// What comes of it while our own company is set.
    own: Vec<Outcome>,
    /// Whether it asks for something that the role was never granted: then the setting does not matter.
    no_grant: bool,
}

impl Attack {
    fn expected(&self, setting: Setting) -> Vec<Outcome> {
        match setting {
            _ if self.no_grant => vec![NoGrant],
            Setting::To(_) => self.own.clone(),
            Setting::Never => vec![Unset],
            Setting::ToNothing => vec![Empty],
        }
    }
}

/// What the catalogue says of a table.
struct Table {
    name: String,
    /// Columns that can be written.
    columns: Vec<String>,
    /// The columns of the primary key.
    key: Vec<String>,
    /// Columns that the role may update.
    updatable: Vec<String>,
    deletes: bool,
    inserts: bool,
    /// Foreign keys to other companies' tables: the columns besides the company, and the table they point to.
    parents: Vec<(Vec<String>, String, Vec<String>)>,
    /// Columns of unique keys that are texts, and so can be made different.
    unique_texts: Vec<String>,
    /// A row of each company, by its id; and how many there are.
    rows: BTreeMap<String, (Value, u64)>,
    /// A row of each company that refers to a parent, by company and first column.
    children: BTreeMap<(String, String), Value>,
    /// The ids of a parent's row, by company and table.
    ids: BTreeMap<(String, String), Value>,
}

impl Table {
    /// Every way to touch a row of `them`, while `us` is set.
    fn attacks(&self, us: &Company, them: &Company) -> Vec<Attack> {
        let (name, theirs) = (&self.name, format!("company_id = '{}'", them.id));
        let mut attacks = Vec::new();
        let mut add = |what, sql: String, own: Vec<Outcome>, granted: bool| {
            attacks.push(Attack { what, sql, own, no_grant: !granted });
        };
        add("select", format!("select * from {name} where {theirs}"), vec![Rows(0)], true);
        let not_ours = format!("select * from {name} where company_id <> '{}'", us.id);
        add("select all others", not_ours, vec![Rows(0)], true);

        let row = |row: &Value| literal(row);
        let columns = self.columns.join(", ");
        let their_row = row(&self.rows[&them.id].0);
        let their_new = row(&self.fresh(&self.rows[&them.id].0));
        let from = |row: &str| format!("select {columns} from jsonb_populate_record(null::{name}, {row}) r");
        let insert = |row: &str| format!("insert into {name} ({columns}) {}", from(row));
        add("insert a row of theirs again", insert(&their_row), vec![Policy], self.inserts);
        add("insert a new row for them", insert(&their_new), vec![Policy], self.inserts);
        add("insert returning", format!("{} returning *", insert(&their_new)), vec![Policy], self.inserts);
        let returning = |sql: &str| format!("with did as ({sql} returning *) select * from did");
        add("insert in a CTE", returning(&insert(&their_new)), vec![Policy], self.inserts);
        let nothing = format!("{} on conflict do nothing", insert(&their_row));
        add("insert on conflict do nothing", nothing, vec![Policy], self.inserts);

        let move_out = format!("update {name} set company_id = '{}' where company_id = '{}'", them.id, us.id);
        add("move a row to them", move_out, vec![], false);
        let move_in = format!("update {name} set company_id = '{}' where {theirs}", us.id);
        add("take a row of theirs", move_in, vec![], false);

        let key = self.key.join(", ");
        let column = self.updatable.first().unwrap_or(&self.key[0]);
        let updates = !self.updatable.is_empty();
        let update = format!("update {name} set {column} = {column} where {theirs}");
        add("update", update.clone(), vec![Rows(0)], updates);
        add("update in a CTE", returning(&update), vec![Rows(0)], updates);
        let joined = format!("update {name} t set {column} = o.{column} from {name} o where o.{theirs}");
        add("update from a row of theirs", joined, vec![Rows(0)], updates);
        let on_conflict = |row: &str| {
            format!("{} on conflict ({key}) do update set {column} = excluded.{column}", insert(row))
        };
        add("on conflict do update", on_conflict(&their_row), vec![Policy], self.inserts && updates);
        add("on conflict do update, new", on_conflict(&their_new), vec![Policy], self.inserts && updates);

        let delete = format!("delete from {name} where {theirs}");
        add("delete", delete.clone(), vec![Rows(0)], self.deletes);
        add("delete in a CTE", returning(&delete), vec![Rows(0)], self.deletes);

        let on: Vec<String> = self.key.iter().map(|column| format!("t.{column} = r.{column}")).collect();
        let merge = |then: String| {
            let source = format!("jsonb_populate_record(null::{name}, {their_row})");
            format!("merge into {name} t using {source} r on {} {then}", on.join(" and "))
        };
        let merge_update = merge(format!("when matched then update set {column} = r.{column}"));
        add("merge, update", merge_update, vec![Rows(0)], updates);
        add("merge, delete", merge("when matched then delete".to_owned()), vec![Rows(0)], self.deletes);
        let values: Vec<String> = self.columns.iter().map(|column| format!("r.{column}")).collect();
        let values = format!("when not matched then insert ({columns}) values ({})", values.join(", "));
        add("merge, insert", merge(values), vec![Policy], self.inserts);

        for (here, parent, there) in &self.parents {
            let Some(child) = self.children.get(&(us.id.clone(), here[0].clone())) else { continue };
            let mut child = self.fresh(child);
            for (column, theirs) in here.iter().zip(there) {
                child[column] = self.ids[&(them.id.clone(), parent.clone())][theirs].clone();
            }
            add("attach a new row to theirs", insert(&row(&child)), vec![NoParent], self.inserts);
            if self.updatable.contains(&here[0]) {
                let id = literal(&child[&here[0]]);
                let attach = format!("update {name} set {} = ({id} #>> '{{}}')::uuid", here[0]);
                add("attach our rows to theirs", attach, vec![NoParent], true);
            }
        }
        attacks
    }

    /// The same kinds of statement on our own rows work, or the attacks would be refused for another reason.
    fn controls(&self, us: &Company) -> Vec<Attack> {
        let (name, (row, count)) = (&self.name, &self.rows[&us.id]);
        let columns = self.columns.join(", ");
        let mut controls = vec![Attack {
            what: "control: select without a filter",
            sql: format!("select * from {name}"),
            own: vec![Rows(*count)],
            no_grant: false,
        }];
        if let Some(column) = self.updatable.first() {
            controls.push(Attack {
                what: "control: update without a filter",
                sql: format!("update {name} set {column} = {column}"),
                own: vec![Rows(*count)],
                no_grant: false,
            });
        }
        controls.push(Attack {
            what: "control: insert a row of ours",
            sql: format!(
                "insert into {name} ({columns}) select {columns} from jsonb_populate_record(null::{name}, {}) r",
                literal(&self.fresh(row))
            ),
            // One row a company, one default agent, one answer a message: then the key is reached, and taken.
            own: vec![Rows(1), Taken, NoParent],
            no_grant: !self.inserts,
        });
        controls
    }

    /// The row under new ids and short names.
    fn fresh(&self, row: &Value) -> Value {
        let mut row = row.clone();
        let parent = |column: &String| self.parents.iter().any(|(here, ..)| here.contains(column));
        for column in self.key.iter().filter(|column| *column != "company_id" && !parent(column)) {
            if row[column].as_str().is_some_and(|text| uuid::Uuid::try_parse(text).is_ok()) {
                row[column] = uuid::Uuid::new_v4().to_string().into();
            }
        }
        for column in &self.unique_texts {
            if let Some(text) = row[column].as_str() {
                row[column] = format!("{text}-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]).into();
            }
        }
        row
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

/// The value as a jsonb literal of SQL.
fn literal(value: &Value) -> String {
    format!("'{}'::jsonb", value.to_string().replace('\'', "''"))
}

async fn tables(a: &Company, b: &Company) -> Vec<Table> {
    let mut tables = Vec::new();
    for name in a.tables().await {
        tables.push(table(&name, a, b).await);
    }
    tables
}

/// Asks the catalogue and the schema's owner.
async fn table(name: &str, a: &Company, b: &Company) -> Table {
    let list = async |sql: &str| -> Vec<String> {
        let rows = a.rows(&sql.replace("TABLE", &format!("'public.{name}'::regclass"))).await;
        rows.iter().map(|row| row.get(0)).collect()
    };
    let columns = list(
        "select attname::text from pg_attribute
         where attrelid = TABLE and attnum > 0 and not attisdropped and attgenerated = '' and $1::text is not null
         order by attnum",
    )
    .await;
    let key = list(
        "select a.attname::text from pg_index i, unnest(i.indkey) with ordinality k(n, at)
         join pg_attribute a on a.attnum = k.n
         where i.indrelid = TABLE and a.attrelid = TABLE and i.indisprimary and $1::text is not null
         order by k.at",
    )
    .await;
    let updatable = list(
        "select attname::text from pg_attribute
         where attrelid = TABLE and attnum > 0 and not attisdropped and $1::text is not null
           and has_column_privilege('bulkhead_runtime', TABLE, attname, 'update')
         order by attnum",
    )
    .await;
    let unique_texts = list(
        "select distinct a.attname::text from pg_index i, pg_attribute a
         where i.indrelid = TABLE and i.indisunique and a.attrelid = TABLE and a.attnum = any(i.indkey)
           and a.atttypid = 'text'::regtype and $1::text is not null
           -- A word of a fixed list cannot be made another.
           and not exists (select from pg_constraint c where c.conrelid = TABLE and c.contype = 'c'
                           and c.conkey = array[a.attnum] and pg_get_constraintdef(c.oid) like '%ARRAY[%')",
    )
    .await;
    let may = async |right: &str| {
        let sql = format!(
            "select 1::text from (select 1) x where has_table_privilege('bulkhead_runtime', TABLE, '{right}') and $1::text is not null"
        );
        !list(&sql).await.is_empty()
    };
    let (inserts, deletes) = (may("insert").await, may("delete").await);
    let parents = a
        .rows(&format!(
            "select array_agg(h.attname::text order by p.at), k.confrelid::regclass::text, array_agg(t.attname::text order by p.at)
             from pg_constraint k, unnest(k.conkey, k.confkey) with ordinality p(here, there, at), pg_attribute h, pg_attribute t
             where k.conrelid = 'public.{name}'::regclass and k.contype = 'f'
               and h.attrelid = k.conrelid and h.attnum = p.here and h.attname <> 'company_id'
               and t.attrelid = k.confrelid and t.attnum = p.there
               and exists (select from pg_attribute c where c.attrelid = k.confrelid and c.attname = 'company_id')
               and $1::text is not null
             group by k.oid, k.confrelid"
        ))
        .await
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect::<Vec<(Vec<String>, String, Vec<String>)>>();
    let (mut rows, mut children, mut ids) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for company in [a, b] {
        let found = company.rows(&one(name, "true")).await;
        let row = found
            .first()
            .unwrap_or_else(|| panic!("{name} has no row of this company: Company::furnish lacks one"));
        let count =
            company.rows(&format!("select from {name} where company_id = $1::text::uuid")).await.len();
        rows.insert(company.id.clone(), (row.get::<_, Value>(0), u64::try_from(count).unwrap()));
        for (here, parent, _) in &parents {
            // The row with the fewest other references: those could be refused first.
            if let Some(row) = company.rows(&one(name, &format!("{} is not null", here[0]))).await.first() {
                children.insert((company.id.clone(), here[0].clone()), row.get(0));
            }
            let row = company.rows(&one(parent, "true")).await;
            ids.insert((company.id.clone(), parent.clone()), row[0].get(0));
        }
    }
    let name = name.to_owned();
    Table { name, columns, key, updatable, deletes, inserts, parents, unique_texts, rows, children, ids }
}

/// Reads one row of a company's, as JSON; the emptiest first.
fn one(table: &str, which: &str) -> String {
    format!(
        "select to_jsonb(t) from {table} t where company_id = $1::text::uuid and {which}
         order by (select count(*) from jsonb_each(to_jsonb(t)) e where e.value <> 'null') limit 1"
    )
}
