//! `bulkhead serve`: the whole service on one machine, for real visitors: gateway, worker and round, on the loopback interface.
//! It starts no Postgres and no Redis, makes no secret, changes no schema, and leaves TLS to the proxy in front of it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::routing::get;
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::dev::worker;
use crate::gateway::{self, Limits};

/// Options of `bulkhead serve`.
#[derive(clap::Args)]
pub struct Args {
    /// File with a setting a line, `NAME=VALUE`: those of the worker, and `REDIS_URL`. Nobody but its owner may read it.
    #[arg(long, default_value = "/etc/bulkhead/settings.env")]
    settings: PathBuf,
    /// Folder with what `scripts/build worker` made.
    #[arg(long, default_value = "/usr/local/lib/bulkhead/worker")]
    worker_bundle: PathBuf,
    /// The runtime: workerd, as it is in the npm package of that name.
    #[arg(long, default_value = "/usr/local/lib/bulkhead/workerd")]
    workerd: PathBuf,
    /// Folder for what is written at each start; it holds no secret and no data.
    #[arg(long, default_value = "/run/bulkhead")]
    run_dir: PathBuf,
    /// Where the worker listens, on the loopback interface only.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Where the gateway listens, on the loopback interface only.
    #[arg(long, default_value_t = 8786)]
    gateway_port: u16,
    /// Where the proxy may ask whether a host name is anybody's, as Caddy does before it gets a certificate.
    #[arg(long, default_value_t = 8785)]
    ask_port: u16,
    /// Addresses beside the public ones that the worker may reach, such as a model server's; may be repeated.
    #[arg(long, value_name = "CIDR")]
    allow: Vec<String>,
    /// Accept a Postgres older than the fix of CVE-2026-14666. Only for machines without anyone's real data.
    #[arg(long, env = "GATEWAY_DEVELOPMENT")]
    development: bool,
    #[command(flatten)]
    limits: Limits,
}

/// Runs the command until a termination signal, or until one of the parts ends, which none should.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut settings = read(&args.settings)?;
    let file = args.settings.display();
    let wanted = |name: &str| settings.get(name).cloned().with_context(|| format!("{file} has no {name}"));
    let behind = gateway::Settings {
        database_url: wanted("DATABASE_URL")?,
        redis_url: wanted("REDIS_URL")?,
        redis_token: wanted("UPSTASH_REDIS_REST_TOKEN")?,
        development: args.development,
        limits: args.limits,
    };
    let worker = Worker::new(args.port, &wanted("ROOT_URL")?, settings.get("CRON_TOKEN").cloned())?;

    let listener = listen(args.gateway_port).await?;
    let gateway_url = format!("http://{}", listener.local_addr()?);
    let asked = listen(args.ask_port).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut gateway = tokio::spawn(gateway::serve(listener, behind, async {
        let _ = stopped.await;
    }));

    // Redis itself is the gateway's alone.
    settings.remove("REDIS_URL");
    settings.insert("SQL_URL".to_owned(), format!("{gateway_url}/sql"));
    settings.insert("UPSTASH_REDIS_REST_URL".to_owned(), gateway_url);
    let settings: Vec<(String, String)> = settings.into_iter().collect();
    let network: Vec<&str> =
        ["public", "127.0.0.1/32"].into_iter().chain(args.allow.iter().map(String::as_str)).collect();
    let program = worker::production(
        &args.workerd,
        &args.worker_bundle,
        &args.run_dir,
        args.port,
        &settings,
        &network,
    )?;
    let mut runtime =
        program.command().spawn().with_context(|| format!("cannot start {}", args.workerd.display()))?;

    let result = tokio::select! {
        ended = &mut gateway => ended.context("the gateway broke")?.and_then(|()| bail!("the gateway ended")),
        ended = runtime.wait() => Err(anyhow::anyhow!("the worker ended ({})", ended?)),
        ended = axum::serve(asked, questions(worker.clone())) => ended.context("nobody can ask for host names"),
        () = worker.rounds() => Ok(()),
        () = gateway::terminated() => Ok(()),
    };
    // Visitors first, so that what they wait for can still be stored.
    end(&mut runtime).await;
    drop(stop);
    let _ = timeout(PATIENCE, gateway).await;
    result
}

/// How long a part may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often the companies with something due are gone round, and after how many of these rounds all of them.
const ROUND: Duration = Duration::from_secs(60);
const ALL_AFTER: u32 = 5;

