//! The Fermyon Spin edge: turns the requests, bodies and clock of WASI 0.3 into the core's, and back.
//!
//! It is the only code that names `spin_sdk`. It routes nothing and decides nothing, and asks for nothing that is Spin's
//! own, so that plain wasmtime runs the same component.

use std::cell::{Cell, OnceCell};
use std::io::Write as _;
use std::pin::pin;
use std::rc::Rc;

use bulkhead::App;
use bulkhead::config::{Config, ConfigError};
use bulkhead::platform::{Body, BodyError, Level, Outbound, Platform, SendError};
use futures_util::future::{Either, LocalBoxFuture, select};
use futures_util::stream::{StreamExt, TryStreamExt, unfold};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{FullBody, send as send_request};
use spin_sdk::wasip3::cli::environment::get_environment;
use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};
use spin_sdk::wasip3::exports::http::handler::Guest;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Method, Request, Response, Trailers};
use spin_sdk::wasip3::http_compat::IncomingBody;
use spin_sdk::wasip3::wit_bindgen::{FutureReader, FutureWriter, StreamWriter};
use spin_sdk::wasip3::{spawn as task_spawn, wit_future, wit_stream};

struct Spin;
spin_sdk::wasip3::http::service::export!(Spin);

impl Guest for Spin {
    /// Serves one request of a visitor, an owner or a probe.
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let platform = Rc::new(Wasi);
        let response = match (app().await, incoming(request)) {
            (Ok(app), Some(request)) => attentive(bulkhead::serve(app, platform, request)).await,
            (Ok(_), None) => problem(StatusCode::BAD_REQUEST, "The request's address cannot be read."),
            (Err(error), _) => {
                // What is wrong with the settings is for the operator's eyes only.
                platform.log(Level::Error, &format!("the settings are not usable: {error}"));
                problem(StatusCode::INTERNAL_SERVER_ERROR, "This service is not set up correctly.")
            }
        };
        Ok(outgoing(response))
    }
}

thread_local! {
    /// Parsed settings and bounded caches: the one thing that outlives a request in an instance.
    static APP: OnceCell<Rc<App>> = const { OnceCell::new() };
}

async fn app() -> Result<Rc<App>, ConfigError> {
    if let Some(app) = APP.with(|cell| cell.get().cloned()) {
        return Ok(app);
    }
    let config = settings().await?;
    Ok(APP.with(|cell| cell.get_or_init(|| Rc::new(App::new(config))).clone()))
}

#[cfg(not(feature = "variables"))]
async fn settings() -> Result<Config, ConfigError> {
    let environment = get_environment();
    Config::parse(&|name| value(&environment, name))
}

/// A variable is called like its setting, in small letters, and only asked for when the environment has none.
#[cfg(feature = "variables")]
async fn settings() -> Result<Config, ConfigError> {
    let mut known = get_environment();
    loop {
        // Only the core knows the names: it is asked again with what it asked for, until it asks for nothing new.
        let asked = std::cell::RefCell::new(Vec::new());
        let parsed = Config::parse(&|name| {
            asked.borrow_mut().push(name.to_owned());
            value(&known, name)
        });
        let mut asked = asked.into_inner();
        asked.retain(|name| !known.iter().any(|(other, _)| other == name));
        if asked.is_empty() {
            return parsed;
        }
        for name in asked {
            let variable = spin_sdk::variables::get(name.to_ascii_lowercase()).await;
            known.push((name, variable.unwrap_or_default()));
        }
    }
}

fn value(settings: &[(String, String)], name: &str) -> Option<String> {
    settings.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
}

/// The runtime; it keeps nothing of a request.
struct Wasi;

impl Platform for Wasi {
    fn send(&self, outbound: Outbound) -> LocalBoxFuture<'static, Result<http::Response<Body>, SendError>> {
        Box::pin(send(outbound))
    }

    fn now_ms(&self) -> u64 {
        let now = system_clock::now();
        u64::try_from(now.seconds).unwrap_or_default() * 1_000 + u64::from(now.nanoseconds / 1_000_000)
    }

    fn sleep(&self, ms: u32) -> LocalBoxFuture<'static, ()> {
        Box::pin(monotonic_clock::wait_for(u64::from(ms) * 1_000_000))
    }

    #[expect(clippy::disallowed_methods, reason = "the edge is where the port's randomness comes from")]
    fn fill_random(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // Going on with predictable bytes would be worse than ending this instance.
            std::process::abort();
        }
    }

    fn spawn(&self, work: LocalBoxFuture<'static, ()>) {
        spawn(work);
    }

    fn log(&self, level: Level, line: &str) {
        // Nobody is left to tell when the operator's log is closed.
        let _ = match level {
            Level::Info => writeln!(std::io::stdout(), "{line}"),
            Level::Warn | Level::Error => writeln!(std::io::stderr(), "{line}"),
        };
    }
}

