//! A company's own accounts at model providers: added with their key, never shown with it.
//!
//! It never lets a key out: what can be read back is its last four characters and a fingerprint.

pub mod check;
mod kind;
pub mod presets;

pub use kind::{Api, Kind};
pub use presets::{PRESETS, Preset};

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::company::AUDIT_ADD;
use crate::error::Error;
use crate::fields::or_default;
use crate::idempotency::once;
use crate::ids::{AuditId, ProviderId};
use crate::knowledge::check_texts;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer, no_content};
use crate::smart_router::Tier;
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

use self::presets::base_url_check;

/// `GET /v1/providers`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let providers = batch.add::<Provider>(PROVIDER_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "providers": rows.all(providers)? }))
}

/// `GET /v1/providers/{id}`.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn show(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ProviderId>()?;
    let mut batch = member.scope.batch();
    let provider = batch.add::<Provider>(PROVIDER_READ, params![id]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &rows.one(provider)?)
}

/// `POST /v1/providers`: seals the key for this company and this row, and stores it.
///
/// OpenAI, Anthropic and Gemini come with the models and prices that Bulkhead knows; a compatible provider names its own.
///
/// # Errors
/// [`Error::Invalid`] for the body, among it a base URL at a host that the operator does not list.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let scope = &member.scope;
    let new = call.json::<NewProvider>().await?;
    check_texts(&[("name", Some(&new.name), 120)])?;
    check_key(&new.api_key)?;
    let base_url = match (new.kind, new.base_url) {
        (Kind::Compatible, Some(url)) => Some(base_url_check(&url, &scope.app().config.compatible_hosts)?),
        (Kind::Compatible, None) => {
            return Err(Error::Invalid(
                "A compatible provider needs a base_url, for example https://api.example.com/v1.".into(),
            ));
        }
        (_, None) => None,
        (_, Some(_)) => {
            return Err(Error::Invalid("Only a compatible provider takes a base_url. Leave it out.".into()));
        }
    };
    if new.api.is_some() && !new.kind.has_apis() {
        return Err(Error::Invalid(
            "Only OpenAI and compatible providers have more than one API. Leave api out.".into(),
        ));
    }
    if (new.kind == Kind::Compatible) == new.models.is_empty() {
        return Err(Error::Invalid(
            "A compatible provider names its models and their prices; the others name none.".into(),
        ));
    }
    for model in &new.models {
        model.check()?;
    }
    let id = ProviderId::new(scope.platform());
    let sealed = scope.key_seal(id, &new.api_key)?;
    let mut batch = scope.batch_once();
    let four = last_four(&new.api_key);
    let (kind, api) = (new.kind.as_str(), new.api.unwrap_or_default().as_str());
    let print = scope.key_fingerprint(&new.api_key)?;
    let fields = params![id, kind, new.name, base_url, sealed.as_bytes(), four, print, api];
    batch.run(PROVIDER_ADD, fields);
    batch.run(MODELS_COPY, params![id, kind]);
    for model in new.models {
        batch.run(
            MODEL_ADD,
            params![
                id,
                model.model,
                model.tier.as_str(),
                model.input_microusd_per_mtok,
                model.output_microusd_per_mtok,
                model.cached_input_microusd_per_mtok,
                model.context_tokens,
            ],
        );
    }
    batch.run(
        AUDIT_ADD,
        params![AuditId::new(scope.platform()), member.user, "provider.added", id.to_string()],
    );
    let provider = batch.add::<Provider>(PROVIDER_READ, params![id]);
    let mut rows = batch.send().await?;
    answer(StatusCode::CREATED, &rows.one(provider)?)
}

/// `PATCH /v1/providers/{id}`: changes what is given; a key that is given replaces the one there is.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let scope = &member.scope;
    let id = call.id::<ProviderId>()?;
    let new = call.json::<ProviderChange>().await?;
    check_texts(&[("name", new.name.as_ref(), 120)])?;
    let mut batch = scope.batch();
    let changed = batch.run(PROVIDER_CHANGE, params![id, new.name, new.enabled, new.position]);
    if let Some(key) = &new.api_key {
        check_key(key)?;
        let (sealed, print) = (scope.key_seal(id, key)?, scope.key_fingerprint(key)?);
        batch.run(PROVIDER_REKEY, params![id, sealed.as_bytes(), last_four(key), print]);
    }
    batch.run(
        AUDIT_ADD,
        params![AuditId::new(scope.platform()), member.user, "provider.changed", id.to_string()],
    );
    let provider = batch.add::<Provider>(PROVIDER_READ, params![id]);
    let mut rows = batch.send().await?;
    rows.touched(changed)?;
    answer(StatusCode::OK, &rows.one(provider)?)
}

/// `DELETE /v1/providers/{id}`: its key is gone with it.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn remove(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let scope = &member.scope;
    let id = call.id::<ProviderId>()?;
    let mut batch = scope.batch();
    let removed = batch.run(PROVIDER_REMOVE, params![id]);
    batch.run(
        AUDIT_ADD,
        params![AuditId::new(scope.platform()), member.user, "provider.removed", id.to_string()],
    );
    let mut rows = batch.send().await?;
    rows.touched(removed)?;
    Ok(no_content())
}

