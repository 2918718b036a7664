//! Agents on pages: who answers, from which knowledge, with which tools and what kind of model.
//!
//! It never writes: [`crate::agents`] does, and its [`trial`] asks.

use http::Response;
use serde_json::Value;

use super::inbox::{model_call, source_name};
use super::view::{Field, Form, Item, Part, Row as _, Table, View, dollars, rows};
use super::{Frame, see_other};
use crate::agents::{self, AGENT_READ, Agent, trial};
use crate::budget::{BUDGET_READ, Budget};
use crate::conversations::{Author, CONVERSATION_READ};
use crate::error::Error;
use crate::ids::{AgentId, ConversationId};
use crate::inbox::{self, Thread};
use crate::knowledge::CATEGORY_LIST;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::tools::Tool;

const TAB: &str = "/dashboard/agents";

/// `GET /dashboard/agents`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut batch = member.scope.batch();
    let categories = batch.add::<Value>(CATEGORY_LIST, params![]);
    let categories = batch.send().await?.all(categories)?;
    let agents = rows(agents::list(member).await?, "agents")?;
    let add = Form::new("Add an agent", TAB, "Add").with(
        Field::line("text", "slug", "Short name, such as spare-parts", "")
            .needed()
            .help("By it your website's pages and your programs name the agent."),
    );
    let add = settings(add, &Value::Null, &categories);
    let intro = "Who answers, and from which categories of your knowledge. What is outside an agent's scope, it cannot see.";
    View::new(frame, "Agents", intro)
        .part(Part::list("", agents.iter().map(item).collect(), "No agent."))
        .part(Part::form(add))
        .draw()
}

fn item(agent: &Value) -> Item {
    let mut tags = Vec::new();
    if agent.holds("is_default") {
        tags.push("answers first".to_owned());
    }
    if !agent.holds("enabled") {
        tags.push("paused".to_owned());
    }
    tags.push(format!("{} model", agent.text("tier")));
    tags.extend(agent.texts("tools"));
    Item {
        title: agent.text("name"),
        address: Some(format!("{TAB}/{}", agent.text("agent_id"))),
        lines: vec![agent.text("role"), format!("Knows: {}", agent.texts("scope").join(", "))],
        tags,
        ..Item::default()
    }
}

/// `GET /dashboard/agents/{id}`: an agent, to be tried and changed. `trial` is the conversation in which one tries it.
///
/// # Errors
/// [`Error::NotFound`], also for a trial of somebody else's.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<AgentId>()?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let trial = call
        .query("trial")
        .map(|id| id.parse::<ConversationId>().map_err(|_| Error::NotFound))
        .transpose()?;
    let today = member.scope.day(member.scope.platform().now_ms());
    let mut batch = member.scope.batch();
    let agent = batch.add::<Agent>(AGENT_READ, params![id]);
    let categories = batch.add::<Value>(CATEGORY_LIST, params![]);
    let agents = batch.add::<Value>(COLLEAGUE_LIST, params![id]);
    let budget = batch.add::<Budget>(BUDGET_READ, params![&today]);
    let own =
        trial.map(|trial| batch.run(CONVERSATION_READ, params![trial, trial::visitor_id(member.user, id)]));
    let mut read = batch.send().await?;
    let agent = json(&read.one(agent)?)?;
    if let Some(own) = own {
        read.touched(own)?;
    }
    let address = format!("{TAB}/{id}");
    let edit = settings(Form::new("Settings", address.clone(), "Save"), &agent, &read.all(categories)?)
        .with(
            Field::area("starters:lines", "What one can begin with", agent.texts("starters").join("\n"), 800)
                .help("One a line; shown as buttons."),
        )
        .with(Field::hidden("handoffs", ""));
    let edit = (1..).zip(read.all(agents)?).fold(edit, |form, (number, colleague): (u32, Value)| {
        let slug = colleague.text("slug");
        let reasons = agent.list("handoffs").iter().find(|handoff| handoff.text("agent") == slug);
        let reason = reasons.map(|handoff| handoff.text("reason")).unwrap_or_default();
        let label = format!("Hands over to {} when", colleague.text("name"));
        form.with(Field::hidden(format!("handoffs.{number}.agent"), slug)).with(Field::line(
            "text",
            format!("handoffs.{number}.reason:optional"),
            label,
            reason,
        ))
    });
    let edit = edit.with(Field::check("enabled", "It answers", agent.holds("enabled")));
    let remove = Form::button("Remove the agent", format!("{address}/remove"))
        .danger(format!("Remove {}?", agent.text("name")));
    let remove =
        Part::text("Remove it", "One that has had conversations stays: pause it instead.").with(remove);
    let budget = read.one(budget)?;
    let thread = match trial {
        Some(trial) => Some(inbox::read(&member, trial).await?),
        None => None,
    };
    let view = View::new(frame, agent.text("name"), "").below(TAB, "Agents");
    let view = tried(view, &address, trial, thread, &budget).part(Part::form(edit));
    if agent.holds("is_default") { view.draw() } else { view.part(remove).draw() }
}

