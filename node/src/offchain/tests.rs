//! Off-chain data in real stores: cutting, reading, queueing, and serving peers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::data::{ChunkReference, DataFormat, SALT_BYTES};
use rota_params::ParameterSet;
use rota_storage::{OpenOptions, StorePaths};
use tempfile::TempDir;

use super::*;

const STREAM: Txid = Txid([7; 32]);
const ITEM: Txid = Txid([8; 32]);

/// Off-chain data in a folder of its own; chunks have 256 bytes, an item at most 16 of them.
pub(super) fn offchain() -> (Offchain, TempDir) {
    with_settings(OffchainSettings::default())
}

fn with_settings(settings: OffchainSettings) -> (Offchain, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let paths = StorePaths { database: folder.path().join("state"), blocks: folder.path().join("blocks") };
    let store = Arc::new(Store::open(&paths, OpenOptions::default()).unwrap());
    let set = ParameterSet::with_defaults("offchain", 20_013).unwrap();
    let rules = Rules { maximum_chunk_size: 256, maximum_chunk_count: 16, ..Rules::new(&set) };
    (Offchain::new(store, Arc::new(rules), settings).unwrap(), folder)
}

fn cut(offchain: &Offchain, bytes: &[u8], salted: bool) -> Result<(ChunkedData, Vec<Claim>), OffchainError> {
    let mut cutter = offchain.cutter(STREAM, DataFormat::Raw, salted);
    for piece in bytes.chunks(offchain.chunk_size()) {
        cutter.push(piece)?;
    }
    Ok(cutter.finish())
}

fn held(offchain: &Offchain, claims: Vec<Claim>) -> Fresh<'_> {
    offchain.hold(offchain.make_safe(claims).unwrap())
}

fn bytes(count: u32) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8).collect()
}

#[test]
fn data_is_cut_into_chunks_and_read_back_whole_and_in_part() {
    let (offchain, _folder) = offchain();
    let data = bytes(700);
    let (chunked, fresh) = cut(&offchain, &data, false).unwrap();
    assert_eq!(chunked.chunks.iter().map(|chunk| chunk.size).collect::<Vec<_>>(), [256, 256, 188]);
    assert_eq!((chunked.size(), chunked.salt_size, fresh.len()), (700, 0, 3));
    assert_eq!(offchain.read(&chunked).unwrap(), Fetched::Here(data.clone()));
    for part in [0..10, 250..260, 698..702, 256..512, 700..700] {
        let end = part.end.min(700);
        let expected = data[part.start as usize..end as usize].to_vec();
        assert_eq!(offchain.read_part(&chunked, part.start..end).unwrap(), Fetched::Here(expected));
    }
}

#[test]
fn empty_data_has_no_chunks_and_is_here() {
    let (offchain, _folder) = offchain();
    let (chunked, _) = cut(&offchain, &[], false).unwrap();
    assert!(chunked.chunks.is_empty());
    assert_eq!(offchain.read(&chunked).unwrap(), Fetched::Here(Vec::new()));
}

#[test]
fn salted_chunks_of_equal_data_have_different_hashes() {
    let (offchain, _folder) = offchain();
    let (plain, _) = cut(&offchain, &bytes(10), false).unwrap();
    let (again, fresh) = cut(&offchain, &bytes(10), false).unwrap();
    assert_eq!((&plain, fresh.len()), (&again, 0));
    let (salted, _) = cut(&offchain, &bytes(10), true).unwrap();
    let (other, _) = cut(&offchain, &bytes(10), true).unwrap();
    assert_eq!(salted.salt_size, SALT_BYTES);
    assert_ne!(salted.chunks, other.chunks);
    assert_eq!(offchain.read(&salted).unwrap(), Fetched::Here(bytes(10)));
}

#[test]
fn data_beyond_the_limit_is_refused_and_leaves_nothing_behind() {
    let (offchain, _folder) = offchain();
    assert!(cut(&offchain, &bytes(16 * 256), false).is_ok());
    let before = offchain.store.chunk_totals().unwrap();
    let other: Vec<u8> = bytes(16 * 256 + 1).into_iter().rev().collect();
    assert!(matches!(cut(&offchain, &other, false), Err(OffchainError::TooBig { limit: 4_096 })));
    assert_eq!(offchain.store.chunk_totals().unwrap(), before);
}

#[test]
fn a_refused_transaction_takes_its_new_chunks_along_but_not_those_of_others() {
    let (offchain, _folder) = offchain();
    let (first, fresh) = cut(&offchain, &bytes(10), false).unwrap();
    drop(held(&offchain, fresh));
    let (_, fresh) = cut(&offchain, &bytes(10), false).unwrap();
    held(&offchain, fresh).forget();
    assert!(matches!(offchain.status(&first).unwrap(), Fetched::Here(_)));
    let (second, fresh) = cut(&offchain, &bytes(11), false).unwrap();
    held(&offchain, fresh).forget();
    assert_eq!(offchain.status(&second).unwrap(), Fetched::Missing);
}

