//! One request over HTTP/1.1, with TLS where the address says https: what the doctor asks with.
//! It follows nothing, waits for nobody long, and no message of its repeats an address or what was sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::postgres::{explained_certificate, roots_here};

/// A client.
pub struct Client {
    /// `None` where this machine trusts no certificates.
    tls: Option<TlsConnector>,
}

/// What was asked for.
pub struct Asked<'a> {
    method: Method,
    url: &'a Url,
    headers: HeaderMap,
    body: Bytes,
}

/// What came back.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null where it is none.
    pub value: Value,
}

impl Client {
    /// A client that trusts whom this machine trusts.
    pub fn new() -> anyhow::Result<Self> {
        let Ok(roots) = roots_here() else { return Ok(Self { tls: None }) };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Some(TlsConnector::from(Arc::new(config))) })
    }

    /// Sends it, and reads the whole answer; what went wrong is the end of a sentence that begins with who was asked.
    pub async fn send(&self, asked: Asked<'_>) -> Result<Answer, String> {
        let sent = tokio::time::timeout(PATIENCE, self.exchange(asked)).await;
        sent.unwrap_or_else(|_| Err(SILENT.to_owned()))
    }

    async fn exchange(&self, asked: Asked<'_>) -> Result<Answer, String> {
        let host = asked.url.host_str().ok_or(SILENT)?;
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let port = asked.url.port_or_known_default().ok_or(SILENT)?;
        let tcp = TcpStream::connect((name, port)).await.map_err(|_| SILENT)?;
        if asked.url.scheme() != "https" {
            return talk(tcp, asked).await;
        }
        let tls = self
            .tls
            .as_ref()
            .ok_or("is not asked: this machine trusts no certificates; install ca-certificates")?;
        let named = ServerName::try_from(name.to_owned()).map_err(|_| SILENT)?;
        match tls.connect(named, tcp).await {
            Ok(stream) => talk(stream, asked).await,
            Err(error) => {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                Err(match inner {
                    Some(rustls::Error::InvalidCertificate(wrong)) => {
                        format!("cannot prove who it is: {}", explained_certificate("its host", wrong))
                    }
                    _ => "speaks no TLS that is safe, though its address says https".to_owned(),
                })
            }
        }
    }
}

impl<'a> Asked<'a> {
    /// To read an address.
    pub fn get(url: &'a Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// To send it JSON.
    pub fn post(url: &'a Url, body: &Value) -> Self {
        let mut asked =
            Self { method: Method::POST, url, headers: HeaderMap::new(), body: body.to_string().into() };
        asked.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        asked
    }

    /// With a header; one that cannot be sent is left out.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self
    }

    /// With a token.
    pub fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    asked: Asked<'_>,
) -> Result<Answer, String> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|_| SILENT)?;
    // It ends with its sender, which has the error as well.
    tokio::spawn(connection);
    let query = asked.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = Request::new(Full::new(asked.body));
    *request.method_mut() = asked.method;
    *request.uri_mut() = format!("{}{query}", asked.url.path()).parse().map_err(|_| SILENT)?;
    *request.headers_mut() = asked.headers;
    if !request.headers().contains_key(HOST) {
        let host = asked.url.host_str().unwrap_or_default();
        let host = asked.url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        request.headers_mut().insert(HOST, HeaderValue::from_str(&host).map_err(|_| SILENT)?);
    }
    let response = sender.send_request(request).await.map_err(|_| SILENT)?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LIMIT).collect().await.map_err(|_| "breaks off in its answer")?.to_bytes();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        value: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

/// For connection, request and answer together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer; those that are asked for have a few.
const LIMIT: usize = 1 << 20;

const SILENT: &str = "does not answer";
