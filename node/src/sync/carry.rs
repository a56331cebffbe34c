//! What stands between peers, ledger and machine and decides without waiting: the ledger's events as inputs, delivered
//! transactions checked and judged. `task.rs` does the waiting.

use std::sync::Arc;

use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_consensus::rule::{Rule, TransactionRule};
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_consensus::transaction::{VerifiedTransaction, check_transaction};

use super::{Delivered, Relayed, SyncInput, Verdict};
use crate::ledger::LedgerEvent;
use crate::pool::PoolError;

/// What the machine is told of an event of the ledger.
#[must_use]
pub fn input_of(event: LedgerEvent) -> SyncInput {
    match event {
        LedgerEvent::Tip { applied, undone, .. } => {
            let applied = applied.into_iter().map(|(hash, _)| hash).collect();
            SyncInput::Tip { applied, undone: !undone.is_empty() }
        }
        LedgerEvent::Admitted { txid, hash, entry } => {
            let grants = entry.upgrade().is_some_and(|entry| {
                entry.tx.transaction().operations().any(|(_, op)| matches!(op, Operation::Grant(_)))
            });
            SyncInput::Admitted { hash, txid, grants }
        }
        LedgerEvent::Ended { .. } => SyncInput::Forgotten,
    }
}

/// A delivered transaction, and what its form and signatures say.
pub type Checked = (Delivered, Result<VerifiedTransaction, Rule>);

/// Checks form and signatures of a delivered transaction.
pub fn check_delivered(delivered: Delivered, rules: &Rules, signatures: &SignatureCache) -> Checked {
    let verified = check_transaction(Arc::clone(&delivered.transaction), rules)
        .and_then(|checked| signatures.verify(checked).map_err(Rule::from));
    (delivered, verified)
}

/// Checked transactions: those to offer to the ledger, and the verdicts on the others.
#[derive(Debug, Default)]
pub struct Offer {
    offered: Vec<Delivered>,
    /// To be given to the ledger.
    pub transactions: Vec<VerifiedTransaction>,
    verdicts: Vec<Relayed>,
}

impl Offer {
    /// Sorts checked transactions.
    #[must_use]
    pub fn of(checked: Vec<Checked>) -> Offer {
        let mut offer = Offer::default();
        for (delivered, verified) in checked {
            match verified {
                Ok(transaction) => {
                    offer.offered.push(delivered);
                    offer.transactions.push(transaction);
                }
                // A newer version of the software may know the operation.
                Err(rule @ Rule::Transaction(TransactionRule::NotEnabled { .. })) => {
                    offer.verdicts.push(Relayed { delivered, verdict: Verdict::Refused(rule) });
                }
                Err(rule) => offer.verdicts.push(Relayed { delivered, verdict: Verdict::Bad(rule) }),
            }
        }
        offer
    }

    /// The verdicts, given what the ledger said of those offered, in order.
    #[must_use]
    pub fn verdicts(self, outcomes: Vec<Result<Txid, PoolError>>) -> Vec<Relayed> {
        let judged = self.offered.into_iter().zip(outcomes.into_iter().map(verdict));
        let judged = judged.map(|(delivered, verdict)| Relayed { delivered, verdict });
        self.verdicts.into_iter().chain(judged).collect()
    }
}

fn verdict<T>(outcome: Result<T, PoolError>) -> Verdict {
    match outcome {
        Ok(_) => Verdict::Taken,
        Err(PoolError::Known(_) | PoolError::Rule(Rule::Transaction(TransactionRule::Known { .. }))) => Verdict::Known,
        // Owners follow from outpoints, which name the transactions that made them: no state makes such witnesses right.
        Err(PoolError::Rule(
            rule @ Rule::Transaction(TransactionRule::Witness { .. } | TransactionRule::WitnessCount { .. }),
        )) => Verdict::Bad(rule),
        Err(PoolError::Rule(rule)) => Verdict::Refused(rule),
        Err(error) => {
            tracing::debug!(%error, "a peer's transaction is not taken now");
            Verdict::Postponed
        }
    }
}
