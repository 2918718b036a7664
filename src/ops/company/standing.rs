//! `bulkhead company suspend` and `resume`, and what a deletion asks for and calls off.
//! Whatever opens the company is ended first, and all of it in one transaction, as the worker's role.

use anyhow::ensure;
use bulkhead::tenant::TenantSql;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::{Found, Which};
use crate::gateway::param::Param;
use crate::keys::{id, say, within};

/// Options of the commands.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) which: Which,
}

/// `bulkhead company suspend`.
pub async fn suspend(args: Args) -> anyhow::Result<()> {
    let (found, mut worker) = open(&args.which).await?;
    if found.suspended {
        say(&format!("{} is suspended already", found.slug));
        return Ok(());
    }
    end(&mut worker, &found, None).await?;
    say(&format!(
        "{} is suspended: its sessions, links and API keys ended at once, and its hosts answer 404 within 30 seconds",
        found.slug
    ));
    Ok(())
}

/// `bulkhead company resume`: calls a deletion off as well.
pub async fn resume(args: Args) -> anyhow::Result<()> {
    let (found, mut worker) = open(&args.which).await?;
    if !found.suspended && found.deletion.is_none() {
        say(&format!("{} is not suspended", found.slug));
        return Ok(());
    }
    let transaction = within(&mut worker, &found.id).await?;
    let scope = Param::from(found.id.as_str());
    ensure!(
        transaction.execute(COMPANY_RESUME.text(), &[&scope]).await? == 1,
        "the deletion of {} has begun, and cannot be called off any more",
        found.slug
    );
    let (event, action) =
        (id()?, Param::from(if found.suspended { "company.resumed" } else { "company.deletion_cancelled" }));
    transaction.execute(AUDIT.text(), &[&scope, &Param::from(event.as_str()), &action]).await?;
    transaction.commit().await?;
    let called_off = if found.deletion.is_some() { ", its deletion called off" } else { "" };
    say(&if found.suspended {
        format!(
            "{} answers again{called_off}: people sign in anew, and programs need new API keys",
            found.slug
        )
    } else {
        format!("{} goes on as before{called_off}", found.slug)
    });
    Ok(())
}

/// Suspends the company; with days, its deletion may begin after so many. Gives when.
pub async fn end(worker: &mut Client, found: &Found, days: Option<u16>) -> anyhow::Result<Option<String>> {
    let transaction = within(worker, &found.id).await?;
    let scope = Param::from(found.id.as_str());
    for sql in [SESSIONS_END, SUPPORT_END, API_KEYS_END, LINKS_END, COMPANY_SUSPEND] {
        transaction.execute(sql.text(), &[&scope]).await?;
    }
    let after = match days {
        None => None,
        Some(days) => {
            let days = days.to_string();
            let days = Param::from(days.as_str());
            let params: [&(dyn ToSql + Sync); 2] = [&scope, &days];
            Some(transaction.query_one(DELETION_ASK.text(), &params).await?.try_get(0)?)
        }
    };
    let (event, action) =
        (id()?, if days.is_some() { "company.deletion_requested" } else { "company.suspended" });
    transaction.execute(AUDIT.text(), &[&scope, &Param::from(event.as_str()), &Param::from(action)]).await?;
    transaction.commit().await?;
    Ok(after)
}

async fn open(which: &Which) -> anyhow::Result<(Found, Client)> {
    let owner = which.place.owner().await?;
    Ok((which.find(&owner).await?, which.place.worker().await?))
}

const SESSIONS_END: TenantSql =
    bulkhead::sql!("update sessions set revoked_at = now() where company_id = $1 and revoked_at is null");

const SUPPORT_END: TenantSql = bulkhead::sql!(
    "update support_accesses set ended_at = now()
     where company_id = $1 and ended_at is null and coalesce(ends_at, link_expires_at) > now()"
);

const API_KEYS_END: TenantSql =
    bulkhead::sql!("update api_keys set revoked_at = now() where company_id = $1 and revoked_at is null");

const LINKS_END: TenantSql = bulkhead::sql!("delete from account_links where company_id = $1");

const COMPANY_SUSPEND: TenantSql = bulkhead::sql!(
    "update companies
     set suspended_at = case when status = 'suspended' then coalesce(suspended_at, now()) else now() end, status = 'suspended'
     where company_id = $1"
);

const COMPANY_RESUME: TenantSql = bulkhead::sql!(
    "update companies
     set status = 'active', suspended_at = null, delete_after = null
     where company_id = $1 and deleted_so_far is null"
);

const DELETION_ASK: TenantSql = bulkhead::sql!(
    "update companies
     set delete_after = now() + make_interval(days => $2)
     where company_id = $1
     returning to_char(delete_after at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC'"
);

const AUDIT: TenantSql = bulkhead::sql!(
    "insert into audit_events (company_id, event_id, actor, action) values ($1, $2, 'system', $3)"
);
