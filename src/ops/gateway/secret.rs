//! Secrets that a client must present, kept as digests only. It never says in what a wrong one differs,
//! nor, by the time it takes, how far it was right or how long the right one is.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio_postgres::Config;

use crate::postgres;

/// The SHA-256 of a secret. Two of them compare in a time that depends on neither.
pub struct Secret([u8; 32]);

impl Secret {
    /// Of several parts, each with its length, so that no two lists of parts are the same secret.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// User, password and database of a parsed connection string.
    pub fn of_database(config: &Config) -> Self {
        let user = config.get_user().unwrap_or_default();
        let database = config.get_dbname().unwrap_or(user);
        Self::of(&[user.as_bytes(), config.get_password().unwrap_or_default(), database.as_bytes()])
    }

    /// The same of a connection string that may be anything; one that cannot be read matches nothing.
    pub fn of_connection_string(text: &str) -> Self {
        postgres::settings(text).map_or_else(|_| Self::of(&[]), |config| Self::of_database(&config))
    }

    /// Whether both are the same secret.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_password_and_database_all_count_and_the_host_does_not() {
        let right = Secret::of_connection_string("postgres://a:b%40c@localhost:5432/d?sslmode=disable");
        assert!(right.matches(&Secret::of_connection_string("postgresql://a:b%40c@elsewhere/d")));
        for wrong in [
            "postgres://x:b%40c@localhost/d",
            "postgres://a:x@localhost/d",
            "postgres://a:b%40c@localhost/x",
            "postgres://a:b%40c@localhost",
            "postgres://a@localhost/d",
            "not a url",
            "",
        ] {
            assert!(!right.matches(&Secret::of_connection_string(wrong)), "{wrong}");
        }
        assert!(!Secret::of(&[b"ab", b"c"]).matches(&Secret::of(&[b"a", b"bc"])));
    }
}
