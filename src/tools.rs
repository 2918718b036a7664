//! Tools: what an agent may do besides answering, for the visitor it is talking to.
//!
//! A tool never takes a company, a conversation or a visitor from the model: those are the turn's. What a model sends is
//! checked like what a stranger sends.

mod appointments;
mod facts;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::company::AUDIT_SYSTEM;
use crate::conversations::HAND_OVER;
use crate::error::Error;
use crate::fields::Field;
use crate::ids::{AuditId, ConversationId, EventId, LeadId, NoticeId};
use crate::knowledge::{Hit, KNOWLEDGE_SEARCH, check_texts};
use crate::leads::{self, Kept, NewLead};
use crate::llm::{self, ToolCall};
use crate::notices::NOTICE_ADD;
use crate::outbox::{self, tell::HAND_OVER_TELL};
use crate::params;
use crate::platform::Level;
use crate::tenant::TenantSql;
use crate::tenant::auth::Visitor;

/// Runs a call. Whatever is wrong with it, the model is told in words, so that it can mend it or go on without.
pub async fn run(
    visitor: &Visitor,
    conversation: ConversationId,
    offered: &[llm::Tool],
    call: &ToolCall,
) -> Used {
    let tool =
        Tool::named(&call.name).filter(|tool| offered.iter().any(|offered| offered.name == tool.name()));
    let outcome = match tool {
        None => Err(Error::Invalid(format!("There is no tool {:?}.", call.name))),
        Some(Tool::CaptureLead) => capture_lead(visitor, conversation, call).await,
        Some(Tool::HandOver) => hand_over(visitor, conversation, call).await,
        Some(Tool::ProposeAppointment) => appointments::propose(visitor, call).await,
        Some(Tool::LookUpKnowledge) => look_up_knowledge(visitor, conversation, call).await,
        Some(Tool::ListServices) => facts::services(visitor, call).await,
        Some(Tool::ExplainTerm) => facts::term(visitor, call).await,
        Some(Tool::OpeningHours) => facts::hours(visitor, call).await,
        Some(Tool::PaymentMethods) => facts::payments(visitor, call).await,
    };
    let arguments =
        serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::from(call.arguments.clone()));
    let (outcome, done) = match outcome {
        Ok(outcome) => (outcome, true),
        Err(error @ (Error::Invalid(_) | Error::NotFound | Error::Conflict(_))) => {
            (Outcome::from(error.facts().detail.into_owned()), false)
        }
        Err(error) => {
            visitor.scope.log(Level::Error, "tool failed", &format!("{}: {error:?}", call.name));
            (Outcome::from("This does not work right now. Go on without it.".to_owned()), false)
        }
    };
    Used { tool: call.name.clone(), arguments, outcome: outcome.text, found: outcome.found, done }
}

/// What an agent may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Notes how a visitor can be reached, and for what.
    CaptureLead,
    /// Asks a person of the company to take over.
    HandOver,
    /// Looks for times at which the company is open.
    ProposeAppointment,
    /// Searches the company's knowledge within the agent's scope.
    LookUpKnowledge,
    /// Looks up what the company offers and for how much.
    ListServices,
    /// Looks up what a word of the trade means.
    ExplainTerm,
    /// Looks up when the company is open, and when it is not.
    OpeningHours,
    /// Looks up how customers can pay.
    PaymentMethods,
}

/// A call that was run, as it is kept with the question.
pub struct Used {
    /// The tool's name, as the model wrote it.
    pub tool: String,
    /// The arguments; a string where they were no JSON.
    pub arguments: Value,
    /// What the model is told.
    pub outcome: String,
    /// Entries that it found.
    pub found: Vec<Hit>,
    /// Whether it did what it is for.
    pub done: bool,
}

/// What a tool brings.
struct Outcome {
    text: String,
    found: Vec<Hit>,
}

impl From<String> for Outcome {
    fn from(text: String) -> Self {
        Self { text, found: Vec::new() }
    }
}

