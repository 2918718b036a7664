//! Sessions: signing in and out, renewing tokens, and visitor tokens.
//!
//! A session is proven by an access token at the JSON API and by a cookie on the dashboard's pages; both are checked alike.
//! It never says whether an e-mail address is known here, and never keeps a password or a refresh token in the clear.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use base64ct::{Base64UrlUnpadded, Encoding};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::{ACCESS_TOKEN_S, SESSION_S, VISITOR_TOKEN_S, VISITORS_PER_HOUR};
use crate::error::Error;
use crate::ids::{SessionId, UserId, VisitorId};
use crate::params;
use crate::platform::{Body, Platform};
use crate::routes::{Call, json as answer, no_content};
use crate::tenant::auth::{self, Member};
use crate::tenant::{TenantScope, TenantSql};

/// `POST /v1/visitor`: a token for a new visitor of this company, for pages of the origin that asks; with a token that is
/// good there, a new one for the same visitor. One network address gets only so many new visitors an hour.
///
/// # Errors
/// [`Error::TooMany`] after that, [`Error::Unavailable`] when Redis does not answer and so nobody can count.
pub async fn visitor(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let known = auth::known_visitor(&call, &scope);
    if let (None, Some(address)) = (known, auth::address(&call, &scope)) {
        let now_s = scope.platform().now_ms() / 1_000;
        let key = scope.key_visitors_minted(&address, now_s / 3_600);
        let minted = scope.redis_eval(COUNT, &[key], &["3600".to_owned()]).await?;
        if minted.as_u64().is_none_or(|minted| minted > VISITORS_PER_HOUR) {
            return Err(Error::TooMany(3_600 - now_s % 3_600));
        }
    }
    let visitor = known.unwrap_or_else(|| VisitorId::new(scope.platform()));
    let token = scope.visitor_token(visitor, call.origin())?;
    answer(
        StatusCode::CREATED,
        &json!({ "token": token, "visitor_id": visitor, "expires_in": VISITOR_TOKEN_S }),
    )
}

/// `POST /v1/login`: an access token, and a refresh token for when it ends.
///
/// # Errors
/// [`Error::WrongLogin`] for e-mail or password, with the same work done for both; [`Error::TooMany`] after too many
/// tries.
pub async fn login(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let login = call.json::<Login>().await?;
    let (user, refresh) = begin(&scope, &login).await?;
    tokens(&scope, user, &refresh)
}

/// Signs a browser in: the session cookie's value. Its session has no refresh token that anybody knows, so it can be
/// neither renewed nor turned into one of the API's.
///
/// # Errors
/// As [`login`].
pub(crate) async fn page(scope: &TenantScope, login: &Login) -> Result<String, Error> {
    let (user, refresh) = begin(scope, login).await?;
    scope.page_token(user, refresh.session)
}

/// Checks e-mail address and password, and begins a session.
async fn begin(scope: &TenantScope, login: &Login) -> Result<(UserId, RefreshToken), Error> {
    let email = login.email.trim().to_lowercase();
    count_attempt(scope, &email).await?;
    let mut batch = scope.batch();
    let account = batch.add::<Account>(ACCOUNT_READ, params![&email]);
    let account = batch.send().await?.maybe(account)?;
    let hash = account.as_ref().map_or(NOBODYS_HASH, |account| account.password_hash.as_str());
    let right = password_verify(&login.password, hash);
    let account = account.filter(|_| right).ok_or(Error::WrongLogin)?;

    let session = SessionId::new(scope.platform());
    let refresh = RefreshToken::new(scope.platform(), session);
    let mut batch = scope.batch();
    batch.run(SESSION_BEGIN, params![session, account.user_id, &refresh.hash()[..], SESSION_S]);
    batch.send().await?;
    Ok((account.user_id, refresh))
}

/// `POST /v1/token/refresh`: new tokens for a refresh token, once. One that comes back after that was stolen, by
/// whoever came first or second: the session ends for both (RFC 9700, section 4.14.2).
///
/// # Errors
/// [`Error::Unauthorized`].
pub async fn refresh(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Refresh>().await?;
    let old = RefreshToken::parse(&given.refresh_token).ok_or(Error::Unauthorized)?;
    let new = RefreshToken::new(scope.platform(), old.session);
    let mut batch = scope.batch();
    batch.run(SESSION_END_STOLEN, params![old.session, &old.hash()[..]]);
    let renewed = batch.add::<Renewed>(SESSION_RENEW, params![old.session, &old.hash()[..], &new.hash()[..]]);
    let renewed = batch.send().await?.maybe(renewed)?.ok_or(Error::Unauthorized)?;
    tokens(&scope, renewed.user_id, &new)
}

