//! Whole chat turns on both edges: how much later the first word comes than from the provider itself, how many turns a
//! second go through, and what they cost the edge's process. The edges take turns at everything.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::edge::{Answer, Edge, Visitor, ask_directly};
use super::figures::{Figure, Row, Spread, Table, Times};
use super::{Args, QUESTION, progress};

/// Questions at once where the first word is timed.
const AT_ONCE: [usize; 2] = [1, 16];
/// Questions at once when there is more to do than can be done.
const SATURATED: usize = 64;

/// How much is measured.
struct Size {
    rounds: usize,
    /// Of each round: turns with one question at once, and with many.
    turns: [usize; 2],
    load: Duration,
    companies: usize,
}

/// Limits that none of this reaches, set as an owner would.
pub fn plenty() -> Value {
    json!({
        "daily_limit_microusd": 1_000_000_000_000_u64, "monthly_tokens": 1_000_000_000_000_u64,
        "visitor_turns_per_minute": 600, "company_turns_per_minute": 60_000, "concurrent_turns": 10_000,
    })
}

/// Measures both.
pub async fn run(args: &Args, provider_url: &str, edges: &[Edge; 2]) -> anyhow::Result<Vec<Table>> {
    let size = if args.quick {
        Size { rounds: 2, turns: [20, 100], load: Duration::from_secs(2), companies: 2 }
    } else {
        Size { rounds: 7, turns: [100, 400], load: Duration::from_secs(10), companies: 8 }
    };
    let direct = Who::Provider(reqwest::Client::builder().no_proxy().build()?, provider_url);
    let stands = stands(edges, size.companies).await?;
    let mut windows = Vec::new();
    let mut loads = Vec::new();
    for round in 0..size.rounds {
        for (at, (at_once, turns)) in AT_ONCE.into_iter().zip(size.turns).enumerate() {
            progress(&format!("turns: round {} of {}, {at_once} at once", round + 1, size.rounds));
            let all = [&direct, &stands[0], &stands[1]];
            let mut times = [const { None }; 3];
            // Nobody is always the first.
            for who in (0..3).map(|number| (number + round) % 3) {
                if let (Some(who), Some(times)) = (all.get(who), times.get_mut(who)) {
                    *times = Some(crowd(at_once, |asked| asked < turns, async |n| who.ask(n).await).await?);
                }
            }
            windows.push((
                at,
                times.map(|times| times.map(|answers| first_words(&answers)).unwrap_or_default()),
            ));
        }
        progress(&format!("turns: round {} of {}, as many as go", round + 1, size.rounds));
        let mut load = [const { None }; 2];
        for who in (0..2).map(|number| (number + round) % 2) {
            if let (Some(who), Some(load)) = (stands.get(who), load.get_mut(who)) {
                *load = Some(Load::of(who, size.load).await?);
            }
        }
        loads.push(load.map(Option::unwrap_or_default));
    }
    Ok(tables(edges, &windows, &loads))
}

/// Who is asked.
enum Who<'a> {
    Provider(reqwest::Client, &'a str),
    Edge(&'a Edge, Vec<Visitor>),
}

impl Who<'_> {
    async fn ask(&self, number: usize) -> anyhow::Result<Answer> {
        let answer = match self {
            Self::Provider(client, url) => ask_directly(client, url, QUESTION).await?,
            Self::Edge(edge, visitors) => {
                let visitor = visitors.iter().cycle().nth(number % visitors.len().max(1));
                let visitor = visitor.ok_or_else(|| anyhow::anyhow!("nobody asks"))?;
                edge.ask(visitor, QUESTION).await?
            }
        };
        ensure!(answer.status == 200, "a question was answered with {}", answer.status);
        ensure!(answer.source == "model", "a question was answered by {}, not by the model", answer.source);
        Ok(answer)
    }
}

