//! The calendar: opening hours, days on which the company is closed, and what can be asked for as an appointment.
//!
//! It never promises a time: an appointment is a request until staff confirm it.

pub mod week;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use serde_json::json;

use crate::error::Error;
use crate::fields::or_default;
use crate::idempotency::once;
use crate::ids::{AppointmentTypeId, ClosureId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// What an agent may propose as an appointment: `name`, `duration_minutes`, `notice_hours`, in the services' order.
pub const BOOKABLE_LIST: TenantSql = crate::sql!(
    "select a.name, a.duration_minutes, a.notice_hours
     from appointment_types a
     join services s on s.company_id = a.company_id and s.service_id = a.service_id
     where a.company_id = $1 and a.bookable
     order by s.position, a.name"
);

/// `GET /v1/hours`: the week, and the days on which it does not hold.
///
/// # Errors
/// As every batch.
pub async fn hours(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let hours = batch.add::<Hours>(HOURS_LIST, params![]);
    let closures = batch.add::<Closure>(CLOSURE_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "hours": rows.all(hours)?, "closures": rows.all(closures)? }))
}

/// `PATCH /v1/hours`: a whole week anew; a weekday that is not in it is closed.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn hours_change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let mut week = call.json::<Week>().await?.hours;
    // A browser's clock has no 24:00: what ends at midnight ends its own day.
    for hours in week.iter_mut().filter(|hours| hours.closes == "00:00") {
        hours.closes = "24:00".into();
    }
    week.sort_by(|a, b| (a.weekday, &a.opens).cmp(&(b.weekday, &b.opens)));
    let sensible = |hours: &Hours| {
        (1..=7).contains(&hours.weekday)
            && is_time(&hours.opens)
            && is_time(&hours.closes)
            && hours.opens < hours.closes
    };
    let apart = |a: &Hours, b: &Hours| a.weekday != b.weekday || a.closes <= b.opens;
    if week.len() > 28 || !week.iter().all(sensible) || !week.is_sorted_by(apart) {
        return Err(Error::Invalid(
            "Each stretch takes a weekday from 1 (Monday) to 7 and times such as 08:00 and 17:30, not overlapping.".into(),
        ));
    }
    let mut batch = member.scope.batch();
    batch.run(HOURS_CLEAR, params![]);
    for hours in week {
        batch.run(HOURS_ADD, params![hours.weekday, hours.opens, hours.closes]);
    }
    upkeep::note(&member, &mut batch, "hours.changed", &"");
    let hours = batch.add::<Hours>(HOURS_LIST, params![]);
    let closures = batch.add::<Closure>(CLOSURE_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "hours": rows.all(hours)?, "closures": rows.all(closures)? }))
}

/// `POST /v1/closures`: closed on that day.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when that day is closed already.
pub async fn closure_add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, closure_add_once(&member, &call)).await
}

async fn closure_add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewClosure>().await?;
    check_texts(&[("name", Some(&new.name), 120)])?;
    if !is_day(&new.day) {
        return Err(Error::Invalid("The day is written as in 2026-12-24.".into()));
    }
    let id = ClosureId::new(member.scope.platform());
    let row = Row { id, read: CLOSURE_READ, action: "closure.added" };
    row.written(member, StatusCode::CREATED, vec![(CLOSURE_ADD, params![id, new.day, new.name])]).await
}

/// `DELETE /v1/closures/{id}`: open on that day after all.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn closure_remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ClosureId>()?;
    upkeep::removed(&member, "closure.removed", &id, vec![(CLOSURE_REMOVE, params![id])]).await
}

/// `GET /v1/appointment-types`.
///
/// # Errors
/// As every batch.
pub async fn type_list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "appointment_types", TYPE_LIST).await
}

/// `PATCH /v1/appointment-types/{id}`: changes what is given.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn type_change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<AppointmentTypeId>()?;
    let new = call.json::<TypeChange>().await?;
    check_texts(&[("name", new.name.as_ref(), 120)])?;
    for (name, value, from, to) in [
        ("duration_minutes", new.duration_minutes, 5, 43_200),
        ("buffer_minutes", new.buffer_minutes, 0, 480),
        ("notice_hours", new.notice_hours, 0, 720),
    ] {
        if value.is_some_and(|value| !(from..=to).contains(&value)) {
            return Err(Error::Invalid(format!("{name} takes {from} to {to}.")));
        }
    }
    let row = Row { id, read: TYPE_READ, action: "appointment-type.changed" };
    let fields =
        params![id, new.name, new.duration_minutes, new.buffer_minutes, new.notice_hours, new.bookable];
    row.written(&member, StatusCode::OK, vec![(TYPE_CHANGE, fields)]).await
}

