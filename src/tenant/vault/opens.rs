//! Counts how many keys are opened: few in one request, and not too many a minute for one company.
//!
//! It never opens one itself, and remembers no more companies than it may.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::config::{KEYS_OPENED_A_MINUTE, KEYS_OPENED_A_REQUEST, KEYS_OPENED_ENTRIES};
use crate::error::Error;
use crate::ids::CompanyId;
use crate::platform::Level;
use crate::tenant::TenantScope;

/// What the operator's log calls it.
const ALARM: &str = "alarm: keys opened";

impl TenantScope {
    /// Counts one opening. A request that opens more than it may is refused, and the operator told once; a company whose
    /// keys are opened too often within a minute is only told of: its customers are many, or somebody is at its keys.
    pub(super) fn opening(&self) -> Result<(), Error> {
        let opened = self.opened.get().saturating_add(1);
        self.opened.set(opened);
        if opened > KEYS_OPENED_A_REQUEST {
            if opened == KEYS_OPENED_A_REQUEST + 1 {
                self.log(Level::Error, ALARM, "one request wants more keys than any turn needs; refused");
            }
            return Err(Error::Internal("vault: this request has opened as many keys as one may".into()));
        }
        if self.app.opens.passes(self.company.id, self.platform.now_ms()) {
            let fact = format!("more than {KEYS_OPENED_A_MINUTE} within a minute, in one isolate");
            self.log(Level::Error, ALARM, &fact);
        }
        Ok(())
    }
}

/// How many keys of which company an isolate has opened in the current minute.
#[derive(Default)]
pub struct Opens(RefCell<HashMap<CompanyId, Count>>);

struct Count {
    minute: u64,
    opened: u32,
}

impl Opens {
    /// Counts one; whether it is the one that passes the mark, which happens once a minute.
    fn passes(&self, company: CompanyId, now_ms: u64) -> bool {
        let minute = now_ms / 60_000;
        let mut counts = self.0.borrow_mut();
        if counts.len() >= KEYS_OPENED_ENTRIES && !counts.contains_key(&company) {
            make_room(&mut counts, minute);
        }
        let count = counts.entry(company).or_insert(Count { minute, opened: 0 });
        if count.minute != minute {
            *count = Count { minute, opened: 0 };
        }
        count.opened = count.opened.saturating_add(1);
        count.opened == KEYS_OPENED_A_MINUTE + 1
    }
}

/// Forgets past minutes; if all are of this one, the companies of which least was opened.
fn make_room(counts: &mut HashMap<CompanyId, Count>, minute: u64) {
    counts.retain(|_, count| count.minute == minute);
    if counts.len() >= KEYS_OPENED_ENTRIES {
        let least = counts.values().map(|count| count.opened).min().unwrap_or_default();
        counts.retain(|_, count| count.opened > least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn company(n: u64) -> CompanyId {
        format!("01890a5d-ac96-774b-bcce-{n:012x}").parse().unwrap()
    }

    #[test]
    fn the_mark_is_passed_once_a_minute_by_each_company_for_itself() {
        let opens = Opens::default();
        let minute = |company: CompanyId, minute: u64| {
            (0..3 * KEYS_OPENED_A_MINUTE).filter(|_| opens.passes(company, minute * 60_000 + 59_999)).count()
        };
        assert_eq!((minute(company(1), 7), minute(company(2), 7), minute(company(1), 8)), (1, 1, 1));
        for _ in 0..KEYS_OPENED_A_MINUTE {
            assert!(!opens.passes(company(3), 0), "up to the mark is fine");
        }
        assert!(!opens.passes(company(3), 60_000), "and a new minute begins with nothing");
    }

    #[test]
    fn it_is_bounded_and_keeps_those_that_count_most() {
        let opens = Opens::default();
        for _ in 0..KEYS_OPENED_A_MINUTE {
            opens.passes(company(0), 0);
        }
        for n in 1..3 * KEYS_OPENED_ENTRIES as u64 {
            opens.passes(company(n), 0);
            assert!(opens.0.borrow().len() <= KEYS_OPENED_ENTRIES);
        }
        assert!(opens.passes(company(0), 0), "many other companies do not hide one");
    }
}
