//! Webhooks on pages: where programs are told of what happens, and what became of it.
//!
//! It never writes: [`crate::webhooks`] does.

use http::{Response, StatusCode};
use serde_json::Value;

use super::view::{Field, Form, Item, Part, Row as _, Stamp, View, rows, value};
use super::{Frame, see_other};
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;
use crate::webhooks::{self, EVENTS, deliveries};

const TAB: &str = "/dashboard/webhooks";

/// `GET /dashboard/webhooks`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let webhooks = rows(webhooks::list(member).await?, "webhooks")?;
    let events = EVENTS.iter().map(|(event, words)| ((*event).to_owned(), (*words).to_owned(), true));
    let add = Form::new("Add a webhook", TAB, "Add it and make its secret")
        .with(
            Field::line("url", "url", "Address", "").help("Of your own program, from https:// on.").needed(),
        )
        .with(Field::several("events", "What it is told of", events.collect()))
        .plain();
    let intro = "Your own programs are told of what happens here, signed so that they know it is from here.";
    View::new(frame, "Webhooks", intro)
        .part(Part::list("", webhooks.iter().map(item).collect(), "No webhook yet."))
        .part(Part::form(add))
        .draw()
}

fn item(webhook: &Value) -> Item {
    let address = format!("{TAB}/{}", webhook.text("webhook_id"));
    let enabled = webhook.holds("enabled");
    let failing = webhook.text("failing_since").chars().take(10).collect::<String>();
    let mut calls = Vec::new();
    if !failing.is_empty() {
        calls.push(format!("failing since {failing}"));
    }
    if !enabled {
        calls.push("off".into());
    }
    Item {
        title: webhook.text("url"),
        tags: webhook.texts("events"),
        calls,
        when: Stamp::parse(&webhook.text("created_at")),
        address: Some(address.clone()),
        actions: vec![
            Form::button("Test", format!("{address}/test")),
            Form::button(if enabled { "Turn off" } else { "Turn on" }, address.clone())
                .with(Field::hidden("enabled", !enabled)),
            Form::button("New secret", format!("{address}/secret"))
                .danger("Make a new secret? Your program must have it before the next event.".into())
                .plain(),
            Form::button("Remove", format!("{address}/remove"))
                .danger(format!("Remove {}, and what waits for it?", webhook.text("url"))),
        ],
        ..Item::default()
    }
}

/// `GET /dashboard/webhooks/{id}`: what it was told, what waits and what was given up.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let deliveries = rows(deliveries::list(member, call).await?, "deliveries")?;
    let intro = "The last deliveries. What fails is tried again for three days and more; what was given up you can send again.";
    View::new(frame, "Deliveries", intro)
        .below(TAB, "Webhooks")
        .part(Part::list("", deliveries.iter().map(delivery).collect(), "Nothing yet."))
        .draw()
}

fn delivery(delivery: &Value) -> Item {
    let state = delivery.text("state");
    let status = delivery.get("last_status").and_then(Value::as_u64);
    let error = delivery.text("last_error");
    let attempts = delivery.get("attempts").and_then(Value::as_u64).unwrap_or_default();
    let mut line = format!("Attempts: {attempts}.");
    if let Some(status) = status {
        line.push_str(&format!(" Answered {status}."));
    }
    if !error.is_empty() {
        line.push_str(&format!(" What was wrong: {error}."));
    }
    let again =
        Form::button("Send again", format!("/dashboard/deliveries/{}/replay", delivery.text("delivery_id")));
    let dead = state == "dead";
    Item {
        title: delivery.text("event"),
        lines: vec![line],
        tags: if dead { Vec::new() } else { vec![state.clone()] },
        calls: if dead { vec!["given up".into()] } else { Vec::new() },
        when: Stamp::parse(&delivery.text("created_at")),
        actions: if state == "waiting" { Vec::new() } else { vec![again] },
        ..Item::default()
    }
}

/// `POST /dashboard/webhooks`: adds one and shows its secret, this once.
///
/// # Errors
/// As [`webhooks::add`].
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    secret(frame, webhooks::add(member, call).await?)
}

/// `POST /dashboard/webhooks/{id}/secret`: makes a new secret and shows it, this once.
///
/// # Errors
/// As [`webhooks::renew`].
pub async fn renew(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    secret(frame, webhooks::renew(member, call).await?)
}

fn secret(frame: Frame, made: Response<Body>) -> Result<Response<Body>, Error> {
    if made.status() == StatusCode::NO_CONTENT {
        return Err(Error::Conflict(
            "The webhook is being added. Make a new secret for it if you did not see this one.".into(),
        ));
    }
    let made = value(made)?;
    let intro = "Copy it now into your program: it is not shown again. Deliveries are signed as standardwebhooks.com says, which has libraries that check them.";
    View::new(frame, "The webhook's secret", intro)
        .below(TAB, "Webhooks")
        .part(Part::text("Secret", made.text("secret")))
        .draw()
}

/// `POST /dashboard/webhooks/{id}/test`: sends it a test.
///
/// # Errors
/// [`Error::Conflict`] with what was wrong, and as [`deliveries::test`].
pub async fn test(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let outcome = value(deliveries::test(member, call).await?)?;
    if outcome.text("state") == "delivered" {
        return see_other(&format!("{TAB}?done=told"));
    }
    Err(Error::Conflict(format!("The test was not taken: {}.", outcome.text("last_error"))))
}

/// `POST /dashboard/deliveries/{id}/replay`: sends it again.
///
/// # Errors
/// As [`deliveries::replay`].
pub async fn replay(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let again = value(deliveries::replay(member, call).await?)?;
    see_other(&format!("{TAB}/{}?done=again", again.text("webhook_id")))
}
