//! Inputs covered in part: their owner signs one output, and others complete the transaction.

use rota_chain::amount::{Amount, Height};
use rota_chain::transaction::{OutPoint, Transaction};
use rota_consensus::rule::{StreamRule, TransactionRule};

use crate::chain_builder::{Chain, coin_of};
use crate::transaction_builder::{Party, Writing, broken, party};

/// A chain on which alice and bob hold 100 each; bob may only send and receive.
fn two_holders() -> (Chain, OutPoint, OutPoint) {
    let mut chain = Chain::with(|rules| {
        rules.initial_block_reward = 100;
        rules.reward_spendable_delay = 1;
    });
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "send,receive"));
    let reward = chain.reward_of(Height(1));
    let txid = chain.confirm(chain.write().spend(reward, &alice).pay(&bob, 100));
    let of_alice = chain.reward_of(Height(2));
    chain.mine(Vec::new());
    (chain, of_alice, coin_of(txid, 0))
}

/// Bob gives his coin for 60 to himself: he alone has signed.
fn offer(chain: &Chain, of_bob: OutPoint) -> Writing {
    chain.write().spend_in_part(of_bob, &party("bob")).pay(&party("bob"), 60).last_height(0)
}

#[test]
fn others_append_to_what_was_signed_in_part() {
    let (mut chain, of_alice, of_bob) = two_holders();
    let alice = party("alice");
    let offered = chain.sign(offer(&chain, of_bob));
    let completed = chain.sign(offer(&chain, of_bob).spend(of_alice, &alice).pay(&alice, 140));
    // The nonce is bob's: he signed it.
    assert_ne!(offered.body.nonce, completed.body.nonce);
    let mut appended = offered.clone();
    appended.body.inputs.extend(&completed.body.inputs[1..]);
    appended.body.outputs.extend(completed.body.outputs[1..].iter().cloned());
    let of_alice_signature =
        alice.witness(&rota_chain::digest::full_digest(&chain.rules.genesis, &appended.txid(), &alice.lock()));
    appended.witnesses.insert(0, of_alice_signature);
    assert_eq!(chain.judge(appended.clone()).unwrap().fee, Amount::ZERO);
    chain.mine(vec![appended]);
    broken(chain.judge(offered).unwrap_err(), "coin-missing");
}

#[test]
fn what_the_signature_covers_cannot_be_changed() {
    let (chain, _, of_bob) = two_holders();
    let signed = chain.sign(offer(&chain, of_bob));
    assert!(chain.judge(signed.clone()).is_ok());
    let changes: [fn(&mut Transaction); 5] = [
        |tx| tx.body.outputs[0].amount = Amount(59),
        |tx| tx.body.outputs[0].recipient = Some(party("alice").lock()),
        |tx| tx.body.nonce += 1,
        |tx| tx.body.last_height = 500,
        |tx| tx.body.lock_time = 1,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut tx = signed.clone();
        change(&mut tx);
        let refusal = chain.judge(tx).unwrap_err();
        assert_eq!(refusal.code(), "tx-witness", "change {index}: {refusal}");
    }
    let mut moved = signed;
    moved.body.outputs.insert(0, moved.body.outputs[0].clone());
    moved.body.outputs[0].amount = Amount(1);
    broken(chain.judge(moved).unwrap_err(), "tx-witness");
}

#[test]
fn an_input_covered_in_part_needs_an_output_at_its_index() {
    let (chain, of_alice, of_bob) = two_holders();
    let writing =
        chain.write().spend(of_alice, &party("alice")).spend_in_part(of_bob, &party("bob")).pay(&party("alice"), 200);
    assert_eq!(chain.refusal(writing), TransactionRule::PartWithoutOutput { index: 1 }.into());
    broken(TransactionRule::PartWithoutOutput { index: 1 }, "tx-part-no-output");
}

