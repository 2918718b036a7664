//! Knowledge on pages: what the assistant may say, searched, added to, changed, and what it could not answer.
//!
//! It never writes: [`crate::knowledge`] does.

use http::Response;
use serde_json::Value;

use super::Frame;
use super::view::{Field, Form, Item, Part, Row as _, View, rows, value};
use crate::error::Error;
use crate::ids::EntryId;
use crate::knowledge::{self, ENTRY_LIST, Entry};
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use serde::Deserialize;

const TAB: &str = "/dashboard/knowledge";
/// Entries on a page.
const PAGE: usize = 40;

/// `GET /dashboard/knowledge`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let field = |name: &str| call.query(name).unwrap_or_default().trim().to_owned();
    let (text, category, confirm) = (field("q"), field("category"), field("confirm") == "true");
    let from = field("from").parse::<usize>().unwrap_or(0);
    let mut batch = member.scope.batch();
    let entries = batch.add::<Entry>(ENTRY_LIST, params![]);
    let missing = batch.add::<Missing>(MISSING_LIST, params![member.user]);
    let mut found = batch.send().await?;
    let (entries, missing) = (found.all(entries)?, found.all(missing)?);
    let frame = Frame::new(&member.scope, &call, TAB);
    let categories = rows(knowledge::category_list(member).await?, "categories")?;

    let words: Vec<String> = text.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let fits = |entry: &Entry| {
        let whole = format!("{} {} {}", entry.question, entry.answer, entry.keywords).to_lowercase();
        words.iter().all(|word| whole.contains(word.as_str()))
            && (category.is_empty() || entry.category == category)
            && (!confirm || entry.to_confirm)
    };
    let all: Vec<_> = entries.into_iter().filter(fits).collect();
    let count = if all.len() == 1 { "1 entry".to_owned() } else { format!("{} entries", all.len()) };
    let more = (all.len() > from.saturating_add(PAGE)).then(|| {
        let kept =
            [("q", &text), ("category", &category)].into_iter().fold(String::new(), |kept, (name, value)| {
                format!("{kept}&{name}={}", super::door::encoded(value))
            });
        format!("{TAB}?from={}&confirm={confirm}{kept}", from + PAGE)
    });
    let items = all.into_iter().skip(from).take(PAGE).map(item).collect();
    let options = |chosen: &str| {
        let name = |row: &Value| (row.text("slug"), row.text("name"), row.text("slug") == chosen);
        categories.iter().map(name).collect::<Vec<_>>()
    };
    let every = std::iter::once((String::new(), "All".to_owned(), category.is_empty()));
    let filter = Form::new("", TAB, "Search")
        .with(Field::line("search", "q", "Look for", &text))
        .with(Field::choice("category", "Category", every.chain(options(&category)).collect()))
        .with(Field::tick("confirm", "Only those to confirm", confirm));
    let add = Form::new("Add an entry", TAB, "Add")
        .with(Field::choice("category", "Category", options("faq")))
        .with(Field::line("text", "question", "Question", "").needed())
        .with(Field::area("answer", "Answer", "", 8_000).needed())
        .with(
            Field::line("text", "keywords", "Keywords", "")
                .help("Other words that customers use, separated by commas."),
        );
    let missing = missing.into_iter().map(|missing| Item {
        title: missing.question,
        address: Some(format!("/dashboard/inbox/{}", missing.conversation_id)),
        ..Item::default()
    });
    let intro = "What your assistant may say. Entries to confirm came with your industry: check their prices and rules.";
    View::new(frame, "Knowledge", intro)
        .narrowed(filter)
        .part(Part::list(count, items, "No entry fits. Look for fewer words."))
        .part(Part::form(add))
        .part(Part::list(
            "Lately not answered",
            missing.collect(),
            "The assistant had an answer to everything of late.",
        ))
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
    View::new(frame, "Edit the entry", "")
        .below(TAB, "Knowledge")
        .part(Part::form(edit))
        .part(Part::form(remove))
        .draw()
}

/// A question that neither a model nor the knowledge base answered.
#[derive(Deserialize)]
struct Missing {
    question: String,
    conversation_id: String,
}

/// Only for whoever the company lets read conversations.
const MISSING_LIST: TenantSql = crate::sql!(
    "select q.body as question, q.conversation_id
     from messages a
     join messages q on q.company_id = a.company_id and q.message_id = a.answers
     join conversations c on c.company_id = q.company_id and c.conversation_id = q.conversation_id and not c.trial
     where a.company_id = $1 and a.source = 'none'
       and not exists (
           select from memberships s
           join role_permissions p on p.company_id = s.company_id and p.role = s.role
           where s.company_id = a.company_id and s.user_id = $2 and p.permission = 'conversations.read' and not p.allowed)
     order by a.message_id desc
     limit 8"
);
