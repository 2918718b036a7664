//! Addresses of websites that may be read, or told of what happens: where somebody may send the worker, and where not.
//!
//! It never lets through a literal network address, a name that only an inner network knows, another port than https's, a
//! user's name, or the platform itself. What a public name resolves to it cannot know: see `docs/KNOWLEDGE.md`.

use crate::config::{Config, Place, host_and_port};
use crate::error::Error;

/// Longest address, characters.
const LIMIT: usize = 1_000;

/// Last labels, or last few, of names that are nobody's in the public DNS (RFC 6761, RFC 6762, RFC 8375, RFC 9476, ICANN's
/// `internal`), or that inner networks are known to use.
const INNER: &[&str] = &[
    "localhost",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "localdomain",
    "arpa",
    "test",
    "example",
    "invalid",
    "onion",
    "alt",
    "svc",
    "cluster",
];

/// An address of a page of a public website, or in development of one on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    scheme: &'static str,
    /// Host, and port where it is a development machine's.
    host: String,
    /// Path and query, from the first slash on.
    path: String,
}

impl Address {
    /// The address that somebody typed; a host alone stands for its first page.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong.
    pub(crate) fn parse(text: &str, config: &Config) -> Result<Self, Error> {
        let refuse = |why: &str| Error::Invalid(format!("This address cannot be read: {why}."));
        let text = text.trim();
        if text.is_empty() || text.len() > LIMIT {
            return Err(refuse("it takes 1 to 1,000 characters, for example https://www.example.com"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('\\') {
            return Err(refuse(
                "it takes letters, digits and signs of ASCII only; copy it from the browser's address bar",
            ));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = (rest.get(..end).unwrap_or_default(), rest.get(end..).unwrap_or_default());
        if scheme == "http" && config.import_hosts.iter().any(|listed| listed == host) {
            return Ok(Self { scheme: "http", host: host.to_owned(), path: path_of(path) });
        }
        if scheme != "https" {
            return Err(refuse("it begins with https://"));
        }
        if host.contains('@') {
            return Err(refuse("it has a user's name in it"));
        }
        let (name, port) = host_and_port(host).ok_or_else(|| refuse("its host is no name in the DNS"))?;
        if port.is_some_and(|port| port != 443) {
            return Err(refuse("it names another port than that of https"));
        }
        if !is_public(&name) {
            return Err(refuse("its host is no public name, such as www.example.com"));
        }
        if !matches!(config.root.place(&name), Some(Place::Custom(_))) {
            return Err(refuse("it is on this platform, which knows what it says already"));
        }
        Ok(Self { scheme: "https", host: name, path: path_of(path) })
    }

    /// Where a link or a redirect on this page leads, if that is an address that may be read. One to the same place in
    /// clear text leads there over https.
    pub(crate) fn join(&self, link: &str, config: &Config) -> Option<Self> {
        let link: String = link.trim().chars().filter(|c| !c.is_ascii_control()).collect();
        let link = link.split('#').next().unwrap_or_default();
        if link.is_empty() {
            return Some(self.clone());
        }
        let link = escaped(link);
        let before = link.split(['/', '?']).next().unwrap_or_default();
        let whole = match before.split_once(':').map(|(scheme, _)| scheme) {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => {
                let rest = link.get(scheme.len()..).unwrap_or_default();
                if self.scheme == "http" { format!("http{rest}") } else { format!("https{rest}") }
            }
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => {
                format!("https{}", link.get(scheme.len()..).unwrap_or_default())
            }
            Some(_) => return None,
            None if link.starts_with("//") => format!("{}:{link}", self.scheme),
            None => {
                let own = self.path.split('?').next().unwrap_or("/");
                let path = match link.chars().next() {
                    Some('/') => link,
                    Some('?') => format!("{own}{link}"),
                    _ => format!(
                        "{}{link}",
                        own.rsplit_once('/').map_or("/".to_owned(), |(to, _)| format!("{to}/"))
                    ),
                };
                format!("{}://{}{path}", self.scheme, self.host)
            }
        };
        Self::parse(&whole, config).ok()
    }

    /// Another page of the same host.
    pub(crate) fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    /// Whether it is the same website: the same host, with `www.` or without.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        fn bare(host: &str) -> &str {
            host.strip_prefix("www.").unwrap_or(host)
        }
        self.scheme == other.scheme && bare(&self.host) == bare(&other.host)
    }

    /// Path and query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// All of it.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.host, self.path)
    }
}

/// Whether a host name (RFC 1123) is one of the public DNS: with a dot, a last label that is no number in any spelling
/// (WHATWG URL, "ends in a number"), and none that only inner networks know.
pub(crate) fn is_public(name: &str) -> bool {
    let mut labels = name.rsplit('.');
    let last = labels.next().unwrap_or_default();
    let is_name =
        last.len() >= 2 && (last.bytes().all(|byte| byte.is_ascii_alphabetic()) || last.starts_with("xn--"));
    is_name && labels.next().is_some() && !INNER.contains(&last)
}

/// Path and query without dots in it and without a fragment.
fn path_of(text: &str) -> String {
    let text = text.split('#').next().unwrap_or_default();
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    let mut segments: Vec<&str> = Vec::new();
    let mut slash = true;
    for segment in path.split('/').skip(1) {
        slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let path = segments.join("/");
    let end = if slash && !path.is_empty() { "/" } else { "" };
    match query {
        Some(query) => format!("/{path}{end}?{query}"),
        None => format!("/{path}{end}"),
    }
}

/// With what no address holds as it is written with a percent sign and two digits a byte.
fn escaped(link: &str) -> String {
    use std::fmt::Write as _;
    link.bytes().fold(String::with_capacity(link.len()), |mut all, byte| {
        match byte {
            b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b' ' => {
                // Writing to a text cannot fail.
                let _ = write!(all, "%{byte:02X}");
            }
            byte if byte.is_ascii() => all.push(char::from(byte)),
            byte => {
                let _ = write!(all, "%{byte:02X}");
            }
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse(&|name| {
            Some(
                match name {
                    "ROOT_URL" => "http://bulkhead.dev:8787",
                    "DATABASE_URL" => "postgres://a:b@c/d",
                    "SQL_URL" | "UPSTASH_REDIS_REST_URL" => "http://127.0.0.1:1",
                    "UPSTASH_REDIS_REST_TOKEN" => "x",
                    "JWT_KEYS" => "k:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
                    "MASTER_KEYS" => "1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
                    "IMPORT_HOSTS" => "127.0.0.1:4000",
                    _ => return None,
                }
                .to_owned(),
            )
        })
        .unwrap()
    }

    #[test]
    fn links_lead_where_a_browser_goes_or_nowhere() {
        let config = config();
        let page = Address::parse("https://www.acme.com/a/b/page.html?x=1#top", &config).unwrap();
        for (link, expected) in [
            ("", Some("https://www.acme.com/a/b/page.html?x=1")),
            ("#end", Some("https://www.acme.com/a/b/page.html?x=1")),
            ("c", Some("https://www.acme.com/a/b/c")),
            ("../c/", Some("https://www.acme.com/a/c/")),
            ("../../../../c", Some("https://www.acme.com/c")),
            ("/c?d=e", Some("https://www.acme.com/c?d=e")),
            ("?d=e", Some("https://www.acme.com/a/b/page.html?d=e")),
            ("//acme.com/c", Some("https://acme.com/c")),
            ("http://acme.com/c", Some("https://acme.com/c")),
            ("HTTPS://ACME.com/C", Some("https://acme.com/C")),
            ("/über uns", Some("https://www.acme.com/%C3%BCber%20uns")),
            (" /c\n", Some("https://www.acme.com/c")),
            ("mailto:a@acme.com", None),
            ("tel:5550100", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("file:///etc/passwd", None),
            ("http://127.0.0.1/", None),
            ("//[::1]/", None),
            ("https://acme.com:8443/", None),
            ("https://user@acme.com/", None),
            ("/\\evil.com", None),
        ] {
            assert_eq!(page.join(link, &config).map(|to| to.url()).as_deref(), expected, "{link:?}");
        }
        let next = |text: &str| Address::parse(text, &config).unwrap();
        assert!(page.is_beside(&next("acme.com")) && !page.is_beside(&next("acme.com.evil.org")));
        assert!(!page.is_beside(&next("http://127.0.0.1:4000")));
    }

    #[test]
    fn only_names_of_the_public_dns_are_public() {
        for name in ["acme.com", "www.acme.co.uk", "a-b.xn--p1ai", "127.0.0.1.nip.io"] {
            assert!(is_public(name), "{name}");
        }
        for name in [
            "localhost",
            "acme",
            "10.0.0.1",
            "1.1",
            "0x7f.1",
            "127.0.0.0x1",
            "a.local",
            "metadata.google.internal",
            "a.1",
        ] {
            assert!(!is_public(name), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_typed_leads_to_a_public_name(text in ".{0,60}|https?://[a-z0-9.@:/#?%\\\\-]{0,50}|[0-9x.]{1,20}") {
            if let Ok(address) = Address::parse(&text, &config()) {
                let uri: http::Uri = address.url().parse().unwrap();
                proptest::prop_assert!(uri.scheme_str() == Some("https") && uri.port_u16().is_none());
                proptest::prop_assert!(is_public(uri.host().unwrap()));
            }
        }
    }
}
