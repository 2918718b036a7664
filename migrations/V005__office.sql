-- What a company works with besides answers: stages, messages, settings, lists; and who edited what a template gave.

-- Leads and their way ---------------------------------------------------------------------------------------------

create table pipeline_stages (
    company_id uuid not null references companies on delete cascade,
    stage_id uuid not null,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    name text not null check (length(name) between 1 and 120),
    outcome text not null check (outcome in ('open', 'won', 'lost')),
    stale_days integer check (stale_days between 1 and 365),
    position integer not null default 0,
    primary key (company_id, stage_id),
    unique (company_id, slug)
);
comment on table pipeline_stages is 'the way of a lead, from the first word to paid or lost';
comment on column pipeline_stages.company_id is 'the company';
comment on column pipeline_stages.stage_id is 'the stage';
comment on column pipeline_stages.slug is 'short name';
comment on column pipeline_stages.name is 'name shown to people';
comment on column pipeline_stages.outcome is 'open while somebody must act; won or lost when it is over';
comment on column pipeline_stages.stale_days is 'days after which a lead here has waited too long; null: never';
comment on column pipeline_stages.position is 'order; new leads begin at the lowest';
call protect('pipeline_stages');
grant select, insert, update (name, outcome, stale_days, position), delete on pipeline_stages to bulkhead_runtime;

alter table leads
    add column stage_id uuid,
    add column moved_at timestamptz not null default now(),
    add foreign key (company_id, stage_id) references pipeline_stages on delete set null (stage_id);
create index leads_stage on leads (company_id, stage_id);
comment on column leads.stage_id is 'where it stands; null: its stage was removed, or it is older than stages';
comment on column leads.moved_at is 'since when it stands there';
grant update (stage_id, moved_at) on leads to bulkhead_runtime;

create table labels (
    company_id uuid not null references companies on delete cascade,
    label_id uuid not null,
    name text not null check (length(name) between 1 and 60),
    color text not null check (color ~ '^#[0-9a-f]{6}$'),
    words text not null check (length(words) between 1 and 500),
    position integer not null default 0,
    primary key (company_id, label_id),
    unique (company_id, name)
);
comment on table labels is 'what a lead is about, told by its words';
comment on column labels.company_id is 'the company';
comment on column labels.label_id is 'the label';
comment on column labels.name is 'name shown to people';
comment on column labels.color is 'its colour, #rrggbb';
comment on column labels.words is 'words and phrases, separated by commas: a lead that says one of them has the label';
comment on column labels.position is 'order in lists';
call protect('labels');
grant select, insert, update (name, color, words, position), delete on labels to bulkhead_runtime;

-- What an agent may do besides answering ----------------------------------------------------------------------------

create table agent_tools (
    company_id uuid not null,
    agent_id uuid not null,
    tool text not null check (tool ~ '^[a-z][a-z0-9_-]{1,59}$'),
    primary key (company_id, agent_id, tool),
    foreign key (company_id, agent_id) references agents on delete cascade
);
comment on table agent_tools is 'what an agent may do besides answering; none listed, none offered to the model';
comment on column agent_tools.company_id is 'the company';
comment on column agent_tools.agent_id is 'the agent';
comment on column agent_tools.tool is 'name of the tool, for example capture_lead';
call protect('agent_tools');
grant select, insert, delete on agent_tools to bulkhead_runtime;

create table agent_starters (
    company_id uuid not null,
    agent_id uuid not null,
    position integer not null,
    body text not null check (length(body) between 1 and 200),
    primary key (company_id, agent_id, position),
    foreign key (company_id, agent_id) references agents on delete cascade
);
comment on table agent_starters is 'what one can begin with at an agent, on buttons';
comment on column agent_starters.company_id is 'the company';
comment on column agent_starters.agent_id is 'the agent';
comment on column agent_starters.position is 'order of the buttons, from 1';
comment on column agent_starters.body is 'text of the button and of the message that it sends';
call protect('agent_starters');
grant select, insert, delete on agent_starters to bulkhead_runtime;

create table agent_handoffs (
    company_id uuid not null,
    agent_id uuid not null,
    to_agent_id uuid not null check (to_agent_id <> agent_id),
    reason text not null check (length(reason) between 1 and 200),
    primary key (company_id, agent_id, to_agent_id),
    foreign key (company_id, agent_id) references agents on delete cascade,
    foreign key (company_id, to_agent_id) references agents on delete cascade
);
create index agent_handoffs_to on agent_handoffs (company_id, to_agent_id);
comment on table agent_handoffs is 'which colleague an agent brings in, and when';
comment on column agent_handoffs.company_id is 'the company';
comment on column agent_handoffs.agent_id is 'the agent that is asked';
comment on column agent_handoffs.to_agent_id is 'the agent that knows better';
comment on column agent_handoffs.reason is 'when, as the agent is told: "prices of a whole project"';
call protect('agent_handoffs');
grant select, insert, delete on agent_handoffs to bulkhead_runtime;

