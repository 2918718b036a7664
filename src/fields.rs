//! Fields: what comes from outside, as a tree, and how it becomes the structures of the code. A request's JSON, a form and a row
//! of the database each become such a tree, and each structure is read from it in one way.
//!
//! It never guesses: a field that is missing, unknown or of another kind is an error that names it.
//!
//! A structure is read as the list of its fields, which are put in their order first. So the code that serde derives for it is
//! there once, and without the half that looks for names: what a map costs in wasm, for each of some two hundred structures.

use std::fmt;
use std::rc::Rc;

use serde::de::value::{MapDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Number;

/// A value from outside.
#[derive(Debug)]
pub enum Field {
    /// A field of a structure that was not given.
    Missing,
    /// Null.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// Values, in their order.
    List(Vec<Field>),
    /// Named values, no name twice.
    Object(Vec<(String, Field)>),
    /// Named values that the database keeps. A newer release may have written more of them than a structure here has fields.
    Kept(Vec<(String, Field)>),
    /// What a form has under one name: texts that are numbers, yes or no, or a list where one is wanted.
    Form(Vec<String>),
    /// What a form has under `name.`: the only item of a list.
    FormItem(Vec<(String, Field)>),
    /// What a form has under `name.0.`, `name.1.` and on: items of a list.
    FormItems(Vec<Numbered>),
    /// A value in Postgres's text form that is neither null nor yes or no, nor a number, nor JSON.
    Cell(String),
    /// A row of the database.
    Row(Rc<[Column]>, Vec<Field>),
}

/// One of several items of a form's list.
#[derive(Debug)]
pub struct Numbered {
    /// Its number, as the form's fields have it in their names.
    pub number: String,
    /// Whether anything of it was filled in; else it is no item.
    pub there: bool,
    /// Its fields.
    pub fields: Vec<(String, Field)>,
}

/// A column of a row.
#[derive(Debug, serde::Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type that Postgres gave it.
    #[serde(rename = "dataTypeID")]
    pub type_id: u32,
}

/// Why a value is not what it is wanted to be: the path to it, and a sentence without its full stop.
#[derive(Debug, PartialEq)]
pub struct FieldError {
    path: String,
    what: String,
}

impl FieldError {
    /// The same, as seen from the structure that has it under this name.
    fn within(mut self, name: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for FieldError {}

impl serde::de::Error for FieldError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self { path: String::new(), what: what.to_string() }
    }
}

