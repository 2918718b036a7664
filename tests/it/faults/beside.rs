//! Faults beside a single turn: signing up, clocks that disagree, a request sent twice, a gateway that dies.

use bulkhead_tests::company::{Company, PASSWORD, event, read_events};
use bulkhead_tests::core::{Core, Gateway};
use bulkhead_tests::native::{Fault, Part, run};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::upstream;
use futures_util::future::join;
use serde_json::{Value, json};

#[test]
fn a_sign_up_is_whole_or_was_never_there() {
    run(async {
        let core = Core::new(Stand::get());
        let anyone = Company::new(core.stand, "plumbing").await;
        for fault in [Fault::Down, Fault::AnswerLost] {
            let slug = format!("fault-{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
            let body = json!({
                "company": "Fault & Sons", "slug": slug, "industry": "plumbing",
                "name": "Olive", "email": "o@fault.example", "password": PASSWORD,
            });
            let sign_up = || core.serve_at("localhost", "POST", "/v1/signup", "", Some(body.clone()));
            core.native.break_requests(Part::Postgres, fault);
            assert_eq!(sign_up().await.status(), 503, "{fault:?}");
            core.native.mend();
            let made = rows_of(&anyone, &slug).await;
            let again = sign_up().await.status().as_u16();
            match fault {
                Fault::Down => assert_eq!((made, again), (0, 201)),
                // It was made, whole, and only the answer was lost: whoever tries again is told that the name is taken.
                Fault::AnswerLost => assert!(made > 200 && again == 409, "{made} rows, then {again}"),
            }
            let whole = rows_of(&anyone, &slug).await;
            assert!(whole > 200, "{whole} rows");
        }
    });
}

/// How many rows the company at this slug has.
async fn rows_of(anyone: &Company, slug: &str) -> i64 {
    let tables = anyone.tables().await;
    let counts: Vec<String> = tables
        .iter()
        .map(|table| {
            format!("(select count(*) from {table} t where t.company_id in (select company_id from companies where slug = '{slug}'))")
        })
        .collect();
    anyone.rows(&format!("select {} where $1::text is not null", counts.join(" + "))).await[0].get(0)
}

#[test]
fn a_clock_that_is_off_lengthens_no_token() {
    run(async {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        let (owner, visitor) = (core.owner(&company).await, core.visitor(&company).await);
        let minute = 60_000;
        for (ahead, at_the_owner_s, at_the_visitor_s) in
            [(0, 200, 200), (10 * minute, 200, 200), (16 * minute, 401, 200), (13 * 60 * minute, 401, 401)]
        {
            core.native.set_ahead_ms(ahead);
            let (status, _) = core.call(&company, "GET", "/v1/company", &owner, None).await;
            assert_eq!(status, at_the_owner_s, "the owner, {ahead} ms ahead");
            let ask = json!({ "message": "Do you fix leaks?" });
            let response = core.serve(&company, "POST", "/v1/chat", &visitor, Some(ask)).await;
            assert_eq!(response.status(), at_the_visitor_s, "the visitor, {ahead} ms ahead");
        }
        // Behind, a token may be refused as one of the future; it is never an error of ours.
        core.native.set_ahead_ms(-10 * minute);
        let (status, _) = core.call(&company, "GET", "/v1/company", &owner, None).await;
        assert!([200, 401].contains(&status), "{status}");
    });
}

#[test]
fn a_request_sent_twice_at_once_is_two_turns_each_kept_and_charged_once() {
    run(async {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
        core.provider(&company, &key).await;
        let visitor = core.visitor(&company).await;
        let ask = || async {
            let ask = json!({ "message": "Do you fix leaks?" });
            let response = core.serve(&company, "POST", "/v1/chat", &visitor, Some(ask)).await;
            bulkhead_tests::core::read(response.into_body()).await
        };
        let (one, other) = join(ask(), ask()).await;
        for events in [&one, &other] {
            assert_eq!(event(events, "done")["source"], "model");
        }
        assert_eq!(core.stand.upstream.requests(&key).len(), 2);
        let count = async |sql: &str| company.rows(sql).await[0].get::<_, i64>(0);
        assert_eq!(count("select count(*) from messages where company_id = $1::text::uuid").await, 4);
        assert_eq!(count("select count(*) from usage_ledger where company_id = $1::text::uuid").await, 2);
        let ledger =
            count("select sum(cost_microusd)::bigint from usage_ledger where company_id = $1::text::uuid")
                .await;
        let (status, budget) =
            core.call(&company, "GET", "/v1/budget", &core.owner(&company).await, None).await;
        assert_eq!((status, &budget["spent_microusd"]), (200, &json!(ledger)));
        assert_eq!(super::budget::held(&company).await, 0);
    });
}

#[test]
fn a_gateway_that_dies_in_the_middle_of_an_answer() {
    run(async {
        let stand = Stand::get();
        let mut gateway = Gateway::start(stand, &stand.worker_database_url);
        let core = Core::behind(&gateway);
        let company = Company::new(stand, "plumbing").await;
        let key = format!("test-slow-30-{}", uuid::Uuid::new_v4().simple());
        core.provider(&company, &key).await;
        let visitor = core.visitor(&company).await;
        let question = "Do you fix leaks?";
        let response =
            core.serve(&company, "POST", "/v1/chat", &visitor, Some(json!({ "message": question }))).await;
        let (mut body, mut decoder, mut events) =
            (response.into_body(), bulkhead::sse::Decoder::new(1 << 20), Vec::new());
        let mut dead = false;
        while let Some(chunk) = body.next().await {
            read_events(&mut decoder, &chunk.unwrap(), &mut events);
            if !dead && events.iter().any(|event| event.name == "delta") {
                gateway.kill();
                dead = true;
            }
        }
        // The visitor hears the whole answer, and that it was not kept.
        assert_eq!(bulkhead_tests::company::text(&events), upstream::answer(question));
        assert_eq!(events.last().map(|event| event.name.as_str()), Some("error"), "{events:?}");
        assert_eq!(event(&events, "error")["status"], 503);
        // The question was acknowledged, so another worker can read it; the money is settled.
        let after = Core::new(stand);
        let path = format!(
            "/v1/conversations/{}/messages",
            event(&events, "start")["conversation_id"].as_str().unwrap()
        );
        let (status, said) = after.call(&company, "GET", &path, &visitor, None).await;
        assert_eq!((status, &said["messages"][0]["body"]), (200, &json!(question)), "{said}");
        assert_eq!(super::budget::held(&company).await, 0);
        nobody_is_idle_in_a_transaction(&company).await;
    });
}

/// The server itself may need a moment to notice that a client is gone.
async fn nobody_is_idle_in_a_transaction(company: &Company) {
    let sql = "select count(*) from pg_stat_activity
               where state like 'idle in transaction%' and now() - state_change > interval '1 second' and $1::text is not null";
    let mut left: Value = json!(null);
    for _ in 0..50 {
        let count: i64 = company.rows(sql).await[0].get(0);
        if count == 0 {
            return;
        }
        left = json!(count);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{left} connections idle in a transaction");
}
