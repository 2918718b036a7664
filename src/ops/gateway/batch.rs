//! A request's statements as one transaction on one connection. It decides when to commit and never retries.

use std::borrow::Cow;

use deadpool_postgres::ClientWrapper;
use futures_util::future::{join_all, maybe_done};
use futures_util::poll;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_postgres::error::SqlState;
use tokio_postgres::{RowStream, Statement};

use super::json::{Form, Unwritten, comma, shapes, write_result};
use super::param::Param;
use super::pg_text::Shape;
use super::refusal::Refusal;
use super::statement;

/// The statements of one request.
pub struct Batch<'a> {
    queries: Vec<Query<'a>>,
    /// Whether the answer is a list of results, even if of one.
    pub many: bool,
}

struct Query<'a> {
    sql: Cow<'a, str>,
    params: Vec<Param<'a>>,
    form: Form,
}

/// Why there is no answer, and what became of the connection.
pub enum Failure {
    /// Rolled back, and nothing runs any more.
    Ended(Refusal),
    /// The same, and the reason was what the connection had prepared or that it was already dead: once more
    /// with nothing prepared can succeed.
    Stale(Refusal),
    /// Something may still run or has an unknown end: cancel, and close the connection.
    Running(Refusal),
}

impl<'a> Batch<'a> {
    /// Reads a body of `{query, params}` or `{queries: […]}` and refuses what would break out of its transaction.
    pub fn parse(body: &'a [u8], form: Form) -> Result<Self, Refusal> {
        let malformed =
            |_| Refusal::bad_request("08P01", "The body must be JSON: {query, params} or {queries: […]}.");
        let body: Body<'_> = serde_json::from_slice(body).map_err(malformed)?;
        let (written, many) = match body {
            Body { queries: Some(queries), query: None, .. } => (queries, true),
            Body { queries: None, query: Some(query), params, array_mode } => {
                (vec![WrittenQuery { query, params, array_mode }], false)
            }
            _ => return Err(Refusal::bad_request("08P01", "The body must have either query or queries.")),
        };
        let queries = written.into_iter().map(|written| {
            if let Some(command) = statement::refused(&written.query) {
                let message = format!(
                    "{command} is not accepted: a request is one transaction of plain statements, which the gateway \
                     begins and ends."
                );
                return Err(Refusal::bad_request("0A000", &message));
            }
            let params = written.params.into_iter().map(Param::from_json).collect::<Result<_, _>>();
            let form = Form { array_mode: written.array_mode.unwrap_or(form.array_mode), ..form };
            Ok(Query { sql: written.query, params: params.map_err(malformed)?, form })
        });
        Ok(Self { queries: queries.collect::<Result<_, _>>()?, many })
    }

    /// Runs all in one transaction; the answer is complete JSON of at most about `limit` bytes, and committed.
    ///
    /// What all is prepared for goes out at once, without waiting for any answer, then the commit: two network
    /// flights. What cannot be prepared beforehand (because an earlier statement makes its table, or because it
    /// is wrong) goes one by one. Errors are those of the first statement that failed.
    pub async fn run(&self, client: &ClientWrapper, begin: &Begin, limit: usize) -> Result<Vec<u8>, Failure> {
        let prepared = join_all(self.queries.iter().map(|query| client.prepare_cached(&query.sql))).await;
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(if self.many { b"{\"results\":[" } else { b"" });
        match prepared.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(prepared) => self.run_pipelined(client, begin, &prepared, limit, &mut out).await?,
            Err(_) => self.run_one_by_one(client, begin, limit, &mut out).await?,
        }
        client.batch_execute("commit").await.map_err(commit_failure)?;
        out.extend_from_slice(if self.many { b"]}" } else { b"" });
        Ok(out)
    }

    async fn run_pipelined(
        &self,
        client: &ClientWrapper,
        begin: &Begin,
        prepared: &[Statement],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let shapes = self.queries.iter().zip(prepared).map(|(query, statement)| query.check(statement));
        let shapes = shapes.collect::<Result<Vec<_>, _>>().map_err(Failure::Ended)?;

        // A first poll sends a statement; in this order, so Postgres runs them in this order.
        let mut begun = Box::pin(maybe_done(client.batch_execute(&begin.0)));
        let _ = poll!(begun.as_mut());
        let mut sent = Vec::with_capacity(prepared.len());
        for (query, statement) in self.queries.iter().zip(prepared) {
            let mut rows = Box::pin(maybe_done(client.query_raw(statement, query.params.iter())));
            let _ = poll!(rows.as_mut());
            sent.push(rows);
        }

        begun.as_mut().await;
        // Without its transaction the rest runs read-only, one by one, for nothing.
        finished(begun.as_mut().take_output())?
            .map_err(|error| Failure::Running(failure(&error).into_refusal()))?;
        for (place, (((query, statement), shapes), mut rows)) in
            self.queries.iter().zip(prepared).zip(&shapes).zip(sent).enumerate()
        {
            rows.as_mut().await;
            let rows = finished(rows.as_mut().take_output())?.map_err(|error| failure(&error))?;
            comma(place, out);
            query.write(statement, shapes, rows, limit, out).await?;
        }
        Ok(())
    }

    async fn run_one_by_one(
        &self,
        client: &ClientWrapper,
        begin: &Begin,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        client.batch_execute(&begin.0).await.map_err(|error| failure(&error))?;
        for (place, query) in self.queries.iter().enumerate() {
            let statement = client.prepare_cached(&query.sql).await.map_err(|error| failure(&error))?;
            let shapes = query.check(&statement).map_err(Failure::Ended)?;
            let rows =
                client.query_raw(&statement, query.params.iter()).await.map_err(|error| failure(&error))?;
            comma(place, out);
            query.write(&statement, &shapes, rows, limit, out).await?;
        }
        Ok(())
    }
}

