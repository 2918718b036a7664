//! The statements of links: each that uses one checks and marks it in the same update.
//!
//! None of them gives a token's hash out.

use crate::tenant::TenantSql;

/// A link for somebody who works here: the one of its purpose that they have, made anew.
pub(super) const LINK_MAKE: TenantSql = crate::sql!(
    "insert into account_links (company_id, link_id, purpose, subject, user_id, token_hash, expires_at, email)
     select $1, $2, $3, m.user_id::text, m.user_id, $4, now() + make_interval(secs => $5), $7
     from memberships m
     where m.company_id = $1 and m.user_id = $6 and m.ended_at is null
     on conflict (company_id, purpose, subject) do update
     set token_hash = excluded.token_hash, email = excluded.email, created_at = now(), expires_at = excluded.expires_at,
         used_at = null"
);

/// The same for a new password, for whoever has this address.
pub(super) const RESET_MAKE: TenantSql = crate::sql!(
    "insert into account_links (company_id, link_id, purpose, subject, user_id, token_hash, expires_at)
     select $1, $2, 'reset', u.user_id::text, u.user_id, $3, now() + make_interval(secs => $4)
     from users u
     join memberships m on m.company_id = u.company_id and m.user_id = u.user_id and m.ended_at is null
     where u.company_id = $1 and u.email = $5
     on conflict (company_id, purpose, subject) do update
     set token_hash = excluded.token_hash, created_at = now(), expires_at = excluded.expires_at, used_at = null"
);

pub(super) const LINK_READ: TenantSql = crate::sql!(
    "select email
     from account_links
     where company_id = $1 and token_hash = $2 and purpose = $3 and used_at is null and expires_at > now()"
);

/// A new password. Whoever was signed in is not any more, and what else was open for the person ends.
pub(super) const RESET_USE: TenantSql = crate::sql!(
    "with link as (
         update account_links set used_at = now()
         where company_id = $1 and token_hash = $2 and purpose = 'reset' and used_at is null and expires_at > now()
         returning user_id),
     person as (
         update users u
         set password_hash = $3, email_verified_at = coalesce(u.email_verified_at, now())
         from link l
         join memberships m on m.company_id = $1 and m.user_id = l.user_id and m.ended_at is null
         where u.company_id = $1 and u.user_id = l.user_id
         returning u.user_id, u.email),
     signed_out as (
         update sessions s set revoked_at = now()
         from person p
         where s.company_id = $1 and s.user_id = p.user_id and s.revoked_at is null),
     closed as (
         delete from account_links k
         using person p
         where k.company_id = $1 and k.user_id = p.user_id and k.purpose <> 'reset'),
     noted as (
         insert into audit_events (company_id, event_id, actor, user_id, action)
         select $1, $4, 'member', p.user_id, 'password.reset' from person p)
     select email from person"
);

/// An address is confirmed or changed; a way to a new password by the one before ends.
pub(super) const EMAIL_USE: TenantSql = crate::sql!(
    "with link as (
         update account_links set used_at = now()
         where company_id = $1 and token_hash = $2 and purpose = 'verify' and used_at is null and expires_at > now()
         returning user_id, email),
     person as (
         update users u
         set email = l.email, email_verified_at = now()
         from link l
         join memberships m on m.company_id = $1 and m.user_id = l.user_id and m.ended_at is null
         where u.company_id = $1 and u.user_id = l.user_id
         returning u.user_id, u.email),
     closed as (
         delete from account_links k
         using person p
         where k.company_id = $1 and k.user_id = p.user_id and k.purpose = 'reset'),
     noted as (
         insert into audit_events (company_id, event_id, actor, user_id, action)
         select $1, $3, 'member', p.user_id, 'email.verified' from person p)
     select b.email as before, p.email
     from person p
     join users b on b.company_id = $1 and b.user_id = p.user_id"
);

/// An invited person begins to work here. Whoever left before begins anew: with a new password, signed in nowhere, and
/// without the second step they had. Whoever works here already is left alone.
pub(super) const INVITE_USE: TenantSql = crate::sql!(
    "with link as (
         update account_links set used_at = now()
         where company_id = $1 and token_hash = $2 and purpose = 'invite' and used_at is null and expires_at > now()
         returning email, role),
     person as (
         insert into users (company_id, user_id, email, name, password_hash, email_verified_at)
         select $1, $3, l.email, $4, $5, now() from link l
         on conflict (company_id, email) do update
         set name = excluded.name, password_hash = excluded.password_hash, email_verified_at = now(),
             sealed_totp_secret = null, totp_enabled_at = null
         where not exists (select from memberships m
                           where m.company_id = $1 and m.user_id = users.user_id and m.ended_at is null)
         returning user_id),
     signed_out as (
         update sessions s set revoked_at = now()
         from person p
         where s.company_id = $1 and s.user_id = p.user_id and s.revoked_at is null),
     member as (
         insert into memberships (company_id, user_id, role)
         select $1, p.user_id, l.role from person p cross join link l
         on conflict (company_id, user_id) do update set role = excluded.role, ended_at = null),
     noted as (
         insert into audit_events (company_id, event_id, actor, user_id, action)
         select $1, $6, 'member', p.user_id, 'invitation.accepted' from person p)
     select user_id from person"
);

/// Guards the batch: the link behind the page that asks for the code is used now, and it was this person's.
pub(crate) const CODE_USE: TenantSql = crate::sql!(
    "with link as (
         update account_links set used_at = now()
         where company_id = $1 and token_hash = $2 and purpose = 'code' and user_id = $3 and used_at is null
           and expires_at > now()
         returning 'used' as done)
     select coalesce((select done from link), refuse('BH411'))"
);

/// A session for whoever comes from the sign-up.
pub(crate) const ENTER_USE: TenantSql = crate::sql!(
    "with link as (
         update account_links set used_at = now()
         where company_id = $1 and token_hash = $2 and purpose = 'enter' and used_at is null and expires_at > now()
         returning user_id)
     insert into sessions (company_id, session_id, user_id, refresh_hash, expires_at)
     select $1, $3, l.user_id, $4, now() + make_interval(secs => $5) from link l
     returning user_id"
);

/// Removes what was used or has ended, a day later; to be run now and then, nothing depends on when.
pub(crate) const EXPIRED_LINKS_REMOVE: TenantSql = crate::sql!(
    "delete from account_links
     where company_id = $1 and purpose <> 'invite' and expires_at < now() - interval '1 day'"
);