/// `08:00`, `24:00`: of one length, so that they compare as texts.
fn is_time(text: &str) -> bool {
    let Some((hour, minute)) = text.split_once(':') else { return false };
    let number = |part: &str| {
        let two = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        two.then(|| part.parse::<u8>().ok()).flatten()
    };
    matches!((number(hour), number(minute)), (Some(0..=23), Some(0..=59)) | (Some(24), Some(0)))
}

/// A day as ISO 8601 writes it, which every calendar has: whether this month has a 31st, only the calendar knows.
fn is_day(text: &str) -> bool {
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hours {
    weekday: u32,
    #[serde(deserialize_with = "or_default")]
    opens: String,
    #[serde(deserialize_with = "or_default")]
    closes: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Week {
    hours: Vec<Hours>,
}

#[derive(Serialize, Deserialize)]
struct Closure {
    closure_id: ClosureId,
    day: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClosure {
    day: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeChange {
    name: Option<String>,
    duration_minutes: Option<u32>,
    buffer_minutes: Option<u32>,
    notice_hours: Option<u32>,
    bookable: Option<bool>,
}

const HOURS_LIST: TenantSql = crate::sql!(
    "select weekday, to_char(opens, 'HH24:MI') as opens,
            case when closes = '24:00' then '24:00' else to_char(closes, 'HH24:MI') end as closes
     from opening_hours
     where company_id = $1
     order by weekday, opens"
);

const HOURS_CLEAR: TenantSql = crate::sql!("delete from opening_hours where company_id = $1");

const HOURS_ADD: TenantSql = crate::sql!(
    "insert into opening_hours (company_id, weekday, opens, closes) values ($1, $2, $3::time, $4::time)"
);

const CLOSURE_LIST: TenantSql = crate::sql!(
    "select closure_id, day, name from closures where company_id = $1 and day >= current_date order by day"
);

const CLOSURE_READ: TenantSql =
    crate::sql!("select closure_id, day, name from closures where company_id = $1 and closure_id = $2");

const CLOSURE_ADD: TenantSql =
    crate::sql!("insert into closures (company_id, closure_id, day, name) values ($1, $2, $3::date, $4)");

const CLOSURE_REMOVE: TenantSql =
    crate::sql!("delete from closures where company_id = $1 and closure_id = $2");

const TYPE_LIST: TenantSql = crate::sql!(
    "select a.appointment_type_id, s.slug as service, a.name, a.duration_minutes, a.buffer_minutes, a.notice_hours, a.bookable
     from appointment_types a
     join services s on s.company_id = a.company_id and s.service_id = a.service_id
     where a.company_id = $1
     order by s.position, a.name"
);

const TYPE_READ: TenantSql = crate::sql!(
    "select a.appointment_type_id, s.slug as service, a.name, a.duration_minutes, a.buffer_minutes, a.notice_hours, a.bookable
     from appointment_types a
     join services s on s.company_id = a.company_id and s.service_id = a.service_id
     where a.company_id = $1 and a.appointment_type_id = $2"
);

const TYPE_CHANGE: TenantSql = crate::sql!(
    "update appointment_types
     set name = coalesce($3, name), duration_minutes = coalesce($4, duration_minutes),
         buffer_minutes = coalesce($5, buffer_minutes), notice_hours = coalesce($6, notice_hours),
         bookable = coalesce($7, bookable)
     where company_id = $1 and appointment_type_id = $2"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days() {
        assert!(
            is_time("08:00")
                && is_time("24:00")
                && !is_time("8:00")
                && !is_time("24:30")
                && !is_time("+8:00")
        );
        assert!(
            is_day("2026-12-24") && !is_day("2026-02-30") && !is_day("2026-1-1") && !is_day("24.12.2026")
        );
    }
}
