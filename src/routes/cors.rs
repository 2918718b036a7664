//! Pages of other origins (<https://fetch.spec.whatwg.org/#http-cors-protocol>): what they may ask, and read of the answers.
//!
//! It never lets an origin in: [`auth::origin`](crate::tenant::auth) asks the company's list. It never allows credentials,
//! so no browser sends a cookie along.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::{Call, Route, Run, no_content};
use crate::error::Error;
use crate::platform::Body;

/// What a browser asks before a page of another origin may ask: answered for every path with a route for such pages.
pub(super) static PREFLIGHT: Route = Route {
    method: "OPTIONS",
    path: "*",
    summary: "Which methods pages of listed origins may use",
    run: Run::Guest(|_, call| Box::pin(preflight(call))),
    cross_origin: true,
};

/// Whether a browser asks, and for a page.
pub(super) fn asks(head: &Parts) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(ORIGIN)
        && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Lets a page of this origin read the answer; with none, only the company's own pages can.
pub(super) fn allow(headers: &mut HeaderMap, origin: Option<HeaderValue>) {
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static("retry-after, x-request-id");
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
}

/// Lets every page read a file that is the same for everybody, also one that is isolated from other origins.
pub(crate) fn public(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(policy, HeaderValue::from_static("cross-origin"));
}

async fn preflight(call: Call) -> Result<http::Response<Body>, Error> {
    let mut response = no_content();
    let headers = response.headers_mut();
    if let Some(methods) = call.param("methods").and_then(|methods| HeaderValue::from_str(methods).ok()) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    let allowed = HeaderValue::from_static("authorization, content-type, idempotency-key");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Ok(response)
}
