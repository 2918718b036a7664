//! The table of routes: method, path, who may call, what runs.
//!
//! It never decides anything itself: who may call is a type that only [`auth`](crate::tenant::auth) can make.

use super::{Answer, Call, Role, Route, Run};
use crate::api_keys::KeyScope;
use crate::dashboard::{self, door, then};
use crate::site::assets;
use crate::tenant::TenantScope;
use crate::tenant::auth::{Member, Program, Visitor};
use crate::{
    accounts, agents, api_keys, budget, calendar, chat, checklist, company, contexts, conversations, cron,
    domains, drafts, inbox, invitations, knowledge, labels, leads, ledger, links, notices, notifications,
    openai_api, openapi, pages, pipeline, plan, providers, provisioning, questions, replies, retention,
    roles, services, sessions, site, support, team, terms, two_step, unanswered, updates, visitors, webhooks,
    widget,
};

/// The routes. The order is that of the API's page; the first match wins, and no two match the same request.
pub static ROUTES: &[Route] = &[
    // The platform itself.
    apex("GET", "/healthz", "Is the worker running?", |call| Box::pin(site::health(call))),
    apex("GET", "/readyz", "Do database and Redis answer?", |call| Box::pin(site::ready(call))),
    apex("GET", "/openapi.json", "This API, as OpenAPI 3.1", |call| Box::pin(openapi::show(call))),
    apex("GET", "/docs/api", "This API, for people", |call| Box::pin(openapi::page::show(call))),
    apex("GET", "/docs/api.ts", "Its types, for programs in TypeScript", |call| {
        Box::pin(openapi::text(call))
    }),
    apex("GET", "/v1/industries", "Industries to start from", |call| {
        Box::pin(provisioning::industries(call))
    }),
    apex("GET", "/v1/slugs", "Free addresses for a company's name", |call| {
        Box::pin(provisioning::slugs(call))
    }),
    apex("POST", "/v1/signup", "Make a company", |call| Box::pin(provisioning::signup(call))),
    operator("POST", "/v1/cron", "Go round the companies", |call| Box::pin(cron::round(call))),
    apex("GET", "/", "The platform's page, with signing up", |call| Box::pin(site::signup::landing(call))),
    apex("POST", "/signup", "Sign up with the page's form", |call| Box::pin(site::signup::enter(call))),
    apex("GET", "/assets/site.css", "Its style", |_| Box::pin(assets::file(&assets::SITE_CSS))),
    apex("GET", "/assets/signup.js", "Its script", |_| Box::pin(assets::file(&assets::SIGNUP_JS))),
    apex("GET", "/assets/icon.svg", "Its icon", |_| Box::pin(assets::file(&assets::PLATFORM_ICON))),
    apex("GET", "/.well-known/security.txt", "Whom to tell of a security hole", |call| {
        Box::pin(async move { site::security::txt(&call.app.config, &*call.platform) })
    }),
    apex("GET", "/robots.txt", "What search engines may read", |call| {
        Box::pin(site::discovery::robots(call))
    }),
    // A company's site.
    guest("GET", "/", "The company's page, with the chat", |s, call| Box::pin(site::home(s, call))),
    guest("GET", "/robots.txt", "What search engines may read", |_, call| {
        Box::pin(site::discovery::robots(call))
    }),
    guest("GET", "/sitemap.xml", "The company's pages, for search engines", |s, call| {
        Box::pin(site::discovery::sitemap(s, call))
    }),
    guest("GET", "/pages/{id}", "A page of the company's site", |s, call| Box::pin(site::read(s, call))),
    guest("GET", "/assets/site.css", "The pages' style", |_, _| Box::pin(assets::file(&assets::SITE_CSS))),
    guest("GET", "/assets/theme.css", "The company's colour", |s, _| Box::pin(assets::theme(s))),
    guest("GET", "/assets/icon.svg", "The company's icon", |s, _| Box::pin(assets::icon(s))),
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
    anywhere("POST", "/v1/visitor", "A visitor token", |s, call| Box::pin(sessions::visitor(s, call))),
    visitor("POST", "/v1/chat", "Ask; the answer streams (SSE)", |v, call| Box::pin(chat::turn(v, call))),
    visitor("GET", "/v1/conversations/{id}/messages", "What was said", |v, call| {
        Box::pin(conversations::messages(v, call))
    }),
    visitor("POST", "/v1/leads", "Leave a name and how to be reached", |v, call| {
        Box::pin(leads::add(v, call))
    }),
    // The chat on its pages, and on pages of origins that it lists.
    guest("GET", "/widget.js", "The chat, for one script element", |_, _| {
        Box::pin(widget::file(&widget::LOADER))
    }),
    guest("GET", "/widget/app.js", "The chat's panel", |_, _| Box::pin(widget::file(&widget::PANEL))),
    anywhere("GET", "/v1/widget", "What the chat shows before anybody asks", |s, call| {
        Box::pin(widget::show(s, call))
    }),
    visitor("POST", "/v1/conversations/{id}/hand-over", "Ask for a person", |v, call| {
        Box::pin(widget::handover::ask(v, call))
    }),
    visitor("PUT", "/v1/messages/{id}/rating", "Say whether an answer helped", |v, call| {
        Box::pin(widget::rating::set(v, call))
    }),
    visitor("POST", "/v1/identity", "Who the visitor is, by the company's own server", |v, call| {
        Box::pin(widget::identity::verify(v, call))
    }),
    member(
        Role::Admin,
        "POST",
        "/v1/widget-settings/secret",
        "Make the secret for visitors' identities anew; it is shown once",
        |m, _| Box::pin(widget::identity::renew(m)),
    ),
    member(Role::Member, "GET", "/v1/widget-settings", "How and where the chat shows", |m, _| {
        Box::pin(widget::settings::show(m))
    }),
    member(Role::Admin, "PATCH", "/v1/widget-settings", "Change how and where the chat shows", |m, call| {
        Box::pin(widget::settings::change(m, call))
    }),
    // Its people.
    guest("POST", "/v1/login", "Sign in", |s, call| Box::pin(sessions::login(s, call))),
    guest("POST", "/v1/token/refresh", "Renew the tokens", |s, call| Box::pin(sessions::refresh(s, call))),
    member(Role::Member, "POST", "/v1/logout", "Sign out", |m, _| Box::pin(sessions::logout(m))),
    member(Role::Member, "GET", "/v1/company", "The company", |m, _| Box::pin(company::show(m))),
    member(Role::Owner, "PATCH", "/v1/company", "Change name, address or time zone", |m, call| {
        Box::pin(company::change(m, call))
    }),
    // The company's own page, and its end.
    page(Role::Owner, "GET", "/dashboard/company", "The company, for its owner", |m, call| {
        Box::pin(dashboard::company::show(m, call))
    }),
    page(Role::Owner, "POST", "/dashboard/company", "Change name or time zone", |m, call| {
        Box::pin(then(company::change(m, call), "/dashboard/company", "saved"))
    }),
    member(Role::Owner, "POST", "/v1/company/deletion", "Ask for the company's deletion", |m, call| {
        Box::pin(company::deletion::ask(m, call))
    }),
    member(Role::Owner, "DELETE", "/v1/company/deletion", "Call its deletion off", |m, _| {
        Box::pin(company::deletion::cancel(m))
    }),
    page(Role::Owner, "POST", "/dashboard/company/deletion", "Ask for its deletion", |m, call| {
        Box::pin(then(company::deletion::ask(m, call), "/dashboard/company", "leaving"))
    }),
    page(Role::Owner, "POST", "/dashboard/company/deletion/remove", "Call it off", |m, _| {
        Box::pin(then(company::deletion::cancel(m), "/dashboard/company", "staying"))
    }),
    // For how long it keeps what.
    member(Role::Admin, "GET", "/v1/retention", "For how many days each kind of data is kept", |m, _| {
        Box::pin(retention::show(m))
    }),
    member(Role::Owner, "PUT", "/v1/retention", "Set for how many days each kind is kept", |m, call| {
        Box::pin(retention::set(m, call))
    }),
    page(Role::Owner, "POST", "/dashboard/retention", "The same as a form", |m, call| {
        Box::pin(then(retention::set(m, call), "/dashboard/company", "saved"))
    }),
    // What it has of one visitor, for whoever asks about their own data.
    member(Role::Admin, "GET", "/v1/visitors/{id}", "All that there is of a visitor", |m, call| {
        Box::pin(visitors::export(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/visitors/{id}", "Erase all that there is of a visitor", |m, call| {
        Box::pin(visitors::erase(m, call))
    }),
    page(Role::Admin, "GET", "/dashboard/visitors/{id}", "The same as a file", |m, call| {
        Box::pin(dashboard::leads::visitor(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/visitors/{id}/remove", "Erase it", |m, call| {
        Box::pin(then(visitors::erase(m, call), "/dashboard/leads", "erased"))
    }),
    // What it should look at, and what it spends.
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
    // The library: what a search finds, texts that wait for a person, questions that nobody answered.
    member(Role::Member, "GET", "/v1/knowledge/search", "What an agent finds for a question", |m, call| {
        Box::pin(knowledge::trial::run(m, call))
    }),
    member(Role::Member, "GET", "/v1/knowledge/drafts", "Drafts that wait for a person", |m, call| {
        Box::pin(drafts::list(m, call))
    }),
    member(Role::Member, "POST", "/v1/knowledge/drafts/approve", "Make entries of drafts", |m, call| {
        Box::pin(drafts::approve_all(m, call))
    }),
    member(Role::Member, "POST", "/v1/knowledge/drafts/discard", "Remove drafts", |m, call| {
        Box::pin(drafts::discard_all(m, call))
    }),
    member(Role::Member, "GET", "/v1/knowledge/drafts/{id}", "A draft", |m, call| {
        Box::pin(drafts::show(m, call))
    }),
    member(Role::Member, "PATCH", "/v1/knowledge/drafts/{id}", "Change a draft", |m, call| {
        Box::pin(drafts::change(m, call))
    }),
    member(Role::Member, "DELETE", "/v1/knowledge/drafts/{id}", "Remove a draft", |m, call| {
        Box::pin(drafts::remove(m, call))
    }),
    member(
        Role::Member,
        "POST",
        "/v1/knowledge/drafts/{id}/approve",
        "Make an entry of a draft",
        |m, call| Box::pin(drafts::approve(m, call)),
    ),
    member(Role::Member, "POST", "/v1/knowledge/import", "Import a document as drafts", |m, call| {
        Box::pin(drafts::import::document(m, call))
    }),
    member(Role::Member, "POST", "/v1/knowledge/import/website", "Import a website as drafts", |m, call| {
        Box::pin(drafts::import::website(m, call))
    }),
    member(Role::Member, "GET", "/v1/unanswered", "What visitors asked in vain", |m, _| {
        Box::pin(unanswered::list(m))
    }),
    member(Role::Member, "GET", "/v1/unanswered/{id}", "A question that was asked in vain", |m, call| {
        Box::pin(unanswered::show(m, call))
    }),
    member(Role::Member, "POST", "/v1/unanswered/{id}/answer", "Add the entry that answers it", |m, call| {
        Box::pin(unanswered::reply(m, call))
    }),
    member(Role::Member, "POST", "/v1/unanswered/{id}/draft", "Have a model draft an answer", |m, call| {
        Box::pin(unanswered::draft(m, call))
    }),
    member(Role::Member, "DELETE", "/v1/unanswered/{id}", "Dismiss it for good", |m, call| {
        Box::pin(unanswered::dismiss(m, call))
    }),
    member(Role::Member, "GET", "/v1/knowledge/categories", "Categories of knowledge", |m, _| {
        Box::pin(knowledge::category_list(m))
    }),
    member(Role::Member, "GET", "/v1/knowledge", "Knowledge entries", |m, call| {
        Box::pin(knowledge::list(m, call))
    }),
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
    // The inbox.
    member(Role::Member, "GET", "/v1/conversations", "Conversations, newest first", |m, call| {
        Box::pin(inbox::list(m, call))
    }),
    member(
        Role::Member,
        "GET",
        "/v1/conversations/{id}",
        "A conversation with its notes and cost",
        |m, call| Box::pin(inbox::show(m, call)),
    ),
    member(
        Role::Member,
        "PATCH",
        "/v1/conversations/{id}",
        "Take over, hand back, close, reopen",
        |m, call| Box::pin(inbox::change(m, call)),
    ),
    member(Role::Member, "POST", "/v1/conversations/{id}/replies", "Answer as a person", |m, call| {
        Box::pin(inbox::reply(m, call))
    }),
    member(Role::Member, "POST", "/v1/conversations/{id}/notes", "A note for colleagues", |m, call| {
        Box::pin(inbox::note(m, call))
    }),
    // The team.
    member(Role::Admin, "GET", "/v1/team", "Who works here", |m, _| Box::pin(team::list(m))),
    member(Role::Admin, "GET", "/v1/audit", "What was done", |m, _| Box::pin(team::audit(m))),
    member(Role::Member, "GET", "/v1/sessions", "One's own sessions", |m, _| Box::pin(team::sessions(m))),
    member(Role::Member, "DELETE", "/v1/sessions/{id}", "End one of one's own sessions", |m, call| {
        Box::pin(team::session_end(m, call))
    }),
    // Accounts: links that are good once, invitations, one's own account; beside each the page or form that does the same.
    guest("POST", "/v1/sign-in/reset", "Have a link to a new password mailed", |s, call| {
        Box::pin(links::ask(s, call))
    }),
    guest("POST", "/v1/sign-in/password", "A new password, by a link", |s, call| {
        Box::pin(links::password(s, call))
    }),
    guest("POST", "/v1/sign-in/email", "Confirm an address, by a link", |s, call| {
        Box::pin(links::email(s, call))
    }),
    guest("POST", "/v1/sign-in/invitation", "Accept an invitation, by a link", |s, call| {
        Box::pin(links::invitation(s, call))
    }),
    guest("POST", "/enter", "Sign in whoever has just signed up", |s, call| Box::pin(door::arrive(s, call))),
    guest("GET", "/dashboard/sign-in/reset", "Ask for a link to a new password", |s, call| {
        Box::pin(dashboard::links::reset(s, call))
    }),
    guest("POST", "/dashboard/sign-in/reset", "Have it mailed", |s, call| {
        Box::pin(dashboard::links::reset_ask(s, call))
    }),
    guest("GET", "/dashboard/sign-in/password", "The page behind that link", |s, call| {
        Box::pin(dashboard::links::password(s, call))
    }),
    guest("POST", "/dashboard/sign-in/password", "A new password", |s, call| {
        Box::pin(dashboard::links::password_set(s, call))
    }),
    guest("GET", "/dashboard/sign-in/email", "The page behind a link to an address", |s, call| {
        Box::pin(dashboard::links::email(s, call))
    }),
    guest("POST", "/dashboard/sign-in/email", "Confirm the address", |s, call| {
        Box::pin(dashboard::links::email_set(s, call))
    }),
    guest("GET", "/dashboard/sign-in/invitation", "The page behind an invitation", |s, call| {
        Box::pin(dashboard::links::invitation(s, call))
    }),
    guest("POST", "/dashboard/sign-in/invitation", "Accept it", |s, call| {
        Box::pin(dashboard::links::invitation_accept(s, call))
    }),
    guest("POST", "/dashboard/sign-in/code", "The second step of signing in", |s, call| {
        Box::pin(door::code(s, call))
    }),
    member(Role::Admin, "GET", "/v1/invitations", "Invitations that wait", |m, _| {
        Box::pin(invitations::list(m))
    }),
    member(Role::Admin, "POST", "/v1/invitations", "Invite somebody to work here", |m, call| {
        Box::pin(invitations::add(m, call))
    }),
    member(Role::Admin, "POST", "/v1/invitations/{id}/resend", "Mail an invitation again", |m, call| {
        Box::pin(invitations::resend(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/invitations/{id}", "Take an invitation back", |m, call| {
        Box::pin(invitations::revoke(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/invitations", "Invite somebody", |m, call| {
        Box::pin(then(invitations::add(m, call), "/dashboard/team", "invited"))
    }),
    page(Role::Admin, "POST", "/dashboard/invitations/{id}/resend", "Mail it again", |m, call| {
        Box::pin(then(invitations::resend(m, call), "/dashboard/team", "invited"))
    }),
    page(Role::Admin, "POST", "/dashboard/invitations/{id}/remove", "Take it back", |m, call| {
        Box::pin(then(invitations::revoke(m, call), "/dashboard/team", "removed"))
    }),
    member(Role::Member, "GET", "/v1/account", "One's own account", |m, _| Box::pin(accounts::show(m))),
    member(
        Role::Member,
        "POST",
        "/v1/account/verification",
        "Have a link mailed to one's address",
        |m, _| Box::pin(accounts::verify(m)),
    ),
    member(Role::Member, "POST", "/v1/account/email", "Take another address", |m, call| {
        Box::pin(accounts::change_email(m, call))
    }),
    member(
        Role::Member,
        "POST",
        "/v1/account/totp",
        "Begin two-step sign-in; the key is shown once",
        |m, call| Box::pin(two_step::begin(m, call)),
    ),
    member(
        Role::Member,
        "POST",
        "/v1/account/totp/confirm",
        "Turn it on; recovery codes are shown once",
        |m, call| Box::pin(two_step::confirm(m, call)),
    ),
    member(Role::Member, "POST", "/v1/account/totp/end", "Turn it off", |m, call| {
        Box::pin(two_step::end(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/account/verification", "Have a link mailed", |m, _| {
        Box::pin(then(accounts::verify(m), "/dashboard/sessions", "mailed"))
    }),
    page(Role::Member, "POST", "/dashboard/account/email", "Take another address", |m, call| {
        Box::pin(then(accounts::change_email(m, call), "/dashboard/sessions", "mailed"))
    }),
    page(Role::Member, "POST", "/dashboard/account/totp", "Begin two-step sign-in", |m, call| {
        Box::pin(dashboard::account::totp_begin(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/account/totp/confirm", "Turn it on", |m, call| {
        Box::pin(dashboard::account::totp_confirm(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/account/totp/end", "Turn it off", |m, call| {
        Box::pin(then(two_step::end(m, call), "/dashboard/sessions", "two-step-off"))
    }),
    // Support: who of the operator's people was let in; and the page behind their link.
    member(Role::Owner, "GET", "/v1/support", "Whether support may enter, and who did", |m, _| {
        Box::pin(support::list(m))
    }),
    member(Role::Owner, "PUT", "/v1/support", "Let support enter, or forbid it", |m, call| {
        Box::pin(support::allow(m, call))
    }),
    member(Role::Owner, "POST", "/v1/support/{id}/end", "End an access of support's", |m, call| {
        Box::pin(support::end(m, call))
    }),
    page(Role::Owner, "GET", "/dashboard/support", "Support access, for the owner", |m, call| {
        Box::pin(dashboard::support::show(m, call))
    }),
    page(Role::Owner, "POST", "/dashboard/support", "Let support enter, or forbid it", |m, call| {
        Box::pin(then(support::allow(m, call), "/dashboard/support", "saved-so"))
    }),
    page(Role::Owner, "POST", "/dashboard/support/{id}/end", "End an access", |m, call| {
        Box::pin(then(support::end(m, call), "/dashboard/support", "ended"))
    }),
    guest("GET", "/dashboard/sign-in/support", "The page behind support's link", |s, call| {
        Box::pin(dashboard::support::arrive(s, call))
    }),
    guest("POST", "/dashboard/sign-in/support", "Enter as support", |s, call| {
        Box::pin(dashboard::support::enter(s, call))
    }),
    // The dashboard's pages and forms.
    guest("GET", "/dashboard/sign-in", "The door of the dashboard", |s, call| Box::pin(door::show(s, call))),
    guest("POST", "/dashboard/sign-in", "Sign in, in a browser", |s, call| Box::pin(door::enter(s, call))),
    page(Role::Member, "POST", "/dashboard/sign-out", "Sign out", |m, _| Box::pin(door::leave(m))),
    page(Role::Member, "GET", "/dashboard", "Overview", |m, call| {
        Box::pin(dashboard::overview::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/notices/{id}/seen", "A notice is seen", |m, call| {
        Box::pin(then(notices::seen(m, call), "/dashboard", "saved"))
    }),
    page(Role::Member, "POST", "/dashboard/checklist/{id}", "A step is done", |m, call| {
        Box::pin(dashboard::checklist::change(m, call))
    }),
    page(Role::Member, "GET", "/dashboard/inbox", "The inbox", |m, call| {
        Box::pin(dashboard::inbox::list(m, call))
    }),
    page(Role::Member, "GET", "/dashboard/inbox/{id}", "A conversation", |m, call| {
        Box::pin(dashboard::inbox::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/inbox/{id}", "Take over, hand back, close, reopen", |m, call| {
        Box::pin(dashboard::inbox::change(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/inbox/{id}/replies", "Answer as a person", |m, call| {
        Box::pin(dashboard::inbox::reply(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/inbox/{id}/notes", "A note for colleagues", |m, call| {
        Box::pin(dashboard::inbox::note(m, call))
    }),
    // The library's pages and forms.
    page(
        Role::Member,
        "GET",
        "/dashboard/knowledge/search",
        "What an agent finds for a question",
        |m, call| Box::pin(dashboard::library::search(m, call)),
    ),
    page(Role::Member, "GET", "/dashboard/knowledge/drafts", "Drafts that wait for a person", |m, call| {
        Box::pin(dashboard::drafts::list(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/knowledge/drafts/approve", "Make entries of drafts", |m, call| {
        Box::pin(then(drafts::approve_all(m, call), "/dashboard/knowledge/drafts", "approved"))
    }),
    page(Role::Member, "POST", "/dashboard/knowledge/drafts/discard", "Remove drafts", |m, call| {
        Box::pin(then(drafts::discard_all(m, call), "/dashboard/knowledge/drafts", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/knowledge/drafts/{id}", "A draft", |m, call| {
        Box::pin(dashboard::drafts::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/knowledge/drafts/{id}", "Change a draft", |m, call| {
        Box::pin(dashboard::drafts::change(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/knowledge/drafts/{id}/remove", "Remove a draft", |m, call| {
        Box::pin(then(drafts::remove(m, call), "/dashboard/knowledge/drafts", "removed"))
    }),
    page(
        Role::Member,
        "POST",
        "/dashboard/knowledge/drafts/{id}/approve",
        "Make an entry of it",
        |m, call| Box::pin(then(drafts::approve(m, call), "/dashboard/knowledge/drafts", "approved")),
    ),
    page(Role::Member, "POST", "/dashboard/knowledge/import", "Import a document", |m, call| {
        Box::pin(dashboard::drafts::imported(drafts::import::document(m, call)))
    }),
    page(Role::Member, "POST", "/dashboard/knowledge/import/website", "Import a website", |m, call| {
        Box::pin(dashboard::drafts::imported(drafts::import::website(m, call)))
    }),
    page(Role::Member, "GET", "/dashboard/unanswered", "What visitors asked in vain", |m, call| {
        Box::pin(dashboard::library::unanswered(m, call))
    }),
    page(Role::Member, "GET", "/dashboard/unanswered/{id}", "Answer a question", |m, call| {
        Box::pin(dashboard::library::question(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/unanswered/{id}/answer", "Add its answer", |m, call| {
        Box::pin(then(unanswered::reply(m, call), "/dashboard/unanswered", "added"))
    }),
    page(Role::Member, "POST", "/dashboard/unanswered/{id}/draft", "Have a model draft it", |m, call| {
        Box::pin(dashboard::drafts::written(unanswered::draft(m, call)))
    }),
    page(Role::Member, "POST", "/dashboard/unanswered/{id}/remove", "Dismiss it for good", |m, call| {
        Box::pin(then(unanswered::dismiss(m, call), "/dashboard/unanswered", "dismissed"))
    }),
    page(
        Role::Member,
        "GET",
        "/dashboard/templates/updates",
        "What the templates have otherwise",
        |m, call| Box::pin(dashboard::library::updates(m, call)),
    ),
    page(
        Role::Admin,
        "POST",
        "/dashboard/templates/updates",
        "Accept updates, or keep one's own",
        |m, call| Box::pin(then(updates::apply(m, call), "/dashboard/templates/updates", "updated")),
    ),
    page(Role::Member, "GET", "/dashboard/knowledge", "Knowledge", |m, call| {
        Box::pin(dashboard::knowledge::list(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/knowledge", "Add an entry", |m, call| {
        Box::pin(then(knowledge::add(m, call), "/dashboard/knowledge", "added"))
    }),
    page(Role::Member, "GET", "/dashboard/knowledge/{id}", "An entry", |m, call| {
        Box::pin(dashboard::knowledge::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/knowledge/{id}", "Change an entry", |m, call| {
        Box::pin(then(knowledge::change(m, call), "/dashboard/knowledge", "saved"))
    }),
    page(Role::Member, "POST", "/dashboard/knowledge/{id}/remove", "Remove an entry", |m, call| {
        Box::pin(then(knowledge::remove(m, call), "/dashboard/knowledge", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/agents", "Agents", |m, call| {
        Box::pin(dashboard::agents::list(m, call))
    }),
    page(Role::Admin, "GET", "/dashboard/agents/{id}", "An agent, to be changed", |m, call| {
        Box::pin(dashboard::agents::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/agents/{id}", "Change an agent", |m, call| {
        Box::pin(then(agents::change(m, call), "/dashboard/agents", "saved"))
    }),
    page(Role::Admin, "GET", "/dashboard/providers", "Model providers", |m, call| {
        Box::pin(dashboard::providers::list(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/providers", "Add a provider", |m, call| {
        Box::pin(then(providers::add(m, call), "/dashboard/providers", "added"))
    }),
    page(Role::Admin, "POST", "/dashboard/providers/{id}", "Change a provider", |m, call| {
        Box::pin(then(providers::change(m, call), "/dashboard/providers", "saved"))
    }),
    page(Role::Admin, "POST", "/dashboard/providers/{id}/remove", "Remove a provider", |m, call| {
        Box::pin(then(providers::remove(m, call), "/dashboard/providers", "removed"))
    }),
    page(Role::Admin, "POST", "/dashboard/providers/{id}/test", "Try a provider's key", |m, call| {
        Box::pin(dashboard::providers::test(m, call))
    }),
    page(Role::Member, "GET", "/dashboard/budget", "Budget", |m, call| {
        Box::pin(dashboard::budget::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/budget", "Change the budget", |m, call| {
        Box::pin(then(budget::change(m, call), "/dashboard/budget", "saved"))
    }),
    page(Role::Member, "GET", "/dashboard/usage", "Usage", |m, call| {
        Box::pin(dashboard::usage::show(m, call))
    }),
    page(Role::Member, "GET", "/dashboard/leads", "Leads", |m, call| {
        Box::pin(dashboard::leads::list(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/leads/{id}", "Move a lead", |m, call| {
        Box::pin(then(leads::change(m, call), "/dashboard/leads", "saved"))
    }),
    page(Role::Member, "GET", "/dashboard/leads/export", "Leads for a spreadsheet", |m, _| {
        Box::pin(dashboard::leads::export(m))
    }),
    page(Role::Admin, "GET", "/dashboard/team", "Who works here", |m, call| {
        Box::pin(dashboard::team::list(m, call))
    }),
    page(Role::Admin, "GET", "/dashboard/audit", "What was done", |m, call| {
        Box::pin(dashboard::team::audit(m, call))
    }),
    page(Role::Member, "GET", "/dashboard/sessions", "What protects one's account", |m, call| {
        Box::pin(dashboard::account::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/sessions/{id}/remove", "End one of them", |m, call| {
        Box::pin(then(team::session_end(m, call), "/dashboard/sessions", "ended"))
    }),
    page(Role::Admin, "GET", "/dashboard/api-keys", "Keys of the company's own programs", |m, call| {
        Box::pin(dashboard::team::keys(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/api-keys", "Add a key; it is shown once", |m, call| {
        Box::pin(dashboard::team::key_add(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/api-keys/{id}/remove", "Revoke a key", |m, call| {
        Box::pin(then(api_keys::revoke(m, call), "/dashboard/api-keys", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/widget-settings", "The chat on a page", |m, call| {
        Box::pin(dashboard::widget::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/widget-settings", "Change the chat's settings", |m, call| {
        Box::pin(then(widget::settings::change(m, call), "/dashboard/widget-settings", "saved"))
    }),
    page(Role::Member, "GET", "/dashboard/office", "Lists of the office", |m, call| {
        Box::pin(dashboard::office::index(m, call))
    }),
    page(Role::Member, "GET", "/dashboard/services", "Services and prices", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/services", "Add to them", |m, call| {
        Box::pin(then(services::add(m, call), "/dashboard/services", "added"))
    }),
    page(Role::Admin, "POST", "/dashboard/services/{id}", "Change one", |m, call| {
        Box::pin(then(services::change(m, call), "/dashboard/services", "saved"))
    }),
    page(Role::Admin, "POST", "/dashboard/services/{id}/remove", "Remove one", |m, call| {
        Box::pin(then(services::remove(m, call), "/dashboard/services", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/replies", "Messages", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/replies", "Add to them", |m, call| {
        Box::pin(then(replies::add(m, call), "/dashboard/replies", "added"))
    }),
    page(Role::Member, "POST", "/dashboard/replies/{id}", "Change one", |m, call| {
        Box::pin(then(replies::change(m, call), "/dashboard/replies", "saved"))
    }),
    page(Role::Member, "POST", "/dashboard/replies/{id}/remove", "Remove one", |m, call| {
        Box::pin(then(replies::remove(m, call), "/dashboard/replies", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/terms", "Terms of the trade", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/terms", "Add to them", |m, call| {
        Box::pin(then(terms::add(m, call), "/dashboard/terms", "added"))
    }),
    page(Role::Member, "POST", "/dashboard/terms/{id}", "Change one", |m, call| {
        Box::pin(then(terms::change(m, call), "/dashboard/terms", "saved"))
    }),
    page(Role::Member, "POST", "/dashboard/terms/{id}/remove", "Remove one", |m, call| {
        Box::pin(then(terms::remove(m, call), "/dashboard/terms", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/lead-questions", "Questions to possible customers", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/lead-questions", "Add to them", |m, call| {
        Box::pin(then(questions::add(m, call), "/dashboard/lead-questions", "added"))
    }),
    page(Role::Member, "POST", "/dashboard/lead-questions/{id}", "Change one", |m, call| {
        Box::pin(then(questions::change(m, call), "/dashboard/lead-questions", "saved"))
    }),
    page(Role::Member, "POST", "/dashboard/lead-questions/{id}/remove", "Remove one", |m, call| {
        Box::pin(then(questions::remove(m, call), "/dashboard/lead-questions", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/quick-replies", "Questions with one tap", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/quick-replies", "Add to them", |m, call| {
        Box::pin(then(questions::quick_add(m, call), "/dashboard/quick-replies", "added"))
    }),
    page(Role::Member, "POST", "/dashboard/quick-replies/{id}", "Change one", |m, call| {
        Box::pin(then(questions::quick_change(m, call), "/dashboard/quick-replies", "saved"))
    }),
    page(Role::Member, "POST", "/dashboard/quick-replies/{id}/remove", "Remove one", |m, call| {
        Box::pin(then(questions::quick_remove(m, call), "/dashboard/quick-replies", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/payment-methods", "Ways to pay", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/payment-methods/{id}", "Change one", |m, call| {
        Box::pin(then(services::method_change(m, call), "/dashboard/payment-methods", "saved"))
    }),
    // More of the dashboard: the site's editor, previews, agents on trial, and what a company is set up with.
    page(Role::Member, "GET", "/dashboard/site", "The site's pages", |m, call| {
        Box::pin(dashboard::site_editor::list(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/site", "Add a page", |m, call| {
        Box::pin(then(pages::add(m, call), "/dashboard/site", "added"))
    }),
    page(Role::Admin, "GET", "/dashboard/site/{id}", "A page, to be changed", |m, call| {
        Box::pin(dashboard::site_editor::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/site/{id}", "Change a page", |m, call| {
        Box::pin(then(pages::change(m, call), "/dashboard/site", "saved"))
    }),
    page(Role::Admin, "POST", "/dashboard/site/{id}/remove", "Remove a page", |m, call| {
        Box::pin(then(pages::remove(m, call), "/dashboard/site", "removed"))
    }),
    page(Role::Admin, "POST", "/dashboard/site-preview", "A page as it would be", |m, call| {
        Box::pin(dashboard::site_editor::draft(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/widget-preview", "The chat as it would be", |m, call| {
        Box::pin(dashboard::widget::draft(m, call))
    }),
    guest("GET", "/assets/preview.js", "What holds the chat in a preview back", |_, _| {
        Box::pin(assets::file(&assets::PREVIEW_JS))
    }),
    page(Role::Admin, "POST", "/dashboard/agents", "Add an agent", |m, call| {
        Box::pin(then(agents::add(m, call), "/dashboard/agents", "added"))
    }),
    page(Role::Admin, "POST", "/dashboard/agents/{id}/remove", "Remove an agent", |m, call| {
        Box::pin(then(agents::remove(m, call), "/dashboard/agents", "removed"))
    }),
    member(Role::Admin, "POST", "/v1/agents/{id}/try", "Ask an agent, as its company's people", |m, call| {
        Box::pin(agents::trial::ask(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/agents/{id}/try", "Ask an agent", |m, call| {
        Box::pin(dashboard::agents::ask(m, call))
    }),
    member(Role::Member, "GET", "/v1/leads/{id}", "A lead", |m, call| Box::pin(leads::show(m, call))),
    page(Role::Member, "GET", "/dashboard/leads/{id}", "A lead", |m, call| {
        Box::pin(dashboard::leads::show(m, call))
    }),
    member(Role::Member, "GET", "/v1/contacts", "Everybody who left a way to be reached", |m, _| {
        Box::pin(leads::contacts(m))
    }),
    page(Role::Member, "GET", "/dashboard/contacts/export", "Contacts for a spreadsheet", |m, _| {
        Box::pin(dashboard::leads::contacts(m))
    }),
    page(Role::Member, "GET", "/dashboard/checklist", "What an owner does and confirms", |m, call| {
        Box::pin(dashboard::checklist::show(m, call))
    }),
    member(Role::Member, "GET", "/v1/plan", "What the plan allows, and what is used of it", |m, _| {
        Box::pin(plan::show(m))
    }),
    page(Role::Member, "GET", "/dashboard/plan", "The plan", |m, call| {
        Box::pin(dashboard::plan::show(m, call))
    }),
    page(Role::Member, "GET", "/dashboard/hours", "Opening hours and closed days", |m, call| {
        Box::pin(dashboard::hours::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/hours", "Change the opening hours", |m, call| {
        Box::pin(then(calendar::hours_change(m, call), "/dashboard/hours", "saved"))
    }),
    page(Role::Admin, "POST", "/dashboard/closures", "Close on a day", |m, call| {
        Box::pin(then(calendar::closure_add(m, call), "/dashboard/hours", "added"))
    }),
    page(Role::Admin, "POST", "/dashboard/closures/{id}/remove", "Open on that day after all", |m, call| {
        Box::pin(then(calendar::closure_remove(m, call), "/dashboard/hours", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/contexts", "Texts in front of every prompt", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/contexts/{id}", "Change one", |m, call| {
        Box::pin(then(contexts::change(m, call), "/dashboard/contexts", "saved"))
    }),
    page(Role::Member, "GET", "/dashboard/pipeline", "Stages of a lead", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/pipeline", "Add to them", |m, call| {
        Box::pin(then(pipeline::add(m, call), "/dashboard/pipeline", "added"))
    }),
    page(Role::Admin, "POST", "/dashboard/pipeline/{id}", "Change one", |m, call| {
        Box::pin(then(pipeline::change(m, call), "/dashboard/pipeline", "saved"))
    }),
    page(Role::Admin, "POST", "/dashboard/pipeline/{id}/remove", "Remove one", |m, call| {
        Box::pin(then(pipeline::remove(m, call), "/dashboard/pipeline", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/labels", "Labels", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Member, "POST", "/dashboard/labels", "Add to them", |m, call| {
        Box::pin(then(labels::add(m, call), "/dashboard/labels", "added"))
    }),
    page(Role::Member, "POST", "/dashboard/labels/{id}", "Change one", |m, call| {
        Box::pin(then(labels::change(m, call), "/dashboard/labels", "saved"))
    }),
    page(Role::Member, "POST", "/dashboard/labels/{id}/remove", "Remove one", |m, call| {
        Box::pin(then(labels::remove(m, call), "/dashboard/labels", "removed"))
    }),
    page(Role::Member, "GET", "/dashboard/notifications", "Who is told of what", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/notifications/{id}", "Change one", |m, call| {
        Box::pin(then(notifications::change(m, call), "/dashboard/notifications", "saved"))
    }),
    page(Role::Member, "GET", "/dashboard/follow-ups", "Following up", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/follow-ups/{id}", "Change one", |m, call| {
        Box::pin(then(replies::step_change(m, call), "/dashboard/follow-ups", "saved"))
    }),
    page(Role::Member, "GET", "/dashboard/appointment-types", "Appointments", |m, call| {
        Box::pin(dashboard::office::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/appointment-types/{id}", "Change one", |m, call| {
        Box::pin(then(calendar::type_change(m, call), "/dashboard/appointment-types", "saved"))
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
    // Webhooks: where its own programs are told of what happens; beside each the page or form that does the same.
    member(Role::Admin, "GET", "/v1/webhooks", "Where programs are told of what happens", |m, _| {
        Box::pin(webhooks::list(m))
    }),
    member(Role::Admin, "POST", "/v1/webhooks", "Add a webhook; its secret is shown once", |m, call| {
        Box::pin(webhooks::add(m, call))
    }),
    member(Role::Admin, "GET", "/v1/webhooks/{id}", "A webhook", |m, call| Box::pin(webhooks::show(m, call))),
    member(Role::Admin, "PATCH", "/v1/webhooks/{id}", "Change a webhook, or turn it off or on", |m, call| {
        Box::pin(webhooks::change(m, call))
    }),
    member(
        Role::Admin,
        "DELETE",
        "/v1/webhooks/{id}",
        "Remove a webhook and what waits for it",
        |m, call| Box::pin(webhooks::remove(m, call)),
    ),
    member(Role::Admin, "POST", "/v1/webhooks/{id}/secret", "A new secret; it is shown once", |m, call| {
        Box::pin(webhooks::renew(m, call))
    }),
    member(Role::Admin, "POST", "/v1/webhooks/{id}/test", "Send a webhook a test", |m, call| {
        Box::pin(webhooks::deliveries::test(m, call))
    }),
    member(Role::Admin, "GET", "/v1/webhooks/{id}/deliveries", "What a webhook was told", |m, call| {
        Box::pin(webhooks::deliveries::list(m, call))
    }),
    member(Role::Admin, "POST", "/v1/deliveries/{id}/replay", "Deliver it again", |m, call| {
        Box::pin(webhooks::deliveries::replay(m, call))
    }),
    page(Role::Admin, "GET", "/dashboard/webhooks", "Where programs are told of what happens", |m, call| {
        Box::pin(dashboard::webhooks::list(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/webhooks", "Add a webhook; its secret is shown once", |m, call| {
        Box::pin(dashboard::webhooks::add(m, call))
    }),
    page(Role::Admin, "GET", "/dashboard/webhooks/{id}", "What a webhook was told", |m, call| {
        Box::pin(dashboard::webhooks::show(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/webhooks/{id}", "Turn a webhook off or on", |m, call| {
        Box::pin(then(webhooks::change(m, call), "/dashboard/webhooks", "set"))
    }),
    page(Role::Admin, "POST", "/dashboard/webhooks/{id}/remove", "Remove a webhook", |m, call| {
        Box::pin(then(webhooks::remove(m, call), "/dashboard/webhooks", "removed"))
    }),
    page(
        Role::Admin,
        "POST",
        "/dashboard/webhooks/{id}/secret",
        "A new secret; it is shown once",
        |m, call| Box::pin(dashboard::webhooks::renew(m, call)),
    ),
    page(Role::Admin, "POST", "/dashboard/webhooks/{id}/test", "Send a webhook a test", |m, call| {
        Box::pin(dashboard::webhooks::test(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/deliveries/{id}/replay", "Deliver it again", |m, call| {
        Box::pin(dashboard::webhooks::replay(m, call))
    }),
    // Its own domains; beside each the page or form that does the same.
    member(
        Role::Admin,
        "GET",
        "/v1/domains",
        "The company's own domains, and their records in the DNS",
        |m, _| Box::pin(domains::list(m)),
    ),
    member(Role::Admin, "POST", "/v1/domains", "Claim a domain", |m, call| Box::pin(domains::add(m, call))),
    member(
        Role::Admin,
        "POST",
        "/v1/domains/{id}/verify",
        "Look for its record, and answer there",
        |m, call| Box::pin(domains::verify(m, call)),
    ),
    member(Role::Admin, "DELETE", "/v1/domains/{id}", "Give a domain up", |m, call| {
        Box::pin(domains::remove(m, call))
    }),
    page(Role::Admin, "GET", "/dashboard/domains", "The company's own domains", |m, call| {
        Box::pin(dashboard::domains::list(m, call))
    }),
    page(Role::Admin, "POST", "/dashboard/domains", "Claim a domain", |m, call| {
        Box::pin(then(domains::add(m, call), "/dashboard/domains", "claimed"))
    }),
    page(Role::Admin, "POST", "/dashboard/domains/{id}/verify", "Look for its record", |m, call| {
        Box::pin(then(domains::verify(m, call), "/dashboard/domains", "leads-here"))
    }),
    page(Role::Admin, "POST", "/dashboard/domains/{id}/remove", "Give a domain up", |m, call| {
        Box::pin(then(domains::remove(m, call), "/dashboard/domains", "removed"))
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
    // Its office.
    member(Role::Member, "PATCH", "/v1/leads/{id}", "Move a lead to a stage", |m, call| {
        Box::pin(leads::change(m, call))
    }),
    member(Role::Member, "GET", "/v1/pipeline", "Stages of a lead", |m, _| Box::pin(pipeline::list(m))),
    member(Role::Admin, "POST", "/v1/pipeline", "Add a stage", |m, call| Box::pin(pipeline::add(m, call))),
    member(Role::Admin, "PATCH", "/v1/pipeline/{id}", "Change a stage", |m, call| {
        Box::pin(pipeline::change(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/pipeline/{id}", "Remove a stage", |m, call| {
        Box::pin(pipeline::remove(m, call))
    }),
    member(Role::Member, "GET", "/v1/labels", "Labels of leads", |m, _| Box::pin(labels::list(m))),
    member(Role::Member, "POST", "/v1/labels", "Add a label", |m, call| Box::pin(labels::add(m, call))),
    member(Role::Member, "PATCH", "/v1/labels/{id}", "Change a label", |m, call| {
        Box::pin(labels::change(m, call))
    }),
    member(Role::Member, "DELETE", "/v1/labels/{id}", "Remove a label", |m, call| {
        Box::pin(labels::remove(m, call))
    }),
    member(Role::Member, "GET", "/v1/replies", "E-mails, text messages and canned replies", |m, _| {
        Box::pin(replies::list(m))
    }),
    member(Role::Member, "POST", "/v1/replies", "Add a message", |m, call| Box::pin(replies::add(m, call))),
    member(Role::Member, "PATCH", "/v1/replies/{id}", "Change a message", |m, call| {
        Box::pin(replies::change(m, call))
    }),
    member(Role::Member, "DELETE", "/v1/replies/{id}", "Remove a message", |m, call| {
        Box::pin(replies::remove(m, call))
    }),
    member(Role::Member, "GET", "/v1/follow-ups", "Steps of following up", |m, _| {
        Box::pin(replies::step_list(m))
    }),
    member(Role::Admin, "PATCH", "/v1/follow-ups/{id}", "Change a step", |m, call| {
        Box::pin(replies::step_change(m, call))
    }),
    member(Role::Member, "GET", "/v1/notifications", "Who is told of what", |m, _| {
        Box::pin(notifications::list(m))
    }),
    member(Role::Admin, "PATCH", "/v1/notifications/{id}", "Change a notification", |m, call| {
        Box::pin(notifications::change(m, call))
    }),
    member(Role::Member, "GET", "/v1/checklist", "What an owner does and confirms", |m, _| {
        Box::pin(checklist::list(m))
    }),
    member(Role::Member, "PATCH", "/v1/checklist/{id}", "Change an item: do it or confirm it", |m, call| {
        Box::pin(checklist::change(m, call))
    }),
    member(Role::Member, "GET", "/v1/hours", "Opening hours and closed days", |m, _| {
        Box::pin(calendar::hours(m))
    }),
    member(Role::Admin, "PATCH", "/v1/hours", "Change the opening hours", |m, call| {
        Box::pin(calendar::hours_change(m, call))
    }),
    member(Role::Admin, "POST", "/v1/closures", "Close on a day", |m, call| {
        Box::pin(calendar::closure_add(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/closures/{id}", "Open on that day after all", |m, call| {
        Box::pin(calendar::closure_remove(m, call))
    }),
    member(
        Role::Member,
        "GET",
        "/v1/appointment-types",
        "What can be asked for as an appointment",
        |m, _| Box::pin(calendar::type_list(m)),
    ),
    member(Role::Admin, "PATCH", "/v1/appointment-types/{id}", "Change a type of appointment", |m, call| {
        Box::pin(calendar::type_change(m, call))
    }),
    member(Role::Member, "GET", "/v1/services", "Services and prices", |m, _| Box::pin(services::list(m))),
    member(Role::Admin, "POST", "/v1/services", "Add a service", |m, call| Box::pin(services::add(m, call))),
    member(Role::Admin, "PATCH", "/v1/services/{id}", "Change a service", |m, call| {
        Box::pin(services::change(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/services/{id}", "Remove a service", |m, call| {
        Box::pin(services::remove(m, call))
    }),
    member(Role::Member, "GET", "/v1/payment-methods", "Ways to pay", |m, _| {
        Box::pin(services::method_list(m))
    }),
    member(Role::Admin, "PATCH", "/v1/payment-methods/{id}", "Change a way to pay", |m, call| {
        Box::pin(services::method_change(m, call))
    }),
    member(
        Role::Member,
        "GET",
        "/v1/terms",
        "Terms of the trade, by which search widens questions",
        |m, _| Box::pin(terms::list(m)),
    ),
    member(Role::Member, "POST", "/v1/terms", "Add a term", |m, call| Box::pin(terms::add(m, call))),
    member(Role::Member, "PATCH", "/v1/terms/{id}", "Change a term", |m, call| {
        Box::pin(terms::change(m, call))
    }),
    member(Role::Member, "DELETE", "/v1/terms/{id}", "Remove a term", |m, call| {
        Box::pin(terms::remove(m, call))
    }),
    member(Role::Member, "GET", "/v1/contexts", "Texts in front of every prompt", |m, _| {
        Box::pin(contexts::list(m))
    }),
    member(Role::Admin, "PATCH", "/v1/contexts/{id}", "Change a context", |m, call| {
        Box::pin(contexts::change(m, call))
    }),
    member(Role::Member, "GET", "/v1/pages", "Pages of the site", |m, _| Box::pin(pages::list(m))),
    member(Role::Admin, "POST", "/v1/pages", "Add a page", |m, call| Box::pin(pages::add(m, call))),
    member(Role::Admin, "PATCH", "/v1/pages/{id}", "Change a page", |m, call| {
        Box::pin(pages::change(m, call))
    }),
    member(Role::Admin, "DELETE", "/v1/pages/{id}", "Remove a page", |m, call| {
        Box::pin(pages::remove(m, call))
    }),
    member(Role::Member, "GET", "/v1/lead-questions", "Questions to possible customers", |m, _| {
        Box::pin(questions::list(m))
    }),
    member(Role::Member, "POST", "/v1/lead-questions", "Add a question", |m, call| {
        Box::pin(questions::add(m, call))
    }),
    member(Role::Member, "PATCH", "/v1/lead-questions/{id}", "Change a question", |m, call| {
        Box::pin(questions::change(m, call))
    }),
    member(Role::Member, "DELETE", "/v1/lead-questions/{id}", "Remove a question", |m, call| {
        Box::pin(questions::remove(m, call))
    }),
    member(Role::Member, "GET", "/v1/quick-replies", "Questions with one tap", |m, _| {
        Box::pin(questions::quick_list(m))
    }),
    member(Role::Member, "POST", "/v1/quick-replies", "Add a quick reply", |m, call| {
        Box::pin(questions::quick_add(m, call))
    }),
    member(Role::Member, "PATCH", "/v1/quick-replies/{id}", "Change a quick reply", |m, call| {
        Box::pin(questions::quick_change(m, call))
    }),
    member(Role::Member, "DELETE", "/v1/quick-replies/{id}", "Remove a quick reply", |m, call| {
        Box::pin(questions::quick_remove(m, call))
    }),
    member(Role::Admin, "GET", "/v1/roles", "What each role may do", |m, _| Box::pin(roles::list(m))),
    member(Role::Owner, "PATCH", "/v1/roles", "Change what a role may do", |m, call| {
        Box::pin(roles::change(m, call))
    }),
    member(Role::Member, "GET", "/v1/templates/updates", "What the templates have otherwise", |m, _| {
        Box::pin(updates::list(m))
    }),
    member(
        Role::Admin,
        "POST",
        "/v1/templates/updates",
        "Bring unedited rows up to date, and accepted ones",
        |m, call| Box::pin(updates::apply(m, call)),
    ),
];

const fn apex(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Apex(run), cross_origin: false }
}

const fn operator(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Operator(run), cross_origin: false }
}

const fn guest(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(TenantScope, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Guest(run), cross_origin: false }
}

/// For anyone on the company's host, and on pages of origins that it lists.
const fn anywhere(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(TenantScope, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Guest(run), cross_origin: true }
}

const fn visitor(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Visitor, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Visitor(run), cross_origin: true }
}

const fn member(
    role: Role,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Member, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Member(role, run), cross_origin: false }
}

const fn page(
    role: Role,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Member, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Page(role, run), cross_origin: false }
}

const fn program(
    scope: KeyScope,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    run: fn(Program, Call) -> Answer,
) -> Route {
    Route { method, path, summary, run: Run::Program(scope, run), cross_origin: false }
}
