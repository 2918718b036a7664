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

/// Slugs for a company's name, the nearest first; each passes [`check`]. None when the name has no letter that this knows.
#[must_use]
pub fn suggestions(name: &str, industry: &str) -> Vec<String> {
    let base = from_name(name);
    let short = without_form(&base);
    let mut all = vec![short.to_owned(), base.clone()];
    if !short.is_empty() {
        let trade = from_name(industry);
        if !trade.is_empty() && !short.contains(&trade) {
            all.push(format!("{short}-{trade}"));
        }
        all.extend(["co", "hq", "team", "shop"].map(|end| format!("{short}-{end}")));
        all.extend(["the", "my", "go"].map(|begin| format!("{begin}-{short}")));
        all.extend((2..=5).map(|number| format!("{short}-{number}")));
    }
    let mut seen = Vec::new();
    for slug in all {
        if check(&slug).is_ok() && !seen.contains(&slug) {
            seen.push(slug);
        }
    }
    seen
}

/// A name in the letters of an address: `Café Söhne & Co.` becomes `cafe-sohne-and-co`. At most 32 characters, whole words
/// where there are several, so that something can be added.
fn from_name(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        // Fullwidth forms are the ASCII letters once more, 0xfee0 further on.
        let c = match c {
            '\u{ff01}'..='\u{ff5e}' => {
                char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c).to_ascii_lowercase()
            }
            other => other,
        };
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            '&' | '+' => slug.push_str("-and-"),
            // Apostrophes, full stops of abbreviations and combining accents leave nothing.
            '\'' | '’' | '‘' | '`' | '.' | '\u{300}'..='\u{36f}' => {}
            other => match LETTERS.iter().find(|(from, _)| from.contains(other)) {
                Some((_, to)) => slug.push_str(to),
                None => slug.push('-'),
            },
        }
    }
    let words = slug.split('-').filter(|word| !word.is_empty());
    let mut kept = String::new();
    for word in words.skip_while(|word| !word.starts_with(|c: char| c.is_ascii_lowercase())) {
        if kept.is_empty() {
            kept.extend(word.chars().take(32));
        } else if kept.len() + 1 + word.len() <= 32 {
            kept.push('-');
            kept.push_str(word);
        } else {
            break;
        }
    }
    kept
}

/// Without the legal form at its end, which nobody types.
fn without_form(slug: &str) -> &str {
    let form = |form: &&&str| slug.strip_suffix(**form).is_some_and(|rest| rest.ends_with('-'));
    match ["llc", "inc", "ltd", "corp", "pllc", "llp", "pc"].iter().find(form) {
        Some(form) => slug.strip_suffix(form).map_or(slug, |rest| rest.trim_end_matches('-')),
        None => slug,
    }
}

/// Letters of other alphabets, as English spells their sound; those that look Latin sound alike mostly.
const LETTERS: &[(&str, &str)] = &[
    ("àáâãäåāăąǎаαά", "a"),
    ("æ", "ae"),
    ("çćĉċč", "c"),
    ("ďđð", "d"),
    ("дδ", "d"),
    ("èéêëēĕėęěеёэεέ", "e"),
    ("ĝğġģгґγ", "g"),
    ("ĥħ", "h"),
    ("ìíîïĩīĭįıиіїйηιήί", "i"),
    ("ĵ", "j"),
    ("ķкκ", "k"),
    ("ĺļľŀłлλ", "l"),
    ("мμ", "m"),
    ("ñńņňŋнν", "n"),
    ("òóôõöøōŏőоοωόώ", "o"),
    ("œ", "oe"),
    ("пπ", "p"),
    ("ŕŗřрρ", "r"),
    ("śŝşšșсσς", "s"),
    ("ß", "ss"),
    ("ţťŧțтτ", "t"),
    ("þθ", "th"),
    ("ùúûüũūŭůűųу", "u"),
    ("вβ", "v"),
    ("ŵ", "w"),
    ("ýÿŷыυύ", "y"),
    ("źżžзζ", "z"),
    ("б", "b"),
    ("ж", "zh"),
    ("ф", "f"),
    ("φ", "ph"),
    ("х", "kh"),
    ("χ", "ch"),
    ("ц", "ts"),
    ("ч", "ch"),
    ("ш", "sh"),
    ("щ", "shch"),
    ("ъь", ""),
    ("ю", "yu"),
    ("я", "ya"),
    ("ξ", "x"),
    ("ψ", "ps"),
];

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
    fn names() {
        for (name, slug) in [
            ("Acme Plumbing", "acme-plumbing"),
            ("Café Söhne & Co.", "cafe-sohne-and-co"),
            ("Cafe\u{301} So\u{308}hne", "cafe-sohne"),
            ("Joe’s Diner", "joes-diner"),
            ("J.R. Smith", "jr-smith"),
            ("24/7 Locksmith", "locksmith"),
            ("Żółw Øresund Straße", "zolw-oresund-strasse"),
            ("Яблоко", "yabloko"),
            ("ＡＣＭＥ", "acme"),
            ("寿司", ""),
            ("  --  ", ""),
            ("Pneumonoultramicroscopicsilicovolcanoconiosis Clinic", "pneumonoultramicroscopicsilicovo"),
        ] {
            assert_eq!(from_name(name), slug, "{name}");
        }
    }

    #[test]
    fn what_is_suggested_may_be_had() {
        for name in
            ["Acme Plumbing LLC", "Admin", "Al", "Bloom", "寿司", "x", "A & B", "Support Inc", "Яблоко"]
        {
            let slugs = suggestions(name, "florist");
            assert!(slugs.iter().all(|slug| check(slug).is_ok()), "{name}: {slugs:?}");
            assert_eq!(slugs.is_empty(), name == "寿司", "{name}: {slugs:?}");
        }
        assert_eq!(suggestions("Acme Plumbing LLC", "")[..2], ["acme-plumbing", "acme-plumbing-llc"]);
        assert!(suggestions("Bloom", "florist").contains(&"bloom-florist".to_owned()));
        // Letters that only look Latin come out as Latin ones, so that the address is what it looks like.
        assert_eq!(suggestions("Асme", "")[0], "asme");
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
