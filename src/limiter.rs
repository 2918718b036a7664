//! The CognitiveLimiter: no model is called without a [`Permit`], and a permit is a reservation in the company's budget.
//!
//! It never fails open: when the budget is not known, there is no permit, and so no spend.
//!
//! A day's hash in Redis, `daily_spend:{company_id}:{date}`, holds `spent`, the limits of that day, and one field a
//! reservation: `h:<id>` is `amount:void_at_ms` while held and `s:void_at_ms` once settled, so that a retried settle
//! charges nothing. The usage ledger in Postgres is the truth: it seeds the hash, and caps what Redis would allow.

use serde_json::Value;

use crate::config::{HOLD_MS, MEMORY_S};
use crate::error::Error;
use crate::ids::{ConversationId, ProviderId, ReservationId};
use crate::knockout::{Wall, stands};
use crate::llm::Usage;
use crate::memory::Remembered;
use crate::platform::Level;
use crate::smart_router::Reason;
use crate::tenant::TenantScope;
use crate::tenant::auth::Visitor;

/// The right to call a model once, for at most so much money. Consumed by [`crate::llm::start`].
#[must_use = "a permit holds money until it is used, released, or void"]
pub struct Permit {
    reservation: ReservationId,
    day: String,
    reserved_microusd: u64,
}

/// What became of a permit: what was spent with it, if anything. Settled by [`settle`].
#[must_use = "an unsettled bill holds money until its reservation is void"]
pub struct Bill {
    reservation: ReservationId,
    day: String,
    spend: Option<Spend>,
}

/// One model call's cost.
#[derive(Clone, Debug)]
pub struct Spend {
    /// The account that is billed.
    pub provider: ProviderId,
    /// The model called.
    pub model: String,
    /// Why this model.
    pub reason: Reason,
    /// Tokens: as the provider reported them, else an upper bound.
    pub usage: Usage,
    /// Cost, micro-dollars.
    pub cost_microusd: u64,
    /// The provider did not report usage, so the upper bound is charged.
    pub estimated: bool,
}

/// What a company lets its agents spend, read in the turn's own batch.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Budget {
    /// Most that model calls may cost a day, micro-dollars.
    pub daily_limit_microusd: u64,
    /// Longest answer, tokens.
    pub max_output_tokens: u32,
    /// Most questions a visitor may ask a minute.
    pub visitor_turns_per_minute: u32,
    /// What the ledger says was spent today, micro-dollars.
    pub ledger_spent_microusd: u64,
}

/// Why there is no permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The day's budget does not hold another turn.
    Budget,
    /// Redis does not answer, so nobody knows.
    Unknown,
}

/// What one Redis call brought at the start of a turn.
pub struct Opening {
    reservation: ReservationId,
    day: String,
    minute: u64,
    conversation: ConversationId,
    verdict: Verdict,
    /// What was said in this conversation of late; empty when Redis lost it.
    pub memory: Vec<Remembered>,
}

enum Verdict {
    /// So much is reserved, under these limits, beside what Redis knows to be spent or held by others.
    Held { reserved_microusd: u64, limit_microusd: u64, turns_per_minute: u32, known_microusd: u64 },
    /// The budget, as Redis knows it, does not hold another turn.
    Refused { limit_microusd: u64, ceiling_microusd: u64 },
    /// Redis knows no limits for this day.
    Unseeded,
    /// Redis did not answer.
    Away,
}

/// Begins a turn: reserves budget, counts the visitor's turns, reads the conversation's memory. One Redis call.
///
/// # Errors
/// [`Error::TooMany`] when the visitor asks too often. Redis not answering is no error here: the turn goes on
/// without a model.
pub async fn open(visitor: &Visitor, conversation: ConversationId) -> Result<Opening, Error> {
    let now_ms = visitor.scope.platform().now_ms();
    let mut opening = Opening {
        reservation: ReservationId::new(visitor.scope.platform()),
        day: day(now_ms),
        minute: now_ms / 60_000,
        conversation,
        verdict: Verdict::Away,
        memory: Vec::new(),
    };
    opening.ask(visitor, None).await?;
    Ok(opening)
}

