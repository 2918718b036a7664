//! What people would pick instead, started as its makers say, one process each: the same turn the usual way, LiteLLM and Portkey;
//! and workers that do a part of a turn, the floors of one that does all of it. It installs nothing; `scripts/peers` does, and what
//! is not there is left out.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use http::HeaderName;
use serde_json::{Value, json};

use super::contender::{Contender, Wire, bearer, openai};
use super::edge::directory;
use super::{Args, progress};
use crate::dev::processes::{Processes, Program, find, free_port};
use crate::dev::secrets::random;
use crate::dev::worker;

/// As the tables call a worker that only passes on.
pub const PASSTHROUGH: &str = "pass-through worker on workerd";
/// One that reads each chunk and changes none.
pub const READER: &str = "chunk-reading worker on workerd";
/// One that sends a turn's requests and does nothing else, with backends that answer at once.
pub const BARE: &str = "bare worker on workerd, instant backends";
/// The same turn in Python.
pub const REFERENCE: &str = "FastAPI reference, the same turn";
/// Another gateway.
pub const LITELLM: &str = "LiteLLM proxy 1.91.1";
/// Another gateway.
pub const PORTKEY: &str = "Portkey gateway 1.15.2";

/// Their processes, and who can be asked.
pub struct Peers {
    processes: Vec<Processes>,
    /// Workers that do a part of what Bulkhead's does: the floors of one that does all of it.
    pub floors: Vec<Contender>,
    /// What people would pick instead, in the order of the tables.
    pub others: Vec<Contender>,
}

/// A company and how many of its visitors ask.
pub struct Askers {
    /// Companies' ids.
    pub companies: Vec<String>,
    /// Visitors of all of them together.
    pub visitors: usize,
}

/// A turn of Bulkhead's as it was sent, and who answers it at once.
pub struct Recorded {
    /// The relay.
    pub relay_url: String,
    /// The bodies, in the order of [`Request`](super::relay::Request).
    pub requests: [Bytes; 4],
}

