-- The schema: every company's data in one set of tables, each row in its company's compartment.

-- Roles ---------------------------------------------------------------------------------------------------------

-- Roles are the cluster's, not the database's: another database of the same server may have made them already.
do $$ begin
    create role bulkhead_runtime nologin;
exception when duplicate_object or unique_violation then null;
end $$;

do $$ begin
    create role bulkhead_directory nologin;
exception when duplicate_object or unique_violation then null;
end $$;

comment on role bulkhead_runtime is 'what the worker may do; owns nothing, bypasses nothing';
comment on role bulkhead_directory is 'owner of company_by_host, the one look-up before a company is known';

revoke all on schema public from public;
grant usage on schema public to bulkhead_runtime, bulkhead_directory;

-- Tools for the migrations and for guards -----------------------------------------------------------------------

create procedure protect(target regclass) language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format(
        'create policy company on %s to bulkhead_runtime'
        ' using (company_id = (select current_setting(''app.current_company_id''))::uuid)'
        ' with check (company_id = (select current_setting(''app.current_company_id''))::uuid)',
        target
    );
end $$;
comment on procedure protect is 'row-level security, enabled and forced, with the one policy: the row is of the current company';

-- Volatile, so that it is never evaluated while planning.
create function refuse(code text) returns text language plpgsql volatile as $$
begin
    raise exception 'refused' using errcode = code;
end $$;
comment on function refuse is 'raises the SQLSTATE it is given: a guard in a batch rolls the whole batch back';

-- Platform data: the same for everybody, read-only to the worker ------------------------------------------------

create table plans (
    plan text primary key,
    name text not null,
    monthly_price_cents integer not null check (monthly_price_cents >= 0),
    daily_limit_microusd bigint not null check (daily_limit_microusd >= 0),
    monthly_tokens bigint not null check (monthly_tokens >= 0)
);
comment on table plans is 'what a company can subscribe to';
comment on column plans.plan is 'short name, used as key';
comment on column plans.name is 'name shown to people';
comment on column plans.monthly_price_cents is 'price a month, US cents';
comment on column plans.daily_limit_microusd is 'a new company''s budget for model calls a day, micro-dollars';
comment on column plans.monthly_tokens is 'tokens a month that the plan includes';
grant select on plans to bulkhead_runtime;

insert into plans (plan, name, monthly_price_cents, daily_limit_microusd, monthly_tokens) values
    ('starter', 'Starter', 8900, 2000000, 5000000),
    ('growth', 'Growth', 17900, 5000000, 15000000),
    ('pro', 'Pro', 29900, 12000000, 40000000),
    ('scale', 'Scale', 49900, 30000000, 120000000);

create table models (
    kind text not null check (kind in ('openai', 'anthropic')),
    model text not null,
    tier text not null check (tier in ('fast', 'balanced', 'best')),
    input_microusd_per_mtok bigint not null check (input_microusd_per_mtok >= 0),
    output_microusd_per_mtok bigint not null check (output_microusd_per_mtok >= 0),
    context_tokens integer not null check (context_tokens > 0),
    primary key (kind, model)
);
comment on table models is 'models with published prices; copied to a provider when a company adds its key';
comment on column models.kind is 'whose model it is';
comment on column models.model is 'name in the provider''s API';
comment on column models.tier is 'what an agent asks for: fast, balanced or best';
comment on column models.input_microusd_per_mtok is 'price of a million input tokens, micro-dollars';
comment on column models.output_microusd_per_mtok is 'price of a million output tokens, micro-dollars';
comment on column models.context_tokens is 'input and output tokens that fit in one call';
grant select on models to bulkhead_runtime;

insert into models (kind, model, tier, input_microusd_per_mtok, output_microusd_per_mtok, context_tokens) values
    ('openai', 'gpt-5-nano', 'fast', 50000, 400000, 400000),
    ('openai', 'gpt-5-mini', 'balanced', 250000, 2000000, 400000),
    ('openai', 'gpt-5', 'best', 1250000, 10000000, 400000),
    ('anthropic', 'claude-haiku-4-5', 'fast', 1000000, 5000000, 200000),
    ('anthropic', 'claude-sonnet-4-5', 'balanced', 3000000, 15000000, 200000),
    ('anthropic', 'claude-opus-4-5', 'best', 5000000, 25000000, 200000);

-- Companies and where they are found ----------------------------------------------------------------------------

