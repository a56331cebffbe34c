//! What can be wrong with a parameter, a parameter file or a parameter message; each error is a sentence.

use std::path::PathBuf;

/// A refused parameter, file or message.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    /// No parameter bears the name.
    #[error("unknown parameter {name}{}", suggestion(.nearest))]
    Unknown {
        /// The name as given.
        name: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// The text does not stand for a value of the parameter's type.
    #[error("{name} is \"{value}\", expected {expected}")]
    Malformed {
        /// The parameter's shown name.
        name: &'static str,
        /// The text as given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// The value lies outside the parameter's range.
    #[error("{name} is {value}, the allowed range is {range}")]
    OutOfRange {
        /// The parameter's shown name.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The range, as text.
        range: String,
    },
    /// The parameter is not one that a person sets.
    #[error("{name} cannot be set: {why}")]
    Fixed {
        /// The parameter's shown name.
        name: &'static str,
        /// Who sets it instead, or why it may not change.
        why: &'static str,
    },
    /// The value's type is not the parameter's.
    #[error("{name} holds another type of value")]
    Type {
        /// The parameter's shown name.
        name: &'static str,
    },
    /// The chain's name cannot be one.
    #[error("\"{name}\" cannot be a chain's name: {why}")]
    ChainName {
        /// The name as given.
        name: String,
        /// The broken rule.
        why: &'static str,
    },
    /// The file belongs to another chain than its directory.
    #[error("chain-name is {stored}, but the directory is named {directory}")]
    NameMismatch {
        /// Name in the file.
        stored: String,
        /// Name of the directory.
        directory: String,
    },
    /// The protocol is not one that this software runs.
    #[error("protocol {0} is not supported, the allowed ones are {supported}", supported = crate::generate::supported_protocols())]
    Protocol(u32),
    /// The parameter came with a later protocol than the chain's.
    #[error("{name} exists since protocol {since}, but the chain has protocol {protocol}")]
    Newer {
        /// The parameter's shown name.
        name: &'static str,
        /// Protocol that brought it.
        since: u32,
        /// The chain's protocol.
        protocol: u32,
    },
    /// The three prefixes differ in length.
    #[error(
        "address-pubkeyhash-version, address-scripthash-version and private-key-version differ in length: {0}, {1} and {2} bytes"
    )]
    PrefixLength(usize, usize, usize),
    /// Addresses of keys and of scripts could not be told apart.
    #[error("address-pubkeyhash-version and address-scripthash-version are both {0}")]
    SamePrefix(String),
    /// The two default ports are one.
    #[error("default-network-port and default-rpc-port are both {0}")]
    SamePort(u16),
    /// More native currency than an amount can express.
    #[error(
        "initial-block-reward and reward-halving-interval create {total} raw units, the limit is 9223372036854775807"
    )]
    TotalReward {
        /// Sum of all rewards.
        total: String,
    },
    /// A line of the file could not be read.
    #[error("line {line}: {source}")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<ParameterError>,
    },
    /// A line of the file is no `name = value`.
    #[error("\"{0}\" is not of the form name = value")]
    NoValue(String),
    /// The file is larger than a parameter file can be.
    #[error("{path} has {size} bytes, the limit is {limit}")]
    FileSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The file exists already.
    #[error("file {0} already exists")]
    Exists(PathBuf),
    /// The parameters cannot be copied from this set.
    #[error("the parameters of {0} are not complete")]
    Incomplete(String),
    /// The set is not one whose genesis block may be made.
    #[error("the genesis block was made already")]
    Sealed,
    /// The bytes of a parameter message are not canonical.
    #[error("parameter message refused: {0}")]
    Wire(String),
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl ParameterError {
    /// Wraps a system error with the path it concerns.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// The closing words of an error about an unknown name.
pub fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(", did you mean {name}?")).unwrap_or_default()
}
