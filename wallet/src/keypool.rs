//! Spare keys, made ahead: what a locked wallet gives out as new addresses.

use rota_chain::key::PrivateKey;

use crate::cipher::Secret;
use crate::error::WalletError;
use crate::record::Record;
use crate::wallet::{Wallet, now};

/// Most spare keys: 1 MB of file, a second to make.
pub const MAX_KEYPOOL: u32 = 10_000;

impl Wallet {
    /// Makes spare keys until there are `size`. They are on disk when this returns.
    ///
    /// # Errors
    /// [`WalletError::KeypoolSize`], [`WalletError::Locked`], [`WalletError::Randomness`], [`WalletError::Io`].
    pub fn keypool_refill(&self, size: u32) -> Result<(), WalletError> {
        if size > MAX_KEYPOOL {
            return Err(WalletError::KeypoolSize(size));
        }
        let mut store = self.write();
        let missing = (size as usize).saturating_sub(self.keypool_size());
        let mut records = Vec::with_capacity(missing);
        {
            let inner = self.read();
            if inner.encryption.is_some() && inner.unlocked.is_none() {
                return Err(WalletError::Locked);
            }
            for _ in 0..missing {
                let key = PrivateKey::from_bytes(*Secret::random()?.bytes()).map_err(|_| WalletError::Entropy)?;
                records.push(Record::Key(inner.key_record(&key, now(), true)?));
            }
        }
        self.commit(&mut store, records)
    }

    /// Number of spare keys.
    #[must_use]
    pub fn keypool_size(&self) -> usize {
        let inner = self.read();
        inner.entries.iter().filter(|entry| entry.is_spare()).count()
    }

    /// Unix seconds at which the oldest spare key was made, none without one.
    #[must_use]
    pub fn keypool_oldest(&self) -> Option<u32> {
        let inner = self.read();
        let spare = inner.entries.iter().filter(|entry| entry.is_spare());
        spare.map(|entry| entry.created).min()
    }
}
