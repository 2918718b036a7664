//! Server-sent events (WHATWG HTML, "Server-sent events"): a push decoder and an encoder.
//!
//! It never reads or writes a connection: bytes in, events out, and the other way round.

mod channel;

pub use channel::{Reader, Sender, channel};

use bytes::Bytes;
use serde::Serialize;

/// Decodes an event stream that arrives in chunks cut anywhere, also within a line end or a character.
///
/// Its buffers are reused from event to event, so a long stream of short events allocates next to nothing.
/// An event that the stream's end cut off is dropped, as the standard says.
#[derive(Debug)]
pub struct Decoder {
    max_event_bytes: usize,
    /// The start of a line whose end has not come yet.
    line: Vec<u8>,
    name: String,
    data: String,
    id: String,
    retry_ms: Option<u64>,
    has_data: bool,
    first_line: bool,
    /// The last line ended in CR, so an LF that comes next belongs to that line end.
    after_cr: bool,
    /// `name` and `data` were handed out as an event and make room for the next one.
    handed_out: bool,
}

/// One event, borrowed from its decoder until the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's type; `message` where the stream names none.
    pub name: &'a str,
    /// The data lines, joined by LF.
    pub data: &'a str,
    /// The last id the stream has set; empty where it has set none.
    pub id: &'a str,
}

/// One event of the stream is longer than the decoder accepts; the rest of the stream cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is too large")]
pub struct TooLarge;

impl Decoder {
    /// A decoder at the start of a stream, which accepts at most so many bytes in one event.
    #[must_use]
    pub const fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            line: Vec::new(),
            name: String::new(),
            data: String::new(),
            id: String::new(),
            retry_ms: None,
            has_data: false,
            first_line: true,
            after_cr: false,
            handed_out: false,
        }
    }

    /// The next event of the chunk, which is advanced past what was read; `None` when all of it was read.
    ///
    /// Call it again with the same chunk until it says `None`, then with the next chunk:
    ///
    /// ```
    /// let mut decoder = bulkhead::sse::Decoder::new(1 << 20);
    /// for mut chunk in [&b"data: o"[..], b"ne\n\nda", b"ta: two\n\n"] {
    ///     while let Some(event) = decoder.decode(&mut chunk)? {
    ///         assert!(["one", "two"].contains(&event.data));
    ///     }
    /// }
    /// # Ok::<(), bulkhead::sse::TooLarge>(())
    /// ```
    ///
    /// Bytes that are not UTF-8 become U+FFFD, as the standard demands: one damaged character is no reason to
    /// lose an answer that has been paid for.
    ///
    /// # Errors
    /// [`TooLarge`] when an event grows over the limit.
    pub fn decode(&mut self, chunk: &mut &[u8]) -> Result<Option<Event<'_>>, TooLarge> {
        if self.handed_out {
            self.handed_out = false;
            self.forget_event();
        }
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_cr)
                && let Some(rest) = chunk.strip_prefix(b"\n")
            {
                *chunk = rest;
                continue;
            }
            let length = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(chunk.len());
            let (part, rest) = chunk.split_at(length);
            if self.line.len() + self.data.len() + part.len() > self.max_event_bytes {
                return Err(TooLarge);
            }
            let Some((line_end, rest)) = rest.split_first() else {
                self.line.extend_from_slice(part);
                *chunk = rest;
                return Ok(None);
            };
            self.after_cr = *line_end == b'\r';
            *chunk = rest;
            if self.take_line(part) {
                self.handed_out = true;
                let name = if self.name.is_empty() { "message" } else { &self.name };
                return Ok(Some(Event { name, data: &self.data, id: &self.id }));
            }
        }
        Ok(None)
    }

    /// The reconnection time the stream has asked for, in milliseconds.
    #[must_use]
    pub const fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Reads the line that `part` completes; true when it ends an event.
    fn take_line(&mut self, part: &[u8]) -> bool {
        if self.line.is_empty() {
            return self.read_line(part);
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(part);
        let ends_event = self.read_line(&line);
        line.clear();
        self.line = line;
        ends_event
    }

    fn read_line(&mut self, mut line: &[u8]) -> bool {
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            if !self.has_data {
                self.forget_event();
            }
            return self.has_data;
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(&String::from_utf8_lossy(value));
            }
            b"event" => replace(&mut self.name, value),
            b"id" if !value.contains(&0) => replace(&mut self.id, value),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                let digits = std::str::from_utf8(value).ok();
                self.retry_ms = digits.and_then(|digits| digits.parse().ok()).or(self.retry_ms);
            }
            // A comment, or a field of a later standard.
            _ => {}
        }
        false
    }

    fn forget_event(&mut self) {
        self.name.clear();
        self.data.clear();
        self.has_data = false;
    }
}

