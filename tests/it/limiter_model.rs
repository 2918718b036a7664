//! The limiter's scripts against a model of what they promise: random days of two hundred operations each, and ten thousand
//! schedules of clients that come at the same time.
//!
//! Proptest prints the shortest day that breaks a promise, and its seed.

mod schedules;

use std::collections::BTreeMap;

use bulkhead::limiter::scripts::{OPEN, SETTLE};
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
        1 => (1..400_u64).prop_map(Op::Ceiling),
    ]
}

/// Money and tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Amount {
    microusd: u64,
    tokens: u64,
}

/// A reservation, as it ought to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reservation {
    Held { amount: Amount, void_at: u64 },
    Settled { mark_until: u64 },
}

const HOLD_MS: u64 = 60_000;
/// Most turns on their way at once.
const TURNS: usize = 12;
/// A turn uses at most so many tokens for each micro-dollar that it may cost.
const TOKENS: u64 = 10;

/// One company's day: what ought to be, and the real one.
struct Day<'redis> {
    redis: &'redis mut redis::Connection,
    keys: [String; 2],
    company: String,
    now: u64,
    limit: u64,
    monthly_tokens: u64,
    ceiling: u64,
    /// What Redis has been told of limit and ceiling; nothing after it forgot.
    told: Option<(u64, u64)>,
    spent: Amount,
    /// Everything ever charged: what the ledger in Postgres would say.
    ledger: Amount,
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
                self.spent = Amount::default();
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
        let known = Some((self.limit, self.ceiling));
        if let Some((limit, ceiling)) = self.told {
            self.clear_void();
            let expected = self.expected(id, limit, ceiling);
            let verdict = self.ask(id, false);
            prop_assert_eq!(&verdict, &expected);
        } else {
            prop_assert_eq!(self.ask(id, false).0, "unseeded");
        }
        if self.told != known {
            self.told = known;
            self.spent.microusd = self.spent.microusd.max(self.ledger.microusd);
            self.spent.tokens = self.spent.tokens.max(self.ledger.tokens);
            if matches!(self.reservations.get(&id), Some(Reservation::Held { .. })) {
                self.reservations.remove(&id);
            }
            self.clear_void();
            let expected = self.expected(id, self.limit, self.ceiling);
            let verdict = self.ask(id, true);
            prop_assert_eq!(&verdict, &expected);
        }
        Ok(())
    }

    /// What the script has to say under these limits; what it holds is entered.
    fn expected(&mut self, id: u8, limit: u64, ceiling: u64) -> (String, Amount) {
        let said = |verdict: &str, amount| (verdict.to_owned(), amount);
        match self.reservations.get(&id) {
            Some(Reservation::Settled { .. }) => return said("refused", Amount::default()),
            Some(Reservation::Held { amount, .. }) => return said("held", *amount),
            None => {}
        }
        let held = self.reservations.values().filter(|one| matches!(one, Reservation::Held { .. })).count();
        if held >= TURNS {
            return said("busy", Amount::default());
        }
        let bounds = Bounds::of(ceiling);
        let left = |limit: u64, spent: u64, held: u64| limit.saturating_sub(spent + held);
        let left = Amount {
            microusd: left(limit, self.spent.microusd, self.held().microusd),
            tokens: left(self.monthly_tokens, self.spent.tokens, self.held().tokens),
        };
        if left.microusd < bounds.least.max(1) || left.tokens < bounds.least_tokens.max(1) {
            return said("refused", Amount::default());
        }
        let amount =
            Amount { microusd: bounds.most.min(left.microusd), tokens: bounds.most_tokens.min(left.tokens) };
        self.reservations.insert(id, Reservation::Held { amount, void_at: self.now + HOLD_MS });
        self.opened += 1;
        said("held", amount)
    }

    /// Settles what is held, or what was held and is void by now: the money was spent all the same, once.
    fn settle(&mut self, id: u8, share: Option<u64>) -> Result<(), TestCaseError> {
        let amount = match self.reservations.get(&id) {
            Some(Reservation::Held { amount, .. }) => *amount,
            _ => Amount { microusd: self.ceiling, tokens: self.ceiling * TOKENS },
        };
        let of = |amount: u64| share.map_or(0, |share| amount * share / 1_000);
        let cost = Amount { microusd: of(amount.microusd), tokens: of(amount.tokens) };
        let args = [
            self.company.clone(),
            id.to_string(),
            self.now.to_string(),
            HOLD_MS.to_string(),
            cost.microusd.to_string(),
            cost.tokens.to_string(),
            String::new(),
            "60".into(),
            "0".into(),
        ];
        let reply: String = redis::cmd("EVAL")
            .arg(SETTLE)
            .arg(2)
            .arg(&self.keys[0])
            .arg(&self.keys[1])
            .arg(&args)
            .query(self.redis)
            .unwrap();
        self.calls += 1;
        prop_assert_eq!(reply, "ok");
        // A mark stays until a turn that begins finds it to be old, so only its being there counts.
        if !matches!(self.reservations.get(&id), Some(Reservation::Settled { .. })) {
            for sum in [&mut self.spent, &mut self.ledger] {
                sum.microusd += cost.microusd;
                sum.tokens += cost.tokens;
            }
            self.reservations.insert(id, Reservation::Settled { mark_until: self.now + HOLD_MS });
        }
        Ok(())
    }

    fn ask(&mut self, id: u8, seeds: bool) -> (String, Amount) {
        let mut args = vec![self.company.clone(), id.to_string(), self.now.to_string(), HOLD_MS.to_string()];
        args.extend(["visitor".into(), "address".into()]);
        if seeds {
            args.push(format!("{}:{}:1000000:1000000:1000000:{TURNS}", self.limit, self.monthly_tokens));
            args.push(Bounds::of(self.ceiling).to_string());
            args.extend([self.ledger.microusd, self.ledger.tokens].map(|number| number.to_string()));
        }
        let reply: redis::Value =
            redis::cmd("EVAL").arg(OPEN).arg(2).arg(&self.keys).arg(&args).query(self.redis).unwrap();
        self.calls += 1;
        let fields: Vec<redis::Value> = redis::from_redis_value(reply).unwrap();
        let text = |at: usize| redis::from_redis_value::<String>(fields[at].clone()).unwrap();
        let number = |at: usize| text(at).parse::<u64>().unwrap();
        (text(0), Amount { microusd: number(1), tokens: number(2) })
    }

    /// Whoever begins a turn clears away what is void.
    fn clear_void(&mut self) {
        let now = self.now;
        self.reservations.retain(|_, reservation| match reservation {
            Reservation::Held { void_at, .. } => *void_at > now,
            Reservation::Settled { mark_until } => *mark_until > now,
        });
    }

    fn held(&self) -> Amount {
        let mut sum = Amount::default();
        for reservation in self.reservations.values() {
            if let Reservation::Held { amount, void_at } = reservation
                && *void_at > self.now
            {
                sum.microusd += amount.microusd;
                sum.tokens += amount.tokens;
            }
        }
        sum
    }

    /// Redis has exactly what the model has.
    fn promises(&mut self) -> Result<(), TestCaseError> {
        let day: BTreeMap<String, String> =
            redis::cmd("HGETALL").arg(&self.keys[0]).query(self.redis).unwrap();
        let number = |field: &str| day.get(field).map_or(0, |text| text.parse::<u64>().unwrap());
        prop_assert_eq!(Amount { microusd: number("spent"), tokens: number("tokens") }, self.spent);
        let mut held = Amount::default();
        for (_, value) in day.iter().filter(|(field, _)| field.starts_with("h:")) {
            let parts: Vec<&str> = value.split(':').collect();
            if parts[0] != "s" && parts[2].parse::<u64>().unwrap() > self.now {
                held.microusd += parts[0].parse::<u64>().unwrap();
                held.tokens += parts[1].parse::<u64>().unwrap();
            }
        }
        prop_assert_eq!(held, self.held());
        Ok(())
    }
}