-- What people say, and when -------------------------------------------------------------------------------------------

create table message_templates (
    company_id uuid not null references companies on delete cascade,
    message_template_id uuid not null,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    channel text not null check (channel in ('email', 'text', 'chat')),
    name text not null check (length(name) between 1 and 120),
    subject text not null default '' check (length(subject) <= 200),
    body text not null check (length(body) between 1 and 4000),
    origin text not null default 'company' check (origin in ('company', 'template')),
    origin_version integer,
    position integer not null default 0,
    updated_at timestamptz not null default now(),
    primary key (company_id, message_template_id),
    unique (company_id, slug)
);
comment on table message_templates is 'messages written once: e-mails, text messages, and replies that staff give in a chat';
comment on column message_templates.company_id is 'the company';
comment on column message_templates.message_template_id is 'the message''s row';
comment on column message_templates.slug is 'short name, by which a follow-up names it';
comment on column message_templates.channel is 'email, text (to a phone), or chat: a canned reply';
comment on column message_templates.name is 'name shown to staff';
comment on column message_templates.subject is 'an e-mail''s subject; empty for the others';
comment on column message_templates.body is 'the text; [square brackets] are gaps for whoever sends it';
comment on column message_templates.origin is 'template: as it came; company: written or edited here';
comment on column message_templates.origin_version is 'version of the template that it came from or was compared with last; null for the company''s own';
comment on column message_templates.position is 'order in lists';
comment on column message_templates.updated_at is 'last change';
call protect('message_templates');
grant select, insert, update (name, subject, body, origin, origin_version, position, updated_at), delete
    on message_templates to bulkhead_runtime;

