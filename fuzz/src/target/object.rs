//! What the chain is made of: transactions, blocks, operations, scripts, and addresses and keys as text.

use std::sync::LazyLock;

use rota_chain::address::AddressScheme;
use rota_chain::block::{Block, BlockHeader, SignedHeader};
use rota_chain::hash::Txid;
use rota_chain::merkle::MerkleProof;
use rota_chain::message::message_signer;
use rota_chain::operation::Operation;
use rota_chain::script::{payment_script, read_payment_script, read_redeem_script, redeem_script};
use rota_chain::stream::ItemData;
use rota_chain::transaction::Transaction;
use rota_chain::witness::Witness;

use super::{Kind, Target, canonical, kind, read, refused, text};

pub(super) const TARGETS: &[Target] = &[
    Target::new("transaction", canonical::<Transaction>),
    Target::new("block", canonical::<Block>),
    Target::new("header", canonical::<BlockHeader>),
    Target::new("signed-header", canonical::<SignedHeader>),
    Target::new("operation", canonical::<Operation>),
    Target::new("witness", canonical::<Witness>),
    Target::new("item-data", canonical::<ItemData>),
    Target::new("merkle-proof", canonical::<MerkleProof>),
    Target::new("payment-script", payment),
    Target::new("redeem-script", redeem),
    Target::new("address", address),
    Target::new("private-key", private_key),
    Target::new("hash-text", hash_text),
    Target::new("message-signature", message_signature),
];

/// The schemes of the golden vectors: versions of one to four bytes.
pub(crate) static SCHEMES: LazyLock<[AddressScheme; 4]> = LazyLock::new(|| {
    [1, 2, 3, 4].map(|width: usize| AddressScheme {
        pubkeyhash_version: vec![0x00, 0x11, 0x22, 0x33][..width].to_vec(),
        scripthash_version: vec![0x05, 0x11, 0x22, 0x33][..width].to_vec(),
        private_key_version: vec![0x80, 0x11, 0x22, 0x33][..width].to_vec(),
        checksum: [0xa1, 0xb2, 0xc3, 0xd4],
    })
});

fn payment(bytes: &[u8]) -> Kind {
    match read_payment_script(bytes) {
        Some(lock) => {
            assert!(payment_script(&lock) == bytes, "a payment script is written otherwise than it was read");
            read(bytes.len())
        }
        None => refused("", bytes.len() / 4),
    }
}

fn redeem(bytes: &[u8]) -> Kind {
    match read_redeem_script(bytes) {
        Some(keys) => {
            assert!(redeem_script(&keys) == bytes, "a redeem script is written otherwise than it was read");
            read(bytes.len())
        }
        None => refused("", bytes.len() / 4),
    }
}

fn address(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    let answers = SCHEMES.each_ref().map(|scheme| match scheme.decode(&text) {
        Ok(lock) => {
            assert!(scheme.encode(&lock) == text, "an address is written otherwise than it was read");
            "an address".to_owned()
        }
        Err(error) => error.to_string(),
    });
    kind((answers, (text.len() / 4).min(20)))
}

fn private_key(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    let answers = SCHEMES.each_ref().map(|scheme| match scheme.decode_private_key(&text) {
        Ok(key) => {
            assert!(scheme.encode_private_key(&key) == text, "a key is written otherwise than it was read");
            "a key".to_owned()
        }
        Err(error) => error.to_string(),
    });
    kind((answers, (text.len() / 4).min(20)))
}

fn hash_text(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    match text.parse::<Txid>() {
        Ok(hash) => {
            assert!(hash.to_string() == text.to_ascii_lowercase(), "a hash is written otherwise than it was read");
            read(text.len())
        }
        Err(error) => refused(&error.to_string(), text.len() / 8),
    }
}

/// The signature is the first line, the message what follows.
fn message_signature(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    let (signature, message) = text.split_once('\n').unwrap_or((&text, ""));
    match message_signer(signature, message.as_bytes()) {
        Ok(signer) => kind(("signer", signer.is_some(), signature.len().min(100))),
        Err(error) => refused(&error.to_string(), signature.len() / 4),
    }
}
