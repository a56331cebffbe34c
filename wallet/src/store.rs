//! The wallet file on disk: `keys.dat`, records appended and synced one batch a time, rewritten as a whole only when
//! encryption changes. Mode 0600. What the records mean is the wallet's.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rota_chain::key::PublicKey;
use rota_crash::{Point, reached};
use zeroize::Zeroizing;

use crate::error::WalletError;
use crate::record::{Framed, Record, any_record_in, frame, is_whole, read};

/// Most bytes of a wallet file, which is read at once: 250 bytes a key for more than four million keys.
pub const MAX_WALLET_FILE: u64 = 1 << 30;

/// The first line of a dump, without its number of format.
pub const DUMP_TITLE: &str = "# rota wallet dump ";

/// The wallet file's name.
pub const FILE: &str = "keys.dat";
const NEW: &str = "keys.dat.new";
const TORN: &str = "keys.dat.torn";
const HEADER: [u8; 12] = *b"rota wallet\n";
const FORMAT: u32 = 1;
/// Bytes before the first record: [`HEADER`] and the format number.
const START: usize = 16;

/// A wallet file that was replaced: its bytes are to be overwritten.
#[derive(Debug)]
#[must_use]
pub struct OldFile(File);

/// The open wallet file.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// The directory, open from the start: a sync after a rename does not fail for want of a descriptor.
    folder: File,
    path: PathBuf,
    file: File,
    /// End of the last sound record; what follows on disk is of a failed write.
    length: u64,
    /// A write failed: bytes may stand after the end.
    unclean: bool,
    /// The file was renamed into its place, and the folder is not known to be synced since.
    unplaced: bool,
}

