//! A transaction as the list of an asset's transactions shows it: what it changes for each address.

use rota_api::error::RpcError;
use rota_chain::asset::AssetQuantity;
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::transaction::Output;
use serde_json::{Map, Value};

use super::asset::{first_recipient, multiple, quantity_value, unit};
use super::moment::{Known, Moment};
use super::wallet::{carried, shown_inputs, spent_outputs};

/// What a transaction changes of an asset, by address, with the items and data it carries. Verbose adds inputs, outputs
/// and the whole in hexadecimal.
///
/// # Errors
/// -32603 if storage fails.
pub fn asset_transaction(moment: &Moment<'_>, known: &Known, asset: &Txid, verbose: bool) -> Result<Value, RpcError> {
    let spent = spent_outputs(moment, known)?;
    let (sums, outputs) = carried(moment, known, verbose)?;
    let mut changes: Vec<(rota_chain::lock::Lock, i128)> = Vec::new();
    let mut count = |own: Txid, out: &Output, sign: i128| {
        let held = |held: &&AssetQuantity| unit(own, held).0 == *asset;
        let mut quantities = out.assets.iter().filter(held).map(|held| i128::from(held.quantity)).peekable();
        let Some(lock) = out.recipient.filter(|_| quantities.peek().is_some()) else { return };
        let change = sign * quantities.sum::<i128>();
        match changes.iter_mut().find(|(known, _)| *known == lock) {
            Some((_, sum)) => *sum += change,
            None => changes.push((lock, change)),
        }
    };
    for (outpoint, out) in &spent {
        if let Some(out) = out {
            count(outpoint.txid, out, -1);
        }
    }
    for out in &known.tx.body.outputs {
        count(known.txid, out, 1);
    }
    if changes.is_empty() {
        // It issues nothing, or changes what the asset allows.
        changes.extend(first_recipient(known).map(|lock| (lock, 0)));
    }
    let multiple = multiple(moment.entity(asset)?.as_ref());
    let mut map = Map::new();
    let addresses: Map<String, Value> =
        changes.iter().map(|(lock, raw)| (moment.address(lock), quantity_value(multiple, *raw))).collect();
    map.insert("addresses".into(), Value::Object(addresses));
    map.insert("items".into(), sums.items.into());
    map.insert("data".into(), sums.data.into());
    write_place(moment, known, &mut map);
    if verbose {
        map.insert("vin".into(), shown_inputs(moment, &spent)?.into());
        map.insert("vout".into(), outputs.into());
        map.insert("hex".into(), hex::encode(encode(known.tx.as_ref())).into());
    }
    Ok(Value::Object(map))
}

/// Writes where a transaction stands and when it came.
pub fn write_place(moment: &Moment<'_>, known: &Known, map: &mut Map<String, Value>) {
    map.insert("confirmations".into(), moment.confirmations(known).into());
    if known.tx.is_coinbase() {
        map.insert("generated".into(), true.into());
    }
    if let Some(mined) = known.mined {
        map.insert("blockhash".into(), mined.hash.to_string().into());
        map.insert("blockheight".into(), mined.height.0.into());
        map.insert("blockindex".into(), mined.index.into());
        map.insert("blocktime".into(), mined.time.into());
    }
    map.insert("txid".into(), known.txid.to_string().into());
    map.insert("valid".into(), known.valid.into());
    map.insert("time".into(), known.time().into());
    map.insert("timereceived".into(), known.received.into());
}
