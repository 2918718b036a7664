//! What an agent has besides its words: tools, questions to begin with, colleagues to hand over to.
//!
//! It never takes a colleague of another company's: what is not found at home is left out.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ids::AgentId;
use crate::knowledge::check_texts;
use crate::params;
use crate::tenant::TenantSql;
use crate::tenant::postgres::Batch;
use crate::tools::Tool;

/// Which colleague an agent brings in, and when.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Handoff {
    /// The colleague's short name.
    agent: String,
    reason: String,
}

/// What is given of it; what is not stays as it is.
pub(super) struct Kit {
    pub(super) tools: Option<Vec<String>>,
    pub(super) starters: Option<Vec<String>>,
    pub(super) handoffs: Option<Vec<Handoff>>,
}

impl Kit {
    /// # Errors
    /// [`Error::Invalid`] with what is wrong with it.
    pub(super) fn check(&self) -> Result<(), Error> {
        let tools = self.tools.as_deref().unwrap_or_default();
        if let Some(unknown) = tools.iter().find(|tool| Tool::named(tool).is_none()) {
            let known: Vec<_> = Tool::ALL.into_iter().map(Tool::name).collect();
            return Err(Error::Invalid(format!(
                "There is no tool {unknown:?}. There are: {}.",
                known.join(", ")
            )));
        }
        let starters = self.starters.as_deref().unwrap_or_default();
        let handoffs = self.handoffs.as_deref().unwrap_or_default();
        if starters.len() > 12 || handoffs.len() > 40 {
            return Err(Error::Invalid("An agent takes up to 12 starters and 40 handoffs.".into()));
        }
        starters.iter().try_for_each(|text| check_texts(&[("starter", Some(text), 60)]))?;
        handoffs.iter().try_for_each(|handoff| check_texts(&[("reason", Some(&handoff.reason), 200)]))
    }

    /// Replaces what is given.
    ///
    /// # Errors
    /// [`Error::Internal`] when a text has no JSON form.
    pub(super) fn write(self, batch: &mut Batch<'_>, agent: AgentId) -> Result<(), Error> {
        if let Some(tools) = self.tools {
            batch.run(TOOL_CLEAR, params![agent]);
            batch.run(TOOL_ADD, params![agent, tools]);
        }
        if let Some(starters) = self.starters {
            batch.run(STARTER_CLEAR, params![agent]);
            batch.run(STARTER_ADD, params![agent, starters]);
        }
        if let Some(handoffs) = self.handoffs {
            let handoffs = serde_json::to_value(handoffs)
                .map_err(|error| Error::Internal(format!("handoffs: {error}")))?;
            batch.run(HANDOFF_CLEAR, params![agent]);
            batch.run(HANDOFF_ADD, params![agent, handoffs]);
        }
        Ok(())
    }
}

const TOOL_CLEAR: TenantSql = crate::sql!("delete from agent_tools where company_id = $1 and agent_id = $2");

const TOOL_ADD: TenantSql = crate::sql!(
    "insert into agent_tools (company_id, agent_id, tool)
     select $1, a.agent_id, t.tool
     from agents a
     cross join unnest($3::text[]) t (tool)
     where a.company_id = $1 and a.agent_id = $2
     on conflict (company_id, agent_id, tool) do nothing"
);

const STARTER_CLEAR: TenantSql =
    crate::sql!("delete from agent_starters where company_id = $1 and agent_id = $2");

const STARTER_ADD: TenantSql = crate::sql!(
    "insert into agent_starters (company_id, agent_id, position, body)
     select $1, a.agent_id, s.position, s.body
     from agents a
     cross join unnest($3::text[]) with ordinality s (body, position)
     where a.company_id = $1 and a.agent_id = $2"
);

const HANDOFF_CLEAR: TenantSql =
    crate::sql!("delete from agent_handoffs where company_id = $1 and agent_id = $2");

const HANDOFF_ADD: TenantSql = crate::sql!(
    "insert into agent_handoffs (company_id, agent_id, to_agent_id, reason)
     select $1, a.agent_id, b.agent_id, h.reason
     from agents a
     cross join jsonb_to_recordset($3::jsonb) h (agent text, reason text)
     join agents b on b.company_id = a.company_id and b.slug = h.agent and b.agent_id <> a.agent_id
     where a.company_id = $1 and a.agent_id = $2
     on conflict (company_id, agent_id, to_agent_id) do nothing"
);
