//! Attacks on Redis keys: ids and names that would be another key, a pattern or a command, if they reached one.
//!
//! A stand of its own, so that MONITOR shows only what these chats did: every command that Redis itself ran, inside
//! scripts as well.

use std::collections::{BTreeMap, BTreeSet};

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use bulkhead_tests::tally::tally;
use bulkhead_tests::token::{self, Token};
use bulkhead_tests::upstream::Upstream;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// Commands that list or match keys, look into every company's, or empty the store.
const FORBIDDEN: &[&str] = &[
    "KEYS",
    "SCAN",
    "RANDOMKEY",
    "DBSIZE",
    "SORT",
    "SORT_RO",
    "FLUSHALL",
    "FLUSHDB",
    "MIGRATE",
    "DUMP",
    "RESTORE",
    "MOVE",
    "COPY",
    "RENAME",
    "SWAPDB",
    "SELECT",
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "CONFIG",
    "DEBUG",
    "OBJECT",
    "MONITOR",
    "MSET",
    "MGET",
];

#[tokio::test]
async fn no_text_from_outside_reaches_a_key() {
    let stand: &'static Stand =
        Box::leak(Box::new(Stand::start(Upstream::start(), &[("JWT_KEYS", &token::ring())])));
    let mut monitor = Monitor::start(stand).await;
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    acme.provider("openai", "test-ok-keys").await;
    let more = json!({ "visitor_turns_per_minute": 600 });
    acme.owner(Method::PATCH, "/v1/budget", Some(more), 200).await;
    let visitor = acme.visitor().await;
    let asked = visitor.ask("Do you fix leaks?").await;
    let conversation = asked[0].data["conversation_id"].as_str().unwrap().to_owned();
    let theirs = bright.visitor().await.ask("What does a first visit cost?").await;
    let theirs = theirs[0].data["conversation_id"].as_str().unwrap().to_owned();

    let texts = texts(&acme, &bright, &conversation, &theirs);
    let mut counted = 0;
    for text in &texts {
        // As a conversation's id: nothing is there.
        let (status, problem) =
            visitor.refused(json!({ "message": "Hello?", "conversation_id": text })).await;
        assert_eq!(status, 404, "conversation {text:?}: {problem}");
        // As a visitor's id, in a rightly signed token.
        let forged = Token::visitor(&acme, text).sign();
        let (status, _) =
            acme.call(&forged, Method::POST, "/v1/chat", Some(json!({ "message": "Hello?" }))).await;
        assert_eq!(status, 401, "visitor {text:?}");
        // As an agent's name.
        let (status, problem) = visitor.refused(json!({ "message": "Hello?", "agent": text })).await;
        assert!(matches!(status, 400 | 404), "agent {text:?}: {problem}");
        // As an address to sign in with, of which a hash is counted.
        let login = json!({ "email": text, "password": "not the password" });
        let (status, problem) = acme.call("", Method::POST, "/v1/login", Some(login)).await;
        assert!(matches!(status, 400 | 401), "e-mail {text:?}: {problem}");
        // As an address that a link goes to, whether that is one or not.
        for email in [text.clone(), format!("a{text}@b.example")] {
            let (status, problem) =
                acme.call("", Method::POST, "/v1/sign-in/reset", Some(json!({ "email": email }))).await;
            assert!(matches!(status, 202 | 400), "link for {email:?}: {problem}");
        }
        counted += 6;
    }
    // Codes are counted by person.
    acme.two_step(&acme.owner).await;
    // What is said may be anything, and is a value, never a key.
    for text in &texts {
        let said = json!({ "message": format!("{text}?"), "conversation_id": conversation });
        if text.contains('\0') {
            assert_eq!(visitor.refused(said).await.0, 400);
        } else {
            assert_eq!(visitor.send(said).await.last().unwrap().name, "done", "{text:?}");
        }
        counted += 1;
    }
    // The same conversation in capitals is the same conversation, under the same key.
    let capitals = json!({ "message": "Hello?", "conversation_id": conversation.to_uppercase() });
    assert_eq!(visitor.send(capitals).await.last().unwrap().name, "done");
    // Another company's conversation is not there, even for the asking.
    assert_eq!(visitor.refused(json!({ "message": "Hello?", "conversation_id": theirs })).await.0, 404);

    let commands = monitor.until_now().await;
    let companies = BTreeSet::from([acme.id.as_str(), bright.id.as_str()]);
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    let mut keys = 0;
    for command in &commands {
        let name = command[0].to_uppercase();
        assert!(!FORBIDDEN.contains(&name.as_str()), "Redis ran {command:?}");
        for key in keys_of(&name, command) {
            let kind = check_key(key, &companies);
            *kinds.entry(kind).or_default() += 1;
            keys += 1;
        }
    }
    tally("4 memory", "texts from outside that are no part of a key", counted, 300);
    tally("4 memory", "seen in MONITOR, each of its company", keys, 500);
    let all =
        ["codes_tried", "daily_spend", "links_asked", "login_attempts", "mails_sent", "mails_to", "memory"];
    assert_eq!(kinds.keys().collect::<Vec<_>>(), all, "a kind of key that no rule here knows, or one unseen");
}

