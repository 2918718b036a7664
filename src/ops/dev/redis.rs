//! The stand's Redis: `redis-server` or `valkey-server`, whichever the PATH has. It never listens beyond the loopback interface.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::processes::{Processes, Program, find, private};
use super::secrets::Secrets;

/// Starts Redis on the data directory and this port, and waits until it answers; gives its URL.
pub async fn start(
    processes: &mut Processes,
    data: &Path,
    port: u16,
    secrets: &Secrets,
    throwaway: bool,
) -> anyhow::Result<String> {
    let server = find("redis-server")
        .or_else(|| find("valkey-server"))
        .context("no redis-server or valkey-server on the PATH; run ./scripts/setup, or set REDIS_URL")?;
    let directory = data.join("redis");
    std::fs::create_dir_all(&directory)?;
    // In a file, because everybody on the machine can read a command line.
    let config = directory.join("redis.conf");
    // What is kept is written before it is acknowledged: that Redis is killed takes nothing back.
    let keep = if throwaway { "no" } else { "yes" };
    writeln!(
        private(&config)?,
        "port {port}\nbind 127.0.0.1\nrequirepass {}\ndir \"{}\"\nsave \"\"\nappendonly {keep}",
        secrets.redis_password,
        directory.display(),
    )?;
    let mut program = Program::new("redis", server);
    program.args([config.to_str().context("the data directory's name is not UTF-8")?]);
    processes.spawn(program, &data.join("logs"))?;
    processes.until("redis", async || ping(port, &secrets.redis_password).await).await?;
    Ok(format!("redis://:{}@127.0.0.1:{port}/0", secrets.redis_password))
}

/// Signs in with an inline command: two lines of a protocol need no client.
async fn ping(port: u16, password: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(format!("AUTH {password}\r\nPING\r\n").as_bytes()).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    if &answer == b"+OK\r\n+PONG\r\n" { Ok(()) } else { Err(std::io::Error::other("it is still loading")) }
}
