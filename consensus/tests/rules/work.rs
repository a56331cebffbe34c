//! Proof of work, where anyone may mine.

use rota_chain::hash::BlockHash;
use rota_consensus::block::check_header;
use rota_consensus::work::{meets, minimum_bits, retarget, weight};

use crate::chain_builder::Chain;
use crate::transaction_builder::{broken, party};

fn open_chain() -> Chain {
    Chain::with(|rules| {
        rules.anyone.mine = true;
        rules.pow_minimum_bits = 6;
        rules.mining_diversity = 1_000_000;
    })
}

#[test]
fn where_anyone_may_mine_neither_permission_nor_spacing_is_asked_for() {
    let mut chain = open_chain();
    let bob = party("bob");
    for _ in 0..3 {
        chain.mine_by(&bob, Vec::new()).unwrap();
    }
    chain.mine_by(&party("carol"), Vec::new()).unwrap();
}

#[test]
fn a_block_without_work_is_refused_and_its_signature_is_still_needed() {
    let mut chain = open_chain();
    let bob = party("bob");
    let block = chain.block_by(&bob, Vec::new());
    let mut lazy = block.clone();
    let mut header = *lazy.header();
    while meets(&header.hash(), header.bits) {
        header.nonce += 1;
    }
    lazy.signed = header.sign(&chain.rules.genesis, bob.key());
    broken(chain.offer(lazy.clone()).unwrap_err(), "block-work");
    chain.rules.skip_pow_check = true;
    assert!(check_header(&lazy.signed, &chain.rules).is_ok());
    chain.rules.skip_pow_check = false;
    let mut unsigned = block.clone();
    unsigned.signed = unsigned.header().sign(&chain.rules.genesis, party("carol").key());
    broken(chain.offer(unsigned).unwrap_err(), "block-signature");
    assert!(chain.offer(block).is_ok());
}

#[test]
fn easier_bits_than_those_of_the_branch_are_refused() {
    let mut chain = open_chain();
    let bob = party("bob");
    let block = chain.block_by(&bob, Vec::new());
    let easy = chain.reseal(block, &bob, |header| header.bits = minimum_bits(2));
    broken(chain.offer(easy).unwrap_err(), "block-bits");
}

#[test]
fn each_further_zero_bit_doubles_the_weight() {
    for bits in 1..40 {
        let (less, more) = (weight(minimum_bits(bits)), weight(minimum_bits(bits + 1)));
        let ratio = more as f64 / less as f64;
        assert!((ratio - 2.0).abs() < 0.01, "{bits}: {less} {more}");
    }
}

#[test]
fn a_target_that_is_no_number_is_met_by_nothing() {
    let lowest = BlockHash([0; 32]);
    for bits in [0, 0x0080_0001, 0x2480_0000, 0xff00_ffff, 0x2300_0001] {
        assert!(!meets(&lowest, bits), "{bits:#x}");
    }
    assert!(meets(&lowest, minimum_bits(250)));
}

#[test]
fn a_target_follows_the_time_that_the_interval_took() {
    let start = minimum_bits(20);
    let twice_as_hard = retarget(start, 500, 1_000, 8);
    let ratio = weight(twice_as_hard) as f64 / weight(start) as f64;
    assert!((ratio - 2.0).abs() < 0.01);
    let back = retarget(twice_as_hard, 2_000, 1_000, 8);
    let ratio = weight(back) as f64 / weight(start) as f64;
    assert!((ratio - 1.0).abs() < 0.01);
    assert_eq!(retarget(start, 0, 1_000, 8), retarget(start, 250, 1_000, 8));
}
