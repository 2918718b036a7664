//! The site on pages: which pages it has, in which order, and each one to be changed beside what visitors will see of it.
//!
//! It never writes: [`crate::pages`] does.

use http::Response;
use serde::Deserialize;
use serde_json::Value;

use super::Frame;
use super::view::{Field, Form, Item, Part, Preview, Row as _, View, rows};
use crate::error::Error;
use crate::fields::or_default;
use crate::ids::PageId;
use crate::pages::{self, PAGE_READ, Page};
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::site;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/site";

/// `GET /dashboard/site`: the pages.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let pages = rows(pages::list(member).await?, "pages")?;
    let (home, others): (Vec<&Value>, Vec<&Value>) =
        pages.iter().partition(|page| page.text("slug") == "home");
    let last = others.len().saturating_sub(1);
    let front = home.into_iter().map(|page| item(page, Vec::new()));
    let menu = others.into_iter().enumerate().map(|(at, page)| {
        let address = format!("{TAB}/{}", page.text("page_id"));
        let move_to =
            |button, place| Form::button(button, address.clone()).with(Field::hidden("place", place));
        let up = (at > 0).then(|| move_to("Move up", at.saturating_sub(1)));
        let down = (at < last).then(|| move_to("Move down", at + 1));
        item(page, up.into_iter().chain(down).collect())
    });
    let sections = [
        ("Services and prices", "/dashboard/services", "The cards in the middle of the front page."),
        ("Opening hours and closed days", "/dashboard/hours", "The table beside the questions."),
        (
            "Questions people ask",
            "/dashboard/knowledge",
            "The first entry of each category that your first agent may tell.",
        ),
        ("Ways to pay", "/dashboard/payment-methods", "Under the opening hours."),
        (
            "Your colour",
            "/dashboard/widget-settings",
            "Of buttons, links and the chat. What could not be read on it is made darker or lighter.",
        ),
    ];
    let sections = sections.map(|(title, address, line)| Item {
        title: title.into(),
        address: Some(address.into()),
        lines: vec![line.into()],
        ..Item::default()
    });
    let add = Form::new("Add a page", TAB, "Add")
        .with(
            Field::line("text", "slug", "Short name, such as our-team", "")
                .needed()
                .help("It is the end of the page's address."),
        )
        .with(Field::line("text", "title", "Title", "").needed())
        .with(body(""))
        .preview(preview(""));
    View::new(
        frame,
        "Your website",
        "What visitors see under your own address. A page that is hidden is there for you alone.",
    )
    .part(Part::list(
        "Front page",
        front.collect(),
        "There is none: your front page shows services and hours alone. Add a page with the short name home.",
    ))
    .part(Part::list("Sections of the front page that are set elsewhere", sections.into(), ""))
    .part(Part::list("Pages in the menu", menu.collect(), "None yet.").with(add))
    .draw()
}

fn item(page: &Value, moves: Vec<Form>) -> Item {
    let address = format!("{TAB}/{}", page.text("page_id"));
    let shown = page.holds("shown");
    let switch = Form::button(if shown { "Hide" } else { "Show" }, address.clone())
        .with(Field::hidden("shown", !shown));
    let whole = page.text("body");
    Item {
        title: page.text("title"),
        lines: whole.lines().find(|line| !line.trim().is_empty()).map(str::to_owned).into_iter().collect(),
        calls: if shown { Vec::new() } else { vec!["hidden".into()] },
        actions: moves.into_iter().chain([switch]).collect(),
        address: Some(address),
        ..Item::default()
    }
}

/// `GET /dashboard/site/{id}`: a page, to be changed, and what visitors will see of it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<PageId>()?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut batch = member.scope.batch();
    let page = batch.add::<Page>(PAGE_READ, params![id]);
    let page = batch.send().await?.one(page)?;
    let address = format!("{TAB}/{id}");
    let edit = Form::new("", address.clone(), "Save")
        .with(Field::line("text", "title", "Title", &page.title).needed())
        .with(body(&page.body))
        .with(Field::check("shown", "Visitors see it", page.shown))
        .preview(preview(&page.slug));
    let remove = Form::button("Remove the page", format!("{address}/remove"))
        .danger(format!("Remove “{}”?", page.title));
    let seen = if page.slug == "home" { "/".to_owned() } else { format!("/pages/{}", page.slug) };
    let seen =
        Item { title: "Open it as visitors see it now".into(), address: Some(seen), ..Item::default() };
    View::new(frame, page.title, "")
        .below(TAB, "Your website")
        .part(Part::form(edit))
        .part(
            Part::list("The page", if page.shown { vec![seen] } else { Vec::new() }, "It is hidden.")
                .with(remove),
        )
        .draw()
}

fn body(text: &str) -> Field {
    Field::area("body", "Text", text, 20_000).counted().help(
        "A line that begins with # is a heading, with - a list. **Two stars** around words make them stand out. Everything else is shown as it is written.",
    )
}

fn preview(slug: &str) -> Preview {
    Preview {
        address: format!("/dashboard/site-preview?page={slug}"),
        title: "The page as visitors will see it",
        scripts: false,
    }
}

/// `POST /dashboard/site-preview`: a page of the site with what stands in the form, nothing saved; `page` is its short name.
///
/// # Errors
/// [`Error::Invalid`] for the form.
pub async fn draft(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let draft = call.json::<Draft>().await?;
    let page = call.query("page").filter(|page| !page.is_empty()).or(draft.slug);
    match page.as_deref() {
        Some("home") => site::home_preview(&member.scope, &call, draft.title, &draft.body).await,
        _ => site::pages::preview(&member.scope, &call, draft.title, &draft.body).await,
    }
}

/// A page's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    slug: Option<String>,
    #[serde(deserialize_with = "or_default")]
    title: String,
    #[serde(deserialize_with = "or_default")]
    body: String,
    /// It is seen here either way.
    #[serde(rename = "shown")]
    _shown: Option<bool>,
}
