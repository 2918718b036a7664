//! The gateway over a real Postgres and Redis: what one request does must not be seen by the next.
//! It needs no table of Bulkhead's.

use std::future::poll_fn;
use std::time::Duration;

use bulkhead_tests::core::Gateway;
use bulkhead_tests::stand::Stand;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, NoTls};

fn env(name: &str) -> String {
    Stand::get().var(name).to_owned()
}

struct Reply {
    status: u16,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    fn code(&self) -> Value {
        self.json()["code"].clone()
    }

    /// The first row of the result at `place`, in array mode.
    fn row(&self, place: usize) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["results"][place]["rows"][0].clone()
    }
}

async fn post_sql(connection_string: &str, body: String) -> Reply {
    post_sql_to(&format!("{}/sql", env("GATEWAY_URL")), connection_string, body).await
}

async fn post_sql_to(sql_url: &str, connection_string: &str, body: String) -> Reply {
    let request = reqwest::Client::new()
        .post(sql_url)
        .header("Neon-Connection-String", connection_string)
        .header("Neon-Raw-Text-Output", "true")
        .header("Neon-Array-Mode", "true")
        .body(body);
    let response = request.send().await.unwrap();
    Reply { status: response.status().as_u16(), text: response.text().await.unwrap() }
}

async fn sql(body: Value) -> Reply {
    post_sql(&env("DATABASE_URL"), body.to_string()).await
}

async fn batch(statements: &[&str]) -> Reply {
    sql(queries(statements)).await
}

fn queries(statements: &[&str]) -> Value {
    let queries: Vec<Value> =
        statements.iter().map(|query| json!({ "query": query, "params": [] })).collect();
    json!({ "queries": queries })
}

/// A gateway of one connection, whose next borrower is lent what the last one left.
struct Lender(Gateway);

impl Lender {
    fn new() -> Self {
        Self(Gateway::of_one_connection(Stand::get()))
    }

    async fn batch(&self, statements: &[&str]) -> Reply {
        post_sql_to(&self.0.sql_url(), &env("DATABASE_URL"), queries(statements).to_string()).await
    }

    /// Runs `dirty` and then `probe` on the very same connection; none if that connection was closed.
    async fn next_borrower(&self, dirty: &[&str], probe: &str) -> Option<Value> {
        let mut statements = vec!["select pg_backend_pid()"];
        statements.extend(dirty);
        let dirtied = self.batch(&statements).await;
        let next = self.batch(&["select pg_backend_pid()", probe]).await;
        (next.row(0) == dirtied.row(0)).then(|| next.row(1)[0].clone())
    }
}

async fn direct() -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&env("DATABASE_URL"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A connection that hears what is committed on `channel`.
async fn listener(channel: &str) -> (tokio_postgres::Client, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (client, mut connection) = tokio_postgres::connect(&env("DATABASE_URL"), NoTls).await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(heard) = message {
                let _ = sender.send(heard.payload().to_owned());
            }
        }
    });
    client.batch_execute(&format!("listen {channel}")).await.unwrap();
    (client, receiver)
}

#[tokio::test]
async fn begin_alone_never_sticks() {
    for statement in ["begin", "BEGIN;", "start transaction", "/* x */ begin", ";begin"] {
        let reply = sql(json!({ "query": statement, "params": [] })).await;
        assert_eq!((reply.status, reply.code()), (400, json!("0A000")), "{statement}");
    }
    let reply = sql(json!({ "query": "begin; select 1", "params": [] })).await;
    assert_eq!(reply.status, 400);
    // A transaction of its own each: the second does not see the first one's start.
    let query = json!({ "query": "select now()", "params": [] });
    let (first, second) = (sql(query.clone()).await, sql(query).await);
    assert_ne!(first.json()["rows"], second.json()["rows"]);
}

