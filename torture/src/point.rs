//! How each crash point is reached: what is prepared, what the node is started with, what it is asked for.

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rota_crash::{LAST_WORDS, Point, Turn};
use serde_json::json;

use crate::load::{Load, Promises};
use crate::network::Network;
use crate::node::{LOOK, Node, Program};
use crate::random::Random;

/// Longest wait for a point: several blocks and reorganisations.
const REACHED_WITHIN: Duration = Duration::from_secs(60);
const PASSPHRASE: &str = "open sesame";

/// What leads to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Starting.
    Start,
    /// Starting after an unfinished record was left at the end of a file.
    Torn(Torn),
    /// Starting with `-reindex`.
    Reindex,
    /// Load, up to this many times at the point.
    Load(u64),
    /// Load with `-txsync=1`.
    SyncedLoad,
    /// Emptying the pool.
    Clear,
    /// Following and no longer following a stream.
    Follow,
    /// Stopping.
    Stop,
    /// Joining the chain with an empty directory.
    Join,
    /// Encrypting the wallet of a node that joined.
    Encrypt,
}

/// A file that a write may leave unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Torn {
    Blocks,
    Journal,
    Wallet,
}

const fn way(point: Point) -> Way {
    match point {
        Point::BlockFileMade | Point::WalletCopied | Point::WalletReplaced => Way::Join,
        Point::BlockFileCut => Way::Torn(Torn::Blocks),
        Point::JournalCut => Way::Torn(Torn::Journal),
        Point::WalletTornKept | Point::WalletCut => Way::Torn(Torn::Wallet),
        Point::BlockWritten | Point::UndoWritten | Point::BlockFileSynced | Point::EntryNoted | Point::TipMoved => {
            Way::Load(4)
        }
        Point::TipMovedBack | Point::ChunkRemoved => Way::Load(4),
        Point::JournalAppended | Point::SeenIndexed => Way::Load(200),
        Point::WalletAppended | Point::WalletSynced | Point::WalletIndexed => Way::Load(10),
        Point::ChunkWritten | Point::ChunksSynced => Way::Load(10),
        Point::DatabaseMarked => Way::Start,
        Point::DatabaseEmptied | Point::RebuildFinished => Way::Reindex,
        Point::JournalSynced => Way::SyncedLoad,
        Point::JournalCopied | Point::JournalReplaced | Point::LostKept => Way::Clear,
        Point::Subscribed
        | Point::Unsubscribed
        | Point::SubscriptionChanged
        | Point::IndexTrimmed
        | Point::HistoryIndexed => Way::Follow,
        Point::PeersWritten | Point::PeersReplaced => Way::Stop,
        Point::WalletWiped => Way::Encrypt,
    }
}

/// Ends a node at a point and has it come back. Gives the time until it answered.
///
/// # Errors
/// If the point is not reached, or a promise was broken.
pub async fn hit(network: &mut Network, point: Point, random: &mut Random) -> anyhow::Result<Duration> {
    match way(point) {
        Way::Join | Way::Encrypt => return join(network, point).await,
        Way::Clear => wait_empty_pool(&network.victim).await?,
        _ => {}
    }
    network.victim.kill().await?;
    let (turn, further): (u64, &[&str]) = match way(point) {
        Way::Torn(torn) => {
            tear(&network.victim, torn, random)?;
            (1, &[])
        }
        Way::Reindex => (1, &["-reindex"]),
        Way::Load(most) => (random.between(1, most), &[]),
        Way::SyncedLoad => (random.between(1, 50), &["-txsync=1"]),
        Way::Follow => (random.between(1, 3), &[]),
        Way::Start | Way::Clear | Way::Stop | Way::Join | Way::Encrypt => (1, &[]),
    };
    let crash = Turn { point, time: turn }.to_string();
    network.victim.spawn(Program::Crash, "c", further, Some(&crash))?;
    let promises = provoke(&mut network.victim, way(point)).await?;
    network.open.absorb(promises);
    ended_at(&mut network.victim, point).await?;
    network.revive(way(point) == Way::Reindex).await
}

/// Does with a node what leads to a point, until it has ended or is sure to end.
async fn provoke(node: &mut Node, way: Way) -> anyhow::Result<Promises> {
    if !answers_or_ends(node).await? {
        return Ok(Promises::default());
    }
    match way {
        Way::Load(_) | Way::SyncedLoad => {
            let load = Load::on(node);
            let begun = Instant::now();
            while !has_ended(node) && begun.elapsed() < REACHED_WITHIN {
                tokio::time::sleep(LOOK).await;
            }
            return Ok(load.end().await);
        }
        // Answers are not looked at: the node ends in the middle of one.
        Way::Clear => {
            let _ = node.call("pause", json!(["incoming,mining"])).await;
            for number in 0..5 {
                let _ = node.call("publish", json!(["s", "cleared", {"text": format!("cleared {number}")}])).await;
            }
            let _ = node.call("clearmempool", json!([])).await;
        }
        Way::Follow => {
            while node.call("getblockcount", json!([])).await.is_ok() {
                let _ = node.call("subscribe", json!(["t", true, "items,keys,publishers"])).await;
                let _ = node.call("subscribe", json!(["t", true, "retrieve"])).await;
                let _ = node.call("trimsubscribe", json!(["t", "publishers"])).await;
                let _ = node.call("unsubscribe", json!(["t"])).await;
            }
        }
        Way::Stop => {
            let begun = Instant::now();
            while begun.elapsed() < REACHED_WITHIN
                && node
                    .call("getpeerinfo", json!([]))
                    .await
                    .is_ok_and(|peers| peers.as_array().is_some_and(Vec::is_empty))
            {
                tokio::time::sleep(LOOK).await;
            }
            let _ = node.call("stop", json!([])).await;
        }
        Way::Encrypt => {
            let _ = node.call("encryptwallet", json!([PASSPHRASE])).await;
        }
        Way::Start | Way::Torn(_) | Way::Reindex | Way::Join => {}
    }
    Ok(Promises::default())
}

