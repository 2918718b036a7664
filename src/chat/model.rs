//! A model's answer, whichever of the company's models gives it: tried in the router's order, with the tools it calls.
//!
//! It never changes the model within an answer that somebody has begun to read, and never calls one without a permit.

use std::collections::HashSet;

use super::events::{Event, Listener};
use super::prompt::{Read, TOOLS_LIMIT};
use super::{Turn as ChatTurn, Why};
use crate::config::{FIRST_WORD_MS, TURN_MS};
use crate::ids::ProviderId;
use crate::limiter::Allowance;
use crate::llm::{self, LlmError, Piece, Prompt, StopReason, Stream, ToolCall, ToolResult, Turn};
use crate::platform::Level;
use crate::smart_router::{self, Choice, Effort, Health, Left, Outcome, Wanted};
use crate::sse::Reader;
use crate::tenant::TenantScope;
use crate::tools::{self, Used};

/// Most model calls of one turn that lead to an answer: three rounds of tools, and one that must answer.
const MAX_ROUNDS: usize = 4;
/// Most tools that a model may call at once.
const MAX_CALLS: usize = 4;
/// Longest wait before the same provider is asked once more, milliseconds.
const LONGEST_PAUSE_MS: u32 = 2_500;

/// What models made of a turn.
pub(super) struct Asked {
    /// What was said; empty when no model said anything.
    pub(super) text: String,
    /// How the answer broke off, if it did.
    pub(super) broken: Option<LlmError>,
    /// Why the model that answered stopped.
    pub(super) stop: Option<StopReason>,
    /// The tools that were used.
    pub(super) used: Vec<Used>,
    /// How the providers fared.
    pub(super) outcomes: Vec<(ProviderId, Outcome)>,
    /// Why there is no answer; of use only when there is no text.
    pub(super) why: Why,
}

/// Asks the company's models, in the router's order, until one answers.
pub(super) async fn ask(
    turn: &ChatTurn,
    prompt: Prompt,
    health: &Health,
    allowance: &mut Allowance,
    to: &mut Listener,
) -> Asked {
    let started_ms = turn.visitor.scope.platform().now_ms();
    let asked = Asked {
        text: String::new(),
        broken: None,
        stop: None,
        used: Vec::new(),
        outcomes: Vec::new(),
        why: Why::NoModelFits,
    };
    let mut asking = Asking { turn, health, allowance, to, started_ms, answering: None, asked };
    asking.run(prompt).await;
    asking.asked
}

/// One turn's asking, as far as it has come.
struct Asking<'a> {
    turn: &'a ChatTurn,
    health: &'a Health,
    allowance: &'a mut Allowance,
    to: &'a mut Listener,
    started_ms: u64,
    /// Who gave the last round's answer: goes on if it may.
    answering: Option<(ProviderId, String)>,
    asked: Asked,
}

/// How one round ended.
enum Round {
    /// With an answer.
    Said,
    /// The model wants to know what these tools answer first; and what it said until then.
    Called(Vec<ToolCall>, String),
    /// In the middle of an answer.
    Broken(LlmError),
    /// The listener left.
    Left,
    /// No model answered.
    Silent,
}

