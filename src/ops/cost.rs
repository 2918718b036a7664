//! `bulkhead cost`: what hosting costs a month, from published prices (`cost/prices.toml`, each with its source) and from what the
//! bench measured of a turn and a company (`cost/measured.toml`), line by line. It knows nothing of what models cost: each company
//! pays its own provider.

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::bench::plot;
use bill::Bill;

mod bill;

/// Options of `bulkhead cost`: what if.
#[derive(clap::Args, Clone)]
pub struct Args {
    /// How many companies; may be repeated.
    #[arg(long, default_values_t = [100, 1_000, 5_000, 100_000])]
    companies: Vec<u32>,
    /// Whose bill is shown line by line.
    #[arg(long, default_value_t = 1_000)]
    bill: u32,
    #[command(flatten)]
    assumed: Assumed,
    /// Figures of another measurement, as `./scripts/bench` writes them to target/bench/measured.toml.
    #[arg(long)]
    measured: Option<PathBuf>,
    /// Other prices, in a file like src/ops/cost/prices.toml.
    #[arg(long)]
    prices: Option<PathBuf>,
    /// Write a plot of all sizes here, as SVG.
    #[arg(long)]
    plot: Option<PathBuf>,
}

/// What nobody measured: how companies use it, and how the parts are bought.
#[derive(clap::Args, Clone)]
pub struct Assumed {
    /// Chat turns of a company a month.
    #[arg(long, default_value_t = 1_000.0)]
    pub turns: f64,
    /// Other requests to the worker for each turn: the chat's files and token, the site, the dashboard.
    #[arg(long, default_value_t = 3.0)]
    pub other_requests: f64,
    /// Processor milliseconds of such a request.
    #[arg(long, default_value_t = 1.0)]
    pub other_request_ms: f64,
    /// Full rounds from company to company a month; as `wrangler.toml` says, one an hour. That of each minute is counted by itself.
    #[arg(long, default_value_t = 730.0)]
    pub rounds: f64,
    /// Months for which conversations are kept.
    #[arg(long, default_value_t = 12.0)]
    pub months_kept: f64,
    /// How many times the average load Postgres is bought for.
    #[arg(long, default_value_t = 4.0)]
    pub headroom: f64,
    /// Days of conversations that Postgres should have in memory, besides all that companies set up.
    #[arg(long, default_value_t = 7.0)]
    pub hot_days: f64,
    /// Days back to which the database can be restored.
    #[arg(long, default_value_t = 1.0)]
    pub restore_days: f64,
    /// Neon's plan.
    #[arg(long, value_enum, default_value_t = Neon::Launch)]
    pub plan: Neon,
    /// Upstash's plan.
    #[arg(long, value_enum, default_value_t = Upstash::Cheapest)]
    pub redis: Upstash,
}

/// A plan of Neon's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Neon {
    /// No uptime agreement.
    Launch,
    /// With one.
    Scale,
}

/// A plan of Upstash's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Upstash {
    /// Whichever of the two costs less.
    Cheapest,
    /// By commands.
    PayAsYouGo,
    /// By size.
    Fixed,
}

/// What the bench measured; a turn's unless it says otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The day.
    pub date: String,
    /// The machine.
    pub machine: String,
    /// `full`, or `quick`, which is not to be relied on.
    pub run: String,
    /// Processor milliseconds of workerd, its own network code included.
    pub worker_cpu_ms: f64,
    /// Processor milliseconds of Postgres.
    pub postgres_cpu_ms: f64,
    /// Bytes that Postgres answers.
    pub sql_answer_bytes: f64,
    /// Redis commands, those in scripts too.
    pub redis_commands: f64,
    /// Bytes to and from Redis.
    pub redis_moved_bytes: f64,
    /// Bytes by which Redis grows, for a day.
    pub redis_bytes: f64,
    /// Bytes by which Postgres grows.
    pub postgres_bytes: f64,
    /// Bytes of write-ahead log.
    pub wal_bytes: f64,
    /// Bytes in Postgres of a company that was just made.
    pub company_bytes: f64,
}