impl Query<'_> {
    /// What Postgres would only find out at run time: the number of parameters, and types that cannot be written.
    fn check(&self, statement: &Statement) -> Result<Vec<Shape>, Refusal> {
        let (given, needed) = (self.params.len(), statement.params().len());
        if given != needed {
            let message =
                format!("bind message supplies {given} parameters, but the statement requires {needed}");
            return Err(Refusal::bad_request("08P01", &message));
        }
        shapes(statement.columns())
    }

    async fn write(
        &self,
        statement: &Statement,
        shapes: &[Shape],
        rows: RowStream,
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let written = write_result(out, limit, &self.sql, self.form, statement.columns(), shapes, rows).await;
        written.map_err(|unwritten| match unwritten {
            Unwritten::Postgres(error) => failure(&error),
            Unwritten::TooLarge => {
                let message =
                    format!("response is too large (max is {limit} bytes); the transaction was rolled back");
                let status = axum::http::StatusCode::INSUFFICIENT_STORAGE;
                Failure::Running(Refusal::new(status, "54000", &message))
            }
            Unwritten::Malformed => {
                let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
                Failure::Running(Refusal::new(
                    status,
                    "XX000",
                    "Postgres sent a value that is not of its type.",
                ))
            }
        })
    }
}

/// The statement that begins a request's transaction; it says `read write` because sessions are read-only.
pub struct Begin(String);

impl Begin {
    /// Built from fixed words only.
    pub fn new(isolation: Option<&'static str>, read_only: bool, deferrable: bool) -> Self {
        let mut sql = String::from(if read_only { "begin read only" } else { "begin read write" });
        if let Some(isolation) = isolation {
            sql.push_str(" isolation level ");
            sql.push_str(isolation);
        }
        if deferrable {
            sql.push_str(" deferrable");
        }
        Self(sql)
    }
}

impl Failure {
    fn into_refusal(self) -> Refusal {
        match self {
            Self::Ended(refusal) | Self::Stale(refusal) | Self::Running(refusal) => refusal,
        }
    }
}

/// What a statement's error means, before any commit was sent.
fn failure(error: &tokio_postgres::Error) -> Failure {
    let Some(database) = error.as_db_error() else {
        let message = "The connection to Postgres was lost; nothing was stored. Try again in a moment.";
        let refusal = Refusal::unavailable("08006", message);
        return if error.is_closed() { Failure::Stale(refusal) } else { Failure::Running(refusal) };
    };
    let refusal = Refusal::from_postgres(database);
    // A result changed its columns since it was prepared, or the prepared statement was taken away.
    let is_stale = database.routine() == Some("RevalidateCachedQuery")
        || *database.code() == SqlState::INVALID_SQL_STATEMENT_NAME;
    if is_stale { Failure::Stale(refusal) } else { Failure::Ended(refusal) }
}

/// A commit that Postgres refuses (a deferred constraint) is a rollback; one without an answer may be either.
fn commit_failure(error: tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        Some(database) => Failure::Ended(Refusal::from_postgres(database)),
        None => {
            let message =
                "The connection to Postgres was lost during the commit: it may or may not have been stored.";
            Failure::Running(Refusal::unavailable("08007", message))
        }
    }
}

/// The output of a future that was awaited just before.
fn finished<T>(output: Option<T>) -> Result<T, Failure> {
    output.ok_or_else(|| {
        let status = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        Failure::Running(Refusal::new(status, "XX000", "The statement's answer was lost."))
    })
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    query: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Vec<&'a RawValue>,
    #[serde(rename = "arrayMode", default)]
    array_mode: Option<bool>,
    #[serde(borrow, default)]
    queries: Option<Vec<WrittenQuery<'a>>>,
}

#[derive(Deserialize)]
struct WrittenQuery<'a> {
    #[serde(borrow)]
    query: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Vec<&'a RawValue>,
    #[serde(rename = "arrayMode", default)]
    array_mode: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form { raw_text: true, array_mode: true };

    #[test]
    fn bodies_of_both_kinds_are_read() {
        let one = Batch::parse(br#"{"query":"select $1","params":[1]}"#, FORM).ok().unwrap();
        assert!(!one.many && one.queries.len() == 1 && one.queries[0].form.array_mode);
        let body =
            br#"{"queries":[{"query":"select \"a\"","params":[],"arrayMode":false},{"query":"select 2"}]}"#;
        let two = Batch::parse(body, FORM).ok().unwrap();
        assert!(two.many && two.queries.len() == 2 && !two.queries[0].form.array_mode);
        assert_eq!(two.queries[0].sql, "select \"a\"");
    }

    #[test]
    fn malformed_bodies_and_transaction_control_are_refused() {
        for body in
            ["", "[]", "{}", r#"{"query":1}"#, r#"{"query":"a","queries":[]}"#, r#"{"query":";commit"}"#]
        {
            assert!(Batch::parse(body.as_bytes(), FORM).is_err(), "{body}");
        }
    }

    #[test]
    fn a_transaction_says_read_write_itself() {
        assert_eq!(Begin::new(None, false, false).0, "begin read write");
        let sql = Begin::new(Some("serializable"), true, true).0;
        assert_eq!(sql, "begin read only isolation level serializable deferrable");
    }
}
