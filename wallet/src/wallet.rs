//! The wallet: what it holds in memory, and keys. The file is written before memory changes; readers never wait for
//! the disk.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use rota_chain::address::AddressScheme;
use rota_chain::block::{BlockHeader, SignedHeader};
use rota_chain::hash::BlockHash;
use rota_chain::key::{PrivateKey, PublicKey};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::message;
use rota_chain::witness::MultisigKeys;

use crate::cipher::{Encryption, Secret, open_secret, seal_secret};
use crate::error::WalletError;
use crate::record::{KeyRecord, MAX_LABEL, Record, StoredSecret};
use crate::store::Store;

/// Keys and addresses of one node. Shared between threads; all methods take `&self`.
pub struct Wallet {
    pub(crate) scheme: AddressScheme,
    /// Held by whoever writes; taken before `inner`.
    store: Mutex<Store>,
    inner: RwLock<Inner>,
}

/// What is known of one address.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub lock: Lock,
    pub key: Option<OwnKey>,
    pub multisig: Option<MultisigKeys>,
    pub label: String,
    pub created: u32,
    pub start: Option<u32>,
    pub standing: Standing,
}

/// How far an address is known outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A key not given out yet.
    Spare,
    /// Given out for change: the wallet's own, and in no list of addresses.
    Change,
    /// Given out or imported.
    Listed,
}

/// A private key in memory.
#[derive(Clone, Debug)]
pub(crate) struct OwnKey {
    pub public_key: PublicKey,
    pub stored: StoredSecret,
    /// The secret of a sealed key while the wallet is unlocked.
    pub opened: Option<Secret>,
}

impl OwnKey {
    /// The secret, none while it is sealed and the wallet is locked.
    pub fn secret(&self) -> Option<&Secret> {
        match &self.stored {
            StoredSecret::Plain(secret) => Some(secret),
            StoredSecret::Sealed(_) => self.opened.as_ref(),
        }
    }

    /// The private key.
    pub fn private_key(&self) -> Result<PrivateKey, WalletError> {
        let secret = self.secret().ok_or(WalletError::Locked)?;
        PrivateKey::from_bytes(*secret.bytes()).map_err(|_| WalletError::Entropy)
    }
}

/// What the wallet knows, in memory.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub entries: Vec<Entry>,
    pub index: HashMap<Lock, usize>,
    pub encryption: Option<Encryption>,
    /// The master key and the unix second until which it is held.
    pub unlocked: Option<(Secret, u64)>,
}

impl Inner {
    pub fn entry(&self, lock: &Lock) -> Option<&Entry> {
        self.index.get(lock).and_then(|at| self.entries.get(*at))
    }

    pub fn own_key(&self, lock: &Lock) -> Option<&OwnKey> {
        self.entry(lock).and_then(|entry| entry.key.as_ref())
    }

    /// Takes in a record: at open all of them in order, later each new one.
    pub fn learn(&mut self, record: Record) {
        match record {
            Record::Key(key) => self.learn_key(key),
            Record::Taken { key, created } => {
                if let Some(entry) = self.entry_mut(&Lock::Key(key)) {
                    entry.standing = Standing::Listed;
                    entry.created = created;
                    let lock = entry.lock;
                    self.move_last(&lock);
                }
            }
            Record::Change { key, created } => {
                if let Some(entry) = self.entry_mut(&Lock::Key(key)).filter(|entry| entry.is_spare()) {
                    entry.standing = Standing::Change;
                    entry.created = created;
                }
            }
            Record::Watched { lock, created } => {
                self.ensure(lock, created).standing = Standing::Listed;
            }
            Record::Multisig { keys, created } => {
                let entry = self.ensure(keys.lock(), created);
                entry.standing = Standing::Listed;
                entry.multisig = Some(keys);
            }
            Record::Label { lock, label } => {
                if let Some(entry) = self.entry_mut(&lock) {
                    entry.label = label;
                }
            }
            Record::Start { lock, height } => {
                if let Some(entry) = self.entry_mut(&lock) {
                    entry.start = height;
                }
            }
            Record::Encryption(encryption) => self.encryption = Some(encryption),
        }
    }

    fn learn_key(&mut self, record: KeyRecord) {
        let lock = Lock::Key(record.public_key.key_hash());
        let opened = match (&record.secret, &self.unlocked) {
            (StoredSecret::Sealed(sealed), Some((master, _))) => open_secret(master, sealed, &record.public_key.0),
            _ => None,
        };
        let entry = self.ensure(lock, record.created);
        if !record.spare {
            entry.standing = Standing::Listed;
        }
        entry.key = Some(OwnKey { public_key: record.public_key, stored: record.secret, opened });
    }

    fn entry_mut(&mut self, lock: &Lock) -> Option<&mut Entry> {
        let at = self.index.get(lock)?;
        self.entries.get_mut(*at)
    }

