//! `POST /v1/providers/{id}/test`: is the key good, and are the models there?
//!
//! It never spends the company's money: it asks for the list of models, and calls none.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::kind::{Api, Kind};
use super::presets::Preset;
use crate::company::AUDIT_ADD;
use crate::error::Error;
use crate::ids::{AuditId, CompanyId, ProviderId};
use crate::llm::{Catalog, LlmError};
use crate::params;
use crate::platform::{Body, Level};
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::tenant::vault::SealedKey;

/// Tries the provider's key, and says in words what is wrong with it. Nothing of what the provider answered is told.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Internal`] when the sealed key does not open.
pub async fn run(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let scope = &member.scope;
    let id = call.id::<ProviderId>()?;
    let mut batch = scope.batch();
    let account = batch.add::<Account>(ACCOUNT_READ, params![id]);
    batch.run(
        AUDIT_ADD,
        params![AuditId::new(scope.platform()), member.user, "provider.tested", id.to_string()],
    );
    let mut rows = batch.send().await?;
    let account = rows.one(account)?;

    let started_ms = scope.platform().now_ms();
    let problem = match account.kind.base_url(&scope.app().config, account.base_url.as_deref()) {
        Ok(base_url) => {
            let preset = account.base_url.as_deref().and_then(Preset::of);
            let key = scope.key_open(account.company_id, account.provider_id, &account.sealed_key)?;
            let (wire, path) = (account.kind.wire(account.api), preset.and_then(|preset| preset.key_path));
            match Catalog::ask(scope.platform(), wire, &base_url, path, key).await {
                Ok(catalog) if preset.is_none_or(|preset| preset.lists_models) => account.missing(&catalog),
                Ok(_) => None,
                Err(error) => {
                    scope.log(Level::Warn, "provider test failed", &error.to_string());
                    Some(sentence(error).to_owned())
                }
            }
        }
        // The operator does not allow the address any more; the sentence says so.
        Err(Error::Invalid(sentence)) => Some(sentence),
        Err(error) => return Err(error),
    };
    let latency_ms = scope.platform().now_ms().saturating_sub(started_ms);
    let outcome = json!({
        "ok": problem.is_none(), "problem": problem, "models": account.models, "latency_ms": latency_ms,
    });
    answer(StatusCode::OK, &outcome)
}

/// Here there is no model that might be unknown, only the list.
const fn sentence(error: LlmError) -> &'static str {
    match error {
        LlmError::NotFound => {
            "There is no list of models at the provider's address, so the key cannot be tried without spending. Check the \
             address; if it is right, ask something in the chat."
        }
        LlmError::BadRequest => {
            "The model provider does not accept the question for its models. Check the provider's kind and its address."
        }
        other => other.public(),
    }
}

/// A provider's row, as far as a call needs it.
#[derive(Deserialize)]
struct Account {
    company_id: CompanyId,
    provider_id: ProviderId,
    kind: Kind,
    api: Api,
    base_url: Option<String>,
    sealed_key: SealedKey,
    models: Vec<String>,
}

impl Account {
    /// What is wrong with the company's models, if the provider's list shows it.
    fn missing(&self, catalog: &Catalog) -> Option<String> {
        let missing = self.models.iter().filter(|model| catalog.lists(model) == Some(false));
        let missing: Vec<&str> = missing.map(String::as_str).collect();
        (!missing.is_empty()).then(|| {
            format!(
                "The model provider accepts the key, but does not list: {}. Check how these models are spelled, and that \
                 the account may use them.",
                missing.join(", ")
            )
        })
    }
}

const ACCOUNT_READ: TenantSql = crate::sql!(
    "select p.company_id, p.provider_id, p.kind, p.api, p.base_url, p.sealed_key,
            (select coalesce(jsonb_agg(m.model order by m.model), '[]')
             from provider_models m
             where m.company_id = p.company_id and m.provider_id = p.provider_id) as models
     from providers p
     where p.company_id = $1 and p.provider_id = $2"
);
