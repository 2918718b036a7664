//! One chat turn, top to bottom.
//!
//! It never calls a model before the question is stored and the budget reserved, and never ends without a terminal
//! event, a stored answer and a settled budget.

mod prompt;
mod question;

use std::rc::Rc;

use futures_util::future::join;
use http::{HeaderValue, Response};
use serde_json::json;

use self::prompt::{MAX_INPUT_TOKENS, Read};
use self::question::{Ask, Question};
use crate::config::MEMORY_DAYS;
use crate::conversations::{ANSWER_ADD, LEDGER_ADD, Source};
use crate::error::Error;
use crate::ids::MessageId;
use crate::knowledge::Hit;
use crate::limiter::{self, Bill, Denied, Permit};
use crate::llm::{self, LlmError, Prompt};
use crate::memory::{MEMORY_ADD, Remembered};
use crate::params;
use crate::platform::{Body, Level};
use crate::routes::Call;
use crate::smart_router::{self, Choice};
use crate::sse::{self, Reader};
use crate::tenant::auth::Visitor;

/// Longest answer that is kept, characters; the longest that a budget allows has about as many.
const ANSWER_LIMIT: usize = 32_000;
/// Times that an answer is offered to the database before the visitor is told it was not kept.
const STORE_TRIES: u32 = 3;

/// `POST /v1/chat`: stores the question, decides who answers, and streams the answer.
///
/// # Errors
/// [`Error::Invalid`] for the question, [`Error::NotFound`] for agent or conversation, [`Error::TooMany`] for the
/// visitor's rate, [`Error::Unavailable`] when the database does not answer. Later failures are events of the stream.
pub async fn turn(visitor: Visitor, call: Call) -> Result<Response<Body>, Error> {
    let ask = call.json::<Ask>().await?.check()?;
    let question = Question::new(&visitor, ask)?;

    // One round trip: Redis reserves and remembers while Postgres stores the question and reads what the answer needs.
    let (opening, read) =
        join(limiter::open(&visitor, question.conversation), question.store(&visitor)).await;
    let (mut opening, read) = match (opening, read) {
        (Ok(opening), Ok(read)) => (opening, read),
        (Ok(opening), Err(error)) => {
            give_back(&visitor, &question, opening.abandon()).await;
            return Err(error);
        }
        (Err(error), _) => return Err(error),
    };

    let ceiling =
        smart_router::ceiling_microusd(&read.models, MAX_INPUT_TOKENS, read.budget.max_output_tokens);
    let permit = limiter::confirm(&visitor, &mut opening, &read.budget, ceiling).await;
    let prompt = read.prompt(&visitor, &question, &opening);
    let plan = Plan::make(&visitor, &read, &prompt, permit);

    let (sender, reader) = sse::channel();
    let platform = Rc::clone(&call.platform);
    platform.spawn(Box::pin(answer(visitor, question, read, prompt, plan, sender)));
    let mut response = Response::new(reader);
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-store, no-transform"));
    Ok(response)
}

/// Who answers, decided before the first byte is sent.
enum Plan {
    /// A model of the company's, with the permit to call it.
    Model(Permit, Choice),
    /// The knowledge base, word for word; a permit that is not needed goes back.
    Knowledge(Option<Permit>, Why),
}

/// Why no model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Why {
    /// The company has no provider.
    NoProvider,
    /// The day's budget is used up.
    Budget,
    /// Nobody knows what is left of the budget.
    BudgetUnknown,
    /// No model fits this prompt and what is left.
    NoModelFits,
    /// The provider did not answer.
    Provider,
}

