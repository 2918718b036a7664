//! What the gateway counts and logs about requests. Neither ever holds a statement, a parameter, a key or a secret.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Gateway;

/// A SQLSTATE or a word for why a request failed, carried on its response for the log.
#[derive(Clone)]
pub struct Cause(pub String);

/// The gateway's counters; see [`Metrics::new`] for what each one is.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    in_flight: Gauge,
    /// Statements that were cancelled because their client left, their time was over, or they sent too much.
    pub cancelled_statements: Counter,
    pool: Family<PoolLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: &'static str,
    connections: &'static str,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("bulkhead_gateway");
        let requests = Family::default();
        registry.register("requests", "Requests answered, by route and HTTP status", requests.clone());
        let durations = Family::new_with_constructor(
            (|| Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0]))
                as fn() -> Histogram,
        );
        let help = "Time from a request's head to its answer";
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations.clone());
        let in_flight = Gauge::default();
        registry.register("requests_in_flight", "Requests being answered now", in_flight.clone());
        let cancelled_statements = Counter::default();
        let help = "Statements cancelled: client gone, time over, or response too large";
        registry.register("cancelled_statements", help, cancelled_statements.clone());
        let pool = Family::default();
        registry.register(
            "pool_connections",
            "Connections of each pool, and requests waiting for one",
            pool.clone(),
        );
        Self { registry, requests, durations, in_flight, cancelled_statements, pool }
    }
}

/// `GET /metrics`, in the OpenMetrics text form that Prometheus reads.
pub async fn handle(State(gateway): State<Arc<Gateway>>) -> Response {
    for (pool, status) in [("postgres", gateway.postgres.status()), ("redis", gateway.redis.status())] {
        for (connections, count) in [
            ("open", status.size),
            ("available", status.available),
            ("waiting", status.waiting),
            ("max", status.max_size),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            gateway.metrics.pool.get_or_create(&PoolLabels { pool, connections }).set(count);
        }
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &gateway.metrics.registry);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        .into_response()
}

/// Counts and times a request, and logs it if it failed.
#[expect(clippy::disallowed_methods, reason = "the gateway is a native program that measures its own time")]
pub async fn observe(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let metrics = Arc::clone(&gateway.metrics);
    let started = Instant::now();
    let in_flight = InFlight::enter(metrics.in_flight.clone());
    let response = next.run(request).await;
    drop(in_flight);
    let took = started.elapsed();
    let status = response.status().as_u16();
    metrics.requests.get_or_create(&RequestLabels { route, status }).inc();
    metrics.durations.get_or_create(&RouteLabels { route }).observe(took.as_secs_f64());
    if status >= 400 {
        let cause = response.extensions().get::<Cause>().map_or("", |cause| cause.0.as_str());
        log_failure(route, status, cause, took.as_millis());
    }
    response
}

/// The request's route, of a fixed few: a path may hold a key or a value.
fn route(path: &str) -> &'static str {
    match path {
        "/sql" => "/sql",
        "/" => "/",
        "/pipeline" => "/pipeline",
        "/multi-exec" => "/multi-exec",
        "/health" => "/health",
        "/metrics" => "/metrics",
        _ => "/{command}",
    }
}

/// One JSON line on stderr.
fn log_failure(route: &str, status: u16, cause: &str, took_ms: u128) {
    let line = serde_json::json!({
        "event": "request_failed", "route": route, "status": status, "cause": cause, "took_ms": took_ms,
    });
    // Nothing is left to do if stderr is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Leaves the gauge even when the request is dropped.
struct InFlight(Gauge);

impl InFlight {
    fn enter(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
