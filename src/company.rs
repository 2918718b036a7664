//! The company itself: what it is and where it is found, and its audit log.
//!
//! It never changes whose a company is, or its id.

pub mod deletion;

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::ids::AuditId;
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::provisioning::slug;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// `GET /v1/company`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let company = batch.add::<Shown>(COMPANY_READ, params![member.user]);
    let mut rows = batch.send().await?;
    let shown = rows.one(company)?;
    let scope = &member.scope;
    answer(
        StatusCode::OK,
        &json!({
            "company_id": scope.company_id(),
            "slug": scope.slug(),
            "name": shown.name,
            "industry": scope.industry(),
            "time_zone": shown.time_zone,
            "plan": shown.plan,
            "url": scope.app().config.root.company_url(scope.slug()),
            "entries_to_confirm": shown.entries_to_confirm,
            "delete_after": shown.delete_after,
            "you": { "user_id": member.user, "name": shown.user_name, "role": shown.role },
        }),
    )
}

/// `PATCH /v1/company`: another name, another address, another time zone. An old address leads to the new one for 90 days, and
/// nobody else gets it: whoever knew it must not meet another company there. Its company may take it back.
///
/// # Errors
/// [`Error::Invalid`] for the body, among it a time zone that there is not; [`Error::Conflict`] when the address is taken or
/// was changed too often.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<Change>().await?;
    let texts = [("company's name", new.name.as_ref(), 120), ("time zone", new.time_zone.as_ref(), 60)];
    check_texts(&texts)?;
    new.slug.as_deref().map_or(Ok(()), slug::check)?;
    let mut batch = member.scope.batch();
    let taken = new.slug.as_ref().map(|slug| {
        let taken = batch.run(HOST_TAKE, params![slug]);
        batch.run(HOST_RELEASE, params![slug]);
        taken
    });
    batch.run(COMPANY_CHANGE, params![new.name, new.slug.clone(), new.time_zone]);
    let event = AuditId::new(member.scope.platform());
    batch.run(AUDIT_ADD, params![event, member.user, "company.changed", new.slug.unwrap_or_default()]);
    let company = batch.add::<Named>(COMPANY_NAMED, params![]);
    let mut rows = batch.send().await?;
    if let Some(taken) = taken {
        rows.touched(taken)?;
    }
    let named = rows.one(company)?;
    let url = member.scope.app().config.root.company_url(&named.slug);
    let shown = json!({ "name": named.name, "slug": named.slug, "time_zone": named.time_zone, "url": url });
    answer(StatusCode::OK, &shown)
}

#[derive(Deserialize)]
struct Named {
    name: String,
    slug: String,
    time_zone: String,
}

#[derive(Deserialize)]
struct Shown {
    name: String,
    time_zone: String,
    plan: String,
    entries_to_confirm: u32,
    /// From when on it may be deleted; null where nobody asked for that.
    delete_after: Option<String>,
    user_name: String,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    slug: Option<String>,
    time_zone: Option<String>,
}

const COMPANY_READ: TenantSql = crate::sql!(
    "select c.name, c.time_zone, c.delete_after, s.plan, u.name as user_name, m.role,
            (select count(*) from knowledge_entries e where e.company_id = c.company_id and e.to_confirm) as entries_to_confirm
     from companies c
     join subscriptions s on s.company_id = c.company_id
     join memberships m on m.company_id = c.company_id and m.user_id = $2
     join users u on u.company_id = m.company_id and u.user_id = m.user_id
     where c.company_id = $1"
);

/// Guards the batch: a company that gives up one address after another would keep them all from others. The one that it has is
/// no change.
const HOST_TAKE: TenantSql = crate::sql!(
    "insert into hosts (company_id, host, kind)
     select $1,
            case when count(*) filter (where h.released_at > now() - interval '1 year') < 5
                      or bool_or(h.host = $2 and h.released_at is null)
                 then $2 else refuse('BH409') end, 'slug'
     from hosts h
     where h.company_id = $1 and h.kind = 'slug'
     on conflict (company_id, host) do update set released_at = null"
);

const HOST_RELEASE: TenantSql = crate::sql!(
    "update hosts
     set released_at = now()
     where company_id = $1 and kind = 'slug' and host <> $2 and released_at is null"
);

/// A time zone that there is not raises 22023, in the comparison.
const COMPANY_CHANGE: TenantSql = crate::sql!(
    "update companies
     set name = coalesce($2, name), slug = coalesce($3, slug),
         time_zone = case when now() at time zone coalesce($4, time_zone) is not null then coalesce($4, time_zone) end
     where company_id = $1"
);

const COMPANY_NAMED: TenantSql = crate::sql!(
    "select name, slug, time_zone
     from companies
     where company_id = $1"
);

/// Notes that a member did something to something, or support in their place.
pub(crate) const AUDIT_ADD: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, user_id, action, target)
     values ($1, $2,
             case when exists (select from support_accesses a where a.company_id = $1 and a.access_id = $3)
                  then 'support' else 'member' end, $3, $4, $5)"
);

/// Notes that an agent, or the platform, did something to something.
pub(crate) const AUDIT_SYSTEM: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, action, target) values ($1, $2, 'system', $3, $4)"
);
