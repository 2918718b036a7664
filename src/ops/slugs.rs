//! `bulkhead slugs`: lets go of addresses that companies gave up long ago. It never takes one from a company that uses it.

use std::io::Write as _;

use anyhow::Context as _;

use crate::postgres;

/// Options of `bulkhead slugs`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Let everybody have the addresses that were given up so many days ago; run it from a timer, or now and then.
    Release {
        /// Days since an address was given up: bookmarks and printed cards live long.
        #[arg(long, default_value_t = 365)]
        days: u16,
        /// URL of the role that owns the schema.
        #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
        database_url: String,
    },
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Command::Release { days, database_url } = args.command;
    let client =
        postgres::connect(&database_url).await.context("cannot reach the database; check its URL")?;
    let released = client.execute(RELEASE, &[&i32::from(days)]).await?;
    writeln!(std::io::stdout(), "{released} addresses are free again")?;
    Ok(())
}

const RELEASE: &str = "delete from hosts where released_at < now() - make_interval(days => $1)";
