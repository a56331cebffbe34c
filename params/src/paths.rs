//! Where a node's files live: the data directory, and one folder in it for each chain.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::generate::check_name;

/// Name of the data directory in the home directory.
pub const DATA_DIRECTORY_NAME: &str = ".rota";
/// Name of the configuration files.
pub const CONF_NAME: &str = "node.conf";
/// Most folders of a data directory that are looked at for chains; real ones hold a handful.
const FOLDERS_MAX: usize = 10_000;

/// Why the only chain of a data directory could not be told.
#[derive(Debug, thiserror::Error)]
pub enum ChainChoiceError {
    /// No folder holds a params.dat.
    #[error("there is no blockchain in {0}: make one with node-util create NAME")]
    None(PathBuf),
    /// More than one does.
    #[error("there are several blockchains in {directory} ({names}): name the one you mean first", names = .names.join(", "))]
    Several {
        /// The data directory.
        directory: PathBuf,
        /// Their names in alphabetical order.
        names: Vec<String>,
    },
    /// The data directory could not be read.
    #[error("{directory}: {source}")]
    Io {
        /// The data directory.
        directory: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// The data directory of users who name none: `~/.rota`.
pub fn default_data_directory() -> PathBuf {
    home().unwrap_or_else(|| PathBuf::from(".")).join(DATA_DIRECTORY_NAME)
}

/// A directory as given to `-datadir=`: a leading `~/` is the home directory.
pub fn expand(text: &str) -> PathBuf {
    match (text.strip_prefix('~'), home()) {
        (Some(""), Some(home)) => home,
        (Some(rest), Some(home)) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    }
}

fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Makes a directory that only its owner may enter, with the directories above it.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The folder of one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainDirectory {
    data: PathBuf,
    name: String,
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident $place:literal;)*) => {
        impl ChainDirectory {
            $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.path().join($place) })*
        }
    };
}

places! {
    /// The chain's parameters.
    params "params.dat";
    /// Configuration of this chain's node.
    conf "node.conf";
    /// Configuration in another node's name, read after [`ChainDirectory::conf`].
    legacy_conf "multichain.conf";
    /// Settings that setruntimeparam keeps.
    runtime_conf "setruntimeparam.conf";
    /// Held by the node that has the folder open.
    lock "lock";
    /// Process id of the running node.
    pid "noded.pid";
    /// Log of the node.
    log "debug.log";
    /// Database of state and indexes.
    state "state";
    /// Block bodies and undo.
    blocks "blocks";
    /// Keys and coins.
    wallet "wallet";
    /// Binary cache of the API.
    cache "cache";
    /// Acknowledged transactions that no block holds yet.
    journal "journal";
    /// Off-chain data.
    chunks "chunks";
    /// Known addresses of peers.
    peers "peers.dat";
}

impl ChainDirectory {
    /// The folder of a chain in a data directory; nothing is made.
    ///
    /// # Errors
    /// Refuses a name that cannot be a chain's.
    pub fn new(data: impl Into<PathBuf>, name: &str) -> Result<Self, crate::ParameterError> {
        check_name(name)?;
        Ok(Self { data: data.into(), name: name.to_owned() })
    }

    /// The folder itself.
    pub fn path(&self) -> PathBuf {
        self.data.join(&self.name)
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The chain's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Configuration of all chains' nodes.
    pub fn data_conf(&self) -> PathBuf {
        self.data.join(CONF_NAME)
    }

    /// Whether the folder holds a params.dat.
    pub fn exists(&self) -> bool {
        self.params().is_file()
    }

    /// Makes the folder, for its owner alone.
    ///
    /// # Errors
    /// What the system answered.
    pub fn make(&self) -> io::Result<()> {
        make_directory(&self.path())
    }
}

/// The names of the chains in a data directory, in alphabetical order.
///
/// # Errors
/// What the system answered; a directory that is not there holds none.
pub fn chains(data: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(data) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names: Vec<String> = entries
        .take(FOLDERS_MAX)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| ChainDirectory::new(data, name).is_ok_and(|directory| directory.exists()))
        .collect();
    names.sort();
    Ok(names)
}

/// The chain that a user means who names none: the only one in the data directory.
///
/// # Errors
/// Says that there is none, or which ones there are.
pub fn only_chain(data: &Path) -> Result<ChainDirectory, ChainChoiceError> {
    let io_error = |source| ChainChoiceError::Io { directory: data.into(), source };
    let mut names = chains(data).map_err(io_error)?;
    match (names.pop(), names.is_empty()) {
        (None, _) => Err(ChainChoiceError::None(data.into())),
        (Some(name), true) => Ok(ChainDirectory { data: data.into(), name }),
        (Some(name), false) => {
            names.push(name);
            Err(ChainChoiceError::Several { directory: data.into(), names })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;

    fn chain(data: &Path, name: &str) {
        std::fs::create_dir(data.join(name)).unwrap();
        std::fs::write(data.join(name).join("params.dat"), "").unwrap();
    }

    #[test]
    fn the_only_chain_needs_no_name_and_two_chains_do() {
        let data = tempfile::tempdir().unwrap();
        assert!(matches!(only_chain(data.path()), Err(ChainChoiceError::None(_))));
        assert!(matches!(only_chain(&data.path().join("absent")), Err(ChainChoiceError::None(_))));
        std::fs::create_dir(data.path().join("other")).unwrap();
        chain(data.path(), "chain2");
        assert_eq!(only_chain(data.path()).unwrap().name(), "chain2");
        chain(data.path(), "chain1");
        let error = only_chain(data.path()).unwrap_err().to_string();
        assert!(error.contains("(chain1, chain2)"), "{error}");
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_data_directory() {
        for name in ["..", ".", "", "a/b", "/etc", ".hidden", "-x"] {
            assert!(ChainDirectory::new("/data", name).is_err(), "{name}");
        }
        let directory = ChainDirectory::new("/data", "chain1").unwrap();
        assert_eq!(directory.params(), Path::new("/data/chain1/params.dat"));
        assert_eq!(directory.data_conf(), Path::new("/data/node.conf"));
        assert_eq!(directory.pid(), Path::new("/data/chain1/noded.pid"));
    }

    #[test]
    fn a_tilde_is_the_home_directory() {
        assert_eq!(expand("~/data1"), home().unwrap().join("data1"));
        assert_eq!(expand("/tmp/~/x"), Path::new("/tmp/~/x"));
        assert_eq!(expand("~other/x"), Path::new("~other/x"));
    }

    #[test]
    fn a_chains_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        let directory = ChainDirectory::new(data.path(), "chain1").unwrap();
        directory.make().unwrap();
        assert_eq!(std::fs::metadata(directory.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
