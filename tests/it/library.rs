//! The library: what a search finds, texts that wait for a person, questions asked in vain.

use bulkhead_tests::company::{Company, event, text};
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::run;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use futures_util::future::join;
use http::Method;
use serde_json::{Value, json};

/// A word that nothing else has. Of letters alone: what digits in a word are to a search is another test's business.
fn word() -> String {
    let digits = uuid::Uuid::new_v4().simple().to_string();
    let letters = digits.bytes().take(12).map(|digit| match digit {
        b'0'..=b'9' => char::from(digit - b'0' + b'k'),
        _ => char::from(digit),
    });
    format!("zq{}", letters.collect::<String>())
}

async fn get(company: &Company, path: &str) -> Value {
    company.owner(Method::GET, path, None, 200).await
}

async fn post(company: &Company, path: &str, body: Value, status: u16) -> Value {
    company.owner(Method::POST, path, Some(body), status).await
}

/// Whether the company's chat cites an entry for a question, without a model.
async fn answered(company: &Company, question: &str) -> String {
    let events = company.visitor().await.ask(question).await;
    let done = event(&events, "done");
    if done["source"] == "knowledge" { text(&events) } else { String::new() }
}

fn section(heading: &str, word: &str) -> String {
    format!("# {heading}\n\n{}\n\n", format!("Our {word} is what people come for. ").repeat(6))
}

async fn drafts(company: &Company) -> Vec<Value> {
    get(company, "/v1/knowledge/drafts").await["drafts"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_search_is_tried_as_the_chat_would_do_it() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let word = word();
    let entry = json!({ "category": "pricing", "question": format!("What does a {word} cost?"), "answer": "It costs $7." });
    let entry = post(&company, "/v1/knowledge", entry, 201).await;
    let found = get(&company, &format!("/v1/knowledge/search?q=what+does+a+{word}+cost")).await;
    let first = &found["hits"][0];
    assert_eq!((&first["entry_id"], &first["rank"]), (&entry["entry_id"], &json!(1)), "{found}");
    assert_eq!(
        (&first["layer"], &first["cited"], &first["answers"]),
        (&json!("company"), &json!(true), &json!(true))
    );
    assert_eq!(found["without_model"], "It costs $7.");
    assert_eq!(answered(&company, &format!("What does a {word} cost?")).await, "It costs $7.");
    // Every question finds what the chat finds, in its order.
    for question in ["do you fix leaks", "emergency at night", "are you insured"] {
        let found = get(&company, &format!("/v1/knowledge/search?q={}", question.replace(' ', "+"))).await;
        let chat = answered(&company, question).await;
        assert_eq!(found["without_model"].as_str().unwrap_or_default(), chat, "{question}");
        let layers: Vec<&str> =
            found["hits"].as_array().unwrap().iter().map(|hit| hit["layer"].as_str().unwrap()).collect();
        assert!(layers.iter().all(|layer| ["company", "template", "platform"].contains(layer)), "{layers:?}");
    }
    // An agent that may not see the category does not find it; one that is not there is not there.
    let narrow = json!({ "slug": "narrow", "name": "N", "role": "r", "instructions": "i", "tier": "fast", "scope": ["faq"] });
    post(&company, "/v1/agents", narrow, 201).await;
    let found = get(&company, &format!("/v1/knowledge/search?agent=narrow&q={word}")).await;
    assert!(
        found["hits"].as_array().unwrap().iter().all(|hit| hit["entry_id"] != entry["entry_id"]),
        "{found}"
    );
    company.owner(Method::GET, "/v1/knowledge/search?q=x&agent=nobody", None, 404).await;
    let long = format!("/v1/knowledge/search?q={}", "x".repeat(4_001));
    company.owner(Method::GET, &long, None, 400).await;
    // With answers by itself turned off, the trial says so.
    company.owner(Method::PATCH, "/v1/budget", Some(json!({ "knowledge_answers": false })), 200).await;
    let found = get(&company, &format!("/v1/knowledge/search?q={word}")).await;
    assert_eq!((&found["without_model"], &found["hits"][0]["answers"]), (&Value::Null, &json!(true)));
    // Another company's word is nobody's here.
    let other = Company::new(Stand::get(), "plumbing").await;
    assert_eq!(get(&other, &format!("/v1/knowledge/search?q={word}")).await["hits"], json!([]));
}

#[tokio::test]
async fn entries_are_listed_by_word_category_and_page() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let whole = get(&company, "/v1/knowledge").await;
    let all = whole["entries"].as_array().unwrap();
    assert_eq!(whole["total"], all.len());
    let mut paged = Vec::new();
    for from in (0..all.len()).step_by(30) {
        let page = get(&company, &format!("/v1/knowledge?limit=30&from={from}")).await;
        assert_eq!(page["total"], all.len());
        paged.extend(page["entries"].as_array().unwrap().clone());
    }
    assert_eq!(&paged, all);
    let count = |entries: &[Value], wanted: &dyn Fn(&Value) -> bool| {
        entries.iter().filter(|entry| wanted(entry)).count()
    };
    let whole = |entry: &Value| {
        format!("{} {} {}", entry["question"], entry["answer"], entry["keywords"]).to_lowercase()
    };
    for (query, wanted) in [
        ("category=pricing", &(|entry: &Value| entry["category"] == "pricing") as &dyn Fn(&Value) -> bool),
        ("confirm=true", &|entry| entry["to_confirm"] == true),
        ("q=WATER+heater", &|entry| whole(entry).contains("water") && whole(entry).contains("heater")),
        ("q=100%25", &|entry| whole(entry).contains("100%")),
        ("category=nothing", &|_| false),
        ("q=_", &|entry| whole(entry).contains('_')),
    ] {
        let page = get(&company, &format!("/v1/knowledge?{query}")).await;
        let expected = count(all, wanted);
        assert_eq!(page["entries"].as_array().unwrap().len(), expected, "{query}");
        assert_eq!(page["total"], expected, "{query}");
    }
}

