//! Witnesses: the signatures that answer for a transaction, apart from its body. See docs/protocol/witness.md.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::bounded_list;
use crate::key::{KeyError, PublicKey, Signature};
use crate::lock::{Lock, ScriptHash};
use crate::script::redeem_script;

/// Most keys of a multisignature lock.
pub const MAX_MULTISIG_KEYS: u32 = 16;

/// One signature of a multisignature witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SlotSignature {
    /// Index of the key, from 0.
    pub slot: u8,
    /// Its signature.
    pub signature: Signature,
}

/// m of n keys, as a redeem script names them.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct MultisigKeys {
    /// Signatures needed.
    pub required: u8,
    /// The keys in their order.
    #[borsh(deserialize_with = "bounded_list::<MAX_MULTISIG_KEYS, _, _>")]
    pub keys: Vec<PublicKey>,
}

impl MultisigKeys {
    /// The lock these keys open.
    #[must_use]
    pub fn lock(&self) -> Lock {
        Lock::Multisig(ScriptHash(crate::hash::hash160(&redeem_script(self))))
    }

    /// Whether 1 <= required <= keys <= 16.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let keys = self.keys.len();
        self.required >= 1 && usize::from(self.required) <= keys && keys <= MAX_MULTISIG_KEYS as usize
    }
}

/// What answers for one lock.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Witness {
    /// Nothing yet: in text that travels between signers alone.
    Absent,
    /// The signature of one key.
    Key {
        /// The key.
        key: PublicKey,
        /// Its signature.
        signature: Signature,
    },
    /// Signatures of some of several keys.
    Multisig {
        /// All keys.
        keys: MultisigKeys,
        /// Signatures in ascending slots.
        #[borsh(deserialize_with = "bounded_list::<MAX_MULTISIG_KEYS, _, _>")]
        signatures: Vec<SlotSignature>,
    },
}

/// A witness that does not answer for its lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// Not signed, or by fewer than needed.
    #[error("signatures are missing")]
    Incomplete,
    /// Signed by a key that is not the lock's.
    #[error("the keys are not those of the lock")]
    WrongLock,
    /// More signatures than needed, or not in ascending slots.
    #[error("signatures are surplus or out of order")]
    Form,
    /// A signature does not verify.
    #[error(transparent)]
    Signature(#[from] KeyError),
}

impl Witness {
    /// The lock that the keys carried here open, none while absent.
    #[must_use]
    pub fn lock(&self) -> Option<Lock> {
        match self {
            Witness::Absent => None,
            Witness::Key { key, .. } => Some(Lock::Key(key.key_hash())),
            Witness::Multisig { keys, .. } => Some(keys.lock()),
        }
    }

    /// Checks form and lock, without verifying signatures.
    ///
    /// # Errors
    /// [`WitnessError`] if the witness is not complete, not of this lock, or malformed.
    pub fn check_for(&self, lock: &Lock) -> Result<(), WitnessError> {
        let own = self.lock().ok_or(WitnessError::Incomplete)?;
        if own != *lock {
            return Err(WitnessError::WrongLock);
        }
        let Witness::Multisig { keys, signatures } = self else {
            return Ok(());
        };
        if !keys.is_sound() {
            return Err(WitnessError::Form);
        }
        let ascending = signatures.windows(2).all(|pair| matches!(pair, [a, b] if a.slot < b.slot));
        if !ascending || signatures.iter().any(|s| usize::from(s.slot) >= keys.keys.len()) {
            return Err(WitnessError::Form);
        }
        match signatures.len().cmp(&usize::from(keys.required)) {
            std::cmp::Ordering::Less => Err(WitnessError::Incomplete),
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(WitnessError::Form),
        }
    }

    /// Verifies every signature carried under the key it carries.
    ///
    /// # Errors
    /// [`WitnessError::Signature`] if one does not verify, [`WitnessError::Form`] if a slot has no key.
    pub fn verify(&self, digest: &[u8; 32]) -> Result<(), WitnessError> {
        match self {
            Witness::Absent => Err(WitnessError::Incomplete),
            Witness::Key { key, signature } => Ok(key.verify(digest, signature)?),
            Witness::Multisig { keys, signatures } => {
                for signature in signatures {
                    let key = keys.keys.get(usize::from(signature.slot)).ok_or(WitnessError::Form)?;
                    key.verify(digest, &signature.signature)?;
                }
                Ok(())
            }
        }
    }
}