/// Both edges with visitors of the same companies, and warm.
async fn stands<'a>(edges: &'a [Edge; 2], companies: usize) -> anyhow::Result<[Who<'a>; 2]> {
    progress(&format!("turns: making {companies} companies"));
    let [first, second] = edges;
    let mut visitors = [Vec::new(), Vec::new()];
    for _ in 0..companies {
        let slug = first.company(&plenty()).await?;
        for (edge, visitors) in edges.iter().zip(&mut visitors) {
            visitors.push(edge.visitors(&slug, SATURATED * 2 / companies).await?);
        }
    }
    // Neighbours in the list are of different companies.
    let [one, other] = visitors.map(|companies| {
        let mut companies: Vec<_> = companies.into_iter().map(Vec::into_iter).collect();
        let mut mixed = Vec::new();
        while companies.iter().any(|company| company.len() > 0) {
            mixed.extend(companies.iter_mut().filter_map(Iterator::next));
        }
        mixed
    });
    let stands = [Who::Edge(first, one), Who::Edge(second, other)];
    for who in &stands {
        crowd(AT_ONCE[1], |asked| asked < 200, async |n| who.ask(n).await).await?;
    }
    Ok(stands)
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

/// What came of as many questions as an edge can take.
#[derive(Default)]
struct Load {
    turns: usize,
    turns_a_second: f64,
    cpu_ms_a_turn: Option<f64>,
    memory_mb: Option<f64>,
    peak_mb: Option<f64>,
}

impl Load {
    async fn of(who: &Who<'_>, time: Duration) -> anyhow::Result<Self> {
        let usage = || if let Who::Edge(edge, _) = who { edge.usage() } else { None };
        let (before, started) = (usage(), Instant::now());
        let more = |_| started.elapsed() < time;
        let turns = crowd(SATURATED, more, async |n| who.ask(n).await).await?.len();
        let (after, took) = (usage(), started.elapsed());
        let cpu = before.zip(after).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        #[expect(clippy::cast_precision_loss, reason = "some thousands of turns")]
        let count = turns as f64;
        Ok(Self {
            turns,
            turns_a_second: count / took.as_secs_f64(),
            cpu_ms_a_turn: cpu.map(|cpu| cpu.as_secs_f64() * 1_000.0 / count.max(1.0)),
            memory_mb: after.map(|usage| usage.memory_mb),
            peak_mb: after.map(|usage| usage.peak_mb),
        })
    }
}

/// By which of [`AT_ONCE`]: the times of the provider and of both edges.
type Window = (usize, [Times; 3]);

/// One of a load's figures.
type OfLoad = fn(&Load) -> Option<f64>;

fn tables(edges: &[Edge; 2], windows: &[Window], loads: &[[Load; 2]]) -> Vec<Table> {
    let mut rows = Vec::new();
    let mut ratios = Vec::new();
    for (at, at_once) in AT_ONCE.into_iter().enumerate() {
        let here = || windows.iter().filter(move |window| window.0 == at).map(|(_, times)| times);
        // The provider's own median is taken from each time, so that what is left is the edge's, with whatever hit it.
        let added = |percent: usize, times: &Times, [direct, ..]: &[Times; 3]| {
            times.percentile(percent) - direct.percentile(50)
        };
        for (who, name) in ["the provider itself", edges[0].name, edges[1].name].into_iter().enumerate() {
            let spread = |of: &dyn Fn(&Times, &[Times; 3]) -> f64| {
                Spread::of(here().filter_map(|all| Some(of(all.get(who)?, all)))).into()
            };
            let mut figures = vec![
                Figure::Count(here().filter_map(|all| all.get(who)).map(Times::count).sum()),
                spread(&|times, _| times.percentile(50)),
                spread(&|times, _| times.percentile(99)),
            ];
            figures.extend([50, 99].map(|percent| match who {
                0 => Figure::None,
                _ => spread(&|times, all| added(percent, times, all)),
            }));
            rows.push(Row { what: format!("{name}, {at_once} at once"), figures });
        }
        for percent in [50, 99] {
            let ratio = here().map(|all| added(percent, &all[2], all) / added(percent, &all[1], all));
            let what = format!("first word, added p{percent}, {at_once} at once");
            ratios.push(Row { what, figures: vec![Spread::of(ratio).into()] });
        }
    }
    let by_load: [(&str, OfLoad); 4] = [
        ("turns a second", |load| Some(load.turns_a_second)),
        ("processor time a turn", |load| load.cpu_ms_a_turn),
        ("memory after the load", |load| load.memory_mb),
        ("most memory ever held", |load| load.peak_mb),
    ];
    for (what, of) in by_load {
        let ratio = loads.iter().filter_map(|[workers, spin]| Some(of(spin)? / of(workers)?));
        ratios.push(Row { what: what.to_owned(), figures: vec![Spread::of(ratio).into()] });
    }
    let load_rows = edges.iter().enumerate().map(|(who, edge)| {
        let here = || loads.iter().filter_map(move |both| both.get(who));
        let mut figures = vec![Figure::Count(here().map(|load| load.turns).sum())];
        figures.extend(by_load.map(|(_, of)| Spread::of(here().filter_map(of)).into()));
        Row { what: edge.name.to_owned(), figures }
    });
    vec![
        Table {
            name: "turns",
            title: "a chat turn's first word".to_owned(),
            columns: &["turns", "p50_ms", "p99_ms", "added_p50_ms", "added_p99_ms"],
            rows,
        },
        Table {
            name: "load",
            title: format!("{SATURATED} questions at once"),
            columns: &["turns", "turns_a_second", "cpu_ms_a_turn", "memory_mb", "peak_mb"],
            rows: load_rows.collect(),
        },
        Table { name: "edges", title: "Spin beside Workers".to_owned(), columns: &["ratio"], rows: ratios },
    ]
}
