//! Services: what the company sells and for how much, and how customers can pay.
//!
//! It never converts or rounds a price: US cents in, US cents out.

pub mod offer;

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::agents::check_slug;
use crate::error::Error;
use crate::fields::or_default;
use crate::idempotency::once;
use crate::ids::{MethodId, ServiceId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// How customers can pay, for whoever asks: `name`, `note`.
pub const PAYMENT_LIST: TenantSql = crate::sql!(
    "select name, note from payment_methods where company_id = $1 and accepted order by position, name"
);

/// `GET /v1/services`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "services", SERVICE_LIST).await
}

/// `POST /v1/services`: adds a service of the company's own, and with it an appointment that can be asked for.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the short name is taken.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewService>().await?;
    check_slug(&new.slug)?;
    let slug = new.slug.clone();
    let new = new.rest();
    new.check()?;
    let id = ServiceId::new(member.scope.platform());
    let row = Row { id, read: SERVICE_READ, action: "service.added" };
    let fields = params![
        id,
        slug,
        new.name,
        new.description,
        new.price_from_cents,
        new.price_to_cents,
        new.unit,
        new.duration_minutes,
        new.includes,
    ];
    let statements = vec![(SERVICE_ADD, fields), (APPOINTMENT_ADD, params![id])];
    row.written(member, StatusCode::CREATED, statements).await
}

/// `PATCH /v1/services/{id}`: changes what is given; the service is the company's own from then on, its price confirmed.
/// A lowest price that is given takes the highest one with it: null, where none is given, for "from".
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ServiceId>()?;
    let new = call.json::<ServiceChange>().await?;
    new.check()?;
    let row = Row { id, read: SERVICE_READ, action: "service.changed" };
    let priced = new.price_from_cents.is_some();
    let fields = params![
        id,
        new.name,
        new.description,
        new.price_from_cents,
        new.price_to_cents,
        new.unit,
        new.duration_minutes,
        new.includes,
    ];
    let mut statements = vec![(SERVICE_CHANGE, fields)];
    if priced {
        statements.push((PRICE_CONFIRM, params![id]));
    }
    row.written(&member, StatusCode::OK, statements).await
}

/// `DELETE /v1/services/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ServiceId>()?;
    let statements = vec![(SERVICE_FORGET, params![id]), (SERVICE_REMOVE, params![id])];
    upkeep::removed(&member, "service.removed", &id, statements).await
}

/// `GET /v1/payment-methods`.
///
/// # Errors
/// As every batch.
pub async fn method_list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "payment_methods", METHOD_LIST).await
}

/// `PATCH /v1/payment-methods/{id}`: whether the company takes it, and what customers should know.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn method_change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<MethodId>()?;
    let new = call.json::<MethodChange>().await?;
    check_texts(&[("note", new.note.as_ref().filter(|note| !note.is_empty()), 200)])?;
    let row = Row { id, read: METHOD_READ, action: "payment-method.changed" };
    let fields = params![id, new.accepted, new.note];
    row.written(&member, StatusCode::OK, vec![(METHOD_CHANGE, fields)]).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewService {
    slug: String,
    name: String,
    description: String,
    price_from_cents: Option<u32>,
    price_to_cents: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    unit: String,
    duration_minutes: Option<u32>,
    #[serde(deserialize_with = "or_default")]
    includes: String,
}

