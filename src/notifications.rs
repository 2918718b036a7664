//! Notifications: who of the company is told of what, and how.
//!
//! It never tells anybody anything: it holds the settings for whoever does.

use http::{Response, StatusCode};
use serde::Deserialize;

use crate::error::Error;
use crate::ids::NotificationId;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, Role};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep::{self, Row};

/// `GET /v1/notifications`.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "notifications", NOTIFICATION_LIST).await
}

/// `PATCH /v1/notifications/{id}`: whether, and to whom.
///
/// # Errors
/// [`Error::NotFound`], or [`Error::Invalid`] for the body.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<NotificationId>()?;
    let new = call.json::<SettingChange>().await?;
    let row = Row { id, read: NOTIFICATION_READ, action: "notification.changed" };
    let fields = params![id, new.role.map(Role::as_str), new.enabled];
    row.written(&member, StatusCode::OK, vec![(NOTIFICATION_CHANGE, fields)]).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingChange {
    role: Option<Role>,
    enabled: Option<bool>,
}

const NOTIFICATION_LIST: TenantSql = crate::sql!(
    "select notification_id, event, channel, role, enabled
     from notification_settings
     where company_id = $1
     order by event, channel"
);

const NOTIFICATION_READ: TenantSql = crate::sql!(
    "select notification_id, event, channel, role, enabled
     from notification_settings
     where company_id = $1 and notification_id = $2"
);

const NOTIFICATION_CHANGE: TenantSql = crate::sql!(
    "update notification_settings
     set role = coalesce($3, role), enabled = coalesce($4, enabled)
     where company_id = $1 and notification_id = $2"
);
