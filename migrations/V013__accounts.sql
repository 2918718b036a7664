-- Accounts: addresses that are verified, links that are good once, and a second step of signing in.

alter table users
    add column email_verified_at timestamptz,
    add column sealed_totp_secret bytea,
    add column totp_enabled_at timestamptz,
    add column totp_last_step bigint not null default 0 check (totp_last_step >= 0),
    add check (totp_enabled_at is null or sealed_totp_secret is not null);
comment on column users.email_verified_at is 'when the person showed that mail to the address reaches them; null: not yet';
comment on column users.sealed_totp_secret is 'what codes are made from (RFC 6238), sealed for this company and person (see tenant/vault.rs); null: there are none';
comment on column users.totp_enabled_at is 'since when signing in takes a code; null: it does not, also while the secret is only being set up';
comment on column users.totp_last_step is 'the 30-second step of the last code that was taken, so that none is taken twice; 0 before the first';
grant update (email, email_verified_at, sealed_totp_secret, totp_enabled_at, totp_last_step) on users to bulkhead_runtime;

create table account_links (
    company_id uuid not null references companies on delete cascade,
    link_id uuid not null,
    purpose text not null check (purpose in ('verify', 'reset', 'invite', 'code', 'enter')),
    subject text not null check (length(subject) between 3 and 254),
    user_id uuid,
    email text check (email = lower(email) and length(email) between 3 and 254),
    role text check (role in ('member', 'admin', 'owner')),
    token_hash bytea not null check (length(token_hash) = 32),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    primary key (company_id, link_id),
    unique (company_id, purpose, subject),
    unique (company_id, token_hash),
    foreign key (company_id, user_id) references users on delete cascade,
    check ((purpose = 'invite') = (user_id is null)),
    check ((purpose = 'invite') = (role is not null)),
    check ((purpose in ('verify', 'invite')) = (email is not null))
);
create index account_links_user on account_links (company_id, user_id);
comment on table account_links is 'what somebody may do once with a token that was sent to them: one of a purpose for each person, so that a new one ends the old one';
comment on column account_links.company_id is 'the company';
comment on column account_links.link_id is 'the link; an invitation is known by it';
comment on column account_links.purpose is 'verify an e-mail address, reset a password, accept an invitation, give the code after a right password, enter from the sign-up';
comment on column account_links.subject is 'whom it is for: the person''s id, or the invited address';
comment on column account_links.user_id is 'the person; null for an invitation';
comment on column account_links.email is 'the address that it verifies or invites; null for the other purposes';
comment on column account_links.role is 'what the invited person will be; null for the other purposes';
comment on column account_links.token_hash is 'SHA-256 of the token, which only the person has';
comment on column account_links.created_at is 'when it was made, or made anew';
comment on column account_links.expires_at is 'when it ends by itself';
comment on column account_links.used_at is 'when it was used; null while it is good';
call protect('account_links');
grant select, insert, delete, update (email, role, token_hash, created_at, expires_at, used_at) on account_links to bulkhead_runtime;

create table recovery_codes (
    company_id uuid not null,
    user_id uuid not null,
    code_hash bytea not null check (length(code_hash) = 32),
    used_at timestamptz,
    primary key (company_id, user_id, code_hash),
    foreign key (company_id, user_id) references users on delete cascade
);
comment on table recovery_codes is 'codes for somebody who lost what makes their codes: each is good once';
comment on column recovery_codes.company_id is 'the company';
comment on column recovery_codes.user_id is 'the person';
comment on column recovery_codes.code_hash is 'SHA-256 of the code: 80 random bits need no slow hash';
comment on column recovery_codes.used_at is 'when it was used; null while it is good';
call protect('recovery_codes');
grant select, insert, delete, update (used_at) on recovery_codes to bulkhead_runtime;
