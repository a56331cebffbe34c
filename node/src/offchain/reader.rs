//! Who may read a stream's items, and what a peer that asks for chunks is given. See docs/protocol/stream.md.

use std::collections::HashSet;

use rota_chain::hash::{ChunkHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_consensus::authority;
use rota_consensus::state::{EntityKind, StateError, StateView};
use rota_p2p::{ChunkBody, Refusal, Response};
use rota_storage::chunk::ChunkOwner;
use rota_storage::{Snapshot, StorageError};

use super::Offchain;
use crate::view::SharedView;

/// Bytes of chunks in one answer to a peer: the least frame of such an answer; one chunk alone may be longer.
const ANSWER_BYTES: usize = rota_p2p::limit::BODIES_FRAME as usize;

/// Whether the peer of an address, none if it is not known, may be given a stream's items. A grant counts from its
/// block on, a revoke as soon as it is seen. Looks at the view itself: what gives a caller the address may look too, and
/// who looks twice at once waits for ever if a writer comes in between.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn may_read(view: &SharedView, stream: Txid, address: Option<KeyHash>) -> Result<bool, StateError> {
    let view = view.read();
    match view.pool.state().entity(&stream)?.map(|entity| entity.kind) {
        Some(EntityKind::Stream { restriction, .. }) if !restriction.read => return Ok(true),
        Some(EntityKind::Stream { .. }) => {}
        _ => return Ok(false),
    }
    let Some(lock) = address.map(Lock::Key) else { return Ok(false) };
    let height = view.tip.height.next();
    Ok(authority::may_on(&view.snapshot, stream, Permission::Read, &lock, height)?
        && authority::may_on(view.pool.state(), stream, Permission::Read, &lock, height)?)
}

/// Whether anybody may read a stream, as far as blocks say.
fn is_open(snapshot: &Snapshot, stream: &Txid) -> bool {
    match snapshot.entity(stream).map(|entity| entity.map(|entity| entity.kind)) {
        Ok(Some(EntityKind::Stream { restriction, .. })) => !restriction.read,
        Ok(_) => false,
        Err(error) => {
            tracing::error!(%stream, %error, "a stream cannot be looked up");
            false
        }
    }
}

impl Offchain {
    /// The answer to a peer of this address that asks for chunks of a stream: refused if it may not read the stream or
    /// there is none, else those that belong to the stream here, in the order asked and each once.
    #[must_use]
    pub fn answer(&self, view: &SharedView, asker: Option<KeyHash>, stream: Txid, hashes: &[ChunkHash]) -> Response {
        let allowed = may_read(view, stream, asker);
        match allowed {
            Ok(true) => Response::Chunks(self.serve(stream, hashes)),
            Ok(false) => Response::Refused(Refusal::NotServed),
            Err(error) => {
                tracing::error!(%stream, %error, "a peer's right to read cannot be looked up");
                Response::Refused(Refusal::Unknown)
            }
        }
    }

    /// Chunks that belong to a stream here, in the order asked, each once, as many as fit an answer.
    #[must_use]
    pub(super) fn serve(&self, stream: Txid, hashes: &[ChunkHash]) -> Vec<ChunkBody> {
        let (mut bodies, mut bytes, mut seen) = (Vec::new(), 0usize, HashSet::new());
        for hash in hashes.iter().filter(|hash| seen.insert(**hash)) {
            match self.body(stream, hash) {
                Ok(Some(body)) => {
                    bytes = bytes.saturating_add(body.bytes.len());
                    if bytes > ANSWER_BYTES && !bodies.is_empty() {
                        break;
                    }
                    bodies.push(body);
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%hash, %error, "a chunk cannot be read"),
            }
        }
        bodies
    }

    fn body(&self, stream: Txid, hash: &ChunkHash) -> Result<Option<ChunkBody>, StorageError> {
        if !self.belongs(stream, hash)? {
            return Ok(None);
        }
        let chunk = self.store.chunk(hash)?;
        Ok(chunk.map(|chunk| ChunkBody { hash: *hash, salt: chunk.salt, bytes: chunk.bytes }))
    }

    /// Whether a chunk came to this node for the stream, or was published in it here.
    fn belongs(&self, stream: Txid, hash: &ChunkHash) -> Result<bool, StorageError> {
        Ok(self.store.owns_chunk(hash, ChunkOwner::Stream(stream))?
            || self.store.owns_chunk(hash, ChunkOwner::Published(stream))?)
    }

    /// Keeps a chunk that is here for a stream, if it came for the stream, or for one whose items anybody may have. A
    /// chunk that is here for a read-restricted stream alone is not passed on to another whose item names it: whoever
    /// can publish could draw it out of its readers by its hash.
    pub(super) fn share(&self, stream: Txid, hash: &ChunkHash) -> Result<bool, StorageError> {
        let owners = self.store.chunk_owners(hash)?;
        if owners.contains(&ChunkOwner::Stream(stream)) {
            return Ok(true);
        }
        let mut known = owners.contains(&ChunkOwner::Published(stream));
        if !known && !owners.is_empty() {
            let snapshot = self.store.snapshot()?;
            known = owners.iter().filter_map(ChunkOwner::stream).any(|other| is_open(&snapshot, &other));
        }
        if known { self.store.own_chunk(hash, ChunkOwner::Stream(stream)) } else { Ok(false) }
    }
}

#[cfg(test)]
mod tests;
