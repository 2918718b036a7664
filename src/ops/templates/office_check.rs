//! The rules for the office of a template: what every company needs of it, and that nothing in it names what is not there.

use std::collections::BTreeSet;

use bulkhead::tools::Tool;

use super::Kind;
use super::findings::{Findings, Problem};
use super::format::{File, Template};

/// One file's office.
pub fn office(findings: &mut Findings<'_>) {
    agents(findings);
    leads(findings);
    messages(findings);
    settings(findings);
}

/// What the company templates must have together, since each company gets all of them.
pub fn counts(files: &[File], problems: &mut Vec<Problem>) {
    let company: Vec<&File> = files.iter().filter(|file| file.kind == Kind::Company).collect();
    let Some(first) = company.first() else { return };
    let mut tell = |text: String| problems.push(Problem { path: first.path.clone(), line: None, text });
    let mut at_least = |what: &str, count: fn(&Template) -> usize, wanted: usize| {
        let count: usize = company.iter().map(|file| count(&file.template)).sum();
        if count < wanted {
            tell(format!("the company templates have {count} {what}; add {} more", wanted - count));
        }
    };
    at_least("agents", |it| it.agents.len(), 12);
    at_least("categories", |it| it.categories.len(), 6);
    at_least("stages", |it| it.stages.len(), 5);
    at_least("messages", |it| it.messages.len(), 30);
    at_least("follow-up steps", |it| it.follow_ups.len(), 8);
    at_least("notifications", |it| it.notifications.len(), 20);
    at_least("permissions", |it| it.permissions.len(), 20);
    at_least("checklist items", |it| it.checklist.len(), 15);
    at_least("labels", |it| it.labels.len(), 8);
    at_least("ways to pay", |it| it.payment_methods.len(), 4);
    at_least("holidays", |it| it.closures.len(), 4);
    let agents = company.iter().flat_map(|file| &file.template.agents);
    let defaults = agents.filter(|agent| agent.as_ref().default).count();
    if defaults != 1 {
        tell(format!("{defaults} agents have default = true; exactly one must answer when none is named"));
    }
    let messages: BTreeSet<&str> = company
        .iter()
        .flat_map(|file| &file.template.messages)
        .map(|row| row.as_ref().slug.as_str())
        .collect();
    for file in files {
        for row in &file.template.follow_ups {
            let message = &row.as_ref().message;
            if !messages.contains(message.as_str()) {
                let text = format!("follow-up: there is no message `{message}` in the company templates");
                problems.push(Problem { path: file.path.clone(), line: Some(file.line(row)), text });
            }
        }
    }
}

fn agents(findings: &mut Findings<'_>) {
    let it = &findings.file.template;
    let agents: BTreeSet<&str> = it.agents.iter().map(|row| row.as_ref().slug.as_str()).collect();
    for row in &it.agents {
        let agent = row.as_ref();
        let what = format!("agent `{}`", agent.slug);
        let mut tools = BTreeSet::new();
        for tool in &agent.tools {
            if Tool::named(tool).is_none() {
                let known: Vec<_> = Tool::ALL.into_iter().map(Tool::name).collect();
                findings
                    .at(row, format!("{what}: there is no tool `{tool}`; there are {}", known.join(", ")));
            }
            if !tools.insert(tool) {
                findings.at(row, format!("{what} has the tool `{tool}` twice; remove one"));
            }
        }
        for starter in &agent.starters {
            if !(3..=60).contains(&starter.chars().count()) {
                findings.at(row, format!("{what}: starter `{starter}`: write 3 to 60 characters"));
            }
        }
        let mut colleagues = BTreeSet::new();
        for handoff in &agent.handoffs {
            let to = handoff.to.as_str();
            if !agents.contains(to) || to == agent.slug || !colleagues.insert(to) {
                findings.at(row, format!("{what}: handoff to `{to}`: name another agent of this file, once"));
            }
            findings.words(row, &format!("{what}: handoff to `{to}`: when"), &handoff.when, 3, 25);
        }
    }
}

