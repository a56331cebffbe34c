//! Branches beside the chain by those whose turn it is not: they must take no room on disk, however heavy they look.

use std::sync::Arc;

use rota_chain::block::Block;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::transaction::Transaction;
use rota_params::Parameter;

use super::super::world::{Chain, FIRST, Node};
use super::draft::draft;
use crate::ledger::BlockOutcome;

const ACTOR: u8 = 2;
const OTHER: u8 = 3;

/// A chain on which every miner must wait for all others.
fn chain() -> Chain {
    Chain::with(&[(Parameter::MiningDiversity, "1.0"), (Parameter::SetupFirstBlocks, "1")])
}

/// A node that knows these blocks alone.
fn after(chain: &Chain, name: &str, blocks: &[Arc<Block>]) -> Node {
    let mut node = chain.node(name);
    node.take_all(blocks);
    node
}

/// A miner's block after these, with nothing in it.
fn forged(chain: &Chain, name: &str, blocks: &[Arc<Block>], miner: u8) -> Arc<Block> {
    after(chain, name, blocks).block_of(miner, 1_000, Vec::new())
}

/// A block is refused for this rule and leaves no trace.
fn refused(node: &mut Node, block: &Arc<Block>, code: &str) {
    let bytes = node.block_bytes();
    let outcome = node.take(block);
    assert!(matches!(&outcome, BlockOutcome::Invalid(rule) if rule.code() == code), "{outcome:?}");
    assert_eq!((node.status(&block.hash()), node.block_bytes()), (None, bytes));
}

fn stored(node: &mut Node, block: &Arc<Block>) {
    let outcome = node.take(block);
    assert!(matches!(outcome, BlockOutcome::Stored), "{outcome:?}");
}

/// The actor mines from block 2 on and is revoked in block 3; five blocks in all.
fn revoked(chain: &Chain) -> Node {
    let mut node = chain.node("node");
    node.submit(node.grant(ACTOR, &[Permission::Mine], BlockRange::ALWAYS, 1));
    node.mine(FIRST, 10);
    node.mine(ACTOR, 20);
    node.submit(node.grant(ACTOR, &[Permission::Mine], BlockRange::NEVER, 2));
    node.mine(FIRST, 30);
    node.mine(FIRST, 40);
    node.mine(FIRST, 50);
    node
}

fn first_grant(node: &Node) -> Transaction {
    draft(5).by(FIRST).grant(OTHER, None, &[Permission::Mine], BlockRange::ALWAYS).sign(&node.rules.genesis)
}

#[test]
fn a_former_miner_has_no_block_stored_that_leaves_the_chain_after_its_right_ended() {
    let chain = chain();
    let mut node = revoked(&chain);
    let blocks = node.chain();
    for (height, name) in [(3, "end"), (4, "later"), (5, "tip")] {
        refused(&mut node, &forged(&chain, name, &blocks[..height], ACTOR), "block-miner");
    }
    // Who still may has two blocks on one parent, as ever.
    stored(&mut node, &forged(&chain, "first", &blocks[..4], FIRST));
    let mut node = node.restart();
    refused(&mut node, &forged(&chain, "again", &blocks[..4], ACTOR), "block-miner");
}

#[test]
fn a_branch_of_one_miner_alone_is_stored_up_to_its_second_block() {
    let chain = chain();
    let mut node = revoked(&chain);
    let blocks = node.chain();
    let mut branch = blocks[..1].to_vec();
    branch.push(forged(&chain, "turn", &branch, ACTOR));
    stored(&mut node, &branch[1]);
    refused(&mut node, &forged(&chain, "second", &branch, ACTOR), "block-spacing");
    refused(&mut node, &forged(&chain, "own", &blocks[..2], ACTOR), "block-spacing");
    // The spacing is that of the fork: two mined there, one does at the tip.
    refused(&mut node, &forged(&chain, "first", &blocks[..1], FIRST), "block-spacing");
    branch.push(forged(&chain, "other", &branch, FIRST));
    stored(&mut node, &branch[2]);
    let mut node = node.restart();
    refused(&mut node, &forged(&chain, "fourth", &branch, FIRST), "block-spacing");
    stored(&mut node, &forged(&chain, "fourth of the actor", &branch, ACTOR));
}

