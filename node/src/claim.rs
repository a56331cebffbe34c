//! What a chain takes for itself of what a process has once: addresses to listen at, and files outside its folder. Two
//! chains that want the same are told so by a sentence before anything is opened.

use std::net::SocketAddr;
use std::path::PathBuf;

use rota_params::options::Options;
use rota_params::paths::ChainDirectory;
use rota_params::{ParameterSet, State};

use crate::config;

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Peers,
    Calls,
}

impl Purpose {
    const fn text(self) -> &'static str {
        match self {
            Purpose::Peers => "peers",
            Purpose::Calls => "JSON-RPC",
        }
    }

    /// Options that decide the address.
    const fn options(self) -> &'static str {
        match self {
            Purpose::Peers => "port= (or bind=)",
            Purpose::Calls => "rpcport= (or rpcbind=)",
        }
    }
}

/// Addresses and files of one chain.
#[derive(Debug)]
pub struct Claims {
    chain: String,
    conf: PathBuf,
    addresses: Vec<(Purpose, SocketAddr)>,
    /// With the option that names each.
    files: Vec<(&'static str, PathBuf)>,
}

impl Claims {
    /// What a chain takes by its options. Ports that only parameters name which a seed has yet to tell are left out.
    ///
    /// # Errors
    /// A sentence if an option cannot be understood.
    pub fn of(directory: &ChainDirectory, options: &Options, set: &ParameterSet) -> anyhow::Result<Claims> {
        let mut addresses = Vec::new();
        let known = set.state() != State::Empty;
        if config::listens(options) && (known || options.text("port").is_some()) {
            let port = config::port(options, "port", set.default_network_port())?;
            let bound = config::bind_addresses(options, port)?;
            addresses.extend(bound.into_iter().map(|address| (Purpose::Peers, address)));
        }
        if known || options.text("rpcport").is_some() {
            let port = config::port(options, "rpcport", set.default_rpc_port())?;
            let front = config::front_config(options, directory, port)?;
            addresses.extend(front.binds.into_iter().map(|address| (Purpose::Calls, address)));
        }
        let mut files =
            vec![("logdir", config::log_file(directory, options)), ("pid", config::pid_file(directory, options))];
        files.extend(options.text("p2pkey").map(|path| ("p2pkey", rota_params::paths::expand(path))));
        Ok(Claims { chain: directory.name().to_owned(), conf: directory.conf(), addresses, files })
    }

    /// The chain's name.
    pub fn chain(&self) -> &str {
        &self.chain
    }

    /// What another chain wants too, in a sentence.
    pub fn clash(&self, other: &Claims) -> Option<String> {
        let (mine, theirs) = (&self.chain, &other.chain);
        for (purpose, address) in &other.addresses {
            if let Some((own, _)) = self.addresses.iter().find(|(_, own)| overlap(own, address)) {
                return Some(format!(
                    "the chains {mine} and {theirs} would both listen on port {} ({mine} for {}, {theirs} for {}): set another \
                     {} in {}",
                    address.port(),
                    own.text(),
                    purpose.text(),
                    purpose.options(),
                    other.conf.display()
                ));
            }
        }
        let (option, path) = other.files.iter().find(|(_, path)| self.files.iter().any(|(_, own)| own == path))?;
        Some(format!(
            "the chains {mine} and {theirs} would both write {}: give each its own -{option}, by {option}= in {} and {}",
            path.display(),
            self.conf.display(),
            other.conf.display()
        ))
    }
}

/// Whether two cannot listen at once.
fn overlap(a: &SocketAddr, b: &SocketAddr) -> bool {
    a.port() == b.port() && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use rota_params::options::CommandLine;

    fn claims(chain: &str, options: &[&str]) -> Claims {
        let data = tempfile::tempdir().unwrap();
        let directory = ChainDirectory::new(data.path(), chain).unwrap();
        let options = options.iter().copied().chain(["-rpcpassword=of-this-test"]);
        let line = CommandLine::parse(options, |_| false).unwrap();
        Claims::of(&directory, &Options::resolve(&line, Some(&directory)).unwrap(), &ParameterSet::empty()).unwrap()
    }

    #[test]
    fn two_chains_that_want_one_port_are_told_both_names_and_the_option() {
        let a = claims("a", &["-port=7000", "-rpcport=7001"]);
        for (options, wanted) in [
            (["-port=7000", "-rpcport=7003"], "port= (or bind=)"),
            (["-port=7002", "-rpcport=7001"], "rpcport= (or rpcbind=)"),
            (["-port=7001", "-rpcport=7003"], "port= (or bind=)"),
            (["-port=7002", "-rpcport=7000"], "rpcport= (or rpcbind=)"),
        ] {
            let clash = a.clash(&claims("b", &options)).unwrap();
            assert!(clash.contains("chains a and b") && clash.contains(&format!("set another {wanted}")), "{clash}");
        }
        assert_eq!(a.clash(&claims("b", &["-port=7002", "-rpcport=7003"])), None);
        assert_eq!(a.clash(&claims("b", &["-port=7000", "-listen=0", "-rpcport=7003"])), None);
    }

    #[test]
    fn one_port_at_two_addresses_is_no_clash_and_every_address_is() {
        let a = claims("a", &["-port=7000", "-bind=127.0.0.1"]);
        assert_eq!(a.clash(&claims("b", &["-port=7000", "-bind=127.0.0.2"])), None);
        assert!(a.clash(&claims("b", &["-port=7000", "-bind=0.0.0.0"])).is_some());
        assert!(a.clash(&claims("b", &["-port=7009", "-bind=127.0.0.1:7000"])).is_some());
    }

    #[test]
    fn two_chains_never_write_one_log_or_process_id_or_key() {
        for option in ["-logdir=/tmp", "-pid=/run/noded.pid", "-p2pkey=/tmp/key"] {
            let clash = claims("a", &[option]).clash(&claims("b", &[option])).unwrap();
            assert!(clash.contains("chains a and b") && clash.contains(option.split('=').next().unwrap()), "{clash}");
        }
        assert_eq!(claims("a", &["-pid=mine.pid"]).clash(&claims("b", &["-pid=mine.pid"])), None);
    }
}
