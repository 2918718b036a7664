-- Support: the operator's people may look at a company for a short while, for a reason, and its owner sees and ends it.

alter table companies add column support_allowed boolean not null default true;
comment on column companies.support_allowed is 'whether the operator''s support may enter; false: it is refused, and whoever was in is out';
grant update (support_allowed) on companies to bulkhead_runtime;

create table support_accesses (
    company_id uuid not null references companies on delete cascade,
    access_id uuid not null,
    operator text not null check (length(operator) between 1 and 120),
    reason text not null check (length(reason) between 1 and 500),
    minutes integer not null check (minutes between 1 and 60),
    token_hash bytea not null check (length(token_hash) = 32),
    created_at timestamptz not null default now(),
    link_expires_at timestamptz not null,
    used_at timestamptz,
    ends_at timestamptz,
    ended_at timestamptz,
    primary key (company_id, access_id),
    unique (company_id, token_hash),
    check ((used_at is null) = (ends_at is null))
);
create index support_accesses_time on support_accesses (company_id, created_at);
comment on table support_accesses is 'when the operator''s support was let in: each is a link that is good once and the session that it begins; read in the same transaction as everything support does';
comment on column support_accesses.company_id is 'the company';
comment on column support_accesses.access_id is 'the access; what was done in it has this id in the audit log';
comment on column support_accesses.operator is 'who of the operator''s people it is';
comment on column support_accesses.reason is 'why, in their own words; the owner reads it';
comment on column support_accesses.minutes is 'how long the session lasts once it has begun, minutes';
comment on column support_accesses.token_hash is 'SHA-256 of the link''s token, which only the operator''s person has';
comment on column support_accesses.created_at is 'when the link was made';
comment on column support_accesses.link_expires_at is 'when the link ends if nobody uses it';
comment on column support_accesses.used_at is 'when it was used and the session began; null while it is good';
comment on column support_accesses.ends_at is 'when the session ends by itself; null before it has begun';
comment on column support_accesses.ended_at is 'when link or session ended: by the owner, by leaving, or by itself; null until then, or until the round has seen that its time is over';
call protect('support_accesses');
-- No insert: only the schema's owner lets anybody in, and no worker can.
grant select, update (used_at, ends_at, ended_at) on support_accesses to bulkhead_runtime;

-- What support does is noted as such. Both checks are wider than those before, so that every row there is keeps to them.
alter table audit_events
    drop constraint audit_events_actor_check,
    drop constraint audit_events_check,
    add constraint audit_events_actor_check check (actor in ('member', 'support', 'visitor', 'system')) not valid,
    add constraint audit_events_check check ((actor in ('member', 'support')) = (user_id is not null)) not valid;
comment on column audit_events.actor is 'member, support, visitor or system';
comment on column audit_events.user_id is 'which member, or which of support''s accesses; null for the others';
