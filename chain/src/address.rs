//! Addresses and private keys as text: the scheme of docs/protocol/address.md, with each chain's own versions.

use crate::hash::sha256d;
use crate::key::{KeyError, PrivateKey};
use crate::lock::{KeyHash, Lock, ScriptHash};

/// Longest text accepted as an address or key: a 33-byte payload with 4 + 4 bytes takes at most 57 characters.
pub const MAX_ADDRESS_TEXT: usize = 64;

/// Text that is no address or key of this chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Characters outside base58, or too long.
    #[error("not base58 text of at most {MAX_ADDRESS_TEXT} characters")]
    Text,
    /// The payload has a length no address or key has.
    #[error("wrong length")]
    Length,
    /// The checksum differs: mistyped, or of another chain.
    #[error("wrong checksum: mistyped, or of another chain")]
    Checksum,
    /// The version bytes are not this chain's.
    #[error("the version is not of this chain")]
    Version,
    /// The secret is no private key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// How one chain writes addresses: its version bytes and checksum mask (parameters of the chain).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressScheme {
    /// Version bytes of key-hash addresses, 1 to 4.
    pub pubkeyhash_version: Vec<u8>,
    /// Version bytes of multisignature addresses, as many.
    pub scripthash_version: Vec<u8>,
    /// Version bytes of private keys, as many.
    pub private_key_version: Vec<u8>,
    /// Mask of the checksum.
    pub checksum: [u8; 4],
}

impl AddressScheme {
    /// The address of a lock.
    #[must_use]
    pub fn encode(&self, lock: &Lock) -> String {
        match lock {
            Lock::Key(hash) => self.encode_key_hash(hash),
            Lock::Multisig(hash) => self.write(&self.scripthash_version, &hash.0),
        }
    }

    /// The address of a key hash.
    #[must_use]
    pub fn encode_key_hash(&self, hash: &KeyHash) -> String {
        self.write(&self.pubkeyhash_version, &hash.0)
    }

    /// The lock an address stands for.
    ///
    /// # Errors
    /// [`AddressError`] if the text is no address of this chain.
    pub fn decode(&self, text: &str) -> Result<Lock, AddressError> {
        let (version, payload) = self.read(text, self.pubkeyhash_version.len())?;
        let hash: [u8; 20] = payload.try_into().map_err(|_| AddressError::Length)?;
        if version == self.pubkeyhash_version {
            Ok(Lock::Key(KeyHash(hash)))
        } else if version == self.scripthash_version {
            Ok(Lock::Multisig(ScriptHash(hash)))
        } else {
            Err(AddressError::Version)
        }
    }

    /// A private key as text.
    #[must_use]
    pub fn encode_private_key(&self, key: &PrivateKey) -> String {
        let mut payload = key.to_bytes().to_vec();
        payload.push(1);
        self.write(&self.private_key_version, &payload)
    }

    /// The private key a text stands for.
    ///
    /// # Errors
    /// [`AddressError`] if the text is no private key of this chain.
    pub fn decode_private_key(&self, text: &str) -> Result<PrivateKey, AddressError> {
        let (version, payload) = self.read(text, self.private_key_version.len())?;
        if version != self.private_key_version {
            return Err(AddressError::Version);
        }
        let (secret, marker) = payload.split_at_checked(32).ok_or(AddressError::Length)?;
        if marker != [1] {
            return Err(AddressError::Length);
        }
        let secret: [u8; 32] = secret.try_into().map_err(|_| AddressError::Length)?;
        Ok(PrivateKey::from_bytes(secret)?)
    }

    /// A text shaped like an address whose payload nobody has the key of: its own characters were chosen.
    #[must_use]
    pub fn burn_address(&self) -> String {
        let first = self.encode_key_hash(&KeyHash([0; 20])).chars().next().unwrap_or('1');
        let mut wanted = String::from(first);
        wanted.push_str(&"X".repeat(37));
        let bytes = bs58::decode(&wanted).into_vec().unwrap_or_default();
        let version = &self.pubkeyhash_version;
        let skip = version.len().max(1);
        let payload: Vec<u8> = bytes.iter().skip(skip).chain(std::iter::repeat(&0x58)).take(20).copied().collect();
        self.write(version, &payload)
    }

    fn write(&self, version: &[u8], payload: &[u8]) -> String {
        let slice = payload.len().checked_div(version.len()).unwrap_or(0);
        let mut bytes = Vec::with_capacity(payload.len().saturating_add(8));
        let mut rest = payload;
        for (index, byte) in version.iter().enumerate() {
            bytes.push(*byte);
            let last = index.saturating_add(1) == version.len();
            let (head, tail) = if last { (rest, &[][..]) } else { rest.split_at_checked(slice).unwrap_or((rest, &[])) };
            bytes.extend_from_slice(head);
            rest = tail;
        }
        let checksum = self.checksum_of(&bytes);
        bytes.extend_from_slice(&checksum);
        bs58::encode(bytes).into_string()
    }

