//! The company itself on a page, for its owner: its name, its time zone, for how long it keeps what, and its end.
//!
//! It never writes: [`crate::company`] and [`crate::retention`] do.

use http::Response;
use serde_json::Value;

use super::Frame;
use super::view::{Field, Form, Part, Row as _, View, value};
use crate::company;
use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::retention::RETENTION_READ;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/company";

/// `GET /dashboard/company`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut batch = member.scope.batch();
    let windows = batch.add::<Value>(RETENTION_READ, params![]);
    let windows = batch.send().await?.one(windows)?;
    let company = value(company::show(member).await?)?;
    let settings = Form::new("Name and time", TAB, "Save")
        .with(Field::line("text", "name", "Company's name", company.text("name")).needed())
        .with(
            Field::line("text", "time_zone", "Time zone", company.text("time_zone"))
                .needed()
                .help("Like America/New_York or Europe/Berlin."),
        );
    let address = Part::text("Address", company.text("url"));
    let view = View::new(frame, "Settings", "The company itself: what only owners change.")
        .link("/dashboard/support", "Support access")
        .part(Part::form(settings))
        .part(address)
        .part(Part::text("How long things are kept", KEPT).with(retention(&windows)));
    deletion(&company.text("delete_after")).into_iter().fold(view, View::part).draw()
}

/// The days for which each kind is kept; an empty field keeps it.
fn retention(windows: &Value) -> Form {
    let days =
        |name: &'static str, kept: &str, label: &str| Field::line("number", name, label, windows.text(kept));
    Form::new("", "/dashboard/retention", "Set days")
        .with(
            days("conversations_days:nullable", "conversations_days", "Conversations, days after the last message")
                .help("With all that was said, noted and rated in them. What they cost stays in the budget's figures."),
        )
        .with(
            days("leads_days:nullable", "leads_days", "Leads, days")
                .help("Also those that are still open. A contact goes with the last lead."),
        )
        .with(
            days("memories_days:nullable", "memories_days", "What agents remember of a visitor, days")
                .help("Empty: 90 days, as always."),
        )
        .with(
            days("drafts_days:nullable", "drafts_days", "A model's drafts for visitors' questions, days")
                .help("They go earlier where the question goes with its conversation."),
        )
        .with(
            days("deliveries_days:nullable", "deliveries_days", "Webhooks and mails that were sent or given up, days")
                .help("From 1 to 30; empty: 30."),
        )
        .with(days("audit_days:nullable", "audit_days", "Audit log, days").help("At least 90."))
}

/// Above that form.
const KEPT: &str = "An empty field keeps things. Whatever is older than the days given is deleted within hours, a little at a time, and \
                    does not come back. Export what you need first.";

/// What was asked for, and the form that asks for it or calls it off.
fn deletion(after: &str) -> Vec<Part> {
    let heading = "Delete the company";
    if after.is_empty() {
        let said = "Everything goes: conversations, knowledge, keys, people and the site. It goes on as before for thirty days, \
                    and until then any owner can call it off here.";
        let ask = Form::new("", "/dashboard/company/deletion", "Ask for its deletion")
            .with(
                Field::line("password", "password", "Your password", "")
                    .needed()
                    .autofill("current-password"),
            )
            .danger("Delete the whole company in thirty days?".into());
        return vec![Part::text(heading, said), Part::form(ask)];
    }
    let day: String = after.chars().take(10).collect();
    let said =
        format!("It was asked for: from {day} on the company may be deleted, and nothing of it comes back.");
    let cancel = Form::button("Call it off", "/dashboard/company/deletion/remove");
    vec![Part::text(heading, said), Part::buttons(vec![cancel])]
}
