//! Tests of `chunk::open`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use rota_chain::hash::{ChunkHash, Txid};
use tempfile::TempDir;

use super::{aside, finish_exchange, made, open, open_at};
use crate::chunk::{ChunkInfo, ChunkOwner, ChunkTotals};
use crate::error::Result;
use crate::kv::{Database, Durability, Memory, Read};
use crate::table::{CHUNK, CHUNK_ALL, CHUNK_INFO, CHUNK_OWNER, CHUNK_TOTALS, ITEM_PURGED, OWNER_CHUNK};

const OWNER: ChunkOwner = ChunkOwner::Stream(Txid([7; 32]));
const SIZE: u32 = 20_000;

fn memory() -> Memory {
    Memory::LITTLE
}

fn opened(path: &Path, rebuild: bool) -> Result<Database> {
    open(path, rebuild, &memory())
}

fn hash(number: u8) -> ChunkHash {
    ChunkHash([number; 32])
}

/// A database of so many chunks, two files of blobs, and its folder.
fn filled(chunks: u8) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chunks");
    let database = opened(&path, false).unwrap();
    for number in 0..chunks {
        write(&database, number);
        if number == chunks / 2 {
            database.compact(CHUNK_ALL).unwrap();
        }
    }
    let mut batch = database.batch();
    batch.put(&ITEM_PURGED, &(Txid([1; 32]), Txid([2; 32]), 3), &()).unwrap();
    database.write(batch, Durability::Synced).unwrap();
    database.compact(CHUNK_ALL).unwrap();
    (folder, path)
}

fn write(database: &Database, number: u8) {
    let mut batch = database.batch();
    batch.put(&CHUNK, &hash(number), &vec![number; SIZE as usize]).unwrap();
    batch.put(&CHUNK_INFO, &hash(number), &ChunkInfo { size: SIZE, salt: Vec::new() }).unwrap();
    batch.put(&CHUNK_OWNER, &(hash(number), OWNER), &()).unwrap();
    batch.put(&OWNER_CHUNK, &(OWNER, hash(number)), &()).unwrap();
    database.write(batch, Durability::Synced).unwrap();
}

/// Numbers of the chunks that are there whole, with their owner.
fn there(database: &Database) -> Vec<u8> {
    let whole = |number: &u8| {
        database.get(&CHUNK, &hash(*number)).unwrap() == Some(vec![*number; SIZE as usize])
            && database.has(&CHUNK_INFO, &hash(*number)).unwrap()
            && database.has(&CHUNK_OWNER, &(hash(*number), OWNER)).unwrap()
            && database.has(&OWNER_CHUNK, &(OWNER, hash(*number))).unwrap()
    };
    (0..=u8::MAX).filter(whole).collect()
}

fn blob_files(path: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut blobs: Vec<PathBuf> = names.filter(|path| path.extension().is_some_and(|end| end == "blob")).collect();
    blobs.sort();
    blobs
}

/// Changes bytes of a file: those from `at` on, from its end if negative.
fn damage(file: &Path, at: isize) {
    let mut bytes = std::fs::read(file).unwrap();
    let begin = if at < 0 { bytes.len().checked_add_signed(at).unwrap() } else { at.unsigned_abs() };
    bytes.iter_mut().skip(begin).take(8).for_each(|byte| *byte ^= 0xff);
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn after_a_rebuild_a_damaged_blob_does_not_keep_new_ones_out() {
    // Header, first record, a record in the middle, footer.
    for at in [0, 40, 70_000, -20] {
        let (_folder, path) = filled(20);
        damage(&blob_files(&path)[0], at);
        let database = opened(&path, true).unwrap();
        let kept = there(&database);
        assert!(kept.len() < 20, "nothing was damaged at {at}");
        let totals = database.get(&CHUNK_TOTALS, &()).unwrap().unwrap_or_default();
        let bytes = kept.len() as u64 * u64::from(SIZE);
        assert_eq!(totals, ChunkTotals { chunks: kept.len() as u64, bytes }, "damaged at {at}");
        for number in 0..40 {
            write(&database, number);
        }
        database.compact(CHUNK_ALL).unwrap();
        write(&database, 40);
        drop(database);
        let database = opened(&path, false).unwrap();
        assert_eq!(there(&database), (0..=40).collect::<Vec<_>>(), "damaged at {at}");
        assert!(!made(&path).exists() && !aside(&path).exists());
    }
}

#[test]
fn a_rebuild_leaves_sound_chunks_where_they_are() {
    let (_folder, path) = filled(20);
    let before = blob_files(&path);
    let database = opened(&path, true).unwrap();
    assert_eq!(there(&database), (0..20).collect::<Vec<_>>());
    assert_eq!(blob_files(&path), before);
}

#[test]
fn purged_items_stay_purged_when_chunks_are_copied() {
    let (_folder, path) = filled(20);
    damage(&blob_files(&path)[0], 70_000);
    let database = opened(&path, true).unwrap();
    assert!(database.has(&ITEM_PURGED, &(Txid([1; 32]), Txid([2; 32]), 3)).unwrap());
}

#[test]
fn an_exchange_for_a_copy_goes_on_wherever_it_was_broken_off() {
    let copied = |path: &Path| {
        let database = open_at(&made(path), &memory()).unwrap();
        write(&database, 200);
    };
    // While the copy is made: it is made again.
    let (_folder, path) = filled(4);
    copied(&path);
    assert_eq!(there(&opened(&path, false).unwrap()), [0, 1, 2, 3]);
    assert!(!made(&path).exists());
    // Between the two renames: the copy is whole.
    copied(&path);
    std::fs::rename(&path, aside(&path)).unwrap();
    assert_eq!(there(&opened(&path, false).unwrap()), [200]);
    assert!(!made(&path).exists() && !aside(&path).exists());
    // Before the old one is gone.
    std::fs::create_dir(aside(&path)).unwrap();
    finish_exchange(&path).unwrap();
    assert_eq!(there(&opened(&path, false).unwrap()), [200]);
    assert!(!aside(&path).exists());
}
