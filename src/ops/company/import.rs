//! `bulkhead company import`: a company from an archive, into a deployment where it is not.
//! It never changes a company that is there: it writes as the worker's role under row-level security, in one transaction.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use bulkhead::ids::CompanyId;
use bulkhead::provisioning::slug_check;
use serde_json::Value;
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::archive::{self, Manifest, Part};
use super::tables::{self, Table, quoted};
use super::{plain, refusal, schema};
use crate::keys::{FIRST, Place, count, enter, say};

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    /// The archive.
    file: PathBuf,
    /// Give the company another address, and only that: its custom domains and earlier addresses are not taken along.
    #[arg(long)]
    slug: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let named = args.file.display();
    let manifest = archive::check(&args.file).with_context(|| format!("{named} is not imported"))?;
    let id = manifest.company_id.parse::<CompanyId>().map(|id| id.to_string()).unwrap_or_default();
    ensure!(id == manifest.company_id && id != FIRST, "{named} names no company");
    if let Some(slug) = &args.slug {
        slug_check(slug).map_err(|error| anyhow::anyhow!("{}", error.facts().detail))?;
    }
    let owner = args.place.owner().await?;
    let here = schema(&owner).await?;
    ensure!(
        here == manifest.schema,
        "{named} fits schema {}, and this database has {here}: bring the older of the two up to date, and export again if \
         need be",
        manifest.schema
    );
    let tables: BTreeMap<String, Table> =
        tables::all(&owner).await?.into_iter().map(|table| (table.name.clone(), table)).collect();
    let mut worker = args.place.worker().await?;
    // Dropped without a commit, it is as if nothing had been.
    let transaction = worker.transaction().await?;
    enter(&transaction, &id).await?;
    plain(&transaction).await?;
    ensure!(
        transaction.query_opt(THERE, &[&id]).await?.is_none(),
        "company {id} is here already, and an import changes nothing of it; delete it first if it is to be replaced"
    );

    let import = Import { manifest: &manifest, tables: &tables, slug: args.slug.as_deref(), id: &id };
    import.fill(&transaction, &args.file).await?;
    import.verify(&transaction).await?;
    let row = transaction.query_one(STANDING, &[&id]).await?;
    let (slug, suspended): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
    transaction.commit().await?;

    let rows = manifest.tables.iter().map(|part| part.sum.rows).sum();
    say(&format!("company {slug}: {} of {} tables", count(rows, "row", "rows"), manifest.tables.len()));
    if suspended {
        say("it is suspended here, as it was there: bulkhead company resume lets it answer");
    }
    for note in &manifest.notes {
        say(note);
    }
    Ok(())
}

struct Import<'a> {
    manifest: &'a Manifest,
    tables: &'a BTreeMap<String, Table>,
    slug: Option<&'a str>,
    id: &'a str,
}

impl Import<'_> {
    /// Writes every row. The order is the archive's: each table after those that it refers to.
    async fn fill(&self, transaction: &Transaction<'_>, file: &std::path::Path) -> anyhow::Result<()> {
        let mut archive = archive::open(file)?;
        let mut parts = self.manifest.tables.iter();
        for entry in archive.entries()? {
            let entry = entry?;
            let Some(part) = parts.next() else { break };
            ensure!(*entry.path_bytes() == *part.file.as_bytes(), "the archive changed while it was read");
            let insert = self.insert(part)?;
            let mut reader = BufReader::new(entry);
            let (mut line, mut batch) = (Vec::new(), String::new());
            while archive::next(&mut reader, &mut line)? {
                let text = std::str::from_utf8(&line).context("a row is not UTF-8 text")?;
                let Some(row) = self.row(&part.table, text)? else { continue };
                batch.push(if batch.is_empty() { '[' } else { ',' });
                batch.push_str(&row);
                if batch.len() >= BATCH {
                    self.write(transaction, part, &insert, &mut batch).await?;
                }
            }
            self.write(transaction, part, &insert, &mut batch).await?;
        }
        Ok(())
    }

    fn insert(&self, part: &Part) -> anyhow::Result<String> {
        let table =
            self.tables.get(&part.table).with_context(|| format!("there is no table {} here", part.table))?;
        ensure!(table.columns == part.columns, "table {} has other columns here", part.table);
        let (name, columns) = (quoted(&table.name), table.listed());
        Ok(format!(
            "insert into {name} ({columns}) select {columns} from json_populate_recordset(null::{name}, $1::text::json)"
        ))
    }

    /// The row as it is to be here; `None` for one that stays behind.
    fn row(&self, table: &str, line: &str) -> anyhow::Result<Option<String>> {
        let (Some(slug), "companies" | "hosts") = (self.slug, table) else {
            return Ok(Some(line.trim_end().to_owned()));
        };
        let mut row: Value = serde_json::from_str(line).context("a row is no JSON")?;
        let kept = table == "companies"
            || (row.get("kind").is_some_and(|kind| kind == "slug")
                && row.get("released_at").is_none_or(Value::is_null));
        let fields = row.as_object_mut().context("a row is no JSON object")?;
        fields.insert(if table == "companies" { "slug" } else { "host" }.to_owned(), slug.into());
        Ok(kept.then(|| row.to_string()))
    }

    async fn write(
        &self,
        transaction: &Transaction<'_>,
        part: &Part,
        insert: &str,
        batch: &mut String,
    ) -> anyhow::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        batch.push(']');
        if let Err(error) = transaction.execute(insert, &[&*batch]).await {
            match error.code() {
                Some(&SqlState::UNIQUE_VIOLATION) if part.table == "hosts" => {
                    bail!(
                        "one of its addresses is taken here, or was given up here of late: give it another with --slug"
                    )
                }
                Some(&SqlState::INSUFFICIENT_PRIVILEGE) if refusal(&error).contains("row-level security") => {
                    bail!("table {} holds a row of another company: somebody changed the archive", part.table)
                }
                _ => bail!("table {}: {}", part.table, refusal(&error)),
            }
        }
        batch.clear();
        Ok(())
    }

    /// What is here now must give the very bytes that came.
    async fn verify(&self, transaction: &Transaction<'_>) -> anyhow::Result<()> {
        for part in &self.manifest.tables {
            if self.slug.is_some() && ["companies", "hosts"].contains(&part.table.as_str()) {
                continue;
            }
            let table = self.tables.get(&part.table).context("a table went away")?;
            let sum = table.read(transaction, self.id, false, |_| Ok(())).await?;
            ensure!(
                sum == part.sum,
                "table {} would not be here what it was there, so nothing was imported",
                part.table
            );
        }
        Ok(())
    }
}

/// Bytes of rows in one statement.
const BATCH: usize = 1 << 20;

const THERE: &str = "select 1 from companies where company_id = $1::text::uuid";

const STANDING: &str = "select slug, status = 'suspended' from companies where company_id = $1::text::uuid";
