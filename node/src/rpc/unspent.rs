//! Unspent outputs: listing, looking up, summing up and locking them. `combine` makes few of many.

pub mod combine;

use std::collections::HashMap;

use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::number::amount_value;
use rota_api::params::{Params, as_text};
use rota_api::wallet::Unspent;
use rota_chain::asset::AssetReference;
use rota_chain::hash::{Txid, sha256d};
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_chain::script::{payment_script, redeem_script};
use rota_chain::transaction::{OutPoint, Output, TRANSACTION_VERSION};
use rota_consensus::authority;
use rota_consensus::state::{Coin, StateKey, StateValue, StateView};
use rota_storage::OwnedCoin;
use serde_json::{Map, Value, json};

use super::balance::{coin_assets, is_mature};
use super::decode::output::{self, Parts, View as Shown};
use super::decode::{Known, Moment};
use super::resolve::{self, confirmations, heavy, output_index, shape, state_error, storage_error, txid};
use super::{Answer, Answerer};
use crate::coin::{Coins, LOCKED_COINS, Origin};
use crate::context::Context;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("listunspent", Answerer::Later(|ctx, params| heavy(ctx, params, listunspent))),
    ("gettxout", Answerer::Later(|ctx, params| heavy(ctx, params, gettxout))),
    ("gettxoutsetinfo", Answerer::Later(|ctx, params| heavy(ctx, params, gettxoutsetinfo))),
    ("lockunspent", Answerer::Now(lockunspent)),
    ("listlockunspent", Answerer::Later(|ctx, params| heavy(ctx, params, listlockunspent))),
    ("combineunspent", Answerer::Later(combine::combineunspent)),
];

/// An optional whole number of `listunspent`.
fn depth(params: &Params, index: usize, default: i64) -> Result<i64, RpcError> {
    let Some(value) = params.given(index) else { return Ok(default) };
    value.as_i64().ok_or_else(|| RpcError::unexpected_type(value, "int"))
}

fn listunspent(ctx: &Context, params: &Params) -> Answer {
    let (least, most) = (depth(params, 0, 1)?, depth(params, 1, 9_999_999)?);
    let chosen = match params.given(2) {
        None => None,
        Some(Value::Array(words)) => {
            let words = words.iter().map(as_text).collect::<Result<Vec<_>, _>>()?;
            Some(words).filter(|words| !words.is_empty())
        }
        Some(other) => return Err(RpcError::unexpected_type(other, "array")),
    };
    let mut owners: Vec<Lock> = ctx.wallet.locks().into_iter().map(|info| info.lock).collect();
    if let Some(words) = chosen {
        let chosen = resolve::addresses(ctx, &words.join(","))?;
        owners.retain(|lock| chosen.contains(lock));
    }
    ctx.coins.suspend_combining();
    let (moment, coins) = {
        let view = ctx.view.read();
        (Moment::at(ctx, &view), Coins::of(&view, &owners))
    };
    let mut found = Vec::new();
    for owner in &owners {
        let take = |outpoint, owned: OwnedCoin, origin| {
            let depth = depth_of(&coins, &owned.coin, origin);
            let shown = (least..=most).contains(&depth) && is_mature(ctx, &coins, &owned.coin);
            if shown && !ctx.coins.is_locked(&outpoint) {
                found.push((depth, outpoint, owned));
            }
            true
        };
        coins.for_each(owner, take).map_err(storage_error)?;
    }
    // Oldest first.
    found.sort_by_key(|(depth, outpoint, _)| (std::cmp::Reverse(*depth), *outpoint));
    let mut list = Listing { moment, owners: HashMap::new(), opened: None };
    found.iter().map(|(depth, outpoint, owned)| list.unspent(*depth, *outpoint, owned)).collect()
}

fn depth_of(coins: &Coins, coin: &Coin, origin: Origin) -> i64 {
    match origin {
        Origin::Block => confirmations(coins.tip.height, Some(coin.height)),
        Origin::Own | Origin::Others => 0,
    }
}

/// What entries of one list share.
struct Owner {
    address: String,
    label: Option<String>,
    redeem_script: Option<String>,
    may_send: bool,
    can_sign: bool,
}

/// A list of unspent outputs being made.
struct Listing<'c> {
    moment: Moment<'c>,
    owners: HashMap<Lock, Owner>,
    /// The transaction opened last: another coin of it may follow.
    opened: Option<(Txid, Option<Known>)>,
}

