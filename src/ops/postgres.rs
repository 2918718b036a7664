//! The one way to a Postgres server, for every command: with TLS, unless the URL says otherwise or the server is on this machine.
//! It never goes on without a certificate that it could verify, and no message of its repeats a password.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Connects; the connection ends with its client.
///
/// # Errors
/// As [`Database::parse`] and [`Database::connect`].
pub async fn connect(url: &str) -> anyhow::Result<Client> {
    Database::parse(url)?.connect().await
}

/// What a URL says of server, user and database; not whether and how far the connection is safe.
///
/// # Errors
/// For what is no such URL.
pub fn settings(url: &str) -> anyhow::Result<Config> {
    let (url, ..) = taken_apart(url)?;
    // What could not be read is not repeated: it may hold the password.
    url.parse().ok().context(NO_URL)
}

/// A database and how it is reached.
pub struct Database {
    config: Config,
    tls: MakeRustlsConnect,
}

impl Database {
    /// Reads `postgresql://user:password@host[:port]/database[?…]`, and the certificates that are trusted, where TLS is asked for.
    ///
    /// Beside what `tokio-postgres` knows, the URL may say:
    ///
    /// * `sslmode=disable`: no TLS. It is what a server on this machine (a loopback address, a socket) gets without `sslmode`.
    /// * `sslmode=verify-full`: TLS, and a certificate for the very host name, issued by somebody trusted. It is what every other
    ///   server gets without `sslmode`. `require` and `verify-ca`, which promise less elsewhere, mean the same here.
    /// * `sslmode=prefer` and `allow` are refused: whoever can change what is sent can also have no TLS preferred.
    /// * `sslrootcert=FILE`: who is trusted, in PEM, in place of whom this machine trusts (`SSL_CERT_FILE`, or the system's list).
    ///
    /// # Errors
    /// For what is no such URL, and when there is no certificate to trust.
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        let (url, mode, trusted) = taken_apart(url)?;
        let mut config = settings(&url)?;
        let mode = match mode.as_deref() {
            None if is_here(&config) => SslMode::Disable,
            Some("disable") => SslMode::Disable,
            None | Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some("prefer" | "allow") => bail!(
                "sslmode=prefer and sslmode=allow protect from nobody who can change what is sent: write \
                 sslmode=verify-full, or sslmode=disable where nobody else is on the network"
            ),
            Some(_) => bail!("sslmode is verify-full or disable"),
        };
        config.ssl_mode(mode);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        let roots = match (mode, trusted) {
            (SslMode::Require, Some(file)) => roots_of(&file)?,
            (SslMode::Require, None) => roots_here()?,
            _ => RootCertStore::empty(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config, tls: MakeRustlsConnect::new(tls) })
    }

    /// Connects; the connection ends with its client.
    ///
    /// # Errors
    /// When nothing answers, the server cannot prove who it is, or it refuses the user: each with what to do.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        let (client, connection) =
            self.config.connect(self.tls.clone()).await.map_err(|error| explained(error, &self.config))?;
        // The task ends with its client; what it has to say about a broken connection, the client's next call says too.
        tokio::spawn(connection);
        Ok(client)
    }

    /// What the URL said.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How connections are encrypted, for a pool that makes its own.
    pub fn tls(&self) -> MakeRustlsConnect {
        self.tls.clone()
    }
}

const NO_URL: &str = "this is no Postgres URL: write postgresql://user:password@host/database";

/// The URL without `sslmode` and `sslrootcert`, and these two: `tokio-postgres` knows fewer modes and no files.
fn taken_apart(url: &str) -> anyhow::Result<(String, Option<String>, Option<String>)> {
    ensure!(url.starts_with("postgresql://") || url.starts_with("postgres://"), NO_URL);
    let Some((address, query)) = url.split_once('?') else { return Ok((url.to_owned(), None, None)) };
    let (mut mode, mut trusted) = (None, None);
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let taken = match pair.split_once('=') {
            Some(("sslmode", value)) => mode.replace(decoded(value)?),
            Some(("sslrootcert", value)) => trusted.replace(decoded(value)?),
            _ => {
                rest.push(pair);
                None
            }
        };
        ensure!(taken.is_none(), "the URL says sslmode or sslrootcert twice");
    }
    let url = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
    Ok((url, mode, trusted))
}

fn decoded(value: &str) -> anyhow::Result<String> {
    let text = percent_encoding::percent_decode_str(value).decode_utf8().context(NO_URL)?;
    Ok(text.into_owned())
}

/// Whether nothing that is sent leaves this machine.
fn is_here(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
        Host::Unix(_) => true,
    });
    hosts && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// The certificates in a file.
fn roots_of(file: &str) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file);
    for certificate in certificates.map_err(|error| anyhow!("sslrootcert: {file} cannot be read: {error}"))? {
        let certificate = certificate.map_err(|error| anyhow!("sslrootcert: {file} is no PEM: {error}"))?;
        roots.add(certificate).with_context(|| format!("sslrootcert: {file} has no usable certificate"))?;
    }
    ensure!(!roots.is_empty(), "sslrootcert: there is no certificate in {file}");
    Ok(roots)
}

