//! params.dat: its text, how it is read, and how it is written so that a crash leaves the old file or the new one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::ParameterError;
use crate::kind::flag::NOHASH;
use crate::kind::{Kind, Section, Source};
use crate::nearest::nearest;
use crate::set::{ParameterSet, State};
use crate::table::{Parameter, TABLE, protocol_is_supported};
use crate::value::{EMPTY_TEXT, Value, range_text};

/// Largest params.dat: 74 lines of at most 2.2 KB (a binary of 1,024 bytes in hex and its comment) take 160 KB.
pub const FILE_MAX: u64 = 256 * 1024;
/// Column at which the comment of a line begins.
const COMMENT_COLUMN: usize = 40;

/// Reads the params.dat of a chain. A file that is not there is an empty set.
///
/// # Errors
/// Refuses lines that cannot be read (with their number), values out of range and a file of another chain. Missing
/// or changed parameters are no error but a state.
pub fn load(path: &Path, chain_name: &str) -> Result<(ParameterSet, State), ParameterError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((ParameterSet::empty(), State::Empty));
        }
        Err(error) => return Err(ParameterError::io(path)(error)),
        Ok(metadata) if metadata.len() > FILE_MAX => {
            return Err(ParameterError::FileSize { path: path.into(), size: metadata.len(), limit: FILE_MAX });
        }
        Ok(_) => {}
    }
    let bytes = fs::read(path).map_err(ParameterError::io(path))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| ParameterError::io(path)(io::Error::new(io::ErrorKind::InvalidData, error.utf8_error())))?;
    parse(&text, chain_name)
}

/// Reads the text of a params.dat.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, chain_name: &str) -> Result<(ParameterSet, State), ParameterError> {
    let mut lines = read_lines(text)?;
    let mut set = ParameterSet::empty();
    for first in [Parameter::ProtocolVersion, Parameter::ChainName] {
        if let Some((line, text)) = lines.remove(&first) {
            put(&mut set, first, text).map_err(at(line))?;
        }
    }
    let stored = set.chain_name();
    if !stored.is_empty() && stored != chain_name {
        return Err(ParameterError::NameMismatch { stored: stored.to_owned(), directory: chain_name.to_owned() });
    }
    if set.get(Parameter::ProtocolVersion).is_some() && !protocol_is_supported(set.protocol_version()) {
        return Err(ParameterError::Protocol(set.protocol_version()));
    }
    for (parameter, (line, text)) in lines {
        put(&mut set, parameter, text).map_err(at(line))?;
    }
    if !matches!(set.state(), State::Empty | State::Minimal) {
        set.fill_hidden();
    }
    let state = set.state();
    if matches!(state, State::Generated | State::Valid) {
        set.check()?;
    }
    Ok((set, state))
}

/// The first line of each parameter that the text names, with its number.
fn read_lines(text: &str) -> Result<BTreeMap<Parameter, (usize, &str)>, ParameterError> {
    let mut lines = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let (name, value) =
            content.split_once('=').ok_or_else(|| at(index + 1)(ParameterError::NoValue(shortened(content))))?;
        let parameter = Parameter::find(name.trim()).ok_or_else(|| at(index + 1)(unknown(name.trim())))?;
        lines.entry(parameter).or_insert((index + 1, value.trim()));
    }
    Ok(lines)
}

/// Stores the value of a line, unless the line is empty or the chain's protocol dropped the parameter.
fn put(set: &mut ParameterSet, parameter: Parameter, text: &str) -> Result<(), ParameterError> {
    let row = parameter.row();
    let empty = text.is_empty() || text == EMPTY_TEXT;
    let keeps_empty = matches!(row.kind, Kind::Text(_)) && row.source == Source::User;
    let dropped = row.removed != 0 && row.removed <= set.protocol_version();
    if (empty && !keeps_empty) || dropped {
        return Ok(());
    }
    let value = Value::parse(parameter, text)?;
    set.set(parameter, value)
}

/// The error for a name that is no parameter's.
pub fn unknown(name: &str) -> ParameterError {
    let found = nearest(name, TABLE.iter().map(|row| row.name)).map(str::to_owned);
    ParameterError::Unknown { name: shortened(name), nearest: found }
}

