//! Encryption of secrets: scrypt makes a key of the passphrase, which seals a random master key, which seals each
//! private key with XChaCha20-Poly1305. Only bytes here; what is kept where is the record's and the wallet's.

use std::fmt;
use std::io::{Error, Read, Write};

use borsh::{BorshDeserialize, BorshSerialize};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::{Zeroize, Zeroizing};

use crate::error::WalletError;

/// Most bytes of a passphrase: more than anybody types, little enough to hash at once.
pub const MAX_PASSPHRASE: usize = 1_024;
/// scrypt costs of a new passphrase: 32 MB and about a quarter of a second, the advised 2^15, 8, 3.
const LOG_N: u8 = 15;
const R: u32 = 8;
const P: u32 = 3;
/// Largest costs that a file may ask for: 1 GB of memory, so that a forged file does not exhaust the host.
const MAX_LOG_N: u8 = 20;
/// As [`MAX_LOG_N`]; with it r gives 128 * r * 2^20 bytes.
const MAX_R: u32 = 8;
/// As [`MAX_LOG_N`]: time only.
const MAX_P: u32 = 16;

const MASTER: &[u8] = b"rota/wallet/master";
const SECRET: &[u8] = b"rota/wallet/secret";

/// 32 secret bytes: wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes over secret bytes.
    pub fn new(bytes: [u8; 32]) -> Secret {
        Secret(Zeroizing::new(bytes))
    }

    /// Fresh random bytes of the operating system.
    ///
    /// # Errors
    /// [`WalletError::Randomness`] if there are none.
    pub fn random() -> Result<Secret, WalletError> {
        let mut secret = Secret::new([0; 32]);
        fill_random(&mut *secret.0)?;
        Ok(secret)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl BorshSerialize for Secret {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<(), Error> {
        writer.write_all(self.bytes())
    }
}

impl BorshDeserialize for Secret {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Secret, Error> {
        let mut secret = Secret::new([0; 32]);
        reader.read_exact(&mut *secret.0)?;
        Ok(secret)
    }
}

/// Sealed bytes of a secret: 32 and a 16-byte tag, under a random nonce.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Sealed {
    nonce: [u8; 24],
    text: [u8; 48],
}

/// How the passphrase opens the master key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Encryption {
    log_n: u8,
    r: u32,
    p: u32,
    salt: [u8; 32],
    master: Sealed,
}

impl Encryption {
    /// Seals a master key under a passphrase. Takes about a quarter of a second.
    ///
    /// # Errors
    /// [`WalletError::Passphrase`] if the passphrase is empty or too long, or no random bytes.
    pub fn seal(passphrase: &str, master: &Secret) -> Result<Encryption, WalletError> {
        let mut salt = [0; 32];
        fill_random(&mut salt)?;
        let key = stretch(passphrase, &salt, (LOG_N, R, P))?;
        let master = seal(&key, master, MASTER)?;
        Ok(Encryption { log_n: LOG_N, r: R, p: P, salt, master })
    }

    /// Opens the master key. Takes about a quarter of a second.
    ///
    /// # Errors
    /// [`WalletError::WrongPassphrase`] if it does not open.
    pub fn open(&self, passphrase: &str) -> Result<Secret, WalletError> {
        let key = stretch(passphrase, &self.salt, (self.log_n, self.r, self.p))?;
        open(&key, &self.master, MASTER).ok_or(WalletError::WrongPassphrase)
    }

    /// Whether the costs are within what is computed.
    pub fn is_sound(&self) -> bool {
        self.log_n <= MAX_LOG_N && (1..=MAX_R).contains(&self.r) && (1..=MAX_P).contains(&self.p)
    }
}

/// Seals a private key under the master key; `owner` is bound into it.
///
/// # Errors
/// [`WalletError::Randomness`].
pub fn seal_secret(master: &Secret, secret: &Secret, owner: &[u8]) -> Result<Sealed, WalletError> {
    seal(master, secret, &[SECRET, owner].concat())
}

/// Opens a sealed private key; none if it is not of this master key and owner.
pub fn open_secret(master: &Secret, sealed: &Sealed, owner: &[u8]) -> Option<Secret> {
    open(master, sealed, &[SECRET, owner].concat())
}

/// Fills a buffer with random bytes of the operating system.
fn fill_random(bytes: &mut [u8]) -> Result<(), WalletError> {
    SysRng.try_fill_bytes(bytes).map_err(|error| WalletError::Randomness(error.to_string()))
}

fn stretch(passphrase: &str, salt: &[u8; 32], (log_n, r, p): (u8, u32, u32)) -> Result<Secret, WalletError> {
    if passphrase.is_empty() || passphrase.len() > MAX_PASSPHRASE {
        return Err(WalletError::Passphrase(passphrase.len()));
    }
    let params = scrypt::Params::new(log_n, r, p).map_err(|_| WalletError::WrongPassphrase)?;
    let mut key = Secret::new([0; 32]);
    scrypt::scrypt(passphrase.as_bytes(), salt, &params, &mut *key.0).map_err(|_| WalletError::WrongPassphrase)?;
    Ok(key)
}

fn seal(key: &Secret, secret: &Secret, context: &[u8]) -> Result<Sealed, WalletError> {
    let mut nonce = [0; 24];
    fill_random(&mut nonce)?;
    let payload = Payload { msg: secret.bytes(), aad: context };
    let sealed = XChaCha20Poly1305::new(key.bytes().into()).encrypt((&nonce).into(), payload);
    let text = sealed.ok().and_then(|text| text.try_into().ok());
    let text = text.expect("32 bytes are within what the cipher seals, and give 48");
    Ok(Sealed { nonce, text })
}

fn open(key: &Secret, sealed: &Sealed, context: &[u8]) -> Option<Secret> {
    let payload = Payload { msg: &sealed.text, aad: context };
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let mut plain = cipher.decrypt((&sealed.nonce).into(), payload).ok()?;
    let secret = <[u8; 32]>::try_from(plain.as_slice()).ok().map(Secret::new);
    plain.zeroize();
    secret
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_sealed_secret_opens_under_its_master_key_and_owner_alone() {
        let (master, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        let secret = Secret::new([7; 32]);
        let sealed = seal_secret(&master, &secret, b"a").unwrap();
        assert_eq!(open_secret(&master, &sealed, b"a"), Some(secret.clone()));
        assert_eq!(open_secret(&master, &sealed, b"b"), None);
        assert_eq!(open_secret(&other, &sealed, b"a"), None);
        assert_ne!(seal_secret(&master, &secret, b"a").unwrap(), sealed);
    }

    #[test]
    fn a_master_key_opens_with_its_passphrase_alone() {
        let master = Secret::random().unwrap();
        let encryption = Encryption::seal("open sesame", &master).unwrap();
        assert!(encryption.is_sound());
        assert_eq!(encryption.open("open sesame").unwrap(), master);
        assert!(matches!(encryption.open("open"), Err(WalletError::WrongPassphrase)));
        assert!(matches!(encryption.open(""), Err(WalletError::Passphrase(0))));
    }

    #[test]
    fn costs_beyond_the_limit_are_not_computed() {
        let mut encryption = Encryption::seal("x", &Secret::new([1; 32])).unwrap();
        encryption.log_n = MAX_LOG_N + 1;
        assert!(!encryption.is_sound());
    }
}
