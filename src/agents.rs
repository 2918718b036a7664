//! Agents: who answers for a company, what they are told, and what they may draw from.
//!
//! It never lets a company be without the agent that answers when none is named.

mod kit;
pub mod trial;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::kit::{Handoff, Kit};
use crate::company::AUDIT_ADD;
use crate::error::Error;
use crate::fields::or_default;
use crate::idempotency::once;
use crate::ids::{AgentId, AuditId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer, no_content};
use crate::smart_router::Tier;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// The agent that answers a turn.
#[derive(Debug, Deserialize)]
pub struct Answering {
    /// The agent.
    pub agent_id: AgentId,
    /// Short name.
    pub slug: String,
    /// Name shown to customers.
    pub name: String,
    /// What it is there for.
    pub role: String,
    /// What it is told.
    pub instructions: String,
    /// What kind of model it wants.
    pub tier: Tier,
    /// Most that its model calls may cost a day, micro-dollars; `None`: only the company's limit.
    pub daily_limit_microusd: Option<u64>,
    /// What the ledger says it spent on the day, micro-dollars.
    pub ledger_spent_microusd: u64,
    /// First name of the person who took the conversation over: then the agent is silent.
    pub person: Option<String>,
}

/// The name of a tool that an agent may use.
#[derive(Debug, Deserialize)]
pub struct ToolName {
    /// As [`Tool::name`](crate::tools::Tool::name) has it.
    pub tool: String,
}

/// Knowledge layer 1: a text of the company's that stands in front of every prompt.
#[derive(Debug, Deserialize)]
pub struct Context {
    /// identity, personality, voice or rules.
    pub kind: String,
    /// The text.
    pub body: String,
}

/// The agent of a visitor's conversation, and what the ledger says it spent on a day (`$4`).
pub(crate) const AGENT_ANSWERING: TenantSql = crate::sql!(
    "select a.agent_id, a.slug, a.name, a.role, a.instructions, a.tier, a.daily_limit_microusd,
            coalesce(d.spent_microusd, 0) as ledger_spent_microusd, split_part(u.name, ' ', 1) as person
     from conversations c
     join agents a on a.company_id = c.company_id and a.agent_id = c.agent_id
     left join users u on u.company_id = c.company_id and u.user_id = c.taken_over_by
     left join ledger_agent_days d on d.company_id = a.company_id and d.agent_id = a.agent_id and d.day = $4::date
     where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3 and a.enabled"
);

/// The company's contexts, in the order of the prompt.
pub(crate) const CONTEXT_LIST: TenantSql =
    crate::sql!("select kind, body from gpt_contexts where company_id = $1 order by position, kind");

/// What the agent of a visitor's conversation may do besides answering: `tool`.
pub const TOOL_LIST: TenantSql = crate::sql!(
    "select o.tool
     from conversations c
     join agent_tools o on o.company_id = c.company_id and o.agent_id = c.agent_id
     where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3
     order by o.tool"
);

/// Which colleagues the agent of a visitor's conversation brings in: `slug`, `name`, and `reason`, which says when.
pub const HANDOFF_LIST: TenantSql = crate::sql!(
    "select b.slug, b.name, h.reason
     from conversations c
     join agent_handoffs h on h.company_id = c.company_id and h.agent_id = c.agent_id
     join agents b on b.company_id = h.company_id and b.agent_id = h.to_agent_id
     where c.company_id = $1 and c.conversation_id = $2 and c.visitor_id = $3 and b.enabled
     order by b.position, b.slug"
);

/// `GET /v1/agents`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let agents = batch.add::<Agent>(AGENT_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "agents": rows.all(agents)? }))
}

/// `GET /v1/agents/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<AgentId>()?;
    let mut batch = member.scope.batch();
    let agent = batch.add::<Agent>(AGENT_READ, params![id]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &rows.one(agent)?)
}