#[test]
fn a_chunk_that_two_transactions_bring_at_once_stays_when_the_first_is_refused() {
    let (offchain, _folder) = offchain();
    let (refused, mine) = cut(&offchain, &bytes(10), false).unwrap();
    let (taken, others) = cut(&offchain, &bytes(10), false).unwrap();
    assert_eq!(refused, taken);
    drop(held(&offchain, others));
    held(&offchain, mine).forget();
    assert!(matches!(offchain.status(&taken).unwrap(), Fetched::Here(_)));
}

#[test]
fn chunks_that_are_here_can_be_published_again_by_their_hashes() {
    let (offchain, _folder) = offchain();
    let hash = offchain.store_chunk(b"piece").unwrap();
    let (chunked, fresh) = offchain.adopt(STREAM, &[hash, hash]).unwrap();
    assert_eq!(fresh, [(hash, STREAM)]);
    assert_eq!(offchain.read(&chunked).unwrap(), Fetched::Here(b"piecepiece".to_vec()));
    assert!(matches!(offchain.adopt(STREAM, &[ChunkHash([1; 32])]), Err(OffchainError::Unknown(_))));
    assert!(matches!(offchain.store_chunk(&[]), Err(OffchainError::Size { size: 0, .. })));
    assert!(matches!(offchain.store_chunk(&bytes(257)), Err(OffchainError::Size { size: 257, limit: 256 })));
}

#[test]
fn sizes_that_disagree_with_the_transaction_are_told() {
    let (offchain, _folder) = offchain();
    let hash = offchain.store_chunk(b"piece").unwrap();
    let lie = ChunkedData { format: DataFormat::Raw, salt_size: 0, chunks: vec![ChunkReference { size: 9, hash }] };
    assert!(matches!(offchain.read(&lie).unwrap(), Fetched::Broken(error) if error.contains("says 9 bytes")));
}

#[test]
fn what_is_missing_of_a_followed_stream_is_queued_once() {
    let (offchain, _folder) = offchain();
    let (there, _folder_there) = self::offchain();
    let (chunked, _) = cut(&there, &bytes(700), false).unwrap();
    offchain.want(STREAM, ITEM, 0, &chunked).unwrap();
    offchain.want(STREAM, ITEM, 0, &chunked).unwrap();
    let queue = offchain.figures().queue();
    assert_eq!((queue.chunks.waiting, queue.bytes.waiting), (3, 700));
    let pending = offchain.store.pending_chunks(None, 10).unwrap();
    assert_eq!(pending.len(), 3);
    assert!(pending.iter().all(|(_, chunk)| chunk.stream == STREAM && chunk.txid == ITEM));
}

#[test]
fn what_is_here_is_not_queued_and_survives_the_purge_of_the_stream() {
    let (offchain, _folder) = offchain();
    let (chunked, _) = cut(&offchain, &bytes(20), false).unwrap();
    offchain.want(STREAM, ITEM, 0, &chunked).unwrap();
    assert_eq!(offchain.figures().queue().chunks.waiting, 0);
    offchain.purge_stream(STREAM).unwrap();
    assert!(matches!(offchain.status(&chunked).unwrap(), Fetched::Here(_)));
}

#[test]
fn the_queue_of_an_earlier_run_is_counted_again() {
    let (offchain, _folder) = offchain();
    let (there, _folder_there) = self::offchain();
    let (chunked, _) = cut(&there, &bytes(300), false).unwrap();
    offchain.want(STREAM, ITEM, 0, &chunked).unwrap();
    let (store, rules) = (Arc::clone(&offchain.store), Arc::clone(&offchain.rules));
    let next = Offchain::new(store, rules, OffchainSettings::default()).unwrap();
    assert_eq!(next.figures().queue().bytes.waiting, 300);
}

#[test]
fn a_peer_gets_what_belongs_to_the_stream_in_its_order_and_each_chunk_once() {
    let (offchain, _folder) = offchain();
    let (chunked, _) = cut(&offchain, &bytes(700), true).unwrap();
    let mut hashes: Vec<ChunkHash> = chunked.chunks.iter().map(|chunk| chunk.hash).rev().collect();
    hashes.insert(1, ChunkHash([9; 32]));
    hashes.push(hashes[0]);
    let bodies = offchain.serve(STREAM, &hashes);
    assert_eq!(bodies.iter().map(|body| body.hash).collect::<Vec<_>>(), [hashes[0], hashes[2], hashes[3]]);
    assert!(bodies.iter().all(|body| chunk_hash(&body.salt, &body.bytes) == body.hash));
    assert!(offchain.serve(Txid([1; 32]), &hashes).is_empty(), "another stream has none of them");
    let stored = offchain.store_chunk(b"not published").unwrap();
    assert!(offchain.serve(STREAM, &[stored]).is_empty(), "what no stream has is given to nobody");
}

