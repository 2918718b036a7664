//! Who may call what: every route of the table × every kind of caller, over the built worker.
//!
//! The outcome is `access_matrix.txt` beside this file, for people to read. Two checks that cannot be fooled by writing
//! it anew: what each route's declaration promises is asked of each cell, and a table that became smaller fails.

use std::fmt::Write as _;

use bulkhead::api_keys::KeyScope;
use bulkhead::routes::{ROUTES, Role, Route, Run};
use bulkhead::totp::{code, step};
use bulkhead_tests::company::{Company, PASSWORD, Visitor, form, kind, unbase32, with};
use bulkhead_tests::described::check;
use bulkhead_tests::dns;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::token::{Token, claims, now_s};
use http::Method;
use serde_json::{Value, json};

/// Who calls, always at acme's host (or the platform's), and how the column is called.
const CALLERS: &[(&str, &str)] = &[
    ("nobody", "no token"),
    ("visitor", "a visitor of this company"),
    ("member", "signed in, role member"),
    ("admin", "signed in, role admin"),
    ("owner", "signed in, role owner"),
    ("o-visit", "a visitor of another company"),
    ("o-owner", "the owner of another company"),
    ("expired", "the owner's access token, expired; for visitors' routes a visitor's token, expired"),
    ("refresh", "the owner's refresh token in place of an access token"),
    ("vis-mem", "a visitor's id in a rightly signed access token, with a session of nobody's"),
    ("mem-vis", "the owner's id in a rightly signed visitor token"),
    ("left", "an owner whose membership has ended, session still open"),
    ("ended", "an owner whose session was revoked"),
    ("session", "an owner with the session of a colleague"),
    ("program", "a program of this company, its key good for everything"),
    ("o-prog", "a program of another company, its key good for everything there"),
    ("p-less", "a program whose key has every scope but the route's"),
    ("p-ended", "a program whose key has ended"),
    ("p-gone", "a program whose key was revoked"),
    ("support", "the operator's support, let in for half an hour"),
    ("s-ended", "the same after its access was ended"),
];

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/it/access_matrix.txt");
const WRITE: &str = "BULKHEAD_WRITE_SNAPSHOTS";

#[tokio::test]
async fn the_access_matrix_is_the_one_that_was_agreed_on() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let world = World::new(&acme, &bright).await;
    let mut rows = Vec::new();
    let mut cells = 0;
    for route in ROUTES {
        let mut row = format!("{:<7}{:<34}{:<9}", route.method, route.path, declared(&route.run));
        for (caller, _) in CALLERS {
            let status = world.call(route, caller).await;
            check_promise(route, caller, status);
            write!(row, "{status:<9}").unwrap();
            cells += 1;
        }
        rows.push(row.trim_end().to_owned());
    }
    tally("1 identity", "routes × callers", cells, 988);
    compare(&rows);
}

/// Forms whose answer is itself the page that shows what was made, this once.
const SHOWN_ONCE: &[&str] = &[
    "/dashboard/api-keys",
    "/dashboard/account/totp",
    "/dashboard/account/totp/confirm",
    "/dashboard/webhooks",
    "/dashboard/webhooks/{id}/secret",
];

/// What the route's own declaration promises of this caller, whatever the snapshot says.
fn check_promise(route: &Route, caller: &str, status: u16) {
    let role = match caller {
        "member" => Some(Role::Member),
        "admin" => Some(Role::Admin),
        "owner" => Some(Role::Owner),
        _ => None,
    };
    let support = caller == "support";
    // A form's answer is the way to a page; whoever is not signed in is shown the door when they read.
    let posts = route.method == "POST";
    let (done, refused) = if posts { (303..=303, 401..=401) } else { (200..=200, 303..=303) };
    let expected = match (&route.run, role) {
        (Run::Guest(_), _) if (route.for_browsers() || route.path == "/enter") && posts => 303..=303,
        (Run::Apex(_) | Run::Guest(_), _) => 200..=299,
        // Nobody here is the operator.
        (Run::Operator(_), _) => 404..=404,
        (Run::Visitor(_), _) if caller == "visitor" => 200..=299,
        (Run::Member(least, _), Some(role)) if role >= *least => 200..=299,
        // The key is on the answer itself, this once; and what would be is shown, not done.
        (Run::Page(least, _), Some(role))
            if role >= *least
                && posts
                && (SHOWN_ONCE.contains(&route.path) || route.path.ends_with("-preview")) =>
        {
            200..=200
        }
        (Run::Page(least, _), Some(role)) if role >= *least => done,
        (Run::Page(..), None) if (support || caller == "s-ended") && !support_may(route) => 403..=403,
        (Run::Page(..), None) if support && posts && route.path.ends_with("-preview") => 200..=200,
        (Run::Page(..), None) if support => done,
        (Run::Member(..) | Run::Page(..), Some(_)) => 403..=403,
        (Run::Page(..), None) => refused,
        (Run::Visitor(_), _) if caller == "mem-vis" => 200..=404,
        (Run::Program(..), _) if caller == "program" => 200..=299,
        (Run::Program(..), _) if caller == "p-less" => 403..=403,
        (Run::Visitor(_) | Run::Member(..) | Run::Program(..), _) => 401..=401,
    };
    assert!(expected.contains(&status), "{} {} by {caller}: {status}", route.method, route.path);
}

