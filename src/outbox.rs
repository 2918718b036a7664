//! The outbox: what a company's programs and people are told of, kept by the transaction that did it, and delivered until it is
//! taken or given up.
//!
//! It never decides who is told: the database's `tell` did, when it happened. It delivers at least once, and under the same id
//! each time, never exactly once: an answer can be lost.

mod send;
pub(crate) mod signature;
pub(crate) mod tell;

use std::cell::Cell;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use serde::Deserialize;

use self::send::{Attempt, End, attempt};
use crate::config::LEASE_S;
use crate::error::Error;
use crate::fields::Bytes;
use crate::ids::{DeliveryId, EventId, NoticeId, WebhookId};
use crate::params;
use crate::platform::{Level, Platform};
use crate::tenant::postgres::{Batch, Outcomes, Slot};
use crate::tenant::{TenantScope, TenantSql};

/// Seconds between an attempt that failed and the next one; after the last of them it is given up (Standard Webhooks' schedule).
const WAITS_S: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Milliseconds after which no attempt is begun: hosted runtimes end what goes on for half a minute after the answer.
const DELIVER_MS: u64 = 15_000;
/// Attempts at the same time, for which [`LEASE_S`] is long enough and hosted runtimes have connections enough.
const AT_ONCE: u32 = 4;
/// Most attempts that follow from one request, and from one page of the round.
const REQUEST_ATTEMPTS: u32 = 32;
const ROUND_ATTEMPTS: u32 = 200;
/// Most times that what came of the attempts is written, when the database does not answer.
const SETTLE_TRIES: u32 = 3;

/// Delivers what this batch has put into the outbox, if it has, once the request is answered. What fails waits for the round.
pub(crate) fn deliver_told(scope: &TenantScope, rows: &mut Outcomes, told: Slot<()>) {
    if !rows.count(told).is_ok_and(|deliveries| deliveries > 0) {
        return;
    }
    let (aside, platform) = (scope.aside(), scope.platform());
    let bounds = Bounds::new(platform, AT_ONCE, REQUEST_ATTEMPTS);
    platform.spawn(Box::pin(async move { deliver(&aside, &bounds).await }));
}

/// Delivers what is due for these companies, once the round is answered: those first whose receivers answer, and of each no
/// more than one delivery at a time, so that receivers that hang keep no other company waiting.
pub(crate) fn deliver_round(mut due: Vec<(TenantScope, DueSince)>) {
    due.sort_by_key(|(_, since)| (since.failing, since.since_ms));
    let Some(platform) = due.first().map(|(scope, _)| scope.platform_rc()) else { return };
    let bounds = Bounds::new(&*platform, 1, ROUND_ATTEMPTS);
    platform.spawn(Box::pin(async move {
        let bounds = &bounds;
        let each = |(scope, _)| async move { deliver(&scope, bounds).await };
        stream::iter(due).for_each_concurrent(AT_ONCE as usize, each).await;
    }));
}

/// Since when something is due for a company, if anything is.
pub(crate) fn due_since(batch: &mut Batch<'_>) -> Slot<DueSince> {
    batch.add::<DueSince>(DUE_SINCE, params![])
}

/// How much is delivered in one go.
struct Bounds {
    at_once: u32,
    /// Attempts that may yet be begun.
    attempts: Cell<u32>,
    ends_ms: u64,
}

impl Bounds {
    fn new(platform: &dyn Platform, at_once: u32, attempts: u32) -> Self {
        Self { at_once, attempts: Cell::new(attempts), ends_ms: platform.now_ms() + DELIVER_MS }
    }

    /// How many attempts may be begun now; they count as begun.
    fn take(&self, now_ms: u64) -> u32 {
        let take = if now_ms < self.ends_ms { self.at_once.min(self.attempts.get()) } else { 0 };
        self.attempts.set(self.attempts.get() - take);
        take
    }
}

/// Takes what is due, delivers it, writes what came of it, and goes on as long as something is due, within bounds. What cannot be
/// written is delivered again.
async fn deliver(scope: &TenantScope, bounds: &Bounds) {
    let mut attempts = Vec::new();
    loop {
        let more = bounds.take(scope.platform().now_ms());
        if attempts.is_empty() && more == 0 {
            return;
        }
        let due = match settled(scope, &attempts, more).await {
            Ok(due) => due,
            Err(error) => return scope.log(Level::Error, "outbox not settled", &format!("{error:?}")),
        };
        if due.is_empty() {
            return;
        }
        attempts = join_all(due.into_iter().map(|due| async move {
            let attempt = attempt(scope, &due).await;
            (due, attempt)
        }))
        .await;
    }
}

