//! Faults: every way a part can fail, in every phase of a turn, with every kind of provider; after each the promises hold.
//!
//! The core runs natively over the stand's gateway, because there each request can be broken by itself.

mod beside;

use bulkhead_tests::company::{Company, Event, read_events};
use bulkhead_tests::core::Core;
use bulkhead_tests::native::{Fault, Part, run, same_day};
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use serde_json::json;

use super::budget;

/// When a part begins to fail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Before anything was sent.
    BeforeReserve,
    /// The question is stored and the budget reserved.
    Reserved,
    /// The first words of the answer have come.
    MidStream,
}

const PHASES: [Phase; 3] = [Phase::BeforeReserve, Phase::Reserved, Phase::MidStream];

/// What fails; `None` is the control.
const BROKEN: [Option<(Part, Fault)>; 5] = [
    None,
    Some((Part::Redis, Fault::Down)),
    Some((Part::Redis, Fault::AnswerLost)),
    Some((Part::Postgres, Fault::Down)),
    Some((Part::Postgres, Fault::AnswerLost)),
];

/// How providers behave, as the double's keys spell it.
const PROVIDERS: [&str; 11] = [
    "slow-3",
    "401",
    "429",
    "500",
    "page",
    "garbage",
    "cut",
    "broken",
    "midstream-error",
    "nousage",
    "length",
];

const LIMIT: u64 = 4_000_000;

#[test]
fn after_every_fault_the_promises_hold() {
    run(async {
        let mut wrong = Vec::new();
        let mut cells = 0;
        for provider in PROVIDERS {
            same_day(10).await;
            let core = Core::new(Stand::get());
            let company = Company::new(core.stand, "plumbing").await;
            let key = format!("test-{provider}-{}", uuid::Uuid::new_v4().simple());
            core.provider(&company, &key).await;
            company
                .rows(&format!(
                    "update budgets set daily_limit_microusd = {LIMIT}, visitor_turns_per_minute = 600
                     where company_id = $1::text::uuid returning 1"
                ))
                .await;
            for broken in BROKEN {
                for phase in PHASES {
                    if broken.is_none() && phase != Phase::BeforeReserve {
                        continue;
                    }
                    let cell = format!("{provider}, {broken:?}, {phase:?}");
                    if let Err(why) = turn(&core, &company, &key, broken, phase).await {
                        wrong.push(format!("{cell}: {why}"));
                    }
                    cells += 1;
                }
            }
            // Whatever was left held is void after its time, and what Redis and the ledger say is within the limit.
            core.native.set_ahead_ms(400_000);
            let visitor = core.visitor(&company).await;
            core.call(&company, "POST", "/v1/chat", &visitor, Some(json!({ "message": "Hello?" }))).await;
            let held = budget::held(&company).await;
            if held != 0 {
                wrong.push(format!("{provider}: {held} still held after its time"));
            }
            let ledger = company.rows("select coalesce(sum(cost_microusd), 0)::bigint from usage_ledger where company_id = $1::text::uuid");
            let ledger: i64 = ledger.await[0].get(0);
            if u64::try_from(ledger).unwrap() > LIMIT {
                wrong.push(format!("{provider}: {ledger} spent of {LIMIT}"));
            }
        }
        assert!(wrong.is_empty(), "{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"));
        tally("all layers", "cells of part × fault × phase × provider", cells, 140);
    });
}

/// One turn with one fault; why a promise did not hold.
async fn turn(
    core: &Core,
    company: &Company,
    key: &str,
    broken: Option<(Part, Fault)>,
    phase: Phase,
) -> Result<(), String> {
    let fail = |now: Phase| {
        if let Some((part, fault)) = broken.filter(|_| now == phase) {
            core.native.break_requests(part, fault);
        }
    };
    core.native.mend();
    let visitor = core.visitor(company).await;
    let calls = core.stand.upstream.requests(key).len();
    fail(Phase::BeforeReserve);
    let question = format!("How much is a new water heater? {}", uuid::Uuid::new_v4());
    let response =
        core.serve(company, "POST", "/v1/chat", &visitor, Some(json!({ "message": question }))).await;
    let status = response.status().as_u16();
    let postgres_from_the_start =
        phase == Phase::BeforeReserve && broken.is_some_and(|(part, _)| part == Part::Postgres);
    if postgres_from_the_start {
        core.native.mend();
        return if status == 503 {
            Ok(())
        } else {
            Err(format!("status {status} although nothing could be stored"))
        };
    }
    if status != 200 {
        core.native.mend();
        return Err(format!("status {status}"));
    }
    fail(Phase::Reserved);
    let (mut body, mut decoder, mut events) =
        (response.into_body(), bulkhead::sse::Decoder::new(1 << 20), Vec::<Event>::new());
    while let Some(chunk) = body.next().await {
        read_events(&mut decoder, &chunk.map_err(|error| error.to_string())?, &mut events);
        if events.iter().any(|event| event.name == "delta") && !events.iter().any(terminal) {
            fail(Phase::MidStream);
        }
    }
    core.native.mend();
    promises(core, company, &visitor, key, calls, broken, phase, &events).await
}

fn terminal(event: &Event) -> bool {
    event.name == "done" || event.name == "error"
}

#[expect(clippy::too_many_arguments, reason = "all that is known of one cell")]
async fn promises(
    core: &Core,
    company: &Company,
    visitor: &str,
    key: &str,
    calls: usize,
    broken: Option<(Part, Fault)>,
    phase: Phase,
    events: &[Event],
) -> Result<(), String> {
    let ends: Vec<&Event> = events.iter().filter(|event| terminal(event)).collect();
    let [end] = ends[..] else { return Err(format!("{} terminal events", ends.len())) };
    if events.last().is_none_or(|last| !terminal(last)) {
        return Err("something came after the terminal event".into());
    }
    let conversation = events[0].data["conversation_id"].as_str().unwrap_or_default().to_owned();
    let path = format!("/v1/conversations/{conversation}/messages");
    let (status, said) = core.call(company, "GET", &path, visitor, None).await;
    let messages = said["messages"].as_array().cloned().unwrap_or_default();
    if status != 200 || messages.is_empty() || messages[0]["message_id"] != events[0].data["message_id"] {
        return Err(format!("the acknowledged question cannot be read: {status} {said}"));
    }
    let told: String =
        events.iter().filter(|e| e.name == "delta").filter_map(|e| e.data["text"].as_str()).collect();
    let stored = messages.iter().find(|message| message["author"] == "agent");
    match (end.name.as_str(), stored) {
        ("done", Some(answer)) if answer["body"] == told.as_str() && answer["complete"] == true => {}
        ("done", answer) => return Err(format!("done, but what is stored is {answer:?}")),
        (_, Some(answer)) if answer["complete"] == true && end.data["status"] == 502 => {
            return Err("an answer that broke off is stored as complete".into());
        }
        (_, None) if broken.is_none_or(|(part, _)| part != Part::Postgres) => {
            return Err("the part of the answer that came is not stored".into());
        }
        _ => {}
    }
    let redis_from_the_start =
        phase == Phase::BeforeReserve && broken.is_some_and(|(part, _)| part == Part::Redis);
    if redis_from_the_start && core.stand.upstream.requests(key).len() > calls {
        return Err("a model was called although nobody knew the budget".into());
    }
    // A provider that has a fault of its own is asked again, twice at most; any other once.
    let most = if key.starts_with("test-500-") { 3 } else { 1 };
    if core.stand.upstream.requests(key).len() > calls + most {
        return Err(format!("the model was called more than {most} times"));
    }
    Ok(())
}
