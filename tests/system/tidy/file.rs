//! The project's own files, found once and told apart: sources, test sources, everything else.

use std::path::{Path, PathBuf};

use super::root;

/// A Rust source of the project.
pub struct Source {
    /// Path from the workspace's folder, with forward slashes.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Whether the file holds tests only.
    pub fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// Every Rust source below the package folders.
pub fn sources() -> Vec<Source> {
    let root = root();
    let mut sources = Vec::new();
    for entry in children(&root) {
        if entry.join("Cargo.toml").is_file() {
            collect(&root, &entry, &mut sources);
        }
    }
    assert!(sources.len() > 20, "the project's sources were not found below {}", root.display());
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for path in children(folder) {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                collect(root, &path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source is UTF-8");
            let short = path.strip_prefix(root).expect("a path below the root");
            sources.push(Source { path: short.to_string_lossy().replace('\\', "/"), text });
        }
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths
}
