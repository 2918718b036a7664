//! A company's own domains: names that it claims, and that answer once the DNS proves that they are its own.
//!
//! It never lets a claim alone take a name or keep it from others, and never gives one away whose holder proves it still.

pub(crate) mod proof;
pub(crate) mod watch;

use base64ct::{Base64UrlUnpadded, Encoding};
use http::{Response, StatusCode};
use serde::Deserialize;

use self::proof::{LABEL, TXT};
use crate::config::{Config, DOMAIN_CHECKS_A_MINUTE, DOMAIN_GRACE_DAYS, DOMAINS, Place, host_and_port};
use crate::error::Error;
use crate::fields::Field;
use crate::idempotency::once;
use crate::ids::{AuditId, DomainId};
use crate::params;
use crate::platform::{Body, Platform};
use crate::routes::{Call, json as answer, no_content};
use crate::sessions::count;
use crate::tenant::auth::{self, Member};
use crate::tenant::postgres::Batch;
use crate::tenant::{TenantScope, TenantSql};
use crate::upkeep;
use crate::website::address::is_public;

/// `GET /v1/domains`: the names that the company claims, with what must be in the DNS for each, and where each leads by CNAME.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    let scope = &member.scope;
    let mut batch = scope.batch();
    let domains = batch.add::<Field>(DOMAIN_LIST, params![DOMAIN_GRACE_DAYS, None::<DomainId>]);
    let domains = batch.send().await?.fields(domains)?;
    let cname = Field::Text(scope.app().config.root.company_host(scope.slug()));
    let shown = vec![("cname".to_owned(), cname), ("domains".to_owned(), Field::List(domains))];
    answer(StatusCode::OK, &Field::Object(shown))
}

/// `POST /v1/domains`: claims a name. Nothing changes for anybody until [`verify`] finds its record.
///
/// # Errors
/// [`Error::Invalid`] for a name that cannot be a company's, [`Error::Conflict`] when it is claimed already or there are too many.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewDomain>().await?;
    let scope = &member.scope;
    let host = name(&new.host, &scope.app().config)?;
    let (id, token) = (DomainId::new(scope.platform()), token(scope.platform()));
    let mut batch = scope.batch_once();
    let added = batch.run(DOMAIN_ADD, params![id, &host, token, DOMAINS]);
    upkeep::note(member, &mut batch, "domain.added", &host);
    let row = batch.add::<Field>(DOMAIN_LIST, params![DOMAIN_GRACE_DAYS, id]);
    let mut rows = batch.send().await?;
    if rows.count(added)? == 0 {
        return Err(Error::Conflict(format!(
            "This company has {DOMAINS} domains already. Remove one that is not used any more."
        )));
    }
    answer(StatusCode::CREATED, &rows.fields(row)?.pop().ok_or(Error::NotFound)?)
}

/// `POST /v1/domains/{id}/verify`: asks the DNS for the record; where it is, the name answers from now on. A name at which another
/// company answers goes over only when that company's record is not there.
///
/// # Errors
/// [`Error::Conflict`] with what is missing, [`Error::NotFound`], [`Error::TooMany`].
pub async fn verify(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<DomainId>()?;
    let scope = &member.scope;
    let mut batch = scope.batch();
    let claim = batch.add::<Claim>(CLAIM_READ, params![id]);
    let claim = batch.send().await?.one(claim)?;
    count_try(scope).await?;
    let Claim { host, token } = &claim;
    let texts = proof::texts(scope, host).await.ok_or_else(|| {
        Error::Conflict(format!(
            "The DNS did not answer for {LABEL}.{host}. Try again in a few minutes; if it goes on, ask whoever runs your DNS."
        ))
    })?;
    if !proof::is_in(&texts, token) {
        return Err(Error::Conflict(missing(host, token, &texts)));
    }
    match take(&member, id, host).await {
        Err(Error::Conflict(_)) => {}
        done => return done,
    }
    if let Some(holder) = auth::holder(&call, host).await?
        && !watch::is_proved(&holder, host, &texts).await?
    {
        watch::lose(&holder, host, watch::TAKEN).await?;
    }
    // Of two that come here at once the database lets one in.
    take(&member, id, host).await.map_err(|error| match error {
        Error::Conflict(_) => Error::Conflict(format!(
            "Another company here has {host}. If the name is yours, remove every other record at {LABEL}.{host} and check again; \
             if that does not help, ask whoever runs this platform."
        )),
        other => other,
    })
}

