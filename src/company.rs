//! The company itself: what it is and where it is found, its budget, its audit log.
//!
//! It never changes what was spent: the ledger does that, once a model call.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::error::Error;
use crate::ids::AuditId;
use crate::knowledge::check_texts;
use crate::limiter::{self, Budget};
use crate::params;
use crate::platform::Body;
use crate::provisioning::slug;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// `GET /v1/company`.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let company = batch.add::<Shown>(COMPANY_READ, params![member.user]);
    let mut rows = batch.send().await?;
    let shown = rows.one(company)?;
    let scope = &member.scope;
    answer(
        StatusCode::OK,
        &json!({
            "company_id": scope.company_id(),
            "slug": scope.slug(),
            "name": shown.name,
            "industry": scope.industry(),
            "plan": shown.plan,
            "url": scope.app().config.root.company_url(scope.slug()),
            "entries_to_confirm": shown.entries_to_confirm,
            "you": { "user_id": member.user, "name": shown.user_name, "role": shown.role },
        }),
    )
}

/// `PATCH /v1/company`: another name, another address, or both. The old address answers no more, and nobody else gets it:
/// whoever knew it must not meet another company there. Its company may take it back.
///
/// # Errors
/// [`Error::Invalid`] for the body, [`Error::Conflict`] when the address is taken or was changed too often.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<CompanyChange>().await?;
    check_texts(&[("company's name", new.name.as_ref(), 120)])?;
    new.slug.as_deref().map_or(Ok(()), slug::check)?;
    let mut batch = member.scope.batch();
    let taken = new.slug.as_ref().map(|slug| {
        let taken = batch.run(HOST_TAKE, params![slug]);
        batch.run(HOST_RELEASE, params![slug]);
        taken
    });
    batch.run(COMPANY_CHANGE, params![new.name, new.slug.clone()]);
    let platform = member.scope.platform();
    batch.run(
        AUDIT_ADD,
        params![AuditId::new(platform), member.user, "company.changed", new.slug.unwrap_or_default()],
    );
    let company = batch.add::<Named>(COMPANY_NAMED, params![]);
    let mut rows = batch.send().await?;
    if let Some(taken) = taken {
        rows.touched(taken)?;
    }
    let named = rows.one(company)?;
    let url = member.scope.app().config.root.company_url(&named.slug);
    answer(StatusCode::OK, &json!({ "name": named.name, "slug": named.slug, "url": url }))
}

/// `GET /v1/budget`: the limits, and what was spent today (UTC) according to the ledger.
///
/// # Errors
/// As every batch.
pub async fn budget(member: Member) -> Result<Response<Body>, Error> {
    let today = limiter::day(member.scope.platform().now_ms());
    let mut batch = member.scope.batch();
    let budget = batch.add::<Budget>(BUDGET_READ, params![&today]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &shown(&rows.one(budget)?, &today))
}

/// `PATCH /v1/budget`: changes what is given; the next turn already keeps to it.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn budget_change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<BudgetChange>().await?;
    let within = |name: &str, value: Option<u64>, from: u64, to: u64| match value {
        Some(value) if !(from..=to).contains(&value) => {
            Err(Error::Invalid(format!("{name} takes {from} to {to}.")))
        }
        _ => Ok(()),
    };
    within("daily_limit_microusd", new.daily_limit_microusd, 0, 1_000_000_000_000)?;
    within("max_output_tokens", new.max_output_tokens, 16, 8_000)?;
    within("visitor_turns_per_minute", new.visitor_turns_per_minute, 1, 600)?;
    let platform = member.scope.platform();
    let today = limiter::day(platform.now_ms());
    let mut batch = member.scope.batch();
    let fields = params![new.daily_limit_microusd, new.max_output_tokens, new.visitor_turns_per_minute];
    batch.run(BUDGET_CHANGE, fields);
    batch.run(AUDIT_ADD, params![AuditId::new(platform), member.user, "budget.changed", ""]);
    let budget = batch.add::<Budget>(BUDGET_READ, params![&today]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &shown(&rows.one(budget)?, &today))
}

fn shown(budget: &Budget, today: &str) -> serde_json::Value {
    json!({
        "daily_limit_microusd": budget.daily_limit_microusd,
        "max_output_tokens": budget.max_output_tokens,
        "visitor_turns_per_minute": budget.visitor_turns_per_minute,
        "day": today,
        "spent_microusd": budget.ledger_spent_microusd,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CompanyChange {
    name: Option<String>,
    slug: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    slug: String,
}

#[derive(Deserialize)]
struct Shown {
    name: String,
    plan: String,
    entries_to_confirm: u32,
    user_name: String,
    role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BudgetChange {
    daily_limit_microusd: Option<u64>,
    max_output_tokens: Option<u64>,
    visitor_turns_per_minute: Option<u64>,
}

const COMPANY_READ: TenantSql = crate::sql!(
    "select c.name, s.plan, u.name as user_name, m.role,
            (select count(*) from knowledge_entries e where e.company_id = c.company_id and e.to_confirm) as entries_to_confirm
     from companies c
     join subscriptions s on s.company_id = c.company_id
     join memberships m on m.company_id = c.company_id and m.user_id = $2
     join users u on u.company_id = m.company_id and u.user_id = m.user_id
     where c.company_id = $1"
);

/// Guards the batch: a company that gives up one address after another would keep them all from others.
const HOST_TAKE: TenantSql = crate::sql!(
    "insert into hosts (company_id, host, kind)
     select $1, case when count(*) < 5 then $2 else refuse('BH409') end, 'slug'
     from hosts h
     where h.company_id = $1 and h.released_at > now() - interval '1 year'
     on conflict (company_id, host) do update set released_at = null"
);

const HOST_RELEASE: TenantSql = crate::sql!(
    "update hosts
     set released_at = now()
     where company_id = $1 and kind = 'slug' and host <> $2 and released_at is null"
);

const COMPANY_CHANGE: TenantSql = crate::sql!(
    "update companies set name = coalesce($2, name), slug = coalesce($3, slug) where company_id = $1"
);

const COMPANY_NAMED: TenantSql = crate::sql!("select name, slug from companies where company_id = $1");

/// The budget, and what the ledger says of a day.
pub(crate) const BUDGET_READ: TenantSql = crate::sql!(
    "select b.daily_limit_microusd, b.max_output_tokens, b.visitor_turns_per_minute,
            coalesce(d.spent_microusd, 0) as ledger_spent_microusd
     from budgets b
     left join ledger_days d on d.company_id = b.company_id and d.day = $2::date
     where b.company_id = $1"
);

const BUDGET_CHANGE: TenantSql = crate::sql!(
    "update budgets
     set daily_limit_microusd = coalesce($2, daily_limit_microusd),
         max_output_tokens = coalesce($3, max_output_tokens),
         visitor_turns_per_minute = coalesce($4, visitor_turns_per_minute),
         updated_at = now()
     where company_id = $1"
);

/// Notes that a member did something to something.
pub(crate) const AUDIT_ADD: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, user_id, action, target)
     values ($1, $2, 'member', $3, $4, $5)"
);