create table companies (
    company_id uuid primary key,
    slug text not null check (slug ~ '^[a-z][a-z0-9-]{1,38}[a-z0-9]$'),
    name text not null check (length(name) between 1 and 120),
    industry text not null check (length(industry) between 1 and 60),
    status text not null default 'active' check (status in ('active', 'suspended')),
    created_at timestamptz not null default now()
);
comment on table companies is 'a company: one compartment';
comment on column companies.company_id is 'the company';
comment on column companies.slug is 'its subdomain; unique through hosts';
comment on column companies.name is 'its name, as customers know it';
comment on column companies.industry is 'the industry template it started from';
comment on column companies.status is 'active, or suspended: then its hosts answer as if they were not there';
comment on column companies.created_at is 'when it signed up';
call protect('companies');
grant select, insert, update (name, status) on companies to bulkhead_runtime;

create table hosts (
    company_id uuid not null references companies on delete cascade,
    host text not null check (host = lower(host) and length(host) between 1 and 253),
    kind text not null check (kind in ('slug', 'custom')),
    created_at timestamptz not null default now(),
    primary key (company_id, host)
);
-- The one unique index without a company: a host name has one owner in the whole world, and that is public (DNS).
create unique index hosts_host on hosts (host);
comment on table hosts is 'host names under which a company answers';
comment on column hosts.company_id is 'whose host it is';
comment on column hosts.host is 'host name, lower case, without port: a slug stands for slug.root, a custom domain is whole';
comment on column hosts.kind is 'slug: a subdomain of the platform''s root; custom: the company''s own domain';
comment on column hosts.created_at is 'when it was taken';
call protect('hosts');
grant select, insert on hosts to bulkhead_runtime;

create policy directory on hosts for select to bulkhead_directory using (true);
create policy directory on companies for select to bulkhead_directory using (true);
grant select (company_id, host, kind) on hosts to bulkhead_directory;
grant select (company_id, slug, name, industry, status) on companies to bulkhead_directory;

create function company_by_host(wanted_host text, wanted_kind text)
returns table (company_id uuid, slug text, name text, industry text)
language sql stable security definer set search_path = pg_catalog, public
begin atomic
    select c.company_id, c.slug, c.name, c.industry
    from public.hosts h
    join public.companies c on c.company_id = h.company_id
    where h.host = wanted_host and h.kind = wanted_kind and c.status = 'active';
end;
comment on function company_by_host is 'host to active company: the one question asked before a company is known';

-- Owned by a role that may read two tables and nothing else; making it the owner needs both grants for a moment.
do $$ begin
    execute format('grant bulkhead_directory to %I', current_user);
exception when others then
    if not pg_has_role(current_user, 'bulkhead_directory', 'member') then raise; end if;
end $$;
grant create on schema public to bulkhead_directory;
alter function company_by_host owner to bulkhead_directory;
revoke create on schema public from bulkhead_directory;
revoke all on function company_by_host from public;
grant execute on function company_by_host to bulkhead_runtime;

-- People of a company -------------------------------------------------------------------------------------------

create table users (
    company_id uuid not null references companies on delete cascade,
    user_id uuid not null,
    email text not null check (email = lower(email) and length(email) between 3 and 254),
    name text not null check (length(name) between 1 and 120),
    password_hash text not null,
    created_at timestamptz not null default now(),
    primary key (company_id, user_id),
    unique (company_id, email)
);
comment on table users is 'people who sign in to this company''s dashboard; the same person elsewhere is another row, with another password';
comment on column users.company_id is 'the company';
comment on column users.user_id is 'the person, in this company';
comment on column users.email is 'address to sign in with, lower case';
comment on column users.name is 'name shown to colleagues and customers';
comment on column users.password_hash is 'Argon2id, PHC string';
comment on column users.created_at is 'when the account was made';
call protect('users');
grant select, insert, update (name, password_hash) on users to bulkhead_runtime;

create table memberships (
    company_id uuid not null,
    user_id uuid not null,
    role text not null check (role in ('member', 'admin', 'owner')),
    created_at timestamptz not null default now(),
    ended_at timestamptz,
    primary key (company_id, user_id),
    foreign key (company_id, user_id) references users on delete cascade
);
comment on table memberships is 'what a person may do here; read in the same transaction as everything a signed-in person does';
comment on column memberships.company_id is 'the company';
comment on column memberships.user_id is 'the person';
comment on column memberships.role is 'member reads and writes knowledge; admin also agents, providers, budget; owner also the company itself';
comment on column memberships.created_at is 'since when';
comment on column memberships.ended_at is 'when the person left; null while active';
call protect('memberships');
grant select, insert, update (role, ended_at) on memberships to bulkhead_runtime;

