//! `bulkhead company restore`: a company that is there goes back to what its archive holds, and what must not come back does not;
//! from an export, and from a copy of the database as of a point in time.

use std::collections::BTreeMap;
use std::path::Path;

use bulkhead_tests::company::{Company, PASSWORD, event};
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

use super::budget::redis;
use super::lifecycle::{KEPT, command, company, deployment, done, folder, output, owner, pack, sums, unpack};

/// Tables that a restore leaves as they are, or only adds to.
const STAYING: &[&str] = &[
    "api_keys",
    "audit_events",
    "budget_alerts",
    "budgets",
    "companies",
    "hosts",
    "ledger_agent_days",
    "ledger_days",
    "memberships",
    "provider_models",
    "providers",
    "recovery_codes",
    "role_permissions",
    "subscriptions",
    "usage_ledger",
    "users",
    "webhooks",
];

/// A hash of what a company has in each table of an archive.
async fn tables(company: &Company) -> BTreeMap<&'static str, String> {
    let mut hashes = BTreeMap::new();
    for table in KEPT {
        let sql = format!(
            "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} t where company_id = $1::text::uuid"
        );
        hashes.insert(*table, company.rows(&sql).await[0].get(0));
    }
    hashes
}

/// Names of the tables that are not what they were.
fn changed(
    before: &BTreeMap<&'static str, String>,
    after: &BTreeMap<&'static str, String>,
) -> Vec<&'static str> {
    before.iter().filter(|(table, hash)| after[*table] != **hash).map(|(table, _)| *table).collect()
}

/// A hash of what it has of all visitors but one.
async fn others(company: &Company, visitor: &str) -> Vec<String> {
    let mut hashes = Vec::new();
    for rows in [
        format!("contacts t where visitor_id <> '{visitor}'"),
        format!("conversations t where visitor_id <> '{visitor}'"),
        format!("memories t where visitor_id <> '{visitor}'"),
        format!(
            "messages t join conversations c using (company_id, conversation_id) where c.visitor_id <> '{visitor}'"
        ),
        format!("leads t join contacts c using (company_id, contact_id) where c.visitor_id <> '{visitor}'"),
    ] {
        let sql = format!(
            "select count(*) || md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {rows} and company_id = $1::text::uuid"
        );
        hashes.push(company.rows(&sql).await[0].get(0));
    }
    hashes
}

