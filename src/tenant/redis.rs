//! Redis for one company: scripts over keys that carry the company.
//!
//! It offers no KEYS, no SCAN and no pattern: there is no door through which one company's keys could be listed.
//!
//! The protocol is Upstash's REST (<https://upstash.com/docs/redis/features/restapi>), so that the same worker runs
//! against Upstash and against `bulkhead gateway`.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;

use super::{TenantScope, required};
use crate::config::{ConfigError, REDIS_TIMEOUT_MS, REPLY_LIMIT};
use crate::error::Error;
use crate::ids::{ConversationId, UserId};
use crate::knockout::{Wall, stands};
use crate::platform::{Outbound, Part, Platform};

/// The name of a value of one company. The company stands in braces: a hash tag, so that all keys of a company are in
/// one slot of a cluster and a script may touch several of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantKey(String);

impl TenantScope {
    /// What was spent and is reserved on a day of the company's, the limits of that day, and the questions of the minute: a hash.
    #[must_use]
    pub fn key_daily_spend(&self, day: &str) -> TenantKey {
        TenantKey(format!("daily_spend:{{{}}}:{day}", self.tag()))
    }

    /// How many visitor tokens a network address (by its hash) asked for in an hour (Unix time / 3600): a counter.
    #[must_use]
    pub fn key_visitors_minted(&self, address_hash: &str, hour: u64) -> TenantKey {
        TenantKey(format!("visitors_minted:{{{}}}:{address_hash}:{hour}", self.tag()))
    }

    /// What was said of late in a conversation: a list. Each value names company and visitor once more.
    #[must_use]
    pub fn key_memory(&self, conversation: ConversationId) -> TenantKey {
        TenantKey(format!("memory:{{{}}}:{conversation}", self.tag()))
    }

    /// How often somebody tried to sign in with an e-mail address of late (by its hash): a counter.
    #[must_use]
    pub fn key_login_attempts(&self, email_hash: &str) -> TenantKey {
        TenantKey(format!("login_attempts:{{{}}}:{email_hash}", self.tag()))
    }

    /// That a website is being imported: one import at a time.
    #[must_use]
    pub fn key_import(&self) -> TenantKey {
        TenantKey(format!("import:{{{}}}", self.tag()))
    }

    /// How many websites were imported on a day of the company's: a counter.
    #[must_use]
    pub fn key_imports(&self, day: &str) -> TenantKey {
        TenantKey(format!("imports:{{{}}}:{day}", self.tag()))
    }

    /// How many mails an address (by its hash) got in an hour (Unix time / 3600): a counter.
    #[must_use]
    pub fn key_mails_to(&self, email_hash: &str, hour: u64) -> TenantKey {
        TenantKey(format!("mails_to:{{{}}}:{email_hash}:{hour}", self.tag()))
    }

    /// How many mails the company sent on a day (Unix time / 86400): a counter.
    #[must_use]
    pub fn key_mails_sent(&self, day: u64) -> TenantKey {
        TenantKey(format!("mails_sent:{{{}}}:{day}", self.tag()))
    }

    /// How many mails of notices an address (by its hash) got in an hour (Unix time / 3600): a counter.
    #[must_use]
    pub fn key_notices_to(&self, email_hash: &str, hour: u64) -> TenantKey {
        TenantKey(format!("notices_to:{{{}}}:{email_hash}:{hour}", self.tag()))
    }

    /// How many mails of notices the company sent on a day (Unix time / 86400): a counter.
    #[must_use]
    pub fn key_notices_sent(&self, day: u64) -> TenantKey {
        TenantKey(format!("notices_sent:{{{}}}:{day}", self.tag()))
    }

    /// How often links were asked for in an hour (Unix time / 3600), for an e-mail address or by a network address (either by
    /// its hash): a counter.
    #[must_use]
    pub fn key_links_asked(&self, hash: &str, hour: u64) -> TenantKey {
        TenantKey(format!("links_asked:{{{}}}:{hash}:{hour}", self.tag()))
    }

