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
use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, content, json as answer};
use crate::services::PAYMENT_LIST;
use crate::tenant::{TenantScope, TenantSql, auth};

pub mod assets;
pub mod color;
pub mod markdown;
mod pages;
pub mod security;

pub use pages::read;

/// `GET /` on a company's host: who they are, what they sell and for how much, when they are there, and the chat.
///
/// # Errors
/// As every batch.
pub async fn home(scope: TenantScope) -> Result<Response<Body>, Error> {
    let mut batch = scope.batch();
    let look = batch.add::<Look>(LOOK_READ, params![]);
    let services = batch.add::<Service>(SERVICE_LIST, params![]);
    let hours = batch.add::<Hours>(HOURS_LIST, params![]);
    let questions = batch.add::<Question>(QUESTION_LIST, params![]);
    let replies = batch.add::<Reply>(REPLY_LIST, params![]);
    let closures = batch.add::<Closed>(CLOSED_LIST, params![]);
    let payments = batch.add::<Way>(PAYMENT_LIST, params![]);
    let links = batch.add::<Link>(LINK_LIST, params!["home"]);
    let mut rows = batch.send().await?;
    let around =
        Around { closures: rows.all(closures)?, payments: rows.all(payments)?, links: rows.all(links)? };
    page(&Home::new(
        scope.company_name(),
        rows.one(look)?,
        rows.all(services)?,
        &rows.all(hours)?,
        rows.all(questions)?,
        rows.all(replies)?,
        around,
    ))
}

/// `GET /` on the platform's host: what Bulkhead is, and signing up.
///
/// # Errors
/// None.
pub async fn landing(call: Call) -> Result<Response<Body>, Error> {
    let root = call.app.config.root.url();
    page(&Landing {
        domain: root.split_once("://").map_or("", |(_, domain)| domain),
        version: assets::VERSION,
    })
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
    let html = template.render().map_err(|error| Error::Internal(format!("page: {error}")))?;
    let mut response = content(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("content-security-policy"), HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "home.html")]
struct Home<'a> {
    company: &'a str,
    initial: char,
    title: String,
    body: Vec<Block>,
    greeting: String,
    /// The brand's colour without its `#`: a new colour is a new address of the theme.
    accent: String,
    /// The services that are seen at once, and those behind "more".
    services: Vec<Service>,
    more_services: Vec<Service>,
    /// Monday to Sunday; none when no hours are known.
    week: Vec<Day>,
    questions: Vec<Question>,
    replies: Vec<Reply>,
    around: Around,
    version: u32,
}

/// Services that are seen at once.
const SERVICES_SEEN: usize = 6;

impl<'a> Home<'a> {
    fn new(
        company: &'a str,
        look: Look,
        mut services: Vec<Service>,
        hours: &[Hours],
        questions: Vec<Question>,
        replies: Vec<Reply>,
        around: Around,
    ) -> Self {
        let more_services = services.split_off(services.len().min(SERVICES_SEEN));
        Self {
            company,
            initial: initial(company),
            title: look.title,
            body: markdown::blocks(&look.body),
            greeting: look.greeting,
            accent: look.accent_color.trim_start_matches('#').to_owned(),
            services,
            more_services,
            week: if hours.is_empty() { Vec::new() } else { week(hours) },
            questions,
            replies,
            around,
            version: assets::VERSION,
        }
    }
}

#[derive(Template)]
#[template(path = "landing.html")]
struct Landing<'a> {
    /// What follows a company's slug and a dot in its address.
    domain: &'a str,
    version: u32,
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
    greeting: String,
    accent_color: String,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    description: String,
    price_from_cents: Option<u32>,
    price_to_cents: Option<u32>,
    unit: String,
    duration_minutes: Option<u32>,
    includes: String,
}

impl Service {
    /// The price as people say it; a price without an upper end is where prices begin.
    fn price(&self) -> String {
        match (self.price_from_cents, self.price_to_cents) {
            (None, _) => "On request".into(),
            (Some(0), Some(0)) => "Free".into(),
            (Some(from), None) => format!("from {}", dollars(from)),
            (Some(from), Some(to)) if from == to => dollars(from),
            (Some(from), Some(to)) => format!("{}–{}", dollars(from), dollars(to)),
        }
    }

    /// How long it usually takes, as people say it.
    fn duration(&self) -> Option<String> {
        let minutes = self.duration_minutes?;
        Some(match (minutes / 60, minutes % 60) {
            (0, minutes) => format!("{minutes} min"),
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        })
    }
}

/// `$1,250`, and cents only when there are some.
fn dollars(cents: u32) -> String {
    let (mut whole, cents) = (cents / 100, cents % 100);
    let mut groups = String::new();
    while whole >= 1_000 {
        groups = format!(",{:03}{groups}", whole % 1_000);
        whole /= 1_000;
    }
    if cents == 0 { format!("${whole}{groups}") } else { format!("${whole}{groups}.{cents:02}") }
}

/// One stretch of opening hours, in minutes from midnight.
#[derive(Deserialize)]
struct Hours {
    weekday: u32,
    opens: u32,
    closes: u32,
}

/// A day of the week and when it is open.
struct Day {
    name: &'static str,
    open: String,
}

/// Monday to Sunday.
fn week(hours: &[Hours]) -> Vec<Day> {
    let names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    let day = |(weekday, name)| {
        let stretches = hours.iter().filter(|hours| hours.weekday == weekday);
        let open: Vec<_> = stretches.map(|h| format!("{} – {}", clock(h.opens), clock(h.closes))).collect();
        Day { name, open: if open.is_empty() { "Closed".into() } else { open.join(", ") } }
    };
    (1..).zip(names).map(day).collect()
}

/// `7 AM`, `5:30 PM`.
fn clock(minutes: u32) -> String {
    let (hour, minutes) = (minutes / 60 % 24, minutes % 60);
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    if minutes == 0 { format!("{hour} {half}") } else { format!("{hour}:{minutes:02} {half}") }
}

/// A question that people ask, and the answer that the chat gives too.
#[derive(Deserialize)]
struct Question {
    question: String,
    answer: String,
}

#[derive(Deserialize)]
struct Reply {
    body: String,
}

const LOOK_READ: TenantSql = crate::sql!(
    "select coalesce(p.title, c.name) as title, coalesce(p.body, '') as body,
            coalesce(nullif(w.greeting, ''), nullif(a.greeting, ''), 'How can I help?') as greeting,
            coalesce(w.accent_color, '') as accent_color
     from companies c
     left join widget_settings w on w.company_id = c.company_id
     left join agents a on a.company_id = c.company_id and a.is_default
     left join site_pages p on p.company_id = c.company_id and p.slug = 'home'
     where c.company_id = $1"
);

const SERVICE_LIST: TenantSql = crate::sql!(
    "select name, description, price_from_cents, price_to_cents, unit, duration_minutes, includes
     from services
     where company_id = $1
     order by position, slug
     limit 60"
);

const HOURS_LIST: TenantSql = crate::sql!(
    "select weekday, (extract(epoch from opens) / 60)::int as opens, (extract(epoch from closes) / 60)::int as closes
     from opening_hours
     where company_id = $1
     order by weekday, opens"
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

const REPLY_LIST: TenantSql =
    crate::sql!("select body from quick_replies where company_id = $1 order by position limit 6");

#[cfg(test)]
mod tests;
