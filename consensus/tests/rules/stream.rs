//! Streams: what may be published where and by whom.

use rota_chain::data::{ChunkReference, ChunkedData, Data, DataFormat};
use rota_chain::hash::{ChunkHash, Txid};
use rota_chain::operation::Operation;
use rota_chain::stream::{ItemData, StreamRestriction};
use rota_consensus::rule::{Rule, StreamRule};

use crate::chain_builder::Chain;
use crate::transaction_builder::{broken, party, text};

fn chunks(salt_size: u8, sizes: &[u32]) -> ItemData {
    let chunks = sizes.iter().map(|size| ChunkReference { size: *size, hash: ChunkHash([1; 32]) }).collect();
    ItemData::Offchain(ChunkedData { format: DataFormat::Raw, salt_size, chunks })
}

/// A chain on which bob may send, and a stream by alice.
fn with_stream(restriction: StreamRestriction) -> (Chain, Txid) {
    let mut chain = Chain::new();
    let alice = party("alice");
    chain.confirm(chain.write().author(&alice).grant(&party("bob"), "send"));
    let stream = chain.confirm(chain.write().author(&alice).create_restricted("s", restriction));
    (chain, stream)
}

fn publish(chain: &Chain, stream: Txid, data: ItemData) -> Result<(), Rule> {
    let writing = chain.write().author(&party("alice")).publish_data(stream, &["k"], data);
    chain.propose(writing).map(|_| ())
}

const FREE: StreamRestriction = StreamRestriction { write: false, read: false, onchain: false, offchain: false };

#[test]
fn in_an_open_stream_everyone_who_may_send_publishes() {
    let (chain, stream) = with_stream(FREE);
    let by = |name: &str| chain.propose(chain.write().author(&party(name)).publish(stream, "k"));
    assert!(by("bob").is_ok());
    broken(by("carol").unwrap_err(), "tx-send");
}

#[test]
fn in_a_closed_stream_one_author_needs_write() {
    let (mut chain, stream) = with_stream(StreamRestriction { write: true, ..FREE });
    let (alice, bob) = (party("alice"), party("bob"));
    let by_bob = chain.write().author(&bob).publish(stream, "k");
    let refusal = chain.refusal(by_bob.clone());
    assert_eq!(refusal, StreamRule::Write { stream }.into());
    broken(refusal, "stream-write");
    let together = chain.write().author(&bob).author(&alice).publish(stream, "k");
    assert!(chain.propose(together).is_ok());
    chain.confirm(chain.write().author(&alice).grant_on(stream, &bob, "write"));
    assert!(chain.propose(by_bob).is_ok());
}

#[test]
fn grant_then_publish_works_in_the_pool_and_in_one_block() {
    let (mut chain, stream) = with_stream(StreamRestriction { write: true, ..FREE });
    let (alice, bob) = (party("alice"), party("bob"));
    let grant = chain.sign(chain.write().author(&alice).grant_on(stream, &bob, "write"));
    let item = chain.sign(chain.write().author(&bob).publish(stream, "k"));
    assert_eq!(chain.pool(vec![item.clone(), grant.clone()]).len(), 1);
    assert_eq!(chain.pool(vec![grant.clone(), item.clone()]).len(), 2);
    let too_early = chain.block_by(&alice, vec![item.clone(), grant.clone()]);
    broken(chain.offer(too_early).unwrap_err(), "stream-write");
    chain.mine(vec![grant, item]);
}

#[test]
fn create_then_publish_works_in_one_block() {
    let mut chain = Chain::new();
    let alice = party("alice");
    let create = chain.sign(chain.write().author(&alice).create_closed("s"));
    let item = chain.sign(chain.write().author(&alice).publish(create.txid(), "k"));
    let stream = create.txid();
    let alone = chain.judge(item.clone()).unwrap_err();
    assert_eq!(alone, StreamRule::Missing { stream }.into());
    broken(alone.clone(), "stream-missing");
    assert!(alone.may_pass(), "it waits for the stream");
    chain.mine(vec![create, item]);
}

#[test]
fn revoke_then_publish_fails_in_one_block() {
    let (mut chain, stream) = with_stream(StreamRestriction { write: true, ..FREE });
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant_on(stream, &bob, "write"));
    let revoke = chain.sign(chain.write().author(&alice).grant_for(
        Some(stream),
        &bob,
        "write",
        rota_chain::permission::BlockRange::NEVER,
    ));
    let item = chain.sign(chain.write().author(&bob).publish(stream, "k"));
    let block = chain.block_by(&alice, vec![revoke.clone(), item.clone()]);
    broken(chain.offer(block).unwrap_err(), "stream-write");
    chain.mine(vec![item, revoke]);
}