impl Tool {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::CaptureLead,
        Self::HandOver,
        Self::ProposeAppointment,
        Self::LookUpKnowledge,
        Self::ListServices,
        Self::ExplainTerm,
        Self::OpeningHours,
        Self::PaymentMethods,
    ];

    /// The tool with this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its name, for models and the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaptureLead => "capture_lead",
            Self::HandOver => "hand_over",
            Self::ProposeAppointment => "propose_appointment",
            Self::LookUpKnowledge => "look_up_knowledge",
            Self::ListServices => "list_services",
            Self::ExplainTerm => "explain_term",
            Self::OpeningHours => "opening_hours",
            Self::PaymentMethods => "payment_methods",
        }
    }

    /// As a model is told of it.
    #[must_use]
    pub fn described(self) -> llm::Tool {
        let text =
            |most: u32, says: &str| json!({ "type": "string", "maxLength": most, "description": says });
        let (description, properties, required) = match self {
            Self::CaptureLead => (
                "Note how the visitor can be reached, when they have given a name and a phone number or e-mail address and want to hear from the company. Never invent any of it.",
                json!({
                    "name": text(120, "The visitor's name."),
                    "phone": text(40, "Their phone number, as they wrote it."),
                    "email": text(254, "Their e-mail address."),
                    "message": text(2_000, "What they need, in a sentence or two."),
                }),
                json!(["name", "message"]),
            ),
            Self::HandOver => (
                "Ask a person of the company to take over: the visitor wants one, is upset, or needs what you may not decide.",
                json!({ "reason": text(500, "Why, in a sentence.") }),
                json!(["reason"]),
            ),
            Self::ProposeAppointment => (
                "Look for times at which the company is open. They are proposals: a person confirms them.",
                json!({
                    "from": text(10, "First day that suits, as YYYY-MM-DD; leave out for the next days."),
                    "part_of_day": { "type": "string", "enum": ["morning", "afternoon", "any"] },
                    "minutes": { "type": "integer", "minimum": 15, "maximum": 480, "description": "How long it takes." },
                }),
                json!([]),
            ),
            Self::LookUpKnowledge => (
                "Search the company's knowledge for what you were not given: another service, a price, a rule.",
                json!({ "query": text(300, "What to look for, in the words of a customer.") }),
                json!(["query"]),
            ),
            Self::ListServices => (
                "Look up what the company offers: price, duration and what is included.",
                json!({ "about": text(120, "What the visitor needs, in a few words; leave out for all.") }),
                json!([]),
            ),
            Self::ExplainTerm => (
                "Look up what a word of the trade means, in plain language.",
                json!({ "term": text(120, "The word, as the visitor or the company uses it.") }),
                json!(["term"]),
            ),
            Self::OpeningHours => (
                "Look up when the company is open, whether it is open now, and the days on which it is closed.",
                json!({}),
                json!([]),
            ),
            Self::PaymentMethods => ("Look up how customers can pay.", json!({}), json!([])),
        };
        let parameters = json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        });
        llm::Tool { name: self.name(), description, parameters }
    }
}

/// The arguments of a call, if they are what the tool takes.
fn arguments<T: DeserializeOwned>(call: &ToolCall) -> Result<T, Error> {
    let text = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let wrong = |error: &dyn std::fmt::Display| {
        Error::Invalid(format!("The arguments are not what this tool takes: {error}."))
    };
    T::deserialize(Field::json(text.as_bytes()).map_err(|error| wrong(&error))?)
        .map_err(|error| wrong(&error))
}

async fn capture_lead(
    visitor: &Visitor,
    conversation: ConversationId,
    call: &ToolCall,
) -> Result<Outcome, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        name: String,
        phone: Option<String>,
        email: Option<String>,
        message: String,
    }
    let given: Arguments = arguments(call)?;
    let name = given.name.clone();
    let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let lead =
        NewLead::new(given.name, filled(given.email), filled(given.phone), given.message, conversation);
    let platform = visitor.scope.platform();
    let id = LeadId::new(platform);
    let mut batch = visitor.scope.batch();
    let Kept { added, told } = leads::keep(&mut batch, visitor, id, lead.check()?)?;
    notice(&mut batch, visitor, "lead", conversation, format!("{name} wants to hear from you."));
    batch.run(AUDIT_SYSTEM, params![AuditId::new(platform), "lead.captured", id.to_string()]);
    let mut rows = batch.send().await?;
    rows.touched(added)?;
    outbox::deliver_told(&visitor.scope, &mut rows, told);
    Ok(Outcome::from("Noted. Somebody of the company will be in touch.".to_owned()))
}

