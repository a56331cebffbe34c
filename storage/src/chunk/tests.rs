//! Tests of `chunk`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::data::chunk_hash;
use rota_chain::hash::{ChunkHash, Txid};

use crate::chunk::{ChunkInfo, ChunkOwner, ChunkTotals, PendingChunk};
use crate::fixture::Chain;

const STREAM_A: Txid = Txid([1; 32]);
const STREAM_B: Txid = Txid([2; 32]);
const A: ChunkOwner = ChunkOwner::Stream(STREAM_A);
const B: ChunkOwner = ChunkOwner::Stream(STREAM_B);

fn pending(asked: bool) -> PendingChunk {
    PendingChunk { stream: STREAM_A, txid: Txid([3; 32]), vout: 1, size: 5, salt_size: 0, asked }
}

#[test]
fn a_chunk_stays_until_its_last_owner_gives_it_up() {
    let chain = Chain::new();
    let bytes = vec![5; 100_000];
    let (first, second) = (chunk_hash(b"salt", &bytes), chunk_hash(b"", b"small"));
    chain.store.put_chunk(&first, b"salt", &bytes, A).unwrap();
    chain.store.put_chunk(&first, b"salt", &bytes, B).unwrap();
    chain.store.put_chunk(&second, b"", b"small", A).unwrap();
    assert!(chain.store.own_chunk(&second, ChunkOwner::Own).unwrap());
    assert_eq!(chain.store.chunk_totals().unwrap(), ChunkTotals { chunks: 2, bytes: 100_005 });
    let chain = chain.reopened(|_| ());
    let chunk = chain.store.chunk(&first).unwrap().unwrap();
    assert_eq!((chunk.salt.as_slice(), &chunk.bytes), (b"salt".as_slice(), &bytes));
    let info = chain.store.chunk_info(&first).unwrap().unwrap();
    assert_eq!(info, ChunkInfo { size: 100_000, salt: b"salt".to_vec() });
    assert_eq!(chain.store.purge_stream(STREAM_A).unwrap(), ChunkTotals::default());
    assert!(chain.store.has_chunk(&first).unwrap() && chain.store.has_chunk(&second).unwrap());
    assert_eq!(chain.store.purge_stream(STREAM_B).unwrap(), ChunkTotals { chunks: 1, bytes: 100_000 });
    assert_eq!(chain.store.chunk(&first).unwrap(), None);
    assert!(!chain.store.own_chunk(&first, A).unwrap());
    assert_eq!(chain.store.disown_chunk(&second, ChunkOwner::Own).unwrap(), Some(5));
    assert_eq!(chain.store.chunk_totals().unwrap(), ChunkTotals::default());
}

#[test]
fn a_chunk_is_pending_for_a_stream_until_it_comes_for_that_stream() {
    let chain = Chain::new();
    let hashes: Vec<ChunkHash> = (0..5).map(|number| ChunkHash([number; 32])).collect();
    let all: Vec<_> = hashes.iter().map(|hash| (*hash, pending(false))).collect();
    chain.store.put_pending_chunks(&all).unwrap();
    chain.store.put_pending_chunks(&[(hashes[3], pending(true))]).unwrap();
    let other = PendingChunk { stream: STREAM_B, ..pending(false) };
    chain.store.put_pending_chunks(&[(hashes[1], other)]).unwrap();
    chain.store.put_chunk(&hashes[1], b"", b"bytes", A).unwrap();
    chain.store.put_pending_chunks(&[(hashes[1], pending(false))]).unwrap();
    chain.store.remove_pending_chunk(&hashes[4], STREAM_A).unwrap();
    let chain = chain.reopened(|_| ());
    let first = chain.store.pending_chunks(None, 2).unwrap();
    assert_eq!(first, [(hashes[0], pending(false)), (hashes[1], other)]);
    let rest = chain.store.pending_chunks(Some((hashes[1], STREAM_B)), 9).unwrap();
    assert_eq!(rest, [(hashes[2], pending(false)), (hashes[3], pending(true))]);
}

#[test]
fn what_was_published_goes_when_no_stream_needs_it() {
    let chain = Chain::new();
    let hashes: Vec<ChunkHash> = (0..4).map(|number| ChunkHash([number; 32])).collect();
    for hash in &hashes {
        chain.store.put_chunk(hash, b"", b"bytes", ChunkOwner::Published(STREAM_A)).unwrap();
    }
    chain.store.own_chunk(&hashes[1], B).unwrap();
    chain.store.own_chunk(&hashes[2], ChunkOwner::Own).unwrap();
    chain.store.own_chunk(&hashes[3], ChunkOwner::Published(STREAM_B)).unwrap();
    chain.store.own_chunk(&hashes[3], ChunkOwner::Own).unwrap();
    let published = ChunkOwner::Published(STREAM_A);
    assert_eq!(chain.store.disown_published(&hashes[3], published).unwrap(), None, "it is published elsewhere too");
    assert_eq!(chain.store.disown_published(&hashes[3], published).unwrap(), None, "nothing is given up twice");
    assert!(chain.store.owns_chunk(&hashes[3], ChunkOwner::Own).unwrap());
    assert_eq!(chain.store.purge_published().unwrap(), ChunkTotals { chunks: 3, bytes: 15 });
    assert_eq!(chain.store.chunk_owners(&hashes[1]).unwrap(), [B]);
    assert_eq!(chain.store.chunk_totals().unwrap(), ChunkTotals { chunks: 1, bytes: 5 });
}

#[test]
fn the_mark_of_a_purged_item_stays_until_it_is_taken_away_or_the_stream_is_purged() {
    let chain = Chain::new();
    let item = |number: u8| Txid([number; 32]);
    for number in 0..3 {
        chain.store.mark_purged(STREAM_A, item(number), 7, true).unwrap();
    }
    chain.store.mark_purged(STREAM_B, item(0), 7, true).unwrap();
    chain.store.mark_purged(STREAM_A, item(1), 7, false).unwrap();
    let chain = chain.reopened(|_| ());
    let purged = |stream, number| chain.store.is_purged(stream, item(number), 7).unwrap();
    assert!(purged(STREAM_A, 0) && !purged(STREAM_A, 1) && purged(STREAM_A, 2));
    assert!(!chain.store.is_purged(STREAM_A, item(0), 8).unwrap());
    chain.store.purge_stream(STREAM_A).unwrap();
    assert!(!purged(STREAM_A, 0) && purged(STREAM_B, 0));
}

#[test]
fn one_sync_makes_all_chunks_before_it_safe_and_is_not_repeated_for_nothing() {
    let chain = Chain::new();
    assert_eq!(chain.store.chunk_syncs(), (0, true));
    for number in 0..9 {
        chain.store.put_chunk(&ChunkHash([number; 32]), b"", b"bytes", A).unwrap();
    }
    assert_eq!(chain.store.chunk_syncs(), (0, false));
    chain.store.sync_chunks().unwrap();
    chain.store.sync_chunks().unwrap();
    assert_eq!(chain.store.chunk_syncs(), (1, true));
    assert!(chain.store.own_chunk(&ChunkHash([1; 32]), B).unwrap());
    assert_eq!(chain.store.chunk_syncs(), (1, false), "a reason to keep a chunk has to be safe too");
}