/// What a turn costs at most and at least, from the dearest model's price.
struct Bounds {
    most: u64,
    least: u64,
    most_tokens: u64,
    least_tokens: u64,
}

impl Bounds {
    fn of(ceiling: u64) -> Self {
        let least = ceiling.div_ceil(4);
        Self { most: ceiling, least, most_tokens: ceiling * TOKENS, least_tokens: least * TOKENS }
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}:{}", self.most, self.least, self.most_tokens, self.least_tokens)
    }
}

#[test]
fn random_days_keep_their_promises() {
    let connection =
        redis::Client::open(Stand::get().redis_native_url.as_str()).unwrap().get_connection().unwrap();
    // Proptest takes a closure that changes nothing, so what changes is in cells.
    let connection = std::cell::RefCell::new(connection);
    let total = std::cell::Cell::new((0, 0));
    let mut runner = TestRunner::new(Config { cases: 600, failure_persistence: None, ..Config::default() });
    let given = (200..2_000_u64, 2_000..40_000_u64, 1..200_u64, vec(op(), 200..220));
    let days = runner.run(&given, |(limit, monthly_tokens, ceiling, ops)| {
        let company = uuid::Uuid::new_v4().to_string();
        let key = |name: &str| format!("{name}:{{{company}}}:model");
        let mut day = Day {
            redis: &mut connection.borrow_mut(),
            keys: [key("daily_spend"), key("memory")],
            company: company.clone(),
            now: 1_800_000_000_000,
            limit,
            monthly_tokens,
            ceiling,
            told: None,
            spent: Amount::default(),
            ledger: Amount::default(),
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
    let runs = usize::try_from(calls).unwrap();
    tally("7 budget", "runs of the limiter's scripts beside the model", runs, 60_000);
    assert!(opened > 6_000, "too poor to show anything: {calls} calls, {opened} turns");
}

/// Each minute's questions are counted apart, a clock that is a little behind starts no minute anew, and what is old goes.
#[test]
fn questions_are_counted_by_the_minute_and_do_not_pile_up() {
    let mut redis =
        redis::Client::open(Stand::get().redis_native_url.as_str()).unwrap().get_connection().unwrap();
    let company = uuid::Uuid::new_v4().to_string();
    let keys = ["daily_spend", "memory"].map(|name| format!("{name}:{{{company}}}:minutes"));
    let mut ask = |visitor: &str, now: u64, seeds: &[&str]| -> String {
        let (now, hold) = (now.to_string(), HOLD_MS.to_string());
        let id = uuid::Uuid::new_v4().to_string();
        let mut args = vec![&*company, &*id, &*now, &*hold, visitor, ""];
        args.extend(seeds);
        let reply: Vec<redis::Value> =
            redis::cmd("EVAL").arg(OPEN).arg(2).arg(&keys).arg(&args).query(&mut redis).unwrap();
        redis::from_redis_value(reply[0].clone()).unwrap()
    };
    // Two questions a minute of each visitor, 100 of all.
    let limits = ["1000000:1000000:2:2:100:1000", "1:1:1:1", "0", "0"];
    let minute = 1_800_000_000_000;
    assert_eq!(ask("first", minute, &[]), "unseeded");
    assert_eq!(ask("first", minute, &limits), "held");
    assert_eq!(ask("first", minute + 1, &[]), "held");
    assert_eq!(ask("first", minute - 1, &[]), "rate", "by a clock that is still in the minute before");
    assert_eq!(ask("first", minute + 60_000, &[]), "held");
    for other in 0..99 {
        assert_eq!(ask(&format!("other {other}"), minute + 60_001, &[]), "held");
    }
    assert_eq!(ask("late", minute + 60_002, &[]), "crowd", "all together");
    let fields = |redis: &mut redis::Connection| -> Vec<String> {
        let all: Vec<String> = redis::cmd("HKEYS").arg(&keys[0]).query(redis).unwrap();
        all.into_iter().filter(|field| field.starts_with("q:")).collect()
    };
    assert_eq!(fields(&mut redis).len(), 101, "all of them, and each that was let through");
    let id = uuid::Uuid::new_v4().to_string();
    let now = (minute + 120_000).to_string();
    let args = [&*company, &id, &now, "60000", "first", ""];
    redis::cmd("EVAL").arg(OPEN).arg(2).arg(&keys).arg(&args).exec(&mut redis).unwrap();
    let mut left = fields(&mut redis);
    left.sort();
    assert_eq!(left, ["q:", "q:v:first"]);
    redis::cmd("DEL").arg(&keys).exec(&mut redis).unwrap();
}