#[tokio::test]
async fn nobody_finds_a_draft_before_a_person_approves_it() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    let (one, two) = (word(), word());
    let document =
        format!("{}{}", section(&format!("Is {one} good?"), &one), section(&format!("Is {two} good?"), &two));
    let told = post(&company, "/v1/knowledge/import", json!({ "text": document }), 200).await;
    assert_eq!((&told["found"], &told["added"]), (&json!(2), &json!(2)), "{told}");
    // Again, and with other spaces and signs: nothing new.
    for again in [document.clone(), document.replace(". ", " … ")] {
        let told = post(&company, "/v1/knowledge/import", json!({ "text": again }), 200).await;
        assert_eq!((&told["found"], &told["added"]), (&json!(2), &json!(0)), "{told}");
    }
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    let unseen = async |word: &str| {
        let question = format!("Is {word} good?");
        // Another entry may fit some of its words; the draft's own word is in the draft alone.
        assert!(!answered(&company, &question).await.contains(word), "{word}");
        let found = get(&company, &format!("/v1/knowledge/search?q={word}")).await;
        assert!(!found.to_string().contains("what people come for"), "{found}");
        assert!(!get(&company, "/v1/knowledge").await.to_string().contains(word));
        let page = stand.http(&company.host(), Method::GET, "/").send().await.unwrap().text().await.unwrap();
        assert!(!page.contains(word), "on the site");
    };
    unseen(&one).await;
    let waiting = drafts(&company).await;
    assert_eq!(waiting.len(), 2);
    // Those of one document are in its order.
    assert!(waiting[0]["question"].as_str().unwrap().contains(&one), "{waiting:?}");
    let id = |word: &str| {
        let draft = waiting.iter().find(|draft| draft["question"].as_str().unwrap().contains(word)).unwrap();
        draft["draft_id"].as_str().unwrap().to_owned()
    };
    // Changed, it is still a draft.
    let path = format!("/v1/knowledge/drafts/{}", id(&one));
    let changed = json!({ "answer": format!("Our {one} is very good."), "category": "pricing" });
    let draft = company.owner(Method::PATCH, &path, Some(changed), 200).await;
    assert_eq!((&draft["category"], &draft["source"]), (&json!("pricing"), &json!("text")));
    company.owner(Method::PATCH, &path, Some(json!({ "category": "none-such" })), 404).await;
    company.owner(Method::PATCH, &path, Some(json!({ "answer": " " })), 400).await;
    unseen(&one).await;
    // A model is not told of it either.
    company.provider("openai", &key).await;
    company.visitor().await.ask(&format!("Is {one} good?")).await;
    let asked = stand.upstream.requests(&key);
    assert!(!asked.is_empty() && asked.iter().all(|asked| !asked.body.to_string().contains("very good")));
    company.rows("delete from providers where company_id = $1::text::uuid returning 1").await;

    let approved = post(&company, &format!("{path}/approve"), json!({}), 200).await;
    assert_eq!(approved["entry_id"], id(&one));
    assert_eq!(answered(&company, &format!("Is {one} good?")).await, format!("Our {one} is very good."));
    post(&company, &format!("{path}/approve"), json!({}), 404).await;
    unseen(&two).await;
    // What is an entry is not imported again.
    let entry = format!("# Is {one} good?\nOur {one} is very good.");
    let told = post(&company, "/v1/knowledge/import", json!({ "text": entry }), 200).await;
    assert_eq!((&told["found"], &told["added"]), (&json!(1), &json!(0)), "{told}");

    // All at once; another company's ids do nothing.
    let other = Company::new(stand, "plumbing").await;
    post(&other, "/v1/knowledge/import", json!({ "text": section("Is theirs good?", &word()) }), 200).await;
    let theirs = drafts(&other).await[0]["draft_id"].as_str().unwrap().to_owned();
    let both = json!({ "drafts": [id(&two), theirs, "no-id"] });
    assert_eq!(post(&company, "/v1/knowledge/drafts/approve", both.clone(), 200).await["approved"], 1);
    assert_eq!(post(&company, "/v1/knowledge/drafts/discard", both, 200).await["discarded"], 0);
    assert_eq!(drafts(&other).await.len(), 1);
    assert!(drafts(&company).await.is_empty());
    for wrong in [json!({ "drafts": [] }), json!({ "drafts": vec!["x"; 51] }), json!({})] {
        post(&company, "/v1/knowledge/drafts/approve", wrong, 400).await;
    }
    let path = format!("/v1/knowledge/drafts/{theirs}");
    company.owner(Method::DELETE, &path, None, 404).await;
    other.owner(Method::DELETE, &path, None, 204).await;
    other.owner(Method::DELETE, &path, None, 404).await;
}

