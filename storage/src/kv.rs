//! A thin typed layer over RocksDB: databases, tables, atomic batches, snapshots and scans. Knows no content, so that
//! other floors may keep databases of their own with it. Tables may be in memory instead (`memory`).

mod budget;
mod memory;

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBPinnableSlice, DBRawIteratorWithThreadMode, Options, PrefixRange, ReadOptions, WriteBatch, WriteOptions,
};
use rota_chain::codec::{decode, encode};
use self_cell::self_cell;

pub use budget::{BlockCache, Blocks, Memory, USUAL_CACHE, USUAL_UNFLUSHED};
pub use memory::MemoryTables;

use crate::error::{Result, StorageError};
use crate::key::Key;
use crate::sync_count;
use memory::{MemoryRows, MemorySnapshot, Write, end_of};

/// Bytes of log after which RocksDB flushes tables that hold it back: what a start after a crash replays at most.
const LOG_BYTES: u64 = 64 << 20;
/// Files RocksDB keeps open: far below the usual limit of 1,024 a process.
const OPEN_FILES: i32 = 256;
/// Bits a key of Bloom filters: one false positive in a hundred.
const BLOOM_BITS: f64 = 10.0;
/// Share of unflushed memory that filters of probed tables take: a search among rows in memory costs more than they do.
const MEMORY_BLOOM_SHARE: f64 = 0.02;
/// Values from this size on are kept in blob files in tables of large values, so that compaction does not copy them.
const BLOB_BYTES: u64 = 4 << 10;

/// How a table's values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Small values.
    Small,
    /// Small values, asked for by keys that are mostly not there.
    Probed,
    /// Values of many kilobytes.
    Large,
}

/// Name and profile of a table, without its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// The column family.
    pub name: &'static str,
    /// How values are kept.
    pub profile: Profile,
}

/// A table: a column family with the types of its keys and values.
pub struct Table<K, V> {
    spec: TableSpec,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Table<K, V> {
    /// A table of small values.
    #[must_use]
    pub const fn new(name: &'static str) -> Table<K, V> {
        Table { spec: TableSpec { name, profile: Profile::Small }, types: PhantomData }
    }

    /// A table of small values that is mostly asked for keys it does not have.
    #[must_use]
    pub const fn probed(name: &'static str) -> Table<K, V> {
        Table { spec: TableSpec { name, profile: Profile::Probed }, types: PhantomData }
    }

    /// A table of large values.
    #[must_use]
    pub const fn large(name: &'static str) -> Table<K, V> {
        Table { spec: TableSpec { name, profile: Profile::Large }, types: PhantomData }
    }

    /// Name and profile.
    #[must_use]
    pub const fn spec(&self) -> TableSpec {
        self.spec
    }
}

impl<K, V> std::fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.spec.name)
    }
}

/// Something that can be a value: canonical bytes.
pub trait Value: BorshSerialize + BorshDeserialize {}

impl<T: BorshSerialize + BorshDeserialize> Value for T {}

/// Whether a write waits until it is safe from power loss. All writes survive the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Returns once the disk has it.
    Synced,
    /// Returns once the operating system has it.
    Written,
}

/// Where the rows are.
enum Engine {
    Disk(DB),
    Memory(MemoryTables),
}

struct Inner {
    engine: Engine,
    path: PathBuf,
}

impl Inner {
    fn column<'a>(&self, db: &'a DB, spec: TableSpec) -> Result<&'a ColumnFamily> {
        db.cf_handle(spec.name).ok_or_else(|| StorageError::Corrupt(format!("table {} is missing", spec.name)))
    }

    fn disk_column(&self, spec: TableSpec) -> Result<&ColumnFamily> {
        match &self.engine {
            Engine::Disk(db) => self.column(db, spec),
            Engine::Memory(_) => Err(StorageError::Order("the tables are in memory".to_owned())),
        }
    }

    fn error(&self, error: &rocksdb::Error) -> StorageError {
        StorageError::from_rocksdb(&self.path, error)
    }
}

/// An open database. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({})", self.0.path.display())
    }
}

