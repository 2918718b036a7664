//! A visitor's question: checked, stored, and everything read that its answer needs.
//!
//! It never stores a question in another visitor's conversation.

use super::prompt::Read;
use crate::agents::{AGENT_ANSWERING, Answering, CONTEXT_LIST, Context};
use crate::company::BUDGET_READ;
use crate::conversations::{CONVERSATION_BEGIN, HISTORY_LIST, QUESTION_ADD, Said};
use crate::error::Error;
use crate::ids::{ConversationId, MessageId};
use crate::knowledge::{Hit, KNOWLEDGE_SEARCH};
use crate::limiter::{self, Budget};
use crate::memory::{MEMORY_LIST, Recalled};
use crate::params;
use crate::smart_router::{MODEL_LIST, Model};
use crate::tenant::auth::Visitor;

/// Longest question, bytes.
pub(super) const QUESTION_LIMIT: usize = 4_000;

/// What a visitor sends.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    /// The question.
    message: String,
    /// The conversation to go on with; none: a new one.
    #[serde(default)]
    conversation_id: Option<String>,
    /// The agent to ask in a new conversation, by its short name; none: the company's default.
    #[serde(default)]
    agent: Option<String>,
}

impl Ask {
    pub(super) fn check(self) -> Result<Self, Error> {
        if self.message.trim().is_empty() {
            return Err(Error::Invalid("The message is empty. Write a question.".into()));
        }
        if self.message.len() > QUESTION_LIMIT {
            return Err(Error::Invalid(format!(
                "The message is longer than {QUESTION_LIMIT} bytes. Make it shorter."
            )));
        }
        Ok(self)
    }
}

/// A visitor's question, with the ids under which it is stored.
pub(super) struct Question {
    pub(super) text: String,
    pub(super) message: MessageId,
    pub(super) conversation: ConversationId,
    /// Begins its conversation, with the agent of this short name, or the default one.
    pub(super) begins: bool,
    pub(super) agent: Option<String>,
}

impl Question {
    pub(super) fn new(visitor: &Visitor, ask: Ask) -> Result<Self, Error> {
        let platform = visitor.scope.platform();
        let going_on = ask.conversation_id.map(|id| id.parse().map_err(|_| Error::NotFound)).transpose()?;
        Ok(Self {
            text: ask.message,
            message: MessageId::new(platform),
            conversation: going_on.unwrap_or_else(|| ConversationId::new(platform)),
            begins: going_on.is_none(),
            agent: ask.agent,
        })
    }

    /// Stores the question and reads what its answer needs: one batch.
    pub(super) async fn store(&self, visitor: &Visitor) -> Result<Read, Error> {
        let (conversation, id) = (self.conversation, visitor.id);
        let today = limiter::day(visitor.scope.platform().now_ms());
        let mut batch = visitor.scope.batch();
        if self.begins {
            batch.run(CONVERSATION_BEGIN, params![conversation, id, self.agent.as_deref()]);
        }
        let stored = batch.run(QUESTION_ADD, params![self.message, conversation, &self.text, id]);
        let agent = batch.add::<Answering>(AGENT_ANSWERING, params![conversation, id]);
        let contexts = batch.add::<Context>(CONTEXT_LIST, params![]);
        let hits = batch.add::<Hit>(KNOWLEDGE_SEARCH, params![&self.text, conversation, id]);
        let history = batch.add::<Said>(HISTORY_LIST, params![conversation, id, self.message]);
        let memories = batch.add::<Recalled>(MEMORY_LIST, params![conversation, id]);
        let models = batch.add::<Model>(MODEL_LIST, params![]);
        let budget = batch.add::<Budget>(BUDGET_READ, params![today]);
        let mut rows = batch.send().await?;
        rows.touched(stored)?;
        Ok(Read {
            agent: rows.one(agent)?,
            contexts: rows.all(contexts)?,
            hits: rows.all(hits)?,
            history: rows.all(history)?,
            memories: rows.all(memories)?.into_iter().map(|memory| memory.body).collect(),
            models: rows.all(models)?,
            budget: rows.one(budget)?,
        })
    }
}
