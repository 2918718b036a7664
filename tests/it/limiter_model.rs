//! The limiter's scripts against a model of what they promise: a thousand random days of two hundred operations each.
//!
//! Proptest prints the shortest day that breaks a promise, and its seed.

use std::collections::BTreeMap;

use bulkhead::limiter::{OPEN, SETTLE};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What may happen on a day. Reservations are named by a small number, so that the same one comes back often.
#[derive(Clone, Debug)]
enum Op {
    /// A turn begins, or its request is sent again.
    Open(u8),
    /// A turn ends and cost so many thousandths of what was reserved; again if its reply was lost.
    Settle(u8, u64),
    /// A turn ends without having called a model.
    Release(u8),
    /// Time passes, milliseconds.
    Wait(u64),
    /// Redis forgets everything.
    Forget,
    /// The owner sets another limit.
    Limit(u64),
    /// The dearest model costs something else.
    Ceiling(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..24_u8).prop_map(Op::Open),
        6 => (0..24_u8, 0..=1_000_u64).prop_map(|(id, share)| Op::Settle(id, share)),
        2 => (0..24_u8).prop_map(Op::Release),
        2 => (0..40_000_u64).prop_map(Op::Wait),
        1 => Just(Op::Forget),
        1 => (0..3_000_u64).prop_map(Op::Limit),
        1 => (0..400_u64).prop_map(Op::Ceiling),
    ]
}

/// A reservation, as it ought to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reservation {
    Held { amount: u64, void_at: u64 },
    Settled { mark_until: u64 },
}

const HOLD_MS: u64 = 60_000;

/// One company's day: what ought to be, and the real one.
struct Day<'redis> {
    redis: &'redis mut redis::Connection,
    keys: [String; 3],
    company: String,
    now: u64,
    limit: u64,
    ceiling: u64,
    /// What Redis has been told of limit and ceiling; nothing after it forgot.
    told: Option<(u64, u64)>,
    spent: u64,
    /// Everything ever charged: what the ledger in Postgres would say.
    ledger: u64,
    reservations: BTreeMap<u8, Reservation>,
    opened: u64,
    calls: u64,
}

impl Day<'_> {
    fn run(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match *op {
            Op::Wait(ms) => self.now += ms,
            Op::Limit(limit) => self.limit = limit,
            Op::Ceiling(ceiling) => self.ceiling = ceiling,
            Op::Forget => {
                redis::cmd("DEL").arg(&self.keys[0]).exec(self.redis).unwrap();
                self.told = None;
                self.spent = 0;
                self.reservations.clear();
            }
            Op::Open(id) => self.open(id)?,
            Op::Settle(id, share) => self.settle(id, Some(share))?,
            Op::Release(id) => self.settle(id, None)?,
        }
        self.promises()
    }

    /// As the worker does it: ask, and tell the limits when Redis has none or others.
    fn open(&mut self, id: u8) -> Result<(), TestCaseError> {
        let mut verdict = self.ask(id, false);
        let known = Some((self.limit, self.ceiling));
        prop_assert_eq!(verdict == "unseeded", self.told.is_none());
        let seeded = self.told != known;
        if seeded {
            // The first answer was for old limits: what it held is replaced.
            if verdict == "held" {
                let amount = self.told.map_or(0, |(_, ceiling)| ceiling);
                self.expect_held(id, amount);
            }
            verdict = self.ask(id, true);
            self.told = known;
            self.spent = self.spent.max(self.ledger);
            self.reservations.remove(&id);
        }
        let before = self.reservations.get(&id).copied().filter(|_| !seeded);
        let expected = match self.live(id) {
            Some(Reservation::Held { .. }) if before.is_some() => "held",
            Some(Reservation::Settled { .. }) => "refused",
            _ if self.spent + self.held() + self.ceiling > self.limit => "refused",
            _ => "held",
        };
        prop_assert_eq!(&verdict, expected);
        if verdict == "held" {
            self.expect_held(id, self.ceiling);
            self.opened += 1;
        }
        Ok(())
    }

    fn expect_held(&mut self, id: u8, amount: u64) {
        if !matches!(self.live(id), Some(Reservation::Held { .. })) {
            self.reservations.insert(id, Reservation::Held { amount, void_at: self.now + HOLD_MS });
        }
    }

    /// Settles what is held, or what was held and is void by now: the money was spent all the same, once.
    fn settle(&mut self, id: u8, share: Option<u64>) -> Result<(), TestCaseError> {
        let amount = match self.reservations.get(&id) {
            Some(Reservation::Held { amount, .. }) => *amount,
            _ => self.ceiling,
        };
        let cost = share.map_or(0, |share| amount * share / 1_000);
        let reply: String = redis::cmd("EVAL")
            .arg(SETTLE)
            .arg(2)
            .arg(&self.keys[0])
            .arg(&self.keys[2])
            .arg(&[
                self.company.clone(),
                id.to_string(),
                (self.now + HOLD_MS).to_string(),
                cost.to_string(),
                "60".into(),
            ])
            .query(self.redis)
            .unwrap();
        self.calls += 1;
        prop_assert_eq!(reply, "ok");
        // A mark stays until a turn that begins finds it to be old, so only its being there counts.
        if !matches!(self.reservations.get(&id), Some(Reservation::Settled { .. })) {
            self.spent += cost;
            self.ledger += cost;
            self.reservations.insert(id, Reservation::Settled { mark_until: self.now + HOLD_MS });
        } else {
            self.reservations.insert(id, Reservation::Settled { mark_until: self.mark(id) });
        }
        Ok(())
    }

    fn mark(&self, id: u8) -> u64 {
        match self.reservations.get(&id) {
            Some(Reservation::Settled { mark_until }) => *mark_until,
            _ => 0,
        }
    }

    fn ask(&mut self, id: u8, seed: bool) -> String {
        let mut args = vec![self.company.clone(), id.to_string(), self.now.to_string(), HOLD_MS.to_string()];
        if seed {
            args.extend([self.limit, self.ceiling, 1_000_000, self.ledger].map(|number| number.to_string()));
        }
        let reply: redis::Value =
            redis::cmd("EVAL").arg(OPEN).arg(3).arg(&self.keys).arg(&args).query(self.redis).unwrap();
        self.calls += 1;
        // Whoever begins a turn clears away what is void, if the day is known at all.
        if seed || self.told.is_some() {
            let now = self.now;
            self.reservations.retain(|_, reservation| match reservation {
                Reservation::Held { void_at, .. } => *void_at > now,
                Reservation::Settled { mark_until } => *mark_until > now,
            });
        }
        let fields: Vec<redis::Value> = redis::from_redis_value(reply).unwrap();
        redis::from_redis_value(fields.into_iter().next().unwrap()).unwrap()
    }

    fn live(&self, id: u8) -> Option<Reservation> {
        self.reservations.get(&id).copied()
    }

    fn held(&self) -> u64 {
        let amounts = self.reservations.values().map(|reservation| match reservation {
            Reservation::Held { amount, void_at } if *void_at > self.now => *amount,
            _ => 0,
        });
        amounts.sum()
    }

    /// Redis has exactly what the model has.
    fn promises(&mut self) -> Result<(), TestCaseError> {
        let day: BTreeMap<String, String> =
            redis::cmd("HGETALL").arg(&self.keys[0]).query(self.redis).unwrap();
        prop_assert_eq!(day.get("spent").map_or(0, |spent| spent.parse().unwrap()), self.spent);
        let held: u64 = day
            .iter()
            .filter(|(field, _)| field.starts_with("h:"))
            .filter_map(|(_, value)| value.split_once(':'))
            .filter(|(amount, void_at)| *amount != "s" && void_at.parse::<u64>().unwrap() > self.now)
            .map(|(amount, _)| amount.parse::<u64>().unwrap())
            .sum();
        prop_assert_eq!(held, self.held());
        Ok(())
    }
}

