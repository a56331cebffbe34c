//! Addresses of the wallet: own, watched, of several keys; their labels and listing.

use rota_chain::key::PublicKey;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::witness::MultisigKeys;

use crate::error::WalletError;
use crate::record::Record;
use crate::wallet::{Entry, Inner, Wallet, check_label, now};

/// What the wallet knows of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressInfo {
    /// The address.
    pub lock: Lock,
    /// All of its keys are here.
    pub is_mine: bool,
    /// Known, and not all of its keys are here.
    pub is_watch_only: bool,
    /// Its keys, for an address of several.
    pub multisig: Option<MultisigKeys>,
    /// Its label, may be empty.
    pub label: String,
    /// Unix seconds of its creation or import.
    pub created: u32,
    /// The public key, if the private one is here.
    pub public_key: Option<PublicKey>,
    /// Block from which on its history is known, none for all of it.
    pub start: Option<u32>,
}

impl Inner {
    /// Whether all keys of an address are here.
    pub(crate) fn is_mine(&self, lock: &Lock) -> bool {
        self.entry(lock).is_some_and(|entry| self.owns(entry))
    }

    fn owns(&self, entry: &Entry) -> bool {
        match &entry.multisig {
            Some(keys) => self.keys_here(keys) == keys.keys.len(),
            None => entry.key.is_some(),
        }
    }

    /// How many of several keys are here.
    fn keys_here(&self, keys: &MultisigKeys) -> usize {
        let here = |key: &&PublicKey| self.own_key(&Lock::Key(key.key_hash())).is_some();
        keys.keys.iter().filter(here).count()
    }

    fn info(&self, entry: &Entry) -> AddressInfo {
        let is_mine = self.owns(entry);
        AddressInfo {
            lock: entry.lock,
            is_mine,
            is_watch_only: !is_mine,
            multisig: entry.multisig.clone(),
            label: entry.label.clone(),
            created: entry.created,
            public_key: entry.key.as_ref().map(|own| own.public_key),
            start: entry.start,
        }
    }
}

impl Wallet {
    /// All addresses, in order of creation or import. Spare keys and those for change are not among them.
    #[must_use]
    pub fn locks(&self) -> Vec<AddressInfo> {
        let inner = self.read();
        let listed = inner.entries.iter().filter(|entry| entry.is_listed());
        listed.map(|entry| inner.info(entry)).collect()
    }

    /// The listed addresses of one key that is here, in order of creation or import: what may mine and connect.
    #[must_use]
    pub fn key_hashes(&self) -> Vec<KeyHash> {
        let inner = self.read();
        let own = inner.entries.iter().filter(|entry| entry.is_listed() && entry.key.is_some());
        own.filter_map(|entry| entry.lock.key_hash()).collect()
    }

    /// What is known of an address, none if nothing.
    #[must_use]
    pub fn info(&self, lock: &Lock) -> Option<AddressInfo> {
        let inner = self.read();
        inner.entry(lock).filter(|entry| !entry.is_spare()).map(|entry| inner.info(entry))
    }

    /// Whether an address is known here: own (for change too), watched or of several keys. Spare ones are not.
    #[must_use]
    pub fn contains(&self, lock: &Lock) -> bool {
        self.read().entry(lock).is_some_and(|entry| !entry.is_spare())
    }

    /// Whether all keys of an address are here (spare keys count: a restored backup may hold one that was given out).
    #[must_use]
    pub fn is_mine(&self, lock: &Lock) -> bool {
        self.read().is_mine(lock)
    }

    /// Whether enough keys of an address are here to sign for it.
    #[must_use]
    pub fn can_sign(&self, lock: &Lock) -> bool {
        let inner = self.read();
        let Some(entry) = inner.entry(lock) else {
            return false;
        };
        match &entry.multisig {
            Some(keys) => inner.keys_here(keys) >= usize::from(keys.required),
            None => entry.key.is_some(),
        }
    }

    /// The first address with a key of ours, none in a new wallet.
    #[must_use]
    pub fn default_lock(&self) -> Option<Lock> {
        let inner = self.read();
        let own = |entry: &&Entry| entry.is_listed() && entry.key.is_some();
        inner.entries.iter().find(own).map(|entry| entry.lock)
    }

    /// The keys of an address of several, if known here.
    #[must_use]
    pub fn multisig_keys(&self, lock: &Lock) -> Option<MultisigKeys> {
        self.read().entry(lock).and_then(|entry| entry.multisig.clone())
    }

    /// Watches an address. False if it was known already (its label is set all the same).
    ///
    /// # Errors
    /// [`WalletError::Label`], [`WalletError::Io`].
    pub fn import_address(&self, lock: Lock, label: &str) -> Result<bool, WalletError> {
        check_label(label)?;
        let mut store = self.write();
        let new = !self.contains(&lock);
        let created = now();
        let mut records: Vec<Record> = new.then_some(Record::Watched { lock, created }).into_iter().collect();
        records.extend(self.label_record(lock, label));
        self.commit(&mut store, records)?;
        Ok(new)
    }

    /// Adds an address of several keys and returns it.
    ///
    /// # Errors
    /// [`WalletError::Multisig`], [`WalletError::Label`], [`WalletError::Io`].
    pub fn add_multisig(&self, keys: MultisigKeys, label: &str) -> Result<Lock, WalletError> {
        check_label(label)?;
        if !keys.is_sound() {
            return Err(WalletError::Multisig { required: keys.required, keys: keys.keys.len() });
        }
        let mut store = self.write();
        let lock = keys.lock();
        let known = self.multisig_keys(&lock).is_some();
        let created = now();
        let mut records: Vec<Record> = (!known).then_some(Record::Multisig { keys, created }).into_iter().collect();
        records.extend(self.label_record(lock, label));
        self.commit(&mut store, records)?;
        Ok(lock)
    }

    /// Sets the label of an address that is listed here.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Label`], [`WalletError::Io`].
    pub fn set_label(&self, lock: &Lock, label: &str) -> Result<(), WalletError> {
        check_label(label)?;
        let mut store = self.write();
        if !self.contains(lock) {
            return Err(WalletError::NotFound);
        }
        let records = self.label_record(*lock, label).into_iter().collect();
        self.commit(&mut store, records)
    }

    /// Notes from which block on the history of an address is known; none for all of it.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Io`].
    pub fn set_start(&self, lock: &Lock, height: Option<u32>) -> Result<(), WalletError> {
        let mut store = self.write();
        let info = self.info(lock).ok_or(WalletError::NotFound)?;
        if info.start == height {
            return Ok(());
        }
        let lock = *lock;
        self.commit(&mut store, vec![Record::Start { lock, height }])
    }
}
