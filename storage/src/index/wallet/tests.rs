//! Tests of `wallet`: the transactions of addresses that come in with and without a past.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, Txid};

use crate::fixture::{Chain, author};
use crate::index::party::{MINE, addresses, is_idle_coinbase};
use crate::index::wallet::WalletAddress;
use crate::index::{Order, Selector, Subject};

fn own(number: u8) -> WalletAddress {
    WalletAddress { lock: author(number), mine: true, past: None }
}

fn watched(number: u8) -> WalletAddress {
    WalletAddress { mine: false, ..own(number) }
}

fn with_past(address: WalletAddress) -> WalletAddress {
    WalletAddress { past: Some(Height(0)), ..address }
}

fn list(chain: &Chain, order: Order, selector: Selector<'_>) -> Vec<Txid> {
    let snapshot = chain.store.snapshot().unwrap();
    let reader = snapshot.index(Subject::Wallet).unwrap().unwrap();
    let count = reader.count(order, selector).unwrap();
    let page = reader.page(order, selector, 0..count + 5).unwrap();
    assert_eq!(page.len() as u64, count, "positions are dense");
    page.iter().map(|row| snapshot.item_transaction(row).unwrap().unwrap().txid).collect()
}

/// What the blocks of the active branch hold of some authors, in order.
fn scanned(chain: &Chain, authors: &[u8]) -> Vec<Txid> {
    let snapshot = chain.store.snapshot().unwrap();
    let hashes = snapshot.block_hashes(0..9_999).unwrap();
    let blocks = hashes.iter().map(|hash| snapshot.block(hash).unwrap().unwrap());
    let mine = |lock| authors.iter().any(|number| author(*number) == lock);
    let transactions = blocks.flat_map(|block| block.transactions);
    transactions.filter(|tx| !is_idle_coinbase(tx) && addresses(tx).into_iter().any(mine)).map(|tx| tx.txid()).collect()
}

fn rescan(chain: &Chain) {
    assert!(chain.store.index_history(Subject::WalletAnew, |_| true).unwrap());
}

#[test]
fn transactions_are_listed_by_wallet_key_and_address() {
    let mut chain = Chain::new();
    chain.extend(vec![]);
    assert!(!chain.store.add_wallet_addresses(&[own(1), own(2), watched(3)]).unwrap());
    let made: Vec<_> = [1, 2, 3, 4, 1].map(|by| chain.transaction(by, vec![])).into();
    let ids: Vec<Txid> = made.iter().map(|tx| tx.txid()).collect();
    chain.store.index_seen(&[(ids[4], &made[4])]).unwrap();
    chain.extend(made);
    assert_eq!(list(&chain, Order::Chain, Selector::All), [ids[0], ids[1], ids[2], ids[4]]);
    assert_eq!(list(&chain, Order::Chain, Selector::Key(MINE)), [ids[0], ids[1], ids[4]]);
    assert_eq!(list(&chain, Order::Local, Selector::All), [ids[4], ids[0], ids[1], ids[2]]);
    assert_eq!(list(&chain, Order::Local, Selector::Key(MINE)), [ids[4], ids[0], ids[1]]);
    assert_eq!(list(&chain, Order::Local, Selector::Publisher(&author(1))), [ids[4], ids[0]]);
    assert_eq!(list(&chain, Order::Chain, Selector::Publisher(&author(3))), [ids[2]]);
    assert_eq!(list(&chain, Order::Chain, Selector::Publisher(&author(4))), []);
}

#[test]
fn a_new_address_has_no_past_and_the_index_stays_sound_when_older_blocks_are_undone() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    chain.store.add_wallet_addresses(&[own(1)]).unwrap();
    let (old, other) = (chain.transaction(2, vec![]), chain.transaction(1, vec![]));
    let (old_id, other_id) = (old.txid(), other.txid());
    let tip = chain.extend(vec![old.clone(), other]);
    assert!(!chain.store.add_wallet_addresses(&[own(2)]).unwrap(), "nothing is made anew");
    assert_eq!(list(&chain, Order::Chain, Selector::All), [other_id]);
    let mut chain = chain.reopened(|_| ());
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert_eq!(list(&chain, Order::Chain, Selector::All), []);
    let again = chain.make(Some(base), vec![old]);
    chain.store.commit(&chain.move_to(again)).unwrap();
    assert_eq!(list(&chain, Order::Chain, Selector::Publisher(&author(2))), [old_id], "blocks applied again count");
    chain.store.commit(&chain.move_to(tip)).unwrap();
    assert_eq!(list(&chain, Order::Chain, Selector::All), [old_id, other_id]);
}

