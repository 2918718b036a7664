//! `bulkhead company delete` and `purge`: asked for, called off, or carried out when nobody called it off.
//! It never deletes a company whose people still can call it off, unless the operator says so twice.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use bulkhead::tenant::vault::Rewrap;
use tokio_postgres::Client;

use super::redis::{Redis, connect};
use super::{Found, Which, find, purge, standing};
use crate::keys::{Place, count, master_keys, say};

/// Options of `bulkhead company delete`.
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
    /// Where to write the receipt: a file that is not there yet, or an empty one.
    #[arg(long, required_if_eq("purge", "true"))]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    tools: Tools,
}

/// Options of `bulkhead company purge`.
#[derive(clap::Args)]
pub struct Due {
    /// The folder for the receipts; each is called by the company's id.
    #[arg(long)]
    receipts: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    tools: Tools,
}

/// What a purge needs besides the database.
#[derive(clap::Args)]
struct Tools {
    /// Redis itself, past the gateway, whose keys cannot be walked.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// All master keys, newest first, as the worker has them: the newest signs the receipt.
    #[arg(long, env = "MASTER_KEYS", hide_env_values = true)]
    master_keys: Option<String>,
}

/// Runs `bulkhead company delete`.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let owner = args.which.place.owner().await?;
    let found = args.which.find(&owner).await?;
    if args.request {
        request(&args, &found).await
    } else if args.cancel {
        ensure!(found.deletion.is_some(), "nobody asked for the deletion of {}", found.slug);
        standing::resume(standing::Args { which: args.which }).await
    } else {
        let path = args.receipt.as_deref().context("name the receipt's file")?;
        Purge::new(&args.which.place, args.tools, owner).await?.carry_out(&found, args.now, path).await
    }
}

/// Runs `bulkhead company purge`: one company after the other, each for itself.
pub async fn due(args: Due) -> anyhow::Result<()> {
    let owner = args.place.owner().await?;
    let mut ids: Vec<String> = Vec::new();
    for row in owner.query(DUE, &[]).await? {
        ids.push(row.try_get(0)?);
    }
    if ids.is_empty() {
        say("no company's time has come");
        return Ok(());
    }
    let mut purge = Purge::new(&args.place, args.tools, owner).await?;
    let mut failed = 0_u64;
    for id in &ids {
        let done = purge.by_id(id, &args.receipts.join(format!("{id}.json"))).await;
        if let Err(error) = done {
            failed += 1;
            say(&format!("company {id}: {error:#}"));
        }
    }
    ensure!(
        failed == 0,
        "{} of {} could not be deleted",
        failed,
        count(ids.len() as u64, "company", "companies")
    );
    Ok(())
}

/// Companies whose time has come, or whose deletion has begun.
const DUE: &str = "
select company_id::text
from companies
where delete_after <= now() or (delete_after is not null and deleted_so_far is not null)
order by company_id";

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

/// All that deletions are carried out with.
struct Purge {
    owner: Client,
    worker: Client,
    redis: Redis,
    keys: Rewrap,
}

impl Purge {
    async fn new(place: &Place, tools: Tools, owner: Client) -> anyhow::Result<Self> {
        let keys = tools.master_keys.context("set MASTER_KEYS: the newest signs the receipt")?;
        let url = tools.redis_url.context("set REDIS_URL: the company's keys in Redis are to go as well")?;
        let worker = place.worker().await?;
        Ok(Self { owner, worker, redis: connect(&url).await?, keys: master_keys(&keys)? })
    }

    async fn by_id(&mut self, id: &str, receipt: &Path) -> anyhow::Result<()> {
        let found = find(&self.owner, id).await?;
        self.carry_out(&found, false, receipt).await
    }

    /// Deletes a company, if it may be; the receipt is on the disk before the last row of it goes.
    async fn carry_out(&mut self, found: &Found, now: bool, receipt: &Path) -> anyhow::Result<()> {
        let deletion = found.deletion.as_ref();
        let deletion = deletion.with_context(|| {
            format!(
                "nobody asked for the deletion of {}; begin with bulkhead company delete {} --request",
                found.slug, found.slug
            )
        })?;
        ensure!(
            deletion.due || now || deletion.begun,
            "{} may be deleted from {} on; --now --yes does not wait for that",
            found.slug,
            deletion.after
        );
        let mut file = receipt_file(receipt)?;
        let done = self.delete(found, now, &mut file).await;
        let done = done.inspect_err(|_| {
            // The company is still there. That the file cannot be removed is not what went wrong first.
            let _ = std::fs::remove_file(receipt);
        });
        let done =
            done.context("the deletion is not complete; run the command again, it goes on from there")?;
        say(&format!(
            "{} is deleted: {} and {} of Redis; the receipt is {}",
            found.slug,
            count(done.rows.values().sum(), "row", "rows"),
            count(done.redis_keys, "key", "keys"),
            receipt.display()
        ));
        if !done.traces.is_empty() {
            let places: Vec<_> =
                done.traces.iter().map(|(place, number)| format!("{place} ({number})")).collect();
            bail!("its id is still found in {}", places.join(", "));
        }
        Ok(())
    }

    async fn delete(
        &mut self,
        found: &Found,
        now: bool,
        file: &mut std::fs::File,
    ) -> anyhow::Result<super::receipt::Receipt> {
        purge::begin(&self.owner, found, now).await?;
        let suspended_s = if found.suspended {
            found.suspended_s.unwrap_or_default()
        } else {
            standing::end(&mut self.worker, found, None).await?;
            0.0
        };
        purge::wait(suspended_s).await;
        purge::carry_out(&mut self.owner, &mut self.redis, found, |receipt| receipt.write(&self.keys, file))
            .await
    }
}

/// A new file, or one that a deletion which was cut off left empty.
fn receipt_file(path: &Path) -> anyhow::Result<std::fs::File> {
    if std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == 0) {
        std::fs::remove_file(path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    super::new_file(path)
}
