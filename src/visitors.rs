//! What a company has of one visitor, for whoever asks about their own data: all of it to read, and all of it gone.
//!
//! It never touches another visitor's rows, and what the audit log keeps of it is the visitor's id alone.

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::error::Error;
use crate::fields::Field;
use crate::ids::{AuditId, ConversationId, MessageId, VisitorId};
use crate::memory;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer, no_content};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::tenant::postgres::Batch;

/// Messages on a page.
const PAGE: usize = 1_000;

/// `GET /v1/visitors/{id}`: all that the company has of a visitor. What was said comes at most 1,000 messages at a time, oldest
/// first; `after` is the id of the message after which the next ones come.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for an `after` that is no id.
pub async fn export(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<VisitorId>()?;
    let after = call.query("after").map(|after| after.parse::<MessageId>()).transpose();
    let after = after.map_err(|_| Error::Invalid("after is the id of a message.".into()))?;
    let mut batch = member.scope.batch();
    let known = note(&member, &mut batch, "visitor.exported", id);
    let parts = [
        ("contact", CONTACT_READ),
        ("identity", IDENTITY_READ),
        ("leads", LEAD_LIST),
        ("conversations", CONVERSATION_LIST),
        ("notes", NOTE_LIST),
        ("memories", MEMORY_LIST),
    ];
    let parts = parts.map(|(name, sql)| (name, batch.add::<Field>(sql, params![id])));
    let messages = batch.add::<Field>(MESSAGE_LIST, params![id, after]);
    let mut rows = batch.send().await?;
    rows.touched(known)?;
    let mut fields = Vec::with_capacity(parts.len() + 1);
    for (name, slot) in parts {
        fields.push((name.to_owned(), Field::List(rows.fields(slot)?)));
    }
    let mut messages = rows.fields(messages)?;
    let more = messages.len() > PAGE;
    messages.truncate(PAGE);
    fields.push(("messages".to_owned(), Field::List(messages)));
    fields.push(("more".to_owned(), Field::Bool(more)));
    answer(StatusCode::OK, &Field::Object(fields))
}

/// `DELETE /v1/visitors/{id}`: conversations with all that was said, noted and rated in them, what agents remember of the visitor
/// in Postgres and in Redis, drafts that a model wrote for their questions, how to reach them, and their leads. What model calls
/// cost stays, without a word of them.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Unavailable`] when Redis does not answer: then nothing is gone yet.
pub async fn erase(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<VisitorId>()?;
    let mut batch = member.scope.batch();
    let conversations = batch.add::<Had>(CONVERSATION_IDS, params![id]);
    let conversations = batch.send().await?.all(conversations)?;
    let conversations: Vec<_> = conversations.iter().map(|had| had.conversation_id).collect();
    memory::forget(&member.scope, &conversations).await?;
    let mut batch = member.scope.batch();
    let known = note(&member, &mut batch, "visitor.erased", id);
    for sql in [
        DRAFTS_REMOVE,
        NOTICES_REMOVE,
        OUTBOX_REMOVE,
        CONVERSATIONS_REMOVE,
        MEMORIES_REMOVE,
        IDENTITY_REMOVE,
        CONTACT_REMOVE,
    ] {
        batch.run(sql, params![id]);
    }
    batch.send().await?.touched(known)?;
    Ok(no_content())
}

/// Notes it, if the company knows the visitor; touches no row if not.
fn note(
    member: &Member,
    batch: &mut Batch<'_>,
    action: &'static str,
    id: VisitorId,
) -> crate::tenant::postgres::Slot<()> {
    batch.run(VISITOR_NOTE, params![AuditId::new(member.scope.platform()), member.user, action, id])
}

#[derive(Deserialize)]
struct Had {
    conversation_id: ConversationId,
}

const VISITOR_NOTE: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, user_id, action, target)
     select $1, $2, 'member', $3, $4, $5::uuid::text
     where exists (select from conversations where company_id = $1 and visitor_id = $5::uuid)
        or exists (select from contacts where company_id = $1 and visitor_id = $5::uuid)
        or exists (select from visitor_identities where company_id = $1 and visitor_id = $5::uuid)
        or exists (select from memories where company_id = $1 and visitor_id = $5::uuid)"
);

const CONTACT_READ: TenantSql = crate::sql!(
    "select contact_id, name, email, phone, created_at from contacts where company_id = $1 and visitor_id = $2"
);

