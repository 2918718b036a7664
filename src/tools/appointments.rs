//! Proposes appointments: times at which the company is open, by its own clock.
//!
//! It never books one: a person of the company confirms.

use serde::Deserialize;

use super::{Outcome, arguments};
use crate::error::Error;
use crate::fields::or_default;
use crate::llm::ToolCall;
use crate::params;
use crate::tenant::TenantSql;
use crate::tenant::auth::Visitor;

pub(super) async fn propose(visitor: &Visitor, call: &ToolCall) -> Result<Outcome, Error> {
    let wanted: Wanted = arguments(call)?;
    if let Some(from) = &wanted.from
        && chrono::NaiveDate::parse_from_str(from, "%Y-%m-%d").is_err()
    {
        return Err(Error::Invalid("`from` is a day like 2026-11-30.".into()));
    }
    let minutes = wanted.minutes.unwrap_or(60).clamp(15, 480);
    let mut batch = visitor.scope.batch();
    let slots = batch.add::<Slot>(SLOT_LIST, params![wanted.from, wanted.part_of_day.as_str(), minutes]);
    let slots = batch.send().await?.all(slots)?;
    if slots.is_empty() {
        let none = "No times were found in the two weeks from there. Ask for another day, or hand over.";
        return Ok(Outcome::from(none.to_owned()));
    }
    let times: Vec<_> = slots.into_iter().map(|slot| slot.starts).collect();
    Ok(Outcome::from(format!(
        "The company is open at these times (local): {}. Offer two or three. Say that a person confirms the one that is chosen.",
        times.join("; ")
    )))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    from: Option<String>,
    #[serde(deserialize_with = "or_default")]
    part_of_day: PartOfDay,
    minutes: Option<u32>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PartOfDay {
    Morning,
    Afternoon,
    #[default]
    Any,
}

impl PartOfDay {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Morning => "morning",
            Self::Afternoon => "afternoon",
            Self::Any => "any",
        }
    }
}

#[derive(Deserialize)]
struct Slot {
    starts: String,
}

/// Up to two times a day within two weeks from a day (`$2`; null: today), in a part of the day (`$3`), so many minutes
/// (`$4`) before closing, at least two hours from now, and on no day on which the company is closed.
const SLOT_LIST: TenantSql = crate::sql!(
    "with clock as (
         select c.company_id, now() at time zone c.time_zone as now from companies c where c.company_id = $1
     ),
     days as (
         select k.company_id, k.now, d::date as day
         from clock k
         cross join generate_series(greatest(coalesce($2::date, k.now::date), k.now::date),
                                    greatest(coalesce($2::date, k.now::date), k.now::date) + 13, interval '1 day') d
     ),
     slots as (
         select s as starts, row_number() over (partition by d.day order by s) as place
         from days d
         join opening_hours h on h.company_id = d.company_id and h.weekday = extract(isodow from d.day)
         cross join generate_series(d.day + h.opens, d.day + h.closes - make_interval(mins => $4), interval '2 hours') s
         where s > d.now + interval '2 hours'
           and not exists (select from closures x where x.company_id = d.company_id and x.day = d.day)
           and case $3 when 'morning' then s::time < '12:00' when 'afternoon' then s::time >= '12:00' else true end
     )
     select to_char(starts, 'FMDay FMDD FMMonth YYYY, HH24:MI') as starts
     from slots
     where place <= 2
     order by slots.starts
     limit 6"
);
