//! Rows as Postgres's text output, turned into domain types with serde.
//!
//! It never guesses: a value that does not fit its field is an error that names the field.

use serde::de::value::{MapDeserializer, StringDeserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// One statement's outcome, as Neon's protocol answers it with raw text and array mode.
#[derive(serde::Deserialize)]
pub(super) struct Outcome {
    #[serde(default)]
    fields: Vec<Field>,
    #[serde(default)]
    rows: Vec<Vec<Option<String>>>,
    #[serde(rename = "rowCount", default)]
    row_count: Option<u64>,
}

#[derive(serde::Deserialize)]
struct Field {
    name: String,
    #[serde(rename = "dataTypeID")]
    type_id: u32,
}

impl Outcome {
    /// How many rows the statement returned or changed.
    pub(super) fn count(&self) -> u64 {
        self.row_count.unwrap_or(self.rows.len() as u64)
    }

    /// The rows, each as a `T`.
    pub(super) fn into_rows<T: DeserializeOwned>(self) -> Result<Vec<T>, RowError> {
        let fields = self.fields;
        self.rows
            .into_iter()
            .map(|row| {
                let cells = row
                    .into_iter()
                    .zip(&fields)
                    .map(|(text, field)| (field.name.as_str(), Cell { text, type_id: field.type_id }));
                T::deserialize(MapDeserializer::new(cells))
            })
            .collect()
    }
}

/// Why a row is not what its type says.
pub(super) type RowError = serde::de::value::Error;

/// A column's value: text or null, and the type Postgres gave it.
struct Cell {
    text: Option<String>,
    type_id: u32,
}

/// Type ids fixed in Postgres's catalogue (src/include/catalog/pg_type.dat).
mod type_id {
    pub(super) const BOOL: u32 = 16;
    pub(super) const JSON: u32 = 114;
    pub(super) const JSONB: u32 = 3802;
}

impl Cell {
    fn present(self) -> Result<String, RowError> {
        self.text.ok_or_else(|| RowError::custom("a null where there must be a value"))
    }

    fn json(self) -> Result<serde_json::Value, RowError> {
        serde_json::from_str(&self.present()?).map_err(|error| RowError::custom(format!("json: {error}")))
    }

    fn parse<T: std::str::FromStr>(self, what: &str) -> Result<T, RowError> {
        self.present()?.parse().map_err(|_| RowError::custom(format!("a value that is not {what}")))
    }
}

macro_rules! parse {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
            visitor.$visit(self.parse::<$type>(stringify!($type))?)
        }
    )*};
}

impl<'de> serde::Deserializer<'de> for Cell {
    type Error = RowError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match (self.type_id, &self.text) {
            (_, None) => visitor.visit_none(),
            (type_id::JSON | type_id::JSONB, _) => {
                self.json()?.deserialize_any(visitor).map_err(|e| RowError::custom(e.to_string()))
            }
            (type_id::BOOL, _) => self.deserialize_bool(visitor),
            _ => visitor.visit_string(self.present()?),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        match self.present()?.as_str() {
            "t" | "true" => visitor.visit_bool(true),
            "f" | "false" => visitor.visit_bool(false),
            _ => Err(RowError::custom("a value that is not bool")),
        }
    }

    parse! {
        deserialize_i8 visit_i8 i8,
        deserialize_u8 visit_u8 u8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_f32 visit_f32 f32,
        deserialize_f64 visit_f64 f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        if self.text.is_none() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, RowError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, RowError> {
        let text: StringDeserializer<RowError> = self.present()?.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        visitor.visit_byte_buf(bytea(&self.present()?)?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, RowError> {
        self.deserialize_bytes(visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_, RowError> for Cell {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The bytes of a `bytea`.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'de> serde::Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}

/// Bytes of Postgres's hex form of `bytea`: `\x` and two digits a byte.
fn bytea(text: &str) -> Result<Vec<u8>, RowError> {
    let wrong = || RowError::custom("a value that is not bytea");
    let digits = text.strip_prefix("\\x").ok_or_else(wrong)?.as_bytes();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect::<Option<_>>()
        .ok_or_else(wrong)
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
        assert_eq!(bytea("\\x00ff").unwrap(), [0, 255]);
        assert_eq!(bytea_text(&[0, 255]), "\\x00ff");
        assert!(bytea("\\x0").is_err());
        assert!(bytea("00").is_err());
        assert!(bytea("\\xzz").is_err());
    }
}
