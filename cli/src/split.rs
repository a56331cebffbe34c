//! Splits a typed line into words as a shell would, but lets JSON stand without quotes around it.

/// Why a line cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A quotation mark has no partner.
    #[error("a quotation mark is not closed")]
    OpenQuote,
    /// A brace or bracket has no partner.
    #[error("a brace or bracket is not closed")]
    OpenBracket,
}

/// The words of a line. Single quotes keep everything, double quotes all but backslash escapes; a word that
/// begins with a brace or bracket goes on, quotes and blanks included, until it is closed.
pub fn split(line: &str) -> Result<Vec<String>, SplitError> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '{' | '[' => json_word(rest)?,
            _ => plain_word(rest)?,
        };
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

fn json_word(text: &str) -> Result<(String, &str), SplitError> {
    let (mut depth, mut in_string, mut escape) = (0usize, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escape => escape = false,
            '\\' if in_string => escape = true,
            '"' => in_string = !in_string,
            '{' | '[' if !in_string => depth += 1,
            '}' | ']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let (word, after) = text.split_at(at + letter.len_utf8());
            return Ok((word.to_owned(), after));
        }
    }
    Err(if in_string { SplitError::OpenQuote } else { SplitError::OpenBracket })
}

fn plain_word(text: &str) -> Result<(String, &str), SplitError> {
    let mut word = String::new();
    let mut quote = None;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match (quote, letter) {
            (None, blank) if blank.is_whitespace() => {
                return Ok((word, text.get(at..).unwrap_or_default()));
            }
            (None, mark @ ('\'' | '"')) => quote = Some(mark),
            (Some(open), mark) if mark == open => quote = None,
            (None | Some('"'), '\\') => match letters.next() {
                // Inside double quotes a backslash only takes the meaning of a quote or a backslash away.
                Some((_, next)) if quote.is_none() || matches!(next, '"' | '\\') => word.push(next),
                Some((_, next)) => word.extend(['\\', next]),
                None => word.push('\\'),
            },
            (_, other) => word.push(other),
        }
    }
    if quote.is_some() { Err(SplitError::OpenQuote) } else { Ok((word, "")) }
}

#[cfg(test)]
mod tests {
    use super::{SplitError, split};

    #[test]
    fn words_are_split_at_blanks_and_kept_together_by_quotes() {
        for (line, words) in [
            ("", &[][..]),
            ("  getinfo  ", &["getinfo"][..]),
            ("a 'b c' \"d e\" f\\ g", &["a", "b c", "d e", "f g"]),
            ("signmessage A ''", &["signmessage", "A", ""]),
            (r#"x "a\"b\\c\n""#, &["x", r#"a"b\c\n"#]),
            ("it''s o'n'e", &["its", "one"]),
        ] {
            assert_eq!(
                split(line).as_deref(),
                Ok(words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>().as_slice())
            );
        }
    }

    #[test]
    fn json_needs_no_quotes_around_it() {
        let words = split(r#"publish s ["a b","]"] {"text":"x } \" y"} offchain"#);
        let expected = ["publish", "s", r#"["a b","]"]"#, r#"{"text":"x } \" y"}"#, "offchain"];
        assert_eq!(words.as_deref(), Ok(expected.map(str::to_owned).as_slice()));
        let quoted = split(r#"publish s k '{"json":{"a":1}}'"#);
        assert_eq!(quoted.as_deref(), Ok(["publish", "s", "k", r#"{"json":{"a":1}}"#].map(str::to_owned).as_slice()));
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        assert_eq!(split("a 'b"), Err(SplitError::OpenQuote));
        assert_eq!(split("a \"b"), Err(SplitError::OpenQuote));
        assert_eq!(split("a {\"b"), Err(SplitError::OpenQuote));
        assert_eq!(split("a [1,{}"), Err(SplitError::OpenBracket));
    }
}
