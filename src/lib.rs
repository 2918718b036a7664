//! Bulkhead's core: many companies, one worker, seven walls between them.
//!
//! It knows no runtime, asks no clock and no random source, and does not panic.

pub mod ids;
pub mod llm;
pub mod platform;
pub mod sse;
