//! Views: pages that are lists and forms, as nearly all of the dashboard is; one template draws them.
//!
//! It never holds markup: what is put in is text, wherever it comes from.

pub(super) mod gate;
pub(super) mod qr;

use std::borrow::Cow;

use askama::Template;
use http::Response;
use serde_json::Value;

use super::{Frame, page};
use crate::error::Error;
use crate::platform::Body;

/// A page of lists and forms.
#[derive(Template)]
#[template(path = "view.html")]
pub struct View {
    frame: Frame,
    title: String,
    intro: &'static str,
    /// Up to what it belongs to: address and name.
    up: Option<(&'static str, &'static str)>,
    /// Pages beside it: address and name.
    links: Vec<(&'static str, String)>,
    /// By which a list is narrowed; sent by reading.
    filter: Option<Form>,
    parts: Vec<Part>,
    /// The next page of a long list.
    more: Option<String>,
}

impl View {
    /// A page with nothing on it yet.
    pub fn new(frame: Frame, title: impl Into<String>, intro: &'static str) -> Self {
        let (title, parts) = (title.into(), Vec::new());
        Self { frame, title, intro, up: None, links: Vec::new(), filter: None, parts, more: None }
    }

    /// Below another page.
    pub fn below(mut self, address: &'static str, name: &'static str) -> Self {
        self.up = Some((address, name));
        self
    }

    /// With a way to a page beside it.
    pub fn link(mut self, address: &'static str, name: impl Into<String>) -> Self {
        self.links.push((address, name.into()));
        self
    }

    /// With what narrows its list.
    pub fn narrowed(mut self, filter: Form) -> Self {
        self.filter = Some(filter);
        self
    }

    /// With another part.
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// With a way to the rest of the list.
    pub fn more(mut self, address: Option<String>) -> Self {
        self.more = address;
        self
    }

    /// The page.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be drawn.
    pub fn draw(&self) -> Result<Response<Body>, Error> {
        page(self)
    }
}

/// A part of a page: a heading, what is listed, and a form.
#[derive(Default)]
pub struct Part {
    heading: String,
    intro: String,
    items: Vec<Item>,
    /// Instead of a list without anything in it; nothing when the part is no list.
    none: &'static str,
    table: Option<Table>,
    qr: Option<qr::Qr>,
    form: Option<Form>,
    /// A text to be copied as it is.
    snippet: Option<String>,
    /// What may be done with a press, beside each other.
    buttons: Vec<Form>,
}

impl Part {
    /// A list, and what is said when there is nothing in it.
    pub fn list(heading: impl Into<String>, items: Vec<Item>, none: &'static str) -> Self {
        Self { heading: heading.into(), items, none, ..Self::default() }
    }

    /// A form.
    pub fn form(form: Form) -> Self {
        Self { form: Some(form), ..Self::default() }
    }

    /// Buttons beside each other.
    pub fn buttons(buttons: Vec<Form>) -> Self {
        Self { buttons, ..Self::default() }
    }

    /// A table.
    pub fn table(heading: impl Into<String>, table: Table, none: &'static str) -> Self {
        Self { heading: heading.into(), table: Some(table), none, ..Self::default() }
    }

    /// A text to be copied into something else, under a heading, with what is said of it.
    pub fn snippet(heading: impl Into<String>, text: String, intro: &'static str) -> Self {
        Self { heading: heading.into(), intro: intro.into(), snippet: Some(text), ..Self::default() }
    }

    /// With a form under what is listed.
    pub fn with(mut self, form: Form) -> Self {
        self.form = Some(form);
        self
    }

    /// With buttons beside each other under it.
    pub fn and(mut self, buttons: Vec<Form>) -> Self {
        self.buttons = buttons;
        self
    }

    /// With a few sentences under its heading.
    pub fn said(mut self, intro: impl Into<String>) -> Self {
        self.intro = intro.into();
        self
    }

    /// With a QR code, where there is one.
    pub(super) fn qr(mut self, qr: Option<qr::Qr>) -> Self {
        self.qr = qr;
        self
    }

