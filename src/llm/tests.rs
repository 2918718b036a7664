//! The codecs on recorded streams: whole, cut anywhere, cut off, damaged; and on every kind of error answer.

use super::error::retry_after_s;
use super::*;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

const OPENAI: Wire = Wire::OpenAiChat { compatible: false };
const COMPATIBLE: Wire = Wire::OpenAiChat { compatible: true };
const ANTHROPIC: Wire = Wire::AnthropicMessages;

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!("../../tests/fixtures/", $path)).as_slice()
    };
}

/// The recorded streams that end well.
const STREAMS: &[(Wire, &[u8])] = &[
    (OPENAI, fixture!("openai/normal.sse")),
    (OPENAI, fixture!("openai/unicode.sse")),
    (OPENAI, fixture!("openai/refusal.sse")),
    (OPENAI, fixture!("openai/content_filter.sse")),
    (OPENAI, fixture!("openai/length.sse")),
    (OPENAI, fixture!("openai/no_usage.sse")),
    (OPENAI, fixture!("openai/tool_call.sse")),
    (COMPATIBLE, fixture!("openai/compatible.sse")),
    (ANTHROPIC, fixture!("anthropic/normal.sse")),
    (ANTHROPIC, fixture!("anthropic/unicode.sse")),
    (ANTHROPIC, fixture!("anthropic/refusal.sse")),
    (ANTHROPIC, fixture!("anthropic/length.sse")),
    (ANTHROPIC, fixture!("anthropic/thinking.sse")),
    (ANTHROPIC, fixture!("anthropic/late_usage.sse")),
    (ANTHROPIC, fixture!("anthropic/no_usage.sse")),
    (ANTHROPIC, fixture!("anthropic/tool_use.sse")),
];

/// The recorded streams in which the provider reports an error after some text.
const FAILING_STREAMS: &[(Wire, &[u8], &str, LlmError)] = &[
    (OPENAI, fixture!("openai/midstream_error.sse"), "Our", LlmError::Server { status: 500 }),
    (
        COMPATIBLE,
        fixture!("openai/compatible_midstream_error.sse"),
        "Open",
        LlmError::RateLimited { retry_after_s: None },
    ),
    (ANTHROPIC, fixture!("anthropic/midstream_error.sse"), "Our", LlmError::Overloaded),
];

fn decode(wire: Wire, chunks: &[&[u8]]) -> (Vec<Event>, Result<(), LlmError>) {
    let mut decoder = wire.decoder();
    let mut events = Vec::new();
    let pushed = chunks.iter().try_for_each(|chunk| decoder.push(chunk, &mut events));
    (events, pushed.and_then(|()| decoder.finish()))
}

/// What a turn makes of the events: the text, the last usage as (input, output, cached), and the stop reasons.
fn sum_up(events: &[Event]) -> (String, Option<(u32, u32, u32)>, Vec<StopReason>) {
    let (mut text, mut usage, mut stops) = (String::new(), None, Vec::new());
    for event in events {
        match event {
            Event::Delta(more) => {
                assert!(!more.is_empty(), "an empty delta");
                text.push_str(more);
            }
            Event::Usage(u) => usage = Some((u.input_tokens, u.output_tokens, u.cached_input_tokens)),
            Event::ToolCall(_) => {}
            Event::Stop(reason) => stops.push(*reason),
        }
    }
    (text, usage, stops)
}

#[track_caller]
fn check(wire: Wire, stream: &[u8], text: &str, usage: Option<(u32, u32, u32)>, stop: StopReason) {
    let (events, end) = decode(wire, &[stream]);
    assert_eq!(end, Ok(()));
    assert_eq!(sum_up(&events), (text.to_owned(), usage, vec![stop]));
}

#[test]
fn openai_streams() {
    use StopReason::{End, Length, Other, Refusal};
    let price = "**Drain cleaning:**\n\nfrom $149.";
    check(OPENAI, fixture!("openai/normal.sse"), price, Some((1187, 9, 1024)), End);
    let unicode = "Grüße 🔧👩\u{200d}🔧 漢字\t\"quoted\" \\ back/slash";
    check(OPENAI, fixture!("openai/unicode.sse"), unicode, Some((30, 21, 0)), End);
    let sorry = "I'm sorry, I can't help with that.";
    check(OPENAI, fixture!("openai/refusal.sse"), sorry, Some((40, 10, 0)), Refusal);
    check(OPENAI, fixture!("openai/content_filter.sse"), "First you", Some((25, 3, 0)), Refusal);
    check(OPENAI, fixture!("openai/length.sse"), "It depends on", Some((18, 67, 0)), Length);
    check(OPENAI, fixture!("openai/no_usage.sse"), "Yes.", None, End);
    check(OPENAI, fixture!("openai/tool_call.sse"), "", Some((50, 12, 0)), Other);
    check(COMPATIBLE, fixture!("openai/compatible.sse"), "Open till six.", Some((21, 14, 0)), End);
}

