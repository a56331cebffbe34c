//! Tests of `kv`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use crate::error::StorageError;
use crate::kv::{BlockCache, Blocks, Database, Durability, Memory, MemoryTables, Read, Snapshot, Table, TableSpec};

const NUMBERS: Table<(u8, u32), u64> = Table::new("numbers");
const TEXTS: Table<Vec<u8>, String> = Table::large("texts");
const TABLES: &[TableSpec] = &[NUMBERS.spec(), TEXTS.spec()];

fn open(path: &Path) -> Database {
    Database::open(path, TABLES, Memory::LITTLE).unwrap()
}

fn filled(path: &Path) -> Database {
    let database = open(path);
    let mut batch = database.batch();
    for group in [1u8, 2, 255] {
        for number in 0..5 {
            batch.put(&NUMBERS, &(group, number * 100), &u64::from(number)).unwrap();
        }
    }
    database.write(batch, Durability::Written).unwrap();
    database
}

fn keys(rows: impl Iterator<Item = crate::error::Result<((u8, u32), u64)>>) -> Vec<(u8, u32)> {
    rows.map(|row| row.unwrap().0).collect()
}

#[test]
fn scans_stay_within_their_prefix_and_begin_where_told() {
    let folder = tempfile::tempdir().unwrap();
    let database = filled(folder.path());
    assert_eq!(keys(database.scan(&NUMBERS, &()).unwrap()).len(), 15);
    let group = keys(database.scan(&NUMBERS, &2u8).unwrap());
    assert_eq!(group, [(2, 0), (2, 100), (2, 200), (2, 300), (2, 400)]);
    let from = keys(database.scan_from(&NUMBERS, &2u8, &(2, 201)).unwrap());
    assert_eq!(from, [(2, 300), (2, 400)]);
    for group in [1, 2, 255] {
        let back = keys(database.scan_back(&NUMBERS, &group).unwrap());
        assert_eq!(back.first(), Some(&(group, 400)));
        assert_eq!(back.len(), 5);
    }
    assert_eq!(keys(database.scan_back(&NUMBERS, &7u8).unwrap()), []);
}

#[test]
fn a_deleted_prefix_takes_nothing_else_along() {
    let folder = tempfile::tempdir().unwrap();
    let database = filled(folder.path());
    let mut batch = database.batch();
    batch.delete_prefix(&NUMBERS, &1u8).unwrap();
    assert!(batch.delete_prefix(&NUMBERS, &255u8).is_err(), "nothing comes after it");
    batch.delete(&NUMBERS, &(2, 0)).unwrap();
    database.write(batch, Durability::Synced).unwrap();
    assert_eq!(keys(database.scan(&NUMBERS, &()).unwrap()).len(), 9);
    assert!(!database.has(&NUMBERS, &(2, 0)).unwrap());
    assert_eq!(database.get(&NUMBERS, &(2, 100)).unwrap(), Some(1));
}

#[test]
fn a_snapshot_outlives_later_writes_and_the_handle_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let database = filled(folder.path());
    let snapshot = database.snapshot();
    let mut batch = database.batch();
    batch.put(&NUMBERS, &(2, 0), &77).unwrap();
    batch.delete(&NUMBERS, &(2, 100)).unwrap();
    assert!(!batch.is_empty() && batch.size() > 0);
    database.write(batch, Durability::Written).unwrap();
    drop(database);
    assert_eq!(snapshot.get(&NUMBERS, &(2, 0)).unwrap(), Some(0));
    assert_eq!(keys(snapshot.scan(&NUMBERS, &2u8).unwrap()).len(), 5);
    drop(snapshot);
    assert_eq!(open(folder.path()).get(&NUMBERS, &(2, 0)).unwrap(), Some(77));
}

#[test]
fn a_database_that_is_open_cannot_be_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let error = Database::open(folder.path(), TABLES, Memory::LITTLE).unwrap_err();
    assert_eq!(error, StorageError::Locked(folder.path().to_path_buf()));
    assert_eq!(Database::destroy(folder.path()).unwrap_err().code(), "storage-locked");
    drop(database);
    open(folder.path());
}

#[test]
fn damaged_files_are_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    std::fs::write(folder.path().join("CURRENT"), b"nonsense\n").unwrap();
    let error = Database::open(folder.path(), TABLES, Memory::LITTLE).unwrap_err();
    assert_eq!(error.code(), "storage-corrupt", "{error}");
    assert!(error.to_string().contains("-reindex"), "{error}");
}

#[test]
fn bytes_that_are_no_value_are_an_error_and_no_panic() {
    const OTHER: Table<(u8, u32), String> = Table::new("numbers");
    const SHORT: Table<u8, u64> = Table::new("numbers");
    let folder = tempfile::tempdir().unwrap();
    let database = filled(folder.path());
    assert_eq!(database.get(&OTHER, &(2, 300)).unwrap_err().code(), "storage-corrupt");
    assert_eq!(database.scan(&SHORT, &()).unwrap().next().unwrap().unwrap_err().code(), "storage-corrupt");
    const ABSENT: Table<u8, u64> = Table::new("absent");
    assert_eq!(database.get(&ABSENT, &1).unwrap_err().code(), "storage-corrupt");
}

#[test]
fn a_table_of_a_newer_program_is_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let error = Database::open(folder.path(), &[NUMBERS.spec()], Memory::LITTLE).unwrap_err();
    assert!(error.to_string().contains("\"texts\""), "{error}");
}

