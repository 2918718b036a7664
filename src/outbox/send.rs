//! One attempt: a request to a webhook, or a mail to a person.
//!
//! It never follows a redirect, never reads what a webhook answers but its status, and sends no key anywhere.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use serde_json::Value;

use super::Due;
use super::signature::sign;
use crate::config::WEBHOOK_TIMEOUT_MS;
use crate::error::Error;
use crate::ids::WebhookId;
use crate::mail::{self, Letter};
use crate::platform::{Outbound, Part, SendError};
use crate::tenant::TenantScope;
use crate::website::address::Address;

/// What came of an attempt.
pub(super) struct Attempt {
    /// HTTP status, if there was an answer.
    pub(super) status: Option<u16>,
    pub(super) end: End,
}

/// How it goes on, with what was wrong in a few words.
pub(super) enum End {
    /// It was taken.
    Delivered,
    /// It may be taken another time.
    Again(String),
    /// It cannot be taken, however often it is tried.
    Never(&'static str),
    /// Whoever was there says that nobody is any more (410).
    Gone,
}

impl End {
    pub(super) fn error(&self) -> Option<String> {
        match self {
            Self::Delivered => None,
            Self::Again(why) => Some(why.chars().take(200).collect()),
            Self::Never(why) => Some((*why).to_owned()),
            Self::Gone => Some("it is gone".to_owned()),
        }
    }
}

/// Tries to deliver this, once.
pub(super) async fn attempt(scope: &TenantScope, due: &Due) -> Attempt {
    let unanswered = |end| Attempt { status: None, end };
    match (due.webhook_id, &due.url, &due.sealed_secret, &due.email) {
        (Some(webhook), Some(url), Some(secret), _) => request(scope, due, webhook, url, &secret.0).await,
        (None, .., Some(email)) => unanswered(letter(scope, due, email).await),
        _ => unanswered(End::Never("nobody is there to be told")),
    }
}

async fn request(scope: &TenantScope, due: &Due, webhook: WebhookId, url: &str, sealed: &[u8]) -> Attempt {
    let unanswered = |end| Attempt { status: None, end };
    // Again, and not only when it was added: what may be sent where can change, and a database can be wrong.
    let Ok(address) = Address::parse(url, &scope.app().config) else {
        return unanswered(End::Never("its address may not be used"));
    };
    let Some(secret) = scope.webhook_open(webhook, sealed) else {
        return unanswered(End::Again("its secret does not open; make a new one".into()));
    };
    let now_s = scope.platform().now_ms() / 1_000;
    let id = due.event_id.to_string();
    let request = http::Request::post(address.url())
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, "Bulkhead-Webhooks/1")
        .header("webhook-signature", sign(&secret, &id, now_s, &due.body))
        .header("webhook-timestamp", now_s)
        .header("webhook-id", id)
        .body(Bytes::from(due.body.clone()));
    let Ok(request) = request else {
        return unanswered(End::Never("its address may not be used"));
    };
    let timeout = WEBHOOK_TIMEOUT_MS;
    let sent = scope.platform().send(Outbound {
        part: Part::Webhook,
        request,
        head_timeout_ms: timeout,
        idle_timeout_ms: timeout,
    });
    match sent.await {
        Err(SendError::Unreachable) => unanswered(End::Again("no connection could be made".into())),
        Err(SendError::TimedOut) => unanswered(End::Again("it did not answer in time".into())),
        // Its body is dropped unread.
        Ok(answer) => {
            let status = answer.status();
            let end = match status.as_u16() {
                200..=299 => End::Delivered,
                410 => End::Gone,
                300..=399 => End::Again("it redirects, which is not followed".into()),
                other => End::Again(format!("it answered {other}")),
            };
            Attempt { status: Some(status.as_u16()), end }
        }
    }
}

async fn letter(scope: &TenantScope, due: &Due, email: &str) -> End {
    let Some(letter) = written(scope, due, email) else {
        return End::Never("this is told by no mail");
    };
    match mail::send_notice(scope, &letter).await {
        Ok(()) => End::Delivered,
        Err(Error::Conflict(_)) => End::Never("no mail can be sent from here"),
        Err(Error::TooMany(_)) => End::Again("there were too many mails".into()),
        Err(_) => End::Again("the mail provider does not take it".into()),
    }
}

/// The mail that tells of it, with what an owner needs to call back and no more.
fn written(scope: &TenantScope, due: &Due, email: &str) -> Option<Letter> {
    let told = serde_json::from_str::<Value>(&due.body).ok()?;
    let text = |name: &str| {
        let text = told.get("data").and_then(|data| data.get(name)).and_then(Value::as_str);
        text.unwrap_or_default().chars().take(1_000).collect::<String>()
    };
    let page = |path: &str| {
        let company = scope.app().config.root.company_url(scope.slug());
        format!("{company}/dashboard{path}")
    };
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let (title, said, page) = match due.event.as_str() {
        "lead.new" => {
            let said = [("Phone", text("phone")), ("E-mail", text("email")), ("Message", text("message"))];
            let said = said.into_iter().filter(|(_, text)| !text.is_empty());
            let said = said.map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>();
            (format!("{} wants to hear from you", text("name")), said, page("/leads"))
        }
        "conversation.handed_over" => {
            let title = format!("{} asks for a person", or(text("visitor"), "A visitor"));
            (title, vec![text("reason")], page(&format!("/inbox/{}", text("conversation_id"))))
        }
        "budget.nearly_spent" | "budget.spent" => {
            let percent = told.pointer("/data/percent").and_then(Value::as_u64).unwrap_or_default();
            let what = match text("period").as_str() {
                "day" => "the day's budget for model calls is used",
                _ => "the month's tokens are used",
            };
            (format!("{percent} % of {what}"), Vec::new(), page("/budget"))
        }
        _ => return None,
    };
    Some(Letter::notice(scope.company_name(), email, title, &said, &page))
}
