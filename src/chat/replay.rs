//! A question that came before, under the same `Idempotency-Key`: answered with what was answered then.
//!
//! It never calls a model, and never shows one visitor what another asked.

use serde::Deserialize;

use super::Question;
use super::events::{Done, Event, Format, Listener};
use crate::conversations::{REQUEST_READ, Source};
use crate::error::Error;
use crate::ids::{ConversationId, MessageId};
use crate::params;
use crate::platform::Body;
use crate::sse;
use crate::tenant::auth::Visitor;

/// Instead of a turn whose question could not be stored: the answer it got before, if it was stored before.
pub(super) async fn instead(
    visitor: Visitor,
    question: Question,
    format: Box<dyn Format>,
    error: Error,
) -> Result<Body, Error> {
    let (Error::Conflict(_), Some(hash)) = (&error, &question.request_hash) else { return Err(error) };
    let mut batch = visitor.scope.batch();
    let before = batch.add::<Before>(REQUEST_READ, params![&hash[..], visitor.id]);
    let Some(before) = batch.send().await?.maybe(before)? else { return Err(error) };
    let same = before.question == question.text
        && (question.begins || before.conversation_id == question.conversation)
        && question.agent.as_ref().is_none_or(|agent| *agent == before.agent_slug);
    if !same {
        return Err(Error::Conflict(
            "This Idempotency-Key was used for another question. Take a new key for a new question.".into(),
        ));
    }
    let (Some(answer), Some(text), Some(source)) = (before.answer_id, before.answer, before.source) else {
        return Err(Error::Conflict(
            "This question is being answered, or its answer was lost. Wait a moment and look at the conversation.".into(),
        ));
    };
    let (to, body) = sse::channel();
    let request_id = visitor.scope.request_id();
    visitor.scope.platform_rc().spawn(Box::pin(async move {
        let mut to = Listener::new(to, format);
        let (conversation, message) = (before.conversation_id, before.message_id);
        let agent = (&*before.agent_slug, &*before.agent_name);
        to.hear(Event::Start { conversation, message, agent }).await;
        to.hear(Event::Delta(&text)).await;
        let citations = before.citations.as_ref().and_then(serde_json::Value::as_array);
        if let Some(citations) = citations.filter(|citations| !citations.is_empty()) {
            to.hear(Event::Citations(citations)).await;
        }
        match before.complete {
            Some(true) => {
                let (message, source) = (Some(answer), Some(source));
                let done = Done { message, source, why: None, stop: None, spends: &[] };
                to.hear(Event::Done(&done)).await;
            }
            _ => {
                to.hear(Event::Error(Error::BrokeOff.problem(request_id))).await;
            }
        }
    }));
    Ok(body)
}

/// A question that was stored, and its answer if that was.
#[derive(Deserialize)]
struct Before {
    message_id: MessageId,
    conversation_id: ConversationId,
    question: String,
    answer_id: Option<MessageId>,
    answer: Option<String>,
    complete: Option<bool>,
    source: Option<Source>,
    citations: Option<serde_json::Value>,
    agent_slug: String,
    agent_name: String,
}
