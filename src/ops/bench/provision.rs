//! How long a company takes: the one batch of provisioning, alone, eight at once and among many companies, beside the two
//! ways that are usually taken. Each run makes a company of its own; none is taken away.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bulkhead::provisioning::{COMPANY_ADD, COPIES};
use futures_util::future::{try_join, try_join_all};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::figures::{Figure, Row, Table, Times};
use super::{Args, progress};
use crate::gateway::param::Param;
use crate::postgres;
use crate::templates::id;

const INDUSTRY: &str = "plumbing";
const NAME: &str = "Measured & Sons";

/// What has been measured, and what the rest needs.
pub struct Provision<'a> {
    gateway: Gateway<'a>,
    runs: usize,
    rows: Vec<Row>,
}

/// Measures each way, interleaved with nothing: the machine is the same, and so is the minute.
pub async fn alone(args: &Args) -> anyhow::Result<Provision<'_>> {
    let runs = if args.quick { 30 } else { 200 };
    let gateway = Gateway { client: reqwest::Client::builder().no_proxy().build()?, args };
    let worker = connect(&args.database_url).await?;
    let owner = connect(&args.owner_url).await?;

    // Connections and plans are warm in production.
    let company = gateway.provision().await?;
    let model = rows_of(&owner, &company).await?;
    progress(&format!("{} rows of {} tables in one request", model.len(), tables(&owner).await?.len()));
    for _ in 0..5 {
        gateway.provision().await?;
    }

    let rows = vec![
        line("one batch, alone", gateway.repeat(runs, 1).await?),
        line("one batch, 8 at once", gateway.repeat(runs, 8).await?),
        line("single inserts, one transaction", single(&worker, &model, &company, runs / 10, false).await?),
        line("single inserts, a commit each", single(&worker, &model, &company, runs / 20, true).await?),
    ];
    Ok(Provision { gateway, runs, rows })
}

impl Provision<'_> {
    /// The same among many companies.
    pub async fn among_many(mut self) -> anyhow::Result<Table> {
        let args = self.gateway.args;
        fill_to(&args.owner_url, if args.quick { 300 } else { 5_000 }).await?;
        let owner = connect(&args.owner_url).await?;
        let count: i64 = owner.query_one("select count(*) from companies", &[]).await?.try_get(0)?;
        for (at_once, how) in [(1, "alone"), (8, "8 at once")] {
            let times = self.gateway.repeat(self.runs, at_once).await?;
            self.rows.push(line(&format!("one batch, {how}, among {count}"), times));
        }
        let (title, columns) = ("provisioning a company".to_owned(), &["runs", "p50_ms", "p99_ms", "max_ms"]);
        Ok(Table { name: "provision", title, columns, rows: self.rows })
    }
}

fn line(what: &str, times: Vec<Duration>) -> Row {
    let times = Times::new(times);
    progress(&format!("{what}: {:.1} ms", times.percentile(50)));
    let percentiles = [50, 99, 100].map(|percent| Figure::One(times.percentile(percent)));
    let figures = std::iter::once(Figure::Count(times.count())).chain(percentiles).collect();
    Row { what: what.to_owned(), figures }
}

/// A connection of its own to this database.
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    postgres::connect(url).await.context("cannot reach the database; check its URL")
}

/// The worker's way to the database.
struct Gateway<'a> {
    client: reqwest::Client,
    args: &'a Args,
}

impl Gateway<'_> {
    /// So many companies, so many at once; how long each took.
    async fn repeat(&self, runs: usize, at_once: usize) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::with_capacity(runs);
        while times.len() < runs {
            let batch = (0..at_once).map(|_| async {
                let started = Instant::now();
                self.provision().await.map(|_| started.elapsed())
            });
            times.extend(try_join_all(batch).await?);
        }
        Ok(times)
    }

    /// One company, by the worker's own statements in one request; its id.
    async fn provision(&self) -> anyhow::Result<String> {
        let company = id();
        let slug = format!("b{}", company.replace('-', "").chars().take(30).collect::<String>());
        let query = |sql: &str, rest: &[Value]| {
            let params: Vec<Value> = std::iter::once(json!(company)).chain(rest.iter().cloned()).collect();
            json!({ "query": sql, "params": params })
        };
        let mut queries = vec![
            query("select set_config('app.current_company_id', $1, true)", &[]),
            query(COMPANY_ADD.text(), &[json!(slug), json!(NAME), json!(INDUSTRY), Value::Null]),
        ];
        queries.extend(COPIES.iter().map(|copy| query(copy.text(), &[json!(INDUSTRY), json!(NAME)])));
        let response = self
            .client
            .post(format!("{}/sql", self.args.gateway_url))
            .header("neon-connection-string", &self.args.database_url)
            .header("neon-raw-text-output", "true")
            .header("neon-array-mode", "true")
            .json(&json!({ "queries": queries }))
            .send()
            .await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "the gateway answered {status}: {text}");
        Ok(company)
    }
}

