//! Paths are read as the standard has them, select what it says, and never take longer than they may.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::{Budget, Comparison, Exhausted, MAX_NESTING, MAX_PATH, Path, compare};
use serde_json::{Value, json};
use std::cell::RefCell;

fn selected(path: &str, value: &Value) -> Value {
    let found = RefCell::new(Vec::new());
    let path = Path::read(path).unwrap_or_else(|fault| panic!("{path}: {fault}"));
    path.any(value, &mut Budget::new(10_000), |value, _| {
        found.borrow_mut().push(value.clone());
        Ok(false)
    })
    .unwrap();
    Value::Array(found.into_inner())
}

fn fault(path: &str) -> (usize, String) {
    let fault = Path::read(path).unwrap_err();
    (fault.position, fault.reason)
}

fn shop() -> Value {
    json!({"store": {
        "book": [
            {"category": "reference", "author": "A", "title": "One", "price": 8.95},
            {"category": "fiction", "author": "B", "title": "Two", "price": 12.99},
            {"category": "fiction", "author": "C", "title": "Three", "isbn": "0-553", "price": 8.99},
            {"category": "fiction", "author": "D", "title": "Four", "isbn": "0-395", "price": 22.99}
        ],
        "bicycle": {"color": "red", "price": 399}
    }})
}

#[test]
fn names_indexes_slices_wildcards_and_descendants_select_as_the_standard_says() {
    let shop = shop();
    assert_eq!(selected("$.store.book[*].author", &shop), json!(["A", "B", "C", "D"]));
    assert_eq!(selected("$..author", &shop), json!(["A", "B", "C", "D"]));
    assert_eq!(selected("$.store..price", &shop), json!([8.95, 12.99, 8.99, 22.99, 399]));
    assert_eq!(selected("$..book[2].title", &shop), json!(["Three"]));
    assert_eq!(selected("$..book[-1].title", &shop), json!(["Four"]));
    assert_eq!(selected("$..book[0,1].title", &shop), json!(["One", "Two"]));
    assert_eq!(selected("$..book[:2].title", &shop), json!(["One", "Two"]));
    assert_eq!(selected("$", &json!(1)), json!([1]));
    assert_eq!(selected("$ ['a'] [ \"b\" ] .c", &json!({"a": {"b": {"c": 1}}})), json!([1]));
    assert_eq!(selected("$['a']['b'].ü_1", &json!({"a": {"b": {"ü_1": 2}}})), json!([2]));
    assert_eq!(selected(r"$['\u00e4\n\'\ud83d\ude00']", &json!({"ä\n'😀": 3})), json!([3]));
    assert_eq!(selected("$.a", &json!([1])), json!([]));
    assert_eq!(selected("$[0]", &json!({"0": 1})), json!([]));
    assert_eq!(selected("$..*", &json!([[1], 2])).as_array().unwrap().len(), 3);
}

#[test]
fn slices_run_both_ways_and_a_step_of_zero_selects_nothing() {
    let list = json!(["a", "b", "c", "d", "e", "f", "g"]);
    for (path, expected) in [
        ("$[1:3]", json!(["b", "c"])),
        ("$[5:]", json!(["f", "g"])),
        ("$[1:5:2]", json!(["b", "d"])),
        ("$[5:1:-2]", json!(["f", "d"])),
        ("$[::-1]", json!(["g", "f", "e", "d", "c", "b", "a"])),
        ("$[-2:]", json!(["f", "g"])),
        ("$[ : 2 : ]", json!(["a", "b"])),
        ("$[::0]", json!([])),
        ("$[9:2]", json!([])),
        ("$[-99:99:3]", json!(["a", "d", "g"])),
    ] {
        assert_eq!(selected(path, &list), expected, "{path}");
    }
    assert_eq!(selected("$[:]", &json!([])), json!([]));
    assert_eq!(selected("$[::-1]", &json!([])), json!([]));
}

