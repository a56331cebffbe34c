//! Off-chain items: cutting data into chunks that are stored before the transaction is sent, reading bodies back,
//! answering peers, and what is still to be fetched. `fetch` is the task that fetches; here nothing waits.

mod fetch;
mod follow;
mod queue;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rota_chain::block::Block;
use rota_chain::data::{ChunkReference, ChunkedData, DataFormat, SALT_BYTES, chunk_hash};
use rota_chain::hash::{ChunkHash, Txid};
use rota_chain::operation::Operation;
use rota_chain::stream::ItemData;
use rota_chain::transaction::Transaction;
use rota_consensus::rules::Rules;
use rota_p2p::ChunkBody;
use rota_storage::chunk::{ChunkOwner, PendingChunk};
use rota_storage::{StorageError, Store};
use tokio::sync::Notify;

pub use fetch::run;
pub use queue::{Figures, QueueFigures, TotalFigures};

/// Bytes of chunks in one answer to a peer: the least frame of such an answer; one chunk alone may be longer.
const ANSWER_BYTES: usize = rota_p2p::limit::BODIES_FRAME as usize;
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
}

impl Default for OffchainSettings {
    fn default() -> OffchainSettings {
        OffchainSettings { query_time: Duration::from_secs(25), request_time: Duration::from_secs(10) }
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
    /// New chunks whose transaction is not taken yet, and whether another item has come to need them too.
    unsettled: Mutex<HashMap<ChunkHash, bool>>,
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
            let Some((last, _)) = page.last() else { return Ok(offchain) };
            after = Some(*last);
            for (hash, pending) in &page {
                offchain.figures.enqueue(*hash, pending.size);
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
                Some(info) if info.size != chunk.size || info.salt.len() != usize::from(chunked.salt_size) => {
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
                let place = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
                bytes.extend_from_slice(body.bytes.get(place(from)..place(to)).unwrap_or_default());
            }
            start = end;
        }
        Ok(Fetched::Here(bytes))
    }

    /// Starts cutting the data of an item.
    #[must_use]
    pub fn cutter(&self, format: DataFormat, salted: bool) -> Cutter<'_> {
        let salt_size = if salted { SALT_BYTES } else { 0 };
        Cutter { offchain: self, chunked: ChunkedData { format, salt_size, chunks: Vec::new() }, fresh: Vec::new() }
    }

    /// Bytes of every chunk but the last.
    #[must_use]
    pub fn chunk_size(&self) -> usize {
        self.rules.maximum_chunk_size as usize
    }

    /// Stores a chunk without salt and gives its hash.
    ///
    /// # Errors
    /// [`OffchainError`].
    pub fn store_chunk(&self, bytes: &[u8]) -> Result<ChunkHash, OffchainError> {
        let limit = self.rules.maximum_chunk_size;
        if bytes.is_empty() || bytes.len() > limit as usize {
            return Err(OffchainError::Size { size: bytes.len(), limit });
        }
        let hash = chunk_hash(&[], bytes);
        self.store.put_chunk(&hash, &[], bytes, ChunkOwner::Own)?;
        Ok(hash)
    }

    /// An item of chunks that are here, raw.
    ///
    /// # Errors
    /// [`OffchainError`].
    pub fn adopt(&self, hashes: &[ChunkHash]) -> Result<ChunkedData, OffchainError> {
        let mut chunked = ChunkedData { format: DataFormat::Raw, salt_size: 0, chunks: Vec::new() };
        for (index, hash) in hashes.iter().enumerate() {
            let info = self.store.chunk_info(hash)?.ok_or(OffchainError::Unknown(*hash))?;
            let salt_size = u8::try_from(info.salt.len()).unwrap_or(u8::MAX);
            if index > 0 && salt_size != chunked.salt_size {
                return Err(OffchainError::MixedSalts);
            }
            chunked.salt_size = salt_size;
            chunked.chunks.push(ChunkReference { size: info.size, hash: *hash });
            self.store.own_chunk(hash, ChunkOwner::Own)?;
        }
        Ok(chunked)
    }

    /// Holds new chunks until it is known whether their transaction is taken.
    #[must_use]
    pub fn hold(&self, fresh: Vec<ChunkHash>) -> Fresh<'_> {
        Fresh { offchain: self, hashes: fresh }
    }

    fn unsettled(&self) -> MutexGuard<'_, HashMap<ChunkHash, bool>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up what is kept for a stream alone.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn purge(&self, stream: Txid) -> Result<(), StorageError> {
        self.store.purge_chunks(ChunkOwner::Stream(stream)).map(|_| ())
    }

    /// What a peer gets of the chunks it asks for: those that are here, in its order, as many as fit an answer.
    #[must_use]
    pub fn serve(&self, hashes: &[ChunkHash]) -> Vec<ChunkBody> {
        let (mut bodies, mut bytes) = (Vec::new(), 0usize);
        for hash in hashes {
            match self.store.chunk(hash) {
                Ok(Some(chunk)) => {
                    bytes = bytes.saturating_add(chunk.bytes.len());
                    if bytes > ANSWER_BYTES && !bodies.is_empty() {
                        break;
                    }
                    bodies.push(ChunkBody { hash: *hash, salt: chunk.salt, bytes: chunk.bytes });
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%hash, %error, "a chunk cannot be read"),
            }
        }
        bodies
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

    /// Notes the chunks of an item of a followed stream that are not here, and keeps those that are for the stream.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn want(&self, stream: Txid, txid: Txid, vout: u32, chunked: &ChunkedData) -> Result<(), StorageError> {
        let mut pending = Vec::new();
        let mut seen = HashSet::new();
        for chunk in chunked.chunks.iter().filter(|chunk| seen.insert(chunk.hash)) {
            if self.store.own_chunk(&chunk.hash, ChunkOwner::Stream(stream))? || self.figures.is_queued(&chunk.hash) {
                continue;
            }
            let (size, salt_size) = (chunk.size, chunked.salt_size);
            pending.push((chunk.hash, PendingChunk { stream, txid, vout, size, salt_size, tries: 0 }));
        }
        if pending.is_empty() {
            return Ok(());
        }
        let waiting = self.figures.queue().chunks.waiting;
        if waiting.saturating_add(pending.len() as u64) > PENDING_CHUNKS {
            tracing::warn!(%txid, waiting, "too many chunks wait to be fetched: an item waits until it is asked for");
            return Ok(());
        }
        self.store.put_pending_chunks(&pending)?;
        for (hash, chunk) in &pending {
            self.figures.enqueue(*hash, chunk.size);
        }
        self.wake.notify_one();
        Ok(())
    }
}

