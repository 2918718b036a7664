//! The office in a template file: stages, messages, settings and lists, and the rows that become of them. It judges nothing.

use serde::Deserialize;
use serde_json::{Value, json};

use super::format::Template;
use super::rows::{flowing, numbered};

/// A stage of a lead's way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub slug: String,
    pub name: String,
    pub outcome: String,
    /// Days after which a lead here has waited too long.
    pub stale_days: Option<i32>,
}

/// What a lead is about, told by its words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    pub name: String,
    /// `#rrggbb`.
    pub color: String,
    pub words: String,
}

/// A message written once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub slug: String,
    /// email, text or chat.
    pub channel: String,
    pub name: String,
    /// Of an e-mail only.
    #[serde(default)]
    pub subject: String,
    pub body: String,
}

/// A message that is sent some time after something happened.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowUp {
    pub sequence: String,
    pub after_hours: i32,
    /// A message's slug.
    pub message: String,
}

/// Who is told of what, and how.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    pub event: String,
    /// email, text or dashboard.
    pub channel: String,
    pub role: String,
    pub enabled: bool,
}

/// What a role may do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    pub role: String,
    pub permission: String,
    pub allowed: bool,
}

/// Something that an owner does or confirms.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub slug: String,
    /// task or fact.
    pub kind: String,
    pub title: String,
    pub help: String,
}

/// A holiday: a day of a month, or the nth weekday of one (5: the last).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closure {
    pub name: String,
    pub month: i32,
    pub day: Option<i32>,
    pub weekday: Option<i32>,
    pub nth: Option<i32>,
}

/// A way to pay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaymentMethod {
    pub name: String,
    pub accepted: bool,
    pub note: String,
}

/// The office's rows, each with the table that it goes to; keys are that table's columns.
pub fn rows_of(it: &Template) -> Vec<(&'static str, Value)> {
    let template = it.slug.as_ref().as_str();
    let mut rows = Vec::new();
    let mut add = |table, row| rows.push((table, row));
    for (_, agent) in numbered(&it.agents) {
        for tool in &agent.tools {
            add("template_agent_tools", json!({"template": template, "agent": agent.slug, "tool": tool}));
        }
        for (position, body) in (1..).zip(&agent.starters) {
            let position: i32 = position;
            add(
                "template_agent_starters",
                json!({"template": template, "agent": agent.slug, "body": body, "position": position}),
            );
        }
        for handoff in &agent.handoffs {
            add(
                "template_agent_handoffs",
                json!({"template": template, "agent": agent.slug, "to_agent": handoff.to, "reason": handoff.when}),
            );
        }
    }
    for (position, row) in numbered(&it.stages) {
        add(
            "template_stages",
            json!({
                "template": template, "slug": row.slug, "name": row.name, "outcome": row.outcome,
                "stale_days": row.stale_days, "position": position,
            }),
        );
    }
    for (position, row) in numbered(&it.labels) {
        add(
            "template_labels",
            json!({
                "template": template, "name": row.name, "color": row.color, "words": row.words, "position": position,
            }),
        );
    }
    for (position, row) in numbered(&it.messages) {
        add(
            "template_messages",
            json!({
                "template": template, "slug": row.slug, "channel": row.channel, "name": row.name,
                "subject": row.subject, "body": flowing(&row.body), "position": position,
            }),
        );
    }
    for (_, row) in numbered(&it.follow_ups) {
        add(
            "template_follow_ups",
            json!({
                "template": template, "sequence": row.sequence, "after_hours": row.after_hours, "message": row.message,
            }),
        );
    }
    for (_, row) in numbered(&it.notifications) {
        add(
            "template_notifications",
            json!({
                "template": template, "event": row.event, "channel": row.channel, "role": row.role,
                "enabled": row.enabled,
            }),
        );
    }
    for (_, row) in numbered(&it.permissions) {
        add(
            "template_permissions",
            json!({
                "template": template, "role": row.role, "permission": row.permission, "allowed": row.allowed,
            }),
        );
    }
    for (position, row) in numbered(&it.checklist) {
        add(
            "template_checklist",
            json!({
                "template": template, "slug": row.slug, "kind": row.kind, "title": row.title, "help": row.help,
                "position": position,
            }),
        );
    }
    for (_, row) in numbered(&it.closures) {
        add(
            "template_closures",
            json!({
                "template": template, "name": row.name, "month": row.month, "day": row.day, "weekday": row.weekday,
                "nth": row.nth,
            }),
        );
    }
    for (position, row) in numbered(&it.payment_methods) {
        add(
            "template_payment_methods",
            json!({
                "template": template, "name": row.name, "accepted": row.accepted, "note": row.note,
                "position": position,
            }),
        );
    }
    rows
}