#[tokio::test]
async fn a_document_has_its_limits_and_its_formats() {
    let company = Company::new(Stand::get(), "plumbing").await;
    let import = |text: String| json!({ "text": text });
    post(&company, "/v1/knowledge/import", import(" \n".into()), 400).await;
    post(&company, "/v1/knowledge/import", import("x".repeat(200_001)), 400).await;
    post(&company, "/v1/knowledge/import", import("x".repeat(700_000)), 413).await;
    post(&company, "/v1/knowledge/import", json!({ "text": section("A", "b"), "category": "none" }), 400)
        .await;
    post(&company, "/v1/knowledge/import", json!({ "text": "x", "html": true }), 400).await;
    assert!(drafts(&company).await.is_empty());
    // A long one is more than any other request may bring.
    let word = word();
    let long: String = (0..40).map(|n| section(&format!("Question {n}?"), &format!("{word}{n}"))).collect();
    let long = format!("{long}{}", "\n".repeat(90_000));
    assert_eq!(post(&company, "/v1/knowledge/import", import(long), 200).await["added"], 40);
    let html = format!(
        "<!doctype html><title>T</title><nav>Home</nav><script>alert('{word}')</script>
         <h2>Is it safe &amp; sound?</h2><p>Yes, it <b>is</b>.<img src=x onerror=alert(1)>"
    );
    post(&company, "/v1/knowledge/import", import(html), 200).await;
    let last = get(&company, "/v1/knowledge/drafts?from=40").await;
    assert_eq!(last["total"], 41);
    let draft = &last["drafts"][0];
    assert_eq!(
        (&draft["question"], &draft["answer"]),
        (&json!("Is it safe & sound?"), &json!("Yes, it is."))
    );
    // No more than 500 wait.
    let sql = "insert into knowledge_drafts (company_id, draft_id, category_id, source, question, answer)
               select company_id, gen_random_uuid(), category_id, 'text', 'q', 'Answer ' || n
               from (select * from knowledge_categories where company_id = $1::text::uuid limit 1) c, generate_series(1, 458) n
               returning 1";
    company.rows(sql).await;
    let more = format!("{}{}", section("One?", "oneword"), section("Two?", "twoword"));
    assert_eq!(post(&company, "/v1/knowledge/import", import(more), 200).await["added"], 1);
}