/// What support may, said once more: by pages, and with nothing of the core's own list.
fn support_may(route: &Route) -> bool {
    let page = route.path.trim_start_matches("/dashboard").trim_start_matches('/');
    let area = page.split('/').next().unwrap_or_default();
    let written = [
        "agents",
        "closures",
        "contexts",
        "hours",
        "knowledge",
        "lead-questions",
        "quick-replies",
        "site",
        "site-preview",
        "templates",
        "terms",
        "unanswered",
    ];
    let read = [
        "",
        "appointment-types",
        "checklist",
        "follow-ups",
        "inbox",
        "labels",
        "office",
        "payment-methods",
        "pipeline",
        "replies",
        "services",
        "widget-settings",
    ];
    route.path == "/dashboard/sign-out"
        || written.contains(&area)
        || (route.method == "GET" && read.contains(&area))
}

fn declared(run: &Run) -> &'static str {
    match run {
        Run::Apex(_) => "platform",
        Run::Operator(_) => "operator",
        Run::Guest(_) => "anyone",
        Run::Visitor(_) => "visitor",
        Run::Member(Role::Member, _) | Run::Page(Role::Member, _) => "member",
        Run::Member(Role::Admin, _) | Run::Page(Role::Admin, _) => "admin",
        Run::Member(Role::Owner, _) | Run::Page(Role::Owner, _) => "owner",
        Run::Program(..) => "program",
    }
}

/// Compares with the snapshot, or writes it where that was asked for.
fn compare(rows: &[String]) {
    let mut text = String::from("Who may call what: route × caller → status, over the built worker.\n\n");
    for (name, meaning) in CALLERS {
        writeln!(text, "  {name:<9}{meaning}").unwrap();
    }
    let names: String = CALLERS.iter().map(|(name, _)| format!("{name:<9}")).collect();
    writeln!(text, "\n{:<50}{}", "route, and who it is declared for", names.trim_end()).unwrap();
    text.push_str(&rows.join("\n"));
    text.push('\n');
    if std::env::var(WRITE).is_ok() {
        return std::fs::write(SNAPSHOT, text).unwrap();
    }
    let agreed = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    let lost =
        agreed.lines().filter(|line| !text.lines().any(|other| other == *line)).map(|l| format!("- {l}"));
    let new =
        text.lines().filter(|line| !agreed.lines().any(|other| other == *line)).map(|l| format!("+ {l}"));
    let diff: Vec<String> = lost.chain(new).collect();
    assert!(
        diff.is_empty() && agreed == text,
        "who may call what has changed (- agreed, + now):\n{}\nIf that is meant, write it anew and read the diff: \
         {WRITE}=1 cargo test -p bulkhead-tests access",
        diff.join("\n")
    );
}

/// Two companies, and a token for each caller.
struct World<'company> {
    acme: &'company Company,
    tokens: Vec<(&'static str, String)>,
    expired_visitor: String,
    /// A key with a single scope, for each of them.
    single: Vec<(KeyScope, String)>,
    conversation: String,
}

