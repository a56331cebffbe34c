//! Block files: `NNNNNN.dat`, append-only records of blocks and undo data with checksums. What the database can be
//! rebuilt from. See docs/protocol/storage.md.

use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use borsh::BorshDeserialize;
use lru::LruCache;
use rota_chain::block::Block;
use rota_chain::codec::{decode, encode};
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use rota_crash::{Point, reached};
use tracing::warn;

use crate::block::{Location, UndoBlock};
use crate::error::{Result, StorageError};
use crate::sync_count;
use crate::transaction::TransactionLocation;

/// Bytes after which a file is full; a larger record has a file of its own.
pub const FILE_BYTES: u64 = 128 << 20;
/// Most bytes of a record: twice the largest maximum-block-size, since undo data may exceed its block.
pub const MAX_RECORD_BYTES: u32 = 2_000_000_000;
/// Files kept open for reading: a fraction of the usual limit of 1,024 a process.
const OPEN_FILES: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");
/// Bytes for which memory is taken without a look at the file's size: more than nearly all transactions have.
const TAKEN_UNSEEN: u32 = 1 << 20;
/// Marks the beginning of a record.
const MAGIC: [u8; 4] = [0xB7, b'R', b'o', b't'];
/// Magic, kind, length, checksum.
const HEADER_BYTES: u64 = 13;
/// Bytes searched at a time for the next record after damage.
const SEARCH_BYTES: usize = 1 << 20;
/// Places tried for the next record after damage: content may imitate the mark, and each try may read a long record.
const SEARCH_TRIES: u32 = 4_096;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// A block's canonical bytes.
    Block,
    /// An [`UndoBlock`].
    Undo,
}

impl RecordKind {
    const fn number(self) -> u8 {
        match self {
            RecordKind::Block => 1,
            RecordKind::Undo => 2,
        }
    }

    const fn written(self) -> Point {
        match self {
            RecordKind::Block => Point::BlockWritten,
            RecordKind::Undo => Point::UndoWritten,
        }
    }

    const fn of(number: u8) -> Option<RecordKind> {
        match number {
            1 => Some(RecordKind::Block),
            2 => Some(RecordKind::Undo),
            _ => None,
        }
    }
}

/// The folder of block files.
#[derive(Debug)]
pub struct BlockFiles {
    directory: PathBuf,
    writer: Mutex<Writer>,
    readers: Mutex<LruCache<u32, Arc<File>>>,
}

#[derive(Debug)]
struct Writer {
    number: u32,
    file: Arc<File>,
    length: u64,
    unsynced: bool,
}

impl BlockFiles {
    /// Opens the folder, or makes it. An unfinished record at the end of the last file is cut off.
    ///
    /// # Errors
    /// [`StorageError`] if the folder cannot be read or written.
    pub fn open(directory: &Path) -> Result<BlockFiles> {
        std::fs::create_dir_all(directory)
            .map_err(|error| StorageError::from_io("cannot make the folder", directory, &error))?;
        let last = numbers(directory)?.last().copied();
        let writer = match last {
            Some(number) => reopen(directory, number)?,
            None => create(directory, 0)?,
        };
        Ok(BlockFiles {
            directory: directory.to_path_buf(),
            writer: Mutex::new(writer),
            readers: Mutex::new(LruCache::new(OPEN_FILES)),
        })
    }

    /// Appends a block.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails or is full; then nothing of the record stays.
    pub fn append_block(&self, block: &Block) -> Result<Location> {
        self.append(RecordKind::Block, &encode(block))
    }

    /// Appends a block's canonical bytes.
    ///
    /// # Errors
    /// As [`BlockFiles::append_block`].
    pub fn append_block_bytes(&self, bytes: &[u8]) -> Result<Location> {
        self.append(RecordKind::Block, bytes)
    }

    /// Appends undo data.
    ///
    /// # Errors
    /// As [`BlockFiles::append_block`].
    pub fn append_undo(&self, undo: &UndoBlock) -> Result<Location> {
        self.append(RecordKind::Undo, &encode(undo))
    }

