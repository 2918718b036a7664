//! The tables with companies' data, as the catalogue knows them, parents before children.
//! It never decides by itself that a table stays behind: that is listed, with the reason.

use std::collections::BTreeSet;
use std::pin::pin;

use anyhow::bail;
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, Transaction};

/// A table with a `company_id`.
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns in their order, but for those that the database computes.
    pub columns: Vec<String>,
    /// What its rows are sorted by: the primary key, texts by their bytes.
    key: Vec<String>,
    /// The tables that it refers to.
    pub parents: Vec<String>,
}

/// What a table's rows come to, written one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Rows.
    pub rows: u64,
    /// Bytes, line ends included.
    pub bytes: u64,
    /// SHA-256 of those bytes, hexadecimal.
    pub sha256: String,
}

/// All of them, each after those that it refers to.
pub async fn all(owner: &Client) -> anyhow::Result<Vec<Table>> {
    let mut left = Vec::new();
    for row in owner.query(TABLES, &[]).await? {
        left.push(Table {
            name: row.try_get("name")?,
            columns: row.try_get("columns")?,
            key: row.try_get("key")?,
            parents: row.try_get("parents")?,
        });
    }
    let (mut sorted, mut names) = (Vec::new(), BTreeSet::new());
    while !left.is_empty() {
        let (ready, waiting): (Vec<Table>, Vec<Table>) =
            left.into_iter().partition(|table| table.parents.iter().all(|parent| names.contains(parent)));
        if ready.is_empty() {
            let names: Vec<_> = waiting.iter().map(|table| table.name.as_str()).collect();
            bail!("these tables refer to each other in a circle: {}", names.join(", "));
        }
        names.extend(ready.iter().map(|table| table.name.clone()));
        sorted.extend(ready);
        left = waiting;
    }
    Ok(sorted)
}

impl Table {
    /// Hands on each row of the company, a JSON object and a line end, in the order of the primary key.
    pub async fn read(
        &self,
        transaction: &Transaction<'_>,
        company: &str,
        blank: bool,
        mut to: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Sum> {
        let columns: Vec<String> = self.columns.iter().map(|column| self.column(column, blank)).collect();
        let sql = format!(
            "select row_to_json(r)::text from (select {} from {} where company_id = $1::text::uuid) r order by {}",
            columns.join(", "),
            quoted(&self.name),
            self.key.join(", ")
        );
        let mut rows = pin!(transaction.query_raw(&sql, [company]).await?);
        let mut summing = Summing::default();
        while let Some(row) = rows.try_next().await? {
            let mut line: String = row.try_get(0)?;
            line.push('\n');
            summing.line(line.as_bytes());
            to(line.as_bytes())?;
        }
        Ok(summing.sum())
    }

    fn column(&self, column: &str, blank: bool) -> String {
        let mut blanked = STANDING.iter().chain(if blank { BLANKED } else { &[] });
        let blanked = blanked.find(|(table, of, _)| *table == self.name && *of == column);
        match blanked {
            Some((.., value)) => format!("{value} as {}", quoted(column)),
            None => quoted(column),
        }
    }

    /// Its order, for a statement: ids are made in the order of time.
    pub fn newest_first(&self) -> String {
        self.key.iter().map(|column| format!("{column} desc")).collect::<Vec<_>>().join(", ")
    }

    /// Its columns, for a statement.
    pub fn listed(&self) -> String {
        self.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
    }

    /// Why it is in no archive; `None` when it is in one.
    pub fn left_out(&self, without_secrets: bool) -> Option<&'static str> {
        let lists = [LEFT_OUT, if without_secrets { SECRET } else { &[] }];
        lists.into_iter().flatten().find(|(name, _)| *name == self.name).map(|(_, reason)| *reason)
    }
}

/// Sums lines up as they come.
#[derive(Default)]
pub struct Summing {
    hash: Sha256,
    rows: u64,
    bytes: u64,
}

impl Summing {
    /// One row with its line end.
    pub fn line(&mut self, line: &[u8]) {
        self.hash.update(line);
        self.rows += 1;
        self.bytes += line.len() as u64;
    }

    /// What they came to.
    pub fn sum(self) -> Sum {
        Sum { rows: self.rows, bytes: self.bytes, sha256: hex(&self.hash.finalize()) }
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name, for a statement.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Tables that are in no archive.
const LEFT_OUT: &[(&str, &str)] = &[
    ("account_links", "links are good once and for minutes, and lead to the old deployment"),
    ("idempotency_keys", "answers to requests that may come again: the requests go to the old deployment"),
    ("outbox", "what is told of events is told by the old deployment"),
    (
        "support_accesses",
        "support is let in by the deployment that it looks after; what it did is in the audit log",
    ),
    ("sessions", "sessions are signed by the old deployment; people sign in again"),
];

/// Tables that are nothing without their secrets.
const SECRET: &[(&str, &str)] = &[
    ("api_keys", "left out with the secrets: a key cannot be told from its hash, and opens the company"),
    ("provider_models", "left out with the providers"),
    ("providers", "left out with the secrets: a provider is its key"),
    ("webhooks", "left out with the secrets: what it is told is signed with its own"),
    ("recovery_codes", "left out with the secrets: each stands for a second step of signing in"),
];

/// Columns that are emptied when secrets stay behind. No password has the hash: it has to be set anew by mail.
const BLANKED: &[(&str, &str, &str)] = &[
    (
        "users",
        "password_hash",
        "'$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'::text",
    ),
    ("users", "sealed_totp_secret", "null::bytea"),
    ("users", "totp_enabled_at", "null::timestamptz"),
    ("widget_settings", "sealed_identity_secret", "null::bytea"),
    ("widget_settings", "identity_secret_at", "null::timestamptz"),
];

/// Columns that are emptied in every archive: a deletion that somebody asked for is that deployment's alone.
const STANDING: &[(&str, &str, &str)] =
    &[("companies", "delete_after", "null::timestamptz"), ("companies", "deleted_so_far", "null::jsonb")];

const TABLES: &str = r#"
with tables as (
    select c.oid, c.relname::text as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
)
select t.name,
       array(select a.attname::text
             from pg_attribute a
             where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
             order by a.attnum) as columns,
       array(select quote_ident(a.attname) || case when a.attcollation <> 0 then ' collate "C"' else '' end
             from pg_index i
             cross join unnest(i.indkey) with ordinality k(number, place)
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
             where i.indrelid = t.oid and i.indisprimary
             order by k.place) as key,
       array(select distinct p.name
             from pg_constraint f
             join tables p on p.oid = f.confrelid
             where f.conrelid = t.oid and f.contype = 'f' and p.oid <> t.oid) as parents
from tables t
order by t.name"#;
