//! What an update does in the database: one statement for each kind of row and each thing that can have become of it.
//!
//! It never touches a row whose origin is the company, but where its people accept the template's text.

use super::Kind;
use crate::tenant::TenantSql;

/// Brings what is unedited up to date, in this order: what the template no longer has goes, what it says otherwise changes,
/// what is new comes, unless the company removed it. A row is out of date when its version is below its template's, so
/// running it again changes nothing.
pub const UPDATES: &[TenantSql] = &[
    // A category that is new, and the agents that see it: the company's own choice of agents for the others stays.
    crate::sql!(
        "with fresh as (
             insert into knowledge_categories (company_id, category_id, slug, name, position)
             select $1, gen_random_uuid(), c.slug, c.name, c.position
             from companies k
             join template_categories c on c.template = k.industry
             where k.company_id = $1
             on conflict (company_id, slug) do nothing
             returning category_id, slug
         )
         insert into agent_knowledge_scopes (company_id, agent_id, category_id)
         select $1, a.agent_id, f.category_id
         from fresh f
         join companies k on k.company_id = $1
         join template_agent_scopes s on s.category = f.slug
         join templates t on t.slug = s.template and (t.kind = 'company' or t.slug = k.industry)
         join agents a on a.company_id = k.company_id and a.slug = s.agent
         on conflict (company_id, agent_id, category_id) do nothing"
    ),
    crate::sql!(
        "update gpt_contexts h
         set body = replace(o.body, '{{company}}', k.name), position = o.position, updated_at = now(), origin_version = t.version
         from companies k
         join templates t on t.slug = k.industry
         join template_contexts o on o.template = t.slug
         where h.company_id = $1 and k.company_id = $1 and o.kind = h.kind and h.origin = 'template'
           and h.origin_version < t.version"
    ),
    crate::sql!(
        "insert into gpt_contexts (company_id, context_id, kind, body, position, origin, origin_version)
         select $1, gen_random_uuid(), o.kind, replace(o.body, '{{company}}', k.name), o.position, 'template', t.version
         from companies k
         join templates t on t.slug = k.industry
         join template_contexts o on o.template = t.slug
         where k.company_id = $1
           and not exists (select from removals r where r.company_id = $1 and r.kind = 'context' and r.slug = o.kind)
         on conflict (company_id, kind) do nothing"
    ),
    crate::sql!(
        "delete from knowledge_entries h
         using companies k, templates t
         where h.company_id = $1 and k.company_id = $1 and t.slug = k.industry and h.origin = 'template'
           and h.origin_version < t.version
           and not exists (select from template_entries o where o.template = t.slug and o.slug = h.slug)"
    ),
    crate::sql!(
        "update knowledge_entries h
         set category_id = c.category_id, question = replace(o.question, '{{company}}', k.name), answer = replace(o.answer, '{{company}}', k.name), keywords = o.keywords,
             to_confirm = o.to_confirm, position = o.position, prepared = o.search, updated_at = now(), origin_version = t.version
         from companies k
         join templates t on t.slug = k.industry
         join template_entries o on o.template = t.slug
         join knowledge_categories c on c.company_id = k.company_id and c.slug = o.category
         where h.company_id = $1 and k.company_id = $1 and o.slug = h.slug and h.origin = 'template'
           and h.origin_version < t.version"
    ),
    crate::sql!(
        "insert into knowledge_entries (company_id, entry_id, category_id, slug, question, answer, keywords, to_confirm, position, prepared, origin, origin_version)
         select $1, gen_random_uuid(), c.category_id, o.slug, replace(o.question, '{{company}}', k.name), replace(o.answer, '{{company}}', k.name), o.keywords, o.to_confirm, o.position, o.search, 'template', t.version
         from companies k
         join templates t on t.slug = k.industry
         join template_entries o on o.template = t.slug
         join knowledge_categories c on c.company_id = k.company_id and c.slug = o.category
         where k.company_id = $1
           and not exists (select from removals r where r.company_id = $1 and r.kind = 'entry' and r.slug = o.slug)
         on conflict (company_id, slug) do nothing"
    ),
    crate::sql!(
        "delete from services h
         using companies k, templates t
         where h.company_id = $1 and k.company_id = $1 and t.slug = k.industry and h.origin = 'template'
           and h.origin_version < t.version
           and not exists (select from template_services o where o.template = t.slug and o.slug = h.slug)"
    ),
    crate::sql!(
        "update services h
         set name = o.name, description = replace(o.description, '{{company}}', k.name), price_from_cents = o.price_from_cents,
             price_to_cents = o.price_to_cents, unit = o.unit, duration_minutes = o.duration_minutes, includes = o.includes,
             position = o.position, origin_version = t.version
         from companies k
         join templates t on t.slug = k.industry
         join template_services o on o.template = t.slug
         where h.company_id = $1 and k.company_id = $1 and o.slug = h.slug and h.origin = 'template'
           and h.origin_version < t.version"
    ),
    crate::sql!(
        "insert into services (company_id, service_id, slug, name, description, price_from_cents, price_to_cents, unit, duration_minutes, includes, position, origin, origin_version)
         select $1, gen_random_uuid(), o.slug, o.name, replace(o.description, '{{company}}', k.name), o.price_from_cents, o.price_to_cents, o.unit, o.duration_minutes, o.includes, o.position, 'template', t.version
         from companies k
         join templates t on t.slug = k.industry
         join template_services o on o.template = t.slug
         where k.company_id = $1
           and not exists (select from removals r where r.company_id = $1 and r.kind = 'service' and r.slug = o.slug)
         on conflict (company_id, slug) do nothing"
    ),
    crate::sql!(
        "insert into appointment_types (company_id, appointment_type_id, service_id, name, duration_minutes, buffer_minutes,
                                        notice_hours, bookable)
         select $1, gen_random_uuid(), s.service_id, s.name, s.duration_minutes,
                case when s.duration_minutes <= 60 then 15 else 30 end,
                case when s.duration_minutes <= 120 then 4 else 24 end, s.duration_minutes <= 480
         from services s
         where s.company_id = $1 and s.origin = 'template' and s.duration_minutes is not null
           and not exists (select from appointment_types a where a.company_id = $1 and a.service_id = s.service_id)"
    ),
    crate::sql!(
        "insert into checklist_items (company_id, item_id, slug, kind, title, help, position)
         select $1, gen_random_uuid(), 'price-' || s.slug, 'price', 'Price of ' || s.name, s.unit, 1000 + s.position
         from services s
         where s.company_id = $1 and s.origin = 'template'
         on conflict (company_id, slug) do nothing"
    ),
    crate::sql!(
        "delete from glossary_terms h
         using companies k, templates t
         where h.company_id = $1 and k.company_id = $1 and t.slug = k.industry and h.origin = 'template'
           and h.origin_version < t.version
           and not exists (select from template_terms o where o.template = t.slug and o.term = h.term)"
    ),
    // The phrases of a term that is about to change; they are written anew below.
    crate::sql!(
        "delete from search_synonyms p
         using companies k, templates t, glossary_terms g
         where p.company_id = $1 and k.company_id = $1 and t.slug = k.industry and g.company_id = p.company_id
           and g.term_id = p.term_id and g.origin = 'template' and g.origin_version < t.version"
    ),
    crate::sql!(
        "update glossary_terms h
         set meaning = replace(o.meaning, '{{company}}', k.name), synonyms = o.synonyms, origin_version = t.version
         from companies k
         join templates t on t.slug = k.industry
         join template_terms o on o.template = t.slug
         where h.company_id = $1 and k.company_id = $1 and o.term = h.term and h.origin = 'template'
           and h.origin_version < t.version"
    ),
    crate::sql!(
        "insert into glossary_terms (company_id, term_id, term, meaning, synonyms, origin, origin_version)
         select $1, gen_random_uuid(), o.term, replace(o.meaning, '{{company}}', k.name), o.synonyms, 'template', t.version
         from companies k
         join templates t on t.slug = k.industry
         join template_terms o on o.template = t.slug
         where k.company_id = $1
           and not exists (select from removals r where r.company_id = $1 and r.kind = 'term' and r.slug = o.term)
         on conflict (company_id, term) do nothing"
    ),
    crate::sql!(
        "insert into search_synonyms (company_id, term_id, phrase, lexemes)
         select $1, g.term_id, p.phrase, tsvector_to_array(to_tsvector('english', p.phrase))
         from glossary_terms g
         cross join lateral (
             select distinct btrim(word) as phrase
             from regexp_split_to_table(lower(g.term || ',' || g.synonyms), ',') word
             where btrim(word) <> '') p
         where g.company_id = $1
           and not exists (select from search_synonyms s where s.company_id = $1 and s.term_id = g.term_id)"
    ),
    crate::sql!(
        "delete from site_pages h
         using companies k
         where h.company_id = $1 and k.company_id = $1 and h.origin = 'template'
           and not exists (select from template_pages o join templates t on t.slug = o.template
                           where o.slug = h.slug and (t.kind = 'company' or t.slug = k.industry))"
    ),
    crate::sql!(
        "update site_pages h
         set title = replace(o.title, '{{company}}', k.name), body = replace(o.body, '{{company}}', k.name), updated_at = now(),
             position = o.position + case t.kind when 'company' then 100 else 0 end, origin_version = t.version
         from companies k
         join templates t on (t.kind = 'company' or t.slug = k.industry)
         join template_pages o on o.template = t.slug
         where h.company_id = $1 and k.company_id = $1 and o.slug = h.slug and h.origin = 'template'
           and h.origin_version < t.version"
    ),
    crate::sql!(
        "insert into site_pages (company_id, page_id, slug, title, body, position, origin, origin_version)
         select $1, gen_random_uuid(), o.slug, replace(o.title, '{{company}}', k.name), replace(o.body, '{{company}}', k.name), o.position + case t.kind when 'company' then 100 else 0 end, 'template', t.version
         from companies k
         join templates t on (t.kind = 'company' or t.slug = k.industry)
         join template_pages o on o.template = t.slug
         where k.company_id = $1
           and not exists (select from removals r where r.company_id = $1 and r.kind = 'page' and r.slug = o.slug)
         on conflict (company_id, slug) do nothing"
    ),
    crate::sql!(
        "delete from message_templates h
         using companies k
         where h.company_id = $1 and k.company_id = $1 and h.origin = 'template'
           and not exists (select from template_messages o join templates t on t.slug = o.template
                           where o.slug = h.slug and (t.kind = 'company' or t.slug = k.industry))"
    ),
    crate::sql!(
        "update message_templates h
         set name = o.name, subject = replace(o.subject, '{{company}}', k.name), body = replace(o.body, '{{company}}', k.name), position = o.position, updated_at = now(), origin_version = t.version
         from companies k
         join templates t on (t.kind = 'company' or t.slug = k.industry)
         join template_messages o on o.template = t.slug
         where h.company_id = $1 and k.company_id = $1 and o.slug = h.slug and h.origin = 'template'
           and h.origin_version < t.version"
    ),
    crate::sql!(
        "insert into message_templates (company_id, message_template_id, slug, channel, name, subject, body, position, origin, origin_version)
         select $1, gen_random_uuid(), o.slug, o.channel, o.name, replace(o.subject, '{{company}}', k.name), replace(o.body, '{{company}}', k.name), o.position, 'template', t.version
         from companies k
         join templates t on (t.kind = 'company' or t.slug = k.industry)
         join template_messages o on o.template = t.slug
         where k.company_id = $1
           and not exists (select from removals r where r.company_id = $1 and r.kind = 'message' and r.slug = o.slug)
         on conflict (company_id, slug) do nothing"
    ),
];