#[test]
fn anthropic_streams() {
    use StopReason::{End, Length, Other, Refusal};
    let price = "Drain cleaning starts at $149.";
    check(ANTHROPIC, fixture!("anthropic/normal.sse"), price, Some((1012, 11, 900)), End);
    let unicode = "Grüße 🔧👩\u{200d}🔧 漢字\n\t\"quoted\" \\ back/slash";
    check(ANTHROPIC, fixture!("anthropic/unicode.sse"), unicode, Some((31, 24, 0)), End);
    check(ANTHROPIC, fixture!("anthropic/refusal.sse"), "", Some((18, 5, 0)), Refusal);
    check(ANTHROPIC, fixture!("anthropic/length.sse"), "It depends on", Some((20, 4, 0)), Length);
    check(ANTHROPIC, fixture!("anthropic/thinking.sse"), "Open till six.", Some((40, 33, 0)), End);
    check(ANTHROPIC, fixture!("anthropic/late_usage.sse"), "Yes.", Some((9, 2, 0)), End);
    check(ANTHROPIC, fixture!("anthropic/no_usage.sse"), "Yes.", None, End);
    check(ANTHROPIC, fixture!("anthropic/tool_use.sse"), "", Some((50, 12, 0)), Other);
}

#[test]
fn the_input_is_known_before_the_answer_is() {
    let (events, _) = decode(ANTHROPIC, &[fixture!("anthropic/normal.sse")]);
    let first = Usage { input_tokens: 1012, output_tokens: 1, cached_input_tokens: 900 };
    assert_eq!(events.first(), Some(&Event::Usage(first)));
}

#[test]
fn an_error_within_a_stream_keeps_what_came_before() {
    for (wire, stream, text, error) in FAILING_STREAMS {
        let (events, end) = decode(*wire, &[stream]);
        assert_eq!((sum_up(&events).0.as_str(), end), (*text, Err(*error)));
    }
}