impl Listing<'_> {
    fn unspent(&mut self, depth: i64, outpoint: OutPoint, owned: &OwnedCoin) -> Answer {
        let OwnedCoin { coin, beside } = owned;
        let parts = if beside.is_nothing() { Parts::default() } else { self.parts(outpoint)? };
        let assets = coin_assets(&self.moment, coin)?;
        let amount = self.moment.amount(i128::from(coin.amount.0));
        let owner = self.owner(&coin.owner)?;
        shape(&Unspent {
            txid: outpoint.txid.to_string(),
            vout: i64::from(outpoint.index),
            address: owner.address.clone(),
            account: owner.label.clone(),
            script_pub_key: hex::encode(payment_script(&coin.owner)),
            redeem_script: owner.redeem_script.clone(),
            amount,
            confirmations: depth,
            cansend: owner.may_send,
            spendable: owner.can_sign,
            assets,
            permissions: parts.permissions,
            data: Some(parts.data).filter(|data| !data.is_empty()),
        })
    }

    /// What stands in the output beside its value.
    fn parts(&mut self, outpoint: OutPoint) -> Result<Parts, RpcError> {
        let opened = match self.opened.take().filter(|(txid, _)| *txid == outpoint.txid) {
            Some((_, known)) => known,
            None => self.moment.transaction(&outpoint.txid)?,
        };
        let (_, known) = self.opened.insert((outpoint.txid, opened));
        match known.as_ref().and_then(|known| Some((known, output_of(known, outpoint.index)?))) {
            Some((known, output)) => Parts::of(&self.moment, known, outpoint.index, output, Shown::Chain),
            None => Ok(Parts::default()),
        }
    }

    fn owner(&mut self, lock: &Lock) -> Result<&Owner, RpcError> {
        if !self.owners.contains_key(lock) {
            let ctx = self.moment.ctx;
            let height = self.moment.tip.height.next();
            let may_send = authority::may(&self.moment.snapshot, &ctx.rules, Permission::Send, lock, height);
            let info = ctx.wallet.info(lock);
            let owner = Owner {
                address: ctx.scheme.encode(lock),
                label: info.as_ref().map(|info| info.label.clone()),
                redeem_script: info.and_then(|info| info.multisig).map(|keys| hex::encode(redeem_script(&keys))),
                may_send: may_send.map_err(state_error)?,
                can_sign: ctx.wallet.can_sign(lock),
            };
            self.owners.insert(*lock, owner);
        }
        self.owners.get(lock).ok_or_else(|| RpcError::internal("an owner that was just put aside"))
    }
}

fn output_of(known: &Known, index: u32) -> Option<&Output> {
    known.tx.body.outputs.get(usize::try_from(index).ok()?)
}

fn gettxout(ctx: &Context, params: &Params) -> Answer {
    let txid = txid(params.text(0)?, "txid")?;
    let Ok(index) = u32::try_from(params.integer(1)?) else { return Ok(Value::Null) };
    let unconfirmed = params.boolean_or(2, true)?;
    let outpoint = OutPoint { txid, index };
    let (moment, coin, best) = {
        let view = ctx.view.read();
        let coin = if unconfirmed { view.pool.state().coin(outpoint) } else { view.snapshot.coin(outpoint) };
        (Moment::at(ctx, &view), coin.map_err(state_error)?, view.tip.hash)
    };
    let Some(coin) = coin else { return Ok(Value::Null) };
    let Some(known) = moment.transaction(&txid)? else { return Ok(Value::Null) };
    let Some(output) = output_of(&known, index) else { return Ok(Value::Null) };
    let mut map = Map::new();
    map.insert("bestblock".into(), best.to_string().into());
    map.insert("confirmations".into(), moment.confirmations(&known).into());
    map.insert("value".into(), moment.amount(i128::from(coin.amount.0)));
    map.insert("scriptPubKey".into(), output::script(&moment, output));
    map.insert("version".into(), TRANSACTION_VERSION.into());
    map.insert("coinbase".into(), coin.coinbase.into());
    let mut parts = Parts::of(&moment, &known, index, output, Shown::Chain)?;
    for (row, quantity) in parts.assets.iter_mut().zip(&output.assets) {
        if let (Value::Object(row), AssetReference::New) = (row, quantity.asset) {
            row.insert("issue".into(), true.into());
        }
    }
    parts.write(&mut map);
    Ok(Value::Object(map))
}

/// Sums up the coins of the state in the order of their keys: every node at this block gives the same.
fn gettxoutsetinfo(ctx: &Context, _params: &Params) -> Answer {
    let (snapshot, tip) = {
        let view = ctx.view.read();
        (view.snapshot.clone(), view.tip)
    };
    let (mut outputs, mut bytes, mut amount) = (0u64, 0u64, 0u128);
    let (mut transactions, mut last, mut hash) = (0u64, None, [0u8; 32]);
    let sum = |key: StateKey, value: StateValue| {
        let (StateKey::Coin(outpoint), StateValue::Coin(coin)) = (&key, &value) else { return };
        let element = rota_consensus::state::element(&key, &value);
        outputs += 1;
        bytes += element.len() as u64;
        amount += u128::from(coin.amount.0);
        transactions += u64::from(last != Some(outpoint.txid));
        last = Some(outpoint.txid);
        hash = sha256d(&[hash.as_slice(), &element].concat());
    };
    snapshot.for_each_element(sum).map_err(storage_error)?;
    let amount = i64::try_from(amount).unwrap_or(i64::MAX);
    Ok(json!({
        "height": tip.height.0,
        "bestblock": tip.hash.to_string(),
        "transactions": transactions,
        "txouts": outputs,
        "bytes_serialized": bytes,
        "hash_serialized": hex::encode(hash),
        "total_amount": amount_value(amount, ctx.parameters.native_currency_multiple()),
    }))
}

