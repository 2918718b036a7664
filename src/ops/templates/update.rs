//! `bulkhead templates update`: brings what companies have not edited up to date with the loaded templates, one company after
//! the other. It runs the core's own statements as the worker's role, with that company set: row-level security stands.

use std::fmt;

use anyhow::Context as _;
use bulkhead::updates::UPDATES;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::gateway::param::Param;
use crate::postgres;

/// How many companies are listed at a time.
const PAGE: i64 = 500;

/// What was done, or would have been.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Companies looked at.
    pub companies: u64,
    /// Companies of which a row changed, came or went.
    pub changed: u64,
    /// Rows that did.
    pub rows: u64,
    /// Whether it was only tried.
    pub dry: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would = if self.dry { "would have changed " } else { "" };
        let Self { companies, changed, rows, .. } = self;
        write!(f, "{companies} companies: {would}{rows} rows of {changed} of them")
    }
}

/// Each company in a transaction of its own, so that a failure or an interruption leaves whole companies only; running it
/// again does the rest. A dry run rolls each of them back.
pub async fn run(owner_url: &str, worker_url: &str, dry: bool) -> anyhow::Result<Summary> {
    let owner = connect(owner_url).await?;
    let mut worker = connect(worker_url).await?;
    let mut summary = Summary { dry, ..Summary::default() };
    let mut last = "00000000-0000-0000-0000-000000000000".to_owned();
    loop {
        let page = owner
            .query(
                "select company_id::text from companies where company_id > $1::text::uuid order by company_id limit $2",
                &[&last, &PAGE],
            )
            .await?;
        for row in &page {
            last = row.try_get(0)?;
            let rows = company(&mut worker, &last, dry).await.with_context(|| format!("company {last}"))?;
            summary.companies += 1;
            summary.changed += u64::from(rows > 0);
            summary.rows += rows;
        }
        if page.is_empty() {
            return Ok(summary);
        }
    }
}

/// Gives how many rows changed, came or went.
async fn company(worker: &mut Client, id: &str, dry: bool) -> anyhow::Result<u64> {
    let transaction = worker.transaction().await?;
    transaction.execute("select set_config('app.current_company_id', $1, true)", &[&id]).await?;
    let param = Param::from(id);
    let params: [&(dyn ToSql + Sync); 1] = [&param];
    let mut rows = 0;
    for sql in UPDATES {
        rows += transaction.execute(sql.text(), &params).await.with_context(|| sql.text())?;
    }
    if dry {
        transaction.rollback().await?;
    } else {
        transaction.commit().await?;
    }
    Ok(rows)
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    postgres::connect(url).await.context("cannot reach the database; check its URL")
}
