//! How long the SmartRouter takes to decide, natively: the core's own function over a company's models, in a loop.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::hint::black_box;
use std::time::Instant;

use anyhow::ensure;
use bulkhead::smart_router::{Effort, Health, Left, Model, Tier, Wanted, rank};
use serde::de::value::MapDeserializer;
use serde::de::{Deserialize as _, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Value, json};

use super::figures::{Figure, Row, Spread, Table};
use super::{Args, QUESTION};

/// Decisions between two looks at the clock.
const AT_ONCE: u32 = 1_000;

/// Measures a company with one provider, one with a few, and one at the limit of what is read.
pub fn run(args: &Args) -> anyhow::Result<Table> {
    let rounds = if args.quick { 10 } else { 200 };
    let mut rows = Vec::new();
    for (providers, each) in [(1, 3), (4, 6), (20, 10)] {
        let models = models(providers, each)?;
        let health = Health::read(&[json!(provider(0)), json!(if providers > 1 { "open" } else { "probe" })]);
        let decide = || {
            let wanted = Wanted {
                agent_tier: Tier::Best,
                effort: Effort::of(black_box(QUESTION), true),
                cheaper: true,
                tight: false,
                input_tokens: 2_500,
                max_output_tokens: 700,
            };
            rank(black_box(&models), &wanted, Left { microusd: 60_000, tokens: 500_000 }, black_box(&health))
        };
        ensure!(!decide().is_empty(), "no model fits");
        let times = (0..rounds).map(|_| {
            let started = Instant::now();
            for _ in 0..AT_ONCE {
                black_box(decide());
            }
            started.elapsed().as_secs_f64() * 1e6 / f64::from(AT_ONCE)
        });
        rows.push(Row {
            what: format!("{} models of {providers}", models.len()),
            figures: vec![Figure::Count(rounds * AT_ONCE as usize), Spread::of(times).into()],
        });
    }
    let title = "the router's decision, native, by the company's models and providers".to_owned();
    Ok(Table { name: "router", title, columns: &["decisions", "each_us"], rows })
}

/// As they are read of the database.
fn models(providers: usize, each: usize) -> anyhow::Result<Vec<Model>> {
    let all = (0..providers).flat_map(|at| (0..each).map(move |number| model(at, number)));
    Ok(all.collect::<Result<_, _>>()?)
}

fn model(at: usize, number: usize) -> serde_json::Result<Model> {
    let kinds = ["openai", "anthropic", "gemini", "compatible"];
    let tiers = ["fast", "balanced", "best"];
    let kind = kinds.get(at % kinds.len());
    let columns = json!({
        "company_id": "0195f3a0-0000-7000-8000-000000000000",
        "provider_id": provider(at),
        "kind": kind,
        "api": "chat",
        "base_url": (kind == Some(&"compatible")).then_some("https://api.groq.com/openai/v1"),
        "position": at,
        "model": format!("a-usual-model-name-{number}-2026-11-01"),
        "tier": tiers.get(number % tiers.len()),
        "input_microusd_per_mtok": 150_000 * (number + 1),
        "output_microusd_per_mtok": 600_000 * (number + 1),
        "cached_input_microusd_per_mtok": 75_000,
        "context_tokens": 128_000,
        "platform": false,
    });
    let columns: serde_json::Map<String, Value> = serde_json::from_value(columns)?;
    let columns = columns.into_iter().map(|(name, value)| (name, Cell::Json(value)));
    let sealed = ("sealed_key".to_owned(), Cell::Bytes(vec![0; 200]));
    Model::deserialize(MapDeserializer::new(columns.chain([sealed])))
}

fn provider(at: usize) -> String {
    format!("0195f3a0-0000-7000-8000-{:012}", at + 1)
}

/// A column's value. JSON knows no bytes, which a sealed key is.
enum Cell {
    Json(Value),
    Bytes(Vec<u8>),
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Cell {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Cell {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        match self {
            Self::Json(value) => value.deserialize_any(visitor),
            Self::Bytes(bytes) => visitor.visit_byte_buf(bytes),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> serde_json::Result<V::Value> {
        match self {
            Self::Json(Value::Null) => visitor.visit_none(),
            present => visitor.visit_some(present),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> serde_json::Result<V::Value> {
        match self {
            Self::Json(value) => value.deserialize_enum(name, variants, visitor),
            bytes => bytes.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
