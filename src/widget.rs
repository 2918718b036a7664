//! The chat that a company puts on its pages: its files, and what it shows before anybody asks.
//!
//! It never says anything of a company that its own page does not say to everybody.

pub mod handover;
pub mod identity;
pub mod rating;
pub mod settings;
pub mod strings;

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, cors, json as answer};
use crate::site::assets::{self, Asset};
use crate::site::color::Color;
use crate::tenant::{TenantScope, TenantSql};

/// `GET /widget.js`: the one script that a page names. It draws the button and loads the panel when it is needed.
pub const LOADER: Asset = Asset::script(include_str!("../templates/widget/loader.js"));

/// `GET /widget/app.js`: the panel, one module. Its files share one scope; its style is text in it, since a policy that
/// forbids inline styles still takes a constructed style sheet.
pub const PANEL: Asset = Asset::script(concat!(
    "const CSS = `",
    include_str!("../templates/widget/panel.css"),
    "`;\n",
    include_str!("../templates/widget/markdown.js"),
    include_str!("../templates/widget/talk.js"),
    include_str!("../templates/widget/forms.js"),
    include_str!("../templates/widget/panel.js"),
));

/// One of the chat's files: the same for every company, so any page may load it.
///
/// # Errors
/// None.
pub async fn file(asset: &'static Asset) -> Result<Response<Body>, Error> {
    let mut response = asset.sent(bare(asset.text));
    cors::public(response.headers_mut());
    Ok(response)
}

/// A script without its comment lines and indentation, which nobody who runs it needs.
fn bare(script: &str) -> String {
    let lines = script.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .fold(String::new(), |text, line| text + line + "\n")
}

/// `GET /v1/widget?lang=`: names, colours, greeting, quick replies and opening hours, and the words of the surface in that
/// language.
///
/// # Errors
/// As every batch.
pub async fn show(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let mut batch = scope.batch();
    let look = batch.add::<Look>(LOOK_READ, params![]);
    let replies = batch.add::<Reply>(REPLY_LIST, params![]);
    let hours = batch.add::<Hours>(HOURS_READ, params![]);
    let mut rows = batch.send().await?;
    let look = rows.one(look)?;
    let brand = Color::parse(&look.accent_color).unwrap_or(Color::PLATFORM);
    let (lang, strings) = strings::of(call.query("lang").as_deref().unwrap_or(""))?;
    let replies: Vec<_> = rows.all(replies)?.into_iter().map(|reply| reply.body).collect();
    let mut response = answer(
        StatusCode::OK,
        &json!({
            "company": scope.company_name(),
            "version": assets::VERSION,
            "accent": shades(brand),
            "side": look.side,
            "greeting": look.greeting,
            "greet_after_s": look.greet_after_s,
            "quick_replies": replies,
            "hours": rows.one(hours)?,
            "link_hosts": look.link_hosts,
            "image_hosts": look.image_hosts,
            "lang": lang,
            "strings": strings,
        }),
    )?;
    // From page to page the button is there at once.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
    Ok(response)
}

/// The brand's colour, what is written on it, and its shades that can be read on light and on dark.
fn shades(brand: Color) -> [String; 4] {
    let (on_light, on_dark) = brand.inks();
    [brand, brand.ink(), on_light, on_dark].map(Color::hex)
}

#[derive(Deserialize)]
struct Look {
    greeting: String,
    accent_color: String,
    side: String,
    greet_after_s: Option<u32>,
    link_hosts: Value,
    image_hosts: Value,
}

#[derive(Deserialize)]
struct Reply {
    body: String,
}

/// Whether the company is open now.
#[derive(Serialize, Deserialize)]
struct Hours {
    /// Whether it says when it is open at all.
    known: bool,
    /// Until when it is open now, local time; null: it is closed.
    until: Option<String>,
    /// The weekday, 1 Monday to 7 Sunday, and the local time at which it opens next; null: not within a week.
    weekday: Option<u32>,
    opens: Option<String>,
}

/// Whether an origin is listed: touches a row when it is.
pub(crate) const ORIGIN_LISTED: TenantSql =
    crate::sql!("select company_id from widget_settings where company_id = $1 and $2 = any(allowed_origins)");

const LOOK_READ: TenantSql = crate::sql!(
    "select coalesce(nullif(w.greeting, ''), nullif(a.greeting, ''), 'How can I help?') as greeting,
            coalesce(w.accent_color, '') as accent_color, coalesce(w.side, 'right') as side, w.greet_after_s,
            coalesce(to_jsonb(w.link_hosts), '[]') as link_hosts, coalesce(to_jsonb(w.image_hosts), '[]') as image_hosts
     from companies c
     left join widget_settings w on w.company_id = c.company_id
     left join agents a on a.company_id = c.company_id and a.is_default
     where c.company_id = $1"
);

const REPLY_LIST: TenantSql =
    crate::sql!("select body from quick_replies where company_id = $1 order by position limit 6");

const HOURS_READ: TenantSql = crate::sql!(
    "select exists (select from opening_hours h where h.company_id = c.company_id) as known,
            t.until, n.weekday, n.opens
     from companies c
     cross join lateral (select now() at time zone c.time_zone as local) l
     left join lateral (
         select to_char(max(h.closes), 'HH24:MI') as until
         from opening_hours h
         where h.company_id = c.company_id and h.weekday = extract(isodow from l.local)
           and l.local::time >= h.opens and l.local::time < h.closes
           and not exists (select from closures x where x.company_id = c.company_id and x.day = l.local::date)) t on true
     left join lateral (
         select h.weekday, to_char(h.opens, 'HH24:MI') as opens
         from generate_series(0, 7) as d
         join opening_hours h on h.company_id = c.company_id
             and h.weekday = extract(isodow from l.local + make_interval(days => d))
         where (d > 0 or h.opens > l.local::time)
           and not exists (select from closures x where x.company_id = c.company_id and x.day = l.local::date + d)
         order by d, h.opens
         limit 1) n on true
     where c.company_id = $1"
);

#[cfg(test)]
mod tests {
    #[test]
    fn the_style_can_stand_in_a_template_literal() {
        let css = include_str!("../templates/widget/panel.css");
        assert!(!css.contains(['`', '\\']) && !css.contains("${"));
    }
}
