//! The inbox: conversations as the company's people see them, take them over, answer in them and hand them back.
//!
//! It never shows a visitor a note, and never lets an agent and a person answer at the same time by turns: while a
//! conversation is taken over, its agent is silent.

mod statements;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::statements::{
    CALL_LIST, CONVERSATION_CHANGE, CONVERSATION_LIST, CONVERSATION_TAKE, MESSAGE_LIST, NOTE_ADD, NOTE_LIST,
    REPLY_ADD, TOOL_LIST,
};
use crate::conversations::{Author, Source};
use crate::error::Error;
use crate::idempotency::once;
use crate::ids::{ConversationId, EventId, MessageId, NoteId, VisitorId};
use crate::knowledge::check_texts;
use crate::outbox::{self, tell::CLOSED_TELL};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::auth::Member;
use crate::upkeep;

/// Conversations on a page.
pub(crate) const PAGE: usize = 30;

/// `GET /v1/conversations`: newest first, at most 30; `before` is the id after which the next ones come. `state`, `label`
/// and `q`, a text that was said, narrow it.
///
/// # Errors
/// [`Error::Invalid`] for a state that there is not, or a `before` that is no id.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let wanted = Wanted::of(&call)?;
    let (found, next) = wanted.find(&member).await?;
    answer(StatusCode::OK, &json!({ "conversations": found, "before": next }))
}

/// `GET /v1/conversations/{id}`: what was said, what tools did, what it cost and why which model was chosen, and the notes.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    answer(StatusCode::OK, &read(&member, call.id()?).await?)
}

/// `PATCH /v1/conversations/{id}`: takes it over or hands it back, closes it or opens it again. Closing hands back.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ConversationId>()?;
    let new = call.json::<Change>().await?;
    let action = match (new.taken_over, new.closed) {
        (_, Some(true)) => "conversation.closed",
        (Some(true), _) => "conversation.taken_over",
        (Some(false), _) => "conversation.handed_back",
        (None, Some(false)) => "conversation.reopened",
        (None, None) => return Err(Error::Invalid("Say taken_over or closed.".into())),
    };
    let mut batch = member.scope.batch();
    let event = EventId::new(member.scope.platform());
    let told = (new.closed == Some(true)).then(|| batch.run(CLOSED_TELL, params![event, id]));
    let changed = batch.run(CONVERSATION_CHANGE, params![id, member.user, new.taken_over, new.closed]);
    upkeep::note(&member, &mut batch, action, &id);
    let conversation = batch.add::<Conversation>(CONVERSATION_LIST, Wanted::one(id));
    let mut rows = batch.send().await?;
    rows.touched(changed)?;
    if let Some(told) = told {
        outbox::deliver_told(&member.scope, &mut rows, told);
    }
    answer(StatusCode::OK, &rows.one(conversation)?)
}

/// `POST /v1/conversations/{id}/replies`: a person answers, and with that takes the conversation over.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn reply(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, reply_once(&member, &call)).await
}

async fn reply_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ConversationId>()?;
    let new = call.json::<Text>().await?;
    check_texts(&[("body", Some(&new.body), 4_000)])?;
    let message = MessageId::new(member.scope.platform());
    let mut batch = member.scope.batch_once();
    batch.run(CONVERSATION_TAKE, params![id, member.user]);
    let added = batch.run(REPLY_ADD, params![message, id, new.body, member.user]);
    let mut rows = batch.send().await?;
    rows.touched(added)?;
    answer(StatusCode::CREATED, &json!({ "message_id": message }))
}

/// `POST /v1/conversations/{id}/notes`: a note for colleagues.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn note(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, note_once(&member, &call)).await
}

async fn note_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ConversationId>()?;
    let new = call.json::<Text>().await?;
    check_texts(&[("body", Some(&new.body), 4_000)])?;
    let note = NoteId::new(member.scope.platform());
    let mut batch = member.scope.batch_once();
    let added = batch.run(NOTE_ADD, params![note, id, member.user, new.body]);
    let mut rows = batch.send().await?;
    rows.touched(added)?;
    answer(StatusCode::CREATED, &json!({ "note_id": note }))
}

/// One conversation with all that the company's people see of it.
///
/// # Errors
/// [`Error::NotFound`].
pub(crate) async fn read(member: &Member, id: ConversationId) -> Result<Thread, Error> {
    let mut batch = member.scope.batch();
    let conversation = batch.add::<Conversation>(CONVERSATION_LIST, Wanted::one(id));
    let messages = batch.add::<Message>(MESSAGE_LIST, params![id]);
    let tools = batch.add::<ToolCall>(TOOL_LIST, params![id]);
    let calls = batch.add::<ModelCall>(CALL_LIST, params![id]);
    let notes = batch.add::<Note>(NOTE_LIST, params![id]);
    let mut rows = batch.send().await?;
    Ok(Thread {
        conversation: rows.one(conversation)?,
        messages: rows.all(messages)?,
        tools: rows.all(tools)?,
        calls: rows.all(calls)?,
        notes: rows.all(notes)?,
    })
}

