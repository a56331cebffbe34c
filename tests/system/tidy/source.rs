//! Rules about single files: headers, sizes, names, words, and what the pure crates may not touch.

use super::file::{Source, sources};
use super::report;
use super::text::{functions, layers};

/// Longest non-test file, in lines.
const FILE_LIMIT: usize = 800;
/// Longest function, in lines.
const FUNCTION_LIMIT: usize = 70;
/// Names that say nothing about what a file is about.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "manager"];
/// Words that mark unfinished work.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "HACK"];
/// Crates whose code is a pure function of its arguments.
const PURE: &[&str] = &["chain/src/", "consensus/src/"];
/// What a pure crate's code may not name: clocks, chance, tasks, files, the network.
const IMPURE: &[&str] = &[
    "SystemTime",
    "Instant::now",
    "time::Instant",
    "tokio",
    "rand::",
    "getrandom",
    "rocksdb",
    "libp2p",
    "jsonrpsee",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
];

/// Complaints of `judge` over every source, each with its file.
fn complaints(judge: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    sources()
        .iter()
        .flat_map(|source| judge(source).into_iter().map(|complaint| format!("{}{complaint}", source.path)))
        .collect()
}

/// The lines of a layer that contain one of the words, as `:line: word`.
fn lines_with(layer: &str, words: &[&str]) -> Vec<String> {
    let named = |(number, line): (usize, &str)| {
        words
            .iter()
            .filter(|word| line.contains(**word))
            .map(|word| format!(":{}: {word}", number + 1))
            .collect::<Vec<_>>()
    };
    layer.lines().enumerate().flat_map(named).collect()
}

#[test]
fn every_source_opens_by_saying_what_it_holds() {
    let found = complaints(|source| {
        let first = source.text.lines().next().unwrap_or_default();
        let says = first.strip_prefix("//! ").is_some_and(|words| words.len() >= 10);
        if says { Vec::new() } else { vec![":1: no `//!` line that says what lives here".to_owned()] }
    });
    report("a source without a header", &found);
}

#[test]
fn no_source_outgrows_its_subject() {
    let found = complaints(|source| {
        let lines = source.text.lines().count();
        let long = lines > FILE_LIMIT && !source.is_test();
        if long { vec![format!(": {lines} lines, the limit is {FILE_LIMIT}")] } else { Vec::new() }
    });
    report("a source that is too long", &found);
}

#[test]
fn every_function_fits_on_a_screen() {
    let found = complaints(|source| {
        functions(&layers(&source.text).code)
            .into_iter()
            .filter(|function| function.lines > FUNCTION_LIMIT)
            .map(|f| format!(":{}: {} has {} lines, the limit is {FUNCTION_LIMIT}", f.line, f.name, f.lines))
            .collect()
    });
    report("a function that is too long", &found);
}

#[test]
fn every_name_says_what_the_file_is_about() {
    let found = complaints(|source| {
        source
            .path
            .trim_end_matches(".rs")
            .split('/')
            .filter(|part| EMPTY_NAMES.contains(part))
            .map(|part| format!(": {part} names no subject"))
            .collect()
    });
    report("a file name without a subject", &found);
}

#[test]
fn no_comment_announces_unfinished_work() {
    let found = complaints(|source| lines_with(&layers(&source.text).comments, UNFINISHED));
    report("unfinished work in a comment", &found);
}

#[test]
fn the_pure_crates_name_no_clock_chance_task_or_file() {
    let found = complaints(|source| {
        let pure = PURE.iter().any(|folder| source.path.starts_with(folder));
        if pure && !source.is_test() { lines_with(&layers(&source.text).code, IMPURE) } else { Vec::new() }
    });
    report("a pure crate that looks outside", &found);
}

#[test]
fn no_test_is_switched_off() {
    let found = complaints(|source| lines_with(&layers(&source.text).code, &["#[ignore"]));
    report("an ignored test", &found);
}

#[test]
fn a_word_is_found_with_its_line() {
    assert_eq!(lines_with("a\nb TODO c\n", UNFINISHED), [":2: TODO"]);
}