const IDENTITY_READ: TenantSql = crate::sql!(
    "select subject, name, email, verified_at from visitor_identities where company_id = $1 and visitor_id = $2"
);

const LEAD_LIST: TenantSql = crate::sql!(
    "select l.lead_id, l.message, l.status, l.conversation_id, l.created_at
     from leads l
     join contacts k on k.company_id = l.company_id and k.contact_id = l.contact_id
     where l.company_id = $1 and k.visitor_id = $2
     order by l.lead_id
     limit 1000"
);

const CONVERSATION_LIST: TenantSql = crate::sql!(
    "select c.conversation_id, a.name as agent, c.created_at, c.closed_at
     from conversations c
     join agents a on a.company_id = c.company_id and a.agent_id = c.agent_id
     where c.company_id = $1 and c.visitor_id = $2
     order by c.conversation_id
     limit 1000"
);

const NOTE_LIST: TenantSql = crate::sql!(
    "select n.note_id, n.conversation_id, n.body, n.created_at
     from conversations c
     join conversation_notes n on n.company_id = c.company_id and n.conversation_id = c.conversation_id
     where c.company_id = $1 and c.visitor_id = $2
     order by n.note_id
     limit 1000"
);

const MEMORY_LIST: TenantSql = crate::sql!(
    "select body, created_at, expires_at
     from memories
     where company_id = $1 and visitor_id = $2
     order by memory_id
     limit 1000"
);

/// One more than a page has.
const MESSAGE_LIST: TenantSql = crate::sql!(
    "select m.message_id, m.conversation_id, m.author, m.body, m.created_at, r.good, r.remark
     from conversations c
     join messages m on m.company_id = c.company_id and m.conversation_id = c.conversation_id
     left join message_ratings r on r.company_id = m.company_id and r.message_id = m.message_id
     where c.company_id = $1 and c.visitor_id = $2 and ($3::uuid is null or m.message_id > $3)
     order by m.message_id
     limit 1001"
);

/// More than anybody has: what is said in one beyond them Redis forgets within a day by itself.
const CONVERSATION_IDS: TenantSql = crate::sql!(
    "select conversation_id
     from conversations
     where company_id = $1 and visitor_id = $2
     order by conversation_id desc
     limit 2000"
);

/// Drafts of a model's for questions that this visitor asked in vain, and nobody else.
const DRAFTS_REMOVE: TenantSql = crate::sql!(
    "delete from knowledge_drafts d
     where d.company_id = $1 and d.source = 'model'
       and d.unanswered_id in (
               select text_digest(q.body)
               from conversations c
               join messages q on q.company_id = c.company_id and q.conversation_id = c.conversation_id and q.author = 'visitor'
               where c.company_id = $1 and c.visitor_id = $2)
       and not exists (select from messages a
                       join messages q on q.company_id = a.company_id and q.message_id = a.answers
                       join conversations c on c.company_id = q.company_id and c.conversation_id = q.conversation_id
                       where a.company_id = $1 and a.source = 'none' and text_digest(q.body) = d.unanswered_id
                         and c.visitor_id <> $2)"
);

const NOTICES_REMOVE: TenantSql = crate::sql!(
    "delete from notices n
     using conversations c
     where n.company_id = $1 and c.company_id = n.company_id and c.conversation_id = n.conversation_id and c.visitor_id = $2"
);

/// What was told of them, or waits to be.
const OUTBOX_REMOVE: TenantSql = crate::sql!(
    "delete from outbox o
     where o.company_id = $1
       and (o.payload ->> 'conversation_id' in (
                select c.conversation_id::text from conversations c where c.company_id = $1 and c.visitor_id = $2)
            or o.payload ->> 'lead_id' in (
                select l.lead_id::text
                from contacts k
                join leads l on l.company_id = k.company_id and l.contact_id = k.contact_id
                where k.company_id = $1 and k.visitor_id = $2))"
);

const CONVERSATIONS_REMOVE: TenantSql =
    crate::sql!("delete from conversations where company_id = $1 and visitor_id = $2");

const MEMORIES_REMOVE: TenantSql =
    crate::sql!("delete from memories where company_id = $1 and visitor_id = $2");

const IDENTITY_REMOVE: TenantSql =
    crate::sql!("delete from visitor_identities where company_id = $1 and visitor_id = $2");

/// With it go the leads.
const CONTACT_REMOVE: TenantSql =
    crate::sql!("delete from contacts where company_id = $1 and visitor_id = $2");
