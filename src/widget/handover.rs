//! A visitor asks for a person.
//!
//! It never promises when one comes: it says whether the company is open.

use http::{Response, StatusCode};
use serde_json::json;

use crate::conversations::HAND_OVER;
use crate::error::Error;
use crate::ids::{ConversationId, EventId, NoticeId};
use crate::outbox::{self, tell::HAND_OVER_TELL};
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Visitor;
use crate::tools::{OPEN_READ, Open};

/// `POST /v1/conversations/{id}/hand-over`: the company's people are told, once.
///
/// # Errors
/// [`Error::NotFound`] when the conversation is not there or not this visitor's.
pub async fn ask(visitor: Visitor, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<ConversationId>()?;
    let mut batch = visitor.scope.batch();
    batch.run(NOTICE_ONCE, params![NoticeId::new(visitor.scope.platform()), id, visitor.id, NOTICE]);
    let event = EventId::new(visitor.scope.platform());
    let told = batch.run(HAND_OVER_TELL, params![event, id, visitor.id, NOTICE]);
    let handed = batch.run(HAND_OVER, params![id, visitor.id]);
    let open = batch.add::<Open>(OPEN_READ, params![]);
    let mut rows = batch.send().await?;
    rows.touched(handed)?;
    outbox::deliver_told(&visitor.scope, &mut rows, told);
    answer(StatusCode::OK, &json!({ "conversation_id": id, "open": rows.one(open)?.open }))
}

const NOTICE: &str = "A visitor asks for a person.";

/// Before the conversation is handed over, so that asking twice tells nobody twice.
const NOTICE_ONCE: TenantSql = crate::sql!(
    "insert into notices (company_id, notice_id, kind, conversation_id, body)
     select $1, $2, 'hand_over', c.conversation_id, $5
     from conversations c
     where c.company_id = $1 and c.conversation_id = $3 and c.visitor_id = $4 and c.handed_over_at is null"
);