impl<'company> World<'company> {
    async fn new(acme: &'company Company, bright: &'company Company) -> Self {
        let visitor = acme.visitor().await;
        let conversation = ask(&visitor).await;
        let signed_in = |role: &'static str| async move {
            let person = acme.person(role).await;
            acme.sign_in(&person.email).await.0
        };
        let (left, ended) = (acme.person("owner").await, acme.person("owner").await);
        let (left_token, ended_token) =
            (acme.sign_in(&left.email).await.0, acme.sign_in(&ended.email).await.0);
        run(acme, &format!("update memberships set ended_at = now() where user_id = '{}'", left.user)).await;
        run(acme, &format!("update sessions set revoked_at = now() where user_id = '{}'", ended.user)).await;
        let owner = acme.person("owner").await;
        let session = session(acme, &owner.user).await.0;
        let colleague = acme.person("owner").await.user;
        let nobody = uuid::Uuid::new_v4().to_string();
        let past = now_s() - 60;
        let all = [KeyScope::Chat, KeyScope::Models];
        let names = all.map(KeyScope::as_str);
        let (p_ended, p_gone) = (acme.api_key(&names).await, acme.api_key(&names).await);
        for (key, change) in [(&p_ended, "expires_at = now()"), (&p_gone, "revoked_at = now()")] {
            run(acme, &format!("update api_keys set {change} where key_hash = sha256('{key}')")).await;
        }
        let s_ended = acme.support().await;
        run(acme, &format!("update support_accesses set ended_at = now() where access_id = '{s_ended}'"))
            .await;
        let mut single = Vec::new();
        for scope in all {
            single.push((scope, acme.api_key(&[scope.as_str()]).await));
        }
        let tokens = vec![
            ("nobody", String::new()),
            ("visitor", visitor.token),
            ("member", signed_in("member").await),
            ("admin", signed_in("admin").await),
            ("owner", signed_in("owner").await),
            ("o-visit", bright.visitor().await.token),
            ("o-owner", bright.owner.clone()),
            ("expired", Token::access(acme, &owner.user, &session).claim("exp", past).sign()),
            ("refresh", acme.refresh.clone()),
            ("vis-mem", Token::access(acme, &nobody, &nobody).sign()),
            ("mem-vis", Token::visitor(acme, &owner.user).sign()),
            ("left", left_token),
            ("ended", ended_token),
            ("session", Token::access(acme, &colleague, &session).sign()),
            ("program", acme.api_key(&names).await),
            ("o-prog", bright.api_key(&names).await),
            ("p-less", single[0].1.clone()),
            ("p-ended", p_ended),
            ("p-gone", p_gone),
            ("support", Token::support(acme, &acme.support().await).sign()),
            ("s-ended", Token::support(acme, &s_ended).sign()),
        ];
        let expired_visitor = Token::visitor(acme, &nobody).claim("exp", past).sign();
        // Nothing above is refused for another reason than the one it stands for.
        let good = Token::access(acme, &owner.user, &session).sign();
        assert_eq!(acme.call(&good, Method::GET, "/v1/company", None).await.0, 200);
        Self { acme, tokens, expired_visitor, single, conversation }
    }

    /// One request, whole and right but for who sends it; gives the status.
    async fn call(&self, route: &Route, caller: &str) -> u16 {
        let acme = self.acme;
        let token = match (&route.run, caller) {
            (Run::Visitor(_), "expired") => &self.expired_visitor,
            (Run::Program(scope, _), "p-less") => {
                &self.single.iter().find(|(other, _)| other != scope).unwrap().1
            }
            _ => &self.tokens.iter().find(|(name, _)| *name == caller).unwrap().1,
        };
        let host = if route.run.at_apex() { "localhost".to_owned() } else { acme.host() };
        let path = match route.path.contains("{id}") {
            true => route.path.replace("{id}", &self.id(route, token).await),
            false if route.path == "/v1/slugs" => "/v1/slugs?name=Acme".to_owned(),
            false => route.path.to_owned(),
        };
        let method: Method = route.method.parse().unwrap();
        let mut request = match route.run.at_apex() {
            true if token.is_empty() => acme.stand.http(&host, method, &path),
            true => acme.stand.http(&host, method, &path).bearer_auth(token),
            false => acme.request(token, method, &path),
        };
        if let Some(body) = self.body(route, token).await {
            // The platform's form comes from its own page, and its token goes on from there.
            let from_root = ["/signup", "/enter"].contains(&route.path);
            request = match from_root {
                true => request.header("origin", &acme.stand.root_url).body(form(&body)),
                false => with(request, &path, &body),
            };
        }
        let response = request.send().await.unwrap();
        let (status, kind) = (response.status().as_u16(), kind(&response));
        let body = response.bytes().await.unwrap();
        // What is no JSON has no shape but its length.
        let body = match serde_json::from_slice(&body) {
            Ok(body) => body,
            Err(_) if body.is_empty() => Value::Null,
            Err(_) => Value::String(String::new()),
        };
        check(route.method, &path, status, &kind, &body);
        if matches!((route.path, status), ("/v1/logout", 204) | ("/dashboard/sign-out", 303)) {
            // The next rows want the session back.
            let again = match claims(token)["sid"].as_str() {
                Some(session) => {
                    format!("update sessions set revoked_at = null where session_id = '{session}'")
                }
                None => {
                    let access = claims(token)["sub"].as_str().unwrap().to_owned();
                    format!("update support_accesses set ended_at = null where access_id = '{access}'")
                }
            };
            run(acme, &again).await;
        }
        status
    }

    /// The id of a row of acme's: for removing one of its own, for the rest any.
    async fn id(&self, route: &Route, token: &str) -> String {
        let (method, path) = twin(route);
        if path == "/v1/sessions/{id}" && token.matches('.').count() == 2 {
            // One's own, where the caller is somebody who has any.
            let person = claims(token)["sub"].as_str().unwrap_or_default().to_owned();
            let sql = format!(
                "insert into sessions (company_id, session_id, user_id, refresh_hash, expires_at)
                 select company_id, gen_random_uuid(), user_id, sha256('x'), now() + interval '1 hour'
                 from users where company_id = $1::text::uuid and user_id = '{person}' returning session_id::text"
            );
            if let Some(row) = self.acme.rows(&sql).await.first() {
                return row.get(0);
            }
        }
        let sql = match (method, path.as_str()) {
            (_, path) if path.starts_with("/v1/conversations/{id}") => return self.conversation.clone(),
            (_, "/v1/messages/{id}/rating") => {
                let sql = format!(
                    "select message_id::text from messages
                     where company_id = $1::text::uuid and conversation_id = '{}' and author = 'agent'",
                    self.conversation
                );
                return self.acme.rows(&sql).await[0].get(0);
            }
            ("DELETE", "/v1/agents/{id}") => {
                "insert into agents (company_id, agent_id, slug, name, role, instructions, tier)
                 values ($1::text::uuid, gen_random_uuid(), 'a' || left(gen_random_uuid()::text, 8), 'A', 'r', 'i', 'fast')
                 returning agent_id::text"
            }
            (_, "/v1/agents/{id}") => {
                "select agent_id::text from agents where company_id = $1::text::uuid and is_default"
            }
            (_, "/v1/knowledge/{id}") => {
                "insert into knowledge_entries (company_id, entry_id, category_id, question, answer)
                 select company_id, gen_random_uuid(), category_id, 'q', 'a'
                 from knowledge_categories where company_id = $1::text::uuid limit 1
                 returning entry_id::text"
            }
            // Its key must open, which only the worker can seal.
            (_, "/v1/providers/{id}/test") => return self.acme.provider("openai", "test-ok-access").await,
            (_, "/v1/providers/{id}") => {
                "insert into providers (company_id, provider_id, kind, name, sealed_key, last_four)
                 values ($1::text::uuid, gen_random_uuid(), 'openai', 'P', 'x', '1234')
                 returning provider_id::text"
            }
            (_, path) if path.starts_with("/v1/knowledge/drafts/{id}") => return draft(self.acme).await,
            (_, path) if path.starts_with("/v1/unanswered/{id}") => {
                let providers = "select from providers where company_id = $1::text::uuid and length(sealed_key) > 8";
                if path.ends_with("/draft") && self.acme.rows(providers).await.is_empty() {
                    self.acme.provider("openai", "test-ok-access").await;
                }
                return unanswered(self.acme).await;
            }
            (_, "/v1/support/{id}/end") => return self.acme.support().await,
            (_, "/v1/notices/{id}/seen") => {
                "insert into notices (company_id, notice_id, kind, body)
                 values ($1::text::uuid, gen_random_uuid(), 'lead', 'Somebody called.')
                 returning notice_id::text"
            }
            (_, "/v1/api-keys/{id}") => {
                "insert into api_keys (company_id, api_key_id, name, key_hash, last_four)
                 values ($1::text::uuid, gen_random_uuid(), 'K', sha256(gen_random_uuid()::text::bytea), '1234')
                 returning api_key_id::text"
            }
            (_, path) if path.starts_with("/v1/webhooks/{id}") => return webhook(self.acme).await,
            (_, path) if path.starts_with("/v1/domains/{id}") => return domain(self.acme).await,
            (_, "/v1/deliveries/{id}/replay") => return delivery(self.acme).await,
            ("GET", "/pages/{id}") => return "services".to_owned(),
            (_, "/v1/visitors/{id}") => {
                "insert into contacts (company_id, contact_id, visitor_id, name, phone)
                 values ($1::text::uuid, gen_random_uuid(), gen_random_uuid(), 'Vera', '555 0100')
                 returning visitor_id::text"
            }
            (_, "/v1/agents/{id}/try") => {
                "select agent_id::text from agents where company_id = $1::text::uuid and is_default"
            }
            // Leads are moved to the first one, further down.
            ("DELETE", "/v1/pipeline/{id}") => {
                "select stage_id::text from pipeline_stages
                 where company_id = $1::text::uuid and slug <> 'new' order by random() limit 1"
            }
            (_, "/v1/invitations/{id}" | "/v1/invitations/{id}/resend") => {
                "insert into account_links (company_id, link_id, purpose, subject, email, role, token_hash, expires_at)
                 select $1::text::uuid, gen_random_uuid(), 'invite', e.email, e.email, 'member', sha256(e.email::bytea), now()
                 from (select gen_random_uuid() || '@acme.example' as email) e
                 returning link_id::text"
            }
            (method, path) => {
                let Some((table, column)) = kept(path) else {
                    panic!("{method} {path} has an id in it and no row in this test: add one");
                };
                // For removing, another one each time.
                let sql = format!(
                    "select {column}::text from {table} where company_id = $1::text::uuid order by random() limit 1"
                );
                return self.acme.rows(&sql).await[0].get(0);
            }
        };
        self.acme.rows(sql).await[0].get(0)
    }

    /// A body that the route accepts.
    async fn body(&self, route: &Route, token: &str) -> Option<Value> {
        let unique = uuid::Uuid::new_v4().simple().to_string();
        let (method, path) = twin(route);
        let body = match (method, path.as_str()) {
            (_, path) if path.starts_with("/v1/account") || path.starts_with("/v1/sign-in/") => {
                self.account(method, path, token).await?
            }
            ("POST", "/enter") => {
                let person = self.acme.person("member").await;
                json!({ "token": self.acme.link("enter", &person.user, 1).await })
            }
            ("POST", "/v1/invitations") => {
                json!({ "email": format!("{unique}@acme.example"), "role": "member" })
            }
            ("GET" | "DELETE", _)
            | (
                "POST",
                "/v1/visitor"
                | "/v1/logout"
                | "/v1/notices/{id}/seen"
                | "/v1/providers/{id}/test"
                | "/v1/conversations/{id}/hand-over"
                | "/v1/widget-settings/secret"
                | "/v1/knowledge/drafts/{id}/approve"
                | "/v1/unanswered/{id}/draft"
                | "/v1/invitations/{id}/resend"
                | "/v1/support/{id}/end"
                | "/v1/webhooks/{id}/secret"
                | "/v1/webhooks/{id}/test"
                | "/v1/domains/{id}/verify"
                | "/v1/deliveries/{id}/replay",
            ) => {
                return None;
            }
            ("POST", "/v1/webhooks") => {
                // A company may have ten.
                self.acme.rows("delete from webhooks where company_id = $1::text::uuid returning 1").await;
                office(method, &path, &unique)?
            }
            ("POST", "/v1/domains") => {
                // A company may have five.
                self.acme.rows("delete from domains where company_id = $1::text::uuid returning 1").await;
                office(method, &path, &unique)?
            }
            ("POST", "/v1/signup" | "/signup") => json!({
                "company": "Company", "slug": format!("s{}", &unique[..16]), "industry": "plumbing",
                "name": "Olive Owner", "email": "olive@example.com", "password": PASSWORD,
            }),
            ("POST", "/v1/login") => {
                json!({ "email": self.acme.person("member").await.email, "password": PASSWORD })
            }
            ("POST", "/v1/token/refresh") => {
                let person = self.acme.person("member").await;
                json!({ "refresh_token": session(self.acme, &person.user).await.1 })
            }
            ("POST", "/v1/chat") => json!({ "message": "Do you fix leaks?" }),
            ("POST", "/v1/identity") => json!({ "token": self.acme.identity("7").await }),
            ("PUT", "/v1/messages/{id}/rating") => json!({ "good": true }),
            ("PATCH", "/v1/widget-settings") => json!({ "side": "left" }),
            ("POST", "/v1/leads") => json!({ "name": "Vera", "phone": "555 0100" }),
            ("POST", "/v1/agents") => json!({
                "slug": format!("a{}", &unique[..16]), "name": "Nora", "role": "helps", "instructions": "Be kind.",
                "tier": "fast",
            }),
            ("POST", "/v1/knowledge") => {
                json!({ "category": "faq", "question": "Why?", "answer": "Because." })
            }
            ("POST", "/v1/providers") => {
                json!({ "kind": "openai", "name": "P", "api_key": "test-ok-access" })
            }
            ("POST", "/v1/chat/completions") => {
                json!({ "model": "customer-service", "messages": [{ "role": "user", "content": "Do you fix leaks?" }] })
            }
            ("POST", "/v1/api-keys") => json!({ "name": "A program", "scopes": ["chat"] }),
            ("PATCH", "/v1/agents/{id}" | "/v1/providers/{id}") => json!({ "name": "Renamed" }),
            ("PATCH", "/v1/knowledge/{id}") => json!({ "answer": "Changed." }),
            ("PATCH", "/v1/budget") => json!({ "max_output_tokens": 600 }),
            ("POST", "/v1/company/deletion") => json!({ "password": PASSWORD }),
            ("PATCH", "/v1/company") => json!({ "name": "Acme", "time_zone": "UTC" }),
            ("POST", "/v1/cron") => json!({}),
            (method, path) if office(method, path, &unique).is_some() => office(method, path, &unique)?,
            (method, path) => {
                panic!("{method} {path} has no body in this test: add one, or say that it takes none")
            }
        };
        Some(body)
    }

    /// A body for what somebody does to their own account, or with a link: with what must be there for it made first.
    async fn account(&self, method: &str, path: &str, token: &str) -> Option<Value> {
        let acme = self.acme;
        // Who calls, where that is somebody with a session of acme's.
        let person = (token.matches('.').count() == 2).then(|| claims(token));
        let person = person.filter(|claims| claims["aud"] == acme.id.as_str() && claims["sid"].is_string());
        let user = person.and_then(|claims| Some(claims["sub"].as_str()?.to_owned()));
        let set = async |columns: &str| {
            if let Some(user) = &user {
                let sql = format!(
                    "update users set {columns} where company_id = $1::text::uuid and user_id = '{user}' returning 1"
                );
                acme.rows(&sql).await;
            }
        };
        let off = "totp_enabled_at = null, sealed_totp_secret = null, totp_last_step = 0";
        Some(match (method, path) {
            ("GET", _) => return None,
            (_, "/v1/account/verification") => {
                set("email_verified_at = null, email = left(gen_random_uuid()::text, 12) || '@acme.example'")
                    .await;
                return None;
            }
            (_, "/v1/account/email") => {
                json!({ "email": format!("{}@acme.example", uuid::Uuid::new_v4()), "password": PASSWORD })
            }
            (_, "/v1/account/totp") => {
                set(off).await;
                json!({ "password": PASSWORD })
            }
            (_, "/v1/account/totp/confirm" | "/v1/account/totp/end") => {
                set(off).await;
                let begun = json!({ "password": PASSWORD });
                let (status, made) = acme.call(token, Method::POST, "/v1/account/totp", Some(begun)).await;
                let secret =
                    if status == 201 { unbase32(made["secret"].as_str().unwrap()) } else { vec![7; 20] };
                let code = code(&secret, step(now_s() * 1_000));
                if path.ends_with("confirm") {
                    return Some(json!({ "code": code }));
                }
                let on = json!({ "code": code });
                acme.call(token, Method::POST, "/v1/account/totp/confirm", Some(on)).await;
                set("totp_last_step = 0").await;
                json!({ "password": PASSWORD, "code": code })
            }
            (_, "/v1/sign-in/support") => json!({ "token": acme.support_link(10).await }),
            (_, "/v1/sign-in/reset") => json!({ "email": acme.person("member").await.email }),
            (_, "/v1/sign-in/email") => {
                json!({ "token": acme.link("verify", &acme.person("member").await.user, 10).await })
            }
            (_, "/v1/sign-in/password") => {
                let token = acme.link("reset", &acme.person("member").await.user, 10).await;
                json!({ "token": token, "password": PASSWORD })
            }
            (_, "/v1/sign-in/invitation") => {
                let token = acme.invited(&format!("{}@acme.example", uuid::Uuid::new_v4()), "member").await;
                json!({ "token": token, "name": "Nora", "password": PASSWORD })
            }
            (_, "/v1/sign-in/code") => {
                let person = acme.person("member").await;
                let (secret, _) = acme.two_step(&acme.sign_in(&person.email).await.0).await;
                let token = acme.link("code", &person.user, 5).await;
                json!({ "token": token, "code": code(&secret, step(now_s() * 1_000) + 1) })
            }
            (method, path) => panic!("{method} {path} has no body in this test"),
        })
    }
}

