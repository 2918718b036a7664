//! The core, native, over the stand's database and Redis: what tests look into that the built worker does not show.
//!
//! Its keys are its own: a token or a sealed key of the stand's worker is none here.

use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::OnceLock;

use base64ct::{Base64UrlUnpadded, Encoding};
use bulkhead::config::Config;
use bulkhead::{App, platform::Body};
use serde_json::{Value, json};

use crate::company::{Company, Event, PASSWORD, form, is_page, read_events};
use crate::native::Native;
use crate::stand::{Stand, tool};

/// What the operator's routes of these cores take.
pub const CRON_TOKEN: &str = "a token of the operator's, for tests";

/// A core of a test's own.
pub struct Core {
    /// Where its database and Redis are.
    pub stand: &'static Stand,
    /// Its runtime: what it sends and logs, and how that is broken.
    pub native: Native,
    app: Rc<App>,
}

impl Core {
    /// A core as it is shipped.
    #[must_use]
    pub fn new(stand: &'static Stand) -> Self {
        Self::over(stand, &stand.gateway_url, &stand.worker_database_url)
    }

    /// A core whose database role bypasses row-level security.
    #[must_use]
    pub fn without_row_level_security(stand: &'static Stand) -> Self {
        static GATEWAY: OnceLock<Gateway> = OnceLock::new();
        let gateway = GATEWAY.get_or_init(|| Gateway::start(stand, &stand.owner_database_url));
        Self::over(stand, &gateway.url, &stand.owner_database_url)
    }

    /// A core whose database is behind a gateway of its own, which a test may kill.
    #[must_use]
    pub fn behind(gateway: &Gateway) -> Self {
        Self::over(gateway.stand, &gateway.url, &gateway.stand.worker_database_url)
    }

    /// A core with these master keys, as the setting `MASTER_KEYS` spells them.
    #[must_use]
    pub fn sealing(stand: &'static Stand, master_keys: &str) -> Self {
        Self::with(stand, &stand.gateway_url, &stand.worker_database_url, master_keys)
    }

    /// A core that hands its mails in there.
    #[must_use]
    pub fn posting(stand: &'static Stand, mail_url: &str) -> Self {
        let secret = Base64UrlUnpadded::encode_string(&[7; 32]);
        let keys = format!("1:{secret}");
        Self::built(stand, &stand.gateway_url, &stand.worker_database_url, &keys, Some(mail_url))
    }

    fn over(stand: &'static Stand, gateway_url: &str, database_url: &str) -> Self {
        let secret = Base64UrlUnpadded::encode_string(&[7; 32]);
        Self::with(stand, gateway_url, database_url, &format!("1:{secret}"))
    }

    fn with(stand: &'static Stand, gateway_url: &str, database_url: &str, master_keys: &str) -> Self {
        Self::built(stand, gateway_url, database_url, master_keys, None)
    }

    fn built(
        stand: &'static Stand,
        gateway_url: &str,
        database_url: &str,
        master_keys: &str,
        mail_url: Option<&str>,
    ) -> Self {
        let secret = Base64UrlUnpadded::encode_string(&[7; 32]);
        let config = Config::parse(&|name| match name {
            "ROOT_URL" => Some(stand.root_url.clone()),
            "DATABASE_URL" => Some(database_url.to_owned()),
            "SQL_URL" => Some(format!("{gateway_url}/sql")),
            "UPSTASH_REDIS_REST_URL" => Some(stand.gateway_url.clone()),
            "UPSTASH_REDIS_REST_TOKEN" => Some(stand.redis_token.clone()),
            "JWT_KEYS" => Some(format!("k:{secret}")),
            "MASTER_KEYS" => Some(master_keys.to_owned()),
            "MAIL_URL" => mail_url.map(str::to_owned),
            "MAIL_KEY" => mail_url.map(|_| stand.redis_token.clone()),
            "MAIL_FROM" => mail_url.map(|_| "mail@localhost".to_owned()),
            "CRON_TOKEN" => Some(CRON_TOKEN.to_owned()),
            "PLATFORM_OPENAI_KEY" => Some("test-ok-platform".to_owned()),
            "OPENAI_URL" | "ANTHROPIC_URL" | "GEMINI_URL" => Some(stand.upstream.url().to_owned()),
            "DNS_URL" => Some(stand.website.url(crate::dns::PATH)),
            "IMPORT_HOSTS" => Some(stand.website.host().to_owned()),
            _ => None,
        });
        Self { stand, native: Native::default(), app: Rc::new(App::new(config.unwrap())) }
    }

