//! Knowledge: the four layers an answer may rest on, searched within the agent's scope, and its upkeep.
//!
//! It never shows an agent a category outside its scope; no scope means nothing but the platform's own entries.
//!
//! The layers: contexts of the company (`gpt_contexts`), its entries, the platform's (master) entries
//! for its industry, and the agent's scope, which narrows the second.

mod search;
pub mod trial;

pub use search::{ANSWER_SCORE, Hit, KNOWLEDGE_SEARCH, Layer};

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::company::AUDIT_ADD;
use crate::error::Error;
use crate::fields::or_default;
use crate::idempotency::once;
use crate::ids::{AuditId, CategoryId, EntryId};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer, no_content};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::tenant::postgres::Param;

/// `GET /v1/knowledge/categories`.
///
/// # Errors
/// As every batch.
pub async fn category_list(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let categories = batch.add::<Category>(CATEGORY_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "categories": rows.all(categories)? }))
}

/// `GET /v1/knowledge`: the entries that fit `q` (all of its words), `category` (its short name) and `confirm=true`, `limit`
/// of them after the first `from`; all, up to 2,000, where nothing is said. `total` is how many fit.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let limit = call.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(LIST_LIMIT);
    let mut batch = member.scope.batch();
    let entries = batch.add::<Entry>(ENTRY_LIST, Filter::of(&call).params(limit));
    let mut rows = batch.send().await?;
    let entries = rows.all(entries)?;
    let total = entries.first().map_or(0, |entry| entry.total);
    answer(StatusCode::OK, &json!({ "entries": entries, "total": total }))
}

/// `GET /v1/knowledge/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<EntryId>()?;
    let mut batch = member.scope.batch();
    let entry = batch.add::<Entry>(ENTRY_READ, params![id]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &rows.one(entry)?)
}

/// `POST /v1/knowledge`: adds an entry of the company's own.
///
/// # Errors
/// [`Error::Invalid`] for the body or a category that is not there.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewEntry>().await?;
    new.check()?;
    let id = EntryId::new(member.scope.platform());
    let mut batch = member.scope.batch_once();
    let added = batch.run(ENTRY_ADD, params![id, &new.category, new.question, new.answer, new.keywords]);
    let entry = batch.add::<Entry>(ENTRY_READ, params![id]);
    let mut rows = batch.send().await?;
    if rows.count(added)? == 0 {
        return Err(no_category(&new.category));
    }
    answer(StatusCode::CREATED, &rows.one(entry)?)
}

/// `PATCH /v1/knowledge/{id}`: changes what is given; the entry is the company's own from then on.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<EntryId>()?;
    let new = call.json::<EntryChange>().await?;
    check_texts(&[("question", new.question.as_ref(), 500), ("answer", new.answer.as_ref(), 8_000)])?;
    check_keywords(new.keywords.as_ref())?;
    let mut batch = member.scope.batch();
    let changed =
        batch.run(ENTRY_CHANGE, params![id, new.question, new.answer, new.keywords, new.to_confirm]);
    let entry = batch.add::<Entry>(ENTRY_READ, params![id]);
    let mut rows = batch.send().await?;
    rows.touched(changed)?;
    answer(StatusCode::OK, &rows.one(entry)?)
}

/// `DELETE /v1/knowledge/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<EntryId>()?;
    let mut batch = member.scope.batch();
    batch.run(ENTRY_FORGET, params![id]);
    let removed = batch.run(ENTRY_REMOVE, params![id]);
    let event = AuditId::new(member.scope.platform());
    batch.run(AUDIT_ADD, params![event, member.user, "knowledge.removed", id.to_string()]);
    let mut rows = batch.send().await?;
    rows.touched(removed)?;
    Ok(no_content())
}

/// Most entries of one answer.
const LIST_LIMIT: u32 = 2_000;

/// Which entries are listed, as a query says it.
#[derive(Default)]
pub(crate) struct Filter {
    /// Words, all of which stand somewhere in the entry.
    pub(crate) text: String,
    /// Short name of a category; empty: all.
    pub(crate) category: String,
    /// Only those that are still to be confirmed.
    pub(crate) confirm: bool,
    /// So many are left out before the first.
    pub(crate) from: u32,
}

impl Filter {
    /// What the query asks for; what makes no sense in it narrows nothing.
    pub(crate) fn of(call: &Call) -> Self {
        let field = |name: &str| call.query(name).unwrap_or_default().trim().replace('\0', "");
        let from = field("from").parse().unwrap_or(0);
        Self {
            text: field("q").chars().take(300).collect(),
            category: field("category"),
            confirm: field("confirm") == "true",
            from,
        }
    }

    /// As [`ENTRY_LIST`] takes it.
    pub(crate) fn params(&self, limit: u32) -> Vec<Param> {
        let words: Vec<String> = self.text.to_lowercase().split_whitespace().map(str::to_owned).collect();
        params![&self.category, self.confirm, words, limit.min(LIST_LIMIT), self.from.min(1_000_000)]
    }
}

