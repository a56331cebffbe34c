//! Blocks that are not what they seem: good headers over bad bodies, headers of throw-away keys.

use std::time::Duration;

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::block::{BLOCK_VERSION, Block, BlockHeader};
use rota_chain::hash::StateHash;
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::merkle::merkle_root;
use rota_chain::transaction::{Output, Transaction};
use serde_json::json;

use super::arena::{Arena, Expected};
use crate::harness::peer::HandMade;
use crate::harness::view::text;

/// Longest wait for a node's interest in a block.
const PATIENCE: Duration = Duration::from_secs(12);

/// A block upon the tip that `key` signs; its state hash is one of nothing.
async fn forged(arena: &Arena, key: &PrivateKey) -> Block {
    let genesis = arena.target().hash_at(0).await.parse().expect("a block hash");
    let (tip, signed) = arena.tip().await;
    let coinbase = {
        let reward = Output::payment(Lock::Key(key.public_key().key_hash()), Amount::ZERO);
        Transaction::coinbase(Height(tip.height.0 + 1), vec![reward])
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let header = BlockHeader {
        version: BLOCK_VERSION,
        previous: tip.hash,
        merkle_root: merkle_root(&[coinbase.full_hash()]),
        state_hash: StateHash([0x66; 32]),
        time: Timestamp(u32::try_from(now).expect("before 2106")),
        bits: signed.header.bits,
        nonce: 0,
        miner: key.public_key().key_hash(),
    };
    Block { signed: header.sign(&genesis, key), transactions: vec![coinbase] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_are_not_what_their_headers_say_are_named_and_stop_nothing() {
    let arena = Arena::open().await;
    arena
        .attack("headers of throw-away keys", Expected::Named("block"), (1, 3), async |_| {
            let key = arena.member();
            let peer = HandMade::enter(&key, &arena.set, arena.target()).await;
            let offence = std::time::Instant::now();
            let block = forged(&arena, &key).await;
            // Named at the announcement, before anything is asked for.
            tokio::select! {
                _ = peer.offer_block(block, PATIENCE) => {}
                _ = peer.parted(PATIENCE) => {}
            }
            peer.parted(PATIENCE).await.then(|| offence.elapsed())
        })
        .await;
    arena
        .attack("a good header over a bad body", Expected::Named("is invalid"), (1, 2), async |_| {
            let key = arena.member();
            let address = arena.set.address_scheme().encode_key_hash(&key.public_key().key_hash());
            let grant = arena.target().call("grant", json!([address, "mine"])).await;
            arena.target().wait_confirmed(&text(&grant)).await;
            let peer = HandMade::enter(&key, &arena.set, arena.target()).await;
            loop {
                let block = forged(&arena, &key).await;
                let offence = std::time::Instant::now();
                let asked = tokio::select! {
                    asked = peer.offer_block(block, Duration::from_secs(2)) => asked,
                    _ = peer.parted(PATIENCE) => None,
                };
                if peer.parted(Duration::from_secs(2)).await {
                    return Some(asked.unwrap_or(offence).elapsed());
                }
                // The tip had moved on before the block was looked at.
            }
        })
        .await;
    let height = arena.target().height().await;
    arena.chain.wait_height(height + 2).await;
    arena.settle().await;
}
