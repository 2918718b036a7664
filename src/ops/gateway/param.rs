//! A statement's parameters: JSON values in the request, Postgres text on the wire.
//! It never looks at a value's meaning; Postgres infers the type and parses the text.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::{BufMut as _, BytesMut};
use serde_json::value::RawValue;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// One parameter in Postgres's text format. Its `Debug` keeps the value to itself.
pub struct Param<'a>(Option<Cow<'a, str>>);

impl<'a> Param<'a> {
    /// NULL.
    pub fn null() -> Self {
        Self(None)
    }

    /// Reads a JSON value: null is NULL, a string itself, a number, boolean or object its JSON text, and an
    /// array a Postgres array literal. Numbers keep every digit that the client wrote.
    pub fn from_json(json: &'a RawValue) -> Result<Self, serde_json::Error> {
        let text = json.get();
        Ok(Self(match text.as_bytes().first() {
            Some(b'n') => None,
            Some(b'"') => Some(string(text)?),
            Some(b'[') => Some(Cow::Owned(array_literal(text)?)),
            _ => Some(Cow::Borrowed(text)),
        }))
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self(Some(Cow::Borrowed(text)))
    }
}

impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Param")
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.put_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A JSON string's text, borrowed where nothing in it is escaped.
fn string(json: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    serde_json::from_str::<&str>(json)
        .map(Cow::Borrowed)
        .or_else(|_| serde_json::from_str(json).map(Cow::Owned))
}

/// A JSON array as <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO> writes it.
fn array_literal(json: &str) -> Result<String, serde_json::Error> {
    let mut out = String::with_capacity(json.len() + 2);
    write_array(json, &mut out)?;
    Ok(out)
}

fn write_array(json: &str, out: &mut String) -> Result<(), serde_json::Error> {
    out.push('{');
    for (place, element) in serde_json::from_str::<Vec<&RawValue>>(json)?.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        let text = element.get();
        match text.as_bytes().first() {
            Some(b'n') => out.push_str("NULL"),
            Some(b'[') => write_array(text, out)?,
            Some(b'"') => write_quoted(&string(text)?, out),
            Some(b'{') => write_quoted(text, out),
            _ => out.push_str(text),
        }
    }
    out.push('}');
    Ok(())
}

/// An array's element between double quotes.
pub fn write_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<&str>) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        assert_eq!(Param::from_json(raw).unwrap().0.as_deref(), expected, "{json}");
    }

    #[test]
    fn json_becomes_postgres_text() {
        check("null", None);
        check("\"\"", Some(""));
        check(r#""a\"\u00e9\n""#, Some("a\"é\n"));
        check("true", Some("true"));
        check("12345678901234567890.123456789", Some("12345678901234567890.123456789"));
        check(r#"{"a": [1]}"#, Some(r#"{"a": [1]}"#));
        check("[]", Some("{}"));
        check(
            r#"[1, null, "null", "a\"b\\c,{}", "x\ny", true]"#,
            Some("{1,NULL,\"null\",\"a\\\"b\\\\c,{}\",\"x\ny\",true}"),
        );
        check(r#"[[1,2],[3,4]]"#, Some("{{1,2},{3,4}}"));
        check(r#"[{"a":"b"}]"#, Some(r#"{"{\"a\":\"b\"}"}"#));
    }

    #[test]
    fn debug_does_not_show_the_value() {
        assert_eq!(format!("{:?}", Param(Some("secret".into()))), "Param");
    }
}
