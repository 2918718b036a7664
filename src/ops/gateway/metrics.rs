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
use bulkhead::trace::{TRACEPARENT, read};

/// Milliseconds from which on a request is logged although it was done.
const SLOW_MS: u128 = 500;

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

/// Counts and times a request, and logs it if it failed or was slow: with the trace that it belongs to.
#[expect(clippy::disallowed_methods, reason = "the gateway is a native program that measures its own time")]
pub async fn observe(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let route = route(request.uri().path());
    let trace = request.headers().get(TRACEPARENT).and_then(|header| header.to_str().ok());
    let trace = trace.and_then(read).map(|(id, _)| id.to_owned());
    let metrics = Arc::clone(&gateway.metrics);
    let started = Instant::now();
    let in_flight = InFlight::enter(metrics.in_flight.clone());
    let response = next.run(request).await;
    drop(in_flight);
    let took = started.elapsed();
    let status = response.status().as_u16();
    metrics.requests.get_or_create(&RequestLabels { route, status }).inc();
    metrics.durations.get_or_create(&RouteLabels { route }).observe(took.as_secs_f64());
    let event = match (status, took.as_millis()) {
        (400.., _) => "request_failed",
        (_, SLOW_MS..) => "request_slow",
        _ => return response,
    };
    let cause = response.extensions().get::<Cause>().map_or("", |cause| cause.0.as_str());
    log(&serde_json::json!({
        "event": event, "route": route, "status": status, "cause": cause, "took_ms": took.as_millis(), "trace_id": trace,
    }));
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
fn log(line: &serde_json::Value) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const DASHBOARD: &str = include_str!("../../../deploy/grafana.json");
    const ALERTS: &str = include_str!("../../../deploy/alerts.yml");
    const MANUAL: &str = include_str!("../../../docs/OPERATIONS.md");

    /// Names with this beginning in a text.
    fn names<'text>(text: &'text str, beginning: &'static str) -> impl Iterator<Item = &'text str> {
        text.match_indices(beginning).map(move |(at, _)| {
            let (_, rest) = text.split_at(at);
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap()
        })
    }

    #[test]
    fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
        let metrics = Metrics::new();
        metrics.requests.get_or_create(&RequestLabels { route: "/sql", status: 200 }).inc();
        metrics.durations.get_or_create(&RouteLabels { route: "/sql" }).observe(0.1);
        metrics.pool.get_or_create(&PoolLabels { pool: "postgres", connections: "open" }).set(1);
        let mut text = String::new();
        encode(&mut text, &metrics.registry).unwrap();
        let there: Vec<&str> = names(&text, "bulkhead_gateway_").collect();
        let mut asked = 0;
        for wanted in names(DASHBOARD, "bulkhead_gateway_").chain(names(ALERTS, "bulkhead_gateway_")) {
            assert!(there.contains(&wanted), "there is no {wanted}");
            asked += 1;
        }
        assert!(asked > 15, "{asked}");
        serde_json::from_str::<serde_json::Value>(DASHBOARD).unwrap();
    }

    #[test]
    fn every_alert_leads_to_what_to_do() {
        let headings: Vec<String> = MANUAL
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(|heading| heading.to_lowercase().replace(' ', "-"))
            .collect();
        let alerts = ALERTS.matches("- alert: ").count();
        let books: Vec<&str> = ALERTS
            .lines()
            .filter_map(|line| line.trim().strip_prefix("runbook: docs/OPERATIONS.md#"))
            .collect();
        assert!(alerts > 0 && books.len() == alerts, "{books:?}");
        for book in books {
            assert!(headings.iter().any(|heading| heading == book), "no heading for {book}: {headings:?}");
        }
    }
}
