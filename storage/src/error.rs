//! The one error of storage: a sentence that says what is wrong and what to do, and a stable code.

use std::path::{Path, PathBuf};

use rota_consensus::state::StateError;

/// Storage failed. Never a verdict on a block or transaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// Another process, or this one, has the database open.
    #[error("the database {} is in use: another process has it open", .0.display())]
    Locked(PathBuf),
    /// Bytes of the database cannot be right.
    #[error("the database is damaged ({0}): start with -reindex to rebuild it from the block files")]
    Corrupt(String),
    /// Bytes of a block file cannot be right.
    #[error(
        "block file {file:06}.dat is damaged at byte {offset} ({detail}): start with -reindex, blocks that are lost come again from peers"
    )]
    DamagedFile {
        /// Number of the file.
        file: u32,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        detail: String,
    },
    /// Bytes of the journal cannot be right: what was acknowledged may be lost.
    #[error(
        "the journal {} is damaged at byte {offset} ({detail}), so an acknowledged transaction may be lost: restore it from a backup, or start with -reindex to go on with the {readable} transactions that can be read", .path.display()
    )]
    DamagedJournal {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        detail: String,
        /// Transactions that can be read.
        readable: u64,
    },
    /// No space is left.
    #[error("the disk of {} is full: free some space and start again", .0.display())]
    Full(PathBuf),
    /// Less space is left than is to stay free.
    #[error(
        "the disk of {} has {free} MB left, and {least} MB are to stay free (-mindiskspace): free some space, the node then goes on by itself", .path.display()
    )]
    Low {
        /// A folder on the disk.
        path: PathBuf,
        /// Megabytes left.
        free: u64,
        /// Megabytes that are to stay free.
        least: u64,
    },
    /// Writing is not allowed.
    #[error("{} cannot be written: check its owner and permissions, or whether the disk is mounted read-only", .0.display())]
    ReadOnly(PathBuf),
    /// The database has a format this program does not know.
    #[error(
        "the database has format {found}, this program knows {known}: use the program that made it, or start with -reindex"
    )]
    Format {
        /// The number found.
        found: u64,
        /// The number this program writes.
        known: u64,
    },
    /// The operating system refused.
    #[error("{what}: {detail}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        detail: String,
    },
    /// What was asked for is not stored.
    #[error("{0} is not stored")]
    Missing(String),
    /// A commit does not continue from the tip that is stored.
    #[error("the commit does not follow the stored tip: {0}")]
    Order(String),
    /// A number or length beyond what the format holds.
    #[error("{what} is {got}, the format holds at most {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// Its value.
        got: u64,
        /// The largest allowed.
        limit: u64,
    },
}

/// Result of storage calls.
pub type Result<T> = std::result::Result<T, StorageError>;

impl StorageError {
    /// A name that does not change, for logs, documents and scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            StorageError::Locked(_) => "storage-locked",
            StorageError::Corrupt(_) => "storage-corrupt",
            StorageError::DamagedFile { .. } => "storage-damaged-file",
            StorageError::DamagedJournal { .. } => "storage-damaged-journal",
            StorageError::Full(_) => "storage-full",
            StorageError::Low { .. } => "storage-low",
            StorageError::ReadOnly(_) => "storage-read-only",
            StorageError::Format { .. } => "storage-format",
            StorageError::Io { .. } => "storage-io",
            StorageError::Missing(_) => "storage-missing",
            StorageError::Order(_) => "storage-order",
            StorageError::Limit { .. } => "storage-limit",
        }
    }

    /// Says what a failed file operation means.
    #[must_use]
    pub fn from_io(what: &str, path: &Path, error: &std::io::Error) -> StorageError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StorageError::Full(path.to_path_buf())
            }
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                StorageError::ReadOnly(path.to_path_buf())
            }
            _ => StorageError::Io { what: format!("{what} {}", path.display()), detail: error.to_string() },
        }
    }

    /// Says what an error of RocksDB means; it carries its cause as text alone.
    #[must_use]
    pub fn from_rocksdb(path: &Path, error: &rocksdb::Error) -> StorageError {
        let text = error.to_string();
        let has = |part: &str| text.contains(part);
        if has("lock file") || has("lock hold by current process") {
            if has("Permission denied") || has("Read-only file system") {
                return StorageError::ReadOnly(path.to_path_buf());
            }
            return StorageError::Locked(path.to_path_buf());
        }
        if has("No space left") || has("Disk quota exceeded") || has("NoSpace") {
            return StorageError::Full(path.to_path_buf());
        }
        if has("Permission denied") || has("Read-only file system") {
            return StorageError::ReadOnly(path.to_path_buf());
        }
        match error.kind() {
            rocksdb::ErrorKind::Corruption | rocksdb::ErrorKind::NotFound | rocksdb::ErrorKind::InvalidArgument => {
                StorageError::Corrupt(text)
            }
            rocksdb::ErrorKind::IOError if has("No such file or directory") => StorageError::Corrupt(text),
            _ => StorageError::Io { what: format!("the database {}", path.display()), detail: text },
        }
    }
}

impl From<StorageError> for StateError {
    fn from(error: StorageError) -> StateError {
        StateError(error.to_string())
    }
}
