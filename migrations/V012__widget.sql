-- The chat on pages: how it shows itself, what its answers may point to, and what visitors think of the answers.

alter table widget_settings
    add column side text not null default 'right' check (side in ('left', 'right')),
    add column greet_after_s integer check (greet_after_s between 0 and 600),
    add column link_hosts text[] not null default '{}',
    add column image_hosts text[] not null default '{}';
comment on column widget_settings.side is 'the window''s side at which the chat''s button is';
comment on column widget_settings.greet_after_s is 'seconds after which the greeting shows beside the button, once a visit; null: never';
comment on column widget_settings.link_hosts is 'hosts besides the company''s own to which links in answers lead; others stay text';
comment on column widget_settings.image_hosts is 'hosts from which images in answers are loaded; none by default: an image''s address can carry data out';
grant update (side, greet_after_s, link_hosts, image_hosts) on widget_settings to bulkhead_runtime;

create table message_ratings (
    company_id uuid not null,
    message_id uuid not null,
    good boolean not null,
    remark text not null default '' check (length(remark) <= 1000),
    updated_at timestamptz not null default now(),
    primary key (company_id, message_id),
    foreign key (company_id, message_id) references messages on delete cascade
);
comment on table message_ratings is 'what visitors think of answers: one rating a message, by whoever was answered';
comment on column message_ratings.company_id is 'the company';
comment on column message_ratings.message_id is 'the answer';
comment on column message_ratings.good is 'whether it helped';
comment on column message_ratings.remark is 'what they say about it; empty when nothing';
comment on column message_ratings.updated_at is 'when it was rated last';
call protect('message_ratings');
grant select, insert, update (good, remark, updated_at) on message_ratings to bulkhead_runtime;

-- Who a visitor is, as the company's own server says it.
alter table widget_settings
    add column sealed_identity_secret bytea,
    add column identity_secret_at timestamptz,
    add check ((sealed_identity_secret is null) = (identity_secret_at is null));
comment on column widget_settings.sealed_identity_secret is 'what the company''s server signs visitors'' identities with, sealed for this company (see tenant/vault.rs); null: nobody can';
comment on column widget_settings.identity_secret_at is 'when that secret was made; null without one';
grant update (sealed_identity_secret, identity_secret_at) on widget_settings to bulkhead_runtime;

create table visitor_identities (
    company_id uuid not null references companies on delete cascade,
    visitor_id uuid not null,
    subject text not null check (length(subject) between 1 and 200),
    name text check (length(name) between 1 and 120),
    email text check (length(email) between 3 and 254),
    verified_at timestamptz not null default now(),
    primary key (company_id, visitor_id)
);
comment on table visitor_identities is 'visitors whom the company''s own server vouches for';
comment on column visitor_identities.company_id is 'the company';
comment on column visitor_identities.visitor_id is 'the visitor';
comment on column visitor_identities.subject is 'who they are there: the token''s sub; never another''s afterwards';
comment on column visitor_identities.name is 'their name; null when it was not said';
comment on column visitor_identities.email is 'their address; null when it was not said';
comment on column visitor_identities.verified_at is 'when it was said last';
call protect('visitor_identities');
grant select, insert, update (name, email, verified_at) on visitor_identities to bulkhead_runtime;
