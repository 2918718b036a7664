//! `/v1/chat/completions`: a turn with one of the company's agents, for a program that keeps its conversations itself.
//!
//! It never lets two people whom a program speaks for share what an agent remembers, and decides nothing of a turn.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::request::{ChatRequest, Message, Speaker};
use super::response::{Completion, DONE, Finish, broken};
use super::with_error;
use crate::chat::events::{Done, Event, Format};
use crate::chat::{self, Question};
use crate::config::REPLY_LIMIT;
use crate::error::Error;
use crate::ids::{ApiKeyId, VisitorId};
use crate::llm::{Turn, Usage};
use crate::platform::{Body, Platform};
use crate::routes::{Call, json as answer};
use crate::tenant::auth::{Program, Visitor};

/// `POST /v1/chat/completions`: the last message is the question, those before it are what was said; the model is an agent.
///
/// # Errors
/// As [`chat::begin`]; a request that makes no sense, or an agent that is not there, is an answer in OpenAI's form.
pub async fn create(program: Program, call: Call) -> Result<Response<Body>, Error> {
    let asked = match ChatRequest::parse(&call.bytes().await?) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.response(),
    };
    let key = call.idempotency_key()?;
    let platform = Rc::clone(&call.platform);
    let id = speaks_for(&*platform, program.key, asked.user.as_deref(), key);
    let visitor = Visitor { scope: program.scope, id, address: None };
    let question = Question::new(&visitor, asked.question().to_owned(), Some(asked.model.clone()))?
        .after(history(&asked.messages), asked.max_tokens)
        .known_by(&visitor, key)?;
    let completion = Completion {
        id: String::new(),
        created_s: platform.now_ms() / 1_000,
        model: asked.model.clone(),
        include_usage: asked.include_usage,
    };
    if asked.stream {
        return match chat::begin(visitor, question, Box::new(Streamed(completion))).await {
            Ok(body) => {
                let mut response = Response::new(body);
                let headers = response.headers_mut();
                headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
                headers.insert("cache-control", HeaderValue::from_static("no-store, no-transform"));
                Ok(response)
            }
            Err(error) => no_model(error, &asked.model),
        };
    }
    let came = Rc::new(RefCell::new(None));
    let whole = Whole { completion, text: String::new(), came: Rc::clone(&came) };
    match chat::begin(visitor, question, Box::new(whole)).await {
        // The turn has ended when the body has.
        Ok(body) => body.collect(REPLY_LIMIT).await.map(drop).map_err(|_| Error::BrokeOff)?,
        Err(error) => return no_model(error, &asked.model),
    }
    match came.take() {
        Some((status, value)) => answer(status, &value),
        None => Err(Error::BrokeOff),
    }
}

/// An agent that is not there is a model that is not there; everything else stays what it is.
fn no_model(error: Error, model: &str) -> Result<Response<Body>, Error> {
    if !matches!(error, Error::NotFound) {
        return Err(error);
    }
    let message = format!("There is no agent {model:?} that answers. GET /v1/models lists those that do.");
    let error = json!({ "message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found" });
    answer(StatusCode::NOT_FOUND, &json!({ "error": error }))
}

/// Whom the agent takes the asker for. The same `user` of the same key is the same person; without one, each request is
/// somebody new, because what is remembered of one person must not be said to another. A request that is sent again
/// comes from whom it came before.
fn speaks_for(
    platform: &dyn Platform,
    key: ApiKeyId,
    user: Option<&str>,
    request: Option<&str>,
) -> VisitorId {
    let (kind, name) = match (user, request) {
        (Some(user), _) => ("user", user),
        (None, Some(request)) => ("request", request),
        (None, None) => return VisitorId::new(platform),
    };
    let digest = Sha256::digest(format!("bulkhead/program/{key}/{kind}/{name}").as_bytes());
    VisitorId::from_digest(digest.into())
}

/// What was said before the question. What the program's developer says stands first, as the asker's: an agent's
/// instructions are its company's, not a request's.
fn history(messages: &[Message]) -> Vec<Turn> {
    let (_, before) = messages.split_last().unzip();
    let mut turns: Vec<Turn> = Vec::new();
    for Message { speaker, text } in before.unwrap_or_default() {
        match (speaker, turns.last_mut()) {
            (Speaker::Assistant, _) => turns.push(Turn::answer(text.clone())),
            // Formats differ in whether two turns of one side may follow each other.
            (_, Some(Turn::User(said))) => {
                said.push_str("\n\n");
                said.push_str(text);
            }
            (_, _) => turns.push(Turn::User(text.clone())),
        }
    }
    turns
}

