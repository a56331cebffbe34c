//! Chunks of off-chain items: the bytes that are here, for which streams they are kept, which are still to be fetched,
//! and which items were purged.

mod open;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::hash::{ChunkHash, Txid};
use rota_crash::{Point, reached};

pub(crate) use open::open;

use crate::error::Result;
use crate::key::Key;
use crate::kv::{Batch, Durability, Read};
use crate::store::Store;
use crate::table::{CHUNK, CHUNK_INFO, CHUNK_OWNER, CHUNK_PENDING, CHUNK_TOTALS, ITEM_PURGED, OWNER_CHUNK};

/// Owners of one chunk that are looked at: a chunk that more streams share is found to be shared by these already.
const OWNERS: usize = 256;

/// Why a chunk is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkOwner {
    /// A caller stored it; no stream has it by that.
    Own,
    /// An item of this stream names it, and it came for the stream.
    Stream(Txid),
    /// This node published it in this stream.
    Published(Txid),
}

impl ChunkOwner {
    /// The stream that has the chunk by this, none for [`ChunkOwner::Own`].
    #[must_use]
    pub const fn stream(&self) -> Option<Txid> {
        match self {
            ChunkOwner::Own => None,
            ChunkOwner::Stream(stream) | ChunkOwner::Published(stream) => Some(*stream),
        }
    }
}

impl Key for ChunkOwner {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            ChunkOwner::Own => out.push(0),
            ChunkOwner::Stream(stream) => (1u8, *stream).write(out),
            ChunkOwner::Published(stream) => (2u8, *stream).write(out),
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<ChunkOwner> {
        match u8::read(bytes)? {
            0 => Some(ChunkOwner::Own),
            1 => Txid::read(bytes).map(ChunkOwner::Stream),
            2 => Txid::read(bytes).map(ChunkOwner::Published),
            _ => None,
        }
    }
}

/// What is known of a chunk without reading it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkInfo {
    /// Bytes without salt.
    pub size: u32,
    /// The salt, may be empty.
    pub salt: Vec<u8>,
}

impl ChunkInfo {
    /// Bytes of salt and chunk, which the hash is of.
    #[must_use]
    pub fn whole(&self) -> u64 {
        u64::from(self.size).saturating_add(self.salt.len() as u64)
    }
}

/// A chunk that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The salt, may be empty.
    pub salt: Vec<u8>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A chunk to be fetched for a stream, for the item of it that asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PendingChunk {
    /// The item's stream.
    pub stream: Txid,
    /// The item's transaction.
    pub txid: Txid,
    /// The item's output.
    pub vout: u32,
    /// Bytes the item says it has.
    pub size: u32,
    /// Bytes of salt the item says it has.
    pub salt_size: u8,
    /// Whether a caller asked for it: fetched though the stream's data is not fetched by itself.
    pub asked: bool,
}

/// Which writes of chunks are safe from power loss: callers at the same time share a sync.
#[derive(Debug, Default)]
pub(crate) struct ChunkSync {
    written: AtomicU64,
    synced: Mutex<u64>,
    runs: AtomicU64,
}

/// How much the chunk store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkTotals {
    /// Number of chunks.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl ChunkTotals {
    /// Counts a chunk of so many bytes, if there is one.
    pub fn add(&mut self, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.chunks += 1;
            self.bytes += bytes;
        }
    }
}

impl Store {
    /// Keeps a chunk, or another reason to keep it. For a stream whose item names it, it is no longer pending then. Not
    /// safe from power loss before [`Store::sync_chunks`].
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails or the disk is full.
    pub fn put_chunk(&self, hash: &ChunkHash, salt: &[u8], bytes: &[u8], owner: ChunkOwner) -> Result<()> {
        self.check_room()?;
        let _writer = self.chunk_writer();
        let mut batch = self.chunks().batch();
        batch.put(&CHUNK_OWNER, &(*hash, owner), &())?;
        batch.put(&OWNER_CHUNK, &(owner, *hash), &())?;
        if let ChunkOwner::Stream(stream) = owner {
            batch.delete(&CHUNK_PENDING, &(*hash, stream))?;
        }
        if !self.has_chunk(hash)? {
            let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            batch.put(&CHUNK, hash, &bytes.to_vec())?;
            batch.put(&CHUNK_INFO, hash, &ChunkInfo { size, salt: salt.to_vec() })?;
            let totals = self.chunk_totals()?;
            let totals = ChunkTotals { chunks: totals.chunks + 1, bytes: totals.bytes + u64::from(size) };
            batch.put(&CHUNK_TOTALS, &(), &totals)?;
        }
        self.write_chunks(batch)
    }

