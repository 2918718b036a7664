//! One chat turn, top to bottom.
//!
//! It never calls a model before the question is stored and the budget reserved, never while a person has taken over, and
//! never ends without a terminal event, a settled budget and, where an agent answers, a stored answer.

pub mod events;
mod model;
mod prompt;
mod question;
mod replay;

pub(crate) use prompt::MAX_INPUT_TOKENS;
pub use question::Question;

use futures_util::future::join;
use http::{HeaderValue, Response};

use self::events::{Done, Event, Format, Listener, Sse};
use self::model::Asked;
use self::prompt::Read;
use self::question::Ask;
use crate::config::MEMORY_DAYS;
use crate::conversations::{ANSWER_ADD, Source};
use crate::error::Error;
use crate::ids::{MessageId, ProviderId};
use crate::knowledge::Hit;
use crate::ledger;
use crate::limiter::{self, AgentLimit, Allowance, Bill, Denied, Opening};
use crate::llm::{LlmError, StopReason};
use crate::memory::{MEMORY_ADD, Remembered};
use crate::outbox;
use crate::params;
use crate::platform::{Body, Level};
use crate::routes::Call;
use crate::smart_router::{Bounds, Outcome};
use crate::sse;
use crate::tenant::auth::Visitor;
use crate::tools::{TOOL_CALL_ADD, Used};

/// Longest answer that is kept, characters; the longest that a budget allows has about as many.
const ANSWER_LIMIT: usize = 32_000;
/// Times that an answer is offered to the database before the visitor is told it was not kept.
const STORE_TRIES: u32 = 3;

/// `POST /v1/chat`: stores the question, decides who answers, and streams the answer. With an `Idempotency-Key` the same
/// question sent again is answered with what was answered before, and no model is called for it.
///
/// # Errors
/// As [`begin`]. Later failures are events of the stream.
pub async fn turn(visitor: Visitor, call: Call) -> Result<Response<Body>, Error> {
    let ask = call.json::<Ask>().await?;
    let question = Question::asked(&visitor, ask, call.idempotency_key()?)?;
    let body = begin(visitor, question, Box::new(Sse)).await?;
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store, no-transform"));
    Ok(response)
}

/// Begins a turn; the answer streams in this format, and goes on to its end by itself.
///
/// # Errors
/// [`Error::NotFound`] for agent or conversation, [`Error::TooMany`] for the rate, [`Error::Conflict`] for a conversation at
/// its end or a key that was used for another question, [`Error::Unavailable`] when the database does not answer.
pub async fn begin(visitor: Visitor, question: Question, format: Box<dyn Format>) -> Result<Body, Error> {
    visitor.scope.app().refusals.check(&visitor)?;
    let day = visitor.scope.day(visitor.scope.platform().now_ms());

    // One round trip: Redis reserves and remembers while Postgres stores the question and reads what the answer needs.
    let (mut opening, read) =
        join(limiter::open(&visitor, question.conversation), question.store(&visitor, &day)).await;
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            give_back(&visitor, &question, opening.abandon()).await;
            return replay::instead(visitor, question, format, error).await;
        }
    };

    let bounds = Bounds::of(&read.models, MAX_INPUT_TOKENS, read.budget.max_output_tokens);
    let agent = read.agent.limit();
    let plan = match limiter::confirm(&visitor, &mut opening, &read.budget, bounds, agent).await {
        Err(Denied::Rate { seconds, all }) => {
            visitor.scope.app().refusals.remember(&visitor, all, seconds);
            return Err(Error::TooMany(seconds));
        }
        plan => Plan::make(&read, plan),
    };
    let (to, body) = sse::channel();
    let turn = Turn { visitor, question, read };
    turn.visitor.scope.platform_rc().spawn(Box::pin(async move {
        turn.answer(opening, plan, Listener::new(to, format)).await;
    }));
    Ok(body)
}

/// A turn whose question is stored.
pub(crate) struct Turn {
    visitor: Visitor,
    question: Question,
    read: Read,
}

/// Who answers, decided before the first byte is sent.
enum Plan {
    /// A model of the company's, within this allowance.
    Model(Allowance),
    /// The knowledge base, word for word; an allowance that is not needed goes back.
    Knowledge(Option<Allowance>, Why),
    /// A person of the company, who has taken the conversation over: the question waits for them.
    Person(Option<Allowance>),
}

/// Why no model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The company has no provider.
    NoProvider,
    /// The budget is used up: the day's, the month's or the agent's.
    Budget,
    /// Nobody knows what is left of the budget.
    BudgetUnknown,
    /// As many answers as the company allows are on their way.
    Busy,
    /// No model fits this prompt and what is left, or all that would are left alone for a while.
    NoModelFits,
    /// The provider did not answer.
    Provider,
    /// A person has taken the conversation over.
    Person,
}

