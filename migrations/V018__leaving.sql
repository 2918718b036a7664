-- Addresses that were given up lead to the present one for a time; a visitor's data goes when somebody asks for that.

-- Addresses ----------------------------------------------------------------------------------------------------------------

comment on column hosts.released_at is 'when the company gave it up: for 90 days a subdomain leads to the present one, then it answers as nobody''s; nobody else can take it yet; null while in use';

-- The same question as before. Whose slug is not the host that was asked for has moved; a domain that was given up is nobody's.
grant create on schema public to bulkhead_directory;
set local role bulkhead_directory;
create or replace function company_by_host(wanted_host text, wanted_kind text)
returns table (company_id uuid, slug text, name text, industry text, utc_offset_minutes integer)
language sql stable security definer set search_path = pg_catalog, public
begin atomic
    select c.company_id, c.slug, c.name, c.industry, public.offset_minutes(c.time_zone)
    from public.hosts h
    join public.companies c on c.company_id = h.company_id
    where h.host = wanted_host and h.kind = wanted_kind and c.status = 'active'
      and (h.released_at is null or (h.kind = 'slug' and h.released_at > now() - interval '90 days'));
end;
reset role;
revoke create on schema public from bulkhead_directory;

-- Visitors -----------------------------------------------------------------------------------------------------------------

-- What was said goes with its conversation; what it cost stays.
grant delete on conversations, notices, visitor_identities to bulkhead_runtime;
create index memories_of_visitor on memories (company_id, visitor_id);
