//! Template files as rows, and their way into the template tables. It judges no content: the check did that before.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio_postgres::types::Json;

use super::format::File;
use super::price::{Price, hours};
use crate::postgres;

/// How many rows a load wrote, by table.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    /// Table name → rows written, in the order of writing.
    pub rows: Vec<(&'static str, u64)>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.rows.iter().map(|(_, count)| count).sum();
        write!(f, "loaded {total} rows:")?;
        self.rows.iter().try_for_each(|(table, count)| write!(f, " {table} {count}"))
    }
}

/// Replaces the rows of these templates, in one transaction; other templates in the database stay.
pub async fn load(owner_url: &str, files: &[File]) -> anyhow::Result<Summary> {
    let mut client =
        postgres::connect(owner_url).await.context("cannot reach the database; check its URL")?;
    let mut rows: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    for (table, row) in files.iter().flat_map(rows_of) {
        rows.entry(table).or_default().push(row);
    }
    let slugs: Vec<&str> = files.iter().map(|file| file.template.slug.as_ref().as_str()).collect();
    let mut summary = Summary { rows: Vec::new() };
    let transaction = client.transaction().await?;
    for (table, delete, _) in STATEMENTS.iter().rev() {
        if let Some(delete) = delete {
            transaction.execute(*delete, &[&slugs]).await.with_context(|| refused(table))?;
        }
    }
    for (table, _, insert) in STATEMENTS {
        let rows = Json(rows.remove(table).unwrap_or_default());
        let written = transaction.execute(*insert, &[&rows]).await.with_context(|| refused(table))?;
        summary.rows.push((table, written));
    }
    transaction
        .execute(MASTER_PRUNE, &[&slugs, &Json(master_slugs(files))])
        .await
        .context(refused("master_knowledge"))?;
    transaction.execute(ENTRY_WORDS, &[&slugs]).await.with_context(|| refused("template_entries"))?;
    transaction.batch_execute(LEXICON).await.with_context(|| refused("lexicon"))?;
    transaction.commit().await?;
    Ok(summary)
}

/// One line for a checked template: its slug and how many rows it makes.
pub fn counts(file: &File) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (table, _) in rows_of(file) {
        *counts.entry(table.strip_prefix("template_").unwrap_or(table)).or_default() += 1;
    }
    let total: usize = counts.values().sum();
    let counts: Vec<String> = counts.iter().map(|(table, count)| format!("{table} {count}")).collect();
    format!("{} ok, {total} rows: {}", file.template.slug.as_ref(), counts.join(", "))
}

fn refused(table: &str) -> String {
    format!(
        "the database refused the rows of {table}; nothing was loaded. Has `bulkhead migrate` run, and is this the owner?"
    )
}

/// Each template's master entries, to forget those that its file no longer has.
fn master_slugs(files: &[File]) -> Vec<Value> {
    files
        .iter()
        .flat_map(rows_of)
        .filter_map(|(table, row)| (table == "master_knowledge").then_some(row))
        .collect()
}

