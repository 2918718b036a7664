//! The SmartRouter: which of the company's own providers and models answers this turn, best first.
//!
//! It never looks beyond the company: what it chooses from was read in the company's scope, and names its owner. It asks
//! nobody anything: what it decides from is given to it.

mod health;
mod model;

pub use health::{Health, Outcome, State};
pub use model::{MODEL_LIST, Model, Tier};

use crate::error::Error;
use crate::ids::ProviderId;
use crate::llm::{Usage, Wire};
use crate::tenant::TenantScope;
use crate::tenant::vault::LlmKey;

/// All models that may answer, best first; none when none fits what is left.
///
/// A model of the tier that is wanted comes first, then cheaper tiers from the top down, then dearer ones from the bottom
/// up; among equals the company's own order, then the price. The tier that is wanted is the agent's, or the one below it
/// for an easy question or a day that nears its end, where the company allows that. A provider that failed of late is left
/// alone, until one turn may try it again.
#[must_use]
pub fn rank(models: &[Model], wanted: &Wanted, left: Left, health: &Health) -> Vec<Choice> {
    let (tier, because) = wanted.tier();
    let mut ranked: Vec<_> = models
        .iter()
        .filter(|model| wanted.cheaper || model.tier >= wanted.agent_tier)
        .filter_map(|model| {
            let probed = match health.of(model.provider_id) {
                State::Open => return None,
                State::Probe => true,
                State::Well => false,
            };
            let max_output_tokens = wanted.fit(model, left)?;
            let reason = match () {
                () if probed => Reason::Probe,
                () if model.platform => Reason::Platform,
                () if model.tier == tier => because,
                () => Reason::NearestTier,
            };
            let (has, wants) = (model.tier as i32, tier as i32);
            let away = if has <= wants { wants - has } else { 10 + has };
            let bound = wanted.bound(max_output_tokens);
            let order = (model.platform, away, model.position, model.cost_microusd(bound));
            Some((order, Choice { model: model.clone(), reason, bound }))
        })
        .collect();
    ranked.sort_by_key(|(order, _)| *order);
    ranked.into_iter().map(|(_, choice)| choice).collect()
}

/// What a turn wants of a model.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The tier that the agent asks for.
    pub agent_tier: Tier,
    /// How hard the question looks.
    pub effort: Effort,
    /// Whether a cheaper tier than the agent's may answer.
    pub cheaper: bool,
    /// Whether the day's money nears its end.
    pub tight: bool,
    /// No fewer input tokens than the provider will count.
    pub input_tokens: u32,
    /// The longest answer that the company allows, tokens.
    pub max_output_tokens: u32,
}

/// What is left of a turn's allowance.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// Micro-dollars.
    pub microusd: u64,
    /// Tokens.
    pub tokens: u64,
}

/// How hard a question looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// An entry answers it as it stands.
    Easy,
    /// Nothing is known about it.
    Usual,
    /// Long, or several questions in one.
    Hard,
}

impl Effort {
    /// An estimate from the question and whether an entry answers it by itself.
    #[must_use]
    pub fn of(question: &str, answered: bool) -> Self {
        let questions = question.bytes().filter(|byte| *byte == b'?').count();
        match () {
            () if question.len() > 600 || questions > 2 => Self::Hard,
            () if answered && question.len() <= 160 && questions < 2 => Self::Easy,
            () => Self::Usual,
        }
    }
}

impl Wanted {
    /// The tier to look for, and why it is that one.
    fn tier(&self) -> (Tier, Reason) {
        let below = self.agent_tier.below().filter(|_| self.cheaper);
        match (below, self.effort) {
            (Some(below), Effort::Easy) => (below, Reason::Easy),
            (Some(below), Effort::Usual) if self.tight => (below, Reason::Thrift),
            _ => (self.agent_tier, Reason::Tier),
        }
    }

    /// The longest answer that this model may give within what is left and its context; `None` when that is too short to
    /// be one.
    fn fit(&self, model: &Model, left: Left) -> Option<u32> {
        let input = u64::from(self.input_tokens);
        let by_money = model.output_tokens_within(self.bound(0), left.microusd)?;
        let by_tokens = left.tokens.checked_sub(input)?;
        let by_context = u64::from(model.context_tokens).checked_sub(input)?;
        let most = by_money.min(by_tokens).min(by_context).min(u64::from(self.max_output_tokens));
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        (most >= LEAST_OUTPUT_TOKENS.min(self.max_output_tokens)).then_some(most)
    }

