//! Pages: the company's site beyond its front page, as customers read it and as staff change it.
//!
//! It never shows a page of another company's, and never takes HTML: a page is Markdown.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::agents::check_slug;
use crate::error::Error;
use crate::idempotency::once;
use crate::ids::PageId;
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// `GET /v1/pages`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "pages", PAGE_LIST).await
}

/// `POST /v1/pages`: adds a page of the company's own.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the short name is taken.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewPage>().await?;
    check_slug(&new.slug)?;
    check_texts(&[("title", Some(&new.title), 200), ("body", Some(&new.body), 20_000)])?;
    let id = PageId::new(member.scope.platform());
    let row = Row { id, read: PAGE_READ, action: "page.added" };
    let fields = params![id, new.slug, new.title, new.body];
    row.written(member, StatusCode::CREATED, vec![(PAGE_ADD, fields)]).await
}

/// `PATCH /v1/pages/{id}`: changes what is given; the page is the company's own from then on. One that is not shown is not
/// there for visitors, and neither are links to it.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<PageId>()?;
    let new = call.json::<PageChange>().await?;
    check_texts(&[("title", new.title.as_ref(), 200), ("body", new.body.as_ref(), 20_000)])?;
    let row = Row { id, read: PAGE_READ, action: "page.changed" };
    let mut statements = vec![(PAGE_CHANGE, params![id, new.title, new.body, new.shown])];
    if let Some(place) = new.place {
        statements.push((PAGE_PLACE, params![id, place.min(1_000)]));
    }
    row.written(&member, StatusCode::OK, statements).await
}

/// `DELETE /v1/pages/{id}`. Without its `home` page a company's front page shows its services alone.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<PageId>()?;
    let statements = vec![(PAGE_FORGET, params![id]), (PAGE_REMOVE, params![id])];
    upkeep::removed(&member, "page.removed", &id, statements).await
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Page {
    page_id: PageId,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) body: String,
    position: u32,
    pub(crate) shown: bool,
    origin: String,
    updated_at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPage {
    slug: String,
    title: String,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageChange {
    title: Option<String>,
    body: Option<String>,
    /// Its place in the menu, from 0; the others make room.
    place: Option<u32>,
    shown: Option<bool>,
}

const PAGE_LIST: TenantSql = crate::sql!(
    "select page_id, slug, title, body, position, shown, origin, updated_at
     from site_pages
     where company_id = $1
     order by position, slug"
);

/// A page of the site.
pub(crate) const PAGE_READ: TenantSql = crate::sql!(
    "select page_id, slug, title, body, position, shown, origin, updated_at
     from site_pages
     where company_id = $1 and page_id = $2"
);

const PAGE_ADD: TenantSql = crate::sql!(
    "insert into site_pages (company_id, page_id, slug, title, body, position) values ($1, $2, $3, $4, $5, 50)"
);

const PAGE_CHANGE: TenantSql = crate::sql!(
    "update site_pages
     set title = coalesce($3, title), body = coalesce($4, body), shown = coalesce($5, shown),
         origin = 'company', updated_at = now()
     where company_id = $1 and page_id = $2"
);

/// All pages in their order, this one at its new place. The front page is in no menu.
const PAGE_PLACE: TenantSql = crate::sql!(
    "with others as (
         select page_id, 2 * row_number() over (order by position, slug) as place
         from site_pages
         where company_id = $1 and page_id <> $2 and slug <> 'home'
     ),
     placed as (
         select page_id, row_number() over (order by place) as position
         from (select page_id, place from others union all select $2::uuid, 2 * $3::int + 1) n
     )
     update site_pages p
     set position = n.position
     from placed n
     where p.company_id = $1 and p.page_id = n.page_id
       and exists (select from site_pages m where m.company_id = p.company_id and m.page_id = $2 and m.slug <> 'home')"
);

const PAGE_FORGET: TenantSql = crate::sql!(
    "insert into removals (company_id, kind, slug)
     select $1, 'page', p.slug
     from site_pages p
     where p.company_id = $1 and p.page_id = $2 and p.origin_version is not null
     on conflict (company_id, kind, slug) do nothing"
);

const PAGE_REMOVE: TenantSql = crate::sql!("delete from site_pages where company_id = $1 and page_id = $2");
