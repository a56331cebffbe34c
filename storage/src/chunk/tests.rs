//! Tests of `chunk`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::data::chunk_hash;
use rota_chain::hash::{ChunkHash, Txid};

use crate::chunk::{ChunkInfo, ChunkOwner, ChunkTotals, PendingChunk};
use crate::fixture::Chain;

const A: ChunkOwner = ChunkOwner::Stream(Txid([1; 32]));
const B: ChunkOwner = ChunkOwner::Stream(Txid([2; 32]));

fn pending(tries: u32) -> PendingChunk {
    PendingChunk { stream: Txid([1; 32]), txid: Txid([3; 32]), vout: 1, size: 5, salt_size: 0, tries }
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
    assert_eq!(chain.store.purge_chunks(A).unwrap(), ChunkTotals::default());
    assert!(chain.store.has_chunk(&first).unwrap() && chain.store.has_chunk(&second).unwrap());
    assert_eq!(chain.store.purge_chunks(B).unwrap(), ChunkTotals { chunks: 1, bytes: 100_000 });
    assert_eq!(chain.store.chunk(&first).unwrap(), None);
    assert!(!chain.store.own_chunk(&first, A).unwrap());
    assert_eq!(chain.store.disown_chunk(&second, ChunkOwner::Own).unwrap(), Some(5));
    assert_eq!(chain.store.chunk_totals().unwrap(), ChunkTotals::default());
}

#[test]
fn a_chunk_is_pending_until_it_comes() {
    let chain = Chain::new();
    let hashes: Vec<ChunkHash> = (0..5).map(|number| ChunkHash([number; 32])).collect();
    let all: Vec<_> = hashes.iter().map(|hash| (*hash, pending(0))).collect();
    chain.store.put_pending_chunks(&all).unwrap();
    chain.store.put_pending_chunks(&[(hashes[3], pending(2))]).unwrap();
    chain.store.put_chunk(&hashes[1], b"", b"bytes", A).unwrap();
    chain.store.put_pending_chunks(&[(hashes[1], pending(0))]).unwrap();
    chain.store.remove_pending_chunk(&hashes[4]).unwrap();
    let chain = chain.reopened(|_| ());
    let first = chain.store.pending_chunks(None, 2).unwrap();
    assert_eq!(first, [(hashes[0], pending(0)), (hashes[2], pending(0))]);
    let rest = chain.store.pending_chunks(Some(hashes[2]), 9).unwrap();
    assert_eq!(rest, [(hashes[3], pending(2))]);
}