/// What the JSON API has for a route: method and path. A form of the dashboard does what that does; any other is itself.
pub(super) fn twin(route: &Route) -> (&'static str, String) {
    let path = match route.path.strip_prefix("/dashboard/") {
        None => return (route.method, route.path.to_owned()),
        Some("sign-in") => "login".to_owned(),
        Some("sign-out") => "logout".to_owned(),
        Some(rest) if rest == "site" || rest.starts_with("site/") => rest.replacen("site", "pages", 1),
        Some(rest) => rest.replacen("inbox", "conversations", 1),
    };
    let path = format!("/v1/{path}");
    match (route.method, path.strip_suffix("/remove")) {
        ("POST", None) if path == "/v1/support" => ("PUT", path),
        ("POST", Some(path)) => ("DELETE", path.to_owned()),
        ("POST", None) if path == "/v1/retention" => ("PUT", path),
        ("POST", None)
            if path.ends_with("/{id}")
                || ["/v1/budget", "/v1/company", "/v1/hours", "/v1/widget-settings"].contains(&&*path) =>
        {
            ("PATCH", path)
        }
        _ => (route.method, path),
    }
}

/// The only webhook of a company's, new and of a program that answers.
pub(super) async fn webhook(company: &Company) -> String {
    company.rows("delete from webhooks where company_id = $1::text::uuid returning 1").await;
    let url = company.stand.website.url(bulkhead_tests::website::PLAIN);
    let new = json!({ "url": url, "events": ["budget.spent"] });
    let made = company.owner(Method::POST, "/v1/webhooks", Some(new), 201).await;
    made["webhook"]["webhook_id"].as_str().unwrap().to_owned()
}

