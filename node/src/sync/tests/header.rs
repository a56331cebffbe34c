//! Headers that cost nothing to make: of keys without rights, and of a miner that keeps the bodies.

use std::time::{Duration, Instant};

use rota_chain::amount::{Amount, Height};
use rota_chain::block::Block;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::transaction::{Output, Transaction};
use rota_p2p::{CompactBlock, Response};

use super::net::{Net, block, blocks_on, genesis, rules, transaction};
use crate::sync::header::{HELD_A_PEER, WINDOW};
use crate::sync::{QueryId, SyncAction, SyncInput};

/// A key that nobody granted anything.
const STRANGER: u8 = 66;
/// Headers of the flood; `ROTA_FLOOD_HEADERS` asks for more.
const FLOOD: u32 = 4_000;

/// A node with three blocks and a connected peer that plays by no rules.
fn besieged() -> (Net, Vec<Block>) {
    let mut net = Net::new(3);
    let chain = blocks_on(&genesis(), 3, 1);
    net.give(0, &chain);
    net.give(2, &chain);
    net.stranger(0, STRANGER);
    net.connect(0, 1);
    net.run(Duration::from_secs(4));
    (net, chain)
}

fn announce(net: &mut Net, to: usize, from: usize, block: &Block) {
    let compact = CompactBlock::new(block.signed, block.full_hashes());
    net.input(to, SyncInput::BlockAnnounced { peer: Net::handle(from), compact });
}

/// Headers as the answer to whatever a node asks a peer next.
fn give_headers(net: &mut Net, to: usize, from: usize, blocks: &[Block]) {
    let headers = blocks.iter().map(|block| block.signed).collect();
    net.answer_next_headers(from, headers);
    // Its parent is not known: the node asks.
    announce(net, to, from, blocks.last().unwrap());
    net.run(Duration::from_millis(200));
}

#[test]
fn a_header_of_a_key_without_rights_is_refused_before_it_is_held() {
    for by_answer in [true, false] {
        let (mut net, chain) = besieged();
        let forged = blocks_on(&chain[2], 3, STRANGER);
        if by_answer {
            give_headers(&mut net, 0, 1, &forged);
        } else {
            announce(&mut net, 0, 1, &forged[0]);
        }
        assert_eq!(net.headers_held(0), 0);
        assert_eq!(net.misbehaving().len(), 1, "{:?}", net.misbehaving());
        assert!(net.misbehaving()[0].contains("no mine permission"), "{:?}", net.misbehaving());
        let true_block = block(&chain[2], 4, Vec::new(), 1);
        net.connect(0, 2);
        net.mine(2, true_block.clone());
        net.run(Duration::from_secs(1));
        assert_eq!(net.tip(0), true_block.hash());
    }
}

#[test]
fn headers_of_keys_without_rights_below_the_tip_are_refused_too() {
    let (mut net, chain) = besieged();
    announce(&mut net, 0, 1, &block(&chain[0], 2, Vec::new(), STRANGER));
    assert_eq!((net.headers_held(0), net.misbehaving().len()), (0, 1));
}

#[test]
fn headers_on_a_block_on_its_way_are_judged_when_it_is_applied() {
    let mut net = Net::new(3);
    let chain = blocks_on(&genesis(), 12, 1);
    net.give(2, &chain);
    net.stranger(0, STRANGER);
    // While the first block is not here, nobody can tell whether its transactions grant the right.
    let mut told = vec![chain[0].clone()];
    told.extend(blocks_on(&chain[0], 400, STRANGER));
    net.silent(1);
    net.connect(0, 1);
    net.run(Duration::from_secs(1));
    give_headers(&mut net, 0, 1, &told);
    assert!(net.headers_held(0) > 300, "{}", net.headers_held(0));
    net.connect(0, 2);
    net.run(Duration::from_secs(15));
    assert_eq!(net.height(0), 12);
    assert_eq!(net.headers_held(0), 0);
    assert!(net.misbehaving().iter().any(|reason| reason.contains("no mine permission")), "{:?}", net.misbehaving());
}

#[test]
fn a_peer_that_keeps_the_bodies_of_heavy_branches_does_not_stop_a_node_from_catching_up() {
    let mut net = Net::new(3);
    let honest = blocks_on(&genesis(), 300, 1);
    net.give(2, &honest);
    net.silent(1);
    net.connect(0, 1);
    net.run(Duration::from_secs(1));
    // A miner with rights signs six branches, each heavier than the chain, and gives no body.
    for branch in 0..6 {
        let root = block(&genesis(), 1, vec![transaction(branch)], 2);
        let mut heavy = vec![root.clone()];
        heavy.extend(blocks_on(&root, 600, 2));
        give_headers(&mut net, 0, 1, &heavy);
    }
    assert!(net.headers_held(0) > 3_000, "{}", net.headers_held(0));
    net.connect(0, 2);
    net.run(Duration::from_secs(30));
    assert_eq!(net.height(0), 300);
}

