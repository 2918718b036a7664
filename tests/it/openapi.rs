//! The API's description against the worker: each body is taken as described, field for field. That each answer is as described
//! is checked wherever a test gets one (`tests/described.rs`).

use bulkhead::openapi::{api, route};
use bulkhead::routes::Run;
use bulkhead_tests::company::{Company, kind};
use bulkhead_tests::described::{described, fits, gathered};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Map, Value, json};

#[tokio::test]
async fn every_body_is_taken_as_it_is_described() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let visitor = company.visitor().await.token;
    let mut tried = 0;
    for operation in api().unwrap().operations {
        let path = &described()["paths"][operation.path][operation.method.to_lowercase()];
        let schema = &path["requestBody"]["content"]["application/json"]["schema"];
        let (mut fields, mut required) = (Vec::new(), Vec::new());
        gathered(schema, &mut fields, &mut required);
        let token = match route(&operation).unwrap().run {
            Run::Visitor(_) => visitor.as_str(),
            Run::Member(..) => company.owner.as_str(),
            Run::Guest(_) | Run::Apex(_) => "",
            // OpenAI's format passes over what it does not know, and nobody here is the operator.
            Run::Program(..) | Run::Operator(_) | Run::Page(..) => continue,
        };
        if schema.is_null() {
            continue;
        }
        let what = format!("{} {}", operation.method, operation.path);
        let refused = refused(&company, token, operation.method, operation.path, &json!({ "zz": 1 })).await;
        let (_, known) = refused
            .split_once("unknown field `zz`, expected ")
            .unwrap_or_else(|| panic!("{what}: {refused}"));
        let mut known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        known.sort_unstable();
        names.sort_unstable();
        assert_eq!(known, names, "{what} takes these, and is described with those");

        // What is missing is asked for one after the other, and what may be left out is not.
        let mut body = Map::new();
        for _ in &fields {
            let Some(name) = missing(&company, token, operation.method, operation.path, &body).await else {
                break;
            };
            assert!(required.contains(&name.as_str()), "{what} asks for {name}");
            let (_, field) = fields.iter().find(|(field, _)| *field == name).unwrap();
            body.insert(name, example(field));
        }
        assert_eq!(
            body.len(),
            required.len(),
            "{what} asks for {body:?}, and is described with {required:?}"
        );
        tried += 1;
    }
    assert!(tried >= 60, "{tried}");
}

/// The field that a request lacks, if that is what is wrong with it.
async fn missing(
    company: &Company,
    token: &str,
    method: &str,
    path: &str,
    body: &Map<String, Value>,
) -> Option<String> {
    let why = refused(company, token, method, path, &json!(body)).await;
    let (before, _) = why.split_once("`: missing")?;
    Some(before.rsplit('`').next()?.to_owned())
}

/// The sentence of a request's refusal; empty when it was not refused.
async fn refused(company: &Company, token: &str, method: &str, path: &str, body: &Value) -> String {
    let method: Method = method.parse().unwrap();
    let path = path.replace("{id}", &uuid::Uuid::new_v4().to_string());
    let request = match ["/v1/signup"].contains(&&*path) {
        true => company.stand.http("localhost", method, &path),
        false => company.request(token, method, &path),
    };
    let response = request.json(body).send().await.unwrap();
    if response.status().is_success() {
        return String::new();
    }
    assert_eq!(kind(&response), "application/problem+json", "{path}");
    let problem: Value = response.json().await.unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}

/// A value of this schema.
fn example(schema: &'static Value) -> Value {
    let values =
        [json!("x"), json!(1), json!(true), json!([]), schema["enum"][0].clone(), json!("2026-11-22")];
    let followed = [json!("member"), json!("open"), json!("fast"), json!("openai"), json!("chat")];
    let found =
        values.into_iter().chain(followed).find(|value| !value.is_null() && fits(schema, value).is_ok());
    found.unwrap_or_else(|| panic!("no example of {schema}"))
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let stand = Stand::get();
    let get = async |path: &str| stand.http("localhost", Method::GET, path).send().await.unwrap();
    let served: Value = get("/openapi.json").await.json().await.unwrap();
    assert_eq!(served["openapi"], "3.1.0");
    assert_eq!(served["components"], described()["components"]);
    assert_eq!(served["paths"]["/v1/agents"]["post"], described()["paths"]["/v1/agents"]["post"]);
    assert_eq!(served["paths"]["/v1/signup"]["servers"][0]["url"], stand.root_url);
    let page = get("/docs/api").await;
    assert_eq!(kind(&page), "text/html; charset=utf-8");
    assert!(page.text().await.unwrap().contains("/v1/agents/{id}"));
    assert_eq!(get("/docs/api.ts").await.text().await.unwrap(), bulkhead::openapi::TEXT);
    assert_eq!(get("/readyz").await.status(), 200);
}