impl NewService {
    /// All but the short name, as if it were changed.
    fn rest(self) -> ServiceChange {
        ServiceChange {
            name: Some(self.name),
            description: Some(self.description),
            price_from_cents: self.price_from_cents,
            price_to_cents: self.price_to_cents,
            unit: Some(self.unit),
            duration_minutes: self.duration_minutes,
            includes: Some(self.includes),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceChange {
    name: Option<String>,
    description: Option<String>,
    price_from_cents: Option<u32>,
    price_to_cents: Option<u32>,
    unit: Option<String>,
    duration_minutes: Option<u32>,
    includes: Option<String>,
}

impl ServiceChange {
    fn check(&self) -> Result<(), Error> {
        check_texts(&[
            ("name", self.name.as_ref(), 120),
            ("description", self.description.as_ref(), 1_000),
            ("unit", self.unit.as_ref().filter(|unit| !unit.is_empty()), 60),
            ("list of what is included", self.includes.as_ref().filter(|text| !text.is_empty()), 1_000),
        ])?;
        let most = 100_000_000;
        let sensible = match (self.price_from_cents, self.price_to_cents) {
            (Some(from), Some(to)) => from <= to && to <= most,
            (Some(from), None) => from <= most,
            (None, Some(_)) => false,
            (None, None) => true,
        };
        if !sensible {
            return Err(Error::Invalid(
                "price_from_cents takes 0 to 100000000, and price_to_cents no less than it; give both, or the first alone.".into(),
            ));
        }
        if self.duration_minutes.is_some_and(|minutes| !(5..=43_200).contains(&minutes)) {
            return Err(Error::Invalid("duration_minutes takes 5 to 43200, which is thirty days.".into()));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MethodChange {
    accepted: Option<bool>,
    note: Option<String>,
}

const SERVICE_LIST: TenantSql = crate::sql!(
    "select service_id, slug, name, description, price_from_cents, price_to_cents, unit, duration_minutes, includes, origin
     from services
     where company_id = $1
     order by position, slug"
);

const SERVICE_READ: TenantSql = crate::sql!(
    "select service_id, slug, name, description, price_from_cents, price_to_cents, unit, duration_minutes, includes, origin
     from services
     where company_id = $1 and service_id = $2"
);

const SERVICE_ADD: TenantSql = crate::sql!(
    "insert into services (company_id, service_id, slug, name, description, price_from_cents, price_to_cents, unit,
                           duration_minutes, includes, position)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1000)"
);

const APPOINTMENT_ADD: TenantSql = crate::sql!(
    "insert into appointment_types (company_id, appointment_type_id, service_id, name, duration_minutes, buffer_minutes, notice_hours)
     select $1, gen_random_uuid(), s.service_id, s.name, s.duration_minutes, 15, 4
     from services s
     where s.company_id = $1 and s.service_id = $2 and s.duration_minutes is not null"
);

const SERVICE_CHANGE: TenantSql = crate::sql!(
    "update services
     set name = coalesce($3, name), description = coalesce($4, description),
         price_from_cents = coalesce($5, price_from_cents),
         price_to_cents = case when $5::integer is null then price_to_cents else $6 end,
         unit = coalesce($7, unit), duration_minutes = coalesce($8, duration_minutes), includes = coalesce($9, includes),
         origin = 'company'
     where company_id = $1 and service_id = $2"
);

const PRICE_CONFIRM: TenantSql = crate::sql!(
    "update checklist_items i
     set done_at = coalesce(i.done_at, now())
     from services s
     where i.company_id = $1 and s.company_id = i.company_id and s.service_id = $2 and i.slug = 'price-' || s.slug"
);

const SERVICE_FORGET: TenantSql = crate::sql!(
    "insert into removals (company_id, kind, slug)
     select $1, 'service', s.slug
     from services s
     where s.company_id = $1 and s.service_id = $2 and s.origin_version is not null
     on conflict (company_id, kind, slug) do nothing"
);

const SERVICE_REMOVE: TenantSql =
    crate::sql!("delete from services where company_id = $1 and service_id = $2");

const METHOD_LIST: TenantSql = crate::sql!(
    "select method_id, name, accepted, note from payment_methods where company_id = $1 order by position, name"
);

const METHOD_READ: TenantSql = crate::sql!(
    "select method_id, name, accepted, note from payment_methods where company_id = $1 and method_id = $2"
);

const METHOD_CHANGE: TenantSql = crate::sql!(
    "update payment_methods
     set accepted = coalesce($3, accepted), note = coalesce($4, note)
     where company_id = $1 and method_id = $2"
);
