//! Invariants 2 and 3, asked of Postgres's own catalogue: keys, row-level security, roles and grants.

use bulkhead_tests::stand::Stand;

/// Runs a query as the schema's owner; each row it brings is an offence.
async fn check(rule: &str, sql: &str) {
    let stand = Stand::get();
    let (client, connection) =
        tokio_postgres::connect(&stand.owner_database_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let rows = client.query(&format!("with {TABLES} {sql}"), &[]).await.unwrap();
    let offences: Vec<String> = rows.iter().map(|row| row.get::<_, String>(0)).collect();
    assert!(offences.is_empty(), "{rule}:\n{}", offences.join("\n"));
}

/// Tables with company data, and the few that are the platform's: that list may only shrink.
const TABLES: &str = "
platform(name) as (values ('plans'), ('models'), ('master_knowledge'), ('lexicon'), ('refinery_schema_history')),
tables as (
    select c.oid, c.relname::text as name, c.relrowsecurity, c.relforcerowsecurity
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
      and c.relname not in (select name from platform) and c.relname not like 'template%'
)";

#[tokio::test]
async fn there_are_tables_to_check() {
    let stand = Stand::get();
    let (client, connection) =
        tokio_postgres::connect(&stand.owner_database_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let row = client.query_one(&format!("with {TABLES} select count(*) from tables"), &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) >= 27, "the checks below would be blind");
}

#[tokio::test]
async fn every_table_has_its_company_first_in_the_primary_key() {
    check(
        "a table whose primary key does not begin with a company_id that cannot be null",
        "select t.name from tables t
         where not exists (
             select from pg_index i
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
             where i.indrelid = t.oid and i.indisprimary and a.attname = 'company_id' and a.attnotnull)",
    )
    .await;
}

#[tokio::test]
async fn every_unique_index_begins_with_the_company() {
    // hosts_host: a host name has one owner in the world, and that is public (DNS).
    check(
        "a unique index that does not begin with company_id",
        "select i.indexrelid::regclass::text from tables t
         join pg_index i on i.indrelid = t.oid and i.indisunique
         join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
         where a.attname <> 'company_id' and i.indexrelid::regclass::text <> 'hosts_host'",
    )
    .await;
}

#[tokio::test]
async fn every_foreign_key_between_companies_data_carries_the_company() {
    check(
        "a foreign key without company_id on both sides",
        "select format('%s on %s', k.conname, t.name) from tables t
         join pg_constraint k on k.conrelid = t.oid and k.contype = 'f'
         join tables target on target.oid = k.confrelid
         where not exists (
             select from unnest(k.conkey, k.confkey) as pair(here, there)
             join pg_attribute h on h.attrelid = k.conrelid and h.attnum = pair.here and h.attname = 'company_id'
             join pg_attribute o on o.attrelid = k.confrelid and o.attnum = pair.there and o.attname = 'company_id')",
    )
    .await;
}

#[tokio::test]
async fn row_level_security_is_enabled_and_forced_with_the_one_policy() {
    check(
        "a table without forced row-level security",
        "select name from tables where not (relrowsecurity and relforcerowsecurity)",
    )
    .await;
    check(
        "a table whose policies for the worker are not exactly the one that fails closed",
        "select t.name || coalesce(': ' || string_agg(p.qual || ' / ' || coalesce(p.with_check, '-'), ', '), '')
         from tables t
         left join pg_policies p on p.tablename = t.name and not p.roles <@ array['bulkhead_directory']::name[]
         group by t.name
         having count(*) <> 1
             or min(p.cmd) <> 'ALL'
             or min(p.permissive) <> 'PERMISSIVE'
             or min(p.roles::text) <> '{bulkhead_runtime}'
             or min(p.qual) <> '(company_id = (( SELECT current_setting(''app.current_company_id''::text) AS current_setting))::uuid)'
             or min(p.with_check) <> min(p.qual)",
    )
    .await;
}

#[tokio::test]
async fn the_directory_sees_two_tables_only() {
    check(
        "something else granted to the directory's role",
        "select format('%s.%s %s', table_name, column_name, privilege_type) from information_schema.column_privileges
         where grantee = 'bulkhead_directory'
           and (privilege_type <> 'SELECT' or table_name not in ('hosts', 'companies'))",
    )
    .await;
}

#[tokio::test]
async fn the_runtime_role_owns_nothing_and_has_no_dangerous_grant() {
    check(
        "something that belongs to the worker's roles",
        "select c.relname::text from pg_class c
         join pg_roles r on r.oid = c.relowner
         where pg_has_role(r.oid, 'bulkhead_runtime', 'member') and not r.rolsuper
           and c.relnamespace = 'public'::regnamespace
           and r.rolname <> (select tableowner from pg_tables where tablename = 'companies')",
    )
    .await;
    check(
        "a grant of truncate, references or trigger, or a grant to everybody",
        "select format('%s on %s to %s', privilege_type, table_name, grantee) from information_schema.table_privileges
         where table_schema = 'public' and (
             (grantee = 'bulkhead_runtime' and privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER'))
             or grantee = 'PUBLIC')",
    )
    .await;
    check(
        "a column that names the row, and that the worker may update",
        "select format('%s.%s', p.table_name, p.column_name) from information_schema.column_privileges p
         join tables t on t.name = p.table_name
         join pg_index i on i.indrelid = t.oid and i.indisprimary
         join pg_attribute a on a.attrelid = t.oid and a.attnum = any(i.indkey) and a.attname = p.column_name
         where p.grantee = 'bulkhead_runtime' and p.privilege_type = 'UPDATE'",
    )
    .await;
    check(
        "platform data that the worker may change",
        "select format('%s on %s', privilege_type, table_name) from information_schema.table_privileges
         where grantee = 'bulkhead_runtime' and privilege_type <> 'SELECT'
           and (table_name in (select name from platform) or table_name like 'template%')",
    )
    .await;
}

#[tokio::test]
async fn at_most_three_functions_act_with_another_s_rights() {
    check(
        "a security definer function that is not listed",
        "select p.proname::text from pg_proc p
         where p.prosecdef and p.pronamespace = 'public'::regnamespace and p.proname not in ('company_by_host')",
    )
    .await;
    check(
        "a security definer function without a fixed search path, or that everybody may call",
        "select p.proname::text from pg_proc p
         where p.prosecdef and p.pronamespace = 'public'::regnamespace
           and (not coalesce(array_to_string(p.proconfig, ','), '') like '%search_path=%'
                or has_function_privilege('public', p.oid, 'execute'))",
    )
    .await;
}

#[tokio::test]
async fn every_table_and_column_has_a_comment() {
    check(
        "a table or column without a comment",
        "select t.name from tables t where obj_description(t.oid) is null
         union all
         select t.name || '.' || a.attname from tables t
         join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
         where col_description(t.oid, a.attnum) is null",
    )
    .await;
}