impl Field {
    /// What this JSON says.
    ///
    /// # Errors
    /// serde_json's, also for a name that an object has twice.
    pub fn json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// What this JSON of the database's says.
    ///
    /// # Errors
    /// serde_json's.
    pub(crate) fn kept_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        Self::json(bytes).map(Self::kept)
    }

    fn kept(self) -> Self {
        match self {
            Self::Object(fields) => {
                Self::Kept(fields.into_iter().map(|(name, value)| (name, value.kept())).collect())
            }
            Self::List(items) => Self::List(items.into_iter().map(Self::kept).collect()),
            other => other,
        }
    }

    /// The text under a name; empty where there is none. For what is shown again whether it can be done or not.
    pub(crate) fn text_of(&self, name: &str) -> String {
        let Self::Object(fields) = self else { return String::new() };
        let given = fields.iter().find(|(other, _)| other == name);
        match given {
            Some((_, Self::Text(text))) => text.clone(),
            Some((_, Self::Form(texts))) => texts.last().cloned().unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The values of these fields of a structure, in this order.
    fn arranged(self, wanted: &'static [&'static str]) -> Result<Vec<Self>, FieldError> {
        let mut values: Vec<Self> = wanted.iter().map(|_| Self::Missing).collect();
        let at = |name: &str| wanted.iter().position(|field| *field == name);
        match self {
            // A row may have more columns than its structure has fields.
            Self::Row(columns, cells) => {
                for (column, cell) in columns.iter().zip(cells) {
                    if let Some(value) = at(&column.name).and_then(|at| values.get_mut(at)) {
                        *value = cell;
                    }
                }
            }
            Self::Object(fields) | Self::FormItem(fields) => {
                for (name, given) in fields {
                    match at(&name).and_then(|at| values.get_mut(at)) {
                        Some(value) => *value = given,
                        None => return Err(FieldError::unknown_field(&name, wanted)),
                    }
                }
            }
            Self::Kept(fields) => {
                for (name, given) in fields {
                    if let Some(value) = at(&name).and_then(|at| values.get_mut(at)) {
                        *value = given;
                    }
                }
            }
            other => return Err(other.instead_of("an object")),
        }
        Ok(values)
    }

    fn instead_of(&self, wanted: &str) -> FieldError {
        let there = match self {
            Self::Missing => return FieldError::custom(format_args!("missing, it takes {wanted}")),
            Self::Null => "null",
            Self::Bool(_) => "yes or no",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::Cell(_) => "a text",
            Self::Form(_) => "a form's value",
            Self::List(_) | Self::FormItems(_) => "a list",
            Self::Object(_) | Self::Kept(_) | Self::FormItem(_) | Self::Row(..) => "an object",
        };
        FieldError::custom(format_args!("{there} instead of {wanted}"))
    }

    fn text(self) -> Result<String, FieldError> {
        match self {
            Self::Text(text) | Self::Cell(text) => Ok(text),
            Self::Form(mut texts) => texts.pop().ok_or_else(|| FieldError::custom("a value is missing")),
            other => Err(other.instead_of("a text")),
        }
    }

    fn bool(self) -> Result<bool, FieldError> {
        match self {
            Self::Bool(value) => Ok(value),
            other @ (Self::Form(_) | Self::Cell(_)) => match other.text()?.as_str() {
                "t" | "true" | "on" => Ok(true),
                "f" | "false" => Ok(false),
                _ => Err(FieldError::custom("yes or no was expected")),
            },
            other => Err(other.instead_of("yes or no")),
        }
    }

    fn number(self, what: &str) -> Result<Number, FieldError> {
        match self {
            Self::Number(number) => Ok(number),
            other @ (Self::Form(_) | Self::Cell(_)) => {
                let text = other.text()?;
                text.trim().parse().map_err(|_| FieldError::custom(format_args!("{text:?} is not {what}")))
            }
            other => Err(other.instead_of(what)),
        }
    }

    fn bytes(self) -> Result<Vec<u8>, FieldError> {
        match self {
            Self::Cell(text) => unhex(&text),
            other => Err(other.instead_of("bytes")),
        }
    }

    fn list(self) -> Result<Vec<Self>, FieldError> {
        match self {
            Self::List(items) => Ok(items),
            Self::FormItem(_) => Ok(vec![self]),
            Self::FormItems(items) => Ok(items
                .into_iter()
                .filter(|item| item.there)
                .map(|item| Self::FormItem(item.fields))
                .collect()),
            Self::Form(texts) => {
                let items = texts.into_iter().filter(|text| !text.is_empty());
                Ok(items.map(|text| Self::Form(vec![text])).collect())
            }
            other => Err(other.instead_of("a list")),
        }
    }
}

/// Bytes of Postgres's hex form of `bytea`: `\x` and two digits a byte.
fn unhex(text: &str) -> Result<Vec<u8>, FieldError> {
    let wrong = || FieldError::custom("a value that is not bytea");
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

/// The fields of a structure, in its order.
struct Arranged {
    names: &'static [&'static str],
    values: std::vec::IntoIter<Field>,
}

impl<'de> SeqAccess<'de> for Arranged {
    type Error = FieldError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, FieldError> {
        let at = self.names.len() - self.values.len();
        let Some(value) = self.values.next() else { return Ok(None) };
        let named = |error: FieldError| error.within(self.names.get(at).unwrap_or(&"?"));
        seed.deserialize(value).map(Some).map_err(named)
    }
}

/// The items of a list, so that an error says which one.
struct Items {
    at: usize,
    items: std::vec::IntoIter<Field>,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = FieldError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, FieldError> {
        let Some(item) = self.items.next() else { return Ok(None) };
        self.at += 1;
        let at = self.at;
        seed.deserialize(item).map(Some).map_err(|error| error.within(&at.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

impl IntoDeserializer<'_, FieldError> for Field {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $what:literal,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
            let number = self.number($what)?;
            match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(whole), ..) => visitor.visit_u64(whole),
                (_, Some(whole), _) => visitor.visit_i64(whole),
                (.., Some(float)) => visitor.visit_f64(float),
                _ => Err(FieldError::custom("a number that is out of range")),
            }
        }
    )*};
}

