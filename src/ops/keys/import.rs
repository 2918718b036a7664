//! `bulkhead keys import`: provider keys that another system sealed with Fernet, sealed by the vault and added to companies.
//! It never writes a key anywhere in the clear, and never adds one that the company has already.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use bulkhead::ids::{CompanyId, ProviderId};
use bulkhead::providers::{Api, Kind, MODELS_COPY, PROVIDER_ADD, check_key, last_four};
use bulkhead::tenant::TenantSql;
use bulkhead::tenant::vault::Rewrap;
use tokio_postgres::Client;

use super::fernet::{Age, Key, Refused};
use super::{bytea, count, id, master_keys, nonce, now_ms, say, within, worker};
use crate::gateway::param::Param;

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    /// URL of the worker's role: everything is done as it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    worker_database_url: String,
    /// All master keys, newest first, as the worker has them.
    #[arg(long, env = "MASTER_KEYS", hide_env_values = true)]
    master_keys: String,
    /// Name of the environment variable with the Fernet key; several keys are separated by commas and tried in order.
    #[arg(long, value_name = "NAME")]
    fernet_key_env: String,
    /// Rows of company (slug or id), kind, name and token: a .csv with these names in its first line, or a .jsonl.
    #[arg(long)]
    file: PathBuf,
    /// Refuse tokens that were made longer ago, days.
    #[arg(long)]
    most_days: Option<u32>,
    /// Open every token and add nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let import = Import {
        vault: master_keys(&args.master_keys)?,
        fernet: fernet_keys(&args.fernet_key_env)?,
        age: args.most_days.map(age).transpose()?,
        dry_run: args.dry_run,
    };
    let rows = read(&args.file)?;
    let mut worker = worker(&args.worker_database_url).await?;
    let (mut added, mut there, mut refused) = (0, 0, 0);
    for (line, row) in rows {
        let came = match row {
            Ok(row) => import.row(&mut worker, &row).await,
            Err(error) => Err(error),
        };
        match came {
            Ok(Came::Added) => added += 1,
            Ok(Came::There) => there += 1,
            Err(error) => {
                say(&format!("row {line}: {error:#}"));
                refused += 1;
            }
        }
    }
    let what = if args.dry_run { "would be added" } else { "added" };
    say(&format!("{} {what}, {there} there already, {refused} refused", count(added, "key", "keys")));
    ensure!(
        refused == 0,
        "{} refused; the lines above say why, and the rest is done",
        count(refused, "row was", "rows were")
    );
    Ok(())
}

/// What came of a row.
enum Came {
    Added,
    There,
}

/// One key, as it comes.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    company: String,
    kind: Kind,
    name: String,
    token: String,
}

struct Import {
    vault: Rewrap,
    fernet: Vec<Key>,
    age: Option<Age>,
    dry_run: bool,
}