    fn read(&self, text: &str, version_length: usize) -> Result<(Vec<u8>, Vec<u8>), AddressError> {
        if text.len() > MAX_ADDRESS_TEXT {
            return Err(AddressError::Text);
        }
        let bytes = bs58::decode(text).into_vec().map_err(|_| AddressError::Text)?;
        let body = bytes.len().checked_sub(4).ok_or(AddressError::Length)?;
        let (body, checksum) = bytes.split_at_checked(body).ok_or(AddressError::Length)?;
        if checksum != self.checksum_of(body) {
            return Err(AddressError::Checksum);
        }
        let payload_length = body.len().checked_sub(version_length).ok_or(AddressError::Length)?;
        let slice = payload_length.checked_div(version_length).ok_or(AddressError::Version)?;
        let (mut version, mut payload, mut rest) = (Vec::new(), Vec::new(), body);
        for index in 0..version_length {
            let (byte, tail) = rest.split_first().ok_or(AddressError::Length)?;
            version.push(*byte);
            let take = if index.saturating_add(1) == version_length { tail.len() } else { slice };
            let (head, tail) = tail.split_at_checked(take).ok_or(AddressError::Length)?;
            payload.extend_from_slice(head);
            rest = tail;
        }
        Ok((version, payload))
    }

    fn checksum_of(&self, bytes: &[u8]) -> [u8; 4] {
        let hash = sha256d(bytes);
        let mut checksum = [0; 4];
        for ((out, byte), mask) in checksum.iter_mut().zip(hash).zip(self.checksum) {
            *out = byte ^ mask;
        }
        checksum
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::key::PublicKey;

    fn scheme(prefix: &str, checksum: &str) -> AddressScheme {
        AddressScheme {
            pubkeyhash_version: hex::decode(prefix).unwrap(),
            scripthash_version: hex::decode("05112233").unwrap(),
            private_key_version: hex::decode("80112233").unwrap(),
            checksum: hex::decode(checksum).unwrap().try_into().unwrap(),
        }
    }

    #[test]
    fn published_vectors_hold() {
        let key = hex::decode("0284E5235E299AF81EBE1653AC5F06B60E13A3A81F918018CBD10CE695095B3E24").unwrap();
        let key = PublicKey::from_slice(&key).unwrap();
        assert_eq!(hex::encode(key.key_hash().0), "ec00b99365a09b6e26c732378cd0c6257f7012bc");
        let vendor = scheme("00AFEA21", "953ABC69");
        assert_eq!(vendor.encode_key_hash(&key.key_hash()), "1Yu2BuptuZSiBWfr2Qy4aic6qEVnwPWrdkHPEc");
        let counting: [u8; 20] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let ours = scheme("00112233", "a1b2c3d4");
        let text = ours.encode_key_hash(&KeyHash(counting));
        assert_eq!(text, "112npUZw8qvYWgWUPsxtNJynwMjD97pKvojpw");
        assert_eq!(ours.decode(&text), Ok(Lock::Key(KeyHash(counting))));
        let secret: [u8; 32] = std::array::from_fn(|i| u8::try_from(i + 1).unwrap());
        let private = PrivateKey::from_bytes(secret).unwrap();
        let text = ours.encode_private_key(&private);
        assert_eq!(text, "V5D9o73BFkigfMfoSddoEvBP7AMbPYjLgRPwNnyBgKgaUS5nLybEuTaE");
        assert_eq!(ours.decode_private_key(&text).unwrap(), private);
        let mut single = scheme("00", "00000000");
        single.scripthash_version = vec![5];
        single.private_key_version = vec![0x80];
        let payload: [u8; 20] = hex::decode("751e76e8199196d454941c45d1b3a323f1433bd6").unwrap().try_into().unwrap();
        assert_eq!(single.encode_key_hash(&KeyHash(payload)), "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH");
    }

    #[test]
    fn another_chain_and_a_typing_error_are_refused() {
        let ours = scheme("00112233", "a1b2c3d4");
        let theirs = scheme("00112233", "a1b2c3d5");
        let text = theirs.encode_key_hash(&KeyHash([7; 20]));
        assert_eq!(ours.decode(&text), Err(AddressError::Checksum));
        let other = scheme("00112234", "a1b2c3d4").encode_key_hash(&KeyHash([7; 20]));
        assert_eq!(ours.decode(&other), Err(AddressError::Version));
        assert_eq!(ours.decode("0OIl"), Err(AddressError::Text));
        assert_eq!(ours.decode(&"1".repeat(65)), Err(AddressError::Text));
        assert_eq!(ours.decode(""), Err(AddressError::Length));
    }

    #[test]
    fn the_burn_address_is_an_address_of_the_chain() {
        let ours = scheme("00112233", "a1b2c3d4");
        assert!(matches!(ours.decode(&ours.burn_address()), Ok(Lock::Key(_))));
        assert!(ours.burn_address().starts_with('1'));
    }

    #[test]
    fn multisig_addresses_are_told_apart() {
        let ours = scheme("00112233", "a1b2c3d4");
        let lock = Lock::Multisig(ScriptHash([9; 20]));
        assert_eq!(ours.decode(&ours.encode(&lock)), Ok(lock));
    }
}
