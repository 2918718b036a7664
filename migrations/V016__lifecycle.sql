-- The end of a company: since when it is suspended, and from when on it may be deleted.

-- Columns, and no table of their own: they go when the company goes, and its receipt is kept elsewhere.
alter table companies
    add column suspended_at timestamptz,
    add column delete_after timestamptz,
    add column deleted_so_far jsonb;
comment on column companies.suspended_at is 'since when its hosts answer as if they were not there; null while active';
comment on column companies.delete_after is 'deletion was asked for, and may begin then: until then it can be called off; null: nobody asked';
comment on column companies.deleted_so_far is 'rows deleted so far, by table, once the deletion has begun and cannot be called off; null before';
grant update (suspended_at, delete_after) on companies to bulkhead_runtime;
