//! Tests of `index`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, Txid};

use crate::fixture::{Chain, answers, author, publish};
use crate::index::{Indexes, ItemRef, Order, Selector};

const BOTH: [Order; 2] = [Order::Chain, Order::Local];

/// A chain with two streams in its second block; the first is followed.
fn followed() -> (Chain, Txid, Txid) {
    let mut chain = Chain::new();
    let (a, b) = (chain.stream("a"), chain.stream("b"));
    let ids = (a.txid(), b.txid());
    chain.extend(vec![]);
    chain.extend(vec![a, b]);
    chain.store.subscribe(ids.0, Indexes::ALL, true, true).unwrap();
    catch_up(&chain, &ids.0);
    (chain, ids.0, ids.1)
}

fn catch_up(chain: &Chain, stream: &Txid) {
    assert!(chain.store.index_history(stream, |_| true).unwrap());
}

/// What chain order answers, and what an index made anew answers.
fn assert_rebuild_equals(chain: &Chain, stream: &Txid) {
    let kept = answers(&chain.store.snapshot().unwrap(), stream, &[Order::Chain]);
    assert!(chain.store.unsubscribe(stream).unwrap());
    assert!(chain.store.snapshot().unwrap().stream(stream).unwrap().is_none());
    chain.store.subscribe(stream, Indexes::ALL, true, true).unwrap();
    catch_up(chain, stream);
    let again = answers(&chain.store.snapshot().unwrap(), stream, &BOTH);
    assert_eq!(again[..kept.len()], kept);
    let local: Vec<String> = again[kept.len()..].iter().map(|line| line.replace("Local", "Chain")).collect();
    assert_eq!(local, kept, "local order of an index made anew is chain order");
}

#[test]
fn items_are_listed_by_order_key_and_publisher() {
    let (mut chain, a, b) = followed();
    let items = [
        chain.item(1, a, &["x", "y", "x"]),
        chain.item(2, b, &["x"]),
        chain.item(2, a, &["y"]),
        chain.item(1, a, &[]),
        chain.item(2, a, &["", "x"]),
    ];
    let ids: Vec<Txid> = items.iter().map(|item| item.txid()).collect();
    chain.extend(items[..3].to_vec());
    chain.extend(items[3..].to_vec());
    let snapshot = chain.store.snapshot().unwrap();
    let reader = snapshot.stream(&a).unwrap().unwrap();
    for order in BOTH {
        let list = |selector: Selector<'_>| -> Vec<Txid> {
            let page = reader.page(order, selector, 0..99).unwrap();
            page.iter().map(|item| snapshot.item_transaction(item).unwrap().unwrap().txid).collect()
        };
        assert_eq!(list(Selector::All), [ids[0], ids[2], ids[3], ids[4]]);
        assert_eq!(list(Selector::Key(b"x")), [ids[0], ids[4]], "a key given twice counts once");
        assert_eq!(list(Selector::Key(b"y")), [ids[0], ids[2]]);
        assert_eq!(list(Selector::Key(b"")), [ids[4]]);
        assert_eq!(list(Selector::Key(b"z")), []);
        assert_eq!(list(Selector::Publisher(&author(2))), [ids[2], ids[4]]);
        assert_eq!(reader.keys(order, 0..9).unwrap(), [b"x".to_vec(), b"y".to_vec(), Vec::new()]);
        assert_eq!(reader.keys(order, 1..2).unwrap(), [b"y".to_vec()]);
        assert_eq!(reader.publishers(order, 0..9).unwrap(), [author(1), author(2)]);
        let summary = reader.summary(order, Selector::Key(b"y")).unwrap().unwrap();
        assert_eq!(summary.items, 2);
        assert_eq!(snapshot.item_transaction(&summary.last).unwrap().unwrap().txid, ids[2]);
        assert_eq!(reader.summary(order, Selector::Key(b"z")).unwrap(), None);
    }
    assert!(snapshot.stream(&b).unwrap().is_none());
    assert_eq!(snapshot.stream_heights(&b, Height(0), 9).unwrap(), [Height(2)]);
    assert_eq!(snapshot.stream_heights(&a, Height(3), 9).unwrap(), [Height(3)]);
}

