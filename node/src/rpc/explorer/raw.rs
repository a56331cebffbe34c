//! One transaction as explorers show it: the raw form with tags, what its inputs spend and who spent its outputs.

use std::collections::BTreeMap;

use rota_api::error::RpcError;
use rota_api::params::Params;
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::{OutPoint, Output};
use serde_json::{Map, Value, json};

use super::quantity::{held, quantity};
use super::{Redeemers, index, tag};
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::decode::asset::{Unit, unit};
use crate::rpc::decode::wallet::{Spent, spent_outputs};
use crate::rpc::decode::{self, Known, Moment};
use crate::rpc::resolve::txid;

/// Answers explorergetrawtransaction.
pub(super) fn transaction(ctx: &Context, params: &Params) -> Answer {
    let id = txid(params.text(0)?, "txid")?;
    let verbose = match params.given(1) {
        None => false,
        Some(Value::Bool(verbose)) => *verbose,
        Some(value) => value.as_i64().is_some_and(|level| level != 0),
    };
    let (moment, reader) = index(ctx)?;
    let known = moment.transaction(&id)?.ok_or_else(|| RpcError::tx_not_found(&id.to_string()))?;
    if !verbose {
        return Ok(Value::from(hex::encode(encode(known.tx.as_ref()))));
    }
    let mut shown = decode::raw_transaction(&moment, &known)?;
    let spent = spent_outputs(&moment, &known)?;
    shown["confirmations"] = moment.confirmations(&known).into();
    shown["blockheight"] = known.mined.map(|mined| mined.height.0).into();
    shown["tags"] = tag::of_transaction(&known).into();
    shown["assets"] = changes(&moment, &known, &spent)?;
    if known.tx.is_coinbase() {
        let vin = &mut shown["vin"][0];
        (vin["addresses"], vin["assets"], vin["tags"]) = (json!([]), json!([]), json!(["coinbase"]));
    }
    for (index, (outpoint, out)) in spent.iter().enumerate() {
        write_spent(&moment, outpoint, out.as_ref(), &mut shown["vin"][index])?;
    }
    let mut redeemers = Redeemers::new(&moment, &reader);
    for (index, out) in (0u32..).zip(&known.tx.body.outputs) {
        let redeemed = redeemers.of(OutPoint { txid: known.txid, index })?;
        write_output(&moment, redeemed, &known, (index, out), &mut shown["vout"][index as usize])?;
    }
    Ok(shown)
}

/// Writes to an input what it spends.
fn write_spent(
    moment: &Moment<'_>,
    outpoint: &OutPoint,
    out: Option<&Output>,
    vin: &mut Value,
) -> Result<(), RpcError> {
    let owner = out.and_then(|out| out.recipient);
    vin["addresses"] = owner.iter().map(|lock| moment.address(lock)).collect();
    vin["amount"] = moment.amount(out.map_or(0, |out| i128::from(out.amount.0)));
    let assets = out.map(|out| held(moment, outpoint.txid, out)).transpose()?;
    vin["assets"] = assets.unwrap_or_default().into();
    vin["tags"] = tag::of_input(outpoint.txid, out).into();
    Ok(())
}

/// Writes to an output its tags, native currency among its assets, and who spent it.
fn write_output(
    moment: &Moment<'_>,
    redeemed: Option<(Txid, usize)>,
    known: &Known,
    (index, out): (u32, &Output),
    vout: &mut Value,
) -> Result<(), RpcError> {
    vout["tags"] = tag::of_output(known, index, out).into();
    vout["redeem"] = redeemed.map_or(Value::Null, |(by, vin)| json!({"txid": by.to_string(), "vin": vin}));
    let mut assets = vout["assets"].as_array().cloned().unwrap_or_default();
    if out.amount.0 > 0 {
        assets.push(Value::Object(quantity(moment, None, i128::from(out.amount.0))?));
    }
    vout["assets"] = assets.into();
    if vout["scriptPubKey"].get("addresses").is_none() {
        vout["scriptPubKey"]["addresses"] = json!([]);
    }
    Ok(())
}

/// What a transaction changes of assets, for each address whose quantity is another after it.
fn changes(moment: &Moment<'_>, known: &Known, spent: &[Spent]) -> Answer {
    let mut order = Vec::new();
    let mut sums: BTreeMap<(Lock, Unit), i128> = BTreeMap::new();
    let mut count = |own: Txid, out: &Output, sign: i128| {
        let Some(lock) = out.recipient else { return };
        for held in &out.assets {
            let changed = (lock, unit(own, held));
            let sum = sums.entry(changed.clone()).or_insert_with(|| {
                order.push(changed);
                0
            });
            *sum += sign * i128::from(held.quantity);
        }
    };
    for (outpoint, out) in spent {
        out.iter().for_each(|out| count(outpoint.txid, out, -1));
    }
    known.tx.body.outputs.iter().for_each(|out| count(known.txid, out, 1));
    let changed = order.iter().filter_map(|key| Some((key, *sums.get(key).filter(|sum| **sum != 0)?)));
    changed
        .map(|((lock, of), sum)| {
            let mut map: Map<String, Value> = quantity(moment, Some(of), sum)?;
            map.insert("address".into(), moment.address(lock).into());
            Ok(Value::Object(map))
        })
        .collect()
}
