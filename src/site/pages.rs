//! A page of the company's site, and what stands around all of them: links, closed days, ways to pay.
//!
//! It never shows a page as anything but text: the template escapes all of it.

use askama::Template;
use http::Response;
use serde::Deserialize;

use super::markdown::{self, Block};
use super::{initial, page};
use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::{TenantScope, TenantSql};

/// `GET /pages/{id}` on a company's host: the page with this short name.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let slug = call.id::<String>()?;
    let mut batch = scope.batch();
    let found = batch.add::<Found>(PAGE_SHOWN, params![&slug]);
    let links = batch.add::<Link>(LINK_LIST, params![&slug]);
    let mut rows = batch.send().await?;
    let found = rows.one(found)?;
    let address = format!("{}/pages/{slug}", call.app.config.root.origin(&call.place));
    page(&Page {
        company: scope.company_name(),
        address,
        initial: initial(scope.company_name()),
        body: markdown::blocks(&found.body),
        title: found.title,
        accent: found.accent_color.trim_start_matches('#').to_owned(),
        links: rows.all(links)?,
        preview: false,
    })
}

/// A page as it would be with this title and body, for whoever may change it: without scripts, in a frame of the dashboard.
///
/// # Errors
/// As every batch.
pub(crate) async fn preview(
    scope: &TenantScope,
    call: &Call,
    title: String,
    body: &str,
) -> Result<Response<Body>, Error> {
    let mut batch = scope.batch();
    let accent = batch.add::<Accent>(ACCENT_READ, params![]);
    let links = batch.add::<Link>(LINK_LIST, params![""]);
    let mut rows = batch.send().await?;
    super::preview(&Page {
        company: scope.company_name(),
        address: call.app.config.root.origin(&call.place),
        initial: initial(scope.company_name()),
        body: markdown::blocks(body),
        title,
        accent: rows.one(accent)?.accent_color.trim_start_matches('#').to_owned(),
        links: rows.all(links)?,
        preview: true,
    })
}

/// What stands around a company's pages.
#[derive(Default)]
pub(super) struct Around {
    /// Days in the next two months on which it is closed.
    pub(super) closures: Vec<Closed>,
    /// How customers can pay.
    pub(super) payments: Vec<Way>,
    /// The other pages.
    pub(super) links: Vec<Link>,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    company: &'a str,
    /// Where it is.
    address: String,
    initial: char,
    title: String,
    body: Vec<Block>,
    /// The brand's colour without its `#`: a new colour is a new address of the theme.
    accent: String,
    links: Vec<Link>,
    /// Shown to whoever changes it, before it is saved.
    preview: bool,
}

#[derive(Deserialize)]
struct Accent {
    accent_color: String,
}

#[derive(Deserialize)]
struct Found {
    title: String,
    body: String,
    accent_color: String,
}

/// A page in the menu.
#[derive(Deserialize)]
pub(super) struct Link {
    pub(super) slug: String,
    pub(super) title: String,
    /// Whether it is the one that is shown.
    pub(super) here: bool,
}

/// A day on which the company is closed.
#[derive(Deserialize)]
pub(crate) struct Closed {
    pub(crate) day: String,
    pub(crate) name: String,
}

/// A way to pay.
#[derive(Deserialize)]
pub(crate) struct Way {
    pub(crate) name: String,
    /// What goes with it, such as a fee or a condition; often empty.
    pub(crate) note: String,
}

const PAGE_SHOWN: TenantSql = crate::sql!(
    "select p.title, p.body, coalesce(w.accent_color, '') as accent_color
     from site_pages p
     left join widget_settings w on w.company_id = p.company_id
     where p.company_id = $1 and p.slug = $2 and p.slug <> 'home' and p.shown"
);

const ACCENT_READ: TenantSql = crate::sql!(
    "select coalesce(w.accent_color, '') as accent_color
     from companies c
     left join widget_settings w on w.company_id = c.company_id
     where c.company_id = $1"
);

/// The pages besides the front page; `$2` is the one that is shown.
pub(super) const LINK_LIST: TenantSql = crate::sql!(
    "select slug, title, slug = $2 as here
     from site_pages
     where company_id = $1 and slug <> 'home' and shown
     order by position, slug
     limit 24"
);

/// What is near enough to matter to somebody who looks at opening hours.
pub(crate) const CLOSED_LIST: TenantSql = crate::sql!(
    "select to_char(day, 'FMMonth FMDD') as day, name
     from closures
     where company_id = $1 and day between current_date and current_date + 60
     order by closures.day
     limit 6"
);
