//! Forged copies of good transactions: each is refused on every path, whoever delivers it, and the good one is taken
//! whether the forged ones came before it, wait for its parent, or come after it was verified.

use rota_chain::amount::Amount;
use rota_chain::codec::{decode, encode};
use rota_chain::digest::{block_digest, full_digest, part_digest};
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::key::{RecoverableBytes, Signature};
use rota_chain::lock::Lock;
use rota_chain::message::sign_message;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::transaction::{OutPoint, Transaction};
use rota_chain::witness::{MultisigKeys, SlotSignature, Witness};
use rota_params::Parameter;

use super::super::world::{Chain, FIRST, Node, key, lock};
use super::draft::{Draft, draft, witness};
use super::peers::Peers;
use crate::ledger::{BlockOutcome, SubmitError};
use crate::pool::{PoolError, PoolLimits};

const ALICE: u8 = 2;
const BOB: u8 = 3;
const STRANGER: u8 = 8;
/// The order of the curve: with s also order - s would verify in plain ECDSA.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc,
    0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// A chain on which Alice and Bob hold coins of 10 each, and the coins by owner.
fn scene(chain: &Chain) -> (Node, Vec<OutPoint>, Vec<OutPoint>) {
    let mut node = chain.node("node");
    let rights = [Permission::Send, Permission::Receive];
    let granted = draft(1).by(FIRST).grant(ALICE, None, &rights, BlockRange::ALWAYS).grant(
        BOB,
        None,
        &rights,
        BlockRange::ALWAYS,
    );
    node.offer(&granted.sign(&node.rules.genesis)).unwrap();
    let first = node.mine(FIRST, 10);
    let reward = OutPoint { txid: first.transactions[0].txid(), index: 0 };
    let shared = (0..4).fold(draft(2).spend(reward, FIRST), |all, _| all.pay(ALICE, 10).pay(BOB, 10));
    let txid = node.offer(&shared.sign(&node.rules.genesis)).unwrap();
    node.mine(FIRST, 20);
    let of = |first: u32| (0..4).map(|number| OutPoint { txid, index: 2 * number + first }).collect();
    (node, of(0), of(1))
}

fn chain() -> Chain {
    Chain::with(&[
        (Parameter::MiningDiversity, "0.0"),
        (Parameter::SetupFirstBlocks, "1"),
        (Parameter::InitialBlockReward, "80"),
        (Parameter::RewardSpendableDelay, "1"),
    ])
}

fn key_witness(seed: u8, signature: Signature) -> Witness {
    Witness::Key { key: key(seed).public_key(), signature }
}

fn signature_of(witness: &Witness) -> Signature {
    match witness {
        Witness::Key { signature, .. } => *signature,
        other => panic!("{other:?}"),
    }
}

fn high(signature: Signature) -> Signature {
    let mut high = signature;
    let mut borrow = 0i32;
    for (byte, order) in high.0[32..].iter_mut().rev().zip(ORDER.iter().rev()) {
        let mut difference = i32::from(*order) - i32::from(*byte) - borrow;
        borrow = i32::from(difference < 0);
        difference += 256 * borrow;
        *byte = u8::try_from(difference).unwrap();
    }
    assert_ne!(high, signature);
    high
}

/// Signatures that the holder of a key made for something else.
fn other_uses(node: &Node, seed: u8, txid: &Txid) -> Vec<(&'static str, Signature)> {
    let genesis = node.rules.genesis;
    let plain = |recoverable: RecoverableBytes| Signature(recoverable.0[1..].try_into().unwrap());
    let sign = |digest: [u8; 32]| key(seed).sign(&digest);
    let (header, _) = node.template(seed, 30, Vec::new());
    let noise = [b"noise-libp2p-static-key:".as_slice(), txid.as_bytes()].concat();
    let message = |text: &[u8]| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(sign_message(&key(seed), text)).unwrap();
        Signature(bytes[1..].try_into().unwrap())
    };
    let full = full_digest(&genesis, txid, &lock(seed));
    vec![
        ("the header of a block", plain(header.sign(&genesis, &key(seed)).signature)),
        ("a header that has the bytes of the txid", sign(block_digest(&genesis, txid.as_bytes()))),
        ("another chain", sign(full_digest(&BlockHash([7; 32]), txid, &lock(seed)))),
        ("no chain", sign(full_digest(&BlockHash::ZERO, txid, &lock(seed)))),
        ("another lock", sign(full_digest(&genesis, txid, &lock(STRANGER)))),
        ("a message that is the txid", message(txid.as_bytes())),
        ("a message that is the digest", message(&full)),
        ("the identity of a peer", sign(rota_chain::hash::sha256(&noise))),
        ("the bare txid", sign(txid.0)),
        ("nothing", sign([0; 32])),
    ]
}

