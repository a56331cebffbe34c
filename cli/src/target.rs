//! Which chain and node the command line means, and how to get in: words, options, configuration files.

use rota_api::client::{DEFAULT_TIMEOUT, Trust};
use rota_api::method;
use rota_params::Parameter;
use rota_params::conf::CERTIFICATE_NAME;
use rota_params::file;
use rota_params::options::{CommandLine, OptionError, Options};
use rota_params::paths::{ChainChoiceError, ChainDirectory, expand, only_chain};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{completion, console};

/// Most seconds to wait for an answer: a day.
const LONGEST_TIMEOUT: i64 = 86_400;

/// Why nothing could be called.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// An option or configuration file.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// No chain is named, and the data directory does not hold exactly one.
    #[error(transparent)]
    Choice(#[from] ChainChoiceError),
    /// The first word is neither a chain nor a method.
    #[error(
        "{word} is neither a blockchain in {directory} nor a method: node-util create makes a chain, \
         noded joins one, node-cli help lists methods; for a node elsewhere give -rpcport, -rpcuser and -rpcpassword"
    )]
    UnknownWord {
        /// The word.
        word: String,
        /// The data directory.
        directory: PathBuf,
    },
    /// Nobody told the password.
    #[error("there is no {missing} for {chain}: noded writes one to {conf} when it first starts; or give -{missing}")]
    NoCredentials {
        /// rpcuser or rpcpassword.
        missing: &'static str,
        /// The chain.
        chain: String,
        /// Where it would stand.
        conf: PathBuf,
    },
    /// Nobody told the port.
    #[error("the port of the node is not known ({cause}): give -rpcport")]
    NoPort {
        /// Why params.dat did not tell.
        cause: String,
    },
    /// The certificates to trust.
    #[error(
        "rpcsslcertificatechainfile={path}: {cause}; with rpcssl=1 it names the certificate of the node, or of who issued it",
        path = .path.display()
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A value that -requestout does not have.
    #[error("option -requestout is \"{0}\", expected stderr, stdout or null")]
    RequestOut(String),
    /// A shell that there is no completion for.
    #[error("option -completion is \"{0}\", expected bash or zsh")]
    Completion(String),
    /// The system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Where requests are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOut {
    /// On stderr.
    Stderr,
    /// On stdout.
    Stdout,
    /// Nowhere.
    Null,
}

/// A node and the way in.
#[derive(Clone)]
pub struct Target {
    /// The chain's name, sent along with each request.
    pub chain: String,
    /// `host:port`.
    pub address: String,
    /// rpcuser.
    pub user: String,
    /// rpcpassword.
    pub password: String,
    /// Whom TLS is spoken with; none where it is not.
    pub trust: Option<Trust>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Where requests are shown.
    pub request_out: RequestOut,
    /// Whether results are laid out for reading.
    pub pretty: bool,
    /// The file that holds user and password, for messages.
    pub conf: PathBuf,
}

/// What the command line asks for.
pub enum Wish {
    /// A text that needs no node.
    Print(String),
    /// Nothing that could be done; the help says what could.
    Misuse,
    /// A call: method and parameters, or none of both for the prompt.
    Call(Box<Target>, Vec<String>),
}

/// Reads the arguments of this program.
pub fn read_command_line() -> Result<Wish, Failure> {
    let mut line = CommandLine::of_this_program(call_begun)?;
    // The shell may stand apart: --completion bash.
    if let Some((_, shell @ None)) = line.options.iter_mut().find(|(name, _)| name == "completion") {
        *shell = line.words.first().cloned();
    }
    wish(&line)
}

/// Whether the words so far hold the method, so that what follows are its parameters, hyphens or not.
fn call_begun(words: &[String]) -> bool {
    match words {
        [] => false,
        [first] => method::find(first).is_some(),
        _ => true,
    }
}

