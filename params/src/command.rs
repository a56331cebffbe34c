//! The commands of node-util: create, clone, show, rpcauth. Each turns a command line into what is printed and an exit code.

use rand::Rng;
use rota_params::conf::ensure_credentials;
use rota_params::credential::{Credential, new_password};
use rota_params::file::{self, unknown, why_fixed};
use rota_params::kind::Section;
use rota_params::options::CommandLine;
use rota_params::paths::ChainDirectory;
use rota_params::{PROTOCOL_LATEST, Parameter, ParameterError, ParameterSet, State, Value, generate};

use crate::console;

/// Said on the error channel when no file was made; scripts look for the beginning.
const NOT_GENERATED: &str = "Blockchain parameter set was not generated.";

/// What a command prints, and what went wrong if something did.
pub struct Outcome {
    /// For the standard output.
    pub output: String,
    /// For the standard error, without "ERROR: "; the program then fails.
    pub error: Option<String>,
}

impl Outcome {
    /// Nothing was done for this reason.
    pub fn failed(error: String) -> Self {
        Self { output: console::title(), error: Some(error) }
    }

    fn done(text: String) -> Self {
        Self { output: console::title() + &text, error: None }
    }
}

/// Runs the command that the words name.
pub fn run(line: &CommandLine, entropy: &mut impl Rng) -> Outcome {
    if line.flag("version") {
        return Outcome { output: console::version(), error: None };
    }
    let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
    if line.flag("help") || words.as_slice() == ["help"] {
        return Outcome { output: console::help(), error: None };
    }
    let result = match words.as_slice() {
        ["create", name] => create(line, name, None, entropy),
        ["create", name, protocol] => create(line, name, Some(*protocol), entropy),
        ["clone", old, new] => clone(line, old, new, entropy),
        ["show", name] => return show(line, name),
        ["rpcauth", user] => return rpcauth(line, user, entropy),
        [] => {
            return Outcome::failed(
                "a command is missing: create, clone, show or rpcauth (node-util -help)".to_owned(),
            );
        }
        ["create", ..] => {
            return usage("create NAME [PROTOCOL] [-PARAMETER=VALUE ...]", words.len());
        }
        ["clone", ..] => return usage("clone OLD NEW", words.len()),
        ["show", ..] => return usage("show NAME", words.len()),
        ["rpcauth", ..] => return usage("rpcauth USER", words.len()),
        [other, ..] => {
            let near =
                rota_params::nearest::nearest(other, ["create", "clone", "show", "rpcauth", "help"]).map(str::to_owned);
            let other: String = other.chars().take(80).flat_map(char::escape_debug).collect();
            let hint = rota_params::error::suggestion(&near);
            return Outcome::failed(format!("unknown command {other}{hint} (node-util -help)"));
        }
    };
    match result {
        Ok(text) => Outcome::done(text),
        Err(ParameterError::Exists(path)) => Outcome {
            output: console::title()
                + &format!("Cannot create chain parameter set, file {} already exists\n", path.display()),
            error: Some(NOT_GENERATED.to_owned()),
        },
        Err(error) => Outcome::failed(format!("{NOT_GENERATED}\n{error}")),
    }
}

fn usage(form: &str, words: usize) -> Outcome {
    Outcome::failed(format!("got {words} words, expected: node-util {form}"))
}

/// The parameters among the options; other options are refused.
fn choices(line: &CommandLine) -> Result<Vec<(Parameter, String)>, ParameterError> {
    let mut chosen = Vec::new();
    for (name, value) in &line.options {
        match (Parameter::find(name), rota_params::known::compact(name).as_str()) {
            (_, "datadir" | "help" | "version") => {}
            (Some(parameter), _) => {
                let value = match (value, parameter.row().kind) {
                    (Some(value), _) => value.clone(),
                    (None, rota_params::kind::Kind::Bool) => "true".to_owned(),
                    (None, _) => return Err(ParameterError::NoValue(format!("-{name}"))),
                };
                chosen.push((parameter, value));
            }
            (None, _) => return Err(unknown(name)),
        }
    }
    Ok(chosen)
}

fn create(
    line: &CommandLine,
    name: &str,
    protocol: Option<&str>,
    entropy: &mut impl Rng,
) -> Result<String, ParameterError> {
    let directory = ChainDirectory::new(line.data_directory(), name)?;
    let protocol = match protocol {
        None => PROTOCOL_LATEST,
        Some(text) => match Value::parse(Parameter::ProtocolVersion, text)? {
            Value::U32(protocol) => protocol,
            _ => PROTOCOL_LATEST,
        },
    };
    let set = generate::create(name, protocol, &choices(line)?, entropy)?;
    write(&directory, &set, "generated", entropy)
}