#[test]
fn headers_that_do_not_extend_the_tip_do_not_keep_a_node_from_its_work() {
    let (mut net, chain) = besieged();
    net.silent(1);
    // A fork from below, heavier than the tip, whose bodies nobody gives.
    give_headers(&mut net, 0, 1, &blocks_on(&chain[0], 40, 2));
    assert!(net.headers_held(0) >= 40);
    net.connect(0, 2);
    net.run(Duration::from_secs(4));
    net.submit(2, transaction(1));
    net.run(Duration::from_secs(1));
    assert_eq!(net.pool(0), 1, "transactions of peers are taken");
    net.mine(0, block(&chain[2], 4, Vec::new(), 1));
    net.run(Duration::from_secs(1));
    assert!(net.said(0).iter().any(|said| matches!(said, SyncAction::AnnounceBlock(_))), "own blocks are announced");
}

#[test]
fn headers_on_a_fresh_tip_keep_a_node_from_no_work() {
    let mut net = Net::with(3, rules());
    net.connect(0, 1);
    net.connect(0, 2);
    net.run(Duration::from_secs(4));
    net.silent(1);
    let chain = blocks_on(&genesis(), 3, 1);
    for (number, tip) in (1..).zip(&chain) {
        net.mine(0, tip.clone());
        // A miner with rights signs twenty blocks ahead of each tip.
        give_headers(&mut net, 0, 1, &blocks_on(tip, 20, 2));
        net.submit(2, transaction(number));
        net.run(Duration::from_secs(1));
        assert_eq!((net.height(2), net.pool(0)), (number, number as usize), "heard and heard of");
    }
}

#[test]
fn a_block_that_others_follow_is_taken_however_many_its_miner_made() {
    let mut net = Net::new(3);
    net.connect(0, 1);
    net.run(Duration::from_secs(4));
    let rivals: Vec<Block> = (0..150).map(|number| block(&genesis(), 1, vec![transaction(number)], 2)).collect();
    for rival in &rivals[..149] {
        announce(&mut net, 0, 1, rival);
    }
    net.run(Duration::from_secs(1));
    let chain = [rivals[149].clone(), block(&rivals[149], 2, Vec::new(), 1)];
    net.give(2, &chain);
    net.connect(0, 2);
    net.run(Duration::from_secs(5));
    assert_eq!(net.tip(0), chain[1].hash());
}

/// Node 0 with a chain of three, whose peer 1 has told it of eight blocks of miner 2 beside the tip, each with one more
/// header of the same miner on it, and gives their bodies alone.
fn siblings(single_miner: bool) -> (Net, Vec<Block>) {
    let (mut net, chain) = (Net::new(3), blocks_on(&genesis(), 3, 1));
    net.give(0, &chain);
    net.give(2, &chain);
    if single_miner {
        net.single_miner(0);
    }
    net.give(1, &chain[..2]);
    net.connect(0, 1);
    net.run(Duration::from_secs(4));
    let siblings: Vec<Block> = (0..8).map(|number| block(&chain[1], 3, vec![transaction(number)], 2)).collect();
    net.give(1, &siblings);
    for sibling in &siblings {
        give_headers(&mut net, 0, 1, &[sibling.clone(), block(sibling, 4, Vec::new(), 2)]);
        net.run(Duration::from_secs(1));
    }
    net.run(Duration::from_secs(40));
    (net, siblings)
}

#[test]
fn blocks_of_one_miner_on_one_parent_beside_the_chain_take_no_room_until_others_build_on_them() {
    let (mut net, siblings) = siblings(false);
    let stored = siblings.iter().filter(|sibling| net.knows(0, &sibling.hash())).count();
    assert_eq!(stored, 2);
    // What a stranger builds on them makes them worth no more; what a miner builds is followed.
    net.stranger(0, 4);
    give_headers(&mut net, 0, 1, &[siblings[6].clone(), block(&siblings[6], 4, Vec::new(), 4)]);
    net.run(Duration::from_secs(40));
    assert!(!net.knows(0, &siblings[6].hash()));
    // One in ten minutes is fetched all the same.
    net.run(Duration::from_secs(600));
    assert_eq!(siblings.iter().filter(|sibling| net.knows(0, &sibling.hash())).count(), 3);
    let next = block(&siblings[7], 4, Vec::new(), 3);
    net.give(2, &[siblings[7].clone(), next.clone()]);
    net.connect(0, 2);
    net.run(Duration::from_secs(40));
    assert_eq!(net.tip(0), next.hash());
    assert!(net.misbehaving().is_empty(), "{:?}", net.misbehaving());
}

