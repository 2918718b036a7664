//! What a company lets its agents spend: read, changed, and what passed its shares.
//!
//! It never caches: each turn reads it in its own batch, so a change holds for the next turn.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::company::AUDIT_ADD;
use crate::error::Error;
use crate::ids::AuditId;
use crate::ledger::{ALERT_LIST, Alert};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// Limits, and what the ledger says was used of them.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Budget {
    /// Most that model calls may cost a day, micro-dollars.
    pub daily_limit_microusd: u64,
    /// Most tokens of model calls a month, input and output: the company's own limit, else the plan's.
    pub monthly_tokens: u64,
    /// Longest answer, tokens.
    pub max_output_tokens: u32,
    /// Most questions a visitor may ask a minute.
    pub visitor_turns_per_minute: u32,
    /// Most questions a minute from one network address.
    pub address_turns_per_minute: u32,
    /// Most questions a minute from all visitors.
    pub company_turns_per_minute: u32,
    /// Most answers by a model on their way at once.
    pub concurrent_turns: u32,
    /// Most questions in one conversation.
    pub conversation_questions: u32,
    /// A cheaper model than the agent asks for may answer.
    pub cheaper_models: bool,
    /// Without a model the best entry may answer word for word.
    pub knowledge_answers: bool,
    /// The operator's models may answer: the company wants it, and its plan includes them.
    pub platform_models: bool,
    /// What the ledger says was spent today, micro-dollars.
    pub ledger_spent_microusd: u64,
    /// What the ledger says was used this month, tokens.
    pub ledger_tokens: u64,
}

impl Budget {
    /// The limits that Redis keeps to, as it keeps them: numbers in the order in which [`OPEN`](crate::limiter::scripts::OPEN)
    /// reads them, separated by colons.
    #[must_use]
    pub fn limits(&self) -> String {
        format!(
            "{}:{}:{}:{}:{}:{}",
            self.daily_limit_microusd,
            self.monthly_tokens,
            self.visitor_turns_per_minute,
            self.address_turns_per_minute,
            self.company_turns_per_minute,
            self.concurrent_turns,
        )
    }
}

/// `GET /v1/budget`: the limits, what was spent today and used this month according to the ledger, and the alerts.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member) -> Result<Response<Body>, Error> {
    let today = member.scope.day(member.scope.platform().now_ms());
    let mut batch = member.scope.batch();
    let budget = batch.add::<Budget>(BUDGET_READ, params![&today]);
    let alerts = batch.add::<Alert>(ALERT_LIST, params![]);
    let mut rows = batch.send().await?;
    let mut shown = shown(&rows.one(budget)?, &today);
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("alerts".to_owned(), json!(rows.all(alerts)?));
    }
    answer(StatusCode::OK, &shown)
}

/// `PATCH /v1/budget`: changes what is given; the next turn already keeps to it.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<Change>().await?;
    new.check()?;
    let platform = member.scope.platform();
    let today = member.scope.day(platform.now_ms());
    let mut batch = member.scope.batch();
    batch.run(
        BUDGET_CHANGE,
        params![
            new.daily_limit_microusd,
            new.monthly_tokens,
            new.max_output_tokens,
            new.visitor_turns_per_minute,
            new.address_turns_per_minute,
            new.company_turns_per_minute,
            new.concurrent_turns,
            new.conversation_questions,
            new.cheaper_models,
            new.knowledge_answers,
            new.platform_models,
        ],
    );
    batch.run(AUDIT_ADD, params![AuditId::new(platform), member.user, "budget.changed", ""]);
    let budget = batch.add::<Budget>(BUDGET_READ, params![&today]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &shown(&rows.one(budget)?, &today))
}

