//! What visitors think of answers.
//!
//! It never takes a rating from anybody but the visitor who was answered.

use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fields::or_default;
use crate::ids::MessageId;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Visitor;

/// `PUT /v1/messages/{id}/rating`: whether an answer helped, and a remark; the last one counts.
///
/// # Errors
/// [`Error::NotFound`] when it is no answer to this visitor, [`Error::Invalid`] for the body.
pub async fn set(visitor: Visitor, call: Call) -> Result<Response<Body>, Error> {
    let id = call.id::<MessageId>()?;
    let new = call.json::<Rating>().await?;
    if new.remark.chars().count() > 1_000 {
        return Err(Error::Invalid("The remark is longer than 1000 characters. Make it shorter.".into()));
    }
    let mut batch = visitor.scope.batch();
    let set = batch.run(RATING_SET, params![id, visitor.id, new.good, &new.remark]);
    batch.send().await?.touched(set)?;
    answer(StatusCode::OK, &new)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rating {
    /// Whether it helped.
    good: bool,
    /// What there is to say about it.
    #[serde(deserialize_with = "or_default")]
    remark: String,
}

const RATING_SET: TenantSql = crate::sql!(
    "insert into message_ratings (company_id, message_id, good, remark)
     select $1, m.message_id, $4, $5
     from messages m
     join conversations c on c.company_id = m.company_id and c.conversation_id = m.conversation_id
     where m.company_id = $1 and m.message_id = $2 and m.author <> 'visitor' and c.visitor_id = $3
     on conflict (company_id, message_id) do update
     set good = excluded.good, remark = excluded.remark, updated_at = now()"
);
