//! The API's description: who may call what from the table of routes, what is taken and answered from `api.ts`.
//!
//! It never says of a route what these two do not.

pub mod page;
pub mod types;

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::platform::Body;
use crate::routes::{Call, ROUTES, Role, Route, Run, content, json as answer};
use types::{Api, Operation, SCHEMAS, say};

/// What addresses take and answer, in TypeScript's notation.
pub const TEXT: &str = include_str!("openapi/api.ts");

/// `GET /openapi.json`: the API as OpenAPI 3.1.
///
/// # Errors
/// None.
pub async fn show(call: Call) -> Result<Response<Body>, Error> {
    let servers =
        Servers { root: call.app.config.root.url(), company: call.app.config.root.company_url("{company}") };
    answer(StatusCode::OK, &document(&api()?, &servers))
}

/// `GET /docs/api.ts`: the types, for programs in TypeScript.
///
/// # Errors
/// None.
pub async fn text(_: Call) -> Result<Response<Body>, Error> {
    Ok(content(StatusCode::OK, "text/plain; charset=utf-8", TEXT))
}

/// What `api.ts` says.
///
/// # Errors
/// None: a test reads it.
pub fn api() -> Result<Api, Error> {
    Api::read(TEXT).map_err(|at| Error::Internal(format!("api.ts: not understood at byte {at}")))
}

/// Where the API answers.
pub struct Servers {
    /// The platform's own address.
    pub root: String,
    /// A company's, with `{company}` for its short name.
    pub company: String,
}

/// The route that an operation describes.
#[must_use]
pub fn route(operation: &Operation) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.method == operation.method && route.path == operation.path)
}

/// Who may call a route, in a word and in a sentence.
pub(crate) fn who(run: &Run) -> (&'static str, &'static str) {
    match run {
        Run::Apex(_) => ("Platform", "Anyone, on the platform's address"),
        Run::Operator(_) => ("Operator", "The operator, on the platform's address"),
        Run::Guest(_) => ("Anyone", "Anyone, on the company's address"),
        Run::Visitor(_) => ("Visitors", "Visitors"),
        Run::Member(Role::Member, _) | Run::Page(..) => ("Members", "The company's people"),
        Run::Member(Role::Admin, _) => ("Members", "The company's admins and owners"),
        Run::Member(Role::Owner, _) => ("Members", "The company's owners"),
        Run::Program(..) => ("Programs", "The company's programs"),
    }
}

/// The document.
#[must_use]
pub fn document(api: &Api, servers: &Servers) -> Value {
    let mut schemas = Map::new();
    for named in &api.types {
        schemas.insert(named.name.to_owned(), named.schema.clone());
    }
    let mut paths = Map::new();
    for operation in &api.operations {
        let Some(route) = route(operation) else { continue };
        let described = described(api, operation, route, &mut schemas);
        let path = paths.entry(operation.path).or_insert_with(|| {
            let server =
                if route.run.at_apex() { json!({ "url": servers.root }) } else { company(&servers.company) };
            json!({ "servers": [server] })
        });
        if let Some(path) = path.as_object_mut() {
            path.insert(route.method.to_lowercase(), described);
        }
    }
    schemas.insert("Problem".to_owned(), problem());
    let bearer = |what: &str| json!({ "type": "http", "scheme": "bearer", "description": what });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Bulkhead", "version": env!("CARGO_PKG_VERSION") },
        "servers": [company(&servers.company)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "visitor": bearer("from POST /v1/visitor"),
                "member": bearer("from POST /v1/login"),
                "program": bearer("a key from POST /v1/api-keys"),
                "operator": bearer("the operator's token"),
            },
            "schemas": schemas,
        }
    })
}

fn company(url: &str) -> Value {
    json!({ "url": url, "variables": { "company": { "default": "acme-plumbing" } } })
}

fn described(api: &Api, operation: &Operation, route: &Route, schemas: &mut Map<String, Value>) -> Value {
    let (tag, about) = who(&route.run);
    let security = match route.run {
        Run::Apex(_) | Run::Guest(_) => json!([]),
        Run::Operator(_) => json!([{ "operator": [] }]),
        Run::Visitor(_) => json!([{ "visitor": [] }]),
        Run::Member(..) | Run::Page(..) => json!([{ "member": [] }]),
        Run::Program(..) => json!([{ "program": [] }]),
    };
    let problem = json!({ "schema": { "$ref": format!("{SCHEMAS}Problem") } });
    // OpenAI's clients look for JSON.
    let refused = match route.run {
        Run::Program(..) => json!({ "application/problem+json": problem, "application/json": {} }),
        _ => json!({ "application/problem+json": problem }),
    };
    let mut responses = Map::new();
    responses
        .insert("default".to_owned(), json!({ "description": "A problem (RFC 9457)", "content": refused }));
    let mut parameters = Vec::new();
    if operation.path.contains("{id}") {
        parameters
            .push(json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }));
    }
    let mut described =
        json!({ "summary": route.summary, "description": about, "tags": [tag], "security": security });
    for (name, _, schema) in &operation.parts {
        match *name {
            "query" => parameters.extend(query(schema)),
            "takes" => {
                let mut schema = schema.clone();
                close(&mut schema, schemas);
                let taken =
                    json!({ "required": true, "content": { "application/json": { "schema": schema } } });
                say(&mut described, "requestBody", taken);
            }
            status => {
                responses.insert(status.to_owned(), answered(api, status, schema));
            }
        }
    }
    say(&mut described, "parameters", parameters.into());
    say(&mut described, "responses", responses.into());
    described
}

