//! Coins as this node's callers see them: those of an address with the pool applied, and which ones are set aside, by
//! callers (`lockunspent`) or while a transaction that spends them is made. Rules are not here.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rota_chain::amount::Amount;
use rota_chain::lock::Lock;
use rota_chain::transaction::OutPoint;
use rota_consensus::state::Coin;
use rota_storage::{Beside, OwnedCoin, Snapshot, StorageError};
use tokio::sync::watch;

use crate::view::{Tip, View};

/// Most coins that callers lock: each takes about a hundred bytes of memory.
pub const LOCKED_COINS: usize = 100_000;

/// Where a coin comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A block.
    Block,
    /// A waiting transaction of this node's callers.
    Own,
    /// A waiting transaction of others.
    Others,
}

/// The coins of some addresses at one moment, with the pool applied.
#[derive(Debug)]
pub struct Coins {
    /// The stored state.
    pub snapshot: Snapshot,
    /// The tip.
    pub tip: Tip,
    made: HashMap<Lock, Vec<(OutPoint, OwnedCoin, Origin)>>,
    spent: HashSet<OutPoint>,
}

impl Coins {
    /// Takes what the pool has of these addresses out of a view, so that the caller can let go of it.
    #[must_use]
    pub fn of<'a>(view: &View, owners: impl IntoIterator<Item = &'a Lock>) -> Coins {
        let (mut made, mut spent) = (HashMap::new(), HashSet::new());
        for owner in owners {
            let coins = view.pool.coins().made_for(owner);
            let coins: Vec<_> = coins
                .map(|(outpoint, coin)| {
                    let (beside, origin) = waiting(view, outpoint);
                    (outpoint, OwnedCoin { coin: coin.clone(), beside }, origin)
                })
                .collect();
            if !coins.is_empty() {
                made.insert(*owner, coins);
            }
            spent.extend(view.pool.coins().spent_of(owner));
        }
        Coins { snapshot: view.snapshot.clone(), tip: view.tip, made, spent }
    }

    /// Coins of one of the addresses that waiting transactions of others make.
    pub fn waiting(&self, owner: &Lock) -> impl Iterator<Item = &Coin> {
        let made = self.made.get(owner).into_iter().flatten();
        made.filter(|(_, _, origin)| *origin == Origin::Others).map(|(_, owned, _)| &owned.coin)
    }

    /// Calls `visit` for the coins of one of the addresses, those in blocks first, until it returns false.
    ///
    /// # Errors
    /// [`StorageError`] if storage fails.
    pub fn for_each(
        &self,
        owner: &Lock,
        mut visit: impl FnMut(OutPoint, OwnedCoin, Origin) -> bool,
    ) -> Result<(), StorageError> {
        let mut more = true;
        self.snapshot.for_each_coin_of(owner, |outpoint, coin| {
            more = self.spent.contains(&outpoint) || visit(outpoint, coin, Origin::Block);
            more
        })?;
        for (outpoint, coin, origin) in self.made.get(owner).into_iter().flatten() {
            if !more {
                break;
            }
            more = visit(*outpoint, coin.clone(), *origin);
        }
        Ok(())
    }
}

/// What stands beside a coin that a waiting transaction makes, and whose transaction it is.
fn waiting(view: &View, outpoint: OutPoint) -> (Beside, Origin) {
    let Some(entry) = view.pool.get(&outpoint.txid) else { return (Beside::default(), Origin::Others) };
    let index = usize::try_from(outpoint.index).unwrap_or(usize::MAX);
    let output = entry.tx.transaction().body.outputs.get(index);
    (output.map(Beside::of).unwrap_or_default(), if entry.own { Origin::Own } else { Origin::Others })
}

/// Coins set aside, and the fee that callers chose, in memory alone.
#[derive(Debug)]
pub struct CoinLocks {
    fee_rate: AtomicU64,
    inner: Mutex<Aside>,
    released: watch::Sender<u64>,
    looked_at: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Aside {
    locked: BTreeSet<OutPoint>,
    reserved: HashSet<OutPoint>,
}

impl Default for CoinLocks {
    fn default() -> CoinLocks {
        CoinLocks {
            fee_rate: AtomicU64::new(0),
            inner: Mutex::default(),
            released: watch::Sender::new(0),
            looked_at: Mutex::default(),
        }
    }
}

impl CoinLocks {
    fn inner(&self) -> MutexGuard<'_, Aside> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Native currency that the wallet leaves to the miner for every 1,000 bytes begun, if that is more than the chain
    /// asks for.
    #[must_use]
    pub fn fee_rate(&self) -> Amount {
        Amount(self.fee_rate.load(Ordering::Relaxed))
    }

    /// Sets it until the node stops.
    pub fn set_fee_rate(&self, rate: Amount) {
        self.fee_rate.store(rate.0, Ordering::Relaxed);
    }

