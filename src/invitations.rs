//! Invitations: how somebody comes to work at a company.
//!
//! It never lets anybody invite to a higher role than their own, and never shows a link to anybody but the invited person.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::config::INVITE_S;
use crate::error::Error;
use crate::idempotency::once;
use crate::ids::LinkId;
use crate::links::Token;
use crate::mail::{self, Letter};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, Role, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, note};

/// Most invitations that wait at a time.
const WAITING: u32 = 100;

/// `GET /v1/invitations`: those that wait to be accepted, newest first.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "invitations", INVITATION_LIST).await
}

/// `POST /v1/invitations`: mails somebody a link with which they begin to work here. Who was invited already is invited anew, and
/// the link before ends.
///
/// # Errors
/// [`Error::Invalid`] for the address, [`Error::Forbidden`] for a role above one's own, [`Error::Conflict`] when they work here,
/// when too many invitations wait, or when no mail can be sent from here; [`Error::TooMany`] after too many mails.
pub async fn add(member: Member, call: Call) -> Result<Response<Body>, Error> {
    once(&member.scope, member.user, &call, add_once(&member, &call)).await
}

async fn add_once(member: &Member, call: &Call) -> Result<Response<Body>, Error> {
    let new = call.json::<NewInvitation>().await?;
    mail::possible(&member.scope)?;
    let email = mail::address(&new.email)?;
    let token = Token::new(member.scope.platform());
    let id = LinkId::new(member.scope.platform());
    let mut batch = member.scope.batch_once();
    let fields = params![id, &email, new.role.as_str(), &token.hash()[..], INVITE_S, member.user, WAITING];
    let added = batch.run(INVITATION_ADD, fields);
    note(member, &mut batch, "invitation.sent", &new.role.as_str());
    let shown = batch.add::<Invitation>(INVITATION_OF, params![&email]);
    let by = batch.add::<Named>(NAME_READ, params![member.user]);
    let mut rows = batch.send().await?;
    if rows.count(added)? == 0 {
        return Err(Error::Conflict(format!(
            "Somebody with this address works here already, or {WAITING} invitations wait. Look at the team's page."
        )));
    }
    let invitation = rows.one(shown)?;
    deliver(member, &invitation, &rows.one(by)?.name, &token).await?;
    answer(StatusCode::CREATED, &invitation)
}

/// `POST /v1/invitations/{id}/resend`: mails it again, with a new link; the one before ends.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Conflict`] when no mail can be sent from here, [`Error::TooMany`] after too many mails.
pub async fn resend(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<LinkId>()?;
    let token = Token::new(member.scope.platform());
    let mut batch = member.scope.batch();
    let again = batch.add::<Invitation>(INVITATION_RENEW, params![id, &token.hash()[..], INVITE_S]);
    note(&member, &mut batch, "invitation.sent", &id);
    let by = batch.add::<Named>(NAME_READ, params![member.user]);
    let mut rows = batch.send().await?;
    let invitation = rows.one(again)?;
    deliver(&member, &invitation, &rows.one(by)?.name, &token).await?;
    answer(StatusCode::OK, &invitation)
}

/// `DELETE /v1/invitations/{id}`: takes it back; its link is good no more.
///
/// # Errors
/// [`Error::NotFound`], also when it was accepted.
pub async fn revoke(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<LinkId>()?;
    upkeep::removed(&member, "invitation.revoked", &id, vec![(INVITATION_REMOVE, params![id])]).await
}

async fn deliver(member: &Member, invitation: &Invitation, by: &str, token: &Token) -> Result<(), Error> {
    let url = token.url(&member.scope, "invitation");
    let company = member.scope.company_name();
    mail::send(&member.scope, &Letter::invite(company, &invitation.email, by, &invitation.role, &url)).await
}

#[derive(Serialize, Deserialize)]
struct Invitation {
    link_id: LinkId,
    email: String,
    role: String,
    created_at: String,
    expires_at: String,
    /// Whether its link has ended: it can be sent again.
    ended: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewInvitation {
    email: String,
    role: Role,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

const INVITATION_LIST: TenantSql = crate::sql!(
    "select link_id, email, role, created_at, expires_at, expires_at <= now() as ended
     from account_links
     where company_id = $1 and purpose = 'invite' and used_at is null
     order by created_at desc, link_id
     limit 500"
);

const INVITATION_OF: TenantSql = crate::sql!(
    "select link_id, email, role, created_at, expires_at, expires_at <= now() as ended
     from account_links
     where company_id = $1 and purpose = 'invite' and subject = $2 and used_at is null"
);

/// Only an owner makes owners, and nobody is invited who works here.
const INVITATION_ADD: TenantSql = crate::sql!(
    "insert into account_links (company_id, link_id, purpose, subject, email, role, token_hash, expires_at)
     select $1, $2, 'invite', $3, $3, case when $4 <> 'owner' or m.role = 'owner' then $4 else refuse('BH403') end, $5,
            now() + make_interval(secs => $6)
     from memberships m
     where m.company_id = $1 and m.user_id = $7
       and not exists (select from users u
                       join memberships o on o.company_id = u.company_id and o.user_id = u.user_id and o.ended_at is null
                       where u.company_id = $1 and u.email = $3)
       and (select count(*) from account_links k
            where k.company_id = $1 and k.purpose = 'invite' and k.used_at is null and k.subject <> $3) < $8
     on conflict (company_id, purpose, subject) do update
     set role = excluded.role, token_hash = excluded.token_hash, created_at = now(), expires_at = excluded.expires_at,
         used_at = null"
);

const INVITATION_RENEW: TenantSql = crate::sql!(
    "update account_links
     set token_hash = $3, created_at = now(), expires_at = now() + make_interval(secs => $4)
     where company_id = $1 and link_id = $2 and purpose = 'invite' and used_at is null
     returning link_id, email, role, created_at, expires_at, false as ended"
);

const INVITATION_REMOVE: TenantSql = crate::sql!(
    "delete from account_links where company_id = $1 and link_id = $2 and purpose = 'invite' and used_at is null"
);

const NAME_READ: TenantSql = crate::sql!("select name from users where company_id = $1 and user_id = $2");
