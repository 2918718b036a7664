//! The stand's secrets: made at the first start, kept in one file that only its owner can read. They guard a development stand, nothing else.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use base64ct::{Base64UrlUnpadded, Encoding as _};

use super::processes::private;

/// Every secret of a stand.
pub struct Secrets {
    /// Password of the role that owns the schema.
    pub owner_password: String,
    /// Password of the worker's role.
    pub worker_password: String,
    /// Password of Redis itself, which only the gateway uses.
    pub redis_password: String,
    /// Bearer token of the gateway's Redis side.
    pub redis_token: String,
    /// The worker's ring of signing keys.
    pub jwt_keys: String,
    /// The worker's ring of keys that seal provider keys.
    pub master_keys: String,
    /// Password of the demo companies' owners.
    pub demo_password: String,
}

impl Secrets {
    /// Reads the file, and makes what it lacks.
    ///
    /// # Errors
    /// When the file cannot be read or written, or the machine has no random source.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = if path.exists() { std::fs::read_to_string(path)? } else { String::new() };
        let mut kept: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let before = kept.len();
        let mut take = |name: &str, prefix: &str| -> anyhow::Result<String> {
            if let Some(value) = kept.get(name) {
                return Ok(value.clone());
            }
            let value = format!("{prefix}{}", random()?);
            kept.insert(name.to_owned(), value.clone());
            Ok(value)
        };
        let secrets = Self {
            owner_password: take("OWNER_PASSWORD", "")?,
            worker_password: take("WORKER_PASSWORD", "")?,
            redis_password: take("REDIS_PASSWORD", "")?,
            redis_token: take("REDIS_TOKEN", "")?,
            jwt_keys: take("JWT_KEYS", "k1:")?,
            master_keys: take("MASTER_KEYS", "1:")?,
            demo_password: take("DEMO_PASSWORD", "")?,
        };
        if kept.len() > before {
            let mut file = private(path)?;
            for (name, value) in &kept {
                writeln!(file, "{name}={value}")?;
            }
            file.sync_all()?;
        }
        Ok(secrets)
    }

    /// The URL of the worker's role on the owner's database.
    ///
    /// # Errors
    /// When the owner's URL is none.
    pub fn worker_url(&self, owner_url: &str) -> anyhow::Result<String> {
        let mut url: reqwest::Url = owner_url.parse().context("DATABASE_URL is no URL")?;
        let named =
            url.set_username("bulkhead_worker").and_then(|()| url.set_password(Some(&self.worker_password)));
        named.ok().context("DATABASE_URL names no server")?;
        Ok(url.into())
    }
}

/// 32 random bytes, base64url.
///
/// # Errors
/// When the machine has no random source.
#[expect(clippy::disallowed_methods, reason = "this is a native program; the core's port is not there")]
pub fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("this machine has no random source")?;
    Ok(Base64UrlUnpadded::encode_string(&bytes))
}