/// A row as another company's: its table, its columns, its values.
struct Copied {
    insert: String,
    values: String,
}

/// The tables with companies' data, each after those that it refers to.
async fn tables(owner: &Client) -> anyhow::Result<Vec<String>> {
    let rows = owner
        .query(
            "with recursive t as (
                 select c.oid, c.relname::text as name from pg_class c
                 join pg_attribute a on a.attrelid = c.oid and a.attname = 'company_id'
                 where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
             ),
             depth as (
                 select t.oid, t.name, 0 as depth from t
                 union
                 select t.oid, t.name, d.depth + 1 from depth d
                 join pg_constraint f on f.confrelid = d.oid and f.contype = 'f' and f.conrelid <> f.confrelid
                 join t on t.oid = f.conrelid
                 where d.depth < 10
             )
             select name from depth group by name order by max(depth), name",
            &[],
        )
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Every row of a company, in an order in which they can be inserted.
async fn rows_of(owner: &Client, company: &str) -> anyhow::Result<Vec<Copied>> {
    let mut all = Vec::new();
    for table in tables(owner).await? {
        let columns: String = owner
            .query_one(
                "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
                 where attrelid = to_regclass($1) and attnum > 0 and not attisdropped and attgenerated = ''",
                &[&table],
            )
            .await?
            .try_get(0)?;
        let insert = format!(
            "insert into {table} ({columns}) select {columns} from jsonb_populate_record(null::{table}, $1::text::jsonb)"
        );
        let sql = format!("select to_jsonb(t)::text from {table} t where company_id = $1::text::uuid");
        for row in owner.query(&sql, &[&company]).await? {
            all.push(Copied { insert: insert.clone(), values: row.try_get(0)? });
        }
    }
    Ok(all)
}

/// The same rows one by one, as the worker's role on a connection of its own: in one transaction, or each in its own.
async fn single(
    worker: &Client,
    model: &[Copied],
    original: &str,
    runs: usize,
    commit_each: bool,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..runs.max(3) {
        let company = id();
        worker.execute("select set_config('app.current_company_id', $1, false)", &[&company]).await?;
        let mut statements = Vec::new();
        for row in model {
            statements.push(worker.prepare(&row.insert).await?);
        }
        let started = Instant::now();
        if !commit_each {
            worker.batch_execute("begin").await?;
        }
        for (row, statement) in model.iter().zip(&statements) {
            worker.execute(statement, &[&row.values.replace(original, &company)]).await?;
        }
        if !commit_each {
            worker.batch_execute("commit").await?;
        }
        times.push(started.elapsed());
    }
    Ok(times)
}

/// So many companies in all, past gateway and roles, with the very statements of provisioning, on two connections.
pub async fn fill_to(owner_url: &str, wanted: usize) -> anyhow::Result<()> {
    let owner = connect(owner_url).await?;
    let count: i64 = owner.query_one("select count(*) from companies", &[]).await?.try_get(0)?;
    let missing = wanted.saturating_sub(usize::try_from(count)?);
    try_join(fill(owner_url, missing / 2), fill(owner_url, missing - missing / 2)).await?;
    if missing > 0 {
        // So that Postgres has nothing left to tidy or to write while turns are measured: a commit waits for the same disk.
        owner.batch_execute("vacuum analyze").await?;
        owner.batch_execute("checkpoint").await?;
    }
    Ok(())
}

async fn fill(owner_url: &str, companies: usize) -> anyhow::Result<()> {
    let owner = connect(owner_url).await?;
    for number in 0..companies {
        if number % 250 == 0 {
            progress(&format!("filling the database: {} of {} companies", number * 2, companies * 2));
        }
        let company = id();
        let slug = format!("f{}", company.replace('-', "").chars().take(30).collect::<String>());
        owner.batch_execute("begin").await?;
        let [uuid, slug, name, industry] = [company.as_str(), &slug, NAME, INDUSTRY].map(Param::from);
        owner.execute(COMPANY_ADD.text(), &[&uuid, &slug, &name, &industry, &Param::null()]).await?;
        for copy in COPIES {
            owner.execute(copy.text(), &[&uuid, &industry, &name]).await?;
        }
        owner.batch_execute("commit").await?;
    }
    Ok(())
}
