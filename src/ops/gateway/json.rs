//! A statement's result as Neon's JSON, written straight into the response's buffer.
//! It holds no rows: each is written as it arrives.

use std::io::Write as _;

use futures_util::{TryStreamExt as _, pin_mut};
use tokio_postgres::types::{FromSql, Kind, Type};
use tokio_postgres::{Column, Row, RowStream};

use super::pg_array::Array;
use super::pg_text::{Malformed, Shape};
use super::refusal::Refusal;
use super::statement;

/// How a statement's rows are to be written.
#[derive(Clone, Copy)]
pub struct Form {
    /// Every value as Postgres's text, instead of JSON by type.
    pub raw_text: bool,
    /// Each row as an array of values, instead of an object by column name.
    pub array_mode: bool,
}

/// Why a result could not be written.
pub enum Unwritten {
    /// The statement failed, or the connection did.
    Postgres(tokio_postgres::Error),
    /// The response grew over its limit.
    TooLarge,
    /// A value is not what its type says.
    Malformed,
}

impl From<tokio_postgres::Error> for Unwritten {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<Malformed> for Unwritten {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Each column's shape, or a refusal that names the first column that has none.
pub fn shapes(columns: &[Column]) -> Result<Vec<Shape>, Refusal> {
    let shape = |column: &Column| {
        Shape::of(column.type_()).ok_or_else(|| {
            let (name, ty) = (column.name(), column.type_().name());
            let message =
                format!("Column {name:?} has type {ty}, which the gateway cannot write: cast it to text.");
            Refusal::bad_request("0A000", &message)
        })
    };
    columns.iter().map(shape).collect()
}

/// Writes one result: fields, rows, command and count, as Neon's proxy does.
pub async fn write_result(
    out: &mut Vec<u8>,
    limit: usize,
    sql: &str,
    form: Form,
    columns: &[Column],
    shapes: &[Shape],
    rows: RowStream,
) -> Result<(), Unwritten> {
    out.extend_from_slice(b"{\"fields\":[");
    for (place, column) in columns.iter().enumerate() {
        comma(place, out);
        write_field(column, out);
    }
    out.extend_from_slice(b"],\"rows\":[");
    let mut scratch = String::new();
    let mut count = 0;
    pin_mut!(rows);
    while let Some(row) = rows.try_next().await? {
        comma(count, out);
        write_row(&row, form, shapes, &mut scratch, out)?;
        if out.len() > limit {
            return Err(Unwritten::TooLarge);
        }
        count += 1;
    }
    let command = statement::command(sql);
    let affected = rows.rows_affected().filter(|_| statement::counts_rows(&command));
    let affected = affected.map_or("null".to_owned(), |count| count.to_string());
    out.extend_from_slice(b"],\"command\":");
    write_string(&command, out);
    // Writing to a Vec cannot fail.
    let _ = write!(out, ",\"rowCount\":{affected},\"rowAsArray\":{}}}", form.array_mode);
    Ok(())
}

fn write_field(column: &Column, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"name\":");
    write_string(column.name(), out);
    let _ = write!(
        out,
        ",\"dataTypeID\":{},\"tableID\":{},\"columnID\":{},\"dataTypeSize\":{},\"dataTypeModifier\":{},\"format\":\"text\"}}",
        column.type_().oid(),
        column.table_oid().unwrap_or(0),
        column.column_id().unwrap_or(0),
        type_size(column.type_()),
        column.type_modifier(),
    );
}

/// The type's `typlen`, which the driver library does not keep: fixed for these, -1 for the rest.
fn type_size(ty: &Type) -> i16 {
    match *ty {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::OID | Type::XID | Type::CID | Type::FLOAT4 | Type::DATE | Type::VOID => 4,
        Type::INT8 | Type::XID8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::TIMETZ => 12,
        Type::UUID | Type::INTERVAL => 16,
        Type::NAME => 64,
        _ if matches!(ty.kind(), Kind::Enum(_)) => 4,
        _ => -1,
    }
}

fn write_row(
    row: &Row,
    form: Form,
    shapes: &[Shape],
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), Unwritten> {
    out.push(if form.array_mode { b'[' } else { b'{' });
    for (place, (shape, column)) in shapes.iter().zip(row.columns()).enumerate() {
        comma(place, out);
        if !form.array_mode {
            write_string(column.name(), out);
            out.push(b':');
        }
        match row.try_get::<_, Option<Raw<'_>>>(place)? {
            None => out.extend_from_slice(b"null"),
            Some(Raw(raw)) if form.raw_text => write_text(shape, raw, scratch, out)?,
            Some(Raw(raw)) => write_typed(shape, raw, scratch, out)?,
        }
    }
    out.push(if form.array_mode { b']' } else { b'}' });
    Ok(())
}

/// A value's text as a JSON string.
fn write_text(shape: &Shape, raw: &[u8], scratch: &mut String, out: &mut Vec<u8>) -> Result<(), Malformed> {
    if matches!(shape, Shape::Text | Shape::Json) {
        write_string(std::str::from_utf8(raw).map_err(|_| Malformed)?, out);
        return Ok(());
    }
    scratch.clear();
    shape.write_text(raw, scratch)?;
    write_string(scratch, out);
    Ok(())
}

/// A value as JSON by its type, as Neon chooses: booleans, int2, int4, finite floats, JSON and arrays are
/// themselves, all else (int8 and numeric too, which JavaScript would round) is a string.
fn write_typed(shape: &Shape, raw: &[u8], scratch: &mut String, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match shape {
        Shape::Bool => out.extend_from_slice(if raw == [0] { b"false" } else { b"true" }),
        Shape::Json => out.extend_from_slice(raw),
        Shape::Versioned { json: true } => out.extend_from_slice(raw.split_first().ok_or(Malformed)?.1),
        Shape::Int2 | Shape::Int4 | Shape::Float4 | Shape::Float8 => {
            scratch.clear();
            shape.write_text(raw, scratch)?;
            if scratch.ends_with(|c: char| c.is_ascii_digit()) {
                out.extend_from_slice(scratch.as_bytes());
            } else {
                write_string(scratch, out);
            }
        }
        Shape::Array(element) => {
            let mut array = Array::open(raw)?;
            let dimensions = std::mem::take(&mut array.dimensions);
            if dimensions.is_empty() {
                out.extend_from_slice(b"[]");
            } else {
                write_dimension(element, &dimensions, &mut array, scratch, out)?;
            }
        }
        _ => write_text(shape, raw, scratch, out)?,
    }
    Ok(())
}

fn write_dimension(
    element: &Shape,
    dimensions: &[(usize, i32)],
    array: &mut Array<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    let Some((&(length, _), inner)) = dimensions.split_first() else { return Err(Malformed) };
    out.push(b'[');
    for place in 0..length {
        comma(place, out);
        if !inner.is_empty() {
            write_dimension(element, inner, array, scratch, out)?;
        } else if let Some(raw) = array.element()? {
            write_typed(element, raw, scratch, out)?;
        } else {
            out.extend_from_slice(b"null");
        }
    }
    out.push(b']');
    Ok(())
}

/// A JSON string.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// The comma before every item but the first.
pub fn comma(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}

/// A value's bytes, whatever its type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