/// `POST /v1/logout`: ends this session.
///
/// # Errors
/// As every batch.
pub async fn logout(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    batch.run(SESSION_END, params![member.session]);
    batch.send().await?;
    Ok(no_content())
}

/// Argon2id with 19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet), as a PHC string.
///
/// # Errors
/// [`Error::Invalid`] for a password that is too short or too long.
pub(crate) fn password_hash(platform: &dyn Platform, password: &str) -> Result<String, Error> {
    if !(10..=200).contains(&password.chars().count()) {
        return Err(Error::Invalid(
            "The password takes 10 to 200 characters. A few words make a good one.".into(),
        ));
    }
    let mut salt = [0; 16];
    platform.fill_random(&mut salt);
    let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| Error::Internal(format!("password hash: {error}")))
}

fn password_verify(password: &str, hash: &str) -> bool {
    argon2().is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), hash).is_ok())
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params =
        Params::new(19 * 1024, 2, 1, None).map_err(|error| Error::Internal(format!("argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A hash that no password has: verified when the address is unknown, so that both cases take the same work.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3NzYWx0MTY$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Counts a try to sign in; more than ten in a quarter of an hour have to wait.
async fn count_attempt(scope: &TenantScope, email: &str) -> Result<(), Error> {
    let hash = Base64UrlUnpadded::encode_string(&Sha256::digest(email.as_bytes()));
    let tries = scope.redis_eval(COUNT, &[scope.key_login_attempts(&hash)], &["900".to_owned()]).await?;
    if tries.as_u64().is_none_or(|tries| tries > 10) { Err(Error::TooMany(900)) } else { Ok(()) }
}

const COUNT: &str = "
local tries = redis.call('INCR', KEYS[1])
if tries == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return tries
";

fn tokens(scope: &TenantScope, user: UserId, refresh: &RefreshToken) -> Result<Response<Body>, Error> {
    let access = scope.access_token(user, refresh.session)?;
    answer(
        StatusCode::OK,
        &json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": ACCESS_TOKEN_S,
            "refresh_token": refresh.text(),
        }),
    )
}

/// A refresh token: the session and 32 random bytes. The database has only its hash.
struct RefreshToken {
    session: SessionId,
    secret: String,
}

impl RefreshToken {
    fn new(platform: &dyn Platform, session: SessionId) -> Self {
        let mut secret = [0; 32];
        platform.fill_random(&mut secret);
        Self { session, secret: Base64UrlUnpadded::encode_string(&secret) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (session, secret) = text.split_once('.')?;
        (secret.len() == 43).then_some(())?;
        Some(Self { session: session.parse().ok()?, secret: secret.to_owned() })
    }

    fn text(&self) -> String {
        format!("{}.{}", self.session, self.secret)
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.text().as_bytes()).into()
    }
}

/// What somebody signs in with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    pub(crate) email: String,
    pub(crate) password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: String,
}

#[derive(Deserialize)]
struct Account {
    user_id: UserId,
    password_hash: String,
}

#[derive(Deserialize)]
struct Renewed {
    user_id: UserId,
}

const ACCOUNT_READ: TenantSql = crate::sql!(
    "select u.user_id, u.password_hash
     from users u
     join memberships m on m.company_id = u.company_id and m.user_id = u.user_id and m.ended_at is null
     where u.company_id = $1 and u.email = $2"
);

const SESSION_BEGIN: TenantSql = crate::sql!(
    "insert into sessions (company_id, session_id, user_id, refresh_hash, expires_at)
     values ($1, $2, $3, $4, now() + make_interval(secs => $5))"
);

/// A token that was renewed already has come back: ends its session.
const SESSION_END_STOLEN: TenantSql = crate::sql!(
    "update sessions set revoked_at = now()
     where company_id = $1 and session_id = $2 and previous_hash = $3 and revoked_at is null"
);

const SESSION_RENEW: TenantSql = crate::sql!(
    "update sessions s
     set previous_hash = s.refresh_hash, refresh_hash = $4, refreshed_at = now()
     from memberships m
     where s.company_id = $1 and s.session_id = $2 and s.refresh_hash = $3
       and s.revoked_at is null and s.expires_at > now()
       and m.company_id = s.company_id and m.user_id = s.user_id and m.ended_at is null
     returning s.user_id"
);

const SESSION_END: TenantSql = crate::sql!(
    "update sessions set revoked_at = now() where company_id = $1 and session_id = $2 and revoked_at is null"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_hash_is_verified_with_the_same_work_and_never_right() {
        let parsed = argon2::PasswordHash::new(NOBODYS_HASH).unwrap();
        assert_eq!(parsed.params.to_string(), "m=19456,t=2,p=1");
        assert!(!password_verify("", NOBODYS_HASH));
        assert!(!password_verify("password", NOBODYS_HASH));
    }
}