/// That this may be a provider's key at all.
///
/// # Errors
/// [`Error::Invalid`] with what is wrong.
pub fn check_key(key: &str) -> Result<(), Error> {
    if (8..=512).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::Invalid(
        "The api_key takes 8 to 512 visible characters without spaces. Copy it again from the provider."
            .into(),
    ))
}

/// What a key is shown by.
#[must_use]
pub fn last_four(key: &str) -> String {
    let tail = key.len().saturating_sub(4);
    key.get(tail..).unwrap_or_default().to_owned()
}

#[derive(Serialize, Deserialize)]
struct Provider {
    provider_id: ProviderId,
    kind: Kind,
    api: Api,
    name: String,
    base_url: Option<String>,
    last_four: String,
    /// Equal for equal keys of this company; null for a key that was sealed before there were fingerprints.
    fingerprint: Option<String>,
    enabled: bool,
    position: i32,
    models: Vec<ProviderModel>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderModel {
    model: String,
    tier: Tier,
    input_microusd_per_mtok: u64,
    output_microusd_per_mtok: u64,
    /// Null: the provider charges as much as for other input.
    cached_input_microusd_per_mtok: Option<u64>,
    context_tokens: u32,
}

impl ProviderModel {
    fn check(&self) -> Result<(), Error> {
        check_texts(&[("model", Some(&self.model), 200)])?;
        let cached = self.cached_input_microusd_per_mtok.unwrap_or(0);
        let dearest = self.input_microusd_per_mtok.max(self.output_microusd_per_mtok).max(cached);
        if dearest > 1_000_000_000_000 || !(1..=100_000_000).contains(&self.context_tokens) {
            return Err(Error::Invalid(
                "A model's prices or its context_tokens are out of any sensible range.".into(),
            ));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewProvider {
    kind: Kind,
    api: Option<Api>,
    name: String,
    api_key: String,
    base_url: Option<String>,
    #[serde(deserialize_with = "or_default")]
    models: Vec<ProviderModel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderChange {
    name: Option<String>,
    api_key: Option<String>,
    enabled: Option<bool>,
    position: Option<i32>,
}

const PROVIDER_LIST: TenantSql = crate::sql!(
    "select p.provider_id, p.kind, p.api, p.name, p.base_url, p.last_four, p.fingerprint, p.enabled, p.position,
            (select coalesce(jsonb_agg(jsonb_build_object(
                 'model', m.model, 'tier', m.tier, 'input_microusd_per_mtok', m.input_microusd_per_mtok,
                 'output_microusd_per_mtok', m.output_microusd_per_mtok,
                 'cached_input_microusd_per_mtok', m.cached_input_microusd_per_mtok,
                 'context_tokens', m.context_tokens) order by m.model), '[]')
             from provider_models m
             where m.company_id = p.company_id and m.provider_id = p.provider_id) as models
     from providers p
     where p.company_id = $1
     order by p.position, p.provider_id"
);

const PROVIDER_READ: TenantSql = crate::sql!(
    "select p.provider_id, p.kind, p.api, p.name, p.base_url, p.last_four, p.fingerprint, p.enabled, p.position,
            (select coalesce(jsonb_agg(jsonb_build_object(
                 'model', m.model, 'tier', m.tier, 'input_microusd_per_mtok', m.input_microusd_per_mtok,
                 'output_microusd_per_mtok', m.output_microusd_per_mtok,
                 'cached_input_microusd_per_mtok', m.cached_input_microusd_per_mtok,
                 'context_tokens', m.context_tokens) order by m.model), '[]')
             from provider_models m
             where m.company_id = p.company_id and m.provider_id = p.provider_id) as models
     from providers p
     where p.company_id = $1 and p.provider_id = $2"
);

/// A provider with its sealed key.
pub const PROVIDER_ADD: TenantSql = crate::sql!(
    "insert into providers (company_id, provider_id, kind, name, base_url, sealed_key, last_four, fingerprint, api)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
);

/// The models of a kind that Bulkhead knows, at this provider.
pub const MODELS_COPY: TenantSql = crate::sql!(
    "insert into provider_models (company_id, provider_id, model, tier, input_microusd_per_mtok, output_microusd_per_mtok,
                                  cached_input_microusd_per_mtok, context_tokens)
     select $1, $2, model, tier, input_microusd_per_mtok, output_microusd_per_mtok, cached_input_microusd_per_mtok,
            context_tokens
     from models
     where kind = $3"
);

const MODEL_ADD: TenantSql = crate::sql!(
    "insert into provider_models (company_id, provider_id, model, tier, input_microusd_per_mtok, output_microusd_per_mtok,
                                  cached_input_microusd_per_mtok, context_tokens)
     values ($1, $2, $3, $4, $5, $6, $7, $8)"
);

const PROVIDER_CHANGE: TenantSql = crate::sql!(
    "update providers
     set name = coalesce($3, name), enabled = coalesce($4, enabled), position = coalesce($5, position)
     where company_id = $1 and provider_id = $2"
);

const PROVIDER_REKEY: TenantSql = crate::sql!(
    "update providers
     set sealed_key = $3, last_four = $4, fingerprint = $5
     where company_id = $1 and provider_id = $2"
);

const PROVIDER_REMOVE: TenantSql =
    crate::sql!("delete from providers where company_id = $1 and provider_id = $2");
