//! Chat turns of everybody beside each other: how much later the first word comes than from the provider itself, how many turns a
//! second go through, and what they cost. They take turns at everything, and nobody is always the first.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::contender::{Answer, Contender, Wire};
use super::edge::{Edges, WORKERS};
use super::figures::{Figure, Row, Spread, Table, Times};
use super::peers::{Askers, Peers, Recorded};
use super::provider::{Pace, Provider};
use super::trips;
use super::usage::Usage;
use super::{Args, progress};

/// As the tables call the provider, asked without anybody between.
pub const DIRECT: &str = "the provider itself";

/// The usual answer: a first word after 5 ms, then one a millisecond.
pub const USUAL: Pace = Pace { first: Duration::from_millis(5), each: Duration::from_millis(1), words: 20 };

/// A way of asking.
struct Level {
    at_once: usize,
    pace: Pace,
}

/// One, some and many at once; then answers of few and of many words, whose difference is what words cost.
const LEVELS: [Level; 5] = [
    Level { at_once: 1, pace: USUAL },
    Level { at_once: 16, pace: USUAL },
    Level { at_once: 64, pace: USUAL },
    Level { at_once: 8, pace: Pace { each: Duration::from_millis(2), words: FEW, ..USUAL } },
    Level { at_once: 8, pace: Pace { each: Duration::from_millis(2), words: MANY, ..USUAL } },
];
/// How many of those time the first word.
const TIMED: usize = 3;
/// Which of them has more to do than can be done.
const SATURATED: usize = 2;
const FEW: u32 = 5;
const MANY: u32 = 105;

/// How much is measured.
struct Size {
    rounds: usize,
    window: Duration,
    companies: usize,
}

/// Limits that none of this reaches, set as an owner would.
pub fn plenty() -> Value {
    json!({
        "daily_limit_microusd": 1_000_000_000_000_u64, "monthly_tokens": 1_000_000_000_000_u64,
        "visitor_turns_per_minute": 600, "company_turns_per_minute": 60_000, "concurrent_turns": 10_000,
    })
}

/// What came of it.
pub struct Turns {
    names: Vec<&'static str>,
    /// By round, by level, by who was asked.
    rounds: Vec<Vec<Vec<Window>>>,
}

/// Measures all of them.
pub async fn run(args: &Args, provider: &Provider, edges: &Edges) -> anyhow::Result<Turns> {
    let size = if args.quick {
        Size { rounds: 2, window: Duration::from_millis(500), companies: 2 }
    } else {
        Size { rounds: 4, window: Duration::from_millis(1_500), companies: 8 }
    };
    provider.set(USUAL);
    let (peers, ours) = contenders(args, provider, edges, size.companies).await?;
    let direct = Contender::new(
        DIRECT,
        provider_root(&provider.url),
        Wire::OpenAi,
        "measured",
        vec![Vec::new()],
        None,
    )?;
    let all: Vec<&Contender> =
        std::iter::once(&direct).chain(&peers.floors).chain(&ours).chain(&peers.others).collect();
    for who in &all {
        progress(&format!("turns: warming up {}", who.name));
        edges.relay.replay(false);
        crowd(8, |asked| asked < if args.quick { 40 } else { 200 }, async |n| who.ask(n).await).await?;
        crowd(1, |asked| asked < 5, async |n| who.ask(n).await).await?;
    }
    edges.relay.replay(true);
    let mut turns = Turns { names: all.iter().map(|who| who.name).collect(), rounds: Vec::new() };
    for round in 0..size.rounds {
        let mut levels = Vec::new();
        for (at, level) in LEVELS.iter().enumerate() {
            let (at_once, words) = (level.at_once, level.pace.words);
            progress(&format!(
                "turns: round {} of {}, step {} of {}: {at_once} at once, {words} words",
                round + 1,
                size.rounds,
                at + 1,
                LEVELS.len()
            ));
            provider.set(level.pace);
            let mut windows: Vec<Option<Window>> = all.iter().map(|_| None).collect();
            for who in (0..all.len()).map(|number| (number + round) % all.len()) {
                if let (Some(contender), Some(window)) = (all.get(who), windows.get_mut(who)) {
                    *window = Some(Window::of(contender, at_once, size.window, args).await?);
                }
            }
            levels.push(windows.into_iter().flatten().collect());
        }
        turns.rounds.push(levels);
    }
    edges.relay.replay(false);
    provider.set(USUAL);
    peers.stop().await;
    Ok(turns)
}

/// The address without the version, which the requests' paths have.
fn provider_root(url: &str) -> &str {
    url.trim_end_matches("/v1")
}

