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
use tracing::warn;

use crate::error::{Result, StorageError};

/// Most bytes of a record: the largest max-std-tx-size, rounded up.
const MAX_RECORD_BYTES: u32 = 128 << 20;
/// Length and checksum.
const HEADER_BYTES: u64 = 8;

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
    /// Opens the journal, or makes it. An unfinished record at its end is cut off.
    ///
    /// # Errors
    /// [`StorageError`] if the file cannot be read or written.
    pub fn open(path: &Path) -> Result<Journal> {
        let file = open_file(path)?;
        let (mut length, mut records) = (0, 0);
        scan(&file, path, |bytes, end| {
            length = end;
            records += 1;
            drop(bytes);
        })?;
        let size = file.metadata().map_err(|error| StorageError::from_io("cannot read", path, &error))?.len();
        if size > length {
            warn!(path = %path.display(), at = length, "cut an unfinished record off the journal");
            file.set_len(length).map_err(|error| StorageError::from_io("cannot cut", path, &error))?;
        }
        let state = State { file: Arc::new(file), length, records };
        Ok(Journal { path: path.to_path_buf(), state: Mutex::new(state) })
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
        let path = self.path.with_extension("new");
        let fail = |error: std::io::Error| StorageError::from_io("cannot write", &path, &error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).map_err(fail)?;
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(fail)?;
        std::fs::rename(&path, &self.path).map_err(fail)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
        }
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
