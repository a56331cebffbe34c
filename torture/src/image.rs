//! The directory whose files are damaged: a node with all that is kept, ended cleanly or by kill -9; and what a damage is.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::json;

use crate::answer::word;
use crate::node::{self, LOOK, Node};
use crate::random::Random;

/// Longest wait for blocks while the image is made.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
/// The chain.
pub const CHAIN: &str = "c";
/// Options under which an image is looked at: nothing changes by itself.
pub const STILL: &[&str] = &["-gen=0", "-offline"];

/// How the node of an image ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By `stop`.
    Stopped,
    /// By kill -9.
    Killed,
}

impl Ending {
    /// The folder below the root.
    pub fn folder(self) -> &'static str {
        match self {
            Ending::Stopped => "stopped",
            Ending::Killed => "killed",
        }
    }
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The log of the state's database.
    Log,
    /// A table file of it.
    Table,
    /// Its list of files.
    Manifest,
    /// The file that names the list.
    Current,
    /// The journal.
    Journal,
    /// A block file, with bodies and undo data.
    Blocks,
    /// The wallet.
    Wallet,
    /// A file of the database of off-chain data.
    Chunks,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 8] = [
        Kind::Log,
        Kind::Table,
        Kind::Manifest,
        Kind::Journal,
        Kind::Blocks,
        Kind::Wallet,
        Kind::Chunks,
        Kind::Current,
    ];

    /// How reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Log => "log",
            Kind::Table => "table",
            Kind::Manifest => "manifest",
            Kind::Current => "current",
            Kind::Journal => "journal",
            Kind::Blocks => "blocks",
            Kind::Wallet => "wallet",
            Kind::Chunks => "chunks",
        }
    }

    /// The files of the kind that have bytes, in order.
    pub fn files(self, folder: &Path) -> Vec<PathBuf> {
        let (below, fits): (&str, fn(&str) -> bool) = match self {
            Kind::Log => ("state", |name| name.ends_with(".log")),
            Kind::Table => ("state", |name| name.ends_with(".sst")),
            Kind::Manifest => ("state", |name| name.starts_with("MANIFEST")),
            Kind::Current => ("state", |name| name == "CURRENT"),
            Kind::Journal => ("", |name| name == "journal"),
            Kind::Blocks => ("blocks", |name| name.ends_with(".dat")),
            Kind::Wallet => ("wallet", |name| name == "keys.dat"),
            Kind::Chunks => ("chunks", |name| {
                name.ends_with(".log")
                    || name.ends_with(".sst")
                    || name.ends_with(".blob")
                    || name.starts_with("MANIFEST")
            }),
        };
        let entries = std::fs::read_dir(folder.join(below)).into_iter().flatten().filter_map(Result::ok);
        let named = entries.filter(|entry| entry.file_name().to_str().is_some_and(fits));
        let full = named.filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() > 0));
        let mut files: Vec<PathBuf> = full.map(|entry| entry.path()).collect();
        files.sort();
        files
    }
}

/// What is done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Everything from a byte on is gone.
    Cut(u64),
    /// A bit of a byte is another.
    Flip(u64, u8),
    /// So many bytes from a byte on are zeros, as a sector that was not written.
    Zero(u64, u64),
}

impl Damage {
    /// A damage at random.
    pub fn draw(random: &mut Random, size: u64) -> Damage {
        let at = random.below(size);
        match random.below(5) {
            0 | 1 => Damage::Cut(at),
            2 | 3 => Damage::Flip(at, u8::try_from(random.below(8)).unwrap_or(0)),
            _ => Damage::Zero(at, random.between(1, 512).min(size - at)),
        }
    }

    /// Does it; false if the file is the same afterwards.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn inflict(&self, path: &Path) -> anyhow::Result<bool> {
        let before = std::fs::read(path)?;
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
        match *self {
            Damage::Cut(at) => file.set_len(at)?,
            Damage::Flip(at, bit) => {
                let mut byte = [0];
                file.read_exact_at(&mut byte, at)?;
                file.write_all_at(&[byte[0] ^ (1 << bit)], at)?;
            }
            Damage::Zero(at, length) => file.write_all_at(&vec![0; usize::try_from(length)?], at)?,
        }
        Ok(std::fs::read(path)? != before)
    }
}

/// Makes both images below a root: streams with items on and off the chain, an asset, permissions, keys, table files and a
/// log, and a journal with what waits.
///
/// # Errors
/// If a node does not do as it is told.
pub async fn make(root: &Path) -> anyhow::Result<()> {
    let home = root.join("making");
    let mut node = Node::new(home.clone(), CHAIN, &[])?;
    let params = ["create", CHAIN, "-target-block-time=2", "-mine-empty-rounds=-1", "-anyone-can-connect=true"];
    node::util(&params, &home).await?;
    node.start(&[]).await?;
    let address = first_address(&node).await?;
    node.call("create", json!(["stream", "s", true])).await?;
    node.call("subscribe", json!(["s"])).await?;
    node.call("issue", json!([address, "gold", 1_000, 0.01])).await?;
    node.call("subscribe", json!(["gold"])).await?;
    for part in 0..3 {
        publish(&node, part).await?;
        node.call("grant", json!([word(&node, "getnewaddress", json!([])).await?, "receive,send"])).await?;
        blocks(&node, 3).await?;
        // A start moves what the log holds to table files.
        node.stop().await?;
        node.start(&[]).await?;
    }
    publish(&node, 3).await?;
    blocks(&node, 2).await?;
    node.call("pause", json!(["mining"])).await?;
    for number in 0..12 {
        node.call("publish", json!(["s", "waits", {"text": format!("waits {number}")}])).await?;
    }
    node.kill().await?;
    copy(&home, &root.join(Ending::Killed.folder()))?;
    node.start(STILL).await?;
    node.stop().await?;
    copy(&home, &root.join(Ending::Stopped.folder()))?;
    std::fs::remove_dir_all(&home)?;
    Ok(())
}

async fn first_address(node: &Node) -> anyhow::Result<String> {
    let addresses = node.call("getaddresses", json!([])).await?;
    addresses[0].as_str().map(str::to_owned).context("a node without address")
}

async fn publish(node: &Node, part: u64) -> anyhow::Result<()> {
    for number in 0..40 {
        let item = json!(["s", format!("key {}", number % 7), {"text": format!("item {number} of part {part}")}]);
        node.call("publish", item).await?;
    }
    for number in 0..4 {
        let text = format!("off-chain {number} of part {part} ").repeat(300);
        node.call("publish", json!(["s", "offchain", {"text": text}, "offchain"])).await?;
    }
    node.call("getnewaddress", json!([])).await?;
    Ok(())
}

/// Waits until nothing waits and so many blocks were made.
async fn blocks(node: &Node, count: u64) -> anyhow::Result<()> {
    let height = async || anyhow::Ok(node.call("getblockcount", json!([])).await?.as_u64().unwrap_or(0));
    let (begun, target) = (Instant::now(), height().await? + count);
    while height().await? < target || node.call("getmempoolinfo", json!([])).await?["size"] != 0 {
        ensure!(begun.elapsed() < PATIENCE, "no blocks are made:\n{}", node.tail());
        tokio::time::sleep(LOOK * 5).await;
    }
    Ok(())
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// If a file cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
