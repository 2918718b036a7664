//! The CognitiveLimiter: no model is called without a [`Permit`], and a permit is drawn from what a turn has reserved in the
//! company's budget.
//!
//! It never fails open: when the budget is not known, there is no allowance, and so no spend.
//!
//! A day's hash in Redis, `daily_spend:{company_id}:{date}`, holds `spent`, `tokens` of the month so far, the limits, and one
//! field a reservation: `h:<id>` is `amount:tokens:void_at_ms:agent` while held and `s:0:void_at_ms:` once settled, so that a
//! retried settle charges nothing. `q:`, `q:v:<visitor>` and `q:a:<address>` are `minute:questions`, and `p:<provider>` says how
//! it fared. The usage ledger in Postgres is the truth: it seeds the hash, and caps what Redis would allow.

mod allowance;
mod refusals;
pub mod scripts;

pub use allowance::{Allowance, Bill, Charge, Permit, Spend};
pub use refusals::Refusals;

use serde_json::Value;

use crate::budget::Budget;
use crate::config::{HOLD_MS, MARK_MS, MEMORY_S};
use crate::error::Error;
use crate::ids::{AgentId, ConversationId, ProviderId, ReservationId};
use crate::knockout::{Wall, stands};
use crate::memory::Remembered;
use crate::platform::Level;
use crate::smart_router::{Bounds, Health, Outcome};
use crate::tenant::TenantScope;
use crate::tenant::auth::Visitor;
use scripts::{OPEN, SETTLE};

/// Why there is no allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The day's money, the month's tokens or the agent's money do not hold another turn.
    Budget,
    /// As many answers as the company allows are on their way.
    Busy,
    /// Redis does not answer, so nobody knows.
    Unknown,
    /// Too many questions: the visitor's or their network address's, or those of all visitors together.
    Rate {
        /// Seconds to wait.
        seconds: u64,
        /// Whether every visitor of the company has to.
        all: bool,
    },
}

/// An agent's own limit, where it has one.
#[derive(Clone, Copy, Debug)]
pub struct AgentLimit {
    /// The agent.
    pub agent: AgentId,
    /// Most that its model calls may cost a day, micro-dollars.
    pub daily_limit_microusd: u64,
    /// What the ledger says it spent today, micro-dollars.
    pub ledger_spent_microusd: u64,
}

/// What one Redis call brought at the start of a turn.
pub struct Opening {
    reservation: ReservationId,
    day: String,
    conversation: ConversationId,
    verdict: Verdict,
    /// What was said in this conversation of late; empty when Redis lost it.
    pub memory: Vec<Remembered>,
    /// Which of the company's providers failed of late.
    pub health: Health,
}

/// What the script said, and what it said it under.
enum Verdict {
    /// So much is reserved.
    Held { microusd: u64, tokens: u64, under: Under },
    /// The budget, as Redis knows it, does not hold another turn.
    Refused(Under),
    /// As many answers as Redis knows to be allowed are on their way.
    Busy(Under),
    /// Too many questions this minute, as far as Redis knows the limits; whether they are those of all visitors.
    Rate(Under, bool),
    /// Redis knows no limits for this day.
    Unseeded,
    /// Redis did not answer.
    Away,
}

/// What Redis believed when it decided.
#[derive(PartialEq, Eq)]
struct Under {
    limits: String,
    bounds: String,
    /// Spent or held by others.
    microusd: u64,
    /// Used this month or held by others.
    tokens: u64,
}

/// Begins a turn: reserves budget, counts questions, reads the conversation's memory and the providers' health. One
/// Redis call. Redis not answering is no error here: the turn goes on without a model.
pub async fn open(visitor: &Visitor, conversation: ConversationId) -> Opening {
    let now_ms = visitor.scope.platform().now_ms();
    let mut opening = Opening {
        reservation: ReservationId::new(visitor.scope.platform()),
        day: visitor.scope.day(now_ms),
        conversation,
        verdict: Verdict::Away,
        memory: Vec::new(),
        health: Health::default(),
    };
    opening.ask(visitor, None).await;
    opening
}

