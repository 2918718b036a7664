-- What a company's office starts with, what became of what a template gave it, and addresses that were given up.

-- Search mends misspelt words by trigrams. The extension is a trusted one: a database's owner may add it.
create extension if not exists pg_trgm with schema public;

-- Templates -----------------------------------------------------------------------------------------------------------

create table template_agent_tools (
    template text not null references templates (slug) on delete cascade,
    agent text not null,
    tool text not null check (tool ~ '^[a-z][a-z_]{1,39}$'),
    primary key (template, agent, tool)
);
comment on table template_agent_tools is 'Becomes agent_tools.';
comment on column template_agent_tools.template is 'The template that this row is part of.';
comment on column template_agent_tools.agent is 'Slug of an agent of this template.';
comment on column template_agent_tools.tool is 'Name of the tool.';

create table template_agent_starters (
    template text not null references templates (slug) on delete cascade,
    agent text not null,
    body text not null check (body <> ''),
    position integer not null,
    primary key (template, agent, position)
);
comment on table template_agent_starters is 'Becomes agent_starters.';
comment on column template_agent_starters.template is 'The template that this row is part of.';
comment on column template_agent_starters.agent is 'Slug of an agent of this template.';
comment on column template_agent_starters.body is 'Text of the button and of the message that it sends.';
comment on column template_agent_starters.position is 'Order of the buttons, from 1.';

create table template_agent_handoffs (
    template text not null references templates (slug) on delete cascade,
    agent text not null,
    to_agent text not null,
    reason text not null check (reason <> ''),
    primary key (template, agent, to_agent)
);
comment on table template_agent_handoffs is 'Becomes agent_handoffs.';
comment on column template_agent_handoffs.template is 'The template that this row is part of.';
comment on column template_agent_handoffs.agent is 'Slug of the agent that is asked, of this template.';
comment on column template_agent_handoffs.to_agent is 'Slug of the agent that knows better, of this template.';
comment on column template_agent_handoffs.reason is 'When, as the agent is told.';

create table template_stages (
    template text not null references templates (slug) on delete cascade,
    slug text not null,
    name text not null check (name <> ''),
    outcome text not null check (outcome in ('open', 'won', 'lost')),
    stale_days integer,
    position integer not null,
    primary key (template, slug)
);
comment on table template_stages is 'Becomes pipeline_stages.';
comment on column template_stages.template is 'The template that this row is part of.';
comment on column template_stages.slug is 'Stays the same over versions.';
comment on column template_stages.name is 'The name people read.';
comment on column template_stages.outcome is 'open, won or lost.';
comment on column template_stages.stale_days is 'Days after which a lead here has waited too long; null: never.';
comment on column template_stages.position is 'Order, from 1.';

create table template_labels (
    template text not null references templates (slug) on delete cascade,
    name text not null check (name <> ''),
    color text not null,
    words text not null check (words <> ''),
    position integer not null,
    primary key (template, name)
);
comment on table template_labels is 'Becomes labels.';
comment on column template_labels.template is 'The template that this row is part of.';
comment on column template_labels.name is 'The name people read.';
comment on column template_labels.color is '#rrggbb.';
comment on column template_labels.words is 'Words and phrases, separated by commas.';
comment on column template_labels.position is 'Order in lists, from 1.';

create table template_messages (
    template text not null references templates (slug) on delete cascade,
    slug text not null,
    channel text not null check (channel in ('email', 'text', 'chat')),
    name text not null check (name <> ''),
    subject text not null,
    body text not null check (body <> ''),
    position integer not null,
    primary key (template, slug)
);
comment on table template_messages is 'Becomes message_templates.';
comment on column template_messages.template is 'The template that this row is part of.';
comment on column template_messages.slug is 'Stays the same over versions: follow-up steps and updates find it by this.';
comment on column template_messages.channel is 'email, text or chat.';
comment on column template_messages.name is 'The name staff read.';
comment on column template_messages.subject is 'An e-mail''s subject; empty for the others.';
comment on column template_messages.body is 'The text; {{company}} stands for the company''s name, [square brackets] are gaps.';
comment on column template_messages.position is 'Order in lists, from 1.';

create table template_follow_ups (
    template text not null references templates (slug) on delete cascade,
    sequence text not null,
    after_hours integer not null check (after_hours between 0 and 8760),
    message text not null,
    primary key (template, sequence, after_hours)
);
comment on table template_follow_ups is 'Becomes follow_up_steps.';
comment on column template_follow_ups.template is 'The template that this row is part of.';
comment on column template_follow_ups.sequence is 'What happened: after-enquiry, after-estimate, …';
comment on column template_follow_ups.after_hours is 'Hours after it happened.';
comment on column template_follow_ups.message is 'Slug of a message of a company template.';

