//! The stand's worker: the built wasm in a runtime of the edge it was built for. It emulates nothing.

mod spin;
mod workers;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::processes::{Processes, Program};

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
    named(settings)?;
    let (built, files): (_, &[&str]) = match edge {
        Edge::Workers => ("src/edge/workers/build", workers::FILES),
        Edge::Spin => ("src/edge/spin/build", &["bulkhead.wasm"]),
    };
    let bundle = bundle.unwrap_or(Path::new(built)).canonicalize().context("run ./scripts/build")?;
    let directory = copied(&bundle, files, data)?;
    let (program, runtime) = match edge {
        Edge::Workers => (workers::program(&directory, port, settings)?, "workerd"),
        Edge::Spin => spin::program(&directory, &bundle, port, settings)?,
    };
    processes.spawn(program, &data.join("logs"))?;
    Ok(runtime)
}

/// Workerd with the worker for real visitors, on the loopback interface; `network` has the addresses that it may reach.
pub fn production(
    workerd: &Path,
    bundle: &Path,
    data: &Path,
    port: u16,
    settings: &[(String, String)],
    network: &[&str],
) -> anyhow::Result<Program> {
    named(settings)?;
    let directory = copied(bundle, workers::FILES, data)?;
    workers::production(workerd, &directory, port, settings, network)
}

/// That every name can be a setting's.
fn named(settings: &[(String, String)]) -> anyhow::Result<()> {
    for (name, _) in settings {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            bail!("{name:?} is no name for a setting: letters, digits and _ only");
        }
    }
    Ok(())
}

/// A copy of the build, so that a later one does not change what runs; gives its folder.
fn copied(bundle: &Path, files: &[&str], data: &Path) -> anyhow::Result<PathBuf> {
    let directory = data.join("worker");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for file in files {
        std::fs::copy(bundle.join(file), directory.join(file))
            .with_context(|| format!("{} is not there; run ./scripts/build", bundle.join(file).display()))?;
    }
    Ok(directory)
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
