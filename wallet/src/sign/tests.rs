//! Signing: order of witnesses, several signers, coverage, and that no kind of signature serves as another.
#![allow(clippy::unwrap_used, reason = "tests")]

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::block::BlockHeader;
use rota_chain::codec::encode;
use rota_chain::data::{Data, DataFormat};
use rota_chain::digest::block_digest;
use rota_chain::hash::{MerkleRoot, StateHash};
use rota_chain::lock::KeyHash;
use rota_chain::message::{message_signer, sign_message};
use rota_chain::operation::Operation;
use rota_chain::transaction::{Input, Output};

use super::*;
use crate::build::data_transaction;
use crate::wallet::tests::{key, keys, lock_of, wallet};

const GENESIS: BlockHash = BlockHash([0x47; 32]);

fn item() -> Output {
    Output::operation(Operation::Data(Data { format: DataFormat::Text, bytes: b"hello".to_vec() }))
}

fn publish(authors: &[Lock]) -> Transaction {
    data_transaction(authors.to_vec(), vec![item()], Height(50), 7)
}

fn coin(seed: u8) -> OutPoint {
    OutPoint { txid: Txid([seed; 32]), index: u32::from(seed) }
}

fn input(seed: u8, coverage: Coverage) -> Input {
    Input { outpoint: coin(seed), coverage }
}

/// Coins are named after the seed of their owner's key; from 100 on nobody knows the owner.
fn owner(outpoint: OutPoint) -> Option<Lock> {
    let seed = outpoint.txid.0[0];
    (seed < 100).then(|| lock_of(seed % 10))
}

fn holder(seeds: &[u8]) -> (tempfile::TempDir, Wallet) {
    let (directory, wallet) = wallet();
    for seed in seeds {
        wallet.import_private_key(key(*seed), "").unwrap();
    }
    (directory, wallet)
}

fn sign(wallet: &Wallet, tx: &mut Transaction) -> Completeness {
    wallet.sign_transaction(tx, &GENESIS, owner, &[]).unwrap()
}

/// Whether every witness stands at its place and verifies, judged apart from the code that signs.
fn holds(tx: &Transaction, locks: &[Lock], parts: &[usize]) -> bool {
    let full = locks.len() - parts.len();
    tx.witnesses.len() == locks.len()
        && tx.witnesses.iter().zip(locks).enumerate().all(|(at, (witness, lock))| {
            let digest = match at.checked_sub(full) {
                Some(part) => part_digest(&GENESIS, &tx.body, parts[part], lock).unwrap(),
                None => full_digest(&GENESIS, &tx.txid(), lock),
            };
            witness.check_for(lock).is_ok() && witness.verify(&digest).is_ok()
        })
}

#[test]
fn a_single_author_signs_and_the_id_stays() {
    let (_directory, wallet) = holder(&[1]);
    let mut tx = publish(&[lock_of(1)]);
    let txid = tx.txid();
    assert!(sign(&wallet, &mut tx).is_complete());
    assert_eq!(tx.txid(), txid);
    assert!(holds(&tx, &[lock_of(1)], &[]));
    let signed = tx.clone();
    assert!(sign(&wallet, &mut tx).is_complete());
    assert_eq!(tx, signed, "signing again changes nothing");
}

#[test]
fn witnesses_stand_in_the_order_of_the_ledger() {
    let (_directory, wallet) = holder(&[1, 2, 3, 4]);
    let mut tx = publish(&[lock_of(4), lock_of(1)]);
    tx.body.inputs = vec![
        input(3, Coverage::Part),
        input(2, Coverage::Full),
        input(1, Coverage::Full),
        input(12, Coverage::Full),
        input(13, Coverage::Part),
        input(3, Coverage::Full),
    ];
    tx.body.outputs = vec![item(); 5];
    assert!(sign(&wallet, &mut tx).is_complete());
    // Authors as listed, owners of full inputs by first appearance (1 is an author already), then each part.
    let order = [4, 1, 2, 3, 3, 3].map(lock_of);
    assert!(holds(&tx, &order, &[0, 4]));
}

#[test]
fn what_others_must_sign_is_left_absent_and_filled_by_them() {
    let (_a, first) = holder(&[1]);
    let (_b, second) = holder(&[2]);
    let mut tx = publish(&[lock_of(2), lock_of(1)]);
    let done = sign(&first, &mut tx);
    let missing = vec![lock_of(2)];
    assert_eq!(done, Completeness::Incomplete { missing, unknown: vec![] });
    assert_eq!(tx.witnesses[0], Witness::Absent);
    let mine = tx.witnesses[1].clone();
    assert!(sign(&second, &mut tx).is_complete());
    assert_eq!(tx.witnesses[1], mine, "the first signature is kept");
    assert!(holds(&tx, &[lock_of(2), lock_of(1)], &[]));
}