#[tokio::test]
async fn settings_of_one_request_are_not_the_next_ones() {
    let setting = "select current_setting('app.current_company_id', true)";
    let set = "select set_config('app.current_company_id', 'acme', false)";
    let lender = Lender::new();
    let seen = lender.next_borrower(&[set], setting).await.unwrap();
    assert!(seen.is_null() || seen == "", "{seen}");
    for (dirty, name) in [
        ("set statement_timeout = 0", "statement_timeout"),
        ("set session characteristics as transaction read write", "default_transaction_read_only"),
        ("set search_path = pg_catalog", "search_path"),
        ("set timezone = 'Asia/Kolkata'", "timezone"),
    ] {
        let probe = format!("select current_setting('{name}')");
        let clean = lender.batch(&[&probe]).await.row(0)[0].clone();
        assert_eq!(lender.next_borrower(&[dirty], &probe).await.unwrap(), clean, "{name}");
    }
    assert_ne!(batch(&["select current_setting('statement_timeout')"]).await.row(0)[0], "0");
    // Were a transaction not to begin, its statements could store nothing.
    assert_eq!(batch(&["select current_setting('default_transaction_read_only')"]).await.row(0)[0], "on");
}

#[tokio::test]
async fn nothing_of_a_session_is_inherited() {
    let lender = Lender::new();
    for (dirty, probe, expected) in [
        ("create temp table leak (a int)", "select to_regclass('pg_temp.leak')::text", Value::Null),
        ("listen leak", "select count(*) from pg_listening_channels()", json!("0")),
        (
            "declare leak cursor with hold for select 1",
            "select count(*) from pg_cursors where name = 'leak'",
            json!("0"),
        ),
        (
            "select pg_advisory_lock(8786)",
            "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
            json!("0"),
        ),
        ("set session authorization default", "select (session_user = current_user)::text", json!("true")),
        ("set role none", "select current_setting('role')", json!("none")),
    ] {
        assert_eq!(lender.next_borrower(&[dirty], probe).await.unwrap(), expected, "{dirty}");
    }
}

#[tokio::test]
async fn a_connection_with_statements_prepared_in_sql_is_not_lent_again() {
    let leak = "do $$ begin execute 'prepare leak as select 1'; end $$";
    assert_eq!(Lender::new().next_borrower(&[leak], "select 1").await, None);
}

