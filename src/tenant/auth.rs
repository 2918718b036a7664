//! Layer 1: who is asking, and for which company. The only place where a [`TenantScope`] is made.
//!
//! It never reads a company from a path, a query, a body or a header that is not the host.

use std::cell::Cell;
use std::rc::Rc;

use http::HeaderValue;
use http::header::{AUTHORIZATION, COOKIE, ORIGIN};

use super::recent::Recent;
use super::token::Bearer;
use super::{Actor, Company, Repeat, TenantScope, directory, postgres, redis};
use crate::api_keys::{self, KeyScope};
use crate::config::Place;
use crate::cron::Only;
use crate::error::Error;
use crate::ids::{ApiKeyId, CompanyId, SessionId, SupportId, UserId, VisitorId};
use crate::params;
use crate::roles;
use crate::routes::{Call, Role};
use crate::widget::ORIGIN_LISTED;

/// An end customer with a visitor token of this company.
pub struct Visitor {
    /// The company's data.
    pub scope: TenantScope,
    /// The visitor.
    pub id: VisitorId,
    /// Stands for the network address it comes from; `None` where the edge does not tell.
    pub address: Option<String>,
}

/// A signed-in person of this company, or the operator's support in their place. Role and session, or support's access, are
/// checked by the database, in each batch.
pub struct Member {
    /// The company's data.
    pub scope: TenantScope,
    /// The person; for support its access, which is nobody's id.
    pub user: UserId,
    /// The session; for support its access.
    pub session: SessionId,
}

/// A program of this company's, with a key of its own. That the key stands and may be used for what is asked is checked
/// by the database, in each batch.
pub struct Program {
    /// The company's data.
    pub scope: TenantScope,
    /// The key.
    pub key: ApiKeyId,
}

/// Somebody of whom only the host is known.
///
/// # Errors
/// [`Error::NotFound`] when no active company answers at this host.
pub async fn guest(call: &Call) -> Result<TenantScope, Error> {
    scope(call, call.company().await?, Actor::Anyone)
}

/// The origin of the page that calls, where that is not the company's own but one that the company lists.
///
/// # Errors
/// [`Error::NotFound`] for the host, [`Error::Elsewhere`] for an origin that is not listed, whatever else the request says.
pub(crate) async fn origin(call: &Call) -> Result<Option<HeaderValue>, Error> {
    let mut origins = call.headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(None) };
    let company = call.company().await?;
    let (Ok(text), None) = (origin.to_str(), origins.next()) else { return Err(Error::Elsewhere) };
    if text == call.app.config.root.origin(&call.place) {
        return Ok(None);
    }
    let (key, now_ms) = ((company.id, text.to_owned()), call.platform.now_ms());
    if call.app.origins.get(&key, now_ms).is_none() {
        let scope = scope(call, company, Actor::Anyone)?;
        let mut batch = scope.batch();
        let listed = batch.run(ORIGIN_LISTED, params![text]);
        batch.send().await?.touched(listed).map_err(|_| Error::Elsewhere)?;
        call.app.origins.put(key, (), now_ms);
    }
    Ok(Some(origin.clone()))
}

/// The visitor whose good token this is, if there is one: for what needs none.
pub(crate) fn known_visitor(call: &Call, scope: &TenantScope) -> Option<VisitorId> {
    match bearer(call, &scope.company).ok()? {
        Bearer::Visitor(id) => Some(id),
        Bearer::Member(..) | Bearer::Page(..) | Bearer::Support(_) => None,
    }
}

/// An end customer: a visitor token of the company whose host this is, from the origin for which it was made.
///
/// # Errors
/// [`Error::NotFound`] for the host, [`Error::Unauthorized`] for the token.
pub async fn visitor(call: &Call) -> Result<Visitor, Error> {
    let company = call.company().await?;
    match bearer(call, &company)? {
        Bearer::Visitor(id) => {
            let scope = scope(call, company, Actor::Anyone)?;
            let address = address(call, &scope);
            Ok(Visitor { scope, id, address })
        }
        Bearer::Member(..) | Bearer::Page(..) | Bearer::Support(_) => Err(Error::Unauthorized),
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
        Bearer::Visitor(_) | Bearer::Page(..) | Bearer::Support(_) => Err(Error::Unauthorized),
    }
}

