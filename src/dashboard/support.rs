//! Support on pages: for the owner who was let in, when and why, with a way to end it; and the page behind support's link.
//!
//! It never uses a link by being read, and says nothing of it before it is used. What it does, [`crate::support`] does.

use http::Response;
use serde::Deserialize;
use serde_json::Value;

use super::view::gate::Gate;
use super::view::{self, Field, Form, Item, Part, Row as _, Stamp, View};
use super::{Frame, see_other, set_cookie};
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::support;
use crate::tenant::TenantScope;
use crate::tenant::auth::Member;

const ADDRESS: &str = "/dashboard/support";
const LINK: &str = "/dashboard/sign-in/support";

/// `GET /dashboard/support`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, "/dashboard/company");
    let shown = view::value(support::list(member).await?)?;
    let allowed = Form::new("", ADDRESS, "Save").with(
        Field::check("allowed", "Support may enter when it has a reason", shown.holds("allowed"))
            .help("Without this tick nobody of them gets in, and whoever is in is out at once."),
    );
    let intro = "The people who run this platform can look at your dashboard to help you: for an hour at most, with a reason, and \
                 never at keys, people, money, leads or settings like these. All that they ask for is in the audit log.";
    View::new(frame, "Support access", intro)
        .below("/dashboard/company", "Settings")
        .part(Part::form(allowed))
        .part(Part::list(
            "Who was let in",
            shown.list("accesses").iter().map(access).collect(),
            "Nobody yet.",
        ))
        .draw()
}

fn access(access: &Value) -> Item {
    let (open, used) = (access.holds("open"), !access.text("used_at").is_empty());
    let end = if open || access.text("ended_at").is_empty() { "ends_at" } else { "ended_at" };
    let minute: String = access.text(end).replace('T', " ").chars().take(16).collect();
    let (line, call) = match (open, used) {
        (true, true) => (format!("Until {minute} UTC, or until you end it."), Some("here now")),
        (true, false) => (
            format!("The link is good until {minute} UTC, then for {} minutes.", access.number("minutes")),
            Some("on the way"),
        ),
        (false, true) => (format!("Ended {minute} UTC."), None),
        (false, false) => (format!("Never entered; the link ended {minute} UTC."), None),
    };
    let address = format!("{ADDRESS}/{}/end", access.text("access_id"));
    Item {
        title: access.text("operator"),
        lines: vec![access.text("reason"), line],
        calls: call.map(str::to_owned).into_iter().collect(),
        when: Stamp::parse(&access.text("created_at")),
        actions: if open { vec![Form::button("End it now", address)] } else { Vec::new() },
        ..Item::default()
    }
}

/// What the page behind the link sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    token: String,
}

/// `GET /dashboard/sign-in/support?token=…`: asks whether to enter.
///
/// # Errors
/// None: whether the link is good is said when it is used.
pub async fn arrive(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let token = call.query("token").unwrap_or_default();
    let form = Form::new("", LINK, "Enter").with(Field::hidden("token", token));
    Gate::new(&scope, "Enter as support", INTRO).form(form).draw()
}

const INTRO: &str = "The company's owner sees who you are, why you are here and what you ask for, and may end it at any time. \
                     The link is good once.";

/// `POST /dashboard/sign-in/support`: uses the link.
///
/// # Errors
/// [`Error::Invalid`] for the form. That the link has ended is said on the page.
pub async fn enter(scope: TenantScope, call: Call) -> Result<Response<Body>, Error> {
    let Link { token } = call.json::<Link>().await?;
    match support::enter(&scope, &token).await {
        Ok((cookie, seconds)) => {
            let mut response = see_other("/dashboard")?;
            set_cookie(&mut response, &cookie, seconds)?;
            Ok(response)
        }
        Err(error @ Error::LinkEnded) => {
            let intro = "Each link is good once, for ten minutes, and only while the company lets support in. \
                         Make a new one with bulkhead support open.";
            Gate::new(&scope, "This link has ended", intro).problem(&error).draw()
        }
        Err(error) => Err(error),
    }
}
