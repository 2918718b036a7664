//! The inbox's pages: conversations, and one of them with what can be done in it.
//!
//! It never does any of it itself: that is [`crate::inbox`].

use askama::Template;
use http::Response;

use super::view::{Field, Form, Item, Part, Stamp, View, dollars, rows};
use super::{Frame, page, then};
use crate::conversations::{Author, Source};
use crate::error::Error;
use crate::ids::{ConversationId, LeadId};
use crate::inbox::{self, Conversation, ModelCall, STATES, Thread, Wanted};
use crate::labels;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/inbox";

/// `GET /dashboard/inbox`: conversations, newest first.
///
/// # Errors
/// As [`inbox::list`].
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let wanted = Wanted::of(&call)?;
    let (found, next) = wanted.find(&member).await?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let labels = rows(labels::list(member).await?, "labels")?;
    let labels = labels.iter().filter_map(|label| label.get("name").and_then(serde_json::Value::as_str));
    let chosen = |wanted: &Option<String>, value: &str| wanted.as_deref().unwrap_or_default() == value;
    let any = |name: &str, wanted: &Option<String>| (String::new(), name.to_owned(), wanted.is_none());
    let states = STATES
        .iter()
        .map(|(value, name)| ((*value).to_owned(), (*name).to_owned(), chosen(&wanted.state, value)));
    let labels = labels.map(|name| (name.to_owned(), name.to_owned(), chosen(&wanted.label, name)));
    let filter = Form::new("", TAB, "Search")
        .with(Field::line("search", "q", "What was said", wanted.text.as_deref().unwrap_or_default()))
        .with(Field::choice(
            "state",
            "State",
            std::iter::once(any("All", &wanted.state)).chain(states).collect(),
        ))
        .with(Field::choice(
            "label",
            "Label",
            std::iter::once(any("All", &wanted.label)).chain(labels).collect(),
        ));
    let more = next.map(|id| {
        let fields = [("q", &wanted.text), ("state", &wanted.state), ("label", &wanted.label)];
        let kept = fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        kept.fold(format!("{TAB}?before={id}"), |all, (name, value)| {
            format!("{all}&{name}={}", super::door::encoded(value))
        })
    });
    View::new(
        frame,
        "Inbox",
        "What customers and your assistant say to each other. Take over where a person is wanted.",
    )
    .narrowed(filter)
    .part(Part::list("", found.into_iter().map(item).collect(), "No conversation here."))
    .more(more)
    .draw()
}

fn item(conversation: Conversation) -> Item {
    let name = state(&conversation.state);
    let waits = conversation.state == "waiting";
    let mut tags = conversation.labels;
    tags.push(format!("{} messages", conversation.messages));
    tags.push(conversation.agent);
    let mut calls = Vec::new();
    if waits {
        calls.push(name.to_owned())
    } else {
        tags.push(name.to_owned())
    }
    let said = match conversation.last_author {
        Author::Visitor => "Visitor",
        Author::Agent => "Assistant",
        Author::Member => "You",
    };
    let last = short(&conversation.last);
    Item {
        title: conversation.visitor.unwrap_or_else(|| short(&conversation.question)),
        address: Some(format!("{TAB}/{}", conversation.conversation_id)),
        lines: vec![format!("{said}: {last}")],
        tags,
        calls,
        when: Stamp::parse(&conversation.last_at),
        ..Item::default()
    }
}

/// The beginning of a text.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn state(state: &str) -> &'static str {
    STATES.iter().find(|(known, _)| *known == state).map_or("", |(_, name)| name)
}

/// `GET /dashboard/inbox/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let thread = inbox::read(&member, call.id()?).await?;
    page(&Shown::new(Frame::new(&member.scope, &call, TAB), thread))
}

#[derive(Template)]
#[template(path = "conversation.html")]
pub(super) struct Shown {
    frame: Frame,
    title: String,
    state: &'static str,
    waits: bool,
    /// Who took it over.
    person: Option<String>,
    closed: bool,
    address: String,
    tags: Vec<String>,
    said: Vec<Said>,
    notes: Vec<(String, String, Option<Stamp>)>,
    /// Of each model call: model, why it was chosen, tokens, cost.
    calls: Vec<[String; 4]>,
    cost: String,
}

/// One message.
struct Said {
    class: &'static str,
    who: String,
    body: String,
    when: Option<Stamp>,
    /// What is to be known of it.
    facts: Vec<String>,
}