#[test]
fn a_turn_on_a_branch_follows_what_the_branch_itself_grants_and_revokes() {
    let chain = chain();
    let mut node = chain.node("node");
    node.mine_many(FIRST, 8, 0);
    let mut branch = chain.node("branch");
    branch.submit(branch.grant(ACTOR, &[Permission::Mine], BlockRange::ALWAYS, 1));
    stored(&mut node, &branch.mine(FIRST, 11));
    refused(&mut node, &branch.block_of(OTHER, 21, Vec::new()), "block-miner");
    stored(&mut node, &branch.mine(ACTOR, 21));
    branch.submit(branch.grant(ACTOR, &[Permission::Mine], BlockRange::NEVER, 2));
    stored(&mut node, &branch.mine(FIRST, 31));
    let rest = branch.mine_many(FIRST, 6, 1);
    let (last, before) = rest.split_last().unwrap();
    before.iter().for_each(|block| drop(node.take(block)));
    let outcome = node.take(last);
    assert!(matches!(outcome, BlockOutcome::Applied), "{outcome:?}");
    assert_eq!((node.tip(), node.state_hash()), (branch.tip(), branch.state_hash()));
}

#[test]
fn a_grant_by_who_never_administered_opens_no_branch() {
    let chain = chain();
    let mut node = revoked(&chain);
    let blocks = node.chain();
    let grant = draft(9).by(ACTOR).grant(OTHER, None, &[Permission::Mine], BlockRange::ALWAYS);
    let maker = after(&chain, "maker", &blocks[..1]);
    let bogus = maker.block_of(ACTOR, 1_000, vec![grant.sign(&node.rules.genesis)]);
    stored(&mut node, &bogus);
    let (mut header, transactions) = maker.template(OTHER, 1_010, Vec::new());
    header.previous = bogus.hash();
    let next = maker.sign_block(header, transactions, OTHER);
    refused(&mut node, &next, "block-miner");
    let mut node = node.restart();
    refused(&mut node, &next, "block-miner");
    assert_eq!(node.height(), 5);
}

#[test]
fn a_revoke_taken_into_a_branch_of_who_it_revokes_makes_it_no_longer() {
    let chain = chain();
    let mut node = revoked(&chain);
    let blocks = node.chain();
    let revoke = blocks[2].transactions[1].clone();
    let own = after(&chain, "maker", &blocks[..1]).block_of(ACTOR, 1_000, vec![revoke]);
    stored(&mut node, &own);
    refused(&mut node, &forged(&chain, "next", &[blocks[0].clone(), own], ACTOR), "block-spacing");
}

#[test]
fn a_true_grant_taken_into_a_branch_opens_it_to_its_recipient_alone() {
    let chain = chain();
    let mut node = chain.node("node");
    node.submit(node.grant(ACTOR, &[Permission::Mine], BlockRange::ALWAYS, 1));
    node.mine(FIRST, 10);
    node.mine(ACTOR, 20);
    let grant = first_grant(&node);
    node.offer(&grant).unwrap();
    for (miner, time) in [(FIRST, 30), (OTHER, 40), (ACTOR, 50), (FIRST, 60)] {
        node.mine(miner, time);
    }
    let blocks = node.chain();
    // The actor takes the grant of block 3 into a block of its own after block 1.
    let maker = after(&chain, "maker", &blocks[..1]);
    let own = maker.block_of(ACTOR, 1_000, vec![grant]);
    stored(&mut node, &own);
    let branch = [blocks[0].clone(), own];
    refused(&mut node, &forged(&chain, "again", &branch, ACTOR), "block-spacing");
    refused(&mut node, &forged(&chain, "stranger", &branch, 9), "block-miner");
    stored(&mut node, &forged(&chain, "recipient", &branch, OTHER));
}
