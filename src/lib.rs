//! Bulkhead's core: many companies, one worker, seven walls between them.
//!
//! It knows no runtime, asks no clock and no random source, and does not panic. Read it in this order.

pub mod config;
pub mod error;
pub mod fields;
pub mod ids;
pub mod knockout;
pub mod platform;
pub mod trace;

pub mod routes;
pub mod tenant;

pub mod chat;
pub mod limiter;
pub mod llm;
pub mod smart_router;
pub mod sse;
pub mod tools;

pub mod accounts;
pub mod agents;
pub mod api_keys;
pub mod budget;
pub mod company;
pub mod conversations;
pub mod cron;
pub mod dashboard;
pub mod domains;
pub mod drafts;
pub mod idempotency;
pub mod inbox;
pub mod invitations;
pub mod knowledge;
pub mod leads;
pub mod ledger;
pub mod links;
pub mod mail;
pub mod memory;
pub mod notices;
pub mod openai_api;
pub mod openapi;
pub mod outbox;
pub mod providers;
pub mod provisioning;
pub mod retention;
pub mod sessions;
pub mod site;
pub mod support;
pub mod team;
pub mod totp;
pub mod two_step;
pub mod unanswered;
pub mod visitors;
pub mod webhooks;
pub mod website;
pub mod widget;

pub mod calendar;
pub mod checklist;
pub mod contexts;
pub mod labels;
pub mod notifications;
pub mod pages;
pub mod pipeline;
pub mod plan;
pub mod questions;
pub mod replies;
pub mod roles;
pub mod services;
pub mod terms;
pub mod updates;
mod upkeep;

pub use routes::{App, serve};
