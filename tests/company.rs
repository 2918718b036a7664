//! A company of a test's own, and the people who use it: signs up, mints tokens, asks, reads event streams.

use std::fmt::Write as _;

use base64ct::Encoding;
use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

use crate::described::check;
use crate::stand::Stand;
use crate::token::{now_s, sign_text};

/// The password of every owner here.
pub const PASSWORD: &str = "correct horse battery";

/// A company, made for one test.
pub struct Company {
    /// Where it lives.
    pub stand: &'static Stand,
    /// Its slug.
    pub slug: String,
    /// Its id.
    pub id: String,
    /// Its owner's access token.
    pub owner: String,
    /// Its owner's refresh token.
    pub refresh: String,
}

/// Somebody who works at a company.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their id.
    pub user: String,
    /// Their address to sign in with; the password is [`PASSWORD`].
    pub email: String,
}

/// A visitor of a company.
pub struct Visitor<'company> {
    company: &'company Company,
    /// The visitor's token.
    pub token: String,
}

/// One event of an answer's stream.
#[derive(Clone, Debug)]
pub struct Event {
    /// start, delta, citations, done or error.
    pub name: String,
    /// Its data.
    pub data: Value,
}

impl Company {
    /// Signs a new company up, under a slug that begins with the industry.
    pub async fn new(stand: &'static Stand, industry: &str) -> Self {
        let slug = format!("{industry}-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
        let email = format!("owner@{slug}.example");
        let made = stand
            .unnoted("localhost", Method::POST, "/v1/signup")
            .json(&json!({
                "company": format!("Company {slug}"), "slug": slug, "industry": industry,
                "name": "Olive Owner", "email": email, "password": PASSWORD,
            }))
            .send()
            .await
            .unwrap();
        let status = made.status();
        let made: Value = made.json().await.unwrap();
        assert_eq!(status, 201, "{made}");
        let id = made["company"]["company_id"].as_str().unwrap().to_owned();
        let mut company = Self { stand, slug, id, owner: String::new(), refresh: String::new() };
        let login = stand.unnoted(&company.host(), Method::POST, "/v1/login");
        (company.owner, company.refresh) = tokens(login, &email).await;
        company
    }

    /// Its host name, without port.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.localhost", self.slug)
    }

    /// A request on this company's host, with a token unless it is empty. On the dashboard it is what the browser of whoever
    /// has that token sends from there.
    pub fn request(&self, token: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.stand.http(&self.host(), method, path);
        match token {
            _ if is_page(path) => {
                request.header("sec-fetch-site", "same-origin").header("cookie", cookie(token))
            }
            "" => request,
            token => request.bearer_auth(token),
        }
    }

    /// Status and JSON of a request on this company's host; null where there is no body. The answer must be one that the API's
    /// description has.
    pub async fn call(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.request(token, method.clone(), path);
        let request = match body {
            Some(body) => with(request, path, &body),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let kind = kind(&response);
        let bytes = response.bytes().await.unwrap();
        let value = match bytes.is_empty() {
            true => Value::Null,
            false if is_page(path) => String::from_utf8_lossy(&bytes).into(),
            false => serde_json::from_slice(&bytes).unwrap(),
        };
        check(method.as_str(), path, status, &kind, &value);
        (status, value)
    }

    /// As the owner; the status must be that one.
    pub async fn owner(&self, method: Method, path: &str, body: Option<Value>, expected: u16) -> Value {
        let (status, value) = self.call(&self.owner, method, path, body).await;
        assert_eq!(status, expected, "{path}: {value}");
        value
    }

    /// Adds a provider with this key; gives its id.
    pub async fn provider(&self, kind: &str, key: &str) -> String {
        let body = json!({ "kind": kind, "name": "Test", "api_key": key });
        let made = self.owner(Method::POST, "/v1/providers", Some(body), 201).await;
        made["provider_id"].as_str().unwrap().to_owned()
    }

    /// A new colleague with this role: member, admin or owner.
    pub async fn person(&self, role: &str) -> Person {
        let email = format!("{role}-{}@{}.example", uuid::Uuid::new_v4().simple(), self.slug);
        let sql = format!(
            "with person as (
                 insert into users (company_id, user_id, email, name, password_hash)
                 select company_id, gen_random_uuid(), '{email}', 'Somebody', password_hash
                 from users where company_id = $1::text::uuid limit 1
                 returning company_id, user_id)
             insert into memberships (company_id, user_id, role)
             select company_id, user_id, '{role}' from person
             returning user_id::text"
        );
        Person { user: self.rows(&sql).await[0].get(0), email }
    }

