//! What a measurement brings: times with their percentiles, figures with their spread, and tables of them, for people and
//! as JSON. It measures nothing.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

/// Results of one measurement.
pub struct Table {
    /// Of its file: `target/bench/<name>.json`.
    pub name: &'static str,
    /// In words.
    pub title: String,
    /// What the figures are, with their units: keys of the JSON, and heads of the table with blanks for underlines.
    pub columns: &'static [&'static str],
    /// One way of doing the thing each.
    pub rows: Vec<Row>,
}

/// One way of doing a thing.
#[derive(Clone)]
pub struct Row {
    /// Which, in words.
    pub what: String,
    /// As many as there are columns.
    pub figures: Vec<Figure>,
}

/// One cell.
#[derive(Clone)]
pub enum Figure {
    /// Not measured here, or makes no sense.
    None,
    /// A number of things.
    Count(usize),
    /// Measured once, or over everything.
    One(f64),
    /// In words.
    Text(String),
    /// Measured again and again.
    Spread(Spread),
}

/// What came of repeating a measurement.
#[derive(Clone, Copy)]
pub struct Spread {
    /// Half of the repetitions brought less.
    pub median: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of these; `None` when there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_unstable_by(f64::total_cmp);
        let median =
            f64::midpoint(*figures.get((figures.len().max(1) - 1) / 2)?, *figures.get(figures.len() / 2)?);
        Some(Self { median, least: *figures.first()?, most: *figures.last()? })
    }
}

impl From<Option<Spread>> for Figure {
    fn from(spread: Option<Spread>) -> Self {
        spread.map_or(Self::None, Self::Spread)
    }
}

impl Figure {
    fn text(&self) -> String {
        // Three digits say all that such measurements know.
        let short = |number: f64| match number.abs() {
            size if size < 9.995 => format!("{number:.2}"),
            size if size < 99.95 => format!("{number:.1}"),
            _ => format!("{number:.0}"),
        };
        match self {
            Self::None => "–".to_owned(),
            Self::Count(count) => count.to_string(),
            Self::One(number) => short(*number),
            Self::Text(text) => text.clone(),
            Self::Spread(Spread { median, least, most }) => {
                format!("{} ({}–{})", short(*median), short(*least), short(*most))
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Count(count) => json!(count),
            Self::One(number) => json!(number),
            Self::Text(text) => json!(text),
            Self::Spread(Spread { median, least, most }) => {
                json!({ "median": median, "least": least, "most": most })
            }
        }
    }
}

impl Table {
    /// What a row has in this column, as one number: a spread's median.
    pub fn number(&self, row: usize, column: &str) -> Option<f64> {
        let at = self.columns.iter().position(|name| *name == column)?;
        match self.rows.get(row)?.figures.get(at)? {
            Figure::One(number) => Some(*number),
            Figure::Spread(spread) => Some(spread.median),
            Figure::None | Figure::Count(_) | Figure::Text(_) => None,
        }
    }

    fn lines(&self) -> Vec<Vec<String>> {
        let head =
            std::iter::once(self.title.clone()).chain(self.columns.iter().map(|name| name.replace('_', " ")));
        let rows = self.rows.iter().map(|row| {
            std::iter::once(row.what.clone()).chain(row.figures.iter().map(Figure::text)).collect::<Vec<_>>()
        });
        std::iter::once(head.collect()).chain(rows).collect()
    }

    /// As Markdown has tables.
    pub fn markdown(&self) -> String {
        let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut lines = self.lines().into_iter();
        let head = lines.next().unwrap_or_default();
        let rule = format!("|{}\n", "---|".repeat(head.len()));
        line(&head) + &rule + &lines.map(|cells| line(&cells)).collect::<String>()
    }

    /// As text, columns below each other.
    pub fn text(&self) -> String {
        let lines = self.lines();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..=self.columns.len()).map(width).collect();
        let line = |cells: &Vec<String>| {
            let cells = cells.iter().zip(&widths).enumerate().map(|(at, (cell, &width))| match at {
                0 => format!("{cell:width$}"),
                _ => format!("  {cell:>width$}"),
            });
            cells.collect::<String>()
        };
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Writes it to `target/bench`, with how busy the machine was before and after.
    pub fn save(&self, load: [Option<f64>; 2]) -> anyhow::Result<()> {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let figures = self.columns.iter().zip(&row.figures);
                let figures = figures.map(|(name, figure)| ((*name).to_owned(), figure.json()));
                std::iter::once(("what".to_owned(), json!(row.what))).chain(figures).collect::<Value>()
            })
            .collect();
        let [before, after] = load;
        let all = json!({ "title": self.title, "load_before": before, "load_after": after, "rows": rows });
        std::fs::create_dir_all("target/bench").context("target/bench cannot be made")?;
        std::fs::write(format!("target/bench/{}.json", self.name), serde_json::to_string_pretty(&all)?)?;
        Ok(())
    }
}

/// How long each run of the same thing took.
#[derive(Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// In any order.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time, milliseconds, that so many of a hundred runs did not exceed (nearest rank).
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    }

    /// All of these together.
    pub fn together<'times>(all: impl IntoIterator<Item = &'times Self>) -> Self {
        Self::new(all.into_iter().flat_map(|times| times.0.iter().copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let times = Times::new((1..=200).rev().map(Duration::from_millis).collect());
        for (percent, expected) in [(0, 1.0), (50, 100.0), (99, 198.0), (100, 200.0)] {
            assert_eq!(times.percentile(percent), expected);
        }
        assert_eq!(Times::default().percentile(99), 0.0);
    }

    #[test]
    fn spreads() {
        let spread = Spread::of([3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.5, 10.0));
        assert!(Spread::of([]).is_none());
    }

    #[test]
    fn a_table_for_people() {
        let spread = Spread::of([1.0, 2.345, 100.4]);
        let row = |what: &str, figures| Row { what: what.to_owned(), figures };
        let table = Table {
            name: "x",
            title: "way".to_owned(),
            columns: &["runs", "p50_ms"],
            rows: vec![
                row("a", vec![Figure::Count(3), spread.into()]),
                row("bcdef", vec![Figure::None, Figure::One(12.34)]),
            ],
        };
        assert_eq!(
            table.text(),
            "way    runs           p50 ms\na         3  2.35 (1.00–100)\nbcdef     –             12.3"
        );
        assert_eq!(
            table.markdown(),
            "| way | runs | p50 ms |\n|---|---|---|\n| a | 3 | 2.35 (1.00–100) |\n| bcdef | – | 12.3 |\n"
        );
        assert_eq!(table.number(0, "p50_ms"), Some(2.345));
        assert_eq!(table.number(0, "runs"), None);
    }
}
