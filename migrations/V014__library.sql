-- The library: questions that nobody answered, and texts that wait for a person before anybody finds them.

-- Two texts that differ in case, signs and spaces only are one. Normal forms are compared by their digest.
create function text_digest(body text) returns uuid language sql immutable strict parallel safe
    set search_path = pg_catalog
    return md5(btrim(regexp_replace(lower(body), '[^[:alnum:]]+', ' ', 'g')))::uuid;
comment on function text_digest is 'digest of a text''s letters and digits: equal for texts that differ in case, signs and spaces only';

alter table knowledge_entries
    add column source_url text check (length(source_url) between 1 and 2000);
comment on column knowledge_entries.source_url is 'the page that it was taken from; null for what was written here or came with a template';

-- Drafts are a table of their own, so that no search can find one: it would have to name this table.
create table knowledge_drafts (
    company_id uuid not null,
    draft_id uuid not null,
    category_id uuid not null,
    source text not null check (source in ('text', 'website', 'model')),
    source_url text check (length(source_url) between 1 and 2000),
    question text not null check (length(question) between 1 and 500),
    answer text not null check (length(answer) between 1 and 8000),
    unanswered_id uuid,
    digest uuid not null generated always as (text_digest(answer)) stored,
    created_at timestamptz not null default now(),
    primary key (company_id, draft_id),
    foreign key (company_id, category_id) references knowledge_categories on delete cascade
);
create unique index knowledge_drafts_digest on knowledge_drafts (company_id, digest);
create index knowledge_drafts_category on knowledge_drafts (company_id, category_id);
comment on table knowledge_drafts is 'what may become an entry once a person approves it; until then no agent finds it';
comment on column knowledge_drafts.company_id is 'the company';
comment on column knowledge_drafts.draft_id is 'the draft';
comment on column knowledge_drafts.category_id is 'the category that its entry will be in';
comment on column knowledge_drafts.source is 'text: pasted or uploaded; website: read from the company''s own pages; model: written by a model for a question';
comment on column knowledge_drafts.source_url is 'the page that it was taken from; null where there is none';
comment on column knowledge_drafts.question is 'the question that it answers, as far as a program can tell';
comment on column knowledge_drafts.answer is 'the text';
comment on column knowledge_drafts.unanswered_id is 'the digest of the visitors'' question that it was written for; null for what was imported';
comment on column knowledge_drafts.digest is 'digest of the text, so that the same one is not imported twice';
comment on column knowledge_drafts.created_at is 'when it was made';
call protect('knowledge_drafts');
grant select, insert, update (category_id, question, answer), delete on knowledge_drafts to bulkhead_runtime;

create table settled_questions (
    company_id uuid not null references companies on delete cascade,
    unanswered_id uuid not null,
    outcome text not null check (outcome in ('answered', 'dismissed')),
    settled_at timestamptz not null default now(),
    primary key (company_id, unanswered_id)
);
comment on table settled_questions is 'questions of visitors that no agent could answer and that a person has looked at';
comment on column settled_questions.company_id is 'the company';
comment on column settled_questions.unanswered_id is 'the question: the digest of its text (text_digest)';
comment on column settled_questions.outcome is 'answered: an entry was written, and it shows again if it is asked in vain afterwards; dismissed: it never shows again';
comment on column settled_questions.settled_at is 'when somebody did so last';
call protect('settled_questions');
grant select, insert, update (outcome, settled_at) on settled_questions to bulkhead_runtime;

create index messages_unanswered on messages (company_id, message_id) where source = 'none';
