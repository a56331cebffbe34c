//! The command line: a workload's name, where nodes are or are to be started, and how much load.

mod option;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::outcome::Output;
use crate::{propagation, restart, series, soak, sync};
use option::Options;
pub use option::read_conf;

/// What `--help` prints.
pub const HELP: &str = include_str!("arguments/help.txt");

/// Most connections one run opens; far more than a node's request queue holds.
const MAX_CLIENTS: usize = 4_096;
/// Largest item: above the largest on-chain data a chain can be set to (64 MiB) nothing is accepted.
const MAX_SIZE: usize = 64 << 20;
/// Most items of one transaction: what fits a transaction of 4 MiB at the least size.
const MAX_ITEMS: usize = 10_000;
/// Longest run: a day.
const MAX_SECONDS: u64 = 86_400;
/// Most publishes a second beside readers: more than any node takes.
const MAX_RATE: u32 = 1_000_000;
/// Most items a chain is filled with: days of filling, and more than the disk of such a machine holds.
const MAX_FILL: u64 = 1_000_000_000;
/// Most transactions that wait for one block: what a pool takes.
const MAX_WAITING: u64 = 100_000;
/// Most blocks or restarts that are measured in turn.
const MAX_ROUNDS: u64 = 10_000;
/// Shortest and longest target time of a block in seconds, as chains have it.
const BLOCK_TIME: (u32, u32) = (2, 86_400);

const OUTPUT_NAMES: &[&str] = &["json", "results"];
const NODE_NAMES: &[&str] = &[
    "host",
    "port",
    "user",
    "password",
    "conf",
    "clients",
    "seconds",
    "pid",
    "second",
    "second-conf",
    "second-user",
    "second-password",
    "second-pid",
    "slice",
];
const STREAM_NAMES: &[&str] = &["chain-stream"];
const ITEM_NAMES: &[&str] = &["size", "items-per-tx"];
const READ_NAMES: &[&str] = &["read"];
const CONTENDED_NAMES: &[&str] = &["publish-rate", "size"];
const SITE_NAMES: &[&str] = &["bin", "dir"];
const SYNC_NAMES: &[&str] = &["items", "clients", "size", "block-time"];
const PROPAGATION_NAMES: &[&str] = &["items-per-block", "blocks", "clients", "size"];
const SERIES_NAMES: &[&str] = &["stops", "seconds", "clients", "size", "block-time"];
const RESTART_NAMES: &[&str] = &["chain", "rounds"];
const SOAK_NAMES: &[&str] = &["transactions", "rate", "clients", "size", "restart-every", "sample-every"];

/// What to do, and where its report goes.
#[derive(Debug)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// Where the report goes besides the console.
    pub output: Output,
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Print the help text.
    Help,
    /// Measure the machine; the folder is where syncs are timed.
    Calibrate(PathBuf),
    /// Drive a node.
    Run(Plan),
    /// Time an empty node that joins a filled chain.
    Sync(sync::Plan),
    /// Time blocks on their way to all nodes.
    Propagation(propagation::Plan),
    /// Measure a chain as it grows.
    Series(series::Plan),
    /// Time restarts of a chain.
    Restart(restart::Plan),
    /// Load a network for long.
    Soak(soak::Plan),
}

/// Which work is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Publishing items.
    Publish,
    /// Listing items.
    List(Read),
    /// Four times listing, once publishing.
    Mixed(Read),
    /// Sending units of an asset.
    Send,
}

/// How a stream is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Ten items in the order of the chain.
    Page,
    /// Ten items of a key.
    Key,
    /// Ten items of a publisher.
    Publisher,
    /// One item by its transaction.
    Item,
    /// A hundred items with all that is known of them.
    Wide,
}