/// The fields that a new agent and an old one have.
fn settings(form: Form, agent: &Value, categories: &[Value]) -> Form {
    let (scope, tools) = (agent.texts("scope"), agent.texts("tools"));
    let tier = if agent.is_null() { "balanced".to_owned() } else { agent.text("tier") };
    let tiers = ["fast", "balanced", "best"].map(|name| (name.to_owned(), name.to_owned(), tier == name));
    let categories = categories.iter().map(|category| {
        let slug = category.text("slug");
        let chosen = scope.contains(&slug);
        (slug, category.text("name"), chosen)
    });
    let known = Tool::ALL.into_iter().map(|tool| {
        let name = tool.name().to_owned();
        (name.clone(), name.replace('_', " "), tools.contains(&name))
    });
    form.with(Field::line("text", "name", "Name", agent.text("name")).needed())
        .with(Field::line("text", "role", "What it is there for", agent.text("role")).needed())
        .with(
            Field::choice("tier", "Kind of model", tiers.into())
                .help("Balanced is right for most. An easy question may go to a cheaper one."),
        )
        .with(Field::area("greeting", "Greeting", agent.text("greeting"), 500))
        .with(
            Field::area("instructions", "What it is told", agent.text("instructions"), 8_000)
                .counted()
                .needed(),
        )
        .with(Field::several("scope", "What it knows", categories.collect()))
        .with(Field::several("tools", "What it may do", known.collect()))
}

/// The part in which one tries it: what was said, what each model call was for and cost, and the next question.
fn tried(
    view: View,
    address: &str,
    trial: Option<ConversationId>,
    thread: Option<Thread>,
    budget: &Budget,
) -> View {
    let intro = format!(
        "Ask as a visitor would. Nobody finds it in the inbox; what it costs counts: {} of {} spent today.",
        dollars(budget.ledger_spent_microusd),
        dollars(budget.daily_limit_microusd),
    );
    let mut ask = Form::new("", format!("{address}/try"), "Ask")
        .with(Field::area("message", "Your question", "", 4_000).needed());
    let mut said = Vec::new();
    let mut calls = Vec::new();
    if let Some(thread) = thread {
        let Thread { messages, tools, calls: made, .. } = thread;
        for message in messages {
            let cited = message.citations.as_array().map(Vec::as_slice).unwrap_or_default();
            let cited = cited.iter().map(|entry| format!("Rests on: {}", entry.text("question")));
            let used = tools.iter().filter(|tool| tool.message_id == message.message_id);
            let used = used.map(|tool| {
                format!("{} {}", tool.tool.replace('_', " "), if tool.done { "done" } else { "not done" })
            });
            said.push(Item {
                title: if message.author == Author::Visitor { "You".into() } else { "The agent".into() },
                whole: message.body,
                tags: used
                    .chain(message.source.map(|source| source_name(source).to_owned()))
                    .chain(cited)
                    .collect(),
                ..Item::default()
            });
        }
        calls = made.into_iter().map(model_call).collect();
    }
    if let Some(trial) = trial {
        ask = ask.with(Field::hidden("conversation_id", trial));
    }
    let view = view.part(Part::list("Try it", said, "").said(intro).with(ask));
    if calls.is_empty() {
        return view;
    }
    let head = vec!["Model", "Why this model", "Tokens", "Cost"];
    let calls = calls.into_iter().map(Vec::from).collect();
    let table = Table { caption: "Model calls of this trial".into(), head, rows: calls };
    let anew = Item { title: "Begin anew".into(), address: Some(address.to_owned()), ..Item::default() };
    view.part(Part::table("What it took", table, "")).part(Part::list("", vec![anew], ""))
}

/// `POST /dashboard/agents/{id}/try`: asks it, and shows what it says.
///
/// # Errors
/// As [`trial::ask`].
pub async fn ask(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let conversation = trial::asked(member, &call).await?;
    see_other(&format!("{TAB}/{}?trial={conversation}&done=answered", call.id::<AgentId>()?))
}

fn json(value: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Internal(error.to_string()))
}

/// An agent's colleagues.
const COLLEAGUE_LIST: TenantSql = crate::sql!(
    "select slug, name from agents where company_id = $1 and agent_id <> $2 order by position, slug limit 40"
);