#[test]
fn filters_select_what_their_expression_is_true_of() {
    let shop = shop();
    assert_eq!(selected("$..book[?@.isbn].title", &shop), json!(["Three", "Four"]));
    assert_eq!(selected("$..book[?@.price < 10].title", &shop), json!(["One", "Three"]));
    assert_eq!(selected("$..book[?!@.isbn && @.price>10].title", &shop), json!(["Two"]));
    assert_eq!(selected("$..book[?(@.author=='A' || @.author == \"D\")].title", &shop), json!(["One", "Four"]));
    assert_eq!(selected("$..book[?@.price == $.store.book[1].price].title", &shop), json!(["Two"]));
    assert_eq!(selected("$..book[?length(@.title) >= 4].title", &shop), json!(["Three", "Four"]));
    assert_eq!(selected("$.store[?count(@.*) == 4][0].title", &shop), json!(["One"]));
    assert_eq!(selected("$..book[?value(@..isbn) == '0-395'].title", &shop), json!(["Four"]));
    let values = json!([1, "1", true, null, [1], {"b": 1}]);
    assert_eq!(selected("$[?@ == 1]", &values), json!([1]));
    assert_eq!(selected("$[?@ != 1]", &values).as_array().unwrap().len(), 5);
    assert_eq!(selected("$[?@ <= true]", &values), json!([true]));
    assert_eq!(selected("$[?@ < 'a']", &values), json!(["1"]));
    assert_eq!(selected("$[?@.x == @.y]", &values).as_array().unwrap().len(), 6, "nothing is nothing");
    assert_eq!(selected("$[?@ == $[4]]", &values), json!([[1]]));
    assert_eq!(selected("$[?@.b == 1e0]", &values), json!([{"b": 1}]));
    assert_eq!(selected("$[?@ == null]", &values), json!([null]));
}

#[test]
fn numbers_compare_as_they_are_and_not_as_reals() {
    let holds =
        |left: Value, comparison, right: Value| compare(&left, comparison, &right, &mut Budget::new(9)).unwrap();
    let (large, larger) = (json!(9_007_199_254_740_992i64), json!(9_007_199_254_740_993i64));
    assert!(holds(larger.clone(), Comparison::Greater, large.clone()));
    assert!(!holds(larger.clone(), Comparison::Equal, json!(9_007_199_254_740_992.0)));
    assert!(holds(large, Comparison::Equal, json!(9_007_199_254_740_992.0)));
    assert!(holds(json!(u64::MAX), Comparison::Greater, json!(i64::MAX)));
    assert!(holds(json!(u64::MAX), Comparison::Less, json!(18_446_744_073_709_551_616.0)));
    assert!(holds(json!(i64::MIN), Comparison::GreaterOrEqual, json!(-9_223_372_036_854_775_808.0)));
    assert!(holds(json!(-1), Comparison::Greater, json!(-1.5)));
    assert!(holds(json!(-1.5), Comparison::Less, json!(-1)));
    assert!(holds(json!(1), Comparison::Less, json!(1.5)));
    assert!(holds(json!(1e300), Comparison::Greater, json!(u64::MAX)));
    assert!(holds(json!(1.0), Comparison::Equal, json!(1)));
    assert!(holds(json!("ä"), Comparison::Greater, json!("z")));
    assert!(!holds(json!("1"), Comparison::LessOrEqual, json!(1)));
    assert!(holds(json!("1"), Comparison::Unequal, json!(1)));
}

