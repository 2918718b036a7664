//! The pipeline: the stages of a lead, from the first word to paid or lost.
//!
//! It never moves a lead by itself: staff do.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::agents::check_slug;
use crate::error::Error;
use crate::idempotency::once;
use crate::ids::StageId;
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::Call;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// `GET /v1/pipeline`: the stages in order, and how many leads stand in each.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "stages", STAGE_LIST).await
}

/// `POST /v1/pipeline`: adds a stage behind the others.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the short name is taken.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewStage>().await?;
    check_slug(&new.slug)?;
    check_texts(&[("name", Some(&new.name), 120)])?;
    check_days(new.stale_days)?;
    let id = StageId::new(member.scope.platform());
    let fields = params![id, new.slug, new.name, new.outcome.as_str(), new.stale_days];
    let row = Row { id, read: STAGE_READ, action: "stage.added" };
    row.written(member, StatusCode::CREATED, vec![(STAGE_ADD, fields)]).await
}

/// `PATCH /v1/pipeline/{id}`: changes what is given.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<StageId>()?;
    let new = call.json::<StageChange>().await?;
    check_texts(&[("name", new.name.as_ref(), 120)])?;
    check_days(new.stale_days)?;
    if new.position.is_some_and(|position| position > 1_000) {
        return Err(Error::Invalid("position takes 0 to 1000.".into()));
    }
    let fields = params![id, new.name, new.outcome.map(Outcome::as_str), new.stale_days, new.position];
    let row = Row { id, read: STAGE_READ, action: "stage.changed" };
    row.written(&member, StatusCode::OK, vec![(STAGE_CHANGE, fields)]).await
}

/// `DELETE /v1/pipeline/{id}`: its leads stay, without a stage.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<StageId>()?;
    upkeep::removed(&member, "stage.removed", &id, vec![(STAGE_REMOVE, params![id])]).await
}

fn check_days(days: Option<u32>) -> Result<(), Error> {
    match days {
        Some(0 | 366..) => Err(Error::Invalid("stale_days takes 1 to 365.".into())),
        _ => Ok(()),
    }
}

/// What a stage means for the lead.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Open,
    Won,
    Lost,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

/// A stage, and how many leads stand in it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) stage_id: StageId,
    pub(crate) slug: String,
    pub(crate) name: String,
    outcome: Outcome,
    pub(crate) stale_days: Option<u32>,
    pub(crate) position: u32,
    pub(crate) leads: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewStage {
    slug: String,
    name: String,
    outcome: Outcome,
    stale_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageChange {
    name: Option<String>,
    outcome: Option<Outcome>,
    stale_days: Option<u32>,
    position: Option<u32>,
}

/// The stages in order.
pub(crate) const STAGE_LIST: TenantSql = crate::sql!(
    "select s.stage_id, s.slug, s.name, s.outcome, s.stale_days, s.position,
            (select count(*) from leads l where l.company_id = s.company_id and l.stage_id = s.stage_id) as leads
     from pipeline_stages s
     where s.company_id = $1
     order by s.position, s.slug"
);

const STAGE_READ: TenantSql = crate::sql!(
    "select s.stage_id, s.slug, s.name, s.outcome, s.stale_days, s.position,
            (select count(*) from leads l where l.company_id = s.company_id and l.stage_id = s.stage_id) as leads
     from pipeline_stages s
     where s.company_id = $1 and s.stage_id = $2"
);

const STAGE_ADD: TenantSql = crate::sql!(
    "insert into pipeline_stages (company_id, stage_id, slug, name, outcome, stale_days, position)
     select $1, $2, $3, $4, $5, $6, 1 + coalesce(max(s.position), 0)
     from pipeline_stages s
     where s.company_id = $1"
);

const STAGE_CHANGE: TenantSql = crate::sql!(
    "update pipeline_stages
     set name = coalesce($3, name), outcome = coalesce($4, outcome), stale_days = coalesce($5, stale_days),
         position = coalesce($6, position)
     where company_id = $1 and stage_id = $2"
);

const STAGE_REMOVE: TenantSql =
    crate::sql!("delete from pipeline_stages where company_id = $1 and stage_id = $2");