impl Database {
    /// Opens the database in the folder `path`, or makes it. `tables` must name every table it has.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-locked`, `storage-corrupt`, `storage-full`, `storage-read-only`; `storage-format` if
    /// there are tables that `tables` does not name.
    pub fn open(path: &Path, tables: &[TableSpec], memory: Memory) -> Result<Database> {
        std::fs::create_dir_all(path).map_err(|error| StorageError::from_io("cannot make the folder", path, &error))?;
        let options = database_options(&memory);
        check_names(path, &options, tables)?;
        let cache = memory.cache.open();
        let columns = tables
            .iter()
            .map(|spec| ColumnFamilyDescriptor::new(spec.name, table_options(spec.profile, &cache, &memory)));
        let db = DB::open_cf_descriptors(&options, path, columns)
            .map_err(|error| StorageError::from_rocksdb(path, &error))?;
        Ok(Database(Arc::new(Inner { engine: Engine::Disk(db), path: path.to_path_buf() })))
    }

    /// A database over tables in memory.
    #[must_use]
    pub fn in_memory(tables: MemoryTables) -> Database {
        Database(Arc::new(Inner { engine: Engine::Memory(tables), path: PathBuf::from("memory") }))
    }

    /// Removes the database in the folder `path`, if there is one.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-locked` if it is open.
    pub fn destroy(path: &Path) -> Result<()> {
        if !path.exists() {
            return Ok(());
        }
        DB::destroy(&Options::default(), path).map_err(|error| StorageError::from_rocksdb(path, &error))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        let writes = match &self.0.engine {
            Engine::Disk(_) => Writes::Disk(WriteBatch::default()),
            Engine::Memory(_) => Writes::Memory(Vec::new()),
        };
        Batch { database: self.0.clone(), writes }
    }

    /// Writes a batch as a whole.
    ///
    /// # Errors
    /// [`StorageError`]; then nothing of the batch was written.
    pub fn write(&self, batch: Batch, durability: Durability) -> Result<()> {
        match (&self.0.engine, batch.writes) {
            (Engine::Disk(db), Writes::Disk(writes)) => {
                let mut options = WriteOptions::default();
                if durability == Durability::Synced {
                    options.set_sync(true);
                    sync_count::note();
                }
                db.write_opt(writes, &options).map_err(|error| self.0.error(&error))
            }
            (Engine::Memory(tables), Writes::Memory(writes)) => tables.write(writes, durability),
            _ => Err(StorageError::Order("the batch is of another database".to_owned())),
        }
    }

    /// Makes all writes so far safe from power loss.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn sync(&self) -> Result<()> {
        match &self.0.engine {
            Engine::Disk(db) => {
                sync_count::note();
                db.flush_wal(true).map_err(|error| self.0.error(&error))
            }
            Engine::Memory(tables) => {
                tables.sync();
                Ok(())
            }
        }
    }

    /// A view of the database as it is now, which later writes do not change.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(SnapshotCell::new(self.0.clone(), |inner| match &inner.engine {
            Engine::Disk(db) => Look::Disk(db.snapshot()),
            Engine::Memory(tables) => Look::Memory(tables.snapshot()),
        }))
    }

    /// Moves what is in memory to table files and rewrites those, for measurements of size.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn compact(&self, tables: &[TableSpec]) -> Result<()> {
        let Engine::Disk(db) = &self.0.engine else { return Ok(()) };
        for spec in tables {
            let column = self.0.column(db, *spec)?;
            db.flush_cf(column).map_err(|error| self.0.error(&error))?;
            db.compact_range_cf(column, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }
}

fn check_names(path: &Path, options: &Options, tables: &[TableSpec]) -> Result<()> {
    if !path.join("CURRENT").exists() {
        return Ok(());
    }
    let found = DB::list_cf(options, path).map_err(|error| StorageError::from_rocksdb(path, &error))?;
    let known: BTreeSet<&str> = tables.iter().map(|spec| spec.name).collect();
    match found.iter().find(|name| name.as_str() != "default" && !known.contains(name.as_str())) {
        Some(name) => Err(StorageError::Io {
            what: format!("the database {}", path.display()),
            detail: format!("has a table {name:?} that this program does not know: a newer program made it"),
        }),
        None => Ok(()),
    }
}

