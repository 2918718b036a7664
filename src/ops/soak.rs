//! `bulkhead soak`: a stand of its own, on which companies come and go, visitors chat and hang up, the provider fails and the parts
//! are killed; at the end it looks for what is left over, and says whether all held.
//!
//! It never measures speed (`bulkhead bench` does), and never touches a stand that it did not start.

mod client;
mod companies;
mod ground;
mod memory;
mod outages;
mod verdict;

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::{try_join_all, try_join4};

use crate::bench::machine;
use crate::bench::provider::{Mishap, Pace, Provider};
use client::Client;
use companies::{Company, churn, visit};
use ground::Ground;
use memory::Memory;
use outages::Outages;
use verdict::Verdict;

/// Options of `bulkhead soak`.
#[derive(clap::Args)]
pub struct Args {
    /// Minutes that companies and visitors are at it; then what is left over is looked for, which takes up to four more.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_440))]
    minutes: u64,
    /// One minute only, in which memory cannot be judged.
    #[arg(long, conflicts_with = "minutes")]
    quick: bool,
    /// Kill no part: then the ledger and Redis must agree to the micro-dollar.
    #[arg(long)]
    calm: bool,
    /// Where the stand and what was seen are kept; emptied first.
    #[arg(long, default_value = "target/soak")]
    data_dir: PathBuf,
}

/// Companies that are there all the time.
const STANDING: usize = 4;
/// Visitors of each who chat at the same time.
const VISITORS: usize = 3;
/// Companies that come and go at the same time.
const PASSING: usize = 2;

/// An answer: a first word after 20 ms, then one each 5.
const PACE: Pace = Pace { first: Duration::from_millis(20), each: Duration::from_millis(5), words: 20 };
/// The provider's mishaps. None of the numbers divides another.
const MISHAPS: &[(usize, Mishap)] = &[(67, Mishap::Stalls), (13, Mishap::Cuts), (7, Mishap::Refuses)];

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    say(&machine::describe());
    let time = Duration::from_secs(if args.quick { 60 } else { args.minutes * 60 });
    let provider = Provider::start(PACE).await?;
    let mut ground = Ground::start(&args.data_dir, &provider.url).await?;
    let soaked = soaked(&args, time, &provider, &mut ground).await;
    ground.stop().await;
    let verdict = soaked?;
    say(&verdict.text());
    ensure!(verdict.held(), "something did not hold; the stand's logs are in {}", ground.logs().display());
    ground.remove_data()
}

async fn soaked(
    args: &Args,
    time: Duration,
    provider: &Provider,
    ground: &mut Ground,
) -> anyhow::Result<Verdict> {
    let outages = Rc::new(Outages::default());
    let client = Client::new(ground, Rc::clone(&outages))?;
    let mut standing = Vec::new();
    for _ in 0..STANDING {
        standing.push(Company::made(&client).await?);
    }
    provider.misbehave(MISHAPS);
    let (half, until) = (now() + time / 2, now() + time);
    let (settings, receipts) = (ground.environment(), ground.logs().to_owned());
    let memory = Memory::new(ground.worker_pid()?, ground.gateway_pid());
    let sampled = memory.sample(until, |sample| {
        client.with(|seen| {
            seen.calls += provider.asked().len();
            if sample.at_s.rem_euclid(30.0) < 1.0 {
                say(&format!(
                    "{:5.0} s  {:.0} and {:.0} MB  {}",
                    sample.at_s,
                    sample.mb[0],
                    sample.mb[1],
                    seen.text()
                ));
            }
        });
    });
    let visits = standing
        .iter()
        .flat_map(|company| (0..VISITORS).map(|number| visit(&client, company, number, until)));
    let churns = (0..PASSING).map(|number| churn(&client, &settings, &receipts, number, until));
    // The second half is quiet, so that memory can be judged, and what an outage left reserved is void at its end.
    let killed = async { if args.calm { Ok(()) } else { ground.outages(&outages, half).await } };
    let ((), _, (), gone) = try_join4(killed, try_join_all(visits), sampled, try_join_all(churns)).await?;

    say("everybody has left; looking for what is left over");
    let there: Vec<String> = standing.iter().map(|company| company.id.clone()).collect();
    let plot = args.data_dir.join("memory.svg");
    verdict::of(ground, &client, provider, &memory, &there, &gone.concat(), &plot).await
}

#[expect(clippy::disallowed_methods, reason = "a native program asks the machine's own clock")]
fn now() -> Instant {
    Instant::now()
}

/// What it sees is what this command is for; a closed output is no reason to stop.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}
