//! The pool over another tip, made beside the one in use, which goes on taking transactions in meanwhile.

use std::collections::HashSet;
use std::sync::Arc;

use rota_chain::amount::Amount;
use rota_chain::hash::Txid;
use rota_consensus::rule::ApplyError;
use rota_consensus::rules::Rules;
use rota_consensus::state::{StateError, StateView};
use rota_consensus::transaction::{Place, VerifiedTransaction, apply_transaction};

use super::{Ended, Pool, PoolEntry, PoolLimits};

/// A pool being made: first comes what returns from a branch that lost, then what waited, each kept only if the new
/// state allows it.
#[derive(Debug)]
pub struct Renewal<'r, W> {
    pool: Pool<W>,
    rules: &'r Rules,
    confirmed: &'r HashSet<Txid>,
    /// What waited may rest on what returned, so that it gets later numbers then.
    renumbers: bool,
    ended: Vec<Ended>,
    confirmed_own: Vec<Txid>,
    last: u64,
}

/// A pool that is made.
#[derive(Debug)]
pub struct Renewed<W> {
    /// The pool.
    pub pool: Pool<W>,
    /// What the new state does not allow.
    pub ended: Vec<Ended>,
    /// This node's own transactions that are confirmed now.
    pub confirmed_own: Vec<Txid>,
}

impl<'r, W: StateView> Renewal<'r, W> {
    /// Begins with an empty pool over the state at the new tip; `confirmed` are left out, numbers begin at
    /// `next_sequence`.
    pub fn new(
        base: W,
        place: Place,
        limits: PoolLimits,
        next_sequence: u64,
        rules: &'r Rules,
        confirmed: &'r HashSet<Txid>,
    ) -> Renewal<'r, W> {
        Renewal {
            pool: Pool::new(base, place, limits, next_sequence),
            rules,
            confirmed,
            renumbers: false,
            ended: Vec::new(),
            confirmed_own: Vec::new(),
            last: 0,
        }
    }

    /// The number of the last that was taken over from the pool in use.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Takes what returns from a branch that lost, in chain order, with whether it is own.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    pub fn take_returning(&mut self, returning: &[(VerifiedTransaction, bool)], now: u64) -> Result<(), StateError> {
        self.renumbers |= !returning.is_empty();
        for (tx, own) in returning {
            if self.confirmed.contains(&tx.txid()) || self.pool.get(&tx.txid()).is_some() {
                continue;
            }
            let sequence = self.pool.take_sequence();
            let (tx, own) = (tx.clone(), *own);
            self.keep(Arc::new(PoolEntry { tx, sequence, received: now, own, fee: Amount::ZERO }))?;
        }
        Ok(())
    }

    /// Takes what waits in the pool in use, in order.
    ///
    /// # Errors
    /// [`StateError`] if storage fails.
    pub fn take(&mut self, entries: &[Arc<PoolEntry>]) -> Result<(), StateError> {
        for entry in entries {
            self.last = entry.sequence;
            let txid = entry.tx.txid();
            if self.confirmed.contains(&txid) {
                self.confirmed_own.extend(entry.own.then_some(txid));
                continue;
            }
            if self.pool.get(&txid).is_some() {
                continue;
            }
            let mut entry = Arc::clone(entry);
            if self.renumbers {
                entry = Arc::new(PoolEntry { sequence: self.pool.take_sequence(), ..PoolEntry::clone(&entry) });
            }
            self.keep(entry)?;
        }
        Ok(())
    }

    fn keep(&mut self, mut entry: Arc<PoolEntry>) -> Result<(), StateError> {
        let pool = &mut self.pool;
        match apply_transaction(&pool.overlay, &entry.tx, self.rules, pool.place) {
            Ok(applied) => {
                pool.coins.absorb(&applied.changes, entry.sequence);
                pool.overlay.absorb(applied.changes);
                if entry.fee != applied.fee {
                    entry = Arc::new(PoolEntry { fee: applied.fee, ..PoolEntry::clone(&entry) });
                }
                pool.insert(&entry);
                Ok(())
            }
            Err(ApplyError::Rule(rule)) => {
                self.ended.push(Ended { entry, reason: rule.to_string() });
                Ok(())
            }
            Err(ApplyError::State(error)) => Err(error),
        }
    }

    /// The pool that is made; `next_sequence` is that of the one in use.
    pub fn finish(mut self, next_sequence: u64) -> Renewed<W> {
        self.pool.next_sequence = self.pool.next_sequence.max(next_sequence);
        Renewed { pool: self.pool, ended: self.ended, confirmed_own: self.confirmed_own }
    }
}