#[test]
fn an_address_with_a_past_comes_in_whole_while_the_old_index_goes_on() {
    let mut chain = Chain::new();
    chain.extend(vec![]);
    chain.store.add_wallet_addresses(&[own(1)]).unwrap();
    for round in 0..150u8 {
        let transactions = vec![chain.transaction(1 + round % 3, vec![])];
        chain.extend(transactions);
    }
    let before = list(&chain, Order::Local, Selector::All);
    assert_eq!(before, scanned(&chain, &[1]));
    assert!(chain.store.add_wallet_addresses(&[with_past(watched(2))]).unwrap());
    let first = chain.store.index_history_step(Subject::WalletAnew).unwrap();
    assert!(!first.complete && first.next > Height(0));
    assert_eq!(list(&chain, Order::Local, Selector::All), before, "the old index answers");
    let mut chain = chain.reopened(|_| ());
    let fork = chain.models.values().find_map(|model| model.tip.filter(|tip| tip.height == Height(40))).unwrap();
    let late = vec![chain.transaction(2, vec![]), chain.transaction(1, vec![])];
    let side = chain.make(Some(fork.hash), late);
    chain.store.commit(&chain.move_to(side)).unwrap();
    rescan(&chain);
    assert!(chain.store.subscription(Subject::WalletAnew).is_none());
    assert_eq!(list(&chain, Order::Chain, Selector::All), scanned(&chain, &[1, 2]));
    assert_eq!(list(&chain, Order::Chain, Selector::Publisher(&author(2))), scanned(&chain, &[2]));
    assert_eq!(list(&chain, Order::Chain, Selector::Key(MINE)), scanned(&chain, &[1]), "2 is watched alone");
    let more = vec![chain.transaction(2, vec![])];
    chain.extend(more);
    assert_eq!(list(&chain, Order::Chain, Selector::All), scanned(&chain, &[1, 2]));
    assert!(chain.store.add_wallet_addresses(&[with_past(own(2))]).unwrap(), "its key came in");
    rescan(&chain);
    assert_eq!(list(&chain, Order::Chain, Selector::Key(MINE)), scanned(&chain, &[1, 2]));
    assert!(!chain.store.add_wallet_addresses(&[own(2), watched(2)]).unwrap(), "nothing is news");
}

#[test]
fn a_reward_that_left_the_chain_is_still_shown() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    chain.store.add_wallet_addresses(&[own(9)]).unwrap();
    let old = chain.extend(vec![]);
    let reward = list(&chain, Order::Local, Selector::All);
    assert_eq!(reward.len(), 1);
    let other = chain.make(Some(base), vec![]);
    chain.store.commit(&chain.move_to(other)).unwrap();
    assert_eq!(list(&chain, Order::Local, Selector::All)[0], reward[0], "no pool holds it, so the store does");
    let lost = chain.store.snapshot().unwrap().lost_transaction(&reward[0]).unwrap();
    assert!(lost.is_some_and(|tx| tx.is_coinbase()));
    chain.store.commit(&chain.move_to(old)).unwrap();
    assert_eq!(chain.store.snapshot().unwrap().lost_transaction(&reward[0]).unwrap(), None);
}

#[test]
fn a_second_address_with_a_past_begins_the_new_index_again() {
    let mut chain = Chain::new();
    chain.extend(vec![]);
    chain.store.add_wallet_addresses(&[own(1)]).unwrap();
    for round in 0..90u8 {
        let transactions = vec![chain.transaction(1 + round % 3, vec![])];
        chain.extend(transactions);
    }
    assert!(chain.store.add_wallet_addresses(&[with_past(own(2))]).unwrap());
    chain.store.index_history_step(Subject::WalletAnew).unwrap();
    assert!(chain.store.add_wallet_addresses(&[own(4)]).unwrap(), "the new index is still being made");
    assert!(chain.store.add_wallet_addresses(&[with_past(own(3))]).unwrap());
    assert_eq!(chain.store.subscription(Subject::WalletAnew).unwrap().next, Some(Height(0)));
    rescan(&chain);
    assert_eq!(list(&chain, Order::Chain, Selector::All), scanned(&chain, &[1, 2, 3]));
    let new = vec![chain.transaction(4, vec![])];
    let id = new[0].txid();
    chain.extend(new);
    assert_eq!(list(&chain, Order::Chain, Selector::Publisher(&author(4))), [id]);
}

#[test]
fn an_index_that_lived_through_reorganisations_lists_what_the_blocks_hold() {
    let mut chain = Chain::new();
    chain.store.add_wallet_addresses(&[own(0), own(1)]).unwrap();
    let mut tips: Vec<BlockHash> = vec![chain.extend(vec![])];
    let mut random = 777u64;
    let mut next = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((random >> 33) % limit).unwrap()
    };
    for round in 0..80 {
        let parent = tips[next(tips.len() as u64)];
        let transactions = (0..next(4)).map(|_| chain.transaction(u8::try_from(next(5)).unwrap(), vec![])).collect();
        let block = chain.make(Some(parent), transactions);
        tips.push(block);
        chain.store.commit(&chain.move_to(block)).unwrap();
        if round == 30 {
            chain.store.add_wallet_addresses(&[own(2)]).unwrap();
        }
        if round == 50 {
            chain.store.add_wallet_addresses(&[with_past(own(3)), with_past(own(2))]).unwrap();
            rescan(&chain);
        }
        if round > 50 {
            assert_eq!(list(&chain, Order::Chain, Selector::All), scanned(&chain, &[0, 1, 2, 3]), "round {round}");
            let local: BTreeSet<Txid> = {
                let snapshot = chain.store.snapshot().unwrap();
                let reader = snapshot.index(Subject::Wallet).unwrap().unwrap();
                let page = reader.page(Order::Local, Selector::All, 0..9_999).unwrap();
                page.iter().filter_map(|row| snapshot.item_transaction(row).unwrap().map(|found| found.txid)).collect()
            };
            assert!(scanned(&chain, &[0, 1, 2, 3]).iter().all(|txid| local.contains(txid)));
        }
    }
}
