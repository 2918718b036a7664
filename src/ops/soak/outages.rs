//! When parts were gone: whoever failed then had a reason. It decides nothing about when they go.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::now;

/// All times at which a part was gone.
#[derive(Default)]
pub struct Outages(RefCell<Vec<(Instant, Option<Instant>)>>);

/// For so long after a part is back others may still hold connections to what it was.
const AFTER: Duration = Duration::from_secs(5);

impl Outages {
    /// From now on a part is gone.
    pub fn begin(&self) {
        self.0.borrow_mut().push((now(), None));
    }

    /// It is back.
    pub fn end(&self) {
        if let Some((_, end)) = self.0.borrow_mut().last_mut() {
            *end = Some(now());
        }
    }

    /// How many there were.
    pub fn number(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether a part was gone at any time since then.
    pub fn since(&self, then: Instant) -> bool {
        self.0.borrow().iter().any(|(_, end)| end.is_none_or(|end| end + AFTER >= then))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_met_an_outage_has_a_reason_to_fail() {
        let outages = Outages::default();
        let before = now();
        assert!(!outages.since(before));
        outages.begin();
        assert!(outages.since(before) && outages.since(now()), "it goes on");
        outages.end();
        assert!(outages.since(before) && outages.since(now()), "it has just ended");
        assert!(!outages.since(now() + AFTER * 2));
        assert_eq!(outages.number(), 1);
    }
}
