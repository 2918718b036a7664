//! `bulkhead migrate` on a real database: safe to repeat, and picky about whom it makes the worker.

use std::process::Stdio;

use bulkhead_tests::stand::{Stand, tool};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio_postgres::{Client, NoTls};

/// Runs the command; gives whether it succeeded, and all that it printed.
async fn migrate(stand: &Stand, worker_url: &str) -> (bool, String) {
    let output = tokio::process::Command::new(tool())
        .args(["migrate", "--database-url", &stand.owner_database_url, "--worker-database-url", worker_url])
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

/// The worker's URL with another user and password.
fn url(stand: &Stand, user: &str, password: &str) -> String {
    let mut url: reqwest::Url = stand.worker_database_url.parse().unwrap();
    url.set_username(user).unwrap();
    url.set_password(Some(password)).unwrap();
    url.into()
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let stand = Stand::get();
    let (done, said) = migrate(stand, &stand.worker_database_url).await;
    assert!(done, "{said}");
    assert_eq!(said, "the schema is up to date\n");
}

#[tokio::test]
async fn a_new_role_is_made_whatever_its_name_and_password() {
    let stand = Stand::get();
    for password in ["it's \\ \"odd\"; --", "another"] {
        let worker = url(stand, "Odd'name\"; drop", password);
        let (done, said) = migrate(stand, &worker).await;
        assert!(done, "{said}");
        assert!(!said.contains(password), "the password was printed");
        assert!(tokio_postgres::connect(&worker, tokio_postgres::NoTls).await.is_ok());
    }
}

#[tokio::test]
async fn a_role_past_row_level_security_cannot_be_the_worker_s() {
    let stand = Stand::get();
    let (done, said) = migrate(stand, &stand.owner_database_url).await;
    assert!(!done && said.contains("the worker's URL is the owner's"), "{said}");
    let (done, said) = migrate(stand, &url(stand, "postgres", "x")).await;
    assert!(!done && said.contains("may bypass row-level security"), "{said}");
}

/// A database of the test's own on the stand's server, with the whole schema and nothing in it; and its owner, signed in.
pub struct Database {
    name: String,
    owner_url: String,
    worker_url: String,
    /// The owner's connection.
    pub owner: Client,
}

impl Database {
    /// Makes one.
    pub async fn new(stand: &Stand) -> Self {
        let name = format!("migrated_{}", uuid::Uuid::new_v4().simple());
        signed_in(&stand.owner_database_url)
            .await
            .batch_execute(&format!("create database {name}"))
            .await
            .unwrap();
        let named = |url: &str| {
            let mut url: reqwest::Url = url.parse().unwrap();
            url.set_path(&name);
            String::from(url)
        };
        let (owner_url, worker_url) = (named(&stand.owner_database_url), named(&stand.worker_database_url));
        let owner = signed_in(&owner_url).await;
        let database = Self { name, owner_url, worker_url, owner };
        let output = database.migrate().output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        database
    }

    fn migrate(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(tool());
        let urls = ["--database-url", &self.owner_url, "--worker-database-url", &self.worker_url];
        command.arg("migrate").args(urls).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Takes it away.
    pub async fn remove(self, stand: &Stand) {
        let drop = format!("drop database {} with (force)", self.name);
        signed_in(&stand.owner_database_url).await.batch_execute(&drop).await.unwrap();
    }
}

async fn signed_in(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn a_locked_table_is_waited_for_without_standing_in_the_way_and_an_edited_migration_is_refused() {
    let stand = Stand::get();
    let database = Database::new(stand).await;

    database.owner.batch_execute("begin; lock table refinery_schema_history").await.unwrap();
    let mut running = database.migrate().spawn().unwrap();
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines();
    // It says so once it has let go; only then the lock is given up.
    let line = said.next_line().await.unwrap().unwrap();
    assert!(line.contains("something that a migration needs is in use; trying again in 1 s"), "{line}");
    database.owner.batch_execute("commit").await.unwrap();
    let mut out = String::new();
    running.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
    assert!(running.wait().await.unwrap().success(), "{:?}", said.next_line().await);
    assert_eq!(out, "the schema is up to date\n");

    let edited = "update refinery_schema_history set checksum = '1' where version = 2";
    assert_eq!(database.owner.execute(edited, &[]).await.unwrap(), 1);
    let output = database.migrate().output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("was edited after this database had applied it"),
        "{said}"
    );
    database.remove(stand).await;
}
