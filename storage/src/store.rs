//! The store: databases and block files of one node, opened, read through snapshots and written by one writer.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::BlockHash;
use rota_crash::{Point, reached};
use tracing::warn;

use crate::block::{BlockEntry, Location, UndoBlock};
use crate::block_file::{self, BlockFiles};
use crate::cache::HotCache;
use crate::chunk::{self, ChunkSync};
use crate::error::{Result, StorageError};
use crate::index::wallet::{Members, read_members};
use crate::index::{Subject, SubscriptionRow};
use crate::kv::{Batch, Blocks, Database, Durability, Memory, MemoryTables, Read, USUAL_UNFLUSHED};
use crate::room::Room;
use crate::snapshot::Snapshot;
use crate::table::{ALL, BLOCK, BLOCK_AT, FORMAT, META, Meta, SUBSCRIPTION, TIP};

/// Bytes of a chunk database's own cache: its blobs are not cached.
const CHUNK_CACHE: usize = 4 << 20;

/// Where things are.
#[derive(Clone, Debug)]
pub struct StorePaths {
    /// Folder of the database. Off-chain chunks are beside it in `chunks`.
    pub database: PathBuf,
    /// Folder of block files.
    pub blocks: PathBuf,
}

impl StorePaths {
    /// Whether a chain is here that goes beyond its genesis block, by the block files or by the database's tip. Tells a
    /// chain from what a first start left that ended before the parameters were sealed; needs no parameters.
    ///
    /// # Errors
    /// [`StorageError`] if they cannot be read.
    pub fn hold_more_than_genesis(&self) -> Result<bool> {
        if block_file::hold_more_than_genesis(&self.blocks)? {
            return Ok(true);
        }
        if !self.database.exists() {
            return Ok(false);
        }
        match Database::open(&self.database, ALL, Memory::LITTLE).and_then(|database| database.get(&TIP, &())) {
            Ok(tip) => Ok(tip.is_some_and(|tip| tip.height > Height(0))),
            // It could be made anew only from block files, which hold nothing.
            Err(StorageError::Corrupt(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn chunks(&self) -> PathBuf {
        self.database.with_file_name("chunks")
    }

    /// Where the old database stands from the moment that a rebuild begins until the new one says that it is under way.
    fn aside(&self) -> PathBuf {
        self.database.with_extension("old")
    }
}

/// What a store in memory keeps apart from block files. It outlives the store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    /// Of what can be rebuilt from block files.
    pub database: MemoryTables,
    /// Of off-chain data.
    pub chunks: MemoryTables,
}

/// How to open.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Empties the database first; the caller applies again what [`Store::for_each_stored_block`] gives, and then calls
    /// [`Store::finish_rebuild`].
    /// Subscriptions stay if they can still be read, and local order becomes chain order.
    pub reindex: bool,
    /// What holds what was read from the database.
    pub cache: Blocks,
    /// Bytes written to the database and not yet flushed; none for the usual.
    pub unflushed: Option<usize>,
    /// Bytes of the disk that are to stay free, 0 not to look. See [`Store::check_room`].
    pub least_free: u64,
    /// A number drawn at random by the caller: the mark of the database, if it is made now. See [`Snapshot::mark`].
    pub mark: u64,
}

impl OpenOptions {
    fn memory(&self) -> Memory {
        Memory { cache: self.cache.clone(), unflushed: self.unflushed.unwrap_or(USUAL_UNFLUSHED) }
    }

    /// Of the chunk database, which writes one chunk at a time.
    fn chunk_memory(&self) -> Memory {
        let cache = match &self.cache {
            Blocks::Own(_) => Blocks::Own(CHUNK_CACHE),
            shared @ Blocks::Shared(_) => shared.clone(),
        };
        Memory { cache, unflushed: self.memory().unflushed / 2 }
    }
}

/// What one node keeps. Shared by reference; writes take turns, readers take snapshots and do not wait.
#[derive(Debug)]
pub struct Store {
    database: Database,
    chunks: Database,
    files: Arc<BlockFiles>,
    cache: Arc<HotCache>,
    writer: Mutex<WriterState>,
    chunk_writer: Mutex<()>,
    chunk_sync: ChunkSync,
    room: Room,
}

/// What the writer remembers between writes.
#[derive(Debug, Default)]
pub(crate) struct WriterState {
    pub(crate) subscriptions: HashMap<Subject, SubscriptionRow>,
    /// Addresses of the wallet's index, by its number.
    pub(crate) members: Members,
}

impl Store {
    /// Opens what is there, or makes it.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-locked`, `storage-corrupt`, `storage-format`, `storage-full`, `storage-read-only`.
    pub fn open(paths: &StorePaths, options: OpenOptions) -> Result<Store> {
        // A rebuild may have been broken off before the new database said so.
        let begins = options.reindex || paths.aside().exists();
        let options = OpenOptions { reindex: begins, ..options };
        let kept = if begins { set_aside(paths)? } else { Vec::new() };
        let database = Database::open(&paths.database, ALL, options.memory())?;
        if !options.reindex && is_ahead_of_files(&database, &BlockFiles::open(&paths.blocks)?)? {
            warn!(
                "the block files do not hold the last blocks, as after a loss of power: the database is rebuilt from the \
                 block files, what is missing comes again from peers"
            );
            drop(database);
            return Store::open(paths, OpenOptions { reindex: true, ..options });
        }
        let chunks = chunk::open(&paths.chunks(), options.reindex, &options.chunk_memory())?;
        let store = Store::over(database, chunks, &paths.blocks, &options, &kept)?;
        if begins {
            Database::destroy(&paths.aside())?;
        }
        Ok(store)
    }

    /// A store whose databases are tables in memory; block files are in the folder `blocks` all the same.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn in_memory(tables: &MemoryStore, blocks: &Path) -> Result<Store> {
        let database = Database::in_memory(tables.database.clone());
        let chunks = Database::in_memory(tables.chunks.clone());
        let rebuilds = is_ahead_of_files(&database, &BlockFiles::open(blocks)?)?;
        if rebuilds {
            tables.database.clear();
        }
        let options = OpenOptions { reindex: rebuilds, ..OpenOptions::default() };
        Store::over(database, chunks, blocks, &options, &[])
    }

    fn over(
        database: Database,
        chunks: Database,
        blocks: &Path,
        options: &OpenOptions,
        kept: &[(Subject, SubscriptionRow)],
    ) -> Result<Store> {
        let fresh = check_format(&database)?;
        let files = BlockFiles::open(blocks)?;
        if fresh && !options.reindex && !files.is_empty()? {
            return Err(StorageError::Corrupt("it is missing, though there are block files".to_owned()));
        }
        let mut batch = database.batch();
        batch.put(&META, &Meta::Format.key(), &FORMAT)?;
        if !database.has(&META, &Meta::Mark.key())? {
            batch.put(&META, &Meta::Mark.key(), &options.mark)?;
        }
        if options.reindex {
            batch.put(&META, &Meta::Rebuilding.key(), &1)?;
        }
        for (subject, row) in kept {
            batch.put(&SUBSCRIPTION, subject, row)?;
        }
        if let Some(next) = kept.iter().map(|(_, row)| u64::from(row.id) + 1).max() {
            batch.put(&META, &Meta::NextSubscription.key(), &next)?;
        }
        database.write(batch, Durability::Synced)?;
        reached(Point::DatabaseMarked);
        let subscriptions = database.scan(&SUBSCRIPTION, &())?.collect::<Result<_>>()?;
        let members = read_members(&database)?;
        Ok(Store {
            database,
            chunks,
            files: Arc::new(files),
            cache: Arc::new(HotCache::new()),
            writer: Mutex::new(WriterState { subscriptions, members }),
            chunk_writer: Mutex::new(()),
            chunk_sync: ChunkSync::default(),
            room: Room::new(blocks, options.least_free),
        })
    }

    /// A view of everything as it is now, tip and state and indexes together.
    ///
    /// # Errors
    /// [`StorageError`] if the tip cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let before = self.cache.generation();
        let view = self.database.snapshot();
        let generation = before.filter(|before| self.cache.generation() == Some(*before));
        Snapshot::new(view, self.files.clone(), self.cache.clone(), generation)
    }

