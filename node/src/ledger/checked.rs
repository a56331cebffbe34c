//! Blocks that were checked and are not applied, so that none is checked twice. Most are of branches that lost and are
//! never asked for again: bytes bound them, not their count.

use lru::LruCache;
use rota_chain::hash::BlockHash;
use rota_consensus::block::CheckedBlock;

/// Encoded bytes of all blocks together, the last one aside; in memory a block of small transactions takes some six
/// times as much. What is no longer here is read and checked anew, its signatures from the cache.
pub(super) const CHECKED_BYTES: usize = 4 << 20;

/// Checked blocks by their id.
pub(super) struct CheckedBlocks {
    blocks: LruCache<BlockHash, CheckedBlock>,
    bytes: usize,
}

impl CheckedBlocks {
    pub(super) fn new() -> CheckedBlocks {
        CheckedBlocks { blocks: LruCache::unbounded(), bytes: 0 }
    }

    /// Keeps a block; the oldest make room for it.
    pub(super) fn put(&mut self, block: CheckedBlock) {
        self.pop(&block.hash());
        self.bytes = self.bytes.saturating_add(block.size());
        self.blocks.put(block.hash(), block);
        while self.bytes > CHECKED_BYTES
            && self.blocks.len() > 1
            && let Some((_, oldest)) = self.blocks.pop_lru()
        {
            self.bytes = self.bytes.saturating_sub(oldest.size());
        }
    }

    /// Encoded bytes of what is kept.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a block out.
    pub(super) fn pop(&mut self, hash: &BlockHash) -> Option<CheckedBlock> {
        let block = self.blocks.pop(hash)?;
        self.bytes = self.bytes.saturating_sub(block.size());
        Some(block)
    }
}