async fn list(company: &Company, what: &str) -> Vec<Value> {
    let path = format!("/v1/{}", what.replace('_', "-"));
    company.owner(Method::GET, &path, None, 200).await[what].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_running_company_is_what_it_was_and_nothing_that_was_taken_away_comes_back() {
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "plumbing").await, Company::new(stand, "plumbing").await);
    acme.furnish().await;
    rival.furnish().await;
    let (leaves, key) = (acme.person("admin").await, acme.api_key(&["chat", "models"]).await);
    let erased = acme.visitor().await;
    let asked = erased.ask("Do you mend boilers at night?").await;
    let lead = json!({ "name": "Erna", "phone": "555 0199" });
    assert_eq!(acme.call(&erased.token, Method::POST, "/v1/leads", Some(lead)).await.0, 201);
    let conversation = event(&asked, "start")["conversation_id"].as_str().unwrap().to_owned();
    let of_erased = format!(
        "select visitor_id::text from conversations where company_id = $1::text::uuid and conversation_id = '{conversation}'"
    );
    let erased: String = acme.rows(&of_erased).await[0].get(0);
    let keeper = acme.visitor().await;
    let asked = keeper.ask("Do you mend taps?").await;
    let conversation = event(&asked, "start")["conversation_id"].as_str().unwrap().to_owned();

    let archive = folder().join("acme.tar.gz");
    let archive = archive.to_str().unwrap();
    done(stand, &["export", &acme.slug, "--out", archive]).await;
    let (there, of_others) = (tables(&acme).await, others(&acme, &erased).await);

    // What went wrong: knowledge and services are gone, agents are somebody else, a page is new.
    for sql in [
        "delete from knowledge_entries where company_id = $1::text::uuid returning 1",
        "delete from services where company_id = $1::text::uuid returning 1",
        "update agents set name = 'Spoiled', instructions = 'Be rude.' where company_id = $1::text::uuid returning 1",
    ] {
        assert!(!acme.rows(sql).await.is_empty(), "{sql}");
    }
    let page = json!({ "slug": "spoiled", "title": "Spoiled", "body": "Spoiled." });
    acme.owner(Method::POST, "/v1/pages", Some(page), 201).await;
    // What was right: somebody left and somebody came, keys were taken away, a password is new, a visitor was erased, money was
    // spent, and the secret for identities is another.
    let came = acme.person("member").await;
    let came = acme.sign_in(&came.email).await.0;
    acme.rows(&format!("update memberships set ended_at = now() where company_id = $1::text::uuid and user_id = '{}' returning 1", leaves.user)).await;
    acme.rows("update api_keys set revoked_at = now() where company_id = $1::text::uuid returning 1").await;
    acme.rows("update users set password_hash = password_hash || 'x' where company_id = $1::text::uuid and email like 'owner@%' returning 1").await;
    for provider in list(&acme, "providers").await {
        let path = format!("/v1/providers/{}", provider["provider_id"].as_str().unwrap());
        acme.owner(Method::DELETE, &path, None, 204).await;
    }
    acme.owner(Method::DELETE, &format!("/v1/visitors/{erased}"), None, 204).await;
    acme.provider("openai", "test-ok-after").await;
    keeper.ask("What does a new tap cost?").await;
    acme.identity("7").await;
    let memory = format!("memory:{{{}}}:{conversation}", acme.id);
    assert_eq!(redis(stand, json!(["EXISTS", memory])).await, json!(1));
    let (spoiled, strangers) = (tables(&acme).await, rival.fingerprint().await);

    // First it says what would change, and changes nothing.
    let said = done(stand, &["restore", &acme.slug, "--from", archive]).await;
    assert!(said.contains("knowledge_entries: 0 go,") && said.contains("nothing was changed"), "{said}");
    assert!(said.contains("site_pages: 1 goes, 0 come,") && said.contains("keys stay"), "{said}");
    assert_eq!(changed(&spoiled, &tables(&acme).await), [""; 0]);

    let said = done(stand, &["restore", &acme.slug, "--from", archive, "--yes"]).await;
    assert!(said.contains("restored; "), "{said}");
    let now = tables(&acme).await;
    // The erased visitor's rows did not come back; the chat's settings have the present secret; all else is what it was.
    let theirs = ["contacts", "conversations", "leads", "memories", "messages", "notices", "widget_settings"];
    assert_eq!(others(&acme, &erased).await, of_others);
    for table in changed(&there, &now) {
        assert!(STAYING.contains(&table) || theirs.contains(&table), "{table} is not what it was");
    }
    for table in changed(&spoiled, &now) {
        assert!(table == "audit_events" || !STAYING.contains(&table), "{table} did not stay");
    }
    for table in ["contacts", "conversations", "memories", "visitor_identities"] {
        let sql =
            format!("select from {table} where company_id = $1::text::uuid and visitor_id = '{erased}'");
        assert!(acme.rows(&sql).await.is_empty(), "{table}");
    }
    let secret = "select md5(sealed_identity_secret) from widget_settings where company_id = $1::text::uuid";
    assert_ne!(now["widget_settings"], there["widget_settings"]);
    assert!(acme.rows(secret).await[0].get::<_, Option<String>>(0).is_some());

    // The sessions of before go on, and so do visitors; whoever left or was revoked stays out.
    assert!(list(&acme, "services").await.len() > 3);
    assert!(list(&acme, "agents").await.iter().all(|agent| agent["name"] != "Spoiled"));
    assert_eq!(acme.call(&came, Method::GET, "/v1/knowledge", None).await.0, 200);
    assert_eq!(acme.call(&key, Method::GET, "/v1/models", None).await.0, 401);
    for email in [&leaves.email, &format!("owner@{}.example", acme.slug)] {
        let login = json!({ "email": email, "password": PASSWORD });
        assert_eq!(acme.call("", Method::POST, "/v1/login", Some(login)).await.0, 401, "{email}");
    }
    assert_eq!(redis(stand, json!(["EXISTS", memory])).await, json!(0));
    let again = keeper.send(json!({ "message": "And at night?", "conversation_id": conversation })).await;
    assert_eq!(event(&again, "done")["source"], "model", "{again:?}");
    assert_eq!(rival.fingerprint().await, strangers, "another company was touched");
    let audit = list_audit(&acme).await;
    assert_eq!(audit.iter().filter(|action| *action == "company.restored").count(), 1);
}

