//! The company itself on a page, for its owner: its name, its time zone, and its end.
//!
//! It never writes: [`crate::company`] does.

use http::Response;

use super::Frame;
use super::view::{Field, Form, Part, Row as _, View, value};
use crate::company;
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/company";

/// `GET /dashboard/company`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
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
        .part(address);
    deletion(&company.text("delete_after")).into_iter().fold(view, View::part).draw()
}

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
