//! Blocks: their form, their place on the branch, and which faults condemn the message and not the id.

use std::sync::Arc;

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::block::Block;
use rota_chain::hash::{MerkleRoot, ParamsHash, StateHash};
use rota_chain::key::RecoverableBytes;
use rota_chain::transaction::{Output, Transaction};
use rota_consensus::block::{apply_genesis, check_header};
use rota_consensus::rule::{BlockRule, Rule};

use crate::chain_builder::{BIRTH, Chain, STEP, rule};
use crate::transaction_builder::{broken, party};

/// Alice's empty block after the tip, changed, with its root recomputed and signed again.
fn changed(chain: &Chain, change: impl FnOnce(&mut Block)) -> Block {
    let mut block = chain.block_by(&party("alice"), Vec::new());
    change(&mut block);
    chain.reseal(block, &party("alice"), |_| ())
}

fn header_changed(chain: &Chain, change: impl FnOnce(&mut rota_chain::block::BlockHeader)) -> Block {
    let block = chain.block_by(&party("alice"), Vec::new());
    chain.reseal(block, &party("alice"), change)
}

#[track_caller]
fn refused(chain: &mut Chain, block: Block, code: &str) -> Rule {
    let refusal = chain.offer(block).expect_err("the block is valid");
    broken(refusal.clone(), code);
    refusal
}

#[test]
fn an_unknown_version_is_refused() {
    let mut chain = Chain::new();
    let block = header_changed(&chain, |header| header.version = 2);
    refused(&mut chain, block, "block-version");
}

#[test]
fn a_block_may_be_as_large_as_the_chain_allows_and_no_larger() {
    let mut chain = Chain::new();
    let block = chain.block_by(&party("alice"), Vec::new());
    let size = block.size();
    chain.rules.maximum_block_size = u32::try_from(size - 1).unwrap();
    refused(&mut chain, block.clone(), "block-size");
    chain.rules.maximum_block_size = u32::try_from(size).unwrap();
    assert!(chain.offer(block).is_ok());
}

#[test]
fn the_first_transaction_is_a_coinbase_of_this_height_that_pays_the_miner() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    let pay = |who: &crate::transaction_builder::Party| Output::payment(who.lock(), Amount::ZERO);
    let ordinary = chain.sign(chain.write().author(&alice).create("s"));
    let mut noted = Transaction::coinbase(Height(1), vec![pay(&alice)]);
    noted.body.nonce += 1;
    let wrong = [
        Transaction::coinbase(Height(2), vec![pay(&alice)]),
        Transaction::coinbase(Height(1), vec![pay(&bob)]),
        Transaction::coinbase(Height(1), vec![pay(&alice), pay(&alice)]),
        Transaction::coinbase(Height(1), Vec::new()),
        ordinary,
        noted,
    ];
    for coinbase in wrong {
        let block = changed(&chain, |block| block.transactions = vec![coinbase]);
        refused(&mut chain, block, "block-coinbase");
    }
    let empty = changed(&chain, |block| block.transactions.clear());
    refused(&mut chain, empty, "block-coinbase");
    let right = Transaction::coinbase(Height(1), vec![pay(&alice)]);
    let block = changed(&chain, |block| block.transactions = vec![right]);
    assert!(chain.offer(block).is_ok());
}

#[test]
fn a_transaction_stands_once_in_a_block() {
    let mut chain = Chain::new();
    let tx = chain.sign(chain.write().author(&party("alice")).create(""));
    let block = chain.block_by(&party("alice"), vec![tx.clone(), tx.clone()]);
    let refusal = refused(&mut chain, block, "block-tx-twice");
    assert_eq!(refusal, BlockRule::Twice { txid: tx.txid() }.into());
}

#[test]
fn a_block_is_signed_by_its_miner() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    let block = chain.block_by(&alice, Vec::new());
    let mut foreign = block.clone();
    foreign.signed = foreign.header().sign(&chain.rules.genesis, bob.key());
    refused(&mut chain, foreign, "block-signature");
    let mut elsewhere = block.clone();
    elsewhere.signed = elsewhere.header().sign(&rota_chain::hash::BlockHash([1; 32]), alice.key());
    refused(&mut chain, elsewhere, "block-signature");
    let mut blank = block.clone();
    blank.signed.signature = RecoverableBytes([0; 65]);
    assert_eq!(blank.hash(), block.hash(), "the signature is no part of the id");
    refused(&mut chain, blank, "block-signature");
}

#[test]
fn bodies_that_are_not_those_of_the_id_condemn_the_message_alone() {
    let mut chain = Chain::new();
    let alice = party("alice");
    let good = chain.block_by(&alice, Vec::new());
    let tx = chain.sign(chain.write().author(&alice).create("s"));
    let huge = chain.write().author(&alice).publish_data(
        chain.genesis.transactions[0].txid(),
        &["k"],
        crate::transaction_builder::text(&"x".repeat(2_000_000)),
    );
    let huge = chain.sign(huge);
    chain.rules.maximum_block_size = 1_000_000;
    chain.rules.maximum_transaction_size = 1_000_000;
    let mut other_coinbase = good.transactions[0].clone();
    other_coinbase.body.outputs.clear();
    let mut nobody = tx.clone();
    nobody.body.authors.clear();
    let bodies: [Vec<Transaction>; 6] = [
        vec![good.transactions[0].clone(), tx.clone()],
        vec![good.transactions[0].clone(), huge],
        vec![good.transactions[0].clone(), tx.clone(), tx],
        vec![good.transactions[0].clone(), nobody],
        vec![other_coinbase],
        Vec::new(),
    ];
    for transactions in bodies {
        let message = Block { signed: good.signed, transactions };
        assert_eq!(message.hash(), good.hash());
        refused(&mut chain, message, "block-merkle-root");
    }
    assert!(chain.offer(good).is_ok(), "nothing sticks to the id");
}

