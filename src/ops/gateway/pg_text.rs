//! Postgres's binary results as the text that Postgres itself would have sent.
//! It never guesses: a type it does not know is refused by name before the statement runs.
//!
//! tokio-postgres asks for binary results only; the wire forms are those of each type's `…send` function in
//! Postgres's `src/backend/utils/adt`, the text forms those of its `…out` function with DateStyle ISO,
//! IntervalStyle postgres, bytea_output hex and time zone UTC, which the pool sets.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio_postgres::types::{Kind, Type};

use super::{pg_array, pg_number, pg_time};

/// How a column's values are laid out on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// One byte, 0 or 1.
    Bool,
    /// Two, four or eight bytes, signed.
    Int2,
    /// See [`Shape::Int2`].
    Int4,
    /// See [`Shape::Int2`].
    Int8,
    /// Four bytes, unsigned: oid, xid, cid.
    Unsigned4,
    /// Eight bytes, unsigned: xid8.
    Unsigned8,
    /// IEEE 754, four bytes.
    Float4,
    /// IEEE 754, eight bytes.
    Float8,
    /// Digits in base 10,000.
    Numeric,
    /// UTF-8: text and all that is sent like it, enums and citext among them.
    Text,
    /// The one-byte type `"char"`.
    Char,
    /// Sixteen bytes.
    Uuid,
    /// JSON as text.
    Json,
    /// A version byte, then JSON as text (jsonb) or a path (jsonpath).
    Versioned {
        /// Whether the text is JSON.
        json: bool,
    },
    /// Bytes.
    Bytea,
    /// Days since 2000.
    Date,
    /// Microseconds since midnight.
    Time,
    /// The same, and seconds west of UTC.
    Timetz,
    /// Microseconds since 2000, without or with `+00`.
    Timestamp {
        /// Whether the type has a time zone.
        zone: bool,
    },
    /// Microseconds, days and months.
    Interval,
    /// Nothing, as `void` functions return it.
    Void,
    /// inet and cidr.
    Inet,
    /// macaddr and macaddr8.
    Mac,
    /// bit and varbit.
    Bits,
    /// int2vector and oidvector: arrays that are written with spaces.
    Vector(Box<Shape>),
    /// An array of any of these.
    Array(Box<Shape>),
}

/// What a server sent is not of the shape that its type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl Shape {
    /// The shape of a type's values, or none for a type that must be cast to text first.
    pub fn of(ty: &Type) -> Option<Self> {
        Some(match *ty {
            Type::BOOL => Self::Bool,
            Type::INT2 => Self::Int2,
            Type::INT4 => Self::Int4,
            Type::INT8 => Self::Int8,
            Type::OID | Type::XID | Type::CID => Self::Unsigned4,
            Type::XID8 => Self::Unsigned8,
            Type::FLOAT4 => Self::Float4,
            Type::FLOAT8 => Self::Float8,
            Type::NUMERIC => Self::Numeric,
            Type::TEXT
            | Type::VARCHAR
            | Type::BPCHAR
            | Type::NAME
            | Type::UNKNOWN
            | Type::XML
            | Type::CSTRING
            | Type::REFCURSOR => Self::Text,
            Type::CHAR => Self::Char,
            Type::UUID => Self::Uuid,
            Type::JSON => Self::Json,
            Type::JSONB => Self::Versioned { json: true },
            Type::JSONPATH => Self::Versioned { json: false },
            Type::BYTEA => Self::Bytea,
            Type::DATE => Self::Date,
            Type::TIME => Self::Time,
            Type::TIMETZ => Self::Timetz,
            Type::TIMESTAMP => Self::Timestamp { zone: false },
            Type::TIMESTAMPTZ => Self::Timestamp { zone: true },
            Type::INTERVAL => Self::Interval,
            Type::VOID => Self::Void,
            Type::INET | Type::CIDR => Self::Inet,
            Type::MACADDR | Type::MACADDR8 => Self::Mac,
            Type::BIT | Type::VARBIT => Self::Bits,
            Type::INT2_VECTOR => Self::Vector(Box::new(Self::Int2)),
            Type::OID_VECTOR => Self::Vector(Box::new(Self::Unsigned4)),
            // The one type whose array delimiter is not a comma is box, which is not among the shapes.
            _ => match ty.kind() {
                Kind::Enum(_) => Self::Text,
                Kind::Domain(base) => return Self::of(base),
                Kind::Array(element) => Self::Array(Box::new(Self::of(element)?)),
                Kind::Simple if ty.name() == "citext" => Self::Text,
                _ => return None,
            },
        })
    }

    /// Appends a value's text.
    pub fn write_text(&self, raw: &[u8], out: &mut String) -> Result<(), Malformed> {
        let mut bytes = Reader(raw);
        match self {
            Self::Bool => out.push(if bytes.array::<1>()? == [0] { 'f' } else { 't' }),
            Self::Int2 => display(i16::from_be_bytes(bytes.array()?), out),
            Self::Int4 => display(bytes.i32()?, out),
            Self::Int8 => display(bytes.i64()?, out),
            Self::Unsigned4 => display(u32::from_be_bytes(bytes.array()?), out),
            Self::Unsigned8 => display(u64::from_be_bytes(bytes.array()?), out),
            Self::Float4 => pg_number::write_float4(f32::from_be_bytes(bytes.array()?), out),
            Self::Float8 => pg_number::write_float8(f64::from_be_bytes(bytes.array()?), out),
            Self::Numeric => pg_number::write_numeric(&mut bytes, out)?,
            Self::Text | Self::Json => out.push_str(bytes.rest_str()?),
            Self::Char => write_char(bytes.array()?, out),
            Self::Uuid => display(uuid::Uuid::from_bytes(bytes.array()?), out),
            Self::Versioned { .. } => {
                bytes.array::<1>()?;
                out.push_str(bytes.rest_str()?);
            }
            Self::Bytea => {
                out.push_str("\\x");
                write_hex(bytes.rest(), "", out);
            }
            Self::Date => pg_time::write_date(bytes.i32()?, out),
            Self::Time => pg_time::write_time(bytes.i64()?, out),
            Self::Timetz => pg_time::write_timetz(bytes.i64()?, bytes.i32()?, out),
            Self::Timestamp { zone } => pg_time::write_timestamp(bytes.i64()?, *zone, out),
            Self::Interval => pg_time::write_interval(bytes.i64()?, bytes.i32()?, bytes.i32()?, out),
            Self::Void => {}
            Self::Inet => write_inet(&mut bytes, out)?,
            Self::Mac => write_hex(bytes.rest(), ":", out),
            Self::Bits => write_bits(&mut bytes, out)?,
            Self::Vector(element) => pg_array::write_vector(element, bytes.rest(), out)?,
            Self::Array(element) => pg_array::write_array(element, bytes.rest(), out)?,
        }
        if bytes.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// Bytes that are taken from the front.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    /// The next two bytes, signed.
    pub fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    /// The next four bytes, signed.
    pub fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    /// The next eight bytes, signed.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// All that is left, as UTF-8.
    pub fn rest_str(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.rest()).map_err(|_| Malformed)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }
}

