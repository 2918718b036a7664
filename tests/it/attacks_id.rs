//! Attacks with ids: every id that another company has, in every place of a request that can hold one.
//!
//! Each attack has a twin: the same request with an id that nobody has. The two must be answered alike, byte for byte
//! but the request's id, and nothing of the other company may change. The requests are made from the route table.

use std::collections::BTreeMap;

use bulkhead::routes::{ROUTES, Route, Run};
use bulkhead_tests::company::{Company, cookie, with};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::wire::{self, Answer};
use http::header::{COOKIE, HeaderMap};
use serde_json::{Value, json};

use super::access::{kept, office, twin};

/// What a request can call an id, besides the names of the columns.
const NAMES: &[&str] =
    &["id", "tenant_id", "tenant", "company", "org_id", "account_id", "companyId", "x-company-id"];

#[tokio::test]
async fn ids_in_the_path() {
    let ground = Ground::new().await;
    let mut counted = 0;
    for route in ROUTES.iter().filter(|route| route.path.contains("{id}")) {
        let with = async |id: &str| ground.ask(route, &route.path.replace("{id}", id), None).await;
        let nowhere = with("01890a5d-ac96-774b-bcce-b302099a8057").await;
        assert_eq!(nowhere, with("no-id").await, "{} {}", route.method, route.path);
        assert_eq!(nowhere.status, 404, "{} {}: {nowhere:?}", route.method, route.path);
        for (column, id) in &ground.theirs {
            for spelling in [id.clone(), format!("%7b{id}%7d")] {
                assert_eq!(
                    with(&spelling).await,
                    nowhere,
                    "{} {} with their {column}",
                    route.method,
                    route.path
                );
                counted += 1;
            }
        }
    }
    ground.unharmed().await;
    tally("2 filter", "of another company, in paths", counted, 350);
}

#[tokio::test]
async fn ids_in_the_query_in_headers_and_in_cookies() {
    let ground = Ground::new().await;
    let mut counted = 0;
    for route in ROUTES.iter().filter(|route| reads(route)) {
        let own = route.path.replace("{id}", &ground.own(route));
        let plain = ground.ask(route, &own, None).await;
        assert_eq!(plain.status, 200, "{own}: {plain:?}");
        for name in ground.names() {
            let id = ground.theirs.get(name).unwrap_or(&ground.bright.id);
            let answer = ground.ask(route, &format!("{own}?{name}={id}"), None).await;
            assert_eq!(answer, plain, "{own} with their {name} in the query");
            counted += 1;
        }
        let cookies = ground.names().map(|name| format!("{name}={}", ground.bright.id)).collect::<Vec<_>>();
        let own_cookie = route.for_browsers().then(|| cookie(&ground.acme.owner));
        let cookies = cookies.into_iter().chain(own_cookie).collect::<Vec<_>>().join("; ");
        // Few at a time: no server takes a hundred headers of one request.
        for names in ground.names().collect::<Vec<_>>().chunks(20) {
            let cookies = HeaderMap::from_iter([(COOKIE, cookies.parse().unwrap())]);
            let mut request = ground.request(route, &own).headers(cookies);
            for name in names {
                let id = ground.theirs.get(*name).unwrap_or(&ground.bright.id);
                request = request
                    .header(name.replace('_', "-"), id)
                    .header(format!("x-{}", name.replace('_', "-")), id);
                counted += 2;
            }
            let answer = wire::read(request.send().await.unwrap()).await;
            assert_eq!(answer, plain, "{own} with their ids in headers and cookies");
        }
    }
    ground.unharmed().await;
    tally("2 filter", "of another company, in queries, headers and cookies", counted, 900);
}

