//! `bulkhead company` and `bulkhead doctor`: out, in and away with one company and no other, and what is wrong is named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use base64ct::{Base64UrlUnpadded, Encoding};
use bulkhead_tests::company::Company;
use bulkhead_tests::stand::{Stand, tool};
use bulkhead_tests::tally::tally;
use bulkhead_tests::upstream::Upstream;
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::budget::redis;

/// Tables with companies' data that an archive holds. One that is neither here nor among those left out fails the test below:
/// decide, for each new table, whether a company takes it along.
const KEPT: &[&str] = &[
    "agent_handoffs",
    "agent_knowledge_scopes",
    "agent_starters",
    "agent_tools",
    "agents",
    "api_keys",
    "appointment_types",
    "audit_events",
    "budget_alerts",
    "budgets",
    "checklist_items",
    "closures",
    "companies",
    "contacts",
    "conversation_notes",
    "conversations",
    "follow_up_steps",
    "glossary_terms",
    "gpt_contexts",
    "hosts",
    "knowledge_categories",
    "knowledge_drafts",
    "knowledge_entries",
    "labels",
    "lead_questions",
    "leads",
    "ledger_agent_days",
    "ledger_days",
    "memberships",
    "memories",
    "message_ratings",
    "message_templates",
    "messages",
    "notices",
    "notification_settings",
    "opening_hours",
    "payment_methods",
    "pipeline_stages",
    "provider_models",
    "providers",
    "quick_replies",
    "recovery_codes",
    "removals",
    "role_permissions",
    "search_synonyms",
    "services",
    "settled_questions",
    "site_pages",
    "subscriptions",
    "tool_calls",
    "usage_ledger",
    "users",
    "visitor_identities",
    "widget_settings",
];

/// Tables that stay behind.
const LEFT_OUT: &[&str] = &["account_links", "idempotency_keys", "sessions"];

