//! The journal of acknowledged transactions: an append-only file, from which they are in the pool again after a crash.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rota_chain::codec::{decode, encode};
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use rota_crash::{Point, reached};
use tracing::warn;

use crate::error::{Result, StorageError};

/// Most bytes of a record: the largest max-std-tx-size, rounded up.
const MAX_RECORD_BYTES: u32 = 128 << 20;
/// Length and checksum.
const HEADER_BYTES: u64 = 8;
/// Places tried for a record after damage: every byte may look like a length, and each try reads as many bytes.
const SEARCH_TRIES: u32 = 100_000;

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
    records: u64,
}

impl Journal {
    /// Opens the journal, or makes it. An unfinished record at its end is cut off: it was never acknowledged.
    ///
    /// # Errors
    /// `storage-damaged-journal` if what is not a record is no unfinished one either; another [`StorageError`] if the
    /// file cannot be read or written.
    pub fn open(path: &Path) -> Result<Journal> {
        let file = open_file(path)?;
        let (mut length, mut records) = (0, 0);
        scan(&file, path, |bytes, end| {
            length = end;
            records += 1;
            drop(bytes);
        })?;
        let size = size_of(&file, path)?;
        if size > length {
            let rest = Rest::read(&file, path, length, size)?;
            if let Some(detail) = rest.damage() {
                let readable = records + rest.whole_records().len() as u64;
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
        scan(&file, path, |record, _| failure = put_record(&mut bytes, &record).err().or(failure.take()))?;
        for record in Rest::read(&file, path, offset, size_of(&file, path)?)?.whole_records() {
            put_record(&mut bytes, &record)?;
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
            readable: state.records,
        })
    }

    /// Appends transactions, given as canonical bytes. They survive the end of the process, and power loss after
    /// [`Journal::sync`].
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails or is full; then none of them stays.
    pub fn append(&self, transactions: &[&[u8]]) -> Result<()> {
        let mut bytes = Vec::with_capacity(transactions.iter().map(|t| t.len() + HEADER_BYTES as usize).sum());
        for transaction in transactions {
            put_record(&mut bytes, transaction)?;
        }
        let mut state = self.lock();
        if let Err(error) = state.file.write_all_at(&bytes, state.length) {
            if let Err(again) = state.file.set_len(state.length) {
                warn!(path = %self.path.display(), %again, "an unfinished record stays at the end of the journal");
            }
            return Err(StorageError::from_io("cannot write", &self.path, &error));
        }
        reached(Point::JournalAppended);
        state.length += bytes.len() as u64;
        state.records += transactions.len() as u64;
        Ok(())
    }

    /// Makes everything appended before this call safe from power loss. Many callers may share one call.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails.
    pub fn sync(&self) -> Result<()> {
        let file = self.lock().file.clone();
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

    /// Drops all transactions but these. The old journal stands until the new one is safe.
    ///
    /// # Errors
    /// [`StorageError`] if the disk fails or is full; then the old journal stays in use.
    pub fn retain(&self, kept: &HashSet<Txid>) -> Result<()> {
        let mut state = self.lock();
        let (mut bytes, mut records, mut failure) = (Vec::new(), 0, None);
        scan(&state.file, &self.path, |record, _| {
            let wanted = decode::<Transaction>(&record).is_ok_and(|transaction| kept.contains(&transaction.txid()));
            if wanted && failure.is_none() {
                failure = put_record(&mut bytes, &record).err();
                records += 1;
            }
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        let file = replace(&self.path, &bytes)?;
        *state = State { file: Arc::new(file), length: bytes.len() as u64, records };
        Ok(())
    }

    /// Bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().length
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.lock().records
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
    if let Some(folder) = journal.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
    }
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

fn put_record(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let length =
        u32::try_from(bytes.len()).ok().filter(|length| *length <= MAX_RECORD_BYTES).ok_or(StorageError::Limit {
            what: "bytes of a journaled transaction",
            got: bytes.len() as u64,
            limit: u64::from(MAX_RECORD_BYTES),
        })?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(bytes).to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Calls `visit` with the bytes and the end of every whole record, up to the first that is not.
fn scan(file: &File, path: &Path, mut visit: impl FnMut(Vec<u8>, u64)) -> Result<()> {
    let fail = |error: std::io::Error| StorageError::from_io("cannot read", path, &error);
    let size = file.metadata().map_err(fail)?.len();
    let mut at = 0;
    while at + HEADER_BYTES <= size {
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut header, at).map_err(fail)?;
        let ([length, expected], _) = header.as_chunks::<4>() else { break };
        let length = u32::from_le_bytes(*length);
        let end = at + HEADER_BYTES + u64::from(length);
        if length > MAX_RECORD_BYTES || end > size {
            break;
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, at + HEADER_BYTES).map_err(fail)?;
        if checksum(&bytes) != u32::from_le_bytes(*expected) {
            break;
        }
        visit(bytes, end);
        at = end;
    }
    Ok(())
}

/// Over length and bytes, so that a stretch of zeros is no record.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"rota journal");
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
