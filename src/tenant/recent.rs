//! What an isolate remembers between requests: bounded in number and time.
//!
//! It never remembers that something is not there, so that what is new is there at once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use crate::config::{RECENT_ENTRIES, RECENT_MS};

/// Values that are believed for [`RECENT_MS`] after they were read.
pub struct Recent<K, V>(RefCell<HashMap<K, (V, u64)>>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    pub(super) fn get(&self, key: &K, now_ms: u64) -> Option<V> {
        let values = self.0.borrow();
        let (value, until_ms) = values.get(key)?;
        (now_ms < *until_ms).then(|| value.clone())
    }

    pub(super) fn put(&self, key: K, value: V, now_ms: u64) {
        let mut values = self.0.borrow_mut();
        if values.len() >= RECENT_ENTRIES {
            values.retain(|_, (_, until_ms)| now_ms < *until_ms);
        }
        if values.len() >= RECENT_ENTRIES {
            values.clear();
        }
        values.insert(key, (value, now_ms + RECENT_MS));
    }
}
