//! Facts: what an agent may look up of the company: services, terms of the trade, opening hours, ways to pay.
//!
//! It never changes anything, and tells nothing that is not on the company's own page.

use serde::Deserialize;

use super::{OPEN_READ, Open, Outcome, arguments};
use crate::calendar::week::{Stretch, WEEK_READ, week};
use crate::error::Error;
use crate::fields::or_default;
use crate::knowledge::check_texts;
use crate::llm::ToolCall;
use crate::params;
use crate::services::PAYMENT_LIST;
use crate::services::offer::{OFFER_SEARCH, Offer};
use crate::site::pages::{CLOSED_LIST, Closed, Way};
use crate::tenant::TenantSql;
use crate::tenant::auth::Visitor;

/// `list_services`: what the company offers that fits the words.
pub(super) async fn services(visitor: &Visitor, call: &ToolCall) -> Result<Outcome, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        #[serde(deserialize_with = "or_default")]
        about: String,
    }
    let Arguments { about } = arguments(call)?;
    check_texts(&[("about", Some(&about).filter(|about| !about.is_empty()), 120)])?;
    let mut batch = visitor.scope.batch();
    let offers = batch.add::<Offer>(OFFER_SEARCH, params![about]);
    let offers = batch.send().await?.all(offers)?;
    if offers.is_empty() {
        return Ok(said(
            "No service of the company's fits that. Say so, and offer that somebody calls back.",
        ));
    }
    let lines = offers.iter().map(|offer| {
        let mut line = format!("- {}: {} {}", offer.name, offer.price(), offer.unit);
        if let Some(duration) = offer.duration() {
            line.push_str(&format!(", usually {duration}"));
        }
        format!("{line}. {} Includes: {}", offer.description, offer.includes)
    });
    Ok(said(&lines.collect::<Vec<_>>().join("\n")))
}

/// `explain_term`: what the company says that a word means.
pub(super) async fn term(visitor: &Visitor, call: &ToolCall) -> Result<Outcome, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        term: String,
    }
    let given: Arguments = arguments(call)?;
    check_texts(&[("term", Some(&given.term), 120)])?;
    let mut batch = visitor.scope.batch();
    let terms = batch.add::<Term>(TERM_SEARCH, params![given.term]);
    let terms = batch.send().await?.all(terms)?;
    if terms.is_empty() {
        return Ok(said("The company's glossary does not have that word. Say that you do not know it."));
    }
    let lines = terms.iter().map(|it| format!("- {}: {}", it.term, it.meaning));
    Ok(said(&lines.collect::<Vec<_>>().join("\n")))
}

/// `opening_hours`: the week, the closed days that are near, and whether somebody is there now.
pub(super) async fn hours(visitor: &Visitor, call: &ToolCall) -> Result<Outcome, Error> {
    let Nothing {} = arguments(call)?;
    let mut batch = visitor.scope.batch();
    let stretches = batch.add::<Stretch>(WEEK_READ, params![]);
    let closed = batch.add::<Closed>(CLOSED_LIST, params![]);
    let open = batch.add::<Open>(OPEN_READ, params![]);
    let mut rows = batch.send().await?;
    let mut lines: Vec<_> =
        week(&rows.all(stretches)?).iter().map(|day| format!("- {}: {}", day.name, day.open)).collect();
    lines.extend(rows.all(closed)?.iter().map(|it| format!("- closed on {} ({})", it.day, it.name)));
    lines.push(
        if rows.one(open)?.open { "The company is open now." } else { "The company is closed now." }.into(),
    );
    Ok(said(&lines.join("\n")))
}

/// `payment_methods`: how customers can pay.
pub(super) async fn payments(visitor: &Visitor, call: &ToolCall) -> Result<Outcome, Error> {
    let Nothing {} = arguments(call)?;
    let mut batch = visitor.scope.batch();
    let ways = batch.add::<Way>(PAYMENT_LIST, params![]);
    let ways = batch.send().await?.all(ways)?;
    if ways.is_empty() {
        return Ok(said("The company has not said how customers can pay. Offer that somebody calls back."));
    }
    let lines = ways.iter().map(|way| match way.note.as_str() {
        "" => format!("- {}", way.name),
        note => format!("- {}: {note}", way.name),
    });
    Ok(said(&lines.collect::<Vec<_>>().join("\n")))
}

fn said(text: &str) -> Outcome {
    Outcome::from(text.to_owned())
}

/// A tool that takes nothing takes nothing else either.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
struct Term {
    term: String,
    meaning: String,
}

/// The terms that a word could mean (`$2`): by name, by another word for it, or by part of either, the nearest first.
const TERM_SEARCH: TenantSql = crate::sql!(
    "select g.term, g.meaning
     from glossary_terms g
     cross join lateral (
         select max(case when lower(p.phrase) = lower(btrim($2)) then 2 else word_similarity(lower($2), p.phrase) end) as near
         from search_synonyms p
         where p.company_id = g.company_id and p.term_id = g.term_id) s
     where g.company_id = $1 and s.near > 0.6
     order by s.near desc, g.term
     limit 3"
);
