//! Load on a node that is about to die: publishers, new addresses, off-chain data and reorganisations, and what the node
//! promised meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rota_api::client::{Client, ClientError};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::node::Node;

/// Callers that publish at once.
const PUBLISHERS: usize = 4;
/// Pauses of those who do rarer things.
const NEW_ADDRESS: Duration = Duration::from_millis(40);
const OFFCHAIN: Duration = Duration::from_millis(60);
const REORGANISE: Duration = Duration::from_millis(250);

/// What a node promised by answering.
#[derive(Debug, Default)]
pub struct Promises {
    /// Transactions whose ids were returned.
    pub txids: Vec<String>,
    /// Addresses that were returned.
    pub addresses: Vec<String>,
    /// Blocks that were declared invalid, and maybe not taken back.
    pub invalidated: Vec<String>,
}

impl Promises {
    /// Takes in what another caller was promised.
    pub fn absorb(&mut self, other: Promises) {
        self.txids.extend(other.txids);
        self.addresses.extend(other.addresses);
        self.invalidated.extend(other.invalidated);
    }
}

/// Callers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Promises>,
}

impl Load {
    /// Sets all callers on a node.
    pub fn on(node: &Node) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..PUBLISHERS {
            tasks.spawn(publish(node.client(), Arc::clone(&stop)));
        }
        tasks.spawn(make_addresses(node.client(), Arc::clone(&stop)));
        tasks.spawn(publish_offchain(node.client(), Arc::clone(&stop)));
        tasks.spawn(reorganise(node.client(), Arc::clone(&stop)));
        Load { stop, tasks }
    }

    /// Ends the callers and gives what they were promised. The node is dead, or told to be.
    pub async fn end(mut self) -> Promises {
        self.stop.store(true, Ordering::Relaxed);
        let mut promises = Promises::default();
        while let Some(done) = self.tasks.join_next().await {
            promises.absorb(done.unwrap_or_default());
        }
        promises
    }
}

/// The text an answer is, if it is one.
fn text(answer: Result<Value, ClientError>) -> Option<String> {
    answer.ok()?.as_str().map(str::to_owned)
}

/// Whether the node is gone, or the caller was told to end.
fn over(answer: &Result<Value, ClientError>, stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed) || matches!(answer, Err(error) if error.code().is_none())
}

/// Content that no other item has.
fn content() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("item {} of process {}", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}

async fn publish(client: Client, stop: Arc<AtomicBool>) -> Promises {
    let mut promises = Promises::default();
    loop {
        let answer = client.call("publish", json!(["s", "key", {"text": content()}])).await;
        let over = over(&answer, &stop);
        promises.txids.extend(text(answer));
        if over {
            return promises;
        }
    }
}

async fn make_addresses(client: Client, stop: Arc<AtomicBool>) -> Promises {
    let mut promises = Promises::default();
    loop {
        let answer = client.call("getnewaddress", json!([])).await;
        let over = over(&answer, &stop);
        promises.addresses.extend(text(answer));
        if over {
            return promises;
        }
        tokio::time::sleep(NEW_ADDRESS).await;
    }
}

async fn publish_offchain(client: Client, stop: Arc<AtomicBool>) -> Promises {
    let mut promises = Promises::default();
    loop {
        let data = json!({"text": format!("{} {}", content(), "chunk ".repeat(40))});
        let answer = client.call("publish", json!(["s", "offchain", data, "offchain"])).await;
        let over = over(&answer, &stop);
        let txid = text(answer);
        promises.txids.extend(txid.clone());
        if over {
            return promises;
        }
        if let Some(txid) = txid.filter(|_| promises.txids.len().is_multiple_of(3)) {
            // What is given up here stays published: the transaction has to be there all the same.
            let _ = client.call("purgepublisheditems", json!([txid])).await;
        }
        tokio::time::sleep(OFFCHAIN).await;
    }
}

async fn reorganise(client: Client, stop: Arc<AtomicBool>) -> Promises {
    let mut promises = Promises::default();
    loop {
        tokio::time::sleep(REORGANISE).await;
        let height = client.call("getblockcount", json!([])).await;
        if over(&height, &stop) {
            return promises;
        }
        // The last block or the two last ones.
        let back = promises.invalidated.len() as u64 % 2;
        let height = height.ok().and_then(|height| height.as_u64()).unwrap_or(0).saturating_sub(back);
        let Some(hash) = text(client.call("getblockhash", json!([height])).await).filter(|_| height > 20) else {
            continue;
        };
        promises.invalidated.push(hash.clone());
        let undone = client.call("invalidateblock", json!([hash])).await;
        let redone = client.call("reconsiderblock", json!([hash])).await;
        if over(&undone, &stop) || over(&redone, &stop) {
            return promises;
        }
    }
}