create table sessions (
    company_id uuid not null,
    session_id uuid not null,
    user_id uuid not null,
    refresh_hash bytea not null check (length(refresh_hash) = 32),
    previous_hash bytea check (length(previous_hash) = 32),
    created_at timestamptz not null default now(),
    refreshed_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    primary key (company_id, session_id),
    foreign key (company_id, user_id) references users on delete cascade
);
comment on table sessions is 'signed-in sessions: each is one family of refresh tokens (RFC 9700, section 4.14.2)';
comment on column sessions.company_id is 'the company';
comment on column sessions.session_id is 'the session';
comment on column sessions.user_id is 'who signed in';
comment on column sessions.refresh_hash is 'SHA-256 of the refresh token that is good now';
comment on column sessions.previous_hash is 'SHA-256 of the one before: if it comes back, the family was stolen and ends; null before the first refresh';
comment on column sessions.created_at is 'when the person signed in';
comment on column sessions.refreshed_at is 'when the token was last renewed';
comment on column sessions.expires_at is 'when the session ends by itself';
comment on column sessions.revoked_at is 'when it was ended by sign-out or by a stolen token; null while good';
call protect('sessions');
grant select, insert, update (refresh_hash, previous_hash, refreshed_at, revoked_at) on sessions to bulkhead_runtime;

create table api_keys (
    company_id uuid not null references companies on delete cascade,
    api_key_id uuid not null,
    name text not null check (length(name) between 1 and 120),
    key_hash bytea not null check (length(key_hash) = 32),
    last_four text not null check (length(last_four) = 4),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    primary key (company_id, api_key_id),
    unique (company_id, key_hash)
);
comment on table api_keys is 'keys with which a company''s own programs call Bulkhead';
comment on column api_keys.company_id is 'the company';
comment on column api_keys.api_key_id is 'the key''s row';
comment on column api_keys.name is 'what it is for';
comment on column api_keys.key_hash is 'SHA-256 of the key';
comment on column api_keys.last_four is 'its last four characters, to recognise it by';
comment on column api_keys.created_at is 'when it was made';
comment on column api_keys.expires_at is 'when it ends; null: never';
comment on column api_keys.revoked_at is 'when it was revoked; null while good';
call protect('api_keys');
grant select, insert, update (name, revoked_at) on api_keys to bulkhead_runtime;

create table subscriptions (
    company_id uuid primary key references companies on delete cascade,
    plan text not null references plans,
    started_at timestamptz not null default now(),
    ends_at timestamptz
);
comment on table subscriptions is 'the plan a company is on';
comment on column subscriptions.company_id is 'the company';
comment on column subscriptions.plan is 'the plan';
comment on column subscriptions.started_at is 'since when';
comment on column subscriptions.ends_at is 'until when; null: renews';
call protect('subscriptions');
grant select, insert, update (plan, ends_at) on subscriptions to bulkhead_runtime;

-- Knowledge and agents ------------------------------------------------------------------------------------------

create table gpt_contexts (
    company_id uuid not null references companies on delete cascade,
    context_id uuid not null,
    kind text not null check (kind in ('identity', 'personality', 'voice', 'rules')),
    body text not null check (length(body) between 1 and 8000),
    position integer not null default 0,
    updated_at timestamptz not null default now(),
    primary key (company_id, context_id),
    unique (company_id, kind)
);
comment on table gpt_contexts is 'knowledge layer 1: who the company is and how it speaks; stands in front of every prompt';
comment on column gpt_contexts.company_id is 'the company';
comment on column gpt_contexts.context_id is 'the context';
comment on column gpt_contexts.kind is 'identity, personality, voice or rules';
comment on column gpt_contexts.body is 'text for the model';
comment on column gpt_contexts.position is 'order in the prompt';
comment on column gpt_contexts.updated_at is 'last change';
call protect('gpt_contexts');
grant select, insert, update (body, position, updated_at), delete on gpt_contexts to bulkhead_runtime;

create table knowledge_categories (
    company_id uuid not null references companies on delete cascade,
    category_id uuid not null,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    name text not null check (length(name) between 1 and 120),
    position integer not null default 0,
    primary key (company_id, category_id),
    unique (company_id, slug)
);
comment on table knowledge_categories is 'groups of knowledge; an agent''s scope is a set of them';
comment on column knowledge_categories.company_id is 'the company';
comment on column knowledge_categories.category_id is 'the category';
comment on column knowledge_categories.slug is 'short name in URLs and templates';
comment on column knowledge_categories.name is 'name shown to people';
comment on column knowledge_categories.position is 'order in lists';
call protect('knowledge_categories');
grant select, insert, update (name, position), delete on knowledge_categories to bulkhead_runtime;