impl Shown {
    fn new(frame: Frame, thread: Thread) -> Self {
        let Thread { conversation, messages, tools, calls, notes } = thread;
        let agent = conversation.agent.clone();
        let visitor = conversation.visitor.clone().unwrap_or_else(|| "Visitor".into());
        let said = messages.into_iter().map(|message| {
            let used = tools.iter().filter(|tool| tool.message_id == message.message_id);
            let mut facts: Vec<_> = used
                .map(|tool| {
                    format!(
                        "{} {}: {}",
                        tool.tool,
                        if tool.done { "done" } else { "not done" },
                        short(&tool.outcome)
                    )
                })
                .collect();
            facts.extend(message.source.map(|source| source_name(source).to_owned()));
            let cited = message.citations.as_array().map(Vec::as_slice).unwrap_or_default();
            facts.extend(cited.iter().filter_map(|entry| {
                Some(format!("Rests on: {}", entry.get("question").and_then(serde_json::Value::as_str)?))
            }));
            if !message.complete {
                facts.push("This answer was not finished.".into());
            }
            let (class, who) = match message.author {
                Author::Visitor => ("visitor", visitor.clone()),
                Author::Agent => ("agent", agent.clone()),
                Author::Member => ("member", message.person.unwrap_or_default()),
            };
            Said { class, who, body: message.body, when: Stamp::parse(&message.created_at), facts }
        });
        let said = said.collect();
        let cost = calls.iter().fold(0_u64, |sum, call| sum.saturating_add(call.cost_microusd));
        let calls: Vec<_> = calls.into_iter().map(model_call).collect();
        Self {
            title: conversation.visitor.unwrap_or_else(|| short(&conversation.question)),
            state: state(&conversation.state),
            waits: conversation.state == "waiting",
            person: conversation.taken_over_by,
            closed: conversation.state == "closed",
            address: format!("{TAB}/{}", conversation.conversation_id),
            tags: conversation.labels.into_iter().chain([conversation.agent]).collect(),
            said,
            notes: notes
                .into_iter()
                .map(|note| (note.person, note.body, Stamp::parse(&note.created_at)))
                .collect(),
            calls,
            cost: dollars(cost),
            frame,
        }
    }

    #[cfg(test)]
    pub(super) fn sample(text: &str) -> Self {
        let stamp = || Stamp::parse("2026-11-22 09:30:00+00");
        let said = |class| Said {
            class,
            who: text.into(),
            body: text.into(),
            when: stamp(),
            facts: vec![text.into()],
        };
        Self {
            frame: Frame::sample(text),
            title: text.into(),
            state: "Waiting for a person",
            waits: true,
            person: Some(text.into()),
            closed: false,
            address: format!("{TAB}/01890a5d-ac96-774b-bcce-b302099a8057"),
            tags: vec![text.into()],
            said: vec![said("visitor"), said("agent"), said("member")],
            notes: vec![(text.into(), text.into(), stamp())],
            calls: vec![[text.into(), text.into(), text.into(), text.into()]],
            cost: "$0.01".into(),
        }
    }
}

/// A model call: model, why it was chosen, tokens, cost.
pub(super) fn model_call(call: ModelCall) -> [String; 4] {
    let tokens = format!("{} in, {} out", call.input_tokens, call.output_tokens);
    let model = match call.provider {
        Some(provider) => format!("{} at {provider}", call.model),
        None => call.model,
    };
    [model, call.routing.replace('_', " "), tokens, dollars(call.cost_microusd)]
}

pub(super) const fn source_name(source: Source) -> &'static str {
    match source {
        Source::Model => "Worded by a model",
        Source::Knowledge => "Word for word from your knowledge",
        Source::None => "Not answered",
    }
}

/// `POST /dashboard/inbox/{id}`: takes it over or hands it back, closes it or opens it again.
///
/// # Errors
/// As [`inbox::change`].
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let said = match call.query("do").as_deref() {
        Some("take") => "taken",
        Some("back") => "handed-back",
        Some("close") => "closed",
        _ => "reopened",
    };
    let to = back(&call);
    then(inbox::change(member, call), to, said).await
}

/// `POST /dashboard/inbox/{id}/replies`.
///
/// # Errors
/// As [`inbox::reply`].
pub async fn reply(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let to = back(&call);
    then(inbox::reply(member, call), to, "sent").await
}

/// `POST /dashboard/inbox/{id}/notes`.
///
/// # Errors
/// As [`inbox::note`].
pub async fn note(member: Member, call: Call) -> Result<Response<Body>, Error> {
    // From a lead's page, back to it.
    let lead = call.query("lead").and_then(|id| id.parse::<LeadId>().ok());
    let to = lead.map_or_else(|| back(&call), |id| format!("/dashboard/leads/{id}"));
    then(inbox::note(member, call), to, "noted").await
}

/// The conversation's own page, for a form of it.
fn back(call: &Call) -> String {
    call.id::<ConversationId>().map_or_else(|_| TAB.to_owned(), |id| format!("{TAB}/{id}"))
}
