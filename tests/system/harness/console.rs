//! Runs of a binary that end by themselves: what was printed, where, and the exit code.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::binary;

/// Longest run of a command that is expected to end by itself.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// What a finished command left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Both streams, output first.
    pub fn text(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// The first line that begins with `start`, without it and trimmed.
    pub fn line_after(&self, start: &str) -> String {
        word_after(&self.text(), start).unwrap_or_else(|| panic!("no line begins with {start:?} in {self:#?}"))
    }

    /// Fails unless the command ended with 0.
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "a command failed: {self:#?}");
        self
    }

    /// Fails unless the command failed by itself and said all of `parts` (case does not matter).
    pub fn failed_saying(self, parts: &[&str]) -> Self {
        assert!(self.code > 0, "expected an exit code above 0: {self:#?}");
        let text = self.text().to_lowercase();
        assert!(!text.contains("panicked"), "the command panicked: {self:#?}");
        for part in parts {
            assert!(text.contains(&part.to_lowercase()), "nothing says {part:?} in {self:#?}");
        }
        self
    }
}

/// The rest of the first line of `text` that begins with `start`, trimmed.
pub fn word_after(text: &str, start: &str) -> Option<String> {
    text.lines().find_map(|line| line.trim_start().strip_prefix(start)).map(|rest| rest.trim().to_owned())
}

/// A command for one of our binaries with the given words and no standard input.
pub fn command(binary_name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(binary::path(binary_name));
    command.args(words).stdin(Stdio::null()).env_remove("RUST_LOG").kill_on_drop(true);
    command
}

/// Runs a command to its end. Output goes through files, so that a detached child that keeps the
/// streams open does not hold the caller.
pub async fn finish(mut command: Command, scratch: &Path) -> Outcome {
    let folder = tempfile::tempdir_in(scratch).expect("a folder for the output");
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    command.stdout(std::fs::File::create(&out).expect("an output file"));
    command.stderr(std::fs::File::create(&err).expect("an error file"));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let status = tokio::time::timeout(RUN_LIMIT, child.wait()).await;
    let read = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let (out, err) = (read(&out), read(&err));
    let Ok(status) = status else { panic!("{command:?} did not end within {RUN_LIMIT:?}; it printed:\n{out}{err}") };
    Outcome { code: status.expect("a status").code().unwrap_or(-1), out, err }
}

/// Runs one of our binaries to its end.
pub async fn run(binary_name: &str, words: &[&str], scratch: &Path) -> Outcome {
    finish(command(binary_name, words), scratch).await
}

#[tokio::test]
async fn a_finished_command_leaves_both_streams_and_its_code() {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo 'grant: one two '; echo bad >&2; exit 7"]);
    let outcome = finish(command, scratch.path()).await;
    assert_eq!(outcome.line_after("grant:"), "one two");
    assert_eq!(outcome.err, "bad\n");
    outcome.failed_saying(&["BAD"]);
}

#[tokio::test]
async fn a_detached_child_does_not_hold_the_caller() {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let idle = scratch.path().join("idle");
    command.args(["-c", &format!("tail -q -f /dev/null {} & echo done", idle.display())]);
    assert_eq!(finish(command, scratch.path()).await.succeeded().out, "done\n");
    super::process_table::end_all(scratch.path());
}

#[test]
fn only_a_line_that_begins_so_is_taken() {
    let text = "see node-cli c grant X connect\n  node-cli c grant Y connect\n";
    assert_eq!(word_after(text, "node-cli c grant ").as_deref(), Some("Y connect"));
    assert_eq!(word_after(text, "noded "), None);
}
