//! The stand's mail: takes what the worker sends as a provider would (Resend's `POST /emails`), and shows it on a page. It
//! passes nothing on, and forgets all but the last mails.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Mails that are kept.
const KEPT: usize = 2_000;

/// Where the worker hands mails in, and people read them.
pub struct Mail {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

#[derive(Clone)]
struct Tray {
    key: Arc<str>,
    /// Newest first.
    mails: Arc<Mutex<VecDeque<Value>>>,
}

/// Begins to take mails that come with this key, on any free port of the loopback interface.
pub async fn start(key: &str) -> anyhow::Result<Mail> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let state = Tray { key: key.into(), mails: Arc::default() };
    let router = Router::new().route("/", get(page)).route("/emails", post(take).get(list)).with_state(state);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Mail { url })
}

/// `POST /emails`.
async fn take(State(mail): State<Tray>, headers: HeaderMap, Json(sent): Json<Value>) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given != Some(&format!("Bearer {}", mail.key)) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "message": "the key is wrong" }))).into_response();
    }
    let text = |name: &str| sent.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let to = sent.get("to").and_then(Value::as_array).is_some_and(|to| !to.is_empty());
    if !to || !["from", "subject", "text", "html"].into_iter().all(text) {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "message": "a field is missing" })))
            .into_response();
    }
    let mut mails = mail.mails.lock().unwrap_or_else(PoisonError::into_inner);
    mails.push_front(sent);
    mails.truncate(KEPT);
    Json(json!({ "id": format!("mail-{}", mails.len()) })).into_response()
}

/// `GET /emails`, or `GET /emails?to=…`: newest first, for tests.
async fn list(State(mail): State<Tray>, uri: Uri) -> Json<Value> {
    let to = uri.query().and_then(|query| query.strip_prefix("to="));
    let to = to.map(|to| percent_encoding::percent_decode_str(to).decode_utf8_lossy().into_owned());
    let mails = mail.mails.lock().unwrap_or_else(PoisonError::into_inner);
    let of = |mail: &&Value| {
        to.as_ref()
            .is_none_or(|to| mail.get("to").is_some_and(|all| all.to_string().contains(&format!("\"{to}\""))))
    };
    Json(json!({ "emails": mails.iter().filter(of).collect::<Vec<_>>() }))
}

/// `GET /`: the same for people. Mails are shown as their text, so that no markup of theirs runs here; addresses are links.
async fn page(State(mail): State<Tray>) -> Response {
    let mut html = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <meta name=color-scheme content='light dark'><title>Mail</title><body><main><h1>Mail</h1>",
    );
    let mails = mail.mails.lock().unwrap_or_else(PoisonError::into_inner);
    if mails.is_empty() {
        html.push_str("<p>No mail yet. Load this page again when one was sent.</p>");
    }
    for mail in mails.iter().take(100) {
        let text =
            |name: &str| mail.get(name).map(|value| escaped(value.as_str().unwrap_or(&value.to_string())));
        let [subject, to, body] = ["subject", "to", "text"].map(|name| text(name).unwrap_or_default());
        let body: String = body.lines().fold(String::new(), |mut all, line| {
            let link = line.starts_with("http://") || line.starts_with("https://");
            // Nothing is left to do if memory ends.
            let _ = if link {
                write!(all, "<a href=\"{line}\">{line}</a><br>")
            } else {
                write!(all, "{line}<br>")
            };
            all
        });
        let _ = write!(html, "<article><h2>{subject}</h2><p>To {to}</p><p>{body}</p></article><hr>");
    }
    html.push_str("</main></body></html>");
    let policy = "default-src 'none'";
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, policy)];
    (headers, html).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