#[test]
fn each_input_covered_in_part_has_a_witness_of_its_own_after_the_full_ones() {
    let (mut chain, of_alice, of_bob) = two_holders();
    let (alice, bob) = (party("alice"), party("bob"));
    let txid = chain.confirm(chain.write().spend(of_bob, &bob).pay(&bob, 50).pay(&bob, 50));
    let writing = chain
        .write()
        .spend_in_part(coin_of(txid, 0), &bob)
        .spend(of_alice, &alice)
        .spend_in_part(coin_of(txid, 1), &bob)
        .pay(&bob, 60)
        .pay(&alice, 80)
        .pay(&bob, 60);
    let tx = chain.sign(writing);
    assert_eq!(tx.witnesses.len(), 3);
    assert!(chain.judge(tx.clone()).is_ok());
    let mut swapped = tx;
    swapped.witnesses.swap(1, 2);
    broken(chain.judge(swapped).unwrap_err(), "tx-witness");
}

#[test]
fn for_the_covered_output_its_owner_answers_alone() {
    let (chain, of_alice, of_bob) = two_holders();
    let (alice, bob, carol) = (party("alice"), party("bob"), party("carol"));
    let base = || chain.write().spend_in_part(of_bob, &bob).spend(of_alice, &alice);
    // Output 0 is bob's, who may not grant; output 1 is alice's, who may.
    let in_his = base().grant(&carol, "create").pay(&alice, 200);
    broken(chain.refusal(in_his), "perm-denied");
    let in_hers = base().pay(&bob, 100).grant(&carol, "create");
    assert!(chain.propose(in_hers).is_ok());
    let by_author = chain.write().author(&alice).spend_in_part(of_bob, &bob).grant(&carol, "create");
    broken(chain.refusal(by_author), "perm-denied");
}

#[test]
fn what_a_stranger_appends_has_nobody_who_answers_for_it() {
    let (mut chain, _, of_bob) = two_holders();
    let alice = party("alice");
    let stream = chain.confirm(chain.write().author(&alice).create("open"));
    let appended = offer(&chain, of_bob).publish(stream, "k");
    assert_eq!(chain.refusal(appended), StreamRule::Write { stream }.into());
    broken(chain.refusal(offer(&chain, of_bob).create("s")), "entity-create");
    broken(chain.refusal(offer(&chain, of_bob).grant(&alice, "send")), "perm-denied");
    let own = chain.write().spend_in_part(of_bob, &party("bob")).publish(stream, "k");
    assert!(chain.propose(own).is_ok(), "in his own output bob publishes");
}

/// Alice holds a coin of nothing each for `count` parties who may send; all of them pay together.
fn paid_by_many(chain: &mut Chain, count: usize) -> Writing {
    let alice = party("alice");
    let owners: Vec<Party> = (0..count).map(|number| party(&format!("owner {number}"))).collect();
    let granted = owners.iter().fold(chain.write().author(&alice), |tx, owner| tx.grant(owner, "send,receive"));
    chain.confirm(granted);
    let paid = owners.iter().fold(chain.write().author(&alice), |tx, owner| tx.pay(owner, 0));
    let txid = chain.confirm(paid);
    let inputs = owners.iter().zip(0u32..);
    inputs.fold(chain.write(), |tx, (owner, index)| tx.spend(coin_of(txid, index), owner))
}

#[test]
fn no_more_answer_for_an_operation_than_there_may_be_authors() {
    let mut chain = Chain::new();
    let alice = party("alice");
    let stream = chain.confirm(chain.write().author(&alice).create("s"));
    let publishing = paid_by_many(&mut chain, 16).publish(stream, "k");
    assert!(chain.propose(publishing).is_ok());
    let many = |chain: &mut Chain| paid_by_many(chain, 17).pay(&alice, 0);
    let paying = many(&mut chain);
    assert!(chain.propose(paying).is_ok(), "a payment needs nobody's right but to send");
    let publishing = many(&mut chain).publish(stream, "k");
    let refusal = chain.refusal(publishing);
    assert_eq!(refusal, TransactionRule::Answering { count: 17, limit: 16 }.into());
    broken(refusal, "tx-answering");
}
