//! What people and probes see: a company's page, the platform's page, health.
//!
//! It never writes into a page what a template engine has not escaped.

use askama::Template;
use http::header::REFERRER_POLICY;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use self::markdown::Block;
use self::pages::{Around, CLOSED_LIST, Closed, LINK_LIST, Link, Way};
use crate::calendar::week::{Day, Stretch, WEEK_READ, week};
use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, content, json as answer};
use crate::services::PAYMENT_LIST;
use crate::services::offer::{OFFER_LIST, Offer};
use crate::tenant::{TenantScope, TenantSql, auth};

pub mod assets;
pub mod color;
pub mod discovery;
pub mod markdown;
pub(crate) mod pages;
pub mod security;
pub mod signup;

pub use pages::read;

/// `GET /` on a company's host: who they are, what they sell and for how much, when they are there, and the chat.
///
/// # Errors
/// As every batch.
pub async fn home(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    page(&Home::read(&scope, &call).await?)
}

/// The front page as it would be with this title and body, for whoever may change it: without scripts, in a frame of the
/// dashboard.
///
/// # Errors
/// As every batch.
pub(crate) async fn home_preview(
    scope: &TenantScope,
    call: &Call,
    title: String,
    body: &str,
) -> Result<Response<Body>, Error> {
    let mut home = Home::read(scope, call).await?;
    (home.title, home.body, home.preview) = (title, markdown::blocks(body), true);
    preview(&home)
}

impl<'a> Home<'a> {
    async fn read(scope: &'a TenantScope, call: &Call) -> Result<Self, Error> {
        let mut batch = scope.batch();
        let look = batch.add::<Look>(LOOK_READ, params![]);
        let services = batch.add::<Offer>(OFFER_LIST, params![]);
        let hours = batch.add::<Stretch>(WEEK_READ, params![]);
        let questions = batch.add::<Question>(QUESTION_LIST, params![]);
        let closures = batch.add::<Closed>(CLOSED_LIST, params![]);
        let payments = batch.add::<Way>(PAYMENT_LIST, params![]);
        let links = batch.add::<Link>(LINK_LIST, params!["home"]);
        let mut rows = batch.send().await?;
        let around =
            Around { closures: rows.all(closures)?, payments: rows.all(payments)?, links: rows.all(links)? };
        Ok(Self::new(
            scope.company_name(),
            call.app.config.root.origin(&call.place),
            rows.one(look)?,
            rows.all(services)?,
            &rows.all(hours)?,
            rows.all(questions)?,
            around,
        ))
    }
}

/// `GET /healthz`: the worker runs. Asks nobody else.
///
/// # Errors
/// None.
pub async fn health(_: Call) -> Result<Response<Body>, Error> {
    answer(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /readyz`: database and Redis answer.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn ready(call: Call) -> Result<Response<Body>, Error> {
    auth::ready(&call).await?;
    answer(StatusCode::OK, &json!({ "status": "ready" }))
}

/// A page, with headers that let it load nothing but its own files.
pub(crate) fn page(template: &impl Template) -> Result<Response<Body>, Error> {
    sent(render(template)?, POLICY)
}

/// A page that runs no script and sends nothing, for a frame of the dashboard's.
pub(crate) fn preview(template: &impl Template) -> Result<Response<Body>, Error> {
    sent(render(template)?, PREVIEW_POLICY)
}

/// A page of the dashboard: it may hold frames of its own host's pages, if those let it.
pub(crate) fn desk(template: &impl Template) -> Result<Response<Body>, Error> {
    sent(render(template)?, DESK_POLICY)
}

/// A page with the chat in it, for a frame of the dashboard's.
pub(crate) fn chat_preview(template: &impl Template) -> Result<Response<Body>, Error> {
    sent(render(template)?, CHAT_PREVIEW_POLICY)
}

fn render(template: &impl Template) -> Result<String, Error> {
    template.render().map_err(|error| Error::Internal(format!("page: {error}")))
}

fn sent(html: String, policy: &'static str) -> Result<Response<Body>, Error> {
    let mut response = content(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("content-security-policy"), HeaderValue::from_static(policy));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const DESK_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const PREVIEW_POLICY: &str = "default-src 'none'; script-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; \
base-uri 'none'; frame-ancestors 'self'";

const CHAT_PREVIEW_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    company: &'a str,
    /// The company's own origin.
    origin: String,
    /// What search engines read of it: JSON in which no character is HTML's.
    business: String,
    initial: char,
    title: String,
    body: Vec<Block>,
    /// The brand's colour without its `#`: a new colour is a new address of the theme.
    accent: String,
    /// The services that are seen at once, and those behind "more".
    services: Vec<Offer>,
    more_services: Vec<Offer>,
    /// Monday to Sunday; none when no hours are known.
    week: Vec<Day>,
    questions: Vec<Question>,
    around: Around,
    /// Shown to whoever changes it, before it is saved.
    preview: bool,
}

/// Services that are seen at once.
const SERVICES_SEEN: usize = 6;

impl<'a> Home<'a> {
    fn new(
        company: &'a str,
        origin: String,
        look: Look,
        mut services: Vec<Offer>,
        hours: &[Stretch],
        questions: Vec<Question>,
        around: Around,
    ) -> Self {
        let business = discovery::business(company, &origin, &services, hours, &questions);
        let more_services = services.split_off(services.len().min(SERVICES_SEEN));
        Self {
            company,
            origin,
            business,
            initial: initial(company),
            title: look.title,
            body: markdown::blocks(&look.body),
            accent: look.accent_color.trim_start_matches('#').to_owned(),
            services,
            more_services,
            week: if hours.is_empty() { Vec::new() } else { week(hours) },
            questions,
            around,
            preview: false,
        }
    }
}

/// A company's initial, for its badge.
pub(crate) fn initial(company: &str) -> char {
    let first = company.chars().find(|c| c.is_alphanumeric()).unwrap_or('•');
    first.to_uppercase().next().unwrap_or(first)
}

#[derive(Deserialize)]
struct Look {
    title: String,
    body: String,
    accent_color: String,
}

/// A question that people ask, and the answer that the chat gives too.
#[derive(Deserialize)]
struct Question {
    question: String,
    answer: String,
}

const LOOK_READ: TenantSql = crate::sql!(
    "select coalesce(p.title, c.name) as title, coalesce(p.body, '') as body,
            coalesce(w.accent_color, '') as accent_color
     from companies c
     left join widget_settings w on w.company_id = c.company_id
     left join site_pages p on p.company_id = c.company_id and p.slug = 'home' and p.shown
     where c.company_id = $1"
);

/// The first entry of each category that the default agent may tell everybody, what is confirmed first.
const QUESTION_LIST: TenantSql = crate::sql!(
    "select question, answer
     from (select distinct on (k.position, k.slug) e.question, e.answer, k.position, k.slug
           from agents a
           join agent_knowledge_scopes s on s.company_id = a.company_id and s.agent_id = a.agent_id
           join knowledge_categories k on k.company_id = s.company_id and k.category_id = s.category_id
           join knowledge_entries e on e.company_id = k.company_id and e.category_id = k.category_id
           where a.company_id = $1 and a.is_default
           order by k.position, k.slug, e.to_confirm, e.position, e.entry_id) firsts
     order by position, slug
     limit 6"
);

#[cfg(test)]
mod tests;