impl Import {
    async fn row(&self, worker: &mut Client, row: &Row) -> anyhow::Result<Came> {
        ensure!((1..=120).contains(&row.name.trim().chars().count()), "the name takes 1 to 120 characters");
        let mut opened = Err(Refused::Signature);
        for key in &self.fernet {
            opened = key.open(&row.token, self.age);
            if !matches!(opened, Err(Refused::Signature)) {
                break;
            }
        }
        let key = opened.map_err(|refused| anyhow::anyhow!("the token does not open: {refused}"))?;
        check_key(&key).map_err(|error| anyhow::anyhow!("{}", error.facts().detail))?;

        let company = company(worker, &row.company).await?;
        let provider: ProviderId = id()?.parse().context("an id")?;
        let sealed = self.vault.first(company, provider, &key, nonce()?);
        let sealed = sealed.context("the key could not be sealed")?;
        let (company, provider) = (company.to_string(), provider.to_string());
        let (bytes, event) = (bytea(sealed.sealed.as_bytes()), id()?);
        let four = last_four(&key);
        let [scope, provider, kind, name, bytes, four, print, event] = [
            &company,
            &provider,
            row.kind.as_str(),
            row.name.trim(),
            &bytes,
            &four,
            &sealed.fingerprint,
            &event,
        ]
        .map(Param::from);
        // Dropped without a commit, it is as if nothing had been.
        let transaction = within(worker, &company).await?;
        ensure!(
            transaction.query_opt(COMPANY_THERE.text(), &[&scope]).await?.is_some(),
            "there is no such company"
        );
        if transaction.query_opt(KEY_THERE.text(), &[&scope, &kind, &print]).await?.is_some() {
            return Ok(Came::There);
        }
        let known: i64 = transaction.query_one(MODELS_KNOWN, &[&kind]).await?.try_get(0)?;
        if known == 0 {
            bail!(
                "Bulkhead knows no models of {}: add this provider with POST /v1/providers",
                row.kind.as_str()
            );
        }
        let api = Param::from(Api::Chat.as_str());
        let fields = [&scope, &provider, &kind, &name, &Param::null(), &bytes, &four, &print, &api];
        let fields = fields.map(|field| field as &(dyn tokio_postgres::types::ToSql + Sync));
        transaction.execute(PROVIDER_ADD.text(), &fields).await?;
        transaction.execute(MODELS_COPY.text(), &[&scope, &provider, &kind]).await?;
        transaction.execute(AUDIT_IMPORT.text(), &[&scope, &event, &provider]).await?;
        if !self.dry_run {
            transaction.commit().await?;
        }
        Ok(Came::Added)
    }
}

/// A company by its id, or by its slug while it is active.
async fn company(worker: &Client, text: &str) -> anyhow::Result<CompanyId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let row = worker.query_opt(COMPANY_BY_SLUG, &[&Param::from(text)]).await?;
    let row = row.context("no active company has this slug; for a suspended one, give its id")?;
    row.try_get::<_, String>(0)?.parse().context("a company without an id")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the operator names the variable, so that no key is in a command line"
)]
fn fernet_keys(name: &str) -> anyhow::Result<Vec<Key>> {
    let text = std::env::var(name).map(zeroize::Zeroizing::new);
    let text = text.with_context(|| format!("the environment has no variable {name}"))?;
    let keys: Option<Vec<Key>> = text.split(',').map(|key| Key::parse(key.trim())).collect();
    keys.with_context(|| format!("{name} is no Fernet key: 32 bytes in base64url"))
}

fn age(days: u32) -> anyhow::Result<Age> {
    Ok(Age { most_s: u64::from(days) * 86_400, now_s: now_ms()? / 1_000 })
}

/// The rows of a file, each with its number; one that makes no sense does not keep the others from being read.
fn read(file: &Path) -> anyhow::Result<Vec<(usize, anyhow::Result<Row>)>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let kind = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match kind {
        "jsonl" => Ok(text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            // The error's own text could quote a token.
            .map(|(at, line)| (at + 1, serde_json::from_str(line).map_err(|error| unread(error.column()))))
            .collect()),
        "csv" => Ok(csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes())
            .deserialize()
            .enumerate()
            .map(|(at, row)| (at + 2, row.map_err(|_| unread(0))))
            .collect()),
        _ => bail!("{} is neither .csv nor .jsonl", file.display()),
    }
}

fn unread(column: usize) -> anyhow::Error {
    let at = if column == 0 { String::new() } else { format!(" (at column {column})") };
    anyhow::anyhow!("a row has company, kind, name and token, and a kind that Bulkhead knows{at}")
}

/// As the worker asks it: the one look-up before a company is known.
const COMPANY_BY_SLUG: &str = "select company_id::text from company_by_host($1, 'slug')";

/// Platform data, the same for every company.
const MODELS_KNOWN: &str = "select count(*) from models where kind = $1";

const COMPANY_THERE: TenantSql = bulkhead::sql!("select 1 as there from companies where company_id = $1");

const KEY_THERE: TenantSql = bulkhead::sql!(
    "select provider_id::text
     from providers
     where company_id = $1 and kind = $2 and fingerprint = $3
     limit 1"
);

const AUDIT_IMPORT: TenantSql = bulkhead::sql!(
    "insert into audit_events (company_id, event_id, actor, action, target)
     values ($1, $2, 'system', 'provider.imported', $3)"
);