#[tokio::test]
async fn what_a_connection_had_prepared_may_vanish_or_change() {
    let forget = "do $$ begin execute 'deallocate all'; end $$";
    for _ in 0..20 {
        assert_eq!(batch(&["select 1", forget]).await.status, 200);
    }
    for columns in ["a int", "a text, b int", "b uuid"] {
        let create = format!("create temp table reshaped ({columns})");
        for _ in 0..20 {
            let reply = batch(&[&create, "select * from reshaped"]).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
    }
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let (_client, mut heard) = listener("atomic").await;
    for breaking in [
        "select 1/0",
        "select 1/(random() * 0)::int from generate_series(1, 3)",
        "selec",
        "commit",
        " ;/**/COMMIT and chain",
        "rollback",
        "savepoint a",
        "do $$ begin commit; end $$",
        "select 'a'::tsvector",
        "select repeat('x', 1000000) from generate_series(1, 20)",
    ] {
        let reply = batch(&["select pg_notify('atomic', 'broken')", breaking, "select 1"]).await;
        assert_ne!(reply.status, 200, "{breaking}");
        let reply = batch(&["select pg_notify('atomic', 'a')", "select pg_notify('atomic', 'b')"]).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let (a, b) = (heard.recv().await.unwrap(), heard.recv().await.unwrap());
        assert_eq!((a.as_str(), b.as_str()), ("a", "b"), "{breaking}");
    }
}

#[tokio::test]
async fn the_first_failure_is_the_one_reported() {
    let reply = batch(&["select 1", "select 1/0", "select 'x'::int", "select 2"]).await;
    assert_eq!((reply.status, reply.code()), (400, json!("22012")));
    assert_eq!(reply.json()["severity"], "ERROR");
    let reply = sql(json!({ "query": "select $1::int", "params": [] })).await;
    assert_eq!((reply.status, reply.code()), (400, json!("08P01")));
    let reply = sql(json!({ "query": "select $1::int", "params": ["x"] })).await;
    assert_eq!((reply.status, reply.code()), (400, json!("22P02")));
    assert_eq!(post_sql(&env("DATABASE_URL"), "{".into()).await.status, 400);
    let reply = sql(json!({ "query": "select 1", "params": ["x".repeat(2 << 20)] })).await;
    assert_eq!(reply.status, 413);
}

#[tokio::test]
async fn batch_headers_are_the_transactions() {
    let response = reqwest::Client::new()
        .post(format!("{}/sql", env("GATEWAY_URL")))
        .header("Neon-Connection-String", env("DATABASE_URL"))
        .header("Neon-Array-Mode", "true")
        .header("Neon-Batch-Isolation-Level", "Serializable")
        .header("Neon-Batch-Read-Only", "true")
        .header("Neon-Batch-Deferrable", "true")
        .body(
            json!({ "queries": [
            { "query": "show transaction_isolation" },
            { "query": "show transaction_read_only" },
            { "query": "show transaction_deferrable" },
        ] })
            .to_string(),
        );
    let response = response.send().await.unwrap();
    assert_eq!(response.headers()["neon-batch-isolation-level"], "Serializable");
    let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let values: Vec<&Value> = (0..3).map(|place| &answer["results"][place]["rows"][0][0]).collect();
    assert_eq!(values, ["serializable", "on", "on"]);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_507() {
    let reply = batch(&["select repeat('x', 1000000) from generate_series(1, 20)"]).await;
    assert_eq!(reply.status, 507, "{}", reply.text);
}

#[tokio::test]
async fn a_statement_over_its_time_is_cancelled() {
    let reply = batch(&["set local statement_timeout = '50ms'", "select pg_sleep(20)"]).await;
    assert_eq!((reply.status, reply.code()), (400, json!("57014")));
}

#[tokio::test]
async fn an_abandoned_request_stops_and_leaves_nothing_open() {
    let observer = direct().await;
    let running = "select count(*) from pg_stat_activity where query like '%abandoned_marker%' and pid <> pg_backend_pid()";
    let count = async || -> i64 { observer.query_one(running, &[]).await.unwrap().get(0) };
    let request = tokio::spawn(async { batch(&["select pg_sleep(9), 'abandoned_marker'"]).await.status });
    while count().await == 0 {
        sleep(Duration::from_millis(20)).await;
    }
    request.abort();
    // Two seconds at most, which is less than any time limit of the gateway's would take to end it.
    for _ in 0..100 {
        if count().await == 0 {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the statement still runs, or its transaction is still open");
}

#[tokio::test]
async fn wrong_credentials_all_look_alike() {
    let right = env("DATABASE_URL");
    let (user_password, rest) = right.split_once("://").and_then(|(_, rest)| rest.split_once('@')).unwrap();
    let (user, password) = user_password.split_once(':').unwrap();
    let (host, database) = rest.split_once('/').unwrap();
    let mut answers = Vec::new();
    for wrong in [
        format!("postgres://nobody:{password}@{host}/{database}"),
        format!("postgres://{user}:nothing@{host}/{database}"),
        format!("postgres://{user}:{password}x@{host}/{database}"),
        format!("postgres://{user}@{host}/{database}"),
        format!("postgres://{user}:{password}@{host}/postgres"),
        "postgres://".to_owned(),
        "nonsense".to_owned(),
        String::new(),
    ] {
        let reply = post_sql(&wrong, json!({ "query": "select 1" }).to_string()).await;
        answers.push((reply.status, reply.text));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, 400);
}

#[tokio::test]
async fn parameters_arrive_as_they_were_written() {
    let query =
        "select $1::text, $2::int8, $3::numeric, $4::bool, $5::text[], $6::jsonb, $7::text, $8::int[]";
    let odd = "a'b\"c\\d\n\u{e9}\u{1f600}";
    let params =
        r#"9007199254740993, 1.10, true, ["x,y", null, "null", "q\"\\"], {"k": [1]}, null, [[1,2],[3,4]]"#;
    let body = format!(r#"{{"query":"{query}","params":[{},{params}]}}"#, json!(odd));
    let reply = post_sql(&env("DATABASE_URL"), body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let expected = json!([
        odd,
        "9007199254740993",
        "1.10",
        "t",
        "{\"x,y\",NULL,\"null\",\"q\\\"\\\\\"}",
        "{\"k\": [1]}",
        null,
        "{{1,2},{3,4}}"
    ]);
    assert_eq!(reply.json()["rows"][0], expected);
}

#[tokio::test]
async fn results_read_as_postgres_writes_them() {
    let values = "true | false | 1::int2 | -2147483648 | 9223372036854775807 | 4294967295::oid | null::int
        | 0::float8 | '-0'::float8 | 1.5::float8 | 0.0001::float8 | 0.00001::float8 | 1e14::float8 | 1e15::float8
        | 123456789012345.6::float8 | 1234567890123456::float8 | 1e300::float8 | 5e-324::float8 | 'nan'::float8
        | '-infinity'::float8 | 0.1::float4 | 123456::float4 | 1234567::float4 | 1e-5::float4 | 3.4e38::float4
        | 0::numeric | 0.00::numeric | -12.34 | 1e20::numeric | 10000::numeric | 100000000.0001 | 1e-20::numeric
        | 0.00010000 | 'nan'::numeric | 'infinity'::numeric | 99999999999999999999999999.999999999999
        | 'a'::text | ''::text | 'ab'::char(5) | 'x'::\"char\" | 'n'::name | 'u' | gen_random_uuid()
        | '{\"a\":  1}'::json | '{\"a\":  1}'::jsonb | '$.a[*]'::jsonpath | '\\x00ff10'::bytea | ''::bytea
        | '2024-02-29'::date | '0044-03-15 BC'::date | 'infinity'::date | '-infinity'::date | '99999-12-31'::date
        | '1999-12-31'::date | '24:00'::time | '01:02:03.000004'::time | '01:02:03.4+05:30'::timetz
        | '01:02:03-11:30:15'::timetz | '2000-01-01'::timestamp | '1969-12-31 23:59:59.999999'::timestamp
        | '0001-12-31 23:59:59.5 BC'::timestamp | 'infinity'::timestamp | '294276-12-31 23:59:59.999999'::timestamp
        | '2024-06-01 12:00+05:30'::timestamptz | '-infinity'::timestamptz | '4713-01-01 00:00+00 BC'::timestamptz
        | '0'::interval | '1 year 2 mons 3 days 04:05:06.789'::interval | '-1 year 2 days -00:00:01'::interval
        | '1 mon -1 day'::interval | '-1 day 1 sec'::interval | '1 day'::interval | '1000000 hours'::interval
        | '-0.000001 sec'::interval | '-1 mon'::interval | '13 mons'::interval | 'infinity'::interval
        | '10.0.0.1'::inet | '10.0.0.1/8'::inet | '10.0.0.0/8'::cidr | '10.0.0.1/32'::cidr | '::1'::inet
        | '2001:db8::/32'::cidr | '08:00:2b:01:02:03'::macaddr | '08:00:2b:01:02:03:04:05'::macaddr8
        | B'1010'::bit(4) | B'101010101'::varbit | '1 2 3'::int2vector | '1 2'::oidvector
        | array[1,null,3] | '{}'::int[] | array[[1,2],[3,4]] | '[0:1]={1,2}'::int[] | '[2:3][-1:0]={{1,2},{3,4}}'::int[]
        | array['a b','','null','x',null,'q\"','b\\s','{','c,d',e'\\t'] | array[true,false] | array['\\x00'::bytea]
        | array['2024-01-01 00:00+00'::timestamptz] | array[1.10, null] | array['{\"a\":1}'::jsonb]
        | array['1 day'::interval] | '12345678901'::xid8 | '1'::xid";
    let values: Vec<&str> =
        values.split(" | ").flat_map(|value| value.split("\n        | ")).map(str::trim).collect();
    let queries: Vec<String> = values
        .iter()
        .map(|value| format!("select {value} as v, nullif(format('%s', {value}), 'never') as t"))
        .collect();
    let queries: Vec<&str> =
        queries.iter().map(String::as_str).filter(|query| !query.contains("gen_random")).collect();
    let reply = batch(&queries).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let answer = reply.json();
    assert!(queries.len() > 90);
    for (place, query) in queries.iter().enumerate() {
        let row = &answer["results"][place]["rows"][0];
        let expected = if row[0].is_null() { json!("") } else { row[0].clone() };
        assert_eq!(expected, row[1], "{query}");
    }
}

struct Redis {
    client: reqwest::Client,
}

impl Redis {
    fn new() -> Self {
        Self { client: reqwest::Client::new() }
    }

    async fn send(&self, path: &str, body: Value) -> Reply {
        self.send_as(path, body, Some(env("GATEWAY_REDIS_TOKEN")), false).await
    }

    async fn send_as(&self, path: &str, body: Value, token: Option<String>, base64: bool) -> Reply {
        let mut request = self.client.post(format!("{}{path}", env("GATEWAY_URL"))).body(body.to_string());
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if base64 {
            request = request.header("Upstash-Encoding", "base64");
        }
        let response = request.send().await.unwrap();
        Reply { status: response.status().as_u16(), text: response.text().await.unwrap() }
    }
}

#[tokio::test]
async fn redis_needs_the_token_and_says_no_more() {
    let redis = Redis::new();
    let missing = redis.send_as("/", json!(["PING"]), None, false).await;
    let wrong = redis.send_as("/", json!(["PING"]), Some("wrong".into()), false).await;
    assert_eq!((missing.status, missing.text.as_str()), (401, r#"{"error":"Unauthorized"}"#));
    assert_eq!((wrong.status, wrong.text), (missing.status, missing.text));
    let reply = redis
        .send_as(&format!("/?_token={}", env("GATEWAY_REDIS_TOKEN")), json!(["PING"]), None, false)
        .await;
    assert_eq!(reply.json()["result"], "PONG");
}

#[tokio::test]
async fn redis_commands_pipelines_and_transactions() {
    let redis = Redis::new();
    let key = "gateway_test:commands";
    redis.send("/", json!(["DEL", key])).await;
    let check = async |path: &str, body: Value, status: u16, expected: Value| {
        let reply = redis.send(path, body.clone()).await;
        assert_eq!((reply.status, reply.json()), (status, expected), "{path} {body}");
    };
    check("/", json!(["SET", key, 1]), 200, json!({ "result": "OK" })).await;
    check("/", json!(["GET", "gateway_test:none"]), 200, json!({ "result": null })).await;
    let wrong_type = "WRONGTYPE Operation against a key holding the wrong kind of value";
    check("/", json!(["LPUSH", key, "x"]), 400, json!({ "error": wrong_type })).await;
    check(
        "/pipeline",
        json!([["INCR", key], ["LPUSH", key, "x"], ["GET", key]]),
        200,
        json!([{ "result": 2 }, { "error": wrong_type }, { "result": "2" }]),
    )
    .await;
    check(
        "/multi-exec",
        json!([["INCR", key], ["LPUSH", key, "x"], ["GET", key]]),
        200,
        json!([{ "result": 3 }, { "error": wrong_type }, { "result": "3" }]),
    )
    .await;
    let refused = json!({ "error": "ERR wrong number of arguments for 'incr' command" });
    check("/multi-exec", json!([["SET", key, "9"], ["INCR"]]), 400, refused).await;
    check(
        &format!("/get/{key}"),
        Value::Null,
        400,
        json!({ "error": "ERR wrong number of arguments for 'get' command" }),
    )
    .await;
    check("/", json!(["GET", key]), 200, json!({ "result": "3" })).await;
    check(
        "/",
        json!(["EVAL", "return {ARGV[1], 2, {KEYS[1]}}", 1, key, "a"]),
        200,
        json!({ "result": ["a", 2, [key]] }),
    )
    .await;
    let digest = redis.send("/", json!(["SCRIPT", "LOAD", "return 7"])).await.json()["result"].clone();
    check("/", json!(["EVALSHA", digest, 0]), 200, json!({ "result": 7 })).await;
    let reply = redis.send("/", json!(["EVALSHA", "0".repeat(40), 0])).await;
    assert!(reply.status == 400 && reply.text.contains("NOSCRIPT"), "{}", reply.text);
    for refused in
        [json!(["BLPOP", key, 0]), json!(["SUBSCRIBE", key]), json!(["keys", "*"]), json!(["MULTI"])]
    {
        assert_eq!(redis.send("/", refused.clone()).await.status, 400, "{refused}");
    }
    for malformed in [json!({}), json!([]), json!([[]]), json!(["GET", null]), json!(1)] {
        assert_eq!(redis.send("/", malformed.clone()).await.status, 400, "{malformed}");
        assert_eq!(redis.send("/pipeline", malformed.clone()).await.status, 400, "{malformed}");
    }
}

#[tokio::test]
async fn redis_strings_in_base64_keep_every_byte() {
    let redis = Redis::new();
    let token = Some(env("GATEWAY_REDIS_TOKEN"));
    let script = json!(["EVAL", "return {'\\255\\0', 1, redis.status_reply('OK')}", 0]);
    let reply = redis.send_as("/", script, token.clone(), true).await;
    assert_eq!(reply.text, r#"{"result":["/wA=",1,"OK"]}"#);
    let reply = redis.send_as("/pipeline", json!([["ECHO", "OK"], ["PING"]]), token, true).await;
    assert_eq!(reply.text, r#"[{"result":"T0s="},{"result":"UE9ORw=="}]"#);
}

#[tokio::test]
async fn a_cancelled_redis_command_leaves_no_answer_for_the_next() {
    let redis = Redis::new();
    let slow = "local x = 0; for i = 1, 200000 do x = x + i end; return ARGV[1]";
    for round in 0..5 {
        let doomed = (0..60).map(|place| {
            let patience = Duration::from_micros(place * 100);
            timeout(patience, redis.send("/", json!(["EVAL", slow, 0, format!("doomed {place}")])))
        });
        let _ = futures_util::future::join_all(doomed).await;
        let asked = (0..60).map(|place| format!("{round}.{place}"));
        let answers = asked.map(|word| {
            let redis = &redis;
            async move { (redis.send("/", json!(["ECHO", word])).await.json(), word) }
        });
        for (answer, word) in futures_util::future::join_all(answers).await {
            assert_eq!(answer["result"], word);
        }
    }
}

#[tokio::test]
async fn health_and_metrics_answer_without_a_secret() {
    let client = reqwest::Client::new();
    let health = client.get(format!("{}/health", env("GATEWAY_URL"))).send().await.unwrap();
    assert_eq!(health.status(), 200);
    assert_eq!(health.text().await.unwrap(), r#"{"postgres":"ok","redis":"ok"}"#);
    let metrics =
        client.get(format!("{}/metrics", env("GATEWAY_URL"))).send().await.unwrap().text().await.unwrap();
    for name in [
        "requests_total",
        "request_duration_seconds_bucket",
        "pool_connections",
        "cancelled_statements_total",
    ] {
        assert!(metrics.contains(&format!("bulkhead_gateway_{name}")), "{name}");
    }
}