/// Published prices, US dollars.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    workers: WorkersPrices,
    neon: NeonPrices,
    upstash: UpstashPrices,
    replaced: Replaced,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkersPrices {
    source: String,
    read: String,
    as_of: String,
    month_usd: f64,
    included_requests: f64,
    million_requests_usd: f64,
    included_cpu_ms: f64,
    million_cpu_ms_usd: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NeonPrices {
    source: String,
    read: String,
    as_of: String,
    launch_cu_hour_usd: f64,
    scale_cu_hour_usd: f64,
    storage_gb_month_usd: f64,
    history_gb_month_usd: f64,
    included_transfer_gb: f64,
    transfer_gb_usd: f64,
    smallest_cu: f64,
    cu_memory_gb: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpstashPrices {
    source: String,
    read: String,
    as_of: String,
    hundred_thousand_commands_usd: f64,
    included_gb: f64,
    gb_month_usd: f64,
    included_transfer_gb: f64,
    transfer_gb_usd: f64,
    commands_a_second: f64,
    fixed: Vec<Fixed>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixed {
    month_usd: f64,
    gb: f64,
    transfer_gb: f64,
}

/// What the architecture costs that Bulkhead replaces, a company a month.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replaced {
    source: String,
    read: String,
    as_of: String,
    /// By companies, with all parts shared.
    shared_usd: Vec<(u32, f64)>,
    /// With parts of each company's own.
    own_usd: f64,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    use std::io::Write as _;
    let measured = match &args.measured {
        Some(path) => Measured::read(&std::fs::read_to_string(path)?).context("the measured figures")?,
        None => Measured::kept()?,
    };
    let prices = match &args.prices {
        Some(path) => toml::from_str(&std::fs::read_to_string(path)?).context("the prices")?,
        None => Prices::published()?,
    };
    let text = report(args, &measured, &prices);
    if let Some(path) = &args.plot {
        std::fs::write(path, drawn(args, &measured, &prices))?;
    }
    // A closed output is no reason to fail.
    let _ = write!(std::io::stdout(), "{text}");
    Ok(())
}

/// A company's share of a month, US dollars, by the kept prices and the usual assumptions.
///
/// # Errors
/// When the kept prices cannot be read.
pub fn company_usd(measured: &Measured, companies: u32, turns: u32) -> anyhow::Result<f64> {
    let assumed = Assumed { turns: f64::from(turns), ..Assumed::usual() };
    Ok(Bill::new(measured, &Prices::published()?, &assumed, companies).company_usd())
}

impl Measured {
    /// Those that are kept with the source.
    fn kept() -> anyhow::Result<Self> {
        Self::read(include_str!("cost/measured.toml")).context("src/ops/cost/measured.toml")
    }

    fn read(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }

    /// As a file has them.
    pub fn text(&self) -> anyhow::Result<String> {
        Ok(format!(
            "# What the bench measured of one turn and one company: copied from target/bench/measured.toml.\n{}",
            toml::to_string(self)?
        ))
    }
}

impl Prices {
    fn published() -> anyhow::Result<Self> {
        toml::from_str(include_str!("cost/prices.toml")).context("src/ops/cost/prices.toml")
    }
}

impl Assumed {
    /// As the options have it.
    fn usual() -> Self {
        Self {
            turns: 1_000.0,
            other_requests: 3.0,
            other_request_ms: 1.0,
            rounds: 730.0,
            months_kept: 12.0,
            headroom: 4.0,
            hot_days: 7.0,
            restore_days: 1.0,
            plan: Neon::Launch,
            redis: Upstash::Cheapest,
        }
    }
}

fn report(args: &Args, measured: &Measured, prices: &Prices) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut line = |line: &str| _ = writeln!(text, "{line}");
    line(&format!(
        "US dollars a company a month, {} turns each; without what models cost, which each company pays itself\n",
        args.assumed.turns
    ));
    line(&format!(
        "{:>10}  {:>10}  {:>16}  {:>20}",
        "companies", "Bulkhead", "replaced, shared", "replaced, each its own"
    ));
    for &companies in &args.companies {
        let ours = Bill::new(measured, prices, &args.assumed, companies).company_usd();
        let shared = prices.replaced.shared_usd.iter().find(|(count, _)| *count == companies);
        let shared = shared.map_or("–".to_owned(), |(_, usd)| format!("{usd:.2}"));
        line(&format!("{companies:>10}  {ours:>10.4}  {shared:>16}  {:>20.2}", prices.replaced.own_usd));
    }
    let bill = Bill::new(measured, prices, &args.assumed, args.bill);
    line(&format!("\n{} companies, line by line, a month:\n", args.bill));
    for one in &bill.lines {
        line(&format!("{:>12.2}  {}\n              {}", one.usd, one.what, one.how));
    }
    line(&format!("{:>12.2}  together; {:.4} a company", bill.usd(), bill.company_usd()));
    for warning in &bill.warnings {
        line(&format!("\n{warning}"));
    }
    line(&format!(
        "\nmeasured {} ({} run) on {}; what is not measured is an option of this command (--help)\n\
         not in it: domains, e-mail, keeping logs, a person's time, taxes\nprices, to be confirmed by whoever relies on them:",
        measured.date, measured.run, measured.machine
    ));
    for (source, read, as_of) in [
        (&prices.workers.source, &prices.workers.read, &prices.workers.as_of),
        (&prices.neon.source, &prices.neon.read, &prices.neon.as_of),
        (&prices.upstash.source, &prices.upstash.read, &prices.upstash.as_of),
        (&prices.replaced.source, &prices.replaced.read, &prices.replaced.as_of),
    ] {
        line(&format!("  {source}, read {read} ({as_of})"));
    }
    text
}

fn drawn(args: &Args, measured: &Measured, prices: &Prices) -> String {
    let mut bars = Vec::new();
    for &companies in &args.companies {
        let ours = Bill::new(measured, prices, &args.assumed, companies).company_usd();
        bars.push((format!("Bulkhead, {companies} companies"), ours));
        if let Some((_, usd)) = prices.replaced.shared_usd.iter().find(|(count, _)| *count == companies) {
            bars.push((format!("what it replaces, shared, {companies} companies"), *usd));
        }
    }
    plot::bars("Hosting a company for a month", "US dollars", &bars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_files_can_be_read_and_the_report_has_every_size() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let Line { args } = clap::Parser::parse_from(["cost"]);
        let (measured, prices) = (Measured::kept().unwrap(), Prices::published().unwrap());
        let text = report(&args, &measured, &prices);
        for wanted in ["100000", "0.44", "0.43", "0.38", "15.00", "https://neon.com/", "together"] {
            assert!(text.contains(wanted), "{wanted}:\n{text}");
        }
        assert!(drawn(&args, &measured, &prices).contains("Bulkhead, 5000 companies"));
        // The options' defaults and what the bench assumes are one and the same.
        let usual = Bill::new(&measured, &prices, &Assumed::usual(), 1_000).usd();
        assert_eq!(usual, Bill::new(&measured, &prices, &args.assumed, 1_000).usd());
        assert_eq!(toml::from_str::<Measured>(&measured.text().unwrap()).unwrap().date, measured.date);
    }
}
