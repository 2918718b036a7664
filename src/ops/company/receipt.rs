//! What remains of a deletion: a file that says what was deleted and when, and that this deployment says so.
//! It holds nothing of what the company's rows held but the company's id, its slug and numbers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use bulkhead::tenant::vault::Rewrap;
use serde::{Deserialize, Serialize};

use crate::keys::{master_keys, say};

/// Options of `bulkhead company receipt`.
#[derive(clap::Args)]
pub struct Args {
    /// The receipt.
    file: PathBuf,
    /// All master keys, as the worker has them; the one that signed it must be among them.
    #[arg(long, env = "MASTER_KEYS", hide_env_values = true)]
    master_keys: String,
}

/// What was deleted. What is signed is its compact JSON, the fields in this order.
#[derive(Clone, Serialize, Deserialize)]
pub struct Receipt {
    /// 1.
    pub format: u32,
    /// The company.
    pub company_id: String,
    /// Its address: nobody gets it until `bulkhead slugs release` lets it go.
    pub slug: String,
    /// When the deletion was complete, ISO 8601.
    pub deleted_at: String,
    /// Rows deleted, by table.
    pub rows: BTreeMap<String, u64>,
    /// Keys deleted in Redis; where the deletion was cut off just then, those of that run are not in it.
    pub redis_keys: u64,
    /// Rows, by table, and keys of Redis in which its id was still found afterwards; none, if all went well.
    pub traces: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    receipt: Receipt,
    algorithm: String,
    master_key: u16,
    /// Hexadecimal.
    signature: String,
}

const ALGORITHM: &str = "HMAC-SHA256";

impl Receipt {
    /// Signs it under the newest master key and writes it.
    pub fn write(&self, keys: &Rewrap, file: &mut File) -> anyhow::Result<()> {
        let text = serde_json::to_string(self)?;
        let (master_key, signature) = keys.receipt_sign(&text).context("MASTER_KEYS is empty")?;
        let signed = Signed { receipt: self.clone(), algorithm: ALGORITHM.to_owned(), master_key, signature };
        writeln!(file, "{}", serde_json::to_string_pretty(&signed)?)?;
        file.sync_all().context("the receipt could not be written to the disk")
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let named = args.file.display();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {named}"))?;
    let signed: Signed = serde_json::from_str(&text).with_context(|| format!("{named} is no receipt"))?;
    let keys = master_keys(&args.master_keys)?;
    ensure!(
        keys.numbers().contains(&signed.master_key),
        "it was signed under master key {}, which is not in MASTER_KEYS",
        signed.master_key
    );
    let text = serde_json::to_string(&signed.receipt)?;
    ensure!(
        signed.algorithm == ALGORITHM && keys.receipt_stands(signed.master_key, &text, &signed.signature),
        "{named} was changed, or is another deployment's"
    );
    let Receipt { company_id, slug, deleted_at, .. } = signed.receipt;
    say(&format!("good: company {slug} ({company_id}) was deleted at {deleted_at}"));
    Ok(())
}
