//! The stand's worker: the built wasm in a runtime of the edge it was built for. It emulates nothing.

mod spin;
mod workers;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, bail};

use super::processes::Processes;

/// Where the worker can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Edge {
    /// Cloudflare Workers, in workerd.
    Workers,
    /// Fermyon Spin, in `spin` where it is installed, else in wasmtime.
    Spin,
}

/// Starts the edge's runtime with these settings for the worker; gives the name of the program.
///
/// `bundle` is the folder with what `scripts/build` made, `None` for where it puts it.
pub fn start(
    edge: Edge,
    processes: &mut Processes,
    data: &Path,
    bundle: Option<&Path>,
    port: u16,
    settings: &[(String, String)],
) -> anyhow::Result<&'static str> {
    for (name, _) in settings {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            bail!("{name} is no name for a setting: letters, digits and _ only");
        }
    }
    let (built, files): (_, &[&str]) = match edge {
        Edge::Workers => ("src/edge/workers/build", &["index.js", "index_bg.wasm"]),
        Edge::Spin => ("src/edge/spin/build", &["bulkhead.wasm"]),
    };
    let bundle = bundle.unwrap_or(Path::new(built)).canonicalize().context("run ./scripts/build")?;
    let directory = data.join("worker");
    std::fs::create_dir_all(&directory)?;
    // A copy, so that a build while the stand runs does not change what it runs.
    for file in files {
        std::fs::copy(bundle.join(file), directory.join(file))
            .with_context(|| format!("{} is not there; run ./scripts/build", bundle.join(file).display()))?;
    }
    let (program, runtime) = match edge {
        Edge::Workers => (workers::program(&directory, port, settings)?, "workerd"),
        Edge::Spin => spin::program(&directory, &bundle, port, settings)?,
    };
    processes.spawn(program, &data.join("logs"))?;
    Ok(runtime)
}

/// Starts one file of JavaScript in the runtime of Cloudflare Workers, with these settings: what is measured beside the worker.
pub fn start_script(
    processes: &mut Processes,
    data: &Path,
    script: &Path,
    port: u16,
    settings: &[(String, String)],
) -> anyhow::Result<()> {
    let directory = data.join("worker");
    std::fs::create_dir_all(&directory)?;
    std::fs::copy(script, directory.join("index.js"))
        .with_context(|| format!("{} is not there", script.display()))?;
    processes.spawn(workers::script(&directory, port, settings)?, &data.join("logs"))
}

/// The port to listen on: the wanted one if it is free, any if it is 0.
pub fn port(wanted: u16) -> anyhow::Result<u16> {
    let mut port = wanted;
    for address in addresses() {
        match TcpListener::bind((address, port)) {
            Ok(listener) => port = listener.local_addr()?.port(),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && wanted != 0 => {
                bail!("port {port} is in use; stop what listens there, or choose another with --port")
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot listen on {address} port {port}"));
            }
        }
    }
    Ok(port)
}

/// Both loopback addresses, because `*.localhost` may resolve to either; IPv6 only where the machine has it.
fn addresses() -> Vec<IpAddr> {
    let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    both.into_iter().filter(|&address| TcpListener::bind((address, 0)).is_ok()).collect()
}
