//! Tools in all formats: how they are described, called and answered, and what becomes of calls that make no sense.

use super::requests::{prompt, request};
use super::*;
use serde_json::{Value, json};

#[track_caller]
fn check(wire: Wire, stream: &[u8], expected: &[(&str, &str, &str)]) {
    let (events, end) = decode(wire, &[stream]);
    assert_eq!(end, Ok(()));
    let whole = calls(&events);
    let calls: Vec<_> = whole.iter().map(|c| (&*c.id, &*c.name, &*c.arguments)).collect();
    assert_eq!(calls, expected);
    let at = |wanted: fn(&Event) -> bool| events.iter().position(wanted);
    let (call, stop) = (at(|e| matches!(e, Event::ToolCall(_))), at(|e| matches!(e, Event::Stop(_))));
    assert!(call < stop, "a call after the stop");
}

fn calls(events: &[Event]) -> Vec<ToolCall> {
    let calls = events.iter().filter_map(|event| match event {
        Event::ToolCall(call) => Some(call.clone()),
        _ => None,
    });
    calls.collect()
}

#[test]
fn calls_come_whole_and_before_the_stop() {
    let price = r#"{"q":"price"}"#;
    check(OPENAI, fixture!("openai/tool_call.sse"), &[("call_0000", "lookup", price)]);
    check(ANTHROPIC, fixture!("anthropic/tool_use.sse"), &[("toolu_01", "lookup", price)]);
    let two = [("call_0000", "lookup", price), ("call_0001", "hours", "{}")];
    check(RESPONSES, fixture!("responses/tool_call.sse"), &two);
    check(RESPONSES, fixture!("responses/tool_call_cut.sse"), &[]);
    let two = [("gSIMJiOkT", "lookup", r#"{"q": "price"}"#), ("D681PevKs", "hours", "{}")];
    check(COMPATIBLE, fixture!("openai/mistral_tool_call.sse"), &two);
    check(COMPATIBLE, fixture!("openai/groq_tool_call.sse"), &[("tk85n1k4m", "hours", "{}")]);
    let two = [("fixcall1", "lookup", price), ("call_1", "hours", "{}")];
    check(GEMINI, fixture!("gemini/tool_call.sse"), &two);
    let (events, _) = decode(GEMINI, &[fixture!("gemini/tool_call.sse")]);
    let signed: Vec<_> = calls(&events).iter().map(|call| call.signature.is_some()).collect();
    assert_eq!(signed, [true, false]);
}

#[test]
fn calls_of_servers_that_go_their_own_ways() {
    let stream = |fragments: &[&str], reason: &str| {
        let chunk = |delta: &str, reason: &str| {
            format!("data: {{\"choices\":[{{\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n")
        };
        let calls = fragments.iter().map(|f| chunk(&format!("{{\"tool_calls\":[{f}]}}"), "null"));
        let end = [chunk("{}", &format!("\"{reason}\"")), "data: [DONE]\n\n".to_owned()];
        calls.chain(end).collect::<String>().into_bytes()
    };
    let call = |index: &str, id: &str, name: &str, arguments: &str| {
        format!(r#"{{{index}"id":"{id}","function":{{"name":"{name}","arguments":{arguments}}}}}"#)
    };
    // Two calls in fragments that alternate; the first fragment brings no arguments.
    let fragments = [
        r#"{"index":0,"id":"a","type":"function","function":{"name":"lookup"}}"#,
        r#"{"index":1,"id":"b","type":"function","function":{"name":"hours","arguments":""}}"#,
        r#"{"index":0,"function":{"arguments":"{\"q\""}}"#,
        r#"{"index":1,"function":{"arguments":"{}"}}"#,
        r#"{"index":0,"function":{"arguments":":1}"}}"#,
    ];
    let two = [("a", "lookup", r#"{"q":1}"#), ("b", "hours", "{}")];
    check(OPENAI, &stream(&fragments, "tool_calls"), &two);
    // All at index 0, or at none; arguments as an object; `stop` for a reason; one id for two calls, or none at all.
    let whole =
        [call(r#""index":0,"#, "a", "lookup", r#"{"q":1}"#), call(r#""index":0,"#, "b", "hours", "\"\"")];
    let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
    check(COMPATIBLE, &stream(&whole, "stop"), &two);
    let whole = [call("", "a", "lookup", r#""{\"q\":1}""#), call("", "b", "hours", "null")];
    let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
    check(COMPATIBLE, &stream(&whole, "tool_calls"), &two);
    let whole = [call(r#""index":0,"#, "", "x", "\"{}\""), call(r#""index":1,"#, "", "y", "\"{}\"")];
    let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
    check(COMPATIBLE, &stream(&whole, "tool_calls"), &[("call_0", "x", "{}"), ("call_1", "y", "{}")]);
    // The same id again goes on with the call.
    let again = [
        call(r#""index":0,"#, "a", "lookup", r#""{\"q\"""#),
        call(r#""index":0,"#, "a", "lookup", r#"":1}""#),
    ];
    let again: Vec<&str> = again.iter().map(String::as_str).collect();
    check(COMPATIBLE, &stream(&again, "tool_calls"), &two[..1]);
    // Cut off at the limit on the answer: half a call is none.
    check(OPENAI, &stream(&fragments[..3], "length"), &[]);
}

#[test]
fn calls_are_bounded() {
    let openai = |index: usize, arguments: &str| {
        let call = json!({"index": index, "id": format!("c{index}"), "function": {"name": "x", "arguments": arguments}});
        format!("data: {}\n\n", json!({"choices": [{"delta": {"tool_calls": [call]}}]}))
    };
    let anthropic = |index: usize, arguments: &str| {
        let block =
            json!({"type": "tool_use", "id": format!("c{index}"), "name": "x", "input": {"a": arguments}});
        format!(
            "data: {}\n\n",
            json!({"type": "content_block_start", "index": index, "content_block": block})
        )
    };
    let responses = |index: usize, arguments: &str| {
        let item = json!({"type": "function_call", "call_id": format!("c{index}"), "name": "x", "arguments": arguments});
        format!(
            "data: {}\n\n",
            json!({"type": "response.output_item.done", "output_index": index, "item": item})
        )
    };
    let gemini = |index: usize, arguments: &str| {
        let call =
            json!({"functionCall": {"id": format!("c{index}"), "name": "x", "args": {"a": arguments}}});
        format!("data: {}\n\n", json!({"candidates": [{"content": {"parts": [call]}}]}))
    };
    type Make<'a> = &'a dyn Fn(usize, &str) -> String;
    let makers: [(Wire, Make<'_>); 4] =
        [(OPENAI, &openai), (ANTHROPIC, &anthropic), (RESPONSES, &responses), (GEMINI, &gemini)];
    for (wire, make) in makers {
        let many = |calls: usize, arguments: &str| {
            let stream: String = (0..calls).map(|index| make(index, arguments)).collect();
            decode(wire, &[stream.as_bytes()]).1
        };
        assert_eq!(many(16, "a"), Err(LlmError::Cut), "{wire:?}");
        assert_eq!(many(17, "a"), Err(LlmError::Garbage), "{wire:?}");
        assert_eq!(many(2, &"a".repeat(60_000)), Err(LlmError::Cut), "{wire:?}");
        assert_eq!(many(2, &"a".repeat(70_000)), Err(LlmError::Garbage), "{wire:?}");
    }
    let endless: String = (0..20_000).map(|_| openai(0, "aaaaaaaa")).collect();
    assert_eq!(decode(OPENAI, &[endless.as_bytes()]).1, Err(LlmError::Garbage));
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), signature: None }
}

fn result(id: &str, name: &str, content: &str) -> ToolResult {
    ToolResult { call_id: id.into(), name: name.into(), content: content.into() }
}

/// A question, two calls with their results in the other order, and a tool to call.
fn with_tools() -> Prompt {
    let calls = vec![
        ToolCall { signature: Some("c2ln".into()), ..call("c1", "lookup", r#"{"q":"drain"}"#) },
        call("c2", "hours", "not json"),
    ];
    let parameters = json!({
        "type": "object", "additionalProperties": false, "required": ["q"],
        "properties": {"q": {"type": "string"}, "n": {"type": ["integer", "null"], "enum": [1, 2]}},
    });
    Prompt {
        system: String::new(),
        turns: vec![
            Turn::User("Prices?".into()),
            Turn::Assistant { text: String::new(), calls },
            Turn::Tools(vec![result("c2", "hours", "till six"), result("c1", "lookup", "$149")]),
        ],
        tools: vec![
            Tool { name: "lookup", description: "Looks up.", parameters },
            Tool {
                name: "hours",
                description: "When open.",
                parameters: json!({"type": "object", "properties": {}}),
            },
        ],
        ..prompt()
    }
}

#[test]
fn openai_tools() {
    let (_, body) = request(OPENAI, "https://a.example", &with_tools());
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let expected = json!([
        {"role": "user", "content": "Prices?"},
        {"role": "assistant", "content": null,
         "tool_calls": [call("c1", "lookup", r#"{"q":"drain"}"#), call("c2", "hours", "{}")]},
        {"role": "tool", "tool_call_id": "c1", "content": "$149"},
        {"role": "tool", "tool_call_id": "c2", "content": "till six"},
    ]);
    assert_eq!(body["messages"], expected);
    let lookup = &body["tools"][0];
    assert_eq!((&lookup["type"], &lookup["function"]["name"]), (&json!("function"), &json!("lookup")));
    assert_eq!(lookup["function"]["parameters"]["additionalProperties"], false);
}

#[test]
fn responses_tools() {
    let (_, body) = request(RESPONSES, "https://a.example", &with_tools());
    let expected = json!([
        {"role": "user", "content": "Prices?"},
        {"type": "function_call", "call_id": "c1", "name": "lookup", "arguments": r#"{"q":"drain"}"#},
        {"type": "function_call", "call_id": "c2", "name": "hours", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "$149"},
        {"type": "function_call_output", "call_id": "c2", "output": "till six"},
    ]);
    assert_eq!(body["input"], expected);
    let lookup = &body["tools"][0];
    assert_eq!((&lookup["name"], &lookup["strict"]), (&json!("lookup"), &json!(false)));
}

#[test]
fn anthropic_tools() {
    let (_, body) = request(ANTHROPIC, "https://a.example", &with_tools());
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "Prices?"}]},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "c1", "name": "lookup", "input": {"q": "drain"}},
            {"type": "tool_use", "id": "c2", "name": "hours", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "$149"},
            {"type": "tool_result", "tool_use_id": "c2", "content": "till six"},
        ]},
    ]);
    assert_eq!(body["messages"], expected);
    assert_eq!(body["tools"][0]["input_schema"]["additionalProperties"], false);
    assert_eq!(body["tools"][0].get("cache_control"), None);
    assert_eq!(body["tools"][1]["cache_control"], json!({"type": "ephemeral"}));
}

#[test]
fn gemini_tools() {
    let ask = |model: &str, prompt: &Prompt| {
        let body = GEMINI.request("https://a.example", "sk", model, prompt).unwrap().into_body();
        serde_json::from_slice::<Value>(&body).unwrap()
    };
    let body = ask("gemini-3.8-flash", &with_tools());
    let answer = |id: &str, name: &str, output: &str| json!({"functionResponse": {"id": id, "name": name, "response": {"output": output}}});
    let expected = json!([
        {"role": "user", "parts": [{"text": "Prices?"}]},
        {"role": "model", "parts": [
            {"functionCall": {"id": "c1", "name": "lookup", "args": {"q": "drain"}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "c2", "name": "hours", "args": {}}},
        ]},
        {"role": "user", "parts": [answer("c1", "lookup", "$149"), answer("c2", "hours", "till six")]},
    ]);
    assert_eq!(body["contents"], expected);
    let parameters = json!({
        "type": "object", "required": ["q"],
        "properties": {"q": {"type": "string"}, "n": {"type": "integer", "nullable": true}},
    });
    assert_eq!(body["tools"][0]["functionDeclarations"][0]["parameters"], parameters);
    assert_eq!(body["tools"][0]["functionDeclarations"][1].get("parameters"), None);
    // A call that another provider made has no signature; newer models want one, or to be told so.
    let mut unsigned = with_tools();
    if let Some(Turn::Assistant { calls, .. }) = unsigned.turns.get_mut(1) {
        calls[0].signature = None;
    }
    let signature = |model| ask(model, &unsigned)["contents"][1]["parts"][0]["thoughtSignature"].clone();
    assert_eq!(signature("gemini-3.8-flash"), "skip_thought_signature_validator");
    assert_eq!(signature("gemini-2.5-flash-lite"), Value::Null);
}

#[test]
fn calls_and_results_without_their_counterpart_are_left_out() {
    let user = || Turn::User("Prices?".into());
    let asks = |calls: Vec<ToolCall>| Turn::Assistant { text: "I look.".into(), calls };
    let answers = |results: Vec<ToolResult>| Turn::Tools(results);
    let one = || call("c1", "lookup", "{}");
    let conversations = [
        vec![answers(vec![result("c1", "lookup", "x")])],
        vec![user(), answers(vec![result("c1", "lookup", "x")])],
        vec![asks(vec![one()]), user()],
        vec![user(), asks(vec![one()]), user()],
        vec![user(), asks(vec![one()])],
        vec![user(), asks(vec![one()]), answers(vec![])],
        vec![user(), asks(vec![one()]), answers(vec![result("other", "lookup", "x")])],
        vec![user(), asks(vec![one()]), user(), answers(vec![result("c1", "lookup", "x")])],
        vec![user(), asks(vec![]), answers(vec![result("c1", "lookup", "x")])],
    ];
    for turns in conversations {
        for wire in WIRES {
            let (_, body) = request(wire, "https://a.example", &Prompt { turns: turns.clone(), ..prompt() });
            let body = body.to_string();
            for word in ["c1", "other", "tool_call", "tool_use", "tool_result", "function", "\"tool\""] {
                assert!(!body.contains(word), "{wire:?} sends {word} for {turns:?}: {body}");
            }
        }
    }
    // Two calls, one answered: that one stays.
    let turns =
        vec![user(), asks(vec![one(), call("c2", "hours", "{}")]), answers(vec![result("c2", "hours", "x")])];
    for wire in WIRES {
        let (_, body) = request(wire, "https://a.example", &Prompt { turns: turns.clone(), ..prompt() });
        let body = body.to_string();
        assert!(!body.contains("c1") && body.matches("\"c2\"").count() == 2, "{wire:?}: {body}");
    }
}

#[test]
fn names_and_ids_that_a_model_made_up_are_mended() {
    let long = "x".repeat(100);
    let calls =
        vec![call("a.b/ü", "functions.lookup:0", "[1]"), call(&long, &long, "{}"), call("c3", "", "{}")];
    let results = calls.iter().map(|c| result(&c.id, &c.name, "There is no such tool.")).collect::<Vec<_>>();
    let turns =
        vec![Turn::User("?".into()), Turn::Assistant { text: String::new(), calls }, Turn::Tools(results)];
    for wire in WIRES {
        let (_, body) = request(wire, "https://a.example", &Prompt { turns: turns.clone(), ..prompt() });
        let body = body.to_string();
        for (word, count) in [("a_b__", 2), ("functions_lookup_0", 1), (&*"x".repeat(64), 3), ("unnamed", 1)]
        {
            let seen = body.matches(&format!("\"{word}\"")).count();
            assert!(seen >= count, "{wire:?}: {seen} times {word} in {body}");
        }
        assert!(!body.contains(&"x".repeat(65)) && !body.contains("[1]"), "{wire:?}");
    }
}