    /// Refuses while the disk has less free than is to stay free: asked before anything is taken in that may be refused.
    ///
    /// # Errors
    /// `storage-low`.
    pub fn check_room(&self) -> Result<()> {
        self.room.check()
    }

    /// As [`Store::check_room`], for what is no part of the ledger: refused at twice as much.
    ///
    /// # Errors
    /// [`StorageError::Low`].
    pub fn check_spare_room(&self) -> Result<()> {
        self.room.check_spare()
    }

    pub(crate) fn files(&self) -> &BlockFiles {
        &self.files
    }

    /// Appends a block to the block files. Not safe from power loss before [`Store::sync_files`].
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails or is full.
    pub fn append_block(&self, block: &Block) -> Result<Location> {
        self.files.append_block(block)
    }

    /// As [`Store::append_block`], of the block's canonical bytes.
    ///
    /// # Errors
    /// As [`Store::append_block`].
    pub fn append_block_bytes(&self, bytes: &[u8]) -> Result<Location> {
        self.files.append_block_bytes(bytes)
    }

    /// Appends a block's undo data. Not safe from power loss before [`Store::sync_files`].
    ///
    /// # Errors
    /// As [`Store::append_block`].
    pub fn append_undo(&self, undo: &UndoBlock) -> Result<Location> {
        self.files.append_undo(undo)
    }