impl Store {
    /// Opens the wallet file of a directory, or makes both. An unfinished last record was never acknowledged and is
    /// set aside.
    ///
    /// # Errors
    /// [`WalletError::Damaged`], [`WalletError::Format`], [`WalletError::Io`].
    pub fn open(directory: &Path) -> Result<(Store, Vec<Record>), WalletError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(WalletError::io(directory))?;
        let folder = File::open(directory).map_err(WalletError::io(directory))?;
        let path = directory.join(FILE);
        wipe(&directory.join(NEW))?;
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => write_new(directory, &header())?,
            Err(error) => return Err(WalletError::io(&path)(error)),
        };
        let mode = file.metadata().map_err(WalletError::io(&path))?.mode();
        if mode & 0o077 != 0 {
            tracing::warn!(path = %path.display(), "others could read the wallet file: closed to them now");
            file.set_permissions(Permissions::from_mode(0o600)).map_err(WalletError::io(&path))?;
        }
        // A process may have ended between rename and sync, so a file that was found is not known to be in place either.
        let directory = directory.to_owned();
        let mut store = Store { directory, folder, path, file, length: 0, unclean: false, unplaced: true };
        store.place()?;
        let records = store.load()?;
        Ok((store, records))
    }

    /// Appends records; they are on disk when this returns.
    ///
    /// # Errors
    /// [`WalletError::Io`], [`WalletError::Full`]: nothing was added.
    pub fn append(&mut self, records: &[Record]) -> Result<(), WalletError> {
        let bytes = frame(records);
        let end = self.length.saturating_add(bytes.len() as u64);
        if end > MAX_WALLET_FILE {
            return Err(WalletError::Full);
        }
        self.place()?;
        if self.unclean {
            self.file.set_len(self.length).map_err(WalletError::io(&self.path))?;
        }
        self.unclean = true;
        self.file.write_all_at(&bytes, self.length).map_err(WalletError::io(&self.path))?;
        reached(Point::WalletAppended);
        self.file.sync_all().map_err(WalletError::io(&self.path))?;
        reached(Point::WalletSynced);
        self.length = end;
        self.unclean = false;
        Ok(())
    }

    /// Puts a new file in place of the old one, which is handed back for [`Store::wipe_old`]. From then on the new one is
    /// the wallet: the old one has no name any more, and what was added to it would be lost.
    ///
    /// # Errors
    /// [`WalletError::Io`], [`WalletError::Full`]: the old file stands.
    pub fn replace(&mut self, records: &[Record]) -> Result<OldFile, WalletError> {
        let framed = frame(records);
        let mut bytes = Zeroizing::new(Vec::with_capacity(START.saturating_add(framed.len())));
        bytes.extend_from_slice(&header());
        bytes.extend_from_slice(&framed);
        if bytes.len() as u64 > MAX_WALLET_FILE {
            return Err(WalletError::Full);
        }
        let new = write_new(&self.directory, &bytes)?;
        self.length = bytes.len() as u64;
        self.unclean = false;
        self.unplaced = true;
        Ok(OldFile(std::mem::replace(&mut self.file, new)))
    }

    /// Makes the new file safe from power loss, then overwrites the one it replaced and parts that were set aside.
    ///
    /// # Errors
    /// [`WalletError::FormerFile`]: the new file holds, the old bytes may be on the disk still.
    pub fn wipe_old(&mut self, old: OldFile) -> Result<(), WalletError> {
        // Until the folder is synced a loss of power may bring the old file back, and it has to be whole then.
        self.place()
            .and_then(|()| overwrite(&old.0).map_err(WalletError::io(&self.path)))
            .inspect(|()| reached(Point::WalletWiped))
            .and_then(|()| wipe(&self.directory.join(TORN)))
            .map_err(|error| WalletError::FormerFile(Box::new(error)))
    }

    /// Makes the file's name safe from power loss. As long as that fails nothing is added: the file that a loss of power
    /// brought back would lack it.
    fn place(&mut self) -> Result<(), WalletError> {
        if self.unplaced {
            self.folder.sync_all().map_err(WalletError::io(&self.directory))?;
            self.unplaced = false;
        }
        Ok(())
    }

    /// Copies the file to `destination`, or into it if that is a directory. `owns` says which keys are this wallet's.
    ///
    /// # Errors
    /// [`WalletError::SameFile`], [`WalletError::Foreign`], [`WalletError::Open`], [`WalletError::Io`].
    pub fn copy_to(&self, destination: &Path, owns: impl Fn(&PublicKey) -> bool) -> Result<(), WalletError> {
        let target = if destination.is_dir() { destination.join(FILE) } else { destination.to_owned() };
        let bytes = self.read_up_to(self.length)?;
        self.write_beside(&target, &bytes, owns)
    }

    /// Writes a secret file that is not the wallet file; it stands whole or not at all. Only a dump or an older backup
    /// of this wallet is written over: the target is chosen by a caller, and may be another chain's wallet.
    ///
    /// # Errors
    /// [`WalletError::SameFile`], [`WalletError::Foreign`], [`WalletError::Open`], [`WalletError::Io`].
    pub fn write_beside(
        &self,
        target: &Path,
        bytes: &[u8],
        owns: impl Fn(&PublicKey) -> bool,
    ) -> Result<(), WalletError> {
        let same = match (target.metadata(), self.file.metadata()) {
            (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
            _ => false,
        };
        if same {
            return Err(WalletError::SameFile(target.to_owned()));
        }
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        for path in [target, &part] {
            if !is_replaceable(path, &owns)? {
                return Err(WalletError::Foreign(path.to_owned()));
            }
        }
        let written = create(&part).map_err(WalletError::open(&part)).and_then(|mut file| {
            file.write_all(bytes)
                .and_then(|()| file.sync_all())
                .and_then(|()| std::fs::rename(&part, target))
                .map_err(WalletError::io(target))
        });
        if written.is_err() {
            wipe(&part)?;
        }
        written
    }

    /// Behaves as after a write that failed.
    #[cfg(test)]
    pub fn note_failed_write(&mut self) {
        self.unclean = true;
    }

    /// Syncs another file in place of the folder, which is handed back; a device cannot be synced.
    #[cfg(test)]
    pub fn exchange_folder(&mut self, other: File) -> File {
        std::mem::replace(&mut self.folder, other)
    }

    fn load(&mut self) -> Result<Vec<Record>, WalletError> {
        let size = self.size()?;
        if size > MAX_WALLET_FILE {
            return Err(WalletError::Full);
        }
        let bytes = self.read_up_to(size)?;
        let Some((head, mut rest)) = bytes.split_at_checked(START) else {
            return Err(self.damaged(0, "the file is shorter than its header".to_owned()));
        };
        let format = head.strip_prefix(&HEADER).and_then(|f| f.first_chunk::<4>());
        match format.map(|format| u32::from_le_bytes(*format)) {
            Some(FORMAT) => {}
            Some(format) => {
                return Err(WalletError::Format { path: self.path.clone(), format, known: FORMAT });
            }
            None => return Err(self.damaged(0, "the header is not a wallet's".to_owned())),
        }
        let mut records = Vec::new();
        self.length = START as u64;
        while !rest.is_empty() {
            match read(rest) {
                Framed::Record(record, length) => {
                    records.push(*record);
                    rest = rest.get(length..).unwrap_or_default();
                    self.length = self.length.saturating_add(length as u64);
                }
                Framed::Unknown(reason) => return Err(self.damaged(self.length, reason)),
                Framed::Broken(reason) => {
                    self.set_torn_end_aside(rest, reason)?;
                    break;
                }
            }
        }
        Ok(records)
    }

    /// Cuts off an unfinished last record, keeping its bytes in a file of their own.
    fn set_torn_end_aside(&mut self, torn: &[u8], reason: &str) -> Result<(), WalletError> {
        if is_whole(torn) || any_record_in(torn) {
            return Err(self.damaged(self.length, reason.to_owned()));
        }
        let offset = self.length;
        tracing::warn!(path = %self.path.display(), offset, reason, "an unfinished record is set aside");
        if torn.iter().any(|byte| *byte != 0) {
            let aside = self.directory.join(TORN);
            wipe(&aside)?;
            create(&aside)
                .and_then(|mut file| file.write_all(torn).and_then(|()| file.sync_all()))
                .map_err(WalletError::io(&aside))?;
            reached(Point::WalletTornKept);
        }
        self.file.set_len(self.length).and_then(|()| self.file.sync_all()).map_err(WalletError::io(&self.path))?;
        reached(Point::WalletCut);
        Ok(())
    }

    fn damaged(&self, offset: u64, reason: String) -> WalletError {
        WalletError::Damaged { path: self.path.clone(), offset, reason }
    }

    fn size(&self) -> Result<u64, WalletError> {
        let metadata = self.file.metadata().map_err(WalletError::io(&self.path))?;
        Ok(metadata.len())
    }

    fn read_up_to(&self, length: u64) -> Result<Zeroizing<Vec<u8>>, WalletError> {
        let mut bytes = Zeroizing::new(vec![0; usize::try_from(length).unwrap_or(0)]);
        self.file.read_exact_at(&mut bytes, 0).map_err(WalletError::io(&self.path))?;
        Ok(bytes)
    }
}