impl Plan {
    fn make(read: &Read, allowance: Result<Allowance, Denied>) -> Self {
        if read.agent.person.is_some() {
            return Self::Person(allowance.ok());
        }
        if read.models.is_empty() {
            return Self::Knowledge(allowance.ok(), Why::NoProvider);
        }
        match allowance {
            Ok(allowance) => Self::Model(allowance),
            Err(Denied::Budget) => Self::Knowledge(None, Why::Budget),
            Err(Denied::Busy | Denied::Rate { .. }) => Self::Knowledge(None, Why::Busy),
            Err(Denied::Unknown) => Self::Knowledge(None, Why::BudgetUnknown),
        }
    }
}

/// What was said, by whom, and what is to be settled for it.
struct Told {
    text: String,
    source: Source,
    /// Why no model answered; `None` when one did.
    why: Option<Why>,
    /// How a model's answer broke off, if it did.
    broken: Option<LlmError>,
    /// Why the model that answered stopped.
    stop: Option<StopReason>,
    cited: Vec<Hit>,
    used: Vec<Used>,
    outcomes: Vec<(ProviderId, Outcome)>,
    bill: Option<Bill>,
}

impl Turn {
    /// Streams the answer and ends the turn. Runs on when the visitor leaves: what was said is stored, the budget settled.
    async fn answer(self, opening: Opening, plan: Plan, mut to: Listener) {
        let (conversation, message) = (self.question.conversation, self.question.message);
        let agent = (&*self.read.agent.slug, &*self.read.agent.name);
        to.hear(Event::Start { conversation, message, agent }).await;
        let told = match plan {
            Plan::Model(mut allowance) => {
                let prompt = self.read.prompt(&self.visitor, &self.question, &opening);
                let asked = model::ask(&self, prompt, &opening.health, &mut allowance, &mut to).await;
                self.told_by_model(asked, allowance.close(), &mut to).await
            }
            Plan::Knowledge(allowance, why) => {
                let mut told = self.told_by_knowledge(why, &mut to).await;
                told.bill = allowance.map(Allowance::close);
                told
            }
            Plan::Person(allowance) => return self.left_to_person(allowance.map(Allowance::close), to).await,
        };
        self.finish(told, to).await;
    }

    /// Says that a person will answer, and no more. Their answer is read from the conversation.
    async fn left_to_person(self, bill: Option<Bill>, mut to: Listener) {
        give_back(&self.visitor, &self.question, bill).await;
        to.hear(Event::Person(self.read.agent.person.as_deref().unwrap_or_default())).await;
        let done = Done { message: None, source: None, why: Some(Why::Person), stop: None, spends: &[] };
        to.hear(Event::Done(&done)).await;
    }

    /// What a model said; the knowledge base speaks when it said nothing.
    async fn told_by_model(&self, asked: Asked, bill: Bill, to: &mut Listener) -> Told {
        let did = asked.used.iter().any(|used| used.done && used.found.is_empty());
        let mut told = match asked.text.is_empty() {
            false => {
                let found = asked.used.iter().flat_map(|used| &used.found);
                let mut cited: Vec<Hit> =
                    self.read.hits.iter().chain(found).filter(|hit| hit.supports()).cloned().collect();
                let mut seen = Vec::new();
                cited.retain(|hit| {
                    !seen.contains(&hit.id()) && {
                        seen.push(hit.id());
                        true
                    }
                });
                let (text, broken, stop) = (asked.text, asked.broken, asked.stop);
                Told { text, source: Source::Model, broken, stop, cited, ..Told::empty() }
            }
            // A tool did what it is for, and the model fell silent over it.
            true if did && !to.left() => {
                let name = self.visitor.scope.company_name();
                let text = format!("Thank you. {name} has your request and will get back to you.");
                to.hear(Event::Delta(&text)).await;
                Told { text, source: Source::None, why: Some(asked.why), ..Told::empty() }
            }
            true => self.told_by_knowledge(asked.why, to).await,
        };
        (told.used, told.outcomes, told.bill) = (asked.used, asked.outcomes, Some(bill));
        told
    }

    /// Answers with the best entry, word for word, or says that there is none and asks how to call back.
    async fn told_by_knowledge(&self, why: Why, to: &mut Listener) -> Told {
        let best = self.read.hits.first().filter(|hit| hit.answers() && self.read.budget.knowledge_answers);
        let (text, source, cited) = match best {
            Some(hit) => (hit.answer.clone(), Source::Knowledge, vec![hit.clone()]),
            None => (
                format!(
                    "I don't have an answer to that yet. Leave your name and a phone number or e-mail address, and {} will get back to you.",
                    self.visitor.scope.company_name()
                ),
                Source::None,
                Vec::new(),
            ),
        };
        to.hear(Event::Delta(&text)).await;
        Told { text, source, why: Some(why), cited, ..Told::empty() }
    }

