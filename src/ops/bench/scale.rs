//! What the number of companies in the database costs a turn, and what row-level security does. The batch that stores a question is
//! the worker's own, sent again and again with new ids; whole turns go through the worker.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::time::Instant;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde_json::Value;
use tokio_postgres::Client;

use super::edge::{Edges, directory};
use super::figures::{Figure, Row, Table, Times};
use super::provider::Provider;
use super::provision::{connect, fill_to};
use super::trips::{requests, size};
use super::turns::{USUAL, crowd, first_words, plenty};
use super::{Args, progress};
use crate::dev::processes::{Processes, Program, free_port};
use crate::dev::secrets::random;
use crate::templates::id;

/// What came of it.
pub struct Scale {
    rows: Vec<Row>,
    /// Companies, and p99 of a turn's batch in milliseconds.
    pub batches: Vec<(usize, f64)>,
    /// The batch's median with row-level security over that without.
    pub security: f64,
    /// Bytes of the database for each company that was added.
    pub company_bytes: Option<f64>,
}

/// What is measured again and again while the database grows.
pub struct Growing<'a> {
    args: &'a Args,
    edges: &'a Edges,
    owner: Client,
    slug: String,
    guarded: (String, String),
    open: Unguarded,
    seen: Scale,
}

/// Measures among as few companies as there are; to be called before anything fills the database.
pub async fn few<'a>(args: &'a Args, provider: &Provider, edges: &'a Edges) -> anyhow::Result<Growing<'a>> {
    provider.set(USUAL);
    let mut growing = Growing {
        args,
        edges,
        owner: connect(&args.owner_url).await?,
        slug: edges.workers.company(&plenty()).await?,
        guarded: (args.gateway_url.clone(), args.database_url.clone()),
        open: Unguarded::start(args).await?,
        seen: Scale { rows: Vec::new(), batches: Vec::new(), security: f64::NAN, company_bytes: None },
    };
    growing.measure().await?;
    Ok(growing)
}

impl Growing<'_> {
    /// Measures at each size; fills the database.
    pub async fn grow(mut self) -> anyhow::Result<Scale> {
        let sizes: &[usize] = match (self.args.quick, self.args.long) {
            (true, _) => &[150],
            (_, false) => &[1_000, 5_000],
            (_, true) => &[1_000, 5_000, 50_000],
        };
        for &wanted in sizes {
            let (before, had) = (size(&self.owner).await?, companies(&self.owner).await?);
            fill_to(&self.args.owner_url, wanted).await?;
            let count = companies(&self.owner).await?;
            if count > had {
                #[expect(clippy::cast_precision_loss, reason = "a database is far below 2^52 bytes")]
                let bytes = size(&self.owner).await?.saturating_sub(before) as f64 / (count - had) as f64;
                self.seen.company_bytes = Some(bytes);
            }
            self.measure().await?;
        }
        self.open.stop(&self.owner).await?;
        Ok(self.seen)
    }

    async fn measure(&mut self) -> anyhow::Result<()> {
        // Plans are made on the first runs of each of the gateway's connections.
        let (warming, runs) = if self.args.quick { (30, 40) } else { (120, 400) };
        let count = companies(&self.owner).await?;
        progress(&format!("scale: among {count} companies"));
        // New visitors each time: with those of before, whose conversations are ever more, each size would measure another past.
        let [stored, ..] = requests(self.edges, &self.slug).await?;
        let batch = Batch::new(&stored)?;
        let visitors = self.edges.workers.visitors(&self.slug, 16).await?;
        let contender = self.edges.workers.contender(visitors)?;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for number in 0..warming + runs {
            let both = [batch.send(&self.guarded).await?, batch.send(&self.open.address).await?];
            if number >= warming {
                with.push(both[0]);
                without.push(both[1]);
            }
        }
        let (with, without) = (Times::new(with), Times::new(without));
        let answers = crowd(4, |asked| asked < runs, async |n| contender.ask(n).await).await?;
        let words = first_words(&answers);
        self.seen.batches.push((count, with.percentile(99)));
        self.seen.security = with.percentile(50) / without.percentile(50);
        let times = |times: &Times| [50, 99].map(|percent| Figure::One(times.percentile(percent)));
        let figures = std::iter::once(Figure::Count(with.count()));
        let figures = figures.chain(times(&with)).chain(times(&without)).chain(times(&words)).collect();
        self.seen.rows.push(Row { what: format!("among {count} companies"), figures });
        Ok(())
    }
}

