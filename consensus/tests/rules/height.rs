//! When a transaction is valid: lock times, expiry, and ids that are unique within the window.

use rota_chain::amount::Height;
use rota_consensus::rule::{Rule, TransactionRule};
use rota_consensus::rules::validity_window;

use crate::chain_builder::{BIRTH, Chain, STEP, coin_of};
use crate::transaction_builder::{Writing, broken, party};

/// A chain on which a transaction without inputs lives for five blocks.
fn short_lived() -> Chain {
    Chain::with(|rules| rules.validity_window = 5)
}

fn note(chain: &Chain) -> Writing {
    let root = chain.genesis.transactions[0].txid();
    chain.write().author(&party("alice")).publish(root, "k")
}

#[test]
fn the_window_is_thirty_days_of_blocks() {
    assert_eq!(validity_window(15), 172_800);
    assert_eq!(validity_window(2), 1_296_000);
    assert_eq!(validity_window(86_400 * 31), 1);
}

#[test]
fn without_inputs_a_last_height_is_needed_and_with_inputs_it_is_not() {
    let mut chain = Chain::new();
    let alice = party("alice");
    broken(chain.refusal(note(&chain).last_height(0)), "tx-no-last-height");
    let txid = chain.confirm(chain.write().author(&alice).pay(&alice, 0));
    let spend = note(&chain).spend(coin_of(txid, 0), &alice).last_height(0);
    assert!(chain.propose(spend).is_ok());
}

#[test]
fn the_last_height_lies_within_the_window() {
    let chain = short_lived();
    let next = chain.tip().next().0;
    assert!(chain.propose(note(&chain).last_height(next + 5)).is_ok());
    assert_eq!(
        chain.refusal(note(&chain).last_height(next + 6)),
        TransactionRule::LastHeightFar { last: next + 6, limit: next + 5 }.into()
    );
    broken(chain.refusal(note(&chain).last_height(1_000)), "tx-last-height-far");
}

#[test]
fn a_transaction_that_spends_a_coin_may_live_as_long_as_it_likes() {
    let mut chain = short_lived();
    let alice = party("alice");
    let txid = chain.confirm(chain.write().author(&alice).pay(&alice, 0).last_height(4));
    let far = note(&chain).spend(coin_of(txid, 0), &alice).last_height(1_000_000);
    assert!(chain.propose(far).is_ok());
}

#[test]
fn a_transaction_expires_after_its_last_height() {
    let mut chain = Chain::new();
    let writing = note(&chain).last_height(3);
    chain.mine_to(2);
    assert!(chain.propose(writing.clone()).is_ok());
    chain.mine_to(3);
    assert_eq!(chain.refusal(writing), TransactionRule::Expired { last: 3, height: Height(4) }.into());
    broken(chain.refusal(note(&chain).last_height(3)), "tx-expired");
}

#[test]
fn a_lock_time_below_the_threshold_is_a_height() {
    let mut chain = Chain::new();
    let writing = note(&chain).lock_time(4);
    chain.mine_to(2);
    let locked = Rule::from(TransactionRule::Locked { lock_time: 4 });
    broken(locked.clone(), "tx-locked");
    assert_eq!(chain.refusal(writing.clone()), locked);
    assert!(locked.may_pass(), "it waits instead of being forgotten");
    chain.mine_to(3);
    assert!(chain.propose(writing).is_ok());
}

#[test]
fn a_lock_time_from_the_threshold_on_is_a_median_time() {
    let mut chain = Chain::new();
    // The median of blocks 0 to 10 is the time of block 5.
    let opens = BIRTH + 5 * STEP;
    let writing = note(&chain).lock_time(opens);
    chain.mine_to(8);
    assert_eq!(chain.median_time().0, BIRTH + 4 * STEP);
    broken(chain.refusal(writing.clone()), "tx-locked");
    chain.mine_to(10);
    assert_eq!(chain.median_time().0, opens);
    assert!(chain.propose(writing).is_ok());
    broken(chain.refusal(note(&chain).lock_time(opens + 1)), "tx-locked");
}

#[test]
fn a_last_height_before_the_lock_height_is_refused() {
    let chain = Chain::new();
    assert_eq!(
        chain.refusal(note(&chain).lock_time(9).last_height(8)),
        TransactionRule::Heights { first: 9, last: 8 }.into()
    );
    broken(TransactionRule::Heights { first: 9, last: 8 }, "tx-heights");
}

#[test]
fn a_transaction_without_inputs_is_not_repeated_within_the_window_and_has_expired_after_it() {
    let mut chain = short_lived();
    let tx = chain.sign(note(&chain).last_height(6));
    let known = chain.mine(vec![tx.clone()]);
    assert_eq!(known, Height(1));
    for _ in 2..=6 {
        assert_eq!(
            chain.judge(tx.clone()).unwrap_err(),
            TransactionRule::Known { txid: tx.txid(), height: known }.into()
        );
        let repeated = chain.block_by(&party("alice"), vec![tx.clone()]);
        broken(chain.offer(repeated).unwrap_err(), "tx-known");
        chain.mine(Vec::new());
    }
    broken(chain.judge(tx).unwrap_err(), "tx-expired");
}

#[test]
fn on_another_branch_the_same_transaction_is_new() {
    let mut chain = short_lived();
    let tx = chain.sign(note(&chain).last_height(6));
    chain.mine(vec![tx.clone()]);
    chain.undo();
    chain.mine(Vec::new());
    assert!(chain.mine_by(&party("alice"), vec![tx]).is_ok());
}
