//! Which address this node proves to peers, and the key it proves it with.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::PoisonError;

use rota_chain::address::AddressScheme;
use rota_chain::key::PrivateKey;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::Permission;
use rota_consensus::authority;
use rota_wallet::WalletError;

use super::NetworkParts;

/// What is known of the node's identity.
pub enum Identity {
    /// The key of the address.
    Key(Box<PrivateKey>, KeyHash),
    /// The wallet is locked: the key cannot be read.
    Locked,
    /// The wallet holds no key, or it cannot be read: a sentence.
    Absent(String),
}

/// The address to prove: the one chosen by `handshakelocal`, else the first own one that may connect, else the first.
pub(super) fn wanted(parts: &NetworkParts) -> Option<KeyHash> {
    let chosen = {
        let settings = parts.settings.read().unwrap_or_else(PoisonError::into_inner);
        settings.handshakelocal.clone()
    };
    let scheme = parts.parameters.address_scheme();
    if let Some(hash) = chosen.and_then(|text| scheme.decode(&text).ok()).and_then(|lock| lock.key_hash())
        && parts.wallet.is_mine(&Lock::Key(hash))
    {
        return Some(hash);
    }
    let keys = parts.wallet.key_hashes();
    keys.iter().find(|hash| may_connect(parts, hash)).or(keys.first()).copied()
}

/// Whether an address may connect at the next height.
pub(super) fn may_connect(parts: &NetworkParts, address: &KeyHash) -> bool {
    let (snapshot, height) = {
        let view = parts.view.read();
        (view.snapshot.clone(), view.tip.height.next())
    };
    authority::may(&snapshot, &parts.rules, Permission::Connect, &Lock::Key(*address), height).unwrap_or(false)
}

/// The node's identity now.
pub(super) fn choose(parts: &NetworkParts) -> Identity {
    if let Some(path) = &parts.options.p2p_key
        && path.exists()
    {
        return match read_key(path, &parts.parameters.address_scheme()) {
            Ok(key) => with_address(key),
            Err(reason) => Identity::Absent(format!("-p2pkey={}: {reason}", path.display())),
        };
    }
    let Some(address) = wanted(parts) else { return Identity::Absent("the wallet has no address".to_owned()) };
    match parts.wallet.private_key(&Lock::Key(address)) {
        Ok(key) => {
            if let Some(path) = &parts.options.p2p_key
                && let Err(error) = write_key(path, &key, &parts.parameters.address_scheme())
            {
                tracing::warn!("-p2pkey={} cannot be written: {error}", path.display());
            }
            with_address(key)
        }
        Err(WalletError::Locked) => Identity::Locked,
        Err(error) => Identity::Absent(error.to_string()),
    }
}

/// Rights that make an identity worth more than its connection, for a warning.
pub(super) fn valuable_rights(parts: &NetworkParts, address: &KeyHash) -> Vec<String> {
    let (snapshot, height) = {
        let view = parts.view.read();
        (view.snapshot.clone(), view.tip.height.next())
    };
    let held = |permission: &Permission| {
        authority::holds(&snapshot, None, *permission, &Lock::Key(*address), height).unwrap_or(false)
    };
    let valuable = [Permission::Admin, Permission::Activate, Permission::Mine];
    valuable.into_iter().filter(held).map(|permission| permission.to_string()).collect()
}

fn with_address(key: PrivateKey) -> Identity {
    let address = key.public_key().key_hash();
    Identity::Key(Box::new(key), address)
}

fn read_key(path: &Path, scheme: &AddressScheme) -> Result<PrivateKey, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    scheme.decode_private_key(text.trim()).map_err(|error| error.to_string())
}

fn write_key(path: &Path, key: &PrivateKey, scheme: &AddressScheme) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", scheme.encode_private_key(key))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_file_is_its_owners_alone_and_gives_the_key_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let scheme = AddressScheme {
            pubkeyhash_version: vec![0, 1],
            scripthash_version: vec![2, 3],
            private_key_version: vec![128, 4],
            checksum: [1, 2, 3, 4],
        };
        let key = PrivateKey::from_bytes([5; 32]).unwrap();
        write_key(&path, &key, &scheme).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_key(&path, &scheme).unwrap().to_bytes(), key.to_bytes());
        assert!(write_key(&path, &key, &scheme).is_err(), "a key file is never overwritten");
    }
}
