//! One's own account: name, address, and what protects it.
//!
//! It never changes an address before mail has reached the new one, and never touches a colleague's account.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::links::verification;
use crate::mail;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::sessions::password_check;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// `GET /v1/account`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member) -> Result<Response<Body>, Error> {
    answer(StatusCode::OK, &own(&member).await?)
}

/// `POST /v1/account/verification`: mails a link that confirms one's address.
///
/// # Errors
/// [`Error::Conflict`] when it is confirmed, or no mail can be sent; [`Error::TooMany`] after too many.
pub async fn verify(member: Member) -> Result<Response<Body>, Error> {
    mail::possible(&member.scope)?;
    let own = own(&member).await?;
    if own.email_verified {
        return Err(Error::Conflict("Your address is confirmed already.".into()));
    }
    send(&member, &own.email).await
}

/// `POST /v1/account/email`: mails a link to another address; once it is used, that is one's address.
///
/// # Errors
/// [`Error::WrongPassword`], [`Error::Invalid`] for the address; else as [`verify`].
pub async fn change_email(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<NewEmail>().await?;
    mail::possible(&member.scope)?;
    let email = mail::address(&given.email)?;
    password_check(&member.scope, member.user, &given.password).await?;
    send(&member, &email).await
}

async fn send(member: &Member, email: &str) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let letter = verification(&member.scope, &mut batch, member.user, email);
    batch.send().await?;
    mail::send(&member.scope, &letter).await?;
    answer(StatusCode::ACCEPTED, &json!({ "mailed": true }))
}

/// One's own account, as one sees it.
///
/// # Errors
/// As every batch.
pub(crate) async fn own(member: &Member) -> Result<Own, Error> {
    let mut batch = member.scope.batch();
    let own = batch.add::<Own>(OWN_READ, params![member.user]);
    batch.send().await?.one(own)
}

/// One's own account.
#[derive(Serialize, Deserialize)]
pub(crate) struct Own {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) email_verified: bool,
    /// An address that waits for its link to be used.
    pub(crate) new_email: Option<String>,
    /// Whether signing in takes a code.
    pub(crate) two_step: bool,
    /// Recovery codes that are still good.
    pub(crate) recovery_codes: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEmail {
    email: String,
    password: String,
}

const OWN_READ: TenantSql = crate::sql!(
    "select u.name, u.email, u.email_verified_at is not null as email_verified, l.email as new_email,
            u.totp_enabled_at is not null as two_step,
            (select count(*) from recovery_codes c
             where c.company_id = u.company_id and c.user_id = u.user_id and c.used_at is null) as recovery_codes
     from users u
     left join account_links l on l.company_id = u.company_id and l.user_id = u.user_id and l.purpose = 'verify'
                              and l.used_at is null and l.expires_at > now() and l.email <> u.email
     where u.company_id = $1 and u.user_id = $2"
);