/// Has the name answer as this company's.
async fn take(member: &Member, id: DomainId, host: &str) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let taken = batch.run(HOST_TAKE, params![id]);
    batch.run(DOMAIN_PROVED, params![id]);
    upkeep::note(member, &mut batch, "domain.verified", &host);
    let row = batch.add::<Field>(DOMAIN_LIST, params![DOMAIN_GRACE_DAYS, id]);
    let mut rows = batch.send().await?;
    rows.touched(taken)?;
    answer(StatusCode::OK, &rows.fields(row)?.pop().ok_or(Error::NotFound)?)
}

/// `DELETE /v1/domains/{id}`: gives a name up. It answers as nobody's, and is free at once for whoever proves that it is theirs.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<DomainId>()?;
    let mut batch = member.scope.batch();
    // Held before its host is looked at, so that nobody proves it between the two.
    batch.run(DOMAIN_HOLD, params![id]);
    batch.run(REMOVAL_NOTE, params![AuditId::new(member.scope.platform()), member.user, id]);
    batch.run(HOST_FREE, params![id]);
    let removed = batch.run(DOMAIN_REMOVE, params![id]);
    batch.send().await?.touched(removed)?;
    Ok(no_content())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDomain {
    host: String,
}

#[derive(Deserialize)]
struct Claim {
    host: String,
    token: String,
}

/// The name as the DNS has it: one of the public DNS, and not of this platform.
fn name(text: &str, config: &Config) -> Result<String, Error> {
    let refuse = |why: &str| Error::Invalid(format!("This name cannot be taken: {why}."));
    let text = text.trim();
    if !text.is_ascii() {
        return Err(refuse(
            "names in other letters are written as the DNS has them, such as xn--mller-kva.de for müller.de",
        ));
    }
    if text.contains(['/', '@', ':', '*', '?', '#']) {
        return Err(refuse(
            "it is the name alone, such as www.acme.com, without https://, path, port or asterisk",
        ));
    }
    let host = match host_and_port(text) {
        Some((host, None)) if host.len() <= HOST_LIMIT && is_public(&host) => host,
        _ => return Err(refuse("it is no name of the public DNS, such as www.acme.com")),
    };
    if !matches!(config.root.place(&host), Some(Place::Custom(_))) {
        return Err(refuse("it is this platform's; change the company's address instead"));
    }
    Ok(host)
}

/// Longest name, characters: its record's name is longer, and the DNS has 253.
const HOST_LIMIT: usize = 200;

/// What the record holds besides its first word: 192 random bits.
fn token(platform: &dyn Platform) -> String {
    let mut random = [0; 24];
    platform.fill_random(&mut random);
    Base64UrlUnpadded::encode_string(&random)
}

/// What is wrong with the records that are there.
fn missing(host: &str, token: &str, texts: &[String]) -> String {
    let others = texts.iter().any(|text| text.trim_start().starts_with(TXT));
    let found = if others { "has another value" } else { "is not in the DNS yet" };
    format!(
        "The TXT record at {LABEL}.{host} {found}. It must hold {TXT}{token}; a change may take an hour to be seen everywhere."
    )
}

async fn count_try(scope: &TenantScope) -> Result<(), Error> {
    let now_s = scope.platform().now_ms() / 1_000;
    let tried = count(scope, scope.key_domain_checks(now_s / 60), 60).await?;
    if tried > DOMAIN_CHECKS_A_MINUTE { Err(Error::TooMany(60 - now_s % 60)) } else { Ok(()) }
}

/// Notes in a batch that the record was found.
pub(crate) fn proved(batch: &mut Batch<'_>, id: DomainId) {
    batch.run(DOMAIN_PROVED, params![id]);
}

/// All of them, or one (`$3`). `$2`: days for which a name answers without its record.
const DOMAIN_LIST: TenantSql = crate::sql!(
    "select d.domain_id, d.host, h.host is not null as answers, '_bulkhead.' || d.host as txt_name,
            'bulkhead=' || d.token as txt_value, d.created_at, d.checked_at, d.proved_at, d.missing_since,
            d.missing_since + make_interval(days => $2) as ends_at
     from domains d
     left join hosts h on h.company_id = d.company_id and h.host = d.host and h.kind = 'custom' and h.released_at is null
     where d.company_id = $1 and ($3::uuid is null or d.domain_id = $3)
     order by d.domain_id"
);

