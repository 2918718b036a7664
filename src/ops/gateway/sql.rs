//! `POST /sql`: Neon's SQL over HTTP, one request one transaction. It never uses the simple query protocol
//! for a client's text, never leaves a transaction open, and never commits after a failure.
//!
//! The protocol is what `@neondatabase/serverless` speaks to Neon's proxy
//! (<https://github.com/neondatabase/neon/blob/main/proxy/src/serverless/sql_over_http.rs>). Statements that
//! cannot run inside a transaction (`vacuum`, `create database`) are not served.

use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;

use super::Gateway;
use super::batch::{Batch, Begin, Failure};
use super::json::Form;
use super::refusal::Refusal;
use super::secret::Secret;

const CONNECTION_STRING: &str = "neon-connection-string";
const RAW_TEXT: &str = "neon-raw-text-output";
const ARRAY_MODE: &str = "neon-array-mode";
const ISOLATION: &str = "neon-batch-isolation-level";
const READ_ONLY: &str = "neon-batch-read-only";
const DEFERRABLE: &str = "neon-batch-deferrable";

/// Answers one request.
pub async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    authenticate(&gateway, &parts.headers)?;
    let begin = begin(&parts.headers)?;
    let form =
        Form { raw_text: is_true(&parts.headers, RAW_TEXT), array_mode: is_true(&parts.headers, ARRAY_MODE) };
    let limit = gateway.limits.max_body_bytes;
    let body = to_bytes(body, limit).await.map_err(|_| {
        let message =
            format!("The request's body did not arrive whole or is over the limit of {limit} bytes.");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "54000", &message)
    })?;
    let batch = Batch::parse(&body, form)?;
    let answer = run(&gateway, &batch, &begin).await?;

    let mut response = ([(header::CONTENT_TYPE, "application/json")], answer).into_response();
    for name in [ISOLATION, READ_ONLY, DEFERRABLE] {
        if let Some(value) = parts.headers.get(name).filter(|_| batch.many) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

/// Runs the batch, a second time if the first was rolled back for a reason that lies in the connection's past.
async fn run(gateway: &Gateway, batch: &Batch<'_>, begin: &Begin) -> Result<Vec<u8>, Refusal> {
    let limits = &gateway.limits;
    let mut is_retry = false;
    loop {
        let lease = gateway.postgres.lease().await?;
        if is_retry {
            lease.client()?.statement_cache.clear();
        }
        let work = batch.run(lease.client()?, begin, limits.max_response_bytes);
        match timeout(Duration::from_millis(limits.request_timeout_ms), work).await {
            Ok(Ok(answer)) => {
                lease.release();
                return Ok(answer);
            }
            Ok(Err(Failure::Stale(_))) if !is_retry => {
                lease.client()?.statement_cache.clear();
                lease.release();
                is_retry = true;
            }
            Ok(Err(Failure::Ended(refusal) | Failure::Stale(refusal))) => {
                lease.release();
                return Err(refusal);
            }
            // Dropping the lease cancels what runs and closes the connection.
            Ok(Err(Failure::Running(refusal))) => return Err(refusal),
            Err(_) => {
                let message = format!(
                    "The request took longer than {} ms and was cancelled.",
                    limits.request_timeout_ms
                );
                return Err(Refusal::bad_request("57014", &message));
            }
        }
    }
}

/// The request must present the user, password and database that the gateway itself connects with.
fn authenticate(gateway: &Gateway, headers: &HeaderMap) -> Result<(), Refusal> {
    let presented = headers.get(CONNECTION_STRING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if gateway.database_secret.matches(&Secret::of_connection_string(presented)) {
        Ok(())
    } else {
        Err(Refusal::unauthenticated())
    }
}

fn begin(headers: &HeaderMap) -> Result<Begin, Refusal> {
    let isolation = match headers.get(ISOLATION).map(HeaderValue::as_bytes) {
        None => None,
        Some(b"ReadUncommitted") => Some("read uncommitted"),
        Some(b"ReadCommitted") => Some("read committed"),
        Some(b"RepeatableRead") => Some("repeatable read"),
        Some(b"Serializable") => Some("serializable"),
        Some(_) => return Err(Refusal::bad_request("22023", "invalid isolation level")),
    };
    Ok(Begin::new(isolation, is_true(headers, READ_ONLY), is_true(headers, DEFERRABLE)))
}

/// Anything that is not exactly `true` is false, as in Neon's proxy.
fn is_true(headers: &HeaderMap, name: &str) -> bool {
    headers.get(name).is_some_and(|value| value == "true")
}
