//! The way to the writer: bounded commands in, answers out.

use std::sync::Arc;

use rota_chain::block::Block;
use rota_chain::hash::Txid;
use rota_consensus::transaction::VerifiedTransaction;
use rota_storage::StorageError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{BlockOutcome, Ledger, LedgerEvent};
use crate::pool::PoolError;

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

/// What the writer is asked.
pub(super) enum Command {
    /// A caller's transaction.
    Submit(VerifiedTransaction, oneshot::Sender<Result<Txid, SubmitError>>),
    /// Peers' transactions.
    Relay(Vec<VerifiedTransaction>, oneshot::Sender<Vec<Result<Txid, PoolError>>>),
    /// A block, own or a peer's.
    Block(Arc<Block>, bool, oneshot::Sender<BlockOutcome>),
    /// Anything else.
    Call(Call),
    /// Close the files and end.
    Stop,
}

/// The way to the writer.
#[derive(Clone)]
pub struct LedgerHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) events: broadcast::Sender<LedgerEvent>,
}

impl LedgerHandle {
    /// Submits a caller's transaction; when this returns its id, it is journaled and in the pool.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, tx: VerifiedTransaction) -> Result<Txid, SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Submit(tx, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)?
    }

    /// Offers peers' transactions.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn relay(&self, txs: Vec<VerifiedTransaction>) -> Result<Vec<Result<Txid, PoolError>>, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Relay(txs, reply)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Offers a peer's block.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn block(&self, block: Arc<Block>) -> Result<BlockOutcome, Stopped> {
        self.offer(block, false).await
    }

    /// Offers a block this node made.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn own_block(&self, block: Arc<Block>) -> Result<BlockOutcome, Stopped> {
        self.offer(block, true).await
    }

    async fn offer(&self, block: Arc<Block>, own: bool) -> Result<BlockOutcome, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Block(block, own, reply)).await.map_err(|_| Stopped)?;
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
