//! Links: what somebody may do once, with a token that was sent to them, on the company's own host.
//!
//! It never keeps a token, and never says why one is not good: used, ended, made up, and another company's look the same.
//!
//! A link opens a page, which changes nothing, since mail programs open links too; the page's form uses the token, and each
//! use checks and marks it in one statement.

use base64ct::{Base64UrlUnpadded, Encoding};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::config::{ASKED_PER_HOUR, MAILS_PER_ADDRESS_HOUR, RESET_S, VERIFY_S};
use crate::error::Error;
use crate::ids::{AuditId, LinkId, UserId};
use crate::knowledge::check_texts;
use crate::mail::{self, Letter};
use crate::params;
use crate::platform::{Body, Level, Platform};
use crate::routes::{Call, json as answer, no_content};
use crate::sessions::{count, password_hash};
use crate::tenant::postgres::Batch;
use crate::tenant::{TenantScope, auth};

mod statements;

pub(crate) use statements::{CODE_USE, ENTER_USE, EXPIRED_LINKS_REMOVE};
use statements::{EMAIL_USE, INVITE_USE, LINK_MAKE, LINK_READ, RESET_MAKE, RESET_USE};

/// `POST /v1/sign-in/reset`: has a link to a new password mailed to an address, if somebody of this company has it. Whether
/// anybody does, neither the answer says nor the time it takes: looking and mailing begin when it has been given.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::TooMany`] after too many for one address or from one network address,
/// [`Error::Conflict`] when no mail can be sent from here.
pub async fn ask(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Asked>().await?;
    mail::possible(&scope)?;
    let email = mail::address(&given.email)?;
    let now_s = scope.platform().now_ms() / 1_000;
    let from = auth::address(&call, &scope).map(|address| (address, ASKED_PER_HOUR));
    for (hash, most) in [(mail::address_hash(&email), MAILS_PER_ADDRESS_HOUR)].into_iter().chain(from) {
        let asked = count(&scope, scope.key_links_asked(&hash, now_s / 3_600), 3_600).await?;
        if asked > most {
            return Err(Error::TooMany(3_600 - now_s % 3_600));
        }
    }
    let platform = scope.platform_rc();
    platform.spawn(Box::pin(async move {
        if let Err(error) = reset(&scope, &email).await {
            scope.log(Level::Warn, "no link to a new password", &format!("{error:?}"));
        }
    }));
    answer(StatusCode::ACCEPTED, &json!({ "asked": true }))
}

/// Mails a link to a new password, if somebody has this address.
async fn reset(scope: &TenantScope, email: &str) -> Result<(), Error> {
    let token = Token::new(scope.platform());
    let mut batch = scope.batch();
    let made =
        batch.run(RESET_MAKE, params![LinkId::new(scope.platform()), &token.hash()[..], RESET_S, email]);
    if batch.send().await?.count(made)? > 0 {
        let url = token.url(scope, "password");
        mail::send_quietly(scope, &Letter::reset(scope.company_name(), email, &url)).await;
    }
    Ok(())
}

/// `POST /v1/sign-in/password`: a new password, by a link. It ends all sessions, and a mail tells the person.
///
/// # Errors
/// [`Error::LinkEnded`], [`Error::Invalid`] for the password.
pub async fn password(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<NewPassword>().await?;
    let token = known(&scope, &given.token, Purpose::Reset).await?.token;
    let hash = password_hash(scope.platform(), &given.password)?;
    let mut batch = scope.batch();
    let event = AuditId::new(scope.platform());
    let used = batch.add::<Mailed>(RESET_USE, params![&token.hash()[..], hash, event]);
    let person = batch.send().await?.maybe(used)?.ok_or(Error::LinkEnded)?;
    let letter = Letter::password_changed(scope.company_name(), &person.email);
    mail::send_later(scope, letter);
    Ok(no_content())
}

/// `POST /v1/sign-in/email`: an address is confirmed, or takes the place of the one before, which is told.
///
/// # Errors
/// [`Error::LinkEnded`], [`Error::Conflict`] when somebody else here has the address.
pub async fn email(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Shown>().await?;
    let token = Token::parse(&given.token).ok_or(Error::LinkEnded)?;
    let mut batch = scope.batch();
    let event = AuditId::new(scope.platform());
    let used = batch.add::<Changed>(EMAIL_USE, params![&token.hash()[..], event]);
    let changed = batch.send().await?.maybe(used)?.ok_or(Error::LinkEnded)?;
    if changed.before != changed.email {
        let letter = Letter::address_changed(scope.company_name(), &changed.before);
        mail::send_later(scope, letter);
    }
    Ok(no_content())
}

