//! `bulkhead company`: a company's way in, out and away: export, import, restore, plan, suspend, resume, delete.
//! It never reads or writes two companies' rows in one statement, but for the last look whether a deleted one left a trace.

mod archive;
mod deletion;
mod export;
mod import;
mod plan;
mod purge;
mod receipt;
pub mod redis;
mod restore;
mod standing;
pub mod tables;

use anyhow::{Context as _, bail, ensure};
use bulkhead::ids::CompanyId;
use tokio_postgres::{Client, Transaction};

use crate::keys::{FIRST, Place};

/// Options of `bulkhead company`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write all of a company's data to one archive, while it goes on working.
    Export(export::Args),
    /// Bring a company from such an archive into a deployment where it is not.
    Import(import::Args),
    /// Put a company that is there back to what an archive of it holds.
    Restore(restore::Args),
    /// Say what it subscribes to, or have it subscribe to another plan.
    Plan(plan::Args),
    /// End its sessions and keys, and have its hosts answer as if they were not there.
    Suspend(standing::Args),
    /// Undo that; people sign in again, and programs need new keys.
    Resume(standing::Args),
    /// Ask for a company's deletion, call it off, or carry it out.
    Delete(deletion::Args),
    /// Carry out every deletion whose time has come; run it from a timer.
    Purge(deletion::Due),
    /// Check that a receipt of a deletion is one of this deployment's, unchanged.
    Receipt(receipt::Args),
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Export(args) => export::run(args).await,
        Command::Import(args) => import::run(args).await,
        Command::Restore(args) => restore::run(args).await,
        Command::Plan(args) => plan::run(args).await,
        Command::Suspend(args) => standing::suspend(args).await,
        Command::Resume(args) => standing::resume(args).await,
        Command::Delete(args) => deletion::run(args).await,
        Command::Purge(args) => deletion::due(args).await,
        Command::Receipt(args) => receipt::run(&args),
    }
}

/// Which company, and where its database is.
#[derive(clap::Args)]
struct Which {
    /// The company's slug or id.
    company: String,
    #[command(flatten)]
    place: Place,
}

/// A company as it stands.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) slug: String,
    pub(crate) suspended: bool,
    /// Seconds since it was suspended; `None` where that is not known.
    suspended_s: Option<f64>,
    /// Whether its deletion was asked for, and whether it may begin.
    deletion: Option<Deletion>,
}

struct Deletion {
    /// When it may begin, ISO 8601.
    after: String,
    due: bool,
    /// Whether it has begun: then nobody can call it off.
    begun: bool,
}

impl Which {
    /// Looks the company up as the owner: it may be suspended, and then the worker's role does not find it by its slug.
    async fn find(&self, owner: &Client) -> anyhow::Result<Found> {
        find(owner, &self.company).await
    }
}

/// Looks a company up by slug or id, as the schema's owner.
pub(crate) async fn find(owner: &Client, company: &str) -> anyhow::Result<Found> {
    let id = company.parse::<CompanyId>().map(|id| id.to_string()).unwrap_or_default();
    ensure!(id != FIRST, "this is where addresses of deleted companies are kept; it is no company");
    let row = owner.query_opt(COMPANY_FIND, &[&id, &company]).await?;
    let row = row.with_context(|| format!("there is no company {company}: give its slug or its id"))?;
    let after: Option<String> = row.try_get("after")?;
    let (due, begun) = (row.try_get("due")?, row.try_get("begun")?);
    Ok(Found {
        id: row.try_get("id")?,
        slug: row.try_get("slug")?,
        suspended: row.try_get("suspended")?,
        suspended_s: row.try_get("suspended_s")?,
        deletion: after.map(|after| Deletion { after, due, begun }),
    })
}

/// An empty id is none.
const COMPANY_FIND: &str = "
select c.company_id::text as id, c.slug, c.status = 'suspended' as suspended,
       extract(epoch from clock_timestamp() - c.suspended_at)::float8 as suspended_s,
       to_char(c.delete_after at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as after,
       coalesce(c.delete_after <= now(), false) as due, c.deleted_so_far is not null as begun
from companies c
where c.company_id = nullif($1::text, '')::uuid
   or c.company_id = (select h.company_id
                      from hosts h
                      where $1::text = '' and h.host = $2::text and h.kind = 'slug' and h.released_at is null)";

/// Has rows be written the same whatever the server's settings are.
async fn plain(transaction: &Transaction<'_>) -> anyhow::Result<()> {
    Ok(transaction.batch_execute(PLAIN).await?)
}

const PLAIN: &str = "
set local timezone = 'UTC';
set local datestyle = 'ISO, MDY';
set local intervalstyle = 'postgres';
set local extra_float_digits = 1;
set local bytea_output = 'hex'";

/// The number of the newest migration.
async fn schema(owner: &Client) -> anyhow::Result<i32> {
    Ok(owner
        .query_one("select coalesce(max(version), 0) from refinery_schema_history", &[])
        .await?
        .try_get(0)?)
}

/// Why the database refused, without the row that it refused: that could be anybody's data.
fn refusal(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || "the connection broke".to_owned(),
        |db| format!("{} (SQLSTATE {})", db.message(), db.code().code()),
    )
}

/// A file that only its owner can read, and that was not there.
fn new_file(path: &std::path::Path) -> anyhow::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already; name another file, or move it away", path.display())
        }
        made => made.with_context(|| format!("cannot write {}", path.display())),
    }
}
