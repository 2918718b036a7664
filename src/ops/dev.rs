//! `bulkhead dev`: the whole service on one machine, from Postgres to the worker, with demo companies in it.
//! It runs the parts that production runs and replaces none; it is never exposed beyond the loopback interface.

pub mod demo;
mod mail;
pub mod postgres;
pub mod processes;
pub mod redis;
pub mod secrets;
pub mod worker;

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use processes::{Processes, Program, Steps, free_port};
use secrets::Secrets;

/// Options of `bulkhead dev`.
#[derive(clap::Args)]
pub struct Args {
    /// Where the worker listens, on the loopback interface only; 0 takes any free port.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Where data, secrets and logs are kept between starts.
    #[arg(long, default_value = ".bulkhead")]
    data_dir: PathBuf,
    /// Delete the data directory's content first.
    #[arg(long)]
    reset: bool,
    /// Create no demo companies.
    #[arg(long)]
    no_demo: bool,
    /// One more demo company, of this industry.
    #[arg(long, requires = "slug")]
    industry: Option<String>,
    /// The additional demo company's slug: the first label of its host name.
    #[arg(long, requires = "industry")]
    slug: Option<String>,
    /// A further setting for the worker, or another value for one; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// The runtime that the worker is built for and runs in.
    #[arg(long, value_enum, default_value_t = worker::Edge::Workers)]
    edge: worker::Edge,
    /// The folder with the built worker, where it is not the edge's own.
    #[arg(long)]
    worker_bundle: Option<PathBuf>,
    /// For tests: trade the data's safety for speed, and delete all but the logs at the end.
    #[arg(long)]
    throwaway: bool,
    /// Print one JSON object on standard output when ready, with everything a test needs, secrets included.
    #[arg(long)]
    json: bool,
    /// Stop when standard input ends, so that a parent that dies leaves nothing running.
    #[arg(long)]
    exit_with_stdin: bool,
    /// Use this Postgres instead of starting one: the URL of a role that may create tables and roles.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Use this Redis instead of starting one.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
    /// Run this against the stand, then stop; it finds the stand's addresses in its environment.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Runs the command: starts everything, waits for a reason to stop, stops everything.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let mut processes = Processes::default();
    let mut stop = Stop::listen(args.exit_with_stdin)?;
    let port = worker::port(args.port)?;
    let (data, _lock) = data_dir(&args)?;
    let result = tokio::select! {
        result = serve(&args, port, &data, &mut processes) => result,
        () = stop.asked() => Ok(()),
    };
    // A second Ctrl-C does not wait for anybody.
    tokio::select! {
        () = processes.stop() => {}
        () = stop.asked() => {}
    }
    if args.throwaway {
        remove(&data, &["postgres", "redis", "worker", "secrets.env", "lock"])?;
    }
    result
}

