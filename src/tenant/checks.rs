//! What each batch asks first: whether whoever sends it may still do so. What does not hold rolls the whole batch back.
//!
//! It never answers by itself: a check is a statement of the batch that it guards.

use super::postgres::Batch;
use super::{Actor, TenantScope, TenantSql};
use crate::ids::AuditId;
use crate::knockout::{Wall, stands};
use crate::params;

/// Begins a batch with the checks of who sends it.
pub(super) fn begin(scope: &TenantScope, batch: &mut Batch<'_>) {
    match &scope.actor {
        Actor::Member { user, session, roles, permission } if stands(Wall::Membership) => {
            batch.run(MEMBER_CHECK, params![*session, *user, *roles, *permission]);
        }
        Actor::Support { access, asked } => {
            if stands(Wall::Membership) {
                batch.run(SUPPORT_CHECK, params![*access]);
            }
            if !scope.let_in.get() {
                let event = AuditId::new(&*scope.platform);
                batch.run(SUPPORT_NOTE, params![event, *access, &**asked]);
            }
        }
        Actor::Program { key, hash, scope: wanted } if !scope.let_in.get() => {
            batch.run(PROGRAM_CHECK, params![*key, &hash.0[..], wanted.as_str()]);
            batch.run(PROGRAM_USED, params![*key]);
        }
        _ => {}
    }
}

/// Layer 1's backstop: membership and session still stand, or the whole batch rolls back. A permission can only take away
/// what the role has.
const MEMBER_CHECK: TenantSql = crate::sql!(
    "select coalesce(
        (select case when m.role = any($4)
                      and not exists (select from role_permissions p
                                      where p.company_id = m.company_id and p.role = m.role and p.permission = $5 and not p.allowed)
                     then m.role else refuse('BH403') end
         from sessions s
         join memberships m on m.company_id = s.company_id and m.user_id = s.user_id
         where s.company_id = $1 and s.session_id = $2 and s.user_id = $3
           and s.revoked_at is null and s.expires_at > now() and m.ended_at is null),
        refuse('BH401'))"
);

/// The same for the operator's support: its access is open, and the company lets support in.
const SUPPORT_CHECK: TenantSql = crate::sql!(
    "select coalesce(
        (select 'support'
         from support_accesses a
         join companies c on c.company_id = a.company_id and c.support_allowed
         where a.company_id = $1 and a.access_id = $2 and a.ended_at is null and a.ends_at > now()),
        refuse('BH401'))"
);

/// Whatever support asks for is noted, once a request, in the transaction that does it.
const SUPPORT_NOTE: TenantSql = crate::sql!(
    "insert into audit_events (company_id, event_id, actor, user_id, action, target)
     values ($1, $2, 'support', $3, 'support.asked', left($4, 200))"
);

/// The same for a company's own program: its key still stands and may be used for this.
const PROGRAM_CHECK: TenantSql = crate::sql!(
    "select coalesce(
        (select case when $4 = any(k.scopes) then $4 else refuse('BH403') end
         from api_keys k
         where k.company_id = $1 and k.api_key_id = $2 and k.key_hash = $3
           and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())),
        refuse('BH401'))"
);

/// Once an hour is enough to see whether a key is still in use, and spares a write with each request.
const PROGRAM_USED: TenantSql = crate::sql!(
    "update api_keys set last_used_at = now()
     where company_id = $1 and api_key_id = $2
       and (last_used_at is null or last_used_at < now() - interval '1 hour')"
);