/// The coin that an entry of `lockunspent` names: -3 for members of another type, -8 for other values.
fn named_coin(entry: &Value) -> Result<OutPoint, RpcError> {
    let refused = || RpcError::mistyped(entry, "obj", "Invalid parameter, expected object");
    let members = entry.as_object().ok_or_else(refused)?;
    let member = |name: &str| {
        let missing = || RpcError::new(Code::Type, format!("Missing {name}")).rule(ParameterRule::Missing.name());
        members.get(name).ok_or_else(|| missing().allowed(name))
    };
    let (id, index) = (member("txid")?, member("vout")?);
    let id = id.as_str().ok_or_else(|| RpcError::unexpected_type(id, "str"))?;
    let number = index.as_i64().ok_or_else(|| RpcError::unexpected_type(index, "int"))?;
    let refused = |_| {
        let error = RpcError::parameter(ParameterRule::Form, "Invalid parameter, expected hex txid").got(id);
        error.allowed("64 hexadecimal digits")
    };
    Ok(OutPoint { txid: id.parse().map_err(refused)?, index: output_index(number)? })
}

fn lockunspent(ctx: &Context, params: &Params) -> Answer {
    let unlock = params.value(0).as_bool().ok_or_else(|| RpcError::unexpected_type(params.value(0), "bool"))?;
    let entries = match params.given(1) {
        None => None,
        Some(Value::Array(entries)) => Some(entries),
        Some(other) => return Err(RpcError::unexpected_type(other, "array")),
    };
    let coins = entries.map(|entries| entries.iter().map(named_coin).collect::<Result<Vec<_>, _>>()).transpose()?;
    match (unlock, coins) {
        (true, None) => ctx.coins.unlock_all(),
        (true, Some(coins)) => ctx.coins.unlock(&coins),
        (false, coins) => {
            if !ctx.coins.lock(coins.unwrap_or_default()) {
                let sentence = format!("At most {LOCKED_COINS} outputs are locked: unlock others first");
                let error = RpcError::new(Code::InvalidParameter, sentence);
                return Err(error.rule("lock-count").allowed(LOCKED_COINS));
            }
        }
    }
    Ok(Value::from(true))
}

/// Unlocks coins that are spent. A lock whose transaction is not known yet stays: it may be on its way.
///
/// # Errors
/// -32603 if storage fails.
pub fn unlock_spent(ctx: &Context) -> Result<(), RpcError> {
    let mut spent = Vec::new();
    for outpoint in ctx.coins.locked() {
        let view = ctx.view.read();
        let state = view.pool.state();
        if state.coin(outpoint).map_err(state_error)?.is_some() {
            continue;
        }
        let height = state.transaction_height(&outpoint.txid).map_err(state_error)?;
        if height.is_some() || view.pool.get(&outpoint.txid).is_some() {
            spent.push(outpoint);
        }
    }
    ctx.coins.unlock(&spent);
    Ok(())
}

fn listlockunspent(ctx: &Context, _params: &Params) -> Answer {
    unlock_spent(ctx)?;
    let entry = |outpoint: OutPoint| json!({"txid": outpoint.txid.to_string(), "vout": outpoint.index});
    Ok(ctx.coins.locked().into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_lockunspent_is_refused_by_what_is_wrong_with_it() {
        let id = "ab".repeat(32);
        let named = named_coin(&json!({"txid": id, "vout": 3}));
        assert_eq!(named.map(|outpoint| (outpoint.txid.to_string(), outpoint.index)), Ok((id.clone(), 3)));
        let code = |entry: Value| named_coin(&entry).map_err(|error| error.code);
        assert_eq!(code(json!({"txid": "zz", "vout": 0})), Err(Code::InvalidParameter));
        assert_eq!(code(json!({"txid": id, "vout": -1})), Err(Code::InvalidParameter));
        assert_eq!(code(json!({"txid": id})), Err(Code::Type));
        assert_eq!(code(json!({"txid": 5, "vout": 0})), Err(Code::Type));
        assert_eq!(code(json!([id, 0])), Err(Code::InvalidParameter));
    }
}
