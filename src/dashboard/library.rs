//! The library on pages: what a search finds, what visitors asked in vain, and what the templates have otherwise.
//!
//! It never writes: the modules of the API do.

use http::Response;
use serde_json::Value;

use super::Frame;
use super::drafts::choice;
use super::view::{Field, Form, Item, Part, Row as _, Stamp, View, rows, value};
use crate::agents;
use crate::error::Error;
use crate::ids::UnansweredId;
use crate::knowledge::{CATEGORY_LIST, Category, trial};
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;
use crate::{unanswered as questions, updates as templates};

const TAB: &str = "/dashboard/knowledge";
const UNANSWERED: &str = "/dashboard/unanswered";
const UPDATES: &str = "/dashboard/templates/updates";

/// `GET /dashboard/knowledge/search`: what an agent would find.
///
/// # Errors
/// As the API's.
pub async fn search(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let found = trial::found(&member, &call).await?;
    let agents = rows(agents::list(member).await?, "agents")?;
    let (question, agent) = (found.text("q"), found.text("agent"));
    let options = agents.iter().map(|row| (row.text("slug"), row.text("name"), row.text("slug") == agent));
    let filter = Form::new("", "/dashboard/knowledge/search", "Try it")
        .with(Field::line("search", "q", "A customer's question", &question))
        .with(Field::choice("agent", "Agent", options.collect()));
    let intro =
        "What an agent finds for a question, as in the chat: this is all that a model's answer may rest on.";
    let mut view = View::new(frame, "Try the search", intro).below(TAB, "Knowledge").narrowed(filter);
    if !question.is_empty() {
        let without = match (found.text("without_model"), found.holds("knowledge_answers")) {
            (answer, _) if !answer.is_empty() => answer,
            (_, false) => "The visitor is asked how to be called back: your budget's settings let no entry answer by itself.".into(),
            _ => "No entry is close enough to answer by itself: the visitor is asked how to be called back.".into(),
        };
        let items: Vec<Item> = found.list("hits").iter().map(hit).collect();
        view = view
            .part(Part::list(
                "What it finds",
                items,
                "It finds nothing. Add an entry, add words to a near one's keywords, or let the agent see the entry's category.",
            ))
            .part(Part::text("Without a model", without));
    }
    view.draw()
}

fn hit(row: &Value) -> Item {
    let score = row.get("score").and_then(Value::as_f64).unwrap_or(0.0);
    let layer = row.text("layer");
    let from = match layer.as_str() {
        "company" => "your own",
        "template" => "from your trade's template",
        _ => "from the platform, for every company of your trade",
    };
    let mut calls = Vec::new();
    if row.holds("cited") {
        calls.push("would be named as a source".to_owned());
    }
    if row.holds("answers") {
        calls.push("may answer by itself".to_owned());
    }
    Item {
        title: row.text("question"),
        address: (layer != "platform").then(|| format!("{TAB}/{}", row.text("entry_id"))),
        lines: vec![row.text("answer")],
        tags: vec![format!("rank {}", row.text("rank")), format!("score {score:.2}"), from.to_owned()],
        calls,
        ..Item::default()
    }
}

/// `GET /dashboard/unanswered`: what visitors asked in vain.
///
/// # Errors
/// As the API's.
pub async fn unanswered(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let questions = rows(questions::list(member).await?, "questions")?;
    let items = questions.iter().map(|row| {
        let address = format!("{UNANSWERED}/{}", row.text("unanswered_id"));
        let times = match row.text("times").as_str() {
            "1" => "asked once".to_owned(),
            times => format!("asked {times} times"),
        };
        let mut calls = Vec::new();
        if row.holds("drafted") {
            calls.push("a draft waits".to_owned());
        }
        Item {
            title: row.text("question"),
            tags: vec![times],
            calls,
            when: Stamp::parse(&row.text("asked_at")),
            actions: vec![
                Form::button("Draft with a model", format!("{address}/draft")),
                Form::button("Dismiss", format!("{address}/remove")),
            ],
            address: Some(address),
            ..Item::default()
        }
    });
    let intro = "What your visitors asked in the last 90 days and nobody could answer, most often first. Write an answer, and it is known from then on.";
    View::new(frame, "Questions without an answer", intro)
        .below(TAB, "Knowledge")
        .part(Part::list("", items.collect(), "Every question of late had an answer."))
        .draw()
}

