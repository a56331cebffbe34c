//! The journal of acknowledged transactions: an append-only file, from which they are in the pool again after a crash.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rota_chain::codec::{decode, encode};
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use tracing::warn;

use crate::error::{Result, StorageError};

/// Most bytes of a record: the largest max-std-tx-size, rounded up.
const MAX_RECORD_BYTES: u32 = 128 << 20;
/// Length and checksum.
const HEADER_BYTES: u64 = 8;
/// Bytes of an id that are remembered of each record.
const NAME_BYTES: usize = 16;
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
    /// Opens the journal, or makes it. An unfinished record at its end is cut off.
    ///
    /// # Errors
    /// [`StorageError`] if the file cannot be read or written.
    pub fn open(path: &Path) -> Result<Journal> {
        let file = open_file(path)?;
        let (mut length, mut records) = (0, Vec::new());
        scan(&file, path, |bytes, end| {
            // What is no transaction keeps its place under a name of its own, and goes when the journal is shortened.
            let txid = decode::<Transaction>(&bytes).map_or(Txid([0; 32]), |transaction| transaction.txid());
            records.push(Record::of(&txid, end - length));
            length = end;
        })?;
        let size = file.metadata().map_err(|error| StorageError::from_io("cannot read", path, &error))?.len();
        if size > length {
            warn!(path = %path.display(), at = length, "cut an unfinished record off the journal");
            file.set_len(length).map_err(|error| StorageError::from_io("cannot cut", path, &error))?;
        }
        let state = State { file: Arc::new(file), length, records };
        Ok(Journal { path: path.to_path_buf(), state: Mutex::new(state) })
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
        file.sync_data().map_err(|error| StorageError::from_io("cannot sync", &self.path, &error))
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
        copy.flush().and_then(|()| file.sync_data()).map_err(fail)?;
        let mut state = self.lock();
        copy.take(start..state.length).and_then(|()| copy.flush()).and_then(|()| file.sync_data()).map_err(fail)?;
        let length = copy.length;
        records.extend(state.records.iter().skip(known.len()));
        std::fs::rename(&path, &self.path).map_err(fail)?;
        *state = State { file: Arc::new(file), length, records };
        if let Some(folder) = self.path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
        }
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
    let mut reader = BufReader::with_capacity(COPY_BYTES, file);
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

/// Over length and bytes, so that a stretch of zeros is no record.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"rota journal");
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
