//! Integration tests over real parts, one file per module.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and ends"
)]

mod compile_fail;
mod gateway;
mod llm;
mod schema;
mod stand;
mod statements;
