//! The development stand as the tests' ground: one `bulkhead dev` for a whole test binary, beside the model providers' double.
//! It mocks nothing but the providers; the stand stops itself when the test process ends, however it ends.
//!
//! `BULKHEAD_EDGE=spin` has it run the worker on the other edge; then everything that asks the worker tests that edge.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use crate::upstream::Upstream;
use crate::website::{Page, Website};

/// The runtime that the worker is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Cloudflare Workers.
    Workers,
    /// Fermyon Spin.
    Spin,
}

impl Edge {
    /// The one that `BULKHEAD_EDGE` names, `workers` when it names none.
    ///
    /// # Panics
    /// For any other name.
    #[must_use]
    pub fn tested() -> Self {
        match std::env::var("BULKHEAD_EDGE").as_deref() {
            Err(_) | Ok("" | "workers") => Self::Workers,
            Ok("spin") => Self::Spin,
            Ok(other) => panic!("BULKHEAD_EDGE is workers or spin, not {other}"),
        }
    }
}

/// A running stand: the worker in its edge's runtime, the gateway, Postgres, Redis, and the model providers' double.
#[derive(Debug)]
pub struct Stand {
    /// The worker's address, `http://127.0.0.1:PORT`; the host name decides which company answers.
    pub url: String,
    /// The address of the apex host.
    pub root_url: String,
    /// The worker's port.
    pub port: u16,
    /// Where the gateway speaks SQL over HTTP and Redis over REST.
    pub gateway_url: String,
    /// Bearer token of the gateway's Redis side.
    pub redis_token: String,
    /// The schema's owner on the database: sees past row-level security.
    pub owner_database_url: String,
    /// The worker's role on the database.
    pub worker_database_url: String,
    /// Redis itself, past the gateway.
    pub redis_native_url: String,
    /// Where mails are caught: `/` for people, `/emails?to=…` as JSON.
    pub mail_url: String,
    /// Folder of the programs' logs.
    pub logs: PathBuf,
    /// What the worker takes for OpenAI, Anthropic and Google.
    pub upstream: Upstream,
    /// A website that may be imported.
    pub website: Website,
    /// One whose `robots.txt` cannot be had.
    pub closed: Website,
    pids: serde_json::Value,
    http: reqwest::Client,
    // Its standard input stays open as long as this process lives.
    _process: Child,
}

