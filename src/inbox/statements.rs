//! The inbox's statements.
//!
//! None of them changes or removes what was said.

use crate::tenant::TenantSql;

/// One conversation (`$2`), or those before one (`$3`) in which somebody said a text (`$4`), in a state (`$5`), with a label
/// (`$6`); newest first, one more than a page has, without trials. It waits when a person was asked for, or took over and has not answered.
pub(super) const CONVERSATION_LIST: TenantSql = crate::sql!(
    "with worded as materialized (
         select b.name, b.position, string_agg('(' || q.query::text || ')', ' | ')::tsquery as query
         from labels b
         cross join lateral (
             select phraseto_tsquery('english', w) as query from regexp_split_to_table(b.words, ',') w) q
         where b.company_id = $1 and numnode(q.query) > 0
         group by b.label_id, b.name, b.position
     ),
     listed as (
         select c.conversation_id, a.name as agent, c.visitor_id, k.name as visitor, u.name as taken_over_by, c.created_at,
                f.body as question, l.body as last, l.author as last_author, l.created_at as last_at, n.messages,
                case when c.closed_at >= n.asked_at then 'closed'
                     when c.taken_over_at is not null and l.author <> 'visitor' then 'person'
                     when c.taken_over_at is not null or c.handed_over_at is not null then 'waiting'
                     else 'open'
                end as state,
                coalesce((select jsonb_agg(w.name order by w.position, w.name)
                          from worded w, to_tsvector('english', n.said) said where said @@ w.query), '[]') as labels
         from conversations c
         join agents a on a.company_id = c.company_id and a.agent_id = c.agent_id
         left join contacts k on k.company_id = c.company_id and k.visitor_id = c.visitor_id
         left join users u on u.company_id = c.company_id and u.user_id = c.taken_over_by
         cross join lateral (
             select m.body from messages m
             where m.company_id = c.company_id and m.conversation_id = c.conversation_id
             order by m.message_id limit 1) f
         cross join lateral (
             select m.body, m.author, m.created_at from messages m
             where m.company_id = c.company_id and m.conversation_id = c.conversation_id
             order by m.message_id desc limit 1) l
         cross join lateral (
             select count(*) as messages, max(m.created_at) filter (where m.author = 'visitor') as asked_at,
                    left(string_agg(m.body, ' ') filter (where m.author = 'visitor'), 20000) as said
             from messages m
             where m.company_id = c.company_id and m.conversation_id = c.conversation_id) n
         where c.company_id = $1 and ($2::uuid is null or c.conversation_id = $2) and ($2::uuid is not null or not c.trial) and ($3::uuid is null or c.conversation_id < $3)
           and ($4::text is null or exists (
               select from messages m
               where m.company_id = $1 and m.conversation_id = c.conversation_id
                 and position(lower($4) in lower(m.body)) > 0))
     )
     select conversation_id, agent, visitor_id, visitor, state, taken_over_by, labels, question, last, last_author, messages, created_at,
            last_at
     from listed
     where ($5::text is null or state = $5) and ($6::text is null or labels ? $6)
     order by conversation_id desc
     limit 31"
);

pub(super) const MESSAGE_LIST: TenantSql = crate::sql!(
    "select m.message_id, m.author, u.name as person, m.body, m.complete, m.source, m.citations, m.created_at
     from messages m
     left join users u on u.company_id = m.company_id and u.user_id = m.user_id
     where m.company_id = $1 and m.conversation_id = $2
     order by m.message_id
     limit 1000"
);

pub(super) const TOOL_LIST: TenantSql = crate::sql!(
    "select t.message_id, t.tool, t.arguments, t.outcome, t.done
     from tool_calls t
     join messages m on m.company_id = t.company_id and m.message_id = t.message_id
     where t.company_id = $1 and m.conversation_id = $2
     order by t.message_id, t.call
     limit 1000"
);

pub(super) const CALL_LIST: TenantSql = crate::sql!(
    "select l.created_at, p.name as provider, l.model, l.routing, l.input_tokens, l.output_tokens, l.cost_microusd
     from usage_ledger l
     left join providers p on p.company_id = l.company_id and p.provider_id = l.provider_id
     where l.company_id = $1 and l.conversation_id = $2
     order by l.created_at, l.reservation_id, l.call
     limit 1000"
);

pub(super) const NOTE_LIST: TenantSql = crate::sql!(
    "select n.note_id, u.name as person, n.body, n.created_at
     from conversation_notes n
     join users u on u.company_id = n.company_id and u.user_id = n.user_id
     where n.company_id = $1 and n.conversation_id = $2
     order by n.note_id
     limit 500"
);

/// `$4`: taken over, or handed back; `$5`: closed, or opened again; null leaves it.
pub(super) const CONVERSATION_CHANGE: TenantSql = crate::sql!(
    "update conversations
     set taken_over_by = case when $4::boolean is false or $5::boolean then null when $4 then $3::uuid else taken_over_by end,
         taken_over_at = case when $4 is false or $5 then null when $4 then now() else taken_over_at end,
         handed_over_at = case when $4 is false or $5 then null else handed_over_at end,
         closed_at = case when $5 then now() when $5 is false or $4 then null else closed_at end
     where company_id = $1 and conversation_id = $2"
);

/// Whoever answers has taken over; a colleague who has keeps it.
pub(super) const CONVERSATION_TAKE: TenantSql = crate::sql!(
    "update conversations
     set taken_over_by = coalesce(taken_over_by, $3::uuid), taken_over_at = coalesce(taken_over_at, now()), closed_at = null
     where company_id = $1 and conversation_id = $2"
);

pub(super) const REPLY_ADD: TenantSql = crate::sql!(
    "insert into messages (company_id, message_id, conversation_id, author, body, user_id)
     select $1, $2, c.conversation_id, 'member', $4, $5
     from conversations c
     where c.company_id = $1 and c.conversation_id = $3"
);

pub(super) const NOTE_ADD: TenantSql = crate::sql!(
    "insert into conversation_notes (company_id, note_id, conversation_id, user_id, body)
     select $1, $2, c.conversation_id, $4, $5
     from conversations c
     where c.company_id = $1 and c.conversation_id = $3"
);
