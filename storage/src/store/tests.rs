//! Tests of `store`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use rota_chain::amount::Height;
use rota_chain::hash::BlockHash;
use rota_chain::multiset::Multiset;
use rota_consensus::state::{Changes, element};

use crate::block::{Location, Tip, UndoBlock};
use crate::commit::{AppliedBlock, TipCommit};
use crate::error::StorageError;
use crate::fixture::{Chain, answers, open, paths};
use crate::index::{Indexes, Order};
use crate::kv::{Database, Durability, Memory};
use crate::store::{OpenOptions, Store, StorePaths};
use crate::table::{ALL, FORMAT, META, Meta};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A chain of some blocks with a followed stream.
fn chain() -> (Chain, rota_chain::hash::Txid) {
    let mut chain = Chain::new();
    let stream = chain.stream("a");
    let txid = stream.txid();
    chain.extend(vec![]);
    chain.extend(vec![stream]);
    chain.store.subscribe(txid, Indexes::ALL, true, true).unwrap();
    assert!(chain.store.index_history(txid, |_| true).unwrap());
    for _ in 0..5 {
        let items = vec![chain.item(1, txid, &["k"]), chain.item(2, txid, &["l"])];
        chain.extend(items);
    }
    (chain, txid)
}

#[test]
fn everything_is_there_after_opening_again() {
    let (chain, stream) = chain();
    let before = answers(&chain.store.snapshot().unwrap(), stream, &[Order::Chain, Order::Local]);
    let mut chain = chain.reopened(|_| ());
    chain.assert_sound();
    assert_eq!(answers(&chain.store.snapshot().unwrap(), stream, &[Order::Chain, Order::Local]), before);
    chain.extend(vec![]);
    chain.assert_sound();
    let all: crate::error::Result<Vec<_>> = chain.store.all_block_entries().unwrap().collect();
    assert_eq!(all.unwrap().len(), 8);
    let late: Vec<Height> =
        chain.store.block_entries_from(Height(5)).unwrap().map(|entry| entry.unwrap().1.height).collect();
    assert_eq!(late, [Height(5), Height(6), Height(7)]);
}

/// What the disk holds when the process ends at any moment of a commit: a prefix of the write-ahead log.
#[test]
fn a_crash_at_any_byte_of_a_commit_leaves_the_old_tip_or_the_new() {
    let (mut chain, stream) = chain();
    chain.store.compact().unwrap();
    let old = chain.tip();
    let item = chain.item(1, stream, &["m"]);
    let new = chain.extend(vec![item]);
    let Chain { folder, store, models, .. } = chain;
    drop(store);
    let image = tempfile::tempdir().unwrap();
    copy(folder.path(), image.path());
    let logs = || std::fs::read_dir(image.path().join("database")).unwrap().map(|entry| entry.unwrap().path());
    let log = logs().filter(|path| path.extension().is_some_and(|ending| ending == "log")).max().unwrap();
    let whole = std::fs::read(&log).unwrap();
    let (mut kept, mut lost) = (0, 0);
    for end in (0..=whole.len()).rev().step_by(whole.len() / 23) {
        let crashed = tempfile::tempdir().unwrap();
        copy(image.path(), crashed.path());
        let log = crashed.path().join("database").join(log.file_name().unwrap());
        std::fs::write(log, &whole[..end]).unwrap();
        let store = open(&crashed).unwrap();
        let snapshot = store.snapshot().unwrap();
        let tip = snapshot.tip();
        match tip == old {
            true => lost += 1,
            false => kept += 1,
        }
        assert!(tip == old || tip.map(|tip| tip.hash) == Some(new));
        let model = &models[&tip.unwrap().hash];
        let mut computed = Multiset::new();
        snapshot.for_each_element(|key, value| computed.add(&element(&key, &value))).unwrap();
        assert_eq!(computed, model.multiset);
        assert_eq!(snapshot.multiset().unwrap(), model.multiset);
        let items = answers(&snapshot, stream, &[Order::Chain]);
        assert_eq!(items.iter().any(|line| line.contains("[109]")), tip != old, "key m came with the new tip");
    }
    assert!(kept > 0 && lost > 0, "{kept} {lost}");
}

#[test]
fn a_database_keeps_its_mark_until_it_is_made_anew() {
    let (chain, _) = chain();
    let Chain { folder, store, .. } = chain;
    drop(store);
    let mark = |mark: u64, reindex: bool| {
        let store = Store::open(&paths(&folder), OpenOptions { mark, reindex, ..OpenOptions::default() }).unwrap();
        store.snapshot().unwrap().mark().unwrap()
    };
    assert_eq!(mark(7, false), 0, "drawn when it was made");
    assert_eq!(mark(7, true), 7);
    assert_eq!(mark(8, false), 7);
    assert_eq!(mark(9, true), 9);
}

