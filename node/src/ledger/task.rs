//! The writer's thread, which carries out commands in order, and the one that lists what comes into the pool.

use std::sync::Arc;
use std::thread::JoinHandle;

use rota_storage::StorageError;
use tokio::sync::{broadcast, mpsc};

use super::handle::{Command, JournalSync, Origin};
use super::{Ledger, LedgerHandle, LedgerParts};
use crate::log;

/// Commands that may wait: callers beyond wait for a place.
const COMMANDS: usize = 1_024;
/// Events a slow listener may lag behind.
const EVENTS: usize = 65_536;

/// Loads the ledger and starts its threads; the one that is returned ends last.
///
/// # Errors
/// [`StorageError`].
pub fn spawn(parts: LedgerParts) -> Result<(LedgerHandle, JoinHandle<()>), StorageError> {
    let (events, _) = broadcast::channel(EVENTS);
    let (commands, receiver) = mpsc::channel(COMMANDS);
    let syncs = parts.sync_transactions.then(|| Arc::new(JournalSync::default()));
    let ledger = Ledger::load(parts, events.clone())?;
    let admission = Arc::clone(ledger.admission());
    let listed = Arc::clone(&admission);
    let lister = thread("arrivals", move || listed.list_arrivals())?;
    let writer = thread("ledger", move || {
        run(ledger, receiver);
        // It ends once the door is closed; a panic of it has been reported.
        let _ = lister.join();
    })?;
    Ok((LedgerHandle { commands, events, admission, syncs }, writer))
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StorageError> {
    let failed = |error: std::io::Error| StorageError::Io {
        what: "cannot start a thread".to_owned(),
        detail: error.to_string(),
    };
    let adopted = log::adopted();
    let work = move || {
        adopted.iter().for_each(log::adopt);
        work();
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(failed)
}

/// Carries out commands until one is to stop or nobody can send any more.
fn run(mut ledger: Ledger, mut commands: mpsc::Receiver<Command>) {
    while let Some(command) = commands.blocking_recv() {
        match command {
            Command::Block(block, origin, reply) => {
                let outcome = match origin {
                    Origin::Own => ledger.accept_block(block, true),
                    Origin::Peer(checked) => ledger.accept_checked(block, checked),
                };
                let _ = reply.send(outcome);
            }
            Command::Call(call) => call(&mut ledger),
            Command::Stop => break,
        }
    }
    ledger.close();
}