    fn append(&self, kind: RecordKind, bytes: &[u8]) -> Result<Location> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= MAX_RECORD_BYTES).ok_or(
            StorageError::Limit {
                what: "bytes of a record",
                got: bytes.len() as u64,
                limit: u64::from(MAX_RECORD_BYTES),
            },
        )?;
        let mut writer = lock(&self.writer);
        if writer.length > 0 && writer.length + HEADER_BYTES + u64::from(length) > FILE_BYTES {
            sync(&self.directory, &mut writer)?;
            let next = writer.number + 1;
            *writer = create(&self.directory, next)?;
        }
        let mut record = Vec::with_capacity(bytes.len() + HEADER_BYTES as usize);
        record.extend_from_slice(&MAGIC);
        record.push(kind.number());
        record.extend_from_slice(&length.to_le_bytes());
        record.extend_from_slice(&checksum(kind, bytes).to_le_bytes());
        record.extend_from_slice(bytes);
        if let Err(error) = writer.file.write_all_at(&record, writer.length) {
            let path = file_path(&self.directory, writer.number);
            if let Err(again) = writer.file.set_len(writer.length) {
                warn!(path = %path.display(), %again, "an unfinished record stays at the end of a block file");
            }
            return Err(StorageError::from_io("cannot write", &path, &error));
        }
        let offset = u32::try_from(writer.length + HEADER_BYTES).map_err(|_| StorageError::Limit {
            what: "bytes of a block file",
            got: writer.length,
            limit: u64::from(u32::MAX),
        })?;
        reached(kind.written());
        writer.length += record.len() as u64;
        writer.unsynced = true;
        Ok(Location { file: writer.number, offset, length })
    }

    /// Whether nothing was ever appended.
    ///
    /// # Errors
    /// [`StorageError`] if the folder cannot be listed.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(numbers(&self.directory)?.len() <= 1 && lock(&self.writer).length == 0)
    }

    /// Makes everything appended safe from power loss.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn sync(&self) -> Result<()> {
        sync(&self.directory, &mut lock(&self.writer))
    }

    /// A block's canonical bytes.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-damaged-file` if the checksum does not match.
    pub fn read_block_bytes(&self, location: Location) -> Result<Vec<u8>> {
        self.read(RecordKind::Block, location)
    }

    /// A block.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-damaged-file` if checksum or content are not right.
    pub fn read_block(&self, location: Location) -> Result<Block> {
        let bytes = self.read(RecordKind::Block, location)?;
        decode(&bytes).map_err(|error| damaged(location.file, u64::from(location.offset), &error.to_string()))
    }

    /// Undo data.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-damaged-file` if checksum or content are not right.
    pub fn read_undo(&self, location: Location) -> Result<UndoBlock> {
        let bytes = self.read(RecordKind::Undo, location)?;
        decode(&bytes).map_err(|error| damaged(location.file, u64::from(location.offset), &error.to_string()))
    }

    /// One transaction and its id, reading no more than its bytes. The record's checksum covers the whole block: the
    /// caller compares the id.
    ///
    /// # Errors
    /// [`StorageError`]: `storage-damaged-file` if the bytes are no transaction.
    pub fn read_transaction(&self, location: &TransactionLocation) -> Result<(Txid, Transaction)> {
        let place = location.place;
        let bytes = self.bytes(place.file, u64::from(place.offset), place.length)?;
        let transaction: Transaction =
            decode(&bytes).map_err(|error| damaged(place.file, u64::from(place.offset), &error.to_string()))?;
        Ok((transaction.txid(), transaction))
    }

    fn read(&self, kind: RecordKind, location: Location) -> Result<Vec<u8>> {
        let Some(start) = u64::from(location.offset).checked_sub(HEADER_BYTES) else {
            return Err(damaged(location.file, u64::from(location.offset), "no record can be here"));
        };
        let total = location.length.saturating_add(HEADER_BYTES as u32);
        let mut record = self.bytes(location.file, start, total)?;
        let header = Header::of(&record).ok_or_else(|| damaged(location.file, start, "no record begins here"))?;
        if header.kind != kind || header.length != location.length {
            return Err(damaged(location.file, start, "a record of another kind or length"));
        }
        record.drain(..HEADER_BYTES as usize);
        if checksum(kind, &record) != header.checksum {
            return Err(damaged(location.file, start, "the checksum does not match"));
        }
        Ok(record)
    }

    fn bytes(&self, number: u32, offset: u64, length: u32) -> Result<Vec<u8>> {
        let file = self.reader(number)?;
        let too_short = || damaged(number, offset, "the file ends before the record does");
        let fail = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => too_short(),
            _ => StorageError::from_io("cannot read", &file_path(&self.directory, number), &error),
        };
        if length > TAKEN_UNSEEN && offset + u64::from(length) > file.metadata().map_err(fail)?.len() {
            return Err(too_short());
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset).map_err(fail)?;
        Ok(bytes)
    }

    fn reader(&self, number: u32) -> Result<Arc<File>> {
        if let Some(file) = lock(&self.readers).get(&number) {
            return Ok(file.clone());
        }
        let path = file_path(&self.directory, number);
        let file = File::open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => damaged(number, 0, "the file is missing"),
            _ => StorageError::from_io("cannot open", &path, &error),
        })?;
        let file = Arc::new(file);
        lock(&self.readers).put(number, file.clone());
        Ok(file)
    }

    /// Calls `visit` for every whole block in the order written; damaged stretches are logged and skipped. Ends early
    /// with the first error `visit` returns.
    ///
    /// # Errors
    /// That of `visit`, made from [`StorageError`] if a file cannot be read.
    pub fn for_each_block<E: From<StorageError>>(
        &self,
        visit: impl FnMut(Location, Block) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.for_each_block_from(0, 0, visit)
    }

    /// As [`BlockFiles::for_each_block`], of the blocks after the record at `place`.
    ///
    /// # Errors
    /// As [`BlockFiles::for_each_block`].
    pub fn for_each_block_after<E: From<StorageError>>(
        &self,
        place: Location,
        visit: impl FnMut(Location, Block) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.for_each_block_from(place.file, u64::from(place.offset) + u64::from(place.length), visit)
    }

    fn for_each_block_from<E: From<StorageError>>(
        &self,
        first: u32,
        at: u64,
        mut visit: impl FnMut(Location, Block) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for number in numbers(&self.directory)?.into_iter().filter(|number| *number >= first) {
            let file = self.reader(number)?;
            let path = file_path(&self.directory, number);
            let mut records = Records::new(&file, &path, number)?;
            records.at = if number == first { at } else { 0 };
            while let Some(found) = records.next()? {
                let (location, bytes) = match found {
                    Found::Record { kind: RecordKind::Block, location, bytes } => (location, bytes),
                    Found::Record { .. } => continue,
                    Found::Damage { from, to } => {
                        warn!(file = number, from, to, "skipped damaged bytes of a block file");
                        continue;
                    }
                };
                match Block::try_from_slice(&bytes) {
                    Ok(block) => visit(location, block)?,
                    Err(error) => warn!(file = number, offset = location.offset, %error, "skipped a block"),
                }
            }
        }
        Ok(())
    }
}

