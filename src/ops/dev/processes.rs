//! The programs that the stand runs: started in groups of their own, watched, and stopped in reverse order.
//! It never touches a process that it did not start.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::PATIENCE;

/// Every program that runs for the stand, in the order of starting.
#[derive(Default)]
pub struct Processes {
    running: Vec<Process>,
}

struct Process {
    name: &'static str,
    child: Child,
    group: Pid,
    goodbye: Signal,
    log: PathBuf,
}

/// A program to start: what it is called in messages, what to run, and how it likes to be stopped.
pub struct Program {
    name: &'static str,
    path: PathBuf,
    args: Vec<String>,
    envs: Vec<(String, String)>,
    user: Option<u32>,
    goodbye: Signal,
}

impl Program {
    /// A program without arguments, stopped by SIGTERM, in an environment without this one's secrets.
    pub fn new(name: &'static str, path: impl Into<PathBuf>) -> Self {
        let (args, envs) = (Vec::new(), Vec::new());
        Self { name, path: path.into(), args, envs, user: None, goodbye: Signal::TERM }
    }

    /// Adds arguments.
    pub fn args<'a>(&mut self, args: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.envs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs as this user and group, without supplementary groups; needs root.
    pub fn user(&mut self, user: Option<u32>) -> &mut Self {
        self.user = user;
        self
    }

    /// Is stopped by this signal instead of SIGTERM.
    pub fn goodbye(&mut self, signal: Signal) -> &mut Self {
        self.goodbye = signal;
        self
    }

    /// The command, ended by the kernel if this process dies without a word (where util-linux is there to arrange it).
    pub fn command(&self) -> Command {
        let setpriv = find("setpriv").filter(|_| cfg!(target_os = "linux"));
        let mut command = match setpriv {
            None => Command::new(&self.path),
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                if let Some(user) = self.user {
                    command.args([format!("--reuid={user}"), format!("--regid={user}")]);
                    command.arg("--clear-groups");
                }
                let signal = if self.goodbye == Signal::INT { "INT" } else { "TERM" };
                command.args(["--pdeathsig", signal, "--"]).arg(&self.path);
                command
            }
        };
        command.args(&self.args).env_clear().stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        command.env("PATH", path()).envs(self.envs.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Processes {
    /// Starts the program, its output going to `<logs>/<name>.log`.
    pub fn spawn(&mut self, program: Program, logs: &Path) -> anyhow::Result<()> {
        let log = logs.join(format!("{}.log", program.name));
        let output = private(&log)?;
        let child = program
            .command()
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {} ({})", program.name, program.path.display()))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = group.with_context(|| format!("{} ended at once", program.name))?;
        self.running.push(Process { name: program.name, child, group, goodbye: program.goodbye, log });
        Ok(())
    }

    /// Process ids by name, for tests that take a part away.
    pub fn pids(&self) -> serde_json::Value {
        self.running.iter().map(|process| (process.name, process.child.id())).collect()
    }

    /// Waits until a check succeeds; fails when it takes too long, or when a program dies meanwhile.
    pub async fn until<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        mut check: impl AsyncFnMut() -> Result<T, E>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            let error = match check().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            for process in &mut self.running {
                if process.child.try_wait()?.is_some() {
                    return process.died().await;
                }
            }
            if started.elapsed() > PATIENCE {
                bail!("{name} does not answer after {} s: {error}", PATIENCE.as_secs());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `GET path` is answered with 200.
    pub async fn answers(&mut self, name: &str, url: &str, host: &str, path: &str) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let address = format!("{url}{path}");
        self.until(name, async || {
            let answer = client.get(&address).header("host", host).send().await;
            match answer.map(|response| response.status().as_u16()) {
                Ok(200) => Ok(()),
                Ok(status) => Err(format!("{path} answers {status}")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// Waits until one of the programs ends, which none should.
    pub async fn first_death(&mut self) -> anyhow::Result<()> {
        let waits = self.running.iter_mut().map(|process| Box::pin(process.died()));
        futures_util::future::select_all(waits).await.0
    }

    /// Asks every program to end, the last started first, and kills the group of one that does not within ten seconds.
    pub async fn stop(&mut self) {
        while let Some(mut process) = self.running.pop() {
            let _ = kill_process_group(process.group, process.goodbye);
            if timeout(Duration::from_secs(10), process.child.wait()).await.is_err() {
                let _ = kill_process_group(process.group, Signal::KILL);
                let _ = process.child.wait().await;
            }
        }
    }

    /// Ends every program by this signal, whatever it likes better.
    pub async fn kill(&mut self, signal: Signal) {
        for process in &mut self.running {
            process.goodbye = signal;
        }
        self.stop().await;
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &self.running {
            let _ = kill_process_group(process.group, Signal::KILL);
        }
    }
}

impl Process {
    /// Waits for its end and says what it said last.
    async fn died<T>(&mut self) -> anyhow::Result<T> {
        let status = self.child.wait().await?;
        let log = std::fs::read(&self.log).unwrap_or_default();
        let lines: Vec<String> = String::from_utf8_lossy(&log).lines().map(str::to_owned).collect();
        let last = lines.iter().skip(lines.len().saturating_sub(5)).map(String::as_str);
        let last = last.collect::<Vec<_>>().join("\n  ");
        bail!("{} ended ({status}); the end of {}:\n  {last}", self.name, self.log.display())
    }
}

/// A file that only its owner can read, emptied if it was there.
pub fn private(path: &Path) -> anyhow::Result<File> {
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A port of the loopback interface that nothing listens on now.
pub fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

/// Where a program lies, by the PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&path()).map(|directory| directory.join(name)).find(|file| file.is_file())
}

fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

/// What the stand tells whoever started it: each step with the time it took.
pub struct Steps {
    on_stderr: bool,
    last: Instant,
}

impl Steps {
    /// Starts the clock. With a machine reading standard output, people read standard error.
    pub fn new(on_stderr: bool) -> Self {
        Self { on_stderr, last: Instant::now() }
    }

    /// One step is done.
    pub fn done(&mut self, step: &str) {
        let took = self.last.elapsed().as_millis();
        self.last = Instant::now();
        self.say(&format!("{took:>6} ms  {step}"));
    }

    /// Prints the text; nobody is left to tell if that fails.
    pub fn say(&self, text: &str) {
        let _ = if self.on_stderr {
            writeln!(std::io::stderr(), "{text}")
        } else {
            writeln!(std::io::stdout(), "{text}")
        };
    }
}
