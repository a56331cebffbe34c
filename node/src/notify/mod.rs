//! Programs that the operator wants run at blocks and transactions. Data from the chain reaches them as arguments
//! that no shell interprets; a slow or failing program never delays the node.

mod command;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lru::LruCache;
use rota_chain::codec::encode;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::transaction::Transaction;
use tokio::process::Command;
use tokio::sync::{Semaphore, broadcast, watch};

pub use command::{Template, TemplateError, Token};

use crate::context::Context;
use crate::ledger::LedgerEvent;
use crate::rpc::decode;

/// Programs that run at once.
const PROGRAMS: usize = 8;
/// Programs that wait for a place; further notifications are dropped with a line in the log.
const WAITING: usize = 10_000;
/// How long a program may run.
const PROGRAM_TIME: Duration = Duration::from_secs(300);

/// Transactions remembered as seen: more than wait and come back with a lost branch.
const SEEN: NonZeroUsize = NonZeroUsize::new(65_536).expect("65536 is not zero");

/// The operator's programs.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// At first sight of a relevant transaction and at its confirmation.
    pub wallet: Option<Template>,
    /// At first sight alone.
    pub wallet_new: Option<Template>,
    /// At every new tip.
    pub block: Option<Template>,
}

impl Programs {
    fn any(&self) -> bool {
        self.wallet.is_some() || self.wallet_new.is_some() || self.block.is_some()
    }
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug)]
struct Standing {
    first_seen: bool,
    block: Option<(BlockHash, u32)>,
}

/// Listens to the ledger and starts programs until told to stop.
pub async fn run(context: Arc<Context>, programs: Programs, mut shutdown: watch::Receiver<bool>) {
    if !programs.any() {
        return;
    }
    let mut events = context.ledger.subscribe_events();
    let mut seen = LruCache::new(SEEN);
    for entry in context.view.read().pool.entries() {
        seen.put(entry.tx.txid(), ());
    }
    let mut notifier = Notifier {
        seen,
        context,
        programs,
        places: Arc::new(Semaphore::new(PROGRAMS)),
        waiting: Arc::new(Semaphore::new(WAITING)),
    };
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            _ = shutdown.changed() => return,
        };
        match event {
            Ok(LedgerEvent::Tip { applied, .. }) => notifier.on_blocks(&applied).await,
            Ok(LedgerEvent::Admitted { txid, entry, .. }) => {
                // What has left the pool by now is told of with its block.
                let Some(entry) = entry.upgrade() else { continue };
                let standing = Standing { first_seen: notifier.is_new(txid), block: None };
                notifier.on_transaction(entry.tx.transaction(), standing);
            }
            Ok(LedgerEvent::Ended { .. }) => {}
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "notifications were left out: the node was faster than they could be listed");
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

struct Notifier {
    seen: LruCache<Txid, ()>,
    context: Arc<Context>,
    programs: Programs,
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Notifier {
    /// Whether a transaction is seen for the first time, in the pool or in a block.
    fn is_new(&mut self, txid: Txid) -> bool {
        self.seen.put(txid, ()).is_none()
    }

    async fn on_blocks(&mut self, applied: &[(BlockHash, rota_chain::amount::Height)]) {
        for (hash, height) in applied {
            if let Some(template) = &self.programs.block {
                self.start(template, |token| match token {
                    Token::Txid => hash.to_string(),
                    _ => String::new(),
                });
            }
            if self.programs.wallet.is_none() && self.programs.wallet_new.is_none() {
                continue;
            }
            let snapshot = self.context.view.snapshot();
            let wanted = *hash;
            let block = tokio::task::spawn_blocking(move || snapshot.block(&wanted)).await;
            let Ok(Ok(Some(block))) = block else { continue };
            for transaction in block.transactions.iter().skip(1) {
                let first_seen = self.is_new(transaction.txid());
                let standing = Standing { first_seen, block: Some((*hash, height.0)) };
                self.on_transaction(transaction, standing);
            }
        }
    }

    fn on_transaction(&self, transaction: &Transaction, standing: Standing) {
        let only_new = self.programs.wallet.is_none();
        let Some(template) = self.programs.wallet.as_ref().or(self.programs.wallet_new.as_ref()) else { return };
        if only_new && !standing.first_seen {
            return;
        }
        let addresses = self.own_addresses(transaction);
        let entities = self.followed_entities(transaction);
        if addresses.is_empty() && entities.is_empty() {
            return;
        }
        let txid = transaction.txid();
        self.start(template, |token| match token {
            Token::Txid => txid.to_string(),
            Token::FirstSeen => if standing.first_seen { "1" } else { "0" }.to_owned(),
            Token::Height => standing.block.map_or("-1".to_owned(), |(_, height)| height.to_string()),
            Token::Block => standing.block.map_or(BlockHash::ZERO, |(hash, _)| hash).to_string(),
            Token::Hex => hex::encode(encode(transaction)),
            Token::Addresses => addresses.join(","),
            Token::Entities => entities.join(","),
            Token::Chain => self.context.parameters.chain_name().to_owned(),
            Token::Json => decode::transaction(&self.context, transaction)
                .map_or_else(|error| error.to_string(), |json| json.to_string()),
        });
    }

    fn own_addresses(&self, transaction: &Transaction) -> Vec<String> {
        let mut locks: Vec<Lock> = transaction.witnesses.iter().filter_map(|witness| witness.lock()).collect();
        locks.extend(transaction.body.outputs.iter().filter_map(|output| output.recipient));
        let mut addresses: Vec<String> = Vec::new();
        for lock in locks.iter().filter(|lock| self.context.wallet.contains(lock)) {
            let address = self.context.scheme.encode(lock);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    fn followed_entities(&self, transaction: &Transaction) -> Vec<String> {
        let mut entities: Vec<Txid> = Vec::new();
        for (_, operation) in transaction.operations() {
            let Operation::Publish(publish) = operation else { continue };
            if !entities.contains(&publish.stream) && self.context.store.subscription(publish.stream).is_some() {
                entities.push(publish.stream);
            }
        }
        entities.iter().map(Txid::to_string).collect()
    }

    fn start(&self, template: &Template, value: impl Fn(Token) -> String) {
        let Ok(waiting) = Arc::clone(&self.waiting).try_acquire_owned() else {
            tracing::warn!(program = template.text(), "a notification was left out: too many wait");
            return;
        };
        let places = Arc::clone(&self.places);
        let (script, values) = template.fill(value);
        let text = template.text().to_owned();
        tokio::spawn(async move {
            let _waiting = waiting;
            let Ok(_place) = places.acquire().await else { return };
            let mut command = Command::new("/bin/sh");
            command.arg("-c").arg(script).arg("sh").args(values).kill_on_drop(true);
            command.stdin(std::process::Stdio::null());
            match tokio::time::timeout(PROGRAM_TIME, command.status()).await {
                Ok(Ok(status)) if status.success() => {}
                Ok(Ok(status)) => tracing::warn!(program = text, %status, "a notification program failed"),
                Ok(Err(error)) => tracing::warn!(program = text, %error, "a notification program did not start"),
                Err(_) => tracing::warn!(program = text, "a notification program was ended: it took too long"),
            }
        });
    }
}
