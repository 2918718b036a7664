//! The checklist on a page: facts to give, prices to confirm, things to do, each with the way to where it is set.
//!
//! It never writes: [`crate::checklist`] does.

use http::Response;
use serde_json::Value;

use super::view::{Field, Form, Item, Part, Row as _, View, rows};
use super::{Frame, then};
use crate::checklist;
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/checklist";

/// `GET /dashboard/checklist`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let items = rows(checklist::list(member).await?, "items")?;
    let done = items.iter().filter(|item| is_done(item)).count();
    let of = |kind: &str| {
        items.iter().filter(|item| !is_done(item) && item.text("kind") == kind).map(entry).collect()
    };
    let finished = items.iter().filter(|item| is_done(item)).map(entry).collect();
    View::new(
        frame,
        "Checklist",
        "What only you know, and what you should have seen before customers rely on it.",
    )
    .part(Part::text(
        format!("{done} of {} done", items.len()),
        "The rest can wait; agents say nothing that is not confirmed.",
    ))
    .part(Part::list("Facts to give", of("fact"), "All given."))
    .part(Part::list("Prices to confirm", of("price"), "All confirmed."))
    .part(Part::list("To do", of("task"), "All done."))
    .part(Part::list("Done", finished, "Nothing yet."))
    .draw()
}

/// `POST /dashboard/checklist/{id}`: a step is done, and one is back where one was.
///
/// # Errors
/// As [`checklist::change`].
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let to = if call.query("from").as_deref() == Some("list") { TAB } else { "/dashboard" };
    then(checklist::change(member, call), to, "saved").await
}

fn is_done(item: &Value) -> bool {
    !item.text("done_at").is_empty()
}

fn entry(item: &Value) -> Item {
    let address = format!("{TAB}/{}?from=list", item.text("item_id"));
    let (kind, value, done) = (item.text("kind"), item.text("value"), is_done(item));
    let actions = match (kind.as_str(), done) {
        ("fact", _) => {
            vec![Form::button(if done { "Change" } else { "Confirm" }, address).with(Field::line(
                "text",
                "value",
                item.text("title"),
                value.clone(),
            ))]
        }
        ("price", false) => vec![Form::button("Confirm", address).with(Field::hidden("done", true))],
        (_, false) => vec![Form::button("Done", address).with(Field::hidden("done", true))],
        (_, true) => vec![Form::button("Open again", address).with(Field::hidden("done", false))],
    };
    Item {
        title: item.text("title"),
        address: place(&kind, &item.text("slug")).map(str::to_owned),
        lines: vec![item.text("help")],
        tags: if kind == "price" && !value.is_empty() { vec![value] } else { Vec::new() },
        actions,
        ..Item::default()
    }
}

/// Where it is set, if not here.
fn place(kind: &str, slug: &str) -> Option<&'static str> {
    let tasks = [
        ("read-contexts", "/dashboard/contexts"),
        ("check-hours", "/dashboard/hours"),
        ("confirm-entries", "/dashboard/knowledge?confirm=true"),
        ("add-key", "/dashboard/providers"),
        ("set-budget", "/dashboard/budget"),
        ("try-chat", "/dashboard/agents"),
        ("try-emergency", "/dashboard/agents"),
        ("invite-team", "/dashboard/team"),
        ("notifications", "/dashboard/notifications"),
        ("color-greeting", "/dashboard/widget-settings"),
        ("read-messages", "/dashboard/replies"),
        ("embed", "/dashboard/widget-settings"),
    ];
    match kind {
        "price" => Some("/dashboard/services"),
        "task" => tasks.iter().find(|(known, _)| *known == slug).map(|(_, address)| *address),
        _ => None,
    }
}