#[test]
fn pages_hold_exactly_the_positions_asked_for() {
    let (mut chain, a, _) = followed();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let items: Vec<_> = (0..5).map(|_| chain.item(1, a, &["k"])).collect();
        ids.extend(items.iter().map(|item| item.txid()));
        chain.extend(items);
    }
    let snapshot = chain.store.snapshot().unwrap();
    let reader = snapshot.stream(&a).unwrap().unwrap();
    for order in BOTH {
        for selector in [Selector::All, Selector::Key(b"k"), Selector::Publisher(&author(1))] {
            assert_eq!(reader.count(order, selector).unwrap(), 20);
            for (start, end) in [(0, 1), (0, 20), (1, 2), (7, 13), (18, 40), (20, 25), (5, 5)] {
                let page = reader.page(order, selector, start as u64..end as u64).unwrap();
                let found: Vec<Txid> =
                    page.iter().map(|item| snapshot.item_transaction(item).unwrap().unwrap().txid).collect();
                assert_eq!(found, ids[start.min(20)..end.min(20)], "{order:?} {selector:?} {start}..{end}");
            }
        }
    }
    let positions: Vec<u64> = (0..8).map(|height| reader.position_at(Height(height)).unwrap()).collect();
    assert_eq!(positions, [0, 0, 0, 5, 10, 15, 20, 20]);
}

#[test]
fn several_items_of_one_transaction_are_told_apart() {
    let (mut chain, a, _) = followed();
    let mut both = chain.transaction(1, vec![publish(a, &["k"]), publish(a, &["k"])]);
    both.body.outputs[1].operations.push(publish(a, &["l"]));
    chain.extend(vec![both]);
    let reader = chain.store.snapshot().unwrap().stream(&a).unwrap().unwrap();
    for order in BOTH {
        let page = reader.page(order, Selector::All, 0..9).unwrap();
        let places: Vec<(u32, u16)> = page.iter().map(|item| (item.vout(), item.ordinal())).collect();
        assert_eq!(places, [(0, 0), (1, 0), (1, 1)]);
        assert_eq!(reader.count(order, Selector::Key(b"k")).unwrap(), 2);
    }
}

#[test]
fn local_order_is_that_of_arrival_and_never_changes() {
    let (mut chain, a, _) = followed();
    let base = chain.tip().unwrap().hash;
    let items: Vec<_> = ["p", "q", "r", "s"].iter().map(|key| chain.item(1, a, &[key])).collect();
    let ids: Vec<Txid> = items.iter().map(|item| item.txid()).collect();
    chain.store.index_seen(&[(ids[2], &items[2]), (ids[0], &items[0])]).unwrap();
    chain.store.index_seen(&[(ids[2], &items[2])]).unwrap();
    let old = chain.extend(vec![items[0].clone(), items[1].clone(), items[2].clone()]);
    let local = |chain: &Chain| -> Vec<Txid> {
        let reader = chain.store.snapshot().unwrap().stream(&a).unwrap().unwrap();
        let page = reader.page(Order::Local, Selector::All, 0..9).unwrap();
        page.iter().map(|item| if let ItemRef::Local(row) = item { row.txid } else { Txid::ZERO }).collect()
    };
    assert_eq!(local(&chain), [ids[2], ids[0], ids[1]]);
    let other = chain.make(Some(base), vec![items[3].clone(), items[0].clone()]);
    chain.store.commit(&chain.move_to(other)).unwrap();
    assert_eq!(local(&chain), [ids[2], ids[0], ids[1], ids[3]]);
    let snapshot = chain.store.snapshot().unwrap();
    let reader = snapshot.stream(&a).unwrap().unwrap();
    assert_eq!(reader.keys(Order::Chain, 0..9).unwrap(), [b"s".to_vec(), b"p".to_vec()]);
    let seen = reader.page(Order::Local, Selector::Key(b"q"), 0..1).unwrap()[0];
    assert_eq!(snapshot.item_transaction(&seen).unwrap(), None, "it may still wait in the pool");
    chain.store.put_lost_transaction(&ids[1], &items[1]).unwrap();
    let snapshot = chain.store.snapshot().unwrap();
    let lost = snapshot.item_transaction(&seen).unwrap().unwrap();
    assert_eq!((lost.txid, lost.location), (ids[1], None));
    chain.store.commit(&chain.move_to(old)).unwrap();
    assert_eq!(local(&chain), [ids[2], ids[0], ids[1], ids[3]]);
    let snapshot = chain.store.snapshot().unwrap();
    assert!(snapshot.item_transaction(&seen).unwrap().unwrap().location.is_some());
    assert_eq!(snapshot.lost_transaction(&ids[1]).unwrap(), None, "what came back is lost no more");
}

