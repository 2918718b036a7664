//! The lists of the office, each as its pages need to know it.
//!
//! It never reads or writes one: it names who does.

use serde_json::Value;

use super::{Asked, List, When};
use crate::dashboard::view::{Row as _, dollars};
use crate::error::Error;

/// The lists, in the order of the office's page.
pub(super) const LISTS: &[List] = &[
    List {
        address: "/dashboard/services",
        name: "Services and prices",
        tags: |row| vec![price(row)],
        intro: "What you sell. Your site shows it, and your assistant tells it.",
        key: "services",
        id: "service_id",
        read: |m| Box::pin(crate::services::list(m)),
        fields: &[
            SLUG,
            Asked::new("text", "name", "Name", When::Always),
            Asked { limit: 1_000, ..Asked::new("area", "description", "What it is", When::Always) },
            Asked::new("number", "price_from_cents:cents", "Price from, dollars", When::Always),
            Asked::new("number", "price_to_cents:cents", "Price to, dollars", When::Always),
            Asked::new("text", "unit", "Per", When::Always),
            Asked::new("number", "duration_minutes:optional", "Usually takes, minutes", When::Always),
            Asked { limit: 1_000, ..Asked::new("area", "includes", "What is in the price", When::Always) },
        ],
        ..EMPTY
    },
    List {
        address: "/dashboard/replies",
        name: "Messages",
        intro: "E-mails, text messages and replies that are written once.",
        key: "replies",
        id: "message_template_id",
        read: |m| Box::pin(crate::replies::list(m)),
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
        ..EMPTY
    },
    List {
        address: "/dashboard/terms",
        name: "Terms of the trade",
        intro: "Words by which a question finds its answer.",
        key: "terms",
        id: "term_id",
        read: |m| Box::pin(crate::terms::list(m)),
        fields: &[
            Asked::new("text", "term", "Term", When::Adding),
            Asked::new("text", "meaning", "What it means", When::Always),
            Asked::new("text", "synonyms", "Other words for it, separated by commas", When::Always),
        ],
        ..EMPTY
    },
    List {
        address: "/dashboard/lead-questions",
        name: "Questions to possible customers",
        intro: "What your assistant asks somebody who may become a customer.",
        key: "questions",
        id: "question_id",
        read: |m| Box::pin(crate::questions::list(m)),
        fields: &[Asked::new("text", "question", "Question", When::Always)],
        ..EMPTY
    },
    List {
        address: "/dashboard/quick-replies",
        name: "Questions with one tap",
        intro: "What visitors can ask without typing.",
        key: "quick_replies",
        id: "reply_id",
        read: |m| Box::pin(crate::questions::quick_list(m)),
        fields: &[Asked::new("text", "body", "Question", When::Always)],
        ..EMPTY
    },
    List {
        address: "/dashboard/payment-methods",
        name: "Ways to pay",
        tags: |row| vec![if row.holds("accepted") { "taken" } else { "not taken" }.to_owned()],
        intro: "What you take.",
        key: "payment_methods",
        id: "method_id",
        read: |m| Box::pin(crate::services::method_list(m)),
        kept: false,
        fields: &[
            Asked::new("check", "accepted", "We take it", When::Changing),
            Asked::new("text", "note", "A word on it", When::Changing),
        ],
        ..EMPTY
    },
    List {
        address: "/dashboard/contexts",
        name: "Contexts",
        intro: "Four texts that stand in front of every question: who you are, and how your agents speak for you. Each counts in the cost of every answer.",
        key: "contexts",
        id: "context_id",
        read: |m| Box::pin(crate::contexts::list(m)),
        kept: false,
        title: |row| {
            match row.text("kind").as_str() {
                "identity" => "Who you are",
                "personality" => "How you treat people",
                "voice" => "How you write",
                _ => "What is never promised",
            }
            .to_owned()
        },
        fields: &[Asked { limit: 8_000, ..Asked::new("area", "body", "Text", When::Changing) }],
        ..EMPTY
    },
    List {
        address: "/dashboard/pipeline",
        name: "Stages of a lead",
        intro: "From the first word to won or lost, in their order. Leads of a removed stage stay, without one.",
        key: "stages",
        id: "stage_id",
        read: |m| Box::pin(crate::pipeline::list(m)),
        tags: |row| vec![row.text("outcome"), format!("{} leads", row.text("leads"))],
        fields: &[
            SLUG,
            Asked::new("text", "name", "Name", When::Always),
            Asked {
                options: &["open", "won", "lost"],
                ..Asked::new("choice", "outcome", "What it means for the lead", When::Always)
            },
            Asked::new("number", "stale_days:optional", "Waits too long after, days", When::Always),
            Asked::new("number", "position:optional", "Place in the order", When::Changing),
        ],
        ..EMPTY
    },
    List {
        address: "/dashboard/labels",
        name: "Labels",
        intro: "What a lead or a conversation is about, told by its words.",
        key: "labels",
        id: "label_id",
        read: |m| Box::pin(crate::labels::list(m)),
        fields: &[
            Asked::new("text", "name", "Name", When::Always),
            Asked::new("color", "color", "Colour", When::Always),
            Asked::new("text", "words", "Words by which it is known, separated by commas", When::Always),
        ],
        ..EMPTY
    },
    List {
        address: "/dashboard/notifications",
        name: "Notifications",
        intro: "Who of your people is told of what, and how. Whoever has the role or a higher one is told.",
        key: "notifications",
        id: "notification_id",
        read: |m| Box::pin(crate::notifications::list(m)),
        kept: false,
        title: |row| {
            let (event, channel) = (words(&row.text("event")), row.text("channel"));
            let (first, rest) = event.split_at_checked(1).unwrap_or(("", &event));
            format!("{}{rest}: {channel}", first.to_uppercase())
        },
        tags: |row| state(row, "on", "off", format!("from {} up", row.text("role"))),
        fields: &[
            Asked::new("check", "enabled", "Tell of it", When::Changing),
            Asked {
                options: &["member", "admin", "owner"],
                ..Asked::new("choice", "role", "From this role up", When::Changing)
            },
        ],
    },
    List {
        address: "/dashboard/follow-ups",
        name: "Following up",
        intro: "Which message is due when. A message goes out only by your own hand.",
        key: "steps",
        id: "step_id",
        read: |m| Box::pin(crate::replies::step_list(m)),
        kept: false,
        tags: |row| {
            let when = format!("{}, after {} h", words(&row.text("sequence")), row.text("after_hours"));
            state(row, "on", "off", when)
        },
        fields: &[
            Asked::new("check", "enabled", "It is due at all", When::Changing),
            Asked::new("number", "after_hours", "After, hours", When::Changing),
        ],
        ..EMPTY
    },
    List {
        address: "/dashboard/appointment-types",
        name: "Appointments",
        intro: "What customers can ask for. An appointment is a request until you confirm it.",
        key: "appointment_types",
        id: "appointment_type_id",
        read: |m| Box::pin(crate::calendar::type_list(m)),
        kept: false,
        tags: |row| {
            let takes = format!("{} min, {} h ahead", row.text("duration_minutes"), row.text("notice_hours"));
            state(row, "can be asked for", "cannot be asked for", takes)
        },
        fields: &[
            Asked::new("text", "name", "Name", When::Changing),
            Asked::new("number", "duration_minutes", "Takes, minutes", When::Changing),
            Asked::new("number", "buffer_minutes", "Time between two, minutes", When::Changing),
            Asked::new("number", "notice_hours", "Notice, hours", When::Changing),
            Asked::new("check", "bookable", "Agents may propose it", When::Changing),
        ],
        ..EMPTY
    },
];