impl Read {
    /// All, with their words on the command line.
    pub const ALL: [(&'static str, Read); 5] = [
        ("page", Read::Page),
        ("key", Read::Key),
        ("publisher", Read::Publisher),
        ("item", Read::Item),
        ("wide", Read::Wide),
    ];
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

/// Where nodes are started.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where the programs are.
    pub bin: PathBuf,
    /// Folder of the nodes' data.
    pub folder: PathBuf,
}

/// A node that does the same in turns.
#[derive(Debug, Clone)]
pub struct Second {
    /// The node.
    pub target: Target,
    /// Its process id, when it is on this machine.
    pub pid: Option<u32>,
    /// Length of a turn.
    pub slice: Duration,
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
    /// What it takes turns with.
    pub turns: Turns,
}

/// What a run takes turns with, so that what the machine does besides strikes both.
#[derive(Debug, Clone)]
pub enum Turns {
    /// Nothing.
    None,
    /// The same work on another node.
    Second(Second),
    /// The same work while others publish so many items a second.
    Published(u32),
}

/// Reads the words after the program's name.
pub fn read(words: &[String]) -> anyhow::Result<Order> {
    let help = Order { command: Command::Help, output: Output::default() };
    let Some((first, rest)) = words.split_first() else {
        return Ok(help);
    };
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return Ok(help);
    }
    let options = |names: &[&[&str]]| Options::read(first, &[names, &[OUTPUT_NAMES]].concat(), rest);
    let (options, command) = match first.as_str() {
        "publish" | "list" | "mixed" | "send" => {
            let options = options(names_of_run(first))?;
            let plan = run_plan(first, &options)?;
            (options, Command::Run(plan))
        }
        "calibrate" => {
            let options = options(&[&["dir"]])?;
            let folder = options.path("dir").unwrap_or_else(|| PathBuf::from("."));
            (options, Command::Calibrate(folder))
        }
        "sync" => with(options(&[SITE_NAMES, SYNC_NAMES])?, sync_plan, Command::Sync)?,
        "propagation" => with(options(&[SITE_NAMES, PROPAGATION_NAMES])?, propagation_plan, Command::Propagation)?,
        "series" => with(options(&[SITE_NAMES, SERIES_NAMES])?, series_plan, Command::Series)?,
        "restart" => with(options(&[SITE_NAMES, RESTART_NAMES])?, restart_plan, Command::Restart)?,
        "soak" => with(options(&[SITE_NAMES, SOAK_NAMES])?, soak_plan, Command::Soak)?,
        "help" => return Ok(help),
        other => bail!(
            "unknown workload {other}: publish, list, mixed, send, sync, propagation, series, restart, soak or calibrate \
             (--help tells more)"
        ),
    };
    let output = Output { json: options.path("json"), results: options.path("results") };
    Ok(Order { command, output })
}

fn with<P>(
    options: Options,
    plan: impl Fn(&Options) -> anyhow::Result<P>,
    command: impl Fn(P) -> Command,
) -> anyhow::Result<(Options, Command)> {
    let command = command(plan(&options)?);
    Ok((options, command))
}

fn names_of_run(workload: &str) -> &'static [&'static [&'static str]] {
    match workload {
        "publish" => &[NODE_NAMES, STREAM_NAMES, ITEM_NAMES],
        "list" => &[NODE_NAMES, STREAM_NAMES, READ_NAMES, CONTENDED_NAMES],
        "mixed" => &[NODE_NAMES, STREAM_NAMES, ITEM_NAMES, READ_NAMES],
        _ => &[NODE_NAMES],
    }
}

