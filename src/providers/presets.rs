//! Providers that speak OpenAI's formats, by name, and the addresses that a company's key may be sent to.
//!
//! It never lets a text become part of a host: a base URL decides where the key goes, and what the worker can be made
//! to reach (CVE-2024-6587).

use http::{Response, StatusCode};
use serde_json::json;

use super::kind::Api;
use crate::error::Error;
use crate::platform::Body;
use crate::routes::json as answer;
use crate::tenant::auth::Member;

/// `GET /v1/providers/presets`: the table, and which of its rows this platform takes.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    // Nothing here is the company's, but whoever asks must still be its member.
    member.scope.batch().send().await?;
    let hosts = &member.scope.app().config.compatible_hosts;
    let presets: Vec<_> = PRESETS
        .iter()
        .map(|preset| {
            json!({
                "preset": preset.name, "title": preset.title, "api": preset.api, "base_url": preset.base_url,
                "fill_in": preset.blank().map(|blank| blank.name), "note": preset.note,
                "allowed": preset.allowed(hosts),
            })
        })
        .collect();
    answer(StatusCode::OK, &json!({ "presets": presets }))
}

/// A provider that speaks one of OpenAI's formats: where it is, and what is peculiar about it.
#[derive(Debug)]
pub struct Preset {
    /// Its name in our API.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The API to speak with it.
    pub api: Api,
    /// Its base URL. A word in braces stands for something of the company's.
    pub base_url: &'static str,
    /// Whether a company may use it although the operator lists no host: the host is this one whatever a company fills
    /// in, it is public, reached by TLS alone, and belongs to who is named here.
    pub fixed: bool,
    /// Where to ask whether a key is good, when the list of models is shown to everybody.
    pub key_path: Option<&'static str>,
    /// Whether the models in its list are named as calls name them.
    pub lists_models: bool,
    /// What a company's admin should know.
    pub note: &'static str,
}

/// The presets. Those whose host depends on the company, or that are for development, take the operator's listing.
pub static PRESETS: &[Preset] = &[
    Preset {
        name: "groq",
        title: "Groq",
        base_url: "https://api.groq.com/openai/v1",
        note: "Keys begin with gsk_. Models are named like llama-3.3-70b-versatile.",
        ..FIXED
    },
    Preset {
        name: "mistral",
        title: "Mistral",
        base_url: "https://api.mistral.ai/v1",
        note: "Models are named like mistral-small-latest.",
        ..FIXED
    },
    Preset {
        name: "together",
        title: "Together AI",
        base_url: "https://api.together.xyz/v1",
        note: "Models are named like meta-llama/Llama-3.3-70B-Instruct-Turbo.",
        ..FIXED
    },
    Preset {
        name: "openrouter",
        title: "OpenRouter",
        base_url: "https://openrouter.ai/api/v1",
        key_path: Some("/key"),
        note: "Models are named like mistralai/mistral-small. Others see the prompts: choose the providers in your account there.",
        ..FIXED
    },
    Preset {
        name: "cloudflare",
        title: "Cloudflare Workers AI",
        base_url: "https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1",
        note: "Fill in your account id; the key is an API token with the permission Workers AI. Models are named like @cf/meta/llama-3.3-70b-instruct-fp8-fast.",
        ..FIXED
    },
    Preset {
        name: "azure",
        title: "Azure OpenAI",
        // Newer models refuse the limit on the answer under its old name; here it has one name for all.
        api: Api::Responses,
        base_url: "https://{resource}.openai.azure.com/openai/v1",
        fixed: false,
        lists_models: false,
        note: "Fill in the name of your resource. A model's name is that of your deployment.",
        ..FIXED
    },
    Preset {
        name: "ollama",
        title: "Ollama (development)",
        base_url: "http://127.0.0.1:11434/v1",
        fixed: false,
        note: "On the machine that runs the platform. It takes any key, but one must be given.",
        ..FIXED
    },
];

/// What most of them have in common.
const FIXED: Preset = Preset {
    name: "",
    title: "",
    api: Api::Chat,
    base_url: "",
    fixed: true,
    key_path: None,
    lists_models: true,
    note: "",
};

/// What a company fills in, and what that may be.
struct Blank {
    name: &'static str,
    before: &'static str,
    after: &'static str,
}