/// Cuts the data of one item: each piece is stored before the next is taken.
#[derive(Debug)]
pub struct Cutter<'o> {
    offchain: &'o Offchain,
    chunked: ChunkedData,
    fresh: Vec<ChunkHash>,
}

impl Cutter<'_> {
    /// Takes one piece of [`Offchain::chunk_size`] bytes; the last may be shorter, none is empty.
    ///
    /// # Errors
    /// [`OffchainError`]; what was stored is given up then.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), OffchainError> {
        let taken = self.store(piece);
        if taken.is_err() {
            self.offchain.hold(std::mem::take(&mut self.fresh)).forget();
        }
        taken
    }

    fn store(&mut self, piece: &[u8]) -> Result<(), OffchainError> {
        let rules = &self.offchain.rules;
        if self.chunked.chunks.len() >= rules.maximum_chunk_count as usize {
            let limit = u64::from(rules.maximum_chunk_size).saturating_mul(u64::from(rules.maximum_chunk_count));
            return Err(OffchainError::TooBig { limit });
        }
        let size = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        let mut salt = vec![0; usize::from(self.chunked.salt_size)];
        rand::fill(&mut salt[..]);
        let hash = chunk_hash(&salt, piece);
        let store = &self.offchain.store;
        let mut unsettled = self.offchain.unsettled();
        if let Some(shared) = unsettled.get_mut(&hash) {
            *shared = true;
        } else if !store.has_chunk(&hash)? {
            unsettled.insert(hash, false);
            self.fresh.push(hash);
        }
        store.put_chunk(&hash, &salt, piece, ChunkOwner::Own)?;
        drop(unsettled);
        self.chunked.chunks.push(ChunkReference { size, hash });
        Ok(())
    }

    /// What the transaction says of the item, and the chunks that were not here before.
    #[must_use]
    pub fn finish(self) -> (ChunkedData, Vec<ChunkHash>) {
        (self.chunked, self.fresh)
    }
}

/// New chunks of a transaction that is not taken yet. Dropped, they stay.
#[derive(Debug)]
pub struct Fresh<'o> {
    offchain: &'o Offchain,
    hashes: Vec<ChunkHash>,
}

impl Fresh<'_> {
    /// The transaction was refused: what no other item needs is removed.
    pub fn forget(mut self) {
        let mut unsettled = self.offchain.unsettled();
        for hash in std::mem::take(&mut self.hashes) {
            let shared = unsettled.remove(&hash).unwrap_or(true);
            if !shared && let Err(error) = self.offchain.store.disown_chunk(&hash, ChunkOwner::Own) {
                tracing::warn!(%hash, %error, "a chunk that nothing refers to stays on disk");
            }
        }
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.hashes.is_empty() {
            let mut unsettled = self.offchain.unsettled();
            for hash in &self.hashes {
                unsettled.remove(hash);
            }
        }
    }
}

#[cfg(test)]
mod tests;
