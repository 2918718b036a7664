//! Takes single walls away, for tests that show that the next one holds. Only the feature `knockout` can take one.
//!
//! Nothing that is shipped has the feature: `scripts/test` asks cargo. Without it, every wall stands.

/// A wall that a test can take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// Layer 1: a token's signature is verified.
    Signature,
    /// Layer 1's backstop: session and membership are read in the same transaction.
    Membership,
    /// Layer 2: statements name their company.
    Filter,
    /// Layer 4: Redis keys carry their company.
    KeyPrefix,
    /// Layer 4's backstop: what Redis keeps names its company.
    ValueOwner,
    /// Layer 5: a provider's company is checked before its key is opened.
    ProviderOwner,
    /// Layer 5's backstop: a key is sealed for its company.
    Seal,
    /// Layer 7: Redis refuses what the budget does not hold.
    Budget,
    /// Layer 7's backstop: the ledger caps what Redis allows.
    LedgerCap,
}

#[cfg(not(feature = "knockout"))]
pub(crate) use standing::{filtered, stands};
#[cfg(feature = "knockout")]
pub use taken::{Rubble, take};
#[cfg(feature = "knockout")]
pub(crate) use taken::{filtered, stands};

#[cfg(not(feature = "knockout"))]
mod standing {
    /// Whether this wall stands.
    pub(crate) const fn stands(_: super::Wall) -> bool {
        true
    }

    /// The statement as it is.
    pub(crate) const fn filtered(sql: &'static str) -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed(sql)
    }
}

#[cfg(feature = "knockout")]
mod taken {
    use std::borrow::Cow;
    use std::cell::RefCell;

    use super::Wall;

    thread_local! {
        static GONE: RefCell<Vec<Wall>> = const { RefCell::new(Vec::new()) };
    }

    /// Takes these walls away in this thread, until what it gives is dropped.
    #[must_use]
    pub fn take(walls: &[Wall]) -> Rubble {
        GONE.with_borrow_mut(|gone| *gone = walls.to_vec());
        Rubble(())
    }

    /// Walls that are taken away; dropping it puts them back.
    pub struct Rubble(());

    impl Drop for Rubble {
        fn drop(&mut self) {
            GONE.with_borrow_mut(Vec::clear);
        }
    }

    /// Whether this wall stands.
    pub(crate) fn stands(wall: Wall) -> bool {
        !GONE.with_borrow(|gone| gone.contains(&wall))
    }

    /// The statement, without its company when that wall is gone: `a.company_id = $1` becomes something always true.
    pub(crate) fn filtered(sql: &'static str) -> Cow<'static, str> {
        if stands(Wall::Filter) {
            return Cow::Borrowed(sql);
        }
        let mut parts = sql.split("company_id = $1");
        let mut open = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // The alias before it goes too.
            let alias =
                open.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.').len();
            open.truncate(alias);
            open.push_str("$1::uuid is not null");
            open.push_str(part);
        }
        Cow::Owned(open)
    }
}
