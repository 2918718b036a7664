//! What becomes of the results: shown as they come, kept as JSON, and at the end one page of Markdown, plots, the goals, and the
//! figures that the cost model takes. It measures nothing.

use super::figures::{Figure, Table};
use super::neighbour::Neighbour;
use super::scale::Scale;
use super::startup::Startup;
use super::trips::Turn;
use super::turns::Turns;
use super::{Args, edge, goals, machine, plot, say};
use crate::cost::Measured;

/// Results so far.
pub struct Report {
    markdown: String,
    load: Option<f64>,
    /// What the goals are held against.
    pub seen: Seen,
}

/// What was measured; nothing of what was not asked for.
#[derive(Default)]
pub struct Seen {
    /// Chat turns beside each other.
    pub turns: Option<Turns>,
    /// One turn.
    pub turn: Option<Turn>,
    /// A fresh workerd.
    pub startup: Option<Startup>,
    /// A noisy neighbour.
    pub neighbour: Option<Neighbour>,
    /// Many companies.
    pub scale: Option<Scale>,
}

impl Report {
    /// An empty one.
    pub fn new() -> Self {
        let machine = machine::describe();
        say(&machine);
        Self { markdown: format!("{machine}\n\n"), load: machine::load(), seen: Seen::default() }
    }

    /// Shows tables and keeps them, with the machine's load since the last ones.
    pub fn add(&mut self, tables: impl IntoIterator<Item = Table>) -> anyhow::Result<()> {
        let after = machine::load();
        let shown = |load: Option<f64>| load.map_or("unknown".to_owned(), |load| format!("{load:.1}"));
        let note = format!("load {} before, {} after", shown(self.load), shown(after));
        for table in tables {
            table.save([self.load, after])?;
            for &(_, column, only, unit, what) in PLOTTED.iter().filter(|(name, ..)| *name == table.name) {
                let bars = table.rows.iter().enumerate().filter_map(|(at, row)| {
                    let name = row.what.strip_suffix(only)?.trim_end_matches(", ");
                    Some((name.to_owned(), table.number(at, column)?))
                });
                let plot = plot::bars(what, unit, &bars.collect::<Vec<_>>());
                let file = format!("{}-{column}-{only}", table.name).replace(' ', "-");
                std::fs::write(format!("target/bench/{}.svg", file.trim_end_matches('-')), plot)?;
            }
            say(&format!("\n{}\n{note}; also in target/bench/{}.json", table.text(), table.name));
            self.markdown += &format!("{}\n{note}\n\n", table.markdown());
        }
        self.load = after;
        Ok(())
    }

    /// Holds what was seen against the goals and writes the page.
    pub fn finish(mut self, args: &Args) -> anyhow::Result<()> {
        if let Some(measured) = self.seen.measured(args) {
            std::fs::write("target/bench/measured.toml", measured.text()?)?;
        }
        let goals = goals::table(&self.seen, args);
        if goals.rows.iter().any(|row| row.figures.iter().any(|figure| !matches!(figure, Figure::None))) {
            self.add([goals])?;
        }
        std::fs::write("target/bench/RESULTS.md", &self.markdown)?;
        say("\nall of it: target/bench/RESULTS.md");
        Ok(())
    }
}

impl Seen {
    /// What the cost model multiplies, if all of it was measured.
    pub fn measured(&self, args: &Args) -> Option<Measured> {
        let (turns, turn, scale) = (self.turns.as_ref()?, self.turn.as_ref()?, self.scale.as_ref()?);
        Some(Measured {
            date: today(),
            machine: machine::describe(),
            run: if args.quick { "quick" } else { "full" }.to_owned(),
            worker_cpu_ms: turns.own_ms(edge::WORKERS)?.median,
            postgres_cpu_ms: turn.postgres_ms?,
            sql_answer_bytes: turn.sql_answer_bytes,
            redis_commands: turn.redis_commands,
            redis_moved_bytes: turn.redis_moved_bytes,
            redis_bytes: turn.redis_bytes,
            postgres_bytes: turn.postgres_bytes,
            wal_bytes: turn.wal_bytes,
            company_bytes: scale.company_bytes?,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]
fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    bulkhead::limiter::day(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), 0)
}

/// Tables of which a column is plotted: the column, how the names of its rows end, its unit, what it shows. Those who answer many at
/// once have a plot of their own: they would make one answer at a time invisible.
const PLOTTED: [(&str, &str, &str, &str, &str); 10] = [
    ("turns", "added_p50_ms", "1 at once", "ms", "Added to the first word, 1 at once, median"),
    ("turns", "added_p50_ms", "16 at once", "ms", "Added to the first word, 16 at once, median"),
    ("turns", "added_p50_ms", "64 at once", "ms", "Added to the first word, 64 at once, median"),
    ("turns", "added_p99_ms", "1 at once", "ms", "Added to the first word, 1 at once, p99"),
    ("turns", "added_p99_ms", "16 at once", "ms", "Added to the first word, 16 at once, p99"),
    ("turns", "added_p99_ms", "64 at once", "ms", "Added to the first word, 64 at once, p99"),
    ("load", "turns_a_second_a_core", "", "turns/s", "Turns a second of one processor"),
    ("load", "cpu_ms_a_turn", "", "ms", "Processor time a turn, of the process itself"),
    ("load", "cpu_us_a_chunk", "", "µs", "Processor time of one more streamed chunk"),
    ("scale", "batch_p99_ms", "", "ms", "A turn's batch by the number of companies, p99"),
];
