//! `bulkhead company delete`: asked for, then carried out when nobody called it off.
//! It never deletes a company that still answers, and never touches a row of a second one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bulkhead::tenant::vault::Rewrap;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client as Redis, cmd};
use tokio_postgres::Client;

use super::receipt::Receipt;
use super::tables::{self, Table, quoted};
use super::{Found, Which, new_file, refusal, standing};
use crate::keys::{FIRST, count, master_keys, say};

/// Options of the command.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("step").required(true).args(["request", "cancel", "purge"]))]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// First step: suspend it, and let its deletion begin after some days.
    #[arg(long)]
    request: bool,
    /// Days until it may be carried out.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
    /// Call it off; the company answers again.
    #[arg(long)]
    cancel: bool,
    /// Second step: delete everything, once those days are over.
    #[arg(long)]
    purge: bool,
    /// Do not wait for the days to be over.
    #[arg(long, requires = "yes")]
    now: bool,
    /// You know that this cannot be undone.
    #[arg(long)]
    yes: bool,
    /// Where to write the receipt: a file that is not there yet.
    #[arg(long, required_if_eq("purge", "true"))]
    receipt: Option<PathBuf>,
    /// Redis itself, past the gateway, whose keys cannot be walked.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// All master keys, newest first, as the worker has them: the newest signs the receipt.
    #[arg(long, env = "MASTER_KEYS", hide_env_values = true)]
    master_keys: Option<String>,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let owner = args.which.place.owner().await?;
    let found = args.which.find(&owner).await?;
    if args.request {
        request(&args, &found).await
    } else if args.cancel {
        ensure!(found.deletion.is_some(), "nobody asked for the deletion of {}", found.slug);
        standing::resume(standing::Args { which: args.which }).await
    } else {
        purge(&args, &owner, &found).await
    }
}

async fn request(args: &Args, found: &Found) -> anyhow::Result<()> {
    if let Some(deletion) = &found.deletion {
        say(&format!(
            "the deletion of {} was asked for already and may begin at {}",
            found.slug, deletion.after
        ));
        return Ok(());
    }
    let mut worker = args.which.place.worker().await?;
    let after = standing::end(&mut worker, found, Some(args.days)).await?.unwrap_or_default();
    say(&format!(
        "{} is suspended, and may be deleted from {after} on: until then, --cancel calls it off, and bulkhead company export \
         still gives its data",
        found.slug
    ));
    Ok(())
}

async fn purge(args: &Args, owner: &Client, found: &Found) -> anyhow::Result<()> {
    let deletion = found.deletion.as_ref();
    let deletion = deletion.with_context(|| {
        format!(
            "nobody asked for the deletion of {}; begin with bulkhead company delete {} --request",
            found.slug, found.slug
        )
    })?;
    ensure!(
        deletion.due || args.now,
        "{} may be deleted from {} on; --now --yes does not wait for that",
        found.slug,
        deletion.after
    );
    ensure!(found.suspended, "{} still answers: ask for its deletion again", found.slug);
    let keys =
        master_keys(args.master_keys.as_deref().context("set MASTER_KEYS: the newest signs the receipt")?)?;
    let url =
        args.redis_url.as_deref().context("set REDIS_URL: the company's keys in Redis are to go as well")?;
    let mut redis = redis(url).await?;
    let path = args.receipt.as_deref().context("name the receipt's file")?;
    let mut file = new_file(path)?;
    let done = match delete(owner, &mut redis, found).await {
        Ok(receipt) => receipt,
        Err(error) => {
            // Nothing is in it. That it cannot be removed is not what went wrong first.
            let _ = std::fs::remove_file(path);
            return Err(
                error.context("the deletion is not complete; run the command again, it goes on from there")
            );
        }
    };
    let (rows, redis_keys) = (done.rows.values().sum(), done.redis_keys);
    let traces = done.traces.clone();
    sign(done, &keys, &mut file)?;
    say(&format!(
        "{} is deleted: {} and {} of Redis; the receipt is {}",
        found.slug,
        count(rows, "row", "rows"),
        count(redis_keys, "key", "keys"),
        path.display()
    ));
    if !traces.is_empty() {
        let places: Vec<_> = traces.iter().map(|(place, number)| format!("{place} ({number})")).collect();
        bail!("its id is still found in {}", places.join(", "));
    }
    Ok(())
}

fn sign(receipt: Receipt, keys: &Rewrap, file: &mut std::fs::File) -> anyhow::Result<()> {
    receipt.write(keys, file).context("everything is deleted, but there is no receipt")
}

/// Deletes all of it and looks for traces.
async fn delete(owner: &Client, redis: &mut MultiplexedConnection, found: &Found) -> anyhow::Result<Receipt> {
    // A worker may have its host in mind for that long, and would write to Redis again.
    let left = REMEMBERED_S - found.suspended_s.unwrap_or_default().max(0.0);
    if left > 0.0 {
        say(&format!("waiting {left:.0} seconds until no worker remembers its hosts"));
        tokio::time::sleep(Duration::from_secs_f64(left)).await;
    }
    let mut rows = BTreeMap::new();
    let tables = tables::all(owner).await?;
    for table in tables.iter().rev() {
        if !["companies", "hosts"].contains(&table.name.as_str()) {
            let number =
                empty(owner, table, &found.id).await.with_context(|| format!("table {}", table.name))?;
            rows.insert(table.name.clone(), number);
        }
    }
    let mut redis_keys = clear(redis, &found.id).await?;
    // The company's row goes last: as long as it is there, an interrupted deletion can go on.
    for (table, number) in last(owner, &found.id).await? {
        rows.insert(table, number);
    }
    redis_keys += clear(redis, &found.id).await?;
    let traces = traces(owner, redis, &found.id).await?;
    let deleted_at = owner.query_one(MOMENT, &[]).await?.try_get(0)?;
    Ok(Receipt {
        format: 1,
        company_id: found.id.clone(),
        slug: found.slug.clone(),
        deleted_at,
        rows,
        redis_keys,
        traces,
    })
}

