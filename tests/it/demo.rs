//! What `./scripts/demo-budget` shows: a company that has spent its day, beside one that has not noticed.

#![expect(clippy::print_stdout, reason = "it is for people to look at")]

use bulkhead_tests::company::{Company, event};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn one_company_spends_its_day_and_the_other_is_untouched() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    for company in [&acme, &bright] {
        company.provider("openai", &format!("test-ok-{}", uuid::Uuid::new_v4().simple())).await;
        company
            .rows(
                "update provider_models set input_microusd_per_mtok = 0, output_microusd_per_mtok = 1000000000
                 where company_id = $1::text::uuid returning 1",
            )
            .await;
    }
    // A turn costs about 8,000 micro-dollars here, and a day of acme's holds five.
    let small =
        json!({ "daily_limit_microusd": 40_000, "max_output_tokens": 16, "visitor_turns_per_minute": 600 });
    let large = json!({ "daily_limit_microusd": 4_000_000, "max_output_tokens": 16, "visitor_turns_per_minute": 600 });
    acme.owner(Method::PATCH, "/v1/budget", Some(small), 200).await;
    bright.owner(Method::PATCH, "/v1/budget", Some(large), 200).await;
    let (plumber, dentist) = (acme.visitor().await, bright.visitor().await);
    println!("turn | acme: answered by, spent of 40,000 | bright: answered by, spent of 4,000,000");
    let mut sources = Vec::new();
    for turn in 1..=8 {
        let mut line = format!("{turn:>4}");
        let mut pair = Vec::new();
        for (company, visitor) in [(&acme, &plumber), (&bright, &dentist)] {
            let done = event(&visitor.ask("What does a first visit cost?").await, "done").clone();
            let budget = company.owner(Method::GET, "/v1/budget", None, 200).await;
            let (source, spent) =
                (done["source"].as_str().unwrap().to_owned(), budget["spent_microusd"].as_u64().unwrap());
            line.push_str(&format!(" | {source:<9} {spent:>7}"));
            pair.push((source, spent));
        }
        println!("{line}");
        sources.push(pair);
    }
    assert!(sources.iter().all(|pair| pair[0].1 <= 40_000), "acme never spends more than its day holds");
    assert_ne!(sources.last().unwrap()[0].0, "model", "acme's day is spent");
    assert!(sources.iter().all(|pair| pair[1].0 == "model"), "bright notices nothing");
}
