//! The watch over names that answer: each is looked up once a day, and one that is without its record for too long is let go.
//!
//! It never lets a name go because the DNS did not answer, and works on each company in a scope of its own.

use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;

use super::proof;
use crate::config::DOMAIN_GRACE_DAYS;
use crate::error::Error;
use crate::ids::{AuditId, DomainId, NoticeId};
use crate::notices::NOTICE_ADD;
use crate::params;
use crate::platform::Level;
use crate::tenant::postgres::{Batch, Slot};
use crate::tenant::{TenantScope, TenantSql};

/// What people are told of a name that another company took: after its name.
pub(super) const TAKEN: &str = "does not lead here any more: another company proved that it is theirs, and your record was not in the DNS. If the name is yours, put the record back and check it under Domains.";

/// The same of one whose record was missing for too long.
const ENDED: &str = "does not lead here any more: its record was missing in the DNS for days. Put it back and check it under Domains.";

/// Names looked up at the same time, and milliseconds after which none is begun: as hosted runtimes allow after an answer.
const AT_ONCE: usize = 4;
const WATCH_MS: u64 = 15_000;

/// A name that is due to be looked up.
#[derive(Deserialize)]
pub(crate) struct Due {
    domain_id: DomainId,
    host: String,
    token: String,
    /// Its record was missing the last time, too.
    missing: bool,
    /// It was missing for as long as it may.
    overdue: bool,
}

/// The company's names that are due; nobody else gets them for a day.
pub(crate) fn due(batch: &mut Batch<'_>) -> Slot<Due> {
    batch.add::<Due>(DOMAINS_DUE, params![DOMAIN_GRACE_DAYS])
}

/// Looks these names up, once the round is answered. Those for which there is no time have theirs tomorrow.
pub(crate) fn look_round(due: Vec<(TenantScope, Vec<Due>)>) {
    let Some(platform) = due.first().map(|(scope, _)| scope.platform_rc()) else { return };
    let ends_ms = platform.now_ms() + WATCH_MS;
    let work = async move {
        let each = |(scope, due): (TenantScope, Vec<Due>)| async move {
            for due in &due {
                if scope.platform().now_ms() < ends_ms
                    && let Err(error) = look(&scope, due).await
                {
                    scope.log(Level::Error, "a domain was not looked after", &format!("{error:?}"));
                }
            }
        };
        stream::iter(due).for_each_concurrent(AT_ONCE, each).await;
    };
    platform.spawn(Box::pin(work));
}

async fn look(scope: &TenantScope, due: &Due) -> Result<(), Error> {
    let Some(texts) = proof::texts(scope, &due.host).await else { return Ok(()) };
    let is_there = proof::is_in(&texts, &due.token);
    if !is_there && due.overdue {
        return lose(scope, &due.host, ENDED).await;
    }
    let mut batch = scope.batch();
    if is_there {
        super::proved(&mut batch, due.domain_id);
    } else {
        batch.run(DOMAIN_MISSING, params![due.domain_id]);
        if !due.missing {
            let told = format!(
                "The record that proves that {} is yours is missing in the DNS. Put it back within {DOMAIN_GRACE_DAYS} days, or the \
                 name stops leading here. What it must hold is under Domains.",
                due.host
            );
            let id = NoticeId::new(scope.platform());
            batch.run(NOTICE_ADD, params![id, "domain", None::<&str>, told]);
        }
    }
    batch.send().await.map(|_| ())
}

/// Whether the name's record is among these, of the company that answers there.
pub(super) async fn is_proved(holder: &TenantScope, host: &str, texts: &[String]) -> Result<bool, Error> {
    let mut batch = holder.batch();
    let token = batch.add::<Token>(TOKEN_READ, params![host]);
    let token = batch.send().await?.maybe(token)?;
    Ok(token.is_some_and(|held| proof::is_in(texts, &held.token)))
}

/// Has the name answer as nobody's, and tells the company's people why. One that does not answer stays as it is.
pub(super) async fn lose(scope: &TenantScope, host: &str, why: &str) -> Result<(), Error> {
    let platform = scope.platform();
    let mut batch = scope.batch();
    batch.run(LOSS_NOTICE, params![NoticeId::new(platform), format!("{host} {why}"), host]);
    batch.run(LOSS_NOTE, params![AuditId::new(platform), host]);
    batch.run(HOST_LOSE, params![host]);
    batch.run(MISSING_END, params![host]);
    batch.send().await.map(|_| ())
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

/// Of those that answer. `$2`: days for which a name answers without its record.
const DOMAINS_DUE: TenantSql = crate::sql!(
    "update domains d
     set checked_at = now()
     from hosts h
     where d.company_id = $1 and h.company_id = d.company_id and h.host = d.host and h.kind = 'custom' and h.released_at is null
       and (d.checked_at is null or d.checked_at <= now() - interval '1 day')
     returning d.domain_id, d.host, d.token, d.missing_since is not null as missing,
               coalesce(d.missing_since <= now() - make_interval(days => $2), false) as overdue"
);

const DOMAIN_MISSING: TenantSql = crate::sql!(
    "update domains
     set missing_since = coalesce(missing_since, now())
     where company_id = $1 and domain_id = $2"
);

const TOKEN_READ: TenantSql = crate::sql!("select token from domains where company_id = $1 and host = $2");

const LOSS_NOTICE: TenantSql = crate::sql!(
    "insert into notices (company_id, notice_id, kind, body)
     select $1, $2, 'domain', $3
     from hosts
     where company_id = $1 and host = $4 and kind = 'custom' and released_at is null"
);

const LOSS_NOTE: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, action, target)
     select $1, $2, 'system', 'domain.lost', host
     from hosts
     where company_id = $1 and host = $3 and kind = 'custom' and released_at is null"
);

const HOST_LOSE: TenantSql = crate::sql!(
    "update hosts
     set released_at = now()
     where company_id = $1 and host = $2 and kind = 'custom' and released_at is null"
);

const MISSING_END: TenantSql =
    crate::sql!("update domains set missing_since = null where company_id = $1 and host = $2");
