//! One block at a time: what becomes of good and bad ones.

use std::sync::Arc;

use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, StateHash};
use rota_chain::permission::{BlockRange, Permission};
use rota_consensus::rule::{BlockRule, Rule};
use rota_storage::BlockStatus;

use super::world::{Chain, FIRST, Node, START, key, lock};
use crate::context::unix_time;
use crate::ledger::{BlockOutcome, LedgerError, LedgerEvent};
use crate::pause::Task;

/// A block for the tip that states a wrong state before it.
fn wrong_state(node: &Node, time: u64) -> Arc<Block> {
    let (mut header, transactions) = node.template(FIRST, time, Vec::new());
    header.state_hash = StateHash([9; 32]);
    node.sign_block(header, transactions, FIRST)
}

#[test]
fn a_block_on_the_tip_extends_the_chain_and_confirms_its_transactions() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let txid = maker.submit(maker.data(FIRST, 1));
    let block = maker.mine(FIRST, 10);
    assert!(maker.is_confirmed(&txid) && !maker.waits(&txid));
    let outcome = node.take(&block);
    assert!(matches!(outcome, BlockOutcome::Applied), "{outcome:?}");
    assert_eq!((node.tip(), node.height()), (block.hash(), 1));
    assert!(node.is_confirmed(&txid));
    assert_eq!(node.state_hash(), maker.state_hash());
    let events = node.events();
    let [LedgerEvent::Tip { tip, applied, undone }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(tip.hash, block.hash());
    assert_eq!(applied.as_slice(), [(block.hash(), tip.height)]);
    assert!(undone.is_empty());
    assert!(matches!(node.take(&block), BlockOutcome::Known));
}

#[test]
fn a_block_without_its_parent_is_an_orphan_until_the_parent_comes() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let blocks = maker.mine_many(FIRST, 2, 0);
    assert!(matches!(node.take(&blocks[1]), BlockOutcome::Orphan));
    assert_eq!(node.status(&blocks[1].hash()), None);
    node.take_all(&blocks);
    assert_eq!(node.tip(), blocks[1].hash());
}

#[test]
fn a_block_far_ahead_is_held_and_not_marked() {
    let chain = Chain::new();
    let (maker, mut node) = (chain.node("maker"), chain.node("node"));
    let ahead = unix_time() + 1_000;
    let (header, transactions) = maker.template(FIRST, ahead - START, Vec::new());
    let block = maker.sign_block(header, transactions, FIRST);
    let outcome = node.take(&block);
    // Ten block times of 15 s are 150 s.
    assert!(matches!(outcome, BlockOutcome::Future { until } if until == ahead - 150), "{outcome:?}");
    assert_eq!(node.status(&block.hash()), None);
    assert_eq!(node.height(), 0);
}

#[test]
fn a_block_a_little_ahead_is_applied() {
    let chain = Chain::new();
    let (maker, mut node) = (chain.node("maker"), chain.node("node"));
    let (header, transactions) = maker.template(FIRST, unix_time() + 100 - START, Vec::new());
    let block = maker.sign_block(header, transactions, FIRST);
    assert!(matches!(node.take(&block), BlockOutcome::Applied));
}

#[test]
fn paused_incoming_holds_off_blocks_of_peers_and_lets_own_ones_through() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let block = maker.mine(FIRST, 10);
    node.paused.set(Task::Incoming, true);
    assert!(matches!(node.take(&block), BlockOutcome::Paused));
    assert_eq!(node.height(), 0);
    let own = node.mine(FIRST, 11);
    assert_eq!(node.tip(), own.hash());
    node.paused.set(Task::Incoming, false);
    assert!(matches!(node.take(&block), BlockOutcome::Stored));
}

#[test]
fn a_bad_signature_condemns_the_message_and_not_the_id() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let block = maker.mine(FIRST, 10);
    let mut forged = Block::clone(&block);
    forged.signed.signature = block.header().sign(&BlockHash::ZERO, &key(2)).signature;
    let outcome = node.take(&Arc::new(forged));
    assert!(matches!(outcome, BlockOutcome::Message(BlockRule::Signature)), "{outcome:?}");
    assert_eq!(node.status(&block.hash()), None);
    assert!(matches!(node.take(&block), BlockOutcome::Applied));
}

#[test]
fn bodies_that_do_not_match_the_root_condemn_the_message_and_not_the_id() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    maker.submit(maker.data(FIRST, 1));
    let block = maker.mine(FIRST, 10);
    for change in [
        (|block: &mut Block| block.transactions.truncate(1)) as fn(&mut Block),
        |block| block.transactions.clear(),
        |block| block.transactions[1].witnesses.clear(),
        |block| block.transactions[1].body.nonce += 1,
        |block| {
            let last = block.transactions[1].clone();
            block.transactions.push(last);
        },
    ] {
        let mut changed = Block::clone(&block);
        change(&mut changed);
        let outcome = node.take(&Arc::new(changed));
        assert!(matches!(outcome, BlockOutcome::Message(BlockRule::MerkleRoot)), "{outcome:?}");
    }
    assert!(matches!(node.take(&block), BlockOutcome::Applied));
}

