//! What is told: one statement for each kind of event, to be run in the batch that does what it tells of.
//!
//! None of them tells of a trial, and none gives more than what a person of the company needs to act on it. Each brings a row for
//! each delivery that it made.

use crate::tenant::TenantSql;

/// A lead, once it was added: `$2` the event, `$3` the lead.
pub(crate) const LEAD_TELL: TenantSql = crate::sql!(
    "with told as materialized (
         select jsonb_build_object(
                    'lead_id', l.lead_id, 'name', k.name, 'email', k.email, 'phone', k.phone, 'message', l.message,
                    'conversation_id', l.conversation_id) as facts
         from leads l
         join contacts k on k.company_id = l.company_id and k.contact_id = l.contact_id
         left join conversations c on c.company_id = l.company_id and c.conversation_id = l.conversation_id
         where l.company_id = $1 and l.lead_id = $3 and c.trial is not true
     )
     select t as delivery_id from told cross join lateral tell($1, $2, 'lead.new', told.facts) t"
);

/// That a visitor asks for a person, before the conversation is handed over, so that asking twice tells nobody twice: `$2` the
/// event, `$3` the conversation, `$4` the visitor, `$5` why.
pub(crate) const HAND_OVER_TELL: TenantSql = crate::sql!(
    "with told as materialized (
         select jsonb_build_object('conversation_id', c.conversation_id, 'visitor', k.name, 'reason', $5::text) as facts
         from conversations c
         left join contacts k on k.company_id = c.company_id and k.visitor_id = c.visitor_id
         where c.company_id = $1 and c.conversation_id = $3 and c.visitor_id = $4 and c.handed_over_at is null and not c.trial
         for update of c
     )
     select t as delivery_id from told cross join lateral tell($1, $2, 'conversation.handed_over', told.facts) t"
);

/// That a conversation is closed, before it is: `$2` the event, `$3` the conversation. One that is closed already is told of
/// again only if its visitor has written since.
pub(crate) const CLOSED_TELL: TenantSql = crate::sql!(
    "with told as materialized (
         select jsonb_build_object('conversation_id', c.conversation_id, 'visitor', k.name) as facts
         from conversations c
         left join contacts k on k.company_id = c.company_id and k.visitor_id = c.visitor_id
         where c.company_id = $1 and c.conversation_id = $3 and not c.trial
           and (c.closed_at is null
                or exists (select from messages m
                           where m.company_id = c.company_id and m.conversation_id = c.conversation_id
                             and m.author = 'visitor' and m.created_at > c.closed_at))
         for update of c
     )
     select t as delivery_id from told cross join lateral tell($1, $2, 'conversation.closed', told.facts) t"
);
