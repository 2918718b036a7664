//! Upstash's Redis REST protocol over a pool of Redis connections. A connection goes back to the pool only when
//! every answer it owed has been read, so no request can meet another's answer.
//!
//! Protocol: <https://upstash.com/docs/redis/features/restapi>. `POST /` takes one command as a JSON array,
//! `POST /pipeline` and `POST /multi-exec` a list of them, and `/set/key/value` is one command in the path, with
//! a body as last argument and the query's names and values behind it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use deadpool_redis::redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisError, Value, cmd};
use deadpool_redis::{Connection, Manager, Pool, QueueMode, Runtime, Status};
use serde_json::value::RawValue;

use super::metrics::Cause;
use super::redis_commands::refused;
use super::redis_reply::{Encoding, error_text, write_outcome};
use super::secret::Secret;
use super::{Gateway, Limits};

/// Commands in one pipeline or transaction.
const COMMANDS_MAX: usize = 1_000;

/// `POST /`: one command.
pub async fn command(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = admit(&gateway, request)?;
    let body = read(&gateway, body).await?;
    let command = parse_command(serde_json::from_slice(&body).map_err(|_| Refusal::unreadable())?)?;
    one(&gateway, &parts.headers, &command).await
}

/// `/{command}/{argument}/…`: one command in the path.
pub async fn path(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = admit(&gateway, request)?;
    let body = read(&gateway, body).await?;
    let mut args: Vec<Vec<u8>> = parts.uri.path().split('/').skip(1).map(percent_decoded).collect();
    if !body.is_empty() {
        args.push(body.to_vec());
    }
    for (name, value) in query_pairs(&parts).filter(|(name, _)| *name != "_token") {
        args.push(percent_decoded(name));
        args.extend(Some(percent_decoded(value)).filter(|value| !value.is_empty()));
    }
    let command = checked(&args)?;
    one(&gateway, &parts.headers, &command).await
}

/// `POST /pipeline`: commands one after another, each with its own result or error.
pub async fn pipeline(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = admit(&gateway, request)?;
    let commands = parse_commands(&read(&gateway, body).await?)?;
    let replies = gateway.redis.send(&commands).await?;
    answer(&gateway, &parts.headers, |encoding, out| write_list(&replies, encoding, out))
}

/// `POST /multi-exec`: commands as one transaction; if one cannot be queued, none runs and all is one error.
pub async fn multi_exec(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = admit(&gateway, request)?;
    let mut commands = vec![cmd("MULTI")];
    commands.extend(parse_commands(&read(&gateway, body).await?)?);
    commands.push(cmd("EXEC"));
    let mut replies = gateway.redis.send(&commands).await?;
    match replies.pop() {
        Some(Value::Array(results)) => {
            answer(&gateway, &parts.headers, |encoding, out| write_list(&results, encoding, out))
        }
        aborted => {
            let first = replies.into_iter().chain(aborted).find_map(|reply| match reply {
                Value::ServerError(error) => Some(error_text(&error)),
                _ => None,
            });
            Err(Refusal::command(first.unwrap_or_else(|| "EXECABORT Transaction discarded.".to_owned())))
        }
    }
}

async fn one(gateway: &Gateway, headers: &HeaderMap, command: &Cmd) -> Result<Response, Refusal> {
    let replies = gateway.redis.send(std::slice::from_ref(command)).await?;
    match replies.into_iter().next() {
        Some(Value::ServerError(error)) => Err(Refusal::command(error_text(&error))),
        reply => {
            answer(gateway, headers, |encoding, out| write_outcome(&reply.unwrap_or_default(), encoding, out))
        }
    }
}

fn write_list(replies: &[Value], encoding: Encoding, out: &mut Vec<u8>) {
    out.push(b'[');
    for (place, reply) in replies.iter().enumerate() {
        super::json::comma(place, out);
        write_outcome(reply, encoding, out);
    }
    out.push(b']');
}

fn answer(
    gateway: &Gateway,
    headers: &HeaderMap,
    write: impl FnOnce(Encoding, &mut Vec<u8>),
) -> Result<Response, Refusal> {
    let is_base64 = headers.get("upstash-encoding").is_some_and(|value| value == "base64");
    let mut out = Vec::with_capacity(256);
    write(if is_base64 { Encoding::Base64 } else { Encoding::Plain }, &mut out);
    let limit = gateway.limits.max_response_bytes;
    if out.len() > limit {
        let message = format!("ERR the response is larger than {limit} bytes; the commands did run");
        return Err(Refusal { status: StatusCode::INSUFFICIENT_STORAGE, error: message });
    }
    Ok(([(header::CONTENT_TYPE, "application/json")], out).into_response())
}

/// Lets a request in whose token is right, in the header or as `?_token=`.
fn admit(gateway: &Gateway, request: Request) -> Result<(Parts, Body), Refusal> {
    let (parts, body) = request.into_parts();
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header
        .and_then(|value| value.split_once(' '))
        .filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    let token = match bearer {
        Some((_, token)) => token.trim().as_bytes().to_vec(),
        None => query_pairs(&parts)
            .find(|(name, _)| *name == "_token")
            .map_or_else(Vec::new, |(_, value)| percent_decoded(value)),
    };
    if gateway.redis_secret.matches(&Secret::of(&[&token])) {
        Ok((parts, body))
    } else {
        Err(Refusal { status: StatusCode::UNAUTHORIZED, error: "Unauthorized".to_owned() })
    }
}

