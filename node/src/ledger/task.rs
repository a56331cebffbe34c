//! The writer's thread: commands are carried out in order; transactions that arrive together share one journal sync.

use std::sync::Arc;
use std::thread::JoinHandle;

use rota_chain::hash::Txid;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::handle::Command;
use super::{Ledger, LedgerHandle, LedgerParts, SubmitError};
use crate::pool::PoolEntry;
use rota_storage::StorageError;

/// Commands that may wait: callers beyond wait for a place.
const COMMANDS: usize = 1_024;
/// Commands carried out before answers go out: bounds the wait of the first.
const GROUP: usize = 256;
/// Events a slow listener may lag behind.
const EVENTS: usize = 65_536;

type Acknowledge = (oneshot::Sender<Result<Txid, SubmitError>>, Result<Arc<PoolEntry>, SubmitError>);

/// Loads the ledger and starts its thread.
///
/// # Errors
/// [`StorageError`].
pub fn spawn(parts: LedgerParts) -> Result<(LedgerHandle, JoinHandle<()>), StorageError> {
    let (events, _) = broadcast::channel(EVENTS);
    let (commands, receiver) = mpsc::channel(COMMANDS);
    let ledger = Ledger::load(parts, events.clone())?;
    let thread = std::thread::Builder::new()
        .name("ledger".to_owned())
        .spawn(move || run(ledger, receiver))
        .map_err(|error| StorageError::Io { what: "cannot start a thread".to_owned(), detail: error.to_string() })?;
    Ok((LedgerHandle { commands, events }, thread))
}

fn run(mut ledger: Ledger, mut commands: mpsc::Receiver<Command>) {
    while let Some(first) = commands.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Ok(next) = commands.try_recv()
        {
            group.push(next);
        }
        if carry_out(&mut ledger, group) {
            break;
        }
    }
    ledger.close();
}

/// Carries out commands in order; true if one was to stop, and then what came after it is left undone.
fn carry_out(ledger: &mut Ledger, group: Vec<Command>) -> bool {
    let mut waiting: Vec<Acknowledge> = Vec::new();
    let mut stops = false;
    for command in group {
        match command {
            Command::Submit(tx, reply) => waiting.push((reply, ledger.submit(tx))),
            Command::Stop => {
                stops = true;
                break;
            }
            other => {
                acknowledge(ledger, std::mem::take(&mut waiting));
                carry_out_alone(ledger, other);
            }
        }
    }
    acknowledge(ledger, waiting);
    stops
}

fn carry_out_alone(ledger: &mut Ledger, command: Command) {
    match command {
        Command::Submit(tx, reply) => {
            let outcome = ledger.submit(tx);
            acknowledge(ledger, vec![(reply, outcome)]);
        }
        Command::Relay(txs, reply) => {
            let outcomes: Vec<_> = txs.into_iter().map(|tx| ledger.relay(tx)).collect();
            let admitted: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().cloned()).collect();
            ledger.after_admission(&admitted);
            let _ = reply.send(outcomes.into_iter().map(|outcome| outcome.map(|entry| entry.tx.txid())).collect());
        }
        Command::Block(block, own, reply) => {
            let _ = reply.send(ledger.accept_block(block, own));
        }
        Command::Call(call) => call(ledger),
        Command::Stop => {}
    }
}

/// Syncs the journal if asked to, then answers all.
fn acknowledge(ledger: &mut Ledger, waiting: Vec<Acknowledge>) {
    if waiting.is_empty() {
        return;
    }
    let flushed = if ledger.sync_transactions { ledger.journal.sync() } else { Ok(()) };
    let admitted: Vec<_> = waiting.iter().filter_map(|(_, outcome)| outcome.as_ref().ok().cloned()).collect();
    ledger.after_admission(&admitted);
    for (reply, outcome) in waiting {
        let outcome = match (&flushed, outcome) {
            (Err(error), Ok(_)) => Err(SubmitError::Storage(error.to_string())),
            (_, outcome) => outcome.map(|entry| entry.tx.txid()),
        };
        let _ = reply.send(outcome);
    }
}
