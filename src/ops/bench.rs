//! `bulkhead bench`: measures a running stand, and writes what it saw as a table and as JSON to `target/bench`.
//! It asserts nothing: what is fast on one machine is slow on the next.

mod provision;

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;

/// Options of `bulkhead bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Fewer repetitions and companies: minutes become seconds, and spreads wider.
    #[arg(long)]
    quick: bool,
    /// The gateway, as `bulkhead dev -- command` gives it.
    #[arg(long, env = "GATEWAY_URL")]
    gateway_url: String,
    /// The worker role's URL.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The schema owner's URL, to fill the database in bulk.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    owner_url: String,
}

/// Runs every measurement, one after the other.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let lines = provision::run(&args).await?;
    let width = lines.iter().map(|line| line.what.len()).max().unwrap_or_default();
    say(&format!(
        "\n{:width$}  {:>5}  {:>9}  {:>9}  {:>9}",
        "provisioning a company", "runs", "p50 ms", "p99 ms", "max ms"
    ));
    for line in &lines {
        say(&format!(
            "{:width$}  {:>5}  {:>9.1}  {:>9.1}  {:>9.1}",
            line.what,
            line.times.len(),
            line.percentile(50),
            line.percentile(99),
            line.percentile(100)
        ));
    }
    std::fs::create_dir_all("target/bench").context("target/bench cannot be made")?;
    let json: Vec<_> = lines
        .iter()
        .map(|line| {
            serde_json::json!({
                "what": line.what, "runs": line.times.len(),
                "p50_ms": line.percentile(50), "p99_ms": line.percentile(99), "max_ms": line.percentile(100),
            })
        })
        .collect();
    std::fs::write("target/bench/provision.json", serde_json::to_string_pretty(&json)?)?;
    say("\nalso in target/bench/provision.json");
    Ok(())
}

/// One way of doing a thing, and how long each run took.
pub struct Line {
    what: String,
    times: Vec<Duration>,
}

impl Line {
    /// A line of the table; the times need no order.
    pub fn new(what: impl Into<String>, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let line = Self { what: what.into(), times };
        say(&format!("{}: {:.1} ms", line.what, line.percentile(50)));
        line
    }

    /// The time, milliseconds, that so many of a hundred runs did not exceed (nearest rank).
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.times.len() * percent).div_ceil(100).max(1);
        self.times.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    }
}

/// Progress and results are what this command is for; a closed output is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
