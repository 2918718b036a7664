//! `/.well-known/security.txt` (RFC 9116): whom to tell of a hole. It says nothing else.

use http::{Response, StatusCode};

use crate::config::Config;
use crate::error::Error;
use crate::platform::{Body, Platform};
use crate::routes::content;

/// Days for which a reader may rely on the file; RFC 9116, section 2.5.5, wants less than a year.
const GOOD_FOR_DAYS: u64 = 180;

/// The file, the same on the platform's host and on each company's: the platform answers for them all.
///
/// # Errors
/// None.
pub fn txt(config: &Config, platform: &dyn Platform) -> Result<Response<Body>, Error> {
    let expires = crate::limiter::day(platform.now_ms() + GOOD_FOR_DAYS * 24 * 60 * 60 * 1_000, 0);
    let text = format!(
        "Contact: {}\nExpires: {expires}T00:00:00Z\nPreferred-Languages: en\nCanonical: {}/.well-known/security.txt\n",
        config.security_contact,
        config.root.url(),
    );
    Ok(content(StatusCode::OK, "text/plain; charset=utf-8", text))
}