impl Plan {
    fn make(visitor: &Visitor, read: &Read, prompt: &Prompt, permit: Result<Permit, Denied>) -> Self {
        let permit = match permit {
            Ok(permit) => permit,
            Err(_) if read.models.is_empty() => return Self::Knowledge(None, Why::NoProvider),
            Err(Denied::Budget) => return Self::Knowledge(None, Why::Budget),
            Err(Denied::Unknown) => return Self::Knowledge(None, Why::BudgetUnknown),
        };
        if read.models.is_empty() {
            return Self::Knowledge(Some(permit), Why::NoProvider);
        }
        let choice = smart_router::choose(&read.models, read.agent.tier, prompt, permit.reserved_microusd());
        match choice.map(|choice| choice.at(&visitor.scope)) {
            Some(Ok(choice)) => Self::Model(permit, choice),
            _ => Self::Knowledge(Some(permit), Why::NoModelFits),
        }
    }
}

/// Streams the answer and ends the turn. Runs on when the visitor leaves: what was said is stored, the budget settled.
async fn answer(
    visitor: Visitor,
    question: Question,
    read: Read,
    prompt: Prompt,
    plan: Plan,
    mut to: sse::Sender,
) {
    let start = json!({
        "conversation_id": question.conversation,
        "message_id": question.message,
        "agent": { "slug": read.agent.slug, "name": read.agent.name },
    });
    to.send("start", &start).await;
    let told = match plan {
        Plan::Model(permit, choice) => {
            match ask_model(&visitor, &prompt, permit, choice, &read.hits, &mut to).await {
                Ok(told) => told,
                // Nothing was said yet, so the knowledge base may speak instead.
                Err(bill) => from_knowledge(&visitor, &read.hits, Some(bill), Why::Provider, &mut to).await,
            }
        }
        Plan::Knowledge(permit, why) => {
            from_knowledge(&visitor, &read.hits, permit.map(Permit::release), why, &mut to).await
        }
    };
    finish(&visitor, &question, told, to).await;
}

/// What was said, by whom, and what is to be settled for it.
struct Told {
    text: String,
    source: Source,
    /// Why no model answered; `None` when one did.
    why: Option<Why>,
    /// How a model's answer broke off, if it did.
    broken: Option<LlmError>,
    cited: Vec<Hit>,
    bill: Option<Bill>,
}

/// Streams a model's answer as it comes. An error means that it said nothing: its bill, for the answer that follows.
async fn ask_model(
    visitor: &Visitor,
    prompt: &Prompt,
    permit: Permit,
    choice: Choice,
    hits: &[Hit],
    to: &mut sse::Sender,
) -> Result<Told, Bill> {
    let scope = &visitor.scope;
    let key = match choice.key(scope) {
        Ok(key) => key,
        Err(error) => {
            scope.log(Level::Error, "alarm: provider key", &format!("{error:?}"));
            return Err(permit.release());
        }
    };
    let mut stream = match llm::start(scope.platform(), permit, choice, key, prompt).await {
        Ok(stream) => stream,
        Err((error, bill)) => {
            scope.log(Level::Warn, "provider did not answer", &error.to_string());
            return Err(bill);
        }
    };
    let (mut text, mut broken) = (String::new(), None);
    while let Some(delta) = stream.next().await {
        match delta {
            Ok(delta) => {
                // The database cannot keep NUL.
                let delta = delta.replace('\0', "");
                text.push_str(&delta);
                if to.send("delta", &json!({ "text": delta })).await == Reader::Gone {
                    break;
                }
            }
            Err(error) => {
                scope.log(Level::Warn, "provider broke off", &error.to_string());
                broken = Some(error);
            }
        }
    }
    let bill = stream.close();
    if text.is_empty() {
        return Err(bill);
    }
    let cited = hits.iter().filter(|hit| hit.supports()).cloned().collect();
    Ok(Told { text, source: Source::Model, why: None, broken, cited, bill: Some(bill) })
}

/// Answers with the best entry, word for word, or says that there is none and asks how to call back.
async fn from_knowledge(
    visitor: &Visitor,
    hits: &[Hit],
    bill: Option<Bill>,
    why: Why,
    to: &mut sse::Sender,
) -> Told {
    let (text, source, cited) = match hits.first().filter(|hit| hit.answers()) {
        Some(hit) => (hit.answer.clone(), Source::Knowledge, vec![hit.clone()]),
        None => (
            format!(
                "I don't have an answer to that yet. Leave your name and a phone number or e-mail address, and {} will get back to you.",
                visitor.scope.company_name()
            ),
            Source::None,
            Vec::new(),
        ),
    };
    to.send("delta", &json!({ "text": text })).await;
    Told { text, source, why: Some(why), broken: None, cited, bill }
}