create table knowledge_entries (
    company_id uuid not null,
    entry_id uuid not null,
    category_id uuid not null,
    slug text,
    question text not null check (length(question) between 1 and 500),
    answer text not null check (length(answer) between 1 and 8000),
    keywords text not null default '' check (length(keywords) <= 2000),
    to_confirm boolean not null default false,
    origin text not null default 'company' check (origin in ('company', 'template')),
    origin_version integer check ((origin = 'template') = (origin_version is not null)),
    position integer not null default 0,
    updated_at timestamptz not null default now(),
    search tsvector not null generated always as (
        setweight(to_tsvector('english', question), 'A')
        || setweight(to_tsvector('english', keywords), 'B')
        || setweight(to_tsvector('english', answer), 'D')
    ) stored,
    primary key (company_id, entry_id),
    unique (company_id, slug),
    foreign key (company_id, category_id) references knowledge_categories on delete cascade
);
create index knowledge_entries_category on knowledge_entries (company_id, category_id);
comment on table knowledge_entries is 'knowledge layer 2: what the company knows, as questions and answers';
comment on column knowledge_entries.company_id is 'the company';
comment on column knowledge_entries.entry_id is 'the entry';
comment on column knowledge_entries.category_id is 'its category, by which agents are scoped';
comment on column knowledge_entries.slug is 'short name of an entry from a template; null for the company''s own';
comment on column knowledge_entries.question is 'the question, as a customer would put it';
comment on column knowledge_entries.answer is 'the answer; may be shown to a customer word for word';
comment on column knowledge_entries.keywords is 'other words for the same thing, for search only';
comment on column knowledge_entries.to_confirm is 'holds a default (a price, an area) that the company has not confirmed yet';
comment on column knowledge_entries.origin is 'template: as it came; company: written or edited here';
comment on column knowledge_entries.origin_version is 'version of the template it came from; null for the company''s own';
comment on column knowledge_entries.position is 'order in lists';
comment on column knowledge_entries.updated_at is 'last change';
comment on column knowledge_entries.search is 'words of question, keywords and answer, weighted A, B, D';
call protect('knowledge_entries');
grant select, insert, update (category_id, question, answer, keywords, to_confirm, origin, origin_version, position, updated_at), delete
    on knowledge_entries to bulkhead_runtime;

create table agents (
    company_id uuid not null references companies on delete cascade,
    agent_id uuid not null,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    name text not null check (length(name) between 1 and 120),
    role text not null check (length(role) between 1 and 300),
    greeting text not null default '' check (length(greeting) <= 1000),
    instructions text not null check (length(instructions) between 1 and 8000),
    tier text not null check (tier in ('fast', 'balanced', 'best')),
    is_default boolean not null default false,
    enabled boolean not null default true,
    position integer not null default 0,
    updated_at timestamptz not null default now(),
    primary key (company_id, agent_id),
    unique (company_id, slug)
);
create unique index agents_default on agents (company_id) where is_default;
comment on table agents is 'AI agents of a company';
comment on column agents.company_id is 'the company';
comment on column agents.agent_id is 'the agent';
comment on column agents.slug is 'short name, by which a chat asks for it';
comment on column agents.name is 'name shown to customers';
comment on column agents.role is 'what it is there for, in a sentence';
comment on column agents.greeting is 'what it says first';
comment on column agents.instructions is 'text for the model, after the company''s contexts';
comment on column agents.tier is 'what kind of model it wants: fast, balanced or best';
comment on column agents.is_default is 'answers when no agent is named; at most one a company';
comment on column agents.enabled is 'answers at all';
comment on column agents.position is 'order in lists';
comment on column agents.updated_at is 'last change';
call protect('agents');
grant select, insert, update (name, role, greeting, instructions, tier, is_default, enabled, position, updated_at), delete
    on agents to bulkhead_runtime;

create table agent_knowledge_scopes (
    company_id uuid not null,
    agent_id uuid not null,
    category_id uuid not null,
    primary key (company_id, agent_id, category_id),
    foreign key (company_id, agent_id) references agents on delete cascade,
    foreign key (company_id, category_id) references knowledge_categories on delete cascade
);
create index agent_knowledge_scopes_category on agent_knowledge_scopes (company_id, category_id);
comment on table agent_knowledge_scopes is 'knowledge layer 4: the categories an agent may draw from; none listed, none seen';
comment on column agent_knowledge_scopes.company_id is 'the company';
comment on column agent_knowledge_scopes.agent_id is 'the agent';
comment on column agent_knowledge_scopes.category_id is 'a category it may draw from';
call protect('agent_knowledge_scopes');
grant select, insert, delete on agent_knowledge_scopes to bulkhead_runtime;

-- Conversations and memory --------------------------------------------------------------------------------------