/// A folder of this test's own.
fn folder() -> PathBuf {
    let folder =
        tool().ancestors().nth(2).unwrap().join(format!("archives/{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn master_keys() -> String {
    format!("7:{}", Base64UrlUnpadded::encode_string(&[7; 32]))
}

/// Runs `bulkhead company`; gives whether it succeeded, and all that it said.
async fn company(stand: &Stand, database: Option<&str>, args: &[&str]) -> (bool, String) {
    let on = |url: &str| match database {
        None => url.to_owned(),
        Some(name) => format!("{}/{name}", url.rsplit_once('/').unwrap().0),
    };
    let mut command = Command::new(tool());
    command
        .arg("company")
        .args(args)
        .env("DATABASE_OWNER_URL", on(&stand.owner_database_url))
        .env("DATABASE_URL", on(&stand.worker_database_url))
        .env("REDIS_URL", &stand.redis_native_url)
        .env("MASTER_KEYS", master_keys());
    output(command).await
}

async fn output(mut command: Command) -> (bool, String) {
    let output = command.kill_on_drop(true).output().await.unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The same, which must succeed.
async fn done(stand: &Stand, args: &[&str]) -> String {
    let (done, said) = company(stand, None, args).await;
    assert!(done, "{args:?}: {said}");
    said
}

/// Unpacks an archive, and gives its manifest.
fn unpack(archive: &Path) -> (PathBuf, Value) {
    let to = folder();
    let status =
        std::process::Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&to).status().unwrap();
    assert!(status.success());
    let manifest = serde_json::from_slice(&std::fs::read(to.join("manifest.json")).unwrap()).unwrap();
    (to, manifest)
}

/// Rows, bytes and hash of each table.
fn sums(manifest: &Value) -> BTreeMap<String, Value> {
    let tables = manifest["tables"].as_array().unwrap();
    let sum = |part: &Value| json!([part["rows"], part["bytes"], part["sha256"]]);
    tables.iter().map(|part| (part["table"].as_str().unwrap().to_owned(), sum(part))).collect()
}

async fn owner(stand: &Stand) -> tokio_postgres::Client {
    connect(&stand.owner_database_url).await
}

async fn connect(url: &str) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    client
}

async fn status(company: &Company) -> u16 {
    company.request("", Method::GET, "/").send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_company_goes_out_and_into_another_deployment_byte_for_byte() {
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "plumbing").await, Company::new(stand, "plumbing").await);
    acme.furnish().await;
    rival.furnish().await;
    let folder = folder();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let first = path("first.tar.gz");
    done(stand, &["export", &acme.slug, "--out", &first]).await;
    let (again, said) = company(stand, None, &["export", &acme.slug, "--out", &first]).await;
    assert!(!again && said.contains("is there already"), "{said}");

    // Every table is in one list or the other, and every one that is in has a row: nothing is only seemingly taken along.
    let (files, manifest) = unpack(Path::new(&first));
    let sums_there = sums(&manifest);
    assert_eq!(sums_there.keys().map(String::as_str).collect::<Vec<_>>(), KEPT);
    let left_out: Vec<&String> = manifest["left_out"].as_object().unwrap().keys().collect();
    assert_eq!(left_out, LEFT_OUT);
    let mut all: Vec<&str> = [KEPT, LEFT_OUT].concat();
    all.sort_unstable();
    assert_eq!(acme.tables().await, all);
    let empty: Vec<_> = sums_there.iter().filter(|(_, sum)| sum[0] == 0).map(|(table, _)| table).collect();
    assert!(empty.is_empty(), "{empty:?}");

    // Nothing of anybody else.
    let mut texts = 0;
    for table in KEPT {
        let text = std::fs::read_to_string(files.join(format!("tables/{table}.jsonl"))).unwrap();
        assert!(!text.contains(&rival.id) && !text.contains(&rival.slug), "{table} holds the rival's");
        for line in text.lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            assert_eq!(row["company_id"], json!(acme.id), "{table}");
            texts += 1;
        }
    }
    tally("lifecycle", "rows exported, all of one company", texts, 200);

    // Another deployment: another database, migrated.
    let other = format!("other_{}", uuid::Uuid::new_v4().simple());
    owner(stand).await.batch_execute(&format!("create database {other}")).await.unwrap();
    let on = |url: &str| format!("{}/{other}", url.rsplit_once('/').unwrap().0);
    let mut migrate = Command::new(tool());
    migrate.arg("migrate").env("DATABASE_OWNER_URL", on(&stand.owner_database_url));
    migrate.env("DATABASE_URL", on(&stand.worker_database_url));
    let (migrated, said) = output(migrate).await;
    assert!(migrated, "{said}");

    let (imported, said) = company(stand, Some(&other), &["import", &first]).await;
    assert!(imported, "{said}");
    let second = path("second.tar.gz");
    let (exported, said) = company(stand, Some(&other), &["export", &acme.id, "--out", &second]).await;
    assert!(exported, "{said}");
    assert_eq!(sums(&unpack(Path::new(&second)).1), sums_there);
    // It is there now, and an import changes nothing of it.
    let (imported, said) = company(stand, Some(&other), &["import", &first]).await;
    assert!(!imported && said.contains("is here already"), "{said}");
    // Without secrets, none is in it, and it comes in all the same.
    let bare = path("bare.tar.gz");
    done(stand, &["export", &rival.slug, "--out", &bare, "--without-secrets"]).await;
    let (files, manifest) = unpack(Path::new(&bare));
    for table in ["api_keys", "providers", "recovery_codes"] {
        assert!(manifest["left_out"].get(table).is_some(), "{table}");
    }
    let text = std::fs::read_to_string(files.join("tables/users.jsonl")).unwrap();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&row["sealed_totp_secret"], &row["totp_enabled_at"]), (&Value::Null, &Value::Null));
        assert!(
            row["password_hash"].as_str().unwrap().ends_with("$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        );
    }
    let (imported, said) = company(stand, Some(&other), &["import", &bare]).await;
    assert!(imported, "{said}");
    owner(stand).await.batch_execute(&format!("drop database {other} with (force)")).await.unwrap();
}

/// Packs the folder's files in the order that the archive has them.
fn pack(files: &Path, like: &Path, to: &Path) {
    let listed = std::process::Command::new("tar").arg("-tzf").arg(like).output().unwrap();
    let names: Vec<String> = String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
    let packed = std::process::Command::new("tar")
        .arg("-czf")
        .arg(to)
        .arg("-C")
        .arg(files)
        .args(&names)
        .status()
        .unwrap();
    assert!(packed.success());
}

