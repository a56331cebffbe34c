//! One node under test: its directory, ports and process; how it is started, asked, stopped and killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::console::{self, Outcome};
use super::rpc::{self, Refusal};
use super::wait::{check, until};
use super::{http, port, process_table};

/// How much of each log is printed when a test fails.
const TAIL_BYTES: usize = 6_000;

/// A node of one chain in a data directory of its own.
pub struct Node {
    /// The name a scenario calls it by.
    pub name: String,
    /// The chain's name.
    pub chain: String,
    /// The data directory.
    pub home: PathBuf,
    /// Peer port.
    pub port: u16,
    /// RPC port.
    pub rpc_port: u16,
    options: Vec<String>,
    process: Mutex<Option<Child>>,
}

impl Node {
    /// A node that has not been started, with further `noded` options.
    pub fn new(root: &Path, chain: &str, name: &str, options: &[String]) -> Self {
        let home = root.join(name);
        std::fs::create_dir_all(&home).expect("a data directory");
        Self {
            name: name.to_owned(),
            chain: chain.to_owned(),
            home,
            port: port::free(),
            rpc_port: port::free(),
            options: options.to_vec(),
            process: Mutex::new(None),
        }
    }

    /// Adds `noded` options that hold from the next start.
    pub fn add_options(&mut self, options: impl IntoIterator<Item = String>) {
        self.options.extend(options);
    }

    /// The folder of the chain inside the data directory.
    pub fn folder(&self) -> PathBuf {
        self.home.join(&self.chain)
    }

    /// How another node names this one: `chain@127.0.0.1:port`.
    pub fn invitation(&self) -> String {
        format!("{}@127.0.0.1:{}", self.chain, self.port)
    }

    /// The words of a `noded` run for `target` (a chain, or chain@host:port).
    pub fn words(&self, target: &str) -> Vec<String> {
        let mut words = vec![
            target.to_owned(),
            format!("-datadir={}", self.home.display()),
            format!("-port={}", self.port),
            format!("-rpcport={}", self.rpc_port),
            "-bind=127.0.0.1".to_owned(),
        ];
        words.extend(self.options.iter().cloned());
        words
    }

    /// Runs `noded` for `target` until it ends by itself.
    pub async fn run_to_end(&self, target: &str, further: &[&str]) -> Outcome {
        let mut command = console::command("noded", &[]);
        command.args(self.words(target)).args(further);
        console::finish(command, &self.home).await
    }

    /// Runs `node-util` in this node's data directory.
    pub async fn util(&self, words: &[&str]) -> Outcome {
        let datadir = format!("-datadir={}", self.home.display());
        let words: Vec<&str> = words.iter().copied().chain([datadir.as_str()]).collect();
        console::run("node-util", &words, &self.home).await
    }

    /// Runs `node-cli` for this node's chain.
    pub async fn cli(&self, words: &[&str]) -> Outcome {
        let datadir = format!("-datadir={}", self.home.display());
        let rpc_port = format!("-rpcport={}", self.rpc_port);
        let mut all = vec![self.chain.as_str(), &datadir, &rpc_port];
        all.extend_from_slice(words);
        console::run("node-cli", &all, &self.home).await
    }

    /// Starts the node on its chain and waits until it answers.
    pub async fn start(&self) {
        self.start_with(&self.chain.clone(), &[]).await;
    }

    /// Starts the node for `target` with further options and waits until it answers.
    pub async fn start_with(&self, target: &str, further: &[&str]) {
        let mut command = console::command("noded", &[]);
        command.args(self.words(target)).args(further);
        self.spawn(command);
        self.wait_ready().await;
    }

    /// Starts a prepared command as this node's process, its output appended to console.log. The process before it
    /// has ended: two of one node would race for the lock of its directory.
    pub fn spawn(&self, mut command: Command) {
        assert!(self.slot().is_none() || self.exit_status().is_some(), "node {} runs already", self.name);
        let log =
            std::fs::File::options().create(true).append(true).open(self.home.join("console.log")).expect("a log file");
        command.stdout(log.try_clone().expect("a second handle")).stderr(log).stdin(Stdio::null());
        let child = command.kill_on_drop(true).spawn().expect("the node's program runs");
        *self.slot() = Some(child);
    }