create table conversations (
    company_id uuid not null references companies on delete cascade,
    conversation_id uuid not null,
    agent_id uuid not null,
    visitor_id uuid not null,
    created_at timestamptz not null default now(),
    primary key (company_id, conversation_id),
    -- No cascade: removing an agent must not take what customers said with it.
    foreign key (company_id, agent_id) references agents
);
create index conversations_agent on conversations (company_id, agent_id);
create index conversations_visitor on conversations (company_id, visitor_id);
comment on table conversations is 'conversations between a visitor and an agent';
comment on column conversations.company_id is 'the company';
comment on column conversations.conversation_id is 'the conversation';
comment on column conversations.agent_id is 'the agent that answers';
comment on column conversations.visitor_id is 'the visitor it belongs to';
comment on column conversations.created_at is 'when it began';
call protect('conversations');
grant select, insert on conversations to bulkhead_runtime;

create table messages (
    company_id uuid not null,
    message_id uuid not null,
    conversation_id uuid not null,
    author text not null check (author in ('visitor', 'agent')),
    body text not null check (length(body) <= 32000),
    complete boolean not null default true,
    source text check (source in ('model', 'knowledge', 'none')),
    citations jsonb not null default '[]' check (jsonb_typeof(citations) = 'array'),
    answers uuid,
    created_at timestamptz not null default now(),
    primary key (company_id, message_id),
    foreign key (company_id, conversation_id) references conversations on delete cascade,
    foreign key (company_id, answers) references messages on delete cascade,
    check ((author = 'agent') = (source is not null)),
    check ((author = 'agent') = (answers is not null))
);
create index messages_conversation on messages (company_id, conversation_id, message_id);
create unique index messages_answers on messages (company_id, answers) where answers is not null;
comment on table messages is 'what was said; a visitor''s message is stored before it is answered';
comment on column messages.company_id is 'the company';
comment on column messages.message_id is 'the message';
comment on column messages.conversation_id is 'the conversation it is part of';
comment on column messages.author is 'visitor or agent';
comment on column messages.body is 'the text';
comment on column messages.complete is 'false when the answer broke off: the provider failed or the visitor left';
comment on column messages.source is 'where an answer came from: a model, the knowledge base alone, or none; null for visitors';
comment on column messages.citations is 'entries an answer rests on: [{"entry_id","question"}]';
comment on column messages.answers is 'the message that an agent''s message answers; null for visitors';
comment on column messages.created_at is 'when it was said';
call protect('messages');
grant select, insert on messages to bulkhead_runtime;

create table memories (
    company_id uuid not null,
    memory_id uuid not null,
    agent_id uuid not null,
    visitor_id uuid not null,
    body text not null check (length(body) between 1 and 2000),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    primary key (company_id, memory_id),
    foreign key (company_id, agent_id) references agents on delete cascade
);
create index memories_visitor on memories (company_id, agent_id, visitor_id, memory_id);
comment on table memories is 'what an agent remembers of a visitor beyond one conversation';
comment on column memories.company_id is 'the company';
comment on column memories.memory_id is 'the memory';
comment on column memories.agent_id is 'the agent that remembers';
comment on column memories.visitor_id is 'whom it is about';
comment on column memories.body is 'what is remembered';
comment on column memories.created_at is 'since when';
comment on column memories.expires_at is 'when it is forgotten';
call protect('memories');
grant select, insert, delete on memories to bulkhead_runtime;

-- Providers and money -------------------------------------------------------------------------------------------

create table providers (
    company_id uuid not null references companies on delete cascade,
    provider_id uuid not null,
    kind text not null check (kind in ('openai', 'anthropic', 'compatible')),
    name text not null check (length(name) between 1 and 120),
    base_url text check (length(base_url) <= 300),
    sealed_key bytea not null,
    last_four text not null check (length(last_four) = 4),
    enabled boolean not null default true,
    position integer not null default 0,
    created_at timestamptz not null default now(),
    primary key (company_id, provider_id),
    check ((kind = 'compatible') = (base_url is not null))
);
comment on table providers is 'a company''s own accounts at model providers';
comment on column providers.company_id is 'the company that owns the account and pays for it';
comment on column providers.provider_id is 'the account';
comment on column providers.kind is 'openai, anthropic, or compatible: speaks OpenAI''s format elsewhere';
comment on column providers.name is 'name shown to people';
comment on column providers.base_url is 'where a compatible provider is; null for the others';
comment on column providers.sealed_key is 'the key, sealed for this company and this row (see tenant/vault.rs)';
comment on column providers.last_four is 'the key''s last four characters, to recognise it by';
comment on column providers.enabled is 'may be used';
comment on column providers.position is 'order of preference, lowest first';
comment on column providers.created_at is 'when it was added';
call protect('providers');
grant select, insert, update (name, sealed_key, last_four, enabled, position), delete on providers to bulkhead_runtime;