/// Peers and edges with visitors of the same companies.
async fn contenders(
    args: &Args,
    provider: &Provider,
    edges: &Edges,
    companies: usize,
) -> anyhow::Result<(Peers, Vec<Contender>)> {
    progress(&format!("turns: making {companies} companies"));
    let mut slugs = Vec::new();
    for _ in 0..companies {
        slugs.push(edges.workers.company(&plenty()).await?);
    }
    let owner = super::provision::connect(&args.owner_url).await?;
    let ids = owner.query("select company_id::text from companies where slug = any($1)", &[&slugs]).await?;
    let ids = ids.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    let visitors = LEVELS.map(|level| level.at_once).into_iter().max().unwrap_or(1) * 2;
    let mut ours = Vec::new();
    for edge in edges.both() {
        let mut mixed = Vec::new();
        // Neighbours in the list are of different companies.
        for _ in 0..visitors / companies {
            for slug in &slugs {
                mixed.extend(edge.visitors(slug, 1).await?);
            }
        }
        ours.push(edge.contender(mixed)?);
    }
    ours.insert(1, edges.workers.openai(&slugs).await?);
    // What the relay answers is one company's.
    let of_one = slugs.first().map_or("", String::as_str);
    ours.push(edges.relayed.contender(edges.relayed.visitors(of_one, visitors).await?)?);
    let recorded =
        Recorded { relay_url: edges.relay.url.clone(), requests: trips::requests(edges, of_one).await? };
    let peers = Peers::start(args, &provider.url, &Askers { companies: ids, visitors }, &recorded).await?;
    Ok((peers, ours))
}

/// So many who ask again as soon as they have their answer, as long as `more` says of how many were asked.
pub async fn crowd(
    at_once: usize,
    more: impl Fn(usize) -> bool,
    ask: impl AsyncFn(usize) -> anyhow::Result<Answer>,
) -> anyhow::Result<Vec<Answer>> {
    let asked = Cell::new(0);
    let one = async || {
        let mut answers = Vec::new();
        while more(asked.get()) {
            answers.push(ask(asked.replace(asked.get() + 1)).await?);
        }
        anyhow::Ok(answers)
    };
    Ok(try_join_all((0..at_once).map(|_| one())).await?.concat())
}

/// When the first words of these answers came.
pub fn first_words(answers: &[Answer]) -> Times {
    Times::new(answers.iter().map(|answer| answer.first_word).collect())
}

/// What came of asking for so long.
struct Window {
    times: Times,
    turns_a_second: f64,
    /// Processor time a turn, of the process itself and of the gateway.
    own_ms: Option<f64>,
    gateway_ms: Option<f64>,
    memory_mb: Option<f64>,
}

impl Window {
    async fn of(who: &Contender, at_once: usize, time: Duration, args: &Args) -> anyhow::Result<Self> {
        let gateway = || who.by_gateway.then(|| args.part("gateway")).flatten();
        let (own, gateways, started) = (who.usage(), gateway(), Instant::now());
        let answers = crowd(at_once, |_| started.elapsed() < time, async |n| who.ask(n).await).await?;
        let took = started.elapsed();
        let after = who.usage();
        #[expect(clippy::cast_precision_loss, reason = "some thousands of turns")]
        let count = answers.len() as f64;
        let each = |before: Option<Usage>, after: Option<Usage>| {
            Some(after?.cpu.saturating_sub(before?.cpu).as_secs_f64() * 1_000.0 / count.max(1.0))
        };
        Ok(Self {
            times: first_words(&answers),
            turns_a_second: count / took.as_secs_f64(),
            own_ms: each(own, after),
            gateway_ms: each(gateways, gateway()),
            memory_mb: after.map(|usage| usage.memory_mb),
        })
    }

    /// Turns of a processor that does nothing else: the process's and the gateway's time together.
    fn turns_a_core(&self) -> Option<f64> {
        let ms = self.own_ms? + self.gateway_ms.unwrap_or(0.0);
        (ms > 0.0).then(|| 1_000.0 / ms)
    }
}