fn leads(findings: &mut Findings<'_>) {
    let it = &findings.file.template;
    findings.slugs("stage", &it.stages, |row| &row.slug);
    for row in &it.stages {
        if !matches!(row.as_ref().outcome.as_str(), "open" | "won" | "lost") {
            findings.at(row, format!("stage `{}`: outcome is open, won or lost", row.as_ref().slug));
        }
        if row.as_ref().stale_days.is_some_and(|days| !(1..=365).contains(&days)) {
            findings.at(row, format!("stage `{}`: stale_days takes 1 to 365", row.as_ref().slug));
        }
    }
    if it.stages.first().is_some_and(|row| row.as_ref().outcome != "open") {
        findings.whole("the first stage is where new leads begin; its outcome must be open".to_owned());
    }
    for row in &it.labels {
        let label = row.as_ref();
        let digits = label.color.strip_prefix('#').unwrap_or("");
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            findings.at(row, format!("label `{}`: color `{}`: write #rrggbb", label.name, label.color));
        }
        findings.synonyms(row, &format!("label `{}`: words", label.name), &label.words, 2);
    }
}

fn messages(findings: &mut Findings<'_>) {
    let it = &findings.file.template;
    findings.slugs("message", &it.messages, |row| &row.slug);
    for row in &it.messages {
        let message = row.as_ref();
        let what = format!("message `{}`", message.slug);
        let is_email = message.channel == "email";
        if !matches!(message.channel.as_str(), "email" | "text" | "chat") {
            findings.at(row, format!("{what}: channel is email, text or chat"));
        }
        if is_email == message.subject.is_empty() {
            findings.at(
                row,
                format!("{what}: an e-mail has a subject of 1 to 70 characters, nothing else has one"),
            );
        }
        if message.subject.chars().count() > 70 {
            findings.at(row, format!("{what}: the subject is longer than 70 characters; shorten it"));
        }
        let most = if message.channel == "text" { 32 } else { 120 };
        findings.words(row, &format!("{what}: body"), &message.body, 5, most);
        if message.body.matches('[').count() != message.body.matches(']').count() {
            findings.at(row, format!("{what}: a gap in [square brackets] is not closed"));
        }
    }
}

fn settings(findings: &mut Findings<'_>) {
    let it = &findings.file.template;
    for row in &it.notifications {
        let setting = row.as_ref();
        let dotted = setting.event.split_once('.').is_some_and(|(thing, what)| {
            let word =
                |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            word(thing) && word(what)
        });
        let known = matches!(setting.channel.as_str(), "email" | "text" | "dashboard")
            && matches!(setting.role.as_str(), "member" | "admin" | "owner");
        if !dotted || !known {
            let event = &setting.event;
            findings.at(row, format!("notification `{event}`: write lead.new, by email, text or dashboard, to member, admin or owner"));
        }
    }
    for row in &it.permissions {
        let (role, permission) = (row.as_ref().role.as_str(), row.as_ref().permission.as_str());
        if !bulkhead::roles::is_permission(permission) || !matches!(role, "member" | "admin") {
            findings.at(row, format!("permission `{permission}` of `{role}`: write one that src/roles.rs has, of member or admin"));
        }
    }
    findings.slugs("checklist item", &it.checklist, |row| &row.slug);
    for row in &it.checklist {
        if !matches!(row.as_ref().kind.as_str(), "task" | "fact") {
            findings.at(row, format!("checklist item `{}`: kind is task or fact", row.as_ref().slug));
        }
    }
    for row in &it.closures {
        let day = row.as_ref();
        let sensible = match (day.day, day.weekday, day.nth) {
            (Some(on), None, None) => (1..=last_day(day.month)).contains(&on),
            (None, Some(weekday), Some(nth)) => (1..=7).contains(&weekday) && (1..=5).contains(&nth),
            _ => false,
        };
        if !sensible || !(1..=12).contains(&day.month) {
            findings
                .at(row, format!("holiday `{}`: give month and day, or month, weekday and nth", day.name));
        }
    }
}

/// The last day that a month has every year.
fn last_day(month: i32) -> i32 {
    match month {
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