create table provider_models (
    company_id uuid not null,
    provider_id uuid not null,
    model text not null check (length(model) between 1 and 200),
    tier text not null check (tier in ('fast', 'balanced', 'best')),
    input_microusd_per_mtok bigint not null check (input_microusd_per_mtok >= 0),
    output_microusd_per_mtok bigint not null check (output_microusd_per_mtok >= 0),
    context_tokens integer not null check (context_tokens > 0),
    primary key (company_id, provider_id, model),
    foreign key (company_id, provider_id) references providers on delete cascade
);
comment on table provider_models is 'models a company uses at a provider, with the prices it pays';
comment on column provider_models.company_id is 'the company';
comment on column provider_models.provider_id is 'the provider';
comment on column provider_models.model is 'name in the provider''s API';
comment on column provider_models.tier is 'fast, balanced or best';
comment on column provider_models.input_microusd_per_mtok is 'price of a million input tokens, micro-dollars';
comment on column provider_models.output_microusd_per_mtok is 'price of a million output tokens, micro-dollars';
comment on column provider_models.context_tokens is 'input and output tokens that fit in one call';
call protect('provider_models');
grant select, insert, update (tier, input_microusd_per_mtok, output_microusd_per_mtok, context_tokens), delete
    on provider_models to bulkhead_runtime;

create table budgets (
    company_id uuid primary key references companies on delete cascade,
    daily_limit_microusd bigint not null check (daily_limit_microusd >= 0),
    max_output_tokens integer not null default 700 check (max_output_tokens between 16 and 8000),
    visitor_turns_per_minute integer not null default 12 check (visitor_turns_per_minute between 1 and 600),
    updated_at timestamptz not null default now()
);
comment on table budgets is 'what a company lets its agents spend';
comment on column budgets.company_id is 'the company';
comment on column budgets.daily_limit_microusd is 'most that model calls may cost a day (UTC), micro-dollars';
comment on column budgets.max_output_tokens is 'longest answer, in tokens';
comment on column budgets.visitor_turns_per_minute is 'most questions a visitor may ask a minute';
comment on column budgets.updated_at is 'last change';
call protect('budgets');
grant select, insert, update (daily_limit_microusd, max_output_tokens, visitor_turns_per_minute, updated_at) on budgets to bulkhead_runtime;

create table usage_ledger (
    company_id uuid not null references companies on delete cascade,
    reservation_id uuid not null,
    day date not null,
    conversation_id uuid not null,
    provider_id uuid not null,
    model text not null,
    input_tokens integer not null check (input_tokens >= 0),
    output_tokens integer not null check (output_tokens >= 0),
    cost_microusd bigint not null check (cost_microusd >= 0),
    estimated boolean not null,
    created_at timestamptz not null default now(),
    primary key (company_id, reservation_id)
);
create index usage_ledger_day on usage_ledger (company_id, day);
comment on table usage_ledger is 'the truth about spending: one row a model call; kept when its conversation or provider goes';
comment on column usage_ledger.company_id is 'the company that paid';
comment on column usage_ledger.reservation_id is 'the budget reservation it settles; makes a retry harmless';
comment on column usage_ledger.day is 'the day (UTC) whose budget it counts against';
comment on column usage_ledger.conversation_id is 'what it was spent on';
comment on column usage_ledger.provider_id is 'the account that was billed';
comment on column usage_ledger.model is 'the model called';
comment on column usage_ledger.input_tokens is 'input tokens, as reported; an upper bound when estimated';
comment on column usage_ledger.output_tokens is 'output tokens, as reported; an upper bound when estimated';
comment on column usage_ledger.cost_microusd is 'cost, micro-dollars, rounded up';
comment on column usage_ledger.estimated is 'the provider did not report usage: charged at the upper bound';
comment on column usage_ledger.created_at is 'when it was written';
call protect('usage_ledger');
grant select, insert on usage_ledger to bulkhead_runtime;

create table ledger_days (
    company_id uuid not null references companies on delete cascade,
    day date not null,
    spent_microusd bigint not null check (spent_microusd >= 0),
    turns integer not null check (turns >= 0),
    primary key (company_id, day)
);
comment on table ledger_days is 'sums of the usage ledger, kept in the same statement that writes it';
comment on column ledger_days.company_id is 'the company';
comment on column ledger_days.day is 'the day (UTC)';
comment on column ledger_days.spent_microusd is 'sum of cost_microusd of that day';
comment on column ledger_days.turns is 'number of ledger rows of that day';
call protect('ledger_days');
grant select, insert, update (spent_microusd, turns) on ledger_days to bulkhead_runtime;

