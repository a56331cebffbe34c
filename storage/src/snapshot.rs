//! Snapshots: everything as it was at one moment, for rules (the state view) and for answers.

use std::ops::Range;
use std::sync::Arc;

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::codec::encode;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::multiset::Multiset;
use rota_chain::permission::Permission;
use rota_chain::transaction::Transaction;
use rota_consensus::state::{
    EntityKind, Holder, PermissionKey, PermissionRecord, StateError, StateKey, StateValue, StateView,
};

use crate::block::{BlockEntry, Tip, UndoBlock};
use crate::block_file::BlockFiles;
use crate::cache::{HotCache, is_hot};
use crate::error::{Result, StorageError};
use crate::key::Key;
use crate::kv::{self, Read};
use crate::table::{ACTIVE, BLOCK, BLOCK_AT, ENTITY, LOST, META, MULTISET, Meta, STATE, TIP, TRANSACTION};
use crate::transaction::TransactionLocation;

/// Bytes of a key hash or script hash with its tag, at the end of a permission's key.
const LOCK_BYTES: usize = 21;

/// Everything as it was at one moment. Clones share it. Not for keeping: it holds old versions on disk.
#[derive(Clone, Debug)]
pub struct Snapshot(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    view: kv::Snapshot,
    files: Arc<BlockFiles>,
    cache: Arc<HotCache>,
    generation: Option<u64>,
    tip: Option<Tip>,
}

/// Which entities to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityList {
    /// Streams.
    Streams,
    /// Assets.
    Assets,
    /// Variables.
    Variables,
    /// Upgrades.
    Upgrades,
}

impl EntityList {
    /// Every list.
    pub const ALL: [EntityList; 4] =
        [EntityList::Streams, EntityList::Assets, EntityList::Variables, EntityList::Upgrades];

    /// The list an entity of this kind stands in.
    #[must_use]
    pub const fn of(kind: &EntityKind) -> EntityList {
        match kind {
            EntityKind::Stream { .. } => EntityList::Streams,
            EntityKind::Asset { .. } => EntityList::Assets,
            EntityKind::Variable { .. } => EntityList::Variables,
            EntityKind::Upgrade { .. } => EntityList::Upgrades,
        }
    }

    /// The number it has in keys.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            EntityList::Streams => 0,
            EntityList::Assets => 1,
            EntityList::Variables => 2,
            EntityList::Upgrades => 3,
        }
    }
}

impl Snapshot {
    pub(crate) fn new(
        view: kv::Snapshot,
        files: Arc<BlockFiles>,
        cache: Arc<HotCache>,
        generation: Option<u64>,
    ) -> Result<Snapshot> {
        let tip = view.get(&TIP, &())?;
        Ok(Snapshot(Arc::new(Inner { view, files, cache, generation, tip })))
    }

    pub(crate) fn view(&self) -> &kv::Snapshot {
        &self.0.view
    }

    pub(crate) fn files(&self) -> &BlockFiles {
        &self.0.files
    }