create table template_notifications (
    template text not null references templates (slug) on delete cascade,
    event text not null,
    channel text not null check (channel in ('email', 'text', 'dashboard')),
    role text not null check (role in ('member', 'admin', 'owner')),
    enabled boolean not null,
    primary key (template, event, channel)
);
comment on table template_notifications is 'Becomes notification_settings.';
comment on column template_notifications.template is 'The template that this row is part of.';
comment on column template_notifications.event is 'What happened, for example lead.new.';
comment on column template_notifications.channel is 'email, text or dashboard.';
comment on column template_notifications.role is 'Told are people with this role or a higher one.';
comment on column template_notifications.enabled is 'Is told from the beginning.';

create table template_permissions (
    template text not null references templates (slug) on delete cascade,
    role text not null check (role in ('member', 'admin')),
    permission text not null,
    allowed boolean not null,
    primary key (template, role, permission)
);
comment on table template_permissions is 'Becomes role_permissions.';
comment on column template_permissions.template is 'The template that this row is part of.';
comment on column template_permissions.role is 'member or admin.';
comment on column template_permissions.permission is 'An area and read or write.';
comment on column template_permissions.allowed is 'Allowed from the beginning.';

create table template_checklist (
    template text not null references templates (slug) on delete cascade,
    slug text not null,
    kind text not null check (kind in ('task', 'fact')),
    title text not null check (title <> ''),
    help text not null,
    position integer not null,
    primary key (template, slug)
);
comment on table template_checklist is 'Becomes checklist_items, beside one item for the price of each service.';
comment on column template_checklist.template is 'The template that this row is part of.';
comment on column template_checklist.slug is 'Stays the same over versions.';
comment on column template_checklist.kind is 'task: something to do. fact: something only the owner knows.';
comment on column template_checklist.title is 'What it is.';
comment on column template_checklist.help is 'Why, and how.';
comment on column template_checklist.position is 'Order in lists, from 1.';

create table template_closures (
    template text not null references templates (slug) on delete cascade,
    name text not null check (name <> ''),
    month integer not null check (month between 1 and 12),
    day integer check (day between 1 and 31),
    weekday integer check (weekday between 1 and 7),
    nth integer check (nth between 1 and 5),
    primary key (template, name),
    check ((day is null) = (weekday is not null) and (weekday is null) = (nth is null))
);
comment on table template_closures is 'Becomes closures: the next day from sign-up on that each of these holidays falls on.';
comment on column template_closures.template is 'The template that this row is part of.';
comment on column template_closures.name is 'The holiday''s name.';
comment on column template_closures.month is 'Month, 1 to 12.';
comment on column template_closures.day is 'Day of the month; null when it follows the weekday.';
comment on column template_closures.weekday is 'ISO: 1 is Monday; null when it has a fixed day.';
comment on column template_closures.nth is 'Which of the month''s weekdays, 5 for the last; null when it has a fixed day.';

create table template_payment_methods (
    template text not null references templates (slug) on delete cascade,
    name text not null check (name <> ''),
    accepted boolean not null,
    note text not null,
    position integer not null,
    primary key (template, name)
);
comment on table template_payment_methods is 'Becomes payment_methods.';
comment on column template_payment_methods.template is 'The template that this row is part of.';
comment on column template_payment_methods.name is 'The name customers read.';
comment on column template_payment_methods.accepted is 'Whether companies take it from the beginning.';
comment on column template_payment_methods.note is 'What customers should know of it.';
comment on column template_payment_methods.position is 'Order in lists, from 1.';

-- When a holiday falls on or after a day. Immutable: the day is given, no clock is asked.
create function next_holiday(from_day date, month integer, day integer, weekday integer, nth integer) returns date
language sql immutable set search_path = pg_catalog
return (
    select min(fallen.day)
    from (
        select case
            when $3 is not null then make_date(y.year, $2, $3)
            when $5 = 5 then (
                select last.day - ((extract(isodow from last.day)::int - $4 + 7) % 7)
                from (select (make_date(y.year, $2, 1) + interval '1 month - 1 day')::date as day) last
            )
            else make_date(y.year, $2, 1)
                + (($4 - extract(isodow from make_date(y.year, $2, 1))::int + 7) % 7) + 7 * ($5 - 1)
        end as day
        from (values (extract(year from $1)::int), (extract(year from $1)::int + 1)) y (year)
    ) fallen
    where fallen.day >= $1
);
comment on function next_holiday is 'the first day from from_day on that a yearly holiday falls on: a fixed day, or the nth weekday of a month (5: the last)';

grant select on
    template_agent_tools, template_agent_starters, template_agent_handoffs, template_stages, template_labels,
    template_messages, template_follow_ups, template_notifications, template_permissions, template_checklist,
    template_closures, template_payment_methods
to bulkhead_runtime;
grant execute on function next_holiday to bulkhead_runtime;

