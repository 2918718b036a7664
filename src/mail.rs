//! Mail to a company's people: what is written, how often, and what becomes of it when it cannot be sent.
//!
//! It never lets a line's end into an address or a subject, and never tells anybody whether an address is known here.

use askama::Template;
use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::config::{
    MAILS_PER_ADDRESS_HOUR, MAILS_PER_COMPANY_DAY, NOTICES_PER_ADDRESS_HOUR, NOTICES_PER_COMPANY_DAY,
};
use crate::error::Error;
use crate::platform::Level;
use crate::tenant::TenantScope;
use crate::tenant::redis::TenantKey;

/// Sends a letter now, if the address and the company may have one more.
///
/// # Errors
/// [`Error::Conflict`] when no mail can be sent from here, [`Error::TooMany`] when there were too many,
/// [`Error::Unavailable`] when the provider or Redis does not answer.
pub(crate) async fn send(scope: &TenantScope, letter: &Letter) -> Result<(), Error> {
    let now_s = scope.platform().now_ms() / 1_000;
    let keys =
        [scope.key_mails_to(&address_hash(&letter.to), now_s / 3_600), scope.key_mails_sent(now_s / 86_400)];
    send_within(scope, letter, keys, [MAILS_PER_ADDRESS_HOUR, MAILS_PER_COMPANY_DAY]).await
}

/// Sends a notice now, if the address and the company may have one more. Notices are counted apart.
///
/// # Errors
/// As [`send`].
pub(crate) async fn send_notice(scope: &TenantScope, letter: &Letter) -> Result<(), Error> {
    let now_s = scope.platform().now_ms() / 1_000;
    let keys = [
        scope.key_notices_to(&address_hash(&letter.to), now_s / 3_600),
        scope.key_notices_sent(now_s / 86_400),
    ];
    send_within(scope, letter, keys, [NOTICES_PER_ADDRESS_HOUR, NOTICES_PER_COMPANY_DAY]).await
}

/// Sends a letter if these counters, one that begins anew each hour and one each day, are within these limits.
async fn send_within(
    scope: &TenantScope,
    letter: &Letter,
    keys: [TenantKey; 2],
    limits: [u64; 2],
) -> Result<(), Error> {
    possible(scope)?;
    let now_s = scope.platform().now_ms() / 1_000;
    let limits = limits.map(|limit| limit.to_string());
    if scope.redis_eval(COUNT_BOTH, &keys, &limits).await?.as_u64() != Some(1) {
        return Err(Error::TooMany(3_600 - now_s % 3_600));
    }
    scope.post(letter).await
}

/// Sends it when the request has been answered, and tells only the operator if that fails: an answer that waited for it would
/// say by its time whether there was anything to send.
pub(crate) fn send_later(scope: TenantScope, letter: Letter) {
    let platform = scope.platform_rc();
    platform.spawn(Box::pin(async move { send_quietly(&scope, &letter).await }));
}

/// Sends it, and tells only the operator if that fails.
pub(crate) async fn send_quietly(scope: &TenantScope, letter: &Letter) {
    if let Err(error) = send(scope, letter).await {
        scope.log(Level::Warn, "mail not sent", &format!("{}: {error:?}", letter.kind));
    }
}

/// That mails can be sent from here.
///
/// # Errors
/// [`Error::Conflict`] with what to do.
pub(crate) fn possible(scope: &TenantScope) -> Result<(), Error> {
    if scope.has_post() { Ok(()) } else { Err(Error::Conflict(IMPOSSIBLE.into())) }
}

/// What people are told where no mail can be sent.
pub(crate) const IMPOSSIBLE: &str = "No mail can be sent from here yet, so there is no link. Ask whoever runs this platform to set up mail \
(MAIL_URL, MAIL_KEY and MAIL_FROM), then try again.";

