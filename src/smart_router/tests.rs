//! The router's decisions: one line a case, and what it promises whatever it is given.

use super::*;
use proptest::prelude::*;
use serde_json::json;

const ONE: &str = "01890a5d-ac96-774b-bcce-b302099a8101";
const TWO: &str = "01890a5d-ac96-774b-bcce-b302099a8102";

fn model(provider: &str, position: i32, name: &str, tier: &str, price: u64) -> Model {
    serde_json::from_value(json!({
        "company_id": "01890a5d-ac96-774b-bcce-b302099a8001",
        "provider_id": provider, "kind": "openai", "base_url": null, "sealed_key": null, "position": position,
        "model": name, "tier": tier, "input_microusd_per_mtok": price, "output_microusd_per_mtok": 4 * price,
        "context_tokens": 100_000, "platform": false,
    }))
    .unwrap()
}

fn models() -> Vec<Model> {
    vec![
        model(ONE, 0, "one-fast", "fast", 100_000),
        model(ONE, 0, "one-balanced", "balanced", 1_000_000),
        model(ONE, 0, "one-best", "best", 5_000_000),
        model(TWO, 1, "two-fast", "fast", 50_000),
        model(TWO, 1, "two-balanced", "balanced", 800_000),
    ]
}

const WANTED: Wanted = Wanted {
    agent_tier: Tier::Balanced,
    effort: Effort::Usual,
    cheaper: true,
    tight: false,
    input_tokens: 2_000,
    max_output_tokens: 700,
};
const PLENTY: Left = Left { microusd: 10_000_000, tokens: 1_000_000 };

fn names(choices: &[Choice]) -> Vec<&str> {
    choices.iter().map(Choice::model).collect()
}

#[track_caller]
fn check(wanted: Wanted, left: Left, health: &Health, first: &str, reason: Reason) {
    let ranked = rank(&models(), &wanted, left, health);
    let choice = ranked.first().map(|choice| (choice.model(), choice.reason()));
    assert_eq!(choice, Some((first, reason)));
}

#[test]
fn decisions() {
    let well = Health::default();
    let health = |state: &str| Health::read(&[json!(ONE), json!(state)]);
    check(WANTED, PLENTY, &well, "one-balanced", Reason::Tier);
    check(Wanted { agent_tier: Tier::Best, ..WANTED }, PLENTY, &well, "one-best", Reason::Tier);
    check(Wanted { effort: Effort::Easy, ..WANTED }, PLENTY, &well, "one-fast", Reason::Easy);
    check(Wanted { tight: true, ..WANTED }, PLENTY, &well, "one-fast", Reason::Thrift);
    let hard = Wanted { tight: true, effort: Effort::Hard, ..WANTED };
    check(hard, PLENTY, &well, "one-balanced", Reason::Tier);
    let strict = Wanted { effort: Effort::Easy, tight: true, cheaper: false, ..WANTED };
    check(strict, PLENTY, &well, "one-balanced", Reason::Tier);
    // 2,000 tokens at a dollar a million are 2,000 micro-dollars; at a tenth of that the fast one fits.
    check(WANTED, Left { microusd: 500, ..PLENTY }, &well, "one-fast", Reason::NearestTier);
    check(WANTED, PLENTY, &health("open"), "two-balanced", Reason::Tier);
    check(WANTED, PLENTY, &health("probe"), "one-balanced", Reason::Probe);
}

#[test]
fn the_order_of_what_comes_after() {
    let ranked = rank(&models(), &WANTED, PLENTY, &Health::default());
    assert_eq!(names(&ranked), ["one-balanced", "two-balanced", "one-fast", "two-fast", "one-best"]);
    let strict = rank(&models(), &Wanted { cheaper: false, ..WANTED }, PLENTY, &Health::default());
    assert_eq!(names(&strict), ["one-balanced", "two-balanced", "one-best"]);
}

#[test]
fn an_answer_is_cut_to_what_is_left_and_one_too_short_is_none() {
    let only = [model(ONE, 0, "m", "balanced", 1_000_000)];
    let longest = |microusd| {
        rank(&only, &WANTED, Left { microusd, ..PLENTY }, &Health::default())
            .first()
            .map(Choice::max_output_tokens)
    };
    assert_eq!(longest(1_000_000), Some(700));
    assert_eq!(longest(2_000 + 4 * 200), Some(200));
    assert_eq!(longest(2_000 + 4 * 64), Some(64));
    assert_eq!(longest(2_000 + 4 * 64 - 1), None);
    assert_eq!(longest(1_999), None);
    let few = Left { tokens: 2_100, ..PLENTY };
    assert_eq!(rank(&only, &WANTED, few, &Health::default())[0].max_output_tokens(), 100);
}

#[test]
fn the_operator_s_models_come_after_all_of_the_company_s() {
    let mut all = models();
    let mut platform = model("00000000-0000-0000-0000-000000000000", -5, "platform", "balanced", 1);
    platform.platform = true;
    all.insert(0, platform);
    let ranked = rank(&all, &WANTED, PLENTY, &Health::default());
    assert_eq!(ranked.last().map(|c| (c.model(), c.reason())), Some(("platform", Reason::Platform)));
}

#[test]
fn efforts() {
    let check =
        |question: &str, answered, effort| assert_eq!(Effort::of(question, answered), effort, "{question}");
    check("What are your hours?", true, Effort::Easy);
    check("What are your hours?", false, Effort::Usual);
    check("Hours? And prices?", true, Effort::Usual);
    check("Hours? Prices? Parking?", true, Effort::Hard);
    check(&"long ".repeat(130), false, Effort::Hard);
}

#[test]
fn bounds() {
    let bounds = Bounds::of(&models(), 30_000, 700);
    // The dearest model: 30,000 × $5 and 700 × $20 a million. The cheapest: 1,000 × $0.05 and 64 × $0.20.
    assert_eq!(bounds.to_string(), "164000:63:30700:1064");
    assert_eq!(Bounds::of(&[], 30_000, 700).to_string(), "0:0:30700:1064");
}

proptest! {
    #[test]
    fn no_choice_costs_more_than_what_is_left(
        microusd in 0..20_000_u64, tokens in 0..5_000_u64, input_tokens in 0..4_000_u32, max_output_tokens in 16..900_u32,
        easy: bool, tight: bool, cheaper: bool, tier in 0..3_usize,
    ) {
        let wanted = Wanted {
            agent_tier: [Tier::Fast, Tier::Balanced, Tier::Best][tier],
            effort: if easy { Effort::Easy } else { Effort::Usual },
            cheaper, tight, input_tokens, max_output_tokens,
        };
        for choice in rank(&models(), &wanted, Left { microusd, tokens }, &Health::default()) {
            let bound = choice.bound();
            prop_assert!(choice.cost_microusd(bound) <= microusd);
            prop_assert!(u64::from(bound.input_tokens) + u64::from(bound.output_tokens) <= tokens);
            prop_assert!(bound.output_tokens <= max_output_tokens);
            prop_assert!(cheaper || choice.model.tier >= wanted.agent_tier);
        }
    }
}
