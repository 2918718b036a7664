//! Answers of `/v1/chat/completions`, whole or in chunks, as OpenAI's clients read them.
//!
//! It turns values into bytes, sends nothing and decides nothing.
//!
//! The format: <https://platform.openai.com/docs/api-reference/chat/object> and …/chat/streaming.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::llm::{StopReason, Usage};

/// What every part of one answer says alike.
#[derive(Clone, Debug)]
pub struct Completion {
    /// The answer's id: `chatcmpl-` and what the product calls it.
    pub id: String,
    /// When it was begun, seconds since the Unix epoch.
    pub created_s: u64,
    /// The agent's short name.
    pub model: String,
    /// Whether the program asked for what it cost, in a stream.
    pub include_usage: bool,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was finished.
    Stop,
    /// It reached its longest length.
    Length,
    /// The model declined to go on.
    ContentFilter,
}

/// The end of a stream.
pub const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");

impl Finish {
    /// What it means here that a model stopped for this reason; what comes from knowledge is always whole.
    #[must_use]
    pub const fn of(stop: Option<StopReason>) -> Self {
        match stop {
            Some(StopReason::Length) => Self::Length,
            Some(StopReason::Refusal) => Self::ContentFilter,
            Some(StopReason::End | StopReason::ToolUse | StopReason::Other) | None => Self::Stop,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
        }
    }
}

impl Completion {
    /// A whole answer.
    #[must_use]
    pub fn whole(&self, text: &str, finish: Finish, usage: Usage) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created_s,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": text, "refusal": null, "annotations": [] },
                "logprobs": null,
                "finish_reason": finish.as_str(),
            }],
            "usage": counted(usage),
            "system_fingerprint": null,
        })
    }

    /// The chunk that a stream begins with.
    #[must_use]
    pub fn first(&self) -> Bytes {
        self.choice(&json!({ "role": "assistant", "content": "", "refusal": null }), None)
    }

    /// A chunk with some of the text.
    #[must_use]
    pub fn delta(&self, text: &str) -> Bytes {
        self.choice(&json!({ "content": text }), None)
    }

    /// The chunk that says why the answer ended; then [`Completion::usage`] if it was asked for, then [`DONE`].
    #[must_use]
    pub fn last(&self, finish: Finish) -> Bytes {
        self.choice(&json!({}), Some(finish))
    }

    /// The chunk with what the answer cost; nothing when the program did not ask.
    #[must_use]
    pub fn usage(&self, usage: Usage) -> Option<Bytes> {
        self.include_usage.then(|| self.chunk(json!([]), counted(usage)))
    }

    fn choice(&self, delta: &Value, finish: Option<Finish>) -> Bytes {
        let finish = finish.map(Finish::as_str);
        let choices = json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }]);
        self.chunk(choices, Value::Null)
    }

    fn chunk(&self, choices: Value, usage: Value) -> Bytes {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created_s,
            "model": self.model,
            "choices": choices,
            "system_fingerprint": null,
        });
        // Who asked for usage finds the field in every chunk, null in all but the last.
        if let Some(chunk) = chunk.as_object_mut().filter(|_| self.include_usage) {
            chunk.insert("usage".into(), usage);
        }
        data(&chunk)
    }
}

/// What a stream says when it breaks off: clients raise it as an error.
#[must_use]
pub fn broken(message: &str) -> Bytes {
    data(
        &json!({ "error": { "message": message, "type": "server_error", "param": null, "code": "server_error" } }),
    )
}

/// One unnamed server-sent event. JSON has no line ends of its own.
fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

fn counted(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
        "prompt_tokens_details": { "cached_tokens": usage.cached_input_tokens },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completion(include_usage: bool) -> Completion {
        Completion {
            id: "chatcmpl-1".into(),
            created_s: 1_800_000_000,
            model: "front-desk".into(),
            include_usage,
        }
    }

    const USAGE: Usage =
        Usage { input_tokens: 20, output_tokens: 3, cached_input_tokens: 5, cache_write_input_tokens: 0 };

    /// The JSON of the one event in these bytes.
    fn read(bytes: &Bytes) -> Value {
        let text = std::str::from_utf8(bytes).unwrap();
        let line = text.strip_prefix("data: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
        assert!(!line.contains('\n'), "{line}");
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_whole_answer() {
        let whole = completion(false).whole("Yes.", Finish::Length, USAGE);
        assert_eq!(whole["object"], "chat.completion");
        assert_eq!(whole["choices"][0]["message"]["content"], "Yes.");
        assert_eq!(whole["choices"][0]["finish_reason"], "length");
        assert_eq!(whole["usage"]["total_tokens"], 23);
        assert_eq!(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 5);
    }

    #[test]
    fn a_stream_from_first_to_last() {
        let plain = completion(false);
        let first = read(&plain.first());
        assert_eq!(first["object"], "chat.completion.chunk");
        assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(first["choices"][0]["finish_reason"], Value::Null);
        assert!(first.get("usage").is_none());
        assert_eq!(read(&plain.delta("a\nb \"c\" é"))["choices"][0]["delta"]["content"], "a\nb \"c\" é");
        let last = read(&plain.last(Finish::Stop));
        assert_eq!(
            (&last["choices"][0]["delta"], &last["choices"][0]["finish_reason"]),
            (&json!({}), &json!("stop"))
        );
        assert!(plain.usage(USAGE).is_none());

        let asked = completion(true);
        assert_eq!(read(&asked.first()).get("usage"), Some(&Value::Null));
        let usage = read(&asked.usage(USAGE).unwrap());
        assert_eq!((&usage["choices"], &usage["usage"]["prompt_tokens"]), (&json!([]), &json!(20)));
        assert_eq!(&DONE[..], b"data: [DONE]\n\n");
        assert_eq!(read(&broken("It broke off."))["error"]["message"], "It broke off.");
        assert_eq!(Finish::ContentFilter.as_str(), "content_filter");
    }

    /// Our own decoder, which reads providers' streams, reads ours.
    #[test]
    fn the_stream_is_one() {
        let plain = completion(false);
        let stream =
            [plain.first(), plain.delta("Hel"), plain.delta("lo"), plain.last(Finish::Stop), DONE].concat();
        let (mut decoder, mut rest, mut text, mut events) =
            (crate::sse::Decoder::new(1 << 16), &stream[..], String::new(), 0);
        while let Some(event) = decoder.decode(&mut rest).unwrap() {
            events += 1;
            if let Ok(chunk) = serde_json::from_str::<Value>(event.data) {
                text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
            } else {
                assert_eq!(event.data, "[DONE]");
            }
        }
        assert_eq!((events, text.as_str()), (5, "Hello"));
    }
}
