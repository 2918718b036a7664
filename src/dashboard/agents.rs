//! Agents on pages: who answers, from which knowledge, with which tools and what kind of model.
//!
//! It never writes: [`crate::agents`] does.

use http::Response;
use serde_json::Value;

use super::Frame;
use super::view::{Field, Form, Item, Part, Row as _, View, rows};
use crate::agents::{self, AGENT_READ, Agent};
use crate::error::Error;
use crate::ids::AgentId;
use crate::knowledge::{CATEGORY_LIST, Category};
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;
use crate::tools::Tool;

const TAB: &str = "/dashboard/agents";

/// `GET /dashboard/agents`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let agents = rows(agents::list(member).await?, "agents")?;
    let intro = "Who answers, and from which categories of your knowledge. What is outside an agent's scope, it cannot see.";
    View::new(frame, "Agents", intro)
        .part(Part::list("", agents.iter().map(item).collect(), "No agent."))
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

/// `GET /dashboard/agents/{id}`: an agent, to be changed.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<AgentId>()?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut batch = member.scope.batch();
    let agent = batch.add::<Agent>(AGENT_READ, params![id]);
    let categories = batch.add::<Category>(CATEGORY_LIST, params![]);
    let mut read = batch.send().await?;
    let agent = json(&read.one(agent)?)?;
    let (scope, tools) = (agent.texts("scope"), agent.texts("tools"));
    let tiers = ["fast", "balanced", "best"];
    let tiers = tiers.map(|tier| (tier.to_owned(), tier.to_owned(), agent.text("tier") == tier));
    let categories = read.all(categories)?.into_iter();
    let categories = categories.map(|category| {
        let chosen = scope.contains(&category.slug);
        (category.slug, category.name, chosen)
    });
    let tools = Tool::ALL.into_iter().map(|tool| {
        let name = tool.name().to_owned();
        (name.clone(), name.replace('_', " "), tools.contains(&name))
    });
    let edit = Form::new("", format!("{TAB}/{id}"), "Save")
        .with(Field::line("text", "name", "Name", agent.text("name")).needed())
        .with(Field::line("text", "role", "What it is there for", agent.text("role")).needed())
        .with(
            Field::choice("tier", "Kind of model", tiers.into())
                .help("Balanced is right for most. An easy question may go to a cheaper one."),
        )
        .with(Field::area("greeting", "Greeting", agent.text("greeting"), 500))
        .with(Field::area("instructions", "What it is told", agent.text("instructions"), 8_000).needed())
        .with(Field::several("scope", "What it knows", categories.collect()))
        .with(Field::several("tools", "What it may do", tools.collect()))
        .with(Field::check("enabled", "It answers", agent.holds("enabled")));
    View::new(frame, agent.text("name"), "").below(TAB, "Agents").part(Part::form(edit)).draw()
}

fn json(value: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Internal(error.to_string()))
}
