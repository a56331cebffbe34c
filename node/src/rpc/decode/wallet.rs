//! A transaction as the wallet or one of its addresses sees it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rota_api::error::RpcError;
use rota_api::wallet::{WalletBalance, WalletTransaction};
use rota_chain::codec::encode;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::{OutPoint, Output, Transaction};
use serde_json::{Map, Value};

use super::asset::{self, Unit};
use super::moment::{Known, Moment};
use super::output::{self, Parts, View};

/// Whose view of a transaction is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Every address that this wallet can sign for; with watched ones if `watch_only`.
    Wallet {
        /// Whether addresses without a key count too.
        watch_only: bool,
    },
    /// One address.
    Address(Lock),
}

impl Whose {
    /// Whether an address is one of them.
    #[must_use]
    pub fn owns(self, moment: &Moment<'_>, lock: &Lock) -> bool {
        match self {
            Whose::Wallet { watch_only: false } => moment.ctx.wallet.is_mine(lock),
            Whose::Wallet { watch_only: true } => moment.ctx.wallet.contains(lock),
            Whose::Address(address) => address == *lock,
        }
    }
}

/// The form a transaction has in getwallettransaction, listaddresstransactions and their like; none if it concerns
/// nobody of `whose`. Verbose adds inputs, outputs and the whole in hexadecimal.
///
/// # Errors
/// -32603 if storage fails.
pub fn wallet_transaction(
    moment: &Moment<'_>,
    known: &Known,
    whose: Whose,
    verbose: bool,
) -> Result<Option<Value>, RpcError> {
    let spent = spent_outputs(moment, known)?;
    let (mine, others) = concerned(moment, known, whose, &spent);
    if mine.is_empty() {
        return Ok(None);
    }
    let (sums, outputs) = carried(moment, known, verbose)?;
    let mined = known.mined;
    let shown = WalletTransaction {
        balance: balance(moment, known, whose, &spent)?,
        myaddresses: mine,
        addresses: others,
        permissions: sums.permissions,
        create: output::created(moment, known, false)?,
        issue: asset::issued(moment, known, View::Node)?,
        items: sums.items,
        data: sums.data,
        confirmations: moment.confirmations(known),
        generated: known.tx.is_coinbase().then_some(true),
        blockhash: mined.map(|mined| mined.hash.to_string()),
        blockheight: mined.map(|mined| i64::from(mined.height.0)),
        blockindex: mined.map(|mined| i64::from(mined.index)),
        blocktime: mined.map(|mined| i64::from(mined.time)),
        txid: known.txid.to_string(),
        valid: known.valid,
        time: known.time().cast_signed(),
        timereceived: known.received.cast_signed(),
        comment: None,
        to: None,
        vin: verbose.then(|| shown_inputs(moment, &spent)).transpose()?,
        vout: verbose.then_some(outputs),
        hex: verbose.then(|| hex::encode(encode(known.tx.as_ref()))),
    };
    serde_json::to_value(shown).map(Some).map_err(RpcError::internal)
}

/// What all outputs carry together and, if asked for, each output as a wallet shows it.
///
/// # Errors
/// -32603 if storage fails.
pub fn carried(moment: &Moment<'_>, known: &Known, verbose: bool) -> Result<(Parts, Vec<Value>), RpcError> {
    let mut sums = Parts::default();
    let mut outputs = Vec::new();
    for (index, out) in (0u32..).zip(&known.tx.body.outputs) {
        let parts = Parts::of(moment, known, index, out, View::Node)?;
        let recipient = out.recipient.map(|lock| moment.address(&lock));
        for permission in &parts.permissions {
            let mut permission = permission.clone();
            if let Value::Object(map) = &mut permission {
                map.insert("addresses".into(), recipient.iter().cloned().collect());
            }
            sums.permissions.push(permission);
        }
        sums.items.extend(parts.items.iter().cloned());
        // Data along with a payment is the payment's, and shown with its output alone.
        if out.recipient.is_none() {
            sums.data.extend(parts.data.iter().cloned());
        }
        if verbose {
            outputs.push(shown_output(moment, index, out, parts));
        }
    }
    Ok((sums, outputs))
}

/// An output spent, if this node knows it.
pub type Spent = (OutPoint, Option<Output>);

/// The outputs that a transaction spends, where this node knows them: found by their transactions.
///
/// # Errors
/// -32603 if storage fails.
pub fn spent_outputs(moment: &Moment<'_>, known: &Known) -> Result<Vec<Spent>, RpcError> {
    let outpoints = known.tx.body.inputs.iter().map(|input| input.outpoint);
    outputs_of(outpoints, |txid| Ok(moment.transaction(txid)?.map(|known| known.tx)))
}

/// Outputs by their transactions, in order. A transaction may be large and each of its outputs be asked for: it is read
/// once, and let go before the next.
fn outputs_of(
    outpoints: impl Iterator<Item = OutPoint>,
    mut read: impl FnMut(&Txid) -> Result<Option<Arc<Transaction>>, RpcError>,
) -> Result<Vec<Spent>, RpcError> {
    let mut spent: Vec<Spent> = outpoints.map(|outpoint| (outpoint, None)).collect();
    let mut places: BTreeMap<Txid, Vec<usize>> = BTreeMap::new();
    for (place, (outpoint, _)) in spent.iter().enumerate() {
        places.entry(outpoint.txid).or_default().push(place);
    }
    for (txid, places) in places {
        let Some(source) = read(&txid)? else { continue };
        for place in places {
            if let Some((outpoint, out)) = spent.get_mut(place) {
                *out = source.body.outputs.get(outpoint.index as usize).cloned();
            }
        }
    }
    Ok(spent)
}

