//! The Spin edge: in Fermyon's `spin` where a new enough one is installed, else in wasmtime, which Spin is built on.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::net::TcpStream;

use super::super::processes::{Program, find, private};

/// The runtime with these settings in the component's environment, and its name. What it compiles it keeps in `cache`.
pub fn program(
    directory: &Path,
    cache: &Path,
    port: u16,
    settings: &[(String, String)],
) -> anyhow::Result<(Program, &'static str)> {
    forward(port)?;
    let listen = format!("{}:{port}", Ipv4Addr::LOCALHOST);
    let component = directory.join("bulkhead.wasm");
    let component = component.to_str().context("the data directory's name is not UTF-8")?;
    if let Some(spin) = spin() {
        let manifest = directory.join("spin.toml");
        let text = std::fs::read_to_string("spin.toml").context("run this from the repository's root")?;
        let text = manifest_for(&text, component, settings)?;
        // With the secrets in it: only its owner can read it.
        std::io::Write::write_all(&mut private(&manifest)?, text.as_bytes())?;
        let mut program = Program::new("worker", spin);
        let home = directory.to_string_lossy();
        program.args(["up", "--from", &manifest.to_string_lossy(), "--listen", &listen]);
        program.args(["--state-dir", &home]).env("HOME", &home);
        return Ok((program, "spin"));
    }
    let wasmtime = find("wasmtime").context("wasmtime is not installed here; run ./scripts/setup")?;
    let mut program = Program::new("worker", wasmtime);
    program.args(["serve", "-S", "cli", "-C", "cache=y", "--no-logging-prefix", "--addr", &listen]);
    // Compiling takes some seconds; the next stand finds the result beside the component.
    program.env("HOME", cache.to_str().context("the bundle's name is not UTF-8")?);
    for (name, value) in settings {
        // Named only: the value comes from wasmtime's own environment, and so is in no list of processes.
        program.args(["--env", name]).env(name, value);
    }
    program.args([component]);
    Ok((program, "wasmtime"))
}

/// Fermyon's `spin`, if it can run a component of WASI 0.3.0; another program of that name is none.
fn spin() -> Option<PathBuf> {
    let spin = find("spin")?;
    let said = std::process::Command::new(&spin).arg("--version").output().ok()?;
    new_enough(&String::from_utf8_lossy(&said.stdout)).then_some(spin)
}

fn new_enough(version: &str) -> bool {
    let Some(version) = version.strip_prefix("spin ") else { return false };
    let mut numbers = version.split('.').map(|number| number.parse::<u32>());
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= (4, 1))
}

/// The repository's manifest, for this component with these settings: they are its environment, and where it may send to.
fn manifest_for(manifest: &str, component: &str, settings: &[(String, String)]) -> anyhow::Result<String> {
    let mut manifest: toml::Table = manifest.parse().context("spin.toml cannot be read")?;
    manifest.remove("variables");
    let bulkhead = manifest
        .get_mut("component")
        .and_then(|components| components.get_mut("bulkhead")?.as_table_mut())
        .context("spin.toml has no component bulkhead")?;
    bulkhead.remove("variables");
    bulkhead.remove("build");
    bulkhead.insert("source".into(), component.into());
    let environment = settings.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    bulkhead.insert("environment".into(), toml::Table::from_iter(environment).into());
    bulkhead.insert("allowed_outbound_hosts".into(), hosts(settings).into());
    Ok(toml::to_string(&manifest)?)
}

/// `scheme://host[:port]` of every address in the settings.
fn hosts(settings: &[(String, String)]) -> Vec<String> {
    let mut hosts = Vec::new();
    for (name, value) in settings {
        match value.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) if name != "ROOT_URL" => {
                hosts.push(format!("{scheme}://{}", rest.split('/').next().unwrap_or(rest)));
            }
            _ if name == "COMPATIBLE_HOSTS" || name == "IMPORT_HOSTS" => {
                let named = value.split(',').map(str::trim).filter(|host| !host.is_empty());
                hosts.extend(named.flat_map(|host| [format!("http://{host}"), format!("https://{host}")]));
            }
            _ => {}
        }
    }
    for (name, host) in [
        ("OPENAI_URL", "https://api.openai.com"),
        ("ANTHROPIC_URL", "https://api.anthropic.com"),
        ("DNS_URL", "https://cloudflare-dns.com"),
    ] {
        if !settings.iter().any(|(other, _)| other == name) {
            hosts.push(host.to_owned());
        }
    }
    hosts
}

/// Both runtimes listen on one address only: what comes to the machine's other loopback address is passed on to it.
fn forward(port: u16) -> anyhow::Result<()> {
    for address in super::addresses().into_iter().filter(std::net::IpAddr::is_ipv6) {
        let listener = TcpListener::bind((address, port))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(async move {
            while let Ok((visitor, _)) = listener.accept().await {
                tokio::spawn(pass_on(visitor, port));
            }
        });
    }
    Ok(())
}

