//! Forms: what browsers send (`application/x-www-form-urlencoded`), as the structures that the JSON API takes.
//!
//! It never decides what a value may be: that is checked where the JSON API checks it.
//!
//! A form says less than JSON, so the names of its fields say the rest: `a.b` is the field `b` of the one thing in the list
//! `a`, `a.1.b` that of the thing numbered 1 in it, which is there only if one of its fields that are `:optional` is filled in;
//! `x:optional` is left out when it is empty; `x:dollars` is an amount such as `3.50` for the
//! micro-dollars `x`, `x:cents` one for cents, left out when it is empty; `x:nullable` is null when it is empty; `x:lines` is
//! a list, one value a line; `:key` is no field but the number of the page, by which a form sent twice is known. Of
//! several values of one name a list takes all but the empty ones, anything else the last: a box that may be unticked
//! stands behind a hidden field with the value for that.

use crate::error::Error;
use crate::fields::{Field, Numbered};
use crate::routes::decoded;

/// A form's fields.
///
/// # Errors
/// [`Error::Invalid`] when they are no UTF-8, or an amount of money is none.
pub fn read(bytes: &[u8]) -> Result<Field, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Invalid("The form is not UTF-8.".into()))?;
    let mut form = Vec::new();
    for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decoded(value).replace("\r\n", "\n");
        let name = decoded(name);
        match name.split_once(':') {
            Some(("", _)) => {}
            Some((_, "optional")) if value.trim().is_empty() => {}
            Some((_, "cents")) if value.trim().is_empty() => {}
            Some((name, "nullable")) if value.trim().is_empty() => {
                form.push((name.to_owned(), Field::Form(Vec::new())));
            }
            Some((name, "lines")) => {
                put(&mut form, name, String::new(), true);
                value.lines().for_each(|line| put(&mut form, name, line.trim().to_owned(), true));
            }
            Some((name, "cents")) => put(&mut form, name, (microusd(&value)? / 10_000).to_string(), true),
            Some((name, "dollars")) => put(&mut form, name, microusd(&value)?.to_string(), true),
            Some((name, _)) => put(&mut form, name, value, true),
            None => put(&mut form, &name, value, false),
        }
    }
    Ok(Field::Object(form))
}

/// Micro-dollars of an amount in dollars, to six places.
pub(crate) fn microusd(dollars: &str) -> Result<u64, Error> {
    let wrong = || Error::Invalid("An amount of money was not understood. Write it like 3.50.".into());
    let dollars = dollars.trim().trim_start_matches('$');
    let (whole, rest) = dollars.split_once('.').unwrap_or((dollars, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole)
        || !digits(rest)
        || rest.len() > 6
        || whole.len() > 7
        || (whole.is_empty() && rest.is_empty())
    {
        return Err(wrong());
    }
    format!("{whole}{rest:0<6}").parse().map_err(|_| wrong())
}

/// Puts a value where its name says; `counts` where it makes a numbered thing one that is there.
fn put(form: &mut Vec<(String, Field)>, name: &str, value: String, counts: bool) {
    let (name, inner) = name.split_once('.').map_or((name, None), |(name, inner)| (name, Some(inner)));
    let at = form.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
        let empty = if inner.is_some() { Field::FormItem(Vec::new()) } else { Field::Form(Vec::new()) };
        form.push((name.to_owned(), empty));
        form.len() - 1
    });
    let Some((_, field)) = form.get_mut(at) else { return };
    let number = inner.and_then(|inner| inner.split_once('.')).filter(|(number, _)| is_number(number));
    if let Some((number, inner)) = number {
        return put_numbered(field, number, inner, value, counts);
    }
    match (field, inner) {
        (Field::FormItem(fields), Some(inner)) => put(fields, inner, value, counts),
        (Field::Form(texts), None) => texts.push(value),
        // A name that is both: the first one counts.
        _ => {}
    }
}