#[test]
fn rebuilding_from_block_files_gives_equal_answers() {
    let (chain, stream) = chain();
    let tip = chain.tip();
    let before = answers(&chain.store.snapshot().unwrap(), stream, &[Order::Chain, Order::Local]);
    let Chain { folder, store, models, .. } = chain;
    drop(store);
    let store = Store::open(&paths(&folder), OpenOptions { reindex: true, ..OpenOptions::default() }).unwrap();
    assert_eq!(store.snapshot().unwrap().tip(), None);
    assert_eq!(store.subscriptions().len(), 1, "subscriptions stay");
    let mut blocks = Vec::new();
    store
        .for_each_stored_block(|location, block| {
            blocks.push((location, block));
            Ok::<(), StorageError>(())
        })
        .unwrap();
    let mut height = Height(0);
    for (location, block) in blocks {
        let hash = block.hash();
        apply_again(&store, location, block, height, models[&hash].multiset.clone());
        height = height.next();
    }
    assert_eq!(store.snapshot().unwrap().tip(), tip);
    assert_eq!(answers(&store.snapshot().unwrap(), stream, &[Order::Chain, Order::Local]), before);
    assert!(store.is_rebuilding().unwrap());
    drop(store);
    let store = open(&folder).unwrap();
    assert!(store.is_rebuilding().unwrap(), "a rebuild that was broken off is known as such");
    store.finish_rebuild().unwrap();
    drop(store);
    assert!(!open(&folder).unwrap().is_rebuilding().unwrap());
}

fn apply_again(store: &Store, body: Location, block: rota_chain::block::Block, height: Height, multiset: Multiset) {
    let changes = Changes::default();
    let undo = store.append_undo(&UndoBlock::of(&changes)).unwrap();
    let entry = crate::block::BlockEntry {
        header: block.signed,
        height,
        chainwork: 0,
        size: body.length,
        transactions: 1,
        body: Some(body),
        undo: Some(undo),
        status: crate::block::BlockStatus::Applied,
        sequence: 0,
        received: 0,
        governance: false,
    };
    let applied = AppliedBlock::new(block.into(), entry, changes);
    let tip = Tip { hash: applied.hash, height };
    let durability = Durability::Written;
    store.commit(&TipCommit { undone: Vec::new(), applied: vec![applied], multiset, tip, durability }).unwrap();
}

#[test]
fn a_missing_database_beside_block_files_is_refused_until_reindex() {
    let (chain, _) = chain();
    let Chain { folder, store, .. } = chain;
    drop(store);
    std::fs::remove_dir_all(folder.path().join("database")).unwrap();
    for _ in 0..2 {
        let error = open(&folder).unwrap_err();
        assert_eq!(error.code(), "storage-corrupt");
        assert!(error.to_string().contains("-reindex"), "{error}");
    }
    Store::open(&paths(&folder), OpenOptions { reindex: true, ..OpenOptions::default() }).unwrap();
    open(&folder).unwrap();
}

#[test]
fn a_store_that_is_open_cannot_be_opened_again_even_to_reindex() {
    let (chain, _) = chain();
    assert_eq!(open(&chain.folder).unwrap_err().code(), "storage-locked");
    let error =
        Store::open(&paths(&chain.folder), OpenOptions { reindex: true, ..OpenOptions::default() }).unwrap_err();
    assert_eq!(error.code(), "storage-locked");
    chain.assert_sound();
}

#[test]
fn another_format_is_refused_with_both_numbers() {
    let (chain, _) = chain();
    let Chain { folder, store, .. } = chain;
    drop(store);
    let database = Database::open(&paths(&folder).database, ALL, Memory::LITTLE).unwrap();
    let mut batch = database.batch();
    batch.put(&META, &Meta::Format.key(), &(FORMAT + 1)).unwrap();
    database.write(batch, Durability::Written).unwrap();
    drop(database);
    let error = open(&folder).unwrap_err();
    assert_eq!(error, StorageError::Format { found: FORMAT + 1, known: FORMAT });
}

