//! Words that name where the parameter stands: `@file`, `@-` for standard input, `@@` for a plain `@`.

use std::io::Read;
use std::path::Path;

/// Most bytes a parameter from a file may have: what a request of 64 MiB of data takes in hex, and some room.
const LONGEST: u64 = 160 * 1024 * 1024;

/// Why a parameter could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The system's answer.
    #[error("cannot read the parameter {word}: {source}; a word that begins with @ itself is written @@...")]
    Io {
        /// The word as typed.
        word: String,
        /// Why.
        source: std::io::Error,
    },
    /// More than a request can carry.
    #[error("the parameter {word} is longer than {LONGEST} bytes: put large data into the binary cache in parts")]
    TooLong {
        /// The word as typed.
        word: String,
    },
    /// Standard input can be read once.
    #[error("@- stands twice: standard input can be one parameter only")]
    Twice,
}

/// The words with what they point to; one line end at the end of a file is not part of the parameter.
///
/// # Errors
/// Refuses files that cannot be read, are no UTF-8 or too long.
pub fn expanded(words: &[String], stdin: impl Read) -> Result<Vec<String>, FileFault> {
    let mut stdin = Some(stdin);
    words.iter().map(|word| expand(word, &mut stdin)).collect()
}

fn expand(word: &str, stdin: &mut Option<impl Read>) -> Result<String, FileFault> {
    match word.strip_prefix('@') {
        None | Some("") => Ok(word.to_owned()),
        Some(rest) if rest.starts_with('@') => Ok(rest.to_owned()),
        Some("-") => stdin.take().ok_or(FileFault::Twice).and_then(|stdin| text(word, stdin)),
        Some(path) => {
            let file = std::fs::File::open(Path::new(path))
                .map_err(|source| FileFault::Io { word: word.to_owned(), source })?;
            text(word, file)
        }
    }
}

fn text(word: &str, from: impl Read) -> Result<String, FileFault> {
    let mut text = String::new();
    let read = from.take(LONGEST + 1).read_to_string(&mut text);
    read.map_err(|source| FileFault::Io { word: word.to_owned(), source })?;
    if text.len() as u64 > LONGEST {
        return Err(FileFault::TooLong { word: word.to_owned() });
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::expanded;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_file_stands_for_its_text_without_the_last_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        std::fs::write(&path, "{\"a\":\n1}\r\n").unwrap();
        let given = words(&["s", &format!("@{}", path.display()), "@-", "@@home", "@@@", "@", "a@b"]);
        let read = expanded(&given, &b"one\n\n"[..]).unwrap();
        assert_eq!(read, words(&["s", "{\"a\":\n1}", "one\n", "@home", "@@", "@", "a@b"]));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_the_way_out() {
        let missing = expanded(&words(&["@/nowhere/at/all"]), &b""[..]).unwrap_err().to_string();
        assert!(missing.contains("@/nowhere/at/all") && missing.contains("written @@"), "{missing}");
        let twice = expanded(&words(&["@-", "@-"]), &b""[..]).unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
        assert!(expanded(&words(&["@-"]), &b"\xff\xfe"[..]).is_err(), "not text");
    }
}
