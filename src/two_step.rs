//! Two-step sign-in: after the password a code of the person's app, or one of their recovery codes.
//!
//! It never shows a secret or a recovery code a second time, and never takes a code twice.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::config::CODES_PER_HOUR;
use crate::error::Error;
use crate::fields::Bytes;
use crate::ids::UserId;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer, no_content};
use crate::sessions::{count, password_check};
use crate::tenant::auth::Member;
use crate::tenant::postgres::Batch;
use crate::tenant::rows::hex;
use crate::tenant::{TenantScope, TenantSql};
use crate::totp;
use crate::upkeep::note;

/// `POST /v1/account/totp`: a new secret for one's app. Signing in takes codes of it once it is confirmed.
///
/// # Errors
/// [`Error::WrongPassword`], [`Error::Conflict`] when codes are taken already.
pub async fn begin(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Password>().await?;
    let scope = &member.scope;
    let email = password_check(scope, member.user, &given.password).await?;
    let mut secret = Zeroizing::new([0; totp::SECRET_BYTES]);
    scope.platform().fill_random(&mut secret[..]);
    let sealed = scope.totp_seal(member.user, &secret[..])?;
    let mut batch = scope.batch();
    let set = batch.run(SECRET_SET, params![member.user, &sealed[..]]);
    batch.send().await?.touched(set).map_err(|_| {
        Error::Conflict("Two-step sign-in is on already. Turn it off first, to set up another app.".into())
    })?;
    let secret = totp::base32(&secret[..]);
    let encoded = crate::dashboard::door::encoded;
    // So short that a QR code of it is still read easily.
    let company: String = scope.company_name().chars().take(40).collect();
    let name = encoded(&format!("{company}:{email}"));
    let uri = format!("otpauth://totp/{name}?secret={secret}&issuer={}", encoded(&company));
    answer(StatusCode::CREATED, &json!({ "secret": secret, "uri": uri }))
}

/// `POST /v1/account/totp/confirm`: a first code turns it on. This answer shows the recovery codes, and no other ever does.
///
/// # Errors
/// [`Error::WrongCode`], [`Error::Conflict`] when nothing was begun, [`Error::TooMany`].
pub async fn confirm(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Code>().await?;
    let scope = &member.scope;
    let person = person(scope, member.user).await?;
    let sealed = person.sealed_totp_secret.filter(|_| !person.two_step).ok_or_else(|| {
        Error::Conflict("There is nothing to confirm: begin with a new secret, or it is on already.".into())
    })?;
    count_try(scope, member.user).await?;
    let step = step(scope, member.user, &sealed.0, person.totp_last_step, &given.code)?;
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code(scope)).collect();
    let hashes: Vec<String> = codes.iter().map(|code| hex(&recovery_hash(code))).collect();
    let mut batch = scope.batch();
    batch.run(TURN_ON, params![member.user, step, &sealed.0[..]]);
    batch.run(RECOVERY_REMOVE, params![member.user]);
    batch.run(RECOVERY_ADD, params![member.user, hashes]);
    note(&member, &mut batch, "two_step.on", &"");
    batch.send().await?;
    answer(StatusCode::OK, &json!({ "recovery_codes": codes }))
}

/// `POST /v1/account/totp/end`: turns it off.
///
/// # Errors
/// [`Error::WrongPassword`], [`Error::WrongCode`], [`Error::Conflict`] when it is off, [`Error::TooMany`].
pub async fn end(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Both>().await?;
    let scope = &member.scope;
    password_check(scope, member.user, &given.password).await?;
    let person = person(scope, member.user).await?;
    let sealed = person
        .sealed_totp_secret
        .filter(|_| person.two_step)
        .ok_or_else(|| Error::Conflict("Two-step sign-in is off already.".into()))?;
    let mut batch = scope.batch();
    guard(scope, &mut batch, member.user, (&sealed.0, person.totp_last_step), &given.code).await?;
    batch.run(TURN_OFF, params![member.user]);
    batch.run(RECOVERY_REMOVE, params![member.user]);
    note(&member, &mut batch, "two_step.off", &"");
    batch.send().await?;
    Ok(no_content())
}