/// A signed-in person's browser: a session cookie of the company whose host this is. The same is checked with each batch as
/// for [`member`]; what differs is only how the session is proven, and neither proof is one for the other. Support comes this
/// way alone, and only as far as [`roles::support_may`].
///
/// # Errors
/// [`Error::NotFound`] for the host, [`Error::Unauthorized`] for the cookie, [`Error::Forbidden`] for what is not support's.
pub async fn page(call: &Call, role: Role, permission: &'static str) -> Result<Member, Error> {
    let company = call.company().await?;
    match proven(call, &company, cookie(call)?)? {
        Bearer::Page(user, session) => {
            let actor = Actor::Member { user, session, roles: role.or_higher(), permission };
            Ok(Member { scope: scope(call, company, actor)?, user, session })
        }
        // Their handlers know support by its access alone: it has no row among the company's people.
        Bearer::Support(access) => {
            let (method, path) = call.target();
            if role == Role::Owner || !roles::support_may(method, path) {
                return Err(Error::Forbidden);
            }
            let asked = format!("{method} {path}").into();
            let scope = scope(call, company, Actor::Support { access, asked })?;
            Ok(Member { scope, user: access.as_user(), session: access.as_session() })
        }
        Bearer::Visitor(_) | Bearer::Member(..) => Err(Error::Unauthorized),
    }
}

/// That a browser sends this from a page of this very host: nobody else's page can have a person's browser change
/// something. What browsers say of it must say so, and one that says nothing is not believed. A page that gives no referrer
/// has its browser call its origin `null` (Fetch, section 3.1); then `Sec-Fetch-Site`, which no page can write, must say it.
///
/// # Errors
/// [`Error::CrossSite`].
pub(crate) fn same_origin(call: &Call) -> Result<(), Error> {
    let site = call.headers.get("sec-fetch-site").map(|site| site == "same-origin");
    let own = call.app.config.root.origin(&call.place);
    let origin = call
        .headers
        .get(ORIGIN)
        .filter(|origin| site != Some(true) || *origin != "null")
        .map(|origin| origin.to_str().is_ok_and(|origin| origin.eq_ignore_ascii_case(&own)));
    match (site, origin) {
        (Some(true), Some(true) | None) | (None, Some(true)) => Ok(()),
        _ => Err(Error::CrossSite),
    }
}

/// The cookie that proves a session on the dashboard's pages. Its name's beginning has browsers keep it to this host alone:
/// no other host may set it, and no `Domain` may widen it (draft-ietf-httpbis-rfc6265bis, section 4.1.3.2).
pub(crate) const SESSION_COOKIE: &str = "__Host-session";

/// A program of the company whose host this is: what is called its key could be one. Whether it is, still stands and has
/// this scope is checked in the same transaction as whatever the handler does.
///
/// # Errors
/// [`Error::NotFound`] for the host, [`Error::Unauthorized`] for what is no key.
pub async fn program(call: &Call, wanted: KeyScope) -> Result<Program, Error> {
    let company = call.company().await?;
    let (key, hash) = api_keys::parse(token(call)?).ok_or(Error::Unauthorized)?;
    Ok(Program { scope: scope(call, company, Actor::Program { key, hash, scope: wanted })?, key })
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
        utc_offset_minutes: 0,
    };
    scope(call, company, Actor::Anyone)
}

/// Stands for the network address that a call comes from, as far as the edge says so in the header that the operator
/// names. A header that a client could write itself would be worth nothing, so there is no other.
#[must_use]
pub fn address(call: &Call, scope: &TenantScope) -> Option<String> {
    let mut values = call.headers.get_all(call.app.config.address_header.as_str()).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    scope.address_hash(value.to_str().ok()?.trim().parse().ok()?)
}

/// That the operator calls: with the token that only the deployment knows (`CRON_TOKEN`).
///
/// # Errors
/// [`Error::NotFound`] otherwise, also when there is no such token.
pub(crate) fn operator(call: &Call) -> Result<(), Error> {
    let secrets = &call.app.config.secrets;
    let given =
        call.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let (Some(token), Some(given)) = (&secrets.cron_token, given) else { return Err(Error::NotFound) };
    // Digests are compared, so that the time it takes says nothing of the token.
    let digest = |text: &str| secrets.master_keys.digest("bulkhead/cron", text);
    if digest(token)? == digest(given)? { Ok(()) } else { Err(Error::NotFound) }
}

/// Scopes of the companies after one, in the order of their ids, for the round that looks after all of them, or after those with
/// something due.
///
/// # Errors
/// [`Error::Unavailable`] when the database does not answer.
pub(crate) async fn round(
    call: &Call,
    only: Only,
    last: CompanyId,
    how_many: u32,
) -> Result<Vec<TenantScope>, Error> {
    let database = &call.app.config.secrets.database;
    let companies = directory::companies_after(&*call.platform, database, only, last, how_many).await?;
    companies.into_iter().map(|company| scope(call, company, Actor::Anyone)).collect()
}