fn run_plan(workload: &str, options: &Options) -> anyhow::Result<Plan> {
    let word = options.text("read").unwrap_or("page");
    let read = Read::ALL.iter().find(|(name, _)| *name == word).map(|(_, read)| *read);
    let read = read.with_context(|| format!("--read is {word}: page, key, publisher, item or wide is expected"))?;
    let kind = match workload {
        "publish" => Kind::Publish,
        "list" => Kind::List(read),
        "mixed" => Kind::Mixed(read),
        _ => Kind::Send,
    };
    let turns = match (options.second_target()?, options.number("publish-rate", 1, MAX_RATE)?) {
        (None, None) => Turns::None,
        (None, Some(rate)) => Turns::Published(rate),
        (Some(target), None) => {
            let slice = options.seconds("slice", 2)?;
            Turns::Second(Second { target, pid: options.number("second-pid", 1, u32::MAX)?, slice })
        }
        (Some(_), Some(_)) => bail!("--second and --publish-rate do not go together: two nodes are compared alone"),
    };
    Ok(Plan {
        kind,
        target: options.target()?,
        stream: options.text("chain-stream").unwrap_or("bench").to_owned(),
        clients: options.number("clients", 1, MAX_CLIENTS)?.unwrap_or(1),
        size: size(options)?,
        items_per_tx: options.number("items-per-tx", 1, MAX_ITEMS)?.unwrap_or(1),
        duration: options.seconds("seconds", 10)?,
        pid: options.number("pid", 1, u32::MAX)?,
        turns,
    })
}

fn size(options: &Options) -> anyhow::Result<usize> {
    Ok(options.number("size", 8, MAX_SIZE)?.unwrap_or(100))
}

fn site(options: &Options) -> anyhow::Result<Site> {
    Ok(Site { bin: options.needed_path("bin")?, folder: options.needed_path("dir")? })
}

fn filling_clients(options: &Options) -> anyhow::Result<usize> {
    Ok(options.number("clients", 1, MAX_CLIENTS)?.unwrap_or(8))
}

fn block_time(options: &Options, usual: u32) -> anyhow::Result<u32> {
    Ok(options.number("block-time", BLOCK_TIME.0, BLOCK_TIME.1)?.unwrap_or(usual))
}

fn sync_plan(options: &Options) -> anyhow::Result<sync::Plan> {
    Ok(sync::Plan {
        site: site(options)?,
        items: options.number("items", 1, MAX_FILL)?.unwrap_or(50_000),
        clients: filling_clients(options)?,
        size: size(options)?,
        block_time: block_time(options, 2)?,
    })
}

fn propagation_plan(options: &Options) -> anyhow::Result<propagation::Plan> {
    Ok(propagation::Plan {
        site: site(options)?,
        items_per_block: options.number("items-per-block", 1, MAX_WAITING)?.unwrap_or(10_000),
        blocks: options.number("blocks", 1, MAX_ROUNDS)?.unwrap_or(5),
        clients: filling_clients(options)?,
        size: size(options)?,
    })
}

fn series_plan(options: &Options) -> anyhow::Result<series::Plan> {
    Ok(series::Plan {
        site: site(options)?,
        stops: options.rising("stops", 10, MAX_FILL)?.unwrap_or_else(|| vec![10_000, 100_000, 1_000_000]),
        duration: options.seconds("seconds", 10)?,
        clients: filling_clients(options)?,
        size: size(options)?,
        block_time: block_time(options, 2)?,
    })
}

fn restart_plan(options: &Options) -> anyhow::Result<restart::Plan> {
    let site = site(options)?;
    let chain = options.text("chain").context("--chain is missing")?.to_owned();
    Ok(restart::Plan { site, chain, rounds: options.number("rounds", 1, MAX_ROUNDS)?.unwrap_or(3) })
}

fn soak_plan(options: &Options) -> anyhow::Result<soak::Plan> {
    Ok(soak::Plan {
        site: site(options)?,
        transactions: options.number("transactions", 1, u64::MAX)?.unwrap_or(1_000_000),
        rate: options.number("rate", 1, u64::from(MAX_RATE))?,
        size: size(options)?,
        clients: options.number("clients", 1, MAX_CLIENTS)?.unwrap_or(4),
        restart_every: options.seconds("restart-every", 180)?,
        sample_every: options.seconds("sample-every", 10)?,
    })
}
