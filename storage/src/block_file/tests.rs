//! Tests of `block_file`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::OpenOptions;
use std::io::Write;

use crate::block::{Location, UndoBlock};
use crate::block_file::{BlockFiles, FILE_BYTES};
use crate::error::StorageError;
use crate::fixture::Chain;

fn undo(number: u8) -> UndoBlock {
    UndoBlock { elements: Vec::new(), transactions: vec![rota_chain::hash::Txid([number; 32])] }
}

fn first_file(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("000000.dat")
}

#[test]
fn records_come_back_after_the_folder_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = BlockFiles::open(folder.path()).unwrap();
    let a = files.append_undo(&undo(1)).unwrap();
    let b = files.append_undo(&undo(2)).unwrap();
    files.sync().unwrap();
    drop(files);
    let files = BlockFiles::open(folder.path()).unwrap();
    let c = files.append_undo(&undo(3)).unwrap();
    for (location, number) in [(a, 1), (b, 2), (c, 3)] {
        assert_eq!(files.read_undo(location).unwrap(), undo(number));
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let files = BlockFiles::open(folder.path()).unwrap();
    let a = files.append_undo(&undo(1)).unwrap();
    let b = files.append_undo(&undo(2)).unwrap();
    drop(files);
    let whole = std::fs::read(first_file(&folder)).unwrap();
    let start = b.offset as usize - 13;
    for end in start..whole.len() {
        std::fs::write(first_file(&folder), &whole[..end]).unwrap();
        let files = BlockFiles::open(folder.path()).unwrap();
        assert_eq!(files.read_undo(a).unwrap(), undo(1));
        assert_eq!(files.read_undo(b).unwrap_err().code(), "storage-damaged-file");
        assert_eq!(files.append_undo(&undo(3)).unwrap(), b, "cut at {end}");
        assert_eq!(files.read_undo(b).unwrap(), undo(3));
    }
}

#[test]
fn damage_before_whole_records_is_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let files = BlockFiles::open(folder.path()).unwrap();
    let a = files.append_undo(&undo(1)).unwrap();
    let b = files.append_undo(&undo(2)).unwrap();
    drop(files);
    let mut bytes = std::fs::read(first_file(&folder)).unwrap();
    bytes[a.offset as usize] ^= 1;
    std::fs::write(first_file(&folder), &bytes).unwrap();
    let files = BlockFiles::open(folder.path()).unwrap();
    assert!(matches!(files.read_undo(a).unwrap_err(), StorageError::DamagedFile { file: 0, .. }));
    assert_eq!(files.read_undo(b).unwrap(), undo(2));
    assert_eq!(files.append_undo(&undo(3)).unwrap().file, 1);
}

#[test]
fn a_location_that_is_no_record_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = BlockFiles::open(folder.path()).unwrap();
    let a = files.append_undo(&undo(1)).unwrap();
    let wrong = [
        Location { offset: 3, ..a },
        Location { offset: a.offset + 1, ..a },
        Location { length: a.length - 1, ..a },
        Location { length: u32::MAX, ..a },
        Location { file: 7, ..a },
    ];
    for location in wrong {
        assert_eq!(files.read_undo(location).unwrap_err().code(), "storage-damaged-file", "{location:?}");
    }
    assert_eq!(files.read_block_bytes(a).unwrap_err().code(), "storage-damaged-file", "undo data is no block");
}

#[test]
fn a_location_that_reaches_beyond_the_file_is_refused_whatever_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let files = BlockFiles::open(folder.path()).unwrap();
    let whole = files.append_undo(&undo(1)).unwrap();
    for length in [whole.length + 1, 1 << 20, (1 << 20) + 1, u32::MAX] {
        let error = files.read_undo(Location { length, ..whole }).unwrap_err();
        assert!(error.to_string().contains("the file ends before the record does"), "{length}: {error}");
    }
}

#[test]
fn a_full_file_is_followed_by_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let files = BlockFiles::open(folder.path()).unwrap();
    let half = vec![7; usize::try_from(FILE_BYTES / 2).unwrap()];
    let a = files.append_block_bytes(&half).unwrap();
    let b = files.append_block_bytes(&half).unwrap();
    assert_eq!((a.file, b.file), (0, 1));
    drop(files);
    let files = BlockFiles::open(folder.path()).unwrap();
    assert_eq!(files.append_undo(&undo(1)).unwrap().file, 1);
    assert_eq!(files.read_block_bytes(a).unwrap(), half);
}

#[test]
fn every_block_is_visited_in_order_and_damage_is_skipped() {
    let mut chain = Chain::new();
    let hashes: Vec<_> = (0..4).map(|_| chain.extend(vec![])).collect();
    let damaged = chain.store.block_entry(&hashes[1]).unwrap().unwrap().body.unwrap();
    let chain = chain.reopened(|folder| {
        let path = folder.path().join("blocks/000000.dat");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[damaged.offset as usize + 40] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"torn").unwrap();
    });
    let mut visited = Vec::new();
    chain
        .store
        .for_each_stored_block(|location, block| {
            assert_eq!(chain.store.read_block(location).unwrap(), block);
            visited.push(block.hash());
            Ok::<(), StorageError>(())
        })
        .unwrap();
    assert_eq!(visited, [hashes[0], hashes[2], hashes[3]]);
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", first_file(&folder)).unwrap();
    let files = BlockFiles::open(folder.path()).unwrap();
    let error = files.append_undo(&undo(1)).unwrap_err();
    assert_eq!(error, StorageError::Full(first_file(&folder)));
    assert!(files.is_empty().unwrap(), "nothing of it stays");
}