/// The only domain of a company's, new and with its record in the DNS.
pub(super) async fn domain(company: &Company) -> String {
    company.rows("delete from domains where company_id = $1::text::uuid returning 1").await;
    let new = json!({ "host": format!("www.{}.com", uuid::Uuid::new_v4().simple()) });
    let made = company.owner(Method::POST, "/v1/domains", Some(new), 201).await;
    let text = |name: &str| made[name].as_str().unwrap();
    dns::put(&company.stand.website, text("txt_name"), &[text("txt_value")]);
    text("domain_id").to_owned()
}

/// A delivery that it has taken.
pub(super) async fn delivery(company: &Company) -> String {
    webhook(company).await;
    let sql = "insert into outbox (company_id, delivery_id, event_id, event, payload, webhook_id, attempts, next_at, delivered_at)
               select company_id, gen_random_uuid(), gen_random_uuid(), 'budget.spent', '{}', webhook_id, 1, null, now()
               from webhooks where company_id = $1::text::uuid
               returning delivery_id::text";
    company.rows(sql).await[0].get(0)
}

/// A new draft of a company's.
pub(super) async fn draft(company: &Company) -> String {
    let sql = "insert into knowledge_drafts (company_id, draft_id, category_id, source, question, answer)
               select company_id, gen_random_uuid(), category_id, 'text', 'q', 'Answer ' || gen_random_uuid()
               from knowledge_categories where company_id = $1::text::uuid limit 1
               returning draft_id::text";
    company.rows(sql).await[0].get(0)
}

