-- What a new company starts with: platform data, the same for everyone, in no company's hands.
--
-- `bulkhead templates load` writes these tables as their owner; the runtime role may only read them. Provisioning copies
-- them into company tables with `insert … select`, so their columns carry the company tables' names. Nothing here has a
-- company_id, and nothing here may: a row that belongs to a company does not belong in a template.

create table templates (
    slug text primary key check (slug ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' and length(slug) <= 40),
    kind text not null check (kind in ('industry', 'company')),
    name text not null check (name <> ''),
    version integer not null check (version >= 1),
    summary text not null check (summary <> ''),
    loaded_at timestamptz not null default now()
);
comment on table templates is 'One template file: an industry, or what every company gets whatever its industry.';
comment on column templates.slug is 'The file''s name without its ending; what a sign-up names as its industry.';
comment on column templates.kind is 'industry: a company chooses one. company: every company gets it as well.';
comment on column templates.name is 'The name people read, such as Plumbing.';
comment on column templates.version is 'Raised by hand with each published change; copied rows remember it as origin_version.';
comment on column templates.summary is 'One or two sentences for the list of industries at sign-up.';
comment on column templates.loaded_at is 'When this template was last loaded.';

create table template_contexts (
    template text not null references templates (slug) on delete cascade,
    kind text not null check (kind in ('identity', 'personality', 'voice', 'rules')),
    body text not null check (body <> ''),
    position integer not null,
    primary key (template, kind)
);
comment on table template_contexts is 'Becomes gpt_contexts: what each of the company''s agents is told before anything else.';
comment on column template_contexts.template is 'The template that this row is part of.';
comment on column template_contexts.kind is 'identity: who the business is. personality: how it treats people. voice: how it writes. rules: what it never promises, when it hands over, what is an emergency.';
comment on column template_contexts.body is 'Plain text; {{company}} stands for the company''s name.';
comment on column template_contexts.position is 'Order in the prompt, from 1.';

create table template_categories (
    template text not null references templates (slug) on delete cascade,
    slug text not null,
    name text not null check (name <> ''),
    position integer not null,
    primary key (template, slug)
);
comment on table template_categories is 'Becomes knowledge_categories. Rows of a company template are only the shared vocabulary that agents'' scopes use: provisioning copies the industry''s.';
comment on column template_categories.template is 'The template that this row is part of.';
comment on column template_categories.slug is 'Shared between industries where it can be (pricing, emergencies, …), because agents'' scopes name it.';
comment on column template_categories.name is 'The name people read.';
comment on column template_categories.position is 'Order in lists, from 1.';

create table template_entries (
    template text not null references templates (slug) on delete cascade,
    slug text not null,
    category text not null,
    question text not null check (question <> ''),
    answer text not null check (answer <> ''),
    keywords text not null,
    to_confirm boolean not null,
    position integer not null,
    primary key (template, slug),
    foreign key (template, category) references template_categories (template, slug) on delete cascade
);
comment on table template_entries is 'Becomes knowledge_entries: a customer''s question and an answer that can be given as it stands.';
comment on column template_entries.template is 'The template that this row is part of.';
comment on column template_entries.slug is 'Stays the same over versions: an update finds a company''s copy by it.';
comment on column template_entries.category is 'The category''s slug in the same template.';
comment on column template_entries.question is 'As a customer would ask it.';
comment on column template_entries.answer is '30 to 120 words; {{company}} stands for the company''s name.';
comment on column template_entries.keywords is 'Other words that customers use for this, separated by commas; searched like the question.';
comment on column template_entries.to_confirm is 'True: states a price, promise or rule of the business that its owner must confirm.';
comment on column template_entries.position is 'Order in lists, from 1.';

create table template_services (
    template text not null references templates (slug) on delete cascade,
    slug text not null,
    name text not null check (name <> ''),
    description text not null,
    price_from_cents bigint not null check (price_from_cents >= 0),
    price_to_cents bigint check (price_to_cents >= price_from_cents),
    unit text not null check (unit <> ''),
    duration_minutes integer not null check (duration_minutes > 0),
    includes text not null,
    position integer not null,
    primary key (template, slug)
);
comment on table template_services is 'Becomes services: what the business sells. Every price is a default that the owner must confirm.';
comment on column template_services.template is 'The template that this row is part of.';
comment on column template_services.slug is 'Stays the same over versions.';
comment on column template_services.name is 'As a customer would call it.';
comment on column template_services.description is 'What it is and when one needs it.';
comment on column template_services.price_from_cents is 'Lowest price in US cents for one unit; 0 is free.';
comment on column template_services.price_to_cents is 'Highest usual price in US cents; equal to price_from_cents for a fixed price; null means "from", with no usual upper end.';
comment on column template_services.unit is 'What the price is for, such as "per visit" or "per tooth".';
comment on column template_services.duration_minutes is 'Usual time on site or in the chair, in minutes.';
comment on column template_services.includes is 'What the price includes.';
comment on column template_services.position is 'Order in lists, from 1.';

create table template_terms (
    template text not null references templates (slug) on delete cascade,
    term text not null,
    meaning text not null check (meaning <> ''),
    synonyms text not null,
    position integer not null,
    primary key (template, term)
);
comment on table template_terms is 'Becomes glossary_terms: words of the trade in plain English.';
comment on column template_terms.template is 'The template that this row is part of.';
comment on column template_terms.term is 'The word as the trade uses it.';
comment on column template_terms.meaning is 'What it means, for someone outside the trade.';
comment on column template_terms.synonyms is 'What customers call it, separated by commas; search widens a question by them.';
comment on column template_terms.position is 'Order in lists, from 1.';

create table template_agents (
    template text not null references templates (slug) on delete cascade,
    slug text not null,
    name text not null check (name <> ''),
    role text not null check (role <> ''),
    greeting text not null,
    instructions text not null check (instructions <> ''),
    tier text not null check (tier in ('fast', 'balanced', 'best')),
    is_default boolean not null,
    position integer not null,
    primary key (template, slug)
);
create unique index template_agents_one_default on template_agents (template) where is_default;
comment on table template_agents is 'Becomes agents. Mostly in the company template; an industry may add its own.';
comment on column template_agents.template is 'The template that this row is part of.';
comment on column template_agents.slug is 'Unique over the company template and each industry.';
comment on column template_agents.name is 'The name people read.';
comment on column template_agents.role is 'What it does, in one sentence.';
comment on column template_agents.greeting is 'Its first message in a conversation; {{company}} stands for the company''s name.';
comment on column template_agents.instructions is 'What it is told after the contexts.';
comment on column template_agents.tier is 'Which of the company''s models it asks for: fast, balanced or best.';
comment on column template_agents.is_default is 'True for the one that answers when a conversation names no agent.';
comment on column template_agents.position is 'Order in lists, from 1.';

create table template_specialisations (
    template text not null references templates (slug) on delete cascade,
    agent text not null,
    greeting text check (greeting <> ''),
    instructions text check (instructions <> ''),
    primary key (template, agent),
    check (greeting is not null or instructions is not null)
);
comment on table template_specialisations is 'What a shared agent learns of the industry: provisioning takes this greeting instead, and adds these instructions after the shared ones.';
comment on column template_specialisations.template is 'The industry.';
comment on column template_specialisations.agent is 'Slug of an agent of the company template.';
comment on column template_specialisations.greeting is 'Replaces the shared greeting; null keeps it.';
comment on column template_specialisations.instructions is 'Added to the shared instructions; null adds nothing.';

create table template_agent_scopes (
    template text not null references templates (slug) on delete cascade,
    agent text not null,
    category text not null,
    primary key (template, agent, category),
    foreign key (template, category) references template_categories (template, slug) on delete cascade
);
comment on table template_agent_scopes is 'Becomes agent_knowledge_scopes, for those categories that the chosen industry has.';
comment on column template_agent_scopes.template is 'The template that this row is part of.';
comment on column template_agent_scopes.agent is 'Slug of an agent of this template or of the company template.';
comment on column template_agent_scopes.category is 'A category''s slug; the agent sees entries of these categories only.';

create table template_pages (
    template text not null references templates (slug) on delete cascade,
    slug text not null,
    title text not null check (title <> ''),
    body text not null check (body <> ''),
    position integer not null,
    primary key (template, slug)
);
comment on table template_pages is 'Becomes site_pages. An industry''s pages and the company template''s are copied together.';
comment on column template_pages.template is 'The template that this row is part of.';
comment on column template_pages.slug is 'The page''s path; home is the front page.';
comment on column template_pages.title is 'Heading and window title.';
comment on column template_pages.body is 'Markdown without the title; {{company}} stands for the company''s name.';
comment on column template_pages.position is 'Order in the menu, from 1.';

create table template_lead_questions (
    template text not null references templates (slug) on delete cascade,
    question text not null check (question <> ''),
    position integer not null,
    primary key (template, position)
);
comment on table template_lead_questions is 'Becomes lead_questions: what to ask somebody who may become a customer.';
comment on column template_lead_questions.template is 'The template that this row is part of.';
comment on column template_lead_questions.question is 'As it is asked.';
comment on column template_lead_questions.position is 'Order of asking, from 1.';

create table template_quick_replies (
    template text not null references templates (slug) on delete cascade,
    body text not null check (body <> ''),
    position integer not null,
    primary key (template, position)
);
comment on table template_quick_replies is 'Becomes quick_replies: what a visitor can send with one tap.';
comment on column template_quick_replies.template is 'The template that this row is part of.';
comment on column template_quick_replies.body is 'Text of the button and of the message that it sends.';
comment on column template_quick_replies.position is 'Order of the buttons, from 1.';

create table template_hours (
    template text not null references templates (slug) on delete cascade,
    weekday smallint not null check (weekday between 1 and 7),
    opens time not null,
    closes time not null,
    primary key (template, weekday, opens),
    check (opens < closes)
);
comment on table template_hours is 'Becomes opening_hours. A weekday without a row is closed; one with two rows closes in between.';
comment on column template_hours.template is 'The template that this row is part of.';
comment on column template_hours.weekday is 'ISO: 1 is Monday, 7 is Sunday.';
comment on column template_hours.opens is 'In the company''s own time zone.';
comment on column template_hours.closes is 'In the company''s own time zone; 24:00 is midnight at the day''s end.';

create table template_goldens (
    template text not null references templates (slug) on delete cascade,
    question text not null,
    expect text not null check (expect in ('answer', 'refuse', 'handover')),
    entry text,
    position integer not null,
    primary key (template, question),
    foreign key (template, entry) references template_entries (template, slug) on delete cascade,
    check ((expect = 'answer') = (entry is not null))
);
comment on table template_goldens is 'Questions that measure search and answers; never copied to a company.';
comment on column template_goldens.template is 'The template that this row is part of.';
comment on column template_goldens.question is 'Worded as a customer words it, unlike the entry''s own question.';
comment on column template_goldens.expect is 'answer: the entry answers it. refuse: nobody here should answer. handover: a person must.';
comment on column template_goldens.entry is 'Slug of the entry that answers; null unless expect is answer.';
comment on column template_goldens.position is 'Order in reports, from 1.';

create table master_knowledge (
    id uuid primary key default gen_random_uuid(),
    industry text references templates (slug) on delete cascade,
    slug text not null,
    question text not null check (question <> ''),
    answer text not null check (answer <> ''),
    keywords text not null,
    search tsvector not null generated always as (
        setweight(to_tsvector('english', question || ' ' || keywords), 'A')
        || setweight(to_tsvector('english', answer), 'D')
    ) stored
);
create unique index master_knowledge_slug on master_knowledge (coalesce(industry, ''), slug);
create index master_knowledge_search on master_knowledge using gin (search);
comment on table master_knowledge is 'The platform''s own knowledge, read by every company of an industry and edited by none. A company''s own entry is preferred to it.';
comment on column master_knowledge.id is 'Stays the same when the row is loaded again, so that citations keep working.';
comment on column master_knowledge.industry is 'The industry that it is for; null means all of them.';
comment on column master_knowledge.slug is 'Unique within the industry, or among the rows for all.';
comment on column master_knowledge.question is 'As a customer would ask it.';
comment on column master_knowledge.answer is '30 to 120 words, true for any business of the industry: no prices or promises.';
comment on column master_knowledge.keywords is 'Other words that customers use for this, separated by commas.';
comment on column master_knowledge.search is 'English full-text vector: question and keywords weigh A, the answer B.';

grant select on
    templates, template_contexts, template_categories, template_entries, template_services, template_terms,
    template_agents, template_specialisations, template_agent_scopes, template_pages, template_lead_questions,
    template_quick_replies, template_hours, template_goldens, master_knowledge
to bulkhead_runtime;