    fn write_chunks(&self, batch: Batch) -> Result<()> {
        self.chunks().write(batch, Durability::Written)?;
        reached(Point::ChunkWritten);
        self.chunk_sync().written.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Makes every chunk kept before this call safe from power loss. Callers that wait at the same time share one sync.
    ///
    /// # Errors
    /// [`crate::StorageError`] if the disk fails.
    pub fn sync_chunks(&self) -> Result<()> {
        let state = self.chunk_sync();
        let mine = state.written.load(Ordering::Acquire);
        let mut synced = state.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= mine {
            return Ok(());
        }
        let all = state.written.load(Ordering::Acquire);
        self.chunks().sync()?;
        reached(Point::ChunksSynced);
        state.runs.fetch_add(1, Ordering::Relaxed);
        *synced = all;
        Ok(())
    }

    /// How often chunks were synced since the store was opened, and whether all that are kept are safe from power loss.
    #[must_use]
    pub fn chunk_syncs(&self) -> (u64, bool) {
        let state = self.chunk_sync();
        let synced = *state.synced.lock().unwrap_or_else(PoisonError::into_inner);
        (state.runs.load(Ordering::Relaxed), synced >= state.written.load(Ordering::Acquire))
    }

    /// Why a chunk is kept, at most 256 reasons; none if it is not here.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn chunk_owners(&self, hash: &ChunkHash) -> Result<Vec<ChunkOwner>> {
        self.chunks().scan(&CHUNK_OWNER, hash)?.take(OWNERS).map(|row| row.map(|((_, owner), ())| owner)).collect()
    }