fn clone(line: &CommandLine, old: &str, new: &str, entropy: &mut impl Rng) -> Result<String, ParameterError> {
    if let Some((parameter, _)) = choices(line)?.first() {
        let why = "a clone has the rules of the old chain; edit its params.dat before its first start";
        return Err(ParameterError::Fixed { name: parameter.name(), why });
    }
    let from = ChainDirectory::new(line.data_directory(), old)?;
    let to = ChainDirectory::new(line.data_directory(), new)?;
    let (set, state) = file::load(&from.params(), old)?;
    if state == State::Empty {
        return Err(ParameterError::io(from.params())(std::io::ErrorKind::NotFound.into()));
    }
    let set = generate::clone_of(&set, new, entropy)?;
    write(&to, &set, "cloned", entropy)
}

fn write(
    directory: &ChainDirectory,
    set: &ParameterSet,
    done: &str,
    entropy: &mut impl Rng,
) -> Result<String, ParameterError> {
    file::create(&directory.params(), set)?;
    ensure_credentials(directory, entropy).map_err(ParameterError::io(directory.conf()))?;
    let name = directory.name();
    Ok(format!(
        "Blockchain parameter set was successfully {done}.\n\
         You can edit it in {} before running noded for the first time.\n\n\
         To generate blockchain please run \"noded {name} -daemon\".\n",
        directory.params().display()
    ))
}

/// Makes a user of JSON-RPC: a password that is shown once, and the lines for node.conf. Nothing is written.
fn rpcauth(line: &CommandLine, user: &str, entropy: &mut impl Rng) -> Outcome {
    if let Some(option) = foreign_option(line) {
        return Outcome::failed(format!("rpcauth takes no option, got -{option}"));
    }
    let password = new_password(entropy);
    let made = Credential::make(user, password.as_bytes(), entropy);
    match made.and_then(|credential| Credential::parse(&credential.to_string())) {
        Ok(credential) => Outcome::done(format!(
            "Lines for node.conf, the second with what {user} may call (noded -help: rpcwhitelist):\n\
             rpcauth={credential}\n\
             rpcwhitelist={user}:@read\n\n\
             Password of {user}, not kept anywhere:\n\
             {password}\n"
        )),
        Err(error) => Outcome::failed(error.to_string()),
    }
}

/// An option that only create takes.
fn foreign_option(line: &CommandLine) -> Option<String> {
    let option = line.options.iter().find(|(name, _)| rota_params::known::compact(name) != "datadir");
    option.map(|(name, _)| name.escape_debug().to_string())
}

fn show(line: &CommandLine, name: &str) -> Outcome {
    if let Some(option) = foreign_option(line) {
        return Outcome::failed(format!("show takes no option but -datadir, got -{option}"));
    }
    let loaded = ChainDirectory::new(line.data_directory(), name)
        .and_then(|directory| Ok((file::load(&directory.params(), name)?, directory)));
    let ((set, state), directory) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    let path = directory.params();
    let sentence = match state {
        State::Empty => {
            let why = format!("there is no blockchain {name} in {}", directory.data().display());
            return Outcome::failed(format!("{why}: node-util create {name} makes it"));
        }
        State::Minimal => "Known so far from another node, which did not grant connect yet.",
        State::Generated => "No genesis block yet: parameters may be edited until noded runs.",
        State::Valid => "The genesis block was made, and chain-params-hash is right.",
        State::Invalid { .. } => "The file was edited after the genesis block was made.",
        State::Error { .. } => "The file is not complete.",
    };
    let error = state.fault(&path, name);
    let output = console::title() + &format!("{}\n{sentence}\n{}", path.display(), listing(&set));
    Outcome { output, error }
}

/// One line a parameter: value, whether it differs from the default, and why it can or cannot be changed.
fn listing(set: &ParameterSet) -> String {
    let mut text = String::new();
    let mut section: Option<Section> = None;
    for (parameter, value) in set.shown() {
        let row = parameter.row();
        if section != Some(row.section) {
            section = Some(row.section);
            text.push_str(&format!("\n{}\n", row.section.title()));
        }
        let value = value.map_or_else(|| rota_params::value::EMPTY_TEXT.to_owned(), Value::to_text);
        let chosen = row.source == rota_params::kind::Source::User && !set.is_default(parameter);
        let mark = if chosen { '*' } else { ' ' };
        let setting = format!("{} = {value}", row.name);
        text.push_str(&format!("{mark} {setting:<48} {}\n", why_fixed(set, parameter)));
    }
    text.push_str("\n* differs from the default\n");
    text
}