/// Writes what came of these attempts, and takes as many further deliveries: nobody else gets them for [`LEASE_S`].
async fn settled(scope: &TenantScope, attempts: &[(Due, Attempt)], more: u32) -> Result<Vec<Due>, Error> {
    let mut tries = 0;
    loop {
        let mut batch = scope.batch();
        settle(&mut batch, scope.platform(), attempts);
        let next = (more > 0).then(|| batch.add::<Due>(OUTBOX_CLAIM, params![LEASE_S, more]));
        tries += 1;
        match batch.send().await {
            Ok(mut rows) => return next.map_or(Ok(Vec::new()), |next| rows.all(next)),
            Err(Error::Unavailable(..)) if tries < SETTLE_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

/// Tries this delivery now and once only; its row says what came of it when the batch that this gives was sent.
pub(crate) async fn try_once<'scope>(scope: &'scope TenantScope, due: &Due) -> Batch<'scope> {
    let attempt = attempt(scope, due).await;
    let mut batch = scope.batch();
    settle_one(&mut batch, due, &attempt, None);
    batch
}

/// What is to be delivered.
#[derive(Deserialize)]
pub(crate) struct Due {
    delivery_id: DeliveryId,
    event_id: EventId,
    event: String,
    /// Which attempt this is, from 1.
    attempts: u32,
    /// What is sent: one JSON object.
    body: String,
    webhook_id: Option<WebhookId>,
    /// The webhook's.
    url: Option<String>,
    sealed_secret: Option<Bytes>,
    /// The person's confirmed address; null for a webhook, and for somebody who has left.
    email: Option<String>,
}

/// Since when something is due for a company; for receivers that answer, where there is some.
#[derive(Deserialize)]
pub(crate) struct DueSince {
    /// All of it is for webhooks that failed the last time.
    failing: bool,
    since_ms: u64,
}

const DUE_SINCE: TenantSql = crate::sql!(
    "select bool_and(w.failing_since is not null) as failing,
            (extract(epoch from coalesce(min(o.next_at) filter (where w.failing_since is null), min(o.next_at))) * 1000)::bigint
                as since_ms
     from outbox o
     left join webhooks w on w.company_id = o.company_id and w.webhook_id = o.webhook_id
     where o.company_id = $1 and o.next_at <= now() and (o.webhook_id is null or w.enabled)
     having count(*) > 0"
);

/// A delivery that was claimed as it was made, with what it takes to try it.
pub(crate) const DUE_READ: TenantSql = crate::sql!(
    "select o.delivery_id, o.event_id, o.event, o.attempts, o.webhook_id, w.url, w.sealed_secret, null::text as email,
            jsonb_build_object('type', o.event, 'timestamp', o.created_at, 'data', o.payload)::text as body
     from outbox o
     join webhooks w on w.company_id = o.company_id and w.webhook_id = o.webhook_id
     where o.company_id = $1 and o.delivery_id = $2"
);

/// Writes what came of attempts: harmless to repeat. Webhooks come first, and in one order, as they do when one is removed: so
/// that no two transactions wait for each other.
fn settle(batch: &mut Batch<'_>, platform: &dyn Platform, attempts: &[(Due, Attempt)]) {
    let mut tried: Vec<_> =
        attempts.iter().filter_map(|(due, attempt)| Some((due.webhook_id?, attempt))).collect();
    tried.sort_by_key(|(webhook, _)| *webhook);
    for (webhook, attempt) in tried {
        if matches!(attempt.end, End::Delivered) {
            batch.run(WEBHOOK_WORKS, params![webhook]);
        } else {
            let gone = matches!(attempt.end, End::Gone);
            batch.run(WEBHOOK_FAILS, params![webhook]);
            batch.run(WEBHOOK_OFF, params![webhook, gone, NoticeId::new(platform)]);
        }
    }
    for (due, attempt) in attempts {
        let wait_ms = match attempt.end {
            End::Again(_) => wait_ms(platform, due.attempts),
            End::Delivered | End::Never(_) | End::Gone => None,
        };
        settle_one(batch, due, attempt, wait_ms);
    }
}

/// Writes what came of an attempt, and when the next one is; `None`: there is none.
fn settle_one(batch: &mut Batch<'_>, due: &Due, attempt: &Attempt, wait_ms: Option<u64>) {
    let delivered = matches!(attempt.end, End::Delivered);
    let (status, error) = (attempt.status.map(u32::from), attempt.end.error());
    batch.run(OUTBOX_SETTLE, params![due.delivery_id, due.attempts, delivered, wait_ms, status, error]);
}

/// Milliseconds until the next attempt, up to a tenth more or less, so that what failed together does not come back together;
/// `None` after the last one.
fn wait_ms(platform: &dyn Platform, attempts: u32) -> Option<u64> {
    let wait_s = WAITS_S.get(usize::try_from(attempts).ok()?.checked_sub(1)?)?;
    let mut random = [0; 1];
    platform.fill_random(&mut random);
    let [random] = random;
    Some(wait_s * (900 + u64::from(random) * 200 / 255))
}

/// `$3` of those that are due longest, first for receivers that answer; two at once do not get the same ones. What is for a webhook
/// that is off waits.
const OUTBOX_CLAIM: TenantSql = crate::sql!(
    "with due as (
         select o.delivery_id, w.url, w.sealed_secret, u.email
         from outbox o
         left join webhooks w on w.company_id = o.company_id and w.webhook_id = o.webhook_id
         left join memberships m on m.company_id = o.company_id and m.user_id = o.user_id and m.ended_at is null
         left join users u on u.company_id = m.company_id and u.user_id = m.user_id and u.email_verified_at is not null
         where o.company_id = $1 and o.next_at <= now() and (o.webhook_id is null or w.enabled)
         order by w.failing_since is not null, o.next_at, o.delivery_id
         limit $3
         for update of o skip locked
     )
     update outbox o
     set attempts = o.attempts + 1, next_at = now() + make_interval(secs => $2)
     from due d
     where o.company_id = $1 and o.delivery_id = d.delivery_id
     returning o.delivery_id, o.event_id, o.event, o.attempts, o.webhook_id, d.url, d.sealed_secret, d.email,
               jsonb_build_object('type', o.event, 'timestamp', o.created_at, 'data', o.payload)::text as body"
);

