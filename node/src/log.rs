//! The log file: one line an event, a new file when it grows too large, old ones numbered and then dropped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes of a log file unless `maxlogsize` says otherwise.
pub const LOG_BYTES: u64 = 64 << 20;
/// Old log files kept unless `maxlogfiles` says otherwise.
pub const LOG_FILES: u32 = 5;

/// A file that makes room for itself.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    limit: u64,
    keep: u32,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl LogFile {
    /// Opens or continues a log file.
    ///
    /// # Errors
    /// The system's, if the file cannot be opened.
    pub fn open(path: &Path, limit: u64, keep: u32) -> io::Result<LogFile> {
        let open = Open::at(path)?;
        Ok(LogFile { path: path.to_owned(), limit, keep, open: Mutex::new(open) })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn turn(&self, open: &mut Open) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            let _ = std::fs::rename(self.numbered(number), self.numbered(number + 1));
        }
        if self.keep > 0 {
            std::fs::rename(&self.path, self.numbered(1))?;
        } else {
            std::fs::remove_file(&self.path)?;
        }
        *open = Open::at(&self.path)?;
        Ok(())
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Open> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Open { file, bytes })
    }
}

impl Write for &LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes >= self.limit {
            // A log that cannot be turned goes on growing rather than going silent.
            let _ = self.turn(&mut open);
        }
        let written = open.file.write(line)?;
        open.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).file.flush()
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = &'a LogFile;

    fn make_writer(&'a self) -> &'a LogFile {
        self
    }
}

/// Sends all events of at least `level` (error, warn, info, debug, trace) to `file`.
///
/// # Errors
/// A sentence if the level is none, or a log was started before.
pub fn start(file: LogFile, level: &str) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(format!("warn,rota_node={level},rota_p2p={level},rota_storage={level},rota_wallet={level}"))
            .map_err(|error| format!("-loglevel={level}: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(file)
        .with_ansi(false)
        .try_init()
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_full_log_file_is_numbered_and_the_oldest_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("debug.log");
        let log = LogFile::open(&path, 10, 2).unwrap();
        for line in ["first line\n", "second line\n", "third line\n", "fourth line\n"] {
            (&log).write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "fourth line\n");
        assert_eq!(std::fs::read_to_string(log.numbered(1)).unwrap(), "third line\n");
        assert_eq!(std::fs::read_to_string(log.numbered(2)).unwrap(), "second line\n");
        assert!(!log.numbered(3).exists());
    }
}
