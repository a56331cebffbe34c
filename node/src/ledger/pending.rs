//! Transactions on their way to a block: taken from callers and peers, journaled, and ended visibly.

use std::collections::HashSet;
use std::sync::Arc;

use rayon::prelude::*;
use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use rota_consensus::rule::Rule;
use rota_consensus::transaction::{VerifiedTransaction, check_transaction};
use rota_storage::StorageError;
use rota_storage::journal::journal_bytes;

use super::switch::unreadable;
use super::{Ledger, LedgerEvent, SubmitError};
use crate::pool::{Pool, PoolEntry, PoolError};

/// Endings of transactions that stay visible.
const ENDED_KEPT: usize = 10_000;
/// Confirmations after which the journal forgets a transaction: deeper than reorganisations of
/// connected nodes go; after deeper ones the transactions return from the blocks all the same.
const JOURNAL_DEPTH: u32 = 20;
/// Journaled transactions beyond those still needed that make the file be written anew.
const JOURNAL_SLACK: usize = 20_000;

impl Ledger {
    /// Takes journaled transactions into the pool again.
    pub(super) fn readmit(&mut self) -> Result<(), StorageError> {
        let snapshot = self.view.snapshot();
        let (rules, signatures) = (&self.rules, &self.signatures);
        let judge = |transaction: Transaction| {
            let txid = transaction.txid();
            let place = snapshot.transaction_location(&txid)?;
            let verified = match place {
                Some(_) => None,
                None => Some(
                    check_transaction(Arc::new(transaction), rules)
                        .and_then(|checked| signatures.verify(checked).map_err(Rule::from)),
                ),
            };
            Ok((txid, place, verified))
        };
        let journaled = self.journal.load()?.into_par_iter().map(judge).collect::<Result<Vec<_>, StorageError>>()?;
        let mut admitted = Vec::new();
        for (txid, place, verified) in journaled {
            self.confirmed_own.extend(place.map(|place| (place.height, txid)));
            let Some(verified) = verified else { continue };
            let reason = match verified {
                Ok(tx) => match self.view.write().pool.admit(tx, true, self.clock.unix(), &self.rules) {
                    Ok(entry) => {
                        admitted.push(entry);
                        continue;
                    }
                    Err(PoolError::Known(_)) => continue,
                    // No verdict on the transaction: it stays promised, and the node does not start.
                    Err(PoolError::State(error)) => return Err(unreadable(error)),
                    Err(error) => error.to_string(),
                },
                Err(rule) => rule.to_string(),
            };
            self.note_ended(txid, reason);
        }
        self.after_admission(&admitted);
        self.trim_journal(self.view.tip().height);
        Ok(())
    }

