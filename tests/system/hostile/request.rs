//! Requests: for what does not exist, for much with little, for much that is then not read.

use std::time::Duration;

use futures::AsyncWriteExt as _;
use rota_chain::hash::{BlockHash, ChunkHash, FullHash, Txid};
use rota_p2p::raw::{Door, RawPeer, answer};
use rota_p2p::{Request, wire};
use serde_json::json;

use super::arena::{Arena, Expected};

/// Longest answer that is read.
const ANSWER: u32 = 16 << 20;
/// Requests at once: as many as a node answers for one peer.
const AT_ONCE: usize = 32;
/// Bytes of each large item.
const ITEM: usize = 1_000_000;

async fn send(arena: &Arena, peer: &RawPeer, request: &Request) -> std::io::Result<rota_p2p::raw::RawStream> {
    let mut stream = peer.open(&Door::Exchange(request.protocol()).name(&arena.params_hash)).await?;
    stream.write_all(&wire::request_frame(request)).await?;
    stream.flush().await?;
    Ok(stream)
}

async fn ask(arena: &Arena, peer: &RawPeer, request: &Request) -> std::io::Result<Vec<u8>> {
    let mut stream = send(arena, peer, request).await?;
    answer(&mut stream, ANSWER).await
}

/// Requests in bounds for what is not there.
fn absent() -> Vec<Request> {
    let (block, stop) = (BlockHash([0xfe; 32]), BlockHash([0xfd; 32]));
    vec![
        Request::Headers { locator: vec![block; 64], stop, limit: 2_000 },
        Request::Headers { locator: Vec::new(), stop, limit: 0 },
        Request::Blocks { hashes: vec![block; 16] },
        Request::Transactions { hashes: vec![FullHash([0xfc; 32]); 1_000] },
        Request::TransactionsById { txids: vec![Txid([0xfb; 32]); 1_000] },
        Request::PoolInventory { after: FullHash([0xff; 32]), limit: 10_000 },
        Request::BlockTransactions { block, indexes: (0..65_536).collect() },
        Request::Chunks { stream: Txid([0xfa; 32]), hashes: vec![ChunkHash([0xf9; 32]); 64] },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_cost_the_node_no_more_than_it_can_bear() {
    let arena = Arena::open().await;
    let peer = arena.enter().await;
    arena
        .attack("requests for what does not exist", Expected::Borne, (1, u64::MAX), async |_| {
            // As fast as may be: more would be a flood.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let requests = absent();
            let answers = futures::future::join_all(requests.iter().map(|request| ask(&arena, &peer, request))).await;
            for (request, answer) in requests.iter().zip(answers) {
                assert!(answer.is_ok(), "{request:?}: {answer:?}");
            }
            None
        })
        .await;
    let a = arena.target();
    let mut hashes: Vec<BlockHash> = Vec::new();
    for number in 0..4 {
        let txid = a.publish("s", &format!("large{number}"), &"ab".repeat(ITEM)).await;
        a.wait_confirmed(&txid).await;
        let shown = a.call("getwallettransaction", json!([txid])).await;
        hashes.push(shown["blockhash"].as_str().expect("a block").parse().expect("a block hash"));
    }
    hashes.dedup();
    let shown = a.call("getblock", json!([hashes[0].to_string()])).await;
    let last = u32::try_from(shown["tx"].as_array().expect("a list of transactions").len() - 1).expect("few");
    let times = |times| Request::Blocks { hashes: vec![hashes[0]; times] };
    let once = ask(&arena, &peer, &times(1)).await.expect("an answer");
    let again = ask(&arena, &peer, &times(16)).await.expect("an answer");
    assert!(again.len() < once.len() + ITEM, "a block that was asked for 16 times was given more than once");
    arena
        .attack("requests that amplify", Expected::Borne, (1, u64::MAX), async |_| {
            let request = Request::Blocks { hashes: hashes.iter().copied().cycle().take(16).collect() };
            let inventory = Request::PoolInventory { after: FullHash::ZERO, limit: 10_000 };
            // The last transaction of a large block: few bytes, much work.
            let little = Request::BlockTransactions { block: hashes[0], indexes: vec![last] };
            let headers = Request::Headers { locator: Vec::new(), stop: BlockHash::ZERO, limit: 2_000 };
            let asked = (0..AT_ONCE / 4).flat_map(|_| [&request, &inventory, &little, &headers]);
            let asked = asked.map(|request| ask(&arena, &peer, request));
            for answered in futures::future::join_all(asked).await {
                assert!(answered.is_ok(), "{answered:?}");
            }
            None
        })
        .await;
    assert!(peer.is_open());
    let slow = arena.enter().await;
    arena
        .attack("answers that are not read", Expected::Borne, (1, 3), async |_| {
            let request = Request::Blocks { hashes: hashes.clone() };
            let mut unread = Vec::new();
            for _ in 0..60 {
                unread.extend(tokio::time::timeout(Duration::from_secs(1), send(&arena, &slow, &request)).await);
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
            // Others are answered meanwhile.
            let answered = ask(&arena, &peer, &request).await;
            assert!(answered.is_ok_and(|bytes| bytes.len() > ITEM));
            None
        })
        .await;
    arena.settle().await;
}
