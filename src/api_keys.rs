//! Keys with which a company's own programs call: made, shown once, revoked.
//!
//! It never keeps a key in the clear: the database has its hash, and whoever lost a key makes another.

use base64ct::{Base64UrlUnpadded, Encoding};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::company::AUDIT_ADD;
use crate::error::Error;
use crate::idempotency::once;
use crate::ids::{ApiKeyId, AuditId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::{Body, Platform};
use crate::routes::{Call, json as answer, no_content};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// Most keys that a company may have at a time, revoked and ended ones aside.
const KEYS: u32 = 50;
/// Longest that a key may be good for, days.
const LONGEST_DAYS: u32 = 3_650;

/// `GET /v1/api-keys`, newest first, revoked ones as well.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let keys = batch.add::<Shown>(API_KEY_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "api_keys": rows.all(keys)? }))
}

/// `POST /v1/api-keys`: makes a key. This answer shows it, and no other ever does.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when there are too many.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewKey>().await?;
    check_texts(&[("name", Some(&new.name), 120)])?;
    if new.scopes.is_empty() {
        return Err(Error::Invalid(
            "A key without scopes may do nothing. Name at least one of: chat, models.".into(),
        ));
    }
    if new.expires_in_days.is_some_and(|days| !(1..=LONGEST_DAYS).contains(&days)) {
        return Err(Error::Invalid(format!(
            "expires_in_days takes 1 to {LONGEST_DAYS}. Leave it out for a key that does not end by itself."
        )));
    }
    let platform = member.scope.platform();
    let id = ApiKeyId::new(platform);
    let key = make(platform, id);
    let scopes: Vec<String> = new.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let mut batch = member.scope.batch_once();
    let fields =
        params![id, new.name, &KeyHash::of(&key).0[..], last_four(&key), scopes, new.expires_in_days, KEYS];
    let added = batch.run(API_KEY_ADD, fields);
    batch.run(AUDIT_ADD, params![AuditId::new(platform), member.user, "api_key.added", id.to_string()]);
    let shown = batch.add::<Shown>(API_KEY_READ, params![id]);
    let mut rows = batch.send().await?;
    if rows.count(added)? == 0 {
        return Err(Error::Conflict(format!(
            "This company has {KEYS} keys already. Revoke one that is not used any more."
        )));
    }
    answer(StatusCode::CREATED, &Made { key: &key, shown: rows.one(shown)? })
}

/// `DELETE /v1/api-keys/{id}`: revokes a key, for good and from the next request on. Its row stays, to be seen.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn revoke(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ApiKeyId>()?;
    let mut batch = member.scope.batch();
    let revoked = batch.run(API_KEY_REVOKE, params![id]);
    let event = AuditId::new(member.scope.platform());
    batch.run(AUDIT_ADD, params![event, member.user, "api_key.revoked", id.to_string()]);
    let mut rows = batch.send().await?;
    rows.touched(revoked)?;
    Ok(no_content())
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyScope {
    /// Ask agents.
    Chat,
    /// See which agents there are.
    Models,
}

impl KeyScope {
    /// As the database spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Models => "models",
        }
    }
}

/// What every key begins with, so that people and scanners recognise one.
const PREFIX: &str = "bk_";
/// Random bytes of a key.
const SECRET: usize = 32;
/// Bytes that tell a typing mistake apart from a wrong key, without asking the database.
const CHECK: usize = 3;
/// Bytes of a key: its id, its secret, its check. A multiple of three, so that base64url spells each in one way.
const LENGTH: usize = 16 + SECRET + CHECK;

/// SHA-256 of a key. It needs no salt and no slow hash: 32 random bytes cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHash(pub(crate) [u8; 32]);

impl KeyHash {
    fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash")
    }
}

/// A new key.
fn make(platform: &dyn Platform, id: ApiKeyId) -> Zeroizing<String> {
    let mut secret = Zeroizing::new([0; SECRET]);
    platform.fill_random(secret.as_mut());
    let body = Zeroizing::new([&id.to_bytes()[..], &secret[..]].concat());
    let whole = Zeroizing::new([&body[..], &check(&body)].concat());
    Zeroizing::new(format!("{PREFIX}{}", *Zeroizing::new(Base64UrlUnpadded::encode_string(&whole))))
}