impl Asking<'_> {
    async fn run(&mut self, mut prompt: Prompt) {
        for round in 1..=MAX_ROUNDS {
            if round == MAX_ROUNDS {
                prompt.tools.clear();
            }
            match self.round(&mut prompt).await {
                Round::Called(calls, text) => {
                    let results = self.use_tools(&prompt, &calls).await;
                    prompt.turns.push(Turn::Assistant { text, calls });
                    prompt.turns.push(Turn::Tools(results));
                }
                Round::Broken(error) => {
                    self.asked.broken = Some(error);
                    return;
                }
                // What was said before the tools were called is no whole answer.
                Round::Silent if !self.asked.text.is_empty() => {
                    self.asked.broken = Some(LlmError::Cut);
                    return;
                }
                Round::Said | Round::Left | Round::Silent => return,
            }
        }
    }

    /// One answer, from the first of the ranked models that gives one.
    async fn round(&mut self, prompt: &mut Prompt) -> Round {
        let wanted = wanted(&self.turn.read, &self.turn.question.text, prompt);
        let left = Left { microusd: self.allowance.left_microusd(), tokens: self.allowance.left_tokens() };
        let mut ranked = smart_router::rank(&self.turn.read.models, &wanted, left, self.health);
        if let Some((provider, model)) = &self.answering {
            ranked.sort_by_key(|choice| choice.provider() != *provider || choice.model() != model);
        }
        // A provider whose account is no good is not asked for another of its models.
        let mut given_up = HashSet::new();
        let mut failed = false;
        let others = ranked.len() > 1;
        for choice in ranked {
            if given_up.contains(&choice.provider()) {
                continue;
            }
            let choice = if failed { choice.as_fallback() } else { choice };
            match self.call(&choice, prompt, others).await {
                Ok(round) => {
                    self.answering = Some((choice.provider(), choice.model().to_owned()));
                    return round;
                }
                Err(Failed::Alarm) => return Round::Silent,
                Err(Failed::NoRoom) => continue,
                Err(Failed::Provider(error)) => {
                    failed = true;
                    self.asked.why = Why::Provider;
                    if error != LlmError::NotFound {
                        given_up.insert(choice.provider());
                    }
                }
            }
            // Somebody who has begun to read is not handed over to another model in silence.
            if !self.asked.text.is_empty() || self.elapsed_ms() > FIRST_WORD_MS {
                break;
            }
        }
        Round::Silent
    }

    /// Calls one model, once more where waiting a moment may help.
    async fn call(&mut self, choice: &Choice, prompt: &mut Prompt, others: bool) -> Result<Round, Failed> {
        let scope = &self.turn.visitor.scope;
        let tries = if others { 2 } else { 3 };
        let mut attempt = 1;
        loop {
            let bound = choice.bound();
            let tokens = u64::from(bound.input_tokens) + u64::from(bound.output_tokens);
            let permit = self.allowance.permit(choice.cost_microusd(bound), tokens).ok_or(Failed::NoRoom)?;
            let key = match choice.key(scope) {
                Ok(key) => key,
                Err(error) => {
                    scope.log(Level::Error, "alarm: provider key", &format!("{error:?}"));
                    self.allowance.enter(permit.release());
                    return Err(Failed::Alarm);
                }
            };
            prompt.max_output_tokens = choice.max_output_tokens();
            let called_ms = self.elapsed_ms();
            let error = match llm::start(scope, permit, choice, key, prompt).await {
                Ok(stream) => match self.listen(stream, choice.provider()).await {
                    Ok(round) => return Ok(round),
                    Err(error) => error,
                },
                Err((error, charge)) => {
                    self.allowance.enter(charge);
                    self.note(choice.provider(), Outcome::of(error));
                    error
                }
            };
            scope.log(
                Level::Warn,
                "provider did not answer",
                &format!("{}: {error}", choice.reason().as_str()),
            );
            // What took long will take long again.
            let quick = self.elapsed_ms().saturating_sub(called_ms) < 5_000;
            match pause_ms(scope, error, attempt).filter(|_| quick && attempt < tries) {
                Some(ms) => scope.platform().sleep(ms).await,
                None => return Err(Failed::Provider(error)),
            }
            attempt += 1;
        }
    }

    /// Passes on what a model says. An error means that it said nothing, so that another may be asked.
    async fn listen(&mut self, mut stream: Stream<'_>, provider: ProviderId) -> Result<Round, LlmError> {
        let (mut said, mut calls, mut broken, mut left) = (String::new(), Vec::new(), None, false);
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(Piece::Text(delta)) => {
                    // The database cannot keep NUL.
                    let delta = delta.replace('\0', "");
                    said.push_str(&delta);
                    self.asked.text.push_str(&delta);
                    left = self.to.hear(Event::Delta(&delta)).await == Reader::Gone;
                }
                Ok(Piece::Call(call)) => calls.push(call),
                Err(error) => broken = Some(error),
            }
            let elapsed_ms = self.elapsed_ms();
            let late = elapsed_ms > TURN_MS || (said.is_empty() && elapsed_ms > FIRST_WORD_MS);
            if late && broken.is_none() {
                broken = Some(LlmError::Cut);
            }
            if left || late || broken.is_some() {
                break;
            }
        }
        self.asked.stop = stream.stopped();
        self.allowance.enter(stream.close());
        self.note(provider, broken.map_or(Some(Outcome::Well), Outcome::of));
        calls.truncate(MAX_CALLS);
        match broken {
            _ if left => Ok(Round::Left),
            Some(error) if said.is_empty() => Err(error),
            Some(error) => {
                self.turn.visitor.scope.log(Level::Warn, "provider broke off", &error.to_string());
                Ok(Round::Broken(error))
            }
            None if !calls.is_empty() => Ok(Round::Called(calls, said)),
            None if said.is_empty() => {
                self.asked.why = Why::Provider;
                Ok(Round::Silent)
            }
            None => Ok(Round::Said),
        }
    }

    /// What the tools answer to these calls, in their order, cut to what a prompt may hold.
    async fn use_tools(&mut self, prompt: &Prompt, calls: &[ToolCall]) -> Vec<ToolResult> {
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            let mut used =
                tools::run(&self.turn.visitor, self.turn.question.conversation, &prompt.tools, call).await;
            let so_far: usize = self.asked.used.iter().map(|used| used.outcome.len()).sum();
            let room = TOOLS_LIMIT.saturating_sub(so_far + call.arguments.len());
            used.outcome = used.outcome.chars().take(room / 4).collect();
            self.to.hear(Event::Tool { name: &used.tool, done: used.done }).await;
            let content = used.outcome.clone();
            results.push(ToolResult { call_id: call.id.clone(), name: call.name.clone(), content });
            self.asked.used.push(used);
        }
        results
    }

    /// Notes how a call ended; of several of one provider the last counts, so that a turn is one failure at most.
    fn note(&mut self, provider: ProviderId, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        self.asked.outcomes.retain(|(other, _)| *other != provider);
        self.asked.outcomes.push((provider, outcome));
    }

    fn elapsed_ms(&self) -> u64 {
        self.turn.visitor.scope.platform().now_ms().saturating_sub(self.started_ms)
    }
}

