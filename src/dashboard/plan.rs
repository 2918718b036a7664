//! The plan on a page: what it allows, and what was used of it.
//!
//! It only reads: changing the plan is the operator's.

use http::Response;

use super::Frame;
use super::view::{Part, Row as _, View, dollars, value};
use crate::error::Error;
use crate::plan;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

/// `GET /dashboard/plan`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, "/dashboard/plan");
    let plan = value(plan::show(member).await?)?;
    let day = |name: &str| plan.text(name).chars().take(10).collect::<String>();
    let ends = day("ends_at");
    let until =
        if ends.is_empty() { "it renews each month".to_owned() } else { format!("it ends on {ends}") };
    let models = if plan.holds("platform_models") {
        "The platform's models may answer where you have no key of your own, if your budget says so."
    } else {
        "The platform's own models are not in it: your own keys answer."
    };
    let price = dollars(plan.number("monthly_price_cents").saturating_mul(10_000));
    let tokens = plan.number("monthly_tokens");
    let used = plan.number("month_tokens");
    let percent = used.saturating_mul(100).checked_div(tokens).unwrap_or(0);
    View::new(frame, "Plan", "What your company subscribes to.")
        .part(Part::text(
            format!("{}: {price} a month", plan.text("name")),
            format!("Since {}; {until}.", day("started_at")),
        ))
        .part(Part::text(
            format!("{used} of {tokens} tokens used this month"),
            format!("That is {percent} %. Answers from your knowledge use none."),
        ))
        .part(Part::text("Models", models))
        .part(Part::text(
            "Another plan",
            "Whoever runs this platform changes plans: write to them. What your assistant may spend a day is yours to set, under Budget.",
        ))
        .draw()
}