/// A file's rows, each with the table that it goes to; keys are that table's columns.
fn rows_of(file: &File) -> Vec<(&'static str, Value)> {
    let it = &file.template;
    let template = it.slug.as_ref().as_str();
    let mut rows = vec![(
        "templates",
        json!({"slug": template, "kind": file.kind.as_str(), "name": it.name, "version": it.version, "summary": it.summary.trim()}),
    )];
    let mut add = |table, row| rows.push((table, row));
    for (position, (kind, body)) in (1..).zip(it.contexts.each()) {
        if let Some(body) = body {
            add(
                "template_contexts",
                json!({"template": template, "kind": kind, "body": body.as_ref().trim(), "position": position}),
            );
        }
    }
    for (position, row) in numbered(&it.categories) {
        add(
            "template_categories",
            json!({"template": template, "slug": row.slug, "name": row.name, "position": position}),
        );
        for agent in &row.agents {
            add("template_agent_scopes", json!({"template": template, "agent": agent, "category": row.slug}));
        }
    }
    for (position, row) in numbered(&it.entries) {
        add(
            "template_entries",
            json!({
                "template": template, "slug": row.slug, "category": row.category, "question": row.question.trim(),
                "answer": flowing(&row.answer), "keywords": row.keywords, "to_confirm": row.confirm, "position": position,
            }),
        );
    }
    for (position, row) in numbered(&it.services) {
        let price = Price::parse(&row.price);
        add(
            "template_services",
            json!({
                "template": template, "slug": row.slug, "name": row.name, "description": row.description.trim(),
                "price_from_cents": price.map(|price| price.from_cents), "price_to_cents": price.and_then(|price| price.to_cents),
                "unit": row.unit, "duration_minutes": row.duration_minutes, "includes": row.includes.trim(), "position": position,
            }),
        );
    }
    for (position, row) in numbered(&it.terms) {
        add(
            "template_terms",
            json!({
                "template": template, "term": row.term, "meaning": row.meaning.trim(), "synonyms": row.synonyms, "position": position,
            }),
        );
    }
    for (position, row) in numbered(&it.agents) {
        add(
            "template_agents",
            json!({
                "template": template, "slug": row.slug, "name": row.name, "role": row.role, "greeting": row.greeting.trim(),
                "instructions": row.instructions.trim(), "tier": row.tier.as_str(), "is_default": row.default, "position": position,
            }),
        );
        for category in &row.scopes {
            add(
                "template_agent_scopes",
                json!({"template": template, "agent": row.slug, "category": category}),
            );
        }
    }
    for (_, row) in numbered(&it.specialisations) {
        add(
            "template_specialisations",
            json!({
                "template": template, "agent": row.agent, "greeting": row.greeting.as_deref().map(str::trim),
                "instructions": row.instructions.as_deref().map(str::trim),
            }),
        );
    }
    for (position, row) in numbered(&it.pages) {
        add(
            "template_pages",
            json!({
                "template": template, "slug": row.slug, "title": row.title, "body": row.body.trim(), "position": position,
            }),
        );
    }
    for (position, question) in numbered(&it.lead_questions) {
        add(
            "template_lead_questions",
            json!({"template": template, "question": question, "position": position}),
        );
    }
    for (position, body) in numbered(&it.quick_replies) {
        add("template_quick_replies", json!({"template": template, "body": body, "position": position}));
    }
    for (weekday, day) in it.hours.each() {
        for (opens, closes) in hours(day.as_ref()).unwrap_or_default() {
            add(
                "template_hours",
                json!({"template": template, "weekday": weekday, "opens": opens, "closes": closes}),
            );
        }
    }
    for (position, row) in numbered(&it.goldens) {
        add(
            "template_goldens",
            json!({
                "template": template, "question": row.question, "expect": row.expect.map_or("answer", |expect| expect.as_str()),
                "entry": row.entry, "position": position,
            }),
        );
    }
    let industry = (file.kind == super::Kind::Industry).then_some(template);
    for (_, row) in numbered(&it.master) {
        add(
            "master_knowledge",
            json!({
                "industry": industry, "slug": row.slug, "question": row.question.trim(), "answer": flowing(&row.answer),
                "keywords": row.keywords,
            }),
        );
    }
    rows.extend(super::office::rows_of(it));
    rows
}

/// Rows with their places, from 1.
pub fn numbered<T>(rows: &[toml::Spanned<T>]) -> impl Iterator<Item = (i32, &T)> {
    (1..).zip(rows.iter().map(toml::Spanned::as_ref))
}

/// Finds the words of the templates in $1, so that no company's copy has to; as `knowledge_entries.search` would.
const ENTRY_WORDS: &str = "
update template_entries
set search = setweight(to_tsvector('english', question), 'A') || setweight(to_tsvector('english', keywords), 'B')
    || setweight(to_tsvector('english', answer), 'D')
