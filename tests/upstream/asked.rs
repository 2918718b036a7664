//! What a request says, whichever format says it: the system text, the turns, the tools.
//!
//! It never uses the core's codecs: a mistake in them must not be answered by the same mistake.

use super::formats::Format;
use serde_json::Value;

/// A request, read.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) system: String,
    pub(super) turns: Vec<Turn>,
    /// Names and argument schemas.
    pub(super) tools: Vec<(String, Value)>,
}

pub(super) enum Turn {
    User(String),
    Model {
        text: String,
        /// Ids of the calls.
        calls: Vec<String>,
    },
    /// Ids and contents.
    Results(Vec<(String, String)>),
    /// What no provider accepts.
    Wrong,
}

impl Asked {
    pub(super) fn read(format: Format, body: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut asked = Self::default();
        match format {
            Format::OpenAi => {
                for message in list(&body["messages"]) {
                    if message["role"] == "system" {
                        asked.system += message["content"].as_str().unwrap_or_default();
                    } else {
                        asked.add(openai(&message));
                    }
                }
                asked.tools = list(&body["tools"]).iter().map(|tool| tool_of(&tool["function"])).collect();
            }
            Format::Responses => {
                asked.system = text_of(&body["instructions"]);
                list(&body["input"]).iter().for_each(|item| asked.add(responses(item)));
                asked.tools = list(&body["tools"]).iter().map(tool_of).collect();
            }
            Format::Anthropic => {
                asked.system = list(&body["system"]).iter().map(|block| text_of(&block["text"])).collect();
                asked.system += body["system"].as_str().unwrap_or_default();
                for message in list(&body["messages"]) {
                    let role = message["role"].as_str().unwrap_or_default();
                    match &message["content"] {
                        Value::String(text) => asked.add(said(role, text)),
                        parts => list(parts).iter().for_each(|part| asked.add(anthropic(role, part))),
                    }
                }
                let tool = |tool: &Value| (text_of(&tool["name"]), tool["input_schema"].clone());
                asked.tools = list(&body["tools"]).iter().map(tool).collect();
            }
            Format::Gemini => {
                let parts = list(&body["systemInstruction"]["parts"]);
                asked.system = parts.iter().map(|part| text_of(&part["text"])).collect();
                for content in list(&body["contents"]) {
                    let role = content["role"].as_str().unwrap_or_default();
                    list(&content["parts"]).iter().for_each(|part| asked.add(gemini(role, part)));
                }
                let tools = list(&body["tools"]);
                let tools = tools.iter().flat_map(|tool| list(&tool["functionDeclarations"]));
                asked.tools = tools.map(|tool| tool_of(&tool)).collect();
            }
        }
        asked
    }

    /// What is wrong with the conversation, if anything: each call has its result, right after it.
    pub(super) fn complaint(&self) -> Option<&'static str> {
        for (at, turn) in self.turns.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| self.turns.get(at));
            match turn {
                Turn::Wrong => return Some("messages: not valid"),
                Turn::User(text) if text.is_empty() => return Some("messages: a text is empty"),
                Turn::Results(results) => {
                    let Some(Turn::Model { calls, .. }) = before else {
                        return Some("messages: a tool result must follow a call of that tool");
                    };
                    let mut answered: Vec<&String> = results.iter().map(|(id, _)| id).collect();
                    let mut called: Vec<&String> = calls.iter().collect();
                    answered.sort();
                    called.sort();
                    if answered != called {
                        return Some("messages: calls and tool results do not fit each other");
                    }
                }
                Turn::Model { calls, .. } => {
                    let answered = matches!(self.turns.get(at + 1), Some(Turn::Results(_)));
                    if !calls.is_empty() && !answered {
                        return Some("messages: a call must be followed by its result");
                    }
                }
                Turn::User(_) => {}
            }
        }
        None
    }

    /// The last thing that the user said.
    pub(super) fn question(&self) -> &str {
        let said = self.turns.iter().rev().find_map(|turn| match turn {
            Turn::User(text) => Some(text.as_str()),
            _ => None,
        });
        said.unwrap_or_default()
    }

    /// What tools answered, if that is the last turn.
    pub(super) fn result(&self) -> Option<String> {
        let Some(Turn::Results(results)) = self.turns.last() else { return None };
        Some(results.iter().map(|(_, content)| content.as_str()).collect::<Vec<_>>().join(" "))
    }

    /// Its texts: what the system says, and every turn.
    pub(super) fn texts(&self) -> Vec<String> {
        let turns = self.turns.iter().flat_map(|turn| match turn {
            Turn::User(text) | Turn::Model { text, .. } => vec![text.clone()],
            Turn::Results(results) => results.iter().map(|(_, content)| content.clone()).collect(),
            Turn::Wrong => vec![],
        });
        std::iter::once(self.system.clone()).chain(turns).collect()
    }

    /// Adds a turn, to the last one where it goes on: some formats have a message for each call and each result.
    fn add(&mut self, turn: Turn) {
        match (self.turns.last_mut(), turn) {
            (Some(Turn::Model { text, calls }), Turn::Model { text: more, calls: other }) => {
                text.push_str(&more);
                calls.extend(other);
            }
            (Some(Turn::Results(results)), Turn::Results(more)) => results.extend(more),
            (_, turn) => self.turns.push(turn),
        }
    }
}

