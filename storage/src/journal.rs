//! The journal of acknowledged transactions: an append-only file, from which they are in the pool again after a crash.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rota_chain::codec::{decode, encode};
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use rota_crash::{Point, reached};
use tracing::warn;

use crate::block_file::sync_folder;
use crate::error::{Result, StorageError};
use crate::sync_count;

/// Most bytes of a record: the largest max-std-tx-size, rounded up.
const MAX_RECORD_BYTES: u32 = 128 << 20;
/// Length and checksum.
const HEADER_BYTES: u64 = 8;
/// Places tried for a record after damage: every byte may look like a length, and each try reads as many bytes.
const SEARCH_TRIES: u32 = 100_000;
/// Bytes of an id that are remembered of each record.
const NAME_BYTES: usize = 16;
/// Bytes read at once when all records are looked at.
const SCAN_BYTES: usize = 64 << 10;
/// Bytes copied at once while the journal is shortened.
const COPY_BYTES: usize = 1 << 20;

/// The open journal. Appends take turns; [`Journal::sync`] does not hold them up.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: Arc<File>,
    length: u64,
    records: Vec<Record>,
}

/// What is remembered of a record, so that shortening reads none but those that stay.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// The first bytes of the id; two of the same keep one another.
    name: [u8; NAME_BYTES],
    /// Bytes in the file, header included.
    bytes: u32,
}

impl Record {
    fn of(txid: &Txid, bytes: u64) -> Record {
        let name = txid.as_bytes().first_chunk().copied().unwrap_or_default();
        Record { name, bytes: u32::try_from(bytes).unwrap_or(u32::MAX) }
    }
}

/// How many records there were at one moment: those after it are never dropped by what was known at that moment.
#[derive(Clone, Copy, Debug)]
pub struct JournalMark(usize);

impl Journal {
    /// Opens the journal, or makes it. An unfinished record at its end is cut off: it was never acknowledged.
    ///
    /// # Errors
    /// `storage-damaged-journal` if what is not a record is no unfinished one either; another [`StorageError`] if the
    /// file cannot be read or written.
    pub fn open(path: &Path) -> Result<Journal> {
        let file = open_file(path)?;
        let (mut length, mut records) = (0, Vec::new());
        scan(&file, path, |bytes, end| {
            // What is no transaction keeps its place under a name of its own, and goes when the journal is shortened.
            let txid = decode::<Transaction>(&bytes).map_or(Txid([0; 32]), |transaction| transaction.txid());
            records.push(Record::of(&txid, end - length));
            length = end;
        })?;
        let size = size_of(&file, path)?;
        if size > length {
            let rest = Rest::read(&file, path, length, size)?;
            if let Some(detail) = rest.damage() {
                let readable = records.len() as u64 + rest.whole_records().len() as u64;
                let (path, detail) = (path.to_path_buf(), detail.to_owned());
                return Err(StorageError::DamagedJournal { path, offset: length, detail, readable });
            }
            warn!(path = %path.display(), at = length, "cut an unfinished record off the journal");
            file.set_len(length).map_err(|error| StorageError::from_io("cannot cut", path, &error))?;
            reached(Point::JournalCut);
        }
        let state = State { file: Arc::new(file), length, records };
        Ok(Journal { path: path.to_path_buf(), state: Mutex::new(state) })
    }

    /// Opens the journal with all records that can be read, whatever stands between them. A damaged one is kept as it is
    /// beside the journal, under the ending `damaged`.
    ///
    /// # Errors
    /// [`StorageError`] if the file cannot be read or written.
    pub fn salvage(path: &Path) -> Result<Journal> {
        let (offset, readable) = match Journal::open(path) {
            Err(StorageError::DamagedJournal { offset, readable, .. }) => (offset, readable),
            other => return other,
        };
        let (file, mut bytes) = (open_file(path)?, Vec::new());
        let mut failure = None;
        let mut keep = |record: &[u8]| match record_of(record) {
            Ok(record) => bytes.extend_from_slice(&record),
            Err(error) => failure = Some(error),
        };
        scan(&file, path, |record, _| keep(&record))?;
        for record in Rest::read(&file, path, offset, size_of(&file, path)?)?.whole_records() {
            keep(&record);
        }
        if let Some(error) = failure {
            return Err(error);
        }
        let aside = path.with_extension("damaged");
        let fail = |error: std::io::Error| StorageError::from_io("cannot write", path, &error);
        std::fs::copy(path, &aside).map_err(fail)?;
        replace(path, &bytes)?;
        warn!(path = %aside.display(), readable, "a damaged journal was set aside; what can be read of it is kept");
        Journal::open(path)
    }

    /// Refuses a journal that is shorter than it was when the node ended.
    ///
    /// # Errors
    /// `storage-damaged-journal`.
    pub fn expect_bytes(&self, noted: u64) -> Result<()> {
        let state = self.lock();
        if state.length >= noted {
            return Ok(());
        }
        Err(StorageError::DamagedJournal {
            path: self.path.clone(),
            offset: state.length,
            detail: format!("it ends there, and had {noted} bytes when the node ended"),
            readable: state.records.len() as u64,
        })
    }

