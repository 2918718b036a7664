//! Simulation: random days of a company, turn by turn, over the real database and Redis: visitors ask, several at once or leaving
//! half-way, providers misbehave, parts fail, clocks jump, Redis forgets, the owner changes the budget, and another company goes about
//! its day. After every step the promises hold.
//!
//! Each run is made from a number. `BULKHEAD_SEED=n` runs that one again, `BULKHEAD_SIMULATIONS=n` runs so many.

use bulkhead_tests::company::{Company, Event, read_events};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::{Fault, Part, run, same_day};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::budget::redis;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// So many visitors ask at the same time.
    Ask(usize),
    /// A visitor asks and leaves with the first words.
    Leave,
    /// The next request to this part fails.
    Break(Part, Fault),
    /// The provider behaves like this from now on.
    Provider(&'static str),
    /// The clock is so many minutes off.
    Clock(i64),
    /// Redis starts again with nothing.
    Forget,
    /// The owner sets the day's limit, micro-dollars.
    Limit(u64),
    /// Somebody asks at the other company.
    Elsewhere,
}

const PROVIDERS: [&str; 8] = ["ok", "nousage", "length", "cut", "midstream-error", "500", "429", "garbage"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..4_usize).prop_map(Step::Ask),
        1 => Just(Step::Leave),
        3 => (
            prop_oneof![Just(Part::Redis), Just(Part::Postgres), Just(Part::Model)],
            prop_oneof![Just(Fault::Down), Just(Fault::AnswerLost)]
        ).prop_map(|(part, fault)| Step::Break(part, fault)),
        2 => (0..PROVIDERS.len()).prop_map(|at| Step::Provider(PROVIDERS[at])),
        1 => (-10..=10_i64).prop_map(Step::Clock),
        1 => Just(Step::Forget),
        2 => (1..12_u64).prop_map(|turns| Step::Limit(turns * 16_000)),
        1 => Just(Step::Elsewhere),
    ]
}

/// A company's day, and what is known of it from outside.
struct Day<'a> {
    core: &'a Core,
    company: &'a Company,
    other: &'a Company,
    owner: String,
    provider: String,
    visitor: String,
    others_visitor: String,
    key: String,
    /// The highest limit so far: a lower one does not undo what was spent.
    highest_limit: u64,
    turns: usize,
}

#[test]
fn random_days_keep_their_promises() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("BULKHEAD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BULKHEAD_SIMULATIONS").unwrap_or(12),
    };
    let (mut steps, mut turns) = (0, 0);
    run(async {
        let core = Core::new(Stand::get());
        for seed in seeds {
            same_day(15).await;
            let mut day = Day::new(&core).await;
            for (at, step) in steps_of(seed).iter().enumerate() {
                if let Err(why) = day.live(step).await {
                    panic!("BULKHEAD_SEED={seed}, step {at}, {step:?}: {why}");
                }
                steps += 1;
            }
            turns += day.turns;
        }
    });
    assert!(turns > steps / 4, "too poor to show anything: {turns} turns in {steps} steps");
    tally("all layers", "steps of simulated days, each checked", steps, 40);
    tally("all layers", "turns in simulated days", turns, 20);
}

fn steps_of(seed: u64) -> Vec<Step> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    vec(step(), 40..41).new_tree(&mut runner).unwrap().current()
}

