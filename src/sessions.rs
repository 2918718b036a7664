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

use crate::config::{ACCESS_TOKEN_S, CODE_S, SESSION_S, VISITOR_TOKEN_S, VISITORS_PER_HOUR};
use crate::error::Error;
use crate::fields::Bytes;
use crate::ids::{SessionId, UserId, VisitorId};
use crate::links::{self, CODE_USE, ENTER_USE, Purpose, Token};
use crate::mail;
use crate::params;
use crate::platform::{Body, Platform};
use crate::routes::{Call, json as answer, no_content};
use crate::support;
use crate::tenant::auth::{self, Member};
use crate::tenant::redis::TenantKey;
use crate::tenant::{TenantScope, TenantSql};
use crate::two_step;

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
        if count(&scope, key, 3_600).await? > VISITORS_PER_HOUR {
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

/// `POST /v1/login`: an access token, and a refresh token for when it ends. With two-step sign-in it takes a code as well.
///
/// # Errors
/// [`Error::WrongLogin`] for e-mail or password, with the same work done for both; [`Error::CodeWanted`] when both are right and
/// a code is missing, [`Error::WrongCode`] for the code; [`Error::TooMany`] after too many tries.
pub async fn login(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let login = call.json::<Login>().await?;
    let account = known(&scope, &login).await?;
    let code = login.code.as_deref().filter(|code| !code.trim().is_empty());
    let second = match (&account.second, code) {
        (None, _) => None,
        (Some(_), None) => return Err(Error::CodeWanted),
        (Some(second), Some(code)) => Some((second, code, None)),
    };
    let refresh = begin(&scope, account.user_id, second).await?;
    tokens(&scope, account.user_id, &refresh)
}

/// What a browser gets after a right password.
pub(crate) enum Step {
    /// The session cookie's value. Its session has no refresh token that anybody knows, so it can be neither renewed nor turned
    /// into one of the API's.
    In(String),
    /// A token for the page that asks for the code, good once and for a few minutes.
    Code(Token),
}

/// Signs a browser in, or begins to.
///
/// # Errors
/// [`Error::WrongLogin`], [`Error::TooMany`].
pub(crate) async fn page(scope: &TenantScope, login: &Login) -> Result<Step, Error> {
    let account = known(scope, login).await?;
    if account.second.is_none() {
        let refresh = begin(scope, account.user_id, None).await?;
        return scope.page_token(account.user_id, refresh.session).map(Step::In);
    }
    let token = Token::new(scope.platform());
    let mut batch = scope.batch();
    links::make(scope, &mut batch, Purpose::Code, (account.user_id, None), (&token, CODE_S));
    batch.send().await?;
    Ok(Step::Code(token))
}

/// The second step in a browser: the session cookie's value.
///
/// # Errors
/// [`Error::LinkEnded`] when the password is too long ago, [`Error::WrongCode`], [`Error::TooMany`].
pub(crate) async fn page_code(scope: &TenantScope, token: &str, code: &str) -> Result<String, Error> {
    let token = Token::parse(token).ok_or(Error::LinkEnded)?;
    let mut batch = scope.batch();
    let person = batch.add::<Second>(SECOND_READ, params![&token.hash()[..]]);
    let person = batch.send().await?.maybe(person)?.ok_or(Error::LinkEnded)?;
    let refresh = begin(scope, person.user_id, Some((&person, code, Some(&token)))).await?;
    scope.page_token(person.user_id, refresh.session)
}

/// Signs in a browser that comes from the sign-up: the session cookie's value.
///
/// # Errors
/// [`Error::LinkEnded`].
pub(crate) async fn page_enter(scope: &TenantScope, token: &str) -> Result<String, Error> {
    let token = Token::parse(token).ok_or(Error::LinkEnded)?;
    let session = SessionId::new(scope.platform());
    let refresh = RefreshToken::new(scope.platform(), session);
    let mut batch = scope.batch();
    let fields = params![&token.hash()[..], session, &refresh.hash()[..], SESSION_S];
    let entered = batch.add::<Renewed>(ENTER_USE, fields);
    let person = batch.send().await?.maybe(entered)?.ok_or(Error::LinkEnded)?;
    scope.page_token(person.user_id, session)
}

/// Whose e-mail address and password these are.
async fn known(scope: &TenantScope, login: &Login) -> Result<Account, Error> {
    let email = login.email.trim().to_lowercase();
    count_attempt(scope, &email).await?;
    let mut batch = scope.batch();
    let account = batch.add::<Account>(ACCOUNT_READ, params![&email]);
    let account = batch.send().await?.maybe(account)?;
    let hash = account.as_ref().map_or(NOBODYS_HASH, |account| account.password_hash.as_str());
    let right = password_verify(&login.password, hash);
    let mut account = account.filter(|_| right).ok_or(Error::WrongLogin)?;
    account.second = account.sealed_totp_secret.take().map(|sealed| Second {
        user_id: account.user_id,
        sealed_totp_secret: sealed,
        totp_last_step: account.totp_last_step,
    });
    Ok(account)
}

/// That it is this signed-in person's password, for what a session alone must not do; gives their e-mail address.
///
/// # Errors
/// [`Error::WrongPassword`], [`Error::TooMany`] after too many tries.
pub(crate) async fn password_check(
    scope: &TenantScope,
    user: UserId,
    password: &str,
) -> Result<String, Error> {
    let mut batch = scope.batch();
    let own = batch.add::<OwnPassword>(PASSWORD_READ, params![user]);
    let own = batch.send().await?.one(own)?;
    count_attempt(scope, &own.email).await?;
    if password_verify(password, &own.password_hash) { Ok(own.email) } else { Err(Error::WrongPassword) }
}

/// Begins a session; with a second step only if its code is taken in the same transaction, and the link of the page that
/// asked for it.
async fn begin(
    scope: &TenantScope,
    user: UserId,
    second: Option<(&Second, &str, Option<&Token>)>,
) -> Result<RefreshToken, Error> {
    let session = SessionId::new(scope.platform());
    let refresh = RefreshToken::new(scope.platform(), session);
    let mut batch = scope.batch();
    if let Some((second, code, link)) = second {
        let secret = (&second.sealed_totp_secret.0[..], second.totp_last_step);
        two_step::guard(scope, &mut batch, user, secret, code).await?;
        if let Some(link) = link {
            batch.run(CODE_USE, params![&link.hash()[..], user]);
        }
    }
    batch.run(SESSION_BEGIN, params![session, user, &refresh.hash()[..], SESSION_S]);
    batch.send().await?;
    Ok(refresh)
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
    if let Some(access) = member.scope.support() {
        support::leave(&member, access).await?;
        return Ok(no_content());
    }
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
    let tries = count(scope, scope.key_login_attempts(&mail::address_hash(email)), 900).await?;
    if tries > 10 { Err(Error::TooMany(900)) } else { Ok(()) }
}

/// Counts once more under a key that is forgotten so many seconds after it began; how often that makes.
///
/// # Errors
/// [`Error::Unavailable`] when Redis does not answer: what nobody can count is not done.
pub(crate) async fn count(scope: &TenantScope, key: TenantKey, seconds: u32) -> Result<u64, Error> {
    let counted = scope.redis_eval(COUNT, &[key], &[seconds.to_string()]).await?;
    counted.as_u64().ok_or_else(|| Error::Unavailable("redis", "a counter is no number".into()))
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
    /// Of the second step, where there is one.
    pub(crate) code: Option<String>,
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
    /// Null without a second step.
    sealed_totp_secret: Option<Bytes>,
    totp_last_step: u64,
    #[serde(skip)]
    second: Option<Second>,
}

/// What a code is checked by.
#[derive(Deserialize)]
struct Second {
    user_id: UserId,
    sealed_totp_secret: Bytes,
    totp_last_step: u64,
}

#[derive(Deserialize)]
struct OwnPassword {
    email: String,
    password_hash: String,
}

#[derive(Deserialize)]
struct Renewed {
    user_id: UserId,
}

const ACCOUNT_READ: TenantSql = crate::sql!(
    "select u.user_id, u.password_hash,
            case when u.totp_enabled_at is not null then u.sealed_totp_secret end as sealed_totp_secret, u.totp_last_step
     from users u
     join memberships m on m.company_id = u.company_id and m.user_id = u.user_id and m.ended_at is null
     where u.company_id = $1 and u.email = $2"
);

/// Who is behind the page that asks for the code.
const SECOND_READ: TenantSql = crate::sql!(
    "select u.user_id, u.sealed_totp_secret, u.totp_last_step
     from account_links l
     join users u on u.company_id = l.company_id and u.user_id = l.user_id and u.totp_enabled_at is not null
     join memberships m on m.company_id = u.company_id and m.user_id = u.user_id and m.ended_at is null
     where l.company_id = $1 and l.token_hash = $2 and l.purpose = 'code' and l.used_at is null and l.expires_at > now()"
);

const PASSWORD_READ: TenantSql =
    crate::sql!("select email, password_hash from users where company_id = $1 and user_id = $2");

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