/// Has the batch roll back (SQLSTATE BH402) unless it is the one that takes this code. Each try is counted.
///
/// # Errors
/// [`Error::WrongCode`], [`Error::TooMany`] after too many tries.
pub(crate) async fn guard(
    scope: &TenantScope,
    batch: &mut Batch<'_>,
    user: UserId,
    (sealed, last): (&[u8], u64),
    code: &str,
) -> Result<(), Error> {
    count_try(scope, user).await?;
    let code: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if code.len() == RECOVERY_LETTERS {
        batch.run(RECOVERY_USE, params![user, &recovery_hash(&code)[..]]);
    } else {
        batch.run(STEP_USE, params![user, step(scope, user, sealed, last, &code)?]);
    }
    Ok(())
}

/// The step whose code this is.
fn step(scope: &TenantScope, user: UserId, sealed: &[u8], last: u64, code: &str) -> Result<u64, Error> {
    let secret = scope
        .totp_open(user, sealed)
        .ok_or_else(|| Error::Internal("vault: the secret of a person's codes does not open".into()))?;
    totp::matching(&secret, scope.platform().now_ms(), last, code.trim()).ok_or(Error::WrongCode)
}

async fn count_try(scope: &TenantScope, user: UserId) -> Result<(), Error> {
    let now_s = scope.platform().now_ms() / 1_000;
    let tried = count(scope, scope.key_codes_tried(user, now_s / 3_600), 3_600).await?;
    if tried > CODES_PER_HOUR { Err(Error::TooMany(3_600 - now_s % 3_600)) } else { Ok(()) }
}

async fn person(scope: &TenantScope, user: UserId) -> Result<Person, Error> {
    let mut batch = scope.batch();
    let person = batch.add::<Person>(PERSON_READ, params![user]);
    batch.send().await?.one(person)
}

/// Recovery codes that somebody has.
const RECOVERY_CODES: usize = 8;
/// Letters of one: 80 random bits, five each.
const RECOVERY_LETTERS: usize = 16;

/// A recovery code: four groups of four letters and digits.
fn recovery_code(scope: &TenantScope) -> String {
    let mut random = Zeroizing::new([0; 10]);
    scope.platform().fill_random(&mut random[..]);
    let letters = totp::base32(&random[..]).to_lowercase();
    letters.char_indices().fold(String::new(), |mut code, (at, letter)| {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        code.push(letter);
        code
    })
}

/// Of the letters alone, in lower case.
fn recovery_hash(code: &str) -> [u8; 32] {
    let letters: String = code.chars().filter(|c| *c != '-').collect();
    Sha256::digest(letters.to_lowercase().as_bytes()).into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Both {
    password: String,
    code: String,
}

#[derive(Deserialize)]
struct Person {
    two_step: bool,
    sealed_totp_secret: Option<Bytes>,
    totp_last_step: u64,
}

const PERSON_READ: TenantSql = crate::sql!(
    "select totp_enabled_at is not null as two_step, sealed_totp_secret, totp_last_step
     from users
     where company_id = $1 and user_id = $2"
);

const SECRET_SET: TenantSql = crate::sql!(
    "update users set sealed_totp_secret = $3 where company_id = $1 and user_id = $2 and totp_enabled_at is null"
);

/// Guards the batch: the secret is still the one whose code was checked.
const TURN_ON: TenantSql = crate::sql!(
    "with person as (
         update users set totp_enabled_at = now(), totp_last_step = $3
         where company_id = $1 and user_id = $2 and totp_enabled_at is null and sealed_totp_secret = $4
           and totp_last_step < $3
         returning 'on' as done)
     select coalesce((select done from person), refuse('BH402'))"
);

const TURN_OFF: TenantSql = crate::sql!(
    "update users set totp_enabled_at = null, sealed_totp_secret = null where company_id = $1 and user_id = $2"
);

/// Guards the batch: of two that come with the same code at once, one takes it.
const STEP_USE: TenantSql = crate::sql!(
    "with person as (
         update users set totp_last_step = $3
         where company_id = $1 and user_id = $2 and totp_enabled_at is not null and totp_last_step < $3
         returning 'taken' as done)
     select coalesce((select done from person), refuse('BH402'))"
);

const RECOVERY_USE: TenantSql = crate::sql!(
    "with code as (
         update recovery_codes set used_at = now()
         where company_id = $1 and user_id = $2 and code_hash = $3 and used_at is null
         returning 'taken' as done)
     select coalesce((select done from code), refuse('BH402'))"
);

const RECOVERY_ADD: TenantSql = crate::sql!(
    "insert into recovery_codes (company_id, user_id, code_hash)
     select $1, $2, decode(h.hash, 'hex') from unnest($3::text[]) h (hash)"
);

const RECOVERY_REMOVE: TenantSql =
    crate::sql!("delete from recovery_codes where company_id = $1 and user_id = $2");