/// Several at once may each find room for one: the limit keeps a list readable and the round's look-ups few.
const DOMAIN_ADD: TenantSql = crate::sql!(
    "insert into domains (company_id, domain_id, host, token)
     select $1, $2, $3, $4
     from companies c
     where c.company_id = $1 and $5 > (select count(*) from domains d where d.company_id = c.company_id)"
);

const CLAIM_READ: TenantSql =
    crate::sql!("select host, token from domains where company_id = $1 and domain_id = $2");

/// A name that another company has raises 23505. The claim is held, so that nobody removes it meanwhile.
const HOST_TAKE: TenantSql = crate::sql!(
    "with claim as (
         select host from domains where company_id = $1 and domain_id = $2 for key share
     )
     insert into hosts (company_id, host, kind)
     select $1, host, 'custom' from claim
     on conflict (company_id, host) do update set released_at = null"
);

const DOMAIN_PROVED: TenantSql = crate::sql!(
    "update domains
     set checked_at = now(), proved_at = now(), missing_since = null
     where company_id = $1 and domain_id = $2"
);

const DOMAIN_HOLD: TenantSql =
    crate::sql!("select from domains where company_id = $1 and domain_id = $2 for update");

/// Under the name, since nobody will know the id.
const REMOVAL_NOTE: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, user_id, action, target)
     select $1, $2, 'member', $3, 'domain.removed', host
     from domains
     where company_id = $1 and domain_id = $4"
);

const HOST_FREE: TenantSql = crate::sql!(
    "update hosts
     set released_at = now()
     where company_id = $1 and kind = 'custom' and released_at is null
       and host = (select d.host from domains d where d.company_id = $1 and d.domain_id = $2)"
);

const DOMAIN_REMOVE: TenantSql = crate::sql!("delete from domains where company_id = $1 and domain_id = $2");

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let secret = Base64UrlUnpadded::encode_string(&[7; 32]);
        let parsed = Config::parse(&|name| match name {
            "ROOT_URL" => Some("https://platform.com".to_owned()),
            "DATABASE_URL" => Some("postgres://u:p@h/d".to_owned()),
            "SQL_URL" => Some("https://h/sql".to_owned()),
            "UPSTASH_REDIS_REST_URL" => Some("https://r".to_owned()),
            "UPSTASH_REDIS_REST_TOKEN" => Some("t".to_owned()),
            "JWT_KEYS" => Some(format!("k:{secret}")),
            "MASTER_KEYS" => Some(format!("1:{secret}")),
            _ => None,
        });
        parsed.unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn names() {
        let config = config();
        let taken = |text: &str| name(text, &config).ok();
        for (text, host) in [
            ("www.acme.com", "www.acme.com"),
            (" WWW.Acme.COM\n", "www.acme.com"),
            ("acme.com", "acme.com"),
            ("xn--mller-kva.de", "xn--mller-kva.de"),
            ("acme.xn--p1ai", "acme.xn--p1ai"),
            ("notplatform.com", "notplatform.com"),
            ("platform.com.acme.org", "platform.com.acme.org"),
        ] {
            assert_eq!(taken(text).as_deref(), Some(host), "{text:?}");
        }
        let long = format!("{}com", "a.".repeat(100));
        for text in [
            "",
            ".",
            "acme",
            "localhost",
            "com",
            "127.0.0.1",
            "2130706433",
            "1.2.3.0x4",
            "[::1]",
            "acme.com.",
            ".acme.com",
            "a..com",
            "-a.com",
            "a_b.com",
            "*.acme.com",
            "acme.com:443",
            "https://acme.com",
            "acme.com/",
            "x@acme.com",
            "müller.de",
            "acme。com",
            "acme.com\u{200b}",
            "a b.com",
            "acme.local",
            "acme.internal",
            "acme.test",
            "acme.example",
            "1.0.0.127.in-addr.arpa",
            "platform.com",
            "PLATFORM.com",
            "a.platform.com",
            "a.b.platform.com",
            "_bulkhead.acme.com",
            &long,
        ] {
            assert_eq!(taken(text), None, "{text:?}");
        }
    }
}