/// Copies of a transaction whose witnesses are not what they should be, and what is wrong.
fn forged(node: &Node, good: &Transaction, seeds: &[u8]) -> Vec<(String, Transaction)> {
    let mut all = Vec::new();
    let mut add = |name: String, change: &dyn Fn(&mut Vec<Witness>)| {
        let mut copy = good.clone();
        change(&mut copy.witnesses);
        assert_ne!(&copy, good, "{name}");
        all.push((name, copy));
    };
    let txid = good.txid();
    add("all stripped".into(), &|w| w.clear());
    add("a stranger's added".into(), &|w| {
        w.push(witness(STRANGER, &full_digest(&node.rules.genesis, &txid, &lock(STRANGER))));
    });
    add("a multisignature of one".into(), &|w| {
        let keys = MultisigKeys { required: 1, keys: vec![key(seeds[0]).public_key()] };
        let digest = full_digest(&node.rules.genesis, &txid, &keys.lock());
        let signature = key(seeds[0]).sign(&digest);
        w[0] = Witness::Multisig { keys, signatures: vec![SlotSignature { slot: 0, signature }] };
    });
    if seeds.len() > 1 {
        add("swapped".into(), &|w| w.swap(0, 1));
    }
    for (index, seed) in seeds.iter().copied().enumerate() {
        add(format!("{index} stripped"), &|w| drop(w.remove(index)));
        add(format!("{index} absent"), &|w| w[index] = Witness::Absent);
        add(format!("{index} twice"), &|w| w.insert(index, w[index].clone()));
        add(format!("{index} a stranger's"), &|w| {
            w[index] = witness(STRANGER, &full_digest(&node.rules.genesis, &txid, &lock(STRANGER)));
        });
        add(format!("{index} by a stranger for the owner"), &|w| {
            w[index] = witness(STRANGER, &full_digest(&node.rules.genesis, &txid, &lock(seed)));
        });
        for prefix in [0, 4, 6, 7] {
            add(format!("{index} key of form {prefix}"), &|w| {
                if let Witness::Key { key, .. } = &mut w[index] {
                    key.0[0] = prefix;
                }
            });
        }
        add(format!("{index} the opposite key"), &|w| {
            if let Witness::Key { key, .. } = &mut w[index] {
                key.0[0] ^= 1;
            }
        });
        add(format!("{index} high s"), &|w| w[index] = key_witness(seed, high(signature_of(&w[index]))));
        for (name, range, byte) in [("r", 0..32, 0), ("s", 32..64, 0), ("r", 0..32, 0xff), ("s", 32..64, 0xff)] {
            add(format!("{index} {name} all {byte}"), &|w| {
                let mut signature = signature_of(&w[index]);
                signature.0[range.clone()].fill(byte);
                w[index] = key_witness(seed, signature);
            });
        }
        for (name, signature) in other_uses(node, seed, &txid) {
            add(format!("{index} made for {name}"), &|w| w[index] = key_witness(seed, signature));
        }
    }
    all
}

/// How a caller's transaction is refused.
fn refusal(node: &mut Node, transaction: &Transaction) -> &'static str {
    match node.verify(transaction).map(|verified| node.try_submit(verified)) {
        Err(rule) | Ok(Err(SubmitError::Pool(PoolError::Rule(rule)))) => rule.code(),
        Ok(Err(SubmitError::Pool(PoolError::Known(_)))) => "known",
        Ok(other) => panic!("{other:?}"),
    }
}

/// Every forged copy on every path, then the good one, then the forged ones again.
fn besiege(node: &mut Node, good: &Transaction, forged: &[(String, Transaction)]) {
    let mut peers = Peers::of(node);
    let time = u64::from(node.height() + 1) * 100;
    for round in 0..2 {
        for (name, copy) in forged {
            let code = refusal(node, copy);
            // Beside the good one a copy whose signatures verify is a variant, and known.
            let known = round == 1 && code == "known";
            assert!(known || ["tx-witness", "tx-witness-count"].contains(&code), "{name}: {code}");
            let block = node.block_of(FIRST, time, vec![copy.clone()]);
            let outcome = node.take(&block);
            let refused = matches!(&outcome, BlockOutcome::Invalid(rule) if known || rule.code() == code);
            assert!(refused, "{name}: {outcome:?}");
            let liar = peers.connect(node);
            let (accused, told) = (peers.accused.len(), peers.told.len());
            peers.deliver(node, liar, copy);
            assert_eq!(peers.told.len(), told, "{name}: passed on");
            // What was refused once is not asked for again.
            assert_eq!(peers.accused.len(), accused + 1 - round, "{name}: {:?}", peers.accused);
        }
        if round == 0 {
            let honest = peers.connect(node);
            peers.deliver(node, honest, good);
            assert!(node.waits(&good.txid()), "the good one is taken after all forged ones");
            assert_eq!(peers.told, [good.full_hash()]);
        }
    }
    assert!(node.entry(&good.txid()).is_some_and(|entry| entry.tx.full_hash() == good.full_hash()));
    let block = node.block_of(FIRST, time, vec![good.clone()]);
    let outcome = node.take(&block);
    assert!(matches!(outcome, BlockOutcome::Applied), "{outcome:?}");
}

