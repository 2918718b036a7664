//! What can go wrong, and for each kind the status, the sentence people read and how loud the log is, in one match.
//!
//! An inner error's text never reaches a client: it goes to the log, once, where it was made.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER};

use crate::ids::RequestId;
use crate::platform::{Body, Level};

/// Why a request was not done.
#[derive(Debug)]
pub enum Error {
    /// It is not there, or it is another company's: the two look the same.
    NotFound,
    /// The company is at another address now: this one.
    Moved(String),
    /// The path is there, the method is not; the methods that are.
    MethodNotAllowed(String),
    /// No token, or one that is not good here.
    Unauthorized,
    /// Signed in, but the role does not allow it.
    Forbidden,
    /// The page that calls is of an origin that the company does not list.
    Elsewhere,
    /// A browser was made to send this by another site's page, or does not say by whose.
    CrossSite,
    /// E-mail or password is wrong; which of them is not said.
    WrongLogin,
    /// A signed-in person's own password is wrong.
    WrongPassword,
    /// The password is right; now the code of the second step is wanted.
    CodeWanted,
    /// The code of the second step is wrong, too old, or was taken before.
    WrongCode,
    /// A link that is good once was used, has ended, or never was; which of these is not said.
    LinkEnded,
    /// What was sent makes no sense; the sentence says what to change.
    Invalid(String),
    /// The same of one field of a form, by its name.
    Field(&'static str, Box<Self>),
    /// The body has more bytes than this.
    TooLarge(usize),
    /// What was asked for collides with what is there; the sentence says what to change.
    Conflict(String),
    /// The request's Idempotency-Key was used before; [`crate::idempotency`] says how that went.
    Repeated,
    /// Too many requests; seconds to wait.
    TooMany(u64),
    /// A model's answer broke off after it had begun.
    BrokeOff,
    /// A part of ours did not answer; the text is for the log.
    Unavailable(&'static str, String),
    /// A mistake of ours; the text is for the log.
    Internal(String),
}

/// What the outside sees of an error, and how loud the log is.
pub struct Facts {
    /// HTTP status.
    pub status: StatusCode,
    /// What kind of problem it is: the same words each time.
    pub title: &'static str,
    /// What happened and what to do, for people.
    pub detail: Cow<'static, str>,
    /// How much it matters to the operator.
    pub level: Level,
}

impl Error {
    /// Status, title, sentence and log level of this error.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let (status, title, detail, level): (_, _, Cow<'static, str>, _) = match self {
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "Not found",
                "There is nothing at this address. Check the address, and that you are signed in to the right company.".into(),
                Level::Info,
            ),
            Self::Moved(_) => (
                StatusCode::PERMANENT_REDIRECT,
                "Moved",
                "The company has another address now. Follow the Location, and write it down.".into(),
                Level::Info,
            ),
            Self::MethodNotAllowed(allow) => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Method not allowed",
                format!("This address takes {allow}.").into(),
                Level::Info,
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "Not signed in",
                "This needs a valid token for this company. Sign in again, or ask for a new visitor token.".into(),
                Level::Info,
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "Not allowed",
                "Your role in this company does not allow this. Ask an administrator or the owner.".into(),
                Level::Info,
            ),
            Self::Elsewhere => (
                StatusCode::FORBIDDEN,
                "Not on this page",
                "Pages of this origin may not use this company's chat. Its people list those that may in the widget's settings.".into(),
                Level::Info,
            ),
            Self::CrossSite => (
                StatusCode::FORBIDDEN,
                "From elsewhere",
                "This did not come from the dashboard's own page, so nothing was changed. Open the dashboard and do it there."
                    .into(),
                Level::Warn,
            ),
            Self::WrongLogin => (
                StatusCode::UNAUTHORIZED,
                "Wrong e-mail or password",
                "The e-mail address or the password is wrong for this company. Check both and try again.".into(),
                Level::Info,
            ),
            // Not 401: the person is signed in, and stays so.
            Self::WrongPassword => (
                StatusCode::FORBIDDEN,
                "Wrong password",
                "The password is wrong. Type the one that you sign in with.".into(),
                Level::Info,
            ),
            Self::CodeWanted => (
                StatusCode::UNAUTHORIZED,
                "Code wanted",
                "This account has two-step sign-in. Send the code of your app, or one of your recovery codes, as code.".into(),
                Level::Info,
            ),
            Self::WrongCode => (
                StatusCode::UNAUTHORIZED,
                "Wrong code",
                "The code is wrong, too old, or was used before. Wait for the next one and try that.".into(),
                Level::Info,
            ),
            Self::LinkEnded => (
                StatusCode::GONE,
                "Link ended",
                "This link was used already or has ended. Ask for a new one.".into(),
                Level::Info,
            ),
            Self::Field(_, error) => return error.facts(),
            Self::Invalid(sentence) => {
                (StatusCode::BAD_REQUEST, "Invalid request", sentence.clone().into(), Level::Info)
            }
            Self::TooLarge(limit) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too large",
                format!("The body may have at most {limit} bytes. Send less.").into(),
                Level::Info,
            ),
            Self::Conflict(sentence) => {
                (StatusCode::CONFLICT, "Conflict", sentence.clone().into(), Level::Info)
            }
            Self::Repeated => (
                StatusCode::CONFLICT,
                "Conflict",
                "This Idempotency-Key was used before. Take a new key for a new request.".into(),
                Level::Info,
            ),
            Self::TooMany(seconds) => (
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                format!("That was too many requests. Wait {seconds} seconds and try again.").into(),
                Level::Warn,
            ),
            Self::BrokeOff => (
                StatusCode::BAD_GATEWAY,
                "The answer broke off",
                "The answer broke off before its end. What came so far is kept; ask again for the rest.".into(),
                Level::Warn,
            ),
            Self::Unavailable(..) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Temporarily unavailable",
                "A part of this service is not answering, so this may or may not have been done. Look, and try again in a moment.".into(),
                Level::Error,
            ),
            Self::Internal(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Our mistake",
                "Something went wrong on our side. If it happens again, tell us the request id.".into(),
                Level::Error,
            ),
        };
        Facts { status, title, detail, level }
    }

    /// Whose fault it is, for the log: `client`, `us`, `database`, `redis` or `provider`.
    #[must_use]
    pub fn fault(&self) -> &'static str {
        match self {
            Self::Field(_, error) => error.fault(),
            Self::Unavailable(part @ ("database" | "redis"), _) => part,
            Self::BrokeOff => "provider",
            Self::Unavailable(..) | Self::Internal(_) => "us",
            _ => "client",
        }
    }

    /// What the operator's log says beyond the status; `None` where the status says it all.
    #[must_use]
    pub fn for_log(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Unavailable(what, why) => Some(format!("{what}: {why}").into()),
            Self::Internal(why) => Some(why.into()),
            Self::Field(_, error) => error.for_log(),
            _ => None,
        }
    }

    /// The answer to the client: `application/problem+json` (RFC 9457).
    #[must_use]
    pub fn response(&self, request_id: RequestId) -> http::Response<Body> {
        let facts = self.facts();
        let problem = self.problem(request_id);
        let mut response = http::Response::new(Body::Full(Bytes::from(problem.to_string())));
        *response.status_mut() = facts.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/problem+json"));
        if let Self::TooMany(seconds) = self {
            headers.insert(RETRY_AFTER, http::HeaderValue::from(*seconds));
        }
        let told = match self {
            Self::MethodNotAllowed(allow) => Some((ALLOW, allow)),
            Self::Moved(to) => Some((LOCATION, to)),
            _ => None,
        };
        if let Some((name, text)) = told
            && let Ok(value) = http::HeaderValue::from_str(text)
        {
            headers.insert(name, value);
        }
        response
    }

    /// The problem document itself (RFC 9457), also sent as the `error` event of a stream.
    #[must_use]
    pub fn problem(&self, request_id: RequestId) -> serde_json::Value {
        let facts = self.facts();
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": facts.title,
            "status": facts.status.as_u16(),
            "detail": facts.detail,
            "request_id": request_id,
        });
        if let (Self::Field(field, _), Some(problem)) = (self, problem.as_object_mut()) {
            problem.insert("field".to_owned(), (*field).into());
        }
        problem
    }

    /// The same error, of this field.
    #[must_use]
    pub fn of(self, field: &'static str) -> Self {
        Self::Field(field, Box::new(self))
    }
}