fn database_options(memory: &Memory) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_db_write_buffer_size(memory.unflushed);
    options.set_max_total_wal_size(LOG_BYTES);
    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(2);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_bytes_per_sync(1 << 20);
    // A log that was synced and is missing or shorter now is noticed.
    options.set_track_and_verify_wals_in_manifest(true);
    options
}

fn table_options(profile: Profile, cache: &Cache, memory: &Memory) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_bloom_filter(BLOOM_BITS, false);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In pieces: the filter of a whole file would not fit a shard of the cache, and be read anew for every look.
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(4 << 10);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_block_size(8 << 10);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(memory.unflushed / 2);
    if let Some(bytes) = memory.piece() {
        options.set_arena_block_size(bytes);
    }
    options.set_level_compaction_dynamic_level_bytes(true);
    match profile {
        Profile::Small => {}
        Profile::Probed => {
            options.set_memtable_whole_key_filtering(true);
            options.set_memtable_prefix_bloom_ratio(MEMORY_BLOOM_SHARE);
        }
        Profile::Large => {
            options.set_enable_blob_files(true);
            options.set_min_blob_size(BLOB_BYTES);
            options.set_enable_blob_gc(true);
        }
    }
    options
}

/// Changes that are written as a whole by [`Database::write`] or not at all.
#[must_use = "a batch does nothing until it is written"]
pub struct Batch {
    database: Arc<Inner>,
    writes: Writes,
}

enum Writes {
    Disk(WriteBatch),
    Memory(Vec<Write>),
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = match &self.writes {
            Writes::Disk(writes) => writes.len(),
            Writes::Memory(writes) => writes.len(),
        };
        write!(f, "Batch({count} writes)")
    }
}

impl Batch {
    /// Sets a row.
    ///
    /// # Errors
    /// [`StorageError`] if the table is not one of this database.
    pub fn put<K: Key, V: Value>(&mut self, table: &Table<K, V>, key: &K, value: &V) -> Result<()> {
        let (key, value) = (key.to_bytes(), encode(value));
        match &mut self.writes {
            Writes::Disk(writes) => writes.put_cf(self.database.disk_column(table.spec)?, key, value),
            Writes::Memory(writes) => writes.push(Write::Put(table.spec.name, key, value)),
        }
        Ok(())
    }

    /// Removes a row, if it is there.
    ///
    /// # Errors
    /// [`StorageError`] if the table is not one of this database.
    pub fn delete<K: Key, V: Value>(&mut self, table: &Table<K, V>, key: &K) -> Result<()> {
        match &mut self.writes {
            Writes::Disk(writes) => writes.delete_cf(self.database.disk_column(table.spec)?, key.to_bytes()),
            Writes::Memory(writes) => writes.push(Write::Delete(table.spec.name, key.to_bytes())),
        }
        Ok(())
    }

    /// Removes all rows whose key begins with `prefix`, which must not be all ones.
    ///
    /// # Errors
    /// [`StorageError`] if the table is not one of this database.
    pub fn delete_prefix<K: Key, V: Value, P: Key>(&mut self, table: &Table<K, V>, prefix: &P) -> Result<()> {
        let first = prefix.to_bytes();
        let end = end_of(&first).ok_or(StorageError::Limit {
            what: "prefix of a range to delete",
            got: u64::MAX,
            limit: u64::MAX - 1,
        })?;
        match &mut self.writes {
            Writes::Disk(writes) => writes.delete_range_cf(self.database.disk_column(table.spec)?, first, end),
            Writes::Memory(writes) => writes.push(Write::DeleteRange(table.spec.name, first, end)),
        }
        Ok(())
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.writes {
            Writes::Disk(writes) => writes.is_empty(),
            Writes::Memory(writes) => writes.is_empty(),
        }
    }

    /// Bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        match &self.writes {
            Writes::Disk(writes) => writes.size_in_bytes(),
            Writes::Memory(writes) => writes.iter().map(Write::size).sum(),
        }
    }
}

/// What a snapshot looks at.
enum Look<'a> {
    Disk(rocksdb::Snapshot<'a>),
    Memory(MemorySnapshot),
}

self_cell!(
    struct SnapshotCell {
        owner: Arc<Inner>,

        #[covariant]
        dependent: Look,
    }
);

/// A view of the database at one moment. Holds old versions on disk while it lives: not for keeping.
pub struct Snapshot(SnapshotCell);

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({})", self.0.borrow_owner().path.display())
    }
}

