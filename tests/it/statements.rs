//! Invariant 1: every statement of the core is prepared against the real schema, as the worker's own role.

use bulkhead_tests::stand::Stand;

#[tokio::test]
async fn every_statement_prepares_against_the_real_schema() {
    let stand = Stand::get();
    let connected = tokio_postgres::connect(&stand.worker_database_url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    let statements = statements();
    // So that a change of the macro's spelling cannot make this test blind.
    assert!(statements.len() > 60, "only {} statements found", statements.len());
    let mut wrong = Vec::new();
    for (file, sql) in statements {
        if let Err(error) = client.prepare(&sql).await {
            let why =
                error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
            wrong.push(format!("{file}: {why}\n{sql}"));
        }
    }
    assert!(wrong.is_empty(), "{} statements do not prepare:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The literals given to `sql!` anywhere in the core, each with its file.
fn statements() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("src");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                for part in text.split("sql!(").skip(1) {
                    if let Some(sql) =
                        part.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                    {
                        found.push((name.clone(), sql.to_owned()));
                    }
                }
            }
        }
    }
    found
}
