//! Connections to Postgres that are as good as new whenever they are lent. It never lends one whose last
//! borrower did not end cleanly: that one is cancelled and closed.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Runtime,
    Status, TimeoutType,
};
use tokio::time::timeout;
use tokio_postgres::{Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Limits;
use super::metrics::Metrics;
use super::refusal::Refusal;
use crate::postgres::Database;

/// Leaves nothing of a request in its session: no transaction, cursor, role, setting, subscription, lock,
/// temporary table or sequence state. It runs when a connection comes back, so before any reuse and without
/// making the next request wait. The last statement finds SQL-level prepared statements, which could only
/// have been made behind a `do` block; a connection that has one is closed.
const CLEAN: &str = "rollback; close all; set session authorization default; reset all; unlisten *; \
    select pg_advisory_unlock_all(); discard temp; discard sequences; \
    select name as leftover from pg_prepared_statements where from_sql limit 1";

/// How long a connection may take to come clean, or to stop after a cancel, before it is closed as it is.
const SETTLE: Duration = Duration::from_secs(5);

/// Prepared statements kept for each connection; at more, all are closed and prepared again as needed.
const STATEMENTS_MAX: usize = 512;

/// The pool.
pub struct Postgres {
    pool: Pool,
    tls: MakeRustlsConnect,
    metrics: Arc<Metrics>,
}

impl Postgres {
    /// A pool that connects when first asked.
    pub fn new(database: &Database, limits: &Limits, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let (mut config, tls) = (database.config().clone(), database.tls());
        config.options(startup_options(&config, limits)).application_name("bulkhead-gateway");
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let wait = Duration::from_millis(limits.pool_wait_ms);
        let pool = Pool::builder(Manager::from_config(config, tls.clone(), recycling))
            .max_size(limits.pool_size)
            // The connection used last has its statements prepared.
            .queue_mode(QueueMode::Lifo)
            .wait_timeout(Some(wait))
            .create_timeout(Some(SETTLE))
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self { pool, tls, metrics })
    }

    /// A clean connection, or within `pool_wait_ms` the reason why not.
    pub async fn lease(&self) -> Result<Lease, Refusal> {
        match self.pool.get().await {
            Ok(client) => {
                let (tls, metrics) = (self.tls.clone(), Arc::clone(&self.metrics));
                Ok(Lease { client: Some(client), tls, metrics })
            }
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(Refusal::unavailable(
                "53300",
                "All database connections are busy. Try again in a moment.",
            )),
            Err(_) => Err(Refusal::unavailable("08001", "Postgres does not answer. Try again in a moment.")),
        }
    }

    /// Connections open, free and waited for.
    pub fn status(&self) -> Status {
        self.pool.status()
    }
}

/// What `reset all` goes back to, so a request cannot lose it for the next one.
///
/// Sessions are read-only by default, and each request's `begin` says `read write`: were that `begin` to fail
/// while the statements sent behind it arrive, they could store nothing on their own.
fn startup_options(config: &Config, limits: &Limits) -> String {
    let timeout_ms = limits.statement_timeout_ms;
    format!(
        "{} -c statement_timeout={timeout_ms} -c lock_timeout={timeout_ms} \
         -c idle_in_transaction_session_timeout={timeout_ms} -c default_transaction_read_only=on \
         -c plan_cache_mode=force_generic_plan -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c bytea_output=hex -c extra_float_digits=1",
        config.get_options().unwrap_or_default()
    )
}

/// A borrowed connection. Dropped without [`Lease::release`], as when the client goes away, it is cancelled
/// and closed.
pub struct Lease {
    client: Option<Object>,
    tls: MakeRustlsConnect,
    metrics: Arc<Metrics>,
}

impl Lease {
    /// The connection.
    pub fn client(&self) -> Result<&ClientWrapper, Refusal> {
        // Only `release` and `drop` empty it, and both consume the lease.
        self.client.as_deref().ok_or_else(|| Refusal::unavailable("08003", "The connection was given back."))
    }

    /// Gives the connection back once nothing runs on it; it is cleaned behind the caller's back.
    pub fn release(mut self) {
        if let (Some(client), Ok(runtime)) = (self.client.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                if client.statement_cache.size() > STATEMENTS_MAX {
                    client.statement_cache.clear();
                }
                if !matches!(timeout(SETTLE, clean(&client)).await, Ok(true)) {
                    close(client);
                }
            });
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(client), Ok(runtime)) = (self.client.take(), tokio::runtime::Handle::try_current()) {
            self.metrics.cancelled_statements.inc();
            let tls = self.tls.clone();
            runtime.spawn(async move {
                // The place in the pool stays taken until the server is done, so the pool's size bounds the
                // server's work. A late cancel could hit the next borrower, hence closing in every case.
                let _ = timeout(SETTLE, async {
                    let _ = client.cancel_token().cancel_query(tls).await;
                    client.batch_execute("rollback").await
                })
                .await;
                close(client);
            });
        }
    }
}

/// Whether the connection answered every cleaning statement and nothing was left over.
async fn clean(client: &ClientWrapper) -> bool {
    let Ok(answer) = client.simple_query(CLEAN).await else { return false };
    !answer
        .iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(row) if row.try_get("leftover").is_ok()))
}

/// Takes the connection out of the pool and closes it.
fn close(client: Object) {
    drop(Object::take(client));
}
