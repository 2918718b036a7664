//! Who works here: people and their roles, one's own sessions, and what was done.
//!
//! It never shows anybody's sessions but one's own, and never changes what the audit log says.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::ids::SessionId;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer, no_content};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep;

/// `GET /v1/team`: the people, and what each may do.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    people(&member).await
}

/// The same, for a page that shows more.
///
/// # Errors
/// As every batch.
pub(crate) async fn people(member: &Member) -> Result<Response<Body>, Error> {
    upkeep::list(member, "people", PERSON_LIST).await
}

/// `GET /v1/audit`: what people, agents and the platform did, newest first.
///
/// # Errors
/// As every batch.
pub async fn audit(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "events", EVENT_LIST).await
}

/// `GET /v1/sessions`: one's own that are open.
///
/// # Errors
/// As every batch.
pub async fn sessions(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let sessions = batch.add::<Session>(SESSION_LIST, params![member.user, member.session]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "sessions": rows.all(sessions)? }))
}

/// `DELETE /v1/sessions/{id}`: ends one of one's own, wherever it is; also this one.
///
/// # Errors
/// [`Error::NotFound`], also for a colleague's.
pub async fn session_end(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<SessionId>()?;
    let mut batch = member.scope.batch();
    let ended = batch.run(SESSION_END, params![id, member.user]);
    upkeep::note(&member, &mut batch, "session.ended", &id);
    batch.send().await?.touched(ended)?;
    Ok(no_content())
}

#[derive(Serialize, Deserialize)]
struct Session {
    session_id: SessionId,
    /// Whether it is the one that asks.
    this: bool,
    created_at: String,
    refreshed_at: String,
    expires_at: String,
}

const PERSON_LIST: TenantSql = crate::sql!(
    "select u.user_id, u.name, u.email, m.role, u.totp_enabled_at is not null as two_step,
            u.email_verified_at is not null as email_verified, m.created_at, m.ended_at
     from memberships m
     join users u on u.company_id = m.company_id and u.user_id = m.user_id
     where m.company_id = $1
     order by m.ended_at is not null, m.created_at, u.user_id
     limit 500"
);

const EVENT_LIST: TenantSql = crate::sql!(
    "select e.event_id, e.actor, coalesce(u.name, a.operator) as person, e.action, e.target, e.created_at
     from audit_events e
     left join users u on u.company_id = e.company_id and u.user_id = e.user_id
     left join support_accesses a on a.company_id = e.company_id and a.access_id = e.user_id
     where e.company_id = $1
     order by e.created_at desc, e.event_id desc
     limit 100"
);

const SESSION_LIST: TenantSql = crate::sql!(
    "select session_id, session_id = $3 as this, created_at, refreshed_at, expires_at
     from sessions
     where company_id = $1 and user_id = $2 and revoked_at is null and expires_at > now()
     order by created_at desc, session_id
     limit 200"
);

const SESSION_END: TenantSql = crate::sql!(
    "update sessions set revoked_at = now()
     where company_id = $1 and session_id = $2 and user_id = $3 and revoked_at is null"
);
