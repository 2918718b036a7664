//! Tool calls, both ways: paired with their results for a request, put together from a stream's fragments.
//!
//! It never believes a call: names, ids and arguments are what a model wrote, so they are bounded when they come, and
//! made fit to be sent when they go out again.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Event, LlmError, ToolCall, ToolResult, Turn};

/// Most calls in one answer; a provider's own limit is higher, an agent has a handful of tools.
const MAX_CALLS: usize = 16;
/// Most bytes of one answer's calls together: arguments, names, ids and signatures.
const MAX_BYTES: usize = 128 * 1024;
/// Longest name and id that every provider takes, bytes.
const MAX_NAME: usize = 64;

/// One turn, as providers accept it.
pub(super) enum Said<'a> {
    User(&'a str),
    Assistant { text: &'a str, calls: Vec<&'a ToolCall> },
    Tools(Vec<&'a ToolResult>),
}

/// The conversation with each call followed by its result, in the calls' order. Providers refuse a result without its
/// call, and a call without its result, so either is left out: the conversation may have been cut off above, or a tool
/// may have had no time.
pub(super) fn paired(turns: &[Turn]) -> Vec<Said<'_>> {
    let before = std::iter::once(None).chain(turns.iter().map(Some));
    let after = turns.iter().skip(1).map(Some).chain(std::iter::once(None));
    let mut said = Vec::with_capacity(turns.len());
    for ((turn, before), after) in turns.iter().zip(before).zip(after) {
        match turn {
            Turn::User(text) => said.push(Said::User(text)),
            Turn::Assistant { text, calls } => {
                let calls = calls.iter().filter(|call| result_of(call, after).is_some()).collect();
                said.push(Said::Assistant { text, calls });
            }
            Turn::Tools(_) => {
                let Some(Turn::Assistant { calls, .. }) = before else { continue };
                let results: Vec<_> = calls.iter().filter_map(|call| result_of(call, Some(turn))).collect();
                if !results.is_empty() {
                    said.push(Said::Tools(results));
                }
            }
        }
    }
    said
}

fn result_of<'a>(call: &ToolCall, turn: Option<&'a Turn>) -> Option<&'a ToolResult> {
    let Some(Turn::Tools(results)) = turn else { return None };
    results.iter().find(|result| result.call_id == call.id)
}

/// The arguments as an object, which is what some providers want and all accept: an empty one where the model wrote none.
pub(super) fn arguments(call: &ToolCall) -> Map<String, Value> {
    serde_json::from_str(&call.arguments).unwrap_or_default()
}

/// A name or an id that every provider accepts: a model, or another provider, may have made up any.
pub(super) fn plain(name: &str) -> Cow<'_, str> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(fine) {
        return name.into();
    }
    let mended: String = name.chars().take(MAX_NAME).map(|c| if fine(c) { c } else { '_' }).collect();
    if mended.is_empty() { "unnamed".into() } else { mended.into() }
}

/// The calls of one answer, as its fragments come.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Vec<(u64, ToolCall)>,
    bytes: usize,
    /// How many were ever begun.
    begun: usize,
}

impl Calls {
    /// Begins a call at this place in the answer, with as much of it as is known.
    pub(super) fn begin(&mut self, index: u64, call: ToolCall) -> Result<(), LlmError> {
        self.begun += 1;
        if self.begun > MAX_CALLS {
            return Err(LlmError::Garbage);
        }
        let signature = call.signature.as_ref().map_or(0, String::len);
        self.count(call.id.len() + call.name.len() + call.arguments.len() + signature)?;
        self.open.push((index, call));
        Ok(())
    }

    /// More arguments for the call at this place.
    pub(super) fn extend(&mut self, index: u64, arguments: &str) -> Result<(), LlmError> {
        self.count(arguments.len())?;
        let call = self.open.iter_mut().rev().find(|(at, _)| *at == index);
        call.ok_or(LlmError::Garbage)?.1.arguments.push_str(arguments);
        Ok(())
    }

    /// The id of the call at this place, if one has begun.
    pub(super) fn id(&self, index: u64) -> Option<&str> {
        self.open.iter().rev().find(|(at, _)| *at == index).map(|(_, call)| &*call.id)
    }

    /// The place of the call that was begun last.
    pub(super) fn last(&self) -> Option<u64> {
        self.open.last().map(|(at, _)| *at)
    }

    /// Whether any call was begun.
    pub(super) const fn any(&self) -> bool {
        self.begun > 0
    }

    /// Hands the calls out, whole, each with an id that no other of them has.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        let mut ids: Vec<String> = Vec::new();
        for (number, (_, mut call)) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if call.id.is_empty() || ids.contains(&call.id) {
                call.id = format!("call_{number}");
            }
            if call.arguments.trim_ascii().is_empty() {
                call.arguments = "{}".to_owned();
            }
            ids.push(call.id.clone());
            out.push(Event::ToolCall(call));
        }
    }

    /// Forgets the calls: the answer was cut off, so their arguments may be as well.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    fn count(&mut self, bytes: usize) -> Result<(), LlmError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES { Err(LlmError::Garbage) } else { Ok(()) }
    }
}
