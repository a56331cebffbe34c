//! When a node sealed a block and when its tip moved, read from the lines of its log, which are exact to the microsecond.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};

/// Microseconds of a day.
const DAY: u64 = 86_400_000_000;
/// Most of a log that is read at once: a node of this size writes kilobytes between two blocks.
const MAX_READ: u64 = 64 << 20;

/// A moment of the day in UTC, in microseconds: what is compared here lies seconds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(u64);

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(since.as_micros() as u64 % DAY)
    }

    /// Time from an earlier moment to this, if it lies less than half a day back.
    pub fn since(self, earlier: Self) -> Option<Duration> {
        let micros = (self.0 + DAY - earlier.0) % DAY;
        (micros < DAY / 2).then(|| Duration::from_micros(micros))
    }

    /// This much later.
    pub fn after(self, duration: Duration) -> Self {
        Self((self.0 + duration.as_micros() as u64) % DAY)
    }

    /// Reads `2026-01-31T23:59:59.123456Z`.
    fn read(text: &str) -> Option<Self> {
        let time = text.strip_suffix('Z')?.split_once('T')?.1;
        let (seconds, fraction) = time.split_once('.')?;
        let mut parts = seconds.split(':').map(|part| part.parse::<u64>().ok());
        let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
        let micros: u64 = (fraction.len() == 6).then(|| fraction.parse().ok())??;
        Some(Self((((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros) % DAY))
    }
}

/// A line of the log that says something of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A block was signed; with its transactions, the miner's own included.
    Sealed { at: Moment, block: String, transactions: u64 },
    /// Callers see a new tip.
    Moved { at: Moment, block: String },
}

/// A log that is read as it grows.
pub struct Log {
    path: PathBuf,
    read: u64,
}

impl Log {
    /// The log of a chain, from its end on.
    pub fn open(chain_folder: &Path) -> anyhow::Result<Self> {
        let path = chain_folder.join("debug.log");
        let read = path.metadata().with_context(|| format!("no log at {}", path.display()))?.len();
        Ok(Self { path, read })
    }

    /// What was written since the last call.
    pub fn events(&mut self) -> anyhow::Result<Vec<Event>> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        ensure!(length >= self.read, "{} was turned over", self.path.display());
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.take((length - self.read).min(MAX_READ)).read_to_end(&mut bytes)?;
        // A line that is being written waits for the next call.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        Ok(String::from_utf8_lossy(&bytes[..whole]).lines().filter_map(event).collect())
    }
}

fn event(line: &str) -> Option<Event> {
    let at = Moment::read(line.split_whitespace().next()?)?;
    let field = |name: &str| {
        let mut words = line.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    if line.contains(": sealed a block ") {
        let (block, transactions) = (field("block")?.to_owned(), field("transactions")?.parse().ok()?);
        return Some(Event::Sealed { at, block, transactions });
    }
    line.contains(": the tip moved ").then_some(())?;
    Some(Event::Moved { at, block: field("block")?.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use std::io::Write as _;

    use super::*;

    #[test]
    fn moments_are_apart_across_midnight() {
        let late = Moment::read("2026-01-31T23:59:59.900000Z").unwrap();
        let early = Moment::read("2026-02-01T00:00:00.100000Z").unwrap();
        assert_eq!(early.since(late), Some(Duration::from_millis(200)));
        assert_eq!(late.since(early), None);
        assert_eq!(late.after(Duration::from_millis(200)), early);
        assert!(Moment::now().since(Moment::now()).is_none_or(|since| since.is_zero()));
        assert_eq!(Moment::read("2026-02-01T00:00:00Z"), None);
    }

    #[test]
    fn lines_about_blocks_are_read_once_and_whole() {
        let folder = std::env::temp_dir().join(format!("rota-bench-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut file = File::create(folder.join("debug.log")).unwrap();
        writeln!(
            file,
            "2026-01-31T10:00:00.000001Z DEBUG rota_node::miner::task: sealed a block block=old transactions=1"
        )
        .unwrap();
        let mut log = Log::open(&folder).unwrap();
        writeln!(
            file,
            "2026-01-31T10:00:00.000002Z DEBUG rota_node::miner::task: sealed a block block=ab transactions=7"
        )
        .unwrap();
        writeln!(file, "2026-01-31T10:00:00.000003Z  INFO rota_node::sync: Synced: height 7 height=7").unwrap();
        write!(file, "2026-01-31T10:00:00.000005Z DEBUG rota_node::ledger: the tip moved block=ab").unwrap();
        let at = |micros| Moment::read(&format!("2026-01-31T10:00:00.00000{micros}Z")).unwrap();
        let sealed = Event::Sealed { at: at(2), block: "ab".to_owned(), transactions: 7 };
        assert_eq!(log.events().unwrap(), [sealed]);
        writeln!(file, " height=7").unwrap();
        assert_eq!(log.events().unwrap(), [Event::Moved { at: at(5), block: "ab".to_owned() }]);
        assert_eq!(log.events().unwrap(), []);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