impl Recorded {
    /// As the bare worker's settings.
    fn settings(&self) -> Vec<(String, String)> {
        let text = |body: &Bytes| String::from_utf8_lossy(body).into_owned();
        let bodies =
            ["STORED", "KEPT", "RESERVED", "SETTLED"].into_iter().zip(self.requests.iter().map(text));
        let others = [("RELAY_URL", self.relay_url.clone()), ("PROMPT", openai("measured").to_string())];
        bodies.chain(others).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

type Started = anyhow::Result<(Processes, Contender)>;

impl Peers {
    /// Starts the floors and, where they are wanted, the others that are installed.
    pub async fn start(
        args: &Args,
        provider_url: &str,
        askers: &Askers,
        recorded: &Recorded,
    ) -> anyhow::Result<Self> {
        let mut peers = Self { processes: Vec::new(), floors: Vec::new(), others: Vec::new() };
        let bare = recorded.settings();
        let floors = [
            (PASSTHROUGH, script(PASSTHROUGH, "passthrough", Wire::OpenAi, provider_url, &[]).await),
            (READER, script(READER, "reader", Wire::OpenAi, provider_url, &[]).await),
            (BARE, script(BARE, "bare", Wire::Chat, provider_url, &bare).await),
        ];
        peers.floors = floors.into_iter().filter_map(|(name, started)| peers.kept(name, started)).collect();
        if args.peers {
            let others = [
                (REFERENCE, reference(args, provider_url, askers).await),
                (LITELLM, litellm(provider_url).await),
                (PORTKEY, portkey(provider_url).await),
            ];
            peers.others =
                others.into_iter().filter_map(|(name, started)| peers.kept(name, started)).collect();
        }
        Ok(peers)
    }

    fn kept(&mut self, name: &str, started: Started) -> Option<Contender> {
        match started {
            Ok((processes, contender)) => {
                self.processes.push(processes);
                Some(contender)
            }
            Err(error) => {
                progress(&format!("{name} is left out: {error:#}"));
                None
            }
        }
    }

    /// Ends them.
    pub async fn stop(self) {
        for mut processes in self.processes {
            processes.stop().await;
        }
    }
}

/// A worker of one file of JavaScript, under `bench/`.
async fn script(
    name: &'static str,
    folder: &str,
    wire: Wire,
    provider_url: &str,
    settings: &[(String, String)],
) -> Started {
    let (port, mut processes) = (worker::port(0)?, Processes::default());
    let provider = ("PROVIDER_URL".to_owned(), provider_url.to_owned());
    let settings: Vec<_> = settings.iter().cloned().chain([provider]).collect();
    let file = Path::new("bench").join(folder).join("index.js");
    worker::start_script(&mut processes, &directory(folder)?, &file, port, &settings)?;
    let url = format!("http://127.0.0.1:{port}");
    processes.until(name, async || connects(port).await).await?;
    let process = pid(&processes, "worker")?;
    let contender = Contender::new(name, &url, wire, "measured", vec![Vec::new()], Some(process))?;
    Ok((processes, contender))
}

/// FastAPI's turn on the stand's own Postgres and Redis, as the worker's role.
async fn reference(args: &Args, provider_url: &str, askers: &Askers) -> Started {
    let (port, key) = (free_port()?, random()?);
    let data = directory("reference")?;
    let search = data.join("search.sql");
    std::fs::write(&search, bulkhead::knowledge::KNOWLEDGE_SEARCH.text())?;
    let mut program = Program::new("reference", installed("reference/bin/python")?);
    program
        .args(["-m", "uvicorn", "app:app", "--app-dir", "bench/reference", "--host", "127.0.0.1"])
        .args(["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"])
        .args(["--port", &port.to_string()])
        .env("DATABASE_URL", &args.database_url)
        .env("REDIS_URL", &args.redis_url)
        .env("PROVIDER_URL", provider_url)
        .env("REFERENCE_JWT_KEY", &key)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SEARCH_SQL", &search.to_string_lossy());
    let mut processes = Processes::default();
    processes.spawn(program, &data.join("logs"))?;
    let url = format!("http://127.0.0.1:{port}");
    processes.answers(REFERENCE, &url, "localhost", "/healthz").await?;
    let callers = askers.companies.iter().cycle().take(askers.visitors).map(|company| {
        let claims = json!({ "aud": company, "sub": crate::templates::id(), "exp": 4_102_444_800_u64 });
        vec![bearer(&token(&key, &claims))]
    });
    let process = pid(&processes, "reference")?;
    let contender = Contender::new(REFERENCE, &url, Wire::Chat, "", callers.collect(), Some(process))?;
    Ok((processes, contender))
}

/// LiteLLM with a master key; its virtual keys and budgets need a database, and that a program which is downloaded.
async fn litellm(provider_url: &str) -> Started {
    let (port, key) = (free_port()?, format!("sk-{}", random()?));
    let data = directory("litellm")?;
    let mut program = Program::new("litellm", installed("litellm/bin/litellm")?);
    let config = Path::new("bench/litellm/config.yaml").canonicalize()?;
    program
        .args(["--config", &config.to_string_lossy(), "--host", "127.0.0.1"])
        .args(["--port", &port.to_string(), "--num_workers", "1", "--telemetry", "False"])
        .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        .env("LITELLM_LOG", "ERROR")
        .env("NO_PROXY", "127.0.0.1")
        .env("PROVIDER_URL", provider_url)
        .env("BENCH_KEY", &key);
    let mut processes = Processes::default();
    processes.spawn(program, &data.join("logs"))?;
    let url = format!("http://127.0.0.1:{port}");
    processes.answers(LITELLM, &url, "localhost", "/health/liveliness").await?;
    let process = pid(&processes, "litellm")?;
    let callers = vec![vec![bearer(&key)]];
    let contender = Contender::new(LITELLM, &url, Wire::OpenAi, "measured", callers, Some(process))?;
    Ok((processes, contender))
}

/// Portkey's gateway on Node, told with each request where to go on to.
async fn portkey(provider_url: &str) -> Started {
    let port = free_port()?;
    let server = installed("portkey/node_modules/@portkey-ai/gateway/build/start-server.js")?;
    let mut program = Program::new("portkey", find("node").context("there is no node")?);
    program
        .args([&*server.to_string_lossy(), "--headless", &format!("--port={port}")])
        .env("NODE_ENV", "production")
        .env("TRUSTED_CUSTOM_HOSTS", "127.0.0.1");
    let mut processes = Processes::default();
    processes.spawn(program, &directory("portkey")?.join("logs"))?;
    processes.until(PORTKEY, async || connects(port).await).await?;
    let process = pid(&processes, "portkey")?;
    let header = |name, value: &str| (HeaderName::from_static(name), value.to_owned());
    let callers = vec![vec![
        bearer("bench-no-real-key"),
        header("x-portkey-provider", "openai"),
        header("x-portkey-custom-host", provider_url),
    ]];
    let url = format!("http://127.0.0.1:{port}");
    let contender = Contender::new(PORTKEY, &url, Wire::OpenAi, "measured", callers, Some(process))?;
    Ok((processes, contender))
}

/// A file of a peer's, where it is installed; absolute, and not followed where it is a link: Python knows its packages by it.
fn installed(file: &str) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(Path::new("target/bench/peers").join(file))?;
    anyhow::ensure!(path.exists(), "it is not installed (./scripts/peers)");
    Ok(path)
}

fn pid(processes: &Processes, name: &str) -> anyhow::Result<u64> {
    processes.pids().get(name).and_then(Value::as_u64).with_context(|| format!("{name} ended"))
}

async fn connects(port: u16) -> std::io::Result<()> {
    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop)
}

/// A JSON Web Token by HS256, for the reference's own visitors.
fn token(key: &str, claims: &Value) -> String {
    use base64ct::{Base64UrlUnpadded, Encoding as _};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let text = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let signed = format!("{}.{}", text(&json!({ "alg": "HS256", "typ": "JWT" })), text(claims));
    let Ok(mut mac) = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// As Python's own `hmac` signs it.
    #[test]
    fn a_token_has_three_parts_that_a_header_can_hold() {
        let token = token("key", &json!({ "sub": "x" }));
        assert_eq!(token.split('.').count(), 3);
        assert_eq!(
            token,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ4In0.x8-bgmsMhBD8J70rvBzuZO0XjcWAVzrTFLJgLgsxMGA"
        );
        assert!(HeaderValue::from_str(&token).is_ok());
    }

    #[test]
    fn the_reference_gives_the_search_as_many_values_as_it_takes() {
        let takes = (1..=9)
            .rfind(|number| bulkhead::knowledge::KNOWLEDGE_SEARCH.text().contains(&format!("${number}")));
        let app = std::fs::read_to_string("../../bench/reference/app.py").unwrap();
        let given = app.split("db.fetch(SEARCH, ").nth(1).and_then(|rest| rest.split(')').next());
        assert_eq!(given.map(|given| given.split(", ").count()), takes);
    }
}
