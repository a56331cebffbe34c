//! How results look: strings as they are, null as nothing, everything else as JSON in the old layout, which
//! scripts compare: four spaces, `"name" : value`, an empty list on two lines, only ASCII.

use serde_json::Value;
use std::io::Write as _;

/// Writes to stdout. A reader that closed the pipe has seen what it wanted.
pub fn output(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// A result as it is printed, with its line end.
pub fn printed(result: &Value) -> String {
    let mut text = String::new();
    match result {
        Value::Null => return text,
        Value::String(string) => text.push_str(string),
        other => write_value(&mut text, other, 0),
    }
    text.push('\n');
    text
}

fn write_value(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::String(string) => write_string(text, string),
        Value::Array(members) => {
            text.push('[');
            for (index, member) in members.iter().enumerate() {
                text.push_str(if index == 0 { "\n" } else { ",\n" });
                indent(text, depth + 1);
                write_value(text, member, depth + 1);
            }
            text.push('\n');
            indent(text, depth);
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                text.push_str(if index == 0 { "\n" } else { ",\n" });
                indent(text, depth + 1);
                write_string(text, name);
                text.push_str(" : ");
                write_value(text, member, depth + 1);
            }
            text.push('\n');
            indent(text, depth);
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

fn indent(text: &mut String, depth: usize) {
    for _ in 0..depth {
        text.push_str("    ");
    }
}

fn write_string(text: &mut String, string: &str) {
    text.push_str(&escaped(&Value::from(string).to_string()));
}

/// JSON text with every character that is not printable ASCII as `\uXXXX`, in capitals.
pub fn escaped(json: &str) -> String {
    if json.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        match letter {
            ' '..='~' => text.push(letter),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{escaped, printed};
    use serde_json::json;

    #[test]
    fn a_string_is_printed_as_it_is_and_null_as_nothing() {
        assert_eq!(printed(&json!("a \"b\" é\nc")), "a \"b\" é\nc\n");
        assert_eq!(printed(&json!(null)), "");
        assert_eq!(printed(&json!(true)), "true\n");
        assert_eq!(printed(&json!(5.96046447753906e-8)), "5.96046447753906e-8\n");
    }

    #[test]
    fn an_empty_list_takes_two_lines_at_any_depth() {
        assert_eq!(printed(&json!([])), "[\n]\n");
        assert_eq!(printed(&json!({"a": [], "b": {}})), "{\n    \"a\" : [\n    ],\n    \"b\" : {\n    }\n}\n");
    }

    #[test]
    fn items_are_laid_out_as_recorded() {
        let items = json!([{
            "publishers": ["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"],
            "keys": ["k1", "k2"],
            "offchain": false,
            "data": {"json": {"a": 1, "b": [true, null, 1.5, "x"]}},
            "confirmations": 0
        }, {"data": {"text": "h\u{e9}llo"}}]);
        let expected = r#"[
    {
        "publishers" : [
            "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"
        ],
        "keys" : [
            "k1",
            "k2"
        ],
        "offchain" : false,
        "data" : {
            "json" : {
                "a" : 1,
                "b" : [
                    true,
                    null,
                    1.5,
                    "x"
                ]
            }
        },
        "confirmations" : 0
    },
    {
        "data" : {
            "text" : "h\u00E9llo"
        }
    }
]
"#;
        assert_eq!(printed(&items), expected);
    }

    #[test]
    fn what_is_not_printable_ascii_is_escaped_in_capitals_and_reads_back_the_same() {
        assert_eq!(escaped("\"h\u{e9}llo \u{1f600}\u{7f}\""), "\"h\\u00E9llo \\uD83D\\uDE00\\u007F\"");
        let text = "a\tb\n\"\\/ é ✓ 😀";
        let back: String = serde_json::from_str(&escaped(&json!(text).to_string())).unwrap_or_default();
        assert_eq!(back, text);
    }
}
