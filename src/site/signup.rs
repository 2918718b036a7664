//! Signing up on the platform's page: the form, what is wrong with it beside its fields, and the way into the new company.
//!
//! It never needs a script, and never gives a session to another host: the new company's own host does that, for a token that
//! is good once and for a minute.

use askama::Template;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, Response};

use super::{POLICY, page};
use crate::config::ENTER_S;
use crate::dashboard::form;
use crate::error::Error;
use crate::fields::Field;
use crate::ids::RequestId;
use crate::links::{self, Purpose, Token};
use crate::platform::Body;
use crate::provisioning::{self, Signup};
use crate::routes::Call;
use crate::tenant::auth;
use crate::tenant::directory::{Industry, industries};

/// `GET /` on the platform's host: what Bulkhead is, and signing up.
///
/// # Errors
/// None.
pub async fn landing(call: Call) -> Result<Response<Body>, Error> {
    let key = RequestId::new(&*call.platform).to_string();
    Landing::new(&call, Filled { key, ..Filled::default() }, None).await.draw()
}

/// `POST /signup`: makes the company, or finds the one that the same form made before, and leads to its dashboard.
///
/// # Errors
/// [`Error::CrossSite`] from another page than the platform's own. What else is wrong is said beside the fields.
pub async fn enter(call: Call) -> Result<Response<Body>, Error> {
    auth::same_origin(&call)?;
    let filled = match call.bytes().await.and_then(|bytes| form::read(&bytes)).map(|form| Filled::of(&form)) {
        Ok(filled) => filled,
        Err(error) => return Landing::new(&call, Filled::default(), Some(error)).await.draw(),
    };
    let done = async {
        let key = filled.key.as_str();
        let key = Some(key)
            .filter(|key| (16..=200).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()));
        let made = provisioning::found(&call, &filled.signup(), key).await?;
        let token = Token::new(&*call.platform);
        let mut batch = made.scope.batch();
        links::make(&made.scope, &mut batch, Purpose::Enter, (made.user, None), (&token, ENTER_S));
        batch.send().await?;
        let arrival =
            Arrival { company: filled.company.clone(), url: made.url(&call), token: token.text().to_owned() };
        made.welcome();
        Ok(arrival)
    };
    match done.await {
        Ok(arrival) => arrival.draw(),
        Err(error) => {
            let key = RequestId::new(&*call.platform).to_string();
            Landing::new(&call, Filled { key, password: String::new(), ..filled }, Some(error)).await.draw()
        }
    }
}

/// What was typed; empty where nothing was.
#[derive(Default)]
struct Filled {
    company: String,
    slug: String,
    industry: String,
    name: String,
    email: String,
    /// Never sent back.
    password: String,
    /// What this form is called, so that it may be sent twice.
    key: String,
}

impl Filled {
    fn of(form: &Field) -> Self {
        let text = |name| form.text_of(name);
        Self {
            company: text("company"),
            slug: text("slug"),
            industry: text("industry"),
            name: text("name"),
            email: text("email"),
            password: text("password"),
            key: text("key"),
        }
    }

    fn signup(&self) -> Signup {
        Signup {
            company: self.company.clone(),
            slug: self.slug.clone(),
            industry: self.industry.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            password: self.password.clone(),
        }
    }
}

#[derive(Template)]
#[template(path = "landing.html")]
pub(super) struct Landing {
    /// What follows a company's slug and a dot in its address.
    domain: String,
    industries: Vec<Industry>,
    filled: Filled,
    /// What went wrong, and with which field; empty for what is none's.
    problem: Option<(&'static str, Error)>,
    /// Where the form that follows may lead.
    hosts: String,
}

impl Landing {
    async fn new(call: &Call, filled: Filled, error: Option<Error>) -> Self {
        let root = call.app.config.root.url();
        let (scheme, domain) = root.split_once("://").unwrap_or_default();
        Self {
            hosts: format!("{scheme}://*.{domain}"),
            domain: domain.to_owned(),
            // The page is there without them; the form says so.
            industries: industries(call).await.unwrap_or_default(),
            filled,
            problem: error.map(|error| match error {
                Error::Field(field, error) => (field, *error),
                error => ("", error),
            }),
        }
    }

    /// What is wrong with a field; empty when nothing is.
    fn wrong(&self, field: &str) -> String {
        let problem = self.problem.as_ref().filter(|(of, _)| *of == field);
        problem.map(|(_, error)| error.facts().detail.into_owned()).unwrap_or_default()
    }

    fn draw(&self) -> Result<Response<Body>, Error> {
        let mut response = leading_to(page(self)?, &self.hosts)?;
        if let Some((_, error)) = &self.problem {
            *response.status_mut() = error.facts().status;
        }
        Ok(response)
    }

    #[cfg(test)]
    pub(super) fn sample(text: &str) -> Self {
        let industry = serde_json::json!({ "slug": text, "name": text, "summary": text });
        let filled = [text; 3].map(str::to_owned);
        let [company, slug, name] = filled;
        Self {
            domain: "example.com".into(),
            industries: vec![serde_json::from_value(industry).unwrap()],
            filled: Filled { company, slug, name, ..Filled::default() },
            problem: Some(("slug", Error::Conflict(text.into()))),
            hosts: String::new(),
        }
    }
}

/// The page that leads to the new company's host.
#[derive(Template)]
#[template(path = "arrival.html")]
pub(super) struct Arrival {
    company: String,
    url: String,
    token: String,
}

impl Arrival {
    fn draw(&self) -> Result<Response<Body>, Error> {
        let mut response = leading_to(page(self)?, &self.url)?;
        // The company's host believes the token from this origin only, so the browser must say which it is.
        response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("origin"));
        Ok(response)
    }

    #[cfg(test)]
    pub(super) fn sample(text: &str) -> Self {
        Self { company: text.into(), url: "https://acme.example.com".into(), token: text.into() }
    }
}

/// The page, whose forms may lead there as well.
fn leading_to(mut response: Response<Body>, where_to: &str) -> Result<Response<Body>, Error> {
    let policy = POLICY.replace("form-action 'self'", &format!("form-action 'self' {where_to}"));
    let policy =
        HeaderValue::from_str(&policy).map_err(|_| Error::Internal("an address is no header".into()))?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}
