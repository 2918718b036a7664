//! Integration tests over real parts, one file per module.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test that cannot go on says so and ends"
)]

mod access;
mod accounts;
mod api_keys;
mod attacks_base_url;
mod attacks_host;
mod attacks_id;
mod attacks_keys;
mod attacks_knowledge;
mod attacks_sql;
mod attacks_token;
mod bad_input;
mod budget;
mod canaries;
mod chat;
mod cluster;
mod compile_fail;
mod completions;
mod deletion;
mod demo;
mod desk;
mod doctor;
mod domains;
mod edge;
mod faults;
mod fuzz;
mod gateway;
mod idempotency;
mod inbox;
mod industries;
mod isolation;
mod keys;
mod knockouts;
mod library;
mod lifecycle;
mod limiter_model;
mod limits;
mod llm;
mod mail;
mod migrate;
mod office;
mod openapi;
mod pages;
mod people;
mod poison;
mod provisioning;
mod release;
mod restore;
mod retention;
mod router;
mod schema;
mod search;
mod simulation;
mod slugs;
mod stand;
mod statements;
mod support;
mod template_updates;
mod tls;
mod tools;
mod trace;
mod trials;
mod turn;
mod two_step;
mod visitors;
mod webhooks;
mod website;
mod widget;