/// `POST /v1/agents`: adds an agent that may draw from the categories named, or from none; so with tools, starters and
/// colleagues to hand over to.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the short name is taken.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewAgent>().await?;
    check_slug(&new.slug)?;
    check_texts(&[
        ("name", Some(&new.name), 120),
        ("role", Some(&new.role), 300),
        ("instructions", Some(&new.instructions), 8_000),
    ])?;
    let kit = Kit { tools: new.tools, starters: new.starters, handoffs: new.handoffs };
    kit.check()?;
    let id = AgentId::new(member.scope.platform());
    let mut batch = member.scope.batch_once();
    let fields = params![id, new.slug, new.name, new.role, new.greeting, new.instructions, new.tier.as_str()];
    batch.run(AGENT_ADD, fields);
    batch.run(SCOPE_ADD, params![id, new.scope]);
    kit.write(&mut batch, id)?;
    batch.run(
        AUDIT_ADD,
        params![AuditId::new(member.scope.platform()), member.user, "agent.added", id.to_string()],
    );
    let agent = batch.add::<Agent>(AGENT_READ, params![id]);
    let mut rows = batch.send().await?;
    answer(StatusCode::CREATED, &rows.one(agent)?)
}

/// `PATCH /v1/agents/{id}`: changes what is given; a scope that is given replaces the one there is, and so do tools,
/// starters and handoffs.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<AgentId>()?;
    let new = call.json::<AgentChange>().await?;
    check_texts(&[
        ("name", new.name.as_ref(), 120),
        ("role", new.role.as_ref(), 300),
        ("instructions", new.instructions.as_ref(), 8_000),
    ])?;
    let kit = Kit { tools: new.tools, starters: new.starters, handoffs: new.handoffs };
    kit.check()?;
    let mut batch = member.scope.batch();
    let fields = params![
        id,
        new.name,
        new.role,
        new.greeting,
        new.instructions,
        new.tier.map(Tier::as_str),
        new.enabled,
    ];
    let changed = batch.run(AGENT_CHANGE, fields);
    if let Some(scope) = new.scope {
        batch.run(SCOPE_CLEAR, params![id, scope.clone()]);
        batch.run(SCOPE_ADD, params![id, scope]);
    }
    kit.write(&mut batch, id)?;
    batch.run(
        AUDIT_ADD,
        params![AuditId::new(member.scope.platform()), member.user, "agent.changed", id.to_string()],
    );
    let agent = batch.add::<Agent>(AGENT_READ, params![id]);
    let mut rows = batch.send().await?;
    rows.touched(changed)?;
    answer(StatusCode::OK, &rows.one(agent)?)
}

/// `DELETE /v1/agents/{id}`. The default agent, or one that has had conversations, cannot be removed, only disabled.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Conflict`] when it must stay.
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<AgentId>()?;
    let mut batch = member.scope.batch();
    let agent = batch.add::<Agent>(AGENT_READ, params![id]);
    let removed = batch.run(AGENT_REMOVE, params![id]);
    batch.run(
        AUDIT_ADD,
        params![AuditId::new(member.scope.platform()), member.user, "agent.removed", id.to_string()],
    );
    let mut rows = batch.send().await?;
    let agent = rows.one(agent)?;
    if rows.count(removed)? == 0 && agent.is_default {
        return Err(Error::Conflict(
            "The default agent answers when none is named. Make another one the default first.".into(),
        ));
    }
    Ok(no_content())
}

pub(crate) fn check_slug(slug: &str) -> Result<(), Error> {
    let fits = (1..=60).contains(&slug.len())
        && !slug.starts_with('-')
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        return Ok(());
    }
    Err(Error::Invalid(
        "The short name takes 1 to 60 lower-case letters, digits and hyphens, and begins with no hyphen."
            .into(),
    ))
}

