//! Whole networks of machines in one thread under a simulated clock.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod header;
mod net;

use std::time::Duration;

use rota_chain::amount::{Amount, Height};
use rota_chain::block::{Block, SignedHeader};
use rota_chain::hash::{BlockHash, sha256};
use rota_chain::key::PrivateKey;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::transaction::{Output, Transaction};
use rota_chain::witness::Witness;
use rota_p2p::{CompactBlock, Request};

use super::{SyncAction, SyncInput};
use crate::ledger::GovernanceFork;
use net::{Net, block, blocks_on, genesis, transaction};

#[test]
fn a_new_node_takes_a_long_chain_from_its_peers() {
    let mut net = Net::new(3);
    let chain = blocks_on(&genesis(), 5_000, 1);
    net.give(0, &chain);
    net.give(1, &chain);
    net.connect(2, 0);
    net.connect(2, 1);
    net.run(Duration::from_secs(20));
    assert_eq!(net.height(2), 5_000);
    for source in [0, 1] {
        assert!(net.asked(2, source, |request| matches!(request, Request::Blocks { .. })) > 50, "both deliver");
    }
    assert!(net.said(2).iter().any(|said| matches!(said, SyncAction::CatchingUp(true))));
    assert!(matches!(
        net.said(2).iter().rfind(|said| matches!(said, SyncAction::CatchingUp(_))),
        Some(SyncAction::CatchingUp(false))
    ));
    assert!(net.misbehaving().is_empty(), "{:?}", net.misbehaving());
}

#[test]
fn blocks_that_a_peer_does_not_deliver_are_asked_of_another() {
    let mut net = Net::new(3);
    let chain = blocks_on(&genesis(), 40, 1);
    net.give(0, &chain);
    net.give(1, &chain);
    net.silent(0);
    net.connect(2, 0);
    net.connect(2, 1);
    net.run(Duration::from_secs(60));
    assert_eq!(net.height(2), 40);
}

#[test]
fn a_single_slow_peer_is_asked_again() {
    let mut net = Net::new(2);
    net.give(0, &blocks_on(&genesis(), 40, 1));
    net.connect(1, 0);
    net.lose_next_answers(0, 5);
    net.run(Duration::from_secs(120));
    assert_eq!(net.height(1), 40);
}

#[test]
fn a_new_block_is_put_together_from_the_pool() {
    let mut net = Net::new(3);
    net.connect(0, 1);
    net.connect(1, 2);
    let waiting = [transaction(1), transaction(2)];
    for one in &waiting {
        net.submit(0, one.clone());
    }
    net.run(Duration::from_secs(5));
    assert_eq!(net.pool(2), 2);
    let block = net::block(&genesis(), 1, waiting.to_vec(), 1);
    net.mine(0, block);
    net.run(Duration::from_secs(5));
    assert_eq!((net.height(2), net.pool(2)), (1, 0));
    for (node, from) in [(1, 0), (2, 1)] {
        let bodies = |request: &Request| matches!(request, Request::Blocks { .. } | Request::BlockTransactions { .. });
        assert_eq!(net.asked(node, from, bodies), 0, "the coinbase is known without asking");
    }
}

#[test]
fn only_the_missing_transactions_of_a_new_block_are_asked_for() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.submit(0, transaction(1));
    net.run(Duration::from_secs(5));
    let block = net::block(&genesis(), 1, vec![transaction(1), transaction(2)], 1);
    net.mine(0, block);
    net.run(Duration::from_secs(2));
    assert_eq!(net.height(1), 1);
    let indexes = |request: &Request| match request {
        Request::BlockTransactions { indexes, .. } => *indexes == [2],
        _ => false,
    };
    assert_eq!(net.asked(1, 0, indexes), 1);
    assert_eq!(net.asked(1, 0, |request| matches!(request, Request::Blocks { .. })), 0);
}

#[test]
fn an_announcement_that_does_not_fit_its_root_leads_to_the_whole_block() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    let block = net::block(&genesis(), 1, vec![transaction(1)], 1);
    net.give(0, std::slice::from_ref(&block));
    let compact = CompactBlock::new(block.signed, vec![transaction(9).full_hash()]);
    net.input(1, SyncInput::BlockAnnounced { peer: Net::handle(0), compact });
    net.run(Duration::from_secs(1));
    assert_eq!(net.height(1), 1);
    assert_eq!(net.asked(1, 0, |request| matches!(request, Request::Blocks { .. })), 1);
}

