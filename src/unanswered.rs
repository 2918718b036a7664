//! Questions that nobody answered: what visitors asked in vain, most often first, until a person writes an answer or dismisses it.
//!
//! It never keeps a second copy of what was asked: a question is known by the digest of its text, and read where it was said.

mod writer;

pub use writer::draft;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::idempotency::once;
use crate::ids::{AgentId, ConversationId, EntryId, UnansweredId, VisitorId};
use crate::knowledge::{ENTRY_READ, Entry, NewEntry, no_category};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep;

/// `GET /v1/unanswered`: what was asked in vain in the last 90 days, most often first.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "questions", UNANSWERED_LIST).await
}

/// `GET /v1/unanswered/{id}`: such a question, also one that was settled.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let question = batch.add::<Asked>(UNANSWERED_READ, params![call.id::<UnansweredId>()?]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &rows.one(question)?)
}

/// `POST /v1/unanswered/{id}/answer`: adds an entry that answers it, and settles it. It shows again if it is asked in vain
/// once more.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body or a category that is not there.
pub async fn reply(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, reply_once(&member, &call)).await
}

async fn reply_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let id = call.id::<UnansweredId>()?;
    let new = call.json::<NewEntry>().await?;
    new.check()?;
    let entry = EntryId::new(member.scope.platform());
    let mut batch = member.scope.batch_once();
    let asked = batch.add::<Asked>(UNANSWERED_READ, params![id]);
    let added =
        batch.run(REPLY_ADD, params![entry, &new.category, new.question, new.answer, new.keywords, id]);
    batch.run(UNANSWERED_ANSWERED, params![id, entry]);
    let row = batch.add::<Entry>(ENTRY_READ, params![entry]);
    let mut rows = batch.send().await?;
    rows.one(asked)?;
    if rows.count(added)? == 0 {
        return Err(no_category(&new.category));
    }
    answer(StatusCode::CREATED, &rows.one(row)?)
}

/// `DELETE /v1/unanswered/{id}`: dismisses it; it never shows again.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn dismiss(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<UnansweredId>()?;
    upkeep::removed(&member, "question.dismissed", &id, vec![(UNANSWERED_DISMISS, params![id])]).await
}

/// A question, where it was asked last.
#[derive(Serialize, Deserialize)]
struct Asked {
    unanswered_id: UnansweredId,
    question: String,
    conversation_id: ConversationId,
    /// Whom the visitor asked.
    agent_id: AgentId,
    #[serde(skip_serializing)]
    visitor_id: Option<VisitorId>,
}

/// What a tool did for the visitor without a word from the model was no vain question.
const UNANSWERED_LIST: TenantSql = crate::sql!(
    "with missed as (
         select text_digest(q.body) as unanswered_id, q.body, q.conversation_id, q.message_id, q.created_at
         from messages a
         join messages q on q.company_id = a.company_id and q.message_id = a.answers
         join conversations c on c.company_id = q.company_id and c.conversation_id = q.conversation_id and not c.trial
         where a.company_id = $1 and a.source = 'none' and a.created_at > now() - interval '90 days'
           and not exists (select from tool_calls t
                           where t.company_id = q.company_id and t.message_id = q.message_id and t.done
                             and t.tool <> 'look_up_knowledge')
         order by a.message_id desc
         limit 5000
     )
     select m.unanswered_id, (array_agg(m.body order by m.message_id desc))[1] as question, count(*) as times,
            max(m.created_at) as asked_at,
            (array_agg(m.conversation_id order by m.message_id desc))[1] as conversation_id,
            exists (select from knowledge_drafts d
                    where d.company_id = $1 and d.unanswered_id = m.unanswered_id) as drafted
     from missed m
     where not exists (select from settled_questions s
                       where s.company_id = $1 and s.unanswered_id = m.unanswered_id
                         and (s.outcome = 'dismissed' or s.settled_at >= m.created_at))
     group by m.unanswered_id
     order by count(*) desc, max(m.created_at) desc
     limit 200"
);

const UNANSWERED_READ: TenantSql = crate::sql!(
    "select text_digest(q.body) as unanswered_id, q.body as question, c.conversation_id, c.agent_id, c.visitor_id
     from messages a
     join messages q on q.company_id = a.company_id and q.message_id = a.answers
     join conversations c on c.company_id = q.company_id and c.conversation_id = q.conversation_id
     where a.company_id = $1 and a.source = 'none' and text_digest(q.body) = $2
     order by a.message_id desc
     limit 1"
);

/// An entry, if there is such a question.
const REPLY_ADD: TenantSql = crate::sql!(
    "insert into knowledge_entries (company_id, entry_id, category_id, question, answer, keywords)
     select $1, $2, c.category_id, $4, $5, $6
     from knowledge_categories c
     where c.company_id = $1 and c.slug = $3
       and exists (select from messages a
                   join messages q on q.company_id = a.company_id and q.message_id = a.answers
                   where a.company_id = $1 and a.source = 'none' and text_digest(q.body) = $7)"
);

/// Once its entry is there.
const UNANSWERED_ANSWERED: TenantSql = crate::sql!(
    "insert into settled_questions (company_id, unanswered_id, outcome)
     select $1, $2, 'answered'
     from knowledge_entries e
     where e.company_id = $1 and e.entry_id = $3
     on conflict (company_id, unanswered_id) do update set outcome = 'answered', settled_at = now()"
);

const UNANSWERED_DISMISS: TenantSql = crate::sql!(
    "insert into settled_questions (company_id, unanswered_id, outcome)
     select $1, $2, 'dismissed'
     from messages a
     join messages q on q.company_id = a.company_id and q.message_id = a.answers
     where a.company_id = $1 and a.source = 'none' and text_digest(q.body) = $2
     limit 1
     on conflict (company_id, unanswered_id) do update set outcome = 'dismissed', settled_at = now()"
);
