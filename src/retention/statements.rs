//! What retention asks of the database: each statement for one company, and each that takes rows takes the oldest and so many at
//! most.
//!
//! None of them touches the ledger.

use crate::tenant::TenantSql;

/// One row, also for a company that never set anything.
pub(crate) const RETENTION_READ: TenantSql = crate::sql!(
    "select r.conversations_days, r.leads_days, r.memories_days, r.drafts_days, r.deliveries_days, r.audit_days
     from companies c
     left join retention_settings r on r.company_id = c.company_id
     where c.company_id = $1"
);

/// Notes which windows change, from what and to what, before they do. `$4`: the new ones, as a JSON object.
pub(super) const RETENTION_NOTE: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, user_id, action, target)
     select $1, $2, 'member', $3, 'retention.changed',
            coalesce(string_agg(format('%s: %s to %s', replace(n.key, '_days', ''), coalesce(o.days, 'kept'), coalesce(n.value, 'kept')),
                                ', ' order by n.key), '')
     from jsonb_each_text($4::jsonb) n
     left join (select d.key, d.value as days
                from retention_settings r
                cross join lateral jsonb_each_text(to_jsonb(r)) d
                where r.company_id = $1) o on o.key = n.key
     where n.value is distinct from o.days"
);

pub(super) const RETENTION_SET: TenantSql = crate::sql!(
    "insert into retention_settings (company_id, conversations_days, leads_days, memories_days, drafts_days, deliveries_days, audit_days)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (company_id) do update
     set conversations_days = excluded.conversations_days, leads_days = excluded.leads_days, memories_days = excluded.memories_days,
         drafts_days = excluded.drafts_days, deliveries_days = excluded.deliveries_days, audit_days = excluded.audit_days,
         updated_at = now()"
);

/// `$2` of the conversations in which nothing was said within the window. What Redis has of them is forgotten by their ids.
pub(super) const CONVERSATIONS_OLD: TenantSql = crate::sql!(
    "select c.conversation_id
     from retention_settings r
     join conversations c on c.company_id = r.company_id and c.created_at < now() - make_interval(days => r.conversations_days)
     where r.company_id = $1
       and not exists (select from messages m
                       where m.company_id = c.company_id and m.conversation_id = c.conversation_id
                         and m.created_at >= now() - make_interval(days => r.conversations_days))
     order by c.created_at, c.conversation_id
     limit $2"
);

/// Drafts of a model's for questions that were asked in these conversations in vain, and in no other.
pub(super) const ERASED_DRAFTS: TenantSql = crate::sql!(
    "delete from knowledge_drafts d
     where d.company_id = $1 and d.source = 'model'
       and d.unanswered_id in (
               select text_digest(q.body)
               from messages q
               where q.company_id = $1 and q.conversation_id = any($2::uuid[]) and q.author = 'visitor')
       and not exists (select from messages a
                       join messages q on q.company_id = a.company_id and q.message_id = a.answers
                       where a.company_id = $1 and a.source = 'none' and text_digest(q.body) = d.unanswered_id
                         and a.conversation_id <> all($2::uuid[]))"
);

pub(super) const ERASED_NOTICES: TenantSql =
    crate::sql!("delete from notices where company_id = $1 and conversation_id = any($2::uuid[])");

/// What was told of them, or waits to be.
pub(super) const ERASED_DELIVERIES: TenantSql = crate::sql!(
    "delete from outbox where company_id = $1 and payload ->> 'conversation_id' = any($2::text[])"
);

