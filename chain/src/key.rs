//! Private and public keys and signatures: ECDSA on secp256k1, low-S only.

use std::cell::RefCell;
use std::fmt;
use std::io::{Error, ErrorKind, Read, Write};
use std::sync::LazyLock;

use borsh::{BorshDeserialize, BorshSerialize};
use secp256k1::ecdsa::{self, RecoverableSignature, RecoveryId};
use secp256k1::{All, Message, Secp256k1};

use crate::hash::hash160;
use crate::lock::KeyHash;

/// What signs and verifies, made once: against who measures the time or the current that signing takes, its arithmetic on
/// secrets is blinded with entropy of the system.
static CONTEXT: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Keys that each thread remembers the points of: finding y for an x is a tenth of verifying a signature, and few keys
/// sign most of what a chain holds.
const KNOWN_POINTS: usize = 64;

thread_local! {
    /// Keys and their points, each where the last byte of its x says.
    static POINTS: RefCell<[Option<(PublicKey, secp256k1::PublicKey)>; KNOWN_POINTS]> =
        const { RefCell::new([None; KNOWN_POINTS]) };
}

/// Bytes that are no key or no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a number between 1 and the order of the curve.
    #[error("not a valid private key")]
    Private,
    /// Not a compressed point of the curve.
    #[error("not a valid compressed public key")]
    Public,
    /// Does not verify, or is not low-S.
    #[error("signature does not verify")]
    Signature,
}

/// A private key. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(secp256k1::SecretKey);

