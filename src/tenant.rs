//! [`TenantScope`]: the proof that a request acts for one company, and the only way to that company's data.
//!
//! Nothing outside this module can make a scope, and nothing at all can change the company of one.

use std::cell::Cell;
use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use crate::api_keys::{KeyHash, KeyScope};
use crate::config::ConfigError;
use crate::error::Error;
use crate::idempotency::Claim;
use crate::ids::{ApiKeyId, CompanyId, RequestId, SessionId, SupportId, UserId};
use crate::platform::{Level, Platform};
use crate::routes::App;

pub mod auth;
mod checks;
pub(crate) mod directory;
mod identity;
pub mod post;
pub mod postgres;
pub mod recent;
pub mod redis;
pub mod rows;
pub mod sql;
pub mod token;
pub mod vault;

pub use sql::TenantSql;

/// One request acting for one company. Made by [`auth`] alone, from the host and the session.
///
/// It is not `Clone`, not `Deserialize`, and has no public constructor and no setter.
pub struct TenantScope {
    company: Company,
    actor: Actor,
    request_id: RequestId,
    app: Rc<App>,
    platform: Rc<dyn Platform>,
    /// How many provider keys were opened so far.
    opened: Cell<u32>,
    /// The idempotency key that the request's work has yet to take.
    claim: Cell<Option<Claim>>,
    /// A batch went through, and with it a program's check of its key: what the request began it may finish.
    let_in: Cell<bool>,
}

/// A request that may come twice, as it is known again: what its sender calls it, and all that it says.
pub(crate) struct Repeat {
    key: String,
    content: Zeroizing<String>,
}

impl Repeat {
    /// Fields are told apart by their lengths, so that none can pass for part of another.
    pub(crate) fn new(key: &[&str], content: &[&str]) -> Self {
        let joined =
            |fields: &[&str]| fields.iter().map(|field| format!("{}:{field};", field.len())).collect();
        Self { key: joined(key), content: Zeroizing::new(joined(content)) }
    }
}

impl TenantScope {
    /// The keyed digest of a sign-up: equal for equal requests, and of no use to whoever reads the database.
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no master key.
    pub(crate) fn signup_seal(&self, repeat: &Repeat) -> Result<[u8; 32], Error> {
        self.app.config.secrets.master_keys.digest("bulkhead/signup/content", &repeat.content)
    }
}

/// What an isolate knows of a company from its host.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Company {
    #[serde(rename = "company_id")]
    id: CompanyId,
    slug: String,
    name: String,
    industry: String,
    /// Minutes that its clocks are ahead of UTC.
    utc_offset_minutes: i32,
}

/// Who acts.
#[derive(Clone, Debug)]
enum Actor {
    /// Somebody who is not signed in: a guest or a visitor.
    Anyone,
    /// A signed-in person; each batch first checks that membership and session still stand.
    Member { user: UserId, session: SessionId, roles: &'static [&'static str], permission: &'static str },
    /// The operator's support, let in for a while; each batch first checks that it still is, and the first notes what was
    /// asked for: method and path.
    Support { access: SupportId, asked: Rc<str> },
    /// A program of the company's; each batch checks that its key stands and has this scope, until one
    /// went through: a turn that was let in must be stored and paid for, though its key be revoked meanwhile.
    Program { key: ApiKeyId, hash: KeyHash, scope: KeyScope },
}

impl TenantScope {
    /// The company this scope is of.
    #[must_use]
    pub fn company_id(&self) -> CompanyId {
        self.company.id
    }

    /// The access by which the operator's support acts; `None` for everybody else.
    pub(crate) fn support(&self) -> Option<SupportId> {
        match self.actor {
            Actor::Support { access, .. } => Some(access),
            _ => None,
        }
    }

    /// The company's slug.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.company.slug
    }

    /// The company's name.
    #[must_use]
    pub fn company_name(&self) -> &str {
        &self.company.name
    }

    /// The industry template the company started from.
    #[must_use]
    pub fn industry(&self) -> &str {
        &self.company.industry
    }

    /// The company's own day of a time, ISO 8601.
    #[must_use]
    pub fn day(&self, now_ms: u64) -> String {
        crate::limiter::day(now_ms, self.company.utc_offset_minutes)
    }

    /// The request this scope lives for.
    #[must_use]
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// The deployment: its settings, not its secrets.
    #[must_use]
    pub fn app(&self) -> &Rc<App> {
        &self.app
    }

    /// The runtime.
    #[must_use]
    pub fn platform(&self) -> &dyn Platform {
        &*self.platform
    }

    /// The idempotency key that the request's work has yet to take.
    pub(crate) fn claim(&self) -> &Cell<Option<Claim>> {
        &self.claim
    }

    /// The runtime, for work that goes on after the request.
    pub(crate) fn platform_rc(&self) -> Rc<dyn Platform> {
        Rc::clone(&self.platform)
    }

    /// The same company, for what the platform itself goes on with after the request: nobody acts in it, so that it does not
    /// end with somebody's session.
    pub(crate) fn aside(&self) -> Self {
        Self {
            company: self.company.clone(),
            actor: Actor::Anyone,
            request_id: self.request_id,
            app: Rc::clone(&self.app),
            platform: Rc::clone(&self.platform),
            opened: Cell::new(0),
            claim: Cell::new(None),
            let_in: Cell::new(false),
        }
    }

    /// Tells the operator of something that is not an error of this request: an event's name and a fact about it.
    pub fn log(&self, level: Level, event: &str, fact: &str) {
        let line = serde_json::json!({
            "level": level.as_str(),
            "event": event,
            "fact": fact,
            "company_id": self.company.id,
            "request_id": self.request_id,
        });
        self.platform.log(level, &line.to_string());
    }
}

/// What is secret in the settings. Its fields are private to this module and its children.
pub struct Secrets {
    database: postgres::Endpoint,
    redis: redis::Endpoint,
    token_keys: token::KeyRing,
    master_keys: vault::MasterKeys,
    platform_keys: vault::PlatformKeys,
    cron_token: Option<zeroize::Zeroizing<String>>,
    post: Option<post::Post>,
}

impl Secrets {
    pub(crate) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            database: postgres::Endpoint::parse(get)?,
            redis: redis::Endpoint::parse(get)?,
            token_keys: token::KeyRing::parse(get)?,
            master_keys: vault::MasterKeys::parse(get)?,
            platform_keys: vault::PlatformKeys::parse(get),
            cron_token: get("CRON_TOKEN").map(zeroize::Zeroizing::new),
            post: post::Post::parse(get)?,
        })
    }
}

/// A setting that must be there.
fn required(get: &dyn Fn(&str) -> Option<String>, name: &'static str) -> Result<String, ConfigError> {
    get(name).ok_or(ConfigError(name, "is missing"))
}

/// 32 secret bytes, base64url without padding.
fn secret_bytes(text: &str) -> Option<zeroize::Zeroizing<[u8; 32]>> {
    let mut key = zeroize::Zeroizing::new([0; 32]);
    let decoded = Base64UrlUnpadded::decode(text, key.as_mut()).ok()?;
    (decoded.len() == 32).then_some(())?;
    Some(key)
}
