//! `bulkhead doctor`: what is well is well, and what is wrong is named.

use std::sync::OnceLock;

use bulkhead_tests::company::Company;
use bulkhead_tests::stand::{Stand, tool};
use bulkhead_tests::tally::tally;
use bulkhead_tests::upstream::Upstream;
use tokio::process::Command;

use crate::lifecycle::{connect, master_keys, output};

/// A stand of its own: it is broken in many ways.
fn patient() -> &'static Stand {
    static STAND: OnceLock<Stand> = OnceLock::new();
    STAND.get_or_init(|| Stand::start(Upstream::start(), &[]))
}

/// Runs `bulkhead doctor` with further settings; gives whether all was well, and all that it said.
async fn doctor(stand: &Stand, settings: &[(&str, &str)]) -> (bool, String) {
    doctor_at(stand, &stand.url, settings).await
}

/// The same where the worker is reached elsewhere.
pub(super) async fn doctor_at(stand: &Stand, worker_url: &str, settings: &[(&str, &str)]) -> (bool, String) {
    let secrets = std::fs::read_to_string(stand.logs.parent().unwrap().join("secrets.env")).unwrap();
    let keys = secrets.lines().find_map(|line| line.strip_prefix("MASTER_KEYS=")).unwrap();
    let mut command = Command::new(tool());
    command
        .args(["doctor", "--development", "--worker-url", worker_url])
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
            "alter policy aged on audit_events rename to gone",
            "alter policy gone on audit_events rename to aged",
            "wrong    row-level security: not in force on audit_events",
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
    tally("lifecycle", "broken deployments found out by the doctor", found, 18);
}