/// The bytes of a row, as they lie in the database.
pub enum Bytes<'a> {
    /// In a block of a table file.
    Disk(DBPinnableSlice<'a>),
    /// In memory.
    Memory(Arc<[u8]>),
}

impl std::ops::Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Disk(bytes) => bytes,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

/// Reading: the database as it is now, or a snapshot.
pub trait Read {
    /// The bytes of a row.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    fn raw(&self, spec: TableSpec, key: &[u8]) -> Result<Option<Bytes<'_>>>;

    /// Rows in the order of their keys' bytes, from `from` within keys that begin with `prefix`.
    ///
    /// # Errors
    /// [`StorageError`] if the table is not one of this database.
    fn rows(&self, spec: TableSpec, prefix: Vec<u8>, from: Start) -> Result<Rows<'_>>;

    /// The value of a key.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails or the bytes are not a value.
    fn get<K: Key, V: Value>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>> {
        match self.raw(table.spec, &key.to_bytes())? {
            Some(bytes) => decode_value(table.spec, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Whether a key has a row.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    fn has<K: Key, V: Value>(&self, table: &Table<K, V>, key: &K) -> Result<bool> {
        Ok(self.raw(table.spec, &key.to_bytes())?.is_some())
    }

    /// All rows whose key begins with `prefix`, in order; `&()` for all.
    ///
    /// # Errors
    /// [`StorageError`] if the table is not one of this database.
    fn scan<K: Key, V: Value, P: Key>(&self, table: &Table<K, V>, prefix: &P) -> Result<Scan<'_, K, V>> {
        let rows = self.rows(table.spec, prefix.to_bytes(), Start::First)?;
        Ok(Scan { rows, spec: table.spec, types: PhantomData })
    }

    /// As [`Read::scan`], beginning at `from`.
    ///
    /// # Errors
    /// [`StorageError`] if the table is not one of this database.
    fn scan_from<K: Key, V: Value, P: Key>(&self, table: &Table<K, V>, prefix: &P, from: &K) -> Result<Scan<'_, K, V>> {
        let rows = self.rows(table.spec, prefix.to_bytes(), Start::At(from.to_bytes()))?;
        Ok(Scan { rows, spec: table.spec, types: PhantomData })
    }

    /// As [`Read::scan`], last row first.
    ///
    /// # Errors
    /// [`StorageError`] if the table is not one of this database.
    fn scan_back<K: Key, V: Value, P: Key>(&self, table: &Table<K, V>, prefix: &P) -> Result<Scan<'_, K, V>> {
        let rows = self.rows(table.spec, prefix.to_bytes(), Start::Last)?;
        Ok(Scan { rows, spec: table.spec, types: PhantomData })
    }
}

/// Where rows begin.
#[derive(Clone, Debug)]
pub enum Start {
    /// At the first one, going up.
    First,
    /// At the last one, going down.
    Last,
    /// At this key or the next one there is, going up.
    At(Vec<u8>),
}

impl Read for Database {
    fn raw(&self, spec: TableSpec, key: &[u8]) -> Result<Option<Bytes<'_>>> {
        match &self.0.engine {
            Engine::Disk(db) => {
                let found = db.get_pinned_cf(self.0.column(db, spec)?, key).map_err(|error| self.0.error(&error))?;
                Ok(found.map(Bytes::Disk))
            }
            Engine::Memory(tables) => Ok(tables.get(spec.name, key, None).map(Bytes::Memory)),
        }
    }

    fn rows(&self, spec: TableSpec, prefix: Vec<u8>, from: Start) -> Result<Rows<'_>> {
        match &self.0.engine {
            Engine::Disk(db) => {
                let rows = db.raw_iterator_cf_opt(self.0.column(db, spec)?, bounded(prefix));
                Ok(Rows::on_disk(rows, &from, &self.0.path))
            }
            Engine::Memory(tables) => Ok(Rows(Walk::Memory(tables.rows(spec, prefix, &from, None)))),
        }
    }
}

