//! Tests of `select`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::lock::KeyHash;

use super::*;

fn unit(asset: u8) -> Unit {
    Unit { asset: Txid([asset; 32]), token: None }
}

fn coin(number: u32, amount: u64, assets: &[(u8, u64)]) -> Candidate {
    Candidate {
        outpoint: OutPoint { txid: Txid([9; 32]), index: number },
        owner: Lock::Key(KeyHash([1; 20])),
        amount: Amount(amount),
        assets: assets.iter().map(|(asset, quantity)| (unit(*asset), *quantity)).collect(),
        confirmed: true,
        restricted: false,
        hindrance: None,
    }
}

fn native(amounts: &[u64]) -> Vec<Candidate> {
    (0u32..).zip(amounts).map(|(number, amount)| coin(number, *amount, &[])).collect()
}

fn needs(amount: u64, assets: &[(u8, u64)]) -> Holding {
    Holding {
        amount: Amount(amount),
        assets: assets.iter().map(|(asset, quantity)| (unit(*asset), *quantity)).collect(),
    }
}

fn chosen(candidates: &[Candidate], needs: &Holding) -> Vec<usize> {
    let mut coins = choose_coins(candidates, needs, 1_000).unwrap().coins;
    coins.sort_unstable();
    coins
}

#[test]
fn one_coin_that_fits_best_comes_before_several() {
    let coins = native(&[3, 50, 8, 7, 9]);
    assert_eq!(chosen(&coins, &needs(8, &[])), [2]);
    assert_eq!(chosen(&coins, &needs(10, &[])), [1]);
    assert_eq!(chosen(&coins, &needs(58, &[])), [1, 2]);
    assert_eq!(chosen(&coins, &needs(77, &[])), [0, 1, 2, 3, 4]);
    assert_eq!(choose_coins(&coins, &needs(8, &[]), 1_000).unwrap().change, Holding::default());
    assert_eq!(choose_coins(&coins, &needs(12, &[]), 1_000).unwrap().change, needs(38, &[]));
}

#[test]
fn nothing_needed_chooses_nothing() {
    assert_eq!(chosen(&native(&[1]), &Holding::default()), Vec::<usize>::new());
    assert!(choose_coins(&[], &Holding::default(), 0).is_ok());
}

#[test]
fn change_holds_what_came_along() {
    let coins = [coin(0, 5, &[(1, 10), (2, 4)])];
    let choice = choose_coins(&coins, &needs(0, &[(1, 3)]), 10).unwrap();
    assert_eq!(choice.change, needs(5, &[(1, 7), (2, 4)]));
}

#[test]
fn a_coin_that_holds_two_of_the_units_makes_others_needless() {
    let coins = [coin(0, 0, &[(1, 5)]), coin(1, 0, &[(1, 4), (2, 9)])];
    assert_eq!(chosen(&coins, &needs(0, &[(1, 4), (2, 9)])), [1]);
    assert_eq!(chosen(&coins, &needs(0, &[(1, 5), (2, 9)])), [0, 1]);
}

#[test]
fn tokens_of_one_asset_are_told_apart() {
    let token = |text: &str| Unit { asset: Txid([1; 32]), token: Some(text.as_bytes().to_vec()) };
    let mut coins = native(&[0, 0]);
    coins[0].assets = vec![(token("a"), 5)];
    coins[1].assets = vec![(token("b"), 5)];
    let need = Holding { amount: Amount::ZERO, assets: [(token("b"), 1)].into() };
    assert_eq!(chosen(&coins, &need), [1]);
    let need = Holding { amount: Amount::ZERO, assets: [(unit(1), 1)].into() };
    assert_eq!(choose_coins(&coins, &need, 9), Err(Shortage::Insufficient));
}

#[test]
fn confirmed_coins_are_spent_before_unconfirmed_ones() {
    let mut coins = native(&[10, 4, 6]);
    coins[0].confirmed = false;
    assert_eq!(chosen(&coins, &needs(9, &[])), [1, 2]);
    assert_eq!(chosen(&coins, &needs(11, &[])), [0, 1]);
}

#[test]
fn coins_with_restricted_assets_are_spent_for_those_alone_while_others_do() {
    let mut coins = [coin(0, 100, &[(7, 1)]), coin(1, 60, &[]), coin(2, 60, &[])];
    coins[0].restricted = true;
    coins[2].confirmed = false;
    assert_eq!(chosen(&coins, &needs(100, &[])), [1, 2], "even unconfirmed ones come first");
    assert_eq!(chosen(&coins, &needs(200, &[])), [0, 1, 2]);
    assert_eq!(chosen(&coins, &needs(0, &[(7, 1)])), [0], "a needed one is no burden");
}

#[test]
fn a_shortage_names_what_would_help() {
    let mut coins = native(&[10, 10, 10, 10]);
    let reasons = [Hindrance::Permission, Hindrance::Locked, Hindrance::Immature];
    for (coin, reason) in coins[1..].iter_mut().zip(reasons) {
        coin.hindrance = Some(reason);
    }
    assert_eq!(chosen(&coins, &needs(10, &[])), [0]);
    for (needed, reason) in [11, 21, 31].into_iter().zip(reasons) {
        assert_eq!(choose_coins(&coins, &needs(needed, &[]), 9), Err(Shortage::Hindered(reason)));
    }
    assert_eq!(choose_coins(&coins, &needs(41, &[]), 9), Err(Shortage::Insufficient));
    coins[1].hindrance = Some(Hindrance::Busy);
    assert_eq!(choose_coins(&coins, &needs(11, &[]), 9), Err(Shortage::Hindered(Hindrance::Busy)));
}

#[test]
fn more_inputs_than_allowed_are_refused_with_the_limit() {
    let coins = native(&[1; 20]);
    assert_eq!(choose_coins(&coins, &needs(10, &[]), 10).unwrap().coins.len(), 10);
    assert_eq!(choose_coins(&coins, &needs(11, &[]), 10), Err(Shortage::Many { limit: 10 }));
    let mut coins = native(&[1; 20]);
    coins.push(Candidate { confirmed: false, ..coin(20, 50, &[]) });
    assert_eq!(chosen(&coins, &needs(11, &[])).len(), 11);
    assert_eq!(
        choose_coins(&coins, &needs(11, &[]), 10).unwrap().coins,
        [20],
        "one unconfirmed coin, if others are many"
    );
}

#[test]
fn sums_beyond_64_bits_do_not_overflow() {
    let coins = native(&[u64::MAX, u64::MAX]);
    assert_eq!(chosen(&coins, &needs(u64::MAX, &[])).len(), 1);
    let mut full = needs(0, &[(1, u64::MAX)]);
    assert!(!full.add_asset(unit(1), 1) && full.add_asset(unit(1), 0) && full.add_asset(unit(2), 1));
}

#[test]
fn the_work_grows_with_the_coins_and_the_units_alone() {
    let many = |count: u32| -> Vec<Candidate> {
        (0..count).map(|n| coin(n, u64::from(n % 977) + 1, &[(1, u64::from(n % 13) + 1), (2, 1)])).collect()
    };
    let steps = |count: u32| {
        let needs = needs(u64::from(count) * 200, &[(1, u64::from(count)), (2, 5)]);
        choose_coins(&many(count), &needs, usize::MAX).unwrap().steps
    };
    let (small, large) = (steps(1_000), steps(100_000));
    assert!(large <= small * 110, "{small} steps for 1,000 coins, {large} for 100,000");
    assert!(large <= 100_000 * 20, "{large} steps");
}