/// The fields of a query, each a parameter.
fn query(schema: &Value) -> Vec<Value> {
    let Some(fields) = schema["properties"].as_object() else { return Vec::new() };
    let required = schema["required"].as_array();
    let field = |(name, schema): (&String, &Value)| {
        let required = required.is_some_and(|required| required.iter().any(|field| field == name));
        // There is no null in a query.
        let schema = if required { schema.clone() } else { json!({ "type": "string" }) };
        json!({ "name": name, "in": "query", "required": required, "schema": schema })
    };
    fields.iter().map(field).collect()
}

fn answered(api: &Api, status: &str, schema: &Value) -> Value {
    let reason = status.parse().ok().and_then(|status: u16| StatusCode::from_u16(status).ok());
    let reason = reason.and_then(|status| status.canonical_reason()).unwrap_or("Done");
    if schema["type"] == "null" {
        return json!({ "description": reason });
    }
    let mut kinds = Map::new();
    let one = [schema.clone()];
    for schema in schema["anyOf"].as_array().map_or(one.as_slice(), Vec::as_slice) {
        kinds.insert(api.media(schema).to_owned(), json!({ "schema": schema }));
    }
    json!({ "description": reason, "content": kinds })
}

/// What a request sends has no other fields than these: they would be refused.
fn close(schema: &mut Value, schemas: &mut Map<String, Value>) {
    let name = schema["$ref"].as_str().and_then(|to| to.strip_prefix(SCHEMAS)).map(str::to_owned);
    if let Some(name) = name {
        // Out of the map and back, so that what it refers to can be closed as well.
        if let Some(mut named) = schemas.remove(&name) {
            close(&mut named, schemas);
            schemas.insert(name, named);
        }
        return;
    }
    match schema {
        Value::Object(fields) => {
            if fields.get("type").is_some_and(|kind| kind == "object" || kind == &json!(["object", "null"])) {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(|inner| close(inner, schemas));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| close(inner, schemas)),
        _ => {}
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" },
            "detail": { "type": "string" }, "request_id": { "type": "string", "format": "uuid" },
            "field": { "type": "string", "description": "The field that is wrong, where it is one." },
            "error": { "type": "object", "additionalProperties": true, "description": "The same, for OpenAI's clients." },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_understood_and_each_operation_is_a_route() {
        let api = Api::read(TEXT).unwrap_or_else(|at| panic!("not understood: {}", TEXT.split_at(at).1));
        for operation in &api.operations {
            assert!(route(operation).is_some(), "{} {} is no route", operation.method, operation.path);
            let statuses = operation.parts.iter().filter(|(name, ..)| name.parse::<u16>().is_ok());
            assert!(statuses.count() > 0, "{} {} answers nothing", operation.method, operation.path);
            for (name, ..) in &operation.parts {
                let known = ["query", "takes", "200", "201", "202", "204"].contains(name);
                assert!(known, "{} {}: {name}", operation.method, operation.path);
            }
        }
        for (at, one) in api.operations.iter().enumerate() {
            let twice = api.operations[at + 1..]
                .iter()
                .any(|other| (other.method, other.path) == (one.method, one.path));
            assert!(!twice, "{} {} is there twice", one.method, one.path);
        }
    }

    #[test]
    fn every_route_of_the_api_is_described() {
        let api = Api::read(TEXT).unwrap();
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/v1/")) {
            let told = api.operations.iter().any(|one| (one.method, one.path) == (route.method, route.path));
            assert!(
                told,
                "{} {}: say in src/openapi/api.ts what it takes and answers",
                route.method, route.path
            );
        }
    }

    #[test]
    fn every_name_is_a_type_and_every_type_is_used() {
        let api = Api::read(TEXT).unwrap();
        let servers = Servers { root: "http://x".into(), company: "http://{company}.x".into() };
        let document = document(&api, &servers).to_string();
        for part in document.split(SCHEMAS).skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(
                name == "Problem" || api.types.iter().any(|known| known.name == name),
                "there is no {name}"
            );
        }
        for named in &api.types {
            assert!(document.contains(&format!("{SCHEMAS}{}\"", named.name)), "nothing is a {}", named.name);
        }
    }

    #[test]
    fn the_notation() {
        let text = "/** How many. @asType integer @minimum 0 */ export type Count = number;
            // A remark.
            export type Api = { \"POST /v1/agents\": { takes: { a: string; b?: \"x\" | \"y\"; c: Count[] | null; [d: string]: unknown };
            200: Count & { e: boolean }; 204: null }; };";
        let api = Api::read(text).unwrap();
        let count = json!({ "type": "integer", "minimum": 0, "description": "How many." });
        assert_eq!((api.types[0].name, &api.types[0].schema), ("Count", &count));
        let parts = &api.operations[0].parts;
        assert_eq!(
            parts[0].2,
            json!({
                "type": "object", "required": ["a", "c"], "additionalProperties": true,
                "properties": {
                    "a": { "type": "string" },
                    "b": { "type": ["string", "null"], "enum": ["x", "y", null] },
                    "c": { "type": ["array", "null"], "items": { "$ref": "#/components/schemas/Count" } },
                },
            })
        );
        assert_eq!((parts[1].0, parts[1].1), ("200", "Count & { e: boolean }"));
        assert_eq!(parts[2].2, json!({ "type": "null" }));
        for wrong in
            ["export type A = ;", "export type A = { a string };", "type A = string;", "export type A = \"x;"]
        {
            assert!(Api::read(wrong).is_err(), "{wrong}");
        }
    }
}
