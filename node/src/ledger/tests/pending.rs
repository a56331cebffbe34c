//! Transactions that wait: the journal's promise, and every way in which it ends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rota_chain::data::{Data, DataFormat};
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::transaction::{Output, Transaction};
use rota_params::runtime::RuntimeValue;
use rota_storage::BlockStatus;
use rota_storage::index::{Indexes, Order, Selector};

use super::world::{Chain, FIRST, Node};
use crate::ledger::{LedgerEvent, LedgerHandle, Stopped, SubmitError, spawn};
use crate::pool::PoolError;

fn data() -> Vec<Output> {
    vec![Output::operation(Operation::Data(Data { format: DataFormat::Raw, bytes: vec![1] }))]
}

fn ended(node: &mut Node) -> Vec<Txid> {
    let of = |event| match event {
        LedgerEvent::Ended { txid, .. } => Some(txid),
        LedgerEvent::Tip { .. } | LedgerEvent::Admitted { .. } => None,
    };
    node.events().into_iter().filter_map(of).collect()
}

#[test]
fn who_listens_slowly_keeps_no_confirmed_transactions_in_memory() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let waits = |event: &LedgerEvent| match event {
        LedgerEvent::Admitted { txid, entry, .. } => Some((*txid, entry.upgrade().is_some())),
        LedgerEvent::Tip { .. } | LedgerEvent::Ended { .. } => None,
    };
    let first = node.submit(node.data(FIRST, 1));
    node.mine(FIRST, 10);
    let second = node.submit(node.data(FIRST, 2));
    let told: Vec<(Txid, bool)> = node.events().iter().filter_map(waits).collect();
    assert_eq!(told, [(first, false), (second, true)]);
}

#[test]
fn an_acknowledged_transaction_is_in_the_pool_again_after_a_crash() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let stream = node.submit(node.stream(FIRST, "s", 1));
    let item = node.submit(node.item(FIRST, stream, 2));
    let node = node.restart();
    assert_eq!(node.waiting(), [stream, item]);
    assert!(node.entry(&item).unwrap().own);
    let mut node = node.restart();
    node.mine(FIRST, 10);
    assert!(node.is_confirmed(&item));
    let node = node.restart();
    assert!(node.waiting().is_empty() && node.is_confirmed(&item));
    assert_eq!(node.ledger.ending(&item), None);
}

#[test]
fn what_peers_sent_is_not_journaled() {
    let chain = Chain::new();
    let node = chain.node("node");
    let tx = node.data(FIRST, 1);
    let entry = node.ledger.admission().relay(tx.clone()).unwrap();
    assert!(!entry.own);
    assert!(node.restart().waiting().is_empty());
}

#[test]
fn a_refused_transaction_is_neither_acknowledged_nor_journaled() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let refused = node.try_submit(node.data(5, 1));
    assert!(matches!(&refused, Err(SubmitError::Pool(PoolError::Rule(rule))) if rule.code() == "tx-send"));
    let again = node.data(FIRST, 2);
    node.submit(again.clone());
    assert!(matches!(node.try_submit(again), Err(SubmitError::Pool(PoolError::Known(_)))));
    let node = node.restart();
    assert_eq!(node.waiting().len(), 1);
}

#[test]
fn a_transaction_expires_visibly_before_and_after_a_crash() {
    let chain = Chain::new();
    let (mut maker, mut node) = (chain.node("maker"), chain.node("node"));
    let short = node.submit(node.sign(FIRST, 1, 2, data()));
    let long = node.submit(node.sign(FIRST, 2, 50, data()));
    let blocks = maker.mine_many(FIRST, 2, 0);
    node.take_all(&blocks[..1]);
    assert!(node.waits(&short), "block 2 may still hold it");
    node.events();
    node.take_all(&blocks[1..]);
    assert!(!node.waits(&short) && node.waits(&long));
    assert_eq!(ended(&mut node), [short]);
    assert!(node.ledger.ending(&short).unwrap().contains("tx-expired"));
    let node = node.restart();
    assert_eq!(node.waiting(), [long]);
    assert!(node.ledger.ending(&short).unwrap().contains("tx-expired"));
    assert_eq!(node.ledger.ending(&long), None);
}

#[test]
fn what_rests_on_a_grant_that_only_peers_have_waits_for_it_after_a_crash() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let grant = node.grant(2, &[Permission::Send], BlockRange::ALWAYS, 1);
    node.ledger.admission().relay(grant.clone()).unwrap();
    let (first, second) = (node.submit(node.data(2, 5)), node.submit(node.data(2, 6)));
    // The grant comes again as an arrival.
    let mut node = node.restart();
    assert!(node.waiting().is_empty());
    assert!(node.ledger.is_resting(&first) && node.ledger.ending(&first).is_none());
    node.ledger.relay_all(vec![grant.clone()]);
    assert_eq!(node.waiting(), [grant.txid(), first, second]);
    assert!(node.entry(&first).unwrap().own && !node.ledger.is_resting(&first));
    // It comes in a block.
    let mut other = chain.node("other");
    other.submit(grant);
    let blocks = other.mine_many(FIRST, 1, 1);
    let mut node = node.restart();
    node.take_all(&blocks);
    assert_eq!(node.waiting(), [first, second]);
    node.mine(FIRST, 100);
    assert!(node.is_confirmed(&first) && node.is_confirmed(&second));
}