#[test]
fn two_of_three_sign_one_after_the_other_in_ascending_slots() {
    let shared = keys(2, &[5, 6, 7]);
    let lock = shared.lock();
    let (_a, first) = holder(&[7]);
    let (_b, second) = holder(&[5, 6]);
    let mut tx = publish(&[lock]);
    let alone = sign(&first, &mut tx);
    assert!(!alone.is_complete());
    assert_eq!(tx.witnesses, [Witness::Absent], "the keys are not known yet");
    first.add_multisig(shared.clone(), "").unwrap();
    let done = sign(&first, &mut tx);
    let missing = vec![lock];
    assert_eq!(done, Completeness::Incomplete { missing, unknown: vec![] });
    assert_eq!(slots(&tx.witnesses[0]), [2]);
    // The second wallet learns the keys from the witness, and adds one signature, though it has two keys.
    assert!(!second.contains(&lock));
    assert!(sign(&second, &mut tx).is_complete());
    assert_eq!(slots(&tx.witnesses[0]), [0, 2]);
    assert!(holds(&tx, &[lock], &[]));
    let complete = tx.clone();
    sign(&second, &mut tx);
    assert_eq!(tx, complete, "exactly as many as required");
}

fn slots(witness: &Witness) -> Vec<u8> {
    match witness {
        Witness::Multisig { signatures, .. } => signatures.iter().map(|s| s.slot).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn copies_signed_apart_are_merged() {
    let shared = keys(3, &[5, 6, 7]);
    let lock = shared.lock();
    let unsigned = publish(&[lock, lock_of(1)]);
    let mut copies = Vec::new();
    for seeds in [&[7][..], &[1, 5], &[6]] {
        let signers: Vec<_> = seeds.iter().map(|seed| key(*seed)).collect();
        let extra = Extra { keys: &signers, multisig: std::slice::from_ref(&shared) };
        let mut copy = unsigned.clone();
        assert!(!sign_with_keys(&mut copy, &GENESIS, owner, extra).is_complete());
        copies.extend(copy.witnesses);
    }
    let mut merged = unsigned;
    merged.witnesses = copies;
    assert!(sign_with_keys(&mut merged, &GENESIS, owner, Extra::default()).is_complete());
    assert!(holds(&merged, &[lock, lock_of(1)], &[]));
    assert_eq!(slots(&merged.witnesses[0]), [0, 1, 2]);
}

#[test]
fn a_part_signature_survives_what_others_append() {
    let (_a, seller) = holder(&[1]);
    let (_b, buyer) = holder(&[2]);
    let mut tx = publish(&[]);
    tx.body.inputs = vec![input(1, Coverage::Part)];
    tx.body.outputs = vec![Output::payment(lock_of(1), Amount(9))];
    assert!(sign(&seller, &mut tx).is_complete());
    let offer = tx.witnesses[0].clone();
    tx.body.inputs.extend([input(2, Coverage::Part), input(12, Coverage::Full)]);
    tx.body.outputs.push(Output::payment(lock_of(2), Amount(1)));
    assert!(sign(&buyer, &mut tx).is_complete());
    assert!(holds(&tx, &[lock_of(2), lock_of(1), lock_of(2)], &[0, 1]));
    assert_eq!(tx.witnesses[1], offer);
    // What it covers is bound: another output at its index takes the signature away.
    tx.body.outputs[0].amount = Amount(8);
    let done = sign(&buyer, &mut tx);
    let missing = vec![lock_of(1)];
    assert_eq!(done, Completeness::Incomplete { missing, unknown: vec![] });
    assert!(!tx.witnesses.contains(&offer));
}

#[test]
fn a_part_input_without_its_output_cannot_be_signed() {
    let (_a, wallet) = holder(&[1]);
    let mut tx = publish(&[]);
    tx.body.inputs = vec![input(11, Coverage::Full), input(1, Coverage::Part)];
    assert!(!sign(&wallet, &mut tx).is_complete());
    assert_eq!(tx.witnesses[1], Witness::Absent);
}

#[test]
fn coins_of_unknown_owners_are_named_and_their_signatures_kept() {
    let (_a, wallet) = holder(&[1]);
    let (_b, other) = holder(&[2]);
    let mut tx = publish(&[lock_of(1)]);
    tx.body.inputs = vec![input(112, Coverage::Full), input(102, Coverage::Part)];
    tx.body.outputs = vec![item(); 2];
    let all = |_: OutPoint| Some(lock_of(2));
    other.sign_transaction(&mut tx, &GENESIS, all, &[]).unwrap();
    let done = sign(&wallet, &mut tx);
    let unknown = vec![coin(112), coin(102)];
    assert_eq!(done, Completeness::Incomplete { missing: vec![], unknown });
    assert!(holds(&tx, &[1, 2, 2].map(lock_of), &[1]));
}

#[test]
fn a_watched_address_cannot_sign_and_a_key_given_along_can() {
    let (_a, wallet) = holder(&[]);
    wallet.import_address(lock_of(1), "").unwrap();
    let mut tx = publish(&[lock_of(1)]);
    assert!(!sign(&wallet, &mut tx).is_complete());
    assert_eq!(tx.witnesses, [Witness::Absent]);
    let done = wallet.sign_transaction(&mut tx, &GENESIS, owner, &[key(1)]).unwrap();
    assert!(done.is_complete() && holds(&tx, &[lock_of(1)], &[]));
}

#[test]
fn a_locked_key_is_an_error_unless_it_is_not_needed() {
    let (_a, wallet) = holder(&[1]);
    wallet.encrypt("pass").unwrap();
    let mut tx = publish(&[lock_of(1)]);
    let refused = wallet.sign_transaction(&mut tx, &GENESIS, owner, &[]);
    assert!(matches!(refused, Err(WalletError::Locked)));
    let done = wallet.sign_transaction(&mut tx, &GENESIS, owner, &[key(1)]).unwrap();
    assert!(done.is_complete());
    assert!(sign(&wallet, &mut tx).is_complete(), "signed already");
    let mut foreign = publish(&[lock_of(2)]);
    assert!(!sign(&wallet, &mut foreign).is_complete());
}

#[test]
fn a_signature_of_another_chain_is_dropped() {
    let (_a, wallet) = holder(&[1]);
    let mut tx = publish(&[lock_of(1)]);
    wallet.sign_transaction(&mut tx, &BlockHash([1; 32]), owner, &[]).unwrap();
    let foreign = tx.witnesses[0].clone();
    sign(&wallet, &mut tx);
    assert_ne!(tx.witnesses[0], foreign);
    assert!(holds(&tx, &[lock_of(1)], &[]));
}

/// One key signs all of these; each signature is tried as each other.
#[test]
fn no_kind_of_signature_serves_as_another() {
    let (signer, lock) = (key(1), lock_of(1));
    let shared = keys(1, &[1, 2]);
    let mut tx = publish(&[lock]);
    tx.body.inputs = vec![input(1, Coverage::Part), input(11, Coverage::Part)];
    tx.body.outputs = vec![item(), item()];
    let header = BlockHeader {
        version: 1,
        previous: GENESIS,
        merkle_root: MerkleRoot::ZERO,
        state_hash: StateHash::ZERO,
        time: Timestamp(0),
        bits: 0,
        nonce: 0,
        miner: lock.key_hash().unwrap_or(KeyHash([0; 20])),
    };
    let part = |genesis: &BlockHash, index, lock: &Lock| part_digest(genesis, &tx.body, index, lock).unwrap();
    let digests = [
        full_digest(&GENESIS, &tx.txid(), &lock),
        full_digest(&GENESIS, &tx.txid(), &shared.lock()),
        full_digest(&BlockHash::ZERO, &tx.txid(), &lock),
        part(&GENESIS, 0, &lock),
        part(&GENESIS, 1, &lock),
        part(&GENESIS, 0, &shared.lock()),
        part(&BlockHash::ZERO, 0, &lock),
        block_digest(&GENESIS, &encode(&header)),
        block_digest(&BlockHash::ZERO, &encode(&header)),
    ];
    for (at, digest) in digests.iter().enumerate() {
        let signature = signer.sign(digest);
        let recoverable = signer.sign_recoverable(digest);
        for (other, wanted) in digests.iter().enumerate() {
            let serves = signer.public_key().verify(wanted, &signature).is_ok();
            assert_eq!(serves, at == other, "{at} as {other}");
            let recovers = recoverable.recover(wanted) == Ok(signer.public_key());
            assert_eq!(recovers, at == other, "{at} as {other}");
        }
        // Nor does a message that spells a digest, or what is hashed into one, sign the digest itself.
        for message in [&digest[..], &encode(&header), &encode(&tx.body)] {
            let text = sign_message(&signer, message);
            let as_message = message_signer(&text, message).unwrap();
            assert_eq!(as_message, Some(signer.public_key()));
            let mut forged = recoverable;
            forged.0[1..].copy_from_slice(&decode_base64(&text)[1..]);
            for id in 0..4 {
                forged.0[0] = id;
                assert_ne!(forged.recover(digest), Ok(signer.public_key()));
            }
        }
    }
}

/// Base64 with padding, as signed messages come.
fn decode_base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = text.bytes().filter(|letter| *letter != b'=');
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for letter in values {
        let value = LETTERS.iter().position(|l| *l == letter).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}
