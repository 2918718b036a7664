//! The round: goes from company to company and brings Redis in line with the ledger; what has expired or is older than the company
//! keeps it goes, what is due in the outbox is delivered, and companies' own domains are looked up in the DNS.
//!
//! It never reads one company's data in another's scope: each company is visited in a scope of its own.

use std::rc::Rc;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::REPLY_LIMIT;
use crate::domains::watch;
use crate::error::Error;
use crate::idempotency::EXPIRED_REMOVE;
use crate::ids::CompanyId;
use crate::limiter::scripts::RECONCILE;
use crate::links::EXPIRED_LINKS_REMOVE;
use crate::outbox::{self, DueSince, OUTBOX_EXPIRE};
use crate::params;
use crate::platform::{Body, Level, Platform};
use crate::retention;
use crate::routes::{App, Call, json as answer, serve};
use crate::support::OVER_NOTE;
use crate::tenant::postgres::{Batch, Outcomes};
use crate::tenant::{TenantScope, TenantSql, auth};

/// Which companies a round visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// All active ones.
    Active,
    /// Those of them with a delivery that is due.
    Due,
}

/// Companies that one call visits: a few requests each, and hosted runtimes allow so many a call.
const PAGE: u32 = 100;

/// `POST /v1/cron`: visits the next companies after the one named, and says where to go on. With `due` it visits only those with a
/// delivery that is due, and only delivers: cheap enough for each minute.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn round(call: Call) -> Result<Response<Body>, Error> {
    let from = call.json::<From>().await?;
    let only = if from.due == Some(true) { Only::Due } else { Only::Active };
    let scopes = auth::round(&call, only, from.after.unwrap_or_else(CompanyId::nil), PAGE).await?;
    let next = scopes.last().map(TenantScope::company_id);
    let next = next.filter(|_| scopes.len() == PAGE as usize);
    let mut visited = Vec::with_capacity(scopes.len());
    let (mut due, mut domains) = (Vec::new(), Vec::new());
    for scope in scopes {
        let mut found = Found::default();
        visited.push(match only {
            Only::Active => visit(&scope, &mut found).await,
            Only::Due => ask(&scope, &mut found).await,
        });
        if !found.names.is_empty() {
            domains.push((scope.aside(), found.names));
        }
        due.extend(found.since.map(|since| (scope, since)));
    }
    outbox::deliver_round(due);
    watch::look_round(domains);
    let drifts: Vec<&Drift> = visited.iter().flatten().flatten().collect();
    let failed = visited.iter().filter(|visit| visit.is_err()).count();
    answer(
        StatusCode::OK,
        &json!({ "companies": visited.len(), "failed": failed, "drifts": drifts, "next": next }),
    )
}

/// Goes round all companies, or those with something due, page after page, as who calls `POST /v1/cron` with this token: for a runtime
/// that wakes the worker by a schedule. What it brought is in the log.
pub async fn scheduled(app: Rc<App>, platform: Rc<dyn Platform>, token: Option<&str>, only: Only) {
    let Some(token) = token else {
        platform.log(Level::Error, "the round was not made: the setting CRON_TOKEN is missing");
        return;
    };
    let url = format!("{}/v1/cron", app.config.root.url());
    let due = only == Only::Due;
    let mut from = json!({ "due": due });
    loop {
        let request = http::Request::post(&url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(from.to_string()));
        let Ok(request) = request else {
            platform.log(Level::Error, "the round was not made: CRON_TOKEN cannot stand in a header");
            return;
        };
        let answer = serve(Rc::clone(&app), Rc::clone(&platform), request).await;
        let (status, body) = (answer.status(), answer.into_body().collect(REPLY_LIMIT).await);
        let told: Option<Value> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
        let Some(told) = told.filter(|_| status == StatusCode::OK) else {
            platform.log(Level::Error, &format!("the round broke off at {from}: {}", status.as_u16()));
            return;
        };
        match told.get("next").filter(|next| !next.is_null()) {
            Some(next) => from = json!({ "due": due, "after": next }),
            None => return,
        }
    }
}

/// What is to be done for a company once the round is answered.
#[derive(Default)]
struct Found {
    /// Since when something is due in its outbox.
    since: Option<DueSince>,
    /// Which of its names are to be looked up.
    names: Vec<watch::Due>,
}

