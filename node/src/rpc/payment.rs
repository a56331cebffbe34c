//! Payments: finds, judges and reserves the coins that a transaction of this wallet spends, and says what comes back as
//! change. What is sent, and to whom, is decided by the families that call this.
//!
//! The usual way: [`choose`] with what is needed, a body of its inputs, the caller's outputs and its change outputs,
//! then `resolve::submit_body` while the [`Chosen`] is still held, so that nobody else spends the same coins.

mod batch;
mod change;
mod judge;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rota_api::error::{Code, ParameterRule, RpcError};
use rota_chain::amount::{Amount, Height};
use rota_chain::asset::{AssetQuantity, AssetReference};
use rota_chain::codec::encoded_length;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_chain::transaction::{Coverage, Input, OutPoint, Output};
use rota_consensus::authority;
use rota_consensus::rules::Rules;
use rota_consensus::state::{Coin, StateView};
use rota_storage::OwnedCoin;
use rota_wallet::select::{Candidate, Choice, Hindrance, Holding, Shortage, Unit, choose_coins};

pub use self::batch::{Batch, Batching, batch, together};
use self::judge::Judge;
use super::resolve::{self, cannot_send, own_key, state_error, storage_error};
use crate::coin::{CoinLocks, Coins, Origin, Reservation};
use crate::context::Context;
use crate::pool::PoolLimits;
use crate::view::SharedView;

/// Coins of a source looked at first: enough for most, and read within milliseconds.
const FIRST_LOOK: usize = 8_192;
/// By how much a further look reaches beyond the one before.
const LOOK_GROWTH: usize = 8;
/// Bytes of an input: transaction id, index and coverage.
const INPUT_BYTES: usize = 37;
/// Bytes of a change output without assets, at most.
const CHANGE_BYTES: usize = 64;
/// Bytes of a quantity in a change output, at most.
const QUANTITY_BYTES: usize = 80;
/// Bytes of a witness of one key; those of several keys are within a factor that a fee rounds up to.
pub const WITNESS_BYTES: usize = 98;
/// Most inputs chosen: 370 KB, and signatures are one an owner.
pub const MOST_INPUTS: usize = 10_000;
/// Longest wait for coins that a transaction being made spends: its submission takes milliseconds.
const RELEASE_WAIT: Duration = Duration::from_secs(10);
/// Looks at coins that others may spend between look and reservation.
const STALE_TRIES: usize = 8;
/// Rounds in which a fee is fitted to the inputs that it needs itself.
const FEE_ROUNDS: usize = 4;

/// Whose coins may be spent.
#[derive(Clone, Debug)]
pub enum Source {
    /// One address, which was named: it takes the change.
    Address(Lock),
    /// One address that may be watched alone: others sign.
    Watched(Lock),
    /// Any of these.
    Addresses(Vec<Lock>),
    /// Any of this wallet.
    Wallet,
}

/// How to choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choosing {
    /// Least confirmations of a coin.
    pub confirmations: u32,
    /// Bytes of the transaction without inputs, their witnesses and change: what a fee is due for.
    pub bytes: usize,
    /// Who takes the change, if not those whose coins are spent.
    pub change_to: Option<Lock>,
}

/// Coins chosen and reserved, with the outputs that take the change.
#[derive(Debug)]
pub struct Chosen {
    /// Spends the coins, covered in full.
    pub inputs: Vec<Input>,
    /// The coins spent, in the order of the inputs.
    pub coins: Vec<Coin>,
    /// Gives back what the coins hold beyond the needs: assets first, then native currency.
    pub change: Vec<Output>,
    /// What is left to the miner.
    pub fee: Amount,
    /// Keeps others from the coins while it is held.
    pub reservation: Reservation,
}

/// What choosing looks at.
#[derive(Clone, Copy, Debug)]
pub struct Purse<'a> {
    /// The state, and what waits.
    pub view: &'a SharedView,
    /// The chain's rules.
    pub rules: &'a Rules,
    /// Coins set aside, and the fee that callers chose.
    pub coins: &'a Arc<CoinLocks>,
}

