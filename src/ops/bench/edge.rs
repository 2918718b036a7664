//! An edge that the bench started, beside others on the same Postgres, Redis and gateway: its companies and their visitors.
//! It decides nothing about when and how often it is asked.

use std::path::Path;

use anyhow::{Context as _, ensure};
use http::HeaderName;
use http::header::HOST;
use serde_json::{Value, json};

use super::Args;
use super::contender::{Answer, Contender, Wire, bearer, listen};
use super::relay::Relay;
use crate::dev::demo::Companies;
use crate::dev::processes::Processes;
use crate::dev::secrets::random;
use crate::dev::worker;

/// A worker in its runtime.
pub struct Edge {
    /// As the tables call it.
    pub name: &'static str,
    /// Its process.
    pub process: u64,
    url: String,
    port: u16,
    password: String,
    client: reqwest::Client,
    processes: Processes,
}

/// Somebody with a question for a company.
pub struct Visitor {
    host: String,
    token: String,
}

/// The edges that are measured, with the same keys, so that a company made through one is at home on the others.
pub struct Edges {
    /// On workerd.
    pub workers: Edge,
    /// On wasmtime; `None` where that was not built.
    pub spin: Option<Edge>,
    /// On workerd once more, with a relay before Postgres and Redis.
    pub relayed: Edge,
    /// That relay.
    pub relay: Relay,
    settings: Vec<(String, String)>,
}

/// As the tables call Bulkhead on each edge.
pub const WORKERS: &str = "Bulkhead on workerd";
/// On Spin's runtime.
pub const SPIN: &str = "Bulkhead on Spin's runtime";
/// With backends that answer at once.
pub const RELAYED: &str = "Bulkhead on workerd, instant backends";
/// By its endpoint for OpenAI's clients.
pub const OPENAI: &str = "Bulkhead on workerd, its OpenAI endpoint";

impl Edges {
    /// Starts them.
    pub async fn start(args: &Args, provider_url: &str) -> anyhow::Result<Self> {
        let settings = [
            ("DATABASE_URL", args.database_url.clone()),
            ("SQL_URL", format!("{}/sql", args.gateway_url)),
            ("UPSTASH_REDIS_REST_URL", args.gateway_url.clone()),
            ("UPSTASH_REDIS_REST_TOKEN", args.redis_token.clone()),
            ("JWT_KEYS", format!("k1:{}", random()?)),
            ("MASTER_KEYS", format!("1:{}", random()?)),
            ("OPENAI_URL", provider_url.to_owned()),
        ];
        let settings: Vec<_> = settings.map(|(name, value)| (name.to_owned(), value)).into();
        let password = random()?;
        let relay = Relay::start(&args.gateway_url).await?;
        let with_relay = with(
            &settings,
            &[("SQL_URL", format!("{}/sql", relay.url)), ("UPSTASH_REDIS_REST_URL", relay.url.clone())],
        );
        let spin = if Path::new("src/edge/spin/build/bulkhead.wasm").exists() {
            Some(Edge::start(SPIN, worker::Edge::Spin, settings.clone(), password.clone()).await?)
        } else {
            super::progress("Spin's edge is left out: it is not built (./scripts/build spin)");
            None
        };
        Ok(Self {
            workers: Edge::start(WORKERS, worker::Edge::Workers, settings.clone(), password.clone()).await?,
            spin,
            relayed: Edge::start(RELAYED, worker::Edge::Workers, with_relay, password).await?,
            relay,
            settings,
        })
    }

    /// The settings of all of them, but for where each one is.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Both edges, for what compares them.
    pub fn both(&self) -> impl Iterator<Item = &Edge> {
        std::iter::once(&self.workers).chain(&self.spin)
    }

    /// Ends their runtimes.
    pub async fn stop(self) {
        for edge in [Some(self.workers), self.spin, Some(self.relayed)].into_iter().flatten() {
            edge.stop().await;
        }
    }
}

fn with(settings: &[(String, String)], changed: &[(&str, String)]) -> Vec<(String, String)> {
    let mut settings = settings.to_vec();
    for (name, value) in &mut settings {
        if let Some((_, new)) = changed.iter().find(|(other, _)| other == name) {
            value.clone_from(new);
        }
    }
    settings
}

