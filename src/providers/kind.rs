//! Whose API a provider is, which wire format that means, and where it is.
//!
//! It never takes an address from a company where the kind has one of its own.

use super::presets::base_url_check;
use crate::config::Config;
use crate::error::Error;
use crate::llm::Wire;

/// Whose API a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// OpenAI.
    OpenAi,
    /// Anthropic.
    Anthropic,
    /// Google.
    Gemini,
    /// Somebody else who speaks one of OpenAI's formats.
    Compatible,
}

/// Which of OpenAI's two APIs is spoken with a provider: a setting rather than a kind, since the account, the address,
/// the models and their prices are the same. Means nothing to providers that speak neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Chat completions: what every compatible provider has.
    #[default]
    Chat,
    /// Responses: what OpenAI advises for its newer models, and some compatible providers have as well.
    Responses,
}

impl Api {
    /// As the database spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
        }
    }
}

impl Kind {
    /// As the database spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Compatible => "compatible",
        }
    }

    /// Whether it speaks OpenAI's formats, so that [`Api`] says which.
    #[must_use]
    pub const fn has_apis(self) -> bool {
        matches!(self, Self::OpenAi | Self::Compatible)
    }

    /// The wire format it speaks.
    #[must_use]
    pub const fn wire(self, api: Api) -> Wire {
        match (self, api) {
            (Self::OpenAi, Api::Chat) => Wire::OpenAiChat { compatible: false },
            (Self::Compatible, Api::Chat) => Wire::OpenAiChat { compatible: true },
            (Self::OpenAi | Self::Compatible, Api::Responses) => Wire::OpenAiResponses,
            (Self::Anthropic, _) => Wire::AnthropicMessages,
            (Self::Gemini, _) => Wire::Gemini,
        }
    }

    /// The base URL to call: the operator's where the kind has a fixed one, else the company's own, checked against the
    /// addresses that the operator allows today, whatever was allowed when it was stored.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the operator does not allow the address any more.
    pub fn base_url(self, config: &Config, own: Option<&str>) -> Result<String, Error> {
        match self {
            Self::OpenAi => Ok(config.openai_url.clone()),
            Self::Anthropic => Ok(config.anthropic_url.clone()),
            Self::Gemini => Ok(config.gemini_url.clone()),
            Self::Compatible => base_url_check(own.unwrap_or_default(), &config.compatible_hosts),
        }
    }
}
