//! `bulkhead migrate`: brings a database's schema up to date and gives the worker its login role.
//! It never edits or repeats a migration, and never gives the worker more than `bulkhead_runtime` has.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use refinery::error::Kind;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::postgres::{self, connect};

/// Applies the migrations that are missing and makes sure that the worker's login role exists, with its password.
///
/// `owner_url` is the URL of the role that owns the schema; `worker_url` is the one the worker will use on the same database.
/// Gives the names of the migrations it applied, none when the schema was up to date. Two runs at once wait for each other.
///
/// A migration that waits for a lock makes every later query on that table wait behind it, so it waits for
/// [`LOCK_WAIT`] only, then lets them all pass and tries again, [`LOCK_PAUSES`] times.
///
/// # Errors
/// When either URL does not work, when an applied migration was changed since, when a table stays locked, or when a statement
/// is refused; a migration that fails leaves nothing behind.
pub async fn apply(owner_url: &str, worker_url: &str) -> anyhow::Result<Vec<String>> {
    let worker = Worker::parse(worker_url)?;
    let mut owner =
        connect(owner_url).await.context("cannot connect as the database's owner; check the owner's URL")?;
    owner.batch_execute("set lock_timeout = '10s'").await?;
    owner
        .execute(LOCK, &[])
        .await
        .context("another migration is running on this database; wait for it to end, then try again")?;
    owner.batch_execute(LOCK_WAIT).await?;
    let applied = patiently(&mut owner).await?;
    worker.ensure(&owner).await?;
    connect(worker_url).await.context("cannot connect as the worker's role; check the worker's URL")?;
    Ok(applied)
}

/// Applies what is missing, and gives those who hold a lock time to end.
async fn patiently(owner: &mut Client) -> anyhow::Result<Vec<String>> {
    let mut applied = Vec::new();
    for pause in LOCK_PAUSES.iter().copied().map(Some).chain([None]) {
        let error = match embedded::migrations::runner().run_async(owner).await {
            Ok(report) => {
                applied.extend(report.applied_migrations().iter().map(ToString::to_string));
                return Ok(applied);
            }
            Err(error) => error,
        };
        let done = error.report().map(|report| report.applied_migrations().as_slice());
        applied.extend(done.unwrap_or_default().iter().map(ToString::to_string));
        if let Kind::DivergentVersion(migration, _) = error.kind() {
            bail!(
                "{migration} was edited after this database had applied it: put the file back as it was, and the change into a \
                 new migration"
            );
        }
        if !is_in_use(&error) {
            return Err(error).context("the migrations could not be applied");
        }
        let Some(pause) = pause else { break };
        // Nothing is left to do if stderr is closed.
        let _ = writeln!(
            std::io::stderr(),
            "bulkhead: something that a migration needs is in use; trying again in {} s",
            pause.as_secs()
        );
        tokio::time::sleep(pause).await;
    }
    bail!(
        "a table that a migration needs stayed locked: end what holds it (select * from pg_stat_activity where \
         wait_event_type is null and state <> 'idle'), then run this again; what was applied stays"
    )
}

/// Whether somebody else was at the same thing: a lock that was not to be had in time, or a role, which all of a server's databases
/// share, that two changed at once.
fn is_in_use(error: &(dyn std::error::Error + 'static)) -> bool {
    // Postgres's own word is some causes deep.
    std::iter::successors(Some(error), |cause| (*cause).source())
        .find_map(|cause| cause.downcast_ref::<tokio_postgres::Error>())
        .and_then(tokio_postgres::Error::as_db_error)
        .is_some_and(|db| {
            *db.code() == SqlState::LOCK_NOT_AVAILABLE || db.message() == "tuple concurrently updated"
        })
}

/// How long a migration waits for a lock, while everybody else on the table waits behind it.
const LOCK_WAIT: &str = "set lock_timeout = '3s'";

/// How long it leaves them alone then, each time.
const LOCK_PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9), Duration::from_secs(27)];

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
        let config = postgres::settings(url).context("the worker's URL cannot be used")?;
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
            let mut pauses = LOCK_PAUSES.iter();
            while let Err(error) = owner.batch_execute(&quoted).await {
                if is_in_use(&error)
                    && let Some(pause) = pauses.next()
                {
                    tokio::time::sleep(*pause).await;
                    continue;
                }
                // The statement's text has the password in it, so only the server's reason goes on.
                let reason = error.as_db_error().map_or("the connection broke", |db| db.message());
                bail!("the worker's role {} could not be set up: {reason}", self.name);
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use sha2::{Digest as _, Sha256};

    /// What was once released is run nowhere again, so an edit would only make databases differ. `migrations/hashes.txt` has each
    /// released file's hash and only grows; `BULKHEAD_WRITE_SNAPSHOTS=1` adds the files that are new, and never changes a line.
    #[test]
    fn released_migrations_are_as_they_were() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        let mut files: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        files.sort();
        let list = folder.join("hashes.txt");
        let mut lines = std::fs::read_to_string(&list).unwrap();
        let released: Vec<(&str, &str)> = lines
            .lines()
            .map(|line| line.split_once("  ").expect("a line is a hash, two spaces, a name"))
            .collect();
        assert!(released.len() >= 14, "lines are missing from migrations/hashes.txt");
        assert!(
            released.is_sorted_by_key(|(_, name)| name),
            "migrations/hashes.txt is not in the order of its names"
        );
        for (hash, name) in &released {
            assert_eq!(
                *hash,
                digest(&folder.join(name)),
                "{name} was edited after its release: write a new migration"
            );
        }
        let last = released.last().unwrap().1;
        let new: Vec<&String> =
            files.iter().filter(|file| released.iter().all(|(_, name)| name != file)).collect();
        for file in &new {
            assert!(file.as_str() > last, "{file} comes before {last}, which databases have applied already");
        }
        if std::env::var_os("BULKHEAD_WRITE_SNAPSHOTS").is_some() {
            for file in new {
                writeln!(lines, "{}  {file}", digest(&folder.join(file))).unwrap();
            }
            std::fs::write(list, lines).unwrap();
        }
    }

    fn digest(file: &Path) -> String {
        let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }
}