thread_local! {
    /// Whether something was spawned since this was last asked.
    static SPAWNED: Cell<bool> = const { Cell::new(false) };
}

/// Runs the work as part of this request's task: the runtime keeps the instance until every task in it has ended.
fn spawn(work: impl Future<Output = ()> + 'static) {
    SPAWNED.set(true);
    task_spawn(attentive(work));
}

/// The work, polled once more when it has spawned something: wit-bindgen 0.57 begins spawned work only at the task's
/// next turn, for which nothing else might be a reason.
async fn attentive<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        let done = work.as_mut().poll(context);
        if SPAWNED.take() {
            context.waker().wake_by_ref();
        }
        done
    })
    .await
}

async fn send(outbound: Outbound) -> Result<http::Response<Body>, SendError> {
    let Outbound { mut request, head_timeout_ms, idle_timeout_ms, .. } = outbound;
    if !request.body().is_empty() {
        let length = request.body().len();
        // Without it the body would go out in chunks, which not every server takes.
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    // The SDK spawns the writing of the body.
    SPAWNED.set(true);
    // WASI follows no redirects. Dropping the future or the body ends the request.
    let response = within(head_timeout_ms, send_request(request.map(FullBody::new)))
        .await
        .ok_or(SendError::TimedOut)?
        .map_err(|_| SendError::Unreachable)?;
    let (parts, body) = response.into_parts();
    let chunks = unfold(Some(body.stream()), move |open| async move {
        let mut chunks = open?;
        match within(idle_timeout_ms, chunks.next()).await {
            Some(Some(Ok(chunk))) => Some((Ok(chunk), Some(chunks))),
            Some(Some(Err(_))) => Some((Err(BodyError::Broken), None)),
            Some(None) => None,
            None => Some((Err(BodyError::Stalled), None)),
        }
    });
    let mut answer = http::Response::new(Body::Stream(chunks.boxed_local()));
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = parts.headers;
    Ok(answer)
}

/// What the future brings, or `None` if it takes longer than that many milliseconds.
async fn within<T>(milliseconds: u32, work: impl Future<Output = T>) -> Option<T> {
    let deadline = monotonic_clock::wait_for(u64::from(milliseconds) * 1_000_000);
    match select(pin!(work), pin!(deadline)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// The runtime's request as the core's, or `None` when its address is none that HTTP knows.
fn incoming(request: Request) -> Option<http::Request<Body>> {
    let mut taken = http::Request::new(Body::empty());
    *taken.method_mut() = method(request.get_method())?;
    // The host stays a header, so that two of them are seen to be two; where it is none, it is the address's.
    *taken.uri_mut() = request.get_path_with_query().as_deref().unwrap_or("/").parse().ok()?;
    *taken.headers_mut() = headers(&request.get_headers());
    if let (false, Some(authority)) = (taken.headers().contains_key(HOST), request.get_authority()) {
        taken.headers_mut().insert(HOST, HeaderValue::try_from(authority).ok()?);
    }
    let chunks = IncomingBody::new(request).ok()?.stream();
    *taken.body_mut() = Body::Stream(chunks.map_err(|_| BodyError::Broken).boxed_local());
    Some(taken)
}

fn method(method: Method) -> Option<http::Method> {
    http::Method::try_from(method).ok()
}

/// Headers whose names or values HTTP does not allow are left out; the runtime lets none through today.
fn headers(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields.copy_all() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.append(name, value);
        }
    }
    map
}

/// The core's response as the runtime's; a stream stays one.
fn outgoing(response: http::Response<Body>) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Body::Full(bytes) = &body
        && !bytes.is_empty()
    {
        parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
    }
    let fields = Fields::new();
    for (name, value) in &parts.headers {
        // One that the runtime keeps for itself, such as `connection`, is left out.
        let _ = fields.append(name.as_str(), value.as_bytes());
    }
    let (end, ending) = wit_future::new(|| Err(ErrorCode::InternalError(None)));
    let (contents, reader) = wit_stream::new();
    let (answer, sent) = Response::new(fields, Some(reader), ending);
    // A status that the runtime does not know leaves 200, which no status of the core's is.
    let _ = answer.set_status_code(parts.status.as_u16());
    spawn(write(body, contents, end, sent));
    answer
}

type End = Result<Option<Trailers>, ErrorCode>;

/// Writes the body as fast as it is read, and no faster; ends when it is whole, breaks off, or nobody reads any more.
async fn write(
    mut body: Body,
    mut contents: StreamWriter<u8>,
    end: FutureWriter<End>,
    sent: FutureReader<Result<(), ErrorCode>>,
) {
    let mut ending = Ok(None);
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => {
                if !contents.write_all(chunk.into()).await.is_empty() {
                    return;
                }
            }
            Err(_) => {
                ending = Err(ErrorCode::InternalError(None));
                break;
            }
        }
    }
    drop(contents);
    let _ = end.write(ending).await;
    // Some versions of wasmtime cut the body when this is dropped before.
    drop(sent);
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
