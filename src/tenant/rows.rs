//! Rows as Postgres's text output, as [`Field`]s, from which the structures of the code are read.
//!
//! It never guesses: a value that does not fit its field is an error that names the field.

use std::rc::Rc;

use serde::de::{DeserializeOwned, Error as _};

use crate::fields::{Column, Field, FieldError};

/// One statement's outcome, as Neon's protocol answers it with raw text and array mode.
#[derive(serde::Deserialize)]
pub(super) struct Outcome {
    #[serde(default)]
    fields: Vec<Column>,
    #[serde(default)]
    rows: Vec<Vec<Option<String>>>,
    #[serde(rename = "rowCount", default)]
    row_count: Option<u64>,
}

impl Outcome {
    /// How many rows the statement returned or changed.
    pub(super) fn count(&self) -> u64 {
        self.row_count.unwrap_or(self.rows.len() as u64)
    }

    /// The rows, each as a `T`.
    pub(super) fn into_rows<T: DeserializeOwned>(self) -> Result<Vec<T>, FieldError> {
        let rows = self.into_fields()?;
        let mut all = Vec::with_capacity(rows.len());
        // A loop, since each structure has a copy of this, and a collected iterator is more wasm.
        for row in rows {
            all.push(T::deserialize(row)?);
        }
        Ok(all)
    }

    /// The rows, as they are.
    pub(super) fn into_fields(self) -> Result<Vec<Field>, FieldError> {
        let columns: Rc<[Column]> = self.fields.into();
        let row = |cells: Vec<Option<String>>| {
            let cells = cells.into_iter().zip(columns.iter()).map(|(text, column)| cell(text, column));
            Ok(Field::Row(Rc::clone(&columns), cells.collect::<Result<_, FieldError>>()?))
        };
        self.rows.into_iter().map(row).collect()
    }
}

/// Type ids fixed in Postgres's catalogue (src/include/catalog/pg_type.dat).
mod type_id {
    pub(super) const BOOL: u32 = 16;
    pub(super) const JSON: u32 = 114;
    pub(super) const JSONB: u32 = 3802;
    /// int8, int2, int4, float4, float8 and numeric.
    pub(super) const NUMBERS: [u32; 6] = [20, 21, 23, 700, 701, 1700];
}

fn cell(text: Option<String>, column: &Column) -> Result<Field, FieldError> {
    let wrong = |what: &str| FieldError::custom(format_args!("column {}: {what}", column.name));
    let Some(text) = text else { return Ok(Field::Null) };
    match column.type_id {
        type_id::JSON | type_id::JSONB => {
            Field::kept_json(text.as_bytes()).map_err(|e| wrong(&e.to_string()))
        }
        type_id::BOOL => match text.as_str() {
            "t" => Ok(Field::Bool(true)),
            "f" => Ok(Field::Bool(false)),
            _ => Err(wrong("a value that is not bool")),
        },
        number if type_id::NUMBERS.contains(&number) => {
            // NaN and Infinity have no place in any structure.
            text.parse().map(Field::Number).map_err(|_| wrong("a value that is not a number"))
        }
        _ => Ok(Field::Cell(text)),
    }
}

/// The hex form of `bytea`, as a parameter.
pub(super) fn bytea_text(bytes: &[u8]) -> String {
    format!("\\x{}", hex(bytes))
}

/// Two hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Tier {
        Fast,
    }

    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Row {
        id: crate::ids::AgentId,
        tier: Tier,
        n: i64,
        yes: bool,
        note: Option<String>,
        list: Vec<String>,
        score: f64,
    }

    fn outcome(cells: &str) -> Outcome {
        let fields = r#"[{"name":"id","dataTypeID":2950},{"name":"tier","dataTypeID":25},{"name":"n","dataTypeID":20},
            {"name":"yes","dataTypeID":16},{"name":"note","dataTypeID":25},{"name":"list","dataTypeID":3802},
            {"name":"score","dataTypeID":701}]"#;
        serde_json::from_str(&format!(r#"{{"fields":{fields},"rows":[{cells}],"rowCount":1}}"#)).unwrap()
    }

    #[test]
    fn rows() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let good = format!(r#"["{id}","fast","-7","t",null,"[\"a\",\"b\"]","0.5"]"#);
        let row: Row = outcome(&good).into_rows().unwrap().remove(0);
        assert_eq!(row.id.to_string(), id);
        assert_eq!(
            (row.n, row.yes, row.note, row.list, row.score),
            (-7, true, None, vec!["a".into(), "b".into()], 0.5)
        );
        for bad in [
            format!(r#"["{id}","slow","1","t",null,"[]","0"]"#),
            format!(r#"["{id}","fast","x","t",null,"[]","0"]"#),
            format!(r#"["{id}","fast",null,"t",null,"[]","0"]"#),
            format!(r#"["{id}","fast","1","yes",null,"[]","0"]"#),
            r#"["no","fast","1","t",null,"[]","0"]"#.to_owned(),
        ] {
            assert!(outcome(&bad).into_rows::<Row>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes() {
        assert_eq!(bytea_text(&[0, 255]), "\\x00ff");
    }
}