#[test]
fn an_announced_block_of_unknown_parent_brings_its_branch() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    let chain = blocks_on(&genesis(), 3, 1);
    net.give(0, &chain);
    let last = chain.last().unwrap();
    let compact = CompactBlock::new(last.signed, last.full_hashes());
    net.input(1, SyncInput::BlockAnnounced { peer: Net::handle(0), compact });
    net.run(Duration::from_secs(1));
    assert_eq!(net.height(1), 3);
}

#[test]
fn a_lost_announcement_costs_half_a_minute() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    net.give(0, &blocks_on(&genesis(), 1, 1));
    net.run(Duration::from_secs(35));
    assert_eq!(net.height(1), 1);
}

#[test]
fn two_halves_that_meet_follow_the_longer_branch() {
    let mut net = Net::new(4);
    net.connect(0, 1);
    net.connect(2, 3);
    let (short, long) = (blocks_on(&genesis(), 3, 1), blocks_on(&genesis(), 5, 2));
    for block in short {
        net.mine(0, block);
    }
    for block in long {
        net.mine(2, block);
    }
    net.run(Duration::from_secs(5));
    assert_eq!((net.height(1), net.height(3)), (3, 5));
    net.connect(1, 2);
    net.run(Duration::from_secs(10));
    assert!((0..4).all(|node| net.tip(node) == net.tip(2)), "one tip everywhere");
    assert!(net.misbehaving().is_empty());
}

#[test]
fn an_invalid_block_names_who_delivered_it_and_ends_its_branch_alone() {
    let mut net = Net::new(3);
    let good = blocks_on(&genesis(), 4, 1);
    let bad = blocks_on(&genesis(), 6, 2);
    net.give(0, &good);
    net.give(1, &bad);
    net.forbid(bad[2].hash(), 2);
    net.connect(2, 1);
    net.run(Duration::from_secs(2));
    net.connect(2, 0);
    net.run(Duration::from_secs(10));
    assert_eq!(net.tip(2), good[3].hash());
    assert_eq!(net.misbehaving().len(), 1);
    assert!(net.misbehaving()[0].contains(&bad[2].hash().to_string()), "{:?}", net.misbehaving());
}

#[test]
fn bodies_that_are_not_the_blocks_are_asked_of_another() {
    let mut net = Net::new(3);
    let chain = blocks_on(&genesis(), 5, 1);
    net.give(0, &chain);
    net.give(1, &chain);
    net.corrupt(0);
    net.connect(2, 0);
    net.connect(2, 1);
    net.run(Duration::from_secs(10));
    assert_eq!(net.height(2), 5);
    assert_eq!(net.misbehaving().len(), 1, "{:?}", net.misbehaving());
}

#[test]
fn a_block_ahead_of_the_clock_waits_for_its_time() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    let block = blocks_on(&genesis(), 1, 1).remove(0);
    net.hold_until(1, block.hash(), 30);
    net.mine(0, block);
    net.run(Duration::from_secs(29));
    assert_eq!(net.height(1), 0);
    net.run(Duration::from_secs(3));
    assert_eq!(net.height(1), 1);
    assert!(net.misbehaving().is_empty());
}

#[test]
fn large_blocks_ahead_of_the_clock_do_not_fill_the_memory_and_may_come_again() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    let announce = |net: &mut Net, signed: SignedHeader| {
        let compact = CompactBlock::new(signed, Vec::new());
        net.input(1, SyncInput::BlockAnnounced { peer: Net::handle(0), compact });
        net.run(Duration::from_secs(1));
    };
    let paying = |number: u32, outputs: usize| {
        let output = Output::payment(Lock::Key(KeyHash([1; 20])), Amount::ZERO);
        let miner = u8::try_from(number).unwrap();
        net::block(&genesis(), 1, vec![Transaction::coinbase(Height(number), vec![output; outputs])], miner)
    };
    let small: Vec<Block> = (100..103).map(|number| paying(number, 1)).collect();
    let large: Vec<Block> = (200..204).map(|number| paying(number, 180_000)).collect();
    let third: usize = large[..3].iter().map(Block::size).sum();
    assert!(large[0].size() < 8_000_000 && third > 16 << 20, "two fit, three do not");
    for block in small.iter().chain(&large) {
        net.hold_until(1, block.hash(), 60);
        net.give(0, std::slice::from_ref(block));
        announce(&mut net, block.signed);
    }
    assert_eq!((net.height(1), net.headers_held(1)), (0, 5), "three small ones and two of four large ones");
    net.run(Duration::from_secs(60));
    assert_eq!((net.height(1), net.headers_held(1)), (1, 0));
    announce(&mut net, large[3].signed);
    assert!(net.knows(1, &large[3].hash()), "its time has come");
    assert!(net.misbehaving().is_empty(), "{:?}", net.misbehaving());
}

