//! Off-chain items: reading bodies back, and what is still to be fetched or was purged. `cut` makes chunks, `reader` says
//! who is given them, `fetch` is the task that fetches; nothing else waits.

mod cut;
mod fetch;
mod follow;
mod queue;
pub mod reader;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rota_chain::block::Block;
use rota_chain::data::{ChunkedData, chunk_hash};
use rota_chain::hash::{ChunkHash, Txid};
use rota_chain::operation::Operation;
use rota_chain::stream::ItemData;
use rota_chain::transaction::Transaction;
use rota_consensus::rules::Rules;
use rota_storage::chunk::{ChunkOwner, ChunkTotals, PendingChunk};
use rota_storage::{StorageError, Store};
use tokio::sync::Notify;

pub use cut::{Claim, Cutter, Fresh, Safe};
pub use fetch::run;
pub use queue::{Figures, QueueFigures, TotalFigures};

/// Chunks that may wait to be fetched: a hundred bytes each on disk make 100 MB. What does not fit is noted again
/// when it is read, or when the node starts.
const PENDING_CHUNKS: u64 = 1_000_000;

/// How off-chain data is kept and fetched.
#[derive(Clone, Copy, Debug)]
pub struct OffchainSettings {
    /// How long a chunk that nobody had waits at most before it is looked for again (`chunkquerytimeout`).
    pub query_time: Duration,
    /// How long a peer has to deliver (`chunkrequesttimeout`).
    pub request_time: Duration,
    /// Whether this node's own chunks are synced to disk before their transaction is sent (`flushsourcechunks`).
    pub sync_own: bool,
}

impl Default for OffchainSettings {
    fn default() -> OffchainSettings {
        OffchainSettings { query_time: Duration::from_secs(25), request_time: Duration::from_secs(10), sync_own: true }
    }
}

/// Data of an off-chain item as far as it is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// All of it.
    Here(Vec<u8>),
    /// Some chunk is not here yet.
    Missing,
    /// What is here does not agree with the transaction: a sentence.
    Broken(String),
}

/// Why data was not cut into chunks.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OffchainError {
    /// More chunks than the chain allows.
    #[error("off-chain data is too big: the limit is {limit} bytes (maximum-chunk-size times maximum-chunk-count)")]
    TooBig {
        /// Bytes allowed.
        limit: u64,
    },
    /// A chunk to refer to is not here.
    #[error("chunk {0} is not here")]
    Unknown(ChunkHash),
    /// Chunks to refer to have salts of different lengths.
    #[error("chunks of one item have salts of different lengths")]
    MixedSalts,
    /// A chunk is empty or too long.
    #[error("a chunk has {size} bytes, allowed are 1 to {limit}")]
    Size {
        /// Its bytes.
        size: usize,
        /// Most bytes.
        limit: u32,
    },
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Off-chain data of this node.
#[derive(Debug)]
pub struct Offchain {
    store: Arc<Store>,
    rules: Arc<Rules>,
    settings: OffchainSettings,
    figures: Figures,
    wake: Notify,
    /// New claims whose transaction is not taken yet, and whether another item has come to need them too.
    unsettled: Mutex<HashMap<Claim, bool>>,
}