    /// Makes what was appended safe from power loss: before the commit that refers to it.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn sync_files(&self) -> Result<()> {
        self.files.sync()
    }

    /// A block by its location.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-damaged-file` if it is not whole.
    pub fn read_block(&self, location: Location) -> Result<Block> {
        self.files.read_block(location)
    }

    /// A block's canonical bytes by its location.
    ///
    /// # Errors
    /// As [`Store::read_block`].
    pub fn read_block_bytes(&self, location: Location) -> Result<Vec<u8>> {
        self.files.read_block_bytes(location)
    }

    /// A block's undo data by its location.
    ///
    /// # Errors
    /// As [`Store::read_block`].
    pub fn read_undo(&self, location: Location) -> Result<UndoBlock> {
        self.files.read_undo(location)
    }

    /// Calls `visit` for every whole block of the block files in the order written, whatever the database says of it.
    ///
    /// # Errors
    /// The first error of `visit`, or [`StorageError`] if a file cannot be read.
    pub fn for_each_stored_block<E: From<StorageError>>(
        &self,
        visit: impl FnMut(Location, Block) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.files.for_each_block(visit)
    }

    /// As [`Store::for_each_stored_block`], of the blocks appended after those of the tip: such that the database does not
    /// know, if it lost what it had of them.
    ///
    /// # Errors
    /// As [`Store::for_each_stored_block`].
    pub fn for_each_block_after_tip<E: From<StorageError>>(
        &self,
        visit: impl FnMut(Location, Block) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let tip = self.database.get(&TIP, &())?;
        let entry = tip.map(|tip| self.block_entry(&tip.hash)).transpose()?.flatten();
        let Some(place) = entry.and_then(|entry| entry.undo.or(entry.body)) else { return Ok(()) };
        self.files.for_each_block_after(place, visit)
    }

    /// What is known of a block.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn block_entry(&self, hash: &BlockHash) -> Result<Option<BlockEntry>> {
        self.database.get(&BLOCK, hash)
    }

    /// Notes what is known of a block. Survives the end of the process; safe from power loss with the next commit.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn put_block_entry(&self, hash: &BlockHash, entry: &BlockEntry) -> Result<()> {
        self.put_block_entries(std::slice::from_ref(&(*hash, entry.clone())))
    }

    /// Notes what is known of several blocks, as a whole.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn put_block_entries(&self, entries: &[(BlockHash, BlockEntry)]) -> Result<()> {
        let mut batch = self.database.batch();
        for (hash, entry) in entries {
            put_entry(&mut batch, hash, entry)?;
        }
        self.database.write(batch, Durability::Written)?;
        reached(Point::EntryNoted);
        Ok(())
    }

    /// Every block known, in order of id.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn all_block_entries(&self) -> Result<impl Iterator<Item = Result<(BlockHash, BlockEntry)>> + '_> {
        self.database.scan(&BLOCK, &())
    }

    /// Every block known from `height` on, on whatever branch, in order of height.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn block_entries_from(
        &self,
        height: Height,
    ) -> Result<impl Iterator<Item = Result<(BlockHash, BlockEntry)>> + '_> {
        let rows = self.database.scan_from(&BLOCK_AT, &(), &(height, BlockHash::ZERO))?;
        Ok(rows.map(|row| {
            let ((_, hash), ()) = row?;
            let entry = self.block_entry(&hash)?;
            Ok((hash, entry.ok_or_else(|| StorageError::Corrupt(format!("no entry of block {hash}")))?))
        }))
    }

    /// Whether the database was emptied and does not hold yet what the block files hold: also after the rebuild was
    /// broken off.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn is_rebuilding(&self) -> Result<bool> {
        Ok(self.database.get(&META, &Meta::Rebuilding.key())?.is_some())
    }

    /// Notes, safe from power loss, that the database holds again what the block files hold.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn finish_rebuild(&self) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&META, &Meta::Rebuilding.key())?;
        self.database.write(batch, Durability::Synced)?;
        reached(Point::RebuildFinished);
        Ok(())
    }

    /// Notes, safe from power loss, how long the journal is now that the node ends: a shorter one was cut since.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn note_journal(&self, bytes: u64) -> Result<()> {
        let mut batch = self.database.batch();
        batch.put(&META, &Meta::Journal.key(), &bytes)?;
        self.database.write(batch, Durability::Synced)
    }

    /// What [`Store::note_journal`] noted when the node ended, if it did not die.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn journal_note(&self) -> Result<Option<u64>> {
        self.database.get(&META, &Meta::Journal.key())
    }

    /// Forgets the note: the journal is about to change.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn forget_journal_note(&self) -> Result<()> {
        let mut batch = self.database.batch();
        batch.delete(&META, &Meta::Journal.key())?;
        self.database.write(batch, Durability::Synced)
    }

    /// Makes all writes to the database so far safe from power loss.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn sync(&self) -> Result<()> {
        self.database.sync()
    }

    /// Flushes and compacts all tables, for measurements of size.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn compact(&self) -> Result<()> {
        self.database.compact(ALL)
    }

    pub(crate) const fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) const fn chunks(&self) -> &Database {
        &self.chunks
    }

    pub(crate) const fn cache(&self) -> &Arc<HotCache> {
        &self.cache
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, WriterState> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn chunk_sync(&self) -> &ChunkSync {
        &self.chunk_sync
    }

    pub(crate) fn chunk_writer(&self) -> MutexGuard<'_, ()> {
        self.chunk_writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn put_entry(batch: &mut Batch, hash: &BlockHash, entry: &BlockEntry) -> Result<()> {
    batch.put(&BLOCK, hash, entry)?;
    batch.put(&BLOCK_AT, &(entry.height, *hash), &())
}

/// Whether the tip's bytes, which were appended last, are not in the files: while a node catches up syncs are shared
/// among blocks, and after a power cut the database may have kept more than the files.
fn is_ahead_of_files(database: &Database, files: &BlockFiles) -> Result<bool> {
    let Some(tip) = database.get(&TIP, &())? else { return Ok(false) };
    let Some(entry) = database.get(&BLOCK, &tip.hash)? else { return Ok(false) };
    let body = entry.body.map(|place| files.read_block(place).map(|block| block.hash() == tip.hash));
    let undo = entry.undo.map(|place| files.read_undo(place).map(|_| true));
    for read in [body, undo].into_iter().flatten() {
        match read {
            Ok(true) => {}
            Ok(false) | Err(StorageError::DamagedFile { .. }) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Refuses a database of another format; true if there is none yet.
fn check_format(database: &Database) -> Result<bool> {
    match database.get(&META, &Meta::Format.key())? {
        Some(FORMAT) => Ok(false),
        Some(found) => Err(StorageError::Format { found, known: FORMAT }),
        None => Ok(true),
    }
}

/// Moves the database out of the way of a new one; gives back its subscriptions as far as they can be read. Until the new
/// one is noted to be under way, the same can be done again.
fn set_aside(paths: &StorePaths) -> Result<Vec<(Subject, SubscriptionRow)>> {
    let (database, aside) = (&paths.database, &paths.aside());
    if aside.exists() {
        Database::destroy(database)?;
        return kept_rows(aside);
    }
    let kept = kept_rows(database)?;
    if database.exists() {
        rename(database, aside)?;
    }
    reached(Point::DatabaseEmptied);
    tracing::info!(subscriptions = kept.len(), "subscriptions that are kept");
    Ok(kept)
}

/// Gives a database's folder another name.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| StorageError::from_io("cannot rename the folder", from, &error))
}

/// The subscriptions of a database as far as they can be read.
fn kept_rows(path: &Path) -> Result<Vec<(Subject, SubscriptionRow)>> {
    let mut kept = Vec::new();
    if !path.exists() {
        return Ok(kept);
    }
    match Database::open(path, ALL, Memory::LITTLE) {
        Ok(old) => match old.scan(&SUBSCRIPTION, &()) {
            Ok(rows) => kept.extend(rows.filter_map(Result::ok).filter_map(kept_row)),
            Err(error) => warn!(%error, "subscriptions cannot be kept"),
        },
        Err(StorageError::Locked(path)) => return Err(StorageError::Locked(path)),
        Err(error) => warn!(%error, "subscriptions cannot be kept"),
    }
    Ok(kept)
}

/// The subscription for a database that is filled again, none of the wallet: it is made anew from its keys.
fn kept_row((subject, row): (Subject, SubscriptionRow)) -> Option<(Subject, SubscriptionRow)> {
    match subject {
        Subject::Wallet | Subject::WalletAnew => None,
        Subject::Entity(_) | Subject::Explorer => Some((subject, row.restarted())),
    }
}

#[cfg(test)]
mod tests;