    /// Locks coins until they are unlocked or the node stops; false, and none is locked, if that would be too many.
    #[must_use]
    pub fn lock(&self, coins: impl IntoIterator<Item = OutPoint>) -> bool {
        let mut inner = self.inner();
        let new: BTreeSet<OutPoint> = coins.into_iter().filter(|outpoint| !inner.locked.contains(outpoint)).collect();
        if inner.locked.len() + new.len() > LOCKED_COINS {
            return false;
        }
        inner.locked.extend(new);
        true
    }

    /// Unlocks coins; those that were not locked stay as they are.
    pub fn unlock<'a>(&self, coins: impl IntoIterator<Item = &'a OutPoint>) {
        let mut inner = self.inner();
        for outpoint in coins {
            inner.locked.remove(outpoint);
        }
    }

    /// Unlocks every coin.
    pub fn unlock_all(&self) {
        self.inner().locked.clear();
    }

    /// The coins that callers locked, by outpoint.
    #[must_use]
    pub fn locked(&self) -> Vec<OutPoint> {
        self.inner().locked.iter().copied().collect()
    }

    /// Whether a caller locked a coin.
    #[must_use]
    pub fn is_locked(&self, outpoint: &OutPoint) -> bool {
        self.inner().locked.contains(outpoint)
    }

    /// Whether a transaction that is being made spends a coin.
    #[must_use]
    pub fn is_reserved(&self, outpoint: &OutPoint) -> bool {
        self.inner().reserved.contains(outpoint)
    }

    /// Sets coins aside for a transaction that is being made; none if one of them is set aside already.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, coins: Vec<OutPoint>) -> Option<Reservation> {
        let mut inner = self.inner();
        if coins.iter().any(|outpoint| inner.reserved.contains(outpoint) || inner.locked.contains(outpoint)) {
            return None;
        }
        inner.reserved.extend(&coins);
        drop(inner);
        Some(Reservation { locks: Arc::clone(self), coins })
    }

    /// Puts automatic combining off: a caller looks at coins and may be about to name some as inputs.
    pub fn suspend_combining(&self) {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When a caller last looked at coins.
    #[must_use]
    pub fn looked_at(&self) -> Option<Instant> {
        *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever coins that were set aside for a transaction are free again, or spent by it.
    #[must_use]
    pub fn releases(&self) -> watch::Receiver<u64> {
        self.released.subscribe()
    }
}

/// Coins set aside for a transaction that is being made, until this is dropped: after its submission they are spent in
/// the pool's view.
#[derive(Debug)]
pub struct Reservation {
    locks: Arc<CoinLocks>,
    coins: Vec<OutPoint>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut inner = self.locks.inner();
        for outpoint in &self.coins {
            inner.reserved.remove(outpoint);
        }
        drop(inner);
        if !self.coins.is_empty() {
            self.locks.released.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_chain::hash::Txid;

    use super::*;

    fn outpoint(index: u32) -> OutPoint {
        OutPoint { txid: Txid([1; 32]), index }
    }

    #[test]
    fn a_reserved_coin_is_free_again_when_the_reservation_ends() {
        let locks = Arc::new(CoinLocks::default());
        let mut releases = locks.releases();
        let held = locks.reserve(vec![outpoint(1), outpoint(2)]).unwrap();
        assert!(locks.is_reserved(&outpoint(1)) && !locks.is_reserved(&outpoint(3)));
        assert!(locks.reserve(vec![outpoint(3), outpoint(2)]).is_none());
        assert!(!locks.is_reserved(&outpoint(3)), "a reservation that fails sets nothing aside");
        assert!(!releases.has_changed().unwrap());
        drop(held);
        assert!(releases.has_changed().unwrap());
        releases.mark_unchanged();
        assert!(locks.reserve(vec![outpoint(2)]).is_some());
    }

    #[test]
    fn locked_coins_are_listed_and_not_reserved() {
        let locks = Arc::new(CoinLocks::default());
        assert!(locks.lock([outpoint(2), outpoint(1), outpoint(2)]));
        assert_eq!(locks.locked(), [outpoint(1), outpoint(2)]);
        assert!(locks.reserve(vec![outpoint(1)]).is_none());
        locks.unlock(&[outpoint(1), outpoint(7)]);
        assert!(locks.reserve(vec![outpoint(1)]).is_some());
        locks.unlock_all();
        assert_eq!(locks.locked(), []);
    }

    #[test]
    fn locks_beyond_the_limit_are_refused_as_a_whole() {
        let locks = CoinLocks::default();
        let limit = u32::try_from(LOCKED_COINS).unwrap();
        assert!(locks.lock((0..limit - 1).map(outpoint)));
        assert!(!locks.lock([outpoint(limit), outpoint(limit + 1)]));
        assert!(locks.lock([outpoint(limit), outpoint(0)]));
        assert_eq!(locks.locked().len(), LOCKED_COINS);
    }
}
