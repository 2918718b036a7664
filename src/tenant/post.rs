//! The post: the mail provider's HTTP API, by which a company's mails go out.
//!
//! It never says to whom a mail went, neither in a log nor in an error, and never gives its key to anybody else.
//!
//! The protocol is Resend's (<https://resend.com/docs/api-reference/emails/send-email>): one JSON object, one answer.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::json;

use super::TenantScope;
use crate::config::{ConfigError, MAIL_TIMEOUT_MS};
use crate::error::Error;
use crate::mail::Letter;
use crate::platform::{Outbound, Part};

/// Where mails are handed in, with which key, and from whom they are.
pub(super) struct Post {
    url: String,
    authorization: http::HeaderValue,
    from: String,
}

impl Post {
    /// `None` when nothing is set: then no mail is sent.
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, ConfigError> {
        let (url, key, from) = match (get("MAIL_URL"), get("MAIL_KEY"), get("MAIL_FROM")) {
            (None, None, None) => return Ok(None),
            (Some(url), Some(key), Some(from)) => (url, key, from),
            (None, ..) => return Err(ConfigError("MAIL_URL", "is missing beside MAIL_KEY or MAIL_FROM")),
            (_, None, _) => return Err(ConfigError("MAIL_KEY", "is missing beside MAIL_URL")),
            (.., None) => return Err(ConfigError("MAIL_FROM", "is missing beside MAIL_URL")),
        };
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(ConfigError("MAIL_URL", "is not an http or https URL"));
        }
        if !from.contains('@') || from.chars().any(char::is_control) {
            return Err(ConfigError("MAIL_FROM", "is no sender, such as Bulkhead <mail@example.com>"));
        }
        let mut authorization = http::HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| ConfigError("MAIL_KEY", "has characters that no header can carry"))?;
        authorization.set_sensitive(true);
        Ok(Some(Self { url: format!("{}/emails", url.trim_end_matches('/')), authorization, from }))
    }
}

impl TenantScope {
    /// Whether mails can be sent at all.
    #[must_use]
    pub fn has_post(&self) -> bool {
        self.app.config.secrets.post.is_some()
    }

    /// Hands a letter in. Whether there may be one more is for [`crate::mail`] to know.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the provider does not take it, [`Error::Internal`] when there is none.
    pub(crate) async fn post(&self, letter: &Letter) -> Result<(), Error> {
        let Some(post) = &self.app.config.secrets.post else {
            return Err(Error::Internal("a mail, and no provider of mail".into()));
        };
        let away = |why: String| Error::Unavailable("mail", why);
        let message = json!({
            "from": post.from,
            "to": [letter.to()],
            "subject": letter.subject(),
            "text": letter.text()?,
            "html": letter.html()?,
        });
        let request = http::Request::post(&post.url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, &post.authorization)
            .body(Bytes::from(message.to_string()))
            .map_err(|error| Error::Internal(format!("mail request: {error}")))?;
        let timeout = MAIL_TIMEOUT_MS;
        let response = self
            .platform
            .send(Outbound { part: Part::Mail, request, head_timeout_ms: timeout, idle_timeout_ms: timeout })
            .await
            .map_err(|error| away(error.to_string()))?;
        // What the provider says may have the address in it: its status is enough.
        if response.status().is_success() { Ok(()) } else { Err(away(response.status().to_string())) }
    }
}
