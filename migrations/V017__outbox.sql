-- Webhooks, and the outbox from which a company's programs and people are told of what happened.

create table webhooks (
    company_id uuid not null references companies on delete cascade,
    webhook_id uuid not null,
    url text not null check (length(url) between 1 and 1000),
    events text[] not null check (
        cardinality(events) between 1 and 10
        and events <@ array['lead.new', 'conversation.handed_over', 'conversation.closed', 'budget.nearly_spent', 'budget.spent']),
    sealed_secret bytea not null,
    enabled boolean not null default true,
    created_at timestamptz not null default now(),
    failing_since timestamptz,
    primary key (company_id, webhook_id)
);
comment on table webhooks is 'addresses of a company''s own programs that are told of what happens';
comment on column webhooks.company_id is 'the company';
comment on column webhooks.webhook_id is 'the webhook';
comment on column webhooks.url is 'where it is told, an address of a public website';
comment on column webhooks.events is 'of what it is told, for example lead.new';
comment on column webhooks.sealed_secret is 'what deliveries are signed with, sealed for this company and row (see tenant/vault.rs)';
comment on column webhooks.enabled is 'is told; false: what waits for it goes on waiting';
comment on column webhooks.created_at is 'when it was added';
comment on column webhooks.failing_since is 'when deliveries began to fail without one that did not; null while they do not';
call protect('webhooks');
grant select, insert, update (url, events, sealed_secret, enabled, failing_since), delete on webhooks to bulkhead_runtime;

create table outbox (
    company_id uuid not null references companies on delete cascade,
    delivery_id uuid not null,
    event_id uuid not null,
    event text not null check (length(event) between 1 and 80),
    payload jsonb not null,
    webhook_id uuid,
    user_id uuid,
    attempts smallint not null default 0 check (attempts >= 0),
    created_at timestamptz not null default now(),
    next_at timestamptz default now(),
    delivered_at timestamptz,
    dead_at timestamptz,
    last_status smallint,
    last_error text check (length(last_error) between 1 and 200),
    primary key (company_id, delivery_id),
    foreign key (company_id, webhook_id) references webhooks on delete cascade,
    foreign key (company_id, user_id) references users on delete cascade,
    check ((webhook_id is null) <> (user_id is null)),
    check (num_nonnulls(next_at, delivered_at, dead_at) = 1)
);
create index outbox_due on outbox (company_id, next_at) where next_at is not null;
create index outbox_webhook on outbox (company_id, webhook_id, created_at);
create index outbox_user on outbox (company_id, user_id) where user_id is not null;
comment on table outbox is 'what somebody is to be told, one row for each of them; written in the transaction that does what it tells of';
comment on column outbox.company_id is 'the company';
comment on column outbox.delivery_id is 'the delivery';
comment on column outbox.event_id is 'what happened; the same for all that are told of it, however often';
comment on column outbox.event is 'its kind, for example lead.new';
comment on column outbox.payload is 'what is told of it';
comment on column outbox.webhook_id is 'the webhook that is told; null for a mail';
comment on column outbox.user_id is 'the person who gets a mail; null for a webhook';
comment on column outbox.attempts is 'how often it was begun';
comment on column outbox.created_at is 'when it happened';
comment on column outbox.next_at is 'when it is tried next, and until when nobody else tries it; null once delivered or given up';
comment on column outbox.delivered_at is 'when it was taken; null while it was not';
comment on column outbox.dead_at is 'when it was given up; null while it was not';
comment on column outbox.last_status is 'HTTP status of the last attempt; null without an answer';
comment on column outbox.last_error is 'what was wrong with the last attempt; null if nothing was';
call protect('outbox');
grant select, insert, update (attempts, next_at, delivered_at, dead_at, last_status, last_error), delete on outbox to bulkhead_runtime;

-- These run as their caller: row-level security holds in them as anywhere.
create function may_read(company uuid, reader text, what text) returns boolean language sql stable as $$
    select not exists (
        select from role_permissions p
        where p.company_id = company and p.role = reader and not p.allowed
          and p.permission = case split_part(what, '.', 1)
                                 when 'lead' then 'leads.read'
                                 when 'conversation' then 'conversations.read'
                                 when 'budget' then 'budget.read'
                                 else 'programs.read'
                             end)
$$;
comment on function may_read is 'whether people of this role may read what an event of this kind tells';
revoke all on function may_read from public;
grant execute on function may_read to bulkhead_runtime;

create function tell(company uuid, happening uuid, what text, facts jsonb) returns setof uuid language sql volatile as $$
    insert into outbox (company_id, delivery_id, event_id, event, payload, webhook_id, user_id)
    select company, gen_random_uuid(), happening, what, facts, told.webhook_id, told.user_id
    from (
        select w.webhook_id, null::uuid as user_id
        -- Held until the end, so that one that is removed meanwhile is not told, and fails nobody.
        from (select webhook_id
              from webhooks
              where company_id = company and enabled and what = any (events)
              for key share) w
        union all
        select null, m.user_id
        from notification_settings s
        join memberships m on m.company_id = s.company_id and m.ended_at is null
             and array_position(array['member', 'admin', 'owner'], m.role) >= array_position(array['member', 'admin', 'owner'], s.role)
        join users u on u.company_id = m.company_id and u.user_id = m.user_id and u.email_verified_at is not null
        where s.company_id = company and s.event = what and s.channel = 'email' and s.enabled
          and may_read(m.company_id, m.role, what)
    ) told
    returning delivery_id
$$;
comment on function tell is 'puts what happened into the outbox: for each webhook that wants it, and for each person whom the settings name, who may read of it and whose address is confirmed; gives the deliveries';
revoke all on function tell from public;
grant execute on function tell to bulkhead_runtime;

alter table notices drop constraint notices_kind_check;
alter table notices add constraint notices_kind_check check (kind in ('hand_over', 'lead', 'budget', 'webhook'));
comment on column notices.kind is 'hand_over, lead, budget or webhook';
