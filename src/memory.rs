//! What agents remember: a conversation's last turns in Redis, and what a visitor asked before in Postgres.
//!
//! It never believes a key alone: each value names its company and visitor, and one that names others is dropped.

use serde_json::Value;

use crate::error::Error;
use crate::ids::{CompanyId, ConversationId, VisitorId};
use crate::knockout::{Wall, stands};
use crate::llm::Turn;
use crate::platform::Level;
use crate::tenant::auth::Visitor;
use crate::tenant::{TenantScope, TenantSql};

/// One question and its answer, as Redis keeps them.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Remembered {
    company: CompanyId,
    visitor: VisitorId,
    question: String,
    answer: String,
}

impl Remembered {
    /// A turn of this visitor.
    #[must_use]
    pub fn new(visitor: &Visitor, question: &str, answer: &str) -> Self {
        Self {
            company: visitor.scope.company_id(),
            visitor: visitor.id,
            question: question.to_owned(),
            answer: answer.to_owned(),
        }
    }

    /// A value of Redis's, if it is this visitor's at this company.
    #[must_use]
    pub fn of(visitor: &Visitor, value: &Value) -> Option<Self> {
        let remembered: Self = serde_json::from_str(value.as_str()?).ok()?;
        let ours = remembered.company == visitor.scope.company_id() || !stands(Wall::ValueOwner);
        if !ours {
            visitor.scope.log(
                Level::Error,
                "memory not this company's",
                "a value of a conversation's memory was dropped",
            );
        }
        let theirs = remembered.visitor == visitor.id || !stands(Wall::ValueOwner);
        (ours && theirs).then_some(remembered)
    }

    /// As it is kept.
    #[must_use]
    pub fn to_value(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As turns of a prompt.
    #[must_use]
    pub fn into_turns(self) -> [Turn; 2] {
        [Turn::User(self.question), Turn::answer(self.answer)]
    }
}

/// Forgets in Redis what was said in these conversations of late.
///
/// # Errors
/// [`Error::Unavailable`] when Redis does not answer.
pub(crate) async fn forget(scope: &TenantScope, conversations: &[ConversationId]) -> Result<(), Error> {
    let keys: Vec<_> = conversations.iter().map(|conversation| scope.key_memory(*conversation)).collect();
    if !keys.is_empty() {
        scope.redis_eval(FORGET, &keys, &[]).await?;
    }
    Ok(())
}

const FORGET: &str = "
for _, key in ipairs(KEYS) do redis.call('DEL', key) end
return #KEYS
";

/// A memory, as Postgres keeps it.
#[derive(serde::Deserialize)]
pub(crate) struct Recalled {
    pub(crate) body: String,
}

/// What this visitor asked this conversation's agent before, newest first, besides this conversation.
pub(crate) const MEMORY_LIST: TenantSql = crate::sql!(
    "select m.body
     from conversations c
     join memories m on m.company_id = c.company_id and m.agent_id = c.agent_id and m.visitor_id = c.visitor_id
     where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3
       and m.memory_id <> c.conversation_id and m.expires_at > now()
     order by m.memory_id desc
     limit 5"
);

/// Remembers what a conversation was about: one memory a conversation, under the conversation's own id.
pub(crate) const MEMORY_ADD: TenantSql = crate::sql!(
    "insert into memories (company_id, memory_id, agent_id, visitor_id, body, expires_at)
     select $1, c.conversation_id, c.agent_id, c.visitor_id, $4, now() + make_interval(days => $5)
     from conversations c
     where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3
     on conflict (company_id, memory_id) do nothing"
);
