//! Pool poisoning: whatever a request leaves in its connection, or tries to, the next request does not inherit it.
//!
//! Two hundred random interleavings; proptest prints the shortest that fails, and its seed.

use std::time::Duration;

use bulkhead_tests::stand::Stand;
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// What a request may do to its connection.
#[derive(Clone, Copy, Debug)]
enum Poison {
    /// Sets the company for the whole session.
    SessionSetting,
    /// The same, inside a procedure-like block.
    SettingInBlock,
    /// Makes a temporary table of a telling name.
    TempTable,
    /// Takes an advisory lock that outlives transactions.
    AdvisoryLock,
    /// Begins a transaction by hand.
    Begin,
    /// Commits in the middle of a batch, then sets the company for the session.
    SmuggledCommit,
    /// The same, behind a comment.
    HiddenCommit,
    /// Declares a cursor that outlives its transaction.
    HoldCursor,
    /// Listens.
    Listen,
    /// Fails in the middle of a batch.
    Failure,
    /// Goes away while its statement runs.
    Abandoned,
    /// Becomes another role, if it may.
    Role,
}

const POISONS: [Poison; 12] = [
    Poison::SessionSetting,
    Poison::SettingInBlock,
    Poison::TempTable,
    Poison::AdvisoryLock,
    Poison::Begin,
    Poison::SmuggledCommit,
    Poison::HiddenCommit,
    Poison::HoldCursor,
    Poison::Listen,
    Poison::Failure,
    Poison::Abandoned,
    Poison::Role,
];

impl Poison {
    fn statements(self) -> &'static [&'static str] {
        const SET: &str =
            "select set_config('app.current_company_id', '01890a5d-ac96-774b-bcce-b302099a8057', false)";
        match self {
            Self::SessionSetting => &[SET],
            Self::SettingInBlock => {
                &["do $$ begin perform set_config('app.current_company_id', 'poison', false); end $$"]
            }
            Self::TempTable => {
                &["create temp table if not exists poison (n int)", "insert into poison values (1)"]
            }
            Self::AdvisoryLock => &["select pg_advisory_lock_shared(4711)"],
            Self::Begin => &["begin"],
            Self::SmuggledCommit => &["commit", SET],
            Self::HiddenCommit => &["/* nothing */ commit", SET],
            Self::HoldCursor => &["declare poison cursor with hold for select 1"],
            Self::Listen => &["listen poison"],
            Self::Failure => &[SET, "select 1 / 0"],
            Self::Abandoned => &[SET, "select pg_sleep(2)"],
            Self::Role => &["set session authorization default", "set role bulkhead_runtime", SET],
        }
    }
}

/// What a clean session looks like, as one row; a setting that was never made is null, one that was reset is empty.
const PROBE: &str = "
select coalesce(nullif(current_setting('app.current_company_id', true), ''), 'none') as company,
       (select count(*)::int from pg_class where relname = 'poison' and relpersistence = 't'
            and pg_table_is_visible(oid)) as temp_tables,
       (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
       (select count(*)::int from pg_cursors where name = 'poison') as cursors,
       (select count(*)::int from pg_listening_channels()) as channels,
       current_user = session_user as own_role,
       (select count(*)::int from pg_prepared_statements where from_sql) as prepared";

struct Gateway {
    stand: &'static Stand,
    http: reqwest::Client,
}

impl Gateway {
    async fn send(&self, statements: &[&str]) -> Option<Value> {
        let queries: Vec<Value> =
            statements.iter().map(|query| json!({ "query": query, "params": [] })).collect();
        let request = self
            .http
            .post(format!("{}/sql", self.stand.gateway_url))
            .header("neon-connection-string", &self.stand.worker_database_url)
            .header("neon-raw-text-output", "true")
            .header("neon-array-mode", "true")
            .json(&json!({ "queries": queries }));
        request.send().await.ok()?.json().await.ok()
    }

    async fn poison(&self, poison: Poison) {
        let sending = self.send(poison.statements());
        if matches!(poison, Poison::Abandoned) {
            // The request is dropped while its statement runs.
            let _ = tokio::time::timeout(Duration::from_millis(15), sending).await;
        } else {
            sending.await;
        }
    }

    async fn probe(&self) -> Result<(), TestCaseError> {
        let answer = self.send(&[PROBE]).await.unwrap();
        let row = answer["results"][0]["rows"][0].clone();
        prop_assert_eq!(row, json!(["none", "0", "0", "0", "0", "t", "0"]), "{}", answer);
        Ok(())
    }
}

#[test]
fn nothing_is_inherited_in_two_hundred_random_interleavings() {
    let stand = Stand::get();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let gateway = Gateway { stand, http };
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let poisons = vec(proptest::sample::select(POISONS.to_vec()), 1..8);
    let outcome = runner.run(&poisons, |poisons| {
        runtime.block_on(async {
            // Some at the same time, so that they meet in the pool in any order; probes right behind them.
            join_all(poisons.iter().map(|poison| gateway.poison(*poison))).await;
            join_all((0..6).map(|_| gateway.probe())).await.into_iter().collect()
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
