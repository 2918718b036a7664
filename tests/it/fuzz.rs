//! The fuzz targets over random input, some of it shaped like what they read; `tests/fuzz` lets libFuzzer look further.

use bulkhead_tests::tally::tally;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[path = "../fuzz/targets.rs"]
mod targets;

const CASES: u32 = 1_000;

/// Bytes, or text of the pieces that this target's input is made of.
fn check(target: fn(&[u8]), pieces: &'static [&'static str]) {
    let piece = prop_oneof![
        6 => (0..pieces.len()).prop_map(move |at| pieces[at].as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    let input = proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    runner
        .run(&input, |bytes| {
            target(&bytes);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    tally("all layers", "random inputs to a parser", CASES as usize, CASES as usize);
}

#[test]
fn sse_decoder() {
    check(
        targets::sse_decoder,
        &[
            "\x03", "data", ":", " ", "event", "id", "retry", "\n", "\r", "\r\n", "\n\n", "{}", "\u{feff}",
            "é",
        ],
    );
}

#[test]
fn host_parser() {
    check(
        targets::host_parser,
        &["example.com", "acme", ".", ":", "8787", "-", "EXAMPLE", "@", "[::1]", "xn--", "/", "%2e"],
    );
}

#[test]
fn request() {
    check(
        targets::request,
        &[
            "example.com",
            "acme.example.com",
            "\n",
            "/",
            "/v1/chat",
            "/v1/agents/",
            "/v1/signup",
            "eyJhbGciOiJIUzI1NiJ9",
            ".",
            "{\"message\":\"hi\"}",
            "0",
            "1",
            "?a=b",
            "%00",
        ],
    );
}

#[test]
fn markdown() {
    check(
        targets::markdown,
        &["# ", "**", "- ", "1. ", "\n", "\n\n", "text", "[a](b)", "![x](y)", "<b>", "`", "\\", "é"],
    );
}

#[test]
fn gateway_statement() {
    check(
        targets::gateway_statement,
        &[
            "/*",
            "*/",
            "--",
            "\n",
            "\r",
            ";",
            "commit",
            "select",
            "with x as (",
            ")",
            "'",
            "$$",
            "\u{a0}",
            "\0",
        ],
    );
}
