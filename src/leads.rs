//! Leads: visitors who say how they can be reached.
//!
//! It never shows a visitor what another one left, and never moves a lead by itself.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::idempotency::once;
use crate::ids::{ContactId, ConversationId, EventId, LeadId, VisitorId};
use crate::knowledge::check_texts;
use crate::outbox::{self, tell::LEAD_TELL};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::{Member, Visitor};
use crate::tenant::postgres::{Batch, Slot};
use crate::upkeep;

/// `POST /v1/leads`: a visitor leaves a name and a phone number or e-mail address.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::NotFound`] when the conversation named is not this visitor's.
pub async fn add(visitor: Visitor, call: Call) -> Result<Response<Body>, Error> {
    once(&visitor.scope, visitor.id, &call, add_once(&visitor, &call)).await
}

async fn add_once(visitor: &Visitor, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewLead>().await?;
    let lead = LeadId::new(visitor.scope.platform());
    let mut batch = visitor.scope.batch_once();
    let Kept { added, told } = keep(&mut batch, visitor, lead, new.check()?)?;
    let mut rows = batch.send().await?;
    rows.touched(added)?;
    outbox::deliver_told(&visitor.scope, &mut rows, told);
    answer(StatusCode::CREATED, &json!({ "lead_id": lead }))
}

/// What keeping a lead did.
pub(crate) struct Kept {
    /// The lead; none when the conversation is not the visitor's.
    pub(crate) added: Slot<()>,
    /// What was put into the outbox.
    pub(crate) told: Slot<()>,
}

/// Keeps a lead of this visitor's in this batch, and tells of it; it does neither when the conversation is not theirs.
///
/// # Errors
/// [`Error::NotFound`] when the conversation's id is none.
pub(crate) fn keep(
    batch: &mut Batch<'_>,
    visitor: &Visitor,
    lead: LeadId,
    new: NewLead,
) -> Result<Kept, Error> {
    let conversation = new
        .conversation_id
        .map(|id| id.parse::<ConversationId>().map_err(|_| Error::NotFound))
        .transpose()?;
    let platform = visitor.scope.platform();
    let contact = ContactId::new(platform);
    batch.run(CONTACT_KEEP, params![contact, visitor.id, new.name, new.email, new.phone]);
    let fields = params![lead, visitor.id, conversation, new.message.unwrap_or_default()];
    let added = batch.run(LEAD_ADD, fields);
    let told = batch.run(LEAD_TELL, params![EventId::new(platform), lead]);
    Ok(Kept { added, told })
}

/// `GET /v1/leads`, newest first.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let leads = batch.add::<Lead>(LEAD_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "leads": rows.all(leads)? }))
}

/// `GET /v1/contacts`: everybody who left a way to be reached, newest first.
///
/// # Errors
/// As every batch.
pub async fn contacts(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "contacts", CONTACT_LIST).await
}

/// `GET /v1/leads/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<LeadId>()?;
    let mut batch = member.scope.batch();
    let lead = batch.add::<Lead>(LEAD_READ, params![id]);
    answer(StatusCode::OK, &batch.send().await?.one(lead)?)
}

/// `PATCH /v1/leads/{id}`: moves it to a stage; one that is won or lost there is so as a lead, too.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for a stage that there is not.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<LeadId>()?;
    let new = call.json::<LeadChange>().await?;
    let mut batch = member.scope.batch();
    let moved = batch.run(LEAD_MOVE, params![id, &new.stage]);
    upkeep::note(&member, &mut batch, "lead.moved", &id);
    let lead = batch.add::<Lead>(LEAD_READ, params![id]);
    let mut rows = batch.send().await?;
    let lead = rows.one(lead)?;
    if rows.count(moved)? == 0 {
        return Err(Error::Invalid(format!(
            "There is no stage {:?}. GET /v1/pipeline lists them.",
            new.stage
        )));
    }
    answer(StatusCode::OK, &lead)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeadChange {
    /// A stage's short name.
    stage: String,
}

/// What somebody leaves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLead {
    name: String,
    email: Option<String>,
    phone: Option<String>,
    message: Option<String>,
    conversation_id: Option<String>,
}

impl NewLead {
    /// What came up in a conversation.
    pub(crate) fn new(
        name: String,
        email: Option<String>,
        phone: Option<String>,
        message: String,
        conversation: ConversationId,
    ) -> Self {
        Self { name, email, phone, message: Some(message), conversation_id: Some(conversation.to_string()) }
    }

    /// Itself, if it has a name and a way to be reached.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is missing.
    pub(crate) fn check(self) -> Result<Self, Error> {
        check_texts(&[
            ("name", Some(&self.name), 120),
            ("email", self.email.as_ref(), 254),
            ("phone", self.phone.as_ref(), 40),
            ("message", self.message.as_ref(), 4_000),
        ])?;
        if self.email.is_none() && self.phone.is_none() {
            return Err(Error::Invalid(
                "Give a phone number or an e-mail address, so that somebody can call back.".into(),
            ));
        }
        Ok(self)
    }
}

