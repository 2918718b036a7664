//! OpenAI's API for a company's own programs: the company's agents are the models. `base_url` is the company's address and `/v1`.
//!
//! It never lets a program see or ask more than the company's own agents, and calls no provider itself.

pub mod completions;
pub mod request;
pub mod response;

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::ids::RequestId;
use crate::params;
use crate::platform::Body;
use crate::routes::json as answer;
use crate::tenant::TenantSql;
use crate::tenant::auth::Program;

/// `GET /v1/models`: each agent that answers is a model
/// (<https://platform.openai.com/docs/api-reference/models/list>).
///
/// # Errors
/// As every batch.
pub async fn models(program: Program) -> Result<Response<Body>, Error> {
    let mut batch = program.scope.batch();
    let agents = batch.add::<Model>(MODEL_AGENTS, params![]);
    let mut rows = batch.send().await?;
    let owner = program.scope.slug();
    let data: Vec<Value> = rows.all(agents)?.into_iter().map(|agent| agent.shown(owner)).collect();
    answer(StatusCode::OK, &json!({ "object": "list", "data": data }))
}

/// A problem document (RFC 9457) with one member more, in which OpenAI's clients look for what went wrong.
#[must_use]
pub fn refusal(error: &Error, request_id: RequestId) -> Response<Body> {
    let mut response = error.response(request_id);
    let mut problem = error.problem(request_id);
    let detail = match error {
        Error::Unauthorized => {
            "This API key is not good here. Check it, and that base_url is your own company's address with /v1 at its end.".into()
        }
        Error::Forbidden => {
            "This API key lacks the scope that this address needs. Make a key that has it: POST /v1/api-keys.".into()
        }
        _ => error.facts().detail,
    };
    let (kind, code) = match error {
        Error::Unauthorized => ("invalid_request_error", "invalid_api_key"),
        Error::Forbidden => ("invalid_request_error", "insufficient_permissions"),
        Error::NotFound => ("invalid_request_error", "not_found"),
        Error::Conflict(_) | Error::Repeated => ("idempotency_error", "conflict"),
        Error::TooMany(_) => ("rate_limit_error", "rate_limit_exceeded"),
        error if error.facts().status.is_client_error() => ("invalid_request_error", "invalid_request"),
        _ => ("server_error", "server_error"),
    };
    problem = with_error(problem, &detail, kind, code);
    *response.body_mut() = Body::from(problem.to_string());
    response
}

/// The problem document with this sentence, and with the member that OpenAI's clients read.
fn with_error(mut problem: Value, detail: &str, kind: &str, code: &str) -> Value {
    if let Some(problem) = problem.as_object_mut() {
        problem.insert("detail".into(), detail.into());
        let error = json!({ "message": detail, "type": kind, "param": null, "code": code });
        problem.insert("error".into(), error);
    }
    problem
}

#[derive(Deserialize)]
struct Model {
    slug: String,
    /// Seconds since the Unix epoch.
    changed: i64,
}

impl Model {
    fn shown(self, owner: &str) -> Value {
        json!({ "id": self.slug, "object": "model", "created": self.changed, "owned_by": owner })
    }
}

const MODEL_AGENTS: TenantSql = crate::sql!(
    "select slug, extract(epoch from updated_at)::bigint as changed
     from agents
     where company_id = $1 and enabled
     order by position, slug"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: &Error, status: u16, kind: &str, code: &str) {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let response = refusal(error, id);
        assert_eq!(response.status(), status);
        let Body::Full(bytes) = response.into_body() else { panic!("a stream") };
        let problem: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["error"]["type"], kind);
        assert_eq!(problem["error"]["code"], code);
        assert_eq!(problem["error"]["message"], problem["detail"]);
        assert!(!problem.to_string().contains("inner"), "{problem}");
    }

    #[test]
    fn refusals_are_read_by_either_kind_of_client() {
        check(&Error::Unauthorized, 401, "invalid_request_error", "invalid_api_key");
        check(&Error::Forbidden, 403, "invalid_request_error", "insufficient_permissions");
        check(&Error::Invalid("Say what.".into()), 400, "invalid_request_error", "invalid_request");
        check(&Error::TooMany(9), 429, "rate_limit_error", "rate_limit_exceeded");
        check(&Error::Unavailable("database", "inner".into()), 503, "server_error", "server_error");
        check(&Error::Internal("inner".into()), 500, "server_error", "server_error");
    }
}