#[tokio::test]
async fn an_archive_that_was_changed_is_refused() {
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "florist").await, Company::new(stand, "florist").await);
    let archive = folder().join("acme.tar.gz");
    done(stand, &["export", &acme.slug, "--out", archive.to_str().unwrap()]).await;
    let mut refused = 0;
    let mut check = async |change: &dyn Fn(&Path, &mut Value), expected: &str| {
        let (files, mut manifest) = unpack(&archive);
        change(&files, &mut manifest);
        std::fs::write(files.join("manifest.json"), manifest.to_string()).unwrap();
        let changed = files.join("changed.tar.gz");
        pack(&files, &archive, &changed);
        let (imported, said) = company(stand, None, &["import", changed.to_str().unwrap()]).await;
        assert!(!imported && said.contains(expected), "{expected}: {said}");
        refused += 1;
    };
    // As it is, it fails only because the company is here.
    check(&|_, _| (), "is here already").await;
    let edit = |table: &str, from: &str, to: &str, files: &Path| {
        let file = files.join(format!("tables/{table}.jsonl"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{table} has no {from}");
        std::fs::write(&file, text.replace(from, to)).unwrap();
        text.replace(from, to)
    };
    check(&|files, _| drop(edit("users", "Olive", "Oscar", files)), "table users was changed").await;
    check(&|_, manifest| manifest["tables"][3]["rows"] = json!(999), "was changed").await;
    check(&|_, manifest| manifest["format"] = json!(2), "its format is 2").await;
    check(&|_, manifest| manifest["schema"] = json!(1), "fits schema 1").await;
    check(
        &|_, manifest| drop(manifest["tables"].as_array_mut().unwrap().pop()),
        "its manifest knows nothing",
    )
    .await;
    check(&|_, manifest| manifest["company_id"] = json!("acme"), "names no company").await;
    // Somebody who mends the hashes as well still gets no row into a company that is there: row-level security refuses.
    let stranger = uuid::Uuid::new_v4().to_string();
    let forge = |files: &Path, manifest: &mut Value| {
        use sha2::Digest as _;
        manifest["company_id"] = json!(stranger);
        for part in manifest["tables"].as_array_mut().unwrap() {
            let table = part["table"].as_str().unwrap().to_owned();
            let to = if table == "quick_replies" { &rival.id } else { &stranger };
            let file = files.join(format!("tables/{table}.jsonl"));
            let mut text = std::fs::read_to_string(&file).unwrap().replace(&acme.id, to);
            if table == "hosts" {
                text = text.replace(&acme.slug, "forged-florist");
            }
            std::fs::write(&file, &text).unwrap();
            let digest = sha2::Sha256::digest(text.as_bytes());
            part["bytes"] = json!(text.len());
            part["sha256"] = json!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
    };
    let before = rival.fingerprint().await;
    check(&forge, "table quick_replies holds a row of another company").await;
    assert_eq!(rival.fingerprint().await, before);
    let left = owner(stand).await;
    let left =
        left.query("select from companies where company_id = $1::text::uuid", &[&stranger]).await.unwrap();
    assert!(left.is_empty(), "half a company was imported");
    tally("lifecycle", "changed archives refused", refused, 8);
}

#[tokio::test]
async fn suspended_a_company_is_closed_and_resumed_it_answers() {
    let stand = Stand::get();
    let acme = Company::new(stand, "florist").await;
    let key = acme.api_key(&["chat", "models"]).await;
    let said = done(stand, &["suspend", &acme.slug]).await;
    assert!(said.contains("is suspended"), "{said}");
    // The host may be remembered for half a minute; what opens it is shut at once.
    assert!([401, 404].contains(&acme.call(&acme.owner, Method::GET, "/v1/company", None).await.0));
    assert!([401, 404].contains(&acme.call(&key, Method::GET, "/v1/models", None).await.0));
    assert!(done(stand, &["suspend", &acme.slug]).await.contains("already"));
    assert!(done(stand, &["resume", &acme.slug]).await.contains("answers again"));
    assert_eq!(status(&acme).await, 200);
    let email = format!("owner@{}.example", acme.slug);
    let (token, _) = acme.sign_in(&email).await;
    assert_eq!(acme.call(&token, Method::GET, "/v1/company", None).await.0, 200);
    // Sessions and keys from before stay ended.
    assert_eq!(acme.call(&acme.owner, Method::GET, "/v1/company", None).await.0, 401);
    let events = acme
        .rows("select action from audit_events where company_id = $1::text::uuid order by created_at")
        .await;
    let events: Vec<String> = events.iter().map(|row| row.get(0)).collect();
    assert!(events.ends_with(&["company.suspended".to_owned(), "company.resumed".to_owned()]), "{events:?}");
}

#[tokio::test]
async fn a_deleted_company_leaves_no_trace_and_no_other_one_is_touched() {
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "plumbing").await, Company::new(stand, "plumbing").await);
    acme.furnish().await;
    rival.furnish().await;
    let folder = folder();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (receipt, archive) = (path("receipt.json"), path("acme.tar.gz"));
    let purge = ["delete", &acme.id, "--purge", "--receipt", &receipt];

    // Not without having been asked for, not before its time, and not after it was called off.
    let (deleted, said) = company(stand, None, &purge).await;
    assert!(!deleted && said.contains("nobody asked"), "{said}");
    assert!(done(stand, &["delete", &acme.slug, "--request"]).await.contains("--cancel calls it off"));
    let (deleted, said) = company(stand, None, &purge).await;
    assert!(!deleted && said.contains("may be deleted from"), "{said}");
    assert!(done(stand, &["delete", &acme.slug, "--cancel"]).await.contains("its deletion called off"));
    let (deleted, said) = company(stand, None, &purge).await;
    assert!(!deleted && said.contains("nobody asked"), "{said}");
    assert!(!Path::new(&receipt).exists());

    // Asked for again, exported, and carried out as if the days were over.
    done(stand, &["delete", &acme.slug, "--request", "--days", "1"]).await;
    acme.rows(
        "update companies set suspended_at = now() - interval '1 minute', delete_after = now()
         where company_id = $1::text::uuid returning 1",
    )
    .await;
    done(stand, &["export", &acme.slug, "--out", &archive]).await;
    let before = rival.fingerprint().await;
    let key = |company: &Company| format!("questions:{{{}}}:1", company.id);
    for company in [&acme, &rival] {
        redis(stand, json!(["SET", key(company), "1"])).await;
    }
    let said = done(stand, &purge).await;
    assert!(said.contains("is deleted"), "{said}");
    assert_eq!(rival.fingerprint().await, before, "the rival was touched");
    assert_eq!(redis(stand, json!(["EXISTS", key(&acme)])).await, json!(0));
    assert_eq!(redis(stand, json!(["EXISTS", key(&rival)])).await, json!(1));
    let owner = owner(stand).await;
    for table in rival.tables().await {
        let sql = format!("select count(*) from {table} r where strpos(r::text, $1) > 0");
        let number: i64 = owner.query_one(&sql, &[&acme.id]).await.unwrap().get(0);
        assert_eq!(number, 0, "{table}");
    }

    // The receipt says so, and what is changed in it is noticed.
    let text = std::fs::read_to_string(&receipt).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["receipt"]["company_id"], &value["receipt"]["traces"]), (&json!(acme.id), &json!({})));
    let rows = value["receipt"]["rows"].as_object().unwrap();
    assert_eq!(rows.len(), KEPT.len() + LEFT_OUT.len());
    let empty: Vec<_> = rows.iter().filter(|(_, number)| **number == 0).map(|(table, _)| table).collect();
    assert!(empty.len() <= 2, "links and sessions end with the suspension, all else had rows: {empty:?}");
    assert!(value["receipt"]["redis_keys"].as_u64().unwrap() >= 1);
    assert!(done(stand, &["receipt", &receipt]).await.starts_with("good: "));
    let forged = path("forged.json");
    let keys = value["receipt"]["redis_keys"].to_string();
    std::fs::write(&forged, text.replace(&format!("\"redis_keys\": {keys}"), "\"redis_keys\": 77777"))
        .unwrap();
    let (good, said) = company(stand, None, &["receipt", &forged]).await;
    assert!(!good && said.contains("was changed"), "{said}");

    // Nobody gets its address: not even itself, unless by another one.
    let (imported, said) = company(stand, None, &["import", &archive]).await;
    assert!(!imported && said.contains("give it another with --slug"), "{said}");
    let slug = format!("again-{}", &acme.id[acme.id.len() - 12..]);
    done(stand, &["import", &archive, "--slug", &slug]).await;
    let second = path("second.tar.gz");
    done(stand, &["export", &slug, "--out", &second]).await;
    let [mut old, mut new] = [&archive, &second].map(|path| sums(&unpack(Path::new(path)).1));
    for changed in ["companies", "hosts"] {
        assert_ne!(old.remove(changed), new.remove(changed));
    }
    assert_eq!(old, new);
    assert!(done(stand, &["resume", &slug]).await.contains("answers again"));
    let host = format!("{slug}.localhost");
    assert_eq!(stand.http(&host, Method::GET, "/").send().await.unwrap().status(), 200);
}

