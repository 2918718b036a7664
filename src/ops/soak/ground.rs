//! The stand that is soaked: each part a program of its own, so that any of them can be killed and started again where it was. The
//! worker alone is never touched: what it holds on to is what is looked for.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::time::sleep;

use super::outages::Outages;
use super::{now, say};
use crate::dev::processes::{Processes, Program, free_port};
use crate::dev::secrets::{Secrets, random};
use crate::dev::{postgres, redis, worker};

/// The running parts.
pub struct Ground {
    data: PathBuf,
    logs: PathBuf,
    secrets: Secrets,
    ports: Ports,
    postgres: Processes,
    redis: Processes,
    gateway: Processes,
    worker: Processes,
    gateway_pid: Rc<Cell<u64>>,
    /// The schema owner's URL.
    pub owner_url: String,
    /// The worker role's URL.
    pub worker_url: String,
    /// Redis itself.
    pub redis_url: String,
    /// The worker's port.
    pub port: u16,
    /// What the round takes.
    pub cron_token: String,
    /// The password of the companies' owners.
    pub password: String,
}

struct Ports {
    postgres: u16,
    redis: u16,
    gateway: u16,
}

/// What is killed, one after the other.
#[derive(Clone, Copy)]
enum Part {
    Gateway,
    Redis,
    Postgres,
}

const ROUND: [Part; 3] = [Part::Gateway, Part::Redis, Part::Postgres];

impl Ground {
    /// Starts all of it on an empty folder.
    pub async fn start(data: &Path, provider_url: &str) -> anyhow::Result<Self> {
        let data = data.join("stand");
        std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        let data = data.canonicalize()?;
        for old in [postgres::home(&data), data.clone()] {
            if old.exists() {
                std::fs::remove_dir_all(&old).with_context(|| format!("cannot empty {}", old.display()))?;
            }
        }
        let logs = data.join("logs");
        std::fs::create_dir_all(&logs)?;
        let secrets = Secrets::load(&data.join("secrets.env"))?;
        let ports = Ports { postgres: free_port()?, redis: free_port()?, gateway: free_port()? };
        let none = Processes::default;
        let mut ground = Self {
            data,
            logs,
            secrets,
            ports,
            postgres: none(),
            redis: none(),
            gateway: none(),
            worker: none(),
            gateway_pid: Rc::default(),
            owner_url: String::new(),
            worker_url: String::new(),
            redis_url: String::new(),
            port: worker::port(0)?,
            cron_token: random()?,
            password: random()?,
        };
        if let Err(error) = ground.start_all(provider_url).await {
            ground.stop().await;
            return Err(error);
        }
        Ok(ground)
    }

    async fn start_all(&mut self, provider_url: &str) -> anyhow::Result<()> {
        self.start_postgres().await?;
        self.start_redis().await?;
        self.worker_url = self.secrets.worker_url(&self.owner_url)?;
        crate::migrate::apply(&self.owner_url, &self.worker_url).await?;
        crate::templates::load(&self.owner_url).await?;
        self.start_gateway().await?;
        let gateway = format!("http://127.0.0.1:{}", self.ports.gateway);
        let settings = [
            ("ROOT_URL", format!("http://localhost:{}", self.port)),
            ("DATABASE_URL", self.worker_url.clone()),
            ("SQL_URL", format!("{gateway}/sql")),
            ("UPSTASH_REDIS_REST_URL", gateway),
            ("UPSTASH_REDIS_REST_TOKEN", self.secrets.redis_token.clone()),
            ("JWT_KEYS", self.secrets.jwt_keys.clone()),
            ("MASTER_KEYS", self.secrets.master_keys.clone()),
            ("OPENAI_URL", provider_url.to_owned()),
            ("CRON_TOKEN", self.cron_token.clone()),
        ];
        let settings: Vec<_> = settings.map(|(name, value)| (name.to_owned(), value)).into();
        worker::start(worker::Edge::Workers, &mut self.worker, &self.data, None, self.port, &settings)?;
        let url = format!("http://127.0.0.1:{}", self.port);
        self.worker.answers("worker", &url, &format!("localhost:{}", self.port), "/healthz").await
    }