#[test]
fn a_thousand_days_keep_their_promises() {
    let connection =
        redis::Client::open(Stand::get().redis_native_url.as_str()).unwrap().get_connection().unwrap();
    // Proptest takes a closure that changes nothing, so what changes is in cells.
    let connection = std::cell::RefCell::new(connection);
    let total = std::cell::Cell::new((0, 0));
    let mut runner = TestRunner::new(Config { cases: 1_000, failure_persistence: None, ..Config::default() });
    let days = runner.run(&(200..2_000_u64, 1..200_u64, vec(op(), 200..220)), |(limit, ceiling, ops)| {
        let company = uuid::Uuid::new_v4().to_string();
        let key = |name: &str| format!("{name}:{{{company}}}:model");
        let mut day = Day {
            redis: &mut connection.borrow_mut(),
            keys: [key("daily_spend"), key("visitor_turns"), key("memory")],
            company: company.clone(),
            now: 1_800_000_000_000,
            limit,
            ceiling,
            told: None,
            spent: 0,
            ledger: 0,
            reservations: BTreeMap::new(),
            opened: 0,
            calls: 0,
        };
        let outcome = ops.iter().try_for_each(|op| day.run(op));
        let (opened, calls) = total.get();
        total.set((opened + day.opened, calls + day.calls));
        let keys = day.keys.clone();
        redis::cmd("DEL").arg(&keys).exec(day.redis).unwrap();
        outcome
    });
    if let Err(error) = days {
        panic!("{error}");
    }
    let (opened, calls) = total.get();
    tally(
        "7 budget",
        "runs of the limiter's scripts beside the model",
        usize::try_from(calls).unwrap(),
        100_000,
    );
    assert!(calls > 100_000 && opened > 10_000, "too poor to show anything: {calls} calls, {opened} turns");
}

#[test]
fn exactly_as_many_turns_are_admitted_as_the_limit_holds() {
    let mut connection =
        redis::Client::open(Stand::get().redis_native_url.as_str()).unwrap().get_connection().unwrap();
    for (limit, ceiling, expected) in
        [(100_u64, 10_u64, 10), (109, 10, 10), (99, 10, 9), (9, 10, 0), (0, 1, 0)]
    {
        let company = uuid::Uuid::new_v4().to_string();
        let keys =
            ["daily_spend", "visitor_turns", "memory"].map(|name| format!("{name}:{{{company}}}:model"));
        let held = (0..50).filter(|id| {
            let mut args = vec![company.clone(), id.to_string(), "1800000000000".into(), HOLD_MS.to_string()];
            args.extend([limit, ceiling, 1_000_000, 0].map(|number| number.to_string()));
            let reply: Vec<redis::Value> =
                redis::cmd("EVAL").arg(OPEN).arg(3).arg(&keys).arg(&args).query(&mut connection).unwrap();
            redis::from_redis_value::<String>(reply.into_iter().next().unwrap()).unwrap() == "held"
        });
        assert_eq!(held.count(), expected, "limit {limit}, cost {ceiling}");
    }
}