impl Edge {
    async fn start(
        name: &'static str,
        edge: worker::Edge,
        mut settings: Vec<(String, String)>,
        password: String,
    ) -> anyhow::Result<Self> {
        let port = worker::port(0)?;
        settings.push(("ROOT_URL".to_owned(), format!("http://localhost:{port}")));
        let data = directory(name)?;
        let mut processes = Processes::default();
        worker::start(edge, &mut processes, &data, None, port, &settings)?;
        let url = format!("http://127.0.0.1:{port}");
        processes.answers(name, &url, "localhost", "/healthz").await?;
        let process = processes.pids().get("worker").and_then(Value::as_u64).context("the worker ended")?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { name, process, url, port, password, client, processes })
    }

    /// Makes a company with a provider, and changes its budget as its owner would.
    pub async fn company(&self, budget: &Value) -> anyhow::Result<String> {
        let companies = self.companies();
        let random = crate::templates::id().replace('-', "");
        let slug = format!("bench-{}", random.chars().take(20).collect::<String>());
        companies.create(&slug, "plumbing").await?;
        companies.connect(&slug, "openai", "bench-no-real-key").await?;
        let token = companies.sign_in(&slug).await?;
        let (status, said) = companies.call(&slug, "PATCH", "/v1/budget", Some(&token), budget).await?;
        ensure!(status == 200, "the budget of {slug} could not be changed: {status} {said}");
        Ok(slug)
    }

    /// A key with which a company's programs ask, and the default agent's short name.
    pub async fn program(&self, slug: &str) -> anyhow::Result<(String, String)> {
        let companies = self.companies();
        let token = companies.sign_in(slug).await?;
        let wanted = json!({ "name": "bench", "scopes": ["chat"] });
        let (_, made) = companies.call(slug, "POST", "/v1/api-keys", Some(&token), &wanted).await?;
        let (_, agents) = companies.call(slug, "GET", "/v1/agents", Some(&token), &Value::Null).await?;
        let agents = agents.get("agents").and_then(Value::as_array).context("a company without agents")?;
        let default = agents.iter().find(|agent| agent.get("is_default") == Some(&Value::Bool(true)));
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let agent = text(default.and_then(|agent| agent.get("slug"))).context("no agent is the default")?;
        Ok((text(made.get("key")).context("no key was made")?, agent))
    }

    /// New visitors of a company.
    pub async fn visitors(&self, slug: &str, count: usize) -> anyhow::Result<Vec<Visitor>> {
        let mut visitors = Vec::with_capacity(count);
        for _ in 0..count {
            let host = self.host(slug);
            let request = self.client.post(format!("{}/v1/visitor", self.url)).header("host", &host);
            let made: Value = request.send().await?.error_for_status()?.json().await?;
            let token = made.get("token").and_then(Value::as_str).context("a visitor without a token")?;
            visitors.push(Visitor { host, token: token.to_owned() });
        }
        Ok(visitors)
    }

    /// As one of those who are measured beside each other, asked by these visitors.
    pub fn contender(&self, visitors: Vec<Visitor>) -> anyhow::Result<Contender> {
        let callers = visitors.into_iter().map(|visitor| vec![(HOST, visitor.host), bearer(&visitor.token)]);
        let process = Some(self.process);
        let contender = Contender::new(self.name, &self.url, Wire::Chat, "", callers.collect(), process)?;
        Ok(contender.by_gateway())
    }

    /// The same by its endpoint for OpenAI's clients, asked by programs of these companies.
    pub async fn openai(&self, slugs: &[String]) -> anyhow::Result<Contender> {
        let (mut callers, mut model): (Vec<Vec<(HeaderName, String)>>, _) = (Vec::new(), String::new());
        for slug in slugs {
            let (key, agent) = self.program(slug).await?;
            model = agent;
            callers.push(vec![(HOST, self.host(slug)), bearer(&key)]);
        }
        let contender = Contender::new(OPENAI, &self.url, Wire::OpenAi, &model, callers, Some(self.process))?;
        Ok(contender.by_gateway())
    }

    /// Asks, in a new conversation, and reads the answer to its end, whatever it is.
    pub async fn ask(&self, visitor: &Visitor, question: &str) -> anyhow::Result<Answer> {
        let request = self
            .client
            .post(format!("{}/v1/chat", self.url))
            .header("host", &visitor.host)
            .bearer_auth(&visitor.token)
            .json(&json!({ "message": question }));
        listen(request, Wire::Chat).await
    }

    /// Ends its runtime.
    pub async fn stop(mut self) {
        self.processes.stop().await;
    }

    fn companies(&self) -> Companies<'_> {
        Companies { url: &self.url, port: self.port, password: &self.password }
    }

    fn host(&self, slug: &str) -> String {
        format!("{slug}.localhost:{}", self.port)
    }
}

/// An own folder under `target/bench/edges`, with one for logs in it.
pub fn directory(name: &str) -> anyhow::Result<std::path::PathBuf> {
    let name: String = name.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
    let data = Path::new("target/bench/edges").join(name);
    std::fs::create_dir_all(data.join("logs")).context("target/bench cannot be made")?;
    Ok(data.canonicalize()?)
}