/// Takes back that a row was edited, so that the update replaces it. `$2` are slugs.
pub(super) const ACCEPTS: &[(Kind, TenantSql)] = &[
    (
        Kind::Context,
        crate::sql!(
            "update gpt_contexts
             set origin = 'template', origin_version = 0
             where company_id = $1 and kind = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Entry,
        crate::sql!(
            "update knowledge_entries
             set origin = 'template', origin_version = 0
             where company_id = $1 and slug = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Message,
        crate::sql!(
            "update message_templates
             set origin = 'template', origin_version = 0
             where company_id = $1 and slug = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Page,
        crate::sql!(
            "update site_pages
             set origin = 'template', origin_version = 0
             where company_id = $1 and slug = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Service,
        crate::sql!(
            "update services
             set origin = 'template', origin_version = 0
             where company_id = $1 and slug = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Term,
        crate::sql!(
            "update glossary_terms
             set origin = 'template', origin_version = 0
             where company_id = $1 and term = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
];

/// Leaves an edited row as it is, as compared with the template's version of now; one that the template no longer has is
/// the company's own. `$2` are slugs.
pub(super) const KEEPS: &[(Kind, TenantSql)] = &[
    (
        Kind::Context,
        crate::sql!(
            "update gpt_contexts h
             set origin_version = (select max(t.version) from companies k
                                   join templates t on t.kind = 'company' or t.slug = k.industry
                                   join template_contexts o on o.template = t.slug and o.kind = h.kind
                                   where k.company_id = $1)
             where company_id = $1 and kind = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Entry,
        crate::sql!(
            "update knowledge_entries h
             set origin_version = (select max(t.version) from companies k
                                   join templates t on t.kind = 'company' or t.slug = k.industry
                                   join template_entries o on o.template = t.slug and o.slug = h.slug
                                   where k.company_id = $1)
             where company_id = $1 and slug = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Message,
        crate::sql!(
            "update message_templates h
             set origin_version = (select max(t.version) from companies k
                                   join templates t on t.kind = 'company' or t.slug = k.industry
                                   join template_messages o on o.template = t.slug and o.slug = h.slug
                                   where k.company_id = $1)
             where company_id = $1 and slug = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Page,
        crate::sql!(
            "update site_pages h
             set origin_version = (select max(t.version) from companies k
                                   join templates t on t.kind = 'company' or t.slug = k.industry
                                   join template_pages o on o.template = t.slug and o.slug = h.slug
                                   where k.company_id = $1)
             where company_id = $1 and slug = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Service,
        crate::sql!(
            "update services h
             set origin_version = (select max(t.version) from companies k
                                   join templates t on t.kind = 'company' or t.slug = k.industry
                                   join template_services o on o.template = t.slug and o.slug = h.slug
                                   where k.company_id = $1)
             where company_id = $1 and slug = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
    (
        Kind::Term,
        crate::sql!(
            "update glossary_terms h
             set origin_version = (select max(t.version) from companies k
                                   join templates t on t.kind = 'company' or t.slug = k.industry
                                   join template_terms o on o.template = t.slug and o.term = h.term
                                   where k.company_id = $1)
             where company_id = $1 and term = any($2::text[]) and origin = 'company' and origin_version is not null"
        ),
    ),
];

/// What the templates have otherwise. A company's own row that happens to have a template row's short name is not offered.
pub(super) const UPDATE_LIST: TenantSql = crate::sql!(
    "with offered as (
         select 'context' as kind, o.kind as slug, t.version, replace(o.body, '{{company}}', k.name) as body
         from companies k join templates t on t.slug = k.industry join template_contexts o on o.template = t.slug
         where k.company_id = $1
         union all
         select 'entry' as kind, o.slug as slug, t.version, concat_ws(chr(10), replace(o.question, '{{company}}', k.name), replace(o.answer, '{{company}}', k.name), o.keywords) as body
         from companies k join templates t on t.slug = k.industry join template_entries o on o.template = t.slug
         where k.company_id = $1
         union all
         select 'message' as kind, o.slug as slug, t.version, concat_ws(chr(10), o.name, replace(o.subject, '{{company}}', k.name), replace(o.body, '{{company}}', k.name)) as body
         from companies k join templates t on (t.kind = 'company' or t.slug = k.industry) join template_messages o on o.template = t.slug
         where k.company_id = $1
         union all
         select 'page' as kind, o.slug as slug, t.version, concat_ws(chr(10), replace(o.title, '{{company}}', k.name), replace(o.body, '{{company}}', k.name)) as body
         from companies k join templates t on (t.kind = 'company' or t.slug = k.industry) join template_pages o on o.template = t.slug
         where k.company_id = $1
         union all
         select 'service' as kind, o.slug as slug, t.version, concat_ws(chr(10), o.name, replace(o.description, '{{company}}', k.name), o.price_from_cents, o.price_to_cents, o.unit, o.duration_minutes, o.includes) as body
         from companies k join templates t on t.slug = k.industry join template_services o on o.template = t.slug
         where k.company_id = $1
         union all
         select 'term' as kind, o.term as slug, t.version, concat_ws(chr(10), replace(o.meaning, '{{company}}', k.name), o.synonyms) as body
         from companies k join templates t on t.slug = k.industry join template_terms o on o.template = t.slug
         where k.company_id = $1
     ),
     held as (
         select 'context' as kind, h.kind as slug, h.origin, h.origin_version, h.body as body
         from gpt_contexts h
         where h.company_id = $1 and h.kind is not null
         union all
         select 'entry' as kind, h.slug as slug, h.origin, h.origin_version, concat_ws(chr(10), h.question, h.answer, h.keywords) as body
         from knowledge_entries h
         where h.company_id = $1 and h.slug is not null
         union all
         select 'message' as kind, h.slug as slug, h.origin, h.origin_version, concat_ws(chr(10), h.name, h.subject, h.body) as body
         from message_templates h
         where h.company_id = $1 and h.slug is not null
         union all
         select 'page' as kind, h.slug as slug, h.origin, h.origin_version, concat_ws(chr(10), h.title, h.body) as body
         from site_pages h
         where h.company_id = $1 and h.slug is not null
         union all
         select 'service' as kind, h.slug as slug, h.origin, h.origin_version, concat_ws(chr(10), h.name, h.description, h.price_from_cents, h.price_to_cents, h.unit, h.duration_minutes, h.includes) as body
         from services h
         where h.company_id = $1 and h.slug is not null
         union all
         select 'term' as kind, h.term as slug, h.origin, h.origin_version, concat_ws(chr(10), h.meaning, h.synonyms) as body
         from glossary_terms h
         where h.company_id = $1 and h.term is not null
     )
     select coalesce(o.kind, h.kind) as kind, coalesce(o.slug, h.slug) as slug,
            case when h.kind is null then 'new'
                 when h.origin = 'company' then 'edited'
                 when o.kind is null then 'gone'
                 else 'changed'
            end as state,
            h.body as yours, o.body as template
     from offered o
     full join held h on h.kind = o.kind and h.slug = o.slug
     where (h.kind is null and not exists (select from removals r where r.company_id = $1 and r.kind = o.kind and r.slug = o.slug))
        or (h.origin_version is not null and o.kind is null)
        or (h.origin_version < o.version and h.body <> o.body)
     order by 1, 2
     limit 1000"
);
