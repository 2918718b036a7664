//! Every setting, with its unit and default, parsed once from a function of names to values.
//!
//! It reads no environment itself, and what is secret in it is private to [`crate::tenant`].

use crate::tenant::Secrets;

/// Seconds that an access token is good for.
pub const ACCESS_TOKEN_S: u64 = 15 * 60;
/// Seconds that a visitor token is good for; the chat renews it while its page is open.
pub const VISITOR_TOKEN_S: u64 = 2 * 60 * 60;
/// Seconds for which the answer to a request with an Idempotency-Key is kept.
pub const IDEMPOTENCY_S: u64 = 24 * 60 * 60;
/// Seconds after which an unused session ends.
pub const SESSION_S: u64 = 30 * 24 * 60 * 60;
/// Most seconds that support may be let in for.
pub const SUPPORT_S: u64 = 60 * 60;
/// Milliseconds for which an isolate trusts what it knows of a host or a listed origin: the longest that a suspension, or
/// an origin taken off the list, takes to be seen.
pub const RECENT_MS: u64 = 30_000;
/// Most hosts, and most origins, that an isolate remembers.
pub const RECENT_ENTRIES: usize = 2_000;
/// Most provider keys that one request may open: a turn makes a few calls, at a few providers, never at a whole list.
pub const KEYS_OPENED_A_REQUEST: u32 = 16;
/// Keys of one company opened within a minute in one isolate, above which the operator is told.
pub const KEYS_OPENED_A_MINUTE: u32 = 600;
/// Most companies of which an isolate counts that.
pub const KEYS_OPENED_ENTRIES: usize = 2_000;
/// Milliseconds after which a budget reservation that nobody settled is void.
pub const HOLD_MS: u64 = 180_000;
/// Milliseconds for which a settled reservation is known, so that settling it again charges nothing.
pub const MARK_MS: u64 = 30_000;
/// Seconds for which Redis keeps an agent's short-term memory of a conversation.
pub const MEMORY_S: u64 = 24 * 60 * 60;
/// Days for which Postgres keeps what an agent remembers of a visitor.
pub const MEMORY_DAYS: u32 = 90;
/// Milliseconds that one database request may take.
pub const DATABASE_TIMEOUT_MS: u32 = 8_000;
/// Milliseconds that one Redis request may take.
pub const REDIS_TIMEOUT_MS: u32 = 5_000;
/// Milliseconds until a model provider must have begun to answer.
pub const PROVIDER_HEAD_TIMEOUT_MS: u32 = 30_000;
/// Milliseconds that a model provider may be silent in the middle of an answer.
pub const PROVIDER_IDLE_TIMEOUT_MS: u32 = 20_000;
/// Milliseconds after which a turn must have the first word of its answer from whichever model.
pub const FIRST_WORD_MS: u64 = 45_000;
/// Milliseconds after which a turn ends, whatever it is at. Well within [`HOLD_MS`].
pub const TURN_MS: u64 = 120_000;
/// Most visitor tokens that one network address gets in an hour, of one company.
pub const VISITORS_PER_HOUR: u64 = 120;
/// Milliseconds that a model provider may take to say which models it has.
pub const PROVIDER_CHECK_TIMEOUT_MS: u32 = 10_000;
/// Milliseconds that the mail provider may take to take a mail.
pub const MAIL_TIMEOUT_MS: u32 = 10_000;
/// Most mails that one address gets of a company in an hour, and times in an hour that it may be asked for.
pub const MAILS_PER_ADDRESS_HOUR: u64 = 5;
/// Most mails that a company sends in a day.
pub const MAILS_PER_COMPANY_DAY: u64 = 300;
/// Most mails of notices that one address gets of a company in an hour. They are counted apart from the mails that people
/// wait for, so that nobody who floods a chat keeps a new password from its owner.
pub const NOTICES_PER_ADDRESS_HOUR: u64 = 20;
/// Most mails of notices that a company sends in a day.
pub const NOTICES_PER_COMPANY_DAY: u64 = 200;
/// Milliseconds that a webhook may take to begin its answer.
pub const WEBHOOK_TIMEOUT_MS: u32 = 10_000;
/// Most webhooks that a company may have.
pub const WEBHOOKS: u32 = 10;
/// Most names of its own that a company may claim.
pub const DOMAINS: u32 = 5;
/// Most times in a minute that a company may have the DNS asked for the records of its names.
pub const DOMAIN_CHECKS_A_MINUTE: u64 = 6;
/// Days for which a name answers though its record is missing.
pub const DOMAIN_GRACE_DAYS: u32 = 7;
/// Milliseconds that the DNS may take, its whole answer included.
pub const DNS_TIMEOUT_MS: u32 = 5_000;
/// Seconds for which nobody else tries what is being delivered: longer than an attempt and its two batches take.
pub const LEASE_S: u64 = 60;
/// Most times in an hour that one network address may ask for links by mail, of one company.
pub const ASKED_PER_HOUR: u64 = 20;
/// Seconds for which a link that verifies an address is good.
pub const VERIFY_S: u64 = 24 * 60 * 60;
/// Seconds for which a link that resets a password is good.
pub const RESET_S: u64 = 60 * 60;
/// Seconds for which an invitation is good.
pub const INVITE_S: u64 = 7 * 24 * 60 * 60;
/// Seconds after a right password in which the code must come.
pub const CODE_S: u64 = 5 * 60;
/// Seconds in which a browser must have come from the sign-up to the new company's host.
pub const ENTER_S: u64 = 60;
/// Most codes that a person may try in an hour; an hour of guessing then succeeds once in 33,000 times.
pub const CODES_PER_HOUR: u64 = 10;
/// Largest request body, bytes.
pub const BODY_LIMIT: usize = 64 * 1024;
/// Largest body of a request that brings a document, bytes: what browsers send of a text may be three times as long.
pub const DOCUMENT_BODY_LIMIT: usize = 640 * 1024;
/// Longest document that is imported, characters.
pub const DOCUMENT_LIMIT: usize = 200_000;
/// Most drafts that a company may have waiting.
pub const DRAFTS_LIMIT: u32 = 500;
/// Most pages that one import of a website reads.
pub const IMPORT_PAGES: usize = 20;
/// Largest page of a website that is imported, bytes.
pub const IMPORT_PAGE_LIMIT: usize = 512 * 1024;
/// Milliseconds after which an import of a website ends with what it has.
pub const IMPORT_MS: u64 = 25_000;
/// Milliseconds that a website may take to begin its answer, and between two pieces of it.
pub const IMPORT_WAIT_MS: u32 = 6_000;
/// Most imports of a website a company's day.
pub const IMPORTS_A_DAY: u32 = 20;
/// Largest answer of Postgres or Redis, bytes.
pub const REPLY_LIMIT: usize = 10 * 1024 * 1024;

