//! A request to `/v1/chat/completions`, as OpenAI's clients send it: read, or refused in words that say what to change.
//!
//! It reads bytes into values and does nothing with them; what an agent does not do is refused, never quietly left out.
//!
//! The format: <https://platform.openai.com/docs/api-reference/chat/create>. Fields that only tune a model (temperature,
//! seed, penalties) and fields that nobody knows are passed over: what an agent is like, its company decides.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::platform::Body;
use crate::routes::json as answer;

/// Most messages that one request may hold.
const MESSAGES: usize = 200;
/// Longest `user`, characters.
const USER: usize = 200;

/// What a program asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRequest {
    /// The agent's short name.
    pub model: String,
    /// What was said so far, oldest first; the last one is a user's.
    pub messages: Vec<Message>,
    /// Whether the answer streams.
    pub stream: bool,
    /// Whether the stream ends with what it cost.
    pub include_usage: bool,
    /// Longest answer that the program wants, tokens; `None`: what the company's budget allows.
    pub max_tokens: Option<u32>,
    /// Whom the program speaks for, in its own words.
    pub user: Option<String>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub speaker: Speaker,
    /// What is said.
    pub text: String,
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The program's developer: roles `system` and `developer`.
    System,
    /// The customer.
    User,
    /// The agent, before.
    Assistant,
}

/// Why a request is refused, as OpenAI's API says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong and what to do.
    pub message: String,
    /// The field that is wrong.
    pub param: Option<String>,
    /// What kind of wrong it is.
    pub code: &'static str,
}

impl Refusal {
    fn new(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: (!param.is_empty()).then(|| param.to_owned()), code }
    }

    fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(param, "invalid_value", message)
    }

    fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self::new(param, "unsupported_parameter", message)
    }

    /// The object under `error`.
    #[must_use]
    pub fn error(&self) -> Value {
        json!({
            "message": self.message,
            "type": "invalid_request_error",
            "param": self.param,
            "code": self.code,
        })
    }

    /// The whole answer: 400.
    ///
    /// # Errors
    /// As [`answer`].
    pub fn response(&self) -> Result<Response<Body>, Error> {
        answer(StatusCode::BAD_REQUEST, &json!({ "error": self.error() }))
    }
}

impl ChatRequest {
    /// Reads a request's body.
    ///
    /// # Errors
    /// [`Refusal`] names the first field that is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            Refusal::new("", "invalid_json", format!("The request's body is not a JSON object: {error}."))
        })?;
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        refuse_what_agents_do_not(&given)?;
        let model = match given("model") {
            Some(Value::String(model)) if !model.is_empty() => model.clone(),
            _ => {
                let what = "Name an agent as the model. GET /v1/models lists them.";
                return Err(Refusal::new("model", "missing_required_parameter", what));
            }
        };
        let stream = flag(given("stream"), "stream")?;
        let include_usage = match given("stream_options") {
            None => false,
            Some(_) if !stream => {
                return Err(Refusal::invalid(
                    "stream_options",
                    "stream_options goes with \"stream\": true only.",
                ));
            }
            Some(options) => {
                flag(options.get("include_usage").filter(|v| !v.is_null()), "stream_options.include_usage")?
            }
        };
        let max_tokens = match (given("max_completion_tokens"), given("max_tokens")) {
            (Some(limit), _) => Some(positive(limit, "max_completion_tokens")?),
            (None, Some(limit)) => Some(positive(limit, "max_tokens")?),
            (None, None) => None,
        };
        let user = match given("user") {
            None => None,
            Some(Value::String(user)) if user.chars().count() <= USER => Some(user.clone()),
            Some(_) => {
                return Err(Refusal::invalid(
                    "user",
                    format!("user takes a text of at most {USER} characters."),
                ));
            }
        };
        let messages = messages(given("messages"))?;
        Ok(Self { model, messages, stream, include_usage, max_tokens, user })
    }

    /// What is asked: the last message.
    #[must_use]
    pub fn question(&self) -> &str {
        self.messages.last().map_or("", |message| &message.text)
    }
}

/// Refuses what a program would miss in the answer if it were passed over.
fn refuse_what_agents_do_not<'a>(given: &dyn Fn(&str) -> Option<&'a Value>) -> Result<(), Refusal> {
    let full = |name: &str| given(name).filter(|value| value.as_array().is_none_or(|list| !list.is_empty()));
    for name in ["tools", "functions"] {
        if full(name).is_some() {
            let what = "An agent has the tools that its company gave it. Leave this out.";
            return Err(Refusal::unsupported(name, what));
        }
    }
    if given("n").is_some_and(|n| n != 1) {
        return Err(Refusal::unsupported("n", "An agent gives one answer. Leave n out, or make it 1."));
    }
    if full("stop").is_some() {
        return Err(Refusal::unsupported("stop", "An agent ends its answer itself. Leave stop out."));
    }
    if given("logprobs").is_some_and(|value| value == true) || given("top_logprobs").is_some() {
        return Err(Refusal::unsupported(
            "logprobs",
            "Probabilities of tokens are not given. Leave this out.",
        ));
    }
    let text = |value: &Value| value.get("type").is_none_or(|kind| kind == "text");
    if given("response_format").is_some_and(|format| !text(format)) {
        return Err(Refusal::unsupported("response_format", "An agent answers in words. Leave this out."));
    }
    let words = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(|kind| kind == "text"));
    if given("modalities").is_some_and(|value| !words(value)) || given("audio").is_some() {
        return Err(Refusal::unsupported("modalities", "An agent answers in words. Ask for \"text\" only."));
    }
    Ok(())
}

