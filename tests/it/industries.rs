//! Every industry, signed up for over HTTP: its customers' questions reach the right knowledge, and what it must not answer it does not.

use std::collections::BTreeMap;

use bulkhead_tests::company::{Company, event};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use futures_util::StreamExt;
use futures_util::stream;
use http::Method;
use serde_json::json;

/// A golden question of an industry, with the question of the entry that answers it; none if nothing must.
struct Golden {
    question: String,
    entry: Option<String>,
}

/// How an industry did.
#[derive(Debug, Default)]
struct Score {
    asked: usize,
    /// The model was given the entry that answers.
    reached: usize,
    refusals: usize,
    /// Without a model nothing was answered.
    refused: usize,
}

#[tokio::test]
async fn each_of_them_answers_its_golden_questions() {
    let stand = Stand::get();
    let goldens = goldens(stand).await;
    assert_eq!(goldens.len(), 52);
    // Two at a time: as many as there are cores on a small machine.
    let scores: Vec<(String, Score)> = stream::iter(goldens)
        .map(|(industry, goldens)| async move {
            let score = ask(stand, &industry, &goldens).await;
            (industry, score)
        })
        .buffer_unordered(2)
        .collect()
        .await;
    let sum = |of: fn(&Score) -> usize| scores.iter().map(|(_, score)| of(score)).sum::<usize>();
    let (asked, reached) = (sum(|score| score.asked), sum(|score| score.reached));
    assert!(asked >= 520, "only {asked} questions");
    assert!(reached * 100 >= asked * 95, "{reached} of {asked} questions reach their entry");
    for (industry, score) in &scores {
        assert!(score.reached * 100 >= score.asked * 85, "{industry}: {score:?}");
    }
    let (refusals, refused) = (sum(|score| score.refusals), sum(|score| score.refused));
    assert!(refused * 100 >= refusals * 90, "{refused} of {refusals} that nothing must answer");
    tally("6 knowledge", "golden questions that reached their entry over HTTP", reached, 500);
    tally("6 knowledge", "questions that nothing answered, as it must be", refused, 140);
}

async fn ask(stand: &'static Stand, industry: &str, goldens: &[Golden]) -> Score {
    let company = Company::new(stand, industry).await;
    let generous = json!({ "visitor_turns_per_minute": 600, "daily_limit_microusd": 500_000_000 });
    company.owner(Method::PATCH, "/v1/budget", Some(generous), 200).await;
    let visitor = company.visitor().await;
    let mut score = Score::default();
    for golden in goldens.iter().filter(|golden| golden.entry.is_none()) {
        let events = visitor.ask(&golden.question).await;
        score.refusals += 1;
        score.refused += usize::from(event(&events, "done")["source"] == "none");
    }
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    company.provider("openai", &key).await;
    for golden in goldens {
        let Some(entry) = &golden.entry else { continue };
        let entry = entry.replace("{{company}}", &format!("Company {}", company.slug));
        visitor.ask(&golden.question).await;
        let told = stand.upstream.requests(&key).pop().unwrap().body;
        let told = told["messages"][0]["content"].as_str().unwrap().to_owned();
        score.asked += 1;
        score.reached += usize::from(told.contains(&format!("Q: {entry}\n")));
    }
    score
}

async fn goldens(stand: &Stand) -> BTreeMap<String, Vec<Golden>> {
    let (client, connection) =
        tokio_postgres::connect(&stand.owner_database_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "select g.template, g.question, e.question from template_goldens g
               left join template_entries e on e.template = g.template and e.slug = g.entry
               order by g.template, g.position";
    let mut goldens = BTreeMap::<String, Vec<Golden>>::new();
    for row in client.query(sql, &[]).await.unwrap() {
        goldens.entry(row.get(0)).or_default().push(Golden { question: row.get(1), entry: row.get(2) });
    }
    goldens
}
