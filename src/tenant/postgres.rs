//! Postgres for one company: a batch of statements, one request, one transaction.
//!
//! It never lets a caller decide between two statements: a batch cannot read, think and then write.
//!
//! The protocol is Neon's SQL over HTTP (<https://github.com/neondatabase/neon/blob/main/proxy/README.md>), so that
//! the same worker runs against Neon and against `bulkhead gateway`.

use std::borrow::Cow;
use std::marker::PhantomData;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::rows::{Outcome, bytea_text};
use super::{TenantScope, TenantSql, checks, required};
use crate::config::{ConfigError, DATABASE_TIMEOUT_MS, REPLY_LIMIT};
use crate::error::Error;
use crate::fields::{Field, FieldError};
use crate::knockout::filtered;
use crate::platform::{Outbound, Part, Platform};

impl TenantScope {
    /// A batch of statements on this company's data, to be sent as one transaction.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        let mut batch = Batch { scope: self, queries: Vec::with_capacity(8) };
        batch.push(SCOPE_SET, Vec::new());
        checks::begin(self, &mut batch);
        batch
    }
}

/// Puts the company into the transaction, for row-level security. Local to it: `true`.
const SCOPE_SET: &str = "select set_config('app.current_company_id', $1, true)";

/// Statements on one company's data, sent together as one transaction.
pub struct Batch<'scope> {
    scope: &'scope TenantScope,
    queries: Vec<Query>,
}

#[derive(serde::Serialize)]
struct Request<'a> {
    queries: &'a [Query],
}

#[derive(serde::Serialize)]
struct Query {
    query: Cow<'static, str>,
    params: Vec<Value>,
}

/// Where in a batch's outcome the rows of one statement are, and what they are.
#[derive(Debug)]
pub struct Slot<T>(usize, PhantomData<fn() -> T>);

impl Batch<'_> {
    /// Adds a statement whose rows are `T`s. `$1` is the company; `params` are `$2` and on.
    pub fn add<T: DeserializeOwned>(&mut self, sql: TenantSql, params: Vec<Param>) -> Slot<T> {
        Slot(self.push(sql.text(), params), PhantomData)
    }

    /// Adds a statement whose rows do not matter, only how many there are.
    pub fn run(&mut self, sql: TenantSql, params: Vec<Param>) -> Slot<()> {
        Slot(self.push(sql.text(), params), PhantomData)
    }

    /// Sends the statements; either all of them took effect, or none.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] or [`Error::Forbidden`] when a member's membership, session or role does not hold, or a
    /// program's key; [`Error::Repeated`] when the request's idempotency key was used before,
    /// [`Error::Conflict`] when a unique key is taken, [`Error::NotFound`] when something referred to is not there,
    /// [`Error::Invalid`] when a text has NUL in it, [`Error::Unavailable`] when the database does not answer.
    pub async fn send(self) -> Result<Outcomes, Error> {
        let endpoint = &self.scope.app.config.secrets.database;
        let outcomes = endpoint.send(&*self.scope.platform, &self.queries).await?;
        self.scope.let_in.set(true);
        Ok(Outcomes(outcomes.into_iter().map(Some).collect()))
    }

    fn push(&mut self, query: &'static str, rest: Vec<Param>) -> usize {
        let mut params = Vec::with_capacity(rest.len() + 1);
        params.push(Value::String(self.scope.company.id.to_string()));
        params.extend(rest.into_iter().map(|param| param.0));
        self.queries.push(Query { query: filtered(query), params });
        self.queries.len() - 1
    }
}

/// What the statements of a batch brought.
pub struct Outcomes(Vec<Option<Outcome>>);

impl Outcomes {
    /// All rows of a statement.
    ///
    /// # Errors
    /// [`Error::Internal`] when a row is not what its type says.
    pub fn all<T: DeserializeOwned>(&mut self, slot: Slot<T>) -> Result<Vec<T>, Error> {
        self.take(slot.0)?.into_rows().map_err(|error| unread(&error, std::any::type_name::<T>()))
    }

    /// All rows of a statement, as they are: for what is only handed on.
    ///
    /// # Errors
    /// [`Error::Internal`] when a value is none of its column's type.
    pub fn fields(&mut self, slot: Slot<Field>) -> Result<Vec<Field>, Error> {
        self.take(slot.0)?.into_fields().map_err(|error| unread(&error, "row"))
    }

    /// The one row of a statement.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub fn one<T: DeserializeOwned>(&mut self, slot: Slot<T>) -> Result<T, Error> {
        self.maybe(slot)?.ok_or(Error::NotFound)
    }

    /// The row of a statement, if there is one.
    ///
    /// # Errors
    /// [`Error::Internal`] when the row is not what its type says.
    pub fn maybe<T: DeserializeOwned>(&mut self, slot: Slot<T>) -> Result<Option<T>, Error> {
        Ok(self.all(slot)?.into_iter().next())
    }

    /// How many rows a statement returned or changed.
    ///
    /// # Errors
    /// [`Error::Internal`] when its outcome was taken already.
    pub fn count(&mut self, slot: Slot<()>) -> Result<u64, Error> {
        Ok(self.take(slot.0)?.count())
    }

    /// That a statement touched a row.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it touched none: what it was for is not there, or is not this company's.
    pub fn touched(&mut self, slot: Slot<()>) -> Result<(), Error> {
        if self.count(slot)? == 0 { Err(Error::NotFound) } else { Ok(()) }
    }

    fn take(&mut self, index: usize) -> Result<Outcome, Error> {
        self.0
            .get_mut(index)
            .and_then(Option::take)
            .ok_or_else(|| Error::Internal("the database answered fewer statements than were sent".into()))
    }
}