create table follow_up_steps (
    company_id uuid not null,
    step_id uuid not null,
    sequence text not null check (sequence ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    after_hours integer not null check (after_hours between 0 and 8760),
    message text not null,
    enabled boolean not null default true,
    primary key (company_id, step_id),
    foreign key (company_id, message) references message_templates (company_id, slug) on update cascade on delete cascade
);
create index follow_up_steps_message on follow_up_steps (company_id, message);
comment on table follow_up_steps is 'who is written to, when, and with what, after something happened';
comment on column follow_up_steps.company_id is 'the company';
comment on column follow_up_steps.step_id is 'the step';
comment on column follow_up_steps.sequence is 'what happened: after-enquiry, after-estimate, after-visit, …';
comment on column follow_up_steps.after_hours is 'hours after it happened';
comment on column follow_up_steps.message is 'short name of the message that is sent';
comment on column follow_up_steps.enabled is 'is sent at all';
call protect('follow_up_steps');
grant select, insert, update (after_hours, enabled), delete on follow_up_steps to bulkhead_runtime;

create table notification_settings (
    company_id uuid not null references companies on delete cascade,
    notification_id uuid not null,
    event text not null check (event ~ '^[a-z]+\.[a-z0-9_-]+$'),
    channel text not null check (channel in ('email', 'text', 'dashboard')),
    role text not null check (role in ('member', 'admin', 'owner')),
    enabled boolean not null,
    primary key (company_id, notification_id),
    unique (company_id, event, channel)
);
comment on table notification_settings is 'who is told of what, and how';
comment on column notification_settings.company_id is 'the company';
comment on column notification_settings.notification_id is 'the setting';
comment on column notification_settings.event is 'what happened, for example lead.new';
comment on column notification_settings.channel is 'email, text or dashboard';
comment on column notification_settings.role is 'told are people with this role or a higher one';
comment on column notification_settings.enabled is 'is told at all';
call protect('notification_settings');
grant select, insert, update (role, enabled) on notification_settings to bulkhead_runtime;

-- The office ------------------------------------------------------------------------------------------------------------

create table role_permissions (
    company_id uuid not null references companies on delete cascade,
    role text not null check (role in ('member', 'admin')),
    permission text not null check (permission ~ '^[a-z-]+\.[a-z0-9-]+$'),
    allowed boolean not null,
    primary key (company_id, role, permission)
);
comment on table role_permissions is 'what a role may do here, within what the platform lets it; read in the same transaction as everything a signed-in person does';
comment on column role_permissions.company_id is 'the company';
comment on column role_permissions.role is 'member or admin; an owner may do everything';
comment on column role_permissions.permission is 'an area and read or write, for example knowledge.write';
comment on column role_permissions.allowed is 'false takes it away; what is not listed is as the route says';
call protect('role_permissions');
grant select, insert, update (allowed) on role_permissions to bulkhead_runtime;

create table checklist_items (
    company_id uuid not null references companies on delete cascade,
    item_id uuid not null,
    slug text not null check (slug ~ '^[a-z0-9][a-z0-9-]{0,79}$'),
    kind text not null check (kind in ('task', 'fact', 'price')),
    title text not null check (length(title) between 1 and 200),
    help text not null default '' check (length(help) <= 500),
    value text not null default '' check (length(value) <= 500),
    done_at timestamptz,
    position integer not null default 0,
    primary key (company_id, item_id),
    unique (company_id, slug)
);
comment on table checklist_items is 'what an owner does and confirms before customers rely on it';
comment on column checklist_items.company_id is 'the company';
comment on column checklist_items.item_id is 'the item';
comment on column checklist_items.slug is 'short name; a price''s is price- and the service''s';
comment on column checklist_items.kind is 'task: something to do; fact: something only the owner knows; price: a default to confirm';
comment on column checklist_items.title is 'what it is';
comment on column checklist_items.help is 'why, and how';
comment on column checklist_items.value is 'a fact as its owner gave it; agents may tell it once it is confirmed';
comment on column checklist_items.done_at is 'when it was done or confirmed; null while open';
comment on column checklist_items.position is 'order in lists';
call protect('checklist_items');
grant select, insert, update (title, value, done_at) on checklist_items to bulkhead_runtime;

create table appointment_types (
    company_id uuid not null,
    appointment_type_id uuid not null,
    service_id uuid not null,
    name text not null check (length(name) between 1 and 120),
    duration_minutes integer not null check (duration_minutes between 5 and 43200),
    buffer_minutes integer not null check (buffer_minutes between 0 and 480),
    notice_hours integer not null check (notice_hours between 0 and 720),
    bookable boolean not null default true,
    primary key (company_id, appointment_type_id),
    foreign key (company_id, service_id) references services on delete cascade
);
create index appointment_types_service on appointment_types (company_id, service_id);
comment on table appointment_types is 'what can be asked for as an appointment';
comment on column appointment_types.company_id is 'the company';
comment on column appointment_types.appointment_type_id is 'the type''s row';
comment on column appointment_types.service_id is 'the service that it is for';
comment on column appointment_types.name is 'name shown to customers';
comment on column appointment_types.duration_minutes is 'how long it takes';
comment on column appointment_types.buffer_minutes is 'minutes kept free after it';
comment on column appointment_types.notice_hours is 'hours beforehand that it must be asked for at least';
comment on column appointment_types.bookable is 'may be proposed in a chat';
call protect('appointment_types');
grant select, insert, update (name, duration_minutes, buffer_minutes, notice_hours, bookable), delete
    on appointment_types to bulkhead_runtime;

create table closures (
    company_id uuid not null references companies on delete cascade,
    closure_id uuid not null,
    day date not null,
    name text not null check (length(name) between 1 and 120),
    primary key (company_id, closure_id),
    unique (company_id, day)
);
comment on table closures is 'days on which the company is closed whatever its opening hours say';
comment on column closures.company_id is 'the company';
comment on column closures.closure_id is 'the closure';
comment on column closures.day is 'the day, in the company''s time zone';
comment on column closures.name is 'why: a holiday''s name, or the owner''s words';
call protect('closures');
grant select, insert, delete on closures to bulkhead_runtime;

create table payment_methods (
    company_id uuid not null references companies on delete cascade,
    method_id uuid not null,
    name text not null check (length(name) between 1 and 60),
    accepted boolean not null,
    note text not null default '' check (length(note) <= 200),
    position integer not null default 0,
    primary key (company_id, method_id),
    unique (company_id, name)
);
comment on table payment_methods is 'how customers can pay';
comment on column payment_methods.company_id is 'the company';
comment on column payment_methods.method_id is 'the method''s row';
comment on column payment_methods.name is 'name shown to customers';
comment on column payment_methods.accepted is 'whether the company takes it';
comment on column payment_methods.note is 'what customers should know of it';
comment on column payment_methods.position is 'order in lists';
call protect('payment_methods');
grant select, insert, update (accepted, note) on payment_methods to bulkhead_runtime;

-- Search ------------------------------------------------------------------------------------------------------------------

create table search_synonyms (
    company_id uuid not null,
    term_id uuid not null,
    phrase text not null check (length(phrase) between 1 and 120),
    lexemes text[] not null,
    primary key (company_id, term_id, phrase),
    foreign key (company_id, term_id) references glossary_terms on delete cascade
);
comment on table search_synonyms is 'what customers and the trade call the same thing: a question that says one phrase of a term finds entries that say another';
comment on column search_synonyms.company_id is 'the company';
comment on column search_synonyms.term_id is 'the term whose phrases these are';
comment on column search_synonyms.phrase is 'the term itself, or one of its synonyms';
comment on column search_synonyms.lexemes is 'its words, as to_tsvector(''english'', …) stems them';
call protect('search_synonyms');
grant select, insert, delete on search_synonyms to bulkhead_runtime;