impl<'a> Day<'a> {
    async fn new(core: &'a Core) -> Self {
        core.native.mend();
        core.native.set_ahead_ms(0);
        // They live as long as the test: two small companies for each run.
        let company = Box::leak(Box::new(Company::new(core.stand, "plumbing").await));
        let other = Box::leak(Box::new(Company::new(core.stand, "plumbing").await));
        let key = uuid::Uuid::new_v4().simple().to_string();
        let provider = core.provider(company, &format!("test-ok-{key}")).await;
        core.provider(other, &format!("test-ok-other{key}")).await;
        // A turn costs nearly what is reserved for it, and the day's limit holds a few: else no limit would ever be met.
        for company in [&*company, &*other] {
            company
                .rows(
                    "update budgets set visitor_turns_per_minute = 600, daily_limit_microusd = 96000, max_output_tokens = 16
                     where company_id = $1::text::uuid returning 1",
                )
                .await;
            company
                .rows(
                    "update provider_models set input_microusd_per_mtok = 0, output_microusd_per_mtok = 1000000000
                     where company_id = $1::text::uuid returning 1",
                )
                .await;
        }
        Self {
            owner: core.owner(company).await,
            visitor: core.visitor(company).await,
            others_visitor: core.visitor(other).await,
            core,
            company,
            other,
            provider,
            key,
            highest_limit: 96_000,
            turns: 0,
        }
    }

    async fn live(&mut self, step: &Step) -> Result<(), String> {
        let native = &self.core.native;
        match step {
            Step::Ask(visitors) => {
                let asked = join_all((0..*visitors).map(|_| self.ask(false))).await;
                native.mend();
                self.turns += visitors;
                for events in asked {
                    self.told(&events?).await?;
                }
            }
            Step::Leave => {
                self.ask(true).await?;
                self.turns += 1;
            }
            // What was broken stays so until somebody asks; the checks themselves meet no fault.
            Step::Break(part, fault) => {
                native.break_once(*part, *fault);
                return Ok(());
            }
            Step::Provider(kind) => {
                native.mend();
                let change = json!({ "api_key": format!("test-{kind}-{}", self.key) });
                let path = format!("/v1/providers/{}", self.provider);
                let (status, said) =
                    self.core.call(self.company, "PATCH", &path, &self.owner, Some(change)).await;
                // A clock that jumped may have ended the owner's token.
                if status != 200 && status != 401 {
                    return Err(format!("the provider is not changed: {status} {said}"));
                }
            }
            Step::Clock(minutes) => native.set_ahead_ms(minutes * 60_000),
            Step::Forget => self.forget().await,
            Step::Limit(limit) => {
                let sql = format!(
                    "update budgets set daily_limit_microusd = {limit} where company_id = $1::text::uuid returning 1"
                );
                self.company.rows(&sql).await;
                self.highest_limit = self.highest_limit.max(*limit);
            }
            Step::Elsewhere => {
                native.mend();
                let ask = json!({ "message": format!("Do you fix leaks? other{}", self.key) });
                let response =
                    self.core.serve(self.other, "POST", "/v1/chat", &self.others_visitor, Some(ask)).await;
                let events = read(response.into_body()).await;
                let text = format!("{events:?}");
                if text.contains(&format!(" {}", self.key)) {
                    return Err(format!("the other company's answer has this one's words: {text}"));
                }
            }
        }
        self.promises().await
    }

    /// One turn; `None` of its events when it was refused, or the visitor left.
    async fn ask(&self, leaves: bool) -> Result<Vec<Event>, String> {
        let ask = json!({ "message": format!("Do you fix leaks? {} {}", self.key, uuid::Uuid::new_v4()) });
        let response = self.core.serve(self.company, "POST", "/v1/chat", &self.visitor, Some(ask)).await;
        match response.status().as_u16() {
            200 => {}
            // The database was away, or the token's time is over where the clock is now.
            503 | 401 => return Ok(Vec::new()),
            status => return Err(format!("status {status}")),
        }
        let (mut body, mut decoder, mut events) =
            (response.into_body(), bulkhead::sse::Decoder::new(1 << 20), Vec::new());
        while let Some(chunk) = body.next().await {
            read_events(&mut decoder, &chunk.map_err(|error| error.to_string())?, &mut events);
            if leaves {
                drop(body);
                // What goes on after the visitor left ends before the next step.
                self.core.native.idle().await;
                self.core.native.mend();
                return Ok(Vec::new());
            }
        }
        Ok(events)
    }

