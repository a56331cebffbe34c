//! A user of JSON-RPC whose password is kept as a salted hash: the `rpcauth` line, `NAME:SALT$HMAC`, as Bitcoin's
//! tools write it. Whether a password is right is compared in the node.

use std::fmt;

use rand::{Rng, RngExt};
use rota_chain::hash::hmac_sha256;

/// Longest name of a user and longest salt, in bytes: what fits on a line that a person reads.
pub const NAME_MAX: usize = 128;
/// Bytes of entropy of a new salt.
const SALT_BYTES: usize = 16;
/// Bytes of entropy of a new password: more than can be guessed, so that a fast hash protects it.
const PASSWORD_BYTES: usize = 24;

/// Why a line is no user.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CredentialError {
    /// The name.
    #[error("the name of a user has 1 to {NAME_MAX} bytes and no colon; in rpcauth no blank, # and $ either")]
    Name,
    /// The salt.
    #[error("after the name and a colon there is a salt of 1 to {NAME_MAX} characters, then $")]
    Salt,
    /// The hash.
    #[error("after $ there are the 64 hexadecimal digits of the password's HMAC-SHA256, got {0} characters")]
    Digest(usize),
}

/// The user of an `rpcauth` line.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    user: String,
    salt: String,
    digest: [u8; 32],
}

impl Credential {
    /// Salts a password. The name may be one that an `rpcauth` line cannot hold.
    ///
    /// # Errors
    /// [`CredentialError::Name`].
    pub fn make(user: &str, password: &[u8], entropy: &mut impl Rng) -> Result<Self, CredentialError> {
        let salt = hex::encode(entropy.random::<[u8; SALT_BYTES]>());
        let digest = hmac_sha256(salt.as_bytes(), password);
        check_name(user, &[':']).map(|()| Self { user: user.to_owned(), salt, digest })
    }

    /// Reads a line's value.
    ///
    /// # Errors
    /// [`CredentialError`]; it does not repeat the value.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        let (user, rest) = text.split_once(':').ok_or(CredentialError::Name)?;
        check_name(user, &[':', ' ', '#', '$'])?;
        let (salt, digest) = rest.split_once('$').ok_or(CredentialError::Salt)?;
        if salt.is_empty() || salt.len() > NAME_MAX {
            return Err(CredentialError::Salt);
        }
        let bad = || CredentialError::Digest(digest.chars().count());
        let digest = hex::decode(digest).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(bad)?;
        Ok(Self { user: user.to_owned(), salt: salt.to_owned(), digest })
    }

    /// The name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What the right password hashes to.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What a password hashes to with the salt of this user.
    pub fn digest_of(&self, password: &[u8]) -> [u8; 32] {
        hmac_sha256(self.salt.as_bytes(), password)
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}${}", self.user, self.salt, hex::encode(self.digest))
    }
}

impl fmt::Debug for Credential {
    /// Shows the name alone: a hash can be guessed at.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A password that nobody guesses.
pub fn new_password(entropy: &mut impl Rng) -> String {
    bs58::encode(entropy.random::<[u8; PASSWORD_BYTES]>()).into_string()
}

fn check_name(name: &str, barred: &[char]) -> Result<(), CredentialError> {
    match name.is_empty() || name.len() > NAME_MAX || name.contains(char::is_control) || name.contains(barred) {
        true => Err(CredentialError::Name),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use super::{Credential, CredentialError, NAME_MAX};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_salted_line_that_python_made_knows_its_password_and_no_other() {
        // hmac.new(b"f7efda5c189b999524f151318c0c86d5", b"correct horse", "sha256").hexdigest()
        let line =
            "alice:f7efda5c189b999524f151318c0c86d5$40fc59acc8e888b0229ba6829485a69b547afa7686adee5bbfdfddefe056db65";
        let credential = Credential::parse(line).unwrap();
        assert_eq!((credential.user(), credential.to_string().as_str()), ("alice", line));
        assert_eq!(&credential.digest_of(b"correct horse"), credential.digest());
        for wrong in ["", "correct hors", "correct horse ", "Correct horse"] {
            assert_ne!(&credential.digest_of(wrong.as_bytes()), credential.digest(), "{wrong}");
        }
    }

    #[test]
    fn what_is_made_is_read_again_and_two_of_one_password_differ() {
        let mut entropy = StdRng::seed_from_u64(1);
        let one = Credential::make("bob", b"secret", &mut entropy).unwrap();
        let two = Credential::make("bob", b"secret", &mut entropy).unwrap();
        assert_ne!(one, two);
        assert_eq!(Credential::parse(&one.to_string()), Ok(one));
    }

    #[test]
    fn a_wrong_line_is_refused_with_what_belongs_there() {
        let digest = "0".repeat(64);
        for name in ["", "a b", "a#b", "a$b", "a\u{7}", &"n".repeat(NAME_MAX + 1)] {
            assert_eq!(Credential::parse(&format!("{name}:aa${digest}")), Err(CredentialError::Name), "{name}");
        }
        assert!(Credential::parse(&format!("{}:aa${digest}", "n".repeat(NAME_MAX))).is_ok());
        assert_eq!(Credential::parse("alice"), Err(CredentialError::Name));
        for salt in ["alice:aa".to_owned(), format!("alice:${digest}"), format!("alice:{}${digest}", "s".repeat(129))] {
            assert_eq!(Credential::parse(&salt), Err(CredentialError::Salt), "{salt}");
        }
        assert_eq!(Credential::parse("alice:aa$00"), Err(CredentialError::Digest(2)));
        assert_eq!(Credential::parse(&format!("alice:aa$g{}", &digest[1..])), Err(CredentialError::Digest(64)));
    }
}
