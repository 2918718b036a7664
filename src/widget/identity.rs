//! Visitors whom the company's own server vouches for.
//!
//! It never makes one visitor into another: whoever was somebody stays so, and somebody else is a new visitor.

use base64ct::{Base64UrlUnpadded, Encoding};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::fields::Bytes;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::{Member, Visitor};
use crate::upkeep;

/// `POST /v1/widget-settings/secret`: a new secret; this answer shows it, and no other ever does. What was signed with
/// the one before is not believed any more.
///
/// # Errors
/// As every batch.
pub async fn renew(member: Member) -> Result<Response<Body>, Error> {
    let mut random = [0; 32];
    member.scope.platform().fill_random(&mut random);
    let secret = format!("bi_{}", Base64UrlUnpadded::encode_string(&random));
    let mut batch = member.scope.batch();
    let set = batch.run(SECRET_SET, params![&member.scope.identity_seal(&secret)?[..]]);
    upkeep::note(&member, &mut batch, "identity-secret.renewed", &"");
    batch.send().await?.touched(set)?;
    answer(StatusCode::CREATED, &json!({ "identity_secret": secret }))
}

/// `POST /v1/identity`: who this visitor is, by a token of the company's server: HS256 with the secret's text, `sub`, `exp` within an
/// hour, and `name` and `email` where they are known.
///
/// # Errors
/// [`Error::Invalid`] when the token is not good, [`Error::Conflict`] when this visitor is somebody else already.
pub async fn verify(visitor: Visitor, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Given>().await?;
    let scope = &visitor.scope;
    let mut batch = scope.batch();
    let secret = batch.add::<Secret>(SECRET_READ, params![]);
    let secret = batch.send().await?.maybe(secret)?.and_then(|secret| secret.sealed_identity_secret);
    let identity = secret.and_then(|secret| scope.identity(&secret.0, &given.token)).ok_or_else(|| {
        Error::Invalid(
            "This identity cannot be believed. It is a JWT that the company's server signs with its identity secret \
             (HS256), with sub and an exp within an hour."
                .into(),
        )
    })?;
    let mut batch = scope.batch();
    let fields = params![visitor.id, &identity.sub, identity.name.clone(), identity.email.clone()];
    let kept = batch.run(IDENTITY_KEEP, fields);
    if batch.send().await?.count(kept)? == 0 {
        return Err(Error::Conflict(
            "This visitor is somebody else already. Ask for a new visitor token.".into(),
        ));
    }
    answer(StatusCode::OK, &identity)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    token: String,
}

#[derive(Deserialize)]
struct Secret {
    sealed_identity_secret: Option<Bytes>,
}

const SECRET_SET: TenantSql = crate::sql!(
    "update widget_settings set sealed_identity_secret = $2, identity_secret_at = now() where company_id = $1"
);

const SECRET_READ: TenantSql =
    crate::sql!("select sealed_identity_secret from widget_settings where company_id = $1");

const IDENTITY_KEEP: TenantSql = crate::sql!(
    "insert into visitor_identities (company_id, visitor_id, subject, name, email)
     values ($1, $2, $3, $4, $5)
     on conflict (company_id, visitor_id) do update
     set name = excluded.name, email = excluded.email, verified_at = now()
     where visitor_identities.company_id = $1 and visitor_identities.subject = excluded.subject"
);
