//! Roles: what members and administrators may do in this company, within what each route allows.
//!
//! It never gives anybody more than the route does: what stands here can only take away.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use serde_json::json;

use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, Role, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;
use crate::upkeep;

/// What a signed-in person's request needs besides its role; empty where the role is enough.
#[must_use]
pub fn permission(method: &str, path: &str) -> &'static str {
    let area = path.strip_prefix("/v1/").or_else(|| path.strip_prefix("/dashboard/"));
    let area = area.and_then(|rest| rest.split('/').next()).unwrap_or("");
    AREAS
        .iter()
        .find(|(name, ..)| *name == area)
        .map_or("", |(_, read, write)| if method == "GET" { read } else { write })
}

/// Whether the operator's support may call a route of the dashboard: it reads and helps, and what is secret, of people or of
/// money is not its. No company can widen that.
#[must_use]
pub fn support_may(method: &str, path: &str) -> bool {
    match permission(method, path) {
        "" => SUPPORT_FREE.contains(&path),
        needed => support_has(needed),
    }
}

/// Whether the operator's support has a permission.
#[must_use]
pub fn support_has(permission: &str) -> bool {
    SUPPORT.contains(&permission)
}

/// Whether there is such a permission.
#[must_use]
pub fn is_permission(permission: &str) -> bool {
    AREAS.iter().any(|(_, read, write)| [*read, *write].contains(&permission))
}

/// `GET /v1/roles`: each role's permissions.
///
/// # Errors
/// As every batch.
pub async fn list(member: Member) -> Result<Response<Body>, Error> {
    upkeep::list(&member, "permissions", PERMISSION_LIST).await
}

/// `PATCH /v1/roles`: gives a role a permission, or takes it away; the next request of such a person keeps to it.
///
/// # Errors
/// [`Error::Invalid`] for the body or a permission that there is not.
pub async fn change(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<Permission>().await?;
    if new.role == Role::Owner {
        return Err(Error::Invalid("An owner may do everything. Choose member or admin.".into()));
    }
    if !is_permission(&new.permission) {
        return Err(Error::Invalid(format!(
            "There is no permission {:?}. GET /v1/roles lists them.",
            new.permission
        )));
    }
    let mut batch = member.scope.batch();
    batch.run(PERMISSION_SET, params![new.role.as_str(), &new.permission, new.allowed]);
    upkeep::note(&member, &mut batch, "role.changed", &format!("{}: {}", new.role.as_str(), new.permission));
    let permissions = batch.add::<Permission>(PERMISSION_LIST, params![]);
    let mut rows = batch.send().await?;
    answer(StatusCode::OK, &json!({ "permissions": rows.all(permissions)? }))
}

/// First part of a route's path after /v1/, and what reading and writing there needs.
const AREAS: &[(&str, &str, &str)] = &[
    ("agents", "agents.read", "agents.write"),
    ("api-keys", "programs.read", "programs.write"),
    ("appointment-types", "appointments.read", "appointments.write"),
    ("audit", "audit.read", "audit.write"),
    ("budget", "budget.read", "budget.write"),
    ("checklist", "checklist.read", "checklist.write"),
    ("closures", "hours.read", "hours.write"),
    ("contacts", "leads.read", "leads.write"),
    ("contexts", "contexts.read", "contexts.write"),
    ("conversations", "conversations.read", "conversations.write"),
    ("deliveries", "programs.read", "programs.write"),
    ("domains", "domains.read", "domains.write"),
    ("follow-ups", "follow-ups.read", "follow-ups.write"),
    ("hours", "hours.read", "hours.write"),
    ("inbox", "conversations.read", "conversations.write"),
    ("invitations", "team.read", "team.write"),
    ("knowledge", "knowledge.read", "knowledge.write"),
    ("labels", "labels.read", "labels.write"),
    ("lead-questions", "questions.read", "questions.write"),
    ("leads", "leads.read", "leads.write"),
    ("notices", "notices.read", "notices.write"),
    ("notifications", "notifications.read", "notifications.write"),
    ("pages", "pages.read", "pages.write"),
    ("payment-methods", "payments.read", "payments.write"),
    ("plan", "budget.read", "budget.write"),
    ("pipeline", "pipeline.read", "pipeline.write"),
    ("providers", "providers.read", "providers.write"),
    ("quick-replies", "questions.read", "questions.write"),
    ("replies", "replies.read", "replies.write"),
    ("retention", "retention.read", "retention.write"),
    ("roles", "roles.read", "roles.write"),
    ("services", "services.read", "services.write"),
    ("site", "pages.read", "pages.write"),
    ("site-preview", "pages.read", "pages.write"),
    ("support", "support.read", "support.write"),
    ("team", "team.read", "team.write"),
    ("templates", "templates.read", "templates.write"),
    ("terms", "terms.read", "terms.write"),
    ("unanswered", "conversations.read", "knowledge.write"),
    ("usage", "budget.read", "budget.write"),
    ("visitors", "visitors.read", "visitors.write"),
    ("webhooks", "programs.read", "programs.write"),
    ("widget-preview", "widget.read", "widget.write"),
    ("widget-settings", "widget.read", "widget.write"),
];