async fn list_audit(company: &Company) -> Vec<String> {
    let events = company.owner(Method::GET, "/v1/audit", None, 200).await["events"].take();
    events.as_array().unwrap().iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_no_archive_of_the_company_restores_nothing() {
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "florist").await, Company::new(stand, "florist").await);
    let path = folder();
    let (own, theirs) = (path.join("own.tar.gz"), path.join("theirs.tar.gz"));
    done(stand, &["export", &acme.slug, "--out", own.to_str().unwrap()]).await;
    done(stand, &["export", &rival.slug, "--out", theirs.to_str().unwrap()]).await;
    let (before, strangers) = (acme.fingerprint().await, rival.fingerprint().await);
    let refused = async |archive: &Path, expected: &str| {
        let args = ["restore", &acme.slug, "--from", archive.to_str().unwrap(), "--yes"];
        let (restored, said) = company(stand, None, &args).await;
        assert!(!restored && said.contains(expected), "{expected}: {said}");
    };
    refused(&theirs, "is an archive of").await;
    // Somebody who mends the hashes as well gets no row into another company, and nothing of it happens.
    let (files, mut manifest) = unpack(&own);
    let table = files.join("tables/quick_replies.jsonl");
    let text = std::fs::read_to_string(&table).unwrap().replacen(&acme.id, &rival.id, 1);
    std::fs::write(&table, &text).unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(text.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = manifest["tables"].as_array_mut().unwrap();
    let part = parts.iter_mut().find(|part| part["table"] == "quick_replies").unwrap();
    part["sha256"] = digest.into();
    std::fs::write(files.join("manifest.json"), manifest.to_string()).unwrap();
    let forged = path.join("forged.tar.gz");
    pack(&files, &own, &forged);
    refused(&forged, "it holds a row of another company: somebody changed the archive").await;
    assert_eq!(acme.fingerprint().await, before);
    assert_eq!(rival.fingerprint().await, strangers);
}

/// The recipe of docs/LIFECYCLE.md: a copy of the database as of a point in time beside the living one, an export from that, and
/// a restore into this. The copy is made by Postgres itself, from a database that nobody is connected to.
#[tokio::test]
async fn from_a_copy_of_the_database_as_of_a_point_in_time_one_company_comes_back() {
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "florist").await, Company::new(stand, "florist").await);
    acme.furnish().await;
    let path = folder();
    let file = |name: &str| path.join(name).to_str().unwrap().to_owned();
    let living = deployment(stand).await;
    let on = async |database: &str, args: &[&str]| {
        let (done, said) = output(command(stand, Some(database), args)).await;
        assert!(done, "{args:?}: {said}");
    };
    for (company, archive) in [(&acme, file("acme.tar.gz")), (&rival, file("rival.tar.gz"))] {
        done(stand, &["export", &company.slug, "--out", &archive]).await;
        on(&living, &["import", &archive]).await;
    }
    let copy = format!("{living}_copy");
    let admin = owner(stand).await;
    admin.batch_execute(&format!("create database {copy} template {living}")).await.unwrap();

    let url = super::lifecycle::database(&stand.owner_database_url, &living);
    let client = super::lifecycle::connect(&url).await;
    let spoil = "delete from knowledge_entries where company_id = $1::text::uuid";
    assert!(client.execute(spoil, &[&acme.id]).await.unwrap() > 0);
    let spoil =
        "update agents set name = 'Spoiled' where company_id = any(array[$1::text::uuid, $2::text::uuid])";
    assert!(client.execute(spoil, &[&acme.id, &rival.id]).await.unwrap() > 1);
    let sums_of = async |database: &str, company: &Company, name: &str| {
        on(database, &["export", &company.id, "--out", &file(name)]).await;
        sums(&unpack(Path::new(&file(name))).1)
    };
    let strangers = sums_of(&living, &rival, "rival-spoiled.tar.gz").await;
    let then = sums_of(&copy, &acme, "acme-then.tar.gz").await;
    assert_ne!(sums_of(&living, &acme, "acme-spoiled.tar.gz").await, then);
    on(&living, &["restore", &acme.id, "--from", &file("acme-then.tar.gz"), "--yes"]).await;
    let mut now = sums_of(&living, &acme, "acme-now.tar.gz").await;
    // The one row more is that it was restored.
    assert_ne!(now["audit_events"], then["audit_events"]);
    now.insert("audit_events".to_owned(), then["audit_events"].clone());
    assert_eq!(now, then);
    assert_eq!(sums_of(&living, &rival, "rival-now.tar.gz").await, strangers);
    drop(client);
    for name in [&copy, &living] {
        admin.batch_execute(&format!("drop database {name} with (force)")).await.unwrap();
    }
}
