//! The Cloudflare Workers edge: turns the runtime's requests, bodies and clock into the core's, and back.
//!
//! It is the only code that names `worker`. It routes nothing and decides nothing.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use bulkhead::App;
use bulkhead::config::{Config, ConfigError};
use bulkhead::cron::Only;
use bulkhead::platform::{Body, BodyError, Level, Outbound, Platform, SendError};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{Stream, StreamExt, TryStreamExt, unfold};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::js_sys::Uint8Array;
use worker::web_sys;

/// Serves one request of a visitor, an owner or a probe.
///
/// # Errors
/// Only if the runtime itself refuses the response that was made.
#[worker::event(fetch)]
async fn fetch(
    request: worker::Request,
    env: worker::Env,
    context: worker::Context,
) -> worker::Result<worker::Response> {
    let platform = Rc::new(Workers { context: Context::Request(context), env: env.clone() });
    let response = match (app(&env), incoming(request)) {
        (Ok(app), Some(request)) => bulkhead::serve(app, platform, request).await,
        (Ok(_), None) => problem(StatusCode::BAD_REQUEST, "The request's address cannot be read."),
        (Err(error), _) => {
            // What is wrong with the settings is for the operator's eyes only.
            platform.log(Level::Error, &format!("the settings are not usable: {error}"));
            problem(StatusCode::INTERNAL_SERVER_ERROR, "This service is not set up correctly.")
        }
    };
    outgoing(response)
}

/// Wakes by the schedules in `wrangler.toml` and goes round the companies: each minute those with something due, else all.
#[worker::event(scheduled)]
async fn scheduled(event: worker::ScheduledEvent, env: worker::Env, context: worker::ScheduleContext) {
    let platform = Rc::new(Workers { context: Context::Schedule(context), env: env.clone() });
    let only = if event.cron() == EACH_MINUTE { Only::Due } else { Only::Active };
    match app(&env) {
        Ok(app) => {
            bulkhead::cron::scheduled(app, platform, setting(&env, "CRON_TOKEN").as_deref(), only).await
        }
        Err(error) => platform.log(Level::Error, &format!("the settings are not usable: {error}")),
    }
}

/// The schedule of the round that only delivers, as `wrangler.toml` spells it.
const EACH_MINUTE: &str = "* * * * *";

thread_local! {
    /// Parsed settings and bounded caches: the one thing that outlives a request in an isolate.
    static APP: OnceCell<Rc<App>> = const { OnceCell::new() };
}

fn app(env: &worker::Env) -> Result<Rc<App>, ConfigError> {
    APP.with(|cell| {
        if let Some(app) = cell.get() {
            return Ok(app.clone());
        }
        let config = Config::parse(&|name| setting(env, name))?;
        Ok(cell.get_or_init(|| Rc::new(App::new(config))).clone())
    })
}

/// A setting's value. A secret is read like a variable: both are text in the same object.
fn setting(env: &worker::Env, name: &str) -> Option<String> {
    env.var(name).ok().map(|value| value.to_string())
}

/// One event's view of the runtime.
struct Workers {
    context: Context,
    env: worker::Env,
}

/// What keeps the runtime waiting: it is another one by the kind of event.
enum Context {
    Request(worker::Context),
    Schedule(worker::ScheduleContext),
}

impl Platform for Workers {
    fn send(&self, outbound: Outbound) -> LocalBoxFuture<'static, Result<http::Response<Body>, SendError>> {
        Box::pin(send(outbound))
    }

    fn now_ms(&self) -> u64 {
        worker::Date::now().as_millis()
    }

    fn sleep(&self, ms: u32) -> LocalBoxFuture<'static, ()> {
        Box::pin(worker::Delay::from(Duration::from_millis(ms.into())))
    }

    #[expect(clippy::disallowed_methods, reason = "the edge is where the port's randomness comes from")]
    fn fill_random(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // Going on with predictable bytes would be worse than ending this instance.
            std::process::abort();
        }
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        match &self.context {
            Context::Request(context) => context.wait_until(work),
            Context::Schedule(context) => context.wait_until(work),
        }
    }

    fn log(&self, level: Level, line: &str) {
        // The console's functions are called as the levels are.
        log_line(&self.env, level.as_str(), line);
    }
}