    /// Stores the answer, settles the budget, and only then says that the turn is done.
    async fn finish(&self, told: Told, mut to: Listener) {
        let scope = &self.visitor.scope;
        let answer = MessageId::new(scope.platform());
        let complete = told.broken.is_none() && !to.left();
        let citations: Vec<_> = told.cited.iter().map(Hit::citation).collect();

        // One round trip again: Postgres keeps the answer and the spend, Redis settles and remembers.
        let remembered = [Remembered::new(&self.visitor, &self.question.text, &told.text)];
        let kept = self.keep(&told, answer, complete, &citations);
        let conversation = self.question.conversation;
        let settled = limiter::settle(scope, told.bill.as_ref(), conversation, &told.outcomes, &remembered);
        let (kept, settled) = join(kept, settled).await;
        if let Err(error) = settled {
            scope.log(
                Level::Error,
                "budget not settled: its reservation will be void",
                &format!("{error:?}"),
            );
        }
        let spends = told.bill.as_ref().map_or(&[][..], Bill::spends);
        for spend in spends {
            scope.log(Level::Info, "model called", spend.reason.as_str());
        }

        if !citations.is_empty() {
            to.hear(Event::Citations(&citations)).await;
        }
        let end = match (&kept, told.broken) {
            (Ok(()), None) => {
                let (source, why, stop) = (Some(told.source), told.why, told.stop);
                let done = Done { message: Some(answer), source, why, stop, spends };
                to.hear(Event::Done(&done)).await;
                return;
            }
            (Ok(()), Some(_)) => Error::BrokeOff.problem(scope.request_id()),
            (Err(error), _) => {
                scope.log(Level::Error, "answer not stored", &format!("{error:?}"));
                error.problem(scope.request_id())
            }
        };
        to.hear(Event::Error(end)).await;
    }

    /// Keeps the answer, what it cost and what the conversation was about: one batch, harmless to repeat.
    async fn keep(
        &self,
        told: &Told,
        answer: MessageId,
        complete: bool,
        citations: &[serde_json::Value],
    ) -> Result<(), Error> {
        let question = &self.question;
        let mut tries = 0;
        loop {
            let mut batch = self.visitor.scope.batch();
            let text: String = told.text.chars().take(ANSWER_LIMIT).collect();
            let (source, cited) = (told.source.as_str(), serde_json::Value::from(citations));
            batch.run(
                ANSWER_ADD,
                params![answer, question.conversation, text, complete, source, cited, question.message],
            );
            let about: String = question.text.chars().take(300).collect();
            batch.run(MEMORY_ADD, params![question.conversation, self.visitor.id, about, MEMORY_DAYS]);
            for (call, used) in (1_u32..).zip(&told.used) {
                let (tool, arguments) = (&used.tool, used.arguments.clone());
                batch.run(
                    TOOL_CALL_ADD,
                    params![question.message, call, tool, arguments, &used.outcome, used.done],
                );
            }
            let alert = told.bill.as_ref().and_then(|bill| {
                ledger::enter(&mut batch, bill, question.conversation, self.read.agent.agent_id)
            });
            tries += 1;
            match batch.send().await {
                Ok(mut rows) => {
                    if let Some(alert) = alert {
                        outbox::deliver_told(&self.visitor.scope, &mut rows, alert);
                    }
                    return Ok(());
                }
                Err(Error::Unavailable(..)) if tries < STORE_TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Told {
    fn empty() -> Self {
        Self {
            text: String::new(),
            source: Source::None,
            why: None,
            broken: None,
            stop: None,
            cited: Vec::new(),
            used: Vec::new(),
            outcomes: Vec::new(),
            bill: None,
        }
    }
}

impl crate::agents::Answering {
    /// The agent's own limit, where it has one.
    pub(crate) fn limit(&self) -> Option<AgentLimit> {
        Some(AgentLimit {
            agent: self.agent_id,
            daily_limit_microusd: self.daily_limit_microusd?,
            ledger_spent_microusd: self.ledger_spent_microusd,
        })
    }
}

/// Gives back what was reserved for a turn that does not happen.
async fn give_back(visitor: &Visitor, question: &Question, bill: Option<Bill>) {
    if bill.is_none() {
        return;
    }
    if let Err(error) = limiter::settle(&visitor.scope, bill.as_ref(), question.conversation, &[], &[]).await
    {
        visitor.scope.log(Level::Warn, "reservation left to be void", &format!("{error:?}"));
    }
}
