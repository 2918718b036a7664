//! Search as the worker runs it: misspelt words, phrases of the trade, and the company's own edits before its template.

use bulkhead::knowledge::{ANSWER_SCORE, KNOWLEDGE_SEARCH};
use bulkhead_tests::company::{Company, event};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::json;

/// A company, and a conversation of a visitor's with its default agent.
struct Talk {
    company: Company,
    conversation: String,
    visitor: String,
}

impl Talk {
    async fn new(industry: &str) -> Self {
        let company = Company::new(Stand::get(), industry).await;
        let events = company.visitor().await.ask("Hello").await;
        let conversation = event(&events, "start")["conversation_id"].as_str().unwrap().to_owned();
        let sql = format!(
            "select visitor_id::text from conversations
             where company_id = $1::text::uuid and conversation_id = '{conversation}'"
        );
        let visitor = company.rows(&sql).await[0].get(0);
        Self { company, conversation, visitor }
    }

    /// What is found, best first: the entries' questions, answers and scores. As the worker's role.
    async fn found(&self, question: &str) -> Vec<(String, String, f64)> {
        let url = &self.company.stand.worker_database_url;
        let (mut client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let transaction = client.transaction().await.unwrap();
        let company = &self.company.id;
        transaction
            .execute("select set_config('app.current_company_id', $1, true)", &[company])
            .await
            .unwrap();
        let sql = KNOWLEDGE_SEARCH
            .text()
            .replace("$2", "$Q")
            .replace("$1", &format!("'{company}'::uuid"))
            .replace("$3", &format!("'{}'::uuid", self.conversation))
            .replace("$4", &format!("'{}'::uuid", self.visitor))
            .replace("$5", "null")
            .replace("$Q", "$1::text");
        let rows = transaction.query(&sql, &[&question]).await.unwrap();
        rows.iter().map(|row| (row.get("question"), row.get("answer"), row.get("score"))).collect()
    }
}

#[tokio::test]
async fn misspelt_words_find_what_was_meant() {
    let talk = Talk::new("plumbing").await;
    for (right, wrong) in [
        ("my faucet drips", "my fawcet drips"),
        ("my toilet keeps running", "my toilett keeps runing"),
        ("does insurance cover a burst pipe", "does insurrance cover a burst pipe"),
        ("do you give discounts to seniors", "do you give discouunts to seniors"),
        ("what does a tankless heater cost", "what does a tanklless heeater cost"),
    ] {
        let (right, wrong) = (talk.found(right).await, talk.found(wrong).await);
        assert_eq!(
            right.first().map(|hit| &hit.0),
            wrong.first().map(|hit| &hit.0),
            "{right:?} and {wrong:?}"
        );
    }
    // A word of nobody's is corrected to nothing: an entry that shares only small words must not answer.
    let nonsense = talk.found("can you fix my qzxwvk").await;
    assert!(nonsense.iter().all(|hit| hit.2 < ANSWER_SCORE), "{nonsense:?}");
    // Signs that mean something to the query language are words or nothing.
    for text in ["'", "\\", "a\\'b", "!!! & | <-> :*", "it's a \\ drain", "''''", "x:ab & y", "o'neil's \\'"]
    {
        talk.found(text).await;
    }
}

#[tokio::test]
async fn another_word_for_the_same_thing_finds_it() {
    let talk = Talk::new("plumbing").await;
    let ask = "how much for a new zorbulator";
    let about = |hits: &[(String, String, f64)]| {
        hits.first().is_some_and(|hit| hit.0.contains("water heater") && hit.2 >= ANSWER_SCORE)
    };
    let before = talk.found(ask).await;
    assert!(!about(&before), "{before:?}");
    let term = json!({ "term": "zorbulator", "meaning": "A water heater.", "synonyms": "Water heater" });
    let made = talk.company.owner(Method::POST, "/v1/terms", Some(term), 201).await;
    let after = talk.found(ask).await;
    assert!(about(&after), "{after:?}");
    // The phrases follow the term: changed with it, gone with it.
    let path = format!("/v1/terms/{}", made["term_id"].as_str().unwrap());
    let change = json!({ "synonyms": "sump pump" });
    talk.company.owner(Method::PATCH, &path, Some(change), 200).await;
    let changed = talk.found(ask).await;
    assert!(!about(&changed), "{changed:?}");
    talk.company.owner(Method::DELETE, &path, None, 204).await;
    assert_eq!(talk.found(ask).await, before);
}

#[tokio::test]
async fn what_the_company_wrote_comes_before_what_its_template_says() {
    let talk = Talk::new("plumbing").await;
    let ask = "what is the warranty on your work";
    let (best, ..) = talk.found(ask).await.remove(0);
    // The same entry twice, so that nothing but its origin tells them apart.
    let sql = format!(
        "insert into knowledge_entries (company_id, entry_id, category_id, slug, question, answer, keywords, origin, origin_version)
         select company_id, gen_random_uuid(), category_id, 'twin', question, 'Edited: ' || answer, keywords, 'company', 1
         from knowledge_entries where company_id = $1::text::uuid and question = '{}' returning 1",
        best.replace('\'', "''")
    );
    assert_eq!(talk.company.rows(&sql).await.len(), 1);
    let hits = talk.found(ask).await;
    assert_eq!((&hits[0].0, &hits[1].0), (&best, &best), "{hits:?}");
    assert!(hits[0].1.starts_with("Edited: ") && !hits[1].1.starts_with("Edited: "), "{hits:?}");
    // Turned round, the order turns round: it is the origin that counts.
    let turn =
        "update knowledge_entries set origin = case slug when 'twin' then 'template' else 'company' end
                where company_id = $1::text::uuid and question = (select question from knowledge_entries
                    where company_id = $1::text::uuid and slug = 'twin') returning 1";
    talk.company.rows(turn).await;
    let hits = talk.found(ask).await;
    assert!(!hits[0].1.starts_with("Edited: "), "{hits:?}");
}
