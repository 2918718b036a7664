//! What one turn takes of everything around the worker: requests and how they wait for each other, Redis commands, statements,
//! bytes that are kept, and processor time of each part. It is what the cost model multiplies.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use deadpool_redis::redis;
use tokio_postgres::Client;

use super::edge::Edges;
use super::figures::{Figure, Row, Spread, Table};
use super::provider::Provider;
use super::relay::Exchange;
use super::turns::{USUAL, crowd, plenty};
use super::usage::Usage;
use super::{Args, progress};

/// What a turn takes, on average unless it says otherwise.
pub struct Turn {
    /// Turns of which one was asked at a time.
    count: usize,
    /// How many requests must have been answered, one after the other, before the provider is asked.
    pub stages: Spread,
    /// Requests to Postgres.
    pub sql_requests: f64,
    /// Statements in them.
    pub statements: f64,
    /// Requests to Redis.
    pub redis_requests: f64,
    /// Commands that Redis ran, inside scripts too: what hosted Redis bills.
    pub redis_commands: f64,
    /// Bytes to and from Redis.
    pub redis_moved_bytes: f64,
    /// Bytes to and from both.
    backend_bytes: f64,
    /// Processor milliseconds of Postgres, of the gateway and of Redis.
    pub postgres_ms: Option<f64>,
    gateway_ms: Option<f64>,
    redis_ms: Option<f64>,
    /// By how much the database grew.
    pub postgres_bytes: f64,
    /// Bytes of Postgres's write-ahead log.
    pub wal_bytes: f64,
    /// Bytes that Postgres answered.
    pub sql_answer_bytes: f64,
    /// By how much Redis grew; most of it goes after a day.
    pub redis_bytes: f64,
}

/// Counts, one turn after the other, and then many to see what grows.
pub async fn run(args: &Args, provider: &Provider, edges: &Edges) -> anyhow::Result<Turn> {
    let (single, many) = if args.quick { (15, 100) } else { (100, 2_000) };
    provider.set(USUAL);
    let slug = edges.workers.company(&plenty()).await?;
    let visitors = edges.relayed.visitors(&slug, 16).await?;
    let contender = edges.relayed.contender(visitors)?;
    let redis = Redis::connect(&args.redis_url).await?;
    let owner = super::provision::connect(&args.owner_url).await?;
    edges.relay.replay(false);
    // The day's first turns tell Redis the limits.
    crowd(1, |asked| asked < 5, async |n| contender.ask(n).await).await?;

    progress(&format!("one turn: {single} of them, one at a time"));
    let (mut seen, mut stages) = (Vec::new(), Vec::new());
    let commands = redis.commands().await?;
    edges.relay.hold(Duration::from_millis(20));
    for number in 0..single {
        edges.relay.log();
        provider.asked();
        contender.ask(number).await?;
        let exchanges = edges.relay.log();
        let asked = *provider.asked().first().context("the provider was not asked")?;
        #[expect(clippy::cast_precision_loss, reason = "a turn has a handful of requests")]
        stages.push(depth(exchanges.iter().filter(|exchange| exchange.from < asked)) as f64);
        seen.extend(exchanges);
    }
    let commands = redis.commands().await?.saturating_sub(commands);
    edges.relay.hold(Duration::ZERO);

    progress(&format!("one turn: what {many} of them leave behind"));
    let parts = || ["postgres", "gateway", "redis"].map(|name| args.part(name));
    let grown = (size(&owner).await?, redis.bytes().await?, parts(), wal(&owner).await?);
    crowd(8, |asked| asked < many, async |n| contender.ask(n).await).await?;
    let after = (size(&owner).await?, redis.bytes().await?, parts(), wal(&owner).await?);
    edges.relay.log();

    let each = |sum: u64, of: usize| per(sum as f64, of);
    let of = |redis: bool| seen.iter().filter(move |exchange| exchange.redis == redis);
    let moved = |exchange: &Exchange| (exchange.body.len() + exchange.answered) as u64;
    let statements = of(false).map(|exchange| statements(exchange) as u64).sum();
    let mut cpu = grown.2.into_iter().zip(after.2).map(|(before, after): (Option<Usage>, Option<Usage>)| {
        Some(per(after?.cpu.saturating_sub(before?.cpu).as_secs_f64() * 1_000.0, many))
    });
    Ok(Turn {
        count: single,
        stages: Spread::of(stages).context("no turn was counted")?,
        sql_requests: each(of(false).count() as u64, single),
        statements: each(statements, single),
        redis_requests: each(of(true).count() as u64, single),
        redis_commands: each(commands, single),
        redis_moved_bytes: each(of(true).map(moved).sum(), single),
        backend_bytes: each(seen.iter().map(moved).sum(), single),
        postgres_ms: cpu.next().flatten(),
        gateway_ms: cpu.next().flatten(),
        redis_ms: cpu.next().flatten(),
        postgres_bytes: each(after.0.saturating_sub(grown.0), many),
        wal_bytes: each(after.3.saturating_sub(grown.3), many),
        sql_answer_bytes: each(of(false).map(|exchange| exchange.answered as u64).sum(), single),
        redis_bytes: each(after.1.saturating_sub(grown.1), many),
    })
}

fn per(sum: f64, count: usize) -> f64 {
    sum / count.max(1) as f64
}