-- What customers see --------------------------------------------------------------------------------------------

create table site_pages (
    company_id uuid not null references companies on delete cascade,
    page_id uuid not null,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    title text not null check (length(title) between 1 and 200),
    body text not null check (length(body) <= 20000),
    position integer not null default 0,
    updated_at timestamptz not null default now(),
    primary key (company_id, page_id),
    unique (company_id, slug)
);
comment on table site_pages is 'pages of the company''s site';
comment on column site_pages.company_id is 'the company';
comment on column site_pages.page_id is 'the page';
comment on column site_pages.slug is 'its path';
comment on column site_pages.title is 'its title';
comment on column site_pages.body is 'its text, Markdown';
comment on column site_pages.position is 'order in the navigation';
comment on column site_pages.updated_at is 'last change';
call protect('site_pages');
grant select, insert, update (title, body, position, updated_at), delete on site_pages to bulkhead_runtime;

create table services (
    company_id uuid not null references companies on delete cascade,
    service_id uuid not null,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    name text not null check (length(name) between 1 and 120),
    description text not null check (length(description) between 1 and 1000),
    price_from_cents integer check (price_from_cents >= 0),
    price_to_cents integer check (price_to_cents >= price_from_cents),
    unit text not null default '',
    duration_minutes integer check (duration_minutes > 0),
    includes text not null default '',
    position integer not null default 0,
    primary key (company_id, service_id),
    unique (company_id, slug)
);
comment on table services is 'what the company sells';
comment on column services.company_id is 'the company';
comment on column services.service_id is 'the service';
comment on column services.slug is 'short name';
comment on column services.name is 'name shown to customers';
comment on column services.description is 'what it is';
comment on column services.price_from_cents is 'lowest price, US cents; null: on request';
comment on column services.price_to_cents is 'highest price, US cents; the lowest where there is one price; null: there is no usual upper end';
comment on column services.unit is 'what the price is for, for example "per visit"';
comment on column services.duration_minutes is 'how long it usually takes; null: it varies';
comment on column services.includes is 'what is included';
comment on column services.position is 'order in lists';
call protect('services');
grant select, insert, update (name, description, price_from_cents, price_to_cents, unit, duration_minutes, includes, position), delete
    on services to bulkhead_runtime;

create table glossary_terms (
    company_id uuid not null references companies on delete cascade,
    term_id uuid not null,
    term text not null check (length(term) between 1 and 120),
    meaning text not null check (length(meaning) between 1 and 1000),
    synonyms text not null default '',
    primary key (company_id, term_id),
    unique (company_id, term)
);
comment on table glossary_terms is 'words of the trade, in plain language';
comment on column glossary_terms.company_id is 'the company';
comment on column glossary_terms.term_id is 'the term''s row';
comment on column glossary_terms.term is 'the word';
comment on column glossary_terms.meaning is 'what it means';
comment on column glossary_terms.synonyms is 'other words for it, separated by commas';
call protect('glossary_terms');
grant select, insert, update (meaning, synonyms), delete on glossary_terms to bulkhead_runtime;

create table opening_hours (
    company_id uuid not null references companies on delete cascade,
    weekday smallint not null check (weekday between 1 and 7),
    opens time not null,
    closes time not null check (closes > opens),
    primary key (company_id, weekday, opens)
);
comment on table opening_hours is 'when the company is open';
comment on column opening_hours.company_id is 'the company';
comment on column opening_hours.weekday is 'ISO 8601: 1 Monday to 7 Sunday';
comment on column opening_hours.opens is 'local time it opens';
comment on column opening_hours.closes is 'local time it closes';
call protect('opening_hours');
grant select, insert, update (closes), delete on opening_hours to bulkhead_runtime;

create table lead_questions (
    company_id uuid not null references companies on delete cascade,
    question_id uuid not null,
    question text not null check (length(question) between 1 and 300),
    position integer not null default 0,
    primary key (company_id, question_id)
);
comment on table lead_questions is 'what an agent asks somebody who may become a customer';
comment on column lead_questions.company_id is 'the company';
comment on column lead_questions.question_id is 'the question''s row';
comment on column lead_questions.question is 'the question';
comment on column lead_questions.position is 'order in which to ask';
call protect('lead_questions');
grant select, insert, update (question, position), delete on lead_questions to bulkhead_runtime;