fn display(value: impl std::fmt::Display, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

fn write_hex(bytes: &[u8], separator: &str, out: &mut String) {
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 {
            out.push_str(separator);
        }
        display(format_args!("{byte:02x}"), out);
    }
}

/// `charout`: nothing for zero, an octal escape above ASCII.
fn write_char([byte]: [u8; 1], out: &mut String) {
    match byte {
        0 => {}
        1..=127 => out.push(char::from(byte)),
        _ => display(format_args!("\\{byte:03o}"), out),
    }
}

/// `inet_out` and `cidr_out`: a host's own mask is written for cidr only.
fn write_inet(bytes: &mut Reader<'_>, out: &mut String) -> Result<(), Malformed> {
    let [family, mask, is_cidr, length] = bytes.array()?;
    let full = match (family, length) {
        (2, 4) => {
            display(Ipv4Addr::from(bytes.array::<4>()?), out);
            32
        }
        (3, 16) => {
            display(Ipv6Addr::from(bytes.array::<16>()?), out);
            128
        }
        _ => return Err(Malformed),
    };
    if is_cidr != 0 || mask != full {
        display(format_args!("/{mask}"), out);
    }
    Ok(())
}

fn write_bits(bytes: &mut Reader<'_>, out: &mut String) -> Result<(), Malformed> {
    let count = usize::try_from(bytes.i32()?).map_err(|_| Malformed)?;
    let bits = bytes.rest().iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1));
    out.extend(bits.take(count).map(|bit| if bit == 1 { '1' } else { '0' }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: Shape, raw: &[u8], expected: &str) {
        let mut out = String::new();
        shape.write_text(raw, &mut out).unwrap();
        assert_eq!(out, expected);
    }

    #[test]
    fn values_read_as_postgres_writes_them() {
        check(Shape::Bool, &[1], "t");
        check(Shape::Int8, &i64::MIN.to_be_bytes(), "-9223372036854775808");
        check(Shape::Bytea, &[0, 255], "\\x00ff");
        check(Shape::Char, &[200], "\\310");
        check(Shape::Inet, &[2, 32, 0, 4, 10, 0, 0, 1], "10.0.0.1");
        check(Shape::Inet, &[2, 8, 1, 4, 10, 0, 0, 0], "10.0.0.0/8");
        check(Shape::Bits, &[0, 0, 0, 3, 0b1010_0000], "101");
        check(Shape::Versioned { json: true }, b"\x01{}", "{}");
    }

    #[test]
    fn wrong_lengths_are_errors_not_panics() {
        let shapes = [
            Shape::Bool,
            Shape::Int2,
            Shape::Int4,
            Shape::Int8,
            Shape::Float8,
            Shape::Numeric,
            Shape::Uuid,
            Shape::Timetz,
            Shape::Interval,
            Shape::Inet,
            Shape::Array(Box::new(Shape::Int4)),
        ];
        for shape in shapes {
            for length in [0, 3, 9, 15, 33] {
                let _ = shape.write_text(&vec![0xff; length], &mut String::new());
            }
            assert_eq!(shape.write_text(&[], &mut String::new()), Err(Malformed), "{shape:?}");
        }
    }

    #[test]
    fn unknown_types_have_no_shape() {
        assert_eq!(Shape::of(&Type::TS_VECTOR), None);
        assert_eq!(Shape::of(&Type::BOX_ARRAY), None);
        assert_eq!(Shape::of(&Type::REGCLASS), None);
    }
}