#[test]
fn cuts_between_chunks_change_nothing() {
    let failing = FAILING_STREAMS.iter().map(|(wire, stream, ..)| (*wire, *stream));
    for (wire, stream) in STREAMS.iter().copied().chain(failing) {
        let whole = decode(wire, &[stream]);
        for cut in 0..=stream.len() {
            let (left, right) = stream.split_at(cut);
            assert_eq!(decode(wire, &[left, right]), whole, "{wire:?} cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(wire, &bytes), whole, "{wire:?} byte by byte");
    }
}

#[test]
fn a_stream_without_its_end_is_cut() {
    for (wire, stream) in STREAMS {
        let line_end: &[u8] = if *wire == COMPATIBLE { b"\r\n\r\n" } else { b"\n\n" };
        let ends: Vec<usize> = (0..stream.len()).filter(|at| stream[*at..].starts_with(line_end)).collect();
        let (last, before) = ends.split_last().unwrap();
        assert!(ends.len() > 3, "no events found to cut between");
        for end in std::iter::once(&0).chain(before) {
            let prefix = &stream[..if *end == 0 { 0 } else { end + line_end.len() }];
            assert_eq!(decode(*wire, &[prefix]).1, Err(LlmError::Cut), "{wire:?} cut after {end}");
        }
        assert_eq!(decode(*wire, &[&stream[..*last]]).1, Err(LlmError::Cut), "the last event half there");
        assert_eq!(decode(*wire, &[stream]).1, Ok(()));
    }
}

#[test]
fn what_follows_the_end_is_not_read() {
    for (wire, stream) in STREAMS.iter().filter(|(wire, _)| *wire != COMPATIBLE) {
        let longer = [*stream, b"data: not json\n\n"].concat();
        assert_eq!(decode(*wire, &[&longer]), decode(*wire, &[stream]));
    }
}

#[test]
fn what_is_not_the_format_is_garbage() {
    let bodies = [
        "<!doctype html>\n<title>Bad gateway</title>\n",
        "{\"error\":{\"message\":\"no\"}}",
        "[]",
        "data: not json\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"cut in the mid\n\n",
        "data: 42\n\n",
        "data: {\"choices\":7,\"type\":7}\n\n",
        "data: \u{fffd}\n\n",
    ];
    for wire in [OPENAI, COMPATIBLE, ANTHROPIC] {
        for body in bodies {
            assert_eq!(decode(wire, &[body.as_bytes()]), (vec![], Err(LlmError::Garbage)), "{wire:?} {body}");
        }
        let endless = vec![b'x'; MAX_EVENT_BYTES + 1];
        assert_eq!(decode(wire, &[b"data: ", &endless]), (vec![], Err(LlmError::Garbage)));
    }
}

#[test]
fn damaged_streams_give_an_answer_or_an_error_but_no_panic() {
    let damages = [0xff, b'\n', b'"', b'{', b'9'];
    for (wire, stream) in STREAMS {
        let mut stream = stream.to_vec();
        for (at, damage) in (0..stream.len()).zip(damages.into_iter().cycle()) {
            let byte = std::mem::replace(&mut stream[at], damage);
            let _ = decode(*wire, &[&stream]);
            stream[at] = byte;
        }
    }
}

#[test]
fn error_answers() {
    use LlmError::*;
    #[track_caller]
    fn check(wire: Wire, status: u16, body: &[u8], expected: LlmError) {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("20"));
        assert_eq!(wire.error(StatusCode::from_u16(status).unwrap(), &headers, body), expected);
    }
    let limited = RateLimited { retry_after_s: Some(20) };
    check(OPENAI, 400, fixture!("openai/error_400.json"), BadRequest);
    check(OPENAI, 401, fixture!("openai/error_401.json"), Unauthorized);
    check(OPENAI, 403, fixture!("openai/error_403_model.json"), NotFound);
    check(OPENAI, 404, fixture!("openai/error_404.json"), NotFound);
    check(OPENAI, 429, fixture!("openai/error_429.json"), limited);
    check(OPENAI, 429, fixture!("openai/error_429_quota.json"), OutOfCredit);
    check(OPENAI, 500, fixture!("openai/error_500.json"), Server { status: 500 });
    check(OPENAI, 503, fixture!("openai/error_503.json"), Overloaded);
    check(ANTHROPIC, 400, fixture!("anthropic/error_400.json"), BadRequest);
    check(ANTHROPIC, 400, fixture!("anthropic/error_400_credit.json"), OutOfCredit);
    check(ANTHROPIC, 401, fixture!("anthropic/error_401.json"), Unauthorized);
    check(ANTHROPIC, 403, fixture!("anthropic/error_403.json"), Unauthorized);
    check(ANTHROPIC, 404, fixture!("anthropic/error_404.json"), NotFound);
    check(ANTHROPIC, 413, fixture!("anthropic/error_413.json"), BadRequest);
    check(ANTHROPIC, 429, fixture!("anthropic/error_429.json"), limited);
    check(ANTHROPIC, 500, fixture!("anthropic/error_500.json"), Server { status: 500 });
    check(ANTHROPIC, 529, fixture!("anthropic/error_529.json"), Overloaded);

    // Without a body that can be read, the status decides.
    for wire in [OPENAI, COMPATIBLE, ANTHROPIC] {
        for body in [&b""[..], b"<html>", b"{}", b"[1]", b"{\"error\":\"no\"}", b"{\"error\":{\"code\":7}}"] {
            check(wire, 302, body, Address);
            check(wire, 400, body, BadRequest);
            check(wire, 401, body, Unauthorized);
            check(wire, 402, body, OutOfCredit);
            check(wire, 403, body, Unauthorized);
            check(wire, 404, body, NotFound);
            check(wire, 408, body, Server { status: 408 });
            check(wire, 422, body, BadRequest);
            check(wire, 429, body, limited);
            check(wire, 500, body, Server { status: 500 });
            check(wire, 502, body, Server { status: 502 });
            check(wire, 503, body, Overloaded);
            check(wire, 529, body, Overloaded);
            check(wire, 204, body, Garbage);
        }
    }
    check(COMPATIBLE, 400, br#"{"error":{"code":"content_filter","message":""}}"#, Refused);
}

#[test]
fn retry_after_is_in_seconds_rounded_up() {
    #[track_caller]
    fn check(text: &'static str, expected: Option<u32>) {
        let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static(text))]);
        assert_eq!(retry_after_s(&headers), expected);
    }
    check("0", Some(0));
    check(" 7 ", Some(7));
    check("1.5", Some(2));
    check("2.00", Some(2));
    check("-1", None);
    check("4294967296", None);
    check("Sun, 22 Nov 2026 08:00:00 GMT", None);
    assert_eq!(retry_after_s(&HeaderMap::new()), None);
}

