//! Crashes, restarts, rebuilding, and long random histories: the state is always that of the active chain.

use std::collections::BTreeMap;
use std::sync::Arc;

use rota_chain::amount::Height;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::permission::{BlockRange, Permission};
use rota_storage::{BlockEntry, BlockStatus, Location};

use super::world::{Chain, FIRST, Node};
use crate::ledger::BlockOutcome;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

#[test]
fn blocks_that_the_database_lost_are_taken_from_the_block_files() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let blocks = maker.mine_many(FIRST, 4, 0);
    node.take_all(&blocks[..1]);
    for block in &blocks[1..3] {
        node.ledger.store().append_block(block).unwrap();
    }
    let mut node = node.restart();
    assert_eq!(node.tip(), blocks[2].hash());
    assert!(matches!(node.take(&blocks[1]), BlockOutcome::Known));
    assert!(matches!(node.take(&blocks[3]), BlockOutcome::Applied));
    assert_eq!(node.state_hash(), maker.state_hash());
}

#[test]
fn a_block_that_is_applied_at_the_start_does_not_empty_the_journal() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    // More than the journal keeps beyond what is needed.
    let txids: Vec<_> = (0..20_001).map(|number| node.submit(node.data(FIRST, number))).collect();
    let block = maker.mine(FIRST, 10);
    node.ledger.store().append_block(&block).unwrap();
    for _ in 0..2 {
        node = node.restart();
        assert_eq!(node.tip(), block.hash());
        assert!(txids.iter().all(|txid| node.waits(txid)));
    }
}

#[test]
fn a_block_that_was_noted_and_not_applied_is_applied_at_the_next_start() {
    let chain = Chain::new();
    let (mut maker, node) = (chain.node("maker"), chain.node("node"));
    let block = maker.mine(FIRST, 10);
    let store = node.ledger.store();
    let body = store.append_block(&block).unwrap();
    let entry = BlockEntry {
        header: block.signed,
        height: Height(1),
        chainwork: 2,
        size: u32::try_from(block.size()).unwrap(),
        transactions: 1,
        body: Some(body),
        undo: None,
        status: BlockStatus::Body,
        sequence: 1,
        received: 0,
        governance: false,
    };
    store.put_block_entry(&block.hash(), &entry).unwrap();
    let node = node.restart();
    assert_eq!((node.tip(), node.state_hash()), (block.hash(), maker.state_hash()));
}

#[test]
fn a_block_that_was_noted_and_not_written_is_forgotten_with_what_stands_on_it() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    node.mine(FIRST, 11);
    let tip = node.tip();
    let blocks = maker.mine_many(FIRST, 3, 0);
    node.take_all(&blocks[..1]);
    let store = node.ledger.store();
    let whole = store.append_block(&blocks[2]).unwrap();
    let body = |offset| Location { offset: whole.offset + offset, ..whole };
    for (block, height, body) in [(&blocks[1], 2, body(100_000)), (&blocks[2], 3, whole)] {
        let mut entry = store.block_entry(&blocks[0].hash()).unwrap().unwrap();
        entry.header = block.signed;
        entry.height = Height(height);
        entry.chainwork = u128::from(height) + 1;
        entry.body = Some(body);
        entry.sequence += u64::from(height);
        store.put_block_entry(&block.hash(), &entry).unwrap();
    }
    let mut node = node.restart();
    assert_eq!(node.tip(), tip);
    let entry = node.view.snapshot().block_entry(&blocks[1].hash()).unwrap().unwrap();
    assert_eq!(entry.body, None, "readers know it too: they would never ask for it again");
    assert_eq!(node.tip_status(&blocks[0].hash()), Some("valid-fork"));
    assert!(matches!(node.take(&blocks[2]), BlockOutcome::Orphan));
    assert!(matches!(node.take(&blocks[1]), BlockOutcome::Applied));
    assert!(matches!(node.take(&blocks[2]), BlockOutcome::Applied));
    assert_eq!(node.state_hash(), maker.state_hash());
}

