//! Chunks of off-chain items: the bytes that are here, why they are kept, and which are still to be fetched.

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::hash::{ChunkHash, Txid};

use crate::error::Result;
use crate::key::Key;
use crate::kv::{Durability, Read};
use crate::store::Store;
use crate::table::{CHUNK, CHUNK_INFO, CHUNK_OWNER, CHUNK_PENDING, CHUNK_TOTALS, OWNER_CHUNK};

/// Why a chunk is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkOwner {
    /// This node published it.
    Own,
    /// An item of this stream names it.
    Stream(Txid),
}

impl Key for ChunkOwner {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            ChunkOwner::Own => out.push(0),
            ChunkOwner::Stream(stream) => (1u8, *stream).write(out),
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<ChunkOwner> {
        match u8::read(bytes)? {
            0 => Some(ChunkOwner::Own),
            1 => Txid::read(bytes).map(ChunkOwner::Stream),
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

/// A chunk that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The salt, may be empty.
    pub salt: Vec<u8>,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A chunk to be fetched, for the item that asked first.
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
    /// Times it was asked for.
    pub tries: u32,
}

/// How much the chunk store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ChunkTotals {
    /// Number of chunks.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Store {
    /// Keeps a chunk, or another reason to keep it. It is no longer pending then.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails or the disk is full.
    pub fn put_chunk(&self, hash: &ChunkHash, salt: &[u8], bytes: &[u8], owner: ChunkOwner) -> Result<()> {
        let _writer = self.chunk_writer();
        let mut batch = self.chunks().batch();
        batch.put(&CHUNK_OWNER, &(*hash, owner), &())?;
        batch.put(&OWNER_CHUNK, &(owner, *hash), &())?;
        batch.delete(&CHUNK_PENDING, hash)?;
        if !self.has_chunk(hash)? {
            let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            batch.put(&CHUNK, hash, &bytes.to_vec())?;
            batch.put(&CHUNK_INFO, hash, &ChunkInfo { size, salt: salt.to_vec() })?;
            let totals = self.chunk_totals()?;
            let totals = ChunkTotals { chunks: totals.chunks + 1, bytes: totals.bytes + u64::from(size) };
            batch.put(&CHUNK_TOTALS, &(), &totals)?;
        }
        self.chunks().write(batch, Durability::Written)
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
        self.chunks().write(batch, Durability::Written)?;
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

    /// Gives up an owner's reason to keep its chunks, and removes those nobody else needs. Returns what was removed.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn purge_chunks(&self, owner: ChunkOwner) -> Result<ChunkTotals> {
        let hashes: Vec<ChunkHash> = self
            .chunks()
            .scan(&OWNER_CHUNK, &owner)?
            .map(|row| row.map(|((_, hash), ())| hash))
            .collect::<Result<_>>()?;
        let mut removed = ChunkTotals::default();
        for hash in hashes {
            if let Some(bytes) = self.disown_chunk(&hash, owner)? {
                removed.chunks += 1;
                removed.bytes += bytes;
            }
        }
        Ok(removed)
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
        Ok(info.map(|info| u64::from(info.size)))
    }

    /// Notes chunks to be fetched, or how often they were asked for; those that are here are left out.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn put_pending_chunks(&self, pending: &[(ChunkHash, PendingChunk)]) -> Result<()> {
        let _writer = self.chunk_writer();
        let mut batch = self.chunks().batch();
        for (hash, chunk) in pending {
            if !self.has_chunk(hash)? {
                batch.put(&CHUNK_PENDING, hash, chunk)?;
            }
        }
        self.chunks().write(batch, Durability::Written)
    }

    /// Gives up fetching a chunk.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn remove_pending_chunk(&self, hash: &ChunkHash) -> Result<()> {
        let mut batch = self.chunks().batch();
        batch.delete(&CHUNK_PENDING, hash)?;
        self.chunks().write(batch, Durability::Written)
    }

    /// Chunks to be fetched, at most `limit`, those after `after` in order of hash.
    ///
    /// # Errors
    /// [`crate::StorageError`] if storage fails.
    pub fn pending_chunks(&self, after: Option<ChunkHash>, limit: usize) -> Result<Vec<(ChunkHash, PendingChunk)>> {
        let from = after.unwrap_or(ChunkHash::ZERO);
        self.chunks()
            .scan_from(&CHUNK_PENDING, &(), &from)?
            .filter(|row| !matches!(row, Ok((hash, _)) if Some(*hash) == after))
            .take(limit)
            .collect()
    }
}

#[cfg(test)]
mod tests;
