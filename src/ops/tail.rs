//! `bulkhead tail`: log lines of the worker and the gateway, for people to read and to look through.
//!
//! It asks nobody for lines: it reads what is piped into it, or a file.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

/// Options of `bulkhead tail`.
#[derive(clap::Args, Default)]
pub struct Args {
    /// File of log lines; standard input when there is none. `wrangler tail --format json | bulkhead tail` works.
    file: Option<PathBuf>,
    /// Only of this company, by its id or the beginning or end of it.
    #[arg(long)]
    company: Option<String>,
    /// Only of routes that have this in them, such as /v1/chat.
    #[arg(long)]
    route: Option<String>,
    /// Only what was somebody's fault: client, us, database, redis, provider, or any.
    #[arg(long)]
    fault: Option<String>,
    /// Only requests that took at least so many milliseconds.
    #[arg(long, value_name = "MS")]
    slower_than: Option<u64>,
    /// Only of this request or trace, by its id.
    #[arg(long)]
    request: Option<String>,
}

/// Runs the command, until its input ends.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let input: Box<dyn BufRead> = match &args.file {
        Some(file) => {
            let file =
                std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
            Box::new(BufReader::new(file))
        }
        None => Box::new(std::io::stdin().lock()),
    };
    let mut reader = Reader::default();
    let mut out = std::io::stdout().lock();
    for line in input.split(b'\n') {
        let line = line.context("the log breaks off")?;
        for event in reader.read(&String::from_utf8_lossy(&line)) {
            // Whoever reads this may leave, as `head` does.
            if args.wants(&event) && writeln!(out, "{}", shown(&event)).and_then(|()| out.flush()).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

impl Args {
    fn wants(&self, event: &Value) -> bool {
        let text = |name: &str| event[name].as_str().unwrap_or("");
        let company = |id: &String| text("company_id").starts_with(id) || text("company_id").ends_with(id);
        let request = |id: &String| [text("request_id"), text("trace_id")].contains(&id.as_str());
        let fault = |wanted: &String| match wanted.as_str() {
            "any" => !text("fault").is_empty(),
            wanted => text("fault") == wanted,
        };
        let took = event["ms"].as_u64().or(event["took_ms"].as_u64());
        self.company.as_ref().is_none_or(company)
            && self.route.as_ref().is_none_or(|part| text("route").contains(part))
            && self.fault.as_ref().is_none_or(fault)
            && self.request.as_ref().is_none_or(request)
            && self.slower_than.is_none_or(|least| took.is_some_and(|ms| ms >= least))
    }
}

/// Takes JSON out of lines: one object a line, what stands before it passed over, or one over many lines.
#[derive(Default)]
struct Reader {
    held: String,
}

/// Bytes of the longest object over many lines.
const HELD: usize = 1 << 20;

impl Reader {
    fn read(&mut self, line: &str) -> Vec<Value> {
        if self.held.is_empty() {
            let Some(at) = line.find('{') else { return Vec::new() };
            self.held.push_str(line.get(at..).unwrap_or(""));
        } else {
            self.held.push('\n');
            self.held.push_str(line);
        }
        let found = match serde_json::from_str(&self.held) {
            Ok(found) => events(found),
            Err(error) if error.is_eof() && self.held.len() < HELD => return Vec::new(),
            Err(_) => Vec::new(),
        };
        self.held.clear();
        found
    }
}

/// The events of an object: its own, or those that `wrangler tail` wraps with the invocation that logged them.
fn events(object: Value) -> Vec<Value> {
    if object.get("event").is_some_and(Value::is_string) {
        return vec![object];
    }
    unwrapped(&object)
}

fn unwrapped(object: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    for log in object["logs"].as_array().into_iter().flatten() {
        for message in log["message"].as_array().into_iter().flatten() {
            let Some(message) = message.as_str() else { continue };
            let mut event = match serde_json::from_str::<Value>(message) {
                Ok(event) if event.get("event").is_some_and(Value::is_string) => event,
                _ => serde_json::json!({ "level": log["level"], "event": "log", "fact": message }),
            };
            if let Some(fields) = event.as_object_mut() {
                fields.entry("at_ms").or_insert_with(|| log["timestamp"].clone());
            }
            found.push(event);
        }
    }
    for exception in object["exceptions"].as_array().into_iter().flatten() {
        found.push(serde_json::json!({
            "level": "error", "event": "exception", "fact": exception["message"], "at_ms": exception["timestamp"],
        }));
    }
    if let Some(outcome) = object["outcome"].as_str().filter(|outcome| !["ok", "canceled"].contains(outcome))
    {
        found.push(serde_json::json!({
            "level": "error", "event": "invocation ended", "fact": outcome, "at_ms": object["eventTimestamp"],
        }));
    }
    found
}

/// One line for people.
fn shown(event: &Value) -> String {
    let text = |name: &str| printable(event[name].as_str().unwrap_or(""));
    let mut line = match event["at_ms"].as_u64() {
        Some(ms) => clock(ms),
        None => " ".repeat(12),
    };
    // Writing to a String cannot fail.
    let _ = match text("event").as_str() {
        "request" => write!(
            line,
            "  {}  {:>6} ms  {:<6} {}{}",
            event["status"],
            event["ms"].to_string(),
            text("method"),
            text("route"),
            parts(event)
        ),
        "request_failed" | "request_slow" => write!(
            line,
            "  {}  {:>6} ms  gateway {} {}",
            event["status"],
            event["took_ms"].to_string(),
            text("route"),
            text("cause")
        ),
        other => write!(line, "  {}: {other}: {}", text("level"), text("fact")),
    };
    if !text("fault").is_empty() {
        let _ = write!(line, "  fault: {} {}", text("fault"), text("error"));
    }
    for (name, id) in [("company", "company_id"), ("request", "request_id")] {
        if !text(id).is_empty() {
            let _ = write!(line, "  {name} {}", text(id));
        }
    }
    line
}

/// What a request took of each part.
fn parts(event: &Value) -> String {
    let mut all = String::new();
    for part in ["postgres", "redis", "model", "mail", "website", "webhook"] {
        let Some(took) = event.get(part) else { continue };
        if let Some(calls) = took["calls"].as_u64() {
            let ms = &took["ms"];
            let failed = took["failed"].as_u64().filter(|failed| *failed > 0);
            let failed = failed.map(|failed| format!(", {failed} failed")).unwrap_or_default();
            let _ = write!(all, "  {part} {calls}× {ms} ms{failed}");
        }
    }
    all
}

/// The time of day in UTC.
fn clock(ms: u64) -> String {
    let (s, ms) = (ms / 1_000 % 86_400, ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600, s / 60 % 60, s % 60)
}

/// Without what would command a terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = r#"{"level":"error","event":"request","at_ms":1795876331123,"request_id":"r-1","trace_id":"t-1","company_id":"c-1",
"method":"GET","route":"/v1/agents","status":503,"fault":"database","ms":2012,"head_ms":2012,"error":"database: 57014","postgres":{"calls":1,"failed":1,"ms":2010}}"#;

    fn read(text: &str) -> Vec<Value> {
        let mut reader = Reader::default();
        text.lines().flat_map(|line| reader.read(line)).collect()
    }

    #[test]
    fn a_line_says_what_was_asked_and_whose_fault_it_was() {
        let line = REQUEST.replace('\n', "");
        let events = read(&format!("starting\n[worker] {line}\n{{broken\n"));
        assert_eq!(events.len(), 1);
        assert_eq!(
            shown(&events[0]),
            "14:32:11.123  503    2012 ms  GET    /v1/agents  postgres 1× 2010 ms, 1 failed  \
             fault: database database: 57014  company c-1  request r-1"
        );
    }

    #[test]
    fn what_wrangler_wraps_is_unwrapped() {
        let message = serde_json::to_string(&REQUEST.replace('\n', "")).unwrap();
        let wrapped = format!(
            "{{\n  \"outcome\": \"exceededCpu\",\n  \"eventTimestamp\": 1,\n  \"exceptions\": [{{ \"message\": \"boom\", \"timestamp\": 2 }}],\n
               \"logs\": [{{ \"level\": \"log\", \"message\": [{message}, \"plain\"], \"timestamp\": 3 }}]\n}}"
        );
        let events = read(&wrapped);
        let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        assert_eq!(names, ["request", "log", "exception", "invocation ended"]);
        assert_eq!(events[1]["at_ms"], 3);
        assert!(shown(&events[2]).ends_with("error: exception: boom"), "{}", shown(&events[2]));
    }

    #[test]
    fn filters_leave_out_what_does_not_fit() {
        let event: Value = serde_json::from_str(REQUEST).unwrap();
        let some = |text: &str| Some(text.to_owned());
        for (args, wants) in [
            (Args::default(), true),
            (Args { company: some("c-"), ..Args::default() }, true),
            (Args { company: some("d"), ..Args::default() }, false),
            (Args { route: some("agents"), ..Args::default() }, true),
            (Args { fault: some("any"), ..Args::default() }, true),
            (Args { fault: some("client"), ..Args::default() }, false),
            (Args { slower_than: Some(2_012), ..Args::default() }, true),
            (Args { slower_than: Some(2_013), ..Args::default() }, false),
            (Args { request: some("t-1"), ..Args::default() }, true),
            (Args { request: some("r"), ..Args::default() }, false),
        ] {
            assert_eq!(args.wants(&event), wants);
        }
    }

    #[test]
    fn a_log_cannot_command_the_terminal() {
        let event = serde_json::json!({ "level": "warn", "event": "x", "fact": "\u{1b}[2J\r" });
        assert_eq!(shown(&event), "              warn: x: \\u{1b}[2J\\r");
    }
}
