//! `bulkhead company`: out, in, suspended and resumed, one company and no other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64ct::{Base64UrlUnpadded, Encoding};
use bulkhead_tests::company::Company;
use bulkhead_tests::stand::{Stand, tool};
use bulkhead_tests::tally::tally;
use http::Method;
use serde_json::{Value, json};
use tokio::process::Command;

/// Tables with companies' data that an archive holds. One that is neither here nor among those left out fails the test below:
/// decide, for each new table, whether a company takes it along.
pub(super) const KEPT: &[&str] = &[
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
    "domains",
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
    "retention_settings",
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
    "webhooks",
    "widget_settings",
];

/// Tables that stay behind.
pub(super) const LEFT_OUT: &[&str] =
    &["account_links", "idempotency_keys", "outbox", "sessions", "support_accesses"];

/// A folder of this test's own.
pub(super) fn folder() -> PathBuf {
    let folder =
        tool().ancestors().nth(2).unwrap().join(format!("archives/{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(super) fn master_keys() -> String {
    format!("7:{}", Base64UrlUnpadded::encode_string(&[7; 32]))
}

/// Runs `bulkhead company`; gives whether it succeeded, and all that it said.
pub(super) async fn company(stand: &Stand, elsewhere: Option<&str>, args: &[&str]) -> (bool, String) {
    output(command(stand, elsewhere, args)).await
}

pub(super) fn command(stand: &Stand, elsewhere: Option<&str>, args: &[&str]) -> Command {
    let on = |url: &str| elsewhere.map_or_else(|| url.to_owned(), |name| database(url, name));
    let mut command = Command::new(tool());
    command
        .arg("company")
        .args(args)
        .env("DATABASE_OWNER_URL", on(&stand.owner_database_url))
        .env("DATABASE_URL", on(&stand.worker_database_url))
        .env("REDIS_URL", &stand.redis_native_url)
        .env("MASTER_KEYS", master_keys());
    command
}

pub(super) async fn output(mut command: Command) -> (bool, String) {
    let output = command.kill_on_drop(true).output().await.unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Another deployment: another database, migrated. Gives its name.
pub(super) async fn deployment(stand: &Stand) -> String {
    let name = format!("other_{}", uuid::Uuid::new_v4().simple());
    owner(stand).await.batch_execute(&format!("create database {name}")).await.unwrap();
    let mut migrate = Command::new(tool());
    migrate.arg("migrate").env("DATABASE_OWNER_URL", database(&stand.owner_database_url, &name));
    migrate.env("DATABASE_URL", database(&stand.worker_database_url, &name));
    let (migrated, said) = output(migrate).await;
    assert!(migrated, "{said}");
    name
}

/// The URL of another database of the same server.
pub(super) fn database(url: &str, name: &str) -> String {
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
}

/// The same, which must succeed.
pub(super) async fn done(stand: &Stand, args: &[&str]) -> String {
    let (done, said) = company(stand, None, args).await;
    assert!(done, "{args:?}: {said}");
    said
}

/// Unpacks an archive, and gives its manifest.
pub(super) fn unpack(archive: &Path) -> (PathBuf, Value) {
    let to = folder();
    let status =
        std::process::Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&to).status().unwrap();
    assert!(status.success());
    let manifest = serde_json::from_slice(&std::fs::read(to.join("manifest.json")).unwrap()).unwrap();
    (to, manifest)
}

/// Rows, bytes and hash of each table.
pub(super) fn sums(manifest: &Value) -> BTreeMap<String, Value> {
    let tables = manifest["tables"].as_array().unwrap();
    let sum = |part: &Value| json!([part["rows"], part["bytes"], part["sha256"]]);
    tables.iter().map(|part| (part["table"].as_str().unwrap().to_owned(), sum(part))).collect()
}

pub(super) async fn owner(stand: &Stand) -> tokio_postgres::Client {
    connect(&stand.owner_database_url).await
}

pub(super) async fn connect(url: &str) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    client
}

pub(super) async fn status(company: &Company) -> u16 {
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

    let other = deployment(stand).await;
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
    for table in ["api_keys", "providers", "recovery_codes", "webhooks"] {
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
pub(super) fn pack(files: &Path, like: &Path, to: &Path) {
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
async fn a_company_goes_to_another_plan_and_no_other_does() {
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "florist").await, Company::new(stand, "florist").await);
    let plan = async |company: &Company| {
        let (status, plan) = company.call(&company.owner, Method::GET, "/v1/plan", None).await;
        assert_eq!(status, 200);
        (plan["plan"].as_str().unwrap().to_owned(), plan["monthly_tokens"].as_u64().unwrap())
    };
    let before = plan(&acme).await;
    assert_eq!(before, ("starter".to_owned(), 5_000_000));
    let said = done(stand, &["plan", &acme.slug]).await;
    assert!(said.contains("* starter: $89.00 a month") && said.contains("  pro: $299.00 a month"), "{said}");
    assert_eq!(plan(&acme).await, before, "to look changes nothing");

    let (changed, said) = self::company(stand, None, &["plan", &acme.slug, "--to", "golden"]).await;
    assert!(
        !changed
            && said.contains("there is no plan golden: ")
            && said.contains("starter, growth, pro, scale"),
        "{said}"
    );
    let said = done(stand, &["plan", &acme.slug, "--to", "pro"]).await;
    assert!(said.contains("goes from starter to pro"), "{said}");
    assert!(done(stand, &["plan", &acme.slug, "--to", "pro"]).await.contains("has the plan pro already"));
    assert_eq!(plan(&acme).await, ("pro".to_owned(), 40_000_000));
    assert_eq!(plan(&rival).await, before);
    let noted = acme
        .rows("select target from audit_events where company_id = $1::text::uuid and action = 'plan.changed'")
        .await;
    assert_eq!(noted.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["starter to pro"]);
}
