//! `bulkhead`, the native tool: what operators and developers run. It serves no visitor itself.

use clap::Parser;

mod bench;
mod company;
mod cost;
mod dev;
mod doctor;
mod gateway;
mod keys;
mod migrate;
mod postgres;
mod serve;
mod slugs;
mod soak;
mod support;
mod tail;
mod templates;

/// Multi-tenant AI at the edge: the operator's tool.
#[derive(Parser)]
#[command(version, about)]
enum Command {
    /// Serve Postgres (Neon's SQL over HTTP) and Redis (Upstash's REST) to the worker.
    Gateway(gateway::Args),
    /// Serve real visitors from one machine: gateway, worker and round, behind a proxy that has TLS.
    Serve(serve::Args),
    /// Start everything for development: Postgres, Redis, gateway, worker, demo companies.
    Dev(dev::Args),
    /// Measure a running stand; `./scripts/bench` starts one.
    Bench(bench::Args),
    /// Export, import, suspend and delete companies.
    Company(company::Args),
    /// What hosting so many companies costs a month, line by line.
    Cost(cost::Args),
    /// Check a deployment end to end, and say how to mend what is wrong.
    Doctor(doctor::Args),
    /// Bring the database's schema and roles up to date.
    Migrate(migrate::Args),
    /// Rotate the master keys that seal the companies' provider keys, and bring such keys from elsewhere.
    Keys(keys::Args),
    /// Let go of addresses that companies gave up.
    Slugs(slugs::Args),
    /// Have a stand of its own go through companies, chats and faults, and see that nothing is left over.
    Soak(soak::Args),
    /// Let one of the operator's people into a company's dashboard, for a reason and a while.
    Support(support::Args),
    /// Read the log lines of worker and gateway, and look through them.
    Tail(tail::Args),
    /// Check and load the industry templates, and bring companies up to date with them.
    Templates(templates::Args),
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    // For what asks no provider by name, as Redis's client does. Nobody can have been quicker.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match Command::parse() {
        Command::Gateway(args) => gateway::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Dev(args) => dev::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Company(args) => company::run(args).await,
        Command::Cost(args) => cost::run(&args),
        Command::Doctor(args) => doctor::run(args).await,
        Command::Migrate(args) => migrate::run(args).await,
        Command::Keys(args) => keys::run(args).await,
        Command::Slugs(args) => slugs::run(args).await,
        Command::Soak(args) => soak::run(args).await,
        Command::Support(args) => support::run(args).await,
        Command::Tail(args) => tail::run(&args),
        Command::Templates(args) => templates::run(args).await,
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // One clear sentence and its causes; nothing is left to do if stderr is closed.
            let _ = writeln!(std::io::stderr(), "bulkhead: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