/// Why a model was not heard.
enum Failed {
    /// The allowance does not hold the call.
    NoRoom,
    /// The provider, or who stands between.
    Provider(LlmError),
    /// The key is not this company's: nobody is asked any more.
    Alarm,
}

fn wanted(read: &Read, question: &str, prompt: &Prompt) -> Wanted {
    let budget = &read.budget;
    let answered = read.hits.first().is_some_and(crate::knowledge::Hit::answers);
    Wanted {
        agent_tier: read.agent.tier,
        effort: Effort::of(question, answered),
        cheaper: budget.cheaper_models,
        // The last fifth of the day's money.
        tight: budget.ledger_spent_microusd.saturating_mul(5)
            >= budget.daily_limit_microusd.saturating_mul(4),
        input_tokens: prompt.upper_bound_input_tokens(),
        max_output_tokens: prompt.max_output_tokens,
    }
}

/// How long to wait before the same provider is asked again, with jitter, so that many who wait do not come back at once;
/// `None` when that is no use.
fn pause_ms(scope: &TenantScope, error: LlmError, attempt: u32) -> Option<u32> {
    let mut random = [0; 1];
    scope.platform().fill_random(&mut random);
    let [jitter] = random.map(u32::from);
    let pause_ms = match error {
        LlmError::RateLimited { retry_after_s: Some(seconds) } => seconds.checked_mul(1_000)?,
        LlmError::RateLimited { retry_after_s: None }
        | LlmError::Overloaded
        | LlmError::Server { .. }
        | LlmError::Unreachable => 150 << attempt,
        _ => return None,
    };
    (pause_ms <= LONGEST_PAUSE_MS).then_some(pause_ms + jitter)
}