    /// The block whose state this is, none before genesis.
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        self.0.tip
    }

    /// What tells this database from others, and from itself before a rebuild: positions in local order mean the same
    /// only under one mark.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn mark(&self) -> Result<u64> {
        Ok(self.view().get(&META, &Meta::Mark.key())?.unwrap_or(0))
    }

    /// The multiset hash over the state; of nothing before genesis.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn multiset(&self) -> Result<Multiset> {
        Ok(self.view().get(&MULTISET, &())?.unwrap_or_default())
    }

    /// The block of the active branch at a height.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn block_hash(&self, height: Height) -> Result<Option<BlockHash>> {
        self.view().get(&ACTIVE, &height)
    }

    /// Blocks of the active branch at ascending heights.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn block_hashes(&self, heights: Range<u32>) -> Result<Vec<BlockHash>> {
        let limit = heights.end.saturating_sub(heights.start) as usize;
        let rows = self.view().scan_from(&ACTIVE, &(), &Height(heights.start))?;
        rows.take(limit).map(|row| row.map(|(_, hash)| hash)).collect()
    }

    /// Whether a block is on the active branch.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn is_active(&self, hash: &BlockHash) -> Result<bool> {
        let Some(entry) = self.block_entry(hash)? else { return Ok(false) };
        Ok(self.block_hash(entry.height)? == Some(*hash))
    }

    /// What is known of a block on whatever branch.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn block_entry(&self, hash: &BlockHash) -> Result<Option<BlockEntry>> {
        self.view().get(&BLOCK, hash)
    }

    /// Where the branch of a block left the active one: the height of its last block that is on both. None if the block
    /// is not known. Looks at every block between.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn fork_height(&self, hash: &BlockHash) -> Result<Option<Height>> {
        let mut hash = *hash;
        loop {
            let Some(entry) = self.block_entry(&hash)? else { return Ok(None) };
            if self.block_hash(entry.height)? == Some(hash) {
                return Ok(Some(entry.height));
            }
            hash = entry.header.header.previous;
        }
    }

    /// Blocks known at a height on whatever branch.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn blocks_at(&self, height: Height) -> Result<Vec<BlockHash>> {
        self.view().scan(&BLOCK_AT, &height)?.map(|row| row.map(|((_, hash), ())| hash)).collect()
    }

    /// A block on whatever branch, none if its body is not here.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails or the block file is damaged.
    pub fn block(&self, hash: &BlockHash) -> Result<Option<Block>> {
        match self.block_entry(hash)?.and_then(|entry| entry.body) {
            Some(location) => self.files().read_block(location).map(Some),
            None => Ok(None),
        }
    }

    /// The canonical bytes of a block on whatever branch, none if its body is not here.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails or the block file is damaged.
    pub fn block_bytes(&self, hash: &BlockHash) -> Result<Option<Vec<u8>>> {
        match self.block_entry(hash)?.and_then(|entry| entry.body) {
            Some(location) => self.files().read_block_bytes(location).map(Some),
            None => Ok(None),
        }
    }

    /// How to undo a block, none if it was never applied.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails or the block file is damaged.
    pub fn undo(&self, hash: &BlockHash) -> Result<Option<UndoBlock>> {
        match self.block_entry(hash)?.and_then(|entry| entry.undo) {
            Some(location) => self.files().read_undo(location).map(Some),
            None => Ok(None),
        }
    }

    /// Where a transaction of the active branch stands.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn transaction_location(&self, txid: &Txid) -> Result<Option<TransactionLocation>> {
        self.view().get(&TRANSACTION, txid)
    }

    /// A transaction of the active branch.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails, or the block file holds another transaction there.
    pub fn transaction(&self, txid: &Txid) -> Result<Option<(Transaction, TransactionLocation)>> {
        let Some(location) = self.transaction_location(txid)? else { return Ok(None) };
        let (found, transaction) = self.files().read_transaction(&location)?;
        if found != *txid {
            return Err(StorageError::DamagedFile {
                file: location.place.file,
                offset: u64::from(location.place.offset),
                detail: format!("transaction {txid} should be here"),
            });
        }
        Ok(Some((transaction, location)))
    }

    /// A transaction that is listed in local order but neither on the active branch nor waiting any more.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn lost_transaction(&self, txid: &Txid) -> Result<Option<Transaction>> {
        self.view().get(&LOST, txid)
    }

    /// Number of entities of a list.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn entity_count(&self, list: EntityList) -> Result<u32> {
        entity_count(self.view(), list)
    }

    /// Entities of a list by position, in order of creation.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn entities(&self, list: EntityList, positions: Range<u32>) -> Result<Vec<Txid>> {
        let limit = positions.end.saturating_sub(positions.start) as usize;
        let rows = self.view().scan_from(&ENTITY, &list.number(), &(list.number(), positions.start))?;
        rows.take(limit).map(|row| row.map(|(_, txid)| txid)).collect()
    }

    /// All records of rights of the whole chain (none), or on one entity: by right, then by address.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn permissions(&self, entity: Option<Txid>) -> Result<Vec<(PermissionKey, PermissionRecord)>> {
        let mut prefix = permission_key(entity, Permission::Connect);
        prefix.pop();
        self.permission_rows(prefix)
    }

    fn permission_rows(&self, prefix: Vec<u8>) -> Result<Vec<(PermissionKey, PermissionRecord)>> {
        let rows = self.view().scan(&STATE, &prefix)?;
        rows.map(|row| match row? {
            (StateKey::Permission(key), StateValue::Permission(record)) => Ok((key, record)),
            (key, _) => Err(StorageError::Corrupt(format!("the value of state element {key:?}"))),
        })
        .collect()
    }

    /// Calls `visit` for every element of the state, in the order of keys' bytes.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn for_each_element(&self, mut visit: impl FnMut(StateKey, StateValue)) -> Result<()> {
        for row in self.view().scan(&STATE, &())? {
            let (key, value) = row?;
            visit(key, value);
        }
        Ok(())
    }
}

/// Number of entities of a list: dense positions, so one more than the last.
pub(crate) fn entity_count(read: &impl Read, list: EntityList) -> Result<u32> {
    match read.scan_back(&ENTITY, &list.number())?.next() {
        Some(row) => Ok(row?.0.1.saturating_add(1)),
        None => Ok(0),
    }
}

/// The bytes of a permission's key without the address.
fn permission_key(entity: Option<Txid>, permission: Permission) -> Vec<u8> {
    let address = Lock::Key(KeyHash([0; 20]));
    let mut bytes = StateKey::Permission(PermissionKey { entity, permission, address }).to_bytes();
    bytes.truncate(bytes.len().saturating_sub(LOCK_BYTES));
    debug_assert_eq!(encode(&address).len(), LOCK_BYTES, "a lock has a tag and 20 bytes");
    bytes
}

impl StateView for Snapshot {
    fn get(&self, key: &StateKey) -> std::result::Result<Option<StateValue>, StateError> {
        let Some(generation) = self.0.generation.filter(|_| is_hot(key)) else {
            return Ok(self.view().get(&STATE, key)?);
        };
        if let Some(value) = self.0.cache.get(generation, key) {
            return Ok(value);
        }
        let value = self.view().get(&STATE, key)?;
        self.0.cache.put(generation, key, &value);
        Ok(value)
    }

    fn holders(&self, entity: Option<Txid>, permission: Permission) -> std::result::Result<Vec<Holder>, StateError> {
        let rows = self.permission_rows(permission_key(entity, permission))?;
        Ok(rows.into_iter().map(|(key, record)| (key.address, record)).collect())
    }

    fn transaction_height(&self, txid: &Txid) -> std::result::Result<Option<Height>, StateError> {
        Ok(self.transaction_location(txid)?.map(|location| location.height))
    }
}
