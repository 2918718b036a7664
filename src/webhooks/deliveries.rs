//! Deliveries: what a webhook was told, what waits for it, and what was given up.
//!
//! It never shows what was told to a person by mail, nor to anybody what their role may not read, and never makes up something that
//! did not happen but a test, which says that it is one.

use http::{Response, StatusCode};
use serde_json::json;

use super::WEBHOOK_READ;
use crate::error::Error;
use crate::fields::Field;
use crate::ids::{DeliveryId, EventId, WebhookId};
use crate::outbox::{self, DUE_READ, Due};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep;

/// What can have become of a delivery, and how a page says it.
pub const STATES: &[(&str, &str)] =
    &[("waiting", "Waiting"), ("delivered", "Delivered"), ("dead", "Given up")];

/// `GET /v1/webhooks/{id}/deliveries`: the last 100, newest first; `state` (waiting, delivered or dead) and `event` narrow them.
/// The payload is null where it is nothing for whoever asks.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for a state that there is not.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<WebhookId>()?;
    let field = |name: &str| call.query(name).filter(|value| !value.is_empty());
    let (state, event) = (field("state"), field("event"));
    if state.as_ref().is_some_and(|state| !STATES.iter().any(|(known, _)| known == state)) {
        return Err(Error::Invalid("state is waiting, delivered or dead.".into()));
    }
    let mut batch = member.scope.batch();
    let webhook = batch.run(WEBHOOK_READ, params![id]);
    let deliveries = batch.add::<Field>(DELIVERY_LIST, params![id, member.user, state, event]);
    let mut rows = batch.send().await?;
    rows.touched(webhook)?;
    let deliveries = Field::List(rows.fields(deliveries)?);
    answer(StatusCode::OK, &Field::Object(vec![("deliveries".to_owned(), deliveries)]))
}

/// `POST /v1/webhooks/{id}/test`: sends it an event of no meaning now, also when it is off, and says what came of it. A test is
/// not tried again.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn test(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<WebhookId>()?;
    let scope = &member.scope;
    let delivery = DeliveryId::new(scope.platform());
    let mut batch = scope.batch();
    let facts = json!({ "message": "This is a test: nothing happened." });
    let event = EventId::new(scope.platform());
    let added = batch.run(TEST_ADD, params![delivery, event, facts, id, crate::config::LEASE_S]);
    upkeep::note(&member, &mut batch, "webhook.tested", &id);
    let due = batch.add::<Due>(DUE_READ, params![delivery]);
    let mut rows = batch.send().await?;
    rows.touched(added)?;
    let due = rows.one(due)?;
    let mut batch = outbox::try_once(scope, &due).await;
    let row = batch.add::<Field>(DELIVERY_READ, params![delivery]);
    let row = batch.send().await?.fields(row)?.pop();
    answer(StatusCode::OK, &row.ok_or(Error::NotFound)?)
}

/// `POST /v1/deliveries/{id}/replay`: delivers it again, under the same id, with all its attempts before it. One that waits goes on
/// waiting.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Forbidden`] when whoever asks may not read it.
pub async fn replay(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<DeliveryId>()?;
    let mut batch = member.scope.batch();
    batch.run(DELIVERY_CHECK, params![id, member.user]);
    let again = batch.run(DELIVERY_AGAIN, params![id]);
    upkeep::note(&member, &mut batch, "delivery.replayed", &id);
    let row = batch.add::<Field>(DELIVERY_READ, params![id]);
    let mut rows = batch.send().await?;
    let row = rows.fields(row)?.pop().ok_or(Error::NotFound)?;
    outbox::deliver_told(&member.scope, &mut rows, again);
    answer(StatusCode::ACCEPTED, &row)
}

const DELIVERY_LIST: TenantSql = crate::sql!(
    "select o.delivery_id, o.webhook_id, o.event_id, o.event,
            case when m.role is not null and may_read(m.company_id, m.role, o.event) then o.payload end as payload,
            s.state, o.attempts, o.created_at, o.next_at, o.delivered_at, o.dead_at, o.last_status, o.last_error
     from outbox o
     left join memberships m on m.company_id = o.company_id and m.user_id = $3 and m.ended_at is null
     cross join lateral (
         select case when o.delivered_at is not null then 'delivered' when o.dead_at is not null then 'dead' else 'waiting' end
             as state) s
     where o.company_id = $1 and o.webhook_id = $2 and ($4::text is null or s.state = $4) and ($5::text is null or o.event = $5)
     order by o.created_at desc, o.delivery_id
     limit 100"
);

const DELIVERY_READ: TenantSql = crate::sql!(
    "select delivery_id, webhook_id, event_id, event, payload, attempts, created_at, next_at, delivered_at, dead_at,
            last_status, last_error,
            case when delivered_at is not null then 'delivered' when dead_at is not null then 'dead' else 'waiting' end as state
     from outbox
     where company_id = $1 and delivery_id = $2 and webhook_id is not null"
);

const DELIVERY_CHECK: TenantSql = crate::sql!(
    "select refuse('BH403')
     from outbox o
     join memberships m on m.company_id = o.company_id and m.user_id = $3 and m.ended_at is null
     where o.company_id = $1 and o.delivery_id = $2 and not may_read(m.company_id, m.role, o.event)"
);

const DELIVERY_AGAIN: TenantSql = crate::sql!(
    "update outbox set attempts = 0, next_at = now(), delivered_at = null, dead_at = null
     where company_id = $1 and delivery_id = $2 and webhook_id is not null and next_at is null"
);

/// Claimed as it is made, so that nobody else tries it.
const TEST_ADD: TenantSql = crate::sql!(
    "insert into outbox (company_id, delivery_id, event_id, event, payload, webhook_id, attempts, next_at)
     select $1, $2, $3, 'webhook.test', $4, w.webhook_id, 1, now() + make_interval(secs => $6)
     from webhooks w
     where w.company_id = $1 and w.webhook_id = $5"
);