async fn companies(owner: &Client) -> anyhow::Result<usize> {
    let count: i64 = owner.query_one("select count(*) from companies", &[]).await?.try_get(0)?;
    Ok(usize::try_from(count)?)
}

impl Scale {
    /// As people read it.
    pub fn table(&self) -> Table {
        Table {
            name: "scale",
            title: "a question stored and read for".to_owned(),
            columns: &[
                "batches",
                "batch_p50_ms",
                "batch_p99_ms",
                "without_rls_p50_ms",
                "without_rls_p99_ms",
                "first_word_p50_ms",
                "first_word_p99_ms",
            ],
            rows: self.rows.clone(),
        }
    }
}

/// The batch by which a worker stores a question, with ids that can be changed.
struct Batch {
    client: reqwest::Client,
    text: String,
    ids: Vec<String>,
}

impl Batch {
    fn new(body: &Bytes) -> anyhow::Result<Self> {
        let text = String::from_utf8(body.to_vec())?;
        let whole: Value = serde_json::from_str(&text)?;
        let queries = whole.get("queries").and_then(Value::as_array).context("no batch was recorded")?;
        // The second parameter of what is inserted: the conversation, the message.
        let inserted = queries.iter().filter(|query| {
            query.get("query").and_then(Value::as_str).is_some_and(|query| query.starts_with("insert into"))
        });
        let ids = inserted.filter_map(|query| Some(query.get("params")?.get(1)?.as_str()?.to_owned()));
        let ids: Vec<String> = ids.collect();
        ensure!(ids.len() == 2, "the batch inserts {} rows, not a conversation and a message", ids.len());
        Ok(Self { client: reqwest::Client::builder().no_proxy().build()?, text, ids })
    }

    /// Once more, to a gateway by its role; how long it took.
    async fn send(&self, (gateway, role): &(String, String)) -> anyhow::Result<std::time::Duration> {
        let text = self.ids.iter().fold(self.text.clone(), |text, one| text.replace(one, &id()));
        let request = self
            .client
            .post(format!("{gateway}/sql"))
            .header("neon-connection-string", role)
            .header("neon-raw-text-output", "true")
            .header("neon-array-mode", "true")
            .body(text);
        let started = Instant::now();
        let response = request.send().await?;
        let status = response.status();
        let answer = response.text().await?;
        let took = started.elapsed();
        ensure!(status.is_success(), "the gateway answered {status}: {answer}");
        Ok(took)
    }
}

/// A gateway whose role passes row-level security by, for the comparison and for no longer.
struct Unguarded {
    processes: Processes,
    /// Its URL and its role's.
    address: (String, String),
}

impl Unguarded {
    async fn start(args: &Args) -> anyhow::Result<Self> {
        let (password, port, token) = (random()?, free_port()?, random()?);
        let owner = connect(&args.owner_url).await?;
        // The password is ours and has nothing in it that would have to be quoted.
        owner.batch_execute("drop role if exists bench_without_rls").await?;
        let create = format!("create role bench_without_rls login bypassrls inherit password '{password}'");
        owner.batch_execute(&create).await?;
        owner.batch_execute("grant bulkhead_runtime to bench_without_rls").await?;
        let mut role: reqwest::Url = args.database_url.parse()?;
        let named = role.set_username("bench_without_rls").and_then(|()| role.set_password(Some(&password)));
        named.ok().context("DATABASE_URL names no server")?;
        let mut program = Program::new("gateway", std::env::current_exe()?);
        program
            .args(["gateway", "--development", "--listen", &format!("127.0.0.1:{port}")])
            .env("DATABASE_URL", role.as_str())
            .env("REDIS_URL", &args.redis_url)
            .env("GATEWAY_REDIS_TOKEN", &token);
        let mut processes = Processes::default();
        processes.spawn(program, &directory("unguarded")?.join("logs"))?;
        let url = format!("http://127.0.0.1:{port}");
        processes.answers("the gateway", &url, "127.0.0.1", "/health").await?;
        Ok(Self { processes, address: (url, role.into()) })
    }

    async fn stop(mut self, owner: &Client) -> anyhow::Result<()> {
        self.processes.stop().await;
        owner.batch_execute("drop role bench_without_rls").await?;
        Ok(())
    }
}