/// The settings in a file, by name: lines of `NAME=VALUE`; empty ones and those that begin with `#` say nothing.
fn read(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let file = path.display();
    let mode = path.metadata().with_context(|| format!("{file} cannot be read"))?.permissions().mode();
    ensure!(mode & 0o077 == 0, "others may read the secrets in {file}; run: chmod 600 {file}");
    let text = std::fs::read_to_string(path).with_context(|| format!("{file} cannot be read"))?;
    let mut settings = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line itself is not repeated: it may hold a secret.
        let (name, value) =
            line.split_once('=').with_context(|| format!("{file}, line {}: write NAME=VALUE", number + 1))?;
        let before = settings.insert(name.trim_end().to_owned(), value.trim_start().to_owned());
        ensure!(before.is_none(), "{file}, line {}: {} is there twice", number + 1, name.trim_end());
    }
    Ok(settings)
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    listener.with_context(|| format!("cannot listen on 127.0.0.1:{port}: is another one running?"))
}

async fn end(runtime: &mut Child) {
    let group = runtime.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::TERM);
    }
    if timeout(PATIENCE, runtime.wait()).await.is_err() {
        let _ = runtime.kill().await;
    }
}

/// The worker as this machine asks it.
#[derive(Clone)]
struct Worker {
    http: Client,
    url: String,
    /// The host of the platform itself, with its port where it is not the scheme's own.
    apex: String,
    cron_token: Option<String>,
}

impl Worker {
    fn new(port: u16, root: &str, cron_token: Option<String>) -> anyhow::Result<Self> {
        let root: reqwest::Url = root.parse().context("ROOT_URL is no URL")?;
        let host = root.host_str().context("ROOT_URL names no host")?;
        let apex = root.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(300)).build()?;
        Ok(Self { http, url: format!("http://127.0.0.1:{port}"), apex, cron_token })
    }

    /// Goes round the companies for ever; what goes wrong is tried again next time.
    async fn rounds(&self) {
        let Some(token) = &self.cron_token else {
            say("there is no CRON_TOKEN, so nobody goes round the companies");
            return std::future::pending().await;
        };
        for number in (1..=ALL_AFTER).cycle() {
            sleep(ROUND).await;
            if let Err(error) = self.round(token, number < ALL_AFTER).await {
                say(&format!("the round broke off: {error:#}"));
            }
        }
    }

    /// Once round all companies, or those with something due.
    async fn round(&self, token: &str, due: bool) -> anyhow::Result<()> {
        let mut from = json!({ "due": due });
        loop {
            let request = self.http.post(format!("{}/v1/cron", self.url)).header("host", &self.apex);
            let answer = request.bearer_auth(token).json(&from).send().await?.error_for_status()?;
            let told: Value = answer.json().await?;
            match told.get("next").filter(|next| !next.is_null()) {
                Some(next) => from = json!({ "due": due, "after": next }),
                None => return Ok(()),
            }
        }
    }

    /// Whether there is a page at this host: a company's, or the platform's.
    async fn has(&self, host: &str) -> bool {
        let answer = self.http.get(&self.url).header("host", host).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }
}

/// `GET /?domain=HOST`: 200 where a company, or the platform, is at this host. So nobody can have certificates made for others.
fn questions(worker: Worker) -> Router {
    let handler = async |State(worker): State<Arc<Worker>>, RawQuery(query): RawQuery| {
        let host = query.as_deref().and_then(|query| query.strip_prefix("domain="));
        let is_one =
            |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        match host.filter(is_one) {
            Some(host) if worker.has(host).await => StatusCode::OK,
            _ => StatusCode::NOT_FOUND,
        }
    };
    Router::new().route("/", get(handler)).with_state(Arc::new(worker))
}

/// A line for the operator; nothing is left to do if stderr is closed.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "serve: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, mode: u32, expected: Result<&[(&str, &str)], &str>) {
        let path = std::env::temp_dir().join(format!("bulkhead-settings-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let found = read(&path);
        std::fs::remove_file(&path).unwrap();
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                assert_eq!(found, expected);
            }
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{error}");
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
            (found, _) => panic!("{text:?}: {found:?}"),
        }
    }

    #[test]
    fn settings_are_read_from_a_file_that_is_nobody_else_s() {
        check("# a\n\nB=c=d\n A = hunter2 \n", 0o600, Ok(&[("A", "hunter2"), ("B", "c=d")]));
        check("A=hunter2\n", 0o640, Err("chmod 600"));
        check("A=hunter2\n", 0o604, Err("chmod 600"));
        check("hunter2\n", 0o600, Err("line 1: write NAME=VALUE"));
        check("A=hunter2\nA=x\n", 0o600, Err("line 2: A is there twice"));
    }
}