#[test]
fn a_stream_may_forbid_items_on_or_off_the_chain_and_not_both() {
    let (chain, stream) = with_stream(StreamRestriction { onchain: true, ..FREE });
    assert!(publish(&chain, stream, chunks(0, &[5])).is_ok());
    broken(publish(&chain, stream, text("x")).unwrap_err(), "stream-onchain");
    let (chain, stream) = with_stream(StreamRestriction { offchain: true, ..FREE });
    assert!(publish(&chain, stream, text("x")).is_ok());
    broken(publish(&chain, stream, chunks(0, &[5])).unwrap_err(), "stream-offchain");
    let both = StreamRestriction { onchain: true, offchain: true, ..FREE };
    let unreadable = StreamRestriction { read: true, ..FREE };
    for restriction in [both, unreadable] {
        let writing = chain.write().author(&party("alice")).create_restricted("r", restriction);
        broken(chain.refusal(writing), "stream-restriction");
    }
    let readable = StreamRestriction { read: true, onchain: true, ..FREE };
    let writing = chain.write().author(&party("alice")).create_restricted("r", readable);
    assert!(chain.propose(writing).is_ok());
}

#[test]
fn an_item_has_keys_and_none_of_them_is_a_star() {
    let (chain, stream) = with_stream(FREE);
    let with = |keys: &[&str]| {
        let writing = chain.write().author(&party("alice"));
        chain.propose(writing.publish_data(stream, keys, text("x")))
    };
    assert!(with(&["a", "b", "a", ""]).is_ok());
    broken(with(&[]).unwrap_err(), "stream-no-keys");
    broken(with(&["a", "*"]).unwrap_err(), "stream-key");
}

#[test]
fn data_on_the_chain_is_bounded_with_and_without_a_stream() {
    let (mut chain, stream) = with_stream(FREE);
    chain.rules.maximum_data_size = 4;
    assert!(publish(&chain, stream, text("1234")).is_ok());
    broken(publish(&chain, stream, text("12345")).unwrap_err(), "stream-data-size");
    let data = |bytes: &[u8]| {
        let data = Data { format: DataFormat::Raw, bytes: bytes.to_vec() };
        let writing = chain.write().author(&party("alice"));
        chain.propose(writing.operation(Operation::Data(data)))
    };
    assert!(data(b"1234").is_ok());
    broken(data(b"12345").unwrap_err(), "stream-data-size");
}

#[test]
fn chunks_are_bounded_in_size_and_number() {
    let (mut chain, stream) = with_stream(FREE);
    chain.rules.maximum_chunk_size = 100;
    chain.rules.maximum_chunk_count = 3;
    for sizes in [&[][..], &[1], &[100, 100, 1]] {
        assert!(publish(&chain, stream, chunks(0, sizes)).is_ok(), "{sizes:?}");
    }
    for sizes in [&[0][..], &[101], &[100, 0], &[1, 1, 1, 1]] {
        broken(publish(&chain, stream, chunks(0, sizes)).unwrap_err(), "stream-chunks");
    }
}

#[test]
fn chunks_are_salted_where_the_stream_says_so() {
    let (mut chain, plain) = with_stream(FREE);
    let mut writing = chain.write().author(&party("alice")).create("salted");
    if let Operation::CreateStream(stream) = &mut writing.body.outputs[0].operations[0] {
        stream.salted = true;
    }
    let salted = chain.confirm(writing);
    for (stream, salt, allowed) in
        [(plain, 0, true), (plain, 16, false), (salted, 0, false), (salted, 16, true), (salted, 8, false)]
    {
        match publish(&chain, stream, chunks(salt, &[5])) {
            Ok(()) => assert!(allowed, "salt of {salt} bytes"),
            Err(rule) => {
                assert!(!allowed, "salt of {salt} bytes");
                broken(rule, "stream-salt");
            }
        }
    }
}

#[test]
fn publishing_changes_no_state() {
    let (mut chain, stream) = with_stream(FREE);
    let item = chain.write().author(&party("alice")).publish(stream, "k");
    let applied = chain.propose(item.clone()).unwrap();
    assert!(applied.changes.elements.is_empty());
    // Two blocks that differ in an item alone leave the same state.
    chain.confirm(item);
    let with_item = chain.hash();
    chain.undo();
    chain.mine(Vec::new());
    assert_eq!(chain.hash(), with_item);
}
