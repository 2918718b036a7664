//! `bulkhead company export`: a company's data as of one moment, in one archive.
//! It reads as the worker's role under row-level security, so that nothing of another company can be in it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use tokio_postgres::{Client, IsolationLevel};

use super::archive::{FORMAT, Manifest, Part, Writer, file_of};
use super::tables::{self, Table};
use super::{Found, Which, plain, schema};
use crate::keys::{count, enter, say};

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Where to write it: a .tar.gz that is not there yet. It holds everything that the company's people can see.
    #[arg(long)]
    out: PathBuf,
    /// Leave provider keys, API keys, passwords and second steps out.
    #[arg(long)]
    without_secrets: bool,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let owner = args.which.place.owner().await?;
    let found = args.which.find(&owner).await?;
    ensure!(
        !found.deletion.as_ref().is_some_and(|deletion| deletion.begun),
        "the deletion of {} has begun: what is left of it is no whole company",
        found.slug
    );
    let (all, schema) = (tables::all(&owner).await?, schema(&owner).await?);
    let mut worker = args.which.place.worker().await?;
    let writer = Writer::new(&args.out)?;
    let manifest = match write(writer, &mut worker, &found, all, schema, args.without_secrets).await {
        Ok(manifest) => manifest,
        Err(error) => {
            // Half an archive is none. That it cannot be removed is not what went wrong first.
            let _ = std::fs::remove_file(&args.out);
            return Err(error);
        }
    };
    let rows = manifest.tables.iter().map(|part| part.sum.rows).sum();
    say(&format!(
        "company {}: {} of {} tables, as of {}, in {}",
        manifest.slug,
        count(rows, "row", "rows"),
        manifest.tables.len(),
        manifest.exported_at,
        args.out.display()
    ));
    for note in &manifest.notes {
        say(note);
    }
    Ok(())
}

/// All tables are read in one transaction, so that they are of one moment.
async fn write(
    mut writer: Writer,
    worker: &mut Client,
    found: &Found,
    all: Vec<Table>,
    schema: i32,
    without_secrets: bool,
) -> anyhow::Result<Manifest> {
    let transaction = worker
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    enter(&transaction, &found.id).await?;
    plain(&transaction).await?;
    let mut manifest = Manifest {
        format: FORMAT,
        schema,
        company_id: found.id.clone(),
        slug: found.slug.clone(),
        exported_at: transaction.query_one(MOMENT, &[]).await?.try_get(0)?,
        secrets: if without_secrets { "left out" } else { "sealed" }.to_owned(),
        notes: notes(without_secrets),
        tables: Vec::new(),
        left_out: BTreeMap::new(),
    };
    for table in all {
        if let Some(reason) = table.left_out(without_secrets) {
            manifest.left_out.insert(table.name, reason.to_owned());
            continue;
        }
        let sum = table.read(&transaction, &found.id, without_secrets, |line| writer.row(line)).await;
        let sum = sum.with_context(|| format!("table {}", table.name))?;
        writer.table(&table.name, sum.bytes)?;
        manifest.tables.push(Part {
            file: file_of(&table.name),
            table: table.name,
            columns: table.columns,
            sum,
        });
    }
    writer.finish(&manifest)?;
    Ok(manifest)
}

fn notes(without_secrets: bool) -> Vec<String> {
    let note = if without_secrets {
        "Secrets are left out: owners enter provider keys again, programs need new keys, and people set new passwords by mail."
    } else {
        "Provider keys, identity secrets and second steps are sealed under the master keys of the deployment it comes from: \
         they open elsewhere only where MASTER_KEYS holds those too. Passwords and API keys are hashes, and work as they are."
    };
    vec![
        note.to_owned(),
        "It holds personal data: keep it as you keep the database, and no longer than needed.".to_owned(),
    ]
}

const MOMENT: &str = "select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
