//! The writer's thread: commands are carried out in order; transactions that arrive together share one journal sync.

use std::thread::JoinHandle;

use rota_chain::hash::Txid;
use rota_consensus::transaction::VerifiedTransaction;
use rota_storage::StorageError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::handle::Command;
use super::{Ledger, LedgerHandle, LedgerParts, SubmitError};

/// Commands that may wait: callers beyond wait for a place.
const COMMANDS: usize = 1_024;
/// Commands carried out before answers go out: bounds the wait of the first.
const GROUP: usize = 256;
/// Events a slow listener may lag behind.
const EVENTS: usize = 65_536;

type Submitted = (oneshot::Sender<Result<Txid, SubmitError>>, VerifiedTransaction);

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
    let mut waiting: Vec<Submitted> = Vec::new();
    let mut stops = false;
    for command in group {
        match command {
            Command::Submit(tx, reply) => waiting.push((reply, tx)),
            Command::Stop => {
                stops = true;
                break;
            }
            other => {
                submit(ledger, std::mem::take(&mut waiting));
                carry_out_alone(ledger, other);
            }
        }
    }
    submit(ledger, waiting);
    stops
}

fn carry_out_alone(ledger: &mut Ledger, command: Command) {
    match command {
        Command::Submit(tx, reply) => {
            submit(ledger, vec![(reply, tx)]);
        }
        Command::Relay(txs, reply) => {
            let _ = reply.send(ledger.relay_all(txs));
        }
        Command::Block(block, own, reply) => {
            let _ = reply.send(ledger.accept_block(block, own));
        }
        Command::Call(call) => call(ledger),
        Command::Stop => {}
    }
}

/// Submits transactions together and answers all.
fn submit(ledger: &mut Ledger, waiting: Vec<Submitted>) {
    let (replies, txs): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    for (reply, outcome) in replies.into_iter().zip(ledger.submit_all(txs)) {
        let _ = reply.send(outcome);
    }
}