    fn ensure(&mut self, lock: Lock, created: u32) -> &mut Entry {
        let at = *self.index.entry(lock).or_insert_with(|| {
            self.entries.push(Entry {
                lock,
                key: None,
                multisig: None,
                label: String::new(),
                created,
                start: None,
                standing: Standing::Spare,
            });
            self.entries.len().saturating_sub(1)
        });
        self.entries.get_mut(at).expect("the index names places of the list alone")
    }

    /// Puts an address given out just now behind all others.
    fn move_last(&mut self, lock: &Lock) {
        let Some(at) = self.index.remove(lock) else {
            return;
        };
        let entry = self.entries.remove(at);
        self.entries.push(entry);
        for (place, entry) in self.entries.iter().enumerate().skip(at) {
            self.index.insert(entry.lock, place);
        }
    }

    /// A new key's record: sealed if the wallet is encrypted.
    pub fn key_record(&self, key: &PrivateKey, created: u32, spare: bool) -> Result<KeyRecord, WalletError> {
        let public_key = key.public_key();
        let secret = Secret::new(key.to_bytes());
        let secret = match (&self.encryption, &self.unlocked) {
            (None, _) => StoredSecret::Plain(secret),
            (Some(_), Some((master, _))) => StoredSecret::Sealed(seal_secret(master, &secret, &public_key.0)?),
            (Some(_), None) => return Err(WalletError::Locked),
        };
        Ok(KeyRecord { public_key, secret, created, spare })
    }
}

impl Wallet {
    /// Opens the wallet of a directory, or makes one without keys. An encrypted wallet is locked at first.
    ///
    /// # Errors
    /// [`WalletError::Damaged`], [`WalletError::Format`], [`WalletError::Io`].
    pub fn open(dir: &Path, scheme: AddressScheme) -> Result<Wallet, WalletError> {
        let (store, records) = Store::open(dir)?;
        let mut inner = Inner::default();
        for record in records {
            inner.learn(record);
        }
        if let Some(encryption) = &inner.encryption
            && !encryption.is_sound()
        {
            return Err(WalletError::Damaged {
                path: dir.join(crate::store::FILE),
                offset: 0,
                reason: "the costs of the passphrase are beyond what is computed".to_owned(),
            });
        }
        Ok(Wallet { scheme, store: Mutex::new(store), inner: RwLock::new(inner) })
    }

    /// Makes a key of `entropy` (32 bytes of good randomness) and returns its address. It is on disk then. While
    /// locked, a spare key is given out instead.
    ///
    /// # Errors
    /// [`WalletError::KeypoolRanOut`] if locked without spare keys, [`WalletError::Entropy`], [`WalletError::Io`].
    pub fn new_key(&self, entropy: [u8; 32]) -> Result<Lock, WalletError> {
        let mut store = self.write();
        let record = {
            let inner = self.read();
            if inner.encryption.is_some() && inner.unlocked.is_none() {
                let key = inner.first_spare().ok_or(WalletError::KeypoolRanOut)?;
                let created = now();
                drop(inner);
                self.commit(&mut store, vec![Record::Taken { key, created }])?;
                return Ok(Lock::Key(key));
            }
            let key = PrivateKey::from_bytes(entropy).map_err(|_| WalletError::Entropy)?;
            inner.key_record(&key, now(), false)?
        };
        let lock = Lock::Key(record.public_key.key_hash());
        self.commit(&mut store, vec![Record::Key(record)])?;
        Ok(lock)
    }

    /// Makes a key for change of `entropy`, as [`Wallet::new_key`] does: its address is ours and stands in no list.
    ///
    /// # Errors
    /// [`WalletError::KeypoolRanOut`] if locked without spare keys, [`WalletError::Entropy`], [`WalletError::Io`].
    pub fn new_change_key(&self, entropy: [u8; 32]) -> Result<Lock, WalletError> {
        let mut store = self.write();
        let created = now();
        let (mut records, key) = {
            let inner = self.read();
            if inner.encryption.is_some() && inner.unlocked.is_none() {
                (Vec::new(), inner.first_spare().ok_or(WalletError::KeypoolRanOut)?)
            } else {
                let key = PrivateKey::from_bytes(entropy).map_err(|_| WalletError::Entropy)?;
                let record = inner.key_record(&key, created, true)?;
                let hash = record.public_key.key_hash();
                (vec![Record::Key(record)], hash)
            }
        };
        records.push(Record::Change { key, created });
        self.commit(&mut store, records)?;
        Ok(Lock::Key(key))
    }

