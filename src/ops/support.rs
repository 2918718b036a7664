//! `bulkhead support`: lets one of the operator's people into a company, for a reason and a while, where the company allows it.
//! It never goes in itself, and keeps of the link nothing but the hash of its token.

use anyhow::{Context as _, ensure};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use bulkhead::config::Root;
use sha2::{Digest as _, Sha256};

use crate::company::find;
use crate::keys::{id, random, say};
use crate::postgres;

/// Options of `bulkhead support`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Print a link into a company's dashboard: good once, for ten minutes, and only on the company's own host.
    Open(Open),
}

#[derive(clap::Args)]
struct Open {
    /// The company's slug or id.
    company: String,
    /// Why; the company's owner reads it.
    #[arg(long)]
    reason: String,
    /// Who goes in; the company's owner reads it.
    #[arg(long)]
    operator: String,
    /// Minutes until the session ends by itself.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i32).range(1..=60))]
    minutes: i32,
    /// The platform's own address, as the worker has it.
    #[arg(long, env = "ROOT_URL")]
    root_url: String,
    /// URL of the role that owns the schema: the worker's cannot let anybody in.
    #[arg(long, env = "DATABASE_OWNER_URL", hide_env_values = true)]
    database_url: String,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Command::Open(open) = args.command;
    let (reason, operator) = (open.reason.trim(), open.operator.trim());
    let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
    ensure!(fits(reason, 500), "say why in 1 to 500 characters: --reason \"…\"");
    ensure!(fits(operator, 120), "say who goes in, in 1 to 120 characters: --operator \"…\"");
    let root = Root::parse(&open.root_url).context("ROOT_URL is not an http or https URL without a path")?;
    let mut owner = postgres::connect(&open.database_url)
        .await
        .context("cannot connect as the database's owner; check its URL")?;
    let found = find(&owner, &open.company).await?;
    ensure!(
        !found.suspended,
        "{} is suspended, and its dashboard answers nobody; bulkhead company resume lets it answer",
        found.slug
    );

    let token = Base64UrlUnpadded::encode_string(&random::<32>()?);
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let (access, event) = (id()?, id()?);
    let transaction = owner.transaction().await?;
    let opened = transaction
        .execute(OPEN, &[&found.id, &access, &operator, &reason, &open.minutes, &&hash[..]])
        .await?;
    ensure!(
        opened == 1,
        "{} lets no support in: its owner has forbidden it. Ask them to allow it under Settings, Support access",
        found.slug
    );
    transaction.execute(AUDIT, &[&found.id, &event, &access]).await?;
    transaction.commit().await?;
    say(&format!("{}/dashboard/sign-in/support?token={token}", root.company_url(&found.slug)));
    say(&format!(
        "good once, for ten minutes; then the session lasts {} minutes, and the owner of {} sees it",
        open.minutes, found.slug
    ));
    Ok(())
}

/// Whether the company allows it is asked in the statement that does it.
const OPEN: &str = "
insert into support_accesses (company_id, access_id, operator, reason, minutes, token_hash, link_expires_at)
select company_id, $2::text::uuid, $3, $4, $5, $6, now() + interval '10 minutes'
from companies
where company_id = $1::text::uuid and support_allowed";

const AUDIT: &str = "
insert into audit_events (company_id, event_id, actor, user_id, action)
values ($1::text::uuid, $2::text::uuid, 'support', $3::text::uuid, 'support.opened')";
