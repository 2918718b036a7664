//! Many clients at once: who opens and settles when is drawn at random, with lost replies, clients that die and a Redis that
//! forgets. Beside it, on the same schedule, what most gateways do: look first, add afterwards.

use bulkhead::limiter::scripts::{OPEN, SETTLE};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;

/// Schedules in the gate; `BULKHEAD_SCHEDULES=n` runs so many instead.
const SCHEDULES: u64 = 10_000;
/// Nobody who is inside takes longer than this.
const HOLD_MS: u64 = 10_000_000;
/// How long a settled turn is known, and how often some begin and end.
const MARK_MS: u64 = 1_000;

/// Redis, with the scripts loaded.
struct Redis {
    connection: redis::Connection,
    open: String,
    settle: String,
    calls: usize,
}

impl Redis {
    fn new() -> Self {
        let client = redis::Client::open(Stand::get().redis_native_url.as_str()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut load = |script: &str| -> String {
            redis::cmd("SCRIPT").arg("LOAD").arg(script).query(&mut connection).unwrap()
        };
        let (open, settle) = (load(OPEN), load(SETTLE));
        Self { connection, open, settle, calls: 0 }
    }

    /// What is held for each of these turns, which begin at the same time.
    fn open(&mut self, day: &Day, ids: &[usize]) -> Vec<u64> {
        let mut answers = self.ask(day, ids, false);
        let unseeded = |(verdict, _): &(String, u64)| verdict == "unseeded";
        let untold: Vec<usize> =
            ids.iter().zip(&answers).filter(|(_, answer)| unseeded(answer)).map(|(id, _)| *id).collect();
        if !untold.is_empty() {
            let mut told = self.ask(day, &untold, true).into_iter();
            for answer in answers.iter_mut().filter(|answer| unseeded(answer)) {
                *answer = told.next().unwrap();
            }
        }
        answers.into_iter().map(|(_, held)| held).collect()
    }

    fn ask(&mut self, day: &Day, ids: &[usize], seeds: bool) -> Vec<(String, u64)> {
        if ids.is_empty() {
            return Vec::new();
        }
        self.calls += ids.len();
        let mut pipe = redis::pipe();
        for id in ids {
            let command = pipe.cmd("EVALSHA").arg(&self.open).arg(2).arg(&day.keys);
            command.arg(&day.company).arg(*id).arg(day.now).arg(HOLD_MS).arg("v").arg("");
            if seeds {
                command.arg(format!("{}:1000000000:1000000:1000000:1000000:1000000", day.limit));
                command.arg(format!("{0}:{0}:1:1", day.cost)).arg(day.ledger).arg(0);
            }
        }
        let replies: Vec<Vec<redis::Value>> = pipe.query(&mut self.connection).unwrap();
        let text = |value: &redis::Value| redis::from_redis_value::<String>(value.clone()).unwrap();
        replies.iter().map(|reply| (text(&reply[0]), text(&reply[1]).parse().unwrap())).collect()
    }

    /// Turns that end at the same time, with what each cost.
    fn settle(&mut self, day: &Day, turns: &[(usize, u64)]) {
        if turns.is_empty() {
            return;
        }
        self.calls += turns.len();
        let mut pipe = redis::pipe();
        for (id, cost) in turns {
            let command = pipe.cmd("EVALSHA").arg(&self.settle).arg(2).arg(&day.keys[0]).arg(&day.keys[1]);
            command.arg(&day.company).arg(*id).arg(day.now).arg(MARK_MS);
            command.arg(*cost).arg(0).arg("").arg(60).arg(0);
        }
        pipe.exec(&mut self.connection).unwrap();
    }

    fn forget(&mut self, day: &Day) {
        redis::cmd("DEL").arg(&day.keys).exec(&mut self.connection).unwrap();
    }

    /// What is held, for whomever.
    fn held(&mut self, day: &Day) -> u64 {
        let fields: Vec<String> = redis::cmd("HVALS").arg(&day.keys[0]).query(&mut self.connection).unwrap();
        let parts = fields.iter().map(|value| value.split(':').collect::<Vec<_>>());
        let holds = parts.filter(|parts| parts.len() == 4 && parts[0] != "s" && parts[2].len() == 13);
        holds.map(|parts| parts[0].parse::<u64>().unwrap()).sum()
    }

    fn number(&mut self, day: &Day, field: &str) -> u64 {
        let text: Option<String> =
            redis::cmd("HGET").arg(&day.keys[0]).arg(field).query(&mut self.connection).unwrap();
        text.map_or(0, |text| text.parse().unwrap())
    }
}

struct Day {
    keys: [String; 2],
    company: String,
    now: u64,
    limit: u64,
    cost: u64,
    /// What the ledger says was spent: written before Redis hears of it.
    ledger: u64,
}

impl Day {
    fn new(limit: u64, cost: u64) -> Self {
        let company = uuid::Uuid::new_v4().to_string();
        let keys = ["daily_spend", "memory"].map(|name| format!("{name}:{{{company}}}:schedule"));
        Self { keys, company, now: 1_800_000_000_000, limit, cost, ledger: 0 }
    }
}

/// Numbers that look random, the same for the same seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    /// Takes at least one of these out, in no order; none if there are none.
    fn some_of<T>(&mut self, from: &mut Vec<T>) -> Vec<T> {
        if from.is_empty() {
            return Vec::new();
        }
        let many = 1 + self.below(from.len() as u64);
        (0..many).map(|_| from.swap_remove(self.below(from.len() as u64) as usize)).collect()
    }

