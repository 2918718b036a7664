//! `bulkhead migrate` on a real database: safe to repeat, and picky about whom it makes the worker.

use bulkhead_tests::stand::{Stand, tool};

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
