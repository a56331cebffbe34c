//! Catching up: indexing the history of a subject in bounded steps, while blocks go on being applied.

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::transaction::Transaction;
use rota_crash::{Point, reached};

use crate::block::{Location, Tip, UndoBlock};
use crate::commit::places;
use crate::error::{Result, StorageError};
use crate::index::writer::{IndexWriter, IndexedBlock};
use crate::index::{Subject, stream_prefix};
use crate::kv::{Durability, Read};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::table::{ACTIVE, ENTITY_BLOCK, TIP};

/// Blocks a step indexes at most: new blocks wait for a step's write.
const STEP_BLOCKS: usize = 64;
/// Bytes of blocks after which a step ends: decoded and indexed they take several times as much memory.
const STEP_BYTES: u64 = 4 << 20;

/// How far the history of a subject is indexed.
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
    /// What it changed, where the subject needs to know what was spent.
    undo: UndoBlock,
}

/// What a step read.
struct Step {
    blocks: Vec<Found>,
    /// Every block of the subject below this height is in `blocks` or indexed.
    next: Height,
    tip: Tip,
}

impl Store {
    /// Indexes the next part of a subject's history. Blocks are read without holding up the writer; what a
    /// reorganisation made stale is left for the next step.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-missing` if the subject is not followed.
    pub fn index_history_step(&self, subject: impl Into<Subject>) -> Result<HistoryProgress> {
        let subject = subject.into();
        let known = self.subscription(subject).ok_or_else(|| not_followed(subject))?;
        let snapshot = self.snapshot()?;
        let Some(tip) = snapshot.tip() else {
            return Ok(HistoryProgress { next: Height(0), tip: Height(0), complete: !known.is_catching_up() });
        };
        let Some(from) = known.next else {
            return Ok(HistoryProgress { next: tip.height.next(), tip: tip.height, complete: true });
        };
        let step = read_step(&snapshot, subject, from, tip)?;
        self.write_step(subject, from, step)
    }

    /// Indexes the whole history of a subject; `report` hears of every step and ends it early by returning false.
    ///
    /// # Errors
    /// As [`Store::index_history_step`].
    pub fn index_history(
        &self,
        subject: impl Into<Subject>,
        mut report: impl FnMut(HistoryProgress) -> bool,
    ) -> Result<bool> {
        let subject = subject.into();
        loop {
            let progress = self.index_history_step(subject)?;
            if !report(progress) || progress.complete {
                return Ok(progress.complete);
            }
        }
    }

    fn write_step(&self, subject: Subject, from: Height, step: Step) -> Result<HistoryProgress> {
        let mut writer = self.writer();
        let tip = self.database().get(&TIP, &())?.unwrap_or(step.tip);
        let mut row = *writer.subscriptions.get(&subject).ok_or_else(|| not_followed(subject))?;
        if row.next != Some(from) {
            let next = row.next.unwrap_or(tip.height.next());
            return Ok(HistoryProgress { next, tip: tip.height, complete: row.next.is_none() });
        }
        let mut batch = self.database().batch();
        let mut index = IndexWriter::new(self.database(), &writer);
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
            let before = found.undo.elements.iter().map(|(key, value)| (key, value.as_ref()));
            index.apply_history(&mut batch, subject, &row, &block, before)?;
            next = found.height.next();
        }
        if !stale && self.database().get(&ACTIVE, &step.tip.height)? == Some(step.tip.hash) {
            next = step.next.max(next);
        }
        row.next = if next > tip.height { None } else { Some(next) };
        index.set_subscription(subject, row);
        let changed = index.finish(&mut batch)?;
        let replaces = subject == Subject::WalletAnew && row.next.is_none();
        if replaces {
            writer.write_replacement(&mut batch, row)?;
        }
        self.database().write(batch, Durability::Written)?;
        reached(Point::HistoryIndexed);
        writer.take(changed);
        if replaces {
            writer.replace_wallet(row);
        }
        Ok(HistoryProgress { next, tip: tip.height, complete: row.next.is_none() })
    }
}

fn read_step(snapshot: &Snapshot, subject: Subject, from: Height, tip: Tip) -> Result<Step> {
    let (mut blocks, mut bytes) = (Vec::new(), 0u64);
    for height in heights(snapshot, subject, from, tip)? {
        let height = height?;
        if blocks.len() >= STEP_BLOCKS || bytes >= STEP_BYTES {
            return Ok(Step { blocks, next: height, tip });
        }
        let missing = || StorageError::Corrupt(format!("no body of the active block at height {height}"));
        let hash = snapshot.block_hash(height)?.ok_or_else(missing)?;
        let entry = snapshot.block_entry(&hash)?.ok_or_else(missing)?;
        let location = entry.body.ok_or_else(missing)?;
        let block = snapshot.files().read_block(location)?;
        let txids = block.transactions.iter().map(Transaction::txid).collect();
        let undo = match entry.undo.filter(|_| subject == Subject::Explorer) {
            Some(undo) => snapshot.files().read_undo(undo)?,
            None => UndoBlock::default(),
        };
        bytes += u64::from(location.length);
        blocks.push(Found { height, hash, location, block, txids, undo });
    }
    Ok(Step { blocks, next: tip.height.next(), tip })
}

/// The heights to look at: those of an entity's blocks, or all.
fn heights<'s>(
    snapshot: &'s Snapshot,
    subject: Subject,
    from: Height,
    tip: Tip,
) -> Result<Box<dyn Iterator<Item = Result<Height>> + 's>> {
    let Some(entity) = subject.entity() else {
        return Ok(Box::new((from.0..=tip.height.0).map(|height| Ok(Height(height)))));
    };
    let prefix = stream_prefix(&entity);
    let rows = snapshot.view().scan_from(&ENTITY_BLOCK, &prefix, &(prefix, from))?;
    Ok(Box::new(rows.map(|row| row.map(|((_, height), ())| height))))
}

fn not_followed(subject: Subject) -> StorageError {
    StorageError::Missing(format!("a subscription of {subject}"))
}
