//! Trials: the company's people ask an agent as a visitor would, to hear what it says.
//!
//! It never answers by itself: a trial is a turn like any other ([`chat`]), paid from the same budget; only its conversation is
//! marked as one.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderValue, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{AGENT_READ, Agent};
use crate::chat::events::{Event, Format, Sse};
use crate::chat::{self, Question};
use crate::config::REPLY_LIMIT;
use crate::error::Error;
use crate::ids::{AgentId, ConversationId, UserId, VisitorId};
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::{Member, Visitor};

/// `POST /v1/agents/{id}/try`: asks this agent; the answer streams as a visitor's does. Nobody finds the conversation in the
/// inbox, and it counts for nothing but its cost.
///
/// # Errors
/// [`Error::NotFound`], and as [`chat::begin`].
pub async fn ask(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let mut response = Response::new(begin(member, &call, Box::new(Sse)).await?);
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store, no-transform"));
    Ok(response)
}

/// The same for a page: waits for the answer, and gives the conversation that it is in.
///
/// # Errors
/// As [`ask`], and with the sentence of a turn that failed.
pub(crate) async fn asked(member: Member, call: &Call) -> Result<ConversationId, Error> {
    let heard = Rc::new(Cell::new(Heard::default()));
    let body = begin(member, call, Box::new(Ear(Rc::clone(&heard)))).await?;
    // The turn has ended when the body has.
    body.collect(REPLY_LIMIT).await.map_err(|_| Error::BrokeOff)?;
    match heard.take() {
        Heard { conversation: Some(conversation), failed: false } => Ok(conversation),
        Heard { .. } => Err(Error::BrokeOff),
    }
}

/// Who tries an agent is a visitor of their own to it: nobody else goes on with their conversation.
pub(crate) fn visitor_id(user: UserId, agent: AgentId) -> VisitorId {
    VisitorId::from_digest(Sha256::digest(format!("bulkhead/trial/{user}/{agent}").as_bytes()).into())
}

async fn begin(member: Member, call: &Call, format: Box<dyn Format>) -> Result<Body, Error> {
    let id = call.id::<AgentId>()?;
    let trial = call.json::<Trial>().await?;
    let mut batch = member.scope.batch();
    let agent = batch.add::<Agent>(AGENT_READ, params![id]);
    let agent = batch.send().await?.one(agent)?;
    if !agent.enabled {
        return Err(Error::Conflict("This agent is paused. Let it answer, then try it.".into()));
    }
    let key = match call.idempotency_key()? {
        Some(key) => Some(key.to_owned()),
        None => call.form_key().await?,
    };
    let visitor = Visitor { id: visitor_id(member.user, id), scope: member.scope, address: None };
    let question = Question::new(&visitor, trial.message, Some(agent.slug))?
        .on_trial(trial.conversation_id.as_deref())?
        .known_by(&visitor, key.as_deref())?;
    chat::begin(visitor, question, format).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    message: String,
    /// The trial to go on with; none: a new one.
    conversation_id: Option<String>,
}

/// What is to be known of a turn that nobody reads as it comes.
#[derive(Default)]
struct Heard {
    conversation: Option<ConversationId>,
    failed: bool,
}

struct Ear(Rc<Cell<Heard>>);

impl Format for Ear {
    fn write(&mut self, event: &Event<'_>) -> Option<Bytes> {
        let mut heard = self.0.take();
        match event {
            Event::Start { conversation, .. } => heard.conversation = Some(*conversation),
            Event::Error(_) => heard.failed = true,
            _ => {}
        }
        self.0.set(heard);
        None
    }
}
