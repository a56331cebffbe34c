//! What the parameter reader takes and refuses, most of it as recorded from the original.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Detail, Page, Params, Selection};
use crate::cursor::{After, Paging};
use crate::error::RpcError;
use crate::json::BODY_VALUE_LIMIT;
use serde_json::{Value, json};

fn params(value: Value) -> Params {
    Params::parse(Some(&value.to_string())).unwrap()
}

fn failed<T: std::fmt::Debug>(result: Result<T, RpcError>) -> (i32, String) {
    let error = result.unwrap_err();
    (error.code.number(), error.message)
}

#[test]
fn nothing_and_null_are_the_empty_list() {
    for text in [None, Some("null"), Some("[]"), Some(" [ ] "), Some("")] {
        assert!(Params::parse(text).unwrap().is_empty(), "{text:?}");
    }
}

#[test]
fn an_object_instead_of_the_list_is_an_invalid_request() {
    assert_eq!(failed(Params::parse(Some("{\"a\":1}"))).0, -32600);
    assert_eq!(failed(Params::parse(Some("5"))).0, -32600);
    assert_eq!(failed(Params::parse(Some("[1"))).0, -32700);
}

#[test]
fn a_duplicate_member_inside_a_parameter_is_refused() {
    let (code, message) = failed(Params::parse(Some(r#"["s","k",{"json":{"a":1,"a":2}}]"#)));
    assert_eq!((code, message.contains("\"a\"")), (-8, true));
}

#[test]
fn values_without_end_are_refused_before_they_are_kept() {
    let objects = |count: usize| format!("[[{}]]", vec!["{\"\":0}"; count].join(","));
    // An object and its member, and the two arrays around all.
    let most = (BODY_VALUE_LIMIT - 2) / 2;
    assert_eq!(Params::parse(Some(&objects(most))).unwrap().len(), 1);
    let (code, message) = failed(Params::parse(Some(&objects(most + 1))));
    assert_eq!((code, message.contains(&BODY_VALUE_LIMIT.to_string())), (-8, true), "{message}");
}

#[test]
fn a_long_list_of_texts_is_taken() {
    let texts: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
    assert_eq!(params(json!([texts])).list(0).unwrap(), texts);
}

#[test]
fn a_directly_read_value_of_a_wrong_type_is_minus_one_and_names_both_types() {
    let given = params(json!([1, "x", 1.5, true, [], {}, null]));
    let message = |text: &str| (-1, text.to_owned());
    assert_eq!(failed(given.text(0)), message("value is type int, expected str"));
    assert_eq!(failed(given.integer(1)), message("value is type str, expected int"));
    assert_eq!(failed(given.integer(2)), message("value is type real, expected int"));
    assert_eq!(failed(given.real(1)), message("value is type str, expected real"));
    assert_eq!(failed(given.text(3)), message("value is type bool, expected str"));
    assert_eq!(failed(given.boolean(0)), message("value is type int, expected bool"));
    assert_eq!(failed(given.text(4)), message("value is type array, expected str"));
    assert_eq!(failed(given.text(5)), message("value is type obj, expected str"));
    assert_eq!(failed(given.text(6)), message("value is type null, expected str"));
    assert_eq!(failed(given.array(1)), message("value is type str, expected array"));
    assert_eq!(failed(given.object(4)), message("value is type array, expected obj"));
}

#[test]
fn an_integer_serves_as_real_but_not_the_other_way_round() {
    let given = params(json!([3, 3.0]));
    assert_eq!(given.real(0).unwrap(), 3.0);
    assert_eq!(given.real(1).unwrap(), 3.0);
    assert_eq!(given.integer(0).unwrap(), 3);
    assert_eq!(failed(given.integer(1)).0, -1);
}

#[test]
fn null_and_absence_take_the_default_of_an_optional_parameter() {
    let given = params(json!([null]));
    for index in [0, 1] {
        assert_eq!(given.text_or(index, "d").unwrap(), "d");
        assert_eq!(given.integer_or(index, 7).unwrap(), 7);
        assert!(given.boolean_or(index, true).unwrap());
        assert!(!given.verbose(index).unwrap());
        assert!(!given.has(index));
    }
    assert!(given.get(0).is_some() && given.get(1).is_none());
}

#[test]
fn a_switch_takes_only_a_real_boolean() {
    assert!(params(json!([true])).verbose(0).unwrap());
    for wrong in [json!([1]), json!(["true"]), json!([{}])] {
        assert_eq!(failed(params(wrong).verbose(0)).0, -8);
    }
}

#[test]
fn a_level_takes_booleans_and_integers_within_its_range() {
    assert_eq!(params(json!([true])).level(0, 0, 4).unwrap(), 1);
    assert_eq!(params(json!([4])).level(0, 0, 4).unwrap(), 4);
    assert_eq!(params(json!([])).level(0, 1, 4).unwrap(), 1);
    assert_eq!(failed(params(json!([5])).level(0, 1, 4)), (-8, "verbose out of range".into()));
    assert_eq!(failed(params(json!(["1"])).level(0, 1, 4)).0, -1);
}

#[test]
fn count_is_an_integer_that_is_not_negative_and_start_an_integer_or_a_cursor() {
    let paging = |values| params(values).paging(0, 1, 10);
    let page = |count, start| Paging::Page(Page { count, start });
    assert_eq!(paging(json!([])).unwrap(), page(10, -10));
    assert_eq!(paging(json!([5])).unwrap(), page(5, -5));
    assert_eq!(paging(json!([5, 0])).unwrap(), page(5, 0));
    assert_eq!(paging(json!([5, {"after": "x"}])).unwrap(), Paging::After(After { count: 5, token: "x".into() }));
    for wrong in [json!([-1]), json!([1.0]), json!(["1"]), json!([-1, {"after": ""}])] {
        assert_eq!(failed(paging(wrong)), (-8, "Invalid count".into()));
    }
    for wrong in [json!("0"), json!(1.0), json!([]), json!(true)] {
        assert_eq!(failed(paging(json!([3, wrong]))), (-8, "Invalid start".into()));
    }
    assert_eq!(failed(paging(json!([3, {"before": ""}]))).0, -8);
}

#[test]
fn a_page_is_cut_to_what_exists() {
    let window = |count, start, size| Page { count, start }.window(size);
    assert_eq!(window(10, -10, 25), 15..25);
    assert_eq!(window(10, -10, 4), 0..4);
    assert_eq!(window(3, 0, 10), 0..3);
    assert_eq!(window(3, 9, 10), 9..10);
    assert_eq!(window(3, -1, 10), 9..10);
    assert_eq!(window(3, -5, 10), 5..8);
    assert_eq!(window(3, 10, 10), 10..10);
    assert_eq!(window(3, 1_000, 10), 10..10);
    assert_eq!(window(0, 0, 10), 0..0);
    assert_eq!(window(i64::MAX, i64::MIN, 10), 0..10);
    assert_eq!(Page::ALL.window(7), 0..7);
    assert_eq!(Page::ALL.window(0), 0..0);
}

#[test]
fn a_list_is_an_array_or_a_comma_string_without_duplicates() {
    assert_eq!(params(json!(["a,b"])).list(0).unwrap(), ["a", "b"]);
    assert_eq!(params(json!([["a", 5]])).list(0).unwrap(), ["a", "5"]);
    assert_eq!(params(json!([[]])).list(0).unwrap(), Vec::<String>::new());
    assert_eq!(failed(params(json!(["a,a"])).list(0)), (-8, "Invalid parameter, duplicate value: a".into()));
    assert_eq!(failed(params(json!([["x", "x"]])).list(0)).0, -8);
    assert_eq!(failed(params(json!([[1.5]])).list(0)).0, -8);
    for wrong in [json!([null]), json!([5]), json!([{"a": 1}])] {
        assert_eq!(failed(params(wrong).list(0)), (-8, "Invalid value, expected string or array".into()));
    }
}

#[test]
fn a_plain_identifier_is_never_split() {
    assert_eq!(params(json!(["a,b"])).identifiers(0).unwrap(), ["a,b"]);
    assert_eq!(params(json!([["a", "b"]])).identifiers(0).unwrap(), ["a", "b"]);
    assert_eq!(failed(params(json!([["root", "root"]])).identifiers(0)).0, -8);
}

#[test]
fn a_star_or_nothing_selects_everything() {
    assert_eq!(params(json!([])).selection(0).unwrap(), Selection::All);
    assert_eq!(params(json!(["*"])).selection(0).unwrap(), Selection::All);
    assert_eq!(params(json!(["a"])).selection(0).unwrap(), Selection::These(vec!["a".into()]));
    assert_eq!(params(json!(["a,b"])).identifier_selection(0).unwrap(), Selection::These(vec!["a,b".into()]));
}

#[test]
fn hex_of_a_wrong_form_length_or_type_is_minus_eight() {
    let txid = "ab".repeat(32);
    assert_eq!(params(json!([txid])).hex(0, 64, "txid").unwrap(), txid);
    for wrong in [json!(["zz"]), json!([""]), json!([5]), json!(["abcd"])] {
        assert_eq!(failed(params(wrong).hex(0, 64, "txid")).0, -8);
    }
}

#[test]
fn a_refused_list_of_secrets_repeats_none_of_them() {
    let params = Params::new(vec![json!("word,word")]);
    assert!(params.list(0).unwrap_err().message.contains("word"));
    let error = params.secrets(0).unwrap_err();
    assert_eq!((error.code.number(), error.data().got), (-8, None));
    assert!(!error.message.contains("word"), "{}", error.message);
}

#[test]
fn a_dash_for_verbose_asks_for_the_length_of_a_list() {
    let given = params(json!(["-", true, false, null, "x", 1]));
    let details: Vec<Detail> = (0..4).map(|index| given.detail(index).unwrap()).collect();
    assert_eq!(details, [Detail::Number, Detail::Verbose, Detail::Brief, Detail::Brief]);
    assert_eq!(given.detail(9).unwrap(), Detail::Brief);
    assert_eq!((failed(given.detail(4)).0, failed(given.detail(5)).0), (-8, -8));
}
