//! What the database must be: new enough, migrated, walled, and its worker's role weak. It changes nothing.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Verdict, wrong};
use crate::gateway::{needed_version, shown};
use crate::migrate;

/// The server has what keeps one role's plans from another's rows.
pub async fn version(owner: &Client, development: bool) -> Verdict {
    let found: i32 =
        owner.query_one("select current_setting('server_version_num')::int4", &[]).await?.try_get(0)?;
    let needed = needed_version(found);
    if development || found >= needed {
        return Ok(shown(found));
    }
    Err(wrong(
        format!("Postgres {} lacks the fix of CVE-2026-14666", shown(found)),
        format!("update the server to {} or later", shown(needed)),
    ))
}

/// Every migration is applied as it is.
pub async fn migrations(owner: &Client) -> Verdict {
    let Ok(difference) = migrate::compare(owner).await else {
        return Err(wrong("there is no history of migrations", "run bulkhead migrate"));
    };
    if let Some(first) = difference.other.first() {
        return Err(wrong(
            format!(
                "{first} is not what this version has: it was edited after it was applied, or is of a newer version"
            ),
            "use the version of bulkhead that this database was migrated with, or a newer one",
        ));
    }
    match difference.missing.first() {
        Some(first) => Err(wrong(
            format!(
                "{} of {} are not applied, {first} the first of them",
                difference.missing.len(),
                difference.all
            ),
            "run bulkhead migrate",
        )),
        None => Ok(format!("all {} applied, none edited", difference.all)),
    }
}

/// Every table with companies' data has row-level security, enabled and forced, with the one policy.
pub async fn row_security(owner: &Client) -> Verdict {
    let rows = owner.query(ROW_SECURITY, &[]).await?;
    let mut open = Vec::new();
    for row in &rows {
        if !row.try_get::<_, Option<bool>>("walled")?.unwrap_or_default() {
            open.push(row.try_get::<_, String>("name")?);
        }
    }
    match (rows.len(), open.first()) {
        (0, _) => Err(wrong("there is no table with companies' data", "run bulkhead migrate")),
        (number, None) => Ok(format!("enabled and forced on all {number} tables")),
        (_, Some(first)) => Err(wrong(
            format!("not in force on {}", open.join(", ")),
            format!(
                "as the owner: alter table {first} enable row level security, force row level security; its policy is in migrations/"
            ),
        )),
    }
}

const ROW_SECURITY: &str = "
select c.relname::text as name,
       c.relrowsecurity and c.relforcerowsecurity
       and count(*) = 1 and min(p.cmd) = 'ALL'
       and min(p.roles::text) = '{bulkhead_runtime}' and min(p.with_check) = min(p.qual)
       and min(p.qual) = '(company_id = (( SELECT current_setting(''app.current_company_id''::text) AS current_setting))::uuid)'
       -- What of the audit log may go is for a second one to say.
       and (c.relname <> 'audit_events' or exists (
                select from pg_policies a
                where a.schemaname = 'public' and a.tablename = 'audit_events' and a.policyname = 'aged'
                  and a.permissive = 'RESTRICTIVE' and a.cmd = 'DELETE' and a.roles::text = '{bulkhead_runtime}'))
       as walled
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped
left join pg_policies p
    on p.schemaname = 'public' and p.tablename = c.relname and not p.roles <@ array['bulkhead_directory']::name[]
    -- A restrictive one only takes away from what this one lets through.
    and p.permissive = 'PERMISSIVE'
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
group by c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity
order by 1";

/// Companies have templates to start from.
pub async fn templates(owner: &Client) -> Verdict {
    let industries: i64 = owner.query_one("select count(*) from templates", &[]).await?.try_get(0)?;
    match industries {
        0 => Err(wrong("none is loaded, so nobody can sign up", "run bulkhead templates load")),
        number => Ok(format!("{number} loaded")),
    }
}

/// The worker signs in with a role that owns nothing and bypasses nothing.
pub async fn role(owner: &Client, worker: &Client) -> Verdict {
    let name: String = worker.query_one("select current_user::text", &[]).await?.try_get(0)?;
    let Some(row) = owner.query_opt(ROLE, &[&name]).await? else {
        return Err(wrong(
            format!("{name} is on another server than the owner's"),
            "give DATABASE_URL and DATABASE_OWNER_URL of one database",
        ));
    };
    if row.try_get::<_, bool>("past")? {
        return Err(wrong(
            format!("{name} is past row-level security, or may make roles or databases"),
            format!(
                "as an administrator: alter role \"{name}\" nosuperuser nobypassrls nocreaterole nocreatedb"
            ),
        ));
    }
    if row.try_get::<_, bool>("owns")? {
        return Err(wrong(
            format!("{name} owns tables, and an owner may take their walls down"),
            "give the worker a role of its own: bulkhead migrate makes it from DATABASE_URL",
        ));
    }
    if !row.try_get::<_, bool>("member")? {
        return Err(wrong(format!("{name} is not a member of bulkhead_runtime"), "run bulkhead migrate"));
    }
    Ok(format!("{name} owns nothing and bypasses nothing"))
}

const ROLE: &str = "
select r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb as past,
       exists (select from pg_class c
               where c.relnamespace = 'public'::regnamespace and pg_has_role(r.oid, c.relowner, 'usage')) as owns,
       pg_has_role(r.oid, 'bulkhead_runtime', 'usage') as member
from pg_roles r
where r.rolname = $1";

/// The worker's rights are those that the migrations give, as far as they can be told by what none of them gives.
pub async fn grants(owner: &Client) -> Verdict {
    let rows = owner.query(GRANTS, &[]).await?;
    let mut offences = Vec::new();
    for row in &rows {
        offences.push(row.try_get::<_, String>(0)?);
    }
    if offences.is_empty() {
        return Ok("reads every table of companies, and has no right to empty, refer to or trigger on one"
            .to_owned());
    }
    Err(wrong(
        offences.join("; "),
        "as the owner: revoke what is too much from bulkhead_runtime, and grant select where it is missing, as in migrations/",
    ))
}

const GRANTS: &str = "
with tables as (
    select c.oid, c.relname::text as name
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'company_id' and not a.attisdropped
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
)
select format('bulkhead_runtime may %s on %s', p.privilege, t.name)
from tables t
cross join (values ('truncate'), ('references'), ('trigger')) p(privilege)
where has_table_privilege('bulkhead_runtime', t.oid, p.privilege)
union all
select format('bulkhead_runtime may not read %s', t.name)
from tables t
where not has_table_privilege('bulkhead_runtime', t.oid, 'select')
order by 1";

/// Who names no company is refused, and does not see all of them, or none.
pub async fn closed(owner: &Client, worker: &Client) -> Verdict {
    // Without a row there is nothing that a policy would be asked about.
    if owner.query_opt("select from companies limit 1", &[]).await?.is_none() {
        return Ok("not tried: there is no company yet".to_owned());
    }
    match worker.query("select 1 from companies limit 1", &[]).await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => {
            Ok("a query that names no company is refused".to_owned())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Err(wrong(
            "a query that names no company is answered",
            "look at row-level security above, and see that no role or database sets app.current_company_id",
        )),
    }
}