fn wish(line: &CommandLine) -> Result<Wish, Failure> {
    if line.flag("help") || line.flag("h") {
        return Ok(Wish::Print(console::help()));
    }
    if line.flag("version") {
        return Ok(Wish::Print(console::version()));
    }
    if let Some(shell) = line.text("completion") {
        let script = completion::script(shell).ok_or_else(|| Failure::Completion(shell.to_owned()))?;
        return Ok(Wish::Print(script));
    }
    let Some(first) = line.words.first() else {
        return Ok(Wish::Misuse);
    };
    let directory = line.data_directory();
    let named = ChainDirectory::new(&directory, first).ok();
    if let Some(chain) = named.as_ref().filter(|chain| chain.exists()) {
        return target(line, Some(chain), first).map(|target| call(target, &line.words[1..]));
    }
    if first == "help" {
        let topic = line.words.get(1).map_or("", String::as_str);
        return Ok(Wish::Print(format!("{}\n", method::help_answer(topic))));
    }
    if method::find(first).is_some() {
        let chain = only_chain(&directory)?;
        return target(line, Some(&chain), chain.name()).map(|target| call(target, &line.words));
    }
    // A chain that has no folder here may still be called by its name, if the way in is told.
    let told = ["rpcuser", "rpcpassword", "rpcport"].iter().all(|name| line.text(name).is_some());
    match told {
        true => target(line, None, first).map(|target| call(target, &line.words[1..])),
        false => Err(Failure::UnknownWord { word: first.clone(), directory }),
    }
}

fn call(target: Target, words: &[String]) -> Wish {
    Wish::Call(Box::new(target), words.to_vec())
}

fn target(line: &CommandLine, chain: Option<&ChainDirectory>, name: &str) -> Result<Target, Failure> {
    let options = Options::resolve(line, chain)?;
    let conf = chain.map_or_else(|| line.data_directory().join("node.conf"), ChainDirectory::conf);
    let secret = |missing: &'static str| {
        let value = options.text(missing).filter(|value| !value.is_empty()).map(str::to_owned);
        value.ok_or_else(|| Failure::NoCredentials { missing, chain: name.to_owned(), conf: conf.clone() })
    };
    let user = options.text("rpcuser").unwrap_or("rotarpc").to_owned();
    let password = secret("rpcpassword")?;
    let host = options.text("rpcconnect").unwrap_or("127.0.0.1");
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() };
    let port = match options.text("rpcport") {
        Some(_) => options.number("rpcport", 0, 1..=i64::from(u16::MAX))?,
        None => i64::from(default_port(chain)?),
    };
    let request_out = match options.text("requestout").unwrap_or("stderr") {
        "stderr" => RequestOut::Stderr,
        "stdout" => RequestOut::Stdout,
        "null" => RequestOut::Null,
        other => return Err(Failure::RequestOut(other.to_owned())),
    };
    let seconds = options.number("rpcclienttimeout", DEFAULT_TIMEOUT.as_secs().cast_signed(), 1..=LONGEST_TIMEOUT)?;
    let timeout = Duration::from_secs(seconds.unsigned_abs());
    let address = format!("{host}:{port}");
    Ok(Target {
        chain: name.to_owned(),
        address,
        user,
        password,
        trust: trust(&options, conf.parent().unwrap_or(Path::new("")))?,
        timeout,
        request_out,
        pretty: line.flag("pretty"),
        conf,
    })
}

/// Whom to trust, if TLS is to be spoken. `folder` is where a relative path begins.
fn trust(options: &Options, folder: &Path) -> Result<Option<Trust>, Failure> {
    if !options.flag("rpcssl", false) {
        return Ok(None);
    }
    let name = options.text("rpcsslcertificatechainfile").filter(|name| !name.is_empty());
    let path = folder.join(expand(name.unwrap_or(CERTIFICATE_NAME)));
    let bad = |cause: String| Failure::Certificate { path: path.clone(), cause };
    let pem = std::fs::read(&path).map_err(|error| bad(error.to_string()))?;
    Trust::read(&pem).map(Some).map_err(|error| bad(error.to_string()))
}

fn default_port(chain: Option<&ChainDirectory>) -> Result<u16, Failure> {
    let no_port = |cause: String| Failure::NoPort { cause };
    let chain = chain.ok_or_else(|| no_port("there is no params.dat".to_owned()))?;
    let (set, _) = file::load(&chain.params(), chain.name()).map_err(|error| no_port(error.to_string()))?;
    match set.get(Parameter::DefaultRpcPort) {
        Some(_) => Ok(set.default_rpc_port()),
        None => Err(no_port("params.dat names none".to_owned())),
    }
}

#[cfg(test)]
mod tests;