    /// As many small numbers as large ones: 2 to 400.
    fn clients(&mut self) -> usize {
        let decade = self.below(1_000) as f64 / 1_000.0;
        (2.0 * 200_f64.powf(decade)) as usize
    }
}

#[test]
fn ten_thousand_schedules_overspend_nothing_and_leave_nothing_held() {
    let mut redis = Redis::new();
    let (mut admitted, mut asked, mut faults) = (0_u64, 0_u64, 0_u64);
    let wanted = std::env::var("BULKHEAD_SCHEDULES").ok().map(|text| text.parse().unwrap());
    let schedules = wanted.unwrap_or(SCHEDULES);
    for seed in 1..=schedules {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (clients, cost) = (random.clients(), 1 + random.below(20));
        let mut day = Day::new(random.below(cost * (clients as u64 + 10)), cost);
        // Who is in: what is held for them, and what their turn will cost.
        let mut inside: Vec<(usize, u64)> = Vec::new();
        let mut waiting: Vec<usize> = (0..clients).collect();
        let (mut died, mut forgot) = (0_u64, false);
        while !(waiting.is_empty() && inside.is_empty()) {
            day.now += MARK_MS;
            // Some begin at the same time; a few of their replies are lost, and those requests are sent again.
            let begin = random.some_of(&mut waiting);
            let again: Vec<usize> = begin.iter().copied().filter(|_| random.below(20) == 0).collect();
            let held = redis.open(&day, &begin);
            let same = redis.open(&day, &again);
            asked += begin.len() as u64;
            faults += again.len() as u64;
            for (id, held) in begin.into_iter().zip(held) {
                assert!(held == 0 || held == cost, "seed {seed}: {held} of {cost}");
                if let Some(at) = again.iter().position(|other| *other == id) {
                    assert_eq!(same[at], held, "seed {seed}: a request sent again");
                }
                if held > 0 {
                    admitted += 1;
                    inside.push((id, random.below(held + 1)));
                }
            }
            // Some end at the same time. A few die without settling; a few settle twice.
            let mut end = random.some_of(&mut inside);
            let before = end.len();
            end.retain(|_| random.below(40) > 0);
            died += (before - end.len()) as u64 * cost;
            let twice: Vec<(usize, u64)> = end.iter().copied().filter(|_| random.below(20) == 0).collect();
            faults += (before - end.len() + twice.len()) as u64;
            day.ledger += end.iter().map(|(_, cost)| cost).sum::<u64>();
            redis.settle(&day, &end);
            redis.settle(&day, &twice);
            if inside.is_empty() && !forgot && random.below(8) == 0 {
                // Redis forgets while nobody is inside; the ledger tells it again.
                (forgot, died) = (true, 0);
                faults += 1;
                redis.forget(&day);
            }
            assert!(day.ledger <= day.limit, "seed {seed}: {} spent of {}", day.ledger, day.limit);
        }
        // Nothing is held for anybody but the dead, and that is void after its time.
        assert_eq!(redis.held(&day), died, "seed {seed}: phantom reservations");
        day.now += HOLD_MS + 1;
        redis.open(&day, &[9_000]);
        let last = if day.limit - day.ledger >= cost { cost } else { 0 };
        assert_eq!(redis.held(&day), last, "seed {seed}: the dead still hold something");
        redis.forget(&day);
    }
    tally("7 budget", "turns asked for in schedules of many clients", usize::try_from(asked).unwrap(), 0);
    let least = if wanted.is_some() { 0 } else { 500_000 };
    tally("7 budget", "runs of the limiter's scripts in schedules of many clients", redis.calls, least);
    assert!(
        admitted > 10 * schedules && faults > schedules,
        "too poor: {admitted} admitted, {faults} faults"
    );
}

