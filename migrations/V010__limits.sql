-- What a company may spend, by day, month, agent, visitor and network address; what was spent on what, and why.

-- A day is the company's own ---------------------------------------------------------------------------------------

alter table companies add column time_zone text not null default 'UTC' check (length(time_zone) between 1 and 60);
comment on column companies.time_zone is 'IANA time zone: its days and months of budget, and its opening hours, are local';
grant update (time_zone) on companies to bulkhead_runtime;
grant select (time_zone) on companies to bulkhead_directory;

-- The look-up by host now also says how far the company's clock is from UTC, so that a turn knows its day beforehand.
create function offset_minutes(time_zone text) returns integer language sql stable
set search_path = pg_catalog, public
return (extract(epoch from (now() at time zone time_zone) - (now() at time zone 'UTC')) / 60)::integer;
comment on function offset_minutes is 'minutes that a time zone''s clocks are ahead of UTC now';
revoke all on function offset_minutes from public;
grant execute on function offset_minutes to bulkhead_runtime, bulkhead_directory;

do $$ begin
    execute format('grant bulkhead_directory to %I', current_user);
exception when others then
    if not pg_has_role(current_user, 'bulkhead_directory', 'member') then raise; end if;
end $$;
drop function company_by_host;
create function company_by_host(wanted_host text, wanted_kind text)
returns table (company_id uuid, slug text, name text, industry text, utc_offset_minutes integer)
language sql stable security definer set search_path = pg_catalog, public
begin atomic
    select c.company_id, c.slug, c.name, c.industry, public.offset_minutes(c.time_zone)
    from public.hosts h
    join public.companies c on c.company_id = h.company_id
    where h.host = wanted_host and h.kind = wanted_kind and c.status = 'active';
end;
comment on function company_by_host is 'host to active company: the one question asked before a company is known';

-- The other question across companies: which ones are there, for work that goes from one to the next.
create function companies_after(last uuid, how_many integer)
returns table (company_id uuid, slug text, name text, industry text, utc_offset_minutes integer)
language sql stable security definer set search_path = pg_catalog, public
begin atomic
    select c.company_id, c.slug, c.name, c.industry, public.offset_minutes(c.time_zone)
    from public.companies c
    where c.company_id > last and c.status = 'active'
    order by c.company_id
    limit least(how_many, 500);
end;
comment on function companies_after is 'active companies in the order of their ids, for the hourly round: names them, opens nothing of theirs';

grant create on schema public to bulkhead_directory;
alter function company_by_host owner to bulkhead_directory;
alter function companies_after owner to bulkhead_directory;
revoke create on schema public from bulkhead_directory;
revoke all on function company_by_host, companies_after from public;
grant execute on function company_by_host, companies_after to bulkhead_runtime;

-- Limits -----------------------------------------------------------------------------------------------------------

alter table plans add column platform_models boolean not null default false;
comment on column plans.platform_models is 'the operator''s own model keys may answer where the company allows it';
update plans set platform_models = true where plan in ('pro', 'scale');

alter table budgets
    add column monthly_tokens bigint check (monthly_tokens >= 0),
    add column address_turns_per_minute integer not null default 60 check (address_turns_per_minute between 1 and 6000),
    add column company_turns_per_minute integer not null default 600 check (company_turns_per_minute between 1 and 60000),
    add column concurrent_turns integer not null default 100 check (concurrent_turns between 1 and 10000),
    add column conversation_questions integer not null default 200 check (conversation_questions between 1 and 10000),
    add column cheaper_models boolean not null default true,
    add column knowledge_answers boolean not null default true,
    add column platform_models boolean not null default false;
comment on column budgets.daily_limit_microusd is 'most that model calls may cost a day (the company''s own day), micro-dollars';
comment on column budgets.monthly_tokens is 'most tokens of model calls a month, input and output; null: what the plan includes';
comment on column budgets.address_turns_per_minute is 'most questions a minute from one network address';
comment on column budgets.company_turns_per_minute is 'most questions a minute from all visitors together';
comment on column budgets.concurrent_turns is 'most answers by a model on their way at once';
comment on column budgets.conversation_questions is 'most questions in one conversation';
comment on column budgets.cheaper_models is 'a cheaper model than the agent asks for may answer: an easy question, a dear day, a provider that fails';
comment on column budgets.knowledge_answers is 'without a model the best entry may answer word for word; else the visitor is asked how to be reached';
comment on column budgets.platform_models is 'the operator''s models may answer, if the plan includes them; false: always use the company''s own';
grant update (monthly_tokens, address_turns_per_minute, company_turns_per_minute, concurrent_turns, conversation_questions,
              cheaper_models, knowledge_answers, platform_models) on budgets to bulkhead_runtime;

alter table agents add column daily_limit_microusd bigint check (daily_limit_microusd >= 0);
comment on column agents.daily_limit_microusd is 'most that this agent''s model calls may cost a day, micro-dollars; null: only the company''s limit';
grant update (daily_limit_microusd) on agents to bulkhead_runtime;

-- The ledger -------------------------------------------------------------------------------------------------------

-- One turn may call models several times: tools, retries, another provider. Each call is a row.
alter table usage_ledger
    add column call smallint not null default 1 check (call between 1 and 100),
    add column agent_id uuid,
    add column routing text not null default 'tier' check (length(routing) between 1 and 40),
    drop constraint usage_ledger_pkey,
    add primary key (company_id, reservation_id, call);
