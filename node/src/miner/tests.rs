//! Tests of `miner`.

use std::cell::Cell;
use std::collections::HashSet;

use rota_chain::amount::{Height, Timestamp};
use rota_chain::block::{BLOCK_VERSION, BlockHeader};
use rota_chain::hash::{BlockHash, MerkleRoot, StateHash};
use rota_chain::lock::KeyHash;
use rota_consensus::work;

use super::facts::OwnMiner;
use super::task::grind;
use super::*;

const ME: KeyHash = KeyHash([1; 20]);

fn facts() -> MinerFacts {
    MinerFacts {
        now: 1_000.0,
        tip: BlockHash([1; 32]),
        next_height: 100,
        target: 10.0,
        arrivals: vec![999.0],
        recent_miners: vec![ME],
        eligible: HashSet::from([ME]),
        miners: 1,
        active: 1,
        own: vec![OwnMiner { address: ME, earliest: Height(100), last: None }],
        setup_first_blocks: 60,
        requires_peers: true,
        enabled: true,
        lock_block_met: true,
        ..MinerFacts::default()
    }
}

fn state(decision: Decision) -> Option<MinerState> {
    match decision {
        Decision::Wait { state, .. } => Some(state),
        Decision::Mine(_) => None,
    }
}

fn decide(facts: &MinerFacts) -> Decision {
    Miner::default().decide(facts, || 0.5)
}

#[test]
fn every_reason_to_wait_is_told() {
    let other = KeyHash([2; 20]);
    let anothers_turn = MinerFacts { recent_miners: vec![other], eligible: HashSet::from([ME, other]), ..facts() };
    let cases = [
        (MinerFacts { enabled: false, ..facts() }, MinerState::Disabled),
        (MinerFacts { paused: true, ..facts() }, MinerState::Paused),
        (MinerFacts { wallet_locked: true, ..facts() }, MinerState::WalletLocked),
        (MinerFacts { own: Vec::new(), ..facts() }, MinerState::NotPermitted),
        (MinerFacts { lock_block_met: false, ..facts() }, MinerState::WaitingLockBlock),
        (MinerFacts { miners: 2, ..facts() }, MinerState::RequiresPeers),
        (MinerFacts { empty_limit: Some(3), empty_blocks: 3, ..facts() }, MinerState::WaitingTransactions),
        (facts(), MinerState::WaitingBlockTime),
        (anothers_turn, MinerState::WaitingTurnover),
    ];
    for (facts, expected) in cases {
        assert_eq!(state(decide(&facts)), Some(expected));
    }
    let barred = OwnMiner { address: ME, earliest: Height(101), last: Some(Height(99)) };
    assert_eq!(state(decide(&MinerFacts { own: vec![barred], ..facts() })), Some(MinerState::WaitingDiversity));
}

#[test]
fn a_single_miner_needs_no_peers_and_mines_when_its_time_comes() {
    let mut miner = Miner::default();
    let Decision::Wait { until: Some(at), .. } = miner.decide(&facts(), || 0.5) else {
        unreachable!("the time has not come")
    };
    assert_eq!(miner.decide(&MinerFacts { now: at, ..facts() }, || 0.9), Decision::Mine(ME));
}

#[test]
fn the_time_is_drawn_once_a_tip() {
    let mut miner = Miner::default();
    let first = miner.decide(&facts(), || 0.2);
    assert_eq!(miner.decide(&facts(), || 0.9), first);
    let next = MinerFacts { tip: BlockHash([2; 32]), ..facts() };
    assert_ne!(miner.decide(&next, || 0.9), first);
}

#[test]
fn the_first_block_is_made_at_once() {
    let own = vec![OwnMiner { address: ME, earliest: Height(1), last: None }];
    let facts = MinerFacts { next_height: 1, own, ..facts() };
    assert_eq!(decide(&facts), Decision::Mine(ME));
}

#[test]
fn after_rest_a_transaction_is_mined_as_soon_as_the_drawn_time_is_past() {
    let mut miner = Miner::default();
    let resting = MinerFacts { empty_limit: Some(1), empty_blocks: 1, ..facts() };
    assert_eq!(state(miner.decide(&resting, || 0.5)), Some(MinerState::WaitingTransactions));
    let woken = MinerFacts { transactions_wait: true, now: 5_000.0, ..resting };
    assert_eq!(miner.decide(&woken, || 0.5), Decision::Mine(ME));
}

#[test]
fn where_anyone_may_mine_a_recent_miner_without_a_grant_is_in_the_pool() {
    let facts = MinerFacts { anyone_can_mine: true, eligible: HashSet::new(), peers: 1, ..facts() };
    assert_eq!(state(decide(&facts)), Some(MinerState::WaitingBlockTime));
    assert_eq!(state(decide(&MinerFacts { retargets: true, ..facts })), None, "the work alone sets the pace");
}

#[test]
fn the_search_for_a_nonce_ends_when_it_is_told_to_or_has_found_one() {
    let header = |bits| BlockHeader {
        version: BLOCK_VERSION,
        previous: BlockHash([1; 32]),
        merkle_root: MerkleRoot([2; 32]),
        state_hash: StateHash([3; 32]),
        time: Timestamp(1),
        bits,
        nonce: 0,
        miner: ME,
    };
    // The target 1: nobody finds a block for it.
    let mut hopeless = header(0x0300_0001);
    let looks = Cell::new(0);
    let twice = || {
        looks.set(looks.get() + 1);
        looks.get() < 3
    };
    assert!(!grind(&mut hopeless, twice));
    assert_eq!(looks.get(), 3);
    let mut easy = header(work::minimum_bits(8));
    assert!(grind(&mut easy, || true));
    assert!(work::meets(&easy.hash(), easy.bits) && easy.hash().as_bytes()[0] == 0);
}

#[test]
fn of_several_own_addresses_the_one_that_mined_longest_ago_goes_first() {
    let other = KeyHash([2; 20]);
    let own = vec![
        OwnMiner { address: ME, earliest: Height(100), last: Some(Height(90)) },
        OwnMiner { address: other, earliest: Height(100), last: Some(Height(80)) },
    ];
    assert_eq!(MinerFacts { own, ..facts() }.ready_address(), Some(other));
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_a_miner() {
    let mut miner = Miner::default();
    let until = |decision| match decision {
        Decision::Wait { until: Some(at), .. } => at,
        Decision::Wait { .. } | Decision::Mine(_) => f64::NAN,
    };
    let ahead = MinerFacts { now: 1_600.0, arrivals: vec![1_599.0], ..facts() };
    assert!(until(miner.decide(&ahead, || 0.5)) > 1_600.0);
    let right = MinerFacts { now: 1_001.0, arrivals: vec![1_599.0], ..facts() };
    let at = until(miner.decide(&right, || 0.5));
    assert!(at < 1_001.0 + 40.0, "{at}");
    let later = MinerFacts { now: 1_002.0, ..right };
    assert_eq!(until(miner.decide(&later, || 0.1)), at, "the time is drawn anew once");
}