#[test]
fn a_branch_on_disk_goes_on_after_a_restart() {
    let chain = Chain::new();
    let (mut left, mut right) = (chain.node("left"), chain.node("right"));
    let txid = left.submit(left.data(FIRST, 1));
    left.mine_many(FIRST, 3, 0);
    let tip = left.tip();
    let other = right.mine_many(FIRST, 4, 1);
    left.take_all(&other[..3]);
    let mut left = left.restart();
    assert_eq!(left.tip(), tip, "the first received stays the first");
    assert_eq!(left.tip_status(&other[2].hash()), Some("valid-fork"));
    assert!(matches!(left.take(&other[3]), BlockOutcome::Applied));
    assert_eq!(left.state_hash(), right.state_hash());
    assert!(left.waits(&txid));
    let left = left.restart();
    assert_eq!(left.tip(), other[3].hash());
    assert_eq!(left.waiting(), [txid]);
}

#[test]
fn marks_survive_a_restart() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let blocks = node.mine_many(FIRST, 3, 0);
    node.ledger.invalidate(blocks[1].hash()).unwrap();
    let mut node = node.restart();
    assert_eq!(node.tip(), blocks[0].hash());
    assert_eq!(node.tip_status(&blocks[2].hash()), Some("invalid"));
    node.ledger.reconsider(blocks[1].hash()).unwrap();
    assert_eq!(node.tip(), blocks[2].hash());
}

#[test]
fn a_rebuilt_database_has_the_same_tip_state_and_branches() {
    let chain = Chain::new();
    let (mut node, mut other) = (chain.node("node"), chain.node("other"));
    let stream = node.submit(node.stream(FIRST, "s", 1));
    node.mine_many(FIRST, 2, 0);
    node.submit(node.item(FIRST, stream, 2));
    node.submit(node.grant(2, &[Permission::Mine, Permission::Send], BlockRange::ALWAYS, 3));
    let side = other.mine_many(FIRST, 3, 1);
    node.take_all(&side);
    node.mine_many(FIRST, 3, 0);
    let waits = node.submit(node.data(FIRST, 9));
    let (tip, state, tips) = (node.tip(), node.state_hash(), node.ledger.chain_tips().unwrap());
    assert_eq!(tips.len(), 2);
    let mut node = node.reindex();
    assert_eq!((node.tip(), node.state_hash()), (tip, state));
    assert_eq!(node.ledger.chain_tips().unwrap(), tips);
    assert_eq!(node.waiting(), [waits]);
    node.mine(2, 100);
    let next = node.tip();
    let node = node.restart();
    assert_eq!(node.tip(), next);
    assert!(node.is_confirmed(&waits));
}

#[test]
fn a_rebuild_that_was_broken_off_goes_on_at_the_next_start() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    node.mine_many(FIRST, 4, 0);
    let (tip, state) = (node.tip(), node.state_hash());
    let mut node = node.reindex_broken_off();
    assert_eq!((node.tip(), node.state_hash()), (tip, state));
    node.mine(FIRST, 9);
    let next = node.tip();
    assert_eq!(node.restart().tip(), next, "and once only");
}

/// What a random history is made from.
struct History {
    numbers: Numbers,
    nonce: u64,
    streams: Vec<Txid>,
}

impl History {
    /// Offers the node a transaction, which it may refuse.
    fn act(&mut self, node: &mut Node) {
        self.nonce += 1;
        let who = u8::try_from(self.numbers.below(4)).unwrap() + 1;
        let end = node.height() + 1 + u32::try_from(self.numbers.below(12)).unwrap();
        let range = [BlockRange::ALWAYS, BlockRange::NEVER, BlockRange { start: 0, end }][self.numbers.below(3)];
        let right = [Permission::Send, Permission::Create, Permission::Connect, Permission::Receive];
        let tx = match self.numbers.below(4) {
            0 => node.grant(who + 1, &[right[self.numbers.below(4)]], range, self.nonce),
            1 => node.stream(who, &format!("s{}", self.numbers.below(6)), self.nonce),
            2 if !self.streams.is_empty() => {
                node.item(who, self.streams[self.numbers.below(self.streams.len())], self.nonce)
            }
            _ => node.data(who, self.nonce),
        };
        let is_stream = tx.transaction().operations().any(|(_, operation)| operation.creates_entity());
        if let Ok(txid) = node.try_submit(tx)
            && is_stream
        {
            self.streams.push(txid);
        }
    }
}

