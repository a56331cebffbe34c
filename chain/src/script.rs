//! The three standard scripts, for fields of the API that show them and for multisignature locks. None is run.

use crate::key::PublicKey;
use crate::lock::{KeyHash, Lock, ScriptHash};
use crate::witness::{MAX_MULTISIG_KEYS, MultisigKeys};

const OP_DUP: u8 = 0x76;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_HASH160: u8 = 0xa9;
const OP_CHECKSIG: u8 = 0xac;
const OP_CHECKMULTISIG: u8 = 0xae;
const OP_RETURN: u8 = 0x6a;
const OP_BASE: u8 = 0x50;
const PUSH_20: u8 = 0x14;
const PUSH_33: u8 = 0x21;

/// The script that pays to a lock.
#[must_use]
pub fn payment_script(lock: &Lock) -> Vec<u8> {
    match lock {
        Lock::Key(KeyHash(hash)) => [&[OP_DUP, OP_HASH160, PUSH_20][..], hash, &[OP_EQUALVERIFY, OP_CHECKSIG]].concat(),
        Lock::Multisig(ScriptHash(hash)) => [&[OP_HASH160, PUSH_20][..], hash, &[OP_EQUAL]].concat(),
    }
}

/// The words of [`payment_script`].
#[must_use]
pub fn payment_words(lock: &Lock) -> String {
    match lock {
        Lock::Key(KeyHash(hash)) => {
            format!("OP_DUP OP_HASH160 {} OP_EQUALVERIFY OP_CHECKSIG", hex::encode(hash))
        }
        Lock::Multisig(ScriptHash(hash)) => format!("OP_HASH160 {} OP_EQUAL", hex::encode(hash)),
    }
}

/// The script shown for an output without recipient.
#[must_use]
pub fn data_script() -> Vec<u8> {
    vec![OP_RETURN]
}

/// The standard redeem script of m of n keys.
#[must_use]
pub fn redeem_script(keys: &MultisigKeys) -> Vec<u8> {
    let count = u8::try_from(keys.keys.len()).unwrap_or(u8::MAX);
    let mut script = vec![OP_BASE.saturating_add(keys.required)];
    for key in &keys.keys {
        script.push(PUSH_33);
        script.extend_from_slice(&key.0);
    }
    script.push(OP_BASE.saturating_add(count));
    script.push(OP_CHECKMULTISIG);
    script
}

/// Reads a redeem script of m of n compressed keys; none if it is anything else.
#[must_use]
pub fn read_redeem_script(script: &[u8]) -> Option<MultisigKeys> {
    let (required, rest) = script.split_first()?;
    let (last, rest) = rest.split_last()?;
    let (count, body) = rest.split_last()?;
    let required = required.checked_sub(OP_BASE)?;
    let count = count.checked_sub(OP_BASE)?;
    if *last != OP_CHECKMULTISIG || u32::from(count) > MAX_MULTISIG_KEYS {
        return None;
    }
    let mut keys = Vec::with_capacity(usize::from(count));
    for entry in body.chunks(34) {
        let (push, key) = entry.split_first()?;
        if *push != PUSH_33 {
            return None;
        }
        keys.push(PublicKey::from_slice(key).ok()?);
    }
    let keys = MultisigKeys { required, keys };
    (keys.is_sound() && keys.keys.len() == usize::from(count)).then_some(keys)
}

/// Reads a payment script; none if it is anything else.
#[must_use]
pub fn read_payment_script(script: &[u8]) -> Option<Lock> {
    let hash = |bytes: &[u8]| bytes.try_into().ok();
    match script {
        [OP_DUP, OP_HASH160, PUSH_20, middle @ .., OP_EQUALVERIFY, OP_CHECKSIG] => {
            hash(middle).map(|hash| Lock::Key(KeyHash(hash)))
        }
        [OP_HASH160, PUSH_20, middle @ .., OP_EQUAL] => hash(middle).map(|hash| Lock::Multisig(ScriptHash(hash))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::key::PrivateKey;

    fn keys(required: u8, count: u8) -> MultisigKeys {
        let keys = (1..=count).map(|seed| PrivateKey::from_bytes([seed; 32]).unwrap().public_key()).collect();
        MultisigKeys { required, keys }
    }

    #[test]
    fn redeem_scripts_round_trip() {
        for (required, count) in [(1, 1), (2, 3), (16, 16)] {
            let keys = keys(required, count);
            assert_eq!(read_redeem_script(&redeem_script(&keys)), Some(keys));
        }
        assert_eq!(read_redeem_script(&redeem_script(&keys(3, 2))), None);
        assert_eq!(read_redeem_script(&[]), None);
    }

    #[test]
    fn payment_scripts_round_trip() {
        for lock in [Lock::Key(KeyHash([3; 20])), Lock::Multisig(ScriptHash([4; 20]))] {
            assert_eq!(read_payment_script(&payment_script(&lock)), Some(lock));
        }
        assert_eq!(read_payment_script(&[OP_RETURN]), None);
    }
}