#[test]
fn a_root_that_is_not_that_of_the_transactions_is_refused() {
    let mut chain = Chain::new();
    let block = header_changed(&chain, |header| header.merkle_root = MerkleRoot([3; 32]));
    refused(&mut chain, block, "block-merkle-root");
}

#[test]
fn a_block_is_later_than_the_median_of_the_eleven_before() {
    let mut chain = Chain::new();
    chain.mine_to(20);
    let median = chain.median_time();
    assert_eq!(median, Timestamp(BIRTH + 15 * STEP));
    let at_median = header_changed(&chain, |header| header.time = median);
    let refusal = refused(&mut chain, at_median, "block-time");
    assert_eq!(refusal, BlockRule::Time { time: median, median }.into());
    let before_tip = header_changed(&chain, |header| header.time = Timestamp(median.0 + 1));
    assert!(chain.offer(before_tip).is_ok(), "times may go back a little");
    let far_ahead = header_changed(&chain, |header| header.time = Timestamp(u32::MAX));
    assert!(chain.offer(far_ahead).is_ok(), "the future is no rule");
}

#[test]
fn bits_are_the_constant_of_the_chain() {
    let mut chain = Chain::new();
    let block = header_changed(&chain, |header| header.bits += 1);
    refused(&mut chain, block, "block-bits");
}

#[test]
fn the_nonce_is_zero_where_miners_are_permitted_by_grant() {
    let mut chain = Chain::new();
    let block = header_changed(&chain, |header| header.nonce = 1);
    let refusal = refused(&mut chain, block.clone(), "block-nonce");
    assert_eq!(refusal, BlockRule::Nonce { nonce: 1 }.into());
    assert!(check_header(&block.signed, &chain.rules).is_err());
}

#[test]
fn the_header_states_the_state_before_the_block() {
    let mut chain = Chain::new();
    chain.confirm(chain.write().author(&party("alice")).create("s"));
    let computed = chain.hash();
    let block = header_changed(&chain, |header| header.state_hash = StateHash([5; 32]));
    let refusal = refused(&mut chain, block, "block-state");
    assert_eq!(refusal, BlockRule::State { stated: StateHash([5; 32]), computed }.into());
}

#[test]
fn the_genesis_block_is_the_one_that_the_parameters_demand() {
    let chain = Chain::new();
    let alice = party("alice");
    let apply = |block: &Block| apply_genesis(block, &chain.rules, chain.rules_hash());
    assert!(apply(&chain.genesis).is_ok());
    let other_rules = apply_genesis(&chain.genesis, &chain.rules, ParamsHash([1; 32]));
    broken(rule(other_rules.unwrap_err()), "block-genesis");
    let resigned = |change: fn(&mut Block)| {
        let mut block = chain.genesis.clone();
        change(&mut block);
        let mut header = *block.header();
        if header.merkle_root == chain.genesis.header().merkle_root {
            header.merkle_root = block.computed_merkle_root();
        }
        block.signed = header.sign(&rota_chain::hash::BlockHash::ZERO, alice.key());
        block
    };
    let faults: [fn(&mut Block); 7] = [
        |block| block.transactions.clear(),
        |block| block.transactions.push(block.transactions[0].clone()),
        |block| block.signed.header.version = 2,
        |block| block.signed.header.previous = rota_chain::hash::BlockHash([1; 32]),
        |block| block.signed.header.state_hash = StateHash([1; 32]),
        |block| block.signed.header.miner = party("bob").hash(),
        |block| {
            block.transactions[0].body.outputs.remove(1);
        },
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        let error = apply(&resigned(fault)).expect_err("a fault");
        assert_eq!(rule(error).code(), "block-genesis", "fault {index}");
    }
}

#[test]
fn a_block_with_one_bad_transaction_changes_nothing() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    let good = chain.sign(chain.write().author(&alice).create("s"));
    let bad = chain.sign(chain.write().author(&bob).create("t"));
    let before = chain.hash();
    let block = chain.block_by(&alice, vec![good, bad]);
    refused(&mut chain, block, "tx-send");
    assert_eq!((chain.tip(), chain.hash()), (Height(0), before));
    assert_eq!(chain.state.multiset().hash(), before);
}

#[test]
fn checking_is_done_once_and_does_not_depend_on_the_state() {
    let mut chain = Chain::new();
    let tx = chain.sign(chain.write().author(&party("bob")).create("t"));
    let block = chain.block_by(&party("alice"), vec![tx]);
    let checked = chain.check_block(block.clone()).unwrap();
    assert_eq!(checked.hash(), block.hash());
    assert_eq!(checked.size(), block.size());
    assert_eq!(checked.transactions().len(), 1);
    assert_eq!(**checked.block(), *Arc::new(block.clone()));
    refused(&mut chain, block, "tx-send");
}