#[test]
fn an_index_that_lived_through_reorganisations_equals_one_made_anew() {
    let (mut chain, a, b) = followed();
    chain.store.subscribe(b, Indexes::ALL, true, true).unwrap();
    catch_up(&chain, &b);
    let mut tips: Vec<BlockHash> = vec![chain.tip().unwrap().hash];
    let mut random = 12_345u64;
    let mut next = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    for round in 0..60 {
        let parent = tips[next(tips.len() as u64) as usize];
        let count = next(4);
        let items = (0..count)
            .map(|_| {
                let keys = [format!("k{}", next(5)), format!("k{}", next(5))];
                let keys: Vec<&str> = keys.iter().take(next(3) as usize).map(String::as_str).collect();
                let stream = if next(2) == 0 { a } else { b };
                chain.item(next(3) as u8, stream, &keys)
            })
            .collect();
        let block = chain.make(Some(parent), items);
        tips.push(block);
        chain.store.commit(&chain.move_to(block)).unwrap();
        if round % 20 == 19 {
            chain.assert_sound();
            assert_rebuild_equals(&chain, &a);
            assert_rebuild_equals(&chain, &b);
        }
    }
}

#[test]
fn history_is_indexed_in_steps_while_blocks_come_and_go() {
    let mut chain = Chain::new();
    let stream = chain.stream("a");
    let a = stream.txid();
    chain.extend(vec![]);
    chain.extend(vec![stream]);
    for _ in 0..150 {
        let item = chain.item(1, a, &["k"]);
        chain.extend(vec![item]);
    }
    let subscription = chain.store.subscribe(a, Indexes::ALL, true, true).unwrap();
    assert!(subscription.is_catching_up() && !subscription.is_complete());
    let first = chain.store.index_history_step(a).unwrap();
    assert_eq!((first.complete, first.next), (false, Height(66)));
    let fork = chain.models.values().find_map(|model| model.tip.filter(|tip| tip.height == Height(40))).unwrap();
    let waiting = chain.item(2, a, &["late"]);
    chain.store.index_seen(&[(waiting.txid(), &waiting)]).unwrap();
    let mut chain = chain.reopened(|_| ());
    assert_eq!(chain.store.subscription(a).unwrap().next, Some(Height(66)), "it carries on after a restart");
    let other = chain.make(Some(fork.hash), vec![waiting]);
    chain.store.commit(&chain.move_to(other)).unwrap();
    assert_eq!(chain.store.subscription(a).unwrap().next, Some(Height(41)));
    catch_up(&chain, &a);
    assert!(chain.store.subscription(a).unwrap().is_complete());
    let snapshot = chain.store.snapshot().unwrap();
    let reader = snapshot.stream(&a).unwrap().unwrap();
    assert_eq!(reader.count(Order::Chain, Selector::All).unwrap(), 40);
    assert_eq!(reader.count(Order::Chain, Selector::Publisher(&author(2))).unwrap(), 1);
    let item = chain.item(1, a, &["k"]);
    chain.extend(vec![item]);
    let reader = chain.store.snapshot().unwrap().stream(&a).unwrap().unwrap();
    assert_eq!(reader.count(Order::Chain, Selector::All).unwrap(), 41);
    assert_rebuild_equals(&chain, &a);
}