impl Stand {
    /// The stand of this test binary, started by whoever asks first. Its tokens are signed with [`crate::token`]'s keys.
    ///
    /// # Panics
    /// When it cannot be started; what the stand said about it is on standard error.
    pub fn get() -> &'static Self {
        static STAND: OnceLock<Stand> = OnceLock::new();
        STAND.get_or_init(|| Self::start(Upstream::start(), &[("JWT_KEYS", &crate::token::ring())]))
    }

    /// One more stand, with further settings for its worker; better take [`Stand::get`] unless the test breaks parts.
    ///
    /// # Panics
    /// As [`Stand::get`].
    #[must_use]
    pub fn start(upstream: Upstream, settings: &[(&str, &str)]) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let tool = tool();
        // target/debug/bulkhead → target/stands/…
        let stands = tool.ancestors().nth(2).unwrap().join("stands");
        let data = stands.join(format!("{}-{number}", std::process::id()));
        let edge = match Edge::tested() {
            Edge::Workers => "workers",
            Edge::Spin => "spin",
        };
        let compatible = upstream.url().trim_start_matches("http://").trim_end_matches("/v1");

        let robots = "User-agent: *\nDisallow: /site/*/private\n";
        let website = Website::start(Page::Text("text/plain", robots.into()));
        let closed = Website::start(Page::Status(503));
        let import = format!("{}, {}", website.host(), closed.host());

        let mut command = Command::new(&tool);
        command
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
            .args(["dev", "--json", "--port", "0", "--no-demo", "--throwaway", "--exit-with-stdin"])
            .args(["--edge", edge])
            .arg("--data-dir")
            .arg(data)
            .args(["--set", &format!("OPENAI_URL={}", upstream.url())])
            .args(["--set", &format!("ANTHROPIC_URL={}", upstream.url())])
            .args(["--set", &format!("GEMINI_URL={}", upstream.url())])
            .args(["--set", &format!("COMPATIBLE_HOSTS={compatible}")])
            .args(["--set", &format!("IMPORT_HOSTS={import}")])
            .args(["--set", &format!("DNS_URL={}", website.url(crate::dns::PATH))])
            .env_remove("DATABASE_URL")
            .env_remove("REDIS_URL")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(release) = release() {
            command.arg("--worker-bundle").arg(release.join("src/edge/workers/build"));
        }
        for (name, value) in settings {
            command.args(["--set", &format!("{name}={value}")]);
        }
        let mut process =
            command.spawn().unwrap_or_else(|error| panic!("cannot run {}: {error}", tool.display()));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value =
            serde_json::from_str(&line).expect("the stand did not start; its reason is above");

        let text = |name: &str| ready.get(name).and_then(|value| value.as_str()).unwrap().to_owned();
        Self {
            url: text("url"),
            root_url: text("root_url"),
            port: ready.get("port").and_then(|port| port.as_u64()).unwrap().try_into().unwrap(),
            gateway_url: text("gateway_url"),
            redis_token: text("redis_token"),
            owner_database_url: text("database_url"),
            worker_database_url: text("worker_database_url"),
            redis_native_url: text("redis_native_url"),
            mail_url: text("mail_url"),
            logs: text("logs").into(),
            upstream,
            website,
            closed,
            pids: ready.get("pids").unwrap().clone(),
            http: client(),
            _process: process,
        }
    }

    /// A request to the worker under a host name: `localhost` for the apex, `<slug>.localhost` for a company. The stand's port
    /// is added, unless the name has one.
    pub fn http(&self, host: &str, method: http::Method, path: &str) -> reqwest::RequestBuilder {
        note();
        self.unnoted(host, method, path)
    }

    /// The same for what is only a test's ground: making a company is no reason to run it on each edge.
    pub(crate) fn unnoted(&self, host: &str, method: http::Method, path: &str) -> reqwest::RequestBuilder {
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:{}", self.port) };
        self.http.request(method, format!("{}{path}", self.url)).header(http::header::HOST, host)
    }

    /// What the gateway's clients call these values in their environment.
    ///
    /// # Panics
    /// For any other name.
    #[must_use]
    pub fn var(&self, name: &str) -> &str {
        match name {
            "GATEWAY_URL" => &self.gateway_url,
            "DATABASE_URL" => &self.worker_database_url,
            "GATEWAY_REDIS_TOKEN" => &self.redis_token,
            _ => panic!("the stand knows no {name}"),
        }
    }

    /// The process id of a part, by its name: `postgres`, `redis`, `gateway` or `worker`.
    #[must_use]
    pub fn pid(&self, part: &str) -> Option<u64> {
        self.pids.get(part)?.as_u64()
    }
}

/// The source of a release whose built worker is to run instead of this tree's: what `BULKHEAD_RELEASE` names.
#[must_use]
pub fn release() -> Option<PathBuf> {
    std::env::var_os("BULKHEAD_RELEASE").map(PathBuf::from)
}

/// Notes that the running test asks the worker, in the file that `BULKHEAD_ASKED` names: `scripts/test` runs on the other
/// edge whatever is in it. A request to the worker that is not noted must not exist, so all go through here.
///
/// # Panics
/// When the file cannot be written.
pub(crate) fn note() {
    static NOTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Some(file) = std::env::var_os("BULKHEAD_ASKED") else { return };
    // The test harness calls a test's thread like the test. On one core there is but one thread, and so no telling.
    let thread = std::thread::current();
    let test = thread.name().filter(|name| name.contains("::")).unwrap_or("all");
    if NOTED.lock().unwrap().insert(test.to_owned()) {
        let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
        file.write_all(format!("{test}\n").as_bytes()).unwrap();
    }
}

/// Each test has a runtime of its own, and a kept connection dies with the runtime that opened it: so none is kept.
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Path of the native tool: where `BULKHEAD_BIN` says, or beside this test binary.
///
/// # Panics
/// When it is not built.
pub fn tool() -> PathBuf {
    let tool = match std::env::var("BULKHEAD_BIN") {
        Ok(path) => PathBuf::from(path),
        // target/debug/deps/it-… → target/debug/bulkhead
        Err(_) => std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("bulkhead"),
    };
    assert!(tool.is_file(), "{} is not built; run ./scripts/test, or ./scripts/build first", tool.display());
    tool.canonicalize().unwrap()
}
