//! The stand's worker: the built wasm in workerd, the runtime that Cloudflare runs. It emulates nothing.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::processes::{Processes, Program, private};

/// Starts workerd with these settings as the worker's text bindings.
pub fn start(
    processes: &mut Processes,
    data: &Path,
    bundle: &Path,
    port: u16,
    settings: &[(String, String)],
) -> anyhow::Result<()> {
    let directory = data.join("worker");
    std::fs::create_dir_all(&directory)?;
    // A copy, so that a build while the stand runs does not change what it runs.
    for file in ["index.js", "index_bg.wasm"] {
        std::fs::copy(bundle.join(file), directory.join(file))
            .with_context(|| format!("{} is not there; run ./scripts/build", bundle.join(file).display()))?;
    }
    let config = directory.join("workerd.capnp");
    std::io::Write::write_all(&mut private(&config)?, configuration(port, settings)?.as_bytes())?;

    let mut program = Program::new("worker", workerd()?);
    program.args(["serve", config.to_str().context("the data directory's name is not UTF-8")?]);
    for (name, value) in settings {
        program.env(name, value);
    }
    processes.spawn(program, &data.join("logs"))
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

/// The runtime itself: npm's launcher script would stand between it and our signals.
fn workerd() -> anyhow::Result<PathBuf> {
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "64" };
    Path::new(&format!("node_modules/@cloudflare/workerd-{system}-{machine}/bin/workerd"))
        .canonicalize()
        .context("workerd is not installed here; run ./scripts/setup")
}

/// A configuration for workerd (workerd.capnp in its repository). The values stay out of the file: they come from the environment.
fn configuration(port: u16, settings: &[(String, String)]) -> anyhow::Result<String> {
    let wrangler = std::fs::read_to_string("wrangler.toml").context("run this from the repository's root")?;
    let wrangler: toml::Table = wrangler.parse().context("wrangler.toml cannot be read")?;
    let date = wrangler.get("compatibility_date").and_then(toml::Value::as_str);
    let date = date.context("wrangler.toml has no compatibility_date")?;

    let mut bindings = String::new();
    for (name, _) in settings {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            bail!("{name} is no name for a setting: letters, digits and _ only");
        }
        write!(bindings, "(name = \"{name}\", fromEnvironment = \"{name}\"), ")?;
    }
    let mut sockets = String::new();
    for (number, address) in addresses().into_iter().enumerate() {
        let address = std::net::SocketAddr::new(address, port);
        write!(
            sockets,
            "(name = \"http{number}\", address = \"{address}\", http = (), service = \"bulkhead\"), "
        )?;
    }
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";
const config :Workerd.Config = (services = [(name = \"bulkhead\", worker = .worker), (name = \"network\", network = .network)],
  sockets = [{sockets}]);
const worker :Workerd.Worker = (
  modules = [(name = \"index.js\", esModule = embed \"index.js\"), (name = \"index_bg.wasm\", wasm = embed \"index_bg.wasm\")],
  compatibilityDate = \"{date}\", globalOutbound = \"network\", bindings = [{bindings}]);
const network :Workerd.Network = (allow = [\"public\", \"private\"], tlsOptions = (trustBrowserCas = true));
"
    ))
}
