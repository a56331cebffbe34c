//! Opens the off-chain database. A rebuild that finds damage in it copies what can be read to a new one: what RocksDB has
//! found damaged refuses writes later, whatever is deleted from it.

use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::chunk::ChunkTotals;
use crate::error::{Result, StorageError};
use crate::kv::{Database, Durability, Memory, Read};
use crate::store::rename;
use crate::table::{CHUNK, CHUNK_ALL, CHUNK_INFO, CHUNK_OWNER, CHUNK_PENDING, CHUNK_TOTALS, ITEM_PURGED, OWNER_CHUNK};

/// Opens the database in the folder `path`, or makes it. For a rebuild everything in it is read, and what cannot be is left
/// out: the blocks that are applied again ask for it.
///
/// # Errors
/// [`StorageError`], as of [`Database::open`]; `storage-corrupt` only where this is no rebuild.
pub(crate) fn open(path: &Path, rebuild: bool, memory: &Memory) -> Result<Database> {
    finish_exchange(path)?;
    let opened = open_at(path, memory);
    if !rebuild {
        return opened;
    }
    let sound = opened.and_then(|old| match is_sound(&old)? {
        true => Ok(Some(old)),
        false => copy(&old, &made(path), memory).map(|()| None),
    });
    match sound {
        Ok(Some(sound)) => return Ok(sound),
        Ok(None) => {}
        Err(StorageError::Corrupt(detail)) => {
            warn!(%detail, "off-chain data cannot be read; it is fetched again from peers");
            remove(&made(path))?;
            drop(open_at(&made(path), memory)?);
        }
        Err(error) => return Err(error),
    }
    rename(path, &aside(path))?;
    finish_exchange(path)?;
    open_at(path, memory)
}

fn open_at(path: &Path, memory: &Memory) -> Result<Database> {
    Database::open(path, CHUNK_ALL, memory.clone())
}

/// Where a copy is made.
fn made(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Where the damaged database stands once its copy is whole, until the copy has its place.
fn aside(path: &Path) -> PathBuf {
    path.with_extension("old")
}

/// Goes on with an exchange of the database for its copy that was broken off, at whatever step.
fn finish_exchange(path: &Path) -> Result<()> {
    if aside(path).exists() && !path.exists() {
        rename(&made(path), path)?;
    }
    remove(&aside(path))?;
    remove(&made(path))
}

/// A damaged database cannot be removed by its own list of files.
fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    std::fs::remove_dir_all(path).map_err(|error| StorageError::from_io("cannot remove the folder", path, &error))
}

/// Whether every chunk can be read.
///
/// # Errors
/// `storage-corrupt` if what is known of chunks cannot be read itself.
fn is_sound(chunks: &Database) -> Result<bool> {
    for row in chunks.scan(&CHUNK_INFO, &())? {
        let (hash, _) = row?;
        if !matches!(chunks.get(&CHUNK, &hash), Ok(Some(_))) {
            return Ok(false);
        }
    }
    chunks.scan(&CHUNK_OWNER, &())?.try_for_each(|row| row.map(drop))?;
    chunks.scan(&OWNER_CHUNK, &())?.try_for_each(|row| row.map(drop))?;
    chunks.scan(&CHUNK_PENDING, &())?.try_for_each(|row| row.map(drop))?;
    chunks.scan(&ITEM_PURGED, &())?.try_for_each(|row| row.map(drop))?;
    Ok(true)
}

/// Copies chunks that can be read, with all that is known of them, to a new database in the folder `path`.
fn copy(old: &Database, path: &Path, memory: &Memory) -> Result<()> {
    let new = open_at(path, memory)?;
    let (mut totals, mut lost) = (ChunkTotals::default(), 0_u64);
    for row in old.scan(&CHUNK_INFO, &())? {
        let (hash, info) = row?;
        let Ok(Some(bytes)) = old.get(&CHUNK, &hash) else {
            warn!(chunk = %hash, "off-chain data is damaged; it is fetched again from peers");
            lost += 1;
            continue;
        };
        let mut batch = new.batch();
        batch.put(&CHUNK, &hash, &bytes)?;
        batch.put(&CHUNK_INFO, &hash, &info)?;
        for row in old.scan(&CHUNK_OWNER, &hash)? {
            let ((_, owner), ()) = row?;
            batch.put(&CHUNK_OWNER, &(hash, owner), &())?;
            batch.put(&OWNER_CHUNK, &(owner, hash), &())?;
        }
        totals.add(Some(u64::from(info.size)));
        new.write(batch, Durability::Written)?;
    }
    let mut batch = new.batch();
    for row in old.scan(&CHUNK_PENDING, &())? {
        let (key, pending) = row?;
        batch.put(&CHUNK_PENDING, &key, &pending)?;
    }
    for row in old.scan(&ITEM_PURGED, &())? {
        let (key, ()) = row?;
        batch.put(&ITEM_PURGED, &key, &())?;
    }
    batch.put(&CHUNK_TOTALS, &(), &totals)?;
    new.write(batch, Durability::Synced)?;
    info!(kept = totals.chunks, lost, "off-chain data was copied");
    Ok(())
}

#[cfg(test)]
mod tests;
