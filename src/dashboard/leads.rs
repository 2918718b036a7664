//! Leads on a page, moved from stage to stage, and as a file for a spreadsheet.
//!
//! It never writes a cell that a spreadsheet would run.

use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::Frame;
use super::view::{Field, Form, Item, Part, Row as _, Stamp, View, rows};
use crate::error::Error;
use crate::ids::LeadId;
use crate::leads::{LEAD_LIST, LEAD_READ, Lead};
use crate::params;
use crate::pipeline::{STAGE_LIST, Stage};
use crate::platform::Body;
use crate::routes::{Call, content};
use crate::tenant::TenantSql;
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
    let export = [
        ("All leads, for a spreadsheet", "/dashboard/leads/export"),
        ("All contacts, for a spreadsheet", "/dashboard/contacts/export"),
    ];
    let export = export.map(|(title, address)| Item {
        title: title.into(),
        address: Some(address.into()),
        ..Item::default()
    });
    View::new(frame, "Leads", "People who left their number, newest first.")
        .part(Part::list("", items, none))
        .part(Part::list("Export", export.into(), ""))
        .draw()
}

/// `GET /dashboard/leads/{id}`: one of them, its stage, and the conversation that it came up in with its notes.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<LeadId>()?;
    let frame = Frame::new(&member.scope, &call, TAB);
    let mut batch = member.scope.batch();
    let lead = batch.add::<Lead>(LEAD_READ, params![id]);
    let stages = batch.add::<Stage>(STAGE_LIST, params![]);
    // What was said there is for whoever may read conversations.
    let said = batch.add::<Said>(SAID_LIST, params![id, member.user]);
    let notes = batch.add::<Note>(NOTE_LIST, params![id, member.user]);
    let mut read = batch.send().await?;
    let (lead, stages) = (read.one(lead)?, read.all(stages)?);
    let (conversation, visitor) = (lead.conversation_id, lead.visitor_id);
    let mut shown = item(lead, &stages);
    let title = std::mem::take(&mut shown.title);
    shown.title = "How to reach them".into();
    shown.address = None;
    let said = read.all(said)?.into_iter().map(|said| Item {
        title: said.who,
        whole: said.body,
        when: Stamp::parse(&said.created_at),
        ..Item::default()
    });
    let notes = read.all(notes)?.into_iter().map(|note| Item {
        title: note.who,
        whole: note.body,
        when: Stamp::parse(&note.created_at),
        ..Item::default()
    });
    let view = View::new(frame, title, "").below(TAB, "Leads").part(Part::list("", vec![shown], ""));
    let theirs = format!("/dashboard/visitors/{visitor}");
    let erase = Form::button("Erase all of it", format!("{theirs}/remove"))
        .danger("Erase their conversations, leads and number for good?".into());
    let theirs = Item {
        title: "All that you have of them, as a file".into(),
        address: Some(theirs),
        lines: vec!["For whoever asks what you know of them, or wants it gone. Administrators may.".into()],
        actions: vec![erase],
        ..Item::default()
    };
    let theirs = Part::list("Their data", vec![theirs], "");
    let Some(conversation) = conversation else {
        return view
            .part(Part::text("The conversation", "They left their number without asking anything."))
            .part(theirs)
            .draw();
    };
    let address = format!("/dashboard/inbox/{conversation}");
    let note = Form::new("", format!("{address}/notes?lead={id}"), "Save the note")
        .with(Field::area("body", "A note for your colleagues", "", 4_000).needed());
    let answer = Item { title: "Answer in the inbox".into(), address: Some(address), ..Item::default() };
    view.part(Part::list("Notes", notes.collect(), "None yet.").with(note))
        .part(Part::list("What was said", said.chain([answer]).collect(), ""))
        .part(theirs)
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
        address: Some(format!("{TAB}/{}", lead.lead_id)),
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
    Ok(file("attachment; filename=\"leads.csv\"", &LEAD_COLUMNS, &leads))
}

/// `GET /dashboard/contacts/export`: everybody who left a way to be reached, in the same form.
///
/// # Errors
/// As every batch.
pub async fn contacts(member: Member) -> Result<Response<Body>, Error> {
    let contacts = rows(crate::leads::contacts(member).await?, "contacts")?;
    let columns = ["created_at", "name", "phone", "email", "leads"];
    Ok(file("attachment; filename=\"contacts.csv\"", &columns, &contacts))
}

/// `GET /dashboard/visitors/{id}`: all that there is of a visitor, as a file.
///
/// # Errors
/// As [`crate::visitors::export`].
pub async fn visitor(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let mut response = crate::visitors::export(member, call).await?;
    let name = HeaderValue::from_static("attachment; filename=\"visitor.json\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

const LEAD_COLUMNS: [&str; 7] = ["created_at", "name", "phone", "email", "message", "status", "stage"];

fn file(name: &'static str, columns: &[&str], rows: &[Value]) -> Response<Body> {
    let mut response = content(StatusCode::OK, "text/csv; charset=utf-8", csv(columns, rows));
    response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static(name));
    response
}

fn csv(columns: &[&str], rows: &[Value]) -> String {
    let mut all = format!("{}\r\n", columns.join(","));
    for row in rows {
        let cells: Vec<_> = columns.iter().map(|column| cell(&row.text(column))).collect();
        all.push_str(&format!("{}\r\n", cells.join(",")));
    }
    all
}

/// Something said in the conversation.
#[derive(Deserialize)]
struct Said {
    who: String,
    body: String,
    created_at: String,
}

/// A note of somebody of the company's.
#[derive(Deserialize)]
struct Note {
    who: String,
    body: String,
    created_at: String,
}

const SAID_LIST: TenantSql = crate::sql!(
    "select coalesce(u.name, case m.author when 'visitor' then k.name else a.name end) as who, m.body, m.created_at
     from leads l
     join contacts k on k.company_id = l.company_id and k.contact_id = l.contact_id
     join conversations c on c.company_id = l.company_id and c.conversation_id = l.conversation_id
     join agents a on a.company_id = c.company_id and a.agent_id = c.agent_id
     join messages m on m.company_id = c.company_id and m.conversation_id = c.conversation_id
     left join users u on u.company_id = m.company_id and u.user_id = m.user_id
     where l.company_id = $1 and l.lead_id = $2
       and not exists (
           select from memberships s
           join role_permissions p on p.company_id = s.company_id and p.role = s.role
           where s.company_id = l.company_id and s.user_id = $3 and p.permission = 'conversations.read' and not p.allowed)
     order by m.message_id
     limit 200"
);

const NOTE_LIST: TenantSql = crate::sql!(
    "select u.name as who, n.body, n.created_at
     from leads l
     join conversation_notes n on n.company_id = l.company_id and n.conversation_id = l.conversation_id
     join users u on u.company_id = n.company_id and u.user_id = n.user_id
     where l.company_id = $1 and l.lead_id = $2
       and not exists (
           select from memberships s
           join role_permissions p on p.company_id = s.company_id and p.role = s.role
           where s.company_id = l.company_id and s.user_id = $3 and p.permission = 'conversations.read' and not p.allowed)
     order by n.note_id
     limit 200"
);

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
        assert_eq!(
            csv(&LEAD_COLUMNS, &[lead]).lines().nth(1).unwrap(),
            "\"\",\"'=1\",\"\",\"\",\"\",\"\",\"\""
        );
    }
}
