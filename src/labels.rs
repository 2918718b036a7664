//! Labels: what a lead is about, told by its words.
//!
//! It never stores which lead has which label: a changed label is right for old leads too.

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::error::Error;
use crate::idempotency::once;
use crate::ids::LabelId;
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::site::color::Color;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// `GET /v1/labels`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "labels", LABEL_LIST).await
}

/// `POST /v1/labels`.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the name is taken.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewLabel>().await?;
    check(Some(&new.name), Some(&new.color), Some(&new.words))?;
    let id = LabelId::new(member.scope.platform());
    let row = Row { id, read: LABEL_READ, action: "label.added" };
    let fields = params![id, new.name, new.color, new.words];
    row.written(member, StatusCode::CREATED, vec![(LABEL_ADD, fields)]).await
}

/// `PATCH /v1/labels/{id}`: changes what is given.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] for the body, [`Error::Conflict`] when the name is taken.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<LabelId>()?;
    let new = call.json::<LabelChange>().await?;
    check(new.name.as_ref(), new.color.as_ref(), new.words.as_ref())?;
    let row = Row { id, read: LABEL_READ, action: "label.changed" };
    let fields = params![id, new.name, new.color, new.words];
    row.written(&member, StatusCode::OK, vec![(LABEL_CHANGE, fields)]).await
}

/// `DELETE /v1/labels/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<LabelId>()?;
    upkeep::removed(&member, "label.removed", &id, vec![(LABEL_REMOVE, params![id])]).await
}

fn check(name: Option<&String>, color: Option<&String>, words: Option<&String>) -> Result<(), Error> {
    check_texts(&[("name", name, 60), ("list of words", words, 500)])?;
    match color {
        Some(color) if Color::parse(color).is_none_or(|parsed| parsed.hex() != *color) => {
            Err(Error::Invalid(
                "The color takes a # and six hexadecimal digits in lower case, as in #1565c0.".into(),
            ))
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLabel {
    name: String,
    color: String,
    words: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelChange {
    name: Option<String>,
    color: Option<String>,
    words: Option<String>,
}

const LABEL_LIST: TenantSql = crate::sql!(
    "select label_id, name, color, words from labels where company_id = $1 order by position, name"
);

const LABEL_READ: TenantSql =
    crate::sql!("select label_id, name, color, words from labels where company_id = $1 and label_id = $2");

const LABEL_ADD: TenantSql = crate::sql!(
    "insert into labels (company_id, label_id, name, color, words, position) values ($1, $2, $3, $4, $5, 100)"
);

const LABEL_CHANGE: TenantSql = crate::sql!(
    "update labels
     set name = coalesce($3, name), color = coalesce($4, color), words = coalesce($5, words)
     where company_id = $1 and label_id = $2"
);

const LABEL_REMOVE: TenantSql = crate::sql!("delete from labels where company_id = $1 and label_id = $2");
