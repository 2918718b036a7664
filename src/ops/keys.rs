//! `bulkhead keys`: under which master key the companies' provider keys are, sealing them again, bringing them from elsewhere.
//! It never prints a key, and never reads two companies' rows in one statement: what it does, it does as the worker's role
//! under row-level security; the schema's owner only lists the companies.

mod fernet;
mod import;
mod rotate;
mod status;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use bulkhead::tenant::vault::Rewrap;
use tokio_postgres::{Client, Transaction};

use crate::postgres;

/// Options of `bulkhead keys`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// How many provider keys are under which master key.
    Status(status::Args),
    /// Seal every provider key under the newest master key; may be stopped and begun again at any time.
    Rotate(rotate::Args),
    /// Bring provider keys that another system sealed with Fernet.
    Import(import::Args),
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Status(args) => status::run(args).await,
        Command::Rotate(args) => rotate::run(args).await,
        Command::Import(args) => import::run(args).await,
    }
}

/// The database, as its owner and as the worker.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// URL of the role that owns the schema: it lists the companies, and nothing else.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    database_url: String,
    /// URL of the worker's role: everything in a company is done as it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    worker_database_url: String,
}

/// Companies that are listed at a time.
const PAGE: i64 = 500;

impl Place {
    /// A connection as the schema's owner.
    pub(crate) async fn owner(&self) -> anyhow::Result<Client> {
        postgres::connect(&self.database_url)
            .await
            .context("cannot connect as the database's owner; check its URL")
    }

    /// A connection as the worker's role.
    pub(crate) async fn worker(&self) -> anyhow::Result<Client> {
        worker(&self.worker_database_url).await
    }
}

async fn worker(url: &str) -> anyhow::Result<Client> {
    postgres::connect(url).await.context("cannot connect as the worker's role; check its URL")
}

/// The ids of the companies after this one, in the order of their ids.
pub(crate) async fn companies(owner: &Client, after: &str) -> anyhow::Result<Vec<String>> {
    let rows = owner.query(COMPANY_LIST, &[&after, &PAGE]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Before every company.
pub(crate) const FIRST: &str = "00000000-0000-0000-0000-000000000000";

const COMPANY_LIST: &str = "
select company_id::text from companies where company_id > $1::text::uuid order by company_id limit $2";

/// A transaction in which only this company's rows are there.
pub(crate) async fn within<'a>(worker: &'a mut Client, company: &str) -> anyhow::Result<Transaction<'a>> {
    let transaction = worker.transaction().await?;
    enter(&transaction, company).await?;
    Ok(transaction)
}

/// From now on only this company's rows are there in the transaction.
pub(crate) async fn enter(transaction: &Transaction<'_>, company: &str) -> anyhow::Result<()> {
    transaction.execute("select set_config('app.current_company_id', $1, true)", &[&company]).await?;
    Ok(())
}

/// The master keys of a setting.
pub(crate) fn master_keys(setting: &str) -> anyhow::Result<Rewrap> {
    Ok(Rewrap::parse(&|_| Some(setting.trim().to_owned()).filter(|text| !text.is_empty()))?)
}

pub(crate) fn nonce() -> anyhow::Result<[u8; 12]> {
    random()
}

/// A new id: UUID version 7, as the worker makes them.
pub(crate) fn id() -> anyhow::Result<String> {
    Ok(uuid::Builder::from_unix_timestamp_millis(now_ms()?, &random()?).into_uuid().to_string())
}

#[expect(clippy::disallowed_methods, reason = "this is a native program; the core's port is not there")]
pub(crate) fn random<const LENGTH: usize>() -> anyhow::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).context("this machine has no random source")?;
    Ok(bytes)
}

#[expect(clippy::disallowed_methods, reason = "this is a native program; the core's port is not there")]
pub(crate) fn now_ms() -> anyhow::Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    Ok(now.as_millis().try_into()?)
}

/// Bytes as Postgres's text form of `bytea`.
fn bytea(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\\x{digits}")
}

/// Tells the operator something.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    // Nothing is left to do if nobody listens.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// `1 key`, `2 keys`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
