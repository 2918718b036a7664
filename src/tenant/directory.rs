//! What is asked before a company is known, or of all companies: through functions of the database that answer these questions
//! and no other, or of what is everybody's.
//!
//! It never reads a company's own data: the worker's role cannot, without a company.

use super::Company;
use super::postgres::Endpoint;
use crate::cron::Only;
use crate::error::Error;
use crate::ids::CompanyId;
use crate::platform::Platform;
use crate::routes::Call;

/// Whose host is this?
pub(super) async fn company_by_host(
    platform: &dyn Platform,
    endpoint: &Endpoint,
    host: &str,
    kind: &str,
) -> Result<Option<Company>, Error> {
    let companies = endpoint.ask(platform, COMPANY_BY_HOST, vec![host.into(), kind.into()]).await?;
    Ok(companies.into_iter().next())
}

/// Answers from two tables through a `security definer` function; the worker's role cannot read them unscoped.
const COMPANY_BY_HOST: &str =
    "select company_id, slug, name, industry, utc_offset_minutes from company_by_host($1, $2)";

/// The companies after one, in the order of their ids, or those with something due: for work that goes from one to the next.
pub(super) async fn companies_after(
    platform: &dyn Platform,
    endpoint: &Endpoint,
    only: Only,
    last: CompanyId,
    how_many: u32,
) -> Result<Vec<Company>, Error> {
    let sql = match only {
        Only::Active => COMPANIES_AFTER,
        Only::Due => COMPANIES_DUE,
    };
    endpoint.ask(platform, sql, vec![last.to_string().into(), how_many.into()]).await
}

/// The other question across companies; like the first it goes through a `security definer` function.
const COMPANIES_AFTER: &str =
    "select company_id, slug, name, industry, utc_offset_minutes from companies_after($1, $2)";

/// The same question, of those with a delivery that is due.
const COMPANIES_DUE: &str =
    "select company_id, slug, name, industry, utc_offset_minutes from companies_due($1, $2)";

/// The industries that a company can start from: platform data, the same for everybody.
pub(crate) async fn industries(call: &Call) -> Result<Vec<Industry>, Error> {
    call.app.config.secrets.database.ask(&*call.platform, INDUSTRY_LIST, Vec::new()).await
}

/// An industry that a company can start from.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Industry {
    pub(crate) slug: String,
    pub(crate) name: String,
    /// What it does, in a few words.
    pub(crate) summary: String,
}

const INDUSTRY_LIST: &str = "select slug, name, summary from templates where kind = 'industry' order by name";

/// Which of these slugs nobody answers at, up to five, in their order. It asks what every visitor can: whether there is a
/// site. A slug that was given up looks free here, and is refused when it is signed up for.
pub(crate) async fn slugs_free(call: &Call, slugs: &[String]) -> Result<Vec<String>, Error> {
    let database = &call.app.config.secrets.database;
    let free: Vec<Free> = database.ask(&*call.platform, SLUGS_FREE, vec![slugs.into()]).await?;
    Ok(free.into_iter().map(|row| row.slug).collect())
}

#[derive(serde::Deserialize)]
struct Free {
    slug: String,
}

const SLUGS_FREE: &str = "select w.slug from unnest($1::text[]) with ordinality w (slug, place)
where not exists (select from company_by_host(w.slug, 'slug'))
order by w.place
limit 5";
