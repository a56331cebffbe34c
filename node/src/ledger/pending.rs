//! Transactions on their way to a block, as the ledger sees them: taken from the journal after a start, kept while they
//! wait, ended visibly. How they come in is in `admission`.

use std::collections::HashSet;
use std::sync::Arc;

use rayon::prelude::*;
use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::transaction::Transaction;
use rota_consensus::rule::Rule;
use rota_consensus::transaction::{VerifiedTransaction, check_transaction};
use rota_storage::StorageError;

use super::switch::unreadable;
use super::{Ledger, LedgerEvent, SubmitError};
use crate::pool::{Pool, PoolEntry, PoolError};

/// Endings of transactions that stay visible.
const ENDED_KEPT: usize = 10_000;
/// Confirmations after which the journal forgets a transaction: deeper than reorganisations of
/// connected nodes go; after deeper ones the transactions return from the blocks all the same.
const JOURNAL_DEPTH: u32 = 20;
/// Journaled transactions beyond twice those still needed that make the file be written anew.
const JOURNAL_SLACK: usize = 20_000;
/// Tips for which journaled transactions rest after a start while what they need is not here: peers tell of what is in no
/// block at once, and of blocks soon.
const RESTING_TIPS: u32 = 20;
/// Resting transactions refused one after the other after which arrivals are no reason to try the others.
const RESTING_TRIED: usize = 64;

/// Own transactions that were acknowledged before the node ended and rest on what peers had sent, such as a grant that is
/// in no block yet: the journal holds own ones alone. They come in again when it does.
#[derive(Debug, Default)]
pub(super) struct Resting {
    waiting: Vec<VerifiedTransaction>,
    tips: u32,
}