/// An e-mail address as it is kept: lower case, and such that no mail program could read it as something else.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn address(email: &str) -> Result<String, Error> {
    let email = email.trim().to_lowercase();
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"<>()[]\\,;:\"".contains(c);
    let fine = (3..=254).contains(&email.len())
        && email.chars().all(plain)
        && email
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'));
    if fine { Ok(email) } else { Err(Error::Invalid("The e-mail address is not one. Check it.".into())) }
}

/// Stands for an address where it is only counted.
pub(crate) fn address_hash(email: &str) -> String {
    Base64UrlUnpadded::encode_string(&Sha256::digest(email.as_bytes()))
}

/// A letter: to one address, a few sentences, and at most one link.
pub(crate) struct Letter {
    kind: &'static str,
    to: String,
    subject: String,
    sheet: Sheet,
}

#[derive(Template)]
#[template(path = "letter.txt")]
struct Text<'a>(&'a Sheet);

#[derive(Template)]
#[template(path = "letter.html")]
struct Html<'a>(&'a Sheet);

/// What stands on it.
struct Sheet {
    company: String,
    title: String,
    sentences: Vec<String>,
    /// What its link does, and where it leads.
    link: Option<(&'static str, String)>,
    /// Why it came, and what to do if it should not have.
    foot: &'static str,
}

impl Letter {
    fn new(kind: &'static str, company: &str, to: &str, title: String, foot: &'static str) -> Self {
        let company = one_line(company);
        let title = one_line(&title);
        let sheet = Sheet { company, title: title.clone(), sentences: Vec::new(), link: None, foot };
        Self { kind, to: to.to_owned(), subject: title, sheet }
    }

    fn saying(mut self, sentence: impl Into<String>) -> Self {
        self.sheet.sentences.push(sentence.into());
        self
    }

    fn link(mut self, name: &'static str, url: &str) -> Self {
        self.sheet.link = Some((name, url.to_owned()));
        self
    }

    /// With a link that shows that mail reaches this address.
    pub(crate) fn verify(company: &str, to: &str, url: &str) -> Self {
        let foot = "If you did not give this address, do nothing: without the link it is not used.";
        Self::new("verify", company, to, format!("Confirm your e-mail address for {company}"), foot)
            .saying("Open this page and press its button, so that we know that mail reaches you here. The link is good once, for 24 hours.")
            .link("Confirm this address", url)
    }

    /// With a link to a new password.
    pub(crate) fn reset(company: &str, to: &str, url: &str) -> Self {
        let foot = "If that was not you, do nothing: your password stays as it is.";
        Self::new("reset", company, to, format!("A new password for {company}"), foot)
            .saying("Somebody asked for a new password for this address.")
            .saying("Open this page to choose one. The link is good once, for an hour, and you are signed out everywhere then.")
            .link("Choose a new password", url)
    }

    /// With an invitation.
    pub(crate) fn invite(company: &str, to: &str, by: &str, role: &str, url: &str) -> Self {
        let foot = "If you do not know the company, do nothing: without the link nothing happens.";
        Self::new("invite", company, to, format!("{company} invites you"), foot)
            .saying(one_line(&format!("{by} invites you to work with {company} here, as {role}.")))
            .saying("Open this page to choose your name and password. The link is good once, for 7 days.")
            .link("Accept the invitation", url)
    }

    /// That a password was changed by a link.
    pub(crate) fn password_changed(company: &str, to: &str) -> Self {
        Self::new("notice", company, to, format!("Your password for {company} was changed"), ALARM)
            .saying("Your password was changed with a link that was mailed to you, and you were signed out everywhere.")
    }

    /// That an account has another address now; it goes to the one before.
    pub(crate) fn address_changed(company: &str, to: &str) -> Self {
        Self::new("notice", company, to, format!("Your e-mail address for {company} was changed"), ALARM)
            .saying("Your account signs in with another e-mail address from now on, and its mails go there.")
    }

