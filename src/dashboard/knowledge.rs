//! Knowledge on pages: what the assistant may say, searched, added to and changed.
//!
//! It never writes: [`crate::knowledge`] does.

use http::Response;

use super::Frame;
use super::drafts::choice;
use super::view::{Field, Form, Item, Part, Row as _, View, value};
use crate::drafts::DRAFT_LIST;
use crate::error::Error;
use crate::ids::EntryId;
use crate::knowledge::{self, CATEGORY_LIST, Category, ENTRY_LIST, Entry, Filter};
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/knowledge";
/// Entries on a page.
const PAGE: u32 = 40;

/// `GET /dashboard/knowledge`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let filter = Filter::of(&call);
    let mut batch = member.scope.batch();
    let entries = batch.add::<Entry>(ENTRY_LIST, filter.params(PAGE));
    let categories = batch.add::<Category>(CATEGORY_LIST, params![]);
    let waiting = batch.run(DRAFT_LIST, params![1, 0]);
    let mut rows = batch.send().await?;
    let (entries, categories) = (rows.all(entries)?, rows.all(categories)?);
    let total = entries.first().map_or(0, |entry| entry.total);
    let Filter { text, category, confirm, from } = filter;

    let count = if total == 1 { "1 entry".to_owned() } else { format!("{total} entries") };
    let more = (total > from.saturating_add(PAGE)).then(|| {
        let kept =
            [("q", &text), ("category", &category)].into_iter().fold(String::new(), |kept, (name, value)| {
                format!("{kept}&{name}={}", super::door::encoded(value))
            });
        format!("{TAB}?from={}&confirm={confirm}{kept}", from.saturating_add(PAGE))
    });
    let every = std::iter::once((String::new(), "All".to_owned(), category.is_empty()));
    let options = categories.iter().map(|one| (one.slug.clone(), one.name.clone(), one.slug == category));
    let narrow = Form::new("", TAB, "Search")
        .with(Field::line("search", "q", "Look for", &text))
        .with(Field::choice("category", "Category", every.chain(options).collect()))
        .with(Field::tick("confirm", "Only those to confirm", confirm));
    let add = Form::new("Add an entry", TAB, "Add")
        .with(choice(&categories, ""))
        .with(Field::line("text", "question", "Question", "").needed())
        .with(Field::area("answer", "Answer", "", 8_000).needed())
        .with(
            Field::line("text", "keywords", "Keywords", "")
                .help("Other words that customers use, separated by commas."),
        );
    let drafts = if rows.count(waiting)? == 0 { "Import" } else { "Import and drafts" };
    let intro = "What your assistant may say. Entries to confirm came with your industry: check their prices and rules.";
    View::new(frame, "Knowledge", intro)
        .link("/dashboard/knowledge/search", "Try the search")
        .link("/dashboard/unanswered", "Questions without an answer")
        .link("/dashboard/knowledge/drafts", drafts)
        .link("/dashboard/templates/updates", "Template updates")
        .narrowed(narrow)
        .part(Part::list(
            count,
            entries.into_iter().map(item).collect(),
            "No entry fits. Look for fewer words.",
        ))
        .part(Part::form(add))
        .more(more)
        .draw()
}

fn item(entry: Entry) -> Item {
    let address = format!("{TAB}/{}", entry.entry_id);
    let confirm =
        Form::button("Confirm", format!("{address}?from=list")).with(Field::hidden("to_confirm", false));
    Item {
        title: entry.question,
        lines: vec![entry.answer],
        tags: vec![entry.category],
        calls: if entry.to_confirm { vec!["to confirm".into()] } else { Vec::new() },
        actions: if entry.to_confirm { vec![confirm] } else { Vec::new() },
        address: Some(address),
        ..Item::default()
    }
}

/// `GET /dashboard/knowledge/{id}`: an entry, to be changed.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<EntryId>()?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let entry = value(knowledge::show(member, call).await?)?;
    let address = format!("{TAB}/{id}");
    let edit = Form::new("", address.clone(), "Save")
        .with(Field::line("text", "question", "Question", entry.text("question")).needed())
        .with(Field::area("answer", "Answer", entry.text("answer"), 8_000).needed())
        .with(
            Field::line("text", "keywords", "Keywords", entry.text("keywords"))
                .help("Other words that customers use, separated by commas."),
        )
        .with(Field::check("to_confirm", "Still to be confirmed", entry.holds("to_confirm")));
    let remove = Form::button("Remove", format!("{address}/remove"))
        .danger(format!("Remove “{}”?", entry.text("question")));
    let source = entry.text("source_url");
    let source = if source.is_empty() { source } else { format!("From {source}") };
    View::new(frame, "Edit the entry", "")
        .below(TAB, "Knowledge")
        .part(Part::text("", source))
        .part(Part::form(edit))
        .part(Part::form(remove))
        .draw()
}