    /// Signs this address in; gives the access token and the refresh token.
    pub async fn sign_in(&self, email: &str) -> (String, String) {
        tokens(self.request("", Method::POST, "/v1/login"), email).await
    }

    /// A new visitor.
    pub async fn visitor(&self) -> Visitor<'_> {
        let (status, made) = self.call("", Method::POST, "/v1/visitor", None).await;
        assert_eq!(status, 201, "{made}");
        Visitor { company: self, token: made["token"].as_str().unwrap().to_owned() }
    }

    /// Gives it a row in every table that signing up leaves empty: by using it, and by the schema's owner for the rest.
    pub async fn furnish(&self) {
        let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
        self.provider("openai", &key).await;
        let visitor = self.visitor().await;
        let events = visitor.ask("What does a first visit cost?").await;
        let conversation = event(&events, "start")["conversation_id"].clone();
        let lead = json!({ "name": "Vera", "phone": "555 0100", "conversation_id": conversation });
        let request = self.request(&visitor.token, Method::POST, "/v1/leads").json(&lead);
        let request = request.header("idempotency-key", uuid::Uuid::new_v4().to_string());
        assert_eq!(request.send().await.unwrap().status(), 201);
        let path = format!("/v1/messages/{}/rating", event(&events, "done")["message_id"].as_str().unwrap());
        let rating = json!({ "good": false, "remark": "Too long." });
        assert_eq!(self.call(&visitor.token, Method::PUT, &path, Some(rating)).await.0, 200);
        let identity = json!({ "token": self.identity("7").await });
        let (status, told) = self.call(&visitor.token, Method::POST, "/v1/identity", Some(identity)).await;
        assert_eq!(status, 200, "{told}");
        // What is thrown away of what a template gave is remembered.
        let replies = self.owner(Method::GET, "/v1/replies", None, 200).await;
        let spare =
            replies["replies"].as_array().unwrap().iter().find(|reply| reply["slug"] == "chat-rude").unwrap();
        let path = format!("/v1/replies/{}", spare["message_template_id"].as_str().unwrap());
        self.owner(Method::DELETE, &path, None, 204).await;
        for sql in [
            "insert into notices (company_id, notice_id, kind, conversation_id, body)
             select company_id, gen_random_uuid(), 'lead', conversation_id, 'Vera wants to hear from you.'
             from conversations where company_id = $1::text::uuid limit 1 returning 1",
            "insert into conversation_notes (company_id, note_id, conversation_id, user_id, body)
             select c.company_id, gen_random_uuid(), c.conversation_id, u.user_id, 'A good customer.'
             from conversations c join users u using (company_id) where c.company_id = $1::text::uuid limit 1 returning 1",
            "insert into tool_calls (company_id, message_id, call, tool, arguments, outcome, done)
             select company_id, message_id, 1, 'look_up_knowledge', '{\"query\": \"visit\"}', 'A visit costs something.', true
             from messages where company_id = $1::text::uuid and author = 'visitor' limit 1 returning 1",
            "insert into knowledge_drafts (company_id, draft_id, category_id, source, source_url, question, answer)
             select company_id, gen_random_uuid(), category_id, 'website', 'https://www.example.com/about', 'Who?', 'We are.'
             from knowledge_categories where company_id = $1::text::uuid limit 1 returning 1",
            "with asked as (
                 insert into messages (company_id, message_id, conversation_id, author, body)
                 select company_id, gen_random_uuid(), conversation_id, 'visitor', 'Do you mend ' || gen_random_uuid() || '?'
                 from conversations where company_id = $1::text::uuid limit 1
                 returning company_id, message_id, conversation_id, body
             ),
             told as (
                 insert into messages (company_id, message_id, conversation_id, author, body, source, answers)
                 select company_id, gen_random_uuid(), conversation_id, 'agent', 'Nobody knows.', 'none', message_id from asked
             )
             insert into settled_questions (company_id, unanswered_id, outcome)
             select company_id, text_digest(body), 'dismissed' from asked returning 1",
            "insert into budget_alerts (company_id, period, starts, percent, used, allowed)
             values ($1::text::uuid, 'day', '2026-11-22', 50, 1, 2) returning 1",
            "insert into retention_settings (company_id, deliveries_days) values ($1::text::uuid, 30) returning 1",
        ] {
            self.rows(sql).await;
        }
        self.api_key(&["chat", "models"]).await;
        let webhook =
            json!({ "url": self.stand.website.url(crate::website::PLAIN), "events": ["budget.spent"] });
        self.owner(Method::POST, "/v1/webhooks", Some(webhook), 201).await;
        // Delivered, so that no round of another test changes it.
        self.rows(
            "insert into outbox (company_id, delivery_id, event_id, event, payload, webhook_id, attempts, next_at, delivered_at,
                                 last_status, last_error)
             select company_id, gen_random_uuid(), gen_random_uuid(), 'budget.spent', '{\"percent\": 100}', webhook_id, 2, null,
                    now(), 200, 'it answered 500'
             from webhooks where company_id = $1::text::uuid limit 1 returning 1",
        )
        .await;
        let domain = json!({ "host": format!("www.{}.com", self.slug) });
        self.owner(Method::POST, "/v1/domains", Some(domain), 201).await;
        let owner =
            self.rows("select user_id::text from users where company_id = $1::text::uuid limit 1").await;
        self.link("verify", owner[0].get(0), 60).await;
        self.invited(&format!("invited@{}.example", self.slug), "member").await;
        self.rows(
            "insert into recovery_codes (company_id, user_id, code_hash)
             select company_id, user_id, sha256('code') from users where company_id = $1::text::uuid limit 1 returning 1",
        )
        .await;
        self.support().await;
    }

    /// An access of support's that has begun and lasts for half an hour; gives its id.
    pub async fn support(&self) -> String {
        let sql = "insert into support_accesses (company_id, access_id, operator, reason, minutes, token_hash, link_expires_at,
                                                 used_at, ends_at)
                   values ($1::text::uuid, gen_random_uuid(), 'Ana', 'They asked why nothing answers.', 30,
                           sha256(gen_random_uuid()::text::bytea), now(), now(), now() + interval '30 minutes')
                   returning access_id::text";
        self.rows(sql).await[0].get(0)
    }

    /// The token of a link that lets support in once, made past the tool, and good for so many minutes.
    pub async fn support_link(&self, minutes: i32) -> String {
        let token = base64ct::Base64UrlUnpadded::encode_string(
            &[uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat(),
        );
        let sql = format!(
            "insert into support_accesses (company_id, access_id, operator, reason, minutes, token_hash, link_expires_at)
             values ($1::text::uuid, gen_random_uuid(), 'Ana', 'They asked why nothing answers.', 30, sha256('{token}'),
                     now() + interval '{minutes} minutes')
             returning 1"
        );
        self.rows(&sql).await;
        token
    }

    /// The mails to an address, newest first, once there are so many: some are sent when the request has been answered.
    pub async fn mails(&self, to: &str, least: usize) -> Vec<Value> {
        mails(self.stand, to, least).await
    }

    /// The token of the newest mail to an address that has a link, and of as many mails as there must be by then.
    pub async fn mailed_token(&self, to: &str, least: usize) -> String {
        link_token(&self.mails(to, least).await[0])
    }

    /// A link's token, made past the worker: for somebody of this company, good for so many minutes.
    pub async fn link(&self, purpose: &str, user: &str, minutes: i32) -> String {
        let token = base64ct::Base64UrlUnpadded::encode_string(
            &[uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat(),
        );
        let email = if purpose == "verify" { "email" } else { "null" };
        let sql = format!(
            "insert into account_links (company_id, link_id, purpose, subject, user_id, email, token_hash, expires_at)
             select company_id, gen_random_uuid(), '{purpose}', user_id::text, user_id, {email}, sha256('{token}'),
                    now() + interval '{minutes} minutes'
             from users where company_id = $1::text::uuid and user_id = '{user}'
             on conflict (company_id, purpose, subject) do update
             set token_hash = excluded.token_hash, expires_at = excluded.expires_at, used_at = null
             returning 1"
        );
        assert_eq!(self.rows(&sql).await.len(), 1);
        token
    }

    /// An invitation's token, made past the worker.
    pub async fn invited(&self, email: &str, role: &str) -> String {
        let token = base64ct::Base64UrlUnpadded::encode_string(
            &[uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat(),
        );
        let sql = format!(
            "insert into account_links (company_id, link_id, purpose, subject, email, role, token_hash, expires_at)
             values ($1::text::uuid, gen_random_uuid(), 'invite', '{email}', '{email}', '{role}', sha256('{token}'), now() + interval '1 hour')
             returning 1"
        );
        self.rows(&sql).await;
        token
    }

    /// Turns two-step sign-in on for whoever has this access token; gives the secret and the recovery codes.
    pub async fn two_step(&self, token: &str) -> (Vec<u8>, Vec<String>) {
        let begun = json!({ "password": PASSWORD });
        let (status, made) = self.call(token, Method::POST, "/v1/account/totp", Some(begun)).await;
        assert_eq!(status, 201, "{made}");
        let secret = unbase32(made["secret"].as_str().unwrap());
        let code = json!({ "code": bulkhead::totp::code(&secret, bulkhead::totp::step(now_s() * 1_000)) });
        let (status, on) = self.call(token, Method::POST, "/v1/account/totp/confirm", Some(code)).await;
        assert_eq!(status, 200, "{on}");
        let codes = on["recovery_codes"].as_array().unwrap();
        (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
    }

    /// What the company's server says of a visitor, signed with a new identity secret.
    pub async fn identity(&self, subject: &str) -> String {
        let path = "/v1/widget-settings/secret";
        let made = self.owner(Method::POST, path, None, 201).await;
        sign_identity(made["identity_secret"].as_str().unwrap(), subject)
    }

    /// A key for a program of the company's, with these scopes.
    pub async fn api_key(&self, scopes: &[&str]) -> String {
        let body = json!({ "name": "A program", "scopes": scopes });
        let made = self.owner(Method::POST, "/v1/api-keys", Some(body), 201).await;
        made["key"].as_str().unwrap().to_owned()
    }

    /// Names of the tables with companies' data, as the catalogue knows them.
    pub async fn tables(&self) -> Vec<String> {
        let sql = "select c.relname::text from pg_class c
                   join pg_attribute a on a.attrelid = c.oid and a.attname = 'company_id'
                   where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and $1::text is not null
                   order by 1";
        self.rows(sql).await.iter().map(|row| row.get(0)).collect()
    }

    /// A hash of all that it has in the database: equal only while nothing was added, changed or taken away.
    pub async fn fingerprint(&self) -> String {
        let tables: Vec<String> = self
            .tables()
            .await
            .iter()
            .map(|table| {
                format!(
                    "select '{table} ' || md5(coalesce(string_agg(t::text, '|' order by t::text), ''))
                         from {table} t where company_id = $1::text::uuid"
                )
            })
            .collect();
        let hashes = self.rows(&tables.join(" union all ")).await;
        // Of so many parts that Postgres may ask several at once, in no order.
        let mut hashes: Vec<String> = hashes.iter().map(|row| row.get(0)).collect();
        hashes.sort();
        hashes.join("\n")
    }

    /// Reads rows as the schema's owner, past every wall; `$1::text::uuid` is this company.
    pub async fn rows(&self, sql: &str) -> Vec<tokio_postgres::Row> {
        let connected = tokio_postgres::connect(&self.stand.owner_database_url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        client.query(sql, &[&self.id]).await.unwrap()
    }
}

impl Visitor<'_> {
    /// Asks, in a new conversation, and reads the whole answer.
    pub async fn ask(&self, message: &str) -> Vec<Event> {
        self.send(json!({ "message": message })).await
    }

    /// Sends this body to `/v1/chat`, which must answer with a stream, and reads all of it.
    pub async fn send(&self, body: Value) -> Vec<Event> {
        let response =
            self.company.request(&self.token, Method::POST, "/v1/chat").json(&body).send().await.unwrap();
        let status = response.status();
        if status != 200 {
            panic!("{status}: {}", response.text().await.unwrap());
        }
        let mut chunks = response.bytes_stream();
        let mut decoder = bulkhead::sse::Decoder::new(1 << 20);
        let mut events = Vec::new();
        while let Some(chunk) = chunks.next().await {
            read_events(&mut decoder, &chunk.unwrap(), &mut events);
        }
        events
    }

    /// Status and JSON of `/v1/chat` where it refuses.
    pub async fn refused(&self, body: Value) -> (u16, Value) {
        self.company.call(&self.token, Method::POST, "/v1/chat", Some(body)).await
    }
}

/// The media type that an answer says to be.
#[must_use]
pub fn kind(response: &reqwest::Response) -> String {
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    kind.unwrap_or("").to_owned()
}

/// Whether a path is the dashboard's: pages and forms.
#[must_use]
pub fn is_page(path: &str) -> bool {
    path == "/dashboard" || path.starts_with("/dashboard/") || path.starts_with("/dashboard?")
}

/// The cookie header of whoever has this access token at the stand's worker.
#[must_use]
pub fn cookie(access: &str) -> String {
    format!("__Host-session={}", crate::token::page(access, "k2", &crate::token::SIGNING_KEY))
}

/// The request with this body: JSON, or for a page a form with the same fields.
pub fn with(request: reqwest::RequestBuilder, path: &str, body: &Value) -> reqwest::RequestBuilder {
    if !is_page(path) {
        return request.json(body);
    }
    request.header("content-type", "application/x-www-form-urlencoded").body(form(body))
}

/// An object as a form.
#[must_use]
pub fn form(body: &Value) -> String {
    let mut fields = Vec::new();
    flatten("", body, &mut fields);
    fields.join("&")
}

fn flatten(name: &str, value: &Value, fields: &mut Vec<String>) {
    let inner = |field: &str| if name.is_empty() { field.to_owned() } else { format!("{name}.{field}") };
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(field, value)| flatten(&inner(field), value, fields));
        }
        Value::Array(list) => list.iter().for_each(|value| flatten(name, value, fields)),
        Value::String(text) => fields.push(format!("{}={}", escape(name), escape(text))),
        other => fields.push(format!("{}={other}", escape(name))),
    }
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => all.push(char::from(byte)),
            other => write!(all, "%{other:02X}").unwrap(),
        }
        all
    })
}

