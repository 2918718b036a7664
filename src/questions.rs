//! Questions: what an agent asks somebody who may become a customer, and what a visitor can ask with one tap.
//!
//! It never puts one into a conversation: agents and pages do.

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::error::Error;
use crate::idempotency::once;
use crate::ids::{QuestionId, ReplyId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// What an agent asks somebody who may become a customer, in this order: `question`.
pub const ASKED_LIST: TenantSql =
    crate::sql!("select question from lead_questions where company_id = $1 order by position, question_id");

/// `GET /v1/lead-questions`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "questions", QUESTION_LIST).await
}

/// `POST /v1/lead-questions`: adds one behind the others.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewQuestion>().await?;
    check_texts(&[("question", Some(&new.question), 300)])?;
    let id = QuestionId::new(member.scope.platform());
    let row = Row { id, read: QUESTION_READ, action: "lead-question.added" };
    row.written(member, StatusCode::CREATED, vec![(QUESTION_ADD, params![id, new.question])]).await
}

/// `PATCH /v1/lead-questions/{id}`: changes what is given.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<QuestionId>()?;
    let new = call.json::<QuestionChange>().await?;
    check_texts(&[("question", new.question.as_ref(), 300)])?;
    check_position(new.position)?;
    let row = Row { id, read: QUESTION_READ, action: "lead-question.changed" };
    let fields = params![id, new.question, new.position];
    row.written(&member, StatusCode::OK, vec![(QUESTION_CHANGE, fields)]).await
}

/// `DELETE /v1/lead-questions/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<QuestionId>()?;
    upkeep::removed(&member, "lead-question.removed", &id, vec![(QUESTION_REMOVE, params![id])]).await
}

/// `GET /v1/quick-replies`.
///
/// # Errors
/// As every batch.
pub async fn quick_list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "quick_replies", QUICK_LIST).await
}

/// `POST /v1/quick-replies`: adds one behind the others.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn quick_add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, quick_add_once(&member, &call)).await
}

async fn quick_add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewQuick>().await?;
    check_texts(&[("text", Some(&new.body), 60)])?;
    let id = ReplyId::new(member.scope.platform());
    let row = Row { id, read: QUICK_READ, action: "quick-reply.added" };
    row.written(member, StatusCode::CREATED, vec![(QUICK_ADD, params![id, new.body])]).await
}

/// `PATCH /v1/quick-replies/{id}`: changes what is given.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn quick_change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ReplyId>()?;
    let new = call.json::<QuickChange>().await?;
    check_texts(&[("text", new.body.as_ref(), 60)])?;
    check_position(new.position)?;
    let row = Row { id, read: QUICK_READ, action: "quick-reply.changed" };
    row.written(&member, StatusCode::OK, vec![(QUICK_CHANGE, params![id, new.body, new.position])]).await
}

/// `DELETE /v1/quick-replies/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn quick_remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ReplyId>()?;
    upkeep::removed(&member, "quick-reply.removed", &id, vec![(QUICK_REMOVE, params![id])]).await
}

fn check_position(position: Option<u32>) -> Result<(), Error> {
    match position {
        Some(1_001..) => Err(Error::Invalid("position takes 0 to 1000.".into())),
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewQuestion {
    question: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuestionChange {
    question: Option<String>,
    position: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewQuick {
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuickChange {
    body: Option<String>,
    position: Option<u32>,
}

const QUESTION_LIST: TenantSql = crate::sql!(
    "select question_id, question, position from lead_questions where company_id = $1 order by position, question_id"
);

const QUESTION_READ: TenantSql = crate::sql!(
    "select question_id, question, position from lead_questions where company_id = $1 and question_id = $2"
);

const QUESTION_ADD: TenantSql = crate::sql!(
    "insert into lead_questions (company_id, question_id, question, position)
     select $1, $2, $3, 1 + coalesce(max(q.position), 0)
     from lead_questions q
     where q.company_id = $1"
);

const QUESTION_CHANGE: TenantSql = crate::sql!(
    "update lead_questions
     set question = coalesce($3, question), position = coalesce($4, position)
     where company_id = $1 and question_id = $2"
);

const QUESTION_REMOVE: TenantSql =
    crate::sql!("delete from lead_questions where company_id = $1 and question_id = $2");

const QUICK_LIST: TenantSql = crate::sql!(
    "select reply_id, body, position from quick_replies where company_id = $1 order by position, reply_id"
);

const QUICK_READ: TenantSql =
    crate::sql!("select reply_id, body, position from quick_replies where company_id = $1 and reply_id = $2");

const QUICK_ADD: TenantSql = crate::sql!(
    "insert into quick_replies (company_id, reply_id, body, position)
     select $1, $2, $3, 1 + coalesce(max(r.position), 0)
     from quick_replies r
     where r.company_id = $1"
);

const QUICK_CHANGE: TenantSql = crate::sql!(
    "update quick_replies
     set body = coalesce($3, body), position = coalesce($4, position)
     where company_id = $1 and reply_id = $2"
);

const QUICK_REMOVE: TenantSql =
    crate::sql!("delete from quick_replies where company_id = $1 and reply_id = $2");
