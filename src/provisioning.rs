//! Provisioning: a company, whole, in one transaction and one request.
//!
//! It never copies a row in Rust: each kind of row is one `insert … select` from the template's rows.

mod copies;
pub(crate) mod slug;

pub use copies::COPIES;
pub use slug::check as slug_check;

use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::ids::{AuditId, UserId};
use crate::knowledge::check_texts;
use crate::links::verification;
use crate::mail::{self, Letter};
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
    let made = found(&call, &new, call.idempotency_key()?).await?;
    let mut response = answer(StatusCode::CREATED, &made.shown(&call))?;
    if made.replayed {
        let replayed = HeaderName::from_static("idempotency-replayed");
        response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
    }
    made.welcome();
    Ok(response)
}

/// Makes a company, or finds the one that the same request made before.
///
/// # Errors
/// As [`signup`], each of the field that it is about.
pub(crate) async fn found(call: &Call, new: &Signup, key: Option<&str>) -> Result<Made, Error> {
    let of = |field| move |error: Error| error.of(field);
    check_texts(&[("company's name", Some(&new.company), 120)]).map_err(of("company"))?;
    slug::check(&new.slug).map_err(of("slug"))?;
    check_texts(&[("name", Some(&new.name), 120)]).map_err(of("name"))?;
    let email = mail::address(&new.email).map_err(of("email"))?;
    let password = password_hash(&*call.platform, &new.password).map_err(of("password"))?;

    let repeat = key.map(|key| new.request(&email, key));
    let scope = auth::founder(call, &new.slug, &new.company, &new.industry, repeat.as_ref())?;
    let seal = repeat.as_ref().map(|repeat| scope.signup_seal(repeat)).transpose()?;
    let seal = seal.as_ref().map(<[u8; 32]>::as_slice);
    let user = UserId::new(&*call.platform);
    let mut batch = scope.batch();
    let made = batch.run(COMPANY_ADD, params![&new.slug, &new.company, &new.industry, seal]);
    batch.run(HOST_ADD, params![&new.slug]);
    batch.run(USER_ADD, params![user, &email, &new.name, password]);
    batch.run(MEMBERSHIP_ADD, params![user]);
    batch.run(SUBSCRIPTION_ADD, params!["starter"]);
    batch.run(BUDGET_ADD, params!["starter"]);
    for sql in COPIES {
        batch.run(*sql, params![&new.industry, &new.company]);
    }
    batch.run(AUDIT_SIGNUP, params![AuditId::new(&*call.platform), user]);
    let letter = scope.has_post().then(|| verification(&scope, &mut batch, user, &email));
    let unknown = || {
        let what = format!("There is no industry {:?}. GET /v1/industries lists them.", new.industry);
        Error::Invalid(what).of("industry")
    };
    let sent = batch.send().await;
    let (slug, name) = (new.slug.clone(), new.company.clone());
    match sent {
        Ok(mut rows) => rows.touched(made).map_err(|_| unknown())?,
        // The company with this request's id is there: the first answer was lost, or the key is used for something else.
        Err(Error::Conflict(taken)) => return made_before(scope, seal, taken).await,
        // Nothing else refers to anything that may be missing.
        Err(Error::NotFound) => return Err(unknown()),
        Err(error) => return Err(error),
    }
    Ok(Made { scope, user, slug, name, replayed: false, letter })
}

/// What the first of several same requests made.
async fn made_before(scope: TenantScope, seal: Option<&[u8]>, taken: String) -> Result<Made, Error> {
    let taken = Error::Conflict(taken).of("slug");
    let Some(seal) = seal else { return Err(taken) };
    let mut batch = scope.batch();
    let made = batch.add::<Founded>(COMPANY_FOUNDED, params![seal]);
    match batch.send().await?.maybe(made)? {
        None => Err(taken),
        Some(made) if !made.same => Err(Error::Conflict(
            "This Idempotency-Key was used for another sign-up. Take a new key for a new company.".into(),
        )),
        Some(Founded { slug, name, user_id: user, .. }) => {
            Ok(Made { scope, user, slug, name, replayed: true, letter: None })
        }
    }
}

/// A company that was made, now or by the same request before.
pub(crate) struct Made {
    /// The company's data.
    pub(crate) scope: TenantScope,
    /// Its owner.
    pub(crate) user: UserId,
    slug: String,
    name: String,
    replayed: bool,
    /// What its owner gets by mail, if mail can be sent and it was not sent before.
    letter: Option<Letter>,
}

impl Made {
    fn shown(&self, call: &Call) -> serde_json::Value {
        let company = json!({
            "company_id": self.scope.company_id(),
            "slug": self.slug,
            "name": self.name,
            "url": self.url(call),
        });
        json!({ "company": company, "user_id": self.user })
    }

    /// The company's address.
    pub(crate) fn url(&self, call: &Call) -> String {
        call.app.config.root.company_url(&self.slug)
    }

    /// Sends the owner what they get by mail.
    pub(crate) fn welcome(self) {
        if let Some(letter) = self.letter {
            mail::send_later(self.scope, letter);
        }
    }
}

/// `GET /v1/industries`: what a company can start from.
///
/// # Errors
/// [`Error::Unavailable`] when the database does not answer.
pub async fn industries(call: Call) -> Result<Response<Body>, Error> {
    let industries = crate::tenant::directory::industries(&call).await?;
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
    let free = crate::tenant::directory::slugs_free(&call, &wanted).await?;
    answer(StatusCode::OK, &json!({ "slugs": free }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signup {
    /// The company's name.
    pub(crate) company: String,
    /// Its subdomain.
    pub(crate) slug: String,
    /// The industry template it starts from.
    pub(crate) industry: String,
    /// The owner's name.
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) password: String,
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