impl<'de> serde::Deserializer<'de> for Field {
    type Error = FieldError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(_) => self.deserialize_f64(visitor),
            Self::Text(_) | Self::Form(_) | Self::Cell(_) => visitor.visit_string(self.text()?),
            Self::List(_) | Self::FormItems(_) => self.deserialize_seq(visitor),
            Self::Object(fields) | Self::Kept(fields) | Self::FormItem(fields) => {
                visitor.visit_map(MapDeserializer::new(fields.into_iter()))
            }
            Self::Row(columns, cells) => {
                let fields = columns.iter().zip(cells).map(|(column, cell)| (column.name.clone(), cell));
                visitor.visit_map(MapDeserializer::new(fields.collect::<Vec<_>>().into_iter()))
            }
            Self::Missing => Err(self.instead_of("a value")),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_bool(self.bool()?)
    }

    numbers! {
        deserialize_i8 "a whole number",
        deserialize_u8 "a whole number",
        deserialize_i16 "a whole number",
        deserialize_u16 "a whole number",
        deserialize_i32 "a whole number",
        deserialize_u32 "a whole number",
        deserialize_i64 "a whole number",
        deserialize_u64 "a whole number",
        deserialize_f64 "a number",
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_byte_buf(self.bytes()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        match self {
            Self::Missing | Self::Null => visitor.visit_none(),
            Self::Form(texts) if texts.is_empty() => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        match self {
            Self::Missing if name == NULLABLE => visitor.visit_unit(),
            other if name == NULLABLE => other.deserialize_option(visitor),
            other => visitor.visit_newtype_struct(other),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let text: StringDeserializer<FieldError> = self.text()?.into_deserializer();
        text.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_seq(Items { at: 0, items: self.list()?.into_iter() })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let values = self.arranged(fields)?.into_iter();
        visitor.visit_seq(Arranged { names: fields, values })
    }

    forward_to_deserialize_any! {
        i128 u128 f32 char bytes unit unit_struct tuple tuple_struct map identifier ignored_any
    }
}

/// A field that may be left out, for `#[serde(deserialize_with = "or_default")]`.
///
/// # Errors
/// When it is there and is not a `T`.
pub fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: serde::Deserialize<'de> + Default,
    D: serde::Deserializer<'de>,
{
    <Option<T> as serde::Deserialize>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A field that may be left out or be null, which are two things: left out, it stays as it is.
#[derive(Debug, PartialEq)]
pub enum Nullable<T> {
    /// It was left out.
    Absent,
    /// It is to be this, or nothing.
    Given(Option<T>),
}

/// The name by which [`Field`] knows that null and left out differ here.
const NULLABLE: &str = "Nullable";

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Nullable<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Given<T>(std::marker::PhantomData<T>);
        impl<'de, T: serde::Deserialize<'de>> Visitor<'de> for Given<T> {
            type Value = Nullable<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or null")
            }

            fn visit_unit<E>(self) -> Result<Nullable<T>, E> {
                Ok(Nullable::Absent)
            }

            fn visit_none<E>(self) -> Result<Nullable<T>, E> {
                Ok(Nullable::Given(None))
            }

            fn visit_some<D: serde::Deserializer<'de>>(self, value: D) -> Result<Nullable<T>, D::Error> {
                T::deserialize(value).map(|value| Nullable::Given(Some(value)))
            }
        }
        deserializer.deserialize_newtype_struct(NULLABLE, Given(std::marker::PhantomData))
    }
}

/// The bytes of a `bytea`.
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'de> serde::Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}

/// As JSON, a row as the object of its columns: for what is only handed on.
impl serde::Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // What came by a form is never handed on.
            Self::Missing | Self::Null | Self::Form(_) | Self::FormItem(_) | Self::FormItems(_) => {
                serializer.serialize_unit()
            }
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) | Self::Cell(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(fields) | Self::Kept(fields) => {
                serializer.collect_map(fields.iter().map(|(name, value)| (name, value)))
            }
            Self::Row(columns, cells) => {
                serializer.collect_map(columns.iter().map(|column| &column.name).zip(cells))
            }
        }
    }
}