/// The settings of one deployment.
pub struct Config {
    /// Where the platform itself is: the apex, under which companies have their subdomains.
    pub root: Root,
    /// Base URL of OpenAI's API (`OPENAI_URL`).
    pub openai_url: String,
    /// Base URL of Anthropic's API (`ANTHROPIC_URL`).
    pub anthropic_url: String,
    /// Base URL of Gemini's API (`GEMINI_URL`).
    pub gemini_url: String,
    /// Hosts (with port where it is not the scheme's own) to which an OpenAI-compatible provider may point
    /// (`COMPATIBLE_HOSTS`, separated by commas), beside the fixed addresses in [`crate::providers::PRESETS`]. A host that
    /// begins with `*.` stands for all that have one label in its place. None by default: a base URL is where a company's
    /// key is sent.
    pub compatible_hosts: Vec<String>,
    /// This machine's own `host:port`s from which a website may be imported in clear text (`IMPORT_HOSTS`, separated by
    /// commas): only for development, so only `127.0.0.1` and `localhost`, and only where `ROOT_URL` is http. None by default.
    pub import_hosts: Vec<String>,
    /// Where the DNS is asked over HTTPS, in the JSON form that Cloudflare and Google speak (`DNS_URL`;
    /// `https://cloudflare-dns.com/dns-query` by default, `https://dns.google/resolve` is another).
    pub dns_url: String,
    /// Whom to tell of a security hole: a URL, `mailto:` included (`SECURITY_CONTACT`; `mailto:security@<root>` by default).
    pub security_contact: String,
    /// The header in which the edge says where a request comes from (`ADDRESS_HEADER`; `cf-connecting-ip` by default, which
    /// Cloudflare sets and no client can). Elsewhere name one that the proxy in front overwrites.
    pub address_header: String,
    // What mail goes through (`MAIL_URL`, `MAIL_KEY`, `MAIL_FROM`: all three or none) is among the secrets.
    pub(crate) secrets: Secrets,
}

