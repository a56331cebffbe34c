//! What is built in: every dependency is from the registry, under a licence that deny.toml allows, and in no version
//! that deny.toml says must not come back. Advisories need `cargo deny check advisories`, which fetches them.

use std::process::Command;

use super::{report, root};

/// A dependency as `cargo tree` prints it.
struct Dependency {
    name: String,
    version: String,
    /// Where it is from, if not the registry.
    origin: Option<String>,
    licence: String,
}

/// Every package that the workspace is built of on this platform, its own left out.
fn dependencies() -> Vec<Dependency> {
    let words =
        ["tree", "--workspace", "--locked", "-e", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"];
    let output = Command::new(env!("CARGO")).args(words).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines.sort_unstable();
    lines.dedup();
    let here = root().display().to_string();
    lines
        .into_iter()
        .filter_map(read)
        .filter(|found| !found.origin.as_ref().is_some_and(|o| o.contains(&here)))
        .collect()
}

/// Reads `name v1.2.3 (origin)|licence`.
fn read(line: &str) -> Option<Dependency> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let origin = words.next().filter(|rest| !rest.starts_with("(proc-macro)")).map(str::to_owned);
    Some(Dependency { name: name.to_owned(), version: version.to_owned(), origin, licence: licence.trim().to_owned() })
}

fn deny() -> String {
    std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is read")
}

/// The licences that deny.toml allows.
fn allowed(deny: &str) -> Vec<&str> {
    let list = deny.split_once("allow = [").and_then(|(_, rest)| rest.split_once(']')).expect("a list of licences").0;
    list.split(',').map(|word| word.trim().trim_matches('"')).filter(|word| !word.is_empty()).collect()
}

/// Crates with the versions below which deny.toml refuses them.
fn refused(deny: &str) -> Vec<(&str, &str)> {
    let named = deny.split("crate = \"").skip(1).filter_map(|rest| rest.split_once('"'));
    named.filter_map(|(text, _)| text.split_once("@<")).collect()
}

/// Whether a licence expression can be met with these licences. `/` is an old way to write OR.
fn is_met(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ");
    let expression = strip_parentheses(expression.trim());
    for (word, all) in [(" OR ", false), (" AND ", true)] {
        let parts = split_outside(expression, word);
        if parts.len() > 1 {
            let mut met = parts.iter().map(|part| is_met(part, allowed));
            return if all { met.all(|met| met) } else { met.any(|met| met) };
        }
    }
    allowed.contains(&expression.trim())
}

fn strip_parentheses(expression: &str) -> &str {
    let inner = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    match inner.filter(|inner| depths(inner).all(|depth| depth >= 0)) {
        Some(inner) => inner,
        None => expression,
    }
}

/// How many parentheses are open after each byte.
fn depths(text: &str) -> impl Iterator<Item = i32> {
    text.bytes().scan(0, |depth, byte| {
        *depth += i32::from(byte == b'(') - i32::from(byte == b')');
        Some(*depth)
    })
}

/// The parts between a word that stands outside of parentheses.
fn split_outside<'e>(expression: &'e str, word: &str) -> Vec<&'e str> {
    let depths: Vec<i32> = depths(expression).collect();
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in expression.match_indices(word) {
        if depths[at] == 0 {
            parts.push(&expression[start..at]);
            start = at + word.len();
        }
    }
    parts.push(&expression[start..]);
    parts
}

/// A version's numbers, what follows them left out.
fn numbers(version: &str) -> Vec<u64> {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    plain.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

#[test]
fn every_dependency_is_from_the_registry_under_a_licence_that_is_allowed() {
    let (deny, all) = (deny(), dependencies());
    let allowed = allowed(&deny);
    assert!(all.len() > 100 && allowed.len() > 5, "{} dependencies, {} licences", all.len(), allowed.len());
    let mut complaints = Vec::new();
    for Dependency { name, version, origin, licence } in &all {
        if let Some(origin) = origin {
            complaints.push(format!("{name} {version} is from {origin}"));
        }
        if !is_met(licence, &allowed) {
            complaints.push(format!("{name} {version} has the licence {licence:?}"));
        }
    }
    report("a dependency that deny.toml does not allow", &complaints);
}

#[test]
fn no_dependency_has_a_version_that_must_not_come_back() {
    let deny = deny();
    let refused = refused(&deny);
    assert!(!refused.is_empty(), "deny.toml names no version");
    let mut complaints = Vec::new();
    for Dependency { name, version, .. } in &dependencies() {
        let below = refused.iter().filter(|(refused, below)| refused == name && numbers(version) < numbers(below));
        complaints.extend(below.map(|(_, below)| format!("{name} {version} is below {below}")));
    }
    report("a version with a known fault", &complaints);
}

#[test]
fn licence_expressions_and_versions_are_understood() {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
    for met in [
        "MIT",
        "MIT/GPL-2.0-only",
        "GPL-2.0-only OR Apache-2.0",
        "(MIT OR GPL-2.0-only) AND Unicode-3.0",
        "(MIT OR ISC) AND (ISC OR Apache-2.0)",
        "Apache-2.0 WITH LLVM-exception OR ISC",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for not in ["", "ISC", "MIT AND ISC", "(MIT OR ISC) AND ISC", "MPL-2.0 OR (ISC AND MIT)", "LGPL-2.1-or-later"] {
        assert!(!is_met(not, &allowed), "{not}");
    }
    assert!(numbers("0.13.9") < numbers("0.13.10") && numbers("0.50.1") >= numbers("0.49.5"));
    assert_eq!(refused("{ crate = \"a@<1.2\", x = 1 },\n{ crate = \"b\" }"), [("a", "1.2")]);
}
