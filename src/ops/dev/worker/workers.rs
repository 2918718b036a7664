//! The Workers edge in workerd, the runtime that Cloudflare runs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::super::processes::{Program, private};

/// Workerd with these settings as the worker's text bindings.
pub fn program(directory: &Path, port: u16, settings: &[(String, String)]) -> anyhow::Result<Program> {
    serve(
        directory,
        port,
        settings,
        &format!("{SCRIPT}, (name = \"index_bg.wasm\", wasm = embed \"index_bg.wasm\")"),
    )
}

/// The same for a worker that is one file of JavaScript.
pub fn script(directory: &Path, port: u16, settings: &[(String, String)]) -> anyhow::Result<Program> {
    serve(directory, port, settings, SCRIPT)
}

const SCRIPT: &str = r#"(name = "index.js", esModule = embed "index.js")"#;

fn serve(
    directory: &Path,
    port: u16,
    settings: &[(String, String)],
    modules: &str,
) -> anyhow::Result<Program> {
    let config = directory.join("workerd.capnp");
    std::io::Write::write_all(&mut private(&config)?, configuration(port, settings, modules)?.as_bytes())?;
    let mut program = Program::new("worker", workerd()?);
    program.args(["serve", config.to_str().context("the data directory's name is not UTF-8")?]);
    for (name, value) in settings {
        program.env(name, value);
    }
    Ok(program)
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
fn configuration(port: u16, settings: &[(String, String)], modules: &str) -> anyhow::Result<String> {
    let wrangler = std::fs::read_to_string("wrangler.toml").context("run this from the repository's root")?;
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
    Ok(format!(
        "using Workerd = import \"/workerd/workerd.capnp\";
const config :Workerd.Config = (services = [(name = \"bulkhead\", worker = .worker), (name = \"network\", network = .network)],
  sockets = [{sockets}]);
const worker :Workerd.Worker = (
  modules = [{modules}],
  compatibilityDate = \"{date}\", globalOutbound = \"network\", bindings = [{bindings}]);
const network :Workerd.Network = (allow = [\"public\", \"private\"], tlsOptions = (trustBrowserCas = true));
"
    ))
}