#[test]
fn a_node_is_behind_until_it_has_caught_up() {
    let mut net = Net::new(2);
    net.give(0, &blocks_on(&genesis(), 10, 1));
    net.connect(1, 0);
    net.run(Duration::from_secs(5));
    let told: Vec<bool> = net
        .said(1)
        .iter()
        .filter_map(|said| if let SyncAction::Behind(behind) = said { Some(*behind) } else { None })
        .collect();
    assert_eq!(told, [true, false]);
}

#[test]
fn a_node_that_makes_no_progress_is_not_behind_for_ever() {
    let mut net = Net::new(2);
    net.give(0, &blocks_on(&genesis(), 10, 1));
    net.silent(0);
    net.connect(1, 0);
    net.run(Duration::from_secs(70));
    let last = net.said(1).iter().rfind(|said| matches!(said, SyncAction::Behind(_)));
    assert!(matches!(last, Some(SyncAction::Behind(false))));
}

#[test]
fn headers_of_a_miner_without_the_right_do_not_make_a_node_behind() {
    let mut net = Net::new(2);
    net.give(0, &blocks_on(&genesis(), 10, 1));
    net.no_miners(1);
    net.silent(0);
    net.connect(1, 0);
    net.run(Duration::from_secs(5));
    assert!(!net.said(1).iter().any(|said| matches!(said, SyncAction::Behind(true))));
}

#[test]
fn headers_beyond_the_window_are_not_held() {
    let mut net = Net::new(2);
    net.give(0, &blocks_on(&genesis(), 4_500, 1));
    net.silent(0);
    net.connect(1, 0);
    net.run(Duration::from_secs(5));
    assert!(net.headers_held(1) <= 2_000);
}

#[test]
fn an_unsigned_announcement_names_its_peer() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    let mut block = blocks_on(&genesis(), 1, 1).remove(0);
    block.signed.header.time.0 += 1;
    let compact = CompactBlock::new(block.signed, Vec::new());
    net.input(1, SyncInput::BlockAnnounced { peer: Net::handle(0), compact });
    net.run(Duration::from_secs(1));
    assert_eq!(net.misbehaving().len(), 1);
}

#[test]
fn a_third_block_of_one_miner_on_one_parent_is_not_announced_further() {
    let mut net = Net::new(3);
    net.connect(0, 1);
    net.connect(1, 2);
    net.run(Duration::from_secs(4));
    let rivals: Vec<_> = (0..4).map(|number| net::block(&genesis(), 1, vec![transaction(number)], 1)).collect();
    for rival in &rivals {
        let compact = CompactBlock::new(rival.signed, rival.full_hashes());
        net.give(0, std::slice::from_ref(rival));
        net.input(1, SyncInput::BlockAnnounced { peer: Net::handle(0), compact });
        net.run(Duration::from_secs(1));
    }
    // The operator's will makes the third the tip.
    net.input(1, SyncInput::Tip { applied: vec![rivals[2].hash()], undone: false });
    net.run(Duration::from_secs(1));
    let announced: Vec<BlockHash> = net
        .said(1)
        .iter()
        .filter_map(|said| if let SyncAction::AnnounceBlock(hash) = said { Some(*hash) } else { None })
        .collect();
    assert_eq!(announced, [rivals[0].hash()]);
}

#[test]
fn a_transaction_reaches_all_and_each_asks_for_it_once() {
    let mut net = Net::new(5);
    for (one, other) in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 2), (1, 3)] {
        net.connect(one, other);
    }
    net.run(Duration::from_secs(5));
    net.submit(0, transaction(1));
    net.run(Duration::from_secs(1));
    assert!((0..5).all(|node| net.pool(node) == 1));
    for node in 1..5 {
        let bodies = |request: &Request| matches!(request, Request::Transactions { .. });
        let asked: usize = (0..5).map(|of| net.asked(node, of, bodies)).sum();
        assert_eq!(asked, 1, "node {node}");
    }
}

#[test]
fn pools_are_compared_after_connecting() {
    let mut net = Net::new(2);
    for number in 0..1_200 {
        net.submit(0, transaction(number));
    }
    net.submit(1, transaction(5_000));
    net.connect(0, 1);
    net.run(Duration::from_secs(3));
    assert_eq!((net.pool(0), net.pool(1)), (1_201, 1_201));
}

#[test]
fn a_parent_is_asked_for_by_its_id_and_the_child_follows() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    let (parent, child) = (transaction(1), transaction(2));
    net.needs(&child, &parent);
    net.put_in_pool(0, parent.clone());
    net.submit(0, child.clone());
    net.run(Duration::from_secs(1));
    assert_eq!(net.pool(1), 2);
    let by_id = |request: &Request| matches!(request, Request::TransactionsById { txids } if *txids == [parent.txid()]);
    assert_eq!(net.asked(1, 0, by_id), 1);
}

