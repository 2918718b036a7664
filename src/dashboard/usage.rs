//! Usage on a page: the last model calls, each with why its model was chosen, and the last days' sums.
//!
//! It only reads.

use http::Response;

use super::Frame;
use super::view::{Part, Row as _, Table, View, dollars, value};
use crate::error::Error;
use crate::ledger;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

/// `GET /dashboard/usage`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, "/dashboard/usage");
    let usage = value(ledger::usage(member).await?)?;
    let calls = usage.list("calls").iter().map(|call| {
        vec![
            call.text("created_at").chars().take(16).collect(),
            call.text("agent"),
            call.text("model"),
            call.text("routing").replace('_', " "),
            format!("{} in, {} out", call.text("input_tokens"), call.text("output_tokens")),
            dollars(call.number("cost_microusd")),
        ]
    });
    let head = vec!["Time, UTC", "Agent", "Model", "Why this model", "Tokens", "Cost"];
    let calls = Table { caption: "The last model calls".into(), head, rows: calls.collect() };
    let days = usage.list("days").iter().map(|day| {
        vec![day.text("day"), day.text("turns"), day.text("tokens"), dollars(day.number("spent_microusd"))]
    });
    let head = vec!["Day", "Calls", "Tokens", "Cost"];
    let days = Table { caption: "The last days".into(), head, rows: days.collect() };
    let none = "No model was called yet: what was answered came from your knowledge.";
    View::new(frame, "Usage", "What models were called for, why each one was chosen, and what it cost.")
        .part(Part::table("Model calls", calls, none))
        .part(Part::table("Days", days, none))
        .draw()
}