/// Texts that would matter if they were part of a key, a pattern, a command or a script.
fn texts(acme: &Company, bright: &Company, conversation: &str, theirs: &str) -> Vec<String> {
    let (a, b) = (&acme.id, &bright.id);
    [
        "",
        " ",
        ":",
        "::",
        "*",
        "?",
        "[a-z]",
        "\\*",
        "{}",
        "{",
        "}",
        "}{",
        "{{}}",
        "x}{y",
        "{x}:y",
        "\r\n",
        "\n",
        "\0",
        "a\0b",
        "\u{1b}[2J",
        "../..",
        "%2a",
        "$6",
        "*1\r\n$8\r\nFLUSHALL\r\n",
        "' .. KEYS[1] .. '",
        "\"; return redis.call('KEYS','*') --",
        "]] redis.call('FLUSHALL') --[[",
        "\u{feff}",
        "\u{202e}",
        "\u{ff0a}",
        "\u{ff5b}\u{ff5d}",
        "null",
        "undefined",
        "NaN",
        "-1",
        "0",
        "true",
        "[]",
        "\u{1f4a3}",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([
        format!("{conversation}:"),
        format!("{conversation}*"),
        format!(" {conversation}"),
        format!("{conversation}\n"),
        format!("{conversation}\0"),
        format!("{{{conversation}}}"),
        format!("urn:uuid:{conversation}"),
        conversation.replace('-', ""),
        format!("memory:{{{b}}}:{theirs}"),
        format!("{{{b}}}:{theirs}"),
        format!("}}:{theirs}"),
        format!("{{{a}}}"),
        format!("daily_spend:{{{b}}}:2026-11-22"),
        format!("{a}:{b}"),
        "x".repeat(3_000),
        "*".repeat(36),
        "{}".repeat(18),
        ":".repeat(36),
        format!("{}*", &conversation[..35]),
        format!("{}\0", &conversation[..35]),
        format!("{}:", &conversation[..35]),
        conversation.replace('-', ":"),
        conversation.replace('-', "\n"),
    ])
    .collect()
}

/// A key is `kind:{company}` and then an id, a date, a hash or a number: nothing that came from outside as it was.
fn check_key(key: &str, companies: &BTreeSet<&str>) -> String {
    let parts: Vec<&str> = key.split(':').collect();
    let [kind, tag, rest @ ..] = parts.as_slice() else { panic!("{key:?} is no key of ours") };
    let company = tag.strip_prefix('{').and_then(|tag| tag.strip_suffix('}'));
    assert!(company.is_some_and(|company| companies.contains(company)), "{key:?} carries no company");
    let id = |text: &str| uuid::Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let hashed = |text: &str| {
        text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let fits = match (*kind, rest) {
        ("memory", [conversation]) => id(conversation),
        ("daily_spend", [day]) => day.len() == 10 && day.split('-').all(digits),
        ("login_attempts", [hash]) => hashed(hash),
        ("links_asked" | "mails_to", [hash, hour]) => hashed(hash) && digits(hour),
        ("mails_sent", [day]) => digits(day),
        ("codes_tried", [user, hour]) => id(user) && digits(hour),
        _ => false,
    };
    assert!(fits, "{key:?} is not what a key of its kind is");
    (*kind).to_owned()
}

/// The keys of a command: those a script is given, or the one that a command names first.
fn keys_of<'command>(name: &str, command: &'command [String]) -> Vec<&'command str> {
    match name {
        "EVAL" | "EVALSHA" => {
            let count = command[2].parse().unwrap();
            command[3..].iter().take(count).map(String::as_str).collect()
        }
        "HGETALL" | "HMGET" | "LRANGE" | "HSET" | "HGET" | "HDEL" | "HINCRBY" | "EXPIRE" | "INCR"
        | "RPUSH" | "LTRIM" => {
            vec![&command[1]]
        }
        // The gateway's own: they name no key.
        "PING" | "AUTH" | "HELLO" | "CLIENT" | "UNWATCH" | "ECHO" => vec![],
        other => panic!("Redis ran {other}, which no rule here knows: {command:?}"),
    }
}