impl Blank {
    fn takes(&self, text: &str) -> bool {
        match self.name {
            // Cloudflare's ids.
            "account" => text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            _ => is_label(text),
        }
    }
}

impl Preset {
    /// The preset whose address this is.
    #[must_use]
    pub fn of(base_url: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.is(base_url))
    }

    /// Whether this is its address, with something fit filled in.
    fn is(&self, base_url: &str) -> bool {
        match self.blank() {
            None => base_url == self.base_url,
            Some(blank) => base_url
                .strip_prefix(blank.before)
                .and_then(|rest| rest.strip_suffix(blank.after))
                .is_some_and(|filled| blank.takes(filled)),
        }
    }

    fn blank(&self) -> Option<Blank> {
        let (before, rest) = self.base_url.split_once('{')?;
        let (name, after) = rest.split_once('}')?;
        Some(Blank { name, before, after })
    }

    /// Whether this platform takes it, something fit filled in.
    fn allowed(&self, hosts: &[String]) -> bool {
        let filled = match self.blank() {
            Some(blank) => [blank.before, "example", blank.after].concat(),
            None => self.base_url.to_owned(),
        };
        self.fixed || base_url_check(&filled, hosts).is_ok()
    }
}

/// A compatible provider's base URL, if it is the fixed address of a preset, or at a host (with its port) that the
/// operator lists, spelled the same way. A base URL decides where the company's key is sent, and what the worker can be
/// made to reach.
///
/// # Errors
/// [`Error::Invalid`] with what is wrong.
pub(crate) fn base_url_check(url: &str, allowed: &[String]) -> Result<String, Error> {
    let refuse = |why: &str| Error::Invalid(format!("This base_url cannot be used: {why}."));
    let plain = url.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/:".contains(&b));
    if !plain {
        return Err(refuse("it takes letters, digits and the signs - . _ ~ / : only, and no query"));
    }
    let rest = url
        .strip_prefix("https://")
        .or_else(|| {
            url.strip_prefix("http://")
                .filter(|rest| rest.starts_with("127.0.0.1:") || rest.starts_with("localhost:"))
        })
        .ok_or_else(|| refuse("it begins with https://"))?;
    let host = rest.split('/').next().unwrap_or_default();
    if rest.contains("//") || rest.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(refuse("its path has empty or dotted segments"));
    }
    let url = url.trim_end_matches('/');
    let fixed = Preset::of(url).is_some_and(|preset| preset.fixed);
    if !fixed && !allowed.iter().any(|listed| is_listed(host, listed)) {
        return Err(refuse("the operator of this platform has not listed its host"));
    }
    Ok(url.to_owned())
}

/// Whether the operator's entry is this host, or stands for it: `*.example.com` for one label before `.example.com`.
fn is_listed(host: &str, listed: &str) -> bool {
    match listed.strip_prefix("*.") {
        // `*.com` would be half the world.
        Some(domain) if domain.contains('.') => {
            host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')).is_some_and(is_label)
        }
        Some(_) => false,
        None => host == listed,
    }
}

