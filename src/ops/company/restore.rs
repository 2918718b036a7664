//! `bulkhead company restore`: a living company back to what an archive of it holds, in one transaction, while it goes on working.
//! It never brings access back that was taken away, nor money that was spent, nor a visitor that was erased; and no row of
//! another company is read or written.
//!
//! It writes as the schema's owner, because the worker's role may not remove all that there is; so each of its statements
//! names the company, and a row of the archive's that is another's is refused here.

use std::collections::{BTreeMap, HashSet};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};
use tokio_postgres::error::SqlState;
use tokio_postgres::{IsolationLevel, Transaction};

use super::archive::{self, Manifest};
use super::redis::{connect, forget};
use super::tables::{self, Table, quoted};
use super::{Which, plain, refusal, schema};
use crate::keys::{count, id, say};

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// An archive of this very company, written by bulkhead company export.
    #[arg(long)]
    from: PathBuf,
    /// Do it. Without this, what would change is printed, and nothing changes.
    #[arg(long)]
    yes: bool,
    /// Redis itself, past the gateway: what agents remember of the last hours is forgotten.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: String,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let named = args.from.display();
    let manifest = archive::check(&args.from).with_context(|| format!("{named} restores nothing"))?;
    let mut owner = args.which.place.owner().await?;
    let found = args.which.find(&owner).await?;
    ensure!(
        manifest.company_id == found.id,
        "{named} is an archive of {} ({}), and not of {} ({})",
        manifest.slug,
        manifest.company_id,
        found.slug,
        found.id
    );
    ensure!(
        !found.deletion.as_ref().is_some_and(|deletion| deletion.begun),
        "the deletion of {} has begun, and nothing brings it back; once it is over, import the archive",
        found.slug
    );
    let here = schema(&owner).await?;
    ensure!(
        here == manifest.schema,
        "{named} fits schema {}, and this database has {here}: import it into a database of schema {}, bring that up to date \
         with bulkhead migrate, and export again from there",
        manifest.schema,
        manifest.schema
    );
    let tables = tables::all(&owner).await?;
    check(&tables, &manifest)?;
    let mut redis = connect(&args.redis_url).await?;
    // Of one moment: what is written to the company meanwhile neither is in the plan nor stands in the way.
    let transaction =
        owner.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await?;
    plain(&transaction).await?;
    // Two restores of one company come one after the other.
    transaction.execute(LOCK, &[&found.id]).await?;
    let restore = Restore { manifest: &manifest, tables: &tables, file: &args.from, id: &found.id };

    say(&format!("{} as of {}:", found.slug, manifest.exported_at));
    restore.plan(&transaction).await?;
    if !args.yes {
        say("nothing was changed; with --yes it is");
        return Ok(());
    }
    restore.carry_out(&transaction).await?;
    transaction.execute(AUDIT, &[&found.id, &id()?, &manifest.exported_at]).await?;
    transaction.commit().await?;
    let forgotten = forget(&mut redis, &found.id).await.context(
        "the database is restored, but Redis was not told: run the command again, or wait a day until it has forgotten by itself",
    )?;
    say(&format!("restored; {} in Redis forgotten", count(forgotten, "conversation", "conversations")));
    Ok(())
}

/// That the archive has every table that is to be restored, as it is here, and that nothing that stays refers to one.
fn check(tables: &[Table], manifest: &Manifest) -> anyhow::Result<()> {
    for table in tables {
        match standing(&table.name) {
            Some(Standing::Replaced) => {
                let part = manifest.tables.iter().find(|part| part.table == table.name);
                let part =
                    part.with_context(|| format!("table {} is missing from the archive", table.name))?;
                ensure!(part.columns == table.columns, "table {} has other columns here", table.name);
            }
            Some(Standing::Added | Standing::Stays) => {
                let lost = table.parents.iter().find(|p| matches!(standing(p), Some(Standing::Replaced)));
                ensure!(lost.is_none(), "table {} stays, and refers to one that does not", table.name);
            }
            None => anyhow::bail!("nobody has decided what a restore does with table {}", table.name),
        }
    }
    Ok(())
}

struct Restore<'a> {
    manifest: &'a Manifest,
    tables: &'a [Table],
    file: &'a Path,
    id: &'a str,
}