#[tokio::test]
async fn what_visitors_ask_in_vain_is_answered_drafted_or_dismissed() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    let (one, two) = (word(), word());
    for question in [format!("Do you sell {one}?"), format!("do you sell {one}"), format!("Why {two}?")] {
        assert_eq!(answered(&company, &question).await, "");
    }
    let list = async || get(&company, "/v1/unanswered").await["questions"].as_array().unwrap().clone();
    let asked = list().await;
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(
        (&asked[0]["times"], &asked[0]["question"]),
        (&json!(2), &json!(format!("do you sell {one}")))
    );
    let path = |at: usize| format!("/v1/unanswered/{}", asked[at]["unanswered_id"].as_str().unwrap());
    assert_eq!(get(&company, &path(1)).await["question"], format!("Why {two}?"));

    // An answer of a person's is known at once. The same key answers once.
    let entry = json!({ "category": "faq", "question": format!("Do you sell {one}?"), "answer": format!("We sell {one}.") });
    post(
        &company,
        &format!("{}/answer", path(0)),
        json!({ "category": "none", "question": "q", "answer": "a" }),
        400,
    )
    .await;
    let key = uuid::Uuid::new_v4().to_string();
    for replayed in [false, true] {
        let request = company.request(&company.owner, Method::POST, &format!("{}/answer", path(0)));
        let response = request.header("idempotency-key", &key).json(&entry).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers().contains_key("idempotency-replayed")),
            (201, replayed)
        );
    }
    assert_eq!(answered(&company, &format!("Do you sell {one}?")).await, format!("We sell {one}."));
    assert_eq!(list().await.len(), 1);
    // Dismissed, it does not come again, however often it is asked.
    company.owner(Method::DELETE, &path(1), None, 204).await;
    answered(&company, &format!("Why {two}?")).await;
    assert!(list().await.is_empty());
    // A question of nobody's gets no entry.
    let entries = get(&company, "/v1/knowledge").await["total"].clone();
    let nobody = format!("/v1/unanswered/{}/answer", uuid::Uuid::new_v4());
    post(&company, &nobody, entry, 404).await;
    assert_eq!(get(&company, "/v1/knowledge").await["total"], entries);
    // Whoever may not read conversations does not read what was asked in them.
    let member = company.person("member").await;
    let member = company.sign_in(&member.email).await.0;
    assert_eq!(company.call(&member, Method::GET, "/v1/unanswered", None).await.0, 200);
    let denied = json!({ "role": "member", "permission": "conversations.read", "allowed": false });
    company.owner(Method::PATCH, "/v1/roles", Some(denied), 200).await;
    assert_eq!(company.call(&member, Method::GET, "/v1/unanswered", None).await.0, 403);
}

#[tokio::test]
async fn a_model_drafts_within_the_budget_and_publishes_nothing() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    let (word, lost) = (word(), word());
    // What is known is near, but does not answer.
    let near = json!({ "category": "faq", "question": format!("Where is the {word} shop?"), "answer": format!("The {word} shop is in Main Street. {lost}") });
    post(&company, "/v1/knowledge", near, 201).await;
    let question = format!("May giraffes swim in {word}?");
    assert_eq!(answered(&company, &question).await, "");
    let nothing_near = format!("Qzxjk vwpfh {}", self::word());
    assert_eq!(answered(&company, &nothing_near).await, "");
    let asked = get(&company, "/v1/unanswered").await["questions"].as_array().unwrap().clone();
    let path = |text: &str| {
        let row = asked.iter().find(|row| row["question"] == text).unwrap();
        format!("/v1/unanswered/{}/draft", row["unanswered_id"].as_str().unwrap())
    };
    let refused = async |path: &str, sentence: &str| {
        let problem = post(&company, path, json!({}), 409).await;
        assert!(problem["detail"].as_str().unwrap().contains(sentence), "{problem}");
    };
    refused(&path(&question), "no model yet").await;
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    company.provider("openai", &key).await;
    refused(&path(&nothing_near), "Nothing that you know").await;
    company.owner(Method::PATCH, "/v1/budget", Some(json!({ "daily_limit_microusd": 0 })), 200).await;
    refused(&path(&question), "budget").await;
    assert!(stand.upstream.requests(&key).is_empty(), "a model was called");
    company.owner(Method::PATCH, "/v1/budget", Some(json!({ "daily_limit_microusd": 2_000_000 })), 200).await;

    let draft = post(&company, &path(&question), json!({}), 201).await;
    assert_eq!((&draft["source"], &draft["question"]), (&json!("model"), &json!(question)));
    let sent = stand.upstream.requests(&key);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].texts[0].contains(&lost) && sent[0].texts[0].contains("never an instruction"));
    assert_eq!(sent[0].texts.last().unwrap(), &question);
    // It was paid for, once, and nothing is reserved any more.
    let spent = company
        .rows(
            "select cost_microusd, conversation_id::text from usage_ledger where company_id = $1::text::uuid",
        )
        .await;
    assert_eq!(spent.len(), 1);
    assert!(spent[0].get::<_, i64>(0) > 0);
    // Asked for again, it is the same draft, and costs nothing.
    let again = post(&company, &path(&question), json!({}), 200).await;
    assert_eq!(again["draft_id"], draft["draft_id"]);
    assert_eq!(stand.upstream.requests(&key).len(), 1);
    assert_eq!(
        get(&company, "/v1/unanswered").await["questions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["drafted"] == true)
            .count(),
        1
    );
    // Nobody finds it.
    let found = get(&company, "/v1/knowledge/search?q=may+giraffes+swim").await;
    assert!(!found.to_string().contains("Thank you for asking"), "{found}");
    // Approved, it answers, and the question is settled.
    let approve = format!("/v1/knowledge/drafts/{}/approve", draft["draft_id"].as_str().unwrap());
    post(&company, &approve, json!({}), 200).await;
    let left = get(&company, "/v1/unanswered").await;
    assert!(!left.to_string().contains("giraffes"), "{left}");
    company.rows("delete from providers where company_id = $1::text::uuid returning 1").await;
    assert!(answered(&company, &question).await.contains("Thank you for asking"));
}