#[test]
fn a_path_that_is_none_is_refused_at_the_character() {
    assert_eq!(fault(""), (1, "a path begins with $".into()));
    assert_eq!(fault("a.b"), (1, "a path begins with $".into()));
    assert_eq!(fault("$.ä.1"), (5, "expected a name or *".into()));
    assert_eq!(fault("$ "), (2, "expected . or [".into()));
    assert_eq!(fault("$.a b"), (4, "expected . or [".into()));
    assert_eq!(fault("$[1"), (4, "expected , or ]".into()));
    assert_eq!(fault("$[01]").0, 3);
    assert_eq!(fault("$[-0]").0, 3);
    assert_eq!(fault("$[9007199254740992]").0, 3);
    assert_eq!(fault("$['a"), (5, "a name or text in quotes does not end".into()));
    assert_eq!(fault(r"$['\x']"), (5, "no such escape".into()));
    assert_eq!(fault(r"$['\ud800']").1, "half a character");
    assert_eq!(fault("$[?@..a == 1]"), (4, "only a path to a single value can be compared".into()));
    assert_eq!(fault("$[?1]"), (5, "expected a comparison".into()));
    assert_eq!(fault("$[?length(@.a)]").1, "expected a comparison");
    assert_eq!(fault("$[?match(@.a, 'x')]"), (4, "regular expressions are not supported".into()));
    assert_eq!(fault("$[?nope(@.a)]"), (4, "no such function".into()));
    assert_eq!(fault("$[?count(1) == 1]"), (10, "count takes a path".into()));
    assert_eq!(fault("$[?(@.a]"), (8, "expected )".into()));
    for wrong in
        ["$.", "$. a", "$..", "$[]", "$[,]", "$[?]", "$[1,]", "$.a.", "$[?@.a =]", "$[?@.a == ]", "$[?@ == 01]", "$$"]
    {
        assert!(Path::read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn length_and_nesting_of_a_path_have_limits() {
    let named = |length: usize| format!("$.{}", "a".repeat(length - 2));
    assert!(Path::read(&named(MAX_PATH)).is_ok());
    assert_eq!(fault(&named(MAX_PATH + 1)).1, "a path has at most 512 bytes, this has 513");
    assert!(Path::read(&format!("$.{}", "ä".repeat(MAX_PATH))).is_err());
    let nested = |levels: usize| format!("$[?{}@.a{}]", "(".repeat(levels - 1), ")".repeat(levels - 1));
    assert!(Path::read(&nested(MAX_NESTING)).is_ok());
    assert!(fault(&nested(MAX_NESTING + 1)).1.contains("at most 8 times"));
    let functions = format!("$[?{}@.a{} == 1]", "length(".repeat(MAX_NESTING), ")".repeat(MAX_NESTING));
    assert!(Path::read(&functions).is_err());
}

#[test]
fn a_walk_ends_with_its_budget_however_the_path_multiplies() {
    let wide = Value::Array((0..3_000).map(Value::from).collect());
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner, 1]));
    let text = json!([["x".repeat(1 << 20)], ["x".repeat(1 << 20)]]);
    for (path, value) in [
        ("$[?count($[*]) > 1e9]", &wide),
        ("$[?$[?$[?@ == -1]]]", &wide),
        ("$..*..*..*..*..*..nothing", &deep),
        ("$[0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0][0,0].x", &deep),
        ("$..[?$..[?$..[?$..[?$..[?$..[?$..[?@.x]]]]]]]", &deep),
    ] {
        let path = Path::read(path).unwrap();
        let mut budget = Budget::new(100_000);
        assert_eq!(path.any(value, &mut budget, |_, _| Ok(true)), Err(Exhausted));
    }
    let path = Path::read("$[?@ == $[1]]").unwrap();
    assert_eq!(path.any(&text, &mut Budget::new(10_000), |_, _| Ok(true)), Err(Exhausted));
    assert_eq!(path.any(&text, &mut Budget::new(40_000), |_, _| Ok(true)), Ok(true));
}

#[test]
fn any_text_is_read_or_refused_without_a_panic() {
    let parts = [
        "$", "@", ".", "..", "[", "]", "?", "(", ")", "*", ":", ",", "'", "\"", "\\", "\\u", "d800", "a", "ä", "😀",
        "-", "0", "1", "9", "e", "==", "<", "!", "&&", "||", "length", "count", "value", "true", "null", " ", "\n",
    ];
    let mut state = 7u64;
    let (mut read, value) = (0, shop());
    for _ in 0..200_000 {
        let mut text = String::from("$");
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += parts[usize::try_from(state >> 33).unwrap() % parts.len()];
            if let Ok(path) = Path::read(&text) {
                read += 1;
                let _ = path.any(&value, &mut Budget::new(1_000), |_, _| Ok(false));
            }
        }
    }
    assert!(read > 3_000, "{read}");
}