#[test]
fn what_rests_on_a_grant_that_never_comes_ends_visibly() {
    let chain = Chain::new();
    let (mut node, mut other) = (chain.node("node"), chain.node("other"));
    node.ledger.admission().relay(node.grant(2, &[Permission::Send], BlockRange::ALWAYS, 1)).unwrap();
    let txid = node.submit(node.data(2, 5));
    let mut node = node.restart();
    node.take_all(&other.mine_many(FIRST, 19, 1));
    assert!(node.ledger.is_resting(&txid) && ended(&mut node).is_empty());
    // It is kept for yet another start.
    let mut node = node.restart();
    node.take_all(&other.mine_many(FIRST, 20, 1));
    assert_eq!(ended(&mut node), [txid]);
    assert!(!node.ledger.is_resting(&txid) && node.ledger.ending(&txid).unwrap().contains("20 blocks"));
}

#[test]
fn a_lost_right_ends_what_waited_on_it() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    node.submit(node.grant(2, &[Permission::Send], BlockRange { start: 0, end: 3 }, 1));
    node.mine(FIRST, 10);
    let mut other = chain.node("other");
    other.take_all(&node.chain());
    let txid = node.submit(node.data(2, 5));
    let blocks = other.mine_many(FIRST, 1, 1);
    node.take_all(&blocks);
    assert_eq!(ended(&mut node), [txid]);
    assert!(node.ledger.ending(&txid).unwrap().contains("tx-send"));
}

#[test]
fn a_cleared_pool_stays_empty_after_a_crash() {
    let chain = Chain::new();
    let (mut node, mut other) = (chain.node("node"), chain.node("other"));
    let confirmed = node.submit(node.data(FIRST, 1));
    node.mine(FIRST, 10);
    let cleared = node.submit(node.data(FIRST, 2));
    node.ledger.admission().relay(node.data(FIRST, 3)).unwrap();
    node.events();
    assert_eq!(node.ledger.clear_pool(), 2);
    assert!(node.waiting().is_empty());
    assert_eq!(ended(&mut node).len(), 2);
    assert!(node.ledger.ending(&cleared).unwrap().contains("clearmempool"));
    // What a lost branch confirmed is an own transaction still, and may be cleared like any other.
    other.mine_many(FIRST, 2, 1);
    node.take_all(&other.chain());
    assert_eq!(node.waiting(), [confirmed]);
    let mut node = node.restart();
    assert_eq!(node.waiting(), [confirmed]);
    assert_eq!(node.ledger.clear_pool(), 1);
    assert!(node.restart().waiting().is_empty());
}

#[test]
fn an_own_transaction_of_a_lost_branch_is_cleared_for_good() {
    let chain = Chain::new();
    let (mut node, mut other) = (chain.node("node"), chain.node("other"));
    let txid = node.submit(node.data(FIRST, 1));
    node.mine(FIRST, 10);
    other.mine_many(FIRST, 2, 1);
    node.take_all(&other.chain());
    assert!(node.waits(&txid));
    node.ledger.clear_pool();
    assert!(node.restart().waiting().is_empty());
}

#[test]
fn a_banned_transaction_is_taken_from_nobody() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let tx = node.data(FIRST, 1);
    let banned = RuntimeValue::Text(tx.txid().to_string());
    node.settings.write().unwrap().set("bantx", &banned).unwrap();
    assert!(matches!(node.try_submit(tx.clone()), Err(SubmitError::Refused(_))));
    assert!(node.ledger.admission().relay(tx).is_err());
    assert!(node.waiting().is_empty());
}

#[test]
fn a_branch_with_a_banned_transaction_is_avoided_while_it_is_banned() {
    let chain = Chain::new();
    let (mut node, mut other) = (chain.node("node"), chain.node("other"));
    let common = other.mine_many(FIRST, 1, 0);
    let banned = other.submit(other.data(FIRST, 1));
    let blocks = other.mine_many(FIRST, 2, 0);
    let ban = |node: &Node, text: String| {
        node.settings.write().unwrap().set("bantx", &RuntimeValue::Text(text)).unwrap();
    };
    ban(&node, banned.to_string());
    node.take_all(&common);
    node.take_all(&blocks);
    assert_eq!(node.tip(), common[0].hash());
    assert_eq!(node.status(&blocks[1].hash()), Some(BlockStatus::Body), "avoided, not condemned");
    let own = node.mine(FIRST, 21);
    assert_eq!(node.tip(), own.hash());
    ban(&node, String::new());
    node.ledger.reconsider_branches().unwrap();
    assert_eq!(node.tip(), blocks[1].hash());
}

