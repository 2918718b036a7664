//! The plan: what the company subscribes to, what it allows, and what was used of it.
//!
//! It never changes it: that is the operator's.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::json as answer;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// `GET /v1/plan`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member) -> Result<Response<Body>, Error> {
    let today = member.scope.day(member.scope.platform().now_ms());
    let mut batch = member.scope.batch();
    let plan = batch.add::<Plan>(PLAN_READ, params![today]);
    answer(StatusCode::OK, &batch.send().await?.one(plan)?)
}

#[derive(Serialize, Deserialize)]
struct Plan {
    /// Short name.
    plan: String,
    name: String,
    monthly_price_cents: u32,
    /// Tokens of model calls a month that it includes.
    monthly_tokens: u64,
    /// What was used of them this month.
    month_tokens: u64,
    /// What model calls may cost a day when a company begins, micro-dollars; the budget may say otherwise.
    daily_limit_microusd: u64,
    /// The operator's own model keys may answer.
    platform_models: bool,
    started_at: String,
    /// Null: it renews.
    ends_at: Option<String>,
}

const PLAN_READ: TenantSql = crate::sql!(
    "select n.plan, n.name, n.monthly_price_cents, n.monthly_tokens, n.daily_limit_microusd, n.platform_models,
            s.started_at, s.ends_at,
            (select coalesce(sum(m.tokens), 0)::bigint
             from ledger_days m
             where m.company_id = s.company_id and m.day between date_trunc('month', $2::date)::date and $2::date
            ) as month_tokens
     from subscriptions s
     join plans n on n.plan = s.plan
     where s.company_id = $1"
);
