//! Requests that may come twice: one `Idempotency-Key`, one creation, one answer (draft-ietf-httpapi-idempotency-key-header).
//!
//! It never keeps an answer in the clear, and never tells one sender of another's keys.
//!
//! The key's row is written in the very transaction that does the work, so that a request is never carried out twice: the
//! second one rolls back. The answer follows in a batch of its own. If that one is lost, a repeated request is told so.

use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::config::IDEMPOTENCY_S;
use crate::error::Error;
use crate::fields::Bytes;
use crate::ids::{ApiKeyId, UserId, VisitorId};
use crate::params;
use crate::platform::{Body, Level};
use crate::routes::{Call, content, no_content};
use crate::tenant::postgres::Batch;
use crate::tenant::{TenantScope, TenantSql};

/// Does the work, or answers as when it was done before: `once(&scope, user, &call, work(…)).await` is all that a handler
/// needs, if `work` sends what it does in a [`TenantScope::batch_once`]. Without an `Idempotency-Key` it only does the work; a form of the
/// dashboard has one in itself ([`Call::form_key`]).
///
/// An answer is kept for a day. A refusal (4xx) is not kept: nothing was done, and the same key may try again.
///
/// # Errors
/// [`Error::Conflict`] when the key came with another request before, or when that was carried out and its answer is not
/// there; else those of the work.
pub async fn once(
    scope: &TenantScope,
    sender: impl Into<Sender>,
    call: &Call,
    work: impl Future<Output = Result<Response<Body>, Error>>,
) -> Result<Response<Body>, Error> {
    let key = match call.idempotency_key()? {
        Some(key) => Some(key.to_owned()),
        None => call.form_key().await?,
    };
    let Some(key) = key else { return work.await };
    let sender = sender.into();
    let claim = Claim::new(sender, &key, call.target(), &call.bytes().await?);
    scope.claim().set(Some(claim));
    let done = work.await;
    let sent = scope.claim().take().is_none();
    match done {
        Ok(response) if sent && response.status().is_success() => Ok(keep(scope, &claim, response).await),
        Ok(response) if sent => {
            forget(scope, &claim).await;
            Ok(response)
        }
        Ok(response) => {
            scope.log(Level::Error, "idempotency key not used", call.target().1);
            Ok(response)
        }
        Err(Error::Repeated) => replay(scope, sender, call, &claim).await,
        Err(error) => {
            // Whoever is not let in could not give a key back either, and the database has rolled it back already.
            let let_in = !matches!(error, Error::Unauthorized | Error::Forbidden);
            if sent && let_in && error.facts().status.is_client_error() {
                forget(scope, &claim).await;
            }
            Err(error)
        }
    }
}

/// Who sends a request: the same key of two senders is two keys.
#[derive(Clone, Copy, Debug)]
pub enum Sender {
    /// A signed-in person.
    Member(UserId),
    /// An end customer.
    Visitor(VisitorId),
    /// A program of the company's.
    Program(ApiKeyId),
}

/// A request's key, as the database knows it: nobody can tell from it what was asked.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    /// Of sender and key.
    key_hash: [u8; 32],
    /// Of the key, and of all that the request says.
    digest: [u8; 32],
}

impl TenantScope {
    /// A batch that does the request's work: if the request has an idempotency key, the batch takes it or rolls back.
    #[must_use]
    pub fn batch_once(&self) -> Batch<'_> {
        let mut batch = self.batch();
        if let Some(claim) = self.claim().take() {
            let fields = params![&claim.key_hash[..], &claim.digest[..], self.request_id(), IDEMPOTENCY_S];
            batch.run(KEY_TAKE, fields);
        }
        batch
    }
}

