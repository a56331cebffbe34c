//! The outputs that take change: quantities of assets first, then native currency, within what an output may hold.

use rota_chain::amount::Amount;
use rota_chain::asset::{AssetQuantity, AssetReference};
use rota_chain::lock::Lock;
use rota_chain::transaction::{MAX_ASSETS, Output};
use rota_consensus::rules::Rules;
use rota_consensus::state::Coin;
use rota_wallet::select::{Holding, Unit};

/// The outputs that give `change` back, and native currency that no output may hold. `to` takes all of it; without it
/// each unit goes to the first owner of a coin that held it.
pub(super) fn outputs(rules: &Rules, coins: &[Coin], change: &Holding, to: Option<Lock>) -> (Vec<Output>, Amount) {
    let mut outputs: Vec<Output> = Vec::new();
    for (quantity, (unit, _)) in change.quantities().into_iter().zip(&change.assets) {
        let Some(owner) = to.or_else(|| holder(coins, unit)) else { continue };
        place(&mut outputs, owner, quantity);
    }
    let mut left = change.amount.0;
    let owner = to.or_else(|| coins.iter().find(|coin| coin.amount > Amount::ZERO).map(|coin| coin.owner));
    let Some(owner) = owner else { return (outputs, Amount(left)) };
    while left > 0 && left >= rules.minimum_per_output {
        let paid = left.min(rules.maximum_per_output.max(1));
        outputs.push(Output::payment(owner, Amount(paid)));
        left -= paid;
    }
    (outputs, Amount(left))
}

/// The first owner of a coin that holds some of a unit.
fn holder(coins: &[Coin], unit: &Unit) -> Option<Lock> {
    let holds = |quantity: &AssetQuantity| {
        quantity.asset == AssetReference::Existing(unit.asset) && quantity.token == unit.token
    };
    coins.iter().find(|coin| coin.assets.iter().any(holds)).map(|coin| coin.owner)
}

/// Puts a quantity into the last output of its owner, or into a new one if that is full.
fn place(outputs: &mut Vec<Output>, owner: Lock, quantity: AssetQuantity) {
    let room = |output: &&mut Output| output.recipient == Some(owner) && output.assets.len() < MAX_ASSETS as usize;
    match outputs.iter_mut().rev().find(room) {
        Some(output) => output.assets.push(quantity),
        None => outputs.push(Output { assets: vec![quantity], ..Output::payment(owner, Amount::ZERO) }),
    }
}

#[cfg(test)]
mod tests {
    use rota_chain::amount::Height;
    use rota_chain::hash::Txid;
    use rota_chain::lock::KeyHash;
    use rota_params::{PROTOCOL_LATEST, ParameterSet};

    use super::*;

    fn lock(seed: u8) -> Lock {
        Lock::Key(KeyHash([seed; 20]))
    }

    fn unit(asset: u8) -> Unit {
        Unit { asset: Txid([asset; 32]), token: None }
    }

    fn coin(owner: u8, amount: u64, assets: &[u8]) -> Coin {
        let quantity = |asset: &u8| AssetQuantity {
            asset: AssetReference::Existing(Txid([*asset; 32])),
            token: None,
            quantity: 9,
        };
        let assets = assets.iter().map(quantity).collect();
        Coin { owner: lock(owner), amount: Amount(amount), assets, height: Height(1), coinbase: false }
    }

    fn rules(least: u64, most: u64) -> Rules {
        let set = ParameterSet::with_defaults("change", PROTOCOL_LATEST);
        let mut rules = Rules::new(&set.expect("defaults are sound"));
        (rules.minimum_per_output, rules.maximum_per_output) = (least, most);
        rules
    }

    fn change(amount: u64, assets: &[u8]) -> Holding {
        Holding { amount: Amount(amount), assets: assets.iter().map(|asset| (unit(*asset), 5)).collect() }
    }

    fn shown(outputs: &[Output]) -> Vec<(Option<Lock>, u64, usize)> {
        outputs.iter().map(|output| (output.recipient, output.amount.0, output.assets.len())).collect()
    }

    #[test]
    fn assets_and_currency_come_back_apart() {
        let (outputs, left) = outputs(&rules(0, 1_000), &[coin(1, 7, &[1, 2])], &change(7, &[1, 2]), None);
        assert_eq!(shown(&outputs), [(Some(lock(1)), 0, 2), (Some(lock(1)), 7, 0)]);
        assert_eq!(left, Amount::ZERO);
    }

    #[test]
    fn change_goes_to_who_held_it_unless_somebody_is_named() {
        let coins = [coin(1, 0, &[1]), coin(2, 7, &[2])];
        let (own, _) = outputs(&rules(0, 1_000), &coins, &change(7, &[1, 2]), None);
        assert_eq!(shown(&own), [(Some(lock(1)), 0, 1), (Some(lock(2)), 0, 1), (Some(lock(2)), 7, 0)]);
        let (named, _) = outputs(&rules(0, 1_000), &coins, &change(7, &[1, 2]), Some(lock(3)));
        assert_eq!(shown(&named), [(Some(lock(3)), 0, 2), (Some(lock(3)), 7, 0)]);
    }

    #[test]
    fn change_keeps_within_what_an_output_may_hold() {
        let amounts = |rules: &Rules, amount: u64| -> (Vec<u64>, u64) {
            let (outputs, left) = outputs(rules, &[coin(1, amount, &[])], &change(amount, &[]), None);
            (outputs.iter().map(|output| output.amount.0).collect(), left.0)
        };
        assert_eq!(amounts(&rules(5, 100), 4), (vec![], 4));
        assert_eq!(amounts(&rules(5, 100), 5), (vec![5], 0));
        assert_eq!(amounts(&rules(5, 100), 230), (vec![100, 100, 30], 0));
        assert_eq!(amounts(&rules(5, 100), 102), (vec![100], 2));
    }
}
