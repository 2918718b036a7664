//! Conversations: what was said, by whom, in which order, and what it cost.
//!
//! It never changes or removes a message.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::ids::{ConversationId, MessageId};
use crate::llm::Turn;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Visitor;

/// `GET /v1/conversations/{id}/messages`: a visitor's own conversation, oldest message first.
///
/// # Errors
/// [`Error::NotFound`] when it is not there or not this visitor's.
pub async fn messages(visitor: Visitor, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ConversationId>()?;
    let mut batch = visitor.scope.batch();
    let conversation = batch.run(CONVERSATION_READ, params![id, visitor.id]);
    let messages = batch.add::<Message>(MESSAGE_LIST, params![id, visitor.id]);
    let mut rows = batch.send().await?;
    rows.touched(conversation)?;
    answer(StatusCode::OK, &json!({ "conversation_id": id, "messages": rows.all(messages)? }))
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// The end customer.
    Visitor,
    /// The company's agent.
    Agent,
    /// A person of the company.
    Member,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A model.
    Model,
    /// The knowledge base alone, word for word.
    Knowledge,
    /// Neither: there was no answer.
    None,
}

impl Source {
    /// As the database spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Knowledge => "knowledge",
            Self::None => "none",
        }
    }
}

/// Something said before, for a prompt.
#[derive(Debug, Deserialize)]
pub struct Said {
    author: Author,
    body: String,
}

impl Said {
    /// As a turn of a prompt.
    #[must_use]
    pub fn to_turn(&self) -> Turn {
        match self.author {
            Author::Visitor => Turn::User(self.body.clone()),
            // To a model, people of the company are on its own side.
            Author::Agent | Author::Member => Turn::answer(self.body.clone()),
        }
    }

    /// Whether a person of the company said it.
    #[must_use]
    pub fn by_person(&self) -> bool {
        self.author == Author::Member
    }
}

#[derive(Serialize, Deserialize)]
struct Message {
    message_id: MessageId,
    author: Author,
    /// First name of the person of the company who wrote it.
    person: Option<String>,
    body: String,
    complete: bool,
    source: Option<Source>,
    citations: serde_json::Value,
    created_at: String,
}

pub(crate) const CONVERSATION_READ: TenantSql = crate::sql!(
    "select conversation_id from conversations where company_id = $1 and conversation_id = $2 and visitor_id = $3"
);

const MESSAGE_LIST: TenantSql = crate::sql!(
    "select m.message_id, m.author, split_part(u.name, ' ', 1) as person, m.body, m.complete, m.source, m.citations, m.created_at
     from conversations c
     join messages m on m.company_id = c.company_id and m.conversation_id = c.conversation_id
     left join users u on u.company_id = m.company_id and u.user_id = m.user_id
     where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3
     order by m.message_id
     limit 1000"
);

/// Begins a conversation with the agent of a short name (`$4`), or with the default one; touches nothing when there is none.
/// Whether it is a trial of the company's own people is `$5`.
pub const CONVERSATION_BEGIN: TenantSql = crate::sql!(
    "insert into conversations (company_id, conversation_id, agent_id, visitor_id, trial)
     select $1, $2, a.agent_id, $3, $5
     from agents a
     where a.company_id = $1 and a.enabled
       and case when $4::text is null then a.is_default else a.slug = $4 end"
);

/// Refuses, and with it the whole batch, a conversation that has as many questions as it may have.
pub(crate) const QUESTIONS_GUARD: TenantSql = crate::sql!(
    "select case when count(*) >= min(b.conversation_questions) then refuse('BH410') end
     from conversations c
     join budgets b on b.company_id = c.company_id
     join messages m on m.company_id = c.company_id and m.conversation_id = c.conversation_id and m.author = 'visitor'
     where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3"
);

/// Stores a question in a visitor's own conversation; touches nothing in another's. The same request twice (`$6`) breaks a
/// unique key.
pub(crate) const QUESTION_ADD: TenantSql = crate::sql!(
    "insert into messages (company_id, message_id, conversation_id, author, body, request_hash)
     select $1, $2, c.conversation_id, 'visitor', $4, $6
     from conversations c
     join agents a on a.company_id = c.company_id and a.agent_id = c.agent_id and a.enabled
     where c.company_id = $1 and c.conversation_id = $3 and c.visitor_id = $5"
);

/// The question of a request that came before, and its answer if that is there already.
pub(crate) const REQUEST_READ: TenantSql = crate::sql!(
    "select q.message_id, q.conversation_id, q.body as question, a.message_id as answer_id, a.body as answer, a.complete,
            a.source, a.citations, g.slug as agent_slug, g.name as agent_name
     from messages q
     join conversations c on c.company_id = q.company_id and c.conversation_id = q.conversation_id
     join agents g on g.company_id = c.company_id and g.agent_id = c.agent_id
     left join messages a on a.company_id = q.company_id and a.answers = q.message_id
     where q.company_id = $1 and q.request_hash = $2 and c.visitor_id = $3"
);

/// Notes that a person was asked for.
pub(crate) const HAND_OVER: TenantSql = crate::sql!(
    "update conversations
     set handed_over_at = coalesce(handed_over_at, now())
     where company_id = $1 and conversation_id = $2 and visitor_id = $3"
);

/// What was said before a message in a visitor's conversation, oldest first.
pub(crate) const HISTORY_LIST: TenantSql = crate::sql!(
    "select author, body
     from (select m.author, m.body, m.message_id
           from conversations c
           join messages m on m.company_id = c.company_id and m.conversation_id = c.conversation_id
           where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3 and m.message_id < $4
           order by m.message_id desc
           limit 24) recent
     order by message_id"
);

/// Stores an answer once, however often it is offered.
pub(crate) const ANSWER_ADD: TenantSql = crate::sql!(
    "insert into messages (company_id, message_id, conversation_id, author, body, complete, source, citations, answers)
     values ($1, $2, $3, 'agent', $4, $5, $6, $7, $8)
     on conflict (company_id, message_id) do nothing"
);
