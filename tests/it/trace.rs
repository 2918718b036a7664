//! What a request leaves for the operator: its line in the log, its trace on the way to the parts, and its times for the
//! company's own people.

use bulkhead_tests::company::Company;
use bulkhead_tests::core::{Core, read};
use bulkhead_tests::native::{Fault, Part, run};
use bulkhead_tests::stand::Stand;
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The line of the last request.
fn line(core: &Core) -> Value {
    let lines = core.native.take_lines();
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.rev().find(|line| line["event"] == "request").unwrap()
}

#[test]
fn a_turn_s_line_counts_all_of_it() {
    run(async {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        core.provider(&company, "test-ok-trace").await;
        let bearer = format!("Bearer {}", core.visitor(&company).await);
        let (_, _) = (core.native.take_lines(), core.native.take_sent());
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let headers = [("authorization", bearer.as_str()), ("traceparent", parent.as_str())];
        let question = json!({ "message": "Do you fix leaks in the kitchen?" });
        let response = core.serve_with(&company.host(), "POST", "/v1/chat", &headers, Some(question)).await;
        assert!(response.headers().get("server-timing").is_none(), "visitors learn nothing of the inside");
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert!(
            core.native.take_lines().iter().all(|line| !line.contains("\"event\":\"request\"")),
            "too early"
        );
        let events = read(response.into_body()).await;
        assert!(events.iter().any(|event| event.name == "done"), "{events:?}");

        let line = line(&core);
        assert_eq!((&line["request_id"], &line["trace_id"]), (&json!(id), &json!(TRACE)));
        assert_eq!(
            (&line["route"], &line["method"], &line["status"]),
            (&json!("/v1/chat"), &json!("POST"), &json!(200))
        );
        assert_eq!((&line["company_id"], &line["fault"]), (&json!(company.id), &Value::Null));
        assert!(line["ms"].as_u64() >= line["head_ms"].as_u64(), "{line}");
        core.native.idle().await;
        let sent = core.native.take_sent();
        for (part, name) in [(Part::Postgres, "postgres"), (Part::Redis, "redis"), (Part::Model, "model")] {
            let calls = sent.iter().filter(|sent| sent.part == part).count();
            assert_eq!(line[name]["calls"], calls, "{name}: {line}");
            assert_eq!(line[name]["failed"], 0, "{name}: {line}");
        }
        for sent in &sent {
            let told = sent.headers.get("traceparent").map(|header| header.to_str().unwrap());
            match sent.part {
                Part::Postgres | Part::Redis => assert!(told.unwrap().starts_with(&format!("00-{TRACE}-"))),
                Part::Model | Part::Website => assert_eq!(told, None),
            }
        }
    });
}

#[test]
fn a_line_says_whose_fault_it_was() {
    run(async {
        let core = Core::new(Stand::get());
        let company = Company::new(core.stand, "plumbing").await;
        let owner = core.owner(&company).await;
        let ask = async |method: &str, path: &str, token: &str, body: Option<Value>| {
            let answer = core.serve(&company, method, path, token, body).await;
            let timed = answer.headers().contains_key("server-timing");
            (answer.status().as_u16(), timed, line(&core))
        };
        let (status, timed, line) = ask("GET", "/v1/agents", &owner, None).await;
        assert_eq!((status, timed, &line["fault"]), (200, true, &Value::Null));
        assert_eq!((&line["postgres"]["calls"], &line["redis"]), (&json!(1), &Value::Null), "{line}");
        // A request without a trace begins its own.
        assert_eq!(line["trace_id"], line["request_id"].as_str().unwrap().replace('-', ""));

        let (status, timed, line) = ask("GET", "/v1/agents", "nobody's", None).await;
        assert_eq!((status, timed, &line["fault"]), (401, false, &json!("client")));
        let (status, timed, line) = ask("PATCH", "/v1/company", &owner, Some(json!({ "zz": 1 }))).await;
        assert_eq!((status, timed, &line["fault"]), (400, false, &json!("client")));

        core.native.break_requests(Part::Postgres, Fault::Down);
        let (status, _, line) = ask("GET", "/v1/agents", &owner, None).await;
        assert_eq!((status, &line["fault"], &line["level"]), (503, &json!("database"), &json!("error")));
        assert_eq!(line["postgres"]["failed"], 1, "{line}");
        core.native.mend();
        core.native.break_requests(Part::Redis, Fault::Down);
        let login = json!({ "email": "a@b.example", "password": "wrong, and long enough" });
        let (status, _, line) = ask("POST", "/v1/login", "", Some(login)).await;
        assert_eq!((status, &line["fault"]), (503, &json!("redis")), "{line}");
    });
}