/// Cuts off an unfinished tail; begins a new file where damage is followed by whole records.
fn reopen(directory: &Path, number: u32) -> Result<Writer> {
    let path = file_path(directory, number);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| StorageError::from_io("cannot open", &path, &error))?;
    let mut records = Records::new(&file, &path, number)?;
    let (mut end, mut damage) = (0, None);
    while let Some(found) = records.next()? {
        match found {
            Found::Record { location, .. } => {
                if let Some(from) = damage {
                    warn!(file = number, from, "a block file is damaged; a new one is begun");
                    return create(directory, number + 1);
                }
                end = u64::from(location.offset) + u64::from(location.length);
            }
            Found::Damage { from, .. } => damage = Some(from),
        }
    }
    if damage.is_some() {
        warn!(file = number, end, "cut an unfinished record off a block file");
        file.set_len(end)
            .and_then(|()| file.sync_data())
            .map_err(|error| StorageError::from_io("cannot cut", &path, &error))?;
        reached(Point::BlockFileCut);
    }
    Ok(Writer { number, file: Arc::new(file), length: end, unsynced: false })
}

/// Whether a folder holds more than the first node writes before it seals the parameters: a genesis block and its undo
/// data, two records. What is damaged counts as one. Looks at the first three alone, and cuts nothing off.
///
/// # Errors
/// [`StorageError`] if the folder cannot be read.
pub fn hold_more_than_genesis(directory: &Path) -> Result<bool> {
    if !directory.exists() {
        return Ok(false);
    }
    let number = match numbers(directory)?.last() {
        None => return Ok(false),
        Some(0) => 0,
        Some(_) => return Ok(true),
    };
    let path = file_path(directory, number);
    let file = File::open(&path).map_err(|error| StorageError::from_io("cannot open", &path, &error))?;
    let mut records = Records::new(&file, &path, number)?;
    let mut found = 0;
    while found <= 2 && records.next()?.is_some() {
        found += 1;
    }
    Ok(found > 2)
}

fn create(directory: &Path, number: u32) -> Result<Writer> {
    let path = file_path(directory, number);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|error| StorageError::from_io("cannot make", &path, &error))?;
    reached(Point::BlockFileMade);
    sync_folder(directory)?;
    Ok(Writer { number, file: Arc::new(file), length: 0, unsynced: false })
}

