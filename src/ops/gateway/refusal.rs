//! What a client of `/sql` is told when its request fails: the members of Neon's error object.
//! It never carries a connection string, a parameter or an inner error's text.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio_postgres::error::{DbError, ErrorPosition};

use super::metrics::Cause;

/// An error as the driver reads it. Status 400 becomes the driver's `NeonDbError`; others are shown as text.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    code: String,
    body: serde_json::Value,
}

impl Refusal {
    /// The gateway's own: a status, a SQLSTATE and a sentence.
    pub fn new(status: StatusCode, code: &str, message: &str) -> Self {
        let body = serde_json::json!({ "message": message, "code": code, "severity": "ERROR" });
        Self { status, code: code.to_owned(), body }
    }

    /// A fault in the request.
    pub fn bad_request(code: &str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Something behind the gateway does not answer; trying again may help.
    pub fn unavailable(code: &str, message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// The one answer to a wrong user, password or database, and to a connection string that is none.
    pub fn unauthenticated() -> Self {
        Self::bad_request("28P01", "password authentication failed")
    }

    /// Postgres's own error, member for member: 400, or 503 when the server is going away.
    pub fn from_postgres(error: &DbError) -> Self {
        let (position, internal_position, internal_query) = match error.position() {
            Some(ErrorPosition::Original(position)) => (Some(position.to_string()), None, None),
            Some(ErrorPosition::Internal { position, query }) => {
                (None, Some(position.to_string()), Some(query))
            }
            None => (None, None, None),
        };
        let body = serde_json::json!({
            "message": error.message(),
            "code": error.code().code(),
            "detail": error.detail(),
            "hint": error.hint(),
            "position": position,
            "internalPosition": internal_position,
            "internalQuery": internal_query,
            "severity": error.severity(),
            "where": error.where_(),
            "table": error.table(),
            "column": error.column(),
            "schema": error.schema(),
            "dataType": error.datatype(),
            "constraint": error.constraint(),
            "file": error.file(),
            "line": error.line().map(|line| line.to_string()),
            "routine": error.routine(),
        });
        let code = error.code().code().to_owned();
        // Class 57P is the server going away, which is no fault of the statement.
        let is_leaving = code.starts_with("57P");
        let status = if is_leaving { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
        Self { status, code, body }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.status, headers, self.body.to_string()).into_response();
        response.extensions_mut().insert(Cause(self.code));
        response
    }
}
