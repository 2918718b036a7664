//! Models at the company's providers, with what they cost.
//!
//! It never opens a key: it carries it sealed.

use crate::ids::{CompanyId, ProviderId};
use crate::llm::Usage;
use crate::providers::Kind;
use crate::tenant::TenantSql;
use crate::tenant::vault::SealedKey;

/// How capable a model an agent wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Quick and cheap.
    Fast,
    /// In between.
    Balanced,
    /// The most capable.
    Best,
}

impl Tier {
    /// As the database spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Best => "best",
        }
    }

    /// The next cheaper one.
    #[must_use]
    pub const fn below(self) -> Option<Self> {
        match self {
            Self::Fast => None,
            Self::Balanced => Some(Self::Fast),
            Self::Best => Some(Self::Balanced),
        }
    }
}

/// A model that the company may use, with what it costs.
#[derive(Clone, serde::Deserialize)]
pub struct Model {
    pub(super) company_id: CompanyId,
    pub(super) provider_id: ProviderId,
    pub(super) kind: Kind,
    pub(super) base_url: Option<String>,
    /// `None` for the operator's own.
    pub(super) sealed_key: Option<SealedKey>,
    pub(super) position: i32,
    pub(super) model: String,
    pub(super) tier: Tier,
    pub(super) input_microusd_per_mtok: u64,
    pub(super) output_microusd_per_mtok: u64,
    pub(super) context_tokens: u32,
    /// The operator's, not the company's.
    pub(super) platform: bool,
}

impl Model {
    /// What so many tokens cost, micro-dollars, rounded up.
    #[must_use]
    pub fn cost_microusd(&self, usage: Usage) -> u64 {
        self.pico(usage).div_ceil(1_000_000)
    }

    /// How many output tokens fit into so much money beside these tokens; `None` when those alone do not.
    pub(super) fn output_tokens_within(&self, usage: Usage, microusd: u64) -> Option<u64> {
        let left = microusd.saturating_mul(1_000_000).checked_sub(self.pico(usage))?;
        Some(left.checked_div(self.output_microusd_per_mtok).unwrap_or(u64::MAX))
    }

    /// In millionths of a micro-dollar, so that nothing is rounded in between.
    fn pico(&self, usage: Usage) -> u64 {
        let input = u64::from(usage.input_tokens).saturating_mul(self.input_microusd_per_mtok);
        let output = u64::from(usage.output_tokens).saturating_mul(self.output_microusd_per_mtok);
        input.saturating_add(output)
    }
}

/// The models of the company's enabled providers, and the operator's own where plan and company allow them (`$2`: the kinds
/// for which the operator has a key). The sealed key comes with them; only that of a model that is called is opened.
pub const MODEL_LIST: TenantSql = crate::sql!(
    "select p.company_id, p.provider_id, p.kind, p.base_url, p.sealed_key, p.position, m.model, m.tier,
            m.input_microusd_per_mtok, m.output_microusd_per_mtok, m.context_tokens, false as platform
     from providers p
     join provider_models m on m.company_id = p.company_id and m.provider_id = p.provider_id
     where p.company_id = $1 and p.enabled
     union all
     select b.company_id, '00000000-0000-0000-0000-000000000000'::uuid, k.kind, null, null, 0, k.model, k.tier,
            k.input_microusd_per_mtok, k.output_microusd_per_mtok, k.context_tokens, true
     from budgets b
     join subscriptions s on s.company_id = b.company_id
     join plans n on n.plan = s.plan and n.platform_models
     join models k on k.kind = any($2)
     where b.company_id = $1 and b.platform_models
     order by position, provider_id, model
     limit 200"
);