impl Claim {
    fn new(sender: Sender, key: &str, (method, path): (&str, &str), body: &[u8]) -> Self {
        let (kind, id) = match sender {
            Sender::Member(user) => ("member", user.to_string()),
            Sender::Visitor(visitor) => ("visitor", visitor.to_string()),
            Sender::Program(key) => ("program", key.to_string()),
        };
        // No part but the last can have a line's end in it, so that no two lists of parts are the same text.
        let hash = |parts: &[&[u8]]| -> [u8; 32] { Sha256::digest(parts.join(&b'\n')).into() };
        Self {
            key_hash: hash(&[b"bulkhead/idempotency/key", kind.as_bytes(), id.as_bytes(), key.as_bytes()]),
            // The key is in it so that a short body cannot be guessed from its digest.
            digest: hash(&[
                b"bulkhead/idempotency/request",
                key.as_bytes(),
                method.as_bytes(),
                path.as_bytes(),
                body,
            ]),
        }
    }
}

impl From<UserId> for Sender {
    fn from(user: UserId) -> Self {
        Self::Member(user)
    }
}

impl From<VisitorId> for Sender {
    fn from(visitor: VisitorId) -> Self {
        Self::Visitor(visitor)
    }
}

impl From<ApiKeyId> for Sender {
    fn from(key: ApiKeyId) -> Self {
        Self::Program(key)
    }
}

/// Keeps the answer for whoever asks again. The work is done, so that nothing that fails here may spoil it.
async fn keep(scope: &TenantScope, claim: &Claim, response: Response<Body>) -> Response<Body> {
    let (status, body) = (response.status(), response.body());
    let kept = match body {
        Body::Full(bytes) => keep_body(scope, claim, status, bytes).await,
        Body::Stream(_) => Err(Error::Internal("a stream cannot be kept".into())),
    };
    if let Err(error) = kept {
        scope.log(Level::Warn, "answer not kept for a repeated request", &format!("{error:?}"));
    }
    response
}

async fn keep_body(scope: &TenantScope, claim: &Claim, status: StatusCode, body: &[u8]) -> Result<(), Error> {
    let sealed = scope.answer_seal(&claim.key_hash, body)?;
    let mut batch = scope.batch();
    let fields = params![&claim.key_hash[..], scope.request_id(), u32::from(status.as_u16()), &sealed[..]];
    let kept = batch.run(KEY_ANSWER, fields);
    batch.send().await?.touched(kept)
}

/// The answer that was given before.
async fn replay(
    scope: &TenantScope,
    sender: Sender,
    call: &Call,
    claim: &Claim,
) -> Result<Response<Body>, Error> {
    let mut batch = scope.batch();
    let before = batch.add::<Before>(KEY_READ, params![&claim.key_hash[..], &claim.digest[..]]);
    let Some(before) = batch.send().await?.maybe(before)? else {
        return Err(Error::Conflict(
            "A request with this Idempotency-Key was just refused. Send this one again.".into(),
        ));
    };
    if !before.same {
        return Err(Error::Conflict(
            "This Idempotency-Key came with another request before. Take a new key for a new request.".into(),
        ));
    }
    let status = before.status.and_then(|status| StatusCode::from_u16(status).ok());
    let body = before.sealed_answer.and_then(|sealed| scope.answer_open(&claim.key_hash, &sealed.0));
    let (Some(status), Some(body)) = (status, body) else {
        // Two presses of one button: what the first one did is done, and the next page shows it.
        return if call.by_browser() { Ok(no_content()) } else { Err(lost(sender, call)) };
    };
    let mut response = content(status, "application/json", body.to_vec());
    let replayed = HeaderName::from_static("idempotency-replayed");
    response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
    Ok(response)
}

fn lost(sender: Sender, call: &Call) -> Error {
    let look = match sender {
        Sender::Visitor(_) => "it has arrived, and there is nothing more to do".to_owned(),
        Sender::Member(_) | Sender::Program(_) => {
            format!("look at GET {} for what it made before you take a new key", call.target().1)
        }
    };
    Error::Conflict(format!(
        "The request with this Idempotency-Key was carried out, but its answer is still on its way or was lost. Send it \
         again in a few seconds; if this comes again, {look}."
    ))
}