/// Redis's own account of what it runs (<https://redis.io/docs/latest/commands/monitor/>).
struct Monitor {
    lines: BufReader<TcpStream>,
    address: String,
    password: String,
}

impl Monitor {
    async fn start(stand: &Stand) -> Self {
        // redis://:password@host:port/0
        let rest = stand.redis_native_url.strip_prefix("redis://:").unwrap();
        let (password, rest) = rest.split_once('@').unwrap();
        let address = rest.split('/').next().unwrap().to_owned();
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(format!("AUTH {password}\r\nMONITOR\r\n").as_bytes()).await.unwrap();
        let mut monitor = Self { lines: BufReader::new(stream), address, password: password.to_owned() };
        assert_eq!((monitor.line().await, monitor.line().await), ("+OK".into(), "+OK".into()));
        monitor
    }

    /// Every command that ran since the start.
    async fn until_now(&mut self) -> Vec<Vec<String>> {
        let mark = format!("mark-{}", uuid::Uuid::new_v4());
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(format!("AUTH {}\r\nECHO {mark}\r\n", self.password).as_bytes()).await.unwrap();
        let mut commands = Vec::new();
        loop {
            let line = self.line().await;
            let command = parse(&line);
            if command.last() == Some(&mark) {
                return commands;
            }
            commands.push(command);
        }
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.lines.read_until(b'\n', &mut line);
        tokio::time::timeout(std::time::Duration::from_secs(30), read).await.unwrap().unwrap();
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }
}

/// `+time [db client] "command" "argument" …`, where quotes and bytes beyond ASCII are escaped.
fn parse(line: &str) -> Vec<String> {
    let (_, rest) = line.split_once("] ").unwrap_or_else(|| panic!("MONITOR said {line:?}"));
    let mut words = Vec::new();
    let mut characters = rest.chars();
    while let Some(quote) = characters.next() {
        if quote != '"' {
            continue;
        }
        let mut word = Vec::new();
        loop {
            match characters.next().unwrap() {
                '"' => break,
                '\\' => match characters.next().unwrap() {
                    'n' => word.push(b'\n'),
                    'r' => word.push(b'\r'),
                    't' => word.push(b'\t'),
                    'a' => word.push(7),
                    'b' => word.push(8),
                    'x' => {
                        let digits: String = characters.by_ref().take(2).collect();
                        word.push(u8::from_str_radix(&digits, 16).unwrap());
                    }
                    other => word.extend(other.to_string().bytes()),
                },
                other => word.extend(other.to_string().bytes()),
            }
        }
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    assert!(!words.is_empty(), "MONITOR said {line:?}");
    words
}

/// What is kept under a key names its company once more: a value that lies there for another is not used.
#[tokio::test]
async fn a_value_of_another_company_under_our_key_is_dropped() {
    let stand = Stand::get();
    let (acme, bright) =
        (Company::new(stand, "plumbing").await, Company::new(stand, "dental-practice").await);
    let key = format!("test-ok-{}", uuid::Uuid::new_v4().simple());
    acme.provider("openai", &key).await;
    let visitor = acme.visitor().await;
    let asked = visitor.ask("Do you fix leaks?").await;
    let conversation = asked[0].data["conversation_id"].as_str().unwrap().to_owned();
    let id = token::claims(&visitor.token)["sub"].as_str().unwrap().to_owned();
    let memory = format!("memory:{{{}}}:{conversation}", acme.id);
    let value = |company: &str, visitor: &str, what: &str| {
        json!({ "company": company, "visitor": visitor, "question": what, "answer": "noted" }).to_string()
    };
    let nobody = uuid::Uuid::new_v4().to_string();
    for planted in [
        value(&bright.id, &id, "CANARY of another company"),
        value(&acme.id, &nobody, "CANARY of another visitor"),
        value(&acme.id, &id, "planted by the test itself"),
        "CANARY that is no JSON".to_owned(),
    ] {
        let command = json!(["RPUSH", memory, planted]);
        let request = reqwest::Client::new().post(&stand.gateway_url).bearer_auth(&stand.redis_token);
        assert_eq!(request.json(&command).send().await.unwrap().status(), 200);
    }
    visitor.send(json!({ "message": "And now?", "conversation_id": conversation })).await;
    let prompt = stand.upstream.requests(&key).last().unwrap().body.to_string();
    assert!(prompt.contains("planted by the test itself"), "the control: memory is read at all: {prompt}");
    assert!(!prompt.contains("CANARY"), "{prompt}");
}
