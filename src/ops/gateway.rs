//! `bulkhead gateway`: Postgres as Neon's SQL over HTTP and Redis as Upstash's REST, so that the worker runs the
//! same against these, against Neon and against Upstash. It knows no company, table or key of Bulkhead's.

use std::future::Future;
use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use crate::postgres::Database;

mod batch;
mod json;
mod metrics;
pub mod param;
mod pg_array;
mod pg_number;
mod pg_text;
mod pg_time;
mod pool;
mod redis;
mod redis_commands;
mod redis_reply;
mod refusal;
mod secret;
mod sql;
mod statement;

/// Options of `bulkhead gateway`.
#[derive(clap::Args)]
pub struct Args {
    /// Address to listen on. There is no TLS here: keep it on the loopback interface, behind a proxy that has it.
    #[arg(long, env = "GATEWAY_LISTEN", default_value = "127.0.0.1:8786")]
    listen: String,
    #[command(flatten)]
    settings: Settings,
}

/// What a gateway needs to serve.
#[derive(clap::Args, Clone)]
pub struct Settings {
    /// The worker role's connection string. Requests must present the same user, password and database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// Redis's URL, with its user and password if it has them.
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    pub redis_url: String,
    /// The bearer token that Redis requests must present.
    #[arg(long, env = "GATEWAY_REDIS_TOKEN", hide_env_values = true)]
    pub redis_token: String,
    /// Accept a Postgres older than the fix of CVE-2026-14666. Only for machines without anyone's real data.
    #[arg(long, env = "GATEWAY_DEVELOPMENT")]
    pub development: bool,
    /// Limits.
    #[command(flatten)]
    pub limits: Limits,
}

/// What one request may cost, and how many may run.
#[derive(clap::Args, Clone)]
pub struct Limits {
    /// Bytes of a request's body; more is answered with 413.
    #[arg(long, env = "GATEWAY_MAX_BODY_BYTES", default_value_t = Limits::DEFAULT.max_body_bytes)]
    pub max_body_bytes: usize,
    /// Bytes of an answer; more is answered with 507, and for SQL rolled back.
    #[arg(long, env = "GATEWAY_MAX_RESPONSE_BYTES", default_value_t = Limits::DEFAULT.max_response_bytes)]
    pub max_response_bytes: usize,
    /// Milliseconds for one statement, its wait for locks included.
    #[arg(long, env = "GATEWAY_STATEMENT_TIMEOUT_MS", default_value_t = Limits::DEFAULT.statement_timeout_ms)]
    pub statement_timeout_ms: u64,
    /// Milliseconds for all of a request's statements.
    #[arg(long, env = "GATEWAY_REQUEST_TIMEOUT_MS", default_value_t = Limits::DEFAULT.request_timeout_ms)]
    pub request_timeout_ms: u64,
    /// Connections to Postgres.
    #[arg(long, env = "GATEWAY_POOL_SIZE", default_value_t = Limits::DEFAULT.pool_size)]
    pub pool_size: usize,
    /// Milliseconds that a request waits for a free connection, to Postgres or Redis; then it is answered with 503.
    #[arg(long, env = "GATEWAY_POOL_WAIT_MS", default_value_t = Limits::DEFAULT.pool_wait_ms)]
    pub pool_wait_ms: u64,
    /// Connections to Redis.
    #[arg(long, env = "GATEWAY_REDIS_POOL_SIZE", default_value_t = Limits::DEFAULT.redis_pool_size)]
    pub redis_pool_size: usize,
    /// Milliseconds for Redis to answer.
    #[arg(long, env = "GATEWAY_REDIS_TIMEOUT_MS", default_value_t = Limits::DEFAULT.redis_timeout_ms)]
    pub redis_timeout_ms: u64,
}

impl Limits {
    /// The limits without any option.
    pub const DEFAULT: Self = Self {
        max_body_bytes: 1 << 20,
        max_response_bytes: 10 << 20,
        statement_timeout_ms: 10_000,
        request_timeout_ms: 25_000,
        pool_size: 16,
        pool_wait_ms: 2_000,
        redis_pool_size: 16,
        redis_timeout_ms: 2_000,
    };
}

/// Runs the command until Ctrl-C or a termination signal.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&args.listen)
        .await
        .with_context(|| format!("cannot listen on {}: is another gateway running?", args.listen))?;
    serve(listener, args.settings, terminated()).await
}

/// Serves on `listener` until `shutdown` is ready, then lets running requests end. Says so once it serves.
///
/// Fails at once if the settings are wrong, or Postgres does not answer or is too old.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let router = router(Gateway::open(settings).await?);
    // Nothing is left to do if stderr is closed.
    let _ = writeln!(std::io::stderr(), "gateway: listening on http://{}", listener.local_addr()?);
    // An answer is one small write that must not wait for a full packet; a failure only costs time.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await?;
    Ok(())
}

