//! The chat's settings, as the company's people change them.
//!
//! It never lists an origin or a host that a browser would spell otherwise: it could not match.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::host_and_port;
use crate::error::Error;
use crate::fields::Nullable;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::site::color::Color;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep;

/// Most origins, and most hosts of a kind.
const LISTED: usize = 20;

/// `GET /v1/widget-settings`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let settings = batch.add::<Settings>(SETTINGS_READ, params![]);
    answer(StatusCode::OK, &batch.send().await?.one(settings)?)
}

/// `PATCH /v1/widget-settings`: changes what is given.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<Change>().await?.check()?;
    // Null is a value here: it takes the greeting away. What is not given is neither.
    let (greets, greet_after_s) = match new.greet_after_s {
        Nullable::Absent => (false, None),
        Nullable::Given(seconds) => (true, seconds),
    };
    let fields = params![
        new.accent_color,
        new.greeting,
        new.allowed_origins,
        new.side,
        greets,
        greet_after_s,
        new.link_hosts,
        new.image_hosts,
    ];
    let mut batch = member.scope.batch();
    let changed = batch.run(SETTINGS_CHANGE, fields);
    upkeep::note(&member, &mut batch, "widget.changed", &"");
    let settings = batch.add::<Settings>(SETTINGS_READ, params![]);
    let mut rows = batch.send().await?;
    rows.touched(changed)?;
    answer(StatusCode::OK, &rows.one(settings)?)
}

/// The settings of a request, to be looked at before they are saved.
///
/// # Errors
/// [`Error::Invalid`] for a body that holds other things than settings.
pub(crate) async fn draft(call: &Call) -> Result<Change, Error> {
    call.json::<Change>().await
}

impl Change {
    /// What the chat would show with them, as `GET /v1/widget` says it. An empty greeting is the agent's own, which is given.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong with them.
    pub(crate) fn config(self, agents_greeting: &str) -> Result<Value, Error> {
        let new = self.check()?;
        let brand = new.accent_color.as_deref().and_then(Color::parse).unwrap_or(Color::PLATFORM);
        let greeting = new.greeting.as_deref().filter(|greeting| !greeting.is_empty());
        Ok(json!({
            "accent": super::shades(brand),
            "side": new.side.as_deref().unwrap_or("right"),
            "greeting": greeting.unwrap_or(agents_greeting),
            "greet_after_s": match new.greet_after_s {
                Nullable::Given(seconds) => seconds,
                Nullable::Absent => None,
            },
            "link_hosts": new.link_hosts.unwrap_or_default(),
            "image_hosts": new.image_hosts.unwrap_or_default(),
        }))
    }
}

#[derive(Serialize, Deserialize)]
struct Settings {
    /// The brand's colour, `#rrggbb`.
    accent_color: String,
    /// The first line; empty: the agent's own.
    greeting: String,
    /// Origins besides the company's own whose pages may have the chat.
    allowed_origins: Value,
    /// The window's side at which the button is: left or right.
    side: String,
    /// Seconds after which the greeting shows beside the button; null: never.
    greet_after_s: Option<u32>,
    /// Hosts to which links in answers may lead, besides the company's own.
    link_hosts: Value,
    /// Hosts from which images in answers are loaded.
    image_hosts: Value,
    /// When the secret was made with which the company's server signs who a visitor is; null: there is none.
    identity_secret_at: Option<String>,
}

/// Settings to be changed: what is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    accent_color: Option<String>,
    greeting: Option<String>,
    allowed_origins: Option<Vec<String>>,
    side: Option<String>,
    greet_after_s: Nullable<u32>,
    link_hosts: Option<Vec<String>>,
    image_hosts: Option<Vec<String>>,
}

