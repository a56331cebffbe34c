//! Wallet dumps: all keys and addresses as text, a line each, and reading them back.
//! `PRIVATEKEY time label=TEXT # addr=ADDRESS`, `watch=ADDRESS time label=TEXT`, `multisig=SCRIPT time label=TEXT`.

use std::fmt::Write as _;
use std::path::Path;

use rota_chain::script::{read_redeem_script, redeem_script};
use zeroize::Zeroizing;

use crate::error::WalletError;
use crate::record::MAX_LABEL;
use crate::store::{DUMP_TITLE, read_limited};
use crate::wallet::{Entry, Standing, Wallet};

/// Most bytes of a dump that is read: as many keys as a wallet file holds.
const MAX_DUMP: u64 = 1 << 30;

/// What an import brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Addresses that are new here.
    pub new: usize,
    /// Addresses that were here.
    pub known: usize,
    /// Lines that are no address or key of this chain.
    pub failed: usize,
}

impl Wallet {
    /// Writes all keys, spare ones too, readable to a file of mode 0600.
    ///
    /// # Errors
    /// [`WalletError::Locked`], [`WalletError::SameFile`], [`WalletError::Foreign`], [`WalletError::Open`], [`WalletError::Io`].
    pub fn dump(&self, path: &Path) -> Result<(), WalletError> {
        let store = self.write();
        let mut text = Zeroizing::new(String::new());
        {
            let inner = self.read();
            // A line is shorter than this; reserved at once, so that no copy of a key is left behind.
            let line = |entry: &Entry| 1_600_usize.saturating_add(entry.label.len().saturating_mul(3));
            text.reserve_exact(inner.entries.iter().map(line).sum::<usize>().saturating_add(64));
            text.push_str(DUMP_TITLE);
            text.push_str("1\n");
            for entry in &inner.entries {
                self.dump_line(&mut text, entry)?;
            }
        }
        text.push_str("# end\n");
        store.write_beside(path, text.as_bytes(), |key| self.owns(key))
    }

    fn dump_line(&self, text: &mut String, entry: &Entry) -> Result<(), WalletError> {
        let address = self.scheme.encode(&entry.lock);
        if let Some(own) = &entry.key {
            let key = Zeroizing::new(self.scheme.encode_private_key(&own.private_key()?));
            text.push_str(&key);
        } else if let Some(keys) = &entry.multisig {
            text.push_str("multisig=");
            text.push_str(&hex::encode(redeem_script(keys)));
        } else {
            text.push_str("watch=");
            text.push_str(&address);
        }
        let label = escape(&entry.label);
        let standing = match entry.standing {
            Standing::Spare => " reserve=1",
            Standing::Change => " change=1",
            Standing::Listed => "",
        };
        writeln!(text, " {} label={label}{standing} # addr={address}", entry.created)
            .expect("writing to memory does not fail");
        Ok(())
    }

    /// Takes over the keys and addresses of a dump. Lines that are none of this chain are counted, not taken.
    ///
    /// # Errors
    /// [`WalletError::Open`], [`WalletError::NotADump`], [`WalletError::Locked`], [`WalletError::Io`].
    pub fn import_dump(&self, path: &Path) -> Result<Imported, WalletError> {
        let not = |reason| WalletError::NotADump { path: path.to_owned(), reason };
        let bytes = read_limited(path, MAX_DUMP)?.ok_or(not("it is too long"))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| not("it is not UTF-8 text"))?;
        let mut imported = Imported::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
            let Some(first) = words.next() else {
                continue;
            };
            let label = words.find_map(|word| word.strip_prefix("label=")).and_then(unescape);
            let label = label.filter(|label| label.len() <= MAX_LABEL as usize);
            match self.import_line(first, &label.unwrap_or_default())? {
                Some(true) => imported.new = imported.new.saturating_add(1),
                Some(false) => imported.known = imported.known.saturating_add(1),
                None => imported.failed = imported.failed.saturating_add(1),
            }
        }
        Ok(imported)
    }

    /// Takes over one line: whether it is new; none if it is no address or key of this chain.
    fn import_line(&self, word: &str, label: &str) -> Result<Option<bool>, WalletError> {
        if let Some(script) = word.strip_prefix("multisig=") {
            let Some(keys) = hex::decode(script).ok().and_then(|s| read_redeem_script(&s)) else {
                return Ok(None);
            };
            let known = self.multisig_keys(&keys.lock()).is_some();
            self.add_multisig(keys, label)?;
            return Ok(Some(!known));
        }
        if let Some(address) = word.strip_prefix("watch=") {
            let Ok(lock) = self.scheme.decode(address) else {
                return Ok(None);
            };
            return self.import_address(lock, label).map(Some);
        }
        let Ok(key) = self.scheme.decode_private_key(word) else {
            return Ok(None);
        };
        self.import_private_key(key, label).map(Some)
    }
}

/// A label as one word: every byte but ASCII letters, digits, `-`, `_` and `.` as `%XX`.
fn escape(label: &str) -> String {
    let mut word = String::new();
    for byte in label.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            word.push(char::from(byte));
        } else {
            write!(word, "%{byte:02X}").expect("writing to memory does not fail");
        }
    }
    word
}

fn unescape(word: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_read_from_a_file_and_nothing_else() {
        let limit = 1_000;
        assert!(read_limited(std::path::Path::new("/dev/zero"), limit).is_err());
        assert!(read_limited(&std::env::temp_dir(), limit).is_err());
    }

    #[test]
    fn labels_survive_as_one_word() {
        for label in ["", "plain", "two words # not a comment", "100% \u{fc}ber\nline"] {
            let word = escape(label);
            assert!(!word.contains(char::is_whitespace) && !word.contains('#'));
            assert_eq!(unescape(&word).as_deref(), Some(label));
        }
        assert_eq!(unescape("%zz"), None);
        assert_eq!(unescape("%4"), None);
    }
}
