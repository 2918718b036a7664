//! What people and probes see: the company's page, the platform's page, the API's description, health.
//!
//! It never writes into a page what a template engine has not escaped.

use askama::Template;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, ROUTES, Run, content, json as answer};
use crate::tenant::{TenantScope, TenantSql, auth};

/// `GET /` on a company's host.
///
/// # Errors
/// As every batch.
pub async fn home(scope: TenantScope) -> Result<Response<Body>, Error> {
    let mut batch = scope.batch();
    let look = batch.add::<Look>(LOOK_READ, params![]);
    let services = batch.add::<Service>(SERVICE_LIST, params![]);
    let replies = batch.add::<Reply>(REPLY_LIST, params![]);
    let mut rows = batch.send().await?;
    let home = Home {
        company: scope.company_name().to_owned(),
        look: rows.one(look)?,
        services: rows.all(services)?,
        replies: rows.all(replies)?,
    };
    page(&home)
}

/// `GET /assets/chat.js`.
///
/// # Errors
/// None.
pub async fn script() -> Result<Response<Body>, Error> {
    Ok(content(StatusCode::OK, "text/javascript; charset=utf-8", include_str!("../templates/pages/chat.js")))
}

/// `GET /assets/chat.css`.
///
/// # Errors
/// None.
pub async fn style() -> Result<Response<Body>, Error> {
    Ok(content(StatusCode::OK, "text/css; charset=utf-8", include_str!("../templates/pages/chat.css")))
}

/// `GET /healthz`: the worker runs. Asks nobody else.
///
/// # Errors
/// None.
pub async fn health(_: Call) -> Result<Response<Body>, Error> {
    answer(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /readyz`: database and Redis answer.
///
/// # Errors
/// [`Error::Unavailable`].
pub async fn ready(call: Call) -> Result<Response<Body>, Error> {
    auth::ready(&call).await?;
    answer(StatusCode::OK, &json!({ "status": "ready" }))
}

/// `GET /openapi.json`: the route table, as OpenAPI 3.1.
///
/// # Errors
/// None.
pub async fn openapi(call: Call) -> Result<Response<Body>, Error> {
    let mut paths = Map::new();
    for route in ROUTES {
        let (who, security) = match route.run {
            Run::Apex(_) => ("Platform", json!([])),
            Run::Guest(_) => ("Anyone, on a company's host", json!([])),
            Run::Visitor(_) => ("Visitors", json!([{ "visitor": [] }])),
            Run::Member(..) => ("Members", json!([{ "member": [] }])),
        };
        let parameters = if route.path.contains("{id}") {
            json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } }])
        } else {
            json!([])
        };
        let operation = json!({
            "summary": route.summary,
            "tags": [who],
            "security": security,
            "parameters": parameters,
            "responses": {
                "default": {
                    "description": "A problem (RFC 9457), unless the status is 2xx",
                    "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
                }
            }
        });
        if let Some(path) = paths.entry(route.path).or_insert_with(|| json!({})).as_object_mut() {
            path.insert(route.method.to_lowercase(), operation);
        }
    }
    let bearer = |what: &str| json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": what });
    answer(
        StatusCode::OK,
        &json!({
            "openapi": "3.1.0",
            "info": { "title": "Bulkhead", "version": env!("CARGO_PKG_VERSION") },
            "servers": [{ "url": call.app.config.root.url() }, { "url": call.app.config.root.company_url("{company}"),
                "variables": { "company": { "default": "acme-plumbing" } } }],
            "paths": Value::Object(paths),
            "components": {
                "securitySchemes": {
                    "visitor": bearer("from POST /v1/visitor"),
                    "member": bearer("from POST /v1/login")
                },
                "schemas": { "Problem": { "type": "object", "required": ["type", "title", "status", "detail", "request_id"],
                    "properties": {
                        "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" },
                        "detail": { "type": "string" }, "request_id": { "type": "string", "format": "uuid" }
                    } } }
            }
        }),
    )
}

/// A page, with headers that let it load nothing but its own files.
fn page(template: &impl Template) -> Result<Response<Body>, Error> {
    let html = template.render().map_err(|error| Error::Internal(format!("page: {error}")))?;
    let mut response = content(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("content-security-policy"), HeaderValue::from_static(POLICY));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("same-origin"));
    Ok(response)
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    company: String,
    look: Look,
    services: Vec<Service>,
    replies: Vec<Reply>,
}

#[derive(Deserialize)]
struct Look {
    title: String,
    body: String,
    greeting: String,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    description: String,
    price: String,
}

#[derive(Deserialize)]
struct Reply {
    body: String,
}

const LOOK_READ: TenantSql = crate::sql!(
    "select coalesce(p.title, c.name) as title, coalesce(p.body, '') as body,
            coalesce(nullif(w.greeting, ''), nullif(a.greeting, ''), 'How can I help?') as greeting
     from companies c
     left join widget_settings w on w.company_id = c.company_id
     left join agents a on a.company_id = c.company_id and a.is_default
     left join site_pages p on p.company_id = c.company_id and p.slug = 'home'
     where c.company_id = $1"
);

const SERVICE_LIST: TenantSql = crate::sql!(
    "select name, description,
            case when price_from_cents is null then 'on request'
                 when price_to_cents is null or price_to_cents = price_from_cents
                     then '$' || trim(to_char(price_from_cents / 100, '999,999'))
                 else '$' || trim(to_char(price_from_cents / 100, '999,999')) || '–'
                      || trim(to_char(price_to_cents / 100, '999,999'))
            end || case when unit = '' then '' else ' ' || unit end as price
     from services
     where company_id = $1
     order by position, slug
     limit 60"
);

const REPLY_LIST: TenantSql =
    crate::sql!("select body from quick_replies where company_id = $1 order by position limit 6");