impl Change {
    /// Itself, spelled as browsers do.
    fn check(mut self) -> Result<Self, Error> {
        if let Some(color) = &mut self.accent_color {
            color.make_ascii_lowercase();
            if Color::parse(color).is_none() {
                return Err(Error::Invalid("The colour is written as in #0f6ab4.".into()));
            }
        }
        if self.greeting.as_ref().is_some_and(|greeting| greeting.chars().count() > 500) {
            return Err(Error::Invalid(
                "The greeting is longer than 500 characters. Make it shorter.".into(),
            ));
        }
        if self.side.as_ref().is_some_and(|side| !["left", "right"].contains(&side.as_str())) {
            return Err(Error::Invalid("The side is left or right.".into()));
        }
        if matches!(self.greet_after_s, Nullable::Given(Some(601..))) {
            return Err(Error::Invalid("greet_after_s takes 0 to 600 seconds, or null for never.".into()));
        }
        if let Some(origins) = &mut self.allowed_origins {
            *origins = list(origins, origin, "an origin, such as https://www.example.com")?;
        }
        for hosts in [&mut self.link_hosts, &mut self.image_hosts].into_iter().flatten() {
            *hosts = list(hosts, host, "a host name, such as www.example.com")?;
        }
        Ok(self)
    }
}

/// The list, each entry as it is spelled and once.
fn list(given: &[String], spell: fn(&str) -> Option<String>, what: &str) -> Result<Vec<String>, Error> {
    let mut spelled: Vec<String> = Vec::new();
    for entry in given {
        let entry = spell(entry.trim())
            .ok_or_else(|| Error::Invalid(format!("{entry:?} is not {what}. Write it without a path.")))?;
        if !spelled.contains(&entry) {
            spelled.push(entry);
        }
    }
    if spelled.len() > LISTED {
        return Err(Error::Invalid(format!("A list takes {LISTED} entries at most.")));
    }
    Ok(spelled)
}

/// An origin as browsers send it (RFC 6454, section 6.1): without the scheme's own port, in lower case, no path.
fn origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let (host, port) = host_and_port(rest.strip_suffix('/').unwrap_or(rest))?;
    Some(match port.filter(|port| *port != own_port) {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    })
}

/// A host, with its port where it has one.
fn host(text: &str) -> Option<String> {
    let (host, port) = host_and_port(text)?;
    host.contains('.').then(|| port.map_or(host.clone(), |port| format!("{host}:{port}")))
}

const SETTINGS_READ: TenantSql = crate::sql!(
    "select accent_color, greeting, to_jsonb(allowed_origins) as allowed_origins, side, greet_after_s,
            to_jsonb(link_hosts) as link_hosts, to_jsonb(image_hosts) as image_hosts, identity_secret_at
     from widget_settings
     where company_id = $1"
);

const SETTINGS_CHANGE: TenantSql = crate::sql!(
    "update widget_settings
     set accent_color = coalesce($2, accent_color), greeting = coalesce($3, greeting),
         allowed_origins = coalesce($4, allowed_origins), side = coalesce($5, side),
         greet_after_s = case when $6 then $7 else greet_after_s end,
         link_hosts = coalesce($8, link_hosts), image_hosts = coalesce($9, image_hosts), updated_at = now()
     where company_id = $1"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_spelled_as_browsers_send_them() {
        let good = [
            ("https://www.example.com", "https://www.example.com"),
            ("HTTPS://Shop.Example.com:443/", "https://shop.example.com"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://example.com:80", "http://example.com"),
        ];
        for (given, expected) in good {
            assert_eq!(origin(given).as_deref(), Some(expected), "{given}");
        }
        for bad in [
            "",
            "*",
            "null",
            "example.com",
            "https://",
            "https://*",
            "https://*.example.com",
            "ftp://example.com",
            "https://example.com/chat",
            "https://u@example.com",
            "https://example.com?x",
            "https://exämple.com",
            "file:///home",
            "https://example.com:x",
            "https://example.com//",
            "javascript://example.com",
        ] {
            assert_eq!(origin(bad), None, "{bad}");
        }
        assert_eq!(host("Example.com:8080").as_deref(), Some("example.com:8080"));
        for bad in ["com", "*.example.com", "https://example.com", "example.com/x", ""] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
