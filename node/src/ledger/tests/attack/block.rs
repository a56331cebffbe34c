//! True headers with foreign signatures, bodies and lists: after each, and after all, the true block is taken on every
//! path.

use std::sync::Arc;
use std::time::Duration;

use rota_chain::block::Block;
use rota_chain::digest::full_digest;
use rota_chain::hash::{BlockHash, FullHash};
use rota_p2p::CompactBlock;

use super::super::world::{Chain, FIRST, Node, key, lock};
use super::draft::{draft, witness};
use super::peers::Peers;
use crate::ledger::BlockOutcome;

/// A way to lie about a block: what is announced, and what is given to who asks.
type Lie = (&'static str, Box<dyn Fn(&Node, &Block) -> (CompactBlock, Block)>);

fn honest(block: &Block) -> CompactBlock {
    CompactBlock::new(block.signed, block.full_hashes())
}

fn body(name: &'static str, change: fn(&Node, &mut Block)) -> Lie {
    let lie = move |node: &Node, block: &Block| {
        let mut forged = block.clone();
        change(node, &mut forged);
        // Announced whole, so that the body is asked for.
        (CompactBlock::new(block.signed, Vec::new()), forged)
    };
    (name, Box::new(lie))
}

fn list(name: &'static str, change: fn(&mut Vec<FullHash>)) -> Lie {
    let lie = move |_: &Node, block: &Block| {
        let mut hashes = block.full_hashes();
        change(&mut hashes);
        let mut forged = block.clone();
        forged.transactions.truncate(1);
        (CompactBlock::new(block.signed, hashes), forged)
    };
    (name, Box::new(lie))
}

fn signature(name: &'static str, change: fn(&Node, &mut Block)) -> Lie {
    let lie = move |node: &Node, block: &Block| {
        let mut forged = block.clone();
        change(node, &mut forged);
        (CompactBlock::new(forged.signed, block.full_hashes()), forged)
    };
    (name, Box::new(lie))
}

fn sign_with(block: &mut Block, genesis: &BlockHash, seed: u8) {
    block.signed.signature = block.header().sign(genesis, &key(seed)).signature;
}

fn lies() -> Vec<Lie> {
    vec![
        signature("signed by another", |node, block| sign_with(block, &node.rules.genesis, 2)),
        signature("signed for another chain", |_, block| sign_with(block, &BlockHash([9; 32]), FIRST)),
        signature("signature of zeros", |_, block| block.signed.signature.0 = [0; 65]),
        signature("recovery id of another key", |_, block| block.signed.signature.0[0] ^= 1),
        signature("recovery id out of range", |_, block| block.signed.signature.0[0] = 4),
        signature("recovery id 255", |_, block| block.signed.signature.0[0] = 255),
        body("signed by another in the body alone", |node, block| sign_with(block, &node.rules.genesis, 2)),
        body("no transactions", |_, block| block.transactions.clear()),
        body("the coinbase alone", |_, block| block.transactions.truncate(1)),
        body("a transaction twice", |_, block| {
            let last = block.transactions[1].clone();
            block.transactions.push(last);
        }),
        body("another order", |_, block| block.transactions.swap(1, 2)),
        body("witnesses stripped", |_, block| block.transactions[1].witnesses.clear()),
        body("a stranger's witness", |node, block| {
            let digest = full_digest(&node.rules.genesis, &block.transactions[1].txid(), &lock(7));
            block.transactions[1].witnesses = vec![witness(7, &digest)];
        }),
        body("a foreign transaction", |_, block| block.transactions[2].body.nonce += 1),
        body("another coinbase", |_, block| block.transactions[0].body.nonce += 1),
        list("hashes in another order", |hashes| hashes.swap(1, 2)),
        list("a hash too few", |hashes| hashes.truncate(2)),
        list("a hash twice", |hashes| hashes.push(hashes[1])),
        list("foreign hashes", |hashes| hashes[1] = FullHash([5; 32])),
        (
            "other transactions than the list says",
            Box::new(|_, block| {
                let mut forged = block.clone();
                forged.transactions[1] = draft(77).by(FIRST).pay(FIRST, 0).sign(&BlockHash::ZERO);
                (honest(block), forged)
            }),
        ),
        (
            "fewer transactions than asked for",
            Box::new(|_, block| {
                let mut forged = block.clone();
                forged.transactions.truncate(1);
                (honest(block), forged)
            }),
        ),
    ]
}

/// A block with two transactions that the node does not know.
fn next_block(maker: &mut Node, nonce: u64) -> Arc<Block> {
    maker.submit(maker.data(FIRST, nonce));
    maker.submit(maker.data(FIRST, nonce + 1));
    let time = u64::from(maker.height() + 1) * 10;
    maker.mine(FIRST, time)
}

#[test]
fn after_every_lie_about_a_block_the_true_one_is_taken_when_it_is_announced() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    for (number, (name, lie)) in (0u64..).zip(lies()) {
        let block = next_block(&mut maker, 10 * number);
        let mut peers = Peers::of(&mut node);
        let (liar, true_one) = (peers.connect(&mut node), peers.connect(&mut node));
        let (compact, forged) = lie(&node, &block);
        peers.announce(&mut node, liar, compact, forged);
        assert_ne!(node.tip(), block.hash(), "{name}");
        peers.announce_whole(&mut node, true_one, &block);
        peers.pass(&mut node, Duration::from_secs(11));
        assert_eq!(node.tip(), block.hash(), "{name}: {:?}", peers.accused);
        assert!(peers.accused.len() <= 1, "{name}: the liar alone is accused: {:?}", peers.accused);
    }
}

#[test]
fn all_lies_about_one_block_leave_no_trace_of_it() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let block = next_block(&mut maker, 1);
    let mut peers = Peers::of(&mut node);
    for (name, lie) in lies() {
        let liar = peers.connect(&mut node);
        let (compact, forged) = lie(&node, &block);
        peers.announce(&mut node, liar, compact, forged.clone());
        // The same bytes given to the ledger at once, as an answer to a request would be.
        if forged != *block {
            let outcome = node.take(&Arc::new(forged));
            assert!(matches!(outcome, BlockOutcome::Message(_)), "{name}: {outcome:?}");
        }
        assert_eq!(node.status(&block.hash()), None, "{name}");
    }
    let true_one = peers.connect(&mut node);
    peers.announce_whole(&mut node, true_one, &block);
    peers.pass(&mut node, Duration::from_secs(11));
    assert_eq!(node.tip(), block.hash(), "{:?}", peers.accused);
    drop(peers);
    let (tip, state) = (node.tip(), node.state_hash());
    let node = node.reindex();
    assert_eq!((node.tip(), node.state_hash()), (tip, state));
}