/// Reads a text file of the caller's, at most `limit` bytes of it; none if it is longer.
///
/// # Errors
/// [`WalletError::Open`], [`WalletError::Io`].
pub fn read_limited(path: &Path, limit: u64) -> Result<Option<Zeroizing<Vec<u8>>>, WalletError> {
    // Opening a pipe would wait for its other end.
    if !path.metadata().map_err(WalletError::open(path))?.is_file() {
        let what = std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file");
        return Err(WalletError::open(path)(what));
    }
    let file = File::open(path).map_err(WalletError::open(path))?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(WalletError::io(path))?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Whether nothing of worth stands at a path: no file, an empty one, a dump, or a wallet file whose keys are all `owns`.
fn is_replaceable(path: &Path, owns: impl Fn(&PublicKey) -> bool) -> Result<bool, WalletError> {
    match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(WalletError::open(path)(error)),
        // Opening a pipe would wait for its other end.
        Ok(metadata) if !metadata.is_file() => return Ok(false),
        Ok(_) => {}
    }
    let mut file = File::open(path).map_err(WalletError::open(path))?;
    let mut start = Vec::new();
    let longest = DUMP_TITLE.len().max(HEADER.len()) as u64;
    Read::by_ref(&mut file).take(longest).read_to_end(&mut start).map_err(WalletError::open(path))?;
    if !start.starts_with(&HEADER) {
        return Ok(start.is_empty() || start.starts_with(DUMP_TITLE.as_bytes()));
    }
    // Only a wallet file is read whole: whatever else a caller names may be large.
    let Some(bytes) = read_limited(path, MAX_WALLET_FILE)? else { return Ok(false) };
    let Some((_, mut rest)) = bytes.split_at_checked(START) else { return Ok(false) };
    while !rest.is_empty() {
        let Framed::Record(record, length) = read(rest) else { return Ok(false) };
        if matches!(*record, Record::Key(key) if !owns(&key.public_key)) {
            return Ok(false);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(true)
}

fn header() -> [u8; START] {
    let mut header = [0; START];
    let (text, format) = header.split_at_mut(HEADER.len());
    text.copy_from_slice(&HEADER);
    format.copy_from_slice(&FORMAT.to_le_bytes());
    header
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Writes a whole new wallet file and renames it into place; the folder is not synced yet.
fn write_new(directory: &Path, bytes: &[u8]) -> Result<File, WalletError> {
    let (new, path) = (directory.join(NEW), directory.join(FILE));
    let mut file = create(&new).map_err(WalletError::io(&new))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(WalletError::io(&new))?;
    reached(Point::WalletCopied);
    std::fs::rename(&new, &path).map_err(WalletError::io(&path))?;
    reached(Point::WalletReplaced);
    Ok(file)
}

/// Overwrites a file's bytes with zeros, as far as the medium does that in place.
fn overwrite(file: &File) -> std::io::Result<()> {
    const ZEROS: [u8; 4_096] = [0; 4_096];
    let size = file.metadata()?.len();
    let mut at = 0;
    while at < size {
        let step = size.saturating_sub(at).min(ZEROS.len() as u64);
        let chunk = usize::try_from(step).ok().and_then(|step| ZEROS.get(..step));
        file.write_all_at(chunk.unwrap_or_default(), at)?;
        at = at.saturating_add(step);
    }
    file.sync_all()
}

/// Overwrites and removes a file, if there is one.
fn wipe(path: &Path) -> Result<(), WalletError> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => overwrite(&file).and_then(|()| std::fs::remove_file(path)).map_err(WalletError::io(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(WalletError::io(path)(error)),
    }
}
