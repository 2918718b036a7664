//! The codecs on recorded streams: whole, cut anywhere, cut off, damaged; and on every kind of error answer.

use super::error::retry_after_s;
use super::*;
use http::{HeaderMap, StatusCode};

mod requests;
mod tools;

const OPENAI: Wire = Wire::OpenAiChat { compatible: false };
const COMPATIBLE: Wire = Wire::OpenAiChat { compatible: true };
const RESPONSES: Wire = Wire::OpenAiResponses;
const ANTHROPIC: Wire = Wire::AnthropicMessages;
const GEMINI: Wire = Wire::Gemini;
const WIRES: [Wire; 5] = [OPENAI, COMPATIBLE, RESPONSES, ANTHROPIC, GEMINI];

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/", $path)).as_slice()
    };
}
use fixture;

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
    // These end like OpenAI's, so they are read as strictly.
    (OPENAI, fixture!("openai/mistral_tool_call.sse")),
    (OPENAI, fixture!("openai/mistral_thinking.sse")),
    (OPENAI, fixture!("openai/groq_tool_call.sse")),
    (ANTHROPIC, fixture!("anthropic/normal.sse")),
    (ANTHROPIC, fixture!("anthropic/unicode.sse")),
    (ANTHROPIC, fixture!("anthropic/refusal.sse")),
    (ANTHROPIC, fixture!("anthropic/length.sse")),
    (ANTHROPIC, fixture!("anthropic/thinking.sse")),
    (ANTHROPIC, fixture!("anthropic/late_usage.sse")),
    (ANTHROPIC, fixture!("anthropic/no_usage.sse")),
    (ANTHROPIC, fixture!("anthropic/tool_use.sse")),
    (RESPONSES, fixture!("responses/normal.sse")),
    (RESPONSES, fixture!("responses/unicode.sse")),
    (RESPONSES, fixture!("responses/refusal.sse")),
    (RESPONSES, fixture!("responses/content_filter.sse")),
    (RESPONSES, fixture!("responses/length.sse")),
    (RESPONSES, fixture!("responses/no_usage.sse")),
    (RESPONSES, fixture!("responses/tool_call.sse")),
    (RESPONSES, fixture!("responses/tool_call_cut.sse")),
    (GEMINI, fixture!("gemini/normal.sse")),
    (GEMINI, fixture!("gemini/unicode.sse")),
    (GEMINI, fixture!("gemini/refusal.sse")),
    (GEMINI, fixture!("gemini/length.sse")),
    (GEMINI, fixture!("gemini/thinking.sse")),
    (GEMINI, fixture!("gemini/no_usage.sse")),
    (GEMINI, fixture!("gemini/total_only.sse")),
    (GEMINI, fixture!("gemini/tool_call.sse")),
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
    (RESPONSES, fixture!("responses/midstream_error.sse"), "Our", LlmError::Server { status: 500 }),
    (RESPONSES, fixture!("responses/midstream_error_flat.sse"), "Our", LlmError::Server { status: 500 }),
    (RESPONSES, fixture!("responses/failed.sse"), "Our", LlmError::RateLimited { retry_after_s: None }),
    (GEMINI, fixture!("gemini/midstream_error.sse"), "Our", LlmError::Overloaded),
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
    use StopReason::{End, Length, Refusal, ToolUse};
    let price = "**Drain cleaning:**\n\nfrom $149.";
    check(OPENAI, fixture!("openai/normal.sse"), price, Some((1187, 9, 1024)), End);
    let unicode = "Grüße 🔧👩\u{200d}🔧 漢字\t\"quoted\" \\ back/slash";
    check(OPENAI, fixture!("openai/unicode.sse"), unicode, Some((30, 21, 0)), End);
    let sorry = "I'm sorry, I can't help with that.";
    check(OPENAI, fixture!("openai/refusal.sse"), sorry, Some((40, 10, 0)), Refusal);
    check(OPENAI, fixture!("openai/content_filter.sse"), "First you", Some((25, 3, 0)), Refusal);
    check(OPENAI, fixture!("openai/length.sse"), "It depends on", Some((18, 67, 0)), Length);
    check(OPENAI, fixture!("openai/no_usage.sse"), "Yes.", None, End);
    check(OPENAI, fixture!("openai/tool_call.sse"), "", Some((50, 12, 0)), ToolUse);
    check(COMPATIBLE, fixture!("openai/compatible.sse"), "Open till six.", Some((21, 14, 0)), End);
    let look = "Let me look.";
    check(COMPATIBLE, fixture!("openai/mistral_tool_call.sse"), look, Some((124, 22, 0)), ToolUse);
    check(COMPATIBLE, fixture!("openai/mistral_thinking.sse"), "Open till six.", Some((40, 33, 0)), End);
    check(COMPATIBLE, fixture!("openai/groq_tool_call.sse"), "", Some((210, 15, 0)), ToolUse);
}

#[test]
fn anthropic_streams() {
    use StopReason::{End, Length, Refusal, ToolUse};
    let price = "Drain cleaning starts at $149.";
    check(ANTHROPIC, fixture!("anthropic/normal.sse"), price, Some((1012, 11, 900)), End);
    let unicode = "Grüße 🔧👩\u{200d}🔧 漢字\n\t\"quoted\" \\ back/slash";
    check(ANTHROPIC, fixture!("anthropic/unicode.sse"), unicode, Some((31, 24, 0)), End);
    check(ANTHROPIC, fixture!("anthropic/refusal.sse"), "", Some((18, 5, 0)), Refusal);
    check(ANTHROPIC, fixture!("anthropic/length.sse"), "It depends on", Some((20, 4, 0)), Length);
    check(ANTHROPIC, fixture!("anthropic/thinking.sse"), "Open till six.", Some((40, 33, 0)), End);
    check(ANTHROPIC, fixture!("anthropic/late_usage.sse"), "Yes.", Some((9, 2, 0)), End);
    check(ANTHROPIC, fixture!("anthropic/no_usage.sse"), "Yes.", None, End);
    check(ANTHROPIC, fixture!("anthropic/tool_use.sse"), "", Some((50, 12, 0)), ToolUse);
}

