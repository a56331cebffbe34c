//! Cursors over a real ledger: blocks arrive, leave and come again while lists are read.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use rota_api::cursor::After;
use rota_api::error::RpcError;
use rota_chain::data::{Data, DataFormat};
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::stream::{ItemData, Publish};
use rota_chain::transaction::Output;
use rota_storage::index::{Indexes, ItemRef, Order, Selector, StreamReader, TermKind};
use rota_storage::{EntityList, Snapshot};
use serde_json::{Value, json};

use super::Cursor;
use super::list::{List, Stand};
use super::token::{BlockMark, ChainPlace, ListName, Reached, Token};
use crate::ledger::tests::world::{Chain, FIRST, Node};

const METHOD: &str = "liststreamitems";

/// Makes one list again and again.
type Make<'l> = Box<dyn Fn() -> List<'l> + 'l>;

/// A page as a caller sees it.
#[derive(Debug, PartialEq)]
struct Page {
    entries: Vec<String>,
    after: String,
    more: bool,
    rewound: Option<u64>,
}

impl Page {
    fn of(answer: Value) -> Page {
        Page {
            entries: answer["entries"].as_array().unwrap().iter().map(|entry| entry.as_str().unwrap().into()).collect(),
            after: answer["after"].as_str().unwrap().into(),
            more: answer["more"].as_bool().unwrap(),
            rewound: answer.get("rewound").map(|height| height.as_u64().unwrap()),
        }
    }
}

fn after(token: &str, count: u64) -> After {
    After { count, token: token.into() }
}

fn follow(node: &Node, stream: Txid) {
    node.ledger.store().subscribe(stream, Indexes::ALL, true, true).unwrap();
    node.ledger.store().index_history(stream, |_| true).unwrap();
}

fn now(node: &Node, stream: Txid) -> (Snapshot, StreamReader) {
    let snapshot = node.ledger.store().snapshot().unwrap();
    let reader = snapshot.stream(&stream).unwrap().unwrap();
    (snapshot, reader)
}

fn id(snapshot: &Snapshot, row: &ItemRef) -> String {
    let txid = match row {
        ItemRef::Chain(_) => snapshot.item_transaction(row).unwrap().unwrap().txid,
        ItemRef::Local(row) => row.txid,
    };
    format!("{txid}:{}", row.vout())
}

/// A page of the items of a stream.
fn items(node: &Node, stream: Txid, order: Order, token: &str, count: u64) -> Result<Page, RpcError> {
    let (snapshot, reader) = now(node, stream);
    let list = List::of_index(&snapshot, &reader, METHOD, order, Selector::All)?;
    let cursor = Cursor::open(&snapshot, list, &after(token, count))?;
    let window = cursor.window();
    let rows = reader.page(order, Selector::All, window.clone()).unwrap();
    cursor.answer(window.end, rows.iter().map(|row| id(&snapshot, row).into()).collect()).map(Page::of)
}

fn chain(node: &Node, stream: Txid, token: &str, count: u64) -> Page {
    items(node, stream, Order::Chain, token, count).unwrap()
}

fn all(node: &Node, stream: Txid, order: Order) -> Vec<String> {
    let (snapshot, reader) = now(node, stream);
    reader.page(order, Selector::All, 0..u64::MAX).unwrap().iter().map(|row| id(&snapshot, row)).collect()
}

/// A page of the keys of a stream.
fn keys(node: &Node, stream: Txid, order: Order, token: &str, count: u64) -> Result<Page, RpcError> {
    let (snapshot, reader) = now(node, stream);
    let list = List::of_terms(&snapshot, &reader, "liststreamkeys", order, TermKind::Key)?;
    let cursor = Cursor::open(&snapshot, list, &after(token, count))?;
    let window = cursor.window();
    let keys = reader.keys(order, window.clone()).unwrap();
    cursor
        .answer(window.end, keys.into_iter().map(|key| String::from_utf8(key).unwrap().into()).collect())
        .map(Page::of)
}

fn refusal(outcome: Result<Page, RpcError>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.code.number(), -8);
    error.message
}

