//! The checklist: what an owner does and confirms before customers rely on it; and the facts that agents may tell.
//!
//! It never lets a fact be told that nobody confirmed.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ids::ItemId;
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// A fact that the owner gave and confirmed.
#[derive(Debug, Deserialize)]
pub struct Fact {
    /// What it is, for example "Phone number".
    pub title: String,
    /// The fact.
    pub value: String,
}

/// The facts that an agent may tell.
pub const FACT_LIST: TenantSql = crate::sql!(
    "select title, value
     from checklist_items
     where company_id = $1 and kind = 'fact' and value <> '' and done_at is not null
     order by position, slug"
);

/// `GET /v1/checklist`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "items", ITEM_LIST).await
}

/// `PATCH /v1/checklist/{id}`: ticks it off, or gives a fact its value. A fact without a value cannot be confirmed.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ItemId>()?;
    let new = call.json::<ItemChange>().await?;
    check_texts(&[("value", new.value.as_ref().filter(|value| !value.is_empty()), 500)])?;
    let row = Row { id, read: ITEM_READ, action: "checklist.changed" };
    let fields = params![id, new.value, new.done];
    row.written(&member, StatusCode::OK, vec![(ITEM_CHANGE, fields)]).await
}

/// Something that an owner does or confirms.
#[derive(Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) item_id: ItemId,
    pub(crate) slug: String,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) help: String,
    pub(crate) value: String,
    /// Null while open.
    pub(crate) done_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemChange {
    value: Option<String>,
    done: Option<bool>,
}

/// A price's value is what its service costs now.
pub(crate) const ITEM_LIST: TenantSql = crate::sql!(
    "select i.item_id, i.slug, i.kind, i.title, i.help, i.done_at,
            case when i.kind <> 'price' then i.value
                 when s.price_from_cents is null then 'on request'
                 else concat_ws('-', to_char(s.price_from_cents / 100.0, 'FM$999999990.00'),
                                nullif(to_char(s.price_to_cents / 100.0, 'FM$999999990.00'),
                                       to_char(s.price_from_cents / 100.0, 'FM$999999990.00')))
            end as value
     from checklist_items i
     left join services s on s.company_id = i.company_id and i.slug = 'price-' || s.slug
     where i.company_id = $1 and (i.kind <> 'price' or s.service_id is not null)
     order by i.done_at is not null, i.position, i.slug"
);

const ITEM_READ: TenantSql = crate::sql!(
    "select item_id, slug, kind, title, help, value, done_at
     from checklist_items
     where company_id = $1 and item_id = $2"
);

/// A fact is confirmed by being given, and open again once it is emptied.
const ITEM_CHANGE: TenantSql = crate::sql!(
    "update checklist_items
     set value = case when kind = 'fact' then coalesce($3, value) else value end,
         done_at = case when kind = 'fact' and coalesce($3, value) = '' then null
                        when coalesce($4, $3 is not null or done_at is not null) then coalesce(done_at, now())
                        else null
                   end
     where company_id = $1 and item_id = $2"
);