impl<'a> Purse<'a> {
    /// That of a running node.
    #[must_use]
    pub fn of(ctx: &'a Context) -> Purse<'a> {
        Purse { view: &ctx.view, rules: &ctx.rules, coins: &ctx.coins }
    }

    /// Chooses among the coins of these addresses at once; none if coins would suffice that other transactions being
    /// made have reserved.
    ///
    /// # Errors
    /// -6 or -704 if they do not suffice.
    pub fn choose(
        self,
        owners: &[Lock],
        needs: &Holding,
        choosing: Choosing,
        named: Option<Lock>,
    ) -> Result<Option<Chosen>, RpcError> {
        for _ in 0..STALE_TRIES {
            let search = Search::new(self, owners.to_vec(), choosing);
            let Some((pick, fee)) = search.find_with_fee(needs)? else { return Ok(None) };
            let Some(chosen) = pick.reserve(self, named, choosing, fee) else { return Ok(None) };
            if self.are_there(&chosen.inputs)? {
                return Ok(Some(chosen));
            }
        }
        Ok(None)
    }

    /// Whether no transaction spent the coins between the look at them and their reservation.
    fn are_there(self, inputs: &[Input]) -> Result<bool, RpcError> {
        let view = self.view.read();
        for input in inputs {
            if view.pool.state().coin(input.outpoint).map_err(state_error)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn fee_of(self, bytes: usize) -> Amount {
        let limits = self.view.read().pool.limits();
        PoolLimits { relay_fee: limits.relay_fee.max(self.coins.fee_rate().0), ..limits }.fee(bytes)
    }
}

/// Chooses coins that hold what is needed, waiting for those that other transactions of this wallet are about to give
/// back. -6 or -704 if they do not suffice, -709 for a source that is not of this wallet.
pub async fn choose(
    ctx: &Arc<Context>,
    source: Source,
    needs: Holding,
    choosing: Choosing,
) -> Result<Chosen, RpcError> {
    let mut releases = ctx.coins.releases();
    let deadline = tokio::time::Instant::now() + RELEASE_WAIT;
    loop {
        releases.mark_unchanged();
        let (worker, source, needs) = (Arc::clone(ctx), source.clone(), needs.clone());
        let work = tokio::task::spawn_blocking(move || choose_now(&worker, &source, &needs, choosing));
        match work.await.map_err(RpcError::internal)?? {
            Some(chosen) => return Ok(chosen),
            None => {
                let released = tokio::time::timeout_at(deadline, releases.changed()).await;
                if !matches!(released, Ok(Ok(()))) {
                    let error = RpcError::new(Code::InsufficientFunds, "Insufficient funds: coins are being spent");
                    return Err(error.rule("funds-busy"));
                }
            }
        }
    }
}

/// As [`choose`], at once; none if coins would suffice that other transactions being made have reserved.
pub fn choose_now(
    ctx: &Context,
    source: &Source,
    needs: &Holding,
    choosing: Choosing,
) -> Result<Option<Chosen>, RpcError> {
    let named = match source {
        Source::Address(lock) | Source::Watched(lock) => Some(*lock),
        Source::Addresses(_) | Source::Wallet => None,
    };
    Purse::of(ctx).choose(&owners(ctx, source)?, needs, choosing, named)
}

/// The addresses whose coins are looked at: -709 for one that is not of this wallet, -704 for a named one that may not
/// send.
fn owners(ctx: &Context, source: &Source) -> Result<Vec<Lock>, RpcError> {
    match source {
        Source::Address(lock) => {
            own_key(ctx, lock)?;
            if may_globally(ctx, Permission::Send, lock)? {
                return Ok(vec![*lock]);
            }
            Err(cannot_send(ctx, lock))
        }
        Source::Watched(lock) => {
            if !ctx.wallet.contains(lock) {
                return Err(RpcError::address_not_in_wallet(&ctx.scheme.encode(lock)));
            }
            if may_globally(ctx, Permission::Send, lock)? {
                return Ok(vec![*lock]);
            }
            Err(cannot_send(ctx, lock))
        }
        Source::Addresses(locks) => {
            locks.iter().try_for_each(|lock| own_key(ctx, lock))?;
            Ok(locks.clone())
        }
        Source::Wallet => {
            let locks = ctx.wallet.locks().into_iter().map(|info| info.lock);
            Ok(locks.filter(|lock| ctx.wallet.can_sign(lock)).collect())
        }
    }
}

fn may_globally(ctx: &Context, permission: Permission, lock: &Lock) -> Result<bool, RpcError> {
    let view = ctx.view.read();
    let height = view.pool.place().height;
    authority::may(view.pool.state(), &ctx.rules, permission, lock, height).map_err(state_error)
}

/// Submits outputs of these authors, with coins that hold what is needed.
///
/// # Errors
/// As [`choose`] and [`resolve::submit_body`].
pub async fn submit(
    ctx: &Arc<Context>,
    source: Source,
    authors: Vec<Lock>,
    outputs: Vec<Output>,
    needs: Holding,
) -> Result<Txid, RpcError> {
    let mut body = resolve::body(ctx, authors, outputs);
    let bytes = encoded_length(&body) + body.authors.len() * WITNESS_BYTES;
    if needs.is_empty() && fee_of(ctx, bytes) == Amount::ZERO {
        return resolve::submit_body(Arc::clone(ctx), body).await;
    }
    let chosen = choose(ctx, source, needs, Choosing { bytes, ..Choosing::default() }).await?;
    body.inputs.clone_from(&chosen.inputs);
    body.outputs.extend(chosen.change.iter().cloned());
    resolve::submit_body(Arc::clone(ctx), body).await
}

/// The fee of a transaction of so many bytes: what the chain asks for at least, or what `settxfee` set if that is more.
#[must_use]
pub fn fee_of(ctx: &Context, bytes: usize) -> Amount {
    Purse::of(ctx).fee_of(bytes)
}

/// Most inputs of a transaction of this chain: half of its bytes are left to what it does.
fn most_inputs(rules: &Rules) -> usize {
    (rules.maximum_transaction_size as usize / 2 / INPUT_BYTES).clamp(1, MOST_INPUTS)
}

/// A search for coins at one moment.
struct Search<'c> {
    purse: Purse<'c>,
    owners: Vec<Lock>,
    coins: Coins,
    height: Height,
    choosing: Choosing,
    most: usize,
}

/// Coins found, with what they are.
struct Pick {
    found: Vec<(OutPoint, Coin)>,
    change: Holding,
    owners: usize,
}

impl Pick {
    fn of(choice: &Choice, coins: &[Coin], candidates: &[Candidate]) -> Pick {
        let found: Vec<(OutPoint, Coin)> = choice
            .coins
            .iter()
            .filter_map(|at| Some((candidates.get(*at)?.outpoint, coins.get(*at)?.clone())))
            .collect();
        let owners: HashSet<Lock> = found.iter().map(|(_, coin)| coin.owner).collect();
        Pick { owners: owners.len(), found, change: choice.change.clone() }
    }

    /// Reserves the coins, none if others were faster; native change too small for an output is left to the miner.
    fn reserve(self, purse: Purse<'_>, named: Option<Lock>, choosing: Choosing, fee: Amount) -> Option<Chosen> {
        let reservation = purse.coins.reserve(self.found.iter().map(|(outpoint, _)| *outpoint).collect())?;
        let coins: Vec<Coin> = self.found.iter().map(|(_, coin)| coin.clone()).collect();
        let (change, left) = change::outputs(purse.rules, &coins, &self.change, choosing.change_to.or(named));
        let inputs = self.found.iter().map(|(outpoint, _)| Input { outpoint: *outpoint, coverage: Coverage::Full });
        let fee = Amount(fee.0.saturating_add(left.0));
        Some(Chosen { inputs: inputs.collect(), coins, change, fee, reservation })
    }

    fn bytes(&self) -> usize {
        let change = 2 * CHANGE_BYTES + self.change.assets.len() * QUANTITY_BYTES;
        self.found.len() * INPUT_BYTES + self.owners * WITNESS_BYTES + change
    }
}

impl<'c> Search<'c> {
    fn new(purse: Purse<'c>, owners: Vec<Lock>, choosing: Choosing) -> Search<'c> {
        let (coins, height) = {
            let view = purse.view.read();
            (Coins::of(&view, &owners), view.pool.place().height)
        };
        Search { purse, owners, coins, height, choosing, most: most_inputs(purse.rules) }
    }

    /// Finds coins for the needs and for the fee that spending those very coins asks for.
    fn find_with_fee(&self, needs: &Holding) -> Result<Option<(Pick, Amount)>, RpcError> {
        let mut fee = self.purse.fee_of(self.choosing.bytes);
        for _ in 0..FEE_ROUNDS {
            let Some(pick) = self.find(needs, fee)? else { return Ok(None) };
            let due = self.purse.fee_of(self.choosing.bytes + pick.bytes());
            if due <= fee {
                return Ok(Some((pick, fee)));
            }
            fee = due;
        }
        let error =
            RpcError::new(Code::InsufficientFunds, "Insufficient funds: the fee outgrows the coins that pay it");
        Err(error.rule("funds-fee").got(fee.0))
    }

    /// Looks at some coins, and at more as long as those do not suffice.
    fn find(&self, needs: &Holding, fee: Amount) -> Result<Option<Pick>, RpcError> {
        let mut wanted = needs.clone();
        if !wanted.add_amount(fee) {
            let error = RpcError::parameter(ParameterRule::Range, "Amount out of range");
            return Err(error.allowed(format!("0 to {} raw units", u64::MAX)));
        }
        let mut look = FIRST_LOOK;
        loop {
            let (candidates, coins, whole) = self.look(&wanted, look)?;
            match self.choose(&candidates, &wanted) {
                Ok(choice) => return Ok(Some(Pick::of(&choice, &coins, &candidates))),
                Err(_) if !whole => look = look.saturating_mul(LOOK_GROWTH),
                Err(Shortage::Hindered(Hindrance::Busy)) => return Ok(None),
                Err(shortage) => return Err(self.shortage(&shortage, needs, candidates.is_empty())),
            }
        }
    }

    /// Chooses so that native change is no less than an output may hold, if coins suffice for that.
    fn choose(&self, candidates: &[Candidate], wanted: &Holding) -> Result<Choice, Shortage> {
        let choice = choose_coins(candidates, wanted, self.most)?;
        let least = self.purse.rules.minimum_per_output;
        if choice.change.amount == Amount::ZERO || choice.change.amount.0 >= least {
            return Ok(choice);
        }
        let mut more = wanted.clone();
        if !more.add_amount(Amount(least)) {
            return Ok(choice);
        }
        let Ok(mut larger) = choose_coins(candidates, &more, self.most) else { return Ok(choice) };
        let with_least = larger.change.add_amount(Amount(least));
        Ok(if with_least { larger } else { choice })
    }

    /// Coins that hold something wanted: at least `limit` that may be spent, and as many more as hold what is wanted;
    /// true if there are no others.
    fn look(&self, wanted: &Holding, limit: usize) -> Result<(Vec<Candidate>, Vec<Coin>, bool), RpcError> {
        let (mut candidates, mut coins, mut free) = (Vec::new(), Vec::new(), 0usize);
        let mut judge = Judge::new(self.purse, self.height);
        let mut missing = Missing::of(wanted);
        let mut failed = None;
        for owner in &self.owners {
            self.coins
                .for_each(owner, |outpoint, owned, origin| {
                    if !is_wanted(&owned.coin, wanted) || !self.is_deep(&owned.coin, origin) {
                        return true;
                    }
                    match self.candidate(&mut judge, outpoint, &owned, origin) {
                        Ok(candidate) => {
                            if candidate.hindrance.is_none() {
                                free += 1;
                                missing.take(&candidate);
                            }
                            candidates.push(candidate);
                            coins.push(owned.coin);
                        }
                        Err(error) => failed = Some(error),
                    }
                    (free < limit || !missing.is_nothing()) && failed.is_none()
                })
                .map_err(storage_error)?;
            if let Some(error) = failed {
                return Err(error);
            }
            if free >= limit && missing.is_nothing() {
                return Ok((candidates, coins, false));
            }
        }
        Ok((candidates, coins, true))
    }

    fn is_deep(&self, coin: &Coin, origin: Origin) -> bool {
        let depth = match origin {
            Origin::Block => self.coins.tip.height.0.saturating_sub(coin.height.0).saturating_add(1),
            Origin::Own | Origin::Others => 0,
        };
        depth >= self.choosing.confirmations
    }

    fn candidate(
        &self,
        judge: &mut Judge<'_>,
        outpoint: OutPoint,
        owned: &OwnedCoin,
        origin: Origin,
    ) -> Result<Candidate, RpcError> {
        let coin = &owned.coin;
        let assets = units(coin);
        let mut restricted = false;
        let mut permitted = judge.owner(&coin.owner)?;
        for (unit, _) in &assets {
            let verdict = judge.asset(&coin.owner, unit.asset)?;
            restricted |= verdict.restricted;
            permitted &= verdict.permitted;
        }
        let mature =
            !coin.coinbase || coin.height.0.saturating_add(self.purse.rules.reward_spendable_delay) <= self.height.0;
        let hindrance = if !permitted {
            Some(Hindrance::Permission)
        } else if self.purse.coins.is_locked(&outpoint) {
            Some(Hindrance::Locked)
        } else if !mature {
            Some(Hindrance::Immature)
        } else if owned.beside.data {
            Some(Hindrance::Data)
        } else if self.purse.coins.is_reserved(&outpoint) {
            Some(Hindrance::Busy)
        } else {
            None
        };
        let confirmed = origin == Origin::Block;
        Ok(Candidate { outpoint, owner: coin.owner, amount: coin.amount, assets, confirmed, restricted, hindrance })
    }

    fn shortage(&self, shortage: &Shortage, needs: &Holding, none: bool) -> RpcError {
        let funds = |text: &str| RpcError::new(Code::InsufficientFunds, text);
        match shortage {
            Shortage::Hindered(Hindrance::Permission) => {
                let sentence = "Insufficient funds, but there are unspent outputs belonging to addresses without send \
                                or receive permission.";
                RpcError::no_permission(sentence).rule("funds-permission").allowed("send, receive")
            }
            Shortage::Hindered(Hindrance::Locked) => {
                funds("Insufficient funds, but there are locked unspent outputs: see listlockunspent and lockunspent.")
                    .rule("funds-locked")
            }
            Shortage::Hindered(Hindrance::Immature) => {
                funds("Insufficient funds, but there are rewards that may not be spent yet.").rule("coin-immature")
            }
            Shortage::Hindered(Hindrance::Data) => {
                funds("Insufficient funds, but there are unspent outputs with inline data: name those as inputs.")
                    .rule("funds-data")
            }
            Shortage::Many { limit } => {
                funds(&format!("Insufficient funds in {limit} unspent outputs: combineunspent makes few of many."))
                    .rule("funds-scattered")
                    .allowed(*limit)
            }
            Shortage::Insufficient if needs.is_empty() && none => RpcError::new(
                Code::NoUnspentOutputs,
                "The fee of this transaction needs an unspent output with native currency",
            ),
            Shortage::Insufficient | Shortage::Hindered(Hindrance::Busy) => funds("Insufficient funds."),
        }
    }
}

/// What the coins looked at lack.
struct Missing {
    amount: u64,
    assets: BTreeMap<Unit, u64>,
}

impl Missing {
    fn of(wanted: &Holding) -> Missing {
        Missing { amount: wanted.amount.0, assets: wanted.assets.clone() }
    }

    fn take(&mut self, candidate: &Candidate) {
        self.amount = self.amount.saturating_sub(candidate.amount.0);
        for (unit, quantity) in &candidate.assets {
            if let Some(missing) = self.assets.get_mut(unit) {
                *missing = missing.saturating_sub(*quantity);
                if *missing == 0 {
                    self.assets.remove(unit);
                }
            }
        }
    }

    fn is_nothing(&self) -> bool {
        self.amount == 0 && self.assets.is_empty()
    }
}

/// Whether a coin holds anything that is wanted. Asked of every coin of an address: it takes no memory.
fn is_wanted(coin: &Coin, wanted: &Holding) -> bool {
    let holds = |quantity: &AssetQuantity| {
        let of = |unit: &Unit| quantity.asset == AssetReference::Existing(unit.asset) && quantity.token == unit.token;
        wanted.assets.keys().any(of)
    };
    (wanted.amount > Amount::ZERO && coin.amount > Amount::ZERO) || coin.assets.iter().any(holds)
}

/// What a coin holds of assets: rules see to it that no unit stands twice in an output.
#[must_use]
pub fn units(coin: &Coin) -> Vec<(Unit, u64)> {
    let unit = |quantity: &AssetQuantity| match quantity.asset {
        AssetReference::Existing(asset) => Some((Unit { asset, token: quantity.token.clone() }, quantity.quantity)),
        AssetReference::New => None,
    };
    let mut units: Vec<(Unit, u64)> = coin.assets.iter().filter_map(unit).collect();
    units.sort_unstable();
    units
}
