//! Tests of `commit`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::hash::Txid;
use rota_chain::permission::Permission;
use rota_consensus::state::{StateKey, StateView};

use crate::error::StorageError;
use crate::fixture::{Chain, author};

#[test]
fn blocks_applied_one_by_one_give_the_state_of_the_model() {
    let mut chain = Chain::new();
    chain.assert_sound();
    let first = chain.stream("a");
    let stream = first.txid();
    let second = chain.stream("b");
    chain.extend(vec![]);
    chain.extend(vec![first, second]);
    let item = chain.item(2, stream, &["k"]);
    chain.extend(vec![item]);
    chain.assert_sound();
    let snapshot = chain.store.snapshot().unwrap();
    assert_eq!(snapshot.entity_named(b"A").unwrap(), Some(stream));
    let holders = snapshot.holders(Some(stream), Permission::Admin).unwrap();
    assert_eq!(holders.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [author(1)]);
    assert_eq!(snapshot.holders(Some(stream), Permission::Write).unwrap(), []);
    assert_eq!(snapshot.permissions(Some(stream)).unwrap().len(), 1);
    assert_eq!(snapshot.permissions(None).unwrap(), []);
}

#[test]
fn a_reorganisation_in_one_commit_gives_the_state_of_the_other_branch() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    let streams: Vec<_> = ["a", "b", "c"].map(|name| chain.stream(name)).into();
    let lost = streams[2].txid();
    let old = chain.extend(streams.clone());
    let tip = chain.extend(vec![]);
    let mut other = base;
    for transactions in [vec![streams[1].clone()], vec![], vec![streams[0].clone()]] {
        other = chain.make(Some(other), transactions);
    }
    let commit = chain.move_to(other);
    assert_eq!(commit.undone, [tip, old]);
    chain.store.commit(&commit).unwrap();
    chain.assert_sound();
    let snapshot = chain.store.snapshot().unwrap();
    assert_eq!(snapshot.transaction(&lost).unwrap(), None);
    assert_eq!(snapshot.transaction_height(&lost).unwrap(), None);
    assert!(!snapshot.is_active(&old).unwrap() && snapshot.is_active(&other).unwrap());
    chain.store.commit(&chain.move_to(tip)).unwrap();
    chain.assert_sound();
    assert_eq!(chain.store.snapshot().unwrap().block_hashes(0..9).unwrap(), [base, old, tip]);
}

#[test]
fn undoing_alone_moves_the_tip_back() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    let stream = chain.stream("a");
    chain.extend(vec![stream]);
    chain.store.commit(&chain.move_to(base)).unwrap();
    chain.assert_sound();
    assert_eq!(chain.tip().map(|tip| tip.hash), Some(base));
}

#[test]
fn a_commit_that_does_not_follow_the_tip_changes_nothing() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    let side = chain.make(Some(base), vec![]);
    let far = chain.make(Some(side), vec![]);
    let mut gap = chain.move_to(far);
    gap.applied.remove(0);
    let mut wrong_end = chain.move_to(far);
    wrong_end.tip = chain.models[&side].tip.unwrap();
    let mut wrong_undo = chain.move_to(side);
    wrong_undo.undone = vec![far];
    for commit in [gap, wrong_end, wrong_undo] {
        let error = chain.store.commit(&commit).unwrap_err();
        assert_eq!(error.code(), "storage-order", "{error}");
        chain.assert_sound();
    }
    assert_eq!(chain.tip().map(|tip| tip.hash), Some(base));
}

#[test]
fn a_snapshot_stays_as_it_was_while_blocks_are_committed() {
    let mut chain = Chain::new();
    chain.extend(vec![]);
    let stream = chain.stream("a");
    let txid = stream.txid();
    let before = chain.store.snapshot().unwrap();
    let tip = before.tip();
    assert_eq!(before.entity(&txid).unwrap(), None);
    chain.extend(vec![stream]);
    let after = chain.store.snapshot().unwrap();
    assert!(after.entity(&txid).unwrap().is_some());
    assert_eq!(before.entity(&txid).unwrap(), None);
    assert_eq!(before.tip(), tip);
    assert_eq!(before.transaction(&txid).unwrap(), None);
    assert!(after.transaction(&txid).unwrap().is_some());
}

#[test]
fn what_is_remembered_of_hot_elements_follows_every_commit() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    let stream = chain.stream("a");
    let key = StateKey::Entity(stream.txid());
    let read = |chain: &Chain| chain.store.snapshot().unwrap().get(&key).unwrap().is_some();
    assert!(!read(&chain) && !read(&chain));
    let tip = chain.extend(vec![stream]);
    assert!(read(&chain) && read(&chain));
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert!(!read(&chain) && !read(&chain));
    chain.store.commit(&chain.move_to(tip)).unwrap();
    assert!(read(&chain));
    let failed = chain.store.commit(&chain.move_to(tip));
    assert!(failed.is_ok(), "a commit of nothing is none");
    assert!(read(&chain));
}

#[test]
fn a_failed_undo_says_what_is_missing() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    let tip = chain.extend(vec![]);
    let mut entry = chain.store.block_entry(&tip).unwrap().unwrap();
    entry.undo = None;
    chain.store.put_block_entry(&tip, &entry).unwrap();
    let error = chain.store.commit(&chain.move_to(base)).unwrap_err();
    assert!(matches!(error, StorageError::Missing(ref what) if what.contains("undo")), "{error}");
    assert_ne!(Txid(tip.0), Txid(base.0));
}