create table quick_replies (
    company_id uuid not null references companies on delete cascade,
    reply_id uuid not null,
    body text not null check (length(body) between 1 and 200),
    position integer not null default 0,
    primary key (company_id, reply_id)
);
comment on table quick_replies is 'questions that a visitor can ask with one tap';
comment on column quick_replies.company_id is 'the company';
comment on column quick_replies.reply_id is 'the reply''s row';
comment on column quick_replies.body is 'the question';
comment on column quick_replies.position is 'order in which they are shown';
call protect('quick_replies');
grant select, insert, update (body, position), delete on quick_replies to bulkhead_runtime;

create table widget_settings (
    company_id uuid primary key references companies on delete cascade,
    accent_color text not null default '#0f6ab4' check (accent_color ~ '^#[0-9a-f]{6}$'),
    greeting text not null default '' check (length(greeting) <= 500),
    allowed_origins text[] not null default '{}',
    updated_at timestamptz not null default now()
);
comment on table widget_settings is 'how the chat looks, and where it may be embedded';
comment on column widget_settings.company_id is 'the company';
comment on column widget_settings.accent_color is 'the brand''s colour, #rrggbb';
comment on column widget_settings.greeting is 'first line; empty: the agent''s own';
comment on column widget_settings.allowed_origins is 'origins besides the company''s own hosts that may embed the chat; none by default';
comment on column widget_settings.updated_at is 'last change';
call protect('widget_settings');
grant select, insert, update (accent_color, greeting, allowed_origins, updated_at) on widget_settings to bulkhead_runtime;

create table contacts (
    company_id uuid not null references companies on delete cascade,
    contact_id uuid not null,
    visitor_id uuid not null,
    name text not null check (length(name) between 1 and 120),
    email text check (length(email) between 3 and 254),
    phone text check (length(phone) between 3 and 40),
    created_at timestamptz not null default now(),
    primary key (company_id, contact_id),
    unique (company_id, visitor_id),
    check (email is not null or phone is not null)
);
comment on table contacts is 'visitors who said how to reach them';
comment on column contacts.company_id is 'the company';
comment on column contacts.contact_id is 'the contact';
comment on column contacts.visitor_id is 'the visitor they are';
comment on column contacts.name is 'their name';
comment on column contacts.email is 'their address; null when only a phone number was given';
comment on column contacts.phone is 'their phone number, as given; null when only an address was given';
comment on column contacts.created_at is 'when they first said so';
call protect('contacts');
grant select, insert, update (name, email, phone), delete on contacts to bulkhead_runtime;

create table leads (
    company_id uuid not null,
    lead_id uuid not null,
    contact_id uuid not null,
    conversation_id uuid,
    message text not null check (length(message) <= 4000),
    status text not null default 'new' check (status in ('new', 'contacted', 'won', 'lost')),
    created_at timestamptz not null default now(),
    primary key (company_id, lead_id),
    foreign key (company_id, contact_id) references contacts on delete cascade,
    foreign key (company_id, conversation_id) references conversations on delete set null (conversation_id)
);
create index leads_contact on leads (company_id, contact_id);
create index leads_conversation on leads (company_id, conversation_id);
comment on table leads is 'people who want to hear from the company';
comment on column leads.company_id is 'the company';
comment on column leads.lead_id is 'the lead';
comment on column leads.contact_id is 'who wants to hear';
comment on column leads.conversation_id is 'where it came up; null when not in a conversation, or when that was deleted';
comment on column leads.message is 'what it is about';
comment on column leads.status is 'new, contacted, won or lost';
comment on column leads.created_at is 'when they asked';
call protect('leads');
grant select, insert, update (status), delete on leads to bulkhead_runtime;

create table audit_events (
    company_id uuid not null references companies on delete cascade,
    event_id uuid not null,
    actor text not null check (actor in ('member', 'visitor', 'system')),
    user_id uuid check ((actor = 'member') = (user_id is not null)),
    action text not null check (length(action) between 1 and 80),
    target text not null default '' check (length(target) <= 200),
    created_at timestamptz not null default now(),
    primary key (company_id, event_id)
);
create index audit_events_time on audit_events (company_id, created_at);
comment on table audit_events is 'who did what; added to, never changed';
comment on column audit_events.company_id is 'the company';
comment on column audit_events.event_id is 'the event';
comment on column audit_events.actor is 'member, visitor or system';
comment on column audit_events.user_id is 'which member; null for the others';
comment on column audit_events.action is 'what was done, for example provider.added';
comment on column audit_events.target is 'to what: an id, never content or a key';
comment on column audit_events.created_at is 'when';
call protect('audit_events');
grant select, insert on audit_events to bulkhead_runtime;
