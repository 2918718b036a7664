//! The chat on a page: what to paste into one's own website, where it may be, and how it looks.
//!
//! It never writes: [`crate::widget::settings`] does.

use askama::Template;
use http::Response;
use serde::Deserialize;

use super::Frame;
use super::view::{Field, Form, Part, Preview, Row as _, View, value};
use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::site;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::widget::settings;

const TAB: &str = "/dashboard/widget-settings";

/// `GET /dashboard/widget-settings`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let settings = value(settings::show(member).await?)?;
    let lines = |name: &str| settings.texts(name).join("\n");
    let side = settings.text("side");
    let sides = ["right", "left"].map(|one| (one.to_owned(), format!("The window's {one}"), side == one));
    let form = Form::new("Where it may be, and how it looks", TAB, "Save")
        .with(
            Field::area("allowed_origins:lines", "Your website's addresses", lines("allowed_origins"), 4_000)
                .help("One a line, such as https://www.example.com. On any other website the chat stays away."),
        )
        .with(Field::line("color", "accent_color", "Your colour", settings.text("accent_color")))
        .with(Field::choice("side", "The button is at", sides.into()))
        .with(
            Field::area("greeting", "Its first words", settings.text("greeting"), 500)
                .help("Empty: what the agent who answers first says."),
        )
        .with(
            Field::line(
                "number",
                "greet_after_s:nullable",
                "Show them beside the button after, seconds",
                settings.text("greet_after_s"),
            )
            .help("Empty: never."),
        )
        .with(
            Field::area("link_hosts:lines", "Links in answers may lead to", lines("link_hosts"), 4_000)
                .help("One host a line, such as www.example.com. Links to others are shown as text."),
        )
        .with(
            Field::area("image_hosts:lines", "Images in answers may come from", lines("image_hosts"), 4_000)
                .help("One host a line. Others are not loaded: an image's address can carry away what was said."),
        );
    let preview = Preview {
        address: "/dashboard/widget-preview".into(),
        title: "A page of your website with the chat",
        scripts: true,
    };
    let address = call.app.config.root.origin(&call.place);
    let snippet = format!("<script src=\"{address}/widget.js\" async></script>");
    let intro = "Anywhere in a page of your website; it waits for nothing and asks nobody but this host.";
    View::new(frame, "Chat widget", "Your assistant on your own website.")
        .part(Part::snippet("Paste this into your website", snippet, intro))
        .part(Part::form(form.preview(preview)))
        .draw()
}

/// `POST /dashboard/widget-preview`: a page with the chat as it would be with these settings, nothing saved. What is wrong with
/// them is said in the page.
///
/// # Errors
/// As every batch, and [`Error::Invalid`] for a form that is another's.
pub async fn draft(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let draft = settings::draft(&call).await?;
    let mut batch = member.scope.batch();
    let greeting = batch.add::<Greeting>(GREETING_READ, params![]);
    let greeting = batch.send().await?.maybe(greeting)?.map(|agent| agent.greeting);
    let (config, problem) = match draft.config(greeting.as_deref().unwrap_or_default()) {
        Ok(config) => (config.to_string(), String::new()),
        Err(Error::Invalid(problem)) => (String::new(), problem),
        Err(error) => return Err(error),
    };
    site::chat_preview(&Draft { company: member.scope.company_name(), config, problem })
}

#[derive(Template)]
#[template(path = "widget_preview.html")]
pub(super) struct Draft<'a> {
    company: &'a str,
    /// What the chat is told instead of what is saved: JSON; empty where the settings are wrong.
    config: String,
    /// What is wrong with them.
    problem: String,
}

#[cfg(test)]
impl<'a> Draft<'a> {
    pub(super) fn sample(text: &'a str, problem: &str) -> Self {
        let config = serde_json::json!({ "greeting": text }).to_string();
        Self { company: text, config, problem: problem.into() }
    }
}

#[derive(Deserialize)]
struct Greeting {
    greeting: String,
}

const GREETING_READ: TenantSql = crate::sql!(
    "select coalesce(nullif(greeting, ''), 'How can I help?') as greeting from agents where company_id = $1 and is_default"
);
