//! Where the built binaries are: `ROTA_BIN_DIR`, or the folder above the one of this test executable.

use std::path::PathBuf;

/// Path of one of our binaries; a missing one is an instruction, not a skipped test.
pub fn path(name: &str) -> PathBuf {
    let folder = folder();
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "no {name} in {}: run `cargo build --release --workspace --bins` (scripts/test does) or set ROTA_BIN_DIR",
        folder.display()
    );
    path
}

fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("ROTA_BIN_DIR") {
        return PathBuf::from(folder);
    }
    let executable = std::env::current_exe().expect("a running program has a path");
    let deps = executable.parent().expect("an executable lies in a folder");
    deps.parent().expect("deps lies in the profile's folder").to_path_buf()
}
