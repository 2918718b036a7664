//! Attacks on the host: odd names, odd requests, invented headers. The company comes from one `Host` and nothing else.
//!
//! Requests are bytes on a connection to workerd, so that a host can be anything. Every answer is one of three: acme's
//! page, the page of nobody (404 as for a name that was never taken), or a refusal by the runtime itself.

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::{Edge, Stand};
use bulkhead_tests::tally::tally;
use bulkhead_tests::wire::{self, Answer};
use http::Method;

/// What a request with a strange host may bring.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Brings {
    /// The page of the company that the host names.
    Acme,
    /// The platform's page.
    Platform,
    /// 404, the same as for any name that nobody has.
    Nobody,
    /// The runtime refuses before the core is asked: 400, or an end of the connection.
    Refusal,
}
use Brings::{Acme, Nobody, Platform, Refusal};

#[tokio::test]
async fn a_host_is_one_company_s_or_nobody_s() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let (a, b, port) = (acme.slug.as_str(), bright.slug.as_str(), stand.port);
    let nobody = page(stand, "nobody-has-this.localhost").await;
    assert_eq!(nobody.status, 404);
    let mut counted = 0;
    for (host, brings) in hosts(a, b, port) {
        let answer = page(stand, &host).await;
        check(&format!("Host: {host:.200?}"), &answer, brings, (a, b), &nobody);
        counted += 1;
    }
    tally("1 identity", "spellings of a host", counted, 100);
}

