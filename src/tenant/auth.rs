//! Layer 1: who is asking, and for which company. The only place where a [`TenantScope`] is made.
//!
//! It never reads a company from a path, a query, a body or a header that is not the host.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use http::header::AUTHORIZATION;

use super::token::Bearer;
use super::{Actor, Company, Repeat, TenantScope, postgres, redis};
use crate::config::{HOST_CACHE_ENTRIES, HOST_CACHE_MS, Place};
use crate::error::Error;
use crate::ids::{CompanyId, SessionId, UserId, VisitorId};
use crate::routes::{Call, Role};

/// An end customer with a visitor token of this company.
pub struct Visitor {
    /// The company's data.
    pub scope: TenantScope,
    /// The visitor.
    pub id: VisitorId,
}

/// A signed-in person of this company. Role and session are checked by the database, in each batch.
pub struct Member {
    /// The company's data.
    pub scope: TenantScope,
    /// The person.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
}

/// Somebody of whom only the host is known.
///
/// # Errors
/// [`Error::NotFound`] when no active company answers at this host.
pub async fn guest(call: &Call) -> Result<TenantScope, Error> {
    scope(call, call.company().await?, Actor::Anyone)
}

/// An end customer: a visitor token of the company whose host this is.
///
/// # Errors
/// [`Error::NotFound`] for the host, [`Error::Unauthorized`] for the token.
pub async fn visitor(call: &Call) -> Result<Visitor, Error> {
    let company = call.company().await?;
    match bearer(call, &company)? {
        Bearer::Visitor(id) => Ok(Visitor { scope: scope(call, company, Actor::Anyone)?, id }),
        Bearer::Member(..) => Err(Error::Unauthorized),
    }
}

/// A signed-in person: an access token of the company whose host this is. That the membership stands, that the role is
/// enough and that the company has not taken the permission from it is checked in the same transaction as whatever the
/// handler does.
///
/// # Errors
/// [`Error::NotFound`] for the host, [`Error::Unauthorized`] for the token.
pub async fn member(call: &Call, role: Role, permission: &'static str) -> Result<Member, Error> {
    let company = call.company().await?;
    match bearer(call, &company)? {
        Bearer::Member(user, session) => {
            let actor = Actor::Member { user, session, roles: role.or_higher(), permission };
            Ok(Member { scope: scope(call, company, actor)?, user, session })
        }
        Bearer::Visitor(_) => Err(Error::Unauthorized),
    }
}

/// The scope in which a new company is made: that of the company that does not exist yet. For a request that may be
/// repeated the id follows from its key and a secret of ours, so nobody else can aim at another's company.
pub(crate) fn founder(
    call: &Call,
    slug: &str,
    name: &str,
    industry: &str,
    repeat: Option<&Repeat>,
) -> Result<TenantScope, Error> {
    let keys = &call.app.config.secrets.master_keys;
    let company = Company {
        id: match repeat {
            Some(repeat) => CompanyId::from_digest(keys.digest("bulkhead/signup/company", &repeat.key)?),
            None => CompanyId::new(&*call.platform),
        },
        slug: slug.to_owned(),
        name: name.to_owned(),
        industry: industry.to_owned(),
    };
    scope(call, company, Actor::Anyone)
}

impl TenantScope {
    /// A visitor token of this company.
    ///
    /// # Errors
    /// [`Error::Internal`] when no key can sign.
    pub fn visitor_token(&self, visitor: VisitorId) -> Result<String, Error> {
        self.token(Bearer::Visitor(visitor))
    }

    /// An access token of this company.
    ///
    /// # Errors
    /// [`Error::Internal`] when no key can sign.
    pub fn access_token(&self, user: UserId, session: SessionId) -> Result<String, Error> {
        self.token(Bearer::Member(user, session))
    }

    fn token(&self, bearer: Bearer) -> Result<String, Error> {
        let config = &self.app.config;
        let keys = &config.secrets.token_keys;
        keys.sign(&config.root.url(), self.company.id, bearer, self.platform.now_ms())
            .ok_or_else(|| Error::Internal("a token could not be signed".into()))
    }
}

/// Whether the database and Redis answer.
///
/// # Errors
/// [`Error::Unavailable`] with the first that does not.
pub(crate) async fn ready(call: &Call) -> Result<(), Error> {
    let secrets = &call.app.config.secrets;
    let (database, redis) = futures_util::future::join(
        postgres::ping(&*call.platform, &secrets.database),
        redis::ping(&*call.platform, &secrets.redis),
    )
    .await;
    database.and(redis)
}

fn scope(call: &Call, company: Company, actor: Actor) -> Result<TenantScope, Error> {
    call.found(company.id);
    Ok(TenantScope {
        company,
        actor,
        request_id: call.request_id,
        app: Rc::clone(&call.app),
        platform: Rc::clone(&call.platform),
    })
}

/// The bearer of the one `Authorization` header, if its token is good for this company.
fn bearer(call: &Call, company: &Company) -> Result<Bearer, Error> {
    let mut headers = call.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(Error::Unauthorized);
    };
    let (scheme, token) = header.to_str().ok().and_then(|h| h.split_once(' ')).ok_or(Error::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::Unauthorized);
    }
    let config = &call.app.config;
    let keys = &config.secrets.token_keys;
    keys.verify(&config.root.url(), company.id, token, call.platform.now_ms()).ok_or(Error::Unauthorized)
}

impl Call {
    /// The company whose host this is.
    async fn company(&self) -> Result<Company, Error> {
        let (host, kind) = match &self.place {
            Place::Apex => return Err(Error::NotFound),
            Place::Slug(slug) => (slug.as_str(), "slug"),
            Place::Custom(host) => (host.as_str(), "custom"),
        };
        let now = self.platform.now_ms();
        if let Some(company) = self.app.hosts.get(&self.place, now) {
            return Ok(company);
        }
        let endpoint = &self.app.config.secrets.database;
        let company = postgres::company_by_host(&*self.platform, endpoint, host, kind).await?;
        let company = company.ok_or(Error::NotFound)?;
        self.app.hosts.put(self.place.clone(), company.clone(), now);
        Ok(company)
    }
}

/// What an isolate remembers of hosts: bounded in number and time, and only what *is* there, so that a new company is
/// live at once.
#[derive(Default)]
pub struct HostCache(RefCell<HashMap<Place, (Company, u64)>>);

impl HostCache {
    fn get(&self, place: &Place, now_ms: u64) -> Option<Company> {
        let hosts = self.0.borrow();
        let (company, until_ms) = hosts.get(place)?;
        (now_ms < *until_ms).then(|| company.clone())
    }

    fn put(&self, place: Place, company: Company, now_ms: u64) {
        let mut hosts = self.0.borrow_mut();
        if hosts.len() >= HOST_CACHE_ENTRIES {
            hosts.retain(|_, (_, until_ms)| now_ms < *until_ms);
        }
        if hosts.len() >= HOST_CACHE_ENTRIES {
            hosts.clear();
        }
        hosts.insert(place, (company, now_ms + HOST_CACHE_MS));
    }
}
