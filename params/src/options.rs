//! From what was typed to what holds: words and options of a command line, configuration files, and which counts.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::conf::{self, ConfLine};
use crate::known::{Form, Known, Topic, compact, find, suggest};
use crate::number::Number;
use crate::paths::{ChainDirectory, default_data_directory, expand};
use crate::table::Parameter;
use crate::value::parse_bool;

/// A refused option or configuration file.
#[derive(Debug, thiserror::Error)]
pub enum OptionError {
    /// No option bears the name.
    #[error("unknown option {name} {origin}{}", crate::error::suggestion(.nearest))]
    Unknown {
        /// The name as given.
        name: String,
        /// Where it stands.
        origin: Origin,
        /// The known one that looks most like it.
        nearest: Option<String>,
    },
    /// The name is one of the chain's parameters.
    #[error("{name} {origin} is a parameter of the chain: it is set when node-util create makes the chain")]
    ChainParameter {
        /// The parameter.
        name: &'static str,
        /// Where it stands.
        origin: Origin,
    },
    /// The value has another form than the option's.
    #[error("option -{name} {origin} is \"{value}\", expected {expected}")]
    Malformed {
        /// The option.
        name: &'static str,
        /// Where it stands.
        origin: Origin,
        /// The value as given.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The option stands without the value it needs.
    #[error("option -{name} {origin} needs a value: -{name}=...")]
    NoValue {
        /// The option.
        name: &'static str,
        /// Where it stands.
        origin: Origin,
    },
    /// The number lies outside the option's range.
    #[error("option -{name} {origin} is {value}, the allowed range is {low} to {high}")]
    OutOfRange {
        /// The option.
        name: &'static str,
        /// Where it stands.
        origin: Origin,
        /// The value as given.
        value: String,
        /// Smallest allowed.
        low: i64,
        /// Largest allowed.
        high: i64,
    },
    /// A word of the command line is not UTF-8.
    #[error("a word of the command line is not UTF-8: {0}")]
    NotText(String),
    /// A configuration file could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Where a value comes from; what stands first counts more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    CommandLine,
    /// A line of a configuration file.
    File(Arc<Path>, usize),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::CommandLine => f.write_str("on the command line"),
            Self::File(path, line) => write!(f, "in {} line {line}", path.display()),
        }
    }
}

/// The words and options of a command line, in order; names and values are not looked at yet.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Words that are no options.
    pub words: Vec<String>,
    /// Options: the name as typed without leading hyphens, and the value if there is one.
    pub options: Vec<(String, Option<String>)>,
}

impl CommandLine {
    /// Splits arguments (without the program's name). `-name`, `--name` and `-name=value` are options wherever they
    /// stand; a hyphen before anything but a letter makes a word, as in `-5`. Once `literal` says so of the words so
    /// far, all further arguments are words.
    ///
    /// # Errors
    /// Refuses arguments that are not UTF-8.
    pub fn parse<A: Into<OsString>>(
        arguments: impl IntoIterator<Item = A>,
        literal: impl Fn(&[String]) -> bool,
    ) -> Result<Self, OptionError> {
        let mut line = Self::default();
        for argument in arguments {
            let argument: OsString = argument.into();
            let argument =
                argument.into_string().map_err(|word| OptionError::NotText(word.to_string_lossy().into_owned()))?;
            match option_text(&argument) {
                Some(text) if !literal(&line.words) => line.options.push(split_option(text)),
                _ => line.words.push(argument),
            }
        }
        Ok(line)
    }

    /// The arguments of this program, split as by [`CommandLine::parse`].
    ///
    /// # Errors
    /// Refuses arguments that are not UTF-8.
    pub fn of_this_program(literal: impl Fn(&[String]) -> bool) -> Result<Self, OptionError> {
        Self::parse(std::env::args_os().skip(1), literal)
    }

    /// The last value of an option by its compact name; an option without a value reads as "1".
    pub fn text(&self, name: &str) -> Option<&str> {
        let given = self.options.iter().rev().find(|(given, _)| compact(given) == name)?;
        Some(given.1.as_deref().unwrap_or("1"))
    }