async fn read(gateway: &Gateway, body: Body) -> Result<bytes::Bytes, Refusal> {
    let limit = gateway.limits.max_body_bytes;
    to_bytes(body, limit).await.map_err(|_| Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        error: format!("ERR the body did not arrive whole or is over the limit of {limit} bytes"),
    })
}

fn parse_commands(body: &[u8]) -> Result<Vec<Cmd>, Refusal> {
    let commands: Vec<Vec<&RawValue>> = serde_json::from_slice(body).map_err(|_| Refusal::unreadable())?;
    if commands.is_empty() {
        return Err(Refusal::command("ERR empty pipeline".to_owned()));
    }
    if commands.len() > COMMANDS_MAX {
        return Err(Refusal::command(format!("ERR more than {COMMANDS_MAX} commands in one request")));
    }
    commands.into_iter().map(parse_command).collect()
}

fn parse_command(words: Vec<&RawValue>) -> Result<Cmd, Refusal> {
    checked(&words.into_iter().map(argument).collect::<Result<Vec<_>, _>>()?)
}

/// A string's text, or a number's, boolean's, array's or object's JSON; null is no argument.
fn argument(json: &RawValue) -> Result<Vec<u8>, Refusal> {
    let text = json.get();
    match text.as_bytes().first() {
        Some(b'n') => Err(Refusal::command("ERR null is not an argument".to_owned())),
        Some(b'"') => serde_json::from_str(text).map(String::into_bytes).map_err(|_| Refusal::unreadable()),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

/// A command that may be sent.
fn checked(args: &[Vec<u8>]) -> Result<Cmd, Refusal> {
    if args.first().is_none_or(Vec::is_empty) {
        return Err(Refusal::command("ERR empty command".to_owned()));
    }
    if let Some(error) = refused(args) {
        return Err(Refusal::command(error));
    }
    let mut command = Cmd::new();
    for arg in args {
        command.arg(arg.as_slice());
    }
    Ok(command)
}

fn query_pairs(parts: &Parts) -> impl Iterator<Item = (&str, &str)> {
    let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// What a client is told instead of a result.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: String,
}

impl Refusal {
    fn command(error: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error }
    }

    fn unreadable() -> Self {
        Self::command(
            "ERR failed to parse command: the body must be JSON, one array for each command".to_owned(),
        )
    }

    fn unavailable(error: &str) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error: error.to_owned() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.error }).to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        // The first word is Redis's kind of error; what follows may quote an argument.
        let kind = self.error.split(' ').next().unwrap_or_default();
        response.extensions_mut().insert(Cause(kind.to_owned()));
        response
    }
}

/// The pool.
pub struct Redis {
    pool: Pool,
}

impl Redis {
    /// A pool that connects when first asked.
    pub fn new(url: &str, limits: &Limits) -> anyhow::Result<Self> {
        let answer_time = Duration::from_millis(limits.redis_timeout_ms);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(answer_time))
            .set_response_timeout(Some(answer_time));
        let pool = Pool::builder(Manager::new_with_config(url, config)?)
            .max_size(limits.redis_pool_size)
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(Duration::from_millis(limits.pool_wait_ms)))
            .create_timeout(Some(answer_time))
            .recycle_timeout(Some(answer_time))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool })
    }

    /// Sends commands in one write; as many replies, errors among them.
    async fn send(&self, commands: &[Cmd]) -> Result<Vec<Value>, Refusal> {
        let connection = self.pool.get().await.map_err(|error| match error {
            deadpool_redis::PoolError::Timeout(deadpool_redis::TimeoutType::Wait) => {
                Refusal::unavailable("ERR all Redis connections are busy; try again in a moment")
            }
            _ => Refusal::unavailable("ERR Redis does not answer; try again in a moment"),
        })?;
        let mut borrowed = Borrowed(Some(connection));
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let replies = borrowed.send(&pipeline, commands.len()).await.map_err(|_| {
            Refusal::unavailable("ERR Redis did not answer in time or went away; the commands may have run")
        })?;
        borrowed.give_back();
        Ok(replies)
    }

    /// Whether Redis answers.
    pub async fn is_up(&self) -> bool {
        self.send(&[cmd("PING")]).await.is_ok()
    }

    /// Connections open, free and waited for.
    pub fn status(&self) -> Status {
        self.pool.status()
    }
}

/// A borrowed connection. Dropped before it was given back, as when the client goes away, it is closed.
struct Borrowed(Option<Connection>);

impl Borrowed {
    async fn send(&mut self, pipeline: &Pipeline, count: usize) -> Result<Vec<Value>, RedisError> {
        match &mut self.0 {
            Some(connection) => connection.send_packed_commands(pipeline, 0, count).await,
            // Only `give_back` and `drop` empty it, and both consume it.
            None => Ok(Vec::new()),
        }
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Connection::take(connection));
        }
    }
}