#[test]
fn a_waiting_transaction_is_tried_again_with_the_next_block() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    let (parent, child) = (transaction(1), transaction(2));
    net.submit(0, child.clone());
    net.needs(&child, &parent);
    net.run(Duration::from_secs(1));
    assert_eq!(net.pool(1), 0);
    net.mine(0, net::block(&genesis(), 1, vec![parent], 1));
    net.run(Duration::from_secs(2));
    assert_eq!(net.pool(1), 1);
}

#[test]
fn a_peer_whose_transactions_come_to_nothing_is_asked_for_few() {
    let mut net = Net::new(3);
    let missing = transaction(0);
    for number in 1..=8_000 {
        let orphan = transaction(number);
        net.submit(0, orphan.clone());
        net.needs(&orphan, &missing);
    }
    net.connect(0, 1);
    net.connect(2, 1);
    net.run(Duration::from_secs(5));
    let bodies = |request: &Request| matches!(request, Request::Transactions { .. });
    let asked = net.asked(1, 0, bodies);
    assert!((2..=10).contains(&asked), "{asked} times 500 were asked for");
    // Others are heard as ever, and the peer itself once it gives what is good again.
    net.submit(2, transaction(9_000));
    net.run(Duration::from_secs(2));
    assert_eq!(net.pool(1), 1);
    net.run(Duration::from_secs(60));
    assert!(net.asked(1, 0, bodies) > asked);
    assert!(net.misbehaving().is_empty(), "{:?}", net.misbehaving());
}

#[test]
fn a_peer_that_gives_one_transaction_under_ever_new_signatures_is_asked_for_few() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    let key = PrivateKey::from_bytes([9; 32]).unwrap();
    net.submit(1, transaction(1));
    for number in 0..8_000u32 {
        let mut variant = transaction(1);
        let signature = key.sign(&sha256(&number.to_le_bytes()));
        variant.witnesses = vec![Witness::Key { key: key.public_key(), signature }];
        net.put_in_pool(0, variant);
    }
    net.disconnect(0, 1);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    let asked = net.asked(1, 0, |request| matches!(request, Request::Transactions { .. }));
    assert!((2..=10).contains(&asked), "{asked} times 500 were asked for");
    assert!(net.misbehaving().is_empty(), "{:?}", net.misbehaving());
}

#[test]
fn a_transaction_that_breaks_a_rule_names_who_delivered_it() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    net.break_rule(&transaction(1));
    net.put_in_pool(0, transaction(1));
    net.input(1, SyncInput::TransactionsAnnounced { peer: Net::handle(0), hashes: vec![transaction(1).full_hash()] });
    net.run(Duration::from_secs(1));
    assert_eq!(net.misbehaving().len(), 1);
    assert_eq!(net.pool(1), 0);
}

#[test]
fn what_found_no_room_is_not_asked_for_again_before_the_next_block() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    net.room_for(&transaction(1), false);
    net.submit(0, transaction(1));
    net.run(Duration::from_secs(100));
    let bodies = |request: &Request| matches!(request, Request::Transactions { .. });
    assert_eq!((net.pool(1), net.asked(1, 0, bodies)), (0, 1), "however often it is announced");
    net.room_for(&transaction(1), true);
    net.mine(0, net::block(&genesis(), 1, Vec::new(), 1));
    net.run(Duration::from_secs(35));
    assert_eq!((net.pool(1), net.asked(1, 0, bodies)), (1, 2));
}

#[test]
fn own_transactions_are_announced_until_they_confirm() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    net.lose_announcements(true);
    net.submit(0, transaction(1));
    net.run(Duration::from_secs(1));
    net.lose_announcements(false);
    assert_eq!(net.pool(1), 0);
    net.run(Duration::from_secs(35));
    assert_eq!(net.pool(1), 1);
    net.mine(0, net::block(&genesis(), 1, vec![transaction(1)], 1));
    net.run(Duration::from_secs(2));
    let before = net.announcements(0);
    net.run(Duration::from_secs(65));
    assert_eq!(net.announcements(0), before);
}

