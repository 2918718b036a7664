//! What is left over when everybody has left, and whether it may be. It changes nothing but by the operator's own round.

use std::fmt::Display;
use std::time::Duration;

use anyhow::Context as _;
use bulkhead::config::HOLD_MS;
use deadpool_redis::redis::cmd;
use serde_json::json;
use tokio::time::sleep;
use tokio_postgres::Client as Postgres;

use super::client::Client;
use super::ground::Ground;
use super::memory::{Memory, NAMES};
use super::now;
use crate::bench::provider::Provider;
use crate::company::redis::{Redis, connect, keys, number};
use crate::company::tables;
use crate::postgres;

/// Megabytes by which worker and gateway may rise over the second half, along the line that fits best. The worker's collector was seen
/// to let it go up by 50 MB before it tidied, so that a small leak shows in a long soak only: over ten minutes one of 13 MB a minute,
/// over four hours one of half a megabyte.
const RISE_MB: [f64; 2] = [64.0, 16.0];
/// Connections that the gateway may hold to Postgres, and to Redis: its pools.
const POOL: usize = 16;
/// Open files that each of the two may have beyond the most of the second half.
const FILES: usize = 8;

/// What was looked at, and whether it held.
#[derive(Default)]
pub struct Verdict(Vec<(bool, String)>);

impl Verdict {
    fn add(&mut self, held: bool, what: impl Display) {
        self.0.push((held, what.to_string()));
    }

    /// Whether all of it held.
    pub fn held(&self) -> bool {
        self.0.iter().all(|(held, _)| *held)
    }

    /// A line for each.
    pub fn text(&self) -> String {
        let lines =
            self.0.iter().map(|(held, what)| format!("{} {what}", if *held { "ok   " } else { "WRONG" }));
        let lines: Vec<String> = lines.collect();
        format!("{}\n{}", lines.join("\n"), if self.held() { "all of it held" } else { "not all of it held" })
    }
}

/// Looks at everything. `there` are the companies that are still there, `gone` those that were deleted.
pub async fn of(
    ground: &Ground,
    client: &Client,
    provider: &Provider,
    memory: &Memory,
    there: &[String],
    gone: &[String],
    plot: &std::path::Path,
) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    let owner = postgres::connect(&ground.owner_url).await?;
    let mut redis = connect(&ground.redis_url).await?;
    requests(&mut verdict, client);

    // A turn whose provider stalls ends after some 20 seconds, and what an outage left reserved is void after three minutes.
    let outages = client.outages.number();
    let patience = Duration::from_secs(60);
    let patience = if outages == 0 { patience } else { patience + Duration::from_millis(HOLD_MS) };
    let (started, mut held) = (now(), usize::MAX);
    while started.elapsed() < patience && (held > 0 || provider.open() > 0) {
        sleep(Duration::from_secs(1)).await;
        held = 0;
        for company in there {
            held += Day::of(&mut redis, company).await?.held;
        }
    }
    verdict.add(provider.open() == 0, format!("{} answers still open at the provider", provider.open()));
    let waited = started.elapsed().as_secs();
    verdict.add(held == 0, format!("{held} reservations left after {waited} s"));

    let round = json!({});
    let round = client.call("", "POST", "/v1/cron", &ground.cron_token, &round, || false).await;
    let failed = round.as_ref().and_then(|round| round.get("failed")?.as_u64());
    verdict.add(failed == Some(0), "the round went through every company");
    money(&mut verdict, &owner, &mut redis, there, outages).await?;
    traces(&mut verdict, &owner, &mut redis, gone).await?;
    connections(&mut verdict, ground, &mut redis).await?;
    still_there(&mut verdict, memory);
    std::fs::write(plot, memory.plot()).with_context(|| format!("cannot write {}", plot.display()))?;
    Ok(verdict)
}

fn requests(verdict: &mut Verdict, client: &Client) {
    client.with(|seen| {
        let turns: u64 = seen.turns.values().sum();
        let by_model = seen.turns.get("model").copied().unwrap_or_default();
        // So that a soak in which nothing happens does not hold.
        verdict.add(turns > 50 && by_model > turns / 4, seen.text());
        verdict.add(
            seen.wrong_number == 0,
            format!("{} failures without a reason {}", seen.wrong_number, seen.wrong.join("\n      ")),
        );
        verdict.add(seen.purged > 0, format!("{} companies deleted while they chatted", seen.purged));
    });
}

/// What Redis says of a company's budget, all days together.
#[derive(Default)]
struct Day {
    spent: u64,
    /// Reservations that are neither settled nor void.
    held: usize,
    /// Whether it knows the limits; else the next turn tells it what the ledger has.
    seeded: bool,
}