/// All that support may do. What is not here it may not: keys, people, money, leads, visitors' data as a whole, programs, the
/// audit log, and whether support may enter.
const SUPPORT: &[&str] = &[
    "agents.read",
    "agents.write",
    "appointments.read",
    "checklist.read",
    "contexts.read",
    "contexts.write",
    "conversations.read",
    "follow-ups.read",
    "hours.read",
    "hours.write",
    "knowledge.read",
    "knowledge.write",
    "labels.read",
    "notices.read",
    "pages.read",
    "pages.write",
    "payments.read",
    "pipeline.read",
    "questions.read",
    "questions.write",
    "replies.read",
    "services.read",
    "templates.read",
    "templates.write",
    "terms.read",
    "terms.write",
    "widget.read",
];

/// Where no permission is needed and support may be all the same.
const SUPPORT_FREE: &[&str] = &["/dashboard", "/dashboard/sign-out", "/dashboard/office"];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permission {
    role: Role,
    permission: String,
    allowed: bool,
}

const PERMISSION_LIST: TenantSql = crate::sql!(
    "select role, permission, allowed from role_permissions where company_id = $1 order by role desc, permission"
);

const PERMISSION_SET: TenantSql = crate::sql!(
    "insert into role_permissions (company_id, role, permission, allowed) values ($1, $2, $3, $4)
     on conflict (company_id, role, permission) do update set allowed = excluded.allowed"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{ROUTES, Run};

    #[test]
    fn every_route_of_a_member_needs_a_permission_or_says_why_not() {
        // Signing out, here or elsewhere, and knowing where one is are everybody's; the company itself only its owner changes.
        // The overview leaves out what somebody may not read.
        let free = [
            "/v1/logout",
            "/v1/company",
            "/v1/company/deletion",
            "/dashboard/company",
            "/dashboard/company/deletion",
            "/dashboard/company/deletion/remove",
            "/v1/sessions",
            "/v1/sessions/{id}",
            "/v1/account",
            "/v1/account/verification",
            "/v1/account/email",
            "/v1/account/totp",
            "/v1/account/totp/confirm",
            "/v1/account/totp/end",
            "/dashboard/account/verification",
            "/dashboard/account/email",
            "/dashboard/account/totp",
            "/dashboard/account/totp/confirm",
            "/dashboard/account/totp/end",
            "/dashboard",
            "/dashboard/sign-out",
            "/dashboard/office",
            "/dashboard/sessions",
            "/dashboard/sessions/{id}/remove",
        ];
        for route in ROUTES.iter().filter(|route| matches!(route.run, Run::Member(..) | Run::Page(..))) {
            let needed = permission(route.method, route.path);
            assert_eq!(needed.is_empty(), free.contains(&route.path), "{} {}", route.method, route.path);
            assert!(
                needed.is_empty() || needed.ends_with(if route.method == "GET" { ".read" } else { ".write" })
            );
        }
        assert_eq!(permission("DELETE", "/v1/knowledge/{id}"), "knowledge.write");
        assert_eq!(permission("GET", "/v1/knowledgeable"), "");
    }

    #[test]
    fn support_has_nothing_that_is_secret_of_people_or_of_money() {
        for granted in SUPPORT {
            assert!(is_permission(granted), "{granted}");
        }
        for area in [
            "api-keys",
            "audit",
            "budget",
            "contacts",
            "deliveries",
            "invitations",
            "leads",
            "notifications",
            "plan",
            "providers",
            "roles",
            "support",
            "team",
            "usage",
            "visitors",
            "webhooks",
            "account",
            "company",
            "sessions",
        ] {
            for method in ["GET", "POST"] {
                for path in [format!("/dashboard/{area}"), format!("/dashboard/{area}/{{id}}")] {
                    assert!(!support_may(method, &path), "{method} {path}");
                }
            }
        }
        assert!(support_may("GET", "/dashboard/inbox/{id}"));
        assert!(!support_may("POST", "/dashboard/inbox/{id}/replies"));
        assert!(!support_may("POST", "/dashboard/widget-settings"));
        assert!(support_may("POST", "/dashboard/knowledge/{id}"));
        assert!(!support_may("GET", "/dashboard/what-comes-next"));
    }
}