/// Which conversations somebody looks for.
pub(crate) struct Wanted {
    pub(crate) before: Option<ConversationId>,
    pub(crate) text: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) label: Option<String>,
}

impl Wanted {
    /// As the query says it; what is empty narrows nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(crate) fn of(call: &Call) -> Result<Self, Error> {
        let field = |name: &str| call.query(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let before = field("before").map(|id| id.parse()).transpose();
        let before = before.map_err(|_| Error::Invalid("before is the id of a conversation.".into()))?;
        let (text, state, label) = (field("q"), field("state"), field("label"));
        if state.as_ref().is_some_and(|state| !STATES.iter().any(|(known, _)| known == state)) {
            return Err(Error::Invalid("state is waiting, person, open or closed.".into()));
        }
        if text.as_ref().is_some_and(|text| text.chars().count() > 200) {
            return Err(Error::Invalid("q is longer than 200 characters. Make it shorter.".into()));
        }
        Ok(Self { before, text, state, label })
    }

    /// A page of them, and the id after which the next page comes.
    pub(crate) async fn find(
        &self,
        member: &Member,
    ) -> Result<(Vec<Conversation>, Option<ConversationId>), Error> {
        let mut batch = member.scope.batch();
        let none = None::<ConversationId>;
        let (text, state, label) = (self.text.as_deref(), self.state.as_deref(), self.label.as_deref());
        let found =
            batch.add::<Conversation>(CONVERSATION_LIST, params![none, self.before, text, state, label]);
        let mut found = batch.send().await?.all(found)?;
        let more = found.len() > PAGE;
        found.truncate(PAGE);
        let next = found.last().filter(|_| more).map(|last| last.conversation_id);
        Ok((found, next))
    }

    fn one(id: ConversationId) -> Vec<crate::tenant::postgres::Param> {
        params![id, None::<ConversationId>, None::<&str>, None::<&str>, None::<&str>]
    }
}

/// The states of a conversation and what people call them.
pub(crate) const STATES: &[(&str, &str)] = &[
    ("waiting", "Waiting for a person"),
    ("person", "Answered by a person"),
    ("open", "Answered by the assistant"),
    ("closed", "Closed"),
];

/// All that the company's people see of a conversation.
#[derive(Serialize)]
pub(crate) struct Thread {
    pub(crate) conversation: Conversation,
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Vec<ToolCall>,
    pub(crate) calls: Vec<ModelCall>,
    pub(crate) notes: Vec<Note>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Conversation {
    pub(crate) conversation_id: ConversationId,
    /// The agent's name.
    pub(crate) agent: String,
    pub(crate) visitor_id: VisitorId,
    /// The visitor's name, once they left one.
    pub(crate) visitor: Option<String>,
    /// waiting, person, open or closed.
    pub(crate) state: String,
    /// Who took it over.
    pub(crate) taken_over_by: Option<String>,
    /// Names of the labels whose words the visitor said.
    pub(crate) labels: Vec<String>,
    /// The first question, and what was said last.
    pub(crate) question: String,
    pub(crate) last: String,
    pub(crate) last_author: Author,
    pub(crate) messages: u32,
    pub(crate) created_at: String,
    pub(crate) last_at: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) message_id: MessageId,
    pub(crate) author: Author,
    /// The person's name, where it was one of the company's.
    pub(crate) person: Option<String>,
    pub(crate) body: String,
    pub(crate) complete: bool,
    pub(crate) source: Option<Source>,
    pub(crate) citations: serde_json::Value,
    pub(crate) created_at: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ToolCall {
    /// The question that was being answered.
    pub(crate) message_id: MessageId,
    pub(crate) tool: String,
    pub(crate) arguments: serde_json::Value,
    pub(crate) outcome: String,
    pub(crate) done: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ModelCall {
    pub(crate) created_at: String,
    pub(crate) provider: Option<String>,
    pub(crate) model: String,
    /// Why the SmartRouter chose it.
    pub(crate) routing: String,
    pub(crate) input_tokens: u32,
    pub(crate) output_tokens: u32,
    pub(crate) cost_microusd: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) note_id: NoteId,
    /// Who wrote it.
    pub(crate) person: String,
    pub(crate) body: String,
    pub(crate) created_at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    taken_over: Option<bool>,
    closed: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    body: String,
}