/// An agent, as the company's people see it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Agent {
    pub(crate) agent_id: AgentId,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) greeting: String,
    pub(crate) instructions: String,
    pub(crate) tier: Tier,
    pub(crate) is_default: bool,
    pub(crate) enabled: bool,
    /// Short names of the categories it may draw from.
    pub(crate) scope: Vec<String>,
    /// What it may do besides answering.
    pub(crate) tools: Vec<String>,
    /// What one can begin with, on buttons.
    pub(crate) starters: Vec<String>,
    /// Which colleagues it brings in, and when.
    handoffs: Vec<Handoff>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAgent {
    slug: String,
    name: String,
    role: String,
    #[serde(deserialize_with = "or_default")]
    greeting: String,
    instructions: String,
    tier: Tier,
    #[serde(deserialize_with = "or_default")]
    scope: Vec<String>,
    tools: Option<Vec<String>>,
    starters: Option<Vec<String>>,
    handoffs: Option<Vec<Handoff>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentChange {
    name: Option<String>,
    role: Option<String>,
    greeting: Option<String>,
    instructions: Option<String>,
    tier: Option<Tier>,
    enabled: Option<bool>,
    scope: Option<Vec<String>>,
    tools: Option<Vec<String>>,
    starters: Option<Vec<String>>,
    handoffs: Option<Vec<Handoff>>,
}

const AGENT_LIST: TenantSql = crate::sql!(
    "select a.agent_id, a.slug, a.name, a.role, a.greeting, a.instructions, a.tier, a.is_default, a.enabled,
            coalesce((select jsonb_agg(k.slug order by k.position, k.slug)
                      from agent_knowledge_scopes s
                      join knowledge_categories k on k.company_id = s.company_id and k.category_id = s.category_id
                      where s.company_id = a.company_id and s.agent_id = a.agent_id), '[]') as scope,
            coalesce((select jsonb_agg(o.tool order by o.tool)
                      from agent_tools o
                      where o.company_id = a.company_id and o.agent_id = a.agent_id), '[]') as tools,
            coalesce((select jsonb_agg(o.body order by o.position)
                      from agent_starters o
                      where o.company_id = a.company_id and o.agent_id = a.agent_id), '[]') as starters,
            coalesce((select jsonb_agg(jsonb_build_object('agent', b.slug, 'reason', h.reason) order by b.position, b.slug)
                      from agent_handoffs h
                      join agents b on b.company_id = h.company_id and b.agent_id = h.to_agent_id
                      where h.company_id = a.company_id and h.agent_id = a.agent_id), '[]') as handoffs
     from agents a
     where a.company_id = $1
     order by a.position, a.slug"
);

/// An agent.
pub(crate) const AGENT_READ: TenantSql = crate::sql!(
    "select a.agent_id, a.slug, a.name, a.role, a.greeting, a.instructions, a.tier, a.is_default, a.enabled,
            coalesce((select jsonb_agg(k.slug order by k.position, k.slug)
                      from agent_knowledge_scopes s
                      join knowledge_categories k on k.company_id = s.company_id and k.category_id = s.category_id
                      where s.company_id = a.company_id and s.agent_id = a.agent_id), '[]') as scope,
            coalesce((select jsonb_agg(o.tool order by o.tool)
                      from agent_tools o
                      where o.company_id = a.company_id and o.agent_id = a.agent_id), '[]') as tools,
            coalesce((select jsonb_agg(o.body order by o.position)
                      from agent_starters o
                      where o.company_id = a.company_id and o.agent_id = a.agent_id), '[]') as starters,
            coalesce((select jsonb_agg(jsonb_build_object('agent', b.slug, 'reason', h.reason) order by b.position, b.slug)
                      from agent_handoffs h
                      join agents b on b.company_id = h.company_id and b.agent_id = h.to_agent_id
                      where h.company_id = a.company_id and h.agent_id = a.agent_id), '[]') as handoffs
     from agents a
     where a.company_id = $1 and a.agent_id = $2"
);

const AGENT_ADD: TenantSql = crate::sql!(
    "insert into agents (company_id, agent_id, slug, name, role, greeting, instructions, tier, position)
     values ($1, $2, $3, $4, $5, $6, $7, $8, 100)"
);

const AGENT_CHANGE: TenantSql = crate::sql!(
    "update agents
     set name = coalesce($3, name), role = coalesce($4, role), greeting = coalesce($5, greeting),
         instructions = coalesce($6, instructions), tier = coalesce($7, tier), enabled = coalesce($8, enabled),
         updated_at = now()
     where company_id = $1 and agent_id = $2"
);

const AGENT_REMOVE: TenantSql =
    crate::sql!("delete from agents where company_id = $1 and agent_id = $2 and not is_default");

const SCOPE_ADD: TenantSql = crate::sql!(
    "insert into agent_knowledge_scopes (company_id, agent_id, category_id)
     select $1, a.agent_id, k.category_id
     from agents a
     join knowledge_categories k on k.company_id = a.company_id and k.slug = any($3::text[])
     where a.company_id = $1 and a.agent_id = $2
     on conflict (company_id, agent_id, category_id) do nothing"
);

const SCOPE_CLEAR: TenantSql = crate::sql!(
    "delete from agent_knowledge_scopes s
     using knowledge_categories k
     where s.company_id = $1 and s.agent_id = $2
       and k.company_id = s.company_id and k.category_id = s.category_id and k.slug <> all($3::text[])"
);
