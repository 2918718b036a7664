//! Leads on a page, moved from stage to stage, and as a file for a spreadsheet.
//!
//! It never writes a cell that a spreadsheet would run.

use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::Frame;
use super::view::{Field, Form, Item, Part, Row as _, Stamp, View, rows};
use crate::error::Error;
use crate::leads::{LEAD_LIST, Lead};
use crate::params;
use crate::pipeline::{STAGE_LIST, Stage};
use crate::platform::Body;
use crate::routes::{Call, content};
use crate::tenant::auth::Member;

const TAB: &str = "/dashboard/leads";

/// `GET /dashboard/leads`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut batch = member.scope.batch();
    let leads = batch.add::<Lead>(LEAD_LIST, params![]);
    let stages = batch.add::<Stage>(STAGE_LIST, params![]);
    let mut read = batch.send().await?;
    let (leads, stages) = (read.all(leads)?, read.all(stages)?);
    let items = leads.into_iter().map(|lead| item(lead, &stages)).collect();
    let none =
        "Nobody yet. When the assistant does not know an answer, it asks for a number, and it appears here.";
    let export = Item {
        title: "All of them, for a spreadsheet".into(),
        address: Some("/dashboard/leads/export".into()),
        ..Item::default()
    };
    View::new(frame, "Leads", "People who left their number, newest first.")
        .part(Part::list("", items, none))
        .part(Part::list("Export", vec![export], ""))
        .draw()
}

fn item(lead: Lead, stages: &[Stage]) -> Item {
    let here = |stage: &Stage| lead.stage.as_ref() == Some(&stage.slug);
    let options = stages.iter().map(|stage| (stage.slug.clone(), stage.name.clone(), here(stage))).collect();
    let move_on = Form::button("Move", format!("{TAB}/{}", lead.lead_id))
        .with(Field::choice("stage", "Stage", options));
    let reached = [lead.phone, lead.email].into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let said = (!lead.message.is_empty()).then(|| format!("“{}”", lead.message));
    Item {
        title: lead.name,
        address: lead.conversation_id.map(|id| format!("/dashboard/inbox/{id}")),
        lines: std::iter::once(reached).chain(said).collect(),
        tags: lead.labels,
        calls: if lead.stale { vec!["waits too long".into()] } else { Vec::new() },
        when: Stamp::parse(&lead.created_at),
        actions: vec![move_on],
        ..Item::default()
    }
}

/// `GET /dashboard/leads/export`: the leads as comma-separated values (RFC 4180).
///
/// # Errors
/// As every batch.
pub async fn export(member: Member) -> Result<Response<Body>, Error> {
    let leads = rows(crate::leads::list(member).await?, "leads")?;
    let mut response = content(StatusCode::OK, "text/csv; charset=utf-8", csv(&leads));
    let name = HeaderValue::from_static("attachment; filename=\"leads.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

fn csv(leads: &[Value]) -> String {
    const COLUMNS: [&str; 7] = ["created_at", "name", "phone", "email", "message", "status", "stage"];
    let mut all = format!("{}\r\n", COLUMNS.join(","));
    for lead in leads {
        let cells = COLUMNS.map(|column| cell(&lead.text(column)));
        all.push_str(&format!("{}\r\n", cells.join(",")));
    }
    all
}

/// A cell. What a spreadsheet would take for a formula begins with an apostrophe instead (OWASP, "CSV Injection").
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_gets_out_of_its_quotes() {
        for (text, expected) in [
            ("Vera", "\"Vera\""),
            ("=HYPERLINK(\"https://evil.example\")", "\"'=HYPERLINK(\"\"https://evil.example\"\")\""),
            ("+1 555 0100", "\"'+1 555 0100\""),
            ("-2", "\"'-2\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("\tx", "\"'\tx\""),
            ("a,b\n\"c\"", "\"a,b\n\"\"c\"\"\""),
            ("", "\"\""),
        ] {
            assert_eq!(cell(text), expected);
        }
        let lead = serde_json::json!({ "name": "=1", "phone": null });
        assert_eq!(csv(&[lead]).lines().nth(1).unwrap(), "\"\",\"'=1\",\"\",\"\",\"\",\"\",\"\"");
    }
}
