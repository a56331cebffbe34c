//! Golden vectors of everything with canonical bytes, and what holds of any bytes at all. A changed vector is another
//! protocol: nodes before and after the change do not understand each other.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    reason = "tests"
)]

#[path = "vectors/sample.rs"]
mod sample;
#[path = "vectors/strategy.rs"]
mod strategy;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use proptest::prelude::*;
use rota_chain::address::AddressScheme;
use rota_chain::block::{Block, HEADER_BYTES};
use rota_chain::codec::{decode, encode, encoded_length};
use rota_chain::digest::{block_digest, full_digest, part_digest};
use rota_chain::hash::{BlockHash, FullHash};
use rota_chain::key::PublicKey;
use rota_chain::lock::{KeyHash, Lock, ScriptHash};
use rota_chain::merkle::{MerkleProof, merkle_root};
use rota_chain::message::{message_signer, sign_message};
use rota_chain::operation::Operation;
use rota_chain::script::{payment_script, redeem_script};
use rota_chain::transaction::Transaction;
use rota_chain::witness::Witness;
use sample::{GENESIS, key, lock, shared};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// The bytes of a golden file: hexadecimal digits, broken into lines; lines that begin with `#` are comments.
fn golden(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    hex::decode(lines.collect::<String>()).unwrap()
}

/// The named values of a golden file: `name value`, a line each.
fn named(name: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| {
        let (name, value) = line.split_once(' ').unwrap();
        (name.to_owned(), value.to_owned())
    };
    lines.map(pair).collect()
}

fn assert_golden<T>(name: &str, value: &T)
where
    T: BorshSerialize + BorshDeserialize + PartialEq + Debug,
{
    let bytes = golden(name);
    assert_eq!(hex::encode(encode(value)), hex::encode(&bytes), "{name}");
    assert_eq!(&decode::<T>(&bytes).unwrap(), value, "{name}");
    assert_eq!(encoded_length(value), bytes.len());
    assert_hardened::<T>(&bytes);
}