    /// Takes over a private key; it is on disk then. False if it was here already (its label is set all the same).
    ///
    /// # Errors
    /// [`WalletError::Locked`], [`WalletError::Label`], [`WalletError::Io`].
    pub fn import_private_key(&self, key: PrivateKey, label: &str) -> Result<bool, WalletError> {
        check_label(label)?;
        let mut store = self.write();
        let lock = Lock::Key(key.public_key().key_hash());
        let created = now();
        let (mut records, new) = {
            let inner = self.read();
            match inner.entry(&lock) {
                Some(Entry { key: Some(_), standing: Standing::Listed, .. }) => (Vec::new(), false),
                Some(Entry { key: Some(own), .. }) => {
                    let key = own.public_key.key_hash();
                    (vec![Record::Taken { key, created }], true)
                }
                _ => {
                    let record = inner.key_record(&key, created, false)?;
                    (vec![Record::Key(record)], true)
                }
            }
        };
        records.extend(self.label_record(lock, label));
        self.commit(&mut store, records)?;
        Ok(new)
    }

    /// The private key of an address.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Locked`], [`WalletError::NotOneKey`].
    pub fn private_key(&self, lock: &Lock) -> Result<PrivateKey, WalletError> {
        if lock.key_hash().is_none() {
            return Err(WalletError::NotOneKey);
        }
        let inner = self.read();
        inner.own_key(lock).ok_or(WalletError::NotFound)?.private_key()
    }

    /// The public key of an address of ours.
    #[must_use]
    pub fn public_key(&self, lock: &Lock) -> Option<PublicKey> {
        self.read().own_key(lock).map(|own| own.public_key)
    }

    /// Signs a block's header as its miner; `genesis` is the chain's genesis hash.
    ///
    /// # Errors
    /// [`WalletError::NotMiner`] if the header names another, [`WalletError::NotFound`], [`WalletError::Locked`].
    pub fn sign_block(
        &self,
        header: BlockHeader,
        genesis: &BlockHash,
        lock: &Lock,
    ) -> Result<SignedHeader, WalletError> {
        if lock.key_hash() != Some(header.miner) {
            return Err(WalletError::NotMiner);
        }
        Ok(header.sign(genesis, &self.private_key(lock)?))
    }

    /// Signs a message, in the scheme of docs/protocol/message.md.
    ///
    /// # Errors
    /// [`WalletError::NotFound`], [`WalletError::Locked`], [`WalletError::NotOneKey`].
    pub fn sign_message(&self, lock: &Lock, text: &[u8]) -> Result<String, WalletError> {
        Ok(message::sign_message(&self.private_key(lock)?, text))
    }

    /// Copies the wallet file to `path`, or into it if that is a directory. An encrypted wallet stays encrypted.
    ///
    /// # Errors
    /// [`WalletError::SameFile`], [`WalletError::Foreign`], [`WalletError::Open`], [`WalletError::Io`].
    pub fn backup(&self, path: &Path) -> Result<(), WalletError> {
        self.write().copy_to(path, |key| self.owns(key))
    }

    /// Whether the private key is here.
    pub(crate) fn owns(&self, key: &PublicKey) -> bool {
        self.read().own_key(&Lock::Key(key.key_hash())).is_some()
    }

    /// Locks out other writers.
    pub(crate) fn write(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads memory.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes memory; only with the store held.
    pub(crate) fn change(&self, _writer: &Store) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes records to disk, then takes them into memory.
    pub(crate) fn commit(&self, store: &mut Store, records: Vec<Record>) -> Result<(), WalletError> {
        if records.is_empty() {
            return Ok(());
        }
        store.append(&records)?;
        let mut inner = self.change(store);
        for record in records {
            inner.learn(record);
        }
        Ok(())
    }

    /// A label's record, if it differs from the one known.
    pub(crate) fn label_record(&self, lock: Lock, label: &str) -> Option<Record> {
        let same = self.read().entry(&lock).map_or(label.is_empty(), |entry| entry.label == label);
        (!same).then(|| Record::Label { lock, label: label.to_owned() })
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("addresses", &self.read().entries.len()).finish_non_exhaustive()
    }
}

/// Refuses labels that cannot be stored.
pub(crate) fn check_label(label: &str) -> Result<(), WalletError> {
    if label.len() > MAX_LABEL as usize {
        return Err(WalletError::Label(label.len()));
    }
    Ok(())
}

/// Unix seconds by the system's clock: shown as the age of keys, no more.
pub(crate) fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
}

impl Inner {
    /// The oldest spare key.
    fn first_spare(&self) -> Option<KeyHash> {
        self.entries.iter().find(|entry| entry.is_spare()).and_then(|entry| entry.lock.key_hash())
    }
}

impl Entry {
    /// Whether this is a key not given out yet.
    pub fn is_spare(&self) -> bool {
        self.standing == Standing::Spare
    }

    /// Whether this stands in lists of addresses.
    pub fn is_listed(&self) -> bool {
        self.standing == Standing::Listed
    }
}

#[cfg(test)]
pub(crate) mod tests;
