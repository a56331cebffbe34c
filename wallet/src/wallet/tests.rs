//! Keys and addresses: durability, listing, damage, dumps and backups.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use proptest::prelude::*;
use rota_chain::amount::Timestamp;
use rota_chain::hash::{MerkleRoot, StateHash};
use tempfile::TempDir;

use super::*;
use crate::store::FILE;

/// The address scheme of tests.
pub(crate) fn scheme() -> AddressScheme {
    AddressScheme {
        pubkeyhash_version: vec![0x00, 0x11, 0x22, 0x33],
        scripthash_version: vec![0x05, 0x11, 0x22, 0x33],
        private_key_version: vec![0x80, 0x11, 0x22, 0x33],
        checksum: [0xa1, 0xb2, 0xc3, 0xd4],
    }
}

/// A wallet in a directory of its own.
pub(crate) fn wallet() -> (TempDir, Wallet) {
    let directory = TempDir::new().unwrap();
    let wallet = Wallet::open(&directory.path().join("wallet"), scheme()).unwrap();
    (directory, wallet)
}

pub(crate) fn reopen(directory: &TempDir) -> Wallet {
    Wallet::open(&directory.path().join("wallet"), scheme()).unwrap()
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_bytes([seed; 32]).unwrap()
}

pub(crate) fn lock_of(seed: u8) -> Lock {
    Lock::Key(key(seed).public_key().key_hash())
}

pub(crate) fn keys(required: u8, seeds: &[u8]) -> MultisigKeys {
    let keys = seeds.iter().map(|seed| key(*seed).public_key()).collect();
    MultisigKeys { required, keys }
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("wallet").join(FILE)
}

#[test]
fn a_new_key_is_there_after_reopening() {
    let (directory, wallet) = wallet();
    assert_eq!(wallet.default_lock(), None);
    let first = wallet.new_key([1; 32]).unwrap();
    let second = wallet.new_key([2; 32]).unwrap();
    // Not dropped: what returned is on disk already, whatever becomes of the process.
    let again = reopen(&directory);
    assert_eq!(again.default_lock(), Some(first));
    assert_eq!(again.private_key(&second).unwrap(), key(2));
    assert_eq!(again.public_key(&second), Some(key(2).public_key()));
    let locks: Vec<Lock> = again.locks().iter().map(|info| info.lock).collect();
    assert_eq!(locks, [first, second]);
    assert_eq!(again.locks(), wallet.locks());
}

#[test]
fn a_wallet_is_shared_between_threads_and_loses_no_key() {
    let (directory, wallet) = wallet();
    std::thread::scope(|scope| {
        for seed in 1..=8 {
            let wallet = &wallet;
            scope.spawn(move || {
                let lock = wallet.new_key([seed; 32]).unwrap();
                assert!(wallet.can_sign(&lock));
                wallet.sign_message(&lock, b"at once").unwrap();
            });
        }
    });
    let again = reopen(&directory);
    assert_eq!(again.locks(), wallet.locks());
    assert!((1..=8).all(|seed| again.is_mine(&lock_of(seed))));
}

#[test]
fn zero_entropy_is_refused_and_nothing_is_written() {
    let (directory, wallet) = wallet();
    assert!(matches!(wallet.new_key([0; 32]), Err(WalletError::Entropy)));
    assert!(reopen(&directory).locks().is_empty());
}

#[test]
fn the_file_is_closed_to_others_even_if_it_was_opened() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, wallet) = wallet();
    wallet.new_key([1; 32]).unwrap();
    assert_eq!(file(&directory).metadata().unwrap().mode() & 0o777, 0o600);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(file(&directory), open).unwrap();
    reopen(&directory);
    assert_eq!(file(&directory).metadata().unwrap().mode() & 0o777, 0o600);
}

