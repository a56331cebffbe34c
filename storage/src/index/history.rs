//! Catching up: indexing the history of a stream in bounded steps, while blocks go on being applied.

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::transaction::Transaction;

use crate::block::{Location, Tip};
use crate::commit::places;
use crate::error::{Result, StorageError};
use crate::index::stream::{IndexWriter, IndexedBlock};
use crate::index::stream_prefix;
use crate::kv::{Durability, Read};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::table::{ACTIVE, STREAM_BLOCK, TIP};

/// Blocks a step indexes at most: new blocks wait for a step's write.
const STEP_BLOCKS: usize = 64;
/// Bytes of blocks after which a step ends: decoded and indexed they take several times as much memory.
const STEP_BYTES: u64 = 4 << 20;

/// How far the history of a stream is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryProgress {
    /// Next height to index; above the tip when complete.
    pub next: Height,
    /// Height of the tip.
    pub tip: Height,
    /// Whether blocks are now indexed as they come.
    pub complete: bool,
}

/// A block read for indexing.
struct Found {
    height: Height,
    hash: BlockHash,
    location: Location,
    block: Block,
    txids: Vec<Txid>,
}

/// What a step read.
struct Step {
    blocks: Vec<Found>,
    /// Every block of the stream below this height is in `blocks` or indexed.
    next: Height,
    tip: Tip,
}

impl Store {
    /// Indexes the next part of a stream's history. Blocks are read without holding up the writer; what a
    /// reorganisation made stale is left for the next step.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-missing` if the stream is not followed.
    pub fn index_history_step(&self, stream: &Txid) -> Result<HistoryProgress> {
        let known = self.subscription(stream).ok_or_else(|| not_followed(stream))?;
        let snapshot = self.snapshot()?;
        let Some(tip) = snapshot.tip() else {
            return Ok(HistoryProgress { next: Height(0), tip: Height(0), complete: !known.is_catching_up() });
        };
        let Some(from) = known.next else {
            return Ok(HistoryProgress { next: tip.height.next(), tip: tip.height, complete: true });
        };
        let step = read_step(&snapshot, stream, from, tip)?;
        self.write_step(stream, from, step)
    }

    /// Indexes the whole history of a stream; `report` hears of every step and ends it early by returning false.
    ///
    /// # Errors
    /// As [`Store::index_history_step`].
    pub fn index_history(&self, stream: &Txid, mut report: impl FnMut(HistoryProgress) -> bool) -> Result<bool> {
        loop {
            let progress = self.index_history_step(stream)?;
            if !report(progress) || progress.complete {
                return Ok(progress.complete);
            }
        }
    }

    fn write_step(&self, stream: &Txid, from: Height, step: Step) -> Result<HistoryProgress> {
        let mut writer = self.writer();
        let tip = self.database().get(&TIP, &())?.unwrap_or(step.tip);
        let mut row = *writer.subscriptions.get(stream).ok_or_else(|| not_followed(stream))?;
        if row.next != Some(from) {
            let next = row.next.unwrap_or(tip.height.next());
            return Ok(HistoryProgress { next, tip: tip.height, complete: row.next.is_none() });
        }
        let mut batch = self.database().batch();
        let mut index = IndexWriter::new(self.database(), &writer.subscriptions);
        let mut next = from;
        let mut stale = false;
        for found in &step.blocks {
            if self.database().get(&ACTIVE, &found.height)? != Some(found.hash) {
                stale = true;
                break;
            }
            let places = places(&found.block, found.height, found.location)?;
            let block =
                IndexedBlock { height: found.height, block: &found.block, txids: &found.txids, places: &places };
            index.apply_history(&mut batch, stream, &row, &block)?;
            next = found.height.next();
        }
        if !stale && self.database().get(&ACTIVE, &step.tip.height)? == Some(step.tip.hash) {
            next = step.next.max(next);
        }
        row.next = if next > tip.height { None } else { Some(next) };
        index.set_subscription(*stream, row);
        let changed = index.finish(&mut batch)?;
        self.database().write(batch, Durability::Written)?;
        writer.subscriptions.extend(changed);
        Ok(HistoryProgress { next, tip: tip.height, complete: row.next.is_none() })
    }
}

fn read_step(snapshot: &Snapshot, stream: &Txid, from: Height, tip: Tip) -> Result<Step> {
    let prefix = stream_prefix(stream);
    let (mut blocks, mut bytes) = (Vec::new(), 0u64);
    for row in snapshot.view().scan_from(&STREAM_BLOCK, &prefix, &(prefix, from))? {
        let ((_, height), ()) = row?;
        if blocks.len() >= STEP_BLOCKS || bytes >= STEP_BYTES {
            return Ok(Step { blocks, next: height, tip });
        }
        let missing = || StorageError::Corrupt(format!("no body of the active block at height {height}"));
        let hash = snapshot.block_hash(height)?.ok_or_else(missing)?;
        let location = snapshot.block_entry(&hash)?.and_then(|entry| entry.body).ok_or_else(missing)?;
        let block = snapshot.files().read_block(location)?;
        let txids = block.transactions.iter().map(Transaction::txid).collect();
        bytes += u64::from(location.length);
        blocks.push(Found { height, hash, location, block, txids });
    }
    Ok(Step { blocks, next: tip.height.next(), tip })
}

fn not_followed(stream: &Txid) -> StorageError {
    StorageError::Missing(format!("a subscription of stream {stream}"))
}
