//! How results look with `-pretty`: two spaces, short lists on a line, letters as they are; coloured on a terminal.

use serde_json::Value;

/// Longest list or object, in bytes, that stays on one line.
const ONE_LINE: usize = 72;

/// Escape sequences by what they colour.
const NAME: &str = "\x1b[34m";
const STRING: &str = "\x1b[32m";
const NUMBER: &str = "\x1b[36m";
const WORD: &str = "\x1b[35m";
const PLAIN: &str = "\x1b[0m";

/// A result as it is printed for people, with its line end. Colours are used when `terminal` says so and the
/// environment does not forbid it.
pub fn pretty(result: &Value, terminal: bool) -> String {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    laid_out(result, terminal && wanted)
}

fn laid_out(result: &Value, colour: bool) -> String {
    let mut text = String::new();
    match result {
        Value::Null => return text,
        // Control characters of a string from the chain could steer the terminal.
        Value::String(string) => text.extend(string.chars().map(harmless)),
        other => write(&mut text, other, 0, colour),
    }
    text.push('\n');
    text
}

fn harmless(letter: char) -> char {
    if letter.is_control() && letter != '\n' && letter != '\t' { '\u{fffd}' } else { letter }
}

fn write(text: &mut String, value: &Value, depth: usize, colour: bool) {
    match value {
        Value::Array(members) => {
            let rows = members.iter().map(|member| (None, member));
            write_rows(text, ('[', ']'), rows, value, depth, colour);
        }
        Value::Object(members) => {
            let rows = members.iter().map(|(name, member)| (Some(name), member));
            write_rows(text, ('{', '}'), rows, value, depth, colour);
        }
        Value::String(_) => painted(text, &quoted(value), STRING, colour),
        Value::Number(_) => painted(text, &value.to_string(), NUMBER, colour),
        Value::Null | Value::Bool(_) => painted(text, &value.to_string(), WORD, colour),
    }
}

fn write_rows<'a>(
    text: &mut String,
    (open, close): (char, char),
    rows: impl Iterator<Item = (Option<&'a String>, &'a Value)>,
    whole: &Value,
    depth: usize,
    colour: bool,
) {
    let flat = whole.to_string().len() + 2 * depth <= ONE_LINE;
    text.push(open);
    let mut any = false;
    for (name, member) in rows {
        text.push_str(if any { "," } else { "" });
        match flat {
            true => text.push_str(if any { " " } else { "" }),
            false => new_line(text, depth + 1),
        }
        any = true;
        if let Some(name) = name {
            painted(text, &quoted(&Value::from(name.as_str())), NAME, colour);
            text.push_str(": ");
        }
        write(text, member, depth + 1, colour);
    }
    if any && !flat {
        new_line(text, depth);
    }
    text.push(close);
}

/// JSON text of a string; what JSON does not escape of control characters is.
fn quoted(string: &Value) -> String {
    let text = string.to_string();
    let escape = |letter: char| match letter.is_control() {
        true => format!("\\u{:04x}", u32::from(letter)),
        false => letter.to_string(),
    };
    text.chars().map(escape).collect()
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.push_str(&"  ".repeat(depth));
}

fn painted(text: &mut String, part: &str, paint: &str, colour: bool) {
    if colour {
        text.push_str(paint);
    }
    text.push_str(part);
    if colour {
        text.push_str(PLAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::laid_out;
    use serde_json::{Value, json};

    #[test]
    fn without_colour_it_is_json_that_reads_back_the_same() {
        let value = json!([{"name": "h\u{e9}", "list": [1, 2.5, null, true], "empty": [], "none": {}, "c": "\u{1b}[0m\u{9b}"},
            {"long": "x".repeat(80)}]);
        let text = laid_out(&value, false);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap_or_default(), value);
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text:?}");
        assert!(text.contains("\"list\": [1, 2.5, null, true]") && text.contains("h\u{e9}"), "{text}");
        assert!(text.contains(&format!("\n  {{\n    \"long\": \"{}\"\n  }}\n]\n", "x".repeat(80))), "{text}");
    }

    #[test]
    fn colours_surround_names_and_values_alone() {
        assert_eq!(laid_out(&json!({"a": 1}), true), "{\x1b[34m\"a\"\x1b[0m: \x1b[36m1\x1b[0m}\n");
        assert_eq!(laid_out(&json!("a\u{1b}[2J"), true), "a\u{fffd}[2J\n");
        assert_eq!(laid_out(&json!(null), true), "");
    }
}
