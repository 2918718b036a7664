//! Trying a search: what an agent would find for a question, and what it would make of it.
//!
//! It never asks a model, spends anything or leaves anything behind: what it runs is the search of a chat turn.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::search::{Hit, KNOWLEDGE_SEARCH};
use crate::error::Error;
use crate::params;
use crate::platform::Body;
use crate::routes::{Call, json as answer};
use crate::tenant::TenantSql;
use crate::tenant::auth::Member;

/// Longest question, bytes, as in a chat turn.
const QUESTION_LIMIT: usize = 4_000;

/// `GET /v1/knowledge/search?q=…&agent=…`: what the agent of this short name, or the default one, finds for a question,
/// best first. `cited` says that a model's answer would name the entry as its source, `answers` that it is so close that it
/// may answer by itself; `without_model` is what a visitor reads when no model answers, null when they are asked how to be
/// called back.
///
/// # Errors
/// [`Error::NotFound`] for the agent, [`Error::Invalid`] for a question that is too long.
pub async fn run(member: Member, call: Call) -> Result<Response<Body>, Error> {
    answer(StatusCode::OK, &found(&member, &call).await?)
}

/// The same, as JSON.
pub(crate) async fn found(member: &Member, call: &Call) -> Result<Value, Error> {
    let question = call.query("q").unwrap_or_default().trim().to_owned();
    if question.len() > QUESTION_LIMIT {
        return Err(Error::Invalid(format!(
            "The question is longer than {QUESTION_LIMIT} bytes. Make it shorter."
        )));
    }
    let slug = call.query("agent").unwrap_or_default();
    let mut batch = member.scope.batch();
    let agent = batch.add::<Agent>(AGENT_FIND, params![&slug]);
    let hits = batch.add::<Hit>(KNOWLEDGE_SEARCH, params![&question, None::<&str>, None::<&str>, &slug]);
    let mut rows = batch.send().await?;
    let (agent, hits) = (rows.one(agent)?, rows.all(hits)?);
    let best = hits.first().filter(|hit| hit.answers() && agent.knowledge_answers);
    let found: Vec<Value> = (1_u32..)
        .zip(&hits)
        .map(|(rank, hit)| {
            json!({
                "rank": rank, "entry_id": hit.id(), "question": hit.question, "answer": hit.answer,
                "score": hit.score(), "layer": hit.layer(), "cited": hit.supports(), "answers": hit.answers(),
            })
        })
        .collect();
    Ok(json!({
        "q": question, "agent": agent.slug, "hits": found, "without_model": best.map(|hit| &hit.answer),
        "knowledge_answers": agent.knowledge_answers,
    }))
}

#[derive(Deserialize)]
struct Agent {
    slug: String,
    /// Without a model the best entry may answer word for word.
    knowledge_answers: bool,
}

const AGENT_FIND: TenantSql = crate::sql!(
    "select a.slug, b.knowledge_answers
     from agents a
     join budgets b on b.company_id = a.company_id
     where a.company_id = $1 and case when $2::text = '' then a.is_default else a.slug = $2 end"
);
