//! TLS to Postgres and Redis: an authority made for the test, a real Postgres that gets a certificate of its, and who is refused.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bulkhead_tests::stand::{Stand, tool};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::NoTls;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::doctor::doctor_at;

#[tokio::test]
async fn only_a_server_that_proves_its_name_is_talked_to() {
    let stand = Stand::get();
    let (right, wrong) = (Authority::new("right"), Authority::new("wrong"));

    let (done, said) = right.migrate(stand, "localhost", "verify-full").await;
    assert!(!done && said.contains("localhost has no TLS; turn it on there (ssl = on)"), "{said}");

    switch_on(stand, &right).await;
    for mode in ["verify-full", "verify-ca", "require"] {
        let (done, said) = right.migrate(stand, "localhost", mode).await;
        assert!(done, "{mode}: {said}");
        let (done, said) = right.migrate(stand, "127.0.0.1", mode).await;
        assert!(!done && said.contains("the certificate is not for 127.0.0.1"), "{mode}: {said}");
        let (done, said) = wrong.migrate(stand, "localhost", mode).await;
        assert!(!done && said.contains("was issued by nobody who is trusted here"), "{mode}: {said}");
    }
    let (done, said) = right.migrate(stand, "localhost", "prefer").await;
    assert!(!done && said.contains("sslmode=prefer and sslmode=allow protect from nobody"), "{said}");

    the_gateway_too(stand, &right).await;
}

