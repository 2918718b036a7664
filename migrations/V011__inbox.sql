-- The inbox: people answer in conversations, take them over and hand them back, and leave notes for each other.

alter table messages
    drop constraint messages_author_check,
    add constraint messages_author_check check (author in ('visitor', 'agent', 'member')),
    add column user_id uuid,
    add foreign key (company_id, user_id) references users,
    add check ((author = 'member') = (user_id is not null));
create index messages_user on messages (company_id, user_id) where user_id is not null;
comment on column messages.author is 'visitor, agent, or member: a person of the company';
comment on column messages.source is 'where an agent''s answer came from: a model, the knowledge base alone, or none; null for people';
comment on column messages.answers is 'the message that an agent''s message answers; null for people';
comment on column messages.user_id is 'the person of the company who wrote it; null for visitors and agents';

alter table conversations
    add column taken_over_by uuid,
    add column taken_over_at timestamptz,
    add column closed_at timestamptz,
    add foreign key (company_id, taken_over_by) references users,
    add check ((taken_over_by is null) = (taken_over_at is null));
create index conversations_taken_over on conversations (company_id, taken_over_by) where taken_over_by is not null;
comment on column conversations.handed_over_at is 'when a person was asked for; null while nobody asked, and again once a person handed back or closed';
comment on column conversations.taken_over_by is 'the person who answers in the agent''s place; null while the agent answers';
comment on column conversations.taken_over_at is 'since when a person answers; null while the agent answers';
comment on column conversations.closed_at is 'when a person closed it; a later question opens it again; null while open';
grant update (taken_over_by, taken_over_at, closed_at) on conversations to bulkhead_runtime;

create table conversation_notes (
    company_id uuid not null,
    note_id uuid not null,
    conversation_id uuid not null,
    user_id uuid not null,
    body text not null check (length(body) between 1 and 4000),
    created_at timestamptz not null default now(),
    primary key (company_id, note_id),
    foreign key (company_id, conversation_id) references conversations on delete cascade,
    foreign key (company_id, user_id) references users
);
create index conversation_notes_conversation on conversation_notes (company_id, conversation_id, note_id);
create index conversation_notes_user on conversation_notes (company_id, user_id);
comment on table conversation_notes is 'what people of the company write for each other about a conversation; no visitor and no agent sees it';
comment on column conversation_notes.company_id is 'the company';
comment on column conversation_notes.note_id is 'the note';
comment on column conversation_notes.conversation_id is 'the conversation it is about';
comment on column conversation_notes.user_id is 'who wrote it';
comment on column conversation_notes.body is 'the text';
comment on column conversation_notes.created_at is 'when it was written';
call protect('conversation_notes');
grant select, insert on conversation_notes to bulkhead_runtime;

-- What a conversation cost is asked for by its id.
create index usage_ledger_conversation on usage_ledger (company_id, conversation_id);
