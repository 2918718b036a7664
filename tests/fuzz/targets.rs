//! What is fuzzed, one function a target: bytes in, a panic when a promise is broken. Nothing here does I/O.
//!
//! `tests/it/fuzz.rs` runs each over random input on every test run; `tests/fuzz` is the same for `cargo fuzz`.

use std::rc::Rc;

use bulkhead::config::{Config, Place};
use bulkhead::platform::{Body, Level, Outbound, Platform, SendError};
use bulkhead::site::markdown::{Block, blocks};
use bulkhead::{App, sse};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

#[path = "../../src/ops/gateway/statement.rs"]
#[expect(dead_code, reason = "the gateway uses all of it")]
mod statement;

/// A stream cut anywhere is the same events, or the same refusal.
pub fn sse_decoder(data: &[u8]) {
    let Some((&step, stream)) = data.split_first() else { return };
    let read = |step: usize| {
        let (mut decoder, mut events) = (sse::Decoder::new(4_096), Vec::new());
        for mut chunk in stream.chunks(step.max(1)) {
            loop {
                match decoder.decode(&mut chunk) {
                    Ok(Some(event)) => events.push(format!("{} {}", event.name, event.data)),
                    Ok(None) => break,
                    Err(_) => return (events, true),
                }
            }
        }
        (events, false)
    };
    assert_eq!(read(step.into()), read(stream.len()));
}

/// A host is a company's only if it is spelled like that company's, and never by what stands around it.
pub fn host_parser(data: &[u8]) {
    let host = String::from_utf8_lossy(data);
    let app = app();
    let lower = host.to_ascii_lowercase();
    let bare = lower.split(':').next().unwrap_or_default();
    match app.config.root.place(&host) {
        Some(Place::Apex) => assert_eq!(bare, "example.com"),
        Some(Place::Slug(slug)) => assert!(bare == format!("{slug}.example.com") && !slug.contains('.')),
        Some(Place::Custom(name)) => {
            assert!(name == bare && name != "example.com" && !name.ends_with(".example.com"));
        }
        None => {}
    }
}

/// Whatever a request is, it is answered: by a page, by a refusal, or by saying that the database is away; never as a company.
pub fn request(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (host, path, token, body) = (part(), part(), part(), part());
    let mut request = http::Request::builder().uri(path).method(match body.first() {
        Some(b'0') => "GET",
        Some(b'1') => "PATCH",
        Some(b'2') => "DELETE",
        _ => "POST",
    });
    request = request.header("host", host).header("authorization", [b"Bearer ".as_slice(), token].concat());
    let Ok(request) = request.body(Body::from(body.to_vec())) else { return };
    let answer = bulkhead::serve(app(), Rc::new(Nowhere), request).now_or_never();
    let answer = answer.unwrap();
    let status = answer.status().as_u16();
    assert!(status < 500 || status == 503, "{status}");
    assert!(answer.headers().contains_key("x-request-id"));
}

/// A text's blocks hold nothing that the text does not.
pub fn markdown(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let said =
        |spans: &[bulkhead::site::markdown::Span]| spans.iter().map(|span| span.text.len()).sum::<usize>();
    let kept: usize = blocks(&text)
        .iter()
        .map(|block| match block {
            Block::Heading(spans) | Block::Paragraph(spans) => said(spans),
            Block::Bullets(items) | Block::Numbers(items) => items.iter().map(|spans| said(spans)).sum(),
            Block::Table(head, rows) => rows.iter().chain([head]).flatten().map(|spans| said(spans)).sum(),
        })
        .sum();
    assert!(kept <= text.len());
}

/// Whatever Postgres's lexer passes over before a command that no request may contain, the gateway finds the command.
pub fn gateway_statement(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let comment: String = text.chars().filter(|c| !"*/-\n\r".contains(*c)).collect();
    for before in ["", " ", "\t\n", ";", ";;\n", &format!("/*{comment}*/"), &format!("--{comment}\n")] {
        for command in ["commit", "COMMIT", "rollback", "begin", "prepare"] {
            assert!(statement::refused(&format!("{before}{command}")).is_some(), "{before:?}{command}");
        }
        assert!(statement::refused(&format!("{before}select 1")).is_none(), "{before:?}select");
    }
    let _ = (statement::refused(&text), statement::command(&text));
}

/// A deployment whose database, Redis and providers are nowhere.
fn app() -> Rc<App> {
    let secret = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let config = Config::parse(&|name| match name {
        "ROOT_URL" => Some("https://example.com".to_owned()),
        "DATABASE_URL" => Some("postgres://u:p@db.invalid/b".to_owned()),
        "SQL_URL" | "UPSTASH_REDIS_REST_URL" => Some("https://nowhere.invalid/sql".to_owned()),
        "UPSTASH_REDIS_REST_TOKEN" => Some("t".to_owned()),
        "JWT_KEYS" => Some(format!("k:{secret}")),
        "MASTER_KEYS" => Some(format!("1:{secret}")),
        _ => None,
    });
    Rc::new(App::new(config.unwrap()))
}

/// A runtime without a network.
struct Nowhere;

impl Platform for Nowhere {
    fn send(&self, _: Outbound) -> LocalBoxFuture<'static, Result<http::Response<Body>, SendError>> {
        Box::pin(async { Err(SendError::Unreachable) })
    }

    fn now_ms(&self) -> u64 {
        1_800_000_000_000
    }

    fn sleep(&self, _: u32) -> LocalBoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn spawn(&self, _: LocalBoxFuture<'static, ()>) {}

    fn log(&self, _: Level, _: &str) {}
}
