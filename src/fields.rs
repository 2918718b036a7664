//! Fields: what comes from outside, as a tree, and how it becomes the structures of the code. A request's JSON, a form and a row
//! of the database each become such a tree, and each structure is read from it in one way.
//!
//! It never guesses: a field that is missing, unknown or of another kind is an error that names it.
//!
//! A structure is read as the list of its fields, which are put in their order first. So the code that serde derives for it is
//! there once, and without the half that looks for names: what a map costs in wasm, for each structure.

use std::fmt;
use std::rc::Rc;

use serde::de::Error as _;
use serde_json::Number;

mod json;
mod kinds;
mod read;
#[cfg(test)]
mod tests;

pub(crate) use kinds::Bytes;
pub use kinds::{Nullable, or_default};

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