/// Hosts, and what they bring. Acme's own name is `a`, the other company's `b`.
fn hosts(a: &str, b: &str, port: u16) -> Vec<(String, Brings)> {
    let upper = a.to_uppercase();
    let long = "a".repeat(64);
    let longest = "a.".repeat(130);
    // A query or fragment ends the name, as in any URL: for workerd what is before it is the host, for WASI it is none.
    let cut_off = if Edge::tested() == Edge::Workers { Acme } else { Nobody };
    [
        // Letter case and ports do not make another host (RFC 9110, section 4.2.3).
        (format!("{a}.localhost"), Acme),
        (format!("{a}.localhost:{port}"), Acme),
        (format!("{upper}.LOCALHOST"), Acme),
        (format!("{upper}.LocalHost:{port}"), Acme),
        (format!("{a}.localhost:1"), Acme),
        (format!("{a}.localhost:65535"), Acme),
        (format!("{a}.localhost:080"), Acme),
        (format!("{a}.localhost?x"), cut_off),
        (format!("{a}.localhost?.{a}x.localhost"), cut_off),
        (format!("{a}.localhost#x"), cut_off),
        ("localhost".to_owned(), Platform),
        (format!("localhost:{port}"), Platform),
        ("LOCALHOST".to_owned(), Platform),
    ]
    .into_iter()
    .chain(
        [
            // Names that only look like a company's, or like the platform's.
            format!("a.{a}.localhost"),
            format!("{b}.{a}.localhost"),
            format!("www.{a}.localhost"),
            format!("{a}.localhost.evil.example"),
            format!("{a}.evil.example"),
            format!("{a}localhost"),
            format!("{a}.evillocalhost"),
            format!("{a}.localhost.localhost"),
            format!("{a}-localhost"),
            format!("x{a}.localhost"),
            format!("{a}x.localhost"),
            a.to_owned(),
            "evillocalhost".to_owned(),
            "localhost.evil.example".to_owned(),
            "localhostevil.example".to_owned(),
            "evil.example".to_owned(),
            "rootevil.com".to_owned(),
            "self".to_owned(),
            "internal".to_owned(),
            "metadata.google.internal".to_owned(),
            "169.254.169.254".to_owned(),
            "127.0.0.1".to_owned(),
            format!("127.0.0.1:{port}"),
            "0.0.0.0".to_owned(),
            "2130706433".to_owned(),
            "0x7f000001".to_owned(),
            "[::1]".to_owned(),
            format!("[::1]:{port}"),
            "[::ffff:127.0.0.1]".to_owned(),
            "*.localhost".to_owned(),
            "%.localhost".to_owned(),
            "_.localhost".to_owned(),
            "-.localhost".to_owned(),
            "--.localhost".to_owned(),
            format!("-{a}.localhost"),
            format!("{a}-.localhost"),
            format!("{a}_.localhost"),
            format!("{long}.localhost"),
            format!("{longest}localhost"),
            // Dots.
            format!("{a}.localhost."),
            format!("{a}.localhost.:{port}"),
            format!("{a}..localhost"),
            format!(".{a}.localhost"),
            format!("{a}.localhost.."),
            ".localhost".to_owned(),
            "..localhost".to_owned(),
            "localhost.".to_owned(),
            ".".to_owned(),
            format!("{a}\u{3002}localhost"),
            format!("{a}\u{ff0e}localhost"),
            format!("{a}%2elocalhost"),
            // Letters of other scripts, and names in their ASCII form (RFC 5890).
            format!("{}\u{430}.localhost", &a[1..]),
            format!("\u{ff50}{}.localhost", &a[1..]),
            format!("xn--{a}.localhost"),
            "xn--a.localhost".to_owned(),
            "xn--80ak6aa92e.localhost".to_owned(),
            format!("{a}.l\u{f6}calhost"),
            format!("{a}.\u{24db}ocalhost"),
            format!("{a}\u{200b}.localhost"),
            format!("{a}\u{ad}.localhost"),
            format!("\u{feff}{a}.localhost"),
            // What is no host name: users, paths, queries, lists, quotes, commands.
            format!("{b}@{a}.localhost"),
            format!("{a}.localhost@{b}.localhost"),
            format!("user:password@{a}.localhost"),
            format!("{a}.localhost/"),
            format!("{a}.localhost/v1/company"),
            format!("{a}.localhost\\.evil.example"),
            format!("http://{a}.localhost"),
            format!("//{a}.localhost"),
            format!("{a}.localhost,{b}.localhost"),
            format!("{a}.localhost, {b}.localhost"),
            format!("{a}.localhost {b}.localhost"),
            format!("{a}.localhost;{b}.localhost"),
            format!("{a}.localhost|{b}.localhost"),
            format!("{a}.localhost&{b}.localhost"),
            format!("\"{a}.localhost\""),
            format!("<{a}.localhost>"),
            format!("({a}.localhost)"),
            format!("{{{a}}}.localhost"),
            format!("${{{a}}}.localhost"),
            format!("{a}'--.localhost"),
            "' or host like '%.localhost".to_owned(),
            format!("{a}%00.localhost"),
            format!("{a}%0d%0aHost:%20{b}.localhost"),
            format!("{a}\t.localhost"),
            // Ports that are none.
            format!("{a}.localhost:"),
            format!("{a}.localhost:x"),
            format!("{a}.localhost:-1"),
            format!("{a}.localhost:+80"),
            format!("{a}.localhost:65536"),
            format!("{a}.localhost:99999999999999999999"),
            format!("{a}.localhost:{port}:{port}"),
            format!("{a}.localhost:{port}@evil.example"),
            format!("{a}.localhost:{port}.evil.example"),
            format!("{a}.localhost: {port}"),
            format!(":{port}"),
            String::new(),
        ]
        .map(|host| (host, Nobody)),
    )
    .collect()
}

