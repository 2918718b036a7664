//! Imports: a document, or a company's own website, as drafts.
//!
//! No model has a part in it, and what is imported is text from the first byte to the last: nobody's instruction.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::sections::{self, Cut};
use super::{New, Source, html, put};
use crate::config::{DOCUMENT_BODY_LIMIT, DOCUMENT_LIMIT, DRAFTS_LIMIT};
use crate::error::Error;
use crate::fields::or_default;
use crate::ids::DraftId;
use crate::knowledge::no_category;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep;
use crate::website::address::Address;
use crate::website::crawl;

/// `POST /v1/knowledge/import`: a document as drafts, one a section: plain text, Markdown, or HTML if it looks like that.
/// `found` sections were in it, `added` were new, `short` pieces said too little.
///
/// # Errors
/// [`Error::TooLarge`], or [`Error::Invalid`] for the body or a category that is not there.
pub async fn document(member: Member, call: Call) -> Result<Response<Body>, Error> {
    call.allow_body(DOCUMENT_BODY_LIMIT);
    let new = call.json::<Document>().await?;
    if new.text.trim().is_empty() {
        return Err(Error::Invalid("The text is empty. Paste something, or choose a file.".into()));
    }
    if new.text.chars().count() > DOCUMENT_LIMIT {
        return Err(Error::Invalid(format!(
            "The text is longer than {DOCUMENT_LIMIT} characters. Import it in parts."
        )));
    }
    let text = new.text.replace('\0', "");
    let cut = if html::is_html(&text) {
        let page = html::read(&text);
        sections::cut(&page.title, page.blocks)
    } else {
        sections::cut("", sections::blocks(&text))
    };
    let told = json!({});
    keep(&member, &new.category, &Source::Text, vec![(None, cut)], told).await
}

/// `POST /v1/knowledge/import/website`: the page at this address and those of the same website that it links to, as drafts.
/// `pages` says which were read, `skipped` which were not and why.
///
/// # Errors
/// [`Error::Invalid`] for an address that may not be read or brings no text, [`Error::Conflict`] while another import goes
/// on or after the day's last.
pub async fn website(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<Website>().await?;
    let start = Address::parse(&new.url, &member.scope.app().config)?;
    // Who may do this is asked before anybody else is.
    category(&member, &new.category).await?;
    let crawled = crawl(&member.scope, start, |url, text| {
        let page = html::read(text);
        let blocks = if html::is_html(text) { page.blocks } else { sections::blocks(text) };
        ((url.to_owned(), sections::cut(&page.title, blocks)), page.links)
    })
    .await?;
    let pages: Vec<Value> = crawled
        .pages
        .iter()
        .map(|(url, cut)| json!({ "url": url, "sections": cut.sections.len() }))
        .collect();
    let skipped: Vec<Value> =
        crawled.skipped.iter().map(|(url, why)| json!({ "url": url, "why": why })).collect();
    let cuts = crawled.pages.into_iter().map(|(url, cut)| (Some(url), cut)).collect();
    keep(&member, &new.category, &Source::Website, cuts, json!({ "pages": pages, "skipped": skipped })).await
}

/// Puts the sections among the drafts, and says what became of them.
async fn keep(
    member: &Member,
    category: &str,
    source: &Source,
    cuts: Vec<(Option<String>, Cut)>,
    mut told: Value,
) -> Result<Response<Body>, Error> {
    let short: usize = cuts.iter().map(|(_, cut)| cut.short).sum();
    let sections =
        cuts.into_iter().flat_map(|(url, cut)| cut.sections.into_iter().map(move |one| (url.clone(), one)));
    let new: Vec<New> = sections
        .take(DRAFTS_LIMIT as usize)
        .map(|(url, section)| New {
            id: DraftId::new(member.scope.platform()),
            question: section.question,
            answer: section.answer,
            url,
        })
        .collect();
    let mut batch = member.scope.batch();
    let known = batch.run(CATEGORY_KNOWN, params![category]);
    let added = put(&mut batch, category, source, &new);
    upkeep::note(member, &mut batch, "knowledge.imported", &new.len());
    let mut rows = batch.send().await?;
    if rows.count(known)? == 0 {
        return Err(no_category(category));
    }
    if let Some(fields) = told.as_object_mut() {
        fields.insert("found".into(), new.len().into());
        fields.insert("added".into(), rows.count(added)?.into());
        fields.insert("short".into(), short.into());
    }
    answer(StatusCode::OK, &told)
}

async fn category(member: &Member, slug: &str) -> Result<(), Error> {
    let mut batch = member.scope.batch();
    let known = batch.run(CATEGORY_KNOWN, params![slug]);
    if batch.send().await?.count(known)? == 0 { Err(no_category(slug)) } else { Ok(()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    text: String,
    #[serde(deserialize_with = "or_default")]
    category: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Website {
    url: String,
    #[serde(deserialize_with = "or_default")]
    category: String,
}

const CATEGORY_KNOWN: TenantSql = crate::sql!(
    "select c.category_id from knowledge_categories c where c.company_id = $1 and ($2::text = '' or c.slug = $2) limit 1"
);
