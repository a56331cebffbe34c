//! The tidy tier: reads `cargo metadata` and the sources, and holds the layout to what ARCHITECTURE.md and
//! STYLE.md say. Failures list every place at once, as file:line.

mod crates;
mod dependency;
mod file;
mod paper;
mod source;
mod text;

use std::path::PathBuf;

/// The folder of the workspace.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").to_path_buf()
}

/// Fails with every complaint, one a line.
fn report(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}
