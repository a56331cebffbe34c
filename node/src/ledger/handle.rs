//! The way to the writer: bounded commands in, answers out; and to the pool, whose door is open while blocks are applied.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rota_chain::block::Block;
use rota_chain::hash::Txid;
use rota_consensus::block::CheckedBlock;
use rota_consensus::rule::Rule;
use rota_consensus::transaction::VerifiedTransaction;
use rota_storage::StorageError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{Admission, BlockOutcome, Ledger, LedgerEvent};
use crate::pool::PoolError;

/// Transactions of peers that come in before others have their turn on a thread.
const RELAYED_AT_ONCE: usize = 32;

/// The writer has ended: the node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node is stopping")]
pub struct Stopped;

/// Why a caller's transaction was not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// The pool does not take it.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// It could not be journaled.
    #[error("the transaction cannot be journaled: {0}")]
    Storage(StorageError),
    /// A setting of this node refuses it.
    #[error("{0}")]
    Refused(String),
    /// The node stops.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A call that runs on the writer's thread.
pub(super) type Call = Box<dyn FnOnce(&mut Ledger) + Send>;

/// Where a block comes from.
pub(super) enum Origin {
    /// This node made it.
    Own,
    /// A peer gave it, and this came of the checks that need no state.
    Peer(Result<CheckedBlock, Rule>),
}

/// What the writer is asked.
pub(super) enum Command {
    /// A block, own or a peer's.
    Block(Arc<Block>, Origin, oneshot::Sender<BlockOutcome>),
    /// Anything else.
    Call(Call),
    /// Close the files and end.
    Stop,
}

/// The way to the writer, and the door to the pool.
#[derive(Clone)]
pub struct LedgerHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) events: broadcast::Sender<LedgerEvent>,
    pub(super) admission: Arc<Admission>,
    /// Syncs of the journal, if every acknowledged transaction is to be safe from power loss.
    pub(super) syncs: Option<Arc<JournalSync>>,
}

impl LedgerHandle {
    /// Submits a caller's transaction; when this returns its id, it is journaled and in the pool.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, tx: VerifiedTransaction) -> Result<Txid, SubmitError> {
        let txid = self.admission.submit(tx)?.tx.txid();
        if let Some(syncs) = &self.syncs {
            syncs.sync(&self.admission).await?;
        }
        Ok(txid)
    }

    /// Offers peers' transactions.
    pub async fn relay(&self, txs: Vec<VerifiedTransaction>) -> Vec<Result<Txid, PoolError>> {
        let mut outcomes = Vec::with_capacity(txs.len());
        for tx in txs {
            outcomes.push(self.admission.relay(tx).map(|entry| entry.tx.txid()));
            if outcomes.len().is_multiple_of(RELAYED_AT_ONCE) {
                tokio::task::yield_now().await;
            }
        }
        outcomes
    }

    /// The door to the pool.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// Offers a peer's block with what came of [`check_block`](super::check_block), so that the writer,
    /// of which there is one, has less to do.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn block(&self, block: Arc<Block>, checked: Result<CheckedBlock, Rule>) -> Result<BlockOutcome, Stopped> {
        self.offer(block, Origin::Peer(checked)).await
    }

    /// Offers a block this node made.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn own_block(&self, block: Arc<Block>) -> Result<BlockOutcome, Stopped> {
        self.offer(block, Origin::Own).await
    }

    async fn offer(&self, block: Arc<Block>, origin: Origin) -> Result<BlockOutcome, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Block(block, origin, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Runs a closure on the writer's thread.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn call<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Ledger) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        let (reply, answer) = oneshot::channel();
        let call: Call = Box::new(move |ledger| {
            // The caller may have gone; the call was carried out all the same.
            let _ = reply.send(call(ledger));
        });
        self.commands.send(Command::Call(call)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Tells the writer to close its files and end, whoever else still holds a handle. Commands that came before are
    /// carried out.
    pub async fn stop(&self) {
        // A writer that has ended needs no telling.
        let _ = self.commands.send(Command::Stop).await;
    }

    /// Events from now on; a receiver that falls behind by more than the channel holds is told so.
    pub fn subscribe_events(&self) -> broadcast::Receiver<LedgerEvent> {
        self.events.subscribe()
    }
}

/// Syncs of the journal that callers share: who comes while one runs is served by the next.
#[derive(Debug, Default)]
pub(super) struct JournalSync {
    asked: AtomicU64,
    /// The last that was asked for before the last sync began.
    served: tokio::sync::Mutex<u64>,
}

impl JournalSync {
    /// Returns once all that was journaled before this call is safe from power loss.
    async fn sync(&self, admission: &Arc<Admission>) -> Result<(), SubmitError> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut served = self.served.lock().await;
        if *served >= mine {
            return Ok(());
        }
        let begun = self.asked.load(Ordering::SeqCst);
        let admission = Arc::clone(admission);
        let synced = tokio::task::spawn_blocking(move || admission.journal().sync()).await;
        let broken = |error: tokio::task::JoinError| StorageError::Io {
            what: "the journal was not synced".to_owned(),
            detail: error.to_string(),
        };
        synced.map_err(broken).and_then(|synced| synced).map_err(SubmitError::Storage)?;
        *served = begun;
        Ok(())
    }
}