    /// Waits until the node answers `getinfo`; a node that ends before that fails the test.
    pub async fn wait_ready(&self) {
        until(&format!("node {} to answer", self.name), async || {
            if let Some(status) = self.exit_status() {
                panic!("node {} ended with {status} while starting:\n{}", self.name, self.log_tail(4_000));
            }
            self.try_call("getinfo", json!([])).await.map(drop).map_err(|refusal| format!("{refusal:?}"))
        })
        .await;
    }

    /// The RPC Authorization header of this node.
    pub fn authorization(&self) -> String {
        let (user, password) = rpc::credentials(&self.folder().join("node.conf")).unwrap_or_default();
        http::basic(&user, &password)
    }

    /// Calls a method; a refusal comes back as such.
    pub async fn try_call(&self, method: &str, params: Value) -> Result<Value, Refusal> {
        let client = rpc::client(self.rpc_port, &self.folder().join("node.conf"))?;
        Ok(client.call(method, params).await?)
    }

    /// Calls a method that has to succeed.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let shown = params.to_string();
        self.try_call(method, params)
            .await
            .unwrap_or_else(|refusal| panic!("{}: {method} {shown} was refused: {refusal:?}", self.name))
    }

    /// Calls a method that has to be refused, and gives the refusal.
    pub async fn refusal(&self, method: &str, params: Value) -> Refusal {
        let shown = params.to_string();
        match self.try_call(method, params).await {
            Err(refusal) => refusal,
            Ok(result) => panic!("{}: {method} {shown} was not refused but answered {result}", self.name),
        }
    }

    /// Process id of the running node.
    pub fn id(&self) -> u32 {
        self.slot().as_ref().and_then(Child::id).unwrap_or_else(|| panic!("node {} does not run", self.name))
    }

    /// Exit status of a node that was started and has ended.
    pub fn exit_status(&self) -> Option<std::process::ExitStatus> {
        self.slot().as_mut().and_then(|child| child.try_wait().expect("a child can be waited for"))
    }

    /// Ends the process at once, as a crash would.
    pub async fn kill(&self) {
        let child = self.slot().take();
        let mut child = child.unwrap_or_else(|| panic!("node {} does not run", self.name));
        child.kill().await.expect("a child can be killed");
    }

    /// Asks the node to stop over RPC, and expects a clean end.
    pub async fn stop(&self) {
        self.call("stop", json!([])).await;
        self.wait_clean_end().await;
    }

    /// Sends SIGTERM, and expects a clean end.
    pub async fn terminate(&self) {
        let id = i32::try_from(self.id()).expect("a process id fits");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("a child can be signalled");
        self.wait_clean_end().await;
    }

    async fn wait_clean_end(&self) {
        let status = until(&format!("node {} to end", self.name), async || {
            self.exit_status().ok_or_else(|| "still running".to_owned())
        })
        .await;
        *self.slot() = None;
        assert!(status.success(), "node {} ended with {status}:\n{}", self.name, self.log_tail(4_000));
    }

    /// Starts the node again on its chain after a stop or a kill.
    pub async fn restart(&self) {
        self.start().await;
    }

    /// The last bytes of every log in the data directory.
    pub fn log_tail(&self, bytes: usize) -> String {
        let mut text = String::new();
        for path in [self.home.join("console.log"), self.folder().join("debug.log")] {
            let log = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
            let mut start = log.len().saturating_sub(bytes);
            while !log.is_char_boundary(start) {
                start += 1;
            }
            text.push_str(&format!("---- {}\n{}\n", path.display(), &log[start..]));
        }
        text
    }

    /// Waits until a log of this node contains all of `parts` in one line (case does not matter).
    pub async fn wait_logged(&self, parts: &[&str]) {
        until(&format!("a log line of {} with {parts:?}", self.name), async || {
            let log = self.log_tail(1 << 20).to_lowercase();
            let found = log.lines().any(|line| parts.iter().all(|part| line.contains(&part.to_lowercase())));
            check(found, self.log_tail(600))
        })
        .await;
    }

    fn slot(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("==== node {}\n{}", self.name, self.log_tail(TAIL_BYTES));
        }
        if let Some(mut child) = self.slot().take() {
            // Nothing to do about a child that has ended already.
            let _ = child.start_kill();
        }
        process_table::end_all(&self.home);
    }
}
