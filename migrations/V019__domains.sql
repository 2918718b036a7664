-- A company's own domains: what it claims, and how the DNS proves that the name is the company's.

create table domains (
    company_id uuid not null references companies on delete cascade,
    domain_id uuid not null,
    host text not null check (host = lower(host) and length(host) between 4 and 200),
    token text not null check (length(token) = 32),
    created_at timestamptz not null default now(),
    checked_at timestamptz,
    proved_at timestamptz,
    missing_since timestamptz,
    primary key (company_id, domain_id),
    unique (company_id, host)
);
comment on table domains is 'names that a company claims as its own; a claim takes nothing and keeps nobody from claiming the same. One that the DNS proved has a row in hosts besides, and answers there';
comment on column domains.company_id is 'the company';
comment on column domains.domain_id is 'the claim';
comment on column domains.host is 'host name, lower case, without port';
comment on column domains.token is 'what the TXT record at _bulkhead.<host> must hold: 192 random bits, base64url; for everybody to see once it is in the DNS';
comment on column domains.created_at is 'when it was claimed';
comment on column domains.checked_at is 'when the DNS last said that the record is there, or was last asked by the round; null before';
comment on column domains.proved_at is 'when the record was last found; null before';
comment on column domains.missing_since is 'since when the DNS says that the record is not there, of a name that answers; null while it is there';
call protect('domains');
grant select, insert, update (checked_at, proved_at, missing_since), delete on domains to bulkhead_runtime;

-- A subdomain that was given up stays taken, since it is the platform's word for whoever is there. A company's own domain is
-- somebody's in the DNS, whatever stands here: once it is given up, whoever proves that it is theirs may have it.
drop index hosts_host;
create unique index hosts_host on hosts (host) where kind = 'slug' or released_at is null;
comment on column hosts.released_at is 'when the company gave it up: for 90 days a subdomain leads to the present one, then it answers as nobody''s, and nobody else can take it yet; a company''s own domain is free at once; null while in use';

alter table notices drop constraint notices_kind_check;
alter table notices add constraint notices_kind_check check (kind in ('hand_over', 'lead', 'budget', 'webhook', 'domain'));
comment on column notices.kind is 'hand_over, lead, budget, webhook or domain';
