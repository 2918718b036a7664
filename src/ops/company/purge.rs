//! Deleting a company: its rows in bounded batches, its keys in Redis, a last look for traces, a receipt, and its own row last.
//! It never touches a row of a second company, and what was deleted is counted in the transaction that deletes it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio_postgres::{Client, Transaction};

use super::receipt::Receipt;
use super::redis::{Redis, clear, number};
use super::tables::{self, Table, quoted};
use super::{Found, refusal};
use crate::keys::{FIRST, say};

/// From here on nobody can call it off.
pub async fn begin(owner: &Client, found: &Found, now: bool) -> anyhow::Result<()> {
    match owner.execute(BEGIN, &[&found.id, &now]).await? {
        0 => bail!("{} is not to be deleted: it was called off, or its time has not come", found.slug),
        _ => Ok(()),
    }
}

const BEGIN: &str = "
update companies
set deleted_so_far = coalesce(deleted_so_far, '{}')
where company_id = $1::text::uuid and delete_after is not null
  and (delete_after <= now() or $2 or deleted_so_far is not null)";

/// Waits until no worker has its hosts in mind: one that has would write to Redis again.
pub async fn wait(suspended_s: f64) {
    let left = REMEMBERED_S - suspended_s.max(0.0);
    if left > 0.0 {
        say(&format!("waiting {left:.0} seconds until no worker remembers its hosts"));
        tokio::time::sleep(Duration::from_secs_f64(left)).await;
    }
}

/// Seconds for which a worker may remember whose a host is, and some more for what it has begun.
const REMEMBERED_S: f64 = 35.0;

/// Deletes all of it, and has the receipt written before the last row goes: as long as that is there, an interrupted deletion
/// goes on where it was.
pub async fn carry_out(
    owner: &mut Client,
    redis: &mut Redis,
    found: &Found,
    write: impl FnOnce(&Receipt) -> anyhow::Result<()>,
) -> anyhow::Result<Receipt> {
    let tables = tables::all(owner).await?;
    for table in tables.iter().rev() {
        if !["companies", "hosts"].contains(&table.name.as_str()) {
            let emptied = empty(owner, table, &found.id).await;
            emptied.with_context(|| format!("table {}", table.name))?;
        }
    }
    let keys = clear(redis, &found.id).await?;
    owner.execute(KEYS_COUNT, &[&found.id, &REDIS, &i64::try_from(keys)?]).await?;

    owner.execute(NOBODY, &[&FIRST]).await?;
    let transaction = owner.transaction().await?;
    let mut rows = last(&transaction, &found.id).await?;
    let redis_keys = rows.remove(REDIS).unwrap_or_default() + clear(redis, &found.id).await?;
    let traces = traces(&transaction, redis, &found.id).await?;
    let deleted_at = transaction.query_one(MOMENT, &[]).await?.try_get(0)?;
    let receipt = Receipt {
        format: 1,
        company_id: found.id.clone(),
        slug: found.slug.clone(),
        deleted_at,
        rows,
        redis_keys,
        traces,
    };
    write(&receipt).context("there is no receipt")?;
    transaction.commit().await?;
    Ok(receipt)
}

/// How the keys are called where the deleted rows of each table are counted. No table is called so.
const REDIS: &str = "redis keys";

/// Deletes the company's rows of a table, a bounded number in each transaction. The newest go first: what refers to a row of the
/// same table came after it, and is counted itself.
async fn empty(owner: &Client, table: &Table, company: &str) -> anyhow::Result<()> {
    let (name, newest_first) = (quoted(&table.name), table.newest_first());
    let sql = format!(
        "with gone as (
             delete from {name}
             where company_id = $1::text::uuid
               and ctid = any(array(select ctid from {name} where company_id = $1::text::uuid
                                    order by {newest_first} limit {BATCH}))
             returning 1
         )
         update companies c
         set deleted_so_far = deleted_so_far || jsonb_build_object($2::text, coalesce((deleted_so_far ->> $2)::bigint, 0) + g.number)
         from (select count(*) as number from gone) g
         where c.company_id = $1::text::uuid
         returning g.number"
    );
    loop {
        let now = owner.query_one(&sql, &[&company, &table.name]).await;
        let now: i64 = now.map_err(|error| anyhow::anyhow!("{}", refusal(&error)))?.try_get(0)?;
        if now == 0 {
            return Ok(());
        }
    }
}

/// Rows deleted in one transaction.
const BATCH: u32 = 5_000;

const KEYS_COUNT: &str = "
update companies
set deleted_so_far = deleted_so_far || jsonb_build_object($2::text, coalesce((deleted_so_far ->> $2)::bigint, 0) + $3::bigint)
where company_id = $1::text::uuid";

/// Deletes the company and its hosts, in one statement; gives what was deleted of each table. Its subdomains stay taken: they belong from now on to a
/// company that is none and answers nowhere, until `bulkhead slugs release` lets them go, so that nobody who knew one meets
/// another company there. Its own domains are free at once.
async fn last(transaction: &Transaction<'_>, company: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let row = transaction.query_one(LAST, &[&company, &FIRST]).await;
    let row = row.map_err(|error| anyhow::anyhow!("the company's row: {}", refusal(&error)))?;
    let (hosts, so_far): (i64, String) = (row.try_get("hosts")?, row.try_get("so_far")?);
    let mut rows: BTreeMap<String, u64> = serde_json::from_str(&so_far)?;
    rows.insert("hosts".to_owned(), hosts.try_into()?);
    rows.insert("companies".to_owned(), 1);
    Ok(rows)
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
    delete from companies where company_id = $1::text::uuid returning deleted_so_far
)
select (select count(*) from kept) + (select count(*) from freed) as hosts, deleted_so_far::text as so_far
from gone";

const MOMENT: &str = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";

/// Where its id is still found: in any column of any table, and in any key of Redis.
async fn traces(
    transaction: &Transaction<'_>,
    redis: &mut Redis,
    company: &str,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut traces = BTreeMap::new();
    for row in transaction.query(EVERY_TABLE, &[]).await? {
        let table: String = row.try_get(0)?;
        let sql = format!("select count(*) from {} r where strpos(r::text, $1) > 0", quoted(&table));
        let number: i64 = transaction.query_one(&sql, &[&company]).await?.try_get(0)?;
        if number > 0 {
            traces.insert(table, number.try_into()?);
        }
    }
    let number = number(redis, company).await?;
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