impl<'de> serde::Deserialize<'de> for Field {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

/// Reads a tree, and refuses a name that an object has twice: two readers could take a different one.
struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Field, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Field, E> {
        Ok(Field::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Field, E> {
        Ok(Field::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Field, E> {
        Ok(Field::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Field, E> {
        Ok(Number::from_f64(value).map_or(Field::Null, Field::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Field, E> {
        Ok(Field::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Field, E> {
        Ok(Field::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Field, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Field::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Field, A::Error> {
        let mut fields: Vec<(String, Field)> = Vec::new();
        while let Some(field) = entries.next_entry()? {
            fields.push(field);
        }
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair.first() == pair.last()) {
            Some(twice) => {
                Err(A::Error::custom(format_args!("`{}` is there twice", twice.first().unwrap_or(&""))))
            }
            None => Ok(Field::Object(fields)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize as _;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Tier {
        Fast,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        days: Vec<u8>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Given {
        name: String,
        tier: Tier,
        price: Option<u32>,
        share: Option<f64>,
        #[serde(deserialize_with = "or_default")]
        unit: String,
        greet: Nullable<i32>,
        inner: Option<Vec<Inner>>,
        rest: Option<serde_json::Value>,
    }

    fn read(json: &str) -> Result<Given, String> {
        let field = Field::json(json.as_bytes()).map_err(|error| error.to_string())?;
        Given::deserialize(field).map_err(|error| error.to_string())
    }

    #[test]
    fn a_structure_is_read_whatever_the_order_of_its_fields() {
        let given = read(
            r#"{"inner":[{"days":[1,2]}],"tier":"fast","rest":{"a":[1,null,"x"]},"name":"n","price":7,"share":1,"greet":null}"#,
        );
        assert_eq!(
            given.unwrap(),
            Given {
                name: "n".into(),
                tier: Tier::Fast,
                price: Some(7),
                share: Some(1.0),
                unit: String::new(),
                greet: Nullable::Given(None),
                inner: Some(vec![Inner { days: vec![1, 2] }]),
                rest: Some(serde_json::json!({ "a": [1, null, "x"] })),
            }
        );
        let least = read(r#"{"name":"n","tier":"fast"}"#).unwrap();
        assert_eq!((least.price, least.greet, least.inner), (None, Nullable::Absent, None));
        assert_eq!(
            read(r#"{"name":"n","tier":"fast","greet":-3}"#).unwrap().greet,
            Nullable::Given(Some(-3))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, why) in [
            (r#"{"tier":"fast"}"#, "`name`: missing, it takes a text"),
            (r#"{"name":7,"tier":"fast"}"#, "`name`: a number instead of a text"),
            (r#"{"name":null,"tier":"fast"}"#, "`name`: null instead of a text"),
            (r#"{"name":"n","tier":"slow"}"#, "`tier`: unknown variant `slow`, expected `fast`"),
            (r#"{"name":"n","tier":"fast","price":"7"}"#, "`price`: a text instead of a whole number"),
            (
                r#"{"name":"n","tier":"fast","price":-7}"#,
                "`price`: invalid value: integer `-7`, expected u32",
            ),
            (
                r#"{"name":"n","tier":"fast","price":1.5}"#,
                "`price`: invalid type: floating point `1.5`, expected u32",
            ),
            (r#"{"name":"n","tier":"fast","greet":"x"}"#, "`greet`: a text instead of a whole number"),
            (r#"{"name":"n","tier":"fast","inner":{}}"#, "`inner`: an object instead of a list"),
            (
                r#"{"name":"n","tier":"fast","inner":[{"days":[1]},{"days":[256]}]}"#,
                "`inner.2.days.1`: invalid value: integer `256`, expected u8",
            ),
            (r#"{"name":"n","tier":"fast","inner":[{}]}"#, "`inner.1.days`: missing, it takes a list"),
            (r"[]", "a list instead of an object"),
            (r#""x""#, "a text instead of an object"),
        ] {
            assert_eq!(read(json).unwrap_err(), why, "{json}");
        }
        let unknown = read(r#"{"name":"n","tier":"fast","company_id":"x"}"#).unwrap_err();
        assert!(
            unknown.starts_with("unknown field `company_id`, expected one of `name`, `tier`"),
            "{unknown}"
        );
        let twice = read(r#"{"name":"n","name":"m","tier":"fast"}"#).unwrap_err();
        assert!(twice.starts_with("`name` is there twice"), "{twice}");
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(read(&deep).unwrap_err().starts_with("recursion limit exceeded"));
    }

    #[test]
    fn what_the_database_keeps_may_have_more_in_it() {
        let kept = Field::kept_json(br#"{"name":"n","tier":"fast","new":1,"inner":[{"days":[],"new":2}]}"#);
        let given = Given::deserialize(kept.unwrap()).unwrap();
        assert_eq!(given.inner, Some(vec![Inner { days: Vec::new() }]));
    }

    #[test]
    fn bytes_of_a_cell() {
        assert_eq!(Bytes::deserialize(Field::Cell("\\x00ff".into())).unwrap().0, [0, 255]);
        for wrong in ["\\x0", "00", "\\xzz"] {
            assert!(Bytes::deserialize(Field::Cell(wrong.into())).is_err(), "{wrong}");
        }
    }
}
