//! To come.

/// Options of `bulkhead dev`.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the command.
pub async fn run(_: Args) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
