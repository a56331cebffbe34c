//! Turns the words of a command line into JSON parameters, by what the method's table says of each position.

use super::{ANY, ARRAY, BOOL, INT, Method, OBJECT, Parameter, REAL, STR};
use serde_json::Value;

/// Longest run of digits that is read as a number where text is possible too: what fits 64 bits. Longer ones,
/// such as a block hash that happens to have no letter, stay text.
const NUMBER_WORD_LIMIT: usize = 19;

/// Why a word cannot be a parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter {position} ({name}) must be {expected}, got: {word}")]
pub struct WordFault {
    /// Counted from 1.
    pub position: usize,
    /// The parameter's name.
    pub name: &'static str,
    /// The types it takes.
    pub expected: String,
    /// What was typed.
    pub word: String,
}

/// Reads the words after a method's name. Words beyond the known parameters, and all words of a method that is
/// not in the table, are passed on as text, so that the node can answer.
pub fn read_words(method: Option<&Method>, words: &[String]) -> Result<Vec<Value>, WordFault> {
    let target = method.map(Method::target);
    let parameters = target.map_or(&[][..], |target| target.parameters);
    let variadic = target.is_some_and(|target| target.variadic);
    let read = |(index, word): (usize, &String)| match parameters.get(index) {
        Some(parameter) => read_word(index + 1, parameter, word),
        None if variadic => Ok(lenient(word)),
        None => Ok(Value::String(word.clone())),
    };
    words.iter().enumerate().map(read).collect()
}

/// Reads one word. Where text is possible, a word that is not JSON of another admitted type is text.
pub fn read_word(position: usize, parameter: &Parameter, word: &str) -> Result<Value, WordFault> {
    let types = parameter.types;
    if types == STR {
        return Ok(Value::String(word.to_owned()));
    }
    if types == ANY {
        return Ok(lenient(word));
    }
    let parsed = serde_json::from_str::<Value>(word.trim()).ok();
    if !types.contains(STR) {
        return parsed.ok_or_else(|| WordFault {
            position,
            name: parameter.name,
            expected: types.words(),
            word: word.to_owned(),
        });
    }
    let text = || Value::String(word.to_owned());
    Ok(match parsed {
        Some(value @ (Value::Array(_) | Value::Object(_))) if types.contains(ARRAY) || types.contains(OBJECT) => value,
        Some(value @ Value::Bool(_)) if types.contains(BOOL) => value,
        Some(value @ Value::Number(_))
            if (types.contains(INT) || types.contains(REAL)) && word.len() <= NUMBER_WORD_LIMIT =>
        {
            value
        }
        Some(Value::String(inner)) => Value::String(inner),
        _ => text(),
    })
}

fn lenient(word: &str) -> Value {
    serde_json::from_str(word.trim()).unwrap_or_else(|_| Value::String(word.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::read_words;
    use crate::method::find;
    use serde_json::{Value, json};

    fn read(line: &[&str]) -> Value {
        let words: Vec<String> = line[1..].iter().map(|word| (*word).to_owned()).collect();
        Value::Array(read_words(find(line[0]), &words).unwrap())
    }

    #[test]
    fn recorded_command_lines_become_the_recorded_parameters() {
        assert_eq!(
            read(&["create", "stream", "s1", "false", r#"{"descr":"hello"}"#]),
            json!(["stream", "s1", false, {"descr": "hello"}])
        );
        assert_eq!(read(&["publish", "s1", "key1", "48656c6c6f"]), json!(["s1", "key1", "48656c6c6f"]));
        assert_eq!(
            read(&["publish", "s1", r#"["k1","k2"]"#, r#"{"json":{"a":1,"b":[true,null,1.5,"x"]}}"#]),
            json!(["s1", ["k1", "k2"], {"json": {"a": 1, "b": [true, null, 1.5, "x"]}}])
        );
        assert_eq!(read(&["liststreams", "s1", "true"]), json!(["s1", true]));
        assert_eq!(read(&["liststreamitems", "s1", "true", "1"]), json!(["s1", true, 1]));
        assert_eq!(read(&["listpermissions", "mine"]), json!(["mine"]));
    }

    #[test]
    fn a_bare_number_stays_text_where_text_is_meant() {
        assert_eq!(read(&["publish", "7", "123", "00"]), json!(["7", "123", "00"]));
        assert_eq!(read(&["getstreaminfo", "5"]), json!(["5"]));
        assert_eq!(read(&["getblockhash", "5"]), json!([5]));
        assert_eq!(read(&["setruntimeparam", "maxshowndata", "300"]), json!(["maxshowndata", 300]));
        let digits = "1".repeat(64);
        assert_eq!(read(&["getblock", &digits]), json!([digits]));
    }

    #[test]
    fn a_word_that_must_be_json_and_is_not_is_refused_by_position_and_name() {
        let fault = read_words(find("liststreamitems"), &["s".into(), "yes".into()]).unwrap_err();
        assert_eq!(fault.to_string(), "parameter 2 (verbose) must be boolean, got: yes");
    }

    #[test]
    fn words_of_an_unknown_method_and_surplus_words_are_passed_on_as_text() {
        assert_eq!(read(&["nosuchmethod", "1", "{}"]), json!(["1", "{}"]));
        assert_eq!(read(&["getblockcount", "1"]), json!(["1"]));
    }

    #[test]
    fn an_old_name_reads_its_words_like_the_method_it_stands_for() {
        assert_eq!(read(&["sendtoaddress", "A", r#"{"coin":1}"#]), json!(["A", {"coin": 1}]));
    }
}
