//! What the codecs ask: addresses, headers and bodies, and what they refuse to send.

use super::*;
use serde_json::{Value, json};

pub(super) fn prompt() -> Prompt {
    let (user, assistant) = (|text: &str| Turn::User(text.into()), |text: &str| Turn::answer(text.into()));
    Prompt {
        system: "Be \"brief\".".into(),
        turns: vec![assistant("Hello!"), user("Prices?"), assistant(""), user("For drains 🔧\n")],
        max_output_tokens: 300,
        ..Prompt::default()
    }
}

#[track_caller]
pub(super) fn request(wire: Wire, base_url: &str, prompt: &Prompt) -> (http::request::Parts, Value) {
    let (parts, body) = wire.request(base_url, "sk-secret", "model-1", prompt).unwrap().into_parts();
    assert_eq!(parts.method, http::Method::POST);
    assert_eq!(parts.headers["content-type"], "application/json");
    assert!(!format!("{parts:?}").contains("sk-secret"), "the secret is in Debug");
    let body = serde_json::from_slice(&body).unwrap();
    (parts, body)
}

#[test]
fn openai_requests() {
    let (parts, body) = request(OPENAI, "https://api.openai.com/v1", &prompt());
    assert_eq!(parts.uri, "https://api.openai.com/v1/chat/completions");
    assert_eq!(parts.headers["authorization"], "Bearer sk-secret");
    let messages = json!([
        {"role": "system", "content": "Be \"brief\"."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Prices?"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "For drains 🔧\n"},
    ]);
    let expected = json!({
        "model": "model-1", "messages": messages, "max_completion_tokens": 300,
        "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(body, expected);

    let (parts, body) = request(COMPATIBLE, "http://127.0.0.1:8080/openai/v1/", &prompt());
    assert_eq!(parts.uri, "http://127.0.0.1:8080/openai/v1/chat/completions");
    assert_eq!((&body["max_tokens"], &body["max_completion_tokens"]), (&300.into(), &Value::Null));

    let (_, body) =
        request(OPENAI, "https://api.openai.com/v1", &Prompt { system: String::new(), ..prompt() });
    assert_eq!(body["messages"][0]["role"], "assistant");
}

#[test]
fn a_server_that_refuses_to_be_asked_for_usage_is_not_asked() {
    let (_, body) = request(COMPATIBLE, "https://api.mistral.ai/v1", &prompt());
    assert_eq!(body.get("stream_options"), None);
    let (_, body) = request(COMPATIBLE, "https://api.groq.com/openai/v1", &prompt());
    assert_eq!(body["stream_options"]["include_usage"], true);
}

#[test]
fn responses_requests() {
    let (parts, body) = request(RESPONSES, "https://api.openai.com/v1/", &prompt());
    assert_eq!(parts.uri, "https://api.openai.com/v1/responses");
    assert_eq!(parts.headers["authorization"], "Bearer sk-secret");
    let input = json!([
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Prices?"},
        {"role": "user", "content": "For drains 🔧\n"},
    ]);
    let expected = json!({
        "model": "model-1", "instructions": "Be \"brief\".", "input": input, "max_output_tokens": 300,
        "store": false, "stream": true,
    });
    assert_eq!(body, expected);
}

#[test]
fn anthropic_requests() {
    let (parts, body) = request(ANTHROPIC, "https://api.anthropic.com/v1", &prompt());
    assert_eq!(parts.uri, "https://api.anthropic.com/v1/messages");
    assert_eq!(parts.headers["x-api-key"], "sk-secret");
    assert_eq!(parts.headers["anthropic-version"], "2023-06-01");
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let expected = json!({
        "model": "model-1", "system": text("Be \"brief\"."), "max_tokens": 300, "stream": true,
        "messages": [
            {"role": "user", "content": text("Prices?")}, {"role": "user", "content": text("For drains 🔧\n")},
        ],
    });
    assert_eq!(body, expected);
    let (_, body) = request(ANTHROPIC, "https://a.example", &Prompt { system: " ".into(), ..prompt() });
    assert_eq!(body.get("system"), None);
}

#[test]
fn what_stays_the_same_goes_into_anthropic_s_cache() {
    #[track_caller]
    fn check(system: &str, stable_bytes: usize, expected: Value) {
        let prompt = Prompt { system: system.into(), stable_bytes, ..prompt() };
        assert_eq!(request(ANTHROPIC, "https://a.example", &prompt).1["system"], expected);
    }
    let kept = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let plain = |text: &str| json!({"type": "text", "text": text});
    check("You are Max. Drains: $149.", 12, json!([kept("You are Max."), plain(" Drains: $149.")]));
    check("You are Max.", 12, json!([kept("You are Max.")]));
    check("You are Max.", 0, json!([plain("You are Max.")]));
    // A count that cannot be right is none.
    check("You are Max.", 13, json!([plain("You are Max.")]));
    check("Grüße", 3, json!([plain("Grüße")]));
}

#[test]
fn gemini_requests() {
    let ask = |model: &str| {
        let url = "https://generativelanguage.googleapis.com/v1beta/";
        GEMINI.request(url, "sk-secret", model, &prompt())
    };
    let (parts, body) = ask("gemini-3.8-flash").unwrap().into_parts();
    assert_eq!(
        parts.uri,
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    );
    assert_eq!(parts.headers["x-goog-api-key"], "sk-secret");
    assert!(!format!("{parts:?}").contains("sk-secret"), "the secret is in Debug");
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "Be \"brief\"."}]},
        "contents": [{"role": "user", "parts": [{"text": "Prices?"}, {"text": "For drains 🔧\n"}]}],
        "generationConfig": {"maxOutputTokens": 300, "thinkingConfig": {"thinkingLevel": "low"}},
    });
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    let body = ask("gemini-2.5-flash-lite").unwrap().into_body();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["generationConfig"], json!({"maxOutputTokens": 300}));
    for model in ["", "a/b", "../x", "a?key=x", "a#b", "a:b", "a b", "a%2fb", "models/gemini-3.8-flash"] {
        assert_eq!(ask(model).unwrap_err(), LlmError::NotFound, "{model}");
    }
}

#[test]
fn addresses_and_secrets_that_cannot_be_sent() {
    for wire in WIRES {
        for url in
            ["", "api.openai.com/v1", "/v1", "ftp://a.example", "https://", "https://a b", "https://a/?b="]
        {
            let error = wire.request(url, "sk", "m", &prompt()).unwrap_err();
            assert_eq!(error, LlmError::Address, "{url}");
        }
        let error = wire.request("https://a.example", "sk\r\nx-evil: 1", "m", &prompt()).unwrap_err();
        assert_eq!(error, LlmError::Unauthorized);
    }
}

#[test]
fn reservations_are_upper_bounds() {
    assert_eq!(upper_bound_tokens("Hello 🔧"), 10);
    let texts =
        prompt().system.len() + prompt().turns.iter().flat_map(Turn::texts).map(str::len).sum::<usize>();
    let overhead = PROMPT_OVERHEAD_TOKENS + 5 * TURN_OVERHEAD_TOKENS;
    assert_eq!(prompt().upper_bound_input_tokens(), u32::try_from(texts).unwrap() + overhead);
}