/// What an empty row of the table is.
const EMPTY: List = List {
    address: "",
    name: "",
    intro: "",
    key: "",
    id: "",
    read: |_| Box::pin(async { Err(Error::NotFound) }),
    kept: true,
    title: name,
    tags: no_tags,
    fields: &[],
};

const SLUG: Asked = Asked::new("text", "slug", "Short name, such as spring-check", When::Adding);

/// What a row is called that has a name, or else what it says.
fn name(row: &Value) -> String {
    let names = ["name", "title", "term", "question", "body"];
    names.into_iter().map(|name| row.text(name)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn no_tags(_: &Value) -> Vec<String> {
    Vec::new()
}

/// `lead.stale` and `handed_over` as people write them.
fn words(text: &str) -> String {
    text.replace(['.', '_', '-'], " ")
}

/// What a service costs, as people say it.
fn price(row: &Value) -> String {
    let cents = |name: &str| row.get(name).and_then(Value::as_u64);
    let write = |cents: u64| dollars(cents.saturating_mul(10_000));
    match (cents("price_from_cents"), cents("price_to_cents")) {
        (None, _) => "price on request".to_owned(),
        (Some(from), Some(to)) if to > from => format!("{} to {}", write(from), write(to)),
        (Some(from), Some(_)) => write(from),
        (Some(from), None) => format!("from {}", write(from)),
    }
}

/// On or off, and to whom or when.
fn state(row: &Value, on: &str, off: &str, more: String) -> Vec<String> {
    let state = if row.holds("enabled") || row.holds("bookable") { on } else { off };
    std::iter::once(state.to_owned()).chain((!more.is_empty()).then_some(more)).collect()
}
