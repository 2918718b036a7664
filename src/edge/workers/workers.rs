//! The Cloudflare Workers edge: turns the runtime's requests, bodies and clock into the core's, and back.
//!
//! It is the only code that names `worker`. It routes nothing and decides nothing.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use bulkhead::App;
use bulkhead::config::{Config, ConfigError};
use bulkhead::platform::{Body, BodyError, Level, Outbound, Platform, SendError};
use bytes::Bytes;
use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::stream::{StreamExt, TryStreamExt, unfold};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

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
    let platform = Rc::new(Workers { context });
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

thread_local! {
    /// Parsed settings and bounded caches: the one thing that outlives a request in an isolate.
    static APP: OnceCell<Rc<App>> = const { OnceCell::new() };
}

fn app(env: &worker::Env) -> Result<Rc<App>, ConfigError> {
    APP.with(|cell| {
        if let Some(app) = cell.get() {
            return Ok(app.clone());
        }
        // A secret is read like a variable: both are text in the same object.
        let config = Config::parse(&|name| env.var(name).ok().map(|value| value.to_string()))?;
        Ok(cell.get_or_init(|| Rc::new(App::new(config))).clone())
    })
}

/// One request's view of the runtime.
struct Workers {
    context: worker::Context,
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
        self.context.wait_until(work);
    }

    fn log(&self, level: Level, line: &str) {
        match level {
            Level::Info => worker::console_log!("{line}"),
            Level::Warn => worker::console_warn!("{line}"),
            Level::Error => worker::console_error!("{line}"),
        }
    }
}

/// Ends the request it belongs to when it is dropped, whether it waits for the head or reads the body.
#[derive(Default)]
struct AbortOnDrop(Option<worker::AbortController>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(controller) = self.0.take() {
            controller.abort();
        }
    }
}

async fn send(outbound: Outbound) -> Result<http::Response<Body>, SendError> {
    let Outbound { request, head_timeout_ms, idle_timeout_ms, .. } = outbound;
    let (parts, body) = request.into_parts();
    let mut init = worker::RequestInit::new();
    init.with_method(worker::Method::from(parts.method.to_string()))
        .with_headers(to_runtime(&parts.headers))
        .with_redirect(worker::RequestRedirect::Manual);
    if !body.is_empty() {
        init.with_body(Some(worker::js_sys::Uint8Array::from(body.as_ref()).into()));
    }
    let request =
        worker::Request::new_with_init(&parts.uri.to_string(), &init).map_err(|_| SendError::Unreachable)?;

    let controller = worker::AbortController::default();
    let signal = controller.signal();
    let guard = AbortOnDrop(Some(controller));
    let fetch = worker::Fetch::Request(request);
    let mut response = within(head_timeout_ms, fetch.send_with_signal(&signal))
        .await
        .ok_or(SendError::TimedOut)?
        .map_err(|_| SendError::Unreachable)?;

    let body = match response.stream() {
        // Without a stream the response has no body at all, as after a HEAD or a 204.
        Err(_) => Body::empty(),
        Ok(chunks) => Body::Stream(
            unfold(Some((chunks, guard)), move |open| async move {
                let (mut chunks, guard) = open?;
                match within(idle_timeout_ms, chunks.next()).await {
                    Some(Some(Ok(chunk))) => Some((Ok(Bytes::from(chunk)), Some((chunks, guard)))),
                    Some(Some(Err(_))) => Some((Err(BodyError::Broken), None)),
                    Some(None) => None,
                    None => Some((Err(BodyError::Stalled), None)),
                }
            })
            .boxed_local(),
        ),
    };
    let mut answer = http::Response::new(body);
    *answer.status_mut() =
        StatusCode::from_u16(response.status_code()).map_err(|_| SendError::Unreachable)?;
    *answer.headers_mut() = from_runtime(response.headers());
    Ok(answer)
}

/// What the future brings, or `None` if it takes longer than that many milliseconds.
async fn within<T>(milliseconds: u32, work: impl Future<Output = T>) -> Option<T> {
    let deadline = worker::Delay::from(Duration::from_millis(milliseconds.into()));
    match select(std::pin::pin!(work), deadline).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// The runtime's request as the core's, or `None` when its address is none that HTTP knows.
fn incoming(mut request: worker::Request) -> Option<http::Request<Body>> {
    // `worker::Method` would turn a method it does not know into GET.
    let method = http::Method::from_bytes(request.inner().method().as_bytes()).ok()?;
    let uri = request.inner().url().parse::<http::Uri>().ok()?;
    let headers = from_runtime(request.headers());
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
        .with_headers(to_runtime(&parts.headers));
    match body {
        Body::Full(bytes) if bytes.is_empty() => Ok(builder.empty()),
        Body::Full(bytes) => Ok(builder.body(worker::ResponseBody::Body(bytes.into()))),
        Body::Stream(chunks) => {
            builder.from_stream(chunks.map_err(|error| worker::Error::RustError(error.to_string())))
        }
    }
}

/// Headers whose names or values HTTP does not allow are left out; the runtime lets none through today.
fn from_runtime(headers: &worker::Headers) -> HeaderMap {
    headers
        .entries()
        .filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}

fn to_runtime(headers: &HeaderMap) -> worker::Headers {
    headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
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
