//! Contexts: the four texts that stand in front of every prompt, as the company's people change them.
//!
//! It never adds or removes one: an agent without its rules would answer all the same.

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::error::Error;
use crate::ids::ContextId;
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// `GET /v1/contexts`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "contexts", CONTEXT_ALL).await
}

/// `PATCH /v1/contexts/{id}`: the text is the company's own from then on.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ContextId>()?;
    let new = call.json::<ContextChange>().await?;
    check_texts(&[("body", Some(&new.body), 8_000)])?;
    let row = Row { id, read: CONTEXT_READ, action: "context.changed" };
    row.written(&member, StatusCode::OK, vec![(CONTEXT_CHANGE, params![id, new.body])]).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextChange {
    body: String,
}

const CONTEXT_ALL: TenantSql = crate::sql!(
    "select context_id, kind, body, origin, updated_at from gpt_contexts where company_id = $1 order by position, kind"
);

const CONTEXT_READ: TenantSql = crate::sql!(
    "select context_id, kind, body, origin, updated_at from gpt_contexts where company_id = $1 and context_id = $2"
);

const CONTEXT_CHANGE: TenantSql = crate::sql!(
    "update gpt_contexts set body = $3, origin = 'company', updated_at = now() where company_id = $1 and context_id = $2"
);