    /// A few sentences under a heading.
    pub fn text(heading: impl Into<String>, intro: impl Into<String>) -> Self {
        Self { heading: heading.into(), intro: intro.into(), ..Self::default() }
    }
}

/// Rows of texts under names; times in a column that begins with `When`.
#[derive(Default)]
pub struct Table {
    /// What it shows, for those who do not see it.
    pub caption: String,
    /// The columns' names.
    pub head: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// Something in a list.
#[derive(Default)]
pub struct Item {
    /// What it is called.
    pub title: String,
    /// Its own page.
    pub address: Option<String>,
    /// What is said of it.
    pub lines: Vec<String>,
    /// A text that is shown from its first to its last line.
    pub whole: String,
    /// Texts to be read whole, side by side where there is room, each with its name.
    pub texts: Vec<(&'static str, String)>,
    /// What it is, in a word each.
    pub tags: Vec<String>,
    /// What calls for somebody, in a word each.
    pub calls: Vec<String>,
    /// When.
    pub when: Option<Stamp>,
    /// What may be done to it with a press, or after filling in a line.
    pub actions: Vec<Form>,
    /// By which it is changed; folded away until it is wanted.
    pub edit: Option<Form>,
}

/// A time, for machines and for people; a script writes it anew where and as its reader has it.
pub struct Stamp {
    pub(super) machine: String,
    pub(super) human: String,
}

impl Stamp {
    /// A time as the database writes it: `2026-11-22 09:30:00.123+00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, minute) = (text.get(..10)?, text.get(11..16)?);
        Some(Self { machine: format!("{day}T{minute}Z"), human: format!("{day} {minute} UTC") })
    }
}

/// A form.
#[derive(Default)]
pub struct Form {
    heading: String,
    action: String,
    fields: Vec<Field>,
    button: &'static str,
    /// How its button looks: empty, `quiet` or `danger`.
    kind: &'static str,
    /// What is asked before it is sent.
    ask: String,
    /// Its answer is the next page itself, and not a way to one.
    plain: bool,
    /// How its fields stand: empty, or `pairs`, two in a row also on a phone.
    layout: &'static str,
    preview: Option<Preview>,
}

/// What becomes of a form's content, shown beside it before it is saved.
pub struct Preview {
    /// Where the form is sent for it.
    pub address: String,
    /// What is shown.
    pub title: &'static str,
    /// Whether what is shown runs the host's own scripts.
    pub scripts: bool,
}

impl Form {
    /// A form that sends its fields to this address.
    pub fn new(heading: impl Into<String>, action: impl Into<String>, button: &'static str) -> Self {
        Self { heading: heading.into(), action: action.into(), button, ..Self::default() }
    }

    /// A button that does something.
    pub fn button(button: &'static str, action: impl Into<String>) -> Self {
        Self { action: action.into(), button, kind: "quiet", ..Self::default() }
    }

    /// With what is asked before it is sent.
    pub fn asking(mut self, ask: String) -> Self {
        self.ask = ask;
        self
    }

    /// As a button that stands back.
    pub fn quiet(mut self) -> Self {
        self.kind = "quiet";
        self
    }

    /// With a danger, and what is asked before it is sent.
    pub fn danger(mut self, ask: String) -> Self {
        (self.kind, self.ask) = ("danger", ask);
        self
    }

    /// Whose answer is the next page itself, and not a way to one.
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// With its fields in pairs.
    pub fn pairs(mut self) -> Self {
        self.layout = "pairs";
        self
    }

    /// With a preview of what becomes of it.
    pub fn preview(mut self, preview: Preview) -> Self {
        self.preview = Some(preview);
        self
    }

    /// With another field.
    pub fn with(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }
}

/// A field of a form.
#[derive(Default)]
pub struct Field {
    name: Cow<'static, str>,
    label: String,
    help: &'static str,
    value: String,
    kind: &'static str,
    /// What browsers may fill it in with, as HTML's `autocomplete` has it; empty: as they like.
    autofill: &'static str,
    /// Most characters.
    limit: u32,
    required: bool,
    /// How much of it is written is said under it.
    counted: bool,
    /// What can be chosen: value, name, and whether it is.
    options: Vec<(String, String, bool)>,
}

impl Field {
    /// A line of text: `text`, `email`, `password`, `url`, `number`, `search`, `date`, `time`.
    pub fn line(
        kind: &'static str,
        name: impl Into<Cow<'static, str>>,
        label: impl Into<String>,
        value: impl ToString,
    ) -> Self {
        let (name, label, value) = (name.into(), label.into(), value.to_string());
        Self { kind, name, label, value, limit: 500, ..Self::default() }
    }

