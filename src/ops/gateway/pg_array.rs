//! Postgres's arrays: their frame on the wire, and their text. It leaves each element to its own shape.
//! <https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO>

use std::fmt::Write as _;

use super::param::write_quoted;
use super::pg_text::{Malformed, Reader, Shape};

/// An array's frame, read; its elements follow one by one.
pub struct Array<'a> {
    /// Length and lower bound of each dimension; none for an empty array.
    pub dimensions: Vec<(usize, i32)>,
    bytes: Reader<'a>,
}

impl<'a> Array<'a> {
    /// Reads the frame of `array_send`.
    pub fn open(raw: &'a [u8]) -> Result<Self, Malformed> {
        let mut bytes = Reader(raw);
        let count = bytes.i32()?;
        let (_has_null, _element_oid) = (bytes.i32()?, bytes.i32()?);
        // Postgres's own limit on dimensions is six.
        if !(0..=6).contains(&count) {
            return Err(Malformed);
        }
        let dimensions = (0..count)
            .map(|_| Ok((usize::try_from(bytes.i32()?).map_err(|_| Malformed)?, bytes.i32()?)))
            .collect::<Result<_, _>>()?;
        Ok(Self { dimensions, bytes })
    }

    /// The next element, none when it is NULL.
    pub fn element(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.bytes.i32()? {
            -1 => Ok(None),
            length => self.bytes.take(usize::try_from(length).map_err(|_| Malformed)?).map(Some),
        }
    }
}

/// `int2vectorout` and `oidvectorout`.
pub fn write_vector(element: &Shape, raw: &[u8], out: &mut String) -> Result<(), Malformed> {
    let mut array = Array::open(raw)?;
    let count = array.dimensions.first().map_or(0, |&(length, _)| length);
    for place in 0..count {
        if place > 0 {
            out.push(' ');
        }
        element.write_text(array.element()?.ok_or(Malformed)?, out)?;
    }
    Ok(())
}

/// `array_out`.
pub fn write_array(element: &Shape, raw: &[u8], out: &mut String) -> Result<(), Malformed> {
    let mut array = Array::open(raw)?;
    let dimensions = std::mem::take(&mut array.dimensions);
    if dimensions.is_empty() {
        out.push_str("{}");
        return Ok(());
    }
    if dimensions.iter().any(|&(_, lower)| lower != 1) {
        for &(length, lower) in &dimensions {
            // Writing to a String cannot fail.
            let _ = write!(out, "[{lower}:{}]", i64::from(lower) + length as i64 - 1);
        }
        out.push('=');
    }
    write_dimension(element, &dimensions, &mut array, out, &mut String::new())
}

fn write_dimension(
    element: &Shape,
    dimensions: &[(usize, i32)],
    array: &mut Array<'_>,
    out: &mut String,
    scratch: &mut String,
) -> Result<(), Malformed> {
    let Some((&(length, _), inner)) = dimensions.split_first() else { return Err(Malformed) };
    out.push('{');
    for place in 0..length {
        if place > 0 {
            out.push(',');
        }
        if !inner.is_empty() {
            write_dimension(element, inner, array, out, scratch)?;
            continue;
        }
        let Some(raw) = array.element()? else {
            out.push_str("NULL");
            continue;
        };
        scratch.clear();
        element.write_text(raw, scratch)?;
        if needs_quotes(scratch) { write_quoted(scratch, out) } else { out.push_str(scratch) }
    }
    out.push('}');
    Ok(())
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.contains(['"', '\\', '{', '}', ',', ' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_quote_what_postgres_quotes() {
        let check = |raw: &[u8], expected: &str| {
            let mut out = String::new();
            write_array(&Shape::Text, raw, &mut out).unwrap();
            assert_eq!(out, expected);
        };
        let mut raw = Vec::new();
        for word in [1_i32, 1, 25, 4, 0] {
            raw.extend(word.to_be_bytes());
        }
        for element in [Some("a b"), None, Some("NULL"), Some("x")] {
            raw.extend(element.map_or(-1, |text| text.len() as i32).to_be_bytes());
            raw.extend(element.unwrap_or_default().as_bytes());
        }
        check(&raw, "[0:3]={\"a b\",NULL,\"NULL\",x}");
        check(&[0; 12], "{}");
    }
}