#[test]
fn every_torn_end_leaves_the_keys_before_it() {
    let (directory, wallet) = wallet();
    wallet.new_key([1; 32]).unwrap();
    let whole = std::fs::read(file(&directory)).unwrap();
    wallet.new_key([2; 32]).unwrap();
    let longer = std::fs::read(file(&directory)).unwrap();
    for cut in whole.len() + 1..longer.len() {
        std::fs::write(file(&directory), &longer[..cut]).unwrap();
        let torn = reopen(&directory);
        assert_eq!(torn.locks().len(), 1, "cut at {cut}");
        torn.new_key([3; 32]).unwrap();
        assert_eq!(reopen(&directory).locks().len(), 2, "cut at {cut}");
        let aside = directory.path().join("wallet").join("keys.dat.torn");
        assert_eq!(std::fs::read(aside).unwrap(), &longer[whole.len()..cut]);
    }
}

#[test]
fn damage_before_the_end_is_an_error_that_names_the_place() {
    let (directory, wallet) = wallet();
    wallet.new_key([1; 32]).unwrap();
    let end = std::fs::metadata(file(&directory)).unwrap().len() as usize;
    wallet.new_key([2; 32]).unwrap();
    let whole = std::fs::read(file(&directory)).unwrap();
    for at in 16..end {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        std::fs::write(file(&directory), &damaged).unwrap();
        let error = Wallet::open(&directory.path().join("wallet"), scheme()).unwrap_err();
        assert_eq!(error.code(), "wallet-damaged", "byte {at}");
        assert!(matches!(error, WalletError::Damaged { offset: 16, .. }));
        assert_eq!(std::fs::read(file(&directory)).unwrap(), damaged, "left as it was");
    }
}

#[test]
fn a_damaged_last_key_is_not_taken_for_an_unfinished_one() {
    let (directory, wallet) = wallet();
    wallet.new_key([1; 32]).unwrap();
    let whole = std::fs::read(file(&directory)).unwrap();
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    std::fs::write(file(&directory), &damaged).unwrap();
    let open = || Wallet::open(&directory.path().join("wallet"), scheme());
    assert_eq!(open().unwrap_err().code(), "wallet-damaged");
    // A write that broke off at a sector's edge leaves zeros: nobody was given that key.
    let mut unfinished = whole;
    unfinished[60..].fill(0);
    std::fs::write(file(&directory), &unfinished).unwrap();
    assert!(open().unwrap().locks().is_empty());
}

#[test]
fn a_foreign_file_and_a_later_format_are_refused() {
    let (directory, _wallet) = wallet();
    let mut bytes = std::fs::read(file(&directory)).unwrap();
    bytes[12] = 2;
    std::fs::write(file(&directory), &bytes).unwrap();
    let open = || Wallet::open(&directory.path().join("wallet"), scheme()).unwrap_err();
    assert!(matches!(open(), WalletError::Format { format: 2, known: 1, .. }));
    std::fs::write(file(&directory), b"not a wallet at all").unwrap();
    assert_eq!(open().code(), "wallet-damaged");
    std::fs::write(file(&directory), b"").unwrap();
    assert_eq!(open().code(), "wallet-damaged");
}

#[test]
fn an_address_for_change_is_ours_and_in_no_list() {
    let (directory, wallet) = wallet();
    let first = wallet.new_key([1; 32]).unwrap();
    let change = wallet.new_change_key([2; 32]).unwrap();
    let holds = |wallet: &Wallet| {
        assert!(wallet.contains(&change) && wallet.is_mine(&change) && wallet.can_sign(&change));
        assert!(wallet.info(&change).is_some_and(|info| info.is_mine));
        assert_eq!(wallet.locks().iter().map(|info| info.lock).collect::<Vec<_>>(), [first]);
        assert_eq!(wallet.keypool_size(), 0, "it is given out");
    };
    holds(&wallet);
    holds(&reopen(&directory));
    wallet.encrypt("pass").unwrap();
    assert_eq!(wallet.new_change_key([3; 32]).unwrap_err().rpc_code(), -12, "locked, and no spare key");
    holds(&wallet);
    holds(&reopen(&directory));
    assert!(wallet.unlock("pass", 100).is_ok());
    wallet.keypool_refill(1).unwrap();
    wallet.lock().unwrap();
    let spare = wallet.new_change_key([3; 32]).unwrap();
    assert!(wallet.contains(&spare) && wallet.keypool_size() == 0 && wallet.locks().len() == 1);
    assert!(!wallet.import_private_key(key(1), "").unwrap());
    wallet.unlock("pass", 100).unwrap();
    assert!(wallet.import_private_key(key(2), "listed now").unwrap());
    assert!(reopen(&directory).locks().iter().any(|info| info.lock == change));
}

