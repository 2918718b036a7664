//! What is behind HTTP: SQL, Redis and the worker itself, asked as a worker or a visitor asks them. It stores nothing.

use http::StatusCode;
use http::header::{DATE, HOST, HeaderName};
use reqwest::Url;
use serde_json::{Value, json};

use super::clock::{compare, now_s};
use super::http::{Answer, Asked, Client};
use super::{Verdict, Wrong, wrong};

/// A statement over HTTP, with the worker's connection string.
pub async fn sql(http: &Client, url: &str, database_url: &str) -> Verdict {
    let mend = "check SQL_URL, and that the gateway runs: it says why not when it starts";
    let url: Url = url.parse().map_err(|_| wrong("SQL_URL is no URL", mend))?;
    let asked = Asked::post(&url, &json!({ "query": "select 'well' as all_is", "params": [] }))
        .header(HeaderName::from_static("neon-connection-string"), database_url);
    let Answer { status, value, .. } = http.send(asked).await.map_err(|why| wrong(why, mend))?;
    match (status, value.pointer("/rows/0/all_is")) {
        (StatusCode::OK, Some(well)) if well == "well" => Ok("answers a statement".to_owned()),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Err(wrong(
            "refuses the worker's connection string",
            "give gateway and worker the same DATABASE_URL",
        )),
        (status, _) => Err(wrong(
            format!("answers {status}"),
            "see that SQL_URL ends in /sql, and what the gateway's log says",
        )),
    }
}

/// Redis answers to its token.
pub async fn redis(http: &Client, url: &str, token: &str) -> Verdict {
    let (status, value) = command(http, url, token, json!(["PING"])).await?;
    match (status, value.get("result")) {
        (StatusCode::OK, Some(pong)) if pong == "PONG" => Ok("answers".to_owned()),
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            Err(wrong("refuses the token", "give gateway and worker the same token"))
        }
        (status, _) => {
            Err(wrong(format!("answers {status}"), "see that Redis itself runs, and the gateway's log"))
        }
    }
}

/// Redis runs scripts, with the worker's flags.
pub async fn script(http: &Client, url: &str, token: &str, flags: Option<&str>) -> Verdict {
    let shebang = flags.map(|flags| format!("#!lua flags={flags}\n")).unwrap_or_default();
    let script = format!("{shebang}return ARGV[1]");
    let (status, value) =
        command(http, url, token, json!(["EVAL", script, "1", "doctor:{nobody}", "well"])).await?;
    match value.get("result") {
        Some(well) if well == "well" => Ok("run".to_owned()),
        _ => Err(wrong(
            format!("a script is not run ({status})"),
            "allow EVAL; where Redis is not Upstash's, leave REDIS_SCRIPT_FLAGS empty",
        )),
    }
}

/// Redis answers to no other token.
pub async fn token(http: &Client, url: &str) -> Verdict {
    let (status, _) = command(http, url, "no-token-of-anybody", json!(["PING"])).await?;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Ok("no other one is taken".to_owned()),
        status => Err(wrong(
            format!("a made-up token is answered with {status}"),
            "take this Redis off the network until something in front of it asks for the token",
        )),
    }
}

async fn command(
    http: &Client,
    url: &str,
    token: &str,
    command: Value,
) -> Result<(StatusCode, Value), Wrong> {
    let mend = "check UPSTASH_REDIS_REST_URL, and that the gateway runs";
    let url: Url = url.parse().map_err(|_| wrong("UPSTASH_REDIS_REST_URL is no URL", mend))?;
    let asked = Asked::post(&url, &command).bearer(token);
    let answer = http.send(asked).await.map_err(|why| wrong(why, mend))?;
    Ok((answer.status, answer.value))
}

/// The worker at its addresses.
pub struct Site<'a> {
    /// The client.
    pub http: &'a Client,
    /// The platform's own address.
    pub root: &'a str,
    /// Where it is reached, if not there.
    pub reached: Option<&'a str>,
}

impl Site<'_> {
    /// The worker runs, and reaches what it needs.
    pub async fn ready(&self) -> Verdict {
        let response = self.get("", "/readyz").await?;
        match response.status {
            StatusCode::OK => Ok("runs, and reaches database and Redis".to_owned()),
            StatusCode::SERVICE_UNAVAILABLE => Err(wrong(
                "runs, and does not reach its database or Redis",
                "check its DATABASE_URL, SQL_URL, UPSTASH_REDIS_REST_URL and token: its log says which",
            )),
            status => Err(wrong(
                format!("{} answers {status}", self.root),
                "check ROOT_URL and the route that leads from it to the worker",
            )),
        }
    }

    /// Any host below the root is answered by the worker, with nothing where there is no company.
    pub async fn wildcard(&self) -> Verdict {
        let label = format!("doctor-{}.", uuid::Uuid::from_u128(u128::from(now_s()?.to_bits())).simple());
        let response = self.get(&label, "/").await?;
        let status = response.status;
        // Every answer of the worker's has one; a proxy's page has not.
        match (status, response.headers.contains_key("x-request-id")) {
            (StatusCode::NOT_FOUND, true) => Ok("every one leads to the worker".to_owned()),
            (status, _) => Err(wrong(
                format!("a company's host that is nobody's answers {status}, and not the worker's 404"),
                "let a wildcard DNS record and a wildcard route lead every host below the root to the worker",
            )),
        }
    }

    /// The worker's clock, by the second.
    pub async fn clock(&self) -> Verdict {
        let response = self.get("", "/healthz").await?;
        let date = response.headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(seconds);
        match date {
            Some(there) => compare(there, now_s()?),
            None => Ok("not told: its answers have no date".to_owned()),
        }
    }

    async fn get(&self, label: &str, path: &str) -> Result<Answer, Wrong> {
        let mend = "check ROOT_URL: scheme, host and port";
        let mut root: Url = self.root.parse().map_err(|_| wrong("ROOT_URL is no URL", mend))?;
        let host = format!("{label}{}", root.host_str().unwrap_or_default());
        let host_with_port = root.port().map_or(host.clone(), |port| format!("{host}:{port}"));
        if let Some(reached) = self.reached {
            root = reached
                .parse()
                .map_err(|_| wrong("--worker-url is no URL", "write it as http://host:port"))?;
        } else {
            root.set_host(Some(&host)).map_err(|_| wrong("ROOT_URL is no URL", mend))?;
        }
        root.set_path(path);
        let asked = Asked::get(&root).header(HOST, &host_with_port);
        let mend = "see that the worker runs, and that DNS, certificate and routes lead to it";
        self.http.send(asked).await.map_err(|why| wrong(format!("{host} {why}"), mend))
    }
}

/// An HTTP date (RFC 9110, section 5.6.7) in seconds since 1970.
fn seconds(date: &str) -> Option<f64> {
    let seconds = chrono::DateTime::parse_from_rfc2822(date).ok()?.timestamp();
    Some(f64::from(u32::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_read() {
        for (date, expected) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777.0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0.0)),
            ("yesterday", None),
        ] {
            assert_eq!(seconds(date), expected, "{date}");
        }
    }
}