/// A new question about leaks that nobody could answer, of a company that has had a conversation.
pub(super) async fn unanswered(company: &Company) -> String {
    let sql = "with asked as (
                   insert into messages (company_id, message_id, conversation_id, author, body)
                   select company_id, gen_random_uuid(), conversation_id, 'visitor', 'Do you fix leaks? zq' || replace(gen_random_uuid()::text, '-', '')
                   from conversations where company_id = $1::text::uuid limit 1
                   returning company_id, message_id, conversation_id, body
               ),
               told as (
                   insert into messages (company_id, message_id, conversation_id, author, body, source, answers)
                   select company_id, gen_random_uuid(), conversation_id, 'agent', 'Nobody knows.', 'none', message_id
                   from asked
               )
               select text_digest(body)::text from asked";
    company.rows(sql).await[0].get(0)
}

/// Where the rows behind an office route's id are: table and column.
pub(super) fn kept(path: &str) -> Option<(&'static str, &'static str)> {
    Some(match path {
        "/v1/leads/{id}" => ("leads", "lead_id"),
        "/v1/sessions/{id}" => ("sessions", "session_id"),
        "/v1/webhooks/{id}"
        | "/v1/webhooks/{id}/secret"
        | "/v1/webhooks/{id}/test"
        | "/v1/webhooks/{id}/deliveries" => ("webhooks", "webhook_id"),
        "/v1/domains/{id}" | "/v1/domains/{id}/verify" => ("domains", "domain_id"),
        "/v1/deliveries/{id}/replay" => ("outbox", "delivery_id"),
        "/v1/support/{id}/end" => ("support_accesses", "access_id"),
        "/v1/visitors/{id}" => ("conversations", "visitor_id"),
        "/v1/knowledge/drafts/{id}" | "/v1/knowledge/drafts/{id}/approve" => ("knowledge_drafts", "draft_id"),
        "/v1/unanswered/{id}" | "/v1/unanswered/{id}/answer" | "/v1/unanswered/{id}/draft" => {
            ("settled_questions", "unanswered_id")
        }
        "/v1/pipeline/{id}" => ("pipeline_stages", "stage_id"),
        "/v1/labels/{id}" => ("labels", "label_id"),
        "/v1/replies/{id}" => ("message_templates", "message_template_id"),
        "/v1/follow-ups/{id}" => ("follow_up_steps", "step_id"),
        "/v1/notifications/{id}" => ("notification_settings", "notification_id"),
        "/v1/checklist/{id}" => ("checklist_items", "item_id"),
        "/v1/closures/{id}" => ("closures", "closure_id"),
        "/v1/appointment-types/{id}" => ("appointment_types", "appointment_type_id"),
        "/v1/services/{id}" => ("services", "service_id"),
        "/v1/payment-methods/{id}" => ("payment_methods", "method_id"),
        "/v1/terms/{id}" => ("glossary_terms", "term_id"),
        "/v1/contexts/{id}" => ("gpt_contexts", "context_id"),
        "/v1/pages/{id}" => ("site_pages", "page_id"),
        "/v1/lead-questions/{id}" => ("lead_questions", "question_id"),
        "/v1/quick-replies/{id}" => ("quick_replies", "reply_id"),
        "/v1/invitations/{id}" | "/v1/invitations/{id}/resend" => ("account_links", "link_id"),
        _ => return None,
    })
}