#[test]
fn a_watched_address_is_listed_and_has_no_key() {
    let (directory, wallet) = wallet();
    assert!(wallet.import_address(lock_of(9), "watched").unwrap());
    assert!(!wallet.import_address(lock_of(9), "watched").unwrap());
    for wallet in [&wallet, &reopen(&directory)] {
        let info = wallet.info(&lock_of(9)).unwrap();
        assert!(info.is_watch_only && !info.is_mine);
        assert_eq!((info.label.as_str(), info.public_key), ("watched", None));
        assert!(wallet.contains(&lock_of(9)) && !wallet.can_sign(&lock_of(9)));
        let error = wallet.private_key(&lock_of(9)).unwrap_err();
        assert_eq!((error.rpc_code(), error.code()), (-709, "wallet-key-not-found"));
        assert_eq!(wallet.default_lock(), None);
        assert!(wallet.key_hashes().is_empty(), "no key of it is here");
    }
    assert!(wallet.import_private_key(key(9), "mine now").unwrap());
    let info = reopen(&directory).info(&lock_of(9)).unwrap();
    assert!(info.is_mine && !info.is_watch_only);
    assert_eq!(info.label, "mine now");
    assert_eq!(Some(wallet.key_hashes()), lock_of(9).key_hash().map(|hash| vec![hash]));
    assert!(!wallet.import_private_key(key(9), "mine now").unwrap());
    assert_eq!(wallet.locks().len(), 1);
}

#[test]
fn a_multisig_address_is_mine_with_all_keys_and_signs_with_enough() {
    let (directory, wallet) = wallet();
    wallet.import_private_key(key(1), "").unwrap();
    let lock = wallet.add_multisig(keys(2, &[1, 2, 3]), "ours").unwrap();
    let state = |wallet: &Wallet| (wallet.is_mine(&lock), wallet.can_sign(&lock));
    assert_eq!(state(&wallet), (false, false));
    assert!(wallet.info(&lock).unwrap().is_watch_only);
    wallet.import_private_key(key(3), "").unwrap();
    assert_eq!(state(&wallet), (false, true));
    wallet.import_private_key(key(2), "").unwrap();
    assert_eq!(state(&reopen(&directory)), (true, true));
    assert_eq!(reopen(&directory).multisig_keys(&lock), Some(keys(2, &[1, 2, 3])));
    assert!(matches!(wallet.private_key(&lock), Err(WalletError::NotOneKey)));
    for (required, seeds) in [(0, &[1, 2][..]), (3, &[1, 2]), (1, &[])] {
        let error = wallet.add_multisig(keys(required, seeds), "").unwrap_err();
        assert_eq!(error.rpc_code(), -1);
    }
}

#[test]
fn labels_and_starts_are_kept_and_bounded() {
    let (directory, wallet) = wallet();
    let lock = wallet.new_key([1; 32]).unwrap();
    wallet.set_label(&lock, "till").unwrap();
    wallet.set_start(&lock, Some(7)).unwrap();
    let info = reopen(&directory).info(&lock).unwrap();
    assert_eq!((info.label.as_str(), info.start), ("till", Some(7)));
    wallet.set_start(&lock, None).unwrap();
    assert_eq!(reopen(&directory).info(&lock).unwrap().start, None);
    let long = "x".repeat(1_025);
    assert!(matches!(wallet.set_label(&lock, &long), Err(WalletError::Label(1_025))));
    assert!(matches!(wallet.set_label(&lock_of(5), "x"), Err(WalletError::NotFound)));
}