#[wasm_bindgen(module = "/runtime.js")]
extern "C" {
    #[wasm_bindgen(js_name = linesOf)]
    fn lines_of(headers: &web_sys::Headers) -> String;

    #[wasm_bindgen(js_name = headersOf)]
    fn headers_of(lines: &str) -> web_sys::Headers;

    #[wasm_bindgen(js_name = log)]
    fn log_line(env: &JsValue, level: &str, line: &str);

    /// A request to somewhere else and its answer.
    type Exchange;

    #[wasm_bindgen(constructor)]
    fn new() -> Exchange;

    /// Brings the answer's headers.
    #[wasm_bindgen(method, catch)]
    async fn send(
        this: &Exchange,
        method: &str,
        url: &str,
        lines: &str,
        body: &[u8],
        head_timeout_ms: u32,
        idle_timeout_ms: u32,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn status(this: &Exchange) -> u16;

    #[wasm_bindgen(method, catch)]
    async fn read(this: &Exchange) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn over(this: &Exchange) -> bool;

    #[wasm_bindgen(method, getter)]
    fn late(this: &Exchange) -> bool;

    #[wasm_bindgen(method)]
    fn abort(this: &Exchange);
}

/// Ends the exchange when it is dropped, whether it waits for the head or reads the body.
struct AbortOnDrop(Exchange);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn send(outbound: Outbound) -> Result<http::Response<Body>, SendError> {
    let Outbound { request, head_timeout_ms, idle_timeout_ms, .. } = outbound;
    let (parts, body) = request.into_parts();
    let (method, url, lines) = (parts.method.as_str(), parts.uri.to_string(), to_lines(&parts.headers));
    let guard = AbortOnDrop(Exchange::new());
    let exchange = &guard.0;
    let headers = exchange
        .send(method, &url, &lines, &body, head_timeout_ms, idle_timeout_ms)
        .await
        .map_err(|_| if exchange.late() { SendError::TimedOut } else { SendError::Unreachable })?;
    let status = StatusCode::from_u16(exchange.status()).map_err(|_| SendError::Unreachable)?;
    let body = if exchange.over() { Body::empty() } else { Body::Stream(chunks(guard).boxed_local()) };
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = from_lines(&headers.as_string().unwrap_or_default());
    Ok(answer)
}

/// What is still to come of an exchange.
fn chunks(guard: AbortOnDrop) -> impl Stream<Item = Result<Bytes, BodyError>> {
    unfold(Some(guard), |open| async move {
        let guard = open?;
        match guard.0.read().await {
            Ok(chunk) if chunk.is_undefined() => None,
            Ok(chunk) => {
                let rest = if guard.0.over() { None } else { Some(guard) };
                Some((Ok(Bytes::from(Uint8Array::from(chunk).to_vec())), rest))
            }
            Err(_) if guard.0.late() => Some((Err(BodyError::Stalled), None)),
            Err(_) => Some((Err(BodyError::Broken), None)),
        }
    })
}

/// The runtime's request as the core's, or `None` when its address is none that HTTP knows.
fn incoming(mut request: worker::Request) -> Option<http::Request<Body>> {
    // `worker::Method` would turn a method it does not know into GET.
    let method = http::Method::from_bytes(request.inner().method().as_bytes()).ok()?;
    let uri = request.inner().url().parse::<http::Uri>().ok()?;
    let headers = from_lines(&lines_of(&request.inner().headers()));
    let body = match request.stream() {
        Err(_) => Body::empty(),
        Ok(chunks) => Body::Stream(chunks.map_ok(Bytes::from).map_err(|_| BodyError::Broken).boxed_local()),
    };
    let mut taken = http::Request::new(body);
    *taken.method_mut() = method;
    *taken.uri_mut() = uri;
    *taken.headers_mut() = headers;
    Some(taken)
}

/// The core's response as the runtime's; a stream stays one.
fn outgoing(response: http::Response<Body>) -> worker::Result<worker::Response> {
    let (parts, body) = response.into_parts();
    let builder = worker::Response::builder()
        .with_status(parts.status.as_u16())
        .with_headers(worker::Headers(headers_of(&to_lines(&parts.headers))));
    match body {
        Body::Full(bytes) if bytes.is_empty() => Ok(builder.empty()),
        Body::Full(bytes) => Ok(builder.body(worker::ResponseBody::Body(bytes.into()))),
        Body::Stream(chunks) => {
            builder.from_stream(chunks.map_err(|error| worker::Error::RustError(error.to_string())))
        }
    }
}

/// Headers whose names or values HTTP does not allow are left out; the runtime lets none through today.
fn from_lines(lines: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    let mut lines = lines.split('\n');
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.append(name, value);
        }
    }
    map
}

fn to_lines(headers: &HeaderMap) -> String {
    let mut lines = String::with_capacity(512);
    for (name, value) in headers {
        // No value of ours has a line break or a byte beyond ASCII: `HeaderValue` takes none.
        if let Ok(value) = value.to_str() {
            lines.extend([name.as_str(), "\n", value, "\n"]);
        }
    }
    lines
}

/// The edge's own answers, for when the core cannot be asked (RFC 9457).
fn problem(status: StatusCode, title: &str) -> http::Response<Body> {
    let body = format!(r#"{{"type":"about:blank","status":{},"title":"{title}"}}"#, status.as_u16());
    let mut response = http::Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