/// A body that a route of the office accepts.
pub(super) fn office(method: &str, path: &str, unique: &str) -> Option<Value> {
    let slug = format!("a{}", &unique[..16]);
    Some(match (method, path) {
        ("PATCH", "/v1/leads/{id}") => json!({ "stage": "new" }),
        ("PATCH", "/v1/conversations/{id}") => json!({ "closed": false }),
        ("POST", "/v1/conversations/{id}/replies" | "/v1/conversations/{id}/notes") => {
            json!({ "body": slug })
        }
        ("POST", "/v1/pipeline") => json!({ "slug": slug, "name": "On hold", "outcome": "open" }),
        ("POST", "/v1/labels") => json!({ "name": slug, "color": "#123456", "words": "hold, wait" }),
        ("POST", "/v1/replies") => {
            json!({ "slug": slug, "channel": "chat", "name": "Hold", "body": "Please hold." })
        }
        ("PATCH", "/v1/follow-ups/{id}" | "/v1/notifications/{id}") => json!({ "enabled": false }),
        ("PATCH", "/v1/checklist/{id}") => json!({ "done": true }),
        ("PUT", "/v1/support") => json!({ "allowed": true }),
        ("PATCH", "/v1/hours") => json!({ "hours": [{ "weekday": 1, "opens": "08:00", "closes": "17:00" }] }),
        ("POST", "/v1/closures") => {
            // A day of its own for each caller: the database takes a day once.
            let day = u64::from_str_radix(&unique[..8], 16).unwrap() % 300_000;
            let (year, rest) = (2030 + day / 336, day % 336);
            json!({ "day": format!("{year}-{:02}-{:02}", 1 + rest / 28, 1 + rest % 28), "name": "Outing" })
        }
        ("PATCH", "/v1/appointment-types/{id}") => json!({ "buffer_minutes": 20 }),
        ("POST", "/v1/services") => {
            json!({ "slug": slug, "name": "Advice", "description": "An hour of advice." })
        }
        ("PATCH", "/v1/payment-methods/{id}") => json!({ "accepted": true }),
        ("POST", "/v1/terms") => {
            json!({ "term": slug, "meaning": "A word of ours.", "synonyms": "our word" })
        }
        ("PATCH", "/v1/terms/{id}") => json!({ "meaning": "Another meaning." }),
        ("PATCH", "/v1/contexts/{id}") => json!({ "body": "You speak for us." }),
        ("POST", "/v1/webhooks") => {
            let url = Stand::get().website.url(bulkhead_tests::website::PLAIN);
            json!({ "url": format!("{url}?{slug}"), "events": ["budget.spent"] })
        }
        ("POST", "/v1/domains") => json!({ "host": format!("www.{unique}.com") }),
        ("PATCH", "/v1/webhooks/{id}") => json!({ "enabled": true }),
        ("POST", "/v1/agents/{id}/try") => json!({ "message": "Do you fix leaks?" }),
        ("POST", "/v1/site-preview") => json!({ "title": "News", "body": "Nothing new." }),
        ("POST", "/v1/widget-preview") => json!({ "side": "left" }),
        ("POST", "/v1/pages") => json!({ "slug": slug, "title": "News", "body": "Nothing new." }),
        ("PATCH", "/v1/pages/{id}") => json!({ "title": "Renamed" }),
        ("POST", "/v1/lead-questions") => json!({ "question": "How did you hear of us?" }),
        ("PATCH", "/v1/lead-questions/{id}") => json!({ "question": "Who told you of us?" }),
        ("POST", "/v1/quick-replies") => json!({ "body": "Where are you?" }),
        ("PATCH", "/v1/quick-replies/{id}") => json!({ "body": "How do I find you?" }),
        ("PATCH", "/v1/pipeline/{id}" | "/v1/labels/{id}" | "/v1/replies/{id}" | "/v1/services/{id}") => {
            json!({ "name": format!("Renamed {slug}") })
        }
        ("PATCH", "/v1/roles") => json!({ "role": "member", "permission": "terms.write", "allowed": true }),
        ("PATCH", "/v1/knowledge/drafts/{id}") => json!({ "question": "Taken over?" }),
        ("POST", "/v1/knowledge/drafts/approve" | "/v1/knowledge/drafts/discard") => {
            json!({ "drafts": [uuid::Uuid::new_v4()] })
        }
        ("POST", "/v1/knowledge/import") => json!({ "text": format!("# {slug}\n{}", "word ".repeat(40)) }),
        ("POST", "/v1/knowledge/import/website") => {
            json!({ "url": Stand::get().website.url(bulkhead_tests::website::PLAIN) })
        }
        ("POST", "/v1/unanswered/{id}/answer") => {
            json!({ "category": "faq", "question": slug, "answer": "Yes." })
        }
        ("PUT", "/v1/retention") => json!({ "deliveries_days": 30, "audit_days": 3_650 }),
        ("POST", "/v1/templates/updates") => json!({ "accept": [] }),
        _ => return None,
    })
}

async fn ask(visitor: &Visitor<'_>) -> String {
    let events = visitor.ask("Do you fix leaks?").await;
    bulkhead_tests::company::event(&events, "start")["conversation_id"].as_str().unwrap().to_owned()
}

/// Opens a session for a person, past the sign-in; gives it and its refresh token.
async fn session(company: &Company, user: &str) -> (String, String) {
    let id = uuid::Uuid::new_v4().to_string();
    let refresh = format!("{id}.{}", "r".repeat(43));
    run(
        company,
        &format!(
            "insert into sessions (company_id, session_id, user_id, refresh_hash, expires_at)
             select company_id, '{id}', user_id, sha256('{refresh}'), now() + interval '1 hour'
             from users where company_id = $1::text::uuid and user_id = '{user}'"
        ),
    )
    .await;
    (id, refresh)
}

/// Runs a statement as the schema's owner, which must touch a row.
async fn run(company: &Company, sql: &str) {
    let sql =
        if sql.contains("$1") { sql.to_owned() } else { format!("{sql} and company_id = $1::text::uuid") };
    assert!(!company.rows(&format!("{sql} returning 1")).await.is_empty(), "{sql}");
}
