//! What a company starts with: each kind of row is one `insert … select` from the templates.
//!
//! It never holds a text of a template's, nor decides what a company gets: the rows do.

use crate::tenant::TenantSql;

/// What is copied from templates, in the order of their foreign keys. `$2` is the industry, `$3` the company's name,
/// which stands wherever a template says `{{company}}`.
pub const COPIES: &[TenantSql] = &[
    crate::sql!(
        "insert into gpt_contexts (company_id, context_id, kind, body, position, origin, origin_version)
         select $1, gen_random_uuid(), c.kind, replace(c.body, '{{company}}', $3), c.position, 'template', t.version
         from template_contexts c
         join templates t on t.slug = c.template
         where c.template = $2"
    ),
    crate::sql!(
        "insert into knowledge_categories (company_id, category_id, slug, name, position)
         select $1, gen_random_uuid(), c.slug, c.name, c.position
         from template_categories c
         where c.template = $2 and $3 <> ''"
    ),
    crate::sql!(
        "insert into knowledge_entries (company_id, entry_id, category_id, slug, question, answer, keywords, to_confirm,
                                        origin, origin_version, position, prepared)
         select $1, gen_random_uuid(), c.category_id, e.slug, replace(e.question, '{{company}}', $3),
                replace(e.answer, '{{company}}', $3), e.keywords, e.to_confirm, 'template', t.version, e.position, e.search
         from template_entries e
         join templates t on t.slug = e.template
         join knowledge_categories c on c.company_id = $1 and c.slug = e.category
         where e.template = $2"
    ),
    crate::sql!(
        "insert into agents (company_id, agent_id, slug, name, role, greeting, instructions, tier, is_default, position)
         select $1, gen_random_uuid(), a.slug, a.name, a.role,
                replace(coalesce(s.greeting, a.greeting), '{{company}}', $3),
                replace(concat_ws(chr(10) || chr(10), a.instructions, s.instructions), '{{company}}', $3), a.tier, a.is_default, a.position
         from template_agents a
         join templates t on t.slug = a.template and (t.kind = 'company' or t.slug = $2)
         left join template_specialisations s on s.template = $2 and s.agent = a.slug"
    ),
    crate::sql!(
        "insert into agent_knowledge_scopes (company_id, agent_id, category_id)
         select $1, a.agent_id, c.category_id
         from template_agent_scopes s
         join templates t on t.slug = s.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''
         join agents a on a.company_id = $1 and a.slug = s.agent
         join knowledge_categories c on c.company_id = $1 and c.slug = s.category
         group by a.agent_id, c.category_id"
    ),
    crate::sql!(
        "insert into agent_tools (company_id, agent_id, tool)
         select $1, a.agent_id, o.tool
         from template_agent_tools o
         join templates t on t.slug = o.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''
         join agents a on a.company_id = $1 and a.slug = o.agent"
    ),
    crate::sql!(
        "insert into agent_starters (company_id, agent_id, position, body)
         select $1, a.agent_id, o.position, replace(o.body, '{{company}}', $3)
         from template_agent_starters o
         join templates t on t.slug = o.template and (t.kind = 'company' or t.slug = $2)
         join agents a on a.company_id = $1 and a.slug = o.agent"
    ),
    crate::sql!(
        "insert into agent_handoffs (company_id, agent_id, to_agent_id, reason)
         select $1, a.agent_id, b.agent_id, o.reason
         from template_agent_handoffs o
         join templates t on t.slug = o.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''
         join agents a on a.company_id = $1 and a.slug = o.agent
         join agents b on b.company_id = $1 and b.slug = o.to_agent"
    ),
    crate::sql!(
        "insert into site_pages (company_id, page_id, slug, title, body, position, origin, origin_version)
         select $1, gen_random_uuid(), p.slug, replace(p.title, '{{company}}', $3), replace(p.body, '{{company}}', $3),
                p.position + case t.kind when 'company' then 100 else 0 end, 'template', t.version
         from template_pages p
         join templates t on t.slug = p.template and (t.kind = 'company' or t.slug = $2)"
    ),
    crate::sql!(
        "insert into services (company_id, service_id, slug, name, description, price_from_cents, price_to_cents, unit,
                               duration_minutes, includes, position, origin, origin_version)
         select $1, gen_random_uuid(), s.slug, s.name, replace(s.description, '{{company}}', $3), s.price_from_cents,
                s.price_to_cents, s.unit, s.duration_minutes, s.includes, s.position, 'template', t.version
         from template_services s
         join templates t on t.slug = s.template
         where s.template = $2"
    ),
    // What takes a day or longer is arranged, not booked.
    crate::sql!(
        "insert into appointment_types (company_id, appointment_type_id, service_id, name, duration_minutes, buffer_minutes,
                                        notice_hours, bookable)
         select $1, gen_random_uuid(), s.service_id, s.name, s.duration_minutes,
                case when s.duration_minutes <= 60 then 15 else 30 end,
                case when s.duration_minutes <= 120 then 4 else 24 end, s.duration_minutes <= 480
         from services s
         where s.company_id = $1 and $2 <> '' and $3 <> ''"
    ),
    crate::sql!(
        "insert into checklist_items (company_id, item_id, slug, kind, title, help, position)
         select $1, gen_random_uuid(), i.slug, i.kind, i.title, i.help, i.position
         from (select c.slug, c.kind, c.title, replace(c.help, '{{company}}', $3) as help, c.position
               from template_checklist c
               join templates t on t.slug = c.template and (t.kind = 'company' or t.slug = $2)
               union all
               select 'price-' || s.slug, 'price', 'Price of ' || s.name, s.unit, 1000 + s.position
               from services s
               where s.company_id = $1) i"
    ),
    crate::sql!(
        "insert into glossary_terms (company_id, term_id, term, meaning, synonyms, origin, origin_version)
         select $1, gen_random_uuid(), g.term, replace(g.meaning, '{{company}}', $3), g.synonyms, 'template', t.version
         from template_terms g
         join templates t on t.slug = g.template
         where g.template = $2"
    ),
    crate::sql!(
        "insert into search_synonyms (company_id, term_id, phrase, lexemes)
         select $1, g.term_id, p.phrase, tsvector_to_array(to_tsvector('english', p.phrase))
         from glossary_terms g
         cross join lateral (
             select distinct btrim(word) as phrase
             from regexp_split_to_table(lower(g.term || ',' || g.synonyms), ',') word
             where btrim(word) <> '') p
         where g.company_id = $1 and $2 <> '' and $3 <> ''"
    ),
    crate::sql!(
        "insert into opening_hours (company_id, weekday, opens, closes)
         select $1, h.weekday, h.opens, h.closes
         from template_hours h
         where h.template = $2 and $3 <> ''"
    ),
    crate::sql!(
        "insert into closures (company_id, closure_id, day, name)
         select $1, gen_random_uuid(), next_holiday(current_date, c.month, c.day, c.weekday, c.nth), c.name
         from template_closures c
         join templates t on t.slug = c.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''
         on conflict (company_id, day) do nothing"
    ),
    crate::sql!(
        "insert into lead_questions (company_id, question_id, question, position)
         select $1, gen_random_uuid(), replace(q.question, '{{company}}', $3), q.position
         from template_lead_questions q
         where q.template = $2"
    ),
    crate::sql!(
        "insert into quick_replies (company_id, reply_id, body, position)
         select $1, gen_random_uuid(), replace(r.body, '{{company}}', $3), r.position
         from template_quick_replies r
         where r.template = $2"
    ),
    crate::sql!(
        "insert into pipeline_stages (company_id, stage_id, slug, name, outcome, stale_days, position)
         select $1, gen_random_uuid(), s.slug, s.name, s.outcome, s.stale_days, s.position
         from template_stages s
         join templates t on t.slug = s.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''"
    ),
    crate::sql!(
        "insert into labels (company_id, label_id, name, color, words, position)
         select $1, gen_random_uuid(), l.name, l.color, l.words, l.position
         from template_labels l
         join templates t on t.slug = l.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''"
    ),
    crate::sql!(
        "insert into message_templates (company_id, message_template_id, slug, channel, name, subject, body, origin,
                                        origin_version, position)
         select $1, gen_random_uuid(), m.slug, m.channel, m.name, replace(m.subject, '{{company}}', $3),
                replace(m.body, '{{company}}', $3), 'template', t.version, m.position
         from template_messages m
         join templates t on t.slug = m.template and (t.kind = 'company' or t.slug = $2)"
    ),
    crate::sql!(
        "insert into follow_up_steps (company_id, step_id, sequence, after_hours, message)
         select $1, gen_random_uuid(), f.sequence, f.after_hours, f.message
         from template_follow_ups f
         join templates t on t.slug = f.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''"
    ),
    crate::sql!(
        "insert into notification_settings (company_id, notification_id, event, channel, role, enabled)
         select $1, gen_random_uuid(), n.event, n.channel, n.role, n.enabled
         from template_notifications n
         join templates t on t.slug = n.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''"
    ),
    crate::sql!(
        "insert into role_permissions (company_id, role, permission, allowed)
         select $1, p.role, p.permission, p.allowed
         from template_permissions p
         join templates t on t.slug = p.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''"
    ),
    crate::sql!(
        "insert into payment_methods (company_id, method_id, name, accepted, note, position)
         select $1, gen_random_uuid(), m.name, m.accepted, m.note, m.position
         from template_payment_methods m
         join templates t on t.slug = m.template and (t.kind = 'company' or t.slug = $2) and $3 <> ''"
    ),
    crate::sql!(
        "insert into widget_settings (company_id, greeting)
         select $1, ''
         from templates t
         where t.slug = $2 and $3 <> ''"
    ),
];
