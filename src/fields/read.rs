//! How a structure is read from a [`Field`]: its fields in its own order, its lists item by item.
//!
//! It never passes over what a structure does not know, but for what the database keeps.

use serde::de::value::{MapDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::kinds::NULLABLE;
use super::{Field, FieldError};

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
