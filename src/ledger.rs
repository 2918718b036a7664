//! The usage ledger: the truth about spending, one row a model call, with its sums and the alerts that follow from them.
//!
//! It never changes a row: what was spent was spent.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::ids::{AgentId, ConversationId, ProviderId};
use crate::limiter::Bill;
use crate::params;
use crate::platform::Body;
use crate::routes::json as answer;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::tenant::postgres::{Batch, Slot};

/// Adds what a turn spent to its last batch; harmless to repeat. It gives what was put into the outbox.
pub(crate) fn enter(
    batch: &mut Batch<'_>,
    bill: &Bill,
    conversation: ConversationId,
    agent: AgentId,
) -> Option<Slot<()>> {
    for (call, spend) in (1_u32..).zip(bill.spends()) {
        batch.run(
            LEDGER_ADD,
            params![
                bill.reservation(),
                call,
                bill.day(),
                conversation,
                agent,
                spend.provider,
                &spend.model,
                spend.reason.as_str(),
                spend.usage.input_tokens,
                spend.usage.output_tokens,
                spend.cost_microusd,
                spend.estimated,
            ],
        );
    }
    (!bill.spends().is_empty()).then(|| batch.run(ALERT_ADD, params![bill.day()]))
}

/// `GET /v1/usage`: the last model calls, newest first, each with why the SmartRouter chose its model; and the last days'
/// sums.
///
/// # Errors
/// As every batch.
pub async fn usage(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let calls = batch.add::<Entry>(ENTRY_LIST, params![]);
    let days = batch.add::<Day>(DAY_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "calls": rows.all(calls)?, "days": rows.all(days)? }))
}

/// An alert, as a company's people see it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Alert {
    period: String,
    starts: String,
    percent: u32,
    used: u64,
    allowed: u64,
    created_at: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    created_at: String,
    day: String,
    conversation_id: ConversationId,
    agent: Option<String>,
    provider_id: ProviderId,
    provider: Option<String>,
    model: String,
    routing: String,
    call: u32,
    input_tokens: u32,
    output_tokens: u32,
    cost_microusd: u64,
    estimated: bool,
}

#[derive(Serialize, Deserialize)]
struct Day {
    day: String,
    spent_microusd: u64,
    tokens: u64,
    turns: u32,
}

/// Writes a model call into the ledger and its day's sums, once, however often it is offered.
const LEDGER_ADD: TenantSql = crate::sql!(
    "with added as (
         insert into usage_ledger (company_id, reservation_id, call, day, conversation_id, agent_id, provider_id, model,
                                   routing, input_tokens, output_tokens, cost_microusd, estimated)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (company_id, reservation_id, call) do nothing
         returning company_id, day, agent_id, cost_microusd, input_tokens::bigint + output_tokens as tokens
     ),
     by_agent as (
         insert into ledger_agent_days (company_id, day, agent_id, spent_microusd)
         select $1, day, agent_id, cost_microusd
         from added
         where company_id = $1
         on conflict (company_id, day, agent_id) do update
         set spent_microusd = ledger_agent_days.spent_microusd + excluded.spent_microusd
     )
     insert into ledger_days (company_id, day, spent_microusd, tokens, turns)
     select $1, day, cost_microusd, tokens, 1
     from added
     where company_id = $1
     on conflict (company_id, day) do update
     set spent_microusd = ledger_days.spent_microusd + excluded.spent_microusd,
         tokens = ledger_days.tokens + excluded.tokens, turns = ledger_days.turns + 1"
);

/// Notes each share of the day's money and the month's tokens that is passed now, once, and tells the company's people of the
/// highest.
const ALERT_ADD: TenantSql = crate::sql!(
    "with alerted as (
         insert into budget_alerts (company_id, period, starts, percent, used, allowed)
         select $1, u.period, u.starts, p.percent, u.used, u.allowed
         from budgets b
         join subscriptions s on s.company_id = b.company_id
         join plans n on n.plan = s.plan
         cross join lateral (
             select 'day' as period, $2::date as starts, d.spent_microusd as used, b.daily_limit_microusd as allowed
             from ledger_days d
             where d.company_id = b.company_id and d.day = $2::date
             union all
             select 'month', date_trunc('month', $2::date)::date, sum(d.tokens)::bigint,
                    coalesce(b.monthly_tokens, n.monthly_tokens)
             from ledger_days d
             where d.company_id = b.company_id and d.day between date_trunc('month', $2::date)::date and $2::date
         ) u
         cross join unnest(array[50, 80, 100]) as p(percent)
         where b.company_id = $1 and u.allowed > 0 and u.used::numeric * 100 >= u.allowed::numeric * p.percent
         on conflict (company_id, period, starts, percent) do nothing
         returning company_id, period, starts, percent, used, allowed
     ),
     highest as (
         select distinct on (period) company_id, period, starts, percent, used, allowed
         from alerted
         where company_id = $1
         order by period, percent desc
     ),
     noticed as (
         insert into notices (company_id, notice_id, kind, body)
         select $1, gen_random_uuid(), 'budget',
                case period when 'day' then format('%s %% of the day''s budget for model calls is used.', percent)
                            else format('%s %% of the month''s tokens are used.', percent) end
         from highest
         where company_id = $1
     )
     select t as delivery_id
     from highest a
     cross join lateral tell(
         $1, gen_random_uuid(), case when a.percent < 100 then 'budget.nearly_spent' else 'budget.spent' end,
         jsonb_build_object('period', a.period, 'starts', a.starts, 'percent', a.percent, 'used', a.used, 'allowed', a.allowed)) t
     where a.company_id = $1"
);

const ENTRY_LIST: TenantSql = crate::sql!(
    "select l.created_at, l.day, l.conversation_id, a.slug as agent, l.provider_id, p.name as provider, l.model, l.routing,
            l.call, l.input_tokens, l.output_tokens, l.cost_microusd, l.estimated
     from usage_ledger l
     left join agents a on a.company_id = l.company_id and a.agent_id = l.agent_id
     left join providers p on p.company_id = l.company_id and p.provider_id = l.provider_id
     where l.company_id = $1
     order by l.created_at desc, l.reservation_id, l.call
     limit 100"
);

const DAY_LIST: TenantSql = crate::sql!(
    "select day, spent_microusd, tokens, turns from ledger_days where company_id = $1 order by day desc limit 62"
);

/// The alerts of the last weeks, newest first.
pub(crate) const ALERT_LIST: TenantSql = crate::sql!(
    "select period, starts, percent, used, allowed, created_at
     from budget_alerts
     where company_id = $1
     order by created_at desc, percent desc
     limit 20"
);
