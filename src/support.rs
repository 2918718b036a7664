//! The operator's support: let in for a while and for a reason, by a link that is good once, with a role of its own; the
//! company's owner sees it, ends it, or forbids it altogether.
//!
//! It never lets anybody in by itself: an access is made by the operator's tool, as the schema's owner. What support may do is
//! in [`crate::roles`]; that its access is open is checked with each batch of its own.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::fields::Field;
use crate::ids::{AuditId, SupportId};
use crate::links::Token;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer, no_content};
use crate::tenant::auth::Member;
use crate::tenant::{TenantScope, TenantSql};
use crate::upkeep;

/// `GET /v1/support`: whether support may enter, and who did when and why, newest first.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let allowed = batch.add::<Allowed>(ALLOWED_READ, params![]);
    let accesses = batch.add::<Field>(ACCESS_LIST, params![]);
    let mut rows = batch.send().await?;
    let allowed = Field::Bool(rows.one(allowed)?.allowed);
    let accesses = Field::List(rows.fields(accesses)?);
    answer(
        StatusCode::OK,
        &Field::Object(vec![("allowed".to_owned(), allowed), ("accesses".to_owned(), accesses)]),
    )
}

/// `PUT /v1/support`: whether support may enter. Forbidden, whoever is in is out with the next request, and no link is good.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn allow(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let Allowed { allowed } = call.json::<Allowed>().await?;
    let mut batch = member.scope.batch();
    batch.run(ALLOWED_SET, params![allowed]);
    if !allowed {
        batch.run(ALL_END, params![]);
    }
    let action = if allowed { "support.allowed" } else { "support.forbidden" };
    upkeep::note(&member, &mut batch, action, &"");
    batch.send().await?;
    answer(StatusCode::OK, &json!({ "allowed": allowed }))
}

/// `POST /v1/support/{id}/end`: ends an access, used or not; the session's next request is refused.
///
/// # Errors
/// [`Error::NotFound`], also for one that has ended.
pub async fn end(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<SupportId>()?;
    let mut batch = member.scope.batch();
    let ended = batch.run(ACCESS_END, params![id]);
    upkeep::note(&member, &mut batch, "support.ended", &id);
    batch.send().await?.touched(ended)?;
    Ok(no_content())
}

/// Support leaves by itself.
///
/// # Errors
/// As every batch.
pub(crate) async fn leave(member: &Member, access: SupportId) -> Result<(), Error> {
    let mut batch = member.scope.batch();
    batch.run(ACCESS_END, params![access]);
    upkeep::note(member, &mut batch, "support.left", &"");
    batch.send().await.map(|_| ())
}

/// Uses a link, once: gives what the browser's cookie holds, and how many seconds it lasts.
///
/// # Errors
/// [`Error::LinkEnded`] for one that was used, has ended or never was, and where the company lets nobody in.
pub(crate) async fn enter(scope: &TenantScope, token: &str) -> Result<(String, u64), Error> {
    let token = Token::parse(token).ok_or(Error::LinkEnded)?;
    let mut batch = scope.batch();
    let event = AuditId::new(scope.platform());
    let entered = batch.add::<Entered>(ACCESS_USE, params![&token.hash()[..], event]);
    let entered = batch.send().await?.maybe(entered)?.ok_or(Error::LinkEnded)?;
    Ok((scope.support_token(entered.access_id)?, entered.minutes * 60))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allowed {
    allowed: bool,
}

#[derive(Deserialize)]
struct Entered {
    access_id: SupportId,
    minutes: u64,
}

const ALLOWED_READ: TenantSql =
    crate::sql!("select support_allowed as allowed from companies where company_id = $1");

const ALLOWED_SET: TenantSql = crate::sql!("update companies set support_allowed = $2 where company_id = $1");

const ACCESS_LIST: TenantSql = crate::sql!(
    "select access_id, operator, reason, minutes, created_at, used_at, coalesce(ends_at, link_expires_at) as ends_at, ended_at,
            ended_at is null and coalesce(ends_at, link_expires_at) > now() as open
     from support_accesses
     where company_id = $1
     order by created_at desc, access_id
     limit 100"
);

/// Those in which support is now.
pub(crate) const ENTERED_LIST: TenantSql = crate::sql!(
    "select operator, reason, ends_at
     from support_accesses
     where company_id = $1 and ended_at is null and ends_at > now()
     order by ends_at, access_id
     limit 5"
);

/// Of two at once the second waits for the first, and then finds the link used.
const ACCESS_USE: TenantSql = crate::sql!(
    "with access as (
         update support_accesses a
         set used_at = now(), ends_at = now() + make_interval(mins => a.minutes)
         from companies c
         where a.company_id = $1 and a.token_hash = $2 and a.used_at is null and a.ended_at is null
           and a.link_expires_at > now() and c.company_id = a.company_id and c.support_allowed
         returning a.access_id, a.minutes),
     noted as (
         insert into audit_events (company_id, event_id, actor, user_id, action)
         select $1, $3, 'support', access_id, 'support.entered' from access)
     select access_id, minutes from access"
);

const ACCESS_END: TenantSql = crate::sql!(
    "update support_accesses
     set ended_at = now()
     where company_id = $1 and access_id = $2 and ended_at is null and coalesce(ends_at, link_expires_at) > now()"
);

const ALL_END: TenantSql = crate::sql!(
    "update support_accesses
     set ended_at = now()
     where company_id = $1 and ended_at is null and coalesce(ends_at, link_expires_at) > now()"
);

/// Notes the end of those whose time is over, as of when it was; to be run now and then. The event has the access's own id, so
/// that it is noted once.
pub(crate) const OVER_NOTE: TenantSql = crate::sql!(
    "with over as (
         update support_accesses
         set ended_at = coalesce(ends_at, link_expires_at)
         where company_id = $1 and ended_at is null and coalesce(ends_at, link_expires_at) <= now()
         returning access_id, ended_at)
     insert into audit_events (company_id, event_id, actor, user_id, action, created_at)
     select $1, access_id, 'support', access_id, 'support.over', ended_at from over
     on conflict do nothing"
);
