//! `bulkhead migrate`: brings a database's schema up to date and gives the worker its login role.
//! It never edits or repeats a migration, and never gives the worker more than `bulkhead_runtime` has.

use std::collections::BTreeMap;
use std::io::Write as _;

use anyhow::{Context as _, bail, ensure};
use tokio_postgres::{Client, Config, NoTls};

/// Applies the migrations that are missing and makes sure that the worker's login role exists, with its password.
///
/// `owner_url` is the URL of the role that owns the schema; `worker_url` is the one the worker will use on the same database.
/// Gives the names of the migrations it applied, none when the schema was up to date. Two runs at once wait for each other.
///
/// # Errors
/// When either URL does not work, when an applied migration was changed since, or when a statement is refused; a migration
/// that fails leaves nothing behind.
pub async fn apply(owner_url: &str, worker_url: &str) -> anyhow::Result<Vec<String>> {
    let worker = Worker::parse(worker_url)?;
    let mut owner =
        connect(owner_url).await.context("cannot connect as the database's owner; check the owner's URL")?;
    owner.batch_execute("set lock_timeout = '10s'").await?;
    owner
        .execute(LOCK, &[])
        .await
        .context("another migration is running on this database; wait for it to end, then try again")?;
    let report = embedded::migrations::runner()
        .run_async(&mut owner)
        .await
        .context("the migrations could not be applied")?;
    worker.ensure(&owner).await?;
    connect(worker_url).await.context("cannot connect as the worker's role; check the worker's URL")?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

/// Options of `bulkhead migrate`.
#[derive(clap::Args)]
pub struct Args {
    /// URL of the role that owns the schema.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    database_url: String,
    /// URL that the worker will use: its role is created, or given this password.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    worker_database_url: String,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let applied = apply(&args.database_url, &args.worker_database_url).await?;
    let mut out = std::io::stdout();
    for migration in &applied {
        writeln!(out, "applied {migration}")?;
    }
    writeln!(out, "the schema is up to date")?;
    Ok(())
}

/// How a database's history differs from the migrations of this version.
#[derive(Default)]
pub struct Difference {
    /// Not applied yet.
    pub missing: Vec<String>,
    /// Applied, and since then edited, or not of this version.
    pub other: Vec<String>,
    /// How many there are.
    pub all: usize,
}

/// Compares without changing anything.
///
/// # Errors
/// When the database was never migrated, or does not answer.
pub async fn compare(owner: &Client) -> anyhow::Result<Difference> {
    let mut applied: BTreeMap<i64, String> = BTreeMap::new();
    for row in owner.query(HISTORY, &[]).await? {
        applied.insert(row.try_get("version")?, row.try_get("checksum")?);
    }
    let mut difference = Difference::default();
    for migration in embedded::migrations::runner().get_migrations() {
        difference.all += 1;
        match applied.remove(&i64::from(migration.version())) {
            None => difference.missing.push(migration.to_string()),
            Some(checksum) if checksum == migration.checksum().to_string() => {}
            Some(_) => difference.other.push(migration.to_string()),
        }
    }
    difference.other.extend(applied.keys().map(|version| format!("V{version}")));
    Ok(difference)
}

mod embedded {
    refinery::embed_migrations!("../../migrations");
}

/// The role that the worker signs in with.
struct Worker {
    name: String,
    password: String,
}

impl Worker {
    fn parse(url: &str) -> anyhow::Result<Self> {
        let config: Config = url.parse().context("the worker's URL is no Postgres URL")?;
        let name = config.get_user().context("the worker's URL names no user")?.to_owned();
        let password = config.get_password().context("the worker's URL has no password")?;
        let password =
            String::from_utf8(password.to_vec()).context("the worker's password is not UTF-8 text")?;
        Ok(Self { name, password })
    }

    async fn ensure(&self, owner: &Client) -> anyhow::Result<()> {
        let exists = owner.query_opt(ROLE, &[&self.name]).await?;
        if let Some(row) = &exists {
            let (may, itself): (bool, bool) = (row.try_get("may")?, row.try_get("itself")?);
            ensure!(!itself, "the worker's URL is the owner's; give the worker a role of its own");
            ensure!(
                !may,
                "the role {} may bypass row-level security or make roles; give the worker a role that may not",
                self.name
            );
        }
        // The server quotes, because CREATE ROLE takes no parameters. It also makes the verifier: managed Postgres
        // services refuse one that the client made.
        let text = if exists.is_some() { ALTER } else { CREATE };
        for statement in [text, GRANT] {
            let quoted: String =
                owner.query_one(statement, &[&self.name, &self.password]).await?.try_get(0)?;
            if let Err(error) = owner.batch_execute(&quoted).await {
                // The statement's text has the password in it, so only the server's reason goes on.
                let reason = error.as_db_error().map_or("the connection broke", |db| db.message());
                bail!("the worker's role {} could not be set up: {reason}", self.name);
            }
        }
        Ok(())
    }
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // The task ends with its client; what it has to say about a broken connection, the client's next call says too.
    tokio::spawn(connection);
    Ok(client)
}

// The number is "bulkhead" in ASCII: one lock for this purpose in any database.
const LOCK: &str = "select pg_advisory_lock(x'62756c6b68656164'::bigint)";

const HISTORY: &str = "select version::bigint as version, checksum from refinery_schema_history";

const ROLE: &str = "
select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as may, rolname = current_user as itself
from pg_roles
where rolname = $1";

const CREATE: &str = "
select format(
    'create role %I login nosuperuser nobypassrls nocreatedb nocreaterole inherit password %L', $1::text, $2::text
)";

const ALTER: &str = "select format('alter role %I login inherit password %L', $1::text, $2::text)";

const GRANT: &str = "select format('grant bulkhead_runtime to %I', $1::text) where $2::text is not null";
