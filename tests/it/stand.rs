//! The stand itself: what every other test relies on.

use bulkhead_tests::stand::Stand;
use http::Method;

#[tokio::test]
async fn the_worker_answers_on_the_apex_and_on_any_company_s_host() {
    let stand = Stand::get();
    let answer = stand.http("localhost", Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer = stand.http("nobody-has-this-name.localhost", Method::GET, "/healthz").send().await.unwrap();
    assert!(answer.status().as_u16() < 500);
}

#[tokio::test]
async fn the_worker_s_role_is_what_row_level_security_needs() {
    let stand = Stand::get();
    let connected = tokio_postgres::connect(&stand.worker_database_url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    tokio::spawn(connection);
    let row = client.query_one(ROLE, &[]).await.unwrap();
    assert!(!row.get::<_, bool>("may"), "the worker's role may bypass row-level security");
    assert!(row.get::<_, bool>("member"), "the worker's role lacks the runtime's grants");
}

const ROLE: &str = "
select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb as may,
       pg_has_role(rolname, 'bulkhead_runtime', 'usage') as member
from pg_roles
where rolname = current_user";