/// The company that answers at a domain of its own, for what the platform itself does there: nobody acts in its scope.
///
/// # Errors
/// [`Error::Unavailable`] when the database does not answer.
pub(crate) async fn holder(call: &Call, host: &str) -> Result<Option<TenantScope>, Error> {
    let endpoint = &call.app.config.secrets.database;
    let company = directory::company_by_host(&*call.platform, endpoint, host, "custom").await?;
    Ok(company.map(|company| beside(call, company, Actor::Anyone)))
}

impl TenantScope {
    /// A visitor token of this company, for pages of this origin; for the company's own when there is none.
    ///
    /// # Errors
    /// [`Error::Internal`] when no key can sign.
    pub fn visitor_token(&self, visitor: VisitorId, origin: Option<&str>) -> Result<String, Error> {
        self.token(Bearer::Visitor(visitor), origin)
    }

    /// An access token of this company.
    ///
    /// # Errors
    /// [`Error::Internal`] when no key can sign.
    pub fn access_token(&self, user: UserId, session: SessionId) -> Result<String, Error> {
        self.token(Bearer::Member(user, session), None)
    }

    /// What a session cookie of this company holds.
    ///
    /// # Errors
    /// [`Error::Internal`] when no key can sign.
    pub fn page_token(&self, user: UserId, session: SessionId) -> Result<String, Error> {
        self.token(Bearer::Page(user, session), None)
    }

    /// What the cookie of support holds, at this company.
    ///
    /// # Errors
    /// [`Error::Internal`] when no key can sign.
    pub(crate) fn support_token(&self, access: SupportId) -> Result<String, Error> {
        self.token(Bearer::Support(access), None)
    }

    fn token(&self, bearer: Bearer, origin: Option<&str>) -> Result<String, Error> {
        let config = &self.app.config;
        let keys = &config.secrets.token_keys;
        keys.sign(&config.root.url(), self.company.id, bearer, origin, self.platform.now_ms())
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
    Ok(beside(call, company, actor))
}

/// A scope of another company than the one that the call is of, which is still the one in its log line.
fn beside(call: &Call, company: Company, actor: Actor) -> TenantScope {
    TenantScope {
        company,
        actor,
        request_id: call.request_id,
        app: Rc::clone(&call.app),
        platform: Rc::clone(&call.platform),
        opened: Cell::new(0),
        claim: Cell::new(None),
        let_in: Cell::new(false),
    }
}

/// The bearer of the request's token, if that is good for this company.
fn bearer(call: &Call, company: &Company) -> Result<Bearer, Error> {
    proven(call, company, token(call)?)
}

/// What a token proves at this company, now.
fn proven(call: &Call, company: &Company, token: &str) -> Result<Bearer, Error> {
    let config = &call.app.config;
    let keys = &config.secrets.token_keys;
    let (issuer, now_ms) = (config.root.url(), call.platform.now_ms());
    keys.verify(&issuer, company.id, call.origin(), token, now_ms).ok_or(Error::Unauthorized)
}

/// The one session cookie. Two would be a guess which of them is the person's own.
fn cookie(call: &Call) -> Result<&str, Error> {
    let headers = call.headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut found = headers
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == SESSION_COOKIE);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Ok(value),
        _ => Err(Error::Unauthorized),
    }
}

/// The token of the one `Authorization` header.
fn token(call: &Call) -> Result<&str, Error> {
    let mut headers = call.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(Error::Unauthorized);
    };
    let (scheme, token) = header.to_str().ok().and_then(|h| h.split_once(' ')).ok_or(Error::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Error::Unauthorized);
    }
    Ok(token)
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
        let company = match self.app.hosts.get(&self.place, now) {
            Some(company) => company,
            None => {
                let endpoint = &self.app.config.secrets.database;
                let company = directory::company_by_host(&*self.platform, endpoint, host, kind).await?;
                let company = company.ok_or(Error::NotFound)?;
                self.app.hosts.put(self.place.clone(), company.clone(), now);
                company
            }
        };
        // A subdomain that was given up of late leads to the present one, and lets nobody in by itself.
        if kind == "slug" && host != company.slug {
            return Err(Error::Moved(self.app.config.root.company_url(&company.slug) + &self.asked()));
        }
        Ok(company)
    }
}

/// The companies behind hosts.
pub type Hosts = Recent<Place, Company>;
/// Origins that companies list.
pub type Origins = Recent<(CompanyId, String), ()>;