#[test]
fn large_values_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let text = "rota ".repeat(100_000);
    let mut batch = database.batch();
    batch.put(&TEXTS, &b"k".to_vec(), &text).unwrap();
    database.write(batch, Durability::Written).unwrap();
    database.sync().unwrap();
    database.compact(TABLES).unwrap();
    assert_eq!(database.get(&TEXTS, &b"k".to_vec()).unwrap(), Some(text));
}

type Row = ((u8, u32), u64);

fn all(read: &impl Read, from: u32) -> Vec<Vec<Row>> {
    let group = |rows: crate::kv::Scan<'_, (u8, u32), u64>| rows.map(Result::unwrap).collect::<Vec<Row>>();
    let mut found = vec![group(read.scan(&NUMBERS, &()).unwrap())];
    for first in [1u8, 2, 255] {
        found.push(group(read.scan(&NUMBERS, &first).unwrap()));
        found.push(group(read.scan_back(&NUMBERS, &first).unwrap()));
        found.push(group(read.scan_from(&NUMBERS, &first, &(first, from)).unwrap()));
        let got = read.get(&NUMBERS, &(first, from)).unwrap();
        found.push(got.map(|value| ((first, from), value)).into_iter().collect());
    }
    found
}

#[test]
fn tables_in_memory_answer_as_a_database_on_disk_does() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, memory) = (open(folder.path()), Database::in_memory(MemoryTables::new()));
    let mut number = 1u64;
    let mut below = |limit: u64| {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % limit
    };
    let mut looks: Vec<(Snapshot, Snapshot)> = Vec::new();
    let mut most = 0;
    for _ in 0..400 {
        let (mut left, mut right) = (disk.batch(), memory.batch());
        for _ in 0..below(6) {
            let key = ([1u8, 2, 255][below(3) as usize], below(8) as u32);
            match below(8) {
                0 => [&mut left, &mut right].map(|batch| batch.delete_prefix(&NUMBERS, &2u8).unwrap()),
                1..4 => [&mut left, &mut right].map(|batch| batch.delete(&NUMBERS, &key).unwrap()),
                _ => {
                    let value = below(1_000);
                    [&mut left, &mut right].map(|batch| batch.put(&NUMBERS, &key, &value).unwrap())
                }
            };
        }
        disk.write(left, Durability::Written).unwrap();
        memory.write(right, Durability::Written).unwrap();
        let from = below(8) as u32;
        assert_eq!(all(&disk, from), all(&memory, from));
        match below(3) {
            0 => looks.push((disk.snapshot(), memory.snapshot())),
            1 if !looks.is_empty() => drop(looks.remove(below(looks.len() as u64) as usize)),
            _ => {}
        }
        for (left, right) in &looks {
            assert_eq!(all(left, from), all(right, from));
        }
        most = most.max(looks.len());
    }
    assert!(most > 3, "several snapshots lived at once");
}

#[test]
fn tables_in_memory_lose_what_was_not_synced_last_first() {
    let tables = MemoryTables::new();
    let database = Database::in_memory(tables.clone());
    let write = |key: u32, value: u64, durability| {
        let mut batch = database.batch();
        batch.put(&NUMBERS, &(1, key), &value).unwrap();
        database.write(batch, durability)
    };
    write(0, 10, Durability::Synced).unwrap();
    write(0, 11, Durability::Written).unwrap();
    write(1, 12, Durability::Written).unwrap();
    write(0, 13, Durability::Written).unwrap();
    assert_eq!(tables.unsynced(), 3);
    tables.lose_power(2);
    assert_eq!(all(&database, 0)[0], [((1, 0), 11), ((1, 1), 12)]);
    write(1, 14, Durability::Written).unwrap();
    tables.lose_power(0);
    assert_eq!(all(&database, 0)[0], [((1, 0), 11), ((1, 1), 12)], "what stayed at a power loss is on the disk");
    tables.stop_after(Some(1));
    write(2, 15, Durability::Synced).unwrap();
    assert!(write(3, 16, Durability::Synced).is_err() && tables.is_stopped());
    tables.stop_after(None);
    assert_eq!(all(&database, 2)[4], [((1, 2), 15)]);
}

/// Opens two databases over one cache of `bytes`, reads through both, and gives what the cache held after each.
fn read_two_sharing(bytes: usize) -> [usize; 2] {
    let folder = tempfile::tempdir().unwrap();
    let cache = BlockCache::new(bytes);
    ["a", "b"].map(|name| {
        let memory = Memory { cache: Blocks::Shared(cache.clone()), unflushed: 8 << 20 };
        let database = Database::open(&folder.path().join(name), TABLES, memory).unwrap();
        let mut batch = database.batch();
        for number in 0..200_000u32 {
            let noise = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            batch.put(&NUMBERS, &(0, number), &noise).unwrap();
        }
        database.write(batch, Durability::Written).unwrap();
        database.compact(TABLES).unwrap();
        assert_eq!(database.scan(&NUMBERS, &()).unwrap().count(), 200_000);
        cache.bytes()
    })
}

#[test]
fn databases_that_share_a_cache_fill_it_together_and_stay_within_its_size() {
    let [one, both] = read_two_sharing(64 << 20);
    assert!(one > 1 << 20 && both > one + (1 << 20), "{one} bytes of one, {both} of both");
    let [_, both] = read_two_sharing(1 << 20);
    assert!(both <= (1 << 20) + (256 << 10), "{both} bytes in a cache of a megabyte");
}
