-- How long a company keeps what visitors leave and what was done; and which companies have something due, for a round that comes often.

-- Retention ----------------------------------------------------------------------------------------------------------------

create table retention_settings (
    company_id uuid primary key references companies on delete cascade,
    conversations_days integer check (conversations_days between 1 and 3650),
    leads_days integer check (leads_days between 1 and 3650),
    memories_days integer check (memories_days between 1 and 3650),
    drafts_days integer check (drafts_days between 1 and 3650),
    deliveries_days integer check (deliveries_days between 1 and 30),
    audit_days integer check (audit_days between 90 and 3650),
    updated_at timestamptz not null default now()
);
comment on table retention_settings is 'for how long a company keeps what; a company without a row keeps all of it';
comment on column retention_settings.company_id is 'the company';
comment on column retention_settings.conversations_days is 'days after its last message that a conversation is kept, with all that was said, noted and rated in it; null: for ever';
comment on column retention_settings.leads_days is 'days that a lead is kept, and a contact after its last lead; null: for ever';
comment on column retention_settings.memories_days is 'days that agents remember what a visitor asked, in later conversations; null: until the memory ends by itself';
comment on column retention_settings.drafts_days is 'days that a model''s draft for a visitor''s question waits for a person; null: for ever';
comment on column retention_settings.deliveries_days is 'days after it was taken or given up that a delivery is kept; null: as long as the platform keeps any, 30';
comment on column retention_settings.audit_days is 'days that the audit log is kept; null: for ever';
comment on column retention_settings.updated_at is 'last change';
call protect('retention_settings');
grant select, insert, update (conversations_days, leads_days, memories_days, drafts_days, deliveries_days, audit_days, updated_at)
    on retention_settings to bulkhead_runtime;

create index conversations_time on conversations (company_id, created_at);

-- The audit log is added to and never changed, so that whoever gets hold of the worker cannot hide what was done. What is older
-- than the company's own window may go, and nothing else: besides the one policy, each row that is deleted has to pass this one.
create policy aged on audit_events as restrictive for delete to bulkhead_runtime using (
    exists (select
            from retention_settings r
            where r.company_id = audit_events.company_id and r.audit_days is not null
              and audit_events.created_at < now() - make_interval(days => greatest(r.audit_days, 90)))
);
comment on policy aged on audit_events is 'only what is older than the company''s window, and than 90 days, can be deleted';
comment on table audit_events is 'who did what; added to, never changed, and deleted only after the company''s own window';
grant delete on audit_events to bulkhead_runtime;

-- What is due --------------------------------------------------------------------------------------------------------------

-- As companies_after, but only those with a delivery whose next attempt is due: so a round that comes each minute visits those alone.
create index outbox_next on outbox (next_at, company_id) where next_at is not null;
create policy directory on outbox for select to bulkhead_directory using (true);
create policy directory on webhooks for select to bulkhead_directory using (true);
grant select (company_id, webhook_id, next_at) on outbox to bulkhead_directory;
grant select (company_id, webhook_id, enabled) on webhooks to bulkhead_directory;

create function companies_due(last uuid, how_many integer)
returns table (company_id uuid, slug text, name text, industry text, utc_offset_minutes integer)
language sql stable security definer set search_path = pg_catalog, public
begin atomic
    select c.company_id, c.slug, c.name, c.industry, public.offset_minutes(c.time_zone)
    from (
        select distinct o.company_id
        from public.outbox o
        left join public.webhooks w on w.company_id = o.company_id and w.webhook_id = o.webhook_id
        where o.next_at <= now() and o.company_id > last and (o.webhook_id is null or w.enabled)
    ) d
    join public.companies c on c.company_id = d.company_id
    where c.status = 'active'
    order by c.company_id
    limit least(how_many, 500);
end;
comment on function companies_due is 'active companies with a delivery that is due, in the order of their ids, for the round of each minute: names them, opens nothing of theirs';

grant create on schema public to bulkhead_directory;
alter function companies_due owner to bulkhead_directory;
revoke create on schema public from bulkhead_directory;
revoke all on function companies_due from public;
grant execute on function companies_due to bulkhead_runtime;
