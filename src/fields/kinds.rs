//! Kinds of fields that serde has not: one that may be left out, one that may be null or left out, bytes.
//!
//! They never read anything but a [`Field`](super::Field) as they should.

use std::fmt;

use serde::de::Visitor;

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

/// The name by which [`Field`](super::Field) knows that null and left out differ here.
pub(super) const NULLABLE: &str = "Nullable";

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
