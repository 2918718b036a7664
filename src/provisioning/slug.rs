//! Slugs: the label under which a company is found, and which ones nobody may have.
//!
//! It never asks whether one is taken: the database decides that, when the company is made.

use crate::error::Error;

/// Whether the slug may be a company's: a short DNS label (RFC 1123) that does not pass for the platform.
///
/// # Errors
/// [`Error::Invalid`] for its form, [`Error::Conflict`] when it is kept for the platform or looks as if it were.
pub fn check(slug: &str) -> Result<(), Error> {
    let label = (3..=40).contains(&slug.len())
        && slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && slug.starts_with(|c: char| c.is_ascii_lowercase())
        && !slug.ends_with('-')
        // Two hyphens at the third place are how DNS spells other alphabets (RFC 5891): look-alikes by the thousand.
        && !slug.contains("--");
    if !label {
        return Err(Error::Invalid(
            "The slug takes 3 to 40 lower-case letters, digits and single hyphens; it begins with a letter and ends with no hyphen.".into(),
        ));
    }
    if RESERVED.contains(&slug) {
        return Err(Error::Conflict("This address is kept for the platform. Choose another slug.".into()));
    }
    if passes_for_the_platform(slug) {
        return Err(Error::Conflict(
            "This address looks like one that is kept for the platform. Choose another slug.".into(),
        ));
    }
    Ok(())
}

/// Whether it is a reserved name to a quick eye: with digits for letters, or with hyphens between them.
fn passes_for_the_platform(slug: &str) -> bool {
    let look = |one: char| {
        let letter = |c: char| match c {
            '0' => 'o',
            '1' => one,
            '3' => 'e',
            '4' => 'a',
            '5' => 's',
            '7' => 't',
            '8' => 'b',
            other => other,
        };
        slug.chars().filter(|c| *c != '-').map(letter).collect::<String>()
    };
    let bare = |name: &str| name.replace('-', "");
    RESERVED.iter().any(|name| {
        // `m` is two strokes more than `n` and nothing else: `rn` reads as `m`.
        [look('l'), look('i')].iter().any(|look| *look == bare(name) || look.replace("rn", "m") == bare(name))
    })
}

/// Subdomains that are the platform's, or that could pass for it.
const RESERVED: &[&str] = &[
    "about",
    "account",
    "accounts",
    "admin",
    "api",
    "app",
    "assets",
    "auth",
    "billing",
    "blog",
    "bulkhead",
    "cdn",
    "console",
    "dashboard",
    "demo",
    "dev",
    "docs",
    "ftp",
    "help",
    "host",
    "imap",
    "internal",
    "legal",
    "localhost",
    "login",
    "mail",
    "metrics",
    "ns1",
    "ns2",
    "pop",
    "postmaster",
    "root",
    "security",
    "signup",
    "smtp",
    "staging",
    "static",
    "status",
    "support",
    "system",
    "test",
    "webmail",
    "widget",
    "www",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        let fine = |slug: &str| check(slug).is_ok();
        assert!(fine("acme-plumbing") && fine("a1b") && fine("admin-plumbing") && fine("testing-lab"));
        for slug in
            ["ab", "1ab", "a--b", "ab-", "-ab", "Acme", "a.b", "a_b", "acmé", "", "xn--acme", "www", "api"]
        {
            assert!(!fine(slug), "{slug}");
        }
        assert!(!fine(&"a".repeat(41)));
    }

    #[test]
    fn look_alikes() {
        for slug in [
            "adm1n", "l0gin", "log1n", "b1lling", "bi11ing", "sign-up", "a-p-i", "adrnin", "s3curity",
            "supp0rt", "bu1khead",
        ] {
            assert!(matches!(check(slug), Err(Error::Conflict(_))), "{slug}");
        }
    }
}
