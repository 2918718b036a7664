//! Drafts on pages: importing a document or a website, and what waits for a person: approved, changed or discarded.
//!
//! It never writes: [`crate::drafts`] does.

use http::Response;

use super::view::{Field, Form, Item, Part, Row as _, View, value};
use super::{Frame, see_other};
use crate::config::DOCUMENT_LIMIT;
use crate::drafts::{self, DRAFT_LIST, DRAFT_READ, Draft, PAGE};
use crate::error::Error;
use crate::ids::DraftId;
use crate::knowledge::{CATEGORY_LIST, Category};
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/knowledge";
const DRAFTS: &str = "/dashboard/knowledge/drafts";

/// `GET /dashboard/knowledge/drafts`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let from = call.query("from").and_then(|from| from.parse::<u32>().ok()).unwrap_or(0).min(1_000_000);
    let mut batch = member.scope.batch();
    let drafts = batch.add::<Draft>(DRAFT_LIST, params![PAGE, from]);
    let categories = batch.add::<Category>(CATEGORY_LIST, params![]);
    let mut rows = batch.send().await?;
    let (drafts, categories) = (rows.all(drafts)?, rows.all(categories)?);
    let total = drafts.first().map_or(0, |draft| draft.total);
    let shown = drafts.len();
    let all = |button: &'static str, to: &str| {
        let form = Form::button(button, format!("{DRAFTS}/{to}"));
        drafts.iter().fold(form, |form, draft| form.with(Field::hidden("drafts", draft.draft_id)))
    };
    let heading = match total {
        0 => "Waiting for you".to_owned(),
        total if total as usize == shown => format!("Waiting for you: {total}"),
        total => format!("Waiting for you: {shown} of {total}"),
    };
    let approve = all("Approve all of these", "approve").asking(format!(
        "Make all {shown} of these entries? Your assistant may then say every word of them."
    ));
    let discard = all("Discard all of these", "discard").danger(format!("Discard all {shown} of these?"));
    let import = Form::new("Import a document", "/dashboard/knowledge/import", "Import the text")
        .with(choice(&categories, ""))
        .with(
            Field::document("text", "Text", u32::try_from(DOCUMENT_LIMIT).unwrap_or(u32::MAX))
                .help("Plain text, Markdown or HTML. It is cut at its headings."),
        );
    let website = Form::new(
        "Import your website",
        "/dashboard/knowledge/import/website",
        "Import the website",
    )
    .with(choice(&categories, ""))
    .with(Field::line("text", "url", "Address", "").needed().help(
        "For example www.example.com. Up to 20 pages, as its robots.txt allows; this takes half a minute.",
    ));
    let more = (total as usize > from as usize + shown).then(|| format!("{DRAFTS}?from={}", from + PAGE));
    let items = drafts.iter().map(item).collect();
    let mut view = View::new(
        frame,
        "Import and drafts",
        "What is imported waits here. Nobody finds a word of it until you approve it.",
    )
    .below(TAB, "Knowledge")
    .part(Part::list(heading, items, "Nothing waits for you."));
    if shown > 0 {
        view = view.part(Part::buttons(vec![approve, discard]));
    }
    view.more(more).part(Part::form(website)).part(Part::form(import)).draw()
}

/// What an import made of a form, on the page of the drafts.
///
/// # Errors
/// Those of the import.
pub async fn imported(
    work: impl Future<Output = Result<Response<Body>, Error>>,
) -> Result<Response<Body>, Error> {
    let told = value(work.await?)?;
    let said = if told.number("added") > 0 { "imported" } else { "nothing-new" };
    see_other(&format!("{DRAFTS}?done={said}"))
}

/// What a model wrote, to be checked.
///
/// # Errors
/// Those of the writing.
pub async fn written(
    work: impl Future<Output = Result<Response<Body>, Error>>,
) -> Result<Response<Body>, Error> {
    let draft = value(work.await?)?;
    see_other(&format!("{DRAFTS}/{}?done=drafted", draft.text("draft_id")))
}

/// `GET /dashboard/knowledge/drafts/{id}`: a draft, to be changed.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<DraftId>()?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut batch = member.scope.batch();
    let draft = batch.add::<Draft>(DRAFT_READ, params![id]);
    let categories = batch.add::<Category>(CATEGORY_LIST, params![]);
    let mut rows = batch.send().await?;
    let (draft, categories) = (rows.one(draft)?, rows.all(categories)?);
    let address = format!("{DRAFTS}/{id}");
    let edit = Form::new("", address.clone(), "Save")
        .quiet()
        .with(choice(&categories, &draft.category))
        .with(Field::line("text", "question", "Question", &draft.question).needed())
        .with(Field::area("answer", "Answer", &draft.answer, 8_000).needed());
    let approve = Form::new("", format!("{address}/approve"), "Approve as it was saved");
    let discard =
        Form::button("Discard", format!("{address}/remove")).danger(format!("Discard “{}”?", draft.question));
    View::new(frame, "Check the draft", "Nobody finds it until you approve it. Save your changes first.")
        .below(DRAFTS, "Import and drafts")
        .part(Part::text("", origin(&draft)))
        .part(Part::form(edit))
        .part(Part::buttons(vec![approve, discard]))
        .draw()
}

/// `POST /dashboard/knowledge/drafts/{id}`.
///
/// # Errors
/// Those of the change.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<DraftId>()?;
    drafts::change(member, call).await?;
    see_other(&format!("{DRAFTS}/{id}?done=kept"))
}

fn item(draft: &Draft) -> Item {
    let address = format!("{DRAFTS}/{}", draft.draft_id);
    Item {
        title: draft.question.clone(),
        lines: vec![origin(draft)],
        texts: vec![("What it would say", draft.answer.clone())],
        tags: vec![draft.category.clone(), "draft".into()],
        actions: vec![
            Form::button("Approve", format!("{address}/approve")),
            Form::button("Discard", format!("{address}/remove")),
        ],
        address: Some(address),
        ..Item::default()
    }
}

fn origin(draft: &Draft) -> String {
    match (draft.source.as_str(), &draft.source_url) {
        ("model", _) => "Written by a model, from what you know already. Check every fact.".to_owned(),
        (_, Some(url)) => format!("From {url}"),
        _ => "From a document".to_owned(),
    }
}

/// The categories to choose from.
pub(super) fn choice(categories: &[Category], chosen: &str) -> Field {
    let chosen = if chosen.is_empty() { "faq" } else { chosen };
    let options = categories
        .iter()
        .map(|category| (category.slug.clone(), category.name.clone(), category.slug == chosen))
        .collect();
    Field::choice("category", "Category", options)
}