/// `POST /v1/sign-in/invitation`: an invited person's name and password; they work here from now on.
///
/// # Errors
/// [`Error::LinkEnded`], [`Error::Invalid`] for name or password.
pub async fn invitation(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let given = call.json::<Accepted>().await?;
    let token = known(&scope, &given.token, Purpose::Invite).await?.token;
    check_texts(&[("name", Some(&given.name), 120)])?;
    let hash = password_hash(scope.platform(), &given.password)?;
    let mut batch = scope.batch();
    let (user, event) = (UserId::new(scope.platform()), AuditId::new(scope.platform()));
    let fields = params![&token.hash()[..], user, given.name.trim(), hash, event];
    let used = batch.run(INVITE_USE, fields);
    batch.send().await?.touched(used).map_err(|_| Error::LinkEnded)?;
    Ok(no_content())
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Shows that mail reaches an address.
    Verify,
    /// A new password.
    Reset,
    /// An invitation to work here.
    Invite,
    /// The password was right; the code of the second step is still to come.
    Code,
    /// From the sign-up to the new company's dashboard.
    Enter,
}

impl Purpose {
    /// As the database spells it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Invite => "invite",
            Self::Code => "code",
            Self::Enter => "enter",
        }
    }
}

/// A link's token: 256 random bits, of which the database has the SHA-256. It has no `Debug`.
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(platform: &dyn Platform) -> Self {
        let mut random = [0; 32];
        platform.fill_random(&mut random);
        Self(Base64UrlUnpadded::encode_string(&random))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let decoded = Base64UrlUnpadded::decode(text, &mut bytes).ok()?;
        (decoded.len() == 32).then(|| Self(text.to_owned()))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The address of the page on the company's host that uses it.
    pub(crate) fn url(&self, scope: &TenantScope, page: &str) -> String {
        let company = scope.app().config.root.company_url(scope.slug());
        format!("{company}/dashboard/sign-in/{page}?token={}", self.0)
    }
}

/// Adds to a batch what makes a link for somebody who works here; it touches no row when they do not.
pub(crate) fn make(
    scope: &TenantScope,
    batch: &mut Batch<'_>,
    purpose: Purpose,
    (user, email): (UserId, Option<&str>),
    (token, seconds): (&Token, u64),
) -> crate::tenant::postgres::Slot<()> {
    let id = LinkId::new(scope.platform());
    batch.run(LINK_MAKE, params![id, purpose.as_str(), &token.hash()[..], seconds, user, email])
}

/// Adds to a batch what makes a link that verifies an address, and gives the letter that brings it.
pub(crate) fn verification(scope: &TenantScope, batch: &mut Batch<'_>, user: UserId, email: &str) -> Letter {
    let token = Token::new(scope.platform());
    make(scope, batch, Purpose::Verify, (user, Some(email)), (&token, VERIFY_S));
    Letter::verify(scope.company_name(), email, &token.url(scope, "email"))
}

/// A link that is good now.
pub(crate) struct Known {
    pub(crate) token: Token,
    /// Of an invitation or a verification.
    pub(crate) email: Option<String>,
}

/// The link behind a token, if it is good for this purpose now. It changes nothing: whoever uses it checks again.
///
/// # Errors
/// [`Error::LinkEnded`].
pub(crate) async fn known(scope: &TenantScope, token: &str, purpose: Purpose) -> Result<Known, Error> {
    let token = Token::parse(token).ok_or(Error::LinkEnded)?;
    let mut batch = scope.batch();
    let link = batch.add::<Link>(LINK_READ, params![&token.hash()[..], purpose.as_str()]);
    let link = batch.send().await?.maybe(link)?.ok_or(Error::LinkEnded)?;
    Ok(Known { token, email: link.email })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    email: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    token: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    token: String,
    name: String,
    password: String,
}

#[derive(Deserialize)]
struct Mailed {
    email: String,
}

#[derive(Deserialize)]
struct Changed {
    before: String,
    email: String,
}

#[derive(Deserialize)]
struct Link {
    email: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_spelling() {
        let good = Base64UrlUnpadded::encode_string(&[7; 32]);
        assert!(Token::parse(&good).is_some());
        let padded = format!("{good}=");
        // The last letter has two bits that mean nothing; only one value of them is taken.
        let other = format!("{}d", good.strip_suffix('c').unwrap());
        for bad in
            ["", "x", &padded, &other, good.get(..42).unwrap(), &format!("{good}A"), &good.replace('c', "+")]
        {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }
}