/// The access token and the refresh token that signing this address in brings.
async fn tokens(login: reqwest::RequestBuilder, email: &str) -> (String, String) {
    let response = login.json(&json!({ "email": email, "password": PASSWORD })).send().await.unwrap();
    let status = response.status();
    let tokens: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{tokens}");
    let token = |name: &str| tokens[name].as_str().unwrap().to_owned();
    (token("access_token"), token("refresh_token"))
}

/// The mails to an address that the stand caught, newest first, once there are so many.
///
/// # Panics
/// When they do not come.
pub async fn mails(stand: &Stand, to: &str, least: usize) -> Vec<Value> {
    for _ in 0..200 {
        let url = format!("{}/emails?to={}", stand.mail_url, escape(to));
        let caught: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let caught = caught["emails"].as_array().unwrap();
        if caught.len() >= least {
            return caught.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{least} mails to {to} did not come");
}

/// The token in the link of a mail.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn link_token(mail: &Value) -> String {
    let text = mail["text"].as_str().unwrap();
    let (_, rest) = text.split_once("?token=").unwrap_or_else(|| panic!("no link in {text}"));
    rest.chars().take_while(|c| !c.is_whitespace()).collect()
}

/// The bytes behind base32 without padding.
#[must_use]
pub fn unbase32(text: &str) -> Vec<u8> {
    let bits = text.bytes().flat_map(|letter| {
        let five = if letter.is_ascii_digit() { letter - b'2' + 26 } else { letter - b'A' };
        (0..5).rev().map(move |bit| five >> bit & 1)
    });
    let bits: Vec<u8> = bits.collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect()
}

/// Adds the events in a chunk of a stream.
pub fn read_events(decoder: &mut bulkhead::sse::Decoder, mut chunk: &[u8], events: &mut Vec<Event>) {
    while let Some(event) = decoder.decode(&mut chunk).unwrap() {
        events.push(Event { name: event.name.to_owned(), data: serde_json::from_str(event.data).unwrap() });
    }
}

/// What a company's server says of a visitor, good for ten minutes.
#[must_use]
pub fn sign_identity(secret: &str, subject: &str) -> String {
    let claims = json!({ "sub": subject, "name": "Vera", "email": "vera@example.com", "exp": now_s() + 600 });
    sign_text(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string(), secret.as_bytes())
}

/// The text of an answer.
#[must_use]
pub fn text(events: &[Event]) -> String {
    events
        .iter()
        .filter(|event| event.name == "delta")
        .filter_map(|event| event.data["text"].as_str())
        .collect()
}

/// The data of the first event of a name.
#[must_use]
pub fn event<'events>(events: &'events [Event], name: &str) -> &'events Value {
    match events.iter().find(|event| event.name == name) {
        Some(event) => &event.data,
        None => panic!("no {name} event in {events:?}"),
    }
}