/// A stand of its own: it is broken in many ways.
fn patient() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| Stand::start(Upstream::start(), &[]))
}

/// Runs `bulkhead doctor` with further settings; gives whether all was well, and all that it said.
async fn doctor(stand: &Stand, settings: &[(&str, &str)]) -> (bool, String) {
    let secrets = std::fs::read_to_string(stand.logs.parent().unwrap().join("secrets.env")).unwrap();
    let keys = secrets.lines().find_map(|line| line.strip_prefix("MASTER_KEYS=")).unwrap();
    let mut command = Command::new(tool());
    command
        .args(["doctor", "--development", "--worker-url", &stand.url])
        .env("DATABASE_OWNER_URL", &stand.owner_database_url)
        .env("DATABASE_URL", &stand.worker_database_url)
        .env("SQL_URL", format!("{}/sql", stand.gateway_url))
        .env("UPSTASH_REDIS_REST_URL", &stand.gateway_url)
        .env("UPSTASH_REDIS_REST_TOKEN", &stand.redis_token)
        .env("MASTER_KEYS", keys)
        .env("ROOT_URL", &stand.root_url)
        .envs(settings.iter().copied());
    let (well, said) = output(command).await;
    assert!(!said.contains(keys) && !said.contains(&stand.redis_token), "a secret was printed: {said}");
    (well, said)
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_and_nothing_else() {
    let stand = patient();
    let acme = Company::new(stand, "plumbing").await;
    acme.provider("openai", "test-ok-doctor").await;
    let (well, said) = doctor(stand, &[]).await;
    assert!(well && said.contains("all is well"), "{said}");
    assert!(!said.contains("skipped") && !said.contains("wrong"), "{said}");

    let ring = master_keys();
    let stranger = stand.worker_database_url.replacen("bulkhead_worker:", "bulkhead_worker:x", 1);
    let mut found = 0;
    for (name, value, expected) in [
        (
            "MASTER_KEYS",
            ring.as_str(),
            "wrong    master keys: a provider key under master key 1 does not open",
        ),
        ("MASTER_KEYS", "one", "wrong    master keys"),
        ("UPSTASH_REDIS_REST_TOKEN", "another", "wrong    Redis: refuses the token"),
        ("UPSTASH_REDIS_REST_URL", "http://127.0.0.1:1", "wrong    Redis: does not answer"),
        ("REDIS_SCRIPT_FLAGS", "no-such-flag", "wrong    Redis scripts"),
        ("SQL_URL", stand.gateway_url.as_str(), "wrong    SQL over HTTP"),
        ("DATABASE_URL", stranger.as_str(), "wrong    database, as the worker: cannot connect"),
        ("DATABASE_URL", stand.owner_database_url.as_str(), "wrong    worker's role"),
        ("ROOT_URL", "http://example.com", "wrong    worker: "),
    ] {
        let (well, said) = doctor(stand, &[(name, value)]).await;
        assert!(
            !well && said.contains(expected) && said.contains("to mend it: "),
            "{name}, {expected}: {said}"
        );
        found += 1;
    }
    // The stand's administrator has the owner's password.
    let superuser = connect(&stand.owner_database_url.replacen("bulkhead_owner:", "postgres:", 1)).await;
    for (breaks, mends, expected) in [
        (
            "alter table notices no force row level security",
            "alter table notices force row level security",
            "wrong    row-level security: not in force on notices",
        ),
        (
            "create policy more on leads to bulkhead_runtime using (true)",
            "drop policy more on leads",
            "wrong    row-level security: not in force on leads",
        ),
        (
            "revoke select on leads from bulkhead_runtime",
            "grant select on leads to bulkhead_runtime",
            "wrong    worker's grants: bulkhead_runtime may not read leads",
        ),
        (
            "grant truncate on leads to bulkhead_runtime",
            "revoke truncate on leads from bulkhead_runtime",
            "wrong    worker's grants: bulkhead_runtime may truncate on leads",
        ),
        (
            "alter role bulkhead_worker createdb",
            "alter role bulkhead_worker nocreatedb",
            "wrong    worker's role: bulkhead_worker is past",
        ),
        (
            "alter role bulkhead_worker set app.current_company_id = '00000000-0000-0000-0000-000000000000'",
            "alter role bulkhead_worker reset app.current_company_id",
            "wrong    closed without a company: a query that names no company is answered",
        ),
        (
            "update refinery_schema_history set checksum = '1' where version = 3",
            "",
            "wrong    migrations: V3__lexicon",
        ),
        ("delete from refinery_schema_history where version = 3", "", "wrong    migrations: 1 of"),
    ] {
        superuser.batch_execute(breaks).await.unwrap();
        let (well, said) = doctor(stand, &[]).await;
        superuser.batch_execute(mends).await.unwrap();
        assert!(!well && said.contains(expected) && said.contains("to mend it: "), "{breaks}: {said}");
        found += 1;
    }
    tally("lifecycle", "broken deployments found out by the doctor", found, 17);
}