#[test]
fn the_operator_may_choose_a_branch_with_a_banned_transaction() {
    let chain = Chain::new();
    let (mut node, mut other) = (chain.node("node"), chain.node("other"));
    let banned = other.submit(other.data(FIRST, 1));
    let blocks = other.mine_many(FIRST, 1, 0);
    node.settings.write().unwrap().set("bantx", &RuntimeValue::Text(banned.to_string())).unwrap();
    node.take_all(&blocks);
    assert_eq!(node.height(), 0);
    node.ledger.set_last_block(blocks[0].hash()).unwrap();
    node.ledger.reconsider_branches().unwrap();
    assert_eq!(node.tip(), blocks[0].hash());
}

#[test]
fn items_are_listed_in_local_order_when_they_were_acknowledged_and_after_they_ended() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let stream = node.submit(node.stream(FIRST, "s", 1));
    node.mine(FIRST, 10);
    node.ledger.store().subscribe(stream, Indexes::ALL, true, false).unwrap();
    let item = node.submit(node.item(FIRST, stream, 2));
    let listed = |node: &Node| {
        let reader = node.ledger.store().snapshot().unwrap().stream(&stream).unwrap().unwrap();
        reader.page(Order::Local, Selector::All, 0..10).unwrap().len()
    };
    assert_eq!(listed(&node), 1);
    node.ledger.clear_pool();
    assert_eq!(listed(&node), 1);
    let lost = node.ledger.store().snapshot().unwrap().lost_transaction(&item).unwrap();
    assert_eq!(lost.map(|transaction| transaction.txid()), Some(item));
}

#[test]
fn what_comes_in_while_blocks_are_applied_waits_or_is_confirmed_and_is_journaled() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let made: Vec<_> = (0..1_500).map(|nonce| node.data(FIRST, nonce)).collect();
    let txids: Vec<_> = made.iter().map(|tx| tx.txid()).collect();
    let admission = Arc::clone(node.ledger.admission());
    let finished = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for tx in made {
                admission.submit(tx).unwrap();
            }
            finished.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        let mut seconds = 10;
        while !finished.load(std::sync::atomic::Ordering::SeqCst) {
            node.mine(FIRST, seconds);
            seconds += 10;
        }
    });
    let is_there = |node: &Node| txids.iter().all(|txid| node.waits(txid) != node.is_confirmed(txid));
    assert!(is_there(&node));
    let waiting = node.waiting();
    drop(admission);
    let node = node.restart();
    assert!(is_there(&node));
    assert_eq!(node.waiting(), waiting, "in the order they came");
}

async fn submit_both(handle: &LedgerHandle, node: &Node) {
    let (a, b) = (node.data(FIRST, 1), node.data(FIRST, 2));
    let ids = [a.txid(), b.txid()];
    let (first, second) = tokio::join!(handle.submit(a), handle.submit(b));
    assert_eq!([first.unwrap(), second.unwrap()], ids);
}

#[tokio::test]
async fn the_writer_answers_in_order_and_ends_when_told_though_handles_remain() {
    let chain = Chain::new();
    let (signer, node) = (chain.node("signer"), chain.node("node"));
    let parts = node.into_parts();
    let view = Arc::clone(&parts.view);
    let (handle, thread) = spawn(parts).unwrap();
    let mut events = handle.subscribe_events();
    submit_both(&handle, &signer).await;
    assert_eq!(view.read().pool.len(), 2);
    assert!(matches!(events.recv().await, Ok(LedgerEvent::Admitted { .. })));
    let other = handle.clone();
    handle.stop().await;
    thread.join().unwrap();
    assert!(matches!(other.submit(signer.data(FIRST, 3)).await, Err(SubmitError::Stopped(Stopped))));
    assert_eq!(other.call(|ledger| ledger.clear_pool()).await, Err(Stopped));
}

#[test]
fn who_reads_between_a_block_and_its_pool_is_told_what_it_confirms() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let (store, view) = (Arc::clone(node.ledger.store()), Arc::clone(&node.view));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // The tips that the stored state was ahead of the view at, with what the view said of them.
        let reader = scope.spawn(|| {
            let mut seen = HashMap::new();
            while !done.load(Ordering::Relaxed) {
                let stored = store.snapshot().unwrap().tip().unwrap().hash;
                let view = view.read();
                if let Some(confirmed) = view.confirmed_at(&stored) {
                    seen.insert(stored, confirmed.clone());
                }
            }
            seen
        });
        let mut wanted = HashMap::new();
        for round in 0..10 {
            for number in 0..200 {
                node.submit(node.data(FIRST, 1_000 * round + number));
            }
            let block = node.mine(FIRST, 10 * (round + 1));
            let txids: HashSet<Txid> = block.transactions.iter().map(Transaction::txid).collect();
            wanted.insert(block.hash(), txids);
            assert!(node.view.read().next.is_none(), "the view is at the tip itself");
        }
        done.store(true, Ordering::Relaxed);
        let seen = reader.join().unwrap();
        assert!(!seen.is_empty(), "in ten blocks the reader never came between");
        for (tip, confirmed) in seen {
            assert_eq!(wanted.get(&tip), Some(&confirmed));
        }
    });
}