/// Unless something was said in one since; and who its visitor was, as a company's own page said, where there is nothing else of
/// them.
pub(super) const CONVERSATIONS_ERASE: TenantSql = crate::sql!(
    "with erased as (
         delete from conversations c
         where c.company_id = $1 and c.conversation_id = any($2::uuid[])
           and not exists (select from messages m
                           where m.company_id = c.company_id and m.conversation_id = c.conversation_id
                             and m.created_at >= now() - make_interval(days => $3))
         returning c.company_id, c.conversation_id, c.visitor_id
     )
     delete from visitor_identities i
     using erased e
     where i.company_id = $1 and e.company_id = i.company_id and e.visitor_id = i.visitor_id
       and i.verified_at < now() - make_interval(days => $3)
       and not exists (select from conversations c
                       where c.company_id = i.company_id and c.visitor_id = i.visitor_id
                         and not exists (select from erased o
                                         where o.company_id = c.company_id and o.conversation_id = c.conversation_id))
       and not exists (select from contacts k where k.company_id = i.company_id and k.visitor_id = i.visitor_id)"
);

/// What goes of leads, memories, drafts, deliveries and the audit log, in this order. `$2`: days; `$3`: most rows.
pub(super) const STALE: [&[TenantSql]; 5] =
    [&[LEAD_DELIVERIES, LEAD_NOTICES, LEADS, CONTACTS], &[MEMORIES], &[DRAFTS], &[DELIVERIES], &[AUDIT]];

const LEAD_DELIVERIES: TenantSql = crate::sql!(
    "delete from outbox o
     where o.company_id = $1
       and o.delivery_id in (select s.delivery_id
                             from outbox s
                             where s.company_id = $1 and s.event = 'lead.new' and s.created_at < now() - make_interval(days => $2)
                             order by s.created_at
                             limit $3)"
);

const LEAD_NOTICES: TenantSql = crate::sql!(
    "delete from notices n
     where n.company_id = $1
       and n.notice_id in (select s.notice_id
                           from notices s
                           where s.company_id = $1 and s.kind = 'lead' and s.created_at < now() - make_interval(days => $2)
                           order by s.created_at
                           limit $3)"
);

const LEADS: TenantSql = crate::sql!(
    "delete from leads l
     where l.company_id = $1
       and l.lead_id in (select s.lead_id
                         from leads s
                         where s.company_id = $1 and s.created_at < now() - make_interval(days => $2)
                         order by s.created_at
                         limit $3)"
);

/// Who has no lead left.
const CONTACTS: TenantSql = crate::sql!(
    "delete from contacts k
     where k.company_id = $1
       and k.contact_id in (select s.contact_id
                            from contacts s
                            where s.company_id = $1 and s.created_at < now() - make_interval(days => $2)
                              and not exists (select from leads l where l.company_id = s.company_id and l.contact_id = s.contact_id)
                            order by s.created_at
                            limit $3)"
);

const MEMORIES: TenantSql = crate::sql!(
    "delete from memories m
     where m.company_id = $1
       and m.memory_id in (select s.memory_id
                           from memories s
                           where s.company_id = $1 and s.created_at < now() - make_interval(days => $2)
                           order by s.created_at
                           limit $3)"
);

const DRAFTS: TenantSql = crate::sql!(
    "delete from knowledge_drafts d
     where d.company_id = $1
       and d.draft_id in (select s.draft_id
                          from knowledge_drafts s
                          where s.company_id = $1 and s.source = 'model' and s.created_at < now() - make_interval(days => $2)
                          order by s.created_at
                          limit $3)"
);

/// What waits goes on waiting.
const DELIVERIES: TenantSql = crate::sql!(
    "delete from outbox o
     where o.company_id = $1
       and o.delivery_id in (select s.delivery_id
                             from outbox s
                             where s.company_id = $1 and coalesce(s.delivered_at, s.dead_at) < now() - make_interval(days => $2)
                             order by s.created_at
                             limit $3)"
);

/// The database refuses to let any other row go, whatever `$2` is.
const AUDIT: TenantSql = crate::sql!(
    "delete from audit_events e
     where e.company_id = $1
       and e.event_id in (select s.event_id
                          from audit_events s
                          where s.company_id = $1 and s.created_at < now() - make_interval(days => $2)
                          order by s.created_at
                          limit $3)"
);