    /// Whether an option is given and not 0.
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| parse_bool(value) == Some(true))
    }

    /// The data directory: `-datadir=`, otherwise `~/.rota`.
    pub fn data_directory(&self) -> PathBuf {
        self.text("datadir").map_or_else(default_data_directory, expand)
    }
}

impl std::fmt::Debug for CommandLine {
    /// Shows names alone: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.options.iter().map(|(name, _)| name).collect();
        f.debug_struct("CommandLine").field("words", &self.words.len()).field("options", &names).finish()
    }
}

/// What follows the hyphens, if the argument is an option.
fn option_text(argument: &str) -> Option<&str> {
    let text = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'))?;
    text.starts_with(|first: char| first.is_ascii_alphabetic()).then_some(text)
}

fn split_option(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// One value of an option.
#[derive(Clone)]
struct Given {
    name: &'static str,
    value: String,
    origin: Origin,
    /// Whether "no" stood before the name.
    negated: bool,
}

/// The options that hold: command line before setruntimeparam.conf, the chain's node.conf, its multichain.conf, and
/// the data directory's node.conf.
#[derive(Clone, Default)]
pub struct Options {
    /// In order of precedence.
    given: Vec<Given>,
    ignored: Vec<String>,
}

impl std::fmt::Debug for Options {
    /// Shows names alone: values may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.given.iter().map(|given| given.name)).finish()
    }
}

