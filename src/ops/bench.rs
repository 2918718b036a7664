//! `bulkhead bench`: measures, beside a running stand, and writes what it saw as tables and as JSON to `target/bench`.
//! It asserts nothing: what is fast on one machine is slow on the next.

mod contender;
mod edge;
mod figures;
mod neighbour;
mod peers;
mod provider;
mod provision;
mod relay;
mod router;
mod turns;
mod usage;

use std::io::Write as _;

use figures::Table;

/// Options of `bulkhead bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Fewer repetitions and companies: minutes become seconds, and spreads wider.
    #[arg(long)]
    quick: bool,
    /// Measure this and nothing else; may be repeated.
    #[arg(long, value_enum)]
    only: Vec<Measure>,
    /// Measure LiteLLM, Portkey and the same turn in Python too, as far as `scripts/peers` could install them.
    #[arg(long)]
    peers: bool,
    /// The gateway, as `bulkhead dev -- command` gives it.
    #[arg(long, env = "GATEWAY_URL")]
    gateway_url: String,
    /// The token of the gateway's Redis side.
    #[arg(long, env = "GATEWAY_REDIS_TOKEN", hide_env_values = true)]
    redis_token: String,
    /// The worker role's URL.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// The schema owner's URL, to fill the database in bulk.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    owner_url: String,
    /// Redis itself, for those who do not go through the gateway.
    #[arg(long, env = "REDIS_NATIVE_URL", hide_env_values = true)]
    redis_url: String,
    /// The stand's processes: a JSON object of names and ids.
    #[arg(long, env = "STAND_PIDS", default_value = "{}")]
    stand_pids: String,
}

impl Args {
    /// What a part of the stand has used; `None` where nobody tells.
    fn part(&self, name: &str) -> Option<usage::Usage> {
        let pids: serde_json::Value = serde_json::from_str(&self.stand_pids).ok()?;
        usage::of(pids.get(name)?.as_u64()?)
    }
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Measure {
    /// The router's decision.
    Router,
    /// Chat turns of everybody beside each other.
    Turns,
    /// What a company notices of another at its limits.
    Neighbour,
    /// How long a company takes to make. The last one, since it fills the database.
    Provision,
}

/// What is asked wherever a question is needed.
const QUESTION: &str = "How much does it cost to replace a water heater?";

/// Runs every measurement, one after the other.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let wanted = |measure| args.only.is_empty() || args.only.contains(&measure);
    if wanted(Measure::Router) {
        let before = load();
        show(&[router::run(&args)?], before)?;
    }
    if wanted(Measure::Turns) || wanted(Measure::Neighbour) {
        let provider = provider::Provider::start(turns::USUAL).await?;
        let edges = edge::Edges::start(&args, &provider.url).await?;
        if wanted(Measure::Turns) {
            let before = load();
            show(&turns::run(&args, &provider, &edges).await?.tables(), before)?;
        }
        if wanted(Measure::Neighbour) {
            let before = load();
            show(&[neighbour::run(&args, &edges).await?], before)?;
        }
        edges.stop().await;
    }
    if wanted(Measure::Provision) {
        let before = load();
        show(&[provision::run(&args).await?], before)?;
    }
    Ok(())
}

/// Prints the tables and keeps them as JSON, with the machine's load before; that after is asked here.
fn show(tables: &[Table], before: Option<f64>) -> anyhow::Result<()> {
    let after = load();
    let shown = |load: Option<f64>| load.map_or("unknown".to_owned(), |load| format!("{load:.1}"));
    for table in tables {
        table.save([before, after])?;
        let (name, before, after) = (table.name, shown(before), shown(after));
        say(&format!("\n{}", table.text()));
        say(&format!("load {before} before, {after} after; also in target/bench/{name}.json"));
    }
    Ok(())
}

/// How many programs wanted a processor over the last minute, where `/proc` tells.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Results are what this command is for; a closed output is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Where it is, for whoever waits.
fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
