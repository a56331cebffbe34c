//! How much room the disk has: looked at before something is taken in, so that writes that were begun do not fail half way,
//! and the node goes on by itself once there is room again.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use tracing::{error, info};

use crate::error::{Result, StorageError};

/// Bytes that stay free unless told otherwise: twice what a database keeps in memory before it writes table files.
pub const LEAST_FREE: u64 = 64 << 20;
/// How long a look at the disk counts.
const LOOK: Duration = Duration::from_millis(500);

/// The room on the disk of a folder.
#[derive(Debug)]
pub(crate) struct Room {
    folder: PathBuf,
    least: u64,
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    free: u64,
}

impl Room {
    /// Of the disk of `folder`; `least` bytes are to stay free, none is not to look.
    pub fn new(folder: &Path, least: u64) -> Room {
        Room { folder: folder.to_path_buf(), least, seen: Mutex::new(None) }
    }

    /// Refuses when less is free than is to stay free.
    ///
    /// # Errors
    /// `storage-low`.
    pub fn check(&self) -> Result<()> {
        if self.least == 0 {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let old = *seen;
        let free = match old.filter(|seen| seen.at.elapsed() < LOOK) {
            Some(seen) => seen.free,
            None => {
                let free = self.free();
                *seen = Some(Seen { at: Instant::now(), free });
                free
            }
        };
        drop(seen);
        let was_low = old.is_some_and(|old| old.free < self.least);
        if free < self.least {
            let low = StorageError::Low { path: self.folder.clone(), free: free >> 20, least: self.least >> 20 };
            if !was_low {
                error!(code = low.code(), "{low}");
            }
            return Err(low);
        }
        if was_low {
            info!(path = %self.folder.display(), "the disk has room again");
        }
        Ok(())
    }

    /// As [`Room::check`], for what may wait: it is refused at twice as much, so that it never takes the last room.
    ///
    /// # Errors
    /// `storage-low`.
    pub fn check_spare(&self) -> Result<()> {
        let (free, least) = (self.free(), self.least.saturating_mul(2));
        if self.least > 0 && free < least {
            return Err(StorageError::Low { path: self.folder.clone(), free: free >> 20, least: least >> 20 });
        }
        Ok(())
    }

    /// Bytes that may be written; what the system does not tell is taken for enough.
    fn free(&self) -> u64 {
        statvfs(&self.folder).map_or(u64::MAX, |disk| disk.blocks_available().saturating_mul(disk.fragment_size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_less_than_is_to_stay_free_takes_nothing_in() {
        let folder = std::env::temp_dir();
        assert_eq!(Room::new(&folder, 1).check(), Ok(()));
        assert_eq!(Room::new(&folder, 0).check(), Ok(()));
        let low = Room::new(&folder, u64::MAX).check();
        assert!(low.is_err_and(|error| error.code() == "storage-low" && error.to_string().contains("-mindiskspace")));
    }
}
