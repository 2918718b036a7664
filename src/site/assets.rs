//! What pages load beside their HTML: scripts, styles, and the company's colour and icon.
//!
//! It never loads anything from another host.

use askama::Template;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;

use super::color::Color;
use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::content;
use crate::tenant::{TenantScope, TenantSql};
use crate::widget::{LOADER, PANEL};

/// A file that goes out as it was written.
pub struct Asset {
    kind: &'static str,
    pub(crate) text: &'static str,
}

impl Asset {
    /// A script.
    #[must_use]
    pub const fn script(text: &'static str) -> Self {
        Self { kind: SCRIPT, text }
    }

    /// The answer that sends this text as the file.
    pub(crate) fn sent(&self, text: impl Into<bytes::Bytes>) -> Response<Body> {
        cached(self.kind, text)
    }
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// `GET /assets/site.css`: colours, type, controls, and the company's and the platform's page.
pub const SITE_CSS: Asset = Asset { kind: STYLE, text: include_str!("../../templates/pages/site.css") };
/// `GET /assets/dashboard.css`: the dashboard.
pub const DASHBOARD_CSS: Asset =
    Asset { kind: STYLE, text: include_str!("../../templates/dashboard/dashboard.css") };
/// `GET /assets/dashboard.js`: the dashboard.
pub const DASHBOARD_JS: Asset =
    Asset { kind: SCRIPT, text: include_str!("../../templates/dashboard/dashboard.js") };
/// `GET /assets/preview.js`: the chat in a preview of its settings.
pub const PREVIEW_JS: Asset =
    Asset { kind: SCRIPT, text: include_str!("../../templates/dashboard/preview.js") };
/// `GET /assets/signup.js`: signing up.
pub const SIGNUP_JS: Asset = Asset { kind: SCRIPT, text: include_str!("../../templates/pages/signup.js") };
/// `GET /assets/icon.svg` on the platform's host.
pub const PLATFORM_ICON: Asset = Asset { kind: ICON, text: include_str!("../../templates/pages/icon.svg") };

/// Changes when any of the files does, so that a page never meets the file of an older one.
pub const VERSION: u32 = {
    let mut hash = 0;
    let all =
        [&SITE_CSS, &LOADER, &PANEL, &DASHBOARD_CSS, &DASHBOARD_JS, &PREVIEW_JS, &SIGNUP_JS, &PLATFORM_ICON];
    let mut files: &[&Asset] = &all;
    while let [file, rest @ ..] = files {
        hash = fingerprint(hash, file.text.as_bytes());
        files = rest;
    }
    hash
};

/// FNV-1a over 32 bits, continued from `hash`.
const fn fingerprint(hash: u32, bytes: &[u8]) -> u32 {
    let (mut hash, mut bytes) = (hash ^ 0x811c_9dc5, bytes);
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        bytes = rest;
    }
    hash
}

/// A file.
///
/// # Errors
/// None.
pub async fn file(asset: &'static Asset) -> Result<Response<Body>, Error> {
    Ok(asset.sent(asset.text))
}

/// `GET /assets/theme.css`: the company's colour, and the shades of it that can be read on light and dark.
///
/// # Errors
/// As every batch.
pub async fn theme(scope: TenantScope) -> Result<Response<Body>, Error> {
    Ok(cached(STYLE, brand(&scope).await?.theme()))
}

/// `GET /assets/icon.svg`: the company's initial on its colour.
///
/// # Errors
/// As every batch.
pub async fn icon(scope: TenantScope) -> Result<Response<Body>, Error> {
    let accent = brand(&scope).await?;
    let icon =
        Icon { accent: accent.hex(), ink: accent.ink().hex(), initial: super::initial(scope.company_name()) };
    let svg = icon.render().map_err(|error| Error::Internal(format!("icon: {error}")))?;
    Ok(cached(ICON, svg))
}

async fn brand(scope: &TenantScope) -> Result<Color, Error> {
    let mut batch = scope.batch();
    let brand = batch.add::<Brand>(BRAND_READ, params![]);
    let brand = batch.send().await?.maybe(brand)?;
    Ok(brand.and_then(|brand| Color::parse(&brand.accent_color)).unwrap_or(Color::PLATFORM))
}

fn cached(kind: &'static str, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = content(StatusCode::OK, kind, text);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="{{ accent }}"/><text x="16" y="22.5" text-anchor="middle" font-family="system-ui,sans-serif" font-size="18" font-weight="700" fill="{{ ink }}">{{ initial }}</text></svg>"#
)]
struct Icon {
    accent: String,
    ink: String,
    initial: char,
}

#[derive(Deserialize)]
struct Brand {
    accent_color: String,
}

const BRAND_READ: TenantSql = crate::sql!("select accent_color from widget_settings where company_id = $1");
