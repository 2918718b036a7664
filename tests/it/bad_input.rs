//! Bad input: each has its status and a sentence that says what to do, and none ends the worker.

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

struct Case {
    what: &'static str,
    body: Vec<u8>,
    status: u16,
    word: &'static str,
}

fn case(what: &'static str, body: impl Into<Vec<u8>>, status: u16, word: &'static str) -> Case {
    Case { what, body: body.into(), status, word }
}

#[tokio::test]
async fn what_a_chat_is_sent_may_be_anything() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let visitor = acme.visitor().await;
    let long = "a".repeat(5_000);
    let huge = format!(r#"{{"message":"{}"}}"#, "a".repeat(70_000));
    for case in [
        case("no body", "", 400, "no body"),
        case("no JSON", "message=hi", 400, "not valid JSON"),
        case("half JSON", r#"{"message":"hi""#, 400, "not valid JSON"),
        case("not UTF-8", b"{\"message\":\"\xff\xfe\"}".as_slice(), 400, "UTF-8"),
        case("another type", r#"{"message":7}"#, 400, "not what this address takes"),
        case("an unknown field", r#"{"message":"hi","company_id":"x"}"#, 400, "company_id"),
        case("no message", "{}", 400, "message"),
        case("an empty message", r#"{"message":"  "}"#, 400, "empty"),
        case("a long message", format!(r#"{{"message":"{long}"}}"#), 400, "longer"),
        case("NUL", r#"{"message":"a\u0000b"}"#, 400, "NUL"),
        case("a huge body", huge, 413, "bytes"),
        case("an unknown agent", r#"{"message":"hi","agent":"nobody"}"#, 404, "nothing"),
        case("NUL in an agent", r#"{"message":"hi","agent":"\u0000"}"#, 400, "NUL"),
        case("a conversation that is none", r#"{"message":"hi","conversation_id":"x"}"#, 404, "nothing"),
        case("deep nesting", "[".repeat(20_000), 400, "not"),
    ] {
        let request = acme.request(&visitor.token, Method::POST, "/v1/chat").body(case.body);
        let response = request.header("content-type", "application/json").send().await.unwrap();
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{}", case.what);
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem: Value = response.json().await.unwrap();
        assert_eq!(status, case.status, "{}: {problem}", case.what);
        assert_eq!(problem["status"], case.status, "{}", case.what);
        assert_eq!(problem["request_id"], id.as_str(), "{}", case.what);
        assert!(problem["detail"].as_str().unwrap().contains(case.word), "{}: {problem}", case.what);
    }
    visitor.ask("Do you fix leaks?").await;
}

#[tokio::test]
async fn paths_and_methods() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    for (method, path, status) in [
        ("GET", "/v1/chat", 405),
        ("PUT", "/v1/agents", 405),
        ("OPTIONS", "/v1/chat", 405),
        ("PURGE", "/v1/chat", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/agents/", 404),
        ("GET", "//", 404),
        ("GET", "/v1/agents/..%2f..%2f", 401),
        ("GET", "/v1/signup", 404),
        ("GET", "/healthz", 404),
        ("HEAD", "/", 200),
    ] {
        let (got, _) = {
            let response = acme.request("", method.parse().unwrap(), path).send().await.unwrap();
            (response.status().as_u16(), response.bytes().await.unwrap())
        };
        assert_eq!(got, status, "{method} {path}");
    }
}

#[tokio::test]
async fn strange_texts_are_kept_as_they_are() {
    let acme = Company::new(Stand::get(), "plumbing").await;
    let visitor = acme.visitor().await;
    for strange in [
        "'; drop table messages; --",
        "\u{202e}gnirts desrever",
        "Ω≈ç√∫˜µ≤≥÷ 田中さん 👩‍👩‍👧‍👦",
        "& | ! ( ) : * <-> \\ ' \" `",
        "{{company}} ${7*7} <script>alert(1)</script>",
        "\u{feff}a\u{200b}b\r\n\tc",
        "the of and",
    ] {
        let events = visitor.send(json!({ "message": strange })).await;
        assert_eq!(events.last().unwrap().name, "done", "{strange:?}: {events:?}");
        let conversation = events[0].data["conversation_id"].as_str().unwrap().to_owned();
        let path = format!("/v1/conversations/{conversation}/messages");
        let (_, said) = acme.call(&visitor.token, Method::GET, &path, None).await;
        assert_eq!(said["messages"][0]["body"], strange);
    }
}
