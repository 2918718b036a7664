-- Fingerprints of provider keys, keys of a company's own programs, and requests that may come twice.

alter table providers add column fingerprint text check (fingerprint ~ '^[0-9a-f]{12}$');
comment on column providers.fingerprint is 'keyed digest of the key, other at every company: equal keys of this company have equal ones; changes when the key is sealed under another master key; null when it was sealed before there were fingerprints';
grant update (fingerprint) on providers to bulkhead_runtime;

alter table api_keys add column scopes text[] not null default '{}' check (scopes <@ array['chat', 'models']);
comment on column api_keys.scopes is 'what the key may be used for: chat, models; none listed, nothing allowed';
alter table api_keys add column last_used_at timestamptz;
comment on column api_keys.last_used_at is 'when it was last used, to within an hour; null: never';
comment on column api_keys.revoked_at is 'when it was revoked, for good; null while it was not';
grant update (last_used_at) on api_keys to bulkhead_runtime;

create table idempotency_keys (
    company_id uuid not null references companies on delete cascade,
    key_hash bytea not null check (length(key_hash) = 32),
    request_digest bytea not null check (length(request_digest) = 32),
    request_id uuid not null,
    status smallint check (status between 200 and 299),
    sealed_answer bytea,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (company_id, key_hash),
    check ((status is null) = (sealed_answer is null))
);
create index idempotency_keys_expires on idempotency_keys (company_id, expires_at);
comment on table idempotency_keys is 'requests that were carried out and may come again: written in the transaction that carries one out';
comment on column idempotency_keys.company_id is 'the company';
comment on column idempotency_keys.key_hash is 'SHA-256 of who sent the request and of the Idempotency-Key it came with';
comment on column idempotency_keys.request_digest is 'SHA-256 of that key, the method, the path and the body: whether a request that comes again is the same';
comment on column idempotency_keys.request_id is 'the request that was carried out, as it is in the logs';
comment on column idempotency_keys.status is 'HTTP status of the answer; null until it is stored, and for good if it was lost';
comment on column idempotency_keys.sealed_answer is 'the answer''s body, sealed for this company and this row (see tenant/vault.rs): it may hold a secret that is shown once; null while status is';
comment on column idempotency_keys.created_at is 'when the request was carried out';
comment on column idempotency_keys.expires_at is 'when it is forgotten, and the key may be used for something else';
call protect('idempotency_keys');
grant select, insert, update (request_digest, request_id, status, sealed_answer, created_at, expires_at), delete
    on idempotency_keys to bulkhead_runtime;