-- Who edited what -------------------------------------------------------------------------------------------------------

-- An edited row remembers the version that it was edited from, so that its owner can be shown what is new since.
alter table knowledge_entries drop constraint knowledge_entries_check;
comment on column knowledge_entries.origin_version is 'version of the template that it came from or was compared with last; null for the company''s own';

-- Rows that were there before are taken for edited: no update overwrites what nobody can tell.
alter table gpt_contexts
    add column origin text not null default 'company' check (origin in ('company', 'template')),
    add column origin_version integer;
comment on column gpt_contexts.origin is 'template: as it came; company: written or edited here';
comment on column gpt_contexts.origin_version is 'version of the template that it came from or was compared with last; null for the company''s own';
grant update (origin, origin_version) on gpt_contexts to bulkhead_runtime;

alter table services
    add column origin text not null default 'company' check (origin in ('company', 'template')),
    add column origin_version integer;
comment on column services.origin is 'template: as it came; company: written or edited here';
comment on column services.origin_version is 'version of the template that it came from or was compared with last; null for the company''s own';
grant update (origin, origin_version) on services to bulkhead_runtime;

alter table site_pages
    add column origin text not null default 'company' check (origin in ('company', 'template')),
    add column origin_version integer;
comment on column site_pages.origin is 'template: as it came; company: written or edited here';
comment on column site_pages.origin_version is 'version of the template that it came from or was compared with last; null for the company''s own';
grant update (origin, origin_version) on site_pages to bulkhead_runtime;

alter table glossary_terms
    add column origin text not null default 'company' check (origin in ('company', 'template')),
    add column origin_version integer;
comment on column glossary_terms.origin is 'template: as it came; company: written or edited here';
comment on column glossary_terms.origin_version is 'version of the template that it came from or was compared with last; null for the company''s own';
grant update (origin, origin_version) on glossary_terms to bulkhead_runtime;

create table removals (
    company_id uuid not null references companies on delete cascade,
    kind text not null check (kind in ('context', 'entry', 'message', 'page', 'service', 'term')),
    slug text not null check (length(slug) between 1 and 120),
    removed_at timestamptz not null default now(),
    primary key (company_id, kind, slug)
);
comment on table removals is 'what a company threw away of what a template gave it, so that no update brings it back';
comment on column removals.company_id is 'the company';
comment on column removals.kind is 'entry, message, page, service, term or context';
comment on column removals.slug is 'the row''s slug in the template; a term''s is the term';
comment on column removals.removed_at is 'when it was removed';
call protect('removals');
grant select, insert on removals to bulkhead_runtime;

-- Finding the words of an entry costs more than all else of its row; loading a template finds them once for all companies.
alter table template_entries add column search tsvector;
comment on column template_entries.search is 'Words of question, keywords and answer, weighted A, B, D; null where the company''s name is among them.';

alter table knowledge_entries
    drop column search,
    add column prepared tsvector,
    add column search tsvector not null generated always as (
        coalesce(prepared, setweight(to_tsvector('english', question), 'A')
            || setweight(to_tsvector('english', keywords), 'B')
            || setweight(to_tsvector('english', answer), 'D'))
    ) stored;
comment on column knowledge_entries.prepared is 'words of an entry that is as its template has it; null: they are found in its texts. Whoever changes a text empties it';
comment on column knowledge_entries.search is 'words of question, keywords and answer, weighted A, B, D';
grant update (prepared) on knowledge_entries to bulkhead_runtime;

-- Addresses that were given up --------------------------------------------------------------------------------------------

-- The row stays, and with it the unique index: whoever knew the old address must not meet another company there. The
-- operator lets it go after a time (`bulkhead slugs release`). For the same reason no company can be deleted with its hosts.
alter table hosts
    add column released_at timestamptz,
    drop constraint hosts_company_id_fkey,
    add foreign key (company_id) references companies;
comment on column hosts.released_at is 'when the company gave it up: it answers no more, and nobody else can take it yet; null while in use';
grant update (released_at) on hosts to bulkhead_runtime;
grant select (released_at) on hosts to bulkhead_directory;
grant update (slug) on companies to bulkhead_runtime;

-- The same question as before, of hosts that are in use; replacing it needs its owner's rights for a moment.
grant create on schema public to bulkhead_directory;
set local role bulkhead_directory;
create or replace function company_by_host(wanted_host text, wanted_kind text)
returns table (company_id uuid, slug text, name text, industry text)
language sql stable security definer set search_path = pg_catalog, public
begin atomic
    select c.company_id, c.slug, c.name, c.industry
    from public.hosts h
    join public.companies c on c.company_id = h.company_id
    where h.host = wanted_host and h.kind = wanted_kind and h.released_at is null and c.status = 'active';
end;
reset role;
revoke create on schema public from bulkhead_directory;