/// Makes which files a folder holds, and under which names, safe from power loss.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    sync_count::note();
    let synced = File::open(folder).and_then(|open| open.sync_all());
    synced.map_err(|error| StorageError::from_io("cannot sync the folder", folder, &error))
}

fn sync(directory: &Path, writer: &mut Writer) -> Result<()> {
    if writer.unsynced {
        sync_count::note();
        writer
            .file
            .sync_data()
            .map_err(|error| StorageError::from_io("cannot sync", &file_path(directory, writer.number), &error))?;
        reached(Point::BlockFileSynced);
        writer.unsynced = false;
    }
    Ok(())
}

fn numbers(directory: &Path) -> Result<Vec<u32>> {
    let fail = |error: std::io::Error| StorageError::from_io("cannot list", directory, &error);
    let mut numbers = Vec::new();
    for file in std::fs::read_dir(directory).map_err(fail)? {
        let name = file.map_err(fail)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".dat")).filter(|name| name.len() == 6);
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn file_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:06}.dat"))
}

fn damaged(file: u32, offset: u64, detail: &str) -> StorageError {
    StorageError::DamagedFile { file, offset, detail: detail.to_owned() }
}

fn checksum(kind: RecordKind, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind.number()]);
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Header {
    kind: RecordKind,
    length: u32,
    checksum: u32,
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Header> {
        let (magic, rest) = bytes.split_first_chunk::<4>()?;
        let ([kind], rest) = rest.split_first_chunk::<1>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (checksum, _) = rest.split_first_chunk::<4>()?;
        let header = Header {
            kind: RecordKind::of(*kind)?,
            length: u32::from_le_bytes(*length),
            checksum: u32::from_le_bytes(*checksum),
        };
        (*magic == MAGIC && header.length <= MAX_RECORD_BYTES).then_some(header)
    }
}

enum Found {
    Record { kind: RecordKind, location: Location, bytes: Vec<u8> },
    Damage { from: u64, to: u64 },
}

/// Walks the records of one file and finds the next one after damage.
struct Records<'a> {
    file: &'a File,
    path: &'a Path,
    number: u32,
    at: u64,
    size: u64,
}

impl<'a> Records<'a> {
    fn new(file: &'a File, path: &'a Path, number: u32) -> Result<Records<'a>> {
        let size = file.metadata().map_err(|error| StorageError::from_io("cannot read", path, &error))?.len();
        Ok(Records { file, path, number, at: 0, size })
    }

    fn next(&mut self) -> Result<Option<Found>> {
        if self.at >= self.size {
            return Ok(None);
        }
        let from = self.at;
        if let Some(found) = self.record(from)? {
            return Ok(Some(found));
        }
        self.at = self.search(from + 1)?;
        Ok(Some(Found::Damage { from, to: self.at }))
    }

    fn record(&mut self, at: u64) -> Result<Option<Found>> {
        let header = self.bytes(at, HEADER_BYTES)?;
        let Some(header) = Header::of(&header) else { return Ok(None) };
        let start = at + HEADER_BYTES;
        let end = start + u64::from(header.length);
        let Ok(offset) = u32::try_from(start) else { return Ok(None) };
        if end > self.size {
            return Ok(None);
        }
        let bytes = self.bytes(start, u64::from(header.length))?;
        if checksum(header.kind, &bytes) != header.checksum {
            return Ok(None);
        }
        self.at = end;
        let location = Location { file: self.number, offset, length: header.length };
        Ok(Some(Found::Record { kind: header.kind, location, bytes }))
    }

    /// Where the next whole record begins, or the end of the file.
    fn search(&mut self, mut from: u64) -> Result<u64> {
        let mut tries = SEARCH_TRIES;
        while from < self.size {
            let window = self.bytes(from, SEARCH_BYTES as u64)?;
            for (index, bytes) in window.windows(MAGIC.len()).enumerate() {
                if bytes != MAGIC {
                    continue;
                }
                let at = from + index as u64;
                if self.record(at)?.is_some() {
                    return Ok(at);
                }
                tries -= 1;
                if tries == 0 {
                    return Ok(self.size);
                }
            }
            if window.len() < SEARCH_BYTES {
                break;
            }
            from += (window.len() - MAGIC.len() + 1) as u64;
        }
        Ok(self.size)
    }

    fn bytes(&self, at: u64, length: u64) -> Result<Vec<u8>> {
        let length = length.min(self.size.saturating_sub(at));
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(|error| StorageError::from_io("cannot read", self.path, &error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