/// The addresses a transaction concerns, in order of appearance: those of `whose`, and the others.
fn concerned(moment: &Moment<'_>, known: &Known, whose: Whose, spent: &[Spent]) -> (Vec<String>, Vec<String>) {
    let owners = spent.iter().filter_map(|(_, out)| out.as_ref().and_then(|out| out.recipient));
    let recipients = known.tx.body.outputs.iter().filter_map(|out| out.recipient);
    let locks = recipients.chain(known.tx.body.authors.iter().copied()).chain(owners);
    let (mut seen, mut mine, mut others) = (HashSet::new(), Vec::new(), Vec::new());
    for lock in locks {
        if !seen.insert(lock) {
            continue;
        }
        let list = if whose.owns(moment, &lock) { &mut mine } else { &mut others };
        list.push(moment.address(&lock));
    }
    (mine, others)
}

/// What a transaction changes: outputs to, less outputs spent of `whose`.
fn balance(moment: &Moment<'_>, known: &Known, whose: Whose, spent: &[Spent]) -> Result<WalletBalance, RpcError> {
    let mut amount = 0i128;
    let mut units: BTreeMap<Unit, i128> = BTreeMap::new();
    let mut count = |own: Txid, out: &Output, sign: i128| {
        if out.recipient.is_some_and(|lock| whose.owns(moment, &lock)) {
            amount += sign * i128::from(out.amount.0);
            for held in &out.assets {
                *units.entry(asset::unit(own, held)).or_default() += sign * i128::from(held.quantity);
            }
        }
    };
    for out in &known.tx.body.outputs {
        count(known.txid, out, 1);
    }
    for (outpoint, out) in spent {
        if let Some(out) = out {
            count(outpoint.txid, out, -1);
        }
    }
    units.retain(|_, change| *change != 0);
    let mut assets = Vec::with_capacity(units.len());
    for (unit, change) in &units {
        assets.push(Value::Object(asset::quantity(moment, unit, *change, View::Node)?));
    }
    Ok(WalletBalance { amount: moment.amount(amount), assets })
}

/// The outputs that a transaction spends, as a wallet shows them.
///
/// # Errors
/// -32603 if storage fails.
pub fn shown_inputs(moment: &Moment<'_>, spent: &[Spent]) -> Result<Vec<Value>, RpcError> {
    let mut list = Vec::with_capacity(spent.len());
    for (outpoint, out) in spent {
        let mut map = Map::new();
        map.insert("txid".into(), outpoint.txid.to_string().into());
        map.insert("vout".into(), outpoint.index.into());
        owner(moment, out.as_ref().and_then(|out| out.recipient), &mut map);
        map.insert("amount".into(), moment.amount(out.as_ref().map_or(0, |out| i128::from(out.amount.0))));
        let held = out.iter().flat_map(|out| &out.assets);
        let assets = held.map(|held| {
            let unit = asset::unit(outpoint.txid, held);
            asset::quantity(moment, &unit, i128::from(held.quantity), View::Node).map(Value::Object)
        });
        let assets = assets.collect::<Result<Vec<Value>, RpcError>>()?;
        if !assets.is_empty() {
            map.insert("assets".into(), assets.into());
        }
        list.push(Value::Object(map));
    }
    Ok(list)
}

/// An output as a wallet shows it.
pub fn shown_output(moment: &Moment<'_>, index: u32, out: &Output, parts: Parts) -> Value {
    let mut map = Map::new();
    map.insert("n".into(), index.into());
    owner(moment, out.recipient, &mut map);
    map.insert("amount".into(), moment.amount(i128::from(out.amount.0)));
    parts.write(&mut map);
    Value::Object(map)
}

/// Whom an output belongs to, as this wallet sees it.
fn owner(moment: &Moment<'_>, lock: Option<Lock>, map: &mut Map<String, Value>) {
    let wallet = &moment.ctx.wallet;
    let mine = lock.is_some_and(|lock| wallet.is_mine(&lock));
    let watched = lock.is_some_and(|lock| wallet.contains(&lock));
    map.insert("addresses".into(), lock.iter().map(|lock| moment.address(lock)).collect());
    map.insert("type".into(), output::kind(lock.as_ref()).into());
    map.insert("ismine".into(), mine.into());
    map.insert("iswatchonly".into(), (watched && !mine).into());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_chain::amount::{Amount, Height};
    use rota_chain::lock::KeyHash;

    use super::*;

    #[test]
    fn a_source_is_read_once_however_many_of_its_outputs_are_spent() {
        let pays = |amounts: &[u64]| {
            let to = Lock::Key(KeyHash([1; 20]));
            let outputs = amounts.iter().map(|amount| Output::payment(to, Amount(*amount))).collect();
            Arc::new(Transaction::coinbase(Height(amounts.len() as u32), outputs))
        };
        let (one, other) = (pays(&[10, 11, 12]), pays(&[20]));
        let outpoint = |source: &Transaction, index: u32| OutPoint { txid: source.txid(), index };
        let asked = [outpoint(&one, 2), outpoint(&other, 0), outpoint(&one, 0), outpoint(&one, 9)];
        let mut reads = Vec::new();
        let spent = outputs_of(asked.into_iter(), |txid| {
            reads.push(*txid);
            Ok([&one, &other].into_iter().find(|source| source.txid() == *txid).cloned())
        });
        let amounts: Vec<Option<u64>> =
            spent.unwrap().into_iter().map(|(_, out)| out.map(|out| out.amount.0)).collect();
        assert_eq!(amounts, [Some(12), Some(20), Some(10), None]);
        assert_eq!(reads.len(), 2);
    }
}