/// `$3`: which attempt it was, so that an old one does not undo a later one; `$4`: it was taken; `$5`: milliseconds to wait,
/// null: it is given up.
const OUTBOX_SETTLE: TenantSql = crate::sql!(
    "update outbox
     set delivered_at = case when $4::boolean then now() end,
         dead_at = case when not $4 and $5::bigint is null then now() end,
         next_at = case when not $4 then now() + $5 * interval '1 millisecond' end,
         last_status = $6, last_error = $7
     where company_id = $1 and delivery_id = $2 and next_at is not null and ($4 or attempts = $3)"
);

const WEBHOOK_WORKS: TenantSql = crate::sql!(
    "update webhooks set failing_since = null
     where company_id = $1 and webhook_id = $2 and failing_since is not null"
);

const WEBHOOK_FAILS: TenantSql = crate::sql!(
    "update webhooks set failing_since = now()
     where company_id = $1 and webhook_id = $2 and failing_since is null"
);

/// Turns a webhook off that said it is gone (`$3`) or failed for three days, and tells the company's people, once.
const WEBHOOK_OFF: TenantSql = crate::sql!(
    "with ended as (
         update webhooks set enabled = false
         where company_id = $1 and webhook_id = $2 and enabled
           and ($3::boolean or failing_since <= now() - interval '3 days')
         returning company_id, url
     )
     insert into notices (company_id, notice_id, kind, body)
     select $1, $4, 'webhook',
            format(case when $3 then 'The webhook %s said that it is gone, and was turned off.'
                        else 'The webhook %s failed for three days, and was turned off. What it missed waits for 30 days.' end, url)
     from ended
     where company_id = $1"
);

/// Removes what nobody asks for any more; to be run now and then, nothing depends on when.
pub(crate) const OUTBOX_EXPIRE: TenantSql =
    crate::sql!("delete from outbox where company_id = $1 and created_at < now() - interval '30 days'");
