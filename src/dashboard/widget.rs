//! The chat on a page: what to paste into one's own website, where it may be, and how it looks.
//!
//! It never writes: [`crate::widget::settings`] does.

use http::Response;

use super::Frame;
use super::view::{Field, Form, Item, Part, Row as _, View, value};
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
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
    let address = call.app.config.root.origin(&call.place);
    let snippet = Item {
        title: format!("<script src=\"{address}/widget.js\" async></script>"),
        lines: vec![
            "Anywhere in a page of your website; it waits for nothing and asks nobody but this host.".into(),
        ],
        ..Item::default()
    };
    View::new(frame, "Chat widget", "Your assistant on your own website.")
        .part(Part::list("Paste this into your website", vec![snippet], ""))
        .part(Part::form(form))
        .draw()
}
