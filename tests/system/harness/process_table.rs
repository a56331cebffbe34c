//! The processes that work in one directory of ours, found by their command line, so that a node that
//! detached itself (`-daemon`) is ended by id like any other.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Ids of the live processes one of whose arguments contains `path` (a temporary directory: unique).
pub fn working_in(path: &Path) -> Vec<Pid> {
    let needle = path.to_string_lossy().into_owned();
    let own = std::process::id();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok())
        .filter(|id| *id != own)
        .filter(|id| {
            std::fs::read(format!("/proc/{id}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&needle))
        })
        .filter_map(|id| i32::try_from(id).ok().map(Pid::from_raw))
        .collect()
}

/// Sends SIGKILL to every process working in `path`.
pub fn end_all(path: &Path) {
    for id in working_in(path) {
        // The process may have ended by itself since it was listed.
        let _ = kill(id, Signal::SIGKILL);
    }
}

/// Files and connections that a process has open.
pub fn open_files(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Resident memory of a process in KiB.
pub fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[tokio::test]
async fn a_process_is_found_by_a_path_in_its_command_line_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new("tail")
        .arg("-f")
        .arg(folder.path().join("none"))
        .arg("/dev/null")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // A command line is empty for a moment while a program is being loaded.
    super::wait::until("the child's command line", async || {
        let found = working_in(folder.path());
        super::wait::check(found.iter().any(|id| id.as_raw() == child.id().cast_signed()), found)
    })
    .await;
    assert!(resident_kib(child.id()) > 0);
    end_all(folder.path());
    assert!(!child.wait().unwrap().success());
    assert!(working_in(folder.path()).is_empty());
}