/// Turns an opening into a permit, now that the company's budget and the ledger are known. `ceiling_microusd` is the
/// most a turn can cost at the dearest model that may be used. A second Redis call is made only when what Redis
/// knew was missing or out of date.
///
/// # Errors
/// [`Denied`] when there is no room in the budget, or nobody knows whether there is.
pub async fn confirm(
    visitor: &Visitor,
    opening: &mut Opening,
    budget: &Budget,
    ceiling_microusd: u64,
) -> Result<Permit, Denied> {
    let stale = match opening.verdict {
        Verdict::Away => return Err(Denied::Unknown),
        Verdict::Unseeded => true,
        Verdict::Held { reserved_microusd, limit_microusd, turns_per_minute, known_microusd } => {
            reserved_microusd != ceiling_microusd
                // A turn that the ledger has is held until Redis has it too; if it is neither, its settlement was lost.
                || known_microusd < budget.ledger_spent_microusd
                || limit_microusd != budget.daily_limit_microusd
                || turns_per_minute != budget.visitor_turns_per_minute
        }
        Verdict::Refused { limit_microusd, ceiling_microusd: known } => {
            known != ceiling_microusd || limit_microusd != budget.daily_limit_microusd
        }
    };
    if stale && opening.ask(visitor, Some((budget, ceiling_microusd))).await.is_err() {
        return Err(Denied::Budget);
    }
    let Verdict::Held { reserved_microusd, .. } = opening.verdict else {
        return Err(if matches!(opening.verdict, Verdict::Away) { Denied::Unknown } else { Denied::Budget });
    };
    let permit = Permit { reservation: opening.reservation, day: opening.day.clone(), reserved_microusd };
    // Layer 7's backstop: the ledger caps what Redis would allow.
    if budget.ledger_spent_microusd >= budget.daily_limit_microusd && stands(Wall::LedgerCap) {
        let released = settle(&visitor.scope, Some(&permit.release()), opening.conversation, &[]).await;
        if let Err(error) = released {
            visitor.scope.log(Level::Warn, "reservation left to expire", &format!("{error:?}"));
        }
        return Err(Denied::Budget);
    }
    Ok(permit)
}

/// Ends a turn: settles its bill, if it had a permit, and keeps what was said. One Redis call; repeating it charges
/// nothing twice.
///
/// # Errors
/// [`Error::Unavailable`] when Redis does not answer; the reservation is void by itself then.
pub async fn settle(
    scope: &TenantScope,
    bill: Option<&Bill>,
    conversation: ConversationId,
    said: &[Remembered],
) -> Result<(), Error> {
    let now_ms = scope.platform().now_ms();
    let day = bill.map_or_else(|| day(now_ms), |bill| bill.day.clone());
    let keys = [scope.key_daily_spend(&day), scope.key_memory(conversation)];
    let (reservation, cost) = match bill {
        Some(bill) => {
            (bill.reservation.to_string(), bill.spend.as_ref().map_or(0, |spend| spend.cost_microusd))
        }
        None => (String::new(), 0),
    };
    let mut args = vec![
        owner(scope),
        reservation,
        (now_ms + HOLD_MS).to_string(),
        cost.to_string(),
        MEMORY_S.to_string(),
    ];
    args.extend(said.iter().map(Remembered::to_value));
    scope.redis_eval(SETTLE, &keys, &args).await.map(|_| ())
}

impl Permit {
    /// The most that may be spent with it, micro-dollars.
    #[must_use]
    pub fn reserved_microusd(&self) -> u64 {
        self.reserved_microusd
    }

    /// Gives it back unused.
    pub fn release(self) -> Bill {
        Bill { reservation: self.reservation, day: self.day, spend: None }
    }

    /// Charges what a call cost.
    pub(crate) fn charge(self, spend: Spend) -> Bill {
        Bill { reservation: self.reservation, day: self.day, spend: Some(spend) }
    }
}

