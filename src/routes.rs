//! The router: finds a request's route in the table, lets in who may call it, and logs what came of it.
//!
//! A handler cannot run unauthenticated: what it takes ([`Visitor`], [`Member`]) only [`auth`] can make.

mod call;
pub(crate) mod cors;
mod log;
mod table;

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::api_keys::KeyScope;
use crate::config::{BODY_LIMIT, Config, Place};
use crate::dashboard;
use crate::error::Error;
use crate::ids::{CompanyId, RequestId};
use crate::limiter::Refusals;
use crate::openai_api;
use crate::platform::{Body, Platform};
use crate::roles::permission;
use crate::tenant::TenantScope;
use crate::tenant::auth::{self, Hosts, Member, Origins, Program, Visitor};
use crate::tenant::vault::opens::Opens;
use crate::trace::{Took, Trace, Traced};

use self::log::{Came, Log};
pub use call::Call;
pub(crate) use call::decoded;
pub use table::ROUTES;

/// Answers one request. Every answer carries its request id; every failure is a problem document.
pub async fn serve(
    app: Rc<App>,
    platform: Rc<dyn Platform>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let started_ms = platform.now_ms();
    let request_id = RequestId::new(&*platform);
    let (head, body) = request.into_parts();
    let company = Rc::new(Cell::new(None));
    let (method, uri) = (head.method.clone(), head.uri.clone());
    let (trace, took) = (Trace::of(&head.headers, request_id), Rc::new(Took::default()));
    let platform: Rc<dyn Platform> =
        Rc::new(Traced { platform, trace: trace.clone(), took: Rc::clone(&took) });
    let mut origin = None;
    let (route, outcome) =
        answer(app, Rc::clone(&platform), head, body, request_id, Rc::clone(&company), &mut origin).await;
    let head_ms = platform.now_ms().saturating_sub(started_ms);
    let log = Log {
        came: Came::of(outcome.as_ref(), head_ms),
        platform,
        request_id,
        trace,
        company,
        method: method.clone(),
        route: route.map_or("-", |route| route.path),
        started_ms,
        took,
    };
    let timing = match (&outcome, route) {
        // Where time goes would tell strangers what is there; the company's own people it helps.
        (Ok(_), Some(Route { run: Run::Member(..) | Run::Page(..), .. })) => log.took.server_timing(head_ms),
        _ => None,
    };
    let mut response = outcome.unwrap_or_else(|error| match route {
        _ if matches!(error, Error::Moved(_)) => error.response(request_id),
        Some(Route { run: Run::Program(..), .. }) => openai_api::refusal(&error, request_id),
        Some(route) if route.for_browsers() => dashboard::refusal(&error, request_id, &method, &uri),
        _ => error.response(request_id),
    });
    if route.is_some_and(|route| route.cross_origin) {
        cors::allow(response.headers_mut(), origin);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id.to_string()) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Some(timing) = timing {
        headers.insert(HeaderName::from_static("server-timing"), timing);
    }
    response.map(|body| log.with(body))
}

/// What one isolate keeps between requests: settings, bounded caches keyed by host, by company and origin, and by visitor,
/// and a bounded count by company.
pub struct App {
    /// The settings.
    pub config: Config,
    pub(crate) hosts: Hosts,
    pub(crate) origins: Origins,
    pub(crate) opens: Opens,
    pub(crate) refusals: Refusals,
}

impl App {
    /// An application with these settings and nothing cached.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let (hosts, origins) = (Hosts::default(), Origins::default());
        Self { config, hosts, origins, opens: Opens::default(), refusals: Refusals::default() }
    }
}

/// One row of the table.
pub struct Route {
    /// HTTP method.
    pub method: &'static str,
    /// Path; a segment in braces takes any one segment.
    pub path: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// Who may call it, and what runs.
    pub run: Run,
    /// Whether pages of origins that the company lists may call it, besides the company's own.
    pub cross_origin: bool,
}