async fn pass_on(mut visitor: TcpStream, port: u16) -> std::io::Result<()> {
    let mut worker = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    visitor.set_nodelay(true)?;
    worker.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut visitor, &mut worker).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = include_str!("../../../../spin.toml");

    /// What `self` stands for is whatever the request's Host header says (CVE-2024-32980); a template could become anything.
    fn lets_out_to(host: &str) -> Result<(), String> {
        let name = host.strip_prefix("https://").ok_or(format!("{host}: not https"))?;
        let plain = |label: &str| {
            !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let labels: Vec<&str> = name.split('.').collect();
        let ours = ["self", "internal", "alt", "localhost"];
        let number = labels[labels.len() - 1].bytes().all(|byte| byte.is_ascii_digit());
        if labels.len() < 2
            || !labels.iter().all(|label| plain(label))
            || ours.contains(&labels[labels.len() - 1])
            || number
        {
            return Err(format!("{host}: not the name of one host elsewhere"));
        }
        Ok(())
    }

    #[test]
    fn the_manifest_names_whom_the_worker_may_call() {
        let manifest: toml::Table = MANIFEST.parse().unwrap();
        let components = manifest["component"].as_table().unwrap();
        assert_eq!(components.keys().collect::<Vec<_>>(), ["bulkhead"]);
        assert_eq!(manifest["trigger"]["http"][0]["route"].as_str(), Some("/..."));
        let hosts = components["bulkhead"]["allowed_outbound_hosts"].as_array().unwrap();
        assert!(hosts.len() >= 4, "SQL, Redis and the providers");
        for host in hosts {
            assert_eq!(lets_out_to(host.as_str().unwrap()), Ok(()));
        }
        for host in [
            "*",
            "*://*:*",
            "https://*",
            "https://*.openai.com",
            "https://self",
            "http://self",
            "https://self.alt",
            "https://other.spin.internal",
            "https://{{ sql_host }}",
            "https://10.0.0.0/8",
            "https://10.0.0.1",
            "http://api.openai.com",
            "https://localhost",
        ] {
            assert!(lets_out_to(host).is_err(), "{host}");
        }
    }

    /// Every setting of the deployment to Cloudflare is one of this deployment, and reaches the component.
    #[test]
    fn the_manifest_has_every_setting() {
        let manifest: toml::Table = MANIFEST.parse().unwrap();
        let (declared, given) = (&manifest["variables"], &manifest["component"]["bulkhead"]["variables"]);
        let wrangler = include_str!("../../../../wrangler.toml");
        let deployment: toml::Table = wrangler.parse().unwrap();
        let secrets = wrangler.lines().skip_while(|line| !line.starts_with("# Secrets")).skip(1);
        let secrets = secrets.map_while(|line| line.strip_prefix("#   ")?.split_whitespace().next());
        let plain = deployment["vars"].as_table().unwrap().keys().map(String::as_str);
        let mut wanted = 0;
        for name in secrets.chain(plain) {
            let variable = name.to_ascii_lowercase();
            assert!(declared.get(&variable).is_some(), "{variable} is not declared");
            assert_eq!(given[&variable].as_str(), Some(format!("{{{{ {variable} }}}}").as_str()));
            wanted += 1;
        }
        assert!(wanted >= 7, "only {wanted} settings in wrangler.toml");
        assert_eq!(given.as_table().unwrap().len(), wanted);
    }

    /// Cloudflare inherits no settings: one that staging lacks would be found out in staging, or later.
    #[test]
    fn staging_has_production_s_settings_and_none_of_its_addresses() {
        let deployment: toml::Table = include_str!("../../../../wrangler.toml").parse().unwrap();
        let (production, staging) = (&deployment["vars"], &deployment["env"]["staging"]["vars"]);
        let names = |vars: &toml::Value| vars.as_table().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(production), names(staging));
        for name in ["ROOT_URL", "SQL_URL", "UPSTASH_REDIS_REST_URL"] {
            assert_ne!(production[name], staging[name], "{name}");
        }
    }

    #[test]
    fn versions() {
        for (said, fine) in [
            ("spin 4.1.0 (abc 2026-10-01)\n", true),
            ("spin 5.0.0", true),
            ("spin 4.0.2 (abc)", false),
            ("spin 3.6.3", false),
            ("Spin Version 6.5.2 -- 6 December 2019", false),
            ("", false),
        ] {
            assert_eq!(new_enough(said), fine, "{said:?}");
        }
    }

    #[test]
    fn the_repository_s_manifest_becomes_the_stand_s() {
        let settings = [
            ("ROOT_URL", "http://localhost:1"),
            ("SQL_URL", "http://127.0.0.1:2/sql"),
            ("ANTHROPIC_URL", "http://127.0.0.1:3/v1"),
            ("COMPATIBLE_HOSTS", "127.0.0.1:4, models.example"),
            ("DATABASE_URL", "postgresql://a:b@127.0.0.1:5/c"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let made: toml::Table = manifest_for(MANIFEST, "/x.wasm", &settings).unwrap().parse().unwrap();
        let bulkhead = &made["component"]["bulkhead"];
        assert_eq!(bulkhead["source"].as_str(), Some("/x.wasm"));
        assert_eq!(bulkhead["environment"]["SQL_URL"].as_str(), Some("http://127.0.0.1:2/sql"));
        let hosts = bulkhead["allowed_outbound_hosts"].as_array().unwrap();
        let hosts: Vec<&str> = hosts.iter().map(|host| host.as_str().unwrap()).collect();
        assert_eq!(
            hosts,
            [
                "http://127.0.0.1:2",
                "http://127.0.0.1:3",
                "http://127.0.0.1:4",
                "https://127.0.0.1:4",
                "http://models.example",
                "https://models.example",
                "https://api.openai.com",
                "https://cloudflare-dns.com",
            ]
        );
        assert!(made.get("variables").is_none() && made.get("trigger").is_some());
    }
}
