//! Upkeep: what staff do to the rows of their company: list them, add one, change one, remove one, noted in the audit log.
//!
//! It never touches a row but by the statement it is given, which names the company.

use std::fmt::Display;

use crate::company::AUDIT_ADD;
use crate::error::Error;
use crate::fields::Field;
use crate::ids::AuditId;
use crate::params;
use crate::platform::Body;
use crate::routes::{json as answer, no_content};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::tenant::postgres::{Batch, Param};
use http::{Response, StatusCode};

/// All rows of a statement, under a name: its columns are what callers see.
///
/// # Errors
/// As every batch.
pub(crate) async fn list(member: &Member, name: &str, sql: TenantSql) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let all = batch.add::<Field>(sql, params![]);
    let rows = batch.send().await?.fields(all)?;
    answer(StatusCode::OK, &Field::Object(vec![(name.to_owned(), Field::List(rows))]))
}

/// A row and the statements that read and write it.
pub(crate) struct Row<I> {
    /// Its id, `$2` of `read`.
    pub id: I,
    /// Reads it: its columns are what callers see.
    pub read: TenantSql,
    /// What happens to it, as the audit log says it.
    pub action: &'static str,
}

impl<I: Copy + Display + Into<Param>> Row<I> {
    /// Runs these statements, the first of which must touch a row, and gives the row as it is then.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the first touched none, [`Error::Conflict`] when a name is taken.
    pub(crate) async fn written(
        self,
        member: &Member,
        status: StatusCode,
        statements: Vec<(TenantSql, Vec<Param>)>,
    ) -> Result<Response<Body>, Error> {
        write(member, status, statements, self.action, self.id.to_string(), self.read).await
    }
}

/// The work of [`Row::written`], once for all ids.
async fn write(
    member: &Member,
    status: StatusCode,
    statements: Vec<(TenantSql, Vec<Param>)>,
    action: &'static str,
    id: String,
    read: TenantSql,
) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch_once();
    let mut slots = statements.into_iter().map(|(sql, fields)| batch.run(sql, fields)).collect::<Vec<_>>();
    note(member, &mut batch, action, &id);
    let row = batch.add::<Field>(read, params![id]);
    let mut rows = batch.send().await?;
    if !slots.is_empty() {
        rows.touched(slots.swap_remove(0))?;
    }
    answer(status, &rows.fields(row)?.pop().ok_or(Error::NotFound)?)
}

/// Runs these statements, the last of which removes a row.
///
/// # Errors
/// [`Error::NotFound`] when there was none.
pub(crate) async fn removed(
    member: &Member,
    action: &'static str,
    id: &dyn Display,
    statements: Vec<(TenantSql, Vec<Param>)>,
) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let last = statements.into_iter().map(|(sql, fields)| batch.run(sql, fields)).last();
    note(member, &mut batch, action, id);
    let mut rows = batch.send().await?;
    rows.touched(last.ok_or(Error::NotFound)?)?;
    Ok(no_content())
}

/// Notes it in the audit log, in the same transaction.
pub(crate) fn note(member: &Member, batch: &mut Batch<'_>, action: &'static str, target: &dyn Display) {
    let event = AuditId::new(member.scope.platform());
    batch.run(AUDIT_ADD, params![event, member.user, action, target.to_string()]);
}
