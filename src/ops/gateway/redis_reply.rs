//! Redis's replies as Upstash's JSON. It knows no command: a reply's own type decides.

use std::io::Write as _;

use base64ct::{Base64, Encoding as _};
use deadpool_redis::redis::{ServerError, Value};

use super::json::{comma, write_string};

/// How strings are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As they are; bytes that are not UTF-8 become replacement characters.
    Plain,
    /// In base64, so that no byte is lost; all but the status `OK`, which Upstash's client reads as it is.
    Base64,
}

/// `{"result":…}`, or `{"error":…}` for an error reply.
pub fn write_outcome(reply: &Value, encoding: Encoding, out: &mut Vec<u8>) {
    if let Value::ServerError(error) = reply {
        out.extend_from_slice(b"{\"error\":");
        write_string(&error_text(error), out);
    } else {
        out.extend_from_slice(b"{\"result\":");
        write_value(reply, encoding, out);
    }
    out.push(b'}');
}

/// The error as Redis sent it: its kind, then its sentence.
pub fn error_text(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

fn write_value(value: &Value, encoding: Encoding, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Int(number) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{number}");
        }
        Value::Okay => out.extend_from_slice(b"\"OK\""),
        Value::BulkString(bytes) => write_bytes(bytes, encoding, out),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => {
            write_bytes(text.as_bytes(), encoding, out)
        }
        Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
            write_list(values.iter(), encoding, out);
        }
        // The forms below are RESP3's, written as RESP2 would have sent them.
        Value::Map(pairs) => write_list(pairs.iter().flat_map(|(key, value)| [key, value]), encoding, out),
        Value::Attribute { data, .. } => write_value(data, encoding, out),
        Value::Boolean(flag) => out.push(if *flag { b'1' } else { b'0' }),
        Value::Double(number) => write_bytes(number.to_string().as_bytes(), encoding, out),
        Value::ServerError(error) => write_bytes(error_text(error).as_bytes(), encoding, out),
        other => write_bytes(format!("{other:?}").as_bytes(), encoding, out),
    }
}

fn write_list<'a>(values: impl Iterator<Item = &'a Value>, encoding: Encoding, out: &mut Vec<u8>) {
    out.push(b'[');
    for (place, value) in values.enumerate() {
        comma(place, out);
        write_value(value, encoding, out);
    }
    out.push(b']');
}

fn write_bytes(bytes: &[u8], encoding: Encoding, out: &mut Vec<u8>) {
    match encoding {
        Encoding::Plain => write_string(&String::from_utf8_lossy(bytes), out),
        Encoding::Base64 => {
            out.push(b'"');
            out.extend_from_slice(Base64::encode_string(bytes).as_bytes());
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &Value, plain: &str, base64: &str) {
        for (encoding, expected) in [(Encoding::Plain, plain), (Encoding::Base64, base64)] {
            let mut out = Vec::new();
            write_outcome(value, encoding, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"result\":{expected}}}"));
        }
    }

    #[test]
    fn replies_become_upstash_json() {
        check(&Value::Nil, "null", "null");
        check(&Value::Int(-7), "-7", "-7");
        check(&Value::Okay, r#""OK""#, r#""OK""#);
        check(&Value::SimpleString("PONG".into()), r#""PONG""#, r#""UE9ORw==""#);
        check(&Value::BulkString(b"OK".to_vec()), r#""OK""#, r#""T0s=""#);
        check(&Value::BulkString(vec![b'"', 0xff]), "\"\\\"\u{fffd}\"", r#""Iv8=""#);
        check(
            &Value::Array(vec![
                Value::Int(1),
                Value::Nil,
                Value::Array(vec![Value::BulkString(b"a".to_vec())]),
            ]),
            r#"[1,null,["a"]]"#,
            r#"[1,null,["YQ=="]]"#,
        );
    }
}
