//! The budget on a page: limits, what is used of them, what the month comes to, and which alerts there were.
//!
//! It never writes: [`crate::budget`] does.

use http::Response;

use super::Frame;
use super::view::{Field, Form, Part, Row as _, Table, View, amount, dollars, value};
use crate::budget;
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/budget";

/// `GET /dashboard/budget`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let budget = value(budget::show(member).await?)?;
    let number =
        |name: &'static str, label: &str| Field::line("number", name, label, budget.text(name)).needed();
    let ticked = |name: &'static str, label: &str| Field::check(name, label, budget.holds(name));
    let limit = budget.number("daily_limit_microusd");
    let limits = Form::new("Limits", TAB, "Save limits")
        .with(
            Field::line("number", "daily_limit_microusd:dollars", "Dollars a day", amount(limit))
                .help("Reached: answers go on from your knowledge, at no cost.")
                .needed(),
        )
        .with(number("monthly_tokens", "Tokens a month"))
        .with(number("max_output_tokens", "Longest answer, tokens").help("700 tokens are about 500 words."))
        .with(number("visitor_turns_per_minute", "Questions a minute and visitor"))
        .with(number("address_turns_per_minute", "Questions a minute from one network"))
        .with(number("company_turns_per_minute", "Questions a minute from everybody"))
        .with(number("concurrent_turns", "Answers at the same time"))
        .with(number("conversation_questions", "Questions in one conversation"))
        .with(
            ticked("cheaper_models", "A cheaper model may answer")
                .help("For an easy question, on a dear day, or when a provider fails."),
        )
        .with(
            ticked("knowledge_answers", "Without a model, your knowledge answers word for word")
                .help("Else visitors are asked how to be reached."),
        )
        .with(
            ticked("platform_models", "The platform's models may answer").help("If your plan includes them."),
        );
    let spent = dollars(budget.number("spent_microusd"));
    let (tokens, day) = (budget.number("month_tokens"), budget.text("day"));
    // As many tokens a day as so far, to the month's end; a month has at most 31 days.
    let past = day.get(8..10).and_then(|day| day.parse::<u64>().ok()).unwrap_or(1).max(1);
    let forecast = tokens.saturating_mul(31) / past;
    let used = format!(
        "{day}. This month: {tokens} of {} tokens; at this pace about {forecast} by its end. Answers from your knowledge cost nothing.",
        budget.text("monthly_tokens"),
    );
    let alerts = budget.list("alerts").iter().map(|alert| {
        let of = if alert.text("period") == "day" { "the day's money" } else { "the month's tokens" };
        vec![alert.text("starts"), format!("{} % of {of}", alert.text("percent"))]
    });
    let table = Table { caption: "Alerts".into(), head: vec!["Since", "Passed"], rows: alerts.collect() };
    View::new(frame, "Budget", "What your assistant may spend. Nothing is spent beyond it.")
        .part(Part::text(format!("{spent} of {} spent today", dollars(limit)), used))
        .part(Part::form(limits))
        .part(Part::table("Alerts", table, "No share of the budget was passed of late."))
        .draw()
}
