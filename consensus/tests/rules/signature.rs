//! One key signs transactions in full and in part, blocks and messages: no signature serves as another.

use base64::Engine as _;
use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::digest::{block_digest, full_digest, part_digest};
use rota_chain::key::{RecoverableBytes, Signature};
use rota_chain::message::{message_signer, sign_message};
use rota_chain::transaction::{Coverage, Transaction};
use rota_chain::witness::Witness;

use crate::chain_builder::Chain;
use crate::transaction_builder::{broken, party};

/// The signature of one use, in the two forms that uses have.
struct Signed {
    name: &'static str,
    recoverable: RecoverableBytes,
}

impl Signed {
    fn plain(&self) -> Signature {
        Signature(self.recoverable.0[1..].try_into().unwrap())
    }
}

/// A chain with a coin of alice; one transaction by her in full, one in part; and a block.
fn scene() -> (Chain, Transaction, Transaction) {
    let mut chain = Chain::with(|rules| rules.initial_block_reward = 100);
    let alice = party("alice");
    chain.mine_to(2);
    let coin = chain.reward_of(Height(1));
    let full = chain.sign(chain.write().spend(coin, &alice).pay(&alice, 100));
    let part = chain.sign(chain.write().spend_in_part(coin, &alice).pay(&alice, 100));
    assert_eq!(part.body.inputs[0].coverage, Coverage::Part);
    (chain, full, part)
}

#[test]
fn each_use_of_a_key_is_refused_as_every_other_use() {
    let (mut chain, full, part) = scene();
    let alice = party("alice");
    let genesis = chain.rules.genesis;
    let block = chain.block_by(&alice, Vec::new());
    let message = b"hello";
    let message_bytes = base64::engine::general_purpose::STANDARD.decode(sign_message(alice.key(), message)).unwrap();
    let mut message_signature = RecoverableBytes(message_bytes.try_into().unwrap());
    message_signature.0[0] -= 31;
    let sign = |name, digest: [u8; 32]| Signed { name, recoverable: alice.key().sign_recoverable(&digest) };
    let uses = [
        sign("full", full_digest(&genesis, &full.txid(), &alice.lock())),
        sign("part", part_digest(&genesis, &part.body, 0, &alice.lock()).unwrap()),
        sign("block", block_digest(&genesis, &encode(block.header()))),
        Signed { name: "message", recoverable: message_signature },
    ];
    let with = |tx: &Transaction, signed: &Signed| {
        let mut tx = tx.clone();
        tx.witnesses = vec![Witness::Key { key: alice.key().public_key(), signature: signed.plain() }];
        tx
    };
    for signed in &uses {
        let as_full = chain.judge(with(&full, signed));
        assert_eq!(as_full.is_ok(), signed.name == "full", "{}", signed.name);
        let as_part = chain.judge(with(&part, signed));
        assert_eq!(as_part.is_ok(), signed.name == "part", "{}", signed.name);
        for refusal in [as_full.err(), as_part.err()].into_iter().flatten() {
            broken(refusal, "tx-witness");
        }
        let mut text = signed.recoverable.0;
        text[0] += 31;
        let text = base64::engine::general_purpose::STANDARD.encode(text);
        let signer = message_signer(&text, message).unwrap();
        assert_eq!(signer == Some(alice.key().public_key()), signed.name == "message");
        let mut block = block.clone();
        block.signed.signature = signed.recoverable;
        match chain.offer(block) {
            Ok(_) => assert_eq!(signed.name, "block"),
            Err(rule) => {
                assert_ne!(signed.name, "block");
                broken(rule, "block-signature");
            }
        }
    }
    assert_eq!(chain.tip(), Height(3), "the block was accepted once");
}

#[test]
fn what_was_verified_once_is_remembered_for_the_same_bytes_alone() {
    let (chain, full, _) = scene();
    assert!(chain.check(full.clone()).is_ok());
    assert!(chain.check(full.clone()).is_ok());
    let mut forged = full;
    if let Some(Witness::Key { signature, .. }) = forged.witnesses.first_mut() {
        signature.0[40] ^= 1;
    }
    broken(chain.check(forged).unwrap_err(), "tx-witness");
}

#[test]
fn a_remembered_signature_does_not_vouch_for_the_lock() {
    let (chain, full, _) = scene();
    let stranger = party("bob");
    let digest = full_digest(&chain.rules.genesis, &full.txid(), &stranger.lock());
    let mut foreign = full;
    foreign.witnesses = vec![stranger.witness(&digest)];
    assert!(chain.check(foreign.clone()).is_ok(), "it verifies under the key it carries");
    broken(chain.judge(foreign).unwrap_err(), "tx-witness");
}
