//! Rewards and the supply of native currency.

use rota_chain::amount::{Amount, Height};
use rota_consensus::coin::reward;
use rota_consensus::rule::BlockRule;
use rota_consensus::state::StateView;

use crate::chain_builder::{Chain, coin_of};
use crate::transaction_builder::{broken, party};

#[test]
fn rewards_halve_and_the_first_block_may_have_its_own() {
    let chain = Chain::with(|rules| {
        rules.initial_block_reward = 80;
        rules.first_block_reward = 1_000;
        rules.reward_halving_interval = 4;
    });
    let rewards: Vec<u64> = (0..14).map(|h| reward(&chain.rules, Height(h)).0).collect();
    assert_eq!(rewards, [0, 1_000, 80, 80, 40, 40, 40, 40, 20, 20, 20, 20, 10, 10]);
    assert_eq!(reward(&chain.rules, Height(4 * 64)), Amount::ZERO);
    assert_eq!(reward(&chain.rules, Height(u32::MAX)), Amount::ZERO);
    let plain = Chain::with(|rules| {
        rules.initial_block_reward = 80;
        rules.first_block_reward = -1;
    });
    assert_eq!(reward(&plain.rules, Height(1)), Amount(80));
}

#[test]
fn a_miner_claims_reward_and_fees_and_no_more() {
    let mut chain = Chain::with(|rules| {
        rules.initial_block_reward = 100;
        rules.reward_spendable_delay = 1;
    });
    let alice = party("alice");
    chain.mine(Vec::new());
    let coin = chain.reward_of(Height(1));
    let tx = chain.sign(chain.write().spend(coin, &alice).pay(&alice, 93));
    let greedy = chain.block_paying(&alice, Amount(108), vec![tx.clone()]);
    let refusal = chain.offer(greedy).unwrap_err();
    assert_eq!(refusal, BlockRule::Reward { paid: Amount(108), limit: Amount(107) }.into());
    broken(refusal, "block-reward");
    let exact = chain.block_paying(&alice, Amount(107), vec![tx]);
    assert!(chain.offer(exact).is_ok());
}

#[test]
fn a_miner_may_claim_less_and_the_rest_is_never_made() {
    let mut chain = Chain::with(|rules| rules.initial_block_reward = 100);
    let alice = party("alice");
    let modest = chain.block_paying(&alice, Amount(1), Vec::new());
    assert!(chain.offer(modest).is_ok());
    let coin = chain.state.coin(chain.reward_of(Height(1))).unwrap();
    assert_eq!(coin.unwrap().amount, Amount(1));
}

#[test]
fn a_reward_of_nothing_makes_no_coin() {
    let mut chain = Chain::with(|rules| rules.initial_block_reward = 0);
    chain.mine(Vec::new());
    assert_eq!(chain.state.coin(chain.reward_of(Height(1))).unwrap(), None);
}

#[test]
fn a_miner_is_paid_without_permission_to_receive() {
    let mut chain = Chain::with(|rules| rules.initial_block_reward = 100);
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "mine"));
    assert!(!chain.may(&bob, rota_chain::permission::Permission::Receive));
    let height = chain.mine_by(&bob, Vec::new()).unwrap();
    let coin = chain.state.coin(chain.reward_of(height)).unwrap().unwrap();
    assert_eq!((coin.owner, coin.amount), (bob.lock(), Amount(100)));
}

#[test]
fn all_unspent_coins_together_are_what_was_claimed_so_far() {
    let mut chain = Chain::with(|rules| {
        rules.initial_block_reward = 100;
        rules.reward_halving_interval = 5;
        rules.reward_spendable_delay = 1;
    });
    let alice = party("alice");
    let mut claimed = 0;
    let mut kept = 0;
    for height in 1..=12u32 {
        let mut transactions = Vec::new();
        let mut fee = 0;
        if let Some(spent) = height.checked_sub(2).filter(|spent| *spent > 0) {
            let coin = chain.reward_of(Height(spent));
            let amount = chain.state.coin(coin).unwrap().unwrap().amount.0;
            fee = u64::from(height % 3);
            let halves = [amount / 2, amount - amount / 2 - fee];
            let spend = chain.write().spend(coin, &alice);
            let writing = halves.iter().fold(spend, |w, half| w.pay(&alice, *half));
            transactions.push(chain.sign(writing));
        }
        let own = reward(&chain.rules, Height(height)).0;
        // Every fourth miner leaves the fees: they are gone.
        let taken = if height % 4 == 0 { 0 } else { fee };
        kept += own + taken;
        claimed += fee;
        let block = chain.block_paying(&alice, Amount(own + taken), transactions);
        chain.offer(block).unwrap();
    }
    let outputs = chain.blocks.iter().flat_map(|(block, _)| &block.transactions);
    let unspent: u64 = outputs
        .flat_map(|tx| {
            let indexes = 0..u32::try_from(tx.body.outputs.len()).unwrap();
            indexes.map(|index| coin_of(tx.txid(), index))
        })
        .filter_map(|outpoint| chain.state.coin(outpoint).unwrap())
        .map(|coin| coin.amount.0)
        .sum();
    assert_eq!(unspent, kept - claimed);
    assert!(claimed > 5, "fees were paid");
}
