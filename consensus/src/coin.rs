//! Coins: spending, balance and rewards. See docs/protocol/coin.md.

use rota_chain::amount::{Amount, Height};
use rota_chain::hash::Txid;
use rota_chain::transaction::{Input, OutPoint, Output};

use crate::ops::asset::settled;
use crate::rule::{ApplyError, CoinRule};
use crate::rules::Rules;
use crate::state::{Coin, Overlay, StateKey, StateValue, StateView};

/// Checks an output's amount and recipient against the chain's limits.
///
/// # Errors
/// [`CoinRule::Dust`], [`CoinRule::Large`], [`CoinRule::Multisig`].
pub fn check_output(output: &Output, rules: &Rules) -> Result<(), CoinRule> {
    if let Some(address) = output.recipient.filter(|lock| !rules.allows_lock(lock)) {
        return Err(CoinRule::Multisig { address });
    }
    let amount = output.amount;
    if amount.0 > rules.maximum_per_output {
        return Err(CoinRule::Large { amount, limit: rules.maximum_per_output });
    }
    if amount > Amount::ZERO && amount.0 < rules.minimum_per_output {
        return Err(CoinRule::Dust { amount, limit: rules.minimum_per_output });
    }
    Ok(())
}

/// The coins that inputs spend.
///
/// # Errors
/// [`CoinRule::Missing`], [`CoinRule::Immature`], or storage.
pub fn load<V: StateView + ?Sized>(
    view: &V,
    rules: &Rules,
    inputs: &[Input],
    height: Height,
) -> Result<Vec<Coin>, ApplyError> {
    let mut coins = Vec::with_capacity(inputs.len());
    for input in inputs {
        let outpoint = input.outpoint;
        let coin = view.coin(outpoint)?.ok_or(CoinRule::Missing { outpoint })?;
        if coin.coinbase {
            let until = Height(coin.height.0.saturating_add(rules.reward_spendable_delay));
            if height < until {
                return Err(CoinRule::Immature { outpoint, until }.into());
            }
        }
        coins.push(coin);
    }
    Ok(coins)
}

/// What is left of the inputs' native currency after the outputs: the fee.
///
/// # Errors
/// [`CoinRule::Overflow`], [`CoinRule::Overspent`].
pub fn fee(coins: &[Coin], outputs: &[Output]) -> Result<Amount, CoinRule> {
    let inputs = total(coins.iter().map(|coin| coin.amount))?;
    let outputs = total(outputs.iter().map(|output| output.amount))?;
    inputs.checked_sub(outputs).ok_or(CoinRule::Overspent { inputs, outputs })
}

/// The sum of amounts.
///
/// # Errors
/// [`CoinRule::Overflow`].
pub fn total(amounts: impl Iterator<Item = Amount>) -> Result<Amount, CoinRule> {
    amounts.into_iter().try_fold(Amount::ZERO, |sum, amount| sum.checked_add(amount).ok_or(CoinRule::Overflow))
}

/// Removes spent coins and adds the coins that outputs make.
///
/// # Errors
/// Storage alone.
pub fn spend_and_make<V: StateView>(
    overlay: &mut Overlay<V>,
    txid: Txid,
    inputs: &[Input],
    outputs: &[Output],
    height: Height,
    coinbase: bool,
) -> Result<(), ApplyError> {
    for input in inputs {
        overlay.put(StateKey::Coin(input.outpoint), None)?;
    }
    for (index, output) in (0u32..).zip(outputs) {
        let Some(owner) = output.recipient.filter(|_| output.is_coin(coinbase)) else {
            continue;
        };
        let assets = settled(&output.assets, txid);
        let coin = Coin { owner, amount: output.amount, assets, height, coinbase };
        overlay.put(StateKey::Coin(OutPoint { txid, index }), Some(StateValue::Coin(coin)))?;
    }
    Ok(())
}

/// The reward of the block at `height`, in raw units.
#[must_use]
pub fn reward(rules: &Rules, height: Height) -> Amount {
    if height.0 == 0 {
        return Amount::ZERO;
    }
    if height.0 == 1 && rules.first_block_reward >= 0 {
        return Amount(u64::try_from(rules.first_block_reward).unwrap_or(0));
    }
    let halvings = height.0.checked_div(rules.reward_halving_interval).unwrap_or(0);
    Amount(rules.initial_block_reward.checked_shr(halvings).unwrap_or(0))
}
