//! What the tests stand on: the development stand as a child process, the model provider's double, clients.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "without what is here there is nothing to test: the message is for the person who started the tests"
)]

pub mod company;
pub mod core;
pub mod described;
pub mod dns;
pub mod native;
pub mod stand;
pub mod tally;
pub mod token;
pub mod upstream;
pub mod website;
pub mod wire;
