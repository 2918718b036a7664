//! `bulkhead bench`: measures, beside a running stand, and writes what it saw as tables, plots and JSON to `target/bench`.
//! It asserts nothing: what is fast on one machine is slow on the next.

mod contender;
mod edge;
mod figures;
mod goals;
pub mod machine;
mod neighbour;
mod peers;
pub mod plot;
pub mod provider;
mod provision;
mod relay;
mod report;
mod router;
mod scale;
mod startup;
mod trips;
pub mod turns;
pub mod usage;

use std::io::Write as _;

use report::Report;

/// Options of `bulkhead bench`.
#[derive(clap::Args)]
pub struct Args {
    /// Fewer repetitions and companies: minutes become seconds, and spreads wider.
    #[arg(long)]
    quick: bool,
    /// Measure this and nothing else; may be repeated.
    #[arg(long, value_enum)]
    only: Vec<Measure>,
    /// Go on to 50,000 companies, which takes a quarter of an hour more and some 20 GB.
    #[arg(long, conflicts_with = "quick")]
    long: bool,
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
    /// What one turn takes of everything around the worker.
    Trips,
    /// How long a fresh workerd takes, and how large the worker is.
    Startup,
    /// What a company notices of another at its limits.
    Neighbour,
    /// How long a company takes to make.
    Provision,
    /// Turns and batches by the number of companies, with and without row-level security. Fills the database.
    Scale,
}

/// What is asked wherever a question is needed.
const QUESTION: &str = "How much does it cost to replace a water heater?";

/// Runs every measurement, one after the other: those that fill the database last.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let wanted = |measure| args.only.is_empty() || args.only.contains(&measure);
    let mut report = Report::new();
    if wanted(Measure::Router) {
        report.add([router::run(&args)?])?;
    }
    let by_edges = [Measure::Turns, Measure::Trips, Measure::Startup, Measure::Neighbour, Measure::Scale];
    if by_edges.into_iter().any(wanted) {
        let provider = provider::Provider::start(turns::USUAL).await?;
        let edges = edge::Edges::start(&args, &provider.url).await?;
        let done = by_edges_measured(&args, &provider, &edges, wanted, &mut report).await;
        edges.stop().await;
        done?;
    } else if wanted(Measure::Provision) {
        report.add([provision::alone(&args).await?.among_many().await?])?;
    }
    report.finish(&args)
}

async fn by_edges_measured(
    args: &Args,
    provider: &provider::Provider,
    edges: &edge::Edges,
    wanted: impl Fn(Measure) -> bool,
    report: &mut Report,
) -> anyhow::Result<()> {
    if wanted(Measure::Turns) {
        let turns = turns::run(args, provider, edges).await?;
        report.add(turns.tables())?;
        report.seen.turns = Some(turns);
    }
    if wanted(Measure::Trips) {
        let turn = trips::run(args, provider, edges).await?;
        report.add([turn.table()])?;
        report.seen.turn = Some(turn);
    }
    if wanted(Measure::Startup) {
        let startup = startup::run(args, edges).await?;
        report.add([startup.table()])?;
        report.seen.startup = Some(startup);
    }
    if wanted(Measure::Neighbour) {
        let neighbour = neighbour::run(args, edges).await?;
        report.add([neighbour.table()])?;
        report.seen.neighbour = Some(neighbour);
    }
    // As few companies as there ever are; the rest waits until a company was made alone.
    let growing = if wanted(Measure::Scale) { Some(scale::few(args, provider, edges).await?) } else { None };
    let provision = if wanted(Measure::Provision) { Some(provision::alone(args).await?) } else { None };
    if let Some(growing) = growing {
        let scale = growing.grow().await?;
        report.add([scale.table()])?;
        report.seen.scale = Some(scale);
    }
    if let Some(provision) = provision {
        report.add([provision.among_many().await?])?;
    }
    Ok(())
}

/// Results are what this command is for; a closed output is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Where it is, for whoever waits.
fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
