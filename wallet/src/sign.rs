//! Signing of transactions: fills the witnesses in their order, keeps those that hold, adds what our keys can.
//! See docs/protocol/witness.md.

use std::collections::{BTreeMap, HashMap, HashSet};

use rota_chain::digest::{full_digest, part_digest};
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::key::{PrivateKey, PublicKey, Signature};
use rota_chain::lock::Lock;
use rota_chain::transaction::{Body, Coverage, OutPoint, Transaction};
use rota_chain::witness::{MultisigKeys, SlotSignature, Witness};

use crate::error::WalletError;
use crate::wallet::{Inner, Wallet};

/// Most witnesses tried for an input covered in part that does not have its own at its place: each try is a
/// signature verified, and 256 of them take 10 ms.
const MAX_TRIES: usize = 256;

/// Whether every witness stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Nothing is missing.
    Complete,
    /// Others must sign too.
    Incomplete {
        /// Locks whose witness is absent or has too few signatures.
        missing: Vec<Lock>,
        /// Coins whose owner is not known.
        unknown: Vec<OutPoint>,
    },
}

impl Completeness {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        *self == Completeness::Complete
    }
}

/// Keys and redeem scripts given along with a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// Private keys.
    pub keys: &'a [PrivateKey],
    /// Keys of multisignature locks.
    pub multisig: &'a [MultisigKeys],
}

impl Wallet {
    /// Signs what keys of the wallet and `extra_keys` can sign. Witnesses that hold are kept, others are dropped;
    /// witnesses of several copies may be given one after the other, and are merged.
    ///
    /// # Errors
    /// [`WalletError::Locked`] if a key of the wallet is needed, it is locked, and no extra keys are given.
    pub fn sign_transaction(
        &self,
        tx: &mut Transaction,
        genesis: &BlockHash,
        coin_owner: impl Fn(OutPoint) -> Option<Lock>,
        extra_keys: &[PrivateKey],
    ) -> Result<Completeness, WalletError> {
        let extra = Extra { keys: extra_keys, multisig: &[] };
        self.sign_with(tx, genesis, coin_owner, extra)
    }

    /// As [`Wallet::sign_transaction`], with redeem scripts too.
    ///
    /// # Errors
    /// As [`Wallet::sign_transaction`].
    pub fn sign_with(
        &self,
        tx: &mut Transaction,
        genesis: &BlockHash,
        coin_owner: impl Fn(OutPoint) -> Option<Lock>,
        extra: Extra<'_>,
    ) -> Result<Completeness, WalletError> {
        let owners = owners(&tx.body, coin_owner);
        let inner = self.read();
        let mut ring = KeyRing::new(Some(&inner), extra);
        let done = ring.sign(tx, genesis, &owners);
        if ring.met_locked && extra.keys.is_empty() && !done.is_complete() {
            return Err(WalletError::Locked);
        }
        Ok(done)
    }
}

/// Signs with the given keys alone.
#[must_use]
pub fn sign_with_keys(
    tx: &mut Transaction,
    genesis: &BlockHash,
    coin_owner: impl Fn(OutPoint) -> Option<Lock>,
    extra: Extra<'_>,
) -> Completeness {
    let owners = owners(&tx.body, coin_owner);
    KeyRing::new(None, extra).sign(tx, genesis, &owners)
}

/// The owner of each input's coin, asked before the wallet is locked for reading.
fn owners(body: &Body, coin_owner: impl Fn(OutPoint) -> Option<Lock>) -> Vec<Option<Lock>> {
    body.inputs.iter().map(|input| coin_owner(input.outpoint)).collect()
}

/// What one witness must answer for.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// The whole body, by this lock.
    Full(Lock),
    /// The whole body, by the unknown owner of this coin.
    FullUnknown(OutPoint),
    /// The input at this index, by its owner if known.
    Part(usize, Option<Lock>),
}

/// The witnesses wanted, in their order.
fn wanted(body: &Body, owners: &[Option<Lock>]) -> Vec<Wanted> {
    let mut list: Vec<Wanted> = body.authors.iter().copied().map(Wanted::Full).collect();
    let mut seen: HashSet<Lock> = body.authors.iter().copied().collect();
    let inputs = || body.inputs.iter().zip(owners).enumerate();
    for (_, (input, owner)) in inputs() {
        match (input.coverage, owner) {
            (Coverage::Part, _) => {}
            (Coverage::Full, None) => list.push(Wanted::FullUnknown(input.outpoint)),
            (Coverage::Full, Some(owner)) => {
                if seen.insert(*owner) {
                    list.push(Wanted::Full(*owner));
                }
            }
        }
    }
    let parts = inputs().filter(|(_, (input, _))| input.coverage == Coverage::Part);
    list.extend(parts.map(|(index, (_, owner))| Wanted::Part(index, *owner)));
    list
}

