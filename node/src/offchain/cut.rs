//! Cutting data into chunks for a stream, and holding them until it is known whether their transaction is taken.

use rota_chain::data::{ChunkReference, ChunkedData, DataFormat, SALT_BYTES, chunk_hash};
use rota_chain::hash::{ChunkHash, Txid};
use rota_consensus::rules::Rules;
use rota_storage::chunk::ChunkOwner;

use super::{Offchain, OffchainError};

/// A chunk that this node says it publishes in a stream.
pub type Claim = (ChunkHash, Txid);

impl Offchain {
    /// Starts cutting the data of an item of a stream.
    #[must_use]
    pub fn cutter(&self, stream: Txid, format: DataFormat, salted: bool) -> Cutter<'_> {
        let salt_size = if salted { SALT_BYTES } else { 0 };
        let chunked = ChunkedData { format, salt_size, chunks: Vec::new() };
        let Rules { maximum_chunk_size: size, maximum_chunk_count: count, .. } = self.rules_now();
        Cutter { offchain: self, stream, limits: (size, count), chunked, fresh: Vec::new() }
    }

    /// An item of a stream made of chunks that are here, raw; and the claims that are new.
    ///
    /// # Errors
    /// [`OffchainError`].
    pub fn adopt(&self, stream: Txid, hashes: &[ChunkHash]) -> Result<(ChunkedData, Vec<Claim>), OffchainError> {
        let mut cutter = self.cutter(stream, DataFormat::Raw, false);
        for (index, hash) in hashes.iter().enumerate() {
            if let Err(error) = cutter.adopt(index, hash) {
                self.give_up(cutter.fresh);
                return Err(error);
            }
        }
        Ok(cutter.finish())
    }

    /// Makes chunks safe from power loss, if so set: one sync for all of them.
    ///
    /// # Errors
    /// [`OffchainError`] if the disk fails; the claims are given up then.
    pub fn make_safe(&self, claims: Vec<Claim>) -> Result<Safe, OffchainError> {
        if self.settings.sync_own
            && let Err(error) = self.store.sync_chunks()
        {
            self.give_up(claims);
            return Err(error.into());
        }
        Ok(Safe(claims))
    }

    /// Holds new claims until it is known whether their transaction is taken.
    #[must_use]
    pub fn hold(&self, safe: Safe) -> Fresh<'_> {
        Fresh { offchain: self, claims: safe.0 }
    }

    /// Gives up claims whose transaction is not sent or not taken: what no other item needs is removed.
    pub fn give_up(&self, claims: Vec<Claim>) {
        let mut unsettled = self.unsettled();
        for claim in claims {
            let shared = unsettled.remove(&claim).unwrap_or(true);
            let (hash, stream) = claim;
            if !shared && let Err(error) = self.store.disown_chunk(&hash, ChunkOwner::Published(stream)) {
                tracing::warn!(%hash, %error, "a chunk that nothing refers to stays on disk");
            }
        }
    }

    /// Notes a claim; true if it is new. A claim that waits for another transaction stays when that one is refused.
    fn note_claim(&self, claim: Claim) -> Result<bool, OffchainError> {
        let mut unsettled = self.unsettled();
        if let Some(shared) = unsettled.get_mut(&claim) {
            *shared = true;
            return Ok(false);
        }
        let new = !self.store.owns_chunk(&claim.0, ChunkOwner::Published(claim.1))?;
        if new {
            unsettled.insert(claim, false);
        }
        Ok(new)
    }
}

/// New claims whose chunks are as safe on disk as the settings ask. Only [`Offchain::make_safe`] makes one that is not
/// empty, so that no transaction is sent before.
#[derive(Debug, Default)]
pub struct Safe(Vec<Claim>);

/// Cuts the data of one item: each piece is stored before the next is taken.
#[derive(Debug)]
pub struct Cutter<'o> {
    offchain: &'o Offchain,
    stream: Txid,
    /// Bytes of a chunk and chunks of an item at most.
    limits: (u32, u32),
    chunked: ChunkedData,
    fresh: Vec<Claim>,
}

impl Cutter<'_> {
    /// Takes one piece of [`Offchain::chunk_size`] bytes; the last may be shorter, none is empty.
    ///
    /// # Errors
    /// [`OffchainError`]; what was stored is given up then.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), OffchainError> {
        let taken = self.store(piece);
        if taken.is_err() {
            self.offchain.give_up(std::mem::take(&mut self.fresh));
        }
        taken
    }

    fn store(&mut self, piece: &[u8]) -> Result<(), OffchainError> {
        let (size, count) = self.limits;
        if self.chunked.chunks.len() >= count as usize {
            let limit = u64::from(size).saturating_mul(u64::from(count));
            return Err(OffchainError::TooBig { limit });
        }
        let size = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        let mut salt = vec![0; usize::from(self.chunked.salt_size)];
        rand::fill(&mut salt[..]);
        let hash = chunk_hash(&salt, piece);
        self.claim(hash)?;
        self.offchain.store.put_chunk(&hash, &salt, piece, ChunkOwner::Published(self.stream))?;
        self.chunked.chunks.push(ChunkReference { size, hash });
        Ok(())
    }

    fn claim(&mut self, hash: ChunkHash) -> Result<(), OffchainError> {
        let claim = (hash, self.stream);
        if self.offchain.note_claim(claim)? {
            self.fresh.push(claim);
        }
        Ok(())
    }

    fn adopt(&mut self, index: usize, hash: &ChunkHash) -> Result<(), OffchainError> {
        let store = &self.offchain.store;
        let info = store.chunk_info(hash)?.ok_or(OffchainError::Unknown(*hash))?;
        let salt_size = u8::try_from(info.salt.len()).unwrap_or(u8::MAX);
        if index > 0 && salt_size != self.chunked.salt_size {
            return Err(OffchainError::MixedSalts);
        }
        self.chunked.salt_size = salt_size;
        self.claim(*hash)?;
        if !store.own_chunk(hash, ChunkOwner::Published(self.stream))? {
            return Err(OffchainError::Unknown(*hash));
        }
        self.chunked.chunks.push(ChunkReference { size: info.size, hash: *hash });
        Ok(())
    }

    /// What the transaction says of the item, and the claims that are new.
    #[must_use]
    pub fn finish(self) -> (ChunkedData, Vec<Claim>) {
        (self.chunked, self.fresh)
    }
}

/// New claims of a transaction that is not taken yet. Dropped, they stay.
#[derive(Debug)]
pub struct Fresh<'o> {
    offchain: &'o Offchain,
    claims: Vec<Claim>,
}

impl Fresh<'_> {
    /// The transaction was refused: what no other item needs is removed.
    pub fn forget(mut self) {
        self.offchain.give_up(std::mem::take(&mut self.claims));
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.claims.is_empty() {
            let mut unsettled = self.offchain.unsettled();
            for claim in &self.claims {
                unsettled.remove(claim);
            }
        }
    }
}
