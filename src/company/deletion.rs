//! A company's end, as its owner asks for it: after some days it may be deleted, unless an owner calls that off before.
//!
//! It never deletes anything: the operator's tool does, once the days are over.

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::error::Error;
use crate::fields::Field;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::sessions::password_check;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep;

/// Days until it may be carried out, if nothing else is asked for.
const DAYS: u32 = 30;

/// `POST /v1/company/deletion`: from some days on the company may be deleted; until then it goes on as before. Asked for again,
/// the days begin anew.
///
/// # Errors
/// [`Error::Invalid`] for the days, [`Error::WrongPassword`], [`Error::TooMany`] after too many tries.
pub async fn ask(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Ask>().await?;
    let days = given.days.unwrap_or(DAYS);
    if !(7..=365).contains(&days) {
        return Err(Error::Invalid("A company is deleted after 7 to 365 days: give so many.".into()));
    }
    password_check(&member.scope, member.user, &given.password).await?;
    let mut batch = member.scope.batch();
    let asked = batch.add::<Field>(DELETION_ASK, params![days]);
    upkeep::note(&member, &mut batch, "company.deletion_requested", &"");
    answer(StatusCode::OK, &batch.send().await?.fields(asked)?.pop().ok_or(Error::NotFound)?)
}

/// `DELETE /v1/company/deletion`: calls it off.
///
/// # Errors
/// [`Error::NotFound`] when nobody asked for it.
pub async fn cancel(member: Member) -> Result<Response<Body>, Error> {
    let statements = vec![(DELETION_CANCEL, params![])];
    upkeep::removed(&member, "company.deletion_cancelled", &"", statements).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    password: String,
    /// 7 to 365; 30 where it is left out.
    days: Option<u32>,
}

const DELETION_ASK: TenantSql = crate::sql!(
    "update companies
     set delete_after = now() + make_interval(days => $2)
     where company_id = $1
     returning delete_after"
);

/// One that has begun is not called off any more: half of the company is gone.
const DELETION_CANCEL: TenantSql = crate::sql!(
    "update companies
     set delete_after = null
     where company_id = $1 and delete_after is not null and deleted_so_far is null"
);
