//! How much memory databases may take, and a cache that several of them share.

use rocksdb::Cache;

/// Memory a database may take.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Blocks, indexes and filters read from disk.
    pub cache: Blocks,
    /// Bytes written and not yet flushed, over all tables.
    pub unflushed: usize,
}

/// Bytes of blocks that a database keeps for itself unless told otherwise.
pub const USUAL_CACHE: usize = 48 << 20;
/// Bytes that a database keeps unflushed unless told otherwise.
pub const USUAL_UNFLUSHED: usize = 32 << 20;

/// Pieces of what may be unflushed: ten for each of some fifty tables.
const PIECES: usize = 512;

/// Where blocks read from disk are kept.
#[derive(Clone, Debug)]
pub enum Blocks {
    /// In a cache of the database's own, of so many bytes.
    Own(usize),
    /// In one that other databases use too.
    Shared(BlockCache),
}

impl Blocks {
    pub(super) fn open(&self) -> Cache {
        match self {
            Blocks::Own(bytes) => Cache::new_lru_cache(*bytes),
            Blocks::Shared(BlockCache(cache)) => cache.clone(),
        }
    }
}

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks::Own(USUAL_CACHE)
    }
}

/// A bounded memory of blocks for several databases. Clones share it.
#[derive(Clone)]
pub struct BlockCache(Cache);

impl BlockCache {
    /// One of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> BlockCache {
        BlockCache(Cache::new_lru_cache(bytes))
    }

    /// Bytes that are in it now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.get_usage()
    }
}

impl std::fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockCache({} bytes)", self.bytes())
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { cache: Blocks::default(), unflushed: USUAL_UNFLUSHED }
    }
}

impl Memory {
    /// For a database of a few thousand rows.
    pub const LITTLE: Memory = Memory { cache: Blocks::Own(4 << 20), unflushed: 4 << 20 };

    /// Bytes that a table takes at a time for what is not flushed, where the usual (a megabyte) is too much: one of several
    /// databases has less for all its tables, and would flush at every row once each table had taken its first piece.
    pub(super) fn piece(&self) -> Option<usize> {
        match self.cache {
            Blocks::Own(_) => None,
            Blocks::Shared(_) => Some(self.unflushed / PIECES),
        }
    }
}
