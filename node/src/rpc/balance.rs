//! Balances: what addresses hold of native currency, assets and tokens, summed over their coins alone.

mod grouping;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use rota_api::Selection;
use rota_api::error::{Code, EntityKind as Wanted, ParameterRule, RpcError};
use rota_api::number::amount_value;
use rota_api::params::Params;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::OutPoint;
use rota_consensus::state::{Coin, EntityKind};
use rota_storage::OwnedCoin;
use rota_wallet::AddressInfo;
use rota_wallet::select::Unit;
use serde_json::{Map, Value};

use super::address::no_accounts;
use super::decode::Moment;
use super::payment::units;
use super::resolve::{self, address, heavy, storage_error};
use super::{Answer, Answerer};
use crate::coin::{Coins, Origin};
use crate::context::Context;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("getaddressbalances", Answerer::Later(|ctx, params| heavy(ctx, params, getaddressbalances))),
    ("gettotalbalances", Answerer::Later(|ctx, params| heavy(ctx, params, gettotalbalances))),
    ("getmultibalances", Answerer::Later(|ctx, params| heavy(ctx, params, getmultibalances))),
    ("gettokenbalances", Answerer::Later(|ctx, params| heavy(ctx, params, gettokenbalances))),
    ("getassetbalances", Answerer::Later(|ctx, params| heavy(ctx, params, getassetbalances))),
    ("getbalance", Answerer::Later(|ctx, params| heavy(ctx, params, getbalance))),
    ("getunconfirmedbalance", Answerer::Later(|ctx, params| heavy(ctx, params, getunconfirmedbalance))),
    ("listaddressgroupings", Answerer::Later(|ctx, params| heavy(ctx, params, grouping::listaddressgroupings))),
    ("getreceivedbyaddress", Answerer::Now(|_, _| Err(no_accounts()))),
    ("listreceivedbyaddress", Answerer::Now(|_, _| Err(no_accounts()))),
];

/// Which coins count.
#[derive(Clone, Copy, Debug)]
pub struct Counting {
    /// Least confirmations.
    pub confirmations: i64,
    /// Whether unconfirmed coins that this node's callers made count whatever `confirmations` says.
    pub own_unconfirmed: bool,
    /// Whether locked coins count.
    pub locked: bool,
}

impl Counting {
    /// Confirmed coins, and change of one's own transactions.
    pub const SPENDABLE: Counting = Counting { confirmations: 1, own_unconfirmed: true, locked: true };

    /// Whether a coin counts.
    fn takes(&self, ctx: &Context, coins: &Coins, outpoint: &OutPoint, coin: &Coin, origin: Origin) -> bool {
        let depth = match origin {
            Origin::Block => i64::from(coins.tip.height.0) - i64::from(coin.height.0) + 1,
            Origin::Own | Origin::Others => 0,
        };
        let deep = depth >= self.confirmations || (self.own_unconfirmed && origin == Origin::Own);
        deep && is_mature(ctx, coins, coin) && (self.locked || !ctx.coins.is_locked(outpoint))
    }
}

/// Whether a coin may be spent in the next block as far as rewards go.
pub fn is_mature(ctx: &Context, coins: &Coins, coin: &Coin) -> bool {
    let until = coin.height.0.saturating_add(ctx.rules.reward_spendable_delay);
    !coin.coinbase || until <= coins.tip.height.0.saturating_add(1)
}

/// What is held.
#[derive(Clone, Debug, Default)]
struct Tally {
    coins: u64,
    amount: u128,
    units: BTreeMap<Unit, u128>,
}

impl Tally {
    fn add(&mut self, coin: &Coin) {
        self.coins += 1;
        self.amount += u128::from(coin.amount.0);
        for (unit, quantity) in units(coin) {
            *self.units.entry(unit).or_default() += u128::from(quantity);
        }
    }

