//! What one turn may spend: an allowance, the permits drawn from it, and the bill it ends in.
//!
//! It never gives out more than was reserved: what a permit may cost is taken out before the permit exists.

use crate::ids::{AgentId, ProviderId, ReservationId};
use crate::llm::Usage;
use crate::smart_router::Reason;

/// One turn's reservation in the company's budget. Model calls draw permits from it.
#[must_use = "an allowance holds money until its bill is settled, or it is void"]
pub struct Allowance {
    reservation: ReservationId,
    day: String,
    agent: Option<AgentId>,
    microusd: u64,
    tokens: u64,
    /// What permits out there may still cost.
    out_microusd: u64,
    out_tokens: u64,
    spends: Vec<Spend>,
}

/// The right to call a model once, for at most so much money. Consumed by [`crate::llm::start`].
#[must_use = "a permit holds money until its charge is entered"]
pub struct Permit {
    microusd: u64,
    tokens: u64,
}

/// What became of a permit. To be entered with [`Allowance::enter`]; one that is lost counts as spent to its bound.
#[must_use = "a charge that is not entered counts as spent to its bound"]
pub struct Charge {
    permit: Permit,
    spend: Option<Spend>,
}

/// What became of an allowance. Settled by [`settle`](super::settle).
#[must_use = "an unsettled bill holds money until its reservation is void"]
pub struct Bill {
    reservation: ReservationId,
    day: String,
    agent: Option<AgentId>,
    spends: Vec<Spend>,
    lost_microusd: u64,
    lost_tokens: u64,
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

impl Spend {
    /// Input and output tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        u64::from(self.usage.input_tokens) + u64::from(self.usage.output_tokens)
    }
}

impl Allowance {
    pub(super) fn new(
        reservation: ReservationId,
        day: String,
        agent: Option<AgentId>,
        microusd: u64,
        tokens: u64,
    ) -> Self {
        Self { reservation, day, agent, microusd, tokens, out_microusd: 0, out_tokens: 0, spends: Vec::new() }
    }

    /// What may still be spent, micro-dollars.
    #[must_use]
    pub fn left_microusd(&self) -> u64 {
        let spent = self.spends.iter().map(|spend| spend.cost_microusd).sum::<u64>();
        self.microusd.saturating_sub(spent).saturating_sub(self.out_microusd)
    }

    /// What may still be used, tokens.
    #[must_use]
    pub fn left_tokens(&self) -> u64 {
        let used = self.spends.iter().map(Spend::tokens).sum::<u64>();
        self.tokens.saturating_sub(used).saturating_sub(self.out_tokens)
    }

    /// A permit for a call that costs at most so much; `None` when that is more than is left.
    pub fn permit(&mut self, bound_microusd: u64, bound_tokens: u64) -> Option<Permit> {
        if bound_microusd > self.left_microusd() || bound_tokens > self.left_tokens() {
            return None;
        }
        self.out_microusd += bound_microusd;
        self.out_tokens += bound_tokens;
        Some(Permit { microusd: bound_microusd, tokens: bound_tokens })
    }

    /// Enters what a permit cost; what it did not use may be spent again.
    pub fn enter(&mut self, charge: Charge) {
        self.out_microusd = self.out_microusd.saturating_sub(charge.permit.microusd);
        self.out_tokens = self.out_tokens.saturating_sub(charge.permit.tokens);
        self.spends.extend(charge.spend);
    }

    /// What was spent so far, call by call.
    #[must_use]
    pub fn spends(&self) -> &[Spend] {
        &self.spends
    }

    /// Ends it.
    pub fn close(self) -> Bill {
        Bill {
            reservation: self.reservation,
            day: self.day,
            agent: self.agent,
            spends: self.spends,
            lost_microusd: self.out_microusd,
            lost_tokens: self.out_tokens,
        }
    }
}

impl Permit {
    /// The most that may be spent with it, micro-dollars.
    #[must_use]
    pub fn microusd(&self) -> u64 {
        self.microusd
    }

    /// Gives it back unused.
    pub fn release(self) -> Charge {
        Charge { permit: self, spend: None }
    }

    /// Charges what a call cost.
    pub(crate) fn charge(self, spend: Spend) -> Charge {
        Charge { permit: self, spend: Some(spend) }
    }
}

impl Bill {
    /// The reservation it settles: the ledger's key.
    #[must_use]
    pub fn reservation(&self) -> ReservationId {
        self.reservation
    }

    /// The company's own day (ISO 8601) whose budget it counts against.
    #[must_use]
    pub fn day(&self) -> &str {
        &self.day
    }

    /// The agent whose own limit it counts against as well.
    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        self.agent
    }

    /// The model calls, in their order.
    #[must_use]
    pub fn spends(&self) -> &[Spend] {
        &self.spends
    }

    /// What it all cost, micro-dollars; a charge that was lost counts to its bound.
    #[must_use]
    pub fn cost_microusd(&self) -> u64 {
        self.spends.iter().map(|spend| spend.cost_microusd).sum::<u64>() + self.lost_microusd
    }

    /// What it all used, tokens.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.spends.iter().map(Spend::tokens).sum::<u64>() + self.lost_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(microusd: u64) -> Allowance {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        Allowance::new(id.parse().unwrap(), "2026-11-22".into(), None, microusd, 1_000)
    }

    fn spend(cost_microusd: u64, output_tokens: u32) -> Spend {
        Spend {
            provider: "01890a5d-ac96-774b-bcce-b302099a8058".parse().unwrap(),
            model: "m".into(),
            reason: Reason::Tier,
            usage: Usage { output_tokens, ..Usage::default() },
            cost_microusd,
            estimated: false,
        }
    }

    #[test]
    fn permits_are_taken_out_of_the_allowance_and_what_is_unused_comes_back() {
        let mut allowance = allowance(100);
        let first = allowance.permit(60, 10).unwrap();
        assert!(allowance.permit(41, 10).is_none());
        let second = allowance.permit(40, 10).unwrap();
        assert_eq!((allowance.left_microusd(), allowance.left_tokens()), (0, 980));
        allowance.enter(first.charge(spend(5, 2)));
        allowance.enter(second.release());
        assert_eq!((allowance.left_microusd(), allowance.left_tokens()), (95, 998));
        let bill = allowance.close();
        assert_eq!((bill.cost_microusd(), bill.tokens()), (5, 2));
    }

    #[test]
    fn a_lost_charge_counts_to_its_bound() {
        let mut allowance = allowance(100);
        drop(allowance.permit(60, 10).unwrap().charge(spend(5, 2)));
        assert_eq!(allowance.left_microusd(), 40);
        let bill = allowance.close();
        assert_eq!((bill.cost_microusd(), bill.tokens()), (60, 10));
    }

    #[test]
    fn tokens_bound_a_permit_like_money_does() {
        assert!(allowance(100).permit(1, 1_001).is_none());
    }

    #[test]
    fn a_call_that_cost_more_than_its_bound_leaves_less_and_never_wraps() {
        let mut allowance = allowance(100);
        let permit = allowance.permit(60, 10).unwrap();
        allowance.enter(permit.charge(spend(130, 2_000)));
        assert_eq!((allowance.left_microusd(), allowance.left_tokens()), (0, 0));
        assert_eq!(allowance.close().cost_microusd(), 130);
    }
}