/// Seconds for which a worker may remember whose a host is, and some more for what it has begun.
const REMEMBERED_S: f64 = 35.0;

/// Deletes the company's rows of a table, a bounded number in each transaction.
async fn empty(owner: &Client, table: &Table, company: &str) -> anyhow::Result<u64> {
    let name = quoted(&table.name);
    let sql = format!(
        "delete from {name}
         where company_id = $1::text::uuid
           and ctid = any(array(select ctid from {name} where company_id = $1::text::uuid limit {BATCH}))"
    );
    let mut deleted = 0;
    loop {
        let now = owner.execute(&sql, &[&company]).await;
        let now = now.map_err(|error| anyhow::anyhow!("{}", refusal(&error)))?;
        deleted += now;
        if now == 0 {
            return Ok(deleted);
        }
    }
}

/// Rows deleted in one transaction.
const BATCH: u32 = 5_000;

/// Deletes the company and its hosts, in one statement. Its subdomains stay taken: they belong from now on to a company that is
/// none and answers nowhere, until `bulkhead slugs release` lets them go, so that nobody who knew one meets another company
/// there. Its own domains are free at once.
async fn last(owner: &Client, company: &str) -> anyhow::Result<[(String, u64); 2]> {
    owner.execute(NOBODY, &[&FIRST]).await?;
    let row = owner.query_one(LAST, &[&company, &FIRST]).await;
    let row = row.map_err(|error| anyhow::anyhow!("the company's row: {}", refusal(&error)))?;
    let (hosts, companies): (i64, i64) = (row.try_get("hosts")?, row.try_get("companies")?);
    Ok([("hosts".to_owned(), hosts.try_into()?), ("companies".to_owned(), companies.try_into()?)])
}

/// Where addresses of deleted companies are: the nil id stands before every company, so that no round ever comes to it.
const NOBODY: &str = "
insert into companies (company_id, slug, name, industry, status, suspended_at)
values ($1::text::uuid, 'given-up', 'Addresses of deleted companies', 'none', 'suspended', now())
on conflict (company_id) do nothing";

const LAST: &str = "
with kept as (
    update hosts
    set company_id = $2::text::uuid, released_at = coalesce(released_at, now())
    where company_id = $1::text::uuid and kind = 'slug'
    returning 1
),
freed as (
    delete from hosts where company_id = $1::text::uuid and kind = 'custom' returning 1
),
gone as (
    delete from companies where company_id = $1::text::uuid returning 1
)
select (select count(*) from kept) + (select count(*) from freed) as hosts, (select count(*) from gone) as companies";

const MOMENT: &str = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";

/// Where its id is still found: in any column of any table, and in any key of Redis.
async fn traces(
    owner: &Client,
    redis: &mut MultiplexedConnection,
    company: &str,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut traces = BTreeMap::new();
    for row in owner.query(EVERY_TABLE, &[]).await? {
        let table: String = row.try_get(0)?;
        let sql = format!("select count(*) from {} r where strpos(r::text, $1) > 0", quoted(&table));
        let number: i64 = owner.query_one(&sql, &[&company]).await?.try_get(0)?;
        if number > 0 {
            traces.insert(table, number.try_into()?);
        }
    }
    let mut number = 0;
    walk(redis, company, async |_, keys| {
        number += keys.len() as u64;
        Ok(())
    })
    .await?;
    if number > 0 {
        traces.insert("redis".to_owned(), number);
    }
    Ok(traces)
}

const EVERY_TABLE: &str = "
select c.relname::text
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
order by 1";

async fn redis(url: &str) -> anyhow::Result<MultiplexedConnection> {
    // What could not be read is not repeated: it may hold the password.
    let client = Redis::open(url).ok().context("REDIS_URL is not a Redis URL")?;
    client.get_multiplexed_async_connection().await.context("cannot reach Redis; check REDIS_URL")
}

/// Deletes the company's keys: all that carry its id as their hash tag.
async fn clear(redis: &mut MultiplexedConnection, company: &str) -> anyhow::Result<u64> {
    let mut deleted = 0;
    walk(redis, company, async |redis, keys| {
        deleted += cmd("UNLINK").arg(&keys).query_async::<u64>(redis).await?;
        Ok(())
    })
    .await?;
    Ok(deleted)
}

/// Calls for the names of the company's keys, some at a time (<https://redis.io/docs/latest/commands/scan/>).
async fn walk(
    redis: &mut MultiplexedConnection,
    company: &str,
    mut call: impl AsyncFnMut(&mut MultiplexedConnection, Vec<Vec<u8>>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut cursor = 0_u64;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("*{{{company}}}*")).arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<Vec<u8>>) =
            scan.query_async(redis).await.context("Redis does not answer")?;
        if !keys.is_empty() {
            call(redis, keys).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
