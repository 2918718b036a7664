//! The end of a company: asked for, called off, carried out, interrupted; no trace of it, and no other one touched.

use std::collections::BTreeMap;
use std::path::Path;

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::Stand;
use http::Method;
use serde_json::{Value, json};

use crate::budget::redis;
use crate::lifecycle::{
    KEPT, LEFT_OUT, command, company, connect, database, deployment, done, folder, owner, status, sums,
    unpack,
};

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

#[tokio::test]
async fn an_interrupted_deletion_goes_on_and_its_receipt_counts_the_whole() {
    let stand = Stand::get();
    let acme = Company::new(stand, "florist").await;
    acme.furnish().await;
    let receipt = folder().join("receipt.json");
    let purge = ["delete", &acme.id, "--purge", "--receipt", receipt.to_str().unwrap()];
    done(stand, &["delete", &acme.slug, "--request"]).await;
    acme.rows(
        "update companies set suspended_at = now() - interval '1 minute', delete_after = now()
         where company_id = $1::text::uuid returning 1",
    )
    .await;
    let mut before = BTreeMap::new();
    for table in acme.tables().await {
        let sql = format!("select count(*) from {table} where company_id = $1::text::uuid");
        before.insert(table, acme.rows(&sql).await[0].get::<_, i64>(0));
    }

    // Somebody holds a row of a table that comes late, so that the deletion stands still there.
    let holder = owner(stand).await;
    let held = "begin; select from agents where company_id = '{}' for update";
    holder.batch_execute(&held.replace("{}", &acme.id)).await.unwrap();
    let pid: i32 = holder.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let mut child = command(stand, None, &purge).kill_on_drop(true).spawn().unwrap();
    let watcher = owner(stand).await;
    let blocked = "select exists (select from pg_stat_activity where $1 = any(pg_blocking_pids(pid)))";
    let mut stands_still = false;
    for _ in 0..600 {
        stands_still = watcher.query_one(blocked, &[&pid]).await.unwrap().get(0);
        if stands_still || child.try_wait().unwrap().is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(stands_still, "the deletion did not come to the row that is held");
    child.kill().await.unwrap();

    // It has begun: nothing was lost of what it has done, nobody calls it off, and nobody takes half a company for a whole one.
    let so_far =
        acme.rows("select deleted_so_far::text from companies where company_id = $1::text::uuid").await;
    let so_far: Value = serde_json::from_str(so_far[0].get(0)).unwrap();
    assert!(so_far["messages"].as_u64().unwrap() > 0, "{so_far}");
    let (resumed, said) = company(stand, None, &["delete", &acme.slug, "--cancel"]).await;
    assert!(!resumed && said.contains("has begun"), "{said}");
    let half = folder().join("half.tar.gz");
    let (exported, said) =
        company(stand, None, &["export", &acme.slug, "--out", half.to_str().unwrap()]).await;
    assert!(!exported && said.contains("has begun") && !half.exists(), "{said}");

    holder.batch_execute("rollback").await.unwrap();
    done(stand, &purge).await;
    let value: Value = serde_json::from_str(&std::fs::read_to_string(&receipt).unwrap()).unwrap();
    assert_eq!(value["receipt"]["rows"], json!(before));
    assert_eq!(value["receipt"]["traces"], json!({}));
}

#[tokio::test]
async fn those_whose_time_has_come_are_deleted_and_no_others() {
    // In a database of its own: it looks at all companies there.
    let stand = Stand::get();
    let (acme, rival) = (Company::new(stand, "florist").await, Company::new(stand, "florist").await);
    let (other, folder) = (deployment(stand).await, folder());
    for company_there in [&acme, &rival] {
        let archive = folder.join(format!("{}.tar.gz", company_there.slug));
        done(stand, &["export", &company_there.slug, "--out", archive.to_str().unwrap()]).await;
        let (imported, said) = company(stand, Some(&other), &["import", archive.to_str().unwrap()]).await;
        assert!(imported, "{said}");
    }
    let receipts = ["purge", "--receipts", folder.to_str().unwrap()];
    let (purged, said) = company(stand, Some(&other), &receipts).await;
    assert!(purged && said.contains("no company's time has come"), "{said}");

    // One asked and went on answering, the other asked for later.
    let there = connect(&database(&stand.owner_database_url, &other)).await;
    let ask = "update companies set delete_after = now() + make_interval(days => $2) where company_id = $1::text::uuid";
    there.execute(ask, &[&acme.id, &0]).await.unwrap();
    there.execute(ask, &[&rival.id, &1]).await.unwrap();
    let (purged, said) = company(stand, Some(&other), &receipts).await;
    assert!(purged && said.contains("is deleted") && said.contains("until no worker remembers"), "{said}");
    let left =
        there.query("select company_id::text from companies where slug <> 'given-up'", &[]).await.unwrap();
    let left: Vec<String> = left.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, std::slice::from_ref(&rival.id));
    let receipt = folder.join(format!("{}.json", acme.id));
    assert!(done(stand, &["receipt", receipt.to_str().unwrap()]).await.starts_with("good: "));
    assert!(!folder.join(format!("{}.json", rival.id)).exists());
    drop(there);
    owner(stand).await.batch_execute(&format!("drop database {other} with (force)")).await.unwrap();
    // The company of the same id in the first deployment answers on.
    assert_eq!(status(&acme).await, 200);
}