async fn serve(args: &Args, port: u16, data: &Path, processes: &mut Processes) -> anyhow::Result<()> {
    let mut steps = Steps::new(args.json);
    let secrets = Secrets::load(&data.join("secrets.env"))?;
    let logs = data.join("logs");
    std::fs::create_dir_all(&logs)?;

    let owner_url = match &args.database_url {
        Some(url) => url.clone(),
        None => postgres::start(processes, data, free_port()?, &secrets, args.throwaway).await?,
    };
    let worker_url = secrets.worker_url(&owner_url)?;
    steps.done(if args.database_url.is_some() { "postgres (yours)" } else { "postgres" });

    let redis_url = match &args.redis_url {
        Some(url) => url.clone(),
        None => redis::start(processes, data, free_port()?, &secrets, args.throwaway).await?,
    };
    steps.done(if args.redis_url.is_some() { "redis (yours)" } else { "redis" });

    let applied = crate::migrate::apply(&owner_url, &worker_url).await?;
    steps.done(&format!("migrations ({} new)", applied.len()));

    crate::templates::load(&owner_url).await?;
    steps.done("templates");

    let gateway = free_port()?;
    let gateway_url = format!("http://127.0.0.1:{gateway}");
    let mut program = Program::new("gateway", std::env::current_exe()?);
    program
        .args(["gateway", "--development", "--listen", &format!("127.0.0.1:{gateway}")])
        // A busy development machine is no reason to refuse: production waits for 2 seconds.
        .args(["--pool-wait-ms", "15000"])
        .env("DATABASE_URL", &worker_url)
        .env("REDIS_URL", &redis_url)
        .env("GATEWAY_REDIS_TOKEN", &secrets.redis_token);
    processes.spawn(program, &logs)?;
    processes.answers("gateway", &gateway_url, "127.0.0.1", "/health").await?;
    steps.done("gateway");

    let mail = mail::start(&secrets.redis_token).await?;
    steps.done(&format!("mail ({})", mail.url));

    let root_url = format!("http://localhost:{port}");
    let mut settings = vec![
        ("ROOT_URL".to_owned(), root_url.clone()),
        ("DATABASE_URL".to_owned(), worker_url.clone()),
        ("SQL_URL".to_owned(), format!("{gateway_url}/sql")),
        ("UPSTASH_REDIS_REST_URL".to_owned(), gateway_url.clone()),
        ("UPSTASH_REDIS_REST_TOKEN".to_owned(), secrets.redis_token.clone()),
        ("JWT_KEYS".to_owned(), secrets.jwt_keys.clone()),
        ("MASTER_KEYS".to_owned(), secrets.master_keys.clone()),
        ("MAIL_URL".to_owned(), mail.url.clone()),
        ("MAIL_KEY".to_owned(), secrets.redis_token.clone()),
        ("MAIL_FROM".to_owned(), "Bulkhead <mail@localhost>".to_owned()),
    ];
    let providers =
        ["OPENAI_URL", "ANTHROPIC_URL", "GEMINI_URL", "COMPATIBLE_HOSTS", "IMPORT_HOSTS", "DNS_URL"];
    settings.extend(providers.into_iter().filter_map(from_env));
    for (name, value) in &args.set {
        settings.retain(|(other, _)| other != name);
        settings.push((name.clone(), value.clone()));
    }
    let url = format!("http://127.0.0.1:{port}");
    let runtime = worker::start(args.edge, processes, data, args.worker_bundle.as_deref(), port, &settings)?;
    processes.answers("worker", &url, &format!("localhost:{port}"), "/healthz").await?;
    steps.done(&format!("worker ({runtime})"));

    let demo = demo::Companies { url: &url, port, password: &secrets.demo_password };
    if !args.no_demo {
        demo.create("acme-plumbing", "plumbing").await?;
        demo.create("bright-dental", "dental-practice").await?;
        for (kind, name) in
            [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY"), ("gemini", "GEMINI_API_KEY")]
        {
            if let Some((_, key)) = from_env(name) {
                demo.connect("acme-plumbing", kind, &key).await?;
            }
        }
    }
    if let (Some(slug), Some(industry)) = (&args.slug, &args.industry) {
        demo.create(slug, industry).await?;
    }
    if !args.no_demo || args.slug.is_some() {
        steps.done("demo companies");
    }

    let ready = json!({
        "url": url,
        "root_url": root_url,
        "port": port,
        "gateway_url": gateway_url,
        "sql_url": format!("{gateway_url}/sql"),
        "redis_url": gateway_url,
        "redis_token": secrets.redis_token,
        "database_url": owner_url,
        "worker_database_url": worker_url,
        "redis_native_url": redis_url,
        "mail_url": mail.url,
        "pids": processes.pids(),
        "logs": logs,
    });
    if args.json {
        writeln!(std::io::stdout(), "{ready}")?;
    } else if let Some(slug) = &args.slug {
        steps.say(&demo.welcome(slug, "What are your opening hours?"));
    } else if args.no_demo {
        steps.say(&format!("ready {root_url}"));
    } else {
        steps.say(&demo.welcome("acme-plumbing", "How much does it cost to replace a water heater?"));
    }
    if !args.json {
        steps.say(&format!("mail {}", mail.url));
    }
    let Some((program, rest)) = args.command.split_first() else {
        return processes.first_death().await;
    };
    let command = tokio::process::Command::new(program)
        .args(rest)
        .env("ROOT_URL", &root_url)
        .env("GATEWAY_URL", &gateway_url)
        .env("MAIL_PAGE", &mail.url)
        .env("GATEWAY_REDIS_TOKEN", &secrets.redis_token)
        .env("DATABASE_URL", &worker_url)
        .env("DATABASE_OWNER_URL", &owner_url)
        .env("REDIS_NATIVE_URL", &redis_url)
        .env("STAND_PIDS", processes.pids().to_string())
        .kill_on_drop(true)
        .status();
    tokio::select! {
        status = command => match status.with_context(|| format!("cannot run {program}"))? {
            status if status.success() => Ok(()),
            status => bail!("{program} failed ({status})"),
        },
        died = processes.first_death() => died,
    }
}

/// The data directory, absolute, and the lock that keeps a second stand out of it.
fn data_dir(args: &Args) -> anyhow::Result<(PathBuf, File)> {
    let named = args.data_dir.display();
    std::fs::create_dir_all(&args.data_dir).with_context(|| format!("cannot make {named}"))?;
    let data = args.data_dir.canonicalize()?;
    let lock = File::create(data.join("lock")).with_context(|| format!("cannot write to {named}"))?;
    if lock.try_lock().is_err() {
        bail!("another `bulkhead dev` runs on {named}; stop it, or choose another --data-dir");
    }
    if args.reset {
        remove(&data, &["postgres", "redis", "worker", "secrets.env", "logs"])
            .with_context(|| format!("cannot empty {named}"))?;
    }
    Ok((data, lock))
}

/// Deletes these of the things that this tool makes in the data directory, and nothing else in it.
fn remove(data: &Path, made: &[&str]) -> anyhow::Result<()> {
    for name in made {
        let path = if *name == "postgres" { postgres::home(data) } else { data.join(name) };
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else if path.exists() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// What asks the stand to stop: Ctrl-C, SIGTERM, a closed terminal, and the end of standard input if wanted.
struct Stop {
    receiver: tokio::sync::mpsc::UnboundedReceiver<()>,
}

impl Stop {
    fn listen(with_stdin: bool) -> anyhow::Result<Self> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            let (mut signals, sender) = (signal(kind)?, sender.clone());
            tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(()).is_ok() {} });
        }
        if with_stdin {
            if std::io::stdin().is_terminal() {
                bail!("--exit-with-stdin wants a pipe as standard input");
            }
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                let _ = sender.send(());
            });
        }
        Ok(Self { receiver })
    }

    async fn asked(&mut self) {
        if self.receiver.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is a native program's setting, passed on to the worker")]
fn from_env(name: &str) -> Option<(String, String)> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some((name.to_owned(), value))
}

/// How long a part may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
