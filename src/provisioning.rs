//! Provisioning: a company, whole, in one transaction and one request.
//!
//! It never copies a row in Rust: each kind of row is one `insert … select` from the template's rows.

mod copies;
pub(crate) mod slug;

pub use copies::COPIES;

use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::ids::{AuditId, UserId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::sessions::password_hash;
use crate::tenant::{Repeat, TenantScope, TenantSql, auth};

/// `POST /v1/signup`: makes a company; its site and its chat answer at once.
///
/// With an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) the company's id follows from the key, so that
/// a repeated request finds the company that the first one made, whole, and is answered alike.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the slug is taken or the key was used for something else.
pub async fn signup(call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<Signup>().await?;
    check_texts(&[("company's name", Some(&new.company), 120), ("name", Some(&new.name), 120)])?;
    slug::check(&new.slug)?;
    let email = check_email(&new.email)?;
    let password = password_hash(&*call.platform, &new.password)?;

    let repeat = call.idempotency_key()?.map(|key| new.request(&email, key));
    let scope = auth::founder(&call, &new.slug, &new.company, &new.industry, repeat.as_ref())?;
    let seal = repeat.as_ref().map(|repeat| scope.signup_seal(repeat)).transpose()?;
    let seal = seal.as_ref().map(<[u8; 32]>::as_slice);
    let user = UserId::new(&*call.platform);
    let mut batch = scope.batch();
    let made = batch.run(COMPANY_ADD, params![&new.slug, &new.company, &new.industry, seal]);
    batch.run(HOST_ADD, params![&new.slug]);
    batch.run(USER_ADD, params![user, email, new.name, password]);
    batch.run(MEMBERSHIP_ADD, params![user]);
    batch.run(SUBSCRIPTION_ADD, params!["starter"]);
    batch.run(BUDGET_ADD, params!["starter"]);
    for sql in COPIES {
        batch.run(*sql, params![&new.industry, &new.company]);
    }
    batch.run(AUDIT_SIGNUP, params![AuditId::new(&*call.platform), user]);
    let unknown =
        || Error::Invalid(format!("There is no industry {:?}. GET /v1/industries lists them.", new.industry));
    let mut rows = match batch.send().await {
        Ok(rows) => rows,
        // The company with this request's id is there: the first answer was lost, or the key is used for something else.
        Err(Error::Conflict(taken)) => return made_before(&call, &scope, seal, taken).await,
        // Nothing else refers to anything that may be missing.
        Err(Error::NotFound) => return Err(unknown()),
        Err(error) => return Err(error),
    };
    rows.touched(made).map_err(|_| unknown())?;
    answer(StatusCode::CREATED, &founded(&call, &scope, &new.slug, &new.company, user))
}

/// The answer that the first of several same requests got, or would have got.
async fn made_before(
    call: &Call,
    scope: &TenantScope,
    seal: Option<&[u8]>,
    taken: String,
) -> Result<Response<Body>, Error> {
    let Some(seal) = seal else { return Err(Error::Conflict(taken)) };
    let mut batch = scope.batch();
    let made = batch.add::<Founded>(COMPANY_FOUNDED, params![seal]);
    match batch.send().await?.maybe(made)? {
        None => Err(Error::Conflict(taken)),
        Some(made) if !made.same => Err(Error::Conflict(
            "This Idempotency-Key was used for another sign-up. Take a new key for a new company.".into(),
        )),
        Some(made) => {
            let mut response =
                answer(StatusCode::CREATED, &founded(call, scope, &made.slug, &made.name, made.user_id))?;
            let replayed = HeaderName::from_static("idempotency-replayed");
            response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
            Ok(response)
        }
    }
}

fn founded(call: &Call, scope: &TenantScope, slug: &str, name: &str, user: UserId) -> serde_json::Value {
    let company = json!({
        "company_id": scope.company_id(),
        "slug": slug,
        "name": name,
        "url": call.app.config.root.company_url(slug),
    });
    json!({ "company": company, "user_id": user })
}

/// `GET /v1/industries`: what a company can start from.
///
/// # Errors
/// [`Error::Unavailable`] when the database does not answer.
pub async fn industries(call: Call) -> Result<Response<Body>, Error> {
    let industries = crate::tenant::postgres::industries(&call).await?;
    answer(StatusCode::OK, &json!({ "industries": industries }))
}

/// `GET /v1/slugs?name=…&industry=…`: up to five free addresses for a company's name, the nearest first.
///
/// # Errors
/// [`Error::Invalid`] without a name, [`Error::Unavailable`] when the database does not answer.
pub async fn slugs(call: Call) -> Result<Response<Body>, Error> {
    let name = call.query("name").filter(|name| (1..=400).contains(&name.trim().len()));
    let name =
        name.ok_or_else(|| Error::Invalid("Add the company's name: /v1/slugs?name=Acme+Plumbing.".into()))?;
    let industry = call.query("industry").unwrap_or_default();
    let wanted = slug::suggestions(&name, &industry);
    let free = crate::tenant::postgres::slugs_free(&call, &wanted).await?;
    answer(StatusCode::OK, &json!({ "slugs": free }))
}

fn check_email(email: &str) -> Result<String, Error> {
    let email = email.trim().to_lowercase();
    let fine = (3..=254).contains(&email.len())
        && email.bytes().all(|b| !b.is_ascii_control() && b != b' ')
        && email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'));
    if fine { Ok(email) } else { Err(Error::Invalid("The e-mail address is not one. Check it.".into())) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signup {
    /// The company's name.
    company: String,
    /// Its subdomain.
    slug: String,
    /// The industry template it starts from.
    industry: String,
    /// The owner's name.
    name: String,
    email: String,
    password: String,
}

impl Signup {
    /// This request, as it is known again. Who else has the key but not the e-mail address finds nothing.
    fn request(&self, email: &str, key: &str) -> Repeat {
        let fields = [&self.company, &self.slug, &self.industry, &self.name, email, &self.password];
        Repeat::new(&[key, email], &fields)
    }
}

/// A company that a sign-up made before.
#[derive(Deserialize)]
struct Founded {
    slug: String,
    name: String,
    user_id: UserId,
    /// Whether it was this very request.
    same: bool,
}

const COMPANY_FOUNDED: TenantSql = crate::sql!(
    "select c.slug, c.name, u.user_id, coalesce(c.signup_seal = $2, false) as same
     from companies c
     join users u on u.company_id = c.company_id
     where c.company_id = $1
     order by u.created_at, u.user_id
     limit 1"
);

/// The company's own row, if there is such an industry.
pub const COMPANY_ADD: TenantSql = crate::sql!(
    "insert into companies (company_id, slug, name, industry, signup_seal)
     select $1, $2, $3, t.slug, $5
     from templates t
     where t.kind = 'industry' and t.slug = $4"
);

const HOST_ADD: TenantSql = crate::sql!("insert into hosts (company_id, host, kind) values ($1, $2, 'slug')");

const USER_ADD: TenantSql = crate::sql!(
    "insert into users (company_id, user_id, email, name, password_hash) values ($1, $2, $3, $4, $5)"
);

const MEMBERSHIP_ADD: TenantSql =
    crate::sql!("insert into memberships (company_id, user_id, role) values ($1, $2, 'owner')");

const SUBSCRIPTION_ADD: TenantSql =
    crate::sql!("insert into subscriptions (company_id, plan) values ($1, $2)");

const BUDGET_ADD: TenantSql = crate::sql!(
    "insert into budgets (company_id, daily_limit_microusd)
     select $1, p.daily_limit_microusd
     from plans p
     where p.plan = $2"
);

const AUDIT_SIGNUP: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, user_id, action) values ($1, $2, 'member', $3, 'company.made')"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        assert_eq!(check_email(" Owner@Acme.example ").unwrap(), "owner@acme.example");
        for email in ["", "a", "@b.c", "a@b", "a b@c.d", "a@b@c.d"] {
            assert!(check_email(email).is_err(), "{email}");
        }
    }
}