impl Restore<'_> {
    /// Says of each table how many rows go, come and stay.
    async fn plan(&self, transaction: &Transaction<'_>) -> anyhow::Result<()> {
        let mut here: BTreeMap<&str, HashSet<[u8; 32]>> = BTreeMap::new();
        for table in self.replaced() {
            let mut rows = HashSet::new();
            let read = table.read(transaction, self.id, false, |line| {
                rows.insert(Sha256::digest(line).into());
                Ok(())
            });
            read.await.with_context(|| format!("table {}", table.name))?;
            here.insert(&table.name, rows);
        }
        let (mut same, mut parts) = (0_u64, self.manifest.tables.iter());
        for entry in archive::open(self.file)?.entries()? {
            let (entry, Some(part)) = (entry?, parts.next()) else { break };
            let Some(rows) = here.get_mut(part.table.as_str()) else { continue };
            let (mut come, mut stay) = (0_u64, 0_u64);
            archive::lines(entry, |line| {
                let row: [u8; 32] = Sha256::digest(line).into();
                if rows.remove(&row) {
                    stay += 1
                } else {
                    come += 1
                }
                Ok(())
            })?;
            match (rows.len(), come) {
                (0, 0) => same += 1,
                (go, come) => say(&format!(
                    "  {}: {} {}, {come} {}, {stay} {}",
                    part.table,
                    go,
                    if go == 1 { "goes" } else { "go" },
                    if come == 1 { "comes" } else { "come" },
                    if stay == 1 { "stays" } else { "stay" }
                )),
            }
        }
        say(&format!("  {} as they are", count(same, "table is", "tables are")));
        for (tables, reason) in STAYING {
            say(&format!("  {}: {reason}", tables.join(", ")));
        }
        Ok(())
    }

    /// Takes away what is here, children first, and writes what the archive holds, parents first.
    async fn carry_out(&self, transaction: &Transaction<'_>) -> anyhow::Result<()> {
        let secret = transaction.query_opt(SECRET_READ, &[&self.id]).await?;
        let replaced: Vec<&Table> = self.replaced().collect();
        for table in replaced.iter().rev() {
            let sql = format!("delete from {} where company_id = $1::text::uuid", quoted(&table.name));
            let gone = transaction.execute(&sql, &[&self.id]).await;
            gone.map_err(|error| anyhow::anyhow!("table {}: {}", table.name, stopped(&error)))?;
        }
        let mut parts = self.manifest.tables.iter();
        for entry in archive::open(self.file)?.entries()? {
            let (entry, Some(part)) = (entry?, parts.next()) else { break };
            ensure!(*entry.path_bytes() == *part.file.as_bytes(), "the archive changed while it was read");
            let table = self.tables.iter().find(|table| table.name == part.table);
            let (Some(table), Some(Standing::Replaced | Standing::Added)) = (table, standing(&part.table))
            else {
                continue;
            };
            self.fill(transaction, table, entry).await.with_context(|| format!("table {}", table.name))?;
        }
        for table in replaced {
            let sum = table.read(transaction, self.id, false, |_| Ok(())).await?;
            let wanted = self.manifest.tables.iter().find(|part| part.table == table.name);
            ensure!(
                wanted.is_some_and(|part| part.sum == sum),
                "table {} would not be what the archive holds, so nothing was changed",
                table.name
            );
        }
        if let Some(row) = secret {
            let sealed: Option<Vec<u8>> = row.try_get(0)?;
            let at: Option<String> = row.try_get(1)?;
            transaction.execute(SECRET_KEEP, &[&self.id, &sealed, &at]).await?;
        }
        for sql in ERASE_AGAIN {
            let sql = format!("{sql}{ERASED}");
            transaction.execute(&sql, &[&self.id, &self.manifest.exported_at]).await?;
        }
        Ok(())
    }

    /// Writes a table's rows. Where rows stay, only those come that are not here.
    async fn fill(
        &self,
        transaction: &Transaction<'_>,
        table: &Table,
        entry: impl std::io::Read,
    ) -> anyhow::Result<()> {
        let (name, columns) = (quoted(&table.name), table.listed());
        let added = matches!(standing(&table.name), Some(Standing::Added));
        let sql = format!(
            "with given as (select * from json_populate_recordset(null::{name}, $1::text::json)),
                  ours as (select * from given where company_id = $2::text::uuid),
                  written as (insert into {name} ({columns}) select {columns} from ours {} returning 1)
             select (select count(*) from given) = (select count(*) from ours), (select count(*) from written)",
            if added { "on conflict do nothing" } else { "" }
        );
        let mut reader = BufReader::new(entry);
        let (mut line, mut batch) = (Vec::new(), String::new());
        loop {
            let more = archive::next(&mut reader, &mut line)?;
            if more {
                batch.push(if batch.is_empty() { '[' } else { ',' });
                batch.push_str(std::str::from_utf8(&line).context("a row is not UTF-8 text")?.trim_end());
            }
            if !batch.is_empty() && (!more || batch.len() >= BATCH) {
                batch.push(']');
                let row = transaction.query_one(&sql, &[&batch, &self.id]).await;
                let row = row.map_err(|error| anyhow::anyhow!("{}", stopped(&error)))?;
                ensure!(
                    row.try_get::<_, bool>(0)?,
                    "it holds a row of another company: somebody changed the archive"
                );
                batch.clear();
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn replaced(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| matches!(standing(&table.name), Some(Standing::Replaced)))
    }
}

/// Why the database refused.
fn stopped(error: &tokio_postgres::Error) -> String {
    match error.code() {
        Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED) => {
            "somebody wrote to it meanwhile, so nothing was changed: run the command again".to_owned()
        }
        _ => format!("{}; nothing was changed", refusal(error)),
    }
}

