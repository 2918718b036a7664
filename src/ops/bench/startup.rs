//! How long a fresh workerd takes to its first answer with the worker, beside one with the smallest worker there is, and how large
//! the worker is.

#![expect(clippy::disallowed_methods, reason = "a native program that measures asks the machine's own clock")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::edge::{Edges, directory};
use super::figures::{Figure, Row, Spread, Table};
use super::{Args, progress};
use crate::dev::processes::Processes;
use crate::dev::worker;

/// What came of it.
pub struct Startup {
    ours: Spread,
    hello: Spread,
    /// Of the worker and its JavaScript, as Cloudflare counts them; `None` where there is no `gzip`.
    pub gzip_kb: Option<f64>,
}

/// Starts both again and again, by turns.
pub async fn run(args: &Args, edges: &Edges) -> anyhow::Result<Startup> {
    let rounds = if args.quick { 3 } else { 15 };
    let (mut ours, mut hello) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        progress(&format!("start-up: round {} of {rounds}", round + 1));
        ours.push(first_answer(Some(edges)).await?);
        hello.push(first_answer(None).await?);
    }
    let spread = |times: Vec<f64>| Spread::of(times).context("nothing was started");
    Ok(Startup { ours: spread(ours)?, hello: spread(hello)?, gzip_kb: gzip() })
}

/// Milliseconds from starting workerd to its first answer; ours, or the smallest worker's.
async fn first_answer(ours: Option<&Edges>) -> anyhow::Result<f64> {
    let (data, port) = (directory("start-up")?, worker::port(0)?);
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut processes = Processes::default();
    let started = Instant::now();
    match ours {
        Some(edges) => {
            let mut settings = edges.settings().to_vec();
            settings.push(("ROOT_URL".to_owned(), format!("http://localhost:{port}")));
            worker::start(worker::Edge::Workers, &mut processes, &data, None, port, &settings)?;
        }
        None => {
            let script = Path::new("bench/hello/index.js");
            worker::start_script(&mut processes, &data, script, port, &[])?;
        }
    }
    let address = format!("http://127.0.0.1:{port}/healthz");
    loop {
        let answer = client.get(&address).header("host", "localhost").send().await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            break;
        }
        anyhow::ensure!(started.elapsed() < Duration::from_secs(30), "workerd does not answer after 30 s");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = started.elapsed().as_secs_f64() * 1_000.0;
    processes.stop().await;
    Ok(took)
}

fn gzip() -> Option<f64> {
    let size = |file: &str| {
        let file = format!("src/edge/workers/build/{file}");
        let output = std::process::Command::new("gzip").args(["-9c", &file]).output().ok()?;
        #[expect(clippy::cast_precision_loss, reason = "some megabytes at most")]
        output.status.success().then_some(output.stdout.len() as f64 / 1_024.0)
    };
    Some(size("index_bg.wasm")? + size("index.js")?)
}

impl Startup {
    /// Ours over the smallest worker's.
    pub fn ratio(&self) -> f64 {
        self.ours.median / self.hello.median
    }

    /// As people read it.
    pub fn table(&self) -> Table {
        let row = |what: &str, figure| Row { what: what.to_owned(), figures: vec![figure] };
        Table {
            name: "start-up",
            title: "a fresh workerd".to_owned(),
            columns: &["figure"],
            rows: vec![
                row("ms to the first answer, Bulkhead", Figure::Spread(self.ours)),
                row("ms to the first answer, the smallest worker", Figure::Spread(self.hello)),
                row("KiB of the worker, gzip", self.gzip_kb.map_or(Figure::None, Figure::One)),
            ],
        }
    }
}
