//! A website's double: serves what a test puts there, and remembers who asked for what.
//!
//! It never answers what was not put there. Two tests do not meet: each puts its pages under a path of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::oneshot;

/// A page that is always there, with something to say.
pub const PLAIN: &str = "/site/plain";

/// A running website; dropping it stops it.
#[derive(Debug)]
pub struct Website {
    host: String,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What an address answers.
#[derive(Clone, Debug)]
pub enum Page {
    /// A page of this content type.
    Text(&'static str, Bytes),
    /// A redirect to there.
    To(String),
    /// This status, and nothing.
    Status(u16),
    /// So many bytes of a page.
    Huge(usize),
    /// No answer at all.
    Hang,
    /// No answer until another page is put there.
    Hold,
}

impl Page {
    /// A page of HTML.
    #[must_use]
    pub fn html(text: impl Into<String>) -> Self {
        Self::Text("text/html; charset=utf-8", text.into().into())
    }
}

#[derive(Debug)]
struct Shared {
    robots: Page,
    pages: Mutex<HashMap<String, Page>>,
    requests: Mutex<Vec<(String, http::HeaderMap, Bytes)>>,
}

impl Website {
    /// A website on a free port whose `robots.txt` is this.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(robots: Page) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let plain = format!("<h1>Plain</h1><p>{}", "Nothing but words stands here. ".repeat(10));
        let pages = Mutex::new(HashMap::from([(PLAIN.to_owned(), Page::html(plain))]));
        let shared = Arc::new(Shared { robots, pages, requests: Mutex::default() });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, app) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { host, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Its `host:port`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The whole address of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// Puts a page there.
    pub fn put(&self, path: impl Into<String>, page: Page) {
        self.shared.pages.lock().unwrap().insert(path.into(), page);
    }

    /// The paths below this one that were asked for, in their order, with the headers that came along.
    #[must_use]
    pub fn requests(&self, below: &str) -> Vec<(String, http::HeaderMap)> {
        self.received(below).into_iter().map(|(path, headers, _)| (path, headers)).collect()
    }

    /// The same, with what was sent there.
    #[must_use]
    pub fn received(&self, below: &str) -> Vec<(String, http::HeaderMap, Bytes)> {
        let requests = self.shared.requests.lock().unwrap();
        requests.iter().filter(|(path, ..)| path.starts_with(below)).cloned().collect()
    }
}

impl Drop for Website {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it was at is over with it.
            let _ = thread.join();
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let headers = request.headers().clone();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    shared.requests.lock().unwrap().push((path.clone(), headers, body));
    let page = || match path.as_str() {
        "/robots.txt" => Some(shared.robots.clone()),
        path => shared.pages.lock().unwrap().get(path).cloned(),
    };
    while matches!(page(), Some(Page::Hold)) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let page = page();
    let response = Response::builder();
    let response = match page.unwrap_or(Page::Status(404)) {
        Page::Text(kind, text) => response.header("content-type", kind).body(Body::from(text)),
        Page::To(to) => response.status(302).header("location", to).body(Body::empty()),
        Page::Status(status) => response.status(status).body(Body::empty()),
        Page::Huge(bytes) => {
            let chunk = Bytes::from("word ".repeat(2_000));
            let chunks = (0..bytes / chunk.len()).map(move |_| Ok::<_, std::io::Error>(chunk.clone()));
            let body = Body::from_stream(futures_util::stream::iter(chunks));
            response.header("content-type", "text/html").body(body)
        }
        Page::Hang | Page::Hold => std::future::pending().await,
    };
    response.unwrap()
}
