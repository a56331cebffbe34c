//! The rules of the chain, each provoked once and each kept once: one module a noun, over a small chain in memory.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

mod asset;
mod block;
mod chain_builder;
mod coin;
mod coverage;
mod entity;
mod fork;
mod height;
mod mining;
mod permission;
mod reward;
mod signature;
mod state;
mod stream;
mod transaction;
mod transaction_builder;
mod turnover;
mod upgrade;
mod variable;
mod vector;
mod vote;
mod witness;
mod work;

/// Every code in `rule.rs` must be quoted by a test: a rule that nobody can break is no rule.
#[test]
fn every_rule_is_provoked_by_a_test() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let rules = read(&root.join("src/rule.rs"));
    let tests: String =
        std::fs::read_dir(root.join("tests/rules")).unwrap().map(|entry| read(&entry.unwrap().path())).collect();
    let codes: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().split_once(" = \"")?.1.split_once("\", "))
        .map(|(code, _)| code)
        .collect();
    assert!(codes.len() > 50, "the reader of rule.rs finds {}", codes.len());
    let unproven: Vec<&&str> = codes.iter().filter(|code| !tests.contains(&format!("\"{code}\""))).collect();
    assert!(unproven.is_empty(), "no test provokes {unproven:?}");
}