#[tokio::test]
async fn a_provider_that_fails_leaves_no_draft_and_no_debt() {
    let stand = Stand::get();
    let company = Company::new(stand, "plumbing").await;
    for (behaviour, spends) in [("500", 0), ("401", 0), ("cut", 1), ("garbage", 1), ("page", 1)] {
        let word = word();
        let near = json!({ "category": "faq", "question": format!("Where is the {word} shop?"), "answer": "Main Street." });
        post(&company, "/v1/knowledge", near, 201).await;
        let question = format!("May giraffes swim in {word}?");
        assert_eq!(answered(&company, &question).await, "");
        let key = format!("test-{behaviour}-{}", uuid::Uuid::new_v4().simple());
        company.provider("openai", &key).await;
        company.rows("delete from usage_ledger where company_id = $1::text::uuid returning 1").await;
        let digest =
            company.rows(&format!("select text_digest('{question}')::text where $1::text is not null")).await;
        let path = format!("/v1/unanswered/{}/draft", digest[0].get::<_, String>(0));
        let problem = post(&company, &path, json!({}), 409).await;
        assert!(problem["detail"].as_str().unwrap().contains("No model answered"), "{behaviour}: {problem}");
        assert!(drafts(&company).await.is_empty(), "{behaviour}");
        let spent = company.rows("select from usage_ledger where company_id = $1::text::uuid").await;
        assert!(spent.len() >= spends, "{behaviour}: {} calls in the ledger", spent.len());
        company.rows("delete from providers where company_id = $1::text::uuid returning 1").await;
        // The breaker's memory is the day's hash; the next behaviour is another provider.
    }
    tally("7 budget", "ways in which a model fails at a draft", 5, 5);
}

#[test]
fn a_session_that_ends_while_a_model_drafts_leaves_what_it_cost_and_no_draft() {
    run(async {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        let (owner, visitor, word) = (core.owner(&company).await, core.visitor(&company).await, word());
        let near = json!({ "category": "faq", "question": format!("Where is the {word} shop?"), "answer": "Main Street." });
        assert_eq!(core.call(&company, "POST", "/v1/knowledge", &owner, Some(near)).await.0, 201);
        let question = format!("May giraffes swim in {word}?");
        let ask = Some(json!({ "message": question }));
        read(core.serve(&company, "POST", "/v1/chat", &visitor, ask).await.into_body()).await;
        let key = format!("test-steps-{}", uuid::Uuid::new_v4().simple());
        core.provider(&company, &key).await;
        let digest = format!("select text_digest('{question}')::text where $1::text is not null");
        let digest: String = company.rows(&digest).await[0].get(0);
        let path = format!("/v1/unanswered/{digest}/draft");
        let ends = async {
            let asked = core.stand.upstream.until(|seen| !seen.requests(&key).is_empty());
            tokio::time::timeout(std::time::Duration::from_secs(60), asked).await.expect("a model is asked");
            let ended =
                "update sessions set revoked_at = now() where company_id = $1::text::uuid returning 1";
            assert!(!company.rows(ended).await.is_empty());
            core.stand.upstream.step(&key, 1_000);
        };
        let ((status, problem), ()) = join(core.call(&company, "POST", &path, &owner, None), ends).await;
        assert_eq!(status, 401, "{problem}");
        let drafts = company.rows("select from knowledge_drafts where company_id = $1::text::uuid").await;
        assert!(drafts.is_empty());
        let ledger = "select sum(cost_microusd)::bigint from usage_ledger where company_id = $1::text::uuid";
        let ledger: Option<i64> = company.rows(ledger).await[0].get(0);
        let spent = super::budget::spent(&company).await;
        assert!(spent > 0);
        assert_eq!((ledger, super::budget::held(&company).await), (i64::try_from(spent).ok(), 0));
    });
}