fn router(gateway: Gateway) -> Router {
    let gateway = Arc::new(gateway);
    Router::new()
        .route("/sql", post(sql::handle))
        .route("/", post(redis::command))
        .route("/pipeline", post(redis::pipeline))
        .route("/multi-exec", post(redis::multi_exec))
        .route("/health", get(health))
        .route("/metrics", get(metrics::handle))
        .route("/{*command}", get(redis::path).post(redis::path))
        .layer(from_fn_with_state(Arc::clone(&gateway), metrics::observe))
        .with_state(gateway)
}

/// What every request is answered with.
struct Gateway {
    limits: Limits,
    database_secret: secret::Secret,
    redis_secret: secret::Secret,
    postgres: pool::Postgres,
    redis: redis::Redis,
    metrics: Arc<metrics::Metrics>,
}

impl Gateway {
    async fn open(settings: Settings) -> anyhow::Result<Self> {
        let Settings { database_url, redis_url, redis_token, development, limits } = settings;
        let database = Database::parse(&database_url).context("DATABASE_URL cannot be used")?;
        let config = database.config();
        ensure!(
            config.get_user().is_some() && config.get_password().is_some_and(|password| !password.is_empty()),
            "DATABASE_URL must name a user and a password: they are what a request must present"
        );
        ensure!(!redis_token.trim().is_empty(), "GATEWAY_REDIS_TOKEN must not be empty");
        check_version(&database, development).await?;
        let metrics = Arc::new(metrics::Metrics::new());
        Ok(Self {
            database_secret: secret::Secret::of_database(config),
            redis_secret: secret::Secret::of(&[redis_token.trim().as_bytes()]),
            postgres: pool::Postgres::new(&database, &limits, Arc::clone(&metrics))?,
            redis: redis::Redis::new(&redis_url, &limits).ok().context("REDIS_URL is not a Redis URL")?,
            metrics,
            limits,
        })
    }
}

/// Refuses a Postgres in which a plan made for one role's row-level security can serve another (CVE-2026-14666).
async fn check_version(database: &Database, development: bool) -> anyhow::Result<()> {
    let client = database.connect().await.context("cannot connect to the database in DATABASE_URL")?;
    let row = client.query_one("select current_setting('server_version_num')::int4", &[]).await?;
    let found: i32 = row.try_get(0)?;
    let needed = needed_version(found);
    ensure!(
        development || found >= needed,
        "Postgres {} lacks the fix of CVE-2026-14666: version {} is needed (--development accepts it on a machine \
         without anyone's real data)",
        shown(found),
        shown(needed),
    );
    Ok(())
}

/// The first fixed version with the same major number.
pub fn needed_version(found: i32) -> i32 {
    match found / 10_000 {
        ..=14 => 140_024,
        15 => 150_019,
        16 => 160_015,
        17 => 170_011,
        18 => 180_006,
        later => later * 10_000,
    }
}

/// A version number as people write it.
pub fn shown(version: i32) -> String {
    format!("{}.{}", version / 10_000, version % 10_000)
}

/// `GET /health`: whether both servers answer.
async fn health(State(gateway): State<Arc<Gateway>>) -> Response {
    let postgres = async {
        match gateway.postgres.lease().await {
            Ok(lease) => {
                let is_up = match lease.client() {
                    Ok(client) => client.batch_execute("select 1").await.is_ok(),
                    Err(_) => false,
                };
                lease.release();
                is_up
            }
            Err(_) => false,
        }
    };
    let (postgres, redis) = tokio::join!(postgres, gateway.redis.is_up());
    let word = |is_up| if is_up { "ok" } else { "no answer" };
    let status = if postgres && redis { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({ "postgres": word(postgres), "redis": word(redis) }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Ready at Ctrl-C or, where there is one, a termination signal.
pub async fn terminated() {
    #[cfg(unix)]
    if let Ok(mut signal) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = signal.recv() => {}
        }
        return;
    }
    // Without a handler there is no signal to wait for; the process then ends by the signal itself.
    let _ = tokio::signal::ctrl_c().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_major_version_has_its_own_first_fixed_one() {
        for (found, fixed) in [
            (180_004, false),
            (180_006, true),
            (170_011, true),
            (160_014, false),
            (130_099, false),
            (190_000, true),
        ] {
            assert_eq!(found >= needed_version(found), fixed, "{found}");
        }
        assert_eq!(shown(180_004), "18.4");
    }
}