impl Config {
    /// Parses the settings; `get` answers the value of a name, from wherever the runtime keeps it.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is missing or makes no sense, and never quotes its value.
    pub fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| get(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let or = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned());
        let root = Root::parse(&or("ROOT_URL", "http://localhost:8787"))
            .ok_or(ConfigError("ROOT_URL", "is not an http or https URL without a path"))?;
        let base = |name: &'static str, default: &str| {
            let url = or(name, default);
            if url.starts_with("https://") || url.starts_with("http://") {
                Ok(url.trim_end_matches('/').to_owned())
            } else {
                Err(ConfigError(name, "is not an http or https URL"))
            }
        };
        let security_contact = or("SECURITY_CONTACT", &format!("mailto:security@{}", root.domain));
        if !security_contact.contains(':') || security_contact.chars().any(char::is_control) {
            return Err(ConfigError("SECURITY_CONTACT", "is no URL, such as mailto:security@example.com"));
        }
        let list = |name: &str| -> Vec<String> {
            or(name, "")
                .split(',')
                .map(|host| host.trim().to_ascii_lowercase())
                .filter(|host| !host.is_empty())
                .collect()
        };
        let import_hosts = list("IMPORT_HOSTS");
        let here = |host: &String| host.starts_with("127.0.0.1:") || host.starts_with("localhost:");
        if !import_hosts.is_empty() && (root.scheme != "http" || !import_hosts.iter().all(here)) {
            return Err(ConfigError(
                "IMPORT_HOSTS",
                "is for development: it takes 127.0.0.1:port and localhost:port, where ROOT_URL is http",
            ));
        }
        Ok(Self {
            root,
            import_hosts,
            security_contact,
            openai_url: base("OPENAI_URL", "https://api.openai.com/v1")?,
            anthropic_url: base("ANTHROPIC_URL", "https://api.anthropic.com/v1")?,
            gemini_url: base("GEMINI_URL", "https://generativelanguage.googleapis.com/v1beta")?,
            dns_url: base("DNS_URL", "https://cloudflare-dns.com/dns-query")?,
            compatible_hosts: list("COMPATIBLE_HOSTS"),
            address_header: or("ADDRESS_HEADER", "cf-connecting-ip").to_ascii_lowercase(),
            secrets: Secrets::parse(&get)?,
        })
    }
}

/// A setting that is missing or makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the setting {0} {1}")]
pub struct ConfigError(pub &'static str, pub &'static str);

/// Where the platform is reached: `scheme://domain[:port]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    scheme: &'static str,
    domain: String,
    port: Option<u16>,
}

/// What a request's host stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The platform itself.
    Apex,
    /// A company's subdomain, by its slug.
    Slug(String),
    /// A host outside the platform's domain: a company's own, or nobody's.
    Custom(String),
}

