//! The project's papers hold together: their links lead somewhere, a page that the code cites exists, and rules that
//! errors name are listed.

use std::path::{Path, PathBuf};

use super::file::sources;
use super::text::layers;
use super::{report, root};

/// Markdown files of the project: those at the top, and everything below docs.
fn papers() -> Vec<PathBuf> {
    let root = root();
    let mut papers = Vec::new();
    let mut folders = vec![root.join("docs")];
    papers.extend(markdown(&root));
    while let Some(folder) = folders.pop() {
        papers.extend(markdown(&folder));
        let entries = std::fs::read_dir(&folder).expect("a readable folder");
        folders.extend(entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir()));
    }
    papers
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The targets of `[text](target)` links that point into the project, without their `#` part.
fn links(text: &str) -> Vec<&str> {
    text.match_indices("](")
        .filter_map(|(at, opening)| {
            let rest = &text[at + opening.len()..];
            rest.find(')').map(|end| &rest[..end])
        })
        .filter(|target| !target.contains("://") && !target.starts_with('#') && !target.contains(char::is_whitespace))
        .map(|target| target.split('#').next().unwrap_or_default())
        .collect()
}

/// The pages `docs/protocol/<noun>.md` that a text names.
fn cited_pages(text: &str) -> Vec<String> {
    text.match_indices("docs/protocol/")
        .map(|(at, start)| {
            let is_name = |letter: &char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
            text[at + start.len()..].chars().take_while(is_name).collect::<String>()
        })
        .map(|name| name.trim_end_matches('.').to_owned())
        .filter(|name| name.ends_with(".md"))
        .collect()
}

#[test]
fn every_link_in_the_papers_leads_somewhere() {
    let mut complaints = Vec::new();
    for paper in papers() {
        let text = std::fs::read_to_string(&paper).expect("a paper is UTF-8");
        let folder = paper.parent().expect("a paper lies in a folder");
        for target in links(&text) {
            if !folder.join(target).exists() {
                complaints.push(format!("{}: {target}", paper.display()));
            }
        }
    }
    report("a link that leads nowhere", &complaints);
}

#[test]
fn every_page_that_the_code_cites_exists() {
    let mut complaints = Vec::new();
    for source in sources() {
        for page in cited_pages(&layers(&source.text).comments) {
            if !root().join("docs/protocol").join(&page).is_file() {
                complaints.push(format!("{}: docs/protocol/{page}", source.path));
            }
        }
    }
    report("a cited page that is not there", &complaints);
}

#[test]
fn links_and_citations_are_found_in_running_text() {
    let text =
        "see [a](x/y.md#part), [b](https://example.org) and [c](#here); docs/protocol/block.md. `docs/protocol/`";
    assert_eq!(links(text), ["x/y.md"]);
    assert_eq!(cited_pages(text), ["block.md"]);
}

/// The rules that a source gives to errors by name: `.rule("name")`.
fn rules(text: &str) -> impl Iterator<Item = &str> {
    let opening = ".rule(\"";
    text.match_indices(opening).filter_map(move |(at, _)| text[at + opening.len()..].split('"').next())
}

#[test]
fn every_rule_that_an_error_names_is_one_of_the_ledger_or_on_the_page() {
    let page = std::fs::read_to_string(root().join("docs/protocol/rpc.md")).expect("the page of the API");
    let ledger = std::fs::read_to_string(root().join("consensus/src/rule.rs")).expect("the rules of the ledger");
    let (mut seen, mut complaints) = (0, Vec::new());
    for source in sources().iter().filter(|source| source.path.starts_with("node/src/rpc/") && !source.is_test()) {
        for rule in rules(&source.text) {
            seen += 1;
            if !ledger.contains(&format!("= \"{rule}\",")) && !page.contains(&format!("`{rule}`")) {
                complaints.push(format!("{}: {rule}", source.path));
            }
        }
    }
    assert!(seen > 50, "only {seen} rules were found");
    report("a rule that docs/protocol/rpc.md does not list", &complaints);
}