fn flag(value: Option<&Value>, param: &str) -> Result<bool, Refusal> {
    match value {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Refusal::new(param, "invalid_type", format!("{param} takes true or false."))),
    }
}

fn positive(value: &Value, param: &str) -> Result<u32, Refusal> {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number > 0)
        .ok_or_else(|| Refusal::invalid(param, format!("{param} takes a whole number of tokens, 1 or more.")))
}

fn messages(given: Option<&Value>) -> Result<Vec<Message>, Refusal> {
    let list = given.and_then(Value::as_array).filter(|list| !list.is_empty()).ok_or_else(|| {
        let what = "Send the conversation as messages: a list of objects with role and content.";
        Refusal::new("messages", "missing_required_parameter", what)
    })?;
    if list.len() > MESSAGES {
        let what = format!("At most {MESSAGES} messages fit in one request. Leave out the oldest.");
        return Err(Refusal::invalid("messages", what));
    }
    let read: Vec<Message> =
        list.iter().enumerate().map(|(at, given)| message(at, given)).collect::<Result<_, _>>()?;
    match read.last() {
        Some(last) if last.speaker == Speaker::User && !last.text.trim().is_empty() => Ok(read),
        _ => Err(Refusal::invalid("messages", "The last message is the user's, and says something.")),
    }
}

fn message(at: usize, given: &Value) -> Result<Message, Refusal> {
    let param = |field: &str| format!("messages[{at}].{field}");
    let speaker = match given.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Speaker::System,
        Some("user") => Speaker::User,
        Some("assistant") => Speaker::Assistant,
        Some("tool" | "function") => {
            return Err(Refusal::unsupported(
                &param("role"),
                "An agent uses its company's own tools; the program's cannot be answered for.",
            ));
        }
        _ => {
            let what = "A message's role is system, developer, user or assistant.";
            return Err(Refusal::invalid(&param("role"), what));
        }
    };
    for name in ["tool_calls", "function_call"] {
        if given.get(name).is_some_and(|value| !value.is_null() && *value != json!([])) {
            let what = "An agent uses its company's own tools; calls of the program's cannot be taken up.";
            return Err(Refusal::unsupported(&param(name), what));
        }
    }
    let text = match given.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let parts = parts.iter().enumerate().map(|(n, part)| self::part(at, n, part));
            parts.collect::<Result<Vec<_>, _>>()?.join("\n")
        }
        _ => {
            let what = "A message's content is a text, or a list of parts of type text.";
            return Err(Refusal::invalid(&param("content"), what));
        }
    };
    if text.contains('\0') {
        let what = "A text has a NUL character in it, which cannot be kept. Leave it out.";
        return Err(Refusal::invalid(&param("content"), what));
    }
    Ok(Message { speaker, text })
}