async fn hand_over(
    visitor: &Visitor,
    conversation: ConversationId,
    call: &ToolCall,
) -> Result<Outcome, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        reason: String,
    }
    let given: Arguments = arguments(call)?;
    check_texts(&[("reason", Some(&given.reason), 500)])?;
    let platform = visitor.scope.platform();
    let mut batch = visitor.scope.batch();
    let event = EventId::new(platform);
    let told = batch.run(HAND_OVER_TELL, params![event, conversation, visitor.id, &given.reason]);
    let handed = batch.run(HAND_OVER, params![conversation, visitor.id]);
    notice(&mut batch, visitor, "hand_over", conversation, given.reason);
    let audit = params![AuditId::new(platform), "conversation.handed_over", conversation.to_string()];
    batch.run(AUDIT_SYSTEM, audit);
    let open = batch.add::<Open>(OPEN_READ, params![]);
    let mut rows = batch.send().await?;
    rows.touched(handed)?;
    outbox::deliver_told(&visitor.scope, &mut rows, told);
    let when = match rows.one(open)?.open {
        true => "The company is open now, so it should not take long.",
        false => "The company is closed now; it answers when it opens. Ask how to reach the visitor then.",
    };
    Ok(Outcome::from(format!("A person of the company has been asked to take over. {when}")))
}

async fn look_up_knowledge(
    visitor: &Visitor,
    conversation: ConversationId,
    call: &ToolCall,
) -> Result<Outcome, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        query: String,
    }
    let given: Arguments = arguments(call)?;
    check_texts(&[("query", Some(&given.query), 300)])?;
    let mut batch = visitor.scope.batch();
    let hits =
        batch.add::<Hit>(KNOWLEDGE_SEARCH, params![given.query, conversation, visitor.id, None::<&str>]);
    let mut found = batch.send().await?.all(hits)?;
    found.truncate(4);
    if found.is_empty() {
        return Ok(Outcome::from("Nothing was found. Say that you do not know.".to_owned()));
    }
    let texts =
        found.iter().map(|hit| format!("<knowledge>\nQ: {}\nA: {}\n</knowledge>", hit.question, hit.answer));
    Ok(Outcome { text: texts.collect::<Vec<_>>().join("\n"), found })
}

/// Tells the company's people.
fn notice(
    batch: &mut crate::tenant::postgres::Batch<'_>,
    visitor: &Visitor,
    kind: &'static str,
    conversation: ConversationId,
    body: String,
) {
    batch.run(NOTICE_ADD, params![NoticeId::new(visitor.scope.platform()), kind, conversation, body]);
}

/// Whether somebody of the company is there.
#[derive(Deserialize)]
pub(crate) struct Open {
    pub(crate) open: bool,
}

/// Whether the company is open now, by its own clock: on a day on which it is closed it is not, whatever the week says.
pub(crate) const OPEN_READ: TenantSql = crate::sql!(
    "select exists (
         select from opening_hours h
         where h.company_id = c.company_id
           and h.weekday = extract(isodow from now() at time zone c.time_zone)
           and (now() at time zone c.time_zone)::time >= h.opens and (now() at time zone c.time_zone)::time < h.closes)
         and not exists (
         select from closures x
         where x.company_id = c.company_id and x.day = (now() at time zone c.time_zone)::date) as open
     from companies c
     where c.company_id = $1"
);

/// Keeps what an agent did with a tool, once, however often it is offered.
pub(crate) const TOOL_CALL_ADD: TenantSql = crate::sql!(
    "insert into tool_calls (company_id, message_id, call, tool, arguments, outcome, done)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (company_id, message_id, call) do nothing"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_is_described_as_providers_want_it() {
        for tool in Tool::ALL {
            let described = tool.described();
            assert!(described.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(described.parameters["type"], "object");
            assert_eq!(described.parameters["additionalProperties"], false);
            for required in described.parameters["required"].as_array().unwrap() {
                assert!(described.parameters["properties"].get(required.as_str().unwrap()).is_some());
            }
        }
    }

    #[test]
    fn arguments_are_checked_against_what_the_tool_takes() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Taken {
            #[expect(dead_code, reason = "only its being there counts")]
            query: String,
        }
        let call = |text: &str| ToolCall { name: "t".into(), arguments: text.into(), ..ToolCall::default() };
        assert!(arguments::<Taken>(&call("{\"query\":\"x\"}")).is_ok());
        for wrong in ["", "{", "[]", "{\"query\":1}", "{\"query\":\"x\",\"company_id\":\"y\"}", "null"] {
            assert!(matches!(arguments::<Taken>(&call(wrong)), Err(Error::Invalid(_))), "{wrong}");
        }
    }
}
