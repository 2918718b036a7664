//! Webhooks: addresses of a company's own programs that are told of what happens.
//!
//! It never shows a secret a second time, and never takes an address that only an inner network knows. What is sent, and when,
//! is the [outbox](crate::outbox)'s.

pub mod deliveries;

use http::{Response, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config::WEBHOOKS;
use crate::error::Error;
use crate::fields::Field;
use crate::idempotency::once;
use crate::ids::WebhookId;
use crate::outbox::signature::{SECRET_BYTES, spelled};
use crate::params;
use crate::platform::{Body, Platform};
use crate::routes::{Call, json as answer};
use crate::tenant::auth::Member;
use crate::tenant::{TenantScope, TenantSql};
use crate::upkeep;
use crate::website::address::Address;

/// What a webhook can be told of, and what that is in words.
pub const EVENTS: &[(&str, &str)] = &[
    ("lead.new", "Somebody wants to hear from you"),
    ("conversation.handed_over", "A visitor asks for a person"),
    ("conversation.closed", "A conversation is closed"),
    ("budget.nearly_spent", "Half or four fifths of a budget are used"),
    ("budget.spent", "A budget is used up"),
];

/// `GET /v1/webhooks`, newest first.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "webhooks", WEBHOOK_LIST).await
}

/// `POST /v1/webhooks`: adds one. This answer shows its secret, and no other ever does.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Forbidden`] when whoever asks may not read what it would be told,
/// [`Error::Conflict`] when there are too many.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewWebhook>().await?;
    let scope = &member.scope;
    let url = address(scope, &new.url)?;
    let events = wanted(new.events)?;
    let id = WebhookId::new(scope.platform());
    let secret = secret(scope.platform());
    let sealed = scope.webhook_seal(id, &secret[..])?;
    let mut batch = scope.batch_once();
    batch.run(READER_CHECK, params![member.user, id, events.clone()]);
    let added = batch.run(WEBHOOK_ADD, params![id, url, events, &sealed[..], WEBHOOKS]);
    upkeep::note(member, &mut batch, "webhook.added", &id);
    let row = batch.add::<Field>(WEBHOOK_READ, params![id]);
    let mut rows = batch.send().await?;
    if rows.count(added)? == 0 {
        return Err(Error::Conflict(format!(
            "This company has {WEBHOOKS} webhooks already. Remove one that is not used any more."
        )));
    }
    let row = rows.fields(row)?.pop().ok_or(Error::NotFound)?;
    let shown = Field::Text(spelled(&secret[..]).to_string());
    let made = vec![("secret".to_owned(), shown), ("webhook".to_owned(), row)];
    answer(StatusCode::CREATED, &Field::Object(made))
}

/// `GET /v1/webhooks/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<WebhookId>()?;
    let mut batch = member.scope.batch();
    let row = batch.add::<Field>(WEBHOOK_READ, params![id]);
    let row = batch.send().await?.fields(row)?.pop();
    answer(StatusCode::OK, &row.ok_or(Error::NotFound)?)
}

/// `PATCH /v1/webhooks/{id}`: where it is, of what it is told, and whether at all. Turned on, it begins anew, with what waited.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Forbidden`] when whoever asks may not read what it is or would be told, or
/// [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<WebhookId>()?;
    let new = call.json::<WebhookChange>().await?;
    let url = new.url.map(|url| address(&member.scope, &url)).transpose()?;
    let events = new.events.map(wanted).transpose()?;
    let mut batch = member.scope.batch_once();
    // Before it is changed, so that nobody leads elsewhere what they may not read themselves.
    batch.run(READER_CHECK, params![member.user, id, events.clone()]);
    let changed = batch.run(WEBHOOK_CHANGE, params![id, url, events, new.enabled]);
    upkeep::note(&member, &mut batch, "webhook.changed", &id);
    let row = batch.add::<Field>(WEBHOOK_READ, params![id]);
    let mut rows = batch.send().await?;
    rows.touched(changed)?;
    answer(StatusCode::OK, &rows.fields(row)?.pop().ok_or(Error::NotFound)?)
}