#[test]
fn no_forged_witness_serves_or_keeps_the_true_one_away() {
    let chain = chain();
    let (mut node, of_alice, of_bob) = scene(&chain);
    let genesis = node.rules.genesis;
    let authors = draft(10).by(ALICE).by(BOB).pay(ALICE, 0);
    let owners = draft(11).spend(of_alice[0], ALICE).spend(of_bob[0], BOB).pay(BOB, 20);
    let both = draft(12).by(BOB).spend(of_alice[1], ALICE).pay(BOB, 10);
    for (draft, seeds) in [(authors, [ALICE, BOB]), (owners, [ALICE, BOB]), (both, [BOB, ALICE])] {
        let good = draft.sign(&genesis);
        let mut forged = forged(&node, &good, &seeds);
        // The same people signed something else as well.
        let mut other = draft.clone();
        other.body.nonce += 1_000;
        let other = other.sign(&genesis);
        for index in 0..2 {
            let mut copy = good.clone();
            copy.witnesses[index] = other.witnesses[index].clone();
            forged.push((format!("{index} of another transaction"), copy));
        }
        besiege(&mut node, &good, &forged);
    }
}

#[test]
fn a_signature_in_part_serves_for_its_coin_and_its_output_alone() {
    let chain = chain();
    let (mut node, of_alice, of_bob) = scene(&chain);
    let genesis = node.rules.genesis;
    let swap = draft(20).spend_in_part(of_bob[0], BOB).pay(BOB, 8).spend(of_alice[0], ALICE).pay(ALICE, 12);
    let good = swap.sign(&genesis);
    // Alice's witness in full comes first, then Bob's in part.
    let mut forged: Vec<(String, Transaction)> = forged(&node, &good, &[ALICE, BOB]);
    let bob_in_full = witness(BOB, &full_digest(&genesis, &good.txid(), &lock(BOB)));
    let alice_in_part = {
        let in_part =
            draft(20).spend_in_part(of_bob[0], BOB).pay(BOB, 8).spend_in_part(of_alice[0], ALICE).pay(ALICE, 12);
        witness(ALICE, &part_digest(&genesis, &in_part.body, 1, &lock(ALICE)).unwrap())
    };
    for (name, index, foreign) in [("in full for in part", 1, bob_in_full), ("in part for in full", 0, alice_in_part)] {
        let mut copy = good.clone();
        copy.witnesses[index] = foreign;
        forged.push((name.to_owned(), copy));
    }
    besiege(&mut node, &good, &forged);
}

/// A thief completes what Bob signed in part, and signs for the rest as he should.
fn completed(draft: &Draft, genesis: &BlockHash, bobs: &Witness) -> Transaction {
    let mut transaction = draft.sign(genesis);
    *transaction.witnesses.last_mut().unwrap() = bobs.clone();
    transaction
}