impl Route {
    /// Whether browsers call it by themselves, for pages and with forms: what it takes are forms, what it refuses with are
    /// pages, and what changes something must come from a page of its own host.
    #[must_use]
    pub fn for_browsers(&self) -> bool {
        self.path.strip_prefix("/dashboard").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Who may call a route, and what runs. Apex and operator routes answer on the platform's own host, all others on a company's.
pub enum Run {
    /// Anyone, on the platform's host.
    Apex(fn(Call) -> Answer),
    /// Who has the operator's token, on the platform's host.
    Operator(fn(Call) -> Answer),
    /// Anyone, on a company's host.
    Guest(fn(TenantScope, Call) -> Answer),
    /// A visitor of the company.
    Visitor(fn(Visitor, Call) -> Answer),
    /// A signed-in person of the company with this role or a higher one.
    Member(Role, fn(Member, Call) -> Answer),
    /// The same in a browser, whose cookie proves the session: a page of the dashboard, or one of its forms.
    Page(Role, fn(Member, Call) -> Answer),
    /// A program of the company's, with a key that has this scope.
    Program(KeyScope, fn(Program, Call) -> Answer),
}

impl Run {
    /// Whether it answers on the platform's own host, and not on a company's.
    #[must_use]
    pub const fn at_apex(&self) -> bool {
        matches!(self, Self::Apex(_) | Self::Operator(_))
    }
}

/// What a handler brings.
pub type Answer = LocalBoxFuture<'static, Result<http::Response<Body>, Error>>;

/// What a signed-in person may do, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads; writes knowledge.
    Member,
    /// Also agents, providers, budget.
    Admin,
    /// Also the company itself.
    Owner,
}

impl Role {
    /// As the database spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// This role and those above it, as the database spells them.
    #[must_use]
    pub const fn or_higher(self) -> &'static [&'static str] {
        match self {
            Self::Member => &["member", "admin", "owner"],
            Self::Admin => &["admin", "owner"],
            Self::Owner => &["owner"],
        }
    }
}

/// A JSON answer.
///
/// # Errors
/// [`Error::Internal`] when the value has no JSON form.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<http::Response<Body>, Error> {
    let bytes = serde_json::to_vec(value).map_err(|error| Error::Internal(format!("answer: {error}")))?;
    Ok(content(status, "application/json", bytes))
}

