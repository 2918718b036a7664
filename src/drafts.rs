//! Drafts: texts that were imported or written by a model, and wait for a person before they are knowledge.
//!
//! No search ever finds one: they are in a table of their own, and only a person's approval makes an entry of one.

mod html;
pub mod import;
mod sections;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::DRAFTS_LIMIT;
use crate::error::Error;
use crate::fields::or_default;
use crate::ids::{DraftId, UnansweredId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::tenant::postgres::{Batch, Slot};
use crate::upkeep::{self, Row};

/// Drafts on a page of a list, and the most that are approved at once.
pub(crate) const PAGE: u32 = 50;

/// `GET /v1/knowledge/drafts`: 50 of them after the first `from`, oldest first. `total` is how many wait.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let from = call.query("from").and_then(|from| from.parse::<u32>().ok()).unwrap_or(0).min(1_000_000);
    let mut batch = member.scope.batch();
    let drafts = batch.add::<Draft>(DRAFT_LIST, params![PAGE, from]);
    let mut rows = batch.send().await?;
    let drafts = rows.all(drafts)?;
    let total = drafts.first().map_or(0, |draft| draft.total);
    answer(StatusCode::OK, &json!({ "drafts": drafts, "total": total }))
}

/// `GET /v1/knowledge/drafts/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let draft = batch.add::<Draft>(DRAFT_READ, params![call.id::<DraftId>()?]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &rows.one(draft)?)
}

/// `PATCH /v1/knowledge/drafts/{id}`: changes what is given; it stays a draft.
///
/// # Errors
/// [`Error::NotFound`] for the draft or the category, or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<DraftId>()?;
    let new = call.json::<Change>().await?;
    check_texts(&[("question", new.question.as_ref(), 500), ("answer", new.answer.as_ref(), 8_000)])?;
    let row = Row { id, read: DRAFT_READ, action: "draft.changed" };
    let fields = params![id, new.category, new.question, new.answer];
    row.written(&member, StatusCode::OK, vec![(DRAFT_CHANGE, fields)]).await
}

/// `DELETE /v1/knowledge/drafts/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<DraftId>()?;
    upkeep::removed(&member, "draft.removed", &id, vec![(DRAFTS_REMOVE, params![vec![id.to_string()]])]).await
}

/// `POST /v1/knowledge/drafts/{id}/approve`: makes an entry of it, which agents find from the next question on.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn approve(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<DraftId>()?;
    match decide(&member, DRAFTS_APPROVE, "draft.approved", vec![id.to_string()], &id.to_string()).await? {
        0 => Err(Error::NotFound),
        _ => answer(StatusCode::OK, &json!({ "entry_id": id })),
    }
}

/// `POST /v1/knowledge/drafts/approve`: makes entries of those whose ids are named, which is how all are approved that
/// somebody has seen.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn approve_all(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let drafts = named(&call).await?;
    let done = decide(&member, DRAFTS_APPROVE, "drafts.approved", drafts, "").await?;
    answer(StatusCode::OK, &json!({ "approved": done }))
}

/// `POST /v1/knowledge/drafts/discard`: removes those whose ids are named.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn discard_all(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let drafts = named(&call).await?;
    let done = decide(&member, DRAFTS_REMOVE, "drafts.removed", drafts, "").await?;
    answer(StatusCode::OK, &json!({ "discarded": done }))
}

async fn named(call: &Call) -> Result<Vec<String>, Error> {
    let named = call.json::<Named>().await?;
    if named.drafts.is_empty() || named.drafts.len() > PAGE as usize {
        return Err(Error::Invalid(format!("drafts takes 1 to {PAGE} ids.")));
    }
    // What is no id is not there.
    Ok(named.drafts.into_iter().filter(|id| id.parse::<DraftId>().is_ok()).collect())
}

async fn decide(
    member: &Member,
    sql: TenantSql,
    action: &'static str,
    drafts: Vec<String>,
    target: &str,
) -> Result<u64, Error> {
    let target = if target.is_empty() { drafts.len().to_string() } else { target.to_owned() };
    let mut batch = member.scope.batch();
    let done = batch.run(sql, params![drafts]);
    upkeep::note(member, &mut batch, action, &target);
    batch.send().await?.count(done)
}

/// Where texts come from.
pub(crate) enum Source {
    /// Pasted or uploaded.
    Text,
    /// A page of the company's website.
    Website,
    /// A model, for this question of visitors.
    Model(UnansweredId),
}

/// What is put in, before it is a row.
pub(crate) struct New {
    pub(crate) id: DraftId,
    pub(crate) question: String,
    pub(crate) answer: String,
    pub(crate) url: Option<String>,
}

