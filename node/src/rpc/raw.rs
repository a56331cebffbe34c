//! Raw transactions: showing, signing and sending them, and scripts. Building them comes with coins.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, RpcError};
use rota_api::params::{Params, as_text, type_word};
use rota_api::raw::Signed;
use rota_chain::codec::{decode as read_bytes, encode};
use rota_chain::hash::hash160;
use rota_chain::key::PrivateKey;
use rota_chain::lock::{Lock, ScriptHash};
use rota_chain::script::{payment_words, read_payment_script, read_redeem_script};
use rota_chain::transaction::{OutPoint, Transaction};
use rota_consensus::state::StateView;
use serde_json::{Value, json};

use super::decode::{self, Moment};
use super::resolve::{self, heavy, shape, short, submit, txid, verify, wallet_error};
use super::{Answer, Answerer};
use crate::context::Context;

/// Longest script that is looked at, in digits: sixteen keys take fewer.
const SCRIPT_DIGITS: usize = 2_048;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("getrawtransaction", Answerer::Later(|ctx, params| heavy(ctx, params, getrawtransaction))),
    ("decoderawtransaction", Answerer::Later(|ctx, params| heavy(ctx, params, decoderawtransaction))),
    ("decodescript", Answerer::Now(decodescript)),
    ("signrawtransaction", Answerer::Later(|ctx, params| heavy(ctx, params, signrawtransaction))),
    ("sendrawtransaction", Answerer::Later(sendrawtransaction)),
];

/// Whether a parameter of any simple type asks for more.
fn truthy(params: &Params, index: usize) -> Result<bool, RpcError> {
    match params.given(index) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::Number(number)) => Ok(number.as_f64() != Some(0.0)),
        Some(Value::String(text)) => Ok(!matches!(text.as_str(), "" | "0" | "false")),
        Some(other) => Err(RpcError::invalid(format!("Invalid value for 'verbose' parameter: {}", type_word(other)))),
    }
}

fn getrawtransaction(ctx: &Context, params: &Params) -> Answer {
    let id = txid(params.value(0).as_str().unwrap_or_default(), "parameter 1")?;
    let verbose = truthy(params, 1)?;
    let moment = Moment::now(ctx);
    let known = moment.transaction(&id)?.ok_or_else(|| RpcError::tx_not_found(&id.to_string()))?;
    if verbose {
        return decode::raw_transaction(&moment, &known);
    }
    Ok(Value::from(hex::encode(encode(known.tx.as_ref()))))
}

/// Reads a transaction from hexadecimal text: -22 for anything else.
pub fn read_transaction(ctx: &Context, text: &str) -> Result<Transaction, RpcError> {
    let refused = |cause: String| RpcError::new(Code::Deserialization, format!("TX decode failed: {cause}"));
    let limit = ctx.rules_now().map_err(resolve::state_error)?.maximum_transaction_size as usize;
    if text.len() / 2 > limit {
        return Err(refused(format!("{} bytes, the limit is {limit}", text.len() / 2)));
    }
    let bytes = hex::decode(text).map_err(|error| refused(error.to_string()))?;
    read_bytes(&bytes).map_err(|error| refused(error.to_string()))
}

fn decoderawtransaction(ctx: &Context, params: &Params) -> Answer {
    let tx = read_transaction(ctx, params.text(0)?)?;
    decode::transaction(ctx, &tx)
}

fn decodescript(ctx: &Context, params: &Params) -> Answer {
    let text = params.text(0)?;
    let malformed = |_| RpcError::invalid(format!("argument must be hexadecimal string (not '{}')", short(text)));
    if text.len() > SCRIPT_DIGITS {
        return Err(RpcError::invalid(format!("argument has {} digits, at most {SCRIPT_DIGITS}", text.len())));
    }
    let script = hex::decode(text).map_err(malformed)?;
    let wrapped = ctx.scheme.encode(&Lock::Multisig(ScriptHash(hash160(&script))));
    if let Some(keys) = read_redeem_script(&script) {
        let words: Vec<String> = keys.keys.iter().map(|key| hex::encode(key.0)).collect();
        let shown: Vec<String> = keys.keys.iter().map(|key| ctx.scheme.encode_key_hash(&key.key_hash())).collect();
        let asm = format!("{} {} {} OP_CHECKMULTISIG", keys.required, words.join(" "), keys.keys.len());
        return Ok(json!({
            "asm": asm, "reqSigs": keys.required, "type": "multisig", "addresses": shown, "p2sh": wrapped,
        }));
    }
    Ok(match read_payment_script(&script) {
        Some(lock) => {
            let kind = if lock.key_hash().is_some() { "pubkeyhash" } else { "scripthash" };
            let shown = [ctx.scheme.encode(&lock)];
            json!({"asm": payment_words(&lock), "reqSigs": 1, "type": kind, "addresses": shown, "p2sh": wrapped})
        }
        None => json!({
            "asm": if script.is_empty() { String::new() } else { hex::encode(&script) },
            "reqSigs": 1, "type": "nonstandard", "addresses": [], "p2sh": wrapped,
        }),
    })
}

/// The keys that a caller gives along: -5 for a malformed one.
fn given_keys(ctx: &Context, params: &Params, index: usize) -> Result<Vec<PrivateKey>, RpcError> {
    if params.given(index).is_none() {
        return Ok(Vec::new());
    }
    let key = |value: &Value| {
        let refused = |_| RpcError::new(Code::InvalidAddressOrKey, "Invalid private key");
        ctx.scheme.decode_private_key(as_text(value)?).map_err(refused)
    };
    params.array(index)?.iter().map(key).collect()
}

/// Only ALL is signed here: the flag of partial coverage belongs to inputs, and is set where they are made.
fn signrawtransaction(ctx: &Context, params: &Params) -> Answer {
    let mut tx = read_transaction(ctx, params.text(0)?)?;
    let keys = given_keys(ctx, params, 2)?;
    let mode = params.text_or(3, "ALL")?;
    if mode != "ALL" {
        return Err(RpcError::invalid(format!("Invalid sighash param: {}, ALL is supported", short(mode))));
    }
    let owner = |outpoint: OutPoint| {
        let coin = ctx.view.read().pool.state().coin(outpoint).ok().flatten();
        coin.map(|coin| coin.owner)
    };
    let signed = ctx.wallet.sign_transaction(&mut tx, &ctx.rules.genesis, owner, &keys).map_err(wallet_error)?;
    shape(&Signed { hex: hex::encode(encode(&tx)), complete: signed.is_complete() })
}

fn sendrawtransaction(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let Some(text) = params.value(0).as_str() else {
            let sentence = format!("Expected type str, got {}", type_word(params.value(0)));
            return Err(RpcError::new(Code::Type, sentence));
        };
        let tx = Arc::new(read_transaction(&ctx, text)?);
        let id = tx.txid();
        if ctx.view.read().pool.get(&id).is_some() {
            return Ok(Value::from(id.to_string()));
        }
        let worker = Arc::clone(&ctx);
        let verified = tokio::task::spawn_blocking(move || verify(&worker, tx)).await;
        let id = submit(&ctx, verified.map_err(RpcError::internal)??).await?;
        Ok(Value::from(id.to_string()))
    })
}
