//! Websites: reads a few pages of a company's own, politely, for their texts.
//!
//! It never goes where an address may not lead (`address`), follows no redirect but by hand and to the same website, sends
//! no cookie and no key, and reads no more than so many pages, bytes and seconds.

pub(crate) mod address;
mod robots;

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{Response, StatusCode};

use self::address::Address;
use self::robots::{NAME, Robots};
use crate::config::{IMPORT_MS, IMPORT_PAGE_LIMIT, IMPORT_PAGES, IMPORT_WAIT_MS, IMPORTS_A_DAY};
use crate::error::Error;
use crate::platform::{Body, Outbound, Part};
use crate::tenant::TenantScope;

/// Most redirects that are followed from one address.
const REDIRECTS: usize = 3;
/// Most addresses that wait to be read.
const WAITING: usize = 200;
/// Milliseconds after which an import is taken for dead, so that the next one may begin.
const LOCK_MS: u64 = IMPORT_MS + 35_000;

/// What was read of a website.
pub(crate) struct Crawl<T> {
    /// What was made of each page.
    pub(crate) pages: Vec<T>,
    /// Addresses that brought no text, and why.
    pub(crate) skipped: Vec<(String, &'static str)>,
}

/// Reads the page at an address and those of the same website that it links to, as `robots.txt` allows it; `read` makes of
/// each page what is wanted and says which links it has. One at a time for each company, and so many a day.
///
/// # Errors
/// [`Error::Conflict`] while another import goes on, [`Error::TooMany`] for the day, [`Error::Invalid`] when the first page
/// brings no text.
pub(crate) async fn crawl<T>(
    scope: &TenantScope,
    start: Address,
    read: impl Fn(&str, &str) -> (T, Vec<String>),
) -> Result<Crawl<T>, Error> {
    let turn = Turn::take(scope).await?;
    let crawled = Crawler::new(scope).run(start, read).await;
    turn.give_back(scope).await;
    crawled
}

/// One crawl, as far as it has come.
struct Crawler<'scope> {
    scope: &'scope TenantScope,
    ends_ms: u64,
}

/// What an address brought.
struct Fetched {
    address: Address,
    /// The bytes of a page.
    kind: String,
    body: Vec<u8>,
}

impl<'scope> Crawler<'scope> {
    fn new(scope: &'scope TenantScope) -> Self {
        Self { scope, ends_ms: scope.platform().now_ms() + IMPORT_MS }
    }

    async fn run<T>(
        &self,
        start: Address,
        read: impl Fn(&str, &str) -> (T, Vec<String>),
    ) -> Result<Crawl<T>, Error> {
        let config = &self.scope.app().config;
        let robots = self.robots(&start).await;
        let mut waiting = std::collections::VecDeque::from([start.clone()]);
        let mut seen = std::collections::HashSet::from([start.url()]);
        let mut crawl = Crawl { pages: Vec::new(), skipped: Vec::new() };
        let mut asked = 0;
        while let Some(address) = waiting.pop_front() {
            if asked == IMPORT_PAGES || self.is_late() {
                break;
            }
            asked += 1;
            let outcome = self.fetch(address.clone(), &robots).await;
            let page = outcome.and_then(|fetched| {
                let fresh = fetched.address == address || seen.insert(fetched.address.url());
                if !fresh {
                    return Err("it leads to a page that was read already");
                }
                Ok((text(&fetched.kind, &fetched.body)?, fetched.address))
            });
            let (page, at) = match page {
                Ok(page) => page,
                Err(why) => {
                    crawl.skipped.push((address.url(), why));
                    continue;
                }
            };
            let (made, links) = read(&at.url(), &page);
            crawl.pages.push(made);
            for link in links {
                let Some(next) = at.join(&link, config) else { continue };
                let wanted = next.is_beside(&start)
                    && is_page(next.path())
                    && robots.allows(next.path())
                    && waiting.len() < WAITING;
                if wanted && seen.insert(next.url()) {
                    waiting.push_back(next);
                }
            }
        }
        match (crawl.pages.is_empty(), crawl.skipped.first()) {
            (true, Some((_, why))) => Err(Error::Invalid(format!("The page could not be read: {why}."))),
            _ => Ok(crawl),
        }
    }