impl Bill {
    /// The reservation it settles: the ledger's key.
    #[must_use]
    pub fn reservation(&self) -> ReservationId {
        self.reservation
    }

    /// The day (UTC, ISO 8601) whose budget it counts against.
    #[must_use]
    pub fn day(&self) -> &str {
        &self.day
    }

    /// What was spent; `None` when the permit was given back unused.
    #[must_use]
    pub fn spend(&self) -> Option<&Spend> {
        self.spend.as_ref()
    }
}

impl Opening {
    /// The bill of a turn that does not happen, if something is reserved for it.
    #[must_use]
    pub fn abandon(self) -> Option<Bill> {
        matches!(self.verdict, Verdict::Held { .. }).then_some(Bill {
            reservation: self.reservation,
            day: self.day,
            spend: None,
        })
    }

    /// Asks Redis; with a seed, after telling it the limits.
    async fn ask(&mut self, visitor: &Visitor, seed: Option<(&Budget, u64)>) -> Result<(), Error> {
        let scope = &visitor.scope;
        let now_ms = scope.platform().now_ms();
        let keys = [
            scope.key_daily_spend(&self.day),
            scope.key_visitor_turns(visitor.id, self.minute),
            scope.key_memory(self.conversation),
        ];
        let mut args =
            vec![owner(scope), self.reservation.to_string(), now_ms.to_string(), HOLD_MS.to_string()];
        if let Some((budget, ceiling_microusd)) = seed {
            args.push(budget.daily_limit_microusd.to_string());
            args.push(ceiling_microusd.to_string());
            args.push(budget.visitor_turns_per_minute.to_string());
            args.push(budget.ledger_spent_microusd.to_string());
        }
        self.verdict = match scope.redis_eval(OPEN, &keys, &args).await {
            Ok(reply) => self.read(visitor, &reply)?,
            Err(error) => {
                scope.log(Level::Error, "budget unknown", &format!("{error:?}"));
                Verdict::Away
            }
        };
        Ok(())
    }

    fn read(&mut self, visitor: &Visitor, reply: &Value) -> Result<Verdict, Error> {
        let number =
            |at: usize| reply.get(at).and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
        let values = reply.get(4).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        self.memory = values.iter().filter_map(|value| Remembered::of(visitor, value)).collect();
        let verdict = reply.get(0).and_then(Value::as_str);
        let verdict = verdict.map(|verdict| if stands(Wall::Budget) { verdict } else { "held" });
        Ok(match (verdict, number(1), number(2), number(3)) {
            (Some("held"), Some(reserved_microusd), Some(limit_microusd), Some(turns)) => Verdict::Held {
                reserved_microusd,
                limit_microusd,
                turns_per_minute: u32::try_from(turns).unwrap_or(u32::MAX),
                known_microusd: number(5).unwrap_or_default(),
            },
            (Some("refused"), Some(ceiling_microusd), Some(limit_microusd), _) => {
                Verdict::Refused { limit_microusd, ceiling_microusd }
            }
            (Some("unseeded"), ..) => Verdict::Unseeded,
            (Some("rate"), ..) => {
                let now_s = visitor.scope.platform().now_ms() / 1_000;
                return Err(Error::TooMany(60 - now_s % 60));
            }
            // The value names another company, or makes no sense: nothing is known, so nothing is spent.
            _ => {
                visitor.scope.log(Level::Error, "budget not this company's", "the day's hash was refused");
                Verdict::Away
            }
        })
    }
}

/// Whose a day's hash says it is: its key's company once more, so that a wrong key is noticed.
fn owner(scope: &TenantScope) -> String {
    if stands(Wall::ValueOwner) { scope.company_id().to_string() } else { "everybody".to_owned() }
}

/// The day (UTC) of a time, ISO 8601.
#[must_use]
pub fn day(now_ms: u64) -> String {
    let seconds = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
    chrono::DateTime::from_timestamp(seconds, 0)
        .map_or_else(String::new, |time| time.date_naive().to_string())
}

