//! One node under torture: its directory, process and calls; how it is started, killed and how it ended.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rota_api::client::{Client, ClientError};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// Longest wait for one answer.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for a node that starts, however busy the machine.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
pub const LOOK: Duration = Duration::from_millis(10);
/// User and password of every node here: they listen on loopback, for as long as they are tortured.
const LOGIN: &str = "torture";
/// Ports are taken from here on, below those the system hands out.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 20_000;

/// Which build of the node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// As released.
    Noded,
    /// With crash points.
    Crash,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Noded => "noded",
            Program::Crash => "noded-crash",
        }
    }
}

/// A node of one chain in a data directory of its own.
pub struct Node {
    /// The data directory.
    pub home: PathBuf,
    /// Peer port.
    pub port: u16,
    chain: String,
    rpc_port: u16,
    options: Vec<String>,
    child: Option<Child>,
    client: Client,
}

impl Node {
    /// A node that does not run yet, with further options.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(home: PathBuf, chain: &str, options: &[String]) -> anyhow::Result<Node> {
        std::fs::create_dir_all(&home)?;
        let (port, rpc_port) = (free_port()?, free_port()?);
        let client = client(rpc_port);
        Ok(Node { home, port, chain: chain.to_owned(), rpc_port, options: options.to_vec(), child: None, client })
    }

    /// The folder of the chain.
    pub fn folder(&self) -> PathBuf {
        self.home.join(&self.chain)
    }

    /// How another node names this one as its seed.
    pub fn invitation(&self) -> String {
        format!("{}@127.0.0.1:{}", self.chain, self.port)
    }

    /// Starts a build of the node for `target` (the chain, or an invitation).
    ///
    /// # Errors
    /// If the program is not there.
    pub fn spawn(
        &mut self,
        program: Program,
        target: &str,
        further: &[&str],
        crash: Option<&str>,
    ) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.home.display());
        let mut command = Command::new(binary(program.name())?);
        command.arg(target).arg(format!("-datadir={}", self.home.display()));
        command.args([format!("-port={}", self.port), format!("-rpcport={}", self.rpc_port)]);
        command.args([format!("-rpcuser={LOGIN}"), format!("-rpcpassword={LOGIN}"), "-bind=127.0.0.1".to_owned()]);
        command.args(&self.options).args(further).env_remove(rota_crash::VARIABLE).stdin(Stdio::null());
        if let Some(crash) = crash {
            command.env(rota_crash::VARIABLE, crash);
        }
        let log = File::create(self.console())?;
        command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Starts the released build on its chain and waits until it answers; gives the time that took.
    ///
    /// # Errors
    /// If it ends instead, or does not answer in time.
    pub async fn start(&mut self, further: &[&str]) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.spawn(Program::Noded, &self.chain.clone(), further, None)?;
        self.wait_ready().await?;
        Ok(begun.elapsed())
    }

    /// Waits until the node answers.
    ///
    /// # Errors
    /// If it ends instead, or does not answer in time.
    pub async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                bail!("a node ended with {status} while starting:\n{}", self.tail());
            }
            if self.call("getblockcount", json!([])).await.is_ok() {
                return Ok(());
            }
            ensure!(begun.elapsed() < START_LIMIT, "a node did not answer within {START_LIMIT:?}:\n{}", self.tail());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the process ends by itself; none if it does not in time.
    pub async fn wait_end(&mut self, limit: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }

    /// How the process ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status)
    }

    /// Whether a process was started and not yet seen to end.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// kill -9.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Stops the node as an operator does.
    ///
    /// # Errors
    /// If it does not end cleanly.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.call("stop", json!([])).await?;
        let status = self.wait_end(START_LIMIT).await.context("a node does not stop")?;
        ensure!(status.success(), "a node ended with {status} when it was stopped:\n{}", self.tail());
        Ok(())
    }

    /// Calls a method.
    ///
    /// # Errors
    /// As the node answers.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.client.call(method, params).await
    }

    /// A client of its own for a parallel caller.
    pub fn client(&self) -> Client {
        client(self.rpc_port)
    }

    /// What the process printed since its start.
    pub fn said(&self) -> String {
        std::fs::read(self.console()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The node's log.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.folder().join("debug.log"));
        log.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The end of what the process printed and logged.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(12);
        format!("{}\n---- log\n{}", self.said().trim(), lines.get(from..).unwrap_or_default().join("\n"))
    }

    fn console(&self) -> PathBuf {
        self.home.join("console.log")
    }
}

/// Runs node-util to its end.
///
/// # Errors
/// If it fails.
pub async fn util(words: &[&str], home: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(binary("node-util")?);
    let output = command.args(words).arg(format!("-datadir={}", home.display())).output().await?;
    ensure!(output.status.success(), "node-util {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn client(port: u16) -> Client {
    Client::new(format!("127.0.0.1:{port}"), LOGIN, LOGIN).with_timeout(CALL_LIMIT)
}

fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().context("a program lies in a folder")?.join(name);
    ensure!(
        path.is_file(),
        "no {name} beside {}: cargo build --release --workspace --bins, and for noded-crash: cargo build --release \
         --workspace --bin noded-crash --features rota-node/crash-points",
        own.display()
    );
    Ok(path)
}

/// A port nobody listens at.
fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap_or(0);
    for _ in 0..PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (u32::from(start) * 11 + u32::from(step)) % u32::from(PORTS);
        let port = FIRST_PORT.saturating_add(u16::try_from(offset).unwrap_or(0));
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}