    fn merge(&mut self, other: &Tally) {
        self.coins += other.coins;
        self.amount += other.amount;
        for (unit, quantity) in &other.units {
            *self.units.entry(unit.clone()).or_default() += quantity;
        }
    }

    /// Quantities by asset, tokens of one asset together.
    fn assets(&self) -> BTreeMap<Txid, u128> {
        let mut assets: BTreeMap<Txid, u128> = BTreeMap::new();
        for (unit, quantity) in &self.units {
            *assets.entry(unit.asset).or_default() += quantity;
        }
        assets
    }
}

/// The coins of addresses and the moment they are shown at.
struct Book<'c> {
    moment: Moment<'c>,
    coins: Coins,
    counting: Counting,
}

impl<'c> Book<'c> {
    fn open(ctx: &'c Context, owners: &[Lock], counting: Counting) -> Book<'c> {
        let view = ctx.view.read();
        Book { moment: Moment::at(ctx, &view), coins: Coins::of(&view, owners), counting }
    }

    fn tally(&self, owner: &Lock) -> Result<Tally, RpcError> {
        let mut tally = Tally::default();
        let add = |outpoint, owned: OwnedCoin, origin| {
            if self.counting.takes(self.moment.ctx, &self.coins, &outpoint, &owned.coin, origin) {
                tally.add(&owned.coin);
            }
            true
        };
        self.coins.for_each(owner, add).map_err(storage_error)?;
        Ok(tally)
    }

    fn total(&self, owners: &[Lock]) -> Result<Tally, RpcError> {
        let mut total = Tally::default();
        for owner in owners {
            total.merge(&self.tally(owner)?);
        }
        Ok(total)
    }

    /// Rows of assets in the order of their creation; native currency stands last if it is asked for and there.
    fn rows(&self, assets: &BTreeMap<Txid, u128>, amount: Option<u128>) -> Result<Vec<Value>, RpcError> {
        let mut rows = Vec::with_capacity(assets.len());
        for (txid, quantity) in assets {
            let (place, mut row, multiple) = self.named(txid, "name")?;
            row.insert("qty".into(), amount_value(whole(*quantity), multiple));
            rows.push((place, Value::Object(row)));
        }
        rows.sort_by_key(|(place, _)| *place);
        let mut rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
        if let Some(raw) = amount.filter(|raw| *raw > 0) {
            let mut row = Map::new();
            row.insert("assetref".into(), "".into());
            row.insert("qty".into(), amount_value(whole(raw), self.moment.ctx.parameters.native_currency_multiple()));
            row.insert("raw".into(), whole(raw).into());
            rows.push(Value::Object(row));
        }
        Ok(rows)
    }

    /// Rows of tokens in the order of their assets' creation.
    fn token_rows(&self, tokens: &BTreeMap<Unit, u128>) -> Result<Vec<Value>, RpcError> {
        let mut rows = Vec::with_capacity(tokens.len());
        for (unit, quantity) in tokens {
            let (place, mut row, multiple) = self.named(&unit.asset, "asset")?;
            let token = unit.token.as_deref().unwrap_or_default();
            row.insert("token".into(), String::from_utf8_lossy(token).into_owned().into());
            row.insert("qty".into(), amount_value(whole(*quantity), multiple));
            rows.push((place, Value::Object(row)));
        }
        rows.sort_by_key(|(place, _)| *place);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// Where an asset stands on the chain, the members that name it, and its multiple.
    fn named(&self, txid: &Txid, name: &str) -> Result<NamedAsset, RpcError> {
        asset_members(&self.moment, txid, name)
    }
}

/// Where an asset stands on the chain, the members that name it, and its multiple.
type NamedAsset = ((u32, u32), Map<String, Value>, i64);

/// Where an asset stands on the chain, the members that name it (its name under `name`), and its multiple.
fn asset_members(moment: &Moment<'_>, txid: &Txid, name: &str) -> Result<NamedAsset, RpcError> {
    let mut row = Map::new();
    let Some(entity) = moment.entity(txid)? else {
        row.insert("assetref".into(), Value::Null);
        return Ok(((u32::MAX, u32::MAX), row, 1));
    };
    if !entity.name.is_empty() {
        row.insert(name.to_owned(), String::from_utf8_lossy(&entity.name).into_owned().into());
    }
    row.insert("assetref".into(), resolve::reference(txid, &entity).into());
    let multiple = match entity.kind {
        EntityKind::Asset { multiple, .. } => i64::try_from(multiple).unwrap_or(i64::MAX),
        _ => 1,
    };
    Ok(((entity.height.0, entity.offset), row, multiple))
}

/// The assets of one coin as lists of outputs show them: tokens apart.
///
/// # Errors
/// -32603 if storage fails.
pub fn coin_assets(moment: &Moment<'_>, coin: &Coin) -> Result<Vec<Value>, RpcError> {
    let row = |(unit, quantity): (Unit, u64)| {
        let (_, mut row, multiple) = asset_members(moment, &unit.asset, "name")?;
        if let Some(token) = &unit.token {
            row.insert("token".into(), String::from_utf8_lossy(token).into_owned().into());
        }
        row.insert("qty".into(), amount_value(whole(u128::from(quantity)), multiple));
        Ok(Value::Object(row))
    };
    units(coin).into_iter().map(row).collect()
}

fn whole(raw: u128) -> i64 {
    i64::try_from(raw).unwrap_or(i64::MAX)
}

/// Addresses of the wallet: all of which it holds every key, and those it watches if asked for.
fn wallet_locks(ctx: &Context, watch_only: bool) -> Vec<Lock> {
    let shown = |info: &AddressInfo| watch_only || !info.is_watch_only;
    ctx.wallet.locks().into_iter().filter(shown).map(|info| info.lock).collect()
}

/// Whether sums over several addresses show native currency: where every block makes some.
fn shows_currency(ctx: &Context) -> bool {
    ctx.rules.initial_block_reward > 0
}

fn getaddressbalances(ctx: &Context, params: &Params) -> Answer {
    let text = params.text(0)?;
    if text.contains(',') {
        let error = RpcError::parameter(ParameterRule::Size, "Single address should be specified");
        return Err(error.got(text.split(',').count()).allowed(1));
    }
    let lock = address(ctx, text)?;
    // Applications rely on it: of one address, change that waits counts whatever depth is asked for.
    let counting = Counting {
        confirmations: params.integer_or(1, 1)?.min(1),
        own_unconfirmed: true,
        locked: params.boolean_or(2, false)?,
    };
    if !ctx.wallet.contains(&lock) {
        return Ok(Value::Array(Vec::new()));
    }
    let book = Book::open(ctx, &[lock], counting);
    let tally = book.tally(&lock)?;
    book.rows(&tally.assets(), Some(tally.amount)).map(Value::Array)
}

fn counting(params: &Params, confirmations_at: usize, locked_at: usize) -> Result<Counting, RpcError> {
    let confirmations = params.integer_or(confirmations_at, 1)?;
    Ok(Counting { confirmations, own_unconfirmed: false, locked: params.boolean_or(locked_at, false)? })
}

fn gettotalbalances(ctx: &Context, params: &Params) -> Answer {
    let counting = counting(params, 0, 2)?;
    let owners = wallet_locks(ctx, params.boolean_or(1, false)?);
    let book = Book::open(ctx, &owners, counting);
    let tally = book.total(&owners)?;
    book.rows(&tally.assets(), shows_currency(ctx).then_some(tally.amount)).map(Value::Array)
}

fn getassetbalances(ctx: &Context, params: &Params) -> Answer {
    if params.given(0).and_then(Value::as_str).is_some_and(|account| !matches!(account, "" | "*")) {
        return Err(no_accounts());
    }
    let counting = counting(params, 1, 3)?;
    let owners = wallet_locks(ctx, params.boolean_or(2, false)?);
    let book = Book::open(ctx, &owners, counting);
    let tally = book.total(&owners)?;
    book.rows(&tally.assets(), None).map(Value::Array)
}

/// The addresses that a parameter selects: -709 for one that is not of this wallet.
fn selected_locks(ctx: &Context, params: &Params, index: usize, watch_only: bool) -> Result<Vec<Lock>, RpcError> {
    let Selection::These(words) = params.selection(index)? else { return Ok(wallet_locks(ctx, watch_only)) };
    let (mut locks, mut seen) = (Vec::with_capacity(words.len()), HashSet::new());
    for word in &words {
        let lock = address(ctx, word.trim())?;
        let Some(info) = ctx.wallet.info(&lock) else {
            let sentence = format!("Non-wallet address: {}", resolve::short(word));
            return Err(RpcError::new(Code::AddressNotFound, sentence).got(word.as_str()));
        };
        if (watch_only || !info.is_watch_only) && seen.insert(lock) {
            locks.push(lock);
        }
    }
    Ok(locks)
}

/// The assets that a parameter selects, none for all; native currency is the empty word.
struct Assets {
    these: Option<BTreeSet<Txid>>,
    native: bool,
}

fn selected_assets(ctx: &Context, params: &Params, index: usize) -> Result<Assets, RpcError> {
    let Selection::These(words) = params.identifier_selection(index)? else {
        return Ok(Assets { these: None, native: true });
    };
    let view = ctx.view.read();
    let named = words.iter().filter(|word| !word.is_empty());
    let these = named.map(|word| resolve::entity_in(&view, word, Wanted::Asset).map(|(txid, _)| txid));
    Ok(Assets { these: Some(these.collect::<Result<_, _>>()?), native: words.iter().any(String::is_empty) })
}

/// What addresses hold, each under its name and all under `total`; `rows` makes the list of one, none to leave it out.
fn by_address(
    book: &Book<'_>,
    owners: &[Lock],
    mut rows: impl FnMut(&Tally, &Tally) -> Result<Option<Vec<Value>>, RpcError>,
) -> Answer {
    let tallies = owners.iter().map(|owner| Ok((owner, book.tally(owner)?))).collect::<Result<Vec<_>, RpcError>>()?;
    let mut total = Tally::default();
    tallies.iter().for_each(|(_, tally)| total.merge(tally));
    let mut answer = Map::new();
    for (owner, tally) in tallies.iter().filter(|(_, tally)| tally.coins > 0) {
        if let Some(rows) = rows(tally, &total)? {
            answer.insert(book.moment.address(owner), Value::Array(rows));
        }
    }
    if !answer.is_empty() {
        answer.insert("total".into(), Value::Array(rows(&total, &total)?.unwrap_or_default()));
    }
    Ok(Value::Object(answer))
}

fn getmultibalances(ctx: &Context, params: &Params) -> Answer {
    let counting = counting(params, 2, 4)?;
    let watch_only = params.boolean_or(3, false)?;
    let owners = selected_locks(ctx, params, 0, watch_only)?;
    let assets = selected_assets(ctx, params, 1)?;
    let book = Book::open(ctx, &owners, counting);
    by_address(&book, &owners, |tally, _| {
        let amount = (assets.native && shows_currency(ctx)).then_some(tally.amount);
        let mut held = tally.assets();
        if let Some(these) = &assets.these {
            held.retain(|asset, _| these.contains(asset));
            if held.is_empty() && amount.is_none_or(|amount| amount == 0) {
                return Ok(None);
            }
            for asset in these {
                held.entry(*asset).or_default();
            }
        }
        book.rows(&held, amount).map(Some)
    })
}

fn gettokenbalances(ctx: &Context, params: &Params) -> Answer {
    let counting = counting(params, 2, 4)?;
    let watch_only = params.boolean_or(3, false)?;
    let owners = selected_locks(ctx, params, 0, watch_only)?;
    let these = selected_assets(ctx, params, 1)?.these;
    let book = Book::open(ctx, &owners, counting);
    for asset in these.iter().flatten() {
        let kind = book.moment.entity(asset)?.map(|entity| entity.kind);
        if matches!(kind, Some(EntityKind::Asset { rules, .. }) if rules.fungible) {
            let error = RpcError::not_allowed("Token balances are only available for non-fungible assets");
            return Err(error.rule("asset-fungible").got(asset.to_string()));
        }
    }
    let selected = |unit: &Unit| unit.token.is_some() && these.as_ref().is_none_or(|these| these.contains(&unit.asset));
    by_address(&book, &owners, |tally, total| {
        let held = |tally: &Tally| tally.units.clone().into_iter().filter(|(unit, _)| selected(unit));
        let mut tokens: BTreeMap<Unit, u128> = held(tally).collect();
        if tokens.is_empty() {
            return Ok(None);
        }
        if these.is_some() {
            held(total).for_each(|(unit, _)| {
                tokens.entry(unit).or_default();
            });
        }
        book.token_rows(&tokens).map(Some)
    })
}

/// Native currency of the wallet in displayed units; -702 for an account.
fn getbalance(ctx: &Context, params: &Params) -> Answer {
    if params.given(0).and_then(Value::as_str).is_some_and(|account| account != "*") {
        return Err(no_accounts());
    }
    let mut counting = Counting::SPENDABLE;
    if params.given(1).is_some() {
        counting.confirmations = params.integer(1)?;
        counting.own_unconfirmed = counting.confirmations <= 1;
    }
    let owners = wallet_locks(ctx, params.boolean_or(2, false)?);
    let tally = Book::open(ctx, &owners, counting).total(&owners)?;
    Ok(amount_value(whole(tally.amount), ctx.parameters.native_currency_multiple()))
}

/// Whether the chain has native currency.
#[must_use]
pub fn has_currency(ctx: &Context) -> bool {
    ctx.rules.initial_block_reward > 0 || ctx.rules.first_block_reward > 0
}

/// Native currency and number of coins of the wallet, in displayed units.
///
/// # Errors
/// -32603 if storage fails.
pub fn wallet_holding(ctx: &Context) -> Result<(f64, u64), RpcError> {
    let owners = wallet_locks(ctx, false);
    let tally = Book::open(ctx, &owners, Counting::SPENDABLE).total(&owners)?;
    Ok((displayed(ctx, tally.amount), tally.coins))
}

/// Raw native currency in displayed units.
pub fn displayed(ctx: &Context, raw: u128) -> f64 {
    raw as f64 / (ctx.parameters.native_currency_multiple() as f64).max(1.0)
}

/// What a transaction pays for every 1,000 bytes begun, in displayed units, to be taken into the pool.
pub fn relay_fee(ctx: &Context) -> f64 {
    displayed(ctx, ctx.view.read().pool.limits().relay_fee.into())
}

/// Native currency of the wallet in displayed units, read on a thread for long work if the chain has any.
///
/// # Errors
/// -32603 if storage fails.
pub async fn native_balance(ctx: Arc<Context>) -> Result<f64, RpcError> {
    if !has_currency(&ctx) {
        return Ok(0.0);
    }
    let work = tokio::task::spawn_blocking(move || wallet_holding(&ctx));
    Ok(work.await.map_err(RpcError::internal)??.0)
}

/// Native currency that waiting transactions of others bring.
fn getunconfirmedbalance(ctx: &Context, _params: &Params) -> Answer {
    let owners = wallet_locks(ctx, false);
    let coins = Coins::of(&ctx.view.read(), &owners);
    let raw: u128 = owners.iter().flat_map(|owner| coins.waiting(owner)).map(|coin| u128::from(coin.amount.0)).sum();
    Ok(amount_value(whole(raw), ctx.parameters.native_currency_multiple()))
}
