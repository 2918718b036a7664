//! How much was tried: a line on standard output for each kind of attack, and a floor under each number.
//!
//! It writes past the test harness, which would keep the lines of a passing test to itself.

use std::io::Write as _;

/// Says that so many were tried, and that at least so many must be: a generator that goes blind fails its test.
///
/// # Panics
/// When there were fewer.
pub fn tally(area: &str, what: &str, count: usize, least: usize) {
    assert!(
        count >= least,
        "only {count} of {area}: {what}; there were {least} and more: a generator has gone blind"
    );
    // A closed standard output is nothing that a test should fail for.
    let _ = writeln!(std::io::stdout().lock(), "tried: {count:>5}  {area}: {what}");
}
