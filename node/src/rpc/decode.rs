//! Transactions as answers show them: the raw form of getrawtransaction and blocks, and the form of a wallet.
//! What is looked up for it lives in `moment`, single outputs in `output`, assets in `asset`.

pub mod asset;
pub mod moment;
pub mod movement;
pub mod output;
pub mod wallet;

use std::sync::Arc;

use rota_api::error::RpcError;
use rota_chain::codec::encode;
use rota_chain::transaction::{Input, Transaction};
use rota_chain::witness::Witness;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::rpc::Answer;

pub use moment::{Known, Mined, Moment};
pub use movement::asset_transaction;
pub use wallet::{Whose, wallet_transaction};

/// The sequence number that every input shows: lock times are kept in the body and always enforced.
const SEQUENCE: u32 = u32::MAX;

/// The raw form of a transaction by itself: of decoderawtransaction, and of those in a block.
///
/// # Errors
/// -32603 if storage fails.
pub fn transaction(ctx: &Context, tx: &Transaction) -> Answer {
    let known = Known::bare(Arc::new(tx.clone()));
    let mut map = Map::new();
    write(&Moment::now(ctx), &known, &mut map)?;
    Ok(Value::Object(map))
}

/// The raw form of getrawtransaction: with all bytes, and with the block if it is mined.
///
/// # Errors
/// -32603 if storage fails.
pub fn raw_transaction(moment: &Moment<'_>, known: &Known) -> Answer {
    let mut map = Map::new();
    map.insert("hex".into(), hex::encode(encode(known.tx.as_ref())).into());
    write(moment, known, &mut map)?;
    if let Some(mined) = known.mined {
        map.insert("blockhash".into(), mined.hash.to_string().into());
        map.insert("confirmations".into(), moment.confirmations(known).into());
        map.insert("time".into(), mined.time.into());
        map.insert("blocktime".into(), mined.time.into());
    }
    Ok(Value::Object(map))
}

fn write(moment: &Moment<'_>, known: &Known, map: &mut Map<String, Value>) -> Result<(), RpcError> {
    let tx = &known.tx;
    map.insert("txid".into(), known.txid.to_string().into());
    map.insert("version".into(), tx.body.version.into());
    // A coinbase is bound to its height by more than a lock: it shows none.
    let lock_time = if tx.is_coinbase() { 0 } else { tx.body.lock_time };
    map.insert("locktime".into(), lock_time.into());
    map.insert("vin".into(), inputs(tx));
    map.insert("vout".into(), outputs(moment, known)?);
    if let Some(issue) = asset::issued(moment, known, output::View::Chain)? {
        map.insert("issue".into(), issue);
    }
    if let Some(created) = output::created(moment, known, true)? {
        map.insert("create".into(), created);
    }
    map.insert("authors".into(), tx.body.authors.iter().map(|lock| moment.address(lock)).collect());
    map.insert("lastheight".into(), tx.body.last_height.into());
    Ok(())
}

/// The inputs; a coinbase has one, which shows its body's nonce.
fn inputs(tx: &Transaction) -> Value {
    if tx.is_coinbase() {
        return json!([{"coinbase": hex::encode(tx.body.nonce.to_le_bytes()), "sequence": SEQUENCE}]);
    }
    tx.body.inputs.iter().enumerate().map(|(index, input)| raw_input(tx, index, input)).collect()
}

fn raw_input(tx: &Transaction, index: usize, input: &Input) -> Value {
    let script = tx.part_witness(index).or_else(|| full_witness(tx)).map_or_else(Vec::new, witness_parts);
    let asm: Vec<String> = script.iter().map(hex::encode).collect();
    let pushes: Vec<u8> =
        script.iter().flat_map(|part| u8::try_from(part.len()).into_iter().chain(part.iter().copied())).collect();
    json!({
        "txid": input.outpoint.txid.to_string(),
        "vout": input.outpoint.index,
        "scriptSig": {"asm": asm.join(" "), "hex": hex::encode(pushes)},
        "sequence": SEQUENCE,
    })
}

/// The witness that covers an input in full: shown where there is but one to choose from.
fn full_witness(tx: &Transaction) -> Option<&Witness> {
    let full = tx.witnesses.len().saturating_sub(tx.part_inputs());
    if full == 1 { tx.witnesses.first() } else { None }
}

/// Signatures and keys of a witness, in the order of a standard input.
fn witness_parts(witness: &Witness) -> Vec<Vec<u8>> {
    match witness {
        Witness::Absent => Vec::new(),
        Witness::Key { key, signature } => vec![signature.0.to_vec(), key.0.to_vec()],
        Witness::Multisig { keys, signatures } => {
            let redeem = rota_chain::script::redeem_script(keys);
            signatures.iter().map(|signature| signature.signature.0.to_vec()).chain([redeem]).collect()
        }
    }
}

fn outputs(moment: &Moment<'_>, known: &Known) -> Result<Value, RpcError> {
    let mut list = Vec::with_capacity(known.tx.body.outputs.len());
    for (index, output) in (0u32..).zip(&known.tx.body.outputs) {
        let mut map = Map::new();
        map.insert("value".into(), moment.amount(i128::from(output.amount.0)));
        map.insert("n".into(), index.into());
        map.insert("scriptPubKey".into(), output::script(moment, output));
        let parts = output::Parts::of(moment, known, index, output, output::View::Chain)?;
        parts.write(&mut map);
        list.push(Value::Object(map));
    }
    Ok(Value::Array(list))
}