fn replace(text: &mut String, value: &[u8]) {
    text.clear();
    text.push_str(&String::from_utf8_lossy(value));
}

/// One event of a stream of ours: its name, and its data as one line of JSON.
///
/// JSON escapes line breaks within strings, so no data can end the event early; the name is a constant for the
/// same reason. Data that JSON cannot express (a map whose keys are no strings) is written as `null`.
#[must_use]
pub fn encode(name: &'static str, data: &impl Serialize) -> Bytes {
    let mut event = Vec::with_capacity(128);
    event.extend_from_slice(b"event: ");
    event.extend_from_slice(name.as_bytes());
    event.extend_from_slice(b"\ndata: ");
    let data_start = event.len();
    if serde_json::to_writer(&mut event, data).is_err() {
        event.truncate(data_start);
        event.extend_from_slice(b"null");
    }
    event.extend_from_slice(b"\n\n");
    event.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Owned = (String, String, String);

    fn decode(chunks: &[&[u8]]) -> Result<Vec<Owned>, TooLarge> {
        let mut decoder = Decoder::new(64);
        let mut events = Vec::new();
        for chunk in chunks {
            let mut chunk = *chunk;
            while let Some(event) = decoder.decode(&mut chunk)? {
                events.push((event.name.to_owned(), event.data.to_owned(), event.id.to_owned()));
            }
            assert!(chunk.is_empty(), "a chunk was left unread");
        }
        Ok(events)
    }

    /// The stream gives these events: whole, cut in two anywhere, and byte by byte.
    #[track_caller]
    fn check(stream: &[u8], expected: &[(&str, &str, &str)]) {
        let expected: Vec<Owned> =
            expected.iter().map(|(n, d, i)| ((*n).into(), (*d).into(), (*i).into())).collect();
        for cut in 0..=stream.len() {
            let (left, right) = stream.split_at(cut);
            assert_eq!(decode(&[left, right]).unwrap(), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&bytes).unwrap(), expected, "byte by byte");
    }

    #[test]
    fn the_standards_examples() {
        check(b"data: YHOO\ndata: +2\ndata: 10\n\n", &[("message", "YHOO\n+2\n10", "")]);
        check(
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            &[
                ("message", "first event", "1"),
                ("message", "second event", ""),
                ("message", " third event", ""),
            ],
        );
        check(b"data\n\ndata\ndata\n\ndata:", &[("message", "", ""), ("message", "\n", "")]);
        check(b"data:test\n\ndata: test\n\n", &[("message", "test", ""), ("message", "test", "")]);
    }

    #[test]
    fn every_line_end() {
        for end in ["\n", "\r", "\r\n"] {
            let stream = format!("event: a{end}data: 1{end}data: 2{end}{end}data: 3{end}{end}");
            check(stream.as_bytes(), &[("a", "1\n2", ""), ("message", "3", "")]);
        }
        check(
            b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r",
            &[("message", "1", ""), ("message", "2", ""), ("message", "3", "")],
        );
    }

    #[test]
    fn an_event_ended_by_cr_comes_without_waiting_for_lf() {
        assert_eq!(decode(&[b"data: 1\r\n\r"]).unwrap().len(), 1);
    }

    #[test]
    fn byte_order_mark_only_at_the_start() {
        check("\u{feff}data: 1\n\n\u{feff}data: 2\n\n".as_bytes(), &[("message", "1", "")]);
        check("\u{feff}\ndata: \u{feff}\n\n".as_bytes(), &[("message", "\u{feff}", "")]);
    }

    #[test]
    fn comments_unknown_fields_and_events_without_data_are_passed_over() {
        check(b":\n: hi\n\nevent: lost\n\nfoo: bar\ndata: x\nDATA: y\n\n", &[("message", "x", "")]);
    }

    #[test]
    fn an_id_lasts_and_one_with_nul_is_ignored() {
        check(b"id: 7\n\ndata: a\n\nid: 8\0\ndata: b\n\n", &[("message", "a", "7"), ("message", "b", "7")]);
    }

    #[test]
    fn an_event_cut_off_by_the_end_is_dropped() {
        check(b"data: whole\n\ndata: cut\n", &[("message", "whole", "")]);
    }

    #[test]
    fn characters_survive_every_cut_and_broken_ones_are_replaced() {
        check("data: é 😀 漢\n\n".as_bytes(), &[("message", "é 😀 漢", "")]);
        check(b"data: a\xffb\xf0\x9f\x98\n\n", &[("message", "a\u{fffd}b\u{fffd}", "")]);
    }

    #[test]
    fn retry_takes_digits_only() {
        let mut decoder = Decoder::new(64);
        let mut stream = &b"retry: 1500\nretry: 2s\nretry:\nretry: 99999999999999999999\n"[..];
        assert_eq!(decoder.decode(&mut stream), Ok(None));
        assert_eq!(decoder.retry_ms(), Some(1500));
    }

    #[test]
    fn the_bound_is_on_one_event() {
        let line = [b"data: ".as_slice(), &[b'x'; 58], b"\n\n"].concat();
        assert_eq!(decode(&[&line, &line, &line]).unwrap().len(), 3);
        assert_eq!(decode(&[&[b'x'; 65]]), Err(TooLarge));
        assert_eq!(decode(&[[b'x'; 33].as_slice(), &[b'x'; 33]]), Err(TooLarge));
        assert_eq!(decode(&[b"data: 123456789\n".repeat(7).as_slice()]), Err(TooLarge));
        let comments = b": keep-alive\n".repeat(100);
        assert_eq!(decode(&[&comments]), Ok(vec![]));
    }

    #[test]
    fn what_is_encoded_decodes_whatever_is_in_it() {
        let text = "one\ntwo\r\n\n\ndata: three\r\u{2028}😀\"\\\0";
        let stream = [encode("delta", &text), encode("done", &serde_json::json!({"n": 1}))].concat();
        let mut decoder = Decoder::new(1024);
        let mut chunk = &stream[..];
        let event = decoder.decode(&mut chunk).unwrap().unwrap();
        assert_eq!(event.name, "delta");
        assert_eq!(serde_json::from_str::<String>(event.data).unwrap(), text);
        let event = decoder.decode(&mut chunk).unwrap().unwrap();
        assert_eq!((event.name, event.data), ("done", r#"{"n":1}"#));
    }

    #[test]
    fn data_that_json_cannot_express_is_null() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(encode("x", &map), "event: x\ndata: null\n\n");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_cut_anywhere_decode_alike(bytes in proptest::collection::vec(proptest::prop_oneof![4 => proptest::sample::select(b"data:event id\r\n\n: x".to_vec()), 1 => 0..=255_u8], 0..120), cut in 0..120_usize) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            proptest::prop_assert_eq!(decode(&[&bytes]), decode(&[head, tail]));
        }
    }
}