/// Turns an opening into an allowance, now that the company's budget and the ledger are known. `bounds` is what a turn of
/// this company's can cost. A second Redis call is made only when what Redis knew was missing or out of date, or the agent
/// has a limit of its own.
///
/// # Errors
/// [`Denied`] when there is no room, or nobody knows whether there is.
pub async fn confirm(
    visitor: &Visitor,
    opening: &mut Opening,
    budget: &Budget,
    bounds: Bounds,
    agent: Option<AgentLimit>,
) -> Result<Allowance, Denied> {
    let (limits, bounds) = (budget.limits(), bounds.to_string());
    let current = |under: &Under| under.limits == limits && under.bounds == bounds;
    let stale = match &opening.verdict {
        Verdict::Away => return Err(Denied::Unknown),
        Verdict::Unseeded => true,
        // A turn that the ledger has is held until Redis has it too; if it is neither, its settlement was lost.
        Verdict::Held { under, .. } => {
            !current(under)
                || under.microusd < budget.ledger_spent_microusd
                || under.tokens < budget.ledger_tokens
                || agent.is_some()
        }
        Verdict::Refused(under) | Verdict::Busy(under) | Verdict::Rate(under, _) => !current(under),
    };
    if stale {
        opening.ask(visitor, Some(Seed { limits, bounds, budget, agent })).await;
    }
    let (microusd, tokens) = match opening.verdict {
        Verdict::Held { microusd, tokens, .. } => (microusd, tokens),
        Verdict::Refused(_) => return Err(Denied::Budget),
        Verdict::Busy(_) => return Err(Denied::Busy),
        Verdict::Rate(_, all) => {
            let now_s = visitor.scope.platform().now_ms() / 1_000;
            return Err(Denied::Rate { seconds: 60 - now_s % 60, all });
        }
        Verdict::Away | Verdict::Unseeded => return Err(Denied::Unknown),
    };
    let agent = agent.map(|limit| limit.agent);
    let allowance = Allowance::new(opening.reservation, opening.day.clone(), agent, microusd, tokens);
    // Layer 7's backstop: the ledger caps what Redis would allow.
    if budget.ledger_spent_microusd >= budget.daily_limit_microusd && stands(Wall::LedgerCap) {
        let released = settle(&visitor.scope, Some(&allowance.close()), opening.conversation, &[], &[]).await;
        if let Err(error) = released {
            visitor.scope.log(Level::Warn, "reservation left to be void", &format!("{error:?}"));
        }
        return Err(Denied::Budget);
    }
    Ok(allowance)
}

/// Ends a turn: settles its bill, if it had an allowance, keeps what was said and how providers behaved. One Redis call;
/// repeating it charges nothing twice.
///
/// # Errors
/// [`Error::Unavailable`] when Redis does not answer; the reservation is void by itself then.
pub async fn settle(
    scope: &TenantScope,
    bill: Option<&Bill>,
    conversation: ConversationId,
    outcomes: &[(ProviderId, Outcome)],
    said: &[Remembered],
) -> Result<(), Error> {
    let now_ms = scope.platform().now_ms();
    let day = bill.map_or_else(|| scope.day(now_ms), |bill| bill.day().to_owned());
    let keys = [scope.key_daily_spend(&day), scope.key_memory(conversation)];
    let text = |id: Option<String>| id.unwrap_or_default();
    let mut args = vec![
        owner(scope),
        text(bill.map(|bill| bill.reservation().to_string())),
        now_ms.to_string(),
        MARK_MS.to_string(),
        bill.map_or(0, Bill::cost_microusd).to_string(),
        bill.map_or(0, Bill::tokens).to_string(),
        text(bill.and_then(Bill::agent).map(|agent| agent.to_string())),
        MEMORY_S.to_string(),
        outcomes.len().to_string(),
    ];
    args.extend(outcomes.iter().map(|(provider, outcome)| format!("{provider}={}", outcome.to_text())));
    args.extend(said.iter().map(Remembered::to_value));
    scope.redis_eval(SETTLE, &keys, &args).await.map(|_| ())
}

/// What Redis is told when what it knew was missing or old.
struct Seed<'a> {
    limits: String,
    bounds: String,
    budget: &'a Budget,
    agent: Option<AgentLimit>,
}

impl Opening {
    /// The bill of a turn that does not happen, if something is reserved for it.
    #[must_use]
    pub fn abandon(&self) -> Option<Bill> {
        let held = matches!(self.verdict, Verdict::Held { .. });
        held.then(|| Allowance::new(self.reservation, self.day.clone(), None, 0, 0).close())
    }

    /// The company's own day of this turn, ISO 8601.
    #[must_use]
    pub fn day(&self) -> &str {
        &self.day
    }