    /// Appends a transaction, given as canonical bytes. It survives the end of the process, and power loss after
    /// [`Journal::sync`].
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails or is full; then it does not stay.
    pub fn append(&self, txid: &Txid, transaction: &[u8]) -> Result<()> {
        let bytes = record_of(transaction)?;
        let mut state = self.lock();
        if let Err(error) = state.file.write_all_at(&bytes, state.length) {
            if let Err(again) = state.file.set_len(state.length) {
                warn!(path = %self.path.display(), %again, "an unfinished record stays at the end of the journal");
            }
            return Err(StorageError::from_io("cannot write", &self.path, &error));
        }
        reached(Point::JournalAppended);
        state.length += bytes.len() as u64;
        state.records.push(Record::of(txid, bytes.len() as u64));
        Ok(())
    }

    /// Makes everything appended before this call safe from power loss. Many callers may share one call.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn sync(&self) -> Result<()> {
        let file = self.lock().file.clone();
        sync_count::note();
        file.sync_data().map_err(|error| StorageError::from_io("cannot sync", &self.path, &error))?;
        reached(Point::JournalSynced);
        Ok(())
    }

    /// The transactions, in the order appended.
    ///
    /// # Errors
    /// [`StorageError`] if the file cannot be read.
    pub fn load(&self) -> Result<Vec<Transaction>> {
        let state = self.lock();
        let mut transactions = Vec::new();
        scan(&state.file, &self.path, |bytes, end| match decode(&bytes) {
            Ok(transaction) => transactions.push(transaction),
            Err(error) => warn!(path = %self.path.display(), before = end, %error, "a journaled transaction is lost"),
        })?;
        Ok(transactions)
    }

    /// The records that are there now, for [`Journal::retain`].
    #[must_use]
    pub fn mark(&self) -> JournalMark {
        JournalMark(self.lock().records.len())
    }

    /// Drops all transactions that were there at `mark` but these. Appending goes on meanwhile, but for the moment in
    /// which what was appended is copied. The old journal stands until the new one is safe. One call at a time.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails or is full; then the old journal stays in use.
    pub fn retain(&self, mark: JournalMark, kept: &HashSet<Txid>) -> Result<()> {
        let kept: HashSet<[u8; NAME_BYTES]> = kept.iter().map(|txid| Record::of(txid, 0).name).collect();
        let (old, known) = {
            let state = self.lock();
            (Arc::clone(&state.file), state.records.clone())
        };
        let path = self.path.with_extension("new");
        let fail = |error: std::io::Error| StorageError::from_io("cannot write", &path, &error);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).map_err(fail)?;
        let mut copy = Copy { from: &old, to: &file, length: 0, run: 0..0 };
        let (mut records, mut start) = (Vec::new(), 0);
        for (index, record) in known.iter().enumerate() {
            let end = start + u64::from(record.bytes);
            if index >= mark.0 || kept.contains(&record.name) {
                copy.take(start..end).map_err(fail)?;
                records.push(*record);
            }
            start = end;
        }
        sync_count::note();
        copy.flush().and_then(|()| file.sync_data()).map_err(fail)?;
        reached(Point::JournalCopied);
        let mut state = self.lock();
        sync_count::note();
        copy.take(start..state.length).and_then(|()| copy.flush()).and_then(|()| file.sync_data()).map_err(fail)?;
        let length = copy.length;
        records.extend(state.records.iter().skip(known.len()));
        std::fs::rename(&path, &self.path).map_err(fail)?;
        reached(Point::JournalReplaced);
        *state = State { file: Arc::new(file), length, records };
        self.path.parent().map_or(Ok(()), sync_folder)
    }

    /// Bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().length
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.lock().records.len() as u64
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a transaction as [`Journal::append`] takes them.
#[must_use]
pub fn journal_bytes(transaction: &Transaction) -> Vec<u8> {
    encode(transaction)
}

fn open_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| StorageError::from_io("cannot open", path, &error))
}

/// Writes a whole journal beside the one there, and puts it in its place.
fn replace(journal: &Path, bytes: &[u8]) -> Result<File> {
    let path = journal.with_extension("new");
    let fail = |error: std::io::Error| StorageError::from_io("cannot write", &path, &error);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_data()).map_err(fail)?;
    reached(Point::JournalCopied);
    std::fs::rename(&path, journal).map_err(fail)?;
    reached(Point::JournalReplaced);
    journal.parent().map_or(Ok(()), sync_folder)?;
    Ok(file)
}

fn size_of(file: &File, path: &Path) -> Result<u64> {
    Ok(file.metadata().map_err(|error| StorageError::from_io("cannot read", path, &error))?.len())
}

/// What follows the last whole record from the beginning.
struct Rest(Vec<u8>);

