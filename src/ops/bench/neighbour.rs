//! What company B's visitors notice of a company A that asks on and on at its limits, on each edge. Windows with and without
//! A follow each other, so that whatever else the machine does falls on both.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::StreamExt as _;
use futures_util::future::try_join;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::contender::Answer;
use super::edge::{Edge, Edges, Visitor};
use super::figures::{Figure, Row, Table, Times};
use super::turns::{crowd, first_words, plenty};
use super::{Args, QUESTION, progress};

/// Visitors of B who chat all the time.
const CHATTING: usize = 4;

/// A way to be at one's limit.
struct Limit {
    what: &'static str,
    /// Questions a second.
    rate: u32,
    visitors: usize,
    /// What of answers A must get, or it is not at its limit.
    expected: fn(&Answer) -> bool,
    budget: fn() -> Value,
}

const LIMITS: [Limit; 2] = [
    Limit {
        what: "A is over its rate: 100 refused a second",
        rate: 100,
        visitors: 16,
        expected: |answer| answer.status == 429,
        budget: || json!({ "company_turns_per_minute": 1 }),
    },
    // As many as the default rates let through; the knowledge base answers each of them.
    Limit {
        what: "A has no money left: 10 answered a second",
        rate: 10,
        visitors: 64,
        expected: |answer| answer.status == 200 && answer.source != "model",
        budget: || json!({ "daily_limit_microusd": 0 }),
    },
];

/// Measures both edges, one after the other.
pub async fn run(args: &Args, edges: &Edges) -> anyhow::Result<Neighbour> {
    let (rounds, window) = if args.quick { (1, Duration::from_secs(2)) } else { (6, Duration::from_secs(3)) };
    let (mut rows, mut worst) = (Vec::new(), None);
    for edge in edges.both() {
        let b = edge.visitors(&edge.company(&plenty()).await?, CHATTING * 4).await?;
        let mut noisy = Vec::new();
        for limit in &LIMITS {
            let slug = edge.company(&(limit.budget)()).await?;
            noisy.push((limit, edge.visitors(&slug, limit.visitors).await?));
        }
        chat(edge, &b, Duration::from_secs(1)).await?;
        // Quiet, one limit, quiet, the other, and so on; quiet at the end.
        let mut quiet = vec![chat(edge, &b, window).await?];
        let mut loud = LIMITS.each_ref().map(|_| Vec::new());
        for round in 0..rounds {
            progress(&format!("neighbour: {}, round {} of {rounds}", edge.name, round + 1));
            for ((limit, a), loud) in noisy.iter().zip(&mut loud) {
                let (times, ()) = try_join(chat(edge, &b, window), hammer(edge, limit, a, window)).await?;
                loud.push(times);
                quiet.push(chat(edge, &b, window).await?);
            }
        }
        rows.extend(compared(edge, &quiet, &loud));
        let before = Times::together(&quiet).percentile(99);
        let changes = loud.iter().map(|times| (Times::together(times).percentile(99) / before - 1.0) * 100.0);
        worst = worst.or(changes.max_by(f64::total_cmp));
    }
    Ok(Neighbour { rows, worst_change_percent: worst })
}

/// What came of it.
pub struct Neighbour {
    rows: Vec<Row>,
    /// By how much the first edge's p99 rose at A's worse limit.
    pub worst_change_percent: Option<f64>,
}

impl Neighbour {
    /// As people read it.
    pub fn table(&self) -> Table {
        let title = format!("the first word for B, {CHATTING} of whose visitors chat");
        let columns = &["turns", "p50_ms", "p99_ms", "p50_change_percent", "p99_change_percent"];
        Table { name: "neighbour", title, columns, rows: self.rows.clone() }
    }
}

/// B's visitors chat for so long.
async fn chat(edge: &Edge, b: &[Visitor], time: Duration) -> anyhow::Result<Times> {
    let started = Instant::now();
    let ask = async |number: usize| {
        let visitor = b.iter().cycle().nth(number % b.len().max(1));
        let answer = edge.ask(visitor.ok_or_else(|| anyhow::anyhow!("nobody asks"))?, QUESTION).await?;
        ensure!(
            answer.source == "model",
            "B's question was answered with {} {}",
            answer.status,
            answer.source
        );
        Ok(answer)
    };
    let answers = crowd(CHATTING, |_| started.elapsed() < time, ask).await?;
    Ok(first_words(&answers))
}

/// A's visitors ask at their rate for so long, whether they were answered or not.
async fn hammer(edge: &Edge, limit: &Limit, a: &[Visitor], time: Duration) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / limit.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (started, mut visitors) = (Instant::now(), a.iter().cycle());
    let (mut out, mut answers) = (FuturesUnordered::new(), Vec::new());
    while started.elapsed() < time {
        tokio::select! {
            _ = ticks.tick() => out.extend(visitors.next().map(|visitor| edge.ask(visitor, QUESTION))),
            Some(answer) = out.next() => answers.push(answer?),
        }
    }
    while let Some(answer) = out.next().await {
        answers.push(answer?);
    }
    let expected = answers.iter().filter(|answer| (limit.expected)(answer)).count();
    // A minute's first question may still be within the limit.
    ensure!(expected + 2 >= answers.len(), "{}: only {expected} of {} were", limit.what, answers.len());
    Ok(())
}

fn compared(edge: &Edge, quiet: &[Times], loud: &[Vec<Times>; 2]) -> Vec<Row> {
    let percent = |here: f64, there: f64| (here / there - 1.0) * 100.0;
    let row = |what: &str, times: &Times, here: &Times, there: &Times| {
        let shown = [50, 99].map(|rank| Figure::One(times.percentile(rank)));
        let changes =
            [50, 99].map(|rank| Figure::One(percent(here.percentile(rank), there.percentile(rank))));
        let figures = std::iter::once(Figure::Count(times.count())).chain(shown).chain(changes).collect();
        Row { what: format!("{}: {what}", edge.name), figures }
    };
    // How much quiet windows differ from each other: what is no more than that is nobody's doing.
    let half = |from: usize| Times::together(quiet.iter().skip(from).step_by(2));
    let all_quiet = Times::together(quiet);
    let mut rows =
        vec![row("A is quiet (each second window beside the others)", &all_quiet, &half(1), &half(0))];
    for (limit, windows) in LIMITS.iter().zip(loud) {
        let times = Times::together(windows);
        rows.push(row(limit.what, &times, &times, &all_quiet));
    }
    rows
}
