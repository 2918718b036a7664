//! Updates: what is new in the templates that a company started from, and how it reaches the company.
//!
//! It never overwrites what the company edited, nor brings back what it removed, unless its people say so.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::fields::or_default;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::auth::Member;
use crate::upkeep;

mod statements;

pub use statements::UPDATES;
use statements::{ACCEPTS, KEEPS, UPDATE_LIST};

/// `GET /v1/templates/updates`: each row that the templates have otherwise now, both texts side by side.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "updates", UPDATE_LIST).await
}

/// `POST /v1/templates/updates`: brings what is unedited up to date, and of what is edited the rows named in `accept`; those
/// in `keep` stay as they are, and are not offered again until the template changes once more.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn apply(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let chosen = call.json::<Chosen>().await?;
    let mut batch = member.scope.batch();
    for (statements, rows) in [(ACCEPTS, &chosen.accept), (KEEPS, &chosen.keep)] {
        for (kind, sql) in statements {
            let named = rows.iter().filter(|row| row.kind == *kind);
            let slugs: Vec<String> =
                named.flat_map(|row| row.slugs.iter().chain(&row.slug)).cloned().collect();
            if !slugs.is_empty() {
                batch.run(*sql, params![slugs]);
            }
        }
    }
    let applied: Vec<_> = UPDATES.iter().map(|sql| batch.run(*sql, params![])).collect();
    upkeep::note(&member, &mut batch, "templates.updated", &"");
    let left = batch.add::<Update>(UPDATE_LIST, params![]);
    let mut rows = batch.send().await?;
    let applied = applied.into_iter().map(|slot| rows.count(slot)).sum::<Result<u64, _>>()?;
    answer(StatusCode::OK, &json!({ "applied": applied, "updates": rows.all(left)? }))
}

/// What kind of row.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Context,
    Entry,
    Message,
    Page,
    Service,
    Term,
}

#[derive(Serialize, Deserialize)]
struct Update {
    kind: Kind,
    slug: String,
    /// new, gone and changed come by themselves; edited only when it is accepted.
    state: String,
    /// What the company has; null when the row is new.
    yours: Option<String>,
    /// What the template says; null when it no longer has the row.
    template: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    #[serde(deserialize_with = "or_default")]
    accept: Vec<Named>,
    #[serde(deserialize_with = "or_default")]
    keep: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    kind: Kind,
    slug: Option<String>,
    /// Several of the kind.
    #[serde(deserialize_with = "or_default")]
    slugs: Vec<String>,
}
