//! Tables in memory, behind the same calls as a database on disk: what a simulated node keeps. They outlive who opened
//! them, can lose what was not synced, and can refuse to write, as a crash would have it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Durability, RawRow, Start, TableSpec};
use crate::error::{Result, StorageError};

/// A value as of a version of the tables; none if there was none.
type Version = (u64, Option<Arc<[u8]>>);
/// A row: its values, oldest first.
type Row = Vec<Version>;
/// The row of a table before a write.
type Before = (&'static str, Vec<u8>, Option<Arc<[u8]>>);

/// One change of a batch.
#[derive(Debug)]
pub(super) enum Write {
    Put(&'static str, Vec<u8>, Vec<u8>),
    Delete(&'static str, Vec<u8>),
    /// From the first key to the one before the second.
    DeleteRange(&'static str, Vec<u8>, Vec<u8>),
}

impl Write {
    pub fn size(&self) -> usize {
        match self {
            Write::Put(_, key, value) => key.len() + value.len(),
            Write::Delete(_, key) => key.len(),
            Write::DeleteRange(_, first, end) => first.len() + end.len(),
        }
    }
}

/// The tables of one database. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryTables(Arc<Mutex<Tables>>);

#[derive(Debug, Default)]
struct Tables {
    rows: BTreeMap<&'static str, BTreeMap<Vec<u8>, Row>>,
    version: u64,
    /// Versions that snapshots look at, and how many do.
    watched: BTreeMap<u64, usize>,
    /// Rows that are gone, to be forgotten once no snapshot looks at them.
    gone: VecDeque<(u64, &'static str, Vec<u8>)>,
    /// Rows before each batch that is not synced, oldest batch first.
    unsynced: VecDeque<Vec<Before>>,
    syncs: u64,
    writes_left: Option<u64>,
}

impl MemoryTables {
    /// Empty tables.
    #[must_use]
    pub fn new() -> MemoryTables {
        MemoryTables::default()
    }

    /// Refuses every batch after `writes` more, as if the process ended there; `None` takes that back.
    pub fn stop_after(&self, writes: Option<u64>) {
        self.lock().writes_left = writes;
    }

    /// Whether a batch was refused.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().writes_left == Some(0)
    }

    /// Times that everything written so far became safe from power loss.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Batches that are not safe from power loss.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// Empties the tables, at once safe from power loss. Nobody may have them open.
    pub fn clear(&self) {
        let mut tables = self.lock();
        tables.rows.clear();
        tables.gone.clear();
        tables.sync();
    }

    /// Loses power: of the batches that are not synced only the first `kept` stay. Nobody may have the tables open.
    pub fn lose_power(&self, kept: usize) {
        let mut tables = self.lock();
        while tables.unsynced.len() > kept {
            let Some(batch) = tables.unsynced.pop_back() else { return };
            for (table, key, value) in batch.into_iter().rev() {
                let rows = tables.rows.entry(table).or_default();
                match value {
                    Some(value) => drop(rows.insert(key, vec![(0, Some(value))])),
                    None => drop(rows.remove(&key)),
                }
            }
        }
        tables.unsynced.clear();
    }

    pub(super) fn write(&self, writes: Vec<Write>, durability: Durability) -> Result<()> {
        let mut tables = self.lock();
        match &mut tables.writes_left {
            Some(0) => {
                return Err(StorageError::Io {
                    what: "tables in memory".to_owned(),
                    detail: "were stopped".to_owned(),
                });
            }
            Some(left) => *left -= 1,
            None => {}
        }
        tables.version += 1;
        let mut before = Vec::with_capacity(writes.len());
        for write in writes {
            match write {
                Write::Put(table, key, value) => before.push(tables.set(table, key, Some(value.into()))),
                Write::Delete(table, key) => before.push(tables.set(table, key, None)),
                Write::DeleteRange(table, first, end) => {
                    let rows = tables.rows.entry(table).or_default();
                    let keys: Vec<Vec<u8>> = rows.range(first..end).map(|(key, _)| key.clone()).collect();
                    before.extend(keys.into_iter().map(|key| tables.set(table, key, None)));
                }
            }
        }
        tables.unsynced.push_back(before);
        if durability == Durability::Synced {
            tables.sync();
        }
        tables.forget_gone();
        Ok(())
    }

    pub(super) fn sync(&self) {
        self.lock().sync();
    }

    pub(super) fn snapshot(&self) -> MemorySnapshot {
        let mut tables = self.lock();
        let version = tables.version;
        *tables.watched.entry(version).or_default() += 1;
        MemorySnapshot { tables: self.clone(), version }
    }

    /// The value of a key as of `version`, or now.
    pub(super) fn get(&self, table: &str, key: &[u8], version: Option<u64>) -> Option<Arc<[u8]>> {
        let tables = self.lock();
        as_of(tables.rows.get(table)?.get(key)?, version).cloned()
    }

    pub(super) fn rows(&self, spec: TableSpec, prefix: Vec<u8>, from: &Start, version: Option<u64>) -> MemoryRows {
        let (from, back) = match from {
            Start::First => (Bound::Included(prefix.clone()), false),
            Start::Last => (end_of(&prefix).map_or(Bound::Unbounded, Bound::Excluded), true),
            Start::At(key) => (Bound::Included(key.clone().max(prefix.clone())), false),
        };
        MemoryRows { tables: self.clone(), table: spec.name, prefix, from, back, version }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Gives a row a value in the newest version; returns what it was.
    fn set(&mut self, table: &'static str, key: Vec<u8>, value: Option<Arc<[u8]>>) -> Before {
        let (version, oldest) = (self.version, self.oldest_watched());
        if value.is_none() {
            self.gone.push_back((version, table, key.clone()));
        }
        let row = self.rows.entry(table).or_default().entry(key.clone()).or_default();
        let before = row.last().and_then(|(_, value)| value.clone());
        match row.last_mut() {
            Some(last) if last.0 == version => last.1 = value,
            _ => row.push((version, value)),
        }
        // What a newer value replaced before the oldest snapshot was taken is seen by nobody.
        let unseen = row.iter().skip(1).take_while(|(next, _)| *next <= oldest).count();
        row.drain(..unseen);
        (table, key, before)
    }

    fn oldest_watched(&self) -> u64 {
        // A snapshot taken from now on sees this version at the earliest, or the one being written.
        self.watched.keys().next().copied().unwrap_or(self.version)
    }

    fn sync(&mut self) {
        self.unsynced.clear();
        self.syncs += 1;
    }

    fn forget_gone(&mut self) {
        let oldest = self.oldest_watched();
        while let Some((_, table, key)) = self.gone.pop_front_if(|(version, _, _)| *version <= oldest) {
            if let Some(rows) = self.rows.get_mut(table)
                && rows.get(&key).is_some_and(|row| matches!(row.as_slice(), [.., (at, None)] if *at <= oldest))
            {
                rows.remove(&key);
            }
        }
    }
}

fn as_of(row: &Row, version: Option<u64>) -> Option<&Arc<[u8]>> {
    let seen = |(at, _): &&Version| version.is_none_or(|version| *at <= version);
    row.iter().rev().find(seen)?.1.as_ref()
}

/// The first key after all that begin with `prefix`, none if there is none.
pub(super) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// The tables as they were at one moment.
#[derive(Debug)]
pub(super) struct MemorySnapshot {
    pub tables: MemoryTables,
    pub version: u64,
}

impl Drop for MemorySnapshot {
    fn drop(&mut self) {
        let mut tables = self.tables.lock();
        if let Some(watching) = tables.watched.get_mut(&self.version) {
            *watching -= 1;
            if *watching == 0 {
                tables.watched.remove(&self.version);
            }
        }
    }
}

/// Rows in order, each looked up when its turn comes.
#[derive(Debug)]
pub(super) struct MemoryRows {
    tables: MemoryTables,
    table: &'static str,
    prefix: Vec<u8>,
    from: Bound<Vec<u8>>,
    back: bool,
    version: Option<u64>,
}

impl MemoryRows {
    pub fn next(&mut self) -> Option<RawRow> {
        let tables = self.tables.lock();
        let rows = tables.rows.get(self.table)?;
        let value = |(key, row): (&Vec<u8>, &Row)| {
            as_of(row, self.version).map(|value| (key.as_slice().into(), value.as_ref().into()))
        };
        let found: Option<RawRow> = if self.back {
            let range = (Bound::Included(self.prefix.clone()), self.from.clone());
            rows.range(range).rev().find_map(value)
        } else {
            let end = end_of(&self.prefix).map_or(Bound::Unbounded, Bound::Excluded);
            let from = self.from.clone();
            if !is_before(&from, &end) {
                return None;
            }
            rows.range((from, end)).find_map(value)
        };
        let (key, _) = found.as_ref()?;
        self.from = Bound::Excluded(key.to_vec());
        found
    }
}

/// Whether a range from one bound to another is in order.
fn is_before(from: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>) -> bool {
    match (from, end) {
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(end)) => from < end,
        _ => true,
    }
}