/// `DELETE /v1/webhooks/{id}`, and what waits for it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<WebhookId>()?;
    upkeep::removed(&member, "webhook.removed", &id, vec![(WEBHOOK_REMOVE, params![id])]).await
}

/// `POST /v1/webhooks/{id}/secret`: a new secret, from the next delivery on. This answer shows it, and no other ever does.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn renew(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<WebhookId>()?;
    let scope = &member.scope;
    let secret = secret(scope.platform());
    let sealed = scope.webhook_seal(id, &secret[..])?;
    let mut batch = scope.batch();
    let renewed = batch.run(WEBHOOK_RENEW, params![id, &sealed[..]]);
    upkeep::note(&member, &mut batch, "webhook.secret_renewed", &id);
    batch.send().await?.touched(renewed)?;
    let shown = Field::Text(spelled(&secret[..]).to_string());
    answer(StatusCode::CREATED, &Field::Object(vec![("secret".to_owned(), shown)]))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    url: String,
    events: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookChange {
    url: Option<String>,
    events: Option<Vec<String>>,
    enabled: Option<bool>,
}

/// An address to which the worker may send what happens here, as an import may read from it.
fn address(scope: &TenantScope, url: &str) -> Result<String, Error> {
    Ok(Address::parse(url, &scope.app().config)?.url())
}

/// These events, each once.
fn wanted(mut events: Vec<String>) -> Result<Vec<String>, Error> {
    events.sort_unstable();
    events.dedup();
    let known = |event: &String| EVENTS.iter().any(|(known, _)| known == event);
    if events.is_empty() || !events.iter().all(known) {
        let names = EVENTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        return Err(Error::Invalid(format!("events takes at least one of: {names}.")));
    }
    Ok(events)
}

fn secret(platform: &dyn Platform) -> Zeroizing<[u8; SECRET_BYTES]> {
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    platform.fill_random(secret.as_mut());
    secret
}

/// Refuses a person (`$2`) who may not read what the webhook (`$3`) is told or waits to be told, or one of these events.
const READER_CHECK: TenantSql = crate::sql!(
    "select refuse('BH403')
     from memberships m
     where m.company_id = $1 and m.user_id = $2 and m.ended_at is null
       and exists (
           select from (
               select unnest($4::text[]) as event
               union
               select unnest(w.events) from webhooks w where w.company_id = m.company_id and w.webhook_id = $3
               union
               select o.event
               from outbox o
               where o.company_id = m.company_id and o.webhook_id = $3 and o.next_at is not null) told
           where not may_read(m.company_id, m.role, told.event))"
);

const WEBHOOK_LIST: TenantSql = crate::sql!(
    "select webhook_id, url, to_jsonb(events) as events, enabled, created_at, failing_since
     from webhooks
     where company_id = $1
     order by webhook_id desc"
);

const WEBHOOK_READ: TenantSql = crate::sql!(
    "select webhook_id, url, to_jsonb(events) as events, enabled, created_at, failing_since
     from webhooks
     where company_id = $1 and webhook_id = $2"
);

/// Several at once may each find room for one: the limit keeps a list readable and a company's deliveries few.
const WEBHOOK_ADD: TenantSql = crate::sql!(
    "insert into webhooks (company_id, webhook_id, url, events, sealed_secret)
     select $1, $2, $3, $4, $5
     from companies c
     where c.company_id = $1 and $6 > (select count(*) from webhooks w where w.company_id = c.company_id)"
);

const WEBHOOK_CHANGE: TenantSql = crate::sql!(
    "update webhooks
     set url = coalesce($3, url), events = coalesce($4, events), enabled = coalesce($5, enabled),
         failing_since = case when $5::boolean then null else failing_since end
     where company_id = $1 and webhook_id = $2"
);

const WEBHOOK_REMOVE: TenantSql =
    crate::sql!("delete from webhooks where company_id = $1 and webhook_id = $2");

const WEBHOOK_RENEW: TenantSql =
    crate::sql!("update webhooks set sealed_secret = $3 where company_id = $1 and webhook_id = $2");