/// Publishes one item for each list of keys, all in one transaction.
fn publish(node: &mut Node, stream: Txid, nonce: u64, items: &[&[&str]]) -> Txid {
    let output = |keys: &&[&str]| {
        let data = ItemData::Onchain(Data { format: DataFormat::Raw, bytes: nonce.to_le_bytes().to_vec() });
        let keys = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        Output::operation(Operation::Publish(Publish { stream, keys, data }))
    };
    node.submit(node.sign(FIRST, nonce, 1_000, items.iter().map(output).collect()))
}

/// A node with a followed stream, and another that has all its blocks.
fn furnished(chain: &Chain) -> (Node, Node, Txid) {
    let (mut node, mut other) = (chain.node("node"), chain.node("other"));
    let stream = node.submit(node.stream(FIRST, "s", 1));
    let block = node.mine(FIRST, 10);
    other.take_all(&[block]);
    follow(&node, stream);
    follow(&other, stream);
    (node, other, stream)
}

#[test]
fn every_entry_comes_exactly_once_while_blocks_arrive_and_the_last_token_shows_what_is_new() {
    let world = Chain::new();
    let (mut node, _, stream) = furnished(&world);
    let empty = chain(&node, stream, "", 3);
    assert_eq!((empty.entries.len(), empty.more, empty.rewound), (0, false, None));
    let (mut token, mut read, mut nonce) = (empty.after, Vec::new(), 10);
    for round in 0..12 {
        for _ in 0..round % 4 {
            publish(&mut node, stream, nonce, &[&["a", "b"], &["b"], &["c"]]);
            nonce += 1;
        }
        if round % 2 == 0 {
            node.mine_many(FIRST, 1, 0);
        }
        let page = chain(&node, stream, &token, 4);
        assert!(page.entries.len() <= 4);
        read.extend(page.entries);
        token = page.after;
    }
    node.mine_many(FIRST, 1, 0);
    loop {
        let page = chain(&node, stream, &token, 4);
        read.extend(page.entries);
        token = page.after;
        if !page.more {
            break;
        }
    }
    assert_eq!(read, all(&node, stream, Order::Chain));
    let nothing = chain(&node, stream, &token, 4);
    assert_eq!(nothing, Page { entries: Vec::new(), after: token.clone(), more: false, rewound: None });
    let waiting = publish(&mut node, stream, nonce, &[&["late"]]);
    assert!(chain(&node, stream, &token, 4).entries.is_empty(), "what waits has no place in chain order");
    node.mine_many(FIRST, 1, 0);
    assert_eq!(chain(&node, stream, &token, 4).entries, [format!("{waiting}:0")]);
}

#[test]
fn after_a_reorganisation_a_list_goes_on_from_the_fork_and_misses_nothing_of_the_active_chain() {
    let world = Chain::new();
    let (mut node, mut other, stream) = furnished(&world);
    publish(&mut node, stream, 2, &[&["a"], &["b"]]);
    let shared = node.mine(FIRST, 20);
    other.take_all(&[shared]);
    let on_fork = chain(&node, stream, "", 2).after;
    publish(&mut node, stream, 3, &[&["c"]]);
    node.mine_many(FIRST, 2, 0);
    let page = chain(&node, stream, &on_fork, 9);
    assert_eq!((page.entries.len(), page.more, page.rewound), (1, false, None));
    let lost = page.after;

    publish(&mut other, stream, 4, &[&["d"]]);
    publish(&mut other, stream, 5, &[&["e"]]);
    let won = other.mine_many(FIRST, 3, 1);
    node.take_all(&won);
    assert_eq!(node.tip(), other.tip());

    let first = chain(&node, stream, &lost, 1);
    assert_eq!((first.entries.len(), first.more, first.rewound), (1, true, Some(2)));
    let second = chain(&node, stream, &first.after, 5);
    assert_eq!((second.more, second.rewound), (false, None));
    let read: Vec<String> = first.entries.into_iter().chain(second.entries).collect();
    assert_eq!(read, all(&node, stream, Order::Chain)[2..], "all above the fork");
    let unmoved = chain(&node, stream, &on_fork, 9);
    assert_eq!((unmoved.entries, unmoved.rewound), (read, None), "a token below the fork notices nothing");
}

