//! Coins of the pool by owner: what waiting transactions make, and which coins they spend. With the stored coins of an
//! address they give its unconfirmed view, without a look at the rest of the pool.

use std::collections::{BTreeMap, HashMap};

use rota_chain::lock::Lock;
use rota_chain::transaction::OutPoint;
use rota_consensus::state::{Changes, Coin, StateKey, StateValue};

/// What waiting transactions do to coins.
#[derive(Debug, Default)]
pub struct PoolCoins {
    made: HashMap<Lock, BTreeMap<OutPoint, Coin>>,
    spent: HashMap<OutPoint, u64>,
    spent_of: HashMap<Lock, Vec<OutPoint>>,
}

impl PoolCoins {
    /// Takes in what one more waiting transaction, the one of this sequence, changes.
    pub(super) fn absorb(&mut self, changes: &Changes, sequence: u64) {
        for (key, change) in &changes.elements {
            let StateKey::Coin(outpoint) = key else { continue };
            if let Some(StateValue::Coin(coin)) = &change.before {
                self.spent.insert(*outpoint, sequence);
                self.spent_of.entry(coin.owner).or_default().push(*outpoint);
                if let Some(made) = self.made.get_mut(&coin.owner) {
                    made.remove(outpoint);
                    if made.is_empty() {
                        self.made.remove(&coin.owner);
                    }
                }
            }
            if let Some(StateValue::Coin(coin)) = &change.after {
                self.made.entry(coin.owner).or_default().insert(*outpoint, coin.clone());
            }
        }
    }

    /// Coins of an address that waiting transactions make and none of them spends, by outpoint.
    pub fn made_for(&self, owner: &Lock) -> impl Iterator<Item = (OutPoint, &Coin)> {
        self.made.get(owner).into_iter().flatten().map(|(outpoint, coin)| (*outpoint, coin))
    }

    /// Coins of an address, stored or waiting themselves, that waiting transactions spend, in order of arrival.
    pub fn spent_of(&self, owner: &Lock) -> &[OutPoint] {
        self.spent_of.get(owner).map_or(&[], Vec::as_slice)
    }

    /// The sequence of the waiting transaction that spends a coin, stored or waiting itself.
    pub fn spender(&self, outpoint: &OutPoint) -> Option<u64> {
        self.spent.get(outpoint).copied()
    }

    /// Whether a waiting transaction spends a coin.
    pub fn is_spent(&self, outpoint: &OutPoint) -> bool {
        self.spent.contains_key(outpoint)
    }
}