impl Offchain {
    /// Over a store; counts what still waits from an earlier run.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn new(store: Arc<Store>, rules: Arc<Rules>, settings: OffchainSettings) -> Result<Offchain, StorageError> {
        let offchain = Offchain {
            store,
            rules,
            settings,
            figures: Figures::default(),
            wake: Notify::new(),
            unsettled: Mutex::default(),
        };
        let mut after = None;
        loop {
            let page = offchain.store.pending_chunks(after, fetch::PAGE)?;
            let Some((last, pending)) = page.last() else { return Ok(offchain) };
            after = Some((*last, pending.stream));
            for (hash, pending) in &page {
                offchain.figures.enqueue((*hash, pending.stream), pending.size);
            }
        }
    }

    /// Figures of the queue now, and since the start.
    #[must_use]
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Whether an item's data is here, without reading it; [`Fetched::Here`] is empty then.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn status(&self, chunked: &ChunkedData) -> Result<Fetched, StorageError> {
        let mut missing = false;
        for chunk in &chunked.chunks {
            match self.store.chunk_info(&chunk.hash)? {
                None => missing = true,
                Some(info) if info.whole() != u64::from(chunk.size) + u64::from(chunked.salt_size) => {
                    let sizes = format!("the transaction says {} bytes, the chunk has {}", chunk.size, info.size);
                    return Ok(Fetched::Broken(format!("Off-chain data does not agree with its item: {sizes}")));
                }
                Some(_) => {}
            }
        }
        Ok(if missing { Fetched::Missing } else { Fetched::Here(Vec::new()) })
    }

    /// An item's data.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn read(&self, chunked: &ChunkedData) -> Result<Fetched, StorageError> {
        self.read_part(chunked, 0..chunked.size())
    }

    /// Some bytes of an item's data; only chunks that hold them are read, but all must be here.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn read_part(&self, chunked: &ChunkedData, part: Range<u64>) -> Result<Fetched, StorageError> {
        match self.status(chunked)? {
            Fetched::Here(_) => {}
            other => return Ok(other),
        }
        let mut bytes = Vec::new();
        let mut start = 0u64;
        for chunk in &chunked.chunks {
            let end = start.saturating_add(u64::from(chunk.size));
            let (from, to) = (part.start.max(start), part.end.min(end));
            if from < to {
                let Some(body) = self.store.chunk(&chunk.hash)? else { return Ok(Fetched::Missing) };
                // Another item may have brought it, that says otherwise where the salt ends.
                let salt = usize::from(chunked.salt_size);
                let place = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX).saturating_add(salt);
                let (from, to, cut) = (place(from), place(to), body.salt.len());
                bytes.extend_from_slice(body.salt.get(from.min(cut)..to.min(cut)).unwrap_or_default());
                let rest = from.saturating_sub(cut)..to.saturating_sub(cut);
                bytes.extend_from_slice(body.bytes.get(rest).unwrap_or_default());
            }
            start = end;
        }
        Ok(Fetched::Here(bytes))
    }

    /// Bytes of every chunk but the last.
    #[must_use]
    pub fn chunk_size(&self) -> usize {
        self.rules_now().maximum_chunk_size as usize
    }

    /// The rules as upgrades have left them; those the chain began with if the state cannot be read, which the
    /// transaction finds out.
    fn rules_now(&self) -> Rules {
        let rules = self.store.snapshot().ok().and_then(|state| Some(self.rules.at(&state).ok()?.into_owned()));
        rules.unwrap_or_else(|| (*self.rules).clone())
    }

    /// Stores a chunk without salt and gives its hash.
    ///
    /// # Errors
    /// [`OffchainError`].
    pub fn store_chunk(&self, bytes: &[u8]) -> Result<ChunkHash, OffchainError> {
        let limit = self.rules_now().maximum_chunk_size;
        if bytes.is_empty() || bytes.len() > limit as usize {
            return Err(OffchainError::Size { size: bytes.len(), limit });
        }
        let hash = chunk_hash(&[], bytes);
        self.store.put_chunk(&hash, &[], bytes, ChunkOwner::Own)?;
        Ok(hash)
    }

    fn unsettled(&self) -> MutexGuard<'_, HashMap<Claim, bool>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up what is kept for a stream alone; items of it that were purged may be fetched again.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn purge_stream(&self, stream: Txid) -> Result<(), StorageError> {
        self.store.purge_stream(stream).map(|_| ())
    }

    /// Gives up what is kept of an item for its stream, and does not fetch it again by itself. Returns what was removed:
    /// chunks that another stream, or this node's own publishing, needs stay.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn purge_item(&self, place: Place, chunked: &ChunkedData) -> Result<ChunkTotals, StorageError> {
        let Place { stream, txid, vout } = place;
        self.store.mark_purged(stream, txid, vout, true)?;
        let mut removed = ChunkTotals::default();
        for chunk in &chunked.chunks {
            removed.add(self.store.disown_chunk(&chunk.hash, ChunkOwner::Stream(stream))?);
        }
        Ok(removed)
    }

    /// Gives up what is kept of an item since this node published it. Returns what was removed.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn purge_published_item(&self, stream: Txid, chunked: &ChunkedData) -> Result<ChunkTotals, StorageError> {
        let mut removed = ChunkTotals::default();
        for chunk in &chunked.chunks {
            removed.add(self.store.disown_published(&chunk.hash, ChunkOwner::Published(stream))?);
        }
        Ok(removed)
    }

    /// Gives up all that this node published. Returns what was removed.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn purge_published(&self) -> Result<ChunkTotals, StorageError> {
        self.store.purge_published()
    }

    /// Fetches an item though it was purged, or its stream's data is not fetched by itself. Returns what is queued.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn retrieve(&self, place: Place, chunked: &ChunkedData) -> Result<ChunkTotals, StorageError> {
        let Place { stream, txid, vout } = place;
        self.store.mark_purged(stream, txid, vout, false)?;
        self.queue(place, chunked, true)
    }

    /// Notes the chunks of a transaction's off-chain items in followed streams that are not here.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn want_transaction(
        &self,
        txid: Txid,
        tx: &Transaction,
        followed: &dyn Fn(&Txid) -> bool,
    ) -> Result<(), StorageError> {
        for (vout, operation) in tx.operations() {
            if let Operation::Publish(publish) = operation
                && let ItemData::Offchain(chunked) = &publish.data
                && followed(&publish.stream)
            {
                self.want(publish.stream, txid, vout, chunked)?;
            }
        }
        Ok(())
    }

    /// As [`Offchain::want_transaction`], of every transaction of a block.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn want_block(&self, block: &Block, followed: &dyn Fn(&Txid) -> bool) -> Result<(), StorageError> {
        let is_offchain =
            |op: &Operation| matches!(op, Operation::Publish(p) if matches!(p.data, ItemData::Offchain(_)));
        for tx in block.transactions.iter().filter(|tx| tx.operations().any(|(_, op)| is_offchain(op))) {
            self.want_transaction(tx.txid(), tx, followed)?;
        }
        Ok(())
    }

    /// Notes the chunks of an item of a followed stream that are not here, and keeps those that are for the stream;
    /// nothing of an item that was purged.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn want(&self, stream: Txid, txid: Txid, vout: u32, chunked: &ChunkedData) -> Result<(), StorageError> {
        if chunked.chunks.is_empty() || self.store.is_purged(stream, txid, vout)? {
            return Ok(());
        }
        self.queue(Place { stream, txid, vout }, chunked, false).map(|_| ())
    }

    /// Queues what of an item the stream does not have here.
    fn queue(&self, place: Place, chunked: &ChunkedData, asked: bool) -> Result<ChunkTotals, StorageError> {
        let Place { stream, txid, vout } = place;
        let (mut pending, mut queued, mut seen) = (Vec::new(), ChunkTotals::default(), HashSet::new());
        for chunk in chunked.chunks.iter().filter(|chunk| seen.insert(chunk.hash)) {
            if self.share(stream, &chunk.hash)? {
                continue;
            }
            let (size, salt_size) = (chunk.size, chunked.salt_size);
            queued.add(Some(u64::from(size)));
            if asked || !self.figures.is_queued(&(chunk.hash, stream)) {
                pending.push((chunk.hash, PendingChunk { stream, txid, vout, size, salt_size, asked }));
            }
        }
        if pending.is_empty() {
            return Ok(queued);
        }
        let waiting = self.figures.queue().chunks.waiting;
        if waiting.saturating_add(pending.len() as u64) > PENDING_CHUNKS {
            tracing::warn!(%txid, waiting, "too many chunks wait to be fetched: an item waits until it is asked for");
            return Ok(ChunkTotals::default());
        }
        self.store.put_pending_chunks(&pending)?;
        for (hash, chunk) in &pending {
            self.figures.enqueue((*hash, chunk.stream), chunk.size);
        }
        self.wake.notify_one();
        Ok(queued)
    }
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its stream.
    pub stream: Txid,
    /// Its transaction.
    pub txid: Txid,
    /// Its output.
    pub vout: u32,
}

#[cfg(test)]
mod tests;