fn unread(error: &FieldError, what: &str) -> Error {
    Error::Internal(format!("{what}: {error}"))
}

/// A parameter of a statement, in Postgres's text form. Make a list of them with [`params!`](crate::params).
pub struct Param(Value);

macro_rules! param {
    ($($type:ty => |$value:ident| $json:expr,)*) => {$(
        impl From<$type> for Param {
            fn from($value: $type) -> Self {
                Self($json)
            }
        }
    )*};
}

param! {
    &str => |v| Value::String(v.to_owned()),
    String => |v| Value::String(v),
    &String => |v| Value::String(v.clone()),
    bool => |v| Value::Bool(v),
    i32 => |v| v.into(),
    i64 => |v| v.into(),
    u32 => |v| v.into(),
    u64 => |v| v.into(),
    &[u8] => |v| Value::String(bytea_text(v)),
    Vec<String> => |v| Value::Array(v.into_iter().map(Value::String).collect()),
    &'static [&'static str] => |v| Value::Array(v.iter().map(|s| Value::String((*s).to_owned())).collect()),
    // A JSON value for a json column: its text.
    Value => |v| Value::String(v.to_string()),
}

impl<T: Into<Self>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(Value::Null), Into::into)
    }
}

macro_rules! id_params {
    ($($id:ident)*) => {$(
        impl From<crate::ids::$id> for Param {
            fn from(id: crate::ids::$id) -> Self {
                Self(Value::String(id.to_string()))
            }
        }
    )*};
}

id_params!(CompanyId UserId SessionId VisitorId AgentId ConversationId MessageId NoteId MemoryId CategoryId EntryId ProviderId ReservationId AuditId ContactId LeadId NoticeId ApiKeyId LinkId RequestId);
id_params!(StageId LabelId MessageTemplateId StepId NotificationId ItemId AppointmentTypeId ClosureId MethodId ServiceId TermId ContextId PageId QuestionId ReplyId);
id_params!(DraftId UnansweredId WebhookId DeliveryId EventId DomainId SupportId);

/// Parameters `$2` and on of a statement.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$($crate::tenant::postgres::Param::from($value)),*] };
}

/// Where Postgres is reached over HTTP, and as whom.
pub(super) struct Endpoint {
    /// The SQL-over-HTTP URL.
    url: String,
    /// The `postgres://` URL of the worker's role, password included.
    connection: http::HeaderValue,
}

impl Endpoint {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let database = required(get, "DATABASE_URL")?;
        let wrong =
            ConfigError("DATABASE_URL", "is not a postgres:// URL with user, password, host and database");
        let host = database
            .strip_prefix("postgres://")
            .or_else(|| database.strip_prefix("postgresql://"))
            .and_then(|rest| rest.split_once('@'))
            .and_then(|(_, rest)| rest.split(['/', ':', '?']).next())
            .ok_or(wrong)?;
        // As Neon's own driver does it: the first label of the host becomes `api`.
        let neon = host.split_once('.').map(|(_, rest)| format!("https://api.{rest}/sql"));
        let url = get("SQL_URL")
            .or(neon)
            .ok_or(ConfigError("SQL_URL", "is missing, and DATABASE_URL is not at Neon"))?;
        let mut connection = http::HeaderValue::from_str(&database).map_err(|_| wrong)?;
        connection.set_sensitive(true);
        Ok(Self { url, connection })
    }

    /// The rows of one statement that is no company's.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        platform: &dyn Platform,
        query: &'static str,
        params: Vec<Value>,
    ) -> Result<Vec<T>, Error> {
        let outcome = self.send(platform, &[Query { query: query.into(), params }]).await?.into_iter().next();
        let outcome = outcome.ok_or_else(|| Error::Internal("the database answered no statement".into()))?;
        outcome.into_rows().map_err(|error| unread(&error, std::any::type_name::<T>()))
    }

    async fn send(&self, platform: &dyn Platform, queries: &[Query]) -> Result<Vec<Outcome>, Error> {
        let away = |why: String| Error::Unavailable("database", why);
        let body = serde_json::to_vec(&Request { queries })
            .map_err(|error| Error::Internal(format!("database request: {error}")))?;
        let request = http::Request::post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("neon-connection-string", &self.connection)
            .header("neon-raw-text-output", "true")
            .header("neon-array-mode", "true")
            .header("neon-batch-isolation-level", "ReadCommitted")
            .header("neon-batch-read-only", "false")
            .body(Bytes::from(body))
            .map_err(|error| Error::Internal(format!("database request: {error}")))?;
        let timeout = DATABASE_TIMEOUT_MS;
        let response = platform
            .send(Outbound {
                part: Part::Postgres,
                request,
                head_timeout_ms: timeout,
                idle_timeout_ms: timeout,
            })
            .await
            .map_err(|error| away(error.to_string()))?;
        let status = response.status();
        let body =
            response.into_body().collect(REPLY_LIMIT).await.map_err(|error| away(error.to_string()))?;
        if status.is_success() {
            let reply: Reply =
                serde_json::from_slice(&body).map_err(|error| away(format!("answer: {error}")))?;
            return Ok(reply.results);
        }
        Err(match serde_json::from_slice::<SqlError>(&body) {
            Ok(error) if status.as_u16() == 400 => error.meaning(),
            Ok(error) => away(format!("{status}: {}", error.message)),
            Err(_) => away(status.to_string()),
        })
    }
}