#[test]
fn half_an_exchange_fits_no_other_transaction() {
    let chain = chain();
    let (mut node, of_alice, of_bob) = scene(&chain);
    let genesis = node.rules.genesis;
    let offered = || draft(30).spend_in_part(of_bob[0], BOB).pay(BOB, 8);
    let bobs = offered().sign(&genesis).witnesses.remove(0);
    let full = |draft: Draft| draft.spend(of_alice[0], ALICE).pay(ALICE, 12);
    let changed = |change: &dyn Fn(&mut Draft)| {
        let mut draft = full(offered());
        change(&mut draft);
        completed(&draft, &genesis, &bobs)
    };
    let thefts: Vec<(&str, &str, Transaction)> = vec![
        ("another nonce", "tx-witness", changed(&|d| d.body.nonce += 1)),
        ("another last height", "tx-witness", changed(&|d| d.body.last_height = 999)),
        ("another lock time", "tx-witness", changed(&|d| d.body.lock_time = 1)),
        ("another coin of Bob's", "tx-witness", changed(&|d| d.body.inputs[0].outpoint = of_bob[1])),
        ("less for Bob", "tx-witness", changed(&|d| d.body.outputs[0].amount = Amount(7))),
        ("Bob's share for Alice", "tx-witness", changed(&|d| d.body.outputs[0].recipient = Some(lock(ALICE)))),
        ("outputs in another order", "tx-witness", changed(&|d| d.body.outputs.swap(0, 1))),
        ("Bob's output removed", "tx-witness", changed(&|d| drop(d.body.outputs.remove(0)))),
        (
            "another operation with it",
            "tx-witness",
            changed(&|d| {
                d.body.outputs[0].operations =
                    super::draft::grant(9, None, &[Permission::Send], BlockRange::ALWAYS).operations;
            }),
        ),
        ("the input moved behind", "tx-witness", {
            let moved = draft(30).spend(of_alice[0], ALICE).pay(ALICE, 12).spend_in_part(of_bob[0], BOB).pay(BOB, 7);
            completed(&moved, &genesis, &bobs)
        }),
        ("the coin twice", "tx-input-twice", {
            let twice = full(offered()).spend_in_part(of_bob[0], BOB).pay(BOB, 8);
            completed(&twice, &genesis, &bobs)
        }),
        ("the signature twice", "tx-witness", {
            let twice = full(offered()).spend_in_part(of_bob[1], BOB).pay(BOB, 8);
            let mut transaction = twice.sign(&genesis);
            transaction.witnesses[1] = bobs.clone();
            transaction.witnesses[2] = bobs.clone();
            transaction
        }),
        ("no output at its index", "tx-part-no-output", {
            let bare = draft(30).spend(of_alice[0], ALICE).pay(ALICE, 20).spend_in_part(of_bob[0], BOB);
            let mut transaction = bare.sign(&genesis);
            transaction.witnesses.push(bobs.clone());
            transaction
        }),
        ("more for Alice than there is", "coin-overspent", changed(&|d| d.body.outputs[1].amount = Amount(13))),
    ];
    let mut peers = Peers::of(&mut node);
    for (name, code, theft) in &thefts {
        // What Alice signs is right: she is the thief.
        let refused = node.offer(theft).expect_err(name);
        assert_eq!(refused.code(), *code, "{name}: {refused}");
        let block = node.block_of(FIRST, 30, vec![theft.clone()]);
        let outcome = node.take(&block);
        assert!(matches!(&outcome, BlockOutcome::Invalid(rule) if rule.code() == *code), "{name}: {outcome:?}");
        let thief = peers.connect(&mut node);
        peers.deliver(&mut node, thief, theft);
    }
    assert!(node.waiting().is_empty() && peers.told.is_empty());
}

#[test]
fn what_an_offer_leaves_open_others_may_add_and_it_is_taken_once() {
    let chain = chain();
    let (mut node, of_alice, of_bob) = scene(&chain);
    let genesis = node.rules.genesis;
    let offered = || draft(30).spend_in_part(of_bob[0], BOB).pay(BOB, 8);
    let bobs = offered().sign(&genesis).witnesses.remove(0);
    let full = |draft: Draft| draft.spend(of_alice[0], ALICE).pay(ALICE, 12);
    let added = full(offered()).spend(of_alice[1], ALICE).pay(STRANGER, 1).pay(ALICE, 9);
    let added = completed(&added, &genesis, &bobs);
    assert_eq!(node.offer(&added).unwrap_err().code(), "tx-receive");
    let added = completed(&full(offered()).spend(of_alice[1], ALICE).pay(ALICE, 10), &genesis, &bobs);
    node.offer(&added).unwrap();
    let again = completed(&offered().spend(of_alice[2], ALICE).pay(ALICE, 12), &genesis, &bobs);
    assert_eq!(node.offer(&again).unwrap_err().code(), "coin-missing");
    node.mine(FIRST, 40);
    assert_eq!(node.offer(&again).unwrap_err().code(), "coin-missing");
    let block = node.block_of(FIRST, 50, vec![again]);
    assert!(matches!(&node.take(&block), BlockOutcome::Invalid(rule) if rule.code() == "coin-missing"));
}

