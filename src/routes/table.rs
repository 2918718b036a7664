//! The table of routes: method, path, who may call, what runs.
//!
//! It never decides anything itself: who may call is a type that only [`auth`](crate::tenant::auth) can make.

use super::{Answer, Call, Role, Route, Run};
use crate::api_keys::KeyScope;
use crate::site::assets;
use crate::tenant::TenantScope;
use crate::tenant::auth::{Member, Program, Visitor};
use crate::{
    agents, api_keys, budget, chat, company, conversations, cron, knowledge, leads, ledger, notices,
    openai_api, openapi, providers, provisioning, sessions, site,
};

/// The routes. The order is that of the API's page; the first match wins, and no two match the same request.
pub static ROUTES: &[Route] = &[
    // The platform itself.
    apex("GET", "/healthz", "Is the worker running?", |call| Box::pin(site::health(call))),
    apex("GET", "/readyz", "Do database and Redis answer?", |call| Box::pin(site::ready(call))),
    apex("GET", "/openapi.json", "This API, as OpenAPI 3.1", |call| Box::pin(openapi::show(call))),
    apex("GET", "/v1/industries", "Industries to start from", |call| {
        Box::pin(provisioning::industries(call))
    }),
    apex("POST", "/v1/signup", "Make a company", |call| Box::pin(provisioning::signup(call))),
    operator("POST", "/v1/cron", "Go round the companies", |call| Box::pin(cron::round(call))),
    apex("GET", "/", "The platform's page, with signing up", |call| Box::pin(site::landing(call))),
    apex("GET", "/assets/site.css", "Its style", |_| Box::pin(assets::file(&assets::SITE_CSS))),
    apex("GET", "/assets/chat.css", "The chat's style, for an example", |_| {
        Box::pin(assets::file(&assets::CHAT_CSS))
    }),
    apex("GET", "/assets/signup.js", "Its script", |_| Box::pin(assets::file(&assets::SIGNUP_JS))),
    apex("GET", "/assets/icon.svg", "Its icon", |_| Box::pin(assets::file(&assets::PLATFORM_ICON))),
    apex("GET", "/.well-known/security.txt", "Whom to tell of a security hole", |call| {
        Box::pin(async move { site::security::txt(&call.app.config, &*call.platform) })
    }),
    // A company's site.
    guest("GET", "/", "The company's page, with the chat", |s, _| Box::pin(site::home(s))),
    guest("GET", "/dashboard", "The frame of the dashboard", |s, _| Box::pin(site::dashboard(s))),
    guest("GET", "/assets/site.css", "The pages' style", |_, _| Box::pin(assets::file(&assets::SITE_CSS))),
    guest("GET", "/assets/theme.css", "The company's colour", |s, _| Box::pin(assets::theme(s))),
    guest("GET", "/assets/icon.svg", "The company's icon", |s, _| Box::pin(assets::icon(s))),
    guest("GET", "/assets/chat.css", "The chat's style", |_, _| Box::pin(assets::file(&assets::CHAT_CSS))),
    guest("GET", "/assets/chat.js", "The chat", |_, _| Box::pin(assets::file(&assets::CHAT_JS))),
    guest("GET", "/assets/dashboard.css", "The dashboard's style", |_, _| {
        Box::pin(assets::file(&assets::DASHBOARD_CSS))
    }),
    guest("GET", "/assets/dashboard.js", "The dashboard", |_, _| {
        Box::pin(assets::file(&assets::DASHBOARD_JS))
    }),
    guest("GET", "/.well-known/security.txt", "Whom to tell of a security hole", |s, _| {
        Box::pin(async move { site::security::txt(&s.app().config, s.platform()) })
    }),
    // Its visitors.
    guest("POST", "/v1/visitor", "A visitor token", |s, call| Box::pin(sessions::visitor(s, call))),
    visitor("POST", "/v1/chat", "Ask; the answer streams (SSE)", |v, call| Box::pin(chat::turn(v, call))),
    visitor("GET", "/v1/conversations/{id}/messages", "What was said", |v, call| {
        Box::pin(conversations::messages(v, call))
    }),
    visitor("POST", "/v1/leads", "Leave a name and how to be reached", |v, call| {
        Box::pin(leads::add(v, call))
    }),
    // Its people.
    guest("POST", "/v1/login", "Sign in", |s, call| Box::pin(sessions::login(s, call))),
    guest("POST", "/v1/token/refresh", "Renew the tokens", |s, call| Box::pin(sessions::refresh(s, call))),
    member(Role::Member, "POST", "/v1/logout", "Sign out", |m, _| Box::pin(sessions::logout(m))),
    member(Role::Member, "GET", "/v1/company", "The company", |m, _| Box::pin(company::show(m))),
    member(Role::Owner, "PATCH", "/v1/company", "Change the company's name or time zone", |m, call| {
        Box::pin(company::change(m, call))
    }),
    member(Role::Member, "GET", "/v1/notices", "What the company's people should look at", |m, _| {
        Box::pin(notices::list(m))
    }),
    member(Role::Member, "POST", "/v1/notices/{id}/seen", "Somebody has seen a notice", |m, call| {
        Box::pin(notices::seen(m, call))
    }),
    member(Role::Member, "GET", "/v1/usage", "Model calls, each with why its model was chosen", |m, _| {
        Box::pin(ledger::usage(m))
    }),
    member(Role::Member, "GET", "/v1/leads", "People who want to hear from the company", |m, _| {
        Box::pin(leads::list(m))
    }),
    member(Role::Member, "GET", "/v1/agents", "Agents", |m, _| Box::pin(agents::list(m))),
    member(Role::Admin, "POST", "/v1/agents", "Add an agent", |m, call| Box::pin(agents::add(m, call))),
    member(Role::Member, "GET", "/v1/agents/{id}", "An agent", |m, call| Box::pin(agents::show(m, call))),
    member(Role::Admin, "PATCH", "/v1/agents/{id}", "Change an agent", |m, call| {
        Box::pin(agents::change(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/agents/{id}", "Remove an agent", |m, call| {
        Box::pin(agents::remove(m, call))
    }),
    member(Role::Member, "GET", "/v1/knowledge/categories", "Categories of knowledge", |m, _| {
        Box::pin(knowledge::category_list(m))
    }),
    member(Role::Member, "GET", "/v1/knowledge", "Knowledge entries", |m, _| Box::pin(knowledge::list(m))),
    member(Role::Member, "POST", "/v1/knowledge", "Add an entry", |m, call| {
        Box::pin(knowledge::add(m, call))
    }),
    member(Role::Member, "GET", "/v1/knowledge/{id}", "An entry", |m, call| {
        Box::pin(knowledge::show(m, call))
    }),
    member(Role::Member, "PATCH", "/v1/knowledge/{id}", "Change an entry", |m, call| {
        Box::pin(knowledge::change(m, call))
    }),
    member(Role::Member, "DELETE", "/v1/knowledge/{id}", "Remove an entry", |m, call| {
        Box::pin(knowledge::remove(m, call))
    }),
    member(Role::Admin, "GET", "/v1/providers", "Model providers", |m, _| Box::pin(providers::list(m))),
    member(Role::Admin, "POST", "/v1/providers", "Add a provider with its key", |m, call| {
        Box::pin(providers::add(m, call))
    }),
    member(Role::Admin, "GET", "/v1/providers/presets", "Compatible providers by name", |m, _| {
        Box::pin(providers::presets::list(m))
    }),
    member(Role::Admin, "GET", "/v1/providers/{id}", "A provider", |m, call| {
        Box::pin(providers::show(m, call))
    }),
    member(Role::Admin, "PATCH", "/v1/providers/{id}", "Change a provider or its key", |m, call| {
        Box::pin(providers::change(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/providers/{id}", "Remove a provider and its key", |m, call| {
        Box::pin(providers::remove(m, call))
    }),
    member(Role::Admin, "POST", "/v1/providers/{id}/test", "Try a provider's key", |m, call| {
        Box::pin(providers::check::run(m, call))
    }),
    member(Role::Member, "GET", "/v1/budget", "Budget and what is spent today", |m, _| {
        Box::pin(budget::show(m))
    }),
    member(Role::Admin, "PATCH", "/v1/budget", "Change the budget", |m, call| {
        Box::pin(budget::change(m, call))
    }),
    // Its own programs, and their keys.
    member(Role::Admin, "GET", "/v1/api-keys", "Keys of the company's own programs", |m, _| {
        Box::pin(api_keys::list(m))
    }),
    member(Role::Admin, "POST", "/v1/api-keys", "Add a key; it is shown once", |m, call| {
        Box::pin(api_keys::add(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/api-keys/{id}", "Revoke a key", |m, call| {
        Box::pin(api_keys::revoke(m, call))
    }),
    program(KeyScope::Models, "GET", "/v1/models", "Agents, as OpenAI's API lists models", |p, _| {
        Box::pin(openai_api::models(p))
    }),
    program(
        KeyScope::Chat,
        "POST",
        "/v1/chat/completions",
        "Ask an agent, as OpenAI's API asks a model",
        |p, call| Box::pin(openai_api::completions::create(p, call)),
    ),
];

const fn apex(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Apex(run) }
}

const fn operator(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Operator(run) }
}

const fn guest(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(TenantScope, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Guest(run) }
}

const fn visitor(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Visitor, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Visitor(run) }
}

const fn member(
    role: Role,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Member, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Member(role, run) }
}

const fn program(
    scope: KeyScope,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Program, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Program(scope, run) }
}
