//! Who is given which chunks, over a real ledger.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use rota_chain::data::{ChunkedData, DataFormat};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Grant};
use rota_chain::stream::{CreateStream, StreamRestriction};
use rota_chain::transaction::Output;
use rota_p2p::limit::MAX_CHUNKS;

use super::*;
use crate::ledger::tests::world::{Chain, FIRST, Node, lock};
use crate::offchain::OffchainSettings;

const READER: u8 = 2;
const STRANGER: u8 = 3;

fn address(seed: u8) -> Option<KeyHash> {
    lock(seed).key_hash()
}

/// Creates a salted stream, restricted in reading or open.
fn create(node: &mut Node, read: bool, nonce: u64) -> Txid {
    let restriction = StreamRestriction { read, onchain: read, ..StreamRestriction::default() };
    let create = CreateStream { name: Vec::new(), restriction, salted: true, details: Vec::new() };
    let tx = node.sign(FIRST, nonce, 1_000, vec![Output::operation(Operation::CreateStream(create))]);
    node.submit(tx)
}

fn set_read(node: &mut Node, stream: Txid, to: u8, range: BlockRange, nonce: u64) {
    let permissions = [Permission::Read].into_iter().collect();
    let grant = Grant { entity: Some(stream), permissions, range, timestamp: u32::try_from(nonce).unwrap() };
    let output = Output { recipient: Some(lock(to)), ..Output::operation(Operation::Grant(grant)) };
    let tx = node.sign(FIRST, nonce, 1_000, vec![output]);
    node.submit(tx);
}

/// Off-chain data over the node's store, and what readers see of its ledger.
fn offchain(node: Node) -> (Offchain, Arc<SharedView>) {
    let parts = node.into_parts();
    (Offchain::new(parts.store, parts.rules, OffchainSettings::default()).unwrap(), parts.view)
}

fn readers(node: &Node, stream: Txid) -> Vec<u8> {
    [FIRST, READER, STRANGER].into_iter().filter(|who| may_read(&node.view, stream, address(*who)).unwrap()).collect()
}

fn published(offchain: &Offchain, stream: Txid, bytes: &[u8]) -> (ChunkedData, Vec<ChunkHash>) {
    let mut cutter = offchain.cutter(stream, DataFormat::Raw, true);
    for piece in bytes.chunks(offchain.chunk_size()) {
        cutter.push(piece).unwrap();
    }
    let (chunked, claims) = cutter.finish();
    drop(offchain.hold(offchain.make_safe(claims).unwrap()));
    let hashes = chunked.chunks.iter().map(|chunk| chunk.hash).collect();
    (chunked, hashes)
}

#[test]
fn a_grant_of_read_counts_from_its_block_on_and_a_revoke_as_soon_as_it_is_seen() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let (open, closed) = (create(&mut node, false, 1), create(&mut node, true, 2));
    assert_eq!(readers(&node, open), [FIRST, READER, STRANGER], "an open stream that waits is open");
    assert!(readers(&node, closed).is_empty(), "rights that come with a stream wait with it");
    node.mine(FIRST, 10);
    assert_eq!(readers(&node, closed), [FIRST]);
    set_read(&mut node, closed, READER, BlockRange::ALWAYS, 3);
    assert_eq!(readers(&node, closed), [FIRST]);
    node.mine(FIRST, 20);
    assert_eq!(readers(&node, closed), [FIRST, READER]);
    assert!(!may_read(&node.view, closed, None).unwrap(), "a peer whose address is not known reads nothing");
    set_read(&mut node, closed, READER, BlockRange::NEVER, 4);
    assert_eq!(readers(&node, closed), [FIRST]);
    node.mine(FIRST, 30);
    assert_eq!(readers(&node, closed), [FIRST]);
    assert!(readers(&node, Txid([9; 32])).is_empty(), "there is nothing to read of a stream that is none");
}