    /// What a visitor was told is what is kept.
    async fn told(&self, events: &[Event]) -> Result<(), String> {
        let Some(start) = events.first() else { return Ok(()) };
        let ends = events.iter().filter(|event| event.name == "done" || event.name == "error").count();
        let last = events.last().map(|event| event.name.as_str());
        if ends != 1 || !matches!(last, Some("done" | "error")) {
            return Err(format!("{ends} terminal events: {events:?}"));
        }
        let conversation = start.data["conversation_id"].as_str().unwrap_or_default();
        let said = self
            .company
            .rows(&format!(
                "select message_id::text, author, body, complete from messages
                 where company_id = $1::text::uuid and conversation_id = '{conversation}'"
            ))
            .await;
        let asked = start.data["message_id"].as_str();
        if !said.iter().any(|row| Some(row.get::<_, &str>(0)) == asked) {
            return Err("an acknowledged question is not kept".into());
        }
        let told: String =
            events.iter().filter(|e| e.name == "delta").filter_map(|e| e.data["text"].as_str()).collect();
        let kept = said.iter().find(|row| row.get::<_, &str>(1) == "agent");
        match (last, kept) {
            (Some("done"), Some(row)) if row.get::<_, &str>(2) == told && row.get::<_, bool>(3) => Ok(()),
            (Some("done"), _) => Err(format!("done, and what is kept is not what was told: {told}")),
            (_, Some(row)) if row.get::<_, bool>(3) && !told.is_empty() && row.get::<_, &str>(2) != told => {
                Err("an answer that broke off is kept as whole".into())
            }
            _ => Ok(()),
        }
    }

    /// What holds whenever nothing is on its way.
    async fn promises(&self) -> Result<(), String> {
        // One statement: what an abandoned request still does in the database is in both sums or in neither.
        let sums = self
            .company
            .rows(
                "select (select coalesce(sum(cost_microusd), 0) from usage_ledger where company_id = $1::text::uuid)::bigint,
                        (select coalesce(sum(spent_microusd), 0) from ledger_days where company_id = $1::text::uuid)::bigint",
            )
            .await;
        let [ledger, days] = [0, 1].map(|at| u64::try_from(sums[0].get::<_, i64>(at)).unwrap());
        if ledger > self.highest_limit {
            return Err(format!("{ledger} spent of {}", self.highest_limit));
        }
        if days != ledger {
            return Err(format!("the days' sums say {days}, the ledger {ledger}"));
        }
        for (spent, held) in self.redis_days().await {
            if spent + held > self.highest_limit {
                return Err(format!("{spent} spent and {held} held of {}", self.highest_limit));
            }
        }
        Ok(())
    }

    /// What Redis says of each day that the clock has been in: spent, and held by reservations that are not void.
    async fn redis_days(&self) -> Vec<(u64, u64)> {
        let now = self.core.native.platform().now_ms();
        let mut days = Vec::new();
        for key in self.day_keys() {
            let day = redis(self.core.stand, json!(["HGETALL", key])).await;
            let fields: Vec<&str> = day.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let (mut spent, mut held) = (0, 0);
            for pair in fields.chunks(2) {
                match pair {
                    ["spent", value] => spent = value.parse().unwrap(),
                    [field, value] if field.starts_with("h:") => {
                        let parts: Vec<&str> = value.split(':').collect();
                        if parts[0] != "s" && parts[2].parse::<u64>().unwrap() > now {
                            held += parts[0].parse::<u64>().unwrap();
                        }
                    }
                    _ => {}
                }
            }
            days.push((spent, held));
        }
        days
    }

    fn day_keys(&self) -> Vec<String> {
        let now = self.core.native.platform().now_ms();
        let mut days: Vec<String> =
            [now - 1_200_000, now, now + 1_200_000].map(|ms| bulkhead::limiter::day(ms, 0)).to_vec();
        days.dedup();
        days.iter().map(|day| format!("daily_spend:{{{}}}:{day}", self.company.id)).collect()
    }

    async fn forget(&self) {
        for key in self.day_keys() {
            redis(self.core.stand, json!(["DEL", key])).await;
        }
    }
}
