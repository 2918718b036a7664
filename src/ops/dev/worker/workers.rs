//! The Workers edge in workerd, the runtime that Cloudflare runs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::super::processes::{Program, private};

/// Workerd with these settings as the worker's text bindings. A stand's worker may reach this machine and its neighbours.
pub fn program(directory: &Path, port: u16, settings: &[(String, String)]) -> anyhow::Result<Program> {
    serve(&installed()?, directory, port, settings, MODULES, STAND_NETWORK)
}

/// The same for a worker that is one file of JavaScript.
pub fn script(directory: &Path, port: u16, settings: &[(String, String)]) -> anyhow::Result<Program> {
    serve(&installed()?, directory, port, settings, SCRIPT, STAND_NETWORK)
}

/// This workerd with the worker for real visitors: `network` has the addresses that it may reach (CIDR, or workerd's words for some).
pub fn production(
    workerd: &Path,
    directory: &Path,
    port: u16,
    settings: &[(String, String)],
    network: &[&str],
) -> anyhow::Result<Program> {
    serve(workerd, directory, port, settings, MODULES, network)
}

/// Names of the files that a build consists of.
pub const FILES: &[&str] = &["index.js", "index_bg.wasm"];

const SCRIPT: &str = r#"(name = "index.js", esModule = embed "index.js")"#;
const MODULES: &str = r#"(name = "index.js", esModule = embed "index.js"), (name = "index_bg.wasm", wasm = embed "index_bg.wasm")"#;
const STAND_NETWORK: &[&str] = &["public", "private"];

fn serve(
    workerd: &Path,
    directory: &Path,
    port: u16,
    settings: &[(String, String)],
    modules: &str,
    network: &[&str],
) -> anyhow::Result<Program> {
    let config = directory.join("workerd.capnp");
    let text = configuration(port, settings, modules, network)?;
    std::io::Write::write_all(&mut private(&config)?, text.as_bytes())?;
    let mut program = Program::new("worker", workerd);
    program.args(["serve", config.to_str().context("the data directory's name is not UTF-8")?]);
    for (name, value) in settings {
        program.env(name, value);
    }
    Ok(program)
}

/// The runtime itself: npm's launcher script would stand between it and our signals.
fn installed() -> anyhow::Result<PathBuf> {
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "64" };
    Path::new(&format!("node_modules/@cloudflare/workerd-{system}-{machine}/bin/workerd"))
        .canonicalize()
        .context("workerd is not installed here; run ./scripts/setup")
}

/// A configuration for workerd (workerd.capnp in its repository). The values stay out of the file: they come from the environment.
fn configuration(
    port: u16,
    settings: &[(String, String)],
    modules: &str,
    network: &[&str],
) -> anyhow::Result<String> {
    let wrangler = include_str!("../../../../wrangler.toml");
    let wrangler: toml::Table = wrangler.parse().context("wrangler.toml cannot be read")?;
    let date = wrangler.get("compatibility_date").and_then(toml::Value::as_str);
    let date = date.context("wrangler.toml has no compatibility_date")?;

    let mut bindings = String::new();
    for (name, _) in settings {
        write!(bindings, "(name = \"{name}\", fromEnvironment = \"{name}\"), ")?;
    }
    let mut sockets = String::new();
    for (number, address) in super::addresses().into_iter().enumerate() {
        let address = std::net::SocketAddr::new(address, port);
        write!(
            sockets,
            "(name = \"http{number}\", address = \"{address}\", http = (), service = \"bulkhead\"), "
        )?;
    }
    let network: Vec<String> = network.iter().map(|part| format!("\"{part}\"")).collect();
    let network = network.join(", ");
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";
const config :Workerd.Config = (services = [(name = \"bulkhead\", worker = .worker), (name = \"network\", network = .network)],
  sockets = [{sockets}]);
const worker :Workerd.Worker = (
  modules = [{modules}],
  compatibilityDate = \"{date}\", globalOutbound = \"network\", bindings = [{bindings}]);
const network :Workerd.Network = (allow = [{network}], tlsOptions = (trustBrowserCas = true));
"
    ))
}
