//! Tests of `coin`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::data::{Data, DataFormat};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Grant, Permission};
use rota_chain::transaction::{OutPoint, Transaction};

use crate::fixture::{Chain, author};

fn outpoint(transaction: &Transaction, index: u32) -> OutPoint {
    OutPoint { txid: transaction.txid(), index }
}

fn amounts(chain: &Chain, owner: u8) -> Vec<u64> {
    let coins = chain.store.snapshot().unwrap().coins_of(&author(owner), None, 100).unwrap();
    let mut amounts: Vec<u64> = coins.iter().map(|(_, owned)| owned.coin.amount.0).collect();
    amounts.sort_unstable();
    amounts
}

#[test]
fn an_owner_has_the_coins_that_were_paid_and_not_yet_spent() {
    let mut chain = Chain::new();
    let first = chain.payment(&[], &[(2, 5), (3, 7), (2, 6)]);
    chain.extend(vec![first.clone()]);
    assert_eq!((amounts(&chain, 2), amounts(&chain, 3)), (vec![5, 6], vec![7]));
    let second = chain.payment(&[outpoint(&first, 0)], &[(3, 4), (2, 1)]);
    chain.extend(vec![second]);
    assert_eq!((amounts(&chain, 2), amounts(&chain, 3)), (vec![1, 6], vec![4, 7]));
    assert_eq!(amounts(&chain, 4), []);
    chain.assert_sound();
}

#[test]
fn a_coin_made_and_spent_in_blocks_that_are_undone_together_is_gone() {
    let mut chain = Chain::new();
    let base = chain.extend(vec![]);
    let made = chain.payment(&[], &[(2, 5)]);
    chain.extend(vec![made.clone()]);
    let spent = chain.payment(&[outpoint(&made, 0)], &[(3, 5)]);
    let inside = chain.payment(&[outpoint(&spent, 0)], &[(4, 5)]);
    let tip = chain.extend(vec![spent, inside]);
    assert_eq!((amounts(&chain, 2), amounts(&chain, 3), amounts(&chain, 4)), (vec![], vec![], vec![5]));
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert_eq!((amounts(&chain, 2), amounts(&chain, 3), amounts(&chain, 4)), (vec![], vec![], vec![]));
    chain.assert_sound();
    chain.store.commit(&chain.move_to(tip)).unwrap();
    assert_eq!(amounts(&chain, 4), [5]);
    chain.assert_sound();
}

#[test]
fn a_coin_spent_by_a_branch_that_lost_is_its_owners_again() {
    let mut chain = Chain::new();
    let made = chain.payment(&[], &[(2, 5)]);
    let base = chain.extend(vec![made.clone()]);
    let spent = chain.payment(&[outpoint(&made, 0)], &[(3, 5)]);
    chain.extend(vec![spent]);
    let mut other = chain.make(Some(base), vec![]);
    other = chain.make(Some(other), vec![]);
    chain.store.commit(&chain.move_to(other)).unwrap();
    assert_eq!((amounts(&chain, 2), amounts(&chain, 3)), (vec![5], vec![]));
    chain.assert_sound();
}

#[test]
fn what_stands_beside_a_coin_is_known_again_after_its_spending_was_undone() {
    let mut chain = Chain::new();
    let mut made = chain.payment(&[], &[(2, 5), (2, 6), (2, 7)]);
    let data = Data { format: DataFormat::Raw, bytes: vec![1] };
    made.body.outputs[1].operations.push(Operation::Data(data));
    let permissions = [Permission::Send].into_iter().collect();
    let grant = Grant { entity: None, permissions, range: BlockRange::ALWAYS, timestamp: 0 };
    made.body.outputs[2].operations.push(Operation::Grant(grant));
    let base = chain.extend(vec![made.clone()]);
    let beside = |chain: &Chain| -> Vec<(u64, bool, bool)> {
        let coins = chain.store.snapshot().unwrap().coins_of(&author(2), None, 9).unwrap();
        coins.iter().map(|(_, owned)| (owned.coin.amount.0, owned.beside.data, owned.beside.grants)).collect()
    };
    let expected = [(5, false, false), (6, true, false), (7, false, true)];
    assert_eq!(beside(&chain), expected);
    let spent: Vec<OutPoint> = (0..3).map(|index| outpoint(&made, index)).collect();
    let spending = chain.payment(&spent, &[(3, 18)]);
    chain.extend(vec![spending]);
    assert_eq!(beside(&chain), []);
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert_eq!(beside(&chain), expected);
    chain.assert_sound();
}

#[test]
fn pages_of_coins_follow_each_other_without_gap_or_repetition() {
    let mut chain = Chain::new();
    let paid: Vec<(u8, u64)> = (1..=300).map(|units| (2, units)).collect();
    let first = chain.payment(&[], &paid);
    let second = chain.payment(&[], &[(2, 999), (1, 1), (3, 1)]);
    chain.extend(vec![first, second]);
    let snapshot = chain.store.snapshot().unwrap();
    let all = snapshot.coins_of(&author(2), None, 1_000).unwrap();
    assert_eq!(all.len(), 301);
    assert!(all.is_sorted_by_key(|(outpoint, _)| *outpoint));
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot.coins_of(&author(2), after, 70).unwrap();
        assert!(page.len() <= 70);
        after = page.last().map(|(outpoint, _)| *outpoint);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let mut seen = 0;
    snapshot
        .for_each_coin_of(&author(2), |_, _| {
            seen += 1;
            seen < 10
        })
        .unwrap();
    assert_eq!(seen, 10);
}