/// Puts texts among the drafts of a category, the usual one where its name is empty: those that are not there yet, neither
/// as drafts nor as entries, as far as there is room, in this order. How many that are is what the slot counts.
pub(crate) fn put(batch: &mut Batch<'_>, category: &str, source: &Source, new: &[New]) -> Slot<()> {
    let rows: Vec<Value> = (1_u32..)
        .zip(new)
        .map(|(n, new)| {
            json!({ "n": n, "draft_id": new.id, "question": new.question, "answer": new.answer, "url": new.url })
        })
        .collect();
    let (name, asked) = match source {
        Source::Text => ("text", None),
        Source::Website => ("website", None),
        Source::Model(asked) => ("model", Some(*asked)),
    };
    batch.run(DRAFTS_ADD, params![Value::from(rows), category, name, asked, DRAFTS_LIMIT])
}

/// A draft, as the company's people see it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Draft {
    pub(crate) draft_id: DraftId,
    pub(crate) category: String,
    /// text, website or model.
    pub(crate) source: String,
    pub(crate) source_url: Option<String>,
    pub(crate) question: String,
    pub(crate) answer: String,
    created_at: String,
    /// How many wait, where it is one of a list.
    #[serde(deserialize_with = "or_default", skip_serializing)]
    pub(crate) total: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    category: Option<String>,
    question: Option<String>,
    answer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    drafts: Vec<String>,
}

/// Drafts, oldest first: `$2` of them after the first `$3`.
pub(crate) const DRAFT_LIST: TenantSql = crate::sql!(
    "select d.draft_id, c.slug as category, d.source, d.source_url, d.question, d.answer, d.created_at,
            count(*) over () as total
     from knowledge_drafts d
     join knowledge_categories c on c.company_id = d.company_id and c.category_id = d.category_id
     where d.company_id = $1
     order by d.created_at, d.draft_id
     limit $2 offset $3"
);

pub(crate) const DRAFT_READ: TenantSql = crate::sql!(
    "select d.draft_id, c.slug as category, d.source, d.source_url, d.question, d.answer, d.created_at
     from knowledge_drafts d
     join knowledge_categories c on c.company_id = d.company_id and c.category_id = d.category_id
     where d.company_id = $1 and d.draft_id = $2"
);

/// The draft that a model wrote for a question.
pub(crate) const DRAFT_OF: TenantSql = crate::sql!(
    "select d.draft_id, c.slug as category, d.source, d.source_url, d.question, d.answer, d.created_at
     from knowledge_drafts d
     join knowledge_categories c on c.company_id = d.company_id and c.category_id = d.category_id
     where d.company_id = $1 and d.unanswered_id = $2
     limit 1"
);

/// A microsecond lies between two of them, so that they are listed in the order in which they were offered.
const DRAFTS_ADD: TenantSql = crate::sql!(
    "with offered as (
         select o.n, o.draft_id, o.question, o.answer, o.url, text_digest(o.answer) as digest
         from jsonb_to_recordset($2::jsonb) as o (n integer, draft_id uuid, question text, answer text, url text)
     )
     insert into knowledge_drafts (company_id, draft_id, category_id, source, source_url, question, answer, unanswered_id, created_at)
     select $1, o.draft_id, c.category_id, $4, o.url, o.question, o.answer, $5, now() + o.n * interval '1 microsecond'
     from offered o
     cross join lateral (
         select k.category_id
         from knowledge_categories k
         where k.company_id = $1 and ($3::text = '' or k.slug = $3)
         order by k.slug = 'faq' desc, k.position, k.slug
         limit 1) c
     where o.digest not in (select text_digest(e.answer) from knowledge_entries e where e.company_id = $1)
       and o.digest not in (select d.digest from knowledge_drafts d where d.company_id = $1)
     order by o.n
     limit greatest(0, $6::bigint - (select count(*) from knowledge_drafts d where d.company_id = $1))
     on conflict (company_id, digest) do nothing"
);

const DRAFT_CHANGE: TenantSql = crate::sql!(
    "update knowledge_drafts d
     set category_id = c.category_id, question = coalesce($4, d.question), answer = coalesce($5, d.answer)
     from knowledge_categories c
     where d.company_id = $1 and d.draft_id = $2 and c.company_id = d.company_id
       and case when $3::text is null then c.category_id = d.category_id else c.slug = $3 end"
);

const DRAFTS_REMOVE: TenantSql =
    crate::sql!("delete from knowledge_drafts where company_id = $1 and draft_id = any($2::uuid[])");

/// The entry has the draft's id.
const DRAFTS_APPROVE: TenantSql = crate::sql!(
    "with approved as (
         delete from knowledge_drafts d
         where d.company_id = $1 and d.draft_id = any($2::uuid[])
         returning d.draft_id, d.category_id, d.question, d.answer, d.source_url, d.unanswered_id
     ),
     settled as (
         insert into settled_questions (company_id, unanswered_id, outcome)
         select $1, unanswered_id, 'answered'
         from approved
         where unanswered_id is not null
         group by unanswered_id
         on conflict (company_id, unanswered_id) do update set outcome = 'answered', settled_at = now()
     )
     insert into knowledge_entries (company_id, entry_id, category_id, question, answer, source_url)
     select $1, draft_id, category_id, question, answer, source_url
     from approved"
);