/// One label of a host name (RFC 1123), as short as they are there: lower case, since hosts are compared as spelled.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, fine: bool) {
        let allowed =
            ["api.example.org", "llm.example.com:8443", "127.0.0.1:9", "*.openai.azure.com", "*.com"];
        let allowed = allowed.map(str::to_owned);
        assert_eq!(base_url_check(url, &allowed).is_ok(), fine, "{url}");
    }

    proptest::proptest! {
        #[test]
        fn no_base_url_leads_elsewhere(url in ".{0,60}|https?://[a-z0-9.@:/#?%\\\\-]{0,50}|https://(api\\.example\\.org|api\\.groq\\.com|[a-z.@-]{0,9}\\.openai\\.azure\\.com|api.cloudflare.com/client)[ -~]{0,20}") {
            let allowed = ["api.example.org".to_owned(), "*.openai.azure.com".to_owned()];
            if let Ok(url) = base_url_check(&url, &allowed) {
                let parsed: http::Uri = url.parse().unwrap();
                proptest::prop_assert_eq!(parsed.scheme_str(), Some("https"));
                let host = parsed.authority().unwrap().as_str().to_owned();
                let ours = ["api.example.org", "api.groq.com"].contains(&host.as_str())
                    || host.strip_suffix(".openai.azure.com").is_some_and(|label| !label.contains(['.', '@', ':']));
                proptest::prop_assert!(ours, "{host}");
            }
        }
    }

    #[test]
    fn base_urls() {
        check("https://api.example.org/openai/v1", true);
        check("https://api.example.org/openai/v1/", true);
        check("https://llm.example.com:8443/v1", true);
        check("http://127.0.0.1:9/v1", true);
        check("http://api.example.org/v1", false);
        check("https://llm.example.com/v1", false);
        check("https://api.example.org:444/v1", false);
        check("https://API.example.org/v1", false);
        check("https://user@api.example.org/v1", false);
        check("https://api.example.org@evil.org/v1", false);
        check("https://evil.org/api.example.org", false);
        check("https://evil.org#api.example.org", false);
        check("https://evil.org\\@api.example.org", false);
        check("https://api.example.org.evil.org/v1", false);
        check("https://169.254.169.254/latest", false);
        check("https://2852039166/", false);
        check("https://[::ffff:169.254.169.254]/", false);
        check("https://api.example.org/../x", false);
        check("https://api.example.org//evil.org", false);
        check("https://api.example.org/v1\"<>^`{|}", false);
        check("ftp://api.example.org/", false);
        check("", false);
    }

    #[test]
    fn presets_are_taken_as_they_are_and_no_other_way() {
        check("https://api.groq.com/openai/v1", true);
        check("https://api.groq.com/openai/v1/", true);
        check("https://api.groq.com/openai", false);
        check("https://api.groq.com/openai/v1/x", false);
        check("https://api.groq.com:443/openai/v1", false);
        check("http://api.groq.com/openai/v1", false);
        check("https://api.mistral.ai/v1", true);
        check("https://api.together.xyz/v1", true);
        check("https://openrouter.ai/api/v1", true);
        let account = "0123456789abcdef0123456789abcdef";
        let cloudflare =
            |account: &str| format!("https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1");
        check(&cloudflare(account), true);
        check(&cloudflare(&account.to_uppercase()), false);
        check(&cloudflare(account.trim_start_matches('0')), false);
        check(&cloudflare(&format!("{account}0")), false);
        check(&cloudflare("0123456789abcdef0123456789abcd/x"), false);
        check(&cloudflare("{account}"), false);
        check("https://api.cloudflare.com/client/v4/user", false);
        // Not fixed: only what the operator lists.
        check("https://acme.openai.azure.com/openai/v1", true);
        check("https://127.0.0.1:11434/v1", false);
        let nothing = base_url_check("https://acme.openai.azure.com/openai/v1", &[]);
        assert!(nothing.is_err());
    }

    #[test]
    fn a_star_stands_for_one_label() {
        check("https://a-1.openai.azure.com/", true);
        check("https://openai.azure.com/", false);
        check("https://.openai.azure.com/", false);
        check("https://a.b.openai.azure.com/", false);
        check("https://-a.openai.azure.com/", false);
        check("https://A.openai.azure.com/", false);
        check("https://evilopenai.azure.com/", false);
        check("https://a.openai.azure.com.evil.org/", false);
        check("https://a.openai.azure.com:8443/", false);
        check("https://*.openai.azure.com/", false);
        check("https://evil.com/", false);
    }

    #[test]
    fn every_preset_is_an_address() {
        for preset in PRESETS {
            let blank = preset.blank();
            let filled = match &blank {
                Some(blank) => {
                    let name = if blank.name == "account" { "0".repeat(32) } else { "acme".to_owned() };
                    [blank.before, &name, blank.after].concat()
                }
                None => preset.base_url.to_owned(),
            };
            assert_eq!(Preset::of(&filled).map(|preset| preset.name), Some(preset.name));
            let host = filled.split('/').nth(2).unwrap().to_owned();
            assert!(base_url_check(&filled, &[host]).is_ok(), "{filled}");
            assert_eq!(base_url_check(&filled, &[]).is_ok(), preset.fixed, "{filled}");
            // Whatever a company fills in, the host of a fixed one is the same.
            assert!(!preset.fixed || blank.is_none_or(|blank| blank.before.contains(".com/")));
            assert_eq!(preset.allowed(&[]), preset.fixed);
            assert!(!preset.title.is_empty() && preset.note.ends_with('.'));
        }
        assert!(Preset::allowed(&PRESETS[5], &["*.openai.azure.com".to_owned()]));
    }
}