#[test]
fn a_chunk_is_given_for_a_stream_that_has_it_to_whom_may_read_that_stream() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let (open, closed) = (create(&mut node, false, 1), create(&mut node, true, 2));
    set_read(&mut node, closed, READER, BlockRange::ALWAYS, 3);
    node.mine(FIRST, 10);
    let (offchain, view) = offchain(node);
    let (secret, of_closed) = published(&offchain, closed, b"secret");
    let (_, of_open) = published(&offchain, open, b"public");
    let ask = |who: Option<KeyHash>, stream, hashes: &[ChunkHash]| offchain.answer(&view, who, stream, hashes);
    let refused = Response::Refused(Refusal::NotServed);
    let nothing = Response::Chunks(Vec::new());

    assert!(matches!(ask(address(READER), closed, &of_closed), Response::Chunks(bodies) if bodies.len() == 1));
    assert_eq!(ask(address(STRANGER), closed, &of_closed), refused);
    assert_eq!(ask(None, closed, &of_closed), refused);
    assert_eq!(ask(address(STRANGER), open, &of_closed), nothing, "the open stream does not have it");
    assert!(matches!(ask(address(STRANGER), open, &of_open), Response::Chunks(bodies) if bodies.len() == 1));
    assert_eq!(ask(address(READER), closed, &of_open), nothing);

    // Somebody publishes an item of the open stream that names the hash of what he may not read.
    offchain.want(open, Txid([8; 32]), 0, &secret).unwrap();
    assert_eq!(ask(address(STRANGER), open, &of_closed), nothing, "naming a hash draws nothing out");
    // Published in the open stream by this node's own caller, it is that stream's as well.
    let (_, claims) = offchain.adopt(open, &of_closed).unwrap();
    drop(offchain.hold(offchain.make_safe(claims).unwrap()));
    assert!(matches!(ask(address(STRANGER), open, &of_closed), Response::Chunks(bodies) if bodies.len() == 1));
    assert_eq!(ask(address(STRANGER), closed, &of_closed), refused, "through the restricted one it stays closed");
}

#[test]
fn what_anybody_may_have_is_shared_between_streams_without_being_fetched_twice() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let (open, other) = (create(&mut node, false, 1), create(&mut node, false, 2));
    node.mine(FIRST, 10);
    let (offchain, _view) = offchain(node);
    let (chunked, hashes) = published(&offchain, open, b"public");
    offchain.want(other, Txid([8; 32]), 0, &chunked).unwrap();
    assert_eq!(offchain.serve(other, &hashes).len(), 1);
    assert_eq!(offchain.figures().queue().chunks.waiting, 0);
}

#[test]
fn unknown_streams_long_lists_and_repeats_cost_a_peer_nothing_to_ask_and_bring_nothing() {
    let chain = Chain::new();
    let mut node = chain.node("node");
    let open = create(&mut node, false, 1);
    node.mine(FIRST, 10);
    let (offchain, view) = offchain(node);
    let size = offchain.chunk_size();
    let (_, hashes) = published(&offchain, open, &vec![7; 6 * size]);
    let ask = |stream, hashes: &[ChunkHash]| offchain.answer(&view, address(STRANGER), stream, hashes);
    for stream in [Txid::ZERO, Txid([9; 32])] {
        assert_eq!(ask(stream, &hashes), Response::Refused(Refusal::NotServed));
    }
    let repeated = vec![hashes[0]; MAX_CHUNKS as usize];
    let Response::Chunks(bodies) = ask(open, &repeated) else { unreachable!("an open stream is served") };
    assert_eq!(bodies.len(), 1, "a chunk is given once however often it is asked for");
    let Response::Chunks(bodies) = ask(open, &hashes) else { unreachable!("an open stream is served") };
    let bytes: usize = bodies.iter().map(|body| body.bytes.len()).sum();
    assert!(!bodies.is_empty() && bytes <= ANSWER_BYTES, "{bytes} bytes in an answer");
    assert!(bodies.len() < hashes.len(), "what does not fit is asked for again");
}