/// What is due in a company's outbox: all that the round of each minute asks.
async fn ask(scope: &TenantScope, found: &mut Found) -> Result<Vec<Drift>, Error> {
    let mut batch = scope.batch();
    let since = outbox::due_since(&mut batch);
    found.since = sent(scope, batch).await?.maybe(since)?;
    Ok(Vec::new())
}

async fn sent(scope: &TenantScope, batch: Batch<'_>) -> Result<Outcomes, Error> {
    batch.send().await.inspect_err(|error| {
        scope.log(Level::Error, "round: the database did not answer", &format!("{error:?}"));
    })
}

/// Brings a company's last two days in line, and tells where Redis and the ledger differ though no turn is on its way.
async fn visit(scope: &TenantScope, found: &mut Found) -> Result<Vec<Drift>, Error> {
    let now_ms = scope.platform().now_ms();
    let days = [scope.day(now_ms), scope.day(now_ms.saturating_sub(24 * 3_600_000))];
    let [today, yesterday] = &days;
    let mut batch = scope.batch();
    let sums = [today, yesterday].map(|day| batch.add::<Sums>(SUMS_READ, params![day]));
    batch.run(MEMORIES_EXPIRE, params![]);
    batch.run(EXPIRED_REMOVE, params![]);
    batch.run(EXPIRED_LINKS_REMOVE, params![]);
    batch.run(OVER_NOTE, params![]);
    batch.run(OUTBOX_EXPIRE, params![]);
    let old = retention::Due::ask(&mut batch);
    let since = outbox::due_since(&mut batch);
    let names = watch::due(&mut batch);
    let mut rows = sent(scope, batch).await?;
    found.since = rows.maybe(since)?;
    found.names = rows.all(names)?;
    let mut drifts = Vec::new();
    for (day, slot) in days.iter().zip(sums) {
        let ledger = rows.one(slot)?;
        let args = [
            scope.company_id().to_string(),
            ledger.spent_microusd.to_string(),
            ledger.tokens.to_string(),
            now_ms.to_string(),
        ];
        let redis = scope.redis_eval(RECONCILE, &[scope.key_daily_spend(day)], &args).await?;
        drifts.extend(Drift::of(day, &ledger, &redis));
    }
    for drift in &drifts {
        let Drift { day, redis_microusd, ledger_microusd, .. } = drift;
        let fact = format!("{day}: Redis {redis_microusd}, ledger {ledger_microusd} micro-dollars");
        scope.log(Level::Warn, "budget drifted", &fact);
    }
    old.erase(scope, &mut rows).await.inspect_err(|error| {
        scope.log(Level::Error, "round: what is too old was not erased", &format!("{error:?}"));
    })?;
    Ok(drifts)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    after: Option<CompanyId>,
    due: Option<bool>,
}

/// What the ledger says of a day and of its month up to it.
#[derive(Deserialize)]
struct Sums {
    spent_microusd: u64,
    tokens: u64,
}

/// Where Redis and the ledger said different things of a day.
#[derive(Serialize)]
struct Drift {
    day: String,
    redis_microusd: u64,
    ledger_microusd: u64,
    redis_tokens: u64,
    ledger_tokens: u64,
}

impl Drift {
    fn of(day: &str, ledger: &Sums, redis: &Value) -> Option<Self> {
        let text = |at: usize| redis.get(at).and_then(Value::as_str);
        let number = |at: usize| text(at).and_then(|text| text.parse::<u64>().ok());
        let held = number(3)?;
        let (redis_microusd, redis_tokens) = (number(1)?, number(2)?);
        // A turn on its way has settled in one of them and not yet in the other.
        let differs = redis_microusd != ledger.spent_microusd;
        (text(0) == Some("known") && held == 0 && differs).then(|| Self {
            day: day.to_owned(),
            redis_microusd,
            ledger_microusd: ledger.spent_microusd,
            redis_tokens,
            ledger_tokens: ledger.tokens,
        })
    }
}

const SUMS_READ: TenantSql = crate::sql!(
    "select coalesce(sum(spent_microusd) filter (where day = $2::date), 0)::bigint as spent_microusd,
            coalesce(sum(tokens), 0)::bigint as tokens
     from ledger_days
     where company_id = $1 and day between date_trunc('month', $2::date)::date and $2::date"
);

const MEMORIES_EXPIRE: TenantSql =
    crate::sql!("delete from memories where company_id = $1 and expires_at < now()");