#[test]
fn what_a_gone_peer_was_asked_for_is_asked_of_others() {
    let mut net = Net::new(3);
    net.connect(2, 0);
    net.connect(2, 1);
    net.run(Duration::from_secs(5));
    net.put_in_pool(0, transaction(1));
    net.put_in_pool(1, transaction(1));
    net.silent(0);
    for peer in [0, 1] {
        let hashes = vec![transaction(1).full_hash()];
        net.input(2, SyncInput::TransactionsAnnounced { peer: Net::handle(peer), hashes });
    }
    net.run(Duration::from_secs(1));
    assert_eq!(net.pool(2), 0);
    net.disconnect(2, 0);
    net.run(Duration::from_secs(1));
    assert_eq!(net.pool(2), 1);
}

#[test]
fn what_a_silent_peer_was_asked_for_is_asked_of_others_when_the_request_ends() {
    let mut net = Net::new(3);
    net.connect(2, 0);
    net.connect(2, 1);
    net.run(Duration::from_secs(5));
    net.put_in_pool(0, transaction(1));
    net.put_in_pool(1, transaction(1));
    net.silent(0);
    for peer in [0, 1] {
        let hashes = vec![transaction(1).full_hash()];
        net.input(2, SyncInput::TransactionsAnnounced { peer: Net::handle(peer), hashes });
    }
    net.run(Duration::from_secs(29));
    assert_eq!(net.pool(2), 0);
    net.run(Duration::from_secs(3));
    assert_eq!(net.pool(2), 1);
}

#[test]
fn a_paused_node_takes_nothing_and_carries_on_later() {
    let mut net = Net::new(2);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    net.pause(1, true);
    net.mine(0, blocks_on(&genesis(), 1, 1).remove(0));
    net.submit(0, transaction(7));
    net.run(Duration::from_secs(40));
    assert_eq!((net.height(1), net.pool(1)), (0, 0));
    net.pause(1, false);
    net.run(Duration::from_secs(2));
    assert_eq!((net.height(1), net.pool(1)), (1, 1));
}

#[test]
fn an_unknown_peer_is_asked_for_headers_and_blocks_alone() {
    let mut net = Net::new(2);
    net.give(0, &blocks_on(&genesis(), 5, 1));
    net.connect_behind(1, 0);
    net.run(Duration::from_secs(40));
    assert_eq!(net.height(1), 5);
    let other = |request: &Request| !matches!(request, Request::Headers { .. } | Request::Blocks { .. });
    assert_eq!(net.asked(1, 0, other), 0);
}

#[test]
fn a_lighter_branch_that_would_undo_governance_is_reported_by_its_headers() {
    let mut net = Net::new(2);
    let ours = blocks_on(&genesis(), 30, 1);
    let theirs = blocks_on(&ours[4], 20, 2);
    net.give(0, &ours);
    net.give(1, &ours[..5]);
    net.give(1, &theirs);
    net.protect(0, Height(20));
    net.hold_until(1, ours[5].hash(), u64::MAX);
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    let reported = |net: &Net| {
        let mut said = net.said(0).iter().rev();
        said.find_map(|said| match said {
            SyncAction::GovernanceForks(forks) => Some(forks.clone()),
            _ => None,
        })
    };
    let fork = |block: &rota_chain::block::Block, height| GovernanceFork {
        tip: block.hash(),
        height: Height(height),
        fork_height: Height(5),
    };
    assert_eq!(reported(&net), Some(vec![fork(&theirs[19], 25)]));
    assert_eq!(net.asked(0, 1, |request| matches!(request, Request::Blocks { .. })), 0, "its bodies are not fetched");
    let next = blocks_on(&theirs[19], 1, 3);
    net.mine(1, next[0].clone());
    net.run(Duration::from_secs(5));
    assert_eq!(reported(&net), Some(vec![fork(&next[0], 26)]), "with its newest tip");
    net.run(Duration::from_secs(40));
    assert_eq!(reported(&net), Some(vec![fork(&next[0], 26)]), "as long as the peer follows it");
    net.give(1, &ours[5..]);
    net.run(Duration::from_secs(40));
    assert_eq!(net.tip(1), ours[29].hash());
    assert_eq!(reported(&net), Some(Vec::new()), "and no longer");
}

#[test]
fn a_transaction_of_a_branch_that_is_not_followed_is_fetched_all_the_same() {
    let mut net = Net::new(3);
    let ours = block(&genesis(), 1, Vec::new(), 1);
    net.give(0, std::slice::from_ref(&ours));
    net.give(2, &[ours]);
    net.mine(1, block(&genesis(), 1, vec![transaction(1)], 2));
    net.connect(0, 1);
    net.run(Duration::from_secs(5));
    assert_eq!(net.asked(0, 1, |request| matches!(request, Request::Blocks { .. })), 1, "the other branch is here");
    net.connect(0, 2);
    net.submit(2, transaction(1));
    net.run(Duration::from_secs(5));
    assert_eq!(net.pool(0), 1);
}