impl Root {
    /// The root behind a URL without a path; `None` for what is no http or https one.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = match url.split_once("://")? {
            ("https", rest) => ("https", rest),
            ("http", rest) => ("http", rest),
            _ => return None,
        };
        let (domain, port) = host_and_port(rest.trim_end_matches('/'))?;
        Some(Self { scheme, domain, port })
    }

    /// What a host names, or `None` when it is no host name at all.
    ///
    /// Case does not matter and a port is not looked at; a trailing dot, an IP literal, a label that is not letters,
    /// digits and hyphens, or more than one label before the root's domain is nobody's.
    #[must_use]
    pub fn place(&self, host: &str) -> Option<Place> {
        let (host, _) = host_and_port(host)?;
        if host == self.domain {
            return Some(Place::Apex);
        }
        match host.strip_suffix(self.domain.as_str()).and_then(|rest| rest.strip_suffix('.')) {
            Some(slug) if !slug.contains('.') => Some(Place::Slug(slug.to_owned())),
            Some(_) => None,
            None => host.contains('.').then_some(Place::Custom(host)),
        }
    }

    /// The platform's own URL, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(&self.domain)
    }

    /// A company's URL, without a slash at its end.
    #[must_use]
    pub fn company_url(&self, slug: &str) -> String {
        self.url_of(&self.company_host(slug))
    }

    /// A company's host name on this platform, to which a name of its own leads.
    #[must_use]
    pub fn company_host(&self, slug: &str) -> String {
        format!("{slug}.{}", self.domain)
    }

    /// The origin (RFC 6454) of the pages at a place.
    #[must_use]
    pub fn origin(&self, place: &Place) -> String {
        match place {
            Place::Apex => self.url(),
            Place::Slug(slug) => self.company_url(slug),
            Place::Custom(host) => self.url_of(host),
        }
    }

    fn url_of(&self, host: &str) -> String {
        match self.port {
            Some(port) => format!("{}://{host}:{port}", self.scheme),
            None => format!("{}://{host}", self.scheme),
        }
    }
}

/// Splits `host[:port]`; the host comes back in lower case, and only if it is a DNS name (RFC 1123).
pub(crate) fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (host, Some(port.parse().ok()?))
        }
        Some(_) => return None,
        None => (text, None),
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (host.len() <= 253 && host.split('.').all(label)).then(|| (host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: Option<Place>) {
        let root = Root::parse("https://example.com").unwrap();
        assert_eq!(root.place(host), expected, "{host}");
    }

    #[test]
    fn hosts() {
        let slug = |slug: &str| Some(Place::Slug(slug.into()));
        check("example.com", Some(Place::Apex));
        check("EXAMPLE.com:443", Some(Place::Apex));
        check("acme.example.com", slug("acme"));
        check("Acme.Example.Com:8787", slug("acme"));
        check("a.b.example.com", None);
        check("acme.example.com.", None);
        check("rootexample.com", Some(Place::Custom("rootexample.com".into())));
        check("example.com.evil.org", Some(Place::Custom("example.com.evil.org".into())));
        check("shop.acme.org", Some(Place::Custom("shop.acme.org".into())));
        check("", None);
        check(".example.com", None);
        check("-.example.com", None);
        check("acme_.example.com", None);
        check("acme.example.com:", None);
        check("acme.example.com:x", None);
        check("acme.example.com:1:2", None);
        check("acme.example.com@evil.org", None);
        check("[::1]", None);
        check("acmé.example.com", None);
        check("localhost", None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_host_is_it_stands_for_itself_only(host in ".{0,80}|[a-z.:-]{0,20}\\.example\\.com[.:a-z0-9]{0,6}") {
            let root = Root::parse("https://example.com").unwrap();
            match root.place(&host) {
                Some(Place::Slug(slug)) => {
                    let bare = host.to_ascii_lowercase();
                    let bare = bare.split(':').next().unwrap();
                    proptest::prop_assert_eq!(bare, format!("{slug}.example.com"));
                    proptest::prop_assert!(!slug.contains('.'));
                }
                Some(Place::Apex) => proptest::prop_assert!(host.to_ascii_lowercase().starts_with("example.com")),
                Some(Place::Custom(custom)) => {
                    proptest::prop_assert!(custom != "example.com" && !custom.ends_with(".example.com"));
                }
                None => {}
            }
        }
    }

    #[test]
    fn urls() {
        let root = Root::parse("http://localhost:8787/").unwrap();
        assert_eq!(root.company_url("acme"), "http://acme.localhost:8787");
        assert_eq!(root.place("acme.localhost"), Some(Place::Slug("acme".into())));
        assert!(Root::parse("ftp://localhost").is_none());
        assert!(Root::parse("https://a/b").is_none());
    }
}