#[test]
fn where_a_miner_waits_for_nobody_its_own_blocks_make_a_branch() {
    let (net, siblings) = siblings(true);
    assert!(siblings.iter().all(|sibling| net.knows(0, &sibling.hash())));
}

#[test]
fn bodies_whose_first_is_kept_back_do_not_fill_the_memory() {
    let (mut net, chain) = (Net::new(3), blocks_on(&genesis(), 60, 1));
    net.give(0, &chain);
    net.give(2, &chain);
    net.connect(0, 2);
    net.run(Duration::from_secs(4));
    // A heavier branch from far below, of 80 bodies of 100 kB.
    let (mut branch, mut below) = (Vec::new(), chain[9].clone());
    for height in 11..=90 {
        let outputs = vec![Output::payment(Lock::Key(KeyHash([1; 20])), Amount::ZERO); 2_700];
        let large = Transaction::coinbase(Height(1_000_000 + height), outputs);
        below = block(&below, height, vec![large], 2);
        branch.push(below.clone());
    }
    net.give(1, &chain[..10]);
    net.give(1, &branch);
    net.withhold(1, branch[0].hash());
    net.connect(0, 1);
    net.run(Duration::from_secs(60));
    let held = net.bytes_held(0);
    assert!((1 << 20..4 << 20).contains(&held), "{held} bytes are held");
    net.give(2, &branch);
    net.input(2, SyncInput::Tip { applied: vec![branch[79].hash()], undone: true });
    net.run(Duration::from_secs(60));
    assert_eq!((net.height(0), net.bytes_held(0)), (90, 0));
}

#[test]
fn headers_of_many_peers_together_do_not_keep_those_of_another_out() {
    let mut net = Net::new(11);
    // Held because the block below them may grant the right.
    let first = block(&genesis(), 1, Vec::new(), 1);
    for peer in 1..10 {
        net.connect(0, peer);
        net.run(Duration::from_secs(4));
        for half in 0..2u32 {
            let number = half * 100 + u32::try_from(peer).unwrap();
            let root = block(&first, 2, vec![transaction(number)], STRANGER);
            let mut forged = vec![first.clone(), root.clone()];
            forged.extend(blocks_on(&root, WINDOW - 3, STRANGER));
            give_headers(&mut net, 0, peer, &forged);
        }
        net.silent(peer);
    }
    let full = net.headers_held(0);
    assert!(full > 30_000, "{full}");
    let chain = blocks_on(&genesis(), 100, 1);
    net.give(10, &chain);
    net.connect(0, 10);
    net.run(Duration::from_secs(60));
    assert_eq!(net.height(0), 100);
    assert!(net.headers_held(0) <= full.max(32_768));
}

/// The bound on what one peer can make a node hold and do, however many headers it signs.
#[test]
fn a_flood_of_signed_headers_costs_bounded_memory_and_time() {
    let count = std::env::var("ROTA_FLOOD_HEADERS").ok().and_then(|text| text.parse().ok()).unwrap_or(FLOOD);
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(4));
    // Held because the block below them may grant the right, and given anew under other keys again and again.
    let first = block(&genesis(), 1, Vec::new(), 1);
    let mut spent = Duration::ZERO;
    let mut query = 1_000_000;
    for round in 0..count.div_ceil(WINDOW / 2) {
        let root = block(&first, 2, vec![transaction(round)], STRANGER);
        let mut forged = vec![first.clone(), root.clone()];
        forged.extend(blocks_on(&root, WINDOW / 2 - 1, STRANGER));
        let headers: Vec<_> = forged.iter().map(|block| block.signed).collect();
        let began = Instant::now();
        query += 1;
        net.expect_headers(0, 1, QueryId(query));
        let result = Ok(Response::Headers(headers));
        net.input(0, SyncInput::Response { peer: Net::handle(1), query: QueryId(query), result });
        spent += began.elapsed();
        assert!(net.headers_held(0) <= HELD_A_PEER, "{}", net.headers_held(0));
    }
    let rate = f64::from(count) / spent.as_secs_f64();
    eprintln!("{count} headers in {spent:?}: {rate:.0} a second, {} held", net.headers_held(0));
    assert!(rate > 1_000.0, "{rate} headers a second");
}