/// That each text given has between one and so many characters.
pub(crate) fn check_texts(texts: &[(&str, Option<&String>, usize)]) -> Result<(), Error> {
    for (name, text, limit) in texts {
        let Some(text) = text else { continue };
        if text.trim().is_empty() {
            return Err(Error::Invalid(format!("The {name} is empty. Write something.")));
        }
        if text.chars().count() > *limit {
            return Err(Error::Invalid(format!(
                "The {name} is longer than {limit} characters. Make it shorter."
            )));
        }
    }
    Ok(())
}

/// Keywords may be empty: then only question and answer are searched.
fn check_keywords(keywords: Option<&String>) -> Result<(), Error> {
    check_texts(&[("keywords", keywords.filter(|keywords| !keywords.is_empty()), 2_000)])
}

/// What is said when there is no category of that short name.
pub(crate) fn no_category(slug: &str) -> Error {
    Error::Invalid(format!("There is no category {slug:?}. GET /v1/knowledge/categories lists them."))
}

/// A category, and how many entries are in it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Category {
    pub(crate) category_id: CategoryId,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) entries: u32,
}

/// An entry, as the company's people see it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) entry_id: EntryId,
    pub(crate) category: String,
    pub(crate) question: String,
    pub(crate) answer: String,
    pub(crate) keywords: String,
    pub(crate) to_confirm: bool,
    origin: String,
    /// The page that it was taken from.
    source_url: Option<String>,
    updated_at: String,
    /// How many fit, where it is one of a list.
    #[serde(deserialize_with = "or_default", skip_serializing)]
    pub(crate) total: u32,
}

/// An entry that is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEntry {
    pub(crate) category: String,
    pub(crate) question: String,
    pub(crate) answer: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) keywords: String,
}

impl NewEntry {
    /// That its texts are there and no longer than they may be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_texts(&[("question", Some(&self.question), 500), ("answer", Some(&self.answer), 8_000)])?;
        check_keywords(Some(&self.keywords))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryChange {
    question: Option<String>,
    answer: Option<String>,
    keywords: Option<String>,
    to_confirm: Option<bool>,
}

/// The categories in order.
pub(crate) const CATEGORY_LIST: TenantSql = crate::sql!(
    "select c.category_id, c.slug, c.name, count(e.entry_id) as entries
     from knowledge_categories c
     left join knowledge_entries e on e.company_id = c.company_id and e.category_id = c.category_id
     where c.company_id = $1
     group by c.company_id, c.category_id
     order by c.position, c.slug"
);

/// The entries of a category (`$2`, empty for all), to be confirmed or not (`$3`), that have all of these words (`$4`), in
/// their categories' order: `$5` of them after the first `$6`. See [`Filter`].
pub(crate) const ENTRY_LIST: TenantSql = crate::sql!(
    "select e.entry_id, c.slug as category, e.question, e.answer, e.keywords, e.to_confirm, e.origin, e.source_url,
            e.updated_at, count(*) over () as total
     from knowledge_entries e
     join knowledge_categories c on c.company_id = e.company_id and c.category_id = e.category_id
     where e.company_id = $1 and ($2::text = '' or c.slug = $2) and (e.to_confirm or not $3::boolean)
       and not exists (select from unnest($4::text[]) word
                       where strpos(lower(concat_ws(' ', e.question, e.answer, e.keywords)), word) = 0)
     order by c.position, e.position, e.entry_id
     limit $5 offset $6"
);

/// An entry by its id.
pub(crate) const ENTRY_READ: TenantSql = crate::sql!(
    "select e.entry_id, c.slug as category, e.question, e.answer, e.keywords, e.to_confirm, e.origin, e.source_url,
            e.updated_at
     from knowledge_entries e
     join knowledge_categories c on c.company_id = e.company_id and c.category_id = e.category_id
     where e.company_id = $1 and e.entry_id = $2"
);

const ENTRY_ADD: TenantSql = crate::sql!(
    "insert into knowledge_entries (company_id, entry_id, category_id, question, answer, keywords)
     select $1, $2, c.category_id, $4, $5, $6
     from knowledge_categories c
     where c.company_id = $1 and c.slug = $3"
);

const ENTRY_CHANGE: TenantSql = crate::sql!(
    "update knowledge_entries
     set question = coalesce($3, question), answer = coalesce($4, answer), keywords = coalesce($5, keywords),
         to_confirm = coalesce($6, false), origin = 'company', prepared = null, updated_at = now()
     where company_id = $1 and entry_id = $2"
);

const ENTRY_FORGET: TenantSql = crate::sql!(
    "insert into removals (company_id, kind, slug)
     select $1, 'entry', e.slug
     from knowledge_entries e
     where e.company_id = $1 and e.entry_id = $2 and e.slug is not null and e.origin_version is not null
     on conflict (company_id, kind, slug) do nothing"
);

const ENTRY_REMOVE: TenantSql =
    crate::sql!("delete from knowledge_entries where company_id = $1 and entry_id = $2");
