//! The API's description, made from the route table.
//!
//! It never says of a route what the table does not.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::platform::Body;
use crate::routes::{Call, ROUTES, Run, json as answer};

/// `GET /openapi.json`: the route table, as OpenAPI 3.1.
///
/// # Errors
/// None.
pub async fn show(call: Call) -> Result<Response<Body>, Error> {
    let mut paths = Map::new();
    // Pages are for people.
    for route in ROUTES.iter().filter(|route| !route.for_browsers()) {
        let (who, security) = match route.run {
            Run::Apex(_) => ("Platform", json!([])),
            Run::Operator(_) => ("Operator", json!([{ "operator": [] }])),
            Run::Guest(_) => ("Anyone, on a company's host", json!([])),
            Run::Visitor(_) => ("Visitors", json!([{ "visitor": [] }])),
            Run::Member(..) | Run::Page(..) => ("Members", json!([{ "member": [] }])),
            Run::Program(..) => ("Programs", json!([{ "program": [] }])),
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
                    "member": bearer("from POST /v1/login"),
                    "program": { "type": "http", "scheme": "bearer", "description": "a key from POST /v1/api-keys" }
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
