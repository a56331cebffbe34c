//! docs/rpc.md is what the table says now, and says all of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{marked, reference};
use crate::method::methods;
use std::path::Path;

/// Set by whoever wants the page written anew instead of compared.
const WRITE: &str = "ROTA_WRITE_DOCS";

#[test]
fn the_reference_page_in_docs_is_made_from_the_table_as_it_is_now() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rpc.md");
    let page = reference();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let line = page.lines().zip(written.lines()).position(|(now, then)| now != then);
    assert!(
        page == written,
        "docs/rpc.md is stale (first difference in line {}); write it anew with {WRITE}=1 cargo test --release -p \
         rota-api reference",
        line.unwrap_or_else(|| page.lines().count().min(written.lines().count())) + 1
    );
}

#[test]
fn every_method_has_a_section_with_every_parameter() {
    let page = reference();
    for (_, method) in methods() {
        let heading = format!("\n### {}\n", method.name);
        assert_eq!(page.matches(&heading).count(), 1, "{}", method.name);
        let section = page.split(&heading).nth(1).unwrap().split("\n### ").next().unwrap();
        for parameter in method.parameters {
            assert!(section.contains(&format!(". `{}`, ", parameter.name)), "{} {}", method.name, parameter.name);
        }
    }
}

#[test]
fn marks_of_markdown_in_a_phrase_are_shown_as_they_are() {
    assert_eq!(marked("feeds, * for all [a|b]"), r"feeds, \* for all \[a\|b\]");
}