/// Puts a value into the thing of this number. A list may begin with an empty value, so that it is there without any thing.
fn put_numbered(list: &mut Field, number: &str, name: &str, value: String, counts: bool) {
    let empty = match list {
        Field::Form(texts) => texts.iter().all(String::is_empty),
        Field::FormItem(fields) => fields.is_empty(),
        _ => false,
    };
    if empty {
        *list = Field::FormItems(Vec::new());
    }
    let Field::FormItems(things) = list else { return };
    let at = things.iter().position(|thing| thing.number == number).unwrap_or_else(|| {
        things.push(Numbered { number: number.to_owned(), there: false, fields: Vec::new() });
        things.len() - 1
    });
    if let Some(thing) = things.get_mut(at) {
        thing.there |= counts;
        put(&mut thing.fields, name, value, counts);
    }
}

fn is_number(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Given, String> {
        let form = super::read(bytes).map_err(|error| format!("{error:?}"))?;
        serde::Deserialize::deserialize(form).map_err(|error: crate::fields::FieldError| error.to_string())
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given {
        name: String,
        limit: Option<u64>,
        spend_microusd: Option<u64>,
        ticked: Option<bool>,
        scope: Option<Vec<String>>,
        #[serde(deserialize_with = "crate::fields::or_default")]
        models: Vec<Model>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Model {
        model: String,
        context: u32,
    }

    #[test]
    fn a_form_is_what_json_would_be() {
        let form = "name=A+%26+B%0D%0Ac&limit=7&spend_microusd%3Adollars=3.5&ticked=false&ticked=true\
                    &scope=&scope=a&scope=b&models.model=m&models.context=9";
        let given: Given = read(form.as_bytes()).unwrap();
        let expected = Given {
            name: "A & B\nc".into(),
            limit: Some(7),
            spend_microusd: Some(3_500_000),
            ticked: Some(true),
            scope: Some(vec!["a".into(), "b".into()]),
            models: vec![Model { model: "m".into(), context: 9 }],
        };
        assert_eq!(given, expected);
        let given: Given = read(b"name=x&limit:nullable=&scope:lines=a%0D%0A%0D%0A+b+%0D%0A").unwrap();
        assert_eq!((given.limit, given.scope), (None, Some(vec!["a".into(), "b".into()])));
        let given: Given = read(b"name=x&limit:nullable=4&scope:lines=").unwrap();
        assert_eq!((given.limit, given.scope), (Some(4), Some(Vec::new())));
        let given: Given = read(b"name=x&limit:cents=89.5").unwrap();
        assert_eq!(given.limit, Some(8_950));
        let given: Given = read(b"name=x&limit:optional=+&limit:cents=&scope=").unwrap();
        assert_eq!((given.limit, given.scope), (None, Some(Vec::new())));
    }

    #[test]
    fn numbered_things_are_a_list_of_those_that_are_filled_in() {
        let models = |form: &str| read(form.as_bytes()).unwrap().models;
        let model = |model: &str, context| Model { model: model.into(), context };
        let form = "name=x&:key=7&models=&models.2.context=9&models.2.model:optional=b&models.1.context=1\
                    &models.1.model:optional=&models.10.context=3&models.10.model:optional=c";
        assert_eq!(models(form), [model("b", 9), model("c", 3)]);
        assert_eq!(models("name=x&models=&models.1.context=1&models.1.model:optional="), []);
        for form in [
            "name=x&models=a&models.1.model:optional=b",
            "name.1.x:optional=1",
            "name=x&models.1.context:optional=1",
        ] {
            assert!(read(form.as_bytes()).is_err(), "{form}");
        }
    }

    #[test]
    fn what_is_no_such_form_is_a_sentence() {
        for form in
            ["", "name=x&limit=a", "name=x&ticked=perhaps", "name=x&else=1", "name=x&limit=-1", "name.x=1"]
        {
            assert!(read(form.as_bytes()).is_err(), "{form}");
        }
        for (dollars, expected) in [
            ("0", Some(0)),
            ("2", Some(2_000_000)),
            ("$0.000001", Some(1)),
            (".5", Some(500_000)),
            ("1,5", None),
        ] {
            assert_eq!(microusd(dollars).ok(), expected, "{dollars}");
        }
        for dollars in ["", ".", "-1", "1e3", "0.0000001", "99999999"] {
            assert!(microusd(dollars).is_err(), "{dollars}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_form_panics(form in "([a-d0-2.:%+=&]|name|models|scope|limit|optional|dollars){0,40}") {
            let _ = read(form.as_bytes());
        }
    }
}
