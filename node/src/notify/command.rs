//! A program's command line with tokens. Tokens become positional parameters of the shell, each in quotes that fit
//! the place it stands in, so that no value is ever read as shell text.

use std::fmt::Write as _;

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `%s`: transaction id; for a block its id.
    Txid,
    /// `%c`: 1 at first sight, otherwise 0.
    FirstSeen,
    /// `%n`: height of the block, -1 while unconfirmed.
    Height,
    /// `%b`: id of the block, zeros while unconfirmed.
    Block,
    /// `%h`: the transaction's bytes.
    Hex,
    /// `%a`: own addresses, with commas.
    Addresses,
    /// `%e`: followed entities, with commas.
    Entities,
    /// `%m`: the chain's name.
    Chain,
    /// `%j`: the transaction as JSON.
    Json,
}

impl Token {
    const fn of(letter: char) -> Option<Token> {
        Some(match letter {
            's' => Token::Txid,
            'c' => Token::FirstSeen,
            'n' => Token::Height,
            'b' => Token::Block,
            'h' => Token::Hex,
            'a' => Token::Addresses,
            'e' => Token::Entities,
            'm' => Token::Chain,
            'j' => Token::Json,
            _ => return None,
        })
    }
}

/// A command line that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Nothing to run.
    #[error("the command is empty")]
    Empty,
    /// A quote is not closed.
    #[error("a quote in {0:?} is not closed")]
    Quote(String),
}

/// A command line, read once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    script: String,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

impl Template {
    /// Reads a command line for `sh`.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        if text.trim().is_empty() {
            return Err(TemplateError::Empty);
        }
        let (mut script, mut tokens, mut quote) = (String::new(), Vec::new(), Quote::None);
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            match (letter, quote) {
                ('\\', Quote::None | Quote::Double) => {
                    script.push(letter);
                    script.extend(letters.next());
                    continue;
                }
                ('\'', Quote::None) => quote = Quote::Single,
                ('\'', Quote::Single) | ('"', Quote::Double) => quote = Quote::None,
                ('"', Quote::None) => quote = Quote::Double,
                ('%', _) => {
                    if let Some(token) = letters.peek().copied().and_then(Token::of) {
                        letters.next();
                        tokens.push(token);
                        push_parameter(&mut script, tokens.len(), quote);
                        continue;
                    }
                }
                _ => {}
            }
            script.push(letter);
        }
        if quote != Quote::None {
            return Err(TemplateError::Quote(text.to_owned()));
        }
        Ok(Template { text: text.to_owned(), script, tokens })
    }

    /// As the operator wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The shell script and its positional parameters.
    pub fn fill(&self, value: impl Fn(Token) -> String) -> (String, Vec<String>) {
        (self.script.clone(), self.tokens.iter().map(|token| value(*token)).collect())
    }
}

fn push_parameter(script: &mut String, number: usize, quote: Quote) {
    let written = match quote {
        Quote::None => write!(script, "\"${{{number}}}\""),
        Quote::Double => write!(script, "${{{number}}}"),
        Quote::Single => write!(script, "'\"${{{number}}}\"'"),
    };
    written.expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn run(command: &str, value: &str) -> String {
        let (script, values) = Template::parse(command).unwrap().fill(|_| value.to_owned());
        let output = std::process::Command::new("/bin/sh").arg("-c").arg(script).arg("sh").args(values).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    #[test]
    fn hostile_values_arrive_unchanged_in_every_kind_of_quotes() {
        for value in
            ["$(echo hacked)", "`echo hacked`", "\"; echo hacked; \"", "' ; echo hacked ; '", "a  b\n*", "%s %j"]
        {
            for command in ["printf %%s %j", "printf '%%s' \"%j\"", "printf '%%s' '%j'"] {
                // `%%` is no token, so printf gets its own.
                let command = command.replace("%%s", "\\045s");
                let command =
                    command.replace("'\\045s'", "\"$(printf '\\045')s\"").replace("\\045s", "\"$(printf '\\045')s\"");
                assert_eq!(run(&command, value), value, "{command}");
            }
        }
    }

    #[test]
    fn an_empty_value_is_still_an_argument() {
        assert_eq!(run("set -- a %a b; echo $#", ""), "3\n");
    }

    #[test]
    fn redirection_and_pipes_of_the_operator_work() {
        assert_eq!(run("echo %m | tr a-z A-Z", "chain"), "CHAIN\n");
    }

    #[test]
    fn an_open_quote_is_refused() {
        assert!(matches!(Template::parse("echo '%s"), Err(TemplateError::Quote(_))));
        assert_eq!(Template::parse("  "), Err(TemplateError::Empty));
    }
}
