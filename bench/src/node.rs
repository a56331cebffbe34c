//! A node that is measured: its process, how it is started and ended, and what it uses of the machine.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::arguments::{Target, read_conf};
use crate::connection::Connection;
use crate::probe;

/// How long a node may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// Time between two looks whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// What a node uses at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uses {
    /// Resident memory in KiB.
    pub resident_kib: u64,
    /// Open files and connections.
    pub files: u64,
    /// Bytes of its folder.
    pub disk: u64,
}

/// Bytes on disk, by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// Block files.
    pub blocks: u64,
    /// State and indexes.
    pub database: u64,
    /// Transactions that are not settled.
    pub journal: u64,
    /// Off-chain data.
    pub offchain: u64,
    /// Wallet, log, settings.
    pub other: u64,
}

impl Disk {
    /// Bytes of all parts.
    pub fn all(&self) -> u64 {
        self.blocks + self.database + self.journal + self.offchain + self.other
    }
}

/// A node.
pub struct Node {
    bin: PathBuf,
    folder: PathBuf,
    chain: String,
    options: Vec<String>,
    port: u16,
    rpc_port: u16,
    child: Option<Child>,
}

impl Node {
    /// A node with a data directory that is made now, if it is not there.
    pub fn new(bin: &Path, folder: &Path, chain: &str, options: &[&str]) -> anyhow::Result<Node> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let (port, rpc_port) = (free_port()?, free_port()?);
        let (bin, folder) = (bin.to_path_buf(), folder.to_path_buf());
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Ok(Node { bin, folder, chain: chain.to_owned(), options, port, rpc_port, child: None })
    }

    /// What others join by.
    pub fn seed(&self) -> String {
        format!("{}@127.0.0.1:{}", self.chain, self.port)
    }

    /// Where its calls go.
    pub fn target(&self) -> anyhow::Result<Target> {
        let (user, password) = read_conf(&self.chain_folder().join("node.conf"))?;
        Ok(Target { host: "127.0.0.1".to_owned(), port: self.rpc_port, user, password })
    }

    /// Where its chain lies.
    pub fn chain_folder(&self) -> PathBuf {
        self.folder.join(&self.chain)
    }

    /// A connection for calls.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.target()?).await
    }

    /// Makes the chain in this node's folder.
    pub async fn make_chain(&self, options: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(self.bin.join("node-util"));
        command.args(["create", &self.chain, &format!("-datadir={}", self.folder.display())]).args(options);
        let output = command.output().await.context("node-util does not run")?;
        ensure!(output.status.success(), "node-util: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(self.bin.join("noded"));
        let words: [OsString; 6] = [
            target.into(),
            format!("-datadir={}", self.folder.display()).into(),
            format!("-port={}", self.port).into(),
            format!("-rpcport={}", self.rpc_port).into(),
            "-bind=127.0.0.1".into(),
            // Peers on this machine differ by port alone.
            "-maxconnections=64".into(),
        ];
        command.args(words).args(&self.options).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Asks to join, and gives the address that has to be granted.
    pub async fn address_when_refused(&self, seed: &str) -> anyhow::Result<String> {
        let output = self.command(seed).output().await.context("noded does not run")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let asked = text.split_whitespace().skip_while(|word| *word != "grant").nth(1);
        asked.map(str::to_owned).with_context(|| format!("noded told no address to be granted: {text}"))
    }

    /// Starts it on its chain and waits until it answers.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        let chain = self.chain.clone();
        self.start_from(&chain).await
    }

    /// Starts it with a node to join by, and waits until it answers.
    pub async fn start_from(&mut self, target: &str) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("console.log"))?;
        let mut command = self.command(target);
        command.stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("noded does not run")?);
        let end = Instant::now() + PATIENCE;
        while !self.answers().await {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("noded ended with {status} while starting: see {}", self.folder.join("console.log").display());
            }
            ensure!(Instant::now() < end, "noded did not answer within {} s", PATIENCE.as_secs());
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn answers(&self) -> bool {
        let Ok(mut connection) = self.connect().await else { return false };
        connection.call("getinfo", json!([])).await.is_ok()
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.connect().await?.call("stop", json!([])).await?;
        self.wait_for_end().await
    }

    async fn wait_for_end(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        ended.with_context(|| format!("noded did not end within {} s", PATIENCE.as_secs()))??;
        Ok(())
    }

    /// Ends it, by a signal that it cannot catch if `hard`, and starts it again. Returns the time until it answered.
    pub async fn restart(&mut self, hard: bool) -> anyhow::Result<Duration> {
        if hard {
            if let Some(child) = self.child.as_mut() {
                child.start_kill()?;
            }
            self.wait_for_end().await?;
        } else {
            self.stop().await?;
        }
        let began = Instant::now();
        self.start().await?;
        Ok(began.elapsed())
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.as_ref().and_then(Child::id).context("the node does not run")
    }

    /// What its chain takes on disk now.
    pub fn disk(&self) -> Disk {
        disk_of(&self.chain_folder())
    }

    /// What it uses now.
    pub fn uses(&self) -> anyhow::Result<Uses> {
        let id = self.pid()?;
        let usage = probe::usage(id).context("the node's process is gone")?;
        let files = std::fs::read_dir(format!("/proc/{id}/fd"))?.count() as u64;
        Ok(Uses { resident_kib: usage.resident_kib, files, disk: bytes_of(&self.chain_folder()) })
    }
}

/// Bytes of a chain's folder by part.
fn disk_of(chain: &Path) -> Disk {
    let journal = std::fs::metadata(chain.join("journal")).map_or(0, |metadata| metadata.len());
    let (blocks, database) = (bytes_of(&chain.join("blocks")), bytes_of(&chain.join("state")));
    let offchain = bytes_of(&chain.join("chunks"));
    let other = bytes_of(chain).saturating_sub(blocks + database + journal + offchain);
    Disk { blocks, database, journal, offchain, other }
}

/// Bytes of all files of a folder; files that go while it is read are left out.
fn bytes_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

/// A port that nobody listens at now.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn bytes_of_a_chain_are_told_by_part() {
        let chain = std::env::temp_dir().join(format!("rota-bench-disk-{}", std::process::id()));
        for (file, bytes) in
            [("blocks/0.dat", 10), ("state/a/1.sst", 200), ("chunks/1.sst", 3_000), ("journal", 40_000)]
        {
            let path = chain.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; bytes]).unwrap();
        }
        std::fs::write(chain.join("debug.log"), vec![0; 500_000]).unwrap();
        let disk = disk_of(&chain);
        std::fs::remove_dir_all(&chain).unwrap();
        assert_eq!(disk, Disk { blocks: 10, database: 200, journal: 40_000, offchain: 3_000, other: 500_000 });
        assert_eq!(disk.all(), 543_210);
    }
}