#[tokio::test]
async fn ids_in_the_body() {
    let ground = Ground::new().await;
    let mut counted = 0;
    for route in ROUTES.iter().filter(|route| !route.run.at_apex()) {
        let Some(body) = body(route) else { continue };
        // OpenAI's API leaves out what it does not know, and so does this one: it/completions.rs.
        if route.path == "/v1/chat/completions" {
            continue;
        }
        let path = route.path.replace("{id}", &ground.own(route));
        for name in ground.names() {
            let id = ground.theirs.get(name).unwrap_or(&ground.bright.id);
            for value in [json!(id), json!({ "$ne": id })] {
                let with = |id: &str| {
                    let text =
                        value.to_string().replace(ground.theirs.get(name).unwrap_or(&ground.bright.id), id);
                    let mut body = body.clone();
                    body[name] = serde_json::from_str(&text).unwrap();
                    ground.ask(route, &path, Some(body))
                };
                let answer = with(id).await;
                let twin = with(&uuid::Uuid::new_v4().to_string()).await;
                let what = format!("{} {} with {name}: {value}", route.method, route.path);
                assert!(matches!(answer.status, 400 | 404), "{what}: {answer:?}");
                assert_eq!(answer, twin, "{what}");
                counted += 1;
            }
        }
    }
    ground.unharmed().await;
    tally("2 filter", "of another company, in bodies", counted, 500);
}

/// Where a body may name something by an id or a short name, their name is as good as any that nobody has.
#[tokio::test]
async fn names_that_a_body_takes_are_looked_up_at_home() {
    let mut ground = Ground::new().await;
    let (slug, nowhere) = (unique(), unique());
    let agent = json!({ "slug": slug, "name": "N", "role": "r", "instructions": "i", "tier": "fast" });
    ground.bright.owner(http::Method::POST, "/v1/agents", Some(agent), 201).await;
    let sql = format!(
        "insert into knowledge_categories (company_id, category_id, slug, name)
         values ($1::text::uuid, gen_random_uuid(), '{slug}', 'Theirs') returning 1"
    );
    ground.bright.rows(&sql).await;
    ground.before = ground.bright.fingerprint().await;
    let route = |method: &str, path: &str| {
        ROUTES.iter().find(|route| (route.method, route.path) == (method, path)).unwrap()
    };
    let unknown_agent = |slug: &str| json!({ "message": "Hello?", "agent": slug });
    let unknown_category = |slug: &str| json!({ "category": slug, "question": "Why?", "answer": "So." });
    for (route, body) in [
        (route("POST", "/v1/chat"), &unknown_agent as &dyn Fn(&str) -> Value),
        (route("POST", "/v1/knowledge"), &unknown_category),
    ] {
        let answer = ground.ask(route, route.path, Some(body(&slug))).await;
        let twin = ground.ask(route, route.path, Some(body(&nowhere))).await;
        assert!(matches!(answer.status, 400 | 404), "{answer:?}");
        assert_eq!(answer.body.replace(&slug, &nowhere), twin.body);
    }
    // A scope names categories; theirs is none of ours, so it adds nothing.
    let scoped = json!({ "slug": unique(), "name": "N", "role": "r", "instructions": "i", "tier": "fast", "scope": [slug] });
    let made = ground.acme.owner(http::Method::POST, "/v1/agents", Some(scoped), 201).await;
    assert_eq!(made["scope"], json!([]));
    // Signing in with their address and renewing their session are no different from guessing.
    let login = route("POST", "/v1/login");
    let password = bulkhead_tests::company::PASSWORD;
    let with =
        |email: String| ground.ask(login, login.path, Some(json!({ "email": email, "password": password })));
    let answer = with(format!("owner@{}.example", ground.bright.slug)).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer, with("nobody@example.com".to_owned()).await);
    let refresh = route("POST", "/v1/token/refresh");
    let with = |token: String| ground.ask(refresh, refresh.path, Some(json!({ "refresh_token": token })));
    let answer = with(ground.bright.refresh.clone()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer, with(format!("{}.{}", uuid::Uuid::new_v4(), "r".repeat(43))).await);
    ground.unharmed().await;
}

/// Acme, which attacks, and bright, which has rows of every kind.
struct Ground {
    acme: Company,
    bright: Company,
    visitor: String,
    /// A key of acme's own, for its programs.
    program: String,
    conversation: String,
    /// One id of bright's for each kind, by the column's name.
    theirs: BTreeMap<String, String>,
    /// An id of acme's for each kind.
    ours: BTreeMap<String, String>,
    before: String,
}