impl Read for Snapshot {
    fn raw(&self, spec: TableSpec, key: &[u8]) -> Result<Option<Bytes<'_>>> {
        let inner = self.0.borrow_owner();
        match self.0.borrow_dependent() {
            Look::Disk(snapshot) => {
                let found =
                    snapshot.get_pinned_cf(inner.disk_column(spec)?, key).map_err(|error| inner.error(&error))?;
                Ok(found.map(Bytes::Disk))
            }
            Look::Memory(look) => Ok(look.tables.get(spec.name, key, Some(look.version)).map(Bytes::Memory)),
        }
    }

    fn rows(&self, spec: TableSpec, prefix: Vec<u8>, from: Start) -> Result<Rows<'_>> {
        let inner = self.0.borrow_owner();
        match self.0.borrow_dependent() {
            Look::Disk(snapshot) => {
                let rows = snapshot.raw_iterator_cf_opt(inner.disk_column(spec)?, bounded(prefix));
                Ok(Rows::on_disk(rows, &from, &inner.path))
            }
            Look::Memory(look) => Ok(Rows(Walk::Memory(look.tables.rows(spec, prefix, &from, Some(look.version))))),
        }
    }
}

fn bounded(prefix: Vec<u8>) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_range(PrefixRange(prefix));
    options
}

fn decode_value<V: Value>(spec: TableSpec, bytes: &[u8]) -> Result<V> {
    decode(bytes).map_err(|error| StorageError::Corrupt(format!("a value of table {}: {error}", spec.name)))
}

/// Rows as bytes.
pub struct Rows<'a>(Walk<'a>);

enum Walk<'a> {
    Disk(Box<DiskRows<'a>>),
    Memory(MemoryRows),
}

struct DiskRows<'a> {
    rows: DBRawIteratorWithThreadMode<'a, DB>,
    back: bool,
    failed: bool,
    path: &'a Path,
}

impl<'a> Rows<'a> {
    fn on_disk(mut rows: DBRawIteratorWithThreadMode<'a, DB>, from: &Start, path: &'a Path) -> Rows<'a> {
        match from {
            Start::First => rows.seek_to_first(),
            Start::Last => rows.seek_to_last(),
            Start::At(key) => rows.seek(key),
        }
        Rows(Walk::Disk(Box::new(DiskRows { rows, back: matches!(from, Start::Last), failed: false, path })))
    }

    /// Reads the next row where it lies: nothing is copied but what `read` takes.
    fn next_with<T>(&mut self, read: impl FnOnce(&[u8], &[u8]) -> T) -> Option<Result<T>> {
        match &mut self.0 {
            Walk::Disk(disk) => disk.next_with(read),
            Walk::Memory(rows) => rows.next().map(|(key, value)| Ok(read(&key, &value))),
        }
    }
}

impl DiskRows<'_> {
    fn next_with<T>(&mut self, read: impl FnOnce(&[u8], &[u8]) -> T) -> Option<Result<T>> {
        let Some((key, value)) = self.rows.item().filter(|_| !self.failed) else {
            let failed = std::mem::replace(&mut self.failed, true);
            let error = self.rows.status().err().filter(|_| !failed)?;
            return Some(Err(StorageError::from_rocksdb(self.path, &error)));
        };
        let taken = read(key, value);
        if self.back {
            self.rows.prev();
        } else {
            self.rows.next();
        }
        Some(Ok(taken))
    }
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rows")
    }
}

/// Bytes of a row's key and value.
pub type RawRow = (Box<[u8]>, Box<[u8]>);

impl Iterator for Rows<'_> {
    type Item = Result<RawRow>;

    fn next(&mut self) -> Option<Result<RawRow>> {
        self.next_with(|key, value| (Box::from(key), Box::from(value)))
    }
}

/// Rows with their types.
#[derive(Debug)]
pub struct Scan<'a, K, V> {
    rows: Rows<'a>,
    spec: TableSpec,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> Iterator for Scan<'_, K, V> {
    type Item = Result<(K, V)>;

    fn next(&mut self) -> Option<Result<(K, V)>> {
        let spec = self.spec;
        let read = |key: &[u8], value: &[u8]| {
            let key = K::from_bytes(key).ok_or_else(|| StorageError::Corrupt(format!("a key of table {}", spec.name)));
            Ok((key?, decode_value(spec, value)?))
        };
        Some(self.rows.next_with(read)?.flatten())
    }
}

#[cfg(test)]
mod tests;