/// What came of trying to take a resting transaction in.
enum Tried {
    In,
    Rests,
    Ends(String),
}

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
        let journaled =
            self.admission.journal().load()?.into_par_iter().map(judge).collect::<Result<Vec<_>, StorageError>>()?;
        for (txid, place, verified) in journaled {
            self.confirmed_own.extend(place.map(|place| (place.height, txid)));
            let Some(verified) = verified else { continue };
            match verified {
                Ok(tx) => match self.try_again(&tx)? {
                    Tried::In => {}
                    Tried::Rests => {
                        tracing::info!(%txid, "an own transaction rests until what it needs comes from peers");
                        self.keep_lost(&tx);
                        self.resting.waiting.push(tx);
                    }
                    Tried::Ends(reason) => self.end(&tx, reason),
                },
                Err(rule) => self.note_ended(txid, rule.to_string()),
            }
        }
        self.admission.settle();
        self.readmitted = true;
        self.trim_journal(self.view.tip().height);
        Ok(())
    }

    /// Tries to take a journaled transaction in.
    ///
    /// # Errors
    /// [`StorageError`]: no verdict on the transaction, which stays promised.
    fn try_again(&self, tx: &VerifiedTransaction) -> Result<Tried, StorageError> {
        Ok(match self.admission.readmit(tx.clone()) {
            Ok(_) | Err(PoolError::Known(_)) => Tried::In,
            Err(PoolError::State(error)) => return Err(unreadable(error)),
            Err(PoolError::Rule(rule)) if rule.may_pass() => Tried::Rests,
            Err(error) => Tried::Ends(error.to_string()),
        })
    }

    /// Tries to take resting transactions in, after arrivals from peers no more than the first few if those still rest.
    fn take_in_resting(&mut self, most_refused: usize) -> Result<(), StorageError> {
        let mut refused = 0;
        for tx in std::mem::take(&mut self.resting.waiting) {
            if refused >= most_refused {
                self.resting.waiting.push(tx);
                continue;
            }
            match self.try_again(&tx)? {
                Tried::In => refused = 0,
                Tried::Rests => {
                    refused += 1;
                    self.resting.waiting.push(tx);
                }
                Tried::Ends(reason) => self.end(&tx, reason),
            }
        }
        Ok(())
    }

    /// Takes in what a new tip lets in. Those that still rest after many tips end.
    pub(super) fn try_resting_at_tip(&mut self) -> Result<(), StorageError> {
        if self.resting.waiting.is_empty() {
            return Ok(());
        }
        self.take_in_resting(usize::MAX)?;
        if !self.catching_up {
            self.resting.tips += 1;
        }
        if self.resting.tips >= RESTING_TIPS {
            for tx in std::mem::take(&mut self.resting.waiting) {
                self.end(&tx, format!("what it needs did not come within {RESTING_TIPS} blocks of the start"));
            }
        }
        self.admission.settle();
        Ok(())
    }

    /// Whether an own transaction rests until what it needs comes from peers.
    pub fn is_resting(&self, txid: &Txid) -> bool {
        self.resting.waiting.iter().any(|tx| tx.txid() == *txid)
    }

    /// Takes callers' transactions into the pool. Those whose ids are returned are journaled, all with one sync.
    pub fn submit_all(&mut self, txs: Vec<VerifiedTransaction>) -> Vec<Result<Txid, SubmitError>> {
        let outcomes: Vec<_> = txs.into_iter().map(|tx| self.admission.submit(tx)).collect();
        let admission = &self.admission;
        let synced = if self.sync_transactions && !outcomes.is_empty() { admission.journal().sync() } else { Ok(()) };
        self.admission.settle();
        let acknowledge = |outcome: Result<Arc<PoolEntry>, SubmitError>| match (&synced, outcome) {
            (Err(error), Ok(_)) => Err(SubmitError::Storage(error.clone())),
            (_, outcome) => outcome.map(|entry| entry.tx.txid()),
        };
        outcomes.into_iter().map(acknowledge).collect()
    }

    /// Takes peers' transactions into the pool.
    pub fn relay_all(&mut self, txs: Vec<VerifiedTransaction>) -> Vec<Result<Txid, PoolError>> {
        let outcomes: Vec<_> = txs.into_iter().map(|tx| self.admission.relay(tx)).collect();
        if !self.resting.waiting.is_empty()
            && outcomes.iter().any(Result::is_ok)
            && let Err(error) = self.take_in_resting(RESTING_TRIED)
        {
            tracing::error!(%error, "own transactions cannot be tried again");
        }
        self.admission.settle();
        outcomes.into_iter().map(|outcome| outcome.map(|entry| entry.tx.txid())).collect()
    }

    /// Keeps a transaction that is listed in local order, or whose items are, so that it can still be shown.
    fn keep_lost(&self, tx: &VerifiedTransaction) {
        if let Err(error) = self.store.put_lost_transaction(&tx.txid(), tx.transaction()) {
            tracing::error!(%error, "a lost transaction cannot be kept");
        }
    }

    /// Ends a transaction that was taken, visibly: it can still be shown, with the reason.
    pub(super) fn end(&mut self, tx: &VerifiedTransaction, reason: String) {
        self.keep_lost(tx);
        self.note_ended(tx.txid(), reason);
    }

    /// Remembers and tells why a transaction left the pool unconfirmed.
    fn note_ended(&mut self, txid: Txid, reason: String) {
        tracing::warn!(%txid, %reason, "a transaction left the pool unconfirmed");
        if self.ended.len() >= ENDED_KEPT {
            self.ended.pop_front();
        }
        self.ended.push_back((txid, reason.clone()));
        let _ = self.events.send(LedgerEvent::Ended { txid, reason });
    }

    /// Writes the journal anew when most of it is confirmed deep enough or has ended: then each record is copied once
    /// or twice in its time, however much is confirmed.
    pub(super) fn trim_journal(&mut self, tip: Height) {
        if !self.readmitted {
            return;
        }
        self.confirmed_own.retain(|(height, _)| height.0.saturating_add(JOURNAL_DEPTH) > tip.0);
        let journal = self.admission.journal();
        if journal.records() < (2 * self.confirmed_own.len() + JOURNAL_SLACK) as u64 {
            return;
        }
        // Under the turn: what is journaled is in the pool then, and nothing is between the two.
        let mark = {
            let _turn = self.admission.turn();
            journal.mark()
        };
        let waiting: Vec<Txid> = {
            let view = self.view.read();
            let own = view.pool.entries().filter(|entry| entry.own).map(|entry| entry.tx.txid());
            own.chain(self.resting.waiting.iter().map(|tx| tx.txid())).collect()
        };
        let needed = self.confirmed_own.len() + waiting.len();
        if journal.records() < (2 * needed + JOURNAL_SLACK) as u64 {
            return;
        }
        let keep: HashSet<Txid> = self.confirmed_own.iter().map(|(_, txid)| *txid).chain(waiting).collect();
        if let Err(error) = journal.retain(mark, &keep) {
            tracing::error!(%error, "the journal cannot be shortened");
        }
    }

    /// Empties the pool; the journal forgets what was in it. Returns how many transactions ended.
    pub fn clear_pool(&mut self) -> usize {
        let (dropped, mark) = {
            let mut turn = self.admission.turn();
            turn.cleared += 1;
            let mut view = self.view.write();
            let dropped: Vec<Arc<PoolEntry>> = view.pool.entries().cloned().collect();
            let place = view.pool.place();
            view.pool = Pool::new(view.snapshot.clone(), place, view.pool.limits(), view.pool.next_sequence());
            (dropped, self.admission.journal().mark())
        };
        self.admission.settle();
        let keep = self.confirmed_own.iter().map(|(_, txid)| *txid).collect();
        if let Err(error) = self.admission.journal().retain(mark, &keep) {
            tracing::error!(%error, "the journal cannot be shortened");
        }
        let resting = std::mem::take(&mut self.resting.waiting);
        let dropped: Vec<&VerifiedTransaction> = dropped.iter().map(|entry| &entry.tx).chain(&resting).collect();
        for tx in &dropped {
            self.end(tx, "cleared by clearmempool".to_owned());
        }
        dropped.len()
    }
}
