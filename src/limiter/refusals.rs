//! Visitors who were told to wait: until then an isolate refuses them without asking anybody.
//!
//! It never decides who has to wait: the limiter did. What it keeps is bounded in number and time.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::error::Error;
use crate::ids::{CompanyId, VisitorId};
use crate::tenant::auth::Visitor;

/// Most visitors that are remembered.
const MOST: usize = 2_000;
/// Longest that one is, milliseconds: an owner who raises the rate is not to wait for long.
const LONGEST_MS: u64 = 10_000;

/// Who was told to wait, and until when.
#[derive(Default)]
pub struct Refusals(RefCell<HashMap<(CompanyId, VisitorId), u64>>);

impl Refusals {
    /// That this visitor need not wait.
    ///
    /// # Errors
    /// [`Error::TooMany`] while they must.
    pub(crate) fn check(&self, visitor: &Visitor) -> Result<(), Error> {
        let now_ms = visitor.scope.platform().now_ms();
        let until_ms = self.0.borrow().get(&key(visitor)).copied().unwrap_or(0);
        // A clock that jumped back must not keep anybody out.
        match until_ms.checked_sub(now_ms).filter(|left_ms| (1..=LONGEST_MS).contains(left_ms)) {
            Some(left_ms) => Err(Error::TooMany(left_ms.div_ceil(1_000))),
            None => Ok(()),
        }
    }

    /// Remembers that this visitor was told to wait so many seconds.
    pub(crate) fn remember(&self, visitor: &Visitor, seconds: u64) {
        let now_ms = visitor.scope.platform().now_ms();
        let mut visitors = self.0.borrow_mut();
        if visitors.len() >= MOST {
            visitors.retain(|_, until_ms| now_ms < *until_ms);
        }
        if visitors.len() >= MOST {
            visitors.clear();
        }
        visitors.insert(key(visitor), now_ms + LONGEST_MS.min(seconds * 1_000));
    }
}

fn key(visitor: &Visitor) -> (CompanyId, VisitorId) {
    (visitor.scope.company_id(), visitor.id)
}
