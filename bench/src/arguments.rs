//! The command line: a workload's name, where the node is, and how much load.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::soak;

/// What `--help` prints.
pub const HELP: &str = "rota-bench WORKLOAD --port N (--conf FILE | --user U --password P) [options]

Workloads
  publish   publishes items of --size bytes, --items-per-tx of them a transaction
  list      reads ten items at a time, over the whole stream

rota-bench soak --bin DIR --dir DIR [options]
  three nodes under steady load for long, one of them restarted every few minutes; tells what grew, and looks for every
  acknowledged transaction at the end
  --bin DIR           where noded and node-util are
  --dir DIR           folder of the nodes' data; must not exist
  --transactions N    how many (1000000)
  --rate N            transactions a second over all nodes (half of what the network is measured to take)
  --clients N         connections to each node (4)
  --size N            bytes of an item (100)
  --restart-every N   seconds between two restarts (180)
  --sample-every N    seconds between two samples (10)
  --json FILE         writes every sample there

Options
  --host H            where the node is (127.0.0.1)
  --port N            its RPC port
  --user U --password P   its credentials, or
  --conf FILE         the node.conf they stand in
  --chain-stream S    the stream; made and subscribed if it does not exist (bench)
  --clients N         keep-alive connections at once (1)
  --size N            bytes of an item (100)
  --items-per-tx N    items of a transaction (1)
  --seconds N         how long (10)
  --pid N             process id of the node, to report its processor time and memory
  --json FILE         writes the report there too";

/// Most connections one run opens; far more than a node's request queue holds.
const MAX_CLIENTS: usize = 4_096;
/// Largest item: above the largest on-chain data a chain can be set to (64 MiB) nothing is accepted.
const MAX_SIZE: usize = 64 << 20;
/// Most items of one transaction: what fits a transaction of 4 MiB at the least size.
const MAX_ITEMS: usize = 10_000;
/// Longest run: a day.
const MAX_SECONDS: u64 = 86_400;

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Print the help text.
    Help,
    /// Drive a node.
    Run(Plan),
    /// Load a network for long.
    Soak(soak::Plan),
}

/// Which work is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Publishing items.
    Publish,
    /// Listing items.
    List,
}

/// Where a node is and how it is entered.
#[derive(Debug, Clone)]
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// RPC port.
    pub port: u16,
    /// RPC user.
    pub user: String,
    /// RPC password.
    pub password: String,
}

/// A run to be made.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The work.
    pub kind: Kind,
    /// The node.
    pub target: Target,
    /// The stream worked on.
    pub stream: String,
    /// Connections at once.
    pub clients: usize,
    /// Bytes of an item.
    pub size: usize,
    /// Items of a transaction.
    pub items_per_tx: usize,
    /// Length of the run.
    pub duration: Duration,
    /// Process id of the node, when it is on this machine.
    pub pid: Option<u32>,
    /// Where the report goes as JSON.
    pub json: Option<PathBuf>,
}

/// Reads the words after the program's name.
pub fn read(words: &[String]) -> anyhow::Result<Command> {
    let Some((first, rest)) = words.split_first() else {
        return Ok(Command::Help);
    };
    let kind = match first.as_str() {
        "publish" => Kind::Publish,
        "list" => Kind::List,
        "soak" => return soak_plan(&Options::read(rest)?).map(Command::Soak),
        "help" | "--help" | "-h" => return Ok(Command::Help),
        other => bail!("unknown workload {other}: publish, list or soak (--help tells more)"),
    };
    let options = Options::read(rest)?;
    let (user, password) = options.credentials()?;
    let target = Target {
        host: options.text("host").unwrap_or("127.0.0.1").to_owned(),
        port: options.number("port", 1, 65_535)?.context("--port is missing")?,
        user,
        password,
    };
    Ok(Command::Run(Plan {
        kind,
        target,
        stream: options.text("chain-stream").unwrap_or("bench").to_owned(),
        clients: options.number("clients", 1, MAX_CLIENTS)?.unwrap_or(1),
        size: options.number("size", 8, MAX_SIZE)?.unwrap_or(100),
        items_per_tx: options.number("items-per-tx", 1, MAX_ITEMS)?.unwrap_or(1),
        duration: Duration::from_secs(options.number("seconds", 1, MAX_SECONDS)?.unwrap_or(10)),
        pid: options.number("pid", 1, u32::MAX)?,
        json: options.text("json").map(PathBuf::from),
    }))
}

