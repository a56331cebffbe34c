//! Encryption at rest: what needs the passphrase, and what is left on disk.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::path::Path;

use super::*;
use crate::wallet::tests::{key, lock_of, reopen, wallet};

/// Whether any file below a directory holds these bytes.
fn on_disk(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return on_disk(&path, bytes);
        }
        let content = std::fs::read(path).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn encryption_leaves_no_secret_on_disk() {
    let (directory, wallet) = wallet();
    wallet.new_key([0x5a; 32]).unwrap();
    wallet.import_private_key(key(0x6b), "label").unwrap();
    wallet.keypool_refill(2).unwrap();
    // A torn end that was set aside may hold a secret too.
    let aside = directory.path().join("wallet").join("keys.dat.torn");
    std::fs::write(aside, [0x5a; 40]).unwrap();
    let spare: Vec<[u8; 32]> = {
        let inner = wallet.read();
        let spare = inner.entries.iter().filter(|entry| entry.is_spare());
        spare.map(|e| *e.key.as_ref().unwrap().secret().unwrap().bytes()).collect()
    };
    assert_eq!(spare.len(), 2);
    let secrets: Vec<&[u8]> = [&[0x5a; 32][..], &[0x6b; 32]].into_iter().chain(spare.iter().map(|s| &s[..])).collect();
    let found = |secret: &&[u8]| on_disk(directory.path(), secret);
    assert!(secrets.iter().all(found), "readable before");
    // The old file by another name: its bytes are overwritten, not only unlinked.
    let path = directory.path().join("wallet").join("keys.dat");
    std::fs::hard_link(path, directory.path().join("old")).unwrap();
    wallet.encrypt("correct horse").unwrap();
    assert!(!secrets.iter().any(found), "gone after");
    wallet.unlock("correct horse", 100).unwrap();
    wallet.new_key([0x7c; 32]).unwrap();
    wallet.change_passphrase("correct horse", "staple").unwrap();
    assert!(!secrets.iter().any(found));
    assert!(!on_disk(directory.path(), &[0x7c; 32]));
}

#[test]
fn a_locked_wallet_shows_addresses_and_signs_nothing() {
    let (directory, wallet) = wallet();
    let lock = wallet.new_key([1; 32]).unwrap();
    assert_eq!(wallet.state(), EncryptionState::NotEncrypted);
    wallet.encrypt("pass").unwrap();
    for wallet in [&wallet, &reopen(&directory)] {
        assert_eq!(wallet.state(), EncryptionState::Locked);
        assert!(wallet.is_mine(&lock) && wallet.can_sign(&lock));
        assert_eq!(wallet.public_key(&lock), Some(key(1).public_key()));
        let error = wallet.private_key(&lock).unwrap_err();
        assert_eq!((error.code(), error.rpc_code()), ("wallet-locked", -13));
        assert!(matches!(wallet.sign_message(&lock, b"x"), Err(WalletError::Locked)));
        let import = wallet.import_private_key(key(2), "");
        assert!(matches!(import, Err(WalletError::Locked)));
        let dump = wallet.dump(&directory.path().join("dump"));
        assert!(matches!(dump, Err(WalletError::Locked)));
        assert_eq!(wallet.new_key([3; 32]).unwrap_err().rpc_code(), -12);
        wallet.import_address(lock_of(9), "still possible").unwrap();
    }
}

#[test]
fn the_right_passphrase_unlocks_until_its_time_is_over() {
    let (directory, wallet) = wallet();
    let lock = wallet.new_key([1; 32]).unwrap();
    wallet.encrypt("pass").unwrap();
    for wrong in ["Pass", "pass ", "", "x"] {
        let error = wallet.unlock(wrong, 100).unwrap_err();
        assert_eq!((error.code(), error.rpc_code()), ("wallet-passphrase-wrong", -14));
        assert_eq!(wallet.state(), EncryptionState::Locked);
    }
    wallet.unlock("pass", 100).unwrap();
    assert_eq!(wallet.state(), EncryptionState::Unlocked { until: 100 });
    assert_eq!(wallet.private_key(&lock).unwrap(), key(1));
    let second = wallet.new_key([2; 32]).unwrap();
    assert_eq!(wallet.private_key(&second).unwrap(), key(2));
    assert!(!wallet.lock_if_due(99));
    assert!(wallet.lock_if_due(100));
    assert!(matches!(wallet.private_key(&second), Err(WalletError::Locked)));
    let again = reopen(&directory);
    again.unlock("pass", 200).unwrap();
    assert_eq!(again.private_key(&second).unwrap(), key(2));
    again.lock().unwrap();
    assert!(matches!(again.private_key(&lock), Err(WalletError::Locked)));
}

