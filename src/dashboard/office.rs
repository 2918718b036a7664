//! The office on pages: lists that a company's people keep, each one as its table below says it.
//!
//! It never writes: the modules of those lists do.

mod lists;

use http::Response;
use serde_json::Value;

use self::lists::LISTS;
use super::Frame;
use super::view::{Field, Form, Item, Part, Row as _, View, rows};
use crate::error::Error;
use crate::platform::Body;
use crate::routes::{Answer, Call};
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/office";

/// `GET /dashboard/office`: the lists.
///
/// # Errors
/// As every batch.
pub async fn index(member: Member, call: Call) -> Result<Response<Body>, Error> {
    // Nothing of the company's is read, but that somebody is of it is checked as everywhere.
    member.scope.batch().send().await?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let lists = LISTS.iter().map(|list| Item {
        title: list.name.into(),
        address: Some(list.address.into()),
        lines: vec![list.intro.into()],
        ..Item::default()
    });
    View::new(frame, "Office", "What your company works with besides answers.")
        .part(Part::list("", lists.collect(), ""))
        .draw()
}

/// A list's page.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let list = LISTS.iter().find(|list| list.address == call.target().1).ok_or(Error::NotFound)?;
    let tab = if super::is_tab(list.address) { list.address } else { TAB };
    let frame = Frame::new(&member.scope, &call, tab);
    let rows = rows((list.read)(member).await?, list.key)?;
    let items = rows.iter().map(|row| list.item(row)).collect();
    let mut view = View::new(frame, list.name, list.intro).part(Part::list("", items, "Nothing here yet."));
    if tab == TAB {
        view = view.below(TAB, "Office");
    }
    if list.kept {
        let fields = list.fields.iter().filter(|field| field.when != When::Changing);
        let form =
            fields.fold(Form::new("Add", list.address, "Add"), |form, field| form.with(field.of(None)));
        view = view.part(Part::form(form));
    }
    view.draw()
}

/// A list of the office.
struct List {
    address: &'static str,
    name: &'static str,
    intro: &'static str,
    /// What the API calls its rows, and a row's id.
    key: &'static str,
    id: &'static str,
    read: fn(Member) -> Answer,
    /// Rows are added and removed, and not only changed.
    kept: bool,
    /// How a row without a name is called.
    title: fn(&Value) -> String,
    /// What else is said of a row, in a word each.
    tags: fn(&Value) -> Vec<String>,
    fields: &'static [Asked],
}

impl List {
    fn item(&self, row: &Value) -> Item {
        let title = (self.title)(row);
        let body =
            self.fields.iter().find(|field| field.kind == "area").map(|field| row.text(field.column()));
        let address = format!("{}/{}", self.address, row.text(self.id));
        let fields = self.fields.iter().filter(|field| field.when != When::Adding);
        let edit =
            fields.fold(Form::new("", address.clone(), "Save"), |form, field| form.with(field.of(Some(row))));
        let remove = Form::button("Remove", format!("{address}/remove")).danger(format!("Remove “{title}”?"));
        Item {
            title,
            lines: body.into_iter().collect(),
            tags: (self.tags)(row),
            edit: Some(edit),
            actions: if self.kept { vec![remove] } else { Vec::new() },
            ..Item::default()
        }
    }
}

/// A field of a list's forms.
struct Asked {
    kind: &'static str,
    /// As the API calls it, with what a form says more (see [`super::form`]).
    name: &'static str,
    label: &'static str,
    when: When,
    /// What can be chosen.
    options: &'static [&'static str],
    /// Most characters of a long text, as the API has it.
    limit: u32,
}

/// When a field is asked for.
#[derive(Clone, Copy, PartialEq)]
enum When {
    Always,
    Adding,
    Changing,
}

impl Asked {
    const fn new(kind: &'static str, name: &'static str, label: &'static str, when: When) -> Self {
        Self { kind, name, label, when, options: &[], limit: 4_000 }
    }

    /// As the API calls it.
    fn column(&self) -> &'static str {
        self.name.split(':').next().unwrap_or_default()
    }

    fn of(&self, row: Option<&Value>) -> Field {
        let mut value = row.map(|row| row.text(self.column())).unwrap_or_default();
        if self.name.ends_with(":cents") {
            value = value
                .parse::<u64>()
                .map_or_else(|_| String::new(), |cents| format!("{}.{:02}", cents / 100, cents % 100));
        }
        match self.kind {
            "area" => Field::area(self.name, self.label, value, self.limit).counted(),
            "check" => Field::check(self.name, self.label, value == "true"),
            "choice" => {
                let option = |name: &&str| ((*name).to_owned(), (*name).to_owned(), value == *name);
                Field::choice(self.name, self.label, self.options.iter().map(option).collect())
            }
            kind => Field::line(kind, self.name, self.label, value),
        }
    }
}