#[tokio::test]
async fn requests_that_name_two_hosts_reach_at_most_the_one_in_host() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let (a, b) = (format!("{}.localhost", acme.slug), format!("{}.localhost", bright.slug));
    let nobody_s = "nobody-has-this.localhost";
    let nobody = page(stand, nobody_s).await;
    // Without a `Host` line a component of WASI has the address's host, as it must for HTTP/2; workerd's has none.
    let only = if Edge::tested() == Edge::Workers { b.as_str() } else { nobody_s };
    let end = "Connection: close\r\n\r\n";
    let cases = [
        ("two hosts", format!("GET / HTTP/1.1\r\nHost: {a}\r\nHost: {b}\r\n{end}"), Nobody),
        ("two hosts, other order", format!("GET / HTTP/1.1\r\nHost: {b}\r\nHost: {a}\r\n{end}"), Nobody),
        ("the same host twice", format!("GET / HTTP/1.1\r\nHost: {a}\r\nhost: {a}\r\n{end}"), Nobody),
        ("a host after a space", format!("GET / HTTP/1.1\r\n Host: {b}\r\nHost: {a}\r\n{end}"), Refusal),
        ("a host before a space", format!("GET / HTTP/1.1\r\nHost: {a}\r\nHost : {b}\r\n{end}"), Refusal),
        ("a folded host", format!("GET / HTTP/1.1\r\nHost: {a}\r\n {b}\r\n{end}"), Refusal),
        ("no host", format!("GET / HTTP/1.1\r\n{end}"), Nobody),
        ("no host, HTTP/1.0", format!("GET / HTTP/1.0\r\n{end}"), Nobody),
        ("absolute form", format!("GET http://{b}/ HTTP/1.1\r\nHost: {a}\r\n{end}"), Acme),
        ("absolute form, https", format!("GET https://{b}/ HTTP/1.1\r\nHost: {a}\r\n{end}"), Acme),
        ("absolute form, another scheme", format!("GET ftp://{b}/ HTTP/1.1\r\nHost: {a}\r\n{end}"), Acme),
        ("absolute form without a host line", format!("GET http://{only}/ HTTP/1.1\r\n{end}"), Nobody),
        ("a path that begins with two slashes", format!("GET //{b}/ HTTP/1.1\r\nHost: {a}\r\n{end}"), Nobody),
        ("a path that begins with @", format!("GET @{b}/ HTTP/1.1\r\nHost: {a}\r\n{end}"), Nobody),
        ("a path that begins with a dot", format!("GET .{b}/ HTTP/1.1\r\nHost: {a}\r\n{end}"), Nobody),
        ("a path that begins with a colon", format!("GET :80@{b}/ HTTP/1.1\r\nHost: {a}\r\n{end}"), Nobody),
        ("a backslash", format!("GET \\\\{b}\\ HTTP/1.1\r\nHost: {a}\r\n{end}"), Nobody),
        ("authority form", format!("GET {b}:80 HTTP/1.1\r\nHost: {a}\r\n{end}"), Acme),
        ("a tunnel", format!("CONNECT {b}:80 HTTP/1.1\r\nHost: {a}\r\n{end}"), Refusal),
        ("asterisk form", format!("OPTIONS * HTTP/1.1\r\nHost: {a}\r\n{end}"), Nobody),
        ("a host in the version", format!("GET / HTTP/1.1 Host: {b}\r\nHost: {a}\r\n{end}"), Refusal),
        ("a line feed in the host", format!("GET / HTTP/1.1\r\nHost: {a}\nHost: {b}\r\n{end}"), Nobody),
        (
            "a carriage return in the host",
            format!("GET / HTTP/1.1\r\nHost: {a}\rHost: {b}\r\n{end}"),
            Refusal,
        ),
        ("NUL in the host", format!("GET / HTTP/1.1\r\nHost: {a}\0.{b}\r\n{end}"), Refusal),
        ("NUL behind the host", format!("GET / HTTP/1.1\r\nHost: {a}\0\r\n{end}"), Refusal),
    ];
    for (what, request, brings) in &cases {
        let answer = wire::send(stand, request.as_bytes()).await;
        check(what, &answer, *brings, (&acme.slug, &bright.slug), &nobody);
    }
    tally("1 identity", "requests that name two, or none", cases.len(), 25);
}

