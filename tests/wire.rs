//! Requests as bytes on a connection: what no HTTP client would send, and answers compared byte for byte.
//!
//! It never repairs a request: what is written is what arrives.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stand::Stand;

/// An answer, without what differs between any two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; 0 when the connection ended without an answer.
    pub status: u16,
    /// The body, with the request's id replaced by `REQUEST`.
    pub body: String,
}

/// Sends these bytes to the worker, says that nothing more comes, and reads until the worker closes.
///
/// # Panics
/// When the worker neither answers nor closes within half a minute.
pub async fn send(stand: &Stand, request: &[u8]) -> Answer {
    crate::stand::note();
    let mut stream = TcpStream::connect(("127.0.0.1", stand.port)).await.unwrap();
    // A server that has refused already may have closed: its answer is still there to be read.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), async {
        let mut chunk = [0; 8192];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            bytes.extend_from_slice(&chunk[..count]);
        }
    });
    read.await.unwrap_or_else(|_| panic!("no end of the answer to {:?}", String::from_utf8_lossy(request)));
    answer(&bytes)
}

/// Sends these bytes to the worker and leaves without waiting for an answer.
///
/// # Panics
/// When the worker cannot be reached.
pub async fn leave(stand: &Stand, request: &[u8]) {
    crate::stand::note();
    let mut stream = TcpStream::connect(("127.0.0.1", stand.port)).await.unwrap();
    let _ = stream.write_all(request).await;
}

/// Sends this head, then chunks of a body (RFC 9112, section 7.1) until the worker answers or `limit` bytes are sent. Gives
/// the answer and how many bytes of the body were sent.
///
/// # Panics
/// When the worker takes more than half a minute.
pub async fn upload(stand: &Stand, head: &str, limit: usize) -> (Answer, usize) {
    crate::stand::note();
    let stream = TcpStream::connect(("127.0.0.1", stand.port)).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let mut first = vec![0; 8192];
    let mut sent = 0;
    let chunk = [b"2000\r\n".as_slice(), &[b'a'; 0x2000], b"\r\n"].concat();
    let write = async {
        to.write_all(head.as_bytes()).await.unwrap();
        while sent < limit && to.write_all(&chunk).await.is_ok() {
            sent += 0x2000;
        }
        // Then nothing more comes, and no end either.
        std::future::pending::<()>().await;
    };
    let count = tokio::select! {
        read = tokio::time::timeout(Duration::from_secs(30), from.read(&mut first)) => read.expect("an answer"),
        () = write => return (Answer { status: 0, body: String::new() }, sent),
    };
    (answer(&first[..count.unwrap_or_default()]), sent)
}

/// The answer of a client's request, comparable with others.
///
/// # Panics
/// When the connection breaks.
pub async fn read(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let id = response.headers().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
    let body = String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned();
    Answer { status, body: without(body, id.as_deref()) }
}

/// Reads an answer that ended with its connection. Chunks of a chunked body keep their lengths: they are only compared.
fn answer(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let id = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("x-request-id").then_some(value)
    });
    Answer { status, body: without(body.to_owned(), id) }
}

fn without(body: String, id: Option<&str>) -> String {
    match id {
        Some(id) => body.replace(id, "REQUEST"),
        None => body,
    }
}