#[test]
fn a_token_that_was_rewound_to_an_empty_branch_stands_on_the_fork_from_then_on() {
    let world = Chain::new();
    let (mut node, mut other, stream) = furnished(&world);
    publish(&mut node, stream, 2, &[&["a"]]);
    node.mine_many(FIRST, 1, 0);
    let lost = chain(&node, stream, "", 9).after;
    node.take_all(&other.mine_many(FIRST, 2, 1));
    let page = chain(&node, stream, &lost, 9);
    assert_eq!((page.entries.len(), page.more, page.rewound), (0, false, Some(1)));
    let again = chain(&node, stream, &page.after, 9);
    assert_eq!((again.entries.len(), again.rewound), (0, None));
    assert_eq!(again.after, page.after);
    let item = node.waiting()[0];
    node.mine_many(FIRST, 1, 0);
    for token in [&page.after, &lost] {
        assert_eq!(chain(&node, stream, token, 9).entries, [format!("{item}:0")]);
    }
}

#[test]
fn a_token_on_a_block_that_this_node_does_not_know_is_refused_with_what_to_do() {
    let world = Chain::new();
    let (mut node, mut other, stream) = furnished(&world);
    publish(&mut other, stream, 2, &[&["a"]]);
    other.mine_many(FIRST, 1, 0);
    let foreign = chain(&other, stream, "", 9).after;
    let message = refusal(items(&node, stream, Order::Chain, &foreign, 9));
    assert_eq!(message, r#"Invalid cursor: the block that it stands on is not known here; begin again with """#);
    node.take_all(&other.chain()[1..]);
    assert_eq!(chain(&node, stream, &foreign, 9).rewound, None, "on the same chain it serves at any node");
}

#[test]
fn in_chain_order_a_token_outlives_a_rebuild_and_an_index_made_anew() {
    let world = Chain::new();
    let (mut node, _, stream) = furnished(&world);
    for nonce in 2..6 {
        publish(&mut node, stream, nonce, &[&["a"], &["b", "c"]]);
        node.mine_many(FIRST, 1, 0);
    }
    let listed = all(&node, stream, Order::Chain);
    let items_token = chain(&node, stream, "", 3).after;
    let keys_token = keys(&node, stream, Order::Chain, "", 2).unwrap().after;
    let node = node.reindex();
    assert_eq!(chain(&node, stream, &items_token, 99).entries, listed[3..]);
    // From the next block on alone: what is at positions now was not read, and what was read is not there.
    node.ledger.store().unsubscribe(stream).unwrap();
    node.ledger.store().subscribe(stream, Indexes::ALL, true, false).unwrap();
    let mut node = node;
    publish(&mut node, stream, 9, &[&["z"]]);
    node.mine_many(FIRST, 1, 0);
    let late = chain(&node, stream, &items_token, 99);
    assert_eq!((late.entries.len(), late.rewound), (1, None));
    assert_eq!(keys(&node, stream, Order::Chain, &keys_token, 9).unwrap().entries, ["z"]);
    node.ledger.store().unsubscribe(stream).unwrap();
    follow(&node, stream);
    assert_eq!(chain(&node, stream, &items_token, 3).entries, listed[3..6]);
    assert_eq!(keys(&node, stream, Order::Chain, &keys_token, 9).unwrap().entries, ["c", "z"]);
}

#[test]
fn keys_of_one_item_are_told_apart_and_come_once_each_until_their_item_leaves_the_chain() {
    let world = Chain::new();
    let (mut node, mut other, stream) = furnished(&world);
    publish(&mut node, stream, 2, &[&["a", "b", "c", "d"]]);
    let shared = node.mine(FIRST, 20);
    other.take_all(&[shared]);
    publish(&mut node, stream, 3, &[&["d", "e", "f"]]);
    node.mine_many(FIRST, 1, 0);
    let (mut read, mut token) = (Vec::new(), String::new());
    loop {
        let page = keys(&node, stream, Order::Chain, &token, 1).unwrap();
        read.extend(page.entries);
        token = page.after;
        if !page.more {
            break;
        }
    }
    assert_eq!(read, ["a", "b", "c", "d", "e", "f"]);
    publish(&mut other, stream, 4, &[&["x", "e"]]);
    node.take_all(&other.mine_many(FIRST, 3, 1));
    let page = keys(&node, stream, Order::Chain, &token, 9).unwrap();
    assert_eq!((page.entries, page.rewound), (vec!["x".to_owned(), "e".to_owned()], Some(2)));
}

#[test]
fn local_order_shows_what_waits_and_is_not_moved_by_a_reorganisation_but_by_a_rebuild() {
    let world = Chain::new();
    let (mut node, mut other, stream) = furnished(&world);
    let local = |node: &Node, token: &str| items(node, stream, Order::Local, token, 99);
    assert_eq!(local(&node, "").unwrap().entries.len(), 0);
    publish(&mut node, stream, 2, &[&["a"]]);
    let first = local(&node, "").unwrap();
    assert_eq!(first.entries.len(), 1, "it waits");
    node.mine_many(FIRST, 1, 0);
    publish(&mut other, stream, 3, &[&["b"]]);
    node.take_all(&other.mine_many(FIRST, 2, 1));
    let second = local(&node, &first.after).unwrap();
    assert_eq!((second.entries.len(), second.more, second.rewound), (1, false, None));
    assert_eq!(local(&node, &second.after).unwrap().after, second.after);
    let key = keys(&node, stream, Order::Local, "", 1).unwrap();
    assert_eq!((key.entries, key.more), (vec!["a".to_owned()], true));

    let gone = "Invalid cursor: the order of arrival that it belongs to is not here; begin again with \"\"";
    assert_eq!(refusal(local(&other, &second.after)), gone);
    let node = node.reindex();
    assert_eq!(refusal(local(&node, &second.after)), gone);
    assert_eq!(refusal(keys(&node, stream, Order::Local, &key.after, 1)), gone);
    let anew = local(&node, "").unwrap();
    node.ledger.store().unsubscribe(stream).unwrap();
    follow(&node, stream);
    assert_eq!(refusal(local(&node, &anew.after)), gone);
}

#[test]
fn a_token_serves_its_own_list_alone() {
    let world = Chain::new();
    let (mut node, _, stream) = furnished(&world);
    publish(&mut node, stream, 2, &[&["a"]]);
    node.mine_many(FIRST, 1, 0);
    let (snapshot, reader) = now(&node, stream);
    let selectors = [Selector::All, Selector::Key(b"a"), Selector::Key(b"b")];
    let mut lists: Vec<Make<'_>> = Vec::new();
    for method in [METHOD, "liststreamkeyitems"] {
        for order in [Order::Chain, Order::Local] {
            for selector in selectors {
                let (snapshot, reader) = (&snapshot, &reader);
                lists.push(Box::new(move || List::of_index(snapshot, reader, method, order, selector).unwrap()));
            }
        }
    }
    lists.push(Box::new(|| List::of_terms(&snapshot, &reader, METHOD, Order::Chain, TermKind::Key).unwrap()));
    for (at, from) in lists.iter().enumerate() {
        let cursor = Cursor::open(&snapshot, from(), &after("", 9)).unwrap();
        let end = cursor.window().end;
        let token = cursor.answer(end, Vec::new()).unwrap()["after"].as_str().unwrap().to_owned();
        for (other, to) in lists.iter().enumerate() {
            let opened = Cursor::open(&snapshot, to(), &after(&token, 9));
            match opened {
                Ok(cursor) => assert_eq!((at, cursor.window()), (other, end..end)),
                Err(error) => {
                    assert_ne!(at, other);
                    assert_eq!(error.message, "Invalid cursor: it belongs to another list");
                }
            }
        }
    }
}

#[test]
fn entities_go_on_from_the_fork_too() {
    let world = Chain::new();
    let (mut node, mut other) = (world.node("node"), world.node("other"));
    let streams = |node: &Node, token: &str, count: u64| {
        let snapshot = node.ledger.store().snapshot().unwrap();
        let name = |position: u64| {
            let at = u32::try_from(position).unwrap();
            let txid = snapshot.entities(EntityList::Streams, at..at + 1).unwrap()[0];
            let entity = rota_consensus::state::StateView::entity(&snapshot, &txid).unwrap().unwrap();
            (String::from_utf8(entity.name.clone()).unwrap(), entity)
        };
        let stand = |position| {
            let (_, entity) = name(position);
            Ok(Stand::alone(ChainPlace { height: entity.height.0, index: entity.offset, vout: 0, ordinal: 0 }))
        };
        let size = snapshot.entity_count(EntityList::Streams).unwrap().into();
        let list = List::in_chain_order(ListName::new("liststreams", &[]), size, stand);
        let cursor = Cursor::open(&snapshot, list, &after(token, count)).unwrap();
        let window = cursor.window();
        Page::of(cursor.answer(window.end, window.clone().map(|at| name(at).0.into()).collect()).unwrap())
    };
    node.submit(node.stream(FIRST, "one", 1));
    node.submit(node.stream(FIRST, "two", 2));
    let shared = node.mine(FIRST, 10);
    other.take_all(&[shared]);
    node.submit(node.stream(FIRST, "lost", 3));
    node.mine_many(FIRST, 1, 0);
    let some = streams(&node, "", 2);
    assert_eq!((some.entries, some.more), (vec!["root".to_owned(), "one".to_owned()], true));
    let rest = streams(&node, &some.after, 9);
    assert_eq!(rest.entries, ["two", "lost"]);
    other.submit(other.stream(FIRST, "won", 4));
    node.take_all(&other.mine_many(FIRST, 2, 1));
    let page = streams(&node, &rest.after, 9);
    assert_eq!((page.entries, page.rewound), (vec!["won".to_owned()], Some(1)));
}

#[test]
fn tokens_made_up_of_anything_are_answered_or_refused_and_never_break_a_list() {
    let world = Chain::new();
    let (mut node, mut other, stream) = furnished(&world);
    for nonce in 2..8 {
        publish(&mut node, stream, nonce, &[&["a"], &["b"]]);
        node.mine_many(FIRST, 1, 0);
    }
    node.take_all(&other.mine_many(FIRST, 3, 1));
    let (snapshot, reader) = now(&node, stream);
    let make = |order| List::of_index(&snapshot, &reader, METHOD, order, Selector::All).unwrap();
    let mut blocks: Vec<BlockMark> = (0..=node.height())
        .flat_map(|height| snapshot.blocks_at(rota_chain::amount::Height(height)).unwrap())
        .map(|hash| BlockMark::of(&hash))
        .collect();
    blocks.push(BlockMark::of(&rota_chain::hash::BlockHash([7; 32])));
    let edges = [0, 1, 2, 5, 12, 13, u32::MAX - 1, u32::MAX];
    let (mut answered, mut refused) = (0, 0);
    for block in blocks {
        for height in edges {
            for index in edges {
                for position in edges {
                    let place = ChainPlace { height, index, vout: index, ordinal: 0 };
                    let reached = Reached::Chain { place, check: [0; 8], block, position };
                    for order in [Order::Chain, Order::Local] {
                        let token = Token::new(make(order).name, reached).to_text();
                        match Cursor::open(&snapshot, make(order), &after(&token, 3)) {
                            Ok(cursor) => {
                                let window = cursor.window();
                                assert!(window.end <= cursor.size() && window.start <= window.end);
                                cursor.answer(window.end, vec![json!(1)]).unwrap();
                                answered += 1;
                            }
                            Err(error) => {
                                assert_eq!(error.code.number(), -8);
                                refused += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(answered > 100 && refused > 1_000, "{answered} {refused}");
    for text in ["x", "====", "\u{0}", "ä", "AAAA", "../..", "%00", " "] {
        assert_eq!(
            Cursor::open(&snapshot, make(Order::Chain), &after(text, 1)).err().unwrap().message,
            "Invalid cursor: no token of this version"
        );
    }
}