#[test]
fn a_damaged_table_file_is_an_error_with_advice_and_reindex_opens() {
    let (chain, _) = chain();
    chain.store.compact().unwrap();
    let Chain { folder, store, .. } = chain;
    drop(store);
    for entry in std::fs::read_dir(paths(&folder).database).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "sst") {
            let size = std::fs::metadata(&path).unwrap().len() as usize;
            std::fs::write(&path, vec![0x5A; size]).unwrap();
        }
    }
    let error = open(&folder).unwrap_err();
    assert_eq!(error.code(), "storage-corrupt", "{error}");
    let store = Store::open(&paths(&folder), OpenOptions { reindex: true, ..OpenOptions::default() }).unwrap();
    assert_eq!(store.snapshot().unwrap().tip(), None);
}

#[test]
fn every_error_has_a_code_of_its_own_and_causes_are_told_apart() {
    let path = Path::new("/x");
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    assert_eq!(StorageError::from_io("cannot write", path, &full).code(), "storage-full");
    assert_eq!(StorageError::from_io("cannot write", path, &denied).code(), "storage-read-only");
    let codes: std::collections::BTreeSet<&str> = [
        StorageError::Locked(path.into()),
        StorageError::Corrupt(String::new()),
        StorageError::DamagedFile { file: 0, offset: 0, detail: String::new() },
        StorageError::Full(path.into()),
        StorageError::ReadOnly(path.into()),
        StorageError::Format { found: 0, known: 0 },
        StorageError::Io { what: String::new(), detail: String::new() },
        StorageError::Missing(String::new()),
        StorageError::Order(String::new()),
        StorageError::Limit { what: "", got: 0, limit: 0 },
    ]
    .iter()
    .map(StorageError::code)
    .collect();
    assert_eq!(codes.len(), 10);
}

#[test]
fn blocks_of_other_branches_are_found_by_height() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    let mut two = [chain.extend(vec![]), chain.make(Some(base), vec![])];
    two.sort_unstable();
    let snapshot = chain.store.snapshot().unwrap();
    assert_eq!(snapshot.blocks_at(Height(1)).unwrap(), two);
    assert_eq!(snapshot.blocks_at(Height(2)).unwrap(), Vec::<BlockHash>::new());
    assert!(snapshot.block(&two[0]).unwrap().is_some() && snapshot.undo(&two[1]).unwrap().is_some());
    assert_eq!(snapshot.block(&BlockHash::ZERO).unwrap(), None);
}

#[test]
fn a_rebuild_that_ended_before_it_was_noted_goes_on_with_its_subscriptions() {
    let (chain, stream) = chain();
    let Chain { folder, store, .. } = chain;
    drop(store);
    let paths = paths(&folder);
    // As a process leaves it that ends right after it set the database aside, and as one that had begun the new one.
    for begun in [false, true] {
        std::fs::rename(&paths.database, paths.database.with_extension("old")).unwrap();
        if begun {
            std::fs::create_dir_all(&paths.database).unwrap();
        }
        let store = Store::open(&paths, OpenOptions::default()).unwrap();
        assert!(store.is_rebuilding().unwrap());
        assert!(store.subscription(stream).is_some_and(|kept| kept.indexes == Indexes::ALL), "begun: {begun}");
        assert!(!paths.database.with_extension("old").exists());
    }
}

#[test]
fn a_chain_beyond_its_genesis_block_is_told_from_what_a_first_start_left() {
    let mut chain = Chain::new();
    let paths = paths(&chain.folder);
    assert!(!StorePaths { database: "/none".into(), blocks: "/none".into() }.hold_more_than_genesis().unwrap());
    chain.extend(vec![]);
    let first = paths.blocks.join("000000.dat");
    let genesis = std::fs::read(&first).unwrap();
    // Undo data, or the block itself, broken off.
    let mut chain = chain.reopened(|_| {
        for end in [genesis.len(), genesis.len() - 1, 20, 0] {
            std::fs::write(&first, &genesis[..end]).unwrap();
            assert!(!paths.hold_more_than_genesis().unwrap(), "cut at {end}");
            assert_eq!(std::fs::read(&first).unwrap().len(), end, "nothing is cut off");
        }
        std::fs::write(&first, &genesis).unwrap();
    });
    chain.extend(vec![]);
    let Chain { folder: _folder, store, .. } = chain;
    drop(store);
    let whole = std::fs::read(&first).unwrap();
    for damage in [0..0, 14..15, 14..genesis.len() + 14] {
        let mut bytes = whole.clone();
        bytes[damage.clone()].fill(0xff);
        std::fs::write(&first, &bytes).unwrap();
        assert!(paths.hold_more_than_genesis().unwrap(), "{damage:?}");
    }
    // The database alone tells.
    std::fs::remove_dir_all(&paths.blocks).unwrap();
    assert!(paths.hold_more_than_genesis().unwrap());
}