#[derive(serde::Deserialize)]
struct Reply {
    results: Vec<Outcome>,
}

/// An error of Postgres's, as Neon's protocol reports it.
#[derive(serde::Deserialize)]
struct SqlError {
    message: String,
    code: Option<String>,
    constraint: Option<String>,
}

impl SqlError {
    /// What a SQLSTATE means here (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
    fn meaning(self) -> Error {
        match self.code.as_deref() {
            Some("BH401") => Error::Unauthorized,
            Some("BH402") => Error::WrongCode,
            Some("BH403") => Error::Forbidden,
            Some("BH208") => Error::Repeated,
            Some("BH409") => Error::Conflict(
                "The address was changed too often within a year. Keep this one, or take back an earlier one.".into(),
            ),
            Some("BH410") => Error::Conflict(
                "This conversation has as many questions as it may have. Start a new one.".into(),
            ),
            Some("BH411") => Error::LinkEnded,
            Some("22023") => Error::Invalid(
                "There is no such time zone. Take one like America/New_York or Europe/Berlin.".into(),
            ),
            Some("23505") => Error::Conflict(taken(self.constraint.as_deref()).to_owned()),
            Some("23503") if self.constraint.as_deref() == Some("conversations_company_id_agent_id_fkey") => {
                Error::Conflict(
                    "This agent has had conversations, which are kept. Disable it instead.".into(),
                )
            }
            Some("23503") => Error::NotFound,
            Some("22021") => {
                Error::Invalid("A text has a NUL character in it, which cannot be kept. Leave it out.".into())
            }
            // Connection trouble, overload, shutdown, time-out.
            Some(code) if matches!(code.get(..2), Some("08" | "53" | "57" | "58")) || code == "55P03" => {
                Error::Unavailable("database", format!("{code}: {}", self.message))
            }
            Some(code) => Error::Internal(format!("database: {code}: {}", self.message)),
            None => Error::Unavailable("database", self.message),
        }
    }
}

/// What to tell people when a unique key is taken.
fn taken(constraint: Option<&str>) -> &'static str {
    match constraint {
        Some("hosts_host") => "This address is taken. Choose another name for the company's subdomain.",
        Some("agents_company_id_slug_key") => "There is an agent with this short name. Choose another.",
        Some("knowledge_categories_company_id_slug_key") => {
            "There is a category with this short name. Choose another."
        }
        Some("domains_company_id_host_key") => {
            "The company claims this name already. It is in the list of its domains, with what it waits for."
        }
        Some("users_company_id_email_key") => {
            "There is an account with this e-mail address. Sign in instead."
        }
        _ => "This is there already. Change it instead of adding it, or choose another name.",
    }
}

/// Whether the database answers at all.
pub(super) async fn ping(platform: &dyn Platform, endpoint: &Endpoint) -> Result<(), Error> {
    endpoint.send(platform, &[Query { query: "select 1".into(), params: Vec::new() }]).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(database: &str, sql: Option<&str>) -> Result<String, ConfigError> {
        Endpoint::parse(&|name| match name {
            "DATABASE_URL" => Some(database.to_owned()),
            "SQL_URL" => sql.map(str::to_owned),
            _ => None,
        })
        .map(|endpoint| endpoint.url)
    }

    #[test]
    fn endpoints() {
        let neon = endpoint("postgres://u:p@ep-x-1.us-east-2.aws.neon.tech/db?sslmode=require", None);
        assert_eq!(neon.unwrap(), "https://api.us-east-2.aws.neon.tech/sql");
        assert_eq!(endpoint("postgres://u:p@db:5432/x", Some("http://g/sql")).unwrap(), "http://g/sql");
        assert!(endpoint("postgres://u:p@db:5432/x", None).is_err());
        assert!(endpoint("mysql://u:p@db.x.y/x", None).is_err());
    }

    #[test]
    fn errors() {
        let error = |code: &str| {
            SqlError { message: "m".into(), code: Some(code.into()), constraint: None }.meaning()
        };
        assert!(matches!(error("BH401"), Error::Unauthorized));
        assert!(matches!(error("23505"), Error::Conflict(_)));
        assert!(matches!(error("57014"), Error::Unavailable(..)));
        assert!(matches!(error("42501"), Error::Internal(_)));
    }
}