impl Rest {
    fn read(file: &File, path: &Path, from: u64, size: u64) -> Result<Rest> {
        let mut bytes = vec![0; usize::try_from(size.saturating_sub(from)).unwrap_or(0)];
        file.read_exact_at(&mut bytes, from).map_err(|error| StorageError::from_io("cannot read", path, &error))?;
        Ok(Rest(bytes))
    }

    /// What shows that this is not what a write leaves that was broken off: all its bytes are there, or records follow.
    /// After a loss of power zeros may stand for bytes that never reached the disk.
    fn damage(&self) -> Option<&'static str> {
        let (head, content) = self.0.split_first_chunk::<{ HEADER_BYTES as usize }>()?;
        let ([length, expected], _) = head.as_chunks::<4>() else { return None };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if checksum(content) == u32::from_le_bytes(*expected) {
            return Some("the length of a record is wrong");
        }
        let is_there = content.get(..length).is_some_and(|content| !content.ends_with(&[0; 8]));
        if is_there && length > 0 {
            return Some("the checksum of a record does not match");
        }
        (!self.whole_records().is_empty()).then_some("whole records follow what is none")
    }

    /// The contents of all whole records, wherever they begin.
    fn whole_records(&self) -> Vec<Vec<u8>> {
        let (mut records, mut at, mut tries) = (Vec::new(), 0, SEARCH_TRIES);
        while let Some(rest) = self.0.get(at..).filter(|rest| rest.len() > HEADER_BYTES as usize && tries > 0) {
            let found = record_in(rest, &mut tries);
            at += found.map_or(1, |content| content.len() + HEADER_BYTES as usize);
            records.extend(found.map(<[u8]>::to_vec));
        }
        records
    }
}

/// The content of the record that begins here, if one does; counts what was tried in vain.
fn record_in<'a>(bytes: &'a [u8], tries: &mut u32) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_first_chunk::<{ HEADER_BYTES as usize }>()?;
    let ([length, expected], _) = head.as_chunks::<4>() else { return None };
    let length = u32::from_le_bytes(*length);
    let content = rest.get(..usize::try_from(length).ok()?).filter(|content| !content.is_empty())?;
    if checksum(content) != u32::from_le_bytes(*expected) {
        *tries = tries.saturating_sub(1);
        return None;
    }
    Some(content)
}

/// Copies stretches of one file to another, those that adjoin as one.
struct Copy<'a> {
    from: &'a File,
    to: &'a File,
    length: u64,
    run: Range<u64>,
}

impl Copy<'_> {
    fn take(&mut self, stretch: Range<u64>) -> std::io::Result<()> {
        if stretch.start != self.run.end {
            self.flush()?;
            self.run.start = stretch.start;
        }
        self.run.end = stretch.end;
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let mut piece = vec![0; COPY_BYTES];
        while !self.run.is_empty() {
            let bytes = (self.run.end - self.run.start).min(COPY_BYTES as u64);
            let piece = &mut piece[..bytes as usize];
            self.from.read_exact_at(piece, self.run.start)?;
            self.to.write_all_at(piece, self.length)?;
            self.run.start += bytes;
            self.length += bytes;
        }
        Ok(())
    }
}

fn record_of(transaction: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(transaction.len()).ok().filter(|length| *length <= MAX_RECORD_BYTES).ok_or(
        StorageError::Limit {
            what: "bytes of a journaled transaction",
            got: transaction.len() as u64,
            limit: u64::from(MAX_RECORD_BYTES),
        },
    )?;
    let mut record = Vec::with_capacity(transaction.len() + HEADER_BYTES as usize);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&checksum(transaction).to_le_bytes());
    record.extend_from_slice(transaction);
    Ok(record)
}

/// Calls `visit` with the bytes and the end of every whole record, up to the first that is not.
fn scan(file: &File, path: &Path, mut visit: impl FnMut(Vec<u8>, u64)) -> Result<()> {
    let fail = |error: std::io::Error| StorageError::from_io("cannot read", path, &error);
    let size = file.metadata().map_err(fail)?.len();
    let mut reader = BufReader::with_capacity(SCAN_BYTES, file);
    reader.seek(SeekFrom::Start(0)).map_err(fail)?;
    let mut at = 0;
    while at + HEADER_BYTES <= size {
        let mut header = [0; HEADER_BYTES as usize];
        reader.read_exact(&mut header).map_err(fail)?;
        let ([length, expected], _) = header.as_chunks::<4>() else { break };
        let length = u32::from_le_bytes(*length);
        let end = at + HEADER_BYTES + u64::from(length);
        if length > MAX_RECORD_BYTES || end > size {
            break;
        }
        let mut bytes = vec![0; length as usize];
        reader.read_exact(&mut bytes).map_err(fail)?;
        if checksum(&bytes) != u32::from_le_bytes(*expected) {
            break;
        }
        visit(bytes, end);
        at = end;
    }
    Ok(())
}

/// The checksum of a record: over a word and the bytes, so that a stretch of zeros is no record.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"rota journal");
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
