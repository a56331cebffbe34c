//! Coins: which outputs make them, what may be spent, balances and limits.

use rota_chain::amount::{Amount, Height};
use rota_chain::transaction::{OutPoint, Output};
use rota_consensus::rule::CoinRule;
use rota_consensus::rules::Rules;
use rota_consensus::state::StateView;

use crate::chain_builder::{Chain, coin_of};
use crate::transaction_builder::{broken, party, several};

/// A chain with a reward of 100, and alice's coin from block 1.
fn rich(change: impl FnOnce(&mut Rules)) -> (Chain, OutPoint) {
    let mut chain = Chain::with(|rules| {
        rules.initial_block_reward = 100;
        rules.reward_spendable_delay = 1;
        change(rules);
    });
    chain.mine(Vec::new());
    let coin = chain.reward_of(Height(1));
    (chain, coin)
}

#[test]
fn a_coin_that_does_not_exist_is_missing() {
    let (chain, _) = rich(|_| ());
    let outpoint = coin_of(chain.genesis.transactions[0].txid(), 0);
    let spend = chain.write().spend(outpoint, &party("alice")).pay(&party("alice"), 1);
    assert_eq!(chain.refusal(spend), CoinRule::Missing { outpoint }.into());
}

#[test]
fn a_coin_is_spent_once() {
    let (mut chain, coin) = rich(|_| ());
    let alice = party("alice");
    chain.confirm(chain.write().spend(coin, &alice).pay(&alice, 100));
    let again = chain.write().spend(coin, &alice).pay(&alice, 100);
    broken(chain.refusal(again), "coin-missing");
    // Twice in one block as well: the second sees what the first did.
    let coin = chain.reward_of(Height(2));
    let spends = [40, 60]
        .map(|amount| chain.sign(chain.write().spend(coin, &alice).pay(&alice, amount).pay(&alice, 100 - amount)));
    let block = chain.block_by(&alice, spends.to_vec());
    broken(chain.offer(block).unwrap_err(), "coin-missing");
}

#[test]
fn a_coin_made_in_a_block_may_be_spent_later_in_the_same_block() {
    let (mut chain, coin) = rich(|_| ());
    let alice = party("alice");
    let first = chain.sign(chain.write().spend(coin, &alice).pay(&alice, 100));
    let second = chain.sign(chain.write().spend(coin_of(first.txid(), 0), &alice).pay(&alice, 100));
    let reversed = chain.block_by(&alice, vec![second.clone(), first.clone()]);
    broken(chain.offer(reversed).unwrap_err(), "coin-missing");
    chain.mine(vec![first, second]);
}

#[test]
fn a_reward_ripens() {
    let (mut chain, coin) = rich(|rules| rules.reward_spendable_delay = 4);
    let alice = party("alice");
    let spend = chain.write().spend(coin, &alice).pay(&alice, 100);
    chain.mine_to(3);
    assert_eq!(chain.refusal(spend.clone()), CoinRule::Immature { outpoint: coin, until: Height(5) }.into());
    broken(chain.refusal(spend.clone()), "coin-immature");
    chain.mine_to(4);
    assert!(chain.propose(spend).is_ok());
}

#[test]
fn outputs_do_not_exceed_inputs_and_the_rest_is_the_fee() {
    let (chain, coin) = rich(|_| ());
    let alice = party("alice");
    let pay = |amount| chain.write().spend(coin, &alice).pay(&alice, amount);
    assert_eq!(chain.propose(pay(100)).unwrap().fee, Amount::ZERO);
    assert_eq!(chain.propose(pay(93)).unwrap().fee, Amount(7));
    let refusal = chain.refusal(pay(101));
    assert_eq!(refusal, CoinRule::Overspent { inputs: Amount(100), outputs: Amount(101) }.into());
    broken(refusal, "coin-overspent");
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    let (chain, coin) = rich(|rules| rules.maximum_per_output = u64::MAX);
    let alice = party("alice");
    let pay = chain.write().spend(coin, &alice).pay(&alice, u64::MAX).pay(&alice, u64::MAX);
    broken(chain.refusal(pay), "coin-overflow");
}

#[test]
fn an_output_holds_nothing_or_an_amount_between_the_limits() {
    let (chain, coin) = rich(|rules| {
        rules.minimum_per_output = 10;
        rules.maximum_per_output = 90;
    });
    let alice = party("alice");
    let pay = |amount| chain.propose(chain.write().spend(coin, &alice).pay(&alice, amount));
    for amount in [0, 10, 90] {
        assert!(pay(amount).is_ok(), "{amount}");
    }
    broken(pay(9).unwrap_err(), "coin-dust");
    broken(pay(91).unwrap_err(), "coin-large");
}

#[test]
fn a_chain_may_forbid_addresses_of_several_keys() {
    let (chain, coin) = rich(|rules| rules.allow_multisig = false);
    let group = several(1, &["x", "y"]);
    let pay = chain.write().spend(coin, &party("alice")).pay(&group, 100);
    broken(chain.refusal(pay), "coin-multisig");
    let grant = chain.write().author(&party("alice")).grant(&group, "send");
    broken(chain.refusal(grant), "coin-multisig");
}

#[test]
fn several_keys_hold_and_spend_a_coin() {
    let (mut chain, coin) = rich(|_| ());
    let (alice, group) = (party("alice"), several(2, &["x", "y", "z"]));
    chain.confirm(chain.write().author(&alice).grant(&group, "send,receive"));
    let txid = chain.confirm(chain.write().spend(coin, &alice).pay(&group, 100));
    let back = chain.write().spend(coin_of(txid, 0), &group).pay(&alice, 100);
    assert!(chain.propose(back).is_ok());
}

#[test]
fn payments_make_coins_and_operations_without_value_do_not() {
    let (mut chain, coin) = rich(|_| ());
    let (alice, bob) = (party("alice"), party("bob"));
    let mut valuable_grant = chain.write().author(&alice).grant(&bob, "send").body.outputs[0].clone();
    valuable_grant.amount = Amount(30);
    chain.confirm(chain.write().author(&alice).grant(&bob, "receive"));
    let writing = chain
        .write()
        .author(&alice)
        .spend(coin, &alice)
        .pay(&bob, 0)
        .grant(&bob, "create")
        .output(valuable_grant)
        .output(Output { recipient: None, amount: Amount(5), assets: Vec::new(), operations: Vec::new() })
        .pay(&alice, 65);
    let txid = chain.confirm(writing);
    let made: Vec<Option<Amount>> = (0..5)
        .map(|index| {
            let coin = chain.state.coin(coin_of(txid, index)).unwrap();
            coin.map(|coin| coin.amount)
        })
        .collect();
    assert_eq!(made, [Some(Amount(0)), None, Some(Amount(30)), None, Some(Amount(65))]);
}

#[test]
fn a_coin_knows_its_owner_its_block_and_whether_it_is_a_reward() {
    let (mut chain, coin) = rich(|_| ());
    let alice = party("alice");
    let reward = chain.state.coin(coin).unwrap().unwrap();
    assert!(reward.coinbase && reward.height == Height(1) && reward.owner == alice.lock());
    let txid = chain.confirm(chain.write().spend(coin, &alice).pay(&alice, 100));
    let payment = chain.state.coin(coin_of(txid, 0)).unwrap().unwrap();
    assert!(!payment.coinbase && payment.height == Height(2));
    assert_eq!(chain.state.coin(coin).unwrap(), None);
}
