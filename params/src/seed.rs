//! The first word of noded: a chain's name, and after an `@` the host and port of a node to join it by.

use std::fmt;

use crate::error::ParameterError;
use crate::generate::check_name;

/// Longest host name: the limit of the domain name system.
const HOST_MAX: usize = 253;

/// A refused word.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The part before the `@` cannot be a chain's name.
    #[error(transparent)]
    Name(#[from] ParameterError),
    /// The part after the `@` is no host.
    #[error("\"{0}\" is no host of a node, expected NAME@HOST:PORT")]
    Host(String),
    /// The part after the last colon is no port.
    #[error("\"{0}\" is no port, expected NAME@HOST:PORT with a port from 1 to 65535")]
    Port(String),
}

/// Where a node can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// Port, if one was given.
    pub port: Option<u16>,
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.contains(':'), self.port) {
            (true, Some(port)) => write!(f, "[{}]:{port}", self.host),
            (true, None) => write!(f, "[{}]", self.host),
            (false, Some(port)) => write!(f, "{}:{port}", self.host),
            (false, None) => f.write_str(&self.host),
        }
    }
}

impl std::str::FromStr for Seed {
    type Err = SeedError;

    /// Reads `host`, `host:port`, `[ipv6]`, `[ipv6]:port`.
    fn from_str(text: &str) -> Result<Self, SeedError> {
        let short = |text: &str| text.chars().take(80).flat_map(char::escape_debug).collect::<String>();
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':').ok_or_else(|| SeedError::Port(short(rest)))?)),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '%');
        if host.is_empty() || host.len() > HOST_MAX || !host.chars().all(fit) {
            return Err(SeedError::Host(short(host)));
        }
        let port = match port {
            None => None,
            Some(text) => {
                let port = text.parse().ok().filter(|port| *port != 0);
                Some(port.ok_or_else(|| SeedError::Port(short(text)))?)
            }
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Splits `NAME` or `NAME@HOST:PORT`.
///
/// # Errors
/// Says which part is wrong.
pub fn parse_chain_word(word: &str) -> Result<(&str, Option<Seed>), SeedError> {
    let (name, seed) = match word.split_once('@') {
        Some((name, seed)) => (name, Some(seed.parse()?)),
        None => (word, None),
    };
    check_name(name)?;
    Ok((name, seed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    #[test]
    fn names_hosts_and_ports_are_told_apart() {
        for (word, name, host, port) in [
            ("chain1@127.0.0.1:2917", "chain1", "127.0.0.1", Some(2917)),
            ("chain1@node.example.com", "chain1", "node.example.com", None),
            ("c@[::1]:5", "c", "::1", Some(5)),
            ("c@[fe80::1]", "c", "fe80::1", None),
        ] {
            let (got, seed) = parse_chain_word(word).unwrap();
            let seed = seed.unwrap();
            assert_eq!((got, seed.host.as_str(), seed.port), (name, host, port));
            assert_eq!(word, format!("{name}@{seed}"));
        }
        assert_eq!(parse_chain_word("chain1").unwrap(), ("chain1", None));
    }

    #[test]
    fn words_that_are_neither_are_refused() {
        for word in
            ["@h:1", "c@", "c@:1", "c@h:0", "c@h:65536", "c@h:x", "c@::1", "c@[::1]5", "c@a b:1", "a/b@h:1", "c@h@i"]
        {
            assert!(parse_chain_word(word).is_err(), "{word}");
        }
    }
}
