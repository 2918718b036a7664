//! The office on pages: lists that a company's people keep, each one as its table below says it.
//!
//! It never writes: the modules of those lists do.

use http::Response;
use serde_json::Value;

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
    let frame = Frame::new(&member.scope, &call, TAB);
    let rows = rows((list.read)(member).await?, list.key)?;
    let items = rows.iter().map(|row| list.item(row)).collect();
    let mut view = View::new(frame, list.name, list.intro).below(TAB, "Office").part(Part::list(
        "",
        items,
        "Nothing here yet.",
    ));
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
    fields: &'static [Asked],
}

impl List {
    fn item(&self, row: &Value) -> Item {
        let title = self.fields.iter().find(|field| field.kind == "text").map_or("", |field| field.column());
        let title = ["name", "title", title].into_iter().map(|name| row.text(name)).find(|t| !t.is_empty());
        let title = title.unwrap_or_default();
        let address = format!("{}/{}", self.address, row.text(self.id));
        let fields = self.fields.iter().filter(|field| field.when != When::Adding);
        let edit =
            fields.fold(Form::new("", address.clone(), "Save"), |form, field| form.with(field.of(Some(row))));
        let remove = Form::button("Remove", format!("{address}/remove")).danger(format!("Remove “{title}”?"));
        Item {
            title,
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
        Self { kind, name, label, when, options: &[] }
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
            "area" => Field::area(self.name, self.label, value, 8_000),
            "check" => Field::check(self.name, self.label, value == "true"),
            "choice" => {
                let option = |name: &&str| ((*name).to_owned(), (*name).to_owned(), value == *name);
                Field::choice(self.name, self.label, self.options.iter().map(option).collect())
            }
            kind => Field::line(kind, self.name, self.label, value),
        }
    }
}

const SLUG: Asked = Asked::new("text", "slug", "Short name, such as spring-check", When::Adding);

const LISTS: &[List] = &[
    List {
        address: "/dashboard/services",
        name: "Services and prices",
        intro: "What you sell. Your site shows it, and your assistant tells it.",
        key: "services",
        id: "service_id",
        read: |m| Box::pin(crate::services::list(m)),
        kept: true,
        fields: &[
            SLUG,
            Asked::new("text", "name", "Name", When::Always),
            Asked::new("area", "description", "What it is", When::Always),
            Asked::new("number", "price_from_cents:cents", "Price from, dollars", When::Always),
            Asked::new("number", "price_to_cents:cents", "Price to, dollars", When::Always),
            Asked::new("text", "unit", "Per", When::Always),
        ],
    },
    List {
        address: "/dashboard/replies",
        name: "Messages",
        intro: "E-mails, text messages and replies that are written once.",
        key: "replies",
        id: "message_template_id",
        read: |m| Box::pin(crate::replies::list(m)),
        kept: true,
        fields: &[
            SLUG,
            Asked {
                options: &["chat", "email", "text"],
                ..Asked::new("choice", "channel", "Channel", When::Adding)
            },
            Asked::new("text", "name", "Name", When::Always),
            Asked::new("text", "subject:optional", "Subject, of an e-mail", When::Always),
            Asked::new("area", "body", "Text", When::Always),
        ],
    },
    List {
        address: "/dashboard/terms",
        name: "Terms of the trade",
        intro: "Words by which a question finds its answer.",
        key: "terms",
        id: "term_id",
        read: |m| Box::pin(crate::terms::list(m)),
        kept: true,
        fields: &[
            Asked::new("text", "term", "Term", When::Adding),
            Asked::new("text", "meaning", "What it means", When::Always),
            Asked::new("text", "synonyms", "Other words for it, separated by commas", When::Always),
        ],
    },
    List {
        address: "/dashboard/pages",
        name: "Pages of your site",
        intro: "What your site says besides services and hours.",
        key: "pages",
        id: "page_id",
        read: |m| Box::pin(crate::pages::list(m)),
        kept: true,
        fields: &[
            SLUG,
            Asked::new("text", "title", "Title", When::Always),
            Asked::new("area", "body", "Text", When::Always),
        ],
    },
    List {
        address: "/dashboard/lead-questions",
        name: "Questions to possible customers",
        intro: "What your assistant asks somebody who may become a customer.",
        key: "questions",
        id: "question_id",
        read: |m| Box::pin(crate::questions::list(m)),
        kept: true,
        fields: &[Asked::new("text", "question", "Question", When::Always)],
    },
    List {
        address: "/dashboard/quick-replies",
        name: "Questions with one tap",
        intro: "What visitors can ask without typing.",
        key: "quick_replies",
        id: "reply_id",
        read: |m| Box::pin(crate::questions::quick_list(m)),
        kept: true,
        fields: &[Asked::new("text", "body", "Question", When::Always)],
    },
    List {
        address: "/dashboard/payment-methods",
        name: "Ways to pay",
        intro: "What you take.",
        key: "payment_methods",
        id: "method_id",
        read: |m| Box::pin(crate::services::method_list(m)),
        kept: false,
        fields: &[
            Asked::new("check", "accepted", "We take it", When::Changing),
            Asked::new("text", "note", "A word on it", When::Changing),
        ],
    },
];