    /// What the website lets us read: everything where it does not say, nothing where it could not be asked.
    async fn robots(&self, start: &Address) -> Robots {
        let mut address = start.at("/robots.txt");
        for _ in 0..=REDIRECTS {
            let Ok(response) = self.send(&address).await else { return Robots::none() };
            let (status, next) = (response.status(), self.redirect(&address, &response));
            if status.is_redirection() {
                match next.filter(|next| next.is_beside(start)) {
                    Some(next) => address = next,
                    None => return Robots::default(),
                }
                continue;
            }
            return match status.as_u16() {
                200..=299 => match self.body(response.into_body()).await {
                    Ok(body) => Robots::parse(&String::from_utf8_lossy(&body)),
                    Err(_) => Robots::none(),
                },
                400..=499 => Robots::default(),
                _ => Robots::none(),
            };
        }
        Robots::default()
    }

    /// A page, over a few redirects on the same website.
    async fn fetch(&self, start: Address, robots: &Robots) -> Result<Fetched, &'static str> {
        let mut address = start.clone();
        for _ in 0..=REDIRECTS {
            if !robots.allows(address.path()) {
                return Err("its robots.txt asks programs not to read it");
            }
            let response = self.send(&address).await?;
            if response.status().is_redirection() {
                let next =
                    self.redirect(&address, &response).ok_or("it leads to an address that cannot be read")?;
                if !next.is_beside(&start) {
                    return Err("it leads to another website");
                }
                address = next;
                continue;
            }
            if response.status() != StatusCode::OK {
                return Err("the website did not answer with a page");
            }
            let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.unwrap_or_default().to_ascii_lowercase();
            if !["text/html", "application/xhtml+xml", "text/plain", "text/markdown"]
                .iter()
                .any(|known| kind.split(';').next().is_some_and(|kind| kind.trim() == *known))
            {
                return Err("it is no page of text");
            }
            let body = self.body(response.into_body()).await?;
            return Ok(Fetched { address, kind, body });
        }
        Err("it leads on and on")
    }

    fn redirect(&self, from: &Address, response: &Response<Body>) -> Option<Address> {
        let to = response.headers().get(LOCATION)?.to_str().ok()?;
        from.join(to, &self.scope.app().config)
    }

    async fn send(&self, address: &Address) -> Result<Response<Body>, &'static str> {
        let left_ms = self.ends_ms.saturating_sub(self.scope.platform().now_ms());
        let wait_ms = u32::try_from(left_ms).unwrap_or(u32::MAX).min(IMPORT_WAIT_MS);
        let about = format!("{NAME}/1.0 (+{})", self.scope.app().config.root.url());
        let request = http::Request::get(address.url())
            .header(USER_AGENT, about)
            .header(ACCEPT, "text/html, text/plain;q=0.5")
            // Not every edge unpacks what it is sent.
            .header(ACCEPT_ENCODING, "identity")
            .body(bytes::Bytes::new())
            .map_err(|_| "its address makes no sense")?;
        self.scope
            .platform()
            .send(Outbound {
                part: Part::Website,
                request,
                head_timeout_ms: wait_ms,
                idle_timeout_ms: wait_ms,
            })
            .await
            .map_err(|_| "the website does not answer")
    }

    /// The whole body, within its limit and the crawl's time: one that only drips is left.
    async fn body(&self, mut body: Body) -> Result<Vec<u8>, &'static str> {
        let mut whole = Vec::new();
        while let Some(chunk) = body.next().await {
            whole.extend_from_slice(&chunk.map_err(|_| "it broke off")?);
            if whole.len() > IMPORT_PAGE_LIMIT {
                return Err("it is too large");
            }
            if self.is_late() {
                return Err("it took too long");
            }
        }
        Ok(whole)
    }

    fn is_late(&self) -> bool {
        self.scope.platform().now_ms() >= self.ends_ms
    }
}

