//! Terms: the words of the trade in plain language, and what customers call the same thing; search widens a question by them.
//!
//! It never lets a term's phrases for search differ from the term: both are written together.

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::error::Error;
use crate::fields::or_default;
use crate::idempotency::once;
use crate::ids::TermId;
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// `GET /v1/terms`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "terms", TERM_LIST).await
}

/// `POST /v1/terms`.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the term is there.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewTerm>().await?;
    check(Some(&new.term), Some(&new.meaning), Some(&new.synonyms))?;
    let id = TermId::new(member.scope.platform());
    let row = Row { id, read: TERM_READ, action: "term.added" };
    let statements =
        vec![(TERM_ADD, params![id, new.term, new.meaning, new.synonyms]), (PHRASES_ADD, params![id])];
    row.written(member, StatusCode::CREATED, statements).await
}

/// `PATCH /v1/terms/{id}`: changes what is given; the term is the company's own from then on.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<TermId>()?;
    let new = call.json::<TermChange>().await?;
    check(None, new.meaning.as_ref(), new.synonyms.as_ref())?;
    let row = Row { id, read: TERM_READ, action: "term.changed" };
    let statements = vec![
        (TERM_CHANGE, params![id, new.meaning, new.synonyms]),
        (PHRASES_CLEAR, params![id]),
        (PHRASES_ADD, params![id]),
    ];
    row.written(&member, StatusCode::OK, statements).await
}

/// `DELETE /v1/terms/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<TermId>()?;
    let statements = vec![(TERM_FORGET, params![id]), (TERM_REMOVE, params![id])];
    upkeep::removed(&member, "term.removed", &id, statements).await
}

fn check(term: Option<&String>, meaning: Option<&String>, synonyms: Option<&String>) -> Result<(), Error> {
    check_texts(&[
        ("term", term, 120),
        ("meaning", meaning, 1_000),
        ("list of synonyms", synonyms.filter(|text| !text.is_empty()), 1_000),
    ])?;
    let phrases = || synonyms.iter().flat_map(|text| text.split(','));
    if phrases().count() > 30 || phrases().any(|phrase| phrase.chars().count() > 120) {
        return Err(Error::Invalid(
            "A term takes up to 30 synonyms of up to 120 characters, separated by commas.".into(),
        ));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTerm {
    term: String,
    meaning: String,
    #[serde(deserialize_with = "or_default")]
    synonyms: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TermChange {
    meaning: Option<String>,
    synonyms: Option<String>,
}

const TERM_LIST: TenantSql = crate::sql!(
    "select term_id, term, meaning, synonyms, origin from glossary_terms where company_id = $1 order by lower(term)"
);

const TERM_READ: TenantSql = crate::sql!(
    "select term_id, term, meaning, synonyms, origin from glossary_terms where company_id = $1 and term_id = $2"
);

const TERM_ADD: TenantSql = crate::sql!(
    "insert into glossary_terms (company_id, term_id, term, meaning, synonyms) values ($1, $2, $3, $4, $5)"
);

const TERM_CHANGE: TenantSql = crate::sql!(
    "update glossary_terms
     set meaning = coalesce($3, meaning), synonyms = coalesce($4, synonyms), origin = 'company'
     where company_id = $1 and term_id = $2"
);

const TERM_FORGET: TenantSql = crate::sql!(
    "insert into removals (company_id, kind, slug)
     select $1, 'term', g.term
     from glossary_terms g
     where g.company_id = $1 and g.term_id = $2 and g.origin_version is not null
     on conflict (company_id, kind, slug) do nothing"
);

const TERM_REMOVE: TenantSql =
    crate::sql!("delete from glossary_terms where company_id = $1 and term_id = $2");

const PHRASES_CLEAR: TenantSql =
    crate::sql!("delete from search_synonyms where company_id = $1 and term_id = $2");

const PHRASES_ADD: TenantSql = crate::sql!(
    "insert into search_synonyms (company_id, term_id, phrase, lexemes)
     select $1, g.term_id, p.phrase, tsvector_to_array(to_tsvector('english', p.phrase))
     from glossary_terms g
     cross join lateral (
         select distinct btrim(word) as phrase
         from regexp_split_to_table(lower(g.term || ',' || g.synonyms), ',') word
         where btrim(word) <> '') p
     where g.company_id = $1 and g.term_id = $2"
);