#[test]
fn a_block_that_breaks_a_rule_is_marked_and_refused_again_by_the_same_rule() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    node.mine(FIRST, 10);
    let bad = wrong_state(&node, 20);
    let outcome = node.take(&bad);
    let is_state =
        |outcome: &BlockOutcome| matches!(outcome, BlockOutcome::Invalid(Rule::Block(BlockRule::State { .. })));
    assert!(is_state(&outcome), "{outcome:?}");
    assert_eq!(node.status(&bad.hash()), Some(BlockStatus::Invalid));
    assert_eq!(node.tip_status(&bad.hash()), Some("invalid"));
    assert!(is_state(&node.take(&bad)));
    assert_eq!(node.height(), 1);
    node.mine(FIRST, 30);
    assert_eq!(node.height(), 2);
}

#[test]
fn a_block_whose_transactions_break_a_rule_is_marked_without_its_body() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let twice = node.data(FIRST, 1);
    let (mut header, mut transactions) = node.template(FIRST, 10, Vec::new());
    transactions.push(twice.transaction().as_ref().clone());
    transactions.push(twice.transaction().as_ref().clone());
    let mut block = Block::clone(&node.sign_block(header, transactions.clone(), FIRST));
    header.merkle_root = block.computed_merkle_root();
    block = Block::clone(&node.sign_block(header, transactions, FIRST));
    let outcome = node.take(&Arc::new(block.clone()));
    assert!(matches!(outcome, BlockOutcome::Invalid(Rule::Block(BlockRule::Twice { .. }))), "{outcome:?}");
    let entry = node.ledger.store().block_entry(&block.hash()).unwrap().unwrap();
    assert_eq!((entry.status, entry.body), (BlockStatus::Invalid, None));
    assert_eq!(node.tip_status(&block.hash()), Some("invalid"));
    // Nothing can be made of it by another look, and other blocks are not held up.
    node.ledger.reconsider(block.hash()).unwrap();
    node.mine(FIRST, 20);
    assert_eq!(node.height(), 1);
}

#[test]
fn a_block_of_somebody_who_never_could_mine_leaves_no_trace() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    node.mine_many(FIRST, 2, 0);
    let (header, transactions) = node.template(9, 30, Vec::new());
    let block = node.sign_block(header, transactions, 9);
    let outcome = node.take(&block);
    assert!(matches!(outcome, BlockOutcome::Invalid(Rule::Block(BlockRule::Miner { .. }))), "{outcome:?}");
    assert_eq!(node.status(&block.hash()), None);
}

#[test]
fn a_block_of_a_miner_whose_right_ended_is_refused_by_the_rule() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    node.submit(node.grant(2, &[Permission::Mine], BlockRange { start: 0, end: 3 }, 1));
    node.mine_many(FIRST, 1, 0);
    node.mine(2, 20);
    let (header, transactions) = node.template(2, 30, Vec::new());
    let block = node.sign_block(header, transactions, 2);
    let outcome = node.take(&block);
    assert!(matches!(outcome, BlockOutcome::Invalid(Rule::Block(BlockRule::Miner { .. }))), "{outcome:?}");
    assert_eq!(lock(2).key_hash(), Some(block.header().miner));
    assert_eq!(node.status(&block.hash()), None, "such blocks cost their maker nothing");
}

#[test]
fn a_version_that_is_not_known_leaves_no_trace() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let (mut header, transactions) = node.template(FIRST, 10, Vec::new());
    header.version = 7;
    let block = node.sign_block(header, transactions, FIRST);
    let outcome = node.take(&block);
    assert!(matches!(outcome, BlockOutcome::Invalid(Rule::Block(BlockRule::Version { version: 7 }))), "{outcome:?}");
    assert_eq!(node.status(&block.hash()), None);
}

#[test]
fn commands_about_blocks_that_are_not_here_say_so() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let unknown = BlockHash([8; 32]);
    let genesis = chain.genesis();
    let refused = |result: Result<(), LedgerError>| matches!(result, Err(LedgerError::UnknownBlock(_)));
    assert!(refused(node.ledger.set_last_block(unknown)));
    assert!(refused(node.ledger.invalidate(unknown)));
    assert!(refused(node.ledger.reconsider(unknown)));
    assert!(refused(node.ledger.invalidate(genesis)));
}