    /// Several lines of text, which a file may be read into.
    pub fn document(name: &'static str, label: impl Into<String>, limit: u32) -> Self {
        Self { limit, ..Self::line("document", name, label, "") }
    }

    /// Several lines of text.
    pub fn area(name: &'static str, label: impl Into<String>, value: impl ToString, limit: u32) -> Self {
        Self { limit, ..Self::line("area", name, label, value) }
    }

    /// A value that is sent along.
    pub fn hidden(name: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        Self::line("hidden", name, "", value)
    }

    /// Yes or no.
    pub fn check(name: &'static str, label: impl Into<String>, ticked: bool) -> Self {
        Self::line("check", name, label, ticked)
    }

    /// Yes, or nothing at all: for what narrows a list.
    pub fn tick(name: &'static str, label: impl Into<String>, ticked: bool) -> Self {
        Self::line("tick", name, label, ticked)
    }

    /// One of several.
    pub fn choice(
        name: &'static str,
        label: impl Into<String>,
        options: Vec<(String, String, bool)>,
    ) -> Self {
        Self { options, ..Self::line("choice", name, label, "") }
    }

    /// Any of several.
    pub fn several(
        name: &'static str,
        label: impl Into<String>,
        options: Vec<(String, String, bool)>,
    ) -> Self {
        Self { options, ..Self::line("several", name, label, "") }
    }

    /// With a word on what it means.
    pub fn help(mut self, help: &'static str) -> Self {
        self.help = help;
        self
    }

    /// Which is counted as it is written.
    pub fn counted(mut self) -> Self {
        self.counted = true;
        self
    }

    /// Which browsers may fill in with this.
    pub fn autofill(mut self, autofill: &'static str) -> Self {
        self.autofill = autofill;
        self
    }

    /// Which must be filled in.
    pub fn needed(mut self) -> Self {
        self.required = true;
        self
    }
}

impl Field {
    /// How many characters are written of how many.
    fn count(&self) -> String {
        format!("{} of {} characters", self.value.chars().count(), self.limit)
    }
}

/// A row of the API's answer.
pub(super) trait Row {
    /// A text of it; empty where it has none.
    fn text(&self, name: &str) -> String;
    /// Whether something holds of it.
    fn holds(&self, name: &str) -> bool;
    /// Texts of it.
    fn texts(&self, name: &str) -> Vec<String>;
    /// A number of it; 0 where it has none.
    fn number(&self, name: &str) -> u64;
    /// What is listed in it.
    fn list(&self, name: &str) -> &[Value];
}

impl Row for Value {
    fn text(&self, name: &str) -> String {
        match self.get(name) {
            Some(Self::String(text)) => text.clone(),
            Some(Self::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    fn holds(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    }

    fn number(&self, name: &str) -> u64 {
        self.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    fn list(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What the API's own handler answered, as a page draws it: the rows under a name.
///
/// # Errors
/// [`Error::Internal`] when it is no list.
pub(super) fn rows(answer: Response<Body>, name: &str) -> Result<Vec<Value>, Error> {
    match value(answer)?.get_mut(name).map(Value::take) {
        Some(Value::Array(rows)) => Ok(rows),
        _ => Err(Error::Internal(format!("no list {name}"))),
    }
}

/// What the API's own handler answered.
///
/// # Errors
/// [`Error::Internal`] when it is not JSON.
pub(super) fn value(answer: Response<Body>) -> Result<Value, Error> {
    match answer.into_body() {
        Body::Full(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| Error::Internal(error.to_string()))
        }
        Body::Stream(_) => Err(Error::Internal("a stream is no list".into())),
    }
}

/// An amount as people write it: `$2.00`, `$0.0012`.
pub(super) fn dollars(microusd: u64) -> String {
    let (whole, rest) = (microusd / 1_000_000, microusd % 1_000_000);
    let digits = format!("{rest:06}");
    let digits = digits.trim_end_matches('0');
    format!("${whole}.{digits:0<2}")
}

/// The same as a field's value.
pub(super) fn amount(microusd: u64) -> String {
    dollars(microusd).split_off(1)
}
