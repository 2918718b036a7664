//! Replies: messages that a company wrote once, to send by e-mail, to a phone or in a chat; and when it follows up with them.
//!
//! It never sends one.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::agents::check_slug;
use crate::error::Error;
use crate::fields::or_default;
use crate::idempotency::once;
use crate::ids::{MessageTemplateId, StepId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// `GET /v1/replies`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "replies", REPLY_LIST).await
}

/// `POST /v1/replies`: adds a message of the company's own.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the short name is taken.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewReply>().await?;
    check_slug(&new.slug)?;
    check_texts(&[("name", Some(&new.name), 120), ("body", Some(&new.body), 4_000)])?;
    check_subject(Some(&new.subject))?;
    if (new.channel == Channel::Email) == new.subject.is_empty() {
        return Err(Error::Invalid(
            "An e-mail has a subject; a text message or a chat reply has none.".into(),
        ));
    }
    let id = MessageTemplateId::new(member.scope.platform());
    let row = Row { id, read: REPLY_READ, action: "reply.added" };
    let fields = params![id, new.slug, new.channel.as_str(), new.name, new.subject, new.body];
    row.written(member, StatusCode::CREATED, vec![(REPLY_ADD, fields)]).await
}

/// `PATCH /v1/replies/{id}`: changes what is given; the message is the company's own from then on.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<MessageTemplateId>()?;
    let new = call.json::<ReplyChange>().await?;
    check_texts(&[("name", new.name.as_ref(), 120), ("body", new.body.as_ref(), 4_000)])?;
    check_subject(new.subject.as_ref())?;
    let row = Row { id, read: REPLY_READ, action: "reply.changed" };
    let fields = params![id, new.name, new.subject, new.body];
    row.written(&member, StatusCode::OK, vec![(REPLY_CHANGE, fields)]).await
}

/// `DELETE /v1/replies/{id}`, and the steps that would send it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<MessageTemplateId>()?;
    let statements = vec![(REPLY_FORGET, params![id]), (REPLY_REMOVE, params![id])];
    upkeep::removed(&member, "reply.removed", &id, statements).await
}

/// `GET /v1/follow-ups`: who is written to, when, and with what.
///
/// # Errors
/// As every batch.
pub async fn step_list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "steps", STEP_LIST).await
}

/// `PATCH /v1/follow-ups/{id}`: when, and whether at all.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn step_change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<StepId>()?;
    let new = call.json::<StepChange>().await?;
    if new.after_hours.is_some_and(|hours| hours > 8_760) {
        return Err(Error::Invalid("after_hours takes 0 to 8760, which is a year.".into()));
    }
    let row = Row { id, read: STEP_READ, action: "follow-up.changed" };
    let fields = params![id, new.after_hours, new.enabled];
    row.written(&member, StatusCode::OK, vec![(STEP_CHANGE, fields)]).await
}

fn check_subject(subject: Option<&String>) -> Result<(), Error> {
    check_texts(&[("subject", subject.filter(|subject| !subject.is_empty()), 200)])
}

/// How a message goes out.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Channel {
    Email,
    Text,
    Chat,
}

impl Channel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Text => "text",
            Self::Chat => "chat",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewReply {
    slug: String,
    channel: Channel,
    name: String,
    #[serde(deserialize_with = "or_default")]
    subject: String,
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyChange {
    name: Option<String>,
    subject: Option<String>,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepChange {
    after_hours: Option<u32>,
    enabled: Option<bool>,
}

const REPLY_LIST: TenantSql = crate::sql!(
    "select message_template_id, slug, channel, name, subject, body, origin, updated_at
     from message_templates
     where company_id = $1
     order by channel, position, slug"
);

const REPLY_READ: TenantSql = crate::sql!(
    "select message_template_id, slug, channel, name, subject, body, origin, updated_at
     from message_templates
     where company_id = $1 and message_template_id = $2"
);

const REPLY_ADD: TenantSql = crate::sql!(
    "insert into message_templates (company_id, message_template_id, slug, channel, name, subject, body, position)
     values ($1, $2, $3, $4, $5, $6, $7, 1000)"
);

/// Only an e-mail has a subject.
const REPLY_CHANGE: TenantSql = crate::sql!(
    "update message_templates
     set name = coalesce($3, name), subject = case when channel = 'email' then coalesce($4, subject) else '' end,
         body = coalesce($5, body), origin = 'company', updated_at = now()
     where company_id = $1 and message_template_id = $2"
);

const REPLY_FORGET: TenantSql = crate::sql!(
    "insert into removals (company_id, kind, slug)
     select $1, 'message', m.slug
     from message_templates m
     where m.company_id = $1 and m.message_template_id = $2 and m.origin_version is not null
     on conflict (company_id, kind, slug) do nothing"
);

const REPLY_REMOVE: TenantSql =
    crate::sql!("delete from message_templates where company_id = $1 and message_template_id = $2");

const STEP_LIST: TenantSql = crate::sql!(
    "select f.step_id, f.sequence, f.after_hours, f.message, m.name, m.channel, f.enabled
     from follow_up_steps f
     join message_templates m on m.company_id = f.company_id and m.slug = f.message
     where f.company_id = $1
     order by f.sequence, f.after_hours, f.message"
);

const STEP_READ: TenantSql = crate::sql!(
    "select f.step_id, f.sequence, f.after_hours, f.message, m.name, m.channel, f.enabled
     from follow_up_steps f
     join message_templates m on m.company_id = f.company_id and m.slug = f.message
     where f.company_id = $1 and f.step_id = $2"
);

const STEP_CHANGE: TenantSql = crate::sql!(
    "update follow_up_steps
     set after_hours = coalesce($3, after_hours), enabled = coalesce($4, enabled)
     where company_id = $1 and step_id = $2"
);
