//! Visitors who were told to wait, and companies all of whose visitors were: until then an isolate refuses them without asking anybody.
//!
//! It never decides who has to wait: the limiter did. What it keeps is bounded in number and time.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::error::Error;
use crate::ids::{CompanyId, VisitorId};
use crate::tenant::auth::Visitor;

/// Most of them that are remembered.
const MOST: usize = 2_000;
/// Longest that one is, milliseconds: an owner who raises the rate is not to wait for long.
const LONGEST_MS: u64 = 10_000;

/// Who was told to wait, and until when: a visitor, or, without one, all of a company's.
#[derive(Default)]
pub struct Refusals(RefCell<HashMap<Who, u64>>);

type Who = (CompanyId, Option<VisitorId>);

impl Refusals {
    /// That this visitor need not wait.
    ///
    /// # Errors
    /// [`Error::TooMany`] while they must.
    pub(crate) fn check(&self, visitor: &Visitor) -> Result<(), Error> {
        let now_ms = visitor.scope.platform().now_ms();
        let waiting = self.0.borrow();
        // A clock that jumped back must not keep anybody out.
        let left_ms = |all| {
            let left_ms = waiting.get(&who(visitor, all))?.checked_sub(now_ms)?;
            (1..=LONGEST_MS).contains(&left_ms).then_some(left_ms)
        };
        match [true, false].into_iter().filter_map(left_ms).max() {
            Some(left_ms) => Err(Error::TooMany(left_ms.div_ceil(1_000))),
            None => Ok(()),
        }
    }

    /// Remembers that this visitor was told to wait so many seconds, and, with `all`, that each of the company's would be.
    pub(crate) fn remember(&self, visitor: &Visitor, all: bool, seconds: u64) {
        let now_ms = visitor.scope.platform().now_ms();
        let mut waiting = self.0.borrow_mut();
        if waiting.len() >= MOST {
            waiting.retain(|_, until_ms| now_ms < *until_ms);
        }
        if waiting.len() >= MOST {
            waiting.clear();
        }
        waiting.insert(who(visitor, all), now_ms + LONGEST_MS.min(seconds * 1_000));
    }
}

fn who(visitor: &Visitor, all: bool) -> Who {
    (visitor.scope.company_id(), (!all).then_some(visitor.id))
}