/// The id and the hash of what may be a key; `None` for what is none, a mistyped one included.
pub(crate) fn parse(key: &str) -> Option<(ApiKeyId, KeyHash)> {
    let mut whole = Zeroizing::new([0; LENGTH]);
    let decoded = Base64UrlUnpadded::decode(key.strip_prefix(PREFIX)?, whole.as_mut()).ok()?.len();
    let (body, given) = whole.split_at_checked(LENGTH - CHECK)?;
    (decoded == LENGTH && check(body) == given).then_some(())?;
    let id = body.first_chunk::<16>()?;
    Some((ApiKeyId::from_bytes(*id), KeyHash::of(key)))
}

fn check(body: &[u8]) -> [u8; CHECK] {
    let digest: [u8; 32] = Sha256::digest(body).into();
    digest.first_chunk().copied().unwrap_or_default()
}

fn last_four(key: &str) -> &str {
    key.get(key.len().saturating_sub(4)..).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    scopes: Vec<KeyScope>,
    expires_in_days: Option<u32>,
}

/// A key as it can be read back.
#[derive(Serialize, Deserialize)]
struct Shown {
    api_key_id: ApiKeyId,
    name: String,
    scopes: Vec<String>,
    last_four: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
}

/// A key as it is shown once.
#[derive(Serialize)]
struct Made<'a> {
    key: &'a str,
    #[serde(flatten)]
    shown: Shown,
}

const API_KEY_LIST: TenantSql = crate::sql!(
    "select api_key_id, name, to_jsonb(scopes) as scopes, last_four, created_at, expires_at, last_used_at, revoked_at
     from api_keys
     where company_id = $1
     order by api_key_id desc
     limit 500"
);

const API_KEY_READ: TenantSql = crate::sql!(
    "select api_key_id, name, to_jsonb(scopes) as scopes, last_four, created_at, expires_at, last_used_at, revoked_at
     from api_keys
     where company_id = $1 and api_key_id = $2"
);

/// Several at once may each find room for one: the limit keeps a list readable, it guards nothing.
const API_KEY_ADD: TenantSql = crate::sql!(
    "insert into api_keys (company_id, api_key_id, name, key_hash, last_four, scopes, expires_at)
     select $1, $2, $3, $4, $5, $6, now() + make_interval(days => $7)
     from companies c
     where c.company_id = $1
       and $8 > (select count(*) from api_keys k
                 where k.company_id = c.company_id and k.revoked_at is null
                   and (k.expires_at is null or k.expires_at > now()))"
);

const API_KEY_REVOKE: TenantSql = crate::sql!(
    "update api_keys set revoked_at = coalesce(revoked_at, now()) where company_id = $1 and api_key_id = $2"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> (ApiKeyId, String) {
        let id = ApiKeyId::from_bytes([n; 16]);
        let body = [&[n; 16][..], &[n.wrapping_mul(31); SECRET]].concat();
        let whole = [&body[..], &check(&body)].concat();
        (id, format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(&whole)))
    }

    #[test]
    fn a_key_says_its_id_and_nothing_else_passes_for_one() {
        let (id, good) = key(7);
        assert_eq!(good.len(), 3 + 68);
        let (parsed, hash) = parse(&good).unwrap();
        assert_eq!((parsed, hash), (id, KeyHash::of(&good)));
        assert_ne!(hash, parse(&key(8).1).unwrap().1);
        for bad in [
            "",
            "bk_",
            good.strip_prefix("bk_").unwrap(),
            good.split_at(70).0,
            &format!("{good}A"),
            &format!(" {good}"),
            &format!("{good}="),
            &good.replace("bk_", "BK_"),
            &good.replace("bk_", "sk-"),
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn every_mistyped_character_is_noticed() {
        let (_, good) = key(200);
        for at in 0..good.len() {
            for other in ["A", "b", "0", "-", "_", "é"] {
                if good.get(at..=at) == Some(other) {
                    continue;
                }
                let typed = format!("{}{other}{}", good.split_at(at).0, good.split_at(at + 1).1);
                assert!(parse(&typed).is_none(), "{typed}");
            }
        }
    }
}