#[test]
fn a_block_is_signed_for_its_own_miner_alone() {
    let (_directory, wallet) = wallet();
    let lock = wallet.new_key([1; 32]).unwrap();
    let other = wallet.new_key([2; 32]).unwrap();
    let genesis = BlockHash([8; 32]);
    let header = BlockHeader {
        version: 1,
        previous: genesis,
        merkle_root: MerkleRoot::ZERO,
        state_hash: StateHash::ZERO,
        time: Timestamp(5),
        bits: 0,
        nonce: 0,
        miner: lock.key_hash().unwrap(),
    };
    let signed = wallet.sign_block(header, &genesis, &lock).unwrap();
    assert_eq!(signed.miner_key(&genesis), Some(key(1).public_key()));
    assert_eq!(signed.miner_key(&BlockHash::ZERO), None);
    let error = wallet.sign_block(header, &genesis, &other).unwrap_err();
    assert_eq!(error.code(), "wallet-not-miner");
}

#[test]
fn a_message_names_its_signer() {
    let (_directory, wallet) = wallet();
    let lock = wallet.new_key([1; 32]).unwrap();
    let text = wallet.sign_message(&lock, b"hello").unwrap();
    let signer = message::message_signer(&text, b"hello").unwrap();
    assert_eq!(signer, Some(key(1).public_key()));
    assert!(matches!(wallet.sign_message(&lock_of(4), b"x"), Err(WalletError::NotFound)));
}

#[test]
fn a_backup_opens_as_the_same_wallet() {
    let (directory, wallet) = wallet();
    wallet.new_key([1; 32]).unwrap();
    wallet.import_address(lock_of(9), "watched").unwrap();
    let other = TempDir::new().unwrap();
    std::fs::create_dir(other.path().join("wallet")).unwrap();
    wallet.backup(&other.path().join("wallet")).unwrap();
    assert_eq!(reopen(&other).locks(), wallet.locks());
    wallet.backup(&other.path().join("copy.dat")).unwrap();
    let copy = other.path().join("copy.dat").metadata().unwrap();
    assert_eq!(copy.mode() & 0o777, 0o600);
    let same = wallet.backup(&file(&directory)).unwrap_err();
    assert_eq!((same.code(), same.rpc_code()), ("wallet-same-file", -8));
    let nowhere = wallet.backup(&other.path().join("no/such/place")).unwrap_err();
    assert_eq!(nowhere.code(), "wallet-open");
}