#[test]
fn responses_streams() {
    use StopReason::{End, Length, Refusal, ToolUse};
    let price = "**Drain cleaning:**\n\nfrom $149.";
    check(RESPONSES, fixture!("responses/normal.sse"), price, Some((1187, 73, 1024)), End);
    let unicode = "Grüße 🔧👩\u{200d}🔧 漢字\t\"quoted\" \\ back/slash";
    check(RESPONSES, fixture!("responses/unicode.sse"), unicode, Some((30, 21, 0)), End);
    let sorry = "I'm sorry, I can't help with that.";
    check(RESPONSES, fixture!("responses/refusal.sse"), sorry, Some((40, 10, 0)), Refusal);
    check(RESPONSES, fixture!("responses/content_filter.sse"), "First you", Some((25, 3, 0)), Refusal);
    check(RESPONSES, fixture!("responses/length.sse"), "It depends on", Some((18, 67, 0)), Length);
    check(RESPONSES, fixture!("responses/no_usage.sse"), "Yes.", None, End);
    check(RESPONSES, fixture!("responses/tool_call.sse"), "", Some((50, 12, 0)), ToolUse);
    check(RESPONSES, fixture!("responses/tool_call_cut.sse"), "", Some((50, 16, 0)), Length);
}

#[test]
fn gemini_streams() {
    use StopReason::{End, Length, Refusal, ToolUse};
    let price = "**Drain cleaning:**\n\nfrom $149.";
    check(GEMINI, fixture!("gemini/normal.sse"), price, Some((1187, 49, 1024)), End);
    let unicode = "Grüße 🔧👩\u{200d}🔧 漢字\t\"quoted\" \\ back/slash";
    check(GEMINI, fixture!("gemini/unicode.sse"), unicode, Some((30, 21, 0)), End);
    check(GEMINI, fixture!("gemini/refusal.sse"), "First you", Some((25, 3, 0)), Refusal);
    check(GEMINI, fixture!("gemini/blocked.sse"), "", Some((9, 0, 0)), Refusal);
    check(GEMINI, fixture!("gemini/length.sse"), "It depends on", Some((18, 67, 0)), Length);
    check(GEMINI, fixture!("gemini/thinking.sse"), "Open till six.", Some((40, 33, 0)), End);
    check(GEMINI, fixture!("gemini/no_usage.sse"), "Yes.", None, End);
    check(GEMINI, fixture!("gemini/total_only.sse"), "Yes.", Some((9, 3, 0)), End);
    check(GEMINI, fixture!("gemini/tool_call.sse"), "Let me look.", Some((50, 46, 0)), ToolUse);
}

#[test]
fn the_input_is_known_before_the_answer_is() {
    let (events, _) = decode(ANTHROPIC, &[fixture!("anthropic/normal.sse")]);
    let first = Usage {
        input_tokens: 1012,
        output_tokens: 1,
        cached_input_tokens: 900,
        cache_write_input_tokens: 100,
    };
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
        let line_end: &[u8] = if stream.contains(&b'\r') { b"\r\n\r\n" } else { b"\n\n" };
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
    for (wire, stream) in STREAMS.iter().filter(|(wire, _)| ![COMPATIBLE, GEMINI].contains(wire)) {
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
    for wire in WIRES {
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
    check(RESPONSES, 429, fixture!("openai/error_429_quota.json"), OutOfCredit);
    check(GEMINI, 400, fixture!("gemini/error_400.json"), BadRequest);
    check(GEMINI, 400, fixture!("gemini/error_400_key.json"), Unauthorized);
    check(GEMINI, 400, fixture!("gemini/error_400_billing.json"), OutOfCredit);
    check(GEMINI, 403, fixture!("gemini/error_403.json"), Unauthorized);
    check(GEMINI, 404, fixture!("gemini/error_404.json"), NotFound);
    check(GEMINI, 429, fixture!("gemini/error_429.json"), limited);
    check(GEMINI, 429, fixture!("gemini/error_429_credit.json"), OutOfCredit);
    check(GEMINI, 500, fixture!("gemini/error_500.json"), Server { status: 500 });
    check(GEMINI, 503, fixture!("gemini/error_503.json"), Overloaded);
    // Without `alt=sse`, and before a stream begins, Google sends a list.
    let list = [b"[", fixture!("gemini/error_403.json"), b"]"].concat();
    check(GEMINI, 403, &list, Unauthorized);
    check(GEMINI, 400, &list, Unauthorized);

    // Without a body that can be read, the status decides.
    for wire in WIRES {
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
fn a_delay_may_stand_in_the_body() {
    let ask = |headers: &HeaderMap| {
        GEMINI.error(StatusCode::TOO_MANY_REQUESTS, headers, fixture!("gemini/error_429.json"))
    };
    assert_eq!(ask(&HeaderMap::new()), LlmError::RateLimited { retry_after_s: Some(35) });
    let headers = HeaderMap::from_iter([(http::header::RETRY_AFTER, HeaderValue::from_static("7"))]);
    assert_eq!(ask(&headers), LlmError::RateLimited { retry_after_s: Some(7) });
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
