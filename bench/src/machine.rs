//! Where and of what a figure was taken: the machine, and the commit that was built.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// The machine for programs: cores, processor, kernel.
pub fn describe() -> Value {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({"cores": cores, "processor": model(&processors), "kernel": kernel.trim()})
}

/// The name of the first processor of /proc/cpuinfo.
fn model(processors: &str) -> Option<&str> {
    let mut pairs = processors.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.trim() == "model name").map(|(_, value)| value.trim())
}

/// The short hash of the commit that the repository around `folder` stands at, with `-changed` behind it when files
/// that it keeps differ from it.
///
/// # Errors
/// When there is no repository there.
pub fn commit(folder: &Path) -> anyhow::Result<String> {
    let hash = git(folder, &["rev-parse", "--short", "HEAD"])?;
    let changed = git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
    Ok(if changed.is_empty() { hash } else { format!("{hash}-changed") })
}

fn git(folder: &Path, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(words).output().context("git does not run")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} lies in no repository: {}", folder.display(), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn a_processor_is_named_and_a_machine_has_cores() {
        assert_eq!(model("processor\t: 0\nmodel name\t: A B: C\nmodel name\t: D\n"), Some("A B: C"));
        assert_eq!(model("processor: 0\n"), None);
        assert!(describe()["cores"].as_u64().unwrap() > 0);
    }

    #[test]
    fn a_folder_outside_of_a_repository_has_no_commit() {
        assert!(commit(Path::new("/")).unwrap_err().to_string().contains("no repository"));
    }
}