/// An answer of any type.
pub fn content(status: StatusCode, kind: &'static str, bytes: impl Into<Bytes>) -> http::Response<Body> {
    let mut response = http::Response::new(Body::Full(bytes.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer without a body.
#[must_use]
pub fn no_content() -> http::Response<Body> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The route, for the log and for how its callers read refusals, and what its handler brought.
async fn answer(
    app: Rc<App>,
    platform: Rc<dyn Platform>,
    head: http::request::Parts,
    body: Body,
    request_id: RequestId,
    company: Rc<Cell<Option<CompanyId>>>,
    origin: &mut Option<HeaderValue>,
) -> (Option<&'static Route>, Result<http::Response<Body>, Error>) {
    let Some(place) = host(&head).and_then(|host| app.config.root.place(host)) else {
        return (None, Err(Error::NotFound));
    };
    let (route, params) = match find(&head, &place) {
        Ok(found) => found,
        Err(error) => return (None, Err(error)),
    };
    let body = Cell::new(Some(body));
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or("").to_owned();
    let mut call = Call {
        request_id,
        headers: head.headers,
        place,
        app,
        platform,
        route,
        path,
        origin: None,
        body,
        body_limit: Cell::new(BODY_LIMIT),
        query,
        params,
        company,
    };
    if route.cross_origin {
        match auth::origin(&call).await {
            Ok(listed) => origin.clone_from(&listed),
            Err(error) => return (Some(route), Err(error)),
        }
        call.origin.clone_from(origin);
    }
    if route.for_browsers()
        && route.method != "GET"
        && let Err(error) = auth::same_origin(&call)
    {
        return (Some(route), Err(error));
    }
    let outcome = match &route.run {
        Run::Apex(run) => run(call).await,
        Run::Operator(run) => match auth::operator(&call) {
            Ok(()) => run(call).await,
            Err(error) => Err(error),
        },
        Run::Guest(run) => match auth::guest(&call).await {
            Ok(scope) => run(scope, call).await,
            Err(error) => Err(error),
        },
        Run::Visitor(run) => match auth::visitor(&call).await {
            Ok(visitor) => run(visitor, call).await,
            Err(error) => Err(error),
        },
        Run::Member(role, run) => {
            match auth::member(&call, *role, permission(route.method, route.path)).await {
                Ok(member) => run(member, call).await,
                Err(error) => Err(error),
            }
        }
        Run::Page(role, run) => match auth::page(&call, *role, permission(route.method, route.path)).await {
            Ok(member) => run(member, call).await,
            Err(error) => Err(error),
        },
        Run::Program(scope, run) => match auth::program(&call, *scope).await {
            Ok(program) => run(program, call).await,
            Err(error) => Err(error),
        },
    };
    (Some(route), outcome)
}

/// The request's host: the URL's, else the `Host` header. No other header has a say.
fn host(head: &http::request::Parts) -> Option<&str> {
    if let Some(authority) = head.uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = head.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        _ => None,
    }
}

type Params = Vec<(&'static str, String)>;

/// The route for a request, and what stands in its path's braces.
fn find(head: &http::request::Parts, place: &Place) -> Result<(&'static Route, Params), Error> {
    let at_apex = *place == Place::Apex;
    let path = head.uri.path();
    // An address of its own is no id: `/v1/knowledge/search` is not `/v1/knowledge/{id}`, whatever the method.
    let own = ROUTES.iter().any(|route| route.run.at_apex() == at_apex && route.path == path);
    let here = |route: &&Route| route.run.at_apex() == at_apex && (!own || route.path == path);
    let method = if head.method == Method::HEAD { "GET" } else { head.method.as_str() };
    let mut others = Vec::new();
    let mut elsewhere = Vec::new();
    for route in ROUTES.iter().filter(here) {
        let Some(params) = matched(route.path, path) else { continue };
        if route.method == method {
            return Ok((route, params));
        }
        others.push(route.method);
        elsewhere.extend(route.cross_origin.then_some(route.method));
    }
    if !elsewhere.is_empty() && cors::asks(head) {
        return Ok((&cors::PREFLIGHT, vec![("methods", elsewhere.join(", "))]));
    }
    Err(if others.is_empty() { Error::NotFound } else { Error::MethodNotAllowed(others.join(", ")) })
}

/// What stands in the braces of a pattern, if the path matches it segment by segment.
fn matched(pattern: &'static str, path: &str) -> Option<Params> {
    let mut params = Vec::new();
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let segment = segments.next()?;
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => params.push((name, segment.to_owned())),
            None if segment == wanted => {}
            _ => return None,
        }
    }
    segments.next().is_none().then_some(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(matched("/v1/agents", "/v1/agents"), Some(vec![]));
        assert_eq!(matched("/v1/agents/{id}", "/v1/agents/7"), Some(vec![("id", "7".into())]));
        assert_eq!(matched("/v1/agents/{id}", "/v1/agents/"), None);
        assert_eq!(matched("/v1/agents/{id}", "/v1/agents/7/x"), None);
        assert_eq!(matched("/v1/agents", "/v1/agents/"), None);
        assert_eq!(matched("/", "/"), Some(vec![]));
    }

    #[test]
    fn an_address_of_its_own_is_no_id() {
        for (method, path, allowed) in [
            ("OPTIONS", "/v1/knowledge/search", Err("GET")),
            ("PATCH", "/v1/knowledge/search", Err("GET")),
            ("GET", "/v1/knowledge/search", Ok("/v1/knowledge/search")),
            ("PUT", "/v1/knowledge/7", Err("GET, PATCH, DELETE")),
            ("PATCH", "/v1/knowledge/7", Ok("/v1/knowledge/{id}")),
        ] {
            let (head, ()) = http::Request::builder().method(method).uri(path).body(()).unwrap().into_parts();
            let found = find(&head, &Place::Slug("acme".into()));
            match (found, allowed) {
                (Ok((route, _)), Ok(wanted)) => assert_eq!(route.path, wanted, "{method} {path}"),
                (Err(Error::MethodNotAllowed(allow)), Err(wanted)) => {
                    assert_eq!(allow, wanted, "{method} {path}")
                }
                (found, _) => panic!("{method} {path}: {}", found.map_or("refused", |(route, _)| route.path)),
            }
        }
    }

    #[test]
    fn what_is_for_browsers_is_what_a_cookie_opens() {
        for route in ROUTES {
            match route.run {
                Run::Page(..) => assert!(route.for_browsers(), "{}", route.path),
                // Signing in.
                Run::Guest(_) => {
                    let door = route.path.starts_with("/dashboard/sign-in");
                    assert_eq!(route.for_browsers(), door, "{}", route.path);
                }
                _ => assert!(!route.for_browsers(), "{}", route.path),
            }
            assert!(!route.for_browsers() || ["GET", "POST"].contains(&route.method), "{}", route.path);
        }
    }

    #[test]
    fn no_two_routes_match_the_same_request() {
        for (at, one) in ROUTES.iter().enumerate() {
            for other in &ROUTES[at + 1..] {
                let same_host = one.run.at_apex() == other.run.at_apex();
                let same = one.method == other.method && same_host && matched(one.path, other.path).is_some();
                assert!(!same, "{} {} and {}", one.method, one.path, other.path);
            }
        }
    }
}