    /// Serves one request on a company's host.
    pub async fn serve(
        &self,
        company: &Company,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> http::Response<Body> {
        self.serve_at(&company.host(), method, path, token, body).await
    }

    /// Serves one request on a host, `localhost` for the platform's own.
    pub async fn serve_at(
        &self,
        host: &str,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> http::Response<Body> {
        if is_page(path) {
            let cookie = format!("__Host-session={}", crate::token::page(token, "k", &[7; 32]));
            let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
            return self.serve_with(host, method, path, &headers, body).await;
        }
        let bearer = format!("Bearer {token}");
        let headers = if token.is_empty() { &[][..] } else { &[("authorization", bearer.as_str())] };
        self.serve_with(host, method, path, headers, body).await
    }

    /// Serves one request on a host, with these headers.
    pub async fn serve_with(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> http::Response<Body> {
        let host = format!("{host}:{}", self.stand.port);
        let mut request = http::Request::builder().method(method).uri(path).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let text = |body: Value| if is_page(path) { form(&body) } else { body.to_string() };
        let body = body.map_or(Body::empty(), |body| Body::from(text(body)));
        bulkhead::serve(Rc::clone(&self.app), self.native.platform(), request.body(body).unwrap()).await
    }

    /// Status and JSON of one request; null where the answer is none.
    pub async fn call(
        &self,
        company: &Company,
        method: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let response = self.serve(company, method, path, token, body).await;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect(1 << 24).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// A visitor token.
    pub async fn visitor(&self, company: &Company) -> String {
        let (status, made) = self.call(company, "POST", "/v1/visitor", "", None).await;
        assert_eq!(status, 201, "{made}");
        made["token"].as_str().unwrap().to_owned()
    }

    /// The owner's access token.
    pub async fn owner(&self, company: &Company) -> String {
        let email = format!("owner@{}.example", company.slug);
        let login = json!({ "email": email, "password": PASSWORD });
        let (status, tokens) = self.call(company, "POST", "/v1/login", "", Some(login)).await;
        assert_eq!(status, 200, "{tokens}");
        tokens["access_token"].as_str().unwrap().to_owned()
    }

    /// Adds an OpenAI provider with this key; gives its id.
    pub async fn provider(&self, company: &Company, key: &str) -> String {
        let owner = self.owner(company).await;
        let provider = json!({ "kind": "openai", "name": "Test", "api_key": key });
        let (status, made) = self.call(company, "POST", "/v1/providers", &owner, Some(provider)).await;
        assert_eq!(status, 201, "{made}");
        made["provider_id"].as_str().unwrap().to_owned()
    }
}

/// The events of a body.
pub async fn read(mut body: Body) -> Vec<Event> {
    let (mut decoder, mut events) = (bulkhead::sse::Decoder::new(1 << 20), Vec::new());
    while let Some(chunk) = body.next().await {
        read_events(&mut decoder, &chunk.unwrap(), &mut events);
    }
    events
}

/// A second gateway to the stand's database and Redis.
pub struct Gateway {
    stand: &'static Stand,
    url: String,
    process: Child,
}

impl Gateway {
    /// Starts one that connects as the role in this URL.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(stand: &'static Stand, database_url: &str) -> Self {
        Self::with(stand, database_url, "")
    }

    /// One that has a single connection to Postgres, so that each request is lent what the last one left.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn of_one_connection(stand: &'static Stand) -> Self {
        Self::with(stand, &stand.worker_database_url, "--pool-size 1 --pool-wait-ms 60000")
    }

    /// Where it speaks SQL over HTTP.
    #[must_use]
    pub fn sql_url(&self) -> String {
        format!("{}/sql", self.url)
    }

    fn with(stand: &'static Stand, database_url: &str, options: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // A child of a shell that ends with its standard input, so that it does not outlive the tests.
        let gateway = format!(
            "{} gateway --development --listen 127.0.0.1:{port} {options} & cat; kill -KILL $!",
            tool().display()
        );
        let process = Command::new("sh")
            .args(["-c", &gateway])
            .env("DATABASE_URL", database_url)
            .env("REDIS_URL", &stand.redis_native_url)
            .env("GATEWAY_REDIS_TOKEN", &stand.redis_token)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed().as_secs() < 60, "the second gateway does not start");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Self { stand, url: format!("http://127.0.0.1:{port}"), process }
    }

    /// Kills it at once, in the middle of whatever it does.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}
