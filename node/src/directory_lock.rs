//! The lock that keeps two nodes from opening one chain's directory.

use std::fs::{File, OpenOptions};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

/// Holds the directory until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: Flock<File>,
}

/// Why the directory was not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "Couldn't lock the directory of blockchain {0}. Probably noded for this blockchain is already running. Exiting..."
    )]
    Held(String),
    /// The file cannot be made.
    #[error("cannot write to {path}: {error}")]
    Unwritable {
        /// The lock's file.
        path: String,
        /// The system's reason.
        error: std::io::Error,
    },
}

impl DirectoryLock {
    /// Takes the lock of a chain.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path, chain: &str) -> Result<DirectoryLock, LockError> {
        let unwritable = |error| LockError::Unwritable { path: path.display().to_string(), error };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(unwritable)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(DirectoryLock { _file: file }),
            Err(_) => Err(LockError::Held(chain.to_owned())),
        }
    }
}