#[test]
fn only_an_older_backup_or_dump_is_written_over() {
    let (_directory, wallet) = wallet();
    let other = TempDir::new().unwrap();
    let path = other.path().join("precious");
    std::fs::write(&path, "ssh-ed25519 AAAA somebody\n").unwrap();
    for refused in [wallet.backup(&path).unwrap_err(), wallet.dump(&path).unwrap_err()] {
        assert!(matches!(refused, WalletError::Foreign(_)), "{refused}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "ssh-ed25519 AAAA somebody\n");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1, "nothing is left beside it");
    std::fs::write(&path, "").unwrap();
    for _ in 0..2 {
        wallet.backup(&path).unwrap();
        wallet.dump(&path).unwrap();
    }
    std::fs::write(other.path().join("copy.part"), "also precious").unwrap();
    assert!(matches!(wallet.dump(&other.path().join("copy")), Err(WalletError::Foreign(_))));
    assert!(matches!(wallet.dump(Path::new("/dev/null")), Err(WalletError::Foreign(_))));
}

#[test]
fn another_wallet_is_not_written_over() {
    let (_directory, wallet) = wallet();
    let (foreign_directory, foreign) = super::tests::wallet();
    for (wallet, seed) in [(&wallet, 1), (&foreign, 2)] {
        wallet.new_key([seed; 32]).unwrap();
    }
    let target = file(&foreign_directory);
    let before = std::fs::read(&target).unwrap();
    let into = target.parent().unwrap();
    for refused in [wallet.backup(into), wallet.backup(&target), wallet.dump(&target)] {
        assert!(matches!(refused, Err(WalletError::Foreign(_))), "{refused:?}");
    }
    assert_eq!(std::fs::read(&target).unwrap(), before);
    // An older backup is, whether made before a key, a label or the encryption.
    let other = TempDir::new().unwrap();
    let copy = other.path().join("copy.dat");
    wallet.backup(&copy).unwrap();
    wallet.new_key([3; 32]).unwrap();
    wallet.backup(&copy).unwrap();
    wallet.encrypt("a passphrase").unwrap();
    wallet.backup(&copy).unwrap();
    wallet.backup(&copy).unwrap();
    // A damaged one may be all that is left of some wallet.
    let mut damaged = std::fs::read(&copy).unwrap();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    std::fs::write(&copy, &damaged).unwrap();
    assert!(matches!(wallet.backup(&copy), Err(WalletError::Foreign(_))));
}

#[test]
fn a_dump_brings_everything_to_another_wallet() {
    let (directory, wallet) = wallet();
    wallet.import_private_key(key(1), "two words, # 100%").unwrap();
    wallet.import_address(lock_of(9), "watched").unwrap();
    wallet.add_multisig(keys(2, &[1, 2]), "ours").unwrap();
    let path = directory.path().join("dump.txt");
    wallet.dump(&path).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    let (_other_directory, other) = super::tests::wallet();
    let imported = other.import_dump(&path).unwrap();
    assert_eq!((imported.new, imported.known, imported.failed), (3, 0, 0));
    let facts = |wallet: &Wallet| {
        let list = wallet.locks().into_iter();
        list.map(|i| (i.lock, i.label, i.is_mine, i.multisig)).collect::<Vec<_>>()
    };
    assert_eq!(facts(&other), facts(&wallet));
    assert_eq!(other.import_dump(&path).unwrap().known, 3);
    std::fs::write(&path, "nonsense here\n# comment\n\n").unwrap();
    assert_eq!(other.import_dump(&path).unwrap().failed, 1);
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert_eq!(other.import_dump(&path).unwrap_err().code(), "wallet-not-a-dump");
    let missing = other.import_dump(&directory.path().join("none")).unwrap_err();
    assert_eq!(missing.rpc_code(), -717);
    let onto = wallet.dump(&file(&directory)).unwrap_err();
    assert_eq!(onto.code(), "wallet-same-file");
}

#[test]
fn secrets_are_never_shown() {
    let (_directory, wallet) = wallet();
    let lock = wallet.new_key([0xab; 32]).unwrap();
    let texts = [
        format!("{wallet:?}"),
        format!("{:?}", wallet.read()),
        format!("{:?}", wallet.locks()),
        format!("{:?}", wallet.private_key(&lock).unwrap()),
        format!("{:?}", wallet.read().key_record(&key(0xab), 0, false).unwrap()),
    ];
    for text in texts {
        let lower = text.to_lowercase();
        assert!(!lower.contains("abababab") && !lower.contains("171, 171"), "{text}");
    }
}

#[test]
fn a_failed_write_changes_nothing_and_the_next_one_succeeds() {
    let (directory, wallet) = wallet();
    wallet.new_key([1; 32]).unwrap();
    // What a write that broke off leaves behind the end, with the note that it did.
    let mut bytes = std::fs::read(file(&directory)).unwrap();
    let record = wallet.read().key_record(&key(7), 0, false).unwrap();
    let half = crate::record::frame(&[Record::Key(record.clone()), Record::Key(record)]);
    bytes.extend_from_slice(&half[5..]);
    std::fs::write(file(&directory), &bytes).unwrap();
    wallet.write().note_failed_write();
    wallet.new_key([2; 32]).unwrap();
    let again = reopen(&directory);
    let locks: Vec<Lock> = again.locks().iter().map(|info| info.lock).collect();
    assert_eq!(locks, [lock_of(1), lock_of(2)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_after_a_sound_file_make_opening_panic_or_lose_a_key(
        tail in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        let (directory, wallet) = wallet();
        wallet.new_key([1; 32]).unwrap();
        let mut bytes = std::fs::read(file(&directory)).unwrap();
        bytes.extend_from_slice(&tail);
        std::fs::write(file(&directory), &bytes).unwrap();
        if let Ok(again) = Wallet::open(&directory.path().join("wallet"), scheme()) {
            prop_assert!(again.contains(&lock_of(1)));
        }
    }
}
