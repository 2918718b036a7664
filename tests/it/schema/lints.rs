//! The rules about the schema, each with what breaks it.

use super::Lint;

/// Every rule.
pub const LINTS: &[Lint] = &[
    // Keys.
    Lint {
        rule: "a table whose primary key does not begin with a company_id that cannot be null",
        sql: "select t.name from tables t
              where not exists (
                  select from pg_index i
                  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                  where i.indrelid = t.oid and i.indisprimary and a.attname = 'company_id' and a.attnotnull)",
        broken: &[
            ("create table bad (company_id uuid not null, id uuid primary key)", &["bad"]),
            ("create table bad (company_id uuid not null, id uuid, primary key (id, company_id))", &["bad"]),
            ("create table bad (id uuid primary key)", &["bad"]),
            ("create table bad (company_id uuid not null)", &["bad"]),
            ("create table bad (company_id uuid not null, id uuid, unique (company_id, id))", &["bad"]),
        ],
    },
    Lint {
        rule: "a company_id that may be null, or is no uuid",
        sql: "select format('%s.%s', c.relname, a.attname) from pg_attribute a
              join pg_class c on c.oid = a.attrelid and c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
              where a.attname = 'company_id' and not (a.attnotnull and a.atttypid = 'uuid'::regtype)",
        broken: &[
            ("create table bad (id uuid primary key, company_id uuid)", &["bad.company_id"]),
            ("create table bad (id uuid primary key, company_id text not null)", &["bad.company_id"]),
            // In a platform's table as well: there is no company in it, or it is none.
            ("create table template_bad (company_id uuid)", &["template_bad.company_id"]),
        ],
    },
    Lint {
        // hosts_host: a host name has one owner in the world, and that is public (DNS).
        rule: "a unique index that does not begin with company_id",
        sql: "select i.indexrelid::regclass::text from tables t
              join pg_index i on i.indrelid = t.oid and i.indisunique
              left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
              where a.attname is distinct from 'company_id' and i.indexrelid::regclass::text <> 'hosts_host'",
        broken: &[
            ("create table bad (company_id uuid, email text unique)", &["bad_email_key"]),
            ("create table bad (company_id uuid, email text, unique (email, company_id))", &["bad_email_company_id_key"]),
            ("create table bad (company_id uuid, email text); create unique index bad_lower on bad (lower(email))", &["bad_lower"]),
            ("create table bad (company_id uuid, email text); create unique index bad_part on bad (email) where email <> ''", &["bad_part"]),
        ],
    },
    Lint {
        rule: "an exclusion constraint: like a unique key, it would tell of others' rows",
        sql: "select k.conname::text from tables t join pg_constraint k on k.conrelid = t.oid and k.contype = 'x'",
        broken: &[("create table bad (company_id uuid, r int4range, constraint bad_x exclude using gist (r with &&))", &["bad_x"])],
    },
    Lint {
        rule: "a foreign key without company_id on both sides",
        sql: "select format('%s on %s', k.conname, t.name) from tables t
              join pg_constraint k on k.conrelid = t.oid and k.contype = 'f'
              join tables target on target.oid = k.confrelid
              where not exists (
                  select from unnest(k.conkey, k.confkey) as pair(here, there)
                  join pg_attribute h on h.attrelid = k.conrelid and h.attnum = pair.here and h.attname = 'company_id'
                  join pg_attribute o on o.attrelid = k.confrelid and o.attnum = pair.there and o.attname = 'company_id')",
        broken: &[
            (
                "create table one (company_id uuid, id uuid unique, primary key (company_id, id));
                 create table bad (company_id uuid, one uuid constraint bad_one references one (id))",
                &["bad_one on bad"],
            ),
            (
                "create table one (company_id uuid, id uuid, primary key (company_id, id));
                 create table bad (company_id uuid, o uuid, one uuid, constraint bad_one foreign key (o, one) references one)",
                &["bad_one on bad"],
            ),
        ],
    },
    Lint {
        rule: "a sequence: its numbers tell one company how much others do",
        sql: "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'S'",
        broken: &[
            ("create table bad (company_id uuid, number serial)", &["bad_number_seq"]),
            ("create table bad (company_id uuid, number int generated always as identity)", &["bad_number_seq"]),
        ],
    },
    // Row-level security.
    Lint {
        rule: "a table without forced row-level security",
        sql: "select name from tables where not (relrowsecurity and relforcerowsecurity)",
        broken: &[
            ("create table bad (company_id uuid)", &["bad"]),
            ("create table bad (company_id uuid); alter table bad enable row level security", &["bad"]),
            ("create table bad (company_id uuid); alter table bad force row level security", &["bad"]),
        ],
    },
    Lint {
        rule: "a table whose policies for the worker are not exactly the one that fails closed",
        sql: "select t.name from tables t
              left join pg_policies p on p.schemaname = 'public' and p.tablename = t.name
                  and not p.roles <@ array['bulkhead_directory']::name[]
                  -- One more that only takes away, and has a rule of its own below.
                  and (p.tablename, p.policyname, p.permissive) <> ('audit_events', 'aged', 'RESTRICTIVE')
              group by t.name
              having count(*) <> 1
                  or min(p.policyname) is distinct from 'company'
                  or min(p.cmd) <> 'ALL'
                  or min(p.permissive) <> 'PERMISSIVE'
                  or min(p.roles::text) <> '{bulkhead_runtime}'
                  or min(p.qual) <> '(company_id = (( SELECT current_setting(''app.current_company_id''::text) AS current_setting))::uuid)'
                  or min(p.with_check) is distinct from min(p.qual)",
        broken: &[
            ("create table bad (company_id uuid)", &["bad"]),
            ("create table bad (company_id uuid); create policy company on bad to bulkhead_runtime using (true)", &["bad"]),
            ("create table bad (company_id uuid); call protect('bad'); create policy more on bad for select to bulkhead_runtime using (true)", &["bad"]),
            ("create table bad (company_id uuid); call protect('bad'); create policy more on bad using (company_id is not null)", &["bad"]),
            ("create table bad (company_id uuid); call protect('bad'); alter policy company on bad to public", &["bad"]),
            ("create table bad (company_id uuid); call protect('bad'); alter policy company on bad with check (true)", &["bad"]),
            // Open when nothing is set: the second argument of current_setting, a default, an or.
            ("create table bad (company_id uuid); call protect('bad'); alter policy company on bad
              using (company_id = (select current_setting('app.current_company_id', true))::uuid)", &["bad"]),
            ("create table bad (company_id uuid); call protect('bad'); alter policy company on bad
              using (coalesce(current_setting('app.current_company_id', true), '') = '' or company_id = current_setting('app.current_company_id')::uuid)", &["bad"]),
            // The right words about another setting.
            ("create table bad (company_id uuid); call protect('bad'); alter policy company on bad
              using (company_id = (select current_setting('app.company'))::uuid)", &["bad"]),
            ("create table bad (company_id uuid); create policy company on bad for select to bulkhead_runtime
              using (company_id = (select current_setting('app.current_company_id'))::uuid)", &["bad"]),
        ],
    },
    Lint {
        rule: "an audit log from which the worker may take more than what is older than the company's window and 90 days, or change a row",
        sql: "select t.name from tables t
              left join pg_policies p on p.schemaname = 'public' and p.tablename = t.name and p.policyname = 'aged'
              where t.name = 'audit_events'
                and (p.permissive is distinct from 'RESTRICTIVE' or p.cmd <> 'DELETE' or p.roles::text <> '{bulkhead_runtime}'
                     or regexp_replace(p.qual, '\\s+', ' ', 'g') <> '(EXISTS ( SELECT FROM retention_settings r WHERE ((r.company_id = audit_events.company_id) AND (r.audit_days IS NOT NULL) AND (audit_events.created_at < (now() - make_interval(days => GREATEST(r.audit_days, 90)))))))'
                     or has_any_column_privilege('bulkhead_runtime', t.oid, 'update'))",
        broken: &[
            ("drop policy aged on audit_events", &["audit_events"]),
            ("alter policy aged on audit_events using (true)", &["audit_events"]),
            ("drop policy aged on audit_events; create policy aged on audit_events for delete to bulkhead_runtime using (true)", &["audit_events"]),
            ("grant update (target) on audit_events to bulkhead_runtime", &["audit_events"]),
        ],
    },
    Lint {
        rule: "a view, a partition, a child or a foreign table: each is another door to a table, with its own rights",
        sql: "select c.relname::text from pg_class c
              where c.relnamespace = 'public'::regnamespace
                and (c.relkind in ('v', 'm', 'f', 'p') or exists (select from pg_inherits i where i.inhrelid = c.oid and c.relkind = 'r'))",
        broken: &[
            ("create view bad as select * from agents", &["bad"]),
            ("create view bad with (security_invoker) as select * from agents", &["bad"]),
            ("create materialized view bad as select * from agents", &["bad"]),
            ("create table bad (company_id uuid) partition by list (company_id); create table bad_part partition of bad default", &["bad", "bad_part"]),
            ("create table one (company_id uuid); create table bad () inherits (one)", &["bad"]),
        ],
    },
    Lint {
        rule: "a trigger or a rule: it acts beside the statement that names its company",
        sql: "select format('%s on %s', g.tgname, t.name) from tables t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal
              union all
              select format('%s on %s', r.rulename, t.name) from tables t join pg_rewrite r on r.ev_class = t.oid",
        broken: &[
            ("create table bad (company_id uuid); create trigger moves before update on bad
              for each row execute function suppress_redundant_updates_trigger()", &["moves on bad"]),
            ("create table bad (company_id uuid); create rule keeps as on delete to bad do instead nothing", &["keeps on bad"]),
        ],
    },
    // Grants.
    Lint {
        rule: "something else granted to the directory's role",
        sql: "select format('%s.%s %s', table_name, column_name, privilege_type) from information_schema.column_privileges
              where grantee = 'bulkhead_directory'
                and (privilege_type <> 'SELECT' or table_name not in ('hosts', 'companies')
                        and (table_name, column_name) not in (
                            ('outbox', 'company_id'), ('outbox', 'webhook_id'), ('outbox', 'next_at'),
                            ('webhooks', 'company_id'), ('webhooks', 'webhook_id'), ('webhooks', 'enabled')))",
        broken: &[
            ("grant select (email) on users to bulkhead_directory", &["users.email SELECT"]),
            ("grant select (payload) on outbox to bulkhead_directory", &["outbox.payload SELECT"]),
            ("grant update (status) on companies to bulkhead_directory", &["companies.status UPDATE"]),
            ("create table bad (x int); grant insert on bad to bulkhead_directory", &["bad.x INSERT"]),
        ],
    },
    Lint {
        rule: "a policy for the directory's role elsewhere, or for more than reading",
        sql: "select format('%s on %s', policyname, tablename) from pg_policies
              where 'bulkhead_directory' = any(roles)
                and (tablename not in ('hosts', 'companies', 'outbox', 'webhooks') or cmd <> 'SELECT')",
        broken: &[("create table bad (x int); create policy more on bad for select to bulkhead_directory using (true)", &["more on bad"])],
    },
    Lint {
        rule: "a grant of truncate, references, trigger or maintain, or a grant to everybody",
        sql: "select format('%s on %s to %s', a.privilege_type, c.relname, coalesce(r.rolname, 'PUBLIC'))
              from pg_class c, aclexplode(c.relacl) a
              left join pg_roles r on r.oid = a.grantee
              where c.relnamespace = 'public'::regnamespace
                and (a.grantee = 0 or r.rolname in (select name from workers)
                     and a.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN'))",
        broken: &[
            ("create table bad (x int); grant truncate on bad to bulkhead_runtime", &["TRUNCATE on bad to bulkhead_runtime"]),
            ("create table bad (x int); grant references on bad to bulkhead_runtime", &["REFERENCES on bad to bulkhead_runtime"]),
            ("create table bad (x int); grant trigger on bad to bulkhead_worker", &["TRIGGER on bad to bulkhead_worker"]),
            ("create table bad (x int); grant select on bad to public", &["SELECT on bad to PUBLIC"]),
            ("grant select on plans to public", &["SELECT on plans to PUBLIC"]),
        ],
    },
    Lint {
        rule: "a column granted to everybody, or the right to refer to one",
        sql: "select format('%s on %s.%s to %s', a.privilege_type, c.relname, t.attname, coalesce(r.rolname, 'PUBLIC'))
              from pg_attribute t
              join pg_class c on c.oid = t.attrelid and c.relnamespace = 'public'::regnamespace
              cross join lateral aclexplode(t.attacl) a
              left join pg_roles r on r.oid = a.grantee
              where a.grantee = 0 or (r.rolname in (select name from workers) and a.privilege_type = 'REFERENCES')",
        broken: &[
            ("create table bad (x int); grant select (x) on bad to public", &["SELECT on bad.x to PUBLIC"]),
            ("create table bad (x int); grant references (x) on bad to bulkhead_runtime", &["REFERENCES on bad.x to bulkhead_runtime"]),
        ],
    },
    Lint {
        rule: "a grant to a worker's role that is not bulkhead_runtime or the directory: it would be nowhere in the migrations",
        sql: "select format('%s on %s to %s', a.privilege_type, c.relname, w.name)
              from pg_class c, aclexplode(c.relacl) a
              join workers w on w.oid = a.grantee and w.name not in ('bulkhead_runtime', 'bulkhead_directory')
              where c.relnamespace = 'public'::regnamespace",
        broken: &[("create table bad (x int); grant select on bad to bulkhead_worker", &["SELECT on bad to bulkhead_worker"])],
    },
    Lint {
        rule: "a grant that may be passed on",
        sql: "select format('%s on %s to %s', a.privilege_type, c.relname, a.grantee::regrole)
              from pg_class c, aclexplode(c.relacl) a
              where c.relnamespace = 'public'::regnamespace and a.is_grantable and a.grantee <> c.relowner",
        broken: &[("create table bad (x int); grant select on bad to bulkhead_runtime with grant option", &["SELECT on bad to bulkhead_runtime"])],
    },
    Lint {
        rule: "a column that names the row, and that the worker may update",
        sql: "select format('%s.%s', t.name, a.attname) from tables t
              join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
              where has_column_privilege('bulkhead_runtime', t.oid, a.attnum, 'update')
                and (a.attname = 'company_id'
                     or exists (select from pg_index i where i.indrelid = t.oid and i.indisprimary and a.attnum = any(i.indkey)))",
        broken: &[
            ("create table bad (company_id uuid, id uuid, primary key (company_id, id)); grant update (id) on bad to bulkhead_runtime", &["bad.id"]),
            ("create table bad (company_id uuid, id uuid, x int, primary key (company_id, id)); grant update on bad to bulkhead_runtime", &["bad.company_id", "bad.id"]),
            ("create table bad (company_id uuid, x int); grant update (company_id) on bad to public", &["bad.company_id"]),
        ],
    },
    Lint {
        rule: "platform data that the worker may change",
        sql: "select format('%s.%s', c.relname, a.attname) from pg_class c
              join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
              where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
                and (c.relname in (select name from platform) or c.relname like 'template%')
                and (has_column_privilege('bulkhead_runtime', c.oid, a.attnum, 'insert, update')
                     or has_table_privilege('bulkhead_runtime', c.oid, 'delete'))",
        broken: &[
            ("grant update (name) on plans to bulkhead_runtime", &["plans.name"]),
            ("create table template_bad (x int); grant delete on template_bad to bulkhead_runtime", &["template_bad.x"]),
            ("create table template_bad (x int, y int); grant insert (y) on template_bad to bulkhead_runtime", &["template_bad.y"]),
        ],
    },
    Lint {
        rule: "a right that is given to whatever is made later",
        sql: "select format('%s by default to %s', a.privilege_type, coalesce(r.rolname, 'PUBLIC'))
              from pg_default_acl d, aclexplode(d.defaclacl) a
              left join pg_roles r on r.oid = a.grantee
              where a.grantee = 0 or r.rolname in (select name from workers)",
        broken: &[("alter default privileges in schema public grant select on tables to bulkhead_runtime", &["SELECT by default to bulkhead_runtime"])],
    },
    // Roles.
    Lint {
        rule: "a worker's role with rights of its own",
        sql: "select name from workers where rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication",
        broken: &[
            ("alter role bulkhead_runtime bypassrls", &["bulkhead_runtime"]),
            ("create role bad createrole; grant bulkhead_runtime to bad", &["bad"]),
            ("create role bad createdb; grant bulkhead_runtime to bad", &["bad"]),
            ("alter role bulkhead_directory bypassrls", &["bulkhead_directory"]),
        ],
    },
    Lint {
        rule: "a worker's role that is a member of another role",
        sql: "select format('%s in %s', w.name, r.rolname) from workers w
              join pg_auth_members m on m.member = w.oid
              join pg_roles r on r.oid = m.roleid
              where r.rolname <> 'bulkhead_runtime' or w.name in ('bulkhead_runtime', 'bulkhead_directory')",
        broken: &[
            ("create role bad; grant bad to bulkhead_runtime", &["bulkhead_runtime in bad"]),
            ("create role bad bypassrls; grant bad to bulkhead_worker", &["bulkhead_worker in bad"]),
            ("grant bulkhead_directory to bulkhead_worker", &["bulkhead_worker in bulkhead_directory"]),
        ],
    },
    Lint {
        rule: "something that belongs to the worker's roles, besides the three functions that are listed",
        sql: "select c.relname::text from pg_class c join workers w on w.oid = c.relowner
              where c.relnamespace = 'public'::regnamespace
              union all
              select p.proname::text from pg_proc p join workers w on w.oid = p.proowner
              where p.pronamespace = 'public'::regnamespace and p.proname not in ('company_by_host', 'companies_after', 'companies_due')
              union all
              select n.nspname::text from pg_namespace n join workers w on w.oid = n.nspowner where n.nspname !~ '^pg_'",
        broken: &[
            ("grant bulkhead_runtime to current_user; grant create on schema public to bulkhead_runtime; create table bad (x int); alter table bad owner to bulkhead_runtime", &["bad"]),
            ("grant bulkhead_worker to current_user; grant create on schema public to bulkhead_worker; create function bad() returns int language sql return 1;
              alter function bad() owner to bulkhead_worker", &["bad"]),
            ("grant bulkhead_runtime to current_user; create schema bad authorization bulkhead_runtime", &["bad"]),
        ],
    },
    Lint {
        rule: "a schema in which the worker may make things, or another schema that it may use",
        sql: "select n.nspname::text from pg_namespace n
              where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
                and (has_schema_privilege('bulkhead_runtime', n.oid, 'create')
                     or has_schema_privilege('bulkhead_directory', n.oid, 'create')
                     or (n.nspname <> 'public' and has_schema_privilege('bulkhead_runtime', n.oid, 'usage')))",
        broken: &[
            ("grant create on schema public to bulkhead_runtime", &["public"]),
            ("grant create on schema public to public", &["public"]),
            ("create schema bad; grant usage on schema bad to public", &["bad"]),
        ],
    },
    // Functions.
    Lint {
        rule: "a function with another's rights that is not listed; three are the most there may ever be",
        sql: "select p.proname::text from pg_proc p
              where p.prosecdef and p.pronamespace = 'public'::regnamespace
                and (p.proname not in ('company_by_host', 'companies_after', 'companies_due')
                     or p.proowner <> 'bulkhead_directory'::regrole)",
        broken: &[
            ("create function bad() returns bigint language sql security definer set search_path = pg_catalog, public
              return (select count(*) from public.users)", &["bad"]),
            ("create procedure bad() language sql security definer begin atomic select 1; end", &["bad"]),
            ("create function company_by_host(x text) returns int language sql security definer return 1", &["company_by_host"]),
        ],
    },
    Lint {
        rule: "a function with another's rights without a fixed search path, or that everybody may call",
        sql: "select p.proname::text from pg_proc p
              where p.prosecdef and p.pronamespace = 'public'::regnamespace
                and (not coalesce(array_to_string(p.proconfig, ','), '') ~ '(^|,)search_path=pg_catalog, public(,|$)'
                     or has_function_privilege('public', p.oid, 'execute'))",
        broken: &[
            ("create function bad() returns int language sql security definer return 1; revoke all on function bad from public", &["bad"]),
            ("create function bad() returns int language sql security definer set search_path = public return 1; revoke all on function bad from public", &["bad"]),
            ("create function bad() returns int language sql security definer set search_path = pg_catalog, public return 1", &["bad"]),
        ],
    },
    // Words.
    Lint {
        rule: "a table or column without a comment",
        sql: "select t.name from tables t where obj_description(t.oid) is null
              union all
              select t.name || '.' || a.attname from tables t
              join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
              where col_description(t.oid, a.attnum) is null",
        broken: &[
            ("create table bad (x int); comment on table bad is 'x'", &["bad.x"]),
            ("create table bad (x int); comment on column bad.x is 'x'", &["bad"]),
        ],
    },
];