fn openai(message: &Value) -> Turn {
    let content = message["content"].as_str();
    let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
    match message["role"].as_str() {
        Some("user") if content.is_some() => Turn::User(text_of(&message["content"])),
        Some("assistant") if content.is_some() || !calls.is_empty() => {
            let whole = |call: &Value| {
                call["type"] == "function"
                    && named(&call["function"]["name"])
                    && call["function"]["arguments"].is_string()
            };
            if !calls.iter().all(whole) {
                return Turn::Wrong;
            }
            let calls = calls.iter().map(|call| text_of(&call["id"])).collect();
            Turn::Model { text: text_of(&message["content"]), calls }
        }
        Some("tool") if content.is_some() => {
            Turn::Results(vec![(text_of(&message["tool_call_id"]), text_of(&message["content"]))])
        }
        _ => Turn::Wrong,
    }
}

fn responses(item: &Value) -> Turn {
    match (item["type"].as_str(), item["role"].as_str()) {
        (Some("function_call"), _) if named(&item["name"]) && item["arguments"].is_string() => {
            Turn::Model { text: String::new(), calls: vec![text_of(&item["call_id"])] }
        }
        (Some("function_call_output"), _) if item["output"].is_string() => {
            Turn::Results(vec![(text_of(&item["call_id"]), text_of(&item["output"]))])
        }
        (None | Some("message"), Some(role)) if item["content"].is_string() => {
            said(role, &text_of(&item["content"]))
        }
        _ => Turn::Wrong,
    }
}

fn anthropic(role: &str, part: &Value) -> Turn {
    match (part["type"].as_str(), role) {
        (Some("text"), _) if part["text"] != "" => said(role, &text_of(&part["text"])),
        (Some("tool_use"), "assistant") if named(&part["name"]) && part["input"].is_object() => {
            Turn::Model { text: String::new(), calls: vec![text_of(&part["id"])] }
        }
        (Some("tool_result"), "user") => {
            Turn::Results(vec![(text_of(&part["tool_use_id"]), text_of(&part["content"]))])
        }
        _ => Turn::Wrong,
    }
}

fn gemini(role: &str, part: &Value) -> Turn {
    let (call, response) = (&part["functionCall"], &part["functionResponse"]);
    match role {
        "model" if named(&call["name"]) && call["args"].is_object() => {
            Turn::Model { text: String::new(), calls: vec![text_of(&call["id"])] }
        }
        "user" if named(&response["name"]) && response["response"].is_object() => {
            Turn::Results(vec![(text_of(&response["id"]), text_of(&response["response"]["output"]))])
        }
        _ if part["text"].is_string() => {
            said(if role == "model" { "assistant" } else { role }, &text_of(&part["text"]))
        }
        _ => Turn::Wrong,
    }
}

fn said(role: &str, text: &str) -> Turn {
    match role {
        "user" => Turn::User(text.to_owned()),
        "assistant" => Turn::Model { text: text.to_owned(), calls: Vec::new() },
        _ => Turn::Wrong,
    }
}

fn tool_of(function: &Value) -> (String, Value) {
    (text_of(&function["name"]), function["parameters"].clone())
}

/// Whether it is a name that providers accept.
fn named(name: &Value) -> bool {
    let name = name.as_str().unwrap_or_default();
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(fine)
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
