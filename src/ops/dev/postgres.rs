//! The stand's Postgres: a real server from npm's `embedded-postgres`. It never runs as root, because Postgres refuses to.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Signal, geteuid};

use super::processes::{Processes, Program, private};
use super::secrets::Secrets;

/// Starts Postgres on the data directory, made if it is not there, and this port, and waits until it answers.
///
/// Gives the URL of `bulkhead_owner` on the database `bulkhead`: like the owner on a managed service it may create roles and
/// sees past row-level security, and is no superuser.
pub async fn start(
    processes: &mut Processes,
    data: &Path,
    port: u16,
    secrets: &Secrets,
    throwaway: bool,
) -> anyhow::Result<String> {
    let installed = installed()?;
    // Root lends the server to a user without rights, who must be able to reach both the programs and the data.
    let user = geteuid().is_root().then_some(NOBODY);
    let home = home(data);
    let programs = if user.is_none() || open_to_all(&installed) { installed } else { copied(&installed)? };
    make_home(&home, user)?;
    let cluster = home.join("cluster");

    let program = |name: &'static str, binary: &str| {
        let mut program = Program::new(name, programs.join("bin").join(binary));
        program
            .user(user)
            .goodbye(Signal::INT)
            .env("LD_LIBRARY_PATH", &programs.join("lib").to_string_lossy());
        program.env("DYLD_LIBRARY_PATH", &programs.join("lib").to_string_lossy()).env("LC_ALL", "C");
        program
    };
    let cluster_name = cluster.to_str().context("the data directory's name is not UTF-8")?;
    if !cluster.exists() {
        // Under another name until it is whole, so that an interrupted first start leaves nothing half-made behind.
        let fresh = home.join("fresh");
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh)?;
        }
        init(program("initdb", "initdb"), &home, &fresh, user, secrets).await?;
        std::fs::rename(&fresh, &cluster)?;
    }

    let mut server = program("postgres", "postgres");
    server.args(["-D", cluster_name, "-p", &port.to_string()]);
    server.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
    if throwaway {
        server.args(["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]);
    }
    processes.spawn(server, &data.join("logs"))?;
    let url = |user: &str, database: &str| {
        format!("postgresql://{user}:{}@127.0.0.1:{port}/{database}", secrets.owner_password)
    };
    let superuser = url("postgres", "postgres");
    processes.until("postgres", async || query(&superuser, "select 1").await.map(drop)).await?;
    if query(&superuser, "select from pg_roles where rolname = 'bulkhead_owner'").await? == 0 {
        let rights = "login createrole createdb bypassrls";
        let owner = format!("create role bulkhead_owner {rights} password '{}'", secrets.owner_password);
        query(&superuser, &owner).await?;
        query(&superuser, "grant pg_checkpoint to bulkhead_owner").await?;
    }
    if query(&superuser, "select from pg_database where datname = 'bulkhead'").await? == 0 {
        query(&superuser, "create database bulkhead owner bulkhead_owner").await?;
    }
    Ok(url("bulkhead_owner", "bulkhead"))
}

/// The user `nobody` of most systems.
const NOBODY: u32 = 65534;

/// Where npm put the server for this machine.
fn installed() -> anyhow::Result<PathBuf> {
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    let native = format!("node_modules/@embedded-postgres/{system}-{machine}/native");
    let native = Path::new(&native).canonicalize();
    native.context("embedded Postgres is not installed here; run ./scripts/setup, or set DATABASE_URL")
}

/// Where the server's data is: in the data directory, or in /var/tmp when root's data directory is closed to others.
pub fn home(data: &Path) -> PathBuf {
    if !geteuid().is_root() || open_to_all(data) {
        return data.join("postgres");
    }
    Path::new("/var/tmp").join(format!("bulkhead{}", data.to_string_lossy().replace('/', "-")))
}

/// Whether every user may pass through all directories down to this one.
fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|part| part.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0))
}

/// Makes the folder and gives it to the server's user.
fn make_home(home: &Path, user: Option<u32>) -> anyhow::Result<()> {
    std::fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    let meta = home.symlink_metadata()?;
    // In /var/tmp anybody could have made it, or put a link in its place.
    let ours = meta.uid() == geteuid().as_raw() || Some(meta.uid()) == user;
    ensure!(meta.is_dir() && ours, "{} belongs to somebody else; remove it", home.display());
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700))?;
    chown(home, user, user)?;
    Ok(())
}

/// A copy of the programs where every user can reach them, made once for each version.
fn copied(installed: &Path) -> anyhow::Result<PathBuf> {
    let package = installed.parent().context("no package folder")?.join("package.json");
    let package: serde_json::Value = serde_json::from_slice(&std::fs::read(package)?)?;
    let version = package.get("version").and_then(serde_json::Value::as_str).unwrap_or("unknown");
    let copy = Path::new("/var/tmp").join(format!("bulkhead-postgres-{version}"));
    if !copy.exists() {
        let fresh = copy.with_extension(format!("{}", std::process::id()));
        let done = std::process::Command::new("cp")
            .args(["-R", "--"])
            .args([installed, &fresh])
            .status()
            .context("cannot run cp")?;
        ensure!(done.success(), "cannot copy Postgres to {}", fresh.display());
        if std::fs::rename(&fresh, &copy).is_err() {
            // Another stand was quicker.
            std::fs::remove_dir_all(&fresh)?;
        }
    }
    let meta = copy.symlink_metadata()?;
    let ours = meta.is_dir() && meta.uid() == geteuid().as_raw() && meta.permissions().mode() & 0o022 == 0;
    ensure!(ours, "{} belongs to somebody else; remove it", copy.display());
    Ok(copy)
}

async fn init(
    mut initdb: Program,
    home: &Path,
    cluster: &Path,
    user: Option<u32>,
    secrets: &Secrets,
) -> anyhow::Result<()> {
    let password = home.join("password");
    write!(private(&password)?, "{}", secrets.owner_password)?;
    chown(&password, user, user)?;
    initdb.args([
        "-D",
        &cluster.to_string_lossy(),
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--auth=scram-sha-256",
        "--no-instructions",
    ]);
    initdb.args(["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]);
    initdb.args([&*format!("--pwfile={}", password.display())]);
    let output = initdb.command().output().await.context("cannot start initdb")?;
    std::fs::remove_file(&password)?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Runs one statement on a connection of its own; gives the number of rows.
async fn query(url: &str, statement: &str) -> anyhow::Result<u64> {
    Ok(crate::postgres::connect(url).await?.execute(statement, &[]).await?)
}
