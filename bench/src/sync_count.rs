//! How often a node asks the disk to make something safe, and of which of its files, counted from outside with strace where
//! that is installed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// The calls that count.
const CALLS: &str = "trace=fsync,fdatasync,sync_file_range";
/// How long strace may take to let the process go.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time given to hold all threads of the process: strace says nothing when it does.
const HOLDING: Duration = Duration::from_secs(1);
/// Most of its lines that are read: a million syncs.
const MAX_LINES: u64 = 128 << 20;

/// A count under way.
pub struct SyncCount {
    strace: Child,
    lines: PathBuf,
}

/// Syncs by what they made safe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Syncs {
    /// Block files.
    pub blocks: u64,
    /// The log of the database: its commits.
    pub log: u64,
    /// Other files of the database, and its folder: flushes and compactions.
    pub database: u64,
    /// The journal.
    pub journal: u64,
    /// All else, folders among it.
    pub other: u64,
}

impl SyncCount {
    /// Begins to count; none when strace is not installed or may not look at the process.
    pub async fn begin(pid: u32, folder: &Path) -> Option<Self> {
        let lines = folder.join(format!("syncs-{pid}.txt"));
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-e", CALLS, "-e", "signal=none", "-p", &pid.to_string(), "-o"]).arg(&lines);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut strace = command.spawn().ok()?;
        tokio::time::sleep(HOLDING).await;
        let runs = strace.try_wait().is_ok_and(|ended| ended.is_none());
        runs.then_some(Self { strace, lines })
    }

    /// Ends the count.
    ///
    /// # Errors
    /// When strace does not end, or leaves no lines.
    pub async fn end(mut self) -> anyhow::Result<Syncs> {
        let id = self.strace.id().context("strace has ended")?;
        let told = Command::new("kill").args(["-INT", &id.to_string()]).status().await?;
        ensure!(told.success(), "strace could not be told to end");
        tokio::time::timeout(PATIENCE, self.strace.wait()).await.context("strace does not end")??;
        let length = std::fs::metadata(&self.lines).context("strace left no lines")?.len();
        ensure!(length <= MAX_LINES, "strace wrote {length} bytes, at most {MAX_LINES} are read");
        let text = std::fs::read_to_string(&self.lines)?;
        std::fs::remove_file(&self.lines)?;
        Ok(Syncs::read(&text))
    }
}

impl Syncs {
    /// Counts the lines in which a call begins: `123 fdatasync(5</path>) = 0`.
    fn read(text: &str) -> Self {
        let mut syncs = Self::default();
        for line in text.lines().filter(|line| !line.contains("resumed>")) {
            let Some(path) = line.split_once('<').and_then(|(_, rest)| Some(rest.split_once('>')?.0)) else { continue };
            *syncs.part_of(Path::new(path)) += 1;
        }
        syncs
    }

    fn part_of(&mut self, path: &Path) -> &mut u64 {
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
        let is_database = |name: &OsStr| name == "state" || name == "chunks";
        let ends_with = |ending: &str| path.extension().is_some_and(|extension| extension == ending);
        if folder == "blocks" && ends_with("dat") {
            &mut self.blocks
        } else if folder == "state" && ends_with("log") {
            &mut self.log
        } else if is_database(folder) || path.file_name().is_some_and(is_database) {
            &mut self.database
        } else if path.file_stem().is_some_and(|name| name == "journal") {
            &mut self.journal
        } else {
            &mut self.other
        }
    }

    /// All of them.
    pub fn all(&self) -> u64 {
        self.blocks + self.log + self.database + self.journal + self.other
    }

    /// For each of so many blocks, for programs.
    pub fn to_json(self, blocks: u64) -> Value {
        let per = |count: u64| count as f64 / blocks.max(1) as f64;
        json!({
            "all": per(self.all()),
            "blocks": per(self.blocks),
            "database_log": per(self.log),
            "database_files": per(self.database),
            "journal": per(self.journal),
            "other": per(self.other),
        })
    }

    /// For each of so many blocks, to be read.
    pub fn text(&self, blocks: u64) -> String {
        let per = |count: u64| count as f64 / blocks.max(1) as f64;
        format!(
            "{:.1} syncs a block: block files {:.1}, commits {:.1}, other files of the database {:.1}, journal {:.1}, other \
             {:.1}",
            per(self.all()),
            per(self.blocks),
            per(self.log),
            per(self.database),
            per(self.journal),
            per(self.other),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn each_sync_counts_once_for_what_it_made_safe() {
        let text = "10 fdatasync(5</d/c/blocks/000000.dat>) = 0\n\
                    11 fdatasync(6</d/c/state/000017.log> <unfinished ...>\n\
                    12 fsync(7</d/c/state/000021.sst>) = 0\n\
                    11 <... fdatasync resumed>) = 0\n\
                    12 fsync(8</d/c/chunks/MANIFEST-1>) = 0\n\
                    12 fsync(8</d/c/state>) = 0\n\
                    10 fdatasync(9</d/c/journal>) = 0\n\
                    10 fdatasync(9</d/c/journal.new>) = 0\n\
                    10 fsync(9</d/c>) = 0\n";
        let syncs = Syncs::read(text);
        assert_eq!(syncs, Syncs { blocks: 1, log: 1, database: 3, journal: 2, other: 1 });
        assert_eq!((syncs.all(), syncs.to_json(4)["all"].as_f64()), (8, Some(2.0)));
        assert_eq!(Syncs::read(""), Syncs::default());
    }

    #[tokio::test]
    async fn syncs_of_a_process_are_counted_where_strace_can() {
        let folder = std::env::temp_dir().join(format!("rota-bench-count-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let script = "sleep 3; for i in 1 2 3; do dd if=/dev/zero of=\"$0\" bs=1 count=1 conv=fsync; done; sleep 30";
        let mut writer = Command::new("sh")
            .args(["-c", script])
            .arg(folder.join("journal"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        if let Some(count) = SyncCount::begin(writer.id().unwrap(), &folder).await {
            tokio::time::sleep(Duration::from_secs(5)).await;
            assert_eq!(count.end().await.unwrap(), Syncs { journal: 3, ..Syncs::default() });
        }
        writer.kill().await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