#[test]
fn forged_copies_that_wait_for_a_parent_do_not_keep_the_true_one_away() {
    let chain = chain();
    let (mut node, of_alice, _) = scene(&chain);
    let genesis = node.rules.genesis;
    let parent = draft(40).spend(of_alice[0], ALICE).pay(ALICE, 10).sign(&genesis);
    let child = draft(41).spend(OutPoint { txid: parent.txid(), index: 0 }, ALICE).pay(BOB, 10).sign(&genesis);
    let mut peers = Peers::of(&mut node);
    let liar = peers.connect(&mut node);
    // Their signatures verify under the keys they carry; whose they should be shows when the coin is there.
    for stranger in 100..120 {
        let mut copy = child.clone();
        copy.witnesses[0] = witness(stranger, &full_digest(&genesis, &child.txid(), &lock(stranger)));
        peers.deliver(&mut node, liar, &copy);
    }
    assert!(peers.accused.is_empty(), "nobody can tell yet: {:?}", peers.accused);
    let honest = peers.connect(&mut node);
    peers.deliver(&mut node, honest, &child);
    peers.deliver(&mut node, honest, &parent);
    assert!(node.waits(&parent.txid()) && node.waits(&child.txid()));
    assert_eq!(node.entry(&child.txid()).unwrap().tx.full_hash(), child.full_hash());
    assert_eq!(peers.accused.len(), 1, "the liar: {:?}", peers.accused);
    assert!(peers.accused[0].contains("tx-witness"), "{:?}", peers.accused);
}

#[test]
fn a_peer_cannot_have_foreign_signatures_verified_for_ever() {
    let chain = chain();
    let (mut node, _, _) = scene(&chain);
    let genesis = node.rules.genesis;
    let good = draft(60).by(ALICE).pay(ALICE, 0).sign(&genesis);
    let mut peers = Peers::of(&mut node);
    let liar = peers.connect(&mut node);
    let mut copies = (100u8..110).map(|stranger| {
        let mut copy = good.clone();
        copy.witnesses[0] = witness(stranger, &full_digest(&genesis, &good.txid(), &lock(stranger)));
        copy
    });
    peers.deliver(&mut node, liar, &copies.next().unwrap());
    assert_eq!(peers.accused.len(), 1, "{:?}", peers.accused);
    let asked = peers.asked;
    for copy in copies {
        peers.deliver(&mut node, liar, &copy);
    }
    assert_eq!(peers.asked, asked, "who was caught is not listened to");
}

#[test]
fn signatures_of_an_author_without_room_are_not_looked_at() {
    let chain = chain();
    let (mut node, _, _) = scene(&chain);
    let genesis = node.rules.genesis;
    let by = |author, nonce| draft(nonce).by(author).pay(author, 0).sign(&genesis);
    let (flood, other) = (by(ALICE, 60), by(BOB, 61));
    node.limit_pool(PoolLimits { author_bytes: flood.size() + 10, ..PoolLimits::default() });
    let mut peers = Peers::of(&mut node);
    let peer = peers.connect(&mut node);
    let more: Vec<Transaction> = (70..75).map(|nonce| by(ALICE, nonce)).collect();
    for transaction in std::iter::once(&flood).chain(&more).chain([&other]) {
        peers.deliver(&mut node, peer, transaction);
    }
    assert_eq!(peers.checked, [flood.full_hash(), other.full_hash()]);
    assert!(node.waits(&flood.txid()) && node.waits(&other.txid()));
    // They are asked for anew once a block made room.
    node.mine(FIRST, 50);
    peers.catch_up(&mut node);
    for transaction in &more {
        peers.deliver(&mut node, peer, transaction);
    }
    assert_eq!(peers.checked[2..], [more[0].full_hash()]);
    assert!(node.waits(&more[0].txid()) && peers.accused.is_empty(), "{:?}", peers.accused);
}

#[test]
fn bytes_that_are_not_the_canonical_form_of_a_transaction_are_none() {
    let good = draft(50).by(ALICE).by(BOB).pay(ALICE, 0).sign(&BlockHash([1; 32]));
    let bytes = encode(&good);
    assert_eq!(decode::<Transaction>(&bytes).unwrap(), good);
    assert!(decode::<Transaction>(&[&bytes[..], &[0]].concat()).is_err(), "a byte more");
    for cut in 0..bytes.len() {
        assert!(decode::<Transaction>(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    // Whatever single bit is turned, the bytes are none or those of another full hash.
    for index in 0..bytes.len() * 8 {
        let mut turned = bytes.clone();
        turned[index / 8] ^= 1 << (index % 8);
        if let Ok(other) = decode::<Transaction>(&turned) {
            assert_ne!(other.full_hash(), good.full_hash());
            assert_eq!(encode(&other), turned, "bit {index} has no second form");
        }
    }
    assert!(matches!(lock(ALICE), Lock::Key(_)));
}
