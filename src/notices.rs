//! Notices: what the company's people should look at.
//!
//! It never sends one anywhere: they are looked for.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::ids::{ConversationId, NoticeId};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer, no_content};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// `GET /v1/notices`: those that nobody has seen first, newest first.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let notices = batch.add::<Notice>(NOTICE_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "notices": rows.all(notices)? }))
}

/// `POST /v1/notices/{id}/seen`: somebody has seen it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn seen(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<NoticeId>()?;
    let mut batch = member.scope.batch();
    let seen = batch.run(NOTICE_SEEN, params![id]);
    batch.send().await?.touched(seen)?;
    Ok(no_content())
}

/// A notice, as the company's people see it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) notice_id: NoticeId,
    pub(crate) kind: String,
    pub(crate) conversation_id: Option<ConversationId>,
    pub(crate) body: String,
    pub(crate) created_at: String,
    pub(crate) seen_at: Option<String>,
}

/// Tells the company's people: kind, conversation, and what happened in a sentence or two.
pub(crate) const NOTICE_ADD: TenantSql = crate::sql!(
    "insert into notices (company_id, notice_id, kind, conversation_id, body) values ($1, $2, $3, $4, $5)"
);

/// Those that nobody has seen first, newest first; none of a trial.
pub(crate) const NOTICE_LIST: TenantSql = crate::sql!(
    "select n.notice_id, n.kind, n.conversation_id, n.body, n.created_at, n.seen_at
     from notices n
     left join conversations c on c.company_id = n.company_id and c.conversation_id = n.conversation_id
     where n.company_id = $1 and c.trial is not true
     order by n.seen_at is not null, n.created_at desc, n.notice_id
     limit 200"
);

const NOTICE_SEEN: TenantSql = crate::sql!(
    "update notices set seen_at = coalesce(seen_at, now()) where company_id = $1 and notice_id = $2"
);
