//! The goals that were set, held against what was seen: figures and ratios of one run. It asserts nothing.

use super::Args;
use super::edge::{RELAYED, WORKERS};
use super::figures::{Figure, Row, Spread, Table};
use super::peers::{BARE, LITELLM, PASSTHROUGH, PORTKEY, READER, REFERENCE};
use super::report::Seen;
use super::turns::Turns;
use crate::cost;

/// Each goal with what was seen; what was not measured is left out of the verdict.
pub fn table(seen: &Seen, args: &Args) -> Table {
    let turns = seen.turns.as_ref();
    let median = |of: &dyn Fn(&Turns) -> Option<Spread>| Some(of(turns?)?.median);
    let added = |name: &'static str| median(&|turns| turns.added(name, 0, 50));
    let own = |name: &'static str| median(&|turns| turns.own_ms(name));
    let a_core = |name: &'static str| median(&|turns| turns.turns_a_core(name));
    let chunk = median(&|turns| turns.chunk_us(WORKERS));
    let over = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
    let with_gateway = over(a_core(WORKERS), a_core(LITELLM));
    let turn = seen.turn.as_ref();
    let flat = seen.scale.as_ref().and_then(|scale| {
        let (first, last) = (scale.batches.first()?, scale.batches.last()?);
        Some((last.0, last.1 / first.1))
    });
    let companies = flat.map_or("many".to_owned(), |(count, _)| count.to_string());
    let cost = seen.measured(args).and_then(|measured| cost::company_usd(&measured, 1_000, 1_000).ok());
    let rows = [
        goal(
            "stages of requests before the provider is asked",
            AtMost(1.0),
            turn.map(|turn| turn.stages.median),
        ),
        goal("Redis commands a turn", AtMost(5.0), turn.map(|turn| turn.redis_commands)),
        goal("ms added to the first word, 1 at once, instant backends", AtMost(2.0), added(RELAYED)),
        goal(
            "LiteLLM adds so many times as much, instant backends",
            AtLeast(6.0),
            over(added(LITELLM), added(RELAYED)),
        ),
        goal(
            "Portkey adds so many times as much, instant backends",
            AtLeast(10.0),
            over(added(PORTKEY), added(RELAYED)),
        ),
        goal(
            "the FastAPI reference adds so many times as much, same backends",
            AtLeast(3.0),
            over(added(REFERENCE), added(WORKERS)),
        ),
        goal(
            "added beside a pass-through on workerd, instant backends",
            AtMost(2.5),
            over(added(RELAYED), added(PASSTHROUGH)),
        ),
        goal(
            "the same beside a worker that sends the same requests and does no more (no goal was set)",
            AtMost(f64::INFINITY),
            over(added(RELAYED), added(BARE)),
        ),
        goal("processor ms of the worker a turn", AtMost(2.0), own(WORKERS)),
        goal(
            "the same beside that worker, instant backends (no goal was set)",
            AtMost(f64::INFINITY),
            over(own(RELAYED), own(BARE)),
        ),
        goal("processor µs of the worker a streamed chunk", AtMost(30.0), chunk),
        goal(
            "a streamed chunk beside that of a worker that only reads it (no goal was set)",
            AtMost(f64::INFINITY),
            over(chunk, median(&|turns| turns.chunk_us(READER))),
        ),
        goal(
            "LiteLLM's processor time a turn beside the worker's",
            AtLeast(15.0),
            over(own(LITELLM), own(WORKERS)),
        ),
        goal(
            "turns a second a core beside the FastAPI reference",
            AtLeast(4.0),
            over(a_core(WORKERS), a_core(REFERENCE)),
        ),
        goal("turns a second a core beside LiteLLM", AtLeast(8.0), with_gateway),
        goal(
            "KiB of the worker, gzip",
            AtMost(250.0),
            seen.startup.as_ref().and_then(|startup| startup.gzip_kb),
        ),
        goal(
            "a fresh workerd's first answer beside the smallest worker's",
            AtMost(1.5),
            seen.startup.as_ref().map(super::startup::Startup::ratio),
        ),
        goal(
            "row-level security on beside off, a turn's batch",
            AtMost(1.2),
            seen.scale.as_ref().map(|scale| scale.security),
        ),
        goal(
            &format!("p99 of a turn's batch among {companies} companies beside few"),
            AtMost(1.2),
            flat.map(|(_, ratio)| ratio),
        ),
        goal(
            "% by which a noisy company moves another's p99",
            AtMost(10.0),
            seen.neighbour.as_ref().and_then(|neighbour| neighbour.worst_change_percent),
        ),
        goal(
            "US cents a company a month, 1,000 companies of 1,000 turns",
            AtMost(4.5),
            cost.map(|usd| usd * 100.0),
        ),
    ];
    Table { name: "goals", title: "goal".to_owned(), columns: &["wanted", "here", "met"], rows: rows.into() }
}

use Wanted::{AtLeast, AtMost};

enum Wanted {
    AtMost(f64),
    AtLeast(f64),
}

fn goal(what: &str, wanted: Wanted, here: Option<f64>) -> Row {
    let (shown, met) = match wanted {
        AtMost(f64::INFINITY) => ("–".to_owned(), None),
        AtMost(limit) => (format!("≤ {limit}"), here.map(|here| here <= limit)),
        AtLeast(limit) => (format!("≥ {limit}"), here.map(|here| here >= limit)),
    };
    let verdict = met.map_or(Figure::None, |met| Figure::Text(if met { "yes" } else { "no" }.to_owned()));
    let figures = vec![Figure::Text(shown), here.map_or(Figure::None, Figure::One), verdict];
    Row { what: what.to_owned(), figures }
}