/// `GET /dashboard/unanswered/{id}`: the form for its answer.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn question(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<UnansweredId>()?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut batch = member.scope.batch();
    let categories = batch.add::<Category>(CATEGORY_LIST, params![]);
    let categories = batch.send().await?.all(categories)?;
    let asked = value(questions::show(member, call).await?)?;
    let address = format!("{UNANSWERED}/{id}");
    let question: String = asked.text("question").chars().take(500).collect();
    let write = Form::new("Write an answer", format!("{address}/answer"), "Add the answer")
        .with(choice(&categories, ""))
        .with(Field::line("text", "question", "Question", question).needed())
        .with(Field::area("answer", "Answer", "", 8_000).needed())
        .with(
            Field::line("text", "keywords", "Keywords", "")
                .help("Other words that customers use, separated by commas."),
        );
    let draft = Form::button("Draft with a model", format!("{address}/draft"));
    let dismiss = Form::button("Dismiss", format!("{address}/remove"));
    let read = Item {
        title: "The conversation in which it was asked last".into(),
        address: Some(format!("/dashboard/inbox/{}", asked.text("conversation_id"))),
        actions: vec![draft, dismiss],
        ..Item::default()
    };
    View::new(
        frame,
        "Answer a question",
        "A model's draft waits for you among the drafts; it costs as much as an answer in the chat.",
    )
    .below(UNANSWERED, "Questions without an answer")
    .part(Part::form(write))
    .part(Part::list("", vec![read], ""))
    .draw()
}

/// `GET /dashboard/templates/updates`: what the templates have otherwise, both texts side by side.
///
/// # Errors
/// As every batch.
pub async fn updates(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let all = rows(templates::list(member).await?, "updates")?;
    let (edited, others): (Vec<&Value>, Vec<&Value>) =
        all.iter().partition(|row| row.text("state") == "edited");
    let intro = "Your trade's template has changed. What you have not edited follows by itself; what you have edited stays, unless you take the template's text.";
    let mut view = View::new(frame, "Template updates", intro).below(TAB, "Knowledge");
    for (kind, name) in KINDS {
        let rows: Vec<_> = edited.iter().filter(|row| row.text("kind") == *kind).collect();
        if rows.is_empty() {
            continue;
        }
        let items = rows.iter().map(|row| {
            let slug = row.text("slug");
            Item {
                actions: vec![
                    chosen("Take the template's", "accept", kind, [slug.clone()]),
                    chosen("Keep mine", "keep", kind, [slug]),
                ],
                ..item(row)
            }
        });
        let slugs = || rows.iter().map(|row| row.text("slug"));
        view = view.part(Part::list(format!("{name} that you edited: {}", rows.len()), items.collect(), ""));
        if rows.len() > 1 {
            let ask =
                format!("Take the template's text for all {} of these? Yours are replaced.", rows.len());
            view = view.part(Part::buttons(vec![
                chosen("Take all of the template's", "accept", kind, slugs()).asking(ask),
                chosen("Keep all of mine", "keep", kind, slugs()),
            ]));
        }
    }
    let none =
        if edited.is_empty() { "Everything is as the template has it." } else { "Nothing else has changed." };
    let bring = (!others.is_empty()).then(|| Form::new("", UPDATES, "Bring these up to date"));
    view = view.part(Part::list("Comes by itself", others.into_iter().take(SHOWN).map(item).collect(), none));
    if let Some(bring) = bring {
        view = view.part(Part::form(bring));
    }
    view.draw()
}

/// Most rows of which both texts are shown where nothing is to be decided.
const SHOWN: usize = 60;

/// The kinds of rows, and what people call them.
const KINDS: &[(&str, &str)] = &[
    ("context", "Texts in front of every prompt"),
    ("entry", "Entries"),
    ("message", "Messages"),
    ("page", "Pages"),
    ("service", "Services"),
    ("term", "Terms"),
];

fn item(row: &Value) -> Item {
    let absent = |text: String, none: &str| if text.is_empty() { none.to_owned() } else { text };
    Item {
        title: row.text("slug"),
        texts: vec![
            ("Yours", absent(row.text("yours"), "You do not have it yet.")),
            (
                "The template's",
                absent(row.text("template"), "The template no longer has it: taking it removes yours."),
            ),
        ],
        tags: vec![row.text("kind"), row.text("state")],
        ..Item::default()
    }
}

/// A form that decides on these rows of a kind.
fn chosen(
    button: &'static str,
    what: &'static str,
    kind: &str,
    slugs: impl IntoIterator<Item = String>,
) -> Form {
    let (kind_field, slugs_field) =
        if what == "accept" { ("accept.kind", "accept.slugs") } else { ("keep.kind", "keep.slugs") };
    let form = Form::button(button, UPDATES).with(Field::hidden(kind_field, kind));
    slugs.into_iter().fold(form, |form, slug| form.with(Field::hidden(slugs_field, slug)))
}