    /// Asks Redis; with a seed, after telling it the limits.
    async fn ask(&mut self, visitor: &Visitor, seed: Option<Seed<'_>>) {
        let scope = &visitor.scope;
        let now_ms = scope.platform().now_ms();
        let keys = [scope.key_daily_spend(&self.day), scope.key_memory(self.conversation)];
        let mut args = vec![
            owner(scope),
            self.reservation.to_string(),
            now_ms.to_string(),
            HOLD_MS.to_string(),
            visitor.id.to_string(),
            visitor.address.clone().unwrap_or_default(),
        ];
        if let Some(seed) = seed {
            args.extend([
                seed.limits,
                seed.bounds,
                seed.budget.ledger_spent_microusd.to_string(),
                seed.budget.ledger_tokens.to_string(),
            ]);
            if let Some(limit) = seed.agent {
                args.extend([
                    limit.agent.to_string(),
                    limit.daily_limit_microusd.to_string(),
                    limit.ledger_spent_microusd.to_string(),
                ]);
            }
        }
        self.verdict = match scope.redis_eval(OPEN, &keys, &args).await {
            Ok(reply) => self.read(visitor, &reply),
            Err(error) => {
                scope.log(Level::Error, "budget unknown", &format!("{error:?}"));
                Verdict::Away
            }
        };
    }

    fn read(&mut self, visitor: &Visitor, reply: &Value) -> Verdict {
        let text = |at: usize| reply.get(at).and_then(Value::as_str);
        let number = |at: usize| text(at).and_then(|text| text.parse::<u64>().ok());
        let list = |at: usize| reply.get(at).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        self.memory = list(7).iter().filter_map(|value| Remembered::of(visitor, value)).collect();
        self.health = Health::read(list(8));
        let under = (|| {
            let (limits, bounds) = (text(3)?.to_owned(), text(4)?.to_owned());
            Some(Under { limits, bounds, microusd: number(5)?, tokens: number(6)? })
        })();
        let verdict = text(0).map(|verdict| {
            let passes = !stands(Wall::Budget) && verdict == "refused";
            if passes { "held" } else { verdict }
        });
        match (verdict, under) {
            (Some("held"), Some(under)) => {
                // With the wall gone the script reserved nothing: what it would have is the bound.
                let bound = |at: usize| under.bounds.split(':').nth(at).and_then(|bound| bound.parse().ok());
                let microusd = number(1).filter(|held| *held > 0).or_else(|| bound(0)).unwrap_or(0);
                let tokens = number(2).filter(|held| *held > 0).or_else(|| bound(2)).unwrap_or(0);
                Verdict::Held { microusd, tokens, under }
            }
            (Some("refused"), Some(under)) => Verdict::Refused(under),
            (Some("busy"), Some(under)) => Verdict::Busy(under),
            (Some(verdict @ ("rate" | "crowd")), Some(under)) => Verdict::Rate(under, verdict == "crowd"),
            (Some("unseeded"), _) => Verdict::Unseeded,
            // The value names another company, or makes no sense: nothing is known, so nothing is spent.
            _ => {
                visitor.scope.log(Level::Error, "budget not this company's", "the day's hash was refused");
                Verdict::Away
            }
        }
    }
}

/// Whose a day's hash says it is: its key's company once more, so that a wrong key is noticed.
fn owner(scope: &TenantScope) -> String {
    if stands(Wall::ValueOwner) { scope.company_id().to_string() } else { "everybody".to_owned() }
}

/// The day of a time where clocks are so many minutes ahead of UTC, ISO 8601.
#[must_use]
pub fn day(now_ms: u64, utc_offset_minutes: i32) -> String {
    let seconds = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
    let local = seconds.saturating_add(i64::from(utc_offset_minutes) * 60);
    chrono::DateTime::from_timestamp(local, 0).map_or_else(String::new, |time| time.date_naive().to_string())
}

#[cfg(test)]
mod tests {
    #[test]
    fn days() {
        let check = |ms, offset, day| assert_eq!(super::day(ms, offset), day);
        check(0, 0, "1970-01-01");
        check(1_795_392_000_000 - 1, 0, "2026-11-22");
        check(1_795_392_000_000, 0, "2026-11-23");
        check(1_795_392_000_000, -300, "2026-11-22");
        check(1_795_392_000_000 - 1, 60, "2026-11-23");
        check(0, -720, "1969-12-31");
    }
}