/// The witnesses a transaction came with, found by lock.
struct Given {
    list: Vec<Witness>,
    by_lock: HashMap<Lock, Vec<usize>>,
}

impl Given {
    fn new(list: Vec<Witness>) -> Given {
        let mut by_lock: HashMap<Lock, Vec<usize>> = HashMap::new();
        for (at, witness) in list.iter().enumerate() {
            if let Some(lock) = witness.lock() {
                by_lock.entry(lock).or_default().push(at);
            }
        }
        Given { list, by_lock }
    }

    /// Witnesses of a lock: the one at `hint` first.
    fn of(&self, lock: &Lock, hint: Option<usize>) -> impl Iterator<Item = &Witness> {
        let places = self.by_lock.get(lock).map_or(&[][..], Vec::as_slice);
        let hint = hint.filter(|hint| places.binary_search(hint).is_ok());
        let rest = places.iter().copied().filter(move |at| Some(*at) != hint);
        let order = hint.into_iter().chain(rest).take(MAX_TRIES);
        order.filter_map(|at| self.list.get(at))
    }
}

/// Keys at hand.
struct KeyRing<'a> {
    wallet: Option<&'a Inner>,
    keys: HashMap<Lock, (PublicKey, &'a PrivateKey)>,
    multisig: &'a [MultisigKeys],
    /// A key of the wallet was needed and is locked.
    met_locked: bool,
}