impl Ground {
    async fn new() -> Self {
        let stand = Stand::get();
        let (acme, bright) =
            (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
        let visitor = acme.visitor().await;
        // A question costs a row of each table; the visitor's turns must not run out before the attacks do.
        for company in [&acme, &bright] {
            company.furnish().await;
            let more = json!({ "visitor_turns_per_minute": 600 });
            company.owner(http::Method::PATCH, "/v1/budget", Some(more), 200).await;
        }
        let asked = visitor.ask("Do you fix leaks?").await;
        let conversation = asked[0].data["conversation_id"].as_str().unwrap().to_owned();
        let program = acme.api_key(&["chat", "models"]).await;
        let (theirs, ours) = (ids(&bright).await, ids(&acme).await);
        assert!(theirs.len() >= 18, "only these kinds of ids: {:?}", theirs.keys());
        let before = bright.fingerprint().await;
        Self { visitor: visitor.token, program, conversation, theirs, ours, before, acme, bright }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        NAMES.iter().copied().chain(self.theirs.keys().map(String::as_str))
    }

    fn request(&self, route: &Route, path: &str) -> reqwest::RequestBuilder {
        let token = match route.run {
            Run::Apex(_) | Run::Operator(_) | Run::Guest(_) => "",
            Run::Visitor(_) => &self.visitor,
            Run::Member(..) | Run::Page(..) => &self.acme.owner,
            Run::Program(..) => &self.program,
        };
        self.acme.request(token, route.method.parse().unwrap(), path)
    }

    /// As acme's visitor or owner, whichever the route is for.
    async fn ask(&self, route: &Route, path: &str, given: Option<Value>) -> Answer {
        let request = self.request(route, path);
        let request = match given.or_else(|| body(route)) {
            Some(body) => with(request, path, &body),
            None => request,
        };
        wire::read(request.send().await.unwrap()).await
    }

    /// An id of acme's own that fits the route's path.
    fn own(&self, route: &Route) -> String {
        let column = match twin(route).1.as_str() {
            "/v1/conversations/{id}" | "/v1/conversations/{id}/replies" | "/v1/conversations/{id}/notes" => {
                "conversation_id"
            }
            "/v1/conversations/{id}/messages" | "/v1/conversations/{id}/hand-over" => {
                return self.conversation.clone();
            }
            "/v1/messages/{id}/rating" => "message_id",
            "/v1/agents/{id}" | "/v1/agents/{id}/try" => "agent_id",
            "/v1/knowledge/{id}" => "entry_id",
            "/v1/providers/{id}" | "/v1/providers/{id}/test" => "provider_id",
            "/v1/api-keys/{id}" => "api_key_id",
            // Only while it waits, which no test here ends.
            "/v1/invitations/{id}" | "/v1/invitations/{id}/resend" => "link_id",
            "/v1/notices/{id}/seen" => "notice_id",
            "/pages/{id}" => return "services".to_owned(),
            path if path.contains("{id}") => match kept(path) {
                Some((_, column)) => column,
                None => panic!("{path} has an id in it and no row in this test: add one"),
            },
            _ => return String::new(),
        };
        self.ours[column].clone()
    }

    /// Bright has what it had, and all of it.
    async fn unharmed(&self) {
        assert_eq!(
            self.bright.fingerprint().await,
            self.before,
            "an attack has changed the other company's rows"
        );
    }
}

/// An id of a company for each kind that there is, by its column.
pub(super) async fn ids(company: &Company) -> BTreeMap<String, String> {
    let columns = company
        .rows(
            "select c.relname::text, a.attname::text from pg_attribute a
             join pg_class c on c.oid = a.attrelid and c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
             join pg_attribute k on k.attrelid = c.oid and k.attname = 'company_id'
             where a.atttypid = 'uuid'::regtype and a.attnum > 0 and not a.attisdropped and $1::text is not null
             order by 1, 2",
        )
        .await;
    let mut ids = BTreeMap::new();
    for row in columns {
        let (table, column): (&str, &str) = (row.get(0), row.get(1));
        let sql = format!(
            "select {column}::text from {table} where company_id = $1::text::uuid and {column} is not null limit 1"
        );
        if let Some(row) = company.rows(&sql).await.first() {
            ids.entry(column.to_owned()).or_insert_with(|| row.get(0));
        }
    }
    ids
}

/// A read that is answered the same each time.
fn reads(route: &Route) -> bool {
    route.method == "GET" && !route.run.at_apex() && !route.path.starts_with("/assets/")
}

/// A body that the route accepts, as far as nothing is left behind by it.
pub(super) fn body(route: &Route) -> Option<Value> {
    let (method, path) = twin(route);
    let body = match (method, path.as_str()) {
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
            | "/v1/deliveries/{id}/replay"
            | "/v1/account/verification",
        ) => {
            return None;
        }
        // From the platform's own page only: it/accounts.rs.
        ("POST", "/v1/signup" | "/signup" | "/enter") => return None,
        ("POST", "/v1/sign-in/reset") => json!({ "email": "x@example.com" }),
        ("POST", "/v1/sign-in/email" | "/v1/sign-in/support") => json!({ "token": "x" }),
        ("POST", "/v1/sign-in/code") => json!({ "token": "x", "code": "000000" }),
        ("POST", "/v1/sign-in/password") => json!({ "token": "x", "password": "not the password" }),
        ("POST", "/v1/sign-in/invitation") => {
            json!({ "token": "x", "name": "X", "password": "not the password" })
        }
        ("POST", "/v1/invitations") => json!({ "email": "x@example.com", "role": "member" }),
        ("POST", "/v1/account/email") => json!({ "email": "x@example.com", "password": "not the password" }),
        ("POST", "/v1/account/totp") => json!({ "password": "not the password" }),
        ("POST", "/v1/account/totp/confirm") => json!({ "code": "000000" }),
        ("POST", "/v1/account/totp/end") => json!({ "password": "not the password", "code": "000000" }),
        ("POST", "/v1/login") => json!({ "email": "x@example.com", "password": "not the password" }),
        ("POST", "/v1/token/refresh") => json!({ "refresh_token": "x" }),
        ("POST", "/v1/chat") => json!({ "message": "Do you fix leaks?" }),
        ("POST", "/v1/identity") => json!({ "token": "x.y.z" }),
        ("PUT", "/v1/messages/{id}/rating") => json!({ "good": false, "remark": "Taken over" }),
        ("PATCH", "/v1/widget-settings") => json!({ "greeting": "Hello." }),
        ("POST", "/v1/leads") => json!({ "name": "Vera", "phone": "555 0100" }),
        ("POST", "/v1/agents") => {
            json!({ "slug": "nora", "name": "N", "role": "r", "instructions": "i", "tier": "fast" })
        }
        ("POST", "/v1/knowledge") => json!({ "category": "faq", "question": "Why?", "answer": "Because." }),
        ("POST", "/v1/providers") => json!({ "kind": "openai", "name": "P", "api_key": "test-ok-attack" }),
        ("POST", "/v1/chat/completions") => {
            json!({ "model": "customer-service", "messages": [{ "role": "user", "content": "Do you fix leaks?" }] })
        }
        ("POST", "/v1/api-keys") => json!({ "name": "P", "scopes": ["chat"] }),
        ("PATCH", "/v1/agents/{id}" | "/v1/providers/{id}") => json!({ "name": "Taken over" }),
        ("PATCH", "/v1/knowledge/{id}") => json!({ "answer": "Taken over" }),
        ("PATCH", "/v1/budget") => json!({ "max_output_tokens": 600 }),
        ("POST", "/v1/company/deletion") => json!({ "password": "not the password" }),
        ("PATCH", "/v1/company") => json!({ "name": "Taken over" }),
        ("POST", "/v1/cron") => json!({}),
        (method, path) => match office(method, path, &uuid::Uuid::new_v4().simple().to_string()) {
            Some(body) => body,
            None => panic!("{method} {path} has no body in this test: add one, or say that it takes none"),
        },
    };
    Some(body)
}

fn unique() -> String {
    format!("a{}", &uuid::Uuid::new_v4().simple().to_string()[..16])
}