impl Day {
    async fn of(redis: &mut Redis, company: &str) -> anyhow::Result<Self> {
        let mut day = Self::default();
        let now_ms = crate::keys::now_ms()?;
        for key in keys(redis, company).await?.iter().filter(|key| key.starts_with(b"daily_spend:")) {
            let fields: Vec<(String, String)> = cmd("HGETALL").arg(key).query_async(redis).await?;
            for (name, value) in fields {
                match name.as_str() {
                    "spent" => day.spent += value.parse::<u64>()?,
                    "limits" => day.seeded = true,
                    _ if name.starts_with("h:") && !value.starts_with("s:") => {
                        let void_ms = value.split(':').nth(2).context("a reservation without an end")?;
                        day.held += usize::from(void_ms.parse::<u64>()? > now_ms);
                    }
                    _ => {}
                }
            }
        }
        Ok(day)
    }
}

/// The ledger is the truth: Redis never says less. It may say more by what was settled while the database was gone.
async fn money(
    verdict: &mut Verdict,
    owner: &Postgres,
    redis: &mut Redis,
    there: &[String],
    outages: usize,
) -> anyhow::Result<()> {
    let (mut all, mut beyond, mut wrong) = (0, 0, Vec::new());
    for company in there {
        let day = Day::of(redis, company).await?;
        let spent: i64 = owner.query_one(LEDGER, &[company]).await?.try_get(0)?;
        let ledger = u64::try_from(spent)?;
        all += ledger;
        beyond += day.spent.saturating_sub(ledger);
        let fits = if outages == 0 { day.spent == ledger } else { day.spent >= ledger || !day.seeded };
        if !fits {
            wrong.push(format!("{company}: Redis {}, ledger {ledger}", day.spent));
        }
    }
    let why = if outages == 0 { "" } else { ", settled while the database was gone" };
    verdict.add(
        wrong.is_empty() && all > 0,
        format!("{all} micro-dollars in the ledger, Redis says {beyond} more{why} {}", wrong.join("; ")),
    );
    Ok(())
}

const LEDGER: &str = "
select coalesce(sum(cost_microusd), 0)::bigint from usage_ledger where company_id = $1::text::uuid";

/// Nobody wrote for a company after it was gone.
async fn traces(
    verdict: &mut Verdict,
    owner: &Postgres,
    redis: &mut Redis,
    gone: &[String],
) -> anyhow::Result<()> {
    let tables = tables::all(owner).await?;
    let mut found = Vec::new();
    for table in &tables {
        let sql = format!("select count(*) from \"{}\" where company_id::text = any($1)", table.name);
        let rows: i64 = owner.query_one(&sql, &[&gone]).await?.try_get(0)?;
        if rows > 0 {
            found.push(format!("{} ({rows})", table.name));
        }
    }
    for company in gone {
        let keys = number(redis, company).await?;
        if keys > 0 {
            found.push(format!("Redis ({keys} of {company})"));
        }
    }
    verdict.add(
        found.is_empty() && !tables.is_empty(),
        format!("{} deleted companies have left rows or keys in: {}", gone.len(), none(&found)),
    );
    Ok(())
}

fn none(found: &[String]) -> String {
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

async fn connections(verdict: &mut Verdict, ground: &Ground, redis: &mut Redis) -> anyhow::Result<()> {
    // As the worker's role, which sees what its own sessions are at.
    let worker = postgres::connect(&ground.worker_url).await?;
    let row = worker.query_one(SESSIONS, &[]).await?;
    let (all, busy): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    verdict.add(
        usize::try_from(all)? <= POOL && busy == 0,
        format!("{all} connections to Postgres, {busy} of them at something"),
    );
    let listed: String = cmd("CLIENT").arg("LIST").query_async(redis).await?;
    // This very one is among them.
    let others = listed.lines().count().saturating_sub(1);
    verdict.add(others <= POOL, format!("{others} connections to Redis"));
    Ok(())
}

const SESSIONS: &str = "
select count(*), count(*) filter (where state <> 'idle')
from pg_stat_activity
where usename = current_user and pid <> pg_backend_pid()";

fn still_there(verdict: &mut Verdict, memory: &Memory) {
    let Some(last) = memory.now() else {
        verdict.add(true, "memory: not looked at, since this machine has no /proc");
        return;
    };
    let most = memory.most_files();
    for (((name, mb), files), most) in NAMES.iter().zip(last.mb).zip(last.files).zip(most) {
        verdict.add(
            files <= most + FILES,
            format!("{name}: {mb:.0} MB, {files} open files, {most} at most before"),
        );
    }
    let Some(slopes) = memory.slopes() else {
        verdict.add(true, "memory: not judged, it takes two minutes at least");
        return;
    };
    let minutes = memory.second_half_minutes();
    for ((name, slope), most) in NAMES.iter().zip(slopes).zip(RISE_MB) {
        verdict.add(
            slope * minutes <= most,
            format!(
                "{name} rose by {slope:.2} MB a minute over the last {minutes:.1} minutes; {:.2} are allowed",
                most / minutes
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_that_did_not_hold_is_enough() {
        let mut verdict = Verdict::default();
        verdict.add(true, "this");
        assert!(verdict.held() && verdict.text().ends_with("ok    this\nall of it held"));
        verdict.add(false, "that");
        assert!(!verdict.held() && verdict.text().contains("WRONG that"));
    }
}