    /// Whether a chunk is kept for this owner.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn owns_chunk(&self, hash: &ChunkHash, owner: ChunkOwner) -> Result<bool> {
        self.chunks().has(&CHUNK_OWNER, &(*hash, owner))
    }

    /// Keeps a chunk that is here for another owner too; false if it is not here.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn own_chunk(&self, hash: &ChunkHash, owner: ChunkOwner) -> Result<bool> {
        let _writer = self.chunk_writer();
        if !self.has_chunk(hash)? {
            return Ok(false);
        }
        let mut batch = self.chunks().batch();
        batch.put(&CHUNK_OWNER, &(*hash, owner), &())?;
        batch.put(&OWNER_CHUNK, &(owner, *hash), &())?;
        self.write_chunks(batch)?;
        Ok(true)
    }

    /// A chunk, none if it is not here.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn chunk(&self, hash: &ChunkHash) -> Result<Option<Chunk>> {
        let Some(info) = self.chunk_info(hash)? else { return Ok(None) };
        let bytes = self.chunks().get(&CHUNK, hash)?;
        Ok(bytes.map(|bytes| Chunk { salt: info.salt, bytes }))
    }

    /// Size and salt of a chunk, none if it is not here.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn chunk_info(&self, hash: &ChunkHash) -> Result<Option<ChunkInfo>> {
        self.chunks().get(&CHUNK_INFO, hash)
    }

    /// Whether a chunk is here.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn has_chunk(&self, hash: &ChunkHash) -> Result<bool> {
        self.chunks().has(&CHUNK_INFO, hash)
    }

    /// Number and bytes of the chunks that are here.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn chunk_totals(&self) -> Result<ChunkTotals> {
        Ok(self.chunks().get(&CHUNK_TOTALS, &())?.unwrap_or_default())
    }

    /// Gives up a stream's reason to keep its chunks, removes those nobody else needs, and forgets which items of it
    /// were purged. Returns what was removed.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn purge_stream(&self, stream: Txid) -> Result<ChunkTotals> {
        let mut batch = self.chunks().batch();
        batch.delete_prefix(&ITEM_PURGED, &stream)?;
        self.chunks().write(batch, Durability::Written)?;
        let mut removed = ChunkTotals::default();
        let owner = ChunkOwner::Stream(stream);
        for row in self.chunks().scan(&OWNER_CHUNK, &owner)? {
            let ((_, hash), ()) = row?;
            removed.add(self.disown_chunk(&hash, owner)?);
        }
        Ok(removed)
    }

    /// Gives up this node's reasons to keep what it published or was given to publish. Returns what was removed.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn purge_published(&self) -> Result<ChunkTotals> {
        let mut removed = ChunkTotals::default();
        // The tag of `Published`: owners of this kind stand together.
        for row in self.chunks().scan(&OWNER_CHUNK, &2u8)? {
            let ((owner, hash), ()) = row?;
            removed.add(self.disown_published(&hash, owner)?);
        }
        Ok(removed)
    }

    /// Gives up that a chunk was published in a stream; with the last such reason the copy that a caller stored goes
    /// too. Bytes of it if that removed it.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn disown_published(&self, hash: &ChunkHash, owner: ChunkOwner) -> Result<Option<u64>> {
        if !self.owns_chunk(hash, owner)? {
            return Ok(None);
        }
        let removed = self.disown_chunk(hash, owner)?;
        let owners = self.chunk_owners(hash)?;
        if removed.is_some() || owners.iter().any(|owner| matches!(owner, ChunkOwner::Published(_))) {
            return Ok(removed);
        }
        self.disown_chunk(hash, ChunkOwner::Own)
    }

    /// Marks an item as purged: its data is not fetched again by itself; or takes the mark away.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn mark_purged(&self, stream: Txid, txid: Txid, vout: u32, purged: bool) -> Result<()> {
        let mut batch = self.chunks().batch();
        if purged {
            batch.put(&ITEM_PURGED, &(stream, txid, vout), &())?;
        } else {
            batch.delete(&ITEM_PURGED, &(stream, txid, vout))?;
        }
        self.chunks().write(batch, Durability::Written)
    }

    /// Whether an item was purged.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn is_purged(&self, stream: Txid, txid: Txid, vout: u32) -> Result<bool> {
        self.chunks().has(&ITEM_PURGED, &(stream, txid, vout))
    }

    /// Gives up an owner's reason to keep one chunk; bytes of it if that removed it.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn disown_chunk(&self, hash: &ChunkHash, owner: ChunkOwner) -> Result<Option<u64>> {
        let _writer = self.chunk_writer();
        let mut batch = self.chunks().batch();
        batch.delete(&CHUNK_OWNER, &(*hash, owner))?;
        batch.delete(&OWNER_CHUNK, &(owner, *hash))?;
        let mut kept = false;
        for row in self.chunks().scan(&CHUNK_OWNER, hash)? {
            kept |= row?.0.1 != owner;
        }
        let info = if kept { None } else { self.chunk_info(hash)? };
        if let Some(info) = &info {
            batch.delete(&CHUNK, hash)?;
            batch.delete(&CHUNK_INFO, hash)?;
            let totals = self.chunk_totals()?;
            let bytes = totals.bytes.saturating_sub(u64::from(info.size));
            let totals = ChunkTotals { chunks: totals.chunks.saturating_sub(1), bytes };
            batch.put(&CHUNK_TOTALS, &(), &totals)?;
        }
        self.chunks().write(batch, Durability::Written)?;
        reached(Point::ChunkRemoved);
        Ok(info.map(|info| u64::from(info.size)))
    }

    /// Notes chunks to be fetched; those that their stream has are left out.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn put_pending_chunks(&self, pending: &[(ChunkHash, PendingChunk)]) -> Result<()> {
        let _writer = self.chunk_writer();
        let mut batch = self.chunks().batch();
        for (hash, chunk) in pending {
            if !self.owns_chunk(hash, ChunkOwner::Stream(chunk.stream))? {
                batch.put(&CHUNK_PENDING, &(*hash, chunk.stream), chunk)?;
            }
        }
        self.chunks().write(batch, Durability::Written)
    }

    /// Gives up fetching a chunk for a stream.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn remove_pending_chunk(&self, hash: &ChunkHash, stream: Txid) -> Result<()> {
        let mut batch = self.chunks().batch();
        batch.delete(&CHUNK_PENDING, &(*hash, stream))?;
        self.chunks().write(batch, Durability::Written)
    }

    /// Chunks to be fetched, at most `limit`, those after `after` in order of hash and stream.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn pending_chunks(
        &self,
        after: Option<(ChunkHash, Txid)>,
        limit: usize,
    ) -> Result<Vec<(ChunkHash, PendingChunk)>> {
        let from = after.unwrap_or((ChunkHash::ZERO, Txid::ZERO));
        self.chunks()
            .scan_from(&CHUNK_PENDING, &(), &from)?
            .filter(|row| !matches!(row, Ok((key, _)) if Some(*key) == after))
            .take(limit)
            .map(|row| row.map(|((hash, _), chunk)| (hash, chunk)))
            .collect()
    }
}

#[cfg(test)]
mod tests;
