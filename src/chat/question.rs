//! A question: checked, stored, and everything read that its answer needs.
//!
//! It never stores a question in another visitor's conversation, nor the same request twice.

use super::prompt::Read;
use crate::agents::{AGENT_ANSWERING, Answering, CONTEXT_LIST, Context, TOOL_LIST, ToolName};
use crate::budget::{BUDGET_READ, Budget};
use crate::conversations::{CONVERSATION_BEGIN, HISTORY_LIST, QUESTION_ADD, QUESTIONS_GUARD, Said};
use crate::error::Error;
use crate::ids::{ConversationId, MessageId};
use crate::knowledge::{Hit, KNOWLEDGE_SEARCH};
use crate::llm::Turn;
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
    conversation_id: Option<String>,
    /// The agent to ask in a new conversation, by its short name; none: the company's default.
    agent: Option<String>,
}

/// A visitor's question, with the ids under which it is stored.
pub struct Question {
    pub(super) text: String,
    pub(super) message: MessageId,
    pub(super) conversation: ConversationId,
    /// Begins its conversation, with the agent of this short name, or the default one.
    pub(super) begins: bool,
    pub(super) agent: Option<String>,
    /// Begins it as a trial of the company's own people.
    pub(super) trial: bool,
    /// By which a repeated request is known.
    pub(super) request_hash: Option<[u8; 32]>,
    /// What was said before, where the asker keeps that itself.
    pub(super) history: Option<Vec<Turn>>,
    /// A shorter answer than the company allows.
    pub(super) max_output_tokens: Option<u32>,
}

impl Question {
    /// A question that begins a conversation.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is empty or too long.
    pub fn new(visitor: &Visitor, text: String, agent: Option<String>) -> Result<Self, Error> {
        if text.trim().is_empty() {
            return Err(Error::Invalid("The message is empty. Write a question.".into()));
        }
        if text.len() > QUESTION_LIMIT {
            return Err(Error::Invalid(format!(
                "The message is longer than {QUESTION_LIMIT} bytes. Make it shorter."
            )));
        }
        let platform = visitor.scope.platform();
        Ok(Self {
            text,
            message: MessageId::new(platform),
            conversation: ConversationId::new(platform),
            begins: true,
            agent,
            trial: false,
            request_hash: None,
            history: None,
            max_output_tokens: None,
        })
    }

    /// Of the company's own people, who try the agent; goes on with their conversation where they name one.
    ///
    /// # Errors
    /// [`Error::NotFound`] when that is no id.
    pub fn on_trial(mut self, conversation: Option<&str>) -> Result<Self, Error> {
        self.trial = true;
        if let Some(id) = conversation {
            self.conversation = id.parse().map_err(|_| Error::NotFound)?;
            self.begins = false;
        }
        Ok(self)
    }

    /// With what was said before, and how long the answer may be: for askers who keep their conversations themselves.
    #[must_use]
    pub fn after(mut self, history: Vec<Turn>, max_output_tokens: Option<u32>) -> Self {
        self.history = Some(history);
        self.max_output_tokens = max_output_tokens;
        self
    }

    /// Known again by what its sender calls it (`Idempotency-Key`).
    ///
    /// # Errors
    /// [`Error::Internal`] when there is no master key.
    pub fn known_by(mut self, visitor: &Visitor, key: Option<&str>) -> Result<Self, Error> {
        self.request_hash = key.map(|key| visitor.scope.request_hash(visitor.id, key)).transpose()?;
        Ok(self)
    }

    pub(super) fn asked(visitor: &Visitor, ask: Ask, key: Option<&str>) -> Result<Self, Error> {
        let mut question = Self::new(visitor, ask.message, ask.agent)?.known_by(visitor, key)?;
        if let Some(id) = ask.conversation_id {
            question.conversation = id.parse().map_err(|_| Error::NotFound)?;
            question.begins = false;
        }
        Ok(question)
    }

    /// Stores the question and reads what its answer needs: one batch. `day` is the company's own.
    pub(super) async fn store(&self, visitor: &Visitor, day: &str) -> Result<Read, Error> {
        let (conversation, id) = (self.conversation, visitor.id);
        let mut batch = visitor.scope.batch();
        if self.begins {
            batch.run(CONVERSATION_BEGIN, params![conversation, id, self.agent.as_deref(), self.trial]);
        } else {
            batch.run(QUESTIONS_GUARD, params![conversation, id]);
        }
        let hash = self.request_hash.as_ref().map(<[u8; 32]>::as_slice);
        let stored = batch.run(QUESTION_ADD, params![self.message, conversation, &self.text, id, hash]);
        let agent = batch.add::<Answering>(AGENT_ANSWERING, params![conversation, id, day]);
        let tools = batch.add::<ToolName>(TOOL_LIST, params![conversation, id]);
        let contexts = batch.add::<Context>(CONTEXT_LIST, params![]);
        let hits = batch.add::<Hit>(KNOWLEDGE_SEARCH, params![&self.text, conversation, id, None::<&str>]);
        let history = batch.add::<Said>(HISTORY_LIST, params![conversation, id, self.message]);
        let memories = batch.add::<Recalled>(MEMORY_LIST, params![conversation, id]);
        let models = batch.add::<Model>(MODEL_LIST, params![visitor.scope.platform_kinds()]);
        let budget = batch.add::<Budget>(BUDGET_READ, params![day]);
        let mut rows = batch.send().await?;
        rows.touched(stored)?;
        Ok(Read {
            agent: rows.one(agent)?,
            tools: rows.all(tools)?,
            contexts: rows.all(contexts)?,
            hits: rows.all(hits)?,
            history: rows.all(history)?,
            memories: rows.all(memories)?.into_iter().map(|memory| memory.body).collect(),
            models: rows.all(models)?,
            budget: rows.one(budget)?,
        })
    }
}