#[test]
fn a_subscription_without_history_follows_new_items_only_and_knows_it() {
    let (mut chain, a, b) = followed();
    let item = chain.item(1, b, &["old"]);
    let base = chain.tip().unwrap().hash;
    chain.extend(vec![item.clone()]);
    let subscription = chain.store.subscribe(b, Indexes::ALL, true, false).unwrap();
    assert!(!subscription.is_complete() && !subscription.is_catching_up());
    assert_eq!(subscription.from, Height(3));
    let new = chain.item(1, b, &["new"]);
    chain.extend(vec![new.clone()]);
    let keys = |chain: &Chain| {
        let reader = chain.store.snapshot().unwrap().stream(&b).unwrap().unwrap();
        reader.keys(Order::Chain, 0..9).unwrap()
    };
    assert_eq!(keys(&chain), [b"new".to_vec()]);
    let other = chain.make(Some(base), vec![new, item]);
    chain.store.commit(&chain.move_to(other)).unwrap();
    assert_eq!(keys(&chain), [b"new".to_vec(), b"old".to_vec()], "blocks that are applied again are indexed");
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert_eq!(keys(&chain), Vec::<Vec<u8>>::new());
    let list: Vec<Txid> = chain.store.subscriptions().iter().filter_map(|known| known.subject.entity()).collect();
    assert_eq!(list, [a, b]);
}

#[test]
fn only_the_indexes_asked_for_are_kept() {
    let (mut chain, _, b) = followed();
    chain.store.subscribe(b, Indexes::ITEMS.with(Indexes::KEYS), false, true).unwrap();
    catch_up(&chain, &b);
    let item = chain.item(1, b, &["k"]);
    let base = chain.tip().unwrap().hash;
    let tip = chain.extend(vec![item]);
    let counts = |chain: &Chain| {
        let reader = chain.store.snapshot().unwrap().stream(&b).unwrap().unwrap();
        let count = |order, selector: Selector<'_>| reader.count(order, selector).unwrap();
        let publisher = author(1);
        [
            count(Order::Chain, Selector::All),
            count(Order::Chain, Selector::Key(b"k")),
            count(Order::Chain, Selector::Publisher(&publisher)),
            count(Order::Local, Selector::All),
        ]
    };
    assert_eq!(counts(&chain), [1, 1, 0, 0]);
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert_eq!(counts(&chain), [0, 0, 0, 0]);
    chain.store.commit(&chain.move_to(tip)).unwrap();
    assert_eq!(counts(&chain), [1, 1, 0, 0]);
    let wider = chain.store.subscribe(b, Indexes::ALL, true, true).unwrap();
    assert!(wider.is_catching_up() && wider.retrieve, "other indexes begin anew");
}

#[test]
fn an_index_that_is_dropped_leaves_the_others_as_they_are() {
    let (mut chain, a, _) = followed();
    for keys in [&["x"][..], &["y", "x"], &["z"]] {
        let item = chain.item(1, a, keys);
        chain.extend(vec![item]);
    }
    let counts = |chain: &Chain| {
        let reader = chain.store.snapshot().unwrap().stream(&a).unwrap().unwrap();
        let publisher = author(1);
        BOTH.map(|order| {
            [Selector::All, Selector::Key(b"x"), Selector::Publisher(&publisher)]
                .map(|selector| reader.count(order, selector).unwrap())
        })
    };
    assert_eq!(counts(&chain), [[3, 2, 3], [3, 2, 3]]);
    let local = Indexes::ITEMS_LOCAL.with(Indexes::KEYS_LOCAL).with(Indexes::PUBLISHERS_LOCAL);
    let left = chain.store.trim(a, local.with(Indexes::PUBLISHERS)).unwrap();
    assert_eq!(left.indexes, Indexes::ITEMS.with(Indexes::KEYS));
    assert!(left.is_complete());
    assert_eq!(counts(&chain), [[3, 2, 0], [0, 0, 0]]);
    let mut chain = chain.reopened(|_| ());
    let base = chain.tip().unwrap().hash;
    let item = chain.item(1, a, &["x"]);
    let tip = chain.extend(vec![item]);
    assert_eq!(counts(&chain), [[4, 3, 0], [0, 0, 0]]);
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert_eq!(counts(&chain), [[3, 2, 0], [0, 0, 0]]);
    chain.store.commit(&chain.move_to(tip)).unwrap();
    chain.store.trim(a, Indexes::ALL).unwrap();
    assert_eq!(counts(&chain), [[0, 0, 0], [0, 0, 0]]);
    assert!(chain.store.trim(Txid([9; 32]), Indexes::ALL).is_err(), "a stream that is not followed has none");
}
