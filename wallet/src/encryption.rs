//! Encrypting the wallet, unlocking it for a time, and locking it again. Time is an argument.

use crate::cipher::{Encryption, MAX_PASSPHRASE, Secret, open_secret, seal_secret};
use crate::error::WalletError;
use crate::record::{KeyRecord, Record, StoredSecret};
use crate::wallet::{Entry, Inner, OwnKey, Standing, Wallet};

/// Whether secrets are encrypted, and at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptionState {
    /// Secrets are on disk readable.
    NotEncrypted,
    /// Secrets need the passphrase.
    Locked,
    /// Secrets are at hand.
    Unlocked {
        /// Unix seconds.
        until: u64,
    },
}

impl Wallet {
    /// Whether secrets are encrypted, and at hand.
    #[must_use]
    pub fn state(&self) -> EncryptionState {
        let inner = self.read();
        match (&inner.encryption, &inner.unlocked) {
            (None, _) => EncryptionState::NotEncrypted,
            (Some(_), None) => EncryptionState::Locked,
            (Some(_), Some((_, until))) => EncryptionState::Unlocked { until: *until },
        }
    }

    /// Encrypts all secrets under a passphrase and locks the wallet. The file is rewritten and the old bytes are
    /// overwritten; copies made before (backups, dumps) stay readable, and so may old blocks of a flash disk.
    ///
    /// # Errors
    /// [`WalletError::AlreadyEncrypted`], [`WalletError::Passphrase`], [`WalletError::Io`]; after
    /// [`WalletError::FormerFile`] the wallet is encrypted.
    pub fn encrypt(&self, passphrase: &str) -> Result<(), WalletError> {
        let mut store = self.write();
        if self.read().encryption.is_some() {
            return Err(WalletError::AlreadyEncrypted);
        }
        let master = Secret::random()?;
        let encryption = Encryption::seal(passphrase, &master)?;
        let mut sealed = Vec::new();
        for entry in &self.read().entries {
            let mut entry = entry.clone();
            if let Some(own) = &mut entry.key
                && let StoredSecret::Plain(secret) = &own.stored
            {
                own.stored = StoredSecret::Sealed(seal_secret(&master, secret, &own.public_key.0)?);
            }
            sealed.push(entry);
        }
        let old = store.replace(&records(Some(&encryption), &sealed))?;
        {
            let mut inner = self.change(&store);
            inner.entries = sealed;
            inner.encryption = Some(encryption);
            inner.unlocked = None;
        }
        store.wipe_old(old)
    }

    /// Brings the secrets to hand until the unix second `until`; [`Wallet::lock_if_due`] ends it. Takes about a
    /// quarter of a second, in which signing goes on.
    ///
    /// # Errors
    /// [`WalletError::NotEncrypted`], [`WalletError::WrongPassphrase`].
    pub fn unlock(&self, passphrase: &str, until: u64) -> Result<(), WalletError> {
        let store = self.write();
        let master = self.open_master(passphrase)?;
        let mut opened = Vec::new();
        {
            let inner = self.read();
            for (at, own) in own_keys(&inner) {
                if let StoredSecret::Sealed(sealed) = &own.stored {
                    let secret = open_secret(&master, sealed, &own.public_key.0).ok_or(WalletError::WrongPassphrase)?;
                    opened.push((at, secret));
                }
            }
        }
        let mut inner = self.change(&store);
        for (at, secret) in opened {
            if let Some(own) = inner.entries.get_mut(at).and_then(|entry| entry.key.as_mut()) {
                own.opened = Some(secret);
            }
        }
        inner.unlocked = Some((master, until));
        Ok(())
    }

    /// Forgets the secrets.
    ///
    /// # Errors
    /// [`WalletError::NotEncrypted`].
    pub fn lock(&self) -> Result<(), WalletError> {
        let store = self.write();
        let mut inner = self.change(&store);
        if inner.encryption.is_none() {
            return Err(WalletError::NotEncrypted);
        }
        forget(&mut inner);
        Ok(())
    }

    /// Forgets the secrets if their time is over at the unix second `now`. True if it did.
    pub fn lock_if_due(&self, now: u64) -> bool {
        let due = |inner: &Inner| matches!(&inner.unlocked, Some((_, until)) if *until <= now);
        if !due(&self.read()) {
            return false;
        }
        let store = self.write();
        let mut inner = self.change(&store);
        let over = due(&inner);
        if over {
            forget(&mut inner);
        }
        over
    }

    /// Changes the passphrase. The file is rewritten: the old passphrase opens nothing in it.
    ///
    /// # Errors
    /// [`WalletError::NotEncrypted`], [`WalletError::WrongPassphrase`], [`WalletError::Passphrase`],
    /// [`WalletError::Io`]; after [`WalletError::FormerFile`] the new passphrase holds.
    pub fn change_passphrase(&self, old: &str, new: &str) -> Result<(), WalletError> {
        let mut store = self.write();
        if new.is_empty() || new.len() > MAX_PASSPHRASE {
            return Err(WalletError::Passphrase(new.len()));
        }
        let master = self.open_master(old)?;
        let encryption = Encryption::seal(new, &master)?;
        let records = records(Some(&encryption), &self.read().entries);
        let old = store.replace(&records)?;
        self.change(&store).encryption = Some(encryption);
        store.wipe_old(old)
    }

    fn open_master(&self, passphrase: &str) -> Result<Secret, WalletError> {
        let encryption = self.read().encryption.clone();
        match encryption.ok_or(WalletError::NotEncrypted)?.open(passphrase) {
            Err(WalletError::Passphrase(_)) => Err(WalletError::WrongPassphrase),
            other => other,
        }
    }
}

fn forget(inner: &mut Inner) {
    inner.unlocked = None;
    for entry in &mut inner.entries {
        if let Some(own) = &mut entry.key {
            own.opened = None;
        }
    }
}

fn own_keys(inner: &Inner) -> impl Iterator<Item = (usize, &OwnKey)> {
    inner.entries.iter().enumerate().filter_map(|(at, entry)| entry.key.as_ref().map(|own| (at, own)))
}

/// The records that make the same wallet anew.
fn records(encryption: Option<&Encryption>, entries: &[Entry]) -> Vec<Record> {
    let mut records: Vec<Record> = encryption.cloned().map(Record::Encryption).into_iter().collect();
    for entry in entries {
        let (lock, created) = (entry.lock, entry.created);
        if let Some(own) = &entry.key {
            records.push(Record::Key(KeyRecord {
                public_key: own.public_key,
                secret: own.stored.clone(),
                created,
                spare: !entry.is_listed(),
            }));
            if entry.standing == Standing::Change {
                records.push(Record::Change { key: own.public_key.key_hash(), created });
            }
        }
        if let Some(keys) = &entry.multisig {
            let keys = keys.clone();
            records.push(Record::Multisig { keys, created });
        }
        if entry.key.is_none() && entry.multisig.is_none() {
            records.push(Record::Watched { lock, created });
        }
        if !entry.label.is_empty() {
            let label = entry.label.clone();
            records.push(Record::Label { lock, label });
        }
        if entry.start.is_some() {
            let height = entry.start;
            records.push(Record::Start { lock, height });
        }
    }
    records
}

#[cfg(test)]
mod tests;