/// What a restore does with a table.
enum Standing {
    /// It is what the archive holds.
    Replaced,
    /// Its rows stay, and those of the archive's that are not here come back.
    Added,
    /// It stays as it is.
    Stays,
}

fn standing(table: &str) -> Option<Standing> {
    if REPLACED.contains(&table) {
        Some(Standing::Replaced)
    } else if ["users", "audit_events"].contains(&table) {
        Some(Standing::Added)
    } else if STAYING.iter().any(|(tables, _)| tables.contains(&table)) {
        Some(Standing::Stays)
    } else {
        None
    }
}

/// What a company has made: this goes back to what it was.
const REPLACED: &[&str] = &[
    "agent_handoffs",
    "agent_knowledge_scopes",
    "agent_starters",
    "agent_tools",
    "agents",
    "appointment_types",
    "checklist_items",
    "closures",
    "contacts",
    "conversation_notes",
    "conversations",
    "follow_up_steps",
    "glossary_terms",
    "gpt_contexts",
    "knowledge_categories",
    "knowledge_drafts",
    "knowledge_entries",
    "labels",
    "lead_questions",
    "leads",
    "memories",
    "message_ratings",
    "message_templates",
    "messages",
    "notices",
    "notification_settings",
    "opening_hours",
    "payment_methods",
    "pipeline_stages",
    "quick_replies",
    "removals",
    "search_synonyms",
    "services",
    "settled_questions",
    "site_pages",
    "tool_calls",
    "visitor_identities",
    "widget_settings",
];

/// What stays as it is, and why.
const STAYING: &[(&[&str], &str)] = &[
    (
        &["companies", "domains", "hosts", "retention_settings"],
        "its name, its addresses, and how long things are kept stay",
    ),
    (
        &[
            "memberships",
            "role_permissions",
            "recovery_codes",
            "sessions",
            "account_links",
            "support_accesses",
        ],
        "who may do what stays: nobody who left comes back, no password of then is good again",
    ),
    (
        &["api_keys", "providers", "provider_models", "webhooks"],
        "keys stay: none that was taken away comes back",
    ),
    (
        &["budgets", "budget_alerts", "ledger_agent_days", "ledger_days", "subscriptions", "usage_ledger"],
        "what was spent stays spent, and limits stay",
    ),
    (&["idempotency_keys", "outbox"], "what was done and told stays done and told"),
];

/// Bytes of rows in one statement.
const BATCH: usize = 1 << 20;

const LOCK: &str = "select 1 from companies where company_id = $1::text::uuid for no key update";

const AUDIT: &str = "
insert into audit_events (company_id, event_id, actor, action, target)
values ($1::text::uuid, $2::text::uuid, 'system', 'company.restored', $3)";

/// The secret for visitors' identities is a key like the others: the company's server has the present one.
const SECRET_READ: &str = "
select sealed_identity_secret, identity_secret_at::text from widget_settings where company_id = $1::text::uuid";

const SECRET_KEEP: &str = "
update widget_settings
set sealed_identity_secret = $2, identity_secret_at = $3::text::timestamptz
where company_id = $1::text::uuid";

/// Whoever was erased since the archive was written stays erased: what is deleted of whom, and who that is.
const ERASE_AGAIN: &[&str] = &[
    "delete from notices n
     using conversations c
     where n.company_id = $1::text::uuid and c.company_id = n.company_id and c.conversation_id = n.conversation_id and c.visitor_id",
    "delete from conversations where company_id = $1::text::uuid and visitor_id",
    "delete from memories where company_id = $1::text::uuid and visitor_id",
    "delete from visitor_identities where company_id = $1::text::uuid and visitor_id",
    "delete from contacts where company_id = $1::text::uuid and visitor_id",
];

/// The audit log knows their ids.
const ERASED: &str = "::text in (
    select e.target
    from audit_events e
    where e.company_id = $1::text::uuid and e.action = 'visitor.erased' and e.created_at >= $2::text::timestamptz)";