/// Stores the answer, settles the budget, and only then says that the turn is done.
async fn finish(visitor: &Visitor, question: &Question, told: Told, mut to: sse::Sender) {
    let scope = &visitor.scope;
    let answer = MessageId::new(scope.platform());
    let complete = told.broken.is_none() && !to.reader_left();
    let citations: Vec<_> = told.cited.iter().map(Hit::citation).collect();

    // One round trip again: Postgres keeps the answer and the spend, Redis settles and remembers.
    let remembered = [Remembered::new(visitor, &question.text, &told.text)];
    let spend = told.bill.as_ref().and_then(Bill::spend).cloned();
    let kept = keep(visitor, question, &told, answer, complete, &citations);
    let settled = limiter::settle(scope, told.bill.as_ref(), question.conversation, &remembered);
    let (kept, settled) = join(kept, settled).await;
    if let Err(error) = settled {
        scope.log(Level::Error, "budget not settled: its reservation will be void", &format!("{error:?}"));
    }

    if !citations.is_empty() {
        to.send("citations", &citations).await;
    }
    match (&kept, told.broken) {
        (Ok(()), None) => {
            let done = json!({
                "message_id": answer,
                "source": told.source,
                "reason": told.why,
                "model": spend.as_ref().map(|spend| &spend.model),
                "routing": spend.as_ref().map(|spend| spend.reason),
                "input_tokens": spend.as_ref().map(|spend| spend.usage.input_tokens),
                "output_tokens": spend.as_ref().map(|spend| spend.usage.output_tokens),
            });
            to.send("done", &done).await;
        }
        (Ok(()), Some(_)) => {
            to.send("error", &Error::BrokeOff.problem(scope.request_id())).await;
        }
        (Err(error), _) => {
            scope.log(Level::Error, "answer not stored", &format!("{error:?}"));
            to.send("error", &error.problem(scope.request_id())).await;
        }
    }
}

/// Keeps the answer, what it cost and what the conversation was about: one batch, harmless to repeat.
async fn keep(
    visitor: &Visitor,
    question: &Question,
    told: &Told,
    answer: MessageId,
    complete: bool,
    citations: &[serde_json::Value],
) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        let mut batch = visitor.scope.batch();
        batch.run(
            ANSWER_ADD,
            params![
                answer,
                question.conversation,
                told.text.chars().take(ANSWER_LIMIT).collect::<String>(),
                complete,
                told.source.as_str(),
                serde_json::Value::from(citations),
                question.message,
            ],
        );
        let about: String = question.text.chars().take(300).collect();
        batch.run(MEMORY_ADD, params![question.conversation, visitor.id, about, MEMORY_DAYS]);
        if let Some(bill) = &told.bill
            && let Some(spend) = bill.spend()
        {
            batch.run(
                LEDGER_ADD,
                params![
                    bill.reservation(),
                    bill.day(),
                    question.conversation,
                    spend.provider,
                    &spend.model,
                    spend.usage.input_tokens,
                    spend.usage.output_tokens,
                    spend.cost_microusd,
                    spend.estimated,
                ],
            );
        }
        tries += 1;
        match batch.send().await {
            Ok(_) => return Ok(()),
            Err(Error::Unavailable(..)) if tries < STORE_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

/// Gives back what was reserved for a turn that does not happen.
async fn give_back(visitor: &Visitor, question: &Question, bill: Option<Bill>) {
    if bill.is_none() {
        return;
    }
    if let Err(error) = limiter::settle(&visitor.scope, bill.as_ref(), question.conversation, &[]).await {
        visitor.scope.log(Level::Warn, "reservation left to be void", &format!("{error:?}"));
    }
}
