//! Integration tests over real parts, one file per module.

mod llm;
mod migrate;
mod stand;
