//! An edge that the bench started, beside the other one on the same Postgres, Redis and gateway: how it is asked, and what
//! its process uses. It decides nothing about when and how often.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bulkhead::sse::Decoder;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::Args;
use crate::dev::demo::Companies;
use crate::dev::processes::Processes;
use crate::dev::secrets::random;
use crate::dev::worker;

/// A worker in its runtime.
pub struct Edge {
    /// As the tables call it.
    pub name: &'static str,
    url: String,
    port: u16,
    password: String,
    client: reqwest::Client,
    processes: Processes,
    process: u64,
}

/// Somebody with a question for a company.
pub struct Visitor {
    host: String,
    token: String,
}

/// How a question was answered.
#[derive(Clone)]
pub struct Answer {
    /// The status; what follows is of 200 only.
    pub status: u16,
    /// From sending the question to the first word; to the end, if there was none.
    pub first_word: Duration,
    /// Where the answer came from, as `done` says.
    pub source: String,
}

/// What a process has used so far.
#[derive(Clone, Copy)]
pub struct Usage {
    /// Processor time.
    pub cpu: Duration,
    /// Memory that it holds now, megabytes.
    pub memory_mb: f64,
    /// The most that it ever held.
    pub peak_mb: f64,
}

/// Both edges, with the same keys, so that a company made through one is at home on the other.
pub async fn both(args: &Args, provider_url: &str) -> anyhow::Result<[Edge; 2]> {
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
    Ok([
        Edge::start("Workers", worker::Edge::Workers, settings.clone(), password.clone()).await?,
        Edge::start("Spin", worker::Edge::Spin, settings, password).await?,
    ])
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
        let data = Path::new("target/bench/edges").join(name);
        std::fs::create_dir_all(data.join("logs")).context("target/bench cannot be made")?;
        let mut processes = Processes::default();
        worker::start(edge, &mut processes, &data.canonicalize()?, None, port, &settings)?;
        let url = format!("http://127.0.0.1:{port}");
        processes.answers(name, &url, "localhost", "/healthz").await?;
        let process = processes.pids().get("worker").and_then(Value::as_u64).context("the worker ended")?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { name, url, port, password, client, processes, process })
    }

    /// Makes a company with a provider, and changes its budget as its owner would.
    pub async fn company(&self, budget: &Value) -> anyhow::Result<String> {
        let companies = Companies { url: &self.url, port: self.port, password: &self.password };
        let random = crate::templates::id().replace('-', "");
        let slug = format!("bench-{}", random.chars().take(20).collect::<String>());
        companies.create(&slug, "plumbing").await?;
        companies.connect(&slug, "openai", "bench-no-real-key").await?;
        let token = companies.sign_in(&slug).await?;
        let (status, said) = companies.call(&slug, "PATCH", "/v1/budget", Some(&token), budget).await?;
        ensure!(status == 200, "the budget of {slug} could not be changed: {status} {said}");
        Ok(slug)
    }

    /// New visitors of a company.
    pub async fn visitors(&self, slug: &str, count: usize) -> anyhow::Result<Vec<Visitor>> {
        let mut visitors = Vec::with_capacity(count);
        for _ in 0..count {
            let host = format!("{slug}.localhost:{}", self.port);
            let request = self.client.post(format!("{}/v1/visitor", self.url)).header("host", &host);
            let made: Value = request.send().await?.error_for_status()?.json().await?;
            let token = made.get("token").and_then(Value::as_str).context("a visitor without a token")?;
            visitors.push(Visitor { host, token: token.to_owned() });
        }
        Ok(visitors)
    }

    /// Asks, in a new conversation, and reads the answer to its end.
    pub async fn ask(&self, visitor: &Visitor, question: &str) -> anyhow::Result<Answer> {
        let request = self
            .client
            .post(format!("{}/v1/chat", self.url))
            .header("host", &visitor.host)
            .bearer_auth(&visitor.token)
            .json(&json!({ "message": question }));
        listen(request, |name, data| match name {
            "delta" => Ok(Heard::Word),
            "done" => {
                let done: Value = serde_json::from_str(data)?;
                let source = done.get("source").and_then(Value::as_str).unwrap_or_default();
                Ok(Heard::End(source.to_owned()))
            }
            "error" => bail!("the turn failed: {data}"),
            _ => Ok(Heard::Other),
        })
        .await
    }

    /// What its process has used; `None` where no `/proc` tells.
    pub fn usage(&self) -> Option<Usage> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.process)).ok();
        let stat = read("stat")?;
        // The name in front may hold anything, parentheses too (proc_pid_stat(5)).
        let (_, numbers) = stat.rsplit_once(')')?;
        let ticks: u64 =
            numbers.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap_or(0)).sum();
        let status = read("status")?;
        let megabytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.split_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
        };
        let ticks_a_second = rustix::param::clock_ticks_per_second();
        Some(Usage {
            cpu: Duration::from_millis(ticks * 1_000 / ticks_a_second),
            memory_mb: megabytes("VmRSS:")?,
            peak_mb: megabytes("VmHWM:")?,
        })
    }

    /// Ends its runtime.
    pub async fn stop(mut self) {
        self.processes.stop().await;
    }
}

/// Asks the provider itself, with a request like the worker's.
pub async fn ask_directly(
    client: &reqwest::Client,
    provider_url: &str,
    question: &str,
) -> anyhow::Result<Answer> {
    let body = json!({
        "model": "measured", "stream": true, "stream_options": { "include_usage": true },
        "messages": [{ "role": "system", "content": "x".repeat(4_000) }, { "role": "user", "content": question }],
    });
    let request = client.post(format!("{provider_url}/chat/completions")).json(&body);
    listen(request, |_, data| {
        Ok(match data {
            "[DONE]" => Heard::End("model".to_owned()),
            data if data.contains(r#""content""#) => Heard::Word,
            _ => Heard::Other,
        })
    })
    .await
}

/// What an event is of an answer.
enum Heard {
    Word,
    /// With where the answer came from.
    End(String),
    Other,
}

async fn listen(
    request: reqwest::RequestBuilder,
    mut heard: impl FnMut(&str, &str) -> anyhow::Result<Heard>,
) -> anyhow::Result<Answer> {
    let started = Instant::now();
    let response = request.send().await?;
    let status = response.status().as_u16();
    let mut answer = Answer { status, first_word: started.elapsed(), source: String::new() };
    let mut chunks = response.bytes_stream();
    if status != 200 {
        // Read to its end, so that the connection can be used again.
        while chunks.next().await.transpose()?.is_some() {}
        return Ok(answer);
    }
    let (mut decoder, mut first) = (Decoder::new(1 << 20), None);
    while let Some(chunk) = chunks.next().await.transpose()? {
        let mut chunk = &*chunk;
        while let Some(event) = decoder.decode(&mut chunk)? {
            match heard(event.name, event.data)? {
                Heard::Word => _ = first.get_or_insert_with(|| started.elapsed()),
                Heard::End(source) => answer.source = source,
                Heard::Other => {}
            }
        }
    }
    ensure!(!answer.source.is_empty(), "an answer broke off");
    answer.first_word = first.unwrap_or_else(|| started.elapsed());
    Ok(answer)
}