#[tokio::test]
async fn no_other_header_has_a_say_in_which_company_answers_or_who_asks() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let ask = async |token: &str, path: &str, header: Option<(&str, &str)>| {
        let mut request = acme.request(token, Method::GET, path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        wire::read(request.send().await.unwrap()).await
    };
    let home = ask("", "/", None).await;
    let company = ask(&acme.owner, "/v1/company", None).await;
    let nothing = ask("", "/v1/providers", None).await;
    assert_eq!((home.status, company.status, nothing.status), (200, 200, 401));
    assert!(home.body.contains(&acme.slug) && company.body.contains(&acme.id));
    let url = format!("http://{}:{}/v1/company", bright.host(), stand.port);
    let forwarded = format!("for=127.0.0.1;host={};proto=https", bright.host());
    let mut counted = 0;
    for name in HEADERS {
        let host = bright.host();
        let values = [host.as_str(), &bright.id, &url, &forwarded, "/v1/providers"];
        for value in values {
            let header = Some((*name, value));
            assert_eq!(ask("", "/", header).await, home, "{name}: {value}");
            counted += 1;
        }
        let header = Some((*name, bright.id.as_str()));
        assert_eq!(ask(&acme.owner, "/v1/company", header).await, company, "{name}");
        let header = Some((*name, "owner"));
        assert_eq!(ask("", "/v1/providers", header).await, nothing, "{name}");
        counted += 2;
    }
    tally("1 identity", "requests with invented headers, each answered as without", counted, 600);
}

/// Headers that some server somewhere believes.
const HEADERS: &[&str] = &[
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "forwarded",
    "x-host",
    "x-http-host-override",
    "x-original-host",
    "x-originating-url",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-real-ip",
    "x-real-host",
    "x-backend-host",
    "x-proxy-host",
    "x-envoy-original-path",
    "x-envoy-internal",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-middleware-subrequest",
    "x-middleware-rewrite",
    "x-middleware-next",
    "x-nextjs-data",
    "x-company",
    "x-company-id",
    "company-id",
    "company",
    "x-company-slug",
    "x-tenant",
    "x-tenant-id",
    "tenant-id",
    "x-org-id",
    "x-organization-id",
    "x-account-id",
    "x-workspace-id",
    "x-customer-id",
    "x-user",
    "x-user-id",
    "x-user-role",
    "x-role",
    "x-roles",
    "x-admin",
    "x-auth-user",
    "x-authenticated-user",
    "x-authenticated-userid",
    "x-remote-user",
    "remote-user",
    "x-webauth-user",
    "x-internal",
    "x-internal-request",
    "x-debug",
    "x-bulkhead-company",
    "x-bulkhead-internal",
    "x-agent-id",
    "x-visitor-id",
    "x-session-id",
    "x-conversation-id",
    "x-request-id",
    "neon-connection-string",
    "x-api-key",
    "cookie",
    "cf-connecting-ip",
    "cf-worker",
    "cf-ew-via",
    "cf-access-jwt-assertion",
    "cf-access-authenticated-user-email",
    "cf-ipcountry",
    "cf-ray",
    "cf-visitor",
    "cdn-loop",
    "true-client-ip",
    "x-amzn-oidc-identity",
    "x-goog-iap-jwt-assertion",
    "spin-full-url",
    "spin-path-info",
    "spin-client-addr",
    "origin",
    "referer",
    "via",
    "x-wap-profile",
    "te",
];

async fn page(stand: &Stand, host: &str) -> Answer {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    wire::send(stand, request.as_bytes()).await
}

fn check(what: &str, answer: &Answer, brings: Brings, (a, b): (&str, &str), nobody: &Answer) {
    assert!(!answer.body.contains(b), "{what} brought the other company: {answer:?}");
    let fine = match brings {
        Acme => answer.status == 200 && answer.body.contains(a),
        Platform => answer.status == 200 && answer.body.contains("Bulkhead") && !answer.body.contains(a),
        Nobody => answer == nobody || refused(answer),
        Refusal => refused(answer),
    };
    assert!(fine, "{what}: not what {brings:?} is: {answer:?}");
}

/// By the runtime, or by the edge where the address is none that HTTP knows. 500 is workerd's answer to CONNECT; from
/// wasmtime that gets as far as the core, where no route has such a method.
fn refused(answer: &Answer) -> bool {
    matches!(answer.status, 0 | 400 | 405) || (answer.status == 500 && answer.body == "Internal Server Error")
}