/// A lead, as the company's people see it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Lead {
    pub(crate) lead_id: LeadId,
    pub(crate) visitor_id: VisitorId,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) message: String,
    pub(crate) status: String,
    /// Short name of the stage; null when its stage was removed.
    pub(crate) stage: Option<String>,
    /// Whether it has waited longer there than the stage says.
    pub(crate) stale: bool,
    /// Names of the labels whose words it says.
    pub(crate) labels: Vec<String>,
    pub(crate) conversation_id: Option<ConversationId>,
    pub(crate) created_at: String,
}

/// Keeps how a visitor can be reached; what is said later counts.
const CONTACT_KEEP: TenantSql = crate::sql!(
    "insert into contacts (company_id, contact_id, visitor_id, name, email, phone)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (company_id, visitor_id) do update
     set name = excluded.name, email = coalesce(excluded.email, contacts.email),
         phone = coalesce(excluded.phone, contacts.phone)"
);

/// Nobody who only tried an agent.
const CONTACT_LIST: TenantSql = crate::sql!(
    "select k.contact_id, k.visitor_id, k.name, k.email, k.phone, k.created_at,
            (select count(*) from leads l where l.company_id = k.company_id and l.contact_id = k.contact_id) as leads
     from contacts k
     where k.company_id = $1
       and not exists (
           select from conversations c
           where c.company_id = k.company_id and c.visitor_id = k.visitor_id and c.trial)
     order by k.created_at desc, k.contact_id
     limit 5000"
);

/// A new lead begins at the first stage.
const LEAD_ADD: TenantSql = crate::sql!(
    "insert into leads (company_id, lead_id, contact_id, conversation_id, message, stage_id)
     select $1, $2, k.contact_id, c.conversation_id, $5,
            (select s.stage_id from pipeline_stages s where s.company_id = $1 order by s.position, s.slug limit 1)
     from contacts k
     left join conversations c
         on c.company_id = k.company_id and c.visitor_id = k.visitor_id and c.conversation_id = $4
     where k.company_id = $1 and k.visitor_id = $3 and (c.conversation_id is not null or $4::uuid is null)"
);

/// All leads, newest first; none that came up in a trial.
pub(crate) const LEAD_LIST: TenantSql = crate::sql!(
    "with worded as materialized (
         select b.name, b.position, string_agg('(' || q.query::text || ')', ' | ')::tsquery as query
         from labels b
         cross join lateral (
             select phraseto_tsquery('english', w) as query from regexp_split_to_table(b.words, ',') w) q
         where b.company_id = $1 and numnode(q.query) > 0
         group by b.label_id, b.name, b.position
     )
     select l.lead_id, k.visitor_id, k.name, k.email, k.phone, l.message, l.status, s.slug as stage,
            coalesce(l.moved_at < now() - make_interval(days => s.stale_days), false) as stale,
            coalesce((select jsonb_agg(w.name order by w.position, w.name)
                      from worded w, to_tsvector('english', l.message) m where m @@ w.query), '[]') as labels,
            l.conversation_id, l.created_at
     from leads l
     join contacts k on k.company_id = l.company_id and k.contact_id = l.contact_id
     left join pipeline_stages s on s.company_id = l.company_id and s.stage_id = l.stage_id
     left join conversations c on c.company_id = l.company_id and c.conversation_id = l.conversation_id
     where l.company_id = $1 and c.trial is not true
     order by l.lead_id desc
     limit 500"
);

/// One of them.
pub(crate) const LEAD_READ: TenantSql = crate::sql!(
    "with worded as materialized (
         select b.name, b.position, string_agg('(' || q.query::text || ')', ' | ')::tsquery as query
         from labels b
         cross join lateral (
             select phraseto_tsquery('english', w) as query from regexp_split_to_table(b.words, ',') w) q
         where b.company_id = $1 and numnode(q.query) > 0
         group by b.label_id, b.name, b.position
     )
     select l.lead_id, k.visitor_id, k.name, k.email, k.phone, l.message, l.status, s.slug as stage,
            coalesce(l.moved_at < now() - make_interval(days => s.stale_days), false) as stale,
            coalesce((select jsonb_agg(w.name order by w.position, w.name)
                      from worded w, to_tsvector('english', l.message) m where m @@ w.query), '[]') as labels,
            l.conversation_id, l.created_at
     from leads l
     join contacts k on k.company_id = l.company_id and k.contact_id = l.contact_id
     left join pipeline_stages s on s.company_id = l.company_id and s.stage_id = l.stage_id
     where l.company_id = $1 and l.lead_id = $2"
);

const LEAD_MOVE: TenantSql = crate::sql!(
    "update leads l
     set stage_id = s.stage_id, moved_at = case when l.stage_id = s.stage_id then l.moved_at else now() end,
         status = case when s.outcome <> 'open' then s.outcome
                       when s.position = (select min(f.position) from pipeline_stages f where f.company_id = $1) then 'new'
                       else 'contacted'
                  end
     from pipeline_stages s
     where l.company_id = $1 and l.lead_id = $2 and s.company_id = l.company_id and s.slug = $3"
);