fn shown(budget: &Budget, today: &str) -> serde_json::Value {
    json!({
        "daily_limit_microusd": budget.daily_limit_microusd,
        "monthly_tokens": budget.monthly_tokens,
        "max_output_tokens": budget.max_output_tokens,
        "visitor_turns_per_minute": budget.visitor_turns_per_minute,
        "address_turns_per_minute": budget.address_turns_per_minute,
        "company_turns_per_minute": budget.company_turns_per_minute,
        "concurrent_turns": budget.concurrent_turns,
        "conversation_questions": budget.conversation_questions,
        "cheaper_models": budget.cheaper_models,
        "knowledge_answers": budget.knowledge_answers,
        "platform_models": budget.platform_models,
        "day": today,
        "spent_microusd": budget.ledger_spent_microusd,
        "month_tokens": budget.ledger_tokens,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    daily_limit_microusd: Option<u64>,
    monthly_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    visitor_turns_per_minute: Option<u64>,
    address_turns_per_minute: Option<u64>,
    company_turns_per_minute: Option<u64>,
    concurrent_turns: Option<u64>,
    conversation_questions: Option<u64>,
    cheaper_models: Option<bool>,
    knowledge_answers: Option<bool>,
    platform_models: Option<bool>,
}

impl Change {
    fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("daily_limit_microusd", self.daily_limit_microusd, 0, 1_000_000_000_000),
            ("monthly_tokens", self.monthly_tokens, 0, 1_000_000_000_000),
            ("max_output_tokens", self.max_output_tokens, 16, 8_000),
            ("visitor_turns_per_minute", self.visitor_turns_per_minute, 1, 600),
            ("address_turns_per_minute", self.address_turns_per_minute, 1, 6_000),
            ("company_turns_per_minute", self.company_turns_per_minute, 1, 60_000),
            ("concurrent_turns", self.concurrent_turns, 1, 10_000),
            ("conversation_questions", self.conversation_questions, 1, 10_000),
        ];
        for (name, value, from, to) in ranges {
            if value.is_some_and(|value| !(from..=to).contains(&value)) {
                return Err(Error::Invalid(format!("{name} takes {from} to {to}.")));
            }
        }
        Ok(())
    }
}

/// The budget, and what the ledger says of a day and its month so far.
pub(crate) const BUDGET_READ: TenantSql = crate::sql!(
    "select b.daily_limit_microusd, coalesce(b.monthly_tokens, n.monthly_tokens) as monthly_tokens, b.max_output_tokens,
            b.visitor_turns_per_minute, b.address_turns_per_minute, b.company_turns_per_minute, b.concurrent_turns,
            b.conversation_questions, b.cheaper_models, b.knowledge_answers,
            b.platform_models and n.platform_models as platform_models,
            coalesce(d.spent_microusd, 0) as ledger_spent_microusd,
            (select coalesce(sum(m.tokens), 0)::bigint
             from ledger_days m
             where m.company_id = b.company_id and m.day between date_trunc('month', $2::date)::date and $2::date
            ) as ledger_tokens
     from budgets b
     join subscriptions s on s.company_id = b.company_id
     join plans n on n.plan = s.plan
     left join ledger_days d on d.company_id = b.company_id and d.day = $2::date
     where b.company_id = $1"
);

const BUDGET_CHANGE: TenantSql = crate::sql!(
    "update budgets
     set daily_limit_microusd = coalesce($2, daily_limit_microusd),
         monthly_tokens = coalesce($3, monthly_tokens),
         max_output_tokens = coalesce($4, max_output_tokens),
         visitor_turns_per_minute = coalesce($5, visitor_turns_per_minute),
         address_turns_per_minute = coalesce($6, address_turns_per_minute),
         company_turns_per_minute = coalesce($7, company_turns_per_minute),
         concurrent_turns = coalesce($8, concurrent_turns),
         conversation_questions = coalesce($9, conversation_questions),
         cheaper_models = coalesce($10, cheaper_models),
         knowledge_answers = coalesce($11, knowledge_answers),
         platform_models = coalesce($12, platform_models),
         updated_at = now()
     where company_id = $1"
);