fn at(line: usize) -> impl FnOnce(ParameterError) -> ParameterError {
    move |source| ParameterError::Line { line, source: Box::new(source) }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

/// The text of a params.dat.
pub fn print(set: &ParameterSet) -> String {
    let mut text = header(set);
    for source in [Source::User, Source::Generated, Source::Calculated] {
        print_group(&mut text, set, source);
    }
    text
}

fn header(set: &ParameterSet) -> String {
    let name = set.chain_name();
    let state = match set.state() {
        State::Generated => {
            format!("# No genesis block yet: this file may be edited until \"noded {name}\" runs for the first time.\n")
        }
        State::Valid => {
            "# The genesis block was made: every node of the chain holds these same values. A changed value\n\
             # makes the file invalid, and noded refuses it; the defaults of runtime parameters may be edited.\n"
                .to_owned()
        }
        State::Minimal => format!(
            "# Received from another node before it granted connect; \"noded {name}@HOST:PORT\" fetches the rest.\n"
        ),
        State::Invalid { .. } => format!(
            "# A value was changed after the genesis block was made: \"node-util clone {name} NEW-NAME\" makes a new\n\
             # chain of it.\n"
        ),
        State::Empty | State::Error { .. } => "# Parameters are missing.\n".to_owned(),
    };
    format!(
        "# ==== Parameters of a Rota blockchain ====\n\n# Created by node-util\n# Protocol version: {}\n\n{state}",
        set.protocol_version()
    )
}

fn print_group(text: &mut String, set: &ParameterSet, source: Source) {
    let note = match source {
        Source::User => "Chosen by whoever makes the chain. They may be edited before the genesis block is made.",
        Source::Generated => {
            "Chosen at random by node-util. They may be edited before the genesis block is made,\n\
             # but hardly ever need to be; chain-name and protocol-version must stay."
        }
        Source::Calculated => "Filled by the first noded when it makes the genesis block. They are never edited.",
    };
    let mut section: Option<Section> = None;
    let shown = set.shown().filter(|(parameter, _)| parameter.row().source == source);
    let mut begun = false;
    for (parameter, value) in shown {
        if set.state() == State::Minimal && value.is_none() {
            continue;
        }
        if !begun {
            let _ = write!(text, "\n\n# {note}\n");
            begun = true;
        }
        let row = parameter.row();
        if section != Some(row.section) {
            section = Some(row.section);
            let _ = write!(text, "\n# {}\n\n", row.section.title());
        }
        let value = value.map_or_else(|| EMPTY_TEXT.to_owned(), Value::to_text);
        let setting = format!("{} = {value}", row.name);
        let _ = writeln!(text, "{setting:COMMENT_COLUMN$}# {}", comment(parameter));
    }
}

/// Meaning and range of a parameter, as the comment of its line.
pub fn comment(parameter: Parameter) -> String {
    let row = parameter.row();
    let meaning = row.meaning;
    match (row.source, row.kind) {
        (Source::Calculated, _) | (_, Kind::Bool | Kind::Text(_) | Kind::Binary(..)) => {
            format!("{meaning}.")
        }
        _ => format!("{meaning}. ({})", range_text(parameter).replace(" to ", " - ")),
    }
}

/// Why a parameter can or cannot be changed in a set, in one line.
pub fn why_fixed(set: &ParameterSet, parameter: Parameter) -> &'static str {
    let sealed = matches!(set.state(), State::Valid | State::Invalid { .. });
    let row = parameter.row();
    match (row.source, sealed) {
        (Source::Calculated, false) => "the first start calculates it",
        (Source::Calculated, true) => "fixed: belongs to the genesis block",
        (Source::Generated, _) if matches!(parameter, Parameter::ChainName | Parameter::ProtocolVersion) => {
            "fixed: chosen when the chain was made"
        }
        (_, false) => "may be edited until the first start",
        (Source::User, true) if parameter.has(NOHASH) => "may be edited at any time: a default of this node alone",
        (Source::User, true) if parameter.upgradable_since().is_some_and(|since| since <= set.protocol_version()) => {
            "fixed in this file, changed by an upgrade that admins approve"
        }
        (_, true) => "fixed: the genesis block binds it",
    }
}

/// Writes a params.dat that must not exist yet; its directory is made.
///
/// # Errors
/// [`ParameterError::Exists`] if the file is there; otherwise what the system answered.
pub fn create(path: &Path, set: &ParameterSet) -> Result<(), ParameterError> {
    if path.exists() {
        return Err(ParameterError::Exists(path.into()));
    }
    if let Some(directory) = path.parent() {
        crate::paths::make_directory(directory).map_err(ParameterError::io(directory))?;
    }
    let fresh = write_beside(path, &print(set))?;
    let linked = fs::hard_link(&fresh, path);
    let removed = fs::remove_file(&fresh);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ParameterError::Exists(path.into()));
        }
        other => other.map_err(ParameterError::io(path))?,
    }
    removed.map_err(ParameterError::io(&fresh))?;
    sync_directory(path)
}

/// Replaces a params.dat in one step.
///
/// # Errors
/// What the system answered; the former file is then still in place.
pub fn save(path: &Path, set: &ParameterSet) -> Result<(), ParameterError> {
    replace(path, &print(set))
}

/// Keeps a set as the params.dat.bak beside a params.dat, unless it is there already. Who restores it must find the chain
/// again: it is for sets of which the genesis block is known to be stored, never for what stood there before.
///
/// # Errors
/// What the system answered; the former backup is then still in place.
pub fn back_up(path: &Path, set: &ParameterSet) -> Result<(), ParameterError> {
    let (backup, text) = (backup_path(path), print(set));
    if fs::read(&backup).is_ok_and(|kept| kept == text.as_bytes()) {
        return Ok(());
    }
    replace(&backup, &text)
}

fn replace(path: &Path, text: &str) -> Result<(), ParameterError> {
    let fresh = write_beside(path, text)?;
    fs::rename(&fresh, path).map_err(ParameterError::io(path))?;
    sync_directory(path)
}

/// Where [`back_up`] keeps a set.
pub fn backup_path(path: &Path) -> PathBuf {
    path.with_extension("dat.bak")
}

/// Writes and syncs a new file in the same directory.
fn write_beside(path: &Path, text: &str) -> Result<PathBuf, ParameterError> {
    let fresh = path.with_extension(format!("dat.{}.new", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    match write() {
        Ok(()) => Ok(fresh),
        Err(error) => {
            let _ = fs::remove_file(&fresh);
            Err(ParameterError::io(fresh)(error))
        }
    }
}

fn sync_directory(path: &Path) -> Result<(), ParameterError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::File::open(directory).and_then(|file| file.sync_all()).map_err(ParameterError::io(directory))
}

#[cfg(test)]
mod tests;