#[test]
fn exactly_as_many_turns_are_admitted_as_the_limit_holds() {
    let mut redis = Redis::new();
    for (limit, cost, expected) in [(100, 10, 10), (109, 10, 10), (99, 10, 9), (9, 10, 0), (0, 1, 0)] {
        let day = Day::new(limit, cost);
        let held = redis.open(&day, &Vec::from_iter(0..50)).into_iter().filter(|held| *held > 0).count();
        assert_eq!(held, expected, "limit {limit}, cost {cost}");
        redis.forget(&day);
    }
}

/// The table in `docs/BUDGETS.md`.
#[test]
fn looking_first_and_adding_afterwards_overspends_on_the_same_schedule() {
    let mut redis = Redis::new();
    let (limit, cost) = (100, 10);
    let mut table = String::from(
        "| clients at once | reserve in one script | look first, add afterwards |\n|---|---|---|\n",
    );
    for clients in [2_usize, 20, 100, 400] {
        let day = Day::new(limit, cost);
        let held = redis.open(&day, &Vec::from_iter(0..clients));
        let inside: Vec<_> =
            held.iter().enumerate().filter(|(_, held)| **held > 0).map(|(id, _)| (id, cost)).collect();
        redis.settle(&day, &inside);
        let reserved = redis.number(&day, "spent");

        let spent = format!("naive:{{{}}}", day.company);
        let look = |redis: &mut Redis| -> u64 {
            let seen: Option<u64> = redis::cmd("GET").arg(&spent).query(&mut redis.connection).unwrap();
            seen.unwrap_or(0)
        };
        // All look before any has added: that is what "at once" means.
        let inside = (0..clients).filter(|_| look(&mut redis) + cost <= limit).count();
        for _ in 0..inside {
            redis::cmd("INCRBY").arg(&spent).arg(cost).exec(&mut redis.connection).unwrap();
        }
        let naive = look(&mut redis);
        table.push_str(&format!("| {clients} | {reserved} | {naive} |\n"));
        assert_eq!(reserved, limit.min(clients as u64 * cost));
        assert_eq!(naive, clients as u64 * cost, "the other way is to be shown as it is");
        redis.forget(&day);
    }
    let kept = include_str!("../../../docs/BUDGETS.md");
    assert!(kept.contains(&table), "docs/BUDGETS.md has another table than this:\n{table}");
}