/// Whatever is cut, added or changed: no panic, nothing trailing, one encoding a value.
fn assert_hardened<T: BorshSerialize + BorshDeserialize>(bytes: &[u8]) {
    let longer = [bytes, &[0]].concat();
    assert!(decode::<T>(&longer).is_err(), "a trailing byte is refused");
    for cut in 0..bytes.len() {
        assert!(decode::<T>(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..bytes.len() {
        for bit in [0x01, 0x80, 0xff] {
            let mut changed = bytes.to_vec();
            changed[at] ^= bit;
            if let Ok(value) = decode::<T>(&changed) {
                assert_eq!(encode(&value), changed, "byte {at}");
            }
        }
    }
}

#[test]
fn a_transaction_with_every_operation_has_its_bytes() {
    assert_golden("transaction-operations.hex", &sample::every_operation());
}

#[test]
fn a_transaction_of_coins_assets_and_coverage_has_its_bytes() {
    assert_golden("transaction-coins.hex", &sample::coins());
}

#[test]
fn blocks_have_their_bytes() {
    assert_golden("block.hex", &sample::block());
    assert_golden("genesis.hex", &sample::genesis_block());
}

#[test]
fn a_header_is_a_prefix_of_its_block_with_a_fixed_length() {
    let block = sample::block();
    let bytes = encode(&block);
    assert_eq!(encode(block.header()).len(), HEADER_BYTES);
    assert!(bytes.starts_with(&encode(block.header())));
    let first = HEADER_BYTES + 65 + 4;
    assert!(bytes[first..].starts_with(&encode(&block.transactions[0])));
}

#[test]
fn proofs_have_their_bytes_and_lead_to_the_root() {
    let hashes = sample::block().full_hashes();
    let proof = MerkleProof::of(&hashes, 1).unwrap();
    assert_golden("proof.hex", &proof);
    assert_eq!(proof.root(&hashes[1]), sample::block().header().merkle_root);
}

/// A new operation needs a vector: this match does not compile without it.
const fn tag(operation: &Operation) -> u8 {
    match operation {
        Operation::Grant(_) => 0,
        Operation::CreateStream(_) => 1,
        Operation::Publish(_) => 2,
        Operation::Data(_) => 3,
        Operation::IssueAsset(_) => 4,
        Operation::IssueMore(_) => 5,
        Operation::UpdateAsset(_) => 6,
        Operation::CreateVariable(_) => 7,
        Operation::SetVariable(_) => 8,
        Operation::CreateUpgrade(_) => 9,
        Operation::CreateFilter(_) => 10,
        Operation::CreateLibrary(_) => 11,
        Operation::UpdateLibrary(_) => 12,
        Operation::Approve(_) => 13,
        Operation::Genesis(_) => 14,
    }
}

#[test]
fn every_kind_of_operation_is_in_the_vectors_under_its_tag() {
    let operations = sample::operations();
    for operation in &operations {
        assert_eq!(encode(operation).first(), Some(&tag(operation)));
    }
    let tags: std::collections::BTreeSet<u8> = operations.iter().map(tag).collect();
    assert!(tags.into_iter().eq(0..=14));
    assert!(decode::<Operation>(&[15]).is_err());
}

#[test]
fn ids_digests_and_signatures_have_their_values() {
    let (operations, coins) = (sample::every_operation(), sample::coins());
    let (block, genesis) = (sample::block(), sample::genesis_block());
    let header = encode(block.header());
    let text = |bytes: &[u8]| hex::encode(bytes);
    let computed = [
        ("txid-operations", operations.txid().to_string()),
        ("txid-coins", coins.txid().to_string()),
        ("full-hash-operations", operations.full_hash().to_string()),
        ("full-hash-coins", coins.full_hash().to_string()),
        ("block-hash", block.hash().to_string()),
        ("genesis-hash", genesis.hash().to_string()),
        ("merkle-root", block.computed_merkle_root().to_string()),
        ("merkle-root-of-none", merkle_root(&[]).to_string()),
        ("empty-state", genesis.header().state_hash.to_string()),
        ("digest-full", text(&full_digest(&GENESIS, &coins.txid(), &lock(6)))),
        ("digest-part", text(&part_digest(&GENESIS, &coins.body, 1, &lock(7)).unwrap())),
        ("digest-block", text(&block_digest(&GENESIS, &header))),
        ("signature-block", text(&encode(&block.signed.signature))),
        ("signature-message", sign_message(&key(1), b"hello")),
    ];
    let golden = named("digests.txt");
    for (name, value) in &computed {
        assert_eq!(golden.get(*name), Some(value), "{name}");
    }
    assert_eq!(golden.len(), computed.len());
    let signer = message_signer(&golden["signature-message"], b"hello").unwrap();
    assert_eq!(signer, Some(key(1).public_key()));
    assert_eq!(block.signed.miner_key(&GENESIS), Some(key(1).public_key()));
    let of_genesis = genesis.signed.miner_key(&BlockHash::ZERO);
    assert_eq!(of_genesis, Some(key(1).public_key()));
}

#[test]
fn every_witness_of_the_vectors_answers_for_its_lock() {
    let tx = sample::every_operation();
    for (lock, witness) in tx.body.authors.iter().zip(&tx.witnesses) {
        witness.check_for(lock).unwrap();
        witness.verify(&full_digest(&GENESIS, &tx.txid(), lock)).unwrap();
    }
    let tx = sample::coins();
    assert_eq!(tx.witnesses[1], Witness::Absent);
    let digest = full_digest(&GENESIS, &tx.txid(), &lock(6));
    tx.witnesses[0].verify(&digest).unwrap();
    let digest = part_digest(&GENESIS, &tx.body, 1, &lock(7)).unwrap();
    tx.part_witness(1).unwrap().verify(&digest).unwrap();
    assert_eq!(part_digest(&GENESIS, &tx.body, 0, &lock(6)), None, "covered in full");
}

fn scheme(length: usize) -> AddressScheme {
    let version = |first| [first, 0x11, 0x22, 0x33][..length].to_vec();
    AddressScheme {
        pubkeyhash_version: version(0x00),
        scripthash_version: version(0x05),
        private_key_version: version(0x80),
        checksum: [0xa1, 0xb2, 0xc3, 0xd4],
    }
}

#[test]
fn addresses_keys_and_scripts_have_their_text() {
    let ours = scheme(4);
    let mut computed = vec![
        ("public-key".to_owned(), hex::encode(key(1).public_key().0)),
        ("redeem-script".to_owned(), hex::encode(redeem_script(&shared()))),
        ("payment-script-key".to_owned(), hex::encode(payment_script(&lock(1)))),
        ("payment-script-shared".to_owned(), hex::encode(payment_script(&shared().lock()))),
        ("burn".to_owned(), ours.burn_address()),
    ];
    for length in 1..=4 {
        let scheme = scheme(length);
        let texts = [
            ("key", scheme.encode(&lock(1))),
            ("shared", scheme.encode(&shared().lock())),
            ("private", scheme.encode_private_key(&key(1))),
        ];
        computed.extend(texts.map(|(kind, text)| (format!("{kind}-{length}"), text)));
        assert_eq!(scheme.decode(&scheme.encode(&lock(1))), Ok(lock(1)));
        assert_eq!(scheme.decode(&scheme.encode(&shared().lock())), Ok(shared().lock()));
        let text = scheme.encode_private_key(&key(1));
        assert_eq!(scheme.decode_private_key(&text).unwrap(), key(1));
    }
    let golden = named("addresses.txt");
    for (name, value) in &computed {
        assert_eq!(golden.get(name), Some(value), "{name}");
    }
    assert_eq!(golden.len(), computed.len());
}

/// Bytes with some of them changed, cut or repeated.
fn mutated(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8);
    (edits, any::<prop::sample::Index>(), 0..4_u8).prop_map(move |(edits, cut, how)| {
        let mut bytes = bytes.clone();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let cut = cut.index(bytes.len());
        match how {
            0 => bytes.truncate(cut),
            1 => bytes.extend_from_within(cut..),
            2 => drop(bytes.drain(cut..bytes.len().min(cut + 3))),
            _ => {}
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_transaction_reads_back(tx in strategy::transaction()) {
        let bytes = encode(&tx);
        prop_assert_eq!(decode::<Transaction>(&bytes), Ok(tx.clone()));
        prop_assert_eq!(tx.size(), bytes.len());
        prop_assert!(decode::<Transaction>(&[&bytes[..], &[0]].concat()).is_err());
        let mut unsigned = tx.clone();
        unsigned.witnesses.clear();
        prop_assert_eq!(unsigned.txid(), tx.txid());
        prop_assert_eq!(unsigned.full_hash() == tx.full_hash(), tx.witnesses.is_empty());
    }

    #[test]
    fn any_block_reads_back(block in strategy::block()) {
        let bytes = encode(&block);
        prop_assert_eq!(decode::<Block>(&bytes), Ok(block.clone()));
        prop_assert_eq!(block.size(), bytes.len());
    }

    #[test]
    fn mutated_bytes_are_refused_or_canonical(
        bytes in strategy::block().prop_flat_map(|block| mutated(encode(&block)))
    ) {
        if let Ok(block) = decode::<Block>(&bytes) {
            prop_assert_eq!(encode(&block), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(tx) = decode::<Transaction>(&bytes) {
            prop_assert_eq!(encode(&tx), bytes.clone());
        }
        let _ = decode::<Block>(&bytes);
        let _ = decode::<MerkleProof>(&bytes);
        let _ = PublicKey::from_slice(&bytes);
    }

    #[test]
    fn any_address_reads_back_and_no_other_chain_takes_it(
        hash in any::<[u8; 20]>(), several in any::<bool>(), length in 1..=4_usize, mask in any::<[u8; 4]>()
    ) {
        let lock = if several { Lock::Multisig(ScriptHash(hash)) } else { Lock::Key(KeyHash(hash)) };
        let ours = scheme(length);
        let text = ours.encode(&lock);
        prop_assert_eq!(ours.decode(&text), Ok(lock));
        let theirs = AddressScheme { checksum: mask, ..ours.clone() };
        prop_assert_eq!(theirs.decode(&text).is_ok(), mask == ours.checksum);
    }

    #[test]
    fn arbitrary_text_is_no_address_and_never_panics(text in "\\PC{0,80}", length in 1..=4_usize) {
        prop_assert!(scheme(length).decode(&text).is_err());
        prop_assert!(scheme(length).decode_private_key(&text).is_err());
    }

    #[test]
    fn a_proof_holds_for_its_own_hash_alone(count in 1..200_usize, pick in any::<prop::sample::Index>()) {
        let hashes: Vec<FullHash> = (0..count)
            .map(|at| FullHash([u8::try_from(at).unwrap(); 32]))
            .collect();
        let index = pick.index(count);
        let proof = MerkleProof::of(&hashes, index).unwrap();
        let root = merkle_root(&hashes);
        for (at, hash) in hashes.iter().enumerate() {
            prop_assert_eq!(proof.root(hash) == root, at == index);
        }
    }
}
