//! The log file: one line an event, a new file when it grows too large, old ones numbered and then dropped.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::MakeWriterExt as _;

/// Megabytes of a log file unless `maxlogsize` says otherwise: weeks of a quiet node.
pub const LOG_MEGABYTES: u32 = 64;
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

/// Parts that `-debug` names, and what they are called in events.
const PARTS: [(&str, &str); 10] = [
    ("node", "rota_node"),
    ("ledger", "rota_node::ledger"),
    ("miner", "rota_node::miner"),
    ("network", "rota_node::network"),
    ("notify", "rota_node::notify"),
    ("offchain", "rota_node::offchain"),
    ("rpc", "rota_node::rpc"),
    ("sync", "rota_node::sync"),
    ("p2p", "rota_p2p"),
    ("storage", "rota_storage"),
];

/// What is logged: all events of at least `level` (error, warn, info, debug, trace), of the parts named in `debug`
/// those of debug too.
///
/// # Errors
/// A sentence if the level or a part is none.
pub fn filter(level: &str, debug: &[&str]) -> Result<EnvFilter, String> {
    if !["error", "warn", "info", "debug", "trace"].contains(&level) {
        return Err(format!("-loglevel={level}: expected error, warn, info, debug or trace"));
    }
    // Of gossip's own warnings a peer can cause as many as it sends messages; what it does wrong we name ourselves.
    let quiet = "warn,libp2p_gossipsub=error";
    let mut directives = format!("{quiet},rota_node={level},rota_p2p={level},rota_storage={level},rota_wallet={level}");
    for name in debug.iter().copied().filter(|name| *name != "0") {
        let all = matches!(name, "" | "1");
        let named: Vec<&str> =
            PARTS.iter().filter(|(part, _)| all || *part == name).map(|(_, target)| *target).collect();
        if named.is_empty() {
            let known: Vec<&str> = PARTS.iter().map(|(part, _)| *part).collect();
            return Err(format!("-debug={name}: no such part of the node, there are {}", known.join(", ")));
        }
        for target in named {
            directives.push_str(&format!(",{target}=debug"));
        }
    }
    EnvFilter::try_new(directives).map_err(|error| error.to_string())
}

/// A log that keeps events in `file`, and with `console` shows them on standard output as well, each line behind that
/// text. A log that cannot be written, on a full disk say, is no reason to stop.
#[must_use]
pub fn dispatch(file: LogFile, filter: EnvFilter, console: Option<String>) -> Dispatch {
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).log_internal_errors(false);
    match console {
        Some(prefix) => Dispatch::new(log.with_writer(file.and(Console(prefix))).finish()),
        None => Dispatch::new(log.with_writer(file).finish()),
    }
}

thread_local! {
    /// The log of the chain that this thread works for, where the process has more than one.
    static ADOPTED: RefCell<Option<Dispatch>> = const { RefCell::new(None) };
}

/// Lets this thread log there for the rest of its life. A process with one log leaves it to the process's: events find
/// that without a look into the thread.
pub fn adopt(log: &Dispatch) {
    ADOPTED.with(|adopted| adopted.replace(Some(log.clone())));
    // What it would restore at the thread's end is a default that nobody sees any more.
    std::mem::forget(tracing::dispatcher::set_default(log));
}

/// The log that this thread adopted, for the threads that it starts.
pub fn adopted() -> Option<Dispatch> {
    ADOPTED.with_borrow(Option::clone)
}

/// Standard output with a text before each line.
struct Console(String);

impl<'a> MakeWriter<'a> for Console {
    type Writer = ConsoleLine<'a>;

    fn make_writer(&'a self) -> ConsoleLine<'a> {
        ConsoleLine(&self.0)
    }
}

/// One line: events come in one piece.
struct ConsoleLine<'a>(&'a str);

impl Write for ConsoleLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        out.write_all(self.0.as_bytes())?;
        out.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn levels_and_parts_are_named_or_refused() {
        assert!(filter("info", &[]).is_ok() && filter("trace", &["rpc", "1", "0"]).is_ok());
        let shown = filter("warn", &["sync"]).unwrap().to_string();
        assert!(shown.contains("rota_node::sync=debug") && shown.contains("rota_node=warn"), "{shown}");
        assert!(filter("loud", &[]).unwrap_err().contains("error, warn, info, debug or trace"));
        assert!(filter("info", &["nosuch"]).unwrap_err().contains("network"));
    }

    #[test]
    fn a_thread_logs_where_it_was_told_and_hands_that_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let talk = |name: &'static str| {
            let file = LogFile::open(&path(name), 1 << 20, 1).unwrap();
            let log = dispatch(file, filter("info", &[]).unwrap(), None);
            std::thread::spawn(move || {
                assert!(adopted().is_none(), "a new thread has none");
                adopt(&log);
                tracing::warn!("from the thread of {name}");
                let log = adopted().unwrap();
                let further = move || {
                    adopt(&log);
                    tracing::info!("from a thread that {name} started");
                };
                std::thread::spawn(further).join().unwrap();
            })
        };
        for thread in ["one", "two"].map(talk) {
            thread.join().unwrap();
        }
        for (name, other) in [("one", "two"), ("two", "one")] {
            let text = std::fs::read_to_string(path(name)).unwrap();
            assert!(text.lines().count() == 2 && text.contains(name) && !text.contains(other), "{name}: {text}");
        }
    }

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