impl<'a> KeyRing<'a> {
    fn new(wallet: Option<&'a Inner>, extra: Extra<'a>) -> KeyRing<'a> {
        let with_lock = |key: &'a PrivateKey| {
            let public_key = key.public_key();
            (Lock::Key(public_key.key_hash()), (public_key, key))
        };
        KeyRing {
            wallet,
            keys: extra.keys.iter().map(with_lock).collect(),
            multisig: extra.multisig,
            met_locked: false,
        }
    }

    fn sign(&mut self, tx: &mut Transaction, genesis: &BlockHash, owners: &[Option<Lock>]) -> Completeness {
        let txid = tx.txid();
        let given = Given::new(std::mem::take(&mut tx.witnesses));
        let list = wanted(&tx.body, owners);
        let known: HashSet<Lock> = list
            .iter()
            .filter_map(|wanted| match wanted {
                Wanted::Full(lock) => Some(*lock),
                _ => None,
            })
            .collect();
        let any_unknown = list.iter().any(|w| matches!(w, Wanted::FullUnknown(_)));
        let mut strangers =
            if any_unknown { strangers(&given, genesis, &txid, &known).into_iter() } else { Vec::new().into_iter() };
        let first_part = given.list.len().checked_sub(tx.part_inputs());
        let (mut missing, mut unknown, mut parts) = (Vec::new(), Vec::new(), 0_usize);
        for wanted in list {
            let (lock, witness) = match wanted {
                Wanted::Full(lock) => {
                    let digest = full_digest(genesis, &txid, &lock);
                    (Some(lock), self.answer(&lock, &digest, given.of(&lock, None)))
                }
                Wanted::FullUnknown(outpoint) => {
                    unknown.push(outpoint);
                    (None, strangers.next().unwrap_or(Witness::Absent))
                }
                Wanted::Part(index, owner) => {
                    let hint = first_part.and_then(|first| first.checked_add(parts));
                    parts = parts.saturating_add(1);
                    let signer = || part_signer(&given, genesis, &tx.body, index, hint);
                    if owner.is_none() {
                        unknown.extend(tx.body.inputs.get(index).map(|input| input.outpoint));
                    }
                    let lock = owner.or_else(signer);
                    let witness = self.answer_part(&tx.body, genesis, index, lock, &given, hint);
                    (owner, witness)
                }
            };
            if let Some(lock) = lock
                && witness.check_for(&lock).is_err()
            {
                missing.push(lock);
            }
            tx.witnesses.push(witness);
        }
        if missing.is_empty() && unknown.is_empty() {
            Completeness::Complete
        } else {
            Completeness::Incomplete { missing, unknown }
        }
    }

    fn answer_part(
        &mut self,
        body: &Body,
        genesis: &BlockHash,
        index: usize,
        owner: Option<Lock>,
        given: &Given,
        hint: Option<usize>,
    ) -> Witness {
        let digest = |owner: Lock| part_digest(genesis, body, index, &owner).map(|d| (owner, d));
        match owner.and_then(digest) {
            Some((owner, digest)) => self.answer(&owner, &digest, given.of(&owner, hint)),
            None => Witness::Absent,
        }
    }

    /// The witness of a lock over a digest: what holds of `given`, then our own.
    fn answer<'g>(&mut self, lock: &Lock, digest: &[u8; 32], mut given: impl Iterator<Item = &'g Witness>) -> Witness {
        match lock {
            Lock::Key(_) => given
                .find(|witness| witness.verify(digest).is_ok())
                .cloned()
                .or_else(|| {
                    let (key, signature) = self.sign_digest(lock, digest)?;
                    Some(Witness::Key { key, signature })
                })
                .unwrap_or(Witness::Absent),
            Lock::Multisig(_) => self.answer_multisig(lock, digest, given),
        }
    }

    fn answer_multisig<'g>(
        &mut self,
        lock: &Lock,
        digest: &[u8; 32],
        given: impl Iterator<Item = &'g Witness>,
    ) -> Witness {
        let mut keys = self.multisig_keys(lock);
        let mut slots: BTreeMap<u8, Signature> = BTreeMap::new();
        for witness in given {
            let Witness::Multisig { keys: own, signatures } = witness else {
                continue;
            };
            for SlotSignature { slot, signature } in signatures {
                let key = own.keys.get(usize::from(*slot));
                if slots.len() < usize::from(own.required)
                    && !slots.contains_key(slot)
                    && key.is_some_and(|key| key.verify(digest, signature).is_ok())
                {
                    slots.insert(*slot, *signature);
                }
            }
            keys.get_or_insert_with(|| own.clone());
        }
        let Some(keys) = keys.filter(MultisigKeys::is_sound) else {
            return Witness::Absent;
        };
        for (slot, key) in (0u8..).zip(&keys.keys) {
            if slots.len() >= usize::from(keys.required) {
                break;
            }
            if slots.contains_key(&slot) {
                continue;
            }
            if let Some((_, signature)) = self.sign_digest(&Lock::Key(key.key_hash()), digest) {
                slots.insert(slot, signature);
            }
        }
        if slots.is_empty() {
            return Witness::Absent;
        }
        let slot = |(slot, signature)| SlotSignature { slot, signature };
        Witness::Multisig { keys, signatures: slots.into_iter().map(slot).collect() }
    }

    fn sign_digest(&mut self, lock: &Lock, digest: &[u8; 32]) -> Option<(PublicKey, Signature)> {
        if let Some((public_key, key)) = self.keys.get(lock) {
            return Some((*public_key, key.sign(digest)));
        }
        let own = self.wallet?.own_key(lock)?;
        match own.private_key() {
            Ok(key) => Some((own.public_key, key.sign(digest))),
            Err(_) => {
                self.met_locked = true;
                None
            }
        }
    }

    fn multisig_keys(&self, lock: &Lock) -> Option<MultisigKeys> {
        let given = self.multisig.iter().find(|keys| keys.lock() == *lock);
        let known = || self.wallet.and_then(|inner| inner.entry(lock)?.multisig.as_ref());
        given.or_else(known).cloned()
    }
}

/// Witnesses given that hold for the whole body by a lock that is not among the known: they stand for coins whose
/// owner is not known here.
fn strangers(given: &Given, genesis: &BlockHash, txid: &Txid, known: &HashSet<Lock>) -> Vec<Witness> {
    let tries = given.list.iter().take(MAX_TRIES);
    tries
        .filter(|witness| {
            let lock = witness.lock().filter(|lock| !known.contains(lock));
            lock.is_some_and(|lock| witness.verify(&full_digest(genesis, txid, &lock)).is_ok())
        })
        .cloned()
        .collect()
}

/// The lock of a witness given that holds for the input at `index`.
fn part_signer(given: &Given, genesis: &BlockHash, body: &Body, index: usize, hint: Option<usize>) -> Option<Lock> {
    let tries = hint.into_iter().chain(0..given.list.len()).take(MAX_TRIES);
    tries.filter_map(|at| given.list.get(at)).find_map(|witness| {
        let lock = witness.lock()?;
        let digest = part_digest(genesis, body, index, &lock)?;
        witness.verify(&digest).is_ok().then_some(lock)
    })
}

#[cfg(test)]
mod tests;