impl Turns {
    /// One figure of somebody in each round.
    fn each<'turns>(
        &'turns self,
        name: &str,
        of: impl Fn(&dyn Fn(usize) -> Option<(&'turns Window, &'turns Window)>) -> Option<f64>,
    ) -> Option<Spread> {
        let who = self.names.iter().position(|other| *other == name)?;
        Spread::of(self.rounds.iter().filter_map(|levels| {
            of(&|level| {
                let windows: &Vec<Window> = levels.get(level)?;
                Some((windows.get(who)?, windows.first()?))
            })
        }))
    }

    fn windows(&self, name: &str, level: usize) -> impl Iterator<Item = &Window> {
        let who = self.names.iter().position(|other| *other == name);
        self.rounds.iter().filter_map(move |levels| levels.get(level)?.get(who?))
    }

    /// Milliseconds by which the first word comes later than the provider's median of the same round.
    pub fn added(&self, name: &str, level: usize, percent: usize) -> Option<Spread> {
        self.each(name, |at| {
            let (own, direct) = at(level)?;
            Some(own.times.percentile(percent) - direct.times.percentile(50))
        })
    }

    /// Processor milliseconds a turn at saturation, of the process alone.
    pub fn own_ms(&self, name: &str) -> Option<Spread> {
        self.each(name, |at| at(SATURATED)?.0.own_ms)
    }

    /// Processor milliseconds a turn at saturation, of the gateway.
    pub fn gateway_ms(&self, name: &str) -> Option<Spread> {
        self.each(name, |at| at(SATURATED)?.0.gateway_ms)
    }

    /// Turns a second that one processor would do.
    pub fn turns_a_core(&self, name: &str) -> Option<Spread> {
        self.each(name, |at| at(SATURATED)?.0.turns_a_core())
    }

    /// Processor microseconds of one more streamed word.
    pub fn chunk_us(&self, name: &str) -> Option<Spread> {
        self.each(name, |at| {
            let (few, many) = (at(TIMED)?.0.own_ms?, at(TIMED + 1)?.0.own_ms?);
            Some((many - few) * 1_000.0 / f64::from(MANY - FEW))
        })
    }

    fn memory_mb(&self, name: &str) -> Option<Spread> {
        self.each(name, |at| at(SATURATED)?.0.memory_mb)
    }

    fn turns_a_second(&self, name: &str) -> Option<Spread> {
        self.each(name, |at| Some(at(SATURATED)?.0.turns_a_second))
    }

    /// As people read them.
    pub fn tables(&self) -> Vec<Table> {
        vec![self.first_word(), self.load(), self.beside()]
    }

    fn first_word(&self) -> Table {
        let mut rows = Vec::new();
        for (level, Level { at_once, .. }) in LEVELS.iter().enumerate().take(TIMED) {
            for &name in &self.names {
                let spread =
                    |percent: usize| self.each(name, |at| Some(at(level)?.0.times.percentile(percent)));
                let turns = self.windows(name, level).map(|window| window.times.count()).sum();
                let mut figures = vec![Figure::Count(turns), spread(50).into(), spread(99).into()];
                figures.extend([50, 99].map(|percent| match name {
                    DIRECT => Figure::None,
                    _ => self.added(name, level, percent).into(),
                }));
                rows.push(Row { what: format!("{name}, {at_once} at once"), figures });
            }
        }
        Table {
            name: "turns",
            title: "a chat turn's first word".to_owned(),
            columns: &["turns", "p50_ms", "p99_ms", "added_p50_ms", "added_p99_ms"],
            rows,
        }
    }

    fn load(&self) -> Table {
        let rows = self.names.iter().map(|&name| Row {
            what: name.to_owned(),
            figures: vec![
                self.turns_a_second(name).into(),
                self.own_ms(name).into(),
                self.gateway_ms(name).into(),
                self.turns_a_core(name).into(),
                self.chunk_us(name).into(),
                self.memory_mb(name).into(),
            ],
        });
        Table {
            name: "load",
            title: "64 questions at once".to_owned(),
            columns: &[
                "turns_a_second",
                "cpu_ms_a_turn",
                "gateway_cpu_ms_a_turn",
                "turns_a_second_a_core",
                "cpu_us_a_chunk",
                "memory_mb",
            ],
            rows: rows.collect(),
        }
    }

    /// Everybody beside Bulkhead on workerd, by medians.
    fn beside(&self) -> Table {
        let ratio = |of: &dyn Fn(&str) -> Option<Spread>, name: &str| {
            let (own, ours) = (of(name)?.median, of(WORKERS)?.median);
            (ours != 0.0).then(|| own / ours)
        };
        let others = self.names.iter().filter(|name| **name != DIRECT && **name != WORKERS);
        let rows = others.map(|&name| Row {
            what: name.to_owned(),
            figures: [
                ratio(&|name| self.added(name, 0, 50), name),
                ratio(&|name| self.added(name, 1, 50), name),
                ratio(&|name| self.turns_a_second(name), name),
                ratio(&|name| self.own_ms(name), name),
                ratio(&|name| self.turns_a_core(name), name),
                ratio(&|name| self.memory_mb(name), name),
            ]
            .map(|ratio| ratio.map_or(Figure::None, Figure::One))
            .into(),
        });
        Table {
            name: "beside",
            title: "beside Bulkhead on workerd (1 = the same)".to_owned(),
            columns: &[
                "added_p50_1_at_once",
                "added_p50_16_at_once",
                "turns_a_second",
                "cpu_a_turn",
                "turns_a_second_a_core",
                "memory",
            ],
            rows: rows.collect(),
        }
    }
}