/// Gives the key back after a refusal: nothing was done. For some refusals the database has rolled it back already.
async fn forget(scope: &TenantScope, claim: &Claim) {
    let mut batch = scope.batch();
    batch.run(KEY_FORGET, params![&claim.key_hash[..], scope.request_id()]);
    if let Err(error) = batch.send().await {
        scope.log(Level::Warn, "idempotency key not given back", &format!("{error:?}"));
    }
}

/// What is known of a key.
#[derive(Deserialize)]
struct Before {
    /// Whether it came with this very request.
    same: bool,
    status: Option<u16>,
    sealed_answer: Option<Bytes>,
}

/// Takes a key for this request, or rolls the batch back. Of two at once the second waits for the first's end.
const KEY_TAKE: TenantSql = crate::sql!(
    "with taken as (
         insert into idempotency_keys (company_id, key_hash, request_digest, request_id, expires_at)
         values ($1, $2, $3, $4, now() + make_interval(secs => $5))
         on conflict (company_id, key_hash) do update
         set request_digest = excluded.request_digest, request_id = excluded.request_id, status = null,
             sealed_answer = null, created_at = now(), expires_at = excluded.expires_at
         where idempotency_keys.company_id = $1 and idempotency_keys.expires_at <= now()
         returning 'taken' as done)
     select coalesce((select done from taken), refuse('BH208'))"
);

const KEY_ANSWER: TenantSql = crate::sql!(
    "update idempotency_keys set status = $4, sealed_answer = $5
     where company_id = $1 and key_hash = $2 and request_id = $3"
);

const KEY_READ: TenantSql = crate::sql!(
    "select request_digest = $3 as same, status, sealed_answer
     from idempotency_keys
     where company_id = $1 and key_hash = $2"
);

const KEY_FORGET: TenantSql = crate::sql!(
    "delete from idempotency_keys where company_id = $1 and key_hash = $2 and request_id = $3 and status is null"
);

/// Removes what is past its day; to be run now and then, nothing depends on when.
pub const EXPIRED_REMOVE: TenantSql =
    crate::sql!("delete from idempotency_keys where company_id = $1 and expires_at <= now()");

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
    const B: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

    #[test]
    fn each_part_of_a_request_counts() {
        let member = |id: &str| Sender::Member(id.parse().unwrap());
        let of = |sender: Sender, key: &str, path: &str, body: &[u8]| {
            let claim = Claim::new(sender, key, ("POST", path), body);
            (claim.key_hash, claim.digest)
        };
        let first = of(member(A), "a-key-of-16-letters", "/v1/agents", b"{}");
        assert_eq!(first, of(member(A), "a-key-of-16-letters", "/v1/agents", b"{}"));
        for (what, other) in [
            ("another person", of(member(B), "a-key-of-16-letters", "/v1/agents", b"{}")),
            (
                "a visitor",
                of(Sender::Visitor(A.parse().unwrap()), "a-key-of-16-letters", "/v1/agents", b"{}"),
            ),
            (
                "a program",
                of(Sender::Program(A.parse().unwrap()), "a-key-of-16-letters", "/v1/agents", b"{}"),
            ),
            ("another key", of(member(A), "a-key-of-17-letters", "/v1/agents", b"{}")),
        ] {
            assert_ne!(first.0, other.0, "{what}");
        }
        for (what, other) in [
            ("another path", of(member(A), "a-key-of-16-letters", "/v1/knowledge", b"{}")),
            ("another body", of(member(A), "a-key-of-16-letters", "/v1/agents", b"{ }")),
            ("a body in the path", of(member(A), "a-key-of-16-letters", "/v1/agents\n{}", b"")),
        ] {
            assert_eq!(first.0, other.0, "{what}: the key is the same");
            assert_ne!(first.1, other.1, "{what}");
        }
    }
}