/// The certificates that this machine trusts.
///
/// # Errors
/// When it trusts none.
pub fn roots_here() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    ensure!(
        !roots.is_empty(),
        "this machine trusts no certificates: install the package ca-certificates, or name a file with sslrootcert"
    );
    Ok(roots)
}

/// The error with what to do about it, where that is not the server's own sentence.
fn explained(error: tokio_postgres::Error, config: &Config) -> anyhow::Error {
    let host = config.get_hosts().iter().find_map(|host| match host {
        Host::Tcp(name) => Some(name.as_str()),
        Host::Unix(_) => None,
    });
    let host = host.unwrap_or("the server").to_owned();
    let inner = error.source();
    let certificate = inner
        .and_then(|error| error.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::get_ref)
        .and_then(|error| error.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidCertificate(wrong)) = certificate {
        return match wrong {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => anyhow!(
                "{}; if it is of an authority of your own, name that one's certificate with sslrootcert=FILE",
                explained_certificate(&host, wrong)
            ),
            _ => anyhow!("{}", explained_certificate(&host, wrong)),
        };
    }
    if inner.is_some_and(|error| error.to_string() == "server does not support TLS") {
        return anyhow!(
            "{host} has no TLS; turn it on there (ssl = on), or write sslmode=disable where nobody else is on the network"
        );
    }
    error.into()
}

/// What is wrong with a server's certificate, in words.
pub fn explained_certificate(host: &str, wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("{host}'s certificate was issued by nobody who is trusted here")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => format!(
            "the certificate is not for {host}; name the server as its certificate does, or give it one for {host}"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("{host}'s certificate has expired, or this machine's clock is wrong")
        }
        other => format!("{host}'s certificate is not good: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Ok` with the mode, or the beginning of the refusal.
    fn check(url: &str, expected: Result<SslMode, &str>) {
        match (Database::parse(url), expected) {
            (Ok(database), Ok(mode)) => assert_eq!(database.config.get_ssl_mode(), mode, "{url}"),
            (Err(error), Err(start)) => {
                let said = format!("{error:#}");
                assert!(said.starts_with(start), "{url}: {said}");
                assert!(!said.contains("hunter2"), "{url}: {said}");
            }
            (Ok(_), Err(start)) => panic!("{url} was taken, not refused with: {start}"),
            (Err(error), Ok(_)) => panic!("{url}: {error:#}"),
        }
    }

    #[test]
    fn only_this_machine_goes_without_tls_unasked() {
        let folder = std::env::temp_dir().join(format!("bulkhead-roots-{}", std::process::id()));
        std::fs::write(&folder, ROOT).unwrap();
        let root = format!("sslrootcert={}", folder.display()).replace('/', "%2F");
        let (with, without) = (Ok(SslMode::Require), Ok(SslMode::Disable));
        check("postgresql://a:hunter2@127.0.0.1:5432/b", without);
        check("postgres://a:hunter2@localhost/b", without);
        check("postgres://a:hunter2@[::1]/b", without);
        check("postgres://a:hunter2@%2Frun%2Fpostgresql/b", without);
        check("postgres://a:hunter2@db.example.com/b?sslmode=disable&application_name=x", without);
        check(&format!("postgres://a:hunter2@db.example.com/b?{root}"), with);
        check(&format!("postgres://a:hunter2@localhost,db.example.com/b?{root}"), with);
        check(&format!("postgres://a:hunter2@localhost/b?hostaddr=10.0.0.1&{root}"), with);
        for mode in ["require", "verify-ca", "verify-full"] {
            check(
                &format!("postgres://a:hunter2@127.0.0.1/b?channel_binding=require&sslmode={mode}&{root}"),
                with,
            );
        }
        std::fs::remove_file(&folder).unwrap();
    }

    #[test]
    fn what_protects_nobody_is_refused() {
        check(
            "postgres://a:hunter2@h/b?sslmode=prefer",
            Err("sslmode=prefer and sslmode=allow protect from nobody"),
        );
        check(
            "postgres://a:hunter2@h/b?sslmode=allow",
            Err("sslmode=prefer and sslmode=allow protect from nobody"),
        );
        check("postgres://a:hunter2@h/b?sslmode=no", Err("sslmode is verify-full or disable"));
        check("postgres://a:hunter2@h/b?sslmode=disable&sslmode=require", Err("the URL says sslmode"));
        check("postgres://a:hunter2@h/b?sslrootcert=%2Fnowhere", Err("sslrootcert: /nowhere cannot be read"));
        check(
            "postgres://a:hunter2@h/b?sslrootcert=%2Fdev%2Fnull",
            Err("sslrootcert: there is no certificate"),
        );
        check("postgres://a:hunter2@h:port/b?sslmode=disable", Err(NO_URL));
        check("host=h user=a password=hunter2", Err(NO_URL));
        check("hunter2", Err(NO_URL));
    }

    // Of an authority that signs nothing else, made for this test and good for a hundred years.
    const ROOT: &str = include_str!("postgres/root.pem");
}