    /// Takes callers' transactions into the pool. Those whose ids are returned are journaled, all with one sync.
    pub fn submit_all(&mut self, txs: Vec<VerifiedTransaction>) -> Vec<Result<Txid, SubmitError>> {
        let outcomes: Vec<_> = txs.into_iter().map(|tx| self.submit(tx)).collect();
        let flushed = if self.sync_transactions && !outcomes.is_empty() { self.journal.sync() } else { Ok(()) };
        let admitted: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().cloned()).collect();
        self.after_admission(&admitted);
        let acknowledge = |outcome: Result<Arc<PoolEntry>, SubmitError>| match (&flushed, outcome) {
            (Err(error), Ok(_)) => Err(SubmitError::Storage(error.clone())),
            (_, outcome) => outcome.map(|entry| entry.tx.txid()),
        };
        outcomes.into_iter().map(acknowledge).collect()
    }

    /// Takes peers' transactions into the pool.
    pub fn relay_all(&mut self, txs: Vec<VerifiedTransaction>) -> Vec<Result<Txid, PoolError>> {
        let outcomes: Vec<_> = txs.into_iter().map(|tx| self.relay(tx)).collect();
        let admitted: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().cloned()).collect();
        self.after_admission(&admitted);
        outcomes.into_iter().map(|outcome| outcome.map(|entry| entry.tx.txid())).collect()
    }

    /// Takes a caller's transaction into the pool and appends it to the journal (not yet synced).
    fn submit(&mut self, tx: VerifiedTransaction) -> Result<Arc<PoolEntry>, SubmitError> {
        if self.settings().bantx.contains(&tx.txid()) {
            return Err(SubmitError::Refused("the transaction is banned on this node (bantx)".to_owned()));
        }
        self.store.check_room().map_err(SubmitError::Storage)?;
        let entry = self.view.write().pool.admit(tx, true, self.clock.unix(), &self.rules)?;
        match self.journal.append(&[&journal_bytes(entry.tx.transaction())]) {
            Ok(()) => Ok(entry),
            Err(error) => {
                self.retract(entry.tx.txid());
                Err(SubmitError::Storage(error))
            }
        }
    }

    /// Takes the newest transaction out of the pool again: it was not acknowledged.
    fn retract(&mut self, txid: Txid) {
        let mut view = self.view.write();
        let (snapshot, place) = (view.snapshot.clone(), view.pool.place());
        let gone = HashSet::from([txid]);
        match view.pool.rebuild(snapshot, place, Vec::new(), &gone, &self.rules, self.clock.unix()) {
            Ok((pool, _)) => view.pool = pool,
            Err(error) => tracing::error!(%error, "a transaction that was not journaled stays in the pool"),
        }
    }

    /// Takes a peer's transaction into the pool.
    pub(super) fn relay(&mut self, tx: VerifiedTransaction) -> Result<Arc<PoolEntry>, PoolError> {
        if self.settings().bantx.contains(&tx.txid()) {
            return Err(PoolError::Known(tx.txid()));
        }
        self.view.write().pool.admit(tx, false, self.clock.unix(), &self.rules)
    }

    /// Writes what is newly seen to local orders, then tells everybody.
    fn after_admission(&mut self, entries: &[Arc<PoolEntry>]) {
        let seen: Vec<(Txid, &Transaction)> =
            entries.iter().map(|entry| (entry.tx.txid(), &**entry.tx.transaction())).collect();
        if let Err(error) = self.store.index_seen(&seen) {
            tracing::error!(%error, "local order cannot be written");
        }
        for entry in entries {
            // No receiver is no fault: parts that do not listen need not know.
            let _ = self.events.send(LedgerEvent::Admitted(Arc::clone(entry)));
        }
    }

    /// Keeps a transaction that is listed in local order, or whose items are, so that it can still be shown.
    pub(super) fn keep_lost(&self, entry: &PoolEntry) {
        let transaction = entry.tx.transaction();
        if let Err(error) = self.store.put_lost_transaction(&entry.tx.txid(), transaction) {
            tracing::error!(%error, "a lost transaction cannot be kept");
        }
    }

    /// Remembers and tells why a transaction left the pool unconfirmed.
    pub(super) fn note_ended(&mut self, txid: Txid, reason: String) {
        tracing::warn!(%txid, %reason, "a transaction left the pool unconfirmed");
        if self.ended.len() >= ENDED_KEPT {
            self.ended.pop_front();
        }
        self.ended.push_back((txid, reason.clone()));
        let _ = self.events.send(LedgerEvent::Ended { txid, reason });
    }

    /// Writes the journal anew when much of it is confirmed deep enough or has ended.
    pub(super) fn trim_journal(&mut self, tip: Height) {
        self.confirmed_own.retain(|(height, _)| height.0.saturating_add(JOURNAL_DEPTH) > tip.0);
        let view = self.view.read();
        let waiting = || view.pool.entries().filter(|entry| entry.own).map(|entry| entry.tx.txid());
        let needed = self.confirmed_own.len() + waiting().count();
        if self.journal.records() < (needed + JOURNAL_SLACK) as u64 {
            return;
        }
        let keep: HashSet<Txid> = self.confirmed_own.iter().map(|(_, txid)| *txid).chain(waiting()).collect();
        drop(view);
        if let Err(error) = self.journal.retain(&keep) {
            tracing::error!(%error, "the journal cannot be shortened");
        }
    }

    /// Empties the pool; the journal forgets what was in it. Returns how many transactions ended.
    pub fn clear_pool(&mut self) -> usize {
        let dropped: Vec<Arc<PoolEntry>> = {
            let mut view = self.view.write();
            let dropped = view.pool.entries().cloned().collect();
            let place = view.pool.place();
            view.pool = Pool::new(view.snapshot.clone(), place, view.pool.limits(), view.pool.next_sequence());
            dropped
        };
        let keep = self.confirmed_own.iter().map(|(_, txid)| *txid).collect();
        if let Err(error) = self.journal.retain(&keep) {
            tracing::error!(%error, "the journal cannot be shortened");
        }
        for entry in &dropped {
            self.keep_lost(entry);
            self.note_ended(entry.tx.txid(), "cleared by clearmempool".to_owned());
        }
        dropped.len()
    }
}