where template = any($1) and position('{{company}}' in question || answer) = 0";

/// Weighs the words of all entries there are now, of these templates and of those loaded before.
const LEXICON: &str = "
delete from lexicon;
insert into lexicon (lexeme, weight)
select word, least(4, ln(greatest(1, (select count(*) from template_entries) / (1.0 + ndoc))))
from ts_stat($$select to_tsvector('english', question || ' ' || keywords || ' ' || answer) from template_entries$$)";

/// Table, how to forget the templates in $1 (an array of slugs), how to write the rows in $1 (a JSON array of objects).
type Statement = (&'static str, Option<&'static str>, &'static str);

/// A table whose rows are replaced as a whole.
macro_rules! replaced {
    ($table:literal) => {
        (
            $table,
            Some(concat!("delete from ", $table, " where template = any($1)")),
            concat!(
                "insert into ",
                $table,
                " select * from jsonb_populate_recordset(null::",
                $table,
                ", $1)"
            ),
        )
    };
}

/// In the order of writing: what others refer to comes first. Deleting goes the other way.
const STATEMENTS: &[Statement] = &[
    ("templates", None, TEMPLATES_UPSERT),
    replaced!("template_contexts"),
    replaced!("template_categories"),
    replaced!("template_entries"),
    replaced!("template_services"),
    replaced!("template_terms"),
    replaced!("template_agents"),
    replaced!("template_specialisations"),
    replaced!("template_agent_scopes"),
    replaced!("template_pages"),
    replaced!("template_lead_questions"),
    replaced!("template_quick_replies"),
    replaced!("template_hours"),
    replaced!("template_goldens"),
    replaced!("template_agent_tools"),
    replaced!("template_agent_starters"),
    replaced!("template_agent_handoffs"),
    replaced!("template_stages"),
    replaced!("template_labels"),
    replaced!("template_messages"),
    replaced!("template_follow_ups"),
    replaced!("template_notifications"),
    replaced!("template_permissions"),
    replaced!("template_checklist"),
    replaced!("template_closures"),
    replaced!("template_payment_methods"),
    ("master_knowledge", None, MASTER_UPSERT),
];

/// Kept over loads, so that what refers to a template is not deleted with it.
const TEMPLATES_UPSERT: &str = "
insert into templates (slug, kind, name, version, summary)
select slug, kind, name, version, summary from jsonb_populate_recordset(null::templates, $1)
on conflict (slug) do update
set kind = excluded.kind, name = excluded.name, version = excluded.version, summary = excluded.summary, loaded_at = now()";

/// Kept over loads, so that ids in citations stay good.
const MASTER_UPSERT: &str = "
insert into master_knowledge (industry, slug, question, answer, keywords)
select industry, slug, question, answer, keywords from jsonb_populate_recordset(null::master_knowledge, $1)
on conflict (coalesce(industry, ''), slug) do update
set question = excluded.question, answer = excluded.answer, keywords = excluded.keywords";

/// $1: the loaded templates; $2: their master entries. Entries for all industries belong to the company templates.
const MASTER_PRUNE: &str = "
delete from master_knowledge old
where (old.industry = any($1) or (old.industry is null and exists (select from templates where slug = any($1) and kind = 'company')))
and not exists (
    select from jsonb_populate_recordset(null::master_knowledge, $2) kept
    where kept.industry is not distinct from old.industry and kept.slug = old.slug
)";

/// A text whose single line breaks are those of its file: joined, so that only its paragraphs stay apart.
pub fn flowing(text: &str) -> String {
    let paragraphs = text.trim().split("\n\n");
    paragraphs
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn line_breaks_of_a_file_are_none_of_the_text() {
        assert_eq!(super::flowing("\nOne\ntwo  three.\n\nFour\nfive.\n"), "One two three.\n\nFour five.");
    }
}