impl PrivateKey {
    /// Takes 32 bytes of a secret (for a new key: of good entropy).
    ///
    /// # Errors
    /// [`KeyError::Private`] if the number is 0 or not below the curve's order.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<PrivateKey, KeyError> {
        secp256k1::SecretKey::from_byte_array(bytes).map(PrivateKey).map_err(|_| KeyError::Private)
    }

    /// The 32 secret bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.secret_bytes()
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key(&CONTEXT).serialize())
    }

    /// Signs a 32-byte digest.
    #[must_use]
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        Signature(CONTEXT.sign_ecdsa(Message::from_digest(*digest), &self.0).serialize_compact())
    }

    /// Signs a 32-byte digest so that the public key can be recovered from the signature.
    #[must_use]
    pub fn sign_recoverable(&self, digest: &[u8; 32]) -> RecoverableBytes {
        let signature = CONTEXT.sign_ecdsa_recoverable(Message::from_digest(*digest), &self.0);
        let (recovery, compact) = signature.serialize_compact();
        let [id, ..] = i32::from(recovery).to_le_bytes();
        let mut bytes = [id; 65];
        let (_, rest) = bytes.split_at_mut(1);
        rest.copy_from_slice(&compact);
        RecoverableBytes(bytes)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// A compressed public key: 33 bytes. That it is a point of the curve is checked when it verifies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct PublicKey(pub [u8; 33]);

impl PublicKey {
    /// Takes the 33 bytes of a compressed key and checks that they are a point.
    ///
    /// # Errors
    /// [`KeyError::Public`] otherwise.
    pub fn from_slice(bytes: &[u8]) -> Result<PublicKey, KeyError> {
        let compressed: [u8; 33] = bytes.try_into().map_err(|_| KeyError::Public)?;
        secp256k1::PublicKey::from_byte_array_compressed(compressed).map_err(|_| KeyError::Public)?;
        Ok(PublicKey(compressed))
    }

    /// The hash that locks and addresses name this key by.
    #[must_use]
    pub fn key_hash(&self) -> KeyHash {
        KeyHash(hash160(&self.0))
    }

    /// Verifies a signature over a digest.
    ///
    /// # Errors
    /// [`KeyError`] if the key is no point, or the signature is wrong or not low-S.
    pub fn verify(&self, digest: &[u8; 32], signature: &Signature) -> Result<(), KeyError> {
        let key = self.point()?;
        let signature = ecdsa::Signature::from_compact(&signature.0).map_err(|_| KeyError::Signature)?;
        CONTEXT.verify_ecdsa(Message::from_digest(*digest), &signature, &key).map_err(|_| KeyError::Signature)
    }

    /// The point of a compressed key.
    fn point(&self) -> Result<secp256k1::PublicKey, KeyError> {
        let [.., last] = self.0;
        POINTS.with_borrow_mut(|points| {
            let place = points.get_mut(usize::from(last) % KNOWN_POINTS).ok_or(KeyError::Public)?;
            if let Some((_, point)) = place.filter(|(key, _)| key == self) {
                return Ok(point);
            }
            let point = secp256k1::PublicKey::from_byte_array_compressed(self.0).map_err(|_| KeyError::Public)?;
            *place = Some((*self, point));
            Ok(point)
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// An ECDSA signature: r and s, 32 bytes each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A signature that gives its public key: recovery id (0 to 3), r, s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecoverableBytes(pub [u8; 65]);

impl RecoverableBytes {
    /// The public key that made this signature over the digest.
    ///
    /// # Errors
    /// [`KeyError::Signature`] if there is none, the recovery id is above 3, or s is high.
    pub fn recover(&self, digest: &[u8; 32]) -> Result<PublicKey, KeyError> {
        let (first, compact) = self.0.split_at(1);
        let id = first.first().copied().map_or(4, i32::from);
        let id = RecoveryId::try_from(id).map_err(|_| KeyError::Signature)?;
        let signature = RecoverableSignature::from_compact(compact, id).map_err(|_| KeyError::Signature)?;
        let mut normal = signature.to_standard();
        normal.normalize_s();
        if normal != signature.to_standard() {
            return Err(KeyError::Signature);
        }
        let key = CONTEXT.recover_ecdsa(Message::from_digest(*digest), &signature).map_err(|_| KeyError::Signature)?;
        Ok(PublicKey(key.serialize()))
    }
}

impl fmt::Debug for RecoverableBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

macro_rules! fixed_bytes {
    ($name:ident, $length:literal) => {
        impl BorshSerialize for $name {
            fn serialize<W: Write>(&self, writer: &mut W) -> Result<(), Error> {
                writer.write_all(&self.0)
            }
        }

        impl BorshDeserialize for $name {
            fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self, Error> {
                let mut bytes = [0; $length];
                reader.read_exact(&mut bytes).map_err(|_| Error::new(ErrorKind::UnexpectedEof, "input ends early"))?;
                Ok($name(bytes))
            }
        }
    };
}
fixed_bytes!(Signature, 64);
fixed_bytes!(RecoverableBytes, 65);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_bytes([seed; 32]).unwrap()
    }

    #[test]
    fn a_signature_verifies_under_its_key_and_digest_alone() {
        let signature = key(1).sign(&[7; 32]);
        assert_eq!(key(1).public_key().verify(&[7; 32], &signature), Ok(()));
        assert!(key(2).public_key().verify(&[7; 32], &signature).is_err());
        assert!(key(1).public_key().verify(&[8; 32], &signature).is_err());
    }

    #[test]
    fn recovery_gives_the_key_that_signed() {
        let signature = key(3).sign_recoverable(&[9; 32]);
        assert_eq!(signature.recover(&[9; 32]), Ok(key(3).public_key()));
        assert_ne!(signature.recover(&[10; 32]), Ok(key(3).public_key()));
    }

    #[test]
    fn more_keys_than_are_remembered_verify_each_with_its_own() {
        let signed: Vec<_> = (1..=200).map(|seed| (key(seed).public_key(), key(seed).sign(&[seed; 32]))).collect();
        for _ in 0..2 {
            for (seed, (public, signature)) in (1..=200).zip(&signed) {
                assert_eq!(public.verify(&[seed; 32], signature), Ok(()));
                let mut other = *public;
                // The other point of the same x has the same place.
                other.0[0] ^= 1;
                assert_eq!(other.verify(&[seed; 32], signature), Err(KeyError::Signature));
                assert_eq!(public.verify(&[seed; 32], signature), Ok(()));
            }
        }
        let mut no_point = PublicKey([0; 33]);
        (no_point.0[0], no_point.0[32]) = (2, 5);
        for _ in 0..2 {
            assert_eq!(no_point.verify(&[1; 32], &key(1).sign(&[1; 32])), Err(KeyError::Public));
        }
    }

    #[test]
    fn a_high_s_variant_is_refused() {
        // s' = order - s is the other valid root in plain ECDSA; both forms must refuse it.
        const ORDER: [u8; 32] = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae,
            0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
        ];
        fn negate(s: &mut [u8]) {
            let mut borrow = 0i32;
            for (byte, order) in s.iter_mut().rev().zip(ORDER.iter().rev()) {
                let mut difference = i32::from(*order) - i32::from(*byte) - borrow;
                borrow = i32::from(difference < 0);
                difference += 256 * borrow;
                *byte = u8::try_from(difference).unwrap();
            }
        }
        let mut plain = key(1).sign(&[7; 32]);
        negate(&mut plain.0[32..]);
        assert!(key(1).public_key().verify(&[7; 32], &plain).is_err());
        let mut recoverable = key(1).sign_recoverable(&[7; 32]);
        negate(&mut recoverable.0[33..]);
        recoverable.0[0] ^= 1;
        assert_eq!(recoverable.recover(&[7; 32]), Err(KeyError::Signature));
    }

    #[test]
    fn zero_and_the_order_are_no_private_keys() {
        assert_eq!(PrivateKey::from_bytes([0; 32]).err(), Some(KeyError::Private));
        assert_eq!(PrivateKey::from_bytes([0xff; 32]).err(), Some(KeyError::Private));
    }
}