    /// How often the DNS was asked for the records of the company's names in a minute (Unix time / 60): a counter.
    #[must_use]
    pub fn key_domain_checks(&self, minute: u64) -> TenantKey {
        TenantKey(format!("domain_checks:{{{}}}:{minute}", self.tag()))
    }

    /// How many codes of a second step a person tried in an hour (Unix time / 3600): a counter.
    #[must_use]
    pub fn key_codes_tried(&self, user: UserId, hour: u64) -> TenantKey {
        TenantKey(format!("codes_tried:{{{}}}:{user}:{hour}", self.tag()))
    }

    /// What stands in the braces of each key of this company.
    fn tag(&self) -> String {
        if stands(Wall::KeyPrefix) { self.company.id.to_string() } else { "everybody".to_owned() }
    }

    /// Runs a script over keys of this company, in one request.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Redis does not answer or refuses the script.
    pub async fn redis_eval(
        &self,
        script: &'static str,
        keys: &[TenantKey],
        args: &[String],
    ) -> Result<Value, Error> {
        let endpoint = &self.app.config.secrets.redis;
        let script = match endpoint.script_flags {
            Some(ref flags) => Cow::Owned(format!("#!lua flags={flags}\n{script}")),
            None => Cow::Borrowed(script),
        };
        let count = keys.len().to_string();
        let mut command = vec!["EVAL", &script, &count];
        command.extend(keys.iter().map(|key| &*key.0));
        command.extend(args.iter().map(String::as_str));
        endpoint.send(&*self.platform, &command).await
    }
}

/// Where Redis is reached over HTTP, and with which token.
pub(super) struct Endpoint {
    url: String,
    authorization: http::HeaderValue,
    /// Flags for the first line of scripts. Upstash's EVAL takes a global lock unless it says `allow-key-locking`, a
    /// flag that plain Redis does not know.
    script_flags: Option<String>,
}

impl Endpoint {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let url = required(get, "UPSTASH_REDIS_REST_URL")?.trim_end_matches('/').to_owned();
        let token = required(get, "UPSTASH_REDIS_REST_TOKEN")?;
        let mut authorization = http::HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            ConfigError("UPSTASH_REDIS_REST_TOKEN", "has characters that no header can carry")
        })?;
        authorization.set_sensitive(true);
        Ok(Self { url, authorization, script_flags: get("REDIS_SCRIPT_FLAGS") })
    }

    async fn send(&self, platform: &dyn Platform, command: &[&str]) -> Result<Value, Error> {
        let away = |why: String| Error::Unavailable("redis", why);
        let body = serde_json::to_vec(command)
            .map_err(|error| Error::Internal(format!("redis request: {error}")))?;
        let request = http::Request::post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, &self.authorization)
            .body(Bytes::from(body))
            .map_err(|error| Error::Internal(format!("redis request: {error}")))?;
        let timeout = REDIS_TIMEOUT_MS;
        let response = platform
            .send(Outbound { part: Part::Redis, request, head_timeout_ms: timeout, idle_timeout_ms: timeout })
            .await
            .map_err(|error| away(error.to_string()))?;
        let status = response.status();
        let body =
            response.into_body().collect(REPLY_LIMIT).await.map_err(|error| away(error.to_string()))?;
        match serde_json::from_slice(&body) {
            Ok(Reply { result: Some(result), error: None }) if status.is_success() => Ok(result),
            Ok(Reply { result: None, error: None }) if status.is_success() => Ok(Value::Null),
            Ok(Reply { error: Some(error), .. }) => Err(away(format!("{status}: {error}"))),
            _ => Err(away(status.to_string())),
        }
    }
}

#[derive(serde::Deserialize)]
struct Reply {
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

/// Whether Redis answers at all.
pub(super) async fn ping(platform: &dyn Platform, endpoint: &Endpoint) -> Result<(), Error> {
    endpoint.send(platform, &["PING"]).await.map(|_| ())
}