/// The longest chain of requests of which each came after the one before it was answered.
fn depth<'a>(exchanges: impl Iterator<Item = &'a Exchange>) -> usize {
    let mut exchanges: Vec<&Exchange> = exchanges.collect();
    exchanges.sort_by_key(|exchange| exchange.to);
    let (mut depth, mut last) = (0, None);
    for exchange in exchanges {
        if last.is_none_or(|last| exchange.from >= last) {
            (depth, last) = (depth + 1, Some(exchange.to));
        }
    }
    depth
}

/// How many statements a batch has.
fn statements(exchange: &Exchange) -> usize {
    let body: serde_json::Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
    body.get("queries").and_then(serde_json::Value::as_array).map_or(1, Vec::len)
}

/// Bytes of the database.
pub async fn size(owner: &Client) -> anyhow::Result<u64> {
    let row = owner.query_one("select pg_database_size(current_database())", &[]).await?;
    Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
}

/// Bytes of write-ahead log that were ever written.
async fn wal(owner: &Client) -> anyhow::Result<u64> {
    let row = owner.query_one("select (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint", &[]).await?;
    Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
}

/// Redis itself, asked about what it did.
struct Redis(redis::aio::MultiplexedConnection);

impl Redis {
    async fn connect(url: &str) -> anyhow::Result<Self> {
        let client = redis::Client::open(url).context("Redis's URL is none")?;
        Ok(Self(client.get_multiplexed_async_connection().await.context("Redis does not answer")?))
    }

    async fn info(&self, section: &str) -> anyhow::Result<String> {
        Ok(redis::cmd("INFO").arg(section).query_async(&mut self.0.clone()).await?)
    }

    /// Commands that it ran so far, inside scripts too; not those by which a pool keeps its connections.
    async fn commands(&self) -> anyhow::Result<u64> {
        let info = self.info("commandstats").await?;
        let calls = info.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let ours = ["info", "ping", "unwatch", "auth", "hello", "select", "client"];
            let theirs = !ours.contains(&name.split('|').next()?);
            theirs.then(|| rest.split(',').next()?.parse::<u64>().ok())?
        });
        Ok(calls.sum())
    }

    async fn bytes(&self) -> anyhow::Result<u64> {
        let info = self.info("memory").await?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
        used.context("Redis does not say how much memory it uses")
    }
}

impl Turn {
    /// As people read it.
    pub fn table(&self) -> Table {
        let row = |what: &str, figure| Row { what: what.to_owned(), figures: vec![figure] };
        let maybe = |figure: Option<f64>| figure.map_or(Figure::None, Figure::One);
        Table {
            name: "one-turn",
            title: format!("one turn of Bulkhead, of {} counted", self.count),
            columns: &["a_turn"],
            rows: vec![
                row("stages of requests before the provider is asked", Figure::Spread(self.stages)),
                row("requests to Postgres", Figure::One(self.sql_requests)),
                row("statements in them", Figure::One(self.statements)),
                row("requests to Redis", Figure::One(self.redis_requests)),
                row("Redis commands, those in scripts too", Figure::One(self.redis_commands)),
                row("bytes to and from both", Figure::One(self.backend_bytes)),
                row("processor ms of Postgres", maybe(self.postgres_ms)),
                row("processor ms of the gateway", maybe(self.gateway_ms)),
                row("processor ms of Redis", maybe(self.redis_ms)),
                row("bytes that Postgres answers", Figure::One(self.sql_answer_bytes)),
                row("bytes of write-ahead log", Figure::One(self.wal_bytes)),
                row("bytes by which Postgres grows", Figure::One(self.postgres_bytes)),
                row("bytes by which Redis grows", Figure::One(self.redis_bytes)),
            ],
        }
    }
}

/// A new visitor of a company asks on the relayed edge: the requests of the turn, in the order of [`Request`](super::relay::Request).
pub async fn requests(edges: &Edges, slug: &str) -> anyhow::Result<[Bytes; 4]> {
    let contender = edges.relayed.contender(edges.relayed.visitors(slug, 1).await?)?;
    edges.relay.replay(false);
    for _ in 0..3 {
        edges.relay.log();
        contender.ask(0).await?;
    }
    let mut seen: [Option<Bytes>; 4] = Default::default();
    for exchange in edges.relay.log() {
        if let Some(place) = exchange.request.and_then(|request| seen.get_mut(request as usize)) {
            *place = Some(exchange.body);
        }
    }
    let all: Vec<Bytes> = seen.into_iter().flatten().collect();
    all.try_into().ok().context("a turn's requests were not all seen by the relay")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a native program's test asks the machine's own clock")]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn requests_at_the_same_time_are_one_stage() {
        let start = Instant::now();
        let exchange = |from, to| {
            let at = |ms| start + Duration::from_millis(ms);
            Exchange {
                redis: false,
                request: None,
                body: Bytes::new(),
                answered: 0,
                from: at(from),
                to: at(to),
            }
        };
        let check = |spans: &[(u64, u64)], expected| {
            let all: Vec<Exchange> = spans.iter().map(|&(from, to)| exchange(from, to)).collect();
            assert_eq!(depth(all.iter()), expected, "{spans:?}");
        };
        check(&[], 0);
        check(&[(0, 5), (1, 9)], 1);
        check(&[(0, 5), (5, 9)], 2);
        check(&[(0, 9), (1, 2), (3, 4)], 2);
    }
}