    fn bound(&self, output_tokens: u32) -> Usage {
        Usage { input_tokens: self.input_tokens, output_tokens, cached_input_tokens: 0 }
    }
}

/// Fewer tokens than these are no answer.
const LEAST_OUTPUT_TOKENS: u32 = 64;
/// No turn has fewer input tokens than these: the rules and an agent's instructions.
const LEAST_INPUT_TOKENS: u32 = 1_000;

/// What a turn of a company's can cost, whatever is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest prompt and answer at the dearest model, micro-dollars.
    most_microusd: u64,
    /// The shortest that is any use at the cheapest model, micro-dollars.
    least_microusd: u64,
    most_tokens: u64,
    least_tokens: u64,
}

impl Bounds {
    /// Over these models.
    #[must_use]
    pub fn of(models: &[Model], max_input_tokens: u32, max_output_tokens: u32) -> Self {
        let least_output = LEAST_OUTPUT_TOKENS.min(max_output_tokens);
        let usage =
            |input_tokens, output_tokens| Usage { input_tokens, output_tokens, cached_input_tokens: 0 };
        let costs = |usage: Usage| models.iter().map(move |model| model.cost_microusd(usage));
        let sum = |input: u32, output: u32| u64::from(input) + u64::from(output);
        Self {
            most_microusd: costs(usage(max_input_tokens, max_output_tokens)).max().unwrap_or(0),
            least_microusd: costs(usage(LEAST_INPUT_TOKENS, least_output)).min().unwrap_or(0),
            most_tokens: sum(max_input_tokens, max_output_tokens),
            least_tokens: sum(LEAST_INPUT_TOKENS, least_output),
        }
    }
}

impl std::fmt::Display for Bounds {
    /// As Redis keeps them: most and least micro-dollars, most and least tokens.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { most_microusd, least_microusd, most_tokens, least_tokens } = self;
        write!(f, "{most_microusd}:{least_microusd}:{most_tokens}:{least_tokens}")
    }
}

/// Why a model was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is of the tier that the agent wants.
    Tier,
    /// The question is easy, so a cheaper tier than the agent's answers.
    Easy,
    /// The day's money nears its end, so a cheaper tier than the agent's answers.
    Thrift,
    /// None of the tier that is wanted fits; this is the nearest that does.
    NearestTier,
    /// Its provider failed of late, and this turn tries whether it is well again.
    Probe,
    /// Another was chosen and failed.
    Fallback,
    /// The operator's own, since the company has none that fits.
    Platform,
}

impl Reason {
    /// As the database and the log spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Easy => "easy",
            Self::Thrift => "thrift",
            Self::NearestTier => "nearest_tier",
            Self::Probe => "probe",
            Self::Fallback => "fallback",
            Self::Platform => "platform",
        }
    }
}

/// A model that may answer, and why.
#[derive(Clone)]
pub struct Choice {
    model: Model,
    reason: Reason,
    bound: Usage,
}

impl Choice {
    /// Opens the provider's key, after checking that the provider is this company's.
    ///
    /// # Errors
    /// [`Error::Internal`]: an alarm, not a reason to try another.
    pub fn key(&self, scope: &TenantScope) -> Result<LlmKey, Error> {
        match &self.model.sealed_key {
            Some(sealed) => scope.key_open(self.model.company_id, self.model.provider_id, sealed),
            None => scope.platform_key(self.model.kind),
        }
    }

    /// The wire format the provider speaks.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.model.kind.wire()
    }

    /// The base URL of the provider's API: the operator's where the provider's kind has a fixed one, else the company's
    /// own, checked against the hosts that the operator allows today.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the operator does not allow the host any more.
    pub fn base_url(&self, scope: &TenantScope) -> Result<String, Error> {
        self.model.kind.base_url(&scope.app().config, self.model.base_url.as_deref())
    }

    /// The model's name in the provider's API.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model.model
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

    /// The same model, chosen because the one before it failed.
    #[must_use]
    pub fn as_fallback(mut self) -> Self {
        self.reason = Reason::Fallback;
        self
    }

    /// The longest answer that it may give, tokens.
    #[must_use]
    pub fn max_output_tokens(&self) -> u32 {
        self.bound.output_tokens
    }

    /// The most tokens that the call may use.
    #[must_use]
    pub fn bound(&self) -> Usage {
        self.bound
    }

    /// What so many tokens cost, micro-dollars, rounded up.
    #[must_use]
    pub fn cost_microusd(&self, usage: Usage) -> u64 {
        self.model.cost_microusd(usage)
    }
}

#[cfg(test)]
mod tests;
