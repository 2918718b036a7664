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
    assert_eq!(read(r#"{"name":"n","tier":"fast","greet":-3}"#).unwrap().greet, Nullable::Given(Some(-3)));
}

#[test]
fn what_is_wrong_is_named() {
    for (json, why) in [
        (r#"{"tier":"fast"}"#, "`name`: missing, it takes a text"),
        (r#"{"name":7,"tier":"fast"}"#, "`name`: a number instead of a text"),
        (r#"{"name":null,"tier":"fast"}"#, "`name`: null instead of a text"),
        (r#"{"name":"n","tier":"slow"}"#, "`tier`: unknown variant `slow`, expected `fast`"),
        (r#"{"name":"n","tier":"fast","price":"7"}"#, "`price`: a text instead of a whole number"),
        (r#"{"name":"n","tier":"fast","price":-7}"#, "`price`: invalid value: integer `-7`, expected u32"),
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
    assert!(unknown.starts_with("unknown field `company_id`, expected one of `name`, `tier`"), "{unknown}");
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