/// Waits until a node answers (true) or has ended at its point.
async fn answers_or_ends(node: &mut Node) -> anyhow::Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < REACHED_WITHIN {
        if has_ended(node) {
            return Ok(false);
        }
        if node.call("getblockcount", json!([])).await.is_ok() {
            return Ok(true);
        }
        tokio::time::sleep(LOOK).await;
    }
    anyhow::bail!("a node neither answers nor ends:\n{}", node.tail())
}

fn has_ended(node: &mut Node) -> bool {
    node.said().contains(LAST_WORDS) || !node.runs()
}

/// The node ended by its own SIGKILL, and named the point.
async fn ended_at(node: &mut Node, point: Point) -> anyhow::Result<()> {
    let status = node.wait_end(REACHED_WITHIN).await;
    let killed = status.and_then(|status: ExitStatus| status.signal()) == Some(9);
    let named = node.said().contains(&format!("{LAST_WORDS}{}:", point.name()));
    ensure!(killed && named, "the point was not reached: {status:?}\n{}", node.tail());
    Ok(())
}

/// Waits until nothing waits: what is emptied then was promised to nobody.
async fn wait_empty_pool(node: &Node) -> anyhow::Result<()> {
    let begun = Instant::now();
    while node.call("getmempoolinfo", json!([])).await?["size"] != 0 {
        ensure!(begun.elapsed() < REACHED_WITHIN, "transactions are not confirmed");
        tokio::time::sleep(LOOK * 10).await;
    }
    Ok(())
}

/// Leaves at the end of a file what a write leaves that was broken off.
fn tear(node: &Node, torn: Torn, random: &mut Random) -> anyhow::Result<()> {
    let folder = node.folder();
    let (path, head): (PathBuf, &[u8]) = match torn {
        Torn::Blocks => (last_block_file(&folder)?, &[0xB7, b'R', b'o', b't', 1, 0, 1, 0, 0]),
        Torn::Journal => (folder.join("journal"), &[0x00, 0x01, 0x00, 0x00]),
        Torn::Wallet => (folder.join("wallet").join("keys.dat"), &[b'R', b'o', b'W', b'R', 60, 0, 0, 0]),
    };
    let mut record = head.to_vec();
    // The record's length says more than follows.
    record.extend((0..random.between(0, 40)).map(|number| u8::try_from(number % 250 + 1).unwrap_or(1)));
    std::fs::OpenOptions::new().append(true).open(&path)?.write_all(&record)?;
    Ok(())
}

fn last_block_file(folder: &std::path::Path) -> anyhow::Result<PathBuf> {
    let files = std::fs::read_dir(folder.join("blocks"))?.filter_map(Result::ok).map(|entry| entry.path());
    files.max().context("a node without block files")
}

/// Ends a node that joins the chain, and has it join all the same.
async fn join(network: &mut Network, point: Point) -> anyhow::Result<Duration> {
    let home = network.root.join("joining");
    let _ = std::fs::remove_dir_all(&home);
    let mut node = Node::new(home.clone(), "c", &[])?;
    let invitation = network.twin.invitation();
    node.spawn(Program::Crash, &invitation, &[], Some(point.name()))?;
    let mut address = None;
    if way(point) == Way::Encrypt {
        node.wait_ready().await?;
        address = Some(node.call("getaddresses", json!([])).await?);
        provoke(&mut node, Way::Encrypt).await?;
    }
    ended_at(&mut node, point).await?;
    let begun = Instant::now();
    node.spawn(Program::Noded, &invitation, &[], None)?;
    node.wait_ready().await.context("a node does not join any more")?;
    let time = begun.elapsed();
    if let Some(address) = address {
        ensure!(node.call("getaddresses", json!([])).await? == address, "the wallet has other addresses");
        node.call("walletpassphrase", json!([PASSPHRASE, 60])).await.context("the wallet does not open")?;
    }
    same_state(&node, &network.twin).await?;
    node.kill().await?;
    std::fs::remove_dir_all(&home)?;
    Ok(time)
}

/// Waits until a node has the state of another.
async fn same_state(node: &Node, other: &Node) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let mine = node.call("getstatehash", json!([])).await?;
        let its = other.call("getstatehash", json!([])).await?;
        if mine["bestblock"] == its["bestblock"] {
            ensure!(mine == its, "at one block the states differ: {mine} and {its}");
            return Ok(());
        }
        ensure!(begun.elapsed() < REACHED_WITHIN * 2, "a node does not catch up:\n{}", node.tail());
        tokio::time::sleep(LOOK * 10).await;
    }
}
