//! The SmartRouter: which of the company's own providers and models answers this turn.
//!
//! It never looks beyond the company: what it chooses from was read in the company's scope, and names its owner.

use crate::error::Error;
use crate::ids::{CompanyId, ProviderId};
use crate::llm::{Prompt, Usage, Wire};
use crate::providers::{Api, Kind};
use crate::tenant::vault::{LlmKey, SealedKey};
use crate::tenant::{TenantScope, TenantSql};

/// Chooses among the company's models: of the agent's tier if one fits, else the next cheaper tier, else any. A model
/// fits when this prompt's upper bound is within what is reserved and within the model's context.
#[must_use]
pub fn choose(models: &[Model], tier: Tier, prompt: &Prompt, reserved_microusd: u64) -> Option<Choice> {
    let bound = Usage {
        input_tokens: prompt.upper_bound_input_tokens(),
        output_tokens: prompt.max_output_tokens,
        ..Usage::default()
    };
    let fits = |model: &&Model| {
        model.cost_microusd(bound) <= reserved_microusd
            && bound.input_tokens.saturating_add(bound.output_tokens) <= model.context_tokens
    };
    // The wanted tier first, then cheaper ones from the top down, then dearer ones from the bottom up.
    let distance = |model: &&Model| {
        let (wanted, has) = (tier as i32, model.tier as i32);
        let away = if has <= wanted { wanted - has } else { 10 + has };
        (away, model.position, model.cost_microusd(bound))
    };
    let model = models.iter().filter(fits).min_by_key(distance)?;
    let reason = if model.tier == tier { Reason::Tier } else { Reason::NearestTier };
    Some(Choice { model: model.clone(), reason })
}

/// The most that a turn can cost a company: its dearest model, the longest prompt, the longest answer. Micro-dollars.
#[must_use]
pub fn ceiling_microusd(models: &[Model], max_input_tokens: u32, max_output_tokens: u32) -> u64 {
    let usage =
        Usage { input_tokens: max_input_tokens, output_tokens: max_output_tokens, ..Usage::default() };
    models.iter().map(|model| model.cost_microusd(usage)).max().unwrap_or(0)
}

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
}

/// A model at one of the company's providers, with what it costs.
#[derive(Clone, serde::Deserialize)]
pub struct Model {
    company_id: CompanyId,
    provider_id: ProviderId,
    kind: Kind,
    api: Api,
    base_url: Option<String>,
    sealed_key: SealedKey,
    position: i32,
    model: String,
    tier: Tier,
    input_microusd_per_mtok: u64,
    output_microusd_per_mtok: u64,
    context_tokens: u32,
}

impl Model {
    /// What so many tokens cost, micro-dollars, rounded up.
    fn cost_microusd(&self, usage: Usage) -> u64 {
        let input = u64::from(usage.input_tokens).saturating_mul(self.input_microusd_per_mtok);
        let output = u64::from(usage.output_tokens).saturating_mul(self.output_microusd_per_mtok);
        input.saturating_add(output).div_ceil(1_000_000)
    }
}

/// Why a model was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is of the tier that the agent wants.
    Tier,
    /// None of that tier fits; this is the nearest that does.
    NearestTier,
}

/// The model that answers, and why.
pub struct Choice {
    model: Model,
    reason: Reason,
}

impl Choice {
    /// Opens the provider's key, after checking that the provider is this company's.
    ///
    /// # Errors
    /// [`Error::Internal`]: an alarm, not a reason to try another.
    pub fn key(&self, scope: &TenantScope) -> Result<LlmKey, Error> {
        scope.key_open(self.model.company_id, self.model.provider_id, &self.model.sealed_key)
    }

    /// The wire format the provider speaks.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.model.kind.wire(self.model.api)
    }

    /// The base URL of the provider's API. Settled by [`Choice::at`].
    #[must_use]
    pub fn base_url(&self) -> &str {
        self.model.base_url.as_deref().unwrap_or_default()
    }

    /// Puts in the operator's base URL where the provider's kind has a fixed one, and checks a company's own against
    /// the hosts that the operator allows today, whatever was allowed when it was stored.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the operator does not allow the host any more.
    pub fn at(mut self, scope: &TenantScope) -> Result<Self, Error> {
        let url = self.model.kind.base_url(&scope.app().config, self.model.base_url.as_deref())?;
        self.model.base_url = Some(url);
        Ok(self)
    }

    /// The model's name in the provider's API.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model.model
    }

    /// The model's name, kept.
    #[must_use]
    pub fn into_model(self) -> String {
        self.model.model
    }

    /// The provider that is billed.
    #[must_use]
    pub fn provider(&self) -> ProviderId {
        self.model.provider_id
    }

    /// Why this one.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What so many tokens cost, micro-dollars, rounded up.
    #[must_use]
    pub fn cost_microusd(&self, usage: Usage) -> u64 {
        self.model.cost_microusd(usage)
    }
}

/// The company's enabled models. The sealed key comes with them; only the chosen one is opened.
pub(crate) const MODEL_LIST: TenantSql = crate::sql!(
    "select p.company_id, p.provider_id, p.kind, p.api, p.base_url, p.sealed_key, p.position,
            m.model, m.tier, m.input_microusd_per_mtok, m.output_microusd_per_mtok, m.context_tokens
     from providers p
     join provider_models m on m.company_id = p.company_id and m.provider_id = p.provider_id
     where p.company_id = $1 and p.enabled
     order by p.position, p.provider_id, m.model
     limit 200"
);