/// Reserves, counts, reads memory; all or nothing. Keys: day, visitor's turns, memory. Arguments: company, reservation,
/// now and hold in milliseconds; to seed also limit, ceiling, turns a minute, spent. Answers {verdict, amount, limit,
/// turns, memory, spent or held by others}. Public for the tests that model it.
#[doc(hidden)]
pub const OPEN: &str = "
local key, turns_key, memory_key = KEYS[1], KEYS[2], KEYS[3]
local company, id, now, hold_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local day, flat = {}, redis.call('HGETALL', key)
for i = 1, #flat, 2 do day[flat[i]] = flat[i + 1] end
if day.company and day.company ~= company then return {'foreign'} end
local memory = redis.call('LRANGE', memory_key, -12, -1)
if #ARGV > 4 then
    day.limit, day.ceiling, day.turns = ARGV[5], ARGV[6], ARGV[7]
    day.spent = string.format('%.0f', math.max(tonumber(day.spent or 0), tonumber(ARGV[8])))
    redis.call('HSET', key, 'company', company, 'limit', day.limit, 'ceiling', day.ceiling,
        'turns', day.turns, 'spent', day.spent)
    redis.call('HDEL', key, 'h:' .. id)
    day['h:' .. id] = nil
    redis.call('EXPIRE', key, 172800)
elseif not day.limit then
    return {'unseeded', '0', '0', '0', memory}
else
    local turns = redis.call('INCR', turns_key)
    if turns == 1 then redis.call('EXPIRE', turns_key, 120) end
    if turns > tonumber(day.turns) then return {'rate'} end
end
local held = 0
for field, value in pairs(day) do
    if string.sub(field, 1, 2) == 'h:' then
        local amount, void_at = string.match(value, '^(%w+):(%d+)$')
        if tonumber(void_at) <= now then
            redis.call('HDEL', key, field)
            day[field] = nil
        elseif amount ~= 's' then
            held = held + tonumber(amount)
        end
    end
end
local mine = day['h:' .. id]
if not mine or string.sub(mine, 1, 2) == 's:' then
    if mine or tonumber(day.spent) + held + tonumber(day.ceiling) > tonumber(day.limit) then
        return {'refused', day.ceiling, day.limit, day.turns, memory}
    end
    redis.call('HSET', key, 'h:' .. id, day.ceiling .. ':' .. string.format('%.0f', now + hold_ms))
end
return {'held', day.ceiling, day.limit, day.turns, memory, string.format('%.0f', tonumber(day.spent) + held)}
";

/// Settles a reservation once, and keeps what was said. Keys: day, memory. Arguments: company, reservation or nothing, when
/// the settled mark may go, cost, seconds to keep the memory, and values for it. Public for the tests that model it.
#[doc(hidden)]
pub const SETTLE: &str = "
local key, memory_key = KEYS[1], KEYS[2]
local company, id, void_at, cost, memory_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if id ~= '' then
    local owner = redis.call('HGET', key, 'company')
    if owner and owner ~= company then return 'foreign' end
    local hold = redis.call('HGET', key, 'h:' .. id)
    if not (hold and string.sub(hold, 1, 2) == 's:') then
        redis.call('HINCRBY', key, 'spent', cost)
        redis.call('HSET', key, 'company', company, 'h:' .. id, 's:' .. void_at)
        redis.call('EXPIRE', key, 172800)
    end
end
for i = 6, #ARGV do redis.call('RPUSH', memory_key, ARGV[i]) end
if #ARGV > 5 then
    redis.call('LTRIM', memory_key, -12, -1)
    redis.call('EXPIRE', memory_key, memory_s)
end
return 'ok'
";

#[cfg(test)]
mod tests {
    #[test]
    fn days() {
        assert_eq!(super::day(0), "1970-01-01");
        assert_eq!(super::day(1_795_392_000_000 - 1), "2026-11-22");
        assert_eq!(super::day(1_795_392_000_000), "2026-11-23");
    }
}
