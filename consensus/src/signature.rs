//! Signatures: verified once, in whatever thread, and remembered under a salted hash of the whole transaction.
//! The remembered fact is "each signature verifies under the key it carries", no more.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use rota_chain::digest::{full_digest, part_digest};
use rota_chain::hash::{BlockHash, FullHash, tagged_hash};
use rota_chain::transaction::Coverage;
use rota_chain::witness::WitnessError;

use crate::rule::TransactionRule;
use crate::transaction::{CheckedTransaction, VerifiedTransaction};

/// Facts remembered: 64 bytes each in two structures, for more transactions than a few blocks hold.
pub const SIGNATURE_CACHE_ENTRIES: usize = 262_144;

/// Verifies every signature of a transaction under the key it carries.
///
/// # Errors
/// [`TransactionRule::Witness`] naming the first that does not verify, or is absent.
fn verify(tx: &CheckedTransaction, genesis: &BlockHash) -> Result<(), TransactionRule> {
    let transaction = tx.transaction();
    let part_inputs: Vec<usize> = (0usize..)
        .zip(&transaction.body.inputs)
        .filter_map(|(index, input)| (input.coverage == Coverage::Part).then_some(index))
        .collect();
    let full = transaction.witnesses.len().saturating_sub(part_inputs.len());
    for (index, witness) in transaction.witnesses.iter().enumerate() {
        let rule = |error| TransactionRule::Witness { index, error };
        let lock = witness.lock().ok_or(rule(WitnessError::Incomplete))?;
        let digest = match index.checked_sub(full).and_then(|part| part_inputs.get(part)) {
            Some(input) => part_digest(genesis, &transaction.body, *input, &lock).ok_or(rule(WitnessError::Form))?,
            None => full_digest(genesis, &tx.txid(), &lock),
        };
        witness.verify(&digest).map_err(rule)?;
    }
    Ok(())
}

/// Remembers which transactions' signatures verify.
#[derive(Debug)]
pub struct SignatureCache {
    genesis: BlockHash,
    salt: [u8; 32],
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    known: HashSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl SignatureCache {
    /// An empty cache of a chain; `salt` is random, so that nobody can aim at a slot.
    #[must_use]
    pub fn new(genesis: BlockHash, salt: [u8; 32]) -> SignatureCache {
        SignatureCache { genesis, salt, facts: Mutex::default() }
    }

    /// Verifies a transaction's signatures, unless it is known that they verify.
    ///
    /// # Errors
    /// [`TransactionRule::Witness`] if one does not verify.
    pub fn verify(&self, tx: CheckedTransaction) -> Result<VerifiedTransaction, TransactionRule> {
        let key = self.key(&tx.full_hash());
        let known = self.facts.lock().unwrap_or_else(PoisonError::into_inner).known.contains(&key);
        if !known {
            verify(&tx, &self.genesis)?;
            let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
            if facts.known.insert(key) {
                facts.order.push_back(key);
            }
            if facts.order.len() > SIGNATURE_CACHE_ENTRIES
                && let Some(oldest) = facts.order.pop_front()
            {
                facts.known.remove(&oldest);
            }
        }
        Ok(VerifiedTransaction::new(tx))
    }

    fn key(&self, hash: &FullHash) -> [u8; 32] {
        tagged_hash("rota/signature-cache", &[&self.salt, hash.as_bytes()])
    }
}
