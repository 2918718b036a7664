//! Retention: for how many days a company keeps what its visitors leave and what was done, and how what is older goes.
//!
//! It never takes what no window was set for, nor what a model call cost: of a conversation that went, the ledger keeps the sum
//! and not a word. What stays of a question that was settled is its digest.

mod statements;

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ids::{AuditId, ConversationId};
use crate::memory;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantScope;
use crate::tenant::auth::Member;
use crate::tenant::postgres::{Batch, Outcomes, Slot};
pub(crate) use statements::RETENTION_READ;
use statements::{
    CONVERSATIONS_ERASE, CONVERSATIONS_OLD, ERASED_DELIVERIES, ERASED_DRAFTS, ERASED_NOTICES, RETENTION_NOTE,
    RETENTION_SET, STALE,
};

/// Conversations of one company that go in one round, each with its messages.
const CONVERSATIONS: u32 = 100;
/// Rows of any other kind that go in one round.
const ROWS: u32 = 500;
/// Longest window, days: ten years.
const LONGEST: u32 = 3_650;

/// Days for which each kind is kept; null: for ever, or until it ends by itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Windows {
    /// After its last message.
    conversations_days: Option<u32>,
    /// After somebody asked to hear from the company.
    leads_days: Option<u32>,
    /// After a visitor's question was remembered for later conversations.
    memories_days: Option<u32>,
    /// After a model wrote it for a visitor's question.
    drafts_days: Option<u32>,
    /// After a webhook or a mail was taken or given up.
    deliveries_days: Option<u32>,
    /// After it was done.
    audit_days: Option<u32>,
}

/// `GET /v1/retention`: for how many days each kind is kept.
///
/// # Errors
/// As every batch.
pub async fn show(member: Member) -> Result<Response<Body>, Error> {
    let mut batch = member.scope.batch();
    let windows = batch.add::<Windows>(RETENTION_READ, params![]);
    answer(StatusCode::OK, &batch.send().await?.one(windows)?)
}

/// `PUT /v1/retention`: sets all of them; what is not named is kept. What is too old by then goes with the next rounds, and the
/// audit log says what was set before.
///
/// # Errors
/// [`Error::Invalid`] for the body.
pub async fn set(member: Member, call: Call) -> Result<Response<Body>, Error> {
    let new = call.json::<Windows>().await?;
    new.check()?;
    let mut batch = member.scope.batch();
    let event = AuditId::new(member.scope.platform());
    let all = serde_json::json!(&new);
    batch.run(RETENTION_NOTE, params![event, member.user, all]);
    batch.run(
        RETENTION_SET,
        params![
            new.conversations_days,
            new.leads_days,
            new.memories_days,
            new.drafts_days,
            new.deliveries_days,
            new.audit_days,
        ],
    );
    batch.send().await?;
    answer(StatusCode::OK, &new)
}

impl Windows {
    fn check(&self) -> Result<(), Error> {
        let ranges = [
            ("Conversations", "conversations_days", self.conversations_days, 1, LONGEST),
            ("Leads", "leads_days", self.leads_days, 1, LONGEST),
            ("What agents remember", "memories_days", self.memories_days, 1, LONGEST),
            ("Drafts", "drafts_days", self.drafts_days, 1, LONGEST),
            ("Deliveries", "deliveries_days", self.deliveries_days, 1, 30),
            ("Audit log", "audit_days", self.audit_days, 90, LONGEST),
        ];
        for (what, name, days, from, to) in ranges {
            if days.is_some_and(|days| !(from..=to).contains(&days)) {
                return Err(Error::Invalid(format!(
                    "{what} ({name}): from {from} to {to} days, or nothing to keep all of it."
                )));
            }
        }
        Ok(())
    }
}

/// What a round asks before it takes anything: the company's windows, and its oldest conversations that are beyond theirs.
pub(crate) struct Due(Slot<Windows>, Slot<Old>);

impl Due {
    /// Asks in this batch.
    pub(crate) fn ask(batch: &mut Batch<'_>) -> Self {
        Self(batch.add(RETENTION_READ, params![]), batch.add(CONVERSATIONS_OLD, params![CONVERSATIONS]))
    }

    /// Takes what is older than the company's windows, oldest first and a bounded number of each kind; what is left over goes
    /// with the next rounds. A company that keeps everything costs nothing here.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when Redis does not answer, which forgets first: then no conversation is gone; or the database.
    pub(crate) async fn erase(self, scope: &TenantScope, rows: &mut Outcomes) -> Result<(), Error> {
        let (windows, old) = (rows.one(self.0)?, rows.all(self.1)?);
        let mut batch = scope.batch();
        let mut wanted = false;
        let stale = [
            windows.leads_days,
            windows.memories_days,
            windows.drafts_days,
            windows.deliveries_days,
            windows.audit_days,
        ];
        for (days, statements) in stale.into_iter().zip(STALE) {
            let Some(days) = days else { continue };
            wanted = true;
            for &sql in statements {
                batch.run(sql, params![days, ROWS]);
            }
        }
        if let Some(days) = windows.conversations_days.filter(|_| !old.is_empty()) {
            wanted = true;
            let conversations: Vec<_> = old.iter().map(|old| old.conversation_id).collect();
            memory::forget(scope, &conversations).await?;
            let ids: Vec<String> = conversations.iter().map(ToString::to_string).collect();
            for sql in [ERASED_DRAFTS, ERASED_NOTICES, ERASED_DELIVERIES] {
                batch.run(sql, params![ids.clone()]);
            }
            batch.run(CONVERSATIONS_ERASE, params![ids, days]);
        }
        if wanted {
            batch.send().await?;
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Old {
    conversation_id: ConversationId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(name: &str, days: u32) -> Windows {
        let json = format!(r#"{{"{name}":{days}}}"#);
        Windows::deserialize(crate::fields::Field::json(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn each_window_has_bounds() {
        for (name, from, to) in [
            ("conversations_days", 1, 3_650),
            ("leads_days", 1, 3_650),
            ("memories_days", 1, 3_650),
            ("drafts_days", 1, 3_650),
            ("deliveries_days", 1, 30),
            ("audit_days", 90, 3_650),
        ] {
            for (days, good) in [(from - 1, false), (from, true), (to, true), (to + 1, false)] {
                assert_eq!(windows(name, days).check().is_ok(), good, "{name} {days}");
            }
        }
    }
}
