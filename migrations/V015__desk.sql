-- Pages that wait to be shown, and conversations by which staff try an agent.

alter table site_pages add column shown boolean not null default true;
comment on column site_pages.shown is 'visitors see it; false: only the company''s people do';
grant update (shown) on site_pages to bulkhead_runtime;

alter table conversations add column trial boolean not null default false;
comment on column conversations.trial is 'begun by the company''s people to try an agent; in no inbox, no list of leads and no figure';