#[test]
fn chunks_are_synced_once_for_all_before_their_transaction_may_be_sent() {
    let (offchain, _folder) = offchain();
    let (_, mut claims) = cut(&offchain, &bytes(16 * 256), true).unwrap();
    claims.extend(cut(&offchain, &bytes(300), true).unwrap().1);
    assert_eq!(offchain.store.chunk_syncs(), (0, false), "cutting does not wait for the disk");
    // A hold, without which no transaction is sent, takes nothing but claims that are safe.
    let safe: Safe = offchain.make_safe(claims).unwrap();
    assert_eq!(offchain.store.chunk_syncs(), (1, true));
    drop(offchain.hold(safe));
    // Data that another publish has brought, and perhaps not yet synced, has to be safe as well.
    let (_, claims) = cut(&offchain, &bytes(10), false).unwrap();
    let (_, repeated) = cut(&offchain, &bytes(10), false).unwrap();
    assert!(repeated.is_empty());
    drop(held(&offchain, repeated));
    assert_eq!(offchain.store.chunk_syncs(), (2, true));
    drop(held(&offchain, claims));
    assert_eq!(offchain.store.chunk_syncs(), (2, true), "what is safe is not synced again");
}

#[test]
fn without_flushsourcechunks_nothing_waits_for_the_disk() {
    let (offchain, _folder) = with_settings(OffchainSettings { sync_own: false, ..OffchainSettings::default() });
    let (_, claims) = cut(&offchain, &bytes(700), false).unwrap();
    drop(held(&offchain, claims));
    assert_eq!(offchain.store.chunk_syncs(), (0, false));
}

#[test]
fn a_chunk_is_not_passed_on_to_another_stream_that_names_it() {
    let (offchain, _folder) = offchain();
    let (chunked, claims) = cut(&offchain, &bytes(20), true).unwrap();
    drop(held(&offchain, claims));
    let hashes: Vec<ChunkHash> = chunked.chunks.iter().map(|chunk| chunk.hash).collect();
    let other = Txid([9; 32]);
    offchain.want(other, ITEM, 0, &chunked).unwrap();
    assert!(offchain.serve(other, &hashes).is_empty(), "nobody draws it out by naming its hash elsewhere");
    assert_eq!(offchain.figures().queue().chunks.waiting, 1, "it has to come for that stream");
    assert_eq!(offchain.serve(STREAM, &hashes).len(), 1);
}

#[test]
fn a_purged_item_is_not_wanted_again_until_it_is_retrieved() {
    let (offchain, _folder) = offchain();
    let (there, _folder_there) = self::offchain();
    let (chunked, _) = cut(&there, &bytes(700), false).unwrap();
    let place = Place { stream: STREAM, txid: ITEM, vout: 0 };
    for body in there.serve(STREAM, &chunked.chunks.iter().map(|chunk| chunk.hash).collect::<Vec<_>>()) {
        offchain.store.put_chunk(&body.hash, &body.salt, &body.bytes, ChunkOwner::Stream(STREAM)).unwrap();
    }
    let purged = offchain.purge_item(place, &chunked).unwrap();
    assert_eq!(purged, ChunkTotals { chunks: 3, bytes: 700 });
    assert_eq!(offchain.purge_item(place, &chunked).unwrap(), ChunkTotals::default());
    offchain.want(STREAM, ITEM, 0, &chunked).unwrap();
    assert_eq!(offchain.figures().queue(), QueueFigures::default());
    assert_eq!(offchain.retrieve(place, &chunked).unwrap(), ChunkTotals { chunks: 3, bytes: 700 });
    assert_eq!(offchain.figures().queue().chunks.waiting, 3);
    assert!(offchain.store.pending_chunks(None, 9).unwrap().iter().all(|(_, pending)| pending.asked));
    assert_eq!(offchain.retrieve(place, &chunked).unwrap().chunks, 3, "asking again changes nothing");
    assert_eq!(offchain.figures().queue().chunks.waiting, 3);
}

#[test]
fn purging_a_stream_leaves_what_this_node_published_and_purging_that_leaves_the_stream() {
    let (offchain, _folder) = offchain();
    let place = Place { stream: STREAM, txid: ITEM, vout: 0 };
    let (chunked, claims) = cut(&offchain, &bytes(20), false).unwrap();
    drop(held(&offchain, claims));
    offchain.want(STREAM, ITEM, 0, &chunked).unwrap();
    assert_eq!(offchain.purge_published_item(STREAM, &chunked).unwrap(), ChunkTotals::default());
    assert!(matches!(offchain.status(&chunked).unwrap(), Fetched::Here(_)));
    assert_eq!(offchain.purge_item(place, &chunked).unwrap(), ChunkTotals { chunks: 1, bytes: 20 });
    assert_eq!(offchain.status(&chunked).unwrap(), Fetched::Missing);
}
