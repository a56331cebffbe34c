//! The tables are consistent, and help and counts made from them say what they should.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Family, TOPICS, find, help_answer, help_list, help_text, meaning, methods, read_words};
use std::collections::HashSet;

#[test]
fn every_method_stands_in_exactly_one_family_and_is_found_by_name() {
    let mut seen = HashSet::new();
    for (family, method) in methods() {
        assert!(seen.insert(method.name), "{} stands twice, again in {family:?}", method.name);
        assert_eq!(find(method.name), Some(method));
    }
    assert!(seen.len() >= 250, "{} methods", seen.len());
    assert_eq!(find("nosuchmethod"), None);
    assert_eq!(find("GetInfo"), None);
}

#[test]
fn optional_parameters_follow_required_ones_and_no_name_repeats() {
    for (_, method) in methods() {
        let optional_from = method.parameters.iter().position(|parameter| !parameter.required);
        let tail = &method.parameters[optional_from.unwrap_or(method.parameters.len())..];
        assert!(tail.iter().all(|parameter| !parameter.required), "{}", method.name);
        let names: HashSet<&str> = method.parameters.iter().map(|parameter| parameter.name).collect();
        assert_eq!(names.len(), method.parameters.len(), "{}", method.name);
    }
}

#[test]
fn every_alias_leads_to_a_method_that_is_none() {
    for (_, method) in methods() {
        if let Some(target) = method.alias_of {
            assert!(find(target).unwrap().alias_of.is_none(), "{}", method.name);
            assert_eq!(method.arity(), find(target).unwrap().arity());
        }
    }
}

#[test]
fn every_example_fits_the_count_and_the_types_of_its_parameters() {
    for (_, method) in methods() {
        if method.alias_of.is_some() {
            continue;
        }
        let words: Vec<String> = method.example.iter().map(|word| (*word).to_owned()).collect();
        let values = read_words(Some(method), &words).unwrap();
        assert!(method.check_count(values.len()).is_ok(), "{}", method.name);
        for (parameter, value) in method.parameters.iter().zip(&values) {
            assert!(parameter.types.admits(value), "{} {}: {value}", method.name, parameter.name);
        }
    }
}

#[test]
fn every_parameter_name_has_a_meaning_and_every_meaning_is_used() {
    let used: HashSet<&str> =
        methods().flat_map(|(_, method)| method.parameters).map(|parameter| parameter.name).collect();
    for name in &used {
        assert!(!meaning::of(name).is_empty(), "{name} has no meaning");
    }
    assert!(meaning::MEANINGS.is_sorted_by(|a, b| a.0 < b.0));
    for (name, _) in meaning::MEANINGS {
        assert!(used.contains(name), "{name} is no parameter");
    }
}

#[test]
fn a_wrong_count_is_minus_one_with_the_expectation_in_the_message_and_the_help_in_data() {
    let error = find("getblock").unwrap().check_count(0).unwrap_err();
    assert_eq!(error.code.number(), -1);
    assert_eq!(error.message, "getblock takes 1 to 2 parameters, got 0: getblock block ( verbose )");
    assert_eq!(error.data().help, Some(help_text(find("getblock").unwrap())));
    let message = |name: &str, given| find(name).unwrap().check_count(given).unwrap_err().message;
    assert_eq!(message("getinfo", 1), "getinfo takes no parameters, got 1: getinfo");
    assert!(message("stop", 2).starts_with("stop takes 0 to 1 parameter, got 2"));
    assert!(message("dumpprivkey", 0).starts_with("dumpprivkey takes 1 parameter, got 0: dumpprivkey \"address\""));
    assert!(find("getblock").unwrap().check_count(2).is_ok());
    assert!(find("getaccount").unwrap().check_count(9).is_ok());
}

#[test]
fn an_alias_counts_and_explains_like_its_target_under_its_own_name() {
    let error = find("sendtoaddress").unwrap().check_count(0).unwrap_err();
    assert!(error.message.starts_with("sendtoaddress takes 2 to 4 parameters"), "{}", error.message);
    assert!(help_text(find("sendtoaddress").unwrap()).contains("Another name of send."));
}

#[test]
fn the_list_shows_visible_methods_once_under_titles_and_hides_the_rest() {
    let list = help_list(None);
    for (_, method) in methods() {
        let listed = list.lines().filter(|line| line.split(' ').next() == Some(method.name)).count();
        assert_eq!(listed, usize::from(!method.hidden), "{}", method.name);
    }
    assert!(list.starts_with("== Control ==\ngetinfo\n"));
    assert!(!list.contains(Family::FilterCallback.title()));
    let short = help_list(Some(&|name| name == "publish"));
    assert_eq!(short, "== Streams ==\npublish \"stream\" keys data ( \"options\" )");
}

#[test]
fn a_page_has_usage_parameters_and_an_example_that_can_be_pasted() {
    let page = help_answer("publish");
    for part in [
        "publish \"stream\" keys data ( \"options\" )\n",
        "2. keys     string or array (required): ",
        "node-cli chain1 publish stream1 key1 '{\"json\":{\"a\":1}}'\n",
        r#"{"method":"publish","params":["stream1","key1",{"json":{"a":1}}],"id":1}"#,
    ] {
        assert!(page.contains(part), "{part:?} is not in:\n{page}");
    }
}

#[test]
fn help_answers_topics_and_unknown_words_too() {
    assert_eq!(help_answer("nosuchmethod"), "help: unknown command: nosuchmethod");
    for (name, text) in TOPICS {
        assert_eq!(help_answer(name), *text);
    }
    assert_eq!(help_answer(""), help_list(None));
}
