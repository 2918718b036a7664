//! `bulkhead doctor`: looks at a deployment end to end and says how to mend what is wrong.
//! It changes nothing, and prints no key, password or row.

mod clock;
mod database;
mod http;
mod keys;
mod web;

use anyhow::bail;
use tokio_postgres::Client;

use crate::keys::say;

/// Options of `bulkhead doctor`. What is not given is not looked at, and said to be skipped.
#[derive(clap::Args)]
pub struct Args {
    /// URL of the role that owns the schema.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    database_url: String,
    /// URL of the worker's role.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    worker_database_url: String,
    /// Where SQL is spoken over HTTP: the gateway's /sql.
    #[arg(long, env = "SQL_URL")]
    sql_url: Option<String>,
    /// Where Redis is spoken over HTTP.
    #[arg(long, env = "UPSTASH_REDIS_REST_URL")]
    redis_rest_url: Option<String>,
    /// Its token.
    #[arg(long, env = "UPSTASH_REDIS_REST_TOKEN", hide_env_values = true)]
    redis_rest_token: Option<String>,
    /// The worker's flags for scripts, if it has them.
    #[arg(long, env = "REDIS_SCRIPT_FLAGS")]
    redis_script_flags: Option<String>,
    /// All master keys, newest first, as the worker has them.
    #[arg(long, env = "MASTER_KEYS", hide_env_values = true)]
    master_keys: Option<String>,
    /// The platform's own address, as the worker has it.
    #[arg(long, env = "ROOT_URL")]
    root_url: Option<String>,
    /// Where the worker is reached, if not at its host names: they go in the Host header then, and DNS is not looked at.
    #[arg(long)]
    worker_url: Option<String>,
    /// Accept a Postgres older than the fix of CVE-2026-14666. Only for machines without anyone's real data.
    #[arg(long)]
    development: bool,
}

/// What a check found: a fact, or what is wrong and how it is mended.
type Verdict = Result<String, Wrong>;

struct Wrong {
    what: String,
    mend: String,
}

fn wrong(what: impl Into<String>, mend: impl Into<String>) -> Wrong {
    Wrong { what: what.into(), mend: mend.into() }
}

/// What could not even be asked.
impl From<tokio_postgres::Error> for Wrong {
    fn from(error: tokio_postgres::Error) -> Self {
        // Only the server's own sentence: what stands around it may name more than it should.
        let why = error.as_db_error().map_or("the connection broke".to_owned(), |db| db.message().to_owned());
        wrong(format!("cannot be looked at: {why}"), "mend what is wrong above first")
    }
}

/// All findings so far.
#[derive(Default)]
struct Report {
    wrong: usize,
}

impl Report {
    fn add(&mut self, check: &str, verdict: Verdict) {
        match verdict {
            Ok(fact) => say(&format!("ok       {check}: {fact}")),
            Err(Wrong { what, mend }) => {
                self.wrong += 1;
                say(&format!("wrong    {check}: {what}\n         to mend it: {mend}"));
            }
        }
    }

    fn skip(&self, check: &str, why: &str) {
        say(&format!("skipped  {check}: {why}"));
    }
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut report = Report::default();
    let owner =
        connected(&mut report, "database, as its owner", &args.database_url, "DATABASE_OWNER_URL").await;
    let worker =
        connected(&mut report, "database, as the worker", &args.worker_database_url, "DATABASE_URL").await;
    if let Some(owner) = &owner {
        report.add("server version", database::version(owner, args.development).await);
        report.add("migrations", database::migrations(owner).await);
        report.add("row-level security", database::row_security(owner).await);
        report.add("templates", database::templates(owner).await);
        report.add("database clock", clock::database(owner).await);
    }
    if let (Some(owner), Some(worker)) = (&owner, &worker) {
        report.add("worker's role", database::role(owner, worker).await);
        report.add("worker's grants", database::grants(owner).await);
        report.add("closed without a company", database::closed(owner, worker).await);
    }
    match (&args.master_keys, &owner) {
        (Some(setting), Some(owner)) => report.add("master keys", keys::ring(setting, owner).await),
        (None, _) => report.skip("master keys", "MASTER_KEYS is not given"),
        (_, None) => report.skip("master keys", "the database does not answer"),
    }
    let http = http::Client::new()?;
    match &args.sql_url {
        Some(url) => report.add("SQL over HTTP", web::sql(&http, url, &args.worker_database_url).await),
        None => report.skip("SQL over HTTP", "SQL_URL is not given"),
    }
    match (&args.redis_rest_url, &args.redis_rest_token) {
        (Some(url), Some(token)) => {
            report.add("Redis", web::redis(&http, url, token).await);
            let flags = args.redis_script_flags.as_deref();
            report.add("Redis scripts", web::script(&http, url, token, flags).await);
            report.add("Redis token", web::token(&http, url).await);
        }
        _ => report.skip("Redis", "UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN are not given"),
    }
    match &args.root_url {
        Some(root) => {
            let site = web::Site { http: &http, root, reached: args.worker_url.as_deref() };
            report.add("worker", site.ready().await);
            report.add("companies' hosts", site.wildcard().await);
            report.add("worker's clock", site.clock().await);
        }
        None => report.skip("worker", "ROOT_URL is not given"),
    }
    match report.wrong {
        0 => {
            say("all is well");
            Ok(())
        }
        1 => bail!("one thing is wrong; the lines above say how to mend it"),
        number => bail!("{number} things are wrong; the lines above say how to mend them"),
    }
}

async fn connected(report: &mut Report, check: &str, url: &str, setting: &str) -> Option<Client> {
    match crate::postgres::connect(url).await {
        Ok(client) => {
            report.add(check, Ok("answers".to_owned()));
            Some(client)
        }
        Err(_) => {
            let mend = format!("check {setting}: host, port, user, password and database");
            report.add(check, Err(wrong("cannot connect", mend)));
            None
        }
    }
}