fn prompt() -> Prompt {
    let (user, assistant) = (|text: &str| Turn::User(text.into()), |text: &str| Turn::answer(text.into()));
    Prompt {
        system: "Be \"brief\".".into(),
        turns: vec![assistant("Hello!"), user("Prices?"), assistant(""), user("For drains 🔧\n")],
        tools: Vec::new(),
        max_output_tokens: 300,
    }
}

#[track_caller]
fn request(wire: Wire, base_url: &str, prompt: &Prompt) -> (http::request::Parts, Value) {
    let (parts, body) = wire.request(base_url, "sk-secret", "model-1", prompt).unwrap().into_parts();
    assert_eq!(parts.method, http::Method::POST);
    assert_eq!(parts.headers["content-type"], "application/json");
    assert!(!format!("{parts:?}").contains("sk-secret"), "the secret is in Debug");
    let body = serde_json::from_slice(&body).unwrap();
    (parts, body)
}

#[test]
fn openai_requests() {
    let (parts, body) = request(OPENAI, "https://api.openai.com/v1", &prompt());
    assert_eq!(parts.uri, "https://api.openai.com/v1/chat/completions");
    assert_eq!(parts.headers["authorization"], "Bearer sk-secret");
    let messages = serde_json::json!([
        {"role": "system", "content": "Be \"brief\"."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Prices?"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "For drains 🔧\n"},
    ]);
    let expected = serde_json::json!({
        "model": "model-1", "messages": messages, "max_completion_tokens": 300,
        "stream": true, "stream_options": {"include_usage": true},
    });
    assert_eq!(body, expected);

    let (parts, body) = request(COMPATIBLE, "http://127.0.0.1:8080/openai/v1/", &prompt());
    assert_eq!(parts.uri, "http://127.0.0.1:8080/openai/v1/chat/completions");
    assert_eq!((&body["max_tokens"], &body["max_completion_tokens"]), (&300.into(), &Value::Null));

    let (_, body) =
        request(OPENAI, "https://api.openai.com/v1", &Prompt { system: String::new(), ..prompt() });
    assert_eq!(body["messages"][0]["role"], "assistant");
}

#[test]
fn anthropic_requests() {
    let (parts, body) = request(ANTHROPIC, "https://api.anthropic.com/v1", &prompt());
    assert_eq!(parts.uri, "https://api.anthropic.com/v1/messages");
    assert_eq!(parts.headers["x-api-key"], "sk-secret");
    assert_eq!(parts.headers["anthropic-version"], "2023-06-01");
    let expected = serde_json::json!({
        "model": "model-1", "system": "Be \"brief\".", "max_tokens": 300, "stream": true,
        "messages": [{"role": "user", "content": "Prices?"}, {"role": "user", "content": "For drains 🔧\n"}],
    });
    assert_eq!(body, expected);
    let (_, body) = request(ANTHROPIC, "https://a.example", &Prompt { system: " ".into(), ..prompt() });
    assert_eq!(body.get("system"), None);
}

#[test]
fn addresses_and_secrets_that_cannot_be_sent() {
    for wire in [OPENAI, COMPATIBLE, ANTHROPIC] {
        for url in
            ["", "api.openai.com/v1", "/v1", "ftp://a.example", "https://", "https://a b", "https://a/?b="]
        {
            let error = wire.request(url, "sk", "m", &prompt()).unwrap_err();
            assert_eq!(error, LlmError::Address, "{url}");
        }
        let error = wire.request("https://a.example", "sk\r\nx-evil: 1", "m", &prompt()).unwrap_err();
        assert_eq!(error, LlmError::Unauthorized);
    }
}

#[test]
fn reservations_are_upper_bounds() {
    assert_eq!(upper_bound_tokens("Hello 🔧"), 10);
    let texts =
        prompt().system.len() + prompt().turns.iter().flat_map(Turn::texts).map(str::len).sum::<usize>();
    let overhead = PROMPT_OVERHEAD_TOKENS + 5 * TURN_OVERHEAD_TOKENS;
    assert_eq!(prompt().upper_bound_input_tokens(), u32::try_from(texts).unwrap() + overhead);
}