/// The one import that a company may have going on.
struct Turn(String);

impl Turn {
    async fn take(scope: &TenantScope) -> Result<Self, Error> {
        let day = scope.day(scope.platform().now_ms());
        let keys = [scope.key_import(), scope.key_imports(&day)];
        let turn = format!("{}:{}", scope.company_id(), scope.request_id());
        let args = [turn.clone(), LOCK_MS.to_string(), IMPORTS_A_DAY.to_string()];
        match scope.redis_eval(TAKE, &keys, &args).await?.as_str() {
            Some("taken") => Ok(Self(turn)),
            Some("spent") => Err(Error::Conflict(format!(
                "A website can be imported {IMPORTS_A_DAY} times a day. Go on tomorrow, or paste its text."
            ))),
            _ => Err(Error::Conflict(
                "Another import of a website is going on. Wait a minute, and try again.".into(),
            )),
        }
    }

    /// Lets the next one begin; if this fails, its time ends by itself.
    async fn give_back(self, scope: &TenantScope) {
        if scope.redis_eval(GIVE_BACK, &[scope.key_import()], &[self.0]).await.is_err() {
            scope.log(crate::platform::Level::Warn, "import not ended", "it ends by itself");
        }
    }
}

/// Takes the company's turn for an import and counts it.
const TAKE: &str = "
if tonumber(redis.call('get', KEYS[2]) or '0') >= tonumber(ARGV[3]) then return 'spent' end
if not redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 'busy' end
redis.call('incr', KEYS[2])
redis.call('expire', KEYS[2], 172800)
return 'taken'";

const GIVE_BACK: &str = "
if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end
return 'over'";

/// The text of a page's bytes: UTF-8, or what its head says for the encoding that old pages of the West have.
fn text(kind: &str, body: &[u8]) -> Result<String, &'static str> {
    if let Ok(text) = std::str::from_utf8(body) {
        return Ok(text.trim_start_matches('\u{feff}').to_owned());
    }
    let head = body.get(..1_024).unwrap_or(body);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let western = ["iso-8859-1", "windows-1252", "latin1"];
    if western.iter().any(|name| kind.contains(name) || head.contains(name)) {
        return Ok(body.iter().map(|byte| windows_1252(*byte)).collect());
    }
    Err("it is not in UTF-8")
}

/// A character of the encoding that browsers take for both of those names (WHATWG Encoding, windows-1252).
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
        '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    let high = byte.checked_sub(0x80).and_then(|at| HIGH.get(usize::from(at)));
    high.copied().unwrap_or(char::from(byte))
}

/// Whether a path looks like a page, and not like a picture, a document or a program's own address.
fn is_page(path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let pages = ["html", "htm", "php", "asp", "aspx", "jsp", "md", "txt"];
    name.rsplit_once('.').is_none_or(|(_, end)| {
        pages.contains(&end.to_ascii_lowercase().as_str())
            || end.len() > 5
            || !end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_from_files() {
        for path in ["/", "/about", "/about/", "/a.html", "/a.PHP?x=y.pdf", "/v1.0-and-more"] {
            assert!(is_page(path), "{path}");
        }
        for path in ["/a.pdf", "/b/c.jpg", "/feed.xml", "/x.zip?y", "/a.JSON"] {
            assert!(!is_page(path), "{path}");
        }
    }

    #[test]
    fn encodings() {
        assert_eq!(text("text/html", "Café".as_bytes()), Ok("Café".into()));
        assert_eq!(text("text/html", "\u{feff}Café".as_bytes()), Ok("Café".into()));
        assert_eq!(text("text/html; charset=iso-8859-1", b"Caf\xe9 \x80"), Ok("Café €".into()));
        assert_eq!(
            text("text/html", b"<meta charset=\"windows-1252\">\x93"),
            Ok("<meta charset=\"windows-1252\">“".into())
        );
        assert_eq!(text("text/html", b"Caf\xe9"), Err("it is not in UTF-8"));
        assert_eq!(text("text/html; charset=shift_jis", b"\x83\x65"), Err("it is not in UTF-8"));
    }
}
