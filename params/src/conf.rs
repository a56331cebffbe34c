//! Configuration files, `name = value` lines: reading them, the password of a first start, and kept settings.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::{Rng, RngExt};

use crate::paths::ChainDirectory;

/// Largest configuration file: a thousand repeatable options of a thousand bytes each.
pub const CONF_MAX: u64 = 1024 * 1024;
/// User name that a first start writes.
pub const FIRST_USER: &str = "rotarpc";
/// The file of the certificate of JSON-RPC, within the chain's folder.
pub const CERTIFICATE_NAME: &str = "server.cert";
/// The file of its private key, within the chain's folder.
pub const KEY_NAME: &str = "server.pem";
/// Bytes of entropy in the password that a first start writes.
const PASSWORD_BYTES: usize = 32;

/// One line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfLine {
    /// Line number, from 1.
    pub line: usize,
    /// Name as written.
    pub name: String,
    /// Value, without blanks around it; `None` for a bare name.
    pub value: Option<String>,
}

/// Reads a configuration file; one that is not there has no lines.
///
/// # Errors
/// What the system answered; too large a file and text that is not UTF-8 are invalid data.
pub fn read(path: &Path) -> io::Result<Vec<ConfLine>> {
    let size = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?.len(),
    };
    if size > CONF_MAX {
        let why = format!("{size} bytes, the limit is {CONF_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(parse(&fs::read_to_string(path)?))
}

/// Reads the text of a configuration file: `#` begins a comment, blanks around names and values do not count.
pub fn parse(text: &str) -> Vec<ConfLine> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let content = line.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        let (name, value) = match content.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
            None => (content, None),
        };
        lines.push(ConfLine { line: index + 1, name: name.to_owned(), value });
    }
    lines
}

/// Makes sure that some configuration file of the chain holds an RPC password: without one, a random one is added to
/// the chain's node.conf. An empty node.conf in the data directory is made too. Says whether a password was added.
///
/// # Errors
/// What the system answered.
pub fn ensure_credentials(directory: &ChainDirectory, entropy: &mut impl Rng) -> io::Result<bool> {
    directory.make()?;
    if !directory.data_conf().exists() {
        append(&directory.data_conf(), "")?;
    }
    for path in [directory.conf(), directory.legacy_conf(), directory.data_conf()] {
        if read(&path)?.iter().any(|line| crate::known::compact(&line.name) == "rpcpassword") {
            return Ok(false);
        }
    }
    let password = bs58::encode(entropy.random::<[u8; PASSWORD_BYTES]>()).into_string();
    append(&directory.conf(), &format!("rpcuser={FIRST_USER}\nrpcpassword={password}\n"))?;
    Ok(true)
}

/// Adds lines to a file that only its owner may read.
fn append(path: &Path, lines: &str) -> io::Result<()> {
    let before = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let mut file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    if before.last().is_some_and(|last| *last != b'\n') {
        file.write_all(b"\n")?;
    }
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

/// Keeps a setting in a file of `name=value` lines, in the place of an earlier one. A crash leaves the old file or
/// the new one.
///
/// # Errors
/// What the system answered; a value that a line cannot hold is invalid input.
pub fn keep_value(path: &Path, name: &str, value: &str) -> io::Result<()> {
    if value.contains(['#', '\n', '\r']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a kept value has no # and no line break"));
    }
    let mut text = String::new();
    for line in read(path)?.iter().filter(|line| crate::known::compact(&line.name) != name) {
        text.push_str(&format!("{}={}\n", line.name, line.value.as_deref().unwrap_or("1")));
    }
    text.push_str(&format!("{name}={value}\n"));
    let fresh = path.with_extension("conf.new");
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;
    use std::os::unix::fs::PermissionsExt;

    fn value(lines: &[ConfLine], name: &str) -> Option<String> {
        lines.iter().find(|line| line.name == name)?.value.clone()
    }

    #[test]
    fn comments_and_blanks_do_not_count() {
        let lines = parse("# note\n\n rpc-user = bob # me\nlisten\nwalletnotify=run %s --x=1\n");
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["rpc-user", "listen", "walletnotify"]);
        assert_eq!(lines[0].value.as_deref(), Some("bob"));
        assert_eq!(lines[1].value, None);
        assert_eq!(lines[2].value.as_deref(), Some("run %s --x=1"));
        assert_eq!(lines[2].line, 5);
    }

    #[test]
    fn a_first_start_writes_a_password_that_only_the_owner_reads_and_a_second_one_keeps_it() {
        let data = tempfile::tempdir().unwrap();
        let directory = ChainDirectory::new(data.path(), "chain1").unwrap();
        let mut entropy = StdRng::seed_from_u64(7);
        assert!(ensure_credentials(&directory, &mut entropy).unwrap());
        let first = read(&directory.conf()).unwrap();
        assert_eq!(value(&first, "rpcuser").as_deref(), Some("rotarpc"));
        let password = value(&first, "rpcpassword").unwrap();
        assert!(password.len() >= 40, "{password}");
        for path in [directory.conf(), directory.data_conf()] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(!ensure_credentials(&directory, &mut entropy).unwrap());
        assert_eq!(read(&directory.conf()).unwrap(), first);
    }

    #[test]
    fn a_password_in_a_legacy_file_is_left_to_count() {
        let data = tempfile::tempdir().unwrap();
        let directory = ChainDirectory::new(data.path(), "chain1").unwrap();
        directory.make().unwrap();
        fs::write(directory.legacy_conf(), "rpc-password=old").unwrap();
        assert!(!ensure_credentials(&directory, &mut StdRng::seed_from_u64(7)).unwrap());
        assert!(!directory.conf().exists());
    }

    #[test]
    fn settings_of_the_owner_survive_the_added_password() {
        let data = tempfile::tempdir().unwrap();
        let directory = ChainDirectory::new(data.path(), "chain1").unwrap();
        directory.make().unwrap();
        fs::write(directory.conf(), "# mine\nrpcport=5000").unwrap();
        assert!(ensure_credentials(&directory, &mut StdRng::seed_from_u64(7)).unwrap());
        let text = fs::read_to_string(directory.conf()).unwrap();
        assert!(text.starts_with("# mine\nrpcport=5000\nrpcuser=rotarpc\nrpcpassword="), "{text}");
    }

    #[test]
    fn a_kept_setting_takes_the_place_of_the_earlier_one() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("setruntimeparam.conf");
        keep_value(&path, "miningturnover", "0.5").unwrap();
        keep_value(&path, "bantx", "").unwrap();
        keep_value(&path, "miningturnover", "0.8").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "bantx=\nminingturnover=0.8\n");
        assert!(keep_value(&path, "autosubscribe", "a\nrpcallowip=0.0.0.0/0").is_err());
    }

    #[test]
    fn an_oversized_file_is_refused() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("node.conf");
        let size = usize::try_from(CONF_MAX).unwrap();
        fs::write(&path, vec![b'\n'; size]).unwrap();
        assert_eq!(read(&path).unwrap(), []);
        fs::write(&path, vec![b'\n'; size + 1]).unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