/// Neon's and Upstash's addresses are https, and so is a worker's: the doctor asks them as it asks Postgres.
#[tokio::test]
async fn the_doctor_asks_over_tls_whoever_proves_its_name() {
    let stand = Stand::get();
    let (right, wrong) = (Authority::new("doctors-right"), Authority::new("doctors-wrong"));
    let gateway = tls_before(&stand.gateway_url, &right).await;
    let worker = tls_before(&stand.url, &right).await;
    let ask = async |host: &str, port: u16, trusted: &Authority| {
        let base = format!("https://{host}:{port}");
        let (sql, file) = (format!("{base}/sql"), trusted.file.display().to_string());
        let settings =
            [("SQL_URL", sql.as_str()), ("UPSTASH_REDIS_REST_URL", &base), ("SSL_CERT_FILE", &file)];
        doctor_at(stand, &format!("https://{host}:{worker}"), &settings).await.1
    };
    let said = ask("localhost", gateway, &right).await;
    for line in [
        "ok       SQL over HTTP: answers a statement",
        "ok       Redis: answers",
        "ok       Redis scripts: run",
        "ok       Redis token: no other one is taken",
        "ok       worker: runs, and reaches database and Redis",
        "ok       companies' hosts: every one leads to the worker",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    for (host, port, trusted, why) in [
        (
            "localhost",
            gateway,
            &wrong,
            "cannot prove who it is: its host's certificate was issued by nobody who is trusted here",
        ),
        ("127.0.0.1", gateway, &right, "cannot prove who it is: the certificate is not for its host"),
    ] {
        let said = ask(host, port, trusted).await;
        for check in ["SQL over HTTP: ", "Redis: ", "Redis scripts: ", "Redis token: ", "worker: localhost "]
        {
            let line = format!("wrong    {check}{why}");
            assert!(said.contains(&line), "{line}: {said}");
        }
    }
    let plain = stand.gateway_url.parse::<reqwest::Url>().unwrap().port().unwrap();
    let said = ask("localhost", plain, &right).await;
    assert!(
        said.contains("wrong    Redis: speaks no TLS that is safe, though its address says https"),
        "{said}"
    );
}

/// Its pool, its cancel requests, and its way to Redis; the machine's trusted certificates are the authority's here.
async fn the_gateway_too(stand: &Stand, authority: &Authority) {
    let redis = tls_before_redis(stand, authority).await;
    let database = secured(&stand.worker_database_url, "localhost", "sslmode=verify-full");
    let trusting = Gateway::start(stand, &database, &redis, Some(&authority.file)).await;
    let rows = trusting.sql(&database, "select ssl from pg_stat_ssl where pid = pg_backend_pid()").await;
    assert_eq!(rows.unwrap()["rows"], json!([{ "ssl": true }]));
    assert_eq!(trusting.ping(stand).await, (200, json!({ "result": "PONG" })));

    let (observer, connection) = tokio_postgres::connect(&stand.worker_database_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let running = "select count(*) from pg_stat_activity where query like '%abandoned_over_tls%' and pid <> pg_backend_pid()";
    let count = async || observer.query_one(running, &[]).await.unwrap().get::<_, i64>(0);
    {
        let slow = trusting.sql(&database, "select pg_sleep(500), 'abandoned_over_tls'");
        tokio::select! {
            answer = slow => panic!("it ended by itself: {answer:?}"),
            () = until(async || count().await == 1) => {}
        }
    }
    until(async || count().await == 0).await;
    drop(trusting);

    let plain = stand.worker_database_url.as_str();
    let distrustful = Gateway::start(stand, plain, &redis, Some(&Authority::new("another").file)).await;
    assert_eq!(distrustful.ping(stand).await.0, 503, "it took a certificate of somebody else's");
}

/// An authority, and what it gave the server `localhost`.
struct Authority {
    file: PathBuf,
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let signer = KeyPair::generate().unwrap();
        let root = params.self_signed(&signer).unwrap();
        let folder = tool().ancestors().nth(2).unwrap().join("stands");
        let file = folder.join(format!("{name}-{}.pem", std::process::id()));
        std::fs::write(&file, root.pem()).unwrap();

        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = server.signed_by(&key, &Issuer::new(params, signer)).unwrap();
        Self { file, certificate, key }
    }

    /// Runs `bulkhead migrate` against the stand's Postgres under this name, trusting this authority.
    async fn migrate(&self, stand: &Stand, host: &str, mode: &str) -> (bool, String) {
        let query = format!("sslmode={mode}&sslrootcert={}", self.file.display());
        let output = tokio::process::Command::new(tool())
            .arg("migrate")
            .args(["--database-url", &secured(&stand.owner_database_url, host, &query)])
            .args(["--worker-database-url", &secured(&stand.worker_database_url, host, &query)])
            .output()
            .await
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let owner: reqwest::Url = stand.owner_database_url.parse().unwrap();
        assert!(!said.contains(owner.password().unwrap()), "the password was printed");
        (output.status.success(), said)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

/// The URL with another host and a query.
fn secured(url: &str, host: &str, query: &str) -> String {
    let mut url: reqwest::Url = url.parse().unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_query(Some(query));
    url.into()
}

/// Gives the stand's Postgres a certificate, by way of its superuser: the files must be the server's own.
async fn switch_on(stand: &Stand, authority: &Authority) {
    let mut url: reqwest::Url = stand.owner_database_url.parse().unwrap();
    url.set_username("postgres").unwrap();
    let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let files = [("tls.crt", authority.certificate.pem()), ("tls.key", authority.key.serialize_pem())];
    for (name, text) in files {
        let made = client.query_one("select lo_from_bytea(0, $1)", &[&text.as_bytes()]).await.unwrap();
        let object: u32 = made.get(0);
        let export = "select lo_export($1, current_setting('data_directory') || '/' || $2), lo_unlink($1)";
        client.execute(export, &[&object, &name]).await.unwrap();
    }
    client.batch_execute("copy (select) to program 'cat >/dev/null && chmod 600 tls.key'").await.unwrap();
    for setting in ["ssl_cert_file = 'tls.crt'", "ssl_key_file = 'tls.key'", "ssl = on"] {
        client.batch_execute(&format!("alter system set {setting}")).await.unwrap();
    }
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    until(async || {
        let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.query_one("show ssl", &[]).await.unwrap().get::<_, String>(0) == "on"
    })
    .await;
}

/// Waits until it is so, a minute at most.
async fn until(mut so: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come about within a minute");
}

/// What ends TLS in front of the stand's Redis; gives the `rediss` URL.
async fn tls_before_redis(stand: &Stand, authority: &Authority) -> String {
    let url: reqwest::Url = stand.redis_native_url.parse().unwrap();
    let port = tls_before(&stand.redis_native_url, authority).await;
    format!("rediss://:{}@localhost:{port}/0", url.password().unwrap())
}

/// What ends TLS in front of what listens at a URL's port of this machine; gives its own port.
async fn tls_before(url: &str, authority: &Authority) -> u16 {
    let key = PrivateKeyDer::Pkcs8(authority.key.serialize_der().into());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![authority.certificate.der().clone()], key)
        .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let behind = url.parse::<reqwest::Url>().unwrap().port().unwrap();
    tokio::spawn(async move {
        while let Ok((visitor, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut visitor) = acceptor.accept(visitor).await else { return };
                let mut server = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut visitor, &mut server).await;
            });
        }
    });
    port
}

/// A gateway of the test's own.
struct Gateway {
    url: String,
    http: reqwest::Client,
    // It ends with this.
    _process: tokio::process::Child,
}

impl Gateway {
    async fn start(stand: &Stand, database: &str, redis: &str, trusted: Option<&Path>) -> Self {
        let mut command = tokio::process::Command::new(tool());
        command
            .args(["gateway", "--development", "--listen", "127.0.0.1:0"])
            .args(["--statement-timeout-ms", "600000", "--request-timeout-ms", "600000"])
            .env("DATABASE_URL", database)
            .env("REDIS_URL", redis)
            .env("GATEWAY_REDIS_TOKEN", &stand.redis_token)
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(file) = trusted {
            command.env("SSL_CERT_FILE", file);
        }
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        let url = line.strip_prefix("gateway: listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url, http, _process: process }
    }

    async fn sql(&self, database: &str, query: &str) -> Result<Value, reqwest::Error> {
        let request = self.http.post(format!("{}/sql", self.url)).header("neon-connection-string", database);
        let request = request.json(&json!({ "query": query, "params": [] }));
        request.send().await?.error_for_status()?.json().await
    }

    async fn ping(&self, stand: &Stand) -> (u16, Value) {
        let request = self.http.post(&self.url).bearer_auth(&stand.redis_token).json(&json!(["PING"]));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}