/// Many blocks on random earlier ones, each after its parent.
fn random_tree(maker: &mut Node, genesis: BlockHash, seed: u64) -> Vec<Arc<Block>> {
    let mut history = History { numbers: Numbers(seed), nonce: 0, streams: Vec::new() };
    let mut known = vec![genesis];
    let mut blocks = Vec::new();
    for round in 0..60u64 {
        // Mostly near the newest, sometimes anywhere.
        let recent = known.len().saturating_sub(4);
        let at = match history.numbers.below(6) {
            0 => history.numbers.below(known.len()),
            _ => recent + history.numbers.below(known.len() - recent),
        };
        maker.ledger.set_last_block(known[at]).unwrap();
        for _ in 0..history.numbers.below(5) {
            history.act(maker);
        }
        let block = maker.mine(FIRST, u64::from(maker.height() + 1) * 100 + round);
        known.push(block.hash());
        blocks.push(block);
    }
    maker.ledger.reconsider_branches().unwrap();
    blocks
}

#[test]
fn whatever_path_led_to_a_chain_its_state_is_the_same() {
    for seed in 1..=3 {
        let chain = Chain::new();
        let (mut maker, mut follower, mut replayed) =
            (chain.node("maker"), chain.node("follower"), chain.node("replayed"));
        let blocks = random_tree(&mut maker, chain.genesis(), seed);
        let mut switches = 0;
        for block in &blocks {
            let before = follower.tip();
            follower.take_all(std::slice::from_ref(block));
            let moved = follower.tip() != before;
            switches += u32::from(moved && block.header().previous != before);
            follower.state_hash();
        }
        assert!(switches > 0, "seed {seed} made no reorganisation");
        assert!(blocks.iter().any(|block| block.transactions.len() > 1));
        replayed.take_all(&follower.chain());
        assert_eq!(replayed.tip(), follower.tip());
        assert_eq!(replayed.state_hash(), follower.state_hash());
        assert_eq!(maker.view.tip().height, follower.view.tip().height);

        maker.ledger.set_last_block(follower.tip()).unwrap();
        assert_eq!(maker.state_hash(), follower.state_hash());
        let (tip, state) = (follower.tip(), follower.state_hash());
        assert_eq!(records(&follower), records(&replayed));
        let follower = follower.reindex();
        assert_eq!((follower.tip(), follower.state_hash()), (tip, state));
    }
}

/// Every element of the state, as text by key.
fn records(node: &Node) -> BTreeMap<String, String> {
    let mut records = BTreeMap::new();
    let visit = |key, value| drop(records.insert(format!("{key:?}"), format!("{value:?}")));
    node.view.snapshot().for_each_element(visit).unwrap();
    records
}

#[test]
fn a_crash_at_any_moment_of_a_random_history_loses_nothing_that_was_acknowledged() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let blocks = random_tree(&mut maker, chain.genesis(), 7);
    let mut history = History { numbers: Numbers(99), nonce: 1_000_000, streams: Vec::new() };
    let mut promised: Vec<Txid> = Vec::new();
    for block in blocks {
        let tx = node.data(FIRST, 5_000_000 + history.nonce);
        history.nonce += 1;
        promised.push(node.submit(tx));
        node.take_all(std::slice::from_ref(&block));
        if history.numbers.below(8) == 0 {
            let (tip, state) = (node.tip(), node.state_hash());
            node = node.restart();
            assert_eq!((node.tip(), node.state_hash()), (tip, state));
        }
    }
    assert!(promised.iter().all(|txid| node.waits(txid)));
    node.mine(FIRST, 100_000);
    assert!(promised.iter().all(|txid| node.is_confirmed(txid)));
    let node = node.restart();
    assert!(node.waiting().is_empty());
}

#[test]
fn a_database_that_kept_more_than_the_block_files_is_rebuilt_from_them() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let waits = node.submit(node.data(FIRST, 1));
    let blocks = maker.mine_many(FIRST, 4, 0);
    node.take_all(&blocks[..2]);
    let kept = node.block_bytes();
    node.ledger.set_catching_up(true);
    node.take_all(&blocks[2..]);
    let mut node = node.restart_with_files_cut(kept + 20);
    assert_eq!(node.tip(), blocks[1].hash());
    assert_eq!(node.waiting(), [waits]);
    node.take_all(&blocks[2..]);
    assert_eq!((node.tip(), node.state_hash()), (maker.tip(), maker.state_hash()));
}