fn part(at: usize, n: usize, given: &Value) -> Result<String, Refusal> {
    let param = |field: &str| format!("messages[{at}].content[{n}].{field}");
    match given.get("type").and_then(Value::as_str) {
        Some("text") => match given.get("text").and_then(Value::as_str) {
            Some(text) => Ok(text.to_owned()),
            None => Err(Refusal::invalid(&param("text"), "A part of type text has a text.")),
        },
        Some(kind) => {
            let what = format!("Agents read text, and no {kind}. Leave this part out.");
            Err(Refusal::unsupported(&param("type"), what))
        }
        None => Err(Refusal::invalid(&param("type"), "A part says its type: text.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Value {
        json!({ "model": "front-desk", "messages": [{ "role": "user", "content": "Hello?" }] })
    }

    fn with(field: &str, value: Value) -> Result<ChatRequest, Refusal> {
        let mut body = hello();
        body[field] = value;
        ChatRequest::parse(body.to_string().as_bytes())
    }

    #[test]
    fn the_least_request_and_the_fullest() {
        let least = ChatRequest::parse(hello().to_string().as_bytes()).unwrap();
        assert_eq!((least.model.as_str(), least.question()), ("front-desk", "Hello?"));
        assert_eq!(
            (least.stream, least.include_usage, least.max_tokens, least.user),
            (false, false, None, None)
        );
        let fullest = json!({
            "model": "front-desk", "stream": true, "stream_options": { "include_usage": true },
            "max_tokens": 9, "max_completion_tokens": 200, "user": "till 3", "temperature": 0.2, "top_p": 1,
            "seed": 7, "n": 1, "tools": [], "stop": null, "response_format": { "type": "text" }, "logprobs": false,
            "modalities": ["text"], "store": true, "metadata": { "a": "b" }, "nobody_knows_this": [1],
            "messages": [
                { "role": "system", "content": "Be brief." },
                { "role": "developer", "content": [{ "type": "text", "text": "And" }, { "type": "text", "text": "kind." }] },
                { "role": "user", "content": "Hello?", "name": "Vera" },
                { "role": "assistant", "content": "Hi.", "tool_calls": [], "refusal": null },
                { "role": "user", "content": [{ "type": "text", "text": "Open on Sunday?" }] },
            ],
        });
        let fullest = ChatRequest::parse(fullest.to_string().as_bytes()).unwrap();
        assert!(fullest.stream && fullest.include_usage);
        assert_eq!((fullest.max_tokens, fullest.user.as_deref()), (Some(200), Some("till 3")));
        let speakers: Vec<Speaker> = fullest.messages.iter().map(|message| message.speaker).collect();
        use Speaker::{Assistant, System, User};
        assert_eq!(speakers, [System, System, User, Assistant, User]);
        assert_eq!(fullest.messages[1].text, "And\nkind.");
        assert_eq!(fullest.question(), "Open on Sunday?");
    }

    fn refused(field: &str, value: Value, param: &str, code: &str) {
        let refusal = with(field, value.clone()).unwrap_err();
        assert_eq!((refusal.param.as_deref(), refusal.code), (Some(param), code), "{field}: {value}");
        assert!(refusal.message.ends_with('.'), "{}", refusal.message);
        assert_eq!(refusal.error()["type"], "invalid_request_error");
    }

    #[test]
    fn what_is_wrong_is_named() {
        refused("model", json!(null), "model", "missing_required_parameter");
        refused("model", json!(""), "model", "missing_required_parameter");
        refused("model", json!(7), "model", "missing_required_parameter");
        refused("messages", json!([]), "messages", "missing_required_parameter");
        refused("messages", json!("Hello?"), "messages", "missing_required_parameter");
        refused("stream", json!("yes"), "stream", "invalid_type");
        refused("stream_options", json!({ "include_usage": true }), "stream_options", "invalid_value");
        refused("max_tokens", json!(0), "max_tokens", "invalid_value");
        refused("max_tokens", json!(-1), "max_tokens", "invalid_value");
        refused("max_completion_tokens", json!(1.5), "max_completion_tokens", "invalid_value");
        refused("user", json!("x".repeat(201)), "user", "invalid_value");
        let say = |message: Value| json!([message]);
        refused("messages", say(json!({ "content": "x" })), "messages[0].role", "invalid_value");
        refused(
            "messages",
            say(json!({ "role": "boss", "content": "x" })),
            "messages[0].role",
            "invalid_value",
        );
        refused("messages", say(json!({ "role": "user" })), "messages[0].content", "invalid_value");
        refused(
            "messages",
            say(json!({ "role": "user", "content": "a\0b" })),
            "messages[0].content",
            "invalid_value",
        );
        refused("messages", say(json!({ "role": "user", "content": " " })), "messages", "invalid_value");
        refused("messages", say(json!({ "role": "assistant", "content": "x" })), "messages", "invalid_value");
        let many: Vec<Value> = (0..201).map(|_| json!({ "role": "user", "content": "x" })).collect();
        refused("messages", json!(many), "messages", "invalid_value");
    }

    #[test]
    fn what_agents_do_not_do_is_refused_and_not_passed_over() {
        let unsupported = |field: &str, value: Value, param: &str| {
            refused(field, value, param, "unsupported_parameter");
        };
        unsupported("tools", json!([{ "type": "function", "function": { "name": "f" } }]), "tools");
        unsupported("functions", json!([{ "name": "f" }]), "functions");
        unsupported("n", json!(2), "n");
        unsupported("stop", json!("###"), "stop");
        unsupported("stop", json!(["###"]), "stop");
        unsupported("logprobs", json!(true), "logprobs");
        unsupported("response_format", json!({ "type": "json_object" }), "response_format");
        unsupported("modalities", json!(["text", "audio"]), "modalities");
        let image = json!([{ "role": "user", "content": [
            { "type": "text", "text": "What is this?" },
            { "type": "image_url", "image_url": { "url": "https://example.com/x.png" } },
        ] }]);
        unsupported("messages", image, "messages[0].content[1].type");
        let tool = json!([{ "role": "tool", "tool_call_id": "1", "content": "x" }]);
        unsupported("messages", tool, "messages[0].role");
        let calls = json!([{ "role": "assistant", "content": null, "tool_calls": [{ "id": "1" }] }]);
        unsupported("messages", calls, "messages[0].tool_calls");
    }

    #[test]
    fn no_json_is_refused_in_the_same_form() {
        for body in ["", "{", "[]", "7", "\"x\""] {
            let refusal = ChatRequest::parse(body.as_bytes()).unwrap_err();
            assert_eq!((refusal.param, refusal.code), (None, "invalid_json"), "{body}");
        }
        let response = with("n", json!(3)).unwrap_err().response().unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_sent_is_too_much(body in ".{0,200}|\\{\"model\":\"a\",\"messages\":[\\[\\]{}a-z\":,0-9]{0,60}\\}") {
            let _ = ChatRequest::parse(body.as_bytes());
        }
    }
}
