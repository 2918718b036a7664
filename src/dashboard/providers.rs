//! Model providers on pages: keys are added, tried, replaced and removed, and never shown.
//!
//! It never writes: [`crate::providers`] does.

use http::Response;
use serde_json::Value;

use super::view::{Field, Form, Item, Part, Row as _, Table, View, rows, value};
use super::{Frame, see_other};
use crate::error::Error;
use crate::platform::Body;
use crate::providers::{self, PRESETS};
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/providers";

/// `GET /dashboard/providers`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let providers = rows(providers::list(member).await?, "providers")?;
    let kinds = [("openai", "OpenAI"), ("anthropic", "Anthropic"), ("gemini", "Google Gemini")];
    let kinds = kinds.map(|(kind, name)| (kind.to_owned(), name.to_owned(), kind == "openai"));
    let key = || {
        Field::line("password", "api_key", "API key", "")
            .help("Sealed for your company when you save it. Nobody can read it back.")
            .needed()
    };
    let add = Form::new("Add a provider", TAB, "Save the key")
        .with(Field::choice("kind", "Kind", kinds.into()))
        .with(Field::line("text", "name", "Name", "OpenAI").needed())
        .with(key());
    let listed = [("fast", false), ("balanced", true), ("best", false)];
    let tiers = listed.map(|(tier, chosen)| (tier.to_owned(), tier.to_owned(), chosen));
    let price = |name, label: &str| {
        Field::line("number", name, label, "").help("Dollars per million tokens.").needed()
    };
    let compatible = Form::new("Add another provider", TAB, "Save this key")
        .with(Field::hidden("kind", "compatible"))
        .with(Field::line("url", "base_url", "Base URL", "").help("As in the table below.").needed())
        .with(Field::line("text", "name", "Its name here", "").needed())
        .with(key())
        .with(Field::line("text", "models.model", "Model", "").needed())
        .with(Field::choice("models.tier", "Kind of model", tiers.into()))
        .with(price("models.input_microusd_per_mtok:dollars", "Input price"))
        .with(price("models.output_microusd_per_mtok:dollars", "Output price"))
        .with(Field::line("number", "models.context_tokens", "Context, tokens", 128_000).needed());
    let known = PRESETS.iter().map(|preset| vec![preset.title.to_owned(), preset.base_url.to_owned()]);
    let head = vec!["Provider", "Base URL"];
    let known = Table { caption: "Known providers".into(), head, rows: known.collect() };
    let intro = "Your own accounts at model providers. Without one, answers come word for word from your knowledge and cost nothing.";
    View::new(frame, "Models", intro)
        .part(Part::list("", providers.iter().map(item).collect(), "No provider yet."))
        .part(Part::form(add))
        .part(Part::form(compatible))
        .part(Part::table("Known providers", known, ""))
        .draw()
}

fn item(provider: &Value) -> Item {
    let address = format!("{TAB}/{}", provider.text("provider_id"));
    let enabled = provider.holds("enabled");
    let mut line = format!("Key ending in {}", provider.text("last_four"));
    if let Some(url) = provider.get("base_url").and_then(Value::as_str) {
        line.push_str(&format!(", at {url}"));
    }
    let mut tags: Vec<_> = provider.list("models").iter().map(|model| model.text("model")).collect();
    if !enabled {
        tags.push("paused".into());
    }
    Item {
        title: provider.text("name"),
        lines: vec![line],
        tags,
        actions: vec![
            Form::button("Test", format!("{address}/test")),
            Form::button(if enabled { "Pause" } else { "Resume" }, address.clone())
                .with(Field::hidden("enabled", !enabled)),
            Form::button("Replace", address.clone())
                .with(Field::line("password", "api_key", "New key", "").needed()),
            Form::button("Remove", format!("{address}/remove"))
                .danger(format!("Remove {} and its key?", provider.text("name"))),
        ],
        ..Item::default()
    }
}

/// `POST /dashboard/providers/{id}/test`: tries its key.
///
/// # Errors
/// [`Error::Conflict`] with what is wrong with it, and as [`providers::check::run`].
pub async fn test(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let outcome = value(providers::check::run(member, call).await?)?;
    match outcome.get("problem").and_then(Value::as_str) {
        Some(problem) => Err(Error::Conflict(problem.to_owned())),
        None => see_other(&format!("{TAB}?done=works")),
    }
}