/// A turn as a stream of chunks.
struct Streamed(Completion);

impl Format for Streamed {
    fn write(&mut self, event: &Event<'_>) -> Option<Bytes> {
        match event {
            Event::Start { message, .. } => {
                self.0.id = format!("chatcmpl-{message}");
                Some(self.0.first())
            }
            Event::Delta(text) => Some(self.0.delta(text)),
            Event::Tool { .. } | Event::Citations(_) | Event::Person(_) => None,
            Event::Done(done) => {
                let usage = self.0.usage(usage(done)).unwrap_or_default();
                Some(Bytes::from([self.0.last(Finish::of(done.stop)), usage, DONE].concat()))
            }
            Event::Error(problem) => Some(broken(problem["detail"].as_str().unwrap_or_default())),
        }
    }
}

/// A turn as one answer, kept until it is whole.
struct Whole {
    completion: Completion,
    text: String,
    came: Rc<RefCell<Option<(StatusCode, Value)>>>,
}

impl Format for Whole {
    fn write(&mut self, event: &Event<'_>) -> Option<Bytes> {
        match event {
            Event::Start { message, .. } => self.completion.id = format!("chatcmpl-{message}"),
            Event::Delta(text) => self.text.push_str(text),
            Event::Tool { .. } | Event::Citations(_) | Event::Person(_) => {}
            Event::Done(done) => {
                let whole = self.completion.whole(&self.text, Finish::of(done.stop), usage(done));
                self.came.replace(Some((StatusCode::OK, whole)));
            }
            Event::Error(problem) => {
                let status = problem["status"].as_u64().and_then(|status| u16::try_from(status).ok());
                let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                let detail = problem["detail"].as_str().unwrap_or_default();
                let problem = with_error(problem.clone(), detail, "server_error", "server_error");
                self.came.replace(Some((status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), problem)));
            }
        }
        None
    }
}

/// Tokens of all the turn's model calls; none when the knowledge base answered.
fn usage(done: &Done<'_>) -> Usage {
    let (input_tokens, output_tokens) = done.tokens();
    let cached =
        |sum: u32, spend: &crate::limiter::Spend| sum.saturating_add(spend.usage.cached_input_tokens);
    let cached_input_tokens = done.spends.iter().fold(0, cached);
    Usage { input_tokens, output_tokens, cached_input_tokens, ..Usage::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(turns: &[(Speaker, &str)]) -> Vec<String> {
        let message = |(speaker, text): &(Speaker, &str)| Message { speaker: *speaker, text: (*text).into() };
        let spoken = |turn: &Turn| match turn {
            Turn::User(text) => format!("U {text}"),
            Turn::Assistant { text, .. } => format!("A {text}"),
            Turn::Tools(_) => panic!("no tools here"),
        };
        history(&turns.iter().map(message).collect::<Vec<_>>()).iter().map(spoken).collect()
    }

    #[test]
    fn what_was_said_before_the_question() {
        use Speaker::{Assistant, System, User};
        assert!(said(&[(User, "now?")]).is_empty());
        assert!(said(&[]).is_empty());
        let turns = [
            (System, "be brief"),
            (User, "hi"),
            (Assistant, "hello"),
            (User, "a"),
            (User, "b"),
            (User, "now?"),
        ];
        assert_eq!(said(&turns), ["U be brief\n\nhi", "A hello", "U a\n\nb"]);
    }

    #[test]
    fn a_problem_in_the_stream_has_its_sentence() {
        let completion =
            Completion { id: String::new(), created_s: 1, model: "m".into(), include_usage: false };
        let problem = json!({ "status": 502, "detail": "It broke off." });
        let bytes = Streamed(completion.clone()).write(&Event::Error(problem.clone())).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains("It broke off."));
        let came = Rc::new(RefCell::new(None));
        let mut whole = Whole { completion, text: String::new(), came: Rc::clone(&came) };
        assert!(whole.write(&Event::Error(problem)).is_none());
        let (status, value) = came.take().unwrap();
        assert_eq!((status, &value["error"]["message"]), (StatusCode::BAD_GATEWAY, &json!("It broke off.")));
    }
}
