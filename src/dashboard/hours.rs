//! Opening hours and closed days on a page.
//!
//! It never writes: [`crate::calendar`] does.

use http::Response;

use super::Frame;
use super::view::{Field, Form, Item, Part, Row as _, View, value};
use crate::calendar;
use crate::calendar::week::DAYS;
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/hours";

/// `GET /dashboard/hours`: the week, and the days on which it does not hold.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut calendar = value(calendar::hours(member).await?)?;
    let closures = calendar.get_mut("closures").map(serde_json::Value::take).unwrap_or_default();
    let form = Form::new("The week", TAB, "Save").pairs().with(Field::hidden("hours", ""));
    let mut number = 0;
    let form = (1_u64..).zip(DAYS).fold(form, |form, (weekday, name)| {
        let open = calendar.list("hours").iter().filter(|stretch| stretch.number("weekday") == weekday);
        let mut open: Vec<_> = open.map(|stretch| (stretch.text("opens"), stretch.text("closes"))).collect();
        // Room for another one, such as after lunch.
        open.resize_with((open.len() + 1).max(2), Default::default);
        (1..).zip(open).fold(form, |form, (at, (opens, closes))| {
            number += 1;
            let again = if at == 1 { "" } else { ", again" };
            let closes = if closes == "24:00" { "00:00".to_owned() } else { closes };
            form.with(Field::hidden(format!("hours.{number}.weekday"), weekday))
                .with(time(format!("hours.{number}.opens:optional"), format!("{name}{again} from"), opens))
                .with(time(format!("hours.{number}.closes:optional"), format!("{name}{again} to"), closes))
        })
    });
    let closures = closures.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(|closure| {
        let remove = Form::button(
            "Open after all",
            format!("/dashboard/closures/{}/remove", closure.text("closure_id")),
        );
        Item {
            title: closure.text("name"),
            lines: vec![closure.text("day")],
            actions: vec![remove],
            ..Item::default()
        }
    });
    let close = Form::new("Close on a day", "/dashboard/closures", "Add")
        .with(Field::line("date", "day", "Day", "").needed())
        .with(Field::line("text", "name", "Why, such as Thanksgiving", "").needed());
    let intro = "Your site and your assistant tell customers these. Leave a day empty on which you are closed; what ends at midnight ends at 00:00.";
    View::new(frame, "Opening hours", intro)
        .part(Part::form(form))
        .part(
            Part::list("Closed days", closures.collect(), "No day is coming on which you are closed.")
                .with(close),
        )
        .draw()
}

fn time(name: String, label: String, value: String) -> Field {
    Field::line("time", name, label, value)
}
