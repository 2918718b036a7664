//! What a listener hears of a turn, and how it is written: one type, whatever the format on the wire.
//!
//! It never decides anything: it says what happened.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::conversations::Source;
use crate::ids::{ConversationId, MessageId};
use crate::limiter::Spend;
use crate::llm::StopReason;
use crate::sse::{self, Reader};

use super::Why;

/// Something that happens in a turn. Each turn has one start and ends in one `Done` or `Error`.
pub enum Event<'a> {
    /// The question is stored; this agent answers.
    Start {
        /// The conversation.
        conversation: ConversationId,
        /// The question.
        message: MessageId,
        /// Short name and name of who answers.
        agent: (&'a str, &'a str),
    },
    /// More of the answer.
    Delta(&'a str),
    /// The agent used a tool.
    Tool {
        /// Its name.
        name: &'a str,
        /// Whether it did what it is for.
        done: bool,
    },
    /// What the answer rests on.
    Citations(&'a [Value]),
    /// A person of the company answers in the agent's place, later: their first name. Nothing else comes but `Done`.
    Person(&'a str),
    /// The answer is whole, stored and paid for.
    Done(&'a Done<'a>),
    /// The turn failed: a problem document (RFC 9457).
    Error(Value),
}

/// How a turn ended.
pub struct Done<'a> {
    /// The answer; `None` when a person will give it.
    pub message: Option<MessageId>,
    /// Where it came from; `None` when a person will give it.
    pub source: Option<Source>,
    /// Why no model answered; `None` when one did.
    pub why: Option<Why>,
    /// Why the model that answered stopped; `None` when none did.
    pub stop: Option<StopReason>,
    /// The model calls, in their order; none when no model was called.
    pub spends: &'a [Spend],
}

/// How events are written for a listener. It may leave some out.
pub trait Format {
    /// The event's bytes; `None` when this format has nothing to say of it.
    fn write(&mut self, event: &Event<'_>) -> Option<Bytes>;
}

/// Bulkhead's own server-sent events: `start`, `delta`, `tool`, `citations`, `person`, `done`, `error`.
pub struct Sse;

impl Format for Sse {
    fn write(&mut self, event: &Event<'_>) -> Option<Bytes> {
        Some(match event {
            Event::Start { conversation, message, agent } => {
                let agent = json!({ "slug": agent.0, "name": agent.1 });
                let start = json!({ "conversation_id": conversation, "message_id": message, "agent": agent });
                sse::encode("start", &start)
            }
            Event::Delta(text) => sse::encode("delta", &json!({ "text": text })),
            Event::Tool { name, done } => sse::encode("tool", &json!({ "name": name, "done": done })),
            Event::Citations(citations) => sse::encode("citations", citations),
            Event::Person(name) => sse::encode("person", &json!({ "name": name })),
            Event::Done(done) => sse::encode("done", &done.to_json()),
            Event::Error(problem) => sse::encode("error", problem),
        })
    }
}

impl Done<'_> {
    /// Input and output tokens of all calls.
    #[must_use]
    pub fn tokens(&self) -> (u32, u32) {
        self.spends.iter().fold((0, 0), |(input, output), spend| {
            let usage = spend.usage;
            (input.saturating_add(usage.input_tokens), output.saturating_add(usage.output_tokens))
        })
    }

    fn to_json(&self) -> Value {
        let last = self.spends.last();
        let tokens = last.map(|_| self.tokens());
        json!({
            "message_id": self.message,
            "source": self.source,
            "reason": self.why,
            "stop": self.stop,
            "model": last.map(|spend| &spend.model),
            "routing": last.map(|spend| spend.reason),
            "calls": self.spends.len(),
            "input_tokens": tokens.map(|(input, _)| input),
            "output_tokens": tokens.map(|(_, output)| output),
        })
    }
}

/// Who listens to a turn, and may leave.
pub struct Listener {
    to: sse::Sender,
    format: Box<dyn Format>,
}

impl Listener {
    /// Writes to this sender in this format.
    #[must_use]
    pub fn new(to: sse::Sender, format: Box<dyn Format>) -> Self {
        Self { to, format }
    }

    /// Says what happened, when there is room for it.
    pub async fn hear(&mut self, event: Event<'_>) -> Reader {
        match self.format.write(&event) {
            Some(bytes) => self.to.send_bytes(bytes).await,
            None if self.left() => Reader::Gone,
            None => Reader::There,
        }
    }

    /// Whether nobody listens any more.
    #[must_use]
    pub fn left(&self) -> bool {
        self.to.reader_left()
    }
}
