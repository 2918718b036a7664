//! A request as its handler has it: headers, path, query and body, each read when it is asked for.
//!
//! It never says whose company it is for: that is for [`auth`](crate::tenant::auth) to find out.

use std::cell::Cell;
use std::rc::Rc;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::{App, Route};
use crate::config::Place;
use crate::dashboard::form;
use crate::error::Error;
use crate::fields::{Field, FieldError};
use crate::ids::{CompanyId, RequestId};
use crate::platform::{Body, BodyError, Platform};

/// One request, on its way to a handler.
pub struct Call {
    /// The request's id, quoted in its answer and in the log.
    pub request_id: RequestId,
    /// Its headers.
    pub headers: HeaderMap,
    /// What its host stands for.
    pub place: Place,
    /// The deployment.
    pub app: Rc<App>,
    /// The runtime.
    pub platform: Rc<dyn Platform>,
    pub(super) route: &'static Route,
    pub(super) path: String,
    pub(super) origin: Option<HeaderValue>,
    pub(super) body: Cell<Option<Body>>,
    pub(super) body_limit: Cell<usize>,
    pub(super) query: String,
    pub(super) params: Vec<(&'static str, String)>,
    pub(super) company: Rc<Cell<Option<CompanyId>>>,
}

impl Call {
    /// The id in the path. One that is no id is not there.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn id<T: std::str::FromStr>(&self) -> Result<T, Error> {
        self.param("id").ok_or(Error::NotFound)?.parse().map_err(|_| Error::NotFound)
    }

    pub(super) fn param(&self, wanted: &str) -> Option<&str> {
        self.params.iter().find(|(name, _)| *name == wanted).map(|(_, text)| text.as_str())
    }

    /// A field of the query, decoded; the first of its name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let mut fields = self.query.split('&').filter_map(|field| field.split_once('='));
        fields.find(|(field, _)| *field == name).map(|(_, value)| decoded(value))
    }

    /// What the sender calls this request, so that it may be sent again (draft-ietf-httpapi-idempotency-key-header).
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are two, or it is not 16 to 200 visible characters: a short one could be guessed.
    pub fn idempotency_key(&self) -> Result<Option<&str>, Error> {
        let mut keys = self.headers.get_all("idempotency-key").iter();
        let Some(key) = keys.next() else { return Ok(None) };
        let key =
            key.to_str().ok().filter(|key| (16..=200).contains(&key.len()) && !key.contains([' ', ',']));
        match (key, keys.next()) {
            (Some(key), None) => Ok(Some(key)),
            _ => Err(Error::Invalid(
                "The Idempotency-Key takes 16 to 200 visible characters, once. A random UUID is a good one."
                    .into(),
            )),
        }
    }

    /// What a form on a page is called, so that it may be sent twice: the digest of all that it says, among it the number of
    /// the page that it was on (the field `:key`). The same form twice is one request, a changed one is another.
    ///
    /// # Errors
    /// As [`Call::bytes`].
    pub async fn form_key(&self) -> Result<Option<String>, Error> {
        if !self.route.for_browsers() {
            return Ok(None);
        }
        let bytes = self.bytes().await?;
        let mut fields = bytes.split(|byte| *byte == b'&');
        if !fields.any(|field| field.starts_with(b"%3Akey=") || field.starts_with(b":key=")) {
            return Ok(None);
        }
        let digest =
            Sha256::new().chain_update(&self.path).chain_update(b"\n").chain_update(&bytes).finalize();
        Ok(Some(Base64UrlUnpadded::encode_string(&digest)))
    }

    /// Whether a browser sends it by itself, and shows its user what comes of it.
    pub(crate) fn by_browser(&self) -> bool {
        self.route.for_browsers()
    }

    /// The origin of the page that calls, if it is not the company's own; then it is one that the company lists.
    pub(crate) fn origin(&self) -> Option<&str> {
        self.origin.as_ref().and_then(|origin| origin.to_str().ok())
    }

    /// Path and query, as they were asked for.
    pub(crate) fn asked(&self) -> String {
        match self.query.as_str() {
            "" => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }

    /// The route's method and the path that was asked for.
    pub(crate) fn target(&self) -> (&'static str, &str) {
        (self.route.method, &self.path)
    }

    /// From now on the body may have so many bytes.
    pub(crate) fn allow_body(&self, limit: usize) {
        self.body_limit.set(limit);
    }

    /// The whole body; it can be read again.
    ///
    /// # Errors
    /// [`Error::TooLarge`], or [`Error::Invalid`] when it breaks off.
    pub async fn bytes(&self) -> Result<Bytes, Error> {
        let body = self.body.take().unwrap_or(Body::empty());
        let limit = self.body_limit.get();
        let bytes = body.collect(limit).await.map_err(|error| match error {
            BodyError::TooLarge => Error::TooLarge(limit),
            BodyError::Broken | BodyError::Stalled => {
                Error::Invalid("The request's body broke off. Send it again.".into())
            }
        })?;
        self.body.set(Some(Body::Full(bytes.clone())));
        Ok(bytes)
    }

    /// The body: JSON, or on the dashboard's pages the fields of a form.
    ///
    /// # Errors
    /// [`Error::TooLarge`], or [`Error::Invalid`] with what is wrong with it.
    pub async fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(self.fields().await?).map_err(|error| self.not_taken(&error))
    }

    async fn fields(&self) -> Result<Field, Error> {
        let bytes = self.bytes().await?;
        if self.route.for_browsers() {
            return form::read(&bytes);
        }
        if bytes.is_empty() {
            return Err(Error::Invalid("The request has no body. Send a JSON object.".into()));
        }
        if std::str::from_utf8(&bytes).is_err() {
            return Err(Error::Invalid("The request's body is not UTF-8. Send JSON in UTF-8.".into()));
        }
        Field::json(&bytes).map_err(|error| {
            let what = if error.is_data() { "not what this address takes" } else { "not valid JSON" };
            Error::Invalid(format!("The request's body is {what}: {error}."))
        })
    }

    fn not_taken(&self, error: &FieldError) -> Error {
        Error::Invalid(if self.route.for_browsers() {
            format!("The form was not understood: {error}.")
        } else {
            format!("The request's body is not what this address takes: {error}.")
        })
    }

    /// Notes the company for the log.
    pub(crate) fn found(&self, company: CompanyId) {
        self.company.set(Some(company));
    }
}

/// A value of a query: `+` is a blank, `%` and two digits a byte; what is no UTF-8 becomes U+FFFD.
pub(crate) fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(['+', '%']) {
        let (before, from) = rest.split_at(at);
        bytes.extend_from_slice(before.as_bytes());
        let byte = from.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, length) = match byte {
            _ if from.starts_with('+') => (b' ', 1),
            Some(byte) => (byte, 3),
            None => (b'%', 1),
        };
        bytes.push(byte);
        rest = from.get(length..).unwrap_or("");
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        for (value, expected) in [
            ("a+b", "a b"),
            ("Caf%C3%A9", "Café"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%ff", "\u{fffd}"),
            ("", ""),
        ] {
            assert_eq!(decoded(value), expected);
        }
    }
}
