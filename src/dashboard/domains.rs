//! A company's own domains on a page: what must be in the DNS, whether it is, and what leads here.
//!
//! It never writes: [`crate::domains`] does.

use http::Response;
use serde_json::Value;

use super::Frame;
use super::view::{Field, Form, Part, Row as _, View, value};
use crate::domains;
use crate::error::Error;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/domains";

/// `GET /dashboard/domains`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let shown = value(domains::list(member).await?)?;
    let add = Form::new("Add a name", TAB, "Add it").with(
        Field::line("text", "host", "Name", "")
            .help("Such as www.acme.com: one that you have at a domain provider.")
            .needed(),
    );
    let intro = "Your site, chat and dashboard also at a name of your own. It leads here once a record in its DNS proves that it is yours.";
    let view = View::new(frame, "Domains", intro);
    let names = shown.list("domains");
    let view = if names.is_empty() {
        view.part(Part::list("", Vec::new(), "No name of your own yet."))
    } else {
        let cname = "First: a CNAME record of each name leads to this address. A name without www. takes an ALIAS record or the like.";
        view.part(Part::snippet("Where your names lead", shown.text("cname"), cname))
    };
    names.iter().map(part).fold(view, View::part).part(Part::form(add)).draw()
}

/// A name: how it is, the value of its record, and what may be done.
fn part(domain: &Value) -> Part {
    let (host, address) = (domain.text("host"), format!("{TAB}/{}", domain.text("domain_id")));
    let day = |name: &str| domain.text(name).chars().take(10).collect::<String>();
    let record = format!("TXT record at {}", domain.text("txt_name"));
    let said = match (domain.holds("answers"), domain.text("missing_since").is_empty()) {
        (true, true) => format!("It leads here. Leave the {record} in place: it is looked for each day."),
        (true, false) => format!(
            "It leads here until {}: the {record} is missing since {}. Put it back with this value, then check.",
            day("ends_at"),
            day("missing_since"),
        ),
        (false, _) => format!("It waits for its record. Make a {record} with this value, then check."),
    };
    let remove = Form::button("Remove", format!("{address}/remove")).danger(format!(
        "Remove {host}? It stops leading here, and whoever runs its DNS may give it to another company."
    ));
    Part::snippet(host, domain.text("txt_value"), "")
        .said(said)
        .and(vec![Form::button("Check now", format!("{address}/verify")), remove])
}