    /// As safe as in production: what was acknowledged survives that the server is killed.
    async fn start_postgres(&mut self) -> anyhow::Result<()> {
        let (data, port) = (&self.data, self.ports.postgres);
        self.owner_url = postgres::start(&mut self.postgres, data, port, &self.secrets, false).await?;
        Ok(())
    }

    async fn start_redis(&mut self) -> anyhow::Result<()> {
        let (data, port) = (&self.data, self.ports.redis);
        self.redis_url = redis::start(&mut self.redis, data, port, &self.secrets, false).await?;
        Ok(())
    }

    /// With production's limits: nobody waits longer for a connection than there.
    async fn start_gateway(&mut self) -> anyhow::Result<()> {
        let port = self.ports.gateway;
        let mut program = Program::new("gateway", std::env::current_exe()?);
        program
            .args(["gateway", "--development", "--listen", &format!("127.0.0.1:{port}")])
            .env("DATABASE_URL", &self.worker_url)
            .env("REDIS_URL", &self.redis_url)
            .env("GATEWAY_REDIS_TOKEN", &self.secrets.redis_token);
        self.gateway.spawn(program, &self.logs)?;
        let url = format!("http://127.0.0.1:{port}");
        self.gateway.answers("gateway", &url, "127.0.0.1", "/health").await?;
        let pids = self.gateway.pids();
        self.gateway_pid.set(pids.get("gateway").and_then(serde_json::Value::as_u64).unwrap_or_default());
        Ok(())
    }

    /// Kills one part after the other, leaves it gone for a while and starts it again, until then.
    pub async fn outages(&mut self, outages: &Outages, until: Instant) -> anyhow::Result<()> {
        let each = until.saturating_duration_since(now()) / 8;
        for part in ROUND.into_iter().cycle() {
            let pause = each.clamp(Duration::from_secs(4), Duration::from_secs(20));
            if now() + pause + Duration::from_secs(2) > until {
                return Ok(());
            }
            sleep(pause).await;
            outages.begin();
            match part {
                Part::Gateway => self.gateway.kill(Signal::KILL).await,
                Part::Redis => self.redis.kill(Signal::KILL).await,
                // Its word for ending at once: what is in memory only is lost, and it recovers from its log.
                Part::Postgres => self.postgres.kill(Signal::QUIT).await,
            }
            sleep(Duration::from_secs(2)).await;
            match part {
                Part::Gateway => self.start_gateway().await?,
                Part::Redis => self.start_redis().await?,
                Part::Postgres => self.start_postgres().await?,
            }
            outages.end();
            say(&format!("{} was killed and is back", part.name()));
        }
        Ok(())
    }

    /// The worker's process.
    pub fn worker_pid(&self) -> anyhow::Result<u64> {
        self.worker.pids().get("worker").and_then(serde_json::Value::as_u64).context("the worker ended")
    }

    /// The gateway's process as it is now.
    pub fn gateway_pid(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.gateway_pid)
    }

    /// What `bulkhead company` needs in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABASE_OWNER_URL", self.owner_url.clone()),
            ("DATABASE_URL", self.worker_url.clone()),
            ("REDIS_URL", self.redis_url.clone()),
            ("MASTER_KEYS", self.secrets.master_keys.clone()),
        ]
    }

    /// Where the parts' logs are.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Deletes what Postgres kept, which may lie outside of the folder.
    pub fn remove_data(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_dir_all(postgres::home(&self.data))?)
    }

    /// Ends every part.
    pub async fn stop(&mut self) {
        for part in [&mut self.worker, &mut self.gateway, &mut self.redis, &mut self.postgres] {
            part.stop().await;
        }
    }
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "the gateway",
            Self::Redis => "Redis",
            Self::Postgres => "Postgres",
        }
    }
}