#[test]
fn a_changed_passphrase_opens_and_the_old_one_does_not() {
    let (directory, wallet) = wallet();
    let lock = wallet.new_key([1; 32]).unwrap();
    wallet.set_label(&lock, "kept").unwrap();
    wallet.encrypt("old").unwrap();
    let wrong = wallet.change_passphrase("older", "new");
    assert!(matches!(wrong, Err(WalletError::WrongPassphrase)));
    wallet.change_passphrase("old", "new").unwrap();
    for wallet in [&wallet, &reopen(&directory)] {
        assert!(matches!(wallet.unlock("old", 9), Err(WalletError::WrongPassphrase)));
        wallet.unlock("new", 9).unwrap();
        assert_eq!(wallet.private_key(&lock).unwrap(), key(1));
        assert_eq!(wallet.info(&lock).unwrap().label, "kept");
    }
}

#[test]
fn a_folder_that_cannot_be_synced_after_the_file_was_replaced_costs_no_key() {
    let (directory, wallet) = wallet();
    wallet.new_key([1; 32]).unwrap();
    let (path, former) = (directory.path().join("wallet").join("keys.dat"), directory.path().join("former"));
    let readable = std::fs::read(&path).unwrap();
    std::fs::hard_link(&path, &former).unwrap();
    let folder = wallet.write().exchange_folder(File::open("/dev/null").unwrap());
    let told = wallet.encrypt("old").unwrap_err();
    assert_eq!((told.code(), told.rpc_code()), ("wallet-former-file", -4));
    assert!(told.to_string().contains("the new passphrase holds"), "{told}");
    assert_eq!(std::fs::read(&former).unwrap(), readable, "a loss of power may bring it back");
    assert_eq!(wallet.state(), EncryptionState::Locked);
    let told = wallet.change_passphrase("old", "new").unwrap_err();
    assert_eq!(told.code(), "wallet-former-file");
    wallet.unlock("new", 100).unwrap();
    // A loss of power would take it away, so it is not taken.
    assert!(matches!(wallet.new_key([2; 32]), Err(WalletError::Io { .. })));
    assert!(!wallet.contains(&lock_of(2)));
    wallet.write().exchange_folder(folder);
    wallet.new_key([3; 32]).unwrap();
    let again = reopen(&directory);
    assert!(matches!(again.unlock("old", 9), Err(WalletError::WrongPassphrase)));
    again.unlock("new", 9).unwrap();
    for number in [1, 3] {
        assert_eq!(again.private_key(&lock_of(number)).unwrap(), key(number));
    }
}

#[test]
fn calls_in_the_wrong_state_say_so() {
    let (_directory, wallet) = wallet();
    for error in [
        wallet.unlock("x", 1).unwrap_err(),
        wallet.lock().unwrap_err(),
        wallet.change_passphrase("x", "y").unwrap_err(),
    ] {
        assert_eq!((error.code(), error.rpc_code()), ("wallet-not-encrypted", -15));
    }
    assert!(matches!(wallet.encrypt(""), Err(WalletError::Passphrase(0))));
    let long = "x".repeat(1_025);
    assert!(matches!(wallet.encrypt(&long), Err(WalletError::Passphrase(1_025))));
    assert_eq!(wallet.state(), EncryptionState::NotEncrypted);
    wallet.encrypt("x").unwrap();
    assert_eq!(wallet.encrypt("x").unwrap_err().rpc_code(), -15);
    assert!(matches!(wallet.change_passphrase("x", ""), Err(WalletError::Passphrase(0))));
}

#[test]
fn a_locked_wallet_gives_out_spare_keys_and_then_none() {
    let (directory, wallet) = wallet();
    let first = wallet.new_key([1; 32]).unwrap();
    wallet.keypool_refill(2).unwrap();
    assert_eq!((wallet.keypool_size(), wallet.locks().len()), (2, 1));
    assert!(wallet.keypool_oldest().is_some());
    wallet.encrypt("pass").unwrap();
    let a = wallet.new_key([2; 32]).unwrap();
    let b = reopen(&directory).new_key([2; 32]).unwrap();
    assert_ne!(a, b);
    assert_ne!(a, lock_of(2), "the entropy is not used: it could not be kept");
    let again = reopen(&directory);
    let locks: Vec<_> = again.locks().iter().map(|info| info.lock).collect();
    assert_eq!(locks, [first, a, b]);
    assert!(matches!(again.new_key([3; 32]), Err(WalletError::KeypoolRanOut)));
    assert!(matches!(again.keypool_refill(5), Err(WalletError::Locked)));
    again.unlock("pass", 9).unwrap();
    again.keypool_refill(5).unwrap();
    assert_eq!(again.keypool_size(), 5);
    again.keypool_refill(3).unwrap();
    assert_eq!(again.keypool_size(), 5);
    assert_eq!(again.keypool_refill(10_001).unwrap_err().rpc_code(), -8);
    assert!(again.private_key(&b).is_ok());
}

#[test]
fn a_spare_key_that_is_imported_is_given_out() {
    let (_directory, wallet) = wallet();
    wallet.keypool_refill(1).unwrap();
    let lock = wallet.read().entries[0].lock;
    let key = wallet.private_key(&lock).unwrap();
    assert!(!wallet.contains(&lock));
    assert!(wallet.import_private_key(key, "given").unwrap());
    assert!(wallet.contains(&lock));
    assert_eq!(wallet.keypool_size(), 0);
    assert_eq!(wallet.info(&lock).unwrap().label, "given");
}
