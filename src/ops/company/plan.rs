//! `bulkhead company plan`: what a company subscribes to, and another plan from now on.
//! It never changes what the company was given besides: its own daily limit and monthly tokens stay.

use anyhow::{Context as _, ensure};
use bulkhead::tenant::TenantSql;

use super::Which;
use crate::gateway::param::Param;
use crate::keys::{id, say, within};

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// The plan's short name. Without it the company's plan and all that there are are printed.
    #[arg(long)]
    to: Option<String>,
}

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let owner = args.which.place.owner().await?;
    let found = args.which.find(&owner).await?;
    let mut worker = args.which.place.worker().await?;
    let transaction = within(&mut worker, &found.id).await?;
    let scope = Param::from(found.id.as_str());
    let row = transaction.query_opt(PLAN_NOW.text(), &[&scope]).await?;
    let now: String = row.with_context(|| format!("{} subscribes to nothing", found.slug))?.try_get(0)?;
    let mut plans = Vec::new();
    for row in transaction.query(PLAN_LIST, &[]).await? {
        let (plan, cents, tokens): (String, i32, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        plans.push((plan, format!("${}.{:02} a month, {tokens} tokens a month", cents / 100, cents % 100)));
    }
    let Some(to) = args.to else {
        for (plan, allows) in &plans {
            say(&format!("{} {plan}: {allows}", if *plan == now { "*" } else { " " }));
        }
        return Ok(());
    };
    let names: Vec<&str> = plans.iter().map(|(plan, _)| plan.as_str()).collect();
    let allows = plans.iter().find(|(plan, _)| *plan == to);
    let (_, allows) = allows.with_context(|| format!("there is no plan {to}: {}", names.join(", ")))?;
    if to == now {
        say(&format!("{} has the plan {to} already", found.slug));
        return Ok(());
    }
    let changed = transaction.execute(PLAN_SET.text(), &[&scope, &Param::from(to.as_str())]).await?;
    ensure!(changed == 1, "the plan of {} was changed meanwhile; run the command again", found.slug);
    let (event, target) = (id()?, format!("{now} to {to}"));
    let noted = [&scope, &Param::from(event.as_str()), &Param::from(target.as_str())];
    transaction
        .execute(AUDIT.text(), &noted.map(|param| param as &(dyn tokio_postgres::types::ToSql + Sync)))
        .await?;
    transaction.commit().await?;
    say(&format!("{} goes from {now} to {to} with its next question: {allows}", found.slug));
    Ok(())
}

const PLAN_NOW: TenantSql = bulkhead::sql!("select plan from subscriptions where company_id = $1 for update");

const PLAN_LIST: &str =
    "select plan, monthly_price_cents, monthly_tokens from plans order by monthly_price_cents, plan";

const PLAN_SET: TenantSql =
    bulkhead::sql!("update subscriptions set plan = $2, ends_at = null where company_id = $1");

const AUDIT: TenantSql = bulkhead::sql!(
    "insert into audit_events (company_id, event_id, actor, action, target) values ($1, $2, 'system', 'plan.changed', $3)"
);