fn soak_plan(options: &Options) -> anyhow::Result<soak::Plan> {
    let folder = |name: &str| {
        let text = options.text(name);
        text.map(PathBuf::from).with_context(|| format!("--{name} is missing"))
    };
    let seconds = |name: &str, usual: u64| {
        anyhow::Ok(Duration::from_secs(options.number(name, 1, MAX_SECONDS)?.unwrap_or(usual)))
    };
    Ok(soak::Plan {
        bin: folder("bin")?,
        folder: folder("dir")?,
        transactions: options.number("transactions", 1, u64::MAX)?.unwrap_or(1_000_000),
        rate: options.number("rate", 1, 1_000_000)?,
        size: options.number("size", 8, MAX_SIZE)?.unwrap_or(100),
        clients: options.number("clients", 1, MAX_CLIENTS)?.unwrap_or(4),
        restart_every: seconds("restart-every", 180)?,
        sample_every: seconds("sample-every", 10)?,
        json: options.text("json").map(PathBuf::from),
    })
}

const NAMES: &[&str] = &[
    "host",
    "port",
    "user",
    "password",
    "conf",
    "chain-stream",
    "clients",
    "size",
    "items-per-tx",
    "seconds",
    "pid",
    "json",
    "bin",
    "dir",
    "transactions",
    "rate",
    "restart-every",
    "sample-every",
];

/// The `--name value` pairs of a command line.
struct Options(Vec<(String, String)>);

impl Options {
    fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut pairs = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").with_context(|| format!("expected --option, got {word}"))?;
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (name, words.next().with_context(|| format!("--{name} needs a value"))?.clone()),
            };
            ensure!(NAMES.contains(&name), "unknown option --{name} (--help lists them)");
            pairs.push((name.to_owned(), value));
        }
        Ok(Self(pairs))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn number<N>(&self, name: &str, least: N, most: N) -> anyhow::Result<Option<N>>
    where
        N: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse::<N>() {
            Ok(number) if number >= least && number <= most => Ok(Some(number)),
            _ => bail!("--{name} is {text}: a whole number from {least} to {most} is expected"),
        }
    }

    fn credentials(&self) -> anyhow::Result<(String, String)> {
        if let Some(conf) = self.text("conf") {
            return read_conf(Path::new(conf));
        }
        let user = self.text("user").context("--user (or --conf) is missing")?;
        let password = self.text("password").context("--password (or --conf) is missing")?;
        Ok((user.to_owned(), password.to_owned()))
    }
}

/// User and password of a node.conf.
pub fn read_conf(path: &Path) -> anyhow::Result<(String, String)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value = |name: &str| {
        let pair = text.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name);
        pair.map(|(_, value)| value.trim().to_owned()).with_context(|| format!("no {name} in {}", path.display()))
    };
    Ok((value("rpcuser")?, value("rpcpassword")?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test reports a failure by panicking")]

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_full_command_line_becomes_a_plan() {
        let line =
            "publish --port 2916 --user u --password p --clients=8 --items-per-tx 30 --seconds 2 --chain-stream s1";
        let Command::Run(plan) = read(&words(line)).unwrap() else { panic!("help") };
        assert_eq!((plan.kind, plan.clients, plan.items_per_tx, plan.size), (Kind::Publish, 8, 30, 100));
        assert_eq!((plan.target.host.as_str(), plan.target.port), ("127.0.0.1", 2916));
        assert_eq!((plan.stream.as_str(), plan.duration.as_secs()), ("s1", 2));
    }

    #[test]
    fn what_is_missing_or_out_of_range_is_named() {
        let said = |line: &str| format!("{:#}", read(&words(line)).unwrap_err());
        assert!(said("publish --user u --password p").contains("--port"));
        assert!(said("publish --port 1 --user u").contains("--password"));
        assert!(said("publish --port 70000 --user u --password p").contains("--port"));
        assert!(said("publish --port 1 --user u --password p --clients 0").contains("from 1 to 4096"));
        assert!(said("publish --prot 1").contains("--prot"));
        assert!(said("nothing").contains("nothing"));
        assert!(matches!(read(&[]).unwrap(), Command::Help));
    }
}