    /// That something happened which the company's settings want this person told of: in a sentence, with what was said,
    /// each piece on a line of its own, and with the page where it stands.
    pub(crate) fn notice(company: &str, to: &str, title: String, said: &[String], page: &str) -> Self {
        let foot = "You get this by the settings of your company. Its owner changes them in the dashboard, under Notifications.";
        let letter = Self::new("notice", company, to, title, foot);
        let letter = said.iter().fold(letter, |letter, line| letter.saying(plain(line, 1_100)));
        letter.link("Open the dashboard", page)
    }

    pub(crate) fn to(&self) -> &str {
        &self.to
    }

    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    pub(crate) fn text(&self) -> Result<String, Error> {
        drawn(&Text(&self.sheet))
    }

    pub(crate) fn html(&self) -> Result<String, Error> {
        drawn(&Html(&self.sheet))
    }
}

const ALARM: &str =
    "If that was not you, ask an owner of the company at once, or whoever runs this platform.";

fn drawn(template: &impl Template) -> Result<String, Error> {
    template.render().map_err(|error| Error::Internal(format!("mail: {error}")))
}

/// Without anything that could end a header's line, and no longer than a subject should be.
fn one_line(text: &str) -> String {
    plain(text, 200)
}

/// Without a line's end, and no longer than this many characters.
fn plain(text: &str, limit: usize) -> String {
    let plain = |c: char| if c.is_control() || "\u{2028}\u{2029}".contains(c) { ' ' } else { c };
    text.chars().map(plain).take(limit).collect()
}

/// Counts a mail to an address and of a company, and says whether both may have it.
const COUNT_BOTH: &str = "
local to = redis.call('INCR', KEYS[1])
if to == 1 then redis.call('EXPIRE', KEYS[1], 3600) end
local sent = redis.call('INCR', KEYS[2])
if sent == 1 then redis.call('EXPIRE', KEYS[2], 86400) end
if to > tonumber(ARGV[1]) or sent > tonumber(ARGV[2]) then return 0 end
return 1
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(address(" Owner@Acme.example ").unwrap(), "owner@acme.example");
        assert_eq!(address("é.o'neil+x@söhne.example").unwrap(), "é.o'neil+x@söhne.example");
        for email in [
            "",
            "a",
            "@b.c",
            "a@b",
            "a b@c.d",
            "a@b@c.d",
            "a@b.c\r\nbcc:d@e.f",
            "a@b.c,d",
            "a<d@e.f>",
            "\"a\"@b.c",
            "a;d@e.f",
            "to:a@b.c",
            "a\u{85}@b.c",
            "a\u{2028}@b.c",
        ] {
            assert!(address(email).is_err(), "{email:?}");
        }
    }

    #[test]
    fn no_company_writes_a_header_or_markup() {
        let evil = "Acme\r\nBcc: all@evil.example\u{2028}<img src=x>";
        for letter in [
            Letter::verify(evil, "a@b.c", "https://acme.example.com/x?token=t"),
            Letter::reset(evil, "a@b.c", "https://acme.example.com/x?token=t"),
            Letter::invite(evil, "a@b.c", evil, "owner", "https://acme.example.com/x?token=t"),
            Letter::password_changed(evil, "a@b.c"),
            Letter::address_changed(evil, "a@b.c"),
            Letter::notice(evil, "a@b.c", evil.into(), &[evil.into()], "https://acme.example.com/x?token=t"),
        ] {
            assert!(
                !letter.subject().chars().any(|c| c.is_control() || c == '\u{2028}'),
                "{}",
                letter.subject()
            );
            let (text, html) = (letter.text().unwrap(), letter.html().unwrap());
            assert!(!text.contains("\nBcc") && !html.contains("<img"), "{text}{html}");
            let linked = letter.sheet.link.is_some();
            assert_eq!(text.contains("https://acme.example.com/x?token=t"), linked);
            assert_eq!(html.contains("href=\"https://acme.example.com/x?token=t\""), linked);
        }
    }
}
