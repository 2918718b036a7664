//! The models that a key may use, as its provider lists them: tells a good key from a bad one, and costs nothing.
//!
//! It never calls a model, so it needs no permit.

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::{LlmError, Wire, anthropic, gemini};
use crate::config::PROVIDER_CHECK_TIMEOUT_MS;
use crate::platform::{Outbound, Part, Platform};
use crate::tenant::vault::LlmKey;

/// Most bytes that are read of a provider's error.
const ERROR_LIMIT: usize = 16 * 1024;
/// Longest list that is read, bytes; the longest there is, of a router of models, has half of that.
const LIST_LIMIT: usize = 2 * 1024 * 1024;

/// What a provider said when it was asked for its models: at the least, that it knows the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Names in the provider's API; `None` when it answered something else than a list.
    names: Option<Vec<String>>,
}

impl Catalog {
    /// Asks for the list. `path` is where a provider wants to be asked instead, if it answers everybody at its list.
    ///
    /// # Errors
    /// What is wrong with the key or the address; [`LlmError::NotFound`] when there is no list at this address.
    pub async fn ask(
        platform: &dyn Platform,
        wire: Wire,
        base_url: &str,
        path: Option<&str>,
        key: LlmKey,
    ) -> Result<Self, LlmError> {
        let request = request(wire, base_url, path.unwrap_or("/models"), key.expose())?;
        drop(key);
        let response = platform.send(Outbound {
            part: Part::Model,
            request,
            head_timeout_ms: PROVIDER_CHECK_TIMEOUT_MS,
            idle_timeout_ms: PROVIDER_CHECK_TIMEOUT_MS,
        });
        let (head, body) = response.await?.into_parts();
        if head.status != StatusCode::OK {
            let text = body.collect(ERROR_LIMIT).await.unwrap_or_default();
            return Err(wire.error(head.status, &head.headers, &text));
        }
        // A list that is too long or breaks off says nothing of the models, but the key was taken.
        Ok(Self::read(&body.collect(LIST_LIMIT).await.unwrap_or_default()))
    }

    /// Reads `{"data": […]}` (OpenAI, Anthropic), `{"models": […]}` (Gemini), or the bare list that some servers send.
    fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let list = body.get("data").or_else(|| body.get("models")).unwrap_or(&body);
        let name = |model: &Value| {
            let name = model.get("id").or_else(|| model.get("name"))?.as_str()?;
            Some(name.strip_prefix("models/").unwrap_or(name).to_owned())
        };
        let names = list.as_array().map(|models| models.iter().filter_map(name).collect::<Vec<_>>());
        Self { names: names.filter(|names| !names.is_empty()) }
    }

    /// Whether the provider lists this model; `None` when it did not answer with a list. A name may stand for one of its
    /// versions, which is then listed instead: `name-20250929`, `name:latest`.
    #[must_use]
    pub fn lists(&self, model: &str) -> Option<bool> {
        let version = |rest: &str| {
            rest.is_empty()
                || rest == ":latest"
                || rest.strip_prefix('-').is_some_and(|date| {
                    let digits = date.bytes().filter(u8::is_ascii_digit).count();
                    digits == 8 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-')
                })
        };
        let names = self.names.as_ref()?;
        Some(names.iter().any(|name| name.strip_prefix(model).is_some_and(version)))
    }
}

fn request(wire: Wire, base_url: &str, path: &str, secret: &str) -> Result<http::Request<Bytes>, LlmError> {
    let query = match wire {
        Wire::OpenAiChat { .. } | Wire::OpenAiResponses => "",
        Wire::AnthropicMessages => "limit=1000",
        Wire::Gemini => "pageSize=1000",
    };
    let mut request = http::Request::get(super::address(base_url, path, query)?)
        .body(Bytes::new())
        .map_err(|_| LlmError::Address)?;
    match wire {
        Wire::OpenAiChat { .. } | Wire::OpenAiResponses => {
            super::authorize(&mut request, http::header::AUTHORIZATION, "Bearer ", secret)?;
        }
        Wire::AnthropicMessages => anthropic::sign(&mut request, secret)?,
        Wire::Gemini => gemini::sign(&mut request, secret)?,
    }
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, model: &str, expected: Option<bool>) {
        assert_eq!(Catalog::read(body.as_bytes()).lists(model), expected, "{model} in {body}");
    }

    #[test]
    fn lists() {
        let openai = r#"{"object":"list","data":[{"id":"gpt-5-mini"},{"id":"gpt-5-2025-08-07"}]}"#;
        check(openai, "gpt-5-mini", Some(true));
        check(openai, "gpt-5", Some(true));
        check(openai, "gpt-5-m", Some(false));
        check(openai, "gpt-4", Some(false));
        let anthropic = r#"{"data":[{"type":"model","id":"claude-sonnet-4-5-20250929"}],"has_more":false}"#;
        check(anthropic, "claude-sonnet-4-5", Some(true));
        check(anthropic, "claude-sonnet-4", Some(false));
        let gemini = r#"{"models":[{"name":"models/gemini-3.8-flash"}]}"#;
        check(gemini, "gemini-3.8-flash", Some(true));
        check(gemini, "gemini-3.8", Some(false));
        check(r#"[{"id":"meta-llama/Llama-3.3-70B"}]"#, "meta-llama/Llama-3.3-70B", Some(true));
        check(r#"{"data":[{"id":"llama3.2:latest"}]}"#, "llama3.2", Some(true));
        for none in
            ["", "<html>", "{}", "[]", r#"{"data":{"label":"sk-or-v1-abc"}}"#, r#"{"data":[{"x":1}]}"#]
        {
            check(none, "gpt-5", None);
        }
    }

    #[test]
    fn requests() {
        #[track_caller]
        fn check(wire: Wire, url: &str, header: &str, value: &str) {
            let request = request(wire, "https://api.example.com/v1", "/models", "sk-secret").unwrap();
            assert_eq!((request.method(), request.uri().to_string().as_str()), (&http::Method::GET, url));
            assert_eq!(request.headers()[header], value);
            assert!(!format!("{request:?}").contains("sk-secret"));
        }
        let list = "https://api.example.com/v1/models";
        check(Wire::OpenAiChat { compatible: true }, list, "authorization", "Bearer sk-secret");
        check(Wire::OpenAiResponses, list, "authorization", "Bearer sk-secret");
        check(Wire::AnthropicMessages, &format!("{list}?limit=1000"), "x-api-key", "sk-secret");
        check(Wire::Gemini, &format!("{list}?pageSize=1000"), "x-goog-api-key", "sk-secret");
    }
}
