//! Witnesses: exactly those of the authors and owners, in order, complete.

use rota_chain::digest::full_digest;
use rota_chain::key::KeyError;
use rota_chain::transaction::Transaction;
use rota_chain::witness::{Witness, WitnessError};
use rota_consensus::rule::{Rule, TransactionRule};

use crate::chain_builder::{Chain, coin_of};
use crate::transaction_builder::{Party, broken, party, several};

/// A chain on which bob and the two of three may send and create; and a transaction by alice and bob.
fn two_authors() -> (Chain, Transaction) {
    let mut chain = Chain::new();
    let alice = party("alice");
    let rights = "send,receive,create";
    let group = two_of_three();
    chain.confirm(chain.write().author(&alice).grant(&party("bob"), rights).grant(&group, rights));
    let tx = chain.sign(chain.write().author(&alice).author(&party("bob")).create("s"));
    (chain, tx)
}

fn two_of_three() -> Party {
    several(2, &["x", "y", "z"])
}

fn witness_rule(index: usize, error: WitnessError) -> Rule {
    TransactionRule::Witness { index, error }.into()
}

#[test]
fn complete_witnesses_in_order_are_accepted() {
    let (chain, tx) = two_authors();
    assert!(chain.judge(tx).is_ok());
}

#[test]
fn witnesses_out_of_order_are_refused() {
    let (chain, mut tx) = two_authors();
    tx.witnesses.reverse();
    let refusal = chain.judge(tx).unwrap_err();
    assert_eq!(refusal, witness_rule(0, WitnessError::WrongLock));
    broken(refusal, "tx-witness");
}

#[test]
fn a_missing_witness_is_refused() {
    let (chain, mut tx) = two_authors();
    tx.witnesses.pop();
    let refusal = chain.judge(tx.clone()).unwrap_err();
    assert_eq!(refusal, TransactionRule::WitnessCount { count: 1, expected: 2 }.into());
    broken(refusal, "tx-witness-count");
    tx.witnesses.push(Witness::Absent);
    assert_eq!(chain.judge(tx).unwrap_err(), witness_rule(1, WitnessError::Incomplete));
}

#[test]
fn a_surplus_witness_is_refused() {
    let (chain, mut tx) = two_authors();
    let stranger = party("carol");
    let digest = full_digest(&chain.rules.genesis, &tx.txid(), &stranger.lock());
    tx.witnesses.push(stranger.witness(&digest));
    broken(chain.judge(tx.clone()).unwrap_err(), "tx-witness-count");
    tx.witnesses.pop();
    tx.witnesses.push(tx.witnesses[0].clone());
    broken(chain.judge(tx).unwrap_err(), "tx-witness-count");
}

#[test]
fn a_strangers_witness_in_place_of_an_authors_is_refused() {
    let (chain, mut tx) = two_authors();
    let stranger = party("carol");
    let digest = full_digest(&chain.rules.genesis, &tx.txid(), &stranger.lock());
    tx.witnesses[1] = stranger.witness(&digest);
    assert_eq!(chain.judge(tx).unwrap_err(), witness_rule(1, WitnessError::WrongLock));
}

#[test]
fn a_signature_over_another_body_does_not_verify() {
    let (chain, mut tx) = two_authors();
    tx.body.nonce += 1;
    assert_eq!(chain.judge(tx).unwrap_err(), witness_rule(0, WitnessError::Signature(KeyError::Signature)));
}

#[test]
fn a_signature_for_another_chain_does_not_verify() {
    let (chain, tx) = two_authors();
    let other = Chain::with(|rules| rules.pow_minimum_bits = 9);
    assert_ne!(chain.rules.genesis, other.rules.genesis);
    broken(other.judge(tx).unwrap_err(), "tx-witness");
}

#[test]
fn owners_sign_once_after_the_authors_by_first_appearance() {
    let (mut chain, _) = two_authors();
    let (alice, bob) = (party("alice"), party("bob"));
    let txid = chain.confirm(chain.write().author(&alice).pay(&bob, 0).pay(&alice, 0).pay(&bob, 0));
    let spend = chain
        .write()
        .spend(coin_of(txid, 0), &bob)
        .spend(coin_of(txid, 1), &alice)
        .spend(coin_of(txid, 2), &bob)
        .pay(&alice, 0);
    let tx = chain.sign(spend);
    assert_eq!(tx.witnesses.len(), 2);
    assert!(chain.judge(tx.clone()).is_ok());
    let mut swapped = tx;
    swapped.witnesses.reverse();
    broken(chain.judge(swapped).unwrap_err(), "tx-witness");
    // An author who also owns an input signs once, as author.
    let both = chain.write().author(&alice).spend(coin_of(txid, 0), &bob).spend(coin_of(txid, 1), &alice);
    let tx = chain.sign(both.pay(&bob, 0));
    assert_eq!(tx.witnesses.len(), 2);
    assert!(chain.judge(tx).is_ok());
}

#[test]
fn several_keys_may_be_an_author() {
    let (mut chain, _) = two_authors();
    let group = two_of_three();
    let txid = chain.confirm(chain.write().author(&group).create_closed("ours"));
    let publish = chain.write().author(&group).publish(txid, "k");
    assert!(chain.propose(publish).is_ok());
}

#[test]
fn several_keys_sign_exactly_as_often_as_required_in_ascending_slots() {
    let (chain, _) = two_authors();
    let group = two_of_three();
    let tx = chain.sign(chain.write().author(&group).create("s"));
    let digest = full_digest(&chain.rules.genesis, &tx.txid(), &group.lock());
    let with = |slots: &[u8]| {
        let mut tx = tx.clone();
        tx.witnesses = vec![group.witness_of(slots, &digest)];
        chain.judge(tx)
    };
    for slots in [[0, 1], [0, 2], [1, 2]] {
        assert!(with(&slots).is_ok(), "{slots:?}");
    }
    let refused = |slots: &[u8], error| {
        assert_eq!(with(slots).unwrap_err(), witness_rule(0, error), "{slots:?}");
    };
    refused(&[], WitnessError::Incomplete);
    refused(&[1], WitnessError::Incomplete);
    refused(&[0, 1, 2], WitnessError::Form);
    refused(&[1, 0], WitnessError::Form);
    refused(&[1, 1], WitnessError::Form);
    refused(&[1, 3], WitnessError::Form);
}

#[test]
fn the_same_keys_in_another_order_or_number_are_another_lock() {
    let (chain, _) = two_authors();
    let group = two_of_three();
    let tx = chain.sign(chain.write().author(&group).create("s"));
    for other in [several(2, &["y", "x", "z"]), several(1, &["x", "y", "z"]), several(2, &["x", "y"])] {
        let mut tx = tx.clone();
        let digest = full_digest(&chain.rules.genesis, &tx.txid(), &group.lock());
        tx.witnesses = vec![other.witness(&digest)];
        broken(chain.judge(tx).unwrap_err(), "tx-witness");
    }
}

#[test]
fn a_variant_with_other_witnesses_has_the_same_id_and_another_full_hash() {
    let (chain, _) = two_authors();
    let group = two_of_three();
    let tx = chain.sign(chain.write().author(&group).create("s"));
    let mut variant = tx.clone();
    let digest = full_digest(&chain.rules.genesis, &tx.txid(), &group.lock());
    variant.witnesses = vec![group.witness_of(&[1, 2], &digest)];
    assert_eq!(tx.txid(), variant.txid());
    assert_ne!(tx.full_hash(), variant.full_hash());
    let block = chain.block_by(&party("alice"), vec![tx, variant]);
    broken(chain.check_block(block).unwrap_err(), "block-tx-twice");
}