comment on column usage_ledger.day is 'the company''s own day whose budget it counts against';
comment on column usage_ledger.call is 'which of the turn''s calls, from 1';
comment on column usage_ledger.agent_id is 'the agent that answered; kept when the agent goes; null before agents were noted';
comment on column usage_ledger.routing is 'why the SmartRouter chose this model';
comment on table usage_ledger is 'the truth about spending: one row a model call; kept when its conversation, agent or provider goes';
create index usage_ledger_time on usage_ledger (company_id, created_at desc);

alter table ledger_days add column tokens bigint not null default 0 check (tokens >= 0);
comment on column ledger_days.day is 'the company''s own day';
comment on column ledger_days.tokens is 'sum of input and output tokens of that day';
comment on column ledger_days.turns is 'number of ledger rows of that day: model calls';
grant update (tokens) on ledger_days to bulkhead_runtime;

create table ledger_agent_days (
    company_id uuid not null references companies on delete cascade,
    day date not null,
    agent_id uuid not null,
    spent_microusd bigint not null check (spent_microusd >= 0),
    primary key (company_id, day, agent_id)
);
comment on table ledger_agent_days is 'sums of the usage ledger by agent, kept in the same statement that writes it';
comment on column ledger_agent_days.company_id is 'the company';
comment on column ledger_agent_days.day is 'the company''s own day';
comment on column ledger_agent_days.agent_id is 'the agent; kept when the agent goes';
comment on column ledger_agent_days.spent_microusd is 'sum of cost_microusd of that day and agent';
call protect('ledger_agent_days');
grant select, insert, update (spent_microusd) on ledger_agent_days to bulkhead_runtime;

create table budget_alerts (
    company_id uuid not null references companies on delete cascade,
    period text not null check (period in ('day', 'month')),
    starts date not null,
    percent smallint not null check (percent in (50, 80, 100)),
    used bigint not null check (used >= 0),
    allowed bigint not null check (allowed > 0),
    created_at timestamptz not null default now(),
    primary key (company_id, period, starts, percent)
);
comment on table budget_alerts is 'a day''s money or a month''s tokens passed a share of what is allowed: once each';
comment on column budget_alerts.company_id is 'the company';
comment on column budget_alerts.period is 'day: money; month: tokens';
comment on column budget_alerts.starts is 'the day, or the month''s first';
comment on column budget_alerts.percent is 'which share was passed: 50, 80 or 100';
comment on column budget_alerts.used is 'what was used then: micro-dollars or tokens';
comment on column budget_alerts.allowed is 'the limit then: micro-dollars or tokens';
comment on column budget_alerts.created_at is 'when it was noticed';
call protect('budget_alerts');
grant select, insert on budget_alerts to bulkhead_runtime;

-- Turns ------------------------------------------------------------------------------------------------------------

alter table messages add column request_hash bytea check (length(request_hash) = 32);
comment on column messages.request_hash is 'keyed digest of the visitor''s Idempotency-Key, to know a repeated question by; null without one, and for answers';
create unique index messages_request on messages (company_id, request_hash) where request_hash is not null;

alter table conversations add column handed_over_at timestamptz;
comment on column conversations.handed_over_at is 'when a person was asked for; null while an agent answers alone';
grant update (handed_over_at) on conversations to bulkhead_runtime;

create table tool_calls (
    company_id uuid not null,
    message_id uuid not null,
    call smallint not null check (call between 1 and 100),
    tool text not null check (length(tool) between 1 and 64),
    arguments jsonb not null,
    outcome text not null check (length(outcome) <= 8000),
    done boolean not null,
    created_at timestamptz not null default now(),
    primary key (company_id, message_id, call),
    foreign key (company_id, message_id) references messages on delete cascade
);
comment on table tool_calls is 'what agents did with their tools while answering a question';
comment on column tool_calls.company_id is 'the company';
comment on column tool_calls.message_id is 'the question that was being answered';
comment on column tool_calls.call is 'which of the answer''s calls, from 1';
comment on column tool_calls.tool is 'the tool''s name, as the model wrote it';
comment on column tool_calls.arguments is 'the arguments, as the model wrote them; a string where they were no JSON';
comment on column tool_calls.outcome is 'what the model was told';
comment on column tool_calls.done is 'whether it did what it is for';
comment on column tool_calls.created_at is 'when';
call protect('tool_calls');
grant select, insert on tool_calls to bulkhead_runtime;

create table notices (
    company_id uuid not null references companies on delete cascade,
    notice_id uuid not null,
    kind text not null check (kind in ('hand_over', 'lead', 'budget')),
    conversation_id uuid,
    body text not null check (length(body) between 1 and 2000),
    created_at timestamptz not null default now(),
    seen_at timestamptz,
    primary key (company_id, notice_id),
    foreign key (company_id, conversation_id) references conversations on delete set null (conversation_id)
);
create index notices_conversation on notices (company_id, conversation_id);
comment on table notices is 'what the company''s people should look at: somebody wants a person, a lead came, the budget nears its end';
comment on column notices.company_id is 'the company';
comment on column notices.notice_id is 'the notice';
comment on column notices.kind is 'hand_over, lead or budget';
comment on column notices.conversation_id is 'the conversation it is about; null when there is none';
comment on column notices.body is 'what happened, in a sentence or two';
comment on column notices.created_at is 'when';
comment on column notices.seen_at is 'when somebody of the company said they had seen it; null until then';
call protect('notices');
grant select, insert, update (seen_at) on notices to bulkhead_runtime;