impl Options {
    /// Joins a command line with the files of a chain; without a chain, only the data directory's file is read.
    ///
    /// # Errors
    /// Refuses unknown options (with the nearest known one) and values of another form. In setruntimeparam.conf and
    /// multichain.conf unknown ones are left out and reported by [`Options::ignored`].
    pub fn resolve(line: &CommandLine, chain: Option<&ChainDirectory>) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (name, value) in line.options.iter().rev() {
            options.add(name, value.as_deref(), Origin::CommandLine)?;
        }
        // The last one counts, but lists keep the order in which they were typed.
        options.keep_typed_order();
        if let Some(chain) = chain {
            let conf = options.text("conf").map_or_else(|| chain.conf(), |name| chain.path().join(expand(name)));
            options.add_file(chain.runtime_conf(), true)?;
            options.add_file(conf, false)?;
            options.add_file(chain.legacy_conf(), true)?;
            options.add_file(chain.data_conf(), false)?;
        } else {
            options.add_file(line.data_directory().join(crate::paths::CONF_NAME), false)?;
        }
        Ok(options)
    }

    fn keep_typed_order(&mut self) {
        let (mut lists, mut others): (Vec<Given>, Vec<Given>) =
            self.given.drain(..).partition(|given| find(given.name).is_some_and(|known| known.form == Form::List));
        lists.reverse();
        others.append(&mut lists);
        self.given = others;
    }

    fn add_file(&mut self, path: PathBuf, lenient: bool) -> Result<(), OptionError> {
        let lines = conf::read(&path).map_err(|source| OptionError::Io { path: path.clone(), source })?;
        let place: Arc<Path> = path.into();
        for ConfLine { line, name, value } in lines {
            match self.add(&name, value.as_deref(), Origin::File(place.clone(), line)) {
                Err(OptionError::Unknown { name, origin, .. }) if lenient => {
                    self.ignored.push(format!("{name} {origin}"));
                }
                Err(OptionError::ChainParameter { name, origin }) if lenient => {
                    self.ignored.push(format!("{name} {origin}"));
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Adds one option behind those that count more.
    fn add(&mut self, name: &str, value: Option<&str>, origin: Origin) -> Result<(), OptionError> {
        let (known, negated) = recognise(name).ok_or_else(|| unknown(name, origin.clone()))?;
        let value = checked_value(known, negated, value, &origin)?;
        if known.topic == Topic::Accepted {
            self.ignored.push(format!("{} {origin}", known.name));
        }
        self.given.push(Given { name: known.name, value, origin, negated });
        Ok(())
    }

    fn first(&self, name: &str) -> Option<&Given> {
        debug_assert!(find(name).is_some(), "{name} is missing in the table of options");
        self.given.iter().find(|given| given.name == name)
    }

    /// The value of an option, if it was given and not negated.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|given| !given.negated).map(|given| given.value.as_str())
    }

    /// Whether a flag is set.
    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.first(name).map_or(default, |given| parse_bool(&given.value).unwrap_or(default))
    }

    /// The value of a whole number; a negated option is 0.
    ///
    /// # Errors
    /// Names option, value and range.
    pub fn number(&self, name: &str, default: i64, range: RangeInclusive<i64>) -> Result<i64, OptionError> {
        let Some(given) = self.first(name) else {
            return Ok(default);
        };
        let value = Number::parse(&given.value).and_then(Number::whole).and_then(|value| i64::try_from(value).ok());
        value.filter(|value| range.contains(value)).ok_or_else(|| OptionError::OutOfRange {
            name: given.name,
            origin: given.origin.clone(),
            value: given.value.clone(),
            low: *range.start(),
            high: *range.end(),
        })
    }

    /// The value of a decimal, in millionths, if it was given.
    pub fn millionths(&self, name: &str) -> Option<i128> {
        self.first(name).and_then(|given| Number::parse(&given.value)).map(|number| number.millionths)
    }

    /// All values of a repeatable option, those that count more first; "no" before the name drops the later ones.
    pub fn all(&self, name: &str) -> Vec<&str> {
        debug_assert!(find(name).is_some(), "{name} is missing in the table of options");
        self.given
            .iter()
            .filter(|given| given.name == name)
            .take_while(|given| !given.negated)
            .map(|given| given.value.as_str())
            .collect()
    }

    /// Where the value of an option comes from, for messages.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.first(name).map(|given| &given.origin)
    }

    /// Options that were given but have no effect, with where they stand: worth a line in the log each.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

/// The error for a name that is no option's.
fn unknown(name: &str, origin: Origin) -> OptionError {
    match Parameter::find(name) {
        Some(parameter) => OptionError::ChainParameter { name: parameter.name(), origin },
        None => OptionError::Unknown {
            name: name.chars().take(80).flat_map(char::escape_debug).collect(),
            origin,
            nearest: suggest(&compact(name)),
        },
    }
}

/// The option of a name, and whether "no" stood before it.
fn recognise(name: &str) -> Option<(&'static Known, bool)> {
    let name = compact(name);
    match find(&name) {
        Some(known) => Some((known, false)),
        None => name.strip_prefix("no").and_then(find).map(|known| (known, true)),
    }
}

/// The value to keep: its form is checked, "no" turns it around.
fn checked_value(
    known: &'static Known,
    negated: bool,
    value: Option<&str>,
    origin: &Origin,
) -> Result<String, OptionError> {
    let malformed = |value: &str, expected| OptionError::Malformed {
        name: known.name,
        origin: origin.clone(),
        value: value.chars().take(80).flat_map(char::escape_debug).collect(),
        expected,
    };
    match (known.form, value) {
        (Form::Flag, None) => Ok(if negated { "0" } else { "1" }.to_owned()),
        (Form::Flag, Some(value)) => {
            let set = parse_bool(value).ok_or_else(|| malformed(value, "0 or 1"))?;
            Ok(if set == negated { "0" } else { "1" }.to_owned())
        }
        (_, None) if negated => Ok("0".to_owned()),
        (_, Some("1")) if negated => Ok("0".to_owned()),
        (_, Some(value)) if negated => Err(malformed(value, "no value after a name that begins with no")),
        (_, None) if known.name == "debug" => Ok("1".to_owned()),
        (_, None) => Err(OptionError::NoValue { name: known.name, origin: origin.clone() }),
        (Form::Number, Some(value)) if Number::parse(value).and_then(Number::whole).is_none() => {
            Err(malformed(value, "a whole number"))
        }
        (Form::Decimal, Some(value)) if Number::parse(value).is_none() => Err(malformed(value, "a number")),
        (_, Some(value)) => Ok(value.to_owned()),
    }
}

#[cfg(test)]
mod tests;
