//! A company's keys in Redis: all that carry its id as their hash tag.
//! It never touches a key without that tag, and reads no value.

use anyhow::Context as _;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, cmd};

/// A connection.
pub type Redis = MultiplexedConnection;

/// Connects past the gateway, whose keys cannot be walked.
pub async fn connect(url: &str) -> anyhow::Result<Redis> {
    // What could not be read is not repeated: it may hold the password.
    let client = Client::open(url).ok().context("REDIS_URL is not a Redis URL")?;
    client.get_multiplexed_async_connection().await.context("cannot reach Redis; check REDIS_URL")
}

/// Deletes a company's keys; gives how many there were.
pub async fn clear(redis: &mut Redis, company: &str) -> anyhow::Result<u64> {
    let mut deleted = 0;
    walk(redis, company, async |redis, keys| {
        deleted += cmd("UNLINK").arg(&keys).query_async::<u64>(redis).await?;
        Ok(())
    })
    .await?;
    Ok(deleted)
}

/// Deletes what agents remember of a company's conversations of late; gives of how many. Counters and budgets stay.
pub async fn forget(redis: &mut Redis, company: &str) -> anyhow::Result<u64> {
    let mut forgotten = 0;
    let prefix = format!("memory:{{{company}}}:");
    walk(redis, company, async |redis, keys| {
        let keys: Vec<_> = keys.into_iter().filter(|key| key.starts_with(prefix.as_bytes())).collect();
        if !keys.is_empty() {
            forgotten += cmd("UNLINK").arg(&keys).query_async::<u64>(redis).await?;
        }
        Ok(())
    })
    .await?;
    Ok(forgotten)
}

/// How many keys a company has. One that is walked over twice counts twice.
pub async fn number(redis: &mut Redis, company: &str) -> anyhow::Result<u64> {
    let mut number = 0;
    walk(redis, company, async |_, keys| {
        number += keys.len() as u64;
        Ok(())
    })
    .await?;
    Ok(number)
}

/// The names of a company's keys; some may stand there twice.
pub async fn keys(redis: &mut Redis, company: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    walk(redis, company, async |_, keys| {
        names.extend(keys);
        Ok(())
    })
    .await?;
    names.sort();
    names.dedup();
    Ok(names)
}

/// Calls for the names of the company's keys, some at a time (<https://redis.io/docs/latest/commands/scan/>).
async fn walk(
    redis: &mut Redis,
    company: &str,
    mut call: impl AsyncFnMut(&mut Redis, Vec<Vec<u8>>) -> anyhow::Result<()>,
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
